/* Callers who wait: each takes a part in the work until its own is done. */
#include <inttypes.h>
#include <stdio.h>

#include "base/platform.h"
#include "frame/replica_own.h"

/* Nobody waits for longer without a look around. */
#define LOOK_EVERY_US 50000

/* With the mutex held. */
static stele_status refuse_to_ask(const stele__replica *replica)
{
    if (replica->stopped != STELE_OK)
        return stele__fail(replica->stopped, "%s", replica->stop_text);
    if (replica->shut)
        return stele__fail(STELE_BUSY, "the sequencer of this store is just being taken away");
    return STELE_OK;
}

/* With the mutex held: until when a thread may look away. */
static int64_t next_look_us(const stele__replica *replica, int64_t until_us)
{
    int64_t soon_us = stele__clock_monotonic_us() + LOOK_EVERY_US;
    if (soon_us < until_us)
        until_us = soon_us;
    if (replica->flight.there && replica->flight.place == 0 && replica->flight.due_us < until_us)
        until_us = replica->flight.due_us;
    return until_us;
}

void stele__replica_take_part(stele__replica *replica, int64_t until_us)
{
    until_us = next_look_us(replica, until_us);
    if (replica->pumping) {
        stele__condition_wait(&replica->changed, &replica->mutex, until_us);
        return;
    }
    replica->pumping = true;
    pthread_mutex_unlock(&replica->mutex);
    stele__pump_round(replica, until_us);
    pthread_mutex_lock(&replica->mutex);
    replica->pumping = false;
    pthread_cond_broadcast(&replica->changed);
}

static void leave_line(stele__replica *replica, stele__asked *asked)
{
    stele__asked **at = &replica->first;
    while (*at != asked)
        at = &(*at)->next;
    *at = asked->next;
    if (replica->last == &asked->next)
        replica->last = at;
}

/* Its time is over, as this thread's text says. True when that is settled, or will be. */
static bool give_up(stele__replica *replica, stele__asked *asked, stele_status status)
{
    bool given_up = true;
    pthread_mutex_lock(&replica->mutex);
    if (asked->state == STELE__ASKING_WAITS) {
        leave_line(replica, asked);
        stele__asked_end(asked, status, stele_error_text());
    } else if (asked->state == STELE__ASKING_FLIES) {
        asked->gave_up = status;
        snprintf(asked->error, sizeof(asked->error), "%s", stele_error_text());
        stele__flight_withdraw(replica);
    } else if (asked->state == STELE__ASKING_FORMS) {
        given_up = false; /* in a moment */
    }
    pthread_mutex_unlock(&replica->mutex);
    return given_up;
}

/* Neither frame was seen. */
static void abandon(stele__replica *replica, stele__asked *asked)
{
    pthread_mutex_lock(&replica->mutex);
    stele__flight *flight = &replica->flight;
    for (size_t i = 0; i < flight->seat_count; i++)
        if (flight->seats[i] == asked)
            flight->seats[i] = NULL;
    if (asked->state == STELE__ASKING_FLIES) {
        stele__fail(STELE_UNKNOWN_OUTCOME,
                    "the log was asked to withdraw the change, and didn't answer for %" PRIu32
                    " ms; before that: %s",
                    replica->options.grace_ms, asked->error);
        stele__asked_end(asked, STELE_UNKNOWN_OUTCOME, stele_error_text());
        replica->info.unknown++;
    }
    pthread_mutex_unlock(&replica->mutex);
}

static stele_status check_time(stele__replica *replica, stele__patience *patience)
{
    stele_status status = stele__patience_check(patience, "ordering a change");
    if (status != STELE_OK)
        return stele__fail_within(status, "withdrawn, nothing was applied");
    pthread_mutex_lock(&replica->mutex);
    status = replica->shut ? refuse_to_ask(replica) : STELE_OK;
    pthread_mutex_unlock(&replica->mutex);
    return status;
}

