/* What a token means: decoded text, comparison, integers; and quoting, the way back. */
#include <stele/json.h>

#include "comma_locale.h"
#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first token of `text`, which stays borrowed. */
static stele_json_token read_first(stele_json_reader *reader, const char *text)
{
    stele_json_token token = { 0 };
    if (stele_json_reset(reader, text, strlen(text)) != STELE_OK
        || stele_json_next(reader, &token) != STELE_OK)
        ck_abort_msg("'%s': %s", text, stele_error_text());
    return token;
}

static stele_json_token read_text(const char *text)
{
    stele_json_reader *reader = NULL;
    ck_assert_int_eq(stele_json_open(NULL, 0, NULL, &reader), STELE_OK);
    stele_json_token token = read_first(reader, text);
    stele_json_close(reader);
    return token;
}

static const struct {
    const char *written;
    const char *decoded;
} strings[] = {
    { "\"\"", "" },
    { "\"plain\"", "plain" },
    { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
    { "\"a\\u0062c\"", "abc" },
    { "\"\\u0001\\u007f\\u0080\\u07FF\"", "\x01\x7F\xC2\x80\xDF\xBF" },
    { "\"\\u0800\\ud7ff\\ue000\\uFFFF\"", "\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF" },
    { "\"\\ud800\\udc00\"", "\xF0\x90\x80\x80" },
    { "\"<\\uD83D\\uDE00>\"", "<\xF0\x9F\x98\x80>" },
    { "\"\\udbff\\udfff\"", "\xF4\x8F\xBF\xBF" },
    { "\"\xE2\x82\xAC\\u20ac\xE2\x82\xAC\"", "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC" },
    { "\"\\\\u0041\"", "\\u0041" },
};

START_TEST(text_resolves_escapes_and_joins_surrogate_pairs)
{
    stele_json_token token = read_text(strings[_i].written);
    char buffer[64];
    size_t size = 0;

    ck_assert_int_eq(stele_json_text(&token, buffer, sizeof buffer, &size), STELE_OK);
    ck_assert_str_eq(buffer, strings[_i].decoded);
    ck_assert_uint_eq(size, strlen(strings[_i].decoded));
    ck_assert(stele_json_equals(&token, strings[_i].decoded));
    ck_assert_int_eq(token.escaped, strchr(strings[_i].written, '\\') != NULL);
}
END_TEST

/* Nothing is cut: the buffer holds all of it or nothing, and the size says what to provide. */
START_TEST(text_that_does_not_fit_is_too_large_and_says_how_much_it_needs)
{
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        stele_json_token token = read_text(strings[i].written);
        size_t needed = strlen(strings[i].decoded) + 1;
        for (size_t capacity = 0; capacity <= needed; capacity++) {
            char *buffer = malloc(capacity + 1);
            ck_assert_ptr_nonnull(buffer);
            memset(buffer, '?', capacity + 1);
            size_t size = 0;
            stele_status status =
                stele_json_text(&token, capacity == 0 ? NULL : buffer, capacity, &size);

            ck_assert_int_eq(status, capacity < needed ? STELE_TOO_LARGE : STELE_OK);
            ck_assert_uint_eq(size + 1, needed);
            ck_assert_int_eq(buffer[capacity], '?');
            if (capacity > 0)
                ck_assert_str_eq(buffer, capacity < needed ? "" : strings[i].decoded);
            ck_assert_uint_le(needed, token.size + 1);
            free(buffer);
        }
    }
}
END_TEST

START_TEST(text_of_another_kind_or_null_is_misuse)
{
    stele_json_token token = read_text("12");
    char buffer[8] = "before";
    ck_assert_int_eq(stele_json_text(&token, buffer, sizeof buffer, NULL), STELE_MISUSE);
    ck_assert_str_eq(buffer, "");
    ck_assert_int_eq(stele_json_text(NULL, buffer, sizeof buffer, NULL), STELE_MISUSE);
    token = read_text("\"a\"");
    ck_assert_int_eq(stele_json_text(&token, NULL, 8, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_json_text(&token, buffer, sizeof buffer, NULL), STELE_OK);
    ck_assert_str_eq(buffer, "a");
}
END_TEST

/* A token is a plain struct, so callers can get it wrong; that must not read beyond it. */
START_TEST(text_of_a_made_up_token_with_a_broken_escape_is_invalid)
{
    static const char *const broken[] = { "\\", "a\\u", "\\u12", "\\q", "\\u0000", "\\ud800" };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        stele_json_token token = { .kind = STELE_JSON_STRING, .escaped = true };
        token.text = broken[i];
        token.size = strlen(broken[i]);
        char buffer[16];
        ck_assert_int_eq(stele_json_text(&token, buffer, sizeof buffer, NULL), STELE_INVALID);
        ck_assert_str_eq(buffer, "");
        ck_assert(!stele_json_equals(&token, broken[i]));
        int64_t value = 0;
        ck_assert_int_eq(stele_json_int64(&token, &value), STELE_INVALID);
    }
}
END_TEST

