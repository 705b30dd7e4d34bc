/* Reading back: which records, in which order, until where, and how long they may be used. */
#include "contract.h"

/* --- One stream --- */

static const struct {
    int64_t from_version, to_version;
    uint64_t limit;
    const char *forward;
    const char *backward;
} ranges[] = {
    { 0, 0, 0, "1 2 3 4 5", "5 4 3 2 1" },
    { 1, 0, 0, "1 2 3 4 5", "5 4 3 2 1" },
    { 2, 0, 0, "2 3 4 5", "5 4 3 2" },
    { 5, 0, 0, "5", "5" },
    { 6, 0, 0, "", "" },
    { INT64_MAX, 0, 0, "", "" },
    { 0, 1, 0, "1", "1" },
    { 0, 3, 0, "1 2 3", "3 2 1" },
    { 0, 99, 0, "1 2 3 4 5", "5 4 3 2 1" },
    { 2, 4, 0, "2 3 4", "4 3 2" },
    { 3, 3, 0, "3", "3" },
    { 4, 2, 0, "", "" },
    { 0, 0, 1, "1", "5" },
    { 0, 0, 2, "1 2", "5 4" },
    { 0, 0, 5, "1 2 3 4 5", "5 4 3 2 1" },
    { 0, 0, UINT64_MAX, "1 2 3 4 5", "5 4 3 2 1" },
    { 2, 0, 2, "2 3", "5 4" },
    { 2, 4, 2, "2 3", "4 3" },
    { 4, 0, 10, "4 5", "5 4" },
};

/* Pages are an inner matter: no size of theirs may show in what is read. */
static const struct {
    uint32_t page_count_max, page_size_max;
} pages[] = { { 1000, 1024 * 1024 }, { 1, 1024 * 1024 }, { 2, 1024 * 1024 }, { 1000, 1 } };

START_TEST(range_of_a_stream_is_read_in_either_direction)
{
    fill_stream("other-1", 2);
    fill_stream("account-1", 3);
    fill_stream("other-1", 1);
    fill_stream("account-1", 2);
    stele_read read = STELE_READ_INIT;
    read.stream = "account-1";
    read.from_version = ranges[_i].from_version;
    read.to_version = ranges[_i].to_version;
    read.limit = ranges[_i].limit;

    for (size_t i = 0; i < COUNT_OF(pages); i++) {
        read.page_count_max = pages[i].page_count_max;
        read.page_size_max = pages[i].page_size_max;
        read.direction = STELE_FORWARD;
        ck_assert_str_eq(versions_of(&read), ranges[_i].forward);
        read.direction = STELE_BACKWARD;
        ck_assert_str_eq(versions_of(&read), ranges[_i].backward);
    }
}
END_TEST

START_TEST(unknown_stream_reads_as_empty)
{
    fill_stream("account-1", 1);
    stele_read read = STELE_READ_INIT;
    read.stream = "account-2";

    ck_assert_str_eq(versions_of(&read), "");
}
END_TEST

START_TEST(positions_bound_a_stream_too)
{
    fill_stream("account-1", 2); /* 1 2 */
    fill_stream("other-1", 1);
    fill_stream("account-1", 3); /* 4 5 6 */
    stele_read read = STELE_READ_INIT;
    read.stream = "account-1";
    read.after_position = 2;
    read.to_position = 5;

    ck_assert_str_eq(positions_of(&read), "4 5");
}
END_TEST

/* --- The whole store --- */

static const struct {
    int64_t after_position, to_position;
    uint64_t limit;
    const char *forward;
    const char *backward;
} spans[] = {
    { 0, 0, 0, "1 2 3 4 5", "5 4 3 2 1" },
    { 2, 0, 0, "3 4 5", "5 4 3" },
    { 4, 0, 0, "5", "5" },
    { 5, 0, 0, "", "" },
    { 99, 0, 0, "", "" },
    { INT64_MAX, 0, 0, "", "" },
    { 0, 2, 0, "1 2", "2 1" },
    { 0, 99, 0, "1 2 3 4 5", "5 4 3 2 1" },
    { 1, 4, 0, "2 3 4", "4 3 2" },
    { 3, 3, 0, "", "" },
    { 4, 2, 0, "", "" },
    { 0, 0, 3, "1 2 3", "5 4 3" },
    { 1, 0, 2, "2 3", "5 4" },
    { 1, 4, 2, "2 3", "4 3" },
};

