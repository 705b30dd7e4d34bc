/* What was given is what comes back, bit for bit; what can't be kept is refused by name. */
#include "contract.h"

#define BYTES(literal) (literal), sizeof(literal) - 1

/* --- Every field comes back --- */

static const stele_event events[] = {
    { "opened", BYTES("{}"), NULL, 0, NULL, 0, 0, false },
    { "opened", BYTES("{\"a\":1}"), BYTES("{\"by\":\"me\"}"), "json", 1, 1, false },
    { "Ge\xC3\xB6"
      "ffnet",
      BYTES("\"\xF0\x9F\x98\x80\""), BYTES("[]"), "json", 7, -1, true },
    { "opened", BYTES("null"), BYTES("null"), "json", INT64_MAX, INT64_MAX, true },
    { "opened", BYTES("0"), NULL, 0, "json", 1, INT64_MIN, true },
    { "opened", BYTES("0"), NULL, 0, "json", 1, 0, true },
    { "opened", BYTES("0"), NULL, 0, "json", 1, 0, false },
    { "opened", NULL, 0, NULL, 0, "json", 1, 0, false },
    { "opened", "", 0, "", 0, "raw", 1, 0, false },
    { "opened", NULL, 0, BYTES("{\"only\":\"metadata\"}"), "raw", 2, 5, false },
    { "opened", BYTES("\0"), NULL, 0, "raw", 1, 0, false },
    { "opened", BYTES("a\0b\0\0\xFF\xFE\x80"), NULL, 0, "raw", 1, 0, false },
    { "opened", BYTES("\0\0\0\0{not json"), BYTES(" {} "), "x-custom", 1, 0, false },
    { "opened", NULL, 0, NULL, 0, "x-custom", 1, 0, false },
    { "with space and 'quote\"", BYTES("[1]"), NULL, 0, "json", 3, 1700000000123456, false },
};

static void expect_same(const stele_record *record, const stele_event *event)
{
    ck_assert_str_eq(record->type, event->type);
    ck_assert_str_eq(record->codec, event->codec != NULL ? event->codec : "json");
    ck_assert_int_eq(record->schema_version, event->schema_version > 0 ? event->schema_version : 1);
    ck_assert_int_eq(record->has_occurred_at, event->has_occurred_at || event->occurred_at != 0);
    ck_assert_int_eq(record->occurred_at, event->occurred_at);
    ck_assert_uint_eq(record->flags, 0);
    ck_assert_ptr_null(record->idempotency_key);

    ck_assert_ptr_nonnull(record->data);
    ck_assert_uint_eq(record->data_size, event->data_size);
    if (event->data_size > 0)
        ck_assert_mem_eq(record->data, event->data, event->data_size);
    ck_assert_int_eq(((const char *)record->data)[record->data_size], '\0');

    ck_assert_ptr_nonnull(record->metadata);
    ck_assert_uint_eq(record->metadata_size, event->metadata_size);
    if (event->metadata_size > 0)
        ck_assert_mem_eq(record->metadata, event->metadata, event->metadata_size);
    ck_assert_int_eq(((const char *)record->metadata)[record->metadata_size], '\0');
}

START_TEST(every_field_comes_back_as_given)
{
    assert_status(append_event("field-1", &events[_i]), STELE_OK);

    stele_cursor *cursor = NULL;
    const stele_record *record = read_only_record("field-1", &cursor);
    expect_same(record, &events[_i]);
    ck_assert_str_eq(record->stream, "field-1");
    ck_assert_int_eq(record->position, 1);
    ck_assert_int_eq(record->version, 1);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(all_events_of_one_batch_survive_reopening)
{
    stele_append append = make_append("field-1", STELE_NO_STREAM, events, COUNT_OF(events));
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);

    reopen_file();

    stele_cursor *cursor = open_read(NULL);
    for (size_t i = 0; i < COUNT_OF(events); i++)
        expect_same(next_record(cursor), &events[i]);
    expect_done(cursor);
    stele_cursor_close(cursor);
}
END_TEST

