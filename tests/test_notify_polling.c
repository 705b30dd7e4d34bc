/* Polling: on the caller's thread, on the notifier's own, for descriptors; its start and its end.
 */
#include "waiter_threads.h"

#include "notify/notifier.h"

static stele_store *other; /* a second handle on the same file */

static void open_both(void)
{
    open_in_file();
    other = open_path(store_path(), NULL);
}

static void close_both(void)
{
    stele_store_close(other);
    other = NULL;
    close_and_remove();
}

static uint32_t connections_of(stele_store *of)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(of, &info), STELE_OK);
    return info.connections;
}

typedef struct caller {
    stele_notifier *notifier;
    stele_status status;
    pthread_t thread;
} caller;

static void *run_poll(void *context)
{
    caller *own = context;
    stele_wait wait = wait_of(MUST_COME_MS);
    own->status = stele_notifier_poll(own->notifier, &wait);
    return NULL;
}

static uint32_t pollers_of(stele_notifier *notifier)
{
    pthread_mutex_lock(&notifier->mutex);
    uint32_t count = notifier->poller_count;
    pthread_mutex_unlock(&notifier->mutex);
    return count;
}

/* All have begun: one that began after it was stopped would poll on, and one after closing on freed
 * memory. */
static void start_callers(caller *callers, int count, stele_notifier *notifier)
{
    for (int i = 0; i < count; i++) {
        callers[i] = (caller){ .notifier = notifier };
        ck_assert_int_eq(pthread_create(&callers[i].thread, NULL, run_poll, &callers[i]), 0);
    }
    while (pollers_of(notifier) < (uint32_t)count)
        poll(NULL, 0, 1);
}

static void expect_callers(caller *callers, int count, stele_status expected)
{
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(pthread_join(callers[i].thread, NULL), 0);
        ck_assert_int_eq(callers[i].status, expected);
    }
}

/* --- What is found --- */

START_TEST(commit_of_another_handle_is_found_by_who_waits)
{
    stele_notifier *notifier = notifier_of(store);
    waiter crowd[8];
    for (int i = 0; i < 8; i++)
        start_waiter(&crowd[i], notifier, 0);
    settle();

    append_some(other, 1);

    for (int i = 0; i < 8; i++)
        expect_waiter(&crowd[i], STELE_OK);
}
END_TEST

/* Who looks now and then without waiting finds it as well. */
START_TEST(looking_again_and_again_finds_what_others_committed)
{
    stele_listener *listener = open_listener(notifier_of(store), 0);
    append_some(other, 1);

    stele_status status = STELE_TIMED_OUT;
    for (int i = 0; i < 6000 && status == STELE_TIMED_OUT; i++) {
        status = hear_ms(listener, 0, NULL);
        poll(NULL, 0, 10);
    }

    assert_status(status, STELE_OK);
    stele_listener_close(listener);
}
END_TEST

/* The first one polls, and has enough of it soon; so does the thread that comes after it. */
START_TEST(who_leaves_hands_the_polling_over)
{
    stele_notifier *notifier = notifier_of(store);
    waiter late;
    caller poller;
    start_callers(&poller, 1, notifier);
    start_waiter(&late, notifier, 0);
    assert_status(wait_ms(notifier, 0, 50, NULL), STELE_TIMED_OUT);
    stele_notifier_stop(notifier);
    expect_callers(&poller, 1, STELE_OK);
    assert_status(wait_ms(notifier, 0, 50, NULL), STELE_TIMED_OUT);

    append_some(other, 1);

    expect_waiter(&late, STELE_OK);
}
END_TEST

static stele_notifier *left_notifier;
static pthread_t left_poller;
static atomic_bool left_over;
static _Thread_local bool sees_it_left;

/* Who polls leaves while somebody else, who has seen that it does, isn't asleep yet. */
static void leave_at_moment(stele__notify_moment moment)
{
    if (moment != STELE__MOMENT_ASKED || !sees_it_left)
        return;
    sees_it_left = false;
    stele_notifier_stop(left_notifier);
    pthread_join(left_poller, NULL);
    atomic_store(&left_over, true);
}

