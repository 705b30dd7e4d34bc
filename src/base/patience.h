/* How long a call may wait, and what stops it earlier. */
#ifndef STELE_BASE_PATIENCE_H
#define STELE_BASE_PATIENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <stele/store.h>

typedef struct stele__patience {
    int64_t deadline_us; /* on the monotonic clock, once it runs; INT64_MAX: none */
    uint32_t timeout_ms; /* what it was, for texts */
    int (*progress)(void *context);
    void *context;
    const atomic_bool *closing; /* the store's; NULL for none */
    int64_t asked_at_us;        /* when `progress` was last asked */
    bool yields;                /* to others who wait for the writer's turn */
} stele__patience;

/*
 * As `wait` says, or `default_ms` where it doesn't; UINT32_MAX there means no deadline. OK, or
 * MISUSE for a wrong struct.
 */
stele_status stele__patience_begin(stele__patience *patience, const stele_wait *wait,
                                   uint32_t default_ms, const atomic_bool *closing);

/* OK to go on; CLOSED, CANCELLED, BUSY (the deadline is over). Asks `progress` every 20 ms at most.
 * `what` is waited for. */
stele_status stele__patience_check(stele__patience *patience, const char *what);

/* Whether `status` is one of these three. */
bool stele__patience_is_over(stele_status status);

/* Sleep, but no longer than until the deadline, or 20 ms when there is somebody to ask. */
void stele__patience_sleep(stele__patience *patience, uint32_t microseconds);

/* Until when a condition variable on the monotonic clock may wait before the next check. */
int64_t stele__patience_next_check_us(stele__patience *patience);

#endif