/* A parse and a print would change each of these: rounded, respelled, re-spaced. */
static const char *const texts[] = {
    "9223372036854775807",
    "-9223372036854775808",
    "1234567890123456789",
    "18446744073709551615",
    "123456789012345678901234567890",
    "1.0",
    "1.10",
    "1e2",
    "1E+2",
    "-0",
    "-0.0",
    "0.1000000000000000055511151231257827",
    "1e400",
    " \t\r\n{ \"a\" :\n1 }\r\n ",
    "{\"b\":1,\"a\":2}",
    "\"\\u00e9\\u0041\\/\\uD83D\\uDE00\"",
    "\"\xC3\xA9\\n\"",
};

START_TEST(json_text_is_kept_verbatim)
{
    stele_event event = make_event("noted", texts[_i]);
    event.metadata = texts[_i];
    event.metadata_size = strlen(texts[_i]);
    assert_status(append_event("text-1", &event), STELE_OK);

    reopen_file();

    stele_cursor *cursor = NULL;
    const stele_record *record = read_only_record("text-1", &cursor);
    ck_assert_str_eq(record->data, texts[_i]);
    ck_assert_str_eq(record->metadata, texts[_i]);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(every_byte_value_survives_in_raw_data)
{
    unsigned char bytes[3 * 256];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 7);
    stele_event event = { .type = "noted", .data = bytes, .data_size = sizeof(bytes) };
    event.codec = "raw";
    assert_status(append_event("raw-1", &event), STELE_OK);

    stele_cursor *cursor = NULL;
    expect_same(read_only_record("raw-1", &cursor), &event);
    stele_cursor_close(cursor);
}
END_TEST

/* --- Names --- */

static char name_of_255[256], name_of_256[257], wide_name_of_256[257];

static const struct {
    const char *name;
    stele_status status;
} names[] = {
    { "x", STELE_OK },
    { "-", STELE_OK },
    { "a-", STELE_OK },
    { "a b'c\"d%_[]*?\\/", STELE_OK },
    { "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", STELE_OK },
    { "\xF4\x8F\xBF\xBF", STELE_OK },
    { name_of_255, STELE_OK },
    { "", STELE_MISUSE },
    { name_of_256, STELE_MISUSE },
    { wide_name_of_256, STELE_MISUSE },
    { "a\nb", STELE_MISUSE },
    { "a\tb", STELE_MISUSE },
    { "\x01", STELE_MISUSE },
    { "a\x1F", STELE_MISUSE },
    { "a\x7F", STELE_MISUSE },
    { "\xC2\x80", STELE_MISUSE },         /* U+0080: a control character too */
    { "a\xFF", STELE_MISUSE },            /* never in UTF-8 */
    { "a\xC3", STELE_MISUSE },            /* cut short */
    { "\x80x", STELE_MISUSE },            /* begins in the middle */
    { "\xC0\xAF", STELE_MISUSE },         /* overlong '/' */
    { "\xED\xA0\x80", STELE_MISUSE },     /* a lone surrogate */
    { "\xF4\x90\x80\x80", STELE_MISUSE }, /* beyond U+10FFFF */
};

static void fill_names(void)
{
    memset(name_of_255, 'n', 255);
    memset(name_of_256, 'n', 256);
    for (size_t i = 0; i < 256; i += 2)
        memcpy(wide_name_of_256 + i, "\xC3\xA9", 2);
}

static void append_named(const char *stream, const char *type, const char *codec, const char *key,
                         stele_status expected)
{
    stele_event event = make_event(type, "{}");
    event.codec = codec;
    stele_append append = make_append(stream, STELE_ANY, &event, 1);
    append.idempotency_key = key;
    assert_status(stele_store_append(store, &append, NULL), expected);
}

