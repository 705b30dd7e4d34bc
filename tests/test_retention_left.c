/* What is left of trimmed streams: for appends, readers, keys, counts, and in each state. */
#include "disk_hooks.h"
#include "retaining.h"

/* --- What is left of the trimmed --- */

START_TEST(trimming_is_told_in_the_stream_of_changes)
{
    fill_stream("a-1", 10);
    stele_retain retain = retain_of("a-1");
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 3;
    retain.work = &work;
    retain.max_count = 2;

    run_retain(&retain);

    ck_assert_str_eq(changes_told(), "stream-trimmed {\"stream_id\":1,\"version\":10,"
                                     "\"through\":8}\n");
}
END_TEST

START_TEST(appends_with_exact_versions_go_on)
{
    fill_stream("a-1", 5);
    stele_retain retain = retain_of("a-1");
    retain.before_version = INT64_MAX;
    run_retain(&retain);

    assert_status(append_one("a-1", STELE_NO_STREAM, "late", NULL), STELE_CONFLICT);
    assert_status(append_one("a-1", 4, "late", NULL), STELE_CONFLICT);
    assert_status(append_one("a-1", 5, "next", NULL), STELE_OK);
    ck_assert_str_eq(left_of("a-1"), "6");
    reopen_file();
    ck_assert_str_eq(left_of("a-1"), "6");
    assert_status(append_one("a-1", 6, "next", NULL), STELE_OK);
    expect_verified();
}
END_TEST

START_TEST(positions_stay_dense_and_readers_are_told_of_what_is_gone)
{
    fill_stream("a-1", 5);
    fill_stream("b-1", 2);
    keep_newest("a-1", 1);

    stele_cursor *cursor = open_read(NULL);
    ck_assert_int_eq(next_record(cursor)->position, 5);
    ck_assert_int_eq(next_record(cursor)->position, 6);
    ck_assert_int_eq(next_record(cursor)->position, 7);
    expect_done(cursor);
    ck_assert_int_eq(stele_cursor_skipped(cursor).erased, 4);
    ck_assert_int_eq(stele_cursor_scanned(cursor), 8); /* with the event in `$stele` */
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(counts_are_of_what_is_left)
{
    fill_stream("a-1", 5);
    fill_stream("b-1", 2);
    keep_newest("a-1", 1);

    stele_stream_info info = info_of("a-1");
    ck_assert_int_eq(info.events, 1);
    ck_assert_int_eq(info.bytes, 7);
    ck_assert_int_ge(info.last_time, info.first_time);
    stele_store_info whole = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &whole), STELE_OK);
    ck_assert_int_eq(whole.events, 3);
    ck_assert_int_eq(whole.streams, 2);
    ck_assert_int_eq(whole.head, 8);
}
END_TEST

static stele_status append_keyed(const char *key, const char *data, stele_appended *appended_out)
{
    stele_event events[2] = { make_event("keyed", data), make_event("keyed", data) };
    stele_append append = make_append("a-1", STELE_ANY, events, 2);
    append.idempotency_key = key;
    return stele_store_append(store, &append, appended_out);
}

START_TEST(late_retry_of_a_trimmed_append_is_a_duplicate)
{
    stele_appended first;
    stele_appended again;
    assert_status(append_keyed("k-1", "1", &first), STELE_OK);
    assert_status(append_keyed("k-2", "2", NULL), STELE_OK);
    assert_status(append_keyed("k-3", "3", NULL), STELE_OK);
    keep_newest("a-1", 3); /* half of the second one goes, too */

    assert_status(append_keyed("k-1", "1", &again), STELE_OK);
    ck_assert(again.duplicate && again.erased);
    ck_assert_int_eq(again.last_position, first.last_position);
    ck_assert_int_eq(again.stream_version, first.stream_version);
    assert_status(append_keyed("k-2", "2", &again), STELE_OK);
    ck_assert(again.duplicate && again.erased);
    assert_status(append_keyed("k-3", "3", &again), STELE_OK);
    ck_assert(again.duplicate && !again.erased);
    assert_status(append_keyed("k-3", "9", NULL), STELE_KEY_REUSED);
    ck_assert_str_eq(left_of("a-1"), "4 5 6");
    expect_verified();
}
END_TEST

