/* What a transform's JSON says: one event, several, or none. Its events are lines of an import. */
#include <stele/copy.h>

#include "base/failure.h"
#include "base/memory.h"
#include "jsonl/jsonl.h"

/* Two levels are the array and the line itself. */
#define ANSWER_LEVELS 2

/* An answer that is being read. */
typedef struct jsonl_answer {
    stele__jsonl_reading reading;
    stele__jsonl_batch batch;
} jsonl_answer;

/* Emit the events of one object; its failure says which output it was to be. */
static stele_status emit_answer_line(jsonl_answer *answer, stele_copy_sink *sink, const char *text,
                                     size_t size)
{
    stele__jsonl_batch *batch = &answer->batch;
    const stele__jsonl_span span = { .text = text, .size = size };
    batch->count = 0;
    batch->bytes.size = 0;
    stele_status status = stele__jsonl_read_line(&answer->reading, &span, 1, batch);
    if (status != STELE_OK)
        return status;
    const stele__jsonl_line *line = &batch->lines[0];
    const stele_event event = { .type = stele__jsonl_text(batch, line->type),
                                .data = stele__jsonl_text(batch, line->data),
                                .data_size = line->data_size,
                                .metadata = stele__jsonl_text(batch, line->metadata),
                                .metadata_size = line->metadata_size,
                                .codec = stele__jsonl_text(batch, line->codec),
                                .schema_version = line->schema_version,
                                .occurred_at = line->occurred_at,
                                .has_occurred_at = line->has_occurred_at };
    return stele_copy_emit(sink, stele__jsonl_text(batch, line->stream), &event);
}

/* The elements up to the end of the array that `reader` is in. */
static stele_status emit_answer_array(jsonl_answer *answer, stele_copy_sink *sink,
                                      stele_json_reader *reader)
{
    size_t count = 0;
    stele_json_token token;
    stele_status status;
    while ((status = stele_json_next(reader, &token)) == STELE_OK
           && token.kind != STELE_JSON_ARRAY_END) {
        const char *text = NULL;
        size_t size = 0;
        if (token.kind != STELE_JSON_OBJECT_BEGIN)
            return stele__fail(STELE_INVALID, "element %zu is no object", count);
        status = stele_json_skip(reader, &text, &size);
        if (status == STELE_OK)
            status = emit_answer_line(answer, sink, text, size);
        if (status != STELE_OK)
            return stele__fail_within(status, "element %zu", count);
        count++;
    }
    return status;
}

static stele_status emit_answer(jsonl_answer *answer, stele_copy_sink *sink, const char *text,
                                size_t size)
{
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    options.depth_max += ANSWER_LEVELS;
    options.size_max = size < UINT32_MAX ? (uint32_t)size + 1 : UINT32_MAX;
    stele_json_reader *reader = NULL;
    stele_status status = stele_json_open("", 0, &options, &answer->reading.reader);
    if (status == STELE_OK) /* all of it before the first is emitted */
        status = stele_json_open(text, size, &options, &reader);
    if (status == STELE_OK)
        status = stele_json_reader_check(reader, text, size);
    if (status == STELE_OK)
        status = stele_json_reset(reader, text, size);
    stele_json_token token = { 0 };
    if (status == STELE_OK)
        status = stele_json_next(reader, &token);
    if (status == STELE_OK && token.kind == STELE_JSON_ARRAY_BEGIN)
        status = emit_answer_array(answer, sink, reader);
    else if (status == STELE_OK && token.kind == STELE_JSON_OBJECT_BEGIN)
        status = emit_answer_line(answer, sink, text, size);
    else if (status == STELE_OK && token.kind != STELE_JSON_NULL)
        status = stele__fail(STELE_INVALID, "neither an object nor an array nor null");
    stele_json_close(reader);
    return status;
}

stele_status stele_copy_emit_json(stele_copy_sink *sink, const char *text, size_t size)
{
    if (sink == NULL || (text == NULL && size > 0))
        return stele__fail(STELE_MISUSE, "the %s is NULL", sink == NULL ? "sink" : "text");
    jsonl_answer answer = { .reading = { .lenient = false } };
    stele_status status = emit_answer(&answer, sink, text, size);
    if (status != STELE_OK) { /* nothing more is to be taken */
        char reason[STELE__ERROR_SIZE];
        stele__keep_error(reason);
        stele_copy_fail(sink, reason);
        stele__restore_error(reason);
    }
    stele_json_close(answer.reading.reader);
    stele__free(answer.batch.lines);
    stele__buffer_dispose(&answer.batch.bytes);
    return status;
}
