/* The user's SQL inside a transaction: what it may do, and that a refusal breaks nothing. */
#include "contract.h"

static stele_transaction *transaction;

/* A transaction with one event in it, the handle lent, and tables of the user. */
static void begin_lent(void)
{
    create_balances();
    transaction = begin();
    assert_status(append_in(transaction, "account-1", STELE_NO_STREAM, NULL), STELE_OK);
    ck_assert_ptr_nonnull(stele_transaction_sqlite(transaction));
}

static void begin_lent_in_memory(void)
{
    open_in_memory();
    begin_lent();
}

static void begin_lent_in_file(void)
{
    open_in_file();
    begin_lent();
}

static void end_lent(void)
{
    stele_transaction_end(transaction);
    transaction = NULL;
}

static void commit_lent(void)
{
    commit_and_end(transaction);
    transaction = NULL;
}

static void expect_in(const char *sql)
{
    int code = run_in(transaction, sql);
    ck_assert_msg(code == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(stele_transaction_sqlite(transaction)));
}

static int64_t expect_number(const char *sql)
{
    return number_in(transaction, sql);
}

/* --- What it may not do --- */

static const char *const denied[] = {
    "DELETE FROM events",
    "UPDATE events SET data = 'x'",
    "INSERT INTO checkpoints SELECT * FROM checkpoints",
    "DROP TABLE parked",
    "ALTER TABLE events ADD COLUMN more",
    "CREATE INDEX more ON events(type)",
    "CREATE TRIGGER more AFTER INSERT ON events BEGIN SELECT 1; END",
    "CREATE TEMP TRIGGER more AFTER INSERT ON events BEGIN DELETE FROM balances; END",
    "CREATE TEMP TABLE events(position)",
    "CREATE TEMP VIEW streams AS SELECT 1 AS id",
    "COMMIT",
    "ROLLBACK",
    "BEGIN",
    "ATTACH ':memory:' AS more",
    "PRAGMA synchronous = OFF",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA user_version = 9",
    "CREATE TABLE pragma_index_list(x)",
    "CREATE TEMP TABLE pragma_foreign_key_list(x)",
};

/* What comes after a transaction was ended under it would be stored by itself. */
START_TEST(nothing_is_done_after_a_statement_has_rolled_everything_back)
{
    sqlite3 *kept = stele_transaction_sqlite(transaction);
    expect_in("INSERT INTO balances VALUES('a', 1)");
    expect_in("CREATE TABLE single(n INTEGER PRIMARY KEY)");
    expect_in("INSERT INTO single VALUES(1)");
    ck_assert_int_ne(run_in(transaction, "INSERT OR ROLLBACK INTO single VALUES(1)"), SQLITE_OK);

    ck_assert_int_eq(sqlite3_exec(kept, "INSERT INTO balances VALUES('b', 2)", NULL, NULL, NULL),
                     SQLITE_AUTH);

    assert_status(stele_transaction_commit(transaction), STELE_MISUSE);
    stele_transaction_end(transaction);
    transaction = begin();
    ck_assert_int_eq(expect_number("SELECT count(*) FROM balances"), 0);
    stele_transaction_end(transaction);
}
END_TEST

START_TEST(transaction_goes_on_after_a_refusal)
{
    expect_in("INSERT INTO balances VALUES('a', 1)");

    ck_assert_int_eq(run_in(transaction, denied[_i]), SQLITE_AUTH);

    ck_assert_str_eq(sqlite3_errmsg(stele_transaction_sqlite(transaction)), "not authorized");
    expect_in("INSERT INTO balances VALUES('b', 2)");
    assert_status(append_in(transaction, "account-1", 1, NULL), STELE_OK);
    ck_assert_int_eq(run_in(transaction, denied[_i]), SQLITE_AUTH);
    commit_lent();
    ck_assert_int_eq(version_of("account-1"), 2);
    assert_status(append_one("account-1", 2, "noted", NULL), STELE_OK);
    transaction = begin();
    ck_assert_int_eq(expect_number("SELECT sum(amount) FROM balances"), 3);
    ck_assert_int_eq(run_in(transaction, denied[_i]), SQLITE_AUTH);
    end_lent();
    ck_assert_int_eq(head_of(store), 3);
}
END_TEST

