/* Seats: looking at the row of a checkpoint, and claiming it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/platform.h"
#include "subscription/own.h"

/* How long work waits for an owner whose lease has ended before somebody else takes over. */
#define GRACE_US 250000
/* While another has it, the row is looked at so often: what it gives up is to be taken at once. */
#define BLOCKED_LOOK_US 100000

/* --- Looking --- */

/* The head as this transaction sees it. */
static stele_status find_position_head(stele__connection *connection, int64_t *head_out)
{
    return stele__database_number(connection->database,
                                  "SELECT coalesce(max(position), 0) FROM events", head_out);
}

static stele_status refuse_stopped(const stele_subscription *subscription,
                                   const stele__place *place)
{
    if (place->state != STELE_SUBSCRIPTION_STOPPED)
        return STELE_OK;
    return stele__fail(STELE_REFUSED,
                       "the subscription '%s' was stopped by the event at position %" PRId64 ": %s",
                       subscription->name, place->error_position, place->error);
}

/* Whether the row lets this handle work, as far as a look can tell. */
static void judge_seat_owner(stele_subscription *subscription, stele__seat *seat,
                             const stele__place *place)
{
    bool own = strcmp(place->owner, subscription->owner) == 0;
    seat->blocked_until_us = 0;
    if (own || place->owner[0] == '\0') {
        seat->other[0] = '\0';
        return;
    }
    snprintf(seat->other, sizeof(seat->other), "%s", place->owner);
    int64_t left = stele__lease_left_us(place->boot, place->lease_until);
    if (left > 0)
        seat->blocked_until_us = stele__clock_monotonic_us() + left;
}

static stele_status look_at_row(stele_subscription *subscription, stele__seat *seat,
                                stele__connection *connection)
{
    stele__place place;
    bool found = false;
    int64_t shared = 0;
    int64_t parked_at = 0;
    stele_status status =
        stele__place_load(connection, subscription->name, seat->lane, &place, &found);
    if (status == STELE_OK)
        status = stele__place_judge(connection, subscription->name, &place, &shared);
    if (status == STELE_OK)
        status = find_position_head(connection, &seat->head);
    if (status == STELE_OK)
        status = refuse_stopped(subscription, &place);
    if (status == STELE_OK)
        status = stele__parked_lowest(connection, subscription->name, &parked_at);
    if (status != STELE_OK)
        return status;
    int64_t position = place.position < 0 ? subscription->start_at : place.position;

    if (seat->held && (place.generation != seat->generation || place.owner[0] == '\0')) {
        stele__seat_lose(subscription, seat);
        seat->loaded = true;
    }
    judge_seat_owner(subscription, seat, &place);
    bool moved = position != seat->position;
    if (moved && subscription->lending == seat)
        subscription->lost = true;
    if (!seat->loaded || moved)
        stele__seat_rewind(subscription, seat, position);
    seat->loaded = true;
    seat->fresh = place.position < 0;
    seat->doubt = false;
    seat->effects_after = place.effects_after;
    if (seat->parks != (parked_at > 0))
        seat->marked = false;
    seat->parks = parked_at > 0;
    stele__parked parked;
    return stele__parked_asked(connection, subscription->name, 0, &parked, &seat->asked);
}

/* One without a name has no row. */
static stele_status look_at_nothing(stele_subscription *subscription, stele__seat *seat,
                                    stele__connection *connection)
{
    if (seat->refused)
        return stele__fail(STELE_REFUSED,
                           "the subscription was stopped by the event at position %" PRId64 ": %s",
                           seat->refused_at, seat->reason);
    stele_status status = find_position_head(connection, &seat->head);
    if (status != STELE_OK)
        return status;
    stele__seat_rewind(subscription, seat, subscription->start_at);
    seat->loaded = true;
    seat->held = true;
    return STELE_OK;
}

/* Whether there is reason to look: never looked, in doubt, the other's lease has ended, or somebody
 * has committed something since, but not more often than once in a while. */
static bool look_is_due(const stele_subscription *subscription, const stele__seat *seat,
                        int64_t now, int64_t *until_us)
{
    if (!seat->loaded || seat->doubt)
        return true;
    if (subscription->name == NULL)
        return false;
    if (seat->blocked_until_us > 0 && now >= seat->blocked_until_us)
        return true;
    int64_t next = INT64_MAX;
    bool blocked = seat->blocked_until_us > 0 && subscription->group == NULL;
    if (stele__notifier_changes(subscription->notifier) != seat->changes_seen)
        next = seat->looked_us + (blocked ? BLOCKED_LOOK_US : STELE__SEAT_LOOK_US);
    if (now >= next)
        return true;
    if (seat->blocked_until_us > 0 && seat->blocked_until_us < next)
        next = seat->blocked_until_us;
    *until_us = next < *until_us ? next : *until_us;
    return false;
}

