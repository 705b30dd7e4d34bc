/* The one writer: its turn, its transaction. */
#include <stdio.h>

#include "base/failure.h"
#include "store/store.h"

/* Wait for the turn. Without a limit: it is passed on within the process by itself. */
stele_status stele__turn_take(stele_store *store)
{
    stele_status status = STELE_OK;
    pthread_mutex_lock(&store->mutex);
    while (store->writer_taken && !store->closing)
        pthread_cond_wait(&store->turn, &store->mutex);
    if (store->closing)
        status = stele__fail(STELE_CLOSED, "the store was closed");
    else
        store->writer_taken = true;
    pthread_mutex_unlock(&store->mutex);
    return status;
}

void stele__turn_pass(stele_store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->writer_taken = false;
    pthread_cond_signal(&store->turn);
    pthread_mutex_unlock(&store->mutex);
}

static stele_status take_write_turn(stele_store *store)
{
    if (atomic_load(&store->writer_thread) == stele__thread_id())
        return stele__fail(STELE_MISUSE, "this thread has a transaction open: use that");
    return stele__turn_take(store);
}

/* How long a transfer of our own accord waits for another process's writer. */
#define TRANSFER_WAIT_MS 50

/* A connection whose commit failed on the disk may show what isn't there: begin afresh. */
static stele_status mend_writer(stele_store *store)
{
    stele__database *database = NULL;
    stele_status status = stele__store_connect(store, false, &database);
    if (status != STELE_OK)
        return status;
    uint64_t revision = store->writer.revision;
    stele__connection_dispose(store, &store->writer);
    store->writer.database = database;
    store->writer.revision = revision + 1;
    store->writer_broken = false;
    return STELE_OK;
}

static stele_status begin_on_writer(stele_store *store)
{
    stele_status status = STELE_OK;
    if (store->writer_broken)
        status = mend_writer(store);
    if (status == STELE_OK && store->options.durability == STELE_DURABILITY_RELAXED)
        status = stele__meta_mark_dirty(store);
    if (status == STELE_OK)
        status = stele__database_begin(store->writer.database);
    if (status != STELE_OK)
        return status;

    /* Only now, inside the transaction, is the answer of this moment. */
    uint32_t data_version = stele__database_data_version(store->writer.database);
    if (data_version != store->writer.data_version) {
        store->writer.data_version = data_version;
        store->writer.revision++;
    }
    store->writer.changed = false;
    return STELE_OK;
}

stele_status stele__write_begin(stele_store *store, stele__connection **connection_out)
{
    *connection_out = NULL;
    if (store->options.read_only)
        return stele__fail(STELE_READ_ONLY, "the store was opened for reading");
    stele_status status = take_write_turn(store);
    if (status != STELE_OK)
        return status;
    status = begin_on_writer(store);
    if (status != STELE_OK) {
        stele__turn_pass(store);
        return status;
    }
    *connection_out = &store->writer;
    return STELE_OK;
}

stele_status stele__write_commit(stele_store *store)
{
    stele_status status = stele__database_commit(store->writer.database);
    if (status == STELE_OK) {
        /* Our own commit moved it; what moves it from here is somebody else's. */
        store->writer.data_version = stele__database_data_version(store->writer.database);
        store->writer.changed = false;
    } else if (status == STELE_UNKNOWN_OUTCOME && !store->memory) {
        store->writer_broken = true;
    }
    return status;
}

/* Beyond the threshold the WAL is moved; when readers keep it from shrinking, not at each commit
 * but only after it has grown by another quarter. A failure costs nothing but space. */
static void transfer_when_long(stele_store *store)
{
    uint32_t pages = store->writer.database->wal_pages;
    uint32_t soft = store->options.wal_soft_pages;
    if (store->memory || store->writer_broken)
        return;
    if (pages < soft) {
        store->transfer_at_pages = soft;
    } else if (pages >= store->transfer_at_pages) {
        char error[STELE__ERROR_SIZE];
        snprintf(error, sizeof(error), "%s", stele_error_text());
        uint32_t left = 0;
        /* The others in this process wait for the turn meanwhile. */
        stele__database_limit_wait(store->writer.database, TRANSFER_WAIT_MS);
        if (stele__store_transfer_guarded(store, &left) < 0)
            stele__restore_error(error);
        stele__database_limit_wait(store->writer.database, UINT32_MAX);
        store->transfer_at_pages = pages + soft / 4 + 1;
    }
}

void stele__write_end(stele_store *store)
{
    stele__database_rollback(store->writer.database);
    if (stele__database_in_transaction(store->writer.database) && !store->memory)
        store->writer_broken = true;
    if (store->writer.changed) {
        store->writer.revision++;
        store->writer.changed = false;
    }
    transfer_when_long(store);
    stele__turn_pass(store);
}

stele_status stele__store_transfer_guarded(stele_store *store, uint32_t *left_out)
{
    *left_out = 0;
    stele_status status = STELE_OK;
    if (store->transferrer == NULL)
        status = stele__store_connect(store, false, &store->transferrer);
    /* The guard: while the write lock is held nobody can reset the WAL under the transfer. */
    if (status == STELE_OK)
        status = stele__database_begin(store->writer.database);
    if (status != STELE_OK)
        return status;
    uint32_t pages = store->writer.database->wal_pages;
    uint32_t copied = 0;
    status = stele__database_transfer(store->transferrer, &pages, &copied);
    stele__database_rollback(store->writer.database);
    *left_out = pages - copied;
    return status;
}

stele_status stele_store_transfer(stele_store *store, uint32_t *left_out)
{
    uint32_t left = 0;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = store->options.read_only
                 ? stele__fail(STELE_READ_ONLY, "the store was opened for reading")
                 : take_write_turn(store);
    if (status == STELE_OK) {
        if (store->writer_broken)
            status = mend_writer(store);
        if (status == STELE_OK && !store->memory)
            status = stele__store_transfer_guarded(store, &left);
        stele__turn_pass(store);
    }
    stele__store_leave(store);
    if (left_out != NULL)
        *left_out = left;
    return status;
}
