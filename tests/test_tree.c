/* JSON as a cJSON tree: what is read, what is refused, and where. */
#include <stele/tree.h>

#include "comma_locale.h"
#include "json_tree.h"
#include "support.h"

#include <limits.h>

static const struct {
    const char *text;
    const char *printed; /* NULL: the same */
} texts[] = {
    { "null", NULL },
    { "true", NULL },
    { "false", NULL },
    { "0", NULL },
    { "-0", NULL },
    { "-0.0", "-0" },
    { "1.0", "1" },
    { "1.10", "1.1" },
    { "1e2", "100" },
    { "1E+02", "100" },
    { "0.1", NULL },
    { "19.99", NULL },
    { "-1234567.25", NULL },
    { "9007199254740991", NULL },
    { "-9007199254740991", NULL },
    { "1234567890123460", NULL },
    { "9007199254740992.0", "9.007199254740992e+15" },
    { "9.007199254740993e15", "9.007199254740992e+15" },
    { "1e23", "1e+23" },
    { "1.7976931348623157e308", "1.7976931348623157e+308" },
    { "5e-324", NULL },
    { "0.1000000000000000055511151231257827021181583404541015625", "0.1" },
    { "0.3333333333333333333333333333333333333333333333333333333333333333333333333333333",
      "0.3333333333333333" },
    { "\"\"", NULL },
    { "\"text\"", NULL },
    { "\"\\u00e9\\u0041\\/\\uD83D\\uDE00\\t\\u001f\\\"\\\\\"",
      "\"\xC3\xA9"
      "A/\xF0\x9F\x98\x80\\t\\u001f\\\"\\\\\"" },
    { "[]", NULL },
    { "{}", NULL },
    { " [ 1 , 2 ,\n3 ] ", "[1,2,3]" },
    { "[[],{},[[]],{\"a\":{}}]", NULL },
    { "{\"\":0}", NULL },
    { "{\"b\":1,\"a\":2,\"B\":3}", NULL },
    { "{\"a\\u0062\":1,\"\\n\":2}", "{\"ab\":1,\"\\n\":2}" },
    { "{\"lines\":[{\"qty\":1,\"price\":0.10},{\"qty\":2}],\"note\":null}",
      "{\"lines\":[{\"qty\":1,\"price\":0.1},{\"qty\":2}],\"note\":null}" },
};

START_TEST(text_comes_back_without_blanks_and_with_the_same_values)
{
    const char *expected = texts[_i].printed != NULL ? texts[_i].printed : texts[_i].text;
    ck_assert_int_eq(print_and_delete(parse(texts[_i].text)), STELE_OK);
    ck_assert_str_eq(printed.data, expected);

    char *again = strdup(printed.data);
    ck_assert_int_eq(print_and_delete(parse(again)), STELE_OK);
    ck_assert_str_eq(printed.data, again);
    free(again);
}
END_TEST

START_TEST(tree_is_one_that_cjson_understands)
{
    cJSON *tree = parse("{\"n\":-2.5,\"N\":3000000000,\"t\":[true,\"x\",null]}");

    ck_assert_int_eq(cJSON_GetArraySize(tree), 3);
    ck_assert(cJSON_GetObjectItemCaseSensitive(tree, "n")->valuedouble == -2.5);
    cJSON *large = cJSON_GetObjectItemCaseSensitive(tree, "N");
    ck_assert(large->valuedouble == 3000000000.0 && large->valueint == INT_MAX);
    cJSON *list = cJSON_GetObjectItemCaseSensitive(tree, "t");
    ck_assert(cJSON_IsTrue(cJSON_GetArrayItem(list, 0)));
    ck_assert_str_eq(cJSON_GetArrayItem(list, 1)->valuestring, "x");
    ck_assert(cJSON_IsNull(cJSON_GetArrayItem(list, 2)));
    ck_assert_ptr_null(cJSON_GetArrayItem(list, 0)->string);
    cJSON_DeleteItemFromObjectCaseSensitive(tree, "n");
    ck_assert_ptr_nonnull(cJSON_AddStringToObject(tree, "s", "added"));
    cJSON_AddItemToArray(list, cJSON_CreateNumber(1));
    ck_assert_int_eq(print_and_delete(tree), STELE_OK);
    ck_assert_str_eq(printed.data, "{\"N\":3000000000,\"t\":[true,\"x\",null,1],\"s\":\"added\"}");
}
END_TEST

