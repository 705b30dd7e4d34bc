/*
 * backup and recover on the command line.
 */
#define _GNU_SOURCE /* memmem */

#include "cli_support.h"

static void make_events(void)
{
    make_store();
    assert_code(STELE("append", "order-1", "Placed", "{\"n\":1}"), 0);
    assert_code(STELE("append", "order-1", "Paid", "{\"n\":2}"), 0);
}

static const char *dest(void)
{
    return test_path("backup.stele");
}

START_TEST(a_backup_is_made_and_described_in_every_format)
{
    make_events();

    const ran *result = STELE("backup", dest(), "-o", "json");
    assert_code(result, 0);
    assert_json(result->out);
    ck_assert_int_eq(strncmp(result->out, "{\"v\":1,\"path\":", 14), 0);
    assert_has(result->out, "\"head\":2");
    assert_has(result->out, "\"verified\":true");
    assert_has(result->out, "\"made_at\":\"20");
    ck_assert_str_eq(result->err, "");

    result = STELE("backup", test_path("second"), "--verify", "-o", "plain");
    assert_code(result, 0);
    assert_has(result->out, "true");
    result = STELE("backup", test_path("third"), "--no-verify", "-o", "jsonl");
    assert_code(result, 0);
    assert_has(result->out, "\"verified\":false");
    assert_json_lines(result->out);
    assert_code(STELE("backup", test_path("fourth"), "-o", "table"), 0);
}
END_TEST

START_TEST(a_backup_can_be_read_and_verified_but_not_written)
{
    make_events();
    assert_code(STELE("backup", dest()), 0);

    assert_code(STELE("-s", dest(), "verify"), 0);
    assert_has(STELE("-s", dest(), "read", "order-1")->out, "Paid");
    assert_has(STELE("-s", dest(), "info", "-o", "json")->out, "\"head\":2");
    assert_refused(STELE("-s", dest(), "append", "order-1", "Sent"), 7, "this is a backup");
}
END_TEST

START_TEST(what_is_in_the_way_is_never_written_over)
{
    make_events();
    make_file("backup.stele", "precious");

    const ran *result = STELE("backup", dest());

    assert_refused(result, 2, "exists, and nothing is written over");
    assert_has(result->err, "hint: choose another name");
    ck_assert_str_eq(result->out, "");
    size_t size = 0;
    char *kept = read_whole(dest(), &size);
    ck_assert_str_eq(kept, "precious");
    free(kept);
}
END_TEST

START_TEST(a_backup_needs_a_folder_and_one_name)
{
    make_events();

    assert_refused(STELE("backup", test_path("nowhere/backup")), 3, "nowhere");
    assert_refused(STELE("backup"), 2, "DEST");
    assert_refused(STELE("backup", dest(), "--verify", "--no-verify"), 2, "verify");
    assert_refused(STELE("recover", dest()), 2, "NEWFILE");
}
END_TEST

START_TEST(a_backup_is_recovered_into_a_store_with_a_new_epoch)
{
    make_events();
    assert_code(STELE("backup", dest()), 0);
    const char *again = test_path("again.stele");

    const ran *result = run_tool(&(launch){
        .arguments = ARGUMENTS("recover", dest(), again, "-o", "json"), .no_store = true });

    assert_code(result, 0);
    assert_json(result->out);
    assert_has(result->out, "\"old_epoch\":\"");
    assert_has(result->out, "\"failed\":0");
    assert_has(result->out, "\"head\":2");
    assert_code(STELE("-s", again, "append", "order-1", "Sent", "--expect", "2"), 0);
    assert_code(STELE("-s", again, "verify"), 0);
    const ran *refused = STELE("recover", dest(), again);
    assert_refused(refused, 2, "exists");
    assert_has(refused->err, "hint: ");
    assert_refused(STELE("recover", test_path("nothing"), test_path("new")), 3, "nothing");
}
END_TEST

/* One byte of a payload, which only its checksum tells. */
static void damage(const char *path)
{
    size_t size = 0;
    char *bytes = read_whole(path, &size);
    char *at = memmem(bytes, size, "{\"n\":1}", 7);
    ck_assert_ptr_nonnull(at);
    at[5] = '7';
    write_whole(path, bytes, size);
    free(bytes);
}

START_TEST(a_damaged_backup_is_recovered_only_when_told_to)
{
    make_events();
    assert_code(STELE("backup", dest()), 0);
    damage(dest());
    const char *again = test_path("again.stele");

    const ran *result = STELE("recover", dest(), again);
    assert_refused(result, 6, "is damaged");
    assert_has(result->err, "hint: try an older backup; --damaged");
    ck_assert_int_ne(access(again, F_OK), 0);

    result = STELE("recover", dest(), again, "--damaged");
    assert_code(result, 0);
    assert_has(result->err, "warning: ");
    assert_code(STELE("-s", again, "verify"), 6);
}
END_TEST

START_TEST(a_damaged_store_has_no_backup_but_an_unverified_one)
{
    make_events();
    damage(test_path("store.db"));

    const ran *result = STELE("backup", dest());

    assert_refused(result, 6, "the copy is no backup");
    assert_has(result->err, "hint: stele verify names what is damaged; --no-verify");
    ck_assert_int_ne(access(dest(), F_OK), 0);
    assert_code(STELE("backup", dest(), "--no-verify"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_backup");
    TCase *tests = tcase_create("backup");
    tcase_add_checked_fixture(tests, NULL, forget_runs);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_backup_is_made_and_described_in_every_format);
    tcase_add_test(tests, a_backup_can_be_read_and_verified_but_not_written);
    tcase_add_test(tests, what_is_in_the_way_is_never_written_over);
    tcase_add_test(tests, a_backup_needs_a_folder_and_one_name);
    tcase_add_test(tests, a_backup_is_recovered_into_a_store_with_a_new_epoch);
    tcase_add_test(tests, a_damaged_backup_is_recovered_only_when_told_to);
    tcase_add_test(tests, a_damaged_store_has_no_backup_but_an_unverified_one);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
