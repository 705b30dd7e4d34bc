/* Submissions when the store closes, when the file can't be had, after fork(); and the committer.
 */
#include "held_disk.h"
#include "running_threads.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

static void count_ok(void *context, const stele_verdict *verdict)
{
    atomic_fetch_add((atomic_int *)context, verdict->status == STELE_OK ? 1 : 1000);
}

static stele_status submit_callback(stele_verdict_function callback, void *context)
{
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("called", STELE_ANY, &event, 1);
    stele_submit submit = STELE_SUBMIT_INIT;
    submit.callback = callback;
    submit.context = context;
    return stele_store_submit(store, &append, &submit, NULL);
}

static void reopen_with(const stele_options *options)
{
    close_store();
    store = open_path(store_path(), options);
}

/* --- Closing --- */

static void *close_on_a_thread(void *context)
{
    stele_store_close(store);
    atomic_store((atomic_bool *)context, true);
    return NULL;
}

/* Start to close on another thread, and go on when every new call is refused. */
static pthread_t begin_to_close(atomic_bool *closed)
{
    pthread_t closer;
    int64_t head = 0;
    atomic_store(closed, false);
    ck_assert_int_eq(pthread_create(&closer, NULL, close_on_a_thread, closed), 0);
    while (stele_store_head(store, &head) != STELE_CLOSED)
        pause_us(200);
    return closer;
}

static void finish_closing(pthread_t closer)
{
    pthread_join(closer, NULL);
    store = NULL;
}

START_TEST(closing_commits_all_that_was_submitted_and_tells_each_verdict_first)
{
    enum { COUNT = 700 };
    static stele_ticket *tickets[COUNT];
    atomic_int told = 0;
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = _i == 1;
    reopen_with(&options);
    for (int i = 0; i < COUNT; i++) {
        tickets[i] = submit_one("account-1", i == COUNT - 1 ? 5 : STELE_ANY, NULL);
        if (i % 10 == 0)
            assert_status(submit_callback(count_ok, &told), STELE_OK);
    }

    close_store();

    ck_assert_int_eq(atomic_load(&told), COUNT / 10);
    for (int i = 0; i < COUNT; i++) { /* also after the store was closed */
        assert_status(look_at(tickets[i]), STELE_OK);
        stele_appended appended =
            expect_verdict(tickets[i], i == COUNT - 1 ? STELE_CONFLICT : STELE_OK);
        ck_assert_int_eq(appended.stream_version, i == COUNT - 1 ? COUNT - 1 : i + 1);
    }
    open_in_file();
    ck_assert_int_eq(head_of(store), COUNT - 1 + COUNT / 10);
}
END_TEST

typedef struct ticket_waiter {
    pthread_t thread;
    stele_ticket *ticket;
    stele_status status;
    stele_status verdict;
    atomic_bool waits;
    atomic_bool over;
} ticket_waiter;

static int note_wait(void *context)
{
    atomic_store(&((ticket_waiter *)context)->waits, true);
    return 0;
}

static void *wait_and_note(void *context)
{
    ticket_waiter *self = context;
    const stele_verdict *verdict = NULL;
    stele_wait wait = STELE_WAIT_INIT;
    wait.progress = note_wait;
    wait.context = self;
    self->status = self->ticket == NULL ? stele_store_flush(store, &wait)
                                        : stele_ticket_wait(self->ticket, &wait, &verdict);
    self->verdict = verdict == NULL ? self->status : verdict->status;
    atomic_store(&self->over, true);
    return NULL;
}

static void start_waiter(ticket_waiter *waiter, stele_ticket *ticket)
{
    waiter->ticket = ticket;
    ck_assert_int_eq(pthread_create(&waiter->thread, NULL, wait_and_note, waiter), 0);
    wait_until(&waiter->waits);
}