static void *wait_without_end(void *context)
{
    atomic_bool *over = context;
    sees_it_left = true;
    stele_notifier_wait(left_notifier, 0, NULL, NULL);
    atomic_store(over, true);
    return NULL;
}

static bool is_watched(stele_notifier *notifier)
{
    pthread_mutex_lock(&notifier->mutex);
    bool watched = notifier->watched;
    pthread_mutex_unlock(&notifier->mutex);
    return watched;
}

START_TEST(polling_that_is_left_while_another_is_about_to_sleep_is_taken_on)
{
    caller poller;
    pthread_t late;
    atomic_bool over = false;
    left_notifier = notifier_of(store);
    atomic_store(&left_over, false);
    stele__notify_pause = leave_at_moment;
    start_callers(&poller, 1, left_notifier);
    left_poller = poller.thread;
    while (!is_watched(left_notifier))
        poll(NULL, 0, 1);
    ck_assert_int_eq(pthread_create(&late, NULL, wait_without_end, &over), 0);
    while (!atomic_load(&left_over))
        poll(NULL, 0, 1);
    settle();

    append_some(other, 1);

    for (int i = 0; i < 6000 && !atomic_load(&over); i++)
        poll(NULL, 0, 10);
    ck_assert(atomic_load(&over));
    pthread_join(late, NULL);
    ck_assert_int_eq(poller.status, STELE_OK);
    stele__notify_pause = NULL;
}
END_TEST

START_TEST(polling_survives_a_schema_that_others_change)
{
    stele_notifier *notifier = notifier_of(store);
    append_some(other, 1);
    assert_status(wait_ms(notifier, 0, MUST_COME_MS, NULL), STELE_OK);

    run_sql(store_path(), "CREATE TABLE theirs(x)");
    append_some(other, 1);

    assert_status(wait_ms(notifier, 1, MUST_COME_MS, NULL), STELE_OK);
}
END_TEST

/* It could never be taken back. */
START_TEST(head_is_not_taken_from_tables_that_are_not_ours_any_more)
{
    stele_notifier *notifier = notifier_of(store);
    int64_t head = 0;
    append_some(store, 1);
    assert_status(wait_ms(notifier, 1, 20, &head), STELE_TIMED_OUT);

    run_sql(store_path(), "CREATE INDEX theirs ON events(recorded_at);"
                          "CREATE TEMP TABLE t AS SELECT * FROM events;"
                          "UPDATE t SET position = 9999, version = 9999;"
                          "INSERT INTO events SELECT * FROM t");
    assert_status(wait_ms(notifier, 1, 200, &head), STELE_TIMED_OUT);
    ck_assert_int_eq(head, 1);

    run_sql(store_path(), "DROP INDEX theirs");
    assert_status(wait_ms(notifier, 1, MUST_COME_MS, &head), STELE_OK);
    ck_assert_int_eq(head, 9999);
}
END_TEST

START_TEST(store_for_reading_is_woken)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    stele_store *reader = open_path(store_path(), &options);
    waiter one;
    start_waiter(&one, notifier_of(reader), 0);
    settle();

    append_some(store, 1);

    expect_waiter(&one, STELE_OK);
    stele_store_close(reader);
}
END_TEST

START_TEST(immutable_file_and_one_in_memory_are_not_polled)
{
    append_some(store, 1);
    close_store();
    stele_store_close(other);
    other = NULL;
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = options.immutable = true;
    store = _i == 0 ? open_path(":memory:", NULL) : open_path(store_path(), &options);
    int64_t head = 0;

    stele_notifier *notifier = notifier_of(store);
    assert_status(wait_ms(notifier, 1, 50, &head), STELE_TIMED_OUT);
    assert_status(stele_notifier_start(notifier), STELE_OK);
    assert_status(stele_notifier_join(notifier, NULL), STELE_OK);

    ck_assert_int_eq(head, _i);
    ck_assert_uint_eq(connections_of(store), 1);
}
END_TEST

/* Its connection is opened when it is first needed, and closed with the store. */
START_TEST(polling_has_one_connection)
{
    stele_notifier *notifier = notifier_of(store);
    uint32_t before = connections_of(store);

    assert_status(wait_ms(notifier, 0, 10, NULL), STELE_TIMED_OUT);
    ck_assert_uint_eq(connections_of(store), before + 1);
    assert_status(stele_notifier_start(notifier), STELE_OK);
    assert_status(wait_ms(notifier, 0, 10, NULL), STELE_TIMED_OUT);

    ck_assert_uint_eq(connections_of(store), before + 1);
}
END_TEST

