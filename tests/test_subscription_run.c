/* Subscriptions that run a handler: what each of its answers leads to. */
#include "subscriptions.h"

enum { EVENTS = 10 };

static seen_events seen;

static void open_with_events(void)
{
    seen = (seen_events){ .answer = STELE_REFUSED };
    open_in_file();
    make_seen_table();
    for (int i = 0; i < EVENTS; i++)
        assert_status(append_one(i % 2 == 0 ? "a-1" : "b-1", STELE_ANY, "t", NULL), STELE_OK);
}

/* The table holds each position up to `last` once, in order. */
static void assert_seen_through(int64_t last)
{
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM seen"), last);
    ck_assert_int_eq(sql_number(store_path(), "SELECT coalesce(max(position), 0) FROM seen"), last);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM seen a JOIN seen b ON b.id = "
                                              "a.id + 1 WHERE b.position <> a.position + 1"),
                     0);
}

static int64_t attempts_of(const char *name)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "SELECT attempts FROM checkpoints WHERE name = '%s'", name);
    return sql_number(store_path(), sql);
}

/* --- Answers --- */

/* What it says of the event at position 5, how often before it says OK. */
typedef struct scripted {
    stele_status answer;
    int times;
    int calls; /* of that event */
    size_t handled;
} scripted;

static stele_status answer_by_script(void *context, const stele_record *record,
                                     const stele_handling *handling)
{
    scripted *script = context;
    if (handling->transaction != NULL) {
        char sql[96];
        snprintf(sql, sizeof(sql), "INSERT INTO seen(position) VALUES(%" PRId64 ")",
                 record->position);
        ck_assert_int_eq(run_in(handling->transaction, sql), SQLITE_OK);
    }
    if (record->position == 5 && script->calls++ < script->times)
        return script->answer;
    script->handled++;
    return STELE_OK;
}

static stele_status run_script(const stele_subscription_options *options, scripted *script)
{
    stele_subscription *subscription = open_subscription(options);
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = answer_by_script;
    handler.context = script;
    stele_status status = stele_subscription_run(subscription, &handler);
    stele_subscription_close(subscription);
    return status;
}

START_TEST(what_is_not_the_fault_of_the_event_comes_again_and_counts_nothing)
{
    static const stele_status answers[] = { STELE_BUSY, STELE_FULL, STELE_IO, STELE_NO_MEMORY,
                                            STELE_UNKNOWN_OUTCOME };
    scripted script = { .answer = answers[_i], .times = 3 };
    stele_subscription_options options = make_catch_up("s");
    options.on_failure = STELE_ON_FAILURE_PARK;
    options.tries = 1;

    assert_status(run_script(&options, &script), STELE_DONE);

    ck_assert_int_eq(script.calls, 4);
    assert_seen_through(EVENTS);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM parked"), 0);
}
END_TEST

START_TEST(some_answers_end_the_run_and_count_nothing)
{
    static const stele_status answers[] = { STELE_CANCELLED, STELE_READ_ONLY, STELE_FENCED,
                                            STELE_EPOCH, STELE_CLOSED };
    scripted script = { .answer = answers[_i], .times = 1 };
    stele_subscription_options options = make_catch_up("s");
    options.tries = 1;

    assert_status(run_script(&options, &script), answers[_i]);
    ck_assert_int_eq(script.calls, 1);
    ck_assert_int_eq(attempts_of("s"), 0);
    assert_status(run_script(&options, &script), STELE_DONE);

    assert_seen_through(EVENTS);
}
END_TEST

START_TEST(any_other_failure_is_the_event_s)
{
    static const stele_status answers[] = { STELE_CONFLICT,   STELE_NOT_FOUND, STELE_ARCHIVED,
                                            STELE_KEY_REUSED, STELE_MISUSE,    STELE_TOO_LARGE,
                                            STELE_CORRUPT,    STELE_INVALID,   STELE_UNKNOWN_TYPE };
    scripted script = { .answer = answers[_i], .times = 2 };
    stele_subscription_options options = make_catch_up("s");
    options.tries = 2;

    assert_status(run_script(&options, &script), STELE_DONE);
    ck_assert_int_eq(script.calls, 3); /* once with others, then alone */
    assert_seen_through(EVENTS);

    script = (scripted){ .answer = answers[_i], .times = 100 };
    options.name = "t";
    assert_status(run_script(&options, &script), STELE_REFUSED);
    assert_reason_has("position 5");
    ck_assert_int_eq(script.calls, 1 + 2);
    ck_assert_int_eq(saved_position("t"), 4);
}
END_TEST

