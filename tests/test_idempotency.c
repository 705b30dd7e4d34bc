/* A key names one attempt: repeated, it answers what the first one did and stores nothing. */
#include "contract.h"

static stele_event pair[2];

static stele_append keyed_append(const char *key)
{
    pair[0] = make_event("opened", "{\"a\":1}");
    pair[1] = make_event("noted", "12");
    stele_append append = make_append("account-1", STELE_ANY, pair, 2);
    append.idempotency_key = key;
    return append;
}

static void expect_same_outcome(const stele_appended *first, const stele_appended *again)
{
    ck_assert(!first->duplicate);
    ck_assert(again->duplicate);
    ck_assert(!again->erased);
    ck_assert_int_eq(again->stream_version, first->stream_version);
    ck_assert_int_eq(again->first_position, first->first_position);
    ck_assert_int_eq(again->last_position, first->last_position);
}

/* --- Same key, same content --- */

START_TEST(same_key_and_content_answer_the_first_outcome)
{
    stele_append append = keyed_append("attempt-1");
    stele_appended first = { 0 }, again = { 0 };
    fill_stream("other-1", 2);
    fill_stream("account-1", 3);
    assert_status(stele_store_append(store, &append, &first), STELE_OK);
    fill_stream("account-1", 1);
    fill_stream("other-1", 1);

    assert_status(stele_store_append(store, &append, &again), STELE_OK);

    expect_same_outcome(&first, &again);
    ck_assert_int_eq(first.stream_version, 5);
    ck_assert_int_eq(first.first_position, 6);
    ck_assert_int_eq(first.last_position, 7);
    ck_assert_int_eq(head_of(store), 9);
}
END_TEST

/* The caller that never got the answer retries as it was: its version is stale by its own hand. */
START_TEST(retry_is_admitted_whatever_it_expects)
{
    const int64_t expectations[] = { STELE_NO_STREAM, STELE_ANY, STELE_STREAM_EXISTS, 1, 2, 77 };
    stele_append append = keyed_append("attempt-1");
    append.expected_version = STELE_NO_STREAM;
    stele_appended first = { 0 };
    assert_status(stele_store_append(store, &append, &first), STELE_OK);

    for (size_t i = 0; i < COUNT_OF(expectations); i++) {
        stele_appended again = { 0 };
        append.expected_version = expectations[i];
        assert_status(stele_store_append(store, &append, &again), STELE_OK);
        expect_same_outcome(&first, &again);
    }
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

START_TEST(retry_is_admitted_whatever_its_conditions)
{
    stele_append append = keyed_append("attempt-1");
    stele_condition condition = { STELE_CONDITION_STREAM_VERSION, "limit-1", STELE_NO_STREAM };
    append.conditions = &condition;
    append.condition_count = 1;
    stele_appended first = { 0 }, again = { 0 };
    assert_status(stele_store_append(store, &append, &first), STELE_OK);
    fill_stream("limit-1", 1);

    assert_status(stele_store_append(store, &append, &again), STELE_OK);

    expect_same_outcome(&first, &again);
}
END_TEST

/* A conflict stored nothing, so it didn't use the key up. */
START_TEST(key_of_a_refused_append_is_still_free)
{
    stele_append append = keyed_append("attempt-1");
    append.expected_version = 9;
    assert_status(stele_store_append(store, &append, NULL), STELE_CONFLICT);

    stele_appended appended = { 0 };
    append.expected_version = STELE_NO_STREAM;
    append.event_count = 1;
    assert_status(stele_store_append(store, &append, &appended), STELE_OK);

    ck_assert(!appended.duplicate);
}
END_TEST

START_TEST(defaults_and_their_spelling_are_the_same_content)
{
    stele_append append = keyed_append("attempt-1");
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);

    pair[0].codec = "json";
    pair[0].schema_version = 1;
    pair[0].metadata = "";
    stele_appended again = { 0 };
    assert_status(stele_store_append(store, &append, &again), STELE_OK);

    ck_assert(again.duplicate);
}
END_TEST

START_TEST(key_survives_reopening)
{
    stele_append append = keyed_append("attempt-1");
    stele_appended first = { 0 }, again = { 0 };
    assert_status(stele_store_append(store, &append, &first), STELE_OK);

    reopen_file();
    assert_status(stele_store_append(store, &append, &again), STELE_OK);

    expect_same_outcome(&first, &again);
    pair[0].type = "other";
    assert_status(stele_store_append(store, &append, NULL), STELE_KEY_REUSED);
}
END_TEST

/* --- Same key, other content --- */

static void change_type(stele_append *append)
{
    (void)append;
    pair[0].type = "opened2";
}

static void change_data(stele_append *append)
{
    (void)append;
    pair[0].data = "{\"a\":2}";
}

/* The same value, spelled with other bytes: payloads are compared as they are stored. */
static void respell_data(stele_append *append)
{
    (void)append;
    pair[0].data = "{\"a\": 1}";
    pair[0].data_size = 8;
}

