/* What the store tells of subscriptions, whoever works on them; and letting one go on. */
#include "parkings.h"

#include <time.h>

/* --- Asking --- */

/* The row of a name, or of a lane of it. Its texts are copied. */
static stele_subscription_info status_of(const char *name, uint32_t lane)
{
    static char owner[64];
    static char error[512];
    stele_subscriptions *list = NULL;
    const stele_subscription_info *info = NULL;
    assert_status(stele_store_subscriptions(store, name, lane > 0, &list), STELE_OK);
    stele_status status;
    while ((status = stele_subscriptions_next(list, &info)) == STELE_OK && info->lane != lane)
        continue;
    assert_status(status, STELE_OK);
    stele_subscription_info found = *info;
    ck_assert_str_eq(info->name, name);
    snprintf(owner, sizeof(owner), "%s", info->owner);
    snprintf(error, sizeof(error), "%s", info->error);
    stele_subscriptions_close(list);
    found.name = name;
    found.owner = owner;
    found.error = error;
    return found;
}

static const char *listed(const char *name, bool lanes)
{
    static char text[512];
    size_t size = 0;
    stele_subscriptions *list = NULL;
    const stele_subscription_info *info = NULL;
    text[0] = '\0';
    assert_status(stele_store_subscriptions(store, name, lanes, &list), STELE_OK);
    while (stele_subscriptions_next(list, &info) == STELE_OK)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s/%" PRIu32,
                                 size > 0 ? " " : "", info->name, info->lane);
    stele_subscriptions_close(list);
    return text;
}

/* --- The list --- */

START_TEST(subscriptions_are_listed_by_name_and_lane)
{
    stele_subscription_options options = make_catch_up("b");
    options.lanes = 2;
    assert_status(run_through(&options, &seen), STELE_DONE);
    options = make_catch_up("c");
    assert_status(run_through(&options, &seen), STELE_DONE);
    assert_status(stele_checkpoint_save(store, "a", 3), STELE_OK);
    assert_status(stele_checkpoint_save(store, "$build/x", 3), STELE_OK);

    ck_assert_str_eq(listed(NULL, false), "$build/x/0 a/0 b/0 c/0");
    ck_assert_str_eq(listed(NULL, true), "$build/x/0 a/0 b/0 b/1 b/2 c/0");
    ck_assert_str_eq(listed("b", true), "b/0 b/1 b/2");
    ck_assert_str_eq(listed("nobody", true), "");
}
END_TEST

START_TEST(one_that_was_reset_is_gone)
{
    stele_subscription_options options = make_catch_up("s");
    assert_status(run_through(&options, &seen), STELE_DONE);
    assert_status(stele_checkpoint_reset(store, "s", NULL), STELE_OK);
    ck_assert_str_eq(listed(NULL, true), "");
}
END_TEST

START_TEST(checkpoint_saved_plainly_is_somebodys_subscription)
{
    assert_status(stele_checkpoint_save(store, "plain", 4), STELE_OK);

    stele_subscription_info info = status_of("plain", 0);

    ck_assert_int_eq(info.state, STELE_SUBSCRIPTION_IDLE);
    ck_assert_int_eq(info.position, 4);
    ck_assert_int_eq(info.head, 10);
    ck_assert_int_eq(info.lag, 6);
    ck_assert_int_gt(info.lag_us, 0);
    ck_assert_int_gt(info.saved_at, 0);
    ck_assert_str_eq(info.owner, "");
    ck_assert_uint_eq(info.lanes, 0);
    ck_assert(!info.lost);
}
END_TEST

