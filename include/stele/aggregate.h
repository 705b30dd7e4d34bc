/**
 * @file stele/aggregate.h
 * Aggregates: state folded from a stream, and commands decided on it.
 *
 * A program describes one kind of aggregate by a *decider*: what the state is before any event
 * (`initial`), how an event changes it (`evolve`), and what a command makes of it (`decide`). The
 * library does the rest: it loads the state, from a cache or a snapshot and the events since, lets
 * the command be decided, appends what was emitted at exactly the version that was decided on, and
 * when somebody else was faster, folds only the events that were missed and decides again.
 *
 *     stele_aggregate *accounts = NULL;
 *     status = stele_aggregate_open(store, &account_decider, NULL, &accounts);
 *
 *     stele_execute execute = STELE_EXECUTE_INIT;
 *     execute.stream = "account-7";
 *     execute.command = &(withdraw){ .amount = 50 };
 *     stele_executed executed;
 *     status = stele_aggregate_execute(accounts, &execute, &executed);
 *
 * The state is only ever folded from events as they are stored; so whoever folds the stream gets
 * the same.
 *
 * Callbacks. `initial`, `decide`, `evolve` and the others of a decider are called on the thread
 * that called the library, several at once on different states. They are pure: they look at nothing
 * but their arguments, and may call nothing with a store or an aggregate (STELE_MISUSE); types,
 * buffers, JSON and CBOR are open to them. They may run more often than once for one command.
 *
 * Threads. An aggregate may be shared by any number of threads. Those that execute on the same
 * stream take turns, in the order of asking, so that they don't get in each other's way; other
 * handles and processes are met by deciding again.
 */
#ifndef STELE_AGGREGATE_H
#define STELE_AGGREGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/buffer.h>
#include <stele/eventstore.h>
#include <stele/snapshot.h>
#include <stele/state.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/transaction.h>
#include <stele/type.h>
#include <stele/typed.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Deciding --- */

/** Takes what a command leads to. Lent for the call of `decide`. */
typedef struct stele_decision stele_decision;

/**
 * Emit a value as an event, in the store's write codec. It is encoded at once.
 *
 * @param type Registered on the store.
 * @return STELE_OK; STELE_UNKNOWN_TYPE; STELE_INVALID, STELE_UNSUPPORTED, STELE_TOO_LARGE (also
 *         beyond 100,000 events), STELE_MISUSE, STELE_NO_MEMORY. After a failure nothing more is
 *         taken, and it is what executing answers, whatever `decide` returns.
 */
STELE_API stele_status stele_decision_emit(stele_decision *decision, const stele_type *type,
                                           const void *value);

/** The same with all that a typed event may have. */
STELE_API stele_status stele_decision_emit_typed(stele_decision *decision,
                                                 const stele_typed_event *event);

/** Emit an event as bytes, which are copied. What is wrong with them is told by the append. An
 * event is given as it is defined here: a later form of it comes with a function of its own. */
STELE_API stele_status stele_decision_emit_event(stele_decision *decision,
                                                 const stele_event *event);

/**
 * Refuse the command: nothing is appended, and executing answers STELE_REFUSED.
 *
 * @param code   The program's own; comes back as stele_executed.refusal.
 * @param reason Comes back as stele_error_text(); cut after 400 bytes. NULL is "".
 * @return STELE_REFUSED, to be returned by `decide`; STELE_MISUSE (`decision` NULL).
 */
STELE_API stele_status stele_decision_refuse(stele_decision *decision, int32_t code,
                                             const char *reason);

/** The stream at hand, and its version that is decided on; 0: it isn't there. */
STELE_API const char *stele_decision_stream(const stele_decision *decision);
STELE_API int64_t stele_decision_version(const stele_decision *decision);

/** An event to fold. Lent for the call of `evolve`. */
typedef struct stele_folding {
    const stele_record *record; /**< As stored. */
    const stele_part *part; /**< What it was decoded into (stele/typed.h): one call for each part.
                                 NULL when the decider is `raw`. */
} stele_folding;