/* --- The thread --- */

START_TEST(thread_polls_until_it_is_stopped_and_may_be_started_again)
{
    stele_notifier *notifier = notifier_of(store);
    for (int round = 0; round < 3; round++) {
        assert_status(stele_notifier_start(notifier), STELE_OK);
        assert_status(stele_notifier_start(notifier), STELE_OK);
        stele_wait none = wait_of(0);
        assert_status(stele_notifier_join(notifier, &none), STELE_TIMED_OUT);

        if (round == 2) /* it has passed where it was told to stop */
            poll(NULL, 0, 150);
        append_some(other, 1);
        for (int i = 0; i < 6000 && stele_notifier_head(notifier) <= round; i++)
            poll(NULL, 0, 10); /* nobody waits */
        ck_assert_int_eq(stele_notifier_head(notifier), round + 1);

        stele_notifier_stop(notifier);
        if (round == 1) /* before it has noticed, or after */
            continue;
        assert_status(stele_notifier_join(notifier, NULL), STELE_OK);
        assert_status(stele_notifier_join(notifier, &none), STELE_OK);
    }
}
END_TEST

START_TEST(waits_go_on_when_the_thread_ends)
{
    stele_notifier *notifier = notifier_of(store);
    assert_status(stele_notifier_start(notifier), STELE_OK);
    waiter crowd[4];
    for (int i = 0; i < 4; i++)
        start_waiter(&crowd[i], notifier, 0);
    settle();

    stele_notifier_stop(notifier);
    assert_status(stele_notifier_join(notifier, NULL), STELE_OK);
    append_some(other, 1);

    for (int i = 0; i < 4; i++)
        expect_waiter(&crowd[i], STELE_OK);
}
END_TEST

/* A thread that has said that it ends, and takes its time. */
static pthread_key_t end_key;
static atomic_bool marked, ends, may_end;
static atomic_int started;

static void take_time_to_end(void *unused)
{
    (void)unused;
    atomic_store(&ends, true);
    while (!atomic_load(&may_end))
        poll(NULL, 0, 1);
}

static void mark_thread(stele__notify_moment moment)
{
    if (moment == STELE__MOMENT_VERSION_READ && pthread_setspecific(end_key, &end_key) == 0)
        atomic_store(&marked, true);
}

static void *run_start(void *context)
{
    caller *own = context;
    own->status = stele_notifier_start(own->notifier);
    atomic_fetch_add(&started, 1);
    return NULL;
}

/* Who comes first joins it and starts another, which the second one doesn't wait for. */
START_TEST(thread_is_started_by_two_while_the_one_before_ends)
{
    stele_notifier *notifier = notifier_of(store);
    caller starters[2];
    ck_assert_int_eq(pthread_key_create(&end_key, take_time_to_end), 0);
    stele__notify_pause = mark_thread;
    assert_status(stele_notifier_start(notifier), STELE_OK);
    while (!atomic_load(&marked))
        poll(NULL, 0, 1);
    stele_notifier_stop(notifier);
    while (!atomic_load(&ends))
        poll(NULL, 0, 1);

    for (int i = 0; i < 2; i++) {
        starters[i] = (caller){ .notifier = notifier };
        ck_assert_int_eq(pthread_create(&starters[i].thread, NULL, run_start, &starters[i]), 0);
    }
    settle();
    atomic_store(&may_end, true);
    for (int i = 0; i < 6000 && atomic_load(&started) < 2; i++)
        poll(NULL, 0, 10);
    int came_back = atomic_load(&started);

    stele_notifier_stop(notifier);
    expect_callers(starters, 2, STELE_OK);
    assert_status(stele_notifier_join(notifier, NULL), STELE_OK);
    stele__notify_pause = NULL;
    ck_assert_int_eq(pthread_key_delete(end_key), 0);
    ck_assert_int_eq(came_back, 2);
}
END_TEST

