/* The bottom layer: reasons, buffers, names, checksums, options, files. */
#define _XOPEN_SOURCE 700 /* realpath() */
#include <stele.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/platform.h"
#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(each_status_has_a_name_and_a_sentence)
{
    for (int status = STELE_MOVED; status <= STELE_TIMED_OUT; status++) {
        ck_assert_str_ne(stele_status_name((stele_status)status), "UNKNOWN");
        ck_assert_uint_gt(strlen(stele_status_text((stele_status)status)), 5);
    }
    ck_assert_str_eq(stele_status_name(STELE_OK), "OK");
    ck_assert_str_eq(stele_status_name(STELE_CONFLICT), "CONFLICT");
    ck_assert_str_eq(stele_status_name(STELE_MISUSE), "MISUSE");
    ck_assert_str_eq(stele_status_name(STELE_READ_ONLY), "READ_ONLY");
    ck_assert_str_eq(stele_status_name(STELE_MOVED), "MOVED");
    ck_assert_str_eq(stele_status_name((stele_status)-999), "UNKNOWN");
    ck_assert_str_eq(stele_status_text((stele_status)999), "not a status");
}
END_TEST

START_TEST(reason_never_holds_what_could_harm_a_terminal)
{
    stele__fail(STELE_IO, "%s", "a\x1b[2Jb\nc\x7f \xc2\x9b \xff \xc3\xa9");

    ck_assert_str_eq(stele_error_text(), "a\\x1b[2Jb\\x0ac\\x7f \\xc2\\x9b \\xff \xc3\xa9");
}
END_TEST

START_TEST(long_reason_is_cut_between_characters)
{
    char text[2000];
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 3);

    stele__fail(STELE_IO, "%s", text);

    size_t size = strlen(stele_error_text());
    ck_assert_uint_lt(size, STELE__ERROR_SIZE);
    ck_assert_uint_gt(size, STELE__ERROR_SIZE - 10);
    ck_assert(stele__utf8_valid(stele_error_text(), size));
}
END_TEST

START_TEST(context_is_put_before_the_reason)
{
    stele__fail(STELE_IO, "no such %s", "thing");

    ck_assert_int_eq(stele__fail_within(STELE_FULL, "line %d", 7), STELE_FULL);

    ck_assert_str_eq(stele_error_text(), "line 7: no such thing");
}
END_TEST

