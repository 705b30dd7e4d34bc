/* Allocations in the steady state, and the size of the file. */
#include <stele/store.h>

#include "contenders.h"

typedef uint64_t run_function(void *state, uint64_t operations);

/* Allocations of a unit, once everything has been done often enough to be as it will be. */
static double count_allocations(run_function *run, void *state, uint64_t operations)
{
    run(state, operations);
    uint64_t before = bench_allocation_count();
    uint64_t units = run(state, operations);
    return (double)(bench_allocation_count() - before) / (double)units;
}

static void report_allocations(const char *name, const char *excess_name, double library,
                               double hand)
{
    bench_report_value(name, "allocations/event", library);
    bench_report_value(excess_name, "allocations/event", library - hand);
}

static void measure_append(const bench_settings *settings, const bench_workload *workload)
{
    uint64_t appends = settings->quick ? 1000 : 5000;
    library_writer library;
    hand_writer hand;
    bare_options options = { .durability = STELE_DURABILITY_RELAXED, .checksums = true };
    library.store = bench_open_store("library.db", STELE_DURABILITY_RELAXED);
    bench_fill_streams(library.store, workload);
    bare_writer_open(&hand.bare, "hand.db", &options, workload);
    bench_source_init(&library.source, workload, settings->seed, 1, BENCH_KEYS_NONE);
    hand.source = library.source;
    if (bench_can_count_allocations())
        report_allocations("allocations-append", "allocations-append, beyond hand-written",
                           count_allocations(bench_run_library_appends, &library, appends),
                           count_allocations(bench_run_hand_appends, &hand, appends));
    stele_store_close(library.store);
    bare_writer_close(&hand.bare);
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
    hand_reader hand = { 0 };
    bare_reader_open(&hand.bare, "log.db", true);
    if (bench_can_count_allocations())
        report_allocations("allocations-replay", "allocations-replay, beyond hand-written",
                           count_allocations(bench_run_library_replay, &library, 1),
                           count_allocations(bench_run_hand_replay, &hand, 1));
    bare_reader_close(&hand.bare);
    stele_store_close(library.store);
    bench_clear_folder();
}

void bench_case_memory(const bench_settings *settings, const bench_workload *workload)
{
    measure_append(settings, workload);
    measure_replay(settings, workload);
}
