/**
 * @file tests/snapshots.h
 * What the tests of snapshots share: short ways to save, to load and to compare.
 */
#ifndef STELE_TESTS_SNAPSHOTS_H
#define STELE_TESTS_SNAPSHOTS_H

#include <stele/codec.h>
#include <stele/snapshot.h>

#include "contract.h"

static inline stele_snapshot make_snapshot(const char *stream, int64_t version, const char *data)
{
    stele_snapshot snapshot = STELE_SNAPSHOT_INIT;
    snapshot.stream = stream;
    snapshot.version = version;
    snapshot.data = data;
    snapshot.data_size = strlen(data);
    return snapshot;
}

static inline stele_status save_to(stele_store *target, const char *stream, int64_t version,
                                   const char *data)
{
    stele_snapshot snapshot = make_snapshot(stream, version, data);
    return stele_snapshot_save(target, &snapshot);
}

static inline void save_kept(const char *stream, int64_t version, const char *data, uint32_t keep)
{
    stele_snapshot snapshot = make_snapshot(stream, version, data);
    snapshot.keep = keep;
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
}

static inline stele_snapshot_read make_snapshot_read(const char *stream)
{
    stele_snapshot_read read = STELE_SNAPSHOT_READ_INIT;
    read.stream = stream;
    return read;
}

/* Close what is given out. */
static inline const stele_snapshot_record *load_by(stele_store *target,
                                                   const stele_snapshot_read *read)
{
    const stele_snapshot_record *record = NULL;
    assert_status(stele_snapshot_load(target, read, &record), STELE_OK);
    ck_assert_ptr_nonnull(record);
    ck_assert_int_eq(record->found, record->miss == STELE_SNAPSHOT_HIT);
    ck_assert_int_eq(record->found, record->reason[0] == '\0');
    return record;
}

/* A miss tells its reason, and nothing else. */
static inline void expect_miss_record(const stele_snapshot_record *record,
                                      stele_snapshot_miss expected)
{
    ck_assert_msg(!record->found, "version %" PRId64 " was found", record->version);
    ck_assert_msg(record->miss == expected, "the miss is %s, not %s: %s",
                  stele_snapshot_miss_name(record->miss), stele_snapshot_miss_name(expected),
                  record->reason);
    ck_assert_str_ne(record->reason, "");
    ck_assert_str_eq(record->stream, "");
    ck_assert_str_eq(record->name, "");
    ck_assert_str_eq(record->codec, "");
    ck_assert_int_eq(record->stream_id, 0);
    ck_assert_int_eq(record->version, 0);
    ck_assert_int_eq(record->schema_version, 0);
    ck_assert_int_eq(record->saved_at, 0);
    ck_assert_ptr_nonnull(record->data);
    ck_assert_uint_eq(record->data_size, 0);
    ck_assert_ptr_nonnull(record->metadata);
    ck_assert_uint_eq(record->metadata_size, 0);
}

static inline void expect_miss_by(const stele_snapshot_read *read, stele_snapshot_miss expected)
{
    const stele_snapshot_record *record = load_by(store, read);
    expect_miss_record(record, expected);
    stele_snapshot_close(record);
}

static inline void expect_miss(const char *stream, stele_snapshot_miss expected)
{
    stele_snapshot_read read = make_snapshot_read(stream);
    expect_miss_by(&read, expected);
}

static inline void expect_hit_by(const stele_snapshot_read *read, int64_t version, const char *data)
{
    const stele_snapshot_record *record = load_by(store, read);
    ck_assert_msg(record->found, "a miss: %s", record->reason);
    ck_assert_int_eq(record->version, version);
    ck_assert_uint_eq(record->data_size, strlen(data));
    ck_assert_str_eq((const char *)record->data, data); /* the NUL behind it is ours */
    ck_assert_str_eq(record->stream, read->stream);
    ck_assert_str_eq(record->name, read->name == NULL ? "state" : read->name);
    ck_assert_int_gt(record->stream_id, 0);
    stele_snapshot_close(record);
}

static inline void expect_hit(const char *stream, int64_t version, const char *data)
{
    stele_snapshot_read read = make_snapshot_read(stream);
    expect_hit_by(&read, version, data);
}

/* The versions in the list, such as "a-1 state 3, a-1 state 1". Borrowed until next. */
static inline const char *listed(stele_store *target, const stele_snapshots_read *read)
{
    static char text[4096];
    size_t used = 0;
    const stele_snapshot_info *info = NULL;
    stele_snapshots *list = NULL;
    stele_status status;
    text[0] = '\0';
    assert_status(stele_store_snapshots(target, read, &list), STELE_OK);
    while ((status = stele_snapshots_next(list, &info)) == STELE_OK) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %s %" PRId64,
                                 used > 0 ? ", " : "", info->stream, info->name, info->version);
        ck_assert_uint_lt(used, sizeof(text));
    }
    assert_status(status, STELE_DONE);
    ck_assert_ptr_null(info);
    stele_snapshots_close(list);
    return text;
}

#endif
