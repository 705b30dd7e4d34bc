/* Archiving in place, restoring in place and tombstoning: changes of one transaction. */
#include "eventstore/states.h"

#include <inttypes.h>

#include "base/failure.h"
#include "base/options.h"

void stele_tombstone_init(stele_tombstone *tombstone)
{
    *tombstone = (stele_tombstone)STELE_TOMBSTONE_INIT;
}

stele_status stele__refuse_tombstoned(const stele__stream_row *row)
{
    if (row->state != STELE_STREAM_TOMBSTONED)
        return STELE_OK;
    return stele__fail(STELE_TOMBSTONED, "stream '%s' is tombstoned at version %" PRId64, row->name,
                       row->version);
}

stele_status stele__find_to_change(stele__connection *connection, const char *stream,
                                   int64_t expected, stele__stream_row *row_out,
                                   stele_changed *changed)
{
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__stream_row_find(connection, stream, row_out);
    if (status != STELE_OK)
        return status;
    changed->version = row_out->version;
    return stele__check_expected(row_out, expected);
}

stele_status stele__count_payloads(stele__connection *connection, int64_t stream, int64_t flags,
                                   stele_changed *changed)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT count(*), coalesce(sum(coalesce(length(CAST(data AS BLOB)), 0)"
        " + coalesce(length(CAST(metadata AS BLOB)), 0)), 0) FROM events"
        " WHERE stream = ?1 AND flags & ?2 = 0",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, stream);
    stele__bind_number(statement, 2, flags);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        changed->events = stele__column_number(statement, 0);
        changed->bytes = stele__column_number(statement, 1);
    }
    stele__statement_end(statement);
    return status;
}

static void set_state(const stele_store *store, stele__stream_row *row, int64_t state,
                      const char *reason)
{
    row->state = state;
    row->changed_at = stele__store_now(store);
    row->has_reason = reason != NULL;
    if (reason != NULL) /* its size was checked */
        snprintf(row->reason, sizeof(row->reason), "%s", reason);
}

stele_status stele__apply_state(stele_store *store, stele__connection *connection,
                                stele__stream_row *row, int64_t state, const char *reason,
                                const char *archive, stele_changed *changed)
{
    static const char *const types[] = { "stream-restored", "stream-archived",
                                         "stream-tombstoned" };
    stele_status checked = stele__sequencer_check(store, "a change of a stream's state");
    if (checked != STELE_OK)
        return checked;
    set_state(store, row, state, reason);
    stele_status status = stele__stream_row_save(connection, row);
    if (status == STELE_OK)
        status =
            stele__log_change(store, connection, types[state], row, archive, &changed->position);
    return status;
}

stele_status stele__archive_in_place(stele_store *store, stele__connection *connection,
                                     const stele_archive *archive, stele_changed *changed,
                                     bool *written_out)
{
    stele__stream_row row;
    *written_out = false;
    stele_status status = stele__find_to_change(connection, archive->stream,
                                                archive->expected_version, &row, changed);
    if (status == STELE_OK)
        status = stele__refuse_tombstoned(&row);
    changed->finished = status == STELE_OK;
    if (status != STELE_OK || row.state == STELE_STREAM_ARCHIVED || archive->dry_run)
        return status;
    *written_out = true;
    changed->changed = true;
    return stele__apply_state(store, connection, &row, STELE_STREAM_ARCHIVED, archive->reason, NULL,
                              changed);
}

stele_status stele__restore_in_place(stele_store *store, stele__connection *connection,
                                     const stele_restore *restore, stele_changed *changed,
                                     bool *written_out)
{
    stele__stream_row row;
    stele__range range;
    stele__unfinished work = STELE__UNFINISHED_NONE;
    bool moved = false;
    *written_out = false;
    stele_status status = stele__find_to_change(connection, restore->stream,
                                                restore->expected_version, &row, changed);
    if (status == STELE_OK)
        status = stele__refuse_tombstoned(&row);
    if (status == STELE_OK)
        status = stele__range_find(connection, row.id, &moved, &range);
    if (status == STELE_OK)
        status = stele__unfinished_find(connection, row.id, &work);
    moved &= work != STELE__UNFINISHED_DROP; /* that is only what is left there */
    if (status == STELE_OK && moved && row.state == STELE_STREAM_ARCHIVED)
        return stele__archive_missing(row.name, &range);
    changed->finished = status == STELE_OK;
    if (status != STELE_OK || row.state == STELE_STREAM_ACTIVE || restore->dry_run)
        return status;
    *written_out = true;
    changed->changed = true;
    return stele__apply_state(store, connection, &row, STELE_STREAM_ACTIVE, NULL, NULL, changed);
}

