/*
 * Interned names: streams, types and codecs, with what a connection remembers of them; and where
 * the log ends.
 */
#ifndef STELE_STORE_NAMES_H
#define STELE_STORE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

/* In `streams.state`. The public states come first; 3 and up are steps of moving and deleting. */
typedef struct stele__stream {
    int64_t id;
    int64_t version; /* of its last event */
    int64_t state;
    int64_t base_version; /* versions up to this one were trimmed */
} stele__stream;

typedef enum stele__name_table {
    STELE__TYPES,
    STELE__CODECS,
    STELE__NAME_TABLES
} stele__name_table;

/* The connection's cache, emptied if it may be wrong. NO_MEMORY. */
stele_status stele__names_begin(stele__connection *connection);

/*
 * The stream `name` as it is inside the open transaction. `*found_out` says whether there is one;
 * its version is looked up on the index each time and compared with what is remembered.
 */
stele_status stele__stream_find(stele__connection *connection, const char *name, bool *found_out,
                                stele__stream *stream_out);
/* Create it at version 0. */
stele_status stele__stream_create(stele__connection *connection, const char *name,
                                  stele__stream *stream_out);
/* Remember its new version, until a rollback. */
void stele__stream_advance(stele__connection *connection, const char *name, int64_t version);
/* The name of the stream `id`, borrowed until the next call on the connection: CORRUPT when there
 * is no such stream; NULL when it was deleted. */
stele_status stele__stream_name(stele__connection *connection, int64_t id, const char **name_out);
/* The row's own checksum. */
int64_t stele__stream_checksum(int64_t id, const char *name, int64_t state, const char *reason,
                               int64_t changed_at, int64_t base_version);

/* The id of a type or codec, assigned if it is new. */
stele_status stele__name_intern(stele__connection *connection, stele__name_table table,
                                const char *name, int64_t *id_out);
/* The id; 0 when there is none. */
stele_status stele__name_find(stele__connection *connection, stele__name_table table,
                              const char *name, int64_t *id_out);
/* The name of `id`, as stele__stream_name(). */
stele_status stele__name_of(stele__connection *connection, stele__name_table table, int64_t id,
                            const char **name_out);
int64_t stele__name_checksum(int64_t id, const char *name);

/* Where the log ends, as the write connection remembers it. */
typedef struct stele__log_end {
    int64_t head;
    int64_t recorded_at; /* of the record at the head */
} stele__log_end;

stele_status stele__log_end_find(stele__connection *connection, stele__log_end *end_out);
void stele__log_end_set(stele__connection *connection, stele__log_end end);

#endif
