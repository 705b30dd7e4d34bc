/* What an append admits, what it answers, and that a refused one leaves nothing behind. */
#include "contract.h"

/* --- The expectation --- */

static const struct {
    int present; /* Events in the stream before. */
    int64_t expected_version;
    stele_status status;
} expectations[] = {
    { 0, STELE_ANY, STELE_OK },
    { 0, STELE_NO_STREAM, STELE_OK },
    { 0, STELE_STREAM_EXISTS, STELE_CONFLICT },
    { 0, 1, STELE_CONFLICT },
    { 0, INT64_MAX, STELE_CONFLICT },
    { 3, STELE_ANY, STELE_OK },
    { 3, STELE_NO_STREAM, STELE_CONFLICT },
    { 3, STELE_STREAM_EXISTS, STELE_OK },
    { 3, 3, STELE_OK },
    { 3, 2, STELE_CONFLICT },
    { 3, 4, STELE_CONFLICT },
};

START_TEST(expected_version_is_compared_with_the_actual_one)
{
    int present = expectations[_i].present;
    fill_stream("account-1", present);
    stele_appended appended = { 0 };

    stele_status status =
        append_one("account-1", expectations[_i].expected_version, "next", &appended);

    assert_status(status, expectations[_i].status);
    bool stored = status == STELE_OK;
    ck_assert_int_eq(appended.stream_version, present + (stored ? 1 : 0));
    ck_assert_int_eq(appended.first_position, stored ? present + 1 : 0);
    ck_assert_int_eq(appended.last_position, stored ? present + 1 : 0);
    if (!stored)
        ck_assert_int_eq(appended.condition, -1);
    ck_assert_int_eq(version_of("account-1"), present + (stored ? 1 : 0));
    ck_assert_int_eq(head_of(store), present + (stored ? 1 : 0));
}
END_TEST

START_TEST(empty_batch_checks_the_expectation_and_answers_the_version)
{
    fill_stream("account-1", expectations[_i].present);
    stele_append append = make_append("account-1", expectations[_i].expected_version, NULL, 0);
    stele_appended appended = { 0 };

    assert_status(stele_store_append(store, &append, &appended), expectations[_i].status);

    ck_assert_int_eq(appended.stream_version, expectations[_i].present);
    ck_assert_int_eq(appended.first_position, 0);
    ck_assert_int_eq(appended.last_position, 0);
    ck_assert_int_eq(head_of(store), expectations[_i].present);
}
END_TEST

/* Two writers both saw version 1; the second must learn that it lost, and change nothing. */
START_TEST(append_with_stale_version_conflicts_and_writes_nothing)
{
    stele_appended appended = { 0 };
    assert_status(append_one("account-7", STELE_NO_STREAM, "opened", NULL), STELE_OK);
    assert_status(append_one("account-7", 1, "deposited", NULL), STELE_OK);

    assert_status(append_one("account-7", 1, "withdrawn", &appended), STELE_CONFLICT);

    ck_assert_int_eq(appended.stream_version, 2);
    ck_assert_str_eq(stele_error_text(), "stream 'account-7' is at version 2, expected 1");
    assert_status(append_one("account-7", 2, "withdrawn", NULL), STELE_OK);
}
END_TEST

