/**
 * @file tests/imposter.h
 * Damage of an index (or table) alone, by SQL, which would otherwise keep both in step.
 */
#ifndef STELE_TESTS_IMPOSTER_H
#define STELE_TESTS_IMPOSTER_H

#include "contract.h"

/* Run `sql` on the table `imposter`, which the statement `table` lays over the pages of `name`. */
static inline void run_on_pages(const char *name, const char *table, const char *sql)
{
    char text[128];
    sqlite3 *raw = open_raw(store_path());
    snprintf(text, sizeof(text), "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", name);
    int root = (int)raw_number(raw, text);
    ck_assert_int_gt(root, 1);
    ck_assert_int_eq(sqlite3_test_control(SQLITE_TESTCTRL_IMPOSTER, raw, "main", 1, root),
                     SQLITE_OK);
    run_raw(raw, table);
    sqlite3_test_control(SQLITE_TESTCTRL_IMPOSTER, raw, "main", 0, 0);
    run_raw(raw, sql);
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
}

#endif
