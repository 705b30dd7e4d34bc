/* What SQL of the user may do on a connection of ours, and what it may not. */
#include <stele.h>

#include "sqlite/authorizer.h"
#include "sqlite/statement.h"
#include "store/schema.h"
#include "support.h"

#include <check.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static stele__database *database;

static int run(const char *sql)
{
    return sqlite3_exec(database->handle, sql, NULL, NULL, NULL);
}

static void expect_run(const char *sql)
{
    int code = run(sql);
    ck_assert_msg(code == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(database->handle));
}

static int64_t count_events(void)
{
    int64_t count = -1;
    ck_assert_int_eq(stele__database_number(database, "SELECT count(*) FROM events", &count),
                     STELE_OK);
    return count;
}

static int add_numbers(void *context, int count, char **values, char **names)
{
    (void)names;
    for (int i = 0; i < count; i++)
        *(long long *)context += values[i] == NULL ? 0 : strtoll(values[i], NULL, 10);
    return 0;
}

static void twice(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    sqlite3_result_int64(context, 2 * sqlite3_value_int64(values[0]));
}

/* Our tables with one event, some of the user's, and user SQL about to run. */
static void open_armed(void)
{
    static const stele__database_options settings = { .cache_size_kb = 1024 };
    ck_assert_int_eq(stele__database_open(":memory:", &settings, &database), STELE_OK);
    ck_assert_int_eq(stele__authorizer_install(database, stele__schema_is_ours), STELE_OK);
    ck_assert_int_eq(stele__database_settle(database, &settings, true), STELE_OK);
    expect_run(stele_schema_sql());
    expect_run("INSERT INTO events VALUES(1, 1, 1, 1, 1, 1, 0, NULL, 0, 0, 0, '{}', NULL);"
               "CREATE TABLE mine(id INTEGER PRIMARY KEY, n);"
               "CREATE TABLE other(id INTEGER PRIMARY KEY, mine REFERENCES mine(id));"
               "CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT);"
               "CREATE INDEX mine_n ON mine(n); CREATE VIEW seen AS SELECT n FROM mine;"
               "CREATE TRIGGER told AFTER INSERT ON mine BEGIN SELECT 1; END;"
               "CREATE TEMP TABLE passing(n); INSERT INTO mine VALUES(1, 10)");
    ck_assert_int_eq(
        sqlite3_create_function(database->handle, "twice", 1, SQLITE_UTF8, NULL, twice, NULL, NULL),
        SQLITE_OK);
    expect_run("BEGIN IMMEDIATE");
    stele__authorizer_arm(database, true);
}

static void close_database(void)
{
    stele__database_close(database);
    database = NULL;
}

