/* Replaying parked events: in order, and at least once. */
#include "parked_replays.h"

/* --- In order --- */

START_TEST(replay_handles_a_stream_in_order_and_lets_it_go_on)
{
    assert_status(replay(), STELE_OK);

    ck_assert_uint_eq(counts.chosen, 3);
    ck_assert_uint_eq(counts.handled, 3);
    ck_assert_uint_eq(counts.failed, 0);
    ck_assert_uint_eq(counts.left, 0);
    ck_assert(seen.replay);
    ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10 5 7 9");
    ck_assert_int_eq(saved_position("s"), 10);

    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(run_through(&options, &seen), STELE_DONE);
    ck_assert(!seen.replay);
    ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10 5 7 9 11");
}
END_TEST

START_TEST(event_that_fails_again_stays_with_what_is_behind_it)
{
    seen.poison = 5;

    assert_status(replay(), STELE_OK);

    ck_assert_uint_eq(counts.handled, 0);
    ck_assert_uint_eq(counts.failed, 1);
    ck_assert_uint_eq(counts.left, 3);
    ck_assert_uint_eq(seen.attempt, 3);
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
    ck_assert_int_eq(parked_at("s", 5).attempts, 3);
    ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10");
}
END_TEST

START_TEST(event_that_waited_and_fails_has_failed_itself)
{
    seen.poison = 7;

    assert_status(replay(), STELE_OK);

    ck_assert_uint_eq(counts.handled, 1);
    ck_assert_uint_eq(counts.failed, 1);
    ck_assert_str_eq(parked_text("s"), "7 9<5");
    ck_assert_str_eq(parked_at("s", 7).reason, "poison");
    ck_assert_int_eq(parked_at("s", 7).attempts, 1);
    seen.poison = 0;
    assert_status(replay(), STELE_OK);
    ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10 5 7 9");
}
END_TEST

START_TEST(new_reason_is_that_of_the_replay)
{
    seen.poison = 5;
    seen.answer = STELE_INVALID;

    assert_status(replay(), STELE_OK);

    ck_assert_str_eq(parked_at("s", 5).reason, stele_status_text(STELE_INVALID));
}
END_TEST

