/* Numbers as text and back: the fewest digits, the nearest number, and nothing else plays a part.
 */
#include "codec/number.h"

#include "comma_locale.h"
#include "number_bits.h"
#include "support.h"

#include <check.h>
#include <fenv.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writing */

static const struct {
    double value;
    const char *text;
} written[] = {
    { 0.0, "0" },
    { -0.0, "-0" },
    { 1.0, "1" },
    { -1.0, "-1" },
    { 0.1, "0.1" },
    { 0.1 + 0.2, "0.30000000000000004" },
    { 1.0 / 3, "0.3333333333333333" },
    { 2.0 / 3, "0.6666666666666666" },
    { 19.99, "19.99" },
    { -1234567.25, "-1234567.25" },
    { 100.0, "100" },
    { 1e15, "1000000000000000" },
    { 1234567890123460.0, "1234567890123460" },
    { 4503599627370495.5, "4503599627370495.5" },
    { 4503599627370496.0, "4503599627370496" },
    { 9007199254740991.0, "9007199254740991" },
    { -9007199254740991.0, "-9007199254740991" },
    { 9007199254740992.0, "9.007199254740992e+15" },
    { 9007199254740994.0, "9.007199254740994e+15" },
    { 123456789012345680.0, "1.2345678901234568e+17" },
    { 1491926160718000000.0, "1.491926160718e+18" },
    { 1e16, "1e+16" },
    { 1e21, "1e+21" },
    { 1e22, "1e+22" },
    { 1e23, "1e+23" },
    { 9.999999999999999e22, "1e+23" },
    { 1e100, "1e+100" },
    { 0.000001, "0.000001" },
    { 0.0000012345678901234567, "0.0000012345678901234567" },
    { 0.0000001, "1e-7" },
    { 1.5e-7, "1.5e-7" },
    { 1e-300, "1e-300" },
    /* powers of 2, whose neighbours are not equally far: the nearest 16 digits aren't read back */
    { 5.684341886080802e-14, "5.684341886080802e-14" },
    { 0x1p-44, "5.684341886080802e-14" },
    { 0x1p-1022, "2.2250738585072014e-308" },
    { 0x1p1023, "8.98846567431158e+307" },
    { 9.5367431640625e-7, "9.5367431640625e-7" },
    /* the ends */
    { DBL_MAX, "1.7976931348623157e+308" },
    { -DBL_MAX, "-1.7976931348623157e+308" },
    { DBL_MIN, "2.2250738585072014e-308" },
    { 0x0.fffffffffffffp-1022, "2.225073858507201e-308" },
    { 0x1p-1074, "5e-324" },
    { -0x1p-1074, "-5e-324" },
    { 0x2p-1074, "1e-323" },
    { 0x3p-1074, "1.5e-323" },
};

START_TEST(double_is_written_in_the_fewest_digits_that_are_read_back)
{
    char text[STELE__NUMBER_SIZE];
    size_t size = stele__double_write(written[_i].value, text);

    ck_assert_str_eq(text, written[_i].text);
    ck_assert_uint_eq(size, strlen(text));
    double back = 1;
    ck_assert_int_eq(stele__double_read(text, size, &back), STELE__NUMBER_OK);
    ck_assert_uint_eq(bits_of(back), bits_of(written[_i].value));
}
END_TEST

static const struct {
    float value;
    const char *text;
} floats_written[] = {
    { 0.0f, "0" },
    { -0.0f, "-0" },
    { 0.1f, "0.1" },
    { 3.14159265f, "3.1415927" },
    { 16777215.0f, "16777215" },
    { 16777216.0f, "1.6777216e+7" },
    { 8388607.5f, "8388607.5" },
    { 1e10f, "1e+10" },
    { 1e15f, "1e+15" },
    { 1e20f, "1e+20" },
    { 9007199254740992.0f, "9.007199e+15" },
    { 1e-7f, "1e-7" },
    { FLT_MAX, "3.4028235e+38" },
    { FLT_MIN, "1.1754944e-38" },
    { 0x1p-149f, "1e-45" },
    { 0x3p-149f, "4e-45" },
};

