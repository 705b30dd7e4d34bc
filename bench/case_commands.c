/*
 * Commands of many threads: all on one stream, by one handle and by four, and over many streams.
 * Every command must have been executed exactly once, whatever it met.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "contenders.h"
#include "lending.h"

enum { TROOP_THREADS_MAX = 32, TROOP_HANDLES_MAX = 4 };

typedef struct troop_member {
    struct troop *troop;
    size_t handle;
    bench_chance chance;
    uint64_t count;
    uint64_t tries;
    uint64_t tries_most; /* of one command */
    uint64_t loan_ids;
} troop_member;

/* Threads that lend; `aggregates` are NULL where they only append. */
typedef struct troop {
    const lending_pool *pool;
    size_t threads;
    size_t handles;
    uint32_t streams;
    uint32_t events; /* that were there */
    stele_store *stores[TROOP_HANDLES_MAX];
    stele_aggregate *aggregates[TROOP_HANDLES_MAX];
    troop_member members[TROOP_THREADS_MAX];
    uint64_t lent;
} troop;

static void append_loan(stele_store *store, const char *stream, const stele_event *event)
{
    stele_append append = STELE_APPEND_INIT;
    append.stream = stream;
    append.events = event;
    append.event_count = 1;
    bench_expect(stele_store_append(store, &append, NULL), "append");
}

static void *run_troop_member(void *context)
{
    troop_member *member = context;
    const troop *all = member->troop;
    for (uint64_t i = 0; i < member->count; i++) {
        uint32_t loan = bench_random_below(&member->chance, LENDING_LOANS);
        uint32_t stream = bench_random_below(&member->chance, all->streams);
        if (all->aggregates[member->handle] == NULL) {
            append_loan(all->stores[member->handle], all->pool->streams[stream],
                        &all->pool->events[loan]);
            continue;
        }
        uint32_t tries = lending_execute(all->aggregates[member->handle],
                                         all->pool->streams[stream], &all->pool->loans[loan]);
        member->tries += tries;
        member->tries_most = tries > member->tries_most ? tries : member->tries_most;
        member->loan_ids += all->pool->loans[loan].loan_id;
    }
    return NULL;
}

/* `operations` commands, shared out over the threads. */
static uint64_t run_troop(void *state, uint64_t operations)
{
    troop *all = state;
    pthread_t threads[TROOP_THREADS_MAX];
    uint64_t share = operations / all->threads;
    for (size_t i = 0; i < all->threads; i++) {
        all->members[i].count = share;
        if (pthread_create(&threads[i], NULL, run_troop_member, &all->members[i]) != 0)
            bench_die("can't start a thread");
    }
    for (size_t i = 0; i < all->threads; i++)
        pthread_join(threads[i], NULL);
    all->lent += share * all->threads;
    return share * all->threads;
}

static void open_troop(troop *all, const bench_settings *settings, const lending_pool *pool,
                       const char *file, stele_durability durability)
{
    all->pool = pool;
    if (all->handles == 0)
        return;
    for (size_t i = 0; i < all->handles; i++)
        all->stores[i] =
            i == 0 ? lending_open(pool, file, durability, all->streams, all->events, false)
                   : bench_open_store(file, durability);
    for (size_t i = 1; i < all->handles; i++)
        bench_expect(stele_store_register_type(all->stores[i], codec_loan_shape.type),
                     "register a type");
    for (size_t i = 0; i < all->threads; i++)
        all->members[i] = (troop_member){ .troop = all,
                                          .handle = i % all->handles,
                                          .chance = { .state = settings->seed + i } };
}

/* Every shelf is in the cache of every handle. */
static void open_troop_aggregates(troop *all)
{
    for (size_t i = 0; i < all->handles; i++) {
        all->aggregates[i] = lending_open_aggregate(all->stores[i], LENDING_STREAMS_MAX, 0);
        for (uint32_t stream = 0; stream < all->streams; stream++) {
            lending_shelf shelf;
            bench_expect(
                stele_aggregate_load(all->aggregates[i], all->pool->streams[stream], &shelf, NULL),
                "load");
        }
    }
}

/* Folded anew from the file: each loan is there, and no loan twice. */
static void check_exactly_once(const troop *all)
{
    uint64_t expected = 0;
    uint64_t ids = 0;
    int64_t loans = 0;
    stele_aggregate *fresh = lending_open_aggregate(all->stores[0], 0, 0);
    for (uint64_t i = 0; i < (uint64_t)all->streams * all->events; i++)
        expected += all->pool->loans[i % LENDING_LOANS].loan_id;
    for (size_t i = 0; i < all->threads; i++)
        expected += all->members[i].loan_ids;
    for (uint32_t i = 0; i < all->streams; i++) {
        lending_shelf shelf;
        bench_expect(stele_aggregate_load(fresh, all->pool->streams[i], &shelf, NULL), "load");
        loans += shelf.loans;
        ids += shelf.loan_ids;
    }
    stele_aggregate_close(fresh);
    if (loans != (int64_t)(all->lent + (uint64_t)all->streams * all->events) || ids != expected)
        bench_die("%lld loans were counted, %llu were lent", (long long)loans,
                  (unsigned long long)all->lent);
}

