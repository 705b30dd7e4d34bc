/* Waiting for events or for something else, for those who compose. */
#ifndef STELE_NOTIFY_WAITING_H
#define STELE_NOTIFY_WAITING_H

#include <stdatomic.h>

#include <stele/notify.h>

#include "base/patience.h"

/* What may end a wait. */
typedef struct stele__waking {
    int64_t after;          /* the head is beyond this; INT64_MAX: doesn't matter */
    const uint64_t *change; /* there were more commits of any kind than this; NULL: no matter */
    const atomic_int *interrupt; /* isn't 0 any more; NULL: doesn't matter */
} stele__waking;

/*
 * Wait until one of these, no longer than until `until_us` on the monotonic clock (INT64_MAX: no
 * end) nor than `patience` allows (may be NULL). OK: one of them is so, or `until_us` is over: look
 * which. BUSY (the patience is over), CANCELLED, CLOSED, MISUSE, ... as stele_notifier_wait(). A
 * failure to poll is no end: it is tried again, for others may wake this thread.
 */
stele_status stele__notifier_await(stele_notifier *notifier, const stele__waking *waking,
                                   int64_t until_us, stele__patience *patience);

/* How many commits of any kind it has noticed: own ones, and from polling others'. */
uint64_t stele__notifier_changes(const stele_notifier *notifier);

/* An interrupt was set: who waits looks within a poll interval. Async-signal-safe. */
void stele__notifier_interrupt(stele_notifier *notifier);
/* The same at once; not in a signal handler. */
void stele__notifier_wake(stele_notifier *notifier);

#endif
