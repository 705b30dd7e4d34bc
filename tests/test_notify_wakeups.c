/* No wake-up is lost in one process, whatever happens between any two steps. */
#include "effort.h"
#include "waiter_threads.h"

#include "base/platform.h"
#include "notify/notifier.h"

#include <sched.h>

/* --- One thing that happens between two steps --- */

static stele_notifier *at_notifier;
static stele__notify_moment at_moment;
static atomic_bool at_reached;
static atomic_bool at_signalled;
static pthread_t at_thread;

static void *signal_from_beside(void *context)
{
    (void)context;
    stele_notifier_signal(at_notifier, stele_notifier_head(at_notifier) + 1);
    atomic_store(&at_signalled, true);
    return NULL;
}

/* The head moves while the thread that reached the moment stays there. */
static void signal_at_moment(stele__notify_moment moment)
{
    if (moment != at_moment || atomic_exchange(&at_reached, true))
        return;
    int64_t before = stele_notifier_head(at_notifier);
    pthread_create(&at_thread, NULL, signal_from_beside, NULL);
    while (stele_notifier_head(at_notifier) == before)
        sched_yield();
    settle(); /* so that it also found out whether anybody is registered */
    while (moment == STELE__MOMENT_COMPARED && !atomic_load(&at_signalled))
        sched_yield(); /* nobody is, so it waits for no lock */
}

static void arrange_signal(stele_notifier *notifier, stele__notify_moment moment)
{
    at_notifier = notifier;
    at_moment = moment;
    atomic_store(&at_reached, false);
    atomic_store(&at_signalled, false);
    stele__notify_pause = signal_at_moment;
}

static const stele__notify_moment waiter_moments[] = { STELE__MOMENT_COMPARED,
                                                       STELE__MOMENT_REGISTERED,
                                                       STELE__MOMENT_SLEEP };

START_TEST(signal_at_any_step_of_waiting_wakes)
{
    stele_notifier *notifier = notifier_of(store);
    arrange_signal(notifier, waiter_moments[_i]);

    assert_status(stele_notifier_wait(notifier, 0, NULL, NULL), STELE_OK);

    ck_assert(at_reached);
    ck_assert_int_eq(pthread_join(at_thread, NULL), 0);
    stele__notify_pause = NULL;
}
END_TEST

typedef struct edge_waiter {
    stele_notifier *notifier;
    atomic_bool over;
    pthread_t thread;
} edge_waiter;

static void *wait_without_end(void *context)
{
    edge_waiter *own = context;
    stele_notifier_wait(own->notifier, 0, NULL, NULL);
    atomic_store(&own->over, true);
    return NULL;
}

START_TEST(control_waiter_that_does_not_compare_again_sleeps_on)
{
    edge_waiter one = { .notifier = notifier_of(store) };
    one.notifier->compares_once = true;
    arrange_signal(one.notifier, STELE__MOMENT_COMPARED);
    ck_assert_int_eq(pthread_create(&one.thread, NULL, wait_without_end, &one), 0);

    /* Registered, so that the other event wakes it. */
    while (!atomic_load(&at_signalled) || atomic_load(&one.notifier->waiting) == 0)
        poll(NULL, 0, 1);
    poll(NULL, 0, 500);

    ck_assert_int_eq(stele_notifier_head(one.notifier), 1); /* beyond what it waits for */
    ck_assert(!atomic_load(&one.over));
    assert_status(stele_notifier_signal(one.notifier, 2), STELE_OK); /* another event */
    ck_assert_int_eq(pthread_join(one.thread, NULL), 0);
    ck_assert_int_eq(pthread_join(at_thread, NULL), 0);
    stele__notify_pause = NULL;
}
END_TEST

/* --- Chance --- */

static uint64_t seed;
static atomic_uint_fast64_t thread_number;

