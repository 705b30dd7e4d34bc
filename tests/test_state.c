/* State entries: putting, getting and deleting them, their revisions and attributes. */
#include "states.h"

/* --- Putting and getting --- */

START_TEST(entry_never_put_is_not_found_and_no_failure)
{
    expect_gone("scope", "key", 0);
}
END_TEST

START_TEST(put_entry_is_got_as_it_was_put)
{
    static const char data[] = "a\0b\xFF\n";
    const stele_attribute attributes[] = { { "zone", "eu" }, { "author", NULL } };
    stele_put put = STELE_PUT_INIT;
    put.scope = "scope";
    put.key = "key";
    put.data = data;
    put.data_size = sizeof(data) - 1;
    put.attributes = attributes;
    put.attribute_count = 2;
    stele_written written;
    memset(&written, 0xAA, sizeof(written));

    assert_status(stele_state_put(store, &put, &written), STELE_OK);

    ck_assert_int_eq(written.revision, 1);
    ck_assert_int_gt(written.updated_at, 0);
    ck_assert(!written.found && !written.duplicate && !written.superseded);
    for (size_t i = 0; i < COUNT_OF(written.reserved); i++)
        ck_assert_int_eq(written.reserved[i], 0);
    const stele_entry *entry = get_entry("scope", "key");
    ck_assert(entry->found);
    ck_assert_str_eq(entry->codec, "raw");
    ck_assert_uint_eq(entry->data_size, sizeof(data) - 1);
    ck_assert_mem_eq(entry->data, data, sizeof(data)); /* with a NUL behind */
    ck_assert_int_eq(entry->updated_at, written.updated_at);
    ck_assert_uint_eq(entry->attribute_count, 2);
    ck_assert_str_eq(entry->attributes[0].name, "author");
    ck_assert_str_eq(entry->attributes[0].value, "");
    ck_assert_str_eq(stele_entry_attribute(entry, "zone"), "eu");
    ck_assert_ptr_null(stele_entry_attribute(entry, "zon"));
    ck_assert_ptr_null(stele_entry_attribute(entry, NULL));
    ck_assert_ptr_null(stele_entry_attribute(NULL, "zone"));
    stele_entry_close(entry);
}
END_TEST

START_TEST(each_write_gives_the_next_revision)
{
    for (int64_t revision = 1; revision <= 5; revision++)
        ck_assert_int_eq(put_text("scope", "key", "x"), revision);
    ck_assert_int_eq(put_text("scope", "other", "x"), 1);
    ck_assert_int_eq(put_text("another", "key", "x"), 1);
}
END_TEST

/* What was there before is replaced whole. */
START_TEST(put_replaces_value_codec_and_attributes)
{
    const stele_attribute attribute = { "a", "1" };
    stele_put put = make_put("scope", "key", "{\"n\":1}");
    put.codec = "json";
    put.attributes = &attribute;
    put.attribute_count = 1;
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);

    ck_assert_int_eq(put_text("scope", "key", ""), 2);

    const stele_entry *entry = get_entry("scope", "key");
    ck_assert(entry->found);
    ck_assert_str_eq(entry->codec, "raw");
    ck_assert_ptr_nonnull(entry->data);
    ck_assert_uint_eq(entry->data_size, 0);
    ck_assert_uint_eq(entry->attribute_count, 0);
    stele_entry_close(entry);
}
END_TEST

START_TEST(entry_got_is_independent_of_the_store_and_of_other_copies)
{
    put_text("scope", "key", "first");
    const stele_entry *one = get_entry("scope", "key");
    const stele_entry *other = get_entry("scope", "key");

    put_text("scope", "key", "second");
    stele_entry_close(other);
    close_store();

    ck_assert_str_eq(one->data, "first");
    stele_entry_close(one);
    stele_entry_close(NULL);
}
END_TEST

