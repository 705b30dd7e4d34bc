/*
 * The steps of retention on one stream.
 *
 * What goes with trimmed events: the content of their keys, and what was parked of them. Snapshots
 * stay: they are what a trimmed stream is loaded from.
 */
#include "eventstore/trim.h"

#include <inttypes.h>

#include "base/failure.h"
#include "eventstore/lifecycle.h"
#include "store/sequencer.h"

/* Events whose age is looked at in one read. */
#define AGES_AT_ONCE 50000

/* --- How far --- */

static stele_status find_whether_elsewhere(stele__connection *connection, int64_t stream,
                                           bool *elsewhere_out)
{
    stele__unfinished left = STELE__UNFINISHED_NONE;
    stele__range range;
    bool found = false;
    stele_status status = stele__unfinished_find(connection, stream, &left);
    if (status == STELE_OK)
        status = stele__range_find(connection, stream, &found, &range);
    /* What is only to be dropped from an archive is back here. */
    *elsewhere_out = left == STELE__UNFINISHED_MOVE || left == STELE__UNFINISHED_RETURN
                     || (found && left != STELE__UNFINISHED_DROP);
    return status;
}

static stele_status find_to_trim(stele__connection *connection, const char *name,
                                 const stele__trim_rules *rules, stele__trim *trim)
{
    stele__stream_row row;
    stele_status status = stele__stream_row_find(connection, name, &row);
    if (status == STELE_OK)
        status = find_whether_elsewhere(connection, row.id, &trim->elsewhere);
    if (status != STELE_OK)
        return status;
    int64_t wanted = row.base_version;
    if (rules->max_count > 0 && row.version - rules->max_count > wanted)
        wanted = row.version - rules->max_count;
    if (rules->before_version - 1 > wanted)
        wanted = rules->before_version - 1;
    trim->stream = row.id;
    trim->reached = row.base_version;
    trim->wanted = wanted < row.version ? wanted : row.version;
    return STELE_OK;
}

/* Beyond what other rules let go. `*more_out`: all that were looked at are too old. */
static stele_status scan_ages(stele__connection *connection, int64_t recorded_before,
                              stele__trim *trim, bool *more_out)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "SELECT version, recorded_at FROM events WHERE stream = ?1"
                               " AND version > ?2 ORDER BY version LIMIT ?3",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, trim->stream);
    stele__bind_number(statement, 2, trim->wanted);
    stele__bind_number(statement, 3, AGES_AT_ONCE);
    int count = 0;
    while ((status = stele__statement_step(statement)) == STELE_OK
           && stele__column_number(statement, 1) < recorded_before) {
        trim->wanted = stele__column_number(statement, 0);
        count++;
    }
    stele__statement_end(statement);
    *more_out = count == AGES_AT_ONCE;
    return status < 0 ? status : STELE_OK;
}

stele_status stele__trim_plan(stele_store *store, stele__work *work, const char *name,
                              const stele__trim_rules *rules, stele__trim *trim_out)
{
    bool more = true;
    stele_status status = STELE_OK;
    *trim_out = (stele__trim){ 0 };
    while (status == STELE_OK && more) {
        stele__connection *connection = NULL;
        status = stele__read_begin(store, work->options.wait, &connection);
        if (status != STELE_OK)
            break;
        more = false;
        if (trim_out->stream == 0)
            status = find_to_trim(connection, name, rules, trim_out);
        if (status == STELE_OK && rules->recorded_before != INT64_MIN)
            status = scan_ages(connection, rules->recorded_before, trim_out, &more);
        stele__read_end(store, connection);
        if (status == STELE_OK && more)
            status = stele__work_step(work, 0, 0);
    }
    return status;
}

/* --- One step --- */

/* Inside the transaction: the stream may have changed since the plan. */
static stele_status load_to_trim(stele__connection *connection, stele__trim *trim,
                                 stele__stream_row *row)
{
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__stream_row_load(connection, trim->stream, row);
    if (status == STELE_OK && !row->has_name)
        status = stele__fail(STELE_NOT_FOUND, "the stream was deleted meanwhile");
    if (status == STELE_OK)
        status = find_whether_elsewhere(connection, row->id, &trim->elsewhere);
    if (status == STELE_OK && trim->elsewhere)
        status = stele__fail(STELE_ARCHIVED, "stream '%s' was archived meanwhile", row->name);
    /* Somebody else trims it, too. */
    if (status == STELE_OK && row->base_version > trim->reached)
        trim->reached = row->base_version;
    return status;
}

