/* What archiving a stream refuses, and what it expects. */
#include "lifecycles.h"

static stele_archive asked(const char *stream)
{
    stele_archive call = STELE_ARCHIVE_INIT;
    call.stream = stream;
    return call;
}

static stele_status ask(stele_archive call)
{
    return stele_store_archive(store, &call, &changed);
}

/* --- Expectations, dry runs --- */

START_TEST(expected_version_is_compared)
{
    fill_stream("loan-1", 2);
    stele_archive call = asked("loan-1");
    call.expected_version = 1;
    assert_status(ask(call), STELE_CONFLICT);
    ck_assert_int_eq(changed.version, 2);
    ck_assert(!changed.changed);
    call.to = archive;
    assert_status(ask(call), STELE_CONFLICT);
    ck_assert_int_eq(changed.version, 2);
    ck_assert_int_eq(change_count(), 0);
    call.expected_version = STELE_STREAM_EXISTS;
    assert_status(ask(call), STELE_OK);
}
END_TEST

START_TEST(dry_run_counts_and_changes_nothing)
{
    fill_stream("loan-1", 3);
    stele_archive call = asked("loan-1");
    call.dry_run = true;
    assert_status(ask(call), STELE_OK);
    ck_assert(!changed.changed);
    call.to = archive;
    assert_status(ask(call), STELE_OK);
    ck_assert(!changed.changed);
    ck_assert_int_eq(changed.events, 3);
    ck_assert_int_eq(changed.bytes, (int64_t)(3 * strlen("{\"n\":1}")));
    ck_assert_int_eq(change_count(), 0);
    assert_status(append_one("loan-1", 3, "noted", NULL), STELE_OK);
    close_archive();
    ck_assert_int_eq(sql_number(archive_path(), "SELECT count(*) FROM kept_streams"), 0);
}
END_TEST

/* --- Refusals --- */

START_TEST(wrong_arguments_are_misuse)
{
    fill_stream("loan-1", 1);
    assert_status(stele_store_archive(NULL, NULL, NULL), STELE_MISUSE);
    assert_status(stele_store_archive(store, NULL, NULL), STELE_MISUSE);
    stele_archive call = asked("loan-1");
    call.struct_size = 0;
    assert_status(ask(call), STELE_MISUSE);
    assert_status(ask(asked(NULL)), STELE_MISUSE);
    assert_status(ask(asked("")), STELE_MISUSE);
    assert_status(ask(asked("$stele")), STELE_MISUSE);
    call = asked("loan-1");
    call.expected_version = STELE_NO_STREAM;
    assert_status(ask(call), STELE_MISUSE);
    call.expected_version = -3;
    assert_status(ask(call), STELE_MISUSE);
    call = asked("loan-1");
    call.reason = "\xff";
    assert_status(ask(call), STELE_MISUSE);
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 0;
    assert_status(archive_to("loan-1", archive, &work), STELE_MISUSE);
    ck_assert_int_eq(change_count(), 0);
}
END_TEST

START_TEST(reason_is_bounded)
{
    char reason[STELE_REASON_SIZE_MAX + 2];
    memset(reason, 'r', sizeof(reason));
    reason[STELE_REASON_SIZE_MAX + 1] = '\0';
    fill_stream("loan-1", 1);
    stele_archive call = asked("loan-1");
    call.reason = reason;
    assert_status(ask(call), STELE_TOO_LARGE);
    reason[STELE_REASON_SIZE_MAX] = '\0';
    assert_status(ask(call), STELE_OK);
    ck_assert_str_eq(info_of("loan-1").reason, reason);
    assert_status(restore_from("loan-1", NULL, NULL), STELE_OK);
    ck_assert_str_eq(info_of("loan-1").reason, "");
}
END_TEST

START_TEST(store_is_not_its_own_archive)
{
    fill_stream("loan-1", 1);
    assert_status(archive_to("loan-1", store, NULL), STELE_MISUSE);
    stele_store *again = open_path(store_path(), NULL);
    assert_status(archive_to("loan-1", again, NULL), STELE_MISUSE);
    stele_store_close(again);
    ck_assert_int_eq(change_count(), 0);
}
END_TEST

START_TEST(missing_and_tombstoned_streams_are_refused)
{
    assert_status(archive_here("loan-1"), STELE_NOT_FOUND);
    assert_status(archive_to("loan-1", archive, NULL), STELE_NOT_FOUND);
    fill_stream("loan-1", 1);
    assert_status(tombstone_it("loan-1"), STELE_OK);
    assert_status(archive_here("loan-1"), STELE_TOMBSTONED);
    assert_status(archive_to("loan-1", archive, NULL), STELE_TOMBSTONED);
}
END_TEST

