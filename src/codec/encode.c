/*
 * From a struct to a payload, straight into the buffer: by the order of the table for JSON, by the
 * order of the encoded names for CBOR.
 */
#include "codec/plan_internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "codec/flaw.h"
#include "codec/sink.h"

typedef struct value_encoding {
    stele__sink sink;
    size_t start; /* of the payload in the buffer */
    uint32_t depth;
    stele_flaw *flaw;
} value_encoding;

static stele_status encode_struct(value_encoding *encoding, const stele__plan *plan,
                                  const void *structure);

static stele_status refuse_member(value_encoding *encoding, stele_status status, const char *what)
{
    stele__flaw_begin(encoding->flaw, encoding->sink.buffer->size - encoding->start);
    return stele__fail(status, "%s", what);
}

static stele_status encode_text(value_encoding *encoding, const char *text, size_t size)
{
    stele_status status = stele__sink_text(&encoding->sink, text, size);
    return status == STELE_INVALID
               ? refuse_member(encoding, STELE_INVALID, "a text that is not UTF-8")
               : status;
}

static stele_status encode_inline_text(value_encoding *encoding, const char *text, size_t capacity)
{
    const char *end = memchr(text, '\0', capacity);
    if (end == NULL)
        return refuse_member(encoding, STELE_INVALID, "a text without its NUL");
    return encode_text(encoding, text, (size_t)(end - text));
}

static stele_status encode_integer(value_encoding *encoding, const stele_field *field,
                                   const void *member)
{
    bool as_string = (field->flags & STELE_AS_STRING) != 0;
    if (field->kind == STELE_KIND_UNSIGNED)
        return stele__sink_integer(&encoding->sink, false,
                                   stele__member_unsigned(member, field->size), as_string);
    int64_t number = stele__member_signed(member, field->size);
    uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    return stele__sink_integer(&encoding->sink, number < 0, magnitude, as_string);
}

static stele_status encode_real(value_encoding *encoding, const stele_field *field,
                                const void *member)
{
    bool is_float = field->size == sizeof(float);
    double number = 0;
    float single = 0;
    if (is_float) {
        memcpy(&single, member, sizeof(single));
        number = (double)single;
    } else {
        memcpy(&number, member, sizeof(number));
    }
    if (encoding->sink.format == STELE__FORMAT_JSON && !isfinite(number))
        return refuse_member(encoding, STELE_INVALID, "JSON has no NaN and no infinities");
    return stele__sink_real(&encoding->sink, number, is_float);
}

static stele_status encode_enum(value_encoding *encoding, const stele_field *field,
                                const void *member)
{
    uint64_t bits = stele__member_unsigned(member, field->size);
    const stele_enum *names = field->names;
    for (size_t i = 0; i < names->count; i++) {
        if (stele__member_bits(names->names[i].value, field->size) == bits)
            return stele__sink_text(&encoding->sink, names->names[i].name,
                                    strlen(names->names[i].name));
    }
    if ((field->flags & STELE_SECRET) != 0)
        return refuse_member(encoding, STELE_INVALID, "the enum's number has no name");
    int64_t number = stele__member_signed(member, field->size);
    stele__flaw_begin(encoding->flaw, encoding->sink.buffer->size - encoding->start);
    return stele__fail(STELE_INVALID, "the enum's number %" PRId64 " has no name", number);
}

static stele_status encode_bytes(value_encoding *encoding, const stele_field *field,
                                 const void *structure, const void *member)
{
    size_t size = field->size;
    if (field->count_offset != STELE_NO_MEMBER && field->shape == STELE_SHAPE_ONE
        && !stele__member_count(field, structure, &size))
        return refuse_member(encoding, STELE_INVALID, "a count beyond the bytes there are");
    return stele__sink_bytes(&encoding->sink, member, size);
}

/* `structure` is what the field is a member of. */
static stele_status encode_element(value_encoding *encoding, const stele__plan_field *planned,
                                   const void *structure, const void *member)
{
    const stele_field *field = planned->field;
    switch (field->kind) {
    case STELE_KIND_BOOL: return stele__sink_bool(&encoding->sink, *(const bool *)member);
    case STELE_KIND_SIGNED:
    case STELE_KIND_UNSIGNED: return encode_integer(encoding, field, member);
    case STELE_KIND_REAL: return encode_real(encoding, field, member);
    case STELE_KIND_TEXT: return encode_inline_text(encoding, member, field->size);
    case STELE_KIND_BYTES: return encode_bytes(encoding, field, structure, member);
    case STELE_KIND_ENUM: return encode_enum(encoding, field, member);
    case STELE_KIND_STRUCT: return encode_struct(encoding, planned->nested, member);
    case STELE_KIND_OWNED_TEXT: {
        const char *text = stele__member_pointer(member);
        if (text == NULL)
            return refuse_member(encoding, STELE_INVALID, "a text that is NULL");
        return encode_text(encoding, text, strlen(text));
    }
    case STELE_KIND_OWNED_BYTES: {
        stele_bytes bytes = stele__member_bytes(member);
        if (bytes.data == NULL)
            return refuse_member(encoding, STELE_INVALID, "bytes that are NULL");
        return stele__sink_bytes(&encoding->sink, bytes.data, bytes.size);
    }
    }
    return STELE_MISUSE; /* no table that was checked has another */
}

