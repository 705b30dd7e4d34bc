/*
 * What to do with a token: decode it, compare it, read it as an integer; and the way back, quoting.
 */
#include "codec/json_internal.h"

#include "base/bytes.h"
#include "base/failure.h"
#include "codec/number.h"

#include <string.h>

static bool is_json_text(const stele_json_token *token)
{
    return token != NULL && token->text != NULL
           && (token->kind == STELE_JSON_KEY || token->kind == STELE_JSON_STRING);
}

/*
 * Decode the text of `token` as far as it fits, and count all of it. Returns false for escapes that
 * no reader would have let pass.
 */
static bool decode_json_text(const stele_json_token *token, char *buffer, size_t capacity,
                             size_t *size_out)
{
    const unsigned char *at = (const unsigned char *)token->text;
    const unsigned char *end = at + token->size;
    size_t size = 0;

    while (at < end) {
        const unsigned char *backslash = memchr(at, '\\', (size_t)(end - at));
        size_t verbatim = (size_t)((backslash == NULL ? end : backslash) - at);
        if (verbatim > 0 && size < capacity)
            memcpy(buffer + size, at, verbatim < capacity - size ? verbatim : capacity - size);
        size += verbatim;
        at += verbatim;
        if (at == end)
            break;

        unsigned char utf8[4];
        size_t utf8_size = 0;
        size_t taken = stele__json_decode_one(at, end, utf8, &utf8_size);
        if (taken == 0)
            return false;
        if (size < capacity && utf8_size <= capacity - size)
            memcpy(buffer + size, utf8, utf8_size);
        size += utf8_size;
        at += taken;
    }
    *size_out = size;
    return true;
}

stele_status stele_json_text(const stele_json_token *token, char *buffer, size_t capacity,
                             size_t *size_out)
{
    if (buffer == NULL && capacity != 0)
        return stele__fail(STELE_MISUSE, "stele_json_text: buffer is NULL");
    if (capacity > 0)
        buffer[0] = '\0';
    if (!is_json_text(token))
        return stele__fail(STELE_MISUSE, "stele_json_text: the token is neither key nor string");

    size_t size = 0;
    stele_status status = STELE_OK;
    if (!decode_json_text(token, buffer, capacity, &size))
        status = stele__fail(STELE_INVALID, "JSON token with an invalid escape");
    else if (size >= capacity)
        status = stele__fail(STELE_TOO_LARGE, "JSON text of %zu bytes in a buffer of %zu", size,
                             capacity);

    if (capacity > 0)
        buffer[status == STELE_OK ? size : 0] = '\0';
    if (size_out != NULL)
        *size_out = size;
    return status;
}

bool stele_json_equals(const stele_json_token *token, const char *expected)
{
    if (!is_json_text(token) || expected == NULL)
        return false;
    size_t left = strlen(expected);
    if (!token->escaped)
        return token->size == left && memcmp(token->text, expected, left) == 0;

    const unsigned char *at = (const unsigned char *)token->text;
    const unsigned char *end = at + token->size;
    while (at < end) {
        unsigned char utf8[4];
        size_t utf8_size = 0;
        size_t taken = stele__json_decode_one(at, end, utf8, &utf8_size);
        if (taken == 0 || utf8_size > left || memcmp(utf8, expected, utf8_size) != 0)
            return false;
        at += taken;
        expected += utf8_size;
        left -= utf8_size;
    }
    return left == 0;
}

/*
 * Parse `-?(0|[1-9][0-9]*)`, and nothing else. Returns false if it is not that; a magnitude beyond
 * UINT64_MAX becomes UINT64_MAX.
 */
static bool parse_json_integer(const char *text, size_t size, bool *negative_out,
                               uint64_t *magnitude_out)
{
    size_t at = size > 0 && text[0] == '-' ? 1 : 0;
    if (at == size || (text[at] == '0' && size - at > 1))
        return false;
    *negative_out = at == 1;

    uint64_t magnitude = 0;
    for (; at < size; at++) {
        if (text[at] < '0' || text[at] > '9')
            return false;
        unsigned digit = (unsigned)(text[at] - '0');
        magnitude = magnitude > (UINT64_MAX - digit) / 10 ? UINT64_MAX : magnitude * 10 + digit;
    }
    *magnitude_out = magnitude;
    return true;
}

