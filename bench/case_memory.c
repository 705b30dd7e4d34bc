/* Allocations in the steady state, and the size of the file. */
#include <stdio.h>

#include <stele/store.h>

#include "contenders.h"

typedef uint64_t run_function(void *state, uint64_t operations);

/* Allocations of a unit, once everything has been done often enough to be as it will be. */
static void report_allocations(const char *name, run_function *run, void *state,
                               uint64_t operations)
{
    if (bench_all_allocations() == 0)
        return;
    run(state, operations);
    uint64_t sqlite_before = bench_sqlite_allocations();
    uint64_t all_before = bench_all_allocations();
    double units = (double)run(state, operations);
    double sqlite = (double)(bench_sqlite_allocations() - sqlite_before);
    double all = (double)(bench_all_allocations() - all_before);

    char row[64];
    snprintf(row, sizeof(row), "allocations-%s, the library's", name);
    bench_report_value(row, "of an event", (all - sqlite) / units);
    snprintf(row, sizeof(row), "allocations-%s, SQLite's", name);
    bench_report_value(row, "of an event", sqlite / units);
}

static void measure_append(const bench_settings *settings, const bench_workload *workload)
{
    uint64_t appends = settings->quick ? 1000 : 5000;
    library_writer library;
    library.store = bench_open_store("library.db", STELE_DURABILITY_RELAXED);
    bench_fill_streams(library.store, workload);
    bench_source_init(&library.source, workload, settings->seed, 1, BENCH_KEYS_NONE);
    report_allocations("append", bench_run_library_appends, &library, appends);
    stele_store_close(library.store);
    bench_clear_folder();
}

static void measure_replay(const bench_settings *settings, const bench_workload *workload)
{
    uint64_t count = settings->quick ? 20000 : 200000;
    stele_store *store = bench_open_store("log.db", STELE_DURABILITY_RELAXED);
    bench_fill_log(store, workload, settings->seed, count);
    stele_store_close(store);
    double payload = (double)workload->payload_bytes / BENCH_EVENTS * (double)count;
    bench_report_value("payload-size", "bytes/event", payload / (double)count);
    bench_report_value("file-size", "bytes/event",
                       (double)bench_file_size("log.db") / (double)count);
    bench_report_value("file-size, of the payload", "times",
                       (double)bench_file_size("log.db") / payload);

    library_reader library = { .store = bench_open_store("log.db", STELE_DURABILITY_RELAXED),
                               .read = STELE_READ_INIT };
    report_allocations("replay", bench_run_library_replay, &library, 1);
    stele_store_close(library.store);
    bench_clear_folder();
}

void bench_case_memory(const bench_settings *settings, const bench_workload *workload)
{
    measure_append(settings, workload);
    measure_replay(settings, workload);
}
