/* Restoring a stream: from where it was archived in place, and from another store. */
#include "lifecycles.h"

static stele_restore asked(const char *stream)
{
    stele_restore call = STELE_RESTORE_INIT;
    call.stream = stream;
    return call;
}

/* Every column of every row of the log but those of `$stele`, as one number. */
static int64_t sum_of_rows(void)
{
    return sql_number(store_path(),
                      "SELECT sum((checksum % 1000003) * (position * 31 + version) % 1000003)"
                      " + sum(payload_hash % 1000003) FROM events"
                      " WHERE stream <> (SELECT id FROM streams WHERE name = '$stele')");
}

START_TEST(restored_stream_is_as_if_it_had_never_left)
{
    fill_varied("loan-1", 9);
    fill_varied("loan-2", 3);
    fill_varied("loan-1", 1); /* a retry: a key comes twice */
    assert_status(archive_here("loan-2"), STELE_OK);
    const char *all = tell_stream(NULL);
    close_store();
    int64_t before = sum_of_rows();
    open_in_file();
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    ck_assert(changed.changed && changed.finished);
    ck_assert_int_eq(changed.events, 10);
    ck_assert_str_eq(tell_stream(NULL), all);
    ck_assert_int_eq(info_of("loan-1").state, STELE_STREAM_ACTIVE);
    assert_whole(store);
    close_store();
    ck_assert_int_eq(sum_of_rows(), before);
}
END_TEST

START_TEST(restored_stream_takes_appends_at_new_positions)
{
    stele_appended appended = { 0 };
    fill_stream("loan-1", 3);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    fill_stream("loan-2", 1);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    int64_t head = head_of(store);
    ck_assert_int_eq(changed.position, head);
    assert_status(append_one("loan-1", 3, "noted", &appended), STELE_OK);
    ck_assert_int_eq(appended.last_position, head + 1);
    ck_assert_int_eq(appended.stream_version, 4);
}
END_TEST

START_TEST(restoring_appends_one_event_that_names_the_stream_by_its_id)
{
    char expected[100];
    fill_stream("loan-1", 2);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    snprintf(expected, sizeof(expected),
             "stream-restored {\"stream_id\":%" PRId64 ",\"version\":2}", info_of("loan-1").id);
    ck_assert_str_eq(last_change(), expected);
    assert_status(archive_here("loan-1"), STELE_OK);
    assert_status(restore_from("loan-1", NULL, NULL), STELE_OK);
    ck_assert_str_eq(last_change(), expected);
    ck_assert_int_eq(change_count(), 4);
}
END_TEST

START_TEST(reason_of_an_archiving_goes_with_it)
{
    stele_archive call = STELE_ARCHIVE_INIT;
    fill_varied("loan-1", 6);
    call.stream = "loan-1";
    call.reason = "the year is over";
    call.to = _i == 0 ? NULL : archive;
    assert_status(stele_store_archive(store, &call, NULL), STELE_OK);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    ck_assert_str_eq(info_of("loan-1").reason, "");
}
END_TEST

/* Whoever cancels must know that it had begun. */
START_TEST(cancelled_restoring_has_changed_something)
{
    cut at = { "bringing back", 2, 0 };
    stele_work work = small_steps(&at);
    fill_varied("loan-1", 6);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(restore_from("loan-1", archive, &work), STELE_CANCELLED);
    ck_assert(changed.changed && !changed.finished && changed.events > 0);
}
END_TEST

START_TEST(copies_in_the_archive_are_dropped)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    fill_stream("loan-1", 2);
    fill_stream("loan-2", 3);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(archive_to("loan-2", archive, NULL), STELE_OK);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    assert_status(stele_store_describe(archive, &info), STELE_OK);
    ck_assert_int_eq(info.kept, 3);
    close_archive();
    ck_assert_int_eq(sql_number(archive_path(), "SELECT count(*) FROM kept_events"), 3);
}
END_TEST

START_TEST(active_stream_is_left_as_it_is)
{
    fill_stream("loan-1", 2);
    assert_status(restore_from("loan-1", NULL, NULL), STELE_OK);
    ck_assert(!changed.changed && changed.finished);
    ck_assert_int_eq(changed.version, 2);
    ck_assert_int_eq(change_count(), 0);
}
END_TEST

