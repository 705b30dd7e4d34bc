/* The store's clock: recorded_at never falls unseen, whatever the system's clock does. */
#include "contract.h"

#include <time.h>

#define SECOND INT64_C(1000000)
#define NOON   (INT64_C(1700000000) * SECOND)

static int64_t now;

static int64_t read_fake_clock(void *context)
{
    return *(int64_t *)context;
}

static void open_with_fake_clock(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = read_fake_clock;
    options.clock_context = &now;
    now = NOON;
    store = open_path(store_path(), &options);
}

static void append_at(int64_t time)
{
    now = time;
    assert_status(append_one("clock-1", STELE_ANY, "ticked", NULL), STELE_OK);
}

/* The last record's time and flags. */
static void expect_recorded(int64_t recorded_at, uint32_t flags)
{
    stele_read read = STELE_READ_INIT;
    read.direction = STELE_BACKWARD;
    stele_cursor *cursor = open_read(&read);
    const stele_record *record = next_record(cursor);
    ck_assert_int_eq(record->recorded_at, recorded_at);
    ck_assert_uint_eq(record->flags, flags);
    ck_assert(!record->has_occurred_at);
    stele_cursor_close(cursor);
}

START_TEST(events_are_recorded_at_the_time_of_the_clock)
{
    append_at(NOON + 1);
    expect_recorded(NOON + 1, 0);

    append_at(NOON + 3600 * SECOND);
    expect_recorded(NOON + 3600 * SECOND, 0);
}
END_TEST

START_TEST(events_of_one_batch_share_a_time)
{
    stele_event events[2] = { make_event("a", "1"), make_event("b", "2") };
    stele_append append = make_append("clock-1", STELE_ANY, events, 2);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);

    stele_cursor *cursor = open_read(NULL);
    ck_assert_int_eq(next_record(cursor)->recorded_at, NOON);
    ck_assert_int_eq(next_record(cursor)->recorded_at, NOON);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(time_stands_still_while_the_clock_is_a_little_behind)
{
    append_at(NOON);
    append_at(NOON - SECOND);
    expect_recorded(NOON, 0);
    append_at(NOON - 300 * SECOND);
    expect_recorded(NOON, 0);

    append_at(NOON + 1);
    expect_recorded(NOON + 1, 0);
}
END_TEST

/* A clock that was far ahead must not freeze time for years: it falls, and says so. */
START_TEST(clock_far_behind_is_followed_and_flagged)
{
    append_at(NOON);

    append_at(NOON - 300 * SECOND - 1);
    expect_recorded(NOON - 300 * SECOND - 1, STELE_RECORD_CLOCK_BACK);

    append_at(NOON - 299 * SECOND);
    expect_recorded(NOON - 299 * SECOND, 0);
}
END_TEST

/* A broken clock must not break more than the times. */
START_TEST(clock_at_its_extremes_is_followed_and_flagged)
{
    append_at(INT64_MAX);
    expect_recorded(INT64_MAX, 0);

    append_at(INT64_MIN);
    expect_recorded(INT64_MIN, STELE_RECORD_CLOCK_BACK);

    append_at(NOON);
    expect_recorded(NOON, 0);
    reopen_file();
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
}
END_TEST

START_TEST(time_stands_still_over_streams_and_reopening)
{
    append_at(NOON + 60 * SECOND);
    close_store();
    open_with_fake_clock();

    assert_status(append_one("other-1", STELE_ANY, "ticked", NULL), STELE_OK);

    expect_recorded(NOON + 60 * SECOND, 0);
}
END_TEST

START_TEST(time_stands_still_inside_a_transaction)
{
    append_at(NOON);
    stele_transaction *transaction = NULL;
    stele_event event = make_event("ticked", "{}");
    stele_append append = make_append("clock-1", STELE_ANY, &event, 1);
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    now = NOON + 9 * SECOND;
    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_OK);
    now = NOON + 5 * SECOND;

    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_OK);

    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);
    expect_recorded(NOON + 9 * SECOND, 0);
}
END_TEST

/* What was rolled back never was, so it must not hold time back either. */
START_TEST(time_of_a_rolled_back_event_is_forgotten)
{
    append_at(NOON);
    stele_transaction *transaction = NULL;
    stele_event event = make_event("ticked", "{}");
    stele_append append = make_append("clock-1", STELE_ANY, &event, 1);
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    now = NOON + 90 * SECOND;
    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_OK);
    stele_transaction_end(transaction);

    append_at(NOON + SECOND);

    expect_recorded(NOON + SECOND, 0);
}
END_TEST

START_TEST(caller_times_are_as_given_and_independent)
{
    stele_event event = make_event("ticked", "{}");
    event.occurred_at = NOON + 999999 * SECOND;
    assert_status(append_event("clock-1", &event), STELE_OK);

    stele_cursor *cursor = open_read(NULL);
    const stele_record *record = next_record(cursor);
    ck_assert_int_eq(record->recorded_at, NOON);
    ck_assert_int_eq(record->occurred_at, NOON + 999999 * SECOND);
    stele_cursor_close(cursor);
    append_at(NOON + 1);
    expect_recorded(NOON + 1, 0);
}
END_TEST

START_TEST(checkpoints_are_saved_at_the_time_of_the_clock)
{
    append_at(NOON);
    now = NOON + 5;
    assert_status(stele_checkpoint_save(store, "reader", 1), STELE_OK);

    stele_checkpoint checkpoint = { 0 };
    assert_status(stele_checkpoint_load(store, "reader", &checkpoint), STELE_OK);

    ck_assert_int_eq(checkpoint.saved_at, NOON + 5);
}
END_TEST

START_TEST(system_clock_is_the_default)
{
    close_store();
    open_in_file();
    int64_t before = (int64_t)time(NULL) * SECOND - SECOND;
    assert_status(append_one("clock-1", STELE_ANY, "ticked", NULL), STELE_OK);
    int64_t after = (int64_t)time(NULL) * SECOND + 2 * SECOND;

    stele_cursor *cursor = open_read(NULL);
    int64_t recorded_at = next_record(cursor)->recorded_at;
    stele_cursor_close(cursor);
    ck_assert_int_ge(recorded_at, before);
    ck_assert_int_le(recorded_at, after);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tests = add_case(suite, "file", open_with_fake_clock);
    tcase_add_test(tests, events_are_recorded_at_the_time_of_the_clock);
    tcase_add_test(tests, events_of_one_batch_share_a_time);
    tcase_add_test(tests, time_stands_still_while_the_clock_is_a_little_behind);
    tcase_add_test(tests, clock_far_behind_is_followed_and_flagged);
    tcase_add_test(tests, clock_at_its_extremes_is_followed_and_flagged);
    tcase_add_test(tests, time_stands_still_over_streams_and_reopening);
    tcase_add_test(tests, time_stands_still_inside_a_transaction);
    tcase_add_test(tests, time_of_a_rolled_back_event_is_forgotten);
    tcase_add_test(tests, caller_times_are_as_given_and_independent);
    tcase_add_test(tests, checkpoints_are_saved_at_the_time_of_the_clock);
    tcase_add_test(tests, system_clock_is_the_default);
    return run_suite(suite);
}
