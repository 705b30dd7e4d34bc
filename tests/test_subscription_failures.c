/* Subscriptions and events that can't be handled: each policy, pauses, and what waits behind. */
#include "subscriptions.h"

#include <stele/lifecycle.h>

#include <time.h>

enum { EVENTS = 12 };

static seen_events seen;

static void open_with_events(void)
{
    seen = (seen_events){ .answer = STELE_REFUSED };
    open_in_file();
    make_seen_table();
    for (int i = 0; i < EVENTS; i++) {
        char stream[16];
        snprintf(stream, sizeof(stream), "a-%d", i % 3);
        assert_status(append_one(stream, STELE_ANY, "t", NULL), STELE_OK);
    }
}

static int64_t number_of(const char *sql)
{
    return sql_number(store_path(), sql);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- Policies --- */

START_TEST(stopped_it_stays_so_for_whoever_comes)
{
    stele_subscription_options options = make_catch_up("s");
    const stele_batch *none = NULL;
    options.tries = 2;
    seen.poison = 6;
    assert_status(run_through(&options, &seen), STELE_REFUSED);
    ck_assert_uint_eq(seen.failures, 1 + 2);
    ck_assert_int_eq(number_of("SELECT attempts FROM checkpoints"), 2);
    ck_assert_int_eq(number_of("SELECT error_position FROM checkpoints"), 6);

    stele_subscription *subscription = open_subscription(&options);
    for (int i = 0; i < 2; i++)
        assert_status(stele_subscription_next(subscription, NULL, &none), STELE_REFUSED);
    assert_reason_has("poison");
    ck_assert_int_eq(number_of("SELECT count(*) FROM seen"), 5);

    stele_subscription_close(subscription);
}
END_TEST

static stele_status recover_after(void *context, const stele_record *record,
                                  const stele_handling *handling)
{
    seen_events *noted = context;
    if (noted->failures == 6)
        noted->poison = 0;
    return see_event(context, record, handling);
}

START_TEST(tried_for_ever_it_goes_on_when_it_can)
{
    stele_subscription_options options = make_catch_up("s");
    options.on_failure = STELE_ON_FAILURE_RETRY;
    options.tries = 2;
    options.backoff_ms = 5;
    options.backoff_max_ms = 20;
    seen.poison = 6;
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = seeing(&seen);
    handler.event = recover_after;
    int64_t began = now_ms();

    assert_status(stele_subscription_run(subscription, &handler), STELE_DONE);

    /* After each but the first, which was not alone: 5, 10, 20, 20, 20. */
    ck_assert_int_ge(now_ms() - began, 75);
    ck_assert_uint_eq(seen.failures, 6);
    ck_assert_int_eq(number_of("SELECT count(*) FROM seen"), EVENTS);
    ck_assert_int_eq(number_of("SELECT attempts FROM checkpoints"), 0);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(skipped_it_is_passed_over)
{
    stele_subscription_options options = make_catch_up("s");
    options.on_failure = STELE_ON_FAILURE_SKIP;
    options.tries = 1;
    options.delivery = _i == 0 ? STELE_EXACTLY_ONCE : STELE_AT_LEAST_ONCE;
    seen.poison = 6;

    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_uint_eq(seen.failures, 1 + 1);
    ck_assert_int_eq(saved_position("s"), EVENTS);
    if (_i == 0)
        ck_assert_int_eq(number_of("SELECT count(*) FROM seen"), EVENTS - 1);
    else /* nothing that was done is done again */
        ck_assert_uint_eq(seen.count, EVENTS - 1);
}
END_TEST

/* --- Parked --- */

START_TEST(parked_it_holds_back_only_its_own_stream)
{
    stele_subscription_options options = make_catch_up("s");
    options.on_failure = STELE_ON_FAILURE_PARK;
    options.tries = 2;
    options.delivery = _i % 2 == 0 ? STELE_EXACTLY_ONCE : STELE_AT_LEAST_ONCE;
    options.batch_count_max = _i < 2 ? 1000 : 2;
    seen.poison = 4; /* of a-0: 1, 4, 7, 10 */

    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_int_eq(saved_position("s"), EVENTS);
    ck_assert_int_eq(number_of("SELECT count(*) FROM parked"), 3);
    ck_assert_int_eq(number_of("SELECT position FROM parked WHERE behind = 0"), 4);
    ck_assert_int_eq(number_of("SELECT sum(position) FROM parked WHERE behind <> 0"), 7 + 10);
    ck_assert_int_eq(number_of("SELECT attempts FROM parked WHERE behind = 0"), 2);
    bool had[EVENTS + 1] = { false };
    for (size_t i = 0; i < seen.count; i++)
        had[seen.positions[i]] = true;
    for (int i = 1; i <= EVENTS; i++)
        ck_assert_int_eq(had[i], i != 4 && i != 7 && i != 10);

    /* What comes later, too, of another handle. */
    assert_status(append_one("a-0", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    seen.count = 0;
    assert_status(run_through(&options, &seen), STELE_DONE);
    ck_assert_uint_eq(seen.count, 1);
    ck_assert_int_eq(seen.positions[0], EVENTS + 2);
    ck_assert_int_eq(number_of("SELECT count(*) FROM parked"), 4);
}
END_TEST

/* Pulled in parts: what waits behind goes with the part that passes it. */
START_TEST(what_waits_behind_is_written_with_what_passes_it)
{
    stele_subscription_options options = make_subscription("s");
    options.on_failure = STELE_ON_FAILURE_PARK;
    options.tries = 1;
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);
    assert_status(stele_subscription_reject(subscription, 1, "bad"), STELE_OK);
    ck_assert_int_eq(saved_position("s"), 1);

    const stele_batch *batch = pull(subscription);
    ck_assert_uint_eq(batch->count, EVENTS - 4);
    assert_status(stele_subscription_ack(subscription, 5), STELE_OK);
    ck_assert_int_eq(number_of("SELECT group_concat(position) = '1,4' FROM parked"), 1);
    batch = pull(subscription);
    ck_assert_int_eq(batch->records[0]->position, 6);
    assert_status(stele_subscription_ack(subscription, batch->through), STELE_OK);

    ck_assert_int_eq(number_of("SELECT group_concat(position) = '1,4,7,10' FROM parked"), 1);
    ck_assert_int_eq(number_of("SELECT group_concat(behind) = '0,1,1,1' FROM parked"), 1);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(rewinding_meets_parked_events_anew)
{
    stele_subscription_options options = make_catch_up("s");
    options.on_failure = STELE_ON_FAILURE_PARK;
    options.tries = 1;
    seen.poison = 4;
    assert_status(run_through(&options, &seen), STELE_DONE);
    seen = (seen_events){ .answer = STELE_REFUSED };

    assert_status(stele_checkpoint_save(store, "s", 0), STELE_OK);
    options.delivery = STELE_AT_LEAST_ONCE;
    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_uint_eq(seen.count, EVENTS);
    ck_assert_int_eq(number_of("SELECT count(*) FROM parked"), 0);
}
END_TEST

/* --- Counting --- */

START_TEST(a_try_is_counted_before_the_handler_runs)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);
    assert_status(stele_subscription_reject(subscription, 1, "bad"), STELE_OK);
    ck_assert_int_eq(number_of("SELECT attempts FROM checkpoints"), 1);

    const stele_batch *batch = pull(subscription);

    ck_assert_uint_eq(batch->count, 1);
    ck_assert_uint_eq(batch->attempt, 2);
    ck_assert_int_eq(number_of("SELECT attempts FROM checkpoints"), 2);
    /* The same batch again is the same try. */
    ck_assert_uint_eq(pull(subscription)->attempt, 2);
    ck_assert_int_eq(number_of("SELECT attempts FROM checkpoints"), 2);
    assert_status(stele_subscription_ack(subscription, batch->through), STELE_OK);
    ck_assert_int_eq(number_of("SELECT attempts FROM checkpoints"), 0);
    ck_assert_uint_eq(pull(subscription)->count, EVENTS - 1);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(tries_are_kept_when_a_handle_is_closed)
{
    stele_subscription_options options = make_subscription("s");
    options.tries = 3;
    options.on_failure = STELE_ON_FAILURE_SKIP;
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        stele_subscription *subscription = open_subscription(&options);
        const stele_batch *batch = pull(subscription);
        ck_assert_int_eq(batch->records[0]->position, 1);
        ck_assert_uint_eq(batch->attempt, attempt);
        assert_status(stele_subscription_reject(subscription, 1, "bad"), STELE_OK);
        stele_subscription_close(subscription);
    }

    ck_assert_int_eq(saved_position("s"), 1);
}
END_TEST

START_TEST(tries_are_forgotten_when_the_place_is_set)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);
    assert_status(stele_subscription_reject(subscription, 1, "bad"), STELE_OK);
    assert_status(stele_subscription_reject(subscription, 1, "bad"), STELE_MISUSE);

    assert_status(stele_checkpoint_save(store, "s", 3), STELE_OK);

    const stele_batch *batch = pull(subscription);
    ck_assert_int_eq(batch->records[0]->position, 4);
    ck_assert_uint_eq(batch->attempt, 1);
    ck_assert_uint_eq(batch->count, EVENTS - 3);
    stele_subscription_close(subscription);
}
END_TEST

