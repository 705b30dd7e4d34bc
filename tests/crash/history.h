/**
 * @file tests/crash/history.h
 * What a workload attempted and what it was told: that against which every image is judged.
 *
 * The work itself is not cut, so at its end the whole log is known by position. What is left after
 * a cut must be a beginning of that log.
 */
#ifndef STELE_TESTS_CRASH_HISTORY_H
#define STELE_TESTS_CRASH_HISTORY_H

#include <stele/eventstore.h>

#include <pthread.h>

typedef struct history_event {
    char *stream;
    char *type;
    char *key; /* on the first event of an append that had one; else NULL */
    unsigned char *data;
    size_t size;
    int64_t version;
    size_t append_size; /* on the first event of an append: its events */
} history_event;

/** What is stored as a whole or not at all. */
typedef struct history_unit {
    size_t begun_at; /* moments of the recorder */
    size_t acked_at;
    int64_t first_position;
    int64_t last_position;
} history_unit;

/** A clean close: afterwards everything acknowledged before it is durable. */
typedef struct history_closing {
    size_t begun_at;
    size_t ended_at;
} history_closing;

typedef struct history {
    pthread_mutex_t mutex;
    history_event *events; /* by position, from 1 */
    size_t event_count;
    history_unit *units; /* by position once settled */
    size_t unit_count;
    history_closing *closings;
    size_t closing_count;
    char epoch[37];    /* at the last opening; "" before */
    size_t opened_at;  /* when the first opening of this life was done; SIZE_MAX before */
    int64_t base_head; /* what an earlier life left */
} history;

void history_init(history *past);
void history_dispose(history *past);

/** Note that the store is open: its epoch. */
void history_note_open(history *past, stele_store *store);

/** Append through `store`, and note what came of it when that is STELE_OK. Any thread. */
stele_status history_append(history *past, stele_store *store, const stele_append *appends,
                            size_t count);

/** Note what a commit stored: the appends, and where they ended. Any thread. */
void history_note(history *past, size_t begun_at, const stele_append *appends,
                  const stele_appended *appended, size_t count);

/** Close `store`, and note that. */
void history_close(history *past, stele_store *store);

/** The work is over: put all of it in order. False when it has a hole. */
bool history_settle(history *past);

/** Begin another life with the first `head` events, which are durable. */
void history_rebase(history *past, int64_t head);

/** The version that `stream` has after the first `head` events. */
int64_t history_version(const history *past, const char *stream, int64_t head);

#endif
