/* Wrapping a handle of the caller's: what is refused, what is changed, and that it comes back. */
#include "wrap.h"

/* --- What becomes a store --- */

START_TEST(empty_file_becomes_a_store_that_others_can_open)
{
    open_handle(store_path(), "");
    wrap_with(NULL);
    fill_stream("a-1", 3);
    ck_assert_int_eq(raw_number(handle, "PRAGMA auto_vacuum"), 2);
    close_handle();

    open_in_file();

    ck_assert_str_eq(positions_of(NULL), "1 2 3");
}
END_TEST

/* Its first page is there already, so that only writing it anew helps. */
START_TEST(empty_file_with_a_wal_can_shrink_all_the_same)
{
    open_handle(store_path(), "PRAGMA journal_mode=WAL");

    wrap_with(NULL);

    ck_assert_int_eq(raw_number(handle, "PRAGMA auto_vacuum"), 2);
    fill_stream("a-1", 1);
}
END_TEST

START_TEST(store_made_by_others_is_wrapped_with_what_it_holds)
{
    open_in_file();
    fill_stream("a-1", 2);
    close_store();
    open_handle(store_path(), "");

    wrap_with(NULL);

    ck_assert_str_eq(positions_of(NULL), "1 2");
    assert_status(append_one("a-1", 2, "opened", NULL), STELE_OK);
    ck_assert_int_eq(raw_number(handle, "SELECT max(position) FROM events"), 3);
}
END_TEST

/* --- What is refused, leaving the handle as it was --- */

static void refuse_untouched(stele_status expected, const char *reason)
{
    char *before = read_settings();
    refuse_wrap_with(NULL, expected);
    assert_reason_has(reason);
    expect_settings(before);
    expect_no_statements();
}

START_TEST(nothing_to_wrap_is_misuse)
{
    refuse_wrap_with(NULL, STELE_MISUSE);
    open_handle(":memory:", "");
    assert_status(stele_store_wrap(handle, NULL, NULL), STELE_MISUSE);
}
END_TEST

START_TEST(options_that_a_wrapped_handle_cannot_have_are_misuse)
{
    open_handle(store_path(), "");
    for (int i = 0; i < 6; i++) {
        stele_options options = STELE_OPTIONS_INIT;
        options.read_only = i == 0 || i == 1;
        options.immutable = i == 1;
        options.committer = i == 2;
        options.maintenance = i == 3;
        options.event_size_max = i == 4 ? 0 : options.event_size_max;
        options.value_size_max = i == 5 ? 0 : options.value_size_max;
        refuse_wrap_with(&options, STELE_MISUSE);
    }
    wrap_with(NULL);
}
END_TEST

START_TEST(handle_with_a_transaction_open_is_misuse)
{
    open_handle(store_path(), "BEGIN");
    refuse_wrap_with(NULL, STELE_MISUSE);
    ck_assert_int_eq(sqlite3_get_autocommit(handle), 0);
    run_raw(handle, "COMMIT");
    wrap_with(NULL);
}
END_TEST

START_TEST(handle_with_an_unfinished_statement_is_misuse)
{
    sqlite3_stmt *statement = NULL;
    open_handle(store_path(), "CREATE TABLE one(x); INSERT INTO one VALUES(1); DROP TABLE one");
    sqlite3_prepare_v2(handle, "SELECT 1 FROM sqlite_schema UNION SELECT 2", -1, &statement, NULL);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);

    refuse_wrap_with(NULL, STELE_MISUSE);

    sqlite3_finalize(statement);
    wrap_with(NULL);
}
END_TEST