/* The caller's memory may change as soon as the call is over. */
START_TEST(put_keeps_nothing_of_the_caller)
{
    char data[] = "mine";
    char name[] = "name";
    stele_attribute attribute = { name, data };
    stele_put put = make_put("scope", "key", data);
    put.attributes = &attribute;
    put.attribute_count = 1;
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    memset(data, '#', 4);
    memset(name, '#', 4);

    const stele_entry *entry = get_entry("scope", "key");

    ck_assert_str_eq(entry->data, "mine");
    ck_assert_str_eq(stele_entry_attribute(entry, "name"), "mine");
    stele_entry_close(entry);
}
END_TEST

START_TEST(entries_are_there_after_reopening)
{
    close_store();
    open_in_file();
    put_text("scope", "key", "kept");
    put_text("scope", "key", "kept on");

    reopen_file();

    expect_text("scope", "key", "kept on", 2);
}
END_TEST

/* --- Expected revisions --- */

static stele_status put_expecting(int64_t revision, stele_written *written)
{
    stele_put put = make_put("scope", "key", "x");
    put.expected_revision = revision;
    memset(written, 0xAA, sizeof(*written));
    return stele_state_put(store, &put, written);
}

START_TEST(expected_revision_admits_that_revision_alone)
{
    stele_written written;
    assert_status(put_expecting(STELE_NO_ENTRY, &written), STELE_OK);
    assert_status(put_expecting(1, &written), STELE_OK);
    ck_assert_int_eq(written.revision, 2);

    const int64_t wrong[] = { STELE_NO_ENTRY, 1, 3, INT64_MAX };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_status(put_expecting(wrong[i], &written), STELE_CONFLICT);
        assert_reason_has("revision 2");
        ck_assert_int_eq(written.revision, 2);
        ck_assert(written.found);
        ck_assert_int_eq(written.updated_at, 0);
    }
    expect_text("scope", "key", "x", 2);
}
END_TEST

START_TEST(conflict_with_what_is_not_there_says_revision_0)
{
    stele_written written;
    assert_status(put_expecting(1, &written), STELE_CONFLICT);
    ck_assert_int_eq(written.revision, 0);
    ck_assert(!written.found);

    put_text("scope", "key", "x");
    delete_key("scope", "key", NULL);
    assert_status(put_expecting(2, &written), STELE_CONFLICT);
    ck_assert_int_eq(written.revision, 0);
    assert_status(put_expecting(STELE_NO_ENTRY, &written), STELE_OK);
    ck_assert_int_eq(written.revision, 3);
    ck_assert(!written.found);
}
END_TEST

/* --- Deleting --- */

START_TEST(deletion_counts_as_a_write_and_the_key_goes_on_from_there)
{
    put_text("scope", "key", "x");

    stele_written written = delete_key("scope", "key", NULL);

    ck_assert(written.found);
    ck_assert_int_eq(written.revision, 2);
    expect_gone("scope", "key", 2);
    ck_assert_int_eq(put_text("scope", "key", "again"), 3);
    expect_text("scope", "key", "again", 3);
}
END_TEST

START_TEST(deleting_what_is_not_there_is_ok_and_writes_nothing)
{
    stele_written never = delete_key("scope", "key", NULL);
    put_text("scope", "key", "x");
    delete_key("scope", "key", NULL);

    stele_written again = delete_key("scope", "key", NULL);

    ck_assert(!never.found && !again.found);
    ck_assert_int_eq(never.revision, 0);
    ck_assert_int_eq(again.revision, 2);
    expect_gone("scope", "key", 2);
}
END_TEST

START_TEST(deletion_with_a_revision_expects_it_of_what_is_there)
{
    stele_written written;
    stele_remove what = STELE_REMOVE_INIT;
    what.scope = "scope";
    what.key = "key";
    what.expected_revision = 1;
    put_text("scope", "key", "x");
    put_text("scope", "key", "x");

    assert_status(stele_state_delete(store, &what, &written), STELE_CONFLICT);
    ck_assert_int_eq(written.revision, 2);
    what.expected_revision = STELE_NO_ENTRY;
    assert_status(stele_state_delete(store, &what, &written), STELE_CONFLICT);
    what.expected_revision = 2;
    assert_status(stele_state_delete(store, &what, &written), STELE_OK);
    ck_assert(written.found);
    assert_status(stele_state_delete(store, &what, &written), STELE_OK);
    ck_assert(!written.found);
}
END_TEST

