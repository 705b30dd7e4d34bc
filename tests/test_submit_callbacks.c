/* Verdicts by callback: on which thread, after what, and what they may call. */
#define _GNU_SOURCE /* one processor for all threads */
#include "held_disk.h"

#include <pthread.h>
#include <sched.h>

/* --- Submitting with a callback --- */

typedef struct telling {
    pthread_t thread;
    stele_status status;
    stele_appended appended;
    char error[256];
    int64_t head; /* as the callback saw it */
    atomic_int count;
} telling;

static void submit_with(stele_store *target, const char *stream, int64_t expected_version,
                        stele_verdict_function callback, void *context)
{
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append(stream, expected_version, &event, 1);
    stele_submit submit = STELE_SUBMIT_INIT;
    submit.callback = callback;
    submit.context = context;
    assert_status(stele_store_submit(target, &append, &submit, NULL), STELE_OK);
}

static void note_verdict(void *context, const stele_verdict *verdict)
{
    telling *note = context;
    note->thread = pthread_self();
    note->status = verdict->status;
    note->appended = verdict->appended;
    snprintf(note->error, sizeof(note->error), "%s", verdict->error);
    stele_store_head(store, &note->head);
    atomic_fetch_add(&note->count, 1);
}

static void reopen_with_committer(const char *path, uint32_t busy_timeout_ms)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = true;
    options.busy_timeout_ms = busy_timeout_ms;
    close_store();
    store = open_path(path, &options);
}

static void *flush_and_note(void *context)
{
    *(stele_status *)context = stele_store_flush(store, NULL);
    return NULL;
}

START_TEST(callback_is_told_once_on_the_thread_that_committed_and_after_the_commit)
{
    telling stored = { 0 }, refused = { 0 };
    pthread_t flusher;
    stele_status flushed = STELE_MISUSE;
    submit_with(store, "account-1", STELE_NO_STREAM, note_verdict, &stored);
    submit_with(store, "account-1", STELE_NO_STREAM, note_verdict, &refused);

    pthread_create(&flusher, NULL, flush_and_note, &flushed);
    pthread_join(flusher, NULL);

    assert_status(flushed, STELE_OK);
    ck_assert_int_eq(atomic_load(&stored.count), 1);
    ck_assert_int_eq(atomic_load(&refused.count), 1);
    ck_assert(pthread_equal(stored.thread, flusher));
    ck_assert(pthread_equal(refused.thread, flusher));
    assert_status(stored.status, STELE_OK);
    ck_assert_str_eq(stored.error, "");
    ck_assert_int_eq(stored.appended.last_position, 1);
    ck_assert_int_eq(stored.head, 1);
    assert_status(refused.status, STELE_CONFLICT);
    ck_assert_str_eq(refused.error, "stream 'account-1' is at version 1, expected none");
    ck_assert_int_eq(refused.appended.stream_version, 1);
    flush_all();
    ck_assert_int_eq(atomic_load(&stored.count), 1);
}
END_TEST

static void fail_on_purpose(void *context, const stele_verdict *verdict)
{
    (void)verdict;
    ++*(int *)context;
    append_to(store, "", STELE_ANY, "noted", NULL);
}

START_TEST(reason_of_the_own_append_is_not_that_of_a_callback)
{
    int told = 0;
    submit_with(store, "account-1", STELE_ANY, fail_on_purpose, &told);

    assert_status(append_one("account-2", 5, "noted", NULL), STELE_CONFLICT);

    assert_reason_has("account-2");
    ck_assert_int_eq(told, 1);
}
END_TEST

/* --- What a callback may call: each of these, and gets what anybody would get --- */

static _Atomic(stele_ticket *) neighbour; /* submitted with the callback, so in its group */

static stele_status call_append(void)
{
    return append_to(store, "more", STELE_ANY, "noted", NULL);
}

static stele_status call_append_many(void)
{
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("more", STELE_ANY, &event, 1);
    return stele_store_append_many(store, &append, 1, NULL, NULL);
}

static stele_status call_submit(void)
{
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("more", STELE_ANY, &event, 1);
    stele_ticket *ticket = NULL;
    stele_status status = stele_store_submit(store, &append, NULL, &ticket);
    stele_ticket_close(ticket);
    return status;
}

