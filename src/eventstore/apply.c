/*
 * An append inside a write transaction: first everything that can refuse it, then the writing. So
 * a refusal leaves nothing to undo, and many appends can share one commit.
 */
#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "base/platform.h"
#include "eventstore/eventstore.h"
#include "store/sequencer.h"

/* A clock that is this far behind the log was set, not nudged. */
#define CLOCK_CLAMP_US ((uint64_t)5 * 60 * 1000000)

/* What was appended with the key is to be erased, whether that is done yet or not. */
static stele_status look_for_deleted(stele__connection *connection, stele__key_row *row)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT 1 FROM streams WHERE id = ?1 AND name IS NULL", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, row->stream);
    status = stele__statement_step(statement);
    row->erased = status == STELE_OK;
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* The same key came before: its outcome, or KEY_REUSED. `*duplicate_out` says which. */
static stele_status answer_duplicate(stele__connection *connection, const stele__prepared *prepared,
                                     stele_appended *appended)
{
    const char *key = prepared->append.idempotency_key;
    bool found = false;
    stele__key_row row;
    if (key == NULL)
        return STELE_OK;
    stele_status status = stele__key_find(connection, key, &found, &row);
    if (status != STELE_OK || !found)
        return status;
    if (!row.erased && row.digest != prepared->digest)
        status = look_for_deleted(connection, &row);
    if (status != STELE_OK)
        return status;
    if (!row.erased && row.digest != prepared->digest)
        return stele__fail(STELE_KEY_REUSED,
                           "the idempotency key '%s' came before with other content", key);

    appended->duplicate = true;
    appended->erased = row.erased;
    appended->stream_version = row.version;
    if (row.id > 0 && row.event_count > 0) {
        appended->first_position = row.id;
        appended->last_position = row.id + row.event_count - 1;
    }
    return STELE_OK;
}

static stele_status check_state(const char *name, const stele__append_place *place)
{
    if (!place->exists || place->stream.state == STELE_STREAM_ACTIVE)
        return STELE_OK;
    if (place->stream.state == STELE_STREAM_TOMBSTONED)
        return stele__fail(STELE_TOMBSTONED, "stream '%s' is tombstoned at version %" PRId64, name,
                           place->stream.version);
    return stele__fail(STELE_ARCHIVED, "stream '%s' is archived at version %" PRId64, name,
                       place->stream.version);
}

static stele_status check_expected(const char *name, int64_t expected,
                                   const stele__append_place *place)
{
    int64_t actual = place->exists ? place->stream.version : 0;
    if (expected == STELE_ANY || expected == actual
        || (expected == STELE_STREAM_EXISTS && actual > 0))
        return STELE_OK;
    if (expected == STELE_STREAM_EXISTS)
        return stele__fail(STELE_CONFLICT, "stream '%s' was expected to exist", name);
    if (expected == STELE_NO_STREAM)
        return stele__fail(STELE_CONFLICT, "stream '%s' is at version %" PRId64 ", expected none",
                           name, actual);
    return stele__fail(STELE_CONFLICT, "stream '%s' is at version %" PRId64 ", expected %" PRId64,
                       name, actual, expected);
}

static stele_status check_expected_id(const char *name, int64_t expected,
                                      const stele__append_place *place)
{
    int64_t actual = place->exists ? place->stream.id : 0;
    if (expected == actual)
        return STELE_OK;
    return stele__fail(STELE_CONFLICT, "stream '%s' has the id %" PRId64 ", expected %" PRId64,
                       name, actual, expected);
}

/* The conditions on other streams; `appended` learns which one failed. */
static stele_status check_other_streams(stele__connection *connection, const stele_append *append,
                                        stele_appended *appended)
{
    for (size_t i = 0; i < append->condition_count; i++) {
        stele_condition condition;
        memcpy(&condition, (const char *)append->conditions + i * append->condition_size,
               sizeof(condition));
        stele__append_place place = { 0 };
        stele_status status =
            stele__stream_find(connection, condition.stream, &place.exists, &place.stream);
        if (status == STELE_OK)
            status = condition.kind == STELE_CONDITION_STREAM_ID
                         ? check_expected_id(condition.stream, condition.expected_version, &place)
                         : check_expected(condition.stream, condition.expected_version, &place);
        if (status == STELE_CONFLICT) {
            appended->condition = (int32_t)i;
            appended->stream_version = place.exists ? place.stream.version : 0;
        }
        if (status != STELE_OK)
            return status;
    }
    return STELE_OK;
}

/* The store's clock never goes back by a little; a jump is taken over, and flagged. */
static int64_t read_store_clock(const stele_store *store, int64_t last, int64_t *flags)
{
    int64_t now = stele__store_now(store);
    if (now >= last)
        return now;
    if ((uint64_t)last - (uint64_t)now <= CLOCK_CLAMP_US) /* signed, it could overflow */
        return last;
    *flags |= STELE_RECORD_CLOCK_BACK;
    return now;
}

