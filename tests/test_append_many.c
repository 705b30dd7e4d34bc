/* Appending to several streams in one commit, and conditions on streams not written to. */
#include "contract.h"

#include <stele/lifecycle.h>

/* --- Several appends, one commit --- */

START_TEST(several_appends_are_stored_together_and_each_is_answered)
{
    fill_stream("a-1", 2);
    stele_event events[2] = { make_event("x", "1"), make_event("y", "2") };
    stele_append appends[3] = { make_append("a-1", 2, events, 2),
                                make_append("b-1", STELE_NO_STREAM, events, 1),
                                make_append("c-1", STELE_ANY, NULL, 0) };
    stele_appended appended[3];
    size_t failed = 99;

    assert_status(stele_store_append_many(store, appends, 3, appended, &failed), STELE_OK);

    ck_assert_uint_eq(failed, 3);
    ck_assert_int_eq(appended[0].stream_version, 4);
    ck_assert_int_eq(appended[0].first_position, 3);
    ck_assert_int_eq(appended[0].last_position, 4);
    ck_assert_int_eq(appended[1].stream_version, 1);
    ck_assert_int_eq(appended[1].first_position, 5);
    ck_assert_int_eq(appended[1].last_position, 5);
    ck_assert_int_eq(appended[2].stream_version, 0);
    ck_assert_int_eq(appended[2].last_position, 0);
    ck_assert_int_eq(head_of(store), 5);
}
END_TEST

START_TEST(later_append_meets_what_an_earlier_one_wrote)
{
    stele_event event = make_event("x", "1");
    stele_append appends[3] = { make_append("a-1", STELE_NO_STREAM, &event, 1),
                                make_append("a-1", 1, &event, 1),
                                make_append("a-1", STELE_STREAM_EXISTS, NULL, 0) };
    stele_appended appended[3];

    assert_status(stele_store_append_many(store, appends, 3, appended, NULL), STELE_OK);

    ck_assert_int_eq(appended[1].stream_version, 2);
    ck_assert_int_eq(appended[2].stream_version, 2);
}
END_TEST

START_TEST(conflict_undoes_all_appends_and_names_the_one)
{
    fill_stream("b-1", 4);
    stele_event event = make_event("x", "1");
    stele_append appends[3] = { make_append("a-1", STELE_NO_STREAM, &event, 1),
                                make_append("b-1", 3, &event, 1),
                                make_append("c-1", STELE_NO_STREAM, &event, 1) };
    stele_appended appended[3];
    memset(appended, 0xAA, sizeof(appended));
    stele_appended zero = { 0 };
    size_t failed = 99;

    assert_status(stele_store_append_many(store, appends, 3, appended, &failed), STELE_CONFLICT);

    ck_assert_uint_eq(failed, 1);
    assert_reason_has("stream 'b-1' is at version 4, expected 3");
    ck_assert_int_eq(appended[1].stream_version, 4);
    ck_assert_int_eq(appended[1].last_position, 0);
    ck_assert_int_eq(appended[1].condition, -1);
    ck_assert_mem_eq(&appended[0], &zero, sizeof(zero));
    ck_assert_mem_eq(&appended[2], &zero, sizeof(zero));
    ck_assert_int_eq(version_of("a-1"), 0);
    ck_assert_int_eq(version_of("c-1"), 0);
    ck_assert_int_eq(head_of(store), 4);
}
END_TEST

