/* What the JSON gate lets through and what it refuses: the grammar, UTF-8, keys and limits. */
#include <stele/json.h>

#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(literal) literal, sizeof(literal) - 1

/* A copy with nothing behind it, so that a sanitizer sees every byte read beyond the text. */
static void *copy_exactly(const void *bytes, size_t size)
{
    void *copy = malloc(size > 0 ? size : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    return copy;
}

/* Check a text in one call, and walk it token by token: both must say the same. */
static stele_status judge(const void *bytes, size_t size)
{
    void *text = copy_exactly(bytes, size);
    stele_status status = stele_json_check(text, size, NULL);

    stele_json_reader *reader = NULL;
    ck_assert_int_eq(stele_json_open(text, size, NULL, &reader), STELE_OK);
    stele_json_token token;
    stele_status walked;
    while ((walked = stele_json_next(reader, &token)) == STELE_OK)
        ck_assert_uint_le(token.offset + token.size, size);
    ck_assert_int_eq(walked == STELE_DONE ? STELE_OK : walked, status);

    stele_json_close(reader);
    free(text);
    return status;
}

static const struct {
    const char *text;
    size_t size;
} accepted[] = {
    /* every kind of value may stand alone */
    { BYTES("{}") },
    { BYTES("[]") },
    { BYTES("\"\"") },
    { BYTES("\"text\"") },
    { BYTES("0") },
    { BYTES("true") },
    { BYTES("false") },
    { BYTES("null") },
    /* white space, of all four kinds and nowhere else needed */
    { BYTES(" \t\r\n{} \t\r\n") },
    { BYTES("\n[\t1\r,\n2 ]\n") },
    { BYTES("{ \"a\" : 1 , \"b\" : [ ] }") },
    { BYTES("{\"a\":1,\"b\":[]}") },
    /* numbers of any size */
    { BYTES("-0") },
    { BYTES("-1") },
    { BYTES("10") },
    { BYTES("0.0") },
    { BYTES("-0.5") },
    { BYTES("1e0") },
    { BYTES("1E+09") },
    { BYTES("1e-07") },
    { BYTES("0e1") },
    { BYTES("1.5e300") },
    { BYTES("1e400") },
    { BYTES("-1e-4000000000") },
    { BYTES("9007199254740993") },
    { BYTES("1491926160718000000") },
    { BYTES("1234567890123460") },
    { BYTES("1234567890123456789012345678901234567890") },
    { BYTES("0.1234567890123456789012345678901234567890") },
    /* strings: everything from space on, but for the two that need an escape */
    { BYTES("\" !#$%&'()*+,-./:;<=>?@[]^_`{|}~\"") },
    { BYTES("\"\x7F\"") },
    { BYTES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"") },
    { BYTES("\"\\u0001\\u001f\\u00e9\\uABCD\\uabcd\"") },
    { BYTES("\"\\ud800\\udc00\\uDBFF\\uDFFF\"") },
    { BYTES("\"\\uD7FF\\uE000\\uFFFE\\uFFFF\"") },
    { BYTES("\"\\\\u0000\"") },
    { BYTES("\"\\\\ud800\"") },
    /* UTF-8: the first and last character of every length, and around the surrogates */
    { BYTES("\"\xC2\x80\xDF\xBF\"") },
    { BYTES("\"\xE0\xA0\x80\xEF\xBF\xBF\"") },
    { BYTES("\"\xED\x9F\xBF\xEE\x80\x80\"") },
    { BYTES("\"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\"") },
    { BYTES("\"\xEF\xBB\xBF\"") },
    { BYTES("\"seven b\xC3\xA4"
            "fter\"") },
    { BYTES("{\"gr\xC3\xB6\xC3\x9F"
            "e\":\"\xE2\x82\xAC 5\"}") },
    /* keys: empty, alike but for case or form, equal only in different objects */
    { BYTES("{\"\":0}") },
    { BYTES("{\"a\":1,\"A\":2}") },
    { BYTES("{\"a\":1,\"aa\":2,\"aaa\":3,\"\":4}") },
    { BYTES("{\"\xC3\xA9\":1,\"e\xCC\x81\":2}") },
    { BYTES("{\"a\":{\"a\":{\"a\":1}}}") },
    { BYTES("[{\"a\":1},{\"a\":2}]") },
    { BYTES("{\"a\":{\"b\":1},\"b\":{\"a\":1}}") },
    { BYTES("[[],[[]],{},{\"a\":[]}]") },
};

