/**
 * @file stele/eventstore.h
 * Appending events to streams, and reading them back.
 *
 * A stream is named `category-id`, the category being the text before the first '-'. Names starting
 * with '$' are the library's: nobody else appends to them, and reads skip them unless asked.
 * Stream, type and codec names and keys are UTF-8 of 1 to STELE_NAME_SIZE_MAX bytes without
 * control characters, compared by bytes; anything else is STELE_MISUSE.
 *
 * A version is an event's place in its stream, a position its place in the store. Both count from
 * 1 without gaps; positions equal commit order and are never reused.
 *
 * Times are microseconds since 1970 UTC.
 */
#ifndef STELE_EVENTSTORE_H
#define STELE_EVENTSTORE_H

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

/* --- Appending --- */

#define STELE_NO_STREAM     ((int64_t)0)  /**< The stream must be new. */
#define STELE_ANY           ((int64_t)-1) /**< Append whatever is there. */
#define STELE_STREAM_EXISTS ((int64_t)-2) /**< It must have been written to. */

/** An event to be written. All pointers are borrowed for the call. */
typedef struct stele_event {
    const char *type;       /**< What happened, in the past tense. */
    const void *data;       /**< The payload, stored verbatim. */
    size_t data_size;       /**< In bytes; 0 is allowed under every codec. */
    const void *metadata;   /**< A JSON text, stored verbatim; NULL for none. */
    size_t metadata_size;   /**< In bytes; 0 for none. */
    const char *codec;      /**< What `data` is written in; NULL means "json". */
    int64_t schema_version; /**< Of the payload, from 1; 0 means 1. */
    int64_t occurred_at;    /**< The caller's time; 0 for none, see next. */
    bool has_occurred_at;   /**< Needed only for an occurred_at of exactly 0. */
} stele_event;

/** Kinds of conditions; more may come. */
typedef enum stele_condition_kind {
    STELE_CONDITION_STREAM_VERSION = 1, /**< `stream` is at `expected_version`. */
    STELE_CONDITION_STREAM_ID = 2       /**< Its id (stele_record.stream_id) is `expected_version`:
                                             it is no later stream of its name. 0: none is there. */
} stele_condition_kind;

/** Something else that must hold for an append, besides its own stream's version. */
typedef struct stele_condition {
    stele_condition_kind kind;
    const char *stream;
    int64_t expected_version; /**< Exact, or one of the constants above; or the id. */
} stele_condition;

/** What to append, and to what. A struct, so that numbers have names at the call. */
typedef struct stele_append {
    size_t struct_size; /**< Set by the initializer. */
    const char *stream;
    int64_t expected_version; /**< Version last seen, or a constant above. STELE_ANY. */
    const stele_event *events;
    size_t event_count;          /**< 0 only checks the expectation. At most 100,000. */
    size_t event_size;           /**< sizeof(stele_event). */
    const char *idempotency_key; /**< Names this attempt, so that a retry is harmless. NULL. */
    const stele_condition *conditions; /**< Further conditions; all must hold. NULL. */
    size_t condition_count;
    size_t condition_size; /**< sizeof(stele_condition). */
    const stele_wait
        *wait; /**< How long it may wait for other writers; NULL: busy_timeout_ms. In a
                    transaction, and but for the first of append_many: not looked at. */
} stele_append;

/* clang-format off */
#define STELE_APPEND_INIT { sizeof(stele_append), NULL, STELE_ANY, NULL, 0, sizeof(stele_event), \
    NULL, NULL, 0, sizeof(stele_condition), NULL }
/* clang-format on */

/** Set `append` to the defaults, as STELE_APPEND_INIT does. For bindings. */
STELE_API void stele_append_init(stele_append *append);

/** Where the append ended. */
typedef struct stele_appended {
    int64_t stream_version; /**< Of the stream, after the append; on CONFLICT the actual one. */
    int64_t first_position; /**< Of the first event written; 0 for none. */
    int64_t last_position;  /**< Of the last event written; 0 for none and on CONFLICT. */
    bool duplicate;         /**< The key came before: this is the first attempt's outcome. */
    bool erased;            /**< A duplicate whose events were deleted since. */
    int32_t condition;      /**< On CONFLICT: which condition failed; -1 for the stream's own. */
    int64_t reserved[4];    /**< Zero. */
} stele_appended;

