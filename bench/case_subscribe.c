/*
 * Subscriptions: how fast they catch up, against a loop by hand that reads pages, changes the same
 * model and notes where it is; what live ones cost whoever appends; and what idle ones cost.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <stele/checkpoint.h>
#include <stele/subscription.h>

#include "contenders.h"

#define BATCH_EVENTS 1000
#define LIVE_MAX     50

/* The projection: of each stream, its events and bytes. */
static const char create_model[] = "CREATE TABLE IF NOT EXISTS model_stream (stream TEXT PRIMARY"
                                   " KEY, events INTEGER NOT NULL, bytes INTEGER NOT NULL)"
                                   " STRICT, WITHOUT ROWID;"
                                   "CREATE TABLE IF NOT EXISTS model_place (name TEXT PRIMARY KEY,"
                                   " position INTEGER NOT NULL) STRICT, WITHOUT ROWID";
static const char fold_model[] =
    "INSERT INTO model_stream (stream, events, bytes) VALUES (?1, 1, ?2)"
    " ON CONFLICT (stream) DO UPDATE SET events = events + 1, bytes = bytes + excluded.bytes";

static void fold_record(sqlite3_stmt *fold, const stele_record *record)
{
    sqlite3_bind_text(fold, 1, record->stream, -1, SQLITE_STATIC);
    sqlite3_bind_int64(fold, 2, (int64_t)record->data_size);
    bare_run(fold);
}

static uint64_t log_size(const bench_settings *settings)
{
    return settings->quick ? 20000 : 100000;
}

/* --- Catching up: the library --- */

typedef struct subscriber {
    stele_store *store;
    const char *name; /* NULL: keeps nothing */
    const char *type; /* NULL: all */
    stele_delivery delivery;
    bool by_event;
    bool folds;
    uint64_t units;
    sqlite3_stmt *fold;
    uint64_t handled;
} subscriber;

static void prepare_fold(subscriber *side, stele_transaction *transaction)
{
    if (side->fold == NULL)
        side->fold = bare_prepare(stele_transaction_sqlite(transaction), fold_model);
}

static stele_status handle_batch(void *context, const stele_batch *batch,
                                 const stele_handling *handling)
{
    subscriber *side = context;
    side->handled += batch->count;
    if (!side->folds)
        return STELE_OK;
    prepare_fold(side, handling->transaction);
    for (size_t i = 0; i < batch->count; i++)
        fold_record(side->fold, batch->records[i]);
    return STELE_OK;
}

static stele_status handle_event(void *context, const stele_record *record,
                                 const stele_handling *handling)
{
    subscriber *side = context;
    side->handled++;
    if (!side->folds)
        return STELE_OK;
    prepare_fold(side, handling->transaction);
    fold_record(side->fold, record);
    return STELE_OK;
}

static stele_subscription *open_subscriber(subscriber *side, bool ends, stele_handler *handler_out)
{
    stele_subscription *subscription = NULL;
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    options.name = side->name;
    options.types = side->type != NULL ? &side->type : NULL;
    options.type_count = side->type != NULL;
    options.batch_count_max = BATCH_EVENTS;
    options.delivery = side->delivery;
    options.stop = ends ? STELE_STOP_HEAD : STELE_STOP_NEVER;
    *handler_out = (stele_handler)STELE_HANDLER_INIT;
    if (side->by_event)
        handler_out->event = handle_event;
    else
        handler_out->batch = handle_batch;
    handler_out->context = side;
    bench_expect(stele_subscription_open(side->store, &options, &subscription), "subscribe");
    return subscription;
}

/* An operation is the whole log. */
static uint64_t run_library_catch_up(void *state, uint64_t operations)
{
    subscriber *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        stele_handler handler;
        if (side->name != NULL)
            bench_expect(stele_checkpoint_save(side->store, side->name, 0), "rewind");
        stele_subscription *subscription = open_subscriber(side, true, &handler);
        side->handled = 0;
        bench_expect(stele_subscription_run(subscription, &handler), "run");
        stele_subscription_close(subscription);
        if (side->type == NULL && side->handled != side->units)
            bench_die("%llu events of %llu", (unsigned long long)side->handled,
                      (unsigned long long)side->units);
    }
    return side->units * operations;
}

/* --- Catching up: by hand --- */

typedef struct hand_subscriber {
    bare_reader reader;
    sqlite3 *writer;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *fold;
    sqlite3_stmt *save;
    int64_t type; /* 0: all */
    bool folds;
    bool saves;
    uint64_t units;
} hand_subscriber;

