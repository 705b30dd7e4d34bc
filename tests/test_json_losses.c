/*
 * What other readers of JSON lose, one test a row: what the gate says of it, what a tree does with
 * it, and that a store keeps what it takes byte for byte.
 */
#include "contract.h"

#include <stele/tree.h>

#include <cjson/cJSON.h>

static stele_buffer printed;

static void close_all(void)
{
    stele_buffer_dispose(&printed);
    close_and_remove();
}

/* The gate accepts the text, and what is stored is the text. */
static void expect_verbatim(const char *text, size_t size)
{
    ck_assert_msg(stele_json_check(text, size, NULL) == STELE_OK, "%s", stele_error_text());

    stele_event event = make_event("noted", "");
    event.data = text;
    event.data_size = size;
    assert_status(append_event("text-1", &event), STELE_OK);
    stele_cursor *cursor = NULL;
    const stele_record *record = read_only_record("text-1", &cursor);
    ck_assert_uint_eq(record->data_size, size);
    ck_assert_mem_eq(record->data, text, size);
    stele_cursor_close(cursor);
}

/* Nobody takes it: not the gate, not a store, not a tree. */
static void expect_refused(const char *text, size_t size, stele_status status)
{
    ck_assert_int_eq(stele_json_check(text, size, NULL), status);

    stele_event event = make_event("noted", "");
    event.data = text;
    event.data_size = size;
    assert_status(append_event("text-1", &event), status);
    ck_assert_int_eq(head_of(store), 0);
    cJSON *tree = NULL;
    ck_assert_int_eq(stele_tree_parse(text, size, NULL, &tree, NULL), status);
    ck_assert_ptr_null(tree);
}

/* A tree would have to round it. */
static void expect_precision(const char *text, const char *path)
{
    cJSON *tree = NULL;
    stele_flaw flaw;
    ck_assert_int_eq(stele_tree_parse(text, strlen(text), NULL, &tree, &flaw), STELE_PRECISION);
    ck_assert_ptr_null(tree);
    ck_assert_str_eq(flaw.path, path);
}

static void expect_printed(const char *text, size_t size, const char *expected)
{
    cJSON *tree = NULL;
    ck_assert_msg(stele_tree_parse(text, size, NULL, &tree, NULL) == STELE_OK, "%s",
                  stele_error_text());
    printed.size = 0;
    ck_assert_int_eq(stele_tree_print(tree, &printed), STELE_OK);
    ck_assert_str_eq(printed.data, expected);
    cJSON_Delete(tree);
}

#define BYTES(literal) (literal), sizeof(literal) - 1

START_TEST(integer_9007199254740993_is_stored_and_no_tree_rounds_it)
{
    expect_verbatim(BYTES("9007199254740993"));
    expect_precision("9007199254740993", "");
    expect_precision("{\"id\":[9007199254740993]}", "id[0]");
}
END_TEST

START_TEST(integer_1491926160718000000_is_stored_and_no_tree_rounds_it)
{
    expect_verbatim(BYTES("{\"at\":1491926160718000000}"));
    expect_precision("{\"at\":1491926160718000000}", "at");
}
END_TEST

START_TEST(integer_1234567890123460_is_printed_with_all_its_digits)
{
    expect_verbatim(BYTES("1234567890123460"));
    expect_printed(BYTES("1234567890123460"), "1234567890123460");
    expect_printed(BYTES("{\"cents\":[-1234567890123460]}"), "{\"cents\":[-1234567890123460]}");
}
END_TEST

START_TEST(leading_zero_is_invalid)
{
    expect_refused(BYTES("01"), STELE_INVALID);
    expect_refused(BYTES("[-01]"), STELE_INVALID);
}
END_TEST

START_TEST(point_without_a_digit_after_it_is_invalid)
{
    expect_refused(BYTES("1."), STELE_INVALID);
    expect_refused(BYTES("[1.]"), STELE_INVALID);
}
END_TEST

START_TEST(anything_after_the_value_is_invalid)
{
    expect_refused(BYTES("{\"a\":1} trailing"), STELE_INVALID);
    expect_refused(BYTES("{\"a\":1}\0"), STELE_INVALID);
}
END_TEST

START_TEST(raw_tab_in_a_string_is_invalid)
{
    expect_refused(BYTES("\"a\tb\""), STELE_INVALID);
    expect_refused(BYTES("{\"a\tb\":1}"), STELE_INVALID);
}
END_TEST

START_TEST(number_1e400_is_stored_and_no_tree_makes_it_infinite)
{
    expect_verbatim(BYTES("1e400"));
    expect_precision("1e400", "");
    expect_precision("[0,-1e400]", "[1]");
}
END_TEST