/* Until the change is over. */
static void see_through(stele__replica *replica, stele__asked *asked, stele__patience *patience)
{
    int64_t grace_until_us = INT64_MAX;
    for (;;) {
        stele__flight_launch(replica);
        int64_t until_us =
            asked->gave_up == STELE_OK ? stele__patience_next_check_us(patience) : grace_until_us;
        pthread_mutex_lock(&replica->mutex);
        if (asked->state != STELE__ASKING_OVER)
            stele__replica_take_part(replica, until_us);
        bool over = asked->state == STELE__ASKING_OVER;
        pthread_mutex_unlock(&replica->mutex);
        if (over)
            return;
        if (asked->gave_up != STELE_OK) {
            if (stele__clock_monotonic_us() >= grace_until_us)
                abandon(replica, asked);
            continue;
        }
        stele_status status = check_time(replica, patience);
        if (status != STELE_OK && give_up(replica, asked, status))
            grace_until_us =
                stele__clock_monotonic_us() + (int64_t)replica->options.grace_ms * 1000;
    }
}

stele_status stele__replica_propose(stele__sequencer *sequencer, stele_store *store,
                                    const stele__change *change)
{
    stele__replica *replica = (stele__replica *)sequencer;
    stele__asked asked = { .change = change };
    stele__patience patience;
    stele_status status = stele__patience_begin(&patience, change->wait,
                                                store->options.busy_timeout_ms, &store->closing);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&replica->mutex);
    status = refuse_to_ask(replica);
    if (status == STELE_OK) {
        *replica->last = &asked;
        replica->last = &asked.next;
        replica->inside++;
    }
    pthread_mutex_unlock(&replica->mutex);
    if (status != STELE_OK)
        return status;

    see_through(replica, &asked, &patience);

    pthread_mutex_lock(&replica->mutex);
    replica->inside--;
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->mutex);
    stele__restore_error(asked.error);
    return asked.status;
}

/* --- Without a change of one's own --- */

/* What a pump waits for. */
typedef struct pumping {
    uint64_t asked; /* for the log's end, as replica->head_asked counts */
    bool known;
    uint64_t target;   /* that end */
    uint64_t failures; /* of applying, before */
} pumping;

/* With the mutex held. True when there is nothing more to do. */
static bool is_pumped(const stele__replica *replica, pumping *own, stele_status *status_out)
{
    *status_out = refuse_to_ask(replica);
    if (*status_out != STELE_OK)
        return true;
    if (!own->known && replica->head_answered >= own->asked) {
        own->known = true;
        own->target = replica->info.head;
    }
    if (own->known && replica->place.applied >= own->target)
        return true;
    if (replica->troubled != STELE_OK && replica->info.apply_errors != own->failures)
        *status_out = stele__fail(replica->troubled, "%s", replica->trouble_text);
    return *status_out != STELE_OK;
}

stele_status stele__replica_pump(stele__replica *replica, const stele_wait *wait,
                                 uint64_t *applied_out)
{
    stele_store *store = replica->store;
    stele__patience patience;
    if (atomic_load(&store->writer_thread) == stele__thread_id())
        return stele__fail(STELE_MISUSE, "this thread has a transaction open: end that first");
    stele_status status =
        stele__patience_begin(&patience, wait, store->options.busy_timeout_ms, &store->closing);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&replica->mutex);
    pumping own = { .asked = ++replica->head_asked, .failures = replica->info.apply_errors };
    replica->inside++;
    pthread_mutex_unlock(&replica->mutex);

    bool over = false;
    while (!over) {
        int64_t until_us = stele__patience_next_check_us(&patience);
        pthread_mutex_lock(&replica->mutex);
        over = is_pumped(replica, &own, &status);
        if (!over) {
            stele__replica_take_part(replica, until_us);
            over = is_pumped(replica, &own, &status);
        }
        pthread_mutex_unlock(&replica->mutex);
        if (over)
            break;
        status = stele__patience_check(&patience, "applying what the log holds");
        over = status != STELE_OK;
    }
    if (status == STELE_OK)
        stele__pump_erase(replica);

    pthread_mutex_lock(&replica->mutex);
    if (applied_out != NULL)
        *applied_out = replica->place.applied;
    replica->inside--;
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->mutex);
    return status;
}
