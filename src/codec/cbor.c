/*
 * The door to libcbor: one item of a payload that was accepted, and the heads that are written.
 *
 * Only what doesn't allocate is used, and nothing that 0.8 gets wrong: it refuses the tags 6 to 20
 * and the simple values without a name, which are read here, and writes most halves below 2^-14 as
 * other numbers. Versions to come have more callbacks, for what never gets there.
 */
#include "codec/cbor_internal.h"
#include "codec/cbor_write.h"

#include <assert.h>
#include <string.h>

#include <cbor.h>

/* Reading: each callback fills the token that is its context */

static void take_cbor_positive(void *context, uint64_t number)
{
    stele_cbor_token *token = context;
    token->kind = STELE_CBOR_POSITIVE;
    token->number = number;
}

static void take_cbor_positive_8(void *context, uint8_t number)
{
    take_cbor_positive(context, number);
}

static void take_cbor_positive_16(void *context, uint16_t number)
{
    take_cbor_positive(context, number);
}

static void take_cbor_positive_32(void *context, uint32_t number)
{
    take_cbor_positive(context, number);
}

static void take_cbor_negative(void *context, uint64_t number)
{
    stele_cbor_token *token = context;
    token->kind = STELE_CBOR_NEGATIVE;
    token->number = number;
}

static void take_cbor_negative_8(void *context, uint8_t number)
{
    take_cbor_negative(context, number);
}

static void take_cbor_negative_16(void *context, uint16_t number)
{
    take_cbor_negative(context, number);
}

static void take_cbor_negative_32(void *context, uint32_t number)
{
    take_cbor_negative(context, number);
}

static void take_cbor_bytes(void *context, cbor_data data, size_t size)
{
    stele_cbor_token *token = context;
    token->kind = STELE_CBOR_BYTES;
    token->data = data;
    token->size = size;
}

static void take_cbor_text(void *context, cbor_data data, size_t size)
{
    take_cbor_bytes(context, data, size);
    ((stele_cbor_token *)context)->kind = STELE_CBOR_TEXT;
}

static void take_cbor_array(void *context, size_t count)
{
    stele_cbor_token *token = context;
    token->kind = STELE_CBOR_ARRAY_BEGIN;
    token->number = count;
}

static void take_cbor_map(void *context, size_t pair_count)
{
    stele_cbor_token *token = context;
    token->kind = STELE_CBOR_MAP_BEGIN;
    token->number = pair_count;
}

static void take_cbor_indefinite(void *context, stele_cbor_kind kind)
{
    stele_cbor_token *token = context;
    token->kind = kind;
    token->indefinite = true;
}

static void take_cbor_chunked_bytes(void *context)
{
    take_cbor_indefinite(context, STELE_CBOR_BYTES);
}

static void take_cbor_chunked_text(void *context)
{
    take_cbor_indefinite(context, STELE_CBOR_TEXT);
}

static void take_cbor_endless_array(void *context)
{
    take_cbor_indefinite(context, STELE_CBOR_ARRAY_BEGIN);
}

static void take_cbor_endless_map(void *context)
{
    take_cbor_indefinite(context, STELE_CBOR_MAP_BEGIN);
}

static void take_cbor_real(void *context, double real)
{
    stele_cbor_token *token = context;
    token->kind = STELE_CBOR_REAL;
    token->real = real;
}

static void take_cbor_float(void *context, float real)
{
    take_cbor_real(context, (double)real);
}

static void take_cbor_bool(void *context, bool value)
{
    ((stele_cbor_token *)context)->kind = value ? STELE_CBOR_TRUE : STELE_CBOR_FALSE;
}

static void take_cbor_null(void *context)
{
    ((stele_cbor_token *)context)->kind = STELE_CBOR_NULL;
}

static void take_cbor_undefined(void *context)
{
    ((stele_cbor_token *)context)->kind = STELE_CBOR_UNDEFINED;
}

/* Newer versions pass sizes and counts as uint64_t. Where that isn't size_t, these are meant. */

static void take_cbor_bytes_64(void *context, cbor_data data, uint64_t size)
{
    take_cbor_bytes(context, data, (size_t)size);
}

static void take_cbor_text_64(void *context, cbor_data data, uint64_t size)
{
    take_cbor_text(context, data, (size_t)size);
}

static void take_cbor_array_64(void *context, uint64_t count)
{
    take_cbor_array(context, (size_t)count);
    ((stele_cbor_token *)context)->number = count;
}