START_TEST(float_is_written_in_the_fewest_digits_of_its_own)
{
    char text[STELE__NUMBER_SIZE];
    size_t size = stele__float_write(floats_written[_i].value, text);

    ck_assert_str_eq(text, floats_written[_i].text);
    ck_assert_uint_eq(size, strlen(text));
    float back = 1;
    ck_assert_int_eq(stele__float_read(text, size, &back), STELE__NUMBER_OK);
    ck_assert_uint_eq(float_bits_of(back), float_bits_of(floats_written[_i].value));
}
END_TEST

START_TEST(integer_is_written_in_full)
{
    char text[STELE__NUMBER_SIZE];
    ck_assert_uint_eq(stele__unsigned_write(0, false, text), 1);
    ck_assert_str_eq(text, "0");
    ck_assert_uint_eq(stele__unsigned_write(UINT64_MAX, false, text), 20);
    ck_assert_str_eq(text, "18446744073709551615");
    ck_assert_uint_eq(stele__unsigned_write(UINT64_C(1) << 63, true, text), 20);
    ck_assert_str_eq(text, "-9223372036854775808");
}
END_TEST

/* Reading */

static const struct {
    const char *text;
    stele__number verdict;
    double value;
} texts[] = {
    { "0", STELE__NUMBER_OK, 0.0 },
    { "-0", STELE__NUMBER_OK, -0.0 },
    { "-0.000e99", STELE__NUMBER_OK, -0.0 },
    { "0e999999999999999999999999", STELE__NUMBER_OK, 0.0 },
    { "1", STELE__NUMBER_OK, 1.0 },
    { "1E0", STELE__NUMBER_OK, 1.0 },
    { "100e-2", STELE__NUMBER_OK, 1.0 },
    { "0.1", STELE__NUMBER_OK, 0.1 },
    { "1e22", STELE__NUMBER_OK, 1e22 },
    { "1e23", STELE__NUMBER_OK, 0x1.52d02c7e14af6p+76 },
    { "9007199254740991", STELE__NUMBER_OK, 9007199254740991.0 },
    { "9007199254740992", STELE__NUMBER_OK, 9007199254740992.0 },
    { "9007199254740993", STELE__NUMBER_OK, 9007199254740992.0 },
    { "9007199254740993.00000000000000000000000000000000000001", STELE__NUMBER_OK,
      9007199254740994.0 },
    { "9007199254740992.99999999999999999999999999999999999999", STELE__NUMBER_OK,
      9007199254740992.0 },
    { "9007199254740995", STELE__NUMBER_OK, 9007199254740996.0 },
    { "123456789012345680", STELE__NUMBER_OK, 123456789012345680.0 },
    { "2.2250738585072014e-308", STELE__NUMBER_OK, DBL_MIN },
    { "2.2250738585072011e-308", STELE__NUMBER_OK, 0x0.fffffffffffffp-1022 },
    { "2.2250738585072012e-308", STELE__NUMBER_OK, DBL_MIN },
    { "1.7976931348623157e308", STELE__NUMBER_OK, DBL_MAX },
    { "1.7976931348623158e308", STELE__NUMBER_OK, DBL_MAX },
    { "5e-324", STELE__NUMBER_OK, 0x1p-1074 },
    { "3e-324", STELE__NUMBER_OK, 0x1p-1074 },
    { "0.00000000000000000000000000000000000000001e-300e", STELE__NUMBER_NONE, 0 },
    { "1e-00000000000000000000000000000000000000000001", STELE__NUMBER_OK, 0.1 },
    /* beyond */
    { "1.7976931348623159e308", STELE__NUMBER_BEYOND, 0 },
    { "1e309", STELE__NUMBER_BEYOND, 0 },
    { "1e400", STELE__NUMBER_BEYOND, 0 },
    { "-1e400", STELE__NUMBER_BEYOND, 0 },
    { "1e99999999999999999999999999999999", STELE__NUMBER_BEYOND, 0 },
    { "2e-324", STELE__NUMBER_BEYOND, 0 },
    { "1e-400", STELE__NUMBER_BEYOND, 0 },
    { "-1e-99999999999999999999999999999", STELE__NUMBER_BEYOND, 0 },
    /* none */
    { "", STELE__NUMBER_NONE, 0 },
    { "-", STELE__NUMBER_NONE, 0 },
    { "+1", STELE__NUMBER_NONE, 0 },
    { "01", STELE__NUMBER_NONE, 0 },
    { "-01", STELE__NUMBER_NONE, 0 },
    { "00", STELE__NUMBER_NONE, 0 },
    { "1.", STELE__NUMBER_NONE, 0 },
    { ".5", STELE__NUMBER_NONE, 0 },
    { "1,5", STELE__NUMBER_NONE, 0 },
    { "1e", STELE__NUMBER_NONE, 0 },
    { "1e+", STELE__NUMBER_NONE, 0 },
    { "1e5.0", STELE__NUMBER_NONE, 0 },
    { " 1", STELE__NUMBER_NONE, 0 },
    { "1 ", STELE__NUMBER_NONE, 0 },
    { "0x10", STELE__NUMBER_NONE, 0 },
    { "1_000", STELE__NUMBER_NONE, 0 },
    { "NaN", STELE__NUMBER_NONE, 0 },
    { "Infinity", STELE__NUMBER_NONE, 0 },
    { "inf", STELE__NUMBER_NONE, 0 },
};

