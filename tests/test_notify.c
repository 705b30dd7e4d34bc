/* The notifier in one process: heads, waits, listeners, and their ends. */
#include "waiter_threads.h"

#include <stele/submit.h>

/* --- Heads --- */

START_TEST(store_has_one_notifier_that_knows_the_head_at_once)
{
    append_some(store, 3);

    stele_notifier *notifier = notifier_of(store);

    ck_assert_int_eq(stele_notifier_head(notifier), 3);
    ck_assert_ptr_eq(notifier_of(store), notifier);
}
END_TEST

/* Before a call returns that has committed, the notifier knows of it. */
START_TEST(head_follows_each_way_to_append)
{
    stele_notifier *notifier = notifier_of(store);
    ck_assert_int_eq(stele_notifier_head(notifier), 0);

    append_some(store, 1);
    ck_assert_int_eq(stele_notifier_head(notifier), 1);

    stele_event event = make_event("noted", "{}");
    stele_append appends[2] = { make_append("a-1", STELE_ANY, &event, 1),
                                make_append("b-1", STELE_ANY, &event, 1) };
    assert_status(stele_store_append_many(store, appends, 2, NULL, NULL), STELE_OK);
    ck_assert_int_eq(stele_notifier_head(notifier), 3);

    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "c-1", STELE_ANY, NULL), STELE_OK);
    ck_assert_int_eq(stele_notifier_head(notifier), 3);
    commit_and_end(transaction);
    ck_assert_int_eq(stele_notifier_head(notifier), 4);

    stele_ticket *ticket = NULL;
    assert_status(stele_store_submit(store, &appends[0], NULL, &ticket), STELE_OK);
    assert_status(stele_store_flush(store, NULL), STELE_OK);
    stele_ticket_close(ticket);
    ck_assert_int_eq(stele_notifier_head(notifier), 5);
}
END_TEST

START_TEST(what_was_rolled_back_is_no_head)
{
    stele_notifier *notifier = notifier_of(store);

    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "a-1", STELE_ANY, NULL), STELE_OK);
    stele_transaction_end(transaction);
    ck_assert_int_eq(stele_notifier_head(notifier), 0);
    assert_status(stele_checkpoint_save(store, "reader", 0), STELE_OK); /* the next commit */
    ck_assert_int_eq(stele_notifier_head(notifier), 0);

    transaction = begin();
    assert_status(append_in(transaction, "a-1", STELE_ANY, NULL), STELE_OK);
    ck_assert_int_eq(run_in(transaction, "SAVEPOINT s"), SQLITE_OK);
    assert_status(append_in(transaction, "a-1", STELE_ANY, NULL), STELE_OK);
    ck_assert_int_eq(run_in(transaction, "ROLLBACK TO s"), SQLITE_OK);
    commit_and_end(transaction);
    ck_assert_int_eq(stele_notifier_head(notifier), 1);
    assert_status(append_one("a-1", 1, "noted", NULL), STELE_OK);
    ck_assert_int_eq(stele_notifier_head(notifier), 2);
}
END_TEST

START_TEST(signal_that_is_not_beyond_the_head_changes_nothing)
{
    stele_notifier *notifier = open_notifier();
    ck_assert_int_eq(stele_notifier_head(notifier), 0);

    assert_status(stele_notifier_signal(notifier, 7), STELE_OK);
    assert_status(stele_notifier_signal(notifier, 7), STELE_OK);
    assert_status(stele_notifier_signal(notifier, 3), STELE_OK);

    ck_assert_int_eq(stele_notifier_head(notifier), 7);
    ck_assert_int_eq(stele_notifier_head(NULL), 0);
    stele_notifier_close(notifier);
}
END_TEST

/* --- Waits --- */

START_TEST(wait_ends_at_once_when_the_head_is_beyond)
{
    stele_notifier *notifier = notifier_of(store);
    append_some(store, 2);
    int64_t head = 0;

    assert_status(wait_ms(notifier, 1, 0, &head), STELE_OK);
    ck_assert_int_eq(head, 2);
    assert_status(stele_notifier_wait(notifier, 0, NULL, NULL), STELE_OK);
    assert_status(wait_ms(notifier, 2, 0, &head), STELE_TIMED_OUT);
    ck_assert_int_eq(head, 2);
    assert_status(wait_ms(notifier, 2, 20, &head), STELE_TIMED_OUT);
    ck_assert_int_eq(head, 2);
}
END_TEST

