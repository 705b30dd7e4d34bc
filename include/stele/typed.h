/**
 * @file stele/typed.h
 * Typed events: appending values of the program's structs, and getting values back, each by the
 * name and schema version that is stored with its event.
 *
 * A program registers the tables of its events (stele/type.h) after opening a store. From then on
 * a stream of mixed types decodes itself, record by record:
 *
 *     while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
 *         status = stele_record_decode(store, record, &decoded);
 *         if (status != STELE_OK)
 *             break;
 *         for (size_t i = 0; i < stele_decoded_count(decoded); i++) {
 *             const stele_part *part = stele_decoded_part(decoded, i);
 *             if (part->type == &order_placed_type)
 *                 on_placed(part->value);
 *         }
 *     }
 *
 * Several schema versions of a type may be registered, each with its table. A record is decoded by
 * the table of its own version, or, where upcasters lead from that (stele/upcast.h), of what they
 * make of it.
 *
 * Registering follows the rules of stele/codec.h: before the first use, then frozen.
 */
#ifndef STELE_TYPED_H
#define STELE_TYPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/buffer.h>
#include <stele/codec.h>
#include <stele/eventstore.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/transaction.h>
#include <stele/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Registering --- */

/**
 * Register a table under its name and schema version. Those that it refers to need not be.
 *
 * @param type Borrowed, with all that it refers to, until the store and every stele_decoded used
 *             with it are closed.
 * @return STELE_OK; STELE_MISUSE (a NULL; a wrong table; the name and version are registered, or
 *         the name is an alias; a frozen registry); STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_store_register_type(stele_store *store, const stele_type *type);

/**
 * Register another name under which events of `type` were stored: it was renamed. Reading takes
 * them as `type`, of the same schema version; upcasters are looked for under `type`.
 *
 * @param alias Copied. Nothing else may be registered of this name: no table, and no upcaster that
 *              takes or makes it.
 * @param type  Copied. It may be registered later, or not at all; it is no alias itself.
 * @return STELE_OK; STELE_MISUSE (a NULL, a bad name, one of which something else is registered, an
 *         alias of an alias or of itself, a frozen registry); STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_store_register_alias(stele_store *store, const char *alias,
                                                  const char *type);

/** The symbol of a shared library that registers what it has on a store, for `stele --lib`. */
#define STELE_REGISTER_SYMBOL "stele_register"
/** Its type: STELE_OK, or the failure of a registration. */
typedef stele_status (*stele_register_function)(stele_store *store);

/** A registered name. */
typedef struct stele_registered {
    const char *name;       /**< The stored one. */
    int64_t schema_version; /**< 0 for an alias. */
    const stele_type *type; /**< NULL for an alias. */
    const char *alias_of;   /**< NULL but for an alias. */
} stele_registered;

/**
 * The registered tables and aliases, in the order of registration. Freezes the registry.
 *
 * @param index          From 0.
 * @param registered_out Its pointers are borrowed until the store is closed.
 * @return STELE_OK; STELE_DONE (no more); STELE_MISUSE; STELE_CLOSED.
 */
STELE_API stele_status stele_store_registered(stele_store *store, size_t index,
                                              stele_registered *registered_out);

/**
 * The table for a stored name, or an alias of it, and schema version. Freezes the registry.
 *
 * @param type_out NULL unless STELE_OK.
 * @return STELE_OK; STELE_UNKNOWN_TYPE; STELE_MISUSE (a NULL); STELE_CLOSED.
 */
STELE_API stele_status stele_store_type(stele_store *store, const char *name,
                                        int64_t schema_version, const stele_type **type_out);

/* --- Appending --- */

/** A value to be written as an event. All pointers are borrowed for the call. */
typedef struct stele_typed_event {
    size_t struct_size;     /**< Of this struct: in an array the same in all. */
    const stele_type *type; /**< Registered on the store. */
    const void *value;      /**< A struct of that table. */
    const char *codec;      /**< NULL: the store's write codec. */
    const void *metadata;   /**< As in stele_event. */
    size_t metadata_size;
    int64_t occurred_at;
    bool has_occurred_at;
} stele_typed_event;

#define STELE_TYPED_EVENT_INIT                                                                     \
    {                                                                                              \
        sizeof(stele_typed_event), NULL, NULL, NULL, NULL, 0, 0, false                             \
    }

/** Set `event` to the defaults, as STELE_TYPED_EVENT_INIT does. For bindings. NULL is allowed. */
STELE_API void stele_typed_event_init(stele_typed_event *event);

/**
 * Encode values and append them to one stream, freezing the registry: stele_store_append() with
 * events that are encoded here.
 *
 * @param append As for stele_store_append(), but `events` NULL and `event_count` 0.
 * @param events `count` of them, each a struct of `events[0].struct_size` bytes.
 * @return As stele_store_append(), and STELE_UNKNOWN_TYPE (a table that isn't registered),
 *         STELE_UNSUPPORTED (no such codec), STELE_INVALID and STELE_TOO_LARGE (a value that can't
 *         be encoded; the text names event and path). In these cases nothing is stored.
 */
STELE_API stele_status stele_append_typed(stele_store *store, const stele_append *append,
                                          const stele_typed_event *events, size_t count,
                                          stele_appended *appended_out);

