/* Numbers of all kinds by chance, judged by the C library: strtod() and printf(). */
#include "codec/number.h"

#include "effort.h"
#include "number_bits.h"
#include "support.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double read_or_die(const char *text, size_t size)
{
    double value = 77;
    stele__number verdict = stele__double_read(text, size, &value);
    ck_assert_msg(verdict == STELE__NUMBER_OK, "%.60s: %d", text, (int)verdict);
    return value;
}

/* The exact decimal between two doubles above 0, as "0.ddd" or "ddd.ddd". */
static void write_middle(double left, double right, char *out, size_t capacity)
{
    enum { DECIMALS = 1075, SIZE = 1500 };
    static char first[SIZE];
    static char second[SIZE];
    int size = snprintf(first, SIZE, "0%.*f", DECIMALS, left);
    int other = snprintf(second, SIZE, "0%.*f", DECIMALS, right);
    ck_assert(size > 0 && other >= size && other < SIZE && (size_t)other + 1 < capacity);
    if (other > size) { /* 999 and 1000 */
        memmove(first + 1, first, (size_t)size + 1);
        first[0] = '0';
    }

    int carry = 0;
    for (int i = other - 1; i >= 0; i--) {
        if (first[i] == '.')
            continue;
        int sum = (first[i] - '0') + (second[i] - '0') + carry;
        first[i] = (char)('0' + sum % 10);
        carry = sum / 10;
    }
    int rest = 0;
    for (int i = 0; i < other; i++) {
        out[i] = first[i];
        if (first[i] == '.')
            continue;
        int digit = rest * 10 + (first[i] - '0');
        out[i] = (char)('0' + digit / 2);
        rest = digit % 2;
    }
    out[other] = rest == 1 ? '5' : '0';
    out[other + 1] = '\0';
    const char *from = out;
    while (*from == '0' && from[1] != '.')
        from++;
    memmove(out, from, strlen(from) + 1);
}

/* The longest texts that decide anything: 767 digits, and one more that tips the scales. */
static void expect_halves_to_even(uint64_t bits)
{
    static char text[1600];
    double left = double_of(bits);
    double right = double_of(bits + 1);
    write_middle(left, right, text, sizeof text - 2);
    size_t size = strlen(text);

    double even = bits % 2 == 0 ? left : right;
    ck_assert_msg(read_or_die(text, size) == even, "halfway from %a", left);
    text[size] = '1';
    ck_assert_msg(read_or_die(text, size + 1) == right, "above halfway from %a", left);

    /* One less in the last digit that isn't 0, then nines. */
    size_t last = size - 1;
    while (text[last] == '0' || text[last] == '.')
        last--;
    text[last]--;
    for (size_t i = last + 1; i < size; i++) {
        if (text[i] != '.')
            text[i] = '9';
    }
    ck_assert_msg(read_or_die(text, size) == left, "below halfway from %a", left);
}

START_TEST(halfway_between_two_doubles_the_even_one_is_read)
{
    static const uint64_t edges[] = { 0,
                                      1,
                                      2,
                                      UINT64_C(0x000ffffffffffffe),
                                      UINT64_C(0x000fffffffffffff),
                                      UINT64_C(0x0010000000000000),
                                      UINT64_C(0x3fefffffffffffff),
                                      UINT64_C(0x3ff0000000000000),
                                      UINT64_C(0x4340000000000000),
                                      UINT64_C(0x7feffffffffffffd) };
    for (size_t i = 1; i < sizeof edges / sizeof edges[0]; i++)
        expect_halves_to_even(edges[i]);

    uint64_t seed = choose_seed();
    int runs = effort_of(3000, 200000);
    printf("halfway cases: seed %" PRIu64 ", %d runs\n", seed, runs);
    for (int i = 0; i < runs; i++)
        expect_halves_to_even(1 + next_chance() % (UINT64_C(0x7feffffffffffffe)));
}
END_TEST

/* All kinds of doubles above 0: any bits, short decimals, powers of 2 and their neighbours. */
static double choose_double(uint64_t turn)
{
    uint64_t chance = next_chance() >> 1;
    switch (turn % 8) {
    case 0: return (double)(chance % 100000000) / 100;
    case 1: return (double)(chance >> 20) / 10000;
    case 2: return double_of(((chance % 2046 + 1) << 52) + (chance >> 40) % 3 - 1);
    case 3: return double_of(chance >> (12 + chance % 50));                      /* subnormal */
    case 4: return (double)(int64_t)((UINT64_C(1) << 53) - 500 + chance % 1000); /* large */
    default:
        while (chance >= UINT64_C(0x7ff0000000000000))
            chance = next_chance() >> 1;
        return double_of(chance);
    }
}

/* The digits of a text without the zeros at both ends; their value is 0.DIGITS * 10 to the result.
 */