static const char *const allowed[] = {
    "SELECT * FROM events",
    "SELECT count(*) FROM events e JOIN streams s ON s.id = e.stream",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5) SELECT x FROM c",
    "WITH events AS (SELECT 1 AS n) INSERT INTO mine(n) SELECT n FROM events",
    "INSERT INTO mine(n) SELECT position FROM events",
    "INSERT INTO mine VALUES(1, 2) ON CONFLICT(id) DO UPDATE SET n = excluded.n RETURNING n",
    "REPLACE INTO mine VALUES(1, 3)",
    "UPDATE mine SET n = twice(n) FROM events WHERE mine.id = events.position",
    "DELETE FROM mine",
    "DELETE FROM mine WHERE n IN (SELECT position FROM events)",
    "INSERT INTO counted DEFAULT VALUES; DELETE FROM sqlite_sequence",
    "INSERT INTO other VALUES(1, 1)",
    "CREATE TABLE more(n); DROP TABLE more",
    "CREATE TABLE more AS SELECT * FROM events",
    "CREATE TABLE IF NOT EXISTS mine(n)",
    "CREATE TABLE events_of_mine(position INTEGER PRIMARY KEY) WITHOUT ROWID",
    "CREATE INDEX more_n ON mine(n, id); DROP INDEX more_n",
    "CREATE UNIQUE INDEX more_n ON mine(n) WHERE n > 0; REINDEX mine; REINDEX more_n",
    "CREATE VIEW more AS SELECT * FROM events; DROP VIEW more",
    "CREATE TRIGGER more AFTER DELETE ON mine BEGIN DELETE FROM events; END; DROP TRIGGER more",
    "CREATE TRIGGER more INSTEAD OF INSERT ON seen BEGIN SELECT 1; END",
    "CREATE TEMP TABLE more(n); INSERT INTO more VALUES(1); DROP TABLE more",
    "CREATE TEMP VIEW more AS SELECT * FROM events; SELECT * FROM more; DROP VIEW more",
    ("CREATE TEMP TRIGGER more AFTER INSERT ON mine BEGIN DELETE FROM other; END;"
     " INSERT INTO mine(n) VALUES(4); DROP TRIGGER more"),
    "CREATE INDEX temp.more ON passing(n); DROP INDEX temp.more",
    "ALTER TABLE mine RENAME TO yours; ALTER TABLE yours ADD COLUMN o",
    "ALTER TABLE mine RENAME COLUMN n TO o",
    "ALTER TABLE mine ADD COLUMN o; ALTER TABLE mine DROP COLUMN o",
    ("CREATE VIRTUAL TABLE words USING fts5(w); INSERT INTO words VALUES('a b');"
     " SELECT * FROM words WHERE words MATCH 'a'; DELETE FROM words; DROP TABLE words"),
    ("CREATE VIRTUAL TABLE words USING fts5(data, content='events', content_rowid='position');"
     " INSERT INTO words(words) VALUES('rebuild')"),
    "ANALYZE",
    "ANALYZE mine",
    "EXPLAIN QUERY PLAN SELECT * FROM events",
    "SAVEPOINT one; INSERT INTO mine VALUES(9, 9); ROLLBACK TO one; RELEASE one",
    "PRAGMA table_info(events)",
    "PRAGMA main.table_xinfo('events')",
    "PRAGMA table_list",
    "PRAGMA index_list(events)",
    "PRAGMA index_info(state_newest)",
    "PRAGMA index_xinfo(state_newest)",
    "PRAGMA foreign_key_list(other)",
    "PRAGMA foreign_key_check",
    "PRAGMA integrity_check",
    "PRAGMA integrity_check(events)",
    "PRAGMA QUICK_CHECK(10)",
    "PRAGMA schema_version",
    "PRAGMA user_version",
    "PRAGMA application_id",
    "PRAGMA page_count",
    "PRAGMA freelist_count",
    "PRAGMA encoding",
    "PRAGMA compile_options",
    "PRAGMA function_list",
    "PRAGMA data_version",
    "SELECT name FROM pragma_table_info('events')",
};

START_TEST(sql_on_the_users_own_tables_is_allowed)
{
    int code = run(allowed[_i]);

    ck_assert_msg(code == SQLITE_OK, "%s: %s", allowed[_i], sqlite3_errmsg(database->handle));
    ck_assert_int_eq(count_events(), 1);
}
END_TEST

