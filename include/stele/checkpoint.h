/**
 * @file stele/checkpoint.h
 * The position through which a reader, known by its name, has finished scanning; and who owns it.
 *
 * Save it in the transaction that changes the read model, and each event counts exactly once.
 *
 * A reader that several processes might run is owned by one at a time: it is *claimed* for a time,
 * its lease, and each claim has a *generation*, one more than the last. Who writes with an older
 * one is refused, STELE_FENCED: that, compared inside the commit, is what protects; the clock only
 * decides when to try. A lease ends by the machine's monotonic clock; one of an earlier boot, or
 * that is longer than any could be, has ended.
 *
 * A subscription with lanes (stele/subscription.h) has one place a lane. Its checkpoint is that of
 * the lane that is furthest behind.
 */
#ifndef STELE_CHECKPOINT_H
#define STELE_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/transaction.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A saved place. */
typedef struct stele_checkpoint {
    bool found;          /**< A saved position 0 is found; a name never saved is not. */
    int64_t position;    /**< 0 when not found. */
    int64_t saved_at;    /**< Microseconds UTC; 0 when not found. With lanes, of the last save. */
    int64_t shared;      /**< With STELE_EPOCH: up to where it is of the current timeline too. */
    int64_t reserved[3]; /**< Zero. */
} stele_checkpoint;

/**
 * Load the checkpoint `name`. One that was never saved is STELE_OK with `found` false.
 *
 * One that was saved in an earlier epoch, beyond where a later one began, is of events that may be
 * others now: STELE_EPOCH, with all fields set. What was made of the events after `shared` has to
 * be undone, or the model built anew; then save `shared`, or 0.
 *
 * @return STELE_OK, STELE_EPOCH, STELE_MISUSE, STELE_BUSY, STELE_CORRUPT, STELE_IO,
 *         STELE_NO_MEMORY, STELE_CLOSED.
 */
STELE_API stele_status stele_checkpoint_load(stele_store *store, const char *name,
                                             stele_checkpoint *checkpoint_out);

/** stele_checkpoint_load() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_checkpoint_load(stele_transaction *transaction,
                                                         const char *name,
                                                         stele_checkpoint *checkpoint_out);

/**
 * Save `position` under `name`, in the current epoch, replacing what was there; with lanes, of all
 * of them. A lower position is accepted, so that a reader can be rewound: a subscription at work
 * notices, and goes on from there. What it had parked of the events that come again is forgotten.
 * A damaged row is replaced, in a new generation.
 *
 * @param position From 0 to the head; beyond it is STELE_MISUSE.
 * @return STELE_OK, STELE_MISUSE, STELE_READ_ONLY, STELE_BUSY, STELE_FULL, STELE_IO,
 *         STELE_CORRUPT, STELE_NO_MEMORY, STELE_CLOSED, STELE_UNKNOWN_OUTCOME.
 */
STELE_API stele_status stele_checkpoint_save(stele_store *store, const char *name,
                                             int64_t position);

/** stele_checkpoint_save() inside `transaction`: saved when that commits. */
STELE_API stele_status stele_transaction_checkpoint_save(stele_transaction *transaction,
                                                         const char *name, int64_t position);

/* --- Moving forward, and beginning again --- */

/** For stele_checkpoint_move.from: it was never saved. */
#define STELE_CHECKPOINT_MISSING ((int64_t)-1)
/** For stele_checkpoint_move.from: wherever it is, if that isn't beyond `to`. */
#define STELE_CHECKPOINT_ANYWHERE ((int64_t)-2)

/** A move of a checkpoint, forward only. */
typedef struct stele_checkpoint_move {
    size_t struct_size; /**< Set by the initializer. */
    int64_t from;       /**< Where it must be; or a constant above. STELE_CHECKPOINT_ANYWHERE. */
    int64_t to;         /**< Where it goes: from `from` to the head. */
    int64_t generation; /**< Of the claim that must still hold; 0: not asked. */
} stele_checkpoint_move;

