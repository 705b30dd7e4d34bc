/* Waiting: to register, to compare, to sleep, and to watch for all who do. */
#include <inttypes.h>

#include "base/failure.h"
#include "base/platform.h"
#include "notify/notifier.h"

/* Whether what the sleeper waits for is so. */
static bool has_come(const stele_notifier *notifier, const stele__waking *waking)
{
    if (waking == NULL)
        return false;
    return atomic_load(&notifier->head) > waking->after
           || (waking->change != NULL && atomic_load(&notifier->changes) > *waking->change)
           || (waking->interrupt != NULL && atomic_load(waking->interrupt) != 0);
}

static bool is_stopped(const stele_notifier *notifier, const stele__sleeper *sleeper)
{
    return sleeper->watches && atomic_load(&notifier->stops) != sleeper->stops;
}

/* With the mutex held. Who only watches isn't woken by what comes. */
static void register_sleeper(stele_notifier *notifier, stele__sleeper *sleeper)
{
    stele__notifier_pause(STELE__MOMENT_COMPARED);
    if (sleeper->waking != NULL
        && (!sleeper->registered || sleeper->generation != notifier->generation)) {
        sleeper->registered = true;
        sleeper->generation = notifier->generation;
        atomic_fetch_add(&notifier->waiting, 1);
        if (sleeper->waking->change != NULL)
            atomic_fetch_add(&notifier->waiting_for_change, 1);
    }
    stele__notifier_pause(STELE__MOMENT_REGISTERED);
}

/* With the mutex held. */
static void leave_sleepers(stele_notifier *notifier, stele__sleeper *sleeper)
{
    notifier->sleeping--;
    if (sleeper->registered && sleeper->generation == notifier->generation) {
        atomic_fetch_sub(&notifier->waiting, 1);
        if (sleeper->waking->change != NULL)
            atomic_fetch_sub(&notifier->waiting_for_change, 1);
    }
    if (!sleeper->has_watch)
        return;
    notifier->watched = false;
    if (notifier->sleeping > 0) /* one of them takes it on */
        stele__notifier_wake_locked(notifier);
}

/* With the mutex held: nobody watches who should. Where there is no file only who can be
 * interrupted needs a watch. */
static bool lacks_watch(const stele_notifier *notifier, const stele__sleeper *sleeper)
{
    bool useful = notifier->has_file || sleeper->watches
                  || (sleeper->waking != NULL && sleeper->waking->interrupt != NULL);
    return useful && !notifier->watched;
}

/* With the mutex held. */
static void take_watch(stele_notifier *notifier, stele__sleeper *sleeper)
{
    if (!lacks_watch(notifier, sleeper))
        return;
    notifier->watched = true;
    sleeper->has_watch = true;
}

/* With the watch, and the mutex held, which is let go while the file is looked at. */
static stele_status keep_watch(stele_notifier *notifier, const stele__sleeper *sleeper)
{
    unsigned interrupts = atomic_load(&notifier->interrupts);
    if (interrupts != notifier->interrupts_seen) {
        notifier->interrupts_seen = interrupts;
        stele__notifier_wake_locked(notifier);
    }
    int64_t now_us = stele__clock_monotonic_us();
    if (now_us < notifier->next_poll_us)
        return STELE_OK;
    if (!notifier->has_file) {
        notifier->next_poll_us = now_us + notifier->interval_us;
        return STELE_OK;
    }
    pthread_mutex_unlock(&notifier->mutex);
    stele_status status = stele__notifier_look(notifier);
    pthread_mutex_lock(&notifier->mutex);
    bool hopeless = sleeper->demanding && !notifier->ever_polled && status != STELE_OK
                    && (status != STELE_BUSY || now_us >= notifier->busy_until_us);
    return hopeless ? status : STELE_OK;
}

/* With the mutex held. */
static int64_t wakes_at_us(const stele_notifier *notifier, const stele__sleeper *sleeper)
{
    int64_t at_us = sleeper->until_us;
    if (sleeper->patience != NULL) {
        int64_t check_us = stele__patience_next_check_us(sleeper->patience);
        at_us = check_us < at_us ? check_us : at_us;
    }
    if (sleeper->has_watch && notifier->next_poll_us < at_us)
        at_us = notifier->next_poll_us;
    if (sleeper->watches && !sleeper->has_watch) { /* to see that it was stopped */
        int64_t tick_us = stele__clock_monotonic_us() + notifier->interval_us;
        at_us = tick_us < at_us ? tick_us : at_us;
    }
    return at_us;
}

