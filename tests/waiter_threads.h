/**
 * @file tests/waiter_threads.h
 * Threads that wait on a notifier once, and say what they got.
 */
#ifndef STELE_TESTS_WAITER_THREADS_H
#define STELE_TESTS_WAITER_THREADS_H

#include "notifying.h"

#include <pthread.h>

typedef struct waiter {
    stele_notifier *notifier;
    int64_t after;
    int64_t head;
    stele_status status;
    pthread_t thread;
} waiter;

static inline void *run_waiter(void *context)
{
    waiter *own = context;
    own->status = wait_ms(own->notifier, own->after, MUST_COME_MS, &own->head);
    return NULL;
}

static inline void start_waiter(waiter *own, stele_notifier *notifier, int64_t after)
{
    *own = (waiter){ .notifier = notifier, .after = after };
    ck_assert_int_eq(pthread_create(&own->thread, NULL, run_waiter, own), 0);
}

/* It got that, and a head beyond what it waited for. */
static inline void expect_waiter(waiter *own, stele_status expected)
{
    ck_assert_int_eq(pthread_join(own->thread, NULL), 0);
    ck_assert_msg(own->status == expected, "a waiter got %s, not %s",
                  stele_status_name(own->status), stele_status_name(expected));
    if (expected == STELE_OK)
        ck_assert_int_gt(own->head, own->after);
}

#endif
