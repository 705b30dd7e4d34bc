/* Shared by the files of the state area, and by nobody else. */
#ifndef STELE_STATE_STATE_H
#define STELE_STATE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include <stele/state.h>

#include "base/bytes.h"
#include "sqlite/statement.h"
#include "store/group.h"
#include "store/store.h"

/* --- attributes.c: their text, a JSON object of strings in the order of the names --- */

/*
 * Check and write `count` attributes of `size` bytes each, added to `text` with a NUL behind; with
 * none nothing is added. MISUSE; TOO_LARGE, also beyond `size_max` bytes of text.
 */
stele_status stele__attributes_write(const stele_attribute *attributes, size_t count, size_t size,
                                     size_t size_max, stele__buffer *text);
/*
 * Read them back: `*count_out` of them. `attributes_out` NULL only counts; else it has room for
 * that many, and `room` for as many bytes as the text. CORRUPT when it is none of our texts.
 */
stele_status stele__attributes_read(const char *text, size_t size, stele_attribute *attributes_out,
                                    char *room, size_t *count_out);

/* --- row.c: the rows of both tables --- */

/* A row of `state`. Pointers are borrowed from the statement and the caches. */
typedef struct stele__state_row {
    int64_t id;
    const char *scope;
    const char *key;
    int64_t revision;
    int64_t codec;          /* 0 of a deleted entry */
    const char *codec_name; /* "" of a deleted entry */
    int64_t updated_at;
    const char *attributes; /* NULL: none */
    size_t attributes_size;
    bool there; /* not deleted */
    const void *data;
    size_t data_size;
} stele__state_row;

/* What a SELECT must list for stele__state_row_read(). */
#define STELE__STATE_COLUMNS                                                                       \
    "id, scope, key, revision, codec, updated_at, attributes, checksum, data"

/* A scope, key or write id; NULL when it is none that was ever written. */
const char *stele__state_name(stele__statement *statement, int column, size_t size_max);

/* Begin the statement of the one row, by its name or by its id. */
stele_status stele__state_row_begin(stele__connection *connection, const char *scope,
                                    const char *key, stele__statement **statement_out);
stele_status stele__state_row_begin_at(stele__connection *connection, int64_t id,
                                       stele__statement **statement_out);
/* Read the statement's row and verify it. On CORRUPT `*row_out` is what the columns say. */
stele_status stele__state_row_read(stele__connection *connection, stele__statement *statement,
                                   stele__state_row *row_out);
/* How a row comes into the file. */
typedef enum stele__state_writing {
    STELE__STATE_INSERT,
    STELE__STATE_UPDATE, /* its names stay as they are, and so does the index on them */
    STELE__STATE_MEND    /* a damaged one: all of it is written */
} stele__state_writing;

/* Write the whole row: a new one, or over that of its id. */
stele_status stele__state_row_write(stele__connection *connection, const stele__state_row *row,
                                    stele__state_writing how);
int64_t stele__state_row_checksum(const stele__state_row *row);

/* In `state_writes.kind`. */
#define STELE__WRITE_PUT      ((int64_t)1)
#define STELE__WRITE_DELETION ((int64_t)2)

/* A row of `state_writes`: a write id, and what it did. */
typedef struct stele__write_row {
    int64_t id;
    const char *scope;
    const char *write_id;
    int64_t entry; /* the id of the row of `state` */
    int64_t revision;
    int64_t kind;
    int64_t digest;
    int64_t written_at;
} stele__write_row;

#define STELE__WRITE_COLUMNS                                                                       \
    "id, scope, write_id, entry, revision, kind, digest, written_at, checksum"

/* Texts are borrowed from the statement. OK or CORRUPT. */
stele_status stele__write_row_read(stele__statement *statement, stele__write_row *row_out);
/* The write id of `scope`, if there is one; the row's texts are the arguments. */
stele_status stele__write_row_find(stele__connection *connection, const char *scope,
                                   const char *write_id, bool *found_out,
                                   stele__write_row *row_out);
/* `row->id` is given by this. */
stele_status stele__write_row_insert(stele__connection *connection, const stele__write_row *row);
int64_t stele__write_row_checksum(const stele__write_row *row);

/* --- prepare.c: what can be judged before the write lock is taken --- */

/* A put or a deletion on its way to a verdict. What it points to is the caller's. */
typedef struct stele__state_change {
    stele__request request; /* first: the group knows only this */
    const char *scope;
    const char *key;
    bool deletion;
    int64_t expected_revision;
    const char *codec;
    const void *data;
    size_t data_size;
    stele__buffer attributes; /* their text; empty: none */
    const char *write_id;
    int64_t digest; /* of the content, when there is a write id */
    const stele_wait *wait;
    stele_written written;
} stele__state_change;

/* Check everything that needs no look at the file. `own`: the library's scopes, too. Dispose,
 * whatever the answer. */
stele_status stele__prepare_put(stele_store *store, const stele_put *put, bool own,
                                stele__state_change *change);
stele_status stele__prepare_remove(const stele_remove *what, bool own, stele__state_change *change);
void stele__state_change_dispose(stele__state_change *change);

/* A scope that may be read; and one that may be written: MISUSE when it is the library's. */
stele_status stele__check_scope(const char *scope);
stele_status stele__check_scope_to_write(const char *scope);
/* identity.c: whether stele_identity_scope() makes such a scope. */
bool stele__is_identity_scope(const char *scope);

/* --- apply.c: a change inside a write transaction --- */

/* Judge, then write. A refusal has written nothing (`*changed_out` false); a failure with it true
 * means that the transaction must not be committed. */
stele_status stele__state_apply(const stele_store *store, stele__connection *connection,
                                stele__state_change *change, bool *changed_out);
/* The time of a write to `scope`: beyond all that are at most 5 minutes ahead of the clock. Others
 * are of a clock that was set back. */
stele_status stele__state_clock(const stele_store *store, stele__connection *connection,
                                const char *scope, int64_t *time_out);

/* --- get.c --- */

/* A copy of the row's entry, in one block; of nothing when `row` is NULL. Without its data when
 * `no_data`. CORRUPT, NO_MEMORY. */
stele_status stele__entry_copy(const stele__state_row *row, bool no_data,
                               const stele_entry **entry_out);

#endif
