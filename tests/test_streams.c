/* Which streams and types there are, and the facts about each. */
#include "contract.h"

/* The names that `read` lists, each followed by a blank. Borrowed until next. */
static const char *names_of(const stele_streams_read *read)
{
    static char text[4096];
    size_t used = 0;
    text[0] = '\0';
    stele_streams *streams = NULL;
    assert_status(stele_store_streams(store, read, &streams), STELE_OK);
    const stele_stream_info *info = NULL;
    stele_status status;
    while ((status = stele_streams_next(streams, &info)) == STELE_OK)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s ", info->stream);
    assert_status(status, STELE_DONE);
    ck_assert_ptr_null(info);
    stele_streams_close(streams);
    return text;
}

static void append_to_each(const char *const *streams, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_status(append_one(streams[i], STELE_ANY, "opened", NULL), STELE_OK);
}

/* --- The list --- */

START_TEST(streams_are_listed_in_the_order_of_their_bytes)
{
    const char *const streams[] = { "b-10", "\xC3\xA9-1", "b-2", "B-1", "a-1", "b", "~" };
    append_to_each(streams, COUNT_OF(streams));

    ck_assert_str_eq(names_of(NULL), "B-1 a-1 b b-10 b-2 ~ \xC3\xA9-1 ");
}
END_TEST

START_TEST(store_without_events_lists_nothing)
{
    ck_assert_str_eq(names_of(NULL), "");
}
END_TEST

static const struct {
    const char *prefix, *after, *stream;
    uint64_t limit;
    const char *names;
} lists[] = {
    { NULL, NULL, NULL, 0, "*-1 [-1 a-1 a-2 a-3 a_1 b-1 \xF4\x8F\xBF\xBF-1 " },
    { NULL, NULL, NULL, 2, "*-1 [-1 " },
    { NULL, NULL, NULL, UINT64_MAX, "*-1 [-1 a-1 a-2 a-3 a_1 b-1 \xF4\x8F\xBF\xBF-1 " },
    { "a", NULL, NULL, 0, "a-1 a-2 a-3 a_1 " },
    { "a-", NULL, NULL, 0, "a-1 a-2 a-3 " },
    { "a_", NULL, NULL, 0, "a_1 " },
    { "*", NULL, NULL, 0, "*-1 " },
    { "[", NULL, NULL, 0, "[-1 " },
    { "%", NULL, NULL, 0, "" },
    { "\xF4\x8F\xBF\xBF", NULL, NULL, 0, "\xF4\x8F\xBF\xBF-1 " },
    { "z", NULL, NULL, 0, "" },
    { NULL, "a-2", NULL, 0, "a-3 a_1 b-1 \xF4\x8F\xBF\xBF-1 " },
    { NULL, "a-2x", NULL, 0, "a-3 a_1 b-1 \xF4\x8F\xBF\xBF-1 " },
    { NULL, "\xF4\x8F\xBF\xBF-1", NULL, 0, "" },
    { "a-", "a-1", NULL, 1, "a-2 " },
    { "a-", "b", NULL, 0, "" },
    { NULL, NULL, "a-2", 0, "a-2 " },
    { NULL, NULL, "a-9", 0, "" },
};

START_TEST(list_is_bounded_by_prefix_after_limit_and_name)
{
    const char *const streams[] = { "a-3", "b-1", "a_1", "[-1",
                                    "a-1", "*-1", "a-2", "\xF4\x8F\xBF\xBF-1" };
    append_to_each(streams, COUNT_OF(streams));
    stele_streams_read read = STELE_STREAMS_READ_INIT;
    read.prefix = lists[_i].prefix;
    read.after = lists[_i].after;
    read.stream = lists[_i].stream;
    read.limit = lists[_i].limit;

    ck_assert_str_eq(names_of(&read), lists[_i].names);
}
END_TEST

START_TEST(list_of_many_streams_is_complete)
{
    enum { COUNT = 2500 };
    static char names[COUNT][16];
    static stele_append appends[COUNT];
    stele_event event = make_event("opened", "{}");
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "s-%04d", COUNT - 1 - i);
        appends[i] = make_append(names[i], STELE_NO_STREAM, &event, 1);
    }
    assert_status(stele_store_append_many(store, appends, COUNT, NULL, NULL), STELE_OK);

    stele_streams *streams = NULL;
    assert_status(stele_store_streams(store, NULL, &streams), STELE_OK);
    for (int i = 0; i < COUNT; i++) {
        const stele_stream_info *info = NULL;
        assert_status(stele_streams_next(streams, &info), STELE_OK);
        ck_assert_str_eq(info->stream, names[COUNT - 1 - i]);
        ck_assert_int_eq(info->version, 1);
    }
    const stele_stream_info *info = NULL;
    assert_status(stele_streams_next(streams, &info), STELE_DONE);
    stele_streams_close(streams);
}
END_TEST

