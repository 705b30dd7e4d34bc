/**
 * @file stele/snapshot.h
 * Snapshots: saved folds of streams, so that not every load begins at version 1.
 *
 * A snapshot is a cache. It is named by its stream and by what it is a fold of (`name`: several
 * folds of one stream don't meet), and holds the state after the stream's event at `version`. It
 * may be dropped at any time; nothing but speed is lost. Deleting a stream takes its snapshots
 * with it; trimming, archiving and restoring leave them, and they stay right, since versions never
 * change their events. Their data is what the program made of events: who must forget these
 * (docs/erasure.md) has to think of it.
 *
 * Loading never fails because of what a snapshot is: one that doesn't fit is a *miss*, with its
 * reason. Saving and dropping can: where pages of snapshots are damaged they are STELE_CORRUPT
 * (docs/snapshots.md has the ways out).
 *
 * Times are microseconds since 1970 UTC. Any number of threads and processes may save and load.
 */
#ifndef STELE_SNAPSHOT_H
#define STELE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/transaction.h>
#include <stele/work.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most snapshots kept of one stream and name. */
#define STELE_SNAPSHOT_KEEP_MAX 1000

/* --- Saving --- */

/** A snapshot to be saved. All pointers are borrowed for the call. */
typedef struct stele_snapshot {
    size_t struct_size; /**< Set by the initializer. */
    const char *stream;
    const char *name;       /**< Of the fold; NULL means "state". As other names. */
    int64_t version;        /**< Of the last event that was folded; 1 to the stream's. */
    int64_t schema_version; /**< Of the state's form, from 1; 0 means 1. */
    const char *codec;      /**< What `data` is written in; NULL means "json". */
    const void *data;       /**< Stored verbatim. */
    size_t data_size;
    const void *metadata; /**< A JSON text, stored verbatim; NULL for none. */
    size_t metadata_size;
    uint32_t keep;     /**< How many to keep of this stream and name, those of the highest versions;
                            0 means 1. At most STELE_SNAPSHOT_KEEP_MAX. */
    int64_t stream_id; /**< The stream must be this one (stele_record.stream_id), and not a later
                            one of its name; 0: not asked. */
    const stele_wait *wait; /**< NULL: busy_timeout_ms. In a transaction not looked at. */
} stele_snapshot;

/* clang-format off */
#define STELE_SNAPSHOT_INIT { sizeof(stele_snapshot), NULL, NULL, 0, 0, NULL, NULL, 0, NULL, 0, 0, \
    0, NULL }
/* clang-format on */

/** Set `snapshot` to the defaults, as STELE_SNAPSHOT_INIT does. For bindings. */
STELE_API void stele_snapshot_init(stele_snapshot *snapshot);

/**
 * Save a snapshot, replacing one of the same version, and drop those beyond `keep`. When `keep`
 * of higher versions are there already, nothing is stored, which is STELE_OK. Snapshots of a
 * foreign epoch, those beyond the stream's version, and damaged ones of higher versions don't
 * count, and are dropped; of lower versions the data isn't read.
 *
 * Saves that come at the same time as other writes share their commit.
 *
 * @return STELE_OK; STELE_NOT_FOUND (no such stream, or `stream_id` is of another); STELE_MISUSE
 * (an argument; a version beyond the stream's, with both numbers in the text); STELE_INVALID,
 *         STELE_PRECISION, STELE_UNSUPPORTED (as the codec says of `data`; or metadata that isn't
 *         JSON); STELE_TOO_LARGE (beyond value_size_max); STELE_READ_ONLY; STELE_BUSY;
 *         STELE_CANCELLED; STELE_FULL; STELE_IO; STELE_CORRUPT; STELE_NO_MEMORY; STELE_CLOSED;
 *         STELE_UNKNOWN_OUTCOME (saved or not; doing it again is harmless).
 */
STELE_API stele_status stele_snapshot_save(stele_store *store, const stele_snapshot *snapshot);

