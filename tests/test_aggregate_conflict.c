/*
 * Somebody else appends between deciding and appending: what was missed is folded, that alone, and
 * the command is decided again. The others are a second handle on the file, used by a thread
 * (pthread) since a callback may not.
 */
#include "account_calls.h"

#include <stele/lifecycle.h>
#include <time.h>

static stele_store *beside;
static int meddle_until;
static void (*meddling)(void);

static void append_three_beside(void)
{
    append_moves(beside, "a-1", 3);
}

static void append_one_beside(void)
{
    append_moves(beside, "a-1", 1);
}

static void take_all_beside(void)
{
    assert_status(append_move(beside, "a-1", -5), STELE_OK);
}

static void delete_from(stele_store *of)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "a-1";
    assert_status(stele_store_delete(of, &call, NULL), STELE_OK);
}

static void delete_beside(void)
{
    delete_from(beside);
}

/* Another stream of the name, as long as the one before. */
static void replace_beside(void)
{
    delete_from(beside);
    for (int i = 0; i < 5; i++)
        assert_status(append_move(beside, "a-1", 100), STELE_OK);
}

static void replace_here(void)
{
    delete_from(store);
    for (int i = 0; i < 5; i++)
        assert_status(append_move(store, "a-1", 100), STELE_OK);
}

static void archive_beside(void)
{
    stele_archive call = STELE_ARCHIVE_INIT;
    call.stream = "a-1";
    assert_status(stele_store_archive(beside, &call, NULL), STELE_OK);
}

static void meddle(int nth)
{
    if (nth <= meddle_until)
        on_another_thread(meddling);
}

/* In the first `times` calls of decide, `what` happens. */
static void let_happen(void (*what)(void), int times)
{
    meddling = what;
    meddle_until = times;
    teller.in_decide = meddle;
    atomic_store(&teller.decided, 0);
}

/* Nobody decides with the write lock held here: test_aggregate_locked.c does. */
static stele_aggregate_options without_lock(void)
{
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    options.lock_after = 0;
    return options;
}

static void open_two(void)
{
    stele_aggregate_options options = without_lock();
    open_bank();
    open_accounts_by(account_decider(), &options);
    beside = open_beside();
    append_moves(store, "a-1", 5);
}

static void close_two(void)
{
    stele_store_close(beside);
    beside = NULL;
    close_bank();
}

/* --- Once more --- */

/* A fold from the beginning would count 5 + 8: the exact number is the point. */
START_TEST(after_a_conflict_only_the_missed_events_are_folded)
{
    let_happen(append_three_beside, 1);

    assert_status(move("a-1", 10), STELE_OK);

    ck_assert_int_eq(executed.fold.folded, 5 + 3);
    ck_assert_uint_eq(executed.tries, 2);
    ck_assert_int_eq(executed.version, 9);
    ck_assert_uint_eq(describe_accounts().conflicts, 1);
    expect_balance("a-1", 18);
    ck_assert_int_eq(loaded.fold.folded, 1);
}
END_TEST

START_TEST(after_a_conflict_on_a_cached_state_only_the_missed_events_are_folded)
{
    expect_balance("a-1", 5);
    let_happen(append_three_beside, 4);

    assert_status(move("a-1", 10), STELE_OK);

    ck_assert(executed.fold.cached);
    ck_assert_int_eq(executed.fold.folded, 4 * 3);
    ck_assert_uint_eq(executed.tries, 5);
    ck_assert_int_eq(atomic_load(&teller.evolved), 5 + 4 * 3);
}
END_TEST

START_TEST(overtaken_command_is_decided_on_the_state_that_it_meets)
{
    let_happen(take_all_beside, 1);

    assert_status(move("a-1", -1), STELE_REFUSED);

    ck_assert_uint_eq(executed.tries, 2);
    ck_assert_int_eq(executed.refusal, 7);
    ck_assert_int_eq(executed.version, 6);
    expect_balance("a-1", 0);
}
END_TEST

START_TEST(command_that_emits_nothing_conflicts_with_nobody)
{
    let_happen(append_three_beside, 1);

    assert_status(execute_command("a-1", (command){ .verb = IDLE }), STELE_OK);

    ck_assert_uint_eq(executed.tries, 1);
    ck_assert_int_eq(executed.version, 5);
}
END_TEST

