/* Verification of the stamp of a backup: what it says of the file that bears it. */
#include "backup_support.h"

#include "store/store.h"

enum { HEAD = 6 };

static stele_backed_up made;

static void make_stamped(void)
{
    open_in_file();
    fill_stream("a-1", HEAD);
    made = back_up_to(backup_path());
    close_store();
}

/* The check "backup" of the file at `path`. */
static stele_check check_stamp_of(const char *path, char offender[512])
{
    static const char *const names[] = { "backup" };
    const stele_options looking = looking_only();
    stele_verify_options options = STELE_VERIFY_INIT;
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_store *opened = open_path(path, &looking);
    options.names = names;
    options.name_count = 1;
    assert_status(stele_verify_open(opened, &options, &verify), STELE_OK);
    assert_status(stele_verify_next(verify, &check), STELE_OK);
    stele_check found = *check;
    snprintf(offender, 512, "%s", check->offender);
    assert_status(stele_verify_next(verify, &check), STELE_DONE);
    stele_verify_close(verify);
    stele_store_close(opened);
    return found;
}

static void expect_stamp(uint64_t count, const char *part)
{
    char offender[512];
    stele_check found = check_stamp_of(backup_path(), offender);
    ck_assert_uint_eq(found.count, count);
    ck_assert_msg(found.failures == (part[0] != '\0'), "%s", offender);
    ck_assert_msg(strstr(offender, part) != NULL, "'%s' lacks '%s'", offender, part);
}

/* Its checksum is that of the value: only what it says is wrong. */
static void forge_stamp(const char *value)
{
    char sql[512];
    snprintf(sql, sizeof(sql),
             "UPDATE meta SET value = '%s', checksum = %" PRId64 " WHERE key = 'backup'", value,
             stele__meta_checksum("backup", value));
    run_sql(backup_path(), sql);
}

static void forge_facts(int64_t head, const char *epoch, int64_t made_at)
{
    char value[200];
    snprintf(value, sizeof(value),
             "{\"head\":%" PRId64 ",\"epoch\":\"%s\",\"made_at\":%" PRId64 "}", head, epoch,
             made_at);
    forge_stamp(value);
}

START_TEST(stamp_of_a_good_backup_passes)
{
    expect_stamp(1, "");
    forge_facts(made.head, made.epoch, made.made_at); /* what is forged below differs by more */
    expect_stamp(1, "");
}
END_TEST

START_TEST(store_and_what_was_recovered_have_none_to_look_at)
{
    char offender[512];
    recover_to(backup_path(), new_path());
    ck_assert_uint_eq(check_stamp_of(store_path(), offender).count, 0);
    ck_assert_uint_eq(check_stamp_of(new_path(), offender).count, 0);
}
END_TEST

START_TEST(backup_of_an_empty_store_passes)
{
    ck_assert_int_eq(unlink(backup_path()), 0);
    ck_assert_int_eq(unlink(test_path("store.db-anchor")), 0);
    ck_assert_int_eq(unlink(store_path()), 0);
    open_in_file();
    ck_assert_int_eq(back_up_to(backup_path()).head, 0);
    expect_stamp(1, "");
}
END_TEST

START_TEST(stamp_that_was_changed_fails)
{
    run_sql(backup_path(), "UPDATE meta SET checksum = checksum + 1 WHERE key = 'backup'");
    expect_stamp(1, "damaged");
}
END_TEST

START_TEST(stamp_that_says_nothing_fails)
{
    static const char *const values[] = { "", "{}", "junk", "{\"head\":6}" };
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        forge_stamp(values[i]);
        expect_stamp(1, "damaged");
    }
    forge_facts(made.head, "0123", made.made_at);
    expect_stamp(1, "damaged");
}
END_TEST

START_TEST(head_that_is_not_the_logs_fails)
{
    static const int64_t heads[] = { -1, 0, HEAD - 1, HEAD + 1, INT64_MAX };
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        forge_facts(heads[i], made.epoch, made.made_at);
        expect_stamp(1, "its head is 6");
    }
}
END_TEST

/* No gap tells of it, and a backup has no anchor. */
START_TEST(backup_that_lost_its_end_fails)
{
    char first[64];
    run_sql(backup_path(), "DELETE FROM events WHERE position > 4");
    expect_stamp(1, "made at position 6, and its head is 4");
    store = open_path(backup_path(), NULL);
    ck_assert_int_eq(count_failed_checks(store, first), 1);
    ck_assert_str_eq(first, "backup");
    close_store();
    assert_status(try_recover(backup_path(), new_path(), NULL), STELE_CORRUPT);
    assert_reason_has("'backup'");
}
END_TEST

START_TEST(epoch_that_is_not_the_current_one_fails)
{
    forge_facts(made.head, "00000000-0000-4000-8000-000000000000", made.made_at);
    expect_stamp(1, "00000000-0000-4000-8000-000000000000");
}
END_TEST

START_TEST(time_that_cannot_be_fails)
{
    static const int64_t times[] = { INT64_MIN, -1, 0, INT64_C(253402300800000000), INT64_MAX };
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        forge_facts(made.head, made.epoch, times[i]);
        expect_stamp(1, "which can't be");
    }
    forge_facts(made.head, made.epoch, made.made_at + INT64_C(86400000000)); /* a clock ahead */
    expect_stamp(1, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify backup");
    TCase *tests = add_case(suite, "stamp", make_stamped);
    tcase_add_test(tests, stamp_of_a_good_backup_passes);
    tcase_add_test(tests, store_and_what_was_recovered_have_none_to_look_at);
    tcase_add_test(tests, backup_of_an_empty_store_passes);
    tcase_add_test(tests, stamp_that_was_changed_fails);
    tcase_add_test(tests, stamp_that_says_nothing_fails);
    tcase_add_test(tests, head_that_is_not_the_logs_fails);
    tcase_add_test(tests, backup_that_lost_its_end_fails);
    tcase_add_test(tests, epoch_that_is_not_the_current_one_fails);
    tcase_add_test(tests, time_that_cannot_be_fails);
    return run_suite(suite);
}