/* --- Facts about one --- */

static void append_timed(const char *stream, const char *data, const char *metadata, int64_t time)
{
    stele_event event = make_event("noted", data);
    event.metadata = metadata;
    event.metadata_size = strlen(metadata);
    event.occurred_at = time;
    assert_status(append_event(stream, &event), STELE_OK);
}

START_TEST(statistics_count_events_times_and_bytes)
{
    append_timed("a-1", "123", "[1]", 500);
    append_timed("b-1", "1", "", 7);
    append_timed("a-1", "12345", "", 300);
    append_timed("a-1", "1", "{}", 400);
    stele_streams_read read = STELE_STREAMS_READ_INIT;
    read.statistics = true;
    stele_streams *streams = NULL;
    assert_status(stele_store_streams(store, &read, &streams), STELE_OK);

    const stele_stream_info *info = NULL;
    assert_status(stele_streams_next(streams, &info), STELE_OK);
    ck_assert_str_eq(info->stream, "a-1");
    ck_assert_int_eq(info->version, 3);
    ck_assert_int_eq(info->state, STELE_STREAM_ACTIVE);
    ck_assert_str_eq(info->reason, "");
    ck_assert_int_eq(info->changed_at, 0);
    ck_assert_int_eq(info->events, 3);
    ck_assert_int_eq(info->bytes, 14);
    ck_assert_int_eq(info->first_time, 500);
    ck_assert_int_eq(info->last_time, 400);

    assert_status(stele_streams_next(streams, &info), STELE_OK);
    ck_assert_str_eq(info->stream, "b-1");
    ck_assert_int_eq(info->events, 1);
    ck_assert_int_eq(info->bytes, 1);
    ck_assert_int_eq(info->first_time, 7);
    ck_assert_int_eq(info->last_time, 7);
    stele_streams_close(streams);
}
END_TEST

START_TEST(times_without_a_caller_time_are_those_of_recording)
{
    fill_stream("a-1", 2);
    stele_cursor *cursor = open_read(NULL);
    int64_t first = next_record(cursor)->recorded_at, last = next_record(cursor)->recorded_at;
    stele_cursor_close(cursor);
    stele_streams_read read = STELE_STREAMS_READ_INIT;
    read.statistics = true;
    read.stream = "a-1";
    stele_streams *streams = NULL;
    assert_status(stele_store_streams(store, &read, &streams), STELE_OK);

    const stele_stream_info *info = NULL;
    assert_status(stele_streams_next(streams, &info), STELE_OK);

    ck_assert_int_eq(info->first_time, first);
    ck_assert_int_eq(info->last_time, last);
    stele_streams_close(streams);
}
END_TEST

START_TEST(counts_are_zero_unless_asked_for)
{
    append_timed("a-1", "123", "[1]", 500);
    stele_streams *streams = NULL;
    assert_status(stele_store_streams(store, NULL, &streams), STELE_OK);

    const stele_stream_info *info = NULL;
    assert_status(stele_streams_next(streams, &info), STELE_OK);

    ck_assert_int_eq(info->version, 1);
    ck_assert_int_eq(info->events, 0);
    ck_assert_int_eq(info->bytes, 0);
    ck_assert_int_eq(info->first_time, 0);
    ck_assert_int_eq(info->last_time, 0);
    stele_streams_close(streams);
}
END_TEST

START_TEST(stream_tells_its_version_and_state)
{
    fill_stream("a-1", 3);
    const char name[] = "a-1";
    stele_stream_info info = { 0 };

    assert_status(stele_store_stream(store, name, &info), STELE_OK);

    ck_assert_ptr_eq(info.stream, name);
    ck_assert_int_eq(info.version, 3);
    ck_assert_int_eq(info.state, STELE_STREAM_ACTIVE);
    ck_assert_str_eq(info.reason, "");
}
END_TEST

START_TEST(stream_never_written_to_is_not_found)
{
    fill_stream("a-1", 1);
    stele_stream_info info = { 0 };

    assert_status(stele_store_stream(store, "a-2", &info), STELE_NOT_FOUND);
    assert_reason_has("a-2");
    assert_status(stele_store_stream(store, "a", &info), STELE_NOT_FOUND);
}
END_TEST

/* --- Types --- */

static void append_typed(const char *type, int64_t schema_version)
{
    stele_event event = make_event(type, "{}");
    event.schema_version = schema_version;
    assert_status(append_event("a-1", &event), STELE_OK);
}

