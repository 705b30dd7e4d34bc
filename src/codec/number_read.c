/*
 * From text to the nearest number. The one short cut that trusts the processor's division looks at
 * the rounding mode before.
 */
#include "codec/number.h"

#include "base/memory.h"
#include "codec/big.h"
#include "codec/number_format.h"

#include <float.h>
#include <string.h>

enum {
    /* The middle of two doubles has at most 767 digits. So whatever comes after these can only say
     * whether a number is more than what they are. */
    NUMBER_DIGITS_MAX = 768
};

/* A number as written, without the zeros around it: 0.DIGITS * 10 to `point`. */
typedef struct read_number {
    size_t count; /* of digits; 0 for the number 0 */
    int64_t point;
    bool negative;
    unsigned char digits[NUMBER_DIGITS_MAX + 1];
} read_number;

typedef struct number_text {
    const char *at;
    const char *end;
} number_text;

static bool is_number_digit(const number_text *text)
{
    return text->at < text->end && *text->at >= '0' && *text->at <= '9';
}

static bool take_number_letter(number_text *text, char either, char other)
{
    if (text->at == text->end || (*text->at != either && *text->at != other))
        return false;
    text->at++;
    return true;
}

/* Take the digits before the point, or after it. True if the text goes on as it may. */
static bool take_number_digits(number_text *text, bool after_point, read_number *number, bool *more)
{
    if (!is_number_digit(text))
        return false;
    const char *first = text->at;
    for (; is_number_digit(text); text->at++) {
        unsigned char digit = (unsigned char)(*text->at - '0');
        if (number->count == 0 && digit == 0) {
            number->point -= after_point ? 1 : 0;
            continue;
        }
        number->point += after_point ? 0 : 1;
        if (number->count < NUMBER_DIGITS_MAX)
            number->digits[number->count++] = digit;
        else
            *more = *more || digit != 0;
    }
    return after_point || *first != '0' || text->at - first == 1;
}

static bool take_number_exponent(number_text *text, int64_t *exponent_out)
{
    bool negative = text->at < text->end && *text->at == '-';
    take_number_letter(text, '+', '-');
    if (!is_number_digit(text))
        return false;
    int64_t exponent = 0;
    for (; is_number_digit(text); text->at++) {
        /* More than any count of digits can make up for. */
        if (exponent < INT64_MAX / 100)
            exponent = exponent * 10 + (*text->at - '0');
    }
    *exponent_out = negative ? -exponent : exponent;
    return true;
}

/* False if JSON has no such number. */
static bool take_number(const char *start, size_t size, read_number *number)
{
    if (size == 0)
        return false;
    number_text text = { start, start + size };
    int64_t exponent = 0;
    bool more = false;
    number->count = 0;
    number->point = 0;
    number->negative = take_number_letter(&text, '-', '-');
    if (!take_number_digits(&text, false, number, &more))
        return false;
    if (take_number_letter(&text, '.', '.') && !take_number_digits(&text, true, number, &more))
        return false;
    if (take_number_letter(&text, 'e', 'E') && !take_number_exponent(&text, &exponent))
        return false;
    if (text.at != text.end)
        return false;

    if (more)
        number->digits[number->count++] = 1;
    while (number->count > 0 && number->digits[number->count - 1] == 0)
        number->count--;
    number->point += exponent;
    return true;
}

/*
 * The bits of the number of `format` that is nearest to `top` * 2 to `exponent` and a little more
 * if `more`; of two equally near the even one. The highest bit of `top` is set. May return
 * infinity.
 */
static uint64_t round_number(uint64_t top, int exponent, bool more,
                             const stele__number_format *format)
{
    int lowest = exponent + 64 - (int)format->mantissa_bits;
    if (lowest < format->exponent_min)
        lowest = format->exponent_min;
    int shift = lowest - exponent;
    if (shift > 64)
        return 0; /* less than half of the smallest */

    uint64_t kept = shift == 64 ? 0 : top >> shift;
    uint64_t half = UINT64_C(1) << (shift - 1);
    uint64_t rest = top & (half | (half - 1));
    if (rest > half || (rest == half && (more || kept % 2 == 1)))
        kept++;
    /* The highest bit of a mantissa that isn't subnormal adds 1 to the exponent's field, and a
     * mantissa that has been rounded up beyond its bits another one. */
    uint64_t bits =
        ((uint64_t)(lowest - format->exponent_min) << (format->mantissa_bits - 1)) + kept;
    return bits < format->infinity ? bits : format->infinity;
}

static void load_number_digits(const read_number *number, stele__big *big)
{
    stele__big_set(big, 0);
    for (size_t i = 0; i < number->count;) {
        uint32_t factor = 1;
        uint32_t chunk = 0;
        for (; i < number->count && factor < 1000000000; i++, factor *= 10)
            chunk = chunk * 10 + number->digits[i];
        if (big->count == 0)
            stele__big_set(big, chunk);
        else
            stele__big_multiply(big, factor, chunk);
    }
}

/*
 * A short decimal: both its digits and the power of 10 are doubles exactly, so one multiplication
 * or division rounds once, and to the nearest if that is how the thread rounds. Only where
 * operations are made in the precision of their type.
 */
