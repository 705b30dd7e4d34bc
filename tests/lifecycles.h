/**
 * @file tests/lifecycles.h
 * What the tests of archiving, restoring, tombstoning and deleting share: a second store that is
 * the archive, work that is cut in the middle, and short ways to make the calls.
 */
#ifndef STELE_TESTS_LIFECYCLES_H
#define STELE_TESTS_LIFECYCLES_H

#include <stele/lifecycle.h>
#include <stele/verify.h>

#include "contract.h"

/* --- The archive of the running test --- */

static stele_store *archive;

static inline const char *archive_path(void)
{
    return test_path("archive.db");
}

static inline void open_archive(void)
{
    archive = open_path(archive_path(), NULL);
}

static inline void close_archive(void)
{
    stele_store_close(archive);
    archive = NULL;
}

static inline void open_both(void)
{
    open_in_file();
    open_archive();
}

static inline void close_both(void)
{
    close_store();
    close_archive();
    remove_test_folder();
}

/* A case whose tests find `store` open, and `archive` if `setup` is open_both. */
static inline TCase *add_lifecycle_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, close_both);
    suite_add_tcase(suite, tests);
    return tests;
}

/* The archive isn't where it was any more. */
static inline void lose_archive(void)
{
    char from[512];
    snprintf(from, sizeof(from), "%s", archive_path());
    close_archive();
    ck_assert_int_eq(rename(from, test_path("elsewhere.db")), 0);
}

static inline void find_archive(void)
{
    archive = open_path(test_path("elsewhere.db"), NULL);
}

/* --- Work that is cut --- */

/* In the part called `doing` (NULL: any), the step after `steps` of them says stop. */
typedef struct cut {
    const char *doing;
    int steps;
    int seen;
} cut;

static inline int cut_here(void *context, const stele_progress *progress)
{
    cut *at = context;
    if (at->doing != NULL && strcmp(at->doing, progress->doing) != 0)
        return 0;
    return ++at->seen > at->steps;
}

/* Steps of one event each. */
static inline stele_work small_steps(cut *at)
{
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 1;
    work.progress = at != NULL ? cut_here : NULL;
    work.context = at;
    return work;
}

/* --- The calls --- */

static stele_changed changed;

static inline stele_status archive_to(const char *stream, stele_store *to, const stele_work *work)
{
    stele_archive call = STELE_ARCHIVE_INIT;
    call.stream = stream;
    call.to = to;
    call.work = work;
    return stele_store_archive(store, &call, &changed);
}

static inline stele_status archive_here(const char *stream)
{
    return archive_to(stream, NULL, NULL);
}

static inline stele_status restore_from(const char *stream, stele_store *from,
                                        const stele_work *work)
{
    stele_restore call = STELE_RESTORE_INIT;
    call.stream = stream;
    call.from = from;
    call.work = work;
    return stele_store_restore(store, &call, &changed);
}

static inline stele_status tombstone_it(const char *stream)
{
    stele_tombstone call = STELE_TOMBSTONE_INIT;
    call.stream = stream;
    call.reason = "by order";
    return stele_store_tombstone(store, &call, &changed);
}

static inline stele_status delete_with(const char *stream, stele_store *with,
                                       const stele_work *work)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = stream;
    call.archive = with;
    call.work = work;
    return stele_store_delete(store, &call, &changed);
}

static inline stele_status delete_it(const char *stream)
{
    return delete_with(stream, NULL, NULL);
}

static inline stele_resumed resume_with(stele_store *with)
{
    stele_resumed resumed = { 0 };
    stele_resume call = STELE_RESUME_INIT;
    call.archive = with;
    assert_status(stele_store_resume(store, &call, &resumed), STELE_OK);
    return resumed;
}

/* --- What is there --- */

