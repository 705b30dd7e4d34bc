/* Aggregates, as a scenario of memory_scenarios.h, which includes it. */
#ifndef STELE_TESTS_MEMORY_AGGREGATES_H
#define STELE_TESTS_MEMORY_AGGREGATES_H

#include "accounts.h"

static int aggregate_count;

static inline stele_status execute_counted(attempt *run, stele_aggregate *of,
                                           const stele_execute *execute)
{
    stele_executed out;
    stele_status status = stele_aggregate_execute(of, execute, &out);
    if (status == STELE_OK && !out.duplicate)
        run->stored += (int64_t)out.event_count;
    ck_assert(out.snapshot_status == STELE_OK || out.snapshot_status == STELE_NO_MEMORY);
    ck_assert(out.state_status == STELE_OK || out.state_status == STELE_NO_MEMORY);
    return status;
}

/* Commands with keys, causes and states; on a stream of two pages, so that folding is cut, too. */
static inline stele_status execute_some(attempt *run, stele_aggregate *of, const char *stream)
{
    char key[32];
    stele_attribute attribute = { "user", "a longer name than fits in place" };
    stele_cause cause = STELE_CAUSE_INIT;
    stele_execute execute = STELE_EXECUTE_INIT;
    command what = { .verb = MOVE, .amount = 2, .count = 3 };
    stele_status status = STELE_OK;
    cause.correlation = "request-1";
    cause.attributes = &attribute;
    cause.attribute_count = 1;
    execute.stream = stream;
    execute.command = &what;
    execute.cause = &cause;
    execute.idempotency_key = key;
    for (int i = 0; i < 4 && status == STELE_OK; i++) {
        union {
            account account;
            ledger ledger;
        } state;
        execute.state = i % 2 == 1 ? &state : NULL;
        snprintf(key, sizeof(key), "aggregate-%d", i < 3 ? ++aggregate_count : aggregate_count);
        status = execute_counted(run, of, &execute);
        if (status == STELE_OK && execute.state != NULL)
            stele_aggregate_clear(of, &state);
    }
    return status;
}

static inline stele_status load_some(stele_aggregate *of, const char *stream)
{
    union {
        account account;
        ledger ledger;
    } state;
    stele_at at = STELE_AT_INIT;
    stele_loaded out;
    stele_status status = stele_aggregate_load(of, stream, &state, &out);
    if (status == STELE_OK)
        ck_assert_int_eq(out.version, 9);
    stele_aggregate_clear(of, &state);
    at.stream = stream;
    at.has_time = true;
    at.time = INT64_MAX;
    if (status == STELE_OK)
        status = stele_aggregate_at(of, &at, &state, &out);
    stele_aggregate_clear(of, &state);
    return status == STELE_OK ? stele_aggregate_snapshot(of, stream, NULL) : status;
}

static inline stele_status execute_inside(attempt *run, stele_aggregate *of, const char *stream)
{
    stele_execute execute = STELE_EXECUTE_INIT;
    command what = { .verb = MOVE, .amount = 1 };
    stele_transaction *transaction = NULL;
    execute.stream = stream;
    execute.command = &what;
    stele_status status = stele_transaction_begin(run->store, &transaction);
    for (int i = 0; i < 2 && status == STELE_OK; i++)
        status = stele_transaction_aggregate_execute(transaction, of, &execute, NULL);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    run->stored += status == STELE_OK ? 2 : 0;
    stele_transaction_end(transaction);
    return status;
}

static inline stele_status try_aggregate_of(attempt *run, stele_decider decider)
{
    char stream[32];
    stele_aggregate *of = (stele_aggregate *)&of;
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    options.cache_count_max = 2;
    options.snapshot_events = 2;
    snprintf(stream, sizeof(stream), "aggregate-%d", ++aggregate_count);
    stele_status status = stele_store_register_type(run->store, &movement_type);
    if (status == STELE_OK) {
        status = stele_aggregate_open(run->store, &decider, &options, &of);
        ck_assert((status == STELE_OK) == (of != NULL));
    } else {
        of = NULL;
    }
    if (status == STELE_OK)
        status = execute_some(run, of, stream);
    if (status == STELE_OK)
        status = load_some(of, stream);
    if (status == STELE_OK)
        status = execute_inside(run, of, stream);
    stele_aggregate_close(of);
    return status;
}

static inline stele_status try_aggregate(attempt *run)
{
    return try_aggregate_of(run, account_decider());
}

static inline stele_status try_owning_aggregate(attempt *run)
{
    return try_aggregate_of(run, ledger_decider());
}

#endif
