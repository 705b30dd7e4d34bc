/* What verification looks at in checkpoints and their kin. */
#include "checkpoint/checks.h"

#include <inttypes.h>

#include "base/failure.h"
#include "checkpoint/checkpoint.h"
#include "sqlite/statement.h"

/* --- Checkpoints --- */

/* The rows of one name. */
typedef struct lanes_search {
    stele__connection *connection;
    const char *name;
    int64_t head;
    stele__findings *findings;
    int64_t count; /* lanes so far */
    int64_t lanes; /* as the first of them has it */
} lanes_search;

/* One of a timeline that was lost may well be beyond the head of this one. */
static stele_status judge_position(lanes_search *search, const stele__place *place)
{
    int64_t shared = 0;
    if (place->position <= search->head
        || stele__place_judge(search->connection, search->name, place, &shared) == STELE_EPOCH)
        return STELE_OK;
    return stele__fail(STELE_CORRUPT,
                       "the checkpoint '%s' is at %" PRId64 ", beyond the head, %" PRId64,
                       search->name, place->position, search->head);
}

static stele_status judge_place_owner(const char *name, const stele__place *place)
{
    if (place->generation > 0 || (place->generation == 0 && place->owner[0] == '\0'))
        return STELE_OK;
    return stele__fail(STELE_CORRUPT, "the checkpoint '%s' is owned by '%s' in generation %" PRId64,
                       name, place->owner, place->generation);
}

/* Lanes are there from 1 on, each once. Lane 0 is the name itself, never saved beside others. */
static stele_status judge_lane(lanes_search *search, const stele__place *place)
{
    if (place->lane == 0 && place->lanes == 0)
        return STELE_OK;
    if (search->count == 0)
        search->lanes = place->lanes;
    if (place->lane == search->count + 1 && place->lanes == search->lanes
        && place->lane <= place->lanes && place->lanes <= STELE__LANES_MAX) {
        search->count++;
        return STELE_OK;
    }
    return stele__fail(STELE_CORRUPT,
                       "the checkpoint '%s' has lane %" PRId64 " of %" PRId64 " after %" PRId64
                       " of %" PRId64,
                       search->name, place->lane, place->lanes, search->count, search->lanes);
}

/* `*more_out` is false when the other rows would tell nothing more. */
static stele_status judge_row(lanes_search *search, int64_t lane, bool *more_out)
{
    stele__place place;
    bool found = false;
    stele_status status = stele__place_load(search->connection, search->name, lane, &place, &found);
    *more_out = status == STELE_OK && found;
    if (status == STELE_OK && !found)
        return stele__fail(STELE_CORRUPT, "the checkpoint '%s' can't be found by its name",
                           search->name);
    if (status == STELE_OK)
        status = judge_position(search, &place);
    if (status == STELE_OK)
        status = judge_place_owner(search->name, &place);
    if (status != STELE_OK)
        return status;
    status = judge_lane(search, &place);
    *more_out = status == STELE_OK;
    return status;
}

static stele_status judge_rows(lanes_search *search, stele__statement *statement)
{
    bool more = true;
    bool whole_saved = false;
    stele_status status = STELE_OK;
    while (more && (status = stele__statement_step(statement)) == STELE_OK) {
        int64_t lane = stele__column_number(statement, 0);
        search->findings->count++;
        whole_saved |= lane == 0 && stele__column_number(statement, 1) >= 0;
        if (judge_row(search, lane, &more) != STELE_OK)
            stele__findings_add_error(search->findings);
    }
    if (status < 0 || !more)
        return status < 0 ? status : STELE_OK;
    if (search->count < search->lanes)
        stele__fail(STELE_CORRUPT, "the checkpoint '%s' has %" PRId64 " of its %" PRId64 " lanes",
                    search->name, search->count, search->lanes);
    else if (search->count > 0 && whole_saved)
        stele__fail(STELE_CORRUPT, "the checkpoint '%s' is saved beside its lanes", search->name);
    else
        return STELE_OK;
    stele__findings_add_error(search->findings);
    return STELE_OK;
}

/* All rows of a name in one read: between two, lanes may become others. */
static stele_status visit_checkpoint(stele__connection *connection, stele__statement *statement,
                                     stele__walk *walk)
{
    stele__statement *rows = NULL;
    stele_status status = stele__walk_note_text(walk, stele__column_text(statement, 0));
    if (status == STELE_OK)
        status = stele__statement_begin(
            connection->database,
            "SELECT lane, position FROM checkpoints WHERE name = ?1 ORDER BY lane", &rows);
    if (status != STELE_OK)
        return status;
    lanes_search search = { .connection = connection,
                            .name = walk->text,
                            .head = stele__column_number(statement, 1),
                            .findings = walk->findings };
    stele__bind_text(rows, 1, walk->text);
    status = judge_rows(&search, rows);
    stele__statement_end(rows);
    return status;
}

static stele_status check_checkpoints(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings, .by_text = true };
    return stele__walk_rows(store,
                            "SELECT name, (SELECT coalesce(max(position), 0) FROM events)"
                            " FROM checkpoints WHERE name >= ?1 AND (name > ?1 OR ?2 = 0)"
                            " GROUP BY name ORDER BY name LIMIT ?3",
                            visit_checkpoint, &walk);
}

