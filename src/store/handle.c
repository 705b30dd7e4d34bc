/* The handle: entering and leaving calls, and its end. */
#include <assert.h>
#include <string.h>

#include "base/callback.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"
#include "sqlite/authorizer.h"
#include "store/anchoring.h"
#include "store/group.h"
#include "store/sequencer.h"
#include "store/store.h"

/* How long closing waits for another process's writer: who has the lock transfers at its end. */
#define CLOSE_TRANSFER_MS 100

uintptr_t stele__thread_id(void)
{
    static _Thread_local char mark;
    return (uintptr_t)&mark;
}

int64_t stele__store_now(const stele_store *store)
{
    if (stele__is_framing(store))
        return store->framing_time;
    if (store->options.clock == NULL)
        return stele__clock_now();
    const char *outer = stele__callback_begin("the clock");
    int64_t now = store->options.clock(store->options.clock_context);
    stele__callback_end(outer);
    return now;
}

stele_status stele__store_check(stele_store *store)
{
    if (store->fork_count != stele__fork_count())
        return stele__fail(STELE_MISUSE, "the store was opened before fork(): only free it here");
    if (atomic_load_explicit(&store->closing, memory_order_relaxed))
        return stele__fail(STELE_CLOSED, "the store was closed");
    return STELE_OK;
}

stele_status stele__store_enter(stele_store *store)
{
    if (store == NULL)
        return stele__fail(STELE_MISUSE, "the store is NULL");
    stele_status status = stele__store_check(store);
    if (status == STELE_OK && stele__callback_running() != NULL)
        status = stele__fail(STELE_MISUSE, "called from inside %s, which may call nothing",
                             stele__callback_running());
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&store->mutex);
    if (store->closing)
        status = stele__fail(STELE_CLOSED, "the store was closed");
    else
        store->call_count++;
    pthread_mutex_unlock(&store->mutex);
    return status;
}

void stele__store_leave(stele_store *store)
{
    pthread_mutex_lock(&store->mutex);
    if (--store->call_count == 0 && store->closing)
        pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

void stele__store_hold(stele_store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->reference_count++;
    pthread_mutex_unlock(&store->mutex);
}

void stele__store_release(stele_store *store)
{
    /* A child after fork() has one thread, and may have inherited a locked mutex. */
    bool ours = store->fork_count == stele__fork_count();
    if (ours)
        pthread_mutex_lock(&store->mutex);
    bool last = --store->reference_count == 0;
    if (ours)
        pthread_mutex_unlock(&store->mutex);
    if (!last)
        return;
    for (int i = 0; i < STELE__ATTACHMENT_COUNT; i++)
        if (store->attachments[i].dispose != NULL)
            store->attachments[i].dispose(store->attachments[i].state);
    stele__anchoring_close(store);
    if (ours) {
        stele__group_close(store);
        pthread_cond_destroy(&store->changed);
        pthread_mutex_destroy(&store->mutex);
    }
    stele__free(store->path);
    stele__free(store);
}

void stele__connection_touch(stele__connection *connection)
{
    connection->changed = true;
}

void stele__connection_dispose(stele_store *store, stele__connection *connection)
{
    if (connection->database != NULL)
        atomic_fetch_sub(&store->connection_count, 1);
    for (int i = 0; i < STELE__SLOT_COUNT; i++) {
        if (connection->slots[i].dispose != NULL)
            connection->slots[i].dispose(connection->slots[i].state);
        connection->slots[i] = (stele__slot){ 0 };
    }
    stele__database_close(connection->database);
    connection->database = NULL;
}

/* Nobody is inside any more: what a transaction left open is rolled back under its feet. */
static void end_open_transaction(stele_store *store)
{
    if (store->transaction == NULL)
        return;
    store->transaction->over = true;
    stele__transaction_release(store->transaction);
    store->transaction = NULL;
    atomic_store(&store->writer_thread, 0);
    stele__authorizer_arm(store->writer.database, false);
    stele__write_end_held(store);
    stele__turn_pass(store);
}

/* The file alone is to be complete. */
static void tidy_file(stele_store *store)
{
    stele__patience patience;
    uint32_t left = 0;
    if (store->writer.database == NULL || store->options.read_only || store->memory
        || store->writer_broken)
        return;
    stele__patience_begin(&patience, NULL, CLOSE_TRANSFER_MS, NULL);
    stele__meta_clear_dirty(store);
    if (!store->writer_broken)
        stele__transfer_guarded(store, &patience, &left);
}

static void close_connections(stele_store *store)
{
    while (store->idle_readers != NULL) {
        stele__connection *reader = store->idle_readers;
        store->idle_readers = reader->next;
        stele__connection_dispose(store, reader);
        stele__free(reader);
    }
    tidy_file(store);
    stele__anchoring_close(store);
    stele__database_close(store->transferrer);
    store->transferrer = NULL;
    /* The last connection of all processes copies what is left and removes the WAL. */
    stele__connection_dispose(store, &store->writer);
    stele__turnstile_close(store->turnstile);
    store->turnstile = NULL;
    pthread_mutex_lock(&store->mutex); /* a ticket may be closed just now */
    stele__event_close(store->completions.event);
    pthread_mutex_unlock(&store->mutex);
}

void stele_store_close(stele_store *store)
{
    if (store == NULL)
        return;
    /* In a child after fork() the connections are the parent's: closing them would write. */
    if (store->fork_count != stele__fork_count()) {
        if (store->wrapped != NULL)
            stele__wrap_forget(store);
        stele__store_release(store);
        return;
    }
    /* It would wait for itself. */
    assert(stele__callback_running() == NULL && !stele__group_is_telling(store));

    pthread_mutex_lock(&store->mutex);
    store->closing = true;
    pthread_cond_broadcast(&store->changed);
    pthread_cond_broadcast(&store->requests->room);
    stele__waiters_wake(store);
    stele__watcher *watcher =
        atomic_load(&store->watcher); /* nobody begins to watch from here on */
    pthread_mutex_unlock(&store->mutex);
    if (watcher != NULL)
        watcher->closing(watcher->context);
    pthread_mutex_lock(&store->mutex);
    while (store->call_count > 0)
        stele__condition_wait(&store->changed, &store->mutex, INT64_MAX);
    pthread_mutex_unlock(&store->mutex);

    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    end_open_transaction(store);
    if (watcher != NULL)
        watcher->closed(watcher->context);
    /* It may have the turn: nobody takes the writer's connection before it gave that back. */
    stele__maintenance_stop(store);
    stele__group_drain(store);
    stele__maintenance_dispose(store);
    close_connections(store);
    if (store->wrapped != NULL)
        stele__wrap_forget(store);
    if (!store->memory)
        stele__fork_guard(-1);
    stele__restore_error(error);
    stele__store_release(store);
}
