/**
 * @file tests/shard_work_probes.h
 * The probes of tests/test_modes_matrix.c for work on whole shards, on those of
 * tests/shard_keys_probes.h.
 */
#ifndef STELE_TESTS_SHARD_WORK_PROBES_H
#define STELE_TESTS_SHARD_WORK_PROBES_H

#include <stele/shard_work.h>

static stele_status probe_self_contained(void)
{
    stele_status status = begin_keyed();
    if (status == STELE_OK)
        status = stele_shard_make_self_contained(keyed_shard, NULL, NULL);
    return end_keyed(status);
}

static stele_status probe_copy_out(void)
{
    stele_shard_copy copy = STELE_SHARD_COPY_INIT;
    stele_status status = begin_keyed();
    copy.path = test_path("probe.copy");
    if (status == STELE_OK)
        status = stele_shard_copy_out(keyed_shard, &copy, NULL);
    unlink(copy.path);
    return end_keyed(status);
}

static stele_status probe_shards_backup(void)
{
    stele_backup backup = STELE_BACKUP_INIT;
    stele_status status = begin_keyed();
    backup.path = test_path("probe.backup");
    if (status == STELE_OK)
        status = stele_shards_backup(keyed_shards, "o", "n", &backup, NULL);
    unlink(backup.path);
    return end_keyed(status);
}

static stele_status probe_shards_recover(void)
{
    static int number;
    char name[32];
    stele_backup backup = STELE_BACKUP_INIT;
    stele_recover recover = STELE_RECOVER_INIT;
    stele_status status = begin_keyed();
    snprintf(name, sizeof(name), "recovered-%d", ++number);
    recover.backup = backup.path = test_path("probe.backup");
    if (status == STELE_OK)
        status = stele_shards_backup(keyed_shards, "o", "n", &backup, NULL);
    if (status == STELE_OK)
        status = stele_shards_recover(keyed_shards, "o", name, &recover, NULL);
    unlink(backup.path);
    return end_keyed(status);
}

static stele_status probe_shards_verify(void)
{
    stele_status status = begin_keyed();
    if (status == STELE_OK)
        status = stele_shards_verify(keyed_shards, "o", "n", NULL, NULL);
    return end_keyed(status);
}

static stele_status drop_probed(void)
{
    stele_shard_release(keyed_shard);
    keyed_shard = NULL;
    return stele_shards_drop(keyed_shards, "o", "n", false, NULL);
}

static stele_status probe_shards_drop(void)
{
    stele_status status = begin_keyed();
    return end_keyed(status == STELE_OK ? drop_probed() : status);
}

/* What was dropped while it could be. */
static stele_status begin_dropped(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_status status = stele_store_describe(store, &info);
    if (status == STELE_OK)
        status = open_keyed(false);
    if (status == STELE_OK)
        status = drop_probed();
    end_keyed(status);
    if (status != STELE_OK)
        return status;
    stele_options options = STELE_OPTIONS_INIT;
    stele_shards_options how = STELE_SHARDS_OPTIONS_INIT;
    options.read_only = info.read_only;
    how.store = &options;
    return stele_shards_open(test_path("keyed"), &how, &keyed_shards);
}

static stele_status probe_shards_undrop(void)
{
    stele_status status = begin_dropped();
    if (status == STELE_OK)
        status = stele_shards_undrop(keyed_shards, "o", "n", NULL);
    return end_keyed(status);
}

static stele_status probe_shards_trash(void)
{
    stele_trash *trash = NULL;
    const stele_trashed *trashed = NULL;
    stele_status status = begin_dropped();
    if (status == STELE_OK)
        status = stele_shards_trash(keyed_shards, &trash);
    if (status == STELE_OK)
        status = stele_trash_next(trash, &trashed);
    stele_trash_close(trash);
    return end_keyed(status);
}

#endif