START_TEST(conflict_writes_no_part_of_a_batch)
{
    fill_stream("account-1", 1);
    stele_event events[3] = { make_event("a", "1"), make_event("b", "2"), make_event("c", "3") };
    stele_append append = make_append("account-1", 2, events, 3);

    assert_status(stele_store_append(store, &append, NULL), STELE_CONFLICT);

    ck_assert_int_eq(version_of("account-1"), 1);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

/* A refused type must not take an id: ids are dense and only given by what was stored. */
START_TEST(refused_append_leaves_no_stream_and_no_type)
{
    assert_status(append_one("ghost-1", STELE_STREAM_EXISTS, "unseen", NULL), STELE_CONFLICT);

    stele_stream_info info = { 0 };
    stele_types *types = NULL;
    const stele_type_info *type = NULL;
    assert_status(stele_store_stream(store, "ghost-1", &info), STELE_NOT_FOUND);
    assert_status(stele_store_types(store, &types), STELE_OK);
    assert_status(stele_types_next(types, &type), STELE_DONE);
    stele_types_close(types);
}
END_TEST

START_TEST(negative_version_that_is_no_constant_is_misuse)
{
    assert_status(append_one("account-1", -3, "opened", NULL), STELE_MISUSE);
    assert_status(append_one("account-1", INT64_MIN, "opened", NULL), STELE_MISUSE);

    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

/* --- What it answers --- */

START_TEST(batch_counts_versions_and_positions_from_where_they_were)
{
    stele_event events[4] = { make_event("a", "1"), make_event("b", "2"), make_event("c", "3"),
                              make_event("d", "4") };
    stele_append append = make_append("cart-1", STELE_ANY, events, 3);
    stele_appended appended = { 0 };
    fill_stream("other-1", 5);

    assert_status(stele_store_append(store, &append, &appended), STELE_OK);
    ck_assert_int_eq(appended.stream_version, 3);
    ck_assert_int_eq(appended.first_position, 6);
    ck_assert_int_eq(appended.last_position, 8);

    append.event_count = 4;
    assert_status(stele_store_append(store, &append, &appended), STELE_OK);
    ck_assert_int_eq(appended.stream_version, 7);
    ck_assert_int_eq(appended.first_position, 9);
    ck_assert_int_eq(appended.last_position, 12);
    ck_assert(!appended.duplicate);
    ck_assert(!appended.erased);
}
END_TEST

START_TEST(positions_are_dense_over_streams_and_conflicts)
{
    for (int i = 0; i < 10; i++) {
        char stream[32];
        snprintf(stream, sizeof(stream), "dense-%d", i % 3);
        stele_appended appended = { 0 };
        assert_status(append_one(stream, 1000, "refused", NULL), STELE_CONFLICT);

        assert_status(append_one(stream, STELE_ANY, "taken", &appended), STELE_OK);

        ck_assert_int_eq(appended.first_position, i + 1);
        ck_assert_int_eq(appended.stream_version, i / 3 + 1);
    }
    stele_read all = STELE_READ_INIT;
    ck_assert_str_eq(positions_of(&all), "1 2 3 4 5 6 7 8 9 10");
}
END_TEST

START_TEST(answer_may_be_unwanted)
{
    assert_status(append_one("account-1", STELE_NO_STREAM, "opened", NULL), STELE_OK);
    assert_status(append_one("account-1", STELE_NO_STREAM, "opened", NULL), STELE_CONFLICT);
}
END_TEST

START_TEST(memory_of_the_caller_is_unchanged_and_his_again_afterwards)
{
    char type[] = "opened", data[] = "{\"a\":1}", metadata[] = "{\"by\":\"me\"}", stream[] = "a-1";
    stele_event event = make_event(type, data);
    event.metadata = metadata;
    event.metadata_size = strlen(metadata);
    stele_append append = make_append(stream, STELE_ANY, &event, 1);
    stele_event event_before = event;
    stele_append append_before = append;

    assert_status(stele_store_append(store, &append, NULL), STELE_OK);

    ck_assert_mem_eq(&event, &event_before, sizeof(event));
    ck_assert_mem_eq(&append, &append_before, sizeof(append));
    ck_assert_str_eq(data, "{\"a\":1}");
    memset(type, 'x', sizeof(type) - 1);
    memset(data, 'x', sizeof(data) - 1);
    memset(metadata, 'x', sizeof(metadata) - 1);
    memset(stream, 'x', sizeof(stream) - 1);

    stele_cursor *cursor = NULL;
    const stele_record *record = read_only_record("a-1", &cursor);
    ck_assert_str_eq(record->type, "opened");
    ck_assert_str_eq(record->data, "{\"a\":1}");
    ck_assert_str_eq(record->metadata, "{\"by\":\"me\"}");
    stele_cursor_close(cursor);
}
END_TEST

/* --- The events that a conflict missed --- */

START_TEST(missed_events_are_those_after_the_expected_version)
{
    fill_stream("account-1", 2);
    fill_stream("other-1", 1);
    fill_stream("account-1", 3);
    stele_event event = make_event("late", "{}");

    for (int64_t expected = STELE_NO_STREAM; expected < 5; expected++) {
        stele_append append = make_append("account-1", expected, &event, 1);
        stele_appended appended = { 0 };
        stele_cursor *cursor = NULL;
        assert_status(stele_store_append(store, &append, &appended), STELE_CONFLICT);

        assert_status(stele_store_read_missed(store, &append, &appended, &cursor), STELE_OK);

        const char *all = "1 2 3 4 5";
        ck_assert_str_eq(drain_numbers(cursor, true), all + 2 * expected);
    }
}
END_TEST

START_TEST(missed_events_end_at_the_version_of_the_conflict)
{
    fill_stream("account-1", 3);
    stele_event event = make_event("late", "{}");
    stele_append append = make_append("account-1", 1, &event, 1);
    stele_appended appended = { 0 };
    stele_cursor *cursor = NULL;
    assert_status(stele_store_append(store, &append, &appended), STELE_CONFLICT);
    fill_stream("account-1", 2);

    assert_status(stele_store_read_missed(store, &append, &appended, &cursor), STELE_OK);

    ck_assert_str_eq(drain_numbers(cursor, true), "2 3");
}
END_TEST

/* Who expected a version beyond the stream's has missed nothing: he believed in too much. */
START_TEST(expecting_too_much_has_missed_nothing)
{
    fill_stream("account-1", 3);
    stele_event event = make_event("early", "{}");
    stele_append append = make_append("account-1", 7, &event, 1);
    stele_appended appended = { 0 };
    stele_cursor *cursor = NULL;
    assert_status(stele_store_append(store, &append, &appended), STELE_CONFLICT);

    assert_status(stele_store_read_missed(store, &append, &appended, &cursor), STELE_OK);

    ck_assert_str_eq(drain_numbers(cursor, true), "");
}
END_TEST

START_TEST(missed_events_of_an_inexact_expectation_are_misuse)
{
    stele_append append = make_append("account-1", STELE_STREAM_EXISTS, NULL, 0);
    stele_appended appended = { 0 };
    stele_cursor *cursor = NULL;
    assert_status(stele_store_append(store, &append, &appended), STELE_CONFLICT);

    assert_status(stele_store_read_missed(store, &append, &appended, &cursor), STELE_MISUSE);

    ck_assert_ptr_null(cursor);
}
END_TEST

/* --- Arguments --- */

START_TEST(missing_arguments_are_misuse)
{
    stele_event event = make_event("opened", "{}");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    assert_status(stele_store_append(NULL, &append, NULL), STELE_MISUSE);
    assert_status(stele_store_append(store, NULL, NULL), STELE_MISUSE);

    append.stream = NULL;
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
    append.stream = "account-1";

    append.events = NULL;
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
    append.events = &event;

    event.type = NULL;
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
    event.type = "opened";

    event.data = NULL;
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
    event.data = "{}";

    event.metadata_size = 2;
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
    event.metadata_size = 0;

    append.condition_count = 1;
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
    append.condition_count = 0;

    ck_assert_int_eq(head_of(store), 0);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
}
END_TEST

/* Who forgets the initializer gets told, and not an append with odd settings. */
START_TEST(forgotten_initializer_is_misuse)
{
    stele_event event = make_event("opened", "{}");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);

    append.struct_size = 0;
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
    append.struct_size = sizeof(append);

    append.event_size = 0;
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
}
END_TEST

START_TEST(smaller_struct_of_an_older_program_gets_defaults)
{
    stele_event event = make_event("opened", "{}");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    append.struct_size = offsetof(stele_append, idempotency_key);
    append.idempotency_key = "beyond the struct";
    append.condition_count = 99;
    append.condition_size = 1;

    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);

    ck_assert_int_eq(version_of("account-1"), 2);
}
END_TEST

