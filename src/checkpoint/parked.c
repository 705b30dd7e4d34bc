/* The rows of parked events, and of those who work on a subscription with lanes. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "checkpoint/own.h"
#include "sqlite/statement.h"

/* --- Members --- */

static int64_t member_checksum(const char *name, const stele__member *member)
{
    stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_text(&digest, name);
    stele__digest_text(&digest, member->owner);
    stele__digest_text(&digest, member->boot);
    stele__digest_number(&digest, member->lease_until);
    stele__digest_number(&digest, member->joined_at);
    return (int64_t)stele__digest_end(&digest);
}

stele_status stele__member_store(stele__connection *connection, const char *name,
                                 const stele__member *member)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "INSERT OR REPLACE INTO members(subscription, owner, boot,"
                               " lease_until, joined_at, checksum) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_text(statement, 1, name);
    stele__bind_text(statement, 2, member->owner);
    stele__bind_text(statement, 3, member->boot);
    stele__bind_number(statement, 4, member->lease_until);
    stele__bind_number(statement, 5, member->joined_at);
    stele__bind_number(statement, 6, member_checksum(name, member));
    return stele__statement_run(statement);
}

stele_status stele__member_remove(stele__connection *connection, const char *name,
                                  const char *owner)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "DELETE FROM members WHERE subscription = ?1 AND owner = ?2",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_text(statement, 1, name);
    stele__bind_text(statement, 2, owner);
    return stele__statement_run(statement);
}

stele_status stele__member_clear(stele__connection *connection, const char *name)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "DELETE FROM members WHERE subscription = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_text(statement, 1, name);
    return stele__statement_run(statement);
}

stele_status stele__member_each(stele__connection *connection, const char *name,
                                stele_status (*visit)(void *context, const stele__member *member),
                                void *context)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "SELECT owner, boot, lease_until, joined_at, checksum FROM members"
                               " WHERE subscription = ?1 ORDER BY owner",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        stele__member member = { .lease_until = stele__column_number(statement, 2),
                                 .joined_at = stele__column_number(statement, 3) };
        stele__take_row_text(member.owner, sizeof(member.owner), stele__column_text(statement, 0));
        stele__take_row_text(member.boot, sizeof(member.boot), stele__column_text(statement, 1));
        status = member_checksum(name, &member) == stele__column_number(statement, 4)
                     ? visit(context, &member)
                     : stele__fail(STELE_CORRUPT, "the member '%s' of '%s' is damaged",
                                   member.owner, name);
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* --- Parked events --- */

#define PARKED_COLUMNS "position, key, behind, reason, attempts, parked_at, asked_at, checksum"

static int64_t parked_checksum(const char *name, const stele__parked *parked)
{
    stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_text(&digest, name);
    stele__digest_number(&digest, parked->position);
    stele__digest_text(&digest, parked->key);
    stele__digest_number(&digest, parked->behind);
    stele__digest_text(&digest, parked->reason);
    stele__digest_number(&digest, parked->attempts);
    stele__digest_number(&digest, parked->parked_at);
    stele__digest_number(&digest, parked->asked_at);
    return (int64_t)stele__digest_end(&digest);
}

stele_status stele__parked_store(stele__connection *connection, const char *name,
                                 const stele__parked *parked)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "INSERT OR REPLACE INTO parked(" PARKED_COLUMNS
                               ", subscription) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, parked->position);
    stele__bind_text(statement, 2, parked->key);
    stele__bind_number(statement, 3, parked->behind);
    stele__bind_text(statement, 4, parked->reason);
    stele__bind_number(statement, 5, parked->attempts);
    stele__bind_number(statement, 6, parked->parked_at);
    stele__bind_number(statement, 7, parked->asked_at);
    stele__bind_number(statement, 8, parked_checksum(name, parked));
    stele__bind_text(statement, 9, name);
    return stele__statement_run(statement);
}

stele_status stele__parked_remove(stele__connection *connection, const char *name, int64_t position)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "DELETE FROM parked WHERE subscription = ?1 AND position = ?2",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_text(statement, 1, name);
    stele__bind_number(statement, 2, position);
    return stele__statement_run(statement);
}

stele_status stele__parked_cut(stele__connection *connection, const char *name, int64_t after)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "DELETE FROM parked WHERE subscription = ?1 AND position > ?2",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_text(statement, 1, name);
    stele__bind_number(statement, 2, after);
    return stele__statement_run(statement);
}

stele_status stele__parked_clear(stele__connection *connection, const char *name)
{
    return stele__parked_cut(connection, name, INT64_MIN);
}

stele_status stele__parked_lowest(stele__connection *connection, const char *name,
                                  int64_t *position_out)
{
    stele__statement *statement = NULL;
    *position_out = 0;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT coalesce(min(position), 0) FROM parked WHERE subscription = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        *position_out = stele__column_number(statement, 0);
    stele__statement_end(statement);
    return status;
}

