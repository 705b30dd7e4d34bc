/*
 * A table as JSON Schema. The structs in it are named by number, t0 being the whole, since they may
 * refer to themselves, and their own names may hold what a reference can't.
 */
#include "codec/plan_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/failure.h"
#include "codec/number.h"
#include "codec/sink.h"

/* What has failed once stays so: the calls between need no look each. */
typedef struct schema_writer {
    stele__sink sink;
    const stele__plan *first;
    stele_status status;
} schema_writer;

static void keep_status(schema_writer *writer, stele_status status)
{
    if (writer->status == STELE_OK)
        writer->status = status;
}

static void schema_key(schema_writer *writer, const char *key)
{
    keep_status(writer, stele__sink_key(&writer->sink, key, strlen(key)));
}

static void schema_word(schema_writer *writer, const char *key, const char *text)
{
    schema_key(writer, key);
    keep_status(writer, stele__sink_text(&writer->sink, text, strlen(text)));
}

static void schema_number(schema_writer *writer, const char *key, bool negative, uint64_t magnitude)
{
    schema_key(writer, key);
    keep_status(writer, stele__sink_integer(&writer->sink, negative, magnitude, false));
}

static void schema_bool(schema_writer *writer, const char *key, bool value)
{
    schema_key(writer, key);
    keep_status(writer, stele__sink_bool(&writer->sink, value));
}

static void schema_begin(schema_writer *writer)
{
    keep_status(writer, stele__sink_map_begin(&writer->sink, 0));
}

static void schema_end(schema_writer *writer)
{
    keep_status(writer, stele__sink_map_end(&writer->sink));
}

static void schema_list_begin(schema_writer *writer, const char *key)
{
    schema_key(writer, key);
    keep_status(writer, stele__sink_list_begin(&writer->sink, 0));
}

static void schema_list_end(schema_writer *writer)
{
    keep_status(writer, stele__sink_list_end(&writer->sink));
}

static void schema_reference(schema_writer *writer, const stele__plan *plan)
{
    unsigned number = 0;
    for (const stele__plan *at = writer->first; at != plan; at = at->next)
        number++;
    char reference[32];
    snprintf(reference, sizeof(reference), "#/$defs/t%u", number);
    schema_word(writer, "$ref", reference);
}

/* A number as far as JSON keeps it exact, or a decimal string. */
static void schema_integer(schema_writer *writer, const stele_field *field)
{
    bool is_signed = field->kind == STELE_KIND_SIGNED;
    uint64_t most = UINT64_MAX >> (64 - field->size * 8);
    if (is_signed)
        most >>= 1;
    uint64_t least = is_signed ? most + 1 : 0;
    if (most > STELE__SAFE_INTEGER_MAX)
        most = STELE__SAFE_INTEGER_MAX;
    if (least > STELE__SAFE_INTEGER_MAX)
        least = STELE__SAFE_INTEGER_MAX;

    schema_list_begin(writer, "anyOf");
    schema_begin(writer);
    schema_word(writer, "type", "integer");
    schema_number(writer, "minimum", is_signed, least);
    schema_number(writer, "maximum", false, most);
    schema_end(writer);
    schema_begin(writer);
    schema_word(writer, "type", "string");
    schema_word(writer, "pattern", is_signed ? "^-?(0|[1-9][0-9]*)$" : "^(0|[1-9][0-9]*)$");
    schema_end(writer);
    schema_list_end(writer);
}

static void schema_enum(schema_writer *writer, const stele_enum *names)
{
    schema_word(writer, "type", "string");
    schema_list_begin(writer, names->has_unknown ? "examples" : "enum");
    for (size_t i = 0; i < names->count; i++)
        keep_status(writer, stele__sink_text(&writer->sink, names->names[i].name,
                                             strlen(names->names[i].name)));
    schema_list_end(writer);
}

static void schema_string(schema_writer *writer, const stele_field *field)
{
    if ((field->flags & STELE_OR_NUMBER) == 0) {
        schema_word(writer, "type", "string");
        return;
    }
    schema_list_begin(writer, "type");
    keep_status(writer, stele__sink_text(&writer->sink, "string", 6));
    keep_status(writer, stele__sink_text(&writer->sink, "number", 6));
    schema_list_end(writer);
}

static void schema_bytes(schema_writer *writer, const stele_field *field)
{
    schema_word(writer, "type", "string");
    schema_word(writer, "contentEncoding", "base64");
    if (field->kind == STELE_KIND_BYTES) {
        if (field->count_offset == STELE_NO_MEMBER || field->shape != STELE_SHAPE_ONE)
            schema_number(writer, "minLength", false, STELE__BASE64_SIZE(field->size));
        schema_number(writer, "maxLength", false, STELE__BASE64_SIZE(field->size));
    }
}

