/*
 * Moving a stream's payloads into another store, in two phases: copied, read back and made whole
 * there, durably; only then replaced by husks here. Every step is a transaction in one of the two
 * files, and finds out by itself what is left to do, so it may be cut anywhere and done again.
 *
 * One transaction over both files, attached to each other, would lose events when the power fails
 * in it: SQLite commits them one after the other.
 */
#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "eventstore/lifecycle.h"

/* What a run knows of the stream. */
typedef struct move_place {
    stele__range range;
    bool done; /* nothing is left of it: somebody else has finished it */
} move_place;

/*
 * Inside a transaction on the source: is it still ours to do? Others may have finished our move,
 * restored the stream and begun another one: nothing of that was copied or compared by us.
 */
static stele_status find_place(stele__connection *connection, int64_t stream,
                               stele__unfinished work, move_place *place)
{
    stele__unfinished now = STELE__UNFINISHED_NONE;
    stele__range range;
    bool found = false;
    stele_status status = stele__unfinished_find(connection, stream, &now);
    if (status == STELE_OK)
        status = stele__range_find(connection, stream, &found, &range);
    if (status != STELE_OK)
        return status;
    bool first = place->range.move[0] == '\0';
    place->done = now != work || !found || (!first && strcmp(place->range.move, range.move) != 0);
    if (first && found)
        place->range = range;
    return STELE_OK;
}

static stele_status look_at_place(stele_store *store, int64_t stream, stele__unfinished work,
                                  const stele_wait *wait, move_place *place)
{
    stele__connection *connection = NULL;
    stele_status status = stele__read_begin(store, wait, &connection);
    if (status != STELE_OK)
        return status;
    status = find_place(connection, stream, work, place);
    stele__read_end(store, connection);
    return status;
}

