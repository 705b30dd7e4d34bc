/* Closing a wrapped store in the middle of things: the handle is the caller's again. */
#include "wrap.h"

#include <pthread.h>

START_TEST(close_rolls_an_open_transaction_back_and_gives_the_handle_back)
{
    stele_cursor *cursor = NULL;
    fill_stream("a-1", 3);
    char *before = read_settings();
    assert_status(stele_store_read(store, NULL, &cursor), STELE_OK);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "a-1", 3, NULL), STELE_OK);

    close_store();

    const stele_record *record = NULL;
    ck_assert_int_eq(sqlite3_get_autocommit(handle), 1);
    expect_no_statements();
    assert_status(stele_transaction_commit(transaction), STELE_CLOSED);
    stele_transaction_end(transaction);
    while (stele_cursor_next(cursor, &record) == STELE_OK)
        continue;
    stele_cursor_close(cursor);
    ck_assert_int_eq(raw_number(handle, "SELECT count(*) FROM events"), 3);
    ck_assert_int_eq(raw_number(handle, "PRAGMA wal_autocheckpoint"), 1000);
    free(before);
}
END_TEST

/* What is the caller's isn't ended by a close, and `synchronous` can't change meanwhile. */
START_TEST(close_leaves_a_transaction_of_the_caller_open)
{
    fill_stream("a-1", 1);
    run_raw(handle, "CREATE TABLE theirs(x); BEGIN; INSERT INTO theirs VALUES(7)");

    close_store();

    ck_assert_int_eq(sqlite3_get_autocommit(handle), 0);
    expect_no_statements();
    run_raw(handle, "COMMIT");
    ck_assert_int_eq(raw_number(handle, "SELECT x FROM theirs"), 7);
    ck_assert_int_eq(raw_number(handle, "PRAGMA wal_autocheckpoint"), 1000);
}
END_TEST

static void *append_until_closed(void *context)
{
    stele_status *last = context;
    while ((*last = append_one("a-1", STELE_ANY, "opened", NULL)) == STELE_OK)
        continue;
    return NULL;
}

START_TEST(calls_on_other_threads_end_with_closed_before_the_handle_is_free)
{
    pthread_t threads[3];
    stele_status last[COUNT_OF(threads)];
    stele_store *wrapped = store;
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, append_until_closed, &last[i]), 0);
    while (head_of(store) < 20)
        sqlite3_sleep(1);
    /* Its memory stays until the threads are done. */
    stele_cursor *cursor = open_read(NULL);

    stele_store_close(wrapped);

    ck_assert_int_eq(sqlite3_get_autocommit(handle), 1);
    expect_no_statements();
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_status(last[i], STELE_CLOSED);
    }
    store = NULL;
    stele_cursor_close(cursor);
    ck_assert_int_ge(raw_number(handle, "SELECT count(*) FROM events"), 20);
    ck_assert_int_eq(sqlite3_close(handle), SQLITE_OK);
    handle = NULL;
}
END_TEST

START_TEST(closed_file_is_complete_without_its_wal)
{
    fill_stream("a-1", 50);
    close_store();
    copy_file(store_path(), test_path("copy.db"));
    ck_assert_int_eq(sql_number(test_path("copy.db"), "SELECT count(*) FROM events"), 50);
}
END_TEST

static int use_in_child(void *context)
{
    (void)context;
    if (append_one("a-1", STELE_ANY, "opened", NULL) != STELE_MISUSE)
        return 1;
    close_store();
    return 0;
}

START_TEST(child_after_fork_may_only_free)
{
    fill_stream("a-1", 1);
    ck_assert_int_eq(run_in_child(use_in_child, NULL), 0);
    fill_stream("a-1", 1);
    ck_assert_str_eq(positions_of(NULL), "1 2");
}
END_TEST

static Suite *wrap_close_suite(void)
{
    Suite *suite = suite_create("wrap_close");
    TCase *closing = add_wrap_case(suite, "closing", wrap_file);
    tcase_add_test(closing, close_rolls_an_open_transaction_back_and_gives_the_handle_back);
    tcase_add_test(closing, close_leaves_a_transaction_of_the_caller_open);
    tcase_add_test(closing, calls_on_other_threads_end_with_closed_before_the_handle_is_free);
    tcase_add_test(closing, closed_file_is_complete_without_its_wal);
    tcase_add_test(closing, child_after_fork_may_only_free);
    return suite;
}

int main(void)
{
    return run_suite(wrap_close_suite());
}
