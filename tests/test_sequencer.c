/*
 * A store whose changes are put in order by a sequencer: which public calls go to it, and what is
 * refused because it can't. One is called by another thread (pthread).
 */
#include "account_calls.h"
#include "sequencing.h"

#include <stele/copy.h>
#include <stele/jsonl.h>
#include <stele/projection.h>
#include <stele/resume_point.h>
#include <stele/retention.h>
#include <stele/session.h>
#include <stele/snapshot.h>
#include <stele/submit.h>

/* --- Calls --- */

/* Each is checked before anything is proposed, so that a later one may be the one that is named. */
START_TEST(many_appends_are_checked_before_they_are_proposed)
{
    stele_event event = make_event("counted", "{}");
    stele_event wrong = make_event("counted", "{");
    stele_append appends[] = { make_append("a-1", 9, &event, 1),
                               make_append("b-1", STELE_ANY, &wrong, 1) };
    size_t failed = 9;
    assert_status(stele_store_append_many(store, appends, 2, NULL, &failed), STELE_INVALID);
    ck_assert_uint_eq(failed, 1);
    ck_assert_int_eq(atomic_load(&counted.calls), 0);
    assert_status(stele_store_append_many(store, appends, 1, NULL, &failed), STELE_CONFLICT);
    ck_assert_uint_eq(failed, 0);
    assert_status(stele_store_append_many(store, NULL, 0, NULL, &failed), STELE_OK);
    ck_assert_uint_eq(failed, 0);
    ck_assert_int_eq(atomic_load(&counted.calls), 1);
}
END_TEST

/* --- Submissions --- */

static int told_count;
static stele_status told_statuses[8];

static void note_verdict(void *context, const stele_verdict *verdict)
{
    (void)context;
    told_statuses[told_count++] = verdict->status;
}

START_TEST(a_submission_has_its_verdict_when_the_call_returns)
{
    stele_submit submit = STELE_SUBMIT_INIT;
    stele_ticket *ticket = NULL;
    stele_event event = make_event("counted", "{}");
    stele_append append = make_append("a-1", STELE_NO_STREAM, &event, 1);
    submit.callback = note_verdict;
    told_count = 0;
    assert_status(stele_store_submit(store, &append, &submit, NULL), STELE_OK);
    ck_assert_int_eq(told_count, 1);
    assert_status(told_statuses[0], STELE_OK);
    assert_status(stele_store_submit(store, &append, &submit, NULL), STELE_OK);
    ck_assert_int_eq(told_count, 2);
    ck_assert_int_eq(told_statuses[1], STELE_CONFLICT);

    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_OK);
    stele_ticket *done = NULL;
    assert_status(stele_store_completed(store, &done), STELE_OK);
    ck_assert_ptr_eq(done, ticket);
    assert_status(stele_store_completed(store, &done), STELE_DONE);
    stele_ticket_close(ticket);
    assert_status(stele_store_flush(store, NULL), STELE_OK);
}
END_TEST

static int chained;

