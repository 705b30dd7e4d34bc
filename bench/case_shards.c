/*
 * Shards against stores that somebody opens one by one: acquiring, creating, appending to many at
 * once, keyed data; and what an open one holds.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
#include <malloc.h>
#define HAS_HEAP_SIZE 1
#endif

#include <stele/shard_keys.h>
#include <stele/shards.h>
#include <stele/state.h>

#include "contenders.h"

#define FLEET_MAX 100

static stele_shards *open_shards(const char *root, uint32_t open_max, stele_durability durability)
{
    stele_options store = STELE_OPTIONS_INIT;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_shards *shards = NULL;
    store.durability = durability;
    options.store = &store;
    options.open_max = open_max;
    bench_expect(stele_shards_open(bench_path(root), &options, &shards), "open the shards");
    return shards;
}

static stele_shard *acquire(stele_shards *shards, const char *prefix, uint64_t number)
{
    char name[32];
    stele_shard *shard = NULL;
    snprintf(name, sizeof(name), "%s-%llu", prefix, (unsigned long long)number);
    bench_expect(stele_shards_acquire(shards, "acme", name, NULL, &shard), "acquire");
    return shard;
}

/* --- Acquiring and creating --- */

typedef struct visitor {
    stele_shards *shards; /* NULL: plain stores */
    uint64_t count;
} visitor;

static void visit_store(const char *prefix, uint64_t number)
{
    char name[32];
    snprintf(name, sizeof(name), "%s-%llu.db", prefix, (unsigned long long)number);
    stele_store_close(bench_open_store(name, STELE_DURABILITY_FULL));
}

static uint64_t run_warm_acquires(void *state, uint64_t operations)
{
    visitor *side = state;
    for (uint64_t i = 0; i < operations; i++)
        stele_shard_release(acquire(side->shards, "warm", 0));
    return operations;
}

/* In turn two of them, of which one may be open: each time the other one is closed. */
static uint64_t run_cold_acquires(void *state, uint64_t operations)
{
    visitor *side = state;
    for (uint64_t i = 0; i < operations; i++)
        stele_shard_release(acquire(side->shards, "cold", side->count++ % 2));
    return operations;
}

static uint64_t run_opens(void *state, uint64_t operations)
{
    visitor *side = state;
    for (uint64_t i = 0; i < operations; i++)
        visit_store("cold", side->count++ % 2);
    return operations;
}

static uint64_t run_creates(void *state, uint64_t operations)
{
    visitor *side = state;
    for (uint64_t i = 0; i < operations; i++)
        stele_shard_release(acquire(side->shards, "new", side->count++));
    return operations;
}

static uint64_t run_store_creates(void *state, uint64_t operations)
{
    visitor *side = state;
    for (uint64_t i = 0; i < operations; i++)
        visit_store("new", side->count++);
    return operations;
}

static void race_acquires(const bench_settings *settings)
{
    visitor side = { open_shards("shards", 1, STELE_DURABILITY_FULL), 0 };
    visitor plain = { NULL, 0 };
    uint64_t few = settings->quick ? 4 : 20;
    bench_contender warm[] = { { "acquire and release", run_warm_acquires, &side, 0, 0 } };
    bench_contender cold[] = { { "acquire and release", run_cold_acquires, &side, 0, 0 },
                               { "store open and close", run_opens, &plain, 0, 0 } };
    bench_contender created[] = { { "acquire and release", run_creates, &side, 0, 0 },
                                  { "store open and close", run_store_creates, &plain, 0, 0 } };
    bench_race(settings, warm, 1, settings->quick ? 20000 : 100000, 2);
    bench_report("shard-acquire-warm", "times/s", warm, 1);
    bench_race(settings, cold, 2, few, settings->quick ? 2 : 6);
    bench_report("shard-acquire-cold", "times/s", cold, 2);
    bench_race(settings, created, 2, few, settings->quick ? 2 : 4);
    bench_report("shard-create", "times/s", created, 2);
    stele_shards_close(side.shards);
    bench_clear_folder();
}

/* --- Appending to many at once --- */

typedef struct fleet_member {
    stele_shards *shards; /* NULL: all append to `store` */
    stele_store *store;
    uint64_t number;
    uint64_t count;
    bench_source source;
} fleet_member;

typedef struct fleet {
    size_t size;
    fleet_member members[FLEET_MAX];
} fleet;

/* As a server does: the shard is acquired for each request. */
static void *run_fleet_member(void *context)
{
    fleet_member *member = context;
    for (uint64_t i = 0; i < member->count; i++) {
        if (member->shards == NULL) {
            bench_append_drawn(member->store, &member->source);
            continue;
        }
        stele_shard *shard = acquire(member->shards, "part", member->number);
        bench_append_drawn(stele_shard_store(shard), &member->source);
        stele_shard_release(shard);
    }
    return NULL;
}

