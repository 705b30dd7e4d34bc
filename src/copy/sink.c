/* What a transform emits: copied into a batch, since the record and its texts are only lent. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "copy/copy.h"

/* Bytes of a reason that are kept; the failure it stands in has more to say. */
#define COPY_REASON_SIZE 400

struct stele_copy_sink {
    stele__copy_batch *batch;
    const stele_record *record;
    size_t count;         /* emitted for the record */
    stele_status refused; /* the first emission that failed, or INVALID by stele_copy_fail() */
    bool gave_reason;     /* by stele_copy_fail(), so that the answer says of what kind it is */
    char reason[STELE__ERROR_SIZE];
};

/* --- The batch --- */

void stele__copy_batch_begin(stele__copy_batch *batch, int64_t through)
{
    batch->count = 0;
    batch->run_count = 0;
    batch->bytes.size = 0;
    batch->through = through;
    batch->records = 0;
    batch->dropped = 0;
}

void stele__copy_batch_dispose(stele__copy_batch *batch)
{
    stele__free(batch->events);
    stele__free(batch->runs);
    stele__buffer_dispose(&batch->bytes);
    *batch = (stele__copy_batch){ 0 };
}

const char *stele__copy_batch_text(const stele__copy_batch *batch, size_t offset)
{
    return offset == SIZE_MAX ? NULL : batch->bytes.data + offset;
}

