/* What becomes of an event that can't be handled: counting tries, and what comes after them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/platform.h"
#include "subscription/own.h"

bool stele__is_passing(stele_status status)
{
    return status == STELE_BUSY || status == STELE_FULL || status == STELE_IO
           || status == STELE_NO_MEMORY || status == STELE_UNKNOWN_OUTCOME;
}

bool stele__is_fault_of_event(stele_status status)
{
    return status < 0 && !stele__is_passing(status) && status != STELE_CANCELLED
           && status != STELE_READ_ONLY && status != STELE_FENCED && status != STELE_EPOCH
           && status != STELE_MOVED && status != STELE_CLOSED;
}

static int64_t backoff_us(const stele_subscription *subscription, int64_t tries)
{
    const stele_subscription_options *options = &subscription->options;
    uint64_t pause = options->backoff_ms;
    for (int64_t i = 1; i < tries && pause < options->backoff_max_ms; i++)
        pause *= 2;
    if (pause > options->backoff_max_ms)
        pause = options->backoff_max_ms;
    return (int64_t)pause * 1000;
}

static void end_batch(stele_subscription *subscription, stele__seat *seat)
{
    if (subscription->lending == seat)
        subscription->lending = NULL;
    seat->batch = (stele_batch){ 0 };
}

/* It had all its tries. */
static stele_status give_up_event(stele_subscription *subscription, stele__seat *seat,
                                  const stele_record *record, int64_t tries, const char *reason,
                                  const stele_wait *wait)
{
    stele_on_failure policy = subscription->options.on_failure;
    const char *name = subscription->name == NULL ? "" : subscription->name;
    stele__parked parked = { .position = record->position, .attempts = tries };
    stele__seat_edit edit = { .to = record->position,
                              .attempting = true,
                              .error = reason,
                              .error_position = record->position };
    if (policy == STELE_ON_FAILURE_PARK) {
        snprintf(parked.key, sizeof(parked.key), "%s", record->stream);
        snprintf(parked.reason, sizeof(parked.reason), "%.*s",
                 (int)stele__utf8_cut(reason, strlen(reason), sizeof(parked.reason) - 1), reason);
        parked.parked_at = stele__store_now(subscription->store);
        edit.park = &parked;
    } else if (policy != STELE_ON_FAILURE_SKIP) {
        edit = (stele__seat_edit){ .to = -1,
                                   .attempts = tries,
                                   .stopped = true,
                                   .release = true,
                                   .error = reason,
                                   .error_position = record->position };
    }
    int64_t position = record->position;
    stele_status status = stele__seat_write(subscription, seat, &edit, wait);
    if (status != STELE_OK)
        return status;
    end_batch(subscription, seat);
    if (edit.stopped) {
        seat->loaded = false;
        return stele__fail(STELE_REFUSED,
                           "the subscription '%s' was stopped by the event at position %" PRId64
                           " after %" PRId64 " tries: %s",
                           name, position, tries, reason);
    }
    stele__log(STELE_LOG_WARNING,
               "the subscription '%s' has %s the event at position %" PRId64 " after %" PRId64
               " tries: %s",
               name, edit.park != NULL ? "parked" : "passed over", position, tries, reason);
    return STELE_OK;
}

/* What is counted is of the event right after the place, whatever becomes of what lay between: so
 * the place comes with the count. -1: it is there. */
static int64_t find_place_before(const stele__seat *seat, const stele_record *record)
{
    return record->position - 1 > seat->position ? record->position - 1 : -1;
}

stele_status stele__attempt_begin(stele_subscription *subscription, stele__seat *seat,
                                  const stele_wait *wait, bool *gone_out)
{
    *gone_out = false;
    if (seat->batch.count != 1 || seat->suspect != seat->batch.records[0]->position)
        return STELE_OK;
    /* Whoever looked at it last did not live to tell. */
    if (seat->died && seat->attempts >= (int64_t)subscription->options.tries) {
        char reason[STELE__REASON_SIZE];
        snprintf(reason, sizeof(reason), "the process ended %" PRId64 " times while handling it",
                 seat->attempts);
        *gone_out = true;
        return give_up_event(subscription, seat, seat->batch.records[0], seat->attempts, reason,
                             wait);
    }
    if (seat->counted)
        return STELE_OK;
    stele__seat_edit edit = { .to = find_place_before(seat, seat->batch.records[0]),
                              .attempts = seat->attempts + 1,
                              .attempting = true,
                              .retrying = seat->attempts > 0 && !seat->died };
    stele_status status = stele__seat_write(subscription, seat, &edit, wait);
    if (status == STELE_OK) {
        seat->counted = true;
        seat->died = false;
    }
    return status;
}

void stele__attempt_uncount(stele_subscription *subscription, stele__seat *seat)
{
    if (!seat->counted || !seat->held || seat->doubt || seat->attempts == 0)
        return;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    stele__seat_edit edit = { .to = -1,
                              .attempts = seat->attempts - 1,
                              .retrying = seat->attempts > 1 };
    /* When it can't be written, it counts: no more can be done. */
    if (stele__seat_write(subscription, seat, &edit, &subscription->wait) == STELE_OK)
        seat->counted = false;
    stele__restore_error(error);
}

/* The first of the batch that isn't acknowledged. */
static const stele_record *find_first_lent(const stele__seat *seat)
{
    size_t i = 0;
    while (i + 1 < seat->batch.count && seat->batch.records[i]->position <= seat->batch.after)
        i++;
    return seat->batch.records[i];
}

/* Not the first one: what is before it goes on without it. */
static stele_status set_apart(stele_subscription *subscription, stele__seat *seat, int64_t position,
                              bool done, const stele_wait *wait)
{
    stele_status status = STELE_OK;
    if (done) {
        stele__seat_edit edit = { .to = position - 1, .attempting = true };
        status = stele__seat_write(subscription, seat, &edit, wait);
    }
    if (status != STELE_OK)
        return status;
    end_batch(subscription, seat);
    seat->suspect = position;
    seat->attempts = 0;
    seat->counted = false;
    return STELE_OK;
}

stele_status stele__attempt_failed(stele_subscription *subscription, stele__seat *seat,
                                   int64_t position, const char *reason, bool done,
                                   const stele_wait *wait)
{
    const stele_record *record = find_first_lent(seat);
    if (record->position != position)
        return set_apart(subscription, seat, position, done, wait);
    int64_t tries = seat->attempts + (seat->counted ? 0 : 1);
    bool last = tries >= (int64_t)subscription->options.tries
                && subscription->options.on_failure != STELE_ON_FAILURE_RETRY;
    if (last)
        return give_up_event(subscription, seat, record, tries, reason, wait);
    stele__seat_edit edit = { .to = find_place_before(seat, record),
                              .attempts = tries,
                              .retrying = true,
                              .error = reason,
                              .error_position = position };
    stele_status status = stele__seat_write(subscription, seat, &edit, wait);
    if (status != STELE_OK)
        return status;
    end_batch(subscription, seat);
    seat->suspect = position;
    seat->counted = false;
    seat->retry_at_us = stele__clock_monotonic_us() + backoff_us(subscription, tries);
    stele__log(STELE_LOG_NOTICE,
               "the subscription '%s' failed at position %" PRId64 ", try %" PRId64 ": %s",
               subscription->name == NULL ? "" : subscription->name, position, tries, reason);
    return STELE_OK;
}

void stele__attempt_unclear(stele__seat *seat)
{
    seat->alone_until = seat->batch.records[seat->batch.count - 1]->position;
}
