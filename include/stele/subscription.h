/**
 * @file stele/subscription.h
 * Subscriptions: named, resumable readers of all events. First they catch up with history, then
 * they are live.
 *
 * A subscription is known by its name. Its checkpoint (stele/checkpoint.h) says through which
 * position it has finished scanning, whether events matched or not; a filter doesn't make it look
 * twice at what it passed over. Three ways to use one:
 *
 * - Pull: stele_subscription_next() lends a batch, stele_subscription_ack() finishes it.
 * - stele_subscription_run() calls a handler on the caller's thread until it is told to stop.
 * - A worker does the same on threads of its own (stele/worker.h).
 *
 * Delivery. With STELE_EXACTLY_ONCE the handler gets the transaction that moves the checkpoint:
 * what it writes through that is committed with it, or not at all. For effects outside the store
 * there is STELE_AT_LEAST_ONCE: after a crash a batch may come again; each event has a key that
 * stays the same (stele_subscription_key()), by which the other side can tell.
 *
 * One at a time. A subscription without lanes is owned by one handle at a time, in one of all the
 * processes: it claims the checkpoint when there is work, and its lease lasts while it works.
 * Others stand by, and take over what has been waiting for a while once the lease has ended. Who
 * was overtaken is refused when it tries to commit: nothing is ever handled twice within the store.
 * While there is nothing to do nothing is written.
 *
 * With lanes, the streams are dealt out to so many of them by a hash of their ids; each lane has
 * its own place, and is handled in order by one member at a time. Every handle that is opened by
 * the name, on a thread or in a process, is a member and gets a fair share of the lanes; when
 * members come and go, lanes are handed over after their batch is done.
 *
 * Failures. A handler that fails rolls its batch back; what comes before the event that failed is
 * done again, and that event alone. `on_failure` says what then happens. How often an event was
 * tried alone is kept in the store before the handler runs; so a handler that kills its process
 * can't do so for ever. After an unclean end events are handled one at a time until past where it
 * may have happened: none is held responsible for another.
 *
 * A parked event (stele/parked.h) holds back only those of its own stream.
 *
 * Threads. A subscription is used by one thread at a time, but for stele_subscription_stop() and
 * stele_subscription_describe(), which any thread may call.
 */
#ifndef STELE_SUBSCRIPTION_H
#define STELE_SUBSCRIPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/eventstore.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/transaction.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where a subscription begins that has no checkpoint yet. */
typedef enum stele_start {
    STELE_START_BEGINNING = 0, /**< With the first event. */
    STELE_START_HEAD = 1,      /**< With the first one after now. */
    STELE_START_POSITION = 2   /**< After `start_position`. */
} stele_start;

/** Where it is done. */
typedef enum stele_stop {
    STELE_STOP_NEVER = 0,   /**< It waits for more. */
    STELE_STOP_HEAD = 1,    /**< At the head as it is when the subscription is opened. */
    STELE_STOP_POSITION = 2 /**< At `stop_position`. */
} stele_stop;

/** What a handler may rely on. */
typedef enum stele_delivery {
    STELE_EXACTLY_ONCE = 0, /**< What it writes in the transaction and the checkpoint are one. */
    STELE_AT_LEAST_ONCE = 1 /**< It has no transaction; after a crash events may come again. */
} stele_delivery;

/** What happens to an event that can't be handled. */
typedef enum stele_on_failure {
    STELE_ON_FAILURE_STOP = 0,  /**< After `tries` the subscription stops before it. */
    STELE_ON_FAILURE_RETRY = 1, /**< It is tried for ever, ever more slowly; but where it kills the
                                     process, as STOP. */
    STELE_ON_FAILURE_PARK = 2,  /**< After `tries` it is set aside, and what follows in its stream
                                     behind it. */
    STELE_ON_FAILURE_SKIP = 3   /**< After `tries` it is passed over, and logged. */
} stele_on_failure;

/** The most lanes. */
#define STELE_LANES_MAX ((uint32_t)256)