START_TEST(handle_that_can_only_read_is_read_only)
{
    open_in_file();
    close_store();
    ck_assert_int_eq(sqlite3_open_v2(store_path(), &handle, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    refuse_untouched(STELE_READ_ONLY, "only read");
    sqlite3_close(handle);

    open_handle(store_path(), "PRAGMA query_only=1");
    refuse_untouched(STELE_READ_ONLY, "query_only");
    run_raw(handle, "PRAGMA query_only=0");
    wrap_with(NULL);
}
END_TEST

START_TEST(text_that_is_not_in_utf8_is_unsupported)
{
    open_handle(store_path(), "PRAGMA encoding='UTF-16'");
    refuse_wrap_with(NULL, STELE_UNSUPPORTED);
    assert_reason_has("UTF-8");
}
END_TEST

START_TEST(empty_file_with_no_migrate_is_unsupported_and_stays_empty)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.no_migrate = true;
    open_handle(store_path(), "");

    refuse_wrap_with(&options, STELE_UNSUPPORTED);

    ck_assert_int_eq(raw_number(handle, "SELECT count(*) FROM sqlite_schema"), 0);
    run_raw(handle, stele_schema_sql());
    wrap_with(&options);
    fill_stream("a-1", 1);
}
END_TEST

START_TEST(newer_format_is_unsupported)
{
    open_handle(store_path(), stele_schema_sql());
    run_raw(handle, "PRAGMA user_version=99");
    refuse_untouched(STELE_UNSUPPORTED, "format 99");
}
END_TEST

START_TEST(file_of_others_is_corrupt_and_untouched)
{
    open_handle(store_path(), "CREATE TABLE theirs(x)");
    file_copy before = load_file(store_path());
    refuse_untouched(STELE_CORRUPT, "not a stele store");
    expect_unchanged(store_path(), before);
}
END_TEST

START_TEST(tampered_schema_is_corrupt)
{
    open_handle(store_path(), stele_schema_sql());
    run_raw(handle, "CREATE TRIGGER planted AFTER INSERT ON events BEGIN SELECT 1; END");
    refuse_untouched(STELE_CORRUPT, "planted");
}
END_TEST

START_TEST(strict_schema_refuses_the_callers_tables)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.strict_schema = true;
    open_handle(store_path(), stele_schema_sql());
    run_raw(handle, "CREATE TABLE theirs(x)");
    refuse_wrap_with(&options, STELE_CORRUPT);
    wrap_with(NULL);
}
END_TEST

START_TEST(handle_that_keeps_the_file_to_itself_is_unsupported)
{
    open_handle(store_path(), "PRAGMA locking_mode=EXCLUSIVE");
    refuse_untouched(STELE_UNSUPPORTED, "exclusive");
}
END_TEST

START_TEST(handle_without_a_journal_is_unsupported)
{
    open_handle(store_path(), "PRAGMA journal_mode=OFF");
    refuse_untouched(STELE_UNSUPPORTED, "journal");
}
END_TEST

/* As the handle of another copy of SQLite, whose VFSes this one doesn't know. */
START_TEST(handle_of_another_copy_of_sqlite_is_unsupported)
{
    sqlite3_vfs other = *sqlite3_vfs_find(NULL);
    other.zName = "of-another-copy";
    sqlite3_vfs_register(&other, 0);
    ck_assert_int_eq(sqlite3_open_v2(store_path(), &handle,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, other.zName),
                     SQLITE_OK);
    sqlite3_vfs_unregister(&other);

    refuse_untouched(STELE_UNSUPPORTED, "another copy");

    sqlite3_close(handle);
    handle = NULL;
}
END_TEST

static int wrap_without_threads(void *context)
{
    (void)context;
    stele_store *opened = NULL;
    if (sqlite3_shutdown() != SQLITE_OK || sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK
        || sqlite3_open(":memory:", &handle) != SQLITE_OK)
        return 1;
    return stele_store_wrap(handle, NULL, &opened) == STELE_UNSUPPORTED ? 0 : 2;
}

START_TEST(sqlite_without_threads_is_unsupported)
{
    ck_assert_int_eq(run_in_child(wrap_without_threads, NULL), 0);
}
END_TEST

START_TEST(temp_object_with_a_name_of_ours_is_misuse)
{
    open_handle(store_path(), "CREATE TEMP TABLE Events(x)");
    refuse_wrap_with(NULL, STELE_MISUSE);
    assert_reason_has("TEMP");
    expect_no_statements();
    run_raw(handle, "DROP TABLE temp.Events; CREATE TEMP TABLE harmless(x)");
    wrap_with(NULL);
    fill_stream("a-1", 1);
}
END_TEST

START_TEST(handle_is_wrapped_by_one_store_at_a_time)
{
    stele_store *second = NULL;
    open_handle(store_path(), "");
    wrap_with(NULL);
    assert_status(stele_store_wrap(handle, NULL, &second), STELE_MISUSE);
    ck_assert_ptr_null(second);
    fill_stream("a-1", 1);
    close_store();
    wrap_with(NULL);
    fill_stream("a-1", 1);
}
END_TEST

START_TEST(file_replaced_under_the_handle_is_unsupported)
{
    open_in_file();
    close_store();
    stele_store *other = open_path(test_path("other.db"), NULL);
    stele_store_close(other);
    open_handle(store_path(), "SELECT count(*) FROM events");
    ck_assert_int_eq(rename(test_path("other.db"), store_path()), 0);

    refuse_wrap_with(NULL, STELE_UNSUPPORTED);

    assert_reason_has("not the file");
    expect_no_statements();
}
END_TEST