static void open_hand(hand_subscriber *side, const char *file, stele_durability durability,
                      bool checked, uint64_t units)
{
    *side = (hand_subscriber){ .units = units };
    side->writer = bare_connect(file, durability, false);
    sqlite3_wal_autocheckpoint(side->writer, 8000);
    bare_execute(side->writer, create_model);
    bare_reader_open(&side->reader, file, checked);
    side->begin = bare_prepare(side->writer, "BEGIN IMMEDIATE");
    side->commit = bare_prepare(side->writer, "COMMIT");
    side->fold = bare_prepare(side->writer, fold_model);
    side->save = bare_prepare(side->writer, "INSERT INTO model_place (name, position) VALUES"
                                            " ('place', ?1) ON CONFLICT (name) DO UPDATE SET"
                                            " position = excluded.position");
}

static void close_hand(hand_subscriber *side)
{
    bare_reader_close(&side->reader);
    sqlite3_finalize(side->begin);
    sqlite3_finalize(side->commit);
    sqlite3_finalize(side->fold);
    sqlite3_finalize(side->save);
    sqlite3_close(side->writer);
}

static uint64_t read_page(hand_subscriber *side, int64_t after)
{
    sqlite3_stmt *page = side->type > 0 ? side->reader.filtered_page : side->reader.page;
    side->reader.record_count = 0;
    side->reader.size = 0;
    sqlite3_bind_int64(page, 1, after);
    if (side->type > 0)
        sqlite3_bind_int64(page, 2, side->type);
    sqlite3_bind_int64(page, 3, BATCH_EVENTS);
    return bare_read(&side->reader, page);
}

static void handle_page(hand_subscriber *side)
{
    if (!side->folds && !side->saves)
        return;
    bare_run(side->begin);
    for (size_t i = 0; i < side->reader.record_count && side->folds; i++)
        fold_record(side->fold, &side->reader.records[i]);
    sqlite3_bind_int64(side->save, 1, side->reader.last);
    bare_run(side->save);
    bare_run(side->commit);
}

static uint64_t run_hand_catch_up(void *state, uint64_t operations)
{
    hand_subscriber *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        int64_t after = 0;
        for (; read_page(side, after) > 0; after = side->reader.last)
            handle_page(side);
    }
    return side->units * operations;
}

/* --- Catching up: the races --- */

static void make_model(stele_store *store)
{
    stele_transaction *transaction = NULL;
    bench_expect(stele_transaction_begin(store, &transaction), "begin");
    bare_execute(stele_transaction_sqlite(transaction), create_model);
    bench_expect(stele_transaction_commit(transaction), "commit");
    stele_transaction_end(transaction);
}

/* A log in a file of its own, its WAL empty. */
static stele_store *make_log(const bench_settings *settings, const bench_workload *workload,
                             const char *file, stele_durability durability)
{
    stele_store *store = bench_open_store(file, STELE_DURABILITY_RELAXED);
    bench_fill_log(store, workload, settings->seed, log_size(settings));
    stele_store_close(store);
    store = bench_open_store(file, durability);
    make_model(store);
    return store;
}

static void race_exact(const bench_settings *settings, const bench_workload *workload,
                       stele_durability durability)
{
    bool full = durability == STELE_DURABILITY_FULL;
    subscriber library = { .name = "projection", .folds = true, .units = log_size(settings) };
    library.store = make_log(settings, workload, "library.db", durability);
    subscriber by_event = library;
    by_event.name = "by event";
    by_event.by_event = true;
    stele_store_close(make_log(settings, workload, "hand.db", durability));
    hand_subscriber hand;
    open_hand(&hand, "hand.db", durability, true, log_size(settings));
    hand.folds = hand.saves = true;

    bench_contender contenders[] = {
        { "library, batches", run_library_catch_up, &library, 0, 0 },
        { "verified, named, copied", run_hand_catch_up, &hand, 0, 0 },
        { "library, event by event", run_library_catch_up, &by_event, 0, 0 },
    };
    bench_race(settings, contenders, 3, 1, settings->quick ? 2 : 4);
    bench_report(full ? "catch-up-exact-full" : "catch-up-exact-relaxed", "events/s", contenders,
                 3);
    sqlite3_finalize(library.fold);
    sqlite3_finalize(by_event.fold);
    close_hand(&hand);
    stele_store_close(library.store);
    bench_clear_folder();
}

