/*
 * A replica: the sequencer of a store that is one of several nodes over a log (frame/log.h).
 *
 * A change is put into a frame and proposed to the log; when the frame comes back, in the order of
 * the log, it is applied, and what becomes of it then is the answer. Changes that wait at the same
 * time go in one frame, and one frame of a writer is on its way at a time. What was proposed and
 * isn't seen is proposed again; its number, counted by the writer, makes that harmless.
 *
 * A caller whose time is over withdraws: an empty frame with the same number is proposed, and
 * whichever of the two the log has first is the one that counts, for every node. So BUSY, CANCELLED
 * and CLOSED mean that nothing was applied nor ever will be. Only when neither is seen within the
 * grace is the answer UNKNOWN_OUTCOME; the writer then proposes nothing else until it is known.
 *
 * Nobody but callers and stele__replica_pump() apply frames, one at a time, unless a thread is
 * asked for. The state of the node is what is in its file: frames, their effects and the number of
 * the last one are in one commit.
 *
 * It stops for good when going on could make this node differ from others: frames are missing in
 * the log or at its end, it is of another lane, a checkpoint has another chain, somebody else
 * applied frames to the file. Failures of the disk stop nothing for good.
 */
#ifndef STELE_FRAME_REPLICA_H
#define STELE_FRAME_REPLICA_H

#include "frame/frame.h"
#include "frame/log.h"

typedef struct stele__replica stele__replica;

typedef struct stele__replica_options {
    stele__frame_id shard;     /* names the lane; the same on every node */
    uint32_t again_ms;         /* proposed again after this, and then twice that, and so on; */
    uint32_t again_max_ms;     /* up to this */
    uint32_t grace_ms;         /* how long a withdrawal may take */
    uint32_t silence_ms;       /* ask the log for its end when nothing comes for so long */
    uint32_t batch_max;        /* most frames in one transaction */
    uint32_t checkpoint_every; /* so many frames; 0: no checkpoints */
    /* For the controls of tests. */
    void (*tamper)(void *context, uint64_t sequence, void *frame, size_t size);
    void *context;
} stele__replica_options;

/* clang-format off */
#define STELE__REPLICA_OPTIONS_INIT { { { 0 } }, 100, 2000, 1000, 1000, 512, 1000, NULL, NULL }
/* clang-format on */

typedef struct stele__replica_info {
    bool bound;   /* the file follows a lane */
    bool joined;  /* the log was reached, at least once */
    bool stopped; /* for good: `error` says why */
    uint64_t applied;
    uint64_t head; /* of the log, when it was last asked; not below `applied` */
    uint64_t chain;
    /* Frames of this writer. */
    uint64_t proposed;
    uint64_t proposed_again;
    uint64_t withdrawn;
    /* Changes of this node's callers. */
    uint64_t accepted;
    uint64_t refused;
    uint64_t unknown;
    /* Frames that came. */
    uint64_t taken;      /* each once */
    uint64_t duplicates; /* of these, their writer's number had come before */
    uint64_t again;      /* delivered, but applied long since */
    uint64_t gaps;
    uint64_t attaches;
    uint64_t log_errors;
    uint64_t apply_errors;
    char error[STELE__ERROR_SIZE]; /* the last one; "" for none */
} stele__replica_info;

/*
 * Nothing is waited for, and the log isn't asked yet. `options` may be NULL but for a test. The log
 * is the replica's, also on failure. UNSUPPORTED: the store isn't empty and follows no lane (begin
 * from a backup of a node); MISUSE: it follows that of another shard; ...
 *
 * It isn't installed by this: see stele__sequencer_set(). One replica for each file at a time.
 */
stele_status stele__replica_open(stele_store *store, stele__frame_log *log,
                                 const stele__replica_options *options,
                                 stele__replica **replica_out);
stele__sequencer *stele__replica_sequencer(stele__replica *replica);
/* Callers inside leave soon: with BUSY, or UNKNOWN_OUTCOME after the grace; later ones with BUSY.
 * For who then takes the sequencer away. */
void stele__replica_shut(stele__replica *replica);
/* It must not be installed any more. NULL is allowed. */
void stele__replica_close(stele__replica *replica);

/*
 * Apply what the log holds now, or by the end of `wait` (NULL: busy_timeout_ms). `applied_out` (may
 * be NULL) is the last frame of the file then. OK; BUSY (not all of it), CANCELLED, CLOSED; what
 * keeps a frame from being applied (FULL, IO, ...); or why it stopped for good: CORRUPT, EPOCH,
 * FENCED, ...; MISUSE (inside a transaction of this thread).
 */
stele_status stele__replica_pump(stele__replica *replica, const stele_wait *wait,
                                 uint64_t *applied_out);

/* A thread that applies what comes, until it is stopped. OK also when there is one. NO_MEMORY. */
stele_status stele__replica_start(stele__replica *replica);
void stele__replica_stop(stele__replica *replica);

void stele__replica_describe(stele__replica *replica, stele__replica_info *info_out);

#endif
