/* Power cuts while appends share commits, those of threads and submitted ones: each was told the
 * truth. */
#include "crash/harness.h"
#include "support.h"

#include <stele/submit.h>

#include <pthread.h>
#include <stdio.h>

#define THREADS             4
#define APPENDS_OF_A_THREAD 15

typedef struct appender {
    crash_run *run;
    stele_store *store;
    random_source random;
    unsigned lane;
    stele_status status;
    char reason[256];
} appender;

static void *append_in_thread(void *context)
{
    appender *own = context;
    for (int i = 0; i < APPENDS_OF_A_THREAD && own->status == STELE_OK; i++) {
        /* Lane 0 is everybody's: streams that two threads append to. */
        unsigned lane = random_chance(&own->random, 1, 2) ? 0 : own->lane;
        own->status = crash_append(own->run, own->store, &own->random, lane,
                                   CRASH_BATCHES | CRASH_MANY | CRASH_KEYS);
        if (own->status == STELE_OK && random_chance(&own->random, 1, 30))
            own->status = stele_store_transfer(own->store, NULL, NULL);
    }
    if (own->status < 0)
        snprintf(own->reason, sizeof(own->reason), "%s", stele_error_text());
    return NULL;
}

static void append_in_threads(crash_run *run)
{
    pthread_t threads[THREADS];
    appender appenders[THREADS];
    stele_store *store = crash_open(run);
    for (unsigned i = 0; i < THREADS; i++) {
        appenders[i] = (appender){ .run = run, .store = store, .lane = i + 1 };
        appenders[i].random.state = random_next(&run->random);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, append_in_thread, &appenders[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_msg(appenders[i].status == STELE_OK, "thread %u: %s", i, appenders[i].reason);
    crash_close(run, store);
}

/* Groups of several appends in one commit for certain; every other flight is left to closing. */
static void submit_in_flights(crash_run *run)
{
    stele_store *store = crash_open(run);
    for (int flight = 0; flight < 12; flight++) {
        uint64_t size = 2 + random_below(&run->random, 7);
        stele_status status = STELE_OK;
        for (uint64_t i = 0; i < size && status == STELE_OK; i++)
            status = crash_submit(run, store, &run->random, CRASH_BATCHES | CRASH_KEYS);
        if (status == STELE_OK && flight % 3 != 2)
            status = stele_store_flush(store, NULL);
        if (status == STELE_OK && flight % 4 == 3)
            status = stele_store_transfer(store, NULL, NULL);
        ck_assert_msg(status == STELE_OK, "flight %d: %s", flight, stele_error_text());
    }
    crash_close(run, store);
}

static const crash_workload groups = {
    .name = "groups",
    .work = submit_in_flights,
    .cuts = 400,
};

static const crash_workload relaxed_groups = {
    .name = "groups-relaxed",
    .work = submit_in_flights,
    .durability = STELE_DURABILITY_RELAXED,
    .cuts = 200,
};

static const crash_workload full = {
    .name = "threads",
    .work = append_in_threads,
    .threaded = true,
    .cuts = 400,
};

static const crash_workload relaxed = {
    .name = "threads-relaxed",
    .work = append_in_threads,
    .threaded = true,
    .durability = STELE_DURABILITY_RELAXED,
    .cuts = 300,
};

static const crash_workload twice = {
    .name = "threads-twice",
    .work = append_in_threads,
    .threaded = true,
    .cut_twice = true,
    .cuts = 200,
};

START_TEST(what_threads_were_told_survives_power_cuts)
{
    crash_expect_whole(&full);
}
END_TEST

START_TEST(what_submissions_were_told_survives_power_cuts)
{
    crash_expect_whole(&groups);
}
END_TEST

static const crash_workload *const relaxed_ones[] = { &relaxed, &relaxed_groups };

START_TEST(relaxed_groups_lose_only_the_tail)
{
    crash_report report = crash_test(relaxed_ones[_i]);

    ck_assert_msg(report.broken_cuts == 0, "%zu broken, the first: %s", report.broken_cuts,
                  report.first_break);
    ck_assert_msg(report.cuts < 100 || report.lossy_cuts > 0, "no cut lost events");
}
END_TEST

START_TEST(store_of_threads_may_be_cut_again)
{
    crash_expect_whole(&twice);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_threads");
    TCase *tests = crash_case(suite, "full");
    tcase_add_test(tests, what_threads_were_told_survives_power_cuts);
    tcase_add_test(tests, what_submissions_were_told_survives_power_cuts);
    tests = crash_case(suite, "relaxed");
    tcase_add_loop_test(tests, relaxed_groups_lose_only_the_tail, 0, 2);
    tests = crash_case(suite, "twice");
    tcase_add_test(tests, store_of_threads_may_be_cut_again);
    return run_suite(suite);
}
