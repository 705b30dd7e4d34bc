/*
 * The public calls that delete a stream: one commit frees its name, then its payloads are erased.
 *
 * What goes with a stream, in one place: its name, reason and tombstone (free_name), its snapshots
 * and what was parked of it (delete_dependents), what is folded of it in memory
 * (stele__store_forget()), its payloads and the content of its keys (erase.c), and their copies in
 * an archive (stele__drop_run()).
 */
#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "base/options.h"
#include "eventstore/states.h"

void stele_delete_init(stele_delete *what)
{
    *what = (stele_delete)STELE_DELETE_INIT;
}

static stele_status check_delete(const stele_delete *given, stele_delete *taken)
{
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "what to delete is NULL");
    stele_status status = stele__options_take("stele_delete", given, taken, sizeof(*taken));
    return status == STELE_OK ? stele__check_change(taken->stream, taken->expected_version)
                              : status;
}

static stele_status run_with_stream(stele__connection *connection, const char *sql, int64_t stream)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(connection->database, sql, &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, stream);
    return stele__statement_run(statement);
}

static stele_status delete_dependents(stele__connection *connection, int64_t stream)
{
    stele_status status =
        run_with_stream(connection, "DELETE FROM snapshots WHERE stream = ?1", stream);
    if (status == STELE_OK)
        status = run_with_stream(connection,
                                 "DELETE FROM parked WHERE EXISTS (SELECT 1 FROM events e"
                                 " WHERE e.position = parked.position AND e.stream = ?1)",
                                 stream);
    return status;
}

/* Readers that remember names by id look at this number. */
static stele_status count_deletion(stele__connection *connection)
{
    int64_t deletions = 0;
    char text[24];
    stele_status status = stele__database_number(
        connection->database, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'deletions'",
        &deletions);
    snprintf(text, sizeof(text), "%" PRId64, deletions + 1);
    return status == STELE_OK ? stele__meta_write(connection->database, "deletions", text) : status;
}

/* The first commit. Inside a transaction; from here on there is something to roll back. */
static stele_status free_name(stele_store *store, stele__connection *connection,
                              stele__stream_row *row, stele_changed *changed)
{
    stele_status checked = stele__sequencer_check(store, "a deletion");
    if (checked != STELE_OK)
        return checked;
    row->has_name = false;
    row->has_reason = false;
    row->state = STELE__STREAM_DELETING;
    row->changed_at = stele__store_now(store);
    stele_status status = delete_dependents(connection, row->id);
    if (status == STELE_OK)
        status = stele__stream_row_save(connection, row);
    if (status == STELE_OK)
        status =
            stele__log_change(store, connection, "stream-deleted", row, NULL, &changed->position);
    if (status == STELE_OK)
        status = count_deletion(connection);
    if (status == STELE_OK)
        status = stele__unfinished_set(store, connection, row->id, STELE__UNFINISHED_ERASE);
    changed->changed = status == STELE_OK;
    return status;
}

/* Whether copies of the stream's payloads are in an archive. */
static stele_status find_stream(stele__connection *connection, const stele_delete *what,
                                stele__stream_row *row, bool *moved_out, stele__range *range,
                                stele_changed *changed)
{
    stele_status status =
        stele__find_to_change(connection, what->stream, what->expected_version, row, changed);
    return status == STELE_OK ? stele__range_find(connection, row->id, moved_out, range) : status;
}

/* Before anything is changed: the stream, and the archive that is needed. */
static stele_status look_before_delete(stele_store *store, const stele_delete *what,
                                       const stele_wait *wait, stele__range *range,
                                       stele__archive_handle *handle, stele_changed *changed)
{
    stele__connection *connection = NULL;
    stele__stream_row row;
    bool moved = false;
    *handle = (stele__archive_handle){ 0 };
    stele_status status = stele__read_begin(store, wait, &connection);
    if (status != STELE_OK)
        return status;
    status = find_stream(connection, what, &row, &moved, range, changed);
    if (status == STELE_OK && what->dry_run)
        status = stele__count_payloads(connection, row.id, STELE_RECORD_ERASED, changed);
    stele__read_end(store, connection);
    if (status == STELE_OK && moved)
        status = stele__archive_expect(what->archive, range);
    if (status == STELE_OK && moved)
        status = stele__archive_open(store, range, what->archive,
                                     row.state != STELE_STREAM_ARCHIVED, handle);
    if (status == STELE_OK && handle->store != NULL)
        status = stele__write_check(handle->store);
    if (status == STELE_OK && moved && handle->store == NULL && !what->leave_archived)
        status = stele__archive_missing(row.name, range);
    return status;
}

