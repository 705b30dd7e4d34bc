/* The door to SQLite: settings, statements, transactions, transfers. */
#include <stele.h>

#include "base/platform.h"
#include "sqlite/database.h"
#include "sqlite/statement.h"
#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static stele__database *database;

static const stele__database_options settings = { .busy_timeout_ms = 100, .cache_size_kb = 1024 };

static stele__database *open_file(bool fresh)
{
    stele__database *opened = NULL;
    char *path = NULL;
    ck_assert_int_eq(stele__resolve_path(test_path("file.db"), &path), STELE_OK);
    ck_assert_int_eq(stele__create_file(path), STELE_OK);
    ck_assert_int_eq(stele__database_open(path, &settings, &opened), STELE_OK);
    ck_assert_int_eq(stele__database_settle(opened, &settings, fresh), STELE_OK);
    free(path);
    return opened;
}

static void open_with_table(void)
{
    database = open_file(true);
    ck_assert_int_eq(stele__database_execute(database, "CREATE TABLE numbers(n INTEGER)"),
                     STELE_OK);
}

static void close_database(void)
{
    stele__database_close(database);
    database = NULL;
    remove_test_folder();
}

static int64_t number_of(stele__database *from, const char *sql)
{
    int64_t number = -1;
    ck_assert_int_eq(stele__database_number(from, sql, &number), STELE_OK);
    return number;
}

static void insert_number(int64_t number)
{
    stele__statement *statement = NULL;
    ck_assert_int_eq(stele__statement_begin(database, "INSERT INTO numbers VALUES(?1)", &statement),
                     STELE_OK);
    stele__bind_number(statement, 1, number);
    ck_assert_int_eq(stele__statement_run(statement), STELE_OK);
}

