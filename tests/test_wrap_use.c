/* A wrapped store at work: with the caller's own SQL around it, and where less holds than for ours.
 */
#include "wrap.h"

#include <stele/submit.h>

/* --- The caller's own SQL --- */

START_TEST(callers_sql_goes_on_before_between_and_after)
{
    open_handle(store_path(), "PRAGMA journal_mode=WAL");
    run_raw(handle, stele_schema_sql());
    run_raw(handle, "CREATE TABLE theirs(x); INSERT INTO theirs VALUES(1)");
    wrap_with(NULL);
    fill_stream("a-1", 1);
    run_raw(handle, "BEGIN; INSERT INTO theirs VALUES(2); COMMIT");
    fill_stream("a-1", 1);
    run_raw(handle, "ALTER TABLE theirs ADD COLUMN y; INSERT INTO theirs VALUES(3, 3)");
    fill_stream("a-1", 1);
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
    close_store();
    run_raw(handle, "INSERT INTO theirs VALUES(4, 4)");
    ck_assert_int_eq(raw_number(handle, "SELECT sum(x) FROM theirs"), 10);
    ck_assert_int_eq(raw_number(handle, "SELECT count(*) FROM events"), 3);
}
END_TEST

START_TEST(transaction_holds_events_and_the_callers_rows_together)
{
    run_raw(handle, "CREATE TABLE theirs(x)");
    stele_transaction *transaction = begin();
    ck_assert_ptr_eq(stele_transaction_sqlite(transaction), handle);
    assert_status(append_in(transaction, "a-1", STELE_NO_STREAM, NULL), STELE_OK);
    run_raw(handle, "INSERT INTO theirs VALUES(1); SAVEPOINT inner");
    assert_status(append_in(transaction, "a-1", 1, NULL), STELE_OK);
    run_raw(handle, "ROLLBACK TO inner; RELEASE inner");
    assert_status(append_in(transaction, "a-1", 1, NULL), STELE_OK);
    ck_assert_int_eq(head_of(store), 0);
    commit_and_end(transaction);
    ck_assert_str_eq(versions_of(NULL), "1 2");

    transaction = begin();
    assert_status(append_in(transaction, "a-1", 2, NULL), STELE_OK);
    run_raw(handle, "INSERT INTO theirs VALUES(2)");
    stele_transaction_end(transaction);

    ck_assert_int_eq(raw_number(handle, "SELECT count(*) FROM theirs"), 1);
    ck_assert_int_eq(head_of(store), 2);
    assert_status(append_one("a-1", 2, "opened", NULL), STELE_OK);
}
END_TEST

/* They would be skipped in silence if they were turned off as on a connection of ours. */
START_TEST(triggers_and_views_of_the_caller_go_on_working)
{
    run_raw(handle,
            "CREATE TABLE theirs(x); CREATE TABLE seen(x);"
            " CREATE TRIGGER see AFTER INSERT ON theirs BEGIN"
            " INSERT INTO seen VALUES(new.x); END; CREATE VIEW both_of AS SELECT * FROM seen");
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "a-1", STELE_ANY, NULL), STELE_OK);
    run_raw(handle, "INSERT INTO theirs VALUES(1)");
    commit_and_end(transaction);
    run_raw(handle, "INSERT INTO theirs VALUES(2)");
    fill_stream("a-1", 1);
    ck_assert_int_eq(raw_number(handle, "SELECT sum(x) FROM both_of"), 3);
}
END_TEST

static void refuse_writes(stele_status expected)
{
    stele_append append = make_append("a-1", STELE_ANY, NULL, 0);
    stele_event event = make_event("opened", "{}");
    append.events = &event;
    append.event_count = 1;
    stele_transaction *transaction = NULL;
    stele_ticket *ticket = NULL;
    const stele_verdict *verdict = NULL;
    assert_status(stele_store_append(store, &append, NULL), expected);
    assert_status(stele_store_append_many(store, &append, 1, NULL, NULL), expected);
    assert_status(stele_checkpoint_save(store, "reader", 1), expected);
    assert_status(stele_transaction_begin(store, &transaction), expected);
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_OK);
    assert_status(stele_ticket_wait(ticket, NULL, &verdict), STELE_OK);
    assert_status(verdict->status, expected);
    stele_ticket_close(ticket);
}

