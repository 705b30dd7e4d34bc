/*
 * A put or a deletion inside a write transaction: first everything that can refuse it, then the
 * writing, so that many changes can share one commit.
 *
 * What was deleted keeps its row, without value and attributes: its revision goes on from there,
 * and its write ids still answer. So a late retry of an old write finds that it came before, and
 * writes nothing, whatever happened to the entry since.
 */
#include <inttypes.h>
#include <string.h>
#include <string.h>

#include "base/failure.h"
#include "state/own.h"
#include "state/state.h"
#include "store/names.h"
#include "store/sequencer.h"

/* A clock that is this far behind the scope was set, not nudged. */
#define STATE_CLOCK_CLAMP_US ((int64_t)5 * 60 * 1000000)

/* Revisions beyond this are damage: nobody writes an entry so often. */
#define REVISION_PLAUSIBLE (INT64_MAX / 2)

/* The entry's row, as a change finds it. */
typedef struct state_place {
    bool has_row;
    bool there; /* and not deleted */
    bool damaged;
    int64_t id;
    int64_t revision;
    int64_t updated_at;
} state_place;

/* --- Judging --- */

/* A damaged row may still hold its revision, and its write ids hold theirs: going on beyond both,
 * none is given twice. */
static stele_status mend_revision(stele__connection *connection, state_place *place)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT coalesce(max(revision), 0) FROM state_writes WHERE entry = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, place->id);
    status = stele__statement_step(statement);
    int64_t written = status == STELE_OK ? stele__column_number(statement, 0) : 0;
    stele__statement_end(statement);
    if (place->revision < 0 || place->revision > REVISION_PLAUSIBLE)
        place->revision = 0;
    if (written > place->revision && written <= REVISION_PLAUSIBLE)
        place->revision = written;
    return status;
}

static void take_entry_place(const stele__state_row *row, state_place *place_out)
{
    place_out->has_row = true;
    place_out->there = row->there;
    place_out->id = row->id;
    place_out->revision = row->revision;
    place_out->updated_at = row->updated_at;
}

/* Damage is no failure where the row is to be replaced whatever it is. */
static stele_status find_entry_place(stele__connection *connection,
                                     const stele__state_change *change, state_place *place_out)
{
    stele__state_row row;
    stele__statement *statement = NULL;
    stele_status status =
        stele__state_row_begin(connection, change->scope, change->key, &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        status = stele__state_row_read(connection, statement, &row);
        take_entry_place(&row, place_out);
        place_out->damaged = status == STELE_CORRUPT;
    }
    stele__statement_end(statement);
    if (status != STELE_CORRUPT || !place_out->damaged || change->expected_revision != STELE_ANY)
        return status == STELE_DONE ? STELE_OK : status;
    place_out->there = true;
    return mend_revision(connection, place_out);
}

/* The entry that a write id belongs to. */
static stele_status find_entry_place_at(stele__connection *connection, int64_t id,
                                        state_place *place_out)
{
    stele__state_row row;
    stele__statement *statement = NULL;
    stele_status status = stele__state_row_begin_at(connection, id, &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        status = stele__state_row_read(connection, statement, &row);
        take_entry_place(&row, place_out);
    } else if (status == STELE_DONE) {
        status = stele__fail(STELE_CORRUPT, "its entry is missing");
    }
    stele__statement_end(statement);
    return status;
}

/* The same write id came before: what it did then, or KEY_REUSED. */
static stele_status answer_replay(stele__connection *connection, stele__state_change *change)
{
    bool found = false;
    stele__write_row row;
    state_place place = { 0 };
    if (change->write_id == NULL)
        return STELE_OK;
    stele_status status =
        stele__write_row_find(connection, change->scope, change->write_id, &found, &row);
    if (status != STELE_OK || !found)
        return status;
    if (row.digest != change->digest)
        return stele__fail(STELE_KEY_REUSED,
                           "the write id '%s' of scope '%s' came before with another key, content"
                           " or kind of write",
                           change->write_id, change->scope);
    status = find_entry_place_at(connection, row.entry, &place);
    if (status != STELE_OK)
        return stele__fail_within(status, "the write id '%s' of scope '%s'", change->write_id,
                                  change->scope);
    change->written = (stele_written){
        .revision = row.revision,
        .updated_at = row.written_at,
        .duplicate = true,
        .superseded = place.revision != row.revision,
    };
    return STELE_OK;
}

/* What isn't there can be deleted whatever was expected of it. */
static stele_status check_revision(stele__state_change *change, const state_place *place)
{
    int64_t actual = place->there ? place->revision : STELE_NO_ENTRY;
    if (change->expected_revision == STELE_ANY || change->expected_revision == actual
        || (change->deletion && !place->there))
        return STELE_OK;
    change->written.revision = actual;
    change->written.found = place->there;
    if (change->expected_revision == STELE_NO_ENTRY)
        return stele__fail(STELE_CONFLICT,
                           "the entry '%s' of scope '%s' is at revision %" PRId64 ", expected none",
                           change->key, change->scope, actual);
    if (!place->there)
        return stele__fail(STELE_CONFLICT,
                           "the entry '%s' of scope '%s' isn't there, expected revision %" PRId64,
                           change->key, change->scope, change->expected_revision);
    return stele__fail(STELE_CONFLICT,
                       "the entry '%s' of scope '%s' is at revision %" PRId64 ", expected %" PRId64,
                       change->key, change->scope, actual, change->expected_revision);
}

