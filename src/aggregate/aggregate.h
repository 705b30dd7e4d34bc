/*
 * Aggregates, between the files of this area.
 *
 * Locks. An aggregate's mutex guards its cache, its lines of threads and its counts; it is held for
 * moments, never while the store or the user's callbacks run. The store's mutex may be held when it
 * is taken (forgetting), never the other way round.
 */
#ifndef STELE_AGGREGATE_AGGREGATE_H
#define STELE_AGGREGATE_AGGREGATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <stele/aggregate.h>

#include "base/patience.h"
#include "eventstore/tail.h"
#include "store/store.h"

/* --- cache.c: folded states, the least recently used go first --- */

typedef struct stele__cached {
    char *stream;
    void *state;
    int64_t stream_id;
    int64_t version;
    int64_t snapshot_version;    /* of the newest snapshot that we know of */
    struct stele__cached *next;  /* in its chain */
    struct stele__cached *older; /* by use */
    struct stele__cached *newer;
} stele__cached;

typedef struct stele__cache {
    stele__cached **chains; /* NULL: nothing is cached */
    size_t chain_count;
    uint64_t count;
    uint64_t size;
    stele__cached *newest;
    stele__cached *oldest;
    stele__cached *dropped; /* by a forgetting: to be freed where the user may be called */
    uint64_t forgotten;     /* moves with each forgetting */
} stele__cache;

/* --- turns.c: threads that execute on the same stream, one after the other --- */

typedef struct stele__line {
    const char *stream; /* of who has the turn */
    uintptr_t thread;
    struct stele__in_line *first;
    struct stele__in_line *last;
    struct stele__line *next;
} stele__line;

typedef struct stele__in_line {
    const char *stream;
    uintptr_t thread;
    stele__line line; /* while this thread has the turn */
    pthread_cond_t wake;
    bool has_turn;
    struct stele__in_line *next;
} stele__in_line;

#define STELE__LINE_CHAINS 64

struct stele_aggregate {
    stele_store *store;    /* held */
    stele_decider decider; /* full size; its names are those below */
    char *name;
    char *codec;
    int64_t schema_version;
    size_t state_size;
    bool plain;     /* a state is its bytes, and owns nothing */
    bool copies;    /* states can be copied */
    bool snapshots; /* states can be written and read */
    stele_aggregate_options options;
    stele__forgetter forgetter;
    uint32_t fork_count;

    pthread_mutex_t mutex;
    pthread_cond_t left; /* the last call left */
    atomic_bool closing;
    size_t calls;
    stele__cache cache;
    stele__line *lines[STELE__LINE_CHAINS];
    stele_aggregate_info counts;
};

/* --- open.c --- */

/* Begin a call: MISUSE, CLOSED. Leave on success. */
stele_status stele__aggregate_enter(stele_aggregate *aggregate);
void stele__aggregate_leave(stele_aggregate *aggregate);
/* CLOSED once somebody closes it. */
stele_status stele__aggregate_check(const stele_aggregate *aggregate);

/* A transaction of the same store. MISUSE. */
stele_status stele__aggregate_check_transaction(const stele_aggregate *aggregate,
                                                const stele_transaction *transaction);

/* --- states.c: a state of the program's, in memory of ours --- */

/* The initial state, in zeroed memory of state_size bytes. On failure it is zero. */
stele_status stele__state_begin(const stele_aggregate *aggregate, void *state);
/* Free what it owns; it is zero then. */
void stele__state_clear(const stele_aggregate *aggregate, void *state);
/* `copy` is zero before, and on failure. Only when states can be copied. */
stele_status stele__state_copy(const stele_aggregate *aggregate, const void *state, void *copy);
/* A new one; NULL: no memory. And its end, NULL allowed. */
void *stele__state_allocate(const stele_aggregate *aggregate);
void stele__state_free(const stele_aggregate *aggregate, void *state);
/* As a snapshot, at the end of `buffer`; and back, into zeroed memory, zero again on failure. */
stele_status stele__state_encode(const stele_aggregate *aggregate, const void *state,
                                 stele_buffer *buffer);
stele_status stele__state_decode(const stele_aggregate *aggregate, const char *codec,
                                 const void *data, size_t size, void *state);
/* Whether a callback's answer is passed on as it is. */
bool stele__callback_may_answer(stele_status status);
/* What a callback answered: what means something else to the caller is INVALID. `what` names it. */
stele_status stele__judge_callback(stele_status status, const char *what);

/* --- cache.c --- */

stele_status stele__cache_open(stele_aggregate *aggregate);
void stele__cache_close(stele_aggregate *aggregate);

