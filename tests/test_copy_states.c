/* Copies of stores with closed streams: states that come along, and events whose data isn't there.
 */
#include "copying.h"

#include <stele/lifecycle.h>
#include <stele/verify.h>

static void archive_stream(const char *stream, const char *reason, stele_store *to)
{
    stele_archive archive = STELE_ARCHIVE_INIT;
    archive.stream = stream;
    archive.reason = reason;
    archive.to = to;
    assert_status(stele_store_archive(store, &archive, NULL), STELE_OK);
}

static void tombstone_stream(const char *stream, const char *reason)
{
    stele_tombstone tombstone = STELE_TOMBSTONE_INIT;
    tombstone.stream = stream;
    tombstone.reason = reason;
    assert_status(stele_store_tombstone(store, &tombstone, NULL), STELE_OK);
}

static void delete_stream(const char *stream)
{
    stele_delete what = STELE_DELETE_INIT;
    what.stream = stream;
    assert_status(stele_store_delete(store, &what, NULL), STELE_OK);
}

static void expect_state(const char *stream, stele_stream_state state, const char *reason)
{
    stele_stream_info info;
    assert_status(stele_store_stream(target, stream, &info), STELE_OK);
    ck_assert_int_eq(info.state, state);
    ck_assert_str_eq(info.reason, reason);
}

/* Each check of the target holds. */
static void verify_target(void)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    assert_status(stele_verify_open(target, NULL, &verify), STELE_OK);
    while (stele_verify_next(verify, &check) == STELE_OK)
        ck_assert_msg(check->failures == 0, "%s: %s", check->name, check->offender);
    stele_verify_close(verify);
}

START_TEST(states_and_reasons_are_carried_over)
{
    append_data("gone-1", "made", "1");
    append_data("away-1", "made", "2");
    append_data("open-1", "made", "3");
    tombstone_stream("gone-1", "merged into open-1");
    archive_stream("away-1", "season is over", NULL);

    stele_copied copied = run_copy(NULL);

    ck_assert_uint_eq(copied.streams_closed, 2);
    ck_assert_uint_eq(copied.events_read, 3); /* not what the library noted in `$stele` */
    ck_assert_str_eq(target_text(), "gone-1 made 1|away-1 made 2|open-1 made 3");
    expect_state("gone-1", STELE_STREAM_TOMBSTONED, "merged into open-1");
    expect_state("away-1", STELE_STREAM_ARCHIVED, "season is over");
    expect_state("open-1", STELE_STREAM_ACTIVE, "");
    verify_target();
}
END_TEST

static stele_status rename_all(void *context, const stele_record *record, stele_copy_sink *sink)
{
    (void)context;
    stele_event event = make_event(record->type, record->data);
    return stele_copy_emit(sink, "all-1", &event);
}

START_TEST(streams_that_are_named_otherwise_stay_open)
{
    append_data("gone-1", "made", "1");
    tombstone_stream("gone-1", "so");
    stele_copy copy = copy_by(rename_all);

    stele_copied copied = run_copy(&copy);

    ck_assert_uint_eq(copied.streams_closed, 0);
    expect_state("all-1", STELE_STREAM_ACTIVE, "");
}
END_TEST

START_TEST(dry_run_closes_no_stream)
{
    append_data("gone-1", "made", "1");
    tombstone_stream("gone-1", "so");
    stele_copy copy = STELE_COPY_INIT;
    copy.dry_run = true;

    stele_copied copied = run_copy(&copy);

    ck_assert_uint_eq(copied.streams_closed, 0);
    ck_assert_int_eq(head_of(target), 0);
}
END_TEST

/* Positions 1 and 3 are erased, and those of `$stele` are no events of the copy. */
START_TEST(erased_events_become_nothing)
{
    append_data("old-1", "made", "1");
    append_data("new-1", "made", "2");
    append_data("old-1", "made", "3");
    append_data("new-1", "made", "4");
    assert_status(stele_checkpoint_save(store, "reader", 3), STELE_OK);
    delete_stream("old-1");
    int64_t head = head_of(store);
    stele_copy copy = copy_by(NULL);

    stele_copied copied = run_copy(&copy);

    ck_assert_uint_eq(copied.events_read, 2);
    ck_assert_uint_eq(copied.skipped_erased, 2);
    ck_assert_str_eq(target_text(), "new-1 made 2|new-1 made 4");
    ck_assert_int_eq(told.count, head);
    ck_assert_int_eq(told.first[1], 0);
    ck_assert_int_eq(told.first[2], 1);
    ck_assert_int_eq(told.first[3], 0);
    ck_assert_int_eq(told.last[4], 2);
    ck_assert_int_eq(told.last[head], 0);
    ck_assert_int_eq(copied.position, head);
    ck_assert_int_eq(target_checkpoint("reader"), 1);
}
END_TEST

START_TEST(moved_events_are_copied_from_an_attached_archive)
{
    stele_store *archive = open_path(test_path("archive.db"), NULL);
    append_data("a-1", "made", "1");
    append_data("b-1", "made", "2");
    archive_stream("a-1", "old", archive);

    assert_status(stele_store_copy(store, target, NULL, NULL), STELE_ARCHIVED);
    assert_reason_has("events after position 0 are in an archive");
    ck_assert_int_eq(head_of(target), 0);

    assert_status(stele_store_attach(store, archive), STELE_OK);
    stele_copied copied = run_copy(NULL);
    ck_assert_uint_eq(copied.events_read, 2);
    ck_assert_str_eq(target_text(), "a-1 made 1|b-1 made 2");
    expect_state("a-1", STELE_STREAM_ARCHIVED, "old");
    verify_target();
    stele_store_close(store);
    store = NULL;
    stele_store_close(archive);
}
END_TEST

START_TEST(moved_events_are_left_out_when_asked_for)
{
    stele_store *archive = open_path(test_path("archive.db"), NULL);
    append_data("a-1", "made", "1");
    append_data("b-1", "made", "2");
    archive_stream("a-1", "old", archive);
    stele_copy copy = STELE_COPY_INIT;
    copy.skip_archived = true;

    stele_copied copied = run_copy(&copy);

    ck_assert_uint_eq(copied.events_read, 1);
    ck_assert_uint_eq(copied.skipped_archived, 1);
    ck_assert_str_eq(target_text(), "b-1 made 2");
    stele_store_close(archive);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("copy_states");
    TCase *tests = add_copy_case(suite, "states", open_both_in_files);
    tcase_add_test(tests, states_and_reasons_are_carried_over);
    tcase_add_test(tests, streams_that_are_named_otherwise_stay_open);
    tcase_add_test(tests, dry_run_closes_no_stream);
    tcase_add_test(tests, erased_events_become_nothing);
    tcase_add_test(tests, moved_events_are_copied_from_an_attached_archive);
    tcase_add_test(tests, moved_events_are_left_out_when_asked_for);
    return run_suite(suite);
}
