/* How an area proves its part of the file: a table of named checks, run one at a time. */
#ifndef STELE_STORE_CHECK_H
#define STELE_STORE_CHECK_H

#include "base/failure.h"
#include "store/store.h"

/* What a check has found so far. */
typedef struct stele__findings {
    uint64_t count;
    uint64_t failures;
    char offender[STELE__ERROR_SIZE]; /* the first */
} stele__findings;

/*
 * Runs inside reads of its own, so that writers go on. Damage is a finding; CORRUPT as an answer
 * counts as one more, after which the check could not go on.
 */
typedef stele_status (*stele__check_function)(stele_store *store, stele__findings *findings);

typedef struct stele__check {
    const char *name;
    stele__check_function run;
} stele__check;

/* A thing was wrong: counted, and named if it is the first. The text is that of stele__fail(). */
void stele__findings_add_error(stele__findings *findings);

/* The checks of this area; `*count_out` of them. */
const stele__check *stele__store_checks(size_t *count_out);

/* One hash over all columns of the rows that `sql` gives, in their order. */
stele_status stele__digest_rows(stele__database *database, const char *sql, uint64_t *hash);

#endif