static stele_status insert_events(const stele_store *store, stele__connection *connection,
                                  const stele__prepared *prepared, stele__append_place *place,
                                  stele__log_end *end)
{
    const stele_append *append = &prepared->append;
    const stele__stream *stream = &place->stream;
    stele__row row = { .stream = stream->id, .stream_name = append->stream };
    int64_t flags = 0;
    row.recorded_at =
        read_store_clock(store, end->head == 0 ? INT64_MIN : end->recorded_at, &flags);
    for (size_t i = 0; i < append->event_count; i++) {
        stele_event event;
        stele__prepared_event(prepared, i, &event);
        row.position = end->head + 1;
        row.version = stream->version + 1 + (int64_t)i;
        row.flags = flags;
        if (i == 0 && append->idempotency_key != NULL)
            row.flags |= STELE__RECORD_KEYED;
        row.type_name = event.type;
        row.codec_name = event.codec;
        row.schema_version = event.schema_version;
        row.occurred_at = event.has_occurred_at ? event.occurred_at : 0;
        row.has_occurred_at = event.has_occurred_at;
        row.data = event.data;
        row.data_size = event.data_size;
        row.metadata = event.metadata;
        row.metadata_size = event.metadata_size;
        row.payload_hash = (int64_t)prepared->payload_hashes[i];
        row.checksum = stele__row_checksum(&row);
        stele_status status = stele__name_intern(connection, STELE__TYPES, event.type, &row.type);
        if (status == STELE_OK)
            status = stele__name_intern(connection, STELE__CODECS, event.codec, &row.codec);
        if (status == STELE_OK)
            status = stele__row_insert(connection, &row);
        if (status != STELE_OK)
            return status;
        end->head++;
    }
    end->recorded_at = row.recorded_at;
    place->flags = flags;
    return STELE_OK;
}

stele_status stele__write_append(const stele_store *store, stele__connection *connection,
                                 const stele__prepared *prepared, stele__append_place *place,
                                 stele_appended *appended)
{
    const stele_append *append = &prepared->append;
    stele__log_end end;
    stele_status status = stele__log_end_find(connection, &end);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);

    int64_t before = end.head;
    if (append->event_count > 0) {
        if (!place->exists)
            status = stele__stream_create(connection, append->stream, &place->stream);
        if (status == STELE_OK)
            status = insert_events(store, connection, prepared, place, &end);
        if (status != STELE_OK)
            return status;
        appended->first_position = before + 1;
        appended->last_position = end.head;
        connection->appended_to = end.head;
        appended->stream_version = place->stream.version + (int64_t)append->event_count;
    }
    if (append->idempotency_key != NULL) {
        stele__key_row row = { .id = appended->first_position,
                               .stream = place->stream.id,
                               .version = appended->stream_version,
                               .event_count = (int64_t)append->event_count,
                               .digest = prepared->digest };
        status = stele__key_insert(connection, append->idempotency_key, &row);
        if (status != STELE_OK)
            return status;
    }
    stele__stream_advance(connection, append->stream, appended->stream_version);
    stele__log_end_set(connection, end);
    return STELE_OK;
}

stele_status stele__apply_append(stele_store *store, stele__connection *connection,
                                 const stele__prepared *prepared, stele_appended *appended_out,
                                 bool *changed_out)
{
    const stele_append *append = &prepared->append;
    stele__append_place place = { 0 };
    *changed_out = false;
    *appended_out = (stele_appended){ .condition = -1 };

    stele_status status = stele__sequencer_check(store, "an append");
    if (status == STELE_OK)
        status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = answer_duplicate(connection, prepared, appended_out);
    if (status != STELE_OK || appended_out->duplicate)
        return status;
    status = stele__stream_find(connection, append->stream, &place.exists, &place.stream);
    if (status != STELE_OK)
        return status;
    appended_out->stream_version = place.exists ? place.stream.version : 0;
    status = check_state(append->stream, &place);
    if (status == STELE_OK)
        status = check_expected(append->stream, append->expected_version, &place);
    if (status == STELE_OK)
        status = check_other_streams(connection, append, appended_out);
    if (status != STELE_OK)
        return status;
    if (append->event_count == 0 && append->idempotency_key == NULL)
        return STELE_OK;

    bool folds = false;
    if (append->event_count > 0)
        status = stele__inline_check(store, connection, append->stream, &folds);
    if (status != STELE_OK)
        return status;
    *changed_out = true;
    return folds ? stele__inline_append(store, connection, prepared, &place, appended_out,
                                        changed_out)
                 : stele__write_append(store, connection, prepared, &place, appended_out);
}