START_TEST(larger_events_of_a_newer_program_are_stepped_over)
{
    struct {
        stele_event event;
        int64_t added_later;
    } events[3] = { { make_event("a", "1"), 0 },
                    { make_event("b", "2"), 0 },
                    { make_event("c", "3"), 0 } };
    stele_append append = make_append("account-1", STELE_ANY, &events[0].event, 3);
    append.event_size = sizeof(events[0]);

    assert_status(stele_store_append(store, &append, NULL), STELE_OK);

    stele_cursor *cursor = open_read(NULL);
    ck_assert_str_eq(next_record(cursor)->type, "a");
    ck_assert_str_eq(next_record(cursor)->type, "b");
    ck_assert_str_eq(next_record(cursor)->type, "c");
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(init_function_does_as_the_initializer)
{
    stele_append by_macro = STELE_APPEND_INIT;
    stele_append by_function;
    memset(&by_function, 0xAA, sizeof(by_function));

    stele_append_init(&by_function);

    ck_assert_uint_eq(by_function.struct_size, by_macro.struct_size);
    ck_assert_int_eq(by_function.expected_version, STELE_ANY);
    ck_assert_uint_eq(by_function.event_count, 0);
    ck_assert_uint_eq(by_function.event_size, sizeof(stele_event));
    ck_assert_uint_eq(by_function.condition_size, sizeof(stele_condition));
    ck_assert_ptr_null(by_function.stream);
    ck_assert_ptr_null(by_function.events);
    ck_assert_ptr_null(by_function.idempotency_key);
    ck_assert_ptr_null(by_function.conditions);
}
END_TEST

START_TEST(more_than_100000_events_are_too_large)
{
    size_t count = 100001;
    stele_event *events = calloc(count, sizeof(*events));
    ck_assert_ptr_nonnull(events);
    for (size_t i = 0; i < count; i++)
        events[i] = make_event("counted", "1");
    stele_append append = make_append("bulk-1", STELE_ANY, events, count);

    assert_status(stele_store_append(store, &append, NULL), STELE_TOO_LARGE);
    ck_assert_int_eq(head_of(store), 0);

    append.event_count = count - 1;
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    ck_assert_int_eq(head_of(store), 100000);
    free(events);
}
END_TEST

static void add_contract(TCase *tests)
{
    int rows = (int)COUNT_OF(expectations);
    tcase_add_loop_test(tests, expected_version_is_compared_with_the_actual_one, 0, rows);
    tcase_add_loop_test(tests, empty_batch_checks_the_expectation_and_answers_the_version, 0, rows);
    tcase_add_test(tests, append_with_stale_version_conflicts_and_writes_nothing);
    tcase_add_test(tests, conflict_writes_no_part_of_a_batch);
    tcase_add_test(tests, refused_append_leaves_no_stream_and_no_type);
    tcase_add_test(tests, negative_version_that_is_no_constant_is_misuse);
    tcase_add_test(tests, batch_counts_versions_and_positions_from_where_they_were);
    tcase_add_test(tests, positions_are_dense_over_streams_and_conflicts);
    tcase_add_test(tests, answer_may_be_unwanted);
    tcase_add_test(tests, memory_of_the_caller_is_unchanged_and_his_again_afterwards);
    tcase_add_test(tests, missed_events_are_those_after_the_expected_version);
    tcase_add_test(tests, missed_events_end_at_the_version_of_the_conflict);
    tcase_add_test(tests, expecting_too_much_has_missed_nothing);
    tcase_add_test(tests, missed_events_of_an_inexact_expectation_are_misuse);
}

static void add_arguments(TCase *tests)
{
    tcase_add_test(tests, missing_arguments_are_misuse);
    tcase_add_test(tests, forgotten_initializer_is_misuse);
    tcase_add_test(tests, smaller_struct_of_an_older_program_gets_defaults);
    tcase_add_test(tests, larger_events_of_a_newer_program_are_stepped_over);
    tcase_add_test(tests, init_function_does_as_the_initializer);
    tcase_add_test(tests, more_than_100000_events_are_too_large);
}

int main(void)
{
    Suite *suite = suite_create("append");
    add_contract(add_case(suite, "memory", open_in_memory));
    add_contract(add_case(suite, "file", open_in_file));
    add_arguments(add_case(suite, "arguments", open_in_memory));
    return run_suite(suite);
}