START_TEST(arguments_that_are_none_are_misuse)
{
    stele_subscriptions *list = (stele_subscriptions *)&list;
    const stele_subscription_info *info = NULL;
    assert_status(stele_store_subscriptions(NULL, NULL, false, &list), STELE_MISUSE);
    ck_assert_ptr_null(list);
    assert_status(stele_store_subscriptions(store, "", false, &list), STELE_MISUSE);
    assert_status(stele_store_subscriptions(store, NULL, false, NULL), STELE_MISUSE);
    assert_status(stele_subscriptions_next(NULL, &info), STELE_MISUSE);
    assert_status(stele_store_subscriptions(store, NULL, false, &list), STELE_OK);
    assert_status(stele_subscriptions_next(list, NULL), STELE_MISUSE);
    stele_subscriptions_close(list);
    stele_subscriptions_close(NULL);
    assert_status(stele_subscription_describe(NULL, &info), STELE_MISUSE);
    assert_status(stele_subscription_clear(NULL, "s"), STELE_MISUSE);
    assert_status(stele_subscription_clear(store, NULL), STELE_MISUSE);
}
END_TEST

START_TEST(list_of_a_store_closed_meanwhile_is_closed)
{
    stele_subscriptions *list = NULL;
    const stele_subscription_info *info = NULL;
    assert_status(stele_checkpoint_save(store, "a", 3), STELE_OK);
    assert_status(stele_store_subscriptions(store, NULL, false, &list), STELE_OK);
    close_store();
    assert_status(stele_subscriptions_next(list, &info), STELE_CLOSED);
    ck_assert_ptr_null(info);
    stele_subscriptions_close(list);
}
END_TEST

START_TEST(damaged_row_is_an_error_that_names_it)
{
    stele_subscriptions *list = NULL;
    const char *names[] = { "broken" };
    assert_status(stele_checkpoint_save(store, "broken", 3), STELE_OK);
    close_store();
    run_sql(store_path(), "UPDATE checkpoints SET position = 4");
    open_in_file();

    assert_status(stele_store_subscriptions(store, NULL, false, &list), STELE_CORRUPT);
    assert_reason_has("broken");
    assert_status(stele_subscription_wait_for(store, names, 1, 2, NULL), STELE_CORRUPT);
    assert_status(stele_subscription_clear(store, "broken"), STELE_CORRUPT);
}
END_TEST

/* --- States --- */

START_TEST(owner_that_works_is_catching_up_and_one_with_nothing_to_do_is_live)
{
    stele_subscription_options options = make_subscription("s");
    options.batch_count_max = 4;
    options.owner = "me";
    stele_subscription *subscription = open_subscription(&options);
    const stele_subscription_info *own = NULL;
    assert_status(stele_subscription_describe(subscription, &own), STELE_NOT_FOUND);
    ck_assert_ptr_null(own);

    pull(subscription);
    assert_status(stele_subscription_ack(subscription, 4), STELE_OK);
    stele_subscription_info info = status_of("s", 0);
    ck_assert_int_eq(info.state, STELE_SUBSCRIPTION_CATCHING);
    ck_assert_int_eq(info.position, 4);
    ck_assert_int_eq(info.lag, 6);
    ck_assert_str_eq(info.owner, "me");
    ck_assert_int_eq(info.generation, 1);
    ck_assert_int_gt(info.lease_left_ms, 20000);
    ck_assert_int_gt(info.beat_at, 0);

    pull(subscription);
    assert_status(stele_subscription_ack(subscription, 8), STELE_OK);
    pull(subscription);
    assert_status(stele_subscription_ack(subscription, 10), STELE_OK);
    info = status_of("s", 0);
    ck_assert_int_eq(info.state, STELE_SUBSCRIPTION_LIVE);
    ck_assert_int_eq(info.lag, 0);
    ck_assert_int_eq(info.lag_us, 0);
    assert_status(stele_subscription_describe(subscription, &own), STELE_OK);
    ck_assert_int_eq(own->position, 10);
    ck_assert_str_eq(own->name, "s");
    assert_status(stele_subscription_describe(subscription, &own), STELE_OK);

    stele_subscription_close(subscription);
    info = status_of("s", 0);
    ck_assert_int_eq(info.state, STELE_SUBSCRIPTION_IDLE);
    ck_assert_str_eq(info.owner, "");
    ck_assert_int_eq(info.lease_left_ms, 0);
}
END_TEST