START_TEST(news_from_a_handler_is_no_failure)
{
    scripted script = { .answer = STELE_DONE, .times = 1 };
    stele_subscription_options options = make_catch_up("s");

    assert_status(run_script(&options, &script), STELE_DONE);

    ck_assert_int_eq(script.calls, 1);
    assert_seen_through(EVENTS);
}
END_TEST

START_TEST(a_run_can_be_tried_again_after_it_was_cancelled_by_its_handler)
{
    scripted script = { .answer = STELE_CANCELLED, .times = 1 };
    stele_subscription_options options = make_catch_up("s");
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = answer_by_script;
    handler.context = &script;

    assert_status(stele_subscription_run(subscription, &handler), STELE_CANCELLED);
    assert_status(stele_subscription_run(subscription, &handler), STELE_DONE);

    assert_seen_through(EVENTS);
    stele_subscription_close(subscription);
}
END_TEST

/* --- Batches --- */

typedef struct batch_script {
    stele_status answer;
    int64_t poison;
    bool names;
    int calls;
    int failures;
    size_t sizes[64];
} batch_script;

static stele_status handle_batch(void *context, const stele_batch *batch,
                                 const stele_handling *handling)
{
    batch_script *script = context;
    if (script->calls < (int)COUNT_OF(script->sizes))
        script->sizes[script->calls] = batch->count;
    script->calls++;
    for (size_t i = 0; i < batch->count; i++) {
        char sql[96];
        snprintf(sql, sizeof(sql), "INSERT INTO seen(position) VALUES(%" PRId64 ")",
                 batch->records[i]->position);
        ck_assert_int_eq(run_in(handling->transaction, sql), SQLITE_OK);
        if (batch->records[i]->position != script->poison)
            continue;
        script->failures++;
        return script->names ? stele_handling_fail(handling, script->poison, "this one")
                             : STELE_INVALID;
    }
    return STELE_OK;
}

static stele_status run_batches(const stele_subscription_options *options, batch_script *script)
{
    stele_subscription *subscription = open_subscription(options);
    stele_handler handler = STELE_HANDLER_INIT;
    handler.batch = handle_batch;
    handler.context = script;
    stele_status status = stele_subscription_run(subscription, &handler);
    stele_subscription_close(subscription);
    return status;
}

START_TEST(a_batch_that_fails_without_a_name_is_tried_event_by_event)
{
    batch_script script = { .poison = 6 };
    stele_subscription_options options = make_catch_up("s");
    options.on_failure = STELE_ON_FAILURE_SKIP;
    options.tries = 3;

    assert_status(run_batches(&options, &script), STELE_DONE);

    ck_assert_int_eq(script.failures, 1 + 3);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM seen"), EVENTS - 1);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM seen WHERE position = 6"), 0);
    ck_assert_uint_eq(script.sizes[0], EVENTS);
    ck_assert_uint_eq(script.sizes[1], 1);
}
END_TEST

START_TEST(a_batch_that_names_its_event_is_done_again_without_it)
{
    batch_script script = { .poison = 6, .names = true };
    stele_subscription_options options = make_catch_up("s");
    options.on_failure = STELE_ON_FAILURE_SKIP;
    options.tries = 2;

    assert_status(run_batches(&options, &script), STELE_DONE);

    static const size_t expected[] = { 10, 5, 1, 1, 4 };
    ck_assert_int_eq(script.calls, COUNT_OF(expected));
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        ck_assert_uint_eq(script.sizes[i], expected[i]);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM seen"), EVENTS - 1);
}
END_TEST