stele_status stele_json_int64(const stele_json_token *token, int64_t *value_out)
{
    if (token == NULL || token->text == NULL || value_out == NULL)
        return stele__fail(STELE_MISUSE, "stele_json_int64: a NULL argument");
    if (token->kind != STELE_JSON_NUMBER && token->kind != STELE_JSON_STRING)
        return stele__fail(STELE_INVALID, "not an integer at byte %zu", token->offset);

    char decoded[32] = ""; /* the longest integer has 20 bytes; whatever doesn't fit is none */
    const char *text = token->text;
    size_t size = token->size;
    if (token->kind == STELE_JSON_STRING && token->escaped) {
        if (!decode_json_text(token, decoded, sizeof decoded, &size) || size > sizeof decoded)
            return stele__fail(STELE_INVALID, "not an integer at byte %zu", token->offset);
        text = decoded;
    }

    bool negative = false;
    uint64_t magnitude = 0;
    if (!parse_json_integer(text, size, &negative, &magnitude))
        return stele__fail(STELE_INVALID, "not an integer at byte %zu", token->offset);
    if (token->kind == STELE_JSON_NUMBER && magnitude > STELE__SAFE_INTEGER_MAX)
        return stele__fail(STELE_PRECISION,
                           "integer beyond +-(2^53 - 1) at byte %zu: write it as a string",
                           token->offset);
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return stele__fail(STELE_INVALID, "integer beyond 64 bits at byte %zu", token->offset);

    /* The magnitude of INT64_MIN is no int64_t, so negate one less and take the one off after. */
    if (negative && magnitude > 0)
        *value_out = -(int64_t)(magnitude - 1) - 1;
    else
        *value_out = (int64_t)magnitude;
    return STELE_OK;
}

/* Quoting */

/** A place to write to that counts what it has no room for. */
typedef struct json_output {
    char *buffer;
    size_t capacity;
    size_t size;
} json_output;

static void put_json_bytes(json_output *output, const void *bytes, size_t size)
{
    if (size > 0 && output->size < output->capacity && size <= output->capacity - output->size)
        memcpy(output->buffer + output->size, bytes, size);
    output->size += size;
}

/* Escape a quote, a backslash or a control character. */
static void put_json_escape(json_output *output, unsigned char byte)
{
    static const char hex_digits[] = "0123456789abcdef";
    char escape[6] = { '\\', 'u', '0', '0', hex_digits[byte >> 4], hex_digits[byte & 15] };
    size_t size = 2;

    switch (byte) {
    case '"':
    case '\\': escape[1] = (char)byte; break;
    case '\b': escape[1] = 'b'; break;
    case '\f': escape[1] = 'f'; break;
    case '\n': escape[1] = 'n'; break;
    case '\r': escape[1] = 'r'; break;
    case '\t': escape[1] = 't'; break;
    default: size = sizeof escape; break;
    }
    put_json_bytes(output, escape, size);
}

static bool refuse_json_quote(const char *what, size_t offset)
{
    stele__fail(STELE_INVALID, "%s at byte %zu can't be quoted", what, offset);
    return false;
}

/* Returns false and sets the error text if the bytes are not UTF-8 without NUL. */
static bool put_json_text(json_output *output, const unsigned char *text, size_t size)
{
    const unsigned char *end = text + size;
    for (const unsigned char *at = text; at < end;) {
        const unsigned char *plain_end = stele__json_plain_end(at, end);
        put_json_bytes(output, at, (size_t)(plain_end - at));
        at = plain_end;
        if (at == end)
            break;

        size_t taken = 1;
        if (*at >= 0x80) {
            taken = stele__utf8_sequence(at, (size_t)(end - at));
            if (taken == 0)
                return refuse_json_quote("invalid UTF-8", (size_t)(at - text));
            put_json_bytes(output, at, taken);
        } else if (*at == '\0') {
            return refuse_json_quote("NUL", (size_t)(at - text));
        } else {
            put_json_escape(output, *at);
        }
        at += taken;
    }
    return true;
}

size_t stele_json_quote(const char *text, size_t size, char *buffer, size_t capacity)
{
    if (buffer == NULL && capacity != 0) {
        stele__fail(STELE_MISUSE, "stele_json_quote: buffer is NULL");
        return 0;
    }
    if (capacity > 0)
        buffer[0] = '\0';
    if (text == NULL && size != 0) {
        stele__fail(STELE_MISUSE, "stele_json_quote: text is NULL");
        return 0;
    }
    if (size > (SIZE_MAX - 3) / 6) { /* the longest escape has six bytes for one */
        stele__fail(STELE_TOO_LARGE, "text of %zu bytes can't be quoted", size);
        return 0;
    }

    json_output output = { buffer, capacity, 0 };
    put_json_bytes(&output, "\"", 1);
    bool is_text = put_json_text(&output, (const unsigned char *)(text == NULL ? "" : text), size);
    put_json_bytes(&output, "\"", 1);

    bool is_whole = is_text && output.size < capacity;
    if (capacity > 0)
        buffer[is_whole ? output.size : 0] = '\0';
    return is_text ? output.size : 0;
}