/* Committing it with ours, or rolling it back, would both be wrong. */
static void check_open_transaction_is_misuse(stele_durability durability)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = durability;
    close_store();
    wrap_with(&options);
    run_raw(handle, "CREATE TABLE IF NOT EXISTS theirs(x); BEGIN; INSERT INTO theirs VALUES(1)");

    refuse_writes(STELE_MISUSE);
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_MISUSE);

    ck_assert_int_eq(sqlite3_get_autocommit(handle), 0);
    positions_of(NULL);
    int64_t head = head_of(store);
    run_raw(handle, "COMMIT");
    assert_status(append_one("a-1", STELE_ANY, "opened", NULL), STELE_OK);
    ck_assert_int_eq(head_of(store), head + 1);
}

START_TEST(transaction_that_the_caller_left_open_makes_writes_misuse)
{
    check_open_transaction_is_misuse(STELE_DURABILITY_FULL);
    check_open_transaction_is_misuse(STELE_DURABILITY_RELAXED);
    ck_assert_int_eq(raw_number(handle, "SELECT count(*) FROM theirs"), 2);
}
END_TEST

START_TEST(statement_that_the_caller_left_unfinished_makes_writes_misuse)
{
    sqlite3_stmt *statement = NULL;
    fill_stream("a-1", 3);
    sqlite3_prepare_v2(handle, "SELECT position FROM events", -1, &statement, NULL);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    refuse_writes(STELE_MISUSE);
    assert_reason_has("isn't finished");
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    ck_assert_int_eq(sqlite3_column_int(statement, 0), 2);
    sqlite3_finalize(statement);
    fill_stream("a-1", 1);
}
END_TEST

START_TEST(temp_table_with_a_name_of_ours_is_misuse_until_it_is_dropped)
{
    fill_stream("a-1", 1);
    run_raw(handle, "CREATE TEMP TABLE events AS SELECT * FROM main.events");
    refuse_writes(STELE_MISUSE);
    run_raw(handle, "DROP TABLE temp.events");
    stele_transaction *transaction = begin();
    run_raw(handle, "CREATE TEMP TRIGGER planted AFTER INSERT ON main.events BEGIN SELECT 1; END");
    assert_status(append_in(transaction, "a-1", STELE_ANY, NULL), STELE_MISUSE);
    assert_status(stele_transaction_commit(transaction), STELE_MISUSE);
    stele_transaction_end(transaction);
    ck_assert_int_eq(head_of(store), 1);
    fill_stream("a-1", 1);
}
END_TEST

static void end_by_sql(const char *sql)
{
    int64_t before = head_of(store);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "a-1", STELE_ANY, NULL), STELE_OK);
    run_raw(handle, sql);
    bool begun_anew = sqlite3_get_autocommit(handle) == 0;
    assert_status(append_in(transaction, "a-2", STELE_ANY, NULL),
                  begun_anew ? STELE_OK : STELE_MISUSE);
    int64_t meanwhile = head_of(store);

    assert_status(stele_transaction_commit(transaction), STELE_MISUSE);

    assert_reason_has("ended by other SQL");
    stele_transaction_end(transaction);
    ck_assert_int_eq(sqlite3_get_autocommit(handle), 1);
    ck_assert_int_eq(meanwhile - before, strncmp(sql, "COMMIT", 6) == 0);
    ck_assert_int_eq(head_of(store), meanwhile);
    ck_assert_int_eq(version_of("a-2"), 0);
    assert_status(append_one("a-1", STELE_ANY, "opened", NULL), STELE_OK);
}

/* No hook tells of it, and no authorizer refuses it: it is found out at the commit. */
START_TEST(transaction_ended_by_the_callers_sql_is_misuse_even_if_another_was_begun)
{
    end_by_sql("COMMIT");
    end_by_sql("ROLLBACK");
    end_by_sql("COMMIT; BEGIN IMMEDIATE");
    end_by_sql("ROLLBACK; BEGIN");
}
END_TEST

static int refuse_commit(void *context)
{
    (void)context;
    return 1;
}

START_TEST(commit_refused_by_a_hook_of_the_caller_stores_nothing)
{
    sqlite3_commit_hook(handle, refuse_commit, NULL);
    assert_status(append_one("a-1", STELE_ANY, "opened", NULL), STELE_MISUSE);
    sqlite3_commit_hook(handle, NULL, NULL);
    ck_assert_int_eq(head_of(store), 0);
    fill_stream("a-1", 1);
}
END_TEST

static int deny_inserts(void *context, int action, const char *first, const char *second,
                        const char *name, const char *trigger)
{
    (void)context;
    (void)first;
    (void)second;
    (void)name;
    (void)trigger;
    return action == SQLITE_INSERT ? SQLITE_DENY : SQLITE_OK;
}

