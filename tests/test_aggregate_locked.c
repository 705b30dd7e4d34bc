/*
 * A command that was overtaken often enough is decided with the write lock held, where nobody can
 * overtake it. The others are a second handle, used by a thread (pthread), that gives up soon.
 */
#include "account_calls.h"
#include "bad_wal.h"

#include <stele/lifecycle.h>
#include <stele/submit.h>

enum { MEDDLES = 32 };

static stele_store *beside;
static int64_t meddled_amount;
static stele_status meddled[MEDDLES]; /* what the others were answered in the n-th decision */
static int meddled_count;
static void (*meddling_more)(int nth);

static void append_beside(void)
{
    meddled[meddled_count] = append_move(beside, "a-1", meddled_amount);
}

/* In each decision, whether the lock is held or not. */
static void meddle_always(int nth)
{
    ck_assert_int_lt(nth, MEDDLES);
    meddled_count = nth;
    on_another_thread(append_beside);
    if (meddling_more != NULL)
        meddling_more(nth);
}

static void begin_meddling(void)
{
    memset(meddled, 0, sizeof(meddled));
    atomic_store(&teller.decided, 0);
    teller.in_decide = meddle_always;
}

static void open_beside_soon_tired(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 20;
    beside = open_path(store_path(), &options);
    register_moves(beside);
}

static void open_meddled(void)
{
    meddled_amount = 1;
    meddling_more = NULL;
    open_accounts();
    open_beside_soon_tired();
    append_moves(store, "a-1", 5);
    begin_meddling();
}

static void close_meddled(void)
{
    stele_store_close(beside);
    beside = NULL;
    close_bank();
}

static void open_accounts_with(uint32_t lock_after, uint32_t tries)
{
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    options.lock_after = lock_after;
    options.tries = tries;
    options.backoff_us = 0;
    close_accounts();
    open_accounts_by(account_decider(), &options);
}

/* The lock is free again, whatever became of the command: for others at once, and for us. */
static void expect_lock_is_free(void)
{
    teller.in_decide = NULL;
    assert_status(append_move(beside, "b-1", 1), STELE_OK);
    assert_status(append_move(store, "b-1", 1), STELE_OK);
    assert_status(move("b-1", 1), STELE_OK);
}

/* --- When the lock is taken --- */

START_TEST(command_overtaken_three_times_is_decided_with_the_lock_held)
{
    assert_status(move("a-1", 10), STELE_OK);

    ck_assert_uint_eq(executed.tries, 4);
    for (int nth = 1; nth <= 3; nth++)
        assert_status(meddled[nth], STELE_OK);
    assert_status(meddled[4], STELE_BUSY);
    ck_assert_int_eq(executed.fold.folded, 5 + 3);
    ck_assert_int_eq(executed.version, 9);
    ck_assert_uint_eq(executed.event_count, 1);
    ck_assert_int_eq(executed.first_position, 9);
    ck_assert_int_eq(executed.last_position, 9);
    ck_assert_uint_eq(describe_accounts().conflicts, 3);
    ck_assert_uint_eq(describe_accounts().executed, 1);
    expect_lock_is_free();
    expect_balance("a-1", 18);
    ck_assert(loaded.fold.cached);
    ck_assert_int_eq(loaded.fold.folded, 1);
}
END_TEST

START_TEST(lock_is_taken_after_as_many_tries_as_the_options_say)
{
    open_accounts_with((uint32_t)_i, 20);

    assert_status(move("a-1", 10), STELE_OK);

    ck_assert_uint_eq(executed.tries, (uint32_t)_i + 1);
    assert_status(meddled[_i], STELE_OK);
    assert_status(meddled[_i + 1], STELE_BUSY);
    expect_lock_is_free();
}
END_TEST

START_TEST(lock_is_never_taken_when_the_options_say_so)
{
    open_accounts_with(0, 20);

    assert_status(move("a-1", 10), STELE_CONFLICT);

    ck_assert_uint_eq(executed.tries, 20);
    for (int nth = 1; nth <= 20; nth++)
        assert_status(meddled[nth], STELE_OK);
}
END_TEST

START_TEST(lock_is_not_taken_when_the_tries_are_over)
{
    open_accounts_with(3, 3);

    assert_status(move("a-1", 10), STELE_CONFLICT);

    ck_assert_uint_eq(executed.tries, 3);
    ck_assert_int_eq(atomic_load(&teller.decided), 3);
    expect_lock_is_free();
}
END_TEST

/* There is one connection, and its turn is the lock. */
START_TEST(lock_is_taken_in_memory_too)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 50;
    close_accounts();
    close_store();
    store = open_path(":memory:", &options);
    register_moves(store);
    open_accounts_by(account_decider(), NULL);
    append_moves(store, "a-1", 5);
    stele_store *file = beside;
    beside = store;

    assert_status(move("a-1", 10), STELE_OK);

    ck_assert_uint_eq(executed.tries, 4);
    assert_status(meddled[3], STELE_OK);
    assert_status(meddled[4], STELE_BUSY);
    ck_assert_int_eq(executed.fold.folded, 5 + 3);
    expect_lock_is_free();
    expect_balance("a-1", 18);
    beside = file;
}
END_TEST

