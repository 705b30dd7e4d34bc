/**
 * @file tests/notify_probes.h
 * The probes of tests/test_modes_matrix.c for notifiers.
 */
#ifndef STELE_TESTS_NOTIFY_PROBES_H
#define STELE_TESTS_NOTIFY_PROBES_H

#include <stele/notify.h>

static stele_status probe_notifier(void)
{
    stele_notifier *notifier = NULL;
    stele_status status = stele_store_notifier(store, &notifier);
    stele_notifier_close(notifier); /* does nothing */
    return status;
}

static stele_status probe_signal(void)
{
    stele_notifier *notifier = NULL;
    stele_status status = stele_store_notifier(store, &notifier);
    return status == STELE_OK ? stele_notifier_signal(notifier, stele_notifier_head(notifier))
                              : status;
}

/* There is an event in each of them. */
static stele_status probe_wait(void)
{
    stele_notifier *notifier = NULL;
    stele_status status = stele_store_notifier(store, &notifier);
    return status == STELE_OK ? stele_notifier_wait(notifier, 0, NULL, NULL) : status;
}

static stele_status probe_poll(void)
{
    stele_wait wait = STELE_WAIT_INIT;
    stele_notifier *notifier = NULL;
    wait.timeout_ms = 1;
    stele_status status = stele_store_notifier(store, &notifier);
    if (status == STELE_OK)
        status = stele_notifier_poll(notifier, &wait);
    return status == STELE_TIMED_OUT ? STELE_OK : status;
}

static stele_status probe_polling_thread(void)
{
    stele_notifier *notifier = NULL;
    stele_status status = stele_store_notifier(store, &notifier);
    if (status == STELE_OK)
        status = stele_notifier_start(notifier);
    stele_notifier_stop(notifier);
    return status == STELE_OK ? stele_notifier_join(notifier, NULL) : status;
}

static stele_status probe_listener(void)
{
    int descriptor = -1;
    stele_notifier *notifier = NULL;
    stele_listener *listener = NULL;
    stele_status status = stele_store_notifier(store, &notifier);
    if (status == STELE_OK)
        status = stele_listener_open(notifier, 0, &listener);
    if (status == STELE_OK)
        status = stele_listener_descriptor(listener, &descriptor);
    if (status == STELE_OK)
        status = stele_listener_wait(listener, NULL, NULL);
    stele_listener_close(listener);
    return status;
}

/* Made before it. */
static stele_status probe_wait_around(void)
{
    stele_notifier *notifier = NULL;
    stele_status status = stele_store_notifier(store, &notifier);
    if (status != STELE_OK)
        return status;
    status = begin_probe();
    if (status == STELE_OK)
        status = stele_notifier_wait(notifier, 0, NULL, NULL);
    return end_probe(status);
}

#endif