/* Room for one more item. */
static stele_status grow_copy_array(void **items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return STELE_OK;
    size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
    void *memory =
        wanted > SIZE_MAX / item_size ? NULL : stele__reallocate(*items, wanted * item_size);
    if (memory == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a batch of %zu events", wanted);
    *items = memory;
    *capacity = wanted;
    return STELE_OK;
}

/* The next `positions` became `outputs` events each. */
static stele_status add_copy_run(stele__copy_batch *batch, int64_t positions, int64_t outputs)
{
    stele__copied_run *last = batch->run_count > 0 ? &batch->runs[batch->run_count - 1] : NULL;
    if (last != NULL && last->outputs == outputs) {
        last->positions += positions;
    } else {
        void *runs = batch->runs;
        stele_status status =
            grow_copy_array(&runs, batch->run_count, &batch->run_capacity, sizeof(*batch->runs));
        batch->runs = runs;
        if (status != STELE_OK)
            return status;
        assert(batch->runs != NULL);
        batch->runs[batch->run_count++] = (stele__copied_run){ positions, outputs };
    }
    batch->through += positions;
    return STELE_OK;
}

stele_status stele__copy_batch_skip(stele__copy_batch *batch, int64_t through)
{
    if (through <= batch->through)
        return STELE_OK;
    return add_copy_run(batch, through - batch->through, 0);
}

/* Keep bytes with a NUL after them, so that they may be a text. */
static stele_status keep_copy_bytes(stele__copy_batch *batch, const void *bytes, size_t size,
                                    size_t *offset_out)
{
    *offset_out = batch->bytes.size;
    stele_status status = stele__buffer_reserve(&batch->bytes, size + 1);
    if (status == STELE_OK)
        status = stele__buffer_add(&batch->bytes, bytes, size);
    if (status == STELE_OK)
        status = stele__buffer_add(&batch->bytes, "", 1);
    return status;
}

static stele_status keep_copy_text(stele__copy_batch *batch, const char *text, size_t *offset_out)
{
    *offset_out = SIZE_MAX;
    return text == NULL ? STELE_OK : keep_copy_bytes(batch, text, strlen(text), offset_out);
}

/* --- Emitting --- */

/* The first failure is the one that counts. */
static stele_status refuse_copy(stele_copy_sink *sink, stele_status status)
{
    if (sink->refused == STELE_OK) {
        sink->refused = status;
        stele__keep_error(sink->reason);
    }
    return status;
}

static stele_status check_copy_output(const stele_copy_sink *sink, const char *stream,
                                      const stele_event *event)
{
    if (stream == NULL || event == NULL || event->type == NULL)
        return stele__fail(STELE_MISUSE, "the %s emitted is NULL",
                           stream == NULL  ? "stream"
                           : event == NULL ? "event"
                                           : "type");
    if ((event->data == NULL && event->data_size > 0)
        || (event->metadata == NULL && event->metadata_size > 0))
        return stele__fail(STELE_MISUSE, "%s is NULL, its size is not 0",
                           event->data == NULL && event->data_size > 0 ? "data" : "metadata");
    if (event->data_size > SIZE_MAX / 4 || event->metadata_size > SIZE_MAX / 4)
        return stele__fail(STELE_TOO_LARGE, "a payload of no possible size");
    if (sink->count >= STELE_COPY_OUTPUT_MAX)
        return stele__fail(STELE_TOO_LARGE, "the record becomes more than %d events",
                           STELE_COPY_OUTPUT_MAX);
    return STELE_OK;
}

static int64_t take_copy_time(const stele_record *record, const stele_event *event)
{
    if (event->has_occurred_at || event->occurred_at != 0)
        return event->occurred_at;
    return record->has_occurred_at ? record->occurred_at : record->recorded_at;
}

static stele_status keep_copy_event(stele_copy_sink *sink, const char *stream,
                                    const stele_event *event)
{
    stele__copy_batch *batch = sink->batch;
    void *events = batch->events;
    stele_status status =
        grow_copy_array(&events, batch->count, &batch->capacity, sizeof(*batch->events));
    batch->events = events;
    if (status != STELE_OK)
        return status;
    stele__copy_event *kept = &batch->events[batch->count];
    *kept = (stele__copy_event){ .position = sink->record->position,
                                 .index = sink->count,
                                 .key = SIZE_MAX,
                                 .data_size = event->data_size,
                                 .metadata_size = event->metadata_size,
                                 .schema_version = event->schema_version,
                                 .occurred_at = take_copy_time(sink->record, event) };
    status = keep_copy_text(batch, stream, &kept->stream);
    if (status == STELE_OK)
        status = keep_copy_text(batch, event->type, &kept->type);
    if (status == STELE_OK)
        status = keep_copy_text(batch, event->codec, &kept->codec);
    if (status == STELE_OK)
        status = keep_copy_bytes(batch, event->data, event->data_size, &kept->data);
    if (status == STELE_OK)
        status = keep_copy_bytes(batch, event->metadata, event->metadata_size, &kept->metadata);
    if (status != STELE_OK)
        return status;
    batch->count++;
    sink->count++;
    return STELE_OK;
}

stele_status stele_copy_emit(stele_copy_sink *sink, const char *stream, const stele_event *event)
{
    if (sink == NULL)
        return stele__fail(STELE_MISUSE, "the sink is NULL");
    if (sink->refused != STELE_OK)
        return stele__fail(sink->refused, "%s", sink->reason);
    stele_status status = check_copy_output(sink, stream, event);
    if (status == STELE_OK)
        status = keep_copy_event(sink, stream, event);
    if (status == STELE_OK)
        return STELE_OK;
    return refuse_copy(sink, stele__fail_within(status, "output %zu", sink->count));
}

stele_status stele_copy_pass(stele_copy_sink *sink, const stele_record *record)
{
    if (sink == NULL || record == NULL)
        return stele__fail(STELE_MISUSE, "the %s is NULL", sink == NULL ? "sink" : "record");
    const stele_event event = { .type = record->type,
                                .data = record->data,
                                .data_size = record->data_size,
                                .metadata = record->metadata,
                                .metadata_size = record->metadata_size,
                                .codec = record->codec,
                                .schema_version = record->schema_version,
                                .occurred_at = record->occurred_at,
                                .has_occurred_at = record->has_occurred_at };
    return stele_copy_emit(sink, record->stream, &event);
}

stele_status stele_copy_fail(stele_copy_sink *sink, const char *reason)
{
    if (sink == NULL)
        return stele__fail(STELE_MISUSE, "the sink is NULL");
    if (sink->refused != STELE_OK)
        return stele__fail(sink->refused, "%s", sink->reason);
    sink->gave_reason = true;
    const char *said = reason == NULL ? "" : reason;
    size_t size = stele__utf8_cut(said, strlen(said), COPY_REASON_SIZE);
    return refuse_copy(sink, stele__fail(STELE_INVALID, "%.*s", (int)size, said));
}

/* --- One record --- */

/* What a transform's answer comes to, given what it emitted. */
static stele_status judge_copy_answer(const stele_copy_sink *sink, stele_status answer)
{
    bool is_failure = answer < 0 && strcmp(stele_status_name(answer), "UNKNOWN") != 0;
    if (sink->refused != STELE_OK)
        return stele__fail(sink->gave_reason && is_failure ? answer : sink->refused, "%s",
                           sink->reason);
    if (answer == STELE_OK)
        return STELE_OK;
    if (!is_failure)
        return stele__fail(STELE_INVALID, "the transform answered %d (%s), which is no failure",
                           answer, stele_status_name(answer));
    if (stele_error_text()[0] == '\0')
        return stele__fail(answer, "the transform gave no reason (%s)", stele_status_name(answer));
    return answer;
}

static stele_status apply_copy_transform(const stele_copy *copy, const stele_record *record,
                                         stele_copy_sink *sink)
{
    if (copy->transform == NULL)
        return stele_copy_pass(sink, record);
    stele__restore_error(""); /* so that an old reason isn't taken for its own */
    return judge_copy_answer(sink, copy->transform(copy->context, record, sink));
}

stele_status stele__copy_transform(const stele_copy *copy, const stele_record *record,
                                   stele__copy_batch *batch)
{
    stele_copy_sink sink = { .batch = batch, .record = record, .refused = STELE_OK };
    stele_status status = apply_copy_transform(copy, record, &sink);
    if (status == STELE_OK && copy->keys && sink.count == 1)
        status =
            keep_copy_text(batch, record->idempotency_key, &batch->events[batch->count - 1].key);
    if (status == STELE_OK)
        status = stele__copy_batch_skip(batch, record->position - 1);
    if (status == STELE_OK)
        status = add_copy_run(batch, 1, (int64_t)sink.count);
    if (status != STELE_OK)
        return stele__fail_within(status, "position %" PRId64, record->position);
    batch->records++;
    batch->dropped += sink.count == 0;
    return STELE_OK;
}