START_TEST(work_that_waits_for_an_owner_whose_lease_has_ended_is_idle)
{
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    claim.owner = "gone";
    claim.lease_ms = 1;
    assert_status(stele_checkpoint_save(store, "s", 4), STELE_OK);
    assert_status(stele_checkpoint_claim_take(store, "s", &claim, NULL), STELE_OK);
    nanosleep(&(struct timespec){ 0, 20000000 }, NULL);

    stele_subscription_info info = status_of("s", 0);

    ck_assert_int_eq(info.state, STELE_SUBSCRIPTION_IDLE);
    ck_assert_str_eq(info.owner, "gone");
    ck_assert_int_eq(info.lease_left_ms, 0);
}
END_TEST

START_TEST(failure_is_told_until_it_is_cleared)
{
    stele_subscription_options options = make_catch_up("s");
    options.tries = 2;
    seen.poison = 6;
    assert_status(run_through(&options, &seen), STELE_REFUSED);

    stele_subscription_info info = status_of("s", 0);
    ck_assert_int_eq(info.state, STELE_SUBSCRIPTION_STOPPED);
    ck_assert_int_eq(info.position, 5);
    ck_assert_int_eq(info.attempts, 2);
    ck_assert_str_eq(info.error, "poison");
    ck_assert_int_eq(info.error_position, 6);
    ck_assert_int_gt(info.error_at, 0);
    int64_t generation = info.generation;

    assert_status(stele_subscription_clear(store, "s"), STELE_OK);

    info = status_of("s", 0);
    ck_assert_int_eq(info.state, STELE_SUBSCRIPTION_IDLE);
    ck_assert_int_eq(info.attempts, 0);
    ck_assert_int_eq(info.generation, generation);
    ck_assert_str_eq(info.error, "poison");
    seen.poison = 0;
    assert_status(run_through(&options, &seen), STELE_DONE);
    ck_assert_int_eq(saved_position("s"), 10);
}
END_TEST

START_TEST(clearing_gives_the_event_its_tries_anew)
{
    stele_subscription_options options = make_catch_up("s");
    options.tries = 2;
    seen.poison = 6;
    assert_status(run_through(&options, &seen), STELE_REFUSED);
    size_t failures = seen.failures;
    assert_status(stele_subscription_clear(store, "s"), STELE_OK);

    assert_status(run_through(&options, &seen), STELE_REFUSED);

    ck_assert_uint_ge(seen.failures, failures + 2);
}
END_TEST

START_TEST(handle_that_pulls_goes_on_once_it_is_cleared)
{
    stele_subscription_options options = make_subscription("s");
    options.tries = 1;
    const stele_batch *batch = NULL;
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);
    assert_status(stele_subscription_reject(subscription, 1, "no"), STELE_REFUSED);
    stele_wait wait = wait_for_ms(1000);
    assert_status(stele_subscription_next(subscription, &wait, &batch), STELE_REFUSED);

    assert_status(stele_subscription_clear(store, "s"), STELE_OK);

    pull(subscription);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(clearing_what_is_not_stopped_writes_nothing)
{
    assert_status(stele_checkpoint_save(store, "s", 4), STELE_OK);
    sqlite3 *raw = open_raw(store_path());
    int64_t version = raw_number(raw, "PRAGMA data_version");

    assert_status(stele_subscription_clear(store, "s"), STELE_OK);
    assert_status(stele_subscription_clear(store, "nobody"), STELE_NOT_FOUND);
    assert_reason_has("nobody");

    ck_assert_int_eq(raw_number(raw, "PRAGMA data_version"), version);
    sqlite3_close(raw);
}
END_TEST

START_TEST(clearing_follows_the_rules_of_writes)
{
    stele_options options = STELE_OPTIONS_INIT;
    assert_status(stele_checkpoint_save(store, "s", 4), STELE_OK);
    stele_transaction *transaction = begin();
    assert_status(stele_subscription_clear(store, "s"), STELE_MISUSE);
    stele_transaction_end(transaction);
    close_store();
    options.busy_timeout_ms = 50;
    store = open_path(store_path(), &options);
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "BEGIN IMMEDIATE");
    assert_status(stele_subscription_clear(store, "s"), STELE_BUSY);
    run_raw(raw, "ROLLBACK");
    sqlite3_close(raw);
    close_store();
    options.read_only = true;
    store = open_path(store_path(), &options);
    assert_status(stele_subscription_clear(store, "s"), STELE_READ_ONLY);
    ck_assert_int_eq(status_of("s", 0).position, 4);
}
END_TEST

