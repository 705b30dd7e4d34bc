/*
 * Changing the state of streams: shared by the files that archive, restore, delete and trim.
 *
 * Work on a stream is a row of `unfinished` from its first commit to its last. Each step looks at
 * that row inside its transaction, so several processes may do the same work, and who deletes a
 * stream takes it away from who moves it.
 */
#ifndef STELE_EVENTSTORE_LIFECYCLE_H
#define STELE_EVENTSTORE_LIFECYCLE_H

#include <stele/lifecycle.h>

#include "eventstore/eventstore.h"
#include "store/work.h"

/* In `streams.state`, beyond the public states: the name is gone. */
#define STELE__STREAM_DELETING ((int64_t)3)
#define STELE__STREAM_DELETED  ((int64_t)4)

/* In `unfinished.work`. */
typedef enum stele__unfinished {
    STELE__UNFINISHED_NONE = 0,
    STELE__UNFINISHED_MOVE = 1,   /* its payloads go to an archive */
    STELE__UNFINISHED_RETURN = 2, /* they come back */
    STELE__UNFINISHED_DROP = 3,   /* they are back or erased: the copies in the archive go */
    STELE__UNFINISHED_ERASE = 4
} stele__unfinished;

/* --- stream_rows.c: a row of `streams` as a whole --- */

typedef struct stele__stream_row {
    int64_t id;
    bool has_name;
    bool has_reason;
    int64_t state;
    int64_t changed_at;
    int64_t base_version;
    int64_t version; /* of its last event; not of the row */
    char name[STELE_NAME_SIZE_MAX + 1];
    char reason[STELE_REASON_SIZE_MAX + 1];
} stele__stream_row;

/* OK; NOT_FOUND (no stream of this name); CORRUPT, ... */
stele_status stele__stream_row_find(stele__connection *connection, const char *name,
                                    stele__stream_row *row_out);
/* OK; CORRUPT (no stream of this id), ... */
stele_status stele__stream_row_load(stele__connection *connection, int64_t id,
                                    stele__stream_row *row_out);
/* Write it back. What the connection remembers of streams is forgotten. */
stele_status stele__stream_row_save(stele__connection *connection, const stele__stream_row *row);
/* An event in `$stele`. `archive` may be NULL. The transaction must not be committed on failure. */
stele_status stele__log_change(stele_store *store, stele__connection *connection, const char *type,
                               const stele__stream_row *row, const char *archive,
                               int64_t *position_out);
/* "stream-trimmed": its events up to `through` are to go. */
stele_status stele__log_trimmed(stele_store *store, stele__connection *connection,
                                const stele__stream_row *row, int64_t through);
/* UTF-8 without NUL, of at most STELE_REASON_SIZE_MAX bytes. MISUSE, TOO_LARGE. */
stele_status stele__check_reason(const char *reason);
/* CONFLICT when the stream isn't at `expected`. */
stele_status stele__check_expected(const stele__stream_row *row, int64_t expected);

/* --- manifest.c: where payloads went, and what isn't finished --- */

/* The payloads of versions of a stream, in an archive. */
typedef struct stele__range {
    int64_t first_version;
    int64_t last_version;
    int64_t archive; /* its id here */
    char move[37];
    char uuid[37];   /* of the archive */
    char hint[4097]; /* its path; "" for none */
} stele__range;

stele_status stele__unfinished_find(stele__connection *connection, int64_t stream,
                                    stele__unfinished *work_out);
/* NONE takes the row away. */
stele_status stele__unfinished_set(stele_store *store, stele__connection *connection,
                                   int64_t stream, stele__unfinished work);
int64_t stele__unfinished_checksum(int64_t stream, int64_t work, int64_t began_at);

stele_status stele__range_find(stele__connection *connection, int64_t stream, bool *found_out,
                               stele__range *range_out);
/* `archive` 0 gives the archive of `uuid` and `hint` an id. */
stele_status stele__range_insert(stele__connection *connection, int64_t stream,
                                 const stele__range *range);
stele_status stele__range_delete(stele__connection *connection, int64_t stream);
int64_t stele__range_checksum(int64_t stream, const stele__range *range);

/* --- steps.c: some rows of a stream at a time --- */

/* A row with its own bytes. The names are borrowed from nobody. */
typedef struct stele__step_row {
    stele__row row; /* its pointers are set by stele__step_row_at() */
    size_t data_at;
    size_t metadata_at;
} stele__step_row;

typedef struct stele__stretch {
    stele__buffer bytes;
    stele__buffer rows; /* of stele__step_row */
    size_t count;
    int64_t after; /* the version through which was read; more may follow when count > 0 */
} stele__stretch;

/* Which rows of a stream a step is about. */
typedef enum stele__step_rows {
    STELE__STEP_PRESENT,   /* with their payload */
    STELE__STEP_ARCHIVED,  /* husks whose payload is in an archive */
    STELE__STEP_NOT_ERASED /* both */
} stele__step_rows;

/*
 * Read the next rows of a stream with `after` < version <= `through`, as many as a step of `work`
 * may have. Rows of a deleted stream can't be verified any more; all others are.
 */
stele_status stele__step_read(stele__connection *connection, const stele__work *work,
                              int64_t stream, int64_t after, int64_t through,
                              stele__step_rows which, stele__stretch *step_out);
/* After which version the first row is that has none of the flags `husks`: what was replaced before
 * a cut is passed over without the write lock. */
stele_status stele__step_first(stele_store *store, const stele_wait *wait, int64_t stream,
                               int64_t husks, int64_t *after_out);
