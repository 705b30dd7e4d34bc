/**
 * @file stele/projection.h
 * Projections: read models that are folded from events, in the user's own tables in the same file.
 *
 * One description, three ways to run it:
 *
 * - Inline (stele_projector_open_inline()): folded in the transaction of each append, on the thread
 *   that commits. The model is never behind the log, and an event that can't be folded isn't
 *   appended.
 * - Async (stele_projector_open()): an exactly-once subscription of the projection's name. It
 *   follows the log, a batch a transaction, in whichever process runs it.
 * - Live (stele_projection_live()): folded on demand, into the caller's memory. Nothing is kept.
 *
 * The store knows a projection by its name: of which version its tables are, which tables, how it
 * is run, and through which position they are folded (its checkpoint has the same name). Code of
 * another version never writes to them: it is refused, STELE_CONFLICT when opening, STELE_FENCED
 * when the tables were rebuilt under it. stele_projection_rebuild() brings them to another version.
 *
 * All that a projection writes goes through stele_transaction_sqlite() of the transaction that it
 * is lent. It should depend on the events alone: the same events must give the same tables.
 *
 * Outside effects (mail, messages) don't belong to tables that can be built anew. Where they are
 * wanted nevertheless, `effects` of stele_projecting says whether they are to be had: not for
 * events that an older version of the tables had handled before.
 */
#ifndef STELE_PROJECTION_H
#define STELE_PROJECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/eventstore.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/subscription.h>
#include <stele/transaction.h>
#include <stele/work.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The longest name of a projection, and of a table of one, in bytes. */
#define STELE_PROJECTION_NAME_MAX  150
#define STELE_PROJECTION_TABLE_MAX 100
/** Most tables of one projection. */
#define STELE_PROJECTION_TABLES_MAX 32
/** Room for the name of a table with any suffix, and a NUL. */
#define STELE_TABLE_NAME_SIZE 128

/** What a projection is called for. Only lent by pointer, for the call. */
typedef struct stele_projecting {
    stele_store *store;
    stele_transaction *transaction; /**< For its SQL. Commit and end are the library's. */
    const char *name;               /**< Of the projection. */
    const char *suffix;             /**< What the names of its tables end with: "", or while they
                                         are built beside the old ones something like "_b7". */
    bool effects;     /**< Whether effects outside the store are to be had: see above. */
    bool rebuilding;  /**< The tables are being built anew. */
    bool with_append; /**< Inline: in the transaction that appends the event. */
} stele_projecting;

/**
 * Put the name of a table together: `table` and the suffix. For SQL, without quotes.
 *
 * @param name_out Receives the name; "" unless STELE_OK.
 * @return STELE_OK, STELE_MISUSE (a NULL; none of the tables that the projection has named).
 */
STELE_API stele_status stele_projecting_table(const stele_projecting *projecting, const char *table,
                                              char name_out[STELE_TABLE_NAME_SIZE]);

/** A projection, described. Start from STELE_PROJECTION_INIT; fields are only ever added. */
typedef struct stele_projection {
    size_t struct_size; /**< Set by the initializer. */
    const char *name;   /**< A name as of a stream, at most STELE_PROJECTION_NAME_MAX bytes, not
                             beginning with '$'. No subscription may have it. */
    int64_t version;    /**< Of its code and tables, from 1: another one for each change that would
                             make other tables of the same events. 1. */
    /* Which events: as in stele_read. */
    const char *const *types;
    size_t type_count;
    const char *category;
    const char *prefix;
    bool system;
    /** The tables, `table_count` of them: letters, digits and '_', not ending like a suffix
     * ("_b7"), none of the library's. No view may name them, and no table of others have a foreign
     * key on them. */
    const char *const *tables;
    size_t table_count;
    /**
     * Create the tables with the suffix, and what hangs on them; names of indexes end with it, too.
     * Called once for each set of tables, with none of them there. Whatever it returns but STELE_OK
     * ends the call that it was made for.
     */
    stele_status (*setup)(void *context, const stele_projecting *projecting);
    /**
     * Fold one event into the tables with the suffix. May call all that takes a transaction, but
     * for what appends when it runs inline (changes of a stream's life, too), and read the store
     * (inline: through the transaction only). It must not take a lock that is held around an
     * append. The record is borrowed for the call.
     *
     * A failure inline refuses the append, which answers that status; in a rebuild it ends that;
     * async it is as of the handler of a subscription.
     */
    stele_status (*project)(void *context, const stele_record *record,
                            const stele_projecting *projecting);
    void *context;
} stele_projection;

