/* Running: a handler is called for batch after batch. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/options.h"
#include "base/platform.h"
#include "subscription/own.h"

/* What passes by itself is tried again after so long, doubled up to a second. */
#define PASSING_US     10000
#define PASSING_US_MAX 1000000
/* One that keeps up commits no sooner after its last commit. What comes meanwhile is handled with
 * one commit; an event that comes alone doesn't wait. */
#define REST_US 1000

void stele_handler_init(stele_handler *handler)
{
    *handler = (stele_handler)STELE_HANDLER_INIT;
}

stele_status stele__handler_take(const stele_handler *given, stele_handler *handler_out)
{
    *handler_out = (stele_handler)STELE_HANDLER_INIT;
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "handler is NULL");
    stele_status status =
        stele__options_take("stele_handler", given, handler_out, sizeof(*handler_out));
    if (status == STELE_OK && (handler_out->event == NULL) == (handler_out->batch == NULL))
        status =
            stele__fail(STELE_MISUSE, "a handler has an event or a batch function, one of both");
    return status;
}

stele_status stele_handling_fail(const stele_handling *handling, int64_t position,
                                 const char *reason)
{
    if (handling == NULL || handling->subscription == NULL)
        return stele__fail(STELE_MISUSE, "handling is NULL");
    stele_subscription *subscription = handling->subscription;
    bool there = false;
    for (size_t i = 0; i < handling->batch->count; i++)
        there |= handling->batch->records[i]->position == position;
    if (!there)
        return stele__fail(STELE_MISUSE, "no event of the batch is at position %" PRId64, position);
    subscription->fail_position = position;
    reason = reason == NULL ? "" : reason;
    snprintf(subscription->fail_reason, sizeof(subscription->fail_reason), "%.*s",
             (int)stele__utf8_cut(reason, strlen(reason), sizeof(subscription->fail_reason) - 1),
             reason);
    return stele__fail(STELE_REFUSED, "position %" PRId64 ": %s", position, reason);
}

/* --- One batch --- */

/* The time of a transaction is over, or it is time to renew the lease; or somebody wants to stop.
 */
static bool ends_early(const stele__batch_run *run, int64_t began_us)
{
    if (atomic_load(&run->subscription->stopped) != 0)
        return true;
    int64_t now = stele__clock_monotonic_us();
    if (run->transaction == NULL)
        return now > run->seat->lease_renew_us;
    return now - began_us >= (int64_t)run->subscription->options.batch_ms_max * 1000;
}

/* A write that failed half-way has ended the transaction, whatever the handler makes of it. */
static stele_status find_doom(const stele__batch_run *run, stele_status status)
{
    if (run->transaction == NULL)
        return status;
    if (run->transaction->doom == STELE_OK && run->transaction->lent && status >= 0) {
        /* Or other SQL has ended it. */
        stele__connection *connection = NULL;
        stele_status open = stele__transaction_enter(run->transaction, &connection);
        if (open == STELE_OK)
            stele__transaction_leave(run->transaction);
        return open;
    }
    if (run->transaction->doom == STELE_OK)
        return status;
    /* A failure of the store is none of the event's. */
    if (status >= 0 || stele__is_passing(run->transaction->doom))
        return run->transaction->doom;
    return status;
}

static stele_status call_for_each(stele__batch_run *run, stele_handling *handling)
{
    const stele_batch *batch = run->batch;
    int64_t began_us = stele__clock_monotonic_us();
    while (run->done < batch->count) {
        const stele_record *record = batch->records[run->done];
        handling->effects = record->position > batch->effects_after;
        stele_status status = run->handler->event(run->handler->context, record, handling);
        status = find_doom(run, status);
        if (status < 0) { /* news is none here */
            run->failed = record->position;
            return status;
        }
        run->done++;
        if (run->done < batch->count && ends_early(run, began_us))
            break;
    }
    return STELE_OK;
}

