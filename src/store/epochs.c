/* Epochs: each begins a timeline in which positions are never used again. */
#include <inttypes.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/platform.h"
#include "sqlite/statement.h"
#include "store/store.h"

int64_t stele__epoch_checksum(int64_t id, const char *epoch, int64_t starts_after,
                              int64_t started_at)
{
    stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_number(&digest, id);
    stele__digest_text(&digest, epoch);
    stele__digest_number(&digest, starts_after);
    stele__digest_number(&digest, started_at);
    return (int64_t)stele__digest_end(&digest);
}

stele_status stele__epoch_begin(stele__database *database, char epoch_out[37])
{
    char epoch[37];
    stele_status status = stele__make_uuid(epoch);
    int64_t id = 0;
    int64_t head = 0;
    if (status == STELE_OK)
        status =
            stele__database_number(database, "SELECT coalesce(max(id), 0) + 1 FROM epochs", &id);
    if (status == STELE_OK)
        status = stele__database_number(database, "SELECT max(position) FROM events", &head);
    stele__statement *statement = NULL;
    if (status == STELE_OK)
        status = stele__statement_begin(
            database,
            "INSERT INTO epochs(id, epoch, starts_after, started_at, checksum)"
            " VALUES(?1, ?2, ?3, ?4, ?5)",
            &statement);
    if (status != STELE_OK)
        return status;
    int64_t now = stele__clock_now();
    stele__bind_number(statement, 1, id);
    stele__bind_text(statement, 2, epoch);
    stele__bind_number(statement, 3, head);
    stele__bind_number(statement, 4, now);
    stele__bind_number(statement, 5, stele__epoch_checksum(id, epoch, head, now));
    status = stele__statement_run(statement);
    if (status == STELE_OK && epoch_out != NULL)
        memcpy(epoch_out, epoch, sizeof(epoch));
    return status;
}

/* All of them, the current one first. */
static stele_status begin_epochs(stele__database *database, stele__statement **statement_out)
{
    return stele__statement_begin(
        database,
        "SELECT id, epoch, starts_after, started_at, checksum FROM epochs ORDER BY id DESC",
        statement_out);
}

/* The next of them; its name is borrowed. OK, DONE, CORRUPT, ... */
static stele_status next_epoch(stele__statement *statement, const char **epoch_out,
                               int64_t *starts_after_out)
{
    stele_status status = stele__statement_step(statement);
    if (status != STELE_OK)
        return status;
    int64_t id = stele__column_number(statement, 0);
    *epoch_out = stele__column_text(statement, 1);
    *starts_after_out = stele__column_number(statement, 2);
    if (*epoch_out == NULL || strlen(*epoch_out) != 36
        || stele__epoch_checksum(id, *epoch_out, *starts_after_out,
                                 stele__column_number(statement, 3))
               != stele__column_number(statement, 4))
        return stele__fail(STELE_CORRUPT, "the row %" PRId64 " of epochs is damaged", id);
    return STELE_OK;
}

stele_status stele__epoch_current(stele__database *database, char epoch_out[37])
{
    const char *epoch = NULL;
    int64_t starts_after = 0;
    stele__statement *statement = NULL;
    stele_status status = begin_epochs(database, &statement);
    if (status != STELE_OK)
        return status;
    status = next_epoch(statement, &epoch, &starts_after);
    if (status == STELE_OK)
        memcpy(epoch_out, epoch, 37);
    else if (status == STELE_DONE)
        status = stele__fail(STELE_CORRUPT, "the store has no epoch");
    stele__statement_end(statement);
    return status;
}

stele_status stele__epoch_of(stele__database *database, int64_t position, char epoch_out[37],
                             int64_t *since_out)
{
    const char *epoch = NULL;
    int64_t starts_after = INT64_MAX;
    stele__statement *statement = NULL;
    stele_status status = begin_epochs(database, &statement);
    if (status != STELE_OK)
        return status;
    while (status == STELE_OK && starts_after >= position)
        status = next_epoch(statement, &epoch, &starts_after);
    if (status == STELE_OK)
        memcpy(epoch_out, epoch, 37);
    else if (status == STELE_DONE)
        status = stele__fail(STELE_CORRUPT, "no epoch begins before position %" PRId64, position);
    if (since_out != NULL)
        *since_out = starts_after;
    stele__statement_end(statement);
    return status;
}

/*
 * Each later epoch shares with `epoch` what came up to its start, and less where a still later one
 * started lower. `*shared_out` is INT64_MAX for the current epoch, 0 for one that isn't known.
 */
static stele_status find_shared(stele__database *database, const char *epoch, char current_out[37],
                                int64_t *shared_out)
{
    int64_t lowest = INT64_MAX;
    const char *each = NULL;
    int64_t starts_after = 0;
    bool found = false;
    stele__statement *statement = NULL;
    current_out[0] = '\0';
    *shared_out = 0;
    stele_status status = begin_epochs(database, &statement);
    if (status != STELE_OK)
        return status;
    while (!found && (status = next_epoch(statement, &each, &starts_after)) == STELE_OK) {
        if (current_out[0] == '\0')
            memcpy(current_out, each, 37);
        found = strcmp(each, epoch) == 0;
        if (!found && starts_after < lowest)
            lowest = starts_after;
    }
    stele__statement_end(statement);
    if (found)
        *shared_out = lowest;
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__epoch_knows(stele__database *database, const char *epoch, bool *known_out)
{
    *known_out = false;
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(database, "SELECT 1 FROM epochs WHERE epoch = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, epoch);
    status = stele__statement_step(statement);
    *known_out = status == STELE_OK;
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__epoch_check(stele__database *database, const char *what, const char *epoch,
                                int64_t position, int64_t *shared_out)
{
    char current[37];
    int64_t shared = 0;
    stele_status status = find_shared(database, epoch, current, &shared);
    if (shared_out != NULL)
        *shared_out = shared;
    if (status != STELE_OK || position <= shared)
        return status;
    return stele__fail(STELE_EPOCH,
                       "%s is at position %" PRId64
                       " of the epoch '%s', which the epoch '%s' of now"
                       " shares only up to %" PRId64,
                       what, position, epoch, current, shared);
}
