/* The rows of checkpoints: reading them, writing them, and what of them is of this timeline. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/platform.h"
#include "checkpoint/checkpoint.h"
#include "sqlite/statement.h"

#define PLACE_COLUMNS                                                                              \
    "lane, lanes, position, epoch, saved_at, generation, owner, boot, lease_until, beat_at, "      \
    "attempting, attempts, effects_after, state, rate, lag, lag_before, error, error_position, "   \
    "error_at, checksum, name"

static int64_t place_checksum(const char *name, const stele__place *place)
{
    stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_text(&digest, name);
    stele__digest_number(&digest, place->lane);
    stele__digest_number(&digest, place->lanes);
    stele__digest_number(&digest, place->position);
    stele__digest_text(&digest, place->epoch);
    stele__digest_number(&digest, place->saved_at);
    stele__digest_number(&digest, place->generation);
    stele__digest_text(&digest, place->owner);
    stele__digest_text(&digest, place->boot);
    stele__digest_number(&digest, place->lease_until);
    stele__digest_number(&digest, place->beat_at);
    stele__digest_number(&digest, place->attempting);
    stele__digest_number(&digest, place->attempts);
    stele__digest_number(&digest, place->effects_after);
    stele__digest_number(&digest, place->state);
    stele__digest_number(&digest, place->rate);
    stele__digest_number(&digest, place->lag);
    stele__digest_number(&digest, place->lag_before);
    stele__digest_text(&digest, place->error);
    stele__digest_number(&digest, place->error_position);
    stele__digest_number(&digest, place->error_at);
    return (int64_t)stele__digest_end(&digest);
}

void stele__take_row_text(char *out, size_t size, const char *text)
{
    size_t length = text == NULL ? 0 : strlen(text);
    if (length >= size)
        length = 0;
    if (length > 0)
        memcpy(out, text, length);
    out[length] = '\0';
}

static stele_status read_place(stele__statement *statement, stele__place *place)
{
    const char *name = stele__column_text(statement, 21);
    *place = (stele__place){
        .lane = stele__column_number(statement, 0),
        .lanes = stele__column_number(statement, 1),
        .position = stele__column_number(statement, 2),
        .saved_at = stele__column_number(statement, 4),
        .generation = stele__column_number(statement, 5),
        .lease_until = stele__column_number(statement, 8),
        .beat_at = stele__column_number(statement, 9),
        .attempting = stele__column_number(statement, 10) != 0,
        .attempts = stele__column_number(statement, 11),
        .effects_after = stele__column_number(statement, 12),
        .state = stele__column_number(statement, 13),
        .rate = stele__column_number(statement, 14),
        .lag = stele__column_number(statement, 15),
        .lag_before = stele__column_number(statement, 16),
        .error_position = stele__column_number(statement, 18),
        .error_at = stele__column_number(statement, 19),
    };
    stele__take_row_text(place->epoch, sizeof(place->epoch), stele__column_text(statement, 3));
    stele__take_row_text(place->owner, sizeof(place->owner), stele__column_text(statement, 6));
    stele__take_row_text(place->boot, sizeof(place->boot), stele__column_text(statement, 7));
    stele__take_row_text(place->error, sizeof(place->error), stele__column_text(statement, 17));
    if (name == NULL || place_checksum(name, place) != stele__column_number(statement, 20))
        return stele__fail(STELE_CORRUPT, "the checkpoint '%s' is damaged",
                           name == NULL ? "" : name);
    return STELE_OK;
}

stele_status stele__place_load(stele__connection *connection, const char *name, int64_t lane,
                               stele__place *place_out, bool *found_out)
{
    stele__statement *statement = NULL;
    *found_out = false;
    *place_out = (stele__place){ .lane = lane, .position = -1 };
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT " PLACE_COLUMNS " FROM checkpoints WHERE name = ?1 AND lane = ?2", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    stele__bind_number(statement, 2, lane);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        *found_out = true;
        status = read_place(statement, place_out);
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__place_store(stele__connection *connection, const char *name,
                                const stele__place *place)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "INSERT OR REPLACE INTO checkpoints(" PLACE_COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7,"
        " ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    connection->place_changes++;
    stele__bind_number(statement, 1, place->lane);
    stele__bind_number(statement, 2, place->lanes);
    stele__bind_number(statement, 3, place->position);
    stele__bind_text(statement, 4, place->epoch);
    stele__bind_number(statement, 5, place->saved_at);
    stele__bind_number(statement, 6, place->generation);
    stele__bind_text(statement, 7, place->owner);
    stele__bind_text(statement, 8, place->boot);
    stele__bind_number(statement, 9, place->lease_until);
    stele__bind_number(statement, 10, place->beat_at);
    stele__bind_number(statement, 11, place->attempting);
    stele__bind_number(statement, 12, place->attempts);
    stele__bind_number(statement, 13, place->effects_after);
    stele__bind_number(statement, 14, place->state);
    stele__bind_number(statement, 15, place->rate);
    stele__bind_number(statement, 16, place->lag);
    stele__bind_number(statement, 17, place->lag_before);
    stele__bind_text(statement, 18, place->error);
    stele__bind_number(statement, 19, place->error_position);
    stele__bind_number(statement, 20, place->error_at);
    stele__bind_number(statement, 21, place_checksum(name, place));
    stele__bind_text(statement, 22, name);
    return stele__statement_run(statement);
}

stele_status stele__place_remove(stele__connection *connection, const char *name, int64_t lane)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "DELETE FROM checkpoints WHERE name = ?1 AND lane = ?2", &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    connection->place_changes++;
    stele__bind_text(statement, 1, name);
    stele__bind_number(statement, 2, lane);
    return stele__statement_run(statement);
}

stele_status stele__place_clear(stele__connection *connection, const char *name)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "DELETE FROM checkpoints WHERE name = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    connection->place_changes++;
    stele__bind_text(statement, 1, name);
    return stele__statement_run(statement);
}

stele_status stele__place_lanes(stele__connection *connection, const char *name, int64_t *lanes_out)
{
    stele__statement *statement = NULL;
    *lanes_out = 0;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT coalesce(max(lanes), 0) FROM checkpoints WHERE name = ?1 AND lane > 0", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        *lanes_out = stele__column_number(statement, 0);
    stele__statement_end(statement);
    if (status == STELE_OK && (*lanes_out < 0 || *lanes_out > STELE__LANES_MAX))
        return stele__fail(STELE_CORRUPT,
                           "the checkpoint '%s' has %" PRId64 " lanes, which can't be", name,
                           *lanes_out);
    return status;
}

stele_status stele__place_judge(stele__connection *connection, const char *name,
                                const stele__place *place, int64_t *shared_out)
{
    char what[STELE_NAME_SIZE_MAX + sizeof("the checkpoint ''")];
    *shared_out = 0;
    if (place->position < 0)
        return STELE_OK;
    snprintf(what, sizeof(what), "the checkpoint '%s'", name);
    stele_status status =
        stele__epoch_check(connection->database, what, place->epoch, place->position, shared_out);
    if (status != STELE_EPOCH)
        *shared_out = 0;
    return status;
}

void stele__place_move(const stele_store *store, stele__place *place, int64_t position)
{
    place->position = position;
    place->saved_at = stele__store_now(store);
    snprintf(place->epoch, sizeof(place->epoch), "%s", store->epoch);
}

stele_status stele__place_each(stele__connection *connection, const char *name,
                               stele_status (*visit)(void *context, const char *name,
                                                     const stele__place *place),
                               void *context)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        name == NULL ? "SELECT " PLACE_COLUMNS " FROM checkpoints ORDER BY name, lane"
                     : "SELECT " PLACE_COLUMNS " FROM checkpoints WHERE name = ?1 ORDER BY lane",
        &statement);
    if (status != STELE_OK)
        return status;
    if (name != NULL)
        stele__bind_text(statement, 1, name);
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        stele__place place;
        status = read_place(statement, &place);
        if (status == STELE_OK)
            status = visit(context, stele__column_text(statement, 21), &place);
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* A lane that was never saved, beside others that were, has let go of nothing. */
void stele__place_add(stele__places_sum *sum, const stele__place *place, bool lost, int64_t shared)
{
    if (place->lane > 0)
        sum->lanes = place->lanes;
    if (place->position < 0) {
        sum->unsaved_lane |= place->lane > 0;
        if (sum->found && sum->unsaved_lane)
            sum->position = 0;
        return;
    }
    if (lost && (!sum->lost || shared < sum->shared))
        sum->shared = shared;
    sum->lost |= lost;
    if (!sum->found || place->position < sum->position)
        sum->position = sum->unsaved_lane ? 0 : place->position;
    if (place->saved_at > sum->saved_at)
        sum->saved_at = place->saved_at;
    sum->found = true;
}