static uint64_t run_fleet(void *state, uint64_t operations)
{
    fleet *all = state;
    pthread_t threads[FLEET_MAX];
    uint64_t share = operations / all->size;
    for (size_t i = 0; i < all->size; i++) {
        all->members[i].count = share;
        if (pthread_create(&threads[i], NULL, run_fleet_member, &all->members[i]) != 0)
            bench_die("can't start a thread");
    }
    for (size_t i = 0; i < all->size; i++)
        pthread_join(threads[i], NULL);
    return share * all->size;
}

static void prepare_fleet(fleet *all, size_t size, stele_shards *shards, stele_store *store,
                          const bench_settings *settings, const bench_workload *workload)
{
    all->size = size;
    for (size_t i = 0; i < size; i++) {
        fleet_member *member = &all->members[i];
        *member = (fleet_member){ .shards = shards, .store = store, .number = i };
        bench_source_init(&member->source, workload, settings->seed + i, 1, BENCH_KEYS_NONE);
        if (shards == NULL)
            continue;
        stele_shard *shard = acquire(shards, "part", i);
        bench_fill_streams(stele_shard_store(shard), workload);
        stele_shard_release(shard);
    }
}

static void race_fleets(const bench_settings *settings, const bench_workload *workload, size_t size,
                        stele_durability durability)
{
    static fleet many;
    static fleet together;
    char name[64];
    bool full = durability == STELE_DURABILITY_FULL;
    stele_shards *shards = open_shards("shards", FLEET_MAX, durability);
    stele_store *store = bench_open_store("one.db", durability);
    bench_fill_streams(store, workload);
    prepare_fleet(&many, size, shards, NULL, settings, workload);
    prepare_fleet(&together, size, NULL, store, settings, workload);
    bench_contender contenders[] = { { "a shard each", run_fleet, &many, 0, 0 },
                                     { "one store", run_fleet, &together, 0, 0 } };
    bench_race(settings, contenders, 2, full ? 1000 : 5000, settings->quick ? 2 : 4);
    snprintf(name, sizeof(name), "shard-appends-%s, %zu", full ? "full" : "relaxed", size);
    bench_report(name, "events/s", contenders, 2);
    stele_shards_close(shards);
    stele_store_close(store);
    bench_clear_folder();
}

/* --- Keyed data --- */

typedef struct key_keeper {
    const bench_workload *workload;
    stele_shards *shards; /* the key says where; else `shard`; else `store` */
    stele_shard *shard;
    stele_store *store;
    uint64_t count;
} key_keeper;

static void put_once(const key_keeper *side, const char *key, const stele_event *value)
{
    stele_put put = STELE_PUT_INIT;
    put.scope = STELE_KEYED_SCOPE;
    put.key = key;
    put.codec = "raw";
    put.data = value->data;
    put.data_size = value->data_size;
    if (side->shards != NULL)
        bench_expect(stele_shards_put(side->shards, "acme", key, value->data, value->data_size),
                     "put by its key");
    else if (side->shard != NULL)
        bench_expect(stele_shard_put(side->shard, key, value->data, value->data_size), "put");
    else
        bench_expect(stele_state_put(side->store, &put, NULL), "put an entry");
}

static uint64_t run_key_puts(void *state, uint64_t operations)
{
    key_keeper *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        char key[64];
        uint64_t number = side->count++;
        snprintf(key, sizeof(key), "task/orders-0/%llu", (unsigned long long)(number % 1000));
        put_once(side, key, &side->workload->events[number % BENCH_EVENTS]);
    }
    return operations;
}

static uint64_t run_key_gets(void *state, uint64_t operations)
{
    key_keeper *side = state;
    stele_buffer value = STELE_BUFFER_INIT;
    for (uint64_t i = 0; i < operations; i++) {
        char key[64];
        bool found = false;
        snprintf(key, sizeof(key), "task/orders-0/%llu",
                 (unsigned long long)(side->count++ % 1000));
        bench_expect(side->shards != NULL
                         ? stele_shards_get(side->shards, "acme", key, &value, &found)
                         : stele_shard_get(side->shard, key, &value, &found),
                     "get");
        if (!found)
            bench_die("no value of %s", key);
    }
    stele_buffer_dispose(&value);
    return operations;
}