static stele_status refuse_value_depth(value_encoding *encoding)
{
    stele__flaw_begin(encoding->flaw, encoding->sink.buffer->size - encoding->start);
    return stele__fail(STELE_TOO_LARGE, "nested deeper than %d levels", STELE__VALUE_DEPTH_MAX);
}

static stele_status encode_list(value_encoding *encoding, const stele__plan_field *planned,
                                const void *structure)
{
    const stele_field *field = planned->field;
    const char *elements = (const char *)structure + field->offset;
    size_t count = 0;
    if (!stele__member_count(field, structure, &count))
        return refuse_member(encoding, STELE_INVALID, "a count beyond its list");
    if (field->shape == STELE_SHAPE_OWNED_LIST)
        elements = stele__member_pointer(elements);
    if (elements == NULL && count > 0)
        return refuse_member(encoding, STELE_INVALID, "a list that is NULL, its count is not 0");
    if (++encoding->depth > STELE__VALUE_DEPTH_MAX)
        return refuse_value_depth(encoding);

    stele_status status = stele__sink_list_begin(&encoding->sink, count);
    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        status = encode_element(encoding, planned, structure, elements + i * field->size);
        if (status != STELE_OK)
            stele__flaw_in_element(encoding->flaw, i);
    }
    if (status == STELE_OK)
        status = stele__sink_list_end(&encoding->sink);
    encoding->depth--;
    return status;
}

/* Whether an optional field is to be left out. */
static bool is_absent(const stele_field *field, const void *structure)
{
    if ((field->flags & STELE_OPTIONAL) == 0)
        return false;
    const char *member = (const char *)structure + field->offset;
    if (field->has_offset != STELE_NO_MEMBER)
        return !*(const bool *)((const char *)structure + field->has_offset);
    if (field->shape != STELE_SHAPE_ONE)
        return false;
    if (field->kind == STELE_KIND_OWNED_TEXT)
        return stele__member_pointer(member) == NULL;
    return field->kind == STELE_KIND_OWNED_BYTES && stele__member_bytes(member).data == NULL;
}

static stele_status encode_field(value_encoding *encoding, const stele__plan_field *planned,
                                 const void *structure)
{
    const stele_field *field = planned->field;
    if (is_absent(field, structure))
        return STELE_OK;
    const stele__plan_key *key =
        encoding->sink.format == STELE__FORMAT_CBOR ? &planned->cbor_key : &planned->json_key;
    stele_status status = stele__sink_key_again(&encoding->sink, key->bytes, key->size);
    if (status != STELE_OK)
        return status;
    if ((field->flags & STELE_SECRET) != 0 && encoding->sink.format == STELE__FORMAT_TEXT)
        status = stele__sink_text(&encoding->sink, "***", 3);
    else if (field->shape == STELE_SHAPE_ONE)
        status =
            encode_element(encoding, planned, structure, (const char *)structure + field->offset);
    else
        status = encode_list(encoding, planned, structure);
    if (status != STELE_OK)
        stele__flaw_in_member(encoding->flaw, field->name);
    return status;
}

static stele_status encode_struct(value_encoding *encoding, const stele__plan *plan,
                                  const void *structure)
{
    if (++encoding->depth > STELE__VALUE_DEPTH_MAX)
        return refuse_value_depth(encoding);
    bool in_cbor_order = encoding->sink.format == STELE__FORMAT_CBOR;
    size_t pair_count = plan->field_count;
    if (in_cbor_order) {
        for (size_t i = 0; i < plan->field_count; i++)
            pair_count -= is_absent(plan->fields[i].field, structure) ? 1 : 0;
    }
    stele_status status = stele__sink_map_begin(&encoding->sink, pair_count);
    for (size_t i = 0; i < plan->field_count && status == STELE_OK; i++) {
        size_t index = in_cbor_order ? plan->cbor_order[i] : i;
        status = encode_field(encoding, &plan->fields[index], structure);
    }
    if (status == STELE_OK)
        status = stele__sink_map_end(&encoding->sink);
    encoding->depth--;
    return status;
}

stele_status stele__plan_encode(const stele__plan *plan, stele__format format, const void *value,
                                stele_buffer *buffer, stele_flaw *flaw_out)
{
    STELE__UNINITIALIZED stele_flaw own_flaw;
    value_encoding encoding = { .sink = { .format = format, .buffer = buffer },
                                .start = buffer->size,
                                .flaw = flaw_out == NULL ? &own_flaw : flaw_out };
    stele__flaw_begin(encoding.flaw, 0);
    stele_status status = encode_struct(&encoding, plan, value);
    if (status == STELE_OK && buffer->size - encoding.start > STELE__VALUE_SIZE_MAX
        && format != STELE__FORMAT_TEXT) {
        stele__flaw_begin(encoding.flaw, 0);
        status = stele__fail(STELE_TOO_LARGE, "a payload of %zu bytes, at most %d are allowed",
                             buffer->size - encoding.start, STELE__VALUE_SIZE_MAX);
    }
    if (status == STELE_OK)
        return STELE_OK;
    buffer->size = encoding.start;
    return stele__flaw_end(status, encoding.flaw);
}