stele_status stele__place_waiting_since(stele__connection *connection, int64_t position,
                                        int64_t *recorded_at_out)
{
    stele__statement *statement = NULL;
    *recorded_at_out = 0;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT recorded_at FROM events WHERE position > ?1 ORDER BY position LIMIT 1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, position);
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        *recorded_at_out = stele__column_number(statement, 0);
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* --- Leases --- */

void (*stele__lease_boot)(char boot_out[64]) = stele__boot_id;
int64_t (*stele__lease_now_us)(void) = stele__clock_monotonic_us;

int64_t stele__lease_left_us(const char *boot, int64_t lease_until)
{
    char here[64];
    stele__lease_boot(here);
    int64_t now = stele__lease_now_us();
    if (strcmp(boot, here) != 0 || lease_until <= now
        || lease_until > now + (int64_t)STELE_LEASE_MS_MAX * 1000)
        return 0;
    return lease_until - now;
}

void stele__place_claim(const stele_store *store, stele__place *place, const char *owner,
                        uint32_t lease_ms)
{
    place->generation++;
    snprintf(place->owner, sizeof(place->owner), "%s", owner);
    stele__place_renew(store, place, lease_ms);
}

void stele__place_renew(const stele_store *store, stele__place *place, uint32_t lease_ms)
{
    stele__lease_boot(place->boot);
    place->lease_until = stele__lease_now_us() + (int64_t)lease_ms * 1000;
    place->beat_at = stele__store_now(store);
}

