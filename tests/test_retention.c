/* Retention: which events each rule lets go, what readers hold back, and what it refuses. */
#include "retaining.h"

/* --- The rules --- */

START_TEST(newest_so_many_stay_of_each_stream)
{
    fill_stream("a-1", 10);

    stele_retained retained = keep_newest("a-1", 4);

    expect_retained(retained, 1, 6, 0);
    ck_assert_int_eq(retained.bytes, 6 * 7);
    ck_assert_str_eq(left_of("a-1"), "7 8 9 10");
    ck_assert_int_eq(info_of("a-1").first_version, 7);
    ck_assert_int_eq(info_of("a-1").version, 10);
    expect_retained(keep_newest("a-1", 4), 0, 0, 0);
    expect_retained(keep_newest("a-1", 100), 0, 0, 0);
    expect_verified();
}
END_TEST

START_TEST(versions_below_a_version_go)
{
    fill_stream("a-1", 10);
    stele_retain retain = retain_of("a-1");

    retain.before_version = 1;
    expect_retained(run_retain(&retain), 0, 0, 0);
    retain.before_version = 5;
    expect_retained(run_retain(&retain), 1, 4, 0);
    ck_assert_str_eq(left_of("a-1"), "5 6 7 8 9 10");
    retain.before_version = 3;
    expect_retained(run_retain(&retain), 0, 0, 0);
    retain.before_version = INT64_MAX;
    expect_retained(run_retain(&retain), 1, 6, 0);
    ck_assert_str_eq(left_of("a-1"), "");
    ck_assert_int_eq(info_of("a-1").first_version, 11);
    expect_verified();
}
END_TEST

static void append_at(int64_t time)
{
    now = time;
    assert_status(append_one("a-1", STELE_ANY, "ticked", NULL), STELE_OK);
}

START_TEST(events_recorded_longer_ago_go)
{
    for (int i = 0; i < 5; i++)
        append_at(NOON + i * HOUR);
    stele_retain retain = retain_of("a-1");

    retain.max_age_us = 4 * HOUR;
    expect_retained(run_retain(&retain), 0, 0, 0);
    retain.max_age_us = 2 * HOUR;
    expect_retained(run_retain(&retain), 1, 2, 0);
    ck_assert_str_eq(left_of("a-1"), "3 4 5");
    now += HOUR;
    expect_retained(run_retain(&retain), 1, 1, 0);
    retain.max_age_us = INT64_MAX;
    expect_retained(run_retain(&retain), 0, 0, 0);
    now += 24 * HOUR;
    retain.max_age_us = 1;
    expect_retained(run_retain(&retain), 1, 2, 0);
    ck_assert_str_eq(left_of("a-1"), "");
    expect_verified();
}
END_TEST

/* What goes is a beginning of the stream, so it ends before the first event that is to stay. */
START_TEST(old_events_behind_a_young_one_stay_when_the_clock_was_set_back)
{
    append_at(NOON);
    append_at(NOON + 48 * HOUR);
    append_at(NOON + HOUR);
    now = NOON + 24 * HOUR;
    stele_retain retain = retain_of("a-1");
    retain.max_age_us = HOUR;

    expect_retained(run_retain(&retain), 1, 1, 0);

    ck_assert_str_eq(left_of("a-1"), "2 3");
    retain.before_version = 3;
    expect_retained(run_retain(&retain), 1, 2, 0);
    ck_assert_str_eq(left_of("a-1"), "");
}
END_TEST

START_TEST(event_goes_when_any_of_the_rules_lets_it_go)
{
    for (int i = 0; i < 10; i++)
        append_at(NOON + i * HOUR);
    stele_retain retain = retain_of("a-1");
    retain.max_age_us = 8 * HOUR; /* of version 2 */
    retain.max_count = 6;
    retain.before_version = 3;

    expect_retained(run_retain(&retain), 1, 4, 0);
    retain.max_age_us = 3 * HOUR;
    expect_retained(run_retain(&retain), 1, 2, 0);
    retain.before_version = 9;
    expect_retained(run_retain(&retain), 1, 2, 0);
    ck_assert_str_eq(left_of("a-1"), "9 10");
}
END_TEST

/* --- Which streams --- */

START_TEST(category_is_its_own_stream_and_those_with_a_dash_behind)
{
    static const char *const names[] = {
        "a", "a-", "a-1", "a-2", "a!", "a.1", "ab", "ab-1", "b-1"
    };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        fill_stream(names[i], 3);
    stele_retain retain = STELE_RETAIN_INIT;
    retain.category = "a";
    retain.max_count = 1;

    expect_retained(run_retain(&retain), 4, 8, 0);

    for (size_t i = 0; i < COUNT_OF(names); i++)
        ck_assert_str_eq(left_of(names[i]), i < 4 ? "3" : "1 2 3");
    retain.category = "nobody";
    expect_retained(run_retain(&retain), 0, 0, 0);
}
END_TEST

