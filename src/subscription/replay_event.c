/*
 * Replaying one parked event.
 *
 * A try is counted in its row before the handler runs. A row that somebody asked for keeps that
 * mark until it was handled, or has failed; so tries that are counted while it bears the mark, and
 * since, are those that had no end.
 */
#include "subscription/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* --- Its row --- */

/* The place stays where it is. */
static stele__seat_edit keep_place(const stele__seat *seat)
{
    return (stele__seat_edit){
        .to = -1, .attempts = seat->attempts, .attempting = true, .retrying = seat->attempts > 0
    };
}

/* What follows in the stream of one that failed is not asked for any more. */
static stele_status calm_followers(stele__connection *connection, const char *name,
                                   const stele__parked *parked)
{
    int64_t after = parked->position;
    for (;;) {
        stele__parked other;
        bool found = false;
        stele_status status = stele__parked_asked(connection, name, after, &other, &found);
        if (status != STELE_OK || !found)
            return status;
        after = other.position;
        if (strcmp(other.key, parked->key) != 0)
            continue;
        other.asked_at = 0;
        status = stele__parked_store(connection, name, &other);
        if (status != STELE_OK)
            return status;
    }
}

static stele_status write_row_within(stele_subscription *subscription, const stele__replay_row *row,
                                     stele__connection *connection, const stele__seat_edit *edit,
                                     bool *there_out)
{
    stele__parked parked;
    stele_status status = stele__parked_load(connection, subscription->name, row->parked.position,
                                             &parked, there_out);
    if (status != STELE_OK || !*there_out)
        return status;
    status = stele__seat_write_within(subscription, row->seat, connection, edit);
    if (status == STELE_OK && edit->park != NULL && parked.asked_at != 0
        && edit->park->asked_at == 0)
        status = calm_followers(connection, subscription->name, &parked);
    return status;
}

/* Change the row, or take it away, in a commit of its own: unless somebody else has taken it away
 * before. */
static stele_status write_row(stele_subscription *subscription, const stele__replay_row *row,
                              const stele__seat_edit *edit, bool *there_out)
{
    stele_store *store = subscription->store;
    stele__connection *connection = NULL;
    *there_out = false;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__write_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = write_row_within(subscription, row, connection, edit, there_out);
        if (status == STELE_OK && *there_out)
            status = stele__write_commit(store);
        stele__write_end(store);
    }
    stele__store_leave(store);
    if (status == STELE_OK && *there_out)
        stele__seat_written(subscription, row->seat, edit);
    else if (status == STELE_FENCED)
        stele__seat_lose(subscription, row->seat);
    else if (status == STELE_CONFLICT || status == STELE_UNKNOWN_OUTCOME)
        row->seat->doubt = true;
    return status;
}

static stele_status store_row(stele_subscription *subscription, const stele__replay_row *row,
                              const stele__parked *parked, bool *there_out)
{
    stele__seat_edit edit = keep_place(row->seat);
    edit.park = parked;
    return write_row(subscription, row, &edit, there_out);
}

static stele_status remove_row(stele_subscription *subscription, const stele__replay_row *row,
                               bool *there_out)
{
    stele__seat_edit edit = keep_place(row->seat);
    edit.unpark = row->parked.position;
    return write_row(subscription, row, &edit, there_out);
}

stele_status stele__replay_check(const stele__batch_run *run, stele__connection *connection)
{
    stele__parked parked;
    bool found = false;
    const char *name = run->subscription->name;
    stele_status status =
        stele__parked_load(connection, name, run->parked->position, &parked, &found);
    if (status == STELE_OK && !found)
        status = stele__fail(STELE_NOT_FOUND, "position %" PRId64 " of '%s' isn't parked any more",
                             run->parked->position, name);
    return status;
}

void stele__replay_edit(const stele__batch_run *run, stele__seat_edit *edit)
{
    *edit = keep_place(run->seat);
    edit->unpark = run->parked->position;
}

/* --- One event --- */

/* OK with a record that the cursor lends, or without one when it was erased. */
static stele_status read_parked_event(stele_store *store, const stele__parked *parked,
                                      stele_cursor **cursor_out, const stele_record **record_out)
{
    stele_read read = STELE_READ_INIT;
    read.after_position = parked->position - 1;
    read.to_position = parked->position;
    read.system = true;
    *record_out = NULL;
    stele_status status = stele_store_read(store, &read, cursor_out);
    if (status == STELE_OK)
        status = stele_cursor_next(*cursor_out, record_out);
    if (status != STELE_DONE)
        return status;
    if (stele_cursor_skipped(*cursor_out).archived == 0)
        return STELE_OK;
    return stele__fail(STELE_ARCHIVED,
                       "the parked event at position %" PRId64
                       " of '%s' is in an archive that isn't attached",
                       parked->position, parked->key);
}