START_TEST(text_is_read_as_the_nearest_double_or_not_at_all)
{
    double value = 77;
    stele__number verdict = stele__double_read(texts[_i].text, strlen(texts[_i].text), &value);

    ck_assert_msg(verdict == texts[_i].verdict, "%s: %d", texts[_i].text, (int)verdict);
    double expected = verdict == STELE__NUMBER_OK ? texts[_i].value : 77;
    ck_assert_msg(bits_of(value) == bits_of(expected), "%s: %a", texts[_i].text, value);
}
END_TEST

static const struct {
    const char *text;
    stele__number verdict;
    float value;
} float_texts[] = {
    { "0.1", STELE__NUMBER_OK, 0.1f },
    { "16777217", STELE__NUMBER_OK, 16777216.0f },
    { "16777219", STELE__NUMBER_OK, 16777220.0f },
    /* rounded to a double first, these would be halfway */
    { "16777217.0000000001", STELE__NUMBER_OK, 16777218.0f },
    { "1.00000005960464477540", STELE__NUMBER_OK, 0x1.000002p+0f },
    { "1.00000005960464477539", STELE__NUMBER_OK, 1.0f },
    { "1.000000059604644775390625", STELE__NUMBER_OK, 1.0f },
    { "1.00000017881393432617187499", STELE__NUMBER_OK, 0x1.000002p+0f },
    { "1.00000017881393432617187500", STELE__NUMBER_OK, 0x1.000004p+0f },
    { "3.4028235e38", STELE__NUMBER_OK, FLT_MAX },
    { "3.40282356e38", STELE__NUMBER_OK, FLT_MAX },
    { "3.4028236e38", STELE__NUMBER_BEYOND, 0 },
    { "1e39", STELE__NUMBER_BEYOND, 0 },
    { "1e300", STELE__NUMBER_BEYOND, 0 },
    { "1e-45", STELE__NUMBER_OK, 0x1p-149f },
    { "7e-46", STELE__NUMBER_BEYOND, 0 },
    { "1e-300", STELE__NUMBER_BEYOND, 0 },
    { "-0", STELE__NUMBER_OK, -0.0f },
    { "1f", STELE__NUMBER_NONE, 0 },
};

START_TEST(text_is_read_as_the_nearest_float_without_a_detour)
{
    float value = 77;
    stele__number verdict =
        stele__float_read(float_texts[_i].text, strlen(float_texts[_i].text), &value);

    ck_assert_msg(verdict == float_texts[_i].verdict, "%s: %d", float_texts[_i].text, (int)verdict);
    float expected = verdict == STELE__NUMBER_OK ? float_texts[_i].value : 77;
    ck_assert_msg(float_bits_of(value) == float_bits_of(expected), "%s: %a", float_texts[_i].text,
                  (double)value);
}
END_TEST