static const char *const denied[] = {
    /* Writing to ours. */
    "DELETE FROM events",
    "DELETE FROM EVENTS WHERE position = 1",
    "DELETE FROM main.\"events\"",
    "DELETE FROM [events]",
    "UPDATE events SET data = 'x'",
    "UPDATE mine SET n = 1; UPDATE OR IGNORE events SET version = 2",
    "UPDATE events SET data = n FROM mine WHERE mine.id = position",
    "INSERT INTO streams SELECT * FROM streams",
    "INSERT INTO types VALUES(9, 'x', 0) ON CONFLICT DO NOTHING",
    "REPLACE INTO checkpoints(name) VALUES('x')",
    "WITH c AS (SELECT 1) DELETE FROM meta",
    "DELETE FROM epochs RETURNING id",
    "EXPLAIN DELETE FROM events",
    "INSERT INTO log(position) VALUES(1)",
    ("CREATE TEMP TRIGGER more AFTER INSERT ON mine BEGIN DELETE FROM events; END;"
     " INSERT INTO mine(n) VALUES(4)"),
    /* Changing or dropping ours. */
    "DROP TABLE parked",
    "DROP TABLE IF EXISTS main.Events",
    "DROP VIEW log",
    "DROP INDEX state_newest",
    "ALTER TABLE events RENAME TO old",
    "ALTER TABLE events RENAME COLUMN data TO x",
    "ALTER TABLE events ADD COLUMN x",
    "ALTER TABLE streams DROP COLUMN reason",
    "REINDEX",
    "REINDEX events",
    "REINDEX sqlite_autoindex_events_1",
    "REINDEX STATE_NEWEST",
    /* Hanging something on ours. */
    "CREATE INDEX more ON events(type)",
    "CREATE UNIQUE INDEX IF NOT EXISTS main.more ON events(type) WHERE type > 1",
    "CREATE TRIGGER more AFTER INSERT ON events BEGIN SELECT 1; END",
    "CREATE TRIGGER more INSTEAD OF INSERT ON log BEGIN SELECT 1; END",
    "CREATE TEMP TRIGGER more AFTER INSERT ON events BEGIN DELETE FROM events; END",
    "CREATE TEMP TRIGGER more BEFORE UPDATE ON main.meta BEGIN SELECT raise(IGNORE); END",
    /* Standing in front of ours. */
    "CREATE TEMP TABLE events(position)",
    "CREATE TABLE temp.Events AS SELECT 1",
    "CREATE TEMP TABLE log(n)",
    "CREATE TEMP VIEW streams AS SELECT 1 AS id",
    "CREATE VIRTUAL TABLE temp.meta USING fts5(key, value)",
    "CREATE TABLE state_newest(n)",
    "CREATE INDEX temp.events ON passing(n)",
    "CREATE TRIGGER events AFTER INSERT ON mine BEGIN SELECT 1; END",
    "ALTER TABLE passing RENAME TO events",
    "ALTER TABLE temp.passing RENAME TO events",
    /* The transaction, other files, settings. */
    "BEGIN",
    "COMMIT",
    "END TRANSACTION",
    "ROLLBACK",
    "ATTACH ':memory:' AS more",
    "ATTACH 'more.db' AS more",
    "DETACH main",
    "PRAGMA writable_schema = ON",
    "PRAGMA writable_schema",
    "PRAGMA schema_version = 7",
    "PRAGMA user_version = 7",
    "PRAGMA user_version(7)",
    "PRAGMA main.application_id = 1",
    "PRAGMA synchronous = OFF",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA ignore_check_constraints = ON",
    "PRAGMA defer_foreign_keys = ON",
    "PRAGMA trusted_schema = ON",
    "PRAGMA secure_delete = OFF",
    "PRAGMA query_only = ON",
    "PRAGMA temp_store = FILE",
    "PRAGMA cell_size_check = OFF",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA wal_checkpoint",
    "PRAGMA wal_autocheckpoint = 1",
    "PRAGMA auto_vacuum = NONE",
    "PRAGMA incremental_vacuum",
    "PRAGMA busy_timeout = 0",
    "PRAGMA legacy_alter_table = ON",
    "PRAGMA mmap_size = 1000000",
    "PRAGMA optimize",
    "PRAGMA case_sensitive_like = ON",
    "PRAGMA encoding = 'UTF-16'",
    "PRAGMA page_size = 512",
};