START_TEST(event_that_is_tried_again_is_retrying)
{
    stele_subscription_options options = make_subscription("s");
    options.backoff_ms = 60000;
    options.backoff_max_ms = 60000;
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);

    assert_status(stele_subscription_reject(subscription, 1, "not now"), STELE_OK);

    stele_subscription_info info = status_of("s", 0);
    ck_assert_int_eq(info.state, STELE_SUBSCRIPTION_RETRYING);
    ck_assert_int_eq(info.attempts, 1);
    ck_assert_str_eq(info.error, "not now");
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(parked_and_waiting_events_are_counted)
{
    park_of("s", 5);
    stele_subscription_info info = status_of("s", 0);
    ck_assert_int_eq(info.parked, 1);
    ck_assert_int_eq(info.waiting, 2);
    ck_assert_str_eq(info.error, "poison");
    ck_assert_int_eq(info.error_position, 5);
}
END_TEST

/* --- Lanes --- */

START_TEST(lanes_are_told_one_by_one_and_as_one)
{
    stele_subscription_options options = make_parking("l");
    options.lanes = 2;
    seen.poison = 5;
    assert_status(run_through(&options, &seen), STELE_DONE);

    stele_subscription_info whole = status_of("l", 0);
    stele_subscription_info first = status_of("l", 1);
    stele_subscription_info second = status_of("l", 2);

    ck_assert_uint_eq(whole.lanes, 2);
    ck_assert_int_eq(whole.position, 10);
    ck_assert_int_eq(first.position, 10);
    ck_assert_int_eq(whole.parked, 1);
    ck_assert_int_eq(whole.waiting, 2);
    ck_assert_int_eq(first.parked + second.parked, 1);
    ck_assert_int_eq(first.waiting + second.waiting, 2);
    ck_assert_int_eq(first.parked * 2, first.waiting);
    ck_assert_str_eq(whole.owner, "");
    ck_assert_int_eq(whole.state, STELE_SUBSCRIPTION_IDLE);
}
END_TEST

START_TEST(lane_that_has_not_begun_is_at_the_beginning)
{
    stele_subscription_options options = make_parking("l");
    options.lanes = 2;
    assert_status(run_through(&options, &seen), STELE_DONE);
    close_store();
    run_sql(store_path(), "DELETE FROM checkpoints WHERE name = 'l' AND lane = 2");
    open_in_file();

    stele_subscription_info whole = status_of("l", 0);

    ck_assert_int_eq(whole.position, 0);
    ck_assert_int_eq(whole.lag, 10);
}
END_TEST

START_TEST(worst_of_the_lanes_is_told)
{
    stele_subscription_options options = make_catch_up("l");
    options.lanes = 2;
    options.tries = 1;
    seen.poison = 5;
    assert_status(run_through(&options, &seen), STELE_REFUSED);

    stele_subscription_info whole = status_of("l", 0);

    ck_assert_int_eq(whole.state, STELE_SUBSCRIPTION_STOPPED);
    ck_assert_str_eq(whole.error, "poison");
    ck_assert_int_le(whole.position, 4);
    ck_assert_int_eq(whole.lag, 10 - whole.position);
    assert_status(stele_subscription_clear(store, "l"), STELE_OK);
    ck_assert_int_ne(status_of("l", 0).state, STELE_SUBSCRIPTION_STOPPED);
}
END_TEST

/* --- One without a name --- */

START_TEST(subscription_without_a_name_tells_what_its_handle_knows)
{
    stele_subscription_options options = make_subscription(NULL);
    options.batch_count_max = 6;
    const stele_subscription_info *info = NULL;
    stele_subscription *subscription = open_subscription(&options);
    assert_status(stele_subscription_describe(subscription, &info), STELE_NOT_FOUND);

    pull(subscription);
    assert_status(stele_subscription_describe(subscription, &info), STELE_OK);
    ck_assert_int_eq(info->position, 0);
    assert_status(stele_subscription_ack(subscription, 6), STELE_OK);
    pull(subscription);
    assert_status(stele_subscription_describe(subscription, &info), STELE_OK);
    ck_assert_int_eq(info->position, 6);
    ck_assert_int_eq(info->lag, 4);
    ck_assert_str_eq(info->name, "");
    stele_subscription_close(subscription);
}
END_TEST