/* REFERENCES can't be refused when it is said; the store would fail at its next write. */
static const char *const hung_on_ours[] = {
    "CREATE TABLE follower(s TEXT REFERENCES streams(name))",
    "CREATE TABLE follower(n, FOREIGN KEY(n) REFERENCES Events(position) ON DELETE CASCADE)",
    "ALTER TABLE balances ADD COLUMN follower INTEGER REFERENCES events",
};

START_TEST(foreign_key_to_ours_is_misuse_at_commit)
{
    expect_in(hung_on_ours[_i]);
    expect_in("INSERT INTO balances(account) VALUES('a')");

    assert_status(stele_transaction_commit(transaction), STELE_MISUSE);

    assert_reason_has("references our table");
    end_lent();
    ck_assert_int_eq(head_of(store), 0);
    assert_status(append_one("account-1", STELE_NO_STREAM, "opened", NULL), STELE_OK);
    transaction = begin();
    ck_assert_int_eq(expect_number("SELECT count(*) FROM balances"), 0);
    ck_assert_int_eq(expect_number("SELECT count(*) FROM pragma_table_info('follower')"), 0);
    /* What was rolled back leaves no trace in what is taken for known. */
    expect_in(hung_on_ours[_i]);
    assert_status(stele_transaction_commit(transaction), STELE_MISUSE);
    end_lent();
}
END_TEST

START_TEST(foreign_key_to_ours_may_come_and_go_before_commit)
{
    expect_in(hung_on_ours[0]);
    expect_in("DROP TABLE follower");

    commit_lent();

    ck_assert_int_eq(version_of("account-1"), 1);
}
END_TEST

/* --- What it may --- */

static const char *const allowed[] = {
    "CREATE TABLE more(n PRIMARY KEY, o UNIQUE); INSERT INTO more VALUES(1, 2); DROP TABLE more",
    "CREATE TABLE more AS SELECT position, data FROM events",
    "CREATE TABLE more(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO more DEFAULT VALUES",
    "CREATE INDEX more ON balances(account)",
    "CREATE VIEW more AS SELECT * FROM events",
    "CREATE TRIGGER more AFTER INSERT ON balances BEGIN DELETE FROM events; END",
    "CREATE TEMP TABLE more AS SELECT * FROM events",
    "CREATE VIRTUAL TABLE more USING fts5(w); INSERT INTO more VALUES('a b')",
    "ALTER TABLE balances ADD COLUMN more",
    "ALTER TABLE balances RENAME TO more",
    "WITH events AS (SELECT 1 AS n) INSERT INTO balances SELECT 'a', n FROM events",
    "ANALYZE",
    "PRAGMA integrity_check",
    "SELECT * FROM events JOIN streams ON streams.id = events.stream",
};

START_TEST(users_own_sql_is_part_of_the_transaction)
{
    expect_in(allowed[_i]);

    assert_status(append_in(transaction, "account-1", 1, NULL), STELE_OK);
    expect_in("SELECT count(*) FROM events");
    commit_lent();
    assert_status(append_one("account-1", 2, "noted", NULL), STELE_OK);
    ck_assert_str_eq(versions_of(NULL), "1 2 3");
    ck_assert_int_eq(head_of(store), 3);
}
END_TEST

