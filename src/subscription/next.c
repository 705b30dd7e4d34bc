/* Pulling: the next batch, and what the caller says of it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/platform.h"
#include "subscription/own.h"

/* What its caller has waited for was taken over by another handle meanwhile. */
static stele_status tell_lost(stele_subscription *subscription)
{
    subscription->lost = false;
    return stele__fail(STELE_FENCED,
                       "the batch at hand of '%s' is lost: another handle has taken over, or its"
                       " checkpoint was set",
                       subscription->name);
}

/* An event alone is counted before it is lent; and may be gone then. */
static stele_status prepare_batch(stele_subscription *subscription, stele__seat *seat,
                                  const stele_wait *wait, bool *gone_out)
{
    stele_status status = stele__attempt_begin(subscription, seat, wait, gone_out);
    if (status == STELE_OK && !*gone_out && seat->held && subscription->name != NULL
        && stele__clock_monotonic_us() > seat->lease_renew_us) {
        stele__seat_edit edit = { .to = -1, .attempts = seat->attempts, .attempting = true };
        status = stele__seat_write(subscription, seat, &edit, wait);
    }
    return status;
}

static stele_status pull_batch(stele_subscription *subscription, const stele_wait *wait,
                               stele__patience *patience, const stele_batch **batch_out)
{
    stele_status status = STELE_OK;
    if (subscription->lost)
        return tell_lost(subscription);
    for (;;) {
        stele__seat *seat = subscription->lending;
        /* Whether an acknowledgement of unknown outcome was committed is seen by the row. */
        if (seat != NULL && (seat->doubt || seat->next >= seat->looked.count))
            subscription->lending = seat = NULL;
        if (seat == NULL)
            status = stele__subscription_step(subscription, patience, wait, &seat);
        else
            status = stele__seat_lend(subscription, seat);
        if (status != STELE_OK)
            return status;
        bool gone = false;
        status = prepare_batch(subscription, seat, wait, &gone);
        if (status == STELE_CONFLICT || status == STELE_FENCED) {
            subscription->lending = NULL;
            subscription->lost = false;
            continue; /* it was taken over, or moved, before it was lent */
        }
        if (status != STELE_OK)
            return status;
        if (gone)
            continue;
        seat->skipped = (stele_skipped){ 0 };
        *batch_out = &seat->batch;
        return STELE_OK;
    }
}

stele_status stele_subscription_next(stele_subscription *subscription, const stele_wait *wait,
                                     const stele_batch **batch_out)
{
    if (batch_out == NULL)
        return stele__fail(STELE_MISUSE, "batch_out is NULL");
    *batch_out = NULL;
    stele_status status = stele__subscription_check(subscription);
    if (status != STELE_OK)
        return status;
    stele__patience patience;
    status = stele__subscription_take_wait(subscription, wait);
    if (status == STELE_OK)
        status = stele__patience_begin(&patience, &subscription->wait, UINT32_MAX,
                                       &subscription->store->closing);
    if (status == STELE_OK)
        status = pull_batch(subscription, &subscription->wait, &patience, batch_out);
    if (status != STELE_OK)
        subscription->lending = NULL;
    return status;
}

/* The seat whose batch is at hand, if `position` can be acknowledged of it. */
static stele_status find_lent(stele_subscription *subscription, int64_t position,
                              stele__seat **seat_out)
{
    if (subscription->lost)
        return tell_lost(subscription);
    stele__seat *seat = subscription->lending;
    if (seat == NULL || seat->batch.count == 0)
        return stele__fail(STELE_MISUSE, "no batch is at hand");
    if (position < seat->batch.after || position > seat->batch.through)
        return stele__fail(STELE_MISUSE,
                           "position %" PRId64 " is not within the batch at hand, %" PRId64
                           " to %" PRId64,
                           position, seat->batch.after, seat->batch.through);
    *seat_out = seat;
    return STELE_OK;
}

/* A seat that was lost while its batch was at hand: who has called was told, or is. */
static void forget_lost(stele_subscription *subscription)
{
    subscription->lending = NULL;
    subscription->lost = false;
}

/* In memory only: it is committed with a later one, or when its time has come. */
void stele__seat_note_ack(stele_subscription *subscription, stele__seat *seat, int64_t position)
{
    int64_t through = seat->batch.through;
    if (seat->acked_us == 0)
        seat->acked_us = stele__clock_monotonic_us();
    seat->acked = position;
    if (position >= through)
        subscription->lending = NULL;
    stele__seat_pass(seat, position);
}

