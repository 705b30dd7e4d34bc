/* Printing a cJSON tree: whoever built it, the text is strict JSON, or there is none. */
#include <stele/tree.h>

#include "effort.h"
#include "json_tree.h"
#include "support.h"

#include <math.h>

START_TEST(print_adds_at_the_end_of_the_buffer)
{
    cJSON *tree = parse("[1]");
    ck_assert_int_eq(stele_buffer_add(&printed, "before ", 7), STELE_OK);
    ck_assert_int_eq(stele_tree_print(tree, &printed), STELE_OK);
    ck_assert_uint_eq(printed.size, 10);
    ck_assert_str_eq(printed.data, "before [1]");
    tree->child->valuedouble = NAN;
    ck_assert_int_eq(stele_tree_print(tree, &printed), STELE_INVALID);
    ck_assert_uint_eq(printed.size, 10);
    ck_assert_mem_eq(printed.data, "before [1]", 10);
    cJSON_Delete(tree);
}
END_TEST

START_TEST(print_of_null_is_misuse)
{
    cJSON *tree = cJSON_CreateNull();
    ck_assert_int_eq(stele_tree_print(NULL, &printed), STELE_MISUSE);
    ck_assert_int_eq(stele_tree_print(tree, NULL), STELE_MISUSE);
    cJSON_Delete(tree);
}
END_TEST

/* {"a":[0,ITEM]} */
static cJSON *wrap(cJSON *item)
{
    cJSON *tree = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(tree, "a");
    cJSON_AddItemToArray(list, cJSON_CreateNumber(0));
    cJSON_AddItemToArray(list, item);
    return tree;
}

static void expect_unprintable(cJSON *item, const char *error)
{
    ck_assert_int_eq(print_and_delete(wrap(item)), STELE_INVALID);
    ck_assert_str_eq(stele_error_text(), error);
}

START_TEST(what_json_does_not_have_is_invalid_and_the_path_says_where)
{
    expect_unprintable(cJSON_CreateNumber(NAN), "a[1]: JSON has no NaN");
    expect_unprintable(cJSON_CreateNumber(INFINITY), "a[1]: JSON has no infinity");
    expect_unprintable(cJSON_CreateNumber(-INFINITY), "a[1]: JSON has no infinity");
    expect_unprintable(cJSON_CreateString("a\xC3"),
                       "a[1]: string: invalid UTF-8 at byte 1 can't be quoted");

    cJSON *item = cJSON_CreateString("");
    cJSON_free(item->valuestring);
    item->valuestring = NULL;
    expect_unprintable(item, "a[1]: JSON tree with a string that is NULL");
    item = cJSON_CreateNull();
    item->type = cJSON_Invalid;
    expect_unprintable(item, "a[1]: JSON tree with an item of type 0");
    item = cJSON_CreateNull();
    item->type = cJSON_NULL | cJSON_True;
    expect_unprintable(item, "a[1]: JSON tree with an item of type 6");

    item = cJSON_CreateObject();
    cJSON_AddItemToArray(item, cJSON_CreateNull()); /* no key */
    expect_unprintable(item, "a[1][\"\"]: JSON tree with a key that is NULL");
    item = cJSON_CreateObject();
    cJSON_AddNullToObject(item, "\xFF");
    expect_unprintable(item, "a[1].\\xff: key: invalid UTF-8 at byte 0 can't be quoted");
}
END_TEST

START_TEST(key_that_comes_twice_is_invalid)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddNullToObject(item, "key");
    cJSON_AddNullToObject(item, "Key");
    cJSON *copy = cJSON_AddArrayToObject(item, "KEY");
    ck_assert_ptr_nonnull(copy);
    ck_assert_int_eq(stele_tree_print(item, &printed), STELE_OK);
    ck_assert_str_eq(printed.data, "{\"key\":null,\"Key\":null,\"KEY\":[]}");
    cJSON_AddTrueToObject(item, "key");
    expect_unprintable(item, "duplicate key 'key' at byte 40");

    /* so many that comparing each with each would take minutes */
    item = cJSON_CreateObject();
    for (int i = 0; i < 200000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        cJSON *member = cJSON_CreateNull();
        member->string = allocate_for_tree(sizeof key);
        memcpy(member->string, key, sizeof key);
        cJSON_AddItemToArray(item, member);
    }
    ck_assert_int_eq(print_and_delete(item), STELE_OK);
    ck_assert_uint_gt(printed.size, 200000);
}
END_TEST