static const struct {
    const char *text;
    stele_status status;
    size_t offset;
    const char *path;
    const char *error;
} refused[] = {
    { "9007199254740992", STELE_PRECISION, 0, "",
      "9007199254740992 at byte 0 is beyond +-(2^53 - 1)" },
    { "[1,-9007199254740992]", STELE_PRECISION, 3, "[1]",
      "[1]: -9007199254740992 at byte 3 is beyond +-(2^53 - 1)" },
    { "{\"lines\":[{\"qty\":1},{\"qty\":1491926160718000000}]}", STELE_PRECISION, 27,
      "lines[1].qty", "lines[1].qty: 1491926160718000000 at byte 27 is beyond +-(2^53 - 1)" },
    { "{\"a\":18446744073709551616,\"b\":1e999}", STELE_PRECISION, 5, "a",
      "a: 18446744073709551616 at byte 5 is beyond +-(2^53 - 1)" },
    { "{\"a\":[[[-1e400]]]}", STELE_PRECISION, 8, "a[0][0][0]",
      "a[0][0][0]: -1e400 at byte 8 is beyond the range of a double" },
    { "[0,1e-400]", STELE_PRECISION, 3, "[1]",
      "[1]: 1e-400 at byte 3 is beyond the range of a "
      "double" },
    { "11111111112222222222333333333344444444445", STELE_PRECISION, 0, "",
      "1111111111222222222233333333334444444444... at byte 0 is beyond +-(2^53 - 1)" },
    { "{\"a.b\":{\"\":[1e400]}}", STELE_PRECISION, 12, "[\"a.b\"][\"\"][0]", NULL },
    /* that it is no JSON comes first, wherever that is */
    { "[9007199254740992,]", STELE_INVALID, 18, "[1]",
      "[1]: unexpected ']' at byte 18, expected a value" },
    { "[1e400] x", STELE_INVALID, 8, "",
      "unexpected 'x' at byte 8, expected nothing after the value" },
    { "", STELE_INVALID, 0, "", "unexpected end of the text at byte 0, expected a value" },
    { "{\"a\":1} trailing", STELE_INVALID, 8, "", NULL },
    { "{\"a\":{\"b\":[1,01]}}", STELE_INVALID, 13, "a.b[1]",
      "a.b[1]: number with a leading zero at byte 13" },
    { "{\"a\":\"\\u0000\"}", STELE_INVALID, 6, "a", "a: escaped NUL at byte 6" },
    { "{\"a\":[{\"x\":1,\"x\":2}]}", STELE_INVALID, 13, "a[0]",
      "a[0]: duplicate key 'x' at byte 13" },
};

START_TEST(refusal_says_where)
{
    cJSON *tree = (cJSON *)&tree_memory;
    stele_flaw flaw;
    stele_status status =
        stele_tree_parse(refused[_i].text, strlen(refused[_i].text), NULL, &tree, &flaw);

    ck_assert_msg(status == refused[_i].status, "%s: %d", refused[_i].text, (int)status);
    ck_assert_ptr_null(tree);
    ck_assert_str_eq(flaw.path, refused[_i].path);
    ck_assert_uint_eq(flaw.offset, refused[_i].offset);
    if (refused[_i].error != NULL)
        ck_assert_str_eq(stele_error_text(), refused[_i].error);
    ck_assert_int_eq(
        stele_tree_parse(refused[_i].text, strlen(refused[_i].text), NULL, &tree, NULL), status);
}
END_TEST

