/* The JSON reader: its life, its tokens, and values skipped over. */
#include <stele/json.h>

#include "support.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static stele_json_reader *open_text(const char *text)
{
    stele_json_reader *reader = NULL;
    ck_assert_int_eq(stele_json_open(text, strlen(text), NULL, &reader), STELE_OK);
    return reader;
}

static stele_json_token next_token(stele_json_reader *reader)
{
    stele_json_token token;
    ck_assert_int_eq(stele_json_next(reader, &token), STELE_OK);
    return token;
}

/* Skip after the last token, and expect the value as written. */
static void expect_skipped(stele_json_reader *reader, const char *value)
{
    const char *text = NULL;
    size_t size = 0;
    ck_assert_int_eq(stele_json_skip(reader, &text, &size), STELE_OK);
    ck_assert_uint_eq(size, strlen(value));
    ck_assert_mem_eq(text, value, size);
}

START_TEST(tokens_come_in_the_order_of_the_text_with_slice_offset_and_depth)
{
    static const struct {
        stele_json_kind kind;
        uint32_t depth;
        size_t offset;
        const char *text;
        bool escaped;
    } expected[] = {
        { STELE_JSON_OBJECT_BEGIN, 0, 1, "{", false },
        { STELE_JSON_KEY, 1, 2, "a", false },
        { STELE_JSON_ARRAY_BEGIN, 1, 7, "[", false },
        { STELE_JSON_NUMBER, 2, 8, "-1.5e3", false },
        { STELE_JSON_TRUE, 2, 15, "true", false },
        { STELE_JSON_FALSE, 2, 20, "false", false },
        { STELE_JSON_NULL, 2, 26, "null", false },
        { STELE_JSON_OBJECT_BEGIN, 2, 31, "{", false },
        { STELE_JSON_OBJECT_END, 2, 32, "}", false },
        { STELE_JSON_ARRAY_END, 1, 33, "]", false },
        { STELE_JSON_KEY, 1, 35, "b\\n", true },
        { STELE_JSON_STRING, 1, 41, "x\\\"y", true },
        { STELE_JSON_KEY, 1, 48, "", false },
        { STELE_JSON_STRING, 1, 51, "", false },
        { STELE_JSON_OBJECT_END, 0, 53, "}", false },
    };
    static const char text[] =
        " {\"a\": [-1.5e3,true,false,null,{}],\"b\\n\":\"x\\\"y\",\"\":\"\"} ";
    stele_json_reader *reader = open_text(text);

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        stele_json_token token = next_token(reader);
        ck_assert_int_eq(token.kind, expected[i].kind);
        ck_assert_uint_eq(token.depth, expected[i].depth);
        ck_assert_uint_eq(token.offset, expected[i].offset);
        ck_assert_uint_eq(token.size, strlen(expected[i].text));
        ck_assert_mem_eq(token.text, expected[i].text, token.size);
        ck_assert_int_eq(token.escaped, expected[i].escaped);
    }
    stele_json_token token;
    ck_assert_int_eq(stele_json_next(reader, &token), STELE_DONE);
    stele_json_close(reader);
}
END_TEST

/* What a token points at is the caller's text, so it outlives the reader. */
START_TEST(a_token_points_into_the_text_and_outlives_the_reader)
{
    static const char text[] = "[\"abc\"]";
    stele_json_reader *reader = open_text(text);
    next_token(reader);
    stele_json_token token = next_token(reader);
    stele_json_close(reader);

    ck_assert_ptr_eq(token.text, text + 2);
    ck_assert_uint_eq(token.size, 3);
}
END_TEST

/* Numbers are handed out as written, however large: rounding them is up to nobody. */
START_TEST(numbers_are_handed_out_as_written)
{
    static const char *const numbers[] = {
        "9007199254740993",
        "1491926160718000000",
        "1234567890123460",
        "1e400",
        "-0",
        "1.10",
        "1E-0007",
        "12345678901234567890123456789012345678901",
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        stele_json_reader *reader = open_text(numbers[i]);
        stele_json_token token = next_token(reader);
        ck_assert_int_eq(token.kind, STELE_JSON_NUMBER);
        ck_assert_uint_eq(token.size, strlen(numbers[i]));
        ck_assert_mem_eq(token.text, numbers[i], token.size);
        stele_json_close(reader);
    }
}
END_TEST

START_TEST(done_comes_only_at_the_end_and_is_repeated)
{
    stele_json_reader *reader = open_text("1 \n");
    next_token(reader);
    stele_json_token token;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(stele_json_next(reader, &token), STELE_DONE);
    ck_assert_uint_eq(stele_json_error_offset(reader), 0);
    stele_json_close(reader);
}
END_TEST

