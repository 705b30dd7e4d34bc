/* Replaying parked events: by position, of each stream as long as none fails, each alone. */
#include "subscription/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/platform.h"

/* How soon a handle that may not yet take a place over looks again whether it may. */
#define REPLAY_LOOK_US 50000

/* --- One after the other --- */

/* The next row after `after` that is meant, and is the first of its stream by then. */
static stele_status find_next_first(const stele__replay_task *task, stele__connection *connection,
                                    int64_t after, stele__parked *parked, uint32_t *lane_out,
                                    bool *found_out)
{
    const stele_subscription *subscription = task->subscription;
    uint32_t lanes = subscription->options.lanes;
    for (;;) {
        stele__parked first;
        bool there = false;
        int64_t stream_id = 0;
        stele_status status =
            task->asked
                ? stele__parked_asked(connection, subscription->name, after, parked, found_out)
                : stele__choice_next(connection, &task->choice, after, parked, found_out);
        if (status != STELE_OK || !*found_out)
            return status;
        status =
            stele__parked_first(connection, subscription->name, parked->key, 0, &first, &there);
        if (status == STELE_OK && lanes > 0)
            status = stele__parked_stream_id(connection, parked->key, &stream_id);
        if (status != STELE_OK)
            return status;
        *lane_out = lanes > 0 ? stele__lane_of(stream_id, lanes) : 0;
        if (first.position == parked->position && (!task->asked || *lane_out == task->asked_lane))
            return STELE_OK;
        after = parked->position;
    }
}