/* The next rows that are to be copied. */
static stele_status read_step(stele_store *store, const stele__work *work, int64_t stream,
                              int64_t after, move_place *place, stele__stretch *step)
{
    stele__connection *connection = NULL;
    step->count = 0;
    stele_status status = stele__read_begin(store, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = find_place(connection, stream, STELE__UNFINISHED_MOVE, place);
    if (status == STELE_OK && !place->done)
        status = stele__step_read(connection, work, stream, after, place->range.last_version,
                                  STELE__STEP_PRESENT, step);
    stele__read_end(store, connection);
    return status;
}

/* The names of a step's rows are the source's: looked up there, they are borrowed one by one. */
static stele_status write_step(stele_store *store, stele_store *archive, const stele__work *work,
                               const stele__range *range, const stele__stretch *step)
{
    stele__connection *source = NULL;
    stele__connection *target = NULL;
    stele__kept kept;
    stele_status status = stele__read_begin(store, work->options.wait, &source);
    if (status != STELE_OK)
        return status;
    status = stele__names_begin(source);
    if (status == STELE_OK)
        status = stele__write_begin_durably(archive, work->options.wait, &target);
    if (status == STELE_OK) {
        status = stele__kept_load(target, range->move, &kept);
        for (size_t i = 0; i < step->count && status == STELE_OK; i++) {
            stele__row row;
            status = stele__step_row_at(source, step, i, &row);
            if (status == STELE_OK)
                status = stele__kept_insert(target, kept.id, &row);
        }
        if (status == STELE_OK)
            status = stele__write_commit(archive);
        stele__write_end(archive);
    }
    if (status < 0 && status != STELE_NOT_FOUND)
        stele__fail_within(status, "copying to '%s'", archive->path);
    stele__read_end(store, source);
    return status;
}

static stele_status find_copied(stele_store *archive, const stele__work *work,
                                const stele__range *range, int64_t *after_out, bool *whole_out)
{
    stele__connection *connection = NULL;
    stele__kept kept;
    *after_out = 0;
    *whole_out = false;
    stele_status status = stele__read_begin(archive, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__kept_load(connection, range->move, &kept);
    if (status == STELE_OK) {
        *whole_out = kept.state == STELE__KEPT_WHOLE;
        status = stele__kept_last(connection, kept.id, after_out);
    }
    stele__read_end(archive, connection);
    return status;
}

static stele_status copy_rows(stele_store *store, stele_store *archive, int64_t stream,
                              stele__work *work, int64_t after, move_place *place)
{
    stele__stretch step = { 0 };
    stele_status status = STELE_OK;
    stele__work_part(work, "copying",
                     (uint64_t)(place->range.last_version - place->range.first_version + 1));
    while (status == STELE_OK && !place->done) {
        status = read_step(store, work, stream, after, place, &step);
        if (status != STELE_OK || place->done || step.count == 0)
            break;
        status = write_step(store, archive, work, &place->range, &step);
        after = step.after;
        if (status == STELE_OK)
            status = stele__work_step(work, step.count, step.bytes.size);
    }
    stele__step_dispose(&step);
    return status;
}

/* Read back what was copied: each row is whole, and has the hash of the one here. */
static stele_status compare_step(stele_store *archive, const stele__work *work,
                                 const stele__range *range, const stele__stretch *step)
{
    stele__connection *connection = NULL;
    stele__kept kept;
    stele_status status = stele__read_begin(archive, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__kept_load(connection, range->move, &kept);
    for (size_t i = 0; i < step->count && status == STELE_OK; i++) {
        stele__step_row entry;
        stele__row there;
        stele__statement *statement = NULL;
        memcpy(&entry, step->rows.data + i * sizeof(entry), sizeof(entry));
        status = stele__kept_fetch(connection, kept.id, entry.row.version, entry.row.payload_hash,
                                   &statement, &there);
        stele__statement_end(statement);
        if (status == STELE_NOT_FOUND)
            status = stele__fail_within(STELE_CORRUPT, "what was copied");
    }
    stele__read_end(archive, connection);
    return status;
}

static stele_status compare_rows(stele_store *store, stele_store *archive, int64_t stream,
                                 stele__work *work, move_place *place)
{
    stele__stretch step = { 0 };
    stele_status status = STELE_OK;
    int64_t after = 0;
    stele__work_part(work, "comparing",
                     (uint64_t)(place->range.last_version - place->range.first_version + 1));
    while (status == STELE_OK && !place->done) {
        status = read_step(store, work, stream, after, place, &step);
        if (status != STELE_OK || place->done || step.count == 0)
            break;
        status = compare_step(archive, work, &place->range, &step);
        after = step.after;
        if (status == STELE_OK)
            status = stele__work_step(work, step.count, step.bytes.size);
    }
    stele__step_dispose(&step);
    return status;
}

static stele_status load_moving_stream(stele_store *store, const stele__work *work, int64_t stream,
                                       stele__stream_row *row)
{
    stele__connection *connection = NULL;
    stele_status status = stele__read_begin(store, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__stream_row_load(connection, stream, row);
    stele__read_end(store, connection);
    return status;
}

/* Only now the archive gets the name of the stream: see register_move(). */
static stele_status make_whole(stele_store *store, stele_store *archive, int64_t stream,
                               const stele__work *work, const stele__range *range)
{
    stele__connection *connection = NULL;
    stele__stream_row row;
    stele__kept kept;
    stele_status status = load_moving_stream(store, work, stream, &row);
    if (status == STELE_OK)
        status = stele__write_begin_durably(archive, work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__kept_load(connection, range->move, &kept);
    if (status == STELE_OK) {
        kept.state = STELE__KEPT_WHOLE;
        kept.first_version = range->first_version;
        kept.last_version = range->last_version;
        memcpy(kept.name, row.name, sizeof(kept.name));
        status = stele__kept_save(connection, &kept);
    }
    if (status == STELE_OK)
        status = stele__write_commit(archive);
    stele__write_end(archive);
    return status;
}

/* Replace the next rows by husks; the last step ends the work. Inside a transaction. */
static stele_status husk_step(stele_store *store, stele__connection *connection,
                              const stele__work *work, int64_t stream, int64_t after,
                              move_place *place, stele__stretch *step)
{
    stele_status status = find_place(connection, stream, STELE__UNFINISHED_MOVE, place);
    if (status == STELE_OK && !place->done)
        status = stele__step_read(connection, work, stream, after, place->range.last_version,
                                  STELE__STEP_PRESENT, step);
    if (status != STELE_OK || place->done)
        return status;
    for (size_t i = 0; i < step->count && status == STELE_OK; i++) {
        stele__row row;
        status = stele__step_row_at(connection, step, i, &row);
        if (status == STELE_OK)
            status = stele__row_archive(connection, &row);
    }
    if (status == STELE_OK && step->count == 0)
        status = stele__unfinished_set(store, connection, stream, STELE__UNFINISHED_NONE);
    return status;
}

static stele_status husk_rows(stele_store *store, int64_t stream, stele__work *work,
                              move_place *place, stele_changed *changed)
{
    stele__stretch step = { 0 };
    int64_t after = 0;
    bool more = true;
    stele_status status =
        stele__step_first(store, work->options.wait, stream, STELE__RECORD_HUSK, &after);
    stele__work_part(work, "replacing",
                     (uint64_t)(place->range.last_version - place->range.first_version + 1));
    while (status == STELE_OK && more) {
        stele__connection *connection = NULL;
        status = stele__write_begin_durably(store, work->options.wait, &connection);
        if (status != STELE_OK)
            break;
        step.count = 0;
        status = husk_step(store, connection, work, stream, after, place, &step);
        if (status == STELE_OK && !place->done)
            status = stele__write_commit(store);
        stele__write_end(store);
        more = status == STELE_OK && step.count > 0;
        after = step.after;
        if (!more)
            break;
        changed->events += (int64_t)step.count;
        changed->bytes += (int64_t)step.bytes.size;
        status = stele__work_step(work, step.count, step.bytes.size);
    }
    stele__step_dispose(&step);
    return status;
}

/* An archive that has forgotten the move was told to: unless nobody can have, it isn't ours. */
static stele_status judge_forgotten(stele_store *store, int64_t stream, const stele__work *work,
                                    move_place *place)
{
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    stele_status status =
        look_at_place(store, stream, STELE__UNFINISHED_MOVE, work->options.wait, place);
    if (status != STELE_OK || place->done)
        return status;
    stele__restore_error(error);
    return stele__fail_within(STELE_CORRUPT, "can't move stream %" PRId64, stream);
}

stele_status stele__move_run(stele_store *store, stele_store *archive, int64_t stream,
                             stele__work *work, stele_changed *changed)
{
    move_place place = { 0 };
    int64_t after = 0;
    bool whole = false;
    work->other = archive;
    stele_status status =
        look_at_place(store, stream, STELE__UNFINISHED_MOVE, work->options.wait, &place);
    if (status == STELE_OK && !place.done)
        status = find_copied(archive, work, &place.range, &after, &whole);
    if (status == STELE_OK && !place.done && !whole) {
        status = copy_rows(store, archive, stream, work, after, &place);
        if (status == STELE_OK && !place.done)
            status = compare_rows(store, archive, stream, work, &place);
        if (status == STELE_OK && !place.done)
            status = make_whole(store, archive, stream, work, &place.range);
    }
    if (status == STELE_OK && !place.done)
        status = husk_rows(store, stream, work, &place, changed);
    if (status == STELE_NOT_FOUND)
        status = judge_forgotten(store, stream, work, &place);
    work->other = NULL;
    return status;
}