stele_status stele__run_handler(stele__batch_run *run)
{
    stele_subscription *subscription = run->subscription;
    const stele_batch *batch = run->batch;
    stele_handling handling = { .subscription = subscription,
                                .store = subscription->store,
                                .transaction = run->transaction,
                                .batch = batch,
                                .attempt = batch->attempt,
                                .replay = run->parked != NULL };
    subscription->fail_reason[0] = '\0';
    subscription->fail_position = 0;
    stele__restore_error("");
    subscription->in_handler = true;
    if (run->transaction != NULL) /* only the library commits it, and ends it */
        run->transaction->held = true;
    stele_status status;
    if (run->handler->event != NULL) {
        status = call_for_each(run, &handling);
    } else {
        handling.effects = batch->records[0]->position > batch->effects_after;
        status = run->handler->batch(run->handler->context, batch, &handling);
        status = find_doom(run, status);
        run->done = status >= 0 ? batch->count : 0;
        run->failed = batch->count == 1 ? batch->records[0]->position : subscription->fail_position;
    }
    if (run->transaction != NULL)
        run->transaction->held = false;
    subscription->in_handler = false;
    if (status > 0)
        status = STELE_OK;
    if (status != STELE_OK && subscription->fail_reason[0] == '\0') {
        const char *text = stele_error_text();
        text = text[0] == '\0' ? stele_status_text(status) : text;
        snprintf(subscription->fail_reason, sizeof(subscription->fail_reason), "%.*s",
                 (int)stele__utf8_cut(text, strlen(text), sizeof(subscription->fail_reason) - 1),
                 text);
    }
    return status;
}

/* Through where it is done, when `done` events of the batch are. */
static int64_t reached_by(const stele__seat *seat, size_t done)
{
    const stele_batch *batch = &seat->batch;
    if (done == batch->count)
        return batch->through;
    return done == 0 ? batch->after : batch->records[done - 1]->position;
}

static stele_status judge_failure(stele__batch_run *run, stele_status status, bool done)
{
    if (!stele__is_fault_of_event(status)) {
        run->ends = !stele__is_passing(status);
        stele__attempt_uncount(run->subscription, run->seat);
        return status;
    }
    if (run->failed == 0) {
        stele__attempt_unclear(run->seat);
        run->subscription->lending = NULL;
        return STELE_OK;
    }
    return stele__attempt_failed(run->subscription, run->seat, run->failed,
                                 run->subscription->fail_reason, done, NULL);
}

/* --- At least once --- */

/* What can't be committed now is with what comes next: it isn't done again for that. */
static stele_status ack_done(stele__batch_run *run)
{
    stele__seat *seat = run->seat;
    int64_t position = reached_by(seat, run->done);
    bool can_wait = seat->held_back_count == 0;
    stele_status status = stele_subscription_ack(run->subscription, position);
    if (stele__is_passing(status) && can_wait && seat->held && run->subscription->lending == seat)
        stele__seat_note_ack(run->subscription, seat, position);
    return status;
}

static stele_status run_plainly(stele__batch_run *run)
{
    stele_subscription *subscription = run->subscription;
    stele__seat *seat = run->seat;
    stele_status status = STELE_OK;
    if (subscription->name != NULL && stele__clock_monotonic_us() > seat->lease_renew_us) {
        stele__seat_edit edit = { .to = -1, .attempts = seat->attempts, .attempting = true };
        status = stele__seat_write(subscription, seat, &edit, &subscription->wait);
        if (status != STELE_OK)
            return status;
    }
    status = stele__run_handler(run);
    /* Event by event, those before it are done. Of a batch that failed nobody says so. */
    if (stele__is_fault_of_event(status))
        return judge_failure(run, status, run->handler->event != NULL);
    /* What is done is done, whatever ended it. */
    stele_status acked = STELE_OK;
    subscription->lending = seat;
    if (run->done > 0)
        acked = ack_done(run);
    subscription->lending = NULL;
    if (status == STELE_OK)
        return acked;
    char error[STELE__ERROR_SIZE];
    snprintf(error, sizeof(error), "%s", subscription->fail_reason);
    status = judge_failure(run, status, true);
    stele__restore_error(error);
    return status;
}

/* --- Exactly once --- */

/* Before the handler runs: that the place is still this handle's. Otherwise its work is for
 * nothing. */
