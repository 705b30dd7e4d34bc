/* The one writer: its transaction, and its connection's health. */

#include "base/failure.h"
#include "store/anchoring.h"
#include "store/fence.h"
#include "store/schema.h"
#include "store/store.h"

static stele_status replace_writer(stele_store *store)
{
    stele__database *database = NULL;
    stele_status status = stele__store_connect(store, false, &database);
    if (status != STELE_OK)
        return status;
    stele__database_limit_wait(database, 0);
    uint64_t revision = store->writer.revision;
    stele__connection_dispose(store, &store->writer);
    store->writer.database = database;
    store->writer.revision = revision + 1;
    store->writer.schema_cookie = 0;
    return STELE_OK;
}

void stele__commits_watch(stele_store *store, stele__watcher *watcher)
{
    atomic_store(&store->watcher, watcher);
}

/* With the turn held: `head` is committed; 0 when no event was. Whoever is about to watch sets the
 * watcher first and looks at the head then; here it is the other way round. */
static void note_own_commit(stele_store *store, int64_t head)
{
    if (head > 0)
        atomic_store(&store->committed_head, head);
    stele__watcher *watcher = atomic_load(&store->watcher);
    if (watcher == NULL)
        return;
    watcher->committed(watcher->context, head);
    store->untold = true;
}

void stele__commits_tell(stele_store *store)
{
    stele__watcher *watcher = atomic_load(&store->watcher);
    if (watcher != NULL)
        watcher->wake(watcher->context);
}

stele_status stele__appended_recheck(stele__connection *connection)
{
    if (connection->appended_to == 0)
        return STELE_OK;
    return stele__database_number(connection->database, "SELECT max(position) FROM events",
                                  &connection->appended_to);
}

/* A commit of unknown outcome told nobody: what it left is there now, or gone. */
static void note_settled(stele_store *store)
{
    char error[STELE__ERROR_SIZE];
    int64_t head = 0;
    stele__keep_error(error);
    if (stele__database_number(store->writer.database, "SELECT max(position) FROM events", &head)
        == STELE_OK)
        note_own_commit(store, head);
    stele__restore_error(error);
}

/*
 * A connection whose commit failed on the disk may show what isn't there, and what isn't there may
 * come back: the pages can be whole in the WAL although nobody sees them, until a later commit is
 * written over or behind them. So begin afresh, and make that commit.
 */
stele_status stele__write_mend(stele_store *store, stele__patience *patience)
{
    if (!store->writer_broken)
        return STELE_OK;
    if (store->wrapped != NULL) {
        stele_status settled = stele__wrap_settle(store, patience);
        if (settled == STELE_OK)
            note_settled(store);
        return settled;
    }
    stele_status status = replace_writer(store);
    if (status == STELE_OK)
        status = stele__meta_settle(store, patience);
    if (status == STELE_OK) {
        store->writer_broken = false;
        note_settled(store);
        stele__log(STELE_LOG_NOTICE, "'%s': after a failed commit the connection was replaced",
                   store->path);
    }
    return status;
}

stele_status stele__connection_recheck(stele_store *store, stele__connection *connection)
{
    return stele__schema_recheck(connection->database, &connection->schema_cookie,
                                 store->options.strict_schema, NULL);
}

/* Another connection has committed: what is remembered of the file may be wrong, and its schema
 * another one. Only inside the transaction is this the answer of this moment. */
stele_status stele__commits_notice(stele_store *store)
{
    stele__connection *connection = &store->writer;
    uint32_t data_version = stele__database_data_version(connection->database);
    if (data_version == connection->data_version && connection->schema_cookie != 0)
        return STELE_OK;
    stele_status status = stele__connection_recheck(store, connection);
    if (status != STELE_OK)
        return status;
    connection->data_version = data_version;
    connection->revision++;
    return STELE_OK;
}

stele_status stele__write_begin_held(stele_store *store, stele__patience *patience,
                                     stele__connection **connection_out)
{
    *connection_out = NULL;
    stele_status status =
        store->wrapped != NULL ? stele__wrap_check(store->writer.database) : STELE_OK;
    if (status == STELE_OK)
        status = stele__write_mend(store, patience);
    if (status == STELE_OK && store->options.durability == STELE_DURABILITY_RELAXED)
        status = stele__meta_mark_dirty(store, patience);
    if (status == STELE_OK)
        status = stele__file_lock(store, patience);
    if (status != STELE_OK)
        return status;
    store->writer.changed = false;
    store->writer.appended_to = 0;
    status = stele__commits_notice(store);
    if (status == STELE_OK)
        status = stele__fence_check(store);
    if (status != STELE_OK) {
        stele__write_end_held(store);
        return status;
    }
    stele__anchoring_begun(store);
    *connection_out = &store->writer;
    return STELE_OK;
}

stele_status stele__write_check(const stele_store *store)
{
    if (store->options.read_only)
        return stele__fail(STELE_READ_ONLY, "the store was opened for reading");
    if (store->lost[0] != '\0')
        return stele__fail(STELE_READ_ONLY, "%s", store->lost);
    return STELE_OK;
}