/* At least once, and a handler that does nothing: with a place, and without. */
static void race_plain(const bench_settings *settings, const bench_workload *workload)
{
    stele_store *store = make_log(settings, workload, "library.db", STELE_DURABILITY_RELAXED);
    stele_store_close(make_log(settings, workload, "hand.db", STELE_DURABILITY_RELAXED));
    uint64_t units = log_size(settings);
    subscriber named = {
        .store = store, .name = "plain", .delivery = STELE_AT_LEAST_ONCE, .units = units
    };
    subscriber nameless = { .store = store, .units = units };
    static hand_subscriber hands[3];
    open_hand(&hands[0], "hand.db", STELE_DURABILITY_RELAXED, true, units);
    open_hand(&hands[1], "hand.db", STELE_DURABILITY_RELAXED, true, units);
    open_hand(&hands[2], "hand.db", STELE_DURABILITY_RELAXED, false, units);
    hands[0].saves = true;

    bench_contender kept[] = {
        { "library", run_library_catch_up, &named, 0, 0 },
        { "verified, named, copied", run_hand_catch_up, &hands[0], 0, 0 },
    };
    bench_race(settings, kept, 2, 1, settings->quick ? 2 : 4);
    bench_report("catch-up-plain", "events/s", kept, 2);
    bench_contender free_of_names[] = {
        { "library", run_library_catch_up, &nameless, 0, 0 },
        { "verified, named, copied", run_hand_catch_up, &hands[1], 0, 0 },
        { "columns alone", run_hand_catch_up, &hands[2], 0, 0 },
    };
    bench_race(settings, free_of_names, 3, 1, settings->quick ? 2 : 4);
    bench_report("catch-up-nameless", "events/s", free_of_names, 3);
    for (int i = 0; i < 3; i++)
        close_hand(&hands[i]);
    stele_store_close(store);
    bench_clear_folder();
}

/* One type of 16, exactly once. */
static void race_filtered(const bench_settings *settings, const bench_workload *workload)
{
    uint64_t units = log_size(settings);
    subscriber typed = { .name = "typed", .type = bench_types[5], .folds = true, .units = units };
    typed.store = make_log(settings, workload, "library.db", STELE_DURABILITY_RELAXED);
    subscriber all = typed;
    all.name = "all";
    all.type = NULL;
    stele_store_close(make_log(settings, workload, "hand.db", STELE_DURABILITY_RELAXED));
    hand_subscriber hand;
    open_hand(&hand, "hand.db", STELE_DURABILITY_RELAXED, true, units);
    hand.folds = hand.saves = true;
    hand.type = 1;
    while (strcmp(hand.reader.names[1][hand.type], bench_types[5]) != 0)
        hand.type++;

    bench_contender contenders[] = {
        { "one type of 16", run_library_catch_up, &typed, 0, 0 },
        { "one type by hand", run_hand_catch_up, &hand, 0, 0 },
        { "all", run_library_catch_up, &all, 0, 0 },
    };
    bench_race(settings, contenders, 3, 1, settings->quick ? 2 : 4);
    bench_report("catch-up-of-type", "events examined/s", contenders, 3);
    sqlite3_finalize(typed.fold);
    sqlite3_finalize(all.fold);
    close_hand(&hand);
    stele_store_close(typed.store);
    bench_clear_folder();
}

/* --- Live ones --- */

typedef struct live_one {
    subscriber side;
    stele_subscription *subscription;
    char name[32];
    pthread_t thread;
    atomic_bool live;
    stele_handler handler;
} live_one;

static live_one lives[LIVE_MAX];

static void note_caught_up(void *context, int64_t position)
{
    (void)position;
    live_one *one = (live_one *)context; /* its first member is what the handlers are given */
    atomic_store(&one->live, true);
}

static void *run_live(void *context)
{
    live_one *one = context;
    bench_expect(stele_subscription_run(one->subscription, &one->handler) == STELE_CANCELLED
                     ? STELE_OK
                     : STELE_IO,
                 "run");
    return NULL;
}

