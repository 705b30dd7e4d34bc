/**
 * @file tests/shard_marks.h
 * Marks that tell a shard by its two names: what tests of names find out files by that are shared.
 */
#ifndef STELE_TESTS_SHARD_MARKS_H
#define STELE_TESTS_SHARD_MARKS_H

#include "sharding.h"

static inline void mark_shard(stele_shards *shards, const char *organisation,
                              const char *name_space)
{
    char mark[600];
    stele_shard *shard = acquire(shards, organisation, name_space);
    snprintf(mark, sizeof(mark), "%zu %s%s", strlen(organisation), organisation, name_space);
    expect_fine(append_data(stele_shard_store(shard), mark));
    const char *root = stele_shards_root(shards);
    ck_assert_int_eq(strncmp(stele_shard_path(shard), root, strlen(root)), 0);
    ck_assert_int_eq(stele_shard_path(shard)[strlen(root)], '/');
    stele_shard_release(shard);
}

/* `times`: what it was marked. */
static inline void expect_mark(stele_shards *shards, const char *organisation,
                               const char *name_space, int times)
{
    char mark[600];
    int same = 0, other = 0;
    stele_shard *shard = acquire(shards, organisation, name_space);
    snprintf(mark, sizeof(mark), "%zu %s%s", strlen(organisation), organisation, name_space);
    count_data(stele_shard_store(shard), mark, &same, &other);
    ck_assert_msg(same == times && other == 0, "'%s' of '%s' has %d of its marks and %d others'",
                  name_space, organisation, same, other);
    stele_shard_release(shard);
}

/* --- Names that are hashed --- */

static inline void hash_alike(const char *name, uint64_t hashes_out[2])
{
    (void)name;
    hashes_out[0] = 1;
    hashes_out[1] = 2;
}

static inline void make_long(char out[STELE_SHARD_NAME_MAX + 1], char last)
{
    memset(out, 'l', STELE_SHARD_NAME_MAX);
    out[STELE_SHARD_NAME_MAX - 1] = last;
    out[STELE_SHARD_NAME_MAX] = '\0';
}

#endif
