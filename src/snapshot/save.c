/* Saving a snapshot, alone and inside a transaction. */
#include <inttypes.h>
#include <string.h>

#include <stele/codec.h>
#include <stele/json.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "base/options.h"
#include "snapshot/row.h"
#include "store/group.h"

void stele_snapshot_init(stele_snapshot *snapshot)
{
    *snapshot = (stele_snapshot)STELE_SNAPSHOT_INIT;
}

/* --- Before the write lock is taken --- */

static stele_status check_snapshot_numbers(const stele_snapshot *snapshot)
{
    if (snapshot->version < 1)
        return stele__fail(STELE_MISUSE, "the version %" PRId64 " is below 1", snapshot->version);
    if (snapshot->schema_version < 1)
        return stele__fail(STELE_MISUSE, "the schema_version %" PRId64 " is below 1",
                           snapshot->schema_version);
    if (snapshot->keep > STELE_SNAPSHOT_KEEP_MAX)
        return stele__fail(STELE_MISUSE, "keep %" PRIu32 " is beyond %d", snapshot->keep,
                           STELE_SNAPSHOT_KEEP_MAX);
    if (snapshot->stream_id < 0)
        return stele__fail(STELE_MISUSE, "the stream_id %" PRId64 " is none", snapshot->stream_id);
    return STELE_OK;
}

/* Without looking a built-in codec up, which would end the time to register others. */
static stele_status check_snapshot_data(stele_store *store, const stele_snapshot *snapshot,
                                        const stele_json_options *options)
{
    if (snapshot->data_size == 0 || strcmp(snapshot->codec, "raw") == 0)
        return STELE_OK;
    if (strcmp(snapshot->codec, "json") == 0)
        return stele_json_check(snapshot->data, snapshot->data_size, options);
    return stele_store_check_payload(store, snapshot->codec, snapshot->data, snapshot->data_size,
                                     options->size_max);
}

static stele_status check_snapshot_content(stele_store *store, const stele_snapshot *snapshot)
{
    uint32_t size_max = store->options.value_size_max;
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    if ((snapshot->data == NULL && snapshot->data_size > 0)
        || (snapshot->metadata == NULL && snapshot->metadata_size > 0))
        return stele__fail(STELE_MISUSE, "%s is NULL, its size is not 0",
                           snapshot->data == NULL && snapshot->data_size > 0 ? "data" : "metadata");
    if (snapshot->data_size > size_max || snapshot->metadata_size > size_max - snapshot->data_size)
        return stele__fail(STELE_TOO_LARGE,
                           "data of %zu and metadata of %zu bytes are beyond value_size_max,"
                           " %" PRIu32,
                           snapshot->data_size, snapshot->metadata_size, size_max);
    options.size_max = size_max;
    stele_status status = check_snapshot_data(store, snapshot, &options);
    if (status != STELE_OK)
        return stele__fail_within(status, "data");
    if (snapshot->metadata_size > 0)
        status = stele_json_check(snapshot->metadata, snapshot->metadata_size, &options);
    return status == STELE_OK ? STELE_OK : stele__fail_within(status, "metadata");
}

/* `*taken` is full size, with defaults in place of what wasn't given. */
static stele_status prepare_snapshot(stele_store *store, const stele_snapshot *given,
                                     stele_snapshot *taken)
{
    *taken = (stele_snapshot)STELE_SNAPSHOT_INIT;
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "the snapshot is NULL");
    stele_status status = stele__options_take("stele_snapshot", given, taken, sizeof(*taken));
    if (status != STELE_OK)
        return status;
    if (taken->schema_version == 0)
        taken->schema_version = 1;
    if (taken->keep == 0)
        taken->keep = 1;
    if (taken->codec == NULL)
        taken->codec = "json";
    status = stele__snapshot_check_names(taken->stream, &taken->name);
    if (status == STELE_OK)
        status = stele__check_name("codec", taken->codec);
    if (status == STELE_OK)
        status = check_snapshot_numbers(taken);
    return status == STELE_OK ? check_snapshot_content(store, taken) : status;
}