/* --- Writing --- */

/* The latest time in the scope that isn't beyond `bound`; INT64_MIN when there is none. */
static stele_status find_newest(stele__connection *connection, const char *scope, int64_t bound,
                                int64_t *newest_out)
{
    stele__statement *statement = NULL;
    *newest_out = INT64_MIN;
    stele_status status = stele__statement_begin(connection->database,
                                                 "SELECT updated_at FROM state"
                                                 " WHERE scope = ?1 AND updated_at <= ?2"
                                                 " ORDER BY updated_at DESC LIMIT 1",
                                                 &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, scope);
    stele__bind_number(statement, 2, bound);
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        *newest_out = stele__column_number(statement, 0);
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

static int64_t add_clock_clamp(int64_t time)
{
    return time > INT64_MAX - STATE_CLOCK_CLAMP_US ? INT64_MAX : time + STATE_CLOCK_CLAMP_US;
}

/* What lies further ahead is of a clock that was set back since. It isn't looked at, or it would
 * hide the times that were given after that. */
stele_status stele__state_clock(const stele_store *store, stele__connection *connection,
                                const char *scope, int64_t *time_out)
{
    int64_t newest = INT64_MIN;
    *time_out = stele__store_now(store);
    int64_t bound = add_clock_clamp(*time_out);
    stele_status status = find_newest(connection, scope, bound, &newest);
    /* Times that were given at this very moment may have grown beyond the bound. */
    if (status == STELE_OK && newest == bound)
        status = find_newest(connection, scope, add_clock_clamp(bound), &newest);
    if (status == STELE_OK && newest > INT64_MIN && newest >= *time_out && newest < INT64_MAX)
        *time_out = newest + 1;
    return status;
}

static stele_status write_entry(stele__connection *connection, const stele__state_change *change,
                                state_place *place)
{
    stele__state_row row = {
        .id = place->id,
        .scope = change->scope,
        .key = change->key,
        .revision = place->revision,
        .codec_name = change->codec,
        .updated_at = place->updated_at,
        .there = !change->deletion,
        .data = change->data,
        .data_size = change->data_size,
    };
    if (change->attributes.size > 0) {
        row.attributes = change->attributes.data;
        row.attributes_size = change->attributes.size - 1;
    }
    stele_status status = STELE_OK;
    if (row.there)
        status = stele__name_intern(connection, STELE__CODECS, change->codec, &row.codec);
    if (status == STELE_OK && !place->has_row)
        status = stele__database_number(connection->database,
                                        "SELECT coalesce(max(id), 0) + 1 FROM state", &row.id);
    place->id = row.id;
    stele__state_writing how = !place->has_row  ? STELE__STATE_INSERT
                               : place->damaged ? STELE__STATE_MEND
                                                : STELE__STATE_UPDATE;
    return status == STELE_OK ? stele__state_row_write(connection, &row, how) : status;
}

static stele_status remember_write(stele__connection *connection, const stele__state_change *change,
                                   const state_place *place, int64_t now)
{
    stele__write_row row = {
        .scope = change->scope,
        .write_id = change->write_id,
        .entry = place->id,
        .revision = place->revision,
        .kind = change->deletion ? STELE__WRITE_DELETION : STELE__WRITE_PUT,
        .digest = change->digest,
        .written_at = now,
    };
    return stele__write_row_insert(connection, &row);
}

/* From here on something is written, and a failure means that all must be rolled back. */
static stele_status write_change(const stele_store *store, stele__connection *connection,
                                 stele__state_change *change, state_place *place)
{
    int64_t now = 0;
    bool writes_entry = place->there || !change->deletion;
    stele_status status = stele__state_clock(store, connection, change->scope, &now);
    if (status == STELE_OK && (writes_entry || !place->has_row)) {
        place->revision += writes_entry;
        place->updated_at = now;
        status = write_entry(connection, change, place);
    }
    if (status == STELE_OK && change->write_id != NULL)
        status = remember_write(connection, change, place, now);
    change->written.revision = place->revision;
    change->written.updated_at = now;
    return status;
}

/* Of this file alone. That a projection is kept with every append isn't: each node must know it. */
static bool is_local(const char *scope)
{
    return strncmp(scope, STELE__LOCAL_SCOPES, strlen(STELE__LOCAL_SCOPES)) == 0
           && strcmp(scope, STELE__LOCAL_SCOPES "/inline") != 0;
}

stele_status stele__state_apply(const stele_store *store, stele__connection *connection,
                                stele__state_change *change, bool *changed_out)
{
    state_place place = { 0 };
    *changed_out = false;
    change->written = (stele_written){ 0 };

    stele_status status = STELE_OK;
    if (stele__sequencer_is_there(store) && !is_local(change->scope))
        status = stele__sequencer_check(store, "a change of state entries");
    if (status == STELE_OK)
        status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = answer_replay(connection, change);
    if (status != STELE_OK || change->written.duplicate)
        return status;
    status = find_entry_place(connection, change, &place);
    if (status == STELE_OK)
        status = check_revision(change, &place);
    if (status != STELE_OK)
        return status;
    change->written = (stele_written){
        .revision = place.revision,
        .updated_at = place.updated_at,
        .found = place.there,
    };
    /* The id of a deletion that finds nothing is remembered all the same: coming again, it must not
     * delete what was written since. */
    if (change->deletion && !place.there && change->write_id == NULL)
        return STELE_OK;
    *changed_out = true;
    return write_change(store, connection, change, &place);
}
