/**
 * @file stele/parked.h
 * Parked events: those that a subscription couldn't handle, and those that wait behind them.
 *
 * A subscription with STELE_ON_FAILURE_PARK sets an event aside after its tries, with the reason.
 * Later events of the same stream are set aside behind it, in order, without being tried; all
 * others go on. They stay until they are replayed, or dropped by somebody.
 *
 * Replaying handles the parked events of a stream in order, from the first on, each alone and with
 * the guarantees that the subscription has. When one fails again it stays, and so does what is
 * behind it. When none is left, the stream is as any other.
 */
#ifndef STELE_PARKED_H
#define STELE_PARKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/subscription.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A parked event. Only lent by pointer. */
typedef struct stele_parked {
    const char *subscription;
    int64_t position;
    const char *stream;
    const char *reason; /**< "" for one that waits behind another. */
    int64_t behind;     /**< The position of the one that it waits behind, which may have been
                             replayed or dropped since; 0: it failed itself. */
    int64_t attempts;   /**< Tries that it had alone, since somebody last asked for its replay. */
    int64_t parked_at;  /**< Microseconds UTC. */
    int64_t asked_at;   /**< When somebody asked for its replay; 0: nobody did. */
} stele_parked;

/** An open list of parked events, by subscription and position. Used by one thread at a time. */
typedef struct stele_parked_list stele_parked_list;

/**
 * List parked events.
 *
 * @param subscription Only of this one; NULL: of all.
 * @return STELE_OK, STELE_MISUSE, STELE_BUSY, STELE_CORRUPT, STELE_IO, STELE_NO_MEMORY,
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_store_parked(stele_store *store, const char *subscription,
                                          stele_parked_list **parked_out);

/** The next one, borrowed until the next call. @return STELE_OK, STELE_DONE, STELE_MISUSE,
 * STELE_CLOSED. */
STELE_API stele_status stele_parked_next(stele_parked_list *parked,
                                         const stele_parked **parked_out);

/** Close `parked`. NULL is allowed; never fails. */
STELE_API void stele_parked_close(stele_parked_list *parked);

/** Which parked events. */
typedef struct stele_parked_choice {
    size_t struct_size;       /**< Set by the initializer. */
    const char *subscription; /**< Needed. */
    const char *stream;       /**< Only of this stream; NULL: of all. */
    int64_t position;         /**< Only this one; 0: all. */
    uint64_t limit;           /**< Most of them; 0: all. */
    bool dry_run;             /**< Only count. */
} stele_parked_choice;

#define STELE_PARKED_CHOICE_INIT                                                                   \
    {                                                                                              \
        sizeof(stele_parked_choice), NULL, NULL, 0, 0, false                                       \
    }

/** Set `choice` to the defaults, as STELE_PARKED_CHOICE_INIT does. For bindings. */
STELE_API void stele_parked_choice_init(stele_parked_choice *choice);

/** What became of parked events. */
typedef struct stele_parked_counts {
    uint64_t chosen;      /**< That the choice meets. */
    uint64_t handled;     /**< Replayed with success. */
    uint64_t failed;      /**< That failed again. */
    uint64_t left;        /**< Of the subscription, afterwards. */
    uint64_t reserved[4]; /**< Zero. */
} stele_parked_counts;

/**
 * Replay parked events now, on this thread: by position, of each stream until one fails.
 * The subscription must be this handle's to claim: where another owns it, STELE_BUSY; ask that one
 * by stele_parked_ask(); one that is idle for longer than its lease is overtaken. Events that are
 * parked are replayed wherever the checkpoint is. What failed again has one try more, and the new
 * reason; an event that was deleted since is gone, with a line to the log. A batch at hand is given
 * back: it comes again.
 *
 * @param choice     Its `subscription` must be that of the handle, or NULL. With `position`, only
 *                   the first one of its stream can be meant, else STELE_MISUSE.
 * @param handler    As for stele_subscription_run(); `replay` is true.
 * @param counts_out May be NULL.
 * @return STELE_OK (also when some failed again: see the counts); STELE_CANCELLED (by
 *         stele_subscription_stop(), or the handler said so); STELE_BUSY; STELE_REFUSED (a failure
 *         has stopped the subscription: see stele_subscription_clear()); STELE_FENCED (another
 *         handle has taken over); STELE_CONFLICT (its checkpoint was set meanwhile); STELE_EPOCH;
 *         STELE_MISUSE; STELE_READ_ONLY; STELE_ARCHIVED (attach the archive); STELE_FULL; STELE_IO;
 *         STELE_CORRUPT; STELE_NO_MEMORY; STELE_CLOSED; STELE_UNKNOWN_OUTCOME. What was handled
 *         before a failure stays so, and is in the counts.
 */
STELE_API stele_status stele_subscription_replay(stele_subscription *subscription,
                                                 const stele_parked_choice *choice,
                                                 const stele_handler *handler,
                                                 stele_parked_counts *counts_out);

/**
 * Ask whoever runs the subscription (stele_subscription_run(), or a worker) to replay parked
 * events, within two seconds; if nobody does now, who does next. One that fails is not tried again
 * before somebody asks again, nor is one whose handler has ended the process `tries` times. With
 * `position`, only the first one of its stream can be meant, else STELE_MISUSE.
 *
 * @return STELE_OK, STELE_MISUSE, STELE_READ_ONLY, STELE_BUSY, STELE_FULL, STELE_IO, STELE_CORRUPT,
 *         STELE_NO_MEMORY, STELE_CLOSED, STELE_UNKNOWN_OUTCOME.
 */
STELE_API stele_status stele_parked_ask(stele_store *store, const stele_parked_choice *choice,
                                        stele_parked_counts *counts_out);

/**
 * Drop parked events: they will not be handled. What waits behind a dropped one stays parked, in
 * order, and can be replayed.
 *
 * @return As stele_parked_ask().
 */
STELE_API stele_status stele_parked_drop(stele_store *store, const stele_parked_choice *choice,
                                         stele_parked_counts *counts_out);

#ifdef __cplusplus
}
#endif

#endif