/* The gate must not be stricter than the standard beyond what it says. */
START_TEST(strict_json_is_accepted)
{
    stele_status status = judge(accepted[_i].text, accepted[_i].size);

    ck_assert_msg(status == STELE_OK, "refused '%s': %s", accepted[_i].text, stele_error_text());
}
END_TEST

static const struct {
    const char *text;
    size_t size;
    const char *why;
} refused[] = {
    /* nothing, or not all of it */
    { BYTES(""), "unexpected end of the text at byte 0, expected a value" },
    { BYTES(" \n"), "unexpected end of the text at byte 2, expected a value" },
    { BYTES("["), "unexpected end of the text at byte 1, expected a value or ']'" },
    { BYTES("[1"), "unexpected end of the text at byte 2, expected ',' or ']'" },
    { BYTES("[1,"), "unexpected end of the text at byte 3, expected a value" },
    { BYTES("{"), "unexpected end of the text at byte 1, expected a key or '}'" },
    { BYTES("{\"a\""), "unexpected end of the text at byte 4, expected ':'" },
    { BYTES("{\"a\":"), "unexpected end of the text at byte 5, expected a value" },
    { BYTES("{\"a\":1"), "unexpected end of the text at byte 6, expected ',' or '}'" },
    { BYTES("{\"a\":1,"), "unexpected end of the text at byte 7, expected a key" },
    { BYTES("\"abc"), "string without an end at byte 0" },
    { BYTES("[\"abc\\\""), "string without an end at byte 1" },
    { BYTES("\""), "string without an end at byte 0" },
    /* more than one value, or something after it */
    { BYTES("{} {}"), "unexpected '{' at byte 3, expected nothing after the value" },
    { BYTES("1 2"), "unexpected '2' at byte 2, expected nothing after the value" },
    { BYTES("{\"a\":1} trailing"), "unexpected 't' at byte 8, expected nothing after the value" },
    { BYTES("[]]"), "unexpected ']' at byte 2, expected nothing after the value" },
    { BYTES("1,"), "unexpected ',' at byte 1, expected nothing after the value" },
    { BYTES("{}\0"), "unexpected byte 0x00 at byte 2, expected nothing after the value" },
    /* punctuation in the wrong place */
    { BYTES("[1,]"), "unexpected ']' at byte 3, expected a value" },
    { BYTES("[,1]"), "unexpected ',' at byte 1, expected a value or ']'" },
    { BYTES("[1,,2]"), "unexpected ',' at byte 3, expected a value" },
    { BYTES("[1 2]"), "unexpected '2' at byte 3, expected ',' or ']'" },
    { BYTES("[1}"), "unexpected '}' at byte 2, expected ',' or ']'" },
    { BYTES("{]"), "unexpected ']' at byte 1, expected a key or '}'" },
    { BYTES("{\"a\":1]"), "unexpected ']' at byte 6, expected ',' or '}'" },
    { BYTES("{\"a\":1,}"), "unexpected '}' at byte 7, expected a key" },
    { BYTES("{,}"), "unexpected ',' at byte 1, expected a key or '}'" },
    { BYTES("{\"a\" 1}"), "unexpected '1' at byte 5, expected ':'" },
    { BYTES("{\"a\"::1}"), "unexpected ':' at byte 5, expected a value" },
    { BYTES("{\"a\":1 \"b\":2}"), "unexpected '\"' at byte 7, expected ',' or '}'" },
    { BYTES("{a:1}"), "unexpected 'a' at byte 1, expected a key or '}'" },
    { BYTES("{1:1}"), "unexpected '1' at byte 1, expected a key or '}'" },
    { BYTES("{'a':1}"), "unexpected ''' at byte 1, expected a key or '}'" },
    { BYTES("[\"a\":1]"), "unexpected ':' at byte 4, expected ',' or ']'" },
    { BYTES(":"), "unexpected ':' at byte 0, expected a value" },
    { BYTES("]"), "unexpected ']' at byte 0, expected a value" },
    /* words */
    { BYTES("tru"), "unexpected end of the text at byte 3, expected true" },
    { BYTES("nul]"), "unexpected ']' at byte 3, expected null" },
    { BYTES("True"), "unexpected 'T' at byte 0, expected a value" },
    { BYTES("falsey"), "unexpected 'y' at byte 5, expected nothing after the value" },
    { BYTES("NaN"), "unexpected 'N' at byte 0, expected a value" },
    { BYTES("Infinity"), "unexpected 'I' at byte 0, expected a value" },
    { BYTES("undefined"), "unexpected 'u' at byte 0, expected a value" },
    /* white space and comments of other languages */
    { BYTES("[1,\f2]"), "unexpected byte 0x0c at byte 3, expected a value" },
    { BYTES("[1,\v2]"), "unexpected byte 0x0b at byte 3, expected a value" },
    { BYTES("[\xC2\xA0]"), "unexpected byte 0xc2 at byte 1, expected a value or ']'" },
    { BYTES("[/**/]"), "unexpected '/' at byte 1, expected a value or ']'" },
    { BYTES("1 # one"), "unexpected '#' at byte 2, expected nothing after the value" },
    { BYTES("\xEF\xBB\xBF{}"), "byte order mark at byte 0" },
    { BYTES("{\0\"\0a\0\"\0:\0"
            "1\0}\0"),
      "unexpected byte 0x00 at byte 1, expected a key or '}'" },
    /* numbers */
    { BYTES("01"), "number with a leading zero at byte 0" },
    { BYTES("-01"), "number with a leading zero at byte 1" },
    { BYTES("[00]"), "number with a leading zero at byte 1" },
    { BYTES("1."), "unexpected end of the text at byte 2, expected a digit" },
    { BYTES("[1.]"), "unexpected ']' at byte 3, expected a digit" },
    { BYTES(".5"), "unexpected '.' at byte 0, expected a value" },
    { BYTES("+1"), "unexpected '+' at byte 0, expected a value" },
    { BYTES("-"), "unexpected end of the text at byte 1, expected a digit" },
    { BYTES("--1"), "unexpected '-' at byte 1, expected a digit" },
    { BYTES("-a"), "unexpected 'a' at byte 1, expected a digit" },
    { BYTES("1e"), "unexpected end of the text at byte 2, expected a digit" },
    { BYTES("1e+"), "unexpected end of the text at byte 3, expected a digit" },
    { BYTES("1e1.5"), "unexpected '.' at byte 3, expected nothing after the value" },
    { BYTES("1.2.3"), "unexpected '.' at byte 3, expected nothing after the value" },
    { BYTES("1.e1"), "unexpected 'e' at byte 2, expected a digit" },
    { BYTES("0x1F"), "unexpected 'x' at byte 1, expected nothing after the value" },
    { BYTES("1_000"), "unexpected '_' at byte 1, expected nothing after the value" },
    { BYTES("1,5"), "unexpected ',' at byte 1, expected nothing after the value" },
    { BYTES("\xEF\xBC\x91"), "unexpected byte 0xef at byte 0, expected a value" },
    /* control characters in strings */
    { BYTES("\"a\tb\""), "control character 0x09 in a string at byte 2" },
    { BYTES("\"a\nb\""), "control character 0x0a in a string at byte 2" },
    { BYTES("{\"a\x1F\":1}"), "control character 0x1f in a string at byte 3" },
    { BYTES("\"a\0b\""), "control character 0x00 in a string at byte 2" },
    { BYTES("\"a long one, then\x01\""), "control character 0x01 in a string at byte 17" },
    /* escapes */
    { BYTES("\"\\x41\""), "invalid escape at byte 1" },
    { BYTES("\"\\'\""), "invalid escape at byte 1" },
    { BYTES("\"\\N\""), "invalid escape at byte 1" },
    { BYTES("\"\\0\""), "invalid escape at byte 1" },
    { BYTES("\"ab\\\0\""), "invalid escape at byte 3" },
    { BYTES("\"\\\n\""), "invalid escape at byte 1" },
    { BYTES("\"\\"), "invalid escape at byte 1" },
    { BYTES("\"\\u"), "invalid escape at byte 1" },
    { BYTES("\"\\u12\""), "invalid escape at byte 1" },
    { BYTES("\"\\u123"), "invalid escape at byte 1" },
    { BYTES("\"\\u12G4\""), "invalid escape at byte 1" },
    { BYTES("\"\\U0041\""), "invalid escape at byte 1" },
    { BYTES("\"\\u+123\""), "invalid escape at byte 1" },
    { BYTES("\"a\\u0000b\""), "escaped NUL at byte 2" },
    { BYTES("{\"\\u0000\":1}"), "escaped NUL at byte 2" },
    /* surrogates */
    { BYTES("\"\\ud800\""), "lone surrogate at byte 1" },
    { BYTES("\"\\udc00\""), "lone surrogate at byte 1" },
    { BYTES("\"ab\\udfff\\ud800\""), "lone surrogate at byte 3" },
    { BYTES("\"\\ud800\\ud800\""), "lone surrogate at byte 1" },
    { BYTES("\"\\ud800\\u0041\""), "lone surrogate at byte 1" },
    { BYTES("\"\\ud800\\n\""), "lone surrogate at byte 1" },
    { BYTES("\"\\ud800abcdef\""), "lone surrogate at byte 1" },
    { BYTES("\"\\ud800\\udc0"), "lone surrogate at byte 1" },
    { BYTES("\"\\ud83d\\udca9\\udca9\""), "lone surrogate at byte 13" },
    /* UTF-8 */
    { BYTES("\"\x80\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"ab\xBF\""), "invalid UTF-8 at byte 3" },
    { BYTES("\"\xC0\x80\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xC1\xBF\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xC3\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xC3"), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xC3\xC3\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xE0\x9F\xBF\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xE2\x82\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xED\xA0\x80\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xED\xBF\xBF\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xF0\x8F\xBF\xBF\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xF0\x9F\x98\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xF4\x90\x80\x80\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xF5\x80\x80\x80\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xF8\x88\x80\x80\x80\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xFE\""), "invalid UTF-8 at byte 1" },
    { BYTES("\"\xFF\""), "invalid UTF-8 at byte 1" },
    { BYTES("{\"latin \xE4\":1}"), "invalid UTF-8 at byte 8" },
    { BYTES("[\"seven b\xC3\xA4\xE4\"]"), "invalid UTF-8 at byte 11" },
    /* duplicate keys */
    { BYTES("{\"a\":1,\"a\":2}"), "duplicate key 'a' at byte 7" },
    { BYTES("{\"a\":1,\"b\":2,\"a\":1}"), "duplicate key 'a' at byte 13" },
    { BYTES("{\"\":1,\"\":2}"), "duplicate key '' at byte 6" },
    { BYTES("{\"a\":1,\"\\u0061\":2}"), "duplicate key 'a' at byte 7" },
    { BYTES("{\"\\u0061\":1,\"a\":2}"), "duplicate key 'a' at byte 12" },
    { BYTES("{\"\\/\":1,\"/\":2}"), "duplicate key '/' at byte 8" },
    { BYTES("{\"\xF0\x9F\x98\x80\":1,\"\\ud83d\\ude00\":2}"),
      "duplicate key '\xF0\x9F\x98\x80' at byte 10" },
    { BYTES("{\"a\":{\"x\":1,\"y\":[{\"x\":1}]},\"a\":2}"), "duplicate key 'a' at byte 27" },
    { BYTES("[{\"b\":{\"c\":1,\"c\":2}}]"), "duplicate key 'c' at byte 13" },
};