START_TEST(raw_value_is_put_in_as_it_is_if_it_is_one_strict_value)
{
    ck_assert_int_eq(print_and_delete(wrap(cJSON_CreateRaw(" {\"x\": 9007199254740993} "))),
                     STELE_OK);
    ck_assert_str_eq(printed.data, "{\"a\":[0, {\"x\": 9007199254740993} ]}");

    static const char *const others[] = { "",  "1,2",  "1]",         "01",
                                          "]", "1 2 ", "{\"a\":1,}", "\"\xFF\"" };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        ck_assert_int_eq(print_and_delete(wrap(cJSON_CreateRaw(others[i]))), STELE_INVALID);
        ck_assert_int_eq(strncmp(stele_error_text(), "a[1]: raw value: ", 17), 0);
    }
    cJSON *item = cJSON_CreateRaw("1");
    cJSON_free(item->valuestring);
    item->valuestring = NULL;
    expect_unprintable(item, "a[1]: JSON tree with a raw value that is NULL");

    /* 62 levels fit below two */
    char *text = nest(62);
    ck_assert_int_eq(print_and_delete(wrap(cJSON_CreateRaw(text))), STELE_OK);
    free(text);
    text = nest(63);
    ck_assert_int_eq(print_and_delete(wrap(cJSON_CreateRaw(text))), STELE_TOO_LARGE);
    free(text);
}
END_TEST

static cJSON *build_nested(int depth)
{
    cJSON *tree = cJSON_CreateArray();
    for (int i = 1; i < depth; i++) {
        cJSON *outer = cJSON_CreateObject();
        cJSON_AddItemToObject(outer, "k", tree);
        tree = outer;
    }
    return tree;
}

START_TEST(print_of_64_levels_is_accepted_and_of_65_is_too_large)
{
    ck_assert_int_eq(print_and_delete(build_nested(64)), STELE_OK);
    ck_assert_uint_eq(printed.size, 63 * 6 + 2);
    cJSON_Delete(parse(printed.data));
    ck_assert_int_eq(print_and_delete(build_nested(65)), STELE_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(stele_error_text(), "nested deeper than 64 levels"));
}
END_TEST

START_TEST(ring_of_items_is_too_large)
{
    cJSON *tree = wrap(cJSON_CreateArray());
    cJSON *inner = cJSON_GetArrayItem(tree->child, 1);
    inner->child = tree;
    ck_assert_int_eq(stele_tree_print(tree, &printed), STELE_TOO_LARGE);
    inner->child = NULL;

    inner->next = inner;
    ck_assert_int_eq(stele_tree_print(tree, &printed), STELE_TOO_LARGE);
    inner->next = NULL;
    ck_assert_int_eq(stele_tree_print(tree, &printed), STELE_OK);
    ck_assert_str_eq(printed.data, "{\"a\":[0,[]]}");
    cJSON_Delete(tree);
}
END_TEST

START_TEST(items_after_the_root_and_items_lent_to_a_tree_are_no_matter)
{
    cJSON *lender = parse("{\"list\":[1,{\"x\":2}],\"after\":3}");
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddItemReferenceToObject(tree, "list", lender->child);
    ck_assert_int_eq(print_and_delete(tree), STELE_OK);
    ck_assert_str_eq(printed.data, "{\"list\":[1,{\"x\":2}]}");

    printed.size = 0;
    ck_assert_int_eq(stele_tree_print(lender->child, &printed), STELE_OK);
    ck_assert_str_eq(printed.data, "[1,{\"x\":2}]");
    cJSON_Delete(lender);
}
END_TEST

START_TEST(more_than_16_mib_is_too_large)
{
    size_t size = 16 * 1024 * 1024;
    char *text = malloc(size + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, 'a', size);
    text[size - 2] = '\0';
    ck_assert_int_eq(print_and_delete(cJSON_CreateString(text)), STELE_OK);
    ck_assert_uint_eq(printed.size, size);
    ck_assert_int_eq(print_and_delete(wrap(cJSON_CreateString(text))), STELE_TOO_LARGE);
    text[size - 2] = 'a';
    text[size] = '\0';
    ck_assert_int_eq(print_and_delete(cJSON_CreateString(text)), STELE_TOO_LARGE);
    memset(text, '\x01', size / 4);
    text[size / 4] = '\0';
    ck_assert_int_eq(print_and_delete(cJSON_CreateString(text)), STELE_TOO_LARGE);
    free(text);
}
END_TEST

