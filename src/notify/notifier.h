/*
 * The notifier, between its files.
 *
 * Who waits registers under the mutex, compares, and only then sleeps. Who signals moves the head,
 * and only then looks whether anybody is registered. Both are sequentially consistent, so one of
 * them sees the other: without a lock where nobody waits. A commit without events takes none where
 * nobody waits for any commit: readers that save their place don't wake one another.
 *
 * One thread at a time watches: it polls the file, or, where there is nothing to poll, looks now
 * and then whether somebody was interrupted. It is one of those who wait, one in
 * stele_notifier_poll(), or the notifier's own thread; who leaves hands over.
 *
 * `mutex` is held for moments only: never while SQLite or the user runs. Lock order: the store's
 * mutex, then this one.
 */
#ifndef STELE_NOTIFY_NOTIFIER_H
#define STELE_NOTIFY_NOTIFIER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <stele/notify.h>

#include "base/patience.h"
#include "notify/waiting.h"
#include "store/store.h"

/* Without a store: how often it is looked whether somebody was interrupted. */
#define STELE__NOTIFY_INTERVAL_US 50000

/* Between which steps a test may delay a thread. */
typedef enum stele__notify_moment {
    STELE__MOMENT_VERSION_READ,
    STELE__MOMENT_HEAD_SCANNED,
    STELE__MOMENT_SIGNAL,     /* the head was moved; who waits isn't looked for yet */
    STELE__MOMENT_WAKE,       /* somebody waits, and isn't woken yet */
    STELE__MOMENT_ASKED,      /* whether to go on waiting, without the mutex */
    STELE__MOMENT_COMPARED,   /* before registering */
    STELE__MOMENT_REGISTERED, /* before comparing again */
    STELE__MOMENT_SLEEP,      /* before sleeping */
    STELE__MOMENT_COUNT
} stele__notify_moment;

/* Called at each of them when set; those of who waits with the mutex held, as they are, but where
 * it says otherwise. */
extern void (*stele__notify_pause)(stele__notify_moment moment);

struct stele_notifier {
    stele_store *store; /* NULL: none */
    stele__watcher watcher;
    uint32_t fork_count;
    bool has_file; /* that others may write to */
    int64_t interval_us;
    int64_t floor_us;

    _Atomic(int64_t) head;
    _Atomic(uint64_t) changes;
    _Atomic(uint64_t) own_changes;  /* those of them that this store told of */
    atomic_uint waiting;            /* registered, and quiet descriptors; changed under the mutex */
    atomic_uint waiting_for_change; /* those of them whom any commit wakes */
    atomic_bool moved;              /* the head, and nobody was told yet */
    atomic_uint interrupts;         /* how often stele__notifier_interrupt() was called */
    atomic_uint stops;              /* how often stele_notifier_stop() was */
    atomic_bool closed;             /* set under the mutex, read anywhere */

    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_cond_t left;        /* a call or something that polls ended */
    uint64_t generation;        /* of registrations: those of an older one were woken */
    uint32_t sleeping;          /* whoever is in or about a wait, registered or not */
    uint32_t quiet_descriptors; /* of listeners, not readable now */
    stele_listener *listeners;  /* those with a descriptor */
    size_t call_count;          /* without a store */
    size_t reference_count;     /* without a store */
    bool watched;               /* somebody has the watch */
    uint32_t poller_count;      /* in stele_notifier_poll() */
    bool has_thread;            /* to be joined */
    bool thread_runs;
    bool joining;
    unsigned thread_stops; /* `stops` when it was asked for */
    pthread_t thread;

    /* Owned by who has the watch. */
    stele__connection connection;
    int64_t next_poll_us;
    int64_t pace_us;
    int64_t busy_until_us; /* when a file that is busy still is a failure; INT64_MAX: it isn't */
    uint32_t version;
    uint64_t own_changes_seen;
    unsigned interrupts_seen;
    bool knows_version;
    bool ever_polled; /* with success */

    /* For the controls of tests. */
    bool compares_once; /* an edge: what happens before the sleep is missed */
    bool scans_first;   /* the head is read before the version */
};

struct stele_listener {
    stele_notifier *notifier;
    int64_t heard; /* of what is up to here; with a descriptor changed under the mutex */
    int event[2];  /* -1: none */
    bool readable;
    stele_listener *next;
};

/* Someone who waits in this area. */
typedef struct stele__sleeper {
    const stele__waking *waking; /* NULL: for nothing, only to watch */
    bool watches;                /* until `stops` moves */
    unsigned stops;
    bool demanding;            /* a poll that fails when none ever worked is the end */
    int64_t until_us;          /* INT64_MAX: no end */
    stele__patience *patience; /* NULL: without */
    bool registered;
    uint64_t generation;
    bool has_watch;
} stele__sleeper;

/* notifier.c. Begin a call: MISUSE for NULL, after fork(), or inside a callback; CLOSED. */
stele_status stele__notifier_enter(stele_notifier *notifier);
void stele__notifier_leave(stele_notifier *notifier);
/* MISUSE when this thread has a transaction open on the store. */
stele_status stele__notifier_check_thread(const stele_notifier *notifier);
/* For listeners, which outlive it. */
void stele__notifier_hold(stele_notifier *notifier);
void stele__notifier_release(stele_notifier *notifier);
/* The head is at least here: wakes nobody yet. Whether it moved. */
bool stele__notifier_raise(stele_notifier *notifier, int64_t head);
/* After that: wake who waits for the head, if it moved; and for any commit. */
void stele__notifier_tell(stele_notifier *notifier);
/* Wake all who sleep, with the mutex held. */
void stele__notifier_wake_locked(stele_notifier *notifier);

/* sleep.c. Until something that the sleeper waits for, with its status. OK also for `until_us`. */
stele_status stele__notifier_sleep(stele_notifier *notifier, stele__sleeper *sleeper);
/* stele_notifier_wait() inside a call. */
stele_status stele__notifier_wait(stele_notifier *notifier, int64_t after, const stele_wait *wait,
                                  int64_t *head_out);

/* poll.c. With the watch: look at the file. */
stele_status stele__notifier_look(stele_notifier *notifier);
/* End the thread, and the connection. Nobody is inside. */
void stele__notifier_end(stele_notifier *notifier);
/* With the mutex held: start the thread unless one runs. */
stele_status stele__notifier_start(stele_notifier *notifier);

static inline void stele__notifier_pause(stele__notify_moment moment)
{
    if (stele__notify_pause != NULL)
        stele__notify_pause(moment);
}

#endif
