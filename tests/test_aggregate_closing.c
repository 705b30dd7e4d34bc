/*
 * Waiting in line for a stream, and closing in mid-use. Threads (pthread) are held in the middle of
 * deciding or folding, until they are let go.
 */
#include "account_calls.h"

#include <time.h>

/* --- Holding a callback --- */

static atomic_bool hold;
static atomic_int held; /* how many callbacks have been held so far */

static void pause_a_moment(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
}

static void wait_until_go(int nth)
{
    (void)nth;
    if (!atomic_load(&hold))
        return;
    atomic_fetch_add(&held, 1);
    while (atomic_load(&hold))
        pause_a_moment();
}

static void wait_for(const atomic_int *count, int least)
{
    while (atomic_load(count) < least)
        pause_a_moment();
}

/* --- Threads at work --- */

enum { CALLERS = 4 };

typedef struct caller {
    pthread_t thread;
    stele_aggregate *of; /* NULL: `accounts` */
    command what;
    stele_wait wait;
    bool waits;     /* with `wait` */
    bool loads;     /* instead of executing */
    int stop_after; /* progress cancels when asked for the so manieth time; 0: never */
    atomic_int asked;
    stele_executed executed;
    stele_status status;
    atomic_int ended;
} caller;

static caller callers[CALLERS];

static int ask_caller(void *context)
{
    caller *self = context;
    int asked = atomic_fetch_add(&self->asked, 1) + 1;
    return self->stop_after > 0 && asked >= self->stop_after;
}

static void *call_once(void *context)
{
    caller *self = context;
    stele_aggregate *of = self->of != NULL ? self->of : accounts;
    account state;
    stele_execute execute = make_execute("a-1", &self->what);
    if (self->waits)
        execute.wait = &self->wait;
    self->status = self->loads ? stele_aggregate_load(of, "a-1", &state, NULL)
                               : stele_aggregate_execute(of, &execute, &self->executed);
    atomic_store(&self->ended, 1);
    return NULL;
}

static void start_caller(int i)
{
    caller *self = &callers[i];
    self->what = (command){ .verb = MOVE, .amount = 1, .id = i + 1 };
    self->wait.progress = ask_caller;
    self->wait.context = self;
    ck_assert_int_eq(pthread_create(&self->thread, NULL, call_once, self), 0);
}

static void join_callers(int count)
{
    for (int i = 0; i < count; i++)
        pthread_join(callers[i].thread, NULL);
}

static void prepare_callers(void)
{
    for (int i = 0; i < CALLERS; i++) {
        memset(&callers[i], 0, sizeof(callers[i]));
        callers[i].wait = (stele_wait)STELE_WAIT_INIT;
        callers[i].wait.timeout_ms = 120000;
        callers[i].waits = true;
    }
    atomic_store(&hold, true);
    atomic_store(&held, 0);
    teller.in_decide = wait_until_go;
}

static void open_held(void)
{
    open_accounts();
    prepare_callers();
}

/* The first is deciding; the others stand in line behind it, in their order. */
static void start_line(void)
{
    start_caller(0);
    wait_for(&held, 1);
    for (int i = 1; i < CALLERS; i++) {
        start_caller(i);
        wait_for(&callers[i].asked, 1); /* it is asked when it stands there */
    }
}

/* --- Turns --- */

START_TEST(commands_on_a_stream_take_turns_in_the_order_of_asking)
{
    start_line();
    ck_assert_int_eq(atomic_load(&teller.decided), 1);
    /* Others aren't held up by it. */
    ck_assert_int_eq(load_account("a-1").count, 0);
    atomic_store(&hold, false);
    join_callers(CALLERS);

    for (int i = 0; i < CALLERS; i++) {
        assert_status(callers[i].status, STELE_OK);
        ck_assert_int_eq(callers[i].executed.version, i + 1);
        ck_assert_uint_eq(callers[i].executed.tries, 1);
    }
    ck_assert_int_eq(load_account("a-1").last_id, CALLERS);
    ck_assert_uint_eq(describe_accounts().conflicts, 0);
}
END_TEST

START_TEST(commands_on_other_streams_do_not_wait)
{
    start_line();
    teller.in_decide = NULL;
    assert_status(move("a-2", 1), STELE_OK);
    atomic_store(&hold, false);
    join_callers(CALLERS);
}
END_TEST

