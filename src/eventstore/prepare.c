/* What can be judged of an append before the write lock is taken: names, sizes, payloads. */
#include <inttypes.h>
#include <string.h>

#include <stele/codec.h>
#include <stele/json.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "eventstore/eventstore.h"
#include "store/sequencer.h"

void stele_append_init(stele_append *append)
{
    *append = (stele_append)STELE_APPEND_INIT;
}

/* What the first version had; later ones only append fields. */
#define EVENT_SIZE_FIRST     sizeof(stele_event)
#define CONDITION_SIZE_FIRST sizeof(stele_condition)

/* A newer program's fields may be there as long as they ask for nothing. */
static stele_status check_array_tails(const char *what, const void *array, size_t count,
                                      size_t given_size, size_t size)
{
    for (size_t i = 0; i < count && given_size > size; i++)
        for (size_t at = size; at < given_size; at++)
            if (((const unsigned char *)array)[i * given_size + at] != 0)
                return stele__fail(STELE_MISUSE,
                                   "%s %zu sets a field that this library doesn't know", what, i);
    return STELE_OK;
}

void stele__prepared_event(const stele__prepared *prepared, size_t index, stele_event *event_out)
{
    const stele_append *append = &prepared->append;
    const char *at = (const char *)append->events + index * append->event_size;
    size_t size = append->event_size < sizeof(*event_out) ? append->event_size : sizeof(*event_out);
    *event_out = (stele_event){ 0 };
    memcpy(event_out, at, size);
    if (event_out->codec == NULL)
        event_out->codec = "json";
    if (event_out->schema_version == 0)
        event_out->schema_version = 1;
    if (event_out->occurred_at != 0)
        event_out->has_occurred_at = true;
}

/* Names starting with '$' are the library's own; `what` may not be one. */
static stele_status check_stream_name(const char *what, const char *name)
{
    stele_status status = stele__check_name(what, name);
    if (status == STELE_OK && name[0] == '$')
        return stele__fail(STELE_MISUSE, "the %s '%s' starts with '$', which is the library's",
                           what, name);
    return status;
}

/* Keys starting with '$' are the library's: an import makes them from its source. */
static stele_status check_key(const char *key)
{
    stele_status status = stele__check_name("idempotency key", key);
    if (status == STELE_OK && key[0] == '$' && strncmp(key, "$import/", 8) != 0)
        return stele__fail(STELE_MISUSE,
                           "the idempotency key '%s' starts with '$', which is the library's", key);
    return status;
}

static stele_status check_expected_version(const char *stream, int64_t expected)
{
    if (expected >= STELE_STREAM_EXISTS)
        return STELE_OK;
    return stele__fail(STELE_MISUSE, "stream '%s': the expected version %" PRId64 " is none",
                       stream, expected);
}

/* Is it a payload of its codec? Most are JSON, which is known without looking it up. */
static stele_status check_by_codec(stele_store *store, const stele_event *event,
                                   const stele_json_options *options)
{
    if (event->data_size == 0 || strcmp(event->codec, "raw") == 0)
        return STELE_OK;
    if (strcmp(event->codec, "json") == 0)
        return stele_json_check(event->data, event->data_size, options);
    if (stele__is_framing(store) && strcmp(event->codec, "cbor") != 0)
        return STELE_OK; /* who wrote the frame knew the program's codecs */
    return stele_store_check_payload(store, event->codec, event->data, event->data_size,
                                     options->size_max);
}

static stele_status check_payload(stele_store *store, const stele_event *event, size_t index)
{
    if ((event->data == NULL && event->data_size > 0)
        || (event->metadata == NULL && event->metadata_size > 0))
        return stele__fail(STELE_MISUSE, "event %zu: %s is NULL, its size is not 0", index,
                           event->data == NULL && event->data_size > 0 ? "data" : "metadata");
    uint32_t size_max =
        stele__is_framing(store) ? STELE__FRAMED_SIZE_MAX : store->options.event_size_max;
    if (event->data_size > size_max || event->metadata_size > size_max - event->data_size)
        return stele__fail(STELE_TOO_LARGE,
                           "event %zu: data of %zu and metadata of %zu bytes are beyond"
                           " event_size_max, %" PRIu32,
                           index, event->data_size, event->metadata_size, size_max);

    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    options.size_max = size_max;
    stele_status status = check_by_codec(store, event, &options);
    if (status != STELE_OK)
        return stele__fail_within(status, "event %zu: data", index);
    if (event->metadata_size > 0) {
        status = stele_json_check(event->metadata, event->metadata_size, &options);
        if (status != STELE_OK)
            return stele__fail_within(status, "event %zu: metadata", index);
    }
    return STELE_OK;
}

static stele_status check_event(stele_store *store, const stele_event *event, size_t index)
{
    stele_status status = stele__check_name("type", event->type);
    if (status == STELE_OK)
        status = stele__check_name("codec", event->codec);
    if (status == STELE_OK && event->schema_version < 1)
        status = stele__fail(STELE_MISUSE, "the schema_version %" PRId64 " is below 1",
                             event->schema_version);
    if (status != STELE_OK)
        return stele__fail_within(status, "event %zu", index);
    return check_payload(store, event, index);
}

