/* Tables: what is wrong with one, what it says of itself, and the test of one with a value. */
#include "everything.h"
#include "order_types.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

/* --- Checking --- */

/* A table of two lines that the test spoils. */
typedef struct pair {
    int32_t left;
    uint16_t counts[4];
    uint8_t count;
    bool has_left;
} pair;

static stele_field pair_fields[2];
static stele_type pair_type;

static void set_pair(void)
{
    pair_fields[0] = (stele_field)STELE_F_HAS(pair, left, has_left, "left", 0);
    pair_fields[1] = (stele_field)STELE_F_VALUES(pair, counts, count, "counts", 0);
    pair_type = (stele_type){ sizeof(stele_type), sizeof(stele_field), "Pair", 1,
                              sizeof(pair),       pair_fields,         2,      0 };
}

static void assert_wrong(const char *what)
{
    ck_assert_int_eq(stele_type_check(&pair_type), STELE_MISUSE);
    ck_assert_msg(strstr(stele_error_text(), what) != NULL, "%s, not %s", stele_error_text(), what);
    /* Nothing is done with it. */
    pair value = { 0 };
    stele_buffer buffer = STELE_BUFFER_INIT;
    ck_assert_int_eq(stele_type_encode(&pair_type, &value, stele_codec_json(), &buffer, NULL),
                     STELE_MISUSE);
    ck_assert_int_eq(stele_type_json_schema(&pair_type, &buffer), STELE_MISUSE);
    ck_assert_int_eq(stele_type_selftest(&pair_type, &value), STELE_MISUSE);
    ck_assert_uint_eq(buffer.size, 0);
    stele_buffer_dispose(&buffer);
    set_pair();
    ck_assert_int_eq(stele_type_check(&pair_type), STELE_OK);
}

START_TEST(a_wrong_table_is_misuse_that_names_the_line)
{
    set_pair();
    pair_type.struct_size = 8;
    assert_wrong("of no known form");
    pair_type.field_size = 8;
    assert_wrong("of no known form");
    pair_type.name = "";
    assert_wrong("type");
    pair_type.name = NULL;
    assert_wrong("type");
    pair_type.schema_version = 0;
    assert_wrong("schema_version 0");
    pair_type.fields = NULL;
    assert_wrong("no lines");
    pair_type.size = 0;
    assert_wrong("no struct");
    pair_type.flags = 8;
    assert_wrong("unknown flags");
    pair_fields[1].name = "le\nft";
    assert_wrong("line 1");
    pair_fields[1].name = NULL;
    assert_wrong("line 1");
    pair_fields[1].name = "left";
    pair_fields[1].name_size = 4;
    assert_wrong("line 1, 'left': the name comes twice");
    pair_fields[1].name_size = 5;
    assert_wrong("line 1, 'counts': name_size");
    pair_fields[0].size = 3;
    assert_wrong("line 0, 'left': its kind and size");
    pair_fields[0].kind = (stele_kind)99;
    assert_wrong("line 0, 'left': its kind and size");
    pair_fields[0].kind = STELE_KIND_STRUCT;
    assert_wrong("its kind and size");
    pair_fields[0].kind = STELE_KIND_ENUM;
    assert_wrong("an enum without names");
    pair_fields[0].offset = sizeof(pair) - 2;
    assert_wrong("it isn't inside the struct");
    pair_fields[1].capacity = SIZE_MAX / 2;
    assert_wrong("it isn't inside the struct");
    pair_fields[1].count_offset = sizeof(pair);
    assert_wrong("it isn't inside the struct");
    pair_fields[0].has_offset = sizeof(pair);
    assert_wrong("it isn't inside the struct");
    pair_fields[1].capacity = 0;
    assert_wrong("no room for elements");
    pair_fields[1].count_size = 3;
    assert_wrong("the count is no integer");
    pair_fields[1].count_offset = STELE_NO_MEMBER;
    assert_wrong("a list without a count");
    pair_fields[0].count_offset = 0;
    pair_fields[0].count_size = 1;
    assert_wrong("a count that counts nothing");
    pair_fields[1].has_offset = 0;
    assert_wrong("a list with a 'has' member");
    pair_fields[1].shape = (stele_shape)7;
    assert_wrong("an unknown shape");
    pair_fields[0].flags = 64;
    assert_wrong("an unknown flag");
}
END_TEST