/* Who leaves the line leaves the others as they were. */
START_TEST(waiting_in_line_can_be_cancelled)
{
    for (int i = 1; i < CALLERS; i++)
        callers[i].stop_after = i == _i + 1 ? 3 : 0;
    start_line();
    wait_for(&callers[_i + 1].ended, 1);
    ck_assert_int_eq(callers[_i + 1].status, STELE_CANCELLED);
    ck_assert_uint_eq(callers[_i + 1].executed.tries, 0);
    atomic_store(&hold, false);
    join_callers(CALLERS);

    int64_t version = 0;
    for (int i = 0; i < CALLERS; i++)
        if (i != _i + 1) {
            assert_status(callers[i].status, STELE_OK);
            ck_assert_int_eq(callers[i].executed.version, ++version);
        }
    assert_status(move("a-1", 1), STELE_OK);
}
END_TEST

START_TEST(waiting_in_line_ends_with_the_time_that_was_given)
{
    callers[2].wait.timeout_ms = _i == 0 ? 0 : 60;
    start_line();
    wait_for(&callers[2].ended, 1);
    ck_assert_int_eq(callers[2].status, STELE_BUSY);
    ck_assert_int_eq(atomic_load(&callers[3].ended), 0);
    atomic_store(&hold, false);
    join_callers(CALLERS);
    assert_status(callers[3].status, STELE_OK);
    ck_assert_int_eq(callers[3].executed.version, 3);
}
END_TEST

START_TEST(without_a_time_waiting_in_line_ends_with_the_stores)
{
    stele_options options = STELE_OPTIONS_INIT;
    close_accounts();
    close_store();
    options.busy_timeout_ms = 60;
    store = open_path(store_path(), &options);
    register_moves(store);
    open_accounts_by(account_decider(), NULL);
    start_caller(0);
    wait_for(&held, 1);
    assert_status(move("a-1", 1), STELE_BUSY);
    ck_assert_int_eq(atomic_load(&teller.decided), 1);
    atomic_store(&hold, false);
    join_callers(1);
    assert_status(callers[0].status, STELE_OK);
}
END_TEST

/* --- Closing --- */

static void *close_accounts_there(void *context)
{
    atomic_int *closed = context;
    stele_aggregate_close(accounts);
    atomic_store(closed, 1);
    return NULL;
}

static void *close_store_there(void *context)
{
    atomic_int *closed = context;
    stele_store_close(store);
    atomic_store(closed, 1);
    return NULL;
}

