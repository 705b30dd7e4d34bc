/* What streams there are. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"
#include "eventstore/lifecycle.h"

/* Streams read ahead at once. */
#define STREAMS_PAGE 256

typedef struct stream_entry {
    stele_stream_info info; /* `stream` and `reason` are set when lent */
    size_t name_at;
    size_t reason_at;
} stream_entry;

struct stele_streams {
    stele_store *store;
    stele_transaction *transaction; /* NULL: pages come from the pool */
    stele_streams_read read;        /* its strings are those below */
    char *stream;
    char *prefix;
    stele__buffer after; /* the name reached, with its NUL */
    uint64_t left;
    stele_status ended; /* OK while streams may follow; then the answer for ever */
    char ended_text[STELE__ERROR_SIZE];
    stele__buffer names;
    stream_entry entries[STREAMS_PAGE];
    size_t entry_count;
    size_t entry_next;
    stele_stream_info lent;
};

void stele_streams_read_init(stele_streams_read *read)
{
    *read = (stele_streams_read)STELE_STREAMS_READ_INIT;
}

/* The counts that need a look at every event of the stream. */
static stele_status count_stream(stele__connection *connection, int64_t id, stele_stream_info *info)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT count(*), sum(coalesce(length(CAST(data AS BLOB)), 0)"
        " + coalesce(length(CAST(metadata AS BLOB)), 0)),"
        " (SELECT coalesce(occurred_at, recorded_at) FROM events WHERE stream = ?1"
        "  AND version > (SELECT base_version FROM streams WHERE id = ?1) ORDER BY version LIMIT "
        "1),"
        " (SELECT coalesce(occurred_at, recorded_at) FROM events WHERE stream = ?1"
        "  ORDER BY version DESC LIMIT 1)"
        " FROM events WHERE stream = ?1 AND flags & 3 = 0",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, id);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        info->events = stele__column_number(statement, 0);
        info->bytes = stele__column_number(statement, 1);
        info->first_time = stele__column_number(statement, 2);
        info->last_time = stele__column_number(statement, 3);
    }
    stele__statement_end(statement);
    return status;
}

static stele_status find_version(stele__connection *connection, int64_t id, int64_t base_version,
                                 int64_t *version_out)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT coalesce(max(version), ?2) FROM events WHERE stream = ?1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, id);
    stele__bind_number(statement, 2, base_version);
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        *version_out = stele__column_number(statement, 0);
    stele__statement_end(statement);
    return status;
}

/* Whether the payloads are elsewhere, or on their way. */
static stele_status find_whereabouts(stele__connection *connection, int64_t id,
                                     stele_stream_info *info)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(connection->database,
                               "SELECT EXISTS (SELECT 1 FROM archive_ranges WHERE stream = ?1),"
                               " coalesce((SELECT work FROM unfinished WHERE stream = ?1), 0)",
                               &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, id);
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        int64_t work = stele__column_number(statement, 1);
        info->unfinished = work != 0;
        /* What is left to be dropped are copies: the payloads are here. */
        info->moved = stele__column_number(statement, 0) != 0
                      && info->state == STELE_STREAM_ARCHIVED && work != STELE__UNFINISHED_DROP;
    }
    stele__statement_end(statement);
    return status;
}

static stele_status take_stream(stele_streams *streams, stele__connection *connection,
                                stele__statement *statement)
{
    int64_t id = stele__column_number(statement, 0);
    const char *name = stele__column_text(statement, 1);
    const char *reason = stele__column_text(statement, 3);
    int64_t base_version = stele__column_number(statement, 5);
    stream_entry *entry = &streams->entries[streams->entry_count];
    *entry = (stream_entry){ .info.state = (stele_stream_state)stele__column_number(statement, 2),
                             .info.changed_at = stele__column_number(statement, 4),
                             .info.id = id,
                             .info.first_version = base_version + 1 };
    if (name == NULL
        || stele__stream_checksum(id, name, stele__column_number(statement, 2), reason,
                                  entry->info.changed_at, base_version)
               != stele__column_number(statement, 6))
        return stele__fail(STELE_CORRUPT, "the row %" PRId64 " of streams is damaged", id);
    /* A damaged index may lead to a stream twice. */
    if (streams->after.size > 0 && strcmp(name, (const char *)streams->after.data) <= 0)
        return stele__fail(STELE_CORRUPT, "the names of streams are out of order at '%s'", name);
    streams->after.size = 0;
    stele_status status = stele__buffer_add(&streams->after, name, strlen(name) + 1);
    if (status != STELE_OK || (name[0] == '$' && !streams->read.system))
        return status;

    entry->name_at = streams->names.size;
    status = stele__buffer_add(&streams->names, name, strlen(name) + 1);
    entry->reason_at = streams->names.size;
    reason = reason == NULL ? "" : reason;
    if (status == STELE_OK)
        status = stele__buffer_add(&streams->names, reason, strlen(reason) + 1);
    if (status == STELE_OK)
        status = find_version(connection, id, base_version, &entry->info.version);
    if (status == STELE_OK)
        status = find_whereabouts(connection, id, &entry->info);
    if (status == STELE_OK && streams->read.statistics)
        status = count_stream(connection, id, &entry->info);
    streams->entry_count += status == STELE_OK;
    return status;
}

