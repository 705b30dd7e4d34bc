/* Commands and loads inside a transaction, and around one that this thread has open. */
#include "account_calls.h"

static stele_status load_in(stele_transaction *transaction, const char *stream, account *state)
{
    memset(&loaded, 0xAA, sizeof(loaded));
    memset(state, 0xAA, sizeof(*state));
    return stele_transaction_aggregate_load(transaction, accounts, stream, state, &loaded);
}

static int64_t balance_in(stele_transaction *transaction, const char *stream)
{
    account state;
    assert_status(load_in(transaction, stream, &state), STELE_OK);
    return state.balance;
}

START_TEST(commands_on_several_streams_are_one_commit)
{
    stele_aggregate *ledgers = open_aggregate(store, ledger_decider(), NULL);
    move_often("a-1", 3);
    int64_t head = head_of(store);
    stele_transaction *transaction = begin();

    assert_status(move_in(transaction, "a-1", -2), STELE_OK);
    ck_assert_int_eq(executed.version, 4);
    ck_assert_uint_eq(executed.event_count, 1);
    ck_assert_uint_eq(executed.tries, 1);
    command what = { .verb = MOVE, .amount = 2 };
    stele_execute execute = make_execute("b-1", &what);
    assert_status(stele_transaction_aggregate_execute(transaction, ledgers, &execute, &executed),
                  STELE_OK);
    ck_assert_int_eq(executed.first_position, head + 2);
    ck_assert_int_eq(head_of(store), head); /* nobody else sees it */
    commit_and_end(transaction);

    ck_assert_int_eq(head_of(store), head + 2);
    expect_balance("a-1", 1);
    expect_balance("b-1", 2);
    stele_aggregate_close(ledgers);
}
END_TEST

START_TEST(transaction_sees_its_own_writes)
{
    move_often("a-1", 3);
    stele_transaction *transaction = begin();
    for (int i = 1; i <= 5; i++) {
        assert_status(move_in(transaction, "a-1", 10), STELE_OK);
        ck_assert_int_eq(executed.version, 3 + i);
        ck_assert_int_eq(balance_in(transaction, "a-1"), 3 + 10 * i);
        ck_assert_int_eq(loaded.version, 3 + i);
        assert_status(move_in(transaction, "new-1", 1), STELE_OK);
        ck_assert_int_eq(balance_in(transaction, "new-1"), i);
    }
    assert_status(move_in(transaction, "a-1", -53), STELE_OK);
    assert_status(move_in(transaction, "a-1", -1), STELE_REFUSED);
    commit_and_end(transaction);
    expect_balance("a-1", 0);
    expect_balance("new-1", 5);
}
END_TEST

/* What was folded of it would be of events that never were. */
START_TEST(rollback_leaves_streams_and_cache_right)
{
    close_accounts();
    open_accounts_by(_i == 0 ? account_decider() : ledger_decider(), NULL);
    move_often("a-1", 3);
    uint64_t cached = describe_accounts().cached;
    stele_transaction *transaction = begin();
    assert_status(move_in(transaction, "a-1", 10), STELE_OK);
    assert_status(move_in(transaction, "a-1", 10), STELE_OK);
    assert_status(move_in(transaction, "new-1", 10), STELE_OK);
    assert_status(move_in(transaction, "new-1", 10), STELE_OK);
    stele_transaction_end(transaction);
    ck_assert_uint_eq(describe_accounts().cached, cached);
    for (int i = 0; i < 2; i++) {
        assert_status(append_move(store, "a-1", 1), STELE_OK);
        assert_status(append_move(store, "new-1", 1), STELE_OK);
    }

    assert_status(move("a-1", -6), STELE_REFUSED);
    assert_status(move("a-1", -5), STELE_OK);
    assert_status(move("new-1", -3), STELE_REFUSED);
    assert_status(move("new-1", -2), STELE_OK);
}
END_TEST

/* Else a stream that is only written in transactions would be folded from its beginning each time.
 */