/* clang-format off */
#define STELE_PROJECTION_INIT { sizeof(stele_projection), NULL, 1, NULL, 0, NULL, NULL, false, NULL, \
    0, NULL, NULL, NULL }
/* clang-format on */

/** Set `projection` to the defaults, as STELE_PROJECTION_INIT does. For bindings. */
STELE_API void stele_projection_init(stele_projection *projection);

/** A projection that is open in this process, inline or async. */
typedef struct stele_projector stele_projector;

/* --- Inline --- */

/**
 * Open a projection that is kept with each append. The first time its tables are set up and all
 * events folded, a step at a time; from then on every append, by whichever call, folds its events
 * in its own transaction: stele_store_append() and append_many(), submissions, transactions,
 * imports.
 *
 * It runs on the thread that commits, which may be another appender's (appends share commits).
 * Under a savepoint: when it fails, nothing of that append is left, and others that share the
 * commit go on. The failure dooms no transaction.
 *
 * Nothing is missed. Each append moves the projection's checkpoint, and looks first whether it was
 * where the log ended. From the first opening on, appends are refused in every process that doesn't
 * have the projection open, STELE_REFUSED, until stele_projection_drop(); but for the library's own
 * records in `$` streams, which are folded with the next append.
 *
 * @param projection   Copied, strings too; the context is borrowed until the projector is closed.
 * @param work         How the first folding is cut, watched and cancelled; NULL: defaults.
 * @param projector_out Receives the handle; close it with stele_projector_close(). A store has one
 *                     for each name.
 * @return STELE_OK; STELE_CONFLICT (the tables are of another version: rebuild them; they are kept
 *         async; the name is that of a subscription; its tables are there already); STELE_CANCELLED
 * (it goes on with the next call); STELE_MISUSE (the description; open already; inside a
 * transaction of this thread); what `setup` or `project` answered; STELE_EPOCH; STELE_ARCHIVED
 * (attach the archive); STELE_TOO_LARGE (types); STELE_READ_ONLY; STELE_BUSY; STELE_FULL; STELE_IO;
 *         STELE_CORRUPT; STELE_NO_MEMORY; STELE_CLOSED; STELE_UNKNOWN_OUTCOME (open it again).
 */
STELE_API stele_status stele_projector_open_inline(stele_store *store,
                                                   const stele_projection *projection,
                                                   const stele_work *work,
                                                   stele_projector **projector_out);

/* --- Async --- */

/**
 * Open a projection that follows the log. The first time its tables are set up.
 *
 * @param projection    As for stele_projector_open_inline().
 * @param options       How it subscribes: start, delivery and lanes must be the defaults, name and
 *                      filters unset. NULL: defaults.
 * @param projector_out Receives the handle; close it with stele_projector_close().
 * @return As stele_subscription_open(), and STELE_CONFLICT (the tables are of another version:
 *         rebuild them; they are kept inline; the name is that of a subscription; its tables are
 * there already); what `setup` answered; STELE_FULL; STELE_UNKNOWN_OUTCOME (open it again).
 */
STELE_API stele_status stele_projector_open(stele_store *store, const stele_projection *projection,
                                            const stele_subscription_options *options,
                                            stele_projector **projector_out);

/**
 * Fold events on this thread, until it is done or told to stop: stele_subscription_run().
 *
 * @return As that; and STELE_FENCED when the tables were brought to another version meanwhile: this
 *         code is not for them. STELE_MISUSE for an inline one.
 */
STELE_API stele_status stele_projector_run(stele_projector *projector);

/** The subscription behind an async projector, to describe it or to replay what is parked; borrowed
 * until the projector is closed. NULL for an inline one. */
STELE_API stele_subscription *stele_projector_subscription(stele_projector *projector);

/**
 * What stele_worker_start() and stele_subscription_replay() need. A worker ends with STELE_OK when
 * the tables were brought to another version; the log has the reason.
 *
 * @param handler_out Of its size; borrows the projector.
 * @param options_out May be NULL. Likewise.
 * @return STELE_OK, STELE_MISUSE (a NULL, a wrong size, an inline one).
 */
