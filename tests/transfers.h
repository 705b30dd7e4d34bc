/**
 * @file tests/transfers.h
 * What the tests of WAL transfers share: the same work done with SQLite by hand, and the look at
 * the file afterwards. Include contract.h first.
 */
#ifndef STELE_TESTS_TRANSFERS_H
#define STELE_TESTS_TRANSFERS_H

#include <stele/verify.h>

#include "sqlite/database.h"

static inline bool has_the_bug(void)
{
    return stele__sqlite_has_wal_reset_bug();
}

static int hand_written_acks;

/* As large as most of a page: pages that later commits would write again hide what was lost. */
static const char insert_by_hand[] =
    "BEGIN IMMEDIATE;"
    "INSERT INTO events SELECT coalesce(max(position), 0) + 1, 1, coalesce(max(version), 0) + 1,"
    " 1, 1, 1, 0, NULL, 0, 0, 0, hex(zeroblob(1500)), NULL FROM events;"
    "COMMIT";

static const char settings_by_hand[] =
    "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA mmap_size=0";

static inline sqlite3 *open_by_hand(void)
{
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, settings_by_hand);
    return raw;
}

static inline int commit_by_hand(sqlite3 *raw)
{
    int code = sqlite3_exec(raw, insert_by_hand, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        hand_written_acks++;
    else
        sqlite3_exec(raw, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

static inline bool says_ok(sqlite3 *raw, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    bool ok = sqlite3_prepare_v2(raw, sql, -1, &statement, NULL) == SQLITE_OK
              && sqlite3_step(statement) == SQLITE_ROW
              && strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    sqlite3_finalize(statement);
    return ok;
}

/* Whether the file, closed by all, lacks one of `acks` events, or is damaged. */
static inline bool raw_file_is_harmed(int acks)
{
    sqlite3 *raw = NULL;
    sqlite3_stmt *statement = NULL;
    bool whole = sqlite3_open(store_path(), &raw) == SQLITE_OK
                 && sqlite3_prepare_v2(raw, "SELECT data FROM events ORDER BY position", -1,
                                       &statement, NULL)
                        == SQLITE_OK;
    int count = 0, code = SQLITE_DONE;
    while (whole && (code = sqlite3_step(statement)) == SQLITE_ROW)
        count++;
    whole = whole && code == SQLITE_DONE && count == acks;
    sqlite3_finalize(statement);
    whole = whole && says_ok(raw, "PRAGMA integrity_check");
    sqlite3_close(raw);
    return !whole;
}

static inline void make_file_by_hand(void)
{
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "PRAGMA page_size=4096; PRAGMA auto_vacuum=2; PRAGMA journal_mode=WAL");
    run_raw(raw, stele_schema_sql());
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
}

static inline bool verify_is_clean(stele_store *target)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    uint64_t failures = 0;
    stele_status status = stele_verify_open(target, NULL, &verify);
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK)
        failures += check->failures;
    stele_verify_close(verify);
    return status == STELE_DONE && failures == 0;
}

#endif
