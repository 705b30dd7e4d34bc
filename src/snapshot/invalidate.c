/* Dropping snapshots: of one stream at once, of all streams in steps. */
#include <string.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "snapshot/row.h"
#include "store/work.h"

/* --- Of one stream --- */

static stele_status drop_snapshots_of(stele__connection *connection, int64_t stream,
                                      const char *name, int64_t *count_out)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "DELETE FROM snapshots WHERE stream = ?1 AND (?2 IS NULL"
                               " OR name = ?2)",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_number(statement, 1, stream);
    if (name != NULL)
        stele__bind_text(statement, 2, name);
    else
        stele__bind_null(statement, 2);
    status = stele__statement_run(statement);
    return status == STELE_OK ? stele__snapshot_count_changes(connection, count_out) : status;
}

static stele_status invalidate_stream(stele__connection *connection, const char *stream_name,
                                      const char *name, int64_t *count_out, bool *changed_out)
{
    bool found = false;
    stele__stream stream;
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__stream_find(connection, stream_name, &found, &stream);
    if (status != STELE_OK || !found)
        return status;
    *changed_out = true;
    return drop_snapshots_of(connection, stream.id, name, count_out);
}

static stele_status check_invalidate(const char *stream, const char *name, int64_t *count_out)
{
    if (count_out != NULL)
        *count_out = 0;
    stele_status status = stele__check_name("stream", stream);
    return status == STELE_OK && name != NULL ? stele__check_name("snapshot", name) : status;
}

stele_status stele_snapshot_invalidate(stele_store *store, const char *stream, const char *name,
                                       int64_t *count_out)
{
    int64_t count = 0;
    bool changed = false;
    stele__connection *connection = NULL;
    stele_status status = check_invalidate(stream, name, count_out);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__write_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = invalidate_stream(connection, stream, name, &count, &changed);
        if (status == STELE_OK && count > 0)
            status = stele__write_commit(store);
        stele__write_end(store);
    }
    stele__store_leave(store);
    if (status == STELE_OK && count_out != NULL)
        *count_out = count;
    return status;
}

stele_status stele_transaction_snapshot_invalidate(stele_transaction *transaction,
                                                   const char *stream, const char *name,
                                                   int64_t *count_out)
{
    int64_t count = 0;
    bool changed = false;
    stele__connection *connection = NULL;
    stele_status status = check_invalidate(stream, name, count_out);
    if (status == STELE_OK)
        status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = invalidate_stream(connection, stream, name, &count, &changed);
    if (status != STELE_OK)
        stele__transaction_failed(transaction, status, changed);
    else if (count_out != NULL)
        *count_out = count;
    stele__transaction_leave(transaction);
    return status;
}

/* --- Of all streams --- */

/* Where it stands. */
typedef struct snapshot_drop {
    stele_store *store;
    stele__work work;
    const char *name; /* NULL: of any */
    int64_t reached;  /* ids up to this one are done */
    int64_t last;     /* the highest id when it began: later ones stay */
    bool done;
    /* Of the step. */
    uint64_t rows;
    uint64_t bytes;
    int64_t dropped;
} snapshot_drop;

static stele_status find_last_snapshot(stele__connection *connection, snapshot_drop *drop)
{
    return stele__database_number(connection->database, "SELECT max(id) FROM snapshots",
                                  &drop->last);
}

/* Rows that are no fold of the name asked for count as steps, too, so that no step is long. */
static stele_status drop_snapshot_rows(stele__connection *connection, snapshot_drop *drop)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT id, CASE WHEN ?3 IS NULL OR name = ?3 THEN length(CAST(data AS BLOB))"
        " + coalesce(length(CAST(metadata AS BLOB)), 0) END FROM snapshots"
        " WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?4",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, drop->reached);
    stele__bind_number(statement, 2, drop->last);
    if (drop->name != NULL)
        stele__bind_text(statement, 3, drop->name);
    else
        stele__bind_null(statement, 3);
    stele__bind_number(statement, 4, drop->work.options.step_count_max);
    while (drop->bytes < drop->work.options.step_size_max
           && (status = stele__statement_step(statement)) == STELE_OK) {
        drop->reached = stele__column_number(statement, 0);
        drop->rows++;
        if (stele__column_type_of(statement, 1) == STELE__COLUMN_NULL)
            continue;
        drop->bytes += (uint64_t)stele__column_number(statement, 1);
        drop->dropped++;
        status = stele__snapshot_row_delete(connection, drop->reached);
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    drop->done = status == STELE_DONE && drop->rows < drop->work.options.step_count_max;
    return status < 0 ? status : STELE_OK;
}

static stele_status drop_snapshots_step(snapshot_drop *drop)
{
    stele__connection *connection = NULL;
    drop->rows = 0;
    drop->bytes = 0;
    drop->dropped = 0;
    stele_status status = stele__write_begin(drop->store, drop->work.options.wait, &connection);
    if (status != STELE_OK)
        return status;
    if (drop->last == INT64_MIN)
        status = find_last_snapshot(connection, drop);
    if (status == STELE_OK)
        status = drop_snapshot_rows(connection, drop);
    if (status == STELE_OK && drop->dropped > 0)
        status = stele__write_commit(drop->store);
    stele__write_end(drop->store);
    return status;
}

static stele_status invalidate_all(stele_store *store, const char *name, const stele_work *work,
                                   int64_t *count_out)
{
    snapshot_drop drop = { .store = store, .name = name, .reached = INT64_MIN, .last = INT64_MIN };
    stele_status status = stele__work_begin(&drop.work, store, work);
    if (status == STELE_OK)
        stele__work_part(&drop.work, "dropping snapshots", 0);
    while (status == STELE_OK && !drop.done) {
        status = drop_snapshots_step(&drop);
        if (status == STELE_OK) {
            *count_out += drop.dropped;
            status = stele__work_step(&drop.work, drop.rows, drop.bytes);
        }
    }
    return status;
}

stele_status stele_snapshot_invalidate_all(stele_store *store, const char *name,
                                           const stele_work *work, int64_t *count_out)
{
    int64_t count = 0;
    stele_status status = name == NULL ? STELE_OK : stele__check_name("snapshot", name);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status == STELE_OK) {
        status = invalidate_all(store, name, work, &count);
        stele__store_leave(store);
    }
    if (count_out != NULL)
        *count_out = count;
    return status;
}
