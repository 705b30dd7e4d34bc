/* Checkpoints: how far each named reader has come. Loading, and saving whatever was there. */
#include <stele/checkpoint.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "checkpoint/checkpoint.h"
#include "sqlite/statement.h"

stele_status stele__checkpoint_check_position(stele__connection *connection, const char *name,
                                              int64_t position)
{
    int64_t head = 0;
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT coalesce(max(position), 0) FROM events", &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        head = stele__column_number(statement, 0);
    stele__statement_end(statement);
    if (status == STELE_OK && (position < 0 || position > head))
        return stele__fail(STELE_MISUSE,
                           "checkpoint '%s': position %" PRId64
                           " is not within 0 and the head, %" PRId64,
                           name, position, head);
    return status;
}

/* --- Loading --- */

typedef struct checkpoint_search {
    stele__connection *connection;
    stele__places_sum sum;
    char reason[STELE__ERROR_SIZE];
} checkpoint_search;

/* Of lanes, the one that is furthest behind; one of another timeline is what is told. */
static stele_status take_place(void *context, const char *name, const stele__place *place)
{
    checkpoint_search *search = context;
    int64_t shared = 0;
    stele_status status = stele__place_judge(search->connection, name, place, &shared);
    if (status != STELE_OK && status != STELE_EPOCH)
        return status;
    if (status == STELE_EPOCH && !search->sum.lost)
        stele__keep_error(search->reason);
    stele__place_add(&search->sum, place, status == STELE_EPOCH, shared);
    return STELE_OK;
}

static stele_status load_checkpoint(stele__connection *connection, const char *name,
                                    stele_checkpoint *checkpoint_out)
{
    checkpoint_search search = { .connection = connection };
    stele_status status = stele__place_each(connection, name, take_place, &search);
    if (status != STELE_OK || !search.sum.found)
        return status;
    *checkpoint_out = (stele_checkpoint){ .found = true,
                                          .position = search.sum.position,
                                          .saved_at = search.sum.saved_at,
                                          .shared = search.sum.shared };
    if (!search.sum.lost)
        return STELE_OK;
    stele__restore_error(search.reason);
    return STELE_EPOCH;
}

/* --- Saving --- */

/* What a rewound reader parked of the events that come again goes: they are met anew. So does what
 * it parked of a timeline that was lost. */
static stele_status cut_parked(const stele_store *store, stele__connection *connection,
                               const stele__place *place, stele__checkpoint_change *change)
{
    int64_t shared = 0;
    stele_status status = STELE_OK;
    if (strcmp(place->epoch, store->epoch) != 0)
        status = stele__place_judge(connection, change->name, place, &shared);
    bool lost = status == STELE_EPOCH;
    if (status != STELE_OK && !lost)
        return status;
    if (!lost && change->position >= place->position)
        return STELE_OK;
    int64_t after = lost && shared < change->position ? shared : change->position;
    status = stele__parked_cut(connection, change->name, after);
    change->half_way |= status == STELE_OK;
    return status;
}

/* What belongs to an owner stays with it: saving a position doesn't take a lease away. But tries of
 * the event that came next are of no meaning any more. */
static stele_status save_lane(stele_store *store, stele__connection *connection,
                              stele__checkpoint_change *change, int64_t lane, int64_t lanes)
{
    stele__place place;
    bool found = false;
    stele_status status = stele__place_load(connection, change->name, lane, &place, &found);
    /* A damaged row is replaced whole: saving is how it is mended. Who had claimed it is fenced
     * off. */
    if (status == STELE_CORRUPT && found) {
        int64_t generation = place.generation;
        if (generation < 0 || generation == INT64_MAX)
            generation = 0;
        place = (stele__place){
            .lane = lane, .lanes = lanes, .position = INT64_MAX, .generation = generation + 1
        };
        snprintf(place.epoch, sizeof(place.epoch), "%s", store->epoch);
        status = STELE_OK;
    }
    if (status == STELE_OK && found)
        status = cut_parked(store, connection, &place, change);
    if (status != STELE_OK)
        return status;
    stele__place_move(store, &place, change->position);
    place.attempts = 0;
    status = stele__place_store(connection, change->name, &place);
    change->half_way |= status == STELE_OK;
    return status;
}