/**
 * Append events to one stream: all of them or none.
 *
 * When this returns STELE_OK the events are committed to the file, as durable as the store's
 * durability says, and visible to every reader at once. An empty batch checks the expectation and
 * the conditions and writes nothing (but its key, if it has one).
 *
 * With an idempotency key, the first attempt's outcome is stored with the events. A later attempt
 * with the same key and the same content (stream, and each event's type, payload, metadata, codec,
 * schema version and occurred_at) stores nothing and answers STELE_OK with that outcome and
 * `duplicate`, whatever it expects. A key costs an append one tenth of its speed with full
 * durability and two fifths with relaxed (docs/performance.md). Keys starting with '$' are the
 * library's: STELE_MISUSE, but for the
 * `$import/...` that an import makes; they are not exported.
 *
 * Payloads in "json" must be strict JSON (see json.h), in "cbor" strict CBOR (see cbor.h), in a
 * codec of the program's what that accepts (see codec.h); in others they are any bytes. Empty ones
 * always pass. Metadata must be JSON under every codec.
 *
 * @param appended_out May be NULL. Set on STELE_OK and STELE_CONFLICT.
 * @return STELE_OK; STELE_CONFLICT; STELE_KEY_REUSED; STELE_ARCHIVED; STELE_TOMBSTONED;
 *         STELE_INVALID (a payload or metadata is not what its codec says: event and byte offset
 *         in the text); STELE_PRECISION, STELE_UNSUPPORTED (as a codec of the program's says);
 *         STELE_TOO_LARGE; STELE_MISUSE; STELE_READ_ONLY; STELE_BUSY; STELE_FULL;
 *         STELE_IO; STELE_CORRUPT; STELE_NO_MEMORY; STELE_CLOSED; with inline projections
 *         (stele/projection.h) STELE_REFUSED, STELE_FENCED and whatever one of them answers:
 *         nothing was stored. Only after STELE_UNKNOWN_OUTCOME it may have been.
 */
STELE_API stele_status stele_store_append(stele_store *store, const stele_append *append,
                                          stele_appended *appended_out);

/**
 * Append to several streams in one commit: all of it or nothing.
 *
 * The appends are taken in order, so a later one meets what an earlier one wrote. Each may have
 * its own key; one whose key came before is a duplicate and writes nothing, the others go on.
 *
 * @param appends      `count` of them, each a struct of `appends[0].struct_size` bytes.
 * @param appended_out May be NULL; else `count` of them. Set on STELE_OK; on STELE_CONFLICT the
 *                     one at `*failed_out` is set, the others are zero.
 * @param failed_out   May be NULL. On a failure of one append, its index; else `count`.
 * @return As stele_store_append().
 */
STELE_API stele_status stele_store_append_many(stele_store *store, const stele_append *appends,
                                               size_t count, stele_appended *appended_out,
                                               size_t *failed_out);

/** stele_store_append() inside `transaction`: stored when that commits. A refusal (CONFLICT,
 * KEY_REUSED, INVALID and so on) writes nothing and leaves the transaction usable. */
STELE_API stele_status stele_transaction_append(stele_transaction *transaction,
                                                const stele_append *append,
                                                stele_appended *appended_out);

/** stele_store_append_many() inside `transaction`; a refusal undoes this call's appends only. */
STELE_API stele_status stele_transaction_append_many(stele_transaction *transaction,
                                                     const stele_append *appends, size_t count,
                                                     stele_appended *appended_out,
                                                     size_t *failed_out);

/** What is known of an idempotency key. */
typedef struct stele_key_info {
    bool found;        /**< The rest is 0 otherwise. */
    bool erased;       /**< Its events were deleted since. */
    int64_t stream_id; /**< See stele_record.stream_id; 0 when that was an empty append to a stream
                            that wasn't there. */
    int64_t stream_version; /**< As in stele_appended. */
    int64_t first_position;
    int64_t last_position;
    int64_t event_count;
    int64_t reserved[2]; /**< Zero. */
} stele_key_info;

/**
 * Look up what an append with this idempotency key did. One that never came is STELE_OK with
 * `found` false.
 *
 * @return STELE_OK, STELE_MISUSE, STELE_BUSY, STELE_CORRUPT, STELE_IO, STELE_NO_MEMORY,
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_store_key(stele_store *store, const char *key,
                                       stele_key_info *info_out);

/** stele_store_key() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_key(stele_transaction *transaction, const char *key,
                                             stele_key_info *info_out);

/* --- Reading --- */

/* Reads of all events pass over those whose data was deleted or is in an archive that isn't
 * attached (see stele_cursor_skipped()); a read of one stream ends there, so that what it lends has
 * no gaps. So records with the first two flags are not lent by any read of this version. */