START_TEST(types_are_counted_by_name_and_schema_version)
{
    const struct {
        const char *type;
        int64_t schema_version, events;
    } expected[] = {
        { "closed", 1, 1 }, { "opened", 1, 2 }, { "opened", 2, 1 }, { "opened", 10, 1 }
    };
    append_typed("opened", 2);
    append_typed("opened", 0);
    append_typed("closed", 1);
    append_typed("opened", 10);
    append_typed("opened", 1);
    stele_types *types = NULL;
    assert_status(stele_store_types(store, &types), STELE_OK);

    const stele_type_info *info = NULL;
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_status(stele_types_next(types, &info), STELE_OK);
        ck_assert_str_eq(info->type, expected[i].type);
        ck_assert_int_eq(info->schema_version, expected[i].schema_version);
        ck_assert_int_eq(info->events, expected[i].events);
    }
    assert_status(stele_types_next(types, &info), STELE_DONE);
    stele_types_close(types);
}
END_TEST

/* --- Arguments and lifetimes --- */

START_TEST(bad_arguments_are_misuse)
{
    stele_streams *streams = NULL;
    stele_types *types = NULL;
    stele_stream_info info = { 0 };
    stele_streams_read read = STELE_STREAMS_READ_INIT;
    assert_status(stele_store_streams(NULL, NULL, &streams), STELE_MISUSE);
    assert_status(stele_store_streams(store, NULL, NULL), STELE_MISUSE);
    assert_status(stele_store_types(NULL, &types), STELE_MISUSE);
    assert_status(stele_store_types(store, NULL), STELE_MISUSE);
    assert_status(stele_store_stream(NULL, "a-1", &info), STELE_MISUSE);
    assert_status(stele_store_stream(store, NULL, &info), STELE_MISUSE);
    assert_status(stele_store_stream(store, "", &info), STELE_MISUSE);
    assert_status(stele_store_stream(store, "a-1", NULL), STELE_MISUSE);

    read.struct_size = 0;
    assert_status(stele_store_streams(store, &read, &streams), STELE_MISUSE);
    ck_assert_ptr_null(streams);
    stele_streams_close(NULL);
    stele_types_close(NULL);
}
END_TEST

START_TEST(list_of_a_closed_store_may_be_closed)
{
    fill_stream("a-1", 2);
    stele_streams *streams = NULL;
    stele_types *types = NULL;
    assert_status(stele_store_streams(store, NULL, &streams), STELE_OK);
    assert_status(stele_store_types(store, &types), STELE_OK);
    close_store();

    const stele_stream_info *info = NULL;
    assert_status(stele_streams_next(streams, &info), STELE_CLOSED);

    stele_streams_close(streams);
    stele_types_close(types);
}
END_TEST

START_TEST(list_copies_its_description)
{
    fill_stream("a-1", 1);
    fill_stream("b-1", 1);
    char prefix[] = "b";
    stele_streams_read read = STELE_STREAMS_READ_INIT;
    read.prefix = prefix;
    stele_streams *streams = NULL;
    assert_status(stele_store_streams(store, &read, &streams), STELE_OK);
    prefix[0] = 'a';

    const stele_stream_info *info = NULL;
    assert_status(stele_streams_next(streams, &info), STELE_OK);
    ck_assert_str_eq(info->stream, "b-1");
    assert_status(stele_streams_next(streams, &info), STELE_DONE);
    stele_streams_close(streams);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("streams");
    TCase *tests = add_case(suite, "memory", open_in_memory);
    tcase_add_test(tests, streams_are_listed_in_the_order_of_their_bytes);
    tcase_add_test(tests, store_without_events_lists_nothing);
    tcase_add_loop_test(tests, list_is_bounded_by_prefix_after_limit_and_name, 0,
                        (int)COUNT_OF(lists));
    tcase_add_test(tests, list_of_many_streams_is_complete);
    tcase_add_test(tests, statistics_count_events_times_and_bytes);
    tcase_add_test(tests, times_without_a_caller_time_are_those_of_recording);
    tcase_add_test(tests, counts_are_zero_unless_asked_for);
    tcase_add_test(tests, stream_tells_its_version_and_state);
    tcase_add_test(tests, stream_never_written_to_is_not_found);
    tcase_add_test(tests, types_are_counted_by_name_and_schema_version);
    tcase_add_test(tests, bad_arguments_are_misuse);
    tcase_add_test(tests, list_of_a_closed_store_may_be_closed);
    tcase_add_test(tests, list_copies_its_description);
    return run_suite(suite);
}