START_TEST(span_of_the_store_is_read_in_either_direction)
{
    fill_stream("a-1", 2);
    fill_stream("b-1", 1);
    fill_stream("a-1", 1);
    fill_stream("c-1", 1);
    stele_read read = STELE_READ_INIT;
    read.after_position = spans[_i].after_position;
    read.to_position = spans[_i].to_position;
    read.limit = spans[_i].limit;

    for (size_t i = 0; i < COUNT_OF(pages); i++) {
        read.page_count_max = pages[i].page_count_max;
        read.page_size_max = pages[i].page_size_max;
        read.direction = STELE_FORWARD;
        ck_assert_str_eq(positions_of(&read), spans[_i].forward);
        read.direction = STELE_BACKWARD;
        ck_assert_str_eq(positions_of(&read), spans[_i].backward);
    }
}
END_TEST

START_TEST(no_description_reads_everything)
{
    fill_stream("a-1", 2);
    fill_stream("b-1", 1);

    ck_assert_str_eq(positions_of(NULL), "1 2 3");
}
END_TEST

START_TEST(empty_store_reads_as_empty)
{
    ck_assert_str_eq(positions_of(NULL), "");
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

/* --- Bytes --- */

static const struct {
    uint64_t byte_limit;
    const char *positions;
} byte_limits[] = {
    { 0, "1 2 3 4" }, { 1, "1" },      { 9, "1" },        { 10, "1" },
    { 11, "1" },      { 24, "1" },     { 25, "1 2" },     { 26, "1 2" },
    { 34, "1 2" },    { 35, "1 2 3" }, { 36, "1 2 3 4" }, { UINT64_MAX, "1 2 3 4" },
};

/* Sizes 10, 15 (metadata counts), 10 and 1. */
START_TEST(byte_limit_ends_before_it_is_exceeded_but_gives_one)
{
    stele_event events[4] = { make_event("a", "\"12345678\""), make_event("b", "\"12345678\""),
                              make_event("c", "\"12345678\""), make_event("d", "1") };
    events[1].metadata = "[1,2]";
    events[1].metadata_size = 5;
    stele_append append = make_append("a-1", STELE_ANY, events, 4);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    stele_read read = STELE_READ_INIT;
    read.byte_limit = byte_limits[_i].byte_limit;

    for (size_t i = 0; i < COUNT_OF(pages); i++) {
        read.page_count_max = pages[i].page_count_max;
        read.page_size_max = pages[i].page_size_max;
        ck_assert_str_eq(positions_of(&read), byte_limits[_i].positions);
    }
}
END_TEST

/* --- The end is fixed at the beginning --- */

START_TEST(events_appended_after_opening_are_not_seen)
{
    fill_stream("a-1", 3);
    stele_read all = STELE_READ_INIT, one = STELE_READ_INIT;
    all.page_count_max = one.page_count_max = 1;
    one.stream = "a-1";
    stele_cursor *of_all = open_read(&all);
    stele_cursor *of_one = open_read(&one);
    (void)next_record(of_all);
    fill_stream("a-1", 2);

    ck_assert_str_eq(drain_numbers(of_all, false), "2 3");
    ck_assert_str_eq(drain_numbers(of_one, true), "1 2 3");

    ck_assert_str_eq(positions_of(&all), "1 2 3 4 5");
}
END_TEST

/* It was empty when the cursor was opened, so it stays so for the cursor. */
START_TEST(stream_created_after_opening_is_not_seen)
{
    stele_read read = STELE_READ_INIT;
    read.stream = "a-1";
    stele_cursor *cursor = open_read(&read);
    fill_stream("a-1", 2);

    ck_assert_str_eq(drain_numbers(cursor, true), "");
}
END_TEST

START_TEST(done_is_repeated)
{
    fill_stream("a-1", 1);
    stele_cursor *cursor = open_read(NULL);
    (void)next_record(cursor);

    for (int i = 0; i < 3; i++)
        expect_done(cursor);

    stele_cursor_close(cursor);
}
END_TEST

/* --- Lifetimes --- */

START_TEST(record_is_valid_until_the_next_call_on_its_cursor)
{
    fill_stream("a-1", 3);
    stele_cursor *cursor = open_read(NULL);
    const stele_record *record = next_record(cursor);
    const char *data = record->data;

    fill_stream("a-1", 20);
    stele_read other = STELE_READ_INIT;
    other.direction = STELE_BACKWARD;
    other.limit = 2;
    ck_assert_str_eq(positions_of(&other), "23 22");
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_OK);

    ck_assert_str_eq(record->stream, "a-1");
    ck_assert_str_eq(record->type, "counted");
    ck_assert_str_eq(record->codec, "json");
    ck_assert_ptr_eq(record->data, data);
    ck_assert_str_eq(data, "{\"n\":1}");
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(description_is_copied_strings_too)
{
    fill_stream("account-1", 2);
    char stream[] = "account-1", type[] = "counted";
    const char *types[] = { type };
    stele_read read = STELE_READ_INIT;
    read.stream = stream;
    read.types = types;
    read.type_count = 1;
    read.page_count_max = 1;

    stele_cursor *cursor = open_read(&read);
    memset(stream, 'x', sizeof(stream));
    memset(type, 'x', sizeof(type));
    types[0] = NULL;
    memset(&read, 0xAA, sizeof(read));

    ck_assert_str_eq(drain_numbers(cursor, true), "1 2");
}
END_TEST

START_TEST(cursor_may_be_closed_early)
{
    fill_stream("a-1", 5);
    stele_cursor *unused = open_read(NULL);
    stele_cursor_close(unused);

    stele_cursor *cursor = open_read(NULL);
    (void)next_record(cursor);
    (void)next_record(cursor);
    stele_cursor_close(cursor);
    stele_cursor_close(NULL);

    ck_assert_str_eq(positions_of(NULL), "1 2 3 4 5");
}
END_TEST

START_TEST(two_cursors_at_once_do_not_disturb_each_other)
{
    fill_stream("a-1", 5);
    stele_read read = STELE_READ_INIT;
    read.page_count_max = 2;
    stele_cursor *forward = open_read(&read);
    read.direction = STELE_BACKWARD;
    stele_cursor *backward = open_read(&read);

    for (int64_t i = 1; i <= 5; i++) {
        const stele_record *up = next_record(forward);
        const stele_record *down = next_record(backward);
        ck_assert_int_eq(up->position, i);
        ck_assert_int_eq(down->position, 6 - i);
    }

    expect_done(forward);
    expect_done(backward);
    stele_cursor_close(forward);
    stele_cursor_close(backward);
}
END_TEST

START_TEST(cursor_of_a_closed_store_is_closed)
{
    fill_stream("a-1", 3);
    stele_cursor *fresh = open_read(NULL);
    stele_cursor *used = open_read(NULL);
    (void)next_record(used);
    close_store();

    const stele_record *record = (const stele_record *)&record;
    assert_status(stele_cursor_next(used, &record), STELE_CLOSED);
    ck_assert_ptr_null(record);
    assert_status(stele_cursor_next(fresh, &record), STELE_CLOSED);
    assert_status(stele_cursor_next(fresh, &record), STELE_CLOSED);

    stele_cursor_close(fresh);
    stele_cursor_close(used);
}
END_TEST

/* --- Arguments --- */

START_TEST(bad_descriptions_are_misuse)
{
    const char *no_type = NULL;
    const stele_read good = STELE_READ_INIT;
    stele_read bad[15];
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        bad[i] = good;
    bad[0].struct_size = 0;
    bad[1].stream = "";
    bad[2].stream = "a\xFF";
    bad[3].stream = "a-1", bad[3].category = "a";
    bad[4].stream = "a-1", bad[4].prefix = "a";
    bad[5].type_count = 1;
    bad[6].types = &no_type, bad[6].type_count = 1;
    bad[7].after_position = -1;
    bad[8].stream = "a-1", bad[8].from_version = -1;
    memset(&bad[9].direction, 0x7F, sizeof(bad[9].direction));
    bad[10].category = "order-2"; /* no category has a dash, so nothing could match */
    bad[11].from_version = 2;     /* of no stream */
    bad[12].to_position = -1;
    bad[13].page_count_max = 0;
    bad[14].page_size_max = 0;

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        stele_cursor *cursor = (stele_cursor *)&cursor;
        stele_status status = stele_store_read(store, &bad[i], &cursor);
        ck_assert_msg(status == STELE_MISUSE, "description %zu: %s", i, stele_status_name(status));
        ck_assert_ptr_null(cursor);
    }
}
END_TEST

