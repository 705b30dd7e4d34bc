/* How an area proves its part of the file: a table of named checks, run one at a time. */
#ifndef STELE_STORE_CHECK_H
#define STELE_STORE_CHECK_H

#include "base/failure.h"
#include "sqlite/statement.h"
#include "store/store.h"
#include "store/work.h"

/* What a check has found so far. */
typedef struct stele__findings {
    uint64_t count;
    uint64_t failures;
    char offender[STELE__ERROR_SIZE]; /* the first */
    stele__work *work;                /* asked between two reads */
} stele__findings;

/*
 * Runs inside reads of its own, so that writers go on. Damage is a finding; CORRUPT as an answer
 * counts as one more, after which the check could not go on.
 */
typedef stele_status (*stele__check_function)(stele_store *store, stele__findings *findings);

/*
 * Builds anew what is derived from the rest, in write transactions of its own. `*repaired_out` says
 * whether anything was. CORRUPT: that can't be done. Also when nothing is wrong with it.
 */
typedef stele_status (*stele__repair_function)(stele_store *store, const stele_wait *wait,
                                               bool *repaired_out);

typedef struct stele__check {
    const char *name;
    stele__check_function run;
    stele__repair_function repair; /* NULL: what it looks at is derived from nothing */
} stele__check;

/* A thing was wrong: counted, and named if it is the first. The text is that of stele__fail(). */
void stele__findings_add_error(stele__findings *findings);

/* The checks of this area; `*count_out` of them. */
const stele__check *stele__store_checks(size_t *count_out);

/* One hash over all columns of the rows that `sql` gives, in their order. */
stele_status stele__digest_rows(stele__database *database, const char *sql, uint64_t *hash);
/* The same of a statement that has begun, and is ended by the caller. */
stele_status stele__digest_statement(stele__statement *statement, uint64_t *hash);

/* --- walk.c: through a table, a step of the work at a time --- */

/* The longest key of text that a walk follows: longer ones were never stored. */
#define STELE__WALK_KEY_MAX 1024

/*
 * Where a walk stands. Its SQL takes, as ?1 and ?2, the key to go on after, and as ?3 how many rows
 * to give, in the order of that key. With a key of text, that is ?1, and ?2 is 0 for the first
 * step, which begins with whatever is lowest, and 1 for the others.
 */
typedef struct stele__walk {
    stele__findings *findings;
    stele_store *store; /* for visitors that need it */
    int64_t first;      /* the key reached, set by the visitor: a position, id or stream */
    int64_t second;     /* a version */
    bool by_text;
    bool with_number; /* after the text, `second` is of the key, too: it is ?4 */
    char text[STELE__WALK_KEY_MAX];
    size_t text_size;
    const char *total; /* SQL for how many rows there are; NULL: not known */
    stele_status (*begin)(stele__connection *connection); /* of each read; NULL: nothing to do */
    bool done;
} stele__walk;

/* Looks at a row and notes its key in the walk. Damage is added to the findings, and OK. */
typedef stele_status (*stele__walk_visitor)(stele__connection *connection,
                                            stele__statement *statement, stele__walk *walk);

/* Visit all rows, each step in a read of its own, with the work asked in between. */
stele_status stele__walk_rows(stele_store *store, const char *sql, stele__walk_visitor visit,
                              stele__walk *walk);

/* Note the key of text: CORRUPT when it is none of ours. */
stele_status stele__walk_note_text(stele__walk *walk, const char *text);

/* --- repair.c --- */

/* Build the SQL indexes of `table` (NULL: of all our tables) anew where SQLite finds fault with
 * them. A stele__repair_function but for the table. */
stele_status stele__repair_indexes(stele_store *store, const stele_wait *wait, const char *table,
                                   bool *repaired_out);

#endif
