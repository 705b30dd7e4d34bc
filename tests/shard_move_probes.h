/**
 * @file tests/shard_move_probes.h
 * The probes of tests/test_modes_matrix.c for moving shards: a root beside the store, opened for
 * reading alone where the store is. Each probe has a shard of its own there.
 */
#ifndef STELE_TESTS_SHARD_MOVE_PROBES_H
#define STELE_TESTS_SHARD_MOVE_PROBES_H

#include <stele/shard_work.h>

static char moved_namespace[32];

static stele_status open_moving(bool read_only, stele_shards **shards_out)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_shards_options how = STELE_SHARDS_OPTIONS_INIT;
    options.read_only = read_only;
    how.store = &options;
    return stele_shards_open(test_path("moving"), &how, shards_out);
}

/* A new shard, and the root opened as the store is. */
static stele_status begin_moving(stele_shards **shards_out)
{
    static int number;
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_shard *shard = NULL;
    *shards_out = NULL;
    snprintf(moved_namespace, sizeof(moved_namespace), "n%d", ++number);
    stele_status status = stele_store_describe(store, &info);
    if (status == STELE_OK)
        status = open_moving(false, shards_out);
    if (status == STELE_OK)
        status = stele_shards_acquire(*shards_out, "o", moved_namespace, NULL, &shard);
    stele_shard_release(shard);
    stele_shards_close(*shards_out);
    *shards_out = NULL;
    return status == STELE_OK ? open_moving(info.read_only, shards_out) : status;
}

static stele_status probe_shards_move(void)
{
    stele_shards *shards = NULL;
    stele_shard_move move = STELE_SHARD_MOVE_INIT;
    stele_status status = begin_moving(&shards);
    move.organisation = "o";
    move.name_space = moved_namespace;
    move.to_organisation = "p";
    if (status == STELE_OK)
        status = stele_shards_move(shards, &move, NULL);
    stele_shards_close(shards);
    return status;
}

static stele_status probe_shards_rename(void)
{
    char renamed[64];
    stele_shards *shards = NULL;
    stele_status status = begin_moving(&shards);
    snprintf(renamed, sizeof(renamed), "%s-renamed", moved_namespace);
    if (status == STELE_OK)
        status = stele_shards_rename(shards, "o", moved_namespace, renamed, NULL);
    stele_shards_close(shards);
    return status;
}

static stele_status probe_shards_move_cancel(void)
{
    stele_shards *shards = NULL;
    stele_status status = begin_moving(&shards);
    if (status == STELE_OK)
        status = stele_shards_move_cancel(shards, "o", moved_namespace, NULL);
    stele_shards_close(shards);
    return status;
}

static stele_status probe_shards_resume(void)
{
    stele_shards *shards = NULL;
    stele_status status = begin_moving(&shards);
    if (status == STELE_OK)
        status = stele_shards_resume(shards, NULL, NULL);
    stele_shards_close(shards);
    return status;
}

static stele_status probe_shards_moved_to(void)
{
    char path[512];
    stele_shards *shards = NULL;
    stele_status status = begin_moving(&shards);
    if (status == STELE_OK)
        status = stele_shards_moved_to(shards, "o", moved_namespace, path, sizeof(path));
    stele_shards_close(shards);
    return status;
}

/* One that has moved. */
static stele_status probe_shards_forget_moved(void)
{
    char renamed[64];
    stele_shards *writing = NULL;
    stele_shards *shards = NULL;
    stele_status status = begin_moving(&shards);
    snprintf(renamed, sizeof(renamed), "%s-renamed", moved_namespace);
    if (status == STELE_OK)
        status = open_moving(false, &writing);
    if (status == STELE_OK)
        status = stele_shards_rename(writing, "o", moved_namespace, renamed, NULL);
    stele_shards_close(writing);
    if (status == STELE_OK)
        status = stele_shards_forget_moved(shards, "o", moved_namespace);
    stele_shards_close(shards);
    return status;
}

#endif
