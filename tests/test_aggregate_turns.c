/*
 * Who waits for whom, in odd places: the callbacks of verdicts, a turn that comes too late, a wait
 * for a key, a close. Threads (pthread) are held where the test wants them.
 */
#include "account_calls.h"

#include <stele/submit.h>
#include <time.h>

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void spin_until(const atomic_int *flag)
{
    while (!atomic_load(flag))
        nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
}

static stele_status execute_quietly(const char *stream, const stele_wait *wait,
                                    stele_executed *executed_out)
{
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = make_execute(stream, &what);
    execute.wait = wait;
    return stele_aggregate_execute(accounts, &execute, executed_out);
}

static void submit_one(const char *stream,
                       void (*callback)(void *context, const stele_verdict *verdict))
{
    stele_event event = make_event("Moved", "{\"amount\":1}");
    stele_append append = make_append(stream, STELE_ANY, &event, 1);
    stele_submit submit = STELE_SUBMIT_INIT;
    submit.callback = callback;
    assert_status(stele_store_submit(store, &append, &submit, NULL), STELE_OK);
}

/* --- In the callback of a verdict --- */

static atomic_int first_is_in, second_is_in, second_may_begin;
static stele_status first_answer, second_answer;

/* Told by the thread that has the turn at a-2. */
static void execute_on_first(void *context, const stele_verdict *verdict)
{
    (void)context, (void)verdict;
    atomic_store(&second_is_in, 1);
    spin_until(&first_is_in);
    second_answer = execute_quietly("a-1", NULL, NULL);
}

/* Told by the thread that has the turn at a-1. */
static void execute_on_second(void *context, const stele_verdict *verdict)
{
    (void)context, (void)verdict;
    submit_one("s-2", execute_on_first);
    atomic_store(&second_may_begin, 1);
    spin_until(&second_is_in);
    atomic_store(&first_is_in, 1);
    first_answer = execute_quietly("a-2", NULL, NULL);
}

static void *execute_second(void *context)
{
    spin_until(&second_may_begin);
    *(stele_status *)context = execute_quietly("a-2", NULL, NULL);
    return NULL;
}

START_TEST(callbacks_that_execute_crosswise_do_not_wait_for_each_other)
{
    pthread_t thread;
    stele_status second = STELE_INVALID;
    first_answer = second_answer = STELE_INVALID;
    ck_assert_int_eq(pthread_create(&thread, NULL, execute_second, &second), 0);
    submit_one("s-1", execute_on_second);
    int64_t began = now_ms();

    assert_status(execute_quietly("a-1", NULL, NULL), STELE_OK);

    pthread_join(thread, NULL);
    assert_status(second, STELE_OK);
    assert_status(first_answer, STELE_OK);
    assert_status(second_answer, STELE_OK);
    ck_assert_int_lt(now_ms() - began, 4000); /* busy_timeout_ms is 5000 */
    expect_balance("a-1", 2);
    expect_balance("a-2", 2);
}
END_TEST

static stele_executed executed_in_callback;

static void execute_on_own(void *context, const stele_verdict *verdict)
{
    (void)context, (void)verdict;
    first_answer = execute_quietly("a-1", NULL, &executed_in_callback);
}

START_TEST(callback_may_execute_on_the_stream_that_its_thread_has_the_turn_of)
{
    stele_executed outer;
    first_answer = STELE_INVALID;
    submit_one("s-1", execute_on_own);

    assert_status(execute_quietly("a-1", NULL, &outer), STELE_OK);

    assert_status(first_answer, STELE_OK);
    ck_assert_int_eq(outer.version, 1);
    ck_assert_int_eq(executed_in_callback.version, 2);
    expect_balance("a-1", 2);
    assert_status(execute_quietly("a-1", NULL, NULL), STELE_OK);
}
END_TEST

/* --- A turn that comes too late --- */

static atomic_int holder_is_in, holder_is_done, waiter_gives_up;

static void hold_first_decision(int nth)
{
    if (nth > 1)
        return;
    atomic_store(&holder_is_in, 1);
    spin_until(&waiter_gives_up);
}

static void *execute_held(void *context)
{
    *(stele_status *)context = execute_quietly("a-1", NULL, NULL);
    atomic_store(&holder_is_done, 1);
    return NULL;
}

/* While it says that it gives up, the turn is handed to it. */
static int give_up_late(void *context)
{
    (void)context;
    atomic_store(&waiter_gives_up, 1);
    spin_until(&holder_is_done);
    return 1;
}

START_TEST(turn_that_comes_while_giving_up_is_passed_on)
{
    pthread_t thread;
    stele_status held = STELE_INVALID;
    stele_wait wait = STELE_WAIT_INIT;
    teller.in_decide = hold_first_decision;
    ck_assert_int_eq(pthread_create(&thread, NULL, execute_held, &held), 0);
    spin_until(&holder_is_in);
    wait.progress = give_up_late;

    assert_status(execute_quietly("a-1", &wait, NULL), STELE_CANCELLED);

    pthread_join(thread, NULL);
    assert_status(held, STELE_OK);
    wait = (stele_wait)STELE_WAIT_INIT;
    wait.timeout_ms = 20000;
    assert_status(execute_quietly("a-1", &wait, &executed), STELE_OK);
    ck_assert_int_eq(executed.version, 2);
}
END_TEST

