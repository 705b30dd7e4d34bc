/* Appends and entries that go through frames (src/frame) against the same that don't: what it costs
 * to be ready for replication on a single machine. The one case that knows of the inside. */
#include <stdio.h>

#include <stele/state.h>

#include "frame/local.h"

#include "contenders.h"

typedef struct framer {
    library_writer writer;
    stele__local *local; /* NULL: without frames */
    uint64_t puts;
} framer;

static void open_framer(framer *side, const char *file, bool framed, stele_durability durability,
                        const bench_settings *settings, const bench_workload *workload,
                        size_t batch)
{
    *side = (framer){ .writer.store = bench_open_store(file, durability) };
    bench_fill_streams(side->writer.store, workload);
    bench_source_init(&side->writer.source, workload, settings->seed, batch, BENCH_KEYS_NONE);
    if (!framed)
        return;
    bench_expect(stele__local_open(side->writer.store, NULL, &side->local), "open the sequencer");
    bench_expect(stele__sequencer_set(side->writer.store, stele__local_sequencer(side->local)),
                 "set the sequencer");
}

static void close_framer(framer *side)
{
    if (side->local != NULL)
        bench_expect(stele__sequencer_set(side->writer.store, NULL), "take the sequencer away");
    stele__local_close(side->local);
    stele_store_close(side->writer.store);
}

static uint64_t run_framer(void *state, uint64_t operations)
{
    framer *side = state;
    return bench_run_library_appends(&side->writer, operations);
}

static uint64_t run_framed_puts(void *state, uint64_t operations)
{
    framer *side = state;
    const bench_workload *workload = side->writer.source.workload;
    for (uint64_t i = 0; i < operations; i++) {
        const stele_event *value = &workload->events[side->puts % BENCH_EVENTS];
        stele_put put = STELE_PUT_INIT;
        put.scope = "shelves";
        put.key = workload->streams[side->puts++ % BENCH_STREAMS];
        put.codec = "json";
        put.data = value->data;
        put.data_size = value->data_size;
        bench_expect(stele_state_put(side->writer.store, &put, NULL), "put");
    }
    return operations;
}

static void race_frames(const bench_settings *settings, const bench_workload *workload,
                        stele_durability durability, size_t batch)
{
    char name[64];
    framer framed;
    framer plain;
    bool full = durability == STELE_DURABILITY_FULL;
    open_framer(&framed, "framed.db", true, durability, settings, workload, batch);
    open_framer(&plain, "plain.db", false, durability, settings, workload, batch);
    bench_contender appends[] = { { "through frames", run_framer, &framed, 0, 0 },
                                  { "plain", run_framer, &plain, 0, 0 } };
    bench_contender puts[] = { { "through frames", run_framed_puts, &framed, 0, 0 },
                               { "plain", run_framed_puts, &plain, 0, 0 } };
    bench_race(settings, appends, 2, (full ? 300 : 3000) / batch, settings->quick ? 2 : 6);
    snprintf(name, sizeof(name), "frame-append-%s-%zu", full ? "full" : "relaxed", batch);
    bench_report(name, "events/s", appends, 2);
    if (!full && batch == 1) {
        bench_race(settings, puts, 2, 2000, settings->quick ? 2 : 6);
        bench_report("frame-put-relaxed", "puts/s", puts, 2);
    }
    close_framer(&framed);
    close_framer(&plain);
    bench_clear_folder();
}

void bench_case_frames(const bench_settings *settings, const bench_workload *workload)
{
    race_frames(settings, workload, STELE_DURABILITY_FULL, 1);
    race_frames(settings, workload, STELE_DURABILITY_RELAXED, 1);
    race_frames(settings, workload, STELE_DURABILITY_RELAXED, 100);
}