/** The event's own data was deleted: `data` and `metadata` are gone for good. */
#define STELE_RECORD_ERASED ((uint32_t)1)
/** The event's data is in an archive. */
#define STELE_RECORD_ARCHIVED ((uint32_t)2)
/** The store's clock had jumped back by more than 5 minutes when this was recorded. */
#define STELE_RECORD_CLOCK_BACK ((uint32_t)4)

/** An event as stored. Only lent by pointer; its checksum was verified before. */
typedef struct stele_record {
    int64_t position;
    int64_t version;
    const char *stream; /**< NUL-terminated, like the other names. */
    const char *type;
    const char *codec;
    int64_t schema_version;
    int64_t recorded_at; /**< The store's clock at the append; never falls with position, but see
                              STELE_RECORD_CLOCK_BACK. */
    int64_t occurred_at; /**< The caller's time, if has_occurred_at. */
    bool has_occurred_at;
    uint32_t flags;   /**< STELE_RECORD_... */
    const void *data; /**< Never NULL; a NUL follows it that is not counted. */
    size_t data_size;
    const void *metadata; /**< Never NULL; size 0 when there is none. */
    size_t metadata_size;
    const char *idempotency_key; /**< Of the append that this event is the first of, when the read
                                      asked for keys; else NULL. */
    int64_t stream_id; /**< The stream's number in this store: never used again, also when its name
                            is. What events in `$stele` name streams by. */
} stele_record;

typedef enum stele_direction {
    STELE_FORWARD = 0, /**< Oldest first. */
    STELE_BACKWARD = 1 /**< Newest first. */
} stele_direction;

/** What to read. */
typedef struct stele_read {
    size_t struct_size; /**< Set by the initializer. */
    const char *stream; /**< NULL reads all streams, by position. */
    stele_direction direction;
    int64_t from_version;     /**< With a stream: the lowest version wanted; 0 or 1: the first. */
    int64_t to_version;       /**< With a stream: the highest version wanted; 0: no bound. */
    int64_t after_position;   /**< Only events after this position. */
    int64_t to_position;      /**< Only events up to this position; 0: the head at opening. */
    uint64_t limit;           /**< Most records; 0: no limit. */
    uint64_t byte_limit;      /**< End before data + metadata exceed this, but give at least one
                                   record; 0: no limit. */
    const char *const *types; /**< Only these event types; NULL: all. */
    size_t type_count;
    const char *category;    /**< Only streams of this category: `category-...`, or a stream of
                                  just this name. Without '-'. Not with `stream`. */
    const char *prefix;      /**< Only streams whose name starts so. Not with `stream`. */
    bool system;             /**< Also the library's `$` streams. Not needed with `stream`. */
    bool keys;               /**< Look up each record's idempotency key. */
    uint32_t page_count_max; /**< Most records read ahead at once. 1000. */
    uint32_t page_size_max;  /**< Most bytes read ahead at once, but at least one record. 1 MiB. */
    const stele_wait *wait;  /**< How long each page may take, waiting included, and who may cancel
                                  it; NULL: as long as it takes. Borrowed until the cursor closes. */
    const char *epoch; /**< The epoch in which `after_position` was learnt (stele_store_info.epoch):
                            beyond what that shares with the current one it is STELE_EPOCH. NULL:
                            not asked. */
} stele_read;

/* clang-format off */
#define STELE_READ_INIT { sizeof(stele_read), NULL, STELE_FORWARD, 0, 0, 0, 0, 0, 0, NULL, 0, \
    NULL, NULL, false, false, 1000, 1024 * 1024, NULL, NULL }
/* clang-format on */

/** Set `read` to the defaults, as STELE_READ_INIT does. For bindings. */
STELE_API void stele_read_init(stele_read *read);

/** An open read. Used by one thread at a time. */
typedef struct stele_cursor stele_cursor;

/**
 * Start reading. The upper bound is fixed now: events appended later are not seen, so that a read
 * ends; read again after stele_cursor_scanned() for more.
 *
 * Records are read in pages; no read transaction stays open between calls, so a slow reader holds
 * nothing up. A stream that was never written to, or was deleted, reads as empty: STELE_DONE at
 * once. A trimmed one begins at its first_version, whatever `from_version` says. What the first
 * page meets is told by stele_cursor_next().
 *
 * @param read       NULL reads everything. Copied, strings too. At most 1,000 types; pages of at
 *                   most 100,000 records and 64 MiB.
 * @param cursor_out Receives the cursor; close it with stele_cursor_close().
 * @return STELE_OK, STELE_EPOCH (after_position is of another timeline), STELE_MISUSE,
 *         STELE_TOO_LARGE (too many types), STELE_BUSY, STELE_CANCELLED (by `wait`), STELE_CORRUPT,
 *         STELE_IO, STELE_NO_MEMORY, STELE_CLOSED.
 */
