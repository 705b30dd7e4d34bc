/* Reading: the whole log, some of it, and single streams. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stele/store.h>

#include "contenders.h"

static uint64_t log_size(const bench_settings *settings)
{
    return settings->quick ? 20000 : 300000;
}

/* A log over all streams at random, closed and opened again so that the WAL is empty. */
static stele_store *make_log(const bench_settings *settings, const bench_workload *workload)
{
    stele_store *store = bench_open_store("log.db", STELE_DURABILITY_RELAXED);
    bench_fill_log(store, workload, settings->seed, log_size(settings));
    stele_store_close(store);
    return bench_open_store("log.db", STELE_DURABILITY_RELAXED);
}

void bench_case_replay(const bench_settings *settings, const bench_workload *workload)
{
    library_reader library = { .store = make_log(settings, workload), .read = STELE_READ_INIT };
    hand_reader plain = { 0 };
    hand_reader checked = { 0 };
    bare_reader_open(&plain.bare, "log.db", false);
    bare_reader_open(&checked.bare, "log.db", true);
    bench_contender contenders[] = {
        { "library", bench_run_library_replay, &library, 0, 0 },
        { "columns alone", bench_run_hand_replay, &plain, 0, 0 },
        { "verified, named, copied", bench_run_hand_replay, &checked, 0, 0 },
    };
    bench_race(settings, contenders, 3, 1, settings->quick ? 2 : 6);
    bench_report("replay", "events/s", contenders, 3);
    bare_reader_close(&plain.bare);
    bare_reader_close(&checked.bare);
    stele_store_close(library.store);
    bench_clear_folder();
}

void bench_case_filters(const bench_settings *settings, const bench_workload *workload)
{
    stele_store *store = make_log(settings, workload);
    library_reader all = { .store = store, .read = STELE_READ_INIT };
    library_reader typed = all;
    library_reader category = all;
    hand_reader hand = { .units = log_size(settings) };
    typed.units = category.units = log_size(settings);
    typed.read.types = &bench_types[5];
    typed.read.type_count = 1;
    category.read.category = bench_categories[3];
    bare_reader_open(&hand.bare, "log.db", true);
    hand.type = 1;
    while (strcmp(hand.bare.names[1][hand.type], bench_types[5]) != 0)
        hand.type++;

    bench_contender contenders[] = {
        { "one type of 16", bench_run_library_replay, &typed, 0, 0 },
        { "all", bench_run_library_replay, &all, 0, 0 },
        { "one type by hand", bench_run_hand_replay, &hand, 0, 0 },
        { "one category of 8", bench_run_library_replay, &category, 0, 0 },
    };
    bench_race(settings, contenders, 4, 1, settings->quick ? 2 : 4);
    bench_contender categories[] = { contenders[3], contenders[1] };
    bench_report("replay-of-type", "events examined/s", contenders, 3);
    bench_report("replay-of-category", "events examined/s", categories, 2);
    bare_reader_close(&hand.bare);
    stele_store_close(store);
    bench_clear_folder();
}

/* --- Streams of three lengths --- */

typedef struct stream_class {
    const char *name;
    uint32_t streams;
    uint32_t length;
    uint64_t loads; /* in each slice */
} stream_class;

#define CLASSES 3

static const stream_class full_classes[CLASSES] = { { "small", 1000, 10, 200 },
                                                    { "medium", 200, 100, 30 },
                                                    { "large", 4, 10000, 1 } };
static const stream_class quick_classes[CLASSES] = { { "small", 100, 10, 100 },
                                                     { "medium", 10, 100, 10 },
                                                     { "large", 1, 10000, 1 } };

static void name_stream(const stream_class *class, uint32_t number, char name_out[32])
{
    snprintf(name_out, 32, "%s-%08u", class->name, (unsigned)number);
}

typedef struct stream_event {
    uint32_t class;
    uint32_t stream;
} stream_event;

