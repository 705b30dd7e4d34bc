/*
 * Waiting: every call that may wait ends by its deadline, by its progress callback, or by closing,
 * whoever it waits for; it has then done nothing, and can be made again.
 */
#include "contract.h"

#include <stele/submit.h>

#include <pthread.h>
#include <stdatomic.h>

/* --- Calls that wait --- */

typedef stele_status (*waiting_call)(const stele_wait *wait);

static stele_status call_append(const stele_wait *wait)
{
    stele_event event = make_event("opened", "{}");
    stele_append append = make_append("account-2", STELE_ANY, &event, 1);
    append.wait = wait;
    return stele_store_append(store, &append, NULL);
}

static stele_status call_append_many(const stele_wait *wait)
{
    stele_event event = make_event("opened", "{}");
    stele_append appends[2] = { make_append("account-2", STELE_ANY, &event, 1),
                                make_append("account-3", STELE_ANY, &event, 1) };
    appends[0].wait = wait;
    return stele_store_append_many(store, appends, 2, NULL, NULL);
}

static stele_status call_begin(const stele_wait *wait)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin_wait(store, wait, &transaction);
    stele_transaction_end(transaction);
    return status;
}

static stele_status call_transfer(const stele_wait *wait)
{
    return stele_store_transfer(store, wait, NULL);
}

/* submit_count_max is 1 and one is queued already. */
static stele_status call_submit(const stele_wait *wait)
{
    stele_event event = make_event("opened", "{}");
    stele_append append = make_append("account-2", STELE_ANY, &event, 1);
    append.wait = wait;
    stele_ticket *ticket = NULL;
    stele_status status = stele_store_submit(store, &append, NULL, &ticket);
    stele_ticket_close(ticket);
    return status;
}

static stele_status call_flush(const stele_wait *wait)
{
    stele_status status = stele_store_flush(store, wait);
    return status == STELE_TIMED_OUT ? STELE_BUSY : status; /* not a failure there */
}

static stele_ticket *queued;

static stele_status call_ticket_wait(const stele_wait *wait)
{
    const stele_verdict *verdict = NULL;
    stele_status status = stele_ticket_wait(queued, wait, &verdict);
    return status == STELE_TIMED_OUT ? STELE_BUSY : status;
}

static const struct {
    const char *name;
    waiting_call call;
    bool writes; /* it would have appended */
} calls[] = {
    { "append", call_append, true },       { "append_many", call_append_many, true },
    { "begin", call_begin, false },        { "transfer", call_transfer, false },
    { "submit", call_submit, false },      { "flush", call_flush, false },
    { "ticket", call_ticket_wait, false },
};

/* --- Whom they wait for --- */

static pthread_t holder;
static atomic_int holder_stage; /* 1: it holds; 2: it may let go */
static sqlite3 *foreign;

static void *hold_turn(void *context)
{
    (void)context;
    stele_transaction *transaction = begin();
    atomic_store(&holder_stage, 1);
    while (atomic_load(&holder_stage) != 2)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    stele_transaction_end(transaction);
    return NULL;
}

static void block(bool by_thread)
{
    atomic_store(&holder_stage, 0);
    if (by_thread) {
        ck_assert_int_eq(pthread_create(&holder, NULL, hold_turn, NULL), 0);
        while (atomic_load(&holder_stage) != 1)
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    } else {
        foreign = open_raw(store_path());
        run_raw(foreign, "BEGIN IMMEDIATE");
    }
}

static void unblock(bool by_thread)
{
    if (by_thread) {
        atomic_store(&holder_stage, 2);
        pthread_join(holder, NULL);
    } else {
        run_raw(foreign, "ROLLBACK");
        sqlite3_close(foreign);
    }
}

static void open_with_one_queued(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.submit_count_max = 1;
    options.busy_timeout_ms = 60000;
    store = open_path(store_path(), &options);
    fill_stream("account-1", 1);
    stele_event event = make_event("opened", "{}");
    stele_append append = make_append("account-9", STELE_ANY, &event, 1);
    assert_status(stele_store_submit(store, &append, NULL, &queued), STELE_OK);
}

static void close_with_one_queued(void)
{
    stele_ticket_close(queued);
    queued = NULL;
    close_and_remove();
}

/* --- Ends --- */

static atomic_int times_asked;

