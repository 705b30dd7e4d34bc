/* A record as a line: the exact bytes, for records made by hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <stele/jsonl.h>

#include "support.h"

static stele_exporter *exporter;

static void open_exporter(void)
{
    ck_assert_int_eq(stele_exporter_open(&exporter), STELE_OK);
}

static void close_exporter(void)
{
    stele_exporter_close(exporter);
    exporter = NULL;
}

/* An event of 2024 with an empty JSON object. */
static stele_record plain_record(void)
{
    return (stele_record){ .position = 7,
                           .version = 3,
                           .stream = "account-7",
                           .type = "opened",
                           .codec = "json",
                           .schema_version = 1,
                           .recorded_at = INT64_C(1709208000000000),
                           .data = "{}",
                           .data_size = 2,
                           .metadata = "" };
}

static void assert_line(const stele_record *record, const char *expected)
{
    const char *line = NULL;
    size_t size = 0;
    stele_status status = stele_exporter_line(exporter, record, &line, &size);
    ck_assert_msg(status == STELE_OK, "%s", stele_error_text());
    char *text = malloc(size + 1);
    ck_assert_ptr_nonnull(text);
    memcpy(text, line, size);
    text[size] = '\0';
    ck_assert_str_eq(text, expected);
    free(text);
}

/* The record's payload as it stands in the line, between time and position. */
static void assert_payload(const char *codec, const char *data, size_t size, const char *expected)
{
    stele_record record = plain_record();
    record.codec = codec;
    record.data = data;
    record.data_size = size;
    char line[1024];
    snprintf(line, sizeof(line),
             "{\"stream\":\"account-7\",\"type\":\"opened\",\"time\":\"2024-02-29T12:00:00Z\"%s,"
             "\"position\":7,\"version\":3,\"schema_version\":1,\"codec\":\"%s\"}\n",
             expected, codec);
    assert_line(&record, line);
}

START_TEST(a_line_has_all_fields_in_their_order)
{
    stele_record record = plain_record();
    record.data = "{ \"owner\": \"Ada\",\t\"limit\": 1e3 }";
    record.data_size = strlen(record.data);
    record.metadata = "[1, 2]";
    record.metadata_size = 6;
    record.occurred_at = INT64_C(1709208000123450);
    record.has_occurred_at = true;
    record.schema_version = 2;
    record.idempotency_key = "open/7";

    assert_line(&record, "{\"stream\":\"account-7\",\"type\":\"opened\","
                         "\"time\":\"2024-02-29T12:00:00.12345Z\","
                         "\"data\":{ \"owner\": \"Ada\",\t\"limit\": 1e3 },\"metadata\":[1, 2],"
                         "\"id\":\"open/7\",\"position\":7,\"version\":3,\"schema_version\":2,"
                         "\"codec\":\"json\"}\n");
}
END_TEST

START_TEST(the_time_is_when_it_occurred_or_else_when_it_was_recorded)
{
    stele_record record = plain_record();
    record.occurred_at = 0;
    record.has_occurred_at = true;
    assert_line(&record, "{\"stream\":\"account-7\",\"type\":\"opened\","
                         "\"time\":\"1970-01-01T00:00:00Z\",\"data\":{},\"position\":7,"
                         "\"version\":3,\"schema_version\":1,\"codec\":\"json\"}\n");
    assert_payload("json", "{}", 2, ",\"data\":{}");
}
END_TEST

START_TEST(names_are_quoted_and_kept_in_utf8)
{
    stele_record record = plain_record();
    record.stream = "k\xC3\xB6nto-\"1\"";
    record.type = "\xE2\x82\xAC\\\xF0\x9F\x98\x80";
    record.idempotency_key = "a/\xE2\x80\xA8";
    assert_line(&record, "{\"stream\":\"k\xC3\xB6nto-\\\"1\\\"\","
                         "\"type\":\"\xE2\x82\xAC\\\\\xF0\x9F\x98\x80\","
                         "\"time\":\"2024-02-29T12:00:00Z\",\"data\":{},\"id\":\"a/\xE2\x80\xA8\","
                         "\"position\":7,\"version\":3,\"schema_version\":1,\"codec\":\"json\"}\n");
}
END_TEST