static void start_lives(stele_store *store, int count, bool exact)
{
    for (int i = 0; i < count; i++) {
        live_one *one = &lives[i];
        memset(one, 0, sizeof(*one));
        snprintf(one->name, sizeof(one->name), "live-%d", i);
        one->side.store = store;
        one->side.name = exact ? one->name : NULL;
        one->side.folds = exact;
        one->subscription = open_subscriber(&one->side, false, &one->handler);
        one->handler.caught_up = note_caught_up;
        one->handler.context = one;
        if (pthread_create(&one->thread, NULL, run_live, one) != 0)
            bench_die("can't start a thread");
    }
    for (int i = 0; i < count; i++)
        while (!atomic_load(&lives[i].live))
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static uint64_t stop_lives(int count)
{
    uint64_t handled = 0;
    for (int i = 0; i < count; i++)
        stele_subscription_stop(lives[i].subscription);
    for (int i = 0; i < count; i++) {
        pthread_join(lives[i].thread, NULL);
        stele_subscription_close(lives[i].subscription);
        sqlite3_finalize(lives[i].side.fold);
        handled += lives[i].side.handled;
    }
    return handled;
}

typedef struct live_result {
    double appends; /* a second */
    double handled; /* by each subscription, of the events appended */
} live_result;

static live_result append_beside(const bench_settings *settings, const bench_workload *workload,
                                 stele_durability durability, int count, bool exact)
{
    library_writer writer = { .store = bench_open_store("live.db", durability) };
    bench_fill_streams(writer.store, workload);
    make_model(writer.store);
    bench_source_init(&writer.source, workload, settings->seed, 1, BENCH_KEYS_NONE);
    start_lives(writer.store, count, exact);

    uint64_t appended = 0;
    double start = bench_seconds();
    double took = 0;
    while (took < (settings->quick ? 0.3 : 2)) {
        bench_look_for_interrupt();
        appended += bench_run_library_appends(&writer, 10);
        took = bench_seconds() - start;
    }
    uint64_t handled = stop_lives(count);
    stele_store_close(writer.store);
    bench_clear_folder();
    return (live_result){ (double)appended / took,
                          count == 0 ? 0
                                     : (double)(handled - (uint64_t)count * BENCH_STREAMS)
                                           / ((double)appended * count) };
}

static int compare_results(const void *left, const void *right)
{
    double a = ((const live_result *)left)->appends;
    double b = ((const live_result *)right)->appends;
    return (a > b) - (a < b);
}

static void measure_live(const bench_settings *settings, const bench_workload *workload,
                         stele_durability durability, bool exact)
{
    static const int counts[] = { 0, 1, 10, 50 };
    static live_result results[4][BENCH_ROUNDS_MAX];
    for (int round = 0; round < settings->rounds; round++)
        for (int i = 0; i < 4; i++)
            results[i][round] = append_beside(settings, workload, durability, counts[i], exact);
    for (int i = 0; i < 4; i++) {
        char name[64];
        qsort(results[i], (size_t)settings->rounds, sizeof(results[i][0]), compare_results);
        const live_result *median = &results[i][settings->rounds / 2];
        snprintf(name, sizeof(name), "append-%s beside %d %s",
                 durability == STELE_DURABILITY_FULL ? "full" : "relaxed", counts[i],
                 exact ? "exact" : "nameless");
        bench_report_value(name, "events/s", median->appends);
        if (i == 0)
            continue;
        bench_report_value(name, "of none",
                           median->appends / results[0][settings->rounds / 2].appends);
        bench_report_value(name, "handled meanwhile, each", median->handled);
    }
}

/* --- Idle ones --- */

/* What this process has written so far; -1: this system doesn't tell. */
static double bytes_written(void)
{
    char line[128];
    double bytes = -1;
    FILE *file = fopen("/proc/self/io", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "wchar: ", 7) == 0)
            bytes = strtod(line + 7, NULL);
    if (file != NULL)
        fclose(file);
    return bytes;
}

static void measure_idle(const bench_settings *settings, const bench_workload *workload, int count)
{
    char name[64];
    double seconds = settings->quick ? 1 : 5;
    stele_store *store = bench_open_store("idle.db", STELE_DURABILITY_FULL);
    bench_fill_streams(store, workload);
    make_model(store);
    for (int exact = 0; exact < 2; exact++) {
        start_lives(store, count, exact == 1);
        /* What they wrote last is seen by all. */
        nanosleep(&(struct timespec){ .tv_sec = 2 }, NULL);
        double cpu = bench_cpu_seconds();
        double bytes = bytes_written();
        nanosleep(&(struct timespec){ .tv_sec = (time_t)seconds }, NULL);
        bytes = bytes_written() - bytes;
        cpu = bench_cpu_seconds() - cpu;
        stop_lives(count);
        snprintf(name, sizeof(name), "idle, %d %s", count, exact == 1 ? "exact" : "nameless");
        bench_report_value(name, "ms of cpu a second", cpu / seconds * 1000);
        if (bytes >= 0)
            bench_report_value(name, "bytes written", bytes);
    }
    stele_store_close(store);
    bench_clear_folder();
}

void bench_case_subscribe(const bench_settings *settings, const bench_workload *workload)
{
    race_exact(settings, workload, STELE_DURABILITY_FULL);
    race_exact(settings, workload, STELE_DURABILITY_RELAXED);
    race_plain(settings, workload);
    race_filtered(settings, workload);
    measure_live(settings, workload, STELE_DURABILITY_FULL, false);
    measure_live(settings, workload, STELE_DURABILITY_FULL, true);
    measure_live(settings, workload, STELE_DURABILITY_RELAXED, false);
    measure_live(settings, workload, STELE_DURABILITY_RELAXED, true);
    measure_idle(settings, workload, 1);
    measure_idle(settings, workload, LIVE_MAX);
}