START_TEST(category_of_many_streams_is_gone_through_in_pages)
{
    enum { STREAMS = 700 };
    for (int i = 0; i < STREAMS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "a-%d", i);
        fill_stream(name, 2);
    }
    stele_retain retain = STELE_RETAIN_INIT;
    retain.category = "a";
    retain.max_count = 1;
    retain.dry_run = true;
    expect_retained(run_retain(&retain), STREAMS, STREAMS, 0);
    retain.dry_run = false;

    expect_retained(run_retain(&retain), STREAMS, STREAMS, 0);

    ck_assert_str_eq(left_of("a-699"), "2");
    expect_verified();
}
END_TEST

START_TEST(longest_category_is_only_its_own_stream)
{
    char name[STELE_NAME_SIZE_MAX + 1];
    memset(name, 'x', STELE_NAME_SIZE_MAX);
    name[STELE_NAME_SIZE_MAX] = '\0';
    fill_stream(name, 3);
    stele_retain retain = STELE_RETAIN_INIT;
    retain.category = name;
    retain.max_count = 2;
    expect_retained(run_retain(&retain), 1, 1, 0);
}
END_TEST

/* --- Readers --- */

START_TEST(nothing_goes_that_the_slowest_reader_has_not_scanned)
{
    fill_stream("a-1", 10);
    assert_status(stele_checkpoint_save(store, "fast", 9), STELE_OK);
    assert_status(stele_checkpoint_save(store, "slow", 3), STELE_OK);

    stele_retained retained = keep_newest("a-1", 2);

    expect_retained(retained, 1, 3, 5);
    ck_assert_str_eq(retained.slowest, "slow");
    ck_assert_int_eq(retained.slowest_position, 3);
    ck_assert_str_eq(left_of("a-1"), "4 5 6 7 8 9 10");
    assert_status(stele_checkpoint_save(store, "slow", 10), STELE_OK);
    retained = keep_newest("a-1", 2);
    expect_retained(retained, 1, 5, 0);
    ck_assert_str_eq(retained.slowest, "fast");
    expect_verified();
}
END_TEST

START_TEST(reader_that_has_scanned_nothing_holds_back_everything)
{
    fill_stream("a-1", 10);
    assert_status(stele_checkpoint_save(store, "new", 0), STELE_OK);

    stele_retained retained = keep_newest("a-1", 2);

    expect_retained(retained, 0, 0, 8);
    ck_assert_str_eq(retained.slowest, "new");
    ck_assert_int_eq(retained.slowest_position, 0);
    ck_assert_str_eq(changes_told(), "");
}
END_TEST

START_TEST(force_goes_past_readers)
{
    fill_stream("a-1", 10);
    assert_status(stele_checkpoint_save(store, "slow", 3), STELE_OK);
    stele_retain retain = retain_of("a-1");
    retain.max_count = 2;
    retain.force = true;

    stele_retained retained = run_retain(&retain);

    expect_retained(retained, 1, 8, 0);
    ck_assert_str_eq(retained.slowest, "");
    ck_assert_int_eq(retained.slowest_position, 0);
}
END_TEST

START_TEST(reader_that_has_not_saved_for_long_is_left_out)
{
    fill_stream("a-1", 10);
    assert_status(stele_checkpoint_save(store, "gone", 3), STELE_OK);
    now += HOUR;
    assert_status(stele_checkpoint_save(store, "slow", 5), STELE_OK);
    stele_retain retain = retain_of("a-1");
    retain.max_count = 2;
    retain.stale_after_us = HOUR;
    expect_retained(run_retain(&retain), 1, 3, 5);

    now++;
    stele_retained retained = run_retain(&retain);

    expect_retained(retained, 1, 2, 3);
    ck_assert_str_eq(retained.slowest, "slow");
    ck_assert_int_eq(retained.slowest_position, 5);
}
END_TEST

START_TEST(damaged_checkpoint_is_corrupt_and_named)
{
    fill_stream("a-1", 10);
    assert_status(stele_checkpoint_save(store, "torn", 3), STELE_OK);
    close_store();
    run_sql(store_path(), "UPDATE checkpoints SET position = 9");
    open_in_file();
    stele_retain retain = retain_of("a-1");
    retain.max_count = 2;

    assert_status(stele_store_retain(store, &retain, NULL), STELE_CORRUPT);

    assert_reason_has("the checkpoint 'torn' is damaged");
    ck_assert_int_eq(info_of("a-1").first_version, 1);
    retain.force = true;
    expect_retained(run_retain(&retain), 1, 8, 0);
}
END_TEST