static stele_status note_failure(const stele__replay_task *task, const stele__replay_row *row,
                                 const char *reason, stele__replay_outcome *outcome_out)
{
    bool there = false;
    stele__parked parked = row->parked;
    parked.behind = 0;
    parked.asked_at = 0;
    snprintf(parked.reason, sizeof(parked.reason), "%.*s",
             (int)stele__utf8_cut(reason, strlen(reason), sizeof(parked.reason) - 1), reason);
    stele_status status = store_row(task->subscription, row, &parked, &there);
    *outcome_out = there ? STELE__REPLAY_FAILED : STELE__REPLAY_GONE;
    if (status == STELE_OK && there)
        stele__log(STELE_LOG_WARNING,
                   "the subscription '%s' failed to replay the event at position %" PRId64 ": %s",
                   task->subscription->name, parked.position, parked.reason);
    return status;
}

static stele_status note_erased(const stele__replay_task *task, const stele__replay_row *row,
                                stele__replay_outcome *outcome_out)
{
    bool there = false;
    *outcome_out = STELE__REPLAY_GONE;
    stele__log(STELE_LOG_NOTICE,
               "the event at position %" PRId64 ", parked by the subscription '%s', was deleted",
               row->parked.position, task->subscription->name);
    return remove_row(task->subscription, row, &there);
}

/* Nobody is to blame: the try isn't counted. */
static void take_back_try(const stele__replay_task *task, stele__replay_row *row)
{
    bool there = false;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    row->parked.attempts--;
    store_row(task->subscription, row, &row->parked, &there);
    stele__restore_error(error);
}

static stele_status call_for_parked(const stele__replay_task *task, stele__replay_row *row,
                                    const stele_record *record, stele__replay_outcome *outcome_out)
{
    stele_subscription *subscription = task->subscription;
    stele_batch batch = { .records = &record,
                          .count = 1,
                          .after = record->position - 1,
                          .through = record->position,
                          .head = row->seat->head,
                          .lane = row->seat->lane,
                          .attempt = (uint32_t)row->parked.attempts,
                          .effects_after = row->seat->effects_after };
    stele__batch_run run = { .subscription = subscription,
                             .seat = row->seat,
                             .handler = task->handler,
                             .batch = &batch,
                             .parked = &row->parked };
    bool failed = false;
    bool there = false;
    stele_status status = STELE_OK;
    *outcome_out = STELE__REPLAY_HANDLED;
    if (subscription->options.delivery == STELE_AT_LEAST_ONCE) {
        status = stele__run_handler(&run);
        failed = status != STELE_OK;
        if (!failed)
            return remove_row(subscription, row, &there);
    } else {
        status = stele__run_in_transaction(&run, &failed);
    }
    if (status == STELE_OK)
        return STELE_OK;
    if (failed && stele__is_fault_of_event(status))
        return note_failure(task, row, subscription->fail_reason, outcome_out);
    if (!failed && status == STELE_NOT_FOUND) {
        *outcome_out = STELE__REPLAY_GONE;
        return STELE_OK;
    }
    if (status != STELE_FENCED && status != STELE_CLOSED && status != STELE_UNKNOWN_OUTCOME)
        take_back_try(task, row);
    return status;
}

static stele_status replay_record(const stele__replay_task *task, stele__replay_row *row,
                                  const stele_record *record, stele__replay_outcome *outcome_out)
{
    bool there = false;
    row->parked.attempts++;
    stele_status status = store_row(task->subscription, row, &row->parked, &there);
    *outcome_out = STELE__REPLAY_GONE;
    if (status != STELE_OK || !there)
        return status;
    return call_for_parked(task, row, record, outcome_out);
}

stele_status stele__replay_event(const stele__replay_task *task, stele__replay_row *row,
                                 stele__replay_outcome *outcome_out)
{
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    if (task->asked && row->parked.attempts >= (int64_t)task->subscription->options.tries) {
        char reason[STELE__REASON_SIZE];
        snprintf(reason, sizeof(reason), "the process ended %" PRId64 " times while replaying it",
                 row->parked.attempts);
        return note_failure(task, row, reason, outcome_out);
    }
    stele_status status =
        read_parked_event(task->subscription->store, &row->parked, &cursor, &record);
    if (status == STELE_OK && record == NULL)
        status = note_erased(task, row, outcome_out);
    else if (status == STELE_OK)
        status = replay_record(task, row, record, outcome_out);
    else if (task->asked && (status == STELE_ARCHIVED || status == STELE_CORRUPT))
        /* That somebody asked in vain doesn't end a run. */
        status = note_failure(task, row, stele_error_text(), outcome_out);
    stele_cursor_close(cursor);
    return status;
}