START_TEST(missing_arguments_are_misuse)
{
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    assert_status(stele_store_read(NULL, NULL, &cursor), STELE_MISUSE);
    assert_status(stele_store_read(store, NULL, NULL), STELE_MISUSE);
    assert_status(stele_cursor_next(NULL, &record), STELE_MISUSE);

    cursor = open_read(NULL);
    assert_status(stele_cursor_next(cursor, NULL), STELE_MISUSE);
    stele_cursor_close(cursor);

    int64_t head = 0;
    assert_status(stele_store_head(NULL, &head), STELE_MISUSE);
    assert_status(stele_store_head(store, NULL), STELE_MISUSE);
}
END_TEST

START_TEST(smaller_struct_of_an_older_program_gets_defaults)
{
    fill_stream("a-1", 3);
    stele_read read = STELE_READ_INIT;
    read.struct_size = offsetof(stele_read, limit);
    read.stream = "a-1";
    read.limit = 1;
    read.category = "beyond the struct";
    read.page_count_max = 0;

    ck_assert_str_eq(versions_of(&read), "1 2 3");
}
END_TEST

/* What an older library doesn't know may be there, but it must ask for nothing. */
START_TEST(larger_struct_of_a_newer_program_is_taken_when_the_rest_is_zero)
{
    fill_stream("a-1", 3);
    struct {
        stele_read read;
        int64_t added_later;
    } newer = { STELE_READ_INIT, 0 };
    newer.read.struct_size = sizeof(newer);
    newer.read.limit = 2;
    ck_assert_str_eq(positions_of(&newer.read), "1 2");

    newer.added_later = 1;

    stele_cursor *cursor = NULL;
    assert_status(stele_store_read(store, &newer.read, &cursor), STELE_MISUSE);
}
END_TEST

