/*
 * What the files of the benchmark share: settings, the workload, races between contenders, and the
 * table of results. The cases are listed in main.c; the hand-written side is in bare.h.
 */
#ifndef STELE_BENCH_BENCH_H
#define STELE_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/eventstore.h>

#define BENCH_ROUNDS_MAX     99
#define BENCH_CONTENDERS_MAX 6

typedef struct bench_settings {
    int rounds;
    bool quick;
    uint64_t seed;
} bench_settings;

/* --- support.c: failing, time, chance, files --- */

/* Print why and exit; the folder of the run is removed on the way. */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Die unless `status` is STELE_OK or STELE_DONE. */
void bench_expect(stele_status status, const char *doing);
void *bench_allocate(size_t size);
double bench_seconds(void);
/* Of this process alone, kernel included: what other work on the machine changes least. */
double bench_cpu_seconds(void);

typedef struct bench_chance {
    uint64_t state;
} bench_chance;

uint64_t bench_random(bench_chance *chance);
uint32_t bench_random_below(bench_chance *chance, uint32_t bound);

/* Make the folder of this run inside `parent`; it is removed at exit, and on an interrupt. */
void bench_make_folder(const char *parent);
/* The path of `name` in it, in a buffer that lasts for a few calls. */
const char *bench_path(const char *name);
int64_t bench_file_size(const char *name);
/* Remove what a case has left. */
void bench_clear_folder(void);
/* Exit if the user interrupted. */
void bench_look_for_interrupt(void);

/* --- allocations.c --- */

/* Before the first use of SQLite. */
void bench_count_allocations(void);
/* Calls of malloc, calloc and realloc so far: SQLite's, and all of the process, which is 0 for ever
 * where the C library doesn't let them be counted. */
uint64_t bench_sqlite_allocations(void);
uint64_t bench_all_allocations(void);

/* --- workload.c: about 190 bytes of JSON and 30 of metadata, 16 types, 1000 streams --- */

#define BENCH_STREAMS    1000
#define BENCH_TYPES      16
#define BENCH_CATEGORIES 8
#define BENCH_EVENTS     2048 /* different ones, made before the clock runs */

typedef struct bench_workload {
    stele_event events[BENCH_EVENTS];
    int types[BENCH_EVENTS]; /* index of each event's type */
    char streams[BENCH_STREAMS][24];
    char (*texts)[256];
    uint64_t payload_bytes; /* of all events together, with their metadata */
} bench_workload;

extern const char *const bench_types[BENCH_TYPES];
extern const char *const bench_categories[BENCH_CATEGORIES];

void bench_workload_init(bench_workload *workload, uint64_t seed);
void bench_workload_dispose(bench_workload *workload);

/* What the next append of a contender is: all contenders draw the same. */
typedef struct bench_draw {
    uint32_t stream;
    const char *stream_name; /* NULL: that of the workload's */
    const stele_event *events;
    const int *types;
    size_t count;
    const char *key; /* NULL: none */
} bench_draw;

typedef enum bench_keys { BENCH_KEYS_NONE, BENCH_KEYS_RANDOM, BENCH_KEYS_ASCENDING } bench_keys;

typedef struct bench_source {
    const bench_workload *workload;
    bench_chance chance;
    size_t batch;
    bench_keys keys;
    uint64_t key_number;
    char key[20];
} bench_source;

void bench_source_init(bench_source *source, const bench_workload *workload, uint64_t seed,
                       size_t batch, bench_keys keys);
void bench_draw_next(bench_source *source, bench_draw *draw_out);
/* Append what is drawn next. Its last position. */
int64_t bench_append_drawn(stele_store *store, bench_source *source);

/* --- race.c --- */

/* One side of a comparison. */
typedef struct bench_contender {
    const char *label;
    uint64_t (*run)(void *state, uint64_t operations); /* returns the units done */
    void *state;
    double rate; /* units a second: the median of the rounds */
    double cpu;  /* microseconds of processor time a unit, likewise */
} bench_contender;

/*
 * Let the contenders run in turn, `slices` times `operations` each in every round, after one slice
 * that isn't counted. The first one is the one that is judged.
 */
void bench_race(const bench_settings *settings, bench_contender *contenders, size_t count,
                uint64_t operations, int slices);

/* --- results.c --- */

/* One row: what was measured of the first contender, and of those it is compared with. */
void bench_report(const char *name, const char *unit, const bench_contender *contenders,
                  size_t count);
/* The same of events of `size` bytes, where only the processor is used: of its time an event takes
 * so many ns, and it would do so many MB/s. */
void bench_report_bytes(const char *name, const bench_contender *contenders, size_t count,
                        double size);
/* A row with one number. */
void bench_report_value(const char *name, const char *unit, double value);
void bench_print_header(const bench_settings *settings);
void bench_print_json(const bench_settings *settings);
void bench_print_quietly(bool quiet);
/* Compare with the aims of the table in results.c; the number that is missed. */
int bench_check_aims(void);

/* --- the cases --- */

void bench_case_append(const bench_settings *settings, const bench_workload *workload);
void bench_case_keyed(const bench_settings *settings, const bench_workload *workload);
void bench_case_key_layouts(const bench_settings *settings, const bench_workload *workload);
void bench_case_replay(const bench_settings *settings, const bench_workload *workload);
void bench_case_filters(const bench_settings *settings, const bench_workload *workload);
void bench_case_loads(const bench_settings *settings, const bench_workload *workload);
void bench_case_threads(const bench_settings *settings, const bench_workload *workload);
void bench_case_processes(const bench_settings *settings, const bench_workload *workload);
void bench_case_wal(const bench_settings *settings, const bench_workload *workload);
void bench_case_memory(const bench_settings *settings, const bench_workload *workload);
void bench_case_codec(const bench_settings *settings, const bench_workload *workload);
void bench_case_aggregate(const bench_settings *settings, const bench_workload *workload);
void bench_case_commands(const bench_settings *settings, const bench_workload *workload);
void bench_case_state(const bench_settings *settings, const bench_workload *workload);
void bench_case_notify(const bench_settings *settings, const bench_workload *workload);
void bench_case_subscribe(const bench_settings *settings, const bench_workload *workload);
void bench_case_shards(const bench_settings *settings, const bench_workload *workload);
void bench_case_frames(const bench_settings *settings, const bench_workload *workload);
void bench_case_upkeep(const bench_settings *settings, const bench_workload *workload);

#endif