START_TEST(names_of_an_enum_are_names_and_differ)
{
    static const stele_enum_name twice[] = { { 1, "one" }, { 2, "one" } };
    static const stele_enum_name none[] = { { 1, "" } };
    stele_enum names = { twice, 2, false, 0 };
    set_pair();

    pair_fields[0].kind = STELE_KIND_ENUM;
    pair_fields[0].names = &names;
    assert_wrong("two values of its enum have one name");
    pair_fields[0].kind = STELE_KIND_ENUM;
    pair_fields[0].names = &names;
    names = (stele_enum){ none, 1, false, 0 };
    assert_wrong("line 0");
    static const stele_enum_name big[] = { { INT64_C(1) << 32, "big" } };
    static const stele_enum_name least[] = { { INT32_MIN, "least" }, { UINT32_MAX, "most" } };
    pair_fields[0].kind = STELE_KIND_ENUM;
    pair_fields[0].names = &names;
    names = (stele_enum){ big, 1, false, 0 };
    assert_wrong("a value of its enum doesn't fit");
    pair_fields[0].kind = STELE_KIND_ENUM;
    pair_fields[0].names = &names;
    names = (stele_enum){ least, 2, true, INT64_MIN };
    assert_wrong("its enum's unknown value doesn't fit");
    pair_fields[0].kind = STELE_KIND_ENUM;
    pair_fields[0].names = &names;
    names = (stele_enum){ least, 2, false, 0 };
    ck_assert_int_eq(stele_type_check(&pair_type), STELE_OK);
}
END_TEST

/* What is absent is zero, and has to be written again. */
START_TEST(what_is_optional_can_be_absent_or_the_table_is_wrong)
{
    static const stele_enum_name some[] = { { 1, "one" } };
    static const stele_enum_name both[] = { { 1, "one" }, { 0, "none" } };
    stele_enum names = { some, 1, false, 0 };
    typedef struct absent {
        int32_t kind;
        bool has;
        order_paid paid;
        char *texts[2];
    } absent;
    stele_field fields[] = { STELE_F_ENUM(absent, kind, "kind", names, STELE_OPTIONAL) };
    stele_type type = {
        sizeof(stele_type), sizeof(stele_field), "Absent", 1, sizeof(absent), fields, 1, 0
    };

    ck_assert_int_eq(stele_type_check(&type), STELE_MISUSE);
    ck_assert_msg(strstr(stele_error_text(), "'kind': an optional enum needs a name for 0") != NULL,
                  "%s", stele_error_text());
    names = (stele_enum){ both, 2, false, 0 };
    ck_assert_int_eq(stele_type_check(&type), STELE_OK);
    names = (stele_enum){ some, 1, false, 0 };
    fields[0] = (stele_field)STELE_F_HAS_ENUM(absent, kind, has, "kind", names, 0);
    ck_assert_int_eq(stele_type_check(&type), STELE_OK);
    fields[0] = (stele_field)STELE_F_STRUCT(absent, paid, "paid", order_paid_type, STELE_OPTIONAL);
    ck_assert_int_eq(stele_type_check(&type), STELE_MISUSE);
    ck_assert_msg(strstr(stele_error_text(), "an optional struct needs a 'has' member") != NULL,
                  "%s", stele_error_text());
    fields[0] = (stele_field)STELE_F_HAS_STRUCT(absent, paid, has, "paid", order_paid_type, 0);
    ck_assert_int_eq(stele_type_check(&type), STELE_OK);
    fields[0] = (stele_field)STELE_F_ARRAY(absent, texts, "texts", STELE_OPTIONAL);
    ck_assert_int_eq(stele_type_check(&type), STELE_MISUSE);
    ck_assert_msg(strstr(stele_error_text(), "may be NULL") != NULL, "%s", stele_error_text());
    fields[0].flags = STELE_REQUIRED;
    ck_assert_int_eq(stele_type_check(&type), STELE_OK);
}
END_TEST

START_TEST(a_table_that_it_refers_to_is_checked_too)
{
    set_pair();
    typedef struct outer {
        pair inner;
    } outer;
    typedef pair pair_type_value;
    stele_field fields[] = { STELE_F_STRUCT(outer, inner, "inner", pair_type, 0) };
    stele_type type = {
        sizeof(stele_type), sizeof(stele_field), "Outer", 1, sizeof(outer), fields, 1, 0
    };

    ck_assert_int_eq(stele_type_check(&type), STELE_OK);
    pair_fields[1].name = "\n";
    ck_assert_int_eq(stele_type_check(&type), STELE_MISUSE);
    ck_assert_msg(strstr(stele_error_text(), "'Pair'") != NULL, "%s", stele_error_text());
    ck_assert_int_eq(stele_type_check(NULL), STELE_MISUSE);
}
END_TEST

