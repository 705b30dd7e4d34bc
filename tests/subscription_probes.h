/**
 * @file tests/subscription_probes.h
 * The probes of tests/test_modes_matrix.c for subscriptions and parked events.
 */
#ifndef STELE_TESTS_SUBSCRIPTION_PROBES_H
#define STELE_TESTS_SUBSCRIPTION_PROBES_H

static stele_subscription *probed_subscription;

/* `name` NULL: nothing is kept of it. */
static stele_status open_to_probe(const char *name, const char *owner)
{
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    options.name = name;
    options.owner = owner;
    options.stop = STELE_STOP_HEAD;
    options.tries = 1;
    return stele_subscription_open(store, &options, &probed_subscription);
}

static stele_status close_subscription_probe(stele_status status)
{
    stele_subscription_close(probed_subscription);
    probed_subscription = NULL;
    return status;
}

static stele_status probe_subscription(void)
{
    return close_subscription_probe(open_to_probe("probe-open", NULL));
}

static stele_status probe_subscription_nameless(void)
{
    return close_subscription_probe(open_to_probe(NULL, NULL));
}

static stele_status probe_subscription_stop(void)
{
    const stele_batch *batch = NULL;
    stele_status status = open_to_probe(NULL, NULL);
    if (status == STELE_OK) {
        stele_subscription_stop(probed_subscription);
        status = stele_subscription_next(probed_subscription, NULL, &batch);
    }
    return close_subscription_probe(status == STELE_CANCELLED ? STELE_OK : status);
}

static stele_status next_probed(const char *name, const stele_batch **batch)
{
    stele_status status = open_to_probe(name, NULL);
    return status == STELE_OK ? stele_subscription_next(probed_subscription, NULL, batch) : status;
}

static stele_status probe_subscription_next(void)
{
    const stele_batch *batch = NULL;
    return close_subscription_probe(next_probed("probe-next", &batch));
}

static stele_status probe_subscription_next_nameless(void)
{
    const stele_batch *batch = NULL;
    return close_subscription_probe(next_probed(NULL, &batch));
}

static stele_status probe_subscription_ack(void)
{
    const stele_batch *batch = NULL;
    stele_status status = next_probed("probe-ack", &batch);
    if (status == STELE_OK)
        status = stele_subscription_ack(probed_subscription, batch->through);
    return close_subscription_probe(status);
}

static stele_status probe_subscription_ack_in(void)
{
    const stele_batch *batch = NULL;
    stele_status status = next_probed("probe-ack-in", &batch);
    if (status == STELE_OK)
        status = begin_probe();
    if (status == STELE_OK)
        status = stele_transaction_subscription_ack(open_transaction, probed_subscription,
                                                    batch->through);
    return close_subscription_probe(end_probe(status));
}

static stele_status probe_subscription_reject(void)
{
    const stele_batch *batch = NULL;
    stele_status status = next_probed("probe-reject", &batch);
    if (status == STELE_OK)
        status = stele_subscription_reject(probed_subscription, batch->records[0]->position, "no");
    return close_subscription_probe(status == STELE_REFUSED ? STELE_OK : status);
}

static stele_status probe_subscription_key(void)
{
    char key[STELE_SUBSCRIPTION_KEY_SIZE];
    const stele_batch *batch = NULL;
    stele_status status = next_probed(NULL, &batch);
    if (status == STELE_OK)
        status = stele_subscription_key(probed_subscription, batch->records[0], key);
    return close_subscription_probe(status);
}

static stele_status pass_event(void *context, const stele_record *record,
                               const stele_handling *handling)
{
    (void)context;
    (void)record;
    (void)handling;
    return STELE_OK;
}

static stele_status fail_event(void *context, const stele_record *record,
                               const stele_handling *handling)
{
    (void)context;
    return stele_handling_fail(handling, record->position, "no");
}

static stele_status run_subscription_probe(const char *name,
                                           stele_status (*event)(void *context,
                                                                 const stele_record *record,
                                                                 const stele_handling *handling))
{
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = event;
    stele_status status = open_to_probe(name, NULL);
    if (status == STELE_OK)
        status = stele_subscription_run(probed_subscription, &handler);
    return close_subscription_probe(status == STELE_DONE ? STELE_OK : status);
}

static stele_status probe_subscription_run(void)
{
    return run_subscription_probe("probe-run", pass_event);
}

static stele_status probe_subscription_run_nameless(void)
{
    return run_subscription_probe(NULL, pass_event);
}

static stele_status probe_handling_fail(void)
{
    stele_status status = run_subscription_probe("probe-fail", fail_event);
    return status == STELE_REFUSED ? STELE_OK : status;
}

static stele_status probe_subscription_describe(void)
{
    const stele_subscription_info *info = NULL;
    const stele_batch *batch = NULL;
    stele_status status = next_probed(NULL, &batch);
    if (status == STELE_OK)
        status = stele_subscription_describe(probed_subscription, &info);
    return close_subscription_probe(status);
}

static stele_status probe_subscriptions(void)
{
    stele_subscriptions *list = NULL;
    const stele_subscription_info *info = NULL;
    stele_status status = stele_store_subscriptions(store, NULL, true, &list);
    while (status == STELE_OK)
        status = stele_subscriptions_next(list, &info);
    stele_subscriptions_close(list);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status probe_subscriptions_around(void)
{
    stele_status status = begin_probe();
    return end_probe(status == STELE_OK ? probe_subscriptions() : status);
}

static stele_status probe_wait_for(void)
{
    const char *names[] = { "reader" };
    return stele_subscription_wait_for(store, names, 1, 1, NULL);
}

static stele_status probe_wait_for_around(void)
{
    stele_status status = begin_probe();
    return end_probe(status == STELE_OK ? probe_wait_for() : status);
}

static stele_status probe_subscription_clear(void)
{
    return stele_subscription_clear(store, "reader");
}

static stele_status probe_subscription_next_around(void)
{
    const stele_batch *batch = NULL;
    stele_status status = open_to_probe("probe-around", NULL);
    if (status == STELE_OK)
        status = begin_probe();
    if (status == STELE_OK)
        status = stele_subscription_next(probed_subscription, NULL, &batch);
    return close_subscription_probe(end_probe(status));
}

static stele_status probe_parked(void)
{
    stele_parked_list *list = NULL;
    const stele_parked *parked = NULL;
    stele_status status = stele_store_parked(store, NULL, &list);
    while (status == STELE_OK)
        status = stele_parked_next(list, &parked);
    stele_parked_close(list);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status probe_replay(void)
{
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = pass_event;
    stele_status status = open_to_probe("probe-replay", NULL);
    if (status == STELE_OK)
        status = stele_subscription_replay(probed_subscription, NULL, &handler, NULL);
    return close_subscription_probe(status);
}

static stele_parked_choice probe_choice(bool dry_run)
{
    stele_parked_choice choice = STELE_PARKED_CHOICE_INIT;
    choice.subscription = "reader";
    choice.dry_run = dry_run;
    return choice;
}

static stele_status probe_parked_ask(void)
{
    stele_parked_choice choice = probe_choice(false);
    return stele_parked_ask(store, &choice, NULL);
}

static stele_status probe_parked_drop(void)
{
    stele_parked_choice choice = probe_choice(false);
    return stele_parked_drop(store, &choice, NULL);
}

static stele_status probe_parked_drop_dry(void)
{
    stele_parked_choice choice = probe_choice(true);
    return stele_parked_drop(store, &choice, NULL);
}

static stele_status probe_parked_drop_around(void)
{
    stele_status status = begin_probe();
    return end_probe(status == STELE_OK ? probe_parked_drop() : status);
}

#endif