START_TEST(cancelled_restoring_is_gone_on_with)
{
    static const char *const doing[] = { "bringing back", "dropping copies" };
    cut at = { doing[_i % 2], _i / 2, 0 };
    stele_work work = small_steps(&at);
    fill_varied("loan-1", 4);
    const char *before = tell_stream("loan-1");
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(restore_from("loan-1", archive, &work), STELE_CANCELLED);
    ck_assert(!changed.finished);
    ck_assert(info_of("loan-1").unfinished);
    /* Bringing back it is closed; dropping what is left elsewhere it is open. */
    assert_status(append_one("loan-1", STELE_ANY, "noted", NULL),
                  _i % 2 == 0 ? STELE_ARCHIVED : STELE_OK);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    ck_assert(changed.finished);
    ck_assert_int_eq(changed.changed, _i % 2 == 0);
    ck_assert(!info_of("loan-1").unfinished);
    ck_assert_int_eq(strncmp(tell_stream("loan-1"), before, strlen(before)), 0);
    ck_assert_int_eq(change_count(), 2);
    assert_whole(store);
}
END_TEST

/* Copies of an earlier stay that can't be reached are no reason to keep the stream closed. */
START_TEST(stream_archived_in_place_opens_though_old_copies_are_out_of_reach)
{
    cut at = { "dropping copies", 0, 0 };
    stele_work work = small_steps(&at);
    fill_stream("loan-1", 2);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(restore_from("loan-1", archive, &work), STELE_CANCELLED);
    assert_status(archive_here("loan-1"), STELE_OK);
    ck_assert(!info_of("loan-1").moved);
    if (_i == 0)
        lose_archive();
    if (_i < 2) {
        assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    } else {
        stele_restore call = asked("loan-1");
        stele_transaction *transaction = begin();
        assert_status(stele_transaction_restore(transaction, &call, &changed), STELE_OK);
        commit_and_end(transaction);
    }
    ck_assert(changed.changed);
    ck_assert_int_eq(info_of("loan-1").state, STELE_STREAM_ACTIVE);
    ck_assert(info_of("loan-1").unfinished);
    assert_status(append_one("loan-1", 2, "noted", NULL), STELE_OK);
    if (archive == NULL)
        find_archive();
    ck_assert_int_eq(resume_with(archive).finished, 1);
    ck_assert(!info_of("loan-1").unfinished);
}
END_TEST

START_TEST(stream_may_go_to_another_archive_after_it_was_restored)
{
    stele_store *second = open_path(test_path("second.db"), NULL);
    cut at = { "dropping copies", 0, 0 };
    stele_work work = small_steps(&at);
    fill_varied("loan-1", 4);
    const char *before = tell_stream("loan-1");
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(restore_from("loan-1", archive, &work), STELE_CANCELLED);
    if (_i == 1) { /* the old copies go first, and their store isn't there */
        lose_archive();
        assert_status(archive_to("loan-1", second, NULL), STELE_ARCHIVED);
        find_archive();
        assert_status(stele_store_attach(store, archive), STELE_OK);
    }
    assert_status(archive_to("loan-1", second, NULL), STELE_OK);
    assert_status(restore_from("loan-1", second, NULL), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    stele_store_close(second);
}
END_TEST

/* --- Where the archive is --- */

START_TEST(archive_is_given_attached_or_found_by_its_path)
{
    fill_varied("loan-1", 4);
    const char *before = tell_stream("loan-1");
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    if (_i == 1)
        assert_status(stele_store_attach(store, archive), STELE_OK);
    if (_i == 2)
        close_archive();
    assert_status(restore_from("loan-1", _i == 0 ? archive : NULL, NULL), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
}
END_TEST

/* Although the right one is where it was: who names a store means that one. */
START_TEST(another_store_than_the_archive_is_refused)
{
    stele_delete what = STELE_DELETE_INIT;
    fill_varied("loan-1", 4);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    stele_store *wrong = open_path(test_path("wrong.db"), NULL);
    what.stream = "loan-1";
    what.archive = wrong;

    assert_status(restore_from("loan-1", wrong, NULL), STELE_MISUSE);
    assert_status(stele_store_delete(store, &what, NULL), STELE_MISUSE);

    stele_store_close(wrong);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
}
END_TEST

START_TEST(missing_archive_is_named_by_uuid_and_last_path)
{
    char path[512];
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(archive, &info), STELE_OK);
    snprintf(path, sizeof(path), "%s", archive_path());
    fill_stream("loan-1", 1);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    char uuid[40];
    snprintf(uuid, sizeof(uuid), "%s", info.uuid);
    lose_archive();
    assert_status(restore_from("loan-1", NULL, NULL), STELE_ARCHIVED);
    assert_reason_has(uuid);
    assert_reason_has(path);
    ck_assert(!changed.changed);
    /* Another store has taken the place. */
    stele_store_close(open_path(path, NULL));
    assert_status(restore_from("loan-1", NULL, NULL), STELE_ARCHIVED);
    /* It is nowhere made. */
    unlink(path);
    assert_status(restore_from("loan-1", NULL, NULL), STELE_ARCHIVED);
    ck_assert_int_ne(access(path, F_OK), 0);
    find_archive();
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
}
END_TEST

START_TEST(archive_that_is_only_read_is_refused_before_anything_changes)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    fill_stream("loan-1", 1);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    close_archive();
    archive = open_path(archive_path(), &options);
    assert_status(restore_from("loan-1", archive, NULL), STELE_READ_ONLY);
    ck_assert(!info_of("loan-1").unfinished);
}
END_TEST

