/*
 * From one line to one event: its fields are found first, and only when the whole line has proved
 * to be JSON is anything made of them.
 */
#include "jsonl/jsonl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"

enum {
    JSONL_NAME_SHOWN = 64 /* Bytes of an unknown field's name that the reason shows. */
};

typedef enum jsonl_field {
    JSONL_STREAM,
    JSONL_TYPE,
    JSONL_TIME,
    JSONL_DATA,
    JSONL_DATA_BASE64,
    JSONL_METADATA,
    JSONL_METADATA_BASE64,
    JSONL_ID,
    JSONL_POSITION,
    JSONL_VERSION,
    JSONL_SCHEMA_VERSION,
    JSONL_CODEC,
    JSONL_FIELD_COUNT
} jsonl_field;

typedef enum jsonl_shape { JSONL_STRING, JSONL_INTEGER, JSONL_ANY } jsonl_shape;

static const struct {
    const char *name;
    jsonl_shape shape;
} jsonl_fields[JSONL_FIELD_COUNT] = {
    { "stream", JSONL_STRING },
    { "type", JSONL_STRING },
    { "time", JSONL_STRING },
    { "data", JSONL_ANY },
    { "data_b64", JSONL_STRING },
    { "metadata", JSONL_ANY },
    { "metadata_b64", JSONL_STRING },
    { "id", JSONL_STRING },
    { "position", JSONL_INTEGER },
    { "version", JSONL_INTEGER },
    { "schema_version", JSONL_INTEGER },
    { "codec", JSONL_STRING },
};

/* What a field was found to hold, borrowed from the line. */
typedef struct jsonl_value {
    bool given;
    stele_json_token token; /* Of a string or an integer. */
    const char *text;       /* The value verbatim, of any other shape. */
    size_t size;
    int64_t integer;
} jsonl_value;

/* --- Finding the fields --- */

static stele_status refuse_unknown_field(const stele_json_token *key)
{
    size_t size = key->size;
    if (size > JSONL_NAME_SHOWN) {
        size = JSONL_NAME_SHOWN;
        while (((unsigned char)key->text[size] & 0xC0) == 0x80) /* Inside a character. */
            size--;
    }
    return stele__fail(STELE_INVALID, "unknown field '%.*s'%s", (int)size, key->text,
                       size < key->size ? "..." : "");
}

static stele_status read_jsonl_value(stele_json_reader *reader, jsonl_field field,
                                     jsonl_value *value)
{
    const char *name = jsonl_fields[field].name;
    value->given = true;
    if (jsonl_fields[field].shape == JSONL_ANY)
        return stele_json_skip(reader, &value->text, &value->size);

    stele_status status = stele_json_next(reader, &value->token);
    if (status != STELE_OK)
        return status;
    stele_json_kind kind = value->token.kind;
    if (jsonl_fields[field].shape == JSONL_STRING) {
        if (kind != STELE_JSON_STRING)
            return stele__fail(STELE_INVALID, "'%s' must be a string", name);
        return STELE_OK;
    }
    status = stele_json_int64(&value->token, &value->integer);
    if (status == STELE_PRECISION)
        return stele__fail_within(status, "'%s'", name);
    if (status != STELE_OK)
        return stele__fail(STELE_INVALID, "'%s' must be an integer", name);
    return STELE_OK;
}

/* Walk through the whole line. */
static stele_status find_jsonl_fields(const stele__jsonl_reading *reading, jsonl_value *values)
{
    stele_json_token token;
    stele_status status = stele_json_next(reading->reader, &token);
    if (status != STELE_OK)
        return status;
    if (token.kind != STELE_JSON_OBJECT_BEGIN)
        return stele__fail(STELE_INVALID, "the line is not an object");

    while ((status = stele_json_next(reading->reader, &token)) == STELE_OK) {
        if (token.kind != STELE_JSON_KEY)
            continue; /* The end of the object. */
        int field = 0;
        while (field < JSONL_FIELD_COUNT && !stele_json_equals(&token, jsonl_fields[field].name))
            field++;
        if (field < JSONL_FIELD_COUNT)
            status = read_jsonl_value(reading->reader, (jsonl_field)field, &values[field]);
        else if (reading->lenient)
            status = stele_json_skip(reading->reader, NULL, NULL);
        else
            status = refuse_unknown_field(&token);
        if (status != STELE_OK)
            return status;
    }
    return status == STELE_DONE ? STELE_OK : status;
}

