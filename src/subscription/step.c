/* One step of a subscription: find a batch on one of its seats, or wait for one. */
#include "base/options.h"
#include "base/platform.h"
#include "subscription/own.h"

/* How long work waits for an owner whose lease has ended: see seat.c. */
#define GRACE_LOOK_US 50000
/* However short the caller wants to wait, a look at the log may take so long. */
#define LOOK_MS_MIN 1000u

stele_status stele__subscription_check(stele_subscription *subscription)
{
    if (subscription == NULL)
        return stele__fail(STELE_MISUSE, "subscription is NULL");
    stele_status status = stele__store_check(subscription->store);
    if (status != STELE_OK)
        return status;
    if (subscription->in_handler)
        return stele__fail(STELE_MISUSE, "called on a subscription from inside its handler");
    if (atomic_load(&subscription->store->writer_thread) == stele__thread_id())
        return stele__fail(STELE_MISUSE, "this thread has a transaction open: the subscription"
                                         " would wait for itself");
    if (atomic_load(&subscription->stopped) != 0)
        return stele__fail(STELE_CANCELLED, "the subscription was told to stop");
    return STELE_OK;
}

static int ask_subscription(void *context)
{
    const stele_subscription *subscription = context;
    if (atomic_load(&subscription->stopped) != 0)
        return 1;
    return subscription->progress == NULL ? 0
                                          : subscription->progress(subscription->progress_context);
}

stele_status stele__subscription_take_wait(stele_subscription *subscription,
                                           const stele_wait *given)
{
    stele_wait taken = STELE_WAIT_INIT;
    stele_status status = STELE_OK;
    if (given != NULL)
        status = stele__options_take("stele_wait", given, &taken, sizeof(taken));
    if (status != STELE_OK)
        return status;
    subscription->progress = taken.progress;
    subscription->progress_context = taken.context;
    subscription->wait = taken;
    subscription->wait.progress = ask_subscription;
    subscription->wait.context = subscription;
    return STELE_OK;
}

/* What a round over the seats has found. */
typedef struct step_round {
    int64_t until_us; /* when something is due by itself */
    int64_t after;    /* events beyond this are news; INT64_MAX: none are */
    uint64_t changes; /* that the notifier had counted when it began */
    bool all_done;    /* every seat is where it was to stop */
    bool progress;    /* something was done: look again */
    bool stuck;       /* some seat can't work now */
} step_round;

static bool is_at_stop(const stele_subscription *subscription, const stele__seat *seat)
{
    return subscription->stop_at >= 0 && seat->loaded && seat->scanned >= subscription->stop_at
           && seat->next >= seat->looked.count;
}

/* It couldn't be claimed: whether its owner sees to it is seen by its row. */
static void look_again_soon(stele__seat *seat, step_round *round)
{
    int64_t again = stele__clock_monotonic_us() + GRACE_LOOK_US;
    round->until_us = again < round->until_us ? again : round->until_us;
    seat->doubt = !seat->held;
}

/* Nothing matches, but a place is due to be noted: that it has begun, or how far it got. */
static stele_status note_progress(stele_subscription *subscription, stele__seat *seat,
                                  const stele_wait *wait, bool at_once, step_round *round)
{
    bool held = seat->held;
    bool due = stele__seat_skip_is_due(subscription, seat, &round->until_us)
               || (at_once && seat->scanned > seat->position);
    if (subscription->name == NULL || (!seat->fresh && !due))
        return STELE_OK;
    /* One that nobody works on any more is claimed for that, too: who waits for it to get on must
     * not wait for ever. */
    stele_status status = stele__seat_claim(subscription, seat, wait, &held);
    if (status == STELE_OK && !held) {
        round->all_done = false;
        look_again_soon(seat, round);
    }
    if (status == STELE_OK && held && due)
        status = subscription->group != NULL ? stele__lanes_flush(subscription, wait)
                                             : stele__seat_flush(subscription, seat, false, wait);
    return status;
}

