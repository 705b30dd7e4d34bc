/* Workers: subscriptions on threads of their own. */
#include "groups.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

static atomic_int handled;
static atomic_int in_handler;
static stele_worker *worker;

static void open_with_ten(void)
{
    atomic_store(&handled, 0);
    atomic_store(&in_handler, 0);
    worker = NULL;
    open_in_file();
    make_handled_table();
    append_spread(store, 0, 10);
}

/* What the handler does besides counting. */
typedef struct counting {
    stele_status answer; /* of the event at `at` */
    int64_t at;
    stele_status waited; /* what waiting for its own worker answers */
    bool waits;
} counting;

static stele_status count_event(void *context, const stele_record *record,
                                const stele_handling *handling)
{
    counting *count = context;
    atomic_fetch_add(&in_handler, 1);
    if (count->waits)
        count->waited = stele_worker_wait(worker, NULL);
    if (record->position == count->at) {
        (void)handling;
        return count->answer;
    }
    atomic_fetch_add(&handled, 1);
    return STELE_OK;
}

static stele_handler counting_with(counting *count)
{
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = count_event;
    handler.context = count;
    return handler;
}

static void start_worker(const stele_subscription_options *options, counting *count,
                         uint32_t threads)
{
    stele_handler handler = counting_with(count);
    assert_status(stele_worker_start(store, options, &handler, threads, &worker), STELE_OK);
    ck_assert_ptr_nonnull(worker);
}

static void wait_for_handled(int count)
{
    for (int i = 0; i < 12000 && atomic_load(&handled) < count; i++)
        sleep_ms(5);
    ck_assert_int_ge(atomic_load(&handled), count);
}

/* --- What it ends with --- */

START_TEST(worker_that_comes_to_its_stop_is_done)
{
    stele_subscription_options options = make_catch_up("s");
    counting count = { 0 };

    start_worker(&options, &count, 1);
    assert_status(stele_worker_wait(worker, NULL), STELE_DONE);
    assert_status(stele_worker_wait(worker, NULL), STELE_DONE);
    stele_worker_close(worker);

    ck_assert_int_eq(atomic_load(&handled), 10);
    ck_assert_int_eq(saved_position("s"), 10);
}
END_TEST

START_TEST(worker_with_several_threads_is_done_when_all_are)
{
    stele_subscription_options options = make_catch_up("g");
    counting count = { 0 };
    options.lanes = 4;

    start_worker(&options, &count, 3);
    assert_status(stele_worker_wait(worker, NULL), STELE_DONE);
    stele_worker_close(worker);

    ck_assert_int_eq(atomic_load(&handled), 10);
    ck_assert_int_eq(saved_position("g"), 10);
}
END_TEST

START_TEST(worker_that_was_stopped_is_ok)
{
    stele_subscription_options options = make_subscription("s");
    counting count = { 0 };
    start_worker(&options, &count, 2);
    wait_for_handled(10);

    stele_worker_stop(worker);

    assert_status(stele_worker_wait(worker, NULL), STELE_OK);
    stele_worker_close(worker);
    ck_assert_int_eq(saved_position("s"), 10);
}
END_TEST

START_TEST(worker_tells_the_failure_that_ended_a_thread)
{
    stele_subscription_options options = make_subscription("s");
    counting count = { .answer = STELE_REFUSED, .at = 6 };
    options.tries = 2;
    start_worker(&options, &count, 1);

    assert_status(stele_worker_wait(worker, NULL), STELE_REFUSED);
    assert_reason_has("position 6");
    assert_status(stele_worker_wait(worker, NULL), STELE_REFUSED);
    assert_reason_has("position 6");
    stele_worker_close(worker);
}
END_TEST

START_TEST(handler_that_cancels_ends_the_worker_as_if_stopped)
{
    stele_subscription_options options = make_subscription("s");
    counting count = { .answer = STELE_CANCELLED, .at = 6 };
    start_worker(&options, &count, 1);

    assert_status(stele_worker_wait(worker, NULL), STELE_OK);
    stele_worker_close(worker);
}
END_TEST

static int refuse_to_wait(void *context)
{
    (void)context;
    return 1;
}

START_TEST(waiting_ends_by_its_own_patience_while_threads_run)
{
    stele_subscription_options options = make_subscription("s");
    counting count = { 0 };
    start_worker(&options, &count, 2);
    stele_wait wait = wait_for_ms(20);

    assert_status(stele_worker_wait(worker, &wait), STELE_TIMED_OUT);
    wait = (stele_wait)STELE_WAIT_INIT;
    wait.progress = refuse_to_wait;
    assert_status(stele_worker_wait(worker, &wait), STELE_CANCELLED);
    wait.struct_size = 3;
    assert_status(stele_worker_wait(worker, &wait), STELE_MISUSE);
    stele_worker_close(worker);
}
END_TEST

START_TEST(wrong_arguments_are_misuse)
{
    stele_subscription_options options = make_subscription("s");
    counting count = { 0 };
    stele_handler handler = counting_with(&count);

    assert_status(stele_worker_start(NULL, &options, &handler, 1, &worker), STELE_MISUSE);
    assert_status(stele_worker_start(store, &options, &handler, 1, NULL), STELE_MISUSE);
    assert_status(stele_worker_start(store, &options, &handler, 0, &worker), STELE_MISUSE);
    assert_status(stele_worker_start(store, &options, &handler, 65, &worker), STELE_MISUSE);
    assert_status(stele_worker_start(store, &options, NULL, 1, &worker), STELE_MISUSE);
    handler.event = NULL;
    assert_status(stele_worker_start(store, &options, &handler, 1, &worker), STELE_MISUSE);
    handler = counting_with(&count);
    options.lease_ms = 1;
    assert_status(stele_worker_start(store, &options, &handler, 1, &worker), STELE_MISUSE);
    ck_assert_ptr_null(worker);
    assert_status(stele_worker_wait(NULL, NULL), STELE_MISUSE);
    stele_worker_stop(NULL);
    stele_worker_close(NULL);
}
END_TEST

