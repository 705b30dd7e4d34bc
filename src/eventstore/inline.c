/* An append with what is folded of its events in the same transaction: all of it or nothing. */
#include "eventstore/inline.h"

#include <inttypes.h>

#include "base/memory.h"
#include "eventstore/eventstore.h"
#include "store/schema.h"

static stele__inline *inline_of(stele_store *store)
{
    return atomic_load(&store->attachments[STELE__ATTACHMENT_INLINE].state);
}

/* Looked up again whenever the file may say something else. */
static stele_status look_for_inline(stele_store *store, stele__connection *connection)
{
    if (store->inline_known && store->inline_revision == connection->revision)
        return STELE_OK;
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT EXISTS(SELECT 1 FROM state WHERE scope = '" STELE__INLINE_SCOPE "'"
        " AND codec <> 0)",
        &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        store->inline_there = stele__column_number(statement, 0) != 0;
        store->inline_revision = connection->revision;
        store->inline_known = true;
    }
    stele__statement_end(statement);
    return status;
}

stele_status stele__inline_check(stele_store *store, stele__connection *connection,
                                 const char *stream, bool *folds_out)
{
    stele__inline *of = inline_of(store);
    bool here = of != NULL && atomic_load(&of->count) > 0;
    *folds_out = false;
    if (store->folding)
        return stele__fail(STELE_MISUSE, "an inline projection can't append, here to '%s'", stream);
    stele_status status = look_for_inline(store, connection);
    if (status != STELE_OK)
        return status;
    if (store->inline_there && !here && stream[0] != '$')
        return stele__fail(STELE_REFUSED,
                           "a projection is kept with every append to this store, and isn't open in"
                           " this process");
    *folds_out = here;
    return STELE_OK;
}

stele_status stele__inline_missed(stele__connection *connection, int64_t position,
                                  int64_t *missed_out)
{
    stele__statement *statement = NULL;
    *missed_out = 0;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT e.position FROM events e LEFT JOIN streams s ON s.id = e.stream"
        " WHERE e.position > ?1 AND substr(coalesce(s.name, ''), 1, 1) <> '$'"
        " ORDER BY e.position LIMIT 1",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, position);
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        *missed_out = stele__column_number(statement, 0);
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status run_statement(stele__connection *connection, const char *sql)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(connection->database, sql, &statement);
    return status == STELE_OK ? stele__statement_run(statement) : status;
}

/* Records have a NUL behind their data, which the caller's events needn't. */
static stele_status copy_payload(stele__buffer *buffer, const stele_event *event,
                                 stele_record *record)
{
    buffer->size = 0;
    stele_status status =
        stele__buffer_reserve(buffer, event->data_size + event->metadata_size + 2);
    if (status == STELE_OK)
        status = stele__buffer_add(buffer, event->data, event->data_size);
    if (status == STELE_OK)
        status = stele__buffer_add(buffer, "", 1);
    if (status == STELE_OK)
        status = stele__buffer_add(buffer, event->metadata, event->metadata_size);
    if (status == STELE_OK)
        status = stele__buffer_add(buffer, "", 1);
    if (status != STELE_OK)
        return status;
    record->data = buffer->data;
    record->data_size = event->data_size;
    record->metadata = (const char *)buffer->data + event->data_size + 1;
    record->metadata_size = event->metadata_size;
    return STELE_OK;
}

static stele_status fold_events(stele__inline *of, const stele__prepared *prepared,
                                const stele__append_place *place, const stele_appended *appended,
                                int64_t recorded_at)
{
    const stele_append *append = &prepared->append;
    stele__buffer buffer = { 0 };
    stele_status status = STELE_OK;
    for (size_t i = 0; i < append->event_count && status == STELE_OK; i++) {
        stele_event event;
        stele__prepared_event(prepared, i, &event);
        stele_record record = {
            .position = appended->first_position + (int64_t)i,
            .version = place->stream.version + 1 + (int64_t)i,
            .stream = append->stream,
            .type = event.type,
            .codec = event.codec,
            .schema_version = event.schema_version,
            .recorded_at = recorded_at,
            .occurred_at = event.has_occurred_at ? event.occurred_at : 0,
            .has_occurred_at = event.has_occurred_at,
            .flags = (uint32_t)place->flags,
            .stream_id = place->stream.id,
        };
        status = copy_payload(&buffer, &event, &record);
        if (status == STELE_OK)
            status = of->event(of, &record);
    }
    stele__buffer_dispose(&buffer);
    return status;
}

/* The user's SQL may have rolled back more than its own, or hung something on our tables. */
static stele_status check_what_is_left(const stele_store *store, stele__connection *connection,
                                       int64_t head)
{
    int64_t there = 0;
    uint32_t cookie = connection->schema_cookie;
    stele_status status = stele__database_number(
        connection->database, "SELECT coalesce(max(position), 0) FROM events", &there);
    if (status == STELE_OK && there != head)
        return stele__fail(STELE_MISUSE, "an inline projection rolled back what isn't its own");
    if (status == STELE_OK)
        status = stele__schema_recheck(connection->database, &cookie, store->options.strict_schema,
                                       NULL);
    return status == STELE_CORRUPT ? stele__fail_within(STELE_MISUSE, "can't append") : status;
}

static stele_status write_and_fold(stele_store *store, stele__inline *of,
                                   stele__connection *connection, const stele__prepared *prepared,
                                   stele__append_place *place, stele_appended *appended)
{
    stele__log_end end = { 0 };
    uintptr_t writer = atomic_load(&store->writer_thread);
    stele_status status = stele__log_end_find(connection, &end);
    if (status != STELE_OK)
        return status;
    /* Writing to the store from inside would wait for itself. */
    atomic_store(&store->writer_thread, stele__thread_id());
    store->folding = true;
    status = of->begin(of, connection, end.head, prepared->append.stream[0] == '$');
    if (status == STELE_OK)
        status = stele__write_append(store, connection, prepared, place, appended);
    if (status == STELE_OK)
        status = stele__log_end_find(connection, &end);
    if (status == STELE_OK)
        status = fold_events(of, prepared, place, appended, end.recorded_at);
    status = of->end(of, connection, end.head, status);
    store->folding = false;
    atomic_store(&store->writer_thread, writer);
    return status == STELE_OK ? check_what_is_left(store, connection, end.head) : status;
}

stele_status stele__inline_append(stele_store *store, stele__connection *connection,
                                  const stele__prepared *prepared, stele__append_place *place,
                                  stele_appended *appended, bool *changed_out)
{
    stele_appended before = *appended;
    int64_t appended_to = connection->appended_to;
    *changed_out = false;
    stele_status status = run_statement(connection, "SAVEPOINT stele_fold");
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    status = write_and_fold(store, inline_of(store), connection, prepared, place, appended);
    if (status == STELE_OK)
        status = run_statement(connection, "RELEASE stele_fold");
    if (status == STELE_OK) {
        *changed_out = true;
        return STELE_OK;
    }
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    *appended = before;
    connection->appended_to = appended_to;
    connection->revision++; /* names that were assigned are gone */
    bool undone = stele__database_in_transaction(connection->database)
                  && run_statement(connection, "ROLLBACK TO stele_fold") == STELE_OK
                  && run_statement(connection, "RELEASE stele_fold") == STELE_OK;
    *changed_out = !undone;
    stele__restore_error(error);
    return status;
}
