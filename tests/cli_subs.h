/**
 * @file tests/cli_subs.h
 * What the tests of the verbs for subscriptions share: running one in the test's own process.
 */
#ifndef STELE_TESTS_CLI_SUBS_H
#define STELE_TESTS_CLI_SUBS_H

#include "cli_support.h"

#include <stele/eventstore.h>
#include <stele/store.h>
#include <stele/subscription.h>

#define REASON "no such account"

/** Positions that a handler refuses, ended by 0. */
typedef struct poisons {
    int64_t positions[8];
} poisons;

static inline stele_store *open_store(void)
{
    stele_store *store = NULL;
    ck_assert_int_eq(stele_store_open(test_path("store.db"), NULL, &store), STELE_OK);
    return store;
}

static inline stele_status refuse_poison(void *context, const stele_record *record,
                                         const stele_handling *handling)
{
    const poisons *bad = context;
    for (const int64_t *position = bad->positions; *position != 0; position++)
        if (*position == record->position)
            return stele_handling_fail(handling, record->position, REASON);
    return STELE_OK;
}

/** Options of a subscription that ends at the head and doesn't wait between tries. */
static inline stele_subscription_options catch_up(const char *name, stele_on_failure on_failure)
{
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    options.name = name;
    options.stop = STELE_STOP_HEAD;
    options.on_failure = on_failure;
    options.tries = 2;
    options.backoff_ms = 1;
    options.backoff_max_ms = 1;
    return options;
}

/** Run it to its end. */
static inline void run_subscription(const stele_subscription_options *options, const poisons *bad,
                                    stele_status expected)
{
    stele_store *store = open_store();
    stele_subscription *subscription = NULL;
    poisons context = *bad;
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = refuse_poison;
    handler.context = &context;
    ck_assert_int_eq(stele_subscription_open(store, options, &subscription), STELE_OK);
    stele_status status = stele_subscription_run(subscription, &handler);
    ck_assert_msg(status == expected, "status %d: %s", (int)status, stele_error_text());
    stele_subscription_close(subscription);
    stele_store_close(store);
}

static inline stele_status stop_after_replay(void *context, const stele_record *record,
                                             const stele_handling *handling)
{
    const int64_t *last = context;
    ck_assert(handling->replay);
    if (record->position == *last)
        stele_subscription_stop(handling->subscription);
    return STELE_OK;
}

/** Run it until it has replayed the parked event at `last`. */
static inline void run_until_replayed(const char *name, int64_t last)
{
    stele_store *store = open_store();
    stele_subscription *subscription = NULL;
    stele_subscription_options options = catch_up(name, STELE_ON_FAILURE_PARK);
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = stop_after_replay;
    handler.context = &last;
    options.stop = STELE_STOP_NEVER;
    ck_assert_int_eq(stele_subscription_open(store, &options, &subscription), STELE_OK);
    ck_assert_int_eq(stele_subscription_run(subscription, &handler), STELE_CANCELLED);
    stele_subscription_close(subscription);
    stele_store_close(store);
}

/** A subscription `name` that the event at position 3 has stopped. */
static inline void make_stopped(const char *name)
{
    stele_subscription_options options = catch_up(name, STELE_ON_FAILURE_STOP);
    run_subscription(&options, &(poisons){ { 3 } }, STELE_REFUSED);
}

/** A subscription that has parked event 1, behind which 3 and 5 of its stream wait. */
static inline void make_parked(const char *name)
{
    stele_subscription_options options = catch_up(name, STELE_ON_FAILURE_PARK);
    run_subscription(&options, &(poisons){ { 1 } }, STELE_DONE);
}

#endif
