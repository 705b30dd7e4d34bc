/*
 * The archive's side of moving: payloads that a store keeps for others, apart from its own log. A
 * move is known by its id alone; the source, its stream and positions are kept beside it, so that
 * an archive tells what it holds also when the source is gone.
 */
#include <inttypes.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "eventstore/lifecycle.h"

int64_t stele__kept_checksum(const stele__kept *kept)
{
    stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_number(&digest, kept->id);
    stele__digest_text(&digest, kept->move);
    stele__digest_text(&digest, kept->source);
    stele__digest_text(&digest, kept->epoch);
    stele__digest_number(&digest, kept->stream);
    stele__digest_text(&digest, kept->name);
    stele__digest_number(&digest, kept->first_version);
    stele__digest_number(&digest, kept->last_version);
    stele__digest_number(&digest, kept->state);
    stele__digest_number(&digest, kept->kept_at);
    return (int64_t)stele__digest_end(&digest);
}

static bool take_uuid(const char *text, char out[37])
{
    if (text == NULL || strlen(text) != 36)
        return false;
    memcpy(out, text, 37);
    return true;
}

static stele_status take_kept(stele__statement *statement, stele__kept *kept)
{
    const char *name = stele__column_text(statement, 5);
    *kept = (stele__kept){ .id = stele__column_number(statement, 0),
                           .stream = stele__column_number(statement, 4),
                           .first_version = stele__column_number(statement, 6),
                           .last_version = stele__column_number(statement, 7),
                           .state = stele__column_number(statement, 8),
                           .kept_at = stele__column_number(statement, 9) };
    bool fits = take_uuid(stele__column_text(statement, 1), kept->move)
                && take_uuid(stele__column_text(statement, 2), kept->source)
                && take_uuid(stele__column_text(statement, 3), kept->epoch) && name != NULL
                && strlen(name) < sizeof(kept->name);
    if (fits)
        memcpy(kept->name, name, strlen(name) + 1);
    if (fits && stele__kept_checksum(kept) == stele__column_number(statement, 10))
        return STELE_OK;
    return stele__fail(STELE_CORRUPT, "the row %" PRId64 " of kept_streams is damaged", kept->id);
}

stele_status stele__kept_find(stele__connection *connection, const char *move, bool *found_out,
                              stele__kept *kept_out)
{
    *found_out = false;
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT id, move, source, epoch, stream, name, first_version, last_version, state, kept_at,"
        " checksum FROM kept_streams WHERE move = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, move);
    status = stele__statement_step(statement);
    *found_out = status == STELE_OK;
    if (status == STELE_OK)
        status = take_kept(statement, kept_out);
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__kept_load(stele__connection *connection, const char *move,
                              stele__kept *kept_out)
{
    bool found = false;
    stele_status status = stele__kept_find(connection, move, &found, kept_out);
    if (status == STELE_OK && !found)
        status = stele__fail(STELE_NOT_FOUND, "the archive knows nothing of the move %s", move);
    return status;
}

stele_status stele__kept_save(stele__connection *connection, stele__kept *kept)
{
    stele_status status = STELE_OK;
    stele__statement *statement = NULL;
    if (kept->id == 0)
        status = stele__database_number(
            connection->database, "SELECT coalesce(max(id), 0) + 1 FROM kept_streams", &kept->id);
    if (status == STELE_OK)
        status = stele__statement_begin(
            connection->database,
            "INSERT OR REPLACE INTO kept_streams(id, move, source, epoch, stream, name,"
            " first_version, last_version, state, kept_at, checksum)"
            " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, kept->id);
    stele__bind_text(statement, 2, kept->move);
    stele__bind_text(statement, 3, kept->source);
    stele__bind_text(statement, 4, kept->epoch);
    stele__bind_number(statement, 5, kept->stream);
    stele__bind_text(statement, 6, kept->name);
    stele__bind_number(statement, 7, kept->first_version);
    stele__bind_number(statement, 8, kept->last_version);
    stele__bind_number(statement, 9, kept->state);
    stele__bind_number(statement, 10, kept->kept_at);
    stele__bind_number(statement, 11, stele__kept_checksum(kept));
    return stele__statement_run(statement);
}

stele_status stele__kept_last(stele__connection *connection, int64_t kept, int64_t *version_out)
{
    *version_out = 0;
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT coalesce(max(version), 0) FROM kept_events WHERE kept_stream = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, kept);
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        *version_out = stele__column_number(statement, 0);
    stele__statement_end(statement);
    return status < 0 ? status : STELE_OK;
}

#define KEPT_ROW_COLUMNS                                                                           \
    "position, kept_stream, version, type, schema_version, codec, recorded_at, occurred_at, "      \
    "flags, payload_hash, checksum, data, metadata"

/* The row of a version: OK; DONE when there is none. The statement is to be ended. */
static stele_status find_kept_row(stele__connection *connection, int64_t kept, int64_t version,
                                  stele__statement **statement_out, stele__row *row_out)
{
    stele_status status =
        stele__statement_begin(connection->database,
                               "SELECT " KEPT_ROW_COLUMNS " FROM kept_events WHERE kept_stream = ?1"
                               " AND version = ?2",
                               statement_out);
    if (status != STELE_OK)
        return status;
    stele__bind_number(*statement_out, 1, kept);
    stele__bind_number(*statement_out, 2, version);
    status = stele__statement_step(*statement_out);
    if (status == STELE_OK)
        status = stele__kept_row_read(connection, *statement_out, row_out);
    return status;
}

stele_status stele__kept_fetch(stele__connection *connection, int64_t kept, int64_t version,
                               int64_t payload_hash, stele__statement **statement_out,
                               stele__row *row_out)
{
    stele_status status = find_kept_row(connection, kept, version, statement_out, row_out);
    if (status == STELE_DONE)
        return stele__fail(STELE_NOT_FOUND, "version %" PRId64 " is not in the archive", version);
    if (status == STELE_OK && row_out->payload_hash != payload_hash)
        return stele__fail(STELE_CORRUPT, "version %" PRId64 " is another event in the archive",
                           version);
    return status;
}

static stele_status insert_kept_row(stele__connection *connection, const stele__row *row)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "INSERT INTO kept_events(" KEPT_ROW_COLUMNS ")"
                               " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__row_bind(statement, row);
    return stele__statement_run(statement);
}