START_TEST(events_that_come_meanwhile_wait_and_are_replayed_in_their_turn)
{
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(append_one("b-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(run_through(&options, &seen), STELE_DONE);
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5 11<5");

    assert_status(replay(), STELE_OK);

    ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10 12 5 7 9 11");
}
END_TEST

START_TEST(choice_limits_what_is_replayed)
{
    choice.limit = 2;
    assert_status(replay(), STELE_OK);
    ck_assert_uint_eq(counts.chosen, 2);
    ck_assert_uint_eq(counts.handled, 2);
    ck_assert_uint_eq(counts.left, 1);
    ck_assert_str_eq(parked_text("s"), "9<5");

    choice = choose(NULL);
    choice.position = 9;
    assert_status(replay(), STELE_OK);
    ck_assert_uint_eq(counts.handled, 1);
    ck_assert_uint_eq(counts.left, 0);
}
END_TEST

START_TEST(choice_of_a_stream_leaves_the_others)
{
    park_of("r", 2);
    park_of("t", 1);
    options = make_parking("r");
    choice = choose("r");
    choice.stream = "a-1";
    assert_status(replay(), STELE_OK);
    ck_assert_uint_eq(counts.chosen, 0);
    choice.stream = "b-1";
    assert_status(replay(), STELE_OK);
    ck_assert_uint_eq(counts.handled, 5);
    ck_assert_str_eq(parked_text("r"), "");
    ck_assert_str_eq(parked_text("t"), "1 3<1 5<1 7<1 9<1");
}
END_TEST

START_TEST(dry_run_of_a_replay_only_counts)
{
    choice.dry_run = true;
    assert_status(replay(), STELE_OK);
    ck_assert_uint_eq(counts.chosen, 3);
    ck_assert_uint_eq(counts.left, 3);
    ck_assert_uint_eq(counts.handled, 0);
    ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10");
}
END_TEST

START_TEST(what_a_page_holds_back_comes_after_the_replay)
{
    stele_subscription_options pulling = make_subscription("s");
    pulling.on_failure = STELE_ON_FAILURE_PARK;
    assert_status(append_one("b-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    stele_subscription *subscription = open_subscription(&pulling);
    stele_handler handler = seeing(&seen);
    const stele_batch *batch = pull(subscription);
    ck_assert_uint_eq(batch->count, 1); /* 12 waits behind 5 */

    assert_status(stele_subscription_replay(subscription, &choice, &handler, &counts), STELE_OK);

    ck_assert_uint_eq(counts.handled, 3);
    assert_status(stele_subscription_ack(subscription, 11), STELE_MISUSE);
    batch = pull(subscription);
    ck_assert_uint_eq(batch->count, 2);
    ck_assert_int_eq(batch->records[0]->position, 11);
    ck_assert_int_eq(batch->records[1]->position, 12);
    assert_status(stele_subscription_ack(subscription, 12), STELE_OK);
    stele_subscription_close(subscription);
    ck_assert_str_eq(parked_text("s"), "");
}
END_TEST

START_TEST(replay_goes_by_lanes_where_there_are_some)
{
    options = make_parking("l");
    options.lanes = 3;
    seen.poison = 5;
    assert_status(run_through(&options, &seen), STELE_DONE);
    seen.poison = 2;
    ck_assert_str_eq(parked_text("l"), "5 7<5 9<5");
    seen.poison = 0;
    choice = choose("l");

    assert_status(replay(), STELE_OK);

    ck_assert_uint_eq(counts.handled, 3);
    ck_assert_str_eq(parked_text("l"), "");
}
END_TEST

/* --- At least once --- */

static stele_status (*meddle)(void);

static stele_status meddling_event(void *context, const stele_record *record,
                                   const stele_handling *handling)
{
    stele_status status = see_event(context, record, handling);
    return status == STELE_OK && meddle != NULL ? meddle() : status;
}

static stele_status replay_plainly(void)
{
    options.delivery = STELE_AT_LEAST_ONCE;
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = seeing(&seen);
    handler.event = meddling_event;
    stele_status status = stele_subscription_replay(subscription, &choice, &handler, &counts);
    stele_subscription_close(subscription);
    return status;
}

START_TEST(at_least_once_is_handled_and_then_taken_away)
{
    assert_status(replay_plainly(), STELE_OK);

    ck_assert_uint_eq(seen.count, 3);
    ck_assert(seen.replay);
    ck_assert_str_eq(parked_text("s"), "");
}
END_TEST

static stele_status drop_all(void)
{
    stele_parked_choice all = choose("s");
    return stele_parked_drop(store, &all, NULL);
}

START_TEST(event_dropped_while_it_is_handled_is_gone)
{
    meddle = drop_all;

    assert_status(replay_plainly(), STELE_OK);

    meddle = NULL;
    ck_assert_uint_eq(seen.count, 1);
    ck_assert_uint_eq(counts.left, 0);
}
END_TEST

static stele_status take_over(void)
{
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    claim.owner = "thief";
    claim.force = true;
    return stele_checkpoint_claim_take(store, "s", &claim, NULL);
}

START_TEST(who_was_overtaken_takes_nothing_away)
{
    meddle = take_over;

    assert_status(replay_plainly(), STELE_FENCED);

    meddle = NULL;
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
}
END_TEST

static stele_status set_back(void)
{
    return stele_checkpoint_save(store, "s", 8);
}

START_TEST(checkpoint_set_meanwhile_is_a_conflict)
{
    meddle = set_back;

    assert_status(replay_plainly(), STELE_CONFLICT);

    meddle = NULL;
    ck_assert_int_eq(saved_position("s"), 8);
    ck_assert_str_eq(parked_text("s"), "5 7<5");
}
END_TEST

static stele_status close_under(void)
{
    close_store();
    return STELE_OK;
}

START_TEST(store_closed_in_the_middle_ends_the_replay)
{
    meddle = close_under;

    assert_status(replay_plainly(), STELE_CLOSED);

    meddle = NULL;
    open_in_file();
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
}
END_TEST

static Suite *parked_replay_suite(void)
{
    Suite *suite = suite_create("parked_replay");
    TCase *order = add_replay_case(suite, "order");
    tcase_add_test(order, replay_handles_a_stream_in_order_and_lets_it_go_on);
    tcase_add_test(order, event_that_fails_again_stays_with_what_is_behind_it);
    tcase_add_test(order, event_that_waited_and_fails_has_failed_itself);
    tcase_add_test(order, new_reason_is_that_of_the_replay);
    tcase_add_test(order, events_that_come_meanwhile_wait_and_are_replayed_in_their_turn);
    tcase_add_test(order, choice_limits_what_is_replayed);
    tcase_add_test(order, choice_of_a_stream_leaves_the_others);
    tcase_add_test(order, dry_run_of_a_replay_only_counts);
    tcase_add_test(order, what_a_page_holds_back_comes_after_the_replay);
    tcase_add_test(order, replay_goes_by_lanes_where_there_are_some);
    TCase *plain = add_replay_case(suite, "at least once");
    tcase_add_test(plain, at_least_once_is_handled_and_then_taken_away);
    tcase_add_test(plain, event_dropped_while_it_is_handled_is_gone);
    tcase_add_test(plain, who_was_overtaken_takes_nothing_away);
    tcase_add_test(plain, checkpoint_set_meanwhile_is_a_conflict);
    tcase_add_test(plain, store_closed_in_the_middle_ends_the_replay);
    return suite;
}

int main(void)
{
    return run_suite(parked_replay_suite());
}