START_TEST(what_was_committed_before_a_transaction_is_cached_by_it)
{
    close_accounts();
    open_accounts_by(_i == 0 ? account_decider() : ledger_decider(), NULL);
    append_moves(store, "a-1", 20);
    append_moves(store, "b-1", 30);
    stele_transaction *transaction = begin();
    assert_status(move_in(transaction, "a-1", -1), STELE_OK);
    ck_assert_int_eq(executed.fold.folded, 20);
    assert_status(move_in(transaction, "b-1", 1), STELE_OK); /* it has written by now */
    ck_assert_int_eq(executed.fold.folded, 30);
    if (_i == 0)
        commit_and_end(transaction);
    else
        stele_transaction_end(transaction);

    ck_assert_uint_eq(describe_accounts().cached, 2);
    transaction = begin();
    assert_status(move_in(transaction, "a-1", -1), STELE_OK);
    ck_assert(executed.fold.cached);
    ck_assert_int_eq(executed.fold.folded, _i == 0 ? 1 : 0);
    assert_status(move_in(transaction, "b-1", 1), STELE_OK);
    ck_assert_int_eq(executed.fold.folded, _i == 0 ? 1 : 0);
    stele_transaction_end(transaction);
    assert_status(move("a-1", _i == 0 ? -20 : -21), STELE_REFUSED);
    assert_status(move("a-1", _i == 0 ? -19 : -20), STELE_OK);
    assert_status(move("b-1", _i == 0 ? -32 : -31), STELE_REFUSED);
    assert_status(move("b-1", _i == 0 ? -31 : -30), STELE_OK);
}
END_TEST

START_TEST(refused_command_leaves_the_transaction_usable)
{
    move_often("a-1", 3);
    stele_transaction *transaction = begin();
    assert_status(move_in(transaction, "a-1", -4), STELE_REFUSED);
    ck_assert_int_eq(executed.refusal, 7);
    command what = { .verb = FAIL, .answer = STELE_INVALID };
    stele_execute execute = make_execute("a-1", &what);
    assert_status(stele_transaction_aggregate_execute(transaction, accounts, &execute, NULL),
                  STELE_INVALID);
    what = (command){ .verb = MOVE, .amount = 1 };
    execute.expected_version = 2;
    assert_status(stele_transaction_aggregate_execute(transaction, accounts, &execute, &executed),
                  STELE_CONFLICT);
    ck_assert_int_eq(executed.version, 3);
    ck_assert_uint_eq(executed.tries, 0);
    teller.evolve_answer = STELE_INVALID;
    account state;
    assert_status(append_in(transaction, "odd-1", STELE_ANY, NULL), STELE_OK);
    assert_status(load_in(transaction, "odd-1", &state), STELE_UNKNOWN_TYPE);
    ck_assert(all_zero(&state, sizeof(state)));
    teller.evolve_answer = STELE_OK;

    assert_status(move_in(transaction, "a-1", 1), STELE_OK);
    commit_and_end(transaction);
    expect_balance("a-1", 4);
}
END_TEST

START_TEST(what_a_transaction_does_not_look_at)
{
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    stele_wait wait = { 0 }; /* no struct at all */
    options.snapshot_events = 1;
    close_accounts();
    open_accounts_by(account_decider(), &options);
    append_moves(store, "a-1", 5);
    account state;
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = make_execute("a-1", &what);
    execute.wait = &wait;
    execute.tries = 9;
    execute.state = &state;
    stele_transaction *transaction = begin();

    assert_status(stele_transaction_aggregate_execute(transaction, accounts, &execute, &executed),
                  STELE_OK);

    ck_assert(!executed.snapshot_saved);
    ck_assert_int_eq(executed.state_status, STELE_OK);
    ck_assert_int_eq(state.balance, 6);
    ck_assert_int_eq(executed.state_version, 6);
    commit_and_end(transaction);
}
END_TEST

START_TEST(load_in_a_transaction_uses_what_is_cached_and_gives_nothing_back)
{
    move_often("a-1", 3);
    expect_balance("a-1", 3);
    stele_transaction *transaction = begin();
    ck_assert_int_eq(balance_in(transaction, "a-1"), 3);
    ck_assert(loaded.fold.cached);
    ck_assert_int_eq(loaded.fold.folded, 0);
    assert_status(move_in(transaction, "a-1", 1), STELE_OK);
    ck_assert_int_eq(balance_in(transaction, "b-1"), 0);
    ck_assert_int_eq(balance_in(transaction, "a-1"), 4);
    ck_assert_int_eq(loaded.fold.folded, 1);
    commit_and_end(transaction);
    expect_balance("a-1", 4);
    ck_assert(loaded.fold.cached);
    ck_assert_int_eq(loaded.fold.folded, 1);
}
END_TEST