/**
 * A decider: one kind of aggregate. Start from STELE_DECIDER_INIT; fields are only ever added.
 *
 * The state is a struct of the program's. With a table (`state`) it can be copied, cleared and
 * written as a snapshot by that; without one, `state_size` says how large it is, and the four
 * functions at the end do what is needed of this: without `copy` it is taken to be plain bytes.
 */
typedef struct stele_decider {
    size_t struct_size;      /**< Set by the initializer. */
    const char *name;        /**< Names the fold, and its snapshots. */
    const stele_type *state; /**< The table of the state; need not be registered. NULL: none. */
    size_t state_size;       /**< Without a table; at least 1. */
    int64_t schema_version;  /**< Of the state; 0 means its table's, or 1. Change it whenever
                                `evolve` changes: snapshots of another one are passed over. */
    /** Make the state before any event; `state` is zero. NULL: zero is it. */
    stele_status (*initial)(void *context, void *state);
    /** Decide `command` on `state`: emit events and return STELE_OK; emit none, when nothing is to
     * be done; or refuse. Owns neither. NULL: nothing can be executed. */
    stele_status (*decide)(void *context, const void *state, const void *command,
                           stele_decision *decision);
    /** Fold an event into `state`. On a failure `state` is cleared by the caller. */
    stele_status (*evolve)(void *context, void *state, const stele_folding *event);
    void *context;
    bool raw;          /**< Events aren't decoded. */
    bool unknown;      /**< Events of a type that isn't registered are folded, too, with a part
                            without table; else they are STELE_UNKNOWN_TYPE. */
    bool from_trimmed; /**< What retention has left of a stream is folded as if it were all, but for
                            who has a snapshot or a cached state that reaches that far; else that is
                            STELE_NOT_FOUND, unless a snapshot bridges the gap. */
    /** Free what `state` owns. NULL: nothing. */
    void (*clear)(void *context, void *state);
    /** Make `copy`, which is zero, equal to `state`. NULL: the bytes are copied, or with `clear`,
     * states can't be copied: none is handed to two users at a time, and stele_scenario can't be
     * used. */
    stele_status (*copy)(void *context, const void *state, void *copy);
    /** Write a snapshot at the end of `buffer`, and make a state, zero before, of one. NULL: no
     * snapshots. */
    stele_status (*encode)(void *context, const void *state, stele_buffer *buffer);
    stele_status (*decode)(void *context, const void *data, size_t size, void *state);
    const char
        *codec; /**< In which snapshots are written; NULL: "json" with a table, else "raw". */
} stele_decider;

/* clang-format off */
#define STELE_DECIDER_INIT { sizeof(stele_decider), NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, false, \
    false, false, NULL, NULL, NULL, NULL, NULL }
/* clang-format on */

/** Set `decider` to the defaults, as STELE_DECIDER_INIT does. For bindings. */
STELE_API void stele_decider_init(stele_decider *decider);

/* --- Opening --- */

/** How to open an aggregate. */
typedef struct stele_aggregate_options {
    size_t struct_size;       /**< Set by the initializer. */
    uint32_t cache_count_max; /**< Most folded states kept in memory, the least recently used go
                                   first; 0: none. 1000. */
    uint64_t cache_size_max;  /**< Most bytes of them, as their structs and names are large; what
                                   they own isn't known. 64 MiB. */
    /* When executing saves a snapshot; neither: never. */
    uint64_t snapshot_events;  /**< When so many events were folded since the last one; 0. */
    uint64_t snapshot_fold_us; /**< When folding took longer than this, in microseconds; 0. */
    uint32_t snapshot_keep;    /**< As in stele_snapshot. 1. */
    uint32_t tries;            /**< How often a command may be decided, conflicts counted. 20. */
    uint32_t backoff_us;       /**< How long to sleep before the third try, doubled for each further
                                    one up to `backoff_max_us`; half of it is left to chance. 500. */
    uint32_t backoff_max_us;   /**< 10000. */
    uint32_t lock_after; /**< After so many tries that were overtaken, the command is decided with
                              the store's write lock held, where nobody can overtake it; 0: never.
                              3. */
} stele_aggregate_options;

/* clang-format off */
#define STELE_AGGREGATE_OPTIONS_INIT { sizeof(stele_aggregate_options), 1000, 67108864, 0, \
    0, 1, 20, 500, 10000, 3 }
