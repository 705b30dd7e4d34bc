/*
 * What becomes of a stream, and what an aggregate makes of it: closed, moved, deleted, made anew,
 * trimmed. What is folded of a stream that is gone is never shown again. A second handle is used
 * from a thread (pthread) where a callback is in the middle.
 */
#include "account_calls.h"
#include "lifecycles.h"

static void open_with_archive(void)
{
    open_accounts();
    open_archive();
    register_moves(archive);
}

static void close_with_archive(void)
{
    close_accounts();
    close_both();
}

static uint64_t cached_count(void)
{
    return describe_accounts().cached;
}

/* --- Closed --- */

START_TEST(closed_stream_is_loaded_and_takes_no_command)
{
    move_often("a-1", 3);
    if (_i == 0)
        assert_status(archive_here("a-1"), STELE_OK);
    else
        assert_status(tombstone_it("a-1"), STELE_OK);
    int decided = atomic_load(&teller.decided);

    assert_status(move("a-1", 1), _i == 0 ? STELE_ARCHIVED : STELE_TOMBSTONED);
    assert_reason_has("a-1");

    ck_assert_int_eq(atomic_load(&teller.decided), decided);
    ck_assert_uint_eq(executed.tries, 0);
    expect_balance("a-1", 3);
    ck_assert_int_eq(loaded.stream_state,
                     _i == 0 ? STELE_STREAM_ARCHIVED : STELE_STREAM_TOMBSTONED);
    if (_i == 0) {
        assert_status(restore_from("a-1", NULL, NULL), STELE_OK);
        assert_status(move("a-1", 1), STELE_OK);
        expect_balance("a-1", 4);
    }
}
END_TEST

START_TEST(stream_in_an_archive_is_loaded_when_that_is_attached)
{
    account state;
    move_often("a-1", 3);
    close_accounts();
    open_accounts_by(account_decider(), NULL);
    assert_status(archive_to("a-1", archive, NULL), STELE_OK);

    assert_status(try_load_account("a-1", &state), STELE_ARCHIVED);
    ck_assert(all_zero(&state, sizeof(state)));
    ck_assert_int_eq(loaded.version, 0);
    assert_status(move("a-1", 1), STELE_ARCHIVED);
    assert_status(stele_store_attach(store, archive), STELE_OK);
    expect_balance("a-1", 3);
    ck_assert_int_eq(loaded.stream_state, STELE_STREAM_ARCHIVED);
    assert_status(move("a-1", 1), STELE_ARCHIVED);
    assert_status(stele_store_detach(store, archive), STELE_OK);

    /* Nothing is needed of the archive any more. */
    expect_balance("a-1", 3);
    ck_assert(loaded.fold.cached);
    assert_status(restore_from("a-1", archive, NULL), STELE_OK);
    assert_status(move("a-1", 1), STELE_OK);
    ck_assert_int_eq(executed.fold.folded, 0);
    expect_balance("a-1", 4);
}
END_TEST

/* A snapshot at the tip needs no event. */
START_TEST(snapshot_at_the_tip_of_a_moved_stream_is_enough)
{
    account state;
    move_often("a-1", 3);
    move_often("a-2", 3);
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    assert_status(stele_aggregate_snapshot(accounts, "a-2", NULL), STELE_OK);
    move_often("a-2", 1);
    close_accounts();
    open_accounts_by(account_decider(), NULL);
    assert_status(archive_to("a-1", archive, NULL), STELE_OK);
    assert_status(archive_to("a-2", archive, NULL), STELE_OK);

    expect_balance("a-1", 3);
    ck_assert_int_eq(loaded.fold.snapshot_version, 3);
    ck_assert_int_eq(loaded.fold.folded, 0);
    assert_status(try_load_account("a-2", &state), STELE_ARCHIVED);
}
END_TEST

/* --- Deleted --- */

START_TEST(stream_that_was_never_there_has_the_initial_state)
{
    account state = load_account("none-1");
    ck_assert_int_eq(state.balance, 0);
    ck_assert_int_eq(loaded.version, 0);
    ck_assert_int_eq(loaded.stream_id, 0);
    ck_assert_int_eq(loaded.stream_state, STELE_STREAM_ACTIVE);
    ck_assert_uint_eq(cached_count(), 0);
}
END_TEST

