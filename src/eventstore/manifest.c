/* Where the payloads of streams went, and which work on streams isn't finished. */
#include <inttypes.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "eventstore/lifecycle.h"
#include "store/stamp.h"

int64_t stele__unfinished_checksum(int64_t stream, int64_t work, int64_t began_at)
{
    stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_number(&digest, stream);
    stele__digest_number(&digest, work);
    stele__digest_number(&digest, began_at);
    return (int64_t)stele__digest_end(&digest);
}

stele_status stele__unfinished_find(stele__connection *connection, int64_t stream,
                                    stele__unfinished *work_out)
{
    *work_out = STELE__UNFINISHED_NONE;
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT work, began_at, checksum FROM unfinished WHERE stream = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, stream);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        int64_t work = stele__column_number(statement, 0);
        if (work < STELE__UNFINISHED_MOVE || work > STELE__UNFINISHED_ERASE
            || stele__unfinished_checksum(stream, work, stele__column_number(statement, 1))
                   != stele__column_number(statement, 2))
            status =
                stele__fail(STELE_CORRUPT, "the row %" PRId64 " of unfinished is damaged", stream);
        else
            *work_out = (stele__unfinished)work;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__unfinished_set(stele_store *store, stele__connection *connection,
                                   int64_t stream, stele__unfinished work)
{
    static const char remove[] = "DELETE FROM unfinished WHERE stream = ?1";
    static const char insert[] = "INSERT OR REPLACE INTO unfinished(stream, work, began_at,"
                                 " checksum) VALUES(?1, ?2, ?3, ?4)";
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, work == STELE__UNFINISHED_NONE ? remove : insert, &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, stream);
    if (work != STELE__UNFINISHED_NONE) {
        int64_t now = stele__store_now(store);
        stele__bind_number(statement, 2, work);
        stele__bind_number(statement, 3, now);
        stele__bind_number(statement, 4, stele__unfinished_checksum(stream, work, now));
    }
    return stele__statement_run(statement);
}

int64_t stele__range_checksum(int64_t stream, const stele__range *range)
{
    stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_number(&digest, stream);
    stele__digest_number(&digest, range->first_version);
    stele__digest_number(&digest, range->last_version);
    stele__digest_number(&digest, range->archive);
    stele__digest_text(&digest, range->move);
    return (int64_t)stele__digest_end(&digest);
}

/* A row of both tables, columns as in stele__range_find(). */
static stele_status take_range(stele__statement *statement, int64_t stream, stele__range *range)
{
    const char *move = stele__column_text(statement, 3);
    const char *uuid = stele__column_text(statement, 5);
    const char *hint = stele__column_text(statement, 6);
    *range = (stele__range){ .first_version = stele__column_number(statement, 0),
                             .last_version = stele__column_number(statement, 1),
                             .archive = stele__column_number(statement, 2) };
    bool fits = move != NULL && strlen(move) == 36 && uuid != NULL && strlen(uuid) == 36
                && (hint == NULL || strlen(hint) < sizeof(range->hint));
    if (fits) {
        memcpy(range->move, move, 37);
        memcpy(range->uuid, uuid, 37);
        if (hint != NULL)
            memcpy(range->hint, hint, strlen(hint) + 1);
    }
    if (!fits || stele__range_checksum(stream, range) != stele__column_number(statement, 4)
        || stele__archive_checksum(range->archive, uuid, hint)
               != stele__column_number(statement, 7))
        return stele__fail(STELE_CORRUPT,
                           "the row of archive_ranges of stream %" PRId64
                           ", or that of its archive, is damaged",
                           stream);
    return STELE_OK;
}

stele_status stele__range_find(stele__connection *connection, int64_t stream, bool *found_out,
                               stele__range *range_out)
{
    stele__statement *statement = NULL;
    *found_out = false;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT r.first_version, r.last_version, r.archive, r.move, r.checksum, a.uuid, a.hint,"
        " a.checksum FROM archive_ranges r LEFT JOIN archives a ON a.id = r.archive"
        " WHERE r.stream = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, stream);
    status = stele__statement_step(statement);
    *found_out = status == STELE_OK;
    if (status == STELE_OK)
        status = take_range(statement, stream, range_out);
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* The archive's row, with the path where it is now. */
static stele_status save_archive(stele__connection *connection, const char *uuid, const char *hint,
                                 int64_t *id_out)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "SELECT coalesce((SELECT id FROM archives WHERE uuid = ?1),"
                               " (SELECT coalesce(max(id), 0) + 1 FROM archives))",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, uuid);
    status = stele__statement_step(statement);
    *id_out = status == STELE_OK ? stele__column_number(statement, 0) : 0;
    stele__statement_end(statement);
    if (status == STELE_OK)
        status = stele__statement_begin(connection->database,
                                        "INSERT OR REPLACE INTO archives(id, uuid, hint, checksum)"
                                        " VALUES(?1, ?2, ?3, ?4)",
                                        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, *id_out);
    stele__bind_text(statement, 2, uuid);
    stele__bind_text(statement, 3, hint);
    stele__bind_number(statement, 4, stele__archive_checksum(*id_out, uuid, hint));
    return stele__statement_run(statement);
}

stele_status stele__range_insert(stele__connection *connection, int64_t stream,
                                 const stele__range *range)
{
    stele__range full = *range;
    stele__connection_touch(connection);
    stele__statement *statement = NULL;
    stele_status status = save_archive(connection, full.uuid, full.hint, &full.archive);
    if (status == STELE_OK)
        status = stele__statement_begin(
            connection->database,
            "INSERT INTO archive_ranges(stream, first_version, last_version, archive, move,"
            " checksum) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, stream);
    stele__bind_number(statement, 2, full.first_version);
    stele__bind_number(statement, 3, full.last_version);
    stele__bind_number(statement, 4, full.archive);
    stele__bind_text(statement, 5, full.move);
    stele__bind_number(statement, 6, stele__range_checksum(stream, &full));
    return stele__statement_run(statement);
}

stele_status stele__range_delete(stele__connection *connection, int64_t stream)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "DELETE FROM archive_ranges WHERE stream = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, stream);
    return stele__statement_run(statement);
}