/* --- Attributes --- */

START_TEST(attributes_of_every_kind_come_back_in_the_order_of_their_names)
{
    enum { COUNT = STELE_ATTRIBUTE_COUNT_MAX };
    static char names[COUNT][8];
    static char values[COUNT][16];
    static stele_attribute attributes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "n%03d", (i * 7) % COUNT);
        snprintf(values[i], sizeof(values[i]), "\"\\%c\x7F\xC3\xA9%d", 1 + i % 31, i);
        attributes[i] = (stele_attribute){ names[i], values[i] };
    }
    stele_put put = make_put("scope", "key", "x");
    put.attributes = attributes;
    put.attribute_count = COUNT;

    assert_status(stele_state_put(store, &put, NULL), STELE_OK);

    const stele_entry *entry = get_entry("scope", "key");
    ck_assert_uint_eq(entry->attribute_count, COUNT);
    for (size_t i = 1; i < COUNT; i++)
        ck_assert_int_lt(strcmp(entry->attributes[i - 1].name, entry->attributes[i].name), 0);
    for (size_t i = 0; i < COUNT; i++)
        ck_assert_str_eq(stele_entry_attribute(entry, names[i]), values[i]);
    stele_entry_close(entry);
    put.attribute_count++;
    assert_status(stele_state_put(store, &put, NULL), STELE_TOO_LARGE);
}
END_TEST

START_TEST(wrong_attributes_are_misuse)
{
    static char too_long[257];
    memset(too_long, 'n', 256);
    const stele_attribute wrong[][2] = {
        { { "a", "1" }, { "a", "2" } },   { { NULL, "1" }, { "b", "" } },
        { { "", "1" }, { "b", "" } },     { { "a\n", "1" }, { "b", "" } },
        { { "a\xFF", "" }, { "b", "" } }, { { too_long, "" }, { "b", "" } },
        { { "a", "\xC3" }, { "b", "" } },
    };
    stele_put put = make_put("scope", "key", "x");
    put.attribute_count = 2;

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        put.attributes = wrong[i];
        assert_status(stele_state_put(store, &put, NULL), STELE_MISUSE);
    }
    put.attributes = NULL;
    assert_status(stele_state_put(store, &put, NULL), STELE_MISUSE);
    put.attributes = wrong[0];
    put.attribute_size = 4;
    assert_status(stele_state_put(store, &put, NULL), STELE_MISUSE);
    expect_gone("scope", "key", 0);
}
END_TEST

/* A newer program's attributes may be larger, as long as they ask for nothing new. */
START_TEST(larger_attributes_are_taken_when_their_rest_is_zero)
{
    struct newer {
        stele_attribute known;
        int64_t more;
    } newer[2] = { { { "b", "2" }, 0 }, { { "a", "1" }, 0 } };
    stele_put put = make_put("scope", "key", "x");
    put.attributes = &newer[0].known;
    put.attribute_count = 2;
    put.attribute_size = sizeof(newer[0]);

    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    const stele_entry *entry = get_entry("scope", "key");
    ck_assert_str_eq(stele_entry_attribute(entry, "a"), "1");
    stele_entry_close(entry);
    newer[1].more = 1;
    assert_status(stele_state_put(store, &put, NULL), STELE_MISUSE);
}
END_TEST

/* SQL's own functions see them, too. */
START_TEST(json_values_and_attributes_are_text_in_the_file)
{
    const stele_attribute attributes[] = { { "b", "2" }, { "a", "\"1\"" } };
    close_store();
    open_in_file();
    stele_put put = make_put("scope", "key", "{\"n\":[1,2]}");
    put.codec = "json";
    put.attributes = attributes;
    put.attribute_count = 2;
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    close_store();

    ck_assert_int_eq(sql_number(store_path(), "SELECT data ->> '$.n[1]' FROM state"), 2);
    ck_assert_int_eq(
        sql_number(store_path(),
                   "SELECT attributes = '{\"a\":\"\\\"1\\\"\",\"b\":\"2\"}' FROM state"),
        1);
    open_in_file();
}
END_TEST

