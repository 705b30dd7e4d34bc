/**
 * @file tests/import_source.h
 * What the tests of import share: an input that notes what it is told, and the way back to text.
 */
#ifndef STELE_TESTS_IMPORT_SOURCE_H
#define STELE_TESTS_IMPORT_SOURCE_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <stele/eventstore.h>
#include <stele/jsonl.h>
#include <stele/store.h>

/* Five good lines, no keys. */
#define FIVE_LINES                                                                                 \
    "{\"stream\":\"a-1\",\"type\":\"t1\",\"data\":1}\n"                                            \
    "{\"stream\":\"a-1\",\"type\":\"t2\",\"data\":2}\n"                                            \
    "{\"stream\":\"b-1\",\"type\":\"t3\",\"data\":3}\n"                                            \
    "{\"stream\":\"a-1\",\"type\":\"t4\",\"data\":4}\n"                                            \
    "{\"stream\":\"b-1\",\"type\":\"t5\",\"data\":5}\n"

/* An input, and what the import told about it. */
typedef struct source {
    const char *text;
    size_t size;
    size_t at;
    size_t chunk;        /* Most bytes a read gives; 0: all that fit. */
    bool fails;          /* Reading fails where the text ends. */
    size_t cancel_after; /* Batches; 0: never. */
    size_t batches;
    stele_imported last; /* At the last progress. */
    char rejects[4096];  /* A line each: "3: reason\n" */
    size_t rejects_size;
} source;

static inline int64_t stopped_clock(void *context)
{
    (void)context;
    return INT64_C(1709208000000000); /* 2024-02-29T12:00:00Z */
}

static inline stele_store *open_memory_store(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = stopped_clock;
    stele_store *opened = NULL;
    ck_assert_int_eq(stele_store_open(":memory:", &options, &opened), STELE_OK);
    return opened;
}

static inline stele_status read_source(void *context, void *buffer, size_t capacity,
                                       size_t *size_out)
{
    source *from = context;
    size_t size = from->size - from->at;
    if (from->chunk != 0 && size > from->chunk)
        size = from->chunk;
    if (size > capacity)
        size = capacity;
    if (size == 0 && from->fails)
        return STELE_IO;
    memcpy(buffer, from->text + from->at, size);
    from->at += size;
    *size_out = size;
    return STELE_OK;
}

static inline void note_reject(void *context, uint64_t line, const char *reason)
{
    source *from = context;
    size_t left = sizeof(from->rejects) - from->rejects_size;
    int size =
        snprintf(from->rejects + from->rejects_size, left, "%" PRIu64 ": %s\n", line, reason);
    if (size > 0 && (size_t)size < left)
        from->rejects_size += (size_t)size;
}

static inline int note_progress(void *context, const stele_imported *so_far)
{
    source *from = context;
    from->last = *so_far;
    from->batches++;
    return from->cancel_after != 0 && from->batches >= from->cancel_after ? 1 : 0;
}

/* An import of `text` by the callbacks above, with a fresh `from`. */
static inline stele_import import_of(source *from, const char *text)
{
    *from = (source){ .text = text, .size = strlen(text) };
    stele_import import = STELE_IMPORT_INIT;
    import.read = read_source;
    import.reject = note_reject;
    import.progress = note_progress;
    import.context = from;
    return import;
}

/* All events of `from` as lines. To be freed. */
static inline char *export_all(stele_store *from)
{
    stele_read read = STELE_READ_INIT;
    read.keys = true;
    stele_cursor *cursor = NULL;
    stele_exporter *exporter = NULL;
    ck_assert_int_eq(stele_store_read(from, &read, &cursor), STELE_OK);
    ck_assert_int_eq(stele_exporter_open(&exporter), STELE_OK);

    char *text = calloc(1, 1);
    size_t used = 0;
    const stele_record *record = NULL;
    stele_status status;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        const char *line = NULL;
        size_t size = 0;
        ck_assert_int_eq(stele_exporter_line(exporter, record, &line, &size), STELE_OK);
        text = realloc(text, used + size + 1);
        ck_assert_ptr_nonnull(text);
        memcpy(text + used, line, size);
        used += size;
        text[used] = '\0';
    }
    ck_assert_int_eq(status, STELE_DONE);
    stele_exporter_close(exporter);
    stele_cursor_close(cursor);
    return text;
}

static inline int64_t head_of(stele_store *of)
{
    int64_t head = -1;
    ck_assert_int_eq(stele_store_head(of, &head), STELE_OK);
    return head;
}

static inline void assert_counts(const stele_imported *imported, uint64_t lines, uint64_t appended,
                                 uint64_t duplicates, uint64_t rejected)
{
    ck_assert_uint_eq(imported->lines, lines);
    ck_assert_uint_eq(imported->appended, appended);
    ck_assert_uint_eq(imported->duplicates, duplicates);
    ck_assert_uint_eq(imported->rejected, rejected);
}

#endif
