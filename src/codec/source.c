#include "codec/source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/failure.h"
#include "base/memory.h"
#include "codec/number.h"

static inline bool reads_json(const stele__source *source)
{
    return source->format == STELE__FORMAT_JSON;
}

/* --- Steps --- */

stele_status stele__source_begin(stele__source *source, stele__format format, const void *data,
                                 size_t size)
{
    source->format = format;
    source->offset = 0;
    stele_status status;
    if (format == STELE__FORMAT_JSON) {
        stele_json_options options = STELE_JSON_OPTIONS_INIT;
        options.depth_max = STELE__VALUE_DEPTH_MAX;
        options.size_max = STELE__VALUE_SIZE_MAX;
        stele__json_reader_init(&source->reader.json, &options);
        status = stele_json_reset(&source->reader.json, data, size);
        if (status != STELE_OK)
            source->offset = stele_json_error_offset(&source->reader.json);
    } else {
        stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;
        options.depth_max = STELE__VALUE_DEPTH_MAX;
        options.size_max = STELE__VALUE_SIZE_MAX;
        options.item_max = STELE__VALUE_SIZE_MAX; /* as the gate has it: its bytes bound it */
        stele__cbor_reader_init(&source->reader.cbor, &options);
        status = stele_cbor_reset(&source->reader.cbor, data, size);
        if (status != STELE_OK)
            source->offset = stele_cbor_error_offset(&source->reader.cbor);
    }
    return status;
}

void stele__source_dispose(stele__source *source)
{
    if (reads_json(source))
        stele__json_reader_dispose(&source->reader.json);
    else
        stele__cbor_reader_dispose(&source->reader.cbor);
}

static stele_status next_json_item(stele__source *source)
{
    static const stele__form forms[] = {
        [STELE_JSON_OBJECT_BEGIN] = STELE__FORM_MAP, [STELE_JSON_OBJECT_END] = STELE__FORM_MAP_END,
        [STELE_JSON_ARRAY_BEGIN] = STELE__FORM_LIST, [STELE_JSON_ARRAY_END] = STELE__FORM_LIST_END,
        [STELE_JSON_KEY] = STELE__FORM_KEY,          [STELE_JSON_STRING] = STELE__FORM_TEXT,
        [STELE_JSON_NUMBER] = STELE__FORM_NUMBER,    [STELE_JSON_TRUE] = STELE__FORM_TRUE,
        [STELE_JSON_FALSE] = STELE__FORM_FALSE,      [STELE_JSON_NULL] = STELE__FORM_NULL
    };
    stele_status status = stele__json_read(&source->reader.json, &source->token.json);
    if (status == STELE_OK) {
        source->form = forms[source->token.json.kind];
        source->offset = source->token.json.offset;
    } else if (status < 0) {
        source->offset = stele_json_error_offset(&source->reader.json);
    }
    return status;
}

static stele_status next_cbor_item(stele__source *source)
{
    static const stele__form forms[] = {
        [STELE_CBOR_POSITIVE] = STELE__FORM_INTEGER, [STELE_CBOR_NEGATIVE] = STELE__FORM_INTEGER,
        [STELE_CBOR_BYTES] = STELE__FORM_BYTES,      [STELE_CBOR_TEXT] = STELE__FORM_TEXT,
        [STELE_CBOR_ARRAY_BEGIN] = STELE__FORM_LIST, [STELE_CBOR_ARRAY_END] = STELE__FORM_LIST_END,
        [STELE_CBOR_MAP_BEGIN] = STELE__FORM_MAP,    [STELE_CBOR_MAP_END] = STELE__FORM_MAP_END,
        [STELE_CBOR_FALSE] = STELE__FORM_FALSE,      [STELE_CBOR_TRUE] = STELE__FORM_TRUE,
        [STELE_CBOR_NULL] = STELE__FORM_NULL,        [STELE_CBOR_UNDEFINED] = STELE__FORM_NULL,
        [STELE_CBOR_SIMPLE] = STELE__FORM_OTHER,     [STELE_CBOR_REAL] = STELE__FORM_REAL
    };
    stele_cbor_token *token = &source->token.cbor;
    stele_status status;
    do
        status = stele_cbor_next(&source->reader.cbor, token);
    while (status == STELE_OK && token->kind == STELE_CBOR_TAG);
    if (status == STELE_OK) {
        source->form = token->is_key ? STELE__FORM_KEY : forms[token->kind];
        source->offset = token->offset;
    } else if (status < 0) {
        source->offset = stele_cbor_error_offset(&source->reader.cbor);
    }
    return status;
}