/* --- Codecs and limits --- */

START_TEST(value_is_checked_as_its_codec_says)
{
    static const struct {
        const char *codec;
        const char *data;
        stele_status status;
    } cases[] = {
        { "json", "{\"a\":1}", STELE_OK }, { "json", "{", STELE_INVALID },
        { "json", "", STELE_OK },          { "cbor", "\xA0", STELE_OK },
        { "cbor", "\xFF", STELE_INVALID }, { "raw", "{", STELE_OK },
        { "nobody's", "x", STELE_OK },     { "", "x", STELE_MISUSE },
        { "a\nb", "x", STELE_MISUSE },
    };
    int64_t revision = 0;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        stele_put put = make_put("scope", "key", cases[i].data);
        put.codec = cases[i].codec;
        assert_status(stele_state_put(store, &put, NULL), cases[i].status);
        revision += cases[i].status == STELE_OK;
        const stele_entry *entry = get_entry("scope", "key");
        ck_assert_int_eq(entry->revision, revision);
        if (cases[i].status == STELE_OK)
            ck_assert_str_eq(entry->codec, cases[i].codec);
        stele_entry_close(entry);
    }
}
END_TEST

START_TEST(value_and_attributes_together_have_a_limit)
{
    static char data[101];
    stele_options options = STELE_OPTIONS_INIT;
    options.value_size_max = 100;
    close_store();
    store = open_path(":memory:", &options);
    memset(data, 'x', 100);
    stele_attribute attribute = { "a", "1" }; /* {"a":"1"} is 9 bytes */
    stele_put put = make_put("scope", "key", data);

    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    put.data_size = 101;
    assert_status(stele_state_put(store, &put, NULL), STELE_TOO_LARGE);
    put.attributes = &attribute;
    put.attribute_count = 1;
    put.data_size = 91;
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    put.data_size = 92;
    assert_status(stele_state_put(store, &put, NULL), STELE_TOO_LARGE);
    attribute.value = data;
    put.data_size = 0;
    assert_status(stele_state_put(store, &put, NULL), STELE_TOO_LARGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state");
    TCase *basics = add_case(suite, "putting and getting", open_in_memory);
    tcase_add_test(basics, entry_never_put_is_not_found_and_no_failure);
    tcase_add_test(basics, put_entry_is_got_as_it_was_put);
    tcase_add_test(basics, each_write_gives_the_next_revision);
    tcase_add_test(basics, put_replaces_value_codec_and_attributes);
    tcase_add_test(basics, entry_got_is_independent_of_the_store_and_of_other_copies);
    tcase_add_test(basics, put_keeps_nothing_of_the_caller);
    tcase_add_test(basics, entries_are_there_after_reopening);
    tcase_add_test(basics, expected_revision_admits_that_revision_alone);
    tcase_add_test(basics, conflict_with_what_is_not_there_says_revision_0);
    tcase_add_test(basics, deletion_counts_as_a_write_and_the_key_goes_on_from_there);
    tcase_add_test(basics, deleting_what_is_not_there_is_ok_and_writes_nothing);
    tcase_add_test(basics, deletion_with_a_revision_expects_it_of_what_is_there);
    TCase *contents = add_case(suite, "contents", open_in_memory);
    tcase_add_test(contents, attributes_of_every_kind_come_back_in_the_order_of_their_names);
    tcase_add_test(contents, wrong_attributes_are_misuse);
    tcase_add_test(contents, larger_attributes_are_taken_when_their_rest_is_zero);
    tcase_add_test(contents, json_values_and_attributes_are_text_in_the_file);
    tcase_add_test(contents, value_is_checked_as_its_codec_says);
    tcase_add_test(contents, value_and_attributes_together_have_a_limit);
    return run_suite(suite);
}