/* --- Inside a write transaction --- */

static stele_status check_snapshot_stream(const stele_snapshot *snapshot, bool found,
                                          const stele__stream *stream)
{
    if (!found)
        return stele__fail(STELE_NOT_FOUND, "there is no stream '%s'", snapshot->stream);
    if (snapshot->stream_id != 0 && snapshot->stream_id != stream->id)
        return stele__fail(STELE_NOT_FOUND,
                           "the stream '%s' is %" PRId64 " now: %" PRId64 " was deleted",
                           snapshot->stream, stream->id, snapshot->stream_id);
    if (snapshot->version > stream->version)
        return stele__fail(STELE_MISUSE,
                           "a snapshot of version %" PRId64 ", but stream '%s' is at %" PRId64,
                           snapshot->version, snapshot->stream, stream->version);
    return STELE_OK;
}

/* Those that can never be loaded. */
static stele_status drop_foreign(const stele_store *store, stele__connection *connection,
                                 const stele__stream *stream, const char *name)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "DELETE FROM snapshots WHERE stream = ?1 AND name = ?2"
                               " AND (version > ?3 OR epoch <> ?4)",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, stream->id);
    stele__bind_text(statement, 2, name);
    stele__bind_number(statement, 3, stream->version);
    stele__bind_text(statement, 4, store->epoch);
    return stele__statement_run(statement);
}

/* Whether the row is whole; one that isn't is dropped. */
static stele_status keep_whole(stele__connection *connection, const stele__snapshot_row *row,
                               bool *whole_out)
{
    const char *codec = NULL;
    stele__snapshot_content content;
    stele__statement *statement = NULL;
    stele_status status =
        stele__snapshot_content_read(connection, row, &statement, &codec, &content);
    stele__statement_end(statement);
    *whole_out = status == STELE_OK;
    return status == STELE_CORRUPT ? stele__snapshot_row_delete(connection, row->id) : status;
}

/* How many there are of higher versions, at most `keep`, and which is the lowest of these. */
static stele_status count_higher(stele__connection *connection, int64_t stream,
                                 const stele_snapshot *snapshot, uint32_t *count_out,
                                 int64_t *lowest_out)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "SELECT " STELE__SNAPSHOT_COLUMNS " FROM snapshots s"
                               " WHERE s.stream = ?1 AND s.name = ?2 AND s.version > ?3"
                               " ORDER BY s.version DESC",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, stream);
    stele__bind_text(statement, 2, snapshot->name);
    stele__bind_number(statement, 3, snapshot->version);
    *count_out = 0;
    while (*count_out < snapshot->keep && (status = stele__statement_step(statement)) == STELE_OK) {
        stele__snapshot_row row;
        bool whole = false;
        stele__snapshot_row_read(statement, &row);
        status = keep_whole(connection, &row, &whole);
        if (status != STELE_OK)
            break;
        if (whole) {
            *lowest_out = row.version;
            ++*count_out;
        }
    }
    stele__statement_end(statement);
    return status < 0 ? status : STELE_OK;
}

