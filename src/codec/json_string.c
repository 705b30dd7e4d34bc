/*
 * What stands between the quotes of a JSON string: which bytes may, and what they mean.
 */
#include "codec/json_internal.h"

#include "base/bytes.h"

#include <assert.h>
#include <string.h>

#define JSON_EACH_BYTE UINT64_C(0x0101010101010101)
#define JSON_HIGH_BITS UINT64_C(0x8080808080808080)

#if defined(__GNUC__) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define JSON_FIRST_BYTE_IS_LOWEST 1
#else
#define JSON_FIRST_BYTE_IS_LOWEST 0
#endif

/*
 * Flag the high bit of every one of eight bytes that is a quote, a backslash, below 0x20 or above
 * 0x7f. A borrow may flag more than those, but only bytes more significant than one of them.
 */
static inline uint64_t flag_special_json_bytes(uint64_t eight)
{
    uint64_t quote = eight ^ (JSON_EACH_BYTE * '"');
    uint64_t backslash = eight ^ (JSON_EACH_BYTE * '\\');
    uint64_t special = eight | (eight - JSON_EACH_BYTE * 0x20) | (quote - JSON_EACH_BYTE)
                       | (backslash - JSON_EACH_BYTE);
    return special & JSON_HIGH_BITS;
}

static inline bool is_plain_json_byte(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

const unsigned char *stele__json_plain_end(const unsigned char *at, const unsigned char *end)
{
    while (end - at >= 8) {
        uint64_t eight;
        memcpy(&eight, at, sizeof eight);
        uint64_t flags = flag_special_json_bytes(eight);
#if JSON_FIRST_BYTE_IS_LOWEST
        if (flags != 0)
            return at + __builtin_ctzll(flags) / 8;
#else
        if (flags != 0)
            break;
#endif
        at += 8;
    }
    while (at < end && is_plain_json_byte(*at))
        at++;
    return at;
}

static int32_t parse_json_hex_digit(unsigned char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* The number in a `\uXXXX` at `at`, or -1 if that is not what stands there. */
static int32_t parse_json_hex_escape(const unsigned char *at, const unsigned char *end)
{
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;

    int32_t value = 0;
    for (size_t i = 2; i < 6; i++) {
        int32_t digit = parse_json_hex_digit(at[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* What the letter after a backslash stands for, or 0. */
static unsigned char resolve_json_letter(unsigned char letter)
{
    switch (letter) {
    case '"':
    case '\\':
    case '/': return letter;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return 0;
    }
}

static inline bool is_high_surrogate(int32_t unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static inline bool is_low_surrogate(int32_t unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/*
 * Read the escape at `at`. Returns its size and sets `*code_out`; returns 0 for one that is not
 * allowed and sets `*reason_out`.
 */
static size_t read_json_escape(const unsigned char *at, const unsigned char *end, int32_t *code_out,
                               const char **reason_out)
{
    *reason_out = "invalid escape";
    if (end - at < 2)
        return 0;

    if (at[1] != 'u') {
        *code_out = resolve_json_letter(at[1]);
        return *code_out == 0 ? 0 : 2;
    }

    int32_t unit = parse_json_hex_escape(at, end);
    if (unit < 0)
        return 0;
    if (unit == 0) {
        *reason_out = "escaped NUL";
        return 0;
    }
    if (!is_high_surrogate(unit) && !is_low_surrogate(unit)) {
        *code_out = unit;
        return 6;
    }

    int32_t second = is_high_surrogate(unit) ? parse_json_hex_escape(at + 6, end) : -1;
    if (!is_low_surrogate(second)) {
        *reason_out = "lone surrogate";
        return 0;
    }
    *code_out = 0x10000 + (unit - 0xd800) * 0x400 + (second - 0xdc00);
    return 12;
}

static size_t encode_json_utf8(int32_t code, unsigned char utf8_out[4])
{
    if (code < 0x80) {
        utf8_out[0] = (unsigned char)code;
        return 1;
    }
    if (code < 0x800) {
        utf8_out[0] = (unsigned char)(0xc0 | code >> 6);
        utf8_out[1] = (unsigned char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        utf8_out[0] = (unsigned char)(0xe0 | code >> 12);
        utf8_out[1] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
        utf8_out[2] = (unsigned char)(0x80 | (code & 0x3f));
        return 3;
    }
    utf8_out[0] = (unsigned char)(0xf0 | code >> 18);
    utf8_out[1] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
    utf8_out[2] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
    utf8_out[3] = (unsigned char)(0x80 | (code & 0x3f));
    return 4;
}

size_t stele__json_decode_one(const unsigned char *at, const unsigned char *end,
                              unsigned char utf8_out[4], size_t *utf8_size_out)
{
    if (*at != '\\') {
        utf8_out[0] = *at;
        *utf8_size_out = 1;
        return 1;
    }

    int32_t code = 0;
    const char *reason;
    size_t size = read_json_escape(at, end, &code, &reason);
    if (size != 0)
        *utf8_size_out = encode_json_utf8(code, utf8_out);
    return size;
}

size_t stele__json_decode(const unsigned char *at, const unsigned char *end, unsigned char *out)
{
    unsigned char *start = out;
    while (at < end) {
        unsigned char utf8[4];
        size_t utf8_size = 0;
        size_t taken = stele__json_decode_one(at, end, utf8, &utf8_size);
        assert(taken > 0);
        memcpy(out, utf8, utf8_size);
        out += utf8_size;
        at += taken;
    }
    return (size_t)(out - start);
}

const unsigned char *stele__json_string_end(const unsigned char *at, const unsigned char *end,
                                            bool *escaped_out, stele__json_flaw *flaw)
{
    const unsigned char *start = at;

    for (;;) {
        at = stele__json_plain_end(at, end);
        if (at == end) {
            flaw->at = start - 1;
            flaw->what = "string without an end";
            return NULL;
        }
        if (*at == '"')
            return at;

        size_t size = 0;
        const char *reason = NULL;
        if (*at == '\\') {
            int32_t code;
            size = read_json_escape(at, end, &code, &reason);
            *escaped_out = true;
        } else if (*at >= 0x80) {
            size = stele__utf8_sequence(at, (size_t)(end - at));
            reason = "invalid UTF-8";
        }
        if (size == 0) {
            flaw->at = at;
            flaw->what = reason;
            return NULL;
        }
        at += size;
    }
}
