/**
 * @file tests/dropping.h
 * What the tests of dropping share: shards of "acme" to fill and to count, and a look at the trash.
 */
#ifndef STELE_TESTS_DROPPING_H
#define STELE_TESTS_DROPPING_H

#include "sharding.h"

#include "contract.h"

#include <dirent.h>

static stele_shards *shards;

static inline void open_shards(void)
{
    shards = open_root(0);
}

static inline void close_shards(void)
{
    stele_shards_close(shards);
    shards = NULL;
    remove_test_folder();
}

static const stele_wait no_wait = { sizeof(no_wait), 0, NULL, NULL };

static inline void fill_shard(const char *name_space, int count)
{
    stele_shard *shard = acquire(shards, "acme", name_space);
    for (int i = 0; i < count; i++)
        expect_fine(append_data(stele_shard_store(shard), "d"));
    stele_shard_release(shard);
}

static inline void expect_events(const char *name_space, int expected)
{
    int same = 0;
    int other = 0;
    stele_shard *shard = NULL;
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.must_exist = true;
    expect_fine(stele_shards_acquire(shards, "acme", name_space, &how, &shard));
    count_data(stele_shard_store(shard), "d", &same, &other);
    ck_assert_int_eq(same, expected);
    ck_assert_int_eq(other, 0);
    expect_fine(append_data(stele_shard_store(shard), "e"));
    stele_shard_release(shard);
}

static inline void expect_no_shard(const char *name_space)
{
    stele_shard *shard = NULL;
    expect_status(try_acquire(shards, "acme", name_space, &shard), STELE_NOT_FOUND);
}

/* How many are in the trash; the last one in `last`. */
typedef struct trash_look {
    int count;
    char id[64];
    char path[600];
    char name_space[300];
    char organisation[300];
    int64_t dropped_at;
    int64_t purge_at;
    int64_t bytes;
    bool moved;
} trash_look;

static inline trash_look look_into_trash(void)
{
    trash_look look = { 0 };
    stele_trash *trash = NULL;
    const stele_trashed *trashed = NULL;
    int64_t before = 0;
    expect_fine(stele_shards_trash(shards, &trash));
    stele_status status;
    while ((status = stele_trash_next(trash, &trashed)) == STELE_OK) {
        look.count++;
        snprintf(look.id, sizeof(look.id), "%s", trashed->id);
        snprintf(look.path, sizeof(look.path), "%s", trashed->path);
        snprintf(look.name_space, sizeof(look.name_space), "%s", trashed->name_space);
        snprintf(look.organisation, sizeof(look.organisation), "%s", trashed->organisation);
        look.dropped_at = trashed->dropped_at;
        look.purge_at = trashed->purge_at;
        look.bytes = trashed->bytes;
        look.moved = trashed->moved;
        ck_assert_int_ge(trashed->dropped_at, before);
        before = trashed->dropped_at;
    }
    ck_assert_int_eq(status, STELE_DONE);
    stele_trash_close(trash);
    return look;
}

static inline int count_files(const char *folder)
{
    int count = 0;
    DIR *scan = opendir(folder);
    if (scan == NULL)
        return 0;
    for (struct dirent *entry; (entry = readdir(scan)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0
                 && strcmp(entry->d_name, ".lock") != 0;
    closedir(scan);
    return count;
}

#endif
