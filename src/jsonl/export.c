/* One record as one line of JSON, written into a buffer that is reused from line to line. */
#include "jsonl/jsonl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"

#define JSONL_FIXED_SIZE       ((size_t)512) /* More than names of fields, numbers, time. */
#define JSONL_SAFE_INTEGER_MAX INT64_C(9007199254740991) /* 2^53 - 1 */

struct stele_exporter {
    stele__buffer line;
};

stele_status stele_exporter_open(stele_exporter **exporter_out)
{
    if (exporter_out == NULL)
        return stele__fail(STELE_MISUSE, "stele_exporter_open: exporter_out is NULL");
    *exporter_out = stele__allocate_array(1, sizeof **exporter_out);
    if (*exporter_out == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for an exporter");
    return STELE_OK;
}

void stele_exporter_close(stele_exporter *exporter)
{
    if (exporter == NULL)
        return;
    stele__buffer_dispose(&exporter->line);
    stele__free(exporter);
}

/* --- Writing where there is room: write_record_line() made it --- */

static void put_line_bytes(stele__buffer *line, const void *bytes, size_t size)
{
    memcpy(line->data + line->size, bytes, size);
    line->size += size;
}

static void put_line_text(stele__buffer *line, const char *text)
{
    put_line_bytes(line, text, strlen(text));
}

static void put_line_name(stele__buffer *line, const char *name)
{
    put_line_text(line, line->size == 0 ? "{\"" : ",\"");
    put_line_text(line, name);
    put_line_text(line, "\":");
}

/* OK, or MISUSE when `text` is no UTF-8. */
static stele_status put_line_string(stele__buffer *line, const char *name, const char *text)
{
    put_line_name(line, name);
    size_t size =
        stele_json_quote(text, strlen(text), line->data + line->size, line->capacity - line->size);
    if (size == 0)
        return stele__fail_within(STELE_MISUSE, "the record's %s", name);
    line->size += size;
    return STELE_OK;
}

static void put_line_integer(stele__buffer *line, const char *name, int64_t integer)
{
    char text[32];
    const char *quote = integer > JSONL_SAFE_INTEGER_MAX ? "\"" : "";
    snprintf(text, sizeof(text), "%s%" PRId64 "%s", quote, integer, quote);
    put_line_name(line, name);
    put_line_text(line, text);
}

static bool is_json_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* Whether a JSON text comes back as it is when it stands in a line. */
static bool fits_line(const char *text, size_t size)
{
    return size > 0 && !is_json_blank(text[0]) && !is_json_blank(text[size - 1])
           && memchr(text, '\n', size) == NULL && memchr(text, '\r', size) == NULL;
}

static void put_line_payload(stele__buffer *line, const char *name, const void *data, size_t size)
{
    put_line_name(line, name);
    put_line_bytes(line, data, size);
}

static void put_line_base64(stele__buffer *line, const char *name, const void *data, size_t size)
{
    put_line_name(line, name);
    put_line_text(line, "\"");
    line->size += stele__base64_encode(data, size, line->data + line->size);
    put_line_text(line, "\"");
}

static void put_line_payloads(stele__buffer *line, const stele_record *record)
{
    bool is_json = strcmp(record->codec, "json") == 0;
    if (is_json && fits_line(record->data, record->data_size))
        put_line_payload(line, "data", record->data, record->data_size);
    else if (!is_json || record->data_size > 0)
        put_line_base64(line, "data_b64", record->data, record->data_size);

    if (fits_line(record->metadata, record->metadata_size))
        put_line_payload(line, "metadata", record->metadata, record->metadata_size);
    else if (record->metadata_size > 0)
        put_line_base64(line, "metadata_b64", record->metadata, record->metadata_size);
}

static stele_status write_record_line(stele__buffer *line, const stele_record *record)
{
    char time[STELE_TIME_SIZE];
    stele_time_format(record->has_occurred_at ? record->occurred_at : record->recorded_at, time);
    const char *key = record->idempotency_key;

    stele_status status = put_line_string(line, "stream", record->stream);
    if (status == STELE_OK)
        status = put_line_string(line, "type", record->type);
    if (status == STELE_OK)
        status = put_line_string(line, "time", time);
    if (status != STELE_OK)
        return status;

    put_line_payloads(line, record);
    if (key != NULL && key[0] != '$')
        status = put_line_string(line, "id", key);
    put_line_integer(line, "position", record->position);
    put_line_integer(line, "version", record->version);
    put_line_integer(line, "schema_version", record->schema_version);
    if (status == STELE_OK)
        status = put_line_string(line, "codec", record->codec);
    put_line_text(line, "}\n");
    return status;
}

/* --- One line --- */

static stele_status check_exported_record(const stele_record *record)
{
    if (record == NULL || record->stream == NULL || record->type == NULL || record->codec == NULL
        || (record->data == NULL && record->data_size > 0)
        || (record->metadata == NULL && record->metadata_size > 0))
        return stele__fail(STELE_MISUSE, "stele_exporter_line: no record, or one with a NULL");
    if ((record->flags & STELE_RECORD_ERASED) != 0)
        return stele__fail(STELE_NOT_FOUND, "the data of position %" PRId64 " was deleted",
                           record->position);
    if ((record->flags & STELE_RECORD_ARCHIVED) != 0)
        return stele__fail(STELE_ARCHIVED, "the data of position %" PRId64 " is archived",
                           record->position);
    if (record->data_size > SIZE_MAX / 8 || record->metadata_size > SIZE_MAX / 8)
        return stele__fail(STELE_MISUSE, "the data of position %" PRId64 " has no possible size",
                           record->position);
    return STELE_OK;
}

/* The most that a line of `record` can take: six bytes for one in a name, base64 for the rest. */
static size_t bound_record_line(const stele_record *record)
{
    const char *key = record->idempotency_key == NULL ? "" : record->idempotency_key;
    size_t names =
        strlen(record->stream) + strlen(record->type) + strlen(record->codec) + strlen(key);
    return JSONL_FIXED_SIZE + 6 * names + STELE__BASE64_SIZE(record->data_size)
           + STELE__BASE64_SIZE(record->metadata_size);
}

stele_status stele_exporter_line(stele_exporter *exporter, const stele_record *record,
                                 const char **line_out, size_t *size_out)
{
    if (exporter == NULL || line_out == NULL || size_out == NULL)
        return stele__fail(STELE_MISUSE, "stele_exporter_line: a NULL argument");
    *line_out = NULL;
    *size_out = 0;
    stele_status status = check_exported_record(record);
    if (status != STELE_OK)
        return status;

    exporter->line.size = 0;
    status = stele__buffer_reserve(&exporter->line, bound_record_line(record));
    if (status == STELE_OK)
        status = write_record_line(&exporter->line, record);
    if (status != STELE_OK)
        return status;
    *line_out = exporter->line.data;
    *size_out = exporter->line.size;
    return STELE_OK;
}