static void take_cbor_map_64(void *context, uint64_t pair_count)
{
    take_cbor_map(context, (size_t)pair_count);
    ((stele_cbor_token *)context)->number = pair_count;
}

typedef void (*cbor_string_taker)(void *context, cbor_data data, size_t size);
typedef void (*cbor_count_taker)(void *context, size_t count);
#define CBOR_STRING_TAKER(member, by_size, by_64)                                                  \
    _Generic((member), cbor_string_taker : (by_size), default : (by_64))
#define CBOR_COUNT_TAKER(member, by_size, by_64)                                                   \
    _Generic((member), cbor_count_taker : (by_size), default : (by_64))
#define CBOR_MEMBER(name) (((struct cbor_callbacks *)0)->name)

/* Without tags and breaks, which never get there. */
static const struct cbor_callbacks cbor_takers = {
    .uint8 = take_cbor_positive_8,
    .uint16 = take_cbor_positive_16,
    .uint32 = take_cbor_positive_32,
    .uint64 = take_cbor_positive,
    .negint64 = take_cbor_negative,
    .negint32 = take_cbor_negative_32,
    .negint16 = take_cbor_negative_16,
    .negint8 = take_cbor_negative_8,
    .byte_string_start = take_cbor_chunked_bytes,
    .byte_string = CBOR_STRING_TAKER(CBOR_MEMBER(byte_string), take_cbor_bytes, take_cbor_bytes_64),
    .string = CBOR_STRING_TAKER(CBOR_MEMBER(string), take_cbor_text, take_cbor_text_64),
    .string_start = take_cbor_chunked_text,
    .indef_array_start = take_cbor_endless_array,
    .array_start = CBOR_COUNT_TAKER(CBOR_MEMBER(array_start), take_cbor_array, take_cbor_array_64),
    .indef_map_start = take_cbor_endless_map,
    .map_start = CBOR_COUNT_TAKER(CBOR_MEMBER(map_start), take_cbor_map, take_cbor_map_64),
    .float2 = take_cbor_float,
    .float4 = take_cbor_float,
    .float8 = take_cbor_real,
    .undefined = take_cbor_undefined,
    .null = take_cbor_null,
    .boolean = take_cbor_bool,
};

/* Tags, and simple values without a name. False if the item is something else. */
static bool take_cbor_number(const stele__cbor_head *head, stele_cbor_token *token)
{
    if (head->major == STELE__CBOR_MAJOR_TAG)
        token->kind = STELE_CBOR_TAG;
    else if (head->major == STELE__CBOR_MAJOR_OTHER && (head->info < 20 || head->info == 24))
        token->kind = STELE_CBOR_SIMPLE;
    else
        return false;
    token->number = head->argument;
    return true;
}

size_t stele__cbor_decode_item(const unsigned char *at, const unsigned char *end,
                               stele_cbor_token *token)
{
    memset(token, 0, sizeof *token);
    if (*at >> 5 >= STELE__CBOR_MAJOR_TAG) {
        stele__cbor_head head;
        bool complete = stele__cbor_read_head(at, end, &head);
        assert(complete);
        (void)complete;
        if (take_cbor_number(&head, token))
            return head.size;
    }
    struct cbor_decoder_result result =
        cbor_stream_decode(at, (size_t)(end - at), &cbor_takers, token);
    return result.status == CBOR_DECODER_FINISHED ? result.read : 0;
}

/* Writing */

size_t stele__cbor_write_head(unsigned char out[STELE__CBOR_HEAD_SIZE_MAX], stele__cbor_major major,
                              uint64_t argument)
{
    const size_t capacity = STELE__CBOR_HEAD_SIZE_MAX;
    switch (major) {
    case STELE__CBOR_MAJOR_POSITIVE: return cbor_encode_uint(argument, out, capacity);
    case STELE__CBOR_MAJOR_NEGATIVE: return cbor_encode_negint(argument, out, capacity);
    case STELE__CBOR_MAJOR_BYTES:
        return cbor_encode_bytestring_start((size_t)argument, out, capacity);
    case STELE__CBOR_MAJOR_TEXT: return cbor_encode_string_start((size_t)argument, out, capacity);
    case STELE__CBOR_MAJOR_ARRAY: return cbor_encode_array_start((size_t)argument, out, capacity);
    case STELE__CBOR_MAJOR_MAP: return cbor_encode_map_start((size_t)argument, out, capacity);
    case STELE__CBOR_MAJOR_TAG: return cbor_encode_tag(argument, out, capacity);
    case STELE__CBOR_MAJOR_OTHER: break;
    }
    assert(false);
    return 0;
}