START_TEST(command_that_is_overtaken_each_time_is_a_conflict)
{
    command what = { .verb = MOVE, .amount = 10 };
    stele_execute execute = make_execute("a-1", &what);
    execute.tries = 4;
    let_happen(append_one_beside, 1000);

    assert_status(execute_by(&execute), STELE_CONFLICT);

    ck_assert_uint_eq(executed.tries, 4);
    ck_assert_int_eq(executed.version, 5 + 4);
    ck_assert_uint_eq(executed.event_count, 0);
    ck_assert_int_eq(executed.fold.folded, 5 + 3);
    ck_assert_uint_eq(describe_accounts().conflicts, 4);
    assert_reason_has("a-1");
    assert_reason_has("4 times");
    ck_assert_int_eq(head_of(store), 9);
}
END_TEST

START_TEST(tries_are_those_of_the_options_when_a_command_has_none)
{
    stele_aggregate_options options = without_lock();
    close_accounts();
    options.tries = 1;
    open_accounts_by(account_decider(), &options);
    let_happen(append_one_beside, 1000);

    assert_status(move("a-1", 1), STELE_CONFLICT);
    ck_assert_uint_eq(executed.tries, 1);
}
END_TEST

/* --- Which version is expected --- */

static stele_status move_expecting(const char *stream, int64_t expected)
{
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = make_execute(stream, &what);
    execute.expected_version = expected;
    return execute_by(&execute);
}

START_TEST(expected_version_is_met_before_anything_is_decided)
{
    assert_status(move_expecting("a-1", 4), STELE_CONFLICT);
    assert_reason_has("at version 5, expected 4");
    ck_assert_int_eq(executed.version, 5);
    ck_assert_uint_eq(executed.tries, 0);
    assert_status(move_expecting("a-1", 6), STELE_CONFLICT);
    assert_status(move_expecting("a-1", STELE_NO_STREAM), STELE_CONFLICT);
    assert_status(move_expecting("new-1", STELE_STREAM_EXISTS), STELE_CONFLICT);
    ck_assert_int_eq(executed.version, 0);
    assert_status(move_expecting("new-1", 1), STELE_CONFLICT);
    ck_assert_int_eq(atomic_load(&teller.decided), 0);
    ck_assert_int_eq(head_of(store), 5);

    assert_status(move_expecting("a-1", 5), STELE_OK);
    assert_status(move_expecting("a-1", STELE_STREAM_EXISTS), STELE_OK);
    assert_status(move_expecting("new-1", STELE_NO_STREAM), STELE_OK);
    assert_status(move_expecting("new-1", STELE_ANY), STELE_OK);
    ck_assert_uint_eq(describe_accounts().conflicts, 0);
}
END_TEST

START_TEST(expected_version_that_is_overtaken_is_a_conflict_and_not_tried_again)
{
    let_happen(append_one_beside, 1);

    assert_status(move_expecting("a-1", 5), STELE_CONFLICT);

    ck_assert_uint_eq(executed.tries, 1);
    ck_assert_int_eq(executed.version, 6);
    ck_assert_int_eq(atomic_load(&teller.decided), 1);
}
END_TEST

/* --- Another stream of the name --- */

/* It has come just as far, so its version says nothing. */
START_TEST(stream_made_anew_while_deciding_is_decided_on_anew)
{
    expect_balance("a-1", 5);
    let_happen(_i == 0 ? replace_beside : replace_here, 1);

    assert_status(move("a-1", -50), STELE_REFUSED); /* decided on 5 */
    assert_status(move("a-1", -50), STELE_OK);      /* decided on 500 */
    ck_assert_int_eq(executed.version, 6);
    replace_here();
    expect_balance("a-1", 500);

    let_happen(_i == 0 ? replace_beside : replace_here, 1);
    assert_status(move("a-1", -500), STELE_OK);
    ck_assert_uint_eq(executed.tries, 2);
    expect_balance("a-1", 0);
    ck_assert_int_eq(loaded.version, 6);
}
END_TEST

START_TEST(stream_deleted_while_deciding_is_decided_on_as_new)
{
    let_happen(delete_beside, 1);

    assert_status(move("a-1", -3), STELE_REFUSED);

    ck_assert_uint_eq(executed.tries, 2);
    ck_assert_int_eq(executed.version, 0);
    expect_balance("a-1", 0);
    ck_assert_int_eq(loaded.version, 0);
}
END_TEST

START_TEST(stream_archived_while_deciding_takes_nothing)
{
    let_happen(archive_beside, 1);

    assert_status(move("a-1", 3), STELE_ARCHIVED);

    ck_assert_uint_eq(executed.tries, 1);
    expect_balance("a-1", 5);
    ck_assert_int_eq(loaded.stream_state, STELE_STREAM_ARCHIVED);
}
END_TEST