START_TEST(a_failure_is_repeated_with_its_text_and_offset)
{
    stele_json_reader *reader = open_text("[1,\"a\\q\"]");
    next_token(reader);
    next_token(reader);
    stele_json_token token = { 0 };
    token.offset = 77;

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(stele_json_next(NULL, NULL), STELE_MISUSE); /* sets another text */
        ck_assert_int_eq(stele_json_next(reader, &token), STELE_INVALID);
        ck_assert_str_eq(stele_error_text(), "invalid escape at byte 5");
        ck_assert_int_eq(stele_json_next(NULL, NULL), STELE_MISUSE);
        ck_assert_int_eq(stele_json_skip(reader, NULL, NULL), STELE_INVALID);
        ck_assert_str_eq(stele_error_text(), "invalid escape at byte 5");
        ck_assert_uint_eq(stele_json_error_offset(reader), 5);
    }
    ck_assert_uint_eq(token.offset, 77);
    stele_json_close(reader);
}
END_TEST

START_TEST(a_token_is_set_on_ok_only)
{
    static const char *const texts[] = { "[",    "[\"a", "[1.", "[tru", "{\"a\":1,\"a\"",
                                         "[1]]", "[1] " };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        stele_json_reader *reader = open_text(texts[i]);
        stele_json_token token = { 0 };
        stele_json_token before;
        do {
            memcpy(&before, &token, sizeof before);
        } while (stele_json_next(reader, &token) == STELE_OK);
        ck_assert_mem_eq(&token, &before, sizeof before);
        stele_json_close(reader);
    }
}
END_TEST

START_TEST(reset_forgets_where_the_reader_was_or_failed)
{
    stele_json_reader *reader = open_text("{\"a\":{\"b\":[");
    for (int i = 0; i < 3; i++)
        next_token(reader);

    ck_assert_int_eq(stele_json_reset(reader, "[x", 2), STELE_OK);
    ck_assert_int_eq(next_token(reader).kind, STELE_JSON_ARRAY_BEGIN);
    stele_json_token token;
    ck_assert_int_eq(stele_json_next(reader, &token), STELE_INVALID);

    ck_assert_int_eq(stele_json_reset(reader, "true", 4), STELE_OK);
    ck_assert_uint_eq(stele_json_error_offset(reader), 0);
    ck_assert_int_eq(next_token(reader).kind, STELE_JSON_TRUE);
    ck_assert_int_eq(stele_json_next(reader, &token), STELE_DONE);
    ck_assert_int_eq(stele_json_reset(reader, NULL, 0), STELE_OK);
    ck_assert_int_eq(stele_json_next(reader, &token), STELE_INVALID);
    stele_json_close(reader);
}
END_TEST

START_TEST(reset_keeps_the_options_and_a_text_too_large_fails_until_the_next)
{
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    options.size_max = 4;
    options.depth_max = 1;
    stele_json_reader *reader = NULL;
    ck_assert_int_eq(stele_json_open("12345", 5, &options, &reader), STELE_TOO_LARGE);
    ck_assert_ptr_null(reader);
    ck_assert_int_eq(stele_json_open("1234", 4, &options, &reader), STELE_OK);

    ck_assert_int_eq(stele_json_reset(reader, "12345", 5), STELE_TOO_LARGE);
    stele_json_token token;
    ck_assert_int_eq(stele_json_next(reader, &token), STELE_TOO_LARGE);
    ck_assert_str_eq(stele_error_text(), "JSON text of 5 bytes, at most 4 are allowed");
    ck_assert_uint_eq(stele_json_error_offset(reader), 4);
    ck_assert_int_eq(stele_json_reader_check(reader, "[[]]", 4), STELE_TOO_LARGE);
    ck_assert_uint_eq(stele_json_error_offset(reader), 1);
    ck_assert_int_eq(stele_json_reader_check(reader, "[]", 2), STELE_OK);
    stele_json_close(reader);
}
END_TEST

START_TEST(close_is_fine_anywhere_in_a_document_and_for_null)
{
    static const char text[] = "{\"a\":[1,{\"\\u0062\":[[]],\"c\":null}],\"d\":\"e\"}";
    for (int taken = 0; taken < 20; taken++) {
        stele_json_reader *reader = open_text(text);
        stele_json_token token;
        for (int i = 0; i < taken; i++)
            (void)stele_json_next(reader, &token);
        stele_json_close(reader);
    }
    stele_json_close(NULL);
}
END_TEST

