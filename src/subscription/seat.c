/* Seats: changing the row of a checkpoint that this handle has claimed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/platform.h"
#include "subscription/own.h"

void stele__seat_rewind(stele_subscription *subscription, stele__seat *seat, int64_t position)
{
    if (subscription->lending == seat)
        subscription->lending = NULL;
    seat->position = position;
    seat->acked = position;
    seat->scanned = position;
    seat->looked = (stele__looked){ 0 };
    seat->next = 0;
    seat->more = false;
    seat->marked = false;
    seat->held_back_count = 0;
    seat->batch = (stele_batch){ 0 };
    seat->acked_us = 0;
    seat->skipped_us = 0;
    seat->suspect = 0;
    seat->attempts = 0;
    seat->counted = false;
    seat->died = false;
    seat->retry_at_us = 0;
    seat->work_seen_us = 0;
}

void stele__seat_lose(stele_subscription *subscription, stele__seat *seat)
{
    if (subscription->lending == seat)
        subscription->lost = true;
    stele__seat_rewind(subscription, seat, seat->position);
    seat->held = false;
    seat->loaded = false;
    seat->alone_until = 0;
    seat->alone_page = false;
}

/* --- Changing --- */

stele_status stele__seat_move_place(stele_subscription *subscription, stele__connection *connection,
                                    stele__place *place, int64_t to)
{
    char epoch[37];
    stele_status status = stele__epoch_current(connection->database, epoch);
    if (status == STELE_OK && strcmp(epoch, subscription->epoch) != 0)
        status = stele__epoch_check(connection->database, "the subscription", subscription->epoch,
                                    to, NULL);
    if (status != STELE_OK)
        return status;
    stele__place_move(subscription->store, place, to);
    memcpy(place->epoch, epoch, sizeof(epoch));
    return STELE_OK;
}

void stele__seat_note_lease(const stele_subscription *subscription, stele__seat *seat)
{
    seat->lease_renew_us =
        stele__clock_monotonic_us() + (int64_t)subscription->options.lease_ms * 500;
}

/* The row as this handle knows it, or why it isn't. */
static stele_status load_held(stele_subscription *subscription, stele__seat *seat,
                              stele__connection *connection, stele__place *place)
{
    bool found = false;
    int64_t shared = 0;
    stele_status status =
        stele__place_load(connection, subscription->name, seat->lane, place, &found);
    if (status == STELE_OK)
        status = stele__place_judge(connection, subscription->name, place, &shared);
    if (status != STELE_OK)
        return status;
    if (place->generation != seat->generation || place->owner[0] == '\0') {
        return stele__fail(STELE_FENCED,
                           "the subscription '%s' is of generation %" PRId64 ", owned by '%s';"
                           " this handle's was %" PRId64,
                           subscription->name, place->generation, place->owner, seat->generation);
    }
    if (place->position != seat->position)
        return stele__fail(STELE_CONFLICT,
                           "the checkpoint '%s' was set to %" PRId64 "; this handle had %" PRId64,
                           subscription->name, place->position, seat->position);
    return STELE_OK;
}

static stele_status write_parked(stele_subscription *subscription, stele__seat *seat,
                                 stele__connection *connection, const stele__seat_edit *edit)
{
    const char *name = subscription->name;
    stele_status status = STELE_OK;
    if (edit->unpark > 0)
        status = stele__parked_remove(connection, name, edit->unpark);
    if (status == STELE_OK && edit->park != NULL)
        status = stele__parked_store(connection, name, edit->park);
    for (size_t i = 0; i < seat->held_back_count && status == STELE_OK; i++) {
        const stele__held_back *one = &seat->held_backs[i];
        bool waits = false;
        stele__parked first;
        if (one->position > edit->to)
            break;
        status = stele__parked_first(connection, name, one->stream, 0, &first, &waits);
        if (status == STELE_OK && (!waits || first.position >= one->position)) {
            seat->marked = false;
            status = stele__fail(STELE_CONFLICT,
                                 "what position %" PRId64 " of '%s' waited behind isn't parked any"
                                 " more",
                                 one->position, name);
        }
        if (status != STELE_OK)
            break;
        stele__parked parked = { .position = one->position,
                                 .behind = one->behind,
                                 .parked_at = stele__store_now(subscription->store) };
        snprintf(parked.key, sizeof(parked.key), "%s", one->stream);
        status = stele__parked_store(connection, name, &parked);
    }
    return status;
}

/* How fast it goes, and how far behind it is: once a second. */
static void measure_seat(stele__seat *seat, int64_t to)
{
    int64_t now = stele__clock_monotonic_us();
    if (seat->measured_us == 0 || to < seat->measured_position) {
        seat->measured_us = now;
        seat->measured_position = to;
        seat->lag = seat->head > to ? seat->head - to : 0;
        seat->lag_before = seat->lag;
        return;
    }
    int64_t passed = now - seat->measured_us;
    if (passed < 1000000)
        return;
    seat->rate = (int64_t)((double)(to - seat->measured_position) * 1e6 / (double)passed);
    seat->lag_before = seat->lag;
    seat->lag = seat->head > to ? seat->head - to : 0;
    seat->measured_us = now;
    seat->measured_position = to;
}