START_TEST(deleting_takes_what_is_cached_along_at_once)
{
    move_often("a-1", 3);
    move_often("b-1", 3);
    ck_assert_uint_eq(cached_count(), 2);

    assert_status(delete_it("a-1"), STELE_OK);

    ck_assert_uint_eq(cached_count(), 1);
    expect_balance("a-1", 0);
    ck_assert_int_eq(loaded.version, 0);
    expect_balance("b-1", 3);
    ck_assert(loaded.fold.cached);
}
END_TEST

START_TEST(deleting_in_a_transaction_takes_what_is_cached_along_with_its_commit)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "a-1";
    move_often("a-1", 3);

    stele_transaction *transaction = begin();
    assert_status(stele_transaction_delete(transaction, &call, NULL), STELE_OK);
    stele_transaction_end(transaction);
    ck_assert_uint_eq(cached_count(), 1);

    transaction = begin();
    assert_status(stele_transaction_delete(transaction, &call, NULL), STELE_OK);
    assert_status(move_in(transaction, "a-1", 7), STELE_OK);
    ck_assert_int_eq(executed.version, 1);
    commit_and_end(transaction);
    ck_assert_uint_eq(cached_count(), 0);
    expect_balance("a-1", 7);
}
END_TEST

/* What owns something is freed at the next call, but counted no more at once. */
START_TEST(deleting_takes_states_that_own_along)
{
    close_accounts();
    open_accounts_by(_i == 0 ? ledger_decider() : memo_decider(), NULL);
    move_often("a-1", 3);
    int cleared = atomic_load(&teller.cleared);

    assert_status(delete_it("a-1"), STELE_OK);

    ck_assert_uint_eq(cached_count(), 0);
    if (_i == 1)
        ck_assert_int_gt(atomic_load(&teller.cleared), cleared);
    assert_status(move("a-1", 2), STELE_OK);
    ck_assert_int_eq(executed.version, 1);
}
END_TEST

static int signal_pipe[2];

/* Another process, begun before any store was opened: it waits for its moment. */
static pid_t start_deleter(bool makes_anew)
{
    ck_assert_int_eq(pipe(signal_pipe), 0);
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child > 0)
        return child;
    char go;
    stele_store *own = NULL;
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "a-1";
    if (read(signal_pipe[0], &go, 1) != 1 || stele_store_open(store_path(), NULL, &own) != STELE_OK
        || stele_store_delete(own, &call, NULL) != STELE_OK)
        _exit(1);
    for (int i = 0; i < (makes_anew ? 4 : 0); i++)
        if (append_move(own, "a-1", 50) != STELE_OK)
            _exit(2);
    stele_store_close(own);
    _exit(0);
}

static void let_it_delete(pid_t child)
{
    int outcome = 0;
    ck_assert_int_eq(write(signal_pipe[1], "g", 1), 1);
    ck_assert_int_eq(waitpid(child, &outcome, 0), child);
    ck_assert_int_eq(outcome, 0);
    close(signal_pipe[0]);
    close(signal_pipe[1]);
}

START_TEST(stream_deleted_by_another_process_is_noticed_at_the_next_use)
{
    test_folder();
    pid_t child = start_deleter(_i == 1);
    open_accounts();
    move_often("a-1", 3);
    expect_balance("a-1", 3);
    let_it_delete(child);

    expect_balance("a-1", _i == 0 ? 0 : 200);

    ck_assert_int_eq(loaded.version, _i == 0 ? 0 : 4);
    ck_assert(!loaded.fold.cached);
    ck_assert_int_eq(loaded.fold.folded, _i == 0 ? 0 : 4);
    ck_assert_uint_eq(describe_accounts().cached, _i == 0 ? 0 : 1);
    assert_status(move("a-1", -60), _i == 0 ? STELE_REFUSED : STELE_OK);
}
END_TEST