START_TEST(equals_compares_the_decoded_text_whole)
{
    stele_json_token token = read_text("\"ab\\u0063\"");
    ck_assert(stele_json_equals(&token, "abc"));
    ck_assert(!stele_json_equals(&token, "ab"));
    ck_assert(!stele_json_equals(&token, "abcd"));
    ck_assert(!stele_json_equals(&token, "abC"));
    ck_assert(!stele_json_equals(&token, ""));
    ck_assert(!stele_json_equals(&token, "ab\\u0063"));
    ck_assert(!stele_json_equals(&token, NULL));
    ck_assert(!stele_json_equals(NULL, "abc"));

    token = read_text("\"abc\"");
    ck_assert(stele_json_equals(&token, "abc"));
    ck_assert(!stele_json_equals(&token, "ab"));
    ck_assert(!stele_json_equals(&token, "abcd"));
    token = read_text("true");
    ck_assert(!stele_json_equals(&token, "true"));
}
END_TEST

static const struct {
    const char *text;
    stele_status status;
    int64_t value;
} integers[] = {
    { "0", STELE_OK, 0 },
    { "-0", STELE_OK, 0 },
    { "-1", STELE_OK, -1 },
    { "9007199254740991", STELE_OK, INT64_C(9007199254740991) },
    { "-9007199254740991", STELE_OK, -INT64_C(9007199254740991) },
    { "\"0\"", STELE_OK, 0 },
    { "\"-42\"", STELE_OK, -42 },
    { "\"\\u0031\\u0032\"", STELE_OK, 12 },
    { "\"9007199254740993\"", STELE_OK, INT64_C(9007199254740993) },
    { "\"9223372036854775807\"", STELE_OK, INT64_MAX },
    { "\"-9223372036854775807\"", STELE_OK, -INT64_MAX },
    { "\"-9223372036854775808\"", STELE_OK, INT64_MIN },
    /* a reader of doubles would round these */
    { "9007199254740992", STELE_PRECISION, 0 },
    { "-9007199254740992", STELE_PRECISION, 0 },
    { "9007199254740993", STELE_PRECISION, 0 },
    { "1491926160718000000", STELE_PRECISION, 0 },
    { "-9223372036854775808", STELE_PRECISION, 0 },
    { "18446744073709551616", STELE_PRECISION, 0 },
    { "1234567890123456789012345678901234567890", STELE_PRECISION, 0 },
    /* no integers as written */
    { "1.0", STELE_INVALID, 0 },
    { "1e3", STELE_INVALID, 0 },
    { "1e400", STELE_INVALID, 0 },
    { "9007199254740993.5", STELE_INVALID, 0 },
    { "\"\"", STELE_INVALID, 0 },
    { "\"-\"", STELE_INVALID, 0 },
    { "\"+1\"", STELE_INVALID, 0 },
    { "\" 1\"", STELE_INVALID, 0 },
    { "\"1 \"", STELE_INVALID, 0 },
    { "\"007\"", STELE_INVALID, 0 },
    { "\"-01\"", STELE_INVALID, 0 },
    { "\"1.0\"", STELE_INVALID, 0 },
    { "\"0x10\"", STELE_INVALID, 0 },
    { "\"1,000\"", STELE_INVALID, 0 },
    { "\"one\"", STELE_INVALID, 0 },
    { "\"\xD9\xA1\"", STELE_INVALID, 0 },
    { "\"\\u0031\\n\"", STELE_INVALID, 0 },
    /* beyond 64 bits */
    { "\"9223372036854775808\"", STELE_INVALID, 0 },
    { "\"-9223372036854775809\"", STELE_INVALID, 0 },
    { "\"18446744073709551615\"", STELE_INVALID, 0 },
    { "\"18446744073709551617\"", STELE_INVALID, 0 },
    { "\"1000000000000000000000000000000000000000000000000\"", STELE_INVALID, 0 },
    { "\"\\u0031000000000000000000000000000000000000000000000\"", STELE_INVALID, 0 },
    /* other kinds */
    { "true", STELE_INVALID, 0 },
    { "null", STELE_INVALID, 0 },
    { "[1]", STELE_INVALID, 0 },
};