START_TEST(thread_of_a_worker_cannot_wait_for_it)
{
    stele_subscription_options options = make_catch_up("s");
    counting count = { .waits = true };
    stele_transaction *transaction = begin();
    start_worker(&options, &count, 1);
    assert_status(stele_worker_wait(worker, NULL), STELE_MISUSE);
    stele_transaction_end(transaction);

    assert_status(stele_worker_wait(worker, NULL), STELE_DONE);
    ck_assert_int_eq(count.waited, STELE_MISUSE);
    stele_worker_close(worker);
}
END_TEST

/* --- Ending in the middle --- */

static void stop_in_handler(int number)
{
    (void)number;
    stele_worker_stop(worker);
}

START_TEST(worker_is_stopped_from_a_signal_handler)
{
    stele_subscription_options options = make_subscription("s");
    counting count = { 0 };
    start_worker(&options, &count, 2);
    wait_for_handled(10);
    struct sigaction action = { .sa_handler = stop_in_handler };
    struct sigaction before;
    ck_assert_int_eq(sigaction(SIGUSR1, &action, &before), 0);

    raise(SIGUSR1);

    assert_status(stele_worker_wait(worker, NULL), STELE_OK);
    sigaction(SIGUSR1, &before, NULL);
    stele_worker_close(worker);
}
END_TEST

START_TEST(store_is_closed_while_a_worker_runs)
{
    stele_subscription_options options = make_subscription("g");
    counting count = { 0 };
    options.lanes = _i == 0 ? 0 : 4;
    start_worker(&options, &count, 3);
    wait_for_handled(10);

    close_store();

    assert_status(stele_worker_wait(worker, NULL), STELE_CLOSED);
    stele_worker_close(worker);
}
END_TEST

static void *append_in_background(void *context)
{
    append_spread(store, 10, 200);
    return context;
}

START_TEST(worker_is_closed_in_the_middle_and_the_next_goes_on_exactly_there)
{
    pthread_t appender;
    stele_subscription_options options = make_group(4);
    stele_handler handler = writing_down(NULL);
    ck_assert_int_eq(pthread_create(&appender, NULL, append_in_background, NULL), 0);

    for (int i = 0; i < 8; i++) {
        assert_status(stele_worker_start(store, &options, &handler, 2, &worker), STELE_OK);
        sleep_ms(15);
        stele_worker_close(worker);
    }
    pthread_join(appender, NULL);
    options.stop = STELE_STOP_HEAD;
    assert_status(stele_worker_start(store, &options, &handler, 2, &worker), STELE_OK);
    assert_status(stele_worker_wait(worker, NULL), STELE_DONE);
    stele_worker_close(worker);

    expect_handled_once();
}
END_TEST

START_TEST(threads_that_stand_by_for_each_other_handle_each_event_once)
{
    stele_subscription_options options = make_subscription("g");
    stele_handler handler = writing_down(NULL);
    assert_status(stele_worker_start(store, &options, &handler, 4, &worker), STELE_OK);

    append_spread(store, 10, 200);
    wait_until_handled(210);
    stele_worker_close(worker);

    expect_handled_once();
}
END_TEST

START_TEST(owner_is_numbered_for_each_thread)
{
    stele_subscription_options options = make_group(4);
    counting count = { 0 };
    options.owner = "w";
    start_worker(&options, &count, 2);
    wait_for_handled(10);
    for (int i = 0; i < 12000 && sql_number(store_path(), "SELECT count(*) FROM members") < 2; i++)
        sleep_ms(5);

    ck_assert_int_eq(
        sql_number(store_path(), "SELECT count(*) FROM members WHERE owner IN ('w:1', 'w:2')"), 2);
    stele_worker_close(worker);
}
END_TEST

static Suite *worker_suite(void)
{
    Suite *suite = suite_create("worker");
    TCase *outcomes = add_case(suite, "outcomes", open_with_ten);
    tcase_add_test(outcomes, worker_that_comes_to_its_stop_is_done);
    tcase_add_test(outcomes, worker_with_several_threads_is_done_when_all_are);
    tcase_add_test(outcomes, worker_that_was_stopped_is_ok);
    tcase_add_test(outcomes, worker_tells_the_failure_that_ended_a_thread);
    tcase_add_test(outcomes, handler_that_cancels_ends_the_worker_as_if_stopped);
    tcase_add_test(outcomes, waiting_ends_by_its_own_patience_while_threads_run);
    tcase_add_test(outcomes, wrong_arguments_are_misuse);
    tcase_add_test(outcomes, thread_of_a_worker_cannot_wait_for_it);
    TCase *ending = add_case(suite, "ending", open_with_ten);
    tcase_set_timeout(ending, 60);
    tcase_add_test(ending, worker_is_stopped_from_a_signal_handler);
    tcase_add_loop_test(ending, store_is_closed_while_a_worker_runs, 0, 2);
    tcase_add_test(ending, worker_is_closed_in_the_middle_and_the_next_goes_on_exactly_there);
    tcase_add_test(ending, threads_that_stand_by_for_each_other_handle_each_event_once);
    tcase_add_test(ending, owner_is_numbered_for_each_thread);
    return suite;
}

int main(void)
{
    return run_suite(worker_suite());
}
