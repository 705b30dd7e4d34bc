/* The row of a snapshot: its columns, and proving them and its data by the checksum. */
#include "snapshot/row.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"

static const char *text_or_empty(stele__statement *statement, int column)
{
    const char *text = stele__column_text(statement, column);
    return text == NULL ? "" : text;
}

void stele__snapshot_row_read(stele__statement *statement, stele__snapshot_row *row_out)
{
    *row_out = (stele__snapshot_row){ .id = stele__column_number(statement, 0),
                                      .stream = stele__column_number(statement, 1),
                                      .name = text_or_empty(statement, 2),
                                      .version = stele__column_number(statement, 3),
                                      .epoch = text_or_empty(statement, 4),
                                      .schema_version = stele__column_number(statement, 5),
                                      .codec = stele__column_number(statement, 6),
                                      .saved_at = stele__column_number(statement, 7),
                                      .checksum = stele__column_number(statement, 8) };
}

int64_t stele__snapshot_checksum(const stele__snapshot_row *row, const char *codec,
                                 const stele__snapshot_content *content)
{
    STELE__UNINITIALIZED stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_number(&digest, row->stream);
    stele__digest_text(&digest, row->name);
    stele__digest_number(&digest, row->version);
    stele__digest_text(&digest, row->epoch);
    stele__digest_number(&digest, row->schema_version);
    stele__digest_text(&digest, codec);
    stele__digest_number(&digest, row->saved_at);
    stele__digest_bytes(&digest, content->data, content->data_size);
    stele__digest_bytes(&digest, content->metadata, content->metadata_size);
    return (int64_t)stele__digest_end(&digest);
}

/* JSON lies there as text, every other codec as a blob. */
static bool content_fits(const char *codec, stele__column_type data, stele__column_type metadata)
{
    stele__column_type expected =
        strcmp(codec, "json") == 0 ? STELE__COLUMN_TEXT : STELE__COLUMN_BLOB;
    return data == expected && (metadata == STELE__COLUMN_NULL || metadata == STELE__COLUMN_TEXT);
}

stele_status stele__snapshot_prove(stele__connection *connection, const stele__snapshot_row *row,
                                   stele__statement *statement, int column, const char **codec_out,
                                   stele__snapshot_content *content_out)
{
    stele_status status = stele__name_of(connection, STELE__CODECS, row->codec, codec_out);
    if (status != STELE_OK)
        return status;
    stele__column_type data = stele__column_type_of(statement, column);
    stele__column_type metadata = stele__column_type_of(statement, column + 1);
    content_out->data = stele__column_bytes(statement, column, &content_out->data_size);
    content_out->metadata = stele__column_bytes(statement, column + 1, &content_out->metadata_size);
    if (!content_fits(*codec_out, data, metadata)
        || stele__snapshot_checksum(row, *codec_out, content_out) != row->checksum)
        return stele__fail(STELE_CORRUPT, "its checksum is wrong");
    return STELE_OK;
}

stele_status stele__snapshot_content_read(stele__connection *connection,
                                          const stele__snapshot_row *row,
                                          stele__statement **statement_out, const char **codec_out,
                                          stele__snapshot_content *content_out)
{
    *codec_out = "";
    *content_out = (stele__snapshot_content){ 0 };
    stele_status status = stele__statement_begin(
        connection->database, "SELECT data, metadata FROM snapshots WHERE id = ?1", statement_out);
    if (status != STELE_OK)
        return status;
    stele__bind_number(*statement_out, 1, row->id);
    status = stele__statement_step(*statement_out);
    if (status == STELE_DONE)
        return stele__fail(STELE_CORRUPT, "its row %" PRId64 " is missing", row->id);
    return status == STELE_OK
               ? stele__snapshot_prove(connection, row, *statement_out, 0, codec_out, content_out)
               : status;
}

stele_status stele__snapshot_row_delete(stele__connection *connection, int64_t id)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(connection->database,
                                                 "DELETE FROM snapshots WHERE id = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, id);
    return stele__statement_run(statement);
}

stele_status stele__snapshot_count_changes(stele__connection *connection, int64_t *count_out)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database, "SELECT changes()", &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    *count_out = status == STELE_OK ? stele__column_number(statement, 0) : 0;
    stele__statement_end(statement);
    return status;
}

stele_status stele__snapshot_check_names(const char *stream, const char **name)
{
    if (*name == NULL)
        *name = "state";
    stele_status status = stele__check_name("stream", stream);
    return status == STELE_OK ? stele__check_name("snapshot", *name) : status;
}