/* --- Members --- */

static stele_status judge_member(void *context, const stele__member *member)
{
    stele__findings *findings = context;
    findings->count++;
    if (member->owner[0] != '\0')
        return STELE_OK;
    stele__fail(STELE_CORRUPT, "a member has no name");
    stele__findings_add_error(findings);
    return STELE_OK;
}

static stele_status visit_members(stele__connection *connection, stele__statement *statement,
                                  stele__walk *walk)
{
    stele_status status = stele__walk_note_text(walk, stele__column_text(statement, 0));
    if (status != STELE_OK)
        return status;
    status = stele__member_each(connection, walk->text, judge_member, walk->findings);
    if (status != STELE_CORRUPT)
        return status;
    walk->findings->count++;
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

static stele_status check_members(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings, .by_text = true };
    return stele__walk_rows(store,
                            "SELECT subscription FROM members"
                            " WHERE subscription >= ?1 AND (subscription > ?1 OR ?2 = 0)"
                            " GROUP BY subscription ORDER BY subscription LIMIT ?3",
                            visit_members, &walk);
}

/* --- Parked events --- */

/* How far the one that parked it has come. */
typedef struct parker_search {
    stele__connection *connection;
    int64_t furthest; /* of its lanes; -1 when it was never saved */
    bool lost;        /* its positions may be of other events now */
} parker_search;

static stele_status look_at_parker(void *context, const char *name, const stele__place *place)
{
    parker_search *search = context;
    int64_t shared = 0;
    if (place->position > search->furthest)
        search->furthest = place->position;
    search->lost |= stele__place_judge(search->connection, name, place, &shared) == STELE_EPOCH;
    return STELE_OK;
}

/* Of the same stream: its name, when it has one still, is the key; and what it waits for comes
 * before it there. */
static stele_status judge_stream(stele__connection *connection, const char *name,
                                 const stele__parked *parked)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "SELECT coalesce(s.name, ?3) = ?3, ?2 = 0 OR EXISTS (SELECT 1 FROM"
                               " events b WHERE b.position = ?2 AND b.stream = e.stream)"
                               " FROM events e LEFT JOIN streams s ON s.id = e.stream"
                               " WHERE e.position = ?1",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, parked->position);
    stele__bind_number(statement, 2, parked->behind);
    stele__bind_text(statement, 3, parked->key);
    status = stele__statement_step(statement);
    if (status == STELE_OK && stele__column_number(statement, 0) == 0)
        status = stele__fail(STELE_CORRUPT,
                             "'%s' parked position %" PRId64 " as of '%s', which it isn't", name,
                             parked->position, parked->key);
    else if (status == STELE_OK && stele__column_number(statement, 1) == 0)
        status = stele__fail(STELE_CORRUPT,
                             "'%s' parked position %" PRId64 " behind %" PRId64
                             ", which is of another stream",
                             name, parked->position, parked->behind);
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status judge_parked(stele__connection *connection, const char *name, int64_t position)
{
    stele__parked parked;
    bool found = false;
    parker_search parker = { .connection = connection, .furthest = -1 };
    stele_status status = stele__parked_load(connection, name, position, &parked, &found);
    if (status == STELE_OK && !found)
        return stele__fail(STELE_CORRUPT, "what '%s' parked can't be found by its name", name);
    if (status == STELE_OK)
        status = stele__place_each(connection, name, look_at_parker, &parker);
    if (status != STELE_OK)
        return status;
    if (position < 1 || position > parker.furthest)
        return stele__fail(STELE_CORRUPT,
                           "'%s' parked position %" PRId64 ", but has come to %" PRId64, name,
                           position, parker.furthest);
    if (parked.behind < 0 || parked.behind >= position)
        return stele__fail(STELE_CORRUPT,
                           "'%s' parked position %" PRId64 " behind %" PRId64
                           ", which doesn't come before it",
                           name, position, parked.behind);
    return parker.lost ? STELE_OK : judge_stream(connection, name, &parked);
}

static stele_status visit_parked(stele__connection *connection, stele__statement *statement,
                                 stele__walk *walk)
{
    stele_status status = stele__walk_note_text(walk, stele__column_text(statement, 0));
    if (status != STELE_OK)
        return status;
    walk->second = stele__column_number(statement, 1);
    walk->findings->count++;
    status = judge_parked(connection, walk->text, walk->second);
    if (status != STELE_CORRUPT)
        return status;
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

static stele_status check_parked(stele_store *store, stele__findings *findings)
{
    stele__walk walk = {
        .findings = findings, .by_text = true, .with_number = true, .second = INT64_MIN
    };
    return stele__walk_rows(store,
                            "SELECT subscription, position FROM parked"
                            " WHERE (subscription, position) > (?1, ?4) AND ?2 IN (0, 1)"
                            " ORDER BY subscription, position LIMIT ?3",
                            visit_parked, &walk);
}

const stele__check *stele__checkpoint_checks(size_t *count_out)
{
    static const stele__check checkpoint_checks[] = {
        { "checkpoints", check_checkpoints, NULL },
        { "members", check_members, NULL },
        { "parked", check_parked, NULL },
    };
    *count_out = sizeof(checkpoint_checks) / sizeof(checkpoint_checks[0]);
    return checkpoint_checks;
}
