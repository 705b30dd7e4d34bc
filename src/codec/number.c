/*
 * Numbers as text and back, by whole numbers: neither the locale nor the rounding mode of the
 * thread plays a part, nothing is allocated, and no call leads out of the library. This file
 * writes.
 */
#include "codec/number.h"

#include "base/memory.h"
#include "codec/big.h"
#include "codec/number_format.h"

#include <assert.h>
#include <float.h>
#include <string.h>

_Static_assert(FLT_RADIX == 2 && DBL_MANT_DIG == 53 && DBL_MAX_EXP == 1024 && sizeof(double) == 8,
               "double as IEEE 754 has it");
_Static_assert(FLT_MANT_DIG == 24 && FLT_MAX_EXP == 128 && sizeof(float) == 4,
               "float as IEEE 754 has it");

const stele__number_format stele__double_format = { 53, -1074, UINT64_C(0x7ff) << 52 };
const stele__number_format stele__float_format = { 24, -149, UINT64_C(0xff) << 23 };

enum {
    NUMBER_POWERS_OF_5 = 28 /* those that fit into 64 bits */
};

/* 5 to `exponent` */
static uint64_t raise_five(unsigned exponent)
{
    static const uint64_t powers[NUMBER_POWERS_OF_5] = {
        UINT64_C(1),
        UINT64_C(5),
        UINT64_C(25),
        UINT64_C(125),
        UINT64_C(625),
        UINT64_C(3125),
        UINT64_C(15625),
        UINT64_C(78125),
        UINT64_C(390625),
        UINT64_C(1953125),
        UINT64_C(9765625),
        UINT64_C(48828125),
        UINT64_C(244140625),
        UINT64_C(1220703125),
        UINT64_C(6103515625),
        UINT64_C(30517578125),
        UINT64_C(152587890625),
        UINT64_C(762939453125),
        UINT64_C(3814697265625),
        UINT64_C(19073486328125),
        UINT64_C(95367431640625),
        UINT64_C(476837158203125),
        UINT64_C(2384185791015625),
        UINT64_C(11920928955078125),
        UINT64_C(59604644775390625),
        UINT64_C(298023223876953125),
        UINT64_C(1490116119384765625),
        UINT64_C(7450580596923828125),
    };
    assert(exponent < NUMBER_POWERS_OF_5);
    return powers[exponent];
}

/* left * right, of which the high 64 bits are returned. */
static uint64_t multiply_wide(uint64_t left, uint64_t right, uint64_t *low_out)
{
    uint64_t low = (left & UINT32_MAX) * (right & UINT32_MAX);
    uint64_t middle = (left >> 32) * (right & UINT32_MAX) + (low >> 32);
    uint64_t other = (left & UINT32_MAX) * (right >> 32) + (middle & UINT32_MAX);
    *low_out = other << 32 | (low & UINT32_MAX);
    return (left >> 32) * (right >> 32) + (middle >> 32) + (other >> 32);
}

/* Writing */

/* digits * 10 to `exponent` */
typedef struct shortest_decimal {
    uint64_t digits;
    int exponent;
} shortest_decimal;

/*
 * A number above 0 and all that is read back as it. It is `mantissa` * 2 to `exponent`. What lies
 * between the middles of it and its two neighbours is read as it; the middles themselves are when
 * the mantissa is even. Below a power of 2 the neighbour is nearer: a quarter of the step that
 * `exponent` is, instead of half of it.
 */
typedef struct written_number {
    uint64_t mantissa;
    int exponent;
    uint32_t quarters_below;
    uint32_t quarters_above;
    bool even;
} written_number;

/*
 * The number between two multiples of a power of 10 and how it lies there: of the power that is
 * just below the width of all that is read back, and of the next one. Which of the four is read
 * back as the number?
 */
typedef struct placed_number {
    uint64_t multiple; /* the multiple just below it, or itself */
    int power;
    bool floor_fits;
    bool ceiling_fits;
    bool tens_floor_fits;
    bool tens_ceiling_fits;
    int side; /* of the middle of the two: -1 below, 0 on it, 1 above */
} placed_number;

/* The greatest power of 10 that is not wider than what is read back as `number`. */
static int choose_power(const written_number *number)
{
    /* log10(2) and log10(4/3) in units of 2 to -20: for every exponent of a double this has been
     * compared to the exact powers. Biased, so that what is shifted is not negative. */
    enum { BIAS = 1 << 20, LOG_2 = 315653, LOG_4_3 = 131072 };
    int64_t scaled = ((int64_t)number->exponent + BIAS) * LOG_2;
    if (number->quarters_below == 1)
        scaled -= LOG_4_3;
    return (int)(scaled >> 20) - LOG_2;
}