/* Who stands in line is told at once; who is in the middle, at its next step. */
START_TEST(closing_ends_the_calls_in_line_and_in_the_middle)
{
    atomic_int closed = 0;
    pthread_t closer;
    start_line();
    ck_assert_int_eq(pthread_create(&closer, NULL, close_accounts_there, &closed), 0);
    for (int i = 1; i < CALLERS; i++)
        wait_for(&callers[i].ended, 1);
    ck_assert_int_eq(atomic_load(&callers[0].ended), 0);
    ck_assert_int_eq(atomic_load(&closed), 0); /* it is waited for */
    atomic_store(&hold, false);
    pthread_join(closer, NULL);
    join_callers(CALLERS);
    accounts = NULL;

    for (int i = 0; i < CALLERS; i++) {
        ck_assert_int_eq(callers[i].status, STELE_CLOSED);
        ck_assert_uint_eq(callers[i].executed.event_count, 0);
    }
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

START_TEST(closing_the_store_ends_the_calls_too)
{
    atomic_int closed = 0;
    pthread_t closer;
    start_line();
    ck_assert_int_eq(pthread_create(&closer, NULL, close_store_there, &closed), 0);
    int64_t position;
    while (stele_store_head(store, &position) != STELE_CLOSED)
        pause_a_moment();
    atomic_store(&hold, false);
    pthread_join(closer, NULL);
    join_callers(CALLERS);
    store = NULL;

    for (int i = 0; i < CALLERS; i++)
        ck_assert_int_eq(callers[i].status, STELE_CLOSED);
    close_accounts();
    open_in_file();
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

START_TEST(closing_ends_a_fold_at_its_next_event)
{
    atomic_int closed = 0;
    pthread_t closer;
    append_moves(store, "a-1", 500);
    teller.in_decide = NULL;
    teller.in_evolve = wait_until_go;
    callers[0].loads = _i == 0;
    callers[0].waits = false;
    start_caller(0);
    wait_for(&held, 1);
    ck_assert_int_eq(pthread_create(&closer, NULL, close_accounts_there, &closed), 0);
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    atomic_store(&hold, false);
    pthread_join(closer, NULL);
    join_callers(1);
    accounts = NULL;

    /* Unless the closing thread came so late that the fold was over. */
    if (atomic_load(&teller.evolved) < 500)
        ck_assert_int_eq(callers[0].status, STELE_CLOSED);
}
END_TEST

static stele_store *beside;

static void append_beside(void)
{
    append_moves(beside, "a-1", 1);
}

static void overtake(int nth)
{
    on_another_thread(append_beside);
    if (nth == 2)
        atomic_store(&held, 1);
}

/* It would sleep for a minute between its second and third try. */
START_TEST(closing_ends_a_wait_between_tries)
{
    atomic_int closed = 0;
    pthread_t closer;
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    close_accounts();
    options.backoff_us = options.backoff_max_us = 60000000;
    open_accounts_by(account_decider(), &options);
    beside = open_beside();
    teller.in_decide = overtake;
    callers[0].waits = _i % 2 == 1;
    start_caller(0);
    wait_for(&held, 1);
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    ck_assert_int_eq(
        pthread_create(&closer, NULL, _i < 2 ? close_accounts_there : close_store_there, &closed),
        0);
    pthread_join(closer, NULL);
    join_callers(1);
    if (_i < 2)
        accounts = NULL;
    else
        store = NULL;

    ck_assert_int_eq(callers[0].status, STELE_CLOSED);
    stele_store_close(beside);
}
END_TEST

/* One is closed while others of the same store go on. */
START_TEST(closing_one_leaves_the_others_alone)
{
    stele_aggregate *second = open_aggregate(store, account_decider(), NULL);
    atomic_store(&hold, false);
    move_often("a-1", 2);
    callers[0].of = second;
    close_accounts();
    start_caller(0);
    join_callers(1);
    assert_status(callers[0].status, STELE_OK);
    ck_assert_int_eq(callers[0].executed.version, 3);
    stele_aggregate_close(second);
}
END_TEST

/* --- Opening and closing while streams are deleted --- */

static void *delete_again_and_again(void *context)
{
    atomic_bool *stop = context;
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "b-1";
    while (!atomic_load(stop)) {
        append_moves(store, "b-1", 1);
        assert_status(stele_store_delete(store, &call, NULL), STELE_OK);
    }
    return NULL;
}

START_TEST(aggregates_may_come_and_go_while_streams_are_deleted)
{
    atomic_bool stop = false;
    pthread_t deleter;
    atomic_store(&hold, false);
    append_moves(store, "a-1", 3);
    ck_assert_int_eq(pthread_create(&deleter, NULL, delete_again_and_again, &stop), 0);
    for (int i = 0; i < 200; i++) {
        memo state;
        stele_aggregate *one = open_aggregate(store, memo_decider(), NULL);
        assert_status(stele_aggregate_load(one, i % 2 == 0 ? "a-1" : "b-1", &state, NULL),
                      STELE_OK);
        stele_aggregate_clear(one, &state);
        stele_aggregate_close(one);
    }
    atomic_store(&stop, true);
    pthread_join(deleter, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_closing");
    TCase *tests = add_bank_case(suite, "turns", open_held);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, commands_on_a_stream_take_turns_in_the_order_of_asking);
    tcase_add_test(tests, commands_on_other_streams_do_not_wait);
    tcase_add_loop_test(tests, waiting_in_line_can_be_cancelled, 0, 3);
    tcase_add_loop_test(tests, waiting_in_line_ends_with_the_time_that_was_given, 0, 2);
    tcase_add_test(tests, without_a_time_waiting_in_line_ends_with_the_stores);
    tcase_add_test(tests, closing_ends_the_calls_in_line_and_in_the_middle);
    tcase_add_test(tests, closing_the_store_ends_the_calls_too);
    tcase_add_loop_test(tests, closing_ends_a_fold_at_its_next_event, 0, 2);
    tcase_add_loop_test(tests, closing_ends_a_wait_between_tries, 0, 4);
    tcase_add_test(tests, closing_one_leaves_the_others_alone);
    tcase_add_test(tests, aggregates_may_come_and_go_while_streams_are_deleted);
    return run_suite(suite);
}