static stele_status find_row(const stele__replay_task *task, int64_t after, stele__parked *parked,
                             uint32_t *lane_out, bool *found_out)
{
    stele_store *store = task->subscription->store;
    stele__connection *connection = NULL;
    *found_out = false;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = find_next_first(task, connection, after, parked, lane_out, found_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

/* What came to wait behind one that was asked for, after that: it is meant, too. */
static stele_status find_follower(const stele__replay_task *task, stele__parked *parked,
                                  bool *found_out)
{
    stele_store *store = task->subscription->store;
    stele__connection *connection = NULL;
    stele__parked next;
    *found_out = false;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = stele__parked_first(connection, task->subscription->name, parked->key, 0, &next,
                                     found_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    *found_out = status == STELE_OK && *found_out && next.asked_at == 0 && next.behind != 0
                 && next.attempts == 0 && next.parked_at > parked->asked_at;
    if (!*found_out)
        return status;
    next.asked_at = parked->asked_at;
    *parked = next;
    return STELE_OK;
}

static stele_status replay_row(stele__replay_task *task, stele__replay_row *row)
{
    bool more = true;
    while (more) {
        stele__replay_outcome outcome = STELE__REPLAY_GONE;
        stele_status status = stele__replay_event(task, row, &outcome);
        if (status != STELE_OK)
            return status;
        task->tried += outcome != STELE__REPLAY_GONE;
        task->counts.handled += outcome == STELE__REPLAY_HANDLED;
        task->counts.failed += outcome == STELE__REPLAY_FAILED;
        more = task->asked && outcome == STELE__REPLAY_HANDLED;
        if (more)
            status = find_follower(task, &row->parked, &more);
        if (status != STELE_OK)
            return status;
    }
    return STELE_OK;
}

/* What was read ahead was read before some of the parked ones are gone: what is acknowledged is
 * committed, and the rest read again. */
static stele_status give_back_page(stele_subscription *subscription, stele__seat *seat)
{
    if (subscription->lending == seat)
        subscription->lending = NULL;
    stele_status status = stele__seat_flush(subscription, seat, false, NULL);
    if (status != STELE_OK)
        return status;
    seat->scanned = seat->position;
    seat->acked = seat->position;
    seat->looked = (stele__looked){ 0 };
    seat->next = 0;
    seat->more = false;
    seat->marked = false;
    seat->held_back_count = 0;
    seat->batch = (stele_batch){ 0 };
    seat->skipped = (stele_skipped){ 0 };
    seat->skipped_us = 0;
    return STELE_OK;
}

/* By position: one that failed stays the first of its stream, so none behind it has its turn. */
static stele_status replay_rows(stele__replay_task *task,
                                stele_status (*hold)(stele_subscription *subscription,
                                                     stele__seat *seat, bool *held_out))
{
    stele_subscription *subscription = task->subscription;
    stele__replay_row row = { 0 };
    bool held = true;
    while (task->choice.limit == 0 || task->tried < task->choice.limit) {
        uint32_t lane = 0;
        bool found = false;
        if (atomic_load(&subscription->stopped) != 0)
            return stele__fail(STELE_CANCELLED, "the subscription was told to stop");
        stele_status status = find_row(task, row.parked.position, &row.parked, &lane, &found);
        if (status != STELE_OK || !found)
            return status;
        row.seat = &subscription->seats[lane == 0 ? 0 : lane - 1];
        status = hold(subscription, row.seat, &held);
        if (status == STELE_OK && held)
            status = give_back_page(subscription, row.seat);
        int64_t position = row.parked.position;
        if (status == STELE_OK && held)
            status = replay_row(task, &row);
        if (status != STELE_OK || !held)
            return status;
        row.parked.position = position;
    }
    return STELE_OK;
}

/* --- Now, on this thread --- */

/* An owner that is idle, or ended without a word, is overtaken: somebody wants this done now. */
static stele_status hold_at_once(stele_subscription *subscription, stele__seat *seat,
                                 bool *held_out)
{
    int64_t until = INT64_MAX;
    bool open = false;
    *held_out = true;
    seat->doubt = true;
    stele_status status = stele__seat_look(subscription, seat, &open, &until);
    if (status == STELE_OK && open && !seat->held) {
        seat->work_seen_us = 1;
        status = stele__seat_claim(subscription, seat, NULL, &open);
    }
    if (status == STELE_OK && !seat->held)
        status = stele__fail(STELE_BUSY,
                             "the subscription '%s' is owned by '%s': ask that for the replay",
                             subscription->name, seat->other);
    return status;
}

static stele_status count_for_replay(stele__replay_task *task)
{
    stele_store *store = task->subscription->store;
    stele__connection *connection = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = stele__choice_check_first(connection, &task->choice);
        if (status == STELE_OK)
            status = stele__choice_count(connection, &task->choice, &task->counts);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

/* How many there are afterwards; what failed before is told. */
static stele_status count_left(stele__replay_task *task, stele_status before)
{
    stele__replay_task recount = *task;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    recount.choice.position = 0;
    stele_status status = count_for_replay(&recount);
    if (status == STELE_OK)
        task->counts.left = recount.counts.left;
    if (before == STELE_OK)
        return status;
    stele__restore_error(error);
    return before;
}

static stele_status check_replay(stele_subscription *subscription, const stele_parked_choice *given,
                                 const stele_handler *handler, stele__replay_task *task,
                                 stele_handler *handler_out)
{
    stele_status status = stele__subscription_check(subscription);
    if (status == STELE_OK)
        status = stele__subscription_take_wait(subscription, NULL);
    if (status == STELE_OK)
        status = stele__handler_take(handler, handler_out);
    if (status == STELE_OK)
        status = stele__choice_take(given, &task->choice);
    if (status != STELE_OK)
        return status;
    if (subscription->name == NULL)
        return stele__fail(STELE_MISUSE, "a subscription without a name parks nothing");
    if (task->choice.subscription != NULL
        && strcmp(task->choice.subscription, subscription->name) != 0)
        return stele__fail(STELE_MISUSE, "the choice is of '%s', the subscription is '%s'",
                           task->choice.subscription, subscription->name);
    task->choice.subscription = subscription->name;
    return STELE_OK;
}

stele_status stele_subscription_replay(stele_subscription *subscription,
                                       const stele_parked_choice *choice,
                                       const stele_handler *handler,
                                       stele_parked_counts *counts_out)
{
    stele_handler taken;
    stele__replay_task task = { .subscription = subscription, .handler = &taken };
    if (counts_out != NULL)
        *counts_out = task.counts;
    stele_status status = check_replay(subscription, choice, handler, &task, &taken);
    if (status == STELE_OK)
        status = count_for_replay(&task);
    if (status == STELE_OK && task.counts.chosen > 0 && !task.choice.dry_run) {
        status = replay_rows(&task, hold_at_once);
        status = count_left(&task, status);
    }
    if (counts_out != NULL)
        *counts_out = task.counts;
    return status;
}

/* --- What somebody asked for --- */

/* Who has it may be about to do it. */
static stele_status hold_if_free(stele_subscription *subscription, stele__seat *seat,
                                 bool *held_out)
{
    bool open = false;
    int64_t until = INT64_MAX;
    *held_out = false;
    stele_status status = stele__seat_look(subscription, seat, &open, &until);
    if (status != STELE_OK || !open)
        return status;
    if (!seat->held)
        status = stele__seat_claim(subscription, seat, NULL, &open);
    *held_out = status == STELE_OK && seat->held;
    if (status == STELE_OK && !seat->held)
        seat->asked_again_us = stele__clock_monotonic_us() + REPLAY_LOOK_US;
    return status;
}

stele_status stele__replay_asked(stele_subscription *subscription, stele__seat *seat,
                                 const stele_handler *handler)
{
    stele__replay_task task = { .subscription = subscription,
                                .handler = handler,
                                .choice = STELE_PARKED_CHOICE_INIT,
                                .asked_lane = seat->lane,
                                .asked = true };
    seat->asked = false;
    seat->asked_again_us = 0;
    if (subscription->name == NULL || (subscription->group != NULL && !seat->wanted))
        return STELE_OK;
    stele_status status = replay_rows(&task, hold_if_free);
    if (stele__is_passing(status))
        seat->asked = true;
    if (task.tried > 0)
        stele__log(STELE_LOG_NOTICE,
                   "the subscription '%s' replayed %" PRIu64 " parked events, of which %" PRIu64
                   " failed",
                   subscription->name, task.tried, task.counts.failed);
    return status;
}