/* clang-format off */
#define STELE_CHECKPOINT_MOVE_INIT { sizeof(stele_checkpoint_move), STELE_CHECKPOINT_ANYWHERE, 0, 0 }
/* clang-format on */

/** Set `move` to the defaults, as STELE_CHECKPOINT_MOVE_INIT does. For bindings. */
STELE_API void stele_checkpoint_move_init(stele_checkpoint_move *move);

/**
 * Save a position if the checkpoint is where the caller believes: compare and set, in one commit.
 * It never goes back.
 *
 * @param actual_out May be NULL. On STELE_OK and STELE_CONFLICT where it is now;
 *                   STELE_CHECKPOINT_MISSING when it was never saved.
 * @return STELE_OK; STELE_CONFLICT (it is elsewhere, or beyond `to`: nothing was changed);
 *         STELE_FENCED (somebody claimed it since); STELE_EPOCH (it is of another timeline, see
 *         stele_checkpoint_load()); STELE_MISUSE (also for lanes, which their owners move);
 *         STELE_READ_ONLY; STELE_BUSY; STELE_FULL; STELE_IO; STELE_CORRUPT; STELE_NO_MEMORY;
 *         STELE_CLOSED; STELE_UNKNOWN_OUTCOME (repeating it tells).
 */
STELE_API stele_status stele_checkpoint_advance(stele_store *store, const char *name,
                                                const stele_checkpoint_move *move,
                                                int64_t *actual_out);

/** stele_checkpoint_advance() inside `transaction`. A refusal dooms nothing. */
STELE_API stele_status stele_transaction_checkpoint_advance(stele_transaction *transaction,
                                                            const char *name,
                                                            const stele_checkpoint_move *move,
                                                            int64_t *actual_out);

/**
 * Forget the checkpoint `name`, with its lanes, its owner and what was parked by it: as if it had
 * never been. One that isn't there is fine. Its generation is kept, so that who still works under
 * it is fenced off.
 *
 * @param found_out May be NULL.
 * @return STELE_OK, STELE_MISUSE, STELE_READ_ONLY, STELE_BUSY, STELE_FULL, STELE_IO, STELE_CORRUPT,
 *         STELE_NO_MEMORY, STELE_CLOSED, STELE_UNKNOWN_OUTCOME.
 */
STELE_API stele_status stele_checkpoint_reset(stele_store *store, const char *name,
                                              bool *found_out);

/** stele_checkpoint_reset() inside `transaction`. */
STELE_API stele_status stele_transaction_checkpoint_reset(stele_transaction *transaction,
                                                          const char *name, bool *found_out);

/* --- Owners --- */

/** The longest lease, in milliseconds: ten minutes. */
#define STELE_LEASE_MS_MAX ((uint32_t)600000)

/** What it takes to own a checkpoint. */
typedef struct stele_checkpoint_claim {
    size_t struct_size; /**< Set by the initializer. */
    const char *owner;  /**< Names the claimant, unlike all others: a name as of a stream. */
    uint32_t lease_ms;  /**< For how long, from 1 to STELE_LEASE_MS_MAX. 30000. */
    bool force;         /**< Also while another's lease lasts: that one is fenced off. */
} stele_checkpoint_claim;

#define STELE_CHECKPOINT_CLAIM_INIT                                                                \
    {                                                                                              \
        sizeof(stele_checkpoint_claim), NULL, 30000, false                                         \
    }

/** Set `claim` to the defaults, as STELE_CHECKPOINT_CLAIM_INIT does. For bindings. */
STELE_API void stele_checkpoint_claim_init(stele_checkpoint_claim *claim);

/** What a claim met. */
typedef struct stele_checkpoint_claimed {
    int64_t generation; /**< On STELE_OK: of this claim. On STELE_BUSY: of the other's. */
    bool found;         /**< As in stele_checkpoint. */
    int64_t position;
    int64_t left_ms;                     /**< On STELE_BUSY: how long the other's lease lasts. */
    char owner[STELE_NAME_SIZE_MAX + 1]; /**< Who had it before, or on STELE_BUSY has it; "". */
    int64_t reserved[4];                 /**< Zero. */
} stele_checkpoint_claimed;

