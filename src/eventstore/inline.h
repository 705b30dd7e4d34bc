/*
 * What is folded with each append, in its transaction. The event store knows only when: who does
 * it is the store's attachment of that name, put there once.
 *
 * That some projection is to be kept so is said by the entries of a scope of the library's, so that
 * a process that hasn't opened it refuses to append.
 */
#ifndef STELE_EVENTSTORE_INLINE_H
#define STELE_EVENTSTORE_INLINE_H

#include <stele/eventstore.h>

#include "store/store.h"

/* One entry for each projection that is kept inline; its key is the name. */
#define STELE__INLINE_SCOPE "$projections/inline"

typedef struct stele__inline {
    atomic_size_t count; /* who is there to fold; 0: as if this weren't */
    /*
     * An append is about to be written behind `head`; `system`: a record of the library's own,
     * which goes on without those who aren't there. Whatever it answers, `end` follows.
     */
    stele_status (*begin)(struct stele__inline *of, stele__connection *connection, int64_t head,
                          bool system);
    stele_status (*event)(struct stele__inline *of, const stele_record *record);
    /* All were folded when `status` is OK, and `head` is where the log ends. Returns `status`, or
     * why it can't be kept. */
    stele_status (*end)(struct stele__inline *of, stele__connection *connection, int64_t head,
                        stele_status status);
} stele__inline;

/* The first event after `position` that is no record of the library's own; 0 for none. */
stele_status stele__inline_missed(stele__connection *connection, int64_t position,
                                  int64_t *missed_out);

#endif