/* Mostly nothing, sometimes a moment, at times long enough for all others to go on. */
static void pause_by_chance(stele__notify_moment moment)
{
    static _Thread_local uint64_t state;
    if (state == 0)
        state = (seed + atomic_fetch_add(&thread_number, 1) + 1) * 0x9e3779b97f4a7c15u | 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    uint64_t kind = (state >> 20) % 1024 + (moment == STELE__MOMENT_COUNT);
    if (kind < 1) {
        struct timespec moment_long = { .tv_nsec = (long)(state >> 40) % 100000 };
        nanosleep(&moment_long, NULL);
    } else if (kind < 128) {
        sched_yield();
    } else if (kind < 384) {
        for (volatile uint64_t i = 0; i < (state >> 40) % 400; i++)
            continue;
    }
}

typedef struct exchange {
    stele_notifier *there;
    stele_notifier *back;
    stele_store *store; /* what is told there is appended; NULL: signalled */
    int64_t count;
    _Atomic(int64_t) done;
    stele_status failure;
} exchange;

/* Neither side has a timeout, and nothing polls: what is lost once, nobody ever finds. */
static void *tell_and_wait(void *context)
{
    exchange *own = context;
    stele_status status = STELE_OK;
    for (int64_t i = 1; i <= own->count && status == STELE_OK; i++) {
        status = own->store != NULL ? append_to(own->store, "told-1", STELE_ANY, "told", NULL)
                                    : stele_notifier_signal(own->there, i);
        if (status == STELE_OK)
            status = stele_notifier_wait(own->back, i - 1, NULL, NULL);
        atomic_store(&own->done, i);
    }
    own->failure = status;
    return NULL;
}

static void *wait_and_answer(void *context)
{
    exchange *own = context;
    for (int64_t i = 1; i <= own->count; i++)
        if (stele_notifier_wait(own->there, i - 1, NULL, NULL) != STELE_OK
            || stele_notifier_signal(own->back, i) != STELE_OK)
            break;
    return NULL;
}

static void expect_all_told(exchange *own)
{
    pthread_t teller, answerer;
    int64_t before = -1;
    int stuck = 0;
    stele__notify_pause = pause_by_chance;
    ck_assert_int_eq(pthread_create(&answerer, NULL, wait_and_answer, own), 0);
    ck_assert_int_eq(pthread_create(&teller, NULL, tell_and_wait, own), 0);
    while (atomic_load(&own->done) < own->count) {
        int64_t done = atomic_load(&own->done);
        stuck = done == before ? stuck + 1 : 0;
        before = done;
        ck_assert_msg(stuck < 600,
                      "a wake-up was lost after %" PRId64 " of %" PRId64 " (seed %" PRIu64 "): %s",
                      done, own->count, seed, stele_status_name(own->failure));
        poll(NULL, 0, 50);
    }
    ck_assert_int_eq(pthread_join(teller, NULL), 0);
    ck_assert_int_eq(pthread_join(answerer, NULL), 0);
    stele__notify_pause = NULL;
}

START_TEST(no_signal_is_lost_with_delays_at_every_step)
{
    seed = choose_seed();
    exchange all = { .there = open_notifier(),
                     .back = open_notifier(),
                     .count = effort_of(20000, 1000000) };

    expect_all_told(&all);

    printf("notify: seed %" PRIu64 ", %" PRId64 " signals and as many answers, none lost\n", seed,
           all.count);
    stele_notifier_close(all.there);
    stele_notifier_close(all.back);
}
END_TEST

START_TEST(no_append_is_lost_with_delays_at_every_step)
{
    seed = choose_seed();
    exchange all = { .there = notifier_of(store),
                     .back = open_notifier(),
                     .store = store,
                     .count = effort_of(5000, 1000000) };

    expect_all_told(&all);

    printf("notify: seed %" PRIu64 ", %" PRId64 " appends, none lost\n", seed, all.count);
    stele_notifier_close(all.back);
}
END_TEST

/* --- Those who compose --- */

