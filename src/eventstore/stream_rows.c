/* Rows of `streams` as a whole, and the events that tell of their changes. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "eventstore/lifecycle.h"

#define CHANGES_STREAM "$stele"

static stele_status take_text(const char *text, char *out, size_t capacity, const char *what,
                              int64_t id)
{
    size_t size = strlen(text);
    if (size >= capacity)
        return stele__fail(STELE_CORRUPT, "the %s of stream %" PRId64 " has %zu bytes", what, id,
                           size);
    memcpy(out, text, size + 1);
    return STELE_OK;
}

/* The row behind a SELECT of id, name, state, reason, changed_at, base_version, checksum and the
 * highest version. */
static stele_status take_stream_row(stele__statement *statement, stele__stream_row *row)
{
    const char *name = stele__column_text(statement, 1);
    const char *reason = stele__column_text(statement, 3);
    *row = (stele__stream_row){ .id = stele__column_number(statement, 0),
                                .has_name = name != NULL,
                                .has_reason = reason != NULL,
                                .state = stele__column_number(statement, 2),
                                .changed_at = stele__column_number(statement, 4),
                                .base_version = stele__column_number(statement, 5) };
    row->version = stele__column_type_of(statement, 7) == STELE__COLUMN_NULL
                       ? row->base_version
                       : stele__column_number(statement, 7);
    if (stele__stream_checksum(row->id, name, row->state, reason, row->changed_at,
                               row->base_version)
        != stele__column_number(statement, 6))
        return stele__fail(STELE_CORRUPT, "the row %" PRId64 " of streams is damaged", row->id);
    stele_status status = STELE_OK;
    if (name != NULL)
        status = take_text(name, row->name, sizeof(row->name), "name", row->id);
    if (status == STELE_OK && reason != NULL)
        status = take_text(reason, row->reason, sizeof(row->reason), "reason", row->id);
    return status;
}

#define SELECT_STREAM_ROW                                                                          \
    "SELECT id, name, state, reason, changed_at, base_version, checksum,"                          \
    " (SELECT max(version) FROM events WHERE stream = streams.id) FROM streams"

stele_status stele__stream_row_find(stele__connection *connection, const char *name,
                                    stele__stream_row *row_out)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(connection->database,
                                                 SELECT_STREAM_ROW " WHERE name = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        status = take_stream_row(statement, row_out);
    else if (status == STELE_DONE)
        status = stele__fail(STELE_NOT_FOUND, "there is no stream '%s'", name);
    stele__statement_end(statement);
    return status;
}

stele_status stele__stream_row_load(stele__connection *connection, int64_t id,
                                    stele__stream_row *row_out)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(connection->database,
                                                 SELECT_STREAM_ROW " WHERE id = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, id);
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        status = take_stream_row(statement, row_out);
    else if (status == STELE_DONE)
        status = stele__fail(STELE_CORRUPT, "there is no stream %" PRId64, id);
    stele__statement_end(statement);
    return status;
}

stele_status stele__stream_row_save(stele__connection *connection, const stele__stream_row *row)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "UPDATE streams SET name = ?2, state = ?3, reason = ?4, changed_at = ?5,"
        " base_version = ?6, checksum = ?7 WHERE id = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    const char *name = row->has_name ? row->name : NULL;
    const char *reason = row->has_reason ? row->reason : NULL;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, row->id);
    if (name != NULL)
        stele__bind_text(statement, 2, name);
    else
        stele__bind_null(statement, 2);
    stele__bind_number(statement, 3, row->state);
    if (reason != NULL)
        stele__bind_text(statement, 4, reason);
    else
        stele__bind_null(statement, 4);
    stele__bind_number(statement, 5, row->changed_at);
    stele__bind_number(statement, 6, row->base_version);
    stele__bind_number(statement, 7,
                       stele__stream_checksum(row->id, name, row->state, reason, row->changed_at,
                                              row->base_version));
    status = stele__statement_run(statement);
    connection->revision++; /* its state, or its name, is remembered */
    return status;
}

static stele_status log_event(stele_store *store, stele__connection *connection, const char *type,
                              const char *data, int64_t *position_out)
{
    stele_event event = {
        .type = type, .data = data, .data_size = strlen(data), .codec = "json", .schema_version = 1
    };
    stele__prepared prepared = { .append = STELE_APPEND_INIT };
    prepared.append.stream = CHANGES_STREAM;
    prepared.append.events = &event;
    prepared.append.event_count = 1;
    prepared.payload_hashes = prepared.hashes_inline;
    prepared.hashes_inline[0] = stele__payload_hash(event.data, event.data_size, NULL, 0);
    stele_appended appended = { 0 };
    bool changed = false;
    stele_status status = stele__apply_append(store, connection, &prepared, &appended, &changed);
    *position_out = appended.last_position;
    return status;
}

stele_status stele__log_change(stele_store *store, stele__connection *connection, const char *type,
                               const stele__stream_row *row, const char *archive,
                               int64_t *position_out)
{
    char data[160];
    int size = snprintf(data, sizeof(data), "{\"stream_id\":%" PRId64 ",\"version\":%" PRId64,
                        row->id, row->version);
    if (archive != NULL)
        size += snprintf(data + size, sizeof(data) - (size_t)size, ",\"archive\":\"%s\"", archive);
    snprintf(data + size, sizeof(data) - (size_t)size, "}");
    return log_event(store, connection, type, data, position_out);
}

stele_status stele__log_trimmed(stele_store *store, stele__connection *connection,
                                const stele__stream_row *row, int64_t through)
{
    char data[160];
    int64_t position = 0;
    snprintf(data, sizeof(data),
             "{\"stream_id\":%" PRId64 ",\"version\":%" PRId64 ",\"through\":%" PRId64 "}", row->id,
             row->version, through);
    return log_event(store, connection, "stream-trimmed", data, &position);
}

stele_status stele__check_reason(const char *reason)
{
    if (reason == NULL)
        return STELE_OK;
    size_t size = strlen(reason);
    if (size > STELE_REASON_SIZE_MAX)
        return stele__fail(STELE_TOO_LARGE, "the reason has %zu bytes, beyond %d", size,
                           STELE_REASON_SIZE_MAX);
    if (!stele__utf8_valid(reason, size))
        return stele__fail(STELE_MISUSE, "the reason is not UTF-8");
    return STELE_OK;
}

stele_status stele__check_expected(const stele__stream_row *row, int64_t expected)
{
    if (expected == STELE_ANY || expected == row->version
        || (expected == STELE_STREAM_EXISTS && row->version > 0))
        return STELE_OK;
    return stele__fail(STELE_CONFLICT, "stream '%s' is at version %" PRId64 ", expected %" PRId64,
                       row->name, row->version, expected);
}