static bool has_prefix(const char *name, const char *prefix)
{
    return prefix == NULL || strncmp(name, prefix, strlen(prefix)) == 0;
}

/* The next streams in the order of their names; an empty page is the end. */
static stele_status fill_streams_page(stele_streams *streams, stele__connection *connection)
{
    const stele_streams_read *read = &streams->read;
    streams->entry_count = 0;
    streams->entry_next = 0;
    streams->names.size = 0;
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT id, name, state, reason, changed_at, base_version, checksum FROM streams"
        " WHERE name > ?1 AND name >= ?2 ORDER BY name",
        &statement);
    if (status != STELE_OK)
        return status;
    char after[STELE_NAME_SIZE_MAX + 1] = "";
    if (streams->after.size > 0)
        memcpy(after, streams->after.data, streams->after.size);
    const char *from = read->stream != NULL ? read->stream : read->prefix;
    stele__bind_text(statement, 1, after);
    stele__bind_text(statement, 2, from == NULL ? "" : from);
    while (streams->entry_count < STREAMS_PAGE && streams->entry_count < streams->left) {
        status = stele__statement_step(statement);
        if (status != STELE_OK)
            break;
        const char *name = stele__column_text(statement, 1);
        if (name != NULL
            && (read->stream != NULL ? strcmp(name, read->stream) != 0
                                     : !has_prefix(name, read->prefix))) {
            status = STELE_DONE; /* in the order of bytes, no later name fits either */
            break;
        }
        status = take_stream(streams, connection, statement);
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    streams->left -= streams->entry_count;
    return status < 0 ? status : STELE_OK;
}

static stele_status check_streams_read(const stele_streams_read *read)
{
    stele_status status = STELE_OK;
    if (read->stream != NULL)
        status = stele__check_name("stream", read->stream);
    if (status == STELE_OK && read->prefix != NULL && read->prefix[0] != '\0')
        status = stele__check_name("prefix", read->prefix);
    if (status == STELE_OK && read->after != NULL && read->after[0] != '\0')
        status = stele__check_name("after", read->after);
    return status;
}

