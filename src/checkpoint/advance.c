/* Moving a checkpoint forward by compare and set, owning it, and forgetting it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/options.h"
#include "checkpoint/checkpoint.h"
#include "sqlite/statement.h"

void stele_checkpoint_move_init(stele_checkpoint_move *move)
{
    *move = (stele_checkpoint_move)STELE_CHECKPOINT_MOVE_INIT;
}

void stele_checkpoint_claim_init(stele_checkpoint_claim *claim)
{
    *claim = (stele_checkpoint_claim)STELE_CHECKPOINT_CLAIM_INIT;
}

/* The row of the name itself. MISUSE when it has lanes. */
static stele_status load_whole(stele__connection *connection, const char *name, stele__place *place,
                               bool *found)
{
    int64_t lanes = 0;
    stele_status status = stele__place_lanes(connection, name, &lanes);
    if (status == STELE_OK && lanes > 0)
        return stele__fail(STELE_MISUSE, "'%s' has %" PRId64 " lanes, which their owners move",
                           name, lanes);
    return status == STELE_OK ? stele__place_load(connection, name, 0, place, found) : status;
}

static stele_status refuse_generation(const char *name, const stele__place *place,
                                      int64_t generation)
{
    if (place->generation == generation && place->owner[0] != '\0')
        return STELE_OK;
    if (place->owner[0] == '\0')
        return stele__fail(STELE_FENCED,
                           "nobody owns checkpoint '%s' since generation %" PRId64
                           "; this one's was %" PRId64,
                           name, place->generation, generation);
    return stele__fail(STELE_FENCED,
                       "checkpoint '%s' is owned by '%s' in generation %" PRId64
                       "; this one's was %" PRId64,
                       name, place->owner, place->generation, generation);
}

/* --- Forward --- */

static stele_status check_move(const stele_checkpoint_move *given, stele_checkpoint_move *move)
{
    *move = (stele_checkpoint_move)STELE_CHECKPOINT_MOVE_INIT;
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "move is NULL");
    stele_status status = stele__options_take("stele_checkpoint_move", given, move, sizeof(*move));
    if (status != STELE_OK)
        return status;
    if (move->from < STELE_CHECKPOINT_ANYWHERE || move->generation < 0)
        return stele__fail(STELE_MISUSE,
                           "from is %" PRId64 " and generation %" PRId64 ", which can't be",
                           move->from, move->generation);
    if (move->from > move->to)
        return stele__fail(STELE_MISUSE,
                           "a move from %" PRId64 " to %" PRId64
                           " goes back: stele_checkpoint_save() does that",
                           move->from, move->to);
    return STELE_OK;
}

static stele_status apply_move(stele_store *store, stele__connection *connection,
                               stele__checkpoint_change *change)
{
    const stele_checkpoint_move *move = &change->move;
    stele__place place;
    bool found = false;
    int64_t shared = 0;
    stele_status status = load_whole(connection, change->name, &place, &found);
    if (status == STELE_OK)
        status = stele__checkpoint_check_position(connection, change->name, move->to);
    if (status == STELE_OK && move->generation != 0)
        status = refuse_generation(change->name, &place, move->generation);
    if (status == STELE_OK)
        status = stele__place_judge(connection, change->name, &place, &shared);
    if (status != STELE_OK)
        return status;
    change->actual = place.position;
    bool there = move->from == STELE_CHECKPOINT_ANYWHERE ? place.position <= move->to
                                                         : place.position == move->from;
    if (!there && place.position < 0)
        return stele__fail(STELE_CONFLICT, "checkpoint '%s' was never saved, expected %" PRId64,
                           change->name, move->from);
    if (!there && move->from == STELE_CHECKPOINT_MISSING)
        return stele__fail(STELE_CONFLICT, "checkpoint '%s' is at %" PRId64 ", expected to be new",
                           change->name, place.position);
    if (!there)
        return stele__fail(STELE_CONFLICT, "checkpoint '%s' is at %" PRId64 ", expected %s%" PRId64,
                           change->name, place.position,
                           move->from == STELE_CHECKPOINT_ANYWHERE ? "at most " : "",
                           move->from == STELE_CHECKPOINT_ANYWHERE ? move->to : move->from);
    if (place.position != move->to)
        place.attempts = 0;
    stele__place_move(store, &place, move->to);
    change->actual = move->to;
    return stele__place_store(connection, change->name, &place);
}