static stele_status call_submit_and_wait(void)
{
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("more", STELE_ANY, &event, 1);
    stele_ticket *ticket = NULL;
    const stele_verdict *verdict = NULL;
    stele_status status = stele_store_submit(store, &append, NULL, &ticket);
    if (status == STELE_OK)
        status = stele_ticket_wait(ticket, NULL, &verdict);
    if (status == STELE_OK)
        status = verdict->status;
    stele_ticket_close(ticket);
    return status;
}

/* A committer may be here before the neighbour was submitted. */
static stele_status call_wait_for_neighbour(void)
{
    const stele_verdict *verdict = NULL;
    while (atomic_load(&neighbour) == NULL)
        pause_us(200);
    stele_status status = stele_ticket_wait(atomic_load(&neighbour), NULL, &verdict);
    return status == STELE_OK ? verdict->status : status;
}

static stele_status call_flush(void)
{
    stele_status status = call_submit();
    return status == STELE_OK ? stele_store_flush(store, NULL) : status;
}

static stele_status call_read(void)
{
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    stele_status status = stele_store_read(store, NULL, &cursor);
    if (status == STELE_OK)
        status = stele_cursor_next(cursor, &record);
    stele_cursor_close(cursor);
    return status;
}

static stele_status call_describe(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    return stele_store_describe(store, &info);
}

static stele_status call_transaction(void)
{
    stele_transaction *transaction = NULL;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("more", STELE_ANY, &event, 1);
    stele_status status = stele_transaction_begin(store, &transaction);
    if (status == STELE_OK)
        status = stele_transaction_append(transaction, &append, NULL);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    return status;
}

static stele_status call_transfer(void)
{
    return stele_store_transfer(store, NULL, NULL);
}

static stele_status call_completed(void)
{
    stele_ticket *ticket = NULL;
    int fd = -1;
    stele_status status = stele_store_completion_fd(store, &fd);
    return status == STELE_OK && stele_store_completed(store, &ticket) < 0 ? STELE_MISUSE : status;
}

static stele_status call_checkpoint(void)
{
    return stele_checkpoint_save(store, "mine", 1);
}

static stele_status (*const allowed_calls[])(void) = {
    call_append,    call_append_many, call_submit,   call_submit_and_wait, call_wait_for_neighbour,
    call_flush,     call_read,        call_describe, call_transaction,     call_transfer,
    call_completed, call_checkpoint,
};

typedef struct allowed_call {
    stele_status (*call)(void);
    stele_status answer;
} allowed_call;

static void make_call(void *context, const stele_verdict *verdict)
{
    allowed_call *allowed = context;
    allowed->answer = verdict->status == STELE_OK ? allowed->call() : verdict->status;
}

static void try_allowed_call(stele_status (*call)(void))
{
    allowed_call allowed = { .call = call, .answer = STELE_MISUSE };
    telling after = { 0 };
    atomic_store(&neighbour, NULL);
    submit_with(store, "account-1", STELE_ANY, make_call, &allowed);
    atomic_store(&neighbour, submit_one("account-1", STELE_ANY, NULL));
    submit_with(store, "account-1", STELE_ANY, note_verdict, &after);

    flush_all();

    assert_status(allowed.answer, STELE_OK);
    ck_assert_int_eq(atomic_load(&after.count), 1);
    stele_ticket_close(atomic_load(&neighbour));
    flush_all();
}

START_TEST(callback_may_call_anything)
{
    try_allowed_call(allowed_calls[_i]);
}
END_TEST

START_TEST(callback_of_the_committer_may_call_anything)
{
    reopen_with_committer(store_path(), 60000);
    try_allowed_call(allowed_calls[_i]);
}
END_TEST

START_TEST(callback_in_memory_may_call_anything)
{
    close_store();
    open_in_memory();
    try_allowed_call(allowed_calls[_i]);
}
END_TEST

/* --- Chains --- */

typedef struct chain {
    int left;
    bool flushes;
    const char *lowest, *highest; /* of the stack */
    stele_status status;
    atomic_bool over;
} chain;