stele_status stele__source_next(stele__source *source)
{
    return reads_json(source) ? next_json_item(source) : next_cbor_item(source);
}

stele_status stele__source_skip(stele__source *source)
{
    stele_status status = reads_json(source) ? stele_json_skip(&source->reader.json, NULL, NULL)
                                             : stele_cbor_skip(&source->reader.cbor, NULL, NULL);
    if (status < 0)
        source->offset = reads_json(source) ? stele_json_error_offset(&source->reader.json)
                                            : stele_cbor_error_offset(&source->reader.cbor);
    return status;
}

const char *stele__source_key(stele__source *source, char scratch[STELE_NAME_SIZE_MAX + 1],
                              size_t *size_out)
{
    if (reads_json(source)) {
        const stele_json_token *token = &source->token.json;
        *size_out = token->size;
        if (!token->escaped)
            return token->text;
        return stele_json_text(token, scratch, STELE_NAME_SIZE_MAX + 1, size_out) == STELE_OK
                   ? scratch
                   : NULL;
    }
    const stele_cbor_token *token = &source->token.cbor;
    *size_out = token->size;
    if (token->kind != STELE_CBOR_TEXT)
        return NULL;
    if (!token->indefinite)
        return token->data;
    return stele_cbor_text(token, scratch, STELE_NAME_SIZE_MAX + 1, size_out) == STELE_OK ? scratch
                                                                                          : NULL;
}

/* --- Numbers --- */

static const char *describe_form(stele__form form)
{
    switch (form) {
    case STELE__FORM_MAP: return "an object";
    case STELE__FORM_LIST: return "a list";
    case STELE__FORM_TEXT: return "a text";
    case STELE__FORM_BYTES: return "bytes";
    case STELE__FORM_NUMBER:
    case STELE__FORM_REAL: return "a number";
    case STELE__FORM_INTEGER: return "an integer";
    case STELE__FORM_FALSE: return "false";
    case STELE__FORM_TRUE: return "true";
    case STELE__FORM_NULL: return "null";
    case STELE__FORM_OTHER: return "a simple value";
    default: return "an end";
    }
}

stele_status stele__source_refuse(const stele__source *source, const char *expected)
{
    return stele__fail(STELE_INVALID, "%s where %s is expected, at byte %zu",
                       describe_form(source->form), expected, source->offset);
}

/* The text of a short token: of one that is longer than any number, the empty one. */
static const char *read_short_text(const stele__source *source, char scratch[STELE__NUMBER_SIZE],
                                   size_t *size_out)
{
    stele_status status;
    if (reads_json(source)) {
        const stele_json_token *token = &source->token.json;
        *size_out = token->size;
        if (!token->escaped)
            return token->text;
        status = stele_json_text(token, scratch, STELE__NUMBER_SIZE, size_out);
    } else {
        status = stele_cbor_text(&source->token.cbor, scratch, STELE__NUMBER_SIZE, size_out);
    }
    if (status != STELE_OK)
        *size_out = 0;
    return scratch;
}

stele_status stele__source_integer(const stele__source *source, bool *negative_out,
                                   uint64_t *magnitude_out)
{
    const stele_cbor_token *cbor = &source->token.cbor;
    if (source->form == STELE__FORM_INTEGER) {
        *negative_out = cbor->kind == STELE_CBOR_NEGATIVE;
        *magnitude_out = *negative_out ? cbor->number + 1 : cbor->number;
        return *negative_out && cbor->number == UINT64_MAX ? stele__fail(
                   STELE_INVALID, "an integer beyond 64 bits at byte %zu", source->offset)
                                                           : STELE_OK;
    }
    if (source->form != STELE__FORM_NUMBER && source->form != STELE__FORM_TEXT)
        return stele__source_refuse(source, "an integer");

    char scratch[STELE__NUMBER_SIZE];
    size_t size = 0;
    const char *text = read_short_text(source, scratch, &size);
    stele__number outcome = stele__integer_read(text, size, negative_out, magnitude_out);
    if (outcome == STELE__NUMBER_NONE)
        return stele__fail(STELE_INVALID, "not an integer at byte %zu", source->offset);
    if (source->form == STELE__FORM_NUMBER
        && (outcome == STELE__NUMBER_BEYOND || *magnitude_out > STELE__SAFE_INTEGER_MAX))
        return stele__fail(STELE_PRECISION,
                           "integer beyond +-(2^53 - 1) at byte %zu: write it as a string",
                           source->offset);
    if (outcome == STELE__NUMBER_BEYOND)
        return stele__fail(STELE_INVALID, "an integer beyond 64 bits at byte %zu", source->offset);
    return STELE_OK;
}