STELE_API stele_status stele_projector_handler(stele_projector *projector,
                                               stele_handler *handler_out,
                                               stele_subscription_options *options_out);

/** Ask stele_projector_run() to end. Safe in a signal handler. NULL is allowed. */
STELE_API void stele_projector_stop(stele_projector *projector);

/**
 * Close `projector`. NULL is allowed; never fails. Not from its own callbacks. Before or after the
 * store is closed. An inline one stays kept inline: appends of this process are refused from then
 * on, so close it last.
 */
STELE_API void stele_projector_close(stele_projector *projector);

/* --- Live --- */

/** What to fold on demand. */
typedef struct stele_live {
    size_t struct_size; /**< Set by the initializer. */
    /* Which events: as in stele_read. */
    const char *stream;
    const char *const *types;
    size_t type_count;
    const char *category;
    const char *prefix;
    bool system;
    int64_t after_position; /**< What was folded before. 0. */
    int64_t to_position;    /**< 0: the head. */
    const char *epoch;      /**< In which `after_position` was learnt; NULL: not asked. */
    /** Fold one event; a failure ends the call with that. May call all but stele_live() of the
     * same memory. */
    stele_status (*fold)(void *context, const stele_record *record);
    void *context;
    const stele_wait *wait; /**< As in stele_read. */
} stele_live;

/* clang-format off */
#define STELE_LIVE_INIT { sizeof(stele_live), NULL, NULL, 0, NULL, NULL, false, 0, 0, NULL, NULL, \
    NULL, NULL }
/* clang-format on */

/** Set `live` to the defaults, as STELE_LIVE_INIT does. For bindings. */
STELE_API void stele_live_init(stele_live *live);

/** What was folded. */
typedef struct stele_lived {
    int64_t through;       /**< All events up to here: give it as `after_position` to go on. */
    uint64_t count;        /**< Events that were folded. */
    stele_skipped skipped; /**< Events without data, which were passed over. */
    int64_t reserved[3];   /**< Zero. */
} stele_lived;

/**
 * Fold events into the caller's own memory, as far as the log goes now. Nothing is written.
 *
 * @param lived_out May be NULL. Set on success; on a failure it says how far it got: what `fold`
 *                  has failed on isn't counted.
 * @return STELE_OK, what `fold` answered, and as stele_store_read() and stele_cursor_next().
 */
STELE_API stele_status stele_projection_live(stele_store *store, const stele_live *live,
                                             stele_lived *lived_out);

/* --- Rebuilding --- */

/** Where two sets of tables differ. Only lent by pointer, for the call. */
typedef struct stele_table_difference {
    const char *table; /**< As the projection has named it. */
    bool missing;      /**< The table is in one of the two only, or has other columns: no rows are
                            compared. */
    uint64_t only_old; /**< Rows that only the old tables have: of one that is there several times,
                            as many as it is there more often. */
    uint64_t only_new; /**< The same of the new tables. */
    uint64_t rows_old; /**< Rows in all. */
    uint64_t rows_new;
    const char *first_old; /**< The first of `only_old`, its values as SQL literals with ',' between
                                them; "" for none; cut after 399 bytes. */
    const char *first_new;
} stele_table_difference;

/** How to rebuild. Start from STELE_REBUILD_INIT. */
typedef struct stele_rebuild {
    size_t struct_size; /**< Set by the initializer. */
    bool in_place; /**< Empty the tables and fold all events again, instead of building others. */
    /**
     * Compare the tables, once the new ones are as far as the old: called for each table that
     * differs, while the write lock is held. Other than 0 leaves the old tables in place, and the
     * call ends with STELE_CANCELLED; the new ones stay to be looked at. May call nothing of the
     * library. NULL: they aren't compared.
     */
    int (*differs)(void *context, const stele_table_difference *difference);
    void *context;
    uint32_t lease_ms;      /**< How long a build stays its caller's after a crash. 30000. */
    const stele_work *work; /**< How it is cut, watched and cancelled; NULL: defaults. */
} stele_rebuild;

/* clang-format off */
#define STELE_REBUILD_INIT { sizeof(stele_rebuild), false, NULL, NULL, 30000, NULL }
/* clang-format on */

/** Set `rebuild` to the defaults, as STELE_REBUILD_INIT does. For bindings. */
STELE_API void stele_rebuild_init(stele_rebuild *rebuild);