stele_status stele_checkpoint_advance(stele_store *store, const char *name,
                                      const stele_checkpoint_move *move, int64_t *actual_out)
{
    stele__checkpoint_change change = { .apply = apply_move, .name = name };
    if (actual_out != NULL)
        *actual_out = STELE_CHECKPOINT_MISSING;
    stele_status status = check_move(move, &change.move);
    if (status == STELE_OK)
        status = stele__checkpoint_write(store, &change);
    if (actual_out != NULL && (status == STELE_OK || status == STELE_CONFLICT))
        *actual_out = change.actual;
    return status;
}

stele_status stele_transaction_checkpoint_advance(stele_transaction *transaction, const char *name,
                                                  const stele_checkpoint_move *move,
                                                  int64_t *actual_out)
{
    stele__checkpoint_change change = { .apply = apply_move, .name = name };
    if (actual_out != NULL)
        *actual_out = STELE_CHECKPOINT_MISSING;
    stele_status status = check_move(move, &change.move);
    if (status == STELE_OK)
        status = stele__checkpoint_write_within(transaction, &change);
    if (actual_out != NULL && (status == STELE_OK || status == STELE_CONFLICT))
        *actual_out = change.actual;
    return status;
}

/* --- Forgetting --- */

/* What is there of a name, whatever is wrong with its rows: forgetting mends them, too. */
typedef struct reset_search {
    int64_t rows;
    int64_t generation; /* the highest that was */
    bool saved;
    bool in_use; /* claimed, split into lanes, or with something beside it */
} reset_search;

static stele_status look_for_rows(stele__connection *connection, const char *name,
                                  reset_search *search)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT count(*), coalesce(max(generation), 0), coalesce(max(position), -1) >= 0,"
        " coalesce(max(lane > 0 OR owner <> ''), 0)"
        " OR EXISTS (SELECT 1 FROM parked WHERE subscription = ?1)"
        " OR EXISTS (SELECT 1 FROM members WHERE subscription = ?1)"
        " FROM checkpoints WHERE name = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, name);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        search->rows = stele__column_number(statement, 0);
        search->generation = stele__column_number(statement, 1);
        search->saved = stele__column_number(statement, 2) != 0;
        search->in_use = stele__column_number(statement, 3) != 0;
    }
    stele__statement_end(statement);
    return status;
}

/* One row stays if there ever was a claim, and with it the generation: whoever still works under an
 * older one is refused. */
static stele_status apply_reset(stele_store *store, stele__connection *connection,
                                stele__checkpoint_change *change)
{
    reset_search search = { 0 };
    stele_status status = look_for_rows(connection, change->name, &search);
    if (status != STELE_OK || (!search.saved && !search.in_use))
        return status;
    change->found = search.saved;
    status = stele__place_clear(connection, change->name);
    change->half_way = status == STELE_OK;
    if (status == STELE_OK)
        status = stele__parked_clear(connection, change->name);
    if (status == STELE_OK)
        status = stele__member_clear(connection, change->name);
    if (status != STELE_OK || search.generation <= 0)
        return status;
    stele__place place = { .position = -1, .generation = search.generation };
    if (place.generation < INT64_MAX)
        place.generation++;
    snprintf(place.epoch, sizeof(place.epoch), "%s", store->epoch);
    return stele__place_store(connection, change->name, &place);
}

stele_status stele_checkpoint_reset(stele_store *store, const char *name, bool *found_out)
{
    stele__checkpoint_change change = { .apply = apply_reset, .name = name };
    stele_status status = stele__checkpoint_write(store, &change);
    if (found_out != NULL)
        *found_out = status == STELE_OK && change.found;
    return status;
}

stele_status stele_transaction_checkpoint_reset(stele_transaction *transaction, const char *name,
                                                bool *found_out)
{
    stele__checkpoint_change change = { .apply = apply_reset, .name = name };
    stele_status status = stele__checkpoint_write_within(transaction, &change);
    if (found_out != NULL)
        *found_out = status == STELE_OK && change.found;
    return status;
}

/* --- Owning --- */