/* Queued behind a commit that takes its time. */
START_TEST(thread_that_waits_for_a_ticket_gets_its_verdict_although_the_store_closes)
{
    appender first = { .stream = "first" };
    ticket_waiter waiters[3] = { 0 };
    atomic_bool closed;
    hold_syncs();
    start_appender(&first);
    wait_for_held_sync();
    stele_ticket *tickets[2] = { submit_one("account-1", STELE_ANY, NULL),
                                 submit_one("account-1", 9, NULL) };
    start_waiter(&waiters[0], tickets[0]);
    start_waiter(&waiters[1], tickets[1]);
    start_waiter(&waiters[2], NULL); /* flushes */

    pthread_t closer = begin_to_close(&closed);
    wait_until(&waiters[2].over); /* told while it can't have been done */
    pause_us(20000);
    ck_assert(!atomic_load(&closed));
    release_syncs();
    pthread_join(first.thread, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(waiters[i].thread, NULL);
    finish_closing(closer);

    assert_appender(first, STELE_OK);
    assert_status(waiters[0].status, STELE_OK);
    assert_status(waiters[0].verdict, STELE_OK);
    assert_status(waiters[1].verdict, STELE_CONFLICT);
    assert_status(waiters[2].status, STELE_CLOSED);
    stele_ticket_close(tickets[0]);
    stele_ticket_close(tickets[1]);
    open_in_file();
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

/* The thread leads, and waits for another process: its end must not become everybody's verdict. */
START_TEST(closing_while_somebody_waits_for_the_file_still_commits_what_was_submitted)
{
    ticket_waiter waiter = { 0 };
    atomic_bool closed;
    stele_ticket *tickets[2] = { submit_one("account-1", STELE_ANY, NULL),
                                 submit_one("account-1", STELE_ANY, NULL) };
    sqlite3 *other = open_raw(store_path());
    run_raw(other, "BEGIN IMMEDIATE");
    start_waiter(&waiter, _i == 0 ? tickets[0] : NULL);

    pthread_t closer = begin_to_close(&closed);
    if (_i == 1) /* who flushes is told so, and not that it is done */
        wait_until(&waiter.over);
    pause_us(20000);
    run_raw(other, "ROLLBACK");
    sqlite3_close(other);
    pthread_join(waiter.thread, NULL);
    finish_closing(closer);

    assert_status(waiter.status, _i == 0 ? STELE_OK : STELE_CLOSED);
    expect_verdict(tickets[0], STELE_OK);
    expect_verdict(tickets[1], STELE_OK);
    open_in_file();
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

/* The maintenance thread has the turn, and the writer's connection with it, until it is done. */
START_TEST(closing_while_the_wal_is_moved_still_commits_what_was_submitted)
{
    atomic_bool closed;
    stele_options options = STELE_OPTIONS_INIT;
    options.maintenance = true;
    options.wal_soft_pages = 1;
    reopen_with(&options);
    hold_transfers();
    assert_status(append_one("first", STELE_ANY, "noted", NULL), STELE_OK);
    wait_for_held_transfer();
    stele_ticket *ticket = submit_one("account-1", STELE_ANY, NULL);

    pthread_t closer = begin_to_close(&closed);
    pause_us(50000);
    mend_disk();
    finish_closing(closer);

    expect_verdict(ticket, STELE_OK);
}
END_TEST

static atomic_bool gate_open;
static atomic_bool at_gate;
static stele_ticket *later;
static stele_status answers[4];

/* What it finds in a store that closes: calls end with CLOSED, but each ticket has its verdict. */
static void call_while_closing(void *context, const stele_verdict *verdict)
{
    const stele_verdict *found = NULL;
    atomic_int *told = context;
    atomic_store(&at_gate, true);
    wait_until(&gate_open);
    answers[0] = verdict->status;
    answers[1] = append_to(store, "more", STELE_ANY, "noted", NULL);
    answers[2] = stele_store_flush(store, NULL);
    answers[3] = stele_ticket_wait(later, NULL, &found);
    if (found != NULL)
        answers[3] = found->status;
    atomic_fetch_add(told, 1);
}

/* The callback runs in the closing itself (0), or on the committer, which closing waits for (1). */
START_TEST(callback_in_a_closing_store_can_wait_for_a_ticket_and_all_else_is_closed)
{
    atomic_int told = 0;
    atomic_bool closed;
    stele_options options = STELE_OPTIONS_INIT;
    options.group_count_max = 1; /* so that the ticket is in a later group */
    options.committer = _i == 1;
    reopen_with(&options);
    atomic_store(&gate_open, false);
    atomic_store(&at_gate, false);
    assert_status(submit_callback(call_while_closing, &told), STELE_OK);
    if (_i == 1)
        wait_until(&at_gate);
    later = submit_one("account-1", STELE_ANY, NULL);

    pthread_t closer = begin_to_close(&closed);
    wait_until(&at_gate);
    ck_assert(!atomic_load(&closed));
    atomic_store(&gate_open, true);
    finish_closing(closer);

    ck_assert_int_eq(atomic_load(&told), 1);
    assert_status(answers[0], STELE_OK);
    assert_status(answers[1], STELE_CLOSED);
    assert_status(answers[2], STELE_CLOSED);
    assert_status(answers[3], STELE_OK);
    stele_ticket_close(later);
}
END_TEST

START_TEST(calls_on_a_store_that_closes_answer_closed)
{
    appender first = { .stream = "first" };
    atomic_bool closed;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    stele_ticket *ticket = (stele_ticket *)&append;
    int fd = 99;
    hold_syncs();
    start_appender(&first);
    wait_for_held_sync();
    pthread_t closer = begin_to_close(&closed);

    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_CLOSED);
    ck_assert_ptr_null(ticket);
    assert_status(stele_store_flush(store, NULL), STELE_CLOSED);
    assert_status(stele_store_completed(store, &ticket), STELE_CLOSED);
    assert_status(stele_store_completion_fd(store, &fd), STELE_CLOSED);
    ck_assert_int_eq(fd, -1);

    release_syncs();
    pthread_join(first.thread, NULL);
    finish_closing(closer);
    assert_appender(first, STELE_OK);
}
END_TEST

static void *submit_until_closed(void *context)
{
    int64_t *count = context;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    for (;;) {
        stele_ticket *ticket = NULL;
        if (stele_store_submit(store, &append, NULL, &ticket) != STELE_OK)
            return NULL;
        stele_ticket_close(ticket);
        ++*count;
    }
}

/* In whatever state it meets them: none that was taken is lost, none that was refused is stored. */
START_TEST(closing_in_mid_use_loses_nothing_that_was_taken)
{
    enum { THREADS = 4 };
    for (int round = 0; round < 6; round++) {
        pthread_t threads[THREADS];
        int64_t counts[THREADS] = { 0 };
        atomic_bool closed;
        int64_t before = head_of(store);
        stele_options options = STELE_OPTIONS_INIT;
        options.committer = round % 2 == 0;
        options.submit_count_max = 16;
        reopen_with(&options);
        /* An open ticket keeps the handle, so that late calls find it closed instead of gone. */
        stele_ticket *keeper = submit_one("account-1", STELE_ANY, NULL);
        for (int i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, submit_until_closed, &counts[i]);
        pause_us(10000);

        pthread_t closer = begin_to_close(&closed);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        finish_closing(closer);
        expect_verdict(keeper, STELE_OK);

        open_in_file();
        ck_assert_int_eq(head_of(store),
                         before + 1 + counts[0] + counts[1] + counts[2] + counts[3]);
    }
}
END_TEST

/* --- When the file can't be had --- */

START_TEST(lock_of_another_process_keeps_submissions_waiting_and_is_the_verdict_at_close)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 30;
    reopen_with(&options);
    stele_ticket *ticket = submit_one("account-1", STELE_ANY, NULL);
    sqlite3 *other = open_raw(store_path());
    run_raw(other, "BEGIN IMMEDIATE");

    assert_status(append_one("account-2", STELE_ANY, "noted", NULL), STELE_BUSY);
    assert_status(look_at(ticket), STELE_TIMED_OUT); /* that was the append's own impatience */
    close_store();

    expect_verdict(ticket, STELE_BUSY);
    run_raw(other, "ROLLBACK");
    sqlite3_close(other);
    open_in_file();
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

START_TEST(committer_tells_busy_when_another_process_keeps_the_lock)
{
    atomic_int told = 0;
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 30;
    options.committer = true;
    reopen_with(&options);
    sqlite3 *other = open_raw(store_path());
    run_raw(other, "BEGIN IMMEDIATE");
    stele_ticket *ticket = submit_one("account-1", STELE_ANY, NULL);
    assert_status(submit_callback(count_ok, &told), STELE_OK);

    /* Waiting without an end would take the turn, and wait for that process without an end. */
    while (look_at(ticket) == STELE_TIMED_OUT || atomic_load(&told) == 0)
        pause_us(1000);
    expect_verdict(ticket, STELE_BUSY);
    ck_assert_int_eq(atomic_load(&told), 1000);

    run_raw(other, "ROLLBACK");
    sqlite3_close(other);
    expect_verdict(submit_one("account-1", STELE_NO_STREAM, NULL), STELE_OK);
}
END_TEST

START_TEST(full_disk_is_a_verdict_and_the_committer_goes_on)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = true;
    reopen_with(&options);
    fail_writes(1000, SQLITE_FULL);
    stele_ticket *tickets[3];
    for (int i = 0; i < 3; i++)
        tickets[i] = submit_one("account-1", STELE_NO_STREAM, NULL);
    for (int i = 0; i < 3; i++)
        expect_verdict(tickets[i], STELE_FULL);

    mend_disk();

    expect_verdict(submit_one("account-1", STELE_NO_STREAM, NULL), STELE_OK);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

/* --- The committer's thread --- */

/* Threads of this process called `name`; `*mask_out` is what the last one blocks. */
static int count_threads(const char *name, uint64_t *mask_out)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        char path[300], line[256], found[64] = "";
        uint64_t mask = 0;
        if (is_ending(entry->d_name))
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
        FILE *status = fopen(path, "r");
        while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
            if (strncmp(line, "Name:\t", 6) == 0)
                snprintf(found, sizeof(found), "%.*s", (int)strcspn(line + 6, "\n"), line + 6);
            else if (strncmp(line, "SigBlk:\t", 8) == 0)
                mask = strtoull(line + 8, NULL, 16);
        }
        if (status != NULL)
            fclose(status);
        if (strcmp(found, name) == 0) {
            count++;
            *mask_out = mask;
        }
    }
    if (tasks != NULL)
        closedir(tasks);
    return count;
}