static bool is_read_back(int comparison, bool even)
{
    return comparison < 0 || (comparison == 0 && even);
}

static int compare_number_words(uint64_t left, uint64_t right)
{
    return left < right ? -1 : left > right;
}

/*
 * Place a number of everyday size with 64 bits. Everything is counted in units of a quarter of
 * 2 to `exponent`, times 5 to -power, so that it is whole; then 10 to `power` is 2 to `shift`.
 */
static void place_small_number(const written_number *number, placed_number *placed)
{
    uint64_t quarter = raise_five((unsigned)-placed->power);
    unsigned shift = (unsigned)(2 - number->exponent + placed->power);
    assert(shift >= 1 && shift <= 60);

    uint64_t low = 0;
    uint64_t high = multiply_wide(number->mantissa * 4, quarter, &low);
    uint64_t step = UINT64_C(1) << shift;
    placed->multiple = high << (64 - shift) | low >> shift;

    uint64_t above_floor = low & (step - 1);
    uint64_t tens = placed->multiple % 10;
    uint64_t below = quarter * number->quarters_below;
    uint64_t above = quarter * number->quarters_above;
    bool even = number->even;
    placed->floor_fits = is_read_back(compare_number_words(above_floor, below), even);
    placed->ceiling_fits = is_read_back(compare_number_words(step - above_floor, above), even);
    placed->tens_floor_fits =
        is_read_back(compare_number_words(tens * step + above_floor, below), even);
    placed->tens_ceiling_fits =
        is_read_back(compare_number_words((10 - tens) * step - above_floor, above), even);
    placed->side = compare_number_words(above_floor, step - above_floor);
}

/* Is `multiple` times `step` and then `more` within `quarters` of `quarter` and then `slack`? */
static bool is_big_read_back(const stele__big *step, uint32_t multiple, const stele__big *more,
                             const stele__big *quarter, uint32_t quarters, const stele__big *slack,
                             bool even)
{
    STELE__UNINITIALIZED stele__big left;
    STELE__UNINITIALIZED stele__big right;
    stele__big_copy(&left, step);
    stele__big_multiply(&left, multiple, 0);
    if (more != NULL)
        stele__big_add(&left, more);
    stele__big_copy(&right, quarter);
    stele__big_multiply(&right, quarters, 0);
    if (slack != NULL)
        stele__big_add(&right, slack);
    return is_read_back(stele__big_compare(&left, &right), even);
}

/* The same for any number. */
static void place_big_number(const written_number *number, placed_number *placed)
{
    STELE__UNINITIALIZED stele__big quarter;
    STELE__UNINITIALIZED stele__big step;
    STELE__UNINITIALIZED stele__big rest;
    int power = placed->power;
    int twos = number->exponent - 2 - power; /* of a quarter, beyond those of a step */

    stele__big_set(&quarter, 1);
    stele__big_multiply_power(&quarter, power < 0 ? (unsigned)-power : 0);
    stele__big_shift_left(&quarter, twos > 0 ? (size_t)twos : 0);
    stele__big_set(&step, 1);
    stele__big_multiply_power(&step, power > 0 ? (unsigned)power : 0);
    stele__big_shift_left(&step, twos < 0 ? (size_t)-twos : 0);
    size_t alignment = stele__big_alignment(&step);
    stele__big_shift_left(&step, alignment);
    stele__big_shift_left(&quarter, alignment);

    stele__big_copy(&rest, &quarter);
    stele__big_multiply_64(&rest, number->mantissa * 4);
    placed->multiple = stele__big_divide(&rest, &step);

    uint32_t tens = (uint32_t)(placed->multiple % 10);
    uint32_t below = number->quarters_below;
    uint32_t above = number->quarters_above;
    bool even = number->even;
    placed->tens_floor_fits = is_big_read_back(&step, tens, &rest, &quarter, below, NULL, even);
    placed->tens_ceiling_fits =
        is_big_read_back(&step, 10 - tens, NULL, &quarter, above, &rest, even);
    placed->floor_fits = is_big_read_back(&step, 0, &rest, &quarter, below, NULL, even);
    placed->ceiling_fits = is_big_read_back(&step, 1, NULL, &quarter, above, &rest, even);
    stele__big_shift_left(&rest, 1);
    placed->side = stele__big_compare(&rest, &step);
}

/*
 * The fewest digits, and of several such decimals the nearest.
 *
 * All decimals with n digits after the point are multiples of one power of 10. Take the greatest
 * power that isn't wider than the range of what is read back. A multiple of it lies in the range.
 * As the number itself does, the multiple just below or just above it is one. The next power is
 * wider than the range, so at most one multiple of that one lies in it, again just below or
 * above the number; and it is a multiple of all higher powers that have one there. So if there is
 * one, it has the fewest digits once its zeros at the end are gone. If there is none, no decimal
 * with fewer digits than the multiples of our power is read back, and of those the nearest is one
 * of the two beside the number, as far as they are in the range.
 */