/* Import stores this slice, so not a blank of it may change. */
START_TEST(skip_hands_out_the_value_verbatim)
{
    static const char text[] = "{\"a\": { \"x\" : [ 1 , 2 ] , \"y\":{} } ,\"b\":[ ],"
                               "\"c\" : \"q\\u0041\" , \"d\":-1.50 ,\"e\":null, \"last\":7}";
    static const char *const values[] = {
        "{ \"x\" : [ 1 , 2 ] , \"y\":{} }", "[ ]", "\"q\\u0041\"", "-1.50", "null",
    };
    stele_json_reader *reader = open_text(text);
    next_token(reader);

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        ck_assert_int_eq(next_token(reader).kind, STELE_JSON_KEY);
        expect_skipped(reader, values[i]);
    }
    stele_json_token last = next_token(reader);
    ck_assert(stele_json_equals(&last, "last"));
    ck_assert_int_eq(stele_json_skip(reader, NULL, NULL), STELE_OK);
    ck_assert_int_eq(next_token(reader).kind, STELE_JSON_OBJECT_END);
    ck_assert_int_eq(stele_json_next(reader, &last), STELE_DONE);
    stele_json_close(reader);
}
END_TEST

START_TEST(skip_at_the_begin_of_a_value_takes_it_to_its_end)
{
    stele_json_reader *reader = open_text(" [ [1, [2]] ,{\"a\":[{}]}, \"s\" , 5 ] ");
    next_token(reader);

    next_token(reader);
    expect_skipped(reader, "[1, [2]]");
    ck_assert_int_eq(next_token(reader).kind, STELE_JSON_OBJECT_BEGIN);
    expect_skipped(reader, "{\"a\":[{}]}");
    next_token(reader);
    expect_skipped(reader, "\"s\"");
    next_token(reader);
    expect_skipped(reader, "5");
    ck_assert_int_eq(next_token(reader).kind, STELE_JSON_ARRAY_END);
    stele_json_close(reader);

    reader = open_text(" {\"a\": 1} ");
    next_token(reader);
    expect_skipped(reader, "{\"a\": 1}");
    stele_json_token token;
    ck_assert_int_eq(stele_json_next(reader, &token), STELE_DONE);
    stele_json_close(reader);
}
END_TEST

