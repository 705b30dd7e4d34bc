/*
 * Waking up: how long it takes within a process and across two, what listeners cost the appender,
 * and what polling costs when nothing happens.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <stele/notify.h>

#include "contenders.h"

#define WAKES_MAX     20000
#define LISTENERS_MAX 50

static void sleep_seconds(double seconds)
{
    struct timespec left = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    nanosleep(&left, NULL);
}

static int compare_wakes(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void report_wakes(const char *what, double *seconds, size_t count)
{
    static const struct {
        const char *name;
        double part;
    } parts[] = { { "p50", 0.5 }, { "p99", 0.99 }, { "p99.9", 0.999 } };
    qsort(seconds, count, sizeof(*seconds), compare_wakes);
    for (size_t i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s, %s", what, parts[i].name);
        bench_report_value(name, "us", seconds[(size_t)(parts[i].part * (double)count)] * 1e6);
    }
}

/* --- In one process --- */

typedef struct sleeper {
    stele_store *store;
    _Atomic(int64_t) heard;
    double *woken_at; /* by number of wake-up */
    size_t count;
} sleeper;

static void *wake_again_and_again(void *context)
{
    sleeper *own = context;
    stele_notifier *notifier = NULL;
    stele_listener *listener = NULL;
    bench_expect(stele_store_notifier(own->store, &notifier), "notifier");
    bench_expect(stele_listener_open(notifier, stele_notifier_head(notifier), &listener), "listen");
    atomic_store(&own->heard, 0);
    for (size_t i = 0; i < own->count; i++) {
        int64_t head = 0;
        bench_expect(stele_listener_wait(listener, NULL, &head), "wait");
        own->woken_at[i] = bench_seconds();
        atomic_store(&own->heard, head);
    }
    stele_listener_close(listener);
    return NULL;
}

/* From the call of append until the other thread runs. */
static void measure_threads(const bench_settings *settings, const bench_workload *workload)
{
    static double began[WAKES_MAX];
    static double took[WAKES_MAX];
    static double alone[WAKES_MAX];
    sleeper other = { .heard = -1, .woken_at = took, .count = settings->quick ? 2000 : WAKES_MAX };
    pthread_t thread;
    bench_source source;
    bench_source_init(&source, workload, settings->seed, 1, BENCH_KEYS_NONE);
    other.store = bench_open_store("wake.db", STELE_DURABILITY_RELAXED);
    bench_fill_streams(other.store, workload);
    if (pthread_create(&thread, NULL, wake_again_and_again, &other) != 0)
        bench_die("can't start a thread");
    while (atomic_load(&other.heard) < 0)
        sleep_seconds(0.001);
    for (size_t i = 0; i < other.count; i++) {
        sleep_seconds(0.0001); /* it is asleep again */
        began[i] = bench_seconds();
        int64_t position = bench_append_drawn(other.store, &source);
        alone[i] = bench_seconds() - began[i];
        while (atomic_load(&other.heard) < position)
            continue;
    }
    pthread_join(thread, NULL);
    for (size_t i = 0; i < other.count; i++)
        took[i] -= began[i];
    report_wakes("wake a thread, from the call of append", took, other.count);
    report_wakes("wake a thread, the append alone", alone, other.count);
    stele_store_close(other.store);
    bench_clear_folder();
}

/* --- Across two --- */

static void run_waiting_process(const int answer[2])
{
    stele_store *store = NULL;
    stele_notifier *notifier = NULL;
    int64_t head = 0;
    double now = 0;
    bench_expect(stele_store_open(bench_path("beside.db"), NULL, &store), "open");
    bench_expect(stele_store_notifier(store, &notifier), "notifier");
    head = stele_notifier_head(notifier);
    do {
        if (write(answer[1], &now, sizeof(now)) != sizeof(now))
            break;
        bench_expect(stele_notifier_wait(notifier, head, NULL, &head), "wait");
        now = bench_seconds();
    } while (true);
    _exit(0);
}

static double hear_process(const int answer[2])
{
    double when = 0;
    if (read(answer[0], &when, sizeof(when)) != sizeof(when))
        bench_die("the waiting process ended early");
    return when;
}

