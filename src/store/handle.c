/* The handle: entering and leaving calls, and its end. */
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"
#include "store/store.h"

/* How long closing waits for another process's writer. */
#define CLOSE_WAIT_MS 100

uintptr_t stele__thread_id(void)
{
    static _Thread_local char mark;
    return (uintptr_t)&mark;
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
    if (ours) {
        pthread_cond_destroy(&store->turn);
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
    store->writer_taken = false;
    stele__database_rollback(store->writer.database);
}

void stele_store_close(stele_store *store)
{
    if (store == NULL)
        return;
    /* In a child after fork() the connections are the parent's: closing them would write. */
    if (store->fork_count != stele__fork_count()) {
        stele__store_release(store);
        return;
    }

    pthread_mutex_lock(&store->mutex);
    store->closing = true;
    pthread_cond_broadcast(&store->changed);
    pthread_cond_broadcast(&store->turn);
    while (store->call_count > 0)
        pthread_cond_wait(&store->changed, &store->mutex);
    pthread_mutex_unlock(&store->mutex);

    char error[STELE__ERROR_SIZE];
    snprintf(error, sizeof(error), "%s", stele_error_text());
    end_open_transaction(store);
    while (store->idle_readers != NULL) {
        stele__connection *reader = store->idle_readers;
        store->idle_readers = reader->next;
        stele__connection_dispose(store, reader);
        stele__free(reader);
    }
    if (store->writer.database != NULL && !store->options.read_only && !store->memory
        && !store->writer_broken) {
        uint32_t left = 0;
        /* Who has the lock now transfers at its own end: no need to wait for it. */
        stele__database_limit_wait(store->writer.database, CLOSE_WAIT_MS);
        stele__meta_clear_dirty(store);
        stele__store_transfer_guarded(store, &left);
    }
    stele__database_close(store->transferrer);
    /* The last connection of all processes copies what is left and removes the WAL. */
    stele__connection_dispose(store, &store->writer);
    if (!store->memory)
        stele__fork_guard(-1);
    stele__restore_error(error);
    stele__store_release(store);
}
