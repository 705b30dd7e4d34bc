/**
 * @file tests/crash/oracle.h
 * Judges a store after a power cut: what it must still hold, and what it must be able to do.
 */
#ifndef STELE_TESTS_CRASH_ORACLE_H
#define STELE_TESTS_CRASH_ORACLE_H

#include "crash/history.h"

/** What came of one image. */
typedef struct verdict {
    int64_t lost;    /* acknowledged events that are gone; a failure with full durability only */
    int64_t kept;    /* events that are there although nobody was told so before the cut */
    int64_t doubled; /* events that are in two places; broken, too */
    bool resumed;    /* work that had been cut short was found */
    bool broken;     /* something that may never be */
    char reason[800];
} verdict;

/** Say that something is broken, with a reason as printf() does. The first reason stays. */
void verdict_break(verdict *found, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** The same about a call that failed, with its error text. */
void verdict_break_status(verdict *found, const char *doing, stele_status status);

/** Run every check of stele_verify_open(). */
void verdict_verify(verdict *found, stele_store *store, const char *when);

/**
 * What a workload knows and the log doesn't, such as its own tables. `head` is how much of the log
 * is left; says what is wrong through verdict_break().
 */
typedef void (*oracle_check)(void *context, stele_store *store, int64_t head, verdict *found);

typedef struct oracle {
    const history *past;
    stele_durability durability; /* with which the store was opened */
    oracle_check check;          /* may be NULL */
    void *context;
} oracle;

/**
 * Open what a cut before the operation `cut` left at `path`, and judge it. Changes the file.
 *
 * @param boot     A number that no earlier life of the file had.
 * @param thorough Also ask plain SQLite, and open the file a second time.
 */
verdict oracle_judge(const oracle *judge, const char *path, size_t cut, unsigned boot,
                     bool thorough);

#endif