/* Should that fail, commits go on being durable: no harm but to their speed. */
static void end_durably(stele_store *store)
{
    if (!store->durably)
        return;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    store->durably = false;
    if (store->writer.database != NULL)
        stele__database_sync(store->writer.database, STELE_DURABILITY_RELAXED);
    stele__restore_error(error);
}

/* The turn of a store that may be written to, and how long its owner waits for what comes next. */
static stele_status take_writer(stele_store *store, const stele_wait *wait, bool yields,
                                stele__patience *patience)
{
    stele_status status =
        stele__patience_begin(patience, wait, store->options.busy_timeout_ms, &store->closing);
    patience->yields = yields;
    if (status == STELE_OK)
        status = stele__write_check(store);
    return status == STELE_OK ? stele__turn_take(store, patience) : status;
}

static stele_status begin_in_turn(stele_store *store, const stele_wait *wait, bool yields,
                                  stele__connection **connection_out)
{
    *connection_out = NULL;
    stele__patience patience;
    stele_status status = take_writer(store, wait, yields, &patience);
    if (status != STELE_OK)
        return status;
    status = stele__write_begin_held(store, &patience, connection_out);
    if (status != STELE_OK)
        stele__turn_pass(store);
    return status;
}

stele_status stele__write_begin(stele_store *store, const stele_wait *wait,
                                stele__connection **connection_out)
{
    return begin_in_turn(store, wait, false, connection_out);
}

stele_status stele__write_begin_yielding(stele_store *store, const stele_wait *wait,
                                         stele__connection **connection_out)
{
    return begin_in_turn(store, wait, true, connection_out);
}

static stele_status begin_durably(stele_store *store, const stele_wait *wait, bool past_fence,
                                  stele__connection **connection_out)
{
    *connection_out = NULL;
    stele__patience patience;
    stele_status status = take_writer(store, wait, false, &patience);
    if (status != STELE_OK)
        return status;
    store->past_fence = past_fence;
    if (store->options.durability == STELE_DURABILITY_RELAXED) {
        /* First what sets `synchronous` by itself. */
        status = stele__write_mend(store, &patience);
        if (status == STELE_OK)
            status = stele__meta_mark_dirty(store, &patience);
        if (status == STELE_OK)
            status = stele__database_sync(store->writer.database, STELE_DURABILITY_FULL);
        store->durably = status == STELE_OK;
    }
    if (status == STELE_OK)
        status = stele__write_begin_held(store, &patience, connection_out);
    if (status != STELE_OK) {
        end_durably(store);
        store->past_fence = false;
        stele__turn_pass(store);
    }
    return status;
}

stele_status stele__write_begin_durably(stele_store *store, const stele_wait *wait,
                                        stele__connection **connection_out)
{
    return begin_durably(store, wait, false, connection_out);
}

stele_status stele__write_begin_past_fence(stele_store *store, const stele_wait *wait,
                                           stele__connection **connection_out)
{
    return begin_durably(store, wait, true, connection_out);
}

stele_status stele__write_commit(stele_store *store)
{
    stele__anchoring_committing(store);
    stele_status status = stele__database_commit(store->writer.database);
    if (status == STELE_OK) {
        stele__anchoring_committed(store);
        /* Our own commit moved it; what moves it from here is somebody else's. */
        store->writer.data_version = stele__database_data_version(store->writer.database);
        store->writer.changed = false;
        note_own_commit(store, store->writer.appended_to);
        stele__transfer_consider(store);
    } else if (status == STELE_UNKNOWN_OUTCOME && !store->memory) {
        store->writer_broken = true;
    }
    return status;
}

/* When not even rolling back works, for lack of memory, only closing gives the locks back. */
static void give_up_writer(stele_store *store)
{
    store->writer_broken = true;
    if (store->wrapped != NULL)
        return;
    uint64_t revision = store->writer.revision;
    stele__connection_dispose(store, &store->writer);
    store->writer.revision = revision + 1;
}

void stele__write_abort(stele_store *store)
{
    stele__database *database = store->writer.database;
    if (database == NULL || (!store->writer.changed && !stele__database_in_transaction(database)))
        return;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    stele__database_rollback(database);
    if (store->writer.changed) {
        store->writer.revision++;
        store->writer.schema_cookie = 0; /* what was rolled back may have been a schema, too */
        store->writer.changed = false;
    }
    if (stele__database_in_transaction(database) && !store->memory)
        give_up_writer(store);
    stele__restore_error(error);
}

void stele__write_end_held(stele_store *store)
{
    stele__write_abort(store);
    stele__file_unlock(store);
}

void stele__write_end(stele_store *store)
{
    stele__write_end_held(store);
    end_durably(store);
    store->past_fence = false;
    stele__turn_pass(store);
    stele__transfer_if_wanted(store, NULL);
}
