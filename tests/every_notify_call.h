/**
 * @file tests/every_notify_call.h
 * The calls of tests/every_call.h on the store's notifier, which includes this.
 */
#ifndef STELE_TESTS_EVERY_NOTIFY_CALL_H
#define STELE_TESTS_EVERY_NOTIFY_CALL_H

#include <stele/notify.h>

/* Each of them may come after the store was closed: then only the first is tried. */
static inline stele_status call_wake(caller *self)
{
    (void)self;
    int64_t head = 0;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 1;
    stele_notifier *notifier = NULL;
    stele_listener *listener = NULL;
    stele_status status = stele_store_notifier(store, &notifier);
    if (status == STELE_OK)
        status = stele_listener_open(notifier, EVENTS_BEFORE - 1, &listener);
    for (int i = 0; i < 4 && (status == STELE_OK || status == STELE_TIMED_OUT); i++)
        status = stele_listener_wait(listener, &wait, &head);
    stele_listener_close(listener);
    return status == STELE_TIMED_OUT ? STELE_OK : status;
}

static inline stele_status call_watch(caller *self)
{
    (void)self;
    int descriptor = -1;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 1;
    stele_notifier *notifier = NULL;
    stele_listener *listener = NULL;
    stele_status status = stele_store_notifier(store, &notifier);
    if (status == STELE_OK)
        status = stele_listener_open(notifier, 0, &listener);
    if (status == STELE_OK)
        status = stele_listener_descriptor(listener, &descriptor);
    if (status == STELE_OK)
        status = stele_listener_wait(listener, &wait, NULL);
    if (status == STELE_OK)
        status = stele_notifier_poll(notifier, &wait);
    stele_listener_close(listener);
    return status == STELE_TIMED_OUT ? STELE_OK : status;
}

#endif