/* --- Damage in the archive --- */

START_TEST(damage_in_the_archive_is_corrupt_and_what_came_before_is_back)
{
    static const char *const damages[] = {
        "UPDATE kept_events SET data = '{\"n\":9}' WHERE version = 3",
        "UPDATE kept_events SET payload_hash = 7 WHERE version = 3",
        "DELETE FROM kept_events WHERE version = 3",
    };
    stele_work work = small_steps(NULL);
    fill_stream("loan-1", 5);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    close_archive();
    run_sql(archive_path(), damages[_i]);
    open_archive();
    assert_status(restore_from("loan-1", archive, &work), STELE_CORRUPT);
    assert_reason_has("version 3");
    ck_assert_int_eq(changed.events, 2);
    stele_status end;
    ck_assert_ptr_nonnull(strstr(tell_read(store, "loan-1", &end, NULL), "{\"n\":2}"));
    assert_status(end, STELE_ARCHIVED);
    close_archive();
    ck_assert_int_ge(sql_number(archive_path(), "SELECT count(*) FROM kept_events"), 4);
}
END_TEST

START_TEST(archive_that_forgot_the_move_is_corrupt)
{
    fill_stream("loan-1", 2);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    close_archive();
    run_sql(archive_path(), "DELETE FROM kept_streams");
    open_archive();
    assert_status(restore_from("loan-1", archive, NULL), STELE_CORRUPT);
    /* By its path it isn't opened any more: it knows nothing of the move. */
    close_archive();
    assert_status(restore_from("loan-1", NULL, NULL), STELE_ARCHIVED);
}
END_TEST

/* --- Arguments, expectations, transactions --- */

START_TEST(wrong_arguments_are_misuse)
{
    fill_stream("loan-1", 1);
    assert_status(stele_store_restore(NULL, NULL, NULL), STELE_MISUSE);
    assert_status(stele_store_restore(store, NULL, NULL), STELE_MISUSE);
    stele_restore call = asked("$stele");
    assert_status(stele_store_restore(store, &call, NULL), STELE_MISUSE);
    call = asked("loan-1");
    call.struct_size = 0;
    assert_status(stele_store_restore(store, &call, NULL), STELE_MISUSE);
    call = asked("loan-1");
    call.expected_version = STELE_NO_STREAM;
    assert_status(stele_store_restore(store, &call, NULL), STELE_MISUSE);
    stele_restore initialized;
    stele_restore_init(&initialized);
    ck_assert_uint_eq(initialized.struct_size, sizeof(stele_restore));
    ck_assert_int_eq(initialized.expected_version, STELE_ANY);
}
END_TEST