/* Documented: they are off on every connection of ours. The one in `main` would empty the log. */
START_TEST(triggers_of_the_user_do_not_run)
{
    expect_in("CREATE TABLE fired(n);"
              "CREATE TRIGGER t AFTER INSERT ON balances BEGIN INSERT INTO fired VALUES(1);"
              " DELETE FROM events; END");

    expect_in("INSERT INTO balances VALUES('a', 1)");

    ck_assert_int_eq(expect_number("SELECT count(*) FROM fired"), 0);
    commit_lent();
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

START_TEST(views_are_errors)
{
    expect_in("CREATE VIEW rich AS SELECT * FROM balances WHERE amount > 1000");

    ck_assert_int_eq(run_in(transaction, "SELECT * FROM rich"), SQLITE_ERROR);
    ck_assert_int_eq(run_in(transaction, "SELECT * FROM log"), SQLITE_ERROR);

    commit_lent();
    ck_assert_int_eq(version_of("account-1"), 1);
}
END_TEST

/* TEMP triggers run whatever the setting, so what they do is asked about. */
START_TEST(temp_trigger_may_not_write_to_ours)
{
    expect_in("CREATE TABLE fired(n); CREATE TEMP TRIGGER good AFTER INSERT ON balances"
              " BEGIN INSERT INTO fired VALUES(1); END");
    expect_in("INSERT INTO balances VALUES('a', 1)");
    ck_assert_int_eq(expect_number("SELECT count(*) FROM fired"), 1);

    expect_in("CREATE TEMP TRIGGER bad AFTER INSERT ON balances BEGIN DELETE FROM events; END");
    ck_assert_int_eq(run_in(transaction, "INSERT INTO balances VALUES('b', 2)"), SQLITE_AUTH);

    ck_assert_int_eq(expect_number("SELECT count(*) FROM events"), 1);
    expect_in("DROP TRIGGER bad; DROP TRIGGER good");
    commit_lent();
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

START_TEST(savepoints_of_the_user_work)
{
    expect_in("SAVEPOINT one; INSERT INTO balances VALUES('a', 1)");
    assert_status(append_in(transaction, "account-1", 1, NULL), STELE_OK);
    expect_in("SAVEPOINT two; INSERT INTO balances VALUES('b', 2)");
    assert_status(append_in(transaction, "account-2", STELE_NO_STREAM, NULL), STELE_OK);

    expect_in("ROLLBACK TO two; RELEASE two");
    assert_status(append_in(transaction, "account-3", STELE_NO_STREAM, NULL), STELE_OK);
    expect_in("RELEASE one");

    ck_assert_int_eq(expect_number("SELECT sum(amount) FROM balances"), 1);
    commit_lent();
    ck_assert_int_eq(version_of("account-1"), 2);
    ck_assert_int_eq(version_of("account-2"), 0);
    ck_assert_int_eq(version_of("account-3"), 1);
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
}
END_TEST

START_TEST(table_created_and_rolled_back_to_a_savepoint_is_gone)
{
    expect_in("SAVEPOINT one; CREATE TABLE follower(s TEXT REFERENCES streams(name))");
    assert_status(append_in(transaction, "account-1", 1, NULL), STELE_OK);
    expect_in("ROLLBACK TO one");

    commit_lent();

    ck_assert_int_eq(version_of("account-1"), 1);
    assert_status(append_one("account-1", 1, "noted", NULL), STELE_OK);
}
END_TEST

/* --- Functions of the user --- */

static void append_by_sql(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    stele_status status =
        append_in(transaction, (const char *)sqlite3_value_text(values[0]), STELE_ANY, NULL);
    sqlite3_result_int(context, status);
}

static void register_function(void)
{
    ck_assert_int_eq(sqlite3_create_function(stele_transaction_sqlite(transaction), "append", 1,
                                             SQLITE_UTF8, NULL, append_by_sql, NULL, NULL),
                     SQLITE_OK);
}

START_TEST(functions_of_the_user_run_and_leave_it_guarded)
{
    register_function();

    ck_assert_int_eq(expect_number("SELECT append('account-2') + append('account-2')"), STELE_OK);

    ck_assert_int_eq(run_in(transaction, "DELETE FROM events"), SQLITE_AUTH);
    expect_in("INSERT INTO balances SELECT append('account-3'), 7");
    commit_lent();
    ck_assert_int_eq(version_of("account-2"), 2);
    ck_assert_int_eq(version_of("account-3"), 1);
}
END_TEST

/* --- Between calls of ours, and from one transaction to the next --- */

START_TEST(every_call_of_ours_leaves_it_guarded)
{
    stele_stream_info info;
    int64_t head = 0;
    stele_checkpoint checkpoint = { 0 };
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    stele_append stale = make_append("account-1", 7, NULL, 0);
    stele_read read = STELE_READ_INIT;

    for (int call = 0; call < 8; call++) {
        switch (call) {
        case 0: assert_status(stele_transaction_head(transaction, &head), STELE_OK); break;
        case 1:
            assert_status(stele_transaction_stream(transaction, "account-1", &info), STELE_OK);
            break;
        case 2:
            assert_status(stele_transaction_append(transaction, &stale, NULL), STELE_CONFLICT);
            break;
        case 3:
            assert_status(stele_transaction_checkpoint_save(transaction, "reader", 1), STELE_OK);
            break;
        case 4:
            assert_status(stele_transaction_checkpoint_load(transaction, "reader", &checkpoint),
                          STELE_OK);
            break;
        case 5: assert_status(stele_transaction_read(transaction, &read, &cursor), STELE_OK); break;
        case 6: assert_status(stele_cursor_next(cursor, &record), STELE_OK); break;
        default: stele_cursor_close(cursor); break;
        }
        ck_assert_int_eq(run_in(transaction, "DELETE FROM events"), SQLITE_AUTH);
        sqlite3_stmt *statement = NULL;
        ck_assert_int_eq(sqlite3_prepare_v2(stele_transaction_sqlite(transaction),
                                            "UPDATE meta SET value = ''", -1, &statement, NULL),
                         SQLITE_AUTH);
    }
    end_lent();
}
END_TEST

START_TEST(statement_kept_from_one_transaction_to_the_next_works)
{
    sqlite3_stmt *kept = NULL;
    sqlite3 *handle = stele_transaction_sqlite(transaction);
    ck_assert_int_eq(
        sqlite3_prepare_v2(handle, "INSERT INTO balances VALUES('a', 1)", -1, &kept, NULL),
        SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(kept), SQLITE_DONE);
    ck_assert_int_eq(sqlite3_reset(kept), SQLITE_OK);
    commit_lent();

    transaction = begin();
    ck_assert_ptr_eq(stele_transaction_sqlite(transaction), handle);
    ck_assert_int_eq(sqlite3_step(kept), SQLITE_DONE);
    ck_assert_int_eq(sqlite3_finalize(kept), SQLITE_OK);

    ck_assert_int_eq(expect_number("SELECT sum(amount) FROM balances"), 2);
    commit_lent();
}
END_TEST

/* A store closed under an open transaction writes its last things itself. */
START_TEST(store_closes_while_the_handle_is_lent)
{
    close_store();

    assert_status(stele_transaction_commit(transaction), STELE_CLOSED);
    end_lent();
    open_in_file();
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

START_TEST(table_of_the_user_is_refused_at_commit_by_strict_schema)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.strict_schema = true;
    store = open_path(store_path(), &options);
    transaction = begin();
    expect_in("CREATE TABLE mine(n)");

    assert_status(stele_transaction_commit(transaction), STELE_MISUSE);

    assert_reason_has("mine");
    end_lent();
    transaction = begin();
    expect_in("CREATE TEMP TABLE mine(n); SELECT count(*) FROM events; ANALYZE");
    commit_lent();
    close_store();
    store = open_path(store_path(), &options);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, nothing_is_done_after_a_statement_has_rolled_everything_back);
    tcase_add_loop_test(tests, transaction_goes_on_after_a_refusal, 0, (int)COUNT_OF(denied));
    tcase_add_loop_test(tests, foreign_key_to_ours_is_misuse_at_commit, 0,
                        (int)COUNT_OF(hung_on_ours));
    tcase_add_test(tests, foreign_key_to_ours_may_come_and_go_before_commit);
    tcase_add_loop_test(tests, users_own_sql_is_part_of_the_transaction, 0, (int)COUNT_OF(allowed));
    tcase_add_test(tests, triggers_of_the_user_do_not_run);
    tcase_add_test(tests, views_are_errors);
    tcase_add_test(tests, temp_trigger_may_not_write_to_ours);
    tcase_add_test(tests, savepoints_of_the_user_work);
    tcase_add_test(tests, table_created_and_rolled_back_to_a_savepoint_is_gone);
    tcase_add_test(tests, functions_of_the_user_run_and_leave_it_guarded);
    tcase_add_test(tests, every_call_of_ours_leaves_it_guarded);
    tcase_add_test(tests, statement_kept_from_one_transaction_to_the_next_works);
}

int main(void)
{
    Suite *suite = suite_create("lent sql");
    add_tests(add_case(suite, "memory", begin_lent_in_memory));
    TCase *file = add_case(suite, "file", begin_lent_in_file);
    add_tests(file);
    tcase_add_test(file, store_closes_while_the_handle_is_lent);
    TCase *strict = add_case(suite, "strict", NULL);
    tcase_add_test(strict, table_of_the_user_is_refused_at_commit_by_strict_schema);
    return run_suite(suite);
}