/** stele_snapshot_save() inside `transaction`: saved when that commits. */
STELE_API stele_status stele_transaction_snapshot_save(stele_transaction *transaction,
                                                       const stele_snapshot *snapshot);

/* --- Loading --- */

/** Why there is no snapshot to be had. */
typedef enum stele_snapshot_miss {
    STELE_SNAPSHOT_HIT = 0,        /**< There is one. */
    STELE_SNAPSHOT_NONE = 1,       /**< None was saved, or the stream isn't there. */
    STELE_SNAPSHOT_SCHEMA = 2,     /**< Of another schema version. */
    STELE_SNAPSHOT_CODEC = 3,      /**< In another codec. */
    STELE_SNAPSHOT_EPOCH = 4,      /**< Of another epoch. */
    STELE_SNAPSHOT_BEYOND = 5,     /**< Of a version that the stream doesn't have. */
    STELE_SNAPSHOT_DAMAGED = 6,    /**< Its checksum doesn't match. */
    STELE_SNAPSHOT_UNDECODABLE = 7 /**< Its bytes don't decode: found by stele/aggregate.h. */
} stele_snapshot_miss;

/** The name of `miss` in lower case, such as "schema". Never NULL; never freed. */
STELE_API const char *stele_snapshot_miss_name(stele_snapshot_miss miss);

/** Which snapshot to load. */
typedef struct stele_snapshot_read {
    size_t struct_size; /**< Set by the initializer. */
    const char *stream;
    const char *name;       /**< NULL means "state". */
    int64_t schema_version; /**< Only of this one; 0: of any. */
    const char *codec;      /**< Only in this one; NULL: in any. */
    int64_t max_version;    /**< Only up to this version; 0: no bound. */
    const stele_wait *wait; /**< As in stele_read. NULL. */
} stele_snapshot_read;

/* clang-format off */
#define STELE_SNAPSHOT_READ_INIT { sizeof(stele_snapshot_read), NULL, NULL, 0, NULL, 0, NULL }
/* clang-format on */

/** Set `read` to the defaults, as STELE_SNAPSHOT_READ_INIT does. For bindings. */
STELE_API void stele_snapshot_read_init(stele_snapshot_read *read);

/** A snapshot as stored, or why there is none. Only lent by pointer; what it points to is its own,
 * and lasts until it is closed, whatever becomes of the store. */
typedef struct stele_snapshot_record {
    bool found;
    stele_snapshot_miss miss; /**< HIT when found; else of the one of the highest version. */
    const char *reason;       /**< Why it is a miss, with names and numbers; "" when found. */
    /* The rest is 0, "" or empty unless found. */
    const char *stream;
    const char *name;
    const char *codec;
    int64_t stream_id; /**< See stele_record.stream_id. */
    int64_t version;
    int64_t schema_version;
    int64_t saved_at;
    const void *data; /**< Never NULL; a NUL follows it that is not counted. */
    size_t data_size;
    const void *metadata; /**< Never NULL; size 0 when there is none. */
    size_t metadata_size;
} stele_snapshot_record;

/**
 * Load the snapshot of the highest version that fits. One that doesn't is passed over, and an older
 * one that is kept may fit. None is STELE_OK with `found` false.
 *
 * @param record_out Receives the snapshot or the reason; close it with stele_snapshot_close(). NULL
 *                   unless STELE_OK.
 * @return STELE_OK; STELE_MISUSE; STELE_BUSY; STELE_CANCELLED; STELE_CORRUPT (the row of the stream
 *         is damaged; never because of a snapshot); STELE_IO; STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_snapshot_load(stele_store *store, const stele_snapshot_read *read,
                                           const stele_snapshot_record **record_out);

/** stele_snapshot_load() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_snapshot_load(stele_transaction *transaction,
                                                       const stele_snapshot_read *read,
                                                       const stele_snapshot_record **record_out);

/** Free `record`. NULL is allowed; never fails. Also after the store was closed. */
STELE_API void stele_snapshot_close(const stele_snapshot_record *record);

/* --- Dropping --- */