/* --- What it may do --- */

static stele_status misuse_subscription(void *context, const stele_record *record,
                                        const stele_handling *handling)
{
    const stele_batch *none = NULL;
    stele_subscription *subscription = handling->subscription;
    int *calls = context;
    (*calls)++;
    ck_assert_int_eq(stele_subscription_next(subscription, NULL, &none), STELE_MISUSE);
    ck_assert_int_eq(stele_subscription_ack(subscription, record->position), STELE_MISUSE);
    ck_assert_int_eq(stele_subscription_reject(subscription, record->position, "x"), STELE_MISUSE);
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = misuse_subscription;
    ck_assert_int_eq(stele_subscription_run(subscription, &handler), STELE_MISUSE);
    if (handling->transaction != NULL)
        ck_assert_int_eq(stele_transaction_subscription_ack(handling->transaction, subscription,
                                                            record->position),
                         STELE_MISUSE);
    ck_assert_int_eq(stele_handling_fail(handling, record->position + 1000, "x"), STELE_MISUSE);
    return STELE_OK;
}

START_TEST(a_handler_may_not_use_its_own_subscription)
{
    int calls = 0;
    stele_subscription_options options = make_catch_up("s");
    options.delivery = _i == 0 ? STELE_EXACTLY_ONCE : STELE_AT_LEAST_ONCE;
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = misuse_subscription;
    handler.context = &calls;

    assert_status(stele_subscription_run(subscription, &handler), STELE_DONE);

    ck_assert_int_eq(calls, EVENTS);
    stele_subscription_close(subscription);
}
END_TEST

static stele_status append_from_handler(void *context, const stele_record *record,
                                        const stele_handling *handling)
{
    (void)context;
    stele_event event = make_event("answer", "{}");
    stele_append append = make_append("answers-1", STELE_ANY, &event, 1);
    if (strcmp(record->type, "answer") == 0)
        return STELE_OK;
    if (handling->transaction != NULL)
        return stele_transaction_append(handling->transaction, &append, NULL);
    return stele_store_append(handling->store, &append, NULL);
}

/* What it appends comes to it in its turn. */
START_TEST(a_handler_may_append)
{
    stele_subscription_options options = make_subscription("s");
    options.delivery = _i == 0 ? STELE_EXACTLY_ONCE : STELE_AT_LEAST_ONCE;
    options.stop = STELE_STOP_POSITION;
    options.stop_position = 2 * EVENTS;
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = append_from_handler;

    assert_status(stele_subscription_run(subscription, &handler), STELE_DONE);

    ck_assert_int_eq(version_of("answers-1"), EVENTS);
    ck_assert_int_eq(saved_position("s"), 2 * EVENTS);
    stele_subscription_close(subscription);
}
END_TEST

/* A write that failed half-way has rolled everything back: nobody may take that for done. */
static stele_status ignore_failed_write(void *context, const stele_record *record,
                                        const stele_handling *handling)
{
    int *calls = context;
    (*calls)++;
    char sql[96];
    snprintf(sql, sizeof(sql), "INSERT INTO seen(position) VALUES(%" PRId64 ")", record->position);
    ck_assert_int_eq(run_in(handling->transaction, sql), SQLITE_OK);
    if (record->position == 4)
        run_in(handling->transaction, "INSERT OR ROLLBACK INTO seen(id, position) VALUES(1, 0)");
    return STELE_OK;
}

START_TEST(a_transaction_that_its_handler_broke_is_not_taken_for_done)
{
    int calls = 0;
    stele_subscription_options options = make_catch_up("s");
    options.tries = 2;
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = ignore_failed_write;
    handler.context = &calls;

    assert_status(stele_subscription_run(subscription, &handler), STELE_REFUSED);

    stele_subscription_close(subscription);
    ck_assert_int_eq(saved_position("s"), 3);
    assert_seen_through(3);
}
END_TEST

