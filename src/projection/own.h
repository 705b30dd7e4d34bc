/*
 * Projections, between the files of this area.
 *
 * The *record* of a projection is an entry of a scope of the library's: what the tables are, and
 * what is being built. It is written in the transactions that change the tables. How far they are
 * is the checkpoint of the same name; of tables that are being built, that of
 * STELE__BUILD_PREFIX and the name.
 */
#ifndef STELE_PROJECTION_OWN_H
#define STELE_PROJECTION_OWN_H

#include <stele/projection.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "checkpoint/own.h"
#include "store/store.h"

#define STELE__PROJECTION_SCOPE "$projections"
#define STELE__BUILD_PREFIX     "$build/"
/* Room for names of checkpoints of builds, for suffixes, and for lists of tables. */
#define STELE__BUILD_NAME_SIZE ((size_t)STELE_PROJECTION_NAME_MAX + 16)
#define STELE__SUFFIX_SIZE     ((size_t)24)
#define STELE__TABLE_LIST_SIZE                                                                     \
    ((size_t)STELE_PROJECTION_TABLES_MAX * (STELE_PROJECTION_TABLE_MAX + 1))

/* --- The description: describe.c --- */

/* Check what the caller gave, and copy all of it but its context. MISUSE, NO_MEMORY. */
stele_status stele__projection_take(const stele_projection *given, stele_projection *taken_out);
void stele__projection_dispose(stele_projection *taken);
/* Whether it folds the event. */
bool stele__projection_wants(const stele_projection *projection, const stele_record *record);
/* The tables, with ',' between them. */
void stele__projection_list_tables(const stele_projection *projection,
                                   char list_out[STELE__TABLE_LIST_SIZE]);
/* The filters of a read. */
void stele__projection_filter(const stele_projection *projection, stele_read *read);
/* "" for 0. */
void stele__suffix_of_build(int64_t build, char suffix_out[STELE__SUFFIX_SIZE]);
void stele__name_of_build(const char *name, char place_out[STELE__BUILD_NAME_SIZE]);

/* A call of the user's functions. The struct that they are lent, and what stele_projecting_table()
 * looks at. */
typedef struct stele__projecting {
    stele_projecting lent; /* first */
    const stele_projection *projection;
} stele__projecting;

void stele__projecting_begin(stele__projecting *projecting, const stele_projection *projection,
                             stele_transaction *transaction, const char *suffix);
/* Fold one event, of which `effects` are to be had or not. What failed is in the text. */
stele_status stele__projecting_fold(stele__projecting *projecting, const stele_record *record,
                                    bool effects);
stele_status stele__projecting_setup(stele__projecting *projecting);

/* --- The record: record.c --- */

typedef struct stele__projection_row {
    bool found;
    bool with_append;
    int64_t version;
    int64_t builds; /* the last number that a build was given */
    int64_t build;  /* the one at work; 0: none */
    int64_t build_version;
    int64_t replay_to; /* in place: filled anew up to here; 0: it isn't */
    char tables[STELE__TABLE_LIST_SIZE];
    char build_tables[STELE__TABLE_LIST_SIZE];
} stele__projection_row;

stele_status stele__projection_row_load(stele_transaction *transaction, const char *name,
                                        stele__projection_row *row_out);
stele_status stele__projection_row_read(stele_store *store, const char *name,
                                        stele__projection_row *row_out);
/* The same on a connection that is read already. */
stele_status stele__projection_row_look(stele__connection *connection, const char *name,
                                        stele__projection_row *row_out);
stele_status stele__projection_row_store(stele_transaction *transaction, const char *name,
                                         const stele__projection_row *row);
stele_status stele__projection_row_remove(stele_transaction *transaction, const char *name);
/* From the commit on every append needs it, or no longer. */
stele_status stele__projection_mark(stele_transaction *transaction, const char *name, bool kept);
/* CONFLICT unless the tables are of this version, kept this way, and `placed`: with a checkpoint.
 */
stele_status stele__projection_row_check(const stele__projection_row *row,
                                         const stele_projection *projection, bool with_append,
                                         bool placed);

/* --- Tables and places: tables.c --- */

/* SQL of ours on tables of theirs, in the transaction. */
stele_status stele__tables_drop(stele_transaction *transaction, const char *list,
                                const char *suffix);
stele_status stele__tables_rename(stele_transaction *transaction, const char *list,
                                  const char *suffix);
stele_status stele__tables_are_there(stele_transaction *transaction, const char *list,
                                     const char *suffix);
/* The place of `name` inside the transaction, judged: EPOCH, ... */
stele_status stele__projection_place(stele_transaction *transaction, const char *name,
                                     stele__place *place_out, bool *found_out);
stele_status stele__projection_place_store(stele_transaction *transaction, const char *name,
                                           const stele__place *place);
/* The first time: tables, record, place 0. Anything but the row is as it should be already. */
stele_status stele__projection_register(stele_transaction *transaction,
                                        const stele_projection *projection, bool with_append,
                                        stele__projection_row *row_out);

/* --- Folding what the log holds: fold.c --- */

/* Events from `after` to `to`, no more than so many at once. */
typedef struct stele__folding {
    const stele_projection *projection;
    stele_transaction *transaction;
    const char *suffix;
    bool rebuilding;
    bool with_append;
    int64_t after;
    int64_t to;
    int64_t effects_after;
    uint32_t count_max;
    uint32_t size_max;
    /* What came of it. */
    int64_t through;
    uint64_t count;
    uint64_t size;
} stele__folding;

stele_status stele__fold_some(stele__folding *folding);

/* --- Projectors --- */

struct stele_projector {
    stele_store *store; /* held */
    stele_projection projection;
    bool with_append;
    /* Inline: guarded by the store's list of them. */
    stele__place place;
    bool known; /* `place` is right as long as these two of the writer don't move */
    uint64_t revision;
    uint64_t place_changes;
    struct stele_projector *next;
    /* Async. */
    stele_subscription *subscription;
    stele_subscription_options options;
    atomic_bool replaced; /* the tables are of another version now, as `reason` says */
    char reason[STELE__ERROR_SIZE];
};

/* projector.c */
stele_status stele__projector_make(stele_store *store, const stele_projection *projection,
                                   bool with_append, stele_projector **projector_out);
void stele__projector_free(stele_projector *projector);
/* inline.c */
void stele__inline_leave(stele_projector *projector);
/* async.c */
void stele__async_close(stele_projector *projector);

#endif