START_TEST(parse_of_null_or_of_foreign_options_is_misuse)
{
    cJSON *tree = (cJSON *)&tree_memory;
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    ck_assert_int_eq(stele_tree_parse("1", 1, NULL, NULL, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_tree_parse(NULL, 1, NULL, &tree, NULL), STELE_MISUSE);
    ck_assert_ptr_null(tree);
    options.struct_size = 0;
    ck_assert_int_eq(stele_tree_parse("1", 1, &options, &tree, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_tree_parse(NULL, 0, NULL, &tree, NULL), STELE_INVALID);
}
END_TEST

static stele_status parse_nested(size_t depth, const stele_json_options *options)
{
    char *text = nest(depth);
    cJSON *tree = NULL;
    stele_flaw flaw;
    stele_status status = stele_tree_parse(text, 2 * depth, options, &tree, &flaw);
    ck_assert((tree != NULL) == (status == STELE_OK));
    ck_assert_str_eq(flaw.path, "");
    cJSON_Delete(tree);
    free(text);
    return status;
}

START_TEST(parse_beyond_the_limits_is_too_large)
{
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    ck_assert_int_eq(parse_nested(64, NULL), STELE_OK);
    ck_assert_int_eq(parse_nested(65, NULL), STELE_TOO_LARGE);
    options.depth_max = UINT32_MAX;
    ck_assert_int_eq(parse_nested(1000, &options), STELE_OK);
    ck_assert_int_eq(parse_nested(1001, &options), STELE_TOO_LARGE);
    options.size_max = 1999;
    ck_assert_int_eq(parse_nested(1000, &options), STELE_TOO_LARGE);
    options.depth_max = 3;
    ck_assert_int_eq(parse_nested(3, &options), STELE_OK);
    ck_assert_int_eq(parse_nested(4, &options), STELE_TOO_LARGE);
}
END_TEST

/* Memory */

static const char whole[] = "{\"lines\":[{\"qty\":1,\"sku\":\"a\\u0041\"},[],true,false,null],"
                            "\"note\":\"\\n\",\"more\":{\"\\u0062\":0.5}}";

START_TEST(every_allocation_of_cjson_may_fail_and_nothing_leaks)
{
    for (int64_t fail = 1;; fail++) {
        tree_memory.calls = 0;
        tree_memory.fail = fail;
        cJSON *tree = NULL;
        stele_status status = stele_tree_parse(whole, sizeof whole - 1, NULL, &tree, NULL);
        tree_memory.fail = 0;
        if (status == STELE_OK) {
            ck_assert_int_gt(fail, 20);
            cJSON_Delete(tree);
            break;
        }
        ck_assert_int_eq(status, STELE_NO_MEMORY);
        ck_assert_ptr_null(tree);
        ck_assert_int_eq(tree_memory.blocks, 0);
    }
}
END_TEST

/* Keys beyond what a reader holds from the start, and a depth too. */
START_TEST(every_allocation_of_the_library_may_fail_and_nothing_leaks)
{
    static const char deep[] = "{\"\\u0061\":[[[{\"b\":0}]]]}";
    int failures = 0;
    for (int64_t fail = 1;; fail++) {
        atomic_store(&own.calls, 0);
        atomic_store(&own.fail_first, fail);
        atomic_store(&own.fail_last, fail);
        cJSON *tree = NULL;
        stele_status status = stele_tree_parse(deep, sizeof deep - 1, NULL, &tree, NULL);
        if (status == STELE_OK) {
            stele_buffer buffer = STELE_BUFFER_INIT;
            status = stele_tree_print(tree, &buffer);
            ck_assert_uint_eq(buffer.size, status == STELE_OK ? 19 : 0);
            stele_buffer_dispose(&buffer);
            cJSON_Delete(tree);
        }
        atomic_store(&own.fail_first, 0);
        ck_assert_int_eq(atomic_load(&own.blocks), 0);
        ck_assert_int_eq(tree_memory.blocks, 0);
        if (status == STELE_OK)
            break;
        ck_assert_int_eq(status, STELE_NO_MEMORY);
        failures++;
    }
    ck_assert_int_ge(failures, 3);
}
END_TEST

START_TEST(the_locale_plays_no_part_in_trees)
{
    if (!enter_comma_locale())
        skip_test("no locale with a decimal comma can be made");
    char control[16];
    snprintf(control, sizeof control, "%.1f", 1.5);
    cJSON *tree = NULL;
    stele_status status = stele_tree_parse("[1.5,-2.25e-3]", 14, NULL, &tree, NULL);
    bool exact = tree != NULL && tree->child->valuedouble == 1.5
                 && tree->child->next->valuedouble == -0.00225;
    cJSON_Delete(tree);
    stele_status comma = stele_tree_parse("1,5", 3, NULL, &tree, NULL);
    cJSON *wrong = tree;
    stele_tree_parse("[1.5,-2.25e-3,1e300]", 20, NULL, &tree, NULL);
    leave_comma_locale();

    ck_assert_str_eq(control, "1,5");
    ck_assert_int_eq(status, STELE_OK);
    ck_assert(exact);
    ck_assert_int_eq(comma, STELE_INVALID);
    ck_assert_ptr_null(wrong);
    ck_assert_int_eq(print_and_delete(tree), STELE_OK);
    ck_assert_str_eq(printed.data, "[1.5,-0.00225,1e+300]");
}
END_TEST

static Suite *tree_suite(void)
{
    Suite *suite = suite_create("tree");

    TCase *reading = tcase_create("reading");
    tcase_add_checked_fixture(reading, NULL, dispose_printed);
    tcase_add_loop_test(reading, text_comes_back_without_blanks_and_with_the_same_values, 0,
                        (int)(sizeof texts / sizeof texts[0]));
    tcase_add_test(reading, tree_is_one_that_cjson_understands);
    tcase_add_loop_test(reading, refusal_says_where, 0, (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(reading, parse_of_null_or_of_foreign_options_is_misuse);
    tcase_add_test(reading, parse_beyond_the_limits_is_too_large);
    suite_add_tcase(suite, reading);

    TCase *memory = tcase_create("memory");
    tcase_add_checked_fixture(memory, NULL, dispose_printed);
    tcase_add_test(memory, every_allocation_of_cjson_may_fail_and_nothing_leaks);
    tcase_add_test(memory, every_allocation_of_the_library_may_fail_and_nothing_leaks);
    suite_add_tcase(suite, memory);

    TCase *locale = tcase_create("locale");
    tcase_add_checked_fixture(locale, NULL, dispose_printed);
    tcase_add_checked_fixture(locale, NULL, remove_test_folder);
    tcase_add_test(locale, the_locale_plays_no_part_in_trees);
    suite_add_tcase(suite, locale);
    return suite;
}

int main(void)
{
    count_tree_memory();
    return run_suite(tree_suite());
}