static int pick_digits(const char *text, char digits[STELE__NUMBER_SIZE])
{
    int point = 0;
    size_t count = 0;
    bool after = false;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text == '.')
            after = true;
        if (*text < '0' || *text > '9')
            continue;
        if (count == 0 && *text == '0') {
            point -= after ? 1 : 0;
            continue;
        }
        digits[count++] = *text;
        point += after ? 0 : 1;
    }
    while (count > 0 && digits[count - 1] == '0')
        count--;
    digits[count] = '\0';
    return point + (*text == 'e' ? atoi(text + 1) : 0);
}

/* Is a decimal of `count` digits read as `value`? The nearest one or one beside it would be. */
static bool has_decimal_of(double value, int count, bool is_float)
{
    char text[64];
    snprintf(text, sizeof text, "%.*e", count - 1, value);
    char digits[STELE__NUMBER_SIZE] = "";
    int point = pick_digits(text, digits);
    int64_t middle = strtoll(digits, NULL, 10);
    for (size_t missing = (size_t)count - strlen(digits); missing > 0; missing--)
        middle *= 10;
    for (int64_t decimal = middle - 1; decimal <= middle + 1; decimal++) {
        snprintf(text, sizeof text, "%" PRId64 "e%d", decimal, point - count);
        if (is_float ? (double)strtof(text, NULL) == value : strtod(text, NULL) == value)
            return true;
    }
    return false;
}

typedef size_t write_double(double value, char out[STELE__NUMBER_SIZE]);

/* What is wrong with how `write` writes a double above 0; NULL for nothing. */
static const char *judge_writer(write_double *write, double value)
{
    char text[STELE__NUMBER_SIZE];
    char digits[STELE__NUMBER_SIZE];
    char nearest[64];
    char nearest_digits[STELE__NUMBER_SIZE];
    size_t size = write(value, text);
    if (size != strlen(text))
        return "another size";
    if (strtod(text, NULL) != value)
        return "not read back";
    double back = 0;
    if (stele__double_read(text, size, &back) != STELE__NUMBER_OK
        || bits_of(back) != bits_of(value))
        return "not read back by ourselves";

    pick_digits(text, digits);
    int count = (int)strlen(digits);
    if (count > 1 && has_decimal_of(value, count - 1, false))
        return "fewer digits would do";
    snprintf(nearest, sizeof nearest, "%.*e", count - 1, value);
    pick_digits(nearest, nearest_digits);
    if (strtod(nearest, NULL) == value && strcmp(digits, nearest_digits) != 0)
        return "not the nearest";
    return NULL;
}

START_TEST(random_doubles_come_back_and_need_each_digit)
{
    uint64_t seed = choose_seed();
    uint64_t runs = (uint64_t)effort_of(300000, 20000000);
    printf("doubles: seed %" PRIu64 ", %" PRIu64 " runs\n", seed, runs);
    for (uint64_t i = 0; i < runs; i++) {
        double value = choose_double(i);
        if (value == 0)
            continue;
        const char *complaint = judge_writer(stele__double_write, value);
        ck_assert_msg(complaint == NULL, "%a: %s (seed %" PRIu64 ")", value, complaint, seed);
        char plus[STELE__NUMBER_SIZE];
        char minus[STELE__NUMBER_SIZE];
        stele__double_write(value, plus);
        stele__double_write(-value, minus);
        ck_assert(minus[0] == '-' && strcmp(minus + 1, plus) == 0);
    }
}
END_TEST

static size_t write_15_digits(double value, char out[STELE__NUMBER_SIZE])
{
    return (size_t)snprintf(out, STELE__NUMBER_SIZE, "%.15g", value);
}

static size_t write_17_digits(double value, char out[STELE__NUMBER_SIZE])
{
    return (size_t)snprintf(out, STELE__NUMBER_SIZE, "%.17g", value);
}

/* The first of 15, 16, 17 digits that comes back: it misses what is beside the nearest decimal. */
static size_t write_first_that_comes_back(double value, char out[STELE__NUMBER_SIZE])
{
    int size = 0;
    for (int digits = 1; digits <= 17; digits++) {
        size = snprintf(out, STELE__NUMBER_SIZE, "%.*e", digits - 1, value);
        if (strtod(out, NULL) == value)
            break;
    }
    return (size_t)size;
}

/* Without this, the judge might be one who lets everything pass. */
START_TEST(writers_of_too_few_or_too_many_digits_are_found_out)
{
    uint64_t seed = choose_seed();
    int found[2] = { 0, 0 };
    printf("wrong writers: seed %" PRIu64 ", 8000 runs\n", seed);
    for (uint64_t i = 0; i < 8000; i++) {
        double value = choose_double(i);
        if (value == 0)
            continue;
        const char *complaint = judge_writer(write_15_digits, value);
        found[0] += complaint != NULL && strcmp(complaint, "not read back") == 0;
        complaint = judge_writer(write_17_digits, value);
        found[1] += complaint != NULL && strcmp(complaint, "fewer digits would do") == 0;
    }
    ck_assert_int_gt(found[0], 1000);
    ck_assert_int_gt(found[1], 1000);
    /* So few are affected that by chance there may be none. */
    ck_assert_ptr_null(judge_writer(write_first_that_comes_back, 0.1));
    ck_assert_str_eq(judge_writer(write_first_that_comes_back, 0x1p-44), "fewer digits would do");
}
END_TEST