START_TEST(a_table_without_lines_is_an_empty_object)
{
    set_pair();
    pair_type.field_count = 0;
    pair_type.fields = NULL;
    pair value;

    ck_assert_int_eq(stele_type_selftest(&pair_type, &value), STELE_OK);
    ck_assert_int_eq(
        stele_type_decode(&pair_type, stele_codec_json(), "{\"any\":1}", 9, &value, NULL),
        STELE_OK);
}
END_TEST

/* --- Memory --- */

START_TEST(init_and_clear_leave_zero)
{
    static const everything zero;
    everything value;
    memset(&value, 0x55, sizeof(value));

    stele_type_init(&everything_type, &value);
    ck_assert_mem_eq(&value, &zero, sizeof(value));
    seed_chance(3);
    value = chance_everything();
    stele_type_clear(&everything_type, &value);
    ck_assert_mem_eq(&value, &zero, sizeof(value));
    stele_type_clear(&everything_type, &value);
    stele_type_clear(&everything_type, NULL);
    stele_type_clear(NULL, &value);
    stele_type_init(NULL, &value);
    stele_type_init(&everything_type, NULL);
}
END_TEST

START_TEST(allocated_memory_is_zero_and_nothing_is_null)
{
    unsigned char *memory = stele_type_allocate(100, 8);

    ck_assert_ptr_nonnull(memory);
    for (size_t i = 0; i < 800; i++)
        ck_assert_uint_eq(memory[i], 0);
    stele_type_release(memory);
    ck_assert_ptr_null(stele_type_allocate(0, 8));
    ck_assert_ptr_null(stele_type_allocate(8, 0));
    ck_assert_ptr_null(stele_type_allocate(SIZE_MAX, 2));
    stele_type_release(NULL);
}
END_TEST

/* --- What it says of itself --- */

START_TEST(the_schema_of_a_table_is_what_it_reads)
{
    stele_buffer buffer = STELE_BUFFER_INIT;

    ck_assert_int_eq(stele_type_json_schema(&order_placed_type, &buffer), STELE_OK);

    ck_assert_str_eq(
        buffer.data,
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$ref\":\"#/$defs/t0\","
        "\"$defs\":{\"t0\":{\"title\":\"OrderPlaced\",\"x-stele-schema-version\":2,"
        "\"type\":\"object\",\"properties\":{"
        "\"orderId\":{\"anyOf\":[{\"type\":\"integer\",\"minimum\":0,"
        "\"maximum\":9007199254740991},{\"type\":\"string\",\"pattern\":\"^(0|[1-9][0-9]*)$\"}]},"
        "\"key\":{\"type\":\"string\",\"contentEncoding\":\"base64\",\"minLength\":8,"
        "\"maxLength\":8,\"x-stele-secret\":true},"
        "\"note\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]},"
        "\"gift\":{\"anyOf\":[{\"type\":\"boolean\"},{\"type\":\"null\"}]},"
        "\"placedNs\":{\"anyOf\":[{\"type\":\"integer\",\"minimum\":-9007199254740991,"
        "\"maximum\":9007199254740991},{\"type\":\"string\","
        "\"pattern\":\"^-?(0|[1-9][0-9]*)$\"}]},"
        "\"state\":{\"anyOf\":[{\"type\":\"string\",\"enum\":[\"new\",\"paid\"]},"
        "{\"type\":\"null\"}]},"
        "\"discount\":{\"anyOf\":[{\"type\":\"number\"},{\"type\":\"null\"}]},"
        "\"lines\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/t1\"},\"maxItems\":3},"
        "\"codes\":{\"anyOf\":[{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":\"integer\","
        "\"minimum\":0,\"maximum\":65535},{\"type\":\"string\","
        "\"pattern\":\"^(0|[1-9][0-9]*)$\"}]}},{\"type\":\"null\"}]}},"
        "\"required\":[\"orderId\",\"key\",\"placedNs\",\"lines\"]},"
        "\"t1\":{\"title\":\"OrderLine\",\"x-stele-schema-version\":1,\"type\":\"object\","
        "\"properties\":{\"sku\":{\"type\":\"string\",\"maxLength\":7},"
        "\"qty\":{\"anyOf\":[{\"type\":\"integer\",\"minimum\":0,\"maximum\":4294967295},"
        "{\"type\":\"string\",\"pattern\":\"^(0|[1-9][0-9]*)$\"}]},"
        "\"price\":{\"anyOf\":[{\"type\":\"number\"},{\"type\":\"null\"}]}},"
        "\"required\":[\"sku\",\"qty\"]}}}");
    stele_buffer_dispose(&buffer);
}
END_TEST