/* What was taken, or is given back. */
typedef struct stele__taken {
    void *state; /* NULL: nothing was there */
    int64_t stream_id;
    int64_t version;
    int64_t snapshot_version;
    uint64_t forgotten; /* as of the taking */
} stele__taken;

/* A state to go on folding, the caller's from now on. `alone` says that none may be missing from
 * the cache for it: a copy, or nothing. */
void stele__cache_take(stele_aggregate *aggregate, const char *stream, bool alone,
                       stele__taken *taken_out);
/* Give it back, folded further: it is the cache's now, or freed. */
void stele__cache_give(stele_aggregate *aggregate, const char *stream, stele__taken *taken);
/* The stream's state is of a stream that isn't there any more. */
void stele__cache_drop(stele_aggregate *aggregate, const char *stream);
/* Free what was forgotten. */
void stele__cache_sweep(stele_aggregate *aggregate);

/* --- turns.c --- */

/* Wait for the turn at `stream`. CLOSED, CANCELLED, BUSY. End it with stele__line_leave(). A thread
 * that was called back in the middle of an append doesn't wait: it may have a turn, and who has
 * this one may wait for that. */
stele_status stele__line_join(stele_aggregate *aggregate, const char *stream,
                              stele__patience *patience, stele__in_line *place);
void stele__line_leave(stele_aggregate *aggregate, stele__in_line *place);
/* All who wait look whether they still may. With the mutex held. */
void stele__lines_wake(stele_aggregate *aggregate);

/* --- fold.c: a state on its way --- */

/* How often a stream may be deleted and made anew under a fold. */
#define STELE__RESTART_MAX 8

typedef struct stele__fold {
    stele_aggregate *aggregate;
    const char *stream;
    stele_transaction *transaction; /* NULL: none */
    const stele_wait *wait;         /* of each page; may be NULL */
    stele__patience *patience;      /* of the whole; may be NULL */
    int64_t to_version;             /* 0: all */
    bool uncached;
    bool executing;   /* who folds will write */
    bool fresh;       /* it has just begun, with the newest snapshot that there was */
    bool tentative;   /* it begins with what a transaction may have written */
    int64_t position; /* of the last event that was folded here; 0: none */
    stele__taken at;  /* the state, and where it stands */
    stele__tail tail; /* the stream, as last looked at */
    stele_fold_report report;
    stele_decoded *decoded;
} stele__fold;

/* Load the state: from the cache, a snapshot, or the beginning; then the rest. End it with
 * stele__fold_end() in any case. */
stele_status stele__fold_load(stele__fold *fold);
/* Look at the stream alone: `tail` is set. */
stele_status stele__fold_look(stele__fold *fold);
/* Fold what came since. */
stele_status stele__fold_on(stele__fold *fold);
/* Copy the state to the caller's memory, which is zero on failure; where it can't be copied, it is
 * moved, and the fold has none. */
stele_status stele__fold_show(stele__fold *fold, void *state);
/* Give the state to the cache, and the rest back. */
void stele__fold_end(stele__fold *fold);
/* Save a snapshot of the state. */
stele_status stele__fold_save(stele__fold *fold, const stele_wait *wait);

/* --- decision.c: what a command leads to --- */

typedef struct stele__emitted {
    stele_event event; /* its pointers are set when all is there */
    size_t type_at;
    size_t codec_at; /* SIZE_MAX: NULL */
    size_t data_at;
    size_t metadata_at;
} stele__emitted;

struct stele_decision {
    stele_aggregate *aggregate;
    const char *stream;
    int64_t version;
    const stele_cause *cause; /* full size; NULL: none */
    stele_buffer bytes;
    stele_buffer emitted; /* stele__emitted */
    stele_buffer events;  /* stele_event, as they are appended */
    stele_status failure; /* of an emission; STELE_OK for none */
    char failure_text[512];
    bool refused;
    int32_t refusal;
    char reason[512];
};

void stele__decision_begin(stele_decision *decision, stele_aggregate *aggregate, const char *stream,
                           const stele_cause *cause);
/* Let `command` be decided on `state` at `version`; what was emitted before is forgotten. OK, and
 * `events` can be appended; REFUSED, ... */
stele_status stele__decision_make(stele_decision *decision, const void *state, int64_t version,
                                  const void *command);
void stele__decision_end(stele_decision *decision);

/* --- cause.c: correlation and causation, in metadata --- */

/* Take over the caller's struct. MISUSE. */
stele_status stele__cause_take(const stele_cause *given, stele_cause *taken);
/* Add `metadata` (a JSON object, or nothing) with what the cause says to `buffer`. INVALID when it
 * is no object. */
stele_status stele__cause_stamp(const stele_cause *cause, const void *metadata, size_t size,
                                stele_buffer *buffer);

#endif