static stele_status insert_snapshot(const stele_store *store, stele__connection *connection,
                                    int64_t stream, const stele_snapshot *snapshot)
{
    stele__snapshot_row row = { .stream = stream,
                                .name = snapshot->name,
                                .version = snapshot->version,
                                .epoch = store->epoch,
                                .schema_version = snapshot->schema_version,
                                .saved_at = stele__store_now(store) };
    stele__snapshot_content content = { snapshot->data, snapshot->data_size, snapshot->metadata,
                                        snapshot->metadata_size };
    row.checksum = stele__snapshot_checksum(&row, snapshot->codec, &content);
    stele__statement *statement = NULL;
    stele_status status =
        stele__name_intern(connection, STELE__CODECS, snapshot->codec, &row.codec);
    if (status == STELE_OK)
        status = stele__statement_begin(
            connection->database,
            "INSERT OR REPLACE INTO snapshots(stream, name, version, epoch, schema_version, codec,"
            " saved_at, checksum, data, metadata) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, row.stream);
    stele__bind_text(statement, 2, row.name);
    stele__bind_number(statement, 3, row.version);
    stele__bind_text(statement, 4, row.epoch);
    stele__bind_number(statement, 5, row.schema_version);
    stele__bind_number(statement, 6, row.codec);
    stele__bind_number(statement, 7, row.saved_at);
    stele__bind_number(statement, 8, row.checksum);
    if (strcmp(snapshot->codec, "json") == 0)
        stele__bind_text_bytes(statement, 9, content.data, content.data_size);
    else
        stele__bind_blob(statement, 9, content.data, content.data_size);
    if (content.metadata_size > 0)
        stele__bind_text_bytes(statement, 10, content.metadata, content.metadata_size);
    else
        stele__bind_null(statement, 10);
    return stele__statement_run(statement);
}

/* Of the versions up to `highest` only the `keep` highest stay. */
static stele_status drop_beyond(stele__connection *connection, int64_t stream, const char *name,
                                int64_t highest, uint32_t keep)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "DELETE FROM snapshots WHERE stream = ?1 AND name = ?2"
                               " AND version <= (SELECT version FROM snapshots WHERE stream = ?1"
                               " AND name = ?2 AND version <= ?3 ORDER BY version DESC"
                               " LIMIT 1 OFFSET ?4)",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, stream);
    stele__bind_text(statement, 2, name);
    stele__bind_number(statement, 3, highest);
    stele__bind_number(statement, 4, keep);
    return stele__statement_run(statement);
}

static stele_status apply_snapshot(const stele_store *store, stele__connection *connection,
                                   const stele_snapshot *snapshot, bool *changed_out)
{
    bool found = false;
    stele__stream stream;
    uint32_t higher = 0;
    int64_t lowest = 0;
    *changed_out = false;
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__stream_find(connection, snapshot->stream, &found, &stream);
    if (status == STELE_OK)
        status = check_snapshot_stream(snapshot, found, &stream);
    if (status != STELE_OK)
        return status;

    *changed_out = true;
    stele__connection_touch(connection);
    status = drop_foreign(store, connection, &stream, snapshot->name);
    if (status == STELE_OK)
        status = count_higher(connection, stream.id, snapshot, &higher, &lowest);
    if (status == STELE_OK && higher == snapshot->keep)
        return drop_beyond(connection, stream.id, snapshot->name, lowest, 1);
    if (status == STELE_OK)
        status = insert_snapshot(store, connection, stream.id, snapshot);
    if (status == STELE_OK)
        status = drop_beyond(connection, stream.id, snapshot->name, snapshot->version,
                             snapshot->keep - higher);
    return status;
}

/* --- The calls --- */

typedef struct snapshot_request {
    stele__request request; /* first: the group knows only this */
    stele_snapshot snapshot;
} snapshot_request;

static stele_status run_snapshot_save(stele__request *request, stele__connection *connection,
                                      bool *changed_out)
{
    snapshot_request *save = (snapshot_request *)request;
    return apply_snapshot(request->store, connection, &save->snapshot, changed_out);
}

stele_status stele_snapshot_save(stele_store *store, const stele_snapshot *snapshot)
{
    snapshot_request save;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = prepare_snapshot(store, snapshot, &save.snapshot);
    if (status == STELE_OK) {
        save.request =
            (stele__request){ .apply = run_snapshot_save, .store = store, .repeatable = true };
        save.request.size = sizeof(save) + save.snapshot.data_size + save.snapshot.metadata_size;
        status = stele__group_run(store, &save.request, save.snapshot.wait);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_snapshot_save(stele_transaction *transaction,
                                             const stele_snapshot *snapshot)
{
    stele_snapshot taken;
    bool changed = false;
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = prepare_snapshot(transaction->store, snapshot, &taken);
    if (status == STELE_OK) {
        status = apply_snapshot(transaction->store, connection, &taken, &changed);
        if (status != STELE_OK)
            stele__transaction_failed(transaction, status, changed);
    }
    stele__transaction_leave(transaction);
    return status;
}