START_TEST(write_denied_by_an_authorizer_of_the_caller_is_misuse)
{
    sqlite3_set_authorizer(handle, deny_inserts, NULL);
    assert_status(append_one("a-1", STELE_ANY, "opened", NULL), STELE_MISUSE);
    sqlite3_set_authorizer(handle, NULL, NULL);
    ck_assert_int_eq(head_of(store), 0);
    fill_stream("a-1", 1);
}
END_TEST

START_TEST(schema_tampered_with_while_wrapped_refuses_writes)
{
    fill_stream("a-1", 1);
    run_raw(handle, "CREATE TRIGGER planted AFTER INSERT ON events BEGIN SELECT 1; END");
    assert_status(append_one("a-1", STELE_ANY, "opened", NULL), STELE_CORRUPT);
    run_raw(handle, "DROP TRIGGER planted");
    fill_stream("a-1", 1);
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

/* --- With others --- */

START_TEST(others_write_the_same_file_in_turn)
{
    stele_store *other = open_path(store_path(), NULL);
    for (int i = 0; i < 10; i++) {
        assert_status(append_one("a-1", 2 * i, "opened", NULL), STELE_OK);
        assert_status(append_to(other, "a-1", 2 * i + 1, "opened", NULL), STELE_OK);
    }
    stele_store_close(other);
    ck_assert_int_eq(head_of(store), 20);
    ck_assert_int_eq(version_of("a-1"), 20);
    ck_assert(file_exists(test_path("store.db-lock")));
}
END_TEST

START_TEST(busy_file_is_waited_for_as_the_store_says_and_not_the_handle)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 20;
    close_store();
    run_raw(handle, "PRAGMA busy_timeout=600000");
    wrap_with(&options);
    sqlite3 *other = open_raw(store_path());
    run_raw(other, "BEGIN IMMEDIATE");

    assert_status(append_one("a-1", STELE_ANY, "opened", NULL), STELE_BUSY);

    ck_assert_int_eq(raw_number(handle, "PRAGMA busy_timeout"), 600000);
    run_raw(other, "COMMIT");
    sqlite3_close(other);
    fill_stream("a-1", 1);
}
END_TEST

/* --- The WAL --- */

START_TEST(wal_stays_bounded_although_no_hook_tells_its_length)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_store_info info = STELE_STORE_INFO_INIT;
    options.wal_soft_pages = 20;
    close_store();
    wrap_with(&options);
    fill_stream("a-1", 300);
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert_uint_gt(info.transfers, 20);
    ck_assert_int_lt(info.wal_bytes, 200 * 4120);
    ck_assert_uint_eq(info.transfers_failed, 0);
}
END_TEST

START_TEST(guarantees_of_a_wrapped_file_are_those_of_a_file_but_for_two)
{
    ck_assert_uint_eq(guarantees_now(), STELE_GUARANTEE_DURABLE | STELE_GUARANTEE_PERSISTENT
                                            | STELE_GUARANTEE_SHARED | STELE_GUARANTEE_CONCURRENT
                                            | STELE_GUARANTEE_GUARDED | STELE_GUARANTEE_FAIR);
    close_store();
    ck_assert(!file_exists(test_path("store.db-anchor")));
    stele_store_info info = STELE_STORE_INFO_INIT;
    open_in_file();
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert(!info.wrapped);
    ck_assert_uint_ne(info.guarantees & STELE_GUARANTEE_HARDENED, 0);
}
END_TEST

/* A hook of the caller's may stand where SQLite's own was; it can't be asked what it does. */
START_TEST(handle_without_sqlites_own_wal_hook_is_not_guarded)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    close_store();
    run_raw(handle, "PRAGMA wal_autocheckpoint=0");
    wrap_with(NULL);
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert_int_eq((info.guarantees & STELE_GUARANTEE_GUARDED) != 0,
                     info.wal_reset == STELE_WAL_RESET_FIXED);
}
END_TEST

/* --- Without a WAL --- */

static void wrap_with_journal(const char *mode)
{
    char sql[64];
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 100;
    snprintf(sql, sizeof(sql), "PRAGMA journal_mode=%s", mode);
    open_handle(store_path(), sql);
    wrap_with(&options);
}

static void expect_journal(const char *mode)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_prepare_v2(handle, "PRAGMA journal_mode", -1, &statement, NULL);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(statement, 0), mode);
    sqlite3_finalize(statement);
}