static stele_status read_parked(stele__statement *statement, const char *name,
                                stele__parked *parked)
{
    *parked = (stele__parked){ .position = stele__column_number(statement, 0),
                               .behind = stele__column_number(statement, 2),
                               .attempts = stele__column_number(statement, 4),
                               .parked_at = stele__column_number(statement, 5),
                               .asked_at = stele__column_number(statement, 6) };
    stele__take_row_text(parked->key, sizeof(parked->key), stele__column_text(statement, 1));
    stele__take_row_text(parked->reason, sizeof(parked->reason), stele__column_text(statement, 3));
    if (parked_checksum(name, parked) == stele__column_number(statement, 7))
        return STELE_OK;
    return stele__fail(STELE_CORRUPT, "what '%s' parked of position %" PRId64 " is damaged", name,
                       parked->position);
}

/* The statement's one row, if there is one. */
static stele_status take_parked(stele__statement *statement, const char *name,
                                stele__parked *parked_out, bool *found_out)
{
    stele_status status = stele__statement_step(statement);
    *found_out = status == STELE_OK;
    *parked_out = (stele__parked){ 0 };
    if (status == STELE_OK)
        status = read_parked(statement, name, parked_out);
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__parked_load(stele__connection *connection, const char *name, int64_t position,
                                stele__parked *parked_out, bool *found_out)
{
    stele__statement *statement = NULL;
    *found_out = false;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT " PARKED_COLUMNS " FROM parked WHERE subscription = ?1 AND position = ?2",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    stele__bind_number(statement, 2, position);
    return take_parked(statement, name, parked_out, found_out);
}

stele_status stele__parked_first(stele__connection *connection, const char *name, const char *key,
                                 int64_t from, stele__parked *parked_out, bool *found_out)
{
    stele__statement *statement = NULL;
    *found_out = false;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT " PARKED_COLUMNS " FROM parked WHERE subscription = ?1 AND key = ?2 AND"
        " position >= ?3 ORDER BY position LIMIT 1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    stele__bind_text(statement, 2, key);
    stele__bind_number(statement, 3, from);
    return take_parked(statement, name, parked_out, found_out);
}

stele_status stele__parked_asked(stele__connection *connection, const char *name, int64_t after,
                                 stele__parked *parked_out, bool *found_out)
{
    stele__statement *statement = NULL;
    *found_out = false;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT " PARKED_COLUMNS " FROM parked WHERE subscription = ?1 AND position > ?2 AND"
        " asked_at <> 0 ORDER BY position LIMIT 1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    stele__bind_number(statement, 2, after);
    return take_parked(statement, name, parked_out, found_out);
}

stele_status stele__parked_count(stele__connection *connection, const char *name,
                                 int64_t *count_out, int64_t *failed_out)
{
    stele__statement *statement = NULL;
    int64_t count = 0;
    int64_t failed = 0;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT count(*), coalesce(sum(behind = 0), 0) FROM parked WHERE subscription = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        count = stele__column_number(statement, 0);
        failed = stele__column_number(statement, 1);
    }
    stele__statement_end(statement);
    if (count_out != NULL)
        *count_out = count;
    if (failed_out != NULL)
        *failed_out = failed;
    return status;
}

stele_status stele__parked_each(stele__connection *connection, const char *name, const char *key,
                                int64_t after,
                                stele_status (*visit)(void *context, const stele__parked *parked),
                                void *context)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        key == NULL ? "SELECT " PARKED_COLUMNS " FROM parked WHERE subscription = ?1 AND"
                      " position > ?2 ORDER BY position"
                    : "SELECT " PARKED_COLUMNS " FROM parked WHERE subscription = ?1 AND"
                      " position > ?2 AND key = ?3 ORDER BY position",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    stele__bind_number(statement, 2, after);
    if (key != NULL)
        stele__bind_text(statement, 3, key);
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        stele__parked parked;
        status = read_parked(statement, name, &parked);
        if (status == STELE_OK)
            status = visit(context, &parked);
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__parked_next(stele__connection *connection, const char *name, int64_t after,
                                stele__parked *parked_out, bool *found_out)
{
    stele__statement *statement = NULL;
    *found_out = false;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT " PARKED_COLUMNS " FROM parked WHERE subscription = ?1 AND position > ?2"
        " ORDER BY position LIMIT 1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    stele__bind_number(statement, 2, after);
    return take_parked(statement, name, parked_out, found_out);
}

stele_status stele__parked_name_after(stele__connection *connection, const char *after,
                                      char name_out[STELE__OWNER_SIZE])
{
    stele__statement *statement = NULL;
    name_out[0] = '\0';
    stele_status status = stele__statement_begin(
        connection->database, "SELECT min(subscription) FROM parked WHERE subscription > ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, after);
    status = stele__statement_step(statement);
    const char *name = status == STELE_OK ? stele__column_text(statement, 0) : NULL;
    if (name != NULL && strlen(name) >= STELE__OWNER_SIZE)
        status = stele__fail(STELE_CORRUPT,
                             "events are parked of a subscription whose name has"
                             " %zu bytes",
                             strlen(name));
    else if (name != NULL)
        snprintf(name_out, STELE__OWNER_SIZE, "%s", name);
    stele__statement_end(statement);
    return status;
}

stele_status stele__parked_stream_id(stele__connection *connection, const char *key,
                                     int64_t *id_out)
{
    stele__statement *statement = NULL;
    *id_out = 0;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT id FROM streams WHERE name = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, key);
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        *id_out = stele__column_number(statement, 0);
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}