static const struct {
    const char *text;
    size_t size;
    bool valid;
} utf8_texts[] = {
    { "", 0, true },
    { "plain", 5, true },
    { "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, true },
    { "\xf4\x8f\xbf\xbf", 4, true },
    { "\xed\x9f\xbf\xee\x80\x80", 6, true },
    { "\x80", 1, false },
    { "\xc0\x80", 2, false },
    { "\xc1\xbf", 2, false },
    { "\xe0\x9f\xbf", 3, false },
    { "\xed\xa0\x80", 3, false },
    { "\xf0\x8f\xbf\xbf", 4, false },
    { "\xf4\x90\x80\x80", 4, false },
    { "\xf5\x80\x80\x80", 4, false },
    { "\xe2\x82", 2, false },
    { "\xe2\x28\xa1", 3, false },
};

START_TEST(utf8_is_told_from_what_only_looks_like_it)
{
    ck_assert_int_eq(stele__utf8_valid(utf8_texts[_i].text, utf8_texts[_i].size),
                     utf8_texts[_i].valid);
}
END_TEST

START_TEST(buffer_keeps_what_was_added)
{
    stele__buffer buffer = { 0 };
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(stele__buffer_add_text(&buffer, "0123456789"), STELE_OK);
    ck_assert_uint_eq(buffer.size, 10000);
    ck_assert_int_eq(memcmp(buffer.data + 9990, "0123456789", 10), 0);

    ck_assert_int_eq(stele__buffer_reserve(&buffer, SIZE_MAX / 2), STELE_NO_MEMORY);

    ck_assert_uint_eq(buffer.size, 10000);
    stele__buffer_dispose(&buffer);
    ck_assert_ptr_null(buffer.data);
}
END_TEST

/* The file format is defined by these numbers. */
START_TEST(checksum_is_xxh3_with_64_bits)
{
    ck_assert_uint_eq(stele__hash("", 0), 0x2d06800538d394c2U);
    ck_assert_uint_eq(stele__hash_with("", 0, 0), stele__hash("", 0));
    ck_assert_uint_ne(stele__hash_with("a", 1, 1), stele__hash("a", 1));
}
END_TEST

static uint64_t digest_parts(size_t part_size, size_t count)
{
    static const char bytes[4096] = "payload";
    stele__digest digest;
    stele__digest_init(&digest);
    for (size_t i = 0; i < count; i++)
        stele__digest_bytes(&digest, bytes, part_size);
    return stele__digest_end(&digest);
}

START_TEST(digest_lays_fields_end_to_end)
{
    static const unsigned char laid_out[] = { 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
                                              0,    0,    0,    0,    0,    0,    0,    'a',  'b' };
    stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_number(&digest, -2);
    stele__digest_text(&digest, "ab");

    ck_assert_uint_eq(stele__digest_end(&digest), stele__hash(laid_out, sizeof(laid_out)));
}
END_TEST

START_TEST(digest_tells_fields_apart_at_any_size)
{
    static const size_t sizes[] = { 0, 1, 7, 1000, 1008, 1015, 1016, 1017, 1024, 1025, 4096 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (size_t count = 1; count < 5; count++) {
            ck_assert_uint_eq(digest_parts(sizes[i], count), digest_parts(sizes[i], count));
            ck_assert_uint_ne(digest_parts(sizes[i], count), digest_parts(sizes[i], count + 1));
            if (i > 0)
                ck_assert_uint_ne(digest_parts(sizes[i], count), digest_parts(sizes[i - 1], count));
        }
}
END_TEST

typedef struct small_options {
    size_t struct_size;
    int32_t first;
    int32_t second;
} small_options;

START_TEST(options_of_an_older_program_get_defaults_for_the_rest)
{
    small_options given = { offsetof(small_options, second), 7, 8 };
    small_options options = { sizeof(options), 1, 2 };

    ck_assert_int_eq(stele__options_take("o", &given, &options, sizeof(options)), STELE_OK);

    ck_assert_int_eq(options.first, 7);
    ck_assert_int_eq(options.second, 2);
    ck_assert_uint_eq(options.struct_size, sizeof(options));
}
END_TEST

START_TEST(options_without_their_size_are_misuse)
{
    small_options given = { 0, 7, 8 };
    small_options options = { sizeof(options), 1, 2 };

    ck_assert_int_eq(stele__options_take("o", &given, &options, sizeof(options)), STELE_MISUSE);

    ck_assert_str_eq(stele_error_text(), "o.struct_size is 0: begin with its initializer");
    ck_assert_int_eq(stele__options_take("o", NULL, &options, sizeof(options)), STELE_OK);
    ck_assert_int_eq(options.first, 1);
}
END_TEST

START_TEST(path_is_resolved_but_for_its_last_component)
{
    char *resolved = NULL;
    ck_assert_int_eq(mkdir(test_path("real"), 0700), 0);
    ck_assert_int_eq(symlink(test_path("real"), test_path("link")), 0);
    char *folder = realpath(test_path("real"), NULL);
    char expected[4096];
    snprintf(expected, sizeof(expected), "%s/file", folder);

    ck_assert_int_eq(stele__resolve_path(test_path("link/file"), &resolved), STELE_OK);

    ck_assert_str_eq(resolved, expected);
    stele__free(resolved);
    free(folder);
    ck_assert_int_eq(stele__resolve_path(test_path("none/file"), &resolved), STELE_NOT_FOUND);
    ck_assert_ptr_null(resolved);
    ck_assert_int_eq(stele__resolve_path("real/", &resolved), STELE_MISUSE);
    ck_assert_int_eq(stele__resolve_path("..", &resolved), STELE_MISUSE);
    ck_assert_int_eq(stele__resolve_path("/file", &resolved), STELE_OK);
    ck_assert_str_eq(resolved, "/file");
    stele__free(resolved);
}
END_TEST

START_TEST(new_file_belongs_to_its_owner_alone)
{
    struct stat facts;
    umask(0);

    ck_assert_int_eq(stele__create_file(test_path("new")), STELE_OK);

    ck_assert_int_eq(stat(test_path("new"), &facts), 0);
    ck_assert_int_eq(facts.st_mode & 0777, 0600);
    ck_assert_int_eq(stele__create_file(test_path("new")), STELE_OK);
    ck_assert_int_eq(stele__create_file(test_path("none/new")), STELE_NOT_FOUND);
}
END_TEST

START_TEST(look_at_a_file_does_not_follow_links)
{
    stele__file_facts facts;
    ck_assert_int_eq(symlink("nowhere", test_path("link")), 0);

    ck_assert_int_eq(stele__look_at_file(test_path("link"), &facts), STELE_OK);

    ck_assert(facts.exists && facts.link && !facts.regular);
    ck_assert_int_eq(stele__look_at_file(test_path("none"), &facts), STELE_OK);
    ck_assert(!facts.exists);
}
END_TEST

static Suite *base_suite(void)
{
    Suite *suite = suite_create("base");
    TCase *tests = tcase_create("base");
    tcase_add_checked_fixture(tests, NULL, remove_test_folder);
    tcase_add_test(tests, each_status_has_a_name_and_a_sentence);
    tcase_add_test(tests, reason_never_holds_what_could_harm_a_terminal);
    tcase_add_test(tests, long_reason_is_cut_between_characters);
    tcase_add_test(tests, context_is_put_before_the_reason);
    tcase_add_loop_test(tests, utf8_is_told_from_what_only_looks_like_it, 0,
                        (int)(sizeof(utf8_texts) / sizeof(utf8_texts[0])));
    tcase_add_test(tests, buffer_keeps_what_was_added);
    tcase_add_test(tests, checksum_is_xxh3_with_64_bits);
    tcase_add_test(tests, digest_lays_fields_end_to_end);
    tcase_add_test(tests, digest_tells_fields_apart_at_any_size);
    tcase_add_test(tests, options_of_an_older_program_get_defaults_for_the_rest);
    tcase_add_test(tests, options_without_their_size_are_misuse);
    tcase_add_test(tests, path_is_resolved_but_for_its_last_component);
    tcase_add_test(tests, new_file_belongs_to_its_owner_alone);
    tcase_add_test(tests, look_at_a_file_does_not_follow_links);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(base_suite());
}