static const struct {
    const char *text;
    stele__number verdict;
    bool negative;
    uint64_t magnitude;
} integers[] = {
    { "0", STELE__NUMBER_OK, false, 0 },
    { "-0", STELE__NUMBER_OK, true, 0 },
    { "12", STELE__NUMBER_OK, false, 12 },
    { "18446744073709551615", STELE__NUMBER_OK, false, UINT64_MAX },
    { "-18446744073709551615", STELE__NUMBER_OK, true, UINT64_MAX },
    { "18446744073709551616", STELE__NUMBER_BEYOND, false, 0 },
    { "18446744073709551620", STELE__NUMBER_BEYOND, false, 0 },
    { "100000000000000000000000000000000000000000000", STELE__NUMBER_BEYOND, false, 0 },
    { "184467440737095516160", STELE__NUMBER_BEYOND, false, 0 },
    { "18446744073709551616x", STELE__NUMBER_NONE, false, 0 },
    { "", STELE__NUMBER_NONE, false, 0 },
    { "-", STELE__NUMBER_NONE, false, 0 },
    { "+1", STELE__NUMBER_NONE, false, 0 },
    { "01", STELE__NUMBER_NONE, false, 0 },
    { "-00", STELE__NUMBER_NONE, false, 0 },
    { "1.0", STELE__NUMBER_NONE, false, 0 },
    { "1e3", STELE__NUMBER_NONE, false, 0 },
    { "--1", STELE__NUMBER_NONE, false, 0 },
};

START_TEST(integer_is_read_in_its_one_form_and_up_to_64_bits)
{
    bool negative = false;
    uint64_t magnitude = 77;
    stele__number verdict =
        stele__integer_read(integers[_i].text, strlen(integers[_i].text), &negative, &magnitude);

    ck_assert_msg(verdict == integers[_i].verdict, "%s: %d", integers[_i].text, (int)verdict);
    ck_assert_uint_eq(magnitude, verdict == STELE__NUMBER_OK ? integers[_i].magnitude : 77);
    ck_assert_int_eq(negative, integers[_i].negative);
}
END_TEST

static double read_or_die(const char *text, size_t size)
{
    double value = 77;
    stele__number verdict = stele__double_read(text, size, &value);
    ck_assert_msg(verdict == STELE__NUMBER_OK, "%.60s: %d", text, (int)verdict);
    return value;
}

/* Whatever its length, each digit of a text counts. */
START_TEST(a_million_digits_are_read_to_the_last)
{
    enum { COUNT = 1000000 };
    char *text = malloc(COUNT + 64);
    ck_assert_ptr_nonnull(text);

    /* halfway between 1 and its neighbour, and a little more */
    static const char halfway[] = "1.00000000000000011102230246251565404236316680908203125";
    memcpy(text, halfway, sizeof halfway - 1);
    memset(text + sizeof halfway - 1, '0', COUNT);
    ck_assert(read_or_die(text, COUNT) == 1.0);
    text[COUNT - 1] = '1';
    ck_assert(read_or_die(text, COUNT) == 0x1.0000000000001p+0);
    ck_assert(read_or_die(text, COUNT - 1) == 1.0);

    memset(text, '0', COUNT);
    text[1] = '.';
    memcpy(text + COUNT, "17e1000000", 11);
    ck_assert(read_or_die(text, COUNT + 10) == 17.0);

    memset(text, '0', COUNT);
    text[0] = '3';
    memcpy(text + COUNT, "e-999999", 9);
    ck_assert(read_or_die(text, COUNT + 8) == 3.0);

    memset(text, '9', COUNT);
    double value = 77;
    ck_assert_int_eq(stele__double_read(text, COUNT, &value), STELE__NUMBER_BEYOND);
    text[0] = '1';
    text[1] = 'e';
    ck_assert_int_eq(stele__double_read(text, COUNT, &value), STELE__NUMBER_BEYOND);
    free(text);
}
END_TEST

/* Where the largest double ends, and where 0 begins. */
START_TEST(halfway_to_infinity_is_beyond_and_halfway_to_0_too)
{
    static const char to_infinity[] = /* 2^1024 - 2^970 */
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017"
        "977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273"
        "854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704"
        "342711559699508093042880177904174497792";
    static const char almost[] =
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017"
        "977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273"
        "854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704"
        "342711559699508093042880177904174497791";
    double value = 77;
    ck_assert_int_eq(stele__double_read(to_infinity, sizeof to_infinity - 1, &value),
                     STELE__NUMBER_BEYOND);
    ck_assert_int_eq(stele__double_read(almost, sizeof almost - 1, &value), STELE__NUMBER_OK);
    ck_assert(value == DBL_MAX);

    /* 2^-1075 is 2.470328229206232720... */
    ck_assert_int_eq(stele__double_read("2.4703282292062327e-324", 23, &value),
                     STELE__NUMBER_BEYOND);
    ck_assert_int_eq(stele__double_read("2.4703282292062328e-324", 23, &value), STELE__NUMBER_OK);
    ck_assert(value == 0x1p-1074);
    ck_assert(strtod("2.4703282292062328e-324", NULL) == value);
}
END_TEST

