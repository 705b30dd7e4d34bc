/* What goes wrong around an append: a disk that fails in the commit, the user's own SQL, forks. */
#include "contract.h"

/* --- A disk whose sync fails --- */

static sqlite3_vfs failing_vfs;
static sqlite3_vfs *real_vfs;
static sqlite3_io_methods wal_methods;
static const sqlite3_io_methods *real_methods;
static bool sync_fails;

static int sync_or_fail(sqlite3_file *file, int flags)
{
    return sync_fails ? SQLITE_IOERR_FSYNC : real_methods->xSync(file, flags);
}

/* The system's own file, but for the sync of a WAL. */
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

static void open_on_a_failing_disk(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    failing_vfs = *real_vfs;
    failing_vfs.zName = "failing";
    failing_vfs.xOpen = open_with_failing_sync;
    sync_fails = false;
    ck_assert_int_eq(sqlite3_vfs_register(&failing_vfs, 1), SQLITE_OK);
    open_in_file();
}

static void close_failing_disk(void)
{
    close_and_remove();
    sqlite3_vfs_unregister(&failing_vfs);
}

static stele_status append_with_key(const char *key, stele_appended *appended)
{
    stele_event event = make_event("opened", "{}");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    append.idempotency_key = key;
    return stele_store_append(store, &append, appended);
}

/* The pages may be whole in the WAL, so neither "stored" nor "not stored" would be true. */
START_TEST(commit_that_fails_on_the_disk_has_an_unknown_outcome_settled_by_its_key)
{
    stele_appended appended = { 0 };
    fill_stream("account-1", 2);
    sync_fails = true;
    assert_status(append_with_key("attempt-1", &appended), STELE_UNKNOWN_OUTCOME);
    sync_fails = false;

    assert_status(append_with_key("attempt-1", &appended), STELE_OK);

    ck_assert_int_eq(appended.stream_version, 3);
    ck_assert_int_eq(appended.last_position, 3);
    ck_assert_int_eq(head_of(store), 3);
    assert_status(append_with_key("attempt-1", &appended), STELE_OK);
    ck_assert(appended.duplicate);
    reopen_file();
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
}
END_TEST

START_TEST(writing_goes_on_after_failed_commits_and_reads_go_on_meanwhile)
{
    fill_stream("account-1", 2);
    for (int i = 0; i < 5; i++) {
        sync_fails = true;
        assert_status(append_with_key(NULL, NULL), STELE_UNKNOWN_OUTCOME);
        ck_assert_int_ge(head_of(store), 2);
        sync_fails = false;
        assert_status(append_with_key(NULL, NULL), STELE_OK);
    }
    int64_t head = head_of(store);
    ck_assert_int_ge(head, 7);

    reopen_file();

    ck_assert_int_eq(head_of(store), head);
    positions_of(NULL);
}
END_TEST

static void do_nothing(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)context;
    (void)count;
    (void)values;
}