/* --- The look at a key --- */

static atomic_int turn_is_held, turn_may_end;

static void *hold_store(void *context)
{
    (void)context;
    stele_transaction *transaction = begin();
    atomic_store(&turn_is_held, 1);
    spin_until(&turn_may_end);
    stele_transaction_end(transaction);
    return NULL;
}

static int cancel_at_once(void *context)
{
    (void)context;
    return 1;
}

/* In memory there is one connection, and somebody has it. */
START_TEST(waiting_to_look_at_a_key_is_part_of_the_time_that_was_given)
{
    static const stele_status expected[] = { STELE_BUSY, STELE_BUSY, STELE_CANCELLED };
    pthread_t thread;
    stele_wait wait = STELE_WAIT_INIT;
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = make_execute("a-1", &what);
    ck_assert_int_eq(pthread_create(&thread, NULL, hold_store, NULL), 0);
    spin_until(&turn_is_held);
    wait.timeout_ms = _i == 1 ? 50 : 0;
    if (_i == 2) {
        wait.timeout_ms = 60000;
        wait.progress = cancel_at_once;
    }
    execute.idempotency_key = "k-1";
    execute.wait = &wait;
    int64_t began = now_ms();

    assert_status(execute_by(&execute), expected[_i]);

    ck_assert_int_lt(now_ms() - began, 4000); /* busy_timeout_ms is 5000 */
    ck_assert_uint_eq(executed.tries, 0);
    atomic_store(&turn_may_end, 1);
    pthread_join(thread, NULL);
    assert_status(move_by_key("a-1", 1, "k-1"), STELE_OK);
    ck_assert(!executed.duplicate);
}
END_TEST

/* --- Closing --- */

typedef struct patient {
    pthread_t thread;
    stele_status status;
    atomic_int ended;
} patient;

static void *wait_without_end(void *context)
{
    patient *self = context;
    self->status = execute_quietly("a-1", NULL, NULL);
    atomic_store(&self->ended, 1);
    return NULL;
}

static void *close_there(void *context)
{
    (void)context;
    stele_aggregate_close(accounts);
    return NULL;
}

/* Nobody would ask them whether to go on, and their time ends in weeks. */
START_TEST(closing_wakes_those_who_wait_in_line_without_a_bound)
{
    enum { PATIENTS = 3 };
    patient patients[PATIENTS];
    pthread_t closer;
    stele_options options = STELE_OPTIONS_INIT;
    close_accounts();
    close_store();
    options.busy_timeout_ms = INT32_MAX;
    store = open_path(store_path(), &options);
    register_moves(store);
    open_accounts_by(account_decider(), NULL);
    teller.in_decide = hold_first_decision;
    for (int i = 0; i < PATIENTS; i++) {
        atomic_store(&patients[i].ended, 0);
        ck_assert_int_eq(pthread_create(&patients[i].thread, NULL, wait_without_end, &patients[i]),
                         0);
        if (i == 0)
            spin_until(&holder_is_in);
    }
    nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);

    ck_assert_int_eq(pthread_create(&closer, NULL, close_there, NULL), 0);

    for (int i = 1; i < PATIENTS; i++)
        spin_until(&patients[i].ended);
    ck_assert_int_eq(atomic_load(&patients[0].ended), 0);
    atomic_store(&waiter_gives_up, 1); /* the one that decides is let go */
    for (int i = 0; i < PATIENTS; i++) {
        pthread_join(patients[i].thread, NULL);
        ck_assert_int_eq(patients[i].status, STELE_CLOSED);
    }
    pthread_join(closer, NULL);
    accounts = NULL;
}
END_TEST

static void open_turns(void)
{
    atomic_int *flags[] = { &first_is_in,    &second_is_in,    &second_may_begin, &holder_is_in,
                            &holder_is_done, &waiter_gives_up, &turn_is_held,     &turn_may_end };
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        atomic_store(flags[i], 0);
    open_accounts();
}

static void open_turns_in_memory(void)
{
    open_turns();
    close_accounts();
    close_store();
    open_in_memory();
    register_moves(store);
    open_accounts_by(account_decider(), NULL);
}

int main(void)
{
    Suite *suite = suite_create("aggregate_turns");
    TCase *tests = add_bank_case(suite, "turns", open_turns);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, callbacks_that_execute_crosswise_do_not_wait_for_each_other);
    tcase_add_test(tests, callback_may_execute_on_the_stream_that_its_thread_has_the_turn_of);
    tcase_add_test(tests, turn_that_comes_while_giving_up_is_passed_on);
    tcase_add_test(tests, closing_wakes_those_who_wait_in_line_without_a_bound);
    TCase *memory = add_bank_case(suite, "memory", open_turns_in_memory);
    tcase_set_timeout(memory, 60);
    tcase_add_loop_test(memory, waiting_to_look_at_a_key_is_part_of_the_time_that_was_given, 0, 3);
    return run_suite(suite);
}