START_TEST(dry_run_counts_and_changes_nothing)
{
    fill_stream("loan-1", 3);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    stele_restore call = asked("loan-1");
    call.dry_run = true;
    assert_status(stele_store_restore(store, &call, &changed), STELE_OK);
    ck_assert(!changed.changed);
    ck_assert_int_eq(changed.events, 3);
    ck_assert(info_of("loan-1").moved);
    ck_assert_int_eq(change_count(), 1);
}
END_TEST

START_TEST(transaction_restores_what_is_in_place_alone)
{
    fill_stream("loan-1", 1);
    fill_stream("loan-2", 1);
    assert_status(archive_here("loan-1"), STELE_OK);
    assert_status(archive_to("loan-2", archive, NULL), STELE_OK);
    stele_transaction *transaction = begin();
    stele_restore call = asked("loan-2");
    assert_status(stele_transaction_restore(transaction, &call, &changed), STELE_ARCHIVED);
    call = asked("loan-1");
    call.from = archive;
    assert_status(stele_transaction_restore(transaction, &call, &changed), STELE_MISUSE);
    stele_work work = STELE_WORK_INIT;
    call = asked("loan-1");
    call.work = &work;
    assert_status(stele_transaction_restore(transaction, &call, &changed), STELE_MISUSE);
    call.work = NULL;
    assert_status(stele_transaction_restore(transaction, &call, &changed), STELE_OK);
    ck_assert(changed.changed);
    assert_status(append_in(transaction, "loan-1", 1, NULL), STELE_OK);
    if (_i == 0) {
        stele_transaction_end(transaction);
        ck_assert_int_eq(info_of("loan-1").state, STELE_STREAM_ARCHIVED);
        ck_assert_int_eq(change_count(), 2);
    } else {
        commit_and_end(transaction);
        ck_assert_int_eq(version_of("loan-1"), 2);
        ck_assert_int_eq(change_count(), 3);
    }
}
END_TEST

static Suite *restore_suite(void)
{
    Suite *suite = suite_create("restore");
    TCase *tests = add_lifecycle_case(suite, "what", open_both);
    tcase_add_test(tests, restored_stream_is_as_if_it_had_never_left);
    tcase_add_test(tests, restored_stream_takes_appends_at_new_positions);
    tcase_add_test(tests, restoring_appends_one_event_that_names_the_stream_by_its_id);
    tcase_add_loop_test(tests, reason_of_an_archiving_goes_with_it, 0, 2);
    tcase_add_test(tests, cancelled_restoring_has_changed_something);
    tcase_add_test(tests, copies_in_the_archive_are_dropped);
    tcase_add_test(tests, active_stream_is_left_as_it_is);
    tcase_add_loop_test(tests, cancelled_restoring_is_gone_on_with, 0, 8);
    tcase_add_loop_test(tests, stream_archived_in_place_opens_though_old_copies_are_out_of_reach, 0,
                        3);
    tcase_add_loop_test(tests, stream_may_go_to_another_archive_after_it_was_restored, 0, 2);
    tests = add_lifecycle_case(suite, "where", open_both);
    tcase_add_loop_test(tests, archive_is_given_attached_or_found_by_its_path, 0, 3);
    tcase_add_test(tests, another_store_than_the_archive_is_refused);
    tcase_add_test(tests, missing_archive_is_named_by_uuid_and_last_path);
    tcase_add_test(tests, archive_that_is_only_read_is_refused_before_anything_changes);
    tests = add_lifecycle_case(suite, "damage", open_both);
    tcase_add_loop_test(tests, damage_in_the_archive_is_corrupt_and_what_came_before_is_back, 0, 3);
    tcase_add_test(tests, archive_that_forgot_the_move_is_corrupt);
    tests = add_lifecycle_case(suite, "arguments", open_both);
    tcase_add_test(tests, wrong_arguments_are_misuse);
    tcase_add_test(tests, dry_run_counts_and_changes_nothing);
    tcase_add_loop_test(tests, transaction_restores_what_is_in_place_alone, 0, 2);
    return suite;
}

int main(void)
{
    return run_suite(restore_suite());
}
