/* Deleting a stream, whatever its state. */
#include "lifecycles.h"

static stele_delete asked(const char *stream)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = stream;
    return call;
}

static stele_status ask(stele_delete call)
{
    return stele_store_delete(store, &call, &changed);
}

/* --- What goes --- */

START_TEST(deleted_stream_is_not_found_and_its_name_is_free)
{
    fill_varied("loan-1", 5);
    fill_varied("loan-2", 2);
    const char *other = tell_stream("loan-2");
    int64_t id = info_of("loan-1").id;
    assert_status(delete_it("loan-1"), STELE_OK);
    ck_assert(changed.changed && changed.finished);
    ck_assert_int_eq(changed.version, 5);
    ck_assert_int_eq(changed.events, 5);
    ck_assert_int_gt(changed.bytes, 0);
    ck_assert_int_eq(changed.position, 8);
    ck_assert_int_eq(version_of("loan-1"), 0);
    ck_assert_str_eq(tell_stream("loan-1"), "");
    ck_assert_str_eq(tell_stream("loan-2"), other);
    ck_assert_str_eq(tell_stream(NULL), other);

    stele_appended appended = { 0 };
    assert_status(append_one("loan-1", STELE_NO_STREAM, "noted", &appended), STELE_OK);
    ck_assert_int_eq(appended.stream_version, 1);
    ck_assert_int_eq(appended.last_position, 9);
    ck_assert_int_ne(info_of("loan-1").id, id);
    assert_whole(store);
}
END_TEST

START_TEST(event_names_the_stream_by_its_id_alone)
{
    char expected[100];
    fill_stream("loan-1", 3);
    int64_t id = info_of("loan-1").id;
    assert_status(delete_it("loan-1"), STELE_OK);
    snprintf(expected, sizeof(expected), "stream-deleted {\"stream_id\":%" PRId64 ",\"version\":3}",
             id);
    ck_assert_str_eq(last_change(), expected);
    ck_assert_int_eq(change_count(), 1);
}
END_TEST

START_TEST(missing_stream_is_not_found)
{
    assert_status(delete_it("loan-1"), STELE_NOT_FOUND);
    fill_stream("loan-1", 1);
    assert_status(delete_it("loan-1"), STELE_OK);
    assert_status(delete_it("loan-1"), STELE_NOT_FOUND);
    ck_assert(!changed.changed);
    ck_assert_int_eq(change_count(), 1);
}
END_TEST

START_TEST(id_is_never_used_again)
{
    int64_t last = 0;
    for (int i = 0; i < 5; i++) {
        fill_stream("loan-1", 1);
        int64_t id = info_of("loan-1").id;
        ck_assert_int_gt(id, last);
        last = id;
        assert_status(delete_it("loan-1"), STELE_OK);
        if (i == 2)
            reopen_file();
    }
}
END_TEST

START_TEST(husks_keep_positions_dense_and_nothing_of_the_content)
{
    fill_varied("loan-1", 6);
    assert_status(delete_it("loan-1"), STELE_OK);
    fill_stream("loan-2", 1);
    close_store();
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM events"), 8);
    ck_assert_int_eq(sql_number(store_path(), "SELECT max(position) FROM events"), 8);
    ck_assert_int_eq(sql_number(store_path(),
                                "SELECT count(*) FROM events WHERE flags & 3 = 1 AND data IS NULL"
                                " AND metadata IS NULL AND payload_hash = 0"
                                " AND occurred_at IS NULL"),
                     6);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM streams WHERE name IS NULL"
                                              " AND reason IS NULL"),
                     1);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(digest) FROM idempotency"), 0);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM idempotency"), 3);
}
END_TEST

START_TEST(tombstone_and_reason_go_with_it)
{
    fill_stream("loan-1", 1);
    assert_status(tombstone_it("loan-1"), STELE_OK);
    assert_status(delete_it("loan-1"), STELE_OK);
    fill_stream("loan-1", 2);
    stele_stream_info info = info_of("loan-1");
    ck_assert_int_eq(info.state, STELE_STREAM_ACTIVE);
    ck_assert_str_eq(info.reason, "");
    ck_assert_int_eq(info.changed_at, 0);
}
END_TEST

START_TEST(snapshots_and_parked_events_go_with_it)
{
    fill_stream("loan-1", 2);
    fill_stream("loan-2", 1);
    close_store();
    run_sql(store_path(),
            "INSERT INTO snapshots(stream, name, version, epoch, schema_version, codec, saved_at,"
            " checksum, data) SELECT id, 'fold', 1, 'e', 1, 1, 0, 0, 'x' FROM streams;"
            "INSERT INTO parked SELECT 'sub', position, 'k', 0, 'r', 1, 0, 0, 0 FROM events");
    open_in_file();
    int64_t id = info_of("loan-1").id;
    assert_status(delete_it("loan-1"), STELE_OK);
    close_store();
    char sql[100];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM snapshots WHERE stream = %" PRId64, id);
    ck_assert_int_eq(sql_number(store_path(), sql), 0);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM snapshots"), 1);
    ck_assert_int_eq(sql_number(store_path(), "SELECT sum(position) FROM parked"), 3);
}
END_TEST