/* There is a batch: lend it, if the seat is or can become this handle's. */
static stele_status take_batch(stele_subscription *subscription, stele__seat *seat,
                               const stele_wait *wait, step_round *round, stele__seat **seat_out)
{
    bool held = seat->held;
    bool was = held;
    stele_status status = STELE_OK;
    if (subscription->name != NULL)
        status = stele__seat_claim(subscription, seat, wait, &held);
    if (status != STELE_OK)
        return status;
    if (!held) {
        round->progress |= seat->held && !was; /* it was moved: read anew */
        round->stuck = true;
        look_again_soon(seat, round);
        return STELE_OK;
    }
    status = stele__seat_lend(subscription, seat);
    if (status == STELE_OK && seat->batch.count == 0) {
        /* All that was read waits behind parked events. */
        stele__seat_edit edit = { .to = seat->batch.through, .attempting = true };
        round->progress = true;
        return stele__seat_write(subscription, seat, &edit, wait);
    }
    if (status == STELE_OK) {
        subscription->lending = seat;
        *seat_out = seat;
    }
    return status;
}

/* Parked events are to be replayed, but another handle may be about to. */
static void note_asked_again(stele__seat *seat, int64_t now, step_round *round)
{
    round->stuck = true;
    round->all_done = false;
    if (now >= seat->asked_again_us)
        seat->asked = true;
    else if (seat->asked_again_us < round->until_us)
        round->until_us = seat->asked_again_us;
}

/* Looking is no waiting: who doesn't want to wait gets to see what is there all the same. */
static stele_wait look_long_enough(const stele_wait *wait)
{
    stele_wait look = STELE_WAIT_INIT;
    if (wait != NULL)
        look = *wait;
    if (look.timeout_ms < LOOK_MS_MIN)
        look.timeout_ms = LOOK_MS_MIN;
    return look;
}

static stele_status visit_seat(stele_subscription *subscription, stele__seat *seat,
                               const stele_wait *wait, step_round *round, stele__seat **seat_out)
{
    bool open = false;
    bool found = false;
    stele_status status = stele__seat_look(subscription, seat, &open, &round->until_us);
    if (status != STELE_OK)
        return status;
    if (!open && is_at_stop(subscription, seat)) /* its owner has got there */
        return STELE_OK;
    int64_t now = stele__clock_monotonic_us();
    if (seat->asked_again_us > 0 && subscription->running)
        note_asked_again(seat, now, round);
    if (!open || seat->retry_at_us > now) {
        if (seat->retry_at_us > now && seat->retry_at_us < round->until_us)
            round->until_us = seat->retry_at_us;
        round->all_done = false;
        round->stuck = true;
        return STELE_OK;
    }
    stele_wait look = look_long_enough(wait);
    if (!is_at_stop(subscription, seat))
        status = stele__seat_fetch(subscription, seat, &look, &found);
    if (status != STELE_OK)
        return status;
    if (found) {
        round->all_done = false;
        return take_batch(subscription, seat, wait, round, seat_out);
    }
    bool done = is_at_stop(subscription, seat);
    status = note_progress(subscription, seat, wait, done, round);
    round->progress |= seat->more && !done;
    if (!done) {
        round->all_done = false;
        if (seat->scanned < round->after)
            round->after = seat->scanned;
    }
    return status;
}

static stele_status visit_seats(stele_subscription *subscription, const stele_wait *wait,
                                step_round *round, stele__seat **seat_out)
{
    *round = (step_round){ .until_us = INT64_MAX,
                           .after = INT64_MAX,
                           .changes = stele__notifier_changes(subscription->notifier),
                           .all_done = true,
                           .stuck = subscription->group != NULL };
    stele_status status = STELE_OK;
    if (subscription->group != NULL)
        status = stele__group_balance(subscription, wait, &round->until_us);
    /* Who was dealt no lane is where others have brought it. */
    for (size_t i = 0; i < subscription->seat_count && round->stuck; i++)
        round->stuck = !subscription->seats[i].wanted;
    for (size_t i = 0; i < subscription->seat_count && status == STELE_OK && *seat_out == NULL;
         i++) {
        stele__seat *seat = &subscription->seats[subscription->seat_next];
        subscription->seat_next = (subscription->seat_next + 1) % subscription->seat_count;
        if (subscription->group != NULL && !seat->wanted) {
            /* Where others have it, done is what its row says. */
            round->all_done &=
                subscription->stop_at >= 0
                && stele__group_is_through(subscription, seat, subscription->stop_at);
            continue;
        }
        bool owes = seat->acked > seat->position;
        status = visit_seat(subscription, seat, wait, round, seat_out);
        /* Somebody set the checkpoint, or has taken over where nothing was acknowledged: go on. */
        if (status == STELE_CONFLICT || (status == STELE_FENCED && !owes)) {
            round->progress = true;
            status = STELE_OK;
        }
    }
    return status;
}