/* What the gate refuses it refuses with a reason that a person can find in the text. */
START_TEST(anything_else_is_invalid_and_the_reason_names_what_and_where)
{
    stele_status status = judge(refused[_i].text, refused[_i].size);

    ck_assert_msg(status == STELE_INVALID, "accepted '%s'", refused[_i].text);
    ck_assert_str_eq(stele_error_text(), refused[_i].why);
}
END_TEST

/* Whatever a terminal or a log would choke on stays out of the error text. */
START_TEST(error_text_shows_a_key_escaped_and_cut_to_40_bytes)
{
    static const char control[] =
        "{\"\\u001b[2J\\n\xC2\x9B\x7F\":1,\"\\u001b[2J\\n\xC2\x9B\x7F\":2}";
    ck_assert_int_eq(judge(BYTES(control)), STELE_INVALID);
    ck_assert_str_eq(stele_error_text(), "duplicate key '\\x1b[2J\\x0a\\xc2\\x9b\\x7f' at byte 20");

    static const char exact[] = "{\"0123456789012345678901234567890123456789\":1,"
                                "\"0123456789012345678901234567890123456789\":2}";
    ck_assert_int_eq(judge(BYTES(exact)), STELE_INVALID);
    ck_assert_str_eq(stele_error_text(),
                     "duplicate key '0123456789012345678901234567890123456789' at byte 46");

    static const char long_key[] = "{\"012345678901234567890123456789012345678\xC3\xA4\":1,"
                                   "\"012345678901234567890123456789012345678\xC3\xA4\":2}";
    ck_assert_int_eq(judge(BYTES(long_key)), STELE_INVALID);
    ck_assert_str_eq(stele_error_text(),
                     "duplicate key '012345678901234567890123456789012345678'... at byte 47");
}
END_TEST

