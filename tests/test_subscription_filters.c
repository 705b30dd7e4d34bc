/* Subscriptions: which events come, from where to where. */
#include "subscriptions.h"

#include "lifecycles.h"

static seen_events seen;

static void open_empty(void)
{
    seen = (seen_events){ .answer = STELE_REFUSED };
    open_in_file();
}

static void append_types(const char *stream, const char *types)
{
    for (; *types != '\0'; types++) {
        char type[2] = { *types, '\0' };
        assert_status(append_one(stream, STELE_ANY, type, NULL), STELE_OK);
    }
}

/* What a run to its end is given, as "1,3,4". */
static const char *run_positions(const stele_subscription_options *options)
{
    static char text[1024];
    stele_subscription_options plain = *options;
    size_t at = 0;
    seen.count = 0;
    plain.delivery = STELE_AT_LEAST_ONCE;
    assert_status(run_through(&plain, &seen), STELE_DONE);
    text[0] = '\0';
    for (size_t i = 0; i < seen.count; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%" PRId64, i == 0 ? "" : ",",
                               seen.positions[i]);
    return text;
}

/* What is there now, pulled and acknowledged. */
static const char *pull_positions(stele_subscription *subscription)
{
    static char text[1024];
    const stele_batch *batch = NULL;
    stele_wait wait = wait_for_ms(0);
    size_t at = 0;
    text[0] = '\0';
    while (stele_subscription_next(subscription, &wait, &batch) == STELE_OK) {
        for (size_t i = 0; i < batch->count; i++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%" PRId64, at == 0 ? "" : ",",
                                   batch->records[i]->position);
        assert_status(stele_subscription_ack(subscription, batch->through), STELE_OK);
    }
    return text;
}

/* --- Where --- */

START_TEST(an_empty_store_has_nothing_to_give)
{
    stele_subscription_options options = make_catch_up("s");

    ck_assert_str_eq(run_positions(&options), "");

    ck_assert_int_eq(saved_position("s"), 0);
    ck_assert_uint_eq(seen.caught_up, 1);
}
END_TEST

START_TEST(history_comes_over_all_streams_with_contiguous_positions)
{
    stele_subscription_options options = make_catch_up("s");
    append_types("a-1", "xx");
    append_types("b-1", "yx");
    append_types("a-1", "y");

    ck_assert_str_eq(run_positions(&options), "1,2,3,4,5");
}
END_TEST

START_TEST(it_begins_after_a_position)
{
    stele_subscription_options options = make_catch_up("s");
    append_types("a-1", "xxxxx");
    options.start = STELE_START_POSITION;
    options.start_position = 2;

    ck_assert_str_eq(run_positions(&options), "3,4,5");
    /* It has a checkpoint now: that is where it goes on. */
    options.start_position = 1;
    ck_assert_str_eq(run_positions(&options), "");
}
END_TEST

START_TEST(a_position_is_of_no_meaning_where_it_begins_elsewhere)
{
    stele_subscription_options options = make_catch_up("s");
    append_types("a-1", "xxx");
    options.start_position = 2;

    ck_assert_str_eq(run_positions(&options), "1,2,3");
}
END_TEST

START_TEST(a_start_beyond_the_head_is_refused_unless_it_has_begun)
{
    stele_subscription_options options = make_catch_up("s");
    stele_subscription *subscription = NULL;
    append_types("a-1", "xxx");
    options.start = STELE_START_POSITION;
    options.start_position = 4;

    assert_status(stele_subscription_open(store, &options, &subscription), STELE_MISUSE);
    assert_status(stele_checkpoint_save(store, "s", 1), STELE_OK);

    ck_assert_str_eq(run_positions(&options), "2,3");
}
END_TEST

/* The head is that of opening, and kept when it was used once, though nothing came. */
START_TEST(it_begins_with_the_first_event_after_now)
{
    stele_subscription_options options = make_subscription("s");
    options.start = STELE_START_HEAD;
    append_types("a-1", "xx");
    stele_subscription *subscription = open_subscription(&options);
    ck_assert_int_eq(saved_position("s"), -1);
    append_types("a-1", "x");
    stele_subscription *other = NULL;
    options.name = "t";
    other = open_subscription(&options);

    ck_assert_str_eq(pull_positions(subscription), "3");
    ck_assert_str_eq(pull_positions(other), "");
    stele_subscription_close(subscription);
    stele_subscription_close(other);
    ck_assert_int_eq(saved_position("t"), 3);

    append_types("a-1", "xx");
    other = open_subscription(&options);
    ck_assert_str_eq(pull_positions(other), "4,5");
    stele_subscription_close(other);
}
END_TEST