/* What the fields must be together. */
static stele_status check_jsonl_fields(const jsonl_value *values)
{
    const jsonl_value *codec = &values[JSONL_CODEC];
    const jsonl_value *schema_version = &values[JSONL_SCHEMA_VERSION];

    if (!values[JSONL_STREAM].given)
        return stele__fail(STELE_INVALID, "no 'stream'");
    if (!values[JSONL_TYPE].given)
        return stele__fail(STELE_INVALID, "no 'type'");
    if (values[JSONL_DATA].given && values[JSONL_DATA_BASE64].given)
        return stele__fail(STELE_INVALID, "both 'data' and 'data_b64'");
    if (values[JSONL_METADATA].given && values[JSONL_METADATA_BASE64].given)
        return stele__fail(STELE_INVALID, "both 'metadata' and 'metadata_b64'");
    if (schema_version->given && schema_version->integer < 1)
        return stele__fail(STELE_INVALID, "'schema_version' must be at least 1");
    if (values[JSONL_DATA].given && codec->given && !stele_json_equals(&codec->token, "json"))
        return stele__fail(STELE_INVALID, "codec '%.*s' needs 'data_b64'",
                           (int)(codec->token.size < STELE_NAME_SIZE_MAX ? codec->token.size
                                                                         : STELE_NAME_SIZE_MAX),
                           codec->token.text);
    return STELE_OK;
}

/* --- Keeping them in the batch --- */

static stele_status keep_jsonl_bytes(stele__jsonl_batch *batch, const void *bytes, size_t size,
                                     size_t *offset_out)
{
    size_t offset = batch->bytes.size;
    stele_status status = stele__buffer_add(&batch->bytes, bytes, size);
    if (status == STELE_OK)
        status = stele__buffer_add(&batch->bytes, "", 1);
    *offset_out = offset;
    return status;
}

/* Keep the decoded text of a string; one that isn't given is STELE__JSONL_NONE. */
static stele_status keep_jsonl_string(stele__jsonl_batch *batch, const jsonl_value *value,
                                      size_t *offset_out, size_t *size_out)
{
    *offset_out = STELE__JSONL_NONE;
    *size_out = 0;
    if (!value->given)
        return STELE_OK;
    size_t capacity = value->token.size + 1;
    stele_status status = stele__buffer_reserve(&batch->bytes, capacity);
    if (status != STELE_OK)
        return status;

    size_t offset = batch->bytes.size;
    status = stele_json_text(&value->token, batch->bytes.data + offset, capacity, size_out);
    if (status != STELE_OK)
        return status;
    batch->bytes.size = offset + *size_out + 1;
    *offset_out = offset;
    return STELE_OK;
}

/* Keep a payload that is given verbatim or in base64, or not at all. */
static stele_status keep_jsonl_payload(stele__jsonl_batch *batch, const jsonl_value *values,
                                       jsonl_field verbatim, jsonl_field base64, size_t *offset_out,
                                       size_t *size_out)
{
    if (!values[base64].given) {
        *size_out = values[verbatim].size;
        return keep_jsonl_bytes(batch, values[verbatim].given ? values[verbatim].text : "",
                                *size_out, offset_out);
    }
    size_t text_size = 0;
    stele_status status = keep_jsonl_string(batch, &values[base64], offset_out, &text_size);
    if (status != STELE_OK)
        return status;
    char *text = batch->bytes.data + *offset_out;
    if (!stele__base64_decode(text, text_size, text, size_out))
        return stele__fail(STELE_INVALID, "'%s' is not base64", jsonl_fields[base64].name);
    text[*size_out] = '\0';
    batch->bytes.size = *offset_out + *size_out + 1;
    return STELE_OK;
}

static stele_status keep_jsonl_time(stele__jsonl_batch *batch, const jsonl_value *value,
                                    stele__jsonl_line *line)
{
    size_t offset = 0;
    size_t size = 0;
    stele_status status = keep_jsonl_string(batch, value, &offset, &size);
    if (status != STELE_OK || !value->given)
        return status;
    status = stele_time_parse(batch->bytes.data + offset, size, &line->occurred_at);
    if (status != STELE_OK)
        return stele__fail_within(status, "'time'");
    line->has_occurred_at = true;
    batch->bytes.size = offset; /* The text has served. */
    return STELE_OK;
}

/* Keep the key of the line's append: its `id`, or one made of source, line and content. */
static stele_status keep_jsonl_key(const stele__jsonl_reading *reading,
                                   const stele__jsonl_span *span, stele__jsonl_batch *batch,
                                   const jsonl_value *id, stele__jsonl_line *line)
{
    if (!id->given && reading->has_source) {
        char key[96]; /* Zeros keep the keys of a source ascending: cheap for an index. */
        int size =
            snprintf(key, sizeof(key), "$import/%016" PRIx64 "/%010" PRIu64 "/%016" PRIx64,
                     reading->source_hash, line->number, stele__hash(span->text, span->size));
        return keep_jsonl_bytes(batch, key, (size_t)size, &line->key);
    }
    size_t size = 0;
    stele_status status = keep_jsonl_string(batch, id, &line->key, &size);
    if (status == STELE_OK && size > 0 && batch->bytes.data[line->key] == '$')
        return stele__fail(STELE_INVALID, "'id' may not start with '$', which is reserved");
    return status;
}