/* An event that ran while the process was away is none of those that were tried. */
START_TEST(events_are_alone_after_an_unclean_end_and_only_as_many_as_a_batch)
{
    stele_subscription_options options = make_subscription("s");
    options.batch_count_max = 4;
    options.owner = "me";
    stele_subscription *dead = open_subscription(&options);
    pull(dead);
    stele_subscription *subscription = open_subscription(&options);

    for (int i = 1; i <= 4; i++) {
        const stele_batch *batch = pull(subscription);
        ck_assert_uint_eq(batch->count, 1);
        assert_status(stele_subscription_ack(subscription, i), STELE_OK);
    }
    ck_assert_uint_eq(pull(subscription)->count, 4);

    stele_subscription_close(subscription);
    stele_subscription_close(dead);
}
END_TEST

START_TEST(a_reason_is_kept_whole_or_cut)
{
    stele_subscription_options options = make_subscription("s");
    options.tries = 1;
    char reason[1000];
    memset(reason, 'r', sizeof(reason));
    reason[sizeof(reason) - 1] = '\0';
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);

    assert_status(stele_subscription_reject(subscription, 1, _i == 0 ? reason : NULL),
                  STELE_REFUSED);

    ck_assert_int_eq(number_of("SELECT length(error) FROM checkpoints"), _i == 0 ? 399 : 0);
    stele_subscription_close(subscription);
}
END_TEST