static stele_status refuse_rounding(const stele__source *source, const char *what)
{
    return stele__fail(STELE_PRECISION, "a number that %s can't hold, at byte %zu", what,
                       source->offset);
}

/* An integer of CBOR as a double, if it is one. */
static bool integer_as_double(const stele_cbor_token *token, double *value_out)
{
    bool negative = token->kind == STELE_CBOR_NEGATIVE;
    if (negative && token->number == UINT64_MAX)
        return false;
    uint64_t magnitude = negative ? token->number + 1 : token->number;
    double value = (double)magnitude;
    if (value >= 18446744073709551616.0 || (uint64_t)value != magnitude)
        return false;
    *value_out = negative ? -value : value;
    return true;
}

/* Whether a number that is written as an integer, of more digits than are always exact, is exactly
 * this one. Of others that are written so there is no double. */
static bool is_exact_integer(const stele_json_token *token, double value, size_t safe_digits)
{
    enum { LONGEST = 320 }; /* of an integer that is a double, and its sign */
    if (token->size <= safe_digits || memchr(token->text, '.', token->size) != NULL
        || memchr(token->text, 'e', token->size) != NULL
        || memchr(token->text, 'E', token->size) != NULL)
        return true;
    char exactly[LONGEST];
    int size = snprintf(exactly, sizeof(exactly), "%.0f", value);
    return (size_t)size == token->size && memcmp(exactly, token->text, token->size) == 0;
}

stele_status stele__source_double(stele__source *source, double *value_out)
{
    const stele_json_token *json = &source->token.json;
    switch (source->form) {
    case STELE__FORM_NUMBER:
        if (stele__double_read(json->text, json->size, value_out) != STELE__NUMBER_OK
            || !is_exact_integer(json, *value_out, 15))
            return refuse_rounding(source, "a double");
        return STELE_OK;
    case STELE__FORM_REAL: *value_out = source->token.cbor.real; return STELE_OK;
    case STELE__FORM_INTEGER:
        return integer_as_double(&source->token.cbor, value_out)
                   ? STELE_OK
                   : refuse_rounding(source, "a double");
    default: return stele__source_refuse(source, "a number");
    }
}

stele_status stele__source_float(stele__source *source, float *value_out)
{
    if (source->form == STELE__FORM_NUMBER) {
        const stele_json_token *json = &source->token.json;
        if (stele__float_read(json->text, json->size, value_out) != STELE__NUMBER_OK
            || !is_exact_integer(json, (double)*value_out, 7))
            return refuse_rounding(source, "a float");
        return STELE_OK;
    }
    double value = 0;
    stele_status status = stele__source_double(source, &value);
    if (status != STELE_OK)
        return status;
    /* A cast of what is beyond a float's range is undefined. */
    if (isfinite(value) && fabs(value) > 3.4028234663852886e38)
        return refuse_rounding(source, "a float");
    *value_out = (float)value;
    return isnan(value) || (double)*value_out == value ? STELE_OK
                                                       : refuse_rounding(source, "a float");
}

/* --- Texts and bytes --- */

static bool is_number(const stele__source *source)
{
    return source->form == STELE__FORM_NUMBER || source->form == STELE__FORM_INTEGER
           || (source->form == STELE__FORM_REAL && isfinite(source->token.cbor.real));
}

stele_status stele__source_room(stele__source *source, stele__wanted wanted, size_t *size_out)
{
    bool is_right = source->form == STELE__FORM_TEXT;
    if (wanted == STELE__WANT_BYTES)
        is_right = is_right ? reads_json(source) : source->form == STELE__FORM_BYTES;
    else if (wanted == STELE__WANT_TEXT_OR_NUMBER && !is_right)
        is_right = is_number(source);
    if (!is_right)
        return stele__source_refuse(source, wanted == STELE__WANT_BYTES  ? "a byte string"
                                            : wanted == STELE__WANT_TEXT ? "a text"
                                                                         : "a text or number");
    if (reads_json(source))
        *size_out = source->token.json.size + 1;
    else
        *size_out = is_number(source) ? STELE__NUMBER_SIZE : source->token.cbor.size + 1;
    return STELE_OK;
}