static int cancel_at_third(void *context)
{
    (void)context;
    return atomic_fetch_add(&times_asked, 1) >= 2 ? 7 : 0;
}

#define CELLS ((int)COUNT_OF(calls) * 2)

START_TEST(deadline_ends_the_waiting_and_nothing_was_done)
{
    const bool by_thread = _i % 2 == 0;
    waiting_call call = calls[_i / 2].call;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 30;
    block(by_thread);

    assert_status(call(&wait), STELE_BUSY);
    wait.timeout_ms = 0;
    assert_status(call(&wait), STELE_BUSY);

    ck_assert_int_eq(head_of(store), 1);
    unblock(by_thread);
    assert_status(call(NULL), STELE_OK);
    assert_status(stele_store_flush(store, NULL), STELE_OK);
    ck_assert_int_eq(version_of("account-9"), 1);
}
END_TEST

START_TEST(progress_callback_cancels_the_waiting_and_nothing_was_done)
{
    const bool by_thread = _i % 2 == 0;
    waiting_call call = calls[_i / 2].call;
    stele_wait wait = STELE_WAIT_INIT;
    wait.progress = cancel_at_third;
    atomic_store(&times_asked, 0);
    block(by_thread);

    assert_status(call(&wait), STELE_CANCELLED);

    assert_reason_has("(7)");
    ck_assert_int_eq(atomic_load(&times_asked), 3);
    ck_assert_int_eq(head_of(store), 1);
    unblock(by_thread);
    assert_status(call(NULL), STELE_OK);
}
END_TEST

/* Who waits is asked by and by whether to go on: then it is inside for certain. */
static int note_waiting(void *waits)
{
    atomic_store((atomic_bool *)waits, true);
    return 0;
}

static void wait_until(atomic_bool *waits)
{
    while (!atomic_load(waits))
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

typedef struct waiting_thread {
    waiting_call call;
    stele_status status;
    atomic_bool waits;
    atomic_bool over;
    stele_store *store; /* that it waits for */
} waiting_thread;

static void *run_waiting_call(void *context)
{
    waiting_thread *waiting = context;
    stele_wait wait = STELE_WAIT_INIT;
    wait.progress = note_waiting;
    wait.context = &waiting->waits;
    waiting->status = waiting->call(&wait);
    atomic_store(&waiting->over, true);
    return NULL;
}

static pthread_t unblocker;

/* Closing waits for that, since there is something to be committed. Sooner it would be the answer
 * of the call, as on a slow machine; but a ticket's is that of closing. */
static void *roll_back_after_the_answer(void *context)
{
    waiting_thread *waiting = context;
    int64_t head = 0;
    while (stele_store_head(waiting->store, &head) != STELE_CLOSED)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    if (waiting->call != call_ticket_wait)
        wait_until(&waiting->over);
    unblock(false);
    return NULL;
}

/* A submission gets its verdict from closing; every other call is told so. */
START_TEST(closing_ends_the_waiting)
{
    waiting_thread waiting = { .call = calls[_i].call, .store = store };
    pthread_t thread;
    block(false);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_waiting_call, &waiting), 0);
    wait_until(&waiting.waits);
    ck_assert_int_eq(pthread_create(&unblocker, NULL, roll_back_after_the_answer, &waiting), 0);

    close_store();

    pthread_join(thread, NULL);
    bool of_ticket = calls[_i].call == call_ticket_wait;
    ck_assert_msg(waiting.status == STELE_CLOSED || (of_ticket && waiting.status == STELE_OK),
                  "%s answered %s", calls[_i].name, stele_status_name(waiting.status));
    pthread_join(unblocker, NULL);
    store = open_path(store_path(), NULL);
    ck_assert_int_eq(version_of("account-9"), 1);
    ck_assert_int_eq(version_of("account-2"), 0);
}
END_TEST

/* --- Reads --- */

static int cancel_at_once(void *context)
{
    ++*(int *)context;
    return 1;
}

/* Fill many streams so that a scan for a rare one takes a while. */
static void fill_log(int appends)
{
    stele_event events[200];
    for (size_t i = 0; i < COUNT_OF(events); i++)
        events[i] = make_event("counted", "{\"n\":1}");
    for (int i = 0; i < appends; i++) {
        char stream[32];
        snprintf(stream, sizeof(stream), "account-%d", i);
        stele_append append = make_append(stream, STELE_ANY, events, COUNT_OF(events));
        assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    }
}

