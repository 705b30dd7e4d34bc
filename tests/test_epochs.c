/* Relaxed durability: power loss may cost the last commits, so positions could be used again; a
 * new epoch says so. */
#include "contract.h"

/* A process with relaxed durability that ends without closing. */
static int append_and_die(void *context)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    (void)context;
    stele_store *opened = NULL;
    if (stele_store_open(store_path(), &options, &opened) != STELE_OK)
        return 1;
    return append_to(opened, "account-1", STELE_ANY, "opened", NULL) == STELE_OK ? 0 : 2;
}

static stele_store_info describe_file(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_store *opened = open_path(store_path(), NULL);
    assert_status(stele_store_describe(opened, &info), STELE_OK);
    stele_store_close(opened);
    return info;
}

START_TEST(crash_of_a_relaxed_process_keeps_the_epoch)
{
    stele_store_info before = describe_file();

    ck_assert_int_eq(run_in_child(append_and_die, NULL), 0);

    stele_store_info after = describe_file();
    ck_assert_str_eq(after.epoch, before.epoch);
    ck_assert_int_eq(after.head, 1);
}
END_TEST

START_TEST(relaxed_writes_and_another_boot_begin_a_new_epoch_at_the_head)
{
    stele_store_info before = describe_file();
    ck_assert_int_eq(run_in_child(append_and_die, NULL), 0);
    run_sql(store_path(), "UPDATE meta SET value = 'another boot' WHERE key LIKE 'dirty:%'");

    stele_store_info after = describe_file();

    ck_assert_str_ne(after.epoch, before.epoch);
    ck_assert_str_eq(after.uuid, before.uuid);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM epochs"), 2);
    ck_assert_int_eq(
        sql_number(store_path(), "SELECT starts_after FROM epochs ORDER BY id DESC LIMIT 1"), 1);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM meta WHERE key LIKE 'dirty:%'"),
                     0);
    ck_assert_str_eq(describe_file().epoch, after.epoch);
}
END_TEST

START_TEST(clean_close_takes_the_mark_away)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    stele_store *opened = open_path(store_path(), &options);

    assert_status(append_to(opened, "account-1", STELE_ANY, "opened", NULL), STELE_OK);
    int64_t marks = sql_number(store_path(), "SELECT count(*) FROM meta WHERE key LIKE 'dirty:%'");
    stele_store_close(opened);

    ck_assert_int_eq(marks, 1);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM meta WHERE key LIKE 'dirty:%'"),
                     0);
}
END_TEST

START_TEST(full_durability_leaves_no_mark)
{
    stele_store *opened = open_path(store_path(), NULL);

    assert_status(append_to(opened, "account-1", STELE_ANY, "opened", NULL), STELE_OK);

    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM meta WHERE key LIKE 'dirty:%'"),
                     0);
    stele_store_close(opened);
}
END_TEST

static void make_file(void)
{
    stele_store_close(open_path(store_path(), NULL));
}

int main(void)
{
    Suite *suite = suite_create("epochs");
    TCase *tests = add_case(suite, "file", make_file);
    tcase_add_test(tests, crash_of_a_relaxed_process_keeps_the_epoch);
    tcase_add_test(tests, relaxed_writes_and_another_boot_begin_a_new_epoch_at_the_head);
    tcase_add_test(tests, clean_close_takes_the_mark_away);
    tcase_add_test(tests, full_durability_leaves_no_mark);
    return run_suite(suite);
}