/* Exactly or not at all: a rounded amount is worse than none. */
START_TEST(int64_reads_an_integer_exactly_or_not_at_all)
{
    stele_json_token token = read_text(integers[_i].text);
    int64_t value = 77;

    stele_status status = stele_json_int64(&token, &value);

    ck_assert_msg(status == integers[_i].status, "%s: %d", integers[_i].text, (int)status);
    ck_assert_int_eq(value, status == STELE_OK ? integers[_i].value : 77);
}
END_TEST

START_TEST(int64_of_null_is_misuse)
{
    stele_json_token token = read_text("1");
    int64_t value = 0;
    ck_assert_int_eq(stele_json_int64(NULL, &value), STELE_MISUSE);
    ck_assert_int_eq(stele_json_int64(&token, NULL), STELE_MISUSE);
}
END_TEST

START_TEST(quote_uses_the_shortest_escapes_and_keeps_the_rest)
{
    static const char text[] =
        "a\"b\\c/\b\f\n\r\t\x01\x1F\x7F\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80'";
    static const char expected[] = "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7F"
                                   "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80'\"";
    char buffer[64];

    ck_assert_uint_eq(stele_json_quote(text, sizeof text - 1, buffer, sizeof buffer),
                      sizeof expected - 1);
    ck_assert_str_eq(buffer, expected);
    ck_assert_uint_eq(stele_json_quote(NULL, 0, buffer, sizeof buffer), 2);
    ck_assert_str_eq(buffer, "\"\"");
}
END_TEST

START_TEST(quote_writes_all_or_nothing_and_says_how_much_it_needs)
{
    static const char text[] = "a\n\x01 and \xE2\x82\xAC";
    size_t needed = stele_json_quote(text, sizeof text - 1, NULL, 0);
    ck_assert_uint_eq(needed, 19);

    for (size_t capacity = 1; capacity <= needed + 2; capacity++) {
        char *buffer = malloc(capacity);
        ck_assert_ptr_nonnull(buffer);
        ck_assert_uint_eq(stele_json_quote(text, sizeof text - 1, buffer, capacity), needed);
        ck_assert_uint_eq(strlen(buffer), needed < capacity ? needed : 0);
        free(buffer);
    }
}
END_TEST

START_TEST(quote_refuses_what_no_json_string_can_hold)
{
    char buffer[32];
    ck_assert_uint_eq(stele_json_quote("ab\0c", 4, buffer, sizeof buffer), 0);
    ck_assert_str_eq(stele_error_text(), "NUL at byte 2 can't be quoted");
    ck_assert_str_eq(buffer, "");
    ck_assert_uint_eq(stele_json_quote("ab\xE4", 3, buffer, sizeof buffer), 0);
    ck_assert_str_eq(stele_error_text(), "invalid UTF-8 at byte 2 can't be quoted");
    ck_assert_uint_eq(stele_json_quote("\xED\xA0\x80", 3, buffer, sizeof buffer), 0);
    ck_assert_uint_eq(stele_json_quote(NULL, 1, buffer, sizeof buffer), 0);
    ck_assert_uint_eq(stele_json_quote("a", 1, NULL, 1), 0);
    ck_assert_uint_eq(stele_json_quote("a", SIZE_MAX, NULL, 0), 0);
}
END_TEST

/* Encode a code point on its own terms, not the library's. */
static size_t encode(unsigned code, char utf8_out[5])
{
    static const unsigned char leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size; i-- > 1; code >>= 6)
        utf8_out[i] = (char)(0x80 | (code & 0x3f));
    utf8_out[0] = (char)(leads[size] | code);
    utf8_out[size] = '\0';
    return size;
}

static void expect_round_trip(stele_json_reader *reader, const char *text, size_t size)
{
    char quoted[64];
    char decoded[64];
    size_t decoded_size = 0;
    size_t quoted_size = stele_json_quote(text, size, quoted, sizeof quoted);
    stele_json_token token = read_first(reader, quoted);
    stele_status status = stele_json_text(&token, decoded, sizeof decoded, &decoded_size);

    if (quoted_size != token.size + 2 || status != STELE_OK || decoded_size != size
        || memcmp(decoded, text, size) != 0 || stele_json_next(reader, &token) != STELE_DONE)
        ck_abort_msg("'%s' became %s and '%s'", text, quoted, decoded);
}

