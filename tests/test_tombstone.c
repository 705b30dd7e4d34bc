/* Tombstoning a stream. */
#include "lifecycles.h"

static stele_tombstone asked(const char *stream, const char *reason)
{
    stele_tombstone call = STELE_TOMBSTONE_INIT;
    call.stream = stream;
    call.reason = reason;
    return call;
}

static stele_status ask(stele_tombstone call)
{
    return stele_store_tombstone(store, &call, &changed);
}

START_TEST(tombstoned_stream_stays_readable_and_refuses_appends_for_ever)
{
    fill_varied("loan-1", 4);
    const char *before = tell_stream("loan-1");
    assert_status(ask(asked("loan-1", "paid back")), STELE_OK);
    ck_assert(changed.changed && changed.finished);
    ck_assert_int_eq(changed.version, 4);
    ck_assert_int_eq(changed.position, 5);
    assert_status(append_one("loan-1", STELE_ANY, "noted", NULL), STELE_TOMBSTONED);
    reopen_file();
    assert_status(append_one("loan-1", 4, "noted", NULL), STELE_TOMBSTONED);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    assert_whole(store);
}
END_TEST

static int64_t now_us;

static int64_t stopped_clock(void *context)
{
    (void)context;
    return now_us;
}

START_TEST(reason_and_time_are_part_of_the_streams_facts)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = stopped_clock;
    now_us = 1747474200000000;
    close_store();
    store = open_path(store_path(), &options);
    fill_stream("loan-1", 1);
    now_us += 1000000;
    assert_status(ask(asked("loan-1", "paid back")), STELE_OK);
    stele_stream_info info = info_of("loan-1");
    ck_assert_str_eq(info.reason, "paid back");
    ck_assert_int_eq(info.changed_at, now_us);
    ck_assert_int_eq(info.state, STELE_STREAM_TOMBSTONED);
}
END_TEST

START_TEST(second_tombstone_is_refused_and_the_first_reason_stays)
{
    fill_stream("loan-1", 1);
    assert_status(ask(asked("loan-1", "first")), STELE_OK);
    assert_status(ask(asked("loan-1", "second")), STELE_TOMBSTONED);
    ck_assert(!changed.changed);
    ck_assert_str_eq(info_of("loan-1").reason, "first");
    ck_assert_int_eq(change_count(), 1);
}
END_TEST

START_TEST(event_names_the_stream_by_its_id_without_the_reason)
{
    char expected[100];
    fill_stream("loan-1", 2);
    assert_status(ask(asked("loan-1", "secret")), STELE_OK);
    snprintf(expected, sizeof(expected),
             "stream-tombstoned {\"stream_id\":%" PRId64 ",\"version\":2}", info_of("loan-1").id);
    ck_assert_str_eq(last_change(), expected);
}
END_TEST

START_TEST(archived_and_missing_streams_are_refused)
{
    assert_status(ask(asked("loan-1", "r")), STELE_NOT_FOUND);
    fill_stream("loan-1", 1);
    assert_status(archive_here("loan-1"), STELE_OK);
    assert_status(ask(asked("loan-1", "r")), STELE_ARCHIVED);
    ck_assert_int_eq(info_of("loan-1").state, STELE_STREAM_ARCHIVED);
}
END_TEST

START_TEST(expected_version_is_compared)
{
    fill_stream("loan-1", 2);
    stele_tombstone call = asked("loan-1", "r");
    call.expected_version = 3;
    assert_status(ask(call), STELE_CONFLICT);
    ck_assert_int_eq(changed.version, 2);
    call.expected_version = 2;
    assert_status(ask(call), STELE_OK);
}
END_TEST

START_TEST(dry_run_changes_nothing)
{
    fill_stream("loan-1", 2);
    stele_tombstone call = asked("loan-1", "r");
    call.dry_run = true;
    assert_status(ask(call), STELE_OK);
    ck_assert(!changed.changed);
    ck_assert_int_eq(changed.version, 2);
    assert_status(append_one("loan-1", 2, "noted", NULL), STELE_OK);
}
END_TEST

START_TEST(reason_is_required_bounded_and_utf8)
{
    char reason[STELE_REASON_SIZE_MAX + 2];
    memset(reason, 'r', sizeof(reason));
    reason[STELE_REASON_SIZE_MAX + 1] = '\0';
    fill_stream("loan-1", 1);
    assert_status(ask(asked("loan-1", NULL)), STELE_MISUSE);
    assert_status(ask(asked("loan-1", "")), STELE_MISUSE);
    assert_status(ask(asked("loan-1", "\xc3")), STELE_MISUSE);
    assert_status(ask(asked("loan-1", reason)), STELE_TOO_LARGE);
    reason[STELE_REASON_SIZE_MAX] = '\0';
    assert_status(ask(asked("loan-1", reason)), STELE_OK);
    ck_assert_str_eq(info_of("loan-1").reason, reason);
}
END_TEST