/* clang-format on */

/** Set `options` to the defaults, as STELE_AGGREGATE_OPTIONS_INIT does. For bindings. */
STELE_API void stele_aggregate_options_init(stele_aggregate_options *options);

/** All aggregates of one kind in a store. */
typedef struct stele_aggregate stele_aggregate;

/**
 * Open the aggregates of `decider` in `store`. The types of their events are registered before the
 * first command or load, which freezes what the store knows of types (stele/codec.h).
 *
 * @param decider       Copied, its names too; its table and context are borrowed until it is
 * closed.
 * @param options       NULL means STELE_AGGREGATE_OPTIONS_INIT. Copied.
 * @param aggregate_out Receives the handle; close it with stele_aggregate_close().
 * @return STELE_OK; STELE_MISUSE (an argument; a table and a `state_size`; a decider without
 *         `evolve`, or a state of no size; a snapshot policy without a way to write one; no tries);
 *         STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_aggregate_open(stele_store *store, const stele_decider *decider,
                                            const stele_aggregate_options *options,
                                            stele_aggregate **aggregate_out);

/** Close `aggregate`. NULL is allowed; never fails. Calls that run on other threads end with
 * STELE_CLOSED at their next step, and are waited for. Also after the store was closed. */
STELE_API void stele_aggregate_close(stele_aggregate *aggregate);

/* --- Executing --- */

/** Where a command came from: stamped into the metadata of what it emits, which must be a JSON
 * object, or none, then (STELE_INVALID). A member that an event has of its own stays as it is. */
typedef struct stele_cause {
    size_t struct_size;      /**< Set by the initializer. */
    const char *correlation; /**< "correlation_id": what all that follows from one request share.
                                  NULL: not stamped. */
    const char *causation;   /**< "causation_id": what directly led to the command. NULL. */
    const stele_attribute *attributes; /**< Further members, each a text; at most 100. NULL. */
    size_t attribute_count;
    size_t attribute_size; /**< sizeof(stele_attribute). */
} stele_cause;

/* clang-format off */
#define STELE_CAUSE_INIT { sizeof(stele_cause), NULL, NULL, NULL, 0, sizeof(stele_attribute) }
/* clang-format on */

/** Set `cause` to the defaults, as STELE_CAUSE_INIT does. For bindings. */
STELE_API void stele_cause_init(stele_cause *cause);

/** What to execute, and on what. */
typedef struct stele_execute {
    size_t struct_size; /**< Set by the initializer. */
    const char *stream;
    const void *command;         /**< The program's own; handed to `decide` as it is. */
    int64_t expected_version;    /**< Only if the stream is at it: an exact one, STELE_NO_STREAM or
                                      STELE_STREAM_EXISTS. STELE_ANY. */
    const char *idempotency_key; /**< Names this command: it is executed once, see below. NULL. */
    const stele_cause *cause;    /**< NULL: nothing is stamped. */
    uint32_t tries;              /**< 0: as the aggregate's options say. */
    const stele_wait *wait;      /**< How long it may take in all, and who may cancel it; NULL: each
                                      wait by itself as long as busy_timeout_ms. */
    void *state;                 /**< Receives the state after the command, to be cleared with
                                      stele_aggregate_clear(); what was in it is forgotten. NULL: not wanted. */
} stele_execute;

/* clang-format off */
#define STELE_EXECUTE_INIT { sizeof(stele_execute), NULL, NULL, STELE_ANY, NULL, NULL, 0, NULL, \
    NULL }
/* clang-format on */

/** Set `execute` to the defaults, as STELE_EXECUTE_INIT does. For bindings. */
STELE_API void stele_execute_init(stele_execute *execute);

/** How a state was come by. */
typedef struct stele_fold_report {
    int64_t folded;           /**< Events that were read and folded, in all tries. */
    int64_t snapshot_version; /**< Of the snapshot it began with; 0: none. */
    stele_snapshot_miss
        miss;            /**< Why it didn't begin with one; HIT also when none was asked for. */
    bool cached;         /**< It began with a state of the cache. */
    int64_t fold_us;     /**< How long loading took. */
    int64_t reserved[2]; /**< Zero. */
} stele_fold_report;