/* --- Whose tries they are --- */

START_TEST(tries_of_an_event_that_was_deleted_are_not_those_of_the_next)
{
    stele_subscription_options options = make_subscription("s");
    options.on_failure = STELE_ON_FAILURE_PARK;
    options.tries = 2;
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);
    assert_status(stele_subscription_reject(subscription, 1, "the first"), STELE_OK);
    stele_subscription_close(subscription);
    stele_delete what = STELE_DELETE_INIT;
    what.stream = "a-0";
    assert_status(stele_store_delete(store, &what, NULL), STELE_OK);

    subscription = open_subscription(&options);
    const stele_batch *batch = pull(subscription);

    ck_assert_int_eq(batch->records[0]->position, 2);
    ck_assert_uint_eq(batch->attempt, 1);
    assert_status(stele_subscription_reject(subscription, 2, "the second"), STELE_OK);
    ck_assert_int_eq(number_of("SELECT count(*) FROM parked"), 0);
    ck_assert_int_eq(number_of("SELECT attempts FROM checkpoints"), 1);
    stele_subscription_close(subscription);
}
END_TEST

/* 1 is parked, 4 waits behind it; 2 and 3 are done; 5 fails. Then 1 is dropped. */
START_TEST(tries_of_an_event_are_not_those_of_one_that_waited_before_it)
{
    stele_subscription_options options = make_subscription("s");
    stele_parked_choice choice = STELE_PARKED_CHOICE_INIT;
    options.on_failure = STELE_ON_FAILURE_PARK;
    options.tries = 1;
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);
    assert_status(stele_subscription_reject(subscription, 1, "the first"), STELE_OK);
    stele_subscription_close(subscription);
    options.tries = 2;
    subscription = open_subscription(&options);
    pull(subscription);
    assert_status(stele_subscription_ack(subscription, 3), STELE_OK);
    pull(subscription);
    assert_status(stele_subscription_reject(subscription, 5, "the fifth"), STELE_OK);
    stele_subscription_close(subscription);
    choice.subscription = "s";
    assert_status(stele_parked_drop(store, &choice, NULL), STELE_OK);

    subscription = open_subscription(&options);
    const stele_batch *batch = pull(subscription);

    ck_assert_int_eq(batch->records[0]->position, 5);
    ck_assert_uint_eq(batch->attempt, 2);
    stele_subscription_close(subscription);
}
END_TEST

/* Only an end of the process in the middle of a try may condemn what isn't tried again: not a
 * close, nor an end while it waits to try again. */
