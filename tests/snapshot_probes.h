/**
 * @file tests/snapshot_probes.h
 * The probes of tests/test_modes_matrix.c for snapshots.
 */
#ifndef STELE_TESTS_SNAPSHOT_PROBES_H
#define STELE_TESTS_SNAPSHOT_PROBES_H

#include <stele/snapshot.h>

static stele_snapshot probed_snapshot(void)
{
    stele_snapshot snapshot = STELE_SNAPSHOT_INIT;
    snapshot.stream = "a-1";
    snapshot.version = 1;
    snapshot.data = "1";
    snapshot.data_size = 1;
    return snapshot;
}

static stele_status probe_snapshot_save(void)
{
    stele_snapshot snapshot = probed_snapshot();
    return stele_snapshot_save(store, &snapshot);
}

static stele_status probe_snapshot_load(void)
{
    stele_snapshot_read read = STELE_SNAPSHOT_READ_INIT;
    const stele_snapshot_record *record = NULL;
    read.stream = "a-1";
    stele_status status = stele_snapshot_load(store, &read, &record);
    stele_snapshot_close(record);
    return status;
}

static stele_status probe_snapshot_invalidate(void)
{
    return stele_snapshot_invalidate(store, "a-1", NULL, NULL);
}

static stele_status probe_snapshot_invalidate_all(void)
{
    return stele_snapshot_invalidate_all(store, NULL, NULL, NULL);
}

static stele_status probe_snapshots(void)
{
    stele_snapshots *snapshots = NULL;
    const stele_snapshot_info *info = NULL;
    stele_status status = stele_store_snapshots(store, NULL, &snapshots);
    while (status == STELE_OK)
        status = stele_snapshots_next(snapshots, &info);
    stele_snapshots_close(snapshots);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status probe_snapshot_save_in(void)
{
    stele_snapshot snapshot = probed_snapshot();
    stele_status status = begin_probe();
    if (status == STELE_OK)
        status = stele_transaction_snapshot_save(open_transaction, &snapshot);
    return end_probe(status);
}

static stele_status probe_snapshot_load_in(void)
{
    stele_snapshot_read read = STELE_SNAPSHOT_READ_INIT;
    const stele_snapshot_record *record = NULL;
    read.stream = "a-1";
    stele_status status = begin_probe();
    if (status == STELE_OK)
        status = stele_transaction_snapshot_load(open_transaction, &read, &record);
    stele_snapshot_close(record);
    return end_probe(status);
}

static stele_status probe_snapshot_invalidate_in(void)
{
    stele_status status = begin_probe();
    if (status == STELE_OK)
        status = stele_transaction_snapshot_invalidate(open_transaction, "a-1", NULL, NULL);
    return end_probe(status);
}

static stele_status probe_snapshots_in(void)
{
    stele_snapshots *snapshots = NULL;
    stele_status status = begin_probe();
    if (status == STELE_OK)
        status = stele_transaction_snapshots(open_transaction, NULL, &snapshots);
    stele_snapshots_close(snapshots);
    return end_probe(status);
}

/* A call of the thread that has a transaction open, around it. */
static stele_status probe_snapshot_save_around(void)
{
    stele_status status = begin_probe();
    return end_probe(status == STELE_OK ? probe_snapshot_save() : status);
}

static stele_status probe_snapshot_load_around(void)
{
    stele_status status = begin_probe();
    return end_probe(status == STELE_OK ? probe_snapshot_load() : status);
}

#endif