START_TEST(closing_the_store_ends_the_thread)
{
    stele_notifier *notifier = notifier_of(store);
    stele_listener *listener = open_listener(notifier, 0);
    assert_status(stele_notifier_start(notifier), STELE_OK);
    waiter one;
    start_waiter(&one, notifier, 0);
    if (_i == 1)
        settle();

    close_store();

    expect_waiter(&one, STELE_CLOSED);
    /* A waiter that had not begun by then would have used freed memory, but for the listener. */
    stele_listener_close(listener);
}
END_TEST

/* --- On the caller's thread --- */

static stele_notifier *to_stop;

static void stop_in_handler(int number)
{
    (void)number;
    stele_notifier_stop(to_stop);
}

START_TEST(polling_on_a_callers_thread_ends_when_stopped_in_a_signal_handler)
{
    stele_store *memory = _i == 1 ? open_path(":memory:", NULL) : NULL;
    stele_notifier *notifier = notifier_of(_i == 1 ? memory : store);
    struct sigaction action = { .sa_handler = stop_in_handler };
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    caller callers[3];
    start_callers(callers, 3, notifier);
    if (_i == 0) {
        append_some(other, 1);
        assert_status(wait_ms(notifier, 0, MUST_COME_MS, NULL), STELE_OK);
    }

    to_stop = notifier;
    ck_assert_int_eq(raise(SIGUSR1), 0);
    assert_status(stele_notifier_join(notifier, NULL), STELE_OK);

    expect_callers(callers, 3, STELE_OK);
    stele_store_close(memory);
}
END_TEST

/* It only ticks then: the one that waits polls for it. */
START_TEST(polling_beside_one_that_waits_ends_when_stopped)
{
    stele_notifier *notifier = notifier_of(store);
    waiter one;
    caller beside;
    start_waiter(&one, notifier, 0);
    settle();
    start_callers(&beside, 1, notifier);

    stele_notifier_stop(notifier);

    expect_callers(&beside, 1, STELE_OK);
    append_some(other, 1);
    expect_waiter(&one, STELE_OK);
}
END_TEST

START_TEST(closing_the_store_ends_polling)
{
    caller callers[2];
    start_callers(callers, 2, notifier_of(store));

    close_store();

    expect_callers(callers, 2, STELE_CLOSED);
}
END_TEST

static int refuse_to_go_on(void *context)
{
    (void)context;
    return 1;
}

START_TEST(polling_and_joining_end_with_their_wait)
{
    stele_notifier *notifier = _i == 0 ? notifier_of(store) : open_notifier();
    stele_wait wait = wait_of(20);
    stele_wait refused = STELE_WAIT_INIT;
    refused.progress = refuse_to_go_on;

    assert_status(stele_notifier_poll(notifier, &wait), STELE_TIMED_OUT);
    assert_status(stele_notifier_poll(notifier, &refused), STELE_CANCELLED);
    caller one;
    start_callers(&one, 1, notifier);
    assert_status(stele_notifier_join(notifier, &wait), STELE_TIMED_OUT);
    assert_status(stele_notifier_join(notifier, &refused), STELE_CANCELLED);

    stele_notifier_stop(notifier);
    expect_callers(&one, 1, STELE_OK);
    stele_notifier_close(notifier);
}
END_TEST

/* --- Descriptors --- */

START_TEST(descriptor_is_readable_while_there_is_something_to_hear_of)
{
    stele_listener *listener = open_listener(notifier_of(store), 0);
    int descriptor = -1;
    int again = -1;
    assert_status(stele_listener_descriptor(listener, &descriptor), STELE_OK);
    assert_status(stele_listener_descriptor(listener, &again), STELE_OK);
    ck_assert_int_eq(again, descriptor);
    ck_assert(!is_readable(descriptor, 0));

    for (int64_t i = 1; i <= 3; i++) {
        int64_t head = 0;
        append_some(_i == 0 ? store : other, 1);
        ck_assert(is_readable(descriptor, (int)MUST_COME_MS));
        ck_assert(is_readable(descriptor, 0)); /* a level */
        assert_status(hear_ms(listener, 0, &head), STELE_OK);
        ck_assert_int_eq(head, i);
        ck_assert(!is_readable(descriptor, 0));
    }
    stele_listener_close(listener);
}
END_TEST