/* No poll could do that: the interval is a minute. */
START_TEST(append_wakes_who_waits_in_the_process)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.poll_interval_ms = 60000;
    stele_store *own = open_path(_i == 0 ? ":memory:" : test_path("own.db"), &options);
    waiter one;
    start_waiter(&one, notifier_of(own), 0);
    settle();

    append_some(own, 1);

    expect_waiter(&one, STELE_OK);
    stele_store_close(own);
}
END_TEST

START_TEST(append_on_a_wrapped_handle_wakes_who_waits)
{
    sqlite3 *handle = open_raw(_i == 0 ? ":memory:" : test_path("wrapped.db"));
    stele_store *own = NULL;
    assert_status(stele_store_wrap(handle, NULL, &own), STELE_OK);
    waiter one;
    start_waiter(&one, notifier_of(own), 0);
    settle();

    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(own, &transaction), STELE_OK);
    assert_status(append_in(transaction, "a-1", STELE_ANY, NULL), STELE_OK);
    commit_and_end(transaction);

    expect_waiter(&one, STELE_OK);
    stele_store_close(own);
    ck_assert_int_eq(sqlite3_close(handle), SQLITE_OK);
}
END_TEST

enum { CROWD = 64 };

START_TEST(one_append_wakes_all_who_wait)
{
    stele_notifier *notifier = notifier_of(store);
    waiter crowd[CROWD];
    for (int i = 0; i < CROWD; i++)
        start_waiter(&crowd[i], notifier, i % 2);
    settle();

    append_some(store, 2);

    for (int i = 0; i < CROWD; i++)
        expect_waiter(&crowd[i], STELE_OK);
}
END_TEST

static int refuse_to_go_on(void *context)
{
    int *asked = context;
    return ++*asked > 1;
}

START_TEST(wait_is_cancelled_by_its_progress_callback)
{
    stele_notifier *notifier = notifier_of(store);
    int asked = 0;
    stele_wait wait = STELE_WAIT_INIT;
    wait.progress = refuse_to_go_on;
    wait.context = &asked;

    assert_status(stele_notifier_wait(notifier, 0, &wait, NULL), STELE_CANCELLED);

    ck_assert_int_eq(asked, 2);
}
END_TEST

START_TEST(wait_inside_a_transaction_of_the_thread_is_misuse)
{
    stele_notifier *notifier = notifier_of(store);
    stele_listener *listener = open_listener(notifier, 0);
    stele_transaction *transaction = begin();

    assert_status(wait_ms(notifier, 0, 0, NULL), STELE_MISUSE);
    assert_status(hear_ms(listener, 0, NULL), STELE_MISUSE);
    stele_wait none = wait_of(0);
    assert_status(stele_notifier_poll(notifier, &none), STELE_MISUSE);

    stele_transaction_end(transaction);
    assert_status(hear_ms(listener, 0, NULL), STELE_TIMED_OUT);
    stele_listener_close(listener);
}
END_TEST

/* --- Listeners --- */

START_TEST(signals_coalesce_into_one_wake_up)
{
    stele_notifier *notifier = open_notifier();
    stele_listener *listener = open_listener(notifier, 0);
    int64_t head = 0;

    for (int i = 1; i <= 1000; i++)
        assert_status(stele_notifier_signal(notifier, i), STELE_OK);

    assert_status(hear_ms(listener, 0, &head), STELE_OK);
    ck_assert_int_eq(head, 1000);
    assert_status(hear_ms(listener, 0, &head), STELE_TIMED_OUT);
    ck_assert_int_eq(head, 1000);
    stele_listener_close(listener);
    stele_notifier_close(notifier);
}
END_TEST

START_TEST(late_listener_learns_the_head_at_once)
{
    append_some(store, 5);
    stele_notifier *notifier = notifier_of(store);
    int64_t head = 0;

    stele_listener *late = open_listener(notifier, 2);
    stele_listener *current = open_listener(notifier, 5);

    assert_status(hear_ms(late, 0, &head), STELE_OK);
    ck_assert_int_eq(head, 5);
    assert_status(hear_ms(current, 0, &head), STELE_TIMED_OUT);
    stele_listener_close(late);
    stele_listener_close(current);
}
END_TEST

