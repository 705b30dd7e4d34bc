/*
 * Subscriptions on every kind of store, without a name, by two handles, across fork(), and closed
 * in every order.
 */
#include "subscriptions.h"

#include <time.h>

enum { EVENTS = 10 };

static seen_events seen;

static void fill_store(void)
{
    seen = (seen_events){ .answer = STELE_REFUSED };
    for (int i = 0; i < EVENTS; i++)
        assert_status(append_one(i % 2 == 0 ? "a-1" : "b-1", STELE_ANY, "t", NULL), STELE_OK);
}

static void open_file_with_events(void)
{
    open_in_file();
    fill_store();
}

static void open_memory_with_events(void)
{
    open_in_memory();
    fill_store();
}

/* --- Kinds of stores --- */

START_TEST(in_memory_it_is_as_in_a_file)
{
    stele_subscription_options options = make_catch_up("s");
    make_seen_table();

    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_uint_eq(seen.count, EVENTS);
    ck_assert_int_eq(saved_position("s"), EVENTS);
    stele_subscription *subscription = open_subscription(&options);
    const stele_batch *none = NULL;
    assert_status(stele_subscription_next(subscription, NULL, &none), STELE_DONE);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(on_a_wrapped_handle_it_is_as_on_an_own_one)
{
    close_store();
    sqlite3 *raw = open_raw(store_path());
    assert_status(stele_store_wrap(raw, NULL, &store), STELE_OK);
    stele_subscription_options options = make_catch_up("s");
    make_seen_table();

    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_uint_eq(seen.count, EVENTS);
    ck_assert_int_eq(saved_position("s"), EVENTS);
    close_store();
    sqlite3_close(raw);
    open_in_file();
}
END_TEST

START_TEST(where_nothing_may_be_written_it_has_no_name)
{
    stele_options only_reading = STELE_OPTIONS_INIT;
    only_reading.read_only = true;
    close_store();
    store = open_path(store_path(), &only_reading);
    stele_subscription_options options = make_catch_up("s");
    stele_subscription *subscription = NULL;

    assert_status(stele_subscription_open(store, &options, &subscription), STELE_READ_ONLY);
    options.name = NULL;
    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_uint_eq(seen.count, EVENTS);
}
END_TEST

/* --- Without a name --- */

START_TEST(without_a_name_nothing_is_kept)
{
    stele_subscription_options options = make_catch_up(NULL);

    for (size_t round = 1; round <= 2; round++) {
        assert_status(run_through(&options, &seen), STELE_DONE);
        ck_assert_uint_eq(seen.count, round * EVENTS);
    }

    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM checkpoints"), 0);
}
END_TEST

START_TEST(without_a_name_a_failure_stops_the_handle)
{
    stele_subscription_options options = make_catch_up(NULL);
    options.tries = 2;
    seen.poison = 4;
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = seeing(&seen);

    for (int i = 0; i < 2; i++) {
        assert_status(stele_subscription_run(subscription, &handler), STELE_REFUSED);
        assert_reason_has("position 4");
        ck_assert_uint_eq(seen.count, 3);
    }
    stele_subscription_close(subscription);

    options.on_failure = STELE_ON_FAILURE_SKIP;
    seen.count = 0;
    assert_status(run_through(&options, &seen), STELE_DONE);
    ck_assert_uint_eq(seen.count, EVENTS - 1);
}
END_TEST

START_TEST(what_needs_a_name_is_refused_without_one)
{
    stele_subscription_options options = make_subscription(NULL);
    stele_subscription *subscription = NULL;
    options.on_failure = STELE_ON_FAILURE_PARK;
    assert_status(stele_subscription_open(store, &options, &subscription), STELE_MISUSE);
    options.on_failure = STELE_ON_FAILURE_STOP;
    options.lanes = 2;
    assert_status(stele_subscription_open(store, &options, &subscription), STELE_MISUSE);
    options.lanes = 0;
    subscription = open_subscription(&options);
    pull(subscription);
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_subscription_ack(transaction, subscription, 1), STELE_MISUSE);
    stele_transaction_end(transaction);
    stele_subscription_close(subscription);
}
END_TEST

/* --- Options --- */

START_TEST(options_that_can_not_be_are_refused)
{
    stele_subscription *subscription = NULL;
    for (int i = 0; i < 16; i++) {
        stele_subscription_options options = make_subscription("s");
        static char longest[256];
        memset(longest, 'n', 201);
        longest[201] = '\0';
        switch (i) {
        case 0: options.struct_size = 0; break;
        case 1: options.name = "$own"; break;
        case 2: options.name = ""; break;
        case 3: options.name = longest; break;
        case 4: options.batch_count_max = 0; break;
        case 5: options.batch_size_max = 0; break;
        case 6: options.tries = 0; break;
        case 7: options.backoff_ms = 5000; break;
        case 8: options.lanes = STELE_LANES_MAX + 1; break;
        case 9: options.lease_ms = 999; break;
        case 10: options.start = (stele_start)3; break;
        case 11: options.stop = (stele_stop)-1; break;
        case 12: options.delivery = (stele_delivery)2; break;
        case 13: options.on_failure = (stele_on_failure)4; break;
        case 14: options.start_position = -1; break;
        default: options.stream = "a-1", options.category = "a"; break;
        }
        assert_status(stele_subscription_open(store, &options, &subscription), STELE_MISUSE);
        ck_assert_ptr_null(subscription);
    }
    assert_status(stele_subscription_open(NULL, NULL, &subscription), STELE_MISUSE);
    assert_status(stele_subscription_open(store, NULL, NULL), STELE_MISUSE);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM checkpoints"), 0);
}
END_TEST