START_TEST(interrupt_ends_a_wait_that_others_go_on_with)
{
    stele_notifier *notifier = notifier_of(store);
    atomic_int interrupt = 0;
    stele__waking waking = { .after = INT64_MAX, .interrupt = &interrupt };
    waiter other;
    start_waiter(&other, notifier, 0);
    settle();

    assert_status(stele__notifier_await(notifier, &waking, 1, NULL), STELE_OK); /* long over */
    atomic_store(&interrupt, 1);
    stele__notifier_interrupt(notifier);
    assert_status(stele__notifier_await(notifier, &waking, INT64_MAX, NULL), STELE_OK);

    append_some(store, 1);
    expect_waiter(&other, STELE_OK);
}
END_TEST

typedef struct interruptible {
    stele_notifier *notifier;
    stele__waking waking;
    stele_status status;
    pthread_t thread;
} interruptible;

static void *await_something(void *context)
{
    interruptible *own = context;
    own->status = stele__notifier_await(own->notifier, &own->waking, INT64_MAX, NULL);
    return NULL;
}

/* From a signal handler nothing but atomics may be touched: the thread that ticks finds it. */
START_TEST(interrupt_reaches_those_who_sleep_where_nothing_is_polled)
{
    stele_notifier *notifier = notifier_of(store);
    atomic_int interrupts[4] = { 0 };
    interruptible sleepers[4];
    for (int i = 0; i < 4; i++) {
        sleepers[i] =
            (interruptible){ .notifier = notifier,
                             .waking = { .after = INT64_MAX, .interrupt = &interrupts[i] } };
        ck_assert_int_eq(pthread_create(&sleepers[i].thread, NULL, await_something, &sleepers[i]),
                         0);
    }
    settle();

    for (int i = 0; i < 4; i++) {
        atomic_store(&interrupts[i], 1);
        stele__notifier_interrupt(notifier);
        ck_assert_int_eq(pthread_join(sleepers[i].thread, NULL), 0);
        ck_assert_int_eq(sleepers[i].status, STELE_OK);
    }
}
END_TEST

START_TEST(commit_without_events_is_a_change_and_no_head)
{
    stele_notifier *notifier = notifier_of(store);
    uint64_t before = stele__notifier_changes(notifier);
    interruptible one = { .notifier = notifier,
                          .waking = { .after = INT64_MAX, .change = &before } };
    ck_assert_int_eq(pthread_create(&one.thread, NULL, await_something, &one), 0);
    settle();

    assert_status(stele_checkpoint_save(store, "reader", 0), STELE_OK);

    ck_assert_int_eq(pthread_join(one.thread, NULL), 0);
    ck_assert_int_eq(one.status, STELE_OK);
    ck_assert_uint_gt(stele__notifier_changes(notifier), before);
    ck_assert_int_eq(stele_notifier_head(notifier), 0);
}
END_TEST

/* Who waits for nothing but a change goes on sleeping until there is one. */
START_TEST(commit_of_another_handle_is_a_change_without_events_too)
{
    stele_notifier *notifier = notifier_of(store);
    stele_store *other = open_path(store_path(), NULL);
    assert_status(wait_ms(notifier, 0, 0, NULL), STELE_TIMED_OUT); /* the first look */
    uint64_t before = stele__notifier_changes(notifier);
    stele__waking waking = { .after = INT64_MAX, .change = &before };
    int64_t until_us = stele__clock_monotonic_us() + 20000;
    assert_status(stele__notifier_await(notifier, &waking, until_us, NULL), STELE_OK);
    ck_assert_int_ge(stele__clock_monotonic_us(), until_us);

    assert_status(stele_checkpoint_save(other, "reader", 0), STELE_OK);
    assert_status(stele__notifier_await(notifier, &waking, INT64_MAX, NULL), STELE_OK);

    ck_assert_uint_gt(stele__notifier_changes(notifier), before);
    stele_store_close(other);
}
END_TEST

static uint64_t wakes_of(stele_notifier *notifier)
{
    pthread_mutex_lock(&notifier->mutex);
    uint64_t generation = notifier->generation;
    pthread_mutex_unlock(&notifier->mutex);
    return generation;
}

