/**
 * @file tests/copying.h
 * What the tests of copies share: a source in `store`, a target, what a copy told, and both as
 * text.
 */
#ifndef STELE_TESTS_COPYING_H
#define STELE_TESTS_COPYING_H

#include "contract.h"

#include <stele/buffer.h>
#include <stele/copy.h>
#include <stele/jsonl.h>

enum { TOLD_MAX = 4096 };

static stele_store *target;

/** What `mapped` was told, by position. */
static struct {
    int64_t count;
    int64_t first[TOLD_MAX];
    int64_t last[TOLD_MAX];
} told;

/** What an event became; each of a test's own. */
typedef stele_status (*transform_function)(void *context, const stele_record *record,
                                           stele_copy_sink *sink);

static inline const char *target_path(void)
{
    return test_path("target.db");
}

static inline void close_both(void)
{
    stele_store_close(target);
    target = NULL;
    close_and_remove();
}

static inline void open_both_in_memory(void)
{
    store = open_path(":memory:", NULL);
    target = open_path(":memory:", NULL);
}

static inline void open_both_in_files(void)
{
    open_in_file();
    target = open_path(target_path(), NULL);
}

static inline TCase *add_copy_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, close_both);
    suite_add_tcase(suite, tests);
    return tests;
}

/* The positions come in order, and what became of them grows. */
static inline void note_told(void *context, int64_t position, int64_t first, int64_t last)
{
    (void)context;
    if (position == 1)
        told.count = 0; /* a copy that goes on tells all again */
    ck_assert_int_lt(position, TOLD_MAX);
    ck_assert_int_eq(position, told.count + 1);
    told.first[position] = first;
    told.last[position] = last;
    told.count = position;
}

static inline stele_copy copy_by(transform_function transform)
{
    stele_copy copy = STELE_COPY_INIT;
    copy.transform = transform;
    copy.mapped = note_told;
    return copy;
}

static inline stele_copied run_copy(const stele_copy *copy)
{
    stele_copied copied;
    assert_status(stele_store_copy(store, target, copy, &copied), STELE_OK);
    return copied;
}

/* "1-1 0-0 2-4": what was told of each position. Borrowed until next. */
static inline const char *told_text(void)
{
    static char text[NUMBERS_SIZE];
    size_t size = 0;
    text[0] = '\0';
    for (int64_t i = 1; i <= told.count; i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%" PRId64 "-%" PRId64,
                                 size > 0 ? " " : "", told.first[i], told.last[i]);
    return text;
}

/* Every line of an export, to be freed. */
static inline char *export_of(stele_store *from)
{
    stele_buffer text = STELE_BUFFER_INIT;
    stele_exporter *exporter = NULL;
    stele_cursor *cursor = NULL;
    stele_read read = STELE_READ_INIT;
    const stele_record *record = NULL;
    read.keys = true;
    assert_status(stele_exporter_open(&exporter), STELE_OK);
    assert_status(stele_store_read(from, &read, &cursor), STELE_OK);
    while (stele_cursor_next(cursor, &record) == STELE_OK) {
        const char *line = NULL;
        size_t size = 0;
        assert_status(stele_exporter_line(exporter, record, &line, &size), STELE_OK);
        assert_status(stele_buffer_add(&text, line, size), STELE_OK);
    }
    assert_status(stele_buffer_add(&text, "", 1), STELE_OK);
    stele_cursor_close(cursor);
    stele_exporter_close(exporter);
    char *copy = strdup(text.data);
    stele_buffer_dispose(&text);
    return copy;
}

/* "a-1 made {}|b-1 made {}": streams, types and data of the target. Borrowed until next. */
static inline const char *target_text(void)
{
    static char text[NUMBERS_SIZE];
    size_t size = 0;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    text[0] = '\0';
    assert_status(stele_store_read(target, NULL, &cursor), STELE_OK);
    while (stele_cursor_next(cursor, &record) == STELE_OK)
        size +=
            (size_t)snprintf(text + size, sizeof(text) - size, "%s%s %s %s", size > 0 ? "|" : "",
                             record->stream, record->type, (const char *)record->data);
    stele_cursor_close(cursor);
    return text;
}

static inline void append_data(const char *stream, const char *type, const char *data)
{
    stele_event event = make_event(type, data);
    assert_status(append_event(stream, &event), STELE_OK);
}

/* Where the checkpoint `name` is in the target; -1 when there is none. */
static inline int64_t target_checkpoint(const char *name)
{
    stele_checkpoint checkpoint;
    assert_status(stele_checkpoint_load(target, name, &checkpoint), STELE_OK);
    return checkpoint.found ? checkpoint.position : -1;
}

/* The transform that says how often by the data: `3` becomes three events, `0` none. */
static inline stele_status as_often_as_told(void *context, const stele_record *record,
                                            stele_copy_sink *sink)
{
    (void)context;
    int count = atoi(record->data);
    stele_status status = STELE_OK;
    for (int i = 0; i < count && status == STELE_OK; i++)
        status = stele_copy_pass(sink, record);
    return status;
}

/* A note of an unfinished copy is left in the target, or not. */
static inline bool has_note(void)
{
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(target, &transaction), STELE_OK);
    int64_t count = number_in(transaction, "SELECT count(*) FROM meta WHERE key LIKE 'copy%'");
    stele_transaction_end(transaction);
    return count > 0;
}

#endif
