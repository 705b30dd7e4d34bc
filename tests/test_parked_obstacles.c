/* What stands in the way of replaying parked events. */
#include "parked_replays.h"

#include <time.h>

START_TEST(wrong_arguments_of_a_replay_are_misuse)
{
    stele_handler handler = seeing(&seen);
    stele_handler none = STELE_HANDLER_INIT;
    stele_subscription *subscription = open_subscription(&options);

    assert_status(stele_subscription_replay(NULL, &choice, &handler, &counts), STELE_MISUSE);
    assert_status(stele_subscription_replay(subscription, &choice, NULL, NULL), STELE_MISUSE);
    assert_status(stele_subscription_replay(subscription, &choice, &none, NULL), STELE_MISUSE);
    choice.position = 7;
    assert_status(stele_subscription_replay(subscription, &choice, &handler, NULL), STELE_MISUSE);
    assert_reason_has("waits behind 5");
    choice = choose("other");
    assert_status(stele_subscription_replay(subscription, &choice, &handler, NULL), STELE_MISUSE);
    stele_transaction *transaction = begin();
    assert_status(stele_subscription_replay(subscription, NULL, &handler, NULL), STELE_MISUSE);
    stele_transaction_end(transaction);
    choice.struct_size = 0;
    assert_status(stele_subscription_replay(subscription, &choice, &handler, NULL), STELE_MISUSE);
    stele_subscription_close(subscription);

    options = make_catch_up(NULL);
    choice = choose(NULL);
    assert_status(replay(), STELE_MISUSE);
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
}
END_TEST

START_TEST(replay_of_what_another_owns_is_busy)
{
    stele_subscription_options pulling = make_subscription("s");
    pulling.owner = "the other";
    assert_status(append_one("b-1", STELE_ANY, "t", NULL), STELE_OK);
    stele_subscription *owner = open_subscription(&pulling);
    pull(owner);

    assert_status(replay(), STELE_BUSY);
    assert_reason_has("'the other'");
    ck_assert_uint_eq(counts.handled, 0);

    stele_subscription_close(owner);
    assert_status(replay(), STELE_OK);
    ck_assert_uint_eq(counts.handled, 3);
}
END_TEST

START_TEST(owner_whose_lease_has_ended_is_overtaken)
{
    stele_subscription_options pulling = make_subscription("s");
    pulling.lease_ms = 1000;
    assert_status(append_one("b-1", STELE_ANY, "t", NULL), STELE_OK);
    stele_subscription *owner = open_subscription(&pulling);
    const stele_batch *batch = pull(owner);
    ck_assert_int_eq(batch->through, 11);
    nanosleep(&(struct timespec){ 1, 100000000 }, NULL);

    assert_status(replay(), STELE_OK);

    ck_assert_uint_eq(counts.handled, 3);
    assert_status(stele_subscription_ack(owner, 11), STELE_FENCED);
    stele_subscription_close(owner);
}
END_TEST

START_TEST(stopped_subscription_replays_nothing)
{
    stele_subscription_options stopping = make_catch_up("s");
    stopping.tries = 1;
    assert_status(append_one("b-1", STELE_ANY, "t", NULL), STELE_OK);
    seen.poison = 11;
    assert_status(run_through(&stopping, &seen), STELE_REFUSED);

    assert_status(replay(), STELE_REFUSED);

    assert_status(stele_subscription_clear(store, "s"), STELE_OK);
    assert_status(replay(), STELE_OK);
    ck_assert_uint_eq(counts.handled, 3);
}
END_TEST

static stele_status stop_after_first(void *context, const stele_record *record,
                                     const stele_handling *handling)
{
    stele_subscription_stop(handling->subscription);
    return see_event(context, record, handling);
}

START_TEST(replay_can_be_stopped)
{
    stele_handler handler = seeing(&seen);
    handler.event = stop_after_first;
    stele_subscription *subscription = open_subscription(&options);

    assert_status(stele_subscription_replay(subscription, &choice, &handler, &counts),
                  STELE_CANCELLED);

    ck_assert_uint_eq(counts.handled, 1);
    ck_assert_uint_eq(counts.left, 2);
    assert_status(stele_subscription_replay(subscription, &choice, &handler, NULL),
                  STELE_CANCELLED);
    stele_subscription_close(subscription);
    ck_assert_str_eq(parked_text("s"), "7<5 9<5");
}
END_TEST