START_TEST(names_are_printable_utf8_of_1_to_255_bytes)
{
    const char *name = names[_i].name;
    stele_status expected = names[_i].status;
    fill_names();

    append_named(name, "type", NULL, NULL, expected);
    append_named("stream", name, NULL, NULL, expected);
    append_named("stream", "type", name, NULL, expected);
    append_named("stream", "type", NULL, name, expected);

    ck_assert_int_eq(head_of(store), expected == STELE_OK ? 4 : 0);
    if (expected != STELE_OK)
        return;
    stele_read read = STELE_READ_INIT;
    read.keys = true;
    stele_cursor *cursor = open_read(&read);
    ck_assert_str_eq(next_record(cursor)->stream, name);
    ck_assert_str_eq(next_record(cursor)->type, name);
    ck_assert_str_eq(next_record(cursor)->codec, name);
    ck_assert_str_eq(next_record(cursor)->idempotency_key, name);
    stele_cursor_close(cursor);
}
END_TEST

/* Names differ when their bytes do: nothing is folded or normalised. */
START_TEST(names_are_compared_by_bytes)
{
    const char *alike[] = { "Account-1", "account-1", "account-1 ", "\xC3\xA9-1", "e\xCC\x81-1" };

    for (size_t i = 0; i < COUNT_OF(alike); i++)
        assert_status(append_one(alike[i], STELE_NO_STREAM, "opened", NULL), STELE_OK);

    for (size_t i = 0; i < COUNT_OF(alike); i++)
        ck_assert_int_eq(version_of(alike[i]), 1);
}
END_TEST

START_TEST(streams_of_the_library_take_no_appends)
{
    assert_status(append_one("$stele", STELE_ANY, "opened", NULL), STELE_MISUSE);
    assert_reason_has("$stele");
    assert_status(append_one("$", STELE_ANY, "opened", NULL), STELE_MISUSE);

    assert_status(append_one("a$", STELE_ANY, "opened", NULL), STELE_OK);
}
END_TEST

START_TEST(reason_escapes_what_can_not_be_printed)
{
    assert_status(append_one("bad\nname\xFF", STELE_ANY, "opened", NULL), STELE_MISUSE);

    assert_reason_has("bad\\x0aname\\xff");
}
END_TEST

START_TEST(negative_schema_version_is_misuse)
{
    stele_event event = make_event("opened", "{}");
    event.schema_version = -1;

    assert_status(append_event("a-1", &event), STELE_MISUSE);
}
END_TEST

/* --- The gate --- */

static const struct {
    const char *data;
    size_t data_size;
    int offset; /* Of the complaint; -1 where the grammar has more than one answer. */
} refused[] = {
    { BYTES("{"), 1 },
    { BYTES("{\"a\":}"), 5 },
    { BYTES("[1,]"), 3 },
    { BYTES("{} x"), 3 },
    { BYTES("nul"), -1 },
    { BYTES("01"), -1 },
    { BYTES("[1,2"), 4 },
    { BYTES("\"a\nb\""), 2 },
    { BYTES("\"\xFF\""), 1 },
    { BYTES("{\"a\":1,\"a\":2}"), -1 },
    { BYTES("\"\\uD800\""), -1 },
    { BYTES("\"a\0b\""), 2 },
    { BYTES("   "), 3 },
};

static void expect_offset(int offset)
{
    char text[32];
    snprintf(text, sizeof(text), "byte %d", offset);
    if (offset >= 0)
        assert_reason_has(text);
    else
        assert_reason_has("byte ");
}

START_TEST(payload_that_is_not_json_is_invalid_with_event_and_offset)
{
    stele_event batch[4] = { make_event("a", "1"), make_event("b", "2"), make_event("c", "3"),
                             make_event("d", "4") };
    stele_append append = make_append("gate-1", STELE_ANY, batch, 4);
    batch[2].data = refused[_i].data;
    batch[2].data_size = refused[_i].data_size;

    assert_status(stele_store_append(store, &append, NULL), STELE_INVALID);

    assert_reason_has("event 2");
    expect_offset(refused[_i].offset);
    ck_assert_int_eq(head_of(store), 0);
    ck_assert_int_eq(version_of("gate-1"), 0);
}
END_TEST

