/**
 * @file tests/bank_log.h
 * The books of a bank, checked by plain SQL on the file: nothing here asks the library.
 */
#ifndef STELE_TESTS_BANK_LOG_H
#define STELE_TESTS_BANK_LOG_H

#include "support.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every event of every account, with what it moves. */
static const char make_moves[] =
    "CREATE TEMP TABLE moves AS SELECT e.position, s.name AS stream, e.version, t.name AS type,"
    "  iif(t.name IN ('Withdrawn', 'TransferSent'), -1, 1) AS sign,"
    "  coalesce(CAST(e.data AS TEXT) ->> 'amount', 0) AS amount,"
    "  CAST(e.data AS TEXT) ->> 'transfer' AS transfer, CAST(e.data AS TEXT) ->> 'other' AS other"
    " FROM events AS e JOIN streams AS s ON s.id = e.stream JOIN types AS t ON t.id = e.type"
    " WHERE s.name GLOB 'account-*';"
    "CREATE INDEX temp.by_transfer ON moves(transfer);"
    "CREATE TEMP TABLE acknowledged(name TEXT PRIMARY KEY) WITHOUT ROWID";

enum {
    TWO_SIDES,
    NAME_EACH_OTHER,
    CONSERVED,
    NOT_BELOW_ZERO,
    OPENED_ONCE,
    PAID_ONCE,
    ACKNOWLEDGED,
    VERSIONS_DENSE,
    POSITIONS_DENSE,
    BOOK_CHECKS
};

/* Each counts what is wrong. */
static const struct {
    const char *name;
    const char *count;
} book_checks[BOOK_CHECKS] = {
    [TWO_SIDES] = { "a transfer is sent once and received once, of one amount",
                    "SELECT count(*) FROM (SELECT 1 FROM moves WHERE transfer IS NOT NULL"
                    " GROUP BY transfer HAVING count(*) <> 2 OR sum(sign) <> 0"
                    "  OR min(amount) <> max(amount) OR count(DISTINCT stream) <> 2)" },
    [NAME_EACH_OTHER] = { "the sides of a transfer name each other",
                          "SELECT count(*) FROM moves AS one JOIN moves AS other"
                          " ON one.transfer = other.transfer AND one.sign < other.sign"
                          " WHERE one.other <> other.stream OR other.other <> one.stream" },
    [CONSERVED] = { "no transfer makes or loses money",
                    "SELECT coalesce(sum(sign * amount), 0) <> 0 FROM moves"
                    " WHERE transfer IS NOT NULL" },
    [NOT_BELOW_ZERO] = { "no account was ever below zero",
                         "SELECT count(*) FROM (SELECT sum(sign * amount)"
                         "  OVER (PARTITION BY stream ORDER BY version) AS balance FROM moves)"
                         " WHERE balance < 0" },
    [OPENED_ONCE] = { "an account begins with its opening and first deposit, and has no other",
                      "SELECT count(*) FROM moves WHERE (type = 'AccountOpened') <> (version = 1)"
                      " OR (version = 2 AND type <> 'Deposited')" },
    [PAID_ONCE] = { "each payment over the counter has its key, and each key its payment",
                    "SELECT (SELECT count(*) FROM moves WHERE transfer IS NULL AND version > 2)"
                    " <> (SELECT count(*) FROM idempotency WHERE key GLOB '* cash')" },
    [ACKNOWLEDGED] = { "what was acknowledged is there",
                       "SELECT count(*) FROM acknowledged AS a WHERE NOT EXISTS"
                       "  (SELECT 1 FROM moves WHERE transfer = a.name)"
                       " AND NOT EXISTS"
                       "  (SELECT 1 FROM idempotency WHERE key = a.name || ' cash')" },
    [VERSIONS_DENSE] = { "no version is missing",
                         "SELECT count(*) FROM (SELECT 1 FROM events GROUP BY stream"
                         " HAVING min(version) <> 1 OR max(version) <> count(*))" },
    [POSITIONS_DENSE] = { "no position is missing", "SELECT count(*) > 0 AND (min(position) <> 1"
                                                    " OR max(position) <> count(*)) FROM events" },
};

static inline void run_on_books(sqlite3 *books, const char *sql)
{
    char *error = NULL;
    int code = sqlite3_exec(books, sql, NULL, NULL, &error);
    ck_assert_msg(code == SQLITE_OK, "%s: %s", sql, error);
}

static inline int64_t ask_books(sqlite3 *books, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    ck_assert_msg(sqlite3_prepare_v2(books, sql, -1, &statement, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(books));
    ck_assert_msg(sqlite3_step(statement) == SQLITE_ROW, "%s", sqlite3_errmsg(books));
    int64_t answer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return answer;
}

/* Add the names in `path`, one a line; a last line that isn't ended was cut off. What else was
 * printed is no name. */
static inline void note_acknowledged(sqlite3 *books, const char *path)
{
    char line[256];
    sqlite3_stmt *insert = NULL;
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(sqlite3_prepare_v2(books, "INSERT OR IGNORE INTO acknowledged VALUES (?1)", -1,
                                        &insert, NULL),
                     SQLITE_OK);
    while (fgets(line, sizeof(line), file) != NULL) {
        size_t size = strlen(line);
        if (size < 2 || line[size - 1] != '\n' || line[0] < '0' || line[0] > '9')
            continue;
        sqlite3_bind_text(insert, 1, line, (int)size - 1, SQLITE_STATIC);
        ck_assert_int_eq(sqlite3_step(insert), SQLITE_DONE);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    fclose(file);
}

/* What is wrong with the books: a bit for each check. */
typedef struct books_found {
    unsigned wrong;
    int64_t events;
    int64_t acknowledged;
} books_found;

/* `acknowledged` is a list of `count` files. */
static inline books_found check_books(const char *path, const char *const *acknowledged,
                                      size_t count)
{
    books_found found = { 0 };
    sqlite3 *books = NULL;
    ck_assert_int_eq(sqlite3_open_v2(path, &books, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    run_on_books(books, make_moves);
    for (size_t i = 0; i < count; i++)
        note_acknowledged(books, acknowledged[i]);
    for (size_t i = 0; i < BOOK_CHECKS; i++)
        found.wrong |= ask_books(books, book_checks[i].count) != 0 ? 1u << i : 0;
    found.events = ask_books(books, "SELECT count(*) FROM moves");
    found.acknowledged = ask_books(books, "SELECT count(*) FROM acknowledged");
    sqlite3_close(books);
    return found;
}

/* The names of the checks that are red, for people. */
static inline const char *red_checks(unsigned wrong)
{
    static char text[1024];
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < BOOK_CHECKS; i++)
        if ((wrong & 1u << i) != 0 && size < sizeof(text))
            size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s", size > 0 ? "; " : "",
                                     book_checks[i].name);
    return text;
}

#endif
