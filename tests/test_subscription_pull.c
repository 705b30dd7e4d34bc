/* Subscriptions: pulling batches, acknowledging and rejecting them. */
#include "subscriptions.h"

enum { EVENTS = 10 };

static void open_with_events(void)
{
    open_in_file();
    for (int i = 0; i < EVENTS; i++)
        assert_status(append_one(i % 2 == 0 ? "a-1" : "b-1", STELE_ANY, i < 5 ? "t" : "u", NULL),
                      STELE_OK);
}

static int64_t count_of(const char *sql)
{
    return sql_number(store_path(), sql);
}

/* Whoever reads one event at a time acknowledges it at a time, too. */
START_TEST(each_event_of_a_batch_can_be_acknowledged_by_itself)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    const stele_batch *batch = pull(subscription);
    size_t count = batch->count;

    for (size_t i = 0; i < count; i++) {
        int64_t position = batch->records[i]->position;
        assert_status(stele_subscription_ack(subscription, position), STELE_OK);
        ck_assert_int_eq(saved_position("s"), position);
    }

    expect_nothing(subscription);
    assert_status(stele_subscription_ack(subscription, 3), STELE_MISUSE);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(acknowledging_nothing_new_writes_nothing)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);
    assert_status(stele_subscription_ack(subscription, 4), STELE_OK);
    int64_t before = count_of("SELECT saved_at FROM checkpoints WHERE name = 's'");
    int64_t beat = count_of("SELECT beat_at FROM checkpoints WHERE name = 's'");

    assert_status(stele_subscription_ack(subscription, 4), STELE_OK);

    ck_assert_int_eq(count_of("SELECT saved_at FROM checkpoints WHERE name = 's'"), before);
    ck_assert_int_eq(count_of("SELECT beat_at FROM checkpoints WHERE name = 's'"), beat);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(what_is_not_of_the_batch_is_refused)
{
    stele_subscription_options options = make_subscription("s");
    options.batch_count_max = 4;
    stele_subscription *subscription = open_subscription(&options);
    assert_status(stele_subscription_ack(subscription, 1), STELE_MISUSE);
    assert_status(stele_subscription_reject(subscription, 1, "none"), STELE_MISUSE);
    pull(subscription);

    assert_status(stele_subscription_ack(subscription, 5), STELE_MISUSE);
    assert_status(stele_subscription_ack(subscription, -1), STELE_MISUSE);
    assert_status(stele_subscription_reject(subscription, 5, "not there"), STELE_MISUSE);
    assert_status(stele_subscription_ack(subscription, 2), STELE_OK);
    assert_status(stele_subscription_reject(subscription, 2, "done"), STELE_MISUSE);

    assert_status(stele_subscription_ack(subscription, 4), STELE_OK);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(a_batch_is_bounded_by_events_and_by_bytes)
{
    char big[5000];
    memset(big, 'x', sizeof(big));
    big[0] = big[sizeof(big) - 2] = '"';
    big[sizeof(big) - 1] = '\0';
    for (int i = 0; i < 3; i++) {
        stele_event event = make_event("big", big);
        stele_append append = make_append("c-1", STELE_ANY, &event, 1);
        assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    }
    stele_subscription_options options = make_subscription("s");
    options.batch_count_max = 6;
    options.batch_size_max = 4000;
    stele_subscription *subscription = open_subscription(&options);

    /* More than the bound, but at least one. */
    static const size_t expected[] = { 6, 4, 1, 1, 1 };
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        const stele_batch *batch = pull(subscription);
        ck_assert_uint_eq(batch->count, expected[i]);
        ck_assert(batch->caught_up == (i + 1 == COUNT_OF(expected)));
        assert_status(stele_subscription_ack(subscription, batch->through), STELE_OK);
    }
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(a_rejected_event_comes_alone_after_those_before_it)
{
    stele_subscription_options options = make_subscription("s");
    options.tries = 2;
    options.on_failure = STELE_ON_FAILURE_SKIP;
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);

    assert_status(stele_subscription_reject(subscription, 4, "bad"), STELE_OK);

    const stele_batch *batch = pull(subscription);
    ck_assert_uint_eq(batch->count, 3);
    ck_assert_int_eq(batch->through, 3);
    assert_status(stele_subscription_ack(subscription, 3), STELE_OK);
    for (uint32_t attempt = 1; attempt <= 2; attempt++) {
        batch = pull(subscription);
        ck_assert_uint_eq(batch->count, 1);
        ck_assert_int_eq(batch->records[0]->position, 4);
        ck_assert_uint_eq(batch->attempt, attempt);
        assert_status(stele_subscription_reject(subscription, 4, "bad"), STELE_OK);
    }
    batch = pull(subscription);
    ck_assert_int_eq(batch->records[0]->position, 5);
    ck_assert_uint_eq(batch->count, 6);
    ck_assert_uint_eq(batch->attempt, 1);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(acknowledgements_wait_to_be_committed_and_closing_commits_them)
{
    stele_subscription_options options = make_subscription("s");
    options.delivery = STELE_AT_LEAST_ONCE;
    options.ack_flush_ms = 600000;
    options.batch_count_max = 3;
    stele_subscription *subscription = open_subscription(&options);
    const stele_batch *batch = pull(subscription);
    int64_t claimed = saved_position("s");

    assert_status(stele_subscription_ack(subscription, batch->through), STELE_OK);
    pull(subscription);
    assert_status(stele_subscription_ack(subscription, 5), STELE_OK);
    ck_assert_int_eq(saved_position("s"), claimed);
    pull(subscription);
    stele_subscription_close(subscription);

    /* Only what was acknowledged. */
    ck_assert_int_eq(saved_position("s"), 5);
}
END_TEST

START_TEST(acknowledgements_are_committed_when_their_time_has_come)
{
    stele_subscription_options options = make_subscription("s");
    options.delivery = STELE_AT_LEAST_ONCE;
    options.ack_flush_ms = 30;
    stele_subscription *subscription = open_subscription(&options);
    const stele_batch *batch = pull(subscription);
    const stele_batch *none = NULL;
    stele_wait wait = wait_for_ms(1000);

    assert_status(stele_subscription_ack(subscription, batch->through), STELE_OK);
    assert_status(stele_subscription_next(subscription, &wait, &none), STELE_TIMED_OUT);

    ck_assert_int_eq(saved_position("s"), EVENTS);
    stele_subscription_close(subscription);
}
END_TEST

/* A try is of the event after the place: so what was acknowledged before it goes with it. */
START_TEST(acknowledgements_that_wait_are_committed_with_a_rejection)
{
    stele_subscription_options options = make_subscription("s");
    options.delivery = STELE_AT_LEAST_ONCE;
    options.ack_flush_ms = 600000;
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);
    assert_status(stele_subscription_ack(subscription, 4), STELE_OK);

    assert_status(stele_subscription_reject(subscription, 5, "bad"), STELE_OK);

    ck_assert_int_eq(saved_position("s"), 4);
    ck_assert_int_eq(count_of("SELECT attempts FROM checkpoints WHERE name = 's'"), 1);
    ck_assert_int_eq(pull(subscription)->records[0]->position, 5);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(an_acknowledgement_in_a_transaction_is_committed_with_it_or_not_at_all)
{
    stele_subscription_options options = make_subscription("s");
    options.batch_count_max = 4;
    stele_subscription *subscription = open_subscription(&options);
    stele_transaction *transaction = NULL;
    pull(subscription);

    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    const stele_batch *none = NULL;
    assert_status(stele_subscription_next(subscription, NULL, &none), STELE_MISUSE);
    assert_status(stele_subscription_ack(subscription, 4), STELE_MISUSE);
    assert_status(stele_transaction_subscription_ack(transaction, subscription, 4), STELE_OK);
    stele_transaction_end(transaction);
    ck_assert_int_eq(saved_position("s"), 0);
    const stele_batch *batch = pull(subscription);
    ck_assert_uint_eq(batch->count, 4);
    ck_assert_int_eq(batch->after, 0);

    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    assert_status(stele_transaction_subscription_ack(transaction, subscription, 2), STELE_OK);
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);
    ck_assert_int_eq(saved_position("s"), 2);
    batch = pull(subscription);
    ck_assert_int_eq(batch->after, 2);
    ck_assert_int_eq(batch->records[0]->position, 3);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(a_refused_acknowledgement_dooms_its_transaction)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    stele_transaction *transaction = NULL;
    pull(subscription);
    assert_status(stele_checkpoint_save(store, "s", 7), STELE_OK);

    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    assert_status(stele_transaction_subscription_ack(transaction, subscription, EVENTS),
                  STELE_CONFLICT);
    ck_assert_int_lt(stele_transaction_commit(transaction), 0);
    stele_transaction_end(transaction);

    ck_assert_int_eq(saved_position("s"), 7);
    ck_assert_int_eq(pull(subscription)->records[0]->position, 8);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(a_checkpoint_that_is_set_meanwhile_holds)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    pull(subscription);

    assert_status(stele_checkpoint_save(store, "s", 2), STELE_OK);
    assert_status(stele_subscription_ack(subscription, EVENTS), STELE_CONFLICT);
    const stele_batch *batch = pull(subscription);
    ck_assert_int_eq(batch->after, 2);
    assert_status(stele_subscription_ack(subscription, EVENTS), STELE_OK);

    /* Rewound while it waits: noticed soon, without any new event. */
    expect_nothing(subscription);
    assert_status(stele_checkpoint_save(store, "s", 6), STELE_OK);
    ck_assert_int_eq(pull(subscription)->records[0]->position, 7);
    assert_status(stele_subscription_ack(subscription, EVENTS), STELE_OK);

    bool found = false;
    assert_status(stele_checkpoint_reset(store, "s", &found), STELE_OK);
    ck_assert(found);
    ck_assert_int_eq(pull(subscription)->after, 0);
    stele_subscription_close(subscription);
}
END_TEST

static Suite *subscription_pull_suite(void)
{
    Suite *suite = suite_create("subscription pull");
    TCase *tests = add_case(suite, "batches", open_with_events);
    tcase_add_test(tests, each_event_of_a_batch_can_be_acknowledged_by_itself);
    tcase_add_test(tests, acknowledging_nothing_new_writes_nothing);
    tcase_add_test(tests, what_is_not_of_the_batch_is_refused);
    tcase_add_test(tests, a_batch_is_bounded_by_events_and_by_bytes);
    tcase_add_test(tests, a_rejected_event_comes_alone_after_those_before_it);
    tcase_add_test(tests, acknowledgements_wait_to_be_committed_and_closing_commits_them);
    tcase_add_test(tests, acknowledgements_are_committed_when_their_time_has_come);
    tcase_add_test(tests, acknowledgements_that_wait_are_committed_with_a_rejection);
    tcase_add_test(tests, an_acknowledgement_in_a_transaction_is_committed_with_it_or_not_at_all);
    tcase_add_test(tests, a_refused_acknowledgement_dooms_its_transaction);
    tcase_add_test(tests, a_checkpoint_that_is_set_meanwhile_holds);
    return suite;
}

int main(void)
{
    return run_suite(subscription_pull_suite());
}