/** What a rebuild has done. */
typedef struct stele_rebuilt {
    int64_t position;       /**< Through which the tables are folded. */
    int64_t old_version;    /**< Of the tables before. */
    uint64_t count;         /**< Events folded by this call. */
    bool resumed;           /**< It went on with what an earlier call had begun. */
    int64_t dropped_parked; /**< Events that were parked by the old tables: they are folded now, but
                                 without effects. */
    int64_t reserved[4];    /**< Zero. */
} stele_rebuilt;

/**
 * Bring the tables of a projection to `projection`: its version, its tables, its code.
 *
 * Beside (the default): new tables are built while the old ones are kept and read, never further
 * than those are. Then, in one transaction: the last events are folded, the tables compared if
 * wanted, the old ones dropped and the new ones given their names, the checkpoint taken over in a
 * new generation. Whoever still folds into the old tables is refused from then on (STELE_FENCED).
 * It may be killed at any moment: the old tables are whole, and the next call goes on where this
 * one stood.
 *
 * In place: the tables are dropped and set up anew in one transaction, and filled after that, a
 * step at a time. Until it is done they are behind; of an inline one, appends are refused
 * meanwhile.
 *
 * Either way `effects` is false for events that the old tables had seen.
 *
 * @param rebuild     NULL means defaults.
 * @param rebuilt_out May be NULL. Set on STELE_OK.
 * @return STELE_OK; STELE_NOT_FOUND (no such projection was ever opened); STELE_BUSY (another call
 *         builds it; or the writer's turn didn't come); STELE_CANCELLED (by `work`, or `differs`);
 *         STELE_CONFLICT (it is being rebuilt the other way: go on with that, or abandon it);
 *         STELE_FENCED (the build was abandoned, or taken over); what `setup` or `project`
 *         answered; STELE_EPOCH; STELE_ARCHIVED; STELE_MISUSE (also inside a transaction of this
 *         thread); STELE_READ_ONLY; STELE_FULL; STELE_IO; STELE_CORRUPT; STELE_NO_MEMORY;
 *         STELE_CLOSED; STELE_UNKNOWN_OUTCOME (call it again).
 */
STELE_API stele_status stele_projection_rebuild(stele_store *store,
                                                const stele_projection *projection,
                                                const stele_rebuild *rebuild,
                                                stele_rebuilt *rebuilt_out);

/**
 * Give up a build: the new tables are dropped, whoever builds them is fenced off. The old ones
 * stay.
 *
 * @param found_out May be NULL. Whether there was one.
 * @return STELE_OK, STELE_NOT_FOUND (no such projection), STELE_MISUSE, STELE_READ_ONLY,
 *         STELE_BUSY, STELE_FULL, STELE_IO, STELE_CORRUPT, STELE_NO_MEMORY, STELE_CLOSED,
 *         STELE_UNKNOWN_OUTCOME.
 */
STELE_API stele_status stele_projection_abandon(stele_store *store, const char *name,
                                                bool *found_out);

/**
 * Forget a projection: its tables, its checkpoint and what was parked. Close its projectors first;
 * async ones that run elsewhere are refused. From then on appends do without an inline one.
 *
 * @return As stele_projection_abandon(); one that isn't there is STELE_OK with `*found_out` false.
 */
STELE_API stele_status stele_projection_drop(stele_store *store, const char *name, bool *found_out);

/* --- Looking --- */

/** What the store knows of a projection. */
typedef struct stele_projection_info {
    bool found;       /**< The rest is 0 otherwise. */
    bool with_append; /**< Inline. */
    int64_t version;  /**< Of its tables. */
    int64_t position;
    int64_t effects_after;  /**< Up to here no effects are had. */
    bool building;          /**< New tables are being built beside; or in place, the same ones. */
    int64_t build_version;  /**< Of these; 0 for none. */
    int64_t build_position; /**< How far they are. */
    int64_t build_to;       /**< How far they have to be, as things are now. */
    int64_t reserved[4];    /**< Zero. */
} stele_projection_info;

/**
 * Describe a projection. One that was never opened is STELE_OK with `found` false.
 *
 * @return STELE_OK, STELE_MISUSE, STELE_BUSY, STELE_CORRUPT, STELE_IO, STELE_NO_MEMORY,
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_projection_describe(stele_store *store, const char *name,
                                                 stele_projection_info *info_out);

#ifdef __cplusplus
}
#endif

#endif