/* --- Two handles --- */

START_TEST(another_handle_stands_by_until_the_first_is_closed)
{
    stele_subscription_options options = make_subscription("s");
    options.batch_count_max = 4;
    stele_subscription *first = open_subscription(&options);
    stele_subscription *second = open_subscription(&options);
    pull(first);

    expect_nothing(second);
    assert_status(stele_subscription_ack(first, 2), STELE_OK);
    expect_nothing(second);
    stele_subscription_close(first);

    ck_assert_int_eq(pull(second)->records[0]->position, 3);
    stele_subscription_close(second);
}
END_TEST

START_TEST(who_was_overtaken_is_refused)
{
    stele_subscription_options options = make_subscription("s");
    options.owner = "same"; /* as one that came again: it doesn't wait for its own lease */
    stele_subscription *first = open_subscription(&options);
    stele_subscription *second = open_subscription(&options);
    const stele_batch *batch = NULL;
    stele_transaction *transaction = NULL;
    pull(first);
    pull(second);

    if (_i == 0) {
        assert_status(stele_subscription_ack(first, EVENTS), STELE_FENCED);
    } else if (_i == 1) {
        transaction = begin();
        assert_status(stele_transaction_subscription_ack(transaction, first, EVENTS), STELE_FENCED);
        ck_assert_int_lt(stele_transaction_commit(transaction), 0);
        stele_transaction_end(transaction);
    } else {
        assert_status(stele_subscription_reject(first, 3, "bad"), STELE_OK);
        assert_status(stele_subscription_reject(first, 3, "bad"), STELE_MISUSE);
    }
    ck_assert_int_eq(saved_position("s"), 0);
    for (int i = 1; i <= EVENTS; i++) { /* one by one: the first may have died of one */
        if (i > 1)
            ck_assert_int_eq(pull(second)->records[0]->position, i);
        assert_status(stele_subscription_ack(second, i), STELE_OK);
    }
    stele_wait wait = wait_for_ms(50);
    if (_i == 2) { /* it has not heard of it yet */
        pull(first);
        assert_status(stele_subscription_ack(first, 2), STELE_FENCED);
    }
    assert_status(stele_subscription_next(first, &wait, &batch), STELE_TIMED_OUT);
    ck_assert_int_eq(saved_position("s"), EVENTS);
    stele_subscription_close(first);
    stele_subscription_close(second);
}
END_TEST

static stele_status be_overtaken(void *context, const stele_record *record,
                                 const stele_handling *handling)
{
    seen_events *noted = context;
    if (record->position == 5 && noted->failures++ == 0) {
        /* Without a transaction, it takes so long that another has done all of it. */
        stele_subscription_options options = make_catch_up("s");
        options.owner = "same";
        static seen_events other;
        other = (seen_events){ .count = 0 };
        options.delivery = STELE_AT_LEAST_ONCE;
        ck_assert_int_eq(run_through(&options, &other), STELE_DONE);
        ck_assert_uint_eq(other.count, EVENTS);
    }
    return see_event(context, record, handling);
}

START_TEST(a_run_that_was_overtaken_goes_on_where_the_other_is)
{
    stele_subscription_options options = make_catch_up("s");
    options.owner = "same";
    options.delivery = STELE_AT_LEAST_ONCE;
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = seeing(&seen);
    handler.event = be_overtaken;

    assert_status(stele_subscription_run(subscription, &handler), STELE_DONE);

    ck_assert_uint_eq(seen.count, EVENTS);
    ck_assert_int_eq(saved_position("s"), EVENTS);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(opening_again_with_nothing_to_do_writes_nothing)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    assert_status(stele_subscription_ack(subscription, pull(subscription)->through), STELE_OK);
    stele_subscription_close(subscription);
    int64_t checksum = sql_number(store_path(), "SELECT checksum FROM checkpoints");

    for (int i = 0; i < 3; i++) {
        subscription = open_subscription(&options);
        expect_nothing(subscription);
        stele_subscription_close(subscription);
    }
    options.stop = STELE_STOP_HEAD;
    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_int_eq(sql_number(store_path(), "SELECT checksum FROM checkpoints"), checksum);
}
END_TEST

/* --- Ends --- */

START_TEST(after_a_stop_each_call_is_cancelled_and_what_was_done_may_be_told)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    const stele_batch *none = NULL;
    stele_handler handler = seeing(&seen);
    pull(subscription);

    stele_subscription_stop(subscription);

    assert_status(stele_subscription_ack(subscription, 3), STELE_OK);
    for (int i = 0; i < 2; i++) {
        assert_status(stele_subscription_next(subscription, NULL, &none), STELE_CANCELLED);
        assert_status(stele_subscription_run(subscription, &handler), STELE_CANCELLED);
    }
    stele_subscription_stop(NULL);
    stele_subscription_close(subscription);
    stele_subscription_close(NULL);
    ck_assert_int_eq(saved_position("s"), 3);
}
END_TEST