/* --- Backing off --- */

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* How long a command of so many tries takes beyond the meddling. */
static int64_t time_tries(uint32_t tries, uint32_t backoff_us, uint32_t backoff_max_us)
{
    stele_aggregate_options options = without_lock();
    command what = { .verb = MOVE, .amount = 10 };
    stele_execute execute = make_execute("a-1", &what);
    close_accounts();
    options.backoff_us = backoff_us;
    options.backoff_max_us = backoff_max_us;
    open_accounts_by(account_decider(), &options);
    execute.tries = tries;
    let_happen(append_one_beside, 1000);
    int64_t began = now_us();
    assert_status(execute_by(&execute), STELE_CONFLICT);
    return now_us() - began;
}

/* Before the third try, the fourth, ...: 40, 80, 80 and 80 ms, of each at least half. */
START_TEST(third_and_further_tries_wait_longer_up_to_the_bound)
{
    int64_t none = time_tries(6, 0, 80000);
    int64_t took = time_tries(6, 40000, 80000);

    ck_assert_int_ge(took, (40000 + 3 * 80000) / 2);
    ck_assert_int_lt(took, 40000 + 3 * 80000 + 10 * none + 10000000);
    /* Neither the second try nor the end waits. */
    ck_assert_int_lt(time_tries(2, 60000000, 60000000), 20000000);
    /* A bound below the first wait. */
    ck_assert_int_lt(time_tries(4, 60000000, 1000), 20000000);
}
END_TEST

static int asked;

static int stop_when_asked(void *context)
{
    asked++;
    return context != NULL;
}

START_TEST(waiting_between_tries_ends_with_the_callers_patience)
{
    stele_aggregate_options options = without_lock();
    command what = { .verb = MOVE, .amount = 10 };
    stele_execute execute = make_execute("a-1", &what);
    stele_wait wait = STELE_WAIT_INIT;
    close_accounts();
    options.backoff_us = options.backoff_max_us = 60000000;
    open_accounts_by(account_decider(), &options);
    execute.wait = &wait;
    int64_t began = 0;

    /* On a slow disk two tries need a longer patience, or it ends before there is a wait. */
    executed.tries = 0;
    for (wait.timeout_ms = 300; executed.tries < 2 && wait.timeout_ms < 20000;
         wait.timeout_ms *= 2) {
        let_happen(append_one_beside, 2);
        began = now_us();
        assert_status(execute_by(&execute), STELE_BUSY);
        ck_assert_int_ge(now_us() - began, (int64_t)wait.timeout_ms * 1000 - 10000);
    }
    ck_assert_uint_eq(executed.tries, 2);
    began = now_us();
    atomic_store(&teller.decided, 0);
    wait.timeout_ms = STELE_TIMEOUT_DEFAULT;
    wait.progress = stop_when_asked;
    wait.context = &asked;
    assert_status(execute_by(&execute), STELE_CANCELLED);
    ck_assert_int_lt(now_us() - began, 20000000);
    ck_assert_int_gt(asked, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_conflict");
    TCase *tests = tcase_create("overtaken");
    tcase_add_checked_fixture(tests, open_two, close_two);
    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, after_a_conflict_only_the_missed_events_are_folded);
    tcase_add_test(tests, after_a_conflict_on_a_cached_state_only_the_missed_events_are_folded);
    tcase_add_test(tests, overtaken_command_is_decided_on_the_state_that_it_meets);
    tcase_add_test(tests, command_that_emits_nothing_conflicts_with_nobody);
    tcase_add_test(tests, command_that_is_overtaken_each_time_is_a_conflict);
    tcase_add_test(tests, tries_are_those_of_the_options_when_a_command_has_none);
    tcase_add_test(tests, expected_version_is_met_before_anything_is_decided);
    tcase_add_test(tests, expected_version_that_is_overtaken_is_a_conflict_and_not_tried_again);
    tcase_add_loop_test(tests, stream_made_anew_while_deciding_is_decided_on_anew, 0, 2);
    tcase_add_test(tests, stream_deleted_while_deciding_is_decided_on_as_new);
    tcase_add_test(tests, stream_archived_while_deciding_takes_nothing);
    tcase_add_test(tests, third_and_further_tries_wait_longer_up_to_the_bound);
    tcase_add_test(tests, waiting_between_tries_ends_with_the_callers_patience);
    return run_suite(suite);
}
