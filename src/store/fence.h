/*
 * A fence: a durable note in the file (a row of `meta`) that no writer gets past, in whichever
 * process, but who put it up. Reading goes on. Each write transaction looks at it when it has
 * begun, so that what was committed was committed before the fence.
 */
#ifndef STELE_STORE_FENCE_H
#define STELE_STORE_FENCE_H

#include "store/store.h"

/* What writers are told. */
typedef enum stele__fence_kind {
    STELE__FENCE_MOVE = 1, /* STELE_MOVED */
    STELE__FENCE_DROP = 2  /* STELE_FENCED */
} stele__fence_kind;

#define STELE__FENCE_WHERE_MAX 2000

typedef struct stele__fence {
    bool found;
    stele__fence_kind kind;
    char id[37];                            /* of who put it up */
    char where[STELE__FENCE_WHERE_MAX + 1]; /* goes where; UTF-8 without NUL and line ends; or "" */
} stele__fence;

/* Put it up, durably. OK also when it is up already, of the same id; CONFLICT when another one is;
 * UNSUPPORTED on a store with a sequencer; MISUSE (`where`); as stele__write_begin_durably(). */
stele_status stele__fence_raise(stele_store *store, const stele_wait *wait,
                                const stele__fence *fence);
/* Take it down, if it is up and of that id. */
stele_status stele__fence_lower(stele_store *store, const stele_wait *wait, const char *id);
/* What is there, in a read of its own; `found` false: nothing. */
stele_status stele__fence_read(stele_store *store, stele__fence *fence_out);
/* Inside a transaction on a file that no store has open, such as a copy: take it away. */
stele_status stele__fence_remove(stele__database *database);

/* OK; MOVED or FENCED: in a read of its own, and inside one. */
stele_status stele__fence_ask(stele_store *store);
stele_status stele__fence_tell(stele__database *database);

/* With the turn held and a transaction begun: OK; MOVED or FENCED. */
stele_status stele__fence_check(stele_store *store);

#endif
