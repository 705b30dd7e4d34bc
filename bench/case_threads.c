/*
 * Many at once: appends of several threads and processes, submissions in flight, and what looping
 * readers do to the WAL and to the slowest appends.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stele/submit.h>

#include "contenders.h"

#define THREADS_MAX 64

/* --- Threads --- */

typedef struct crowd_member {
    struct crowd *crowd;
    bench_source source;
    uint64_t count;
} crowd_member;

typedef struct crowd {
    stele_store *store;
    size_t size;
    crowd_member members[THREADS_MAX];
} crowd;

static void *run_member(void *context)
{
    crowd_member *member = context;
    for (uint64_t i = 0; i < member->count; i++)
        bench_append_drawn(member->crowd->store, &member->source);
    return NULL;
}

/* `operations` appends, shared out over the threads. */
static uint64_t run_crowd(void *state, uint64_t operations)
{
    crowd *all = state;
    pthread_t threads[THREADS_MAX];
    uint64_t share = operations / (all->size > 0 ? all->size : 1);
    for (size_t i = 0; i < all->size; i++) {
        all->members[i].count = share;
        if (pthread_create(&threads[i], NULL, run_member, &all->members[i]) != 0)
            bench_die("can't start a thread");
    }
    for (size_t i = 0; i < all->size; i++)
        pthread_join(threads[i], NULL);
    return share * all->size;
}

static void open_crowd(crowd *all, const char *file, size_t size, const bench_settings *settings,
                       const bench_workload *workload, stele_durability durability)
{
    all->store = bench_open_store(file, durability);
    all->size = size;
    bench_fill_streams(all->store, workload);
    for (size_t i = 0; i < size; i++) {
        all->members[i].crowd = all;
        bench_source_init(&all->members[i].source, workload, settings->seed + i, 1,
                          BENCH_KEYS_NONE);
    }
}

static void race_crowds(const bench_settings *settings, const bench_workload *workload,
                        stele_durability durability)
{
    static const size_t sizes[] = { 1, 4, 16, 64 };
    static const char *const files[] = { "one.db", "four.db", "sixteen.db", "many.db" };
    static const char *const labels[] = { "1 thread", "4 threads", "16 threads", "64 threads" };
    static crowd crowds[4];
    bench_contender contenders[4];
    for (int i = 0; i < 4; i++) {
        open_crowd(&crowds[i], files[i], sizes[i], settings, workload, durability);
        contenders[i] = (bench_contender){ labels[i], run_crowd, &crowds[i], 0, 0 };
    }
    bench_race(settings, contenders, 4, settings->quick ? 256 : 1024, settings->quick ? 2 : 6);
    for (int i = 1; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof(name), "append-%s, %s",
                 durability == STELE_DURABILITY_FULL ? "full" : "relaxed", labels[i]);
        bench_contender pair[] = { contenders[i], contenders[0] };
        bench_report(name, "events/s", pair, 2);
    }
    for (int i = 0; i < 4; i++)
        stele_store_close(crowds[i].store);
    bench_clear_folder();
}

/* --- Submissions --- */

#define FLIGHT_MAX 256

typedef struct flight {
    stele_store *store;
    bench_source source;
    size_t size;
} flight;

static stele_ticket *submit_draw(flight *all)
{
    bench_draw draw;
    bench_draw_next(&all->source, &draw);
    stele_append append = STELE_APPEND_INIT;
    append.stream = all->source.workload->streams[draw.stream];
    append.events = draw.events;
    append.event_count = draw.count;
    stele_ticket *ticket = NULL;
    bench_expect(stele_store_submit(all->store, &append, NULL, &ticket), "submit");
    return ticket;
}

static void land_ticket(stele_ticket *ticket)
{
    const stele_verdict *verdict = NULL;
    bench_expect(stele_ticket_wait(ticket, NULL, &verdict), "wait");
    bench_expect(verdict->status, "submission");
    stele_ticket_close(ticket);
}

/* One thread with always so many on their way. */
static uint64_t run_flight(void *state, uint64_t operations)
{
    flight *all = state;
    stele_ticket *tickets[FLIGHT_MAX] = { NULL };
    for (uint64_t i = 0; i < operations; i++) {
        size_t slot = i % all->size;
        if (tickets[slot] != NULL)
            land_ticket(tickets[slot]);
        tickets[slot] = submit_draw(all);
    }
    for (size_t i = 0; i < all->size; i++)
        if (tickets[i] != NULL)
            land_ticket(tickets[i]);
    return operations;
}