static const char whole_event[] =
    " {\"account\":\"a-7\",\"amount\":-12.50e+1,\"tags\":[true,false,null,{}],\"note\":"
    "\"5 \xE2\x82\xAC \\ud83d\\ude00\\n\",\"nested\":{\"account\":[[0]]}}";

/* A cut file or a short read must never pass as an event. */
START_TEST(every_truncation_of_a_text_is_refused)
{
    for (size_t size = 0; size < sizeof whole_event - 1; size++)
        ck_assert_int_eq(judge(whole_event, size), STELE_INVALID);

    ck_assert_int_eq(judge(BYTES(whole_event)), STELE_OK);
}
END_TEST

/* Write the tokens of a text that passed the gate, and read that: nothing may have moved. */
static void read_twice(const char *text, size_t size)
{
    stele_json_reader *first = NULL;
    stele_json_reader *second = NULL;
    ck_assert_int_eq(stele_json_open(text, size, NULL, &first), STELE_OK);
    ck_assert_int_eq(stele_json_open(text, size, NULL, &second), STELE_OK);
    ck_assert_int_eq(stele_json_reader_check(second, text, size), STELE_OK);
    ck_assert_int_eq(stele_json_reset(second, text, size), STELE_OK);

    stele_json_token left;
    stele_json_token right;
    while (stele_json_next(first, &left) == STELE_OK) {
        ck_assert_int_eq(stele_json_next(second, &right), STELE_OK);
        ck_assert(left.kind == right.kind && left.depth == right.depth && left.text == right.text
                  && left.size == right.size && left.offset == right.offset
                  && left.escaped == right.escaped);
    }
    ck_assert_int_eq(stele_json_next(second, &right), STELE_DONE);

    stele_json_close(first);
    stele_json_close(second);
}

