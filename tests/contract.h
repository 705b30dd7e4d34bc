/**
 * @file tests/contract.h
 * What the tests of the store's contract share: short ways to append, to read back and to tamper.
 *
 * The fixtures keep the store of the running test in `store`; what takes no store uses that one.
 */
#ifndef STELE_TESTS_CONTRACT_H
#define STELE_TESTS_CONTRACT_H

#include <stele/checkpoint.h>
#include <stele/eventstore.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/transaction.h>

#include "support.h"

#include <check.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* As ck_assert_int_eq() on two statuses, but by name and with the reason. */
#define assert_status(call, expected)                                                              \
    do {                                                                                           \
        stele_status got_ = (call);                                                                \
        ck_assert_msg(got_ == (expected), "%s is %s, not %s: %s", #call, stele_status_name(got_),  \
                      stele_status_name(expected), got_ < 0 ? stele_error_text() : "no reason");   \
    } while (0)

/* The reason of the last failure holds `part`. */
#define assert_reason_has(part)                                                                    \
    ck_assert_msg(strstr(stele_error_text(), (part)) != NULL, "'%s' lacks '%s'",                   \
                  stele_error_text(), (part))

/* --- The store of the running test --- */

static stele_store *store;

static inline const char *store_path(void)
{
    return test_path("store.db");
}

static inline stele_store *open_path(const char *path, const stele_options *options)
{
    stele_store *opened = NULL;
    assert_status(stele_store_open(path, options, &opened), STELE_OK);
    ck_assert_ptr_nonnull(opened);
    return opened;
}

/* Opening must fail so, and hand out nothing. */
static inline void refuse_path(const char *path, const stele_options *options,
                               stele_status expected)
{
    stele_store *opened = (stele_store *)&opened;
    assert_status(stele_store_open(path, options, &opened), expected);
    ck_assert_ptr_null(opened);
}

static inline void open_in_memory(void)
{
    store = open_path(":memory:", NULL);
}

static inline void open_in_file(void)
{
    store = open_path(store_path(), NULL);
}

static inline void close_store(void)
{
    stele_store_close(store);
    store = NULL;
}

static inline void reopen_file(void)
{
    close_store();
    open_in_file();
}

static inline void close_and_remove(void)
{
    close_store();
    remove_test_folder();
}

/* A case whose tests find `store` open; `setup` is one of the fixtures above, or NULL. */
static inline TCase *add_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, close_and_remove);
    suite_add_tcase(suite, tests);
    return tests;
}

/* --- Appending --- */

static inline stele_event make_event(const char *type, const char *data)
{
    stele_event event = { 0 };
    event.type = type;
    event.data = data;
    event.data_size = strlen(data);
    return event;
}

static inline stele_append make_append(const char *stream, int64_t expected_version,
                                       const stele_event *events, size_t event_count)
{
    stele_append append = STELE_APPEND_INIT;
    append.stream = stream;
    append.expected_version = expected_version;
    append.events = events;
    append.event_count = event_count;
    return append;
}

static inline stele_status append_to(stele_store *target, const char *stream,
                                     int64_t expected_version, const char *type,
                                     stele_appended *appended_out)
{
    stele_event event = make_event(type, "{}");
    stele_append append = make_append(stream, expected_version, &event, 1);
    return stele_store_append(target, &append, appended_out);
}

static inline stele_status append_one(const char *stream, int64_t expected_version,
                                      const char *type, stele_appended *appended_out)
{
    return append_to(store, stream, expected_version, type, appended_out);
}

static inline stele_status append_event(const char *stream, const stele_event *event)
{
    stele_append append = make_append(stream, STELE_ANY, event, 1);
    return stele_store_append(store, &append, NULL);
}

/* Append `count` events "counted" one by one; the data of the n-th is {"n":n}. */
static inline void fill_stream(const char *stream, int count)
{
    for (int i = 1; i <= count; i++) {
        char data[32];
        snprintf(data, sizeof(data), "{\"n\":%d}", i);
        stele_event event = make_event("counted", data);
        assert_status(append_event(stream, &event), STELE_OK);
    }
}

/* --- Reading --- */

static inline int64_t head_of(stele_store *target)
{
    int64_t position = -1;
    assert_status(stele_store_head(target, &position), STELE_OK);
    return position;
}

/* The version of `stream`, 0 when there is none. */
static inline int64_t version_of(const char *stream)
{
    stele_stream_info info = { 0 };
    stele_status status = stele_store_stream(store, stream, &info);
    if (status == STELE_NOT_FOUND)
        return 0;
    assert_status(status, STELE_OK);
    return info.version;
}

static inline stele_cursor *open_read(const stele_read *read)
{
    stele_cursor *cursor = NULL;
    assert_status(stele_store_read(store, read, &cursor), STELE_OK);
    ck_assert_ptr_nonnull(cursor);
    return cursor;
}

static inline const stele_record *next_record(stele_cursor *cursor)
{
    const stele_record *record = NULL;
    assert_status(stele_cursor_next(cursor, &record), STELE_OK);
    ck_assert_ptr_nonnull(record);
    return record;
}