/* `*sequenced_out`: nothing was done, a sequencer has just come. */
static stele_status begin_delete(stele_store *store, const stele_delete *what,
                                 const stele_wait *wait, const stele__range *seen, bool has_archive,
                                 int64_t *id_out, bool *sequenced_out, stele_changed *changed)
{
    stele__connection *connection = NULL;
    stele__stream_row row;
    stele__range range;
    bool moved = false;
    stele_status status = stele__write_begin_durably(store, wait, &connection);
    if (status != STELE_OK)
        return status;
    *sequenced_out = stele__sequencer_is_there(store);
    if (*sequenced_out) {
        stele__write_end(store);
        return STELE_OK;
    }
    status = find_stream(connection, what, &row, &moved, &range, changed);
    /* It was moved since we looked for its archive. */
    if (status == STELE_OK && moved && !what->leave_archived
        && (!has_archive || strcmp(seen->move, range.move) != 0))
        status = stele__archive_missing(row.name, &range);
    if (status == STELE_OK)
        status = free_name(store, connection, &row, changed);
    if (status == STELE_OK)
        status = stele__write_commit(store);
    stele__write_end(store);
    changed->changed &= status == STELE_OK;
    *id_out = row.id;
    if (changed->changed || status == STELE_UNKNOWN_OUTCOME)
        stele__store_forget(store, row.id);
    return status;
}

static stele_status finish_delete(stele_store *store, stele_store *archive, bool now,
                                  int64_t stream, stele__work *work, stele_changed *changed)
{
    stele_status status = stele__erase_run(store, stream, work, changed);
    if (status == STELE_OK && archive != NULL)
        status = stele__drop_run(store, archive, stream, work);
    if (status == STELE_OK && now)
        status = stele__store_scrub(store, work);
    if (status == STELE_OK && now && archive != NULL)
        status = stele__store_scrub(archive, work);
    return status;
}