static stele_store *open_with_committer(const char *file, bool committer)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = committer;
    stele_store *store = NULL;
    bench_expect(stele_store_open(bench_path(file), &options, &store), "open");
    return store;
}

static void race_flights(const bench_settings *settings, const bench_workload *workload)
{
    static const struct {
        const char *label;
        const char *file;
        size_t size;
        bool committer;
    } kinds[] = {
        { "32 in flight", "f32.db", 32, false },
        { "256 in flight", "f256.db", 256, false },
        { "32 and a committer", "c32.db", 32, true },
        { "256 and a committer", "c256.db", 256, true },
    };
    flight flights[4];
    static crowd alone;
    bench_contender contenders[5];
    for (int i = 0; i < 4; i++) {
        flights[i].store = open_with_committer(kinds[i].file, kinds[i].committer);
        flights[i].size = kinds[i].size;
        bench_fill_streams(flights[i].store, workload);
        bench_source_init(&flights[i].source, workload, settings->seed, 1, BENCH_KEYS_NONE);
        contenders[i] = (bench_contender){ kinds[i].label, run_flight, &flights[i], 0, 0 };
    }
    open_crowd(&alone, "alone.db", 1, settings, workload, STELE_DURABILITY_FULL);
    contenders[4] = (bench_contender){ "1 thread", run_crowd, &alone, 0, 0 };
    bench_race(settings, contenders, 5, settings->quick ? 512 : 2048, settings->quick ? 2 : 6);
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof(name), "submit-full, %s", kinds[i].label);
        bench_contender pair[] = { contenders[i], contenders[4] };
        bench_report(name, "events/s", pair, 2);
        stele_store_close(flights[i].store);
    }
    stele_store_close(alone.store);
    bench_clear_folder();
}

void bench_case_threads(const bench_settings *settings, const bench_workload *workload)
{
    race_crowds(settings, workload, STELE_DURABILITY_FULL);
    race_crowds(settings, workload, STELE_DURABILITY_RELAXED);
    race_flights(settings, workload);
}

/* --- Processes --- */

/* A process appends until it is told to stop, and says how often it did. */
static void run_process(const bench_settings *settings, const bench_workload *workload,
                        const char *file, int number, const int start[2], const int answer[2])
{
    close(start[1]);
    char byte = 0;
    if (read(start[0], &byte, 1) != 0)
        _exit(1);
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 60000;
    stele_store *store = NULL;
    bench_expect(stele_store_open(bench_path(file), &options, &store), "open");
    bench_source source;
    bench_source_init(&source, workload, settings->seed + (uint64_t)number, 1, BENCH_KEYS_NONE);
    uint64_t count = 0;
    double end = bench_seconds() + (settings->quick ? 0.5 : 3);
    while (bench_seconds() < end) {
        bench_append_drawn(store, &source);
        count++;
    }
    stele_store_close(store);
    if (write(answer[1], &count, sizeof(count)) != sizeof(count))
        _exit(1);
    _exit(0);
}

typedef struct process_tally {
    uint64_t total;
    uint64_t least;
    uint64_t most;
} process_tally;

static process_tally count_processes(const bench_settings *settings, const bench_workload *workload,
                                     int processes)
{
    process_tally tally = { 0, UINT64_MAX, 0 };
    int start[2];
    int answer[2];
    if (pipe(start) != 0 || pipe(answer) != 0)
        bench_die("can't make a pipe");
    stele_store *store = bench_open_store("shared.db", STELE_DURABILITY_FULL);
    bench_fill_streams(store, workload);
    stele_store_close(store);
    fflush(stdout);
    for (int i = 0; i < processes; i++) {
        pid_t child = fork();
        if (child < 0)
            bench_die("can't fork");
        if (child == 0)
            run_process(settings, workload, "shared.db", i, start, answer);
    }
    close(start[0]);
    close(start[1]); /* which begins it */
    for (int i = 0; i < processes; i++) {
        uint64_t count = 0;
        if (read(answer[0], &count, sizeof(count)) != sizeof(count))
            bench_die("a process ended early");
        tally.total += count;
        tally.least = count < tally.least ? count : tally.least;
        tally.most = count > tally.most ? count : tally.most;
    }
    while (wait(NULL) > 0)
        continue;
    close(answer[0]);
    close(answer[1]);
    bench_clear_folder();
    return tally;
}