static void use_without_wal(const char *mode, uint32_t lost)
{
    wrap_with_journal(mode);
    fill_stream("a-1", 3);
    assert_status(stele_checkpoint_save(store, "reader", 2), STELE_OK);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "a-1", 3, NULL), STELE_OK);
    ck_assert_int_eq(head_of(store), 3);
    commit_and_end(transaction);
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_OK);
    ck_assert_str_eq(positions_of(NULL), "1 2 3 4");
    ck_assert_uint_eq(guarantees_now() & lost, 0);
    close_store();
    expect_journal(mode);
    ck_assert(!file_exists(test_path("store.db-wal")));
    sqlite3_close(handle);
    handle = NULL;
    ck_assert_int_eq(unlink(store_path()), 0);
}

START_TEST(journal_mode_of_the_file_is_left_alone_and_the_guarantees_say_so)
{
    uint32_t unsafe =
        STELE_GUARANTEE_CONCURRENT | STELE_GUARANTEE_DURABLE | STELE_GUARANTEE_PERSISTENT;
    use_without_wal("delete", STELE_GUARANTEE_CONCURRENT);
    use_without_wal("truncate", STELE_GUARANTEE_CONCURRENT);
    use_without_wal("persist", STELE_GUARANTEE_CONCURRENT);
    use_without_wal("memory", unsafe);
}
END_TEST

START_TEST(deleted_journal_is_durable_only_with_synchronous_extra)
{
    wrap_with_journal("delete");
    ck_assert_int_eq(raw_number(handle, "PRAGMA synchronous"), 3);
    ck_assert_uint_ne(guarantees_now() & STELE_GUARANTEE_DURABLE, 0);
    close_store();
    ck_assert_int_eq(raw_number(handle, "PRAGMA synchronous"), 2);
}
END_TEST

/* Nothing is stored, and it is no misuse: the reader may be anybody. */
START_TEST(commit_that_readers_keep_out_is_busy_and_can_be_repeated)
{
    wrap_with_journal("delete");
    fill_stream("a-1", 1);
    sqlite3 *other = open_raw(store_path());
    run_raw(other, "BEGIN; SELECT count(*) FROM events");

    assert_status(append_one("a-1", 1, "opened", NULL), STELE_BUSY);

    run_raw(other, "COMMIT");
    sqlite3_close(other);
    assert_status(append_one("a-1", 1, "opened", NULL), STELE_OK);
    ck_assert_str_eq(positions_of(NULL), "1 2");
}
END_TEST

/* --- In memory --- */

static void use_in_memory(const char *path)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    open_handle(path, "");
    wrap_with(NULL);
    fill_stream("a-1", 3);
    run_raw(handle, "CREATE TABLE theirs(x)");
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
    ck_assert_int_eq(raw_number(handle, "SELECT count(*) FROM events"), 3);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "a-1", 3, NULL), STELE_OK);
    int64_t head = 0;
    assert_status(stele_store_head(store, &head), STELE_MISUSE);
    commit_and_end(transaction);
    ck_assert_int_eq(head_of(store), 4);
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert(info.memory && info.wrapped);
    ck_assert_uint_eq(info.guarantees, STELE_GUARANTEE_GUARDED);
    run_raw(handle, "BEGIN");
    refuse_writes(STELE_MISUSE);
    assert_status(stele_store_head(store, &head), STELE_MISUSE);
    run_raw(handle, "COMMIT");
    close_store();
    ck_assert_int_eq(raw_number(handle, "SELECT count(*) FROM events"), 4);
    wrap_with(NULL);
    ck_assert_int_eq(head_of(store), 4);
    close_handle();
}

START_TEST(database_in_memory_is_a_memory_store_that_outlives_the_handle)
{
    use_in_memory(":memory:");
    use_in_memory("");
}
END_TEST

/* --- A disk that fails in the commit --- */

static sqlite3_vfs failing_vfs;
static sqlite3_vfs *real_vfs;
static sqlite3_io_methods wal_methods;
static const sqlite3_io_methods *real_methods;
static bool sync_fails;

static int sync_or_fail(sqlite3_file *file, int flags)
{
    return sync_fails ? SQLITE_IOERR_FSYNC : real_methods->xSync(file, flags);
}

static int open_with_failing_sync(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file,
                                  int flags, int *flags_out)
{
    (void)vfs;
    int code = real_vfs->xOpen(real_vfs, name, file, flags, flags_out);
    if (code == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
        real_methods = file->pMethods;
        wal_methods = *real_methods;
        wal_methods.xSync = sync_or_fail;
        file->pMethods = &wal_methods;
    }
    return code;
}