START_TEST(init_function_does_as_the_initializer)
{
    stele_read by_macro = STELE_READ_INIT;
    stele_read by_function;
    memset(&by_macro, 0, sizeof(by_macro));
    memset(&by_function, 0, sizeof(by_function));
    by_macro = (stele_read)STELE_READ_INIT;

    stele_read_init(&by_function);

    ck_assert_mem_eq(&by_function, &by_macro, sizeof(by_macro));
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, range_of_a_stream_is_read_in_either_direction, 0,
                        (int)COUNT_OF(ranges));
    tcase_add_test(tests, unknown_stream_reads_as_empty);
    tcase_add_test(tests, positions_bound_a_stream_too);
    tcase_add_loop_test(tests, span_of_the_store_is_read_in_either_direction, 0,
                        (int)COUNT_OF(spans));
    tcase_add_test(tests, no_description_reads_everything);
    tcase_add_test(tests, empty_store_reads_as_empty);
    tcase_add_loop_test(tests, byte_limit_ends_before_it_is_exceeded_but_gives_one, 0,
                        (int)COUNT_OF(byte_limits));
    tcase_add_test(tests, events_appended_after_opening_are_not_seen);
    tcase_add_test(tests, stream_created_after_opening_is_not_seen);
    tcase_add_test(tests, done_is_repeated);
    tcase_add_test(tests, record_is_valid_until_the_next_call_on_its_cursor);
    tcase_add_test(tests, description_is_copied_strings_too);
    tcase_add_test(tests, cursor_may_be_closed_early);
    tcase_add_test(tests, two_cursors_at_once_do_not_disturb_each_other);
    tcase_add_test(tests, cursor_of_a_closed_store_is_closed);
}

int main(void)
{
    Suite *suite = suite_create("read");
    add_tests(add_case(suite, "memory", open_in_memory));
    add_tests(add_case(suite, "file", open_in_file));

    TCase *arguments = add_case(suite, "arguments", open_in_memory);
    tcase_add_test(arguments, bad_descriptions_are_misuse);
    tcase_add_test(arguments, missing_arguments_are_misuse);
    tcase_add_test(arguments, smaller_struct_of_an_older_program_gets_defaults);
    tcase_add_test(arguments, larger_struct_of_a_newer_program_is_taken_when_the_rest_is_zero);
    tcase_add_test(arguments, init_function_does_as_the_initializer);
    return run_suite(suite);
}
