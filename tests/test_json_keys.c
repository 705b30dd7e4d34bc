/* Keys that come twice: found in objects of every size, nesting and spelling, at a sane cost. */
#include <stele/json.h>

#include "support.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A text in the making. */
typedef struct json_draft {
    char *text;
    size_t size;
    size_t capacity;
} json_draft;

__attribute__((format(printf, 2, 3))) static void add(json_draft *draft, const char *format, ...)
{
    char piece[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof piece)
        ck_abort_msg("a piece of %d bytes", size);

    if (draft->size + (size_t)size > draft->capacity) {
        draft->capacity = draft->capacity * 2 + sizeof piece;
        draft->text = realloc(draft->text, draft->capacity);
        if (draft->text == NULL)
            ck_abort_msg("no memory for %zu bytes", draft->capacity);
    }
    memcpy(draft->text + draft->size, piece, (size_t)size);
    draft->size += (size_t)size;
}

static stele_status finish(json_draft *draft)
{
    stele_status status = stele_json_check(draft->text, draft->size, NULL);
    free(draft->text);
    memset(draft, 0, sizeof *draft);
    return status;
}

/* An object of `count` keys, of which the one at `second` repeats the one at `first`. */
static stele_status check_object(unsigned count, unsigned first, unsigned second)
{
    json_draft draft = { 0 };
    for (unsigned i = 0; i < count; i++)
        add(&draft, "%c\"key %u\":%u", i == 0 ? '{' : ',', i == second ? first : i, i);
    add(&draft, "}");
    return finish(&draft);
}

/* Small objects and large ones are compared in different ways; no size may fall between. */
START_TEST(a_key_that_comes_twice_is_found_wherever_both_stand)
{
    for (unsigned count = 2; count <= 40; count++) {
        ck_assert_int_eq(check_object(count, count, count), STELE_OK);
        for (unsigned second = 1; second < count; second++) {
            for (unsigned first = 0; first < second; first++)
                ck_assert_int_eq(check_object(count, first, second), STELE_INVALID);
        }
    }
}
END_TEST

START_TEST(of_100000_distinct_keys_none_is_refused_and_a_repeated_one_is_found)
{
    ck_assert_int_eq(check_object(100000, 100000, 100000), STELE_OK);
    ck_assert_int_eq(check_object(100000, 0, 99999), STELE_INVALID);
    ck_assert_str_eq(stele_error_text(), "duplicate key 'key 0' at byte 1777763");
    ck_assert_int_eq(check_object(100000, 99998, 99999), STELE_INVALID);
    ck_assert_int_eq(check_object(100000, 50000, 70000), STELE_INVALID);
}
END_TEST

/* Compared decoded, in large objects too. */
START_TEST(a_key_is_the_same_however_it_is_spelled)
{
    for (unsigned spelled = 0; spelled < 300; spelled += 7) {
        json_draft draft = { 0 };
        add(&draft, "{\"\":0");
        for (unsigned i = 0; i < 300; i++)
            add(&draft, i % 3 == 0 ? ",\"\\u006b%u\":1" : ",\"k%u\":1", i);
        add(&draft, ",\"\\u006B%u\":2}", spelled);
        char expected[32];
        snprintf(expected, sizeof expected, "duplicate key 'k%u' at byte", spelled);

        ck_assert_int_eq(finish(&draft), STELE_INVALID);
        ck_assert_int_eq(strncmp(stele_error_text(), expected, strlen(expected)), 0);
    }
}
END_TEST

/* A key may begin another, and the empty one begins all. */
START_TEST(a_key_that_begins_another_is_another_key)
{
    json_draft draft = { 0 };
    add(&draft, "{\"\":0");
    for (int size = 300; size > 0; size--)
        add(&draft, ",\"%0*d\":1", size, 0);
    add(&draft, "}");

    ck_assert_int_eq(finish(&draft), STELE_OK);
}
END_TEST

/* All two-byte keys of some alphabets, so that every bit decides somewhere. */
START_TEST(keys_that_differ_in_one_bit_are_different)
{
    json_draft draft = { 0 };
    add(&draft, "{\"\":0");
    for (unsigned high = 0x80; high < 0x800; high++)
        add(&draft, ",\"%c%c\":1", (int)(0xc0 | high >> 6), (int)(0x80 | (high & 0x3f)));
    for (unsigned first = 0x23; first < 0x5c; first++) {
        for (unsigned second = 0x23; second < 0x5c; second++)
            add(&draft, ",\"%c%c\":1", (int)first, (int)second);
    }
    add(&draft, ",\"\\u0001\":1,\"\\u0001\\u0001\":1,\"\\u007f\":1}");

    ck_assert_int_eq(finish(&draft), STELE_OK);
}
END_TEST