/* Those that are parked, or that were counted, are known from the row. */
static bool acks_later(const stele_subscription *subscription, const stele__seat *seat)
{
    return subscription->options.delivery == STELE_AT_LEAST_ONCE
           && subscription->options.ack_flush_ms > 0 && seat->held_back_count == 0
           && seat->suspect == 0;
}

stele_status stele_subscription_ack(stele_subscription *subscription, int64_t position)
{
    stele__seat *seat = NULL;
    stele_status status = stele__subscription_check(subscription);
    if (status == STELE_CANCELLED) /* what was done may still be told */
        status = STELE_OK;
    if (status == STELE_OK)
        status = find_lent(subscription, position, &seat);
    if (status != STELE_OK)
        return status;
    if (position <= seat->acked && position < seat->batch.through) /* nothing is new */
        return STELE_OK;
    if (acks_later(subscription, seat)) {
        int64_t until = INT64_MAX;
        stele__seat_note_ack(subscription, seat, position);
        if (!stele__seat_skip_is_due(subscription, seat, &until))
            return STELE_OK;
        status = stele__seat_flush(subscription, seat, false, NULL);
    } else {
        int64_t through = seat->batch.through;
        stele__seat_edit edit = { .to = position, .attempting = true };
        status = stele__seat_write(subscription, seat, &edit, NULL);
        if (status == STELE_OK && position >= through)
            subscription->lending = NULL;
    }
    if (status == STELE_FENCED || status == STELE_CONFLICT)
        forget_lost(subscription);
    return status;
}

stele_status stele_transaction_subscription_ack(stele_transaction *transaction,
                                                stele_subscription *subscription, int64_t position)
{
    stele__connection *connection = NULL;
    stele__seat *seat = NULL;
    if (subscription == NULL)
        return stele__fail(STELE_MISUSE, "subscription is NULL");
    if (subscription->in_handler)
        return stele__fail(STELE_MISUSE, "called on a subscription from inside its handler");
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    if (transaction->store != subscription->store)
        status = stele__fail(STELE_MISUSE, "the transaction is of another store");
    else if (subscription->name == NULL)
        status = stele__fail(STELE_MISUSE, "a subscription without a name keeps no checkpoint");
    else
        status = find_lent(subscription, position, &seat);
    if (status == STELE_OK) {
        stele__seat_edit edit = { .to = position, .attempting = true };
        if (position <= seat->position)
            edit.attempts = seat->attempts;
        status = stele__seat_write_within(subscription, seat, connection, &edit);
        /* Whether it will be committed is seen by the row. */
        seat->doubt = true;
        subscription->lending = NULL;
    }
    if (status != STELE_OK)
        stele__transaction_failed(transaction, status, true);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele_subscription_reject(stele_subscription *subscription, int64_t position,
                                       const char *reason)
{
    stele__seat *seat = NULL;
    stele_status status = stele__subscription_check(subscription);
    if (status == STELE_CANCELLED)
        status = STELE_OK;
    if (status == STELE_OK)
        status = find_lent(subscription, position, &seat);
    if (status != STELE_OK)
        return status;
    bool there = false;
    for (size_t i = 0; i < seat->batch.count; i++)
        there |= seat->batch.records[i]->position == position;
    if (!there || position <= seat->batch.after)
        return stele__fail(STELE_MISUSE, "no event of the batch at hand is at position %" PRId64,
                           position);
    status = stele__attempt_failed(subscription, seat, position, reason == NULL ? "" : reason,
                                   false, NULL);
    if (status == STELE_FENCED || status == STELE_CONFLICT)
        forget_lost(subscription);
    return status;
}

/* One of an older epoch has the key that it had then. */
static stele_status find_epoch_of(const stele_subscription *subscription, int64_t position,
                                  char epoch_out[37])
{
    stele_store *store = subscription->store;
    stele__connection *connection = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = stele__epoch_of(connection->database, position, epoch_out, NULL);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_subscription_key(const stele_subscription *subscription,
                                    const stele_record *record,
                                    char key_out[STELE_SUBSCRIPTION_KEY_SIZE])
{
    if (subscription == NULL || record == NULL || key_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL",
                           subscription == NULL ? "subscription"
                                                : (record == NULL ? "record" : "key_out"));
    char epoch[sizeof(subscription->epoch)];
    stele_status status = stele__store_check(subscription->store);
    if (status == STELE_OK && record->position > subscription->epoch_since)
        memcpy(epoch, subscription->epoch, sizeof(epoch));
    else if (status == STELE_OK)
        status = find_epoch_of(subscription, record->position, epoch);
    if (status == STELE_OK)
        snprintf(key_out, STELE_SUBSCRIPTION_KEY_SIZE, "%s/%s/%" PRId64, subscription->store->uuid,
                 epoch, record->position);
    return status;
}