/* Nobody of them ever looks, nor reads its descriptor. */
START_TEST(slow_listeners_keep_nobody_from_appending)
{
    stele_listener *slow[CROWD];
    for (int i = 0; i < CROWD; i++) {
        int descriptor = -1;
        slow[i] = open_listener(notifier_of(store), 0);
        if (i % 8 == 0)
            assert_status(stele_listener_descriptor(slow[i], &descriptor), STELE_OK);
    }

    append_some(store, 500);

    for (int i = 0; i < CROWD; i++) {
        int64_t head = 0;
        assert_status(hear_ms(slow[i], 0, &head), STELE_OK);
        ck_assert_int_eq(head, 500);
        stele_listener_close(slow[i]);
    }
}
END_TEST

/* --- Closing --- */

START_TEST(closing_the_store_wakes_all_who_wait)
{
    stele_notifier *notifier = notifier_of(store);
    stele_listener *listener = open_listener(notifier, 0);
    waiter crowd[CROWD];
    for (int i = 0; i < CROWD; i++)
        start_waiter(&crowd[i], notifier, 0);
    settle();

    close_store();

    for (int i = 0; i < CROWD; i++)
        expect_waiter(&crowd[i], STELE_CLOSED);
    int descriptor = 0;
    assert_status(hear_ms(listener, 0, NULL), STELE_CLOSED);
    assert_status(stele_listener_descriptor(listener, &descriptor), STELE_CLOSED);
    ck_assert_int_eq(descriptor, -1);
    stele_listener_close(listener);
}
END_TEST

START_TEST(closing_a_notifier_wakes_all_who_wait)
{
    stele_notifier *notifier = open_notifier();
    stele_listener *listener = open_listener(notifier, 0);
    waiter crowd[4];
    for (int i = 0; i < 4; i++)
        start_waiter(&crowd[i], notifier, 0);
    settle();

    stele_notifier_close(notifier);

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_join(crowd[i].thread, NULL), 0);
    /* One that had not begun by then would have used freed memory, but for the listener. */
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(crowd[i].status, STELE_CLOSED);
    assert_status(hear_ms(listener, 0, NULL), STELE_CLOSED);
    stele_listener_close(listener);
}
END_TEST

START_TEST(closing_nothing_or_a_stores_own_does_nothing)
{
    stele_notifier_close(NULL);
    stele_listener_close(NULL);
    stele_notifier_stop(NULL);
    stele_notifier *notifier = notifier_of(store);

    stele_notifier_close(notifier);

    append_some(store, 1);
    assert_status(wait_ms(notifier, 0, 0, NULL), STELE_OK);
}
END_TEST

/* --- Misuse --- */

START_TEST(wrong_arguments_are_misuse)
{
    stele_notifier *notifier = notifier_of(store);
    stele_listener *listener = NULL;
    int descriptor = 0;
    stele_wait odd = STELE_WAIT_INIT;
    odd.struct_size = 0;

    assert_status(stele_store_notifier(NULL, &notifier), STELE_MISUSE);
    ck_assert_ptr_null(notifier);
    assert_status(stele_store_notifier(store, NULL), STELE_MISUSE);
    notifier = notifier_of(store);
    assert_status(stele_notifier_open(NULL), STELE_MISUSE);
    assert_status(stele_notifier_signal(NULL, 1), STELE_MISUSE);
    assert_status(stele_notifier_signal(notifier, -1), STELE_MISUSE);
    assert_status(stele_notifier_wait(NULL, 0, NULL, NULL), STELE_MISUSE);
    assert_status(stele_notifier_wait(notifier, -1, NULL, NULL), STELE_MISUSE);
    assert_status(stele_notifier_wait(notifier, 0, &odd, NULL), STELE_MISUSE);
    assert_status(stele_notifier_start(NULL), STELE_MISUSE);
    assert_status(stele_notifier_poll(NULL, NULL), STELE_MISUSE);
    assert_status(stele_notifier_poll(notifier, &odd), STELE_MISUSE);
    assert_status(stele_notifier_join(NULL, NULL), STELE_MISUSE);
    assert_status(stele_notifier_join(notifier, &odd), STELE_MISUSE);
    assert_status(stele_listener_open(NULL, 0, &listener), STELE_MISUSE);
    assert_status(stele_listener_open(notifier, -1, &listener), STELE_MISUSE);
    assert_status(stele_listener_open(notifier, 0, NULL), STELE_MISUSE);
    assert_status(stele_listener_wait(NULL, NULL, NULL), STELE_MISUSE);
    assert_status(stele_listener_descriptor(NULL, &descriptor), STELE_MISUSE);
    listener = open_listener(notifier, 0);
    assert_status(stele_listener_descriptor(listener, NULL), STELE_MISUSE);
    stele_listener_close(listener);
}
END_TEST