/* The first number that `sql` gives of `name` and `?2`. */
static stele_status ask_number(stele__connection *connection, const char *sql, const char *name,
                               int64_t second, int64_t *number_out)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(connection->database, sql, &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    stele__bind_number(statement, 2, second);
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        *number_out = stele__column_number(statement, 0);
    stele__statement_end(statement);
    return status;
}

static stele_status apply_save(stele_store *store, stele__connection *connection,
                               stele__checkpoint_change *change)
{
    int64_t count = 0;
    int64_t lane = 0;
    stele_status status =
        stele__checkpoint_check_position(connection, change->name, change->position);
    if (status == STELE_OK)
        status =
            ask_number(connection, "SELECT count(*) FROM checkpoints WHERE name = ?1 AND lane > ?2",
                       change->name, 0, &count);
    if (status == STELE_OK && count == 0)
        return save_lane(store, connection, change, 0, 0);
    /* By the rows that are there: a number in a damaged one means nothing. */
    for (int64_t i = 0; i < count && status == STELE_OK; i++) {
        status = ask_number(connection,
                            "SELECT min(lane) FROM checkpoints WHERE name = ?1 AND lane > ?2",
                            change->name, lane, &lane);
        if (status == STELE_OK)
            status = save_lane(store, connection, change, lane, count);
    }
    return status;
}

/* --- The calls --- */

static stele_status check_load(const char *name, stele_checkpoint *checkpoint_out)
{
    if (checkpoint_out == NULL)
        return stele__fail(STELE_MISUSE, "checkpoint_out is NULL");
    *checkpoint_out = (stele_checkpoint){ 0 };
    return stele__check_name("checkpoint", name);
}

stele_status stele_checkpoint_load(stele_store *store, const char *name,
                                   stele_checkpoint *checkpoint_out)
{
    stele__connection *connection = NULL;
    stele_status status = check_load(name, checkpoint_out);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = load_checkpoint(connection, name, checkpoint_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_checkpoint_load(stele_transaction *transaction, const char *name,
                                               stele_checkpoint *checkpoint_out)
{
    stele__connection *connection = NULL;
    stele_status status = check_load(name, checkpoint_out);
    if (status == STELE_OK)
        status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = load_checkpoint(connection, name, checkpoint_out);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele__checkpoint_write(stele_store *store, stele__checkpoint_change *change)
{
    stele__connection *connection = NULL;
    stele_status status = stele__check_name("checkpoint", change->name);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__write_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = change->apply(store, connection, change);
        if (status == STELE_OK && store->writer.changed)
            status = stele__write_commit(store);
        stele__write_end(store);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele__checkpoint_write_within(stele_transaction *transaction,
                                            stele__checkpoint_change *change)
{
    stele__connection *connection = NULL;
    stele_status status = stele__check_name("checkpoint", change->name);
    if (status == STELE_OK)
        status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    change->half_way = false;
    status = change->apply(transaction->store, connection, change);
    if (status < 0)
        stele__transaction_failed(transaction, status, change->half_way);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele_checkpoint_save(stele_store *store, const char *name, int64_t position)
{
    stele__checkpoint_change change = { .apply = apply_save, .name = name, .position = position };
    return stele__checkpoint_write(store, &change);
}

stele_status stele_transaction_checkpoint_save(stele_transaction *transaction, const char *name,
                                               int64_t position)
{
    stele__checkpoint_change change = { .apply = apply_save, .name = name, .position = position };
    return stele__checkpoint_write_within(transaction, &change);
}
