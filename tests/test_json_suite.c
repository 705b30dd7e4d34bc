/*
 * A table of texts that are JSON and texts that are not, held against the gate, the reader, and the
 * tree: all three say the same, at the same byte.
 */
#include <stele/json.h>
#include <stele/tree.h>

#include "json_accepted.h"
#include "json_refused.h"
#include "support.h"

#include <cjson/cJSON.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

/* A copy with nothing behind it, so that a sanitizer sees every byte read beyond the text. */
static char *copy_exactly(const char *bytes, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    return copy;
}

/* Walk the text to its end, or to where it is refused. */
static stele_status walk(const char *text, size_t size, size_t *offset_out)
{
    stele_json_reader *reader = NULL;
    stele_json_token token;
    stele_status status = stele_json_open(text, size, NULL, &reader);
    ck_assert_int_eq(status, STELE_OK);
    while (status == STELE_OK)
        status = stele_json_next(reader, &token);
    *offset_out = stele_json_error_offset(reader);
    stele_json_close(reader);
    return status;
}

/* Read, print, read and print again: the second text is the first. */
static void expect_tree(const char *text, size_t size, const char *expected)
{
    stele_buffer first = STELE_BUFFER_INIT;
    stele_buffer second = STELE_BUFFER_INIT;
    cJSON *tree = NULL;
    ck_assert_msg(stele_tree_parse(text, size, NULL, &tree, NULL) == STELE_OK, "%s",
                  stele_error_text());
    ck_assert_int_eq(stele_tree_print(tree, &first), STELE_OK);
    cJSON_Delete(tree);
    ck_assert_str_eq(first.data, expected);

    ck_assert_int_eq(stele_tree_parse(first.data, first.size, NULL, &tree, NULL), STELE_OK);
    ck_assert_int_eq(stele_tree_print(tree, &second), STELE_OK);
    cJSON_Delete(tree);
    ck_assert_str_eq(second.data, first.data);
    stele_buffer_dispose(&first);
    stele_buffer_dispose(&second);
}

START_TEST(strict_json_is_accepted_and_comes_back_from_a_tree)
{
    size_t size = accepted[_i].size;
    char *text = copy_exactly(accepted[_i].text, size);
    size_t offset = 0;
    ck_assert_msg(stele_json_check(text, size, NULL) == STELE_OK, "%.*s: %s", (int)size, text,
                  stele_error_text());
    ck_assert_int_eq(walk(text, size, &offset), STELE_DONE);

    if (accepted[_i].tree == STELE_OK) {
        const char *printed = accepted[_i].printed;
        expect_tree(text, size, printed != NULL ? printed : accepted[_i].text);
    } else {
        cJSON *tree = NULL;
        ck_assert_int_eq(stele_tree_parse(text, size, NULL, &tree, NULL), accepted[_i].tree);
        ck_assert_ptr_null(tree);
    }
    free(text);
}
END_TEST

/* Where is as much a promise as that: people look there. */
START_TEST(anything_else_is_refused_at_its_first_wrong_byte)
{
    size_t size = refused[_i].size;
    char *text = copy_exactly(refused[_i].text, size);
    size_t offset = 0;
    ck_assert_msg(stele_json_check(text, size, NULL) == STELE_INVALID, "accepted: '%.*s'",
                  (int)size, text);
    ck_assert_int_eq(walk(text, size, &offset), STELE_INVALID);
    ck_assert_msg(offset == refused[_i].offset, "at byte %zu, not %zu: '%.*s'", offset,
                  refused[_i].offset, (int)size, text);

    cJSON *tree = NULL;
    stele_flaw flaw;
    ck_assert_int_eq(stele_tree_parse(text, size, NULL, &tree, &flaw), STELE_INVALID);
    ck_assert_ptr_null(tree);
    ck_assert_uint_eq(flaw.offset, refused[_i].offset);
    free(text);
}
END_TEST

/* All the escapes there are, and no other byte after a backslash. */
START_TEST(of_all_bytes_only_eight_may_follow_a_backslash)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        const char text[] = { '"', '\\', (char)byte, '"' };
        bool known = byte != 0 && strchr("\"\\/bfnrt", (int)byte) != NULL;
        ck_assert_msg((stele_json_check(text, sizeof text, NULL) == STELE_OK) == known,
                      "\\ and byte %u", byte);
    }
}
END_TEST

/* May the two begin a character? By the ranges of the table in the Unicode standard. */
static bool is_utf8_pair(unsigned lead, unsigned second)
{
    if (lead >= 0xc2 && lead <= 0xf4) {
        unsigned first = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        unsigned last = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        return second >= first && second <= last;
    }
    return false;
}

START_TEST(of_all_pairs_of_bytes_those_of_utf8_may_stand_in_a_string)
{
    for (unsigned lead = 0x80; lead < 256; lead++) {
        for (unsigned second = 0; second < 256; second++) {
            char text[8] = { '"', (char)lead, (char)second };
            size_t size = 3;
            for (unsigned more = lead >= 0xf0 ? 2 : lead >= 0xe0 ? 1 : 0; more > 0; more--)
                text[size++] = (char)0x80;
            text[size++] = '"';
            ck_assert_msg((stele_json_check(text, size, NULL) == STELE_OK)
                              == is_utf8_pair(lead, second),
                          "bytes 0x%02x 0x%02x", lead, second);
        }
    }
}
END_TEST

static Suite *json_suite(void)
{
    Suite *suite = suite_create("json_suite");

    TCase *texts = tcase_create("texts");
    tcase_add_loop_test(texts, strict_json_is_accepted_and_comes_back_from_a_tree, 0,
                        (int)(sizeof accepted / sizeof accepted[0]));
    tcase_add_loop_test(texts, anything_else_is_refused_at_its_first_wrong_byte, 0,
                        (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(texts, of_all_bytes_only_eight_may_follow_a_backslash);
    tcase_add_test(texts, of_all_pairs_of_bytes_those_of_utf8_may_stand_in_a_string);
    suite_add_tcase(suite, texts);
    return suite;
}

int main(void)
{
    return run_suite(json_suite());
}