START_TEST(the_longest_names_of_escapes_fit)
{
    char name[STELE_NAME_SIZE_MAX + 1];
    memset(name, '"', STELE_NAME_SIZE_MAX);
    name[STELE_NAME_SIZE_MAX] = '\0';
    stele_record record = plain_record();
    record.stream = record.type = record.codec = record.idempotency_key = name;

    const char *line = NULL;
    size_t size = 0;
    ck_assert_int_eq(stele_exporter_line(exporter, &record, &line, &size), STELE_OK);
    ck_assert_uint_gt(size, 4 * 2 * STELE_NAME_SIZE_MAX);
    ck_assert_mem_eq(line + size - 5, "\\\"\"}\n", 5);
}
END_TEST

START_TEST(an_empty_json_payload_is_left_out)
{
    assert_payload("json", "", 0, "");
}
END_TEST

START_TEST(other_codecs_are_base64_also_when_empty)
{
    assert_payload("raw", "", 0, ",\"data_b64\":\"\"");
    assert_payload("raw", "f", 1, ",\"data_b64\":\"Zg==\"");
    assert_payload("raw", "fo", 2, ",\"data_b64\":\"Zm8=\"");
    assert_payload("raw", "foo", 3, ",\"data_b64\":\"Zm9v\"");
    assert_payload("raw", "foob", 4, ",\"data_b64\":\"Zm9vYg==\"");
    assert_payload("raw", "fooba", 5, ",\"data_b64\":\"Zm9vYmE=\"");
    assert_payload("raw", "foobar", 6, ",\"data_b64\":\"Zm9vYmFy\"");
    assert_payload("cbor", "\x00\x10\x83\xFB\xFF\xFE", 6, ",\"data_b64\":\"ABCD+//+\"");
}
END_TEST

/* A line can't hold a line break, and its reader drops the blanks around a value. */
START_TEST(json_that_a_line_cannot_hold_verbatim_is_base64)
{
    assert_payload("json", "{\n}", 3, ",\"data_b64\":\"ewp9\"");
    assert_payload("json", "{\r}", 3, ",\"data_b64\":\"ew19\"");
    assert_payload("json", " {}", 3, ",\"data_b64\":\"IHt9\"");
    assert_payload("json", "{}\t", 3, ",\"data_b64\":\"e30J\"");
    assert_payload("json", "\n1", 2, ",\"data_b64\":\"CjE=\"");

    assert_payload("json", "\" \\n\"", 5, ",\"data\":\" \\n\"");
    assert_payload("json", "[ \t ]", 5, ",\"data\":[ \t ]");
}
END_TEST

START_TEST(metadata_that_a_line_cannot_hold_verbatim_is_base64)
{
    stele_record record = plain_record();
    record.codec = "raw";
    record.metadata = "{\n}";
    record.metadata_size = 3;
    assert_line(&record,
                "{\"stream\":\"account-7\",\"type\":\"opened\","
                "\"time\":\"2024-02-29T12:00:00Z\",\"data_b64\":\"e30=\","
                "\"metadata_b64\":\"ewp9\",\"position\":7,\"version\":3,\"schema_version\":1,"
                "\"codec\":\"raw\"}\n");
}
END_TEST

START_TEST(keys_of_the_library_are_not_written)
{
    stele_record record = plain_record();
    record.idempotency_key = "$import/1";
    assert_line(&record, "{\"stream\":\"account-7\",\"type\":\"opened\","
                         "\"time\":\"2024-02-29T12:00:00Z\",\"data\":{},\"position\":7,"
                         "\"version\":3,\"schema_version\":1,\"codec\":\"json\"}\n");
}
END_TEST

START_TEST(integers_that_json_readers_round_are_strings)
{
    stele_record record = plain_record();
    record.position = INT64_C(9007199254740991);
    record.version = INT64_C(9007199254740992);
    record.schema_version = INT64_MAX;
    assert_line(&record,
                "{\"stream\":\"account-7\",\"type\":\"opened\","
                "\"time\":\"2024-02-29T12:00:00Z\",\"data\":{},\"position\":9007199254740991,"
                "\"version\":\"9007199254740992\",\"schema_version\":\"9223372036854775807\","
                "\"codec\":\"json\"}\n");
}
END_TEST