/**
 * Claim the checkpoint `name`, if nobody has it, its lease has ended, or `owner` itself has it: a
 * claim by the same name begins a new generation too, so that of two that call themselves the same
 * the older is fenced off.
 *
 * @param claimed_out May be NULL. Set on STELE_OK and STELE_BUSY.
 * @return STELE_OK; STELE_BUSY (another has it; or the writer's turn didn't come, then
 *         `generation` is 0); STELE_EPOCH (the checkpoint is of another timeline: save it first);
 *         STELE_MISUSE (also for lanes); STELE_READ_ONLY; STELE_FULL; STELE_IO; STELE_CORRUPT;
 *         STELE_NO_MEMORY; STELE_CLOSED; STELE_UNKNOWN_OUTCOME (claiming again is harmless).
 */
STELE_API stele_status stele_checkpoint_claim_take(stele_store *store, const char *name,
                                                   const stele_checkpoint_claim *claim,
                                                   stele_checkpoint_claimed *claimed_out);

/**
 * Let the lease of a claim end `lease_ms` from now. Also after it has ended, if nobody has claimed
 * the checkpoint since.
 *
 * @return STELE_OK; STELE_FENCED; STELE_MISUSE, STELE_READ_ONLY, STELE_BUSY, STELE_FULL, STELE_IO,
 *         STELE_CORRUPT, STELE_NO_MEMORY, STELE_CLOSED, STELE_UNKNOWN_OUTCOME.
 */
STELE_API stele_status stele_checkpoint_claim_renew(stele_store *store, const char *name,
                                                    int64_t generation, uint32_t lease_ms);

/** End a claim: nobody owns the checkpoint. The position stays. @return As
 * stele_checkpoint_claim_renew(). */
STELE_API stele_status stele_checkpoint_claim_release(stele_store *store, const char *name,
                                                      int64_t generation);

/* --- Listing --- */

/** A place in a list of them. Only lent by pointer. */
typedef struct stele_checkpoint_info {
    const char *name;
    int64_t position;   /**< With lanes, of the one that is furthest behind. */
    int64_t saved_at;   /**< Microseconds UTC. With lanes, of the last save. */
    bool lost;          /**< Its epoch was left behind: stele_checkpoint_load() says STELE_EPOCH. */
    int64_t shared;     /**< When lost: up to where it is of the current timeline too; else 0. */
    bool found;         /**< False when it is claimed, but was never saved. */
    uint32_t lanes;     /**< 0 without. */
    const char *owner;  /**< Who claimed it last and hasn't released it; "" for nobody, and for
                             lanes. */
    int64_t generation; /**< Of the last claim; 0 for none. */
    int64_t left_ms;    /**< How long its lease still lasts. */
} stele_checkpoint_info;

/** An open list of checkpoints, in the order of their names' bytes. Used by one thread at a time.
 */
typedef struct stele_checkpoints stele_checkpoints;

/**
 * List all checkpoints, as they are now. Close it with stele_checkpoints_close(), whenever.
 *
 * @return STELE_OK, STELE_MISUSE, STELE_BUSY, STELE_CORRUPT (naming the one that is damaged),
 *         STELE_IO, STELE_NO_MEMORY, STELE_CLOSED.
 */
STELE_API stele_status stele_store_checkpoints(stele_store *store,
                                               stele_checkpoints **checkpoints_out);

/** stele_store_checkpoints() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_checkpoints(stele_transaction *transaction,
                                                     stele_checkpoints **checkpoints_out);

/** The next one, borrowed until the next call. @return STELE_OK, STELE_DONE, STELE_MISUSE,
 * STELE_CLOSED. */
STELE_API stele_status stele_checkpoints_next(stele_checkpoints *checkpoints,
                                              const stele_checkpoint_info **info_out);

/** Close `checkpoints`. NULL is allowed; never fails. */
STELE_API void stele_checkpoints_close(stele_checkpoints *checkpoints);

#ifdef __cplusplus
}
#endif

#endif
