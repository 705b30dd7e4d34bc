/* Submissions and their tickets, sentence by sentence. See also test_submit_*.c. */
#include "held_disk.h"

#include <poll.h>
#include <pthread.h>

static stele_status submit_to(stele_store *target, const char *stream, stele_ticket **ticket_out)
{
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append(stream, STELE_ANY, &event, 1);
    return stele_store_submit(target, &append, NULL, ticket_out);
}

static stele_wait wait_of(uint32_t timeout_ms)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = timeout_ms;
    return wait;
}

static int say_stop(void *context)
{
    ++*(int *)context;
    return 1;
}

static void never_told(void *context, const stele_verdict *verdict)
{
    (void)verdict;
    ++*(int *)context;
}

/* --- Submitting --- */

START_TEST(submission_is_stored_when_somebody_writes_and_its_ticket_says_where)
{
    stele_ticket *ticket = submit_one("account-1", STELE_NO_STREAM, NULL);
    ck_assert_int_eq(head_of(store), 0);
    assert_status(look_at(ticket), STELE_TIMED_OUT);
    ck_assert_int_eq(head_of(store), 0); /* looking commits nothing */

    stele_appended appended = expect_verdict(ticket, STELE_OK);

    ck_assert_int_eq(appended.first_position, 1);
    ck_assert_int_eq(appended.last_position, 1);
    ck_assert_int_eq(appended.stream_version, 1);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

START_TEST(append_of_anybody_commits_what_was_submitted)
{
    stele_ticket *ticket = submit_one("account-1", STELE_ANY, NULL);

    assert_status(append_one("account-2", STELE_ANY, "noted", NULL), STELE_OK);

    assert_status(look_at(ticket), STELE_OK);
    ck_assert_uint_eq(describe_store().commits, 1);
    stele_ticket_close(ticket);
}
END_TEST

START_TEST(transactions_and_append_many_take_nothing_along_and_come_before_what_waits)
{
    stele_ticket *ticket = submit_one("account-1", STELE_ANY, NULL);
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("account-2", STELE_ANY, &event, 1);
    assert_status(stele_store_append_many(store, &append, 1, NULL, NULL), STELE_OK);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-3", STELE_ANY, NULL), STELE_OK);
    commit_and_end(transaction);

    assert_status(look_at(ticket), STELE_TIMED_OUT);
    ck_assert_int_eq(head_of(store), 2);

    ck_assert_int_eq(expect_verdict(ticket, STELE_OK).last_position, 3);
}
END_TEST

START_TEST(init_function_and_macro_say_the_same_and_null_means_them)
{
    stele_submit by_macro = STELE_SUBMIT_INIT;
    stele_submit by_function;
    memset(&by_function, 0xff, sizeof(by_function));
    stele_submit_init(&by_function);
    ck_assert_uint_eq(by_function.struct_size, by_macro.struct_size);
    ck_assert(by_function.callback == NULL);
    ck_assert_ptr_null(by_function.context);
    stele_ticket *ticket = submit_one("account-1", STELE_ANY, NULL);

    ck_assert_ptr_null(stele_ticket_context(ticket));

    stele_ticket_close(ticket);
}
END_TEST

START_TEST(submission_has_either_a_callback_or_a_ticket)
{
    int told = 0;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    stele_submit submit = STELE_SUBMIT_INIT;
    stele_ticket *ticket = (stele_ticket *)&told;
    submit.context = &told;
    assert_status(stele_store_submit(store, &append, &submit, NULL), STELE_MISUSE);
    assert_status(stele_store_submit(store, &append, NULL, NULL), STELE_MISUSE);
    submit.callback = never_told;

    assert_status(stele_store_submit(store, &append, &submit, &ticket), STELE_MISUSE);

    ck_assert_ptr_null(ticket);
    flush_all();
    ck_assert_int_eq(told, 0);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

START_TEST(what_can_be_told_without_the_file_is_told_at_once_and_no_verdict_comes)
{
    stele_ticket *ticket = (stele_ticket *)&ticket;
    stele_event event = make_event("noted", "{");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_INVALID);
    ck_assert_ptr_null(ticket);
    event = make_event("noted", "{}");
    event.data_size = 2000000;
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_TOO_LARGE);
    event = make_event("noted", "{}");
    append.stream = "";
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_MISUSE);
    append.stream = "account-1";
    append.struct_size = 0;
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_MISUSE);
    assert_status(stele_store_submit(store, NULL, NULL, &ticket), STELE_MISUSE);
    append = make_append("account-1", STELE_ANY, &event, 1);
    stele_submit submit = { 0 };
    assert_status(stele_store_submit(store, &append, &submit, &ticket), STELE_MISUSE);
    assert_status(stele_store_submit(NULL, &append, NULL, &ticket), STELE_MISUSE);
    stele_wait wait = { 0 };
    append.wait = &wait;
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_MISUSE);
    ck_assert_ptr_null(ticket);

    flush_all();

    ck_assert_uint_eq(describe_store().appends_waiting, 0);
    assert_status(stele_store_completed(store, &ticket), STELE_DONE);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

