/*
 * The seam for replication: who orders the changes of this store, if not its own write lock.
 *
 * With a sequencer, a change to the log or to state entries is proposed to it instead of being
 * queued for the lock; it comes back inside frames (src/frame), in the order that was decided, and
 * is judged and written then. What is of this file alone - checkpoints, leases, parked events,
 * snapshots, the user's own tables - is written as ever.
 *
 * While a frame is applied, its time is the store's clock on that thread, and nothing else: apply
 * depends on the file and the frame alone.
 */
#ifndef STELE_STORE_SEQUENCER_H
#define STELE_STORE_SEQUENCER_H

#include "store/store.h"

/* The most bytes of an event or a value in a frame. What a store's options say is looked at before
 * it is proposed, not when it is applied. */
#define STELE__FRAMED_SIZE_MAX ((uint32_t)64 * 1024 * 1024)

typedef enum stele__change_kind {
    STELE__CHANGE_APPENDS = 1,   /* stele_append[count]; answers stele_appended[count] */
    STELE__CHANGE_PUT = 2,       /* stele_put; stele_written */
    STELE__CHANGE_REMOVE = 3,    /* stele_remove; stele_written */
    STELE__CHANGE_ARCHIVE = 4,   /* in place: stele_archive; stele_changed */
    STELE__CHANGE_RESTORE = 5,   /* in place: stele_restore; stele_changed */
    STELE__CHANGE_TOMBSTONE = 6, /* stele_tombstone; stele_changed */
    STELE__CHANGE_DELETE = 7     /* stele_delete; stele_changed */
} stele__change_kind;

/* A change to be proposed. Everything is borrowed for the call. */
typedef struct stele__change {
    stele__change_kind kind;
    const void *what; /* full size, and checked as far as that needs no look at the file */
    size_t count;     /* of appends; else 1 */
    const stele_wait *wait;
    bool own;           /* also in the library's scopes */
    void *answer_out;   /* set as the public call sets it; NULL: nobody asks */
    size_t *failed_out; /* of appends: which one was refused; NULL allowed */
} stele__change;

typedef struct stele__sequencer {
    /* The verdict, as the public call gives it. Called on the caller's thread, inside the call,
     * with no lock held. After UNKNOWN_OUTCOME it may be applied yet; after any other failure it
     * never will be. */
    stele_status (*propose)(struct stele__sequencer *sequencer, stele_store *store,
                            const stele__change *change);
    bool refuses; /* everything: then it may be set on any store */
} stele__sequencer;

/*
 * Install `sequencer`, or take it away (NULL). Takes the writer's turn; returns when no call is
 * inside the one before. It must live until then. After a failure nothing has changed: MISUSE (from
 * inside a transaction), BUSY, CLOSED; UNSUPPORTED (a store with inline projections, or with
 * streams that were archived into another). What was queued before and can't be written in time is
 * UNSUPPORTED.
 */
stele_status stele__sequencer_set(stele_store *store, stele__sequencer *sequencer);
/* The one that is installed, kept until it is left; NULL for none. */
stele__sequencer *stele__sequencer_enter(stele_store *store);
void stele__sequencer_leave(stele_store *store, stele__sequencer *sequencer);

/* Whether there is one, now: for who has something to prepare for it. */
static inline bool stele__sequencer_is_there(const stele_store *of)
{
    return atomic_load_explicit(&of->sequencer, memory_order_relaxed) != NULL;
}

/* Propose `change` to the sequencer, if there is one: its verdict; READ_ONLY, MISUSE (from inside a
 * transaction of this thread). `*taken_out` false: there is none. */
stele_status stele__sequencer_offer(stele_store *store, const stele__change *change,
                                    bool *taken_out);

/* Around the applying of a frame, with the turn held. */
void stele__framing_begin(stele_store *store, int64_t time);
void stele__framing_end(stele_store *store);
/* Whether this thread applies a frame to `store`. */
bool stele__is_framing(const stele_store *store);

/* Before the log or state entries are written, with the turn held: UNSUPPORTED on a store with a
 * sequencer, but for frames. `what` begins the text. */
stele_status stele__sequencer_check(const stele_store *store, const char *what);
/* The same without the turn, by who would only find out later. */
stele_status stele__sequencer_check_early(const stele_store *store, const char *what);

#endif
