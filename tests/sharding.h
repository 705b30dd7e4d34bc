/**
 * @file tests/sharding.h
 * What tests of shards share: a root in the test's folder, and short ways to use what is under it.
 */
#ifndef STELE_TESTS_SHARDING_H
#define STELE_TESTS_SHARDING_H

#include "support.h"

#include <stele.h>

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define expect_status(call, expected)                                                              \
    do {                                                                                           \
        stele_status status_found = (call);                                                        \
        ck_assert_msg(status_found == (expected), "%s: %s: %s", #call,                             \
                      stele_status_name(status_found),                                             \
                      status_found < 0 ? stele_error_text() : "");                                 \
    } while (0)
#define expect_fine(call) expect_status(call, STELE_OK)

/** Open the shards under "root" in the test's folder. `open_max` 0: the default. */
static inline stele_shards *open_root(uint32_t open_max)
{
    stele_shards *shards = NULL;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    if (open_max > 0)
        options.open_max = open_max;
    expect_fine(stele_shards_open(test_path("root"), &options, &shards));
    return shards;
}

static inline stele_shard *acquire(stele_shards *shards, const char *organisation,
                                   const char *name_space)
{
    stele_shard *shard = NULL;
    stele_status status = stele_shards_acquire(shards, organisation, name_space, NULL, &shard);
    ck_assert_msg(status == STELE_OK, "acquiring '%s' of '%s': %s: %s", name_space, organisation,
                  stele_status_name(status), stele_error_text());
    ck_assert_ptr_nonnull(shard);
    return shard;
}

/** Without waiting, and without creating it. */
static inline stele_status try_acquire(stele_shards *shards, const char *organisation,
                                       const char *name_space, stele_shard **shard_out)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 0;
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.must_exist = true;
    how.wait = &wait;
    return stele_shards_acquire(shards, organisation, name_space, &how, shard_out);
}

/** Append one event with `data` to the stream "s". */
static inline stele_status append_data(stele_store *store, const char *data)
{
    stele_event event = { 0 };
    event.type = "noted";
    event.codec = "raw";
    event.data = data;
    event.data_size = strlen(data);
    stele_append append = STELE_APPEND_INIT;
    append.stream = "s";
    append.events = &event;
    append.event_count = 1;
    append.expected_version = STELE_ANY;
    return stele_store_append(store, &append, NULL);
}

/** How many events of the stream "s" hold `data`, and how many hold something else: DONE, or what
 *  reading failed with. */
static inline stele_status try_count_data(stele_store *store, const char *data, int *same_out,
                                          int *other_out)
{
    stele_read read = STELE_READ_INIT;
    read.stream = "s";
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    *same_out = 0;
    *other_out = 0;
    stele_status status = stele_store_read(store, &read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        if (record->data_size == strlen(data) && memcmp(record->data, data, record->data_size) == 0)
            ++*same_out;
        else
            ++*other_out;
    }
    stele_cursor_close(cursor);
    return status == STELE_NOT_FOUND ? STELE_DONE : status;
}

/** The same where nothing may be damaged. */
static inline void count_data(stele_store *store, const char *data, int *same_out, int *other_out)
{
    ck_assert_msg(try_count_data(store, data, same_out, other_out) == STELE_DONE, "reading: %s",
                  stele_error_text());
}

static inline stele_shards_info describe(stele_shards *shards)
{
    stele_shards_info info;
    expect_fine(stele_shards_describe(shards, &info));
    return info;
}

#endif