START_TEST(stream_in_another_archive_is_archived)
{
    stele_store *second = open_path(test_path("second.db"), NULL);
    fill_stream("loan-1", 1);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(archive_to("loan-1", second, NULL), STELE_ARCHIVED);
    stele_store_close(second);
}
END_TEST

START_TEST(archive_must_be_as_safe_as_the_store)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    stele_store *relaxed = open_path(test_path("relaxed.db"), &options);
    stele_store *memory = open_path(":memory:", NULL);
    fill_stream("loan-1", 1);
    assert_status(archive_to("loan-1", relaxed, NULL), STELE_UNSUPPORTED);
    assert_status(archive_to("loan-1", memory, NULL), STELE_UNSUPPORTED);
    ck_assert_int_eq(change_count(), 0);
    stele_store_close(memory);
    stele_store_close(relaxed);
}
END_TEST

START_TEST(read_only_stores_are_refused)
{
    fill_stream("loan-1", 1);
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    stele_store *writer = store;
    stele_store *reader = open_path(archive_path(), &options);
    assert_status(archive_to("loan-1", reader, NULL), STELE_READ_ONLY);
    stele_store_close(reader);
    store = open_path(store_path(), &options);
    assert_status(archive_here("loan-1"), STELE_READ_ONLY);
    assert_status(archive_to("loan-1", archive, NULL), STELE_READ_ONLY);
    close_store();
    store = writer;
    ck_assert_int_eq(change_count(), 0);
}
END_TEST

START_TEST(closed_archive_is_closed)
{
    fill_stream("loan-1", 1);
    assert_status(stele_store_attach(store, archive), STELE_OK); /* keeps its memory */
    stele_store_close(archive);
    assert_status(archive_to("loan-1", archive, NULL), STELE_CLOSED);
    archive = NULL;
    ck_assert_int_eq(change_count(), 0);
}
END_TEST

START_TEST(locked_archive_is_busy_and_nothing_is_begun)
{
    close_archive();
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 20;
    archive = open_path(archive_path(), &options);
    fill_stream("loan-1", 1);
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 20;
    stele_work work = STELE_WORK_INIT;
    work.wait = &wait;
    stele_store *other = open_path(archive_path(), NULL);
    stele_transaction *holder = NULL;
    assert_status(stele_transaction_begin(other, &holder), STELE_OK);
    assert_status(archive_to("loan-1", archive, &work), STELE_BUSY);
    ck_assert(!changed.changed);
    stele_transaction_end(holder);
    stele_store_close(other);
    ck_assert_int_eq(info_of("loan-1").state, STELE_STREAM_ACTIVE);
    assert_status(append_one("loan-1", 1, "noted", NULL), STELE_OK);
}
END_TEST

START_TEST(inside_a_transaction_of_the_thread_it_is_misuse)
{
    fill_stream("loan-1", 1);
    stele_transaction *transaction = begin();
    assert_status(archive_here("loan-1"), STELE_MISUSE);
    assert_status(archive_to("loan-1", archive, NULL), STELE_MISUSE);
    stele_transaction_end(transaction);
    assert_status(stele_transaction_begin(archive, &transaction), STELE_OK);
    assert_status(archive_to("loan-1", archive, NULL), STELE_MISUSE);
    stele_transaction_end(transaction);
    ck_assert_int_eq(info_of("loan-1").state, STELE_STREAM_ACTIVE);
}
END_TEST

static Suite *archive_refusals_suite(void)
{
    Suite *suite = suite_create("archive_refusals");
    TCase *tests = add_lifecycle_case(suite, "refusals", open_both);
    tcase_add_test(tests, expected_version_is_compared);
    tcase_add_test(tests, dry_run_counts_and_changes_nothing);
    tcase_add_test(tests, wrong_arguments_are_misuse);
    tcase_add_test(tests, reason_is_bounded);
    tcase_add_test(tests, store_is_not_its_own_archive);
    tcase_add_test(tests, missing_and_tombstoned_streams_are_refused);
    tcase_add_test(tests, stream_in_another_archive_is_archived);
    tcase_add_test(tests, archive_must_be_as_safe_as_the_store);
    tcase_add_test(tests, read_only_stores_are_refused);
    tcase_add_test(tests, closed_archive_is_closed);
    tcase_add_test(tests, locked_archive_is_busy_and_nothing_is_begun);
    tcase_add_test(tests, inside_a_transaction_of_the_thread_it_is_misuse);
    return suite;
}

int main(void)
{
    return run_suite(archive_refusals_suite());
}