START_TEST(escaped_nul_is_invalid)
{
    expect_refused(BYTES("\"a\\u0000b\""), STELE_INVALID);
    expect_refused(BYTES("{\"a\\u0000b\":1}"), STELE_INVALID);
}
END_TEST

START_TEST(byte_that_is_not_utf8_is_invalid)
{
    expect_refused(BYTES("\"a\xE4\""), STELE_INVALID);
    expect_refused(BYTES("{\"\xFF\":1}"), STELE_INVALID);
}
END_TEST

START_TEST(key_that_comes_twice_is_invalid)
{
    expect_refused(BYTES("{\"a\":1,\"a\":2}"), STELE_INVALID);
    expect_refused(BYTES("{\"a\":1,\"\\u0061\":1}"), STELE_INVALID);
}
END_TEST

START_TEST(keys_that_differ_in_case_only_are_told_apart)
{
    static const char text[] = "{\"key\":1,\"Key\":2,\"KEY\":3}";
    expect_verbatim(BYTES(text));
    expect_printed(BYTES(text), text);

    cJSON *tree = NULL;
    ck_assert_int_eq(stele_tree_parse(BYTES(text), NULL, &tree, NULL), STELE_OK);
    ck_assert(cJSON_GetObjectItemCaseSensitive(tree, "key")->valuedouble == 1);
    ck_assert(cJSON_GetObjectItemCaseSensitive(tree, "Key")->valuedouble == 2);
    ck_assert(cJSON_GetObjectItemCaseSensitive(tree, "KEY")->valuedouble == 3);
    cJSON_Delete(tree);
}
END_TEST

static char *nest(size_t depth)
{
    char *text = malloc(2 * depth + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
    return text;
}

START_TEST(depth_64_is_accepted_and_65_is_too_large)
{
    char *text = nest(65);
    expect_refused(text, 130, STELE_TOO_LARGE);
    free(text);
    text = nest(64);
    expect_verbatim(text, 128);
    expect_printed(text, 128, text);
    free(text);
}
END_TEST

START_TEST(depth_1000_is_accepted_when_asked_for_and_1001_is_too_large)
{
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    options.depth_max = 1000;
    char *text = nest(1000);
    cJSON *tree = NULL;
    ck_assert_int_eq(stele_json_check(text, 2000, &options), STELE_OK);
    ck_assert_int_eq(stele_tree_parse(text, 2000, &options, &tree, NULL), STELE_OK);
    int depth = 0;
    for (const cJSON *item = tree; item != NULL; item = item->child)
        depth++;
    ck_assert_int_eq(depth, 1000);
    cJSON_Delete(tree);
    free(text);

    text = nest(1001);
    ck_assert_int_eq(stele_json_check(text, 2002, &options), STELE_TOO_LARGE);
    ck_assert_int_eq(stele_tree_parse(text, 2002, &options, &tree, NULL), STELE_TOO_LARGE);
    ck_assert_ptr_null(tree);
    free(text);
}
END_TEST

static Suite *json_losses_suite(void)
{
    Suite *suite = suite_create("json_losses");

    TCase *rows = tcase_create("rows");
    tcase_add_checked_fixture(rows, open_in_memory, close_all);
    tcase_add_test(rows, integer_9007199254740993_is_stored_and_no_tree_rounds_it);
    tcase_add_test(rows, integer_1491926160718000000_is_stored_and_no_tree_rounds_it);
    tcase_add_test(rows, integer_1234567890123460_is_printed_with_all_its_digits);
    tcase_add_test(rows, leading_zero_is_invalid);
    tcase_add_test(rows, point_without_a_digit_after_it_is_invalid);
    tcase_add_test(rows, anything_after_the_value_is_invalid);
    tcase_add_test(rows, raw_tab_in_a_string_is_invalid);
    tcase_add_test(rows, number_1e400_is_stored_and_no_tree_makes_it_infinite);
    tcase_add_test(rows, escaped_nul_is_invalid);
    tcase_add_test(rows, byte_that_is_not_utf8_is_invalid);
    tcase_add_test(rows, key_that_comes_twice_is_invalid);
    tcase_add_test(rows, keys_that_differ_in_case_only_are_told_apart);
    tcase_add_test(rows, depth_64_is_accepted_and_65_is_too_large);
    tcase_add_test(rows, depth_1000_is_accepted_when_asked_for_and_1001_is_too_large);
    suite_add_tcase(suite, rows);
    return suite;
}

int main(void)
{
    return run_suite(json_losses_suite());
}
