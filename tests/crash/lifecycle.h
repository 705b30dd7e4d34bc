/**
 * @file tests/crash/lifecycle.h
 * Power cuts of streams that are archived into another store, restored and deleted.
 *
 * The workload changes two stores in one folder, store.db and archive.db, one change after the
 * other; the model knows all of them. Each change moves the head of store.db (archiving and so on
 * append to `$stele`), so the head alone tells how many of them an image holds, once what was cut
 * short has been resumed.
 */
#ifndef STELE_TESTS_CRASH_LIFECYCLE_H
#define STELE_TESTS_CRASH_LIFECYCLE_H

#include "crash/harness.h"

#include <stele/lifecycle.h>

typedef enum lifecycle_state {
    LIFECYCLE_ACTIVE,
    LIFECYCLE_IN_PLACE, /* archived, the payloads still here */
    LIFECYCLE_MOVED,    /* archived, the payloads in archive.db */
    LIFECYCLE_TOMBSTONED,
    LIFECYCLE_DELETED,
    LIFECYCLE_NONE /* not there yet */
} lifecycle_state;

typedef struct lifecycle_event {
    int64_t position;
    int64_t version;
    int64_t number;      /* what its mark says */
    size_t stream;       /* of the model */
    size_t append_size;  /* on the first event of an append: its events */
    char *key;           /* there, if it had one */
    stele_event content; /* its bytes are owned */
} lifecycle_event;

/* A stream from its creation to its deletion; a later one of the same name is another. */
typedef struct lifecycle_stream {
    char name[32];
} lifecycle_stream;

/* Something that was done to a stream, with the recorder's moments. */
typedef struct lifecycle_change {
    size_t stream;
    lifecycle_state state; /* afterwards; an append leaves it ACTIVE */
    int64_t reason;        /* the number of the mark in it; 0: none was given */
    size_t begun_at;
    size_t acked_at;
    int64_t head; /* of store.db afterwards */
} lifecycle_change;

typedef struct lifecycle_model {
    lifecycle_stream *streams;
    size_t stream_count;
    lifecycle_event *events; /* by position */
    size_t event_count;
    lifecycle_change *changes; /* in the order in which they were made */
    size_t change_count;
    int64_t next_number;
} lifecycle_model;

/* --- The model --- */

/** Payloads are made of their event's mark, such as "~0000000012~", and reasons and some names hold
 * one: nothing else looks like that. */
#define LIFECYCLE_MARK_SIZE 12

/** The number of the mark that begins at `at`, before `end`; -1 for none. */
int64_t lifecycle_read_mark(const char *at, const char *end);

lifecycle_model *lifecycle_model_create(void);
void lifecycle_model_dispose(lifecycle_model *model);

/** A new stream, or the one of that name that is not deleted. */
size_t lifecycle_stream_named(lifecycle_model *model, const char *name);

/** The state of `stream` after the first `count` changes. */
lifecycle_state lifecycle_state_after(const lifecycle_model *model, size_t stream, size_t count);

/** The version of `stream` at the position `head`. */
int64_t lifecycle_version_at(const lifecycle_model *model, size_t stream, int64_t head);

/** The head of store.db after the first `count` changes. */
int64_t lifecycle_head_after(const lifecycle_model *model, size_t count);

/** How many changes it takes to come to `head`; change_count + 1 if it is the head of none. */
size_t lifecycle_count_at(const lifecycle_model *model, int64_t head);

/** Take over a copy of what was appended. */
void lifecycle_note_append(lifecycle_model *model, size_t stream, const stele_append *append,
                           const stele_appended *appended);

void lifecycle_note_change(lifecycle_model *model, lifecycle_change change);

/** Only the first `count` changes were, and they are durable. */
void lifecycle_keep(lifecycle_model *model, size_t count);

/* --- For workloads --- */

/** Append, archive, restore, tombstone and delete at random, in small steps. */
void lifecycle_work(crash_run *run);

/** Move one stream of `event_count` events there and back, and delete it, in steps of `step_count`
 * events. Returns the recorder's moment when these began. */
size_t lifecycle_work_large(crash_run *run, size_t event_count, uint32_t step_count);

/** The judge of what that leaves, and what goes with it. */
verdict lifecycle_judge(crash_run *run, const char *folder, size_t cut, bool thorough);
bool lifecycle_rebase(crash_run *run);
void lifecycle_dispose(crash_run *run);

/** What plain SQLite finds in the two closed files: each event in exactly one of them. */
void lifecycle_judge_places(const lifecycle_model *model, size_t count, const char *folder,
                            verdict *found);

/** How many payloads are in neither file, of events that were there after the first `acked` changes
 * and weren't deleted by the first `begun` ones. */
int64_t lifecycle_count_lost(const lifecycle_model *model, size_t acked, size_t begun,
                             const char *folder);

/** Nothing of a deleted stream is left in the two files or their WALs. */
void lifecycle_judge_remains(const lifecycle_model *model, size_t count, const char *folder,
                             verdict *found);

#endif