static stele_status compare_place(stele__batch_run *run)
{
    stele__connection *connection = NULL;
    stele__place place;
    bool found = false;
    stele_subscription *subscription = run->subscription;
    stele_status status = stele__transaction_enter(run->transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__place_load(connection, subscription->name, run->seat->lane, &place, &found);
    if (status == STELE_OK && (place.generation != run->seat->generation || place.owner[0] == '\0'))
        status = stele__fail(STELE_FENCED, "the subscription '%s' was taken over by '%s'",
                             subscription->name, place.owner);
    else if (status == STELE_OK && place.position != run->seat->position)
        status = stele__fail(STELE_CONFLICT, "the checkpoint '%s' was set", subscription->name);
    if (status == STELE_OK && run->parked != NULL)
        status = stele__replay_check(run, connection);
    stele__transaction_leave(run->transaction);
    return status;
}

static stele_status commit_batch(stele__batch_run *run)
{
    stele_subscription *subscription = run->subscription;
    stele__connection *connection = NULL;
    stele__seat_edit edit = { .to = -1, .attempting = true };
    if (run->parked != NULL)
        stele__replay_edit(run, &edit);
    else
        edit.to = reached_by(run->seat, run->done);
    stele_status status = stele__transaction_enter(run->transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__seat_write_within(subscription, run->seat, connection, &edit);
    stele__transaction_leave(run->transaction);
    if (status == STELE_OK)
        status = stele_transaction_commit(run->transaction);
    if (status == STELE_OK)
        stele__seat_written(subscription, run->seat, &edit);
    else if (status == STELE_UNKNOWN_OUTCOME)
        run->seat->doubt = true;
    return status;
}

static void blame_commit(stele__batch_run *run)
{
    stele_subscription *subscription = run->subscription;
    const stele_batch *batch = run->batch;
    snprintf(subscription->fail_reason, sizeof(subscription->fail_reason), "%.*s",
             (int)(sizeof(subscription->fail_reason) - 1), stele_error_text());
    run->failed = batch->count == 1 ? batch->records[0]->position : 0;
}

stele_status stele__run_in_transaction(stele__batch_run *run, bool *failed_out)
{
    stele_subscription *subscription = run->subscription;
    *failed_out = false;
    stele_status status = stele__transaction_begin_yielding(subscription->store,
                                                            &subscription->wait, &run->transaction);
    if (status != STELE_OK)
        return status;
    status = compare_place(run);
    if (status == STELE_OK) {
        status = stele__run_handler(run);
        *failed_out = status != STELE_OK;
        if (status == STELE_OK)
            status = commit_batch(run);
        /* Its SQL may have left what can't be committed. */
        if (!*failed_out && status == STELE_MISUSE) {
            *failed_out = true;
            blame_commit(run);
        }
    }
    stele_transaction_end(run->transaction);
    run->transaction = NULL;
    subscription->lending = NULL;
    if (*failed_out)
        return status;
    if (status == STELE_FENCED)
        stele__seat_lose(subscription, run->seat);
    else if (status == STELE_CONFLICT)
        run->seat->doubt = true;
    return status;
}

static stele_status run_exactly(stele__batch_run *run)
{
    bool failed = false;
    stele_subscription *subscription = run->subscription;
    bool keeps_up = subscription->live && run->batch->caught_up;
    stele_status status = stele__run_in_transaction(run, &failed);
    if (keeps_up && status == STELE_OK)
        subscription->rest_until_us = stele__clock_monotonic_us() + REST_US;
    return failed ? judge_failure(run, status, false) : status;
}

static stele_status run_batch(stele_subscription *subscription, stele__seat *seat,
                              const stele_handler *handler, bool *ends_out)
{
    stele__batch_run run = {
        .subscription = subscription, .seat = seat, .handler = handler, .batch = &seat->batch
    };
    bool gone = false;
    stele_status status = stele__attempt_begin(subscription, seat, &subscription->wait, &gone);
    if (status != STELE_OK || gone)
        return status;
    bool plain =
        subscription->options.delivery == STELE_AT_LEAST_ONCE || subscription->name == NULL;
    status = plain ? run_plainly(&run) : run_exactly(&run);
    seat->skipped = (stele_skipped){ 0 };
    subscription->lending = NULL;
    *ends_out = run.ends;
    return status;
}

/* --- On and on --- */

static void tell_where(stele_subscription *subscription, const stele_handler *handler)
{
    int64_t position = INT64_MAX;
    int64_t head = 0;
    for (size_t i = 0; i < subscription->seat_count; i++) {
        const stele__seat *seat = &subscription->seats[i];
        if (!seat->loaded)
            continue;
        position = seat->scanned < position ? seat->scanned : position;
        head = seat->head > head ? seat->head : head;
    }
    if (position == INT64_MAX)
        return;
    subscription->live |= position >= head;
    subscription->in_handler = true;
    if (subscription->live && !subscription->told_live) {
        subscription->told_live = true;
        if (handler->caught_up != NULL)
            handler->caught_up(handler->context, position);
    }
    subscription->in_handler = false;
}

/* Live, and the next batch begins far behind the head. */
static void tell_behind(stele_subscription *subscription, const stele__seat *seat,
                        const stele_handler *handler)
{
    int64_t behind = seat->batch.head - seat->batch.after;
    if (!subscription->told_live || behind <= 0
        || (uint64_t)behind <= subscription->options.behind_max)
        return;
    subscription->live = false;
    subscription->told_live = false;
    subscription->in_handler = true;
    if (handler->fell_behind != NULL)
        handler->fell_behind(handler->context, seat->batch.after, seat->batch.head);
    subscription->in_handler = false;
}

/* It will pass: log it, and sleep. */
static void sleep_over(stele_subscription *subscription, stele_status status, uint32_t *failures)
{
    int64_t pause = PASSING_US;
    for (uint32_t i = 0; i < *failures && pause < PASSING_US_MAX; i++)
        pause *= 2;
    if (*failures == 0)
        stele__log(STELE_LOG_WARNING, "the subscription '%s' tries again: %s",
                   subscription->name == NULL ? "" : subscription->name,
                   status == STELE_OK ? "" : stele_error_text());
    (*failures)++;
    stele__waking waking = { .after = INT64_MAX, .interrupt = &subscription->stopped };
    stele__notifier_await(subscription->notifier, &waking, stele__clock_monotonic_us() + pause,
                          NULL);
}

static stele_status serve_asked(stele_subscription *subscription, const stele_handler *handler)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < subscription->seat_count && status == STELE_OK; i++)
        if (subscription->seats[i].asked) {
            subscription->seats[i].asked = false; /* until the row is looked at again */
            status = stele__replay_asked(subscription, &subscription->seats[i], handler);
        }
    return status;
}

