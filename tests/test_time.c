/* Times as text: the calendar, what is written, and what is refused. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <stele/jsonl.h>

#include "support.h"

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)

static stele_status parse(const char *text, int64_t *time_out)
{
    return stele_time_parse(text, strlen(text), time_out);
}

static void assert_written(int64_t time, const char *expected)
{
    char text[STELE_TIME_SIZE];
    stele_time_format(time, text);
    ck_assert_str_eq(text, expected);
}

static void assert_read(const char *text, int64_t expected)
{
    int64_t time = 12345;
    ck_assert_msg(parse(text, &time) == STELE_OK, "'%s' was refused: %s", text, stele_error_text());
    ck_assert_msg(time == expected, "'%s' is %" PRId64 ", not %" PRId64, text, time, expected);
}

static void assert_refused(const char *text, const char *reason)
{
    int64_t time = 12345;
    ck_assert_msg(parse(text, &time) == STELE_INVALID, "'%s' was read", text);
    ck_assert_int_eq(time, 12345);
    ck_assert_msg(strstr(stele_error_text(), reason) != NULL, "'%s': %s", text, stele_error_text());
}

static const struct {
    int64_t time;
    const char *text;
} known_times[] = {
    { 0, "1970-01-01T00:00:00Z" },
    { 1, "1970-01-01T00:00:00.000001Z" },
    { -1, "1969-12-31T23:59:59.999999Z" },
    { 500000, "1970-01-01T00:00:00.5Z" },
    { 120000, "1970-01-01T00:00:00.12Z" },
    { SECOND, "1970-01-01T00:00:01Z" },
    { -SECOND, "1969-12-31T23:59:59Z" },
    { DAY - 1, "1970-01-01T23:59:59.999999Z" },
    { INT64_C(951782399) * SECOND, "2000-02-28T23:59:59Z" },
    { INT64_C(951782400) * SECOND, "2000-02-29T00:00:00Z" },
    { INT64_C(951868800) * SECOND, "2000-03-01T00:00:00Z" },
    { INT64_C(1234567890) * SECOND + 123456, "2009-02-13T23:31:30.123456Z" },
    { INT64_C(1709251199) * SECOND, "2024-02-29T23:59:59Z" },
    { INT64_C(2147483647) * SECOND, "2038-01-19T03:14:07Z" },
    { INT64_C(4107542399) * SECOND, "2100-02-28T23:59:59Z" },
    { INT64_C(4107542400) * SECOND, "2100-03-01T00:00:00Z" },
    { INT64_C(-2203977600) * SECOND, "1900-02-28T00:00:00Z" },
    { INT64_C(-2203891200) * SECOND, "1900-03-01T00:00:00Z" },
    { INT64_C(-62135596800) * SECOND, "0001-01-01T00:00:00Z" },
    { INT64_C(-62167219200) * SECOND, "0000-01-01T00:00:00Z" },
    { INT64_C(-62162121600) * SECOND, "0000-02-29T00:00:00Z" },
    { INT64_C(253402300800) * SECOND - 1, "9999-12-31T23:59:59.999999Z" },
};

START_TEST(known_times_are_written_and_read)
{
    assert_written(known_times[_i].time, known_times[_i].text);
    assert_read(known_times[_i].text, known_times[_i].time);
}
END_TEST

/* The calendar, counted up one day after the other, against the arithmetic. */
START_TEST(every_day_of_the_ten_thousand_years_is_right)
{
    static const int sizes[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t time = INT64_C(-62167219200) * SECOND;
    char expected[STELE_TIME_SIZE * 2];
    char text[STELE_TIME_SIZE];

    for (int year = 0; year < 10000; year++) {
        int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 1 : 0;
        for (int month = 1; month <= 12; month++) {
            int size = sizes[month - 1] + (month == 2 ? leap : 0);
            for (int day = 1; day <= size; day++, time += DAY) {
                snprintf(expected, sizeof(expected), "%04d-%02d-%02dT00:00:00Z", year, month, day);
                stele_time_format(time, text);
                int64_t read = 0;
                if (strcmp(text, expected) != 0 || parse(text, &read) != STELE_OK || read != time)
                    ck_abort_msg("%s was written %s, read %" PRId64, expected, text, read);
            }
            snprintf(expected, sizeof(expected), "%04d-%02d-%02dT00:00:00Z", year, month, size + 1);
            int64_t none = 0;
            ck_assert_int_eq(parse(expected, &none), STELE_INVALID);
        }
    }
    ck_assert_int_eq(time, INT64_C(253402300800) * SECOND);
}
END_TEST

START_TEST(any_time_comes_back_from_its_text)
{
    uint64_t state = UINT64_C(0x9E3779B97F4A7C15);
    const int64_t first = INT64_C(-62167219200) * SECOND;
    const uint64_t span = (uint64_t)(INT64_C(253402300800) * SECOND - first);

    for (int i = 0; i < 200000; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        int64_t time = first + (int64_t)(state % span);
        if (i % 3 == 0)
            time -= time % (i % 2 == 0 ? 1000 : SECOND);
        char text[STELE_TIME_SIZE];
        stele_time_format(time, text);
        int64_t read = time + 1;
        if (parse(text, &read) != STELE_OK || read != time)
            ck_abort_msg("%" PRId64 " was written %s, read %" PRId64, time, text, read);
    }
}
END_TEST

/* Written so that nothing is lost or mistaken, but no RFC 3339 any more. */
START_TEST(a_time_beyond_four_digits_of_years_is_written_with_sign_and_six)
{
    assert_written(INT64_C(253402300800) * SECOND, "+010000-01-01T00:00:00Z");
    assert_written(INT64_C(-62167219200) * SECOND - 1, "-000001-12-31T23:59:59.999999Z");
    assert_written(INT64_MAX, "+294247-01-10T04:00:54.775807Z");
    assert_written(INT64_MIN, "-290308-12-21T19:59:05.224192Z");

    assert_refused("+010000-01-01T00:00:00Z", "form");
    assert_refused("-000001-12-31T23:59:59.999999Z", "form");
    assert_refused("10000-01-01T00:00:00Z", "form");
}
END_TEST

START_TEST(offsets_and_lower_case_are_read)
{
    const int64_t noon = INT64_C(1709208000) * SECOND; /* 2024-02-29T12:00:00Z */
    assert_read("2024-02-29T12:00:00Z", noon);
    assert_read("2024-02-29t12:00:00z", noon);
    assert_read("2024-02-29T12:00:00+00:00", noon);
    assert_read("2024-02-29T12:00:00-00:00", noon);
    assert_read("2024-02-29T14:30:00+02:30", noon);
    assert_read("2024-02-29T07:00:00-05:00", noon);
    assert_read("2024-03-01T11:59:00+23:59", noon);
    assert_read("2024-02-28T12:01:00-23:59", noon);
    assert_read("2024-03-01T00:00:00+12:00", noon);
}
END_TEST

START_TEST(a_fraction_may_have_any_digits_that_a_microsecond_holds)
{
    assert_read("1970-01-01T00:00:00.0Z", 0);
    assert_read("1970-01-01T00:00:00.000000Z", 0);
    assert_read("1970-01-01T00:00:00.1234560000000000000000000000000000000000000000000Z", 123456);
    assert_read("1969-12-31T23:59:59.9Z", -100000);
    assert_read("1970-01-01T01:00:00.25+01:00", 250000);

    assert_refused("1970-01-01T00:00:00.0000001Z", "finer than a microsecond");
    assert_refused("1970-01-01T00:00:00.1234567Z", "finer than a microsecond");
    assert_refused("1970-01-01T00:00:00.12345600000000000000000000000001Z", "finer");
    assert_refused("1970-01-01T00:00:00.Z", "form");
    assert_refused("1970-01-01T00:00:00,5Z", "form");
}
END_TEST

START_TEST(what_no_calendar_or_clock_shows_is_refused_by_name)
{
    assert_refused("2024-00-01T00:00:00Z", "no such month");
    assert_refused("2024-13-01T00:00:00Z", "no such month");
    assert_refused("2024-01-00T00:00:00Z", "no such day");
    assert_refused("2024-01-32T00:00:00Z", "no such day");
    assert_refused("2024-04-31T00:00:00Z", "no such day");
    assert_refused("2023-02-29T00:00:00Z", "no such day");
    assert_refused("1900-02-29T00:00:00Z", "no such day");
    assert_refused("2024-01-01T24:00:00Z", "no such hour");
    assert_refused("2024-01-01T00:60:00Z", "no such minute");
    assert_refused("2016-12-31T23:59:60Z", "leap second");
    assert_refused("2024-01-01T00:00:61Z", "no such second");
    assert_refused("2024-01-01T00:00:00+24:00", "no such offset");
    assert_refused("2024-01-01T00:00:00+00:60", "no such offset");
    assert_refused("0000-01-01T00:00:00+00:01", "outside the years");
    assert_refused("9999-12-31T23:59:59.999999-00:01", "outside the years");
}
END_TEST

static const char *const malformed[] = {
    "",
    "Z",
    "now",
    "2024",
    "2024-01-01",
    "2024-01-01T00:00:00",
    "2024-01-01 00:00:00Z",
    "2024-01-01_00:00:00Z",
    "2024-01-01T00:00Z",
    "2024-1-01T00:00:00Z",
    "2024-01-01T0:00:00Z",
    "24-01-01T00:00:00Z",
    "02024-01-01T00:00:00Z",
    "-2024-01-01T00:00:00Z",
    "20240101T000000Z",
    "2024-001T00:00:00Z",
    "2024-01-01T00:00:00 Z",
    " 2024-01-01T00:00:00Z",
    "2024-01-01T00:00:00Z ",
    "2024-01-01T00:00:00ZZ",
    "2024-01-01T00:00:00+0100",
    "2024-01-01T00:00:00+01",
    "2024-01-01T00:00:00+1:00",
    "2024-01-01T00:00:00\xE2\x88\x92"
    "01:00",
    "2024-01-01T00:00:00+01:00Z",
    "2024-01-01T-1:00:00Z",
    "2024-01-01T+1:00:00Z",
    "2024/01/01T00:00:00Z",
    "2024-01-01T00.00.00Z",
    "\xEF\xBC\x92"
    "024-01-01T00:00:00Z",
};

START_TEST(what_has_another_form_is_refused)
{
    assert_refused(malformed[_i], "form");
}
END_TEST

/* A time must be recognised without the byte after it, and refused when any byte of it is missing.
 * The copy has nothing behind it, so that a sanitizer sees what is read beyond. */
START_TEST(a_part_of_a_time_is_refused_without_reading_beyond_it)
{
    const char *const whole = "2024-02-29T12:34:56.789012+01:30";
    for (size_t size = 0; size < strlen(whole); size++) {
        char *copy = malloc(size > 0 ? size : 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, whole, size);
        int64_t time = 0;
        ck_assert_int_eq(stele_time_parse(copy, size, &time), STELE_INVALID);
        free(copy);
    }
    ck_assert_int_eq(stele_time_parse("2024-02-29T12:34:56Z\0", 21, &(int64_t){ 0 }),
                     STELE_INVALID);
}
END_TEST

START_TEST(a_null_is_misuse)
{
    int64_t time = 0;
    ck_assert_int_eq(stele_time_parse(NULL, 0, &time), STELE_MISUSE);
    ck_assert_int_eq(stele_time_parse("", 0, NULL), STELE_MISUSE);
    stele_time_format(0, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("time");
    TCase *written = tcase_create("written");
    tcase_add_loop_test(written, known_times_are_written_and_read, 0,
                        (int)(sizeof(known_times) / sizeof(known_times[0])));
    tcase_add_test(written, every_day_of_the_ten_thousand_years_is_right);
    tcase_add_test(written, any_time_comes_back_from_its_text);
    tcase_add_test(written, a_time_beyond_four_digits_of_years_is_written_with_sign_and_six);
    suite_add_tcase(suite, written);

    TCase *read = tcase_create("read");
    tcase_add_test(read, offsets_and_lower_case_are_read);
    tcase_add_test(read, a_fraction_may_have_any_digits_that_a_microsecond_holds);
    tcase_add_test(read, what_no_calendar_or_clock_shows_is_refused_by_name);
    tcase_add_loop_test(read, what_has_another_form_is_refused, 0,
                        (int)(sizeof(malformed) / sizeof(malformed[0])));
    tcase_add_test(read, a_part_of_a_time_is_refused_without_reading_beyond_it);
    tcase_add_test(read, a_null_is_misuse);
    suite_add_tcase(suite, read);
    return run_suite(suite);
}