/* Every event of every stream, shuffled: as if all streams had grown side by side. */
static stream_event *shuffle_events(const stream_class *classes, bench_chance *chance,
                                    uint32_t *count_out)
{
    uint32_t count = 0;
    for (int i = 0; i < CLASSES; i++)
        count += classes[i].streams * classes[i].length;
    stream_event *events = bench_allocate(count * sizeof(*events));
    uint32_t at = 0;
    for (uint32_t i = 0; i < CLASSES; i++)
        for (uint32_t j = 0; j < classes[i].streams * classes[i].length; j++)
            events[at++] = (stream_event){ i, j % classes[i].streams };
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t other = bench_random_below(chance, i + 1);
        stream_event kept = events[i];
        events[i] = events[other];
        events[other] = kept;
    }
    *count_out = count;
    return events;
}

static void fill_classes(stele_store *store, const bench_settings *settings,
                         const bench_workload *workload, const stream_class *classes)
{
    static char names[1000][32];
    static stele_append appends[1000];
    bench_chance chance = { .state = settings->seed };
    uint32_t count = 0;
    stream_event *events = shuffle_events(classes, &chance, &count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t used = i % 1000;
        name_stream(&classes[events[i].class], events[i].stream, names[used]);
        appends[used] = (stele_append)STELE_APPEND_INIT;
        appends[used].stream = names[used];
        appends[used].events = &workload->events[i % BENCH_EVENTS];
        appends[used].event_count = 1;
        if (used == 999 || i + 1 == count)
            bench_expect(stele_store_append_many(store, appends, used + 1, NULL, NULL), "fill");
    }
    free(events);
}

/* One side's loads; `store` or `bare`. */
typedef struct loader {
    const stream_class *class;
    bench_chance chance;
    stele_store *store;
    bare_reader bare;
    uint64_t sum;
} loader;

static uint64_t run_library_loads(void *state, uint64_t operations)
{
    loader *side = state;
    uint64_t count = 0;
    char name[32];
    stele_read read = STELE_READ_INIT;
    read.stream = name;
    for (uint64_t i = 0; i < operations; i++) {
        name_stream(side->class, bench_random_below(&side->chance, side->class->streams), name);
        count += bench_drain(side->store, &read, &side->sum);
    }
    if (count != operations * side->class->length)
        bench_die("a load was short");
    return operations;
}

static uint64_t run_hand_loads(void *state, uint64_t operations)
{
    loader *side = state;
    uint64_t count = 0;
    char name[32];
    for (uint64_t i = 0; i < operations; i++) {
        name_stream(side->class, bench_random_below(&side->chance, side->class->streams), name);
        sqlite3_bind_text(side->bare.stream, 1, name, -1, SQLITE_STATIC);
        count += bare_read(&side->bare, side->bare.stream);
    }
    if (count != operations * side->class->length)
        bench_die("a load by hand was short");
    return operations;
}

void bench_case_loads(const bench_settings *settings, const bench_workload *workload)
{
    const stream_class *classes = settings->quick ? quick_classes : full_classes;
    stele_store *store = bench_open_store("streams.db", STELE_DURABILITY_RELAXED);
    fill_classes(store, settings, workload, classes);
    stele_store_close(store);
    store = bench_open_store("streams.db", STELE_DURABILITY_RELAXED);

    loader library = { .store = store };
    loader plain = { 0 };
    loader checked = { 0 };
    bare_reader_open(&plain.bare, "streams.db", false);
    bare_reader_open(&checked.bare, "streams.db", true);
    for (int i = 0; i < CLASSES; i++) {
        library.class = plain.class = checked.class = &classes[i];
        library.chance.state = plain.chance.state = checked.chance.state = settings->seed;
        bench_contender contenders[] = {
            { "library", run_library_loads, &library, 0, 0 },
            { "columns alone", run_hand_loads, &plain, 0, 0 },
            { "verified, named, copied", run_hand_loads, &checked, 0, 0 },
        };
        bench_race(settings, contenders, 3, classes[i].loads, settings->quick ? 4 : 30);
        char name[64];
        snprintf(name, sizeof(name), "load-%u", (unsigned)classes[i].length);
        bench_report(name, "loads/s", contenders, 3);
    }
    bare_reader_close(&plain.bare);
    bare_reader_close(&checked.bare);
    stele_store_close(store);
    bench_clear_folder();
}