static void add_metadata(stele_append *append)
{
    (void)append;
    pair[0].metadata = "{}";
    pair[0].metadata_size = 2;
}

/* The two run together are the same bytes as before: the border must count. */
static void move_border(stele_append *append)
{
    (void)append;
    pair[1].data_size = 1;
    pair[1].metadata = "2";
    pair[1].metadata_size = 1;
}

static void change_codec(stele_append *append)
{
    (void)append;
    pair[0].codec = "raw";
}

static void change_schema_version(stele_append *append)
{
    (void)append;
    pair[0].schema_version = 2;
}

static void change_time(stele_append *append)
{
    (void)append;
    pair[0].occurred_at = 1;
}

static void add_time_of_zero(stele_append *append)
{
    (void)append;
    pair[0].has_occurred_at = true;
}

static void change_stream(stele_append *append)
{
    append->stream = "account-2";
}

static void drop_event(stele_append *append)
{
    append->event_count = 1;
}

static void drop_events(stele_append *append)
{
    append->event_count = 0;
}

static void swap_events(stele_append *append)
{
    (void)append;
    stele_event first = pair[0];
    pair[0] = pair[1];
    pair[1] = first;
}

static void (*const changes[])(stele_append *append) = {
    change_type,  change_data,           respell_data, add_metadata,     move_border,
    change_codec, change_schema_version, change_time,  add_time_of_zero, change_stream,
    drop_event,   drop_events,           swap_events,
};

START_TEST(same_key_with_other_content_is_key_reused)
{
    stele_append append = keyed_append("attempt-1");
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    changes[_i](&append);

    assert_status(stele_store_append(store, &append, NULL), STELE_KEY_REUSED);

    assert_reason_has("attempt-1");
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

/* Metadata of one event must not pass for data of the next. */
START_TEST(border_between_events_counts)
{
    stele_event events[2] = { make_event("noted", "1"), make_event("noted", "1") };
    events[0].metadata = "2";
    events[0].metadata_size = 1;
    stele_append append = make_append("account-1", STELE_ANY, events, 2);
    append.idempotency_key = "attempt-1";
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);

    events[1].metadata = "2";
    events[1].metadata_size = 1;
    events[0].metadata = NULL;
    events[0].metadata_size = 0;
    assert_status(stele_store_append(store, &append, NULL), STELE_KEY_REUSED);
}
END_TEST

START_TEST(other_keys_with_the_same_content_are_other_attempts)
{
    const char *keys[] = { "k", "K", "k ", "kk", NULL, NULL };

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        stele_append append = keyed_append(keys[i]);
        stele_appended appended = { 0 };
        assert_status(stele_store_append(store, &append, &appended), STELE_OK);
        ck_assert(!appended.duplicate);
    }
    ck_assert_int_eq(head_of(store), 12);
}
END_TEST

/* --- Empty batches --- */

START_TEST(empty_batch_with_a_key_is_remembered)
{
    fill_stream("account-1", 3);
    stele_append append = make_append("account-1", 3, NULL, 0);
    append.idempotency_key = "attempt-1";
    stele_appended first = { 0 }, again = { 0 };
    assert_status(stele_store_append(store, &append, &first), STELE_OK);
    fill_stream("account-1", 2);

    assert_status(stele_store_append(store, &append, &again), STELE_OK);

    expect_same_outcome(&first, &again);
    ck_assert_int_eq(again.stream_version, 3);
    ck_assert_int_eq(again.first_position, 0);
    append.stream = "account-2";
    assert_status(stele_store_append(store, &append, NULL), STELE_KEY_REUSED);
}
END_TEST

START_TEST(empty_batch_with_a_key_creates_no_stream)
{
    stele_append append = make_append("ghost-1", STELE_NO_STREAM, NULL, 0);
    append.idempotency_key = "attempt-1";
    stele_appended first = { 0 }, again = { 0 };
    assert_status(stele_store_append(store, &append, &first), STELE_OK);

    stele_stream_info info = { 0 };
    assert_status(stele_store_stream(store, "ghost-1", &info), STELE_NOT_FOUND);
    assert_status(append_one("ghost-1", STELE_NO_STREAM, "opened", NULL), STELE_OK);
    assert_status(stele_store_append(store, &append, &again), STELE_OK);
    expect_same_outcome(&first, &again);
}
END_TEST

/* --- Several appends in one call --- */

