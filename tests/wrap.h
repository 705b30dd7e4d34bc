/**
 * @file tests/wrap.h
 * A handle of the caller's, a store wrapped around it, and all that can be read of its settings.
 */
#ifndef STELE_TESTS_WRAP_H
#define STELE_TESTS_WRAP_H

#include "contract.h"

/* The caller's; `store` of contract.h wraps it. */
static sqlite3 *handle;

static inline void open_handle(const char *path, const char *sql)
{
    ck_assert_int_eq(
        sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
        SQLITE_OK);
    run_raw(handle, sql);
}

static inline void wrap_with(const stele_options *options)
{
    assert_status(stele_store_wrap(handle, options, &store), STELE_OK);
    ck_assert_ptr_nonnull(store);
}

static inline void refuse_wrap_with(const stele_options *options, stele_status expected)
{
    stele_store *opened = (stele_store *)&opened;
    assert_status(stele_store_wrap(handle, options, &opened), expected);
    ck_assert_ptr_null(opened);
}

/* The usual case: a new file in WAL mode. */
static inline void wrap_file(void)
{
    open_handle(store_path(), "PRAGMA journal_mode=WAL");
    wrap_with(NULL);
}

static inline void wrap_memory(void)
{
    open_handle(":memory:", "");
    wrap_with(NULL);
}

/* Nothing of the store's is left on it: else closing it would be refused. */
static inline void close_handle(void)
{
    close_store();
    ck_assert_int_eq(sqlite3_close(handle), SQLITE_OK);
    handle = NULL;
}

static inline void close_both_and_remove(void)
{
    close_store();
    sqlite3_close_v2(handle);
    handle = NULL;
    remove_test_folder();
}

static inline TCase *add_wrap_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, close_both_and_remove);
    suite_add_tcase(suite, tests);
    return tests;
}

static inline uint32_t guarantees_now(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert(info.wrapped);
    return info.guarantees;
}

/* --- All that can be read of a handle --- */

/* These do something, or tell of the file and not of the handle. */
static inline bool is_setting(const char *pragma)
{
    static const char *const others[] = {
        "wal_checkpoint", "optimize",          "incremental_vacuum",
        "shrink_memory",  "data_version",      "schema_version",
        "freelist_count", "page_count",        "application_id",
        "user_version",   "auto_vacuum",       "integrity_check",
        "quick_check",    "foreign_key_check", "stats",
    };
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (strcmp(others[i], pragma) == 0)
            return false;
    return true;
}

#define SETTINGS_SIZE 65536

static inline size_t note_pragma(const char *name, char *text, size_t size)
{
    sqlite3_stmt *statement = NULL;
    char sql[128];
    snprintf(sql, sizeof(sql), "PRAGMA main.%s", name);
    ck_assert_msg(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK, "%s", sql);
    size += (size_t)snprintf(text + size, SETTINGS_SIZE - size, "%s", name);
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_count(statement) == 1)
        size += (size_t)snprintf(text + size, SETTINGS_SIZE - size, "=%s",
                                 (const char *)sqlite3_column_text(statement, 0));
    size += (size_t)snprintf(text + size, SETTINGS_SIZE - size, "\n");
    ck_assert_uint_lt(size, SETTINGS_SIZE);
    sqlite3_finalize(statement);
    return size;
}

/* Every pragma, every flag of sqlite3_db_config(), every limit, one a line. To be freed. */
static inline char *read_settings(void)
{
    char *text = calloc(1, SETTINGS_SIZE);
    size_t size = 0;
    sqlite3_stmt *names = NULL;
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(sqlite3_prepare_v2(handle, "SELECT DISTINCT name FROM pragma_pragma_list", -1,
                                        &names, NULL),
                     SQLITE_OK);
    while (sqlite3_step(names) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(names, 0);
        if (is_setting(name))
            size = note_pragma(name, text, size);
    }
    sqlite3_finalize(names);
    for (int option = SQLITE_DBCONFIG_ENABLE_FKEY; option <= SQLITE_DBCONFIG_MAX; option++) {
        int now = -1;
        if (option == SQLITE_DBCONFIG_RESET_DATABASE)
            continue;
        sqlite3_db_config(handle, option, -1, &now);
        size +=
            (size_t)snprintf(text + size, SETTINGS_SIZE - size, "db_config %d=%d\n", option, now);
    }
    for (int limit = 0; limit <= SQLITE_LIMIT_WORKER_THREADS; limit++)
        size += (size_t)snprintf(text + size, SETTINGS_SIZE - size, "limit %d=%d\n", limit,
                                 sqlite3_limit(handle, limit, -1));
    ck_assert_uint_lt(size, SETTINGS_SIZE);
    return text;
}

/* They are what they were; frees `before`. */
static inline void expect_settings(char *before)
{
    char *now = read_settings();
    ck_assert_str_eq(now, before);
    free(now);
    free(before);
}

/* Nobody has prepared a statement on it and not finalized it. */
static inline void expect_no_statements(void)
{
    sqlite3_stmt *left = sqlite3_next_stmt(handle, NULL);
    ck_assert_msg(left == NULL, "left behind: %s", sqlite3_sql(left));
}

#endif