static void rest_before_more(stele_subscription *subscription)
{
    int64_t until_us = subscription->rest_until_us;
    subscription->rest_until_us = 0;
    if (until_us <= stele__clock_monotonic_us())
        return;
    stele__waking waking = { .after = INT64_MAX, .interrupt = &subscription->stopped };
    stele__notifier_await(subscription->notifier, &waking, until_us, NULL);
}

static stele_status run_once(stele_subscription *subscription, const stele_handler *handler,
                             bool *ends_out)
{
    stele__patience patience;
    stele__seat *seat = NULL;
    *ends_out = false;
    stele_status status = stele__subscription_take_wait(subscription, NULL);
    if (status == STELE_OK)
        status = stele__patience_begin(&patience, NULL, UINT32_MAX, &subscription->store->closing);
    if (status == STELE_OK)
        status = serve_asked(subscription, handler);
    if (status == STELE_OK) {
        rest_before_more(subscription);
        status = stele__subscription_step(subscription, &patience, &subscription->wait, &seat);
    }
    if (status == STELE_OK) {
        tell_behind(subscription, seat, handler);
        status = run_batch(subscription, seat, handler, ends_out);
    } else if (status == STELE_TIMED_OUT) {
        tell_where(subscription, handler);
        status = STELE_OK;
    } else if (status == STELE_DONE) {
        tell_where(subscription, handler);
    }
    subscription->lending = NULL;
    subscription->lost = false;
    return status;
}

stele_status stele_subscription_run(stele_subscription *subscription, const stele_handler *handler)
{
    stele_handler taken;
    uint32_t failures = 0;
    stele_status status = stele__subscription_check(subscription);
    if (status == STELE_OK)
        status = stele__handler_take(handler, &taken);
    if (status != STELE_OK)
        return status;
    subscription->running = true;
    subscription->lending = NULL;
    bool ends = false;
    do {
        status = run_once(subscription, &taken, &ends);
        if (ends) {
            break;
        } else if (stele__is_passing(status)) {
            sleep_over(subscription, status, &failures);
            status = STELE_OK;
        } else if (status == STELE_FENCED || status == STELE_CONFLICT) {
            stele__log(STELE_LOG_NOTICE, "%s", stele_error_text());
            status = STELE_OK;
        } else {
            failures = 0;
        }
    } while (status == STELE_OK);
    subscription->running = false;
    /* What was acknowledged and not committed yet. */
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    for (size_t i = 0; i < subscription->seat_count; i++)
        stele__seat_flush(subscription, &subscription->seats[i], false, NULL);
    stele__restore_error(error);
    return status;
}
