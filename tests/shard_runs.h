/**
 * @file tests/shard_runs.h
 * What tests of runs over shards share: many shards, and a note of what a run met.
 */
#ifndef STELE_TESTS_SHARD_RUNS_H
#define STELE_TESTS_SHARD_RUNS_H

#include "shard_lists.h"

#include <pthread.h>
#include <stdatomic.h>

/* What a run met. */
static pthread_mutex_t seen_mutex = PTHREAD_MUTEX_INITIALIZER;
static char seen[LIST_TEXT_SIZE];
static char failures[LIST_TEXT_SIZE];
static atomic_int running, most_running, progress_count;
static pthread_t caller;

static inline void forget_seen(void)
{
    seen[0] = '\0';
    failures[0] = '\0';
    atomic_store(&running, 0);
    atomic_store(&most_running, 0);
    atomic_store(&progress_count, 0);
    caller = pthread_self();
}

static inline void note(char *text, const char *organisation, const char *name_space)
{
    pthread_mutex_lock(&seen_mutex);
    size_t size = strlen(text);
    snprintf(text + size, LIST_TEXT_SIZE - size, "%s%s/%s", size > 0 ? " " : "", organisation,
             name_space);
    pthread_mutex_unlock(&seen_mutex);
}

static inline void enter_function(void)
{
    int now = atomic_fetch_add(&running, 1) + 1;
    int most = atomic_load(&most_running);
    while (now > most && !atomic_compare_exchange_weak(&most_running, &most, now))
        continue;
}

static inline stele_status see(void *context, stele_shard *shard)
{
    (void)context;
    enter_function();
    note(seen, stele_shard_organisation(shard), stele_shard_namespace(shard));
    atomic_fetch_sub(&running, 1);
    return STELE_OK;
}

static inline void note_failure(void *context, const stele_shard_failure *failure)
{
    (void)context;
    ck_assert(pthread_equal(caller, pthread_self()));
    ck_assert_ptr_nonnull(failure->error);
    note(failures, failure->organisation, failure->name_space);
    pthread_mutex_lock(&seen_mutex);
    size_t size = strlen(failures);
    snprintf(failures + size, sizeof(failures) - size, ":%s:%s", stele_status_name(failure->status),
             failure->error);
    pthread_mutex_unlock(&seen_mutex);
}

static inline stele_shards_run make_run(stele_shard_function function, uint32_t parallel)
{
    stele_shards_run run = STELE_SHARDS_RUN_INIT;
    run.function = function;
    run.failed = note_failure;
    run.parallel = parallel;
    forget_seen();
    return run;
}

static inline stele_shards_ran run_each(const stele_shards_run *run, stele_status expected)
{
    stele_shards_ran ran;
    memset(&ran, 0xAA, sizeof(ran));
    assert_status(stele_shards_run_each(shards, run, &ran), expected);
    ck_assert_uint_eq(ran.shards, ran.succeeded + ran.failed + ran.skipped);
    for (size_t i = 0; i < COUNT_OF(ran.reserved); i++)
        ck_assert_uint_eq(ran.reserved[i], 0);
    return ran;
}

static inline void make_many(int organisations, int namespaces)
{
    char organisation[16];
    char name_space[16];
    for (int o = 0; o < organisations; o++)
        for (int n = 0; n < namespaces; n++) {
            snprintf(organisation, sizeof(organisation), "o%d", o);
            snprintf(name_space, sizeof(name_space), "n%d", n);
            make_shard(organisation, name_space);
        }
}

#endif