START_TEST(poll_options_have_bounds)
{
    stele_options options = STELE_OPTIONS_INIT;
    ck_assert_uint_eq(options.poll_interval_ms, 50);
    ck_assert_uint_eq(options.poll_floor_ms, 5);

    options.poll_interval_ms = 0;
    refuse_path(":memory:", &options, STELE_MISUSE);
    options.poll_interval_ms = 60001;
    refuse_path(":memory:", &options, STELE_MISUSE);
    options.poll_interval_ms = 4;
    refuse_path(":memory:", &options, STELE_MISUSE);
    options.poll_floor_ms = 0;
    refuse_path(":memory:", &options, STELE_MISUSE);
    options.poll_floor_ms = 4;
    stele_store_close(open_path(":memory:", &options));
}
END_TEST

typedef struct inherited {
    stele_notifier *of_store;
    stele_notifier *alone;
    stele_listener *listeners[2];
} inherited;

static int use_after_fork(void *context)
{
    inherited *all = context;
    bool refused = wait_ms(all->of_store, 0, 0, NULL) == STELE_MISUSE
                   && wait_ms(all->alone, 0, 0, NULL) == STELE_MISUSE
                   && stele_notifier_signal(all->alone, 1) == STELE_MISUSE
                   && stele_notifier_start(all->of_store) == STELE_MISUSE
                   && hear_ms(all->listeners[0], 0, NULL) == STELE_MISUSE
                   && hear_ms(all->listeners[1], 0, NULL) == STELE_MISUSE;
    stele_listener_close(all->listeners[0]);
    stele_listener_close(all->listeners[1]);
    stele_notifier_close(all->alone);
    stele_store_close(store);
    return refused ? 0 : 1;
}

START_TEST(after_fork_a_child_may_only_free)
{
    inherited all = { .of_store = notifier_of(store), .alone = open_notifier() };
    all.listeners[0] = open_listener(all.of_store, 0);
    all.listeners[1] = open_listener(all.alone, 0);
    int descriptor = -1;
    assert_status(stele_listener_descriptor(all.listeners[1], &descriptor), STELE_OK);

    ck_assert_int_eq(run_in_child(use_after_fork, &all), 0);

    assert_status(stele_notifier_signal(all.alone, 1), STELE_OK);
    ck_assert(is_readable(descriptor, 0));
    stele_listener_close(all.listeners[0]);
    stele_listener_close(all.listeners[1]);
    stele_notifier_close(all.alone);
}
END_TEST

static Suite *notify_suite(void)
{
    Suite *suite = suite_create("notify");
    for (int file = 0; file < 2; file++) {
        TCase *tests =
            add_case(suite, file ? "file" : "memory", file ? open_in_file : open_in_memory);
        tcase_add_test(tests, store_has_one_notifier_that_knows_the_head_at_once);
        tcase_add_test(tests, head_follows_each_way_to_append);
        tcase_add_test(tests, what_was_rolled_back_is_no_head);
        tcase_add_test(tests, wait_ends_at_once_when_the_head_is_beyond);
        tcase_add_test(tests, one_append_wakes_all_who_wait);
        tcase_add_test(tests, wait_is_cancelled_by_its_progress_callback);
        tcase_add_test(tests, wait_inside_a_transaction_of_the_thread_is_misuse);
        tcase_add_test(tests, late_listener_learns_the_head_at_once);
        tcase_add_test(tests, slow_listeners_keep_nobody_from_appending);
        tcase_add_test(tests, closing_the_store_wakes_all_who_wait);
        tcase_add_test(tests, closing_nothing_or_a_stores_own_does_nothing);
    }
    TCase *tests = add_case(suite, "more", open_in_memory);
    tcase_add_test(tests, signal_that_is_not_beyond_the_head_changes_nothing);
    tcase_add_loop_test(tests, append_wakes_who_waits_in_the_process, 0, 2);
    tcase_add_loop_test(tests, append_on_a_wrapped_handle_wakes_who_waits, 0, 2);
    tcase_add_test(tests, signals_coalesce_into_one_wake_up);
    tcase_add_test(tests, closing_a_notifier_wakes_all_who_wait);
    tcase_add_test(tests, wrong_arguments_are_misuse);
    tcase_add_test(tests, poll_options_have_bounds);
    tcase_add_test(tests, after_fork_a_child_may_only_free);
    return suite;
}

int main(void)
{
    return run_suite(notify_suite());
}