/* An inner object must neither see the keys around it nor spoil them. */
START_TEST(objects_inside_each_other_keep_their_keys_apart)
{
    for (unsigned repeated = 0; repeated <= 60; repeated++) {
        json_draft draft = { 0 };
        add(&draft, "{");
        for (unsigned i = 0; i < 60; i++) {
            add(&draft, "\"k%u\":{", i);
            for (unsigned j = 0; j < i; j++)
                add(&draft, "%s\"%sk%u\":[{\"k%u\":1}]", j == 0 ? "" : ",", j % 5 == 0 ? "\\n" : "",
                    j, j);
            add(&draft, "},");
        }
        add(&draft, "\"k%u\":null}", repeated);
        ck_assert_int_eq(finish(&draft), repeated < 60 ? STELE_INVALID : STELE_OK);
    }
}
END_TEST

/* How long it takes to check an object with all keys of 17 letters out of two. */
static double seconds_for_keys_of(char one, char other)
{
    json_draft draft = { 0 };
    for (unsigned i = 0; i < 1u << 17; i++) {
        char key[18] = "";
        for (unsigned bit = 0; bit < 17; bit++)
            key[bit] = (i >> bit & 1) != 0 ? one : other;
        add(&draft, "%c\"%s\":0", i == 0 ? '{' : ',', key);
    }
    add(&draft, "}");

    clock_t start = clock();
    ck_assert_int_eq(finish(&draft), STELE_OK);
    return (double)(clock() - start) / CLOCKS_PER_SEC;
}

/* 131072 keys that look alike: quadratic work would take minutes. */
START_TEST(hostile_keys_take_no_quadratic_time)
{
    ck_assert_double_lt(seconds_for_keys_of('a', 'b'), 20.0);
    ck_assert_double_lt(seconds_for_keys_of('@', 'A'), 20.0);
}
END_TEST

/* After a giant object a reader goes on as if new. */
START_TEST(a_reader_keeps_no_keys_from_the_text_before)
{
    json_draft draft = { 0 };
    for (unsigned i = 0; i < 1000; i++)
        add(&draft, "%c\"\\tkey %u\":%u", i == 0 ? '{' : ',', i, i);
    stele_json_reader *reader = NULL;
    ck_assert_int_eq(stele_json_open("", 0, NULL, &reader), STELE_OK);

    for (unsigned size = 20; size < 40; size++)
        ck_assert_int_eq(stele_json_reader_check(reader, draft.text, draft.size - size),
                         STELE_INVALID);
    add(&draft, "}");
    ck_assert_int_eq(stele_json_reader_check(reader, draft.text, draft.size), STELE_OK);
    ck_assert_int_eq(stele_json_reader_check(reader, draft.text, draft.size), STELE_OK);
    ck_assert_int_eq(stele_json_reader_check(reader, "{\"\\tkey 1\":1}", 13), STELE_OK);

    stele_json_close(reader);
    free(draft.text);
}
END_TEST

static Suite *json_keys_suite(void)
{
    Suite *suite = suite_create("json_keys");

    TCase *keys = tcase_create("keys");
    tcase_add_test(keys, a_key_that_comes_twice_is_found_wherever_both_stand);
    tcase_add_test(keys, of_100000_distinct_keys_none_is_refused_and_a_repeated_one_is_found);
    tcase_add_test(keys, a_key_is_the_same_however_it_is_spelled);
    tcase_add_test(keys, a_key_that_begins_another_is_another_key);
    tcase_add_test(keys, keys_that_differ_in_one_bit_are_different);
    tcase_add_test(keys, objects_inside_each_other_keep_their_keys_apart);
    tcase_add_test(keys, hostile_keys_take_no_quadratic_time);
    tcase_add_test(keys, a_reader_keeps_no_keys_from_the_text_before);
    suite_add_tcase(suite, keys);
    return suite;
}

int main(void)
{
    return run_suite(json_keys_suite());
}