START_TEST(there_is_no_line_for_data_that_is_gone)
{
    const char *line = "";
    size_t size = 1;
    stele_record record = plain_record();
    record.flags = STELE_RECORD_ARCHIVED;
    ck_assert_int_eq(stele_exporter_line(exporter, &record, &line, &size), STELE_ARCHIVED);
    ck_assert_ptr_null(line);
    ck_assert_uint_eq(size, 0);

    record.flags = STELE_RECORD_ERASED | STELE_RECORD_ARCHIVED;
    ck_assert_int_eq(stele_exporter_line(exporter, &record, &line, &size), STELE_NOT_FOUND);
    ck_assert_str_eq(stele_error_text(), "the data of position 7 was deleted");

    record.flags = STELE_RECORD_CLOCK_BACK;
    ck_assert_int_eq(stele_exporter_line(exporter, &record, &line, &size), STELE_OK);
}
END_TEST

START_TEST(the_buffer_grows_once_and_is_used_again)
{
    size_t large_size = (size_t)3 * 1024 * 1024;
    char *large = malloc(large_size);
    ck_assert_ptr_nonnull(large);
    memset(large, 0xFF, large_size);
    stele_record record = plain_record();
    record.codec = "raw";
    record.data = large;
    record.data_size = large_size;

    const char *first = NULL;
    const char *second = NULL;
    size_t size = 0;
    ck_assert_int_eq(stele_exporter_line(exporter, &record, &first, &size), STELE_OK);
    ck_assert_uint_gt(size, large_size / 3 * 4);
    free(large);

    record = plain_record();
    ck_assert_int_eq(stele_exporter_line(exporter, &record, &second, &size), STELE_OK);
    ck_assert_ptr_eq(first, second);
    assert_payload("json", "{}", 2, ",\"data\":{}");
}
END_TEST

START_TEST(an_argument_that_breaks_the_contract_is_misuse)
{
    const char *line = NULL;
    size_t size = 0;
    stele_record record = plain_record();
    ck_assert_int_eq(stele_exporter_open(NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_exporter_line(NULL, &record, &line, &size), STELE_MISUSE);
    ck_assert_int_eq(stele_exporter_line(exporter, NULL, &line, &size), STELE_MISUSE);
    ck_assert_int_eq(stele_exporter_line(exporter, &record, NULL, &size), STELE_MISUSE);
    ck_assert_int_eq(stele_exporter_line(exporter, &record, &line, NULL), STELE_MISUSE);
    record.data = NULL;
    ck_assert_int_eq(stele_exporter_line(exporter, &record, &line, &size), STELE_MISUSE);
    record = plain_record();
    record.type = "not UTF-8: \xFF";
    ck_assert_int_eq(stele_exporter_line(exporter, &record, &line, &size), STELE_MISUSE);
    ck_assert_ptr_null(line);
    record = plain_record();
    record.idempotency_key = "\xC0\x80";
    ck_assert_int_eq(stele_exporter_line(exporter, &record, &line, &size), STELE_MISUSE);
    stele_exporter_close(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("export");
    TCase *lines = tcase_create("lines");
    tcase_add_checked_fixture(lines, open_exporter, close_exporter);
    tcase_add_test(lines, a_line_has_all_fields_in_their_order);
    tcase_add_test(lines, the_time_is_when_it_occurred_or_else_when_it_was_recorded);
    tcase_add_test(lines, names_are_quoted_and_kept_in_utf8);
    tcase_add_test(lines, the_longest_names_of_escapes_fit);
    tcase_add_test(lines, an_empty_json_payload_is_left_out);
    tcase_add_test(lines, other_codecs_are_base64_also_when_empty);
    tcase_add_test(lines, json_that_a_line_cannot_hold_verbatim_is_base64);
    tcase_add_test(lines, metadata_that_a_line_cannot_hold_verbatim_is_base64);
    tcase_add_test(lines, keys_of_the_library_are_not_written);
    tcase_add_test(lines, integers_that_json_readers_round_are_strings);
    tcase_add_test(lines, there_is_no_line_for_data_that_is_gone);
    tcase_add_test(lines, the_buffer_grows_once_and_is_used_again);
    tcase_add_test(lines, an_argument_that_breaks_the_contract_is_misuse);
    suite_add_tcase(suite, lines);
    return run_suite(suite);
}