START_TEST(empty_file_locked_by_another_is_busy)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 20;
    open_handle(store_path(), "PRAGMA journal_mode=WAL");
    sqlite3 *other = open_raw(store_path());
    run_raw(other, "BEGIN IMMEDIATE");

    refuse_wrap_with(&options, STELE_BUSY);

    run_raw(other, "COMMIT");
    sqlite3_close(other);
    wrap_with(&options);
}
END_TEST

/* --- What is changed, and put back --- */

static void check_settings_come_back(const char *sql)
{
    open_handle(store_path(), "PRAGMA journal_mode=WAL");
    wrap_with(NULL);
    close_store();
    run_raw(handle, sql);
    char *before = read_settings();
    wrap_with(NULL);
    fill_stream("a-1", 2);
    commit_and_end(begin());
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_OK);
    positions_of(NULL);
    char *meanwhile = read_settings();
    ck_assert_str_ne(meanwhile, before); /* so the comparison sees something */
    free(meanwhile);

    close_store();

    expect_settings(before);
    expect_no_statements();
    close_handle();
}

START_TEST(every_setting_is_put_back_at_close)
{
    static const char *const settings[] = {
        "",
        "PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=77; PRAGMA secure_delete=fast;"
        " PRAGMA foreign_keys=ON; PRAGMA busy_timeout=1234; PRAGMA cache_size=77",
        "PRAGMA synchronous=EXTRA; PRAGMA wal_autocheckpoint=0; PRAGMA secure_delete=ON;"
        " PRAGMA trusted_schema=OFF; PRAGMA recursive_triggers=ON; PRAGMA temp_store=2",
    };
    for (size_t i = 0; i < COUNT_OF(settings); i++)
        check_settings_come_back(settings[i]);
}
END_TEST

START_TEST(flags_of_the_connection_are_put_back_at_close)
{
    open_handle(store_path(), "");
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 3);
    char *before = read_settings();
    wrap_with(NULL);
    fill_stream("a-1", 2);
    close_store();
    expect_settings(before);
}
END_TEST

START_TEST(writes_are_as_durable_as_asked_whatever_the_handle_says)
{
    stele_options relaxed = STELE_OPTIONS_INIT;
    relaxed.durability = STELE_DURABILITY_RELAXED;
    open_handle(store_path(), "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF");
    wrap_with(NULL);
    ck_assert_int_eq(raw_number(handle, "PRAGMA synchronous"), 2);
    run_raw(handle, "PRAGMA synchronous=OFF");
    fill_stream("a-1", 1);
    ck_assert_int_eq(raw_number(handle, "PRAGMA synchronous"), 2);
    close_store();
    ck_assert_int_eq(raw_number(handle, "PRAGMA synchronous"), 0);

    wrap_with(&relaxed);
    fill_stream("a-1", 1);
    ck_assert_int_eq(raw_number(handle, "PRAGMA synchronous"), 1);
    ck_assert_uint_eq(guarantees_now() & STELE_GUARANTEE_DURABLE, 0);
    close_store();

    run_raw(handle, "PRAGMA synchronous=EXTRA");
    wrap_with(&relaxed);
    fill_stream("a-1", 1);
    ck_assert_int_eq(raw_number(handle, "PRAGMA synchronous"), 3);
}
END_TEST

static int hook_calls;

static int count_call(void *context)
{
    (void)context;
    hook_calls++;
    return 0;
}

static void count_rollback(void *context)
{
    count_call(context);
}

static int count_wal(void *context, sqlite3 *of, const char *name, int pages)
{
    (void)of;
    (void)name;
    (void)pages;
    return count_call(context);
}

static void count_update(void *context, int what, const char *name, const char *table,
                         sqlite3_int64 row)
{
    (void)what;
    (void)name;
    (void)table;
    (void)row;
    count_call(context);
}

static int allow_all(void *context, int action, const char *first, const char *second,
                     const char *name, const char *trigger)
{
    (void)action;
    (void)first;
    (void)second;
    (void)name;
    (void)trigger;
    return count_call(context);
}

/* None of them can be read back, so none is touched. SQLite tells whose it was when it is removed,
 * but for the authorizer, which has to be asked. */