/* Whether a handler at work is to hear of something before the next wait. */
static bool needs_attention(stele_subscription *subscription, const step_round *round)
{
    if (!subscription->running)
        return false;
    for (size_t i = 0; i < subscription->seat_count; i++)
        if (subscription->seats[i].asked)
            return true;
    return !round->all_done && !subscription->told_live && !round->stuck && !round->progress;
}

/* `head` was known before the round: what is up to there was seen by it. */
static stele_status wait_for_news(stele_subscription *subscription, const step_round *round,
                                  int64_t head, stele__patience *patience)
{
    stele__waking waking = { .after = round->after > head ? round->after : head,
                             .interrupt = &subscription->stopped };
    int64_t until_us = round->until_us;
    /* With a name its row is looked at now and then; without one, whether the store has moved. */
    int64_t look_us = stele__clock_monotonic_us() + STELE__SEAT_LOOK_US;
    if (subscription->name == NULL && look_us < until_us)
        until_us = look_us;
    bool unseen =
        subscription->group != NULL && stele__group_is_unseen(subscription, round->changes);
    for (size_t i = 0; i < subscription->seat_count && subscription->name != NULL; i++) {
        const stele__seat *seat = &subscription->seats[i];
        bool matters = seat->loaded && (subscription->group == NULL || seat->wanted);
        if (!matters || seat->changes_seen >= round->changes)
            continue;
        unseen = true;
        if (seat->looked_us + STELE__SEAT_LOOK_US < until_us)
            until_us = seat->looked_us + STELE__SEAT_LOOK_US;
    }
    /* What had changed when this round began is looked at when its time has come; what has changed
     * since is news. */
    if (!unseen && subscription->name != NULL)
        waking.change = &round->changes;
    stele_status status =
        stele__notifier_await(subscription->notifier, &waking, until_us, patience);
    return status == STELE_BUSY ? STELE_TIMED_OUT : status;
}

/* Without a name there is no row that tells. */
static void note_known(stele_subscription *subscription, const stele__seat *seat)
{
    bool done = seat->next >= seat->looked.count;
    atomic_store(&subscription->known_position, done ? seat->scanned : seat->acked);
}

/* Between two looks of a long scan: its end may be far beyond the caller's patience, but how long
 * that is is asked of waiting only. */
static stele_status ask_to_go_on(stele__patience *patience)
{
    stele_status status = stele__patience_check(patience, "looking for events");
    return status == STELE_BUSY ? STELE_OK : status;
}

stele_status stele__subscription_step(stele_subscription *subscription, stele__patience *patience,
                                      const stele_wait *wait, stele__seat **seat_out)
{
    *seat_out = NULL;
    for (;;) {
        step_round round;
        if (atomic_load(&subscription->stopped) != 0)
            return stele__fail(STELE_CANCELLED, "the subscription was told to stop");
        int64_t head = stele_notifier_head(subscription->notifier);
        stele_status status = visit_seats(subscription, wait, &round, seat_out);
        if (subscription->name == NULL && subscription->seats[0].loaded)
            note_known(subscription, &subscription->seats[0]);
        if (status != STELE_OK || *seat_out != NULL)
            return status;
        if (round.progress) {
            status = ask_to_go_on(patience);
            if (status != STELE_OK)
                return status;
            continue;
        }
        if (!round.stuck && !round.all_done)
            subscription->live = true;
        if (needs_attention(subscription, &round))
            return STELE_TIMED_OUT;
        if (round.all_done)
            return STELE_DONE;
        status = wait_for_news(subscription, &round, head, patience);
        if (status != STELE_OK)
            return status;
    }
}