/* The actual version counts what the same call had written: that is what was compared. */
START_TEST(conflict_with_an_earlier_append_of_the_call_is_a_conflict)
{
    stele_event event = make_event("x", "1");
    stele_append appends[2] = { make_append("a-1", STELE_NO_STREAM, &event, 1),
                                make_append("a-1", STELE_NO_STREAM, &event, 1) };
    stele_appended appended[2];
    size_t failed = 99;

    assert_status(stele_store_append_many(store, appends, 2, appended, &failed), STELE_CONFLICT);

    ck_assert_uint_eq(failed, 1);
    ck_assert_int_eq(appended[1].stream_version, 1);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

START_TEST(refused_payload_undoes_all_appends_and_names_the_one)
{
    stele_event good = make_event("x", "1"), bad = make_event("x", "{");
    stele_append appends[3] = { make_append("a-1", STELE_ANY, &good, 1),
                                make_append("b-1", STELE_ANY, &good, 1),
                                make_append("c-1", STELE_ANY, &bad, 1) };
    size_t failed = 99;

    assert_status(stele_store_append_many(store, appends, 3, NULL, &failed), STELE_INVALID);

    ck_assert_uint_eq(failed, 2);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

START_TEST(larger_appends_of_a_newer_program_are_stepped_over)
{
    stele_event event = make_event("x", "1");
    struct {
        stele_append append;
        int64_t added_later[3];
    } appends[2] = { { make_append("a-1", STELE_NO_STREAM, &event, 1), { 0 } },
                     { make_append("b-1", STELE_NO_STREAM, &event, 1), { 0 } } };
    appends[0].append.struct_size = appends[1].append.struct_size = sizeof(appends[0]);

    assert_status(stele_store_append_many(store, &appends[0].append, 2, NULL, NULL), STELE_OK);

    ck_assert_int_eq(version_of("a-1"), 1);
    ck_assert_int_eq(version_of("b-1"), 1);
}
END_TEST

START_TEST(missing_arguments_are_misuse)
{
    stele_append append = make_append("a-1", STELE_ANY, NULL, 0);

    assert_status(stele_store_append_many(NULL, &append, 1, NULL, NULL), STELE_MISUSE);
    assert_status(stele_store_append_many(store, NULL, 1, NULL, NULL), STELE_MISUSE);

    append.struct_size = 0;
    assert_status(stele_store_append_many(store, &append, 1, NULL, NULL), STELE_MISUSE);
}
END_TEST

/* Versions of one stream and positions of the store must still be told apart afterwards. */
START_TEST(thousand_appends_over_interleaved_streams_are_one_commit)
{
    enum { COUNT = 1000 };
    static stele_append appends[COUNT];
    static stele_appended appended[COUNT];
    static char names[COUNT][16];
    stele_event event = make_event("x", "1");
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "many-%d", i % 7);
        appends[i] = make_append(names[i], i / 7, &event, 1);
    }

    assert_status(stele_store_append_many(store, appends, COUNT, appended, NULL), STELE_OK);

    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(appended[i].stream_version, i / 7 + 1);
        ck_assert_int_eq(appended[i].first_position, i + 1);
    }
}
END_TEST

/* Names are remembered in tables of fixed size: those that make room must not be mixed up. */
START_TEST(more_names_than_are_remembered_stay_apart)
{
    enum { COUNT = 20000, STREAMS = 9973, TYPES = 1499 };
    static stele_append appends[COUNT];
    static stele_event events[COUNT];
    static char streams[COUNT][24], types[COUNT][24];
    for (int i = 0; i < COUNT; i++) {
        snprintf(streams[i], sizeof(streams[i]), "s-%d", i * 31 % STREAMS);
        snprintf(types[i], sizeof(types[i]), "t-%d", i * 17 % TYPES);
        events[i] = make_event(types[i], "1");
        appends[i] = make_append(streams[i], i / STREAMS, &events[i], 1);
    }

    assert_status(stele_store_append_many(store, appends, COUNT / 2, NULL, NULL), STELE_OK);
    assert_status(stele_store_append_many(store, appends + COUNT / 2, COUNT / 2, NULL, NULL),
                  STELE_OK);

    stele_cursor *cursor = open_read(NULL);
    for (int i = 0; i < COUNT; i++) {
        const stele_record *record = next_record(cursor);
        ck_assert_str_eq(record->stream, streams[i]);
        ck_assert_str_eq(record->type, types[i]);
        ck_assert_int_eq(record->version, i / STREAMS + 1);
    }
    stele_cursor_close(cursor);
}
END_TEST

/* --- Conditions --- */