START_TEST(each_setting_holds_on_the_connection)
{
    static const struct {
        const char *sql;
        int64_t value;
    } facts[] = {
        { "PRAGMA page_size", 4096 },       { "PRAGMA auto_vacuum", 2 },
        { "PRAGMA synchronous", 2 },        { "PRAGMA foreign_keys", 1 },
        { "PRAGMA secure_delete", 1 },      { "PRAGMA trusted_schema", 0 },
        { "PRAGMA cell_size_check", 1 },    { "PRAGMA mmap_size", 0 },
        { "PRAGMA temp_store", 2 },         { "PRAGMA wal_autocheckpoint", 0 },
        { "PRAGMA busy_timeout", 100 },     { "PRAGMA query_only", 0 },
        { "PRAGMA recursive_triggers", 0 },
    };
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
        ck_assert_msg(number_of(database, facts[i].sql) == facts[i].value, "%s", facts[i].sql);
    ck_assert_int_eq(number_of(database, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"),
                     1);
}
END_TEST

START_TEST(triggers_and_views_do_not_run)
{
    ck_assert_int_eq(stele__database_execute(database,
                                             "CREATE TABLE copies(n);"
                                             "CREATE TRIGGER t AFTER INSERT ON numbers BEGIN"
                                             " INSERT INTO copies VALUES(1); END;"
                                             "CREATE VIEW v AS SELECT * FROM numbers"),
                     STELE_OK);
    insert_number(1);

    ck_assert_int_eq(number_of(database, "SELECT count(*) FROM copies"), 0);
    int64_t number = 0;
    ck_assert_int_lt(stele__database_number(database, "SELECT count(*) FROM v", &number), 0);
}
END_TEST

START_TEST(schema_can_not_be_written_by_hand)
{
    ck_assert_int_lt(stele__database_execute(database, "PRAGMA writable_schema=1;"
                                                       "DELETE FROM sqlite_schema"),
                     0);
    ck_assert_int_eq(number_of(database, "SELECT count(*) FROM sqlite_schema"), 1);
}
END_TEST

START_TEST(statement_is_prepared_once_for_each_text)
{
    for (int64_t i = 0; i < 100; i++)
        insert_number(i);

    ck_assert_int_eq(number_of(database, "SELECT count(*) FROM numbers"), 100);
    size_t count = database->statement_count;
    insert_number(100);
    ck_assert_uint_eq(database->statement_count, count);
}
END_TEST

START_TEST(statement_in_use_is_not_lent_twice)
{
    static const char sql[] = "SELECT n FROM numbers ORDER BY n";
    stele__statement *first = NULL;
    stele__statement *second = NULL;
    insert_number(1);
    insert_number(2);

    ck_assert_int_eq(stele__statement_begin(database, sql, &first), STELE_OK);
    ck_assert_int_eq(stele__statement_step(first), STELE_OK);
    ck_assert_int_eq(stele__statement_begin(database, sql, &second), STELE_OK);

    ck_assert_ptr_ne(first, second);
    ck_assert_int_eq(stele__statement_step(second), STELE_OK);
    ck_assert_int_eq(stele__statement_step(first), STELE_OK);
    ck_assert_int_eq(stele__column_number(first, 0), 2);
    ck_assert_int_eq(stele__column_number(second, 0), 1);
    stele__statement_end(first);
    stele__statement_end(second);
}
END_TEST

START_TEST(written_statements_take_the_place_of_the_oldest)
{
    for (int i = 0; i < 3 * STELE__STATEMENT_MAX; i++) {
        char sql[64];
        stele__statement *statement = NULL;
        snprintf(sql, sizeof(sql), "SELECT %d", i);
        ck_assert_int_eq(stele__statement_begin_text(database, sql, &statement), STELE_OK);
        ck_assert_int_eq(stele__statement_step(statement), STELE_OK);
        ck_assert_int_eq(stele__column_number(statement, 0), i);
        stele__statement_end(statement);
    }
    ck_assert_uint_le(database->statement_count, STELE__STATEMENT_MAX);
}
END_TEST

START_TEST(failed_bind_is_reported_by_the_step)
{
    stele__statement *statement = NULL;
    ck_assert_int_eq(stele__statement_begin(database, "SELECT ?1", &statement), STELE_OK);

    stele__bind_number(statement, 2, 1);

    ck_assert_int_lt(stele__statement_step(statement), 0);
    stele__statement_end(statement);
}
END_TEST

START_TEST(empty_text_and_blob_are_not_null)
{
    stele__statement *statement = NULL;
    ck_assert_int_eq(
        stele__statement_begin(database, "SELECT typeof(?1), typeof(?2), ?2", &statement),
        STELE_OK);
    stele__bind_text_bytes(statement, 1, NULL, 0);
    stele__bind_blob(statement, 2, NULL, 0);

    ck_assert_int_eq(stele__statement_step(statement), STELE_OK);

    size_t size = 1;
    ck_assert_str_eq(stele__column_text(statement, 0), "text");
    ck_assert_str_eq(stele__column_text(statement, 1), "blob");
    ck_assert_ptr_nonnull(stele__column_bytes(statement, 2, &size));
    ck_assert_uint_eq(size, 0);
    stele__statement_end(statement);
}
END_TEST

START_TEST(rollback_undoes_and_commit_keeps)
{
    ck_assert_int_eq(stele__database_begin(database), STELE_OK);
    insert_number(1);
    stele__database_rollback(database);
    stele__database_rollback(database);
    ck_assert_int_eq(stele__database_begin(database), STELE_OK);
    insert_number(2);
    uint64_t ended = database->transaction_count;

    ck_assert_int_eq(stele__database_commit(database), STELE_OK);

    ck_assert_uint_eq(database->transaction_count, ended + 1);
    ck_assert_int_eq(number_of(database, "SELECT sum(n) FROM numbers"), 2);
    ck_assert(!stele__database_in_transaction(database));
}
END_TEST

START_TEST(second_writer_is_busy_after_the_timeout)
{
    stele__database *other = open_file(false);
    ck_assert_int_eq(stele__database_begin(database), STELE_OK);

    ck_assert_int_eq(stele__database_begin(other), STELE_BUSY);

    stele__database_rollback(database);
    ck_assert_int_eq(stele__database_begin(other), STELE_OK);
    stele__database_rollback(other);
    stele__database_close(other);
}
END_TEST

START_TEST(data_version_moves_once_a_commit_is_seen)
{
    stele__database *other = open_file(false);
    ck_assert_int_eq(number_of(other, "SELECT count(*) FROM numbers"), 0);
    uint32_t before = stele__database_data_version(other);
    uint32_t own_before = stele__database_data_version(database);

    insert_number(1);

    uint32_t own = stele__database_data_version(database);
    ck_assert_uint_ne(own, own_before);
    ck_assert_uint_eq(stele__database_data_version(other), before);
    ck_assert_int_eq(number_of(other, "SELECT count(*) FROM numbers"), 1);
    ck_assert_uint_ne(stele__database_data_version(other), before);
    ck_assert_int_eq(number_of(database, "SELECT count(*) FROM numbers"), 1);
    ck_assert_uint_eq(stele__database_data_version(database), own);
    stele__database_close(other);
}
END_TEST

START_TEST(transfer_moves_the_pages_of_the_wal)
{
    stele__database *other = open_file(false);
    uint32_t pages = 0;
    uint32_t copied = 0;
    for (int64_t i = 0; i < 10; i++)
        insert_number(i);
    ck_assert_uint_gt(database->wal_pages, 0);

    ck_assert_int_eq(stele__database_begin(database), STELE_OK);
    ck_assert_int_eq(stele__database_transfer(other, &pages, &copied), STELE_OK);
    stele__database_rollback(database);

    ck_assert_uint_ge(pages, 10);
    ck_assert_uint_eq(pages, copied);
    stele__database_close(other);
}
END_TEST

START_TEST(versions_with_the_wal_reset_bug_are_known)
{
    unsigned major = 0;
    unsigned minor = 0;
    unsigned patch = 0;
    ck_assert_int_eq(sscanf(stele_sqlite_version(), "%u.%u.%u", &major, &minor, &patch), 3);
    bool mended = minor > 51 || (minor == 51 && patch >= 3) || (minor == 50 && patch >= 7)
                  || (minor == 44 && patch >= 6);

    ck_assert_int_eq(stele__sqlite_has_wal_reset_bug(), !mended);
}
END_TEST

static Suite *sqlite_suite(void)
{
    Suite *suite = suite_create("sqlite");
    TCase *tests = tcase_create("file");
    tcase_add_checked_fixture(tests, open_with_table, close_database);
    tcase_add_test(tests, each_setting_holds_on_the_connection);
    tcase_add_test(tests, triggers_and_views_do_not_run);
    tcase_add_test(tests, schema_can_not_be_written_by_hand);
    tcase_add_test(tests, statement_is_prepared_once_for_each_text);
    tcase_add_test(tests, statement_in_use_is_not_lent_twice);
    tcase_add_test(tests, written_statements_take_the_place_of_the_oldest);
    tcase_add_test(tests, failed_bind_is_reported_by_the_step);
    tcase_add_test(tests, empty_text_and_blob_are_not_null);
    tcase_add_test(tests, rollback_undoes_and_commit_keeps);
    tcase_add_test(tests, second_writer_is_busy_after_the_timeout);
    tcase_add_test(tests, data_version_moves_once_a_commit_is_seen);
    tcase_add_test(tests, transfer_moves_the_pages_of_the_wal);
    tcase_add_test(tests, versions_with_the_wal_reset_bug_are_known);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(sqlite_suite());
}