/* Rows of the step become husks, up to the first that is beyond `highest`. */
static stele_status erase_oldest(stele__connection *connection, const stele__stretch *step,
                                 int64_t highest, const char *name, stele__trim *trim)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < step->count && status == STELE_OK; i++) {
        stele__row row;
        status = stele__step_row_at(connection, step, i, &row);
        if (status != STELE_OK || row.position > highest)
            break;
        if (row.version != trim->reached + 1)
            return stele__fail(STELE_CORRUPT, "version %" PRId64 " of stream '%s' is missing",
                               trim->reached + 1, name);
        trim->reached = row.version;
        trim->events++;
        trim->bytes += row.data_size + row.metadata_size;
        status = stele__row_erase(connection, &row);
    }
    return status;
}

static stele_status delete_parked(stele__connection *connection, int64_t stream, int64_t through)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "DELETE FROM parked WHERE EXISTS (SELECT 1 FROM events e"
                               " WHERE e.position = parked.position AND e.stream = ?1"
                               " AND e.version <= ?2)",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, stream);
    stele__bind_number(statement, 2, through);
    return stele__statement_run(statement);
}

static stele_status note_trimmed(stele_store *store, stele__connection *connection,
                                 stele__stream_row *row, stele__trim *trim)
{
    row->base_version = trim->reached;
    stele_status status = delete_parked(connection, row->id, trim->reached);
    if (status == STELE_OK)
        status = stele__stream_row_save(connection, row);
    if (status == STELE_OK && !trim->logged)
        status = stele__log_trimmed(store, connection, row, trim->wanted);
    trim->logged = true;
    return status;
}

stele_status stele__trim_step(stele_store *store, stele__connection *connection,
                              const stele__work *work, int64_t highest, stele__trim *trim)
{
    stele__stretch step = { 0 };
    stele__stream_row row;
    trim->events = 0;
    trim->bytes = 0;
    stele_status status = stele__sequencer_check(store, "retention");
    if (status == STELE_OK)
        status = load_to_trim(connection, trim, &row);
    if (status == STELE_OK && trim->reached < trim->wanted)
        status = stele__step_read(connection, work, trim->stream, trim->reached, trim->wanted,
                                  STELE__STEP_PRESENT, &step);
    if (status == STELE_OK && trim->reached < trim->wanted && step.count == 0)
        status = stele__fail(STELE_CORRUPT, "version %" PRId64 " of stream '%s' is missing",
                             trim->reached + 1, row.name);
    if (status == STELE_OK)
        status = erase_oldest(connection, &step, highest, row.name, trim);
    if (status == STELE_OK && trim->events > 0)
        status = note_trimmed(store, connection, &row, trim);
    stele__step_dispose(&step);
    return status;
}

stele_status stele__trim_count(stele__connection *connection, const stele__work *work,
                               int64_t highest, stele__trim *trim)
{
    stele__statement *statement = NULL;
    trim->events = 0;
    trim->bytes = 0;
    stele_status status =
        stele__statement_begin(connection->database,
                               "SELECT version, position, coalesce(length(CAST(data AS BLOB)), 0)"
                               " + coalesce(length(CAST(metadata AS BLOB)), 0) FROM events"
                               " WHERE stream = ?1 AND version > ?2 AND version <= ?3"
                               " ORDER BY version LIMIT ?4",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, trim->stream);
    stele__bind_number(statement, 2, trim->reached);
    stele__bind_number(statement, 3, trim->wanted);
    stele__bind_number(statement, 4, work->options.step_count_max);
    while ((status = stele__statement_step(statement)) == STELE_OK
           && stele__column_number(statement, 1) <= highest) {
        trim->reached = stele__column_number(statement, 0);
        trim->events++;
        trim->bytes += (uint64_t)stele__column_number(statement, 2);
    }
    stele__statement_end(statement);
    return status < 0 ? status : STELE_OK;
}
