/* Figures of a store that cost little, whatever its length. */
#ifndef STELE_STORE_FIGURES_H
#define STELE_STORE_FIGURES_H

#include "store/store.h"

typedef struct stele__figures {
    int64_t head;
    int64_t streams; /* that have a name */
    int64_t entries; /* of state */
    int64_t file_bytes;
    int64_t last_recorded_at; /* of the event at the head; 0: none */
} stele__figures;

/* As of one moment. OK, BUSY, CORRUPT, IO, NO_MEMORY, MISUSE, CLOSED. */
stele_status stele__store_figures(stele_store *store, stele__figures *figures_out);

/*
 * Wait until who is just committing, in whichever process, has done so: what was in the WAL before
 * this call is then visible, or never will be. OK; BUSY, CANCELLED, CLOSED by `wait`; READ_ONLY: it
 * can't be told on a store that may not be written; MISUSE (this thread has a transaction open),
 * IO, ...
 */
stele_status stele__commits_settle(stele_store *store, const stele_wait *wait);

#endif