START_TEST(wrong_arguments_are_misuse)
{
    fill_stream("loan-1", 1);
    assert_status(stele_store_tombstone(NULL, NULL, NULL), STELE_MISUSE);
    assert_status(stele_store_tombstone(store, NULL, NULL), STELE_MISUSE);
    assert_status(ask(asked("$stele", "r")), STELE_MISUSE);
    assert_status(ask(asked(NULL, "r")), STELE_MISUSE);
    stele_tombstone call = asked("loan-1", "r");
    call.struct_size = 0;
    assert_status(ask(call), STELE_MISUSE);
    stele_tombstone_init(&call);
    ck_assert_uint_eq(call.struct_size, sizeof(call));
    stele_transaction *transaction = begin();
    assert_status(ask(asked("loan-1", "r")), STELE_MISUSE);
    stele_transaction_end(transaction);
}
END_TEST

START_TEST(transaction_commits_or_forgets_it)
{
    fill_stream("loan-1", 1);
    stele_transaction *transaction = begin();
    stele_tombstone call = asked("loan-1", "r");
    assert_status(append_in(transaction, "loan-1", 1, NULL), STELE_OK);
    assert_status(stele_transaction_tombstone(transaction, &call, &changed), STELE_OK);
    ck_assert_int_eq(changed.version, 2);
    assert_status(append_in(transaction, "loan-1", 2, NULL), STELE_TOMBSTONED);
    /* A refusal writes nothing, and leaves it usable. */
    assert_status(stele_transaction_tombstone(transaction, &call, &changed), STELE_TOMBSTONED);
    assert_status(append_in(transaction, "loan-2", STELE_NO_STREAM, NULL), STELE_OK);
    if (_i == 0) {
        stele_transaction_end(transaction);
        ck_assert_int_eq(version_of("loan-1"), 1);
        assert_status(append_one("loan-1", 1, "noted", NULL), STELE_OK);
        ck_assert_int_eq(change_count(), 0);
    } else {
        commit_and_end(transaction);
        ck_assert_int_eq(version_of("loan-1"), 2);
        ck_assert_int_eq(version_of("loan-2"), 1);
        assert_status(append_one("loan-1", 2, "noted", NULL), STELE_TOMBSTONED);
    }
}
END_TEST

START_TEST(over_transaction_is_misuse_or_closed)
{
    stele_tombstone call = asked("loan-1", "r");
    assert_status(stele_transaction_tombstone(NULL, &call, NULL), STELE_MISUSE);
    fill_stream("loan-1", 1);
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    ck_assert_int_lt(stele_transaction_tombstone(transaction, &call, NULL), 0);
    stele_transaction_end(transaction);
    ck_assert_int_eq(change_count(), 0);
}
END_TEST

static int say_stop(void *context)
{
    (void)context;
    return 1;
}

START_TEST(waiting_can_be_cancelled_or_end_busy)
{
    fill_stream("loan-1", 1);
    stele_store *other = open_path(store_path(), NULL);
    stele_transaction *holder = NULL;
    assert_status(stele_transaction_begin(other, &holder), STELE_OK);
    stele_wait wait = STELE_WAIT_INIT;
    stele_tombstone call = asked("loan-1", "r");
    call.wait = &wait;
    wait.timeout_ms = 20;
    assert_status(ask(call), STELE_BUSY);
    wait.timeout_ms = 60000;
    wait.progress = say_stop;
    assert_status(ask(call), STELE_CANCELLED);
    stele_transaction_end(holder);
    stele_store_close(other);
    ck_assert_int_eq(change_count(), 0);
}
END_TEST

START_TEST(read_only_store_refuses)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    fill_stream("loan-1", 1);
    close_store();
    store = open_path(store_path(), &options);
    assert_status(ask(asked("loan-1", "r")), STELE_READ_ONLY);
}
END_TEST

static Suite *tombstone_suite(void)
{
    Suite *suite = suite_create("tombstone");
    TCase *tests = add_lifecycle_case(suite, "tombstone", open_in_file);
    tcase_add_test(tests, tombstoned_stream_stays_readable_and_refuses_appends_for_ever);
    tcase_add_test(tests, reason_and_time_are_part_of_the_streams_facts);
    tcase_add_test(tests, second_tombstone_is_refused_and_the_first_reason_stays);
    tcase_add_test(tests, event_names_the_stream_by_its_id_without_the_reason);
    tcase_add_test(tests, archived_and_missing_streams_are_refused);
    tcase_add_test(tests, expected_version_is_compared);
    tcase_add_test(tests, dry_run_changes_nothing);
    tcase_add_test(tests, reason_is_required_bounded_and_utf8);
    tcase_add_test(tests, wrong_arguments_are_misuse);
    tcase_add_loop_test(tests, transaction_commits_or_forgets_it, 0, 2);
    tcase_add_test(tests, over_transaction_is_misuse_or_closed);
    tcase_add_test(tests, waiting_can_be_cancelled_or_end_busy);
    tcase_add_test(tests, read_only_store_refuses);
    return suite;
}

int main(void)
{
    return run_suite(tombstone_suite());
}