START_TEST(cursor_whose_events_were_trimmed_ends_with_not_found)
{
    fill_stream("a-1", 10);
    stele_read read = STELE_READ_INIT;
    read.stream = "a-1";
    read.page_count_max = 2;
    stele_cursor *forward = open_read(&read);
    read.direction = STELE_BACKWARD;
    stele_cursor *backward = open_read(&read);
    ck_assert_int_eq(next_record(forward)->version, 1);
    keep_newest("a-1", 4);

    const stele_record *record = NULL;
    ck_assert_int_eq(next_record(forward)->version, 2); /* of the page it has */
    assert_status(stele_cursor_next(forward, &record), STELE_NOT_FOUND);
    assert_reason_has("version 3 of stream 'a-1' was erased");
    for (int64_t version = 10; version >= 7; version--)
        ck_assert_int_eq(next_record(backward)->version, version);
    assert_status(stele_cursor_next(backward, &record), STELE_NOT_FOUND);
    stele_cursor_close(forward);
    stele_cursor_close(backward);
}
END_TEST

START_TEST(parked_events_go_with_what_is_trimmed_and_snapshots_stay)
{
    fill_stream("a-1", 4);
    fill_stream("b-1", 1);
    close_store();
    run_sql(store_path(), "INSERT INTO parked VALUES('s', 1, 'k', 0, 'r', 1, 1, 0, 0),"
                          " ('s', 2, 'k', 0, 'r', 1, 1, 0, 0), ('s', 3, 'k', 0, 'r', 1, 1, 0, 0),"
                          " ('s', 5, 'k', 0, 'r', 1, 1, 0, 0)");
    run_sql(store_path(), "INSERT INTO snapshots VALUES(1, 1, 's', 1, 'e', 1, 1, 1, 0, 'd', NULL)");
    open_in_file();
    keep_newest("a-1", 2);
    close_store();

    ck_assert_int_eq(sql_number(store_path(), "SELECT sum(position) FROM parked"), 8);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM snapshots"), 1);
}
END_TEST

/* --- The states of a stream --- */

static stele_store *archive;

static void close_archive(void)
{
    stele_store_close(archive);
    archive = NULL;
}

static stele_status move_stream(const char *stream)
{
    stele_archive what = STELE_ARCHIVE_INIT;
    what.stream = stream;
    what.to = archive;
    return stele_store_archive(store, &what, NULL);
}

START_TEST(tombstoned_and_archived_in_place_are_trimmed_like_others)
{
    fill_stream("a-1", 4);
    fill_stream("a-2", 4);
    stele_tombstone tombstone = STELE_TOMBSTONE_INIT;
    tombstone.stream = "a-1";
    tombstone.reason = "done";
    assert_status(stele_store_tombstone(store, &tombstone, NULL), STELE_OK);
    assert_status(move_stream("a-2"), STELE_OK);

    expect_retained(keep_newest("a-1", 1), 1, 3, 0);
    expect_retained(keep_newest("a-2", 1), 1, 3, 0);

    ck_assert_str_eq(left_of("a-1"), "4");
    ck_assert_str_eq(left_of("a-2"), "4");
    ck_assert_int_eq(info_of("a-1").state, STELE_STREAM_TOMBSTONED);
    ck_assert_str_eq(info_of("a-1").reason, "done");
    ck_assert_int_eq(info_of("a-2").state, STELE_STREAM_ARCHIVED);
    expect_verified();
}
END_TEST

START_TEST(stream_in_an_archive_is_skipped)
{
    fill_stream("a-1", 4);
    fill_stream("a-2", 4);
    archive = open_path(test_path("archive.db"), NULL);
    assert_status(move_stream("a-1"), STELE_OK);
    stele_retain retain = retain_of("a-1");
    stele_retained retained;
    retain.max_count = 1;

    assert_status(stele_store_retain(store, &retain, &retained), STELE_ARCHIVED);
    ck_assert_int_eq(retained.skipped, 1);
    retain.stream = NULL;
    retain.category = "a";
    retained = run_retain(&retain);
    expect_retained(retained, 1, 3, 0);
    ck_assert_int_eq(retained.skipped, 1);
    close_archive();
}
END_TEST

START_TEST(trimmed_stream_is_moved_and_comes_back_as_it_was)
{
    fill_stream("a-1", 6);
    keep_newest("a-1", 4);
    archive = open_path(test_path("archive.db"), NULL);
    assert_status(move_stream("a-1"), STELE_OK);
    expect_verified();
    stele_restore restore = STELE_RESTORE_INIT;
    restore.stream = "a-1";
    restore.from = archive;

    assert_status(stele_store_restore(store, &restore, NULL), STELE_OK);

    ck_assert_str_eq(left_of("a-1"), "3 4 5 6");
    expect_retained(keep_newest("a-1", 1), 1, 3, 0);
    ck_assert_str_eq(left_of("a-1"), "6");
    expect_verified();
    close_archive();
}
END_TEST

