/* Bringing a stream's payloads back from an archive, and dropping the copies there afterwards. */
#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "base/platform.h"
#include "eventstore/lifecycle.h"

/*
 * Inside a transaction: whether the payloads are still to be brought back, and from where. A range
 * whose move is set already must be found again: others may have brought everything back, and
 * moved it to somewhere else.
 */
static stele_status find_return(stele__connection *connection, int64_t stream, bool *ours_out,
                                stele__range *range)
{
    stele__unfinished work = STELE__UNFINISHED_NONE;
    stele__range now;
    stele_status status = stele__unfinished_find(connection, stream, &work);
    *ours_out = false;
    if (status == STELE_OK && work == STELE__UNFINISHED_RETURN)
        status = stele__range_find(connection, stream, ours_out, &now);
    if (status != STELE_OK || !*ours_out)
        return status;
    if (range->move[0] == '\0')
        *range = now;
    *ours_out = strcmp(range->move, now.move) == 0;
    return STELE_OK;
}

/* The husks that are next. */
static stele_status read_husks(stele_store *store, const stele__work *work, int64_t stream,
                               int64_t after, bool *ours_out, stele__range *range,
                               stele__stretch *husks)
{
    stele__connection *connection = NULL;
    husks->count = 0;
    stele_status status = stele__read_begin(store, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = find_return(connection, stream, ours_out, range);
    if (status == STELE_OK && *ours_out)
        status = stele__step_read(connection, work, stream, after, range->last_version,
                                  STELE__STEP_ARCHIVED, husks);
    stele__read_end(store, connection);
    return status;
}

static stele_status fetch_payload(stele__connection *connection, int64_t kept,
                                  stele__step_row *entry, stele__buffer *bytes)
{
    stele__row there;
    stele__statement *statement = NULL;
    stele_status status = stele__kept_fetch(connection, kept, entry->row.version,
                                            entry->row.payload_hash, &statement, &there);
    if (status == STELE_OK) {
        entry->data_at = bytes->size;
        entry->row.data_size = there.data_size;
        status = stele__buffer_add(bytes, there.data, there.data_size);
    }
    if (status == STELE_OK) {
        entry->metadata_at = bytes->size;
        entry->row.metadata_size = there.metadata_size;
        status = stele__buffer_add(bytes, there.metadata, there.metadata_size);
    }
    stele__statement_end(statement);
    return status;
}

/* Put the payloads from the archive into the step: of as many husks as its size allows. */
static stele_status fetch_payloads(stele_store *archive, const stele__work *work,
                                   const stele__range *range, stele__stretch *husks)
{
    stele__connection *connection = NULL;
    stele__kept kept;
    stele_status status = stele__read_begin(archive, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__kept_load(connection, range->move, &kept);
    size_t i = 0;
    for (;
         i < husks->count && husks->bytes.size < work->options.step_size_max && status == STELE_OK;
         i++) {
        stele__step_row entry;
        memcpy(&entry, husks->rows.data + i * sizeof(entry), sizeof(entry));
        status = fetch_payload(connection, kept.id, &entry, &husks->bytes);
        memcpy(husks->rows.data + i * sizeof(entry), &entry, sizeof(entry));
        husks->after = entry.row.version;
    }
    husks->count = i;
    stele__read_end(archive, connection);
    return status;
}

/* The payload takes the husk's place, if that is still there. */
static stele_status fill_husk(stele__connection *connection, const stele__stretch *step,
                              size_t index)
{
    stele__row row;
    stele_status status = stele__step_row_at(connection, step, index, &row);
    stele__statement *statement = NULL;
    if (status == STELE_OK)
        status = stele__statement_begin(
            connection->database, "SELECT flags & 3 FROM events WHERE position = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, row.position);
    status = stele__statement_step(statement);
    bool husk = status == STELE_OK && stele__column_number(statement, 0) == STELE_RECORD_ARCHIVED;
    stele__statement_end(statement);
    if (status < 0 || !husk)
        return status < 0 ? status : STELE_OK;
    row.flags &= ~STELE__RECORD_HUSK;
    return stele__row_replace(connection, &row);
}

static stele_status fill_husks(stele_store *store, const stele__work *work, int64_t stream,
                               stele__range *range, const stele__stretch *step, bool *ours_out)
{
    stele__connection *connection = NULL;
    stele_status status = stele__write_begin_durably(store, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = find_return(connection, stream, ours_out, range);
    for (size_t i = 0; i < step->count && *ours_out && status == STELE_OK; i++)
        status = fill_husk(connection, step, i);
    if (status == STELE_OK && *ours_out)
        status = stele__write_commit(store);
    stele__write_end(store);
    return status;
}

/* All are back: the stream opens again, and the copies are of no use any more. */
static stele_status end_return(stele_store *store, const stele__work *work, int64_t stream,
                               stele__range *range, stele_changed *changed)
{
    stele__connection *connection = NULL;
    stele__stream_row row;
    bool ours = false;
    stele_status status = stele__write_begin_durably(store, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = find_return(connection, stream, &ours, range);
    if (status == STELE_OK && ours) {
        status = stele__stream_row_load(connection, stream, &row);
        row.state = STELE_STREAM_ACTIVE;
        row.has_reason = false;
        row.changed_at = stele__store_now(store);
        if (status == STELE_OK)
            status = stele__stream_row_save(connection, &row);
        if (status == STELE_OK)
            status = stele__log_change(store, connection, "stream-restored", &row, NULL,
                                       &changed->position);
        if (status == STELE_OK)
            status = stele__unfinished_set(store, connection, stream, STELE__UNFINISHED_DROP);
        if (status == STELE_OK)
            status = stele__write_commit(store);
        changed->changed |= status == STELE_OK;
    }
    stele__write_end(store);
    return status;
}

/* What isn't in the archive may have been brought back by somebody else just now. */
static stele_status judge_missing(stele_store *store, const stele__work *work, int64_t stream,
                                  stele__range *range)
{
    char error[STELE__ERROR_SIZE];
    stele__connection *connection = NULL;
    bool ours = false;
    stele__keep_error(error);
    stele_status status = stele__read_begin(store, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = find_return(connection, stream, &ours, range);
    stele__read_end(store, connection);
    if (status != STELE_OK || !ours)
        return status;
    stele__restore_error(error);
    return stele__fail_within(STELE_CORRUPT, "can't restore stream %" PRId64, stream);
}

stele_status stele__return_run(stele_store *store, stele_store *archive, int64_t stream,
                               stele__work *work, stele_changed *changed)
{
    stele__stretch step = { 0 };
    stele__range range = { 0 };
    bool ours = true;
    int64_t after = 0;
    stele_status status = STELE_OK;
    stele__work_part(work, "bringing back", 0);
    work->other = archive;
    while (status == STELE_OK && ours) {
        status = read_husks(store, work, stream, after, &ours, &range, &step);
        if (status != STELE_OK || !ours || step.count == 0)
            break;
        work->progress.total = (uint64_t)(range.last_version - range.first_version + 1);
        status = fetch_payloads(archive, work, &range, &step);
        if (status == STELE_NOT_FOUND) {
            status = judge_missing(store, work, stream, &range);
            break;
        }
        if (status == STELE_OK)
            status = fill_husks(store, work, stream, &range, &step, &ours);
        if (status != STELE_OK || !ours)
            break;
        after = step.after;
        changed->changed = true;
        changed->events += (int64_t)step.count;
        changed->bytes += (int64_t)step.bytes.size;
        status = stele__work_step(work, step.count, step.bytes.size);
    }
    stele__step_dispose(&step);
    work->other = NULL;
    if (status == STELE_OK && ours)
        status = end_return(store, work, stream, &range, changed);
    return status;
}

/* --- The copies that are left in the archive --- */

/* One step; `*done_out` when the archive knows nothing of the move any more. */
static stele_status drop_step(stele_store *archive, stele__work *work, const char *move,
                              bool *done_out, uint64_t *events_out, uint64_t *bytes_out)
{
    stele__connection *connection = NULL;
    stele__kept kept;
    bool found = false;
    stele_status status = stele__write_begin_durably(archive, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__kept_find(connection, move, &found, &kept);
    /* From here on it is not whole, and nobody is to be surprised. */
    if (status == STELE_OK && found && kept.state != STELE__KEPT_DROPPING) {
        kept.state = STELE__KEPT_DROPPING;
        status = stele__kept_save(connection, &kept);
    }
    if (status == STELE_OK && found)
        status = stele__kept_drop_step(connection, work, kept.id, events_out, bytes_out);
    if (status == STELE_OK && found && *events_out == 0)
        status = stele__kept_forget(connection, kept.id);
    if (status == STELE_OK && found)
        status = stele__write_commit(archive);
    stele__write_end(archive);
    *done_out = status == STELE_OK && (!found || *events_out == 0);
    return status;
}

static stele_status end_drop(stele_store *store, const stele__work *work, int64_t stream,
                             const char *move)
{
    stele__connection *connection = NULL;
    stele__unfinished now = STELE__UNFINISHED_NONE;
    stele__range range;
    bool found = false;
    stele_status status = stele__write_begin_durably(store, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__unfinished_find(connection, stream, &now);
    if (status == STELE_OK)
        status = stele__range_find(connection, stream, &found, &range);
    bool ours = status == STELE_OK && now == STELE__UNFINISHED_DROP && found
                && strcmp(range.move, move) == 0;
    if (ours)
        status = stele__range_delete(connection, stream);
    if (ours && status == STELE_OK)
        status = stele__unfinished_set(store, connection, stream, STELE__UNFINISHED_NONE);
    if (ours && status == STELE_OK)
        status = stele__write_commit(store);
    stele__write_end(store);
    return status;
}

stele_status stele__drop_run(stele_store *store, stele_store *archive, int64_t stream,
                             stele__work *work)
{
    stele__connection *connection = NULL;
    stele__unfinished now = STELE__UNFINISHED_NONE;
    stele__range range;
    bool found = false;
    bool done = false;
    stele_status status = stele__read_begin(store, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__unfinished_find(connection, stream, &now);
    if (status == STELE_OK)
        status = stele__range_find(connection, stream, &found, &range);
    stele__read_end(store, connection);
    if (status != STELE_OK || now != STELE__UNFINISHED_DROP || !found)
        return status;
    /* Others may have moved the stream to another archive, and back: what is left there is theirs.
     */
    if (strcmp(range.uuid, archive->uuid) != 0)
        return STELE_OK;
    stele__work_part(work, "dropping copies",
                     (uint64_t)(range.last_version - range.first_version + 1));
    work->other = archive;
    while (status == STELE_OK && !done) {
        uint64_t events = 0;
        uint64_t bytes = 0;
        status = drop_step(archive, work, range.move, &done, &events, &bytes);
        if (status == STELE_OK && !done)
            status = stele__work_step(work, events, bytes);
    }
    work->other = NULL;
    return status == STELE_OK ? end_drop(store, work, stream, range.move) : status;
}