START_TEST(descriptor_of_a_late_listener_is_readable_at_once)
{
    stele_notifier *notifier = open_notifier();
    stele_listener *listener = open_listener(notifier, 4);
    int descriptor = -1;
    assert_status(stele_notifier_signal(notifier, 5), STELE_OK);

    assert_status(stele_listener_descriptor(listener, &descriptor), STELE_OK);

    ck_assert(is_readable(descriptor, 0));
    stele_listener_close(listener);
    stele_notifier_close(notifier);
}
END_TEST

START_TEST(descriptor_is_readable_after_closing)
{
    stele_listener *listener = open_listener(notifier_of(store), 0);
    int descriptor = -1;
    assert_status(stele_listener_descriptor(listener, &descriptor), STELE_OK);

    close_store();

    ck_assert(is_readable(descriptor, 0));
    assert_status(hear_ms(listener, 0, NULL), STELE_CLOSED);
    ck_assert(is_readable(descriptor, 0));
    stele_listener_close(listener);
}
END_TEST

START_TEST(listeners_with_descriptors_are_closed_in_any_order)
{
    stele_notifier *notifier = notifier_of(store);
    stele_listener *listeners[5];
    int descriptors[5];
    for (int i = 0; i < 5; i++) {
        listeners[i] = open_listener(notifier, i);
        assert_status(stele_listener_descriptor(listeners[i], &descriptors[i]), STELE_OK);
    }
    append_some(store, 3);
    stele_listener_close(listeners[2]);
    stele_listener_close(listeners[4]);
    stele_listener_close(listeners[0]);

    /* The thread may have been quicker, and be about to tell. */
    ck_assert(is_readable(descriptors[1], (int)MUST_COME_MS));
    ck_assert(!is_readable(descriptors[3], 0));
    append_some(store, 1);
    ck_assert(is_readable(descriptors[3], (int)MUST_COME_MS));

    stele_listener_close(listeners[3]);
    stele_listener_close(listeners[1]);
    append_some(store, 1);
}
END_TEST

static Suite *polling_suite(void)
{
    Suite *suite = suite_create("notify_polling");
    TCase *tests = tcase_create("file");
    tcase_add_checked_fixture(tests, open_both, close_both);
    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, commit_of_another_handle_is_found_by_who_waits);
    tcase_add_test(tests, looking_again_and_again_finds_what_others_committed);
    tcase_add_test(tests, who_leaves_hands_the_polling_over);
    tcase_add_test(tests, polling_that_is_left_while_another_is_about_to_sleep_is_taken_on);
    tcase_add_test(tests, polling_survives_a_schema_that_others_change);
    tcase_add_test(tests, head_is_not_taken_from_tables_that_are_not_ours_any_more);
    tcase_add_test(tests, store_for_reading_is_woken);
    tcase_add_loop_test(tests, immutable_file_and_one_in_memory_are_not_polled, 0, 2);
    tcase_add_test(tests, polling_has_one_connection);
    tcase_add_test(tests, thread_polls_until_it_is_stopped_and_may_be_started_again);
    tcase_add_test(tests, waits_go_on_when_the_thread_ends);
    tcase_add_test(tests, thread_is_started_by_two_while_the_one_before_ends);
    tcase_add_loop_test(tests, closing_the_store_ends_the_thread, 0, 2);
    tcase_add_loop_test(tests, polling_on_a_callers_thread_ends_when_stopped_in_a_signal_handler, 0,
                        2);
    tcase_add_test(tests, polling_beside_one_that_waits_ends_when_stopped);
    tcase_add_test(tests, closing_the_store_ends_polling);
    tcase_add_loop_test(tests, polling_and_joining_end_with_their_wait, 0, 2);
    tcase_add_loop_test(tests, descriptor_is_readable_while_there_is_something_to_hear_of, 0, 2);
    tcase_add_test(tests, descriptor_of_a_late_listener_is_readable_at_once);
    tcase_add_test(tests, descriptor_is_readable_after_closing);
    tcase_add_test(tests, listeners_with_descriptors_are_closed_in_any_order);
    return suite;
}

int main(void)
{
    return run_suite(polling_suite());
}