START_TEST(store_for_reading_takes_no_submission_and_has_none_to_give)
{
    close_store();
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    options.committer = true;
    store = open_path(store_path(), &options);
    stele_ticket *ticket = NULL;

    assert_status(submit_to(store, "account-1", &ticket), STELE_READ_ONLY);

    ck_assert_ptr_null(ticket);
    flush_all();
    assert_status(stele_store_completed(store, &ticket), STELE_DONE);
}
END_TEST

/* The payloads as well, and whatever the caller's structs are used for next. */
START_TEST(submission_keeps_its_own_copy_of_everything)
{
    char stream[] = "account-1", type[] = "noted", codec[] = "json", key[] = "attempt-1";
    char data[] = "{\"n\":1}", metadata[] = "{\"by\":\"me\"}", other[] = "account-9";
    stele_event event = { .type = type,
                          .codec = codec,
                          .schema_version = 3,
                          .data = data,
                          .data_size = sizeof(data) - 1,
                          .metadata = metadata,
                          .metadata_size = sizeof(metadata) - 1 };
    stele_condition condition = { .kind = STELE_CONDITION_STREAM_VERSION,
                                  .stream = other,
                                  .expected_version = 1 };
    assert_status(append_one("account-9", STELE_NO_STREAM, "noted", NULL), STELE_OK);
    stele_append append = make_append(stream, STELE_NO_STREAM, &event, 1);
    append.idempotency_key = key;
    append.conditions = &condition;
    append.condition_count = 1;
    append.condition_size = sizeof(condition);
    stele_ticket *ticket = NULL;
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_OK);

    memset(stream, 'X', sizeof(stream) - 1);
    memset(type, 'X', sizeof(type) - 1);
    memset(codec, 'X', sizeof(codec) - 1);
    memset(key, 'X', sizeof(key) - 1);
    memset(data, 'X', sizeof(data));
    memset(metadata, 'X', sizeof(metadata));
    memset(other, 'X', sizeof(other) - 1);
    memset(&event, 0xff, sizeof(event));
    memset(&condition, 0xff, sizeof(condition));
    memset(&append, 0xff, sizeof(append));

    expect_verdict(ticket, STELE_OK);
    stele_cursor *cursor = NULL;
    const stele_record *record = read_only_record("account-1", &cursor);
    ck_assert_str_eq(record->type, "noted");
    ck_assert_str_eq(record->codec, "json");
    ck_assert_int_eq(record->schema_version, 3);
    ck_assert_uint_eq(record->data_size, 7);
    ck_assert_mem_eq(record->data, "{\"n\":1}", 7);
    ck_assert_mem_eq(record->metadata, "{\"by\":\"me\"}", 11);
    stele_cursor_close(cursor);
    stele_ticket *again = submit_one("account-1", STELE_ANY, "attempt-1");
    expect_verdict(again, STELE_KEY_REUSED);
}
END_TEST