/** stele_append_typed() inside `transaction`. */
STELE_API stele_status stele_transaction_append_typed(stele_transaction *transaction,
                                                      const stele_append *append,
                                                      const stele_typed_event *events, size_t count,
                                                      stele_appended *appended_out);

/**
 * Encode a value as an event, to be appended by any other call: stele_store_append_many(),
 * stele_store_submit(). Freezes the registry.
 *
 * @param buffer    Receives the payload at its end. `event_out->data` points into it, so only until
 *                  something more is added, or it is disposed of.
 * @param event_out Its names are borrowed until the store is closed, its metadata from `typed`.
 * @param flaw_out  Says where, on STELE_INVALID. May be NULL.
 * @return STELE_OK; STELE_UNKNOWN_TYPE; STELE_UNSUPPORTED; STELE_INVALID; STELE_TOO_LARGE;
 *         STELE_MISUSE (a NULL); STELE_NO_MEMORY; STELE_CLOSED. On failure the buffer is as it was.
 */
STELE_API stele_status stele_event_encode(stele_store *store, const stele_typed_event *typed,
                                          stele_buffer *buffer, stele_event *event_out,
                                          stele_flaw *flaw_out);

/* --- Reading --- */

/** One value that a record holds. Only lent by pointer, until the next decoding into its handle. */
typedef struct stele_part {
    const stele_type *type; /**< NULL: it was not decoded, and `value` is NULL. */
    const void *value;      /**< A struct of that table. */
    const char *name;       /**< Of the event's type now: the table's; without one the stored one,
                                 borrowed from the record. */
    int64_t schema_version; /**< Likewise. */
    const char *codec;      /**< Of `data`; without a table borrowed from the record. */
    const void *data; /**< The payload that `value` was made of, the record's or an upcaster's;
                           borrowed from the record in the first case. */
    size_t data_size;
    size_t index; /**< Of this part, from 0. */
    size_t count; /**< How many parts the record has. */
} stele_part;

/** What a record was decoded into; its memory is used again, up to 16 parts of 64 KiB. Used by one
 * thread at a time. */
typedef struct stele_decoded stele_decoded;

/**
 * Decode a record by its codec, its type and the upcasters from its schema version. Freezes the
 * registry.
 *
 * A record has one part, or, when an upcaster made several or nothing of it, so many. All of them
 * belong to the one position of the record: they come from one call, so that a checkpoint, which is
 * a position, never lands between them.
 *
 * On STELE_UNKNOWN_TYPE and STELE_UNSUPPORTED, and when a payload can't be decoded or upcast, there
 * is one part with the record as it is stored, `type` and `value` NULL.
 *
 * @param record  From a cursor of any store, or made by hand: its names, its numbers, and `data`
 *                with the NUL behind it that stele_record has.
 * @param decoded In and out: `*decoded` NULL receives a new handle, whatever becomes of the record;
 *                otherwise what it held is replaced, also if it was used with another store. When a
 *                call ends before it has looked at the record (a NULL, STELE_CLOSED) nothing
 *                changes; after STELE_NO_MEMORY there is no new handle, and an old one holds
 *                nothing. End it with stele_decoded_close().
 * @return STELE_OK; STELE_UNKNOWN_TYPE (no table and no upcaster for this type and schema version);
 *         STELE_UNSUPPORTED (no such codec, or one without values); STELE_INVALID,
 *         STELE_PRECISION, STELE_TOO_LARGE (undecodable, a limit of upcasting, or parts that own
 * more than 256 MiB together; the text names stream, version, position, type and step, and where);
 * what an upcaster failed with, whatever that is; STELE_MISUSE (a NULL); STELE_NO_MEMORY;
 * STELE_CLOSED.
 */
STELE_API stele_status stele_record_decode(stele_store *store, const stele_record *record,
                                           stele_decoded **decoded);

/**
 * Decode a record's payload by its codec as a value of `type`, whatever the record's own type and
 * schema version are, and without upcasting: for what many types have in common. Freezes the
 * registry.
 *
 * @param record   As for stele_record_decode().
 * @param type     Need not be registered; when it is, its table isn't checked each time.
 * @param value    As for stele_type_decode().
 * @param flaw_out Says where, on failure. May be NULL.
 * @return As stele_type_decode(); the text names stream, version, position and type.
 *         STELE_UNSUPPORTED also for a codec that nobody knows. STELE_CLOSED, and `value` is
 * untouched.
 */
STELE_API stele_status stele_record_decode_as(stele_store *store, const stele_record *record,
                                              const stele_type *type, void *value,
                                              stele_flaw *flaw_out);

/** How many parts there are; 0 for NULL, and for an event of which nothing is left. */
STELE_API size_t stele_decoded_count(const stele_decoded *decoded);

/** Part `index`, from 0; NULL beyond the last. */
STELE_API const stele_part *stele_decoded_part(const stele_decoded *decoded, size_t index);

/** Where the last decoding into `decoded` failed: in the payload of the step that failed. NULL when
 * it didn't, or for NULL. */
STELE_API const stele_flaw *stele_decoded_flaw(const stele_decoded *decoded);

/** Free `decoded` and all its values. NULL is allowed; never fails. Also after the store was
 * closed. */
STELE_API void stele_decoded_close(stele_decoded *decoded);

#ifdef __cplusplus
}
#endif

#endif
