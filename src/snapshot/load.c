/* Loading a snapshot: from the highest version down, the first that fits. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "snapshot/row.h"

void stele_snapshot_read_init(stele_snapshot_read *read)
{
    *read = (stele_snapshot_read)STELE_SNAPSHOT_READ_INIT;
}

const char *stele_snapshot_miss_name(stele_snapshot_miss miss)
{
    switch (miss) {
    case STELE_SNAPSHOT_HIT: return "hit";
    case STELE_SNAPSHOT_NONE: return "none";
    case STELE_SNAPSHOT_SCHEMA: return "schema";
    case STELE_SNAPSHOT_CODEC: return "codec";
    case STELE_SNAPSHOT_EPOCH: return "epoch";
    case STELE_SNAPSHOT_BEYOND: return "beyond";
    case STELE_SNAPSHOT_DAMAGED: return "damaged";
    case STELE_SNAPSHOT_UNDECODABLE: return "undecodable";
    }
    return "unknown";
}

/* A load in progress. */
typedef struct snapshot_search {
    const stele_store *store;
    const stele_snapshot_read *read;
    stele__stream stream;
    stele_snapshot_miss miss; /* of the highest version; HIT: none was looked at yet */
    char reason[STELE__ERROR_SIZE];
    stele_snapshot_record *record; /* what was found */
} snapshot_search;

/* Only the first reason counts. */
__attribute__((format(printf, 3, 4))) static void
note_miss(snapshot_search *search, stele_snapshot_miss miss, const char *format, ...)
{
    if (search->miss != STELE_SNAPSHOT_HIT)
        return;
    va_list arguments;
    va_start(arguments, format);
    stele__format_printable(search->reason, sizeof(search->reason), format, arguments);
    va_end(arguments);
    search->miss = miss;
}

/* --- The record --- */

/* Copy `size` bytes to `*at`, with a NUL, and go on behind that. */
static const char *place_bytes(char **at, const void *bytes, size_t size)
{
    char *begin = *at;
    if (size > 0)
        memcpy(begin, bytes, size);
    begin[size] = '\0';
    *at += size + 1;
    return begin;
}

/* All in one piece of memory; the data comes first, where alignment is best. */
static stele_status make_record(const stele_snapshot_read *read, const char *reason,
                                const char *codec, const stele__snapshot_content *content,
                                stele_snapshot_record **record_out)
{
    const char *stream = codec == NULL ? "" : read->stream;
    const char *name = codec == NULL ? "" : read->name;
    if (codec == NULL)
        codec = "";
    size_t size = sizeof(stele_snapshot_record) + content->data_size + content->metadata_size
                  + strlen(stream) + strlen(name) + strlen(codec) + strlen(reason) + 6;
    stele_snapshot_record *record = stele__allocate(size);
    if (record == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a snapshot of %zu bytes",
                           content->data_size + content->metadata_size);
    char *at = (char *)(record + 1);
    *record = (stele_snapshot_record){ .data_size = content->data_size,
                                       .metadata_size = content->metadata_size };
    record->data = place_bytes(&at, content->data, content->data_size);
    record->metadata = place_bytes(&at, content->metadata, content->metadata_size);
    record->stream = place_bytes(&at, stream, strlen(stream));
    record->name = place_bytes(&at, name, strlen(name));
    record->codec = place_bytes(&at, codec, strlen(codec));
    record->reason = place_bytes(&at, reason, strlen(reason));
    *record_out = record;
    return STELE_OK;
}

static stele_status make_hit(snapshot_search *search, const stele__snapshot_row *row,
                             const char *codec, const stele__snapshot_content *content)
{
    stele_status status = make_record(search->read, "", codec, content, &search->record);
    if (status != STELE_OK)
        return status;
    search->record->found = true;
    search->record->stream_id = row->stream;
    search->record->version = row->version;
    search->record->schema_version = row->schema_version;
    search->record->saved_at = row->saved_at;
    return STELE_OK;
}

static stele_status make_miss(snapshot_search *search)
{
    stele__snapshot_content nothing = { 0 };
    stele_status status =
        make_record(search->read, search->reason, NULL, &nothing, &search->record);
    if (status == STELE_OK)
        search->record->miss = search->miss;
    return status;
}

/* --- Searching --- */

/* By what is cheap to read. Whether it fits is told by `*fits_out`. */
static stele_status judge_columns(snapshot_search *search, stele__connection *connection,
                                  const stele__snapshot_row *row, bool *fits_out)
{
    const stele_snapshot_read *read = search->read;
    const char *codec = NULL;
    *fits_out = false;
    if (strcmp(row->epoch, search->store->epoch) != 0) {
        note_miss(search, STELE_SNAPSHOT_EPOCH,
                  "the snapshot '%s' of stream '%s' at version %" PRId64
                  " is of epoch '%s', which is not the current one, %s",
                  read->name, read->stream, row->version, row->epoch, search->store->epoch);
        return STELE_OK;
    }
    if (row->version > search->stream.version) {
        note_miss(search, STELE_SNAPSHOT_BEYOND,
                  "the snapshot '%s' is of version %" PRId64 ", but stream '%s' is at %" PRId64,
                  read->name, row->version, read->stream, search->stream.version);
        return STELE_OK;
    }
    if (read->schema_version != 0 && row->schema_version != read->schema_version) {
        note_miss(search, STELE_SNAPSHOT_SCHEMA,
                  "the snapshot '%s' of stream '%s' at version %" PRId64
                  " is of schema version %" PRId64 ", not %" PRId64,
                  read->name, read->stream, row->version, row->schema_version,
                  read->schema_version);
        return STELE_OK;
    }
    stele_status status = stele__name_of(connection, STELE__CODECS, row->codec, &codec);
    if (status != STELE_OK)
        return status;
    *fits_out = read->codec == NULL || strcmp(codec, read->codec) == 0;
    if (!*fits_out)
        note_miss(search, STELE_SNAPSHOT_CODEC,
                  "the snapshot '%s' of stream '%s' at version %" PRId64 " is in '%s', not '%s'",
                  read->name, read->stream, row->version, codec, read->codec);
    return STELE_OK;
}