static shortest_decimal shorten_number(const written_number *number)
{
    placed_number placed = { 0 };
    placed.power = choose_power(number);
    if (number->exponent <= 0 && placed.power >= -24)
        place_small_number(number, &placed);
    else
        place_big_number(number, &placed);

    uint64_t tens = placed.multiple / 10;
    if (placed.tens_floor_fits || placed.tens_ceiling_fits) {
        shortest_decimal result = { placed.tens_floor_fits ? tens : tens + 1, placed.power + 1 };
        for (; result.digits % 10 == 0; result.exponent++)
            result.digits /= 10;
        return result;
    }

    assert(placed.floor_fits || placed.ceiling_fits);
    bool odd = placed.multiple % 2 == 1;
    bool up = !placed.floor_fits
              || (placed.ceiling_fits && (placed.side > 0 || (placed.side == 0 && odd)));
    return (shortest_decimal){ placed.multiple + (up ? 1 : 0), placed.power };
}

/* Returns the count of digits. */
static size_t put_number_digits(uint64_t number, char out[20])
{
    char reversed[20];
    size_t count = 0;
    do {
        reversed[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (size_t i = 0; i < count; i++)
        out[i] = reversed[count - 1 - i];
    return count;
}

static char *put_number_bytes(char *at, const char *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

static char *put_number_zeros(char *at, size_t count)
{
    memset(at, '0', count);
    return at + count;
}

/* As JSON has it: plain from 0.000001 on, as long as there is a point in the digits; else 1.25e-7.
 */
static size_t put_decimal(shortest_decimal number, bool negative, char *out)
{
    char digits[20];
    size_t count = put_number_digits(number.digits, digits);
    int point = (int)count + number.exponent; /* digits before it */
    char *at = out;
    if (negative)
        *at++ = '-';

    if (number.exponent < 0 && point > 0) {
        at = put_number_bytes(at, digits, (size_t)point);
        *at++ = '.';
        at = put_number_bytes(at, digits + point, count - (size_t)point);
    } else if (number.exponent < 0 && point > -6) {
        at = put_number_bytes(at, "0.", 2);
        at = put_number_zeros(at, (size_t)-point);
        at = put_number_bytes(at, digits, count);
    } else {
        *at++ = digits[0];
        if (count > 1)
            *at++ = '.';
        at = put_number_bytes(at, digits + 1, count - 1);
        *at++ = 'e';
        *at++ = point > 0 ? '+' : '-';
        at += put_number_digits((uint64_t)(point > 0 ? point - 1 : 1 - point), at);
    }
    *at = '\0';
    return (size_t)(at - out);
}

static size_t write_number(uint64_t bits, bool negative, const stele__number_format *format,
                           char *out)
{
    assert(bits < format->infinity);
    unsigned fraction_bits = format->mantissa_bits - 1;
    uint64_t hidden = UINT64_C(1) << fraction_bits;
    uint64_t fraction = bits & (hidden - 1);
    int field = (int)(bits >> fraction_bits);

    written_number number = { 0 };
    number.mantissa = field == 0 ? fraction : fraction | hidden;
    number.exponent = format->exponent_min + (field == 0 ? 0 : field - 1);
    number.quarters_below = fraction == 0 && field > 1 ? 1 : 2;
    number.quarters_above = 2;
    number.even = number.mantissa % 2 == 0;

    /* What is an integer as it is, and of no more bits than the mantissa has. */
    int whole_bits = (int)format->mantissa_bits + number.exponent;
    if (number.mantissa == 0)
        return stele__unsigned_write(0, negative, out);
    if (number.exponent <= 0 && whole_bits > 0) {
        unsigned shift = (unsigned)-number.exponent;
        if ((number.mantissa >> shift) << shift == number.mantissa)
            return stele__unsigned_write(number.mantissa >> shift, negative, out);
    }
    return put_decimal(shorten_number(&number), negative, out);
}

size_t stele__double_write(double value, char out[STELE__NUMBER_SIZE])
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return write_number(bits & INT64_MAX, bits >> 63 == 1, &stele__double_format, out);
}

size_t stele__float_write(float value, char out[STELE__NUMBER_SIZE])
{
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return write_number(bits & INT32_MAX, bits >> 31 == 1, &stele__float_format, out);
}

size_t stele__unsigned_write(uint64_t value, bool negative, char out[STELE__NUMBER_SIZE])
{
    size_t size = negative ? 1 : 0;
    out[0] = '-';
    size += put_number_digits(value, out + size);
    out[size] = '\0';
    return size;
}