/* --- Keys --- */

static stele_appended retry(const char *stream, const char *key, const char *data, size_t count)
{
    stele_appended appended = { 0 };
    stele_event event = make_event("noted", data);
    stele_append append = make_append(stream, STELE_ANY, &event, count);
    append.idempotency_key = key;
    assert_status(stele_store_append(store, &append, &appended), STELE_OK);
    return appended;
}

START_TEST(late_retry_is_a_duplicate_of_something_erased)
{
    stele_appended first = retry("loan-1", "pay-1", "{\"n\":1}", 1);
    retry("loan-1", "empty-1", "", 0);
    assert_status(delete_it("loan-1"), STELE_OK);
    int64_t head = head_of(store);
    /* Whatever its content: what that was is forgotten. */
    stele_appended again = retry("loan-1", "pay-1", _i == 0 ? "{\"n\":1}" : "{\"n\":2}", 1);
    ck_assert(again.duplicate && again.erased);
    ck_assert_int_eq(again.first_position, first.first_position);
    again = retry("loan-1", "empty-1", "", 0);
    ck_assert(again.duplicate && again.erased);
    ck_assert_int_eq(head_of(store), head);
    ck_assert_int_eq(version_of("loan-1"), 0);
    /* The name's new owner has keys of its own. */
    ck_assert(!retry("loan-1", "pay-2", "{}", 1).duplicate);
    again = retry("loan-1", "pay-1", "{\"n\":1}", 1);
    ck_assert(again.duplicate && again.erased);
    assert_whole(store);
}
END_TEST

/* --- Cut in the middle --- */

START_TEST(cancelled_deletion_has_freed_the_name_and_is_resumed)
{
    cut at = { "erasing", _i, 0 };
    stele_work work = small_steps(&at);
    fill_varied("loan-1", 4);
    assert_status(delete_with("loan-1", NULL, &work), STELE_CANCELLED);
    ck_assert(changed.changed && !changed.finished);
    ck_assert_int_eq(changed.events, _i + 1);
    ck_assert_int_eq(version_of("loan-1"), 0);
    ck_assert_str_eq(tell_stream(NULL), "");
    fill_stream("loan-1", 2);
    const char *before = tell_stream("loan-1");
    if (_i == 0)
        reopen_file();
    else
        ck_assert_int_eq(resume_with(NULL).finished, 1);
    ck_assert_int_eq(resume_with(NULL).found, 0);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    assert_whole(store);
    close_store();
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM events WHERE flags & 1"), 4);
}
END_TEST

/* Another process, whose reader knows the name of that stream by its id. */
START_TEST(reader_that_remembers_the_name_shows_nothing_of_it)
{
    cut at = { "erasing", 0, 0 };
    stele_work work = small_steps(&at);
    stele_status end = STELE_OK;
    stele_skipped skipped;
    fill_varied("loan-1", 6);
    stele_store *other = open_path(store_path(), NULL);
    ck_assert_str_ne(tell_read(other, NULL, &end, &skipped), "");
    assert_status(delete_with("loan-1", NULL, &work), STELE_CANCELLED);
    ck_assert_str_eq(tell_read(other, NULL, &end, &skipped), "");
    assert_status(end, STELE_DONE);
    ck_assert_int_eq(skipped.erased, 6);
    stele_store_close(other);
}
END_TEST

START_TEST(deletion_of_a_moved_stream_erases_the_copies)
{
    fill_varied("loan-1", 4);
    fill_varied("loan-2", 2);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(archive_to("loan-2", archive, NULL), STELE_OK);
    if (_i == 0)
        assert_status(delete_with("loan-1", archive, NULL), STELE_OK);
    if (_i == 1)
        assert_status(delete_it("loan-1"), STELE_OK);
    if (_i == 2) {
        cut at = { "dropping copies", 1, 0 };
        stele_work work = small_steps(&at);
        assert_status(delete_with("loan-1", archive, &work), STELE_CANCELLED);
        ck_assert_int_eq(resume_with(archive).finished, 1);
    }
    ck_assert_int_eq(version_of("loan-1"), 0);
    close_archive();
    ck_assert_int_eq(sql_number(archive_path(), "SELECT count(*) FROM kept_streams"), 1);
    ck_assert_int_eq(sql_number(archive_path(), "SELECT count(*) FROM kept_events"), 2);
    assert_whole(store);
}
END_TEST