/* Whether copies are left that could not be reached. */
static stele_status look_after_delete(stele_store *store, int64_t stream, stele_changed *changed)
{
    stele__connection *connection = NULL;
    stele__unfinished left = STELE__UNFINISHED_NONE;
    stele_status status = stele__read_begin(store, NULL, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__unfinished_find(connection, stream, &left);
    stele__read_end(store, connection);
    changed->finished = status == STELE_OK && left == STELE__UNFINISHED_NONE;
    return status;
}

/* Which stream the event in `$stele` at `position` tells of. */
static stele_status find_deleted(stele_store *store, const stele_wait *wait, int64_t position,
                                 int64_t *id_out)
{
    stele__connection *connection = NULL;
    stele__statement *statement = NULL;
    stele_status status = stele__read_begin(store, wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__statement_begin(connection->database,
                                    "SELECT data FROM events WHERE position = ?1", &statement);
    if (status == STELE_OK) {
        stele__bind_number(statement, 1, position);
        status = stele__statement_step(statement);
    }
    const char *data = status == STELE_OK ? stele__column_text(statement, 0) : NULL;
    if (status == STELE_DONE
        || (status == STELE_OK
            && (data == NULL || !stele__take_text(&data, "{\"stream_id\":")
                || !stele__take_number(&data, id_out))))
        status = stele__fail(STELE_CORRUPT,
                             "the event at position %" PRId64 " is none of a"
                             " deletion",
                             position);
    stele__statement_end(statement);
    stele__read_end(store, connection);
    return status;
}

/* The name is gone by a frame. The rest is work of this file alone, as it is at every other node.
 */
static stele_status finish_proposed(stele_store *store, const stele_delete *what, stele__work *work,
                                    stele_changed *changed)
{
    int64_t id = 0;
    stele_status status = find_deleted(store, work->options.wait, changed->position, &id);
    if (status == STELE_OK) {
        stele__store_forget(store, id);
        status = finish_delete(store, NULL, what->now, id, work, changed);
    }
    return status == STELE_OK ? look_after_delete(store, id, changed) : status;
}

static stele_status delete_stream(stele_store *store, const stele_delete *what,
                                  stele_changed *changed)
{
    stele__work work;
    stele__range range = { 0 };
    stele__archive_handle handle = { 0 };
    int64_t id = 0;
    stele_status status = stele__write_check(store);
    if (status == STELE_OK)
        status = stele__work_begin(&work, store, what->work);
    bool taken = false;
    bool sequenced = false;
    if (status == STELE_OK && !what->dry_run)
        status = stele__propose_state(store, STELE__CHANGE_DELETE, what, work.options.wait, changed,
                                      &taken);
    if (status == STELE_OK && taken)
        status = finish_proposed(store, what, &work, changed);
    if (taken)
        return status;
    if (status == STELE_OK)
        status = look_before_delete(store, what, work.options.wait, &range, &handle, changed);
    if (status == STELE_OK && !what->dry_run) {
        status = begin_delete(store, what, work.options.wait, &range, handle.store != NULL, &id,
                              &sequenced, changed);
        if (status == STELE_OK && !sequenced)
            status = finish_delete(store, handle.store, what->now, id, &work, changed);
        if (status == STELE_OK && !sequenced)
            status = look_after_delete(store, id, changed);
    }
    stele__archive_close(&handle);
    if (!sequenced)
        return status;
    *changed = (stele_changed){ 0 };
    return delete_stream(store, what, changed);
}

stele_status stele_store_delete(stele_store *store, const stele_delete *what,
                                stele_changed *changed_out)
{
    stele_delete taken = STELE_DELETE_INIT;
    stele_changed changed = { 0 };
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = check_delete(what, &taken);
    if (status == STELE_OK)
        status = delete_stream(store, &taken, &changed);
    stele__store_leave(store);
    stele__report_change(status, &changed, changed_out);
    return status;
}

static stele_status delete_in_transaction(stele_store *store, stele__connection *connection,
                                          const stele_delete *what, stele_changed *changed,
                                          bool *written_out)
{
    stele__stream_row row;
    stele__range range;
    bool moved = false;
    stele_status status = find_stream(connection, what, &row, &moved, &range, changed);
    if (status == STELE_OK && moved && !what->leave_archived)
        status = stele__archive_missing(row.name, &range);
    if (status == STELE_OK && what->dry_run)
        status = stele__count_payloads(connection, row.id, STELE_RECORD_ERASED, changed);
    if (status != STELE_OK || what->dry_run)
        return status;
    *written_out = true;
    status = free_name(store, connection, &row, changed);
    if (status == STELE_OK && store->transaction != NULL) /* of a frame that a group applies: it */
        store->transaction->deletes = true;               /* tells by itself */
    return status;
}

stele_status stele_transaction_delete(stele_transaction *transaction, const stele_delete *what,
                                      stele_changed *changed_out)
{
    stele_delete taken = STELE_DELETE_INIT;
    stele_changed changed = { 0 };
    stele__connection *connection = NULL;
    bool written = false;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = check_delete(what, &taken);
    if (status == STELE_OK && (taken.archive != NULL || taken.work != NULL || taken.now))
        status = stele__fail(STELE_MISUSE, "deleting with `%s` inside a transaction",
                             taken.archive != NULL ? "archive"
                             : taken.now           ? "now"
                                                   : "work");
    if (status == STELE_OK)
        status = delete_in_transaction(transaction->store, connection, &taken, &changed, &written);
    if (status != STELE_OK)
        stele__transaction_failed(transaction, status, written);
    stele__transaction_leave(transaction);
    stele__report_change(status, &changed, changed_out);
    return status;
}
