/**
 * @file tests/shard_keys_probes.h
 * The probes of tests/test_modes_matrix.c for keyed data: a root beside the store with one shard,
 * opened for reading alone where the store is.
 */
#ifndef STELE_TESTS_SHARD_KEYS_PROBES_H
#define STELE_TESTS_SHARD_KEYS_PROBES_H

#include <stele/shard_keys.h>

static stele_shards *keyed_shards;
static stele_shard *keyed_shard;

static stele_status open_keyed(bool read_only)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_shards_options how = STELE_SHARDS_OPTIONS_INIT;
    options.read_only = read_only;
    how.store = &options;
    stele_status status = stele_shards_open(test_path("keyed"), &how, &keyed_shards);
    return status == STELE_OK ? stele_shards_acquire(keyed_shards, "o", "n", NULL, &keyed_shard)
                              : status;
}

static stele_status end_keyed(stele_status status)
{
    stele_shard_release(keyed_shard);
    keyed_shard = NULL;
    stele_shards_close(keyed_shards);
    keyed_shards = NULL;
    return status;
}

/* With one key in it. */
static stele_status begin_keyed(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_status status = stele_store_describe(store, &info);
    if (status == STELE_OK)
        status = open_keyed(false);
    if (status == STELE_OK)
        status = stele_shard_put(keyed_shard, "k/n/1", "x", 1);
    end_keyed(status);
    return status == STELE_OK ? open_keyed(info.read_only) : status;
}

static stele_status probe_shard_put(void)
{
    stele_status status = begin_keyed();
    return end_keyed(status == STELE_OK ? stele_shard_put(keyed_shard, "k", "x", 1) : status);
}

static stele_status probe_shard_get(void)
{
    bool found = false;
    stele_status status = begin_keyed();
    if (status == STELE_OK)
        status = stele_shard_get(keyed_shard, "k/n/1", NULL, &found);
    return end_keyed(status == STELE_OK && !found ? STELE_IO : status);
}

static stele_status probe_shard_updated_at(void)
{
    int64_t when = 0;
    stele_status status = begin_keyed();
    if (status == STELE_OK)
        status = stele_shard_updated_at(keyed_shard, "k/n/1", &when);
    return end_keyed(status == STELE_OK && when == 0 ? STELE_IO : status);
}

static stele_status probe_shard_delete(void)
{
    stele_status status = begin_keyed();
    return end_keyed(status == STELE_OK ? stele_shard_delete(keyed_shard, "k/n/1") : status);
}

static stele_status count_keyed(void *context, const stele_keyed *keyed)
{
    (void)keyed;
    ++*(int *)context;
    return STELE_OK;
}

static stele_status probe_shard_keys(void)
{
    int count = 0;
    stele_status status = begin_keyed();
    if (status == STELE_OK)
        status = stele_shard_keys(keyed_shard, "k", count_keyed, &count);
    return end_keyed(status == STELE_OK && count == 0 ? STELE_IO : status);
}

static stele_status probe_parse_key(void)
{
    stele_key_parts parts;
    stele_status status = begin_keyed();
    return end_keyed(status == STELE_OK ? stele_shards_parse_key(keyed_shards, "k/n/1", &parts)
                                        : status);
}

static stele_status probe_shards_put(void)
{
    stele_status status = begin_keyed();
    return end_keyed(status == STELE_OK ? stele_shards_put(keyed_shards, "o", "k/n/2", "x", 1)
                                        : status);
}

static stele_status probe_shards_get(void)
{
    bool found = false;
    stele_status status = begin_keyed();
    if (status == STELE_OK)
        status = stele_shards_get(keyed_shards, "o", "k/n/1", NULL, &found);
    return end_keyed(status == STELE_OK && !found ? STELE_IO : status);
}

static stele_status probe_shards_delete(void)
{
    stele_status status = begin_keyed();
    return end_keyed(status == STELE_OK ? stele_shards_delete(keyed_shards, "o", "k/n/1") : status);
}

static stele_status probe_shards_keys(void)
{
    int count = 0;
    stele_status status = begin_keyed();
    if (status == STELE_OK)
        status = stele_shards_keys(keyed_shards, "o", "k", count_keyed, &count);
    return end_keyed(status == STELE_OK && count == 0 ? STELE_IO : status);
}

#endif