START_TEST(it_ends_at_the_head_of_when_it_was_opened)
{
    stele_subscription_options options = make_catch_up("s");
    append_types("a-1", "xxx");
    stele_subscription *subscription = open_subscription(&options);
    const stele_batch *batch = NULL;
    append_types("a-1", "xx");

    batch = pull(subscription);
    ck_assert_uint_eq(batch->count, 3);
    assert_status(stele_subscription_ack(subscription, 3), STELE_OK);

    assert_status(stele_subscription_next(subscription, NULL, &batch), STELE_DONE);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(it_ends_at_a_position_whatever_matches)
{
    stele_subscription_options options = make_subscription("s");
    const char *types[] = { "x" };
    append_types("a-1", "xyxyyyx");
    options.stop = STELE_STOP_POSITION;
    options.stop_position = 5;
    options.types = types;
    options.type_count = 1;

    ck_assert_str_eq(run_positions(&options), "1,3");
    ck_assert_int_eq(saved_position("s"), 5);
    options.stop_position = 4;
    ck_assert_str_eq(run_positions(&options), "");
    ck_assert_int_eq(saved_position("s"), 5);
    options.name = "t";
    options.stream = "a-1";
    options.stop_position = 3;
    ck_assert_str_eq(run_positions(&options), "1,3");
    ck_assert_int_eq(saved_position("t"), 3);
}
END_TEST

/* --- What --- */

START_TEST(types_keep_their_true_positions)
{
    stele_subscription_options options = make_catch_up("s");
    const char *types[] = { "x", "z" };
    append_types("a-1", "xyxzx");
    options.types = types;
    options.type_count = 2;

    ck_assert_str_eq(run_positions(&options), "1,3,4,5");
}
END_TEST

START_TEST(a_live_filter_passes_over_a_mixed_batch)
{
    stele_subscription_options options = make_subscription("s");
    const char *types[] = { "x" };
    options.types = types;
    options.type_count = 1;
    stele_subscription *subscription = open_subscription(&options);
    ck_assert_str_eq(pull_positions(subscription), "");

    append_types("a-1", "yxyxy");
    ck_assert_str_eq(pull_positions(subscription), "2,4");
    append_types("a-1", "yy");
    ck_assert_str_eq(pull_positions(subscription), "");

    stele_subscription_close(subscription);
    ck_assert_int_eq(saved_position("s"), 7);
}
END_TEST

START_TEST(a_type_that_nobody_ever_stored_may_come_later)
{
    stele_subscription_options options = make_subscription(_i == 0 ? "s" : NULL);
    const char *types[] = { "new", "x" };
    options.types = types;
    options.type_count = _i < 2 ? 2 : 1;
    options.stream = _i == 3 ? "a-1" : NULL;
    append_types("a-1", "yx");
    stele_subscription *subscription = open_subscription(&options);
    ck_assert_str_eq(pull_positions(subscription), _i < 2 ? "2" : "");

    assert_status(append_one("a-1", STELE_ANY, "new", NULL), STELE_OK);

    ck_assert_str_eq(pull_positions(subscription), "3");
    append_types("a-1", "x");
    ck_assert_str_eq(pull_positions(subscription), _i < 2 ? "4" : "");
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(categories_and_prefixes_are_those_of_a_read)
{
    stele_subscription_options options = make_catch_up("s");
    append_types("a-1", "x");
    append_types("ab-1", "x");
    append_types("a-2", "x");
    append_types("a", "x");
    options.category = "a";
    ck_assert_str_eq(run_positions(&options), "1,3,4");
    options.name = "t";
    options.category = NULL;
    options.prefix = "ab";
    ck_assert_str_eq(run_positions(&options), "2");
    options.name = "u";
    options.stream = "a-1";
    stele_subscription *none = NULL;
    assert_status(stele_subscription_open(store, &options, &none), STELE_MISUSE);
}
END_TEST

/* --- One stream --- */

START_TEST(a_stream_may_begin_later_and_come_again_under_its_name)
{
    stele_subscription_options options = make_subscription("s");
    options.stream = "a-1";
    append_types("b-1", "xx");
    stele_subscription *subscription = open_subscription(&options);
    ck_assert_str_eq(pull_positions(subscription), "");

    append_types("a-1", "xx");
    append_types("b-1", "x");
    ck_assert_str_eq(pull_positions(subscription), "3,4");
    append_types("a-1", "x");
    assert_status(delete_it("a-1"), STELE_OK);
    ck_assert_str_eq(pull_positions(subscription), "");
    append_types("a-1", "xxx");
    int64_t head = head_of(store);
    const stele_batch *batch = pull(subscription);
    ck_assert_uint_eq(batch->count, 3);
    ck_assert_int_eq(batch->records[2]->position, head);
    ck_assert_int_eq(batch->records[0]->version, 1);
    assert_status(stele_subscription_ack(subscription, batch->through), STELE_OK);
    stele_subscription_close(subscription);
    ck_assert_int_eq(saved_position("s"), head);
}
END_TEST

START_TEST(what_others_append_is_passed_over_and_noted)
{
    stele_subscription_options options = make_subscription("s");
    options.stream = "a-1";
    options.skip_flush_ms = 0;
    append_types("a-1", "x");
    stele_subscription *subscription = open_subscription(&options);
    ck_assert_str_eq(pull_positions(subscription), "1");

    append_types("b-1", "xxx");
    ck_assert_str_eq(pull_positions(subscription), "");

    ck_assert_int_eq(saved_position("s"), 4);
    append_types("a-1", "x");
    const stele_batch *batch = pull(subscription);
    ck_assert_int_eq(batch->after, 4);
    ck_assert_int_eq(batch->records[0]->version, 2);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(rewinding_a_stream_gives_it_again)
{
    stele_subscription_options options = make_subscription("s");
    options.stream = "a-1";
    append_types("a-1", "xx");
    append_types("b-1", "x");
    append_types("a-1", "xx");
    stele_subscription *subscription = open_subscription(&options);
    ck_assert_str_eq(pull_positions(subscription), "1,2,4,5");
    ck_assert_str_eq(pull_positions(subscription), "");

    assert_status(stele_checkpoint_save(store, "s", 1), STELE_OK);

    const stele_batch *batch = pull(subscription);
    ck_assert_int_eq(batch->records[0]->position, 2);
    ck_assert_uint_eq(batch->count, 3);
    stele_subscription_close(subscription);
}
END_TEST

/* --- What is gone --- */

static void move_to_archive(const char *stream)
{
    open_archive();
    assert_status(archive_to(stream, archive, NULL), STELE_OK);
    close_archive();
}

START_TEST(what_is_in_an_archive_is_told_and_comes_when_it_is_attached)
{
    stele_subscription_options options = make_subscription("s");
    const stele_batch *none = NULL;
    options.stream = _i == 0 ? NULL : "a-1";
    append_types(_i == 0 ? "b-1" : "a-1", "x");
    append_types("a-1", "xx");
    if (_i == 0)
        move_to_archive("a-1");
    stele_subscription *subscription = open_subscription(&options);
    if (_i == 0) {
        ck_assert_uint_eq(pull(subscription)->count, 1);
        assert_status(stele_subscription_ack(subscription, 1), STELE_OK);
    } else {
        move_to_archive("a-1");
    }

    assert_status(stele_subscription_next(subscription, NULL, &none), STELE_ARCHIVED);
    assert_status(stele_subscription_next(subscription, NULL, &none), STELE_ARCHIVED);
    open_archive();
    assert_status(stele_store_attach(store, archive), STELE_OK);

    ck_assert_uint_eq(pull(subscription)->count, _i == 0 ? 2 : 3);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(what_is_in_an_archive_can_be_skipped)
{
    stele_subscription_options options = make_subscription("s");
    options.skip_archived = true;
    append_types("a-1", "xx");
    append_types("b-1", "x");
    move_to_archive("a-1");
    stele_subscription *subscription = open_subscription(&options);

    const stele_batch *batch = pull(subscription);

    ck_assert_uint_eq(batch->count, 1);
    ck_assert_int_eq((int64_t)batch->skipped.archived, 2);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(erased_events_are_passed_over_and_counted)
{
    stele_subscription_options options = make_subscription("s");
    options.stream = _i == 0 ? NULL : "b-1";
    append_types("a-1", "xxx");
    append_types("b-1", "x");
    assert_status(delete_it("a-1"), STELE_OK);
    stele_subscription *subscription = open_subscription(&options);

    const stele_batch *batch = pull(subscription);

    ck_assert_uint_eq(batch->count, 1);
    ck_assert_int_eq(batch->records[0]->position, 4);
    ck_assert_int_eq((int64_t)batch->skipped.erased, _i == 0 ? 3 : 0);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(damage_is_told_after_what_came_before_it)
{
    stele_subscription_options options = make_subscription("s");
    append_types("a-1", "xxxxx");
    close_store();
    run_sql(store_path(), "UPDATE events SET data = 'other' WHERE position = 4");
    open_in_file();
    stele_subscription *subscription = open_subscription(&options);

    const stele_batch *batch = pull(subscription);
    ck_assert_uint_eq(batch->count, 3);
    ck_assert_int_eq(batch->through, 3);
    assert_status(stele_subscription_ack(subscription, 3), STELE_OK);

    const stele_batch *none = NULL;
    for (int i = 0; i < 2; i++)
        assert_status(stele_subscription_next(subscription, NULL, &none), STELE_CORRUPT);
    stele_handler handler = seeing(&seen);
    assert_status(stele_subscription_run(subscription, &handler), STELE_CORRUPT);
    stele_subscription_close(subscription);
    ck_assert_int_eq(saved_position("s"), 3);
}
END_TEST

/* One look at the log ends after so many events that don't match; the next one comes at once. */
START_TEST(a_match_far_behind_what_does_not_match_needs_no_other_event)
{
    enum { COUNT = 1000, BATCHES = 51 };
    static stele_event events[COUNT];
    stele_subscription_options options = make_subscription(NULL);
    const char *types[] = { "x" };
    for (int i = 0; i < COUNT; i++)
        events[i] = make_event("t", "{}");
    for (int i = 0; i < BATCHES; i++) {
        stele_append append = make_append("a", STELE_ANY, events, COUNT);
        assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    }
    append_types("b", "x");
    options.types = types;
    options.type_count = 1;

    stele_subscription *subscription = open_subscription(&options);

    ck_assert_int_eq(pull(subscription)->records[0]->position, COUNT * BATCHES + 1);
    stele_subscription_close(subscription);
}
END_TEST

static Suite *subscription_filters_suite(void)
{
    Suite *suite = suite_create("subscription filters");
    TCase *tests = add_lifecycle_case(suite, "which events", open_empty);
    tcase_add_test(tests, an_empty_store_has_nothing_to_give);
    tcase_add_test(tests, history_comes_over_all_streams_with_contiguous_positions);
    tcase_add_test(tests, it_begins_after_a_position);
    tcase_add_test(tests, a_position_is_of_no_meaning_where_it_begins_elsewhere);
    tcase_add_test(tests, a_start_beyond_the_head_is_refused_unless_it_has_begun);
    tcase_add_test(tests, it_begins_with_the_first_event_after_now);
    tcase_add_test(tests, it_ends_at_the_head_of_when_it_was_opened);
    tcase_add_test(tests, it_ends_at_a_position_whatever_matches);
    tcase_add_test(tests, types_keep_their_true_positions);
    tcase_add_test(tests, a_live_filter_passes_over_a_mixed_batch);
    tcase_add_loop_test(tests, a_type_that_nobody_ever_stored_may_come_later, 0, 4);
    tcase_add_test(tests, categories_and_prefixes_are_those_of_a_read);
    tcase_add_test(tests, a_stream_may_begin_later_and_come_again_under_its_name);
    tcase_add_test(tests, what_others_append_is_passed_over_and_noted);
    tcase_add_test(tests, rewinding_a_stream_gives_it_again);
    tcase_add_loop_test(tests, what_is_in_an_archive_is_told_and_comes_when_it_is_attached, 0, 2);
    tcase_add_test(tests, what_is_in_an_archive_can_be_skipped);
    tcase_add_loop_test(tests, erased_events_are_passed_over_and_counted, 0, 2);
    tcase_add_test(tests, a_match_far_behind_what_does_not_match_needs_no_other_event);
    tcase_add_test(tests, damage_is_told_after_what_came_before_it);
    return suite;
}

int main(void)
{
    return run_suite(subscription_filters_suite());
}