STELE_API stele_status stele_store_read(stele_store *store, const stele_read *read,
                                        stele_cursor **cursor_out);

/** stele_store_read() that sees the writes of `transaction`. The cursor answers STELE_CLOSED once
 * the transaction is over; records already lent stay valid until the next call on it. */
STELE_API stele_status stele_transaction_read(stele_transaction *transaction,
                                              const stele_read *read, stele_cursor **cursor_out);

/**
 * The events that an append in conflict had missed: those after its expected version.
 *
 * @param append   As it was passed: an exact expected version, or STELE_NO_STREAM.
 * @param appended As it came back with STELE_CONFLICT on the stream itself.
 * @return As stele_store_read(); STELE_MISUSE when the append expected no exact version.
 */
STELE_API stele_status stele_store_read_missed(stele_store *store, const stele_append *append,
                                               const stele_appended *appended,
                                               stele_cursor **cursor_out);

/** stele_store_read_missed() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_read_missed(stele_transaction *transaction,
                                                     const stele_append *append,
                                                     const stele_appended *appended,
                                                     stele_cursor **cursor_out);

/**
 * Move to the next record.
 *
 * What was read ahead before a failure is given first; the failure is then repeated by every later
 * call on the cursor. Damage to a row is STELE_CORRUPT with its position, never a wrong value; so
 * is a hole in the versions of a stream, or in the positions of an unfiltered read, and what an
 * attached archive ought to have and hasn't.
 *
 * Reading all events, each page shows the states of streams as they are then. Reading one, what
 * became of it meanwhile ends the read: it is never short, and never mixed with a later stream of
 * its name.
 *
 * @param record_out Receives a borrowed record, valid until the next call on this cursor; NULL
 *                   unless STELE_OK.
 * @return STELE_OK with a record, STELE_DONE after the last, or STELE_CORRUPT, STELE_NOT_FOUND
 *         (the stream was deleted meanwhile, or trimmed beyond where the read is), STELE_ARCHIVED
 *         (the stream's data is in an archive that isn't attached), STELE_BUSY, STELE_CANCELLED (by
 *         `wait`), STELE_IO, STELE_NO_MEMORY, STELE_MISUSE, STELE_CLOSED (this store, an attached
 *         archive that has the data, or the cursor's transaction is over).
 */
STELE_API stele_status stele_cursor_next(stele_cursor *cursor, const stele_record **record_out);

/**
 * The position (or, reading one stream, the version) through which `cursor` has scanned, matches
 * or not: where to read on from. Reading forward only; 0 before the first record.
 */
STELE_API int64_t stele_cursor_scanned(const stele_cursor *cursor);

/** Husks that a read passed over. */
typedef struct stele_skipped {
    int64_t erased;      /**< Events that were deleted or trimmed. */
    int64_t archived;    /**< Events whose data is in an archive that isn't attached. */
    int64_t reserved[2]; /**< Zero. */
} stele_skipped;

/**
 * How many husks `cursor` has passed over in the pages that it has read so far; after STELE_DONE,
 * in all of its range. Of those that its filters let through: a deleted event has no category or
 * prefix any more. 0 for NULL.
 */
STELE_API stele_skipped stele_cursor_skipped(const stele_cursor *cursor);

/** Close `cursor`. NULL is allowed; never fails. Also after the store was closed. */
STELE_API void stele_cursor_close(stele_cursor *cursor);

/**
 * The last position of the store; 0 when it is empty.
 *
 * @return STELE_OK, STELE_MISUSE, STELE_BUSY, STELE_CORRUPT, STELE_IO, STELE_NO_MEMORY,
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_store_head(stele_store *store, int64_t *position_out);

/** stele_store_head() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_head(stele_transaction *transaction,
                                              int64_t *position_out);

/* --- Streams and types --- */