stele_status stele__kept_insert(stele__connection *connection, int64_t kept, const stele__row *row)
{
    stele__row copy = *row;
    stele__row there;
    stele__statement *statement = NULL;
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = find_kept_row(connection, kept, row->version, &statement, &there);
    bool found = status == STELE_OK;
    if (found && (there.position != row->position || there.payload_hash != row->payload_hash))
        status = stele__fail(STELE_CORRUPT,
                             "the archive holds another event as version %" PRId64 " of this move",
                             row->version);
    stele__statement_end(statement);
    if (found || status < 0)
        return status;
    copy.stream = kept;
    copy.stream_name = NULL;
    copy.flags &= ~STELE__RECORD_HUSK;
    status = stele__name_intern(connection, STELE__TYPES, row->type_name, &copy.type);
    if (status == STELE_OK)
        status = stele__name_intern(connection, STELE__CODECS, row->codec_name, &copy.codec);
    if (status != STELE_OK)
        return status;
    copy.checksum = stele__row_checksum(&copy);
    return insert_kept_row(connection, &copy);
}

/* One row: written over where it lies, then deleted. */
static stele_status drop_kept_row(stele__connection *connection, int64_t id, int64_t data_size,
                                  int64_t metadata_size)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "UPDATE kept_events SET data = zeroblob(?2), metadata = zeroblob(?3) WHERE id = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, id);
    stele__bind_number(statement, 2, data_size);
    stele__bind_number(statement, 3, metadata_size);
    status = stele__statement_run(statement);
    if (status == STELE_OK)
        status = stele__statement_begin(connection->database,
                                        "DELETE FROM kept_events WHERE id = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, id);
    return stele__statement_run(statement);
}

/* The first row of those that are left: OK or DONE. */
static stele_status find_kept_to_drop(stele__connection *connection, int64_t kept, int64_t *id_out,
                                      int64_t sizes_out[2])
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(connection->database,
                                                 "SELECT id, data, metadata FROM kept_events WHERE "
                                                 "kept_stream = ?1 ORDER BY version LIMIT 1",
                                                 &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, kept);
    status = stele__statement_step(statement);
    for (int i = 0; i < 2 && status == STELE_OK; i++) {
        size_t size = 0;
        stele__column_bytes(statement, 1 + i, &size);
        sizes_out[i] = (int64_t)size;
    }
    *id_out = status == STELE_OK ? stele__column_number(statement, 0) : 0;
    stele__statement_end(statement);
    return status;
}

stele_status stele__kept_drop_step(stele__connection *connection, const stele__work *work,
                                   int64_t kept, uint64_t *events_out, uint64_t *bytes_out)
{
    stele_status status = STELE_OK;
    *events_out = 0;
    *bytes_out = 0;
    while (*events_out < work->options.step_count_max && *bytes_out < work->options.step_size_max) {
        int64_t id = 0;
        int64_t sizes[2] = { 0, 0 };
        status = find_kept_to_drop(connection, kept, &id, sizes);
        if (status == STELE_OK)
            status = drop_kept_row(connection, id, sizes[0], sizes[1]);
        if (status != STELE_OK)
            break;
        ++*events_out;
        *bytes_out += (uint64_t)(sizes[0] + sizes[1]);
    }
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__kept_forget(stele__connection *connection, int64_t kept)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "DELETE FROM kept_streams WHERE id = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, kept);
    return stele__statement_run(statement);
}