/* Surroundings */

static void write_all(char *out, size_t capacity)
{
    size_t used = 0;
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
        char text[STELE__NUMBER_SIZE];
        double back = 1;
        size_t size = stele__double_write(written[i].value, text);
        ck_assert_int_eq(stele__double_read(text, size, &back), STELE__NUMBER_OK);
        ck_assert_msg(bits_of(back) == bits_of(written[i].value), "%s", text);
        used += (size_t)snprintf(out + used, capacity - used, "%s ", text);
        ck_assert_uint_lt(used, capacity);
    }
}

/* A program that computes in another mode still stores what all others read. */
START_TEST(the_rounding_mode_plays_no_part)
{
    static const int modes[] = { FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
    char usual[2000];
    char text[2000];
    write_all(usual, sizeof usual);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        ck_assert_int_eq(fesetround(modes[i]), 0);
        write_all(text, sizeof text);
        double tenth = 0;
        stele__number verdict = stele__double_read("0.1", 3, &tenth);
        ck_assert_int_eq(fesetround(FE_TONEAREST), 0);
        ck_assert_str_eq(text, usual);
        ck_assert_int_eq(verdict, STELE__NUMBER_OK);
        ck_assert_uint_eq(bits_of(tenth), UINT64_C(0x3fb999999999999a));
    }
}
END_TEST

START_TEST(the_locale_plays_no_part_in_numbers)
{
    char usual[2000];
    char text[2000];
    write_all(usual, sizeof usual);
    if (!enter_comma_locale())
        skip_test("no locale with a decimal comma can be made");
    char control[16];
    snprintf(control, sizeof control, "%.1f", 1.5);

    write_all(text, sizeof text);
    double value = 77;
    stele__number comma = stele__double_read("1,5", 3, &value);
    leave_comma_locale();

    ck_assert_str_eq(control, "1,5");
    ck_assert_str_eq(text, usual);
    ck_assert_int_eq(comma, STELE__NUMBER_NONE);
}
END_TEST

static Suite *number_suite(void)
{
    Suite *suite = suite_create("number");

    TCase *writing = tcase_create("writing");
    tcase_add_loop_test(writing, double_is_written_in_the_fewest_digits_that_are_read_back, 0,
                        (int)(sizeof written / sizeof written[0]));
    tcase_add_loop_test(writing, float_is_written_in_the_fewest_digits_of_its_own, 0,
                        (int)(sizeof floats_written / sizeof floats_written[0]));
    tcase_add_test(writing, integer_is_written_in_full);
    suite_add_tcase(suite, writing);

    TCase *reading = tcase_create("reading");
    tcase_add_loop_test(reading, text_is_read_as_the_nearest_double_or_not_at_all, 0,
                        (int)(sizeof texts / sizeof texts[0]));
    tcase_add_loop_test(reading, text_is_read_as_the_nearest_float_without_a_detour, 0,
                        (int)(sizeof float_texts / sizeof float_texts[0]));
    tcase_add_loop_test(reading, integer_is_read_in_its_one_form_and_up_to_64_bits, 0,
                        (int)(sizeof integers / sizeof integers[0]));
    tcase_add_test(reading, a_million_digits_are_read_to_the_last);
    tcase_add_test(reading, halfway_to_infinity_is_beyond_and_halfway_to_0_too);
    suite_add_tcase(suite, reading);

    TCase *surroundings = tcase_create("surroundings");
    tcase_add_checked_fixture(surroundings, NULL, remove_test_folder);
    tcase_add_test(surroundings, the_rounding_mode_plays_no_part);
    tcase_add_test(surroundings, the_locale_plays_no_part_in_numbers);
    suite_add_tcase(suite, surroundings);
    return suite;
}

int main(void)
{
    return run_suite(number_suite());
}