START_TEST(archive_that_is_gone_keeps_the_stream_unless_its_copies_may_be_left)
{
    fill_varied("loan-1", 4);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    lose_archive();
    assert_status(delete_it("loan-1"), STELE_ARCHIVED);
    ck_assert(!changed.changed);
    ck_assert_int_eq(info_of("loan-1").version, 4);
    stele_delete call = asked("loan-1");
    call.leave_archived = true;
    assert_status(ask(call), STELE_OK);
    ck_assert(changed.changed && !changed.finished);
    ck_assert_int_eq(version_of("loan-1"), 0);
    ck_assert_int_eq(resume_with(NULL).waiting, 1);
    find_archive();
    ck_assert_int_eq(resume_with(archive).finished, 1);
    close_archive();
    ck_assert_int_eq(sql_number(test_path("elsewhere.db"), "SELECT count(*) FROM kept_events"), 0);
}
END_TEST

START_TEST(stream_that_is_being_moved_can_be_deleted)
{
    static const char *const doing[] = { "copying", "comparing", "replacing" };
    cut at = { doing[_i], 1, 0 };
    stele_work work = small_steps(&at);
    fill_varied("loan-1", 4);
    assert_status(archive_to("loan-1", archive, &work), STELE_CANCELLED);
    assert_status(delete_with("loan-1", archive, NULL), STELE_OK);
    ck_assert(changed.finished);
    assert_whole(store);
    close_archive();
    ck_assert_int_eq(sql_number(archive_path(), "SELECT count(*) FROM kept_events"), 0);
}
END_TEST

/* --- Expectations, dry runs, arguments --- */

START_TEST(expected_version_is_compared)
{
    fill_stream("loan-1", 2);
    stele_delete call = asked("loan-1");
    call.expected_version = 1;
    assert_status(ask(call), STELE_CONFLICT);
    ck_assert_int_eq(changed.version, 2);
    ck_assert_int_eq(version_of("loan-1"), 2);
    call.expected_version = 2;
    assert_status(ask(call), STELE_OK);
}
END_TEST

START_TEST(dry_run_counts_and_changes_nothing)
{
    fill_stream("loan-1", 3);
    stele_delete call = asked("loan-1");
    call.dry_run = true;
    call.now = true;
    assert_status(ask(call), STELE_OK);
    ck_assert(!changed.changed);
    ck_assert_int_eq(changed.events, 3);
    ck_assert_int_eq(changed.bytes, (int64_t)(3 * strlen("{\"n\":1}")));
    ck_assert_int_eq(version_of("loan-1"), 3);
}
END_TEST

START_TEST(wrong_arguments_are_misuse)
{
    fill_stream("loan-1", 1);
    assert_status(stele_store_delete(NULL, NULL, NULL), STELE_MISUSE);
    assert_status(stele_store_delete(store, NULL, NULL), STELE_MISUSE);
    assert_status(ask(asked(NULL)), STELE_MISUSE);
    assert_status(ask(asked("$stele")), STELE_MISUSE);
    stele_delete call = asked("loan-1");
    call.struct_size = 0;
    assert_status(ask(call), STELE_MISUSE);
    stele_delete_init(&call);
    ck_assert_uint_eq(call.struct_size, sizeof(call));
    call.stream = "loan-1";
    call.expected_version = STELE_NO_STREAM;
    assert_status(ask(call), STELE_MISUSE);
    ck_assert_int_eq(version_of("loan-1"), 1);
}
END_TEST

START_TEST(transaction_deletes_the_name_and_leaves_the_rest_to_resuming)
{
    fill_varied("loan-1", 3);
    stele_transaction *transaction = begin();
    stele_delete call = asked("loan-1");
    call.now = true;
    assert_status(stele_transaction_delete(transaction, &call, &changed), STELE_MISUSE);
    call.now = false;
    call.archive = archive;
    assert_status(stele_transaction_delete(transaction, &call, &changed), STELE_MISUSE);
    call.archive = NULL;
    assert_status(stele_transaction_delete(transaction, &call, &changed), STELE_OK);
    ck_assert(changed.changed && !changed.finished);
    stele_appended appended = { 0 };
    assert_status(append_in(transaction, "loan-1", STELE_NO_STREAM, &appended), STELE_OK);
    ck_assert_int_eq(appended.stream_version, 1);
    if (_i == 0) {
        stele_transaction_end(transaction);
        ck_assert_int_eq(version_of("loan-1"), 3);
        ck_assert_int_eq(resume_with(NULL).found, 0);
    } else {
        commit_and_end(transaction);
        ck_assert_int_eq(version_of("loan-1"), 1);
        ck_assert_int_eq(resume_with(NULL).finished, 1);
    }
    assert_whole(store);
}
END_TEST

