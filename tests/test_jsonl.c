/* Importing lines: what is stored, what is refused and why, and what a second run does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <stele/eventstore.h>
#include <stele/jsonl.h>
#include <stele/store.h>

#include "import_source.h"
#include "support.h"

static stele_store *store;
static source input;

static void open_fixture(void)
{
    store = open_memory_store();
}

static void close_fixture(void)
{
    stele_store_close(store);
    store = NULL;
    remove_test_folder();
}

/* Import `text` into the store with defaults, which must go well. */
static stele_imported import_text(const char *text)
{
    stele_import import = import_of(&input, text);
    stele_imported imported;
    stele_status status = stele_store_import(store, &import, &imported);
    ck_assert_msg(status == STELE_OK, "%s", stele_error_text());
    return imported;
}

static void assert_stored(const char *expected)
{
    char *stored = export_all(store);
    ck_assert_str_eq(stored, expected);
    free(stored);
}

/* --- What is stored --- */

START_TEST(good_lines_are_stored_in_order)
{
    stele_imported imported =
        import_text("{\"stream\":\"a-1\",\"type\":\"opened\",\"data\":{\"n\":1}}\n"
                    "{\"type\":\"opened\",\"stream\":\"b-1\"}\n"
                    "{\"stream\":\"a-1\",\"type\":\"closed\",\"data\":null,\"metadata\":{}}\n");

    ck_assert_uint_eq(imported.lines, 3);
    ck_assert_uint_eq(imported.appended, 3);
    ck_assert_uint_eq(imported.rejected, 0);
    ck_assert_uint_eq(imported.bytes, input.size);
    ck_assert_str_eq(input.rejects, "");
    assert_stored("{\"stream\":\"a-1\",\"type\":\"opened\",\"time\":\"2024-02-29T12:00:00Z\","
                  "\"data\":{\"n\":1},\"position\":1,\"version\":1,\"schema_version\":1,"
                  "\"codec\":\"json\"}\n"
                  "{\"stream\":\"b-1\",\"type\":\"opened\",\"time\":\"2024-02-29T12:00:00Z\","
                  "\"position\":2,\"version\":1,\"schema_version\":1,\"codec\":\"json\"}\n"
                  "{\"stream\":\"a-1\",\"type\":\"closed\",\"time\":\"2024-02-29T12:00:00Z\","
                  "\"data\":null,\"metadata\":{},\"position\":3,\"version\":2,"
                  "\"schema_version\":1,\"codec\":\"json\"}\n");
}
END_TEST

START_TEST(all_fields_are_taken_over_but_position_and_version)
{
    import_text(" { \"codec\" : \"json\" , \"version\" : 99 , \"position\" : \"12\" ,"
                " \"schema_version\" : 3 , \"id\" : \"k\\u00f6\" , \"metadata\" : [ 1 ] ,"
                " \"data\" : { \"n\" : 12345678901234567890 } ,"
                " \"time\" : \"2000-01-01T01:00:00.10+01:00\" ,"
                " \"ty\\u0070e\" : \"op\\u0065ned\" , \"stream\" : \"a-\\ud83d\\ude00\" } ");
    assert_stored("{\"stream\":\"a-\xF0\x9F\x98\x80\",\"type\":\"opened\","
                  "\"time\":\"2000-01-01T00:00:00.1Z\",\"data\":{ \"n\" : 12345678901234567890 },"
                  "\"metadata\":[ 1 ],\"id\":\"k\xC3\xB6\",\"position\":1,\"version\":1,"
                  "\"schema_version\":3,\"codec\":\"json\"}\n");
}
END_TEST

