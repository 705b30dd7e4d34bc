/* The CBOR reader: its life, its tokens, values skipped over, and strings in one piece or in
 * chunks. */
#include "cbor_bytes.h"
#include "support.h"

#include <pthread.h>

#define BYTES(literal) literal, sizeof(literal) - 1

static stele_cbor_reader *open_hex(stele_buffer *payload, const char *hex)
{
    payload->size = 0;
    put_hex(payload, hex);
    stele_cbor_reader *reader = NULL;
    ck_assert_int_eq(stele_cbor_open(payload->data, payload->size, NULL, &reader), STELE_OK);
    return reader;
}

static stele_cbor_token next_token(stele_cbor_reader *reader)
{
    stele_cbor_token token;
    ck_assert_int_eq(stele_cbor_next(reader, &token), STELE_OK);
    return token;
}

/* --- Tokens --- */

static const char all_kinds[] =
    "bf 6161 85 20 f5 f4 f6 f7 7f 6162 6163 ff d9 0100 f8 20 01 43 010203 "
    "02 9f fb 3ff8000000000000 ff ff";

START_TEST(tokens_come_in_the_order_of_the_payload_with_offset_and_depth)
{
    static const struct {
        stele_cbor_kind kind;
        uint32_t depth;
        size_t offset;
        uint64_t number;
        size_t size;
        bool is_key;
        bool indefinite;
    } expected[] = {
        { STELE_CBOR_MAP_BEGIN, 0, 0, 0, 0, false, true },
        { STELE_CBOR_TEXT, 1, 1, 0, 1, true, false },
        { STELE_CBOR_ARRAY_BEGIN, 1, 3, 5, 0, false, false },
        { STELE_CBOR_NEGATIVE, 2, 4, 0, 0, false, false },
        { STELE_CBOR_TRUE, 2, 5, 0, 0, false, false },
        { STELE_CBOR_FALSE, 2, 6, 0, 0, false, false },
        { STELE_CBOR_NULL, 2, 7, 0, 0, false, false },
        { STELE_CBOR_UNDEFINED, 2, 8, 0, 0, false, false },
        { STELE_CBOR_ARRAY_END, 1, 9, 0, 0, false, false },
        { STELE_CBOR_TEXT, 1, 9, 0, 4, true, true },
        { STELE_CBOR_TAG, 1, 15, 256, 0, false, false },
        { STELE_CBOR_SIMPLE, 2, 18, 32, 0, false, false },
        { STELE_CBOR_POSITIVE, 1, 20, 1, 0, true, false },
        { STELE_CBOR_BYTES, 1, 21, 0, 3, false, false },
        { STELE_CBOR_POSITIVE, 1, 25, 2, 0, true, false },
        { STELE_CBOR_ARRAY_BEGIN, 1, 26, 0, 0, false, true },
        { STELE_CBOR_REAL, 2, 27, 0, 0, false, false },
        { STELE_CBOR_ARRAY_END, 1, 37, 0, 0, false, false },
        { STELE_CBOR_MAP_END, 0, 38, 0, 0, false, false },
    };
    stele_buffer payload = STELE_BUFFER_INIT;
    stele_cbor_reader *reader = open_hex(&payload, all_kinds);

    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        stele_cbor_token token = next_token(reader);
        ck_assert_int_eq((int)token.kind, (int)expected[i].kind);
        ck_assert_uint_eq(token.depth, expected[i].depth);
        ck_assert_uint_eq(token.offset, expected[i].offset);
        ck_assert_uint_eq(token.number, expected[i].number);
        ck_assert_uint_eq(token.size, expected[i].size);
        ck_assert_int_eq(token.is_key, expected[i].is_key);
        ck_assert_int_eq(token.indefinite, expected[i].indefinite);
        if (token.kind == STELE_CBOR_REAL)
            ck_assert(token.real == 1.5);
    }
    stele_cbor_token token = { .number = 99 };
    ck_assert_int_eq(stele_cbor_next(reader, &token), STELE_DONE);
    ck_assert_int_eq(stele_cbor_next(reader, &token), STELE_DONE);
    ck_assert_uint_eq(token.number, 99);

    stele_cbor_close(reader);
    stele_buffer_dispose(&payload);
}
END_TEST

