/* A row of `events`: reading it with its names, proving it by its checksum, writing it. */
#include <inttypes.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "eventstore/eventstore.h"

uint64_t stele__payload_hash(const void *data, size_t data_size, const void *metadata,
                             size_t metadata_size)
{
    return stele__hash_with(metadata, metadata_size, stele__hash(data, data_size));
}

int64_t stele__row_checksum(const stele__row *row)
{
    STELE__UNINITIALIZED stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_number(&digest, row->position);
    /* A deleted stream has lost its name. */
    if (row->stream_name != NULL && (row->flags & STELE_RECORD_ERASED) == 0)
        stele__digest_text(&digest, row->stream_name);
    else
        stele__digest_number(&digest, row->stream);
    stele__digest_number(&digest, row->version);
    stele__digest_text(&digest, row->type_name);
    stele__digest_number(&digest, row->schema_version);
    stele__digest_text(&digest, row->codec_name);
    stele__digest_number(&digest, row->recorded_at);
    stele__digest_number(&digest, row->has_occurred_at);
    stele__digest_number(&digest, row->occurred_at);
    stele__digest_number(&digest, row->flags);
    stele__digest_number(&digest, row->payload_hash);
    return (int64_t)stele__digest_end(&digest);
}

/* JSON lies there as text, every other codec as a blob; only a husk has nothing. */
static bool payload_fits(const stele__row *row, stele__column_type data,
                         stele__column_type metadata)
{
    if ((row->flags & STELE__RECORD_HUSK) != 0)
        return data == STELE__COLUMN_NULL && metadata == STELE__COLUMN_NULL;
    stele__column_type expected =
        strcmp(row->codec_name, "json") == 0 ? STELE__COLUMN_TEXT : STELE__COLUMN_BLOB;
    return data == expected && (metadata == STELE__COLUMN_NULL || metadata == STELE__COLUMN_TEXT);
}

static stele_status verify_row(const stele__row *row, stele__column_type data,
                               stele__column_type metadata)
{
    if (!payload_fits(row, data, metadata))
        return stele__fail(STELE_CORRUPT, "the payload of position %" PRId64 " is damaged",
                           row->position);
    if (stele__row_checksum(row) != row->checksum)
        return stele__fail(STELE_CORRUPT, "the checksum of position %" PRId64 " is wrong",
                           row->position);
    if ((row->flags & STELE__RECORD_HUSK) == 0
        && (int64_t)stele__payload_hash(row->data, row->data_size, row->metadata,
                                        row->metadata_size)
               != row->payload_hash)
        return stele__fail(STELE_CORRUPT, "the payload of position %" PRId64 " is damaged",
                           row->position);
    return STELE_OK;
}

/* The columns alone: no names yet, and nothing verified. */
static void read_row_columns(stele__statement *statement, stele__row *row, stele__column_type *data,
                             stele__column_type *metadata)
{
    row->position = stele__column_number(statement, 0);
    row->stream = stele__column_number(statement, 1);
    row->version = stele__column_number(statement, 2);
    row->type = stele__column_number(statement, 3);
    row->schema_version = stele__column_number(statement, 4);
    row->codec = stele__column_number(statement, 5);
    row->recorded_at = stele__column_number(statement, 6);
    row->has_occurred_at = stele__column_type_of(statement, 7) != STELE__COLUMN_NULL;
    row->occurred_at = row->has_occurred_at ? stele__column_number(statement, 7) : 0;
    row->flags = stele__column_number(statement, 8);
    row->payload_hash = stele__column_number(statement, 9);
    row->checksum = stele__column_number(statement, 10);
    *data = stele__column_type_of(statement, 11);
    *metadata = stele__column_type_of(statement, 12);
    row->data = stele__column_bytes(statement, 11, &row->data_size);
    row->metadata = stele__column_bytes(statement, 12, &row->metadata_size);
}

stele_status stele__kept_row_read(stele__connection *connection, stele__statement *statement,
                                  stele__row *row_out)
{
    stele__row *row = row_out;
    stele__column_type data;
    stele__column_type metadata;
    read_row_columns(statement, row, &data, &metadata);
    row->stream_name = NULL;
    stele_status status = stele__name_of(connection, STELE__TYPES, row->type, &row->type_name);
    if (status == STELE_OK)
        status = stele__name_of(connection, STELE__CODECS, row->codec, &row->codec_name);
    if (status == STELE_OK)
        status = verify_row(row, data, metadata);
    if (status != STELE_OK)
        return stele__fail_within(status, "kept version %" PRId64, row->version);
    return STELE_OK;
}

stele_status stele__row_read(stele__connection *connection, stele__statement *statement,
                             stele__row *row_out)
{
    stele__row *row = row_out;
    stele__column_type data;
    stele__column_type metadata;
    read_row_columns(statement, row, &data, &metadata);

    /* What was erased is summed up without a name: there may be none any more. */
    stele_status status = STELE_OK;
    row->stream_name = NULL;
    if ((row->flags & STELE_RECORD_ERASED) == 0)
        status = stele__stream_name(connection, row->stream, &row->stream_name);
    /* Its stream is being deleted: what the checksum was made of is gone, and so is the event. */
    if (status == STELE_OK && row->stream_name == NULL && (row->flags & STELE_RECORD_ERASED) == 0) {
        row->flags |= STELE_RECORD_ERASED;
        row->type_name = "";
        row->codec_name = "";
        return STELE_OK;
    }
    if (status == STELE_OK)
        status = stele__name_of(connection, STELE__TYPES, row->type, &row->type_name);
    if (status == STELE_OK)
        status = stele__name_of(connection, STELE__CODECS, row->codec, &row->codec_name);
    if (status != STELE_OK)
        return stele__fail_within(status, "position %" PRId64, row->position);
    return verify_row(row, data, metadata);
}

void stele__row_bind(stele__statement *statement, const stele__row *row)
{
    stele__bind_number(statement, 1, row->position);
    stele__bind_number(statement, 2, row->stream);
    stele__bind_number(statement, 3, row->version);
    stele__bind_number(statement, 4, row->type);
    stele__bind_number(statement, 5, row->schema_version);
    stele__bind_number(statement, 6, row->codec);
    stele__bind_number(statement, 7, row->recorded_at);
    if (row->has_occurred_at)
        stele__bind_number(statement, 8, row->occurred_at);
    else
        stele__bind_null(statement, 8);
    stele__bind_number(statement, 9, row->flags);
    stele__bind_number(statement, 10, row->payload_hash);
    stele__bind_number(statement, 11, row->checksum);
    bool husk = (row->flags & STELE__RECORD_HUSK) != 0;
    if (husk)
        stele__bind_null(statement, 12);
    else if (strcmp(row->codec_name, "json") == 0)
        stele__bind_text_bytes(statement, 12, row->data, row->data_size);
    else
        stele__bind_blob(statement, 12, row->data, row->data_size);
    if (row->metadata_size > 0 && !husk)
        stele__bind_text_bytes(statement, 13, row->metadata, row->metadata_size);
    else
        stele__bind_null(statement, 13);
}

stele_status stele__row_insert(stele__connection *connection, const stele__row *row)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "INSERT INTO events(" STELE__ROW_COLUMNS ")"
                               " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__row_bind(statement, row);
    return stele__statement_run(statement);
}
