/*
 * Replication of shards: who gives the store of each a sequencer (store/sequencer.h).
 *
 * It can be set, replaced and taken away at run time: the stores that are open then get theirs at
 * once, others when they are opened. A store has one at a time, and what the one before had
 * accepted is settled before the next one comes.
 */
#ifndef STELE_SHARD_SEQUENCE_H
#define STELE_SHARD_SEQUENCE_H

#include <stele/shards.h>

#include "frame/replica.h"
#include "store/sequencer.h"

/* What one store has. */
typedef struct stele__sequencing {
    stele__sequencer *sequencer;
    void *handle; /* of whoever made it */
} stele__sequencing;

/* Makes them. Called with no lock of a store held, one at a time for a stele_shards. */
typedef struct stele__sequencer_maker {
    /* One for the store, which is open and stays so until close(). It isn't to be installed. */
    stele_status (*open)(void *context, stele_store *store, const char *organisation,
                         const char *name_space, stele__sequencing *sequencing_out);
    /* Calls inside it end soon, later ones too. NULL: they do anyway. */
    void (*shut)(void *context, stele__sequencing *sequencing);
    /* It isn't installed any more. */
    void (*close)(void *context, stele__sequencing *sequencing);
    void *context;
} stele__sequencer_maker;

/*
 * From now on `maker`, borrowed until it is replaced or the shards are closed; NULL: none. Setting
 * the one that is set changes nothing, but for stores where it failed before. When it fails for a
 * store that is open, all writing to the log and the state entries of that is refused with the
 * reason; the others have theirs, and the answer is the first failure, after which it may be set
 * again. Calls that come meanwhile are BUSY: nothing is written past the one before and the new
 * one. As stele__sequencer_set() (UNSUPPORTED: a store with inline projections; BUSY: somebody had
 * the writer's turn for all of its time; what was there stays, and is BUSY, or none is), as open()
 * of the maker; CLOSED, MISUSE, NO_MEMORY.
 */
stele_status stele__shards_sequence(stele_shards *shards, const stele__sequencer_maker *maker);
/* The one that is set; NULL: none. */
const stele__sequencer_maker *stele__shards_sequence_get(stele_shards *shards);
/* The handle of a shard's; NULL: it has none. Stays as long as the maker is set, and the shard
 * held. */
void *stele__shard_sequence_handle(const stele_shard *shard);

/* The same for the same names, on every node: a hash of them. */
void stele__shard_lane(const char *organisation, const char *name_space, stele__frame_id *lane_out);

/* --- A maker of replicas (frame/replica.h): one log, and one lane, for each shard --- */

typedef struct stele__shard_replicas {
    stele__sequencer_maker maker; /* what is set */
    /* A handle on the log for that lane. Called as open(). */
    stele_status (*open_log)(void *context, const stele__frame_id *lane,
                             stele__frame_log **log_out);
    void *context;
    stele__replica_options options; /* but for the shard */
    bool threads;                   /* each has one that applies what comes */
} stele__shard_replicas;

/* Set `maker`; the rest is the caller's. The handle of a shard's is its stele__replica. */
void stele__shard_replicas_init(stele__shard_replicas *replicas);

#endif