START_TEST(what_is_not_the_events_fault_counts_as_no_try)
{
    const stele_status answers[] = { STELE_CANCELLED, STELE_BUSY, STELE_FULL, STELE_IO,
                                     STELE_NO_MEMORY };
    seen.poison = 5;
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        seen.answer = answers[i];
        assert_status(replay(), answers[i]);
        ck_assert_uint_eq(counts.failed, 0);
        ck_assert_int_eq(parked_at("s", 5).attempts, 2);
        ck_assert_str_eq(parked_at("s", 5).reason, "poison");
    }
}
END_TEST

START_TEST(damaged_event_stays_parked)
{
    close_store();
    run_sql(store_path(), "UPDATE events SET data = '{\"no\":1}' WHERE position = 5");
    open_in_file();

    assert_status(replay(), STELE_CORRUPT);
    assert_reason_has("5");

    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
}
END_TEST

START_TEST(event_deleted_without_its_row_is_passed_over)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "a-1";
    close_store();
    run_sql(store_path(), "CREATE TABLE keep AS SELECT * FROM parked");
    open_in_file();
    assert_status(stele_store_delete(store, &call, &changed), STELE_OK);
    close_store();
    run_sql(store_path(), "INSERT INTO parked SELECT * FROM keep");
    open_in_file();
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");

    assert_status(replay(), STELE_OK);

    ck_assert_uint_eq(counts.handled + counts.failed, 0);
    ck_assert_str_eq(parked_text("s"), "");
}
END_TEST

START_TEST(archived_event_is_replayed_once_its_archive_is_attached)
{
    open_archive();
    assert_status(archive_to("a-1", archive, NULL), STELE_OK);
    assert_status(replay(), STELE_ARCHIVED);
    assert_reason_has("position 5");
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");

    assert_status(stele_store_attach(store, archive), STELE_OK);

    assert_status(replay(), STELE_OK);
    ck_assert_uint_eq(counts.handled, 3);
}
END_TEST

START_TEST(store_that_is_full_or_held_leaves_all_as_it_was)
{
    stele_options small = STELE_OPTIONS_INIT;
    close_store();
    small.busy_timeout_ms = 50;
    store = open_path(store_path(), &small);
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = seeing(&seen);
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "BEGIN IMMEDIATE");

    assert_status(stele_subscription_replay(subscription, &choice, &handler, &counts), STELE_BUSY);

    run_raw(raw, "ROLLBACK");
    sqlite3_close(raw);
    stele_subscription_close(subscription);
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
}
END_TEST

START_TEST(replay_of_another_timeline_is_refused)
{
    lose_events_after(6);
    stele_subscription *subscription = NULL;
    assert_status(stele_subscription_open(store, &options, &subscription), STELE_EPOCH);
    ck_assert_ptr_null(subscription);
}
END_TEST

static Suite *parked_obstacles_suite(void)
{
    Suite *suite = suite_create("parked_obstacles");
    TCase *obstacles = add_replay_case(suite, "obstacles");
    tcase_add_test(obstacles, wrong_arguments_of_a_replay_are_misuse);
    tcase_add_test(obstacles, replay_of_what_another_owns_is_busy);
    tcase_add_test(obstacles, owner_whose_lease_has_ended_is_overtaken);
    tcase_add_test(obstacles, stopped_subscription_replays_nothing);
    tcase_add_test(obstacles, replay_can_be_stopped);
    tcase_add_test(obstacles, what_is_not_the_events_fault_counts_as_no_try);
    tcase_add_test(obstacles, damaged_event_stays_parked);
    tcase_add_test(obstacles, event_deleted_without_its_row_is_passed_over);
    tcase_add_test(obstacles, archived_event_is_replayed_once_its_archive_is_attached);
    tcase_add_test(obstacles, replay_of_another_timeline_is_refused);
    tcase_add_test(obstacles, store_that_is_full_or_held_leaves_all_as_it_was);
    return suite;
}

int main(void)
{
    return run_suite(parked_obstacles_suite());
}