/* `pause` seconds between the appends, on average. */
static void measure_processes(const bench_settings *settings, const bench_workload *workload,
                              const char *what, size_t count, double pause)
{
    static double took[WAKES_MAX];
    int answer[2];
    bench_source source;
    bench_chance chance = { settings->seed };
    stele_store *store = bench_open_store("beside.db", STELE_DURABILITY_RELAXED);
    bench_fill_streams(store, workload);
    stele_store_close(store);
    if (pipe(answer) != 0)
        bench_die("can't make a pipe");
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        bench_die("can't fork");
    if (child == 0) {
        close(answer[0]);
        run_waiting_process(answer);
    }
    close(answer[1]);
    store = bench_open_store("beside.db", STELE_DURABILITY_RELAXED);
    bench_source_init(&source, workload, settings->seed, 1, BENCH_KEYS_NONE);
    hear_process(answer);
    for (size_t i = 0; i < count; i++) {
        sleep_seconds(pause * 2 * bench_random_below(&chance, 1000) / 1000);
        double began = bench_seconds();
        bench_append_drawn(store, &source);
        took[i] = hear_process(answer) - began;
    }
    close(answer[0]);
    bench_append_drawn(store, &source); /* it finds nobody to answer */
    stele_store_close(store);
    waitpid(child, NULL, 0);
    report_wakes(what, took, count);
    bench_clear_folder();
}

/* --- What listeners cost --- */

typedef struct audience {
    stele_store *store;
    size_t size;
    pthread_t threads[LISTENERS_MAX];
    bench_source source;
} audience;

static void *listen_until_closed(void *context)
{
    const audience *all = context;
    stele_notifier *notifier = NULL;
    int64_t head = 0;
    stele_status status = stele_store_notifier(all->store, &notifier);
    while (status == STELE_OK)
        status = stele_notifier_wait(notifier, head, NULL, &head);
    return NULL;
}

static uint64_t append_to_audience(void *state, uint64_t operations)
{
    audience *all = state;
    for (uint64_t i = 0; i < operations; i++)
        bench_append_drawn(all->store, &all->source);
    return operations;
}

static void open_audience(audience *all, const char *file, size_t size, stele_durability durability,
                          const bench_settings *settings, const bench_workload *workload)
{
    all->store = bench_open_store(file, durability);
    all->size = size;
    bench_fill_streams(all->store, workload);
    bench_source_init(&all->source, workload, settings->seed, 1, BENCH_KEYS_NONE);
    for (size_t i = 0; i < size; i++)
        if (pthread_create(&all->threads[i], NULL, listen_until_closed, all) != 0)
            bench_die("can't start a thread");
    sleep_seconds(0.05);
}

static void close_audience(audience *all)
{
    stele_store_close(all->store);
    for (size_t i = 0; i < all->size; i++)
        pthread_join(all->threads[i], NULL);
}

static void race_audiences(const bench_settings *settings, const bench_workload *workload,
                           stele_durability durability)
{
    static const size_t sizes[] = { 0, 1, 10, LISTENERS_MAX };
    static const char *const files[] = { "none.db", "one.db", "ten.db", "fifty.db" };
    static const char *const labels[] = { "nobody listens", "1 listener", "10 listeners",
                                          "50 listeners" };
    static audience audiences[4];
    bench_contender contenders[4];
    bool full = durability == STELE_DURABILITY_FULL;
    for (int i = 0; i < 4; i++) {
        open_audience(&audiences[i], files[i], sizes[i], durability, settings, workload);
        contenders[i] = (bench_contender){ labels[i], append_to_audience, &audiences[i], 0, 0 };
    }
    bench_race(settings, contenders, 4, settings->quick ? 200 : 1000, settings->quick ? 2 : 6);
    for (int i = 1; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof(name), "append-%s, %s", full ? "full" : "relaxed", labels[i]);
        bench_contender pair[] = { contenders[i], contenders[0] };
        bench_report(name, "events/s", pair, 2);
    }
    for (int i = 0; i < 4; i++)
        close_audience(&audiences[i]);
    bench_clear_folder();
}

/* --- Nothing happens --- */

static void measure_idle(const bench_settings *settings, const bench_workload *workload,
                         size_t size)
{
    static audience all;
    char name[64];
    double seconds = settings->quick ? 2 : 10;
    open_audience(&all, "idle.db", size, STELE_DURABILITY_FULL, settings, workload);
    sleep_seconds(0.5);
    double before = bench_cpu_seconds();
    sleep_seconds(seconds);
    double used = bench_cpu_seconds() - before;
    snprintf(name, sizeof(name), "idle poller for %zu, of a processor", size);
    bench_report_value(name, "%", used / seconds * 100);
    close_audience(&all);
    bench_clear_folder();
}

void bench_case_notify(const bench_settings *settings, const bench_workload *workload)
{
    size_t count = settings->quick ? 100 : 1000;
    measure_threads(settings, workload);
    measure_processes(settings, workload, "wake a process, now and then", count / 2, 0.1);
    measure_processes(settings, workload, "wake a process, busy", count, 0.003);
    race_audiences(settings, workload, STELE_DURABILITY_FULL);
    race_audiences(settings, workload, STELE_DURABILITY_RELAXED);
    measure_idle(settings, workload, 1);
    measure_idle(settings, workload, LISTENERS_MAX);
}
