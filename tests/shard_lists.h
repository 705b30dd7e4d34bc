/**
 * @file tests/shard_lists.h
 * What the tests of lists, runs and feeds of shards share: a root, and short ways to fill it.
 */
#ifndef STELE_TESTS_SHARD_LISTS_H
#define STELE_TESTS_SHARD_LISTS_H

#include "contract.h"

#include <stele/shard_feed.h>
#include <stele/shard_list.h>
#include <stele/state.h>
#include <stele/shards.h>

#include <stdarg.h>
#include <sys/stat.h>

/* Of the running test. */
static stele_shards *shards;

static inline stele_shards *open_root(const stele_shards_options *options)
{
    stele_shards *opened = NULL;
    assert_status(stele_shards_open(test_path("root"), options, &opened), STELE_OK);
    ck_assert_ptr_nonnull(opened);
    return opened;
}

static inline void open_shards(void)
{
    shards = open_root(NULL);
}

static inline void close_shards(void)
{
    stele_shards_close(shards);
    shards = NULL;
}

static inline void close_shards_and_remove(void)
{
    close_shards();
    close_and_remove();
}

/* A case whose tests find `shards` open. */
static inline TCase *add_shard_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, open_shards, close_shards_and_remove);
    tcase_set_timeout(tests, 600);
    suite_add_tcase(suite, tests);
    return tests;
}

static inline stele_shard *get_shard(const char *organisation, const char *name_space)
{
    stele_shard *shard = NULL;
    assert_status(stele_shards_acquire(shards, organisation, name_space, NULL, &shard), STELE_OK);
    ck_assert_ptr_nonnull(shard);
    return shard;
}

static inline void make_shard(const char *organisation, const char *name_space)
{
    stele_shard_release(get_shard(organisation, name_space));
}

/* Append `count` events of `type`, one by one, to a shard that is created when it is missing. */
static inline void add_events(const char *organisation, const char *name_space, const char *type,
                              int count)
{
    stele_shard *shard = get_shard(organisation, name_space);
    for (int i = 0; i < count; i++)
        assert_status(append_to(stele_shard_store(shard), "list-1", STELE_ANY, type, NULL),
                      STELE_OK);
    stele_shard_release(shard);
}

/* Put a file or folder under the root that is none of the library's. */
static inline void put_stray(const char *name)
{
    char path[700];
    snprintf(path, sizeof(path), "%s/%s", test_path("root"), name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs("no store\n", file), 0);
    fclose(file);
}

/* --- Lists --- */

#define LIST_TEXT_SIZE 8192

/* Drain and close `list`: "org/ns org/ns*" with a star for one that has moved. */
static inline const char *drain_shards(stele_shard_list *list)
{
    static char text[LIST_TEXT_SIZE];
    const stele_shard_entry *entry = NULL;
    size_t size = 0;
    stele_status status = STELE_OK;
    text[0] = '\0';
    while ((status = stele_shard_list_next(list, &entry)) == STELE_OK) {
        int length = snprintf(text + size, sizeof(text) - size, "%s%s/%s%s", size > 0 ? " " : "",
                              entry->organisation, entry->name_space, entry->moved ? "*" : "");
        ck_assert_int_gt(length, 0);
        ck_assert_uint_lt(size + (size_t)length, sizeof(text));
        size += (size_t)length;
    }
    assert_status(status, STELE_DONE);
    ck_assert_ptr_null(entry);
    stele_shard_list_close(list);
    return text;
}

static inline const char *list_shards(const stele_shards_read *read)
{
    stele_shard_list *list = NULL;
    assert_status(stele_shards_list(shards, read, &list), STELE_OK);
    ck_assert_ptr_nonnull(list);
    return drain_shards(list);
}

/* --- Feeds --- */

static inline stele_feed *open_feed(const stele_feed_options *options)
{
    stele_feed *feed = NULL;
    assert_status(stele_feed_open(shards, options, &feed), STELE_OK);
    ck_assert_ptr_nonnull(feed);
    return feed;
}

static inline stele_feed *open_named_feed(const char *name)
{
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    options.name = name;
    options.poll_interval_ms = 10;
    return open_feed(&options);
}

static inline const stele_feed_batch *next_in_feed(stele_feed *feed)
{
    const stele_feed_batch *batch = NULL;
    assert_status(stele_feed_next(feed, NULL, &batch), STELE_OK);
    ck_assert_ptr_nonnull(batch);
    return batch;
}

static inline void expect_nothing(stele_feed *feed)
{
    const stele_feed_batch *batch = (const stele_feed_batch *)&batch;
    assert_status(stele_feed_next(feed, NULL, &batch), STELE_TIMED_OUT);
    ck_assert_ptr_null(batch);
}

/* Take and acknowledge what there is: how many events came. */
static inline size_t drain_feed(stele_feed *feed)
{
    const stele_feed_batch *batch = NULL;
    size_t count = 0;
    stele_status status = STELE_OK;
    while ((status = stele_feed_next(feed, NULL, &batch)) == STELE_OK) {
        count += batch->count;
        assert_status(stele_feed_ack(feed), STELE_OK);
    }
    assert_status(status, STELE_TIMED_OUT);
    return count;
}

static inline const char *vector_of(stele_feed *feed)
{
    static char text[LIST_TEXT_SIZE];
    stele_buffer buffer = STELE_BUFFER_INIT;
    assert_status(stele_feed_vector(feed, &buffer), STELE_OK);
    ck_assert_uint_lt(buffer.size, sizeof(text));
    memcpy(text, buffer.data, buffer.size);
    text[buffer.size] = '\0';
    stele_buffer_dispose(&buffer);
    return text;
}

static inline int64_t checkpoint_in(const char *organisation, const char *name_space,
                                    const char *name)
{
    stele_checkpoint checkpoint;
    stele_shard *shard = get_shard(organisation, name_space);
    assert_status(stele_checkpoint_load(stele_shard_store(shard), name, &checkpoint), STELE_OK);
    stele_shard_release(shard);
    return checkpoint.found ? checkpoint.position : -1;
}

#endif