/* --- What may go wrong there --- */

static void take_all_at_three(int nth)
{
    meddled_amount = nth == 2 ? -7 : 1; /* of the next one */
}

START_TEST(command_refused_with_the_lock_held_leaves_nothing)
{
    meddling_more = take_all_at_three;

    assert_status(move("a-1", -1), STELE_REFUSED);

    ck_assert_uint_eq(executed.tries, 4);
    ck_assert_int_eq(executed.refusal, 7);
    ck_assert_int_eq(executed.version, 8);
    expect_lock_is_free();
    expect_balance("a-1", 0);
    ck_assert_int_eq(version_of("a-1"), 8);
}
END_TEST

START_TEST(fold_that_fails_with_the_lock_held_leaves_nothing)
{
    teller.evolve_version = 8;
    teller.evolve_answer = STELE_UNSUPPORTED;

    assert_status(move("a-1", 10), STELE_UNSUPPORTED);

    ck_assert_uint_eq(executed.tries, 3);
    ck_assert_uint_eq(executed.event_count, 0);
    teller.evolve_answer = STELE_OK;
    expect_lock_is_free();
    expect_balance("a-1", 8);
}
END_TEST

static void emit_nonsense_at_four(int nth)
{
    meddled_amount = nth;
}

static stele_status emit_wrong_bytes(stele_decision *decision)
{
    stele_event event = make_event("Moved", meddled_amount < 4 ? "{\"amount\":1}" : "{no");
    return stele_decision_emit_event(decision, &event);
}

START_TEST(append_that_is_refused_with_the_lock_held_leaves_nothing)
{
    meddling_more = emit_nonsense_at_four;

    assert_status(execute_command("a-1", (command){ .verb = EMIT, .emit = emit_wrong_bytes }),
                  STELE_INVALID);

    ck_assert_uint_eq(executed.tries, 4);
    ck_assert_uint_eq(executed.event_count, 0);
    assert_reason_has("stream 'a-1' at version 8");
    expect_lock_is_free();
    ck_assert_int_eq(version_of("a-1"), 8);
}
END_TEST

static void delete_and_append(void)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "a-1";
    assert_status(stele_store_delete(beside, &call, NULL), STELE_OK);
    append_moves(beside, "a-1", 2);
}

static void replace_at_three(int nth)
{
    if (nth == 3)
        on_another_thread(delete_and_append);
}

START_TEST(stream_made_anew_before_the_lock_is_folded_anew)
{
    meddling_more = replace_at_three;

    assert_status(move("a-1", 10), STELE_OK);

    ck_assert_uint_eq(executed.tries, 4);
    ck_assert_int_eq(executed.version, 3);
    expect_lock_is_free();
    expect_balance("a-1", 12);
}
END_TEST

/* --- What goes on as without it --- */

START_TEST(state_after_a_locked_try_is_handed_out)
{
    memo state;
    command what = { .verb = MOVE, .amount = 2 };
    stele_execute execute = make_execute("a-1", &what);
    stele_decider decider = memo_decider();
    if (_i == 1)
        decider.copy = NULL;
    close_accounts();
    open_accounts_by(decider, NULL);
    execute.state = &state;

    assert_status(execute_by(&execute), STELE_OK);

    ck_assert_uint_eq(executed.tries, 4);
    ck_assert_str_eq(state.text, ":+1+1+1+1+1+1+1+1+2");
    ck_assert_int_eq(executed.state_version, 9);
    stele_aggregate_clear(accounts, &state);
    expect_lock_is_free();
}
END_TEST

START_TEST(key_of_a_locked_try_is_known_afterwards)
{
    assert_status(move_by_key("a-1", 10, "k-1"), STELE_OK);
    ck_assert_uint_eq(executed.tries, 4);
    ck_assert(!executed.duplicate);
    stele_executed first = executed;

    assert_status(move_by_key("a-1", 10, "k-1"), STELE_OK);

    ck_assert(executed.duplicate);
    ck_assert_int_eq(executed.version, first.version);
    ck_assert_int_eq(executed.first_position, first.first_position);
    expect_lock_is_free();
}
END_TEST

START_TEST(command_that_emits_nothing_needs_no_lock)
{
    int64_t head = head_of(store);

    assert_status(execute_command("a-1", (command){ .verb = IDLE }), STELE_OK);

    ck_assert_uint_eq(executed.tries, 1);
    ck_assert_int_eq(head_of(store), head + 1);
}
END_TEST

static stele_status told_execution;
static uint32_t told_tries;

static void execute_in_callback(void *context, const stele_verdict *verdict)
{
    (void)context;
    assert_status(verdict->status, STELE_OK);
    told_execution = move("a-1", 10);
    told_tries = executed.tries;
}