static stele_status make_streams(stele_store *store, stele_transaction *transaction,
                                 const stele_streams_read *read, stele_streams **streams_out)
{
    stele_streams *streams = stele__allocate_array(1, sizeof(*streams));
    if (streams == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a list of streams");
    streams->store = store;
    streams->transaction = transaction;
    stele__store_hold(store);
    if (transaction != NULL)
        stele__transaction_hold(transaction);
    streams->read = *read;
    streams->read.after = NULL;
    streams->read.stream = streams->stream = stele__copy_text(read->stream);
    streams->read.prefix = streams->prefix = stele__copy_text(read->prefix);
    streams->left = read->limit == 0 ? UINT64_MAX : read->limit;
    *streams_out = streams;
    if ((read->stream != NULL && streams->read.stream == NULL)
        || (read->prefix != NULL && streams->read.prefix == NULL))
        return stele__fail(STELE_NO_MEMORY, "no memory for a list of streams");
    if (read->after == NULL)
        return STELE_OK;
    return stele__buffer_add(&streams->after, read->after, strlen(read->after) + 1);
}

static stele_status read_streams_page(stele_streams *streams)
{
    stele__connection *connection = NULL;
    stele_status status;
    if (streams->transaction != NULL) {
        status = stele__transaction_enter(streams->transaction, &connection);
        if (status != STELE_OK)
            return status;
        status = fill_streams_page(streams, connection);
        stele__transaction_leave(streams->transaction);
        return status;
    }
    status = stele__store_enter(streams->store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(streams->store, NULL, &connection);
    if (status == STELE_OK) {
        status = fill_streams_page(streams, connection);
        stele__read_end(streams->store, connection);
    }
    stele__store_leave(streams->store);
    return status;
}

/* Keep the answer that is to follow the page. */
static void end_streams_page(stele_streams *streams, stele_status status)
{
    streams->ended = status;
    if (status < 0)
        snprintf(streams->ended_text, sizeof(streams->ended_text), "%s", stele_error_text());
}

/* Inside a call on the store or the transaction. */
static stele_status open_streams(stele_store *store, stele_transaction *transaction,
                                 const stele_streams_read *read, stele_streams **streams_out)
{
    stele_streams_read taken = STELE_STREAMS_READ_INIT;
    stele_streams *streams = NULL;
    stele_status status = stele__options_take("stele_streams_read", read, &taken, sizeof(taken));
    if (status == STELE_OK)
        status = check_streams_read(&taken);
    if (status == STELE_OK)
        status = make_streams(store, transaction, &taken, &streams);
    if (status != STELE_OK) {
        stele_streams_close(streams);
        return status;
    }
    /* Damage is met in its place; what keeps the list from being read at all, now. */
    status = read_streams_page(streams);
    if (status < 0 && status != STELE_CORRUPT) {
        stele_streams_close(streams);
        return status;
    }
    end_streams_page(streams, status);
    *streams_out = streams;
    return STELE_OK;
}

stele_status stele_store_streams(stele_store *store, const stele_streams_read *read,
                                 stele_streams **streams_out)
{
    if (streams_out == NULL)
        return stele__fail(STELE_MISUSE, "streams_out is NULL");
    *streams_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = open_streams(store, NULL, read, streams_out);
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_streams(stele_transaction *transaction,
                                       const stele_streams_read *read, stele_streams **streams_out)
{
    if (streams_out == NULL)
        return stele__fail(STELE_MISUSE, "streams_out is NULL");
    *streams_out = NULL;
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = open_streams(transaction->store, transaction, read, streams_out);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele_streams_next(stele_streams *streams, const stele_stream_info **info_out)
{
    if (info_out != NULL)
        *info_out = NULL;
    if (streams == NULL || info_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", streams == NULL ? "streams" : "info_out");
    stele_status usable = stele__store_check(streams->store);
    if (usable != STELE_OK)
        return usable;
    if (streams->transaction != NULL && atomic_load(&streams->transaction->over))
        return stele__fail(STELE_CLOSED, "the list's transaction is over");
    if (streams->ended == STELE_OK && streams->entry_next == streams->entry_count)
        end_streams_page(streams, streams->left == 0 ? STELE_DONE : read_streams_page(streams));
    /* What a page read before it met damage is given first. */
    if (streams->entry_next == streams->entry_count) {
        if (streams->ended == STELE_OK)
            streams->ended = STELE_DONE;
        stele__restore_error(streams->ended_text);
        return streams->ended;
    }
    stream_entry *entry = &streams->entries[streams->entry_next++];
    streams->lent = entry->info;
    streams->lent.stream = streams->names.data + entry->name_at;
    streams->lent.reason = streams->names.data + entry->reason_at;
    *info_out = &streams->lent;
    return STELE_OK;
}

void stele_streams_close(stele_streams *streams)
{
    if (streams == NULL)
        return;
    stele__free(streams->stream);
    stele__free(streams->prefix);
    stele__buffer_dispose(&streams->after);
    stele__buffer_dispose(&streams->names);
    if (streams->transaction != NULL)
        stele__transaction_release(streams->transaction);
    stele__store_release(streams->store);
    stele__free(streams);
}

static stele_status check_stream_question(const char *stream, stele_stream_info *info_out,
                                          stele_streams_read *read_out)
{
    if (info_out == NULL)
        return stele__fail(STELE_MISUSE, "info_out is NULL");
    *info_out = (stele_stream_info){ 0 };
    *read_out = (stele_streams_read)STELE_STREAMS_READ_INIT;
    read_out->stream = stream;
    read_out->statistics = true;
    read_out->system = true;
    return stele__check_name("stream", stream);
}

/* The one stream of the list, copied out; ends the list. */
static stele_status answer_stream(stele_streams *streams, const char *stream,
                                  stele_stream_info *info_out)
{
    static _Thread_local char reason_lent[STELE_REASON_SIZE_MAX + 1];
    const stele_stream_info *info = NULL;
    stele_status status = stele_streams_next(streams, &info);
    if (status == STELE_DONE)
        status = stele__fail(STELE_NOT_FOUND, "there is no stream '%s'", stream);
    if (status == STELE_OK) {
        size_t size = strlen(info->reason);
        size = size < sizeof(reason_lent) ? size : sizeof(reason_lent) - 1;
        memcpy(reason_lent, info->reason, size);
        reason_lent[size] = '\0';
        *info_out = *info;
        info_out->stream = stream;
        info_out->reason = reason_lent;
    }
    stele_streams_close(streams);
    return status;
}

stele_status stele_store_stream(stele_store *store, const char *stream, stele_stream_info *info_out)
{
    stele_streams_read read;
    stele_streams *streams = NULL;
    stele_status status = check_stream_question(stream, info_out, &read);
    if (status == STELE_OK)
        status = stele_store_streams(store, &read, &streams);
    return status == STELE_OK ? answer_stream(streams, stream, info_out) : status;
}

stele_status stele_transaction_stream(stele_transaction *transaction, const char *stream,
                                      stele_stream_info *info_out)
{
    stele_streams_read read;
    stele_streams *streams = NULL;
    stele_status status = check_stream_question(stream, info_out, &read);
    if (status == STELE_OK)
        status = stele_transaction_streams(transaction, &read, &streams);
    return status == STELE_OK ? answer_stream(streams, stream, info_out) : status;
}
