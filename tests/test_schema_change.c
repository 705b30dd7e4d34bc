/*
 * Another program changes the schema while the store is open: the next write and the next read
 * notice. The other is a plain connection in this process, which SQLite copes with.
 */
#include "contract.h"

#include "store/schema.h"
#include "store/store.h"

static sqlite3 *other;

static void open_beside(const stele_options *options)
{
    store = open_path(store_path(), options);
    if (options == NULL || !options->read_only)
        fill_stream("a-1", 1);
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
    other = open_raw(store_path());
    run_raw(other, "PRAGMA busy_timeout = 5000");
}

static void make_file(void)
{
    open_in_file();
    fill_stream("a-1", 2);
    close_store();
}

static void open_with_neighbour(void)
{
    make_file();
    open_beside(NULL);
}

static void leave_neighbour(void)
{
    sqlite3_close(other);
    other = NULL;
}

/* `undo` NULL: the object `named` is dropped and made anew as it was. */
static const struct {
    const char *sql, *named, *undo;
} changes[] = {
    { "CREATE TRIGGER trojan AFTER INSERT ON events BEGIN DELETE FROM events; END", "trojan",
      "DROP TRIGGER trojan" },
    { "CREATE TRIGGER trojan INSTEAD OF INSERT ON log BEGIN SELECT 1; END", "trojan",
      "DROP TRIGGER trojan" },
    { "CREATE INDEX spare ON events(type)", "spare", "DROP INDEX spare" },
    { "CREATE UNIQUE INDEX spare ON checkpoints(position)", "spare", "DROP INDEX spare" },
    { "DROP INDEX state_newest", "state_newest",
      "CREATE INDEX state_newest ON state(scope, updated_at, key)" },
    { "DROP INDEX state_newest; CREATE INDEX state_newest ON state(key)", "state_newest", NULL },
    { "DROP VIEW log", "log", NULL },
    { "DROP VIEW log; CREATE VIEW log AS SELECT 1 AS position", "log", NULL },
    { "DROP TABLE members", "members", NULL },
    { "ALTER TABLE members ADD COLUMN extra TEXT", "members", NULL },
    { "ALTER TABLE members RENAME TO kept", "members", NULL },
    { "CREATE TABLE follower(s TEXT REFERENCES streams(name))", "follower", "DROP TABLE follower" },
    { "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql ="
      " replace(sql, 'version > 0', 'version > 9') WHERE name = 'events';"
      " PRAGMA schema_version = 1000",
      "events",
      "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql ="
      " replace(sql, 'version > 9', 'version > 0') WHERE name = 'events';"
      " PRAGMA schema_version = 1001" },
};

