/*
 * What gets in the way of a command: another writer, a clock that runs out, a disk that fails, a
 * store that can't be written. Another writer works on a thread (pthread) or its own handle.
 */
#include "wrap.h"

#include "account_calls.h"
#include "bad_wal.h"

#include <time.h>

/* --- Somebody else holds the lock --- */

static stele_store *beside;
static stele_transaction *foreign;
static int asked;

static void lock_beside(void)
{
    asked = 0;
    open_accounts();
    append_moves(store, "a-1", 3);
    beside = open_beside();
    assert_status(stele_transaction_begin(beside, &foreign), STELE_OK);
}

static void unlock_beside(void)
{
    stele_transaction_end(foreign);
    foreign = NULL;
}

static void close_beside(void)
{
    unlock_beside();
    stele_store_close(beside);
    beside = NULL;
    close_bank();
}

static int stop_when_asked(void *context)
{
    asked++;
    return context != NULL;
}

static stele_status move_waiting(const stele_wait *wait)
{
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = make_execute("a-1", &what);
    execute.wait = wait;
    return execute_by(&execute);
}

static void expect_nothing_done(void)
{
    ck_assert_uint_eq(executed.event_count, 0);
    ck_assert_int_eq(version_of("a-1"), 3);
    unlock_beside();
    assert_status(move("a-1", 1), STELE_OK);
    ck_assert_int_eq(executed.version, 4);
    ck_assert(executed.fold.cached); /* what was folded for nothing is of use */
}

START_TEST(waiting_for_another_writer_ends_with_the_time_that_was_given)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = _i == 0 ? 0 : 500; /* more than folding takes on a busy machine */
    assert_status(move_waiting(&wait), STELE_BUSY);
    ck_assert_uint_le(executed.tries, 1);
    if (_i > 0)
        expect_nothing_done();
}
END_TEST

START_TEST(waiting_for_another_writer_can_be_cancelled)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.progress = stop_when_asked;
    wait.context = &asked;
    assert_status(move_waiting(&wait), STELE_CANCELLED);
    ck_assert_int_gt(asked, 0);
    ck_assert_int_eq(version_of("a-1"), 3);
}
END_TEST

START_TEST(without_a_time_each_wait_is_as_long_as_the_stores)
{
    stele_options options = STELE_OPTIONS_INIT;
    close_accounts();
    close_store();
    options.busy_timeout_ms = 60;
    store = open_path(store_path(), &options);
    register_moves(store);
    open_accounts_by(account_decider(), NULL);
    assert_status(move_waiting(NULL), STELE_BUSY);
    expect_nothing_done();
}
END_TEST

static atomic_bool locked;

static void *lock_for_a_while(void *context)
{
    stele_transaction *held = NULL;
    assert_status(stele_transaction_begin(context, &held), STELE_OK);
    atomic_store(&locked, true);
    nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
    stele_transaction_end(held);
    return NULL;
}

START_TEST(command_goes_on_when_the_lock_is_free)
{
    stele_wait wait = STELE_WAIT_INIT;
    pthread_t thread;
    unlock_beside();
    ck_assert_int_eq(pthread_create(&thread, NULL, lock_for_a_while, beside), 0);
    while (!atomic_load(&locked))
        nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
    wait.timeout_ms = 60000;
    wait.progress = stop_when_asked;
    assert_status(move_waiting(&wait), STELE_OK);
    ck_assert_int_eq(executed.version, 4);
    ck_assert_int_gt(asked, 0);
    pthread_join(thread, NULL);
}
END_TEST

/* --- Folding takes long --- */

static void fold_slowly(int nth)
{
    (void)nth;
    nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

/* Of one page of events: so it isn't the reading that notices. */
START_TEST(folding_is_part_of_the_time_that_was_given)
{
    stele_wait wait = STELE_WAIT_INIT;
    append_moves(store, "a-1", 500);
    teller.in_evolve = fold_slowly;
    wait.timeout_ms = 60;
    if (_i == 1) {
        wait.timeout_ms = 60000;
        wait.progress = stop_when_asked;
        wait.context = &asked;
    }
    assert_status(move_waiting(&wait), _i == 1 ? STELE_CANCELLED : STELE_BUSY);
    ck_assert_int_lt(atomic_load(&teller.evolved), 400);
    ck_assert_int_eq(atomic_load(&teller.decided), 0);
}
END_TEST

/* --- A store that can't be written --- */

static void open_for_reading(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    open_accounts();
    append_moves(store, "a-1", 3);
    close_accounts();
    close_store();
    options.read_only = true;
    store = open_path(store_path(), &options);
    register_moves(store);
    open_accounts_by(account_decider(), NULL);
}

START_TEST(store_opened_for_reading_is_loaded_from)
{
    expect_balance("a-1", 3);
    assert_status(move("a-1", 1), STELE_READ_ONLY);
    ck_assert_uint_eq(executed.tries, 1);
    assert_status(execute_command("a-1", (command){ .verb = IDLE }), STELE_OK);
    assert_status(move("a-1", -5), STELE_REFUSED);
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_READ_ONLY);
    expect_balance("a-1", 3);
}
END_TEST

/* --- Other ways to open --- */

static void open_memory_accounts(void)
{
    reset_teller();
    open_in_memory();
    register_moves(store);
    open_accounts_by(account_decider(), NULL);
}

