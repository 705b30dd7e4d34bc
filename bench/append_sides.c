/* Appending: the two sides. */
#include <stdlib.h>

#include "contenders.h"

stele_store *bench_open_store(const char *name, stele_durability durability)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = durability;
    stele_store *store = NULL;
    bench_expect(stele_store_open(bench_path(name), &options, &store), "open");
    return store;
}

static void append_group(stele_store *store, stele_append *appends, size_t count)
{
    bench_expect(stele_store_append_many(store, appends, count, NULL, NULL), "fill");
}

void bench_fill_streams(stele_store *store, const bench_workload *workload)
{
    static stele_append appends[BENCH_STREAMS];
    for (int i = 0; i < BENCH_STREAMS; i++) {
        appends[i] = (stele_append)STELE_APPEND_INIT;
        appends[i].stream = workload->streams[i];
        appends[i].events = &workload->events[i];
        appends[i].event_count = 1;
    }
    append_group(store, appends, BENCH_STREAMS);
}

void bench_fill_log(stele_store *store, const bench_workload *workload, uint64_t seed,
                    uint64_t count)
{
    static stele_append appends[1000];
    bench_source source;
    bench_source_init(&source, workload, seed, 1, BENCH_KEYS_NONE);
    size_t used = 0;
    for (uint64_t i = 0; i < count; i++) {
        bench_draw draw;
        bench_draw_next(&source, &draw);
        appends[used] = (stele_append)STELE_APPEND_INIT;
        appends[used].stream = workload->streams[draw.stream];
        appends[used].events = draw.events;
        appends[used].event_count = 1;
        if (++used < 1000 && i + 1 < count)
            continue;
        append_group(store, appends, used);
        used = 0;
    }
}

uint64_t bench_run_library_appends(void *state, uint64_t operations)
{
    library_writer *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        bench_draw draw;
        bench_draw_next(&side->source, &draw);
        stele_append append = STELE_APPEND_INIT;
        append.stream = side->source.workload->streams[draw.stream];
        append.events = draw.events;
        append.event_count = draw.count;
        append.idempotency_key = draw.key;
        bench_expect(stele_store_append(side->store, &append, NULL), "append");
    }
    return operations * side->source.batch;
}

uint64_t bench_run_hand_appends(void *state, uint64_t operations)
{
    hand_writer *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        bench_draw draw;
        bench_draw_next(&side->source, &draw);
        bare_append(&side->bare, &draw);
    }
    return operations * side->source.batch;
}