/* A connection whose sync failed isn't trusted again: the system may have dropped its pages. */
START_TEST(transaction_whose_commit_fails_on_the_disk_says_so_and_its_connection_is_replaced)
{
    stele_transaction *transaction = begin();
    ck_assert_int_eq(sqlite3_create_function(stele_transaction_sqlite(transaction), "marked", 0,
                                             SQLITE_UTF8, NULL, do_nothing, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(run_in(transaction, "SELECT marked()"), SQLITE_OK);
    assert_status(append_in(transaction, "account-1", STELE_NO_STREAM, NULL), STELE_OK);
    sync_fails = true;

    assert_status(stele_transaction_commit(transaction), STELE_UNKNOWN_OUTCOME);

    sync_fails = false;
    stele_transaction_end(transaction);
    assert_status(append_one("account-2", STELE_NO_STREAM, "opened", NULL), STELE_OK);
    transaction = begin();
    ck_assert_int_eq(run_in(transaction, "SELECT marked()"), SQLITE_ERROR);
    stele_transaction_end(transaction);
}
END_TEST

/* --- The user's own SQL --- */

START_TEST(savepoint_rolled_back_by_the_user_leaves_no_hole)
{
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-1", STELE_NO_STREAM, NULL), STELE_OK);
    ck_assert_int_eq(run_in(transaction, "SAVEPOINT mine"), SQLITE_OK);
    assert_status(append_in(transaction, "account-2", STELE_NO_STREAM, NULL), STELE_OK);
    assert_status(append_in(transaction, "account-1", 1, NULL), STELE_OK);
    ck_assert_int_eq(run_in(transaction, "ROLLBACK TO mine"), SQLITE_OK);

    assert_status(append_in(transaction, "account-3", STELE_NO_STREAM, NULL), STELE_OK);
    assert_status(append_in(transaction, "account-1", 1, NULL), STELE_OK);
    commit_and_end(transaction);

    ck_assert_str_eq(positions_of(NULL), "1 2 3");
    assert_status(append_one("account-1", 2, "noted", NULL), STELE_OK);
}
END_TEST

START_TEST(commit_against_the_users_own_constraint_is_misuse)
{
    stele_transaction *transaction = begin();
    ck_assert_int_eq(run_in(transaction, "CREATE TABLE parents(id INTEGER PRIMARY KEY);"
                                         "CREATE TABLE children(parent REFERENCES parents(id)"
                                         " DEFERRABLE INITIALLY DEFERRED);"
                                         "INSERT INTO children VALUES(7)"),
                     SQLITE_OK);
    assert_status(append_in(transaction, "account-1", STELE_NO_STREAM, NULL), STELE_OK);

    assert_status(stele_transaction_commit(transaction), STELE_MISUSE);

    assert_reason_has("FOREIGN KEY");
    stele_transaction_end(transaction);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

/* --- Arguments --- */

START_TEST(field_of_a_newer_program_that_asks_for_something_is_misuse)
{
    struct {
        stele_event event;
        int64_t newer;
    } events[2] = { { make_event("opened", "{}"), 0 }, { make_event("opened", "{}"), 1 } };
    stele_append append = make_append("account-1", STELE_ANY, &events[0].event, 2);
    append.event_size = sizeof(events[0]);

    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);

    assert_reason_has("event 1");
    events[1].newer = 0;
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
}
END_TEST

START_TEST(keys_of_the_library_are_refused)
{
    assert_status(append_with_key("$mine", NULL), STELE_MISUSE);
    assert_reason_has("'$mine'");
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

START_TEST(failed_append_many_that_reached_no_append_names_none)
{
    size_t failed = 99;

    assert_status(stele_store_append_many(NULL, NULL, 2, NULL, &failed), STELE_MISUSE);

    ck_assert_uint_eq(failed, 2);
}
END_TEST

START_TEST(closing_keeps_the_reason_of_the_failure_before)
{
    assert_status(append_one("", STELE_ANY, "opened", NULL), STELE_MISUSE);

    close_store();

    assert_reason_has("empty");
}
END_TEST

/* --- Processes --- */

static int open_in_a_child(void *context)
{
    stele_store *opened = NULL;
    (void)context;
    stele_status status = stele_store_open(test_path("other.db"), NULL, &opened);
    stele_store_close(opened);
    return -(int)status;
}

/* SQLite's table of locks is inherited: a store opened in the child would hold none of its own. */
START_TEST(child_of_a_process_with_an_open_store_may_open_none)
{
    ck_assert_int_eq(run_in_child(open_in_a_child, NULL), -(int)STELE_MISUSE);

    close_store();

    ck_assert_int_eq(run_in_child(open_in_a_child, NULL), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mishaps");
    TCase *disk = tcase_create("disk");
    tcase_add_checked_fixture(disk, open_on_a_failing_disk, close_failing_disk);
    suite_add_tcase(suite, disk);
    tcase_add_test(disk, commit_that_fails_on_the_disk_has_an_unknown_outcome_settled_by_its_key);
    tcase_add_test(disk, writing_goes_on_after_failed_commits_and_reads_go_on_meanwhile);
    tcase_add_test(
        disk, transaction_whose_commit_fails_on_the_disk_says_so_and_its_connection_is_replaced);
    TCase *file = add_case(suite, "file", open_in_file);
    tcase_add_test(file, savepoint_rolled_back_by_the_user_leaves_no_hole);
    tcase_add_test(file, commit_against_the_users_own_constraint_is_misuse);
    tcase_add_test(file, field_of_a_newer_program_that_asks_for_something_is_misuse);
    tcase_add_test(file, keys_of_the_library_are_refused);
    tcase_add_test(file, failed_append_many_that_reached_no_append_names_none);
    tcase_add_test(file, closing_keeps_the_reason_of_the_failure_before);
    tcase_add_test(file, child_of_a_process_with_an_open_store_may_open_none);
    return run_suite(suite);
}