START_TEST(hooks_of_the_caller_stay_in_place)
{
    int mine = 0;
    open_handle(store_path(), "PRAGMA journal_mode=WAL");
    sqlite3_commit_hook(handle, count_call, &mine);
    sqlite3_rollback_hook(handle, count_rollback, &mine);
    sqlite3_update_hook(handle, count_update, &mine);
    sqlite3_wal_hook(handle, count_wal, &mine);
    sqlite3_set_authorizer(handle, allow_all, &mine);
    wrap_with(NULL);
    fill_stream("a-1", 2);
    stele_transaction_end(begin());
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_OK);
    close_store();

    hook_calls = 0;
    run_raw(handle, "SELECT 1");
    ck_assert_int_gt(hook_calls, 0);
    ck_assert_ptr_eq(sqlite3_commit_hook(handle, NULL, NULL), &mine);
    ck_assert_ptr_eq(sqlite3_rollback_hook(handle, NULL, NULL), &mine);
    ck_assert_ptr_eq(sqlite3_update_hook(handle, NULL, NULL), &mine);
    ck_assert_ptr_eq(sqlite3_wal_hook(handle, NULL, NULL), &mine);
    sqlite3_set_authorizer(handle, NULL, NULL);
}
END_TEST

static int count_busy(void *context, int times)
{
    (void)context;
    hook_calls++;
    return times < 3;
}

START_TEST(busy_handler_and_progress_handler_of_the_caller_stay_in_place)
{
    open_handle(store_path(), "PRAGMA journal_mode=WAL");
    sqlite3_busy_handler(handle, count_busy, NULL);
    sqlite3_progress_handler(handle, 1, count_call, NULL);
    wrap_with(NULL);
    fill_stream("a-1", 1);
    close_store();

    hook_calls = 0;
    run_raw(handle, "SELECT 1");
    ck_assert_int_gt(hook_calls, 0);
    sqlite3_progress_handler(handle, 0, NULL, NULL);
    hook_calls = 0;
    sqlite3 *other = open_raw(store_path());
    run_raw(other, "BEGIN IMMEDIATE");
    ck_assert_int_eq(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_BUSY);
    ck_assert_int_eq(hook_calls, 4);
    sqlite3_close(other);
}
END_TEST

static Suite *wrap_suite(void)
{
    Suite *suite = suite_create("wrap");
    TCase *opening = add_wrap_case(suite, "opening", NULL);
    tcase_add_test(opening, empty_file_becomes_a_store_that_others_can_open);
    tcase_add_test(opening, empty_file_with_a_wal_can_shrink_all_the_same);
    tcase_add_test(opening, store_made_by_others_is_wrapped_with_what_it_holds);
    TCase *refusals = add_wrap_case(suite, "refusals", NULL);
    tcase_add_test(refusals, nothing_to_wrap_is_misuse);
    tcase_add_test(refusals, options_that_a_wrapped_handle_cannot_have_are_misuse);
    tcase_add_test(refusals, handle_with_a_transaction_open_is_misuse);
    tcase_add_test(refusals, handle_with_an_unfinished_statement_is_misuse);
    tcase_add_test(refusals, handle_that_can_only_read_is_read_only);
    tcase_add_test(refusals, text_that_is_not_in_utf8_is_unsupported);
    tcase_add_test(refusals, empty_file_with_no_migrate_is_unsupported_and_stays_empty);
    tcase_add_test(refusals, newer_format_is_unsupported);
    tcase_add_test(refusals, file_of_others_is_corrupt_and_untouched);
    tcase_add_test(refusals, tampered_schema_is_corrupt);
    tcase_add_test(refusals, strict_schema_refuses_the_callers_tables);
    tcase_add_test(refusals, handle_that_keeps_the_file_to_itself_is_unsupported);
    tcase_add_test(refusals, handle_without_a_journal_is_unsupported);
    tcase_add_test(refusals, handle_of_another_copy_of_sqlite_is_unsupported);
    tcase_add_test(refusals, sqlite_without_threads_is_unsupported);
    tcase_add_test(refusals, temp_object_with_a_name_of_ours_is_misuse);
    tcase_add_test(refusals, handle_is_wrapped_by_one_store_at_a_time);
    tcase_add_test(refusals, file_replaced_under_the_handle_is_unsupported);
    tcase_add_test(refusals, empty_file_locked_by_another_is_busy);
    TCase *settings = add_wrap_case(suite, "settings", NULL);
    tcase_add_test(settings, every_setting_is_put_back_at_close);
    tcase_add_test(settings, flags_of_the_connection_are_put_back_at_close);
    tcase_add_test(settings, writes_are_as_durable_as_asked_whatever_the_handle_says);
    tcase_add_test(settings, hooks_of_the_caller_stay_in_place);
    tcase_add_test(settings, busy_handler_and_progress_handler_of_the_caller_stay_in_place);
    return suite;
}

int main(void)
{
    return run_suite(wrap_suite());
}