/* With the mutex held: one round, DONE when the waiting is over. */
static stele_status sleep_once(stele_notifier *notifier, stele__sleeper *sleeper)
{
    if (has_come(notifier, sleeper->waking) || is_stopped(notifier, sleeper))
        return STELE_DONE;
    if (sleeper->until_us != INT64_MAX && stele__clock_monotonic_us() >= sleeper->until_us)
        return STELE_DONE;
    if (sleeper->patience != NULL) {
        pthread_mutex_unlock(&notifier->mutex);
        stele_status status = stele__patience_check(sleeper->patience, "waiting for events");
        stele__notifier_pause(STELE__MOMENT_ASKED);
        pthread_mutex_lock(&notifier->mutex);
        if (status != STELE_OK)
            return status;
    }
    register_sleeper(notifier, sleeper);
    bool again = !notifier->compares_once
                 && (atomic_load(&notifier->closed) || has_come(notifier, sleeper->waking));
    /* Who had the watch may have left while the mutex was let go. */
    if (again || is_stopped(notifier, sleeper) || lacks_watch(notifier, sleeper))
        return STELE_OK;
    stele__notifier_pause(STELE__MOMENT_SLEEP);
    stele__condition_wait(&notifier->wake, &notifier->mutex, wakes_at_us(notifier, sleeper));
    return STELE_OK;
}

stele_status stele__notifier_sleep(stele_notifier *notifier, stele__sleeper *sleeper)
{
    stele_status status = STELE_OK;
    pthread_mutex_lock(&notifier->mutex);
    notifier->sleeping++;
    while (status == STELE_OK) {
        if (atomic_load(&notifier->closed)) {
            status = stele__fail(STELE_CLOSED, "the %s was closed",
                                 notifier->store != NULL ? "store" : "notifier");
            break;
        }
        take_watch(notifier, sleeper);
        if (sleeper->has_watch && !has_come(notifier, sleeper->waking))
            status = keep_watch(notifier, sleeper);
        if (status == STELE_OK)
            status = sleep_once(notifier, sleeper);
    }
    /* It may have come while somebody was asked whether to go on. */
    if (status == STELE_BUSY && has_come(notifier, sleeper->waking))
        status = STELE_DONE;
    leave_sleepers(notifier, sleeper);
    pthread_mutex_unlock(&notifier->mutex);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__notifier_await(stele_notifier *notifier, const stele__waking *waking,
                                   int64_t until_us, stele__patience *patience)
{
    stele__sleeper sleeper = { .waking = waking, .until_us = until_us, .patience = patience };
    stele_status status = stele__notifier_enter(notifier);
    if (status != STELE_OK)
        return status;
    status = stele__notifier_check_thread(notifier);
    if (status == STELE_OK && !has_come(notifier, waking))
        status = stele__notifier_sleep(notifier, &sleeper);
    stele__notifier_leave(notifier);
    return status;
}

stele_status stele__notifier_wait(stele_notifier *notifier, int64_t after, const stele_wait *wait,
                                  int64_t *head_out)
{
    stele__patience patience;
    stele__waking waking = { .after = after };
    stele__sleeper sleeper = {
        .waking = &waking, .demanding = true, .until_us = INT64_MAX, .patience = &patience
    };
    stele_status status = stele__patience_begin(&patience, wait, UINT32_MAX, NULL);
    if (status == STELE_OK)
        status = stele__notifier_check_thread(notifier);
    if (status == STELE_OK && !has_come(notifier, &waking))
        status = stele__notifier_sleep(notifier, &sleeper);
    /* Its own patience is over, or the file is busy: two things for the caller. */
    if (status == STELE_BUSY
        && stele__patience_check(&patience, "waiting for events") == STELE_BUSY)
        status = STELE_TIMED_OUT;
    *head_out = atomic_load(&notifier->head);
    return status;
}

stele_status stele_notifier_wait(stele_notifier *notifier, int64_t after, const stele_wait *wait,
                                 int64_t *head_out)
{
    if (head_out != NULL)
        *head_out = 0;
    if (after < 0)
        return stele__fail(STELE_MISUSE, "the position to wait beyond is %" PRId64, after);
    stele_status status = stele__notifier_enter(notifier);
    if (status != STELE_OK)
        return status;
    int64_t head = 0;
    status = stele__notifier_wait(notifier, after, wait, &head);
    if (head_out != NULL)
        *head_out = head;
    stele__notifier_leave(notifier);
    return status;
}