START_TEST(base64_data_is_raw_unless_the_codec_is_given)
{
    import_text("{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"AP8=\"}\n"
                "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"\"}\n"
                "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"ewp9\",\"codec\":\"json\"}\n"
                "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"AP8\\/\",\"codec\":\"raw\","
                "\"metadata_b64\":\"IHt9\"}\n"
                "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"e30=\",\"codec\":\"json\"}\n"
                "{\"stream\":\"a-1\",\"type\":\"t\",\"codec\":\"raw\"}\n");
    ck_assert_str_eq(input.rejects, "");

    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    ck_assert_int_eq(stele_store_read(store, &read, &cursor), STELE_OK);
    const struct {
        const char *codec;
        size_t size;
        const char *data;
        const char *metadata;
    } expected[] = { { "raw", 2, "\0\xFF", "" }, { "raw", 0, "", "" },
                     { "json", 3, "{\n}", "" },  { "raw", 3, "\0\xFF\x3F", " {}" },
                     { "json", 2, "{}", "" },    { "raw", 0, "", "" } };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        ck_assert_int_eq(stele_cursor_next(cursor, &record), STELE_OK);
        ck_assert_str_eq(record->codec, expected[i].codec);
        ck_assert_uint_eq(record->data_size, expected[i].size);
        if (expected[i].size > 0)
            ck_assert_mem_eq(record->data, expected[i].data, expected[i].size);
        ck_assert_uint_eq(record->metadata_size, strlen(expected[i].metadata));
        ck_assert_str_eq(record->metadata, expected[i].metadata);
    }
    ck_assert_int_eq(stele_cursor_next(cursor, &record), STELE_DONE);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(blank_lines_are_ignored_but_numbered)
{
    stele_imported imported = import_text("\n \t\r\n{\"stream\":\"a-1\",\"type\":\"t\"}\r\n\n"
                                          "nonsense\n\n{\"stream\":\"a-1\",\"type\":\"t\"}\n  ");
    ck_assert_uint_eq(imported.lines, 3);
    ck_assert_uint_eq(imported.appended, 2);
    ck_assert_uint_eq(imported.rejected, 1);
    ck_assert_uint_eq(imported.bytes, input.size);
    ck_assert_mem_eq(input.rejects, "5: ", 3);
}
END_TEST