/* A head, and room for what follows it: all of it or nothing. */
static stele_status put_cbor_head(stele__buffer *buffer, stele__cbor_major major, uint64_t argument,
                                  size_t size_after)
{
    unsigned char head[STELE__CBOR_HEAD_SIZE_MAX];
    size_t size = stele__cbor_write_head(head, major, argument);
    stele_status status =
        stele__buffer_reserve(buffer, size_after > SIZE_MAX - size ? SIZE_MAX : size + size_after);
    return status == STELE_OK ? stele__buffer_add(buffer, head, size) : status;
}

static stele_status put_cbor_string(stele__buffer *buffer, stele__cbor_major major,
                                    const void *data, size_t size)
{
    stele_status status = put_cbor_head(buffer, major, size, size);
    return status == STELE_OK ? stele__buffer_add(buffer, data, size) : status;
}

stele_status stele__cbor_put_integer(stele__buffer *buffer, bool negative, uint64_t number)
{
    return put_cbor_head(buffer, negative ? STELE__CBOR_MAJOR_NEGATIVE : STELE__CBOR_MAJOR_POSITIVE,
                         number, 0);
}

stele_status stele__cbor_put_bytes(stele__buffer *buffer, const void *data, size_t size)
{
    return put_cbor_string(buffer, STELE__CBOR_MAJOR_BYTES, data, size);
}

stele_status stele__cbor_put_text(stele__buffer *buffer, const char *text, size_t size)
{
    return put_cbor_string(buffer, STELE__CBOR_MAJOR_TEXT, text, size);
}

stele_status stele__cbor_put_array(stele__buffer *buffer, size_t count)
{
    return put_cbor_head(buffer, STELE__CBOR_MAJOR_ARRAY, count, 0);
}

stele_status stele__cbor_put_map(stele__buffer *buffer, size_t pair_count)
{
    return put_cbor_head(buffer, STELE__CBOR_MAJOR_MAP, pair_count, 0);
}

stele_status stele__cbor_put_bool(stele__buffer *buffer, bool value)
{
    unsigned char byte[1];
    return stele__buffer_add(buffer, byte, cbor_encode_bool(value, byte, sizeof byte));
}

stele_status stele__cbor_put_null(stele__buffer *buffer)
{
    unsigned char byte[1];
    return stele__buffer_add(buffer, byte, cbor_encode_null(byte, sizeof byte));
}

/*
 * The bits of a double in a smaller format of IEEE 754, of which `mantissa_size` and
 * `exponent_size` are the bits. False if it would be another number; `bits` are no NaN.
 */
static bool narrow_real(uint64_t bits, int mantissa_size, int exponent_size, uint32_t *narrowed_out)
{
    const int bias = (1 << (exponent_size - 1)) - 1;
    uint32_t sign = (uint32_t)(bits >> 63) << (mantissa_size + exponent_size);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;

    if (bits << 1 == 0) {
        *narrowed_out = sign;
        return true;
    }
    if (exponent == 1024) {
        *narrowed_out = sign | (uint32_t)(2 * bias + 1) << mantissa_size;
        return true;
    }
    int drop = 52 - mantissa_size;
    bool is_normal = exponent >= 1 - bias;
    if (!is_normal) {
        drop += 1 - bias - exponent;
        mantissa |= UINT64_C(1) << 52;
    }
    if (exponent > bias || drop > 52 || (mantissa & ((UINT64_C(1) << drop) - 1)) != 0)
        return false;

    uint32_t biased = is_normal ? (uint32_t)(exponent + bias) : 0;
    *narrowed_out = sign | biased << mantissa_size | (uint32_t)(mantissa >> drop);
    return true;
}

stele_status stele__cbor_put_real(stele__buffer *buffer, double value)
{
    unsigned char out[STELE__CBOR_HEAD_SIZE_MAX];
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);

    size_t size;
    uint32_t narrowed = 0x7e00;
    if (value != value || narrow_real(bits, 10, 5, &narrowed)) {
        out[0] = 0xf9;
        out[1] = (unsigned char)(narrowed >> 8);
        out[2] = (unsigned char)narrowed;
        size = 3;
    } else if (narrow_real(bits, 23, 8, &narrowed)) {
        float single;
        memcpy(&single, &narrowed, sizeof single);
        size = cbor_encode_single(single, out, sizeof out);
    } else {
        size = cbor_encode_double(value, out, sizeof out);
    }
    return stele__buffer_add(buffer, out, size);
}