/* Else readers that save their place would wake one another without end. */
START_TEST(commit_without_events_wakes_nobody_who_waits_for_events)
{
    stele_notifier *notifier = notifier_of(store);
    stele_listener *listener = open_listener(notifier, 0);
    waiter one;
    int descriptor = -1;
    assert_status(stele_listener_descriptor(listener, &descriptor), STELE_OK);
    start_waiter(&one, notifier, 0);
    settle();
    uint64_t before = wakes_of(notifier);

    assert_status(stele_checkpoint_save(store, "reader", 0), STELE_OK);
    ck_assert_uint_eq(wakes_of(notifier), before);
    append_some(store, 1);

    expect_waiter(&one, STELE_OK);
    ck_assert(is_readable(descriptor, (int)MUST_COME_MS));
    stele_listener_close(listener);
}
END_TEST

/* Nobody is counted as waiting any more, so who appends takes no lock. */
START_TEST(those_who_left_cost_the_appender_nothing)
{
    stele_notifier *notifier = open_notifier();
    stele_listener *listener = open_listener(notifier, 0);
    int descriptor = -1;
    assert_status(stele_listener_descriptor(listener, &descriptor), STELE_OK);
    ck_assert_uint_eq(atomic_load(&notifier->waiting), 1);

    assert_status(wait_ms(notifier, 0, 30, NULL), STELE_TIMED_OUT);
    ck_assert_uint_eq(atomic_load(&notifier->waiting), 1);
    stele_listener_close(listener);

    ck_assert_uint_eq(atomic_load(&notifier->waiting), 0);
    ck_assert_uint_eq(atomic_load(&notifier->waiting_for_change), 0);
    ck_assert_uint_eq(notifier->quiet_descriptors, 0);
    stele_notifier_close(notifier);
}
END_TEST

/* --- Descriptors --- */

typedef struct descriptor_reader {
    stele_listener *listener;
    int descriptor;
    int64_t last;
    _Atomic(int64_t) heard;
    bool lost;
} descriptor_reader;

static void *read_descriptor(void *context)
{
    descriptor_reader *own = context;
    for (int64_t head = 0; head < own->last && !own->lost;) {
        own->lost = !is_readable(own->descriptor, (int)MUST_COME_MS);
        hear_ms(own->listener, 0, &head);
        atomic_store(&own->heard, own->lost ? own->last : head);
    }
    return NULL;
}

/* The second of a pair may come while the first is being heard of. */
START_TEST(descriptor_misses_no_signal)
{
    stele_notifier *notifier = open_notifier();
    descriptor_reader reader = { .listener = open_listener(notifier, 0), .last = 20000 };
    assert_status(stele_listener_descriptor(reader.listener, &reader.descriptor), STELE_OK);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, read_descriptor, &reader), 0);

    for (int64_t i = 2; i <= reader.last; i += 2) {
        assert_status(stele_notifier_signal(notifier, i - 1), STELE_OK);
        for (int64_t spin = i % 97; spin > 0; spin--)
            sched_yield();
        assert_status(stele_notifier_signal(notifier, i), STELE_OK);
        while (atomic_load(&reader.heard) < i)
            sched_yield();
    }

    pthread_join(thread, NULL);
    ck_assert(!reader.lost);
    stele_listener_close(reader.listener);
    stele_notifier_close(notifier);
}
END_TEST

/* --- How often it is polled --- */

static int64_t pace_after_look(stele_notifier *notifier)
{
    assert_status(stele__notifier_look(notifier), STELE_OK);
    return notifier->pace_us / 1000;
}

START_TEST(polls_come_fast_after_a_commit_of_others_and_slow_down_again)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.poll_interval_ms = 50;
    options.poll_floor_ms = 10;
    stele_store *own = open_path(store_path(), &options);
    stele_notifier *notifier = notifier_of(own);
    ck_assert_int_eq(pace_after_look(notifier), 50);
    append_some(own, 1); /* which needs no poll to be known */
    ck_assert_int_eq(pace_after_look(notifier), 50);

    append_some(store, 1);
    ck_assert_int_eq(pace_after_look(notifier), 10);
    assert_status(stele_checkpoint_save(store, "reader", 0), STELE_OK);
    ck_assert_int_eq(pace_after_look(notifier), 10);

    ck_assert_int_eq(pace_after_look(notifier), 20);
    ck_assert_int_eq(pace_after_look(notifier), 40);
    ck_assert_int_eq(pace_after_look(notifier), 50);
    stele_store_close(own);
}
END_TEST

