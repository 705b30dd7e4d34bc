/* Some rows of a stream at a time: read, and replaced by husks. */
#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "eventstore/lifecycle.h"

static bool is_wanted(const stele__row *row, stele__step_rows which)
{
    if (which == STELE__STEP_PRESENT)
        return (row->flags & STELE__RECORD_HUSK) == 0;
    if (which == STELE__STEP_ARCHIVED)
        return (row->flags & STELE__RECORD_HUSK) == STELE_RECORD_ARCHIVED;
    return (row->flags & STELE_RECORD_ERASED) == 0;
}

static stele_status add_step_row(stele__stretch *step, const stele__row *row)
{
    stele__step_row entry = { .row = *row, .data_at = step->bytes.size };
    stele_status status = stele__buffer_add(&step->bytes, row->data, row->data_size);
    entry.metadata_at = step->bytes.size;
    if (status == STELE_OK)
        status = stele__buffer_add(&step->bytes, row->metadata, row->metadata_size);
    if (status == STELE_OK)
        status = stele__buffer_add(&step->rows, &entry, sizeof(entry));
    if (status == STELE_OK)
        step->count++;
    return status;
}

/*
 * While its stream is being deleted, a row that isn't erased yet reads as one that is, without
 * having been verified: what its flags really are says the column.
 */
static stele_status read_step_row(stele__connection *connection, stele__statement *statement,
                                  stele__row *row)
{
    stele_status status = stele__row_read(connection, statement, row);
    if (status == STELE_OK)
        row->flags = stele__column_number(statement, 8);
    return status;
}

stele_status stele__step_read(stele__connection *connection, const stele__work *work,
                              int64_t stream, int64_t after, int64_t through,
                              stele__step_rows which, stele__stretch *step_out)
{
    stele__stretch *step = step_out;
    step->bytes.size = 0;
    step->rows.size = 0;
    step->count = 0;
    step->after = after;
    stele__statement *statement = NULL;
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__statement_begin(connection->database,
                                        "SELECT " STELE__ROW_COLUMNS
                                        " FROM events WHERE stream = ?1 AND version > ?2"
                                        " AND version <= ?3 AND (NOT ?4 OR flags & 3 = 2)"
                                        " ORDER BY version",
                                        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, stream);
    stele__bind_number(statement, 2, after);
    stele__bind_number(statement, 3, through);
    /* A payload that is damaged here must not keep the others from coming back. */
    stele__bind_number(statement, 4, which == STELE__STEP_ARCHIVED);
    while (step->count < work->options.step_count_max
           && step->bytes.size < work->options.step_size_max) {
        stele__row row;
        status = stele__statement_step(statement);
        if (status == STELE_OK)
            status = read_step_row(connection, statement, &row);
        if (status != STELE_OK)
            break;
        if (is_wanted(&row, which))
            status = add_step_row(step, &row);
        if (status != STELE_OK)
            break;
        step->after = row.version;
    }
    stele__statement_end(statement);
    return status < 0 ? status : STELE_OK;
}

stele_status stele__step_first(stele_store *store, const stele_wait *wait, int64_t stream,
                               int64_t husks, int64_t *after_out)
{
    stele__connection *connection = NULL;
    stele__statement *statement = NULL;
    *after_out = 0;
    stele_status status = stele__read_begin(store, wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__statement_begin(connection->database,
                                    "SELECT version - 1 FROM events WHERE stream = ?1"
                                    " AND flags & ?2 = 0 ORDER BY version LIMIT 1",
                                    &statement);
    if (status == STELE_OK) {
        stele__bind_number(statement, 1, stream);
        stele__bind_number(statement, 2, husks);
        status = stele__statement_step(statement);
        *after_out = status == STELE_OK ? stele__column_number(statement, 0) : INT64_MAX;
        stele__statement_end(statement);
    }
    stele__read_end(store, connection);
    return status < 0 ? status : STELE_OK;
}

/* Damage to what names its type mustn't keep a payload from being erased. */
static stele_status name_step_row(stele__connection *connection, const stele__row *row,
                                  stele__name_table table, int64_t id, const char **name_out)
{
    stele_status status = stele__name_of(connection, table, id, name_out);
    if (status != STELE_CORRUPT || row->stream_name != NULL)
        return status;
    *name_out = "";
    return STELE_OK;
}

stele_status stele__step_row_at(stele__connection *connection, const stele__stretch *step,
                                size_t index, stele__row *row_out)
{
    stele__step_row entry;
    memcpy(&entry, step->rows.data + index * sizeof(entry), sizeof(entry));
    *row_out = entry.row;
    /* An empty buffer has no memory. */
    row_out->data = entry.row.data_size == 0 ? "" : step->bytes.data + entry.data_at;
    row_out->metadata = entry.row.metadata_size == 0 ? "" : step->bytes.data + entry.metadata_at;
    stele_status status = stele__stream_name(connection, row_out->stream, &row_out->stream_name);
    if (status == STELE_OK)
        status =
            name_step_row(connection, row_out, STELE__TYPES, row_out->type, &row_out->type_name);
    if (status == STELE_OK)
        status =
            name_step_row(connection, row_out, STELE__CODECS, row_out->codec, &row_out->codec_name);
    return status;
}

void stele__step_dispose(stele__stretch *step)
{
    stele__buffer_dispose(&step->bytes);
    stele__buffer_dispose(&step->rows);
}

static stele_status delete_row(stele__connection *connection, int64_t position)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "DELETE FROM events WHERE position = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, position);
    return stele__statement_run(statement);
}

stele_status stele__row_replace(stele__connection *connection, stele__row *row)
{
    stele__connection_touch(connection);
    row->checksum = stele__row_checksum(row);
    stele_status status = delete_row(connection, row->position);
    return status == STELE_OK ? stele__row_insert(connection, row) : status;
}

/*
 * The payload, written over where it lies. SQLite zeroes what is deleted, but may have moved the
 * row to another page before, and leaves what was in its old place: then these are zeros.
 */
static stele_status overwrite_row(stele__connection *connection, const stele__row *row)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "UPDATE events SET data = zeroblob(?2), metadata = zeroblob(?3) WHERE position = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, row->position);
    stele__bind_number(statement, 2, (int64_t)row->data_size);
    stele__bind_number(statement, 3, (int64_t)row->metadata_size);
    return stele__statement_run(statement);
}

static stele_status make_husk(stele__connection *connection, stele__row *row)
{
    stele_status status = STELE_OK;
    if (row->data_size > 0 || row->metadata_size > 0)
        status = overwrite_row(connection, row);
    return status == STELE_OK ? stele__row_replace(connection, row) : status;
}

stele_status stele__row_archive(stele__connection *connection, stele__row *row)
{
    row->flags |= STELE_RECORD_ARCHIVED;
    return make_husk(connection, row);
}

stele_status stele__row_erase(stele__connection *connection, stele__row *row)
{
    bool keyed = (row->flags & STELE__RECORD_KEYED) != 0;
    row->flags = (row->flags & ~STELE__RECORD_HUSK) | STELE_RECORD_ERASED;
    row->payload_hash = 0;
    row->has_occurred_at = false;
    row->occurred_at = 0;
    stele_status status = make_husk(connection, row);
    return status == STELE_OK && keyed ? stele__key_erase(connection, row->position) : status;
}
