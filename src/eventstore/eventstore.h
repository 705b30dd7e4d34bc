/* Shared by the files of the event store, and by nobody else. */
#ifndef STELE_EVENTSTORE_EVENTSTORE_H
#define STELE_EVENTSTORE_EVENTSTORE_H

#include <stdbool.h>
#include <stdint.h>

#include <stele/eventstore.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "sqlite/statement.h"
#include "store/group.h"
#include "store/names.h"
#include "store/store.h"

/* --- record.c: a row of `events`, and its checksum --- */

/* Internal flag: the event is the first of an append with a key. */
#define STELE__RECORD_KEYED ((int64_t)8)
#define STELE__RECORD_HUSK  ((int64_t)(STELE_RECORD_ERASED | STELE_RECORD_ARCHIVED))

/* A row, with its names. Pointers are borrowed from the statement and the caches. */
typedef struct stele__row {
    int64_t position;
    int64_t stream;
    int64_t version;
    int64_t type;
    int64_t schema_version;
    int64_t codec;
    int64_t recorded_at;
    int64_t occurred_at;
    bool has_occurred_at;
    int64_t flags;
    int64_t payload_hash;
    int64_t checksum;
    const char *stream_name; /* NULL for a deleted stream */
    const char *type_name;
    const char *codec_name;
    const void *data;
    size_t data_size;
    const void *metadata;
    size_t metadata_size;
} stele__row;

/* What a SELECT must list for stele__row_read(). */
#define STELE__ROW_COLUMNS                                                                         \
    "position, stream, version, type, schema_version, codec, recorded_at, occurred_at, flags, "    \
    "payload_hash, checksum, data, metadata"

uint64_t stele__payload_hash(const void *data, size_t data_size, const void *metadata,
                             size_t metadata_size);
int64_t stele__row_checksum(const stele__row *row);
/* Read the statement's row and verify it: OK, CORRUPT with the position, ... */
stele_status stele__row_read(stele__connection *connection, stele__statement *statement,
                             stele__row *row_out);
/* Likewise of a row that is kept for another store: `stream` is the number of kept_streams. */
stele_status stele__kept_row_read(stele__connection *connection, stele__statement *statement,
                                  stele__row *row_out);
/* Bind its columns in the order of STELE__ROW_COLUMNS, from parameter 1. */
void stele__row_bind(stele__statement *statement, const stele__row *row);
/* A husk is stored without data and metadata, whatever the row points to. */
stele_status stele__row_insert(stele__connection *connection, const stele__row *row);

/* --- idempotency.c --- */

typedef struct stele__key_row {
    int64_t id; /* the first position; negative for an empty batch */
    int64_t stream;
    int64_t version;
    int64_t event_count;
    int64_t digest;
    bool erased;
} stele__key_row;

/* `*found_out` says whether the key came before. CORRUPT when its row is damaged. */
stele_status stele__key_find(stele__connection *connection, const char *key, bool *found_out,
                             stele__key_row *row_out);
/* `row->id` 0 gives an empty batch an id of its own. */
stele_status stele__key_insert(stele__connection *connection, const char *key,
                               const stele__key_row *row);
/* The key of the append that begins at `position`, added to `buffer` with its NUL. */
stele_status stele__key_at(stele__connection *connection, int64_t position, stele__buffer *buffer);
/* Forget the content of the append that begins at `position`, and of a stream's empty appends. */
stele_status stele__key_erase(stele__connection *connection, int64_t position);
stele_status stele__keys_erase_empty(stele__connection *connection, int64_t stream);
int64_t stele__key_checksum(const char *key, const stele__key_row *row);

/* --- prepare.c: what can be judged before the write lock is taken --- */

#define STELE__PREPARED_INLINE 8
#define STELE__EVENT_COUNT_MAX 100000

typedef struct stele__prepared {
    stele_append append; /* full size, whatever the caller's was */
    uint64_t hashes_inline[STELE__PREPARED_INLINE];
    uint64_t *payload_hashes; /* of each event */
    int64_t digest;           /* of the content, when there is a key */
} stele__prepared;

/* Check everything about `append` that needs no look at the file. Dispose on success. */
stele_status stele__prepare_append(stele_store *store, const stele_append *append,
                                   stele__prepared *prepared_out);
void stele__prepared_dispose(stele__prepared *prepared);
/* Event `index`, whatever the size of the caller's structs. */
void stele__prepared_event(const stele__prepared *prepared, size_t index, stele_event *event_out);

/* --- append.c --- */

/* An append on its way to a verdict. */
typedef struct stele__append_request {
    stele__request request; /* first: the group knows only this */
    stele__prepared prepared;
    stele_appended appended;
} stele__append_request;

void stele__append_request_init(stele__append_request *append, stele_store *store);
/* Once prepared. */
void stele__append_request_measure(stele__append_request *append);
/* To the store's sequencer; `*taken_out` false: it has none. */
stele_status stele__append_request_propose(stele__append_request *append, bool *taken_out);

/* --- apply.c: an append inside a write transaction --- */

/*
 * Judge, then write. A refusal has written nothing (`*changed_out` false); a failure with
 * `*changed_out` true means that the transaction must not be committed.
 */
stele_status stele__apply_append(stele_store *store, stele__connection *connection,
                                 const stele__prepared *prepared, stele_appended *appended_out,
                                 bool *changed_out);

/* Where an append is to go. */
typedef struct stele__append_place {
    bool exists;
    stele__stream stream;
    int64_t flags; /* once written: of its records */
} stele__append_place;

/* The writing alone, once judged. A failure means that all must be rolled back. */
stele_status stele__write_append(const stele_store *store, stele__connection *connection,
                                 const stele__prepared *prepared, stele__append_place *place,
                                 stele_appended *appended);

/* --- inline.c: what is folded with an append --- */

/* Whether something is to be folded with one to `stream`. REFUSED when it can't be, here; MISUSE
 * from inside such a fold. */
stele_status stele__inline_check(stele_store *store, stele__connection *connection,
                                 const char *stream, bool *folds_out);
/* stele__write_append() and what is folded with it. A failure has left nothing (`*changed_out`
 * false), unless not even undoing it worked. */
stele_status stele__inline_append(stele_store *store, stele__connection *connection,
                                  const stele__prepared *prepared, stele__append_place *place,
                                  stele_appended *appended, bool *changed_out);

#endif