static void race_puts(const bench_settings *settings, const bench_workload *workload,
                      stele_durability durability)
{
    bool full = durability == STELE_DURABILITY_FULL;
    stele_shards *shards = open_shards("shards", 16, durability);
    stele_store *store = bench_open_store("plain.db", durability);
    stele_shard *shard = acquire(shards, "orders", 1);
    key_keeper held = { .workload = workload, .shard = shard };
    key_keeper routed = { .workload = workload, .shards = shards };
    key_keeper plain = { .workload = workload, .store = store };
    bench_contender puts[] = { { "put", run_key_puts, &held, 0, 0 },
                               { "put by its key", run_key_puts, &routed, 0, 0 },
                               { "entry of a store", run_key_puts, &plain, 0, 0 } };
    bench_contender by_key[] = { { "put by its key", run_key_puts, &routed, 0, 0 },
                                 { "entry of a store", run_key_puts, &plain, 0, 0 } };
    bench_race(settings, puts, 3, full ? 500 : 2000, settings->quick ? 2 : 6);
    bench_report(full ? "shard-put-full" : "shard-put-relaxed", "puts/s", puts, 3);
    by_key[0] = puts[1];
    by_key[1] = puts[2];
    bench_report(full ? "shard-put-full, by its key" : "shard-put-relaxed, by its key", "puts/s",
                 by_key, 2);
    if (!full) {
        bench_contender gets[] = { { "get", run_key_gets, &held, 0, 0 },
                                   { "get by its key", run_key_gets, &routed, 0, 0 } };
        bench_race(settings, gets, 2, 20000, 2);
        bench_report("shard-get", "gets/s", gets, 2);
    }
    stele_shard_release(shard);
    stele_shards_close(shards);
    stele_store_close(store);
    bench_clear_folder();
}

/* --- What an open one holds --- */

typedef struct holding {
    double heap; /* bytes; 0 where the C library doesn't say */
    double resident;
    double descriptors;
} holding;

static double count_descriptors(void)
{
    DIR *list = opendir("/proc/self/fd");
    double count = 0;
    while (list != NULL && readdir(list) != NULL)
        count++;
    if (list != NULL)
        closedir(list);
    return count;
}

static double measure_resident(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL)
        return 0;
    char line[128];
    if (fgets(line, sizeof(line), file) != NULL && strchr(line, ' ') != NULL)
        pages = strtoll(strchr(line, ' '), NULL, 10);
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static holding look_at_process(void)
{
    holding found = { 0, measure_resident(), count_descriptors() };
#ifdef HAS_HEAP_SIZE
    struct mallinfo2 heap = mallinfo2();
    found.heap = (double)heap.uordblks + (double)heap.hblkhd;
#endif
    return found;
}

static void report_holding(const char *when, const holding *before, double shards)
{
    char name[64];
    holding now = look_at_process();
    snprintf(name, sizeof(name), "shard-memory, %s", when);
    bench_report_value(name, "KiB of the heap", (now.heap - before->heap) / shards / 1024);
    snprintf(name, sizeof(name), "shard-resident, %s", when);
    bench_report_value(name, "KiB", (now.resident - before->resident) / shards / 1024);
    snprintf(name, sizeof(name), "shard-descriptors, %s", when);
    bench_report_value(name, "of a shard", (now.descriptors - before->descriptors) / shards);
}

static void measure_holdings(const bench_settings *settings, const bench_workload *workload)
{
    static stele_shard *held[FLEET_MAX];
    size_t count = settings->quick ? 20 : FLEET_MAX;
    uint64_t sum = 0;
    bench_source source;
    stele_read all = STELE_READ_INIT;
    stele_shards *shards = open_shards("shards", FLEET_MAX, STELE_DURABILITY_RELAXED);
    for (size_t i = 0; i < count; i++)
        stele_shard_release(acquire(shards, "part", i));
    stele_shards_close(shards);

    holding before = look_at_process();
    shards = open_shards("shards", FLEET_MAX, STELE_DURABILITY_RELAXED);
    for (size_t i = 0; i < count; i++)
        held[i] = acquire(shards, "part", i);
    report_holding("opened", &before, (double)count);
    for (size_t i = 0; i < count; i++) {
        bench_source_init(&source, workload, settings->seed, 1, BENCH_KEYS_NONE);
        bench_append_drawn(stele_shard_store(held[i]), &source);
        bench_drain(stele_shard_store(held[i]), &all, &sum);
    }
    report_holding("written and read once", &before, (double)count);
    for (size_t i = 0; i < count; i++) {
        bench_fill_streams(stele_shard_store(held[i]), workload);
        bench_drain(stele_shard_store(held[i]), &all, &sum);
    }
    report_holding("1000 events written and read", &before, (double)count);
    for (size_t i = 0; i < count; i++)
        stele_shard_release(held[i]);
    stele_shards_close(shards);
    bench_clear_folder();
}

void bench_case_shards(const bench_settings *settings, const bench_workload *workload)
{
    static const size_t sizes[] = { 1, 10, 100 };
    measure_holdings(settings, workload);
    race_acquires(settings);
    for (size_t i = 0; i < 3; i++)
        race_fleets(settings, workload, sizes[i], STELE_DURABILITY_FULL);
    for (size_t i = 0; i < 3; i++)
        race_fleets(settings, workload, sizes[i], STELE_DURABILITY_RELAXED);
    race_puts(settings, workload, STELE_DURABILITY_FULL);
    race_puts(settings, workload, STELE_DURABILITY_RELAXED);
}