/** How to subscribe. */
typedef struct stele_subscription_options {
    size_t struct_size; /**< Set by the initializer. */
    const char *name;   /**< NULL: nothing is kept; it begins anew each time, and can't park. Names
                             beginning with '$' are the library's. At most 200 bytes. */
    /* Which events. As in stele_read. */
    const char *stream;
    const char *const *types;
    size_t type_count;
    const char *category;
    const char *prefix;
    bool system;
    bool skip_archived; /**< Pass over events whose data is in an archive that isn't attached; else
                             they are STELE_ARCHIVED. Deleted ones are always passed over. */
    /* From where to where. */
    stele_start start;
    int64_t start_position;
    const char *start_epoch; /**< In which `start_position` was learnt; NULL: not asked. */
    stele_stop stop;
    int64_t stop_position;
    /* Batches. */
    uint32_t batch_count_max; /**< Most events in one. 1000. */
    uint32_t batch_size_max;  /**< Most bytes, but at least one event. 1 MiB. */
    uint32_t batch_ms_max;    /**< Exactly once, event by event: after so long it is committed, and
                                   the rest goes on in another transaction. 100. */
    stele_delivery delivery;
    /* Failures. */
    stele_on_failure on_failure;
    uint32_t tries;          /**< Of an event alone, before `on_failure`. 5. */
    uint32_t backoff_ms;     /**< Before the second try; doubled for each further one. 100. */
    uint32_t backoff_max_ms; /**< 60000. */
    /* Owners. */
    uint32_t lanes;    /**< 0: none. Can't be changed while the checkpoint lives. */
    const char *owner; /**< Names this handle, unlike all others; NULL: made up. */
    uint32_t lease_ms; /**< From 1000 to STELE_LEASE_MS_MAX. 30000. */
    /* When to write what. */
    uint32_t ack_flush_ms;  /**< At least once: an acknowledgement may wait so long to be committed
                                 with the next; 0: each by itself. 0. */
    uint32_t skip_flush_ms; /**< How long it may wait that only what doesn't match was passed over.
                                 1000. */
    uint64_t behind_max;    /**< Live, and further behind than this: it fell behind. 1000. */
    bool keys;              /**< Look up each record's idempotency key. */
} stele_subscription_options;

/* clang-format off */
#define STELE_SUBSCRIPTION_OPTIONS_INIT { sizeof(stele_subscription_options), NULL, NULL, NULL, 0, \
    NULL, NULL, false, false, STELE_START_BEGINNING, 0, NULL, STELE_STOP_NEVER, 0, 1000, \
    1024 * 1024, 100, STELE_EXACTLY_ONCE, STELE_ON_FAILURE_STOP, 5, 100, 60000, 0, NULL, 30000, 0, \
    1000, 1000, false }
/* clang-format on */

/** Set `options` to the defaults, as STELE_SUBSCRIPTION_OPTIONS_INIT does. For bindings. */
STELE_API void stele_subscription_options_init(stele_subscription_options *options);

/** An open subscription. */
typedef struct stele_subscription stele_subscription;

/**
 * Open a subscription. Nothing is written, and nothing claimed, before it is used.
 *
 * @param options          Copied, strings too.
 * @param subscription_out Receives the handle; close it with stele_subscription_close().
 * @return STELE_OK; STELE_MISUSE (an argument; other lanes than it has); STELE_EPOCH (its
 *         checkpoint, or `start_position`, is of another timeline: see stele_checkpoint_load());
 *         STELE_READ_ONLY (a name, and a store that may not be written); STELE_TOO_LARGE (types);
 *         STELE_BUSY; STELE_CORRUPT; STELE_IO; STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_subscription_open(stele_store *store,
                                               const stele_subscription_options *options,
                                               stele_subscription **subscription_out);

/**
 * Close `subscription`. NULL is allowed; never fails. What was acknowledged is committed, and only
 * that; then it is given up, so that others may go on at once. Also after the store was closed:
 * then the lease has to end by itself.
 */
STELE_API void stele_subscription_close(stele_subscription *subscription);

/** Ask the subscription to stop: next and run end with STELE_CANCELLED, within a poll interval of
 * the store, each later call too. Safe in a signal handler, and on any thread; the handle must live
 * meanwhile. NULL is allowed. */
STELE_API void stele_subscription_stop(stele_subscription *subscription);

/* --- Pull --- */

/** Events to be handled. Only lent by pointer, until the next call on the subscription. */
typedef struct stele_batch {
    const stele_record *const *records; /**< `count` of them, by position. */
    size_t count;                       /**< At least 1. */
    int64_t after;                      /**< What was finished before. */
    int64_t through;                    /**< What is scanned: acknowledge it when all is done. */
    int64_t head;                       /**< When it was read. */
    bool caught_up;                     /**< Nothing more was there. */
    uint32_t lane;                      /**< From 1; 0 without lanes. */
    uint32_t attempt;                   /**< Of one event alone: which try it is; else 1. */
    int64_t effects_after;              /**< Outside effects of events up to here have been had: see
                                             stele/projection.h. */
    stele_skipped skipped;              /**< What was passed over since the batch before. */
} stele_batch;

