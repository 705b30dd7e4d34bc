/* Subscriptions: pulling and running, one handle. */
#include "subscriptions.h"

static seen_events seen;

static void open_with_events(void)
{
    seen = (seen_events){ .answer = STELE_REFUSED };
    open_in_file();
    make_seen_table();
    for (int i = 0; i < 10; i++)
        assert_status(append_one(i % 2 == 0 ? "a-1" : "b-1", STELE_ANY, i < 5 ? "t" : "u", NULL),
                      STELE_OK);
}

START_TEST(batch_is_lent_until_it_is_acknowledged)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);

    const stele_batch *batch = pull(subscription);
    ck_assert_uint_eq(batch->count, 10);
    ck_assert_int_eq(batch->through, 10);
    ck_assert(batch->caught_up);
    batch = pull(subscription);
    ck_assert_uint_eq(batch->count, 10);

    assert_status(stele_subscription_ack(subscription, 4), STELE_OK);
    ck_assert_int_eq(saved_position("s"), 4);
    batch = pull(subscription);
    ck_assert_uint_eq(batch->count, 6);
    ck_assert_int_eq(batch->after, 4);
    assert_status(stele_subscription_ack(subscription, batch->through), STELE_OK);
    expect_nothing(subscription);
    ck_assert_int_eq(saved_position("s"), 10);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(run_handles_each_event_once_and_ends_at_the_head)
{
    stele_subscription_options options = make_catch_up("s");

    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_uint_eq(seen.count, 10);
    ck_assert_uint_eq(seen.caught_up, 1);
    ck_assert_int_eq(saved_position("s"), 10);
    assert_status(run_through(&options, &seen), STELE_DONE);
    ck_assert_uint_eq(seen.count, 10);
}
END_TEST

START_TEST(event_that_fails_stops_the_subscription_before_it)
{
    stele_subscription_options options = make_catch_up("s");
    options.tries = 3;
    seen.poison = 6;

    assert_status(run_through(&options, &seen), STELE_REFUSED);
    assert_reason_has("position 6");

    ck_assert_uint_eq(seen.failures, 3 + 1);
    ck_assert_int_eq(saved_position("s"), 5);
    assert_status(run_through(&options, &seen), STELE_REFUSED);
}
END_TEST

START_TEST(event_that_fails_is_parked_with_what_is_behind_it)
{
    stele_subscription_options options = make_catch_up("s");
    options.on_failure = STELE_ON_FAILURE_PARK;
    options.tries = 2;
    seen.poison = 5;

    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_int_eq(saved_position("s"), 10);
}
END_TEST

START_TEST(filter_moves_past_what_does_not_match)
{
    stele_subscription_options options = make_catch_up("s");
    const char *types[] = { "t" };
    options.types = types;
    options.type_count = 1;

    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_uint_eq(seen.count, 5);
    ck_assert_int_eq(saved_position("s"), 10);
}
END_TEST

START_TEST(handler_can_stop_its_run)
{
    stele_subscription_options options = make_subscription("s");
    seen.stop_at = 3;

    assert_status(run_through(&options, &seen), STELE_CANCELLED);

    ck_assert_int_eq(saved_position("s"), 3);
}
END_TEST

static Suite *subscription_suite(void)
{
    Suite *suite = suite_create("subscription");
    TCase *pulling = add_case(suite, "pulling", open_with_events);
    tcase_add_test(pulling, batch_is_lent_until_it_is_acknowledged);
    TCase *running = add_case(suite, "running", open_with_events);
    tcase_add_test(running, run_handles_each_event_once_and_ends_at_the_head);
    tcase_add_test(running, event_that_fails_stops_the_subscription_before_it);
    tcase_add_test(running, event_that_fails_is_parked_with_what_is_behind_it);
    tcase_add_test(running, filter_moves_past_what_does_not_match);
    tcase_add_test(running, handler_can_stop_its_run);
    return suite;
}

int main(void)
{
    return run_suite(subscription_suite());
}
