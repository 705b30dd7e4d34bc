/* The rows of `state` and `state_writes`: reading, proving and writing them. */
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "state/state.h"
#include "store/names.h"

int64_t stele__state_row_checksum(const stele__state_row *row)
{
    STELE__UNINITIALIZED stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_number(&digest, row->id);
    stele__digest_text(&digest, row->scope);
    stele__digest_text(&digest, row->key);
    stele__digest_number(&digest, row->revision);
    stele__digest_text(&digest, row->codec_name);
    stele__digest_number(&digest, row->updated_at);
    stele__digest_bytes(&digest, row->attributes, row->attributes_size);
    stele__digest_number(&digest, row->there);
    stele__digest_bytes(&digest, row->data, row->data_size);
    return (int64_t)stele__digest_end(&digest);
}

/* With a NUL inside, two names would be read as one. */
const char *stele__state_name(stele__statement *statement, int column, size_t size_max)
{
    size_t size = 0;
    const char *name = stele__column_text(statement, column);
    if (name == NULL)
        return NULL;
    stele__column_bytes(statement, column, &size);
    return size <= size_max && strlen(name) == size ? name : NULL;
}

stele_status stele__state_row_begin(stele__connection *connection, const char *scope,
                                    const char *key, stele__statement **statement_out)
{
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT " STELE__STATE_COLUMNS " FROM state WHERE scope = ?1 AND key = ?2", statement_out);
    if (status != STELE_OK)
        return status;
    stele__bind_text(*statement_out, 1, scope);
    stele__bind_text(*statement_out, 2, key);
    return STELE_OK;
}

stele_status stele__state_row_begin_at(stele__connection *connection, int64_t id,
                                       stele__statement **statement_out)
{
    stele_status status = stele__statement_begin(
        connection->database, "SELECT " STELE__STATE_COLUMNS " FROM state WHERE id = ?1",
        statement_out);
    if (status == STELE_OK)
        stele__bind_number(*statement_out, 1, id);
    return status;
}

/* JSON lies there as text, every other codec as a blob, and nothing of what was deleted. */
static bool value_fits(const stele__state_row *row, stele__column_type data,
                       stele__column_type attributes)
{
    if (!row->there)
        return row->codec == 0 && attributes == STELE__COLUMN_NULL;
    stele__column_type expected =
        strcmp(row->codec_name, "json") == 0 ? STELE__COLUMN_TEXT : STELE__COLUMN_BLOB;
    return data == expected
           && (attributes == STELE__COLUMN_NULL || attributes == STELE__COLUMN_TEXT);
}

stele_status stele__state_row_read(stele__connection *connection, stele__statement *statement,
                                   stele__state_row *row_out)
{
    stele__state_row *row = row_out;
    *row = (stele__state_row){
        .id = stele__column_number(statement, 0),
        .scope = stele__state_name(statement, 1, STELE_SCOPE_SIZE_MAX),
        .key = stele__state_name(statement, 2, STELE_NAME_SIZE_MAX),
        .revision = stele__column_number(statement, 3),
        .codec = stele__column_number(statement, 4),
        .codec_name = "",
        .updated_at = stele__column_number(statement, 5),
    };
    int64_t checksum = stele__column_number(statement, 7);
    stele__column_type attributes = stele__column_type_of(statement, 6);
    stele__column_type data = stele__column_type_of(statement, 8);
    if (attributes != STELE__COLUMN_NULL)
        row->attributes = stele__column_bytes(statement, 6, &row->attributes_size);
    row->there = data != STELE__COLUMN_NULL;
    row->data = stele__column_bytes(statement, 8, &row->data_size);
    if (row->scope == NULL || row->key == NULL)
        return stele__fail(STELE_CORRUPT, "a state entry has a name that can't be ours");

    stele_status status = STELE_OK;
    if (row->codec != 0)
        status = stele__name_of(connection, STELE__CODECS, row->codec, &row->codec_name);
    if (status != STELE_OK) {
        row->codec_name = "";
        return stele__fail_within(status, "the entry '%s' of scope '%s'", row->key, row->scope);
    }
    if (!value_fits(row, data, attributes) || stele__state_row_checksum(row) != checksum)
        return stele__fail(STELE_CORRUPT, "the entry '%s' of scope '%s' is damaged", row->key,
                           row->scope);
    return STELE_OK;
}

static void bind_value(stele__statement *statement, const stele__state_row *row)
{
    if (row->attributes != NULL)
        stele__bind_text_bytes(statement, 7, row->attributes, row->attributes_size);
    else
        stele__bind_null(statement, 7);
    if (!row->there)
        stele__bind_null(statement, 9);
    else if (strcmp(row->codec_name, "json") == 0)
        stele__bind_text_bytes(statement, 9, row->data, row->data_size);
    else
        stele__bind_blob(statement, 9, row->data, row->data_size);
}