START_TEST(with_fewer_tries_than_it_had_an_event_is_still_tried_once_more)
{
    stele_subscription_options options = make_subscription("s");
    options.on_failure = STELE_ON_FAILURE_PARK;
    options.owner = "me";
    stele_subscription *before = open_subscription(&options);
    for (int i = 0; i < 3; i++) {
        pull(before);
        assert_status(stele_subscription_reject(before, 1, "not now"), STELE_OK);
    }
    if (_i == 0)
        stele_subscription_close(before);
    options.tries = 2;

    stele_subscription *subscription = open_subscription(&options);
    const stele_batch *batch = pull(subscription);

    ck_assert_int_eq(batch->records[0]->position, 1);
    ck_assert_uint_eq(batch->attempt, 4);
    ck_assert_int_eq(number_of("SELECT count(*) FROM parked"), 0);
    stele_subscription_close(subscription);
    if (_i == 1)
        stele_subscription_close(before);
}
END_TEST

START_TEST(after_a_clean_end_events_come_together)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);
    assert_status(stele_subscription_ack(subscription, 3), STELE_OK);
    stele_subscription_close(subscription);

    subscription = open_subscription(&options);

    ck_assert_uint_eq(pull(subscription)->count, EVENTS - 3);
    stele_subscription_close(subscription);
}
END_TEST

/* Looks at its batch first, and does nothing of it when it doesn't like an event. */
static stele_status do_all_or_nothing(void *context, const stele_batch *batch,
                                      const stele_handling *handling)
{
    seen_events *noted = context;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->records[i]->position == noted->poison)
            return stele_handling_fail(handling, noted->poison, "not this one");
    }
    for (size_t i = 0; i < batch->count; i++)
        noted->positions[noted->count++] = batch->records[i]->position;
    return STELE_OK;
}

START_TEST(at_least_once_what_a_failed_batch_has_before_its_culprit_comes_again)
{
    stele_subscription_options options = make_catch_up("s");
    stele_handler handler = STELE_HANDLER_INIT;
    handler.batch = do_all_or_nothing;
    handler.context = &seen;
    options.delivery = STELE_AT_LEAST_ONCE;
    options.on_failure = STELE_ON_FAILURE_SKIP;
    options.tries = 1;
    seen.poison = 6;
    stele_subscription *subscription = open_subscription(&options);

    assert_status(stele_subscription_run(subscription, &handler), STELE_DONE);

    ck_assert_uint_eq(seen.count, EVENTS - 1);
    for (size_t i = 0; i < seen.count; i++)
        ck_assert_int_eq(seen.positions[i], (int64_t)i + (i < 5 ? 1 : 2));
    stele_subscription_close(subscription);
}
END_TEST

static Suite *subscription_failures_suite(void)
{
    Suite *suite = suite_create("subscription failures");
    TCase *tests = add_case(suite, "failures", open_with_events);
    tcase_add_test(tests, stopped_it_stays_so_for_whoever_comes);
    tcase_add_test(tests, tried_for_ever_it_goes_on_when_it_can);
    tcase_add_loop_test(tests, skipped_it_is_passed_over, 0, 2);
    tcase_add_loop_test(tests, parked_it_holds_back_only_its_own_stream, 0, 4);
    tcase_add_test(tests, what_waits_behind_is_written_with_what_passes_it);
    tcase_add_test(tests, rewinding_meets_parked_events_anew);
    tcase_add_test(tests, a_try_is_counted_before_the_handler_runs);
    tcase_add_test(tests, tries_are_kept_when_a_handle_is_closed);
    tcase_add_test(tests, tries_are_forgotten_when_the_place_is_set);
    tcase_add_test(tests, events_are_alone_after_an_unclean_end_and_only_as_many_as_a_batch);
    tcase_add_test(tests, tries_of_an_event_that_was_deleted_are_not_those_of_the_next);
    tcase_add_test(tests, tries_of_an_event_are_not_those_of_one_that_waited_before_it);
    tcase_add_loop_test(tests, with_fewer_tries_than_it_had_an_event_is_still_tried_once_more, 0,
                        2);
    tcase_add_test(tests, after_a_clean_end_events_come_together);
    tcase_add_test(tests, at_least_once_what_a_failed_batch_has_before_its_culprit_comes_again);
    tcase_add_loop_test(tests, a_reason_is_kept_whole_or_cut, 0, 2);
    return suite;
}

int main(void)
{
    return run_suite(subscription_failures_suite());
}