/* The keywords for a member that is one, or for an element. */
static void schema_element(schema_writer *writer, const stele__plan_field *planned)
{
    const stele_field *field = planned->field;
    switch (field->kind) {
    case STELE_KIND_BOOL: schema_word(writer, "type", "boolean"); break;
    case STELE_KIND_SIGNED:
    case STELE_KIND_UNSIGNED: schema_integer(writer, field); break;
    case STELE_KIND_REAL: schema_word(writer, "type", "number"); break;
    case STELE_KIND_TEXT:
        schema_string(writer, field);
        schema_number(writer, "maxLength", false, field->size - 1);
        break;
    case STELE_KIND_OWNED_TEXT: schema_string(writer, field); break;
    case STELE_KIND_BYTES:
    case STELE_KIND_OWNED_BYTES: schema_bytes(writer, field); break;
    case STELE_KIND_ENUM: schema_enum(writer, field->names); break;
    case STELE_KIND_STRUCT: schema_reference(writer, planned->nested); break;
    }
}

static void schema_list(schema_writer *writer, const stele__plan_field *planned)
{
    const stele_field *field = planned->field;
    schema_word(writer, "type", "array");
    schema_key(writer, "items");
    schema_begin(writer);
    schema_element(writer, planned);
    schema_end(writer);
    if (field->shape == STELE_SHAPE_ARRAY)
        schema_number(writer, "minItems", false, field->capacity);
    if (field->shape != STELE_SHAPE_OWNED_LIST)
        schema_number(writer, "maxItems", false, field->capacity);
}

static void schema_field(schema_writer *writer, const stele__plan_field *planned)
{
    const stele_field *field = planned->field;
    bool optional = (field->flags & STELE_OPTIONAL) != 0;
    schema_key(writer, field->name);
    schema_begin(writer);
    if (optional) {
        schema_list_begin(writer, "anyOf");
        schema_begin(writer);
    }
    if (field->shape == STELE_SHAPE_ONE)
        schema_element(writer, planned);
    else
        schema_list(writer, planned);
    if (optional) {
        schema_end(writer);
        schema_begin(writer);
        schema_word(writer, "type", "null");
        schema_end(writer);
        schema_list_end(writer);
    }
    if ((field->flags & STELE_SECRET) != 0)
        schema_bool(writer, "x-stele-secret", true);
    schema_end(writer);
}

static void schema_struct(schema_writer *writer, const stele__plan *plan)
{
    schema_word(writer, "title", plan->type->name);
    schema_number(writer, "x-stele-schema-version", false, (uint64_t)plan->type->schema_version);
    schema_word(writer, "type", "object");
    schema_key(writer, "properties");
    schema_begin(writer);
    for (size_t i = 0; i < plan->field_count; i++)
        schema_field(writer, &plan->fields[i]);
    schema_end(writer);
    schema_list_begin(writer, "required");
    for (size_t i = 0; i < plan->field_count; i++) {
        const stele_field *field = plan->fields[i].field;
        if ((field->flags & STELE_OPTIONAL) == 0)
            keep_status(writer, stele__sink_text(&writer->sink, field->name, field->name_size));
    }
    schema_list_end(writer);
    if ((plan->type->flags & STELE_STRICT) != 0)
        schema_bool(writer, "additionalProperties", false);
}

static void schema_document(schema_writer *writer)
{
    schema_begin(writer);
    schema_word(writer, "$schema", "https://json-schema.org/draft/2020-12/schema");
    schema_word(writer, "$ref", "#/$defs/t0");
    schema_key(writer, "$defs");
    schema_begin(writer);
    unsigned number = 0;
    for (const stele__plan *plan = writer->first; plan != NULL; plan = plan->next) {
        char name[16];
        snprintf(name, sizeof(name), "t%u", number++);
        schema_key(writer, name);
        schema_begin(writer);
        schema_struct(writer, plan);
        schema_end(writer);
    }
    schema_end(writer);
    schema_end(writer);
}

stele_status stele_type_json_schema(const stele_type *type, stele_buffer *buffer)
{
    if (buffer == NULL)
        return stele__fail(STELE_MISUSE, "stele_type_json_schema: buffer is NULL");
    stele__plan *plan = NULL;
    stele_status status = stele__plan_make(type, &plan);
    if (status != STELE_OK)
        return status;

    size_t start = buffer->size;
    schema_writer writer = { .sink = { .format = STELE__FORMAT_JSON, .buffer = buffer },
                             .first = plan,
                             .status = STELE_OK };
    schema_document(&writer);
    status = writer.status;
    if (status == STELE_OK)
        status = stele__buffer_add(buffer, "", 1);
    if (status == STELE_OK)
        buffer->size--;
    else
        buffer->size = start;
    stele__plan_free(plan);
    return status;
}