static void submit_next(void *context, const stele_verdict *verdict)
{
    chain *self = context;
    const char *place = __builtin_frame_address(0); /* not of a sanitizer's fake stack */
    if (self->lowest == NULL || place < self->lowest)
        self->lowest = place;
    if (self->highest == NULL || place > self->highest)
        self->highest = place;
    self->status = verdict->status;
    if (verdict->status != STELE_OK || --self->left == 0) {
        atomic_store(&self->over, true);
        return;
    }
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("chain", STELE_ANY, &event, 1);
    stele_submit submit = STELE_SUBMIT_INIT;
    submit.callback = submit_next;
    submit.context = self;
    self->status = stele_store_submit(store, &append, &submit, NULL);
    if (self->status == STELE_OK && self->flushes)
        self->status = stele_store_flush(store, NULL);
    if (self->status != STELE_OK)
        atomic_store(&self->over, true);
}

#ifdef __SANITIZE_THREAD__
enum { LINKS = 10000 }; /* it is thirty times slower there */
#else
enum { LINKS = 100000 };
#endif

/* In memory, since each link is a commit. */
START_TEST(chain_of_submissions_from_callbacks_grows_no_stack)
{
    chain links = { .left = LINKS, .flushes = _i == 0 };
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = _i == 1;
    store = open_path(":memory:", &options);

    submit_with(store, "chain", STELE_ANY, submit_next, &links);
    if (links.flushes)
        flush_all();
    wait_until(&links.over);

    assert_status(links.status, STELE_OK);
    ck_assert_int_eq(links.left, 0);
    ck_assert_int_lt(links.highest - links.lowest, 4096);
    ck_assert_int_eq(head_of(store), LINKS);
}
END_TEST

typedef struct burst {
    int left; /* to submit; callbacks come one at a time */
    atomic_int told;
    atomic_int failed;
} burst;

static void submit_several(void *context, const stele_verdict *verdict)
{
    burst *self = context;
    stele_status status = verdict->status;
    for (int i = 0; i < 5 && self->left > 0 && status == STELE_OK; i++) {
        self->left--;
        stele_event event = make_event("noted", "{}");
        stele_append append = make_append("burst", STELE_ANY, &event, 1);
        stele_submit submit = STELE_SUBMIT_INIT;
        submit.callback = submit_several;
        submit.context = self;
        status = stele_store_submit(store, &append, &submit, NULL);
    }
    atomic_fetch_add(&self->failed, status != STELE_OK);
    atomic_fetch_add(&self->told, 1);
}

/* Nobody but the committer would make room, and it is the one who asks for it. */
START_TEST(callback_that_submits_beyond_the_room_does_not_wait_for_itself)
{
    burst self = { .left = 199 };
    stele_options options = STELE_OPTIONS_INIT;
    options.submit_count_max = 3;
    options.committer = _i == 1;
    options.busy_timeout_ms = 60000;
    close_store();
    store = open_path(store_path(), &options);

    submit_with(store, "burst", STELE_ANY, submit_several, &self);
    while (atomic_load(&self.failed) == 0 && atomic_load(&self.told) < 200) {
        if (options.committer)
            pause_us(1000);
        else
            flush_all();
    }

    ck_assert_int_eq(atomic_load(&self.failed), 0);
    ck_assert_int_eq(version_of("burst"), 200);
}
END_TEST

/* --- Flushing and callbacks --- */

enum { EACH = 4000, SUBMITTERS = 3 };

static void count_verdict(void *context, const stele_verdict *verdict)
{
    atomic_fetch_add((atomic_int *)context, verdict->status == STELE_OK);
}

static void *submit_each(void *told)
{
    for (int i = 0; i < EACH; i++) {
        submit_with(store, "account-1", STELE_ANY, count_verdict, told);
        sched_yield();
    }
    return NULL;
}

/* What is submitted belongs to the committer from then on, who may free it at once: the address
 * sanitizer sees who looks at it after that. With one processor for all of them, who is woken goes
 * before who woke him: so it happened each time. */