START_TEST(stream_made_anew_between_two_commands_is_folded_anew)
{
    move_often("a-1", 3);
    expect_balance("a-1", 3);
    assert_status(delete_it("a-1"), STELE_OK);
    for (int i = 0; i < 3; i++)
        assert_status(append_move(store, "a-1", 10), STELE_OK);

    assert_status(move("a-1", 1), STELE_OK);

    ck_assert(!executed.fold.cached);
    ck_assert_int_eq(executed.fold.folded, 3);
    expect_balance("a-1", 31);
}
END_TEST

/* Snapshots of the old one go with it, too. */
START_TEST(stream_made_anew_has_no_snapshot_of_the_one_before)
{
    move_often("a-1", 3);
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    assert_status(delete_it("a-1"), STELE_OK);
    for (int i = 0; i < 5; i++)
        assert_status(append_move(store, "a-1", 10), STELE_OK);

    expect_balance("a-1", 50);
    ck_assert_int_eq(loaded.fold.miss, STELE_SNAPSHOT_NONE);
}
END_TEST

static stele_store *beside;

static void replace_by_beside(void)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "a-1";
    assert_status(stele_store_delete(beside, &call, NULL), STELE_OK);
    append_moves(beside, "a-1", 1500);
}

static void replace_in_the_middle(int nth)
{
    if (nth == 700)
        on_another_thread(replace_by_beside);
}

/* What was folded until then is of a stream that is gone. */
START_TEST(stream_made_anew_while_it_is_folded_is_folded_anew)
{
    close_accounts();
    stele_decider decider = account_decider();
    decider.from_trimmed = _i == 1;
    open_accounts_by(decider, NULL);
    beside = open_beside();
    append_moves(store, "a-1", 1200);
    teller.in_evolve = replace_in_the_middle;

    expect_balance("a-1", 1500);

    ck_assert_int_eq(loaded.version, 1500);
    ck_assert_int_lt(loaded.fold.folded, 1500 + 1200);
    ck_assert_int_gt(loaded.fold.folded, 1500);
    stele_store_close(beside);
}
END_TEST

/* --- Restored --- */

START_TEST(restoring_never_revives_a_stale_fold)
{
    move_often("a-1", 3);
    expect_balance("a-1", 3);
    assert_status(archive_to("a-1", archive, NULL), STELE_OK);
    assert_status(restore_from("a-1", archive, NULL), STELE_OK);
    expect_balance("a-1", 3); /* nothing had changed */
    assert_status(archive_to("a-1", archive, NULL), STELE_OK);
    assert_status(delete_with("a-1", archive, NULL), STELE_OK);
    expect_balance("a-1", 0);
    append_moves(store, "a-1", 1);
    assert_status(archive_to("a-1", archive, NULL), STELE_OK);
    assert_status(restore_from("a-1", archive, NULL), STELE_OK);
    append_moves(store, "a-1", 4);

    expect_balance("a-1", 5);
    ck_assert_int_eq(loaded.fold.folded, 5);
    ck_assert_int_eq(loaded.version, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_streams");
    TCase *tests = tcase_create("streams");
    tcase_add_checked_fixture(tests, open_with_archive, close_with_archive);
    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, closed_stream_is_loaded_and_takes_no_command, 0, 2);
    tcase_add_test(tests, stream_in_an_archive_is_loaded_when_that_is_attached);
    tcase_add_test(tests, snapshot_at_the_tip_of_a_moved_stream_is_enough);
    tcase_add_test(tests, stream_that_was_never_there_has_the_initial_state);
    tcase_add_test(tests, deleting_takes_what_is_cached_along_at_once);
    tcase_add_test(tests, deleting_in_a_transaction_takes_what_is_cached_along_with_its_commit);
    tcase_add_loop_test(tests, deleting_takes_states_that_own_along, 0, 2);
    tcase_add_test(tests, stream_made_anew_between_two_commands_is_folded_anew);
    tcase_add_test(tests, stream_made_anew_has_no_snapshot_of_the_one_before);
    tcase_add_loop_test(tests, stream_made_anew_while_it_is_folded_is_folded_anew, 0, 2);
    tcase_add_test(tests, restoring_never_revives_a_stale_fold);
    TCase *own = add_bank_case(suite, "processes", NULL);
    tcase_add_loop_test(own, stream_deleted_by_another_process_is_noticed_at_the_next_use, 0, 2);
    return run_suite(suite);
}