static stele_status check_conditions(const stele_append *append)
{
    if (append->condition_count > 0 && append->conditions == NULL)
        return stele__fail(STELE_MISUSE, "conditions is NULL, condition_count is %zu",
                           append->condition_count);
    if (append->condition_count > 0 && append->condition_size < CONDITION_SIZE_FIRST)
        return stele__fail(STELE_MISUSE, "condition_size is %zu, too small",
                           append->condition_size);
    stele_status tails = check_array_tails("condition", append->conditions, append->condition_count,
                                           append->condition_size, sizeof(stele_condition));
    if (tails != STELE_OK)
        return tails;
    for (size_t i = 0; i < append->condition_count; i++) {
        stele_condition condition;
        memcpy(&condition, (const char *)append->conditions + i * append->condition_size,
               sizeof(condition));
        bool of_id = condition.kind == STELE_CONDITION_STREAM_ID;
        if (condition.kind != STELE_CONDITION_STREAM_VERSION && !of_id)
            return stele__fail(STELE_MISUSE, "condition %zu is of the unknown kind %d", i,
                               (int)condition.kind);
        stele_status status = stele__check_name("stream of a condition", condition.stream);
        if (status == STELE_OK && !of_id)
            status = check_expected_version(condition.stream, condition.expected_version);
        if (status == STELE_OK && of_id && condition.expected_version < 0)
            status = stele__fail(STELE_MISUSE, "stream '%s' was expected to have the id %" PRId64,
                                 condition.stream, condition.expected_version);
        if (status != STELE_OK)
            return status;
    }
    return STELE_OK;
}

static stele_status check_append(const stele_append *append)
{
    stele_status status = check_stream_name("stream", append->stream);
    if (status == STELE_OK)
        status = check_expected_version(append->stream, append->expected_version);
    if (status == STELE_OK && append->idempotency_key != NULL)
        status = check_key(append->idempotency_key);
    if (status == STELE_OK)
        status = check_conditions(append);
    if (status != STELE_OK || append->event_count == 0)
        return status;
    if (append->events == NULL)
        return stele__fail(STELE_MISUSE, "events is NULL, event_count is %zu", append->event_count);
    if (append->event_size < EVENT_SIZE_FIRST)
        return stele__fail(STELE_MISUSE, "event_size is %zu, too small", append->event_size);
    if (append->event_count > STELE__EVENT_COUNT_MAX)
        return stele__fail(STELE_TOO_LARGE, "%zu events in one append, beyond %d",
                           append->event_count, STELE__EVENT_COUNT_MAX);
    return check_array_tails("event", append->events, append->event_count, append->event_size,
                             sizeof(stele_event));
}

/* One number for the whole content, so that a retry can be told from a mix-up. */
static int64_t digest_content(const stele__prepared *prepared)
{
    STELE__UNINITIALIZED stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_text(&digest, prepared->append.stream);
    stele__digest_number(&digest, (int64_t)prepared->append.event_count);
    for (size_t i = 0; i < prepared->append.event_count; i++) {
        stele_event event;
        stele__prepared_event(prepared, i, &event);
        stele__digest_text(&digest, event.type);
        stele__digest_text(&digest, event.codec);
        stele__digest_number(&digest, event.schema_version);
        stele__digest_number(&digest, event.has_occurred_at);
        stele__digest_number(&digest, event.occurred_at);
        stele__digest_number(&digest, (int64_t)event.data_size);
        stele__digest_number(&digest, (int64_t)event.metadata_size);
        stele__digest_number(&digest, (int64_t)prepared->payload_hashes[i]);
    }
    return (int64_t)stele__digest_end(&digest);
}

stele_status stele__prepare_append(stele_store *store, const stele_append *append,
                                   stele__prepared *prepared_out)
{
    stele__prepared *prepared = prepared_out;
    prepared->append = (stele_append)STELE_APPEND_INIT;
    prepared->payload_hashes = prepared->hashes_inline;
    prepared->digest = 0;
    if (append == NULL)
        return stele__fail(STELE_MISUSE, "the append is NULL");
    stele_status status =
        stele__options_take("stele_append", append, &prepared->append, sizeof(prepared->append));
    if (status == STELE_OK)
        status = check_append(&prepared->append);
    if (status != STELE_OK)
        return status;

    size_t count = prepared->append.event_count;
    if (count > STELE__PREPARED_INLINE) {
        prepared->payload_hashes = stele__allocate_array(count, sizeof(uint64_t));
        if (prepared->payload_hashes == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu events", count);
    }
    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        stele_event event;
        stele__prepared_event(prepared, i, &event);
        status = check_event(store, &event, i);
        if (status == STELE_OK)
            prepared->payload_hashes[i] = stele__payload_hash(event.data, event.data_size,
                                                              event.metadata, event.metadata_size);
    }
    if (status != STELE_OK)
        stele__prepared_dispose(prepared);
    else if (prepared->append.idempotency_key != NULL)
        prepared->digest = digest_content(prepared);
    return status;
}

void stele__prepared_dispose(stele__prepared *prepared)
{
    if (prepared->payload_hashes != prepared->hashes_inline)
        stele__free(prepared->payload_hashes);
    prepared->payload_hashes = NULL;
}
