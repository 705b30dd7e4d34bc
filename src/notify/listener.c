/* Listeners: who waits again and again. */
#include <inttypes.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"
#include "notify/notifier.h"

stele_status stele_listener_open(stele_notifier *notifier, int64_t after,
                                 stele_listener **listener_out)
{
    if (listener_out == NULL)
        return stele__fail(STELE_MISUSE, "listener_out is NULL");
    *listener_out = NULL;
    if (after < 0)
        return stele__fail(STELE_MISUSE, "the position to wait beyond is %" PRId64, after);
    stele_status status = stele__notifier_enter(notifier);
    if (status != STELE_OK)
        return status;
    stele_listener *listener = stele__allocate_array(1, sizeof(*listener));
    if (listener == NULL) {
        status = stele__fail(STELE_NO_MEMORY, "no memory for a listener");
    } else {
        stele__notifier_hold(notifier);
        *listener = (stele_listener){ .notifier = notifier, .heard = after, .event = { -1, -1 } };
        *listener_out = listener;
    }
    stele__notifier_leave(notifier);
    return status;
}

/* It has heard of the head: its descriptor is quiet, unless the head has moved on. */
static void hear(stele_listener *listener, int64_t head)
{
    stele_notifier *notifier = listener->notifier;
    if (listener->event[0] < 0) {
        listener->heard = head;
        return;
    }
    pthread_mutex_lock(&notifier->mutex);
    listener->heard = head;
    if (listener->readable && !atomic_load(&notifier->closed)) {
        stele__event_clear(listener->event);
        listener->readable = false;
        notifier->quiet_descriptors++;
        atomic_fetch_add(&notifier->waiting, 1);
        if (atomic_load(&notifier->head) > head)
            stele__notifier_wake_locked(notifier);
    }
    pthread_mutex_unlock(&notifier->mutex);
}

stele_status stele_listener_wait(stele_listener *listener, const stele_wait *wait,
                                 int64_t *head_out)
{
    int64_t head = 0;
    if (head_out != NULL)
        *head_out = 0;
    if (listener == NULL)
        return stele__fail(STELE_MISUSE, "the listener is NULL");
    stele_status status = stele__notifier_enter(listener->notifier);
    if (status != STELE_OK)
        return status;
    status = stele__notifier_wait(listener->notifier, listener->heard, wait, &head);
    if (status == STELE_OK)
        hear(listener, head);
    stele__notifier_leave(listener->notifier);
    if (head_out != NULL)
        *head_out = head;
    return status;
}

/* The caller is inside, and it has none. */
static stele_status open_descriptor(stele_listener *listener)
{
    stele_notifier *notifier = listener->notifier;
    int event[2] = { -1, -1 };
    stele_status status = stele__event_open(event);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&notifier->mutex);
    status = stele__notifier_start(notifier);
    if (status == STELE_OK) {
        listener->event[0] = event[0];
        listener->event[1] = event[1];
        listener->next = notifier->listeners;
        notifier->listeners = listener;
        notifier->quiet_descriptors++;
        atomic_fetch_add(&notifier->waiting, 1);
        if (atomic_load(&notifier->closed) || atomic_load(&notifier->head) > listener->heard)
            stele__notifier_wake_locked(notifier);
    }
    pthread_mutex_unlock(&notifier->mutex);
    if (status != STELE_OK)
        stele__event_close(event);
    return status;
}

stele_status stele_listener_descriptor(stele_listener *listener, int *descriptor_out)
{
    if (descriptor_out == NULL)
        return stele__fail(STELE_MISUSE, "descriptor_out is NULL");
    *descriptor_out = -1;
    if (listener == NULL)
        return stele__fail(STELE_MISUSE, "the listener is NULL");
    stele_status status = stele__notifier_enter(listener->notifier);
    if (status != STELE_OK)
        return status;
    if (listener->event[0] < 0)
        status = open_descriptor(listener);
    *descriptor_out = listener->event[0];
    stele__notifier_leave(listener->notifier);
    return status;
}

static void remove_descriptor(stele_listener *listener)
{
    stele_notifier *notifier = listener->notifier;
    pthread_mutex_lock(&notifier->mutex);
    stele_listener **at = &notifier->listeners;
    while (*at != listener)
        at = &(*at)->next;
    *at = listener->next;
    if (!listener->readable) {
        notifier->quiet_descriptors--;
        atomic_fetch_sub(&notifier->waiting, 1);
    }
    pthread_mutex_unlock(&notifier->mutex);
}

void stele_listener_close(stele_listener *listener)
{
    if (listener == NULL)
        return;
    /* A child after fork() may have inherited a locked mutex; the descriptors are copies. */
    if (listener->event[0] >= 0 && listener->notifier->fork_count == stele__fork_count())
        remove_descriptor(listener);
    stele__event_close(listener->event);
    stele__notifier_release(listener->notifier);
    stele__free(listener);
}