START_TEST(retry_with_the_same_key_is_a_duplicate_whichever_way_it_comes)
{
    stele_appended first = expect_verdict(submit_one("account-1", 0, "attempt"), STELE_OK);

    stele_appended again = expect_verdict(submit_one("account-1", 0, "attempt"), STELE_OK);

    ck_assert(!first.duplicate && again.duplicate);
    ck_assert_int_eq(again.last_position, first.last_position);
    stele_event event = { .type = "noted", .codec = "raw", .data = "xxxxxxxxxx", .data_size = 10 };
    stele_append append = make_append("account-1", 0, &event, 1);
    append.idempotency_key = "attempt";
    assert_status(stele_store_append(store, &append, &again), STELE_OK);
    ck_assert(again.duplicate);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

/* --- Waiting --- */

START_TEST(waiting_ends_with_its_timeout_or_its_progress_and_takes_nothing_back)
{
    const stele_verdict *verdict = (const stele_verdict *)&verdict;
    stele_ticket *ticket = submit_one("account-1", STELE_ANY, NULL);
    sqlite3 *other = open_raw(store_path());
    run_raw(other, "BEGIN IMMEDIATE");
    stele_wait wait = wait_of(30);
    assert_status(stele_ticket_wait(ticket, &wait, &verdict), STELE_TIMED_OUT);
    ck_assert_ptr_null(verdict);
    assert_status(stele_store_flush(store, &wait), STELE_TIMED_OUT);
    int asked = 0;
    wait = wait_of(STELE_TIMEOUT_DEFAULT);
    wait.progress = say_stop;
    wait.context = &asked;
    assert_status(stele_ticket_wait(ticket, &wait, &verdict), STELE_CANCELLED);
    assert_status(stele_store_flush(store, &wait), STELE_CANCELLED);
    ck_assert_int_eq(asked, 2);
    ck_assert_uint_eq(describe_store().appends_waiting, 1);

    run_raw(other, "ROLLBACK");
    sqlite3_close(other);

    ck_assert_int_eq(expect_verdict(ticket, STELE_OK).last_position, 1);
}
END_TEST

/* While another thread is at it: an event loop's 10 ms must not become a disk's second. */
START_TEST(waiting_for_what_another_thread_commits_ends_with_the_timeout)
{
    appender first = { .stream = "first" };
    stele_ticket *ticket = submit_one("account-1", STELE_ANY, NULL);
    hold_syncs();
    start_appender(&first); /* takes the submission along */
    wait_for_held_sync();
    const stele_verdict *verdict = NULL;
    stele_wait wait = wait_of(20);
    int asked = 0;

    assert_status(stele_ticket_wait(ticket, &wait, &verdict), STELE_TIMED_OUT);
    wait = wait_of(STELE_TIMEOUT_DEFAULT);
    wait.progress = say_stop;
    wait.context = &asked;
    assert_status(stele_ticket_wait(ticket, &wait, &verdict), STELE_CANCELLED);

    release_syncs();
    expect_verdict(ticket, STELE_OK);
    pthread_join(first.thread, NULL);
}
END_TEST

START_TEST(nulls_are_misuse_and_closing_null_is_allowed)
{
    const stele_verdict *verdict = (const stele_verdict *)&verdict;
    stele_ticket *ticket = submit_one("account-1", STELE_ANY, NULL);
    stele_wait wrong = { 0 };
    assert_status(stele_ticket_wait(NULL, NULL, &verdict), STELE_MISUSE);
    ck_assert_ptr_null(verdict);
    assert_status(stele_ticket_wait(ticket, NULL, NULL), STELE_MISUSE);
    assert_status(stele_ticket_wait(ticket, &wrong, &verdict), STELE_MISUSE);
    assert_status(stele_store_completed(store, NULL), STELE_MISUSE);
    assert_status(stele_store_completion_fd(store, NULL), STELE_MISUSE);
    assert_status(stele_store_flush(store, &wrong), STELE_MISUSE);
    stele_ticket *none = ticket;
    int fd = 99;
    assert_status(stele_store_completed(NULL, &none), STELE_MISUSE);
    ck_assert_ptr_null(none);
    assert_status(stele_store_completion_fd(NULL, &fd), STELE_MISUSE);
    ck_assert_int_eq(fd, -1);
    assert_status(stele_store_flush(NULL, NULL), STELE_MISUSE);
    ck_assert_ptr_null(stele_ticket_context(NULL));
    stele_ticket_close(NULL);

    expect_verdict(ticket, STELE_OK);
}
END_TEST

START_TEST(verdict_stays_until_the_ticket_is_closed_and_can_be_asked_for_again)
{
    stele_ticket *ticket = submit_one("account-1", 7, NULL);
    const stele_verdict *verdict = verdict_of(ticket);
    ck_assert_int_eq(verdict->status, STELE_CONFLICT);
    assert_status(append_one("account-1", STELE_ANY, "noted", NULL), STELE_OK);

    ck_assert_ptr_eq(verdict_of(ticket), verdict);

    ck_assert_str_eq(verdict->error, "stream 'account-1' is at version 0, expected 7");
    ck_assert_int_eq(verdict->appended.stream_version, 0);
    stele_ticket_close(ticket);
}
END_TEST

START_TEST(ticket_closed_before_the_verdict_is_stored_all_the_same)
{
    stele_ticket_close(submit_one("account-1", STELE_ANY, NULL));
    stele_ticket_close(submit_one("account-1", 9, NULL));
    flush_all();
    ck_assert_int_eq(head_of(store), 1);
    stele_ticket *ticket = NULL;
    assert_status(stele_store_completed(store, &ticket), STELE_DONE);

    stele_ticket_close(submit_one("account-1", STELE_ANY, NULL));
    close_store();

    open_in_file();
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

typedef struct ticket_waiter {
    pthread_t thread;
    stele_ticket *ticket;
    stele_status status;
    stele_status verdict;
    atomic_bool started;
} ticket_waiter;

static int note_started(void *context)
{
    atomic_store(&((ticket_waiter *)context)->started, true);
    return 0;
}

static void *wait_and_note(void *context)
{
    ticket_waiter *self = context;
    const stele_verdict *verdict = NULL;
    stele_wait wait = STELE_WAIT_INIT;
    wait.progress = note_started;
    wait.context = self;
    self->status = stele_ticket_wait(self->ticket, &wait, &verdict);
    self->verdict = verdict == NULL ? STELE_MISUSE : verdict->status;
    return NULL;
}

START_TEST(several_threads_wait_for_a_ticket_each)
{
    enum { WAITERS = 8 };
    ticket_waiter waiters[WAITERS] = { 0 };
    for (int i = 0; i < WAITERS; i++)
        waiters[i].ticket = submit_one("account-1", i % 2 == 0 ? STELE_ANY : 100, NULL);
    for (int i = 0; i < WAITERS; i++)
        pthread_create(&waiters[i].thread, NULL, wait_and_note, &waiters[i]);
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_status(waiters[i].status, STELE_OK);
        assert_status(waiters[i].verdict, i % 2 == 0 ? STELE_OK : STELE_CONFLICT);
        stele_ticket_close(waiters[i].ticket);
    }
    ck_assert_int_eq(head_of(store), WAITERS / 2);
}
END_TEST

/* --- The completed --- */

static bool is_readable(int fd)
{
    struct pollfd wanted = { .fd = fd, .events = POLLIN };
    return poll(&wanted, 1, 0) == 1;
}

START_TEST(completed_hands_out_each_ticket_once_in_the_order_of_the_verdicts)
{
    stele_ticket *tickets[4];
    stele_ticket *ticket = NULL;
    for (int i = 0; i < 4; i++)
        tickets[i] = submit_one("account-1", STELE_ANY, NULL);
    assert_status(stele_store_completed(store, &ticket), STELE_DONE);
    ck_assert_ptr_null(ticket);
    verdict_of(tickets[1]); /* waited for: not for completed() */

    for (int i = 0; i < 4; i++) {
        if (i == 1)
            continue;
        assert_status(stele_store_completed(store, &ticket), STELE_OK);
        ck_assert_ptr_eq(ticket, tickets[i]);
        ck_assert_int_eq(verdict_of(ticket)->appended.last_position, i + 1);
    }
    assert_status(stele_store_completed(store, &ticket), STELE_DONE);
    for (int i = 0; i < 4; i++)
        stele_ticket_close(tickets[i]);
    assert_status(stele_store_completed(store, &ticket), STELE_DONE);
}
END_TEST

START_TEST(ticket_that_was_waited_for_in_vain_is_among_the_completed_later)
{
    stele_ticket *ticket = submit_one("account-1", STELE_ANY, NULL);
    stele_ticket *completed = NULL;
    assert_status(look_at(ticket), STELE_TIMED_OUT);
    flush_all();

    assert_status(stele_store_completed(store, &completed), STELE_OK);

    ck_assert_ptr_eq(completed, ticket);
    stele_ticket_close(ticket);
}
END_TEST

START_TEST(descriptor_is_readable_exactly_while_completed_has_a_ticket_to_give)
{
    int fd = -1;
    int again = -1;
    stele_ticket *ticket = NULL;
    stele_ticket *early = submit_one("account-1", STELE_ANY, NULL);
    flush_all();
    assert_status(stele_store_completion_fd(store, &fd), STELE_OK);
    ck_assert(is_readable(fd)); /* asked for when there was one already */
    assert_status(stele_store_completion_fd(store, &again), STELE_OK);
    ck_assert_int_eq(again, fd);
    stele_ticket_close(early); /* nobody can have it any more */
    ck_assert(!is_readable(fd));

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++)
            submit_one("account-1", STELE_ANY, NULL);
        ck_assert(!is_readable(fd));
        flush_all();
        for (int i = 0; i < 3; i++) {
            ck_assert(is_readable(fd));
            assert_status(stele_store_completed(store, &ticket), STELE_OK);
            stele_ticket_close(ticket);
        }
        ck_assert(!is_readable(fd));
    }
    ticket = submit_one("account-1", STELE_ANY, NULL);
    flush_all();
    ck_assert(is_readable(fd));
    assert_status(look_at(ticket), STELE_OK); /* waited for after all */
    ck_assert(!is_readable(fd));
    stele_ticket_close(ticket);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("submit");
    TCase *held = tcase_create("held");
    tcase_add_checked_fixture(held, open_on_held_disk, close_held_disk);
    suite_add_tcase(suite, held);
    tcase_add_test(held, waiting_for_what_another_thread_commits_ends_with_the_timeout);
    TCase *file = add_case(suite, "file", open_in_file);
    tcase_add_test(file, submission_is_stored_when_somebody_writes_and_its_ticket_says_where);
    tcase_add_test(file, append_of_anybody_commits_what_was_submitted);
    tcase_add_test(file,
                   transactions_and_append_many_take_nothing_along_and_come_before_what_waits);
    tcase_add_test(file, init_function_and_macro_say_the_same_and_null_means_them);
    tcase_add_test(file, submission_has_either_a_callback_or_a_ticket);
    tcase_add_test(file, what_can_be_told_without_the_file_is_told_at_once_and_no_verdict_comes);
    tcase_add_test(file, store_for_reading_takes_no_submission_and_has_none_to_give);
    tcase_add_test(file, submission_keeps_its_own_copy_of_everything);
    tcase_add_test(file, retry_with_the_same_key_is_a_duplicate_whichever_way_it_comes);
    tcase_add_test(file, waiting_ends_with_its_timeout_or_its_progress_and_takes_nothing_back);
    tcase_add_test(file, nulls_are_misuse_and_closing_null_is_allowed);
    tcase_add_test(file, verdict_stays_until_the_ticket_is_closed_and_can_be_asked_for_again);
    tcase_add_test(file, ticket_closed_before_the_verdict_is_stored_all_the_same);
    tcase_add_test(file, several_threads_wait_for_a_ticket_each);
    tcase_add_test(file, completed_hands_out_each_ticket_once_in_the_order_of_the_verdicts);
    tcase_add_test(file, ticket_that_was_waited_for_in_vain_is_among_the_completed_later);
    tcase_add_test(file, descriptor_is_readable_exactly_while_completed_has_a_ticket_to_give);
    return run_suite(suite);
}