void stele__place_release(const stele_store *store, stele__place *place)
{
    place->owner[0] = '\0';
    place->boot[0] = '\0';
    place->lease_until = 0;
    place->attempting = false;
    place->beat_at = stele__store_now(store);
}

/* --- A life of its own --- */

/* The first row after this one that somebody owns; DONE for none. */
static stele_status find_owned(stele__connection *connection, char name[STELE__OWNER_SIZE],
                               int64_t *lane)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "SELECT name, lane FROM checkpoints WHERE (name, lane) > (?1, ?2)"
                               " AND owner <> '' ORDER BY name, lane LIMIT 1",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    stele__bind_number(statement, 2, *lane);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        const char *text = stele__column_text(statement, 0);
        snprintf(name, STELE__OWNER_SIZE, "%s", text == NULL ? "" : text);
        *lane = stele__column_number(statement, 1);
    }
    stele__statement_end(statement);
    return status;
}

stele_status stele__places_disown(const stele_store *store, stele__connection *connection)
{
    char name[STELE__OWNER_SIZE] = "";
    int64_t lane = -1;
    stele_status status;
    char last[STELE__OWNER_SIZE] = "";
    int64_t last_lane = -1;
    while ((status = find_owned(connection, name, &lane)) == STELE_OK) {
        stele__place place;
        bool found = false;
        if (strcmp(name, last) == 0 && lane == last_lane) {
            status = STELE_DONE; /* a name that can't be ours, and leads nowhere */
            break;
        }
        snprintf(last, sizeof(last), "%s", name);
        last_lane = lane;
        status = stele__place_load(connection, name, lane, &place, &found);
        if (status == STELE_CORRUPT)
            continue;
        stele__place_release(store, &place);
        place.generation++;
        if (status == STELE_OK && found)
            status = stele__place_store(connection, name, &place);
        if (status != STELE_OK)
            return status;
    }
    if (status != STELE_DONE)
        return status;
    stele__statement *statement = NULL;
    status = stele__statement_begin(connection->database, "DELETE FROM members", &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    connection->place_changes++;
    return stele__statement_run(statement);
}