/**
 * Get the next batch: the same again, from the start, as long as it isn't acknowledged in full.
 * Waits for events, and for its turn where another handle owns the subscription.
 *
 * @param wait      How long; NULL, or a timeout of STELE_TIMEOUT_DEFAULT: without end.
 * @param batch_out NULL unless STELE_OK.
 * @return STELE_OK; STELE_DONE (it is where it was to stop); STELE_TIMED_OUT (nothing came, or
 *         another handle owns it); STELE_CANCELLED (by `wait`, or stele_subscription_stop());
 *         STELE_EPOCH (the timeline is another one since: nothing is skipped silently; open it anew
 *         after looking at the checkpoint); STELE_ARCHIVED (attach the archive; the text names
 *         it); STELE_CORRUPT (what came before the damage was given before); STELE_REFUSED (it was
 *         stopped by a failure: see stele_subscription_info; stele_subscription_clear() goes on);
 *         STELE_FENCED (a batch that was lent before is lost: another handle has taken over; the
 *         next call begins anew); STELE_MOVED (the shard goes on somewhere else, and everything
 *         was given: see stele/shard_work.h); STELE_READ_ONLY; STELE_MISUSE (a NULL, or inside a
 * transaction of this thread); STELE_BUSY; STELE_FULL; STELE_IO; STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_subscription_next(stele_subscription *subscription,
                                               const stele_wait *wait,
                                               const stele_batch **batch_out);

/**
 * Acknowledge the batch at hand through `position`: what was lent up to there is done.
 *
 * @param position From `after` to `through` of the batch; less than all of it: the rest comes
 * again.
 * @return STELE_OK; STELE_FENCED (another handle has taken over: it will be, or was, done there);
 *         STELE_CONFLICT (the checkpoint was set by somebody meanwhile: that holds, and the next
 *         batch begins there); STELE_EPOCH; STELE_MISUSE (no batch; not within it);
 * STELE_READ_ONLY; STELE_BUSY; STELE_FULL; STELE_IO; STELE_CORRUPT; STELE_NO_MEMORY; STELE_CLOSED;
 *         STELE_UNKNOWN_OUTCOME (the next batch tells).
 */
STELE_API stele_status stele_subscription_ack(stele_subscription *subscription, int64_t position);

/** stele_subscription_ack() inside `transaction`, with what the events led to: exactly once. A
 * refusal dooms the transaction, so that what was written with it can't be committed. */
STELE_API stele_status stele_transaction_subscription_ack(stele_transaction *transaction,
                                                          stele_subscription *subscription,
                                                          int64_t position);

/**
 * Tell that the event at `position` of the batch at hand can't be handled. Those before it that
 * aren't acknowledged come again, without it; then it comes alone, after a pause, as often as
 * `tries` says, and after that `on_failure` decides.
 *
 * @param reason Kept, and shown to operators; cut after 399 bytes. NULL is "".
 * @return STELE_OK (parked, skipped, or to be tried again: call next); STELE_REFUSED (it is
 * stopped); and as stele_subscription_ack().
 */
STELE_API stele_status stele_subscription_reject(stele_subscription *subscription, int64_t position,
                                                 const char *reason);

/** Room for a key with its NUL. */
#define STELE_SUBSCRIPTION_KEY_SIZE 96

/** The key of an event, the same whenever and wherever it is delivered:
 * `<uuid of the store>/<epoch>/<position>`. By it the other side of an effect tells a repetition.
 * @return STELE_OK, STELE_MISUSE (a NULL), STELE_CLOSED. */
STELE_API stele_status stele_subscription_key(const stele_subscription *subscription,
                                              const stele_record *record,
                                              char key_out[STELE_SUBSCRIPTION_KEY_SIZE]);

/* --- Run --- */

