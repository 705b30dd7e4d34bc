/* Long work, between its steps: how fast it may go, and whether it may go on. */
#ifndef STELE_STORE_WORK_H
#define STELE_STORE_WORK_H

#include <stele/work.h>

#include "store/store.h"

/* Work in progress. */
typedef struct stele__work {
    stele_work options;         /* full size, whatever the caller's was */
    stele_store *store;         /* NULL: `closing` says when to end */
    const atomic_bool *closing; /* of what isn't a store */
    stele_store *other;         /* that the part at work needs, too; NULL: none */
    stele_progress progress;
    int64_t began_us;
} stele__work;

/* Take over the caller's `work` (NULL: defaults). MISUSE for a wrong one. */
stele_status stele__work_begin(stele__work *work, stele_store *store, const stele_work *options);

/* A new part of it; `total` 0 when that isn't known. */
void stele__work_part(stele__work *work, const char *doing, uint64_t total);

/*
 * A step was done: `done` more things of this part, `bytes` more bytes. Without a lock held or a
 * read in progress: it tells the user, and sleeps when it was too fast. OK to go on; CANCELLED,
 * CLOSED.
 */
stele_status stele__work_step(stele__work *work, uint64_t done, uint64_t bytes);

/* space.c: stele_store_shrink() and stele_store_scrub() as parts of other work. */
stele_status stele__store_shrink(stele_store *store, stele__work *work, int64_t *bytes_out);
stele_status stele__store_scrub(stele_store *store, stele__work *work);

#endif