/* Not the default one: the store's own connections have to use it all the same. */
START_TEST(failed_commit_is_settled_over_another_connection_before_the_next_write)
{
    real_vfs = sqlite3_vfs_find(NULL);
    failing_vfs = *real_vfs;
    failing_vfs.zName = "failing";
    failing_vfs.xOpen = open_with_failing_sync;
    ck_assert_int_eq(sqlite3_vfs_register(&failing_vfs, 0), SQLITE_OK);
    ck_assert_int_eq(sqlite3_open_v2(store_path(), &handle,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "failing"),
                     SQLITE_OK);
    run_raw(handle, "PRAGMA journal_mode=WAL");
    wrap_with(NULL);
    fill_stream("a-1", 2);
    stele_event event = make_event("opened", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    for (int i = 0; i < 4; i++) {
        char key[16];
        snprintf(key, sizeof(key), "attempt-%d", i);
        append.idempotency_key = i % 2 == 0 ? key : NULL;
        sync_fails = true;
        assert_status(stele_store_append(store, &append, NULL), STELE_UNKNOWN_OUTCOME);
        /* As long as the disk fails nothing can be settled, and nothing is written. */
        assert_status(append_one("a-2", STELE_ANY, "opened", NULL), STELE_IO);
        sync_fails = false;
        assert_status(append_one("a-3", i, "opened", NULL), STELE_OK);
        if (append.idempotency_key != NULL)
            assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    }
    stele_transaction *transaction = begin();
    ck_assert_ptr_eq(stele_transaction_sqlite(transaction), handle); /* still */
    stele_transaction_end(transaction);
    ck_assert_int_eq(raw_number(handle, "PRAGMA wal_autocheckpoint"), 0);
    ck_assert_int_eq(version_of("a-2"), 0);
    ck_assert_int_eq(version_of("a-3"), 4);
    ck_assert_int_eq(raw_number(handle, "SELECT count(*) FROM meta WHERE key = 'settled_at'"), 1);
    int64_t head = head_of(store);
    close_handle();
    open_in_file();
    ck_assert_int_eq(head_of(store), head);
    positions_of(NULL);
    close_store();
    sqlite3_vfs_unregister(&failing_vfs);
}
END_TEST

static Suite *wrap_use_suite(void)
{
    Suite *suite = suite_create("wrap_use");
    TCase *sql = add_wrap_case(suite, "sql", wrap_file);
    tcase_add_test(sql, transaction_holds_events_and_the_callers_rows_together);
    tcase_add_test(sql, triggers_and_views_of_the_caller_go_on_working);
    tcase_add_test(sql, transaction_that_the_caller_left_open_makes_writes_misuse);
    tcase_add_test(sql, statement_that_the_caller_left_unfinished_makes_writes_misuse);
    tcase_add_test(sql, temp_table_with_a_name_of_ours_is_misuse_until_it_is_dropped);
    tcase_add_test(sql, transaction_ended_by_the_callers_sql_is_misuse_even_if_another_was_begun);
    tcase_add_test(sql, commit_refused_by_a_hook_of_the_caller_stores_nothing);
    tcase_add_test(sql, write_denied_by_an_authorizer_of_the_caller_is_misuse);
    tcase_add_test(sql, schema_tampered_with_while_wrapped_refuses_writes);
    tcase_add_test(sql, others_write_the_same_file_in_turn);
    tcase_add_test(sql, busy_file_is_waited_for_as_the_store_says_and_not_the_handle);
    tcase_add_test(sql, wal_stays_bounded_although_no_hook_tells_its_length);
    tcase_add_test(sql, guarantees_of_a_wrapped_file_are_those_of_a_file_but_for_two);
    tcase_add_test(sql, handle_without_sqlites_own_wal_hook_is_not_guarded);
    TCase *modes = add_wrap_case(suite, "modes", NULL);
    tcase_add_test(modes, callers_sql_goes_on_before_between_and_after);
    tcase_add_test(modes, journal_mode_of_the_file_is_left_alone_and_the_guarantees_say_so);
    tcase_add_test(modes, deleted_journal_is_durable_only_with_synchronous_extra);
    tcase_add_test(modes, commit_that_readers_keep_out_is_busy_and_can_be_repeated);
    tcase_add_test(modes, database_in_memory_is_a_memory_store_that_outlives_the_handle);
    tcase_add_test(modes, failed_commit_is_settled_over_another_connection_before_the_next_write);
    return suite;
}

int main(void)
{
    return run_suite(wrap_use_suite());
}