/* Quoted, read and decoded, every character comes back; also from its \u form, in either case. */
START_TEST(every_code_point_survives_quoting_and_decoding)
{
    stele_json_reader *reader = NULL;
    ck_assert_int_eq(stele_json_open(NULL, 0, NULL, &reader), STELE_OK);

    for (unsigned code = 1; code <= 0x10ffff; code = code == 0xd7ff ? 0xe000 : code + 1) {
        char utf8[5];
        expect_round_trip(reader, utf8, encode(code, utf8));

        char written[32];
        unsigned above = code - 0x10000;
        if (code >= 0x10000)
            snprintf(written, sizeof written, "\"\\u%04x\\u%04X\"", 0xd800 + above / 0x400,
                     0xdc00 + above % 0x400);
        else if (code % 2 == 0)
            snprintf(written, sizeof written, "\"\\u%04x\"", code);
        else
            snprintf(written, sizeof written, "\"\\u%04X\"", code);
        stele_json_token token = read_first(reader, written);
        if (!stele_json_equals(&token, utf8))
            ck_abort_msg("%s is not '%s'", written, utf8);
    }
    stele_json_close(reader);
}
END_TEST

/* In a locale with a decimal comma, the grammar of numbers is the same. */
START_TEST(the_locale_plays_no_part)
{
    if (!enter_comma_locale())
        skip_test("no locale with a decimal comma can be made");

    stele_json_token token = read_text("-1234567.25");
    int64_t value = 0;
    ck_assert_uint_eq(token.size, 11);
    ck_assert_int_eq(stele_json_check("1,5", 3, NULL), STELE_INVALID);
    token = read_text("1234567");
    ck_assert_int_eq(stele_json_int64(&token, &value), STELE_OK);
    ck_assert_int_eq(value, 1234567);
    token = read_text("\"1.234.567\"");
    ck_assert_int_eq(stele_json_int64(&token, &value), STELE_INVALID);

    /* no letter and no space of this locale's, either */
    char quoted[32];
    ck_assert_int_eq(stele_json_check("\xC2\xA0"
                                      "1",
                                      3, NULL),
                     STELE_INVALID);
    ck_assert_uint_eq(stele_json_quote("\xC3\x84 1,5\n", 7, quoted, sizeof quoted), 10);
    ck_assert_str_eq(quoted, "\"\xC3\x84 1,5\\n\"");
    token = read_text("\"\\u00c4 1,5\"");
    ck_assert(stele_json_equals(&token, "\xC3\x84 1,5"));
    leave_comma_locale();
}
END_TEST

static Suite *json_text_suite(void)
{
    Suite *suite = suite_create("json_text");

    TCase *text = tcase_create("text");
    tcase_add_loop_test(text, text_resolves_escapes_and_joins_surrogate_pairs, 0,
                        (int)(sizeof strings / sizeof strings[0]));
    tcase_add_test(text, text_that_does_not_fit_is_too_large_and_says_how_much_it_needs);
    tcase_add_test(text, text_of_another_kind_or_null_is_misuse);
    tcase_add_test(text, text_of_a_made_up_token_with_a_broken_escape_is_invalid);
    tcase_add_test(text, equals_compares_the_decoded_text_whole);
    suite_add_tcase(suite, text);

    TCase *numbers = tcase_create("integers");
    tcase_add_loop_test(numbers, int64_reads_an_integer_exactly_or_not_at_all, 0,
                        (int)(sizeof integers / sizeof integers[0]));
    tcase_add_test(numbers, int64_of_null_is_misuse);
    suite_add_tcase(suite, numbers);

    TCase *locale = tcase_create("locale");
    tcase_add_checked_fixture(locale, NULL, remove_test_folder);
    tcase_add_test(locale, the_locale_plays_no_part);
    suite_add_tcase(suite, locale);

    TCase *quote = tcase_create("quote");
    tcase_add_test(quote, quote_uses_the_shortest_escapes_and_keeps_the_rest);
    tcase_add_test(quote, quote_writes_all_or_nothing_and_says_how_much_it_needs);
    tcase_add_test(quote, quote_refuses_what_no_json_string_can_hold);
    tcase_add_test(quote, every_code_point_survives_quoting_and_decoding);
    suite_add_tcase(suite, quote);
    return suite;
}

int main(void)
{
    return run_suite(json_text_suite());
}
