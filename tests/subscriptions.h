/**
 * @file tests/subscriptions.h
 * What the tests of subscriptions share: short ways to open, to pull and to run; and a handler that
 * writes down what it is given, in the transaction or beside it.
 */
#ifndef STELE_TESTS_SUBSCRIPTIONS_H
#define STELE_TESTS_SUBSCRIPTIONS_H

#include <stele/notify.h>
#include <stele/parked.h>
#include <stele/subscription.h>
#include <stele/worker.h>

#include "contract.h"

static inline stele_subscription_options make_subscription(const char *name)
{
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    options.name = name;
    options.backoff_ms = 1;
    options.backoff_max_ms = 4;
    options.batch_ms_max = 600000; /* how slow the machine is cuts no batch */
    return options;
}

/* One that ends at the head. */
static inline stele_subscription_options make_catch_up(const char *name)
{
    stele_subscription_options options = make_subscription(name);
    options.stop = STELE_STOP_HEAD;
    return options;
}

static inline stele_subscription *open_subscription(const stele_subscription_options *options)
{
    stele_subscription *subscription = NULL;
    assert_status(stele_subscription_open(store, options, &subscription), STELE_OK);
    ck_assert_ptr_nonnull(subscription);
    return subscription;
}

/* Wait no longer than that. */
static inline stele_wait wait_for_ms(uint32_t timeout_ms)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = timeout_ms;
    return wait;
}

/* The next batch, which must be there within a minute. */
static inline const stele_batch *pull(stele_subscription *subscription)
{
    const stele_batch *batch = NULL;
    stele_wait wait = wait_for_ms(60000);
    assert_status(stele_subscription_next(subscription, &wait, &batch), STELE_OK);
    ck_assert_ptr_nonnull(batch);
    ck_assert_uint_ge(batch->count, 1);
    return batch;
}

/* Nothing is there now. */
static inline void expect_nothing(stele_subscription *subscription)
{
    const stele_batch *batch = NULL;
    stele_wait wait = wait_for_ms(0);
    assert_status(stele_subscription_next(subscription, &wait, &batch), STELE_TIMED_OUT);
    ck_assert_ptr_null(batch);
}

static inline int64_t saved_position(const char *name)
{
    stele_checkpoint checkpoint;
    assert_status(stele_checkpoint_load(store, name, &checkpoint), STELE_OK);
    return checkpoint.found ? checkpoint.position : -1;
}

/* What a handler was given. In the table `seen` when it has a transaction. */
typedef struct seen_events {
    int64_t positions[100000];
    size_t count;
    int64_t poison;      /* this one fails; 0: none */
    stele_status answer; /* with this */
    size_t failures;     /* how often it did */
    int64_t stop_at;     /* the run is to end there; 0: not */
    size_t caught_up;
    size_t fell_behind;
    bool replay; /* the last one was */
    uint32_t attempt;
} seen_events;

static inline void make_seen_table(void)
{
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    ck_assert_int_eq(sqlite3_exec(stele_transaction_sqlite(transaction),
                                  "CREATE TABLE IF NOT EXISTS seen(id INTEGER PRIMARY KEY,"
                                  " position INTEGER NOT NULL)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);
}

static inline stele_status see_event(void *context, const stele_record *record,
                                     const stele_handling *handling)
{
    seen_events *seen = context;
    seen->replay = handling->replay;
    seen->attempt = handling->attempt;
    if (handling->transaction != NULL) {
        char sql[96];
        snprintf(sql, sizeof(sql), "INSERT INTO seen(position) VALUES(%" PRId64 ")",
                 record->position);
        int code =
            sqlite3_exec(stele_transaction_sqlite(handling->transaction), sql, NULL, NULL, NULL);
        if (code != SQLITE_OK)
            return code == SQLITE_FULL ? STELE_FULL : STELE_IO;
    }
    if (record->position == seen->poison) {
        seen->failures++;
        return seen->answer == STELE_REFUSED
                   ? stele_handling_fail(handling, record->position, "poison")
                   : seen->answer;
    }
    if (seen->count < COUNT_OF(seen->positions))
        seen->positions[seen->count++] = record->position;
    if (record->position == seen->stop_at)
        stele_subscription_stop(handling->subscription);
    return STELE_OK;
}

static inline void count_caught_up(void *context, int64_t position)
{
    seen_events *seen = context;
    (void)position;
    seen->caught_up++;
}

static inline void count_fell_behind(void *context, int64_t position, int64_t head)
{
    seen_events *seen = context;
    ck_assert_int_lt(position, head);
    seen->fell_behind++;
}

static inline stele_handler seeing(seen_events *seen)
{
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = see_event;
    handler.caught_up = count_caught_up;
    handler.fell_behind = count_fell_behind;
    handler.context = seen;
    return handler;
}

/* Open, run to the end, and close. */
static inline stele_status run_through(const stele_subscription_options *options, seen_events *seen)
{
    stele_subscription *subscription = open_subscription(options);
    stele_handler handler = seeing(seen);
    stele_status status = stele_subscription_run(subscription, &handler);
    char reason[512];
    snprintf(reason, sizeof(reason), "%s", status < 0 ? stele_error_text() : "");
    stele_subscription_close(subscription);
    (void)reason;
    return status;
}

#endif
