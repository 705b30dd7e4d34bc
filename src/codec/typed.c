/* Appending values of the program's structs. */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "codec/decoded.h"

/* Events of one call that need no allocation of their own. */
#define TYPED_INLINE    8
#define TYPED_COUNT_MAX 100000

void stele_typed_event_init(stele_typed_event *event)
{
    if (event != NULL)
        *event = (stele_typed_event)STELE_TYPED_EVENT_INIT;
}

/* The payload goes to the end of `buffer`; `event_out->data` is left to who knows that it stays. */
static stele_status encode_event(const stele__registry *registry, const stele_typed_event *given,
                                 stele_buffer *buffer, stele_event *event_out, stele_flaw *flaw_out)
{
    stele__flaw_clear(flaw_out);
    stele_typed_event resolved = STELE_TYPED_EVENT_INIT;
    stele_status taken =
        stele__options_take("stele_typed_event", given, &resolved, sizeof(resolved));
    if (taken != STELE_OK)
        return taken;
    const stele_typed_event *typed = &resolved;
    if (typed->type == NULL || typed->value == NULL)
        return stele__fail(STELE_MISUSE, "the %s is NULL", typed->type == NULL ? "type" : "value");
    const stele__known *known = stele__known_table(registry, typed->type);
    if (known == NULL)
        return stele__fail(STELE_UNKNOWN_TYPE, "the table '%s' isn't registered",
                           typed->type->name == NULL ? "" : typed->type->name);
    const stele_codec *codec = typed->codec == NULL ? stele__codec_to_write(registry)
                                                    : stele__codec_find(registry, typed->codec);
    size_t size = buffer->size;
    stele_status status =
        codec == NULL ? stele__fail(STELE_UNSUPPORTED, "the codec '%s' isn't known", typed->codec)
                      : stele__codec_encode(codec, known->plan, typed->value, buffer, flaw_out);
    if (status != STELE_OK)
        return stele__fail_within(status, "type " STELE__TYPE_FORMAT, known->type->name,
                                  known->type->schema_version);
    *event_out = (stele_event){ .type = known->type->name,
                                .data_size = buffer->size - size,
                                .metadata = typed->metadata,
                                .metadata_size = typed->metadata_size,
                                .codec = codec->name,
                                .schema_version = known->type->schema_version,
                                .occurred_at = typed->occurred_at,
                                .has_occurred_at = typed->has_occurred_at };
    return STELE_OK;
}

stele_status stele_event_encode(stele_store *store, const stele_typed_event *typed,
                                stele_buffer *buffer, stele_event *event_out, stele_flaw *flaw_out)
{
    if (event_out != NULL)
        *event_out = (stele_event){ 0 };
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    if (typed == NULL || buffer == NULL || event_out == NULL)
        status = stele__fail(STELE_MISUSE, "stele_event_encode: a NULL argument");
    else
        status = encode_event(stele__registry_use(store), typed, buffer, event_out, flaw_out);
    if (status == STELE_OK && event_out->data_size > 0)
        event_out->data = buffer->data + buffer->size - event_out->data_size;
    stele__store_leave(store);
    return status;
}

/* --- Whatever it is --- */

static stele_status decode_as(stele_store *store, const stele_record *record,
                              const stele_type *type, void *value, stele_flaw *flaw_out)
{
    const stele__registry *registry = stele__registry_use(store);
    const stele__known *known = stele__known_table(registry, type);
    const stele_codec *codec = stele__codec_find(registry, record->codec);
    stele__plan *plan = NULL;
    stele_status status = known == NULL ? stele__plan_make(type, &plan) : STELE_OK;
    if (status == STELE_NO_MEMORY)
        stele_type_init(type, value);
    if (status != STELE_OK)
        return status;
    if (codec == NULL) {
        stele_type_init(type, value);
        status = stele__fail(STELE_UNSUPPORTED, "the codec '%s' isn't known", record->codec);
    } else {
        status = stele__codec_decode(codec, known == NULL ? plan : known->plan, record->data,
                                     record->data_size, value, NULL, flaw_out);
    }
    stele__plan_free(plan);
    if (status == STELE_OK)
        return STELE_OK;
    return stele__fail_within(
        status, "stream '%s' version %" PRId64 " position %" PRId64 " type " STELE__TYPE_FORMAT,
        record->stream, record->version, record->position, record->type, record->schema_version);
}

