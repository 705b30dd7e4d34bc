/* docs/callbacks.md, the rows of a handler: what the functions of a subscription may call. */
#include "callback_actions.h"

#include <stele/subscription.h>

/* In the write transaction: reads go elsewhere, and writes would wait for themselves. */
static const stele_status with_transaction[ACTIONS] = {
    [SUBMIT] = STELE_OK, [INSIDE] = STELE_OK, [OTHER] = STELE_OK, [APPEND] = NO,  [FLUSH] = NO,
    [BEGIN] = NO,        [TRANSFER] = NO,     [CHECKPOINT] = NO,  [EXECUTE] = NO,
};

static const stele_status without_transaction[ACTIONS] = { [INSIDE] = NONE };

static stele_status call_from_event(void *context, const stele_record *record,
                                    const stele_handling *handling)
{
    (void)context;
    (void)record;
    open_transaction = handling->transaction;
    try_all();
    open_transaction = NULL;
    return STELE_OK;
}

static stele_status call_from_batch(void *context, const stele_batch *batch,
                                    const stele_handling *handling)
{
    return call_from_event(context, batch->records[0], handling);
}

static stele_status do_nothing(void *context, const stele_record *record,
                               const stele_handling *handling)
{
    (void)context;
    (void)record;
    (void)handling;
    return STELE_OK;
}

static void call_from_caught_up(void *context, int64_t position)
{
    (void)context;
    (void)position;
    try_all();
}

static void run_handler(const stele_handler *handler, stele_delivery delivery)
{
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    stele_subscription *subscription = NULL;
    options.name = "s";
    options.stop = STELE_STOP_HEAD;
    options.delivery = delivery;
    assert_status(stele_subscription_open(store, &options, &subscription), STELE_OK);
    assert_status(stele_subscription_run(subscription, handler), STELE_DONE);
    stele_subscription_close(subscription);
}

static void open_stores(void)
{
    setup_stores();
    open_in_file();
    register_table(&movement_type);
    assert_status(append_one("account-1", STELE_ANY, "t", NULL), STELE_OK);
}

START_TEST(handler_exactly_once_may_write_through_its_transaction)
{
    stele_handler handler = STELE_HANDLER_INIT;
    if (_i == 0)
        handler.event = call_from_event;
    else
        handler.batch = call_from_batch;
    run_handler(&handler, STELE_EXACTLY_ONCE);
    expect_answers(with_transaction);
}
END_TEST

START_TEST(handler_at_least_once_may_call_everything)
{
    stele_handler handler = STELE_HANDLER_INIT;
    if (_i == 0)
        handler.event = call_from_event;
    else
        handler.batch = call_from_batch;
    run_handler(&handler, STELE_AT_LEAST_ONCE);
    expect_answers(without_transaction);
}
END_TEST

START_TEST(notices_may_call_everything)
{
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = do_nothing;
    handler.caught_up = call_from_caught_up;
    run_handler(&handler, STELE_EXACTLY_ONCE);
    expect_answers(without_transaction);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("callbacks_subscription");
    TCase *tests = tcase_create("handlers");
    tcase_add_checked_fixture(tests, open_stores, remove_stores);
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, handler_exactly_once_may_write_through_its_transaction, 0, 2);
    tcase_add_loop_test(tests, handler_at_least_once_may_call_everything, 0, 2);
    tcase_add_test(tests, notices_may_call_everything);
    return run_suite(suite);
}