/* Power was lost, and with it events that the reader has scanned: where the timelines part it will
 * read again. */
START_TEST(reader_of_a_lost_timeline_counts_with_what_is_shared)
{
    fill_stream("a-1", 10);
    assert_status(stele_checkpoint_save(store, "reader", 9), STELE_OK);
    close_store();
    run_sql(store_path(), "DELETE FROM events WHERE position > 6;"
                          "INSERT INTO meta(key, value, checksum) VALUES('dirty:a', 'b', 0)");
    unlink(test_path("store.db-anchor"));
    open_in_file();
    fill_stream("a-1", 6);
    assert_status(stele_checkpoint_save(store, "other", 7), STELE_OK);

    stele_retained retained = keep_newest("a-1", 1);

    expect_retained(retained, 1, 6, 5);
    ck_assert_str_eq(retained.slowest, "reader");
    ck_assert_int_eq(retained.slowest_position, 6);
}
END_TEST

/* --- A dry run --- */

START_TEST(dry_run_counts_the_same_and_changes_nothing)
{
    fill_stream("a-1", 10);
    assert_status(stele_checkpoint_save(store, "slow", 5), STELE_OK);
    char before[17];
    char after[17];
    assert_status(stele_store_digest(store, before), STELE_OK);
    stele_retain retain = retain_of("a-1");
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 2;
    retain.work = &work;
    retain.max_count = 2;
    retain.dry_run = true;

    stele_retained dry = run_retain(&retain);

    assert_status(stele_store_digest(store, after), STELE_OK);
    ck_assert_str_eq(after, before);
    retain.dry_run = false;
    retain.keep_free_pages = true;
    stele_retained done = run_retain(&retain);
    ck_assert_mem_eq(&done, &dry, sizeof(dry));
    expect_retained(done, 1, 5, 3);
}
END_TEST

/* --- Misuse, and damage --- */

static void expect_misuse(stele_retain retain, const char *reason)
{
    stele_retained retained;
    memset(&retained, 0xAA, sizeof(retained));
    assert_status(stele_store_retain(store, &retain, &retained), STELE_MISUSE);
    assert_reason_has(reason);
    ck_assert_int_eq(retained.events, 0);
    ck_assert_str_eq(retained.slowest, "");
}

START_TEST(wrong_question_is_misuse)
{
    stele_retain good = retain_of("a-1");
    good.max_count = 1;
    stele_retain retain = good;
    assert_status(stele_store_retain(store, NULL, NULL), STELE_MISUSE);
    assert_status(stele_store_retain(NULL, &good, NULL), STELE_MISUSE);
    retain.struct_size = 0;
    expect_misuse(retain, "struct_size");
    retain = good;
    retain.stream = NULL;
    expect_misuse(retain, "neither a stream nor a category");
    retain = good;
    retain.category = "a";
    expect_misuse(retain, "both a stream and a category");
    retain = good;
    retain.stream = "";
    expect_misuse(retain, "stream");
    retain = good;
    retain.stream = "$stele";
    expect_misuse(retain, "the stream '$stele' is the library's");
    retain = good;
    retain.stream = NULL;
    retain.category = "$stele";
    expect_misuse(retain, "the category '$stele' is the library's");
    retain.category = "a-1";
    expect_misuse(retain, "the category 'a-1' has a '-'");
    retain.category = "a";
    retain.before_version = 2;
    expect_misuse(retain, "before_version is for one stream");
    expect_misuse(retain_of("a-1"), "nothing says what is to go");
    retain = good;
    retain.max_count = -1;
    expect_misuse(retain, "max_count is -1");
    retain = good;
    retain.max_age_us = -1;
    expect_misuse(retain, "max_age_us is -1");
    retain = good;
    retain.before_version = -1;
    expect_misuse(retain, "before_version is -1");
    retain = good;
    retain.stale_after_us = -1;
    expect_misuse(retain, "stale_after_us is -1");
    retain = good;
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 0;
    retain.work = &work;
    expect_misuse(retain, "step_count_max is 0");
}
END_TEST

START_TEST(missing_stream_is_not_found)
{
    stele_retain retain = retain_of("a-1");
    retain.max_count = 1;
    assert_status(stele_store_retain(store, &retain, NULL), STELE_NOT_FOUND);
    assert_reason_has("there is no stream 'a-1'");
}
END_TEST