START_TEST(callbacks_may_be_over_before_their_submissions_return)
{
    atomic_int told = 0;
    pthread_t threads[SUBMITTERS];
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = true;
#ifdef __linux__
    cpu_set_t all, one;
    bool pinned = sched_getaffinity(0, sizeof(all), &all) == 0;
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && pinned && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    pinned = pinned && sched_setaffinity(0, sizeof(one), &one) == 0;
#endif
    store = open_path(":memory:", &options);

    for (int i = 0; i < SUBMITTERS; i++)
        pthread_create(&threads[i], NULL, submit_each, &told);
    for (int i = 0; i < SUBMITTERS; i++)
        pthread_join(threads[i], NULL);
    flush_all();

#ifdef __linux__
    if (pinned)
        sched_setaffinity(0, sizeof(all), &all);
#endif
    ck_assert_int_eq(atomic_load(&told), SUBMITTERS * EACH);
    ck_assert_int_eq(version_of("account-1"), SUBMITTERS * EACH);
}
END_TEST

static atomic_bool gate_open;
static atomic_bool at_gate;

static void wait_at_gate(void *context, const stele_verdict *verdict)
{
    atomic_store(&at_gate, true);
    wait_until(&gate_open);
    ((telling *)context)->status = verdict->status;
    atomic_fetch_add(&((telling *)context)->count, 1);
}

/* Who flushes may free what his callbacks use. */
START_TEST(flush_returns_when_the_callbacks_of_other_threads_have)
{
    telling note = { 0 };
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 30;
    atomic_store(&gate_open, false);
    atomic_store(&at_gate, false);
    reopen_with_committer(store_path(), 60000);
    submit_with(store, "account-1", STELE_ANY, wait_at_gate, &note);
    stele_ticket *ticket = submit_one("account-1", STELE_ANY, NULL);
    wait_until(&at_gate);

    assert_status(stele_store_flush(store, &wait), STELE_TIMED_OUT);
    expect_verdict(ticket, STELE_OK); /* a ticket doesn't wait for callbacks */
    atomic_store(&gate_open, true);
    flush_all();

    ck_assert_int_eq(atomic_load(&note.count), 1);
    assert_status(note.status, STELE_OK);
}
END_TEST

static stele_store *other_store;
static telling other_note;

static void use_other_store(void *context, const stele_verdict *verdict)
{
    telling *note = context;
    note->status = verdict->status;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("other", STELE_ANY, &event, 1);
    stele_submit submit = STELE_SUBMIT_INIT;
    submit.callback = note_verdict;
    submit.context = &other_note;
    if (stele_store_submit(other_store, &append, &submit, NULL) == STELE_OK
        && stele_store_flush(other_store, NULL) == STELE_OK)
        atomic_store(&note->count, atomic_load(&other_note.count)); /* 1: it was told by then */
}

/* Closing that one must not leave its callbacks behind on this thread. */
START_TEST(verdicts_of_another_store_are_told_inside_the_call_on_it)
{
    telling note = { 0 };
    atomic_store(&other_note.count, 0);
    other_store = open_path(":memory:", NULL);
    submit_with(store, "account-1", STELE_ANY, use_other_store, &note);

    flush_all();

    stele_store_close(other_store);
    assert_status(note.status, STELE_OK);
    ck_assert_int_eq(atomic_load(&note.count), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("submit callbacks");
    TCase *file = add_case(suite, "file", open_in_file);
    tcase_add_test(file, callback_is_told_once_on_the_thread_that_committed_and_after_the_commit);
    tcase_add_test(file, reason_of_the_own_append_is_not_that_of_a_callback);
    tcase_add_loop_test(file, callback_may_call_anything, 0, (int)COUNT_OF(allowed_calls));
    tcase_add_loop_test(file, callback_of_the_committer_may_call_anything, 0,
                        (int)COUNT_OF(allowed_calls));
    tcase_add_loop_test(file, callback_in_memory_may_call_anything, 0,
                        (int)COUNT_OF(allowed_calls));
    tcase_add_loop_test(file, callback_that_submits_beyond_the_room_does_not_wait_for_itself, 0, 2);
    tcase_add_test(file, flush_returns_when_the_callbacks_of_other_threads_have);
    tcase_add_test(file, verdicts_of_another_store_are_told_inside_the_call_on_it);
    TCase *chains = add_case(suite, "chains", NULL);
    tcase_add_test(chains, callbacks_may_be_over_before_their_submissions_return);
    tcase_add_loop_test(chains, chain_of_submissions_from_callbacks_grows_no_stack, 0, 2);
    return run_suite(suite);
}