/** What a handler is called for. Only lent by pointer, for the call. */
typedef struct stele_handling {
    stele_subscription *subscription;
    stele_store *store;
    stele_transaction *transaction; /**< Exactly once: writes through it are committed with the
                                         checkpoint. Commit and end are the library's. Else NULL. */
    const stele_batch *batch;
    uint32_t attempt; /**< As in stele_batch. */
    bool effects;     /**< Whether effects outside the store are to be had: false for events whose
                           effects were had by an older version. Of a batch: of its first event. */
    bool replay;      /**< It was parked before. */
} stele_handling;

/** How events are handled. Start from STELE_HANDLER_INIT; fields are only ever added. */
typedef struct stele_handler {
    size_t struct_size; /**< Set by the initializer. */
    /**
     * Handle an event, or (the other one) a batch at once: exactly one of both.
     *
     * Return STELE_OK when it is done. STELE_CANCELLED ends the run without counting anything.
     * STELE_BUSY, STELE_FULL, STELE_IO, STELE_NO_MEMORY and STELE_UNKNOWN_OUTCOME say that it isn't
     * the event's fault: it comes again later. Any other failure is the event's, or of a batch,
     * that of the event named by stele_handling_fail(); when none was named, the batch is tried
     * event by event. STELE_READ_ONLY, STELE_FENCED, STELE_MOVED, STELE_EPOCH and STELE_CLOSED end
     * the run.
     *
     * With a transaction, it may call all that takes one, its SQL included, and read the store;
     * what it appends to the store comes with the commit. Without one it may call everything, but
     * for this subscription. The records are borrowed for the call.
     */
    stele_status (*event)(void *context, const stele_record *record,
                          const stele_handling *handling);
    stele_status (*batch)(void *context, const stele_batch *batch, const stele_handling *handling);
    /** It has reached the head: for the first time, or after it fell behind. NULL. */
    void (*caught_up)(void *context, int64_t position);
    /** It was live and is more than `behind_max` events behind. NULL. */
    void (*fell_behind)(void *context, int64_t position, int64_t head);
    void *context;
} stele_handler;

#define STELE_HANDLER_INIT                                                                         \
    {                                                                                              \
        sizeof(stele_handler), NULL, NULL, NULL, NULL, NULL                                        \
    }

/** Set `handler` to the defaults, as STELE_HANDLER_INIT does. For bindings. */
STELE_API void stele_handler_init(stele_handler *handler);

/**
 * Name the event of the batch that can't be handled, and why: for handlers, which return what this
 * returns.
 *
 * @param reason Kept, and shown to operators; cut after 399 bytes. NULL is "".
 * @return STELE_REFUSED; STELE_MISUSE (a NULL, a position that isn't in the batch).
 */
STELE_API stele_status stele_handling_fail(const stele_handling *handling, int64_t position,
                                           const char *reason);

/**
 * Handle events on this thread until it is done or told to stop: catching up, live, standing by
 * where another handle owns the subscription. What fails in passing (STELE_BUSY, STELE_FULL,
 * STELE_IO, STELE_NO_MEMORY, STELE_UNKNOWN_OUTCOME) is tried again, ever more slowly, and logged.
 *
 * @param handler Borrowed for the call.
 * @return STELE_DONE (where it was to stop); STELE_CANCELLED (stele_subscription_stop(), or the
 *         handler said so); STELE_REFUSED (a failure has stopped it); STELE_EPOCH, STELE_ARCHIVED,
 *         STELE_CORRUPT, STELE_READ_ONLY (as stele_subscription_next()); STELE_MISUSE (no handler,
 *         or both kinds; inside a transaction of this thread); STELE_CLOSED.
 */
STELE_API stele_status stele_subscription_run(stele_subscription *subscription,
                                              const stele_handler *handler);

/* --- Looking --- */

/** What a subscription, or a lane, is about. */
typedef enum stele_subscription_state {
    STELE_SUBSCRIPTION_IDLE = 0,     /**< Nobody works on it, or never did. */
    STELE_SUBSCRIPTION_CATCHING = 1, /**< Catching up. */
    STELE_SUBSCRIPTION_LIVE = 2,     /**< It has reached the head. */
    STELE_SUBSCRIPTION_RETRYING = 3, /**< An event failed, and is tried again. */
    STELE_SUBSCRIPTION_STOPPED = 4   /**< By a failure. */
} stele_subscription_state;

