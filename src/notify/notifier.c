/* The notifier: its life, its head, and who signals. */
#include "notify/notifier.h"

#include <inttypes.h>

#include "base/callback.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"

#include <stele/eventstore.h>

void (*stele__notify_pause)(stele__notify_moment moment) = NULL;

/* --- Signalling --- */

bool stele__notifier_raise(stele_notifier *notifier, int64_t head)
{
    int64_t known = atomic_load(&notifier->head);
    while (head > known)
        if (atomic_compare_exchange_weak(&notifier->head, &known, head)) {
            atomic_store(&notifier->moved, true);
            return true;
        }
    return false;
}

/* With the mutex held: descriptors of those who have not heard of the head, or all. */
static void signal_descriptors(stele_notifier *notifier)
{
    int64_t head = atomic_load(&notifier->head);
    bool closed = atomic_load(&notifier->closed);
    for (stele_listener *listener = notifier->listeners; listener != NULL;
         listener = listener->next)
        if (!listener->readable && (closed || head > listener->heard)) {
            listener->readable = true;
            notifier->quiet_descriptors--;
            stele__event_signal(listener->event);
        }
}

/* Who was woken registers anew if it must: so that nobody is woken again before it ran. */
static void end_registrations(stele_notifier *notifier)
{
    if (notifier->quiet_descriptors > 0)
        signal_descriptors(notifier);
    notifier->generation++;
    atomic_store(&notifier->waiting, notifier->quiet_descriptors);
    atomic_store(&notifier->waiting_for_change, 0);
}

void stele__notifier_wake_locked(stele_notifier *notifier)
{
    end_registrations(notifier);
    pthread_cond_broadcast(&notifier->wake);
}

void stele__notifier_tell(stele_notifier *notifier)
{
    stele__notifier_pause(STELE__MOMENT_SIGNAL);
    bool moved = atomic_exchange(&notifier->moved, false);
    if (atomic_load(moved ? &notifier->waiting : &notifier->waiting_for_change) == 0)
        return;
    stele__notifier_pause(STELE__MOMENT_WAKE);
    pthread_mutex_lock(&notifier->mutex);
    end_registrations(notifier);
    pthread_mutex_unlock(&notifier->mutex);
    pthread_cond_broadcast(&notifier->wake); /* so they don't wake only to wait for the mutex */
}

void stele__notifier_wake(stele_notifier *notifier)
{
    pthread_mutex_lock(&notifier->mutex);
    stele__notifier_wake_locked(notifier);
    pthread_mutex_unlock(&notifier->mutex);
}

void stele__notifier_interrupt(stele_notifier *notifier)
{
    atomic_fetch_add(&notifier->interrupts, 1);
}

uint64_t stele__notifier_changes(const stele_notifier *notifier)
{
    return atomic_load(&notifier->changes);
}

stele_status stele_notifier_signal(stele_notifier *notifier, int64_t position)
{
    if (position < 0)
        return stele__fail(STELE_MISUSE, "the position is %" PRId64, position);
    stele_status status = stele__notifier_enter(notifier);
    if (status != STELE_OK)
        return status;
    if (stele__notifier_raise(notifier, position))
        stele__notifier_tell(notifier);
    stele__notifier_leave(notifier);
    return STELE_OK;
}

int64_t stele_notifier_head(const stele_notifier *notifier)
{
    return notifier == NULL ? 0 : atomic_load(&notifier->head);
}

/* --- Life --- */

/* All that wait leave with CLOSED. */
static void close_notifier(void *context)
{
    stele_notifier *notifier = context;
    pthread_mutex_lock(&notifier->mutex);
    atomic_store(&notifier->closed, true);
    stele__notifier_wake_locked(notifier);
    pthread_cond_broadcast(&notifier->left);
    pthread_mutex_unlock(&notifier->mutex);
}

static void free_notifier(void *context)
{
    stele_notifier *notifier = context;
    if (notifier == NULL)
        return;
    /* A child after fork() may have inherited a locked mutex. */
    if (notifier->fork_count == stele__fork_count()) {
        pthread_cond_destroy(&notifier->wake);
        pthread_cond_destroy(&notifier->left);
        pthread_mutex_destroy(&notifier->mutex);
    }
    stele__free(notifier);
}

static stele_notifier *make_notifier(void)
{
    stele_notifier *notifier = stele__allocate_array(1, sizeof(*notifier));
    if (notifier == NULL) {
        stele__fail(STELE_NO_MEMORY, "no memory for a notifier");
        return NULL;
    }
    stele__fork_watch();
    notifier->fork_count = stele__fork_count();
    notifier->interval_us = STELE__NOTIFY_INTERVAL_US;
    notifier->floor_us = STELE__NOTIFY_INTERVAL_US;
    notifier->reference_count = 1;
    notifier->busy_until_us = INT64_MAX;
    pthread_mutex_init(&notifier->mutex, NULL);
    stele__condition_init(&notifier->wake);
    stele__condition_init(&notifier->left);
    return notifier;
}

stele_status stele_notifier_open(stele_notifier **notifier_out)
{
    if (notifier_out == NULL)
        return stele__fail(STELE_MISUSE, "notifier_out is NULL");
    *notifier_out = make_notifier();
    return *notifier_out == NULL ? STELE_NO_MEMORY : STELE_OK;
}

void stele__notifier_hold(stele_notifier *notifier)
{
    if (notifier->store != NULL) {
        stele__store_hold(notifier->store);
        return;
    }
    pthread_mutex_lock(&notifier->mutex);
    notifier->reference_count++;
    pthread_mutex_unlock(&notifier->mutex);
}