START_TEST(metadata_must_be_json_under_every_codec)
{
    stele_event batch[2] = { make_event("a", "1"), make_event("b", "not json") };
    batch[1].codec = "raw";
    batch[1].metadata = refused[_i].data;
    batch[1].metadata_size = refused[_i].data_size;
    stele_append append = make_append("gate-1", STELE_ANY, batch, 2);

    assert_status(stele_store_append(store, &append, NULL), STELE_INVALID);

    assert_reason_has("event 1");
    assert_reason_has("metadata");
    expect_offset(refused[_i].offset);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

/* --- Sizes --- */

static void open_with_limit(uint32_t event_size_max)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.event_size_max = event_size_max;
    close_store();
    store = open_path(store_path(), &options);
}

START_TEST(payload_may_fill_the_limit_but_not_pass_it)
{
    enum { LIMIT = 3 * 1024 * 1024 };
    open_with_limit(LIMIT);
    unsigned char *data = malloc(LIMIT);
    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < LIMIT; i++)
        data[i] = (unsigned char)(i * 31 + i / 4096);
    stele_event event = { .type = "noted", .data = data, .data_size = LIMIT - 2 };
    event.codec = "raw";
    event.metadata = "[1]";
    event.metadata_size = 3;

    assert_status(append_event("large-1", &event), STELE_TOO_LARGE);
    ck_assert_int_eq(head_of(store), 0);
    event.data_size--;
    assert_status(append_event("large-1", &event), STELE_OK);

    stele_cursor *cursor = NULL;
    expect_same(read_only_record("large-1", &cursor), &event);
    stele_cursor_close(cursor);
    free(data);
}
END_TEST

START_TEST(limit_is_one_mebibyte_unless_asked)
{
    enum { LIMIT = 1024 * 1024 };
    char *data = malloc(LIMIT + 1);
    ck_assert_ptr_nonnull(data);
    memset(data, '1', LIMIT + 1);
    stele_event event = { .type = "noted", .data = data, .data_size = LIMIT + 1, .codec = "raw" };

    assert_status(append_event("large-1", &event), STELE_TOO_LARGE);
    event.data_size = LIMIT;
    assert_status(append_event("large-1", &event), STELE_OK);
    free(data);
}
END_TEST

/* The limit guards memory while appending; what is stored was allowed once, and stays readable. */
START_TEST(event_beyond_the_limit_of_another_day_is_readable)
{
    char data[200];
    memset(data, '7', sizeof(data));
    stele_event event = { .type = "noted", .data = data, .data_size = sizeof(data) };
    assert_status(append_event("large-1", &event), STELE_OK);

    open_with_limit(100);

    assert_status(append_event("large-1", &event), STELE_TOO_LARGE);
    stele_cursor *cursor = NULL;
    expect_same(read_only_record("large-1", &cursor), &event);
    stele_cursor_close(cursor);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fields");
    TCase *memory = add_case(suite, "memory", open_in_memory);
    tcase_add_loop_test(memory, every_field_comes_back_as_given, 0, (int)COUNT_OF(events));
    tcase_add_test(memory, every_byte_value_survives_in_raw_data);
    tcase_add_loop_test(memory, names_are_printable_utf8_of_1_to_255_bytes, 0,
                        (int)COUNT_OF(names));
    tcase_add_test(memory, names_are_compared_by_bytes);
    tcase_add_test(memory, streams_of_the_library_take_no_appends);
    tcase_add_test(memory, reason_escapes_what_can_not_be_printed);
    tcase_add_test(memory, negative_schema_version_is_misuse);
    tcase_add_loop_test(memory, payload_that_is_not_json_is_invalid_with_event_and_offset, 0,
                        (int)COUNT_OF(refused));
    tcase_add_loop_test(memory, metadata_must_be_json_under_every_codec, 0, (int)COUNT_OF(refused));
    tcase_add_test(memory, limit_is_one_mebibyte_unless_asked);

    TCase *file = add_case(suite, "file", open_in_file);
    tcase_add_loop_test(file, every_field_comes_back_as_given, 0, (int)COUNT_OF(events));
    tcase_add_test(file, all_events_of_one_batch_survive_reopening);
    tcase_add_loop_test(file, json_text_is_kept_verbatim, 0, (int)COUNT_OF(texts));
    tcase_add_test(file, payload_may_fill_the_limit_but_not_pass_it);
    tcase_add_test(file, event_beyond_the_limit_of_another_day_is_readable);
    return run_suite(suite);
}