START_TEST(snapshot_is_begun_with_in_a_transaction_too)
{
    append_moves(store, "a-1", 5);
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    close_accounts();
    open_accounts_by(account_decider(), NULL);
    stele_transaction *transaction = begin();
    ck_assert_int_eq(balance_in(transaction, "a-1"), 5);
    ck_assert_int_eq(loaded.fold.snapshot_version, 5);
    stele_transaction_end(transaction);
}
END_TEST

/* --- The wrong transaction --- */

START_TEST(transaction_of_another_store_is_misuse)
{
    account state;
    stele_store *other = open_path(test_path("other.db"), NULL);
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(other, &transaction), STELE_OK);
    assert_status(move_in(transaction, "a-1", 1), STELE_MISUSE);
    assert_reason_has("another store");
    assert_status(load_in(transaction, "a-1", &state), STELE_MISUSE);
    ck_assert(all_zero(&state, sizeof(state)));
    stele_transaction_end(transaction);
    stele_store_close(other);
}
END_TEST

START_TEST(transaction_that_is_over_is_misuse)
{
    account state;
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    assert_status(move_in(transaction, "a-1", 1), STELE_MISUSE);
    assert_status(load_in(transaction, "a-1", &state), STELE_MISUSE);
    stele_transaction_end(transaction);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

/* --- Around it --- */

/* It would wait for itself. */
START_TEST(executing_around_an_open_transaction_is_misuse_at_once)
{
    move_often("a-1", 3);
    stele_transaction *transaction = begin();
    int decided = atomic_load(&teller.decided);
    assert_status(move("a-1", 1), STELE_MISUSE);
    assert_reason_has("transaction");
    ck_assert_int_eq(atomic_load(&teller.decided), decided);
    assert_status(move_in(transaction, "a-1", 1), STELE_OK);
    assert_status(move("b-1", 1), STELE_MISUSE);
    expect_balance("a-1", 3); /* what is committed */
    stele_at at = STELE_AT_INIT;
    account state;
    at.stream = "a-1";
    at.version = 2;
    assert_status(stele_aggregate_at(accounts, &at, &state, NULL), STELE_OK);
    ck_assert_int_eq(state.balance, 2);
    commit_and_end(transaction);
    assert_status(move("a-1", 1), STELE_OK);
}
END_TEST

START_TEST(memory_store_is_not_read_around_an_open_transaction)
{
    account state;
    close_accounts();
    close_store();
    open_in_memory();
    register_moves(store);
    open_accounts_by(account_decider(), NULL);
    move_often("a-1", 3);
    expect_balance("a-1", 3);
    stele_transaction *transaction = begin();
    assert_status(try_load_account("a-1", &state), STELE_MISUSE);
    ck_assert(all_zero(&state, sizeof(state)));
    assert_status(move("a-1", 1), STELE_MISUSE);
    assert_status(move_in(transaction, "a-1", 1), STELE_OK);
    ck_assert_int_eq(balance_in(transaction, "a-1"), 4);
    commit_and_end(transaction);
    expect_balance("a-1", 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_transactions");
    TCase *tests = add_bank_case(suite, "transactions", open_accounts);
    tcase_add_test(tests, commands_on_several_streams_are_one_commit);
    tcase_add_test(tests, transaction_sees_its_own_writes);
    tcase_add_loop_test(tests, rollback_leaves_streams_and_cache_right, 0, 2);
    tcase_add_loop_test(tests, what_was_committed_before_a_transaction_is_cached_by_it, 0, 2);
    tcase_add_test(tests, refused_command_leaves_the_transaction_usable);
    tcase_add_test(tests, what_a_transaction_does_not_look_at);
    tcase_add_test(tests, load_in_a_transaction_uses_what_is_cached_and_gives_nothing_back);
    tcase_add_test(tests, snapshot_is_begun_with_in_a_transaction_too);
    tcase_add_test(tests, transaction_of_another_store_is_misuse);
    tcase_add_test(tests, transaction_that_is_over_is_misuse);
    tcase_add_test(tests, executing_around_an_open_transaction_is_misuse_at_once);
    tcase_add_test(tests, memory_store_is_not_read_around_an_open_transaction);
    return run_suite(suite);
}