/* Several may end at one byte; tags end with what they are on, and say nothing. */
START_TEST(each_map_and_array_has_its_end)
{
    static const uint32_t depths[] = { 6, 3, 2, 0 };
    stele_buffer payload = STELE_BUFFER_INIT;
    stele_cbor_reader *reader = open_hex(&payload, "81 c1 81 a1 00 c2 c3 80");
    stele_cbor_token token;
    unsigned ends = 0;

    while (stele_cbor_next(reader, &token) == STELE_OK) {
        if (!is_end(token.kind))
            continue;
        ck_assert_uint_eq(token.offset, payload.size);
        ck_assert_uint_eq(token.depth, depths[ends++]);
    }

    ck_assert_uint_eq(ends, 4);
    stele_cbor_close(reader);
    stele_buffer_dispose(&payload);
}
END_TEST

START_TEST(what_a_token_points_at_lives_as_long_as_the_payload)
{
    static const char payload[] = "\x82\x63"
                                  "abc\x42\x01\x02";
    stele_cbor_reader *reader = NULL;
    ck_assert_int_eq(stele_cbor_open(BYTES(payload), NULL, &reader), STELE_OK);
    next_token(reader);
    stele_cbor_token text = next_token(reader);
    stele_cbor_token bytes = next_token(reader);

    stele_cbor_close(reader);

    ck_assert_ptr_eq(text.data, payload + 2);
    ck_assert_ptr_eq(bytes.data, payload + 6);
    ck_assert(stele_cbor_equals(&text, "abc"));
}
END_TEST

/* --- Life --- */

START_TEST(open_refuses_what_is_wrong_and_hands_out_nothing)
{
    stele_cbor_reader *reader = (stele_cbor_reader *)&reader;
    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;

    ck_assert_int_eq(stele_cbor_open("\x18", 1, NULL, &reader), STELE_INVALID);
    ck_assert_ptr_null(reader);
    ck_assert_str_eq(stele_error_text(),
                     "integer with a head of 2 bytes, of which 1 are at byte 0");
    ck_assert_int_eq(stele_cbor_open(NULL, 0, NULL, &reader), STELE_INVALID);
    ck_assert_int_eq(stele_cbor_open(NULL, 1, NULL, &reader), STELE_MISUSE);
    ck_assert_int_eq(stele_cbor_open("\x00", 1, NULL, NULL), STELE_MISUSE);
    options.struct_size = 0;
    ck_assert_int_eq(stele_cbor_open("\x00", 1, &options, &reader), STELE_MISUSE);
    ck_assert_ptr_null(reader);
    stele_cbor_options_init(&options);
    options.size_max = 0;
    ck_assert_int_eq(stele_cbor_open("\x00", 1, &options, &reader), STELE_TOO_LARGE);
    ck_assert_ptr_null(reader);
    stele_cbor_close(NULL);
}
END_TEST

START_TEST(check_refuses_what_is_wrong)
{
    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;

    ck_assert_int_eq(stele_cbor_check("\x00", 1, NULL), STELE_OK);
    ck_assert_int_eq(stele_cbor_check("\x00", 1, &options), STELE_OK);
    ck_assert_int_eq(stele_cbor_check(NULL, 0, NULL), STELE_INVALID);
    ck_assert_int_eq(stele_cbor_check(NULL, 1, NULL), STELE_MISUSE);
    options.item_max = 0;
    ck_assert_int_eq(stele_cbor_check("\x00", 1, &options), STELE_TOO_LARGE);
    options.struct_size = 0;
    ck_assert_int_eq(stele_cbor_check("\x00", 1, &options), STELE_MISUSE);
}
END_TEST

START_TEST(options_start_from_their_initializer)
{
    stele_cbor_options options;
    stele_cbor_options_init(&options);
    stele_cbor_options_init(NULL);

    ck_assert_uint_eq(options.struct_size, sizeof(options));
    ck_assert_uint_eq(options.depth_max, 64);
    ck_assert_uint_eq(options.size_max, 16 * 1024 * 1024);
    ck_assert_uint_eq(options.item_max, 4 * 1024 * 1024);
}
END_TEST