static void submit_another(void *context, const stele_verdict *verdict)
{
    stele_submit submit = STELE_SUBMIT_INIT;
    stele_event event = make_event("counted", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    ck_assert_int_eq(verdict->status, STELE_OK);
    submit.callback = submit_another;
    submit.context = context;
    if (++chained < 2000)
        ck_assert_int_eq(stele_store_submit(store, &append, &submit, NULL), STELE_OK);
}

/* The stack doesn't grow with them. */
START_TEST(a_verdict_may_submit_the_next)
{
    stele_submit submit = STELE_SUBMIT_INIT;
    stele_event event = make_event("counted", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    submit.callback = submit_another;
    chained = 0;
    assert_status(stele_store_submit(store, &append, &submit, NULL), STELE_OK);
    ck_assert_int_eq(chained, 2000);
    ck_assert_int_eq(version_of("a-1"), 2000);
}
END_TEST

/* --- What goes no other way --- */

static stele_status in_transaction(stele_status (*call)(stele_transaction *transaction))
{
    stele_transaction *transaction = begin();
    stele_status status = call(transaction);
    char reason[512];
    snprintf(reason, sizeof(reason), "%s", stele_error_text());
    stele_transaction_end(transaction);
    ck_assert_msg(strstr(reason, "put in order elsewhere") != NULL, "%s", reason);
    return status;
}

static stele_status append_within(stele_transaction *transaction)
{
    return append_in(transaction, "a-1", STELE_ANY, NULL);
}

static stele_status append_many_within(stele_transaction *transaction)
{
    stele_event event = make_event("counted", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    return stele_transaction_append_many(transaction, &append, 1, NULL, NULL);
}

static stele_status put_within(stele_transaction *transaction)
{
    stele_put put = STELE_PUT_INIT;
    put.scope = put.key = "x";
    return stele_transaction_state_put(transaction, &put, NULL);
}

static stele_status remove_within(stele_transaction *transaction)
{
    stele_remove what = STELE_REMOVE_INIT;
    what.scope = "s";
    what.key = "k";
    return stele_transaction_state_delete(transaction, &what, NULL);
}

static stele_status archive_within_it(stele_transaction *transaction)
{
    stele_archive archive = STELE_ARCHIVE_INIT;
    archive.stream = "a-1";
    return stele_transaction_archive(transaction, &archive, NULL);
}

static stele_status tombstone_within(stele_transaction *transaction)
{
    stele_tombstone tombstone = STELE_TOMBSTONE_INIT;
    tombstone.stream = "a-1";
    tombstone.reason = "x";
    return stele_transaction_tombstone(transaction, &tombstone, NULL);
}

static stele_status delete_within(stele_transaction *transaction)
{
    stele_delete what = STELE_DELETE_INIT;
    what.stream = "a-1";
    return stele_transaction_delete(transaction, &what, NULL);
}

static stele_status save_point_within(stele_transaction *transaction)
{
    stele_resume_point point = STELE_RESUME_POINT_INIT;
    point.execution = "run-1";
    point.step = "collect";
    point.payload = "{}";
    point.payload_size = 2;
    return stele_transaction_resume_point_save(transaction, &point, NULL);
}

static size_t read_line(void *context, char *buffer, size_t size)
{
    static const char line[] = "{\"stream\":\"a-1\",\"type\":\"t1\",\"data\":1}\n";
    bool *read = context;
    if (*read || size < sizeof(line))
        return 0;
    *read = true;
    memcpy(buffer, line, sizeof(line) - 1);
    return sizeof(line) - 1;
}

static stele_status import_read(void *context, void *buffer, size_t size, size_t *size_out)
{
    *size_out = read_line(context, buffer, size);
    return STELE_OK;
}

static void expect_unsupported(stele_status status, const char *what)
{
    ck_assert_msg(status == STELE_UNSUPPORTED, "%s is %s: %s", what, stele_status_name(status),
                  stele_error_text());
    assert_reason_has("put in order elsewhere");
}

static void fill_before(void)
{
    stele_put put = STELE_PUT_INIT;
    put.scope = "s";
    put.key = "k";
    put.write_id = "w";
    fill_stream("a-1", 3);
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
}

START_TEST(what_would_write_without_a_frame_is_refused)
{
    stele_status (*const calls[])(stele_transaction *) = { append_within,     append_many_within,
                                                           put_within,        remove_within,
                                                           archive_within_it, tombstone_within,
                                                           delete_within,     save_point_within };
    fill_before();
    char before[17];
    snprintf(before, sizeof(before), "%s", digest_of_store(store));
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        ck_assert_msg(in_transaction(calls[i]) == STELE_UNSUPPORTED, "call %zu", i);

    bool read = false;
    stele_import import = STELE_IMPORT_INIT;
    import.read = import_read;
    import.context = &read;
    expect_unsupported(stele_store_import(store, &import, NULL), "import");
    stele_store *source = open_path(":memory:", NULL);
    assert_status(append_to(source, "a-1", STELE_ANY, "counted", NULL), STELE_OK);
    stele_copy copy = STELE_COPY_INIT;
    expect_unsupported(stele_store_copy(source, store, &copy, NULL), "copy");
    assert_status(append_to(source, "a-1", STELE_ANY, "counted", NULL), STELE_OK);
    stele_retain retain = STELE_RETAIN_INIT;
    retain.stream = "a-1";
    retain.max_count = 1;
    expect_unsupported(stele_store_retain(store, &retain, NULL), "retention");
    expect_unsupported(stele_state_clear(store, "s", NULL, NULL, NULL), "clear");
    expect_unsupported(stele_state_forget(store, INT64_MAX, NULL, NULL), "forget");
    stele_archive archive = STELE_ARCHIVE_INIT;
    archive.stream = "a-1";
    archive.to = source;
    expect_unsupported(stele_store_archive(store, &archive, NULL), "archive elsewhere");
    stele_restore restore = STELE_RESTORE_INIT;
    restore.stream = "a-1";
    restore.from = source;
    expect_unsupported(stele_store_restore(store, &restore, NULL), "restore from elsewhere");
    stele_store_close(source);

    ck_assert_str_eq(digest_of_store(store), before);
    assert_status(stele__sequencer_set(store, NULL), STELE_OK);
    ck_assert_int_eq(stele_state_clear(store, "s", NULL, NULL, NULL), STELE_OK); /* the control */
}
END_TEST

static stele_status project_nothing(void *context, const stele_record *record,
                                    const stele_projecting *projecting)
{
    (void)context;
    (void)record;
    (void)projecting;
    return STELE_OK;
}

START_TEST(what_is_of_this_file_alone_goes_on)
{
    fill_before();
    char before[17];
    snprintf(before, sizeof(before), "%s", digest_of_store(store));
    assert_status(stele_checkpoint_save(store, "reader", 2), STELE_OK);
    stele_snapshot snapshot = STELE_SNAPSHOT_INIT;
    snapshot.stream = "a-1";
    snapshot.version = 2;
    snapshot.codec = "raw";
    snapshot.data = "x";
    snapshot.data_size = 1;
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    stele_transaction *transaction = begin();
    ck_assert_int_eq(run_in(transaction, "CREATE TABLE mine(n); INSERT INTO mine VALUES(1)"),
                     SQLITE_OK);
    assert_status(stele_transaction_checkpoint_save(transaction, "reader", 3), STELE_OK);
    commit_and_end(transaction);
    stele_projection projection = STELE_PROJECTION_INIT;
    stele_projector *projector = NULL;
    projection.name = "model";
    projection.version = 1;
    projection.project = project_nothing;
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    options.stop = STELE_STOP_HEAD;
    assert_status(stele_projector_open(store, &projection, &options, &projector), STELE_OK);
    ck_assert_int_ge(stele_projector_run(projector), 0);
    stele_projector_close(projector);
    projection.name = "inline";
    ck_assert_int_eq(stele_projector_open_inline(store, &projection, NULL, &projector),
                     STELE_UNSUPPORTED);
    ck_assert_str_eq(digest_of_store(store), before);
    assert_verified(store);
}
END_TEST

/* --- Aggregates --- */

/* Those who decide by the file's lock would decide on what isn't in order yet. */
static void append_from_elsewhere(void)
{
    assert_status(append_move(store, "a-1", 1), STELE_OK);
}

static void overtake(int nth)
{
    if (nth < 5)
        on_another_thread(append_from_elsewhere);
}

START_TEST(a_command_is_never_decided_with_the_lock_held)
{
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    options.lock_after = 1;
    options.backoff_us = 0;
    open_bank();
    make_counting(store);
    assert_status(stele__sequencer_set(store, &counted.sequencer), STELE_OK);
    open_accounts_by(account_decider(), &options);
    append_moves(store, "a-1", 3);
    atomic_store(&teller.decided, 0);
    teller.in_decide = overtake;
    assert_status(move("a-1", 1), STELE_OK);
    ck_assert_int_ge(atomic_load(&teller.decided), 5);
    teller.in_decide = NULL;
    assert_verified(store);
    stele__local *local = counted.local;
    close_bank();
    stele__local_close(local);
    counted.local = NULL;
}
END_TEST

/* --- Setting it --- */

START_TEST(setting_is_refused_where_it_would_diverge)
{
    stele_store *archive = open_path(test_path("archive.db"), NULL);
    stele_transaction *transaction = begin();
    ck_assert_int_eq(stele__sequencer_set(store, NULL), STELE_MISUSE);
    stele_transaction_end(transaction);
    assert_status(stele__sequencer_set(store, &counted.sequencer), STELE_OK); /* it is already */
    assert_status(stele__sequencer_set(store, NULL), STELE_OK);
    assert_status(stele__sequencer_set(store, NULL), STELE_OK);
    fill_stream("a-1", 2);
    stele_archive moving = STELE_ARCHIVE_INIT;
    moving.stream = "a-1";
    moving.to = archive;
    assert_status(stele_store_archive(store, &moving, NULL), STELE_OK);
    ck_assert_int_eq(stele__sequencer_set(store, &counted.sequencer), STELE_UNSUPPORTED);
    assert_reason_has("in another store");
    fill_stream("b-1", 1); /* and nothing was set */
    ck_assert_int_eq(atomic_load(&counted.calls), 0);
    stele_store_close(archive);
}
END_TEST

START_TEST(what_could_not_be_written_before_does_not_come_after)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 50;
    close_store();
    stele__local_close(counted.local);
    store = open_path(store_path(), &options);
    make_counting(store);
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("s-1", STELE_ANY, &event, 1);
    stele_ticket *ticket = NULL;
    const stele_verdict *verdict = NULL;
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_OK);
    stele_store *other = open_path(store_path(), NULL);
    stele_transaction *holding = NULL;
    assert_status(stele_transaction_begin(other, &holding), STELE_OK);

    assert_status(stele__sequencer_set(store, &counted.sequencer), STELE_OK);
    stele_transaction_end(holding);
    stele_store_close(other);
    assert_status(append_to(store, "s-2", STELE_ANY, "noted", NULL), STELE_OK);
    assert_status(stele_ticket_wait(ticket, NULL, &verdict), STELE_OK);
    ck_assert_int_eq(verdict->status, STELE_UNSUPPORTED);
    stele_ticket_close(ticket);
    ck_assert_int_eq(head_of(store), 1);
    ck_assert_int_eq(version_of("s-1"), 0);
}
END_TEST

START_TEST(a_thread_with_a_transaction_proposes_nothing)
{
    stele_transaction *transaction = begin();
    ck_assert_int_eq(append_one("a-1", STELE_ANY, "counted", NULL), STELE_MISUSE);
    assert_reason_has("this thread has a transaction open");
    ck_assert_int_eq(atomic_load(&counted.calls), 0);
    stele_transaction_end(transaction);
    assert_status(append_one("a-1", STELE_ANY, "counted", NULL), STELE_OK);
}
END_TEST

static Suite *sequencer_suite(void)
{
    Suite *suite = suite_create("sequencer");
    TCase *tests = add_sequenced_case(suite, "calls", open_sequenced);
    tcase_add_test(tests, many_appends_are_checked_before_they_are_proposed);
    tcase_add_test(tests, a_submission_has_its_verdict_when_the_call_returns);
    tcase_add_test(tests, a_verdict_may_submit_the_next);
    tcase_add_test(tests, what_would_write_without_a_frame_is_refused);
    tcase_add_test(tests, what_is_of_this_file_alone_goes_on);
    tcase_add_test(tests, what_could_not_be_written_before_does_not_come_after);
    tcase_add_test(tests, a_thread_with_a_transaction_proposes_nothing);
    tcase_add_test(tests, setting_is_refused_where_it_would_diverge);

    tests = tcase_create("aggregates");
    tcase_add_checked_fixture(tests, NULL, remove_test_folder);
    tcase_add_test(tests, a_command_is_never_decided_with_the_lock_held);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(sequencer_suite());
}