START_TEST(sql_that_touches_ours_is_refused)
{
    int code = run(denied[_i]);

    ck_assert_msg(code != SQLITE_OK, "%s was allowed", denied[_i]);
    ck_assert_msg(code == SQLITE_AUTH, "%s: %s", denied[_i], sqlite3_errmsg(database->handle));
    ck_assert_int_eq(count_events(), 1);
    bool foreign = false;
    stele__authorizer_arm(database, false);
    ck_assert_int_eq(stele__schema_compare(database, false, &foreign), STELE_OK);
    ck_assert_int_eq(sqlite3_get_autocommit(database->handle), 0);
}
END_TEST

/* Stopped by SQLite before anybody is asked, some of it by DEFENSIVE. */
static const char *const impossible[] = {
    "DELETE FROM sqlite_schema",
    "UPDATE sqlite_schema SET sql = ''",
    "INSERT INTO sqlite_schema VALUES('table', 'x', 'x', 0, '')",
    "UPDATE sqlite_dbpage SET data = zeroblob(4096)",
    "CREATE TABLE sqlite_mine(n)",
    "SELECT load_extension('x')",
    "ALTER TABLE log RENAME TO x",
    "CREATE TEMP VIEW x AS SELECT 1 AS n; ALTER TABLE x RENAME TO events",
    "ALTER TABLE mine RENAME TO events",
    "ALTER TABLE mine RENAME TO state_newest",
    ("CREATE TEMP VIEW more AS SELECT 1 AS n; CREATE TEMP TRIGGER m INSTEAD OF INSERT ON more"
     " BEGIN UPDATE events SET data = 'x'; END; INSERT INTO more VALUES(1)"),
    "VACUUM",
    "VACUUM INTO 'more.db'",
};

START_TEST(what_sqlite_refuses_by_itself_stays_refused)
{
    int code = run(impossible[_i]);

    ck_assert_msg(code != SQLITE_OK, "%s was allowed", impossible[_i]);
    ck_assert_int_eq(count_events(), 1);
}
END_TEST

/* Without the authorizer DEFENSIVE lets all of these through: it guards SQLite, not us. */
START_TEST(control_without_it_events_can_be_deleted)
{
    stele__authorizer_arm(database, false);

    expect_run("CREATE TEMP TRIGGER trojan AFTER INSERT ON events BEGIN DELETE FROM streams; END");
    expect_run("ALTER TABLE passing RENAME TO types");
    expect_run("DELETE FROM events");

    ck_assert_int_eq(count_events(), 0);
}
END_TEST

START_TEST(our_own_statements_work_while_it_is_disarmed)
{
    static const char insert[] =
        "INSERT INTO types(id, name, checksum) VALUES((SELECT count(*) + 1 FROM types), ?1, 0)";
    static const char *const changes[] = { "CREATE TABLE more(n)", "ALTER TABLE more ADD COLUMN o",
                                           "DROP TABLE more" };
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        stele__authorizer_arm(database, false);
        stele__statement *statement = NULL;
        ck_assert_int_eq(stele__statement_begin(database, insert, &statement), STELE_OK);
        stele__bind_text(statement, 1, changes[i]);
        ck_assert_int_eq(stele__statement_run(statement), STELE_OK);

        /* A changed schema makes SQLite prepare ours anew at its next step. */
        stele__authorizer_arm(database, true);
        ck_assert_int_eq(run(insert), SQLITE_AUTH);
        expect_run(changes[i]);
    }

    stele__authorizer_arm(database, false);
    expect_run("COMMIT");
    long long count = 0;
    ck_assert_int_eq(
        sqlite3_exec(database->handle, "SELECT count(*) FROM types", add_numbers, &count, NULL),
        SQLITE_OK);
    ck_assert_int_eq(count, COUNT_OF(changes));
}
END_TEST