START_TEST(the_schema_of_every_kind_is_strict_json)
{
    stele_buffer buffer = STELE_BUFFER_INIT;

    ck_assert_int_eq(stele_buffer_add(&buffer, " ", 1), STELE_OK);
    ck_assert_int_eq(stele_type_json_schema(&everything_type, &buffer), STELE_OK);
    ck_assert_int_eq(stele_json_check(buffer.data, buffer.size, NULL), STELE_OK);
    ck_assert_ptr_nonnull(strstr(buffer.data, "\"$ref\":\"#/$defs/t2\"")); /* itself */
    ck_assert_ptr_nonnull(strstr(buffer.data, "\"examples\":[\"red\",\"blue\",\"other\"]"));
    buffer.size = 0;
    ck_assert_int_eq(stele_type_json_schema(&order_paid_type, &buffer), STELE_OK);
    ck_assert_ptr_nonnull(strstr(buffer.data, "\"additionalProperties\":false"));
    ck_assert_int_eq(stele_type_json_schema(&order_paid_type, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_type_json_schema(NULL, &buffer), STELE_MISUSE);
    stele_buffer_dispose(&buffer);
}
END_TEST

/* --- The test of a table --- */

START_TEST(selftest_takes_what_comes_back_and_names_what_doesnt)
{
    seed_chance(7);
    everything value = chance_everything();
    ck_assert_int_eq(stele_type_selftest(&everything_type, &value), STELE_OK);
    value.text[0] = '\xff';
    value.text[1] = '\0';
    ck_assert_int_eq(stele_type_selftest(&everything_type, &value), STELE_INVALID);
    ck_assert_msg(strstr(stele_error_text(), "type 'Everything': it is not written as JSON: text")
                      != NULL,
                  "%s", stele_error_text());
    stele_type_clear(&everything_type, &value);
    ck_assert_int_eq(stele_type_selftest(&everything_type, NULL), STELE_MISUSE);
}
END_TEST

/* Two members in one place: each is written, the second one read wins. */
START_TEST(selftest_finds_a_table_whose_lines_overlap)
{
    set_pair();
    pair_fields[1] = (stele_field)STELE_F(pair, left, "right", 0);
    pair_fields[1].size = 1;
    pair value = { .left = 0x12345678, .has_left = true };
    pair_fields[1].offset = pair_fields[0].offset + 1;
    pair_fields[1].flags = STELE_OPTIONAL;
    pair_fields[1].has_offset = pair_fields[0].has_offset;
    ck_assert_int_eq(stele_type_selftest(&pair_type, &value), STELE_OK);

    /* And one that is read as another value than was written: an enum with two names a value. */
    static const stele_enum_name names[] = { { 0x12345678, "a" } };
    static const stele_enum wrong = { names, 1, true, 5 };
    set_pair();
    pair_fields[0].kind = STELE_KIND_ENUM;
    pair_fields[0].names = &wrong;
    value.left = 5;
    ck_assert_int_eq(stele_type_selftest(&pair_type, &value), STELE_INVALID);
    ck_assert_msg(strstr(stele_error_text(), "left: the enum's number 5 has no name") != NULL, "%s",
                  stele_error_text());
}
END_TEST

static Suite *tables_suite(void)
{
    Suite *suite = suite_create("tables");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, a_wrong_table_is_misuse_that_names_the_line);
    tcase_add_test(tcase, names_of_an_enum_are_names_and_differ);
    tcase_add_test(tcase, what_is_optional_can_be_absent_or_the_table_is_wrong);
    tcase_add_test(tcase, a_table_that_it_refers_to_is_checked_too);
    tcase_add_test(tcase, a_table_without_lines_is_an_empty_object);
    tcase_add_test(tcase, init_and_clear_leave_zero);
    tcase_add_test(tcase, allocated_memory_is_zero_and_nothing_is_null);
    tcase_add_test(tcase, the_schema_of_a_table_is_what_it_reads);
    tcase_add_test(tcase, the_schema_of_every_kind_is_strict_json);
    tcase_add_test(tcase, selftest_takes_what_comes_back_and_names_what_doesnt);
    tcase_add_test(tcase, selftest_finds_a_table_whose_lines_overlap);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(tables_suite());
}