/**
 * Drop the snapshots of one stream. None is fine.
 *
 * @param name      Only of this fold; NULL: of all.
 * @param count_out May be NULL. Receives how many there were.
 * @return STELE_OK; STELE_MISUSE; STELE_READ_ONLY; STELE_BUSY; STELE_FULL; STELE_IO; STELE_CORRUPT;
 *         STELE_NO_MEMORY; STELE_CLOSED; STELE_UNKNOWN_OUTCOME.
 */
STELE_API stele_status stele_snapshot_invalidate(stele_store *store, const char *stream,
                                                 const char *name, int64_t *count_out);

/** stele_snapshot_invalidate() inside `transaction`. */
STELE_API stele_status stele_transaction_snapshot_invalidate(stele_transaction *transaction,
                                                             const char *stream, const char *name,
                                                             int64_t *count_out);

/**
 * Drop the snapshots of all streams, a step at a time. Those that are saved meanwhile may stay.
 *
 * @param name      Only of this fold; NULL: of all.
 * @param work      NULL means defaults.
 * @param count_out May be NULL. Receives how many were dropped, on a failure too.
 * @return As stele_snapshot_invalidate(), and STELE_CANCELLED; what was dropped until then is.
 */
STELE_API stele_status stele_snapshot_invalidate_all(stele_store *store, const char *name,
                                                     const stele_work *work, int64_t *count_out);

/* --- Listing --- */

/** A snapshot in a list, without its data. Only lent by pointer. */
typedef struct stele_snapshot_info {
    const char *stream;
    const char *name;
    const char *codec;
    int64_t version;
    int64_t schema_version;
    int64_t saved_at;
    int64_t bytes;            /**< data + metadata. */
    stele_snapshot_miss miss; /**< HIT; EPOCH, BEYOND or DAMAGED. */
    int64_t stream_version;   /**< Of the stream now: how far it is behind. */
} stele_snapshot_info;

/** Which snapshots to list. */
typedef struct stele_snapshots_read {
    size_t struct_size; /**< Set by the initializer. */
    const char *stream; /**< Only of this one; NULL: of all. */
    const char *prefix; /**< Only of streams whose name starts so; NULL: of all. */
    const char *name;   /**< Only of this fold; NULL: of all. */
    uint64_t limit;     /**< Most of them; 0: no limit. */
} stele_snapshots_read;

/* clang-format off */
#define STELE_SNAPSHOTS_READ_INIT { sizeof(stele_snapshots_read), NULL, NULL, NULL, 0 }
/* clang-format on */

/** Set `read` to the defaults, as STELE_SNAPSHOTS_READ_INIT does. For bindings. */
STELE_API void stele_snapshots_read_init(stele_snapshots_read *read);

/** An open list of snapshots, by stream, name, and version with the highest first. Used by one
 * thread at a time. */
typedef struct stele_snapshots stele_snapshots;

/**
 * List snapshots, checking each row. All of it is done here, in one read transaction that takes as
 * long as reading the data of those listed: of many large ones ask by stream, or with a limit. It
 * can't be cancelled. Those of one stream are found without a look at the others.
 *
 * @param read NULL lists all. Copied.
 * @return STELE_OK, STELE_MISUSE, STELE_BUSY, STELE_CORRUPT, STELE_IO, STELE_NO_MEMORY,
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_store_snapshots(stele_store *store, const stele_snapshots_read *read,
                                             stele_snapshots **snapshots_out);

/** stele_store_snapshots() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_snapshots(stele_transaction *transaction,
                                                   const stele_snapshots_read *read,
                                                   stele_snapshots **snapshots_out);

/** The next one, borrowed until the next call. @return STELE_OK, STELE_DONE, STELE_MISUSE,
 * STELE_CLOSED. */
STELE_API stele_status stele_snapshots_next(stele_snapshots *snapshots,
                                            const stele_snapshot_info **info_out);

/** Close `snapshots`. NULL is allowed; never fails. */
STELE_API void stele_snapshots_close(stele_snapshots *snapshots);

#ifdef __cplusplus
}
#endif

#endif
