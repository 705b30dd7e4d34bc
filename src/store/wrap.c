/*
 * A store on a handle of the caller's: the handle is the writer, readers are connections of ours to
 * the same file.
 */
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"
#include "sqlite/borrowed.h"
#include "sqlite/statement.h"
#include "store/schema.h"
#include "store/store.h"

/* Two stores would set and put back each other's settings. */
static pthread_mutex_t wrapped_mutex = PTHREAD_MUTEX_INITIALIZER;
static stele_store *wrapped_stores;

static stele_status remember_wrapped(stele_store *store, struct sqlite3 *handle)
{
    stele_status status = STELE_OK;
    pthread_mutex_lock(&wrapped_mutex);
    for (stele_store *other = wrapped_stores; other != NULL; other = other->next_wrapped)
        if (other->wrapped == handle)
            status = stele__fail(STELE_MISUSE, "another store wraps this handle: share that one");
    if (status == STELE_OK) {
        store->wrapped = handle;
        store->next_wrapped = wrapped_stores;
        wrapped_stores = store;
    }
    pthread_mutex_unlock(&wrapped_mutex);
    return status;
}

void stele__wrap_forget(stele_store *store)
{
    /* As in stele__store_release(). */
    bool ours = store->fork_count == stele__fork_count();
    if (ours)
        pthread_mutex_lock(&wrapped_mutex);
    for (stele_store **at = &wrapped_stores; *at != NULL; at = &(*at)->next_wrapped)
        if (*at == store) {
            *at = store->next_wrapped;
            break;
        }
    if (ours)
        pthread_mutex_unlock(&wrapped_mutex);
}

static stele_status check_wrap_options(const stele_options *options)
{
    if (options->read_only)
        return stele__fail(STELE_MISUSE,
                           "a wrapped handle is for writing: for reading open the file");
    /* A thread of ours would use the handle at the same time as the caller. */
    if (options->committer || options->maintenance)
        return stele__fail(STELE_MISUSE, "a wrapped handle can't have %s",
                           options->committer ? "a committer" : "maintenance");
    return STELE_OK;
}

/* TEMP comes before ours wherever SQL names only the table, and its triggers hang on ours. */
stele_status stele__wrap_check(stele__database *database)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        database, "SELECT type, name, tbl_name FROM sqlite_temp_schema", &statement);
    while (status == STELE_OK && (status = stele__statement_step(statement)) == STELE_OK) {
        const char *type = stele__column_text(statement, 0);
        const char *name = stele__column_text(statement, 1);
        const char *table = stele__column_text(statement, 2);
        if (type != NULL && name != NULL && table != NULL
            && (stele__schema_is_ours(name) || stele__schema_is_ours(table)))
            status = stele__fail(STELE_MISUSE,
                                 "the handle has a TEMP %s '%s' on '%s', which is a name of ours",
                                 type, name, table);
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* A reader may have found another file under the handle's name. */
static stele_status compare_files(stele_store *store)
{
    stele__connection *connection = NULL;
    stele__statement *statement = NULL;
    stele_status status = stele__read_begin(store, NULL, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__statement_begin(connection->database,
                                    "SELECT value FROM meta WHERE key = 'uuid'", &statement);
    if (status == STELE_OK)
        status = stele__statement_step(statement);
    if (status == STELE_OK) {
        const char *uuid = stele__column_text(statement, 0);
        if (uuid == NULL || strcmp(uuid, store->uuid) != 0)
            status = STELE_DONE;
    }
    stele__statement_end(statement);
    stele__read_end(store, connection);
    if (status == STELE_DONE || status == STELE_CORRUPT)
        status = stele__fail(STELE_UNSUPPORTED, "'%s' is not the file that the handle has open",
                             store->path);
    return status;
}

/* On failure the handle is as it was. */
static stele_status borrow_handle(stele_store *store, struct sqlite3 *handle)
{
    stele__database_options settings;
    stele__database *database = NULL;
    stele__store_settings(store, false, &settings);
    stele_status status = stele__database_wrap(handle, &settings, &database);
    if (status != STELE_OK)
        return status;
    store->memory = database->memory;
    store->vfs = database->borrowed->vfs;
    if (!store->memory && stele__fork_tainted())
        status = stele__fail(STELE_MISUSE, "this process was forked while a store was open");
    if (status == STELE_OK && !store->memory)
        status = stele__resolve_path(database->borrowed->path, &store->path);
    if (status == STELE_OK && store->memory && (store->path = stele__copy_text(":memory:")) == NULL)
        status = stele__fail(STELE_NO_MEMORY, "no memory for the path");
    if (status == STELE_OK && !store->memory)
        status = stele__store_refuse_network(store);
    if (status == STELE_OK)
        status = stele__wrap_check(database);
    if (status == STELE_OK)
        status = stele__store_settle_file(store, database, &settings);
    store->borrowed = database->borrowed;
    if (status == STELE_OK)
        return stele__store_adopt(store, database);
    stele__database_close(database);
    return status;
}

stele_status stele__store_wrap(struct sqlite3 *handle, const stele_options *options,
                               stele_store **store_out)
{
    if (store_out == NULL)
        return stele__fail(STELE_MISUSE, "store_out is NULL");
    *store_out = NULL;
    if (handle == NULL)
        return stele__fail(STELE_MISUSE, "the handle is NULL");
    stele_store *store = NULL;
    stele_status status = stele__store_make(options, &store);
    if (status != STELE_OK)
        return status;
    status = check_wrap_options(&store->options);
    if (status == STELE_OK)
        status = remember_wrapped(store, handle);
    if (status == STELE_OK)
        status = borrow_handle(store, handle);
    if (status != STELE_OK) {
        if (store->wrapped != NULL)
            stele__wrap_forget(store);
        stele__store_release(store);
        return status;
    }
    if (!store->memory)
        stele__fork_guard(1);
    status = store->memory ? STELE_OK : compare_files(store);
    if (status == STELE_OK)
        status = stele__store_surround(store);
    if (status == STELE_OK)
        *store_out = store;
    else
        stele_store_close(store); /* keeps the error text */
    return status;
}

/*
 * The handle can't be replaced. But what it may still show, or what may come back, is over once
 * another connection has committed behind it: it then reads the file anew like any other.
 */
stele_status stele__wrap_settle(stele_store *store, stele__patience *patience)
{
    stele__database *own = NULL;
    stele_status status = stele__store_connect(store, false, &own);
    if (status != STELE_OK)
        return status;
    stele__database_limit_wait(own, 0);
    stele__database *borrowed = store->writer.database;
    store->writer.database = own;
    status = stele__meta_settle(store, patience);
    store->writer.database = borrowed;
    store->writer.revision++;
    stele__database_close(own);
    atomic_fetch_sub(&store->connection_count, 1);
    if (status == STELE_OK) {
        store->writer_broken = false;
        stele__log(STELE_LOG_NOTICE, "'%s': after a failed commit another one settled it",
                   store->path);
    }
    return status;
}
