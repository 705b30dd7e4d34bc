/*
 * The cases `aggregate`, `commands` and `state`: shelves of a library, each of them a stream of
 * loans. What the library and the hand-written side do with them.
 */
#ifndef STELE_BENCH_LENDING_H
#define STELE_BENCH_LENDING_H

#include <stele/aggregate.h>

#include "bare.h"
#include "codec_sides.h"

enum {
    LENDING_LOANS = 64, /* different ones, made before the clock runs */
    LENDING_STREAMS_MAX = 10000
};

/* What folding makes of a stream of loans. */
typedef struct lending_shelf {
    int64_t loans;
    uint64_t loan_ids; /* their sum */
    int64_t due_last;
    double fees;
    uint32_t renewable;
    char branch[16];
} lending_shelf;

/* The same of the bytes as they lie there. */
typedef struct lending_weight {
    int64_t events;
    uint64_t bytes;
    uint64_t ends;
} lending_weight;

typedef struct lending_pool {
    codec_loan loans[LENDING_LOANS];
    stele_event events[LENDING_LOANS]; /* the same, encoded */
    stele_buffer payloads[LENDING_LOANS];
    char (*streams)[24]; /* names of LENDING_STREAMS_MAX */
} lending_pool;

extern const stele_decider lending_decider;
/* Doesn't decode; executes nothing. */
extern const stele_decider lending_raw_decider;

void lending_pool_init(lending_pool *pool, uint64_t seed);
void lending_pool_dispose(lending_pool *pool);

void lending_fold(lending_shelf *shelf, const codec_loan *loan);
void lending_weigh(lending_weight *weight, const void *data, size_t size);

/*
 * A store with loans known and `streams` shelves of `events` loans each, which had their turns. It
 * was closed and opened again before the last loan of each, so that the WAL is short and the writer
 * has met every shelf. `snapshots`: of each, before that.
 */
stele_store *lending_open(const lending_pool *pool, const char *name, stele_durability durability,
                          uint32_t streams, uint32_t events, bool snapshots);
stele_aggregate *lending_open_aggregate(stele_store *store, uint32_t cached,
                                        uint32_t snapshot_events);

/* --- One who lends, drawing a shelf at random --- */

typedef struct lending_side {
    const lending_pool *pool;
    bench_chance chance;
    uint32_t streams;
    stele_store *store;
    stele_aggregate *aggregate;
    int64_t *versions; /* of the shelves, where appending is all that is done */
    bare_writer bare;
    sqlite3_stmt *fold; /* by hand: the loans of a shelf */
    uint64_t lent;
} lending_side;

/* Commands by the library; its appends alone, of what is encoded already; the same by hand; and by
 * hand with folding all that is there, by cJSON, and encoding. Units are events. */
uint64_t lending_run_commands(void *state, uint64_t operations);
uint64_t lending_run_appends(void *state, uint64_t operations);
uint64_t lending_run_hand_appends(void *state, uint64_t operations);
uint64_t lending_run_hand_commands(void *state, uint64_t operations);

void lending_open_library(lending_side *side, const lending_pool *pool, stele_store *store,
                          uint32_t streams, uint32_t events, uint64_t seed);
void lending_open_hand(lending_side *side, const lending_pool *pool, const char *name,
                       stele_durability durability, const bench_workload *workload,
                       uint32_t streams, uint32_t events, uint64_t seed);
void lending_close(lending_side *side);

/* One command, or one append, by whoever calls. The number of tries. */
uint32_t lending_execute(stele_aggregate *aggregate, const char *stream, const codec_loan *loan);

#endif