static void open_wrapped_accounts(void)
{
    reset_teller();
    wrap_file();
    register_moves(store);
    open_accounts_by(account_decider(), NULL);
}

static void close_wrapped_accounts(void)
{
    close_accounts();
    close_both_and_remove();
}

static void use_accounts(void)
{
    move_often("a-1", 3);
    assert_status(move_by_key("a-1", -1, "k-1"), STELE_OK);
    assert_status(move_by_key("a-1", -1, "k-1"), STELE_OK);
    ck_assert(executed.duplicate);
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    close_accounts();
    open_accounts_by(account_decider(), NULL);
    expect_balance("a-1", 2);
    ck_assert_int_eq(loaded.fold.snapshot_version, 4);
    stele_transaction *transaction = begin();
    assert_status(move_in(transaction, "a-1", 5), STELE_OK);
    commit_and_end(transaction);
    expect_balance("a-1", 7);
    stele_at at = STELE_AT_INIT;
    account state;
    at.stream = "a-1";
    at.version = 2;
    assert_status(stele_aggregate_at(accounts, &at, &state, NULL), STELE_OK);
    ck_assert_int_eq(state.balance, 2);
}

START_TEST(aggregates_work_in_memory)
{
    use_accounts();
}
END_TEST

START_TEST(aggregates_work_on_a_wrapped_handle)
{
    use_accounts();
    run_raw(handle, "CREATE TABLE mine(a)");
    assert_status(move("a-1", 1), STELE_OK);
}
END_TEST

/* --- A disk that fails --- */

static void open_on_bad_disk(void)
{
    install_disk_hooks();
    memset(&fault, 0, sizeof(fault));
    disk_hook = fail_as_told;
    open_accounts();
    append_moves(store, "a-1", 3);
}

static void close_bad_disk(void)
{
    fault.times = 0;
    close_bank();
    remove_disk_hooks();
}

/* The n-th write, for every n of a command. */
START_TEST(disk_that_fails_is_told_and_nothing_was_appended)
{
    static const struct {
        int code;
        stele_status expected;
    } codes[] = { { SQLITE_IOERR_WRITE, STELE_IO }, { SQLITE_FULL, STELE_FULL } };
    int told = 0;
    int64_t version = 3;
    stele_status status = STELE_INVALID;
    for (int place = 0; place < 100 && status != STELE_OK; place++) {
        fault.call = DISK_WRITE;
        fault.code = codes[_i].code;
        fault.times = 1;
        fault.let_through = place;
        status = move("a-1", 1);
        fault.times = 0;
        told += status == codes[_i].expected;
        if (status != STELE_UNKNOWN_OUTCOME)
            ck_assert_int_eq(version_of("a-1"), version + (status == STELE_OK));
        ck_assert_uint_eq(executed.event_count, status == STELE_OK);
        version = version_of("a-1");
        expect_balance("a-1", version);
    }
    assert_status(status, STELE_OK);
    ck_assert_int_gt(told, 0);
}
END_TEST

/* A sync that fails leaves it open, and the disk can't be written any more to settle it. The key
 * says later what became of it, whichever it is. */
START_TEST(unknown_outcome_is_settled_by_the_key)
{
    fault.call = DISK_SYNC;
    fault.code = SQLITE_IOERR_FSYNC;
    fault.times = 1;
    fault.stays = true;
    assert_status(move_by_key("a-1", 10, "k-1"), STELE_UNKNOWN_OUTCOME);
    fault.times = 0;

    assert_status(move_by_key("a-1", 10, "k-1"), STELE_OK);
    ck_assert_int_eq(executed.version, 4);
    ck_assert_uint_eq(executed.event_count, 1);
    expect_balance("a-1", 13);
    ck_assert_int_eq(version_of("a-1"), 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_failures");
    TCase *tests = tcase_create("another writer");
    tcase_add_checked_fixture(tests, lock_beside, close_beside);
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, waiting_for_another_writer_ends_with_the_time_that_was_given, 0, 2);
    tcase_add_test(tests, waiting_for_another_writer_can_be_cancelled);
    tcase_add_test(tests, without_a_time_each_wait_is_as_long_as_the_stores);
    tcase_add_test(tests, command_goes_on_when_the_lock_is_free);
    TCase *slow = add_bank_case(suite, "slow", open_accounts);
    tcase_add_loop_test(slow, folding_is_part_of_the_time_that_was_given, 0, 2);
    TCase *reading = add_bank_case(suite, "reading", open_for_reading);
    tcase_add_test(reading, store_opened_for_reading_is_loaded_from);
    TCase *memory = add_bank_case(suite, "memory", open_memory_accounts);
    tcase_add_test(memory, aggregates_work_in_memory);
    TCase *wrapped = tcase_create("wrapped");
    tcase_add_checked_fixture(wrapped, open_wrapped_accounts, close_wrapped_accounts);
    suite_add_tcase(suite, wrapped);
    tcase_add_test(wrapped, aggregates_work_on_a_wrapped_handle);
    TCase *disk = tcase_create("disk");
    tcase_add_checked_fixture(disk, open_on_bad_disk, close_bad_disk);
    suite_add_tcase(suite, disk);
    tcase_add_loop_test(disk, disk_that_fails_is_told_and_nothing_was_appended, 0, 2);
    tcase_add_test(disk, unknown_outcome_is_settled_by_the_key);
    return run_suite(suite);
}
