/* Keys of appends, with the outcome that a retry is to get. */
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "eventstore/eventstore.h"

int64_t stele__key_checksum(const char *key, const stele__key_row *row)
{
    STELE__UNINITIALIZED stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_number(&digest, row->id);
    stele__digest_text(&digest, key);
    stele__digest_number(&digest, row->stream);
    stele__digest_number(&digest, row->version);
    stele__digest_number(&digest, row->event_count);
    stele__digest_number(&digest, row->erased);
    stele__digest_number(&digest, row->digest);
    return (int64_t)stele__digest_end(&digest);
}

#define KEY_COLUMNS "id, stream, version, event_count, digest, checksum"

/* The statement's row of KEY_COLUMNS, but for the checksum, which is column 5. */
static void read_key_row(stele__statement *statement, stele__key_row *row_out)
{
    *row_out = (stele__key_row){
        .id = stele__column_number(statement, 0),
        .stream = stele__column_number(statement, 1),
        .version = stele__column_number(statement, 2),
        .event_count = stele__column_number(statement, 3),
        .digest = stele__column_number(statement, 4),
        .erased = stele__column_type_of(statement, 4) == STELE__COLUMN_NULL,
    };
}

stele_status stele__key_find(stele__connection *connection, const char *key, bool *found_out,
                             stele__key_row *row_out)
{
    *found_out = false;
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT " KEY_COLUMNS " FROM idempotency WHERE key = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, key);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        *found_out = true;
        read_key_row(statement, row_out);
        if (stele__key_checksum(key, row_out) != stele__column_number(statement, 5))
            status = stele__fail(STELE_CORRUPT, "the row of the key '%s' is damaged", key);
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__key_insert(stele__connection *connection, const char *key,
                               const stele__key_row *row)
{
    stele__key_row full = *row;
    stele_status status = STELE_OK;
    if (full.id == 0)
        status = stele__database_number(connection->database,
                                        "SELECT min(coalesce(min(id), 0), 0) - 1 FROM idempotency",
                                        &full.id);
    stele__statement *statement = NULL;
    if (status == STELE_OK)
        status = stele__statement_begin(
            connection->database,
            "INSERT INTO idempotency(id, key, stream, version, event_count, digest, checksum)"
            " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, full.id);
    stele__bind_text(statement, 2, key);
    stele__bind_number(statement, 3, full.stream);
    stele__bind_number(statement, 4, full.version);
    stele__bind_number(statement, 5, full.event_count);
    stele__bind_number(statement, 6, full.digest);
    stele__bind_number(statement, 7, stele__key_checksum(key, &full));
    return stele__statement_run(statement);
}

stele_status stele__key_at(stele__connection *connection, int64_t position, stele__buffer *buffer)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT " KEY_COLUMNS ", key FROM idempotency WHERE id = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, position);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        stele__key_row row;
        read_key_row(statement, &row);
        const char *key = stele__column_text(statement, 6);
        if (key == NULL || stele__key_checksum(key, &row) != stele__column_number(statement, 5))
            status = stele__fail(STELE_CORRUPT, "the key of position %lld is damaged",
                                 (long long)position);
        else
            status = stele__buffer_add(buffer, key, strlen(key) + 1);
    } else if (status == STELE_DONE) {
        status =
            stele__fail(STELE_CORRUPT, "the key of position %lld is missing", (long long)position);
    }
    stele__statement_end(statement);
    return status;
}

/* The row of `id` keeps nothing of what was appended. Its key stays. */
static stele_status blank_key(stele__connection *connection, int64_t id)
{
    stele__buffer key = { 0 };
    stele__key_row row = { 0 };
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT " KEY_COLUMNS ", key FROM idempotency WHERE id = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, id);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        const char *text = stele__column_text(statement, 6);
        read_key_row(statement, &row);
        text = text == NULL ? "" : text;
        status = stele__buffer_add(&key, text, strlen(text) + 1);
    }
    stele__statement_end(statement);
    if (status == STELE_OK)
        status = stele__statement_begin(
            connection->database,
            "UPDATE idempotency SET digest = NULL, checksum = ?2 WHERE id = ?1", &statement);
    if (status == STELE_OK) {
        stele__connection_touch(connection);
        row.erased = true;
        row.digest = 0;
        stele__bind_number(statement, 1, id);
        stele__bind_number(statement, 2, stele__key_checksum(key.data, &row));
        status = stele__statement_run(statement);
    }
    stele__buffer_dispose(&key);
    return status == STELE_DONE ? STELE_OK : status; /* a missing one is for verification */
}

stele_status stele__key_erase(stele__connection *connection, int64_t position)
{
    return blank_key(connection, position);
}

stele_status stele__keys_erase_empty(stele__connection *connection, int64_t stream)
{
    int64_t below = 0;
    stele_status status = STELE_OK;
    while (status == STELE_OK) {
        stele__statement *statement = NULL;
        status = stele__statement_begin(connection->database,
                                        "SELECT id FROM idempotency WHERE id < ?1 AND stream = ?2"
                                        " ORDER BY id DESC LIMIT 1",
                                        &statement);
        if (status != STELE_OK)
            return status;
        stele__bind_number(statement, 1, below);
        stele__bind_number(statement, 2, stream);
        status = stele__statement_step(statement);
        if (status == STELE_OK)
            below = stele__column_number(statement, 0);
        stele__statement_end(statement);
        if (status == STELE_OK)
            status = blank_key(connection, below);
    }
    return status == STELE_DONE ? STELE_OK : status;
}