START_TEST(committer_has_a_name_and_blocks_all_signals_and_ends_with_the_store)
{
    uint64_t mask = 0;
    int before = count_running_threads();
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = true;
    reopen_with(&options);
    for (int tries = 0; tries < 10000 && count_threads("stele-commit", &mask) == 0; tries++)
        pause_us(1000); /* it is named by its creator, after it began */
    ck_assert_int_eq(count_threads("stele-commit", &mask), 1);
    for (int number = 1; number < 32; number++)
        if (number != SIGKILL && number != SIGSTOP)
            ck_assert_msg((mask >> (number - 1) & 1) != 0, "signal %d is let in", number);
    ck_assert_int_eq(count_running_threads(), before + 1);

    close_store();

    ck_assert_int_eq(count_threads("stele-commit", &mask), 0);
}
END_TEST

START_TEST(without_being_asked_for_there_is_no_thread)
{
    int before = count_running_threads();
    expect_verdict(submit_one("account-1", STELE_ANY, NULL), STELE_OK);
    flush_all();
    ck_assert_int_eq(count_running_threads(), before);
}
END_TEST

START_TEST(committer_commits_by_itself_and_its_verdicts_can_be_polled)
{
    enum { COUNT = 200 };
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = true;
    options.submit_count_max = 10;
    reopen_with(&options);
    int fd = -1;
    int handed_out = 0;
    assert_status(stele_store_completion_fd(store, &fd), STELE_OK);
    for (int i = 0; i < COUNT - 1; i++)
        submit_one("account-1", i, NULL);

    while (handed_out < COUNT) {
        if (handed_out == COUNT - 1) { /* it sleeps by now, and must wake up for one more */
            pause_us(20000);
            submit_one("account-1", COUNT - 1, NULL);
        }
        struct pollfd wanted = { .fd = fd, .events = POLLIN };
        stele_ticket *ticket = NULL;
        ck_assert_int_eq(poll(&wanted, 1, 60000), 1);
        while (stele_store_completed(store, &ticket) == STELE_OK)
            ck_assert_int_eq(expect_verdict(ticket, STELE_OK).last_position, ++handed_out);
    }

    ck_assert_int_eq(head_of(store), COUNT);
}
END_TEST