static inline void expect_done(stele_cursor *cursor)
{
    const stele_record *record = (const stele_record *)&record;
    assert_status(stele_cursor_next(cursor, &record), STELE_DONE);
    ck_assert_ptr_null(record);
}

/* The only record of `stream`, from a cursor that the caller closes. */
static inline const stele_record *read_only_record(const char *stream, stele_cursor **cursor_out)
{
    stele_read read = STELE_READ_INIT;
    read.stream = stream;
    *cursor_out = open_read(&read);
    return next_record(*cursor_out);
}

#define NUMBERS_SIZE 4096

/* Drain and close `cursor`: its positions (or versions) as text, "1 3 5". Borrowed until next. */
static inline const char *drain_numbers(stele_cursor *cursor, bool versions)
{
    static char text[NUMBERS_SIZE];
    size_t size = 0;
    text[0] = '\0';
    const stele_record *record = NULL;
    stele_status status;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        int64_t number = versions ? record->version : record->position;
        int length =
            snprintf(text + size, sizeof(text) - size, "%s%" PRId64, size > 0 ? " " : "", number);
        ck_assert_int_gt(length, 0);
        ck_assert_uint_lt(size + (size_t)length, sizeof(text));
        size += (size_t)length;
    }
    assert_status(status, STELE_DONE);
    stele_cursor_close(cursor);
    return text;
}

static inline const char *positions_of(const stele_read *read)
{
    return drain_numbers(open_read(read), false);
}

static inline const char *versions_of(const stele_read *read)
{
    return drain_numbers(open_read(read), true);
}

/* --- Transactions --- */

static inline stele_transaction *begin(void)
{
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    ck_assert_ptr_nonnull(transaction);
    return transaction;
}

static inline void commit_and_end(stele_transaction *transaction)
{
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);
}

static inline stele_status append_in(stele_transaction *transaction, const char *stream,
                                     int64_t expected_version, stele_appended *appended_out)
{
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append(stream, expected_version, &event, 1);
    return stele_transaction_append(transaction, &append, appended_out);
}

/* --- The file behind the library's back; only while no store has it open --- */

static inline sqlite3 *open_raw(const char *path)
{
    sqlite3 *raw = NULL;
    ck_assert_int_eq(sqlite3_open_v2(path, &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                     SQLITE_OK);
    return raw;
}

static inline void run_raw(sqlite3 *raw, const char *sql)
{
    char *reason = NULL;
    int result = sqlite3_exec(raw, sql, NULL, NULL, &reason);
    ck_assert_msg(result == SQLITE_OK, "%s: %s", sql, reason);
}

static inline void run_sql(const char *path, const char *sql)
{
    sqlite3 *raw = open_raw(path);
    run_raw(raw, "PRAGMA ignore_check_constraints = ON");
    run_raw(raw, sql);
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
}

/* The first column of the first row; -1 for no row. */
static inline int64_t raw_number(sqlite3 *raw, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    ck_assert_msg(sqlite3_prepare_v2(raw, sql, -1, &statement, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(raw));
    int64_t number = -1;
    if (sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static inline int64_t sql_number(const char *path, const char *sql)
{
    sqlite3 *raw = open_raw(path);
    sqlite3_busy_timeout(raw, 60000); /* another process may recover it, or be the last to close */
    int64_t number = raw_number(raw, sql);
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
    return number;
}

/* --- The user's own SQL inside a transaction --- */

static inline int run_in(stele_transaction *transaction, const char *sql)
{
    return sqlite3_exec(stele_transaction_sqlite(transaction), sql, NULL, NULL, NULL);
}

static inline int64_t number_in(stele_transaction *transaction, const char *sql)
{
    return raw_number(stele_transaction_sqlite(transaction), sql);
}

static inline void create_balances(void)
{
    stele_transaction *transaction = begin();
    ck_assert_int_eq(run_in(transaction, "CREATE TABLE balances(account TEXT, amount INTEGER)"),
                     SQLITE_OK);
    commit_and_end(transaction);
}

/* --- Files --- */

typedef struct file_copy {
    unsigned char *data;
    size_t size;
} file_copy;

static inline file_copy load_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "no file '%s'", path);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    ck_assert_int_ge(size, 0);
    rewind(file);
    file_copy copy = { malloc((size_t)size + 1), (size_t)size };
    ck_assert_ptr_nonnull(copy.data);
    ck_assert_uint_eq(fread(copy.data, 1, copy.size, file), copy.size);
    fclose(file);
    return copy;
}

static inline void save_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file != NULL, "can't write '%s'", path);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static inline void copy_file(const char *from, const char *to)
{
    file_copy copy = load_file(from);
    save_file(to, copy.data, copy.size);
    free(copy.data);
}

/* The file still holds exactly `before`, which is freed. */
static inline void expect_unchanged(const char *path, file_copy before)
{
    file_copy now = load_file(path);
    ck_assert_uint_eq(now.size, before.size);
    ck_assert_mem_eq(now.data, before.data, before.size);
    free(now.data);
    free(before.data);
}

static inline bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* --- Processes --- */

/* Run `body` in a child that leaves without cleaning up, as one that was killed would. */
static inline int run_in_child(int (*body)(void *context), void *context)
{
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(body(context));
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "the child died by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

#endif
