/*
 * Streams of which retention has left only the end: what bridges the gap, and what doesn't. Another
 * handle, and a thread (pthread), meddle in the middle.
 */
#include "account_calls.h"

#include <stele/retention.h>

static void trim_before(const char *stream, int64_t version)
{
    stele_retain retain = STELE_RETAIN_INIT;
    retain.stream = stream;
    retain.before_version = version;
    assert_status(stele_store_retain(store, &retain, NULL), STELE_OK);
}

START_TEST(trimmed_stream_is_not_found)
{
    account state;
    append_moves(store, "a-1", 10);
    trim_before("a-1", 4);

    assert_status(try_load_account("a-1", &state), STELE_NOT_FOUND);
    assert_reason_has("trimmed through version 3");
    ck_assert(all_zero(&state, sizeof(state)));
    assert_status(move("a-1", 1), STELE_NOT_FOUND);
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_NOT_FOUND);
    ck_assert_int_eq(atomic_load(&teller.decided), 0);
}
END_TEST

START_TEST(snapshot_bridges_what_was_trimmed)
{
    append_moves(store, "a-1", 4);
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    append_moves(store, "a-1", 6);
    close_accounts();
    open_accounts_by(account_decider(), NULL);
    trim_before("a-1", 5);

    expect_balance("a-1", 10);
    ck_assert_int_eq(loaded.fold.snapshot_version, 4);
    ck_assert_int_eq(loaded.fold.folded, 6);
    assert_status(move("a-1", 1), STELE_OK);
    /* What is cached bridges it as well. */
    trim_before("a-1", 9);
    expect_balance("a-1", 11);
}
END_TEST

START_TEST(snapshot_before_what_was_trimmed_does_not_bridge_it)
{
    account state;
    append_moves(store, "a-1", 4);
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    append_moves(store, "a-1", 6);
    close_accounts();
    open_accounts_by(account_decider(), NULL);
    trim_before("a-1", 6);

    assert_status(try_load_account("a-1", &state), STELE_NOT_FOUND);
}
END_TEST

START_TEST(what_is_left_of_a_trimmed_stream_may_be_folded_as_if_it_were_all)
{
    stele_decider decider = account_decider();
    decider.from_trimmed = true;
    close_accounts();
    open_accounts_by(decider, NULL);
    append_moves(store, "a-1", 10);
    trim_before("a-1", _i == 0 ? 4 : 11);

    expect_balance("a-1", _i == 0 ? 7 : 0);
    ck_assert_int_eq(loaded.version, 10);
    assert_status(move("a-1", 5), STELE_OK);
    ck_assert_int_eq(executed.version, 11);
    expect_balance("a-1", _i == 0 ? 12 : 5);
}
END_TEST

/* Another handle's snapshot knows what the cache has missed. */
START_TEST(cached_state_behind_what_was_trimmed_gives_way_to_a_snapshot)
{
    append_moves(store, "a-1", 2);
    expect_balance("a-1", 2);
    stele_aggregate *other = open_aggregate(store, account_decider(), NULL);
    append_moves(store, "a-1", 8);
    assert_status(stele_aggregate_snapshot(other, "a-1", NULL), STELE_OK);
    stele_aggregate_close(other);
    trim_before("a-1", 8);

    if (_i == 0) {
        expect_balance("a-1", 10);
        ck_assert(!loaded.fold.cached);
        ck_assert_int_eq(loaded.fold.snapshot_version, 10);
    }
    assert_status(move("a-1", 1), STELE_OK);
    ck_assert_int_eq(executed.version, 11);
    ck_assert_int_eq(executed.fold.cached, _i == 0);
    expect_balance("a-1", 11);
    ck_assert(loaded.fold.cached);
}
END_TEST

static stele_aggregate *saver;

static void leave_only_a_snapshot(void)
{
    append_moves(store, "a-1", 8);
    assert_status(stele_aggregate_snapshot(saver, "a-1", NULL), STELE_OK);
    trim_before("a-1", 8);
}

static void trim_while_deciding(int nth)
{
    if (nth == 1)
        on_another_thread(leave_only_a_snapshot);
}

/* The state at hand was folded from the first event, a moment ago. */
START_TEST(state_that_was_overtaken_by_a_trim_gives_way_to_a_snapshot)
{
    saver = open_aggregate(store, account_decider(), NULL);
    append_moves(store, "a-1", 2);
    teller.in_decide = trim_while_deciding;

    assert_status(move("a-1", 1), STELE_OK);

    ck_assert_uint_eq(executed.tries, 2);
    ck_assert_int_eq(executed.version, 11);
    ck_assert_int_eq(executed.fold.snapshot_version, 10);
    expect_balance("a-1", 11);
    stele_aggregate_close(saver);
}
END_TEST

/* A fold of events that were trimmed away since, with a gap behind it, is of no use: what is left
 * is folded alone, as everybody else would. */
START_TEST(what_is_left_is_folded_alone_whatever_was_known_of_the_rest)
{
    stele_decider decider = account_decider();
    decider.from_trimmed = true;
    close_accounts();
    open_accounts_by(decider, NULL);
    append_moves(store, "a-1", 4);
    if (_i == 0) {
        expect_balance("a-1", 4);
    } else {
        assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
        close_accounts();
        open_accounts_by(decider, NULL);
    }
    append_moves(store, "a-1", 6);
    trim_before("a-1", 8);

    expect_balance("a-1", 3);
    ck_assert(!loaded.fold.cached);
    ck_assert_int_eq(loaded.fold.snapshot_version, 0);
    ck_assert_int_eq(loaded.fold.folded, 3);
    ck_assert_int_eq(loaded.version, 10);
    expect_balance("a-1", 3);
    ck_assert(loaded.fold.cached);
    assert_status(move("a-1", -4), STELE_REFUSED);
    assert_status(move("a-1", -3), STELE_OK);
    ck_assert_int_eq(executed.version, 11);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_trimmed");
    TCase *tests = add_bank_case(suite, "trimmed", open_accounts);
    tcase_add_test(tests, trimmed_stream_is_not_found);
    tcase_add_test(tests, snapshot_bridges_what_was_trimmed);
    tcase_add_test(tests, snapshot_before_what_was_trimmed_does_not_bridge_it);
    tcase_add_loop_test(tests, what_is_left_of_a_trimmed_stream_may_be_folded_as_if_it_were_all, 0,
                        2);
    tcase_add_loop_test(tests, cached_state_behind_what_was_trimmed_gives_way_to_a_snapshot, 0, 2);
    tcase_add_test(tests, state_that_was_overtaken_by_a_trim_gives_way_to_a_snapshot);
    tcase_add_loop_test(tests, what_is_left_is_folded_alone_whatever_was_known_of_the_rest, 0, 2);
    return run_suite(suite);
}
