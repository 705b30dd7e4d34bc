/* The pool of read connections: opened when first needed, lent for one page at a time. */
#include "base/failure.h"
#include "base/memory.h"
#include "store/store.h"

/* A connection from the pool; a new one while there are few; else wait for one. */
static stele_status take_reader(stele_store *store, stele__connection **reader_out)
{
    stele_status status = STELE_OK;
    bool open_another = false;
    pthread_mutex_lock(&store->mutex);
    while (store->idle_readers == NULL && store->reader_count >= store->options.reader_max
           && !store->closing)
        pthread_cond_wait(&store->changed, &store->mutex);
    if (store->closing) {
        status = stele__fail(STELE_CLOSED, "the store was closed");
    } else if (store->idle_readers != NULL) {
        *reader_out = store->idle_readers;
        store->idle_readers = (*reader_out)->next;
    } else {
        open_another = true;
        store->reader_count++;
    }
    pthread_mutex_unlock(&store->mutex);
    if (!open_another)
        return status;

    *reader_out = stele__allocate_array(1, sizeof(**reader_out));
    status = *reader_out == NULL ? stele__fail(STELE_NO_MEMORY, "no memory for a connection")
                                 : stele__store_connect(store, true, &(*reader_out)->database);
    if (status != STELE_OK) {
        stele__free(*reader_out);
        *reader_out = NULL;
        pthread_mutex_lock(&store->mutex);
        store->reader_count--;
        pthread_cond_broadcast(&store->changed);
        pthread_mutex_unlock(&store->mutex);
    }
    return status;
}

static void return_reader(stele_store *store, stele__connection *reader)
{
    /* One that can't end its transaction would pin the WAL for ever. */
    bool broken = stele__database_in_transaction(reader->database);
    if (broken) {
        stele__connection_dispose(store, reader);
        stele__free(reader);
    }
    pthread_mutex_lock(&store->mutex);
    if (broken) {
        store->reader_count--;
        pthread_cond_broadcast(&store->changed);
        pthread_mutex_unlock(&store->mutex);
        return;
    }
    reader->next = store->idle_readers;
    store->idle_readers = reader;
    if (store->reader_count >= store->options.reader_max)
        pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

/* In memory there is one connection: a reader takes the writer's turn. */
static stele_status begin_read_in_memory(stele_store *store, stele__connection **connection_out)
{
    if (atomic_load(&store->writer_thread) == stele__thread_id())
        return stele__fail(STELE_MISUSE,
                           "this thread has a transaction open on a ':memory:' store: read"
                           " through that");
    stele_status status = stele__turn_take(store);
    if (status == STELE_OK)
        *connection_out = &store->writer;
    return status;
}

stele_status stele__read_begin(stele_store *store, stele__connection **connection_out)
{
    *connection_out = NULL;
    stele__connection *connection = NULL;
    stele_status status =
        store->memory ? begin_read_in_memory(store, &connection) : take_reader(store, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__database_begin_read(connection->database);
    if (status != STELE_OK) {
        stele__read_end(store, connection);
        return status;
    }
    *connection_out = connection;
    return STELE_OK;
}

void stele__read_end(stele_store *store, stele__connection *connection)
{
    stele__database_rollback(connection->database);
    if (connection == &store->writer)
        stele__turn_pass(store);
    else
        return_reader(store, connection);
}
