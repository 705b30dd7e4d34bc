/* Base64 as RFC 4648 section 4 has it, in its one canonical form: padded, without line breaks. */
#include "base/base64.h"

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t stele__base64_encode(const void *data, size_t size, char *text_out)
{
    const unsigned char *bytes = data;
    char *at = text_out;
    for (; size >= 3; size -= 3, bytes += 3) {
        *at++ = base64_digits[bytes[0] >> 2];
        *at++ = base64_digits[(bytes[0] & 3) << 4 | bytes[1] >> 4];
        *at++ = base64_digits[(bytes[1] & 15) << 2 | bytes[2] >> 6];
        *at++ = base64_digits[bytes[2] & 63];
    }
    if (size > 0) {
        unsigned first = bytes[0];
        unsigned second = size == 2 ? bytes[1] : 0;
        *at++ = base64_digits[first >> 2];
        *at++ = base64_digits[(first & 3) << 4 | second >> 4];
        *at++ = '=';
        *at++ = '=';
        if (size == 2)
            at[-2] = base64_digits[(second & 15) << 2];
    }
    return (size_t)(at - text_out);
}

/* The value of a digit; 64 for what is none. */
static unsigned base64_value(unsigned char digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - (unsigned)'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - (unsigned)'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - (unsigned)'0' + 52;
    if (digit == '+')
        return 62;
    return digit == '/' ? 63 : 64;
}

bool stele__base64_decode(const char *text, size_t size, void *data_out, size_t *size_out)
{
    if (size % 4 != 0)
        return false;
    size_t padding = 0;
    while (padding < 2 && padding < size && text[size - 1 - padding] == '=')
        padding++;
    size_t digit_count = size - padding;

    unsigned char *at = data_out;
    unsigned bits = 0; /* Those of the digits that don't fill a byte yet, at most 6. */
    unsigned bit_count = 0;
    for (size_t i = 0; i < digit_count; i++) {
        unsigned value = base64_value((unsigned char)text[i]);
        if (value > 63)
            return false;
        bits = bits << 6 | value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            *at++ = (unsigned char)(bits >> bit_count);
            bits &= (1U << bit_count) - 1;
        }
    }
    if (bits != 0) /* Bits that no byte holds: another text would give the same bytes. */
        return false;
    *size_out = (size_t)(at - (unsigned char *)data_out);
    return true;
}
