/*
 * What the files of this area share. sink.c takes what a transform emits into a batch, note.c keeps
 * in the target how far the copy has come, finish.c carries over what isn't events, copy.c joins
 * them.
 */
#ifndef STELE_COPY_COPY_H
#define STELE_COPY_COPY_H

#include <stele/copy.h>

#include "base/bytes.h"
#include "store/store.h"
#include "store/work.h"

/* --- sink.c --- */

/* An event to be written. Texts are offsets into the batch's bytes, since these move while they
 * grow; SIZE_MAX stands for none. */
typedef struct stele__copy_event {
    int64_t position; /* of the source */
    size_t index;     /* among what became of that */
    size_t stream;
    size_t type;
    size_t codec;
    size_t key;
    size_t data;
    size_t data_size;
    size_t metadata;
    size_t metadata_size;
    int64_t schema_version;
    int64_t occurred_at;
} stele__copy_event;

/* So many positions of the source in a row became so many events each. */
typedef struct stele__copied_run {
    int64_t positions;
    int64_t outputs;
} stele__copied_run;

/* What one transaction stores. Starts as { 0 }, and is reused with its memory. */
typedef struct stele__copy_batch {
    stele__copy_event *events;
    size_t count;
    size_t capacity;
    stele__copied_run *runs;
    size_t run_count;
    size_t run_capacity;
    stele__buffer bytes;
    int64_t through; /* the last position of the source that it covers */
    uint64_t records;
    uint64_t dropped;
} stele__copy_batch;

/* Empty it; it goes on after position `through`. */
void stele__copy_batch_begin(stele__copy_batch *batch, int64_t through);
void stele__copy_batch_dispose(stele__copy_batch *batch);
/* The text at `offset`; NULL for SIZE_MAX. Borrowed until the batch grows. */
const char *stele__copy_batch_text(const stele__copy_batch *batch, size_t offset);
/* Nothing became of the positions up to `through`. OK or NO_MEMORY. */
stele_status stele__copy_batch_skip(stele__copy_batch *batch, int64_t through);
/* What becomes of `record`, at the end of `batch`; the failure names its position. */
stele_status stele__copy_transform(const stele_copy *copy, const stele_record *record,
                                   stele__copy_batch *batch);

/* --- note.c --- */

/* How far a copy has come, as the target's `meta` has it, in the row `copy`. */
typedef struct stele__copy_note {
    char source[37]; /* its uuid */
    char epoch[37];  /* of the source, when this was written */
    int64_t after;   /* where the copy began */
    int64_t through; /* the last position of the source that is in the target */
    int64_t head;    /* of the target */
} stele__copy_note;

/* The note of the target, inside a transaction. OK, DONE for none, CORRUPT, ... */
stele_status stele__copy_note_load(stele_transaction *transaction, stele__copy_note *note_out);
/* Put `note` in place of what is there. */
stele_status stele__copy_note_save(stele_transaction *transaction, const stele__copy_note *note);
/* MISUSE unless the target is as `note` says: then somebody else wrote there. */
stele_status stele__copy_note_check(stele_transaction *transaction, const stele__copy_note *note);
/* Note what became of the positions of `batch`, which begin after those of `note`. */
stele_status stele__copy_map_save(stele_transaction *transaction, const stele__copy_note *note,
                                  const stele__copy_batch *batch);
/* The copy is done: take all of its rows away. */
stele_status stele__copy_note_drop(stele_transaction *transaction);

/* Positions of the source after `after` and what became of them, after `head` of the target. */
typedef struct stele__copy_stretch {
    int64_t after;
    int64_t head;
    stele__copied_run run;
} stele__copy_stretch;

/* Go through the map that the target holds, which is that of `note`; a status other than OK ends
 * it. No read is in progress while `visit` runs. CORRUPT, ... */
stele_status stele__copy_map_visit(stele_store *target, const stele__copy_note *note,
                                   stele_status (*visit)(void *context,
                                                         const stele__copy_stretch *stretch),
                                   void *context);

/* --- finish.c --- */

/* A copy in progress. */
typedef struct stele__copier {
    stele_store *source;
    stele_store *target;
    stele_copy copy;
    stele__work work;
    stele__copy_batch batch;
    stele__copy_note note;
    int64_t head; /* that the target would have, in a dry run */
    stele_cursor *cursor;
    stele_copied copied;
    struct stele__copy_places *planned; /* of a dry run, which leaves no map behind; else NULL */
} stele__copier;

/* Checkpoints and states, and the end of the note: one transaction. */
stele_status stele__copy_finish(stele__copier *copier);

/* copy.c. A transaction of the target, which is as the note says. */
stele_status stele__copy_begin(stele__copier *copier, stele_transaction **transaction_out);

#endif