/** What became of a command. */
typedef struct stele_executed {
    int64_t version;        /**< Of the stream afterwards; on STELE_CONFLICT and STELE_REFUSED the
                                 one that was met. */
    int64_t first_position; /**< Of the first event appended; 0 for none. */
    int64_t last_position;
    uint64_t event_count; /**< Events appended; 0: there was nothing to be done. */
    bool duplicate;       /**< The key came before: this is the first attempt's outcome. */
    bool erased;          /**< A duplicate whose events were deleted since: of which stream they
                               were isn't known any more. */
    int32_t refusal;      /**< The code of a STELE_REFUSED. */
    uint32_t tries;       /**< How often it was decided. */
    bool snapshot_saved;
    stele_status snapshot_status; /**< Of the attempt to save one; STELE_OK also without. */
    stele_fold_report fold;
    stele_status state_status; /**< Of folding `state`, which is zero unless this is STELE_OK: the
                                    command was executed all the same. */
    int64_t state_version;     /**< Of `state`, which is as of now: others may have appended since
                                    the command. */
    int64_t reserved[3];       /**< Zero. */
} stele_executed;

/**
 * Execute a command: load the state, decide, append what was emitted.
 *
 * All that one command emits is appended in one commit, at the version that was decided on. When
 * somebody else appended meanwhile, the events that were missed are folded, they alone, and the
 * command is decided again: `tries` times at most, and after `lock_after` of them with the write
 * lock held, so that a busy stream starves nobody. A command that emits nothing appends nothing,
 * which is STELE_OK with an `event_count` of 0.
 *
 * With an idempotency key the command is executed once: if the key came before, on this stream,
 * nothing is decided and the first attempt's outcome is answered, with `duplicate`. A command that
 * emitted nothing counts; one that was refused or failed doesn't.
 *
 * A snapshot that the policy asks for is saved after the append, of the state that was decided on.
 * If that fails, the command succeeds all the same.
 *
 * @param executed_out May be NULL. Set whatever is returned, as far as it came.
 * @return STELE_OK; STELE_REFUSED (by `decide`; the text is its reason); STELE_CONFLICT (not at
 *         `expected_version`; or each try was overtaken); STELE_KEY_REUSED (the key was used for
 *         another stream); STELE_ARCHIVED; STELE_TOMBSTONED (before anything is decided);
 *         STELE_NOT_FOUND (trimmed, see `from_trimmed`); STELE_UNKNOWN_TYPE, STELE_INVALID,
 *         STELE_PRECISION, STELE_TOO_LARGE, STELE_UNSUPPORTED (an event that can't be decoded, or
 *         that was emitted and can't be appended; or what a callback answered, anything but these
 *         and STELE_NO_MEMORY counting as STELE_INVALID; the text names stream and version);
 *         STELE_MISUSE (also inside a transaction of this thread); STELE_READ_ONLY; STELE_BUSY;
 *         STELE_CANCELLED; STELE_FULL; STELE_IO; STELE_CORRUPT; STELE_NO_MEMORY; STELE_CLOSED:
 *         nothing was appended. Only after STELE_UNKNOWN_OUTCOME it may have been.
 */
STELE_API stele_status stele_aggregate_execute(stele_aggregate *aggregate,
                                               const stele_execute *execute,
                                               stele_executed *executed_out);

/**
 * stele_aggregate_execute() inside `transaction`, which sees what that wrote: several commands on
 * several streams in one commit. There is nothing to conflict with but `expected_version`; `tries`
 * and `wait` aren't looked at, and no snapshot is saved. A command that is refused or fails before
 * its append has written nothing, and the transaction may go on.
 */
STELE_API stele_status stele_transaction_aggregate_execute(stele_transaction *transaction,
                                                           stele_aggregate *aggregate,
                                                           const stele_execute *execute,
                                                           stele_executed *executed_out);

/* --- Loading --- */

/** What was loaded. */
typedef struct stele_loaded {
    int64_t version;   /**< Of the last event that was folded; 0: the state is the initial one. */
    int64_t stream_id; /**< See stele_record.stream_id; 0: there is no such stream. */
    stele_stream_state stream_state;
    stele_fold_report fold;
    int64_t reserved[4]; /**< Zero. */
} stele_loaded;