/* Prepared while nobody looked, it runs unasked; but not once the schema has changed. */
START_TEST(kept_statement_is_asked_again_after_a_schema_change)
{
    stele__authorizer_arm(database, false);
    sqlite3_stmt *kept = NULL;
    ck_assert_int_eq(sqlite3_prepare_v2(database->handle, "DELETE FROM parked", -1, &kept, NULL),
                     SQLITE_OK);
    stele__authorizer_arm(database, true);
    ck_assert_int_eq(sqlite3_step(kept), SQLITE_DONE);
    ck_assert_int_eq(sqlite3_reset(kept), SQLITE_OK);

    expect_run("CREATE TABLE more(n)");

    ck_assert_int_eq(sqlite3_step(kept), SQLITE_AUTH);
    ck_assert_int_eq(sqlite3_finalize(kept), SQLITE_AUTH);
}
END_TEST

START_TEST(kept_statement_on_the_users_table_goes_on_after_a_schema_change)
{
    sqlite3_stmt *kept = NULL;
    ck_assert_int_eq(sqlite3_prepare_v2(database->handle, "INSERT INTO mine(n) VALUES(twice(4))",
                                        -1, &kept, NULL),
                     SQLITE_OK);
    expect_run("CREATE TABLE more(n)");

    ck_assert_int_eq(sqlite3_step(kept), SQLITE_DONE);

    ck_assert_int_eq(sqlite3_finalize(kept), SQLITE_OK);
}
END_TEST

START_TEST(each_object_of_the_schema_is_known_as_ours)
{
    int64_t objects = 0, known = 0;
    stele__authorizer_arm(database, false);
    expect_run("COMMIT; DROP TABLE mine; DROP TABLE other; DROP TABLE counted; DROP VIEW seen");
    sqlite3_stmt *names = NULL;
    ck_assert_int_eq(sqlite3_prepare_v2(database->handle,
                                        "SELECT name FROM sqlite_schema WHERE sql IS NOT NULL"
                                        " AND name <> 'sqlite_sequence'",
                                        -1, &names, NULL),
                     SQLITE_OK);
    for (; sqlite3_step(names) == SQLITE_ROW; objects++)
        known += stele__schema_is_ours((const char *)sqlite3_column_text(names, 0));
    sqlite3_finalize(names);

    ck_assert_int_gt(objects, 10);
    ck_assert_int_eq(known, objects);
    ck_assert(stele__schema_is_ours("EVENTS"));
    ck_assert(stele__schema_is_ours("CheckPoints"));
    ck_assert(!stele__schema_is_ours("event"));
    ck_assert(!stele__schema_is_ours("events2"));
    ck_assert(!stele__schema_is_ours("\xd0\xb5vents"));
    ck_assert(!stele__schema_is_ours(""));
}
END_TEST

START_TEST(connection_without_it_can_be_armed_without_harm)
{
    static const stele__database_options settings = { .cache_size_kb = 1024 };
    stele__database *plain = NULL;
    ck_assert_int_eq(stele__database_open(":memory:", &settings, &plain), STELE_OK);

    stele__authorizer_arm(plain, true);

    ck_assert_int_eq(stele__database_execute(plain, "CREATE TABLE t(n)"), STELE_OK);
    stele__database_close(plain);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("authorizer");
    TCase *tests = tcase_create("armed");
    tcase_add_checked_fixture(tests, open_armed, close_database);
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, sql_on_the_users_own_tables_is_allowed, 0, (int)COUNT_OF(allowed));
    tcase_add_loop_test(tests, sql_that_touches_ours_is_refused, 0, (int)COUNT_OF(denied));
    tcase_add_loop_test(tests, what_sqlite_refuses_by_itself_stays_refused, 0,
                        (int)COUNT_OF(impossible));
    tcase_add_test(tests, control_without_it_events_can_be_deleted);
    tcase_add_test(tests, our_own_statements_work_while_it_is_disarmed);
    tcase_add_test(tests, kept_statement_is_asked_again_after_a_schema_change);
    tcase_add_test(tests, kept_statement_on_the_users_table_goes_on_after_a_schema_change);
    tcase_add_test(tests, each_object_of_the_schema_is_known_as_ours);
    tcase_add_test(tests, connection_without_it_can_be_armed_without_harm);
    return run_suite(suite);
}