/* The SQL that makes the object `name`, from our own text; freed by the caller. */
static char *sql_of(const char *name)
{
    char *sql = NULL;
    sqlite3 *fresh = NULL;
    sqlite3_stmt *statement = NULL;
    ck_assert_int_eq(sqlite3_open(":memory:", &fresh), SQLITE_OK);
    run_raw(fresh, stele_schema_sql());
    ck_assert_int_eq(sqlite3_prepare_v2(fresh,
                                        "SELECT 'DROP ' || type || ' IF EXISTS ' || name || ';'"
                                        " || sql FROM sqlite_schema WHERE name = ?1",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    sql = strdup((const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(fresh);
    return sql;
}

static void undo_change(int i)
{
    if (changes[i].undo != NULL) {
        run_raw(other, changes[i].undo);
        return;
    }
    char *sql = sql_of(changes[i].named);
    run_raw(other, sql);
    free(sql);
}

static void expect_refusal(stele_status status, const char *named)
{
    assert_status(status, STELE_CORRUPT);
    assert_reason_has(named);
}

START_TEST(next_write_refuses_and_stores_nothing)
{
    stele_transaction *transaction = (stele_transaction *)&transaction;
    run_raw(other, changes[_i].sql);
    int64_t data_version = raw_number(other, "PRAGMA data_version");

    for (int again = 0; again < 2; again++) {
        expect_refusal(append_one("a-1", STELE_ANY, "after", NULL), changes[_i].named);
        expect_refusal(stele_checkpoint_save(store, "reader", 1), changes[_i].named);
        expect_refusal(stele_transaction_begin(store, &transaction), changes[_i].named);
        ck_assert_ptr_null(transaction);
    }

    ck_assert_int_eq(raw_number(other, "PRAGMA data_version"), data_version);
    ck_assert_int_eq(raw_number(other, "SELECT count(*) FROM events"), 3);
    undo_change(_i);
    fill_stream("a-1", 1);
    assert_status(stele_checkpoint_save(store, "reader", 4), STELE_OK);
    ck_assert_str_eq(versions_of(NULL), "1 2 3 4");
}
END_TEST

START_TEST(next_read_refuses)
{
    stele_cursor *cursor = NULL;
    int64_t head = 0;
    stele_stream_info info;
    run_raw(other, changes[_i].sql);

    for (int again = 0; again < 2; again++) {
        const stele_record *record = NULL;
        stele_status status = stele_store_read(store, NULL, &cursor);
        if (status == STELE_OK)
            status = stele_cursor_next(cursor, &record);
        expect_refusal(status, changes[_i].named);
        stele_cursor_close(cursor);
        expect_refusal(stele_store_head(store, &head), changes[_i].named);
        expect_refusal(stele_store_stream(store, "a-1", &info), changes[_i].named);
    }

    undo_change(_i);
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
    fill_stream("a-1", 1);
    ck_assert_str_eq(positions_of(NULL), "1 2 3 4");
}
END_TEST

START_TEST(store_opened_for_reading_refuses_too)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    int64_t head = 0;
    leave_neighbour();
    close_store();
    open_beside(&options);
    run_raw(other, changes[_i].sql);

    expect_refusal(stele_store_head(store, &head), changes[_i].named);

    undo_change(_i);
    ck_assert_int_eq(head_of(store), 3);
}
END_TEST

/* A page was read before, the next one comes after. */
START_TEST(cursor_ends_with_the_refusal)
{
    enum { EVENTS = 3000 };
    stele_event *events = calloc(EVENTS, sizeof(*events));
    ck_assert_ptr_nonnull(events);
    for (int i = 0; i < EVENTS; i++)
        events[i] = make_event("counted", "{}");
    stele_append append = make_append("b-1", STELE_NO_STREAM, events, EVENTS);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    free(events);
    stele_cursor *cursor = open_read(NULL);
    next_record(cursor);
    run_raw(other, changes[0].sql);

    const stele_record *record = NULL;
    stele_status status;
    int count = 1;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK)
        count++;

    expect_refusal(status, changes[0].named);
    ck_assert_int_lt(count, EVENTS);
    stele_cursor_close(cursor);
}
END_TEST

/* --- What is none of our business --- */

static const char *const friendly[] = {
    "CREATE TABLE mine(n); INSERT INTO mine VALUES(1)",
    "CREATE TABLE mine(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO mine DEFAULT VALUES",
    "CREATE TABLE mine(n UNIQUE); CREATE INDEX mine_n ON mine(n)",
    "CREATE VIEW mine AS SELECT * FROM events",
    "CREATE TABLE mine(n); CREATE TRIGGER t AFTER INSERT ON mine BEGIN DELETE FROM events; END",
    "CREATE TABLE mine(n PRIMARY KEY); CREATE TABLE yours(n REFERENCES mine(n))",
    "CREATE VIRTUAL TABLE mine USING fts5(w)",
    "ANALYZE",
    "CREATE TEMP TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM events; END",
};

START_TEST(tables_of_others_may_come_and_go)
{
    run_raw(other, friendly[_i]);

    fill_stream("a-1", 1);
    ck_assert_str_eq(positions_of(NULL), "1 2 3 4");
    run_raw(other, "CREATE TABLE passing(n); DROP TABLE passing");
    ck_assert_str_eq(positions_of(NULL), "1 2 3 4");
    fill_stream("a-1", 1);
    reopen_file();
    ck_assert_str_eq(positions_of(NULL), "1 2 3 4 5");
}
END_TEST

START_TEST(tables_of_others_are_refused_by_strict_schema)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.strict_schema = true;
    leave_neighbour();
    close_store();
    store = open_path(store_path(), &options);
    other = open_raw(store_path());
    run_raw(other, "ANALYZE");
    fill_stream("a-1", 1);

    run_raw(other, "CREATE TABLE mine(n)");

    expect_refusal(append_one("a-1", STELE_ANY, "after", NULL), "mine");
    run_raw(other, "DROP TABLE mine");
    fill_stream("a-1", 1);
}
END_TEST

/* --- The number that stands for the schema --- */

/* The user's own change was looked at, and then not committed. The next change has its number. */
START_TEST(change_that_was_rolled_back_vouches_for_no_other)
{
    stele_transaction *transaction = begin();
    ck_assert_int_eq(run_in(transaction, "CREATE TABLE parents(id PRIMARY KEY)"), SQLITE_OK);
    commit_and_end(transaction);
    transaction = begin();
    ck_assert_int_eq(run_in(transaction, "CREATE TABLE children(id REFERENCES parents(id)"
                                         " DEFERRABLE INITIALLY DEFERRED);"
                                         "INSERT INTO children VALUES(1)"),
                     SQLITE_OK);
    int64_t number = number_in(transaction, "PRAGMA schema_version");
    assert_status(stele_transaction_commit(transaction), STELE_MISUSE);
    stele_transaction_end(transaction);

    run_raw(other, changes[0].sql);

    ck_assert_int_eq(raw_number(other, "PRAGMA schema_version"), number);
    expect_refusal(append_one("a-1", STELE_ANY, "after", NULL), changes[0].named);
}
END_TEST

START_TEST(number_moves_only_when_the_schema_was_found_good)
{
    stele__connection *connection = NULL;
    assert_status(stele__write_begin(store, NULL, &connection), STELE_OK);
    uint32_t cookie = 0;
    bool foreign = true;
    assert_status(stele__schema_recheck(connection->database, &cookie, false, &foreign), STELE_OK);
    ck_assert_uint_gt(cookie, 0);
    ck_assert(!foreign);
    foreign = true;
    assert_status(stele__schema_recheck(connection->database, &cookie, false, &foreign), STELE_OK);
    ck_assert(foreign);
    stele__write_end(store);

    run_raw(other, "CREATE TABLE mine(n); CREATE TRIGGER trojan AFTER INSERT ON types BEGIN"
                   " SELECT 1; END");

    uint32_t before = cookie;
    connection = &store->writer;
    assert_status(stele__database_begin(connection->database), STELE_OK);
    expect_refusal(stele__schema_recheck(connection->database, &cookie, false, NULL), "trojan");
    ck_assert_uint_eq(cookie, before);
    stele__database_rollback(connection->database);
    run_raw(other, "DROP TRIGGER trojan");
    assert_status(stele__database_begin(connection->database), STELE_OK);
    foreign = false;
    assert_status(stele__schema_recheck(connection->database, &cookie, false, &foreign), STELE_OK);
    ck_assert(foreign);
    ck_assert_uint_ne(cookie, before);
    stele__database_rollback(connection->database);
}
END_TEST

/* Believing that it has seen this schema, the store takes the event beside the trojan. */
START_TEST(control_without_the_look_the_append_is_accepted)
{
    run_raw(other, changes[0].sql);
    store->writer.schema_cookie = (uint32_t)raw_number(other, "PRAGMA schema_version");

    assert_status(append_one("a-1", STELE_ANY, "after", NULL), STELE_OK);

    ck_assert_int_eq(raw_number(other, "SELECT count(*) FROM sqlite_schema"
                                       " WHERE type = 'trigger' AND tbl_name = 'events'"),
                     1);
    /* What the same append does in a program that runs triggers. */
    run_raw(other, "INSERT INTO events SELECT 9, 1, 9, type, schema_version, codec, recorded_at,"
                   " occurred_at, flags, payload_hash, checksum, data, metadata FROM events"
                   " LIMIT 1");
    ck_assert_int_eq(raw_number(other, "SELECT count(*) FROM events"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schema change");
    TCase *tests = add_case(suite, "beside", NULL);
    tcase_add_checked_fixture(tests, open_with_neighbour, leave_neighbour);
    tcase_add_loop_test(tests, next_write_refuses_and_stores_nothing, 0, (int)COUNT_OF(changes));
    tcase_add_loop_test(tests, next_read_refuses, 0, (int)COUNT_OF(changes));
    tcase_add_loop_test(tests, store_opened_for_reading_refuses_too, 0, (int)COUNT_OF(changes));
    tcase_add_test(tests, cursor_ends_with_the_refusal);
    tcase_add_loop_test(tests, tables_of_others_may_come_and_go, 0, (int)COUNT_OF(friendly));
    tcase_add_test(tests, tables_of_others_are_refused_by_strict_schema);
    tcase_add_test(tests, change_that_was_rolled_back_vouches_for_no_other);
    tcase_add_test(tests, number_moves_only_when_the_schema_was_found_good);
    tcase_add_test(tests, control_without_the_look_the_append_is_accepted);
    return run_suite(suite);
}