/* Damage is refused or harmless: it never crashes, and never reads in two ways. */
START_TEST(every_single_byte_mutation_is_refused_or_reads_the_same_twice)
{
    char text[sizeof whole_event - 1];
    memcpy(text, whole_event, sizeof text);
    size_t passed = 0;

    for (size_t i = 0; i < sizeof text; i++) {
        for (unsigned value = 0; value < 256; value++) {
            text[i] = (char)value;
            if (judge(text, sizeof text) != STELE_OK)
                continue;
            passed++;
            read_twice(text, sizeof text);
        }
        text[i] = whole_event[i];
    }
    ck_assert_uint_gt(passed, sizeof text); /* each byte put back as it was is one */
}
END_TEST

/* `[[[...` of the given depth, closed again. */
static char *nest(size_t depth, const char *begin, const char *end, size_t *size_out)
{
    char *text = malloc(depth * (strlen(begin) + strlen(end)) + 2);
    ck_assert_ptr_nonnull(text);
    char *at = text;
    for (size_t i = 0; i < depth; i++, at += strlen(begin))
        memcpy(at, begin, strlen(begin) + 1);
    *at++ = '1';
    for (size_t i = 0; i < depth; i++, at += strlen(end))
        memcpy(at, end, strlen(end) + 1);
    *size_out = (size_t)(at - text);
    return text;
}