stele_status stele__state_row_write(stele__connection *connection, const stele__state_row *row,
                                    stele__state_writing how)
{
    static const char *const sql[] = {
        [STELE__STATE_INSERT] = "INSERT INTO state(" STELE__STATE_COLUMNS ")"
                                " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        /* SQLite writes the index entry of a name that is set, even to what it is. */
        [STELE__STATE_UPDATE] = "UPDATE state SET revision = ?4, codec = ?5, updated_at = ?6,"
                                " attributes = ?7, checksum = ?8, data = ?9"
                                " WHERE id = ?1",
        [STELE__STATE_MEND] = "UPDATE state SET scope = ?2, key = ?3, revision = ?4, codec = ?5,"
                              " updated_at = ?6, attributes = ?7, checksum = ?8, data = ?9"
                              " WHERE id = ?1",
    };
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(connection->database, sql[how], &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, row->id);
    stele__bind_text(statement, 2, row->scope);
    stele__bind_text(statement, 3, row->key);
    stele__bind_number(statement, 4, row->revision);
    stele__bind_number(statement, 5, row->codec);
    stele__bind_number(statement, 6, row->updated_at);
    stele__bind_number(statement, 8, stele__state_row_checksum(row));
    bind_value(statement, row);
    return stele__statement_run(statement);
}

/* --- Write ids --- */

int64_t stele__write_row_checksum(const stele__write_row *row)
{
    STELE__UNINITIALIZED stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_number(&digest, row->id);
    stele__digest_text(&digest, row->scope);
    stele__digest_text(&digest, row->write_id);
    stele__digest_number(&digest, row->entry);
    stele__digest_number(&digest, row->revision);
    stele__digest_number(&digest, row->kind);
    stele__digest_number(&digest, row->digest);
    stele__digest_number(&digest, row->written_at);
    return (int64_t)stele__digest_end(&digest);
}

stele_status stele__write_row_read(stele__statement *statement, stele__write_row *row_out)
{
    *row_out = (stele__write_row){
        .id = stele__column_number(statement, 0),
        .scope = stele__state_name(statement, 1, STELE_SCOPE_SIZE_MAX),
        .write_id = stele__state_name(statement, 2, STELE_NAME_SIZE_MAX),
        .entry = stele__column_number(statement, 3),
        .revision = stele__column_number(statement, 4),
        .kind = stele__column_number(statement, 5),
        .digest = stele__column_number(statement, 6),
        .written_at = stele__column_number(statement, 7),
    };
    if (row_out->scope == NULL || row_out->write_id == NULL)
        return stele__fail(STELE_CORRUPT, "a write id has a name that can't be ours");
    if (stele__write_row_checksum(row_out) != stele__column_number(statement, 8))
        return stele__fail(STELE_CORRUPT, "the row of the write id '%s' of scope '%s' is damaged",
                           row_out->write_id, row_out->scope);
    return STELE_OK;
}

stele_status stele__write_row_find(stele__connection *connection, const char *scope,
                                   const char *write_id, bool *found_out, stele__write_row *row_out)
{
    stele__statement *statement = NULL;
    *found_out = false;
    stele_status status = stele__statement_begin(connection->database,
                                                 "SELECT " STELE__WRITE_COLUMNS " FROM state_writes"
                                                 " WHERE scope = ?1 AND write_id = ?2",
                                                 &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, scope);
    stele__bind_text(statement, 2, write_id);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        *found_out = true;
        status = stele__write_row_read(statement, row_out);
        row_out->scope = scope;
        row_out->write_id = write_id;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__write_row_insert(stele__connection *connection, const stele__write_row *row)
{
    stele__write_row full = *row;
    stele__statement *statement = NULL;
    stele_status status = stele__database_number(
        connection->database, "SELECT coalesce(max(id), 0) + 1 FROM state_writes", &full.id);
    if (status == STELE_OK)
        status = stele__statement_begin(connection->database,
                                        "INSERT INTO state_writes(" STELE__WRITE_COLUMNS ")"
                                        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                                        &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, full.id);
    stele__bind_text(statement, 2, full.scope);
    stele__bind_text(statement, 3, full.write_id);
    stele__bind_number(statement, 4, full.entry);
    stele__bind_number(statement, 5, full.revision);
    stele__bind_number(statement, 6, full.kind);
    stele__bind_number(statement, 7, full.digest);
    stele__bind_number(statement, 8, full.written_at);
    stele__bind_number(statement, 9, stele__write_row_checksum(&full));
    return stele__statement_run(statement);
}