static stele_status keep_jsonl_fields(const stele__jsonl_reading *reading,
                                      const stele__jsonl_span *span, const jsonl_value *values,
                                      stele__jsonl_batch *batch, stele__jsonl_line *line)
{
    size_t ignored = 0;
    stele_status status = keep_jsonl_time(batch, &values[JSONL_TIME], line);
    if (status == STELE_OK)
        status = keep_jsonl_string(batch, &values[JSONL_STREAM], &line->stream, &ignored);
    if (status == STELE_OK)
        status = keep_jsonl_string(batch, &values[JSONL_TYPE], &line->type, &ignored);
    if (status == STELE_OK)
        status = keep_jsonl_key(reading, span, batch, &values[JSONL_ID], line);
    if (status == STELE_OK)
        status = keep_jsonl_payload(batch, values, JSONL_DATA, JSONL_DATA_BASE64, &line->data,
                                    &line->data_size);
    if (status == STELE_OK)
        status = keep_jsonl_payload(batch, values, JSONL_METADATA, JSONL_METADATA_BASE64,
                                    &line->metadata, &line->metadata_size);
    if (status == STELE_OK)
        status = keep_jsonl_string(batch, &values[JSONL_CODEC], &line->codec, &ignored);
    if (status == STELE_OK && !values[JSONL_CODEC].given && values[JSONL_DATA_BASE64].given)
        status = keep_jsonl_bytes(batch, "raw", 3, &line->codec);
    line->schema_version = values[JSONL_SCHEMA_VERSION].integer; /* 0 counts as 1. */
    return status;
}

/* --- Batches --- */

/* A new line at the end; NULL, with the reason kept, when there is no memory. */
static stele__jsonl_line *add_jsonl_line(stele__jsonl_batch *batch, uint64_t number)
{
    if (batch->count == batch->capacity) {
        size_t capacity = batch->capacity == 0 ? 64 : batch->capacity * 2;
        stele__jsonl_line *lines = stele__reallocate(batch->lines, capacity * sizeof(*lines));
        if (lines == NULL) {
            stele__fail(STELE_NO_MEMORY, "no memory for a batch of %zu lines", capacity);
            return NULL;
        }
        batch->lines = lines;
        batch->capacity = capacity;
    }
    stele__jsonl_line *line = &batch->lines[batch->count++];
    *line = (stele__jsonl_line){ .number = number,
                                 .reason = STELE__JSONL_NONE,
                                 .codec = STELE__JSONL_NONE,
                                 .key = STELE__JSONL_NONE };
    return line;
}

stele_status stele__jsonl_read_line(const stele__jsonl_reading *reading,
                                    const stele__jsonl_span *span, uint64_t number,
                                    stele__jsonl_batch *batch)
{
    jsonl_value values[JSONL_FIELD_COUNT] = { 0 };
    stele_status status = stele_json_reset(reading->reader, span->text, span->size);
    if (status == STELE_OK)
        status = find_jsonl_fields(reading, values);
    if (status == STELE_OK)
        status = check_jsonl_fields(values);
    if (status != STELE_OK)
        return status;

    size_t bytes_before = batch->bytes.size;
    stele__jsonl_line *line = add_jsonl_line(batch, number);
    if (line == NULL)
        return STELE_NO_MEMORY;
    status = keep_jsonl_fields(reading, span, values, batch, line);
    if (status != STELE_OK) {
        batch->bytes.size = bytes_before;
        batch->count--;
    }
    return status;
}

stele_status stele__jsonl_set_reason(stele__jsonl_batch *batch, stele__jsonl_line *line,
                                     const char *reason)
{
    return keep_jsonl_bytes(batch, reason, strlen(reason), &line->reason);
}

stele_status stele__jsonl_add_bad_line(stele__jsonl_batch *batch, uint64_t number,
                                       const char *reason)
{
    stele__jsonl_line *line = add_jsonl_line(batch, number);
    return line == NULL ? STELE_NO_MEMORY : stele__jsonl_set_reason(batch, line, reason);
}

const char *stele__jsonl_text(const stele__jsonl_batch *batch, size_t offset)
{
    return offset == STELE__JSONL_NONE ? NULL : batch->bytes.data + offset;
}