START_TEST(progress_callback_ends_a_read_that_can_be_gone_on_with)
{
    int asked = 0;
    stele_wait wait = STELE_WAIT_INIT;
    wait.progress = cancel_at_once;
    wait.context = &asked;
    open_in_file();
    fill_log(300);
    stele_read read = STELE_READ_INIT;
    read.prefix = "nobody";
    read.wait = &wait;
    stele_cursor *cursor = open_read(&read);
    const stele_record *record = NULL;

    assert_status(stele_cursor_next(cursor, &record), STELE_CANCELLED);
    assert_status(stele_cursor_next(cursor, &record), STELE_CANCELLED);

    ck_assert_int_ge(asked, 1);
    int64_t scanned = stele_cursor_scanned(cursor);
    stele_cursor_close(cursor);
    read.wait = NULL;
    read.after_position = scanned;
    cursor = open_read(&read);
    expect_done(cursor);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(deadline_ends_a_read)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 0;
    open_in_file();
    fill_log(300);
    stele_read read = STELE_READ_INIT;
    read.prefix = "nobody";
    read.wait = &wait;
    stele_cursor *cursor = open_read(&read);
    const stele_record *record = NULL;

    assert_status(stele_cursor_next(cursor, &record), STELE_BUSY);

    stele_cursor_close(cursor);
}
END_TEST

/* --- Wrong waits --- */

START_TEST(wait_of_a_wrong_size_is_misuse)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.struct_size = 0;
    open_with_one_queued();
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        if (calls[i].call != call_submit) /* which commits the one that is queued */
            assert_status(calls[i].call(&wait), STELE_MISUSE);
    stele_wait by_function;
    stele_wait_init(&by_function);
    ck_assert_uint_eq(by_function.struct_size, sizeof(stele_wait));
    ck_assert_uint_eq(by_function.timeout_ms, STELE_TIMEOUT_DEFAULT);
    ck_assert(by_function.progress == NULL && by_function.context == NULL);
}
END_TEST

/* --- In turn --- */

enum { WRITERS = 8 };

typedef struct writer {
    pthread_t thread;
    stele_status status;
    atomic_bool waits;
    int place; /* in the order of the turns */
} writer;

static atomic_int turn_count;

static void *begin_in_turn(void *context)
{
    writer *self = context;
    stele_transaction *transaction = NULL;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 60000;
    wait.progress = note_waiting;
    wait.context = &self->waits;
    self->status = stele_transaction_begin_wait(store, &wait, &transaction);
    self->place = atomic_fetch_add(&turn_count, 1);
    stele_transaction_end(transaction);
    return NULL;
}

START_TEST(writers_of_a_store_get_their_turn_in_the_order_of_asking)
{
    writer writers[WRITERS] = { { 0 } };
    open_in_file();
    block(true);
    atomic_store(&turn_count, 0);
    for (int i = 0; i < WRITERS; i++) {
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, begin_in_turn, &writers[i]), 0);
        wait_until(&writers[i].waits);
    }
    unblock(true);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);

    for (int i = 0; i < WRITERS; i++) {
        assert_status(writers[i].status, STELE_OK);
        ck_assert_int_eq(writers[i].place, i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("waiting");
    TCase *tests = tcase_create("queued");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, open_with_one_queued, close_with_one_queued);
    tcase_add_loop_test(tests, deadline_ends_the_waiting_and_nothing_was_done, 0, CELLS);
    tcase_add_loop_test(tests, progress_callback_cancels_the_waiting_and_nothing_was_done, 0,
                        CELLS);
    tcase_add_loop_test(tests, closing_ends_the_waiting, 0, (int)COUNT_OF(calls));
    suite_add_tcase(suite, tests);
    tests = tcase_create("other");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, NULL, close_with_one_queued);
    tcase_add_test(tests, progress_callback_ends_a_read_that_can_be_gone_on_with);
    tcase_add_test(tests, deadline_ends_a_read);
    tcase_add_test(tests, wait_of_a_wrong_size_is_misuse);
    tcase_add_test(tests, writers_of_a_store_get_their_turn_in_the_order_of_asking);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
