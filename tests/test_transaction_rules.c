/* What may not be done around, after and through a transaction, and by whom. */
#include "contract.h"

#include <stele/jsonl.h>

#include <pthread.h>

/* --- Writing around it --- */

static stele_status give_one_line(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    static const char line[] = "{\"stream\":\"a-1\",\"type\":\"opened\",\"data\":{}}\n";
    bool *given = context;
    ck_assert_uint_ge(capacity, sizeof(line));
    *size_out = *given ? 0 : sizeof(line) - 1;
    memcpy(buffer, line, *size_out);
    *given = true;
    return STELE_OK;
}

/* It would wait for itself: it has to be told at once. */
START_TEST(store_level_write_inside_is_misuse_at_once)
{
    stele_transaction *transaction = begin(), *second = (stele_transaction *)&second;
    stele_append empty = make_append("account-1", STELE_ANY, NULL, 0);
    stele_import import = STELE_IMPORT_INIT;
    bool given = false;
    import.read = give_one_line;
    import.context = &given;

    assert_status(append_one("account-1", STELE_ANY, "opened", NULL), STELE_MISUSE);
    assert_status(stele_store_append(store, &empty, NULL), STELE_MISUSE);
    assert_status(stele_store_append_many(store, &empty, 1, NULL, NULL), STELE_MISUSE);
    assert_status(stele_checkpoint_save(store, "reader", 0), STELE_MISUSE);
    assert_status(stele_transaction_begin(store, &second), STELE_MISUSE);
    ck_assert_ptr_null(second);
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_MISUSE);
    assert_status(stele_store_import(store, &import, NULL), STELE_MISUSE);

    assert_status(append_in(transaction, "account-1", STELE_ANY, NULL), STELE_OK);
    commit_and_end(transaction);
    assert_status(append_one("account-1", 1, "opened", NULL), STELE_OK);
}
END_TEST

START_TEST(transactions_of_two_stores_are_open_at_once)
{
    stele_store *other = open_path(test_path("other.db"), NULL);
    stele_transaction *transaction = begin();

    assert_status(append_to(other, "a-1", STELE_ANY, "opened", NULL), STELE_OK);

    commit_and_end(transaction);
    stele_store_close(other);
}
END_TEST

/* --- What the user's SQL may not do --- */

/* Refused when it is tried, or found out at commit; never taken for a commit of ours. */
static void end_by_sql(const char *sql)
{
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-1", STELE_ANY, NULL), STELE_OK);

    bool refused = run_in(transaction, sql) != SQLITE_OK;

    assert_status(stele_transaction_commit(transaction), refused ? STELE_OK : STELE_MISUSE);
    stele_transaction_end(transaction);
    assert_status(append_one("account-2", STELE_NO_STREAM, "opened", NULL), STELE_OK);
    ck_assert_int_eq(version_of("account-2"), 1);
}

START_TEST(transaction_committed_by_sql_is_misuse)
{
    end_by_sql("COMMIT");
}
END_TEST

START_TEST(transaction_rolled_back_by_sql_is_misuse)
{
    end_by_sql("ROLLBACK");
}
END_TEST

/* Ended and begun again it looks open, but what we wrote in it is not in it any more. */
START_TEST(transaction_ended_and_begun_again_by_sql_is_misuse)
{
    end_by_sql("ROLLBACK; BEGIN IMMEDIATE");
}
END_TEST

START_TEST(triggers_do_not_run_on_the_lent_connection)
{
    create_balances();
    stele_transaction *transaction = begin();
    ck_assert_int_eq(run_in(transaction, "CREATE TABLE fired(n)"), SQLITE_OK);
    ck_assert_int_eq(run_in(transaction, "CREATE TRIGGER t AFTER INSERT ON balances"
                                         " BEGIN INSERT INTO fired VALUES(1); END"),
                     SQLITE_OK);

    ck_assert_int_eq(run_in(transaction, "INSERT INTO balances VALUES('a', 1)"), SQLITE_OK);

    ck_assert_int_eq(number_in(transaction, "SELECT count(*) FROM fired"), 0);
    stele_transaction_end(transaction);
}
END_TEST

START_TEST(unfinished_statement_of_the_user_does_not_block_the_end)
{
    create_balances();
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-1", STELE_ANY, NULL), STELE_OK);
    sqlite3_stmt *statement = NULL;
    ck_assert_int_eq(sqlite3_prepare_v2(stele_transaction_sqlite(transaction),
                                        "SELECT 1 UNION ALL SELECT 2", -1, &statement, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);

    stele_transaction_end(transaction);

    sqlite3_finalize(statement);
    assert_status(append_one("account-1", STELE_NO_STREAM, "opened", NULL), STELE_OK);
    reopen_file();
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

/* --- Another thread --- */

typedef struct stranger {
    stele_transaction *transaction;
    stele_status append, commit, head;
    sqlite3 *sqlite;
} stranger;

static void *use_from_another_thread(void *context)
{
    stranger *self = context;
    stele_append append = make_append("account-9", STELE_ANY, NULL, 0);
    int64_t head = 0;
    self->append = stele_transaction_append(self->transaction, &append, NULL);
    self->head = stele_transaction_head(self->transaction, &head);
    self->sqlite = stele_transaction_sqlite(self->transaction);
    self->commit = stele_transaction_commit(self->transaction);
    return NULL;
}

START_TEST(transaction_on_another_thread_is_misuse)
{
    stranger self = { .transaction = begin() };
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, use_from_another_thread, &self), 0);
    pthread_join(thread, NULL);

    ck_assert_int_eq(self.append, STELE_MISUSE);
    ck_assert_int_eq(self.head, STELE_MISUSE);
    ck_assert_int_eq(self.commit, STELE_MISUSE);
    assert_status(append_in(self.transaction, "account-1", STELE_ANY, NULL), STELE_OK);
    commit_and_end(self.transaction);
}
END_TEST

static void *append_once(void *context)
{
    *(stele_status *)context = append_one("account-1", STELE_ANY, "waited", NULL);
    return NULL;
}

START_TEST(appenders_of_other_threads_wait_for_the_transaction)
{
    stele_transaction *transaction = begin();
    stele_status waited = STELE_DONE;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, append_once, &waited), 0);

    assert_status(append_in(transaction, "account-1", STELE_NO_STREAM, NULL), STELE_OK);
    commit_and_end(transaction);
    pthread_join(thread, NULL);

    ck_assert_int_eq(waited, STELE_OK);
    ck_assert_int_eq(version_of("account-1"), 2);
    stele_cursor *cursor = open_read(NULL);
    ck_assert_str_eq(next_record(cursor)->type, "noted");
    stele_cursor_close(cursor);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, store_level_write_inside_is_misuse_at_once);
    tcase_add_test(tests, transaction_committed_by_sql_is_misuse);
    tcase_add_test(tests, transaction_rolled_back_by_sql_is_misuse);
    tcase_add_test(tests, transaction_ended_and_begun_again_by_sql_is_misuse);
    tcase_add_test(tests, triggers_do_not_run_on_the_lent_connection);
    tcase_add_test(tests, transaction_on_another_thread_is_misuse);
    tcase_add_test(tests, appenders_of_other_threads_wait_for_the_transaction);
}

int main(void)
{
    Suite *suite = suite_create("transaction rules");
    add_tests(add_case(suite, "memory", open_in_memory));
    TCase *file = add_case(suite, "file", open_in_file);
    add_tests(file);
    tcase_add_test(file, transactions_of_two_stores_are_open_at_once);
    tcase_add_test(file, unfinished_statement_of_the_user_does_not_block_the_end);
    return run_suite(suite);
}
