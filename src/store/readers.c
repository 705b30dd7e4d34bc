/* The pool of read connections: opened when first needed, lent for one page at a time. */
#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"
#include "store/store.h"

/* While the gate is closed a page waits for the WAL to be emptied, but no longer than this: the
 * write that does so may not come. */
#define GATE_US 100000

/* With the mutex held. */
static void wait_at_gate(stele_store *store, stele__patience *patience)
{
    int64_t until_us = stele__clock_monotonic_us() + GATE_US;
    int64_t check_us = stele__patience_next_check_us(patience);
    bool hurried = check_us < until_us;
    if (hurried)
        until_us = check_us;
    while (store->gate_closed && !store->closing) {
        if (stele__clock_monotonic_us() >= until_us) {
            if (hurried) /* goes through alone */
                return;
            store->gate_closed = false;
            pthread_cond_broadcast(&store->changed);
            return;
        }
        stele__condition_wait(&store->changed, &store->mutex, until_us);
    }
}

/* With the mutex held: until a connection is idle, or another one may be opened. */
static stele_status wait_for_reader(stele_store *store, stele__patience *patience)
{
    stele_status status = STELE_OK;
    while (store->idle_readers == NULL && store->reader_count >= store->options.reader_max
           && !store->closing && status == STELE_OK) {
        stele__condition_wait(&store->changed, &store->mutex,
                              stele__patience_next_check_us(patience));
        if (store->idle_readers != NULL || store->closing)
            break;
        pthread_mutex_unlock(&store->mutex);
        status = stele__patience_check(patience, "waiting for one of the reader_max connections");
        pthread_mutex_lock(&store->mutex);
    }
    if (status == STELE_OK && store->closing)
        status = stele__fail(STELE_CLOSED, "the store was closed");
    return status;
}

/* With the mutex held: a page begins on it. */
static void register_page(stele_store *store, stele__connection *reader)
{
    reader->page = ++store->page_count;
    reader->page_began_us = stele__clock_monotonic_us();
    reader->previous = NULL;
    reader->next = store->busy_readers;
    if (reader->next != NULL)
        reader->next->previous = reader;
    store->busy_readers = reader;
}

static void unregister_page(stele_store *store, stele__connection *reader)
{
    if (reader->previous != NULL)
        reader->previous->next = reader->next;
    else
        store->busy_readers = reader->next;
    if (reader->next != NULL)
        reader->next->previous = reader->previous;
    reader->previous = NULL;
    reader->next = NULL;
}

static stele_status open_reader(stele_store *store, stele__connection **reader_out)
{
    stele__connection *reader = stele__allocate_array(1, sizeof(*reader));
    stele_status status = reader == NULL
                              ? stele__fail(STELE_NO_MEMORY, "no memory for a connection")
                              : stele__store_connect(store, true, &reader->database);
    pthread_mutex_lock(&store->mutex);
    if (status == STELE_OK) {
        register_page(store, reader);
    } else {
        store->reader_count--;
        pthread_cond_broadcast(&store->changed);
    }
    pthread_mutex_unlock(&store->mutex);
    if (status != STELE_OK) {
        stele__free(reader);
        reader = NULL;
    }
    *reader_out = reader;
    return status;
}

/* A connection from the pool; a new one while there are few; else wait for one. */
static stele_status take_reader(stele_store *store, stele__patience *patience,
                                stele__connection **reader_out)
{
    bool open_another = false;
    pthread_mutex_lock(&store->mutex);
    if (store->gate_closed)
        wait_at_gate(store, patience);
    stele_status status = wait_for_reader(store, patience);
    if (status == STELE_OK && store->idle_readers != NULL) {
        *reader_out = store->idle_readers;
        store->idle_readers = (*reader_out)->next;
        register_page(store, *reader_out);
    } else if (status == STELE_OK) {
        open_another = true;
        store->reader_count++;
    }
    pthread_mutex_unlock(&store->mutex);
    return open_another ? open_reader(store, reader_out) : status;
}