static void report_tries(const troop *all, const char *name)
{
    uint64_t tries = 0;
    uint64_t most = 0;
    uint64_t conflicts = 0;
    for (size_t i = 0; i < all->threads; i++) {
        tries += all->members[i].tries;
        most = all->members[i].tries_most > most ? all->members[i].tries_most : most;
    }
    for (size_t i = 0; i < all->handles; i++) {
        stele_aggregate_info info = { .struct_size = sizeof(info) };
        bench_expect(stele_aggregate_describe(all->aggregates[i], &info), "describe");
        conflicts += info.conflicts;
    }
    if (conflicts + all->lent != tries)
        bench_die("%llu conflicts of %llu tries", (unsigned long long)conflicts,
                  (unsigned long long)tries);
    bench_report_value(name, "tries a command", (double)tries / (double)all->lent);
    bench_report_value(name, "tries at most", (double)most);
}

static void close_troop(troop *all)
{
    for (size_t i = 0; i < all->handles; i++) {
        stele_aggregate_close(all->aggregates[i]);
        stele_store_close(all->stores[i]);
    }
}

enum { TROOPS = 4 };

/* The first is compared with the others. */
static void race_troops(const bench_settings *settings, const char *name, troop *troops,
                        const char *const *labels, const bool *executes, const lending_pool *pool,
                        stele_durability durability)
{
    static const char *const files[TROOPS] = { "a.db", "b.db", "c.db", "d.db" };
    const char *suffix = durability == STELE_DURABILITY_FULL ? "full" : "relaxed";
    bench_contender contenders[TROOPS];
    for (int i = 0; i < TROOPS; i++) {
        open_troop(&troops[i], settings, pool, files[i], durability);
        if (executes[i])
            open_troop_aggregates(&troops[i]);
        contenders[i] = (bench_contender){ labels[i], run_troop, &troops[i], 0, 0 };
    }
    bench_race(settings, contenders, TROOPS, settings->quick ? 256 : 512, settings->quick ? 2 : 6);
    char row[64];
    snprintf(row, sizeof(row), "commands-%s-%s", name, suffix);
    bench_report(row, "commands/s", contenders, TROOPS);
    for (int i = 0; i < TROOPS; i++) {
        if (executes[i]) {
            snprintf(row, sizeof(row), "commands-%s-%s, %s", name, suffix, labels[i]);
            report_tries(&troops[i], row);
            check_exactly_once(&troops[i]);
        }
        close_troop(&troops[i]);
    }
    bench_clear_folder();
}

static void race_one_stream(const bench_settings *settings, const lending_pool *pool,
                            stele_durability durability)
{
    static const char *const labels[TROOPS] = { "32 threads", "1 thread", "32 threads, 4 handles",
                                                "32 threads append" };
    static const bool executes[TROOPS] = { true, true, true, false };
    static troop troops[TROOPS];
    memset(troops, 0, sizeof(troops));
    for (int i = 0; i < TROOPS; i++) {
        troops[i].threads = i == 1 ? 1 : 32;
        troops[i].handles = i == 2 ? 4 : 1;
        troops[i].streams = 1;
        troops[i].events = 100;
    }
    race_troops(settings, "one", troops, labels, executes, pool, durability);
}

static void race_many_streams(const bench_settings *settings, const lending_pool *pool,
                              stele_durability durability)
{
    static const char *const labels[TROOPS] = { "8 threads", "1 thread", "8 threads append",
                                                "1 thread appends" };
    static const bool executes[TROOPS] = { true, true, false, false };
    static troop troops[TROOPS];
    memset(troops, 0, sizeof(troops));
    for (int i = 0; i < TROOPS; i++) {
        troops[i].threads = i % 2 == 0 ? 8 : 1;
        troops[i].handles = 1;
        troops[i].streams = settings->quick ? 1000 : LENDING_STREAMS_MAX;
        troops[i].events = 10;
    }
    race_troops(settings, "many", troops, labels, executes, pool, durability);
}

void bench_case_commands(const bench_settings *settings, const bench_workload *workload)
{
    (void)workload;
    static lending_pool pool;
    lending_pool_init(&pool, settings->seed);
    for (int i = 0; i < 2; i++) {
        stele_durability durability = i == 0 ? STELE_DURABILITY_FULL : STELE_DURABILITY_RELAXED;
        race_one_stream(settings, &pool, durability);
        race_many_streams(settings, &pool, durability);
    }
    lending_pool_dispose(&pool);
}