/* --- Other processes --- */

static int work_in_child(void *context)
{
    (void)context;
    store = open_path(store_path(), NULL);
    stele_subscription_options options = make_subscription("s");
    options.owner = "the child";
    options.batch_count_max = 3;
    stele_subscription *subscription = open_subscription(&options);
    const stele_batch *batch = NULL;
    stele_status status = stele_subscription_next(subscription, NULL, &batch);
    if (status == STELE_OK)
        status = stele_subscription_ack(subscription, 3);
    return status == STELE_OK ? 0 : 1; /* and is gone without a word */
}

START_TEST(subscription_of_another_process_is_seen)
{
    close_store();
    ck_assert_int_eq(run_in_child(work_in_child, NULL), 0);
    open_in_file();

    stele_subscription_info info = status_of("s", 0);

    ck_assert_str_eq(info.owner, "the child");
    ck_assert_int_eq(info.position, 3);
    ck_assert_int_eq(info.state, STELE_SUBSCRIPTION_CATCHING);
}
END_TEST

START_TEST(one_of_another_timeline_is_lost)
{
    assert_status(stele_checkpoint_save(store, "near", 4), STELE_OK);
    assert_status(stele_checkpoint_save(store, "far", 8), STELE_OK);
    lose_events_after(6);

    stele_subscription_info info = status_of("far", 0);

    ck_assert(info.lost);
    ck_assert_int_eq(info.position, 8);
    ck_assert_int_eq(info.lag, info.head - 6);
    ck_assert(!status_of("near", 0).lost);
}
END_TEST

static Suite *status_suite(void)
{
    Suite *suite = suite_create("subscription_status");
    TCase *list = add_case(suite, "list", open_with_ten);
    tcase_add_test(list, subscriptions_are_listed_by_name_and_lane);
    tcase_add_test(list, one_that_was_reset_is_gone);
    tcase_add_test(list, checkpoint_saved_plainly_is_somebodys_subscription);
    tcase_add_test(list, arguments_that_are_none_are_misuse);
    tcase_add_test(list, list_of_a_store_closed_meanwhile_is_closed);
    tcase_add_test(list, damaged_row_is_an_error_that_names_it);
    TCase *state = add_case(suite, "states", open_with_ten);
    tcase_add_test(state, owner_that_works_is_catching_up_and_one_with_nothing_to_do_is_live);
    tcase_add_test(state, work_that_waits_for_an_owner_whose_lease_has_ended_is_idle);
    tcase_add_test(state, failure_is_told_until_it_is_cleared);
    tcase_add_test(state, clearing_gives_the_event_its_tries_anew);
    tcase_add_test(state, handle_that_pulls_goes_on_once_it_is_cleared);
    tcase_add_test(state, clearing_what_is_not_stopped_writes_nothing);
    tcase_add_test(state, clearing_follows_the_rules_of_writes);
    tcase_add_test(state, event_that_is_tried_again_is_retrying);
    tcase_add_test(state, parked_and_waiting_events_are_counted);
    TCase *lanes = add_case(suite, "lanes", open_with_ten);
    tcase_add_test(lanes, lanes_are_told_one_by_one_and_as_one);
    tcase_add_test(lanes, lane_that_has_not_begun_is_at_the_beginning);
    tcase_add_test(lanes, worst_of_the_lanes_is_told);
    TCase *others = add_case(suite, "others", open_with_ten);
    tcase_add_test(others, subscription_without_a_name_tells_what_its_handle_knows);
    tcase_add_test(others, subscription_of_another_process_is_seen);
    tcase_add_test(others, one_of_another_timeline_is_lost);
    return suite;
}

int main(void)
{
    return run_suite(status_suite());
}