stele_status stele__seat_look(stele_subscription *subscription, stele__seat *seat, bool *open_out,
                              int64_t *until_us)
{
    stele_store *store = subscription->store;
    stele_status status = STELE_OK;
    int64_t now = stele__clock_monotonic_us();
    if (look_is_due(subscription, seat, now, until_us)) {
        uint64_t changes = stele__notifier_changes(subscription->notifier);
        stele__connection *connection = NULL;
        status = stele__store_enter(store);
        if (status != STELE_OK)
            return status;
        status = stele__read_begin(store, &subscription->wait, &connection);
        if (status == STELE_OK) {
            status = subscription->name == NULL ? look_at_nothing(subscription, seat, connection)
                                                : look_at_row(subscription, seat, connection);
            stele__read_end(store, connection);
        }
        stele__store_leave(store);
        seat->changes_seen = changes;
        seat->looked_us = now;
        if (status != STELE_OK) /* the next call asks again */
            seat->doubt = seat->loaded;
    }
    *open_out = status == STELE_OK && (seat->held || seat->blocked_until_us == 0);
    if (status == STELE_OK && seat->blocked_until_us > 0 && seat->blocked_until_us < *until_us)
        *until_us = seat->blocked_until_us;
    return status;
}

/* --- Claiming --- */

/*
 * Events of an unclean end are tried alone: the next page, for a batch can't have had more. If it
 * had, because the bounds were others, there is one end more, and then one page more.
 *
 * A row that waits to try again isn't `attempting`: who ends then has died of nothing. Where events
 * are tried for ever, what the handler gave back isn't counted together with ends of its process:
 * those are counted from the first of them in a row.
 */
static void note_end_before(const stele_subscription *subscription, stele__seat *seat,
                            stele__place *place)
{
    seat->died = place->attempting && place->attempts > 0;
    seat->alone_until = 0;
    seat->alone_page = place->attempting;
    if (seat->died && place->state == STELE_SUBSCRIPTION_RETRYING
        && subscription->options.on_failure == STELE_ON_FAILURE_RETRY) {
        place->attempts = 1;
        place->state = STELE_SUBSCRIPTION_CATCHING;
    }
    place->attempting |= place->attempts == 0;
    seat->attempts = place->attempts;
}

static stele_status claim_place(stele_subscription *subscription, stele__seat *seat,
                                stele__connection *connection, bool *held_out)
{
    stele__place place;
    bool found = false;
    int64_t shared = 0;
    int64_t parked_at = 0;
    stele_status status =
        stele__place_load(connection, subscription->name, seat->lane, &place, &found);
    if (status == STELE_OK)
        status = stele__place_judge(connection, subscription->name, &place, &shared);
    if (status == STELE_OK)
        status = refuse_stopped(subscription, &place);
    if (status == STELE_OK)
        status = find_position_head(connection, &seat->head);
    if (status == STELE_OK && place.position < 0)
        status = stele__seat_move_place(subscription, connection, &place, subscription->start_at);
    if (status == STELE_OK)
        status = stele__parked_lowest(connection, subscription->name, &parked_at);
    if (status != STELE_OK)
        return status;
    judge_seat_owner(subscription, seat, &place);
    /* Somebody was faster; or the lanes are gone, which are made anew all at once. */
    if (seat->blocked_until_us > 0 || (seat->lane > 0 && !found))
        return STELE_OK;
    note_end_before(subscription, seat, &place);
    bool moved = place.position != seat->position;
    stele__place_claim(subscription->store, &place, subscription->owner,
                       subscription->options.lease_ms);
    place.lanes = subscription->options.lanes;
    status = stele__place_store(connection, subscription->name, &place);
    if (status != STELE_OK)
        return status;
    int64_t attempts = seat->attempts;
    bool died = seat->died;
    if (moved)
        stele__seat_rewind(subscription, seat, place.position);
    seat->attempts = attempts;
    seat->died = died;
    seat->generation = place.generation;
    seat->parks = parked_at > 0;
    seat->marked = false;
    seat->fresh = false;
    seat->effects_after = place.effects_after;
    *held_out = true;
    return STELE_OK;
}

stele_status stele__seat_claim(stele_subscription *subscription, stele__seat *seat,
                               const stele_wait *wait, bool *held_out)
{
    stele_store *store = subscription->store;
    stele__connection *connection = NULL;
    *held_out = seat->held;
    if (seat->held)
        return STELE_OK;
    /* Who has it may be about to do the work. Not so a member of a group: it renews its lease. */
    int64_t now = stele__clock_monotonic_us();
    if (seat->other[0] != '\0' && subscription->group == NULL) {
        if (seat->work_seen_us == 0)
            seat->work_seen_us = now;
        if (now < seat->work_seen_us + GRACE_US)
            return STELE_OK;
    }
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__write_begin(store, wait, &connection);
    if (status == STELE_OK) {
        int64_t position = seat->position;
        status = claim_place(subscription, seat, connection, held_out);
        if (status == STELE_OK && *held_out)
            status = stele__write_commit(store);
        stele__write_end(store);
        seat->held = status == STELE_OK && *held_out;
        /* What was noted above may not be so; and a commit of unknown outcome is seen by the row.
         */
        seat->doubt = !seat->held;
        /* It was moved meanwhile: what was read isn't what comes next. */
        *held_out = seat->held && position == seat->position;
    }
    stele__store_leave(store);
    seat->work_seen_us = 0;
    stele__seat_note_lease(subscription, seat);
    return status;
}