stele_status stele_record_decode_as(stele_store *store, const stele_record *record,
                                    const stele_type *type, void *value, stele_flaw *flaw_out)
{
    stele__flaw_clear(flaw_out);
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = type == NULL || value == NULL
                 ? stele__fail(STELE_MISUSE, "stele_record_decode_as: a NULL argument")
                 : stele__record_check(record);
    if (status == STELE_OK)
        status = decode_as(store, record, type, value, flaw_out);
    stele__store_leave(store);
    return status;
}

/* --- Several at once --- */

/* An append whose events are encoded here. */
typedef struct typed_batch {
    stele_append append; /* full size */
    stele_buffer payloads;
    stele_event *events;
    stele_event events_inline[TYPED_INLINE];
} typed_batch;

static void dispose_batch(typed_batch *batch)
{
    stele_buffer_dispose(&batch->payloads);
    if (batch->events != batch->events_inline)
        stele__free(batch->events);
}

static stele_status check_batch(const stele_append *append, const stele_typed_event *events,
                                size_t count, typed_batch *batch)
{
    if (append == NULL || (events == NULL && count > 0))
        return stele__fail(STELE_MISUSE, "the %s NULL",
                           append == NULL ? "append is" : "events are");
    stele_status status =
        stele__options_take("stele_append", append, &batch->append, sizeof(batch->append));
    if (status != STELE_OK)
        return status;
    if (batch->append.events != NULL || batch->append.event_count > 0)
        return stele__fail(STELE_MISUSE, "the append of typed events has events of its own");
    if (count > TYPED_COUNT_MAX)
        return stele__fail(STELE_TOO_LARGE, "%zu events in one append, beyond %d", count,
                           TYPED_COUNT_MAX);
    return STELE_OK;
}

/* Each is as large as the first one says, whatever the size here. */
static const stele_typed_event *typed_event_at(const stele_typed_event *events, size_t index)
{
    return (const void *)((const char *)events + index * events[0].struct_size);
}

static stele_status encode_batch(const stele__registry *registry, const stele_typed_event *events,
                                 size_t count, typed_batch *batch)
{
    if (count > TYPED_INLINE) {
        batch->events = stele__allocate_array(count, sizeof(stele_event));
        if (batch->events == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu events", count);
    }
    for (size_t i = 0; i < count; i++) {
        const stele_typed_event *event = typed_event_at(events, i);
        stele_status status =
            event->struct_size == events[0].struct_size
                ? encode_event(registry, event, &batch->payloads, &batch->events[i], NULL)
                : stele__fail(STELE_MISUSE, "struct_size is %zu, that of the first %zu",
                              event->struct_size, events[0].struct_size);
        if (status != STELE_OK)
            return stele__fail_within(status, "event %zu", i);
    }
    /* Now they stay where they are. */
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (batch->events[i].data_size > 0)
            batch->events[i].data = batch->payloads.data + at;
        at += batch->events[i].data_size;
    }
    batch->append.events = batch->events;
    batch->append.event_count = count;
    batch->append.event_size = sizeof(stele_event);
    return STELE_OK;
}

/* On failure there is nothing to dispose of. */
static stele_status begin_batch(stele_store *store, const stele_append *append,
                                const stele_typed_event *events, size_t count, typed_batch *batch)
{
    batch->append = (stele_append)STELE_APPEND_INIT;
    batch->payloads = (stele_buffer)STELE_BUFFER_INIT;
    batch->events = batch->events_inline;
    stele_status status = check_batch(append, events, count, batch);
    if (status == STELE_OK)
        status = encode_batch(stele__registry_use(store), events, count, batch);
    if (status != STELE_OK)
        dispose_batch(batch);
    return status;
}

stele_status stele_append_typed(stele_store *store, const stele_append *append,
                                const stele_typed_event *events, size_t count,
                                stele_appended *appended_out)
{
    STELE__UNINITIALIZED typed_batch batch;
    if (appended_out != NULL)
        *appended_out = (stele_appended){ 0 };
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = begin_batch(store, append, events, count, &batch);
    if (status == STELE_OK) {
        status = stele_store_append(store, &batch.append, appended_out);
        dispose_batch(&batch);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_append_typed(stele_transaction *transaction,
                                            const stele_append *append,
                                            const stele_typed_event *events, size_t count,
                                            stele_appended *appended_out)
{
    STELE__UNINITIALIZED typed_batch batch;
    stele__connection *connection = NULL;
    if (appended_out != NULL)
        *appended_out = (stele_appended){ 0 };
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = begin_batch(transaction->store, append, events, count, &batch);
    stele__transaction_leave(transaction);
    if (status != STELE_OK)
        return status;
    status = stele_transaction_append(transaction, &batch.append, appended_out);
    dispose_batch(&batch);
    return status;
}