stele_status stele__seat_write_within(stele_subscription *subscription, stele__seat *seat,
                                      stele__connection *connection, const stele__seat_edit *edit)
{
    stele_store *store = subscription->store;
    stele__place place;
    stele_status status = load_held(subscription, seat, connection, &place);
    if (status == STELE_OK)
        status = write_parked(subscription, seat, connection, edit);
    if (status != STELE_OK)
        return status;
    if (edit->to >= 0 && edit->to != place.position) {
        measure_seat(seat, edit->to);
        status = stele__seat_move_place(subscription, connection, &place, edit->to);
        if (status != STELE_OK)
            return status;
    }
    stele__place_renew(store, &place, subscription->options.lease_ms);
    place.attempts = edit->attempts;
    place.attempting = edit->attempting;
    place.rate = seat->rate;
    place.lag = seat->lag;
    place.lag_before = seat->lag_before;
    place.state = edit->stopped ? STELE_SUBSCRIPTION_STOPPED
                                : (edit->retrying ? STELE_SUBSCRIPTION_RETRYING
                                                  : STELE_SUBSCRIPTION_CATCHING);
    if (edit->error != NULL) {
        snprintf(place.error, sizeof(place.error), "%.*s",
                 (int)stele__utf8_cut(edit->error, strlen(edit->error), sizeof(place.error) - 1),
                 edit->error);
        place.error_position = edit->error_position;
        place.error_at = stele__store_now(store);
    }
    if (edit->release)
        stele__place_release(store, &place);
    return stele__place_store(connection, subscription->name, &place);
}

void stele__seat_written(stele_subscription *subscription, stele__seat *seat,
                         const stele__seat_edit *edit)
{
    if (edit->to >= 0) {
        seat->position = edit->to;
        if (seat->acked <= edit->to) {
            seat->acked = edit->to;
            seat->acked_us = 0;
        }
        if (seat->scanned < edit->to)
            seat->scanned = edit->to;
        if (seat->scanned <= edit->to)
            seat->skipped_us = 0;
        stele__seat_pass(seat, edit->to);
    }
    seat->attempts = edit->attempts;
    if (edit->park != NULL || edit->unpark > 0) { /* what of the page waits is another now */
        seat->parks = true;
        seat->marked = false;
    }
    seat->held = !edit->release;
    stele__seat_note_lease(subscription, seat);
}

/* What was acknowledged and not committed goes with whatever is: tries are counted of what is next
 * after the place. */
static stele__seat_edit complete_edit(const stele__seat *seat, const stele__seat_edit *edit)
{
    stele__seat_edit complete = *edit;
    if (seat->acked > seat->position && edit->to < seat->acked)
        complete.to = seat->acked;
    return complete;
}

stele_status stele__seat_write(stele_subscription *subscription, stele__seat *seat,
                               const stele__seat_edit *given, const stele_wait *wait)
{
    stele_store *store = subscription->store;
    stele__connection *connection = NULL;
    const stele__seat_edit complete = complete_edit(seat, given);
    const stele__seat_edit *edit = &complete;
    if (subscription->name == NULL) {
        stele__seat_written(subscription, seat, edit);
        seat->held = true;
        if (edit->stopped) {
            seat->refused = true;
            seat->refused_at = edit->error_position;
            snprintf(seat->reason, sizeof(seat->reason), "%s", edit->error);
        }
        return STELE_OK;
    }
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__write_begin_yielding(store, wait, &connection);
    if (status == STELE_OK) {
        status = stele__seat_write_within(subscription, seat, connection, edit);
        if (status == STELE_OK)
            status = stele__write_commit(store);
        stele__write_end(store);
    }
    stele__store_leave(store);
    if (status == STELE_OK)
        stele__seat_written(subscription, seat, edit);
    else if (status == STELE_FENCED)
        stele__seat_lose(subscription, seat);
    else if (status == STELE_CONFLICT || status == STELE_UNKNOWN_OUTCOME)
        seat->doubt = true;
    return status;
}

int64_t stele__seat_reached(const stele_subscription *subscription, const stele__seat *seat)
{
    if (seat->next >= seat->looked.count && seat->scanned > seat->acked
        && subscription->lending != seat)
        return seat->scanned;
    return seat->acked;
}

stele_status stele__seat_flush(stele_subscription *subscription, stele__seat *seat, bool release,
                               const stele_wait *wait)
{
    if (!seat->held || seat->doubt)
        return STELE_OK;
    int64_t to = stele__seat_reached(subscription, seat);
    if (to <= seat->position && !release)
        return STELE_OK;
    bool trouble = seat->attempts > 0 && to <= seat->position;
    stele__seat_edit edit = { .to = to > seat->position ? to : -1,
                              .attempts = trouble ? seat->attempts : 0,
                              .attempting = !release && !trouble,
                              .retrying = trouble,
                              .release = release };
    stele_status status = stele__seat_write(subscription, seat, &edit, wait);
    if (status == STELE_OK && release) {
        seat->loaded = false;
        seat->held = false;
    }
    return status;
}
