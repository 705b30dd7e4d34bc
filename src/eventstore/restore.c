/* The public calls that restore a stream. */
#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "base/options.h"
#include "eventstore/states.h"

void stele_restore_init(stele_restore *restore)
{
    *restore = (stele_restore)STELE_RESTORE_INIT;
}

static stele_status check_restore(const stele_restore *given, stele_restore *taken)
{
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "the restore is NULL");
    stele_status status = stele__options_take("stele_restore", given, taken, sizeof(*taken));
    return status == STELE_OK ? stele__check_change(taken->stream, taken->expected_version)
                              : status;
}

/* Where the payloads of the stream are: `*moved_out` false when they are in place. Copies that are
 * left of an earlier stay there are nobody's concern while the stream is archived in place. */
static stele_status find_moved(stele_store *store, const stele_restore *restore,
                               const stele_wait *wait, bool *moved_out, stele__stream_row *row,
                               stele__range *range, stele_changed *changed)
{
    stele__connection *connection = NULL;
    stele__unfinished work = STELE__UNFINISHED_NONE;
    *moved_out = false;
    stele_status status = stele__read_begin(store, wait, &connection);
    if (status != STELE_OK)
        return status;
    status =
        stele__find_to_change(connection, restore->stream, restore->expected_version, row, changed);
    if (status == STELE_OK)
        status = stele__refuse_tombstoned(row);
    if (status == STELE_OK)
        status = stele__range_find(connection, row->id, moved_out, range);
    if (status == STELE_OK)
        status = stele__unfinished_find(connection, row->id, &work);
    if (work == STELE__UNFINISHED_DROP && row->state == STELE_STREAM_ARCHIVED)
        *moved_out = false;
    stele__read_end(store, connection);
    return status;
}

/* From moved, or on the way there, to on the way back. */
static stele_status mark_returning(stele_store *store, const stele_restore *restore,
                                   const stele_wait *wait, const stele__range *range,
                                   stele_changed *changed)
{
    stele__connection *connection = NULL;
    stele__stream_row row;
    stele__range now;
    stele__unfinished work = STELE__UNFINISHED_NONE;
    bool moved = false;
    stele_status status = stele__write_begin_durably(store, wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__sequencer_check(store, "restoring from another store");
    if (status == STELE_OK)
        status = stele__find_to_change(connection, restore->stream, restore->expected_version, &row,
                                       changed);
    if (status == STELE_OK)
        status = stele__range_find(connection, row.id, &moved, &now);
    if (status == STELE_OK)
        status = stele__unfinished_find(connection, row.id, &work);
    bool ours = status == STELE_OK && moved && strcmp(now.move, range->move) == 0
                && (work == STELE__UNFINISHED_NONE || work == STELE__UNFINISHED_MOVE);
    if (ours)
        status = stele__unfinished_set(store, connection, row.id, STELE__UNFINISHED_RETURN);
    if (ours && status == STELE_OK)
        status = stele__write_commit(store);
    changed->changed = ours && status == STELE_OK;
    stele__write_end(store);
    return status;
}

static stele_status restore_moved(stele_store *store, const stele_restore *restore,
                                  stele__work *work, const stele__stream_row *row,
                                  const stele__range *range, stele_changed *changed)
{
    const stele_wait *wait = work->options.wait;
    stele__archive_handle handle;
    if (restore->dry_run && row->state == STELE_STREAM_ARCHIVED)
        changed->events = range->last_version - range->first_version + 1;
    if (restore->dry_run)
        return STELE_OK;
    stele_status status = stele__archive_expect(restore->from, range);
    if (status != STELE_OK)
        return status;
    status = stele__archive_open(store, range, restore->from, row->state == STELE_STREAM_ACTIVE,
                                 &handle);
    if (status == STELE_OK && handle.store == NULL && row->state == STELE_STREAM_ACTIVE)
        return STELE_OK; /* it is back: only copies are left, out of reach */
    if (status == STELE_OK && handle.store == NULL)
        return stele__archive_missing(row->name, range);
    if (status == STELE_OK)
        status = stele__write_check(handle.store);
    if (status == STELE_OK)
        status = mark_returning(store, restore, wait, range, changed);
    if (status == STELE_OK)
        status = stele__return_run(store, handle.store, row->id, work, changed);
    if (status == STELE_OK)
        status = stele__drop_run(store, handle.store, row->id, work);
    stele__archive_close(&handle);
    changed->finished = status == STELE_OK;
    return status;
}

static stele_status restore_stream(stele_store *store, const stele_restore *restore,
                                   stele_changed *changed)
{
    stele__work work;
    stele__stream_row row;
    stele__range range;
    stele__connection *connection = NULL;
    bool moved = false;
    bool taken = false;
    bool written = false;
    stele_status status = stele__write_check(store);
    if (status == STELE_OK)
        status = stele__work_begin(&work, store, restore->work);
    /* Nothing of a store with a sequencer is elsewhere. */
    if (status == STELE_OK && restore->from != NULL)
        status = stele__sequencer_check_early(store, "restoring from another store");
    if (status == STELE_OK && !restore->dry_run)
        status = stele__propose_state(store, STELE__CHANGE_RESTORE, restore, work.options.wait,
                                      changed, &taken);
    if (taken)
        return status;
    if (status == STELE_OK)
        status = find_moved(store, restore, work.options.wait, &moved, &row, &range, changed);
    if (status == STELE_OK && moved)
        return restore_moved(store, restore, &work, &row, &range, changed);
    if (status == STELE_OK)
        status = stele__propose_or_begin(store, STELE__CHANGE_RESTORE, restore, work.options.wait,
                                         restore->dry_run, changed, &taken, &connection);
    if (status != STELE_OK || taken)
        return status;
    status = stele__restore_in_place(store, connection, restore, changed, &written);
    if (status == STELE_OK && written)
        status = stele__write_commit(store);
    stele__write_end(store);
    changed->changed &= status == STELE_OK;
    return status;
}

stele_status stele_store_restore(stele_store *store, const stele_restore *restore,
                                 stele_changed *changed_out)
{
    stele_restore taken = STELE_RESTORE_INIT;
    stele_changed changed = { 0 };
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = check_restore(restore, &taken);
    if (status == STELE_OK)
        status = restore_stream(store, &taken, &changed);
    stele__store_leave(store);
    stele__report_change(status, &changed, changed_out);
    return status;
}

stele_status stele_transaction_restore(stele_transaction *transaction, const stele_restore *restore,
                                       stele_changed *changed_out)
{
    stele_restore taken = STELE_RESTORE_INIT;
    stele_changed changed = { 0 };
    stele__connection *connection = NULL;
    bool written = false;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = check_restore(restore, &taken);
    if (status == STELE_OK && (taken.from != NULL || taken.work != NULL))
        status = stele__fail(STELE_MISUSE, "restoring with `%s` inside a transaction",
                             taken.from != NULL ? "from" : "work");
    if (status == STELE_OK)
        status =
            stele__restore_in_place(transaction->store, connection, &taken, &changed, &written);
    if (status != STELE_OK)
        stele__transaction_failed(transaction, status, written);
    stele__transaction_leave(transaction);
    changed.changed &= status == STELE_OK;
    stele__report_change(status, &changed, changed_out);
    return status;
}
