/*
 * Commands of one thread, against the append that each of them ends in, and folding a long stream,
 * against the same by hand.
 */
#include <stdio.h>
#include <string.h>

#include "contenders.h"
#include "lending.h"

/* --- Commands --- */

/* How many shelves there are, and how long they are at first. */
typedef struct shelves {
    const char *name;
    uint32_t hot; /* where a state is remembered, or a snapshot is kept */
    uint32_t cold;
    uint32_t events;
    uint32_t snapshot_events;
    uint64_t commands; /* in each slice */
} shelves;

enum { CACHED, SNAPSHOT, COLD, APPENDS, HAND_APPENDS, HAND_COLD, LENDING_SIDES };

static void load_shelves(lending_side *side, int64_t events)
{
    for (uint32_t i = 0; i < side->streams; i++) {
        lending_shelf shelf;
        bench_expect(stele_aggregate_load(side->aggregate, side->pool->streams[i], &shelf, NULL),
                     "load");
        if (shelf.loans != events)
            bench_die("a shelf has %lld loans", (long long)shelf.loans);
    }
}

static void open_sides(lending_side *sides, const bench_settings *settings,
                       const bench_workload *workload, const lending_pool *pool,
                       const shelves *kind, stele_durability durability)
{
    static const char *const files[] = { "cached.db",  "snapshot.db", "cold.db",
                                         "appends.db", "hand.db",     "handcold.db" };
    for (int i = CACHED; i <= APPENDS; i++) {
        uint32_t streams = i == COLD ? kind->cold : kind->hot;
        stele_store *store =
            lending_open(pool, files[i], durability, streams, kind->events, i == SNAPSHOT);
        lending_open_library(&sides[i], pool, store, streams, kind->events, settings->seed);
    }
    sides[CACHED].aggregate = lending_open_aggregate(sides[CACHED].store, LENDING_STREAMS_MAX, 0);
    sides[SNAPSHOT].aggregate =
        lending_open_aggregate(sides[SNAPSHOT].store, 0, kind->snapshot_events);
    sides[COLD].aggregate = lending_open_aggregate(sides[COLD].store, 0, 0);
    lending_open_hand(&sides[HAND_APPENDS], pool, files[HAND_APPENDS], durability, workload,
                      kind->hot, kind->events, settings->seed);
    lending_open_hand(&sides[HAND_COLD], pool, files[HAND_COLD], durability, workload, kind->cold,
                      kind->events, settings->seed);
    /* What is in the cache has been asked for once, and readers have met every shelf. */
    for (int i = CACHED; i <= COLD; i++)
        load_shelves(&sides[i], kind->events);
}

/* What each of the first three is compared with. */
static void report_commands(const shelves *kind, stele_durability durability,
                            const bench_contender *contenders)
{
    static const char *const names[] = { "cached", "snapshot", "cold" };
    for (int i = CACHED; i <= COLD; i++) {
        char name[64];
        bench_contender rows[] = { contenders[i], contenders[APPENDS], contenders[HAND_APPENDS],
                                   contenders[HAND_COLD] };
        snprintf(name, sizeof(name), "execute-%s-%s-%s", kind->name, names[i],
                 durability == STELE_DURABILITY_FULL ? "full" : "relaxed");
        bench_report(name, "commands/s", rows, i == COLD ? 4 : 3);
    }
}

static void race_commands(const bench_settings *settings, const bench_workload *workload,
                          const lending_pool *pool, const shelves *kind,
                          stele_durability durability)
{
    static lending_side sides[LENDING_SIDES];
    open_sides(sides, settings, workload, pool, kind, durability);
    bench_contender contenders[] = {
        { "cached", lending_run_commands, &sides[CACHED], 0, 0 },
        { "with snapshots", lending_run_commands, &sides[SNAPSHOT], 0, 0 },
        { "cold", lending_run_commands, &sides[COLD], 0, 0 },
        { "append", lending_run_appends, &sides[APPENDS], 0, 0 },
        { "append by hand", lending_run_hand_appends, &sides[HAND_APPENDS], 0, 0 },
        { "cold by hand", lending_run_hand_commands, &sides[HAND_COLD], 0, 0 },
    };
    bench_race(settings, contenders, LENDING_SIDES, kind->commands, settings->quick ? 4 : 20);
    report_commands(kind, durability, contenders);
    for (int i = 0; i < LENDING_SIDES; i++)
        lending_close(&sides[i]);
    bench_clear_folder();
}

/* --- Folding --- */

enum { FOLD_STREAMS = 16, FOLD_EVENTS = 1000 };

typedef struct folder {
    stele_aggregate *aggregate;
    const lending_pool *pool;
    uint32_t next;
    bare_reader bare;
    sqlite3_stmt *data; /* of a stream, and nothing else of it */
    lending_shelf shelf;
    lending_weight weight;
} folder;

static const char *next_shelf(folder *side)
{
    memset(&side->shelf, 0, sizeof(side->shelf));
    memset(&side->weight, 0, sizeof(side->weight));
    return side->pool->streams[side->next++ % FOLD_STREAMS];
}

static uint64_t run_library_folds(void *state, uint64_t operations)
{
    folder *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        const char *stream = next_shelf(side);
        bench_expect(stele_aggregate_load(side->aggregate, stream, &side->shelf, NULL), "load");
        if (side->shelf.loans != FOLD_EVENTS)
            bench_die("a load was short");
    }
    return operations;
}

static uint64_t run_library_raw_folds(void *state, uint64_t operations)
{
    folder *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        const char *stream = next_shelf(side);
        bench_expect(stele_aggregate_load(side->aggregate, stream, &side->weight, NULL), "load");
        if (side->weight.events != FOLD_EVENTS)
            bench_die("a load was short");
    }
    return operations;
}

