/* Where in a payload something is, as a flaw says it. */
#include "codec/path.h"

#include "support.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static stele__path path;
static char text[sizeof((stele_flaw *)0)->path];

static const char *show(void)
{
    memset(text, '#', sizeof text);
    stele__path_write(&path, text);
    ck_assert_ptr_nonnull(memchr(text, '\0', sizeof text));
    return text;
}

static void push_key(const char *key)
{
    stele__path_push_key(&path, key, strlen(key));
}

static void start(void)
{
    stele__path_init(&path);
}

START_TEST(path_is_keys_with_points_and_indexes_in_brackets)
{
    ck_assert_str_eq(show(), "");
    push_key("lines");
    ck_assert_str_eq(show(), "lines");
    stele__path_push_index(&path, 0);
    push_key("qty");
    ck_assert_str_eq(show(), "lines[0].qty");
    stele__path_pop(&path);
    stele__path_pop(&path);
    stele__path_push_index(&path, SIZE_MAX);
    stele__path_push_index(&path, 7);
    char expected[64];
    snprintf(expected, sizeof expected, "lines[%zu][7]", SIZE_MAX);
    ck_assert_str_eq(show(), expected);
    stele__path_pop(&path);
    stele__path_pop(&path);
    stele__path_pop(&path);
    ck_assert_str_eq(show(), "");
    stele__path_push_index(&path, 3);
    push_key("x");
    ck_assert_str_eq(show(), "[3].x");
}
END_TEST

START_TEST(key_that_would_mislead_is_quoted_and_what_no_terminal_should_get_is_escaped)
{
    push_key("a.b");
    push_key("");
    push_key("x[0]");
    push_key("\xC3\xA4 \xE2\x82\xAC");
    ck_assert_str_eq(show(), "[\"a.b\"][\"\"][\"x[0]\"].\xC3\xA4 \xE2\x82\xAC");
    stele__path_init(&path);
    stele__path_push_key(&path, "\x1b[2J\0\xff\xc2\x9b\x7f", 9);
    ck_assert_str_eq(show(), "[\"\\x1b[2J\\x00\\xff\\xc2\\x9b\\x7f\"]");
    stele__path_init(&path);
    stele__path_push_key(&path, NULL, 5);
    ck_assert_str_eq(show(), "[\"\"]");
}
END_TEST

/* Both ends say more than the middle: what it is in, and what it is. */
START_TEST(long_path_loses_its_middle_but_no_half_of_a_character)
{
    for (size_t shift = 0; shift < 6; shift++) {
        char key[401];
        memset(key, 'a', shift);
        for (size_t i = shift; i < 400; i++)
            key[i] = "\xE2\x82\xAC"[(i - shift) % 3];
        key[shift + (400 - shift) / 3 * 3] = '\0';
        stele__path_init(&path);
        push_key("first");
        push_key(key);
        push_key("last");
        ck_assert_uint_ge(strlen(show()), 235);
        ck_assert_int_eq(strncmp(text, "first.", 6), 0);
        ck_assert_str_eq(text + strlen(text) - 8, "\xE2\x82\xAC.last");
        char *gap = strstr(text, "...");
        ck_assert_ptr_nonnull(gap);
        ck_assert_mem_eq(gap - 3, "\xE2\x82\xAC", 3);
        ck_assert_mem_eq(gap + 3, "\xE2\x82\xAC", 3);
    }
}
END_TEST

START_TEST(path_of_239_bytes_is_whole_and_of_240_is_not)
{
    char key[241];
    memset(key, 'k', sizeof key);
    stele__path_push_key(&path, key, 239);
    ck_assert_uint_eq(strlen(show()), 239);
    ck_assert_ptr_null(strchr(text, '.'));
    stele__path_init(&path);
    stele__path_push_key(&path, key, 240);
    ck_assert_uint_eq(strlen(show()), 239);
    ck_assert_ptr_nonnull(strstr(text, "k...k"));
}
END_TEST

/* A path is as deep as a text likes, and its memory is not. */
START_TEST(deep_path_keeps_its_first_and_last_levels)
{
    for (size_t i = 0; i < 1000; i++) {
        static const char digits[] = "0123456789";
        stele__path_push_key(&path, digits + i % 10, 1);
    }
    ck_assert_str_eq(show(), "0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1..."
                             ".8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9");
    for (int i = 0; i < 30; i++)
        stele__path_pop(&path);
    ck_assert_str_eq(show(),
                     "0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1....8.9");

    /* What was in the middle is gone; what comes anew is known. */
    for (int i = 0; i < 900; i++)
        stele__path_pop(&path);
    ck_assert_str_eq(show(), "0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1...");
    push_key("new");
    ck_assert_str_eq(show(),
                     "0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1....new");
    for (int i = 0; i < 69; i++)
        stele__path_pop(&path);
    ck_assert_str_eq(show(), "0.1");
    push_key("x");
    ck_assert_str_eq(show(), "0.1.x");
}
END_TEST

START_TEST(flaw_is_filled_in_and_null_is_none)
{
    stele_flaw flaw;
    memset(&flaw, '#', sizeof flaw);
    stele__flaw_set(&flaw, 7, NULL);
    ck_assert_uint_eq(flaw.offset, 7);
    ck_assert_str_eq(flaw.path, "");
    push_key("a");
    stele__flaw_set(&flaw, 0, &path);
    ck_assert_uint_eq(flaw.offset, 0);
    ck_assert_str_eq(flaw.path, "a");
    stele__flaw_set(NULL, 1, &path);
}
END_TEST

static Suite *path_suite(void)
{
    Suite *suite = suite_create("path");
    TCase *paths = tcase_create("paths");
    tcase_add_checked_fixture(paths, start, NULL);
    tcase_add_test(paths, path_is_keys_with_points_and_indexes_in_brackets);
    tcase_add_test(paths,
                   key_that_would_mislead_is_quoted_and_what_no_terminal_should_get_is_escaped);
    tcase_add_test(paths, long_path_loses_its_middle_but_no_half_of_a_character);
    tcase_add_test(paths, path_of_239_bytes_is_whole_and_of_240_is_not);
    tcase_add_test(paths, deep_path_keeps_its_first_and_last_levels);
    tcase_add_test(paths, flaw_is_filled_in_and_null_is_none);
    suite_add_tcase(suite, paths);
    return suite;
}

int main(void)
{
    return run_suite(path_suite());
}