/* The data is read only when everything else fits. */
static stele_status judge_snapshot(snapshot_search *search, stele__connection *connection,
                                   const stele__snapshot_row *row)
{
    bool fits = false;
    const char *codec = NULL;
    stele__snapshot_content content;
    stele__statement *statement = NULL;
    stele_status status = judge_columns(search, connection, row, &fits);
    if (status == STELE_OK && fits)
        status = stele__snapshot_content_read(connection, row, &statement, &codec, &content);
    if (status == STELE_OK && fits)
        status = make_hit(search, row, codec, &content);
    stele__statement_end(statement);
    return status;
}

/* Damage is a miss, wherever it shows: in the row, in the pages under it, in the codec's name. */
static stele_status forgive_damage(snapshot_search *search, stele_status status)
{
    char text[STELE__ERROR_SIZE];
    if (status != STELE_CORRUPT)
        return status;
    stele__keep_error(text);
    note_miss(search, STELE_SNAPSHOT_DAMAGED, "a snapshot '%s' of stream '%s' is damaged: %s",
              search->read->name, search->read->stream, text);
    return STELE_OK;
}

static stele_status search_snapshots(snapshot_search *search, stele__connection *connection)
{
    const stele_snapshot_read *read = search->read;
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "SELECT " STELE__SNAPSHOT_COLUMNS " FROM snapshots s"
                               " WHERE s.stream = ?1 AND s.name = ?2 AND s.version <= ?3"
                               " ORDER BY s.version DESC LIMIT ?4",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, search->stream.id);
    stele__bind_text(statement, 2, read->name);
    stele__bind_number(statement, 3, read->max_version == 0 ? INT64_MAX : read->max_version);
    stele__bind_number(statement, 4, STELE_SNAPSHOT_KEEP_MAX);
    while (search->record == NULL && (status = stele__statement_step(statement)) == STELE_OK) {
        stele__snapshot_row row;
        stele__snapshot_row_read(statement, &row);
        status = forgive_damage(search, judge_snapshot(search, connection, &row));
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : forgive_damage(search, status);
}

static stele_status load_snapshot(const stele_store *store, stele__connection *connection,
                                  const stele_snapshot_read *read,
                                  const stele_snapshot_record **record_out)
{
    bool found = false;
    snapshot_search search = { .store = store, .read = read };
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__stream_find(connection, read->stream, &found, &search.stream);
    if (status == STELE_OK && found)
        status = search_snapshots(&search, connection);
    if (!found)
        note_miss(&search, STELE_SNAPSHOT_NONE, "there is no stream '%s'", read->stream);
    else if (read->max_version != 0)
        note_miss(&search, STELE_SNAPSHOT_NONE,
                  "stream '%s' has no snapshot '%s' up to version %" PRId64, read->stream,
                  read->name, read->max_version);
    else
        note_miss(&search, STELE_SNAPSHOT_NONE, "stream '%s' has no snapshot '%s'", read->stream,
                  read->name);
    if (status == STELE_OK && search.record == NULL)
        status = make_miss(&search);
    if (status == STELE_OK)
        *record_out = search.record;
    else
        stele_snapshot_close(search.record);
    return status;
}

/* --- The calls --- */

static stele_status check_snapshot_read(const stele_snapshot_read *given,
                                        stele_snapshot_read *taken,
                                        const stele_snapshot_record **record_out)
{
    *taken = (stele_snapshot_read)STELE_SNAPSHOT_READ_INIT;
    if (record_out == NULL)
        return stele__fail(STELE_MISUSE, "record_out is NULL");
    *record_out = NULL;
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "which snapshot to read is NULL");
    stele_status status = stele__options_take("stele_snapshot_read", given, taken, sizeof(*taken));
    if (status == STELE_OK)
        status = stele__snapshot_check_names(taken->stream, &taken->name);
    if (status == STELE_OK && taken->codec != NULL)
        status = stele__check_name("codec", taken->codec);
    if (status == STELE_OK && (taken->schema_version < 0 || taken->max_version < 0))
        status =
            stele__fail(STELE_MISUSE, "%s %" PRId64 " is below 0",
                        taken->schema_version < 0 ? "schema_version" : "max_version",
                        taken->schema_version < 0 ? taken->schema_version : taken->max_version);
    return status;
}

stele_status stele_snapshot_load(stele_store *store, const stele_snapshot_read *read,
                                 const stele_snapshot_record **record_out)
{
    stele_snapshot_read taken;
    stele__connection *connection = NULL;
    stele_status status = check_snapshot_read(read, &taken, record_out);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, taken.wait, &connection);
    if (status == STELE_OK) {
        status = load_snapshot(store, connection, &taken, record_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_snapshot_load(stele_transaction *transaction,
                                             const stele_snapshot_read *read,
                                             const stele_snapshot_record **record_out)
{
    stele_snapshot_read taken;
    stele__connection *connection = NULL;
    stele_status status = check_snapshot_read(read, &taken, record_out);
    if (status == STELE_OK)
        status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = load_snapshot(transaction->store, connection, &taken, record_out);
    stele__transaction_leave(transaction);
    return status;
}

void stele_snapshot_close(const stele_snapshot_record *record)
{
    stele__free((stele_snapshot_record *)record);
}