void stele__notifier_release(stele_notifier *notifier)
{
    if (notifier->store != NULL) {
        stele__store_release(notifier->store);
        return;
    }
    bool ours = notifier->fork_count == stele__fork_count();
    if (ours)
        pthread_mutex_lock(&notifier->mutex);
    bool last = --notifier->reference_count == 0;
    if (ours)
        pthread_mutex_unlock(&notifier->mutex);
    if (last)
        free_notifier(notifier);
}

void stele_notifier_close(stele_notifier *notifier)
{
    if (notifier == NULL || notifier->store != NULL)
        return;
    if (notifier->fork_count == stele__fork_count()) {
        close_notifier(notifier);
        pthread_mutex_lock(&notifier->mutex);
        while (notifier->call_count > 0)
            stele__condition_wait(&notifier->left, &notifier->mutex, INT64_MAX);
        pthread_mutex_unlock(&notifier->mutex);
    }
    stele__notifier_release(notifier);
}

/* Without a store. */
static stele_status enter_alone(stele_notifier *notifier)
{
    if (notifier->fork_count != stele__fork_count())
        return stele__fail(STELE_MISUSE, "the notifier was opened before fork(): only close it");
    if (stele__callback_running() != NULL)
        return stele__fail(STELE_MISUSE, "called from inside %s, which may call nothing",
                           stele__callback_running());
    stele_status status = STELE_OK;
    pthread_mutex_lock(&notifier->mutex);
    if (atomic_load(&notifier->closed))
        status = stele__fail(STELE_CLOSED, "the notifier was closed");
    else
        notifier->call_count++;
    pthread_mutex_unlock(&notifier->mutex);
    return status;
}

stele_status stele__notifier_enter(stele_notifier *notifier)
{
    if (notifier == NULL)
        return stele__fail(STELE_MISUSE, "the notifier is NULL");
    return notifier->store != NULL ? stele__store_enter(notifier->store) : enter_alone(notifier);
}

void stele__notifier_leave(stele_notifier *notifier)
{
    if (notifier->store != NULL) {
        stele__store_leave(notifier->store);
        return;
    }
    pthread_mutex_lock(&notifier->mutex);
    if (--notifier->call_count == 0 && atomic_load(&notifier->closed))
        pthread_cond_broadcast(&notifier->left);
    pthread_mutex_unlock(&notifier->mutex);
}

stele_status stele__notifier_check_thread(const stele_notifier *notifier)
{
    if (notifier->store != NULL
        && atomic_load(&notifier->store->writer_thread) == stele__thread_id())
        return stele__fail(STELE_MISUSE,
                           "this thread has a transaction open: nothing comes while it waits");
    return STELE_OK;
}

/* --- The store's --- */

static void note_committed(void *context, int64_t head)
{
    stele_notifier *notifier = context;
    stele__notifier_raise(notifier, head);
    atomic_fetch_add(&notifier->own_changes, 1);
    atomic_fetch_add(&notifier->changes, 1);
}

static void tell_committed(void *context)
{
    stele_notifier *notifier = context;
    stele__notifier_tell(notifier);
}

static void end_notifier(void *context)
{
    stele_notifier *notifier = context;
    stele__notifier_end(notifier);
}

/* With the store's mutex held. First the commits are watched, then the head is compared: see
 * writer.c. */
static void attach_notifier(stele_store *store, stele_notifier *notifier)
{
    notifier->store = store;
    notifier->has_file = !store->memory && !store->options.immutable;
    notifier->interval_us = (int64_t)store->options.poll_interval_ms * 1000;
    notifier->floor_us = (int64_t)store->options.poll_floor_ms * 1000;
    atomic_store(&notifier->closed, atomic_load(&store->closing));
    notifier->watcher = (stele__watcher){ .committed = note_committed,
                                          .wake = tell_committed,
                                          .closing = close_notifier,
                                          .closed = end_notifier,
                                          .context = notifier };
    if (!atomic_load(&notifier->closed))
        stele__commits_watch(store, &notifier->watcher);
    stele__notifier_raise(notifier, atomic_load(&store->committed_head));
    store->attachments[STELE__ATTACHMENT_NOTIFIER].dispose = free_notifier;
    atomic_store(&store->attachments[STELE__ATTACHMENT_NOTIFIER].state, notifier);
}

/* The first time: what is in the file already, whoever wrote it. */
static stele_status make_for_store(stele_store *store, stele_notifier **notifier_out)
{
    int64_t head = 0;
    stele_status status = stele_store_head(store, &head);
    if (status != STELE_OK)
        return status;
    stele_notifier *notifier = make_notifier();
    if (notifier == NULL)
        return STELE_NO_MEMORY;
    stele__notifier_raise(notifier, head);
    pthread_mutex_lock(&store->mutex);
    stele_notifier *other = atomic_load(&store->attachments[STELE__ATTACHMENT_NOTIFIER].state);
    if (other == NULL)
        attach_notifier(store, notifier);
    pthread_mutex_unlock(&store->mutex);
    if (other != NULL)
        free_notifier(notifier);
    *notifier_out = other != NULL ? other : notifier;
    return STELE_OK;
}

stele_status stele_store_notifier(stele_store *store, stele_notifier **notifier_out)
{
    if (notifier_out == NULL)
        return stele__fail(STELE_MISUSE, "notifier_out is NULL");
    *notifier_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    stele_notifier *notifier = atomic_load(&store->attachments[STELE__ATTACHMENT_NOTIFIER].state);
    if (notifier == NULL)
        status = make_for_store(store, &notifier);
    *notifier_out = notifier;
    stele__store_leave(store);
    return status;
}