static const struct {
    int64_t expected_version;
    stele_status status;
} conditions_on_3_events[] = {
    { STELE_ANY, STELE_OK }, { STELE_STREAM_EXISTS, STELE_OK },
    { 3, STELE_OK },         { STELE_NO_STREAM, STELE_CONFLICT },
    { 2, STELE_CONFLICT },   { 4, STELE_CONFLICT },
};

START_TEST(condition_on_another_stream_must_hold)
{
    fill_stream("limit-1", 3);
    stele_condition condition = { STELE_CONDITION_STREAM_VERSION, "limit-1",
                                  conditions_on_3_events[_i].expected_version };
    stele_event event = make_event("spent", "{}");
    stele_append append = make_append("account-1", STELE_NO_STREAM, &event, 1);
    append.conditions = &condition;
    append.condition_count = 1;
    stele_appended appended = { 0 };
    stele_status expected = conditions_on_3_events[_i].status;

    assert_status(stele_store_append(store, &append, &appended), expected);

    if (expected == STELE_CONFLICT) {
        ck_assert_int_eq(appended.condition, 0);
        assert_reason_has("limit-1");
    }
    ck_assert_int_eq(version_of("account-1"), expected == STELE_OK ? 1 : 0);
    ck_assert_int_eq(version_of("limit-1"), 3);
}
END_TEST

START_TEST(first_failing_condition_is_named)
{
    fill_stream("a-1", 1);
    fill_stream("b-1", 2);
    stele_condition conditions[4] = { { STELE_CONDITION_STREAM_VERSION, "a-1", 1 },
                                      { STELE_CONDITION_STREAM_VERSION, "none-1", STELE_NO_STREAM },
                                      { STELE_CONDITION_STREAM_VERSION, "b-1", 1 },
                                      { STELE_CONDITION_STREAM_VERSION, "a-1", 7 } };
    stele_append append = make_append("account-1", STELE_ANY, NULL, 0);
    append.conditions = conditions;
    append.condition_count = 4;
    stele_appended appended = { 0 };

    assert_status(stele_store_append(store, &append, &appended), STELE_CONFLICT);

    ck_assert_int_eq(appended.condition, 2);
    assert_reason_has("stream 'b-1' is at version 2, expected 1");
}
END_TEST

START_TEST(own_stream_is_checked_before_the_conditions)
{
    stele_condition condition = { STELE_CONDITION_STREAM_VERSION, "none-1", 9 };
    stele_append append = make_append("account-1", 9, NULL, 0);
    append.conditions = &condition;
    append.condition_count = 1;
    stele_appended appended = { 0 };

    assert_status(stele_store_append(store, &append, &appended), STELE_CONFLICT);

    ck_assert_int_eq(appended.condition, -1);
}
END_TEST

START_TEST(condition_sees_what_the_same_call_wrote)
{
    stele_event event = make_event("x", "1");
    stele_condition condition = { STELE_CONDITION_STREAM_VERSION, "a-1", 1 };
    stele_append appends[2] = { make_append("a-1", STELE_NO_STREAM, &event, 1),
                                make_append("b-1", STELE_NO_STREAM, &event, 1) };
    appends[1].conditions = &condition;
    appends[1].condition_count = 1;

    assert_status(stele_store_append_many(store, appends, 2, NULL, NULL), STELE_OK);
}
END_TEST

START_TEST(larger_conditions_of_a_newer_program_are_stepped_over)
{
    fill_stream("a-1", 1);
    struct {
        stele_condition condition;
        int64_t added_later;
    } conditions[2] = { { { STELE_CONDITION_STREAM_VERSION, "a-1", 1 }, 0 },
                        { { STELE_CONDITION_STREAM_VERSION, "a-1", 2 }, 0 } };
    stele_append append = make_append("b-1", STELE_ANY, NULL, 0);
    append.conditions = &conditions[0].condition;
    append.condition_count = 2;
    append.condition_size = sizeof(conditions[0]);
    stele_appended appended = { 0 };

    assert_status(stele_store_append(store, &append, &appended), STELE_CONFLICT);

    ck_assert_int_eq(appended.condition, 1);
}
END_TEST