static atomic_int looks;

static void count_looks(stele__notify_moment moment)
{
    if (moment == STELE__MOMENT_VERSION_READ)
        atomic_fetch_add(&looks, 1);
}

/* However many they are: the next look would be in a minute. */
START_TEST(one_of_those_who_wait_polls_for_all)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.poll_interval_ms = 60000;
    stele_store *own = open_path(test_path("own.db"), &options);
    waiter crowd[16];
    atomic_store(&looks, 0);
    stele__notify_pause = count_looks;
    for (size_t i = 0; i < COUNT_OF(crowd); i++)
        start_waiter(&crowd[i], notifier_of(own), 0);
    settle();
    ck_assert_int_le(atomic_load(&looks), 1);

    append_some(own, 1);

    for (size_t i = 0; i < COUNT_OF(crowd); i++)
        expect_waiter(&crowd[i], STELE_OK);
    ck_assert_int_le(atomic_load(&looks), 1);
    stele__notify_pause = NULL;
    stele_store_close(own);
}
END_TEST

/* The file is gone from its name, so no connection can be made. */
START_TEST(failing_poll_ends_no_wait_of_those_who_compose)
{
    stele_notifier *notifier = notifier_of(store);
    interruptible one = { .notifier = notifier, .waking = { .after = 0 } };
    ck_assert_int_eq(rename(store_path(), test_path("aside.db")), 0);

    assert_status(wait_ms(notifier, 0, MUST_COME_MS, NULL), STELE_IO);
    ck_assert_int_eq(pthread_create(&one.thread, NULL, await_something, &one), 0);
    settle();
    append_some(store, 1);
    ck_assert_int_eq(pthread_join(one.thread, NULL), 0);

    ck_assert_int_eq(one.status, STELE_OK);
    ck_assert_int_eq(rename(test_path("aside.db"), store_path()), 0);
    assert_status(wait_ms(notifier, 1, 100, NULL), STELE_TIMED_OUT);
    ck_assert(notifier->ever_polled);
}
END_TEST

static Suite *wakeups_suite(void)
{
    Suite *suite = suite_create("notify_wakeups");
    TCase *tests = add_case(suite, "memory", open_in_memory);
    tcase_set_timeout(tests, effort_is_long() ? 3600 : 120);
    tcase_add_loop_test(tests, signal_at_any_step_of_waiting_wakes, 0, COUNT_OF(waiter_moments));
    tcase_add_test(tests, control_waiter_that_does_not_compare_again_sleeps_on);
    tcase_add_test(tests, no_signal_is_lost_with_delays_at_every_step);
    tcase_add_test(tests, no_append_is_lost_with_delays_at_every_step);
    tcase_add_test(tests, descriptor_misses_no_signal);
    tcase_add_test(tests, interrupt_reaches_those_who_sleep_where_nothing_is_polled);
    for (int file = 0; file < 2; file++) {
        tests = add_case(suite, file ? "file" : "both", file ? open_in_file : open_in_memory);
        tcase_add_test(tests, interrupt_ends_a_wait_that_others_go_on_with);
        tcase_add_test(tests, commit_without_events_is_a_change_and_no_head);
        tcase_add_test(tests, commit_without_events_wakes_nobody_who_waits_for_events);
    }
    tests = add_case(suite, "failing", open_in_file);
    tcase_add_test(tests, commit_of_another_handle_is_a_change_without_events_too);
    tcase_add_test(tests, those_who_left_cost_the_appender_nothing);
    tcase_add_test(tests, polls_come_fast_after_a_commit_of_others_and_slow_down_again);
    tcase_add_test(tests, one_of_those_who_wait_polls_for_all);
    tcase_add_test(tests, failing_poll_ends_no_wait_of_those_who_compose);
    return suite;
}

int main(void)
{
    return run_suite(wakeups_suite());
}