START_TEST(an_empty_input_is_imported)
{
    stele_imported imported = import_text("");
    ck_assert_uint_eq(imported.lines, 0);
    ck_assert_uint_eq(input.batches, 0);
    imported = import_text("\n\n");
    ck_assert_uint_eq(imported.lines, 0);
    ck_assert_uint_eq(imported.bytes, 2);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

/* --- What is refused --- */

static const struct {
    const char *line;
    const char *reason;
} bad_lines[] = {
    /* no JSON, or none that is strict */
    { "nonsense", "unexpected 'o'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\"", "unexpected end" },
    { "{\"stream\":\"a-1\",\"type\":\"t\"}}", "unexpected '}'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\"} {}", "unexpected '{'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",}", "unexpected '}'" },
    { "{'stream':'a-1','type':'t'}", "unexpected '''" },
    { "\xEF\xBB\xBF{\"stream\":\"a-1\",\"type\":\"t\"}", "byte order mark" },
    { "[]", "the line is not an object" },
    { "\"text\"", "the line is not an object" },
    { "null", "the line is not an object" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"type\":\"t\"}", "duplicate key 'type'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"d\\u0061ta\":1,\"data\":1}", "duplicate key 'data'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":{\"x\":{\"k\":1,\"k\":2}}}", "duplicate key" },
    { "{\"stream\":\"a-1\",\"type\":\"\xFF\"}", "UTF-8" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":\"\xC0\xAF\"}", "UTF-8" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":\"\xED\xA0\x80\"}", "UTF-8" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":\"\\ud800\"}", "surrogate" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":\"\\udc00x\"}", "surrogate" },
    { "{\"stream\":\"a-1\",\"type\":\"\\ud83dx\"}", "surrogate" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":\"\\u0000\"}", "NUL" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":\"a\tb\"}", "at byte" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":01}", "leading zero" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":+1}", "unexpected '+'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":.5}", "unexpected '.'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":1.}", "expected a digit" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":1e}", "expected a digit" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":-}", "expected a digit" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":0x1F}", "unexpected 'x'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":NaN}", "unexpected 'N'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":Infinity}", "unexpected 'I'" },
    /* the wrong fields */
    { "{}", "no 'stream'" },
    { "{\"type\":\"t\"}", "no 'stream'" },
    { "{\"stream\":\"a-1\"}", "no 'type'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"dta\":1}", "unknown field 'dta'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"Data\":1}", "unknown field 'Data'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"\":1}", "unknown field ''" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":1,\"data_b64\":\"\"}",
      "both 'data' and 'data_b64'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"metadata\":1,\"metadata_b64\":\"\"}",
      "both 'metadata' and 'metadata_b64'" },
    /* the wrong kinds */
    { "{\"stream\":7,\"type\":\"t\"}", "'stream' must be a string" },
    { "{\"stream\":{\"a\":1},\"type\":\"t\"}", "'stream' must be a string" },
    { "{\"stream\":\"a-1\",\"type\":null}", "'type' must be a string" },
    { "{\"stream\":\"a-1\",\"type\":[\"t\"]}", "'type' must be a string" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"time\":1709208000}", "'time' must be a string" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"id\":1}", "'id' must be a string" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"codec\":true}", "'codec' must be a string" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":null}", "'data_b64' must be a string" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"position\":1.5}", "'position' must be an integer" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"position\":null}", "'position' must be an integer" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"version\":\"x\"}", "'version' must be an integer" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"version\":[]}", "'version' must be an integer" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"position\":9007199254740992}", "'position': integer" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"schema_version\":0}",
      "'schema_version' must be at least 1" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"schema_version\":-1}",
      "'schema_version' must be at least 1" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"schema_version\":1e0}",
      "'schema_version' must be an integer" },
    /* the wrong values */
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"time\":\"yesterday\"}", "'time': 'yesterday' is not" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"time\":\"2024-02-30T00:00:00Z\"}", "no such day" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"time\":\"2024-01-01 00:00:00Z\"}", "'time'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"AA\"}", "'data_b64' is not base64" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"AA=\"}", "'data_b64' is not base64" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"A===\"}", "'data_b64' is not base64" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"====\"}", "'data_b64' is not base64" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"AB==\"}", "'data_b64' is not base64" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"AAB=\"}", "'data_b64' is not base64" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"AA==AA==\"}", "is not base64" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"AA-_\"}", "'data_b64' is not base64" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"AA\\nA\"}", "'data_b64' is not base64" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"metadata_b64\":\"!\"}", "'metadata_b64' is not" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":1,\"codec\":\"cbor\"}",
      "codec 'cbor' needs 'data_b64'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"ew==\",\"codec\":\"json\"}", "" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"metadata_b64\":\"ew==\"}", "" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"AAAA\",\"codec\":\"\"}", "codec" },
    /* the wrong names */
    { "{\"stream\":\"\",\"type\":\"t\"}", "stream" },
    { "{\"stream\":\"a-1\",\"type\":\"\"}", "type" },
    { "{\"stream\":\"a\\n1\",\"type\":\"t\"}", "control character" },
    { "{\"stream\":\"$stele\",\"type\":\"t\"}", "$" },
    { "{\"stream\":\"\\u0024mine-1\",\"type\":\"t\"}", "$" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"id\":\"$key\"}", "'id' may not start with '$'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"id\":\"\\u0024key\"}", "'id' may not start with '$'" },
    { "{\"stream\":\"a-1\",\"type\":\"t\",\"id\":\"\"}", "key" },
};