void bench_case_processes(const bench_settings *settings, const bench_workload *workload)
{
    static const int sizes[] = { 1, 2, 4, 16 };
    double alone = 1;
    for (int i = 0; i < 4; i++) {
        process_tally tally = count_processes(settings, workload, sizes[i]);
        char name[64];
        if (i == 0)
            alone = (double)tally.total;
        snprintf(name, sizeof(name), "append-full, %d processes, of one", sizes[i]);
        bench_report_value(name, "ratio", (double)tally.total / alone);
        snprintf(name, sizeof(name), "append-full, %d processes, share", sizes[i]);
        bench_report_value(name, "most/least", (double)tally.most / (double)tally.least);
    }
}

/* --- Looping readers --- */

typedef struct looping_reader {
    stele_store *store;
    atomic_bool *stop;
    uint64_t pages;
} looping_reader;

static void *run_looping_reader(void *context)
{
    looping_reader *reader = context;
    while (!atomic_load(reader->stop)) {
        stele_read read = STELE_READ_INIT;
        read.after_position = (int64_t)(reader->pages * 1000 % 50000);
        read.limit = 1000;
        bench_drain(reader->store, &read, &(uint64_t){ 0 });
        reader->pages++;
    }
    return NULL;
}

static int compare_latencies(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void measure_wal(const bench_settings *settings, const bench_workload *workload, int readers)
{
    static double latencies[1000000];
    size_t count = 0;
    int64_t wal_bytes = 0;
    atomic_bool stop = false;
    looping_reader states[8];
    pthread_t threads[8];
    stele_store *store = bench_open_store("wal.db", STELE_DURABILITY_RELAXED);
    bench_fill_log(store, workload, settings->seed, settings->quick ? 5000 : 50000);
    for (int i = 0; i < readers; i++) {
        states[i] = (looping_reader){ .store = store, .stop = &stop, .pages = (uint64_t)i * 7 };
        if (pthread_create(&threads[i], NULL, run_looping_reader, &states[i]) != 0)
            bench_die("can't start a thread");
    }
    bench_source source;
    bench_source_init(&source, workload, settings->seed, 10, BENCH_KEYS_NONE);
    double now = bench_seconds();
    double end = now + (settings->quick ? 2 : 10);
    while (now < end && count < sizeof(latencies) / sizeof(latencies[0])) {
        bench_append_drawn(store, &source);
        double after = bench_seconds();
        latencies[count++] = (after - now) * 1e6;
        now = after;
        if (count % 64 == 0) {
            int64_t size = bench_file_size("wal.db-wal");
            wal_bytes = size > wal_bytes ? size : wal_bytes;
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < readers; i++)
        pthread_join(threads[i], NULL);
    stele_store_info info = STELE_STORE_INFO_INIT;
    bench_expect(stele_store_describe(store, &info), "describe");
    stele_store_close(store);
    bench_clear_folder();

    qsort(latencies, count, sizeof(*latencies), compare_latencies);
    char name[64];
    snprintf(name, sizeof(name), "wal, %d looping readers", readers);
    bench_report_value(name, "MB at most", (double)wal_bytes / 1e6);
    bench_report_value(name, "appends", (double)count);
    bench_report_value(name, "us p50", latencies[count / 2]);
    bench_report_value(name, "us p99.9", latencies[count - 1 - count / 1000]);
    bench_report_value(name, "us longest", latencies[count - 1]);
    bench_report_value(name, "transfers", (double)info.transfers);
    bench_report_value(name, "short transfers", (double)info.transfers_short);
    bench_report_value(name, "gates", (double)info.gates);
}

void bench_case_wal(const bench_settings *settings, const bench_workload *workload)
{
    static const int sizes[] = { 0, 1, 4, 8 };
    for (int i = 0; i < 4; i++)
        measure_wal(settings, workload, sizes[i]);
}