/* Appends of every kind: codecs, metadata, keys, times, empty payloads. Versions 1 to `count`. */
static inline void fill_varied(const char *stream, int count)
{
    for (int i = 1; i <= count; i++) {
        char data[64];
        char key[64];
        snprintf(data, sizeof(data), "{\"of\":\"%s\",\"n\":%d}", stream, i);
        snprintf(key, sizeof(key), "%s/%d", stream, i);
        stele_event event = make_event(i % 2 == 0 ? "counted" : "noted", data);
        if (i % 3 == 0)
            event.codec = "raw";
        if (i % 4 == 0)
            event.data_size = 0;
        if (i % 2 == 0) {
            event.metadata = "{\"by\":\"ann\"}";
            event.metadata_size = 12;
        }
        event.schema_version = i % 5 + 1;
        event.has_occurred_at = i % 2 == 1;
        event.occurred_at = i % 2 == 1 ? 1000000 * i : 0;
        stele_append append = make_append(stream, STELE_ANY, &event, 1);
        append.idempotency_key = i % 2 == 0 ? key : NULL;
        assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    }
}

#define READ_TEXT_SIZE 16384

/* Everything that a record tells, of a stream or (NULL) of all, as text; and what ended it. */
static inline const char *tell_read(stele_store *from, const char *stream, stele_status *end_out,
                                    stele_skipped *skipped_out)
{
    static char texts[4][READ_TEXT_SIZE];
    static unsigned next;
    char *text = texts[next++ % 4];
    size_t size = 0;
    stele_read read = STELE_READ_INIT;
    read.stream = stream;
    read.keys = true;
    stele_cursor *cursor = NULL;
    assert_status(stele_store_read(from, &read, &cursor), STELE_OK);
    const stele_record *record = NULL;
    stele_status status;
    text[0] = '\0';
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        int length = snprintf(text + size, READ_TEXT_SIZE - size,
                              "%" PRId64 " %" PRId64 " %" PRId64 " %s %s %s %" PRId64 " %" PRId64
                              " %" PRId64 " %d %u %.*s %.*s %s\n",
                              record->position, record->version, record->stream_id, record->stream,
                              record->type, record->codec, record->schema_version,
                              record->recorded_at, record->occurred_at, record->has_occurred_at,
                              record->flags, (int)record->data_size, (const char *)record->data,
                              (int)record->metadata_size, (const char *)record->metadata,
                              record->idempotency_key == NULL ? "-" : record->idempotency_key);
        ck_assert_int_gt(length, 0);
        size += (size_t)length;
        ck_assert_uint_lt(size, READ_TEXT_SIZE);
    }
    if (skipped_out != NULL)
        *skipped_out = stele_cursor_skipped(cursor);
    stele_cursor_close(cursor);
    if (end_out != NULL)
        *end_out = status;
    else
        assert_status(status, STELE_DONE);
    return text;
}

static inline const char *tell_stream(const char *stream)
{
    return tell_read(store, stream, NULL, NULL);
}

static inline stele_stream_info info_of(const char *stream)
{
    stele_stream_info info = { 0 };
    assert_status(stele_store_stream(store, stream, &info), STELE_OK);
    return info;
}

/* The newest event in `$stele`, as "type data". Borrowed until the next call. */
static inline const char *last_change(void)
{
    static char text[512];
    stele_read read = STELE_READ_INIT;
    read.stream = "$stele";
    read.direction = STELE_BACKWARD;
    read.limit = 1;
    stele_cursor *cursor = open_read(&read);
    const stele_record *record = next_record(cursor);
    snprintf(text, sizeof(text), "%s %.*s", record->type, (int)record->data_size,
             (const char *)record->data);
    stele_cursor_close(cursor);
    return text;
}

/* How many changes `$stele` tells of. */
static inline int64_t change_count(void)
{
    stele_stream_info info = { 0 };
    stele_status status = stele_store_stream(store, "$stele", &info);
    return status == STELE_NOT_FOUND ? 0 : info.version;
}

/* Every check of verify holds. */
static inline void assert_whole(stele_store *of)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(of, NULL, &verify);
    assert_status(status, STELE_OK);
    while ((status = stele_verify_next(verify, &check)) == STELE_OK)
        ck_assert_msg(check->failures == 0, "%s: %s", check->name, check->offender);
    assert_status(status, STELE_DONE);
    stele_verify_close(verify);
}

#endif
