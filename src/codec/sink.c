#include "codec/sink.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include <stele/json.h>

#include "base/base64.h"
#include "codec/cbor_write.h"
#include "codec/json_internal.h"
#include "codec/number.h"

static inline bool writes_cbor(const stele__sink *sink)
{
    return sink->format == STELE__FORMAT_CBOR;
}

/* The comma before a value that isn't the first, and room for `size` bytes more. */
static inline stele_status separate(stele__sink *sink, size_t size)
{
    stele_status status = STELE_OK;
    if (size >= sink->buffer->capacity - sink->buffer->size) /* seldom so: a call is saved */
        status = stele__buffer_reserve(sink->buffer, size + 1);
    if (status == STELE_OK && sink->comma)
        sink->buffer->data[sink->buffer->size++] = ',';
    sink->comma = true;
    return status;
}

static inline void put_reserved(stele__sink *sink, const void *bytes, size_t size)
{
    memcpy(sink->buffer->data + sink->buffer->size, bytes, size);
    sink->buffer->size += size;
}

static inline void put_byte(stele__sink *sink, char byte)
{
    sink->buffer->data[sink->buffer->size++] = byte;
}

static stele_status put_bracket(stele__sink *sink, char bracket)
{
    stele_status status = separate(sink, 1);
    if (status == STELE_OK)
        put_byte(sink, bracket);
    sink->comma = false;
    return status;
}

static stele_status put_end(stele__sink *sink, char bracket)
{
    stele_status status = stele__buffer_add(sink->buffer, &bracket, 1);
    sink->comma = true;
    return status;
}

stele_status stele__sink_map_begin(stele__sink *sink, size_t pair_count)
{
    return writes_cbor(sink) ? stele__cbor_put_map(sink->buffer, pair_count)
                             : put_bracket(sink, '{');
}

stele_status stele__sink_map_end(stele__sink *sink)
{
    return writes_cbor(sink) ? STELE_OK : put_end(sink, '}');
}

stele_status stele__sink_list_begin(stele__sink *sink, size_t count)
{
    return writes_cbor(sink) ? stele__cbor_put_array(sink->buffer, count) : put_bracket(sink, '[');
}

stele_status stele__sink_list_end(stele__sink *sink)
{
    return writes_cbor(sink) ? STELE_OK : put_end(sink, ']');
}

/* Of ASCII, nothing of which JSON escapes: most texts are. */
static bool is_plain_text(const char *text, size_t size)
{
    const unsigned char *at = (const unsigned char *)text;
    return stele__json_plain_end(at, at + size) == at + size;
}

static stele_status put_quoted(stele__sink *sink, const char *text, size_t size)
{
    bool plain = is_plain_text(text, size);
    size_t room = plain ? size + 2 : stele_json_quote(text, size, NULL, 0);
    if (room == 0)
        return STELE_INVALID;
    stele_status status = separate(sink, room + 1);
    if (status != STELE_OK)
        return status;
    if (plain) {
        put_byte(sink, '"');
        put_reserved(sink, text, size);
        put_byte(sink, '"');
        return STELE_OK;
    }
    sink->buffer->size +=
        stele_json_quote(text, size, sink->buffer->data + sink->buffer->size, room + 1);
    return STELE_OK;
}

stele_status stele__sink_key(stele__sink *sink, const char *name, size_t size)
{
    if (writes_cbor(sink))
        return stele__cbor_put_text(sink->buffer, name, size);
    stele_status status = put_quoted(sink, name, size);
    if (status == STELE_OK)
        status = stele__buffer_add(sink->buffer, ":", 1);
    sink->comma = false;
    return status;
}

stele_status stele__sink_key_again(stele__sink *sink, const char *bytes, size_t size)
{
    stele_status status = separate(sink, size);
    if (status == STELE_OK)
        put_reserved(sink, bytes, size);
    sink->comma = false;
    return status;
}

stele_status stele__sink_text(stele__sink *sink, const char *text, size_t size)
{
    if (!writes_cbor(sink))
        return put_quoted(sink, text, size);
    bool is_utf8 = is_plain_text(text, size) || stele__utf8_valid(text, size);
    return is_utf8 ? stele__cbor_put_text(sink->buffer, text, size) : STELE_INVALID;
}

stele_status stele__sink_bytes(stele__sink *sink, const void *data, size_t size)
{
    if (writes_cbor(sink))
        return stele__cbor_put_bytes(sink->buffer, data, size);
    if (size > SIZE_MAX / 4)
        return stele__buffer_reserve(sink->buffer, SIZE_MAX);
    stele_status status = separate(sink, STELE__BASE64_SIZE(size) + 2);
    if (status != STELE_OK)
        return status;
    put_byte(sink, '"');
    sink->buffer->size += stele__base64_encode(data, size, sink->buffer->data + sink->buffer->size);
    put_byte(sink, '"');
    return STELE_OK;
}

stele_status stele__sink_integer(stele__sink *sink, bool negative, uint64_t magnitude,
                                 bool as_string)
{
    if (writes_cbor(sink))
        return stele__cbor_put_integer(sink->buffer, negative && magnitude > 0,
                                       negative && magnitude > 0 ? magnitude - 1 : magnitude);
    stele_status status = separate(sink, STELE__NUMBER_SIZE + 2);
    if (status != STELE_OK)
        return status;
    bool quoted = as_string || magnitude > STELE__SAFE_INTEGER_MAX;
    if (quoted)
        put_byte(sink, '"');
    sink->buffer->size +=
        stele__unsigned_write(magnitude, negative, sink->buffer->data + sink->buffer->size);
    if (quoted)
        put_byte(sink, '"');
    return STELE_OK;
}

/* What JSON has no number for is a word to people. */
static stele_status put_special_real(stele__sink *sink, double value)
{
    const char *word = isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity";
    return put_quoted(sink, word, strlen(word));
}

stele_status stele__sink_real(stele__sink *sink, double value, bool is_float)
{
    if (writes_cbor(sink))
        return stele__cbor_put_real(sink->buffer, value);
    if (!isfinite(value)) {
        assert(sink->format == STELE__FORMAT_TEXT);
        return put_special_real(sink, value);
    }
    stele_status status = separate(sink, STELE__NUMBER_SIZE);
    if (status != STELE_OK)
        return status;
    char *out = sink->buffer->data + sink->buffer->size;
    sink->buffer->size +=
        is_float ? stele__float_write((float)value, out) : stele__double_write(value, out);
    return STELE_OK;
}

stele_status stele__sink_bool(stele__sink *sink, bool value)
{
    if (writes_cbor(sink))
        return stele__cbor_put_bool(sink->buffer, value);
    stele_status status = separate(sink, 5);
    if (status != STELE_OK)
        return status;
    put_reserved(sink, value ? "true" : "false", value ? 4 : 5);
    return STELE_OK;
}