START_TEST(random_floats_come_back_and_need_each_digit)
{
    uint64_t seed = choose_seed();
    uint64_t runs = (uint64_t)effort_of(300000, 20000000);
    printf("floats: seed %" PRIu64 ", %" PRIu64 " runs\n", seed, runs);
    for (uint64_t i = 0; i < runs; i++) {
        /* Each sign, exponent and the edges of its mantissas come up; then anything. */
        uint32_t bits = (uint32_t)(next_chance() >> 32);
        if (i < 512 * 4)
            bits = (uint32_t)(i / 4) << 23 | (((uint32_t)(i % 4) - 2) & 0x7fffff);
        if ((bits & 0x7f800000) == 0x7f800000 || (bits & INT32_MAX) == 0)
            continue;
        float value = float_of(bits);
        char text[STELE__NUMBER_SIZE];
        char digits[STELE__NUMBER_SIZE];
        float back = 0;
        size_t size = stele__float_write(value, text);
        ck_assert_int_eq(stele__float_read(text, size, &back), STELE__NUMBER_OK);
        ck_assert_msg(float_bits_of(back) == bits && strtof(text, NULL) == value, "%a: %s",
                      (double)value, text);

        pick_digits(text, digits);
        int count = (int)strlen(digits);
        ck_assert_int_le(count, 9);
        bool exact = value == truncf(value) && fabsf(value) < 0x1p24f;
        ck_assert_msg(exact || count == 1 || !has_decimal_of(fabs((double)value), count - 1, true),
                      "%a: %s (seed %" PRIu64 ")", (double)value, text, seed);
    }
}
END_TEST

/* Any text of JSON: up to 40 digits, a point anywhere, any exponent. */
static void choose_text(char out[80])
{
    char *at = out;
    int digits = 1 + (int)(next_chance() % 40);
    int point = (int)(next_chance() % 45);
    if (one_in(2))
        *at++ = '-';
    if (point == 0)
        at += snprintf(at, 3, "0.");
    for (int i = 0; i < digits; i++) {
        if (i == point && i > 0)
            *at++ = '.';
        char digit = (char)('0' + (next_chance() >> 20) % 10);
        if (i == 0 && digit == '0' && point > 0)
            digit = '7';
        *at++ = digit;
    }
    *at = '\0';
    if (!one_in(3))
        snprintf(at, 8, "e%d", (int)(next_chance() % 720) - 370);
}

/* Not 0, but read as 0: the exponent is too low for its digits. */
static bool underflows(const char *text, double expected)
{
    size_t mantissa = strcspn(text, "e");
    return expected == 0 && strcspn(text, "123456789") < mantissa;
}

START_TEST(random_texts_are_read_as_the_c_library_reads_them)
{
    uint64_t seed = choose_seed();
    uint64_t runs = (uint64_t)effort_of(300000, 20000000);
    printf("texts: seed %" PRIu64 ", %" PRIu64 " runs\n", seed, runs);
    for (uint64_t i = 0; i < runs; i++) {
        char text[80];
        choose_text(text);
        size_t size = strlen(text);
        double value = 77;
        double expected = strtod(text, NULL);
        stele__number verdict = stele__double_read(text, size, &value);
        if (isinf(expected) || underflows(text, expected))
            ck_assert_msg(verdict == STELE__NUMBER_BEYOND, "%s: %d", text, (int)verdict);
        else
            ck_assert_msg(bits_of(value) == bits_of(expected), "%s: %a", text, value);

        float single = 77;
        float single_expected = strtof(text, NULL);
        verdict = stele__float_read(text, size, &single);
        ck_assert_msg(verdict == STELE__NUMBER_OK
                          ? float_bits_of(single) == float_bits_of(single_expected)
                          : isinf(single_expected) || single_expected == 0,
                      "%s: %a", text, (double)single);
    }
}
END_TEST

static Suite *number_chances_suite(void)
{
    Suite *suite = suite_create("number_chances");

    TCase *chances = tcase_create("chances");
    tcase_set_timeout(chances, 3600);
    tcase_add_test(chances, halfway_between_two_doubles_the_even_one_is_read);
    tcase_add_test(chances, random_doubles_come_back_and_need_each_digit);
    tcase_add_test(chances, writers_of_too_few_or_too_many_digits_are_found_out);
    tcase_add_test(chances, random_floats_come_back_and_need_each_digit);
    tcase_add_test(chances, random_texts_are_read_as_the_c_library_reads_them);
    suite_add_tcase(suite, chances);
    return suite;
}

int main(void)
{
    return run_suite(number_chances_suite());
}