static int give_up(void *context)
{
    int *calls = context;
    return ++*calls >= 3;
}

START_TEST(a_wait_can_be_cancelled_by_its_caller)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    assert_status(stele_subscription_ack(subscription, pull(subscription)->through), STELE_OK);
    int calls = 0;
    stele_wait wait = STELE_WAIT_INIT;
    wait.progress = give_up;
    wait.context = &calls;
    const stele_batch *none = NULL;

    assert_status(stele_subscription_next(subscription, &wait, &none), STELE_CANCELLED);

    ck_assert_int_eq(calls, 3);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    ck_assert_uint_eq(pull(subscription)->count, 1);
    wait.struct_size = 0;
    assert_status(stele_subscription_next(subscription, &wait, &none), STELE_MISUSE);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(a_subscription_outlives_its_store)
{
    stele_subscription_options options = make_subscription("s");
    options.delivery = STELE_AT_LEAST_ONCE;
    options.ack_flush_ms = 600000;
    options.owner = "me";
    stele_subscription *subscription = open_subscription(&options);
    const stele_batch *batch = pull(subscription);
    char key[STELE_SUBSCRIPTION_KEY_SIZE];
    const stele_record *record = batch->records[0];

    close_store();

    assert_status(stele_subscription_ack(subscription, 4), STELE_CLOSED);
    assert_status(stele_subscription_reject(subscription, 4, ""), STELE_CLOSED);
    assert_status(stele_subscription_key(subscription, record, key), STELE_CLOSED);
    assert_status(stele_subscription_next(subscription, NULL, &batch), STELE_CLOSED);
    stele_handler handler = seeing(&seen);
    assert_status(stele_subscription_run(subscription, &handler), STELE_CLOSED);
    stele_subscription_stop(subscription);
    stele_subscription_close(subscription);
    open_in_file();
    subscription = open_subscription(&options);
    ck_assert_int_eq(pull(subscription)->after, 0);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(closing_inside_a_transaction_of_this_thread_leaves_the_lease)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_subscription_ack(transaction, subscription, 4), STELE_OK);

    stele_subscription_close(subscription);

    commit_and_end(transaction);
    ck_assert_int_eq(saved_position("s"), 4);
    ck_assert_int_gt(sql_number(store_path(), "SELECT length(owner) FROM checkpoints"), 0);
}
END_TEST

static int use_after_fork(void *context)
{
    stele_subscription *subscription = context;
    const stele_batch *none = NULL;
    stele_handler handler = seeing(&seen);
    if (stele_subscription_next(subscription, NULL, &none) != STELE_MISUSE
        || stele_subscription_ack(subscription, 3) != STELE_MISUSE
        || stele_subscription_run(subscription, &handler) != STELE_MISUSE)
        return 1;
    stele_subscription_stop(subscription);
    stele_subscription_close(subscription);
    return 0;
}

START_TEST(a_child_may_only_free_it)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);

    ck_assert_int_eq(run_in_child(use_after_fork, subscription), 0);

    assert_status(stele_subscription_ack(subscription, EVENTS), STELE_OK);
    stele_subscription_close(subscription);
}
END_TEST

static Suite *subscription_modes_suite(void)
{
    Suite *suite = suite_create("subscription modes");
    TCase *memory = add_case(suite, "memory", open_memory_with_events);
    tcase_add_test(memory, in_memory_it_is_as_in_a_file);
    TCase *tests = add_case(suite, "file", open_file_with_events);
    tcase_add_test(tests, on_a_wrapped_handle_it_is_as_on_an_own_one);
    tcase_add_test(tests, where_nothing_may_be_written_it_has_no_name);
    tcase_add_test(tests, without_a_name_nothing_is_kept);
    tcase_add_test(tests, without_a_name_a_failure_stops_the_handle);
    tcase_add_test(tests, what_needs_a_name_is_refused_without_one);
    tcase_add_test(tests, options_that_can_not_be_are_refused);
    tcase_add_test(tests, another_handle_stands_by_until_the_first_is_closed);
    tcase_add_loop_test(tests, who_was_overtaken_is_refused, 0, 3);
    tcase_add_test(tests, a_run_that_was_overtaken_goes_on_where_the_other_is);
    tcase_add_test(tests, opening_again_with_nothing_to_do_writes_nothing);
    tcase_add_test(tests, after_a_stop_each_call_is_cancelled_and_what_was_done_may_be_told);
    tcase_add_test(tests, a_wait_can_be_cancelled_by_its_caller);
    tcase_add_test(tests, a_subscription_outlives_its_store);
    tcase_add_test(tests, closing_inside_a_transaction_of_this_thread_leaves_the_lease);
    tcase_add_test(tests, a_child_may_only_free_it);
    return suite;
}

int main(void)
{
    return run_suite(subscription_modes_suite());
}
