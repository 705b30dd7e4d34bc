/*
 * The sequencer of a single file: each change is a frame of its own, and the file's write lock
 * decides the order. Number, chain and effects are in one commit, which the changes of other
 * threads share (see store/group.h). A refused change takes no number.
 *
 * Any number of processes may write to one file so, each with a sequencer of its own.
 */
#ifndef STELE_FRAME_LOCAL_H
#define STELE_FRAME_LOCAL_H

#include "frame/frame.h"

typedef struct stele__local stele__local;

typedef struct stele__local_options {
    size_t size_max; /* of a frame; 0: STELE__FRAME_SIZE_MAX */
    /* Of the lane that a file is bound to that follows none yet; all zeros: a random one, and the
     * store's uuid. Of one that does, it must be the same unless it is zeros. */
    stele__frame_id lane;
    stele__frame_id shard;
    /*
     * Told of each frame after its commit, in the order of the numbers, one at a time, on a thread
     * that proposed one, without a lock. Not of what other processes committed, nor of a frame
     * whose commit was of unknown outcome: a gap in the numbers shows that. It may call nothing
     * that writes to the store. NULL: nobody is told.
     */
    void (*observe)(void *context, uint64_t sequence, const void *frame, size_t size);
    void *context;
} stele__local_options;

typedef struct stele__local_counts {
    uint64_t proposed;
    uint64_t accepted;
    uint64_t refused;
    uint64_t duplicates; /* frames that were given again */
    uint64_t failed;     /* apply errors: nothing was applied, and the caller was told */
    uint64_t unknown;    /* of these: it may have been */
} stele__local_counts;

/* Bind the file if it isn't yet. `options` may be NULL. It isn't installed by this: see
 * stele__sequencer_set(). MISUSE (another lane), ... */
stele_status stele__local_open(stele_store *store, const stele__local_options *options,
                               stele__local **local_out);
/* NULL is allowed. It must not be installed any more. */
void stele__local_close(stele__local *local);

stele__sequencer *stele__local_sequencer(stele__local *local);
void stele__local_counts_get(stele__local *local, stele__local_counts *counts_out);

/*
 * Propose a whole frame of some writer, as it came from elsewhere: lane, shard and time are filled
 * in here, number and verdicts are as for any other. `result_out` (may be NULL; else begin with
 * zeros, dispose) tells the outcome: one that came before is DUPLICATE and OK, one after a gap
 * EARLY and OK; neither leaves anything. `wait` may be NULL.
 */
stele_status stele__local_propose(stele__local *local, const void *frame, size_t size,
                                  const stele_wait *wait, stele__frame_result *result_out);

#endif