START_TEST(each_append_of_a_call_has_its_own_key)
{
    stele_event event = make_event("noted", "1");
    stele_append appends[3] = { make_append("a-1", STELE_ANY, &event, 1),
                                make_append("b-1", STELE_ANY, &event, 1),
                                make_append("c-1", STELE_ANY, &event, 1) };
    stele_appended appended[3];
    appends[0].idempotency_key = "a";
    appends[1].idempotency_key = "b";
    assert_status(stele_store_append_many(store, appends, 2, NULL, NULL), STELE_OK);

    /* "b" again, among new ones. */
    appends[0].idempotency_key = "a2";
    appends[2].idempotency_key = "c";
    assert_status(stele_store_append_many(store, appends, 3, appended, NULL), STELE_OK);

    ck_assert(!appended[0].duplicate);
    ck_assert(appended[1].duplicate);
    ck_assert(!appended[2].duplicate);
    ck_assert_int_eq(appended[1].first_position, 2);
    ck_assert_int_eq(appended[2].first_position, 4);
    ck_assert_int_eq(version_of("b-1"), 1);
    ck_assert_int_eq(head_of(store), 4);
}
END_TEST

START_TEST(same_key_twice_in_one_call_stores_once)
{
    stele_event event = make_event("noted", "1");
    stele_append appends[2] = { make_append("a-1", STELE_NO_STREAM, &event, 1),
                                make_append("a-1", STELE_NO_STREAM, &event, 1) };
    appends[0].idempotency_key = appends[1].idempotency_key = "attempt-1";
    stele_appended appended[2];

    assert_status(stele_store_append_many(store, appends, 2, appended, NULL), STELE_OK);

    expect_same_outcome(&appended[0], &appended[1]);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

START_TEST(same_key_with_other_content_in_one_call_undoes_all)
{
    stele_event event = make_event("noted", "1");
    stele_append appends[2] = { make_append("a-1", STELE_ANY, &event, 1),
                                make_append("b-1", STELE_ANY, &event, 1) };
    appends[0].idempotency_key = appends[1].idempotency_key = "attempt-1";
    size_t failed = 99;

    assert_status(stele_store_append_many(store, appends, 2, NULL, &failed), STELE_KEY_REUSED);

    ck_assert_uint_eq(failed, 1);
    ck_assert_int_eq(head_of(store), 0);
    assert_status(stele_store_append(store, &appends[1], NULL), STELE_OK);
}
END_TEST

/* --- Reading keys --- */

START_TEST(key_is_read_with_the_first_event_of_its_append)
{
    fill_stream("account-1", 1);
    stele_append append = keyed_append("attempt-1");
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    append = keyed_append("attempt-2");
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);

    stele_read read = STELE_READ_INIT;
    read.keys = true;
    stele_cursor *cursor = open_read(&read);

    ck_assert_ptr_null(next_record(cursor)->idempotency_key);
    ck_assert_str_eq(next_record(cursor)->idempotency_key, "attempt-1");
    ck_assert_ptr_null(next_record(cursor)->idempotency_key);
    ck_assert_str_eq(next_record(cursor)->idempotency_key, "attempt-2");
    ck_assert_ptr_null(next_record(cursor)->idempotency_key);
    expect_done(cursor);
    stele_cursor_close(cursor);
}
END_TEST

/* An empty batch has no first event, so its key must not show up at somebody else's. */
START_TEST(key_of_an_empty_batch_is_read_with_no_event)
{
    stele_append append = make_append("account-1", STELE_ANY, NULL, 0);
    append.idempotency_key = "empty-before";
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    fill_stream("account-1", 2);
    append.idempotency_key = "empty-after";
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    fill_stream("account-1", 1);

    stele_read read = STELE_READ_INIT;
    read.keys = true;
    stele_cursor *cursor = open_read(&read);

    for (int i = 0; i < 3; i++)
        ck_assert_ptr_null(next_record(cursor)->idempotency_key);
    stele_cursor_close(cursor);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, same_key_and_content_answer_the_first_outcome);
    tcase_add_test(tests, retry_is_admitted_whatever_it_expects);
    tcase_add_test(tests, retry_is_admitted_whatever_its_conditions);
    tcase_add_test(tests, key_of_a_refused_append_is_still_free);
    tcase_add_test(tests, defaults_and_their_spelling_are_the_same_content);
    tcase_add_loop_test(tests, same_key_with_other_content_is_key_reused, 0,
                        (int)COUNT_OF(changes));
    tcase_add_test(tests, border_between_events_counts);
    tcase_add_test(tests, other_keys_with_the_same_content_are_other_attempts);
    tcase_add_test(tests, empty_batch_with_a_key_is_remembered);
    tcase_add_test(tests, empty_batch_with_a_key_creates_no_stream);
    tcase_add_test(tests, each_append_of_a_call_has_its_own_key);
    tcase_add_test(tests, same_key_twice_in_one_call_stores_once);
    tcase_add_test(tests, same_key_with_other_content_in_one_call_undoes_all);
    tcase_add_test(tests, key_is_read_with_the_first_event_of_its_append);
    tcase_add_test(tests, key_of_an_empty_batch_is_read_with_no_event);
}

int main(void)
{
    Suite *suite = suite_create("idempotency");
    add_tests(add_case(suite, "memory", open_in_memory));
    TCase *file = add_case(suite, "file", open_in_file);
    add_tests(file);
    tcase_add_test(file, key_survives_reopening);
    return run_suite(suite);
}