/* Row `index`, with its names: borrowed until the next call on the connection. */
stele_status stele__step_row_at(stele__connection *connection, const stele__stretch *step,
                                size_t index, stele__row *row_out);
void stele__step_dispose(stele__stretch *step);

/* The row's place is taken by `row`: DELETE, INSERT, with the checksum made anew. */
stele_status stele__row_replace(stele__connection *connection, stele__row *row);
/* A husk whose payload is in an archive, and one whose payload is gone. The latter is overwritten
 * in place first, and its key, if any, forgets its content. */
stele_status stele__row_archive(stele__connection *connection, stele__row *row);
stele_status stele__row_erase(stele__connection *connection, stele__row *row);

/* --- kept.c: what this store keeps for others --- */

typedef struct stele__kept {
    int64_t id;
    char move[37];
    char source[37];
    char epoch[37];
    int64_t stream;
    char name[STELE_NAME_SIZE_MAX + 1];
    int64_t first_version;
    int64_t last_version;
    int64_t state; /* of STELE__KEPT_... */
    int64_t kept_at;
} stele__kept;

#define STELE__KEPT_COPYING  ((int64_t)0)
#define STELE__KEPT_WHOLE    ((int64_t)1)
#define STELE__KEPT_DROPPING ((int64_t)2) /* its source has no use for it any more */

stele_status stele__kept_find(stele__connection *connection, const char *move, bool *found_out,
                              stele__kept *kept_out);
/* The same; NOT_FOUND when there is none. */
stele_status stele__kept_load(stele__connection *connection, const char *move,
                              stele__kept *kept_out);
/* Insert or replace it by its move; `id` 0 gets one. */
stele_status stele__kept_save(stele__connection *connection, stele__kept *kept);
int64_t stele__kept_checksum(const stele__kept *kept);
/* The last version that is there; 0 for none. */
stele_status stele__kept_last(stele__connection *connection, int64_t kept, int64_t *version_out);
/* Insert a row, unless the same is there: CORRUPT when it is another. */
stele_status stele__kept_insert(stele__connection *connection, int64_t kept, const stele__row *row);
/* The payload of a version, borrowed from `statement`, which is to be ended. OK; NOT_FOUND; CORRUPT
 * when it is damaged or hasn't `payload_hash`. */
stele_status stele__kept_fetch(stele__connection *connection, int64_t kept, int64_t version,
                               int64_t payload_hash, stele__statement **statement_out,
                               stele__row *row_out);
/* Overwrite and delete the next rows; `*events_out` 0 when none were left. */
stele_status stele__kept_drop_step(stele__connection *connection, const stele__work *work,
                                   int64_t kept, uint64_t *events_out, uint64_t *bytes_out);
stele_status stele__kept_forget(stele__connection *connection, int64_t kept);

/* --- attach.c: which store is the archive of a uuid --- */

/* The attached archive of that uuid, held and entered; NULL when there is none. Leave and release
 * it afterwards. CLOSED. */
stele_status stele__attached_enter(stele_store *store, const char *uuid, stele_store **archive_out);
bool stele__has_attached(stele_store *store);

/* An archive for the time of some work on it. */
typedef struct stele__archive_handle {
    stele_store *store; /* NULL: none was found */
    bool opened;        /* by its path, for this work */
    bool attached;      /* held */
} stele__archive_handle;

/*
 * The archive that `range` names, for writing: `given` when it is that, an attached one, or the one
 * at its last path if it knows the move, or nothing is left there but copies `to_drop`: entered.
 * `handle_out->store` is NULL when there is none.
 */
stele_status stele__archive_open(stele_store *store, const stele__range *range, stele_store *given,
                                 bool to_drop, stele__archive_handle *handle_out);
/* MISUSE when another store than that archive was given. */
stele_status stele__archive_expect(const stele_store *given, const stele__range *range);
/* Keeps the error text. */
void stele__archive_close(stele__archive_handle *handle);
/* ARCHIVED, with where it was. */
stele_status stele__archive_missing(const char *stream, const stele__range *range);

/* --- move.c, bring.c, erase.c: the work itself, from wherever it stands --- */

stele_status stele__move_run(stele_store *store, stele_store *archive, int64_t stream,
                             stele__work *work, stele_changed *changed);
stele_status stele__return_run(stele_store *store, stele_store *archive, int64_t stream,
                               stele__work *work, stele_changed *changed);
/* Copies in the archive that are of no use any more. */
stele_status stele__drop_run(stele_store *store, stele_store *archive, int64_t stream,
                             stele__work *work);
stele_status stele__erase_run(stele_store *store, int64_t stream, stele__work *work,
                              stele_changed *changed);
/* Whatever the stream's unfinished work is; `*waiting_out` when it needs an archive that isn't
 * there. */
stele_status stele__resume_stream(stele_store *store, stele_store *given, int64_t stream,
                                  stele__work *work, bool *waiting_out);

/* --- through.c: reading payloads that are in attached archives --- */

/* For the time of a page. */
typedef struct stele__through {
    stele_store *archive; /* entered, and a read begun; NULL: none yet */
    stele__connection *connection;
    int64_t stream;              /* whose payloads `kept` are; 0: none */
    int64_t kept;                /* 0: its archive isn't attached */
    stele__statement *statement; /* that the last payload is borrowed from */
} stele__through;

/* Put the payload into `row`, borrowed until the next call: OK; DONE when the archive isn't
 * attached; NOT_FOUND when it isn't there: it may have been brought back since this read began;
 * CORRUPT, CLOSED, ... */
stele_status stele__through_fetch(stele__through *through, stele_store *store,
                                  stele__connection *connection, stele__row *row);
void stele__through_end(stele__through *through);

#endif