/* --- After fork() --- */

typedef struct inherited {
    stele_ticket *told;
    stele_ticket *untold;
} inherited;

static int use_inherited(void *context)
{
    inherited *tickets = context;
    const stele_verdict *verdict = NULL;
    stele_ticket *ticket = NULL;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("child", STELE_ANY, &event, 1);
    int fd = -1;
    int wrong = 0;
    wrong += stele_store_submit(store, &append, NULL, &ticket) != STELE_MISUSE;
    wrong += stele_ticket_wait(tickets->told, NULL, &verdict) != STELE_MISUSE;
    wrong += stele_ticket_wait(tickets->untold, NULL, &verdict) != STELE_MISUSE;
    wrong += stele_store_completed(store, &ticket) != STELE_MISUSE;
    wrong += stele_store_completion_fd(store, &fd) != STELE_MISUSE;
    wrong += stele_store_flush(store, NULL) != STELE_MISUSE;
    stele_ticket_close(tickets->told);
    stele_ticket_close(tickets->untold);
    stele_store_close(store);
    return wrong;
}

START_TEST(child_after_fork_may_only_free_what_it_inherited)
{
    inherited tickets = { submit_one("account-1", STELE_ANY, NULL), NULL };
    verdict_of(tickets.told);
    tickets.untold = submit_one("account-1", STELE_ANY, NULL);

    ck_assert_int_eq(run_in_child(use_inherited, &tickets), 0);

    expect_verdict(tickets.told, STELE_OK);
    expect_verdict(tickets.untold, STELE_OK);
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("submit closing");
    TCase *held = tcase_create("held");
    tcase_add_checked_fixture(held, open_on_held_disk, close_held_disk);
    suite_add_tcase(suite, held);
    tcase_add_test(held, thread_that_waits_for_a_ticket_gets_its_verdict_although_the_store_closes);
    tcase_add_test(held, closing_while_the_wal_is_moved_still_commits_what_was_submitted);
    tcase_add_test(held, calls_on_a_store_that_closes_answer_closed);
    tcase_add_test(held, full_disk_is_a_verdict_and_the_committer_goes_on);
    TCase *file = add_case(suite, "file", open_in_file);
    tcase_add_loop_test(file, closing_commits_all_that_was_submitted_and_tells_each_verdict_first,
                        0, 2);
    tcase_add_loop_test(
        file, closing_while_somebody_waits_for_the_file_still_commits_what_was_submitted, 0, 2);
    tcase_add_loop_test(
        file, callback_in_a_closing_store_can_wait_for_a_ticket_and_all_else_is_closed, 0, 2);
    tcase_add_test(file, closing_in_mid_use_loses_nothing_that_was_taken);
    tcase_add_test(file,
                   lock_of_another_process_keeps_submissions_waiting_and_is_the_verdict_at_close);
    tcase_add_test(file, committer_tells_busy_when_another_process_keeps_the_lock);
    tcase_add_test(file, committer_has_a_name_and_blocks_all_signals_and_ends_with_the_store);
    tcase_add_test(file, without_being_asked_for_there_is_no_thread);
    tcase_add_test(file, committer_commits_by_itself_and_its_verdicts_can_be_polled);
    tcase_add_test(file, child_after_fork_may_only_free_what_it_inherited);
    return run_suite(suite);
}
