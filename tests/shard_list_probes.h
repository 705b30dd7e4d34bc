/**
 * @file tests/shard_list_probes.h
 * The probes of tests/test_modes_matrix.c for lists, runs and feeds of shards: a root beside the
 * store, whose shards are opened for reading alone where the store is.
 */
#ifndef STELE_TESTS_SHARD_LIST_PROBES_H
#define STELE_TESTS_SHARD_LIST_PROBES_H

static stele_shards *listed_shards;
static stele_feed *probed_feed;

static stele_status open_listed(const stele_options *store_options)
{
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    options.store = store_options;
    return stele_shards_open(test_path("listed"), &options, &listed_shards);
}

/* One shard with one event. */
static stele_status make_listed(void)
{
    stele_shard *shard = NULL;
    stele_status status = open_listed(NULL);
    if (status == STELE_OK)
        status = stele_shards_acquire(listed_shards, "o", "n", NULL, &shard);
    if (status == STELE_OK)
        status = append_to(stele_shard_store(shard), "a-1", STELE_ANY, "opened", NULL);
    stele_shard_release(shard);
    stele_shards_close(listed_shards);
    listed_shards = NULL;
    return status;
}

static stele_status begin_listed(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_options options = STELE_OPTIONS_INIT;
    stele_status status = stele_store_describe(store, &info);
    options.read_only = info.read_only;
    if (status == STELE_OK)
        status = make_listed();
    return status == STELE_OK ? open_listed(&options) : status;
}

static stele_status end_listed(stele_status status)
{
    stele_feed_close(probed_feed);
    probed_feed = NULL;
    stele_shards_close(listed_shards);
    listed_shards = NULL;
    return status;
}

static stele_status walk_listed(stele_status status, stele_shard_list *list)
{
    const stele_shard_entry *entry = NULL;
    if (status == STELE_OK)
        status = stele_shard_list_next(list, &entry);
    stele_shard_list_close(list);
    return end_listed(status);
}

static stele_status probe_shard_list(void)
{
    stele_shard_list *list = NULL;
    stele_status status = begin_listed();
    if (status == STELE_OK)
        status = stele_shards_list(listed_shards, NULL, &list);
    return walk_listed(status, list);
}

static stele_status probe_shard_organisations(void)
{
    stele_shard_list *list = NULL;
    stele_status status = begin_listed();
    if (status == STELE_OK)
        status = stele_shards_organisations(listed_shards, NULL, &list);
    return walk_listed(status, list);
}

static stele_status measure_probed(void *context, stele_shard *shard)
{
    stele_shard_stats stats;
    (void)context;
    return stele_shard_statistics(shard, &stats);
}

static stele_status probe_shards_run(void)
{
    stele_shards_run run = STELE_SHARDS_RUN_INIT;
    stele_status status = begin_listed();
    run.function = measure_probed;
    if (status == STELE_OK)
        status = stele_shards_run_each(listed_shards, &run, NULL);
    return end_listed(status);
}

static stele_status probe_shards_statistics(void)
{
    stele_shard_stats total;
    stele_status status = begin_listed();
    if (status == STELE_OK)
        status = stele_shards_statistics(listed_shards, NULL, &total);
    return end_listed(status);
}

static stele_status open_probed_feed(const stele_feed_batch **batch)
{
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    stele_status status = begin_listed();
    options.name = "probe";
    if (status == STELE_OK)
        status = stele_feed_open(listed_shards, &options, &probed_feed);
    return status == STELE_OK ? stele_feed_next(probed_feed, NULL, batch) : status;
}

static stele_status probe_feed(void)
{
    const stele_feed_batch *batch = NULL;
    return end_listed(open_probed_feed(&batch));
}

static stele_status probe_feed_ack(void)
{
    const stele_feed_batch *batch = NULL;
    stele_status status = open_probed_feed(&batch);
    return end_listed(status == STELE_OK ? stele_feed_ack(probed_feed) : status);
}

static stele_status probe_feed_ack_within(void)
{
    const stele_feed_batch *batch = NULL;
    stele_transaction *transaction = NULL;
    stele_status status = open_probed_feed(&batch);
    if (status == STELE_OK)
        status = stele_transaction_begin(stele_shard_store(batch->shard), &transaction);
    if (status == STELE_OK)
        status = stele_feed_ack_within(probed_feed, transaction);
    stele_transaction_end(transaction);
    return end_listed(status);
}

static stele_status probe_feed_vector(void)
{
    const stele_feed_batch *batch = NULL;
    stele_buffer text = STELE_BUFFER_INIT;
    stele_status status = open_probed_feed(&batch);
    if (status == STELE_OK)
        status = stele_feed_vector(probed_feed, &text);
    stele_buffer_dispose(&text);
    return end_listed(status);
}

static stele_status probe_feed_stop(void)
{
    const stele_feed_batch *batch = NULL;
    const char *organisation = "";
    const char *name_space = "";
    stele_status status = open_probed_feed(&batch);
    stele_feed_fault(probed_feed, &organisation, &name_space);
    stele_feed_stop(probed_feed);
    if (status == STELE_OK && organisation == NULL && name_space == NULL)
        status = stele_feed_next(probed_feed, NULL, &batch);
    return end_listed(status == STELE_DONE ? STELE_OK : status);
}

#endif
