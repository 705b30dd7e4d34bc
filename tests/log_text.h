/**
 * @file tests/log_text.h
 * All that can be read from a store, as one text: two stores are alike when their texts are.
 */
#ifndef STELE_TESTS_LOG_TEXT_H
#define STELE_TESTS_LOG_TEXT_H

#include "contract.h"

#include <stele/state.h>

/* What was read until the first failure, and that failure; STELE_OK when all of it was read. */
typedef struct log_text {
    char *text;
    size_t size;
    stele_status status;
} log_text;

static inline void print_bytes(FILE *out, const void *bytes, size_t size)
{
    fprintf(out, " %zu:", size);
    fwrite(bytes, 1, size, out);
}

static inline void print_record(FILE *out, const stele_record *record)
{
    fprintf(out, "%" PRId64 " %s %" PRId64 " %s %s %" PRId64 " %" PRId64 " %d %" PRId64 " %u %s",
            record->position, record->stream, record->version, record->type, record->codec,
            record->schema_version, record->recorded_at, (int)record->has_occurred_at,
            record->occurred_at, (unsigned)record->flags,
            record->idempotency_key != NULL ? record->idempotency_key : "(no key)");
    print_bytes(out, record->data, record->data_size);
    print_bytes(out, record->metadata, record->metadata_size);
    fputc('\n', out);
}

static inline stele_status print_records(FILE *out, stele_store *source, const stele_read *read)
{
    stele_cursor *cursor = NULL;
    stele_status status = stele_store_read(source, read, &cursor);
    const stele_record *record = NULL;
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK)
        print_record(out, record);
    stele_cursor_close(cursor);
    return status == STELE_DONE ? STELE_OK : status;
}

static inline stele_status print_streams(FILE *out, stele_store *source)
{
    stele_streams *streams = NULL;
    stele_status status = stele_store_streams(source, NULL, &streams);
    const stele_stream_info *info = NULL;
    while (status == STELE_OK && (status = stele_streams_next(streams, &info)) == STELE_OK) {
        fprintf(out, "stream %s %" PRId64 " %d %s\n", info->stream, info->version, (int)info->state,
                info->reason);
        stele_read read = STELE_READ_INIT;
        read.stream = info->stream;
        status = print_records(out, source, &read);
        if (status != STELE_OK)
            break;
    }
    stele_streams_close(streams);
    return status == STELE_DONE ? STELE_OK : status;
}

static inline stele_status print_types(FILE *out, stele_store *source)
{
    stele_types *types = NULL;
    stele_status status = stele_store_types(source, &types);
    const stele_type_info *info = NULL;
    while (status == STELE_OK && (status = stele_types_next(types, &info)) == STELE_OK)
        fprintf(out, "type %s %" PRId64 " %" PRId64 "\n", info->type, info->schema_version,
                info->events);
    stele_types_close(types);
    return status == STELE_DONE ? STELE_OK : status;
}

static inline stele_status print_checkpoint(FILE *out, stele_store *source, const char *name)
{
    stele_checkpoint checkpoint = { 0 };
    stele_status status = stele_checkpoint_load(source, name, &checkpoint);
    if (status == STELE_OK && checkpoint.found)
        fprintf(out, "checkpoint %s %" PRId64 " %" PRId64 "\n", name, checkpoint.position,
                checkpoint.saved_at);
    return status;
}

/* The caller frees `text`. */
static inline log_text read_log_text(stele_store *source)
{
    log_text log = { 0 };
    FILE *out = open_memstream(&log.text, &log.size);
    ck_assert_ptr_nonnull(out);
    stele_read read = STELE_READ_INIT;
    read.keys = true;
    log.status = print_records(out, source, &read);
    if (log.status == STELE_OK)
        log.status = print_streams(out, source);
    if (log.status == STELE_OK)
        log.status = print_types(out, source);
    if (log.status == STELE_OK)
        log.status = print_checkpoint(out, source, "reader");
    ck_assert_int_eq(fclose(out), 0);
    return log;
}

static inline bool same_text(const log_text *one, const log_text *other)
{
    return one->size == other->size && memcmp(one->text, other->text, one->size) == 0;
}

/* A closed file at store_path() whose rows use every column. Position 4 is the richest. */
static inline void make_rich_file(void)
{
    open_in_file();
    fill_stream("a-1", 1);
    fill_stream("b-1", 1);
    fill_stream("a-1", 1);
    stele_event event = { .type = "uploaded", .data = "\1\2\3\0\4", .data_size = 5 };
    event.codec = "raw";
    event.metadata = "{\"by\":\"me\"}";
    event.metadata_size = 11;
    event.schema_version = 3;
    event.occurred_at = 1234567;
    stele_append append = make_append("b-1", STELE_ANY, &event, 1);
    append.idempotency_key = "key-4";
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    fill_stream("a-1", 1);
    fill_stream("c-1", 1);
    assert_status(stele_checkpoint_save(store, "reader", 4), STELE_OK);
    stele_put put = STELE_PUT_INIT;
    put.scope = "scope";
    put.key = "key";
    put.codec = "json";
    put.data = "{\"n\":1}";
    put.data_size = 7;
    put.attributes = &(stele_attribute){ "by", "me" };
    put.attribute_count = 1;
    put.write_id = "w-1";
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    put.key = "other";
    put.write_id = NULL;
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    close_store();
}

#endif
