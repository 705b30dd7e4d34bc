/* The sides of the races: the library and the hand-written code, doing the same. */
#ifndef STELE_BENCH_CONTENDERS_H
#define STELE_BENCH_CONTENDERS_H

#include "bare.h"

/* --- append_sides.c --- */

typedef struct library_writer {
    stele_store *store;
    bench_source source;
} library_writer;

typedef struct hand_writer {
    bare_writer bare;
    bench_source source;
} hand_writer;

stele_store *bench_open_store(const char *name, stele_durability durability);
/* One event into every stream, so that none is created while the clock runs. */
void bench_fill_streams(stele_store *store, const bench_workload *workload);
/* `count` events, each into a stream of its own drawing, in large commits. */
void bench_fill_log(stele_store *store, const bench_workload *workload, uint64_t seed,
                    uint64_t count);

/* States are a library_writer and a hand_writer; `operations` are appends, the units are events. */
uint64_t bench_run_library_appends(void *state, uint64_t operations);
uint64_t bench_run_hand_appends(void *state, uint64_t operations);

/* --- Reading: read_sides.c --- */

typedef struct library_reader {
    stele_store *store;
    stele_read read;
    uint64_t units; /* what a run is said to have done; 0: the records it gave */
    uint64_t sum;
} library_reader;

typedef struct hand_reader {
    bare_reader bare;
    int64_t type; /* 0: all */
    uint64_t units;
} hand_reader;

/* States are a library_reader and a hand_reader; an operation is a whole replay. */
uint64_t bench_run_library_replay(void *state, uint64_t operations);
uint64_t bench_run_hand_replay(void *state, uint64_t operations);
/* Read what `read` asks for; how many records there were. */
uint64_t bench_drain(stele_store *store, const stele_read *read, uint64_t *sum);

#endif