START_TEST(a_handler_must_be_of_one_kind)
{
    stele_subscription_options options = make_catch_up("s");
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = STELE_HANDLER_INIT;

    assert_status(stele_subscription_run(subscription, NULL), STELE_MISUSE);
    assert_status(stele_subscription_run(subscription, &handler), STELE_MISUSE);
    handler.event = append_from_handler;
    handler.batch = handle_batch;
    assert_status(stele_subscription_run(subscription, &handler), STELE_MISUSE);
    handler.batch = NULL;
    handler.struct_size = 0;
    assert_status(stele_subscription_run(subscription, &handler), STELE_MISUSE);
    assert_status(stele_subscription_run(NULL, &handler), STELE_MISUSE);

    stele_transaction *transaction = begin();
    handler.struct_size = sizeof(handler);
    assert_status(stele_subscription_run(subscription, &handler), STELE_MISUSE);
    stele_transaction_end(transaction);
    stele_subscription_close(subscription);
}
END_TEST

/* --- Notices --- */

static void append_when_caught_up(void *context, int64_t position)
{
    seen_events *noted = context;
    noted->caught_up++;
    ck_assert_int_eq(position, noted->caught_up == 1 ? EVENTS : EVENTS + 8);
    for (int i = 0; i < 8 && noted->caught_up == 1; i++)
        assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    if (noted->caught_up == 2)
        assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
}

START_TEST(caught_up_and_fell_behind_are_told_in_turn)
{
    stele_subscription_options options = make_subscription("s");
    options.behind_max = 4;
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = seeing(&seen);
    handler.caught_up = append_when_caught_up;
    seen.stop_at = EVENTS + 8 + 1;

    assert_status(stele_subscription_run(subscription, &handler), STELE_CANCELLED);

    ck_assert_uint_eq(seen.count, EVENTS + 8 + 1);
    ck_assert_uint_eq(seen.caught_up, 2);
    ck_assert_uint_eq(seen.fell_behind, 1);
    stele_subscription_close(subscription);
}
END_TEST

/* What is left of the batch is one that begins where the place is. */
static stele_status expect_a_part(void *context, const stele_record *record,
                                  const stele_handling *handling)
{
    ck_assert_int_eq(handling->batch->records[0]->position, record->position);
    return see_event(context, record, handling);
}

START_TEST(a_long_batch_is_committed_in_parts)
{
    stele_subscription_options options = make_catch_up("s");
    options.batch_ms_max = 0;
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = seeing(&seen);
    handler.event = expect_a_part;

    assert_status(stele_subscription_run(subscription, &handler), STELE_DONE);

    ck_assert_uint_eq(seen.count, EVENTS);
    assert_seen_through(EVENTS);
    stele_subscription_close(subscription);
}
END_TEST

static Suite *subscription_run_suite(void)
{
    Suite *suite = suite_create("subscription run");
    TCase *tests = add_case(suite, "handlers", open_with_events);
    tcase_add_loop_test(tests, what_is_not_the_fault_of_the_event_comes_again_and_counts_nothing, 0,
                        5);
    tcase_add_loop_test(tests, some_answers_end_the_run_and_count_nothing, 0, 5);
    tcase_add_loop_test(tests, any_other_failure_is_the_event_s, 0, 9);
    tcase_add_test(tests, news_from_a_handler_is_no_failure);
    tcase_add_test(tests, a_run_can_be_tried_again_after_it_was_cancelled_by_its_handler);
    tcase_add_test(tests, a_batch_that_fails_without_a_name_is_tried_event_by_event);
    tcase_add_test(tests, a_batch_that_names_its_event_is_done_again_without_it);
    tcase_add_loop_test(tests, a_handler_may_not_use_its_own_subscription, 0, 2);
    tcase_add_loop_test(tests, a_handler_may_append, 0, 2);
    tcase_add_test(tests, a_transaction_that_its_handler_broke_is_not_taken_for_done);
    tcase_add_test(tests, a_handler_must_be_of_one_kind);
    tcase_add_test(tests, caught_up_and_fell_behind_are_told_in_turn);
    tcase_add_test(tests, a_long_batch_is_committed_in_parts);
    return suite;
}

int main(void)
{
    return run_suite(subscription_run_suite());
}