START_TEST(reset_turns_to_another_payload_under_the_same_options)
{
    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;
    options.depth_max = 1;
    stele_cbor_reader *reader = NULL;
    ck_assert_int_eq(stele_cbor_open(BYTES("\x82\x00\x01"), &options, &reader), STELE_OK);
    next_token(reader);

    ck_assert_int_eq(stele_cbor_reset(reader, BYTES("\xa1\x05\xf6")), STELE_OK);
    ck_assert_int_eq((int)next_token(reader).kind, STELE_CBOR_MAP_BEGIN);
    ck_assert(next_token(reader).is_key);
    ck_assert_int_eq(stele_cbor_reset(reader, BYTES("\x81\x80")), STELE_TOO_LARGE);
    ck_assert_int_eq(stele_cbor_reset(reader, BYTES("\x80")), STELE_OK);
    ck_assert_uint_eq(stele_cbor_error_offset(reader), 0);

    stele_cbor_close(reader);
}
END_TEST

START_TEST(a_failed_reset_is_repeated_until_the_next_one)
{
    stele_cbor_reader *reader = NULL;
    stele_cbor_token token;
    ck_assert_int_eq(stele_cbor_open("\x00", 1, NULL, &reader), STELE_OK);

    ck_assert_int_eq(stele_cbor_reset(reader, BYTES("\x82\x00\x1c")), STELE_INVALID);
    for (int i = 0; i < 2; i++) {
        stele_cbor_check("\x00", 1, NULL);
        ck_assert_int_eq(stele_cbor_next(reader, &token), STELE_INVALID);
        ck_assert_str_eq(stele_error_text(), "reserved byte 0x1c at byte 2");
        ck_assert_int_eq(stele_cbor_skip(reader, NULL, NULL), STELE_INVALID);
        ck_assert_uint_eq(stele_cbor_error_offset(reader), 2);
    }
    ck_assert_int_eq(stele_cbor_reset(reader, NULL, 0), STELE_INVALID);
    ck_assert_uint_eq(stele_cbor_error_offset(reader), 0);
    ck_assert_int_eq(stele_cbor_reset(reader, "\x00", 1), STELE_OK);
    ck_assert_int_eq((int)next_token(reader).kind, STELE_CBOR_POSITIVE);

    stele_cbor_close(reader);
}
END_TEST