START_TEST(a_bad_line_is_skipped_and_reported_with_its_reason)
{
    char text[512];
    snprintf(text, sizeof(text), "%s\n%s\n%s\n", "{\"stream\":\"a-1\",\"type\":\"before\"}",
             bad_lines[_i].line, "{\"stream\":\"a-1\",\"type\":\"after\"}");
    stele_imported imported = import_text(text);

    ck_assert_uint_eq(imported.lines, 3);
    ck_assert_msg(imported.rejected == 1, "stored: %s", bad_lines[_i].line);
    ck_assert_uint_eq(imported.appended, 2);
    ck_assert_mem_eq(input.rejects, "2: ", 3);
    ck_assert_msg(strstr(input.rejects, bad_lines[_i].reason) != NULL, "%s: %s", bad_lines[_i].line,
                  input.rejects);
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

START_TEST(bad_lines_are_reported_in_their_order_whoever_refused_them)
{
    import_text("nonsense\n"
                "{\"stream\":\"$stele\",\"type\":\"t\"}\n"
                "{\"stream\":\"a-1\",\"type\":\"t\",\"id\":\"k\"}\n"
                "{\"stream\":\"a-1\"}\n"
                "{\"stream\":\"a-1\",\"type\":\"other\",\"id\":\"k\"}\n"
                "[]\n");
    const char *at = input.rejects;
    for (const char *number = "12456"; *number != '\0'; number++) {
        ck_assert_int_eq(*at, *number);
        at = strchr(at, '\n');
        ck_assert_ptr_nonnull(at);
        at++;
    }
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

START_TEST(unknown_fields_are_skipped_when_lenient_but_still_strict_json)
{
    stele_import import = import_of(
        &input, "{\"stream\":\"a-1\",\"more\":{\"x\":[1,2]},\"type\":\"t\",\"less\":null}\n"
                "{\"stream\":\"a-1\",\"more\":{\"x\":1,\"x\":2},\"type\":\"t\"}\n"
                "{\"stream\":\"a-1\",\"more\":1,\"type\":\"t\",\"m\\u006fre\":1}\n");
    import.lenient = true;
    stele_imported imported;
    ck_assert_int_eq(stele_store_import(store, &import, &imported), STELE_OK);
    ck_assert_uint_eq(imported.appended, 1);
    ck_assert_uint_eq(imported.rejected, 2);
}
END_TEST

START_TEST(a_long_unknown_field_is_cut_between_its_characters)
{
    char text[512] = "{\"stream\":\"a-1\",\"type\":\"t\",\"x";
    for (int i = 0; i < 100; i++)
        strcat(text, "\xC3\xB6");
    strcat(text, "\":1}");
    import_text(text);
    ck_assert_ptr_nonnull(strstr(input.rejects, "\xC3\xB6'...\n"));
    ck_assert_ptr_null(strstr(input.rejects, "\\x"));
}
END_TEST

/* As deep as a payload may be, the line that carries it is one deeper. */
START_TEST(a_payload_may_be_as_deep_as_append_allows)
{
    char text[512];
    for (int depth = 64; depth <= 65; depth++) {
        snprintf(text, sizeof(text), "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":");
        for (int i = 0; i < depth; i++)
            strcat(text, "[");
        for (int i = 0; i < depth; i++)
            strcat(text, "]");
        strcat(text, "}\n");
        ck_assert_uint_eq(import_text(text).rejected, depth == 64 ? 0 : 1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jsonl");
    TCase *stored = tcase_create("stored");
    tcase_add_checked_fixture(stored, open_fixture, close_fixture);
    tcase_add_test(stored, good_lines_are_stored_in_order);
    tcase_add_test(stored, all_fields_are_taken_over_but_position_and_version);
    tcase_add_test(stored, base64_data_is_raw_unless_the_codec_is_given);
    tcase_add_test(stored, blank_lines_are_ignored_but_numbered);
    tcase_add_test(stored, an_empty_input_is_imported);
    suite_add_tcase(suite, stored);

    TCase *refused = tcase_create("refused");
    tcase_add_checked_fixture(refused, open_fixture, close_fixture);
    tcase_add_loop_test(refused, a_bad_line_is_skipped_and_reported_with_its_reason, 0,
                        (int)(sizeof(bad_lines) / sizeof(bad_lines[0])));
    tcase_add_test(refused, bad_lines_are_reported_in_their_order_whoever_refused_them);
    tcase_add_test(refused, unknown_fields_are_skipped_when_lenient_but_still_strict_json);
    tcase_add_test(refused, a_long_unknown_field_is_cut_between_its_characters);
    tcase_add_test(refused, a_payload_may_be_as_deep_as_append_allows);
    suite_add_tcase(suite, refused);
    return run_suite(suite);
}