START_TEST(skip_where_no_value_is_announced_is_misuse_and_changes_nothing)
{
    stele_json_reader *reader = open_text("[[1],2]");
    ck_assert_int_eq(stele_json_skip(reader, NULL, NULL), STELE_MISUSE);
    next_token(reader);
    next_token(reader);
    next_token(reader);
    expect_skipped(reader, "1");
    ck_assert_int_eq(stele_json_skip(reader, NULL, NULL), STELE_MISUSE);
    ck_assert_int_eq(next_token(reader).kind, STELE_JSON_ARRAY_END);
    ck_assert_int_eq(stele_json_skip(reader, NULL, NULL), STELE_MISUSE);
    ck_assert_int_eq(next_token(reader).kind, STELE_JSON_NUMBER);
    ck_assert_int_eq(next_token(reader).kind, STELE_JSON_ARRAY_END);

    stele_json_token token;
    ck_assert_int_eq(stele_json_next(reader, &token), STELE_DONE);
    ck_assert_int_eq(stele_json_skip(reader, NULL, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_json_next(reader, &token), STELE_DONE);
    stele_json_close(reader);
}
END_TEST

START_TEST(what_is_skipped_is_checked_as_strictly)
{
    static const char *const texts[] = {
        "{\"a\":{\"b\":1,\"\\u0062\":2}}",
        "{\"a\":[1,]}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":[1",
        "{\"a\":}",
        "{\"a\" 1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        stele_json_reader *reader = open_text(texts[i]);
        next_token(reader);
        next_token(reader);
        const char *text = "untouched";
        ck_assert_int_eq(stele_json_skip(reader, &text, NULL), STELE_INVALID);
        ck_assert_str_eq(text, "untouched");
        stele_json_close(reader);
    }
}
END_TEST

START_TEST(null_arguments_are_misuse_and_leave_no_reader)
{
    stele_json_reader *reader = (stele_json_reader *)&reader;
    ck_assert_int_eq(stele_json_open(NULL, 1, NULL, &reader), STELE_MISUSE);
    ck_assert_ptr_null(reader);
    ck_assert_int_eq(stele_json_open("1", 1, NULL, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_json_check(NULL, 1, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_json_check(NULL, 0, NULL), STELE_INVALID);

    stele_json_token token;
    ck_assert_int_eq(stele_json_next(NULL, &token), STELE_MISUSE);
    ck_assert_int_eq(stele_json_skip(NULL, NULL, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_json_reset(NULL, "1", 1), STELE_MISUSE);
    ck_assert_int_eq(stele_json_reader_check(NULL, "1", 1), STELE_MISUSE);
    ck_assert_uint_eq(stele_json_error_offset(NULL), 0);

    reader = open_text("[1]");
    next_token(reader);
    ck_assert_int_eq(stele_json_next(reader, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_json_reset(reader, NULL, 1), STELE_MISUSE);
    ck_assert_int_eq(next_token(reader).kind, STELE_JSON_NUMBER);
    stele_json_close(reader);
}
END_TEST

START_TEST(options_without_a_size_are_misuse_and_older_ones_get_defaults)
{
    stele_json_options options;
    memset(&options, 0, sizeof options);
    stele_json_reader *reader = NULL;
    ck_assert_int_eq(stele_json_open("1", 1, &options, &reader), STELE_MISUSE);
    ck_assert_int_eq(stele_json_check("1", 1, &options), STELE_MISUSE);
    struct {
        stele_json_options options;
        uint64_t newer;
    } larger = { STELE_JSON_OPTIONS_INIT, 0 };
    larger.options.struct_size = sizeof larger;
    ck_assert_int_eq(stele_json_check("1", 1, &larger.options), STELE_OK);
    larger.newer = 1;
    ck_assert_int_eq(stele_json_check("1", 1, &larger.options), STELE_MISUSE);
    options.struct_size = sizeof options.struct_size - 1;
    ck_assert_int_eq(stele_json_check("1", 1, &options), STELE_MISUSE);

    options.struct_size = sizeof options.struct_size;
    ck_assert_int_eq(stele_json_check("[1]", 3, &options), STELE_OK);
    options.struct_size = offsetof(stele_json_options, size_max);
    ck_assert_int_eq(stele_json_check("1", 1, &options), STELE_OK);
    ck_assert_int_eq(stele_json_check("[1]", 3, &options), STELE_TOO_LARGE);
}
END_TEST

START_TEST(options_init_sets_what_the_initializer_says)
{
    const stele_json_options expected = STELE_JSON_OPTIONS_INIT;
    stele_json_options options;
    stele_json_options_init(&options);
    stele_json_options_init(NULL);

    ck_assert_uint_eq(options.struct_size, expected.struct_size);
    ck_assert_uint_eq(options.depth_max, expected.depth_max);
    ck_assert_uint_eq(options.size_max, expected.size_max);
    ck_assert_uint_eq(options.struct_size, sizeof options);
}
END_TEST

static void *check_many_texts(void *reason_out)
{
    static const char good[] = "{\"a\":1,\"b\":[true]}";
    static const char bad[] = "{\"a\":1,\"a\":2}";
    for (int i = 0; i < 2000; i++) {
        if (stele_json_check(good, sizeof good - 1, NULL) != STELE_OK
            || stele_json_check(bad, sizeof bad - 1, NULL) != STELE_INVALID
            || strcmp(stele_error_text(), "duplicate key 'a' at byte 7") != 0)
            *(bool *)reason_out = false;
    }
    return NULL;
}

START_TEST(different_readers_and_checks_run_in_threads_side_by_side)
{
    pthread_t threads[4];
    bool fine[4] = { true, true, true, true };
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, check_many_texts, &fine[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert(fine[i]);
    }
}
END_TEST

static Suite *json_suite(void)
{
    Suite *suite = suite_create("json");

    TCase *tokens = tcase_create("tokens");
    tcase_add_test(tokens, tokens_come_in_the_order_of_the_text_with_slice_offset_and_depth);
    tcase_add_test(tokens, a_token_points_into_the_text_and_outlives_the_reader);
    tcase_add_test(tokens, numbers_are_handed_out_as_written);
    tcase_add_test(tokens, done_comes_only_at_the_end_and_is_repeated);
    tcase_add_test(tokens, a_failure_is_repeated_with_its_text_and_offset);
    tcase_add_test(tokens, a_token_is_set_on_ok_only);
    suite_add_tcase(suite, tokens);

    TCase *life = tcase_create("life");
    tcase_add_test(life, reset_forgets_where_the_reader_was_or_failed);
    tcase_add_test(life, reset_keeps_the_options_and_a_text_too_large_fails_until_the_next);
    tcase_add_test(life, close_is_fine_anywhere_in_a_document_and_for_null);
    tcase_add_test(life, null_arguments_are_misuse_and_leave_no_reader);
    tcase_add_test(life, options_without_a_size_are_misuse_and_older_ones_get_defaults);
    tcase_add_test(life, options_init_sets_what_the_initializer_says);
    tcase_add_test(life, different_readers_and_checks_run_in_threads_side_by_side);
    suite_add_tcase(suite, life);

    TCase *skipping = tcase_create("skip");
    tcase_add_test(skipping, skip_hands_out_the_value_verbatim);
    tcase_add_test(skipping, skip_at_the_begin_of_a_value_takes_it_to_its_end);
    tcase_add_test(skipping, skip_where_no_value_is_announced_is_misuse_and_changes_nothing);
    tcase_add_test(skipping, what_is_skipped_is_checked_as_strictly);
    suite_add_tcase(suite, skipping);
    return suite;
}

int main(void)
{
    return run_suite(json_suite());
}
