/* Saving and loading snapshots, putting and getting state entries, against the same tables by hand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stele/snapshot.h>
#include <stele/state.h>
#include <stele/store.h>

#include "contenders.h"
#include "lending.h"

enum { KEPT_STREAMS = 1000 };

/* One who keeps things, in the order of streams or keys; the same of both sides. */
typedef struct keeper {
    const lending_pool *pool;
    stele_store *store; /* NULL: by hand */
    bare_keeper bare;
    uint64_t count;
    uint64_t sum;
} keeper;

static const stele_event *next_value(keeper *side, uint32_t *place_out)
{
    *place_out = (uint32_t)(side->count % KEPT_STREAMS);
    return &side->pool->events[side->count++ % LENDING_LOANS];
}

/* --- Snapshots --- */

static uint64_t run_library_saves(void *state, uint64_t operations)
{
    keeper *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        uint32_t place = 0;
        stele_snapshot snapshot = STELE_SNAPSHOT_INIT;
        snapshot.version = (int64_t)(side->count / KEPT_STREAMS) + 1;
        const stele_event *value = next_value(side, &place);
        snapshot.stream = side->pool->streams[place];
        snapshot.data = value->data;
        snapshot.data_size = value->data_size;
        bench_expect(stele_snapshot_save(side->store, &snapshot), "save a snapshot");
    }
    return operations;
}

static uint64_t run_hand_saves(void *state, uint64_t operations)
{
    keeper *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        uint32_t place = 0;
        int64_t version = (int64_t)(side->count / KEPT_STREAMS) + 1;
        const stele_event *value = next_value(side, &place);
        bare_save_snapshot(&side->bare, side->pool->streams[place], version, value->data,
                           value->data_size);
    }
    return operations;
}

static uint64_t run_library_snapshot_loads(void *state, uint64_t operations)
{
    keeper *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        uint32_t place = 0;
        const stele_snapshot_record *record = NULL;
        stele_snapshot_read read = STELE_SNAPSHOT_READ_INIT;
        next_value(side, &place);
        read.stream = side->pool->streams[place];
        bench_expect(stele_snapshot_load(side->store, &read, &record), "load a snapshot");
        if (!record->found)
            bench_die("no snapshot: %s", record->reason);
        side->sum += record->data_size;
        stele_snapshot_close(record);
    }
    return operations;
}

static uint64_t run_hand_snapshot_loads(void *state, uint64_t operations)
{
    keeper *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        uint32_t place = 0;
        next_value(side, &place);
        side->sum += bare_load_snapshot(&side->bare, side->pool->streams[place]);
    }
    return operations;
}

/* --- State entries --- */

static uint64_t run_library_puts(void *state, uint64_t operations)
{
    keeper *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        uint32_t place = 0;
        stele_put put = STELE_PUT_INIT;
        const stele_event *value = next_value(side, &place);
        put.scope = "shelves";
        put.key = side->pool->streams[place];
        put.codec = "json";
        put.data = value->data;
        put.data_size = value->data_size;
        bench_expect(stele_state_put(side->store, &put, NULL), "put");
    }
    return operations;
}

static uint64_t run_hand_puts(void *state, uint64_t operations)
{
    keeper *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        uint32_t place = 0;
        const stele_event *value = next_value(side, &place);
        bare_put_entry(&side->bare, "shelves", side->pool->streams[place], value->data,
                       value->data_size);
    }
    return operations;
}

static uint64_t run_library_gets(void *state, uint64_t operations)
{
    keeper *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        uint32_t place = 0;
        const stele_entry *entry = NULL;
        next_value(side, &place);
        bench_expect(stele_state_get(side->store, "shelves", side->pool->streams[place], &entry),
                     "get");
        if (!entry->found)
            bench_die("no entry '%s'", side->pool->streams[place]);
        side->sum += entry->data_size;
        stele_entry_close(entry);
    }
    return operations;
}

static uint64_t run_hand_gets(void *state, uint64_t operations)
{
    keeper *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        uint32_t place = 0;
        next_value(side, &place);
        side->sum += bare_get_entry(&side->bare, "shelves", side->pool->streams[place]);
    }
    return operations;
}

/* --- The races --- */

typedef uint64_t keeper_run(void *state, uint64_t operations);

enum { KEEPERS = 3 };

static void race_keepers(const bench_settings *settings, const char *name, keeper_run *library,
                         keeper_run *hand, keeper *sides, uint64_t operations)
{
    bench_contender contenders[KEEPERS] = {
        { "library", library, &sides[0], 0, 0 },
        { "hand-written", hand, &sides[1], 0, 0 },
        { "with checksums", hand, &sides[2], 0, 0 },
    };
    bench_race(settings, contenders, KEEPERS, operations, settings->quick ? 4 : 20);
    bench_report(name, "a second", contenders, KEEPERS);
}

/* Streams that are as long as snapshots of them will say, a file for each side. */
static void open_keepers(keeper *sides, const bench_settings *settings, const lending_pool *pool,
                         stele_durability durability)
{
    static const char *const files[KEEPERS] = { "library.db", "plain.db", "checked.db" };
    memset(sides, 0, KEEPERS * sizeof(*sides));
    for (int i = 0; i < KEEPERS; i++) {
        stele_store *store = lending_open(pool, files[i], durability, KEPT_STREAMS,
                                          settings->quick ? 10 : 50, false);
        sides[i].pool = pool;
        if (i == 0) {
            sides[i].store = store;
            continue;
        }
        stele_store_close(store);
        bare_keeper_open(&sides[i].bare, files[i], durability, i == 2);
    }
    /* Everything is there once: none of it is new while the clock runs. */
    run_library_saves(&sides[0], KEPT_STREAMS);
    run_library_puts(&sides[0], KEPT_STREAMS);
    for (int i = 1; i < KEEPERS; i++) {
        run_hand_saves(&sides[i], KEPT_STREAMS);
        run_hand_puts(&sides[i], KEPT_STREAMS);
    }
}

static void race_kept(const bench_settings *settings, const lending_pool *pool,
                      stele_durability durability)
{
    bool full = durability == STELE_DURABILITY_FULL;
    static keeper sides[KEEPERS];
    open_keepers(sides, settings, pool, durability);
    race_keepers(settings, full ? "snapshot-save-full" : "snapshot-save-relaxed", run_library_saves,
                 run_hand_saves, sides, 200);
    race_keepers(settings, full ? "state-put-full" : "state-put-relaxed", run_library_puts,
                 run_hand_puts, sides, 200);
    if (!full) {
        race_keepers(settings, "snapshot-load", run_library_snapshot_loads, run_hand_snapshot_loads,
                     sides, 1000);
        race_keepers(settings, "state-get", run_library_gets, run_hand_gets, sides, 1000);
    }
    stele_store_close(sides[0].store);
    for (int i = 1; i < KEEPERS; i++)
        bare_keeper_close(&sides[i].bare);
    bench_clear_folder();
}

void bench_case_state(const bench_settings *settings, const bench_workload *workload)
{
    (void)workload;
    static lending_pool pool;
    lending_pool_init(&pool, settings->seed);
    race_kept(settings, &pool, STELE_DURABILITY_FULL);
    race_kept(settings, &pool, STELE_DURABILITY_RELAXED);
    lending_pool_dispose(&pool);
}