/* A text that stands in the payload as it is. */
static stele_status copy_text(const char *text, size_t size, char *out, size_t capacity,
                              size_t *size_out)
{
    *size_out = size;
    if (size >= capacity)
        return STELE_TOO_LARGE;
    memcpy(out, text, size);
    out[size] = '\0';
    return STELE_OK;
}

/* A number as text: that of JSON as it is written. */
static stele_status copy_number(const stele__source *source, char *out, size_t capacity,
                                size_t *size_out)
{
    char written[STELE__NUMBER_SIZE];
    const char *text = written;
    const stele_cbor_token *cbor = &source->token.cbor;
    bool negative = false;
    uint64_t magnitude = 0;
    if (source->form == STELE__FORM_NUMBER) {
        text = source->token.json.text;
        *size_out = source->token.json.size;
    } else if (source->form == STELE__FORM_REAL) {
        *size_out = stele__double_write(cbor->real, written);
    } else {
        stele_status status = stele__source_integer(source, &negative, &magnitude);
        if (status != STELE_OK)
            return status;
        *size_out = stele__unsigned_write(magnitude, negative, written);
    }
    return copy_text(text, *size_out, out, capacity, size_out);
}

stele_status stele__source_text(stele__source *source, char *out, size_t capacity, size_t *size_out)
{
    if (source->form != STELE__FORM_TEXT)
        return copy_number(source, out, capacity, size_out);
    const stele_cbor_token *cbor = &source->token.cbor;
    stele_status status;
    if (reads_json(source)) {
        const stele_json_token *json = &source->token.json;
        return json->escaped ? stele_json_text(json, out, capacity, size_out)
                             : copy_text(json->text, json->size, out, capacity, size_out);
    }
    if (cbor->indefinite)
        status = stele_cbor_text(cbor, out, capacity, size_out);
    else
        status = copy_text(cbor->data, cbor->size, out, capacity, size_out);
    if (status == STELE_OK && memchr(out, '\0', *size_out) != NULL)
        return stele__fail(STELE_INVALID, "a text with a NUL at byte %zu", source->offset);
    return status;
}

/* The text of a JSON string in memory of its own, when it has escapes. */
static stele_status unescape_base64(const stele_json_token *token, char **memory_out,
                                    size_t *size_out)
{
    char *memory = stele__allocate(token->size + 1);
    if (memory == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for %zu bytes", token->size);
    *memory_out = memory;
    return stele_json_text(token, memory, token->size + 1, size_out);
}

static stele_status decode_base64(const stele__source *source, const char *text, size_t text_size,
                                  unsigned char *out, size_t capacity, size_t *size_out)
{
    size_t size = text_size / 4 * 3;
    for (size_t i = 0; i < 2 && i < text_size && text[text_size - 1 - i] == '='; i++)
        size--;
    *size_out = size;
    if (text_size % 4 == 0 && size > capacity)
        return STELE_TOO_LARGE;
    if (!stele__base64_decode(text, text_size, out, size_out))
        return stele__fail(STELE_INVALID, "not base64 at byte %zu", source->offset);
    return STELE_OK;
}

stele_status stele__source_bytes(stele__source *source, unsigned char *out, size_t capacity,
                                 size_t *size_out)
{
    if (reads_json(source)) {
        const stele_json_token *token = &source->token.json;
        if (!token->escaped)
            return decode_base64(source, token->text, token->size, out, capacity, size_out);
        char *memory = NULL;
        size_t text_size = 0;
        stele_status status = unescape_base64(token, &memory, &text_size);
        if (status == STELE_OK)
            status = decode_base64(source, memory, text_size, out, capacity, size_out);
        stele__free(memory);
        return status;
    }
    const stele_cbor_token *token = &source->token.cbor;
    if (token->indefinite) {
        /* Joined in place of its own, for the NUL that comes after it. */
        char *memory = stele__allocate(token->size + 1);
        if (memory == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu bytes", token->size);
        stele_status status = stele_cbor_text(token, memory, token->size + 1, size_out);
        if (status == STELE_OK && *size_out > capacity)
            status = STELE_TOO_LARGE;
        if (status == STELE_OK && *size_out > 0)
            memcpy(out, memory, *size_out);
        stele__free(memory);
        return status;
    }
    *size_out = token->size;
    if (token->size > capacity)
        return STELE_TOO_LARGE;
    if (token->size > 0)
        memcpy(out, token->data, token->size);
    return STELE_OK;
}