static stele_status tombstone_in_place(stele_store *store, stele__connection *connection,
                                       const stele_tombstone *tombstone, stele_changed *changed,
                                       bool *written_out)
{
    stele__stream_row row;
    *written_out = false;
    stele_status status = stele__find_to_change(connection, tombstone->stream,
                                                tombstone->expected_version, &row, changed);
    if (status == STELE_OK)
        status = stele__refuse_tombstoned(&row);
    if (status == STELE_OK && row.state == STELE_STREAM_ARCHIVED)
        status = stele__fail(STELE_ARCHIVED, "stream '%s' is archived: restore it first", row.name);
    changed->finished = status == STELE_OK;
    if (status != STELE_OK || tombstone->dry_run)
        return status;
    *written_out = true;
    changed->changed = true;
    return stele__apply_state(store, connection, &row, STELE_STREAM_TOMBSTONED, tombstone->reason,
                              NULL, changed);
}

/* --- The public calls --- */

static stele_status check_tombstone(const stele_tombstone *given, stele_tombstone *taken)
{
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "the tombstone is NULL");
    stele_status status = stele__options_take("stele_tombstone", given, taken, sizeof(*taken));
    if (status == STELE_OK)
        status = stele__check_change(taken->stream, taken->expected_version);
    if (status == STELE_OK && (taken->reason == NULL || *taken->reason == '\0'))
        status = stele__fail(STELE_MISUSE, "a tombstone needs a reason");
    return status == STELE_OK ? stele__check_reason(taken->reason) : status;
}

stele_status stele__propose_state(stele_store *store, stele__change_kind kind, const void *what,
                                  const stele_wait *wait, stele_changed *changed, bool *taken_out)
{
    *taken_out = false;
    if (!stele__sequencer_is_there(store))
        return STELE_OK;
    stele__change change = {
        .kind = kind, .what = what, .count = 1, .wait = wait, .answer_out = changed
    };
    return stele__sequencer_offer(store, &change, taken_out);
}

/* With the turn held nobody sets a sequencer; until then one may have come. */
stele_status stele__propose_or_begin(stele_store *store, stele__change_kind kind, const void *what,
                                     const stele_wait *wait, bool dry_run, stele_changed *changed,
                                     bool *taken_out, stele__connection **connection_out)
{
    *taken_out = false;
    while (true) {
        stele_status status = STELE_OK;
        if (!dry_run)
            status = stele__propose_state(store, kind, what, wait, changed, taken_out);
        if (status == STELE_OK && !*taken_out)
            status = stele__write_begin_durably(store, wait, connection_out);
        if (status != STELE_OK || *taken_out || dry_run || !stele__sequencer_is_there(store))
            return status;
        stele__write_end(store);
    }
}

void stele__report_change(stele_status status, const stele_changed *changed,
                          stele_changed *changed_out)
{
    if (changed_out == NULL)
        return;
    *changed_out = *changed;
    if (status != STELE_OK)
        changed_out->finished = false;
}

stele_status stele_store_tombstone(stele_store *store, const stele_tombstone *tombstone,
                                   stele_changed *changed_out)
{
    stele_tombstone taken = STELE_TOMBSTONE_INIT;
    stele_changed changed = { 0 };
    stele__connection *connection = NULL;
    bool proposed = false;
    bool written = false;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = check_tombstone(tombstone, &taken);
    if (status == STELE_OK)
        status = stele__propose_or_begin(store, STELE__CHANGE_TOMBSTONE, &taken, taken.wait,
                                         taken.dry_run, &changed, &proposed, &connection);
    if (status == STELE_OK && !proposed) {
        status = tombstone_in_place(store, connection, &taken, &changed, &written);
        if (status == STELE_OK && written)
            status = stele__write_commit(store);
        stele__write_end(store);
    }
    stele__store_leave(store);
    changed.changed &= status == STELE_OK;
    stele__report_change(status, &changed, changed_out);
    return status;
}

stele_status stele_transaction_tombstone(stele_transaction *transaction,
                                         const stele_tombstone *tombstone,
                                         stele_changed *changed_out)
{
    stele_tombstone taken = STELE_TOMBSTONE_INIT;
    stele_changed changed = { 0 };
    stele__connection *connection = NULL;
    bool written = false;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = check_tombstone(tombstone, &taken);
    if (status == STELE_OK)
        status = tombstone_in_place(transaction->store, connection, &taken, &changed, &written);
    if (status != STELE_OK)
        stele__transaction_failed(transaction, status, written);
    stele__transaction_leave(transaction);
    changed.changed &= status == STELE_OK;
    stele__report_change(status, &changed, changed_out);
    return status;
}

stele_status stele__check_change(const char *stream, int64_t expected_version)
{
    stele_status status = stele__check_name("stream", stream);
    if (status == STELE_OK && stream[0] == '$')
        status = stele__fail(STELE_MISUSE, "the stream '%s' is the library's", stream);
    if (status == STELE_OK
        && (expected_version < STELE_STREAM_EXISTS || expected_version == STELE_NO_STREAM))
        status = stele__fail(STELE_MISUSE,
                             "expected_version is %" PRId64 ": a version, or one of"
                             " STELE_ANY and STELE_STREAM_EXISTS",
                             expected_version);
    return status;
}