START_TEST(deleted_stream_is_not_found_and_its_name_begins_anew)
{
    fill_stream("a-1", 6);
    keep_newest("a-1", 2);
    stele_delete what = STELE_DELETE_INIT;
    what.stream = "a-1";
    assert_status(stele_store_delete(store, &what, NULL), STELE_OK);
    stele_retain retain = retain_of("a-1");
    retain.max_count = 1;
    assert_status(stele_store_retain(store, &retain, NULL), STELE_NOT_FOUND);

    fill_stream("a-1", 2);
    expect_retained(run_retain(&retain), 1, 1, 0);
    ck_assert_str_eq(left_of("a-1"), "2");
    stele_store_info whole = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &whole), STELE_OK);
    ck_assert_int_eq(whole.events, 1);
    expect_verified();
}
END_TEST

/* --- What is below --- */

/* The anchor goes on naming an event that is trimmed. */
static int trim_all_and_vanish(void *context)
{
    (void)context;
    stele_options options = STELE_OPTIONS_INIT;
    options.anchor_interval_ms = UINT32_MAX;
    store = open_path(store_path(), &options);
    stele_retain retain = retain_of("a-1");
    retain.before_version = INT64_MAX;
    fill_stream("a-1", 1); /* the first write renews the anchor, the next ones not so soon */
    return stele_store_retain(store, &retain, NULL) == STELE_OK ? 0 : 1;
}

START_TEST(anchor_that_names_an_event_trimmed_before_a_crash_has_lost_nothing)
{
    fill_stream("a-1", 5);
    close_store();
    ck_assert_int_eq(run_in_child(trim_all_and_vanish, NULL), 0);

    store = open_path(store_path(), NULL);

    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert_int_eq(info.anchor, STELE_ANCHOR_GOOD);
    ck_assert_int_eq(info.anchor_head, 6);
    assert_status(append_one("a-1", 6, "next", NULL), STELE_OK);
}
END_TEST

static int wal_syncs;

static int count_wal_syncs(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    wal_syncs += call == DISK_SYNC && file == DISK_WAL;
    return SQLITE_OK;
}

START_TEST(trimming_is_durable_also_where_appends_are_not)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    close_store();
    install_disk_hooks();
    store = open_path(store_path(), &options);
    fill_stream("a-1", 10);
    disk_hook = count_wal_syncs;
    fill_stream("a-1", 1);
    ck_assert_int_eq(wal_syncs, 0);
    stele_retain retain = retain_of("a-1");
    retain.max_count = 5;
    retain.keep_free_pages = true;

    run_retain(&retain);

    ck_assert_int_ge(wal_syncs, 1);
    wal_syncs = 0;
    fill_stream("a-1", 1);
    ck_assert_int_eq(wal_syncs, 0);
    disk_hook = NULL;
    close_store();
    remove_disk_hooks();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retention_left");
    TCase *tests = add_case(suite, "left", open_in_file);
    tcase_add_test(tests, trimming_is_told_in_the_stream_of_changes);
    tcase_add_test(tests, appends_with_exact_versions_go_on);
    tcase_add_test(tests, positions_stay_dense_and_readers_are_told_of_what_is_gone);
    tcase_add_test(tests, counts_are_of_what_is_left);
    tcase_add_test(tests, late_retry_of_a_trimmed_append_is_a_duplicate);
    tcase_add_test(tests, cursor_whose_events_were_trimmed_ends_with_not_found);
    tcase_add_test(tests, parked_events_go_with_what_is_trimmed_and_snapshots_stay);
    tests = add_case(suite, "states", open_in_file);
    tcase_add_test(tests, tombstoned_and_archived_in_place_are_trimmed_like_others);
    tcase_add_test(tests, stream_in_an_archive_is_skipped);
    tcase_add_test(tests, trimmed_stream_is_moved_and_comes_back_as_it_was);
    tcase_add_test(tests, deleted_stream_is_not_found_and_its_name_begins_anew);
    tests = add_case(suite, "below", open_in_file);
    tcase_add_test(tests, anchor_that_names_an_event_trimmed_before_a_crash_has_lost_nothing);
    tcase_add_test(tests, trimming_is_durable_also_where_appends_are_not);
    return run_suite(suite);
}