START_TEST(callback_of_a_verdict_may_lock_too)
{
    stele_event event = make_event("Moved", "{\"amount\":1}");
    stele_append append = make_append("s-1", STELE_ANY, &event, 1);
    stele_submit submit = STELE_SUBMIT_INIT;
    told_execution = STELE_INVALID;
    submit.callback = execute_in_callback;
    assert_status(stele_store_submit(store, &append, &submit, NULL), STELE_OK);

    assert_status(stele_store_flush(store, NULL), STELE_OK);

    assert_status(told_execution, STELE_OK);
    ck_assert_uint_eq(told_tries, 4);
    expect_lock_is_free();
}
END_TEST

/* --- A disk that fails while the lock is held --- */

static void open_on_bad_disk(void)
{
    install_disk_hooks();
    memset(&fault, 0, sizeof(fault));
    disk_hook = fail_as_told;
    open_meddled();
}

static void close_bad_disk(void)
{
    fault.times = 0;
    close_meddled();
    remove_disk_hooks();
}

static int fault_place;

static void break_disk_at_four(int nth)
{
    if (nth < 4)
        return;
    fault.let_through = fault_place;
    fault.times = 1;
}

/* The n-th write, for every n of a locked try. */
START_TEST(disk_that_fails_with_the_lock_held_is_told)
{
    static const struct {
        int code;
        stele_status expected;
    } codes[] = { { SQLITE_IOERR_WRITE, STELE_UNKNOWN_OUTCOME }, { SQLITE_FULL, STELE_FULL } };
    int told = 0;
    stele_status status = STELE_INVALID;
    meddling_more = break_disk_at_four;
    fault.call = DISK_WRITE;
    fault.code = codes[_i].code;
    for (fault_place = 0; fault_place < 100 && status != STELE_OK; fault_place++) {
        int64_t version = version_of("a-1");
        begin_meddling();
        status = move("a-1", 1);
        fault.times = 0;
        ck_assert_uint_eq(executed.tries, 4);
        ck_assert_uint_eq(executed.event_count, status == STELE_OK);
        ck_assert_int_eq(executed.last_position != 0, status == STELE_OK);
        told += status == codes[_i].expected;
        expect_lock_is_free();
        if (status != STELE_UNKNOWN_OUTCOME)
            ck_assert_int_eq(version_of("a-1"), version + 3 + (status == STELE_OK));
        expect_balance("a-1", version_of("a-1"));
    }
    assert_status(status, STELE_OK);
    ck_assert_int_gt(told, 0);
}
END_TEST

START_TEST(unknown_outcome_of_a_locked_try_is_settled_by_the_key)
{
    meddling_more = break_disk_at_four;
    fault_place = 0;
    fault.call = DISK_SYNC;
    fault.code = SQLITE_IOERR_FSYNC;
    fault.stays = true;
    assert_status(move_by_key("a-1", 10, "k-1"), STELE_UNKNOWN_OUTCOME);
    ck_assert_uint_eq(executed.tries, 4);
    ck_assert_uint_eq(executed.event_count, 0);
    fault.times = 0;
    teller.in_decide = NULL;

    assert_status(move_by_key("a-1", 10, "k-1"), STELE_OK);

    ck_assert_int_eq(executed.version, 9);
    ck_assert_uint_eq(executed.event_count, 1);
    expect_balance("a-1", 18);
    expect_lock_is_free();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_locked");
    TCase *tests = tcase_create("locked");
    tcase_add_checked_fixture(tests, open_meddled, close_meddled);
    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, command_overtaken_three_times_is_decided_with_the_lock_held);
    tcase_add_loop_test(tests, lock_is_taken_after_as_many_tries_as_the_options_say, 1, 6);
    tcase_add_test(tests, lock_is_never_taken_when_the_options_say_so);
    tcase_add_test(tests, lock_is_not_taken_when_the_tries_are_over);
    tcase_add_test(tests, lock_is_taken_in_memory_too);
    tcase_add_test(tests, command_refused_with_the_lock_held_leaves_nothing);
    tcase_add_test(tests, fold_that_fails_with_the_lock_held_leaves_nothing);
    tcase_add_test(tests, append_that_is_refused_with_the_lock_held_leaves_nothing);
    tcase_add_test(tests, stream_made_anew_before_the_lock_is_folded_anew);
    tcase_add_loop_test(tests, state_after_a_locked_try_is_handed_out, 0, 2);
    tcase_add_test(tests, key_of_a_locked_try_is_known_afterwards);
    tcase_add_test(tests, command_that_emits_nothing_needs_no_lock);
    tcase_add_test(tests, callback_of_a_verdict_may_lock_too);
    TCase *disk = tcase_create("disk");
    tcase_add_checked_fixture(disk, open_on_bad_disk, close_bad_disk);
    suite_add_tcase(suite, disk);
    tcase_set_timeout(disk, 60);
    tcase_add_loop_test(disk, disk_that_fails_with_the_lock_held_is_told, 0, 2);
    tcase_add_test(disk, unknown_outcome_of_a_locked_try_is_settled_by_the_key);
    return run_suite(suite);
}