START_TEST(damaged_event_is_corrupt_and_stays)
{
    fill_stream("a-1", 6);
    close_store();
    run_sql(store_path(), "UPDATE events SET data = 'x' WHERE version = 3");
    open_in_file();
    stele_retain retain = retain_of("a-1");
    stele_work work = STELE_WORK_INIT;
    stele_retained retained;
    work.step_count_max = 1;
    retain.work = &work;
    retain.max_count = 1;

    assert_status(stele_store_retain(store, &retain, &retained), STELE_CORRUPT);

    assert_reason_has("position 3");
    ck_assert_int_eq(retained.events, 2);
    ck_assert_int_eq(info_of("a-1").first_version, 3);
}
END_TEST

START_TEST(hole_in_a_stream_is_corrupt_and_not_passed_over)
{
    fill_stream("a-1", 6);
    close_store();
    run_sql(store_path(), "DELETE FROM events WHERE version = 2");
    open_in_file();
    stele_retain retain = retain_of("a-1");
    retain.max_count = 1;

    assert_status(stele_store_retain(store, &retain, NULL), STELE_CORRUPT);

    assert_reason_has("version 2 of stream 'a-1' is missing");
    ck_assert_int_eq(info_of("a-1").first_version, 1);
}
END_TEST

START_TEST(store_opened_for_reading_is_read_only)
{
    fill_stream("a-1", 6);
    close_store();
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    store = open_path(store_path(), &options);
    stele_retain retain = retain_of("a-1");
    retain.max_count = 1;

    assert_status(stele_store_retain(store, &retain, NULL), STELE_READ_ONLY);
}
END_TEST

START_TEST(dry_run_of_a_store_that_is_only_read_is_read_only)
{
    close_store();
    stele_options options = STELE_OPTIONS_INIT;
    stele_store_close(open_path(store_path(), &options));
    options.read_only = true;
    store = open_path(store_path(), &options);
    stele_retain retain = STELE_RETAIN_INIT;
    retain.stream = "a-1";
    retain.max_count = 1;
    retain.dry_run = true;
    assert_status(stele_store_retain(store, &retain, NULL), STELE_READ_ONLY);
}
END_TEST

START_TEST(initializer_and_function_agree)
{
    stele_retain made;
    stele_retain written = STELE_RETAIN_INIT;
    memset(&made, 0, sizeof(made));
    stele_retain_init(&made);
    ck_assert_uint_eq(made.struct_size, sizeof(made));
    ck_assert_ptr_null(made.stream);
    ck_assert_int_eq(made.max_age_us, written.max_age_us);
    ck_assert(!made.force && !made.dry_run && !made.keep_free_pages);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retention");
    TCase *tests = add_case(suite, "rules", open_with_fake_clock);
    tcase_add_test(tests, newest_so_many_stay_of_each_stream);
    tcase_add_test(tests, versions_below_a_version_go);
    tcase_add_test(tests, events_recorded_longer_ago_go);
    tcase_add_test(tests, old_events_behind_a_young_one_stay_when_the_clock_was_set_back);
    tcase_add_test(tests, event_goes_when_any_of_the_rules_lets_it_go);
    tcase_add_test(tests, category_is_its_own_stream_and_those_with_a_dash_behind);
    tcase_add_test(tests, longest_category_is_only_its_own_stream);
    tests = add_case(suite, "many", open_in_memory);
    tcase_add_test(tests, category_of_many_streams_is_gone_through_in_pages);
    tests = add_case(suite, "readers", open_with_fake_clock);
    tcase_add_test(tests, nothing_goes_that_the_slowest_reader_has_not_scanned);
    tcase_add_test(tests, reader_that_has_scanned_nothing_holds_back_everything);
    tcase_add_test(tests, force_goes_past_readers);
    tcase_add_test(tests, reader_that_has_not_saved_for_long_is_left_out);
    tcase_add_test(tests, damaged_checkpoint_is_corrupt_and_named);
    tcase_add_test(tests, reader_of_a_lost_timeline_counts_with_what_is_shared);
    tcase_add_test(tests, dry_run_counts_the_same_and_changes_nothing);
    tcase_add_test(tests, dry_run_of_a_store_that_is_only_read_is_read_only);
    tests = add_case(suite, "refusals", open_in_file);
    tcase_add_test(tests, wrong_question_is_misuse);
    tcase_add_test(tests, missing_stream_is_not_found);
    tcase_add_test(tests, damaged_event_is_corrupt_and_stays);
    tcase_add_test(tests, hole_in_a_stream_is_corrupt_and_not_passed_over);
    tcase_add_test(tests, store_opened_for_reading_is_read_only);
    tcase_add_test(tests, initializer_and_function_agree);
    return run_suite(suite);
}