START_TEST(depth_64_is_accepted_and_65_is_too_large)
{
    size_t size = 0;
    char *text = nest(64, "[", "]", &size);
    ck_assert_int_eq(judge(text, size), STELE_OK);
    free(text);

    text = nest(65, "[", "]", &size);
    ck_assert_int_eq(judge(text, size), STELE_TOO_LARGE);
    ck_assert_str_eq(stele_error_text(), "nested deeper than 64 levels at byte 64");
    free(text);

    text = nest(65, "{\"a\":", "}", &size);
    ck_assert_int_eq(judge(text, size), STELE_TOO_LARGE);
    free(text);
}
END_TEST

/* Depth must cost memory on the heap only, and only as much as the option allows. */
START_TEST(depth_limit_is_an_option_and_a_million_levels_need_no_stack)
{
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    size_t size = 0;
    options.depth_max = 0;
    ck_assert_int_eq(stele_json_check("1", 1, &options), STELE_OK);
    ck_assert_int_eq(stele_json_check("[]", 2, &options), STELE_TOO_LARGE);

    options.depth_max = 1000000;
    char *text = nest(1000000, "[", "]", &size);
    ck_assert_int_eq(stele_json_check(text, size, &options), STELE_OK);
    options.depth_max--;
    ck_assert_int_eq(stele_json_check(text, size, &options), STELE_TOO_LARGE);
    free(text);

    text = nest(100000, "{\"a\":", "}", &size);
    ck_assert_int_eq(stele_json_check(text, size, &options), STELE_OK);
    free(text);
}
END_TEST

START_TEST(size_limit_is_an_option_and_counts_white_space)
{
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    options.size_max = 4;

    ck_assert_int_eq(stele_json_check("[ ] ", 4, &options), STELE_OK);
    ck_assert_int_eq(stele_json_check("[ ]  ", 5, &options), STELE_TOO_LARGE);
    ck_assert_str_eq(stele_error_text(), "JSON text of 5 bytes, at most 4 are allowed");
}
END_TEST

START_TEST(default_size_limit_is_16_mib)
{
    size_t size_max = 16 * 1024 * 1024;
    char *text = malloc(size_max + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, ' ', size_max + 1);
    text[0] = '0';

    ck_assert_int_eq(stele_json_check(text, size_max, NULL), STELE_OK);
    ck_assert_int_eq(stele_json_check(text, size_max + 1, NULL), STELE_TOO_LARGE);
    free(text);
}
END_TEST

static Suite *json_grammar_suite(void)
{
    Suite *suite = suite_create("json_grammar");

    TCase *texts = tcase_create("texts");
    tcase_add_loop_test(texts, strict_json_is_accepted, 0,
                        (int)(sizeof accepted / sizeof accepted[0]));
    tcase_add_loop_test(texts, anything_else_is_invalid_and_the_reason_names_what_and_where, 0,
                        (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(texts, error_text_shows_a_key_escaped_and_cut_to_40_bytes);
    tcase_add_test(texts, every_truncation_of_a_text_is_refused);
    tcase_add_test(texts, every_single_byte_mutation_is_refused_or_reads_the_same_twice);
    suite_add_tcase(suite, texts);

    TCase *limits = tcase_create("limits");
    tcase_add_test(limits, depth_64_is_accepted_and_65_is_too_large);
    tcase_add_test(limits, depth_limit_is_an_option_and_a_million_levels_need_no_stack);
    tcase_add_test(limits, size_limit_is_an_option_and_counts_white_space);
    tcase_add_test(limits, default_size_limit_is_16_mib);
    suite_add_tcase(suite, limits);
    return suite;
}

int main(void)
{
    return run_suite(json_grammar_suite());
}