typedef enum stele_stream_state {
    STELE_STREAM_ACTIVE = 0,    /**< Takes appends. */
    STELE_STREAM_ARCHIVED = 1,  /**< Appends are STELE_ARCHIVED. */
    STELE_STREAM_TOMBSTONED = 2 /**< Appends are STELE_TOMBSTONED, for good. */
} stele_stream_state;

/** Facts about a stream. Only lent by pointer. */
typedef struct stele_stream_info {
    const char *stream;
    int64_t version; /**< Of its last event. */
    stele_stream_state state;
    const char *reason; /**< Of the tombstone or archiving; "" for none. */
    int64_t changed_at; /**< Of the state; 0 for never. */
    /* The rest is 0 unless statistics were asked for. */
    int64_t events;     /**< Readable ones. */
    int64_t first_time; /**< Of the first event: occurred_at, or else recorded_at. */
    int64_t last_time;  /**< Of the last one. */
    int64_t bytes;      /**< data + metadata. */
    /* Always set. */
    int64_t id;            /**< See stele_record.stream_id. */
    int64_t first_version; /**< Of the first event that retention has left; 1 mostly. */
    bool moved;            /**< Its payloads are in an archive: see stele_store_archives(). */
    bool unfinished;       /**< It is just being moved there or brought back. */
} stele_stream_info;

/** Which streams to list. */
typedef struct stele_streams_read {
    size_t struct_size; /**< Set by the initializer. */
    const char *stream; /**< Only this one; NULL: all. */
    const char *prefix; /**< Only names that start so; NULL: all. */
    const char *after;  /**< Only names after this one, by bytes; NULL: all. */
    uint64_t limit;     /**< Most streams; 0: no limit. */
    bool statistics;    /**< Read every event of each stream for the counts. */
    bool system;        /**< Also the library's `$` streams. */
} stele_streams_read;

#define STELE_STREAMS_READ_INIT                                                                    \
    {                                                                                              \
        sizeof(stele_streams_read), NULL, NULL, NULL, 0, false, false                              \
    }

/** Set `read` to the defaults, as STELE_STREAMS_READ_INIT does. For bindings. */
STELE_API void stele_streams_read_init(stele_streams_read *read);

/** An open list of streams, in the order of their names' bytes. Used by one thread at a time. */
typedef struct stele_streams stele_streams;

/** List streams. @param read NULL lists all. Copied. @return As stele_store_read(). */
STELE_API stele_status stele_store_streams(stele_store *store, const stele_streams_read *read,
                                           stele_streams **streams_out);

/** stele_store_streams() that sees the writes of `transaction`; the list answers STELE_CLOSED once
 * that is over. */
STELE_API stele_status stele_transaction_streams(stele_transaction *transaction,
                                                 const stele_streams_read *read,
                                                 stele_streams **streams_out);

/** The next stream, borrowed until the next call. @return As stele_cursor_next(). */
STELE_API stele_status stele_streams_next(stele_streams *streams,
                                          const stele_stream_info **info_out);

/** Close `streams`. NULL is allowed; never fails. */
STELE_API void stele_streams_close(stele_streams *streams);

/**
 * Facts about one stream.
 *
 * @param info_out Receives a copy whose `stream` is the caller's own pointer and whose `reason` is
 *                 borrowed until the next stele call on this thread.
 * @return STELE_OK; STELE_NOT_FOUND (never written to, or deleted); else as stele_store_head().
 */
STELE_API stele_status stele_store_stream(stele_store *store, const char *stream,
                                          stele_stream_info *info_out);

/** stele_store_stream() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_stream(stele_transaction *transaction, const char *stream,
                                                stele_stream_info *info_out);

/** How many events of a type and schema version there are. Only lent by pointer. */
typedef struct stele_type_info {
    const char *type;
    int64_t schema_version;
    int64_t events; /**< Readable ones outside `$` streams. */
} stele_type_info;

/** An open list of types, by name and then schema version. Used by one thread at a time. */
typedef struct stele_types stele_types;

/** List the types in use, scanning the whole log once. @return As stele_store_read(). */
STELE_API stele_status stele_store_types(stele_store *store, stele_types **types_out);

/** stele_store_types() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_types(stele_transaction *transaction,
                                               stele_types **types_out);

/** The next type, borrowed until the next call. @return STELE_OK, STELE_DONE, STELE_MISUSE,
 * STELE_CLOSED. */
STELE_API stele_status stele_types_next(stele_types *types, const stele_type_info **info_out);

/** Close `types`. NULL is allowed; never fails. */
STELE_API void stele_types_close(stele_types *types);

#ifdef __cplusplus
}
#endif

#endif
