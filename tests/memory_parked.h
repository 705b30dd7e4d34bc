/**
 * @file tests/memory_parked.h
 * The scenario of tests/test_out_of_memory.c that parks, lists, asks, replays and drops. It pulls:
 * a run would wait for memory.
 */
#ifndef STELE_TESTS_MEMORY_PARKED_H
#define STELE_TESTS_MEMORY_PARKED_H

#include <stele/parked.h>

static inline stele_status pass_parked(void *context, const stele_record *record,
                                       const stele_handling *handling)
{
    (void)context;
    (void)record;
    (void)handling;
    return STELE_OK;
}

/* The first event is parked, and what follows in its stream. */
static inline stele_status park_first(stele_subscription *subscription)
{
    const stele_batch *batch = NULL;
    stele_status status = stele_subscription_next(subscription, NULL, &batch);
    if (status == STELE_OK)
        status = stele_subscription_reject(subscription, batch->records[0]->position, "no");
    while (status == STELE_OK) {
        status = stele_subscription_next(subscription, NULL, &batch);
        if (status == STELE_OK)
            status = stele_subscription_ack(subscription, batch->through);
    }
    return status == STELE_DONE ? STELE_OK : status;
}

static inline stele_status look_at_parked(stele_store *at, stele_subscription *subscription)
{
    const char *names[] = { "parks" };
    const stele_subscription_info *info = NULL;
    const stele_parked *parked = NULL;
    stele_parked_list *list = NULL;
    stele_status status = stele_store_parked(at, NULL, &list);
    while (status == STELE_OK)
        status = stele_parked_next(list, &parked);
    stele_parked_close(list);
    status = status == STELE_DONE ? STELE_OK : status;
    if (status == STELE_OK)
        status = stele_subscription_describe(subscription, &info);
    if (status == STELE_OK)
        status = stele_subscription_wait_for(at, names, 1, 1, NULL);
    if (status == STELE_OK)
        status = stele_subscription_clear(at, "parks");
    return status;
}

static inline stele_status try_parked(attempt *run)
{
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    stele_parked_choice choice = STELE_PARKED_CHOICE_INIT;
    stele_handler handler = STELE_HANDLER_INIT;
    stele_subscription *subscription = NULL;
    options.name = "parks";
    options.owner = "the same each time";
    options.stop = STELE_STOP_POSITION;
    options.stop_position = EVENTS_BEFORE;
    options.on_failure = STELE_ON_FAILURE_PARK;
    options.tries = 1;
    choice.subscription = options.name;
    choice.limit = 3;
    handler.event = pass_parked;
    stele_status status = stele_checkpoint_save(run->store, "parks", 0);
    if (status == STELE_OK)
        status = stele_subscription_open(run->store, &options, &subscription);
    if (status == STELE_OK)
        status = park_first(subscription);
    if (status == STELE_OK)
        status = look_at_parked(run->store, subscription);
    if (status == STELE_OK)
        status = stele_parked_ask(run->store, &choice, NULL);
    if (status == STELE_OK)
        status = stele_subscription_replay(subscription, &choice, &handler, NULL);
    if (status == STELE_OK)
        status = stele_parked_drop(run->store, &choice, NULL);
    stele_subscription_close(subscription);
    return status;
}

#endif