/**
 * Load the state of `stream`. One that was never written to, or was deleted, has the initial state
 * at version 0, which is STELE_OK.
 *
 * @param state      As large as the decider says; what was in it is forgotten. On STELE_OK it is
 * the caller's, to be cleared with stele_aggregate_clear(); else it is zero.
 * @param loaded_out May be NULL.
 * @return STELE_OK; STELE_NOT_FOUND (trimmed); STELE_ARCHIVED (events that are needed are in an
 *         archive that isn't attached); STELE_UNKNOWN_TYPE, STELE_INVALID, STELE_PRECISION,
 *         STELE_TOO_LARGE, STELE_UNSUPPORTED (an event can't be decoded or folded); STELE_MISUSE;
 *         STELE_BUSY; STELE_CORRUPT; STELE_IO; STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_aggregate_load(stele_aggregate *aggregate, const char *stream,
                                            void *state, stele_loaded *loaded_out);

/** stele_aggregate_load() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_aggregate_load(stele_transaction *transaction,
                                                        stele_aggregate *aggregate,
                                                        const char *stream, void *state,
                                                        stele_loaded *loaded_out);

/** A moment in the life of a stream: exactly one of the three is set. */
typedef struct stele_at {
    size_t struct_size; /**< Set by the initializer. */
    const char *stream;
    int64_t version;        /**< After this event of the stream; beyond its last one: after that. */
    int64_t position;       /**< After this event of the store. */
    int64_t time;           /**< After the last event recorded at or before it. */
    bool has_time;          /**< Set with `time`, which may be 0. */
    const stele_wait *wait; /**< As in stele_read. NULL. */
} stele_at;

/* clang-format off */
#define STELE_AT_INIT { sizeof(stele_at), NULL, 0, 0, 0, false, NULL }
/* clang-format on */

/** Set `at` to the defaults, as STELE_AT_INIT does. For bindings. */
STELE_API void stele_at_init(stele_at *at);

/**
 * Load the state as it was then, as far as is known now: from a snapshot that is old enough, if one
 * was kept, else from the first event. Nothing is cached.
 *
 * Of a stream that was written while the store's clock was set back (STELE_RECORD_CLOCK_BACK), some
 * times mean several moments: which of them is not said.
 *
 * @return As stele_aggregate_load(), and STELE_CANCELLED.
 */
STELE_API stele_status stele_aggregate_at(stele_aggregate *aggregate, const stele_at *at,
                                          void *state, stele_loaded *loaded_out);

/** Free what `state` owns, and make it zero. NULLs are allowed; never fails. */
STELE_API void stele_aggregate_clear(stele_aggregate *aggregate, void *state);

/**
 * Load `stream` and save a snapshot of it now, whatever the policy.
 *
 * @param loaded_out May be NULL: what it is a snapshot of.
 * @return As stele_aggregate_load() and stele_snapshot_save(); STELE_NOT_FOUND also for a stream
 *         that isn't there; STELE_UNSUPPORTED also when the decider can't write snapshots.
 */
STELE_API stele_status stele_aggregate_snapshot(stele_aggregate *aggregate, const char *stream,
                                                stele_loaded *loaded_out);

/** Facts about an open aggregate, of this handle since it was opened. */
typedef struct stele_aggregate_info {
    size_t struct_size;     /**< Set by the caller. */
    uint64_t cached;        /**< States in the cache now. */
    uint64_t hits;          /**< Loads that began with one of these. */
    uint64_t misses;        /**< Loads that didn't. */
    uint64_t snapshot_hits; /**< Of the misses: that began with a snapshot. */
    uint64_t folded;        /**< Events folded. */
    uint64_t executed;      /**< Commands that appended. */
    uint64_t conflicts;     /**< Tries that were overtaken. */
    uint64_t reserved[4];   /**< Zero. */
} stele_aggregate_info;

/** Describe `aggregate`. @return STELE_OK, STELE_MISUSE, STELE_CLOSED. */
STELE_API stele_status stele_aggregate_describe(stele_aggregate *aggregate,
                                                stele_aggregate_info *info_out);

#ifdef __cplusplus
}
#endif

#endif
