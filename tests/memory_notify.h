/**
 * @file tests/memory_notify.h
 * The notifier among the scenarios of tests/memory_scenarios.h, which includes this.
 */
#ifndef STELE_TESTS_MEMORY_NOTIFY_H
#define STELE_TESTS_MEMORY_NOTIFY_H

#include <stele/notify.h>

/* The head is known at once; a wait beyond it has to connect. */
static stele_status try_notifier(attempt *run)
{
    int descriptor = -1;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 1;
    stele_notifier *notifier = NULL;
    stele_notifier *alone = NULL;
    stele_listener *listener = NULL;
    stele_status status = stele_notifier_open(&alone);
    if (status == STELE_OK)
        status = stele_store_notifier(run->store, &notifier);
    if (status == STELE_OK)
        status = stele_listener_open(notifier, 0, &listener);
    if (status == STELE_OK)
        status = stele_listener_wait(listener, &wait, NULL);
    if (status == STELE_OK)
        status = stele_listener_wait(listener, &wait, NULL);
    if (status == STELE_TIMED_OUT)
        status = stele_listener_descriptor(listener, &descriptor);
    stele_listener_close(listener);
    stele_notifier_close(alone);
    return status;
}

#endif