static stele_status apply_claim(stele_store *store, stele__connection *connection,
                                stele__checkpoint_change *change)
{
    const stele_checkpoint_claim *claim = &change->claim;
    stele_checkpoint_claimed *claimed = &change->claimed;
    stele__place place;
    bool found = false;
    int64_t shared = 0;
    stele_status status = load_whole(connection, change->name, &place, &found);
    if (status == STELE_OK)
        status = stele__place_judge(connection, change->name, &place, &shared);
    if (status != STELE_OK)
        return status;
    claimed->found = place.position >= 0;
    claimed->position = claimed->found ? place.position : 0;
    snprintf(claimed->owner, sizeof(claimed->owner), "%s", place.owner);
    int64_t left_us =
        place.owner[0] == '\0' ? 0 : stele__lease_left_us(place.boot, place.lease_until);
    if (left_us > 0 && !claim->force && strcmp(place.owner, claim->owner) != 0) {
        claimed->generation = place.generation;
        claimed->left_ms = (left_us + 999) / 1000;
        return stele__fail(STELE_BUSY,
                           "checkpoint '%s' is owned by '%s' for another %" PRId64 " ms",
                           change->name, place.owner, claimed->left_ms);
    }
    if (!found)
        snprintf(place.epoch, sizeof(place.epoch), "%s", store->epoch);
    stele__place_claim(store, &place, claim->owner, claim->lease_ms);
    claimed->generation = place.generation;
    return stele__place_store(connection, change->name, &place);
}

static stele_status check_lease(uint32_t lease_ms)
{
    if (lease_ms >= 1 && lease_ms <= STELE_LEASE_MS_MAX)
        return STELE_OK;
    return stele__fail(STELE_MISUSE, "lease_ms is %" PRIu32 ", not within 1 and %" PRIu32, lease_ms,
                       STELE_LEASE_MS_MAX);
}

stele_status stele_checkpoint_claim_take(stele_store *store, const char *name,
                                         const stele_checkpoint_claim *claim,
                                         stele_checkpoint_claimed *claimed_out)
{
    stele__checkpoint_change change = { .apply = apply_claim,
                                        .name = name,
                                        .claim = STELE_CHECKPOINT_CLAIM_INIT };
    if (claimed_out != NULL)
        *claimed_out = (stele_checkpoint_claimed){ 0 };
    if (claim == NULL)
        return stele__fail(STELE_MISUSE, "claim is NULL");
    stele_status status =
        stele__options_take("stele_checkpoint_claim", claim, &change.claim, sizeof(change.claim));
    if (status == STELE_OK)
        status = stele__check_name("owner", change.claim.owner);
    if (status == STELE_OK)
        status = check_lease(change.claim.lease_ms);
    if (status == STELE_OK)
        status = stele__checkpoint_write(store, &change);
    bool refused = status == STELE_BUSY && change.claimed.left_ms > 0;
    if (claimed_out != NULL && (status == STELE_OK || refused))
        *claimed_out = change.claimed;
    return status;
}

static stele_status check_generation(int64_t generation)
{
    if (generation > 0)
        return STELE_OK;
    return stele__fail(STELE_MISUSE, "generation is %" PRId64 ", which no claim ever had",
                       generation);
}

static stele_status load_claimed(stele__connection *connection,
                                 const stele__checkpoint_change *change, stele__place *place)
{
    bool found = false;
    stele_status status = load_whole(connection, change->name, place, &found);
    return status == STELE_OK ? refuse_generation(change->name, place, change->generation) : status;
}

static stele_status apply_renew(stele_store *store, stele__connection *connection,
                                stele__checkpoint_change *change)
{
    stele__place place;
    stele_status status = load_claimed(connection, change, &place);
    if (status != STELE_OK)
        return status;
    stele__place_renew(store, &place, change->lease_ms);
    return stele__place_store(connection, change->name, &place);
}

stele_status stele_checkpoint_claim_renew(stele_store *store, const char *name, int64_t generation,
                                          uint32_t lease_ms)
{
    stele__checkpoint_change change = {
        .apply = apply_renew, .name = name, .generation = generation, .lease_ms = lease_ms
    };
    stele_status status = check_lease(lease_ms);
    if (status == STELE_OK)
        status = check_generation(generation);
    return status == STELE_OK ? stele__checkpoint_write(store, &change) : status;
}

static stele_status apply_release(stele_store *store, stele__connection *connection,
                                  stele__checkpoint_change *change)
{
    stele__place place;
    stele_status status = load_claimed(connection, change, &place);
    if (status != STELE_OK)
        return status;
    stele__place_release(store, &place);
    return stele__place_store(connection, change->name, &place);
}

stele_status stele_checkpoint_claim_release(stele_store *store, const char *name,
                                            int64_t generation)
{
    stele__checkpoint_change change = { .apply = apply_release,
                                        .name = name,
                                        .generation = generation };
    stele_status status = check_generation(generation);
    return status == STELE_OK ? stele__checkpoint_write(store, &change) : status;
}