/* Its version alone says nothing: it has come just as far. */
START_TEST(condition_on_the_id_tells_a_stream_from_a_later_one_of_its_name)
{
    stele_delete gone = STELE_DELETE_INIT;
    stele_stream_info info;
    stele_appended appended;
    stele_condition condition = { STELE_CONDITION_STREAM_ID, "a-1", 0 };
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    append.conditions = &condition;
    append.condition_count = 1;
    gone.stream = "a-1";

    assert_status(stele_store_append(store, &append, &appended), STELE_OK); /* 0: there is none */
    assert_status(stele_store_append(store, &append, &appended), STELE_CONFLICT);
    ck_assert_int_eq(appended.condition, 0);
    ck_assert_int_eq(appended.stream_version, 1);
    assert_reason_has("expected 0");
    assert_status(stele_store_stream(store, "a-1", &info), STELE_OK);
    condition.expected_version = info.id;
    assert_status(stele_store_append(store, &append, &appended), STELE_OK);
    ck_assert_int_eq(appended.stream_version, 2);
    assert_status(stele_store_delete(store, &gone, NULL), STELE_OK);
    for (int i = 0; i < 2; i++)
        assert_status(append_one("a-1", STELE_ANY, "noted", NULL), STELE_OK);
    append.expected_version = 2;
    assert_status(stele_store_append(store, &append, &appended), STELE_CONFLICT);
    ck_assert_int_eq(version_of("a-1"), 2);
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_CONFLICT);
    stele_transaction_end(transaction);
}
END_TEST

START_TEST(malformed_condition_is_misuse)
{
    stele_condition condition = { STELE_CONDITION_STREAM_VERSION, "a-1", STELE_ANY };
    stele_append append = make_append("b-1", STELE_ANY, NULL, 0);
    append.conditions = &condition;
    append.condition_count = 1;

    condition.stream = NULL;
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
    condition.stream = "";
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
    condition.stream = "a-1";

    condition.expected_version = -3;
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
    condition.kind = STELE_CONDITION_STREAM_ID;
    condition.expected_version = -1;
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
    condition.expected_version = STELE_ANY;

    memset(&condition.kind, 0, sizeof(condition.kind));
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
    condition.kind = STELE_CONDITION_STREAM_VERSION;

    append.condition_size = 0;
    assert_status(stele_store_append(store, &append, NULL), STELE_MISUSE);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, several_appends_are_stored_together_and_each_is_answered);
    tcase_add_test(tests, later_append_meets_what_an_earlier_one_wrote);
    tcase_add_test(tests, conflict_undoes_all_appends_and_names_the_one);
    tcase_add_test(tests, conflict_with_an_earlier_append_of_the_call_is_a_conflict);
    tcase_add_test(tests, refused_payload_undoes_all_appends_and_names_the_one);
    tcase_add_test(tests, thousand_appends_over_interleaved_streams_are_one_commit);
    tcase_add_test(tests, more_names_than_are_remembered_stay_apart);
    tcase_add_loop_test(tests, condition_on_another_stream_must_hold, 0,
                        (int)COUNT_OF(conditions_on_3_events));
    tcase_add_test(tests, first_failing_condition_is_named);
    tcase_add_test(tests, own_stream_is_checked_before_the_conditions);
    tcase_add_test(tests, condition_sees_what_the_same_call_wrote);
    tcase_add_test(tests, condition_on_the_id_tells_a_stream_from_a_later_one_of_its_name);
}

int main(void)
{
    Suite *suite = suite_create("append many");
    add_tests(add_case(suite, "memory", open_in_memory));
    add_tests(add_case(suite, "file", open_in_file));

    TCase *arguments = add_case(suite, "arguments", open_in_memory);
    tcase_add_test(arguments, larger_appends_of_a_newer_program_are_stepped_over);
    tcase_add_test(arguments, missing_arguments_are_misuse);
    tcase_add_test(arguments, larger_conditions_of_a_newer_program_are_stepped_over);
    tcase_add_test(arguments, malformed_condition_is_misuse);
    return run_suite(suite);
}
