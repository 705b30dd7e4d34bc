/**
 * @file stele/checkpoint.h
 * The position through which a reader, known by its name, has finished scanning.
 *
 * Save it in the transaction that changes the read model, and each event counts exactly once.
 */
#ifndef STELE_CHECKPOINT_H
#define STELE_CHECKPOINT_H

#include <stdbool.h>
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
    int64_t saved_at;    /**< Microseconds UTC; 0 when not found. */
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
 * Save `position` under `name`, in the current epoch, replacing what was there. A lower position is
 * accepted, so that a reader can be rewound.
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

/** A place in a list of them. Only lent by pointer. */
typedef struct stele_checkpoint_info {
    const char *name;
    int64_t position;
    int64_t saved_at; /**< Microseconds UTC. */
    bool lost;        /**< Its epoch was left behind: stele_checkpoint_load() says STELE_EPOCH. */
    int64_t shared;   /**< When lost: up to where it is of the current timeline too; else 0. */
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