static void take_loan_by_hand(folder *side, const void *data, size_t size)
{
    codec_loan loan;
    cJSON *tree = cJSON_ParseWithLength(data, size);
    if (tree == NULL || !codec_take_loan_json(tree, &loan))
        bench_die("cJSON can't read a loan");
    cJSON_Delete(tree);
    lending_fold(&side->shelf, &loan);
}

/* The data alone. */
static void read_data(folder *side, void (*take)(folder *side, const void *data, size_t size))
{
    int code;
    sqlite3_bind_text(side->data, 1, next_shelf(side), -1, SQLITE_STATIC);
    while ((code = sqlite3_step(side->data)) == SQLITE_ROW) {
        const void *data = sqlite3_column_blob(side->data, 0);
        take(side, data, (size_t)sqlite3_column_bytes(side->data, 0));
    }
    bare_expect(side->bare.handle, code, "fold");
    sqlite3_reset(side->data);
}

static void take_weight_by_hand(folder *side, const void *data, size_t size)
{
    lending_weigh(&side->weight, data, size);
}

/* Every row whole: verified, named and copied before it is folded. */
static void read_rows(folder *side, void (*take)(folder *side, const void *data, size_t size))
{
    sqlite3_bind_text(side->bare.stream, 1, next_shelf(side), -1, SQLITE_STATIC);
    side->bare.record_count = 0;
    side->bare.size = 0;
    bare_read(&side->bare, side->bare.stream);
    for (size_t i = 0; i < side->bare.record_count; i++)
        take(side, side->bare.records[i].data, side->bare.records[i].data_size);
}

static uint64_t run_hand_folds(void *state, uint64_t operations)
{
    folder *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        if (side->bare.checked)
            read_rows(side, take_loan_by_hand);
        else
            read_data(side, take_loan_by_hand);
        if (side->shelf.loans != FOLD_EVENTS)
            bench_die("a load by hand was short");
    }
    return operations;
}

static uint64_t run_hand_raw_folds(void *state, uint64_t operations)
{
    folder *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        if (side->bare.checked)
            read_rows(side, take_weight_by_hand);
        else
            read_data(side, take_weight_by_hand);
        if (side->weight.events != FOLD_EVENTS)
            bench_die("a load by hand was short");
    }
    return operations;
}

static void open_hand_folder(folder *side, const lending_pool *pool, bool checked)
{
    *side = (folder){ .pool = pool };
    bare_reader_open(&side->bare, "folds.db", checked);
    side->data = bare_prepare(side->bare.handle,
                              "SELECT data FROM events WHERE stream ="
                              " (SELECT id FROM streams WHERE name = ?1) ORDER BY version");
}

static void close_hand_folder(folder *side)
{
    sqlite3_finalize(side->data);
    bare_reader_close(&side->bare);
}

static void race_folds(const bench_settings *settings, const lending_pool *pool)
{
    stele_aggregate_options uncached = STELE_AGGREGATE_OPTIONS_INIT;
    folder typed = { .pool = pool };
    folder raw = { .pool = pool };
    folder plain;
    folder checked;
    stele_store *store =
        lending_open(pool, "folds.db", STELE_DURABILITY_RELAXED, FOLD_STREAMS, FOLD_EVENTS, false);
    uncached.cache_count_max = 0;
    typed.aggregate = lending_open_aggregate(store, 0, 0);
    bench_expect(stele_aggregate_open(store, &lending_raw_decider, &uncached, &raw.aggregate),
                 "open an aggregate");
    open_hand_folder(&plain, pool, false);
    open_hand_folder(&checked, pool, true);

    bench_contender decoding[] = {
        { "library", run_library_folds, &typed, 0, 0 },
        { "cJSON by hand", run_hand_folds, &plain, 0, 0 },
        { "verified, cJSON by hand", run_hand_folds, &checked, 0, 0 },
    };
    bench_race(settings, decoding, 3, 4, settings->quick ? 4 : 25);
    bench_report("fold-1000-typed", "loads/s", decoding, 3);
    bench_contender weighing[] = {
        { "library", run_library_raw_folds, &raw, 0, 0 },
        { "by hand", run_hand_raw_folds, &plain, 0, 0 },
        { "verified, named, copied", run_hand_raw_folds, &checked, 0, 0 },
    };
    bench_race(settings, weighing, 3, 8, settings->quick ? 4 : 25);
    bench_report("fold-1000-raw", "loads/s", weighing, 3);

    close_hand_folder(&plain);
    close_hand_folder(&checked);
    stele_aggregate_close(typed.aggregate);
    stele_aggregate_close(raw.aggregate);
    stele_store_close(store);
    bench_clear_folder();
}

void bench_case_aggregate(const bench_settings *settings, const bench_workload *workload)
{
    /* Cold ones grow while they are measured: several, so that they stay near a hundred. */
    static const shelves one = { "one", 1, 128, 100, 100, 50 };
    shelves many = { "many", LENDING_STREAMS_MAX, LENDING_STREAMS_MAX, 10, 10, 100 };
    if (settings->quick)
        many.hot = many.cold = 1000;
    static lending_pool pool;
    lending_pool_init(&pool, settings->seed);
    for (int i = 0; i < 2; i++) {
        stele_durability durability = i == 0 ? STELE_DURABILITY_FULL : STELE_DURABILITY_RELAXED;
        race_commands(settings, workload, &pool, &one, durability);
        race_commands(settings, workload, &pool, &many, durability);
    }
    race_folds(settings, &pool);
    lending_pool_dispose(&pool);
}