/** Facts about a subscription, as they are in the store. Only lent by pointer. */
typedef struct stele_subscription_info {
    const char *name;
    uint32_t lanes;                 /**< 0 without. */
    uint32_t lane;                  /**< Of this row, from 1; 0: all of it. */
    stele_subscription_state state; /**< Of lanes, the worst. */
    int64_t position;               /**< Of lanes, the least. */
    int64_t head;
    int64_t lag;    /**< Events from there to the head. */
    int64_t lag_us; /**< How long ago the first of them was recorded; 0 when there is none. */
    int64_t rate;   /**< Events scanned a second, when it last worked. */
    int64_t
        lag_change;  /**< By how much the lag grew from the last measurement but one to the last. */
    int64_t parked;  /**< Events that failed and were set aside. */
    int64_t waiting; /**< Events that wait behind those. */
    const char *owner; /**< "" for nobody. */
    int64_t generation;
    int64_t lease_left_ms; /**< 0: it has ended. */
    int64_t beat_at;       /**< When its owner last wrote; 0 for never. */
    int64_t attempts;      /**< Of the next event alone. */
    const char *error;     /**< The last one; "" for none. */
    int64_t error_position;
    int64_t error_at;
    int64_t effects_after;
    bool lost; /**< Of another timeline: see stele_checkpoint_info. */
    int64_t saved_at;
} stele_subscription_info;

/** Describe this handle's subscription, as stele_store_subscriptions() would, borrowed until the
 * next such call on it. Of one without a name, what the handle knows. @return STELE_OK,
 * STELE_NOT_FOUND (it has not begun), STELE_MISUSE, STELE_BUSY, STELE_CORRUPT, STELE_IO,
 * STELE_NO_MEMORY, STELE_CLOSED. */
STELE_API stele_status stele_subscription_describe(stele_subscription *subscription,
                                                   const stele_subscription_info **info_out);

/** An open list of subscriptions, by name, then by lane. Used by one thread at a time. */
typedef struct stele_subscriptions stele_subscriptions;

/**
 * List what is known of subscriptions in this store, whoever works on them.
 *
 * @param name  Only this one; NULL: all.
 * @param lanes Also a row for each lane, after that of the whole.
 * @return STELE_OK, STELE_MISUSE, STELE_BUSY, STELE_CORRUPT (naming the one that is damaged),
 *         STELE_IO, STELE_NO_MEMORY, STELE_CLOSED.
 */
STELE_API stele_status stele_store_subscriptions(stele_store *store, const char *name, bool lanes,
                                                 stele_subscriptions **subscriptions_out);

/** The next one, borrowed until the next call. @return STELE_OK, STELE_DONE, STELE_MISUSE,
 * STELE_CLOSED. */
STELE_API stele_status stele_subscriptions_next(stele_subscriptions *subscriptions,
                                                const stele_subscription_info **info_out);

/** Close `subscriptions`. NULL is allowed; never fails. */
STELE_API void stele_subscriptions_close(stele_subscriptions *subscriptions);

/**
 * Wait until subscriptions have finished scanning through `position`, wherever they run: to read
 * what one has written.
 *
 * @param names `count` of them; all must reach it.
 * @param wait  NULL, or a timeout of STELE_TIMEOUT_DEFAULT: without end.
 * @return STELE_OK; STELE_TIMED_OUT (the text names the one that is furthest behind, and how far);
 *         STELE_NOT_FOUND (one that never began); STELE_REFUSED (one was stopped by a failure
 * before it got there); STELE_EPOCH (one is of another timeline); STELE_MOVED (nobody gets there
 *         here: the shard has moved); STELE_CANCELLED; STELE_MISUSE
 *         (also inside a transaction of this thread); STELE_BUSY; STELE_CORRUPT; STELE_IO;
 *         STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_subscription_wait_for(stele_store *store, const char *const *names,
                                                   size_t count, int64_t position,
                                                   const stele_wait *wait);

/**
 * Let a subscription go on that a failure has stopped: the event that failed gets its `tries` anew.
 * Whoever has it open need not be told. One that isn't stopped is fine.
 *
 * @return STELE_OK, STELE_NOT_FOUND, STELE_MISUSE, STELE_READ_ONLY, STELE_BUSY, STELE_FULL,
 *         STELE_IO, STELE_CORRUPT, STELE_NO_MEMORY, STELE_CLOSED, STELE_UNKNOWN_OUTCOME.
 */
STELE_API stele_status stele_subscription_clear(stele_store *store, const char *name);

#ifdef __cplusplus
}
#endif

#endif