static bool divide_short_decimal(const read_number *number, int exponent, double *value_out)
{
#if FLT_EVAL_METHOD == 0 && !defined(__FAST_MATH__)
    static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    static const volatile double tiny = DBL_MIN;
    if (number->count > 15 || exponent < -22 || exponent > 22 || 1 + tiny != 1 - tiny)
        return false;
    int64_t digits = 0;
    for (size_t i = 0; i < number->count; i++)
        digits = digits * 10 + number->digits[i];
    *value_out =
        exponent < 0 ? (double)digits / powers[-exponent] : (double)digits * powers[exponent];
    return true;
#else
    (void)number;
    (void)exponent;
    (void)value_out;
    return false;
#endif
}

/* digits * 10 to `exponent`, which is not so small or large that a number of bits can't be it. */
static uint64_t round_big_number(const read_number *number, int exponent,
                                 const stele__number_format *format)
{
    STELE__UNINITIALIZED stele__big big;
    STELE__UNINITIALIZED stele__big divisor;
    bool more = false;
    load_number_digits(number, &big);
    if (exponent >= 0) {
        stele__big_multiply_power(&big, (unsigned)exponent);
        int dropped = (int)stele__big_bits(&big) - 64;
        uint64_t top = stele__big_top(&big, &more);
        return round_number(top, exponent + dropped, more, format);
    }

    /* Shift one of the two so that the quotient has 63 or 64 bits, then both so that the divisor is
     * aligned. */
    stele__big_set(&divisor, 1);
    stele__big_multiply_power(&divisor, (unsigned)-exponent);
    int shift = 63 + (int)stele__big_bits(&divisor) - (int)stele__big_bits(&big);
    stele__big_shift_left(&big, shift > 0 ? (size_t)shift : 0);
    stele__big_shift_left(&divisor, shift < 0 ? (size_t)-shift : 0);
    size_t alignment = stele__big_alignment(&divisor);
    stele__big_shift_left(&big, alignment);
    stele__big_shift_left(&divisor, alignment);
    uint64_t top = stele__big_divide(&big, &divisor);
    more = big.count > 0;
    if (top >> 63 == 1)
        return round_number(top, exponent - shift, more, format);
    return round_number(top << 1, exponent - shift - 1, more, format);
}

static stele__number read_number_text(const char *text, size_t size,
                                      const stele__number_format *format, uint64_t *bits_out,
                                      bool *negative_out)
{
    STELE__UNINITIALIZED read_number number;
    if (!take_number(text, size, &number))
        return STELE__NUMBER_NONE;
    *negative_out = number.negative;
    *bits_out = 0;
    if (number.count == 0)
        return STELE__NUMBER_OK;
    /* A double is below 1e309, and what is below 1e-324 is nearer to 0 than to any. */
    if (number.point > 309 || number.point < -324)
        return STELE__NUMBER_BEYOND;
    int exponent = (int)number.point - (int)number.count;
    double value = 0;
    if (format == &stele__double_format && divide_short_decimal(&number, exponent, &value))
        memcpy(bits_out, &value, sizeof value);
    else
        *bits_out = round_big_number(&number, exponent, format);
    return *bits_out == 0 || *bits_out == format->infinity ? STELE__NUMBER_BEYOND
                                                           : STELE__NUMBER_OK;
}

stele__number stele__double_read(const char *text, size_t size, double *value_out)
{
    uint64_t bits = 0;
    bool negative = false;
    stele__number result = read_number_text(text, size, &stele__double_format, &bits, &negative);
    if (result == STELE__NUMBER_OK) {
        bits |= (uint64_t)negative << 63;
        memcpy(value_out, &bits, sizeof bits);
    }
    return result;
}

stele__number stele__float_read(const char *text, size_t size, float *value_out)
{
    uint64_t bits = 0;
    bool negative = false;
    stele__number result = read_number_text(text, size, &stele__float_format, &bits, &negative);
    if (result == STELE__NUMBER_OK) {
        uint32_t word = (uint32_t)bits | (uint32_t)negative << 31;
        memcpy(value_out, &word, sizeof word);
    }
    return result;
}

stele__number stele__integer_read(const char *text, size_t size, bool *negative_out,
                                  uint64_t *magnitude_out)
{
    if (size == 0)
        return STELE__NUMBER_NONE;
    bool negative = text[0] == '-';
    size_t at = negative ? 1 : 0;
    if (at == size || (text[at] == '0' && size - at > 1))
        return STELE__NUMBER_NONE;

    uint64_t magnitude = 0;
    bool beyond = false;
    for (; at < size; at++) {
        if (text[at] < '0' || text[at] > '9')
            return STELE__NUMBER_NONE;
        unsigned digit = (unsigned)(text[at] - '0');
        if (magnitude > (UINT64_MAX - digit) / 10)
            beyond = true;
        magnitude = magnitude * 10 + digit;
    }
    if (beyond)
        return STELE__NUMBER_BEYOND;
    *negative_out = negative;
    *magnitude_out = magnitude;
    return STELE__NUMBER_OK;
}