static void return_reader(stele_store *store, stele__connection *reader)
{
    /* One that can't end its transaction would pin the WAL for ever. */
    bool broken = stele__database_in_transaction(reader->database);
    pthread_mutex_lock(&store->mutex);
    unregister_page(store, reader);
    if (broken) {
        store->reader_count--;
    } else {
        reader->next = store->idle_readers;
        store->idle_readers = reader;
    }
    if (broken || store->draining || store->reader_count >= store->options.reader_max)
        pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->mutex);
    if (broken) {
        stele__connection_dispose(store, reader);
        stele__free(reader);
    }
}

/* In memory there is one connection: a reader takes the writer's turn. */
static stele_status begin_read_in_memory(stele_store *store, stele__patience *patience,
                                         stele__connection **connection_out)
{
    if (atomic_load(&store->writer_thread) == stele__thread_id())
        return stele__fail(STELE_MISUSE,
                           "this thread has a transaction open on a ':memory:' store: read"
                           " through that");
    stele_status status = stele__turn_take(store, patience);
    if (status == STELE_OK && store->wrapped != NULL) {
        status = stele__wrap_check(store->writer.database);
        if (status != STELE_OK)
            stele__turn_pass(store);
    }
    if (status == STELE_OK)
        *connection_out = &store->writer;
    return status;
}

static stele_status begin_read(stele_store *store, const stele_wait *wait,
                               stele__connection **connection_out)
{
    *connection_out = NULL;
    stele__connection *connection = NULL;
    stele__patience patience;
    stele_status status =
        stele__patience_begin(&patience, wait, store->options.busy_timeout_ms, &store->closing);
    if (status == STELE_OK)
        status = store->memory ? begin_read_in_memory(store, &patience, &connection)
                               : take_reader(store, &patience, &connection);
    if (status != STELE_OK)
        return status;
    if (wait == NULL) /* how long a read may take is up to the reader */
        patience.deadline_us = INT64_MAX;
    connection->patience = patience;
    stele__database_watch(connection->database, &connection->patience);
    status = stele__database_begin_read(connection->database);
    if (status == STELE_OK)
        *connection_out = connection;
    else
        stele__read_end(store, connection);
    return status;
}

stele_status stele__read_begin_to_check(stele_store *store, stele__connection **connection_out)
{
    return begin_read(store, NULL, connection_out);
}

stele_status stele__read_begin(stele_store *store, const stele_wait *wait,
                               stele__connection **connection_out)
{
    stele_status status = begin_read(store, wait, connection_out);
    if (status == STELE_OK)
        status = stele__connection_recheck(store, *connection_out);
    if (status != STELE_OK && *connection_out != NULL) {
        stele__read_end(store, *connection_out);
        *connection_out = NULL;
    }
    return status;
}

/* The turn is held. A failure is none of the caller's, who has other ways to read. */
static bool begin_read_on_writer(stele_store *store, const stele_wait *wait)
{
    stele__connection *writer = &store->writer;
    if (store->writer_broken || store->lost[0] != '\0'
        || stele__patience_begin(&writer->patience, wait, store->options.busy_timeout_ms,
                                 &store->closing)
               != STELE_OK)
        return false;
    if (wait == NULL)
        writer->patience.deadline_us = INT64_MAX;
    stele__database_watch(writer->database, &writer->patience);
    /* The snapshot is that of the first look at the file, which is the one at its schema: only then
     * is it known what others have committed. */
    if (stele__database_begin_read(writer->database) == STELE_OK
        && stele__connection_recheck(store, writer) == STELE_OK
        && stele__commits_notice(store) == STELE_OK)
        return true;
    stele__database_watch(writer->database, NULL);
    stele__database_rollback(writer->database);
    return false;
}

stele_status stele__read_begin_short(stele_store *store, const stele_wait *wait,
                                     stele__connection **connection_out)
{
    bool possible = !store->memory && store->wrapped == NULL && !store->options.read_only;
    if (possible && stele__turn_try(store)) {
        if (begin_read_on_writer(store, wait)) {
            *connection_out = &store->writer;
            return STELE_OK;
        }
        stele__turn_pass(store);
    }
    return stele__read_begin(store, wait, connection_out);
}

void stele__read_end(stele_store *store, stele__connection *connection)
{
    stele__database_watch(connection->database, NULL);
    stele__database_rollback(connection->database);
    if (connection == &store->writer)
        stele__turn_pass(store);
    else
        return_reader(store, connection);
}