START_TEST(transaction_needs_leave_archived_for_a_moved_stream)
{
    fill_varied("loan-1", 3);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    stele_transaction *transaction = begin();
    stele_delete call = asked("loan-1");
    assert_status(stele_transaction_delete(transaction, &call, &changed), STELE_ARCHIVED);
    call.leave_archived = true;
    assert_status(stele_transaction_delete(transaction, &call, &changed), STELE_OK);
    commit_and_end(transaction);
    ck_assert_int_eq(resume_with(archive).finished, 1);
    close_archive();
    ck_assert_int_eq(sql_number(archive_path(), "SELECT count(*) FROM kept_events"), 0);
}
END_TEST

static const char *const rot[] = { "UPDATE events SET data = 'rot' WHERE position = 2",
                                   "UPDATE events SET type = 99 WHERE position = 2",
                                   "UPDATE events SET codec = 99 WHERE position = 2" };

START_TEST(damaged_stream_can_be_deleted)
{
    fill_stream("loan-1", 3);
    close_store();
    run_sql(store_path(), rot[_i]);
    open_in_file();
    assert_status(delete_it("loan-1"), STELE_OK);
    ck_assert_int_eq(changed.events, 3);
    ck_assert(changed.finished);
    if (_i == 0)
        assert_whole(store);
    close_store();
    ck_assert_int_eq(
        sql_number(store_path(), "SELECT count(*) FROM events WHERE stream = 1 AND data NOT NULL"),
        0);
}
END_TEST

START_TEST(deletes_in_every_way_to_open)
{
    close_store();
    stele_options options = STELE_OPTIONS_INIT;
    sqlite3 *handle = NULL;
    if (_i == 0)
        store = open_path(":memory:", NULL);
    if (_i == 1) {
        options.durability = STELE_DURABILITY_RELAXED;
        store = open_path(store_path(), &options);
    }
    if (_i == 2) {
        ck_assert_int_eq(sqlite3_open(test_path("wrapped.db"), &handle), SQLITE_OK);
        assert_status(stele_store_wrap(handle, NULL, &store), STELE_OK);
    }
    fill_varied("loan-1", 4);
    stele_delete call = asked("loan-1");
    call.now = true;
    assert_status(ask(call), STELE_OK);
    ck_assert(changed.finished);
    fill_stream("loan-1", 2);
    assert_whole(store);
    close_store();
    sqlite3_close(handle);
    store = open_path(":memory:", NULL);
}
END_TEST

static Suite *delete_suite(void)
{
    Suite *suite = suite_create("delete");
    TCase *tests = add_lifecycle_case(suite, "what", open_in_file);
    tcase_add_test(tests, deleted_stream_is_not_found_and_its_name_is_free);
    tcase_add_test(tests, event_names_the_stream_by_its_id_alone);
    tcase_add_test(tests, missing_stream_is_not_found);
    tcase_add_test(tests, id_is_never_used_again);
    tcase_add_test(tests, husks_keep_positions_dense_and_nothing_of_the_content);
    tcase_add_test(tests, tombstone_and_reason_go_with_it);
    tcase_add_test(tests, snapshots_and_parked_events_go_with_it);
    tcase_add_loop_test(tests, late_retry_is_a_duplicate_of_something_erased, 0, 2);
    tcase_add_loop_test(tests, cancelled_deletion_has_freed_the_name_and_is_resumed, 0, 4);
    tcase_add_test(tests, reader_that_remembers_the_name_shows_nothing_of_it);
    tcase_add_loop_test(tests, damaged_stream_can_be_deleted, 0, 3);
    tcase_add_loop_test(tests, deletes_in_every_way_to_open, 0, 3);
    tests = add_lifecycle_case(suite, "moved", open_both);
    tcase_add_loop_test(tests, deletion_of_a_moved_stream_erases_the_copies, 0, 3);
    tcase_add_test(tests, archive_that_is_gone_keeps_the_stream_unless_its_copies_may_be_left);
    tcase_add_loop_test(tests, stream_that_is_being_moved_can_be_deleted, 0, 3);
    tests = add_lifecycle_case(suite, "arguments", open_both);
    tcase_add_test(tests, expected_version_is_compared);
    tcase_add_test(tests, dry_run_counts_and_changes_nothing);
    tcase_add_test(tests, wrong_arguments_are_misuse);
    tcase_add_loop_test(tests, transaction_deletes_the_name_and_leaves_the_rest_to_resuming, 0, 2);
    tcase_add_test(tests, transaction_needs_leave_archived_for_a_moved_stream);
    return suite;
}

int main(void)
{
    return run_suite(delete_suite());
}