START_TEST(misuse_changes_nothing)
{
    stele_cbor_reader *reader = NULL;
    stele_cbor_token token;
    ck_assert_int_eq(stele_cbor_open(BYTES("\x82\x00\x01"), NULL, &reader), STELE_OK);
    next_token(reader);

    ck_assert_int_eq(stele_cbor_next(NULL, &token), STELE_MISUSE);
    ck_assert_int_eq(stele_cbor_next(reader, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_cbor_skip(NULL, NULL, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_cbor_reset(NULL, "\x00", 1), STELE_MISUSE);
    ck_assert_int_eq(stele_cbor_reset(reader, NULL, 1), STELE_MISUSE);
    ck_assert_uint_eq(stele_cbor_error_offset(NULL), 0);

    ck_assert_uint_eq(next_token(reader).offset, 1);
    stele_cbor_close(reader);
}
END_TEST

/* --- Skipping --- */

/* Skip after the last token, and expect the value as it is encoded. */
static void expect_skipped(stele_cbor_reader *reader, const char *hex)
{
    stele_buffer expected = STELE_BUFFER_INIT;
    put_hex(&expected, hex);
    const void *data = NULL;
    size_t size = 0;
    ck_assert_int_eq(stele_cbor_skip(reader, &data, &size), STELE_OK);
    ck_assert_uint_eq(size, expected.size);
    ck_assert_mem_eq(data, expected.data, size);
    stele_buffer_dispose(&expected);
}

START_TEST(skip_hands_out_each_value_of_a_map_verbatim)
{
    static const char *const values[] = { "00",
                                          "1b 0000000000000005",
                                          "43 010203",
                                          "7f 61 61 60 ff",
                                          "80",
                                          "82 81 c1 00 a1 00 80",
                                          "9f 9f ff 5f 40 ff ff",
                                          "bf 00 a0 ff",
                                          "c1 c2 00",
                                          "d8 18 81 c3 82 00 81 80",
                                          "f9 3c00",
                                          "f8 20" };
    enum { COUNT = sizeof(values) / sizeof(values[0]) };
    stele_buffer payload = STELE_BUFFER_INIT;
    put_head(&payload, 5, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        put_head(&payload, 0, i);
        put_hex(&payload, values[i]);
    }
    stele_cbor_reader *reader = NULL;
    ck_assert_int_eq(stele_cbor_open(payload.data, payload.size, NULL, &reader), STELE_OK);
    next_token(reader);

    for (unsigned i = 0; i < COUNT; i++) {
        /* once from the key, once from the value's first token */
        ck_assert_uint_eq(next_token(reader).number, i);
        if (_i == 1)
            next_token(reader);
        expect_skipped(reader, values[i]);
        ck_assert_int_eq(stele_cbor_skip(reader, NULL, NULL), STELE_MISUSE);
    }
    ck_assert_int_eq((int)next_token(reader).kind, STELE_CBOR_MAP_END);
    stele_cbor_token token;
    ck_assert_int_eq(stele_cbor_next(reader, &token), STELE_DONE);
    stele_cbor_close(reader);
    stele_buffer_dispose(&payload);
}
END_TEST

START_TEST(skip_from_inside_goes_on_with_what_follows)
{
    stele_buffer payload = STELE_BUFFER_INIT;
    stele_cbor_reader *reader = open_hex(&payload, "82 c1 82 00 81 05 07");

    next_token(reader);
    next_token(reader);                                                     /* the tag */
    ck_assert_int_eq((int)next_token(reader).kind, STELE_CBOR_ARRAY_BEGIN); /* what it is on */
    next_token(reader);                                                     /* 0 */
    next_token(reader);                                                     /* the inner array */
    expect_skipped(reader, "81 05");
    ck_assert_int_eq((int)next_token(reader).kind, STELE_CBOR_ARRAY_END);
    ck_assert_uint_eq(next_token(reader).number, 7);
    ck_assert_int_eq(stele_cbor_reset(reader, payload.data, payload.size), STELE_OK);
    next_token(reader);
    next_token(reader);
    next_token(reader);
    expect_skipped(reader, "82 00 81 05");
    ck_assert_uint_eq(next_token(reader).number, 7);

    stele_cbor_close(reader);
    stele_buffer_dispose(&payload);
}
END_TEST

START_TEST(skip_without_a_value_is_misuse)
{
    stele_buffer payload = STELE_BUFFER_INIT;
    stele_cbor_reader *reader = open_hex(&payload, "81 80");
    stele_cbor_token token;

    ck_assert_int_eq(stele_cbor_skip(reader, NULL, NULL), STELE_MISUSE); /* nothing was read */
    next_token(reader);
    next_token(reader);
    next_token(reader);
    ck_assert_int_eq(stele_cbor_skip(reader, NULL, NULL), STELE_MISUSE); /* an end */
    next_token(reader);
    ck_assert_int_eq(stele_cbor_next(reader, &token), STELE_DONE);
    ck_assert_int_eq(stele_cbor_skip(reader, NULL, NULL), STELE_MISUSE); /* the end of all */
    ck_assert_int_eq(stele_cbor_reset(reader, payload.data, payload.size), STELE_OK);
    next_token(reader);
    expect_skipped(reader, "81 80");
    ck_assert_int_eq(stele_cbor_next(reader, &token), STELE_DONE);

    stele_cbor_close(reader);
    stele_buffer_dispose(&payload);
}
END_TEST

/* --- Strings --- */

START_TEST(text_of_a_string_is_copied_with_a_nul)
{
    stele_buffer payload = STELE_BUFFER_INIT;
    stele_cbor_reader *reader =
        open_hex(&payload, _i == 0 ? "63 616263" : "5f 41 61 40 42 6263 ff");
    stele_cbor_token token = next_token(reader);
    char buffer[8];
    size_t size = 99;

    memset(buffer, 'x', sizeof(buffer));
    ck_assert_int_eq(stele_cbor_text(&token, buffer, 4, &size), STELE_OK);
    ck_assert_mem_eq(buffer, "abc\0xxxx", 8);
    ck_assert_uint_eq(size, 3);
    for (size_t capacity = 0; capacity < 4; capacity++) {
        memset(buffer, 'x', sizeof(buffer));
        size = 99;
        ck_assert_int_eq(stele_cbor_text(&token, buffer, capacity, &size), STELE_TOO_LARGE);
        ck_assert_uint_eq(size, 3);
        ck_assert_int_eq(buffer[0], capacity > 0 ? '\0' : 'x');
        ck_assert_int_eq(buffer[capacity], 'x');
    }
    ck_assert_int_eq(stele_cbor_text(&token, NULL, 0, NULL), STELE_TOO_LARGE);

    stele_cbor_close(reader);
    stele_buffer_dispose(&payload);
}
END_TEST

START_TEST(text_refuses_what_is_no_string)
{
    stele_buffer payload = STELE_BUFFER_INIT;
    stele_cbor_reader *reader = open_hex(&payload, "05");
    stele_cbor_token number = next_token(reader);
    stele_cbor_token made_up = { .kind = STELE_CBOR_TEXT };
    stele_cbor_token broken[] = {
        { .kind = STELE_CBOR_TEXT, .data = "\x61", .size = 1, .indefinite = true },
        { .kind = STELE_CBOR_BYTES, .data = "\x41x\x58", .size = 3, .indefinite = true },
        { .kind = STELE_CBOR_TEXT,
          .data = "\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
          .size = 9,
          .indefinite = true }
    };
    char buffer[4] = "old";

    ck_assert_int_eq(stele_cbor_text(&number, buffer, sizeof(buffer), NULL), STELE_MISUSE);
    ck_assert_str_eq(buffer, "");
    ck_assert_int_eq(stele_cbor_text(NULL, buffer, sizeof(buffer), NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_cbor_text(&made_up, buffer, sizeof(buffer), NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_cbor_text(&number, NULL, 4, NULL), STELE_MISUSE);
    for (int i = 0; i < 3; i++) {
        buffer[0] = 'x';
        ck_assert_int_eq(stele_cbor_text(&broken[i], buffer, sizeof(buffer), NULL), STELE_MISUSE);
        ck_assert_str_eq(buffer, "");
        ck_assert(!stele_cbor_equals(&broken[i], ""));
        ck_assert(!stele_cbor_equals(&broken[i], "x"));
    }

    stele_cbor_close(reader);
    stele_buffer_dispose(&payload);
}
END_TEST

START_TEST(equals_compares_texts_byte_for_byte)
{
    static const struct {
        const char *hex;
        const char *text;
        bool equal;
    } cases[] = {
        { "60", "", true },
        { "60", "a", false },
        { "63 616263", "abc", true },
        { "63 616263", "ab", false },
        { "63 616263", "abcd", false },
        { "63 616263", "abC", false },
        { "63 616263", "", false },
        { "63 610063", "a", false },
        { "61 00", "", false },
        { "7f 61 61 62 6263 ff", "abc", true },
        { "7f 61 61 62 6263 ff", "ab", false },
        { "7f 61 61 62 6263 ff", "abcd", false },
        { "7f 60 ff", "", true },
        { "7f ff", "", true },
        { "7f ff", "a", false },
        { "43 616263", "abc", false },
        { "05", "5", false },
    };
    stele_buffer payload = STELE_BUFFER_INIT;
    stele_cbor_reader *reader = open_hex(&payload, cases[_i].hex);
    stele_cbor_token token = next_token(reader);

    ck_assert_int_eq(stele_cbor_equals(&token, cases[_i].text), cases[_i].equal);
    ck_assert(!stele_cbor_equals(&token, NULL));
    ck_assert(!stele_cbor_equals(NULL, cases[_i].text));

    stele_cbor_close(reader);
    stele_buffer_dispose(&payload);
}
END_TEST

/* All ways to cut a text between its characters into three chunks read the same. */
START_TEST(a_text_in_chunks_is_joined_at_every_split)
{
    static const char text[] = "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x93\x96z";
    const size_t size = sizeof(text) - 1;
    unsigned accepted = 0;
    for (size_t first = 0; first <= size; first++) {
        for (size_t second = first; second <= size; second++) {
            stele_buffer payload = STELE_BUFFER_INIT;
            stele_buffer line = STELE_BUFFER_INIT;
            put_byte(&payload, 0x7f);
            put_string(&payload, 3, text, first);
            put_string(&payload, 3, text + first, second - first);
            put_string(&payload, 3, text + second, size - second);
            put_byte(&payload, 0xff);

            stele_status status = judge_cbor(payload.data, payload.size, &line, NULL);

            bool between_characters = (text[first] & 0xc0) != 0x80 && (text[second] & 0xc0) != 0x80;
            ck_assert_int_eq(status, between_characters ? STELE_OK : STELE_INVALID);
            if (between_characters)
                ck_assert_str_eq(line.data, "_ \"a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x93\x96z\"");
            accepted += between_characters;
            stele_buffer_dispose(&payload);
            stele_buffer_dispose(&line);
        }
    }
    ck_assert_uint_eq(accepted, 21);
}
END_TEST

/* --- Threads --- */

static void *read_alone(void *context)
{
    (void)context;
    uintptr_t bad = 0;
    for (int i = 0; i < 200; i++) {
        stele_cbor_reader *reader = NULL;
        stele_cbor_token token;
        bad += stele_cbor_open(BYTES("\xa1\x18\x05\x82\x00\xfa\x3f\x80\x00\x00"), NULL, &reader)
               != STELE_OK;
        while (stele_cbor_next(reader, &token) == STELE_OK)
            continue;
        bad += stele_cbor_check("\x1c", 1, NULL) != STELE_INVALID;
        stele_cbor_close(reader);
    }
    return (void *)bad; // NOLINT
}

START_TEST(readers_of_different_threads_do_not_touch_each_other)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_alone, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *bad = NULL;
        pthread_join(threads[i], &bad);
        ck_assert_ptr_null(bad);
    }
}
END_TEST

static Suite *cbor_suite(void)
{
    Suite *suite = suite_create("cbor");

    TCase *tokens = tcase_create("tokens");
    tcase_add_test(tokens, tokens_come_in_the_order_of_the_payload_with_offset_and_depth);
    tcase_add_test(tokens, each_map_and_array_has_its_end);
    tcase_add_test(tokens, what_a_token_points_at_lives_as_long_as_the_payload);
    suite_add_tcase(suite, tokens);

    TCase *life = tcase_create("life");
    tcase_add_test(life, open_refuses_what_is_wrong_and_hands_out_nothing);
    tcase_add_test(life, check_refuses_what_is_wrong);
    tcase_add_test(life, options_start_from_their_initializer);
    tcase_add_test(life, reset_turns_to_another_payload_under_the_same_options);
    tcase_add_test(life, a_failed_reset_is_repeated_until_the_next_one);
    tcase_add_test(life, misuse_changes_nothing);
    tcase_add_test(life, readers_of_different_threads_do_not_touch_each_other);
    suite_add_tcase(suite, life);

    TCase *skipping = tcase_create("skipping");
    tcase_add_loop_test(skipping, skip_hands_out_each_value_of_a_map_verbatim, 0, 2);
    tcase_add_test(skipping, skip_from_inside_goes_on_with_what_follows);
    tcase_add_test(skipping, skip_without_a_value_is_misuse);
    suite_add_tcase(suite, skipping);

    TCase *strings = tcase_create("strings");
    tcase_add_loop_test(strings, text_of_a_string_is_copied_with_a_nul, 0, 2);
    tcase_add_test(strings, text_refuses_what_is_no_string);
    tcase_add_loop_test(strings, equals_compares_texts_byte_for_byte, 0, 17);
    tcase_add_test(strings, a_text_in_chunks_is_joined_at_every_split);
    suite_add_tcase(suite, strings);
    return suite;
}

int main(void)
{
    return run_suite(cbor_suite());
}