/* Chances */

static cJSON *build_any(int depth)
{
    static const char *const words[] = { "", "a", "\xE2\x82\xAC", "\"\\/\b\f\n\r\t\x01\x7F", "0" };
    uint64_t chance = next_chance() >> 8;
    cJSON *tree = NULL;
    double number = 0;
    switch (depth == 0 ? chance % 6 : chance % 8) {
    case 0: return cJSON_CreateNull();
    case 1: return cJSON_CreateBool((int)(chance >> 8) % 2);
    case 2: return cJSON_CreateNumber((double)(int64_t)(next_chance() >> 11));
    case 3:
        chance = next_chance() & ~(UINT64_C(1) << 62); /* no infinity or NaN */
        memcpy(&number, &chance, sizeof number);
        return cJSON_CreateNumber(number);
    case 4: return cJSON_CreateNumber((double)(int64_t)(chance % 2000000) / 100);
    case 5: return cJSON_CreateString(words[(chance >> 8) % 5]);
    case 6: tree = cJSON_CreateArray(); break;
    default: tree = cJSON_CreateObject(); break;
    }
    for (uint64_t i = 0; i < (chance >> 8) % 6; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s%d", words[(chance >> 16) % 5], (int)i);
        if (cJSON_IsArray(tree))
            cJSON_AddItemToArray(tree, build_any(depth - 1));
        else
            cJSON_AddItemToObject(tree, key, build_any(depth - 1));
    }
    return tree;
}

/* On its own terms: cJSON_Compare() takes nearly equal numbers for equal. */
static bool is_same_tree(const cJSON *left, const cJSON *right)
{
    if (left->type != right->type)
        return false;
    if (cJSON_IsNumber(left)
        && memcmp(&left->valuedouble, &right->valuedouble, sizeof(double)) != 0)
        return false;
    if (cJSON_IsString(left) && strcmp(left->valuestring, right->valuestring) != 0)
        return false;
    const cJSON *other = right->child;
    for (const cJSON *item = left->child; item != NULL; item = item->next, other = other->next) {
        if (other == NULL || (item->string == NULL) != (other->string == NULL)
            || (item->string != NULL && strcmp(item->string, other->string) != 0)
            || !is_same_tree(item, other))
            return false;
    }
    return other == NULL;
}

START_TEST(random_trees_are_read_as_printed)
{
    uint64_t seed = choose_seed();
    int runs = effort_of(20000, 1000000);
    printf("trees: seed %" PRIu64 ", %d runs\n", seed, runs);
    for (int i = 0; i < runs; i++) {
        cJSON *tree = build_any(5);
        printed.size = 0;
        ck_assert_msg(stele_tree_print(tree, &printed) == STELE_OK, "%s", stele_error_text());
        cJSON *again = parse(printed.data);
        ck_assert_msg(is_same_tree(tree, again), "%s (seed %" PRIu64 ")", printed.data, seed);
        cJSON_Delete(tree);
        cJSON_Delete(again);
    }
}
END_TEST

static Suite *tree_print_suite(void)
{
    Suite *suite = suite_create("tree_print");

    TCase *printing = tcase_create("printing");
    tcase_add_checked_fixture(printing, NULL, dispose_printed);
    tcase_add_test(printing, print_adds_at_the_end_of_the_buffer);
    tcase_add_test(printing, print_of_null_is_misuse);
    tcase_add_test(printing, what_json_does_not_have_is_invalid_and_the_path_says_where);
    tcase_add_test(printing, key_that_comes_twice_is_invalid);
    tcase_add_test(printing, raw_value_is_put_in_as_it_is_if_it_is_one_strict_value);
    tcase_add_test(printing, print_of_64_levels_is_accepted_and_of_65_is_too_large);
    tcase_add_test(printing, ring_of_items_is_too_large);
    tcase_add_test(printing, items_after_the_root_and_items_lent_to_a_tree_are_no_matter);
    tcase_add_test(printing, more_than_16_mib_is_too_large);
    suite_add_tcase(suite, printing);

    TCase *chances = tcase_create("chances");
    tcase_set_timeout(chances, 3600);
    tcase_add_checked_fixture(chances, NULL, dispose_printed);
    tcase_add_test(chances, random_trees_are_read_as_printed);
    suite_add_tcase(suite, chances);
    return suite;
}

int main(void)
{
    count_tree_memory();
    return run_suite(tree_print_suite());
}
