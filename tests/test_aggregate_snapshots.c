/* Snapshots that executing saves and loading begins with: never more than a cache. */
#include "account_calls.h"
#include "disk_quota.h"

#include "snapshots.h"

#include <time.h>

static void open_saving(stele_decider decider, uint64_t events, uint32_t keep)
{
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    options.snapshot_events = events;
    options.snapshot_keep = keep;
    close_accounts();
    open_accounts_by(decider, &options);
}

/* The same aggregates with nothing in memory. */
static void forget_all(stele_decider decider)
{
    close_accounts();
    open_accounts_by(decider, NULL);
}

static const char *listed_snapshots(void)
{
    return listed(store, NULL);
}

/* --- Policies --- */

START_TEST(without_a_policy_no_snapshot_is_saved)
{
    move_often("a-1", 10);
    ck_assert(!executed.snapshot_saved);
    ck_assert_str_eq(listed_snapshots(), "");
}
END_TEST

START_TEST(snapshot_is_saved_when_so_many_events_were_folded_since_the_last)
{
    char saved[64] = "";
    open_saving(account_decider(), 3, 10);
    for (int i = 0; i < 11; i++) {
        assert_status(move("a-1", 1), STELE_OK);
        assert_status(executed.snapshot_status, STELE_OK);
        if (executed.snapshot_saved)
            snprintf(saved + strlen(saved), sizeof(saved) - strlen(saved), "%d ", i);
    }
    /* Of the state that was decided on, before the command's own event. */
    ck_assert_str_eq(saved, "3 6 9 ");
    ck_assert_str_eq(listed_snapshots(), "a-1 account 9, a-1 account 6, a-1 account 3");

    forget_all(account_decider());
    expect_balance("a-1", 11);
    ck_assert_int_eq(loaded.fold.snapshot_version, 9);
    ck_assert_int_eq(loaded.fold.folded, 2);
    ck_assert_int_eq(loaded.fold.miss, STELE_SNAPSHOT_HIT);
    ck_assert(!loaded.fold.cached);
    ck_assert_uint_eq(describe_accounts().snapshot_hits, 1);
    ck_assert_uint_eq(describe_accounts().misses, 1);
}
END_TEST

START_TEST(policy_counts_on_from_the_snapshot_that_was_loaded)
{
    open_saving(account_decider(), 3, 1);
    move_often("a-1", 4);
    ck_assert_str_eq(listed_snapshots(), "a-1 account 3");
    open_saving(account_decider(), 3, 1);
    move_often("a-1", 2); /* on 4 and 5 */
    ck_assert_str_eq(listed_snapshots(), "a-1 account 3");
    move_often("a-1", 1);
    ck_assert_str_eq(listed_snapshots(), "a-1 account 6");
}
END_TEST

static void fold_slowly(int nth)
{
    (void)nth;
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

START_TEST(snapshot_is_saved_when_folding_took_long)
{
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    options.snapshot_fold_us = 190000;
    close_accounts();
    open_accounts_by(account_decider(), &options);
    append_moves(store, "a-1", 10);
    teller.in_evolve = fold_slowly;

    assert_status(move("a-1", 1), STELE_OK);
    ck_assert(executed.snapshot_saved);
    ck_assert_int_ge(executed.fold.fold_us, 200000);
    teller.in_evolve = NULL;
    assert_status(move("a-1", 1), STELE_OK); /* folds one event */
    ck_assert(!executed.snapshot_saved);
    ck_assert_str_eq(listed_snapshots(), "a-1 account 10");
}
END_TEST

START_TEST(refused_failed_and_repeated_commands_save_no_snapshot)
{
    open_saving(account_decider(), 1, 1);
    append_moves(store, "a-1", 3);
    assert_status(move("a-1", -10), STELE_REFUSED);
    assert_status(execute_command("a-1", (command){ .verb = FAIL, .answer = STELE_INVALID }),
                  STELE_INVALID);
    ck_assert_str_eq(listed_snapshots(), "");
    assert_status(move_by_key("b-1", 1, "k-1"), STELE_OK);
    assert_status(move_by_key("b-1", 1, "k-1"), STELE_OK);
    ck_assert(!executed.snapshot_saved);
    ck_assert_str_eq(listed_snapshots(), "");
}
END_TEST

/* --- A snapshot that can't be saved --- */

START_TEST(command_succeeds_when_its_snapshot_is_too_large)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.value_size_max = 20;
    close_accounts();
    close_store();
    store = open_path(store_path(), &options);
    register_moves(store);
    open_saving(account_decider(), 1, 1);
    append_moves(store, "a-1", 3);

    assert_status(move("a-1", 1), STELE_OK);

    ck_assert(!executed.snapshot_saved);
    ck_assert_int_eq(executed.snapshot_status, STELE_TOO_LARGE);
    expect_balance("a-1", 4);
    assert_status(stele_aggregate_snapshot(accounts, "a-1", &loaded), STELE_TOO_LARGE);
}
END_TEST

START_TEST(command_succeeds_when_its_state_cannot_be_encoded)
{
    open_saving(memo_decider(), 1, 1);
    append_moves(store, "a-1", 3);
    teller.encode_answer = _i == 0 ? STELE_CONFLICT : STELE_UNSUPPORTED;
    assert_status(move("a-1", 1), STELE_OK);
    ck_assert(!executed.snapshot_saved);
    ck_assert_int_eq(executed.snapshot_status, _i == 0 ? STELE_INVALID : STELE_UNSUPPORTED);
    ck_assert_str_eq(listed_snapshots(), "");
    teller.encode_answer = STELE_OK;
    assert_status(move("a-1", 1), STELE_OK);
    ck_assert(executed.snapshot_saved);
}
END_TEST

/* Each attempt costs an encoding of the whole state. */
START_TEST(snapshot_that_failed_is_tried_again_when_as_many_events_came)
{
    open_saving(memo_decider(), 3, 1);
    teller.encode_answer = STELE_TOO_LARGE;
    for (int i = 0; i < 20; i++) {
        assert_status(move("a-1", 1), STELE_OK);
        bool tried = i > 0 && i % 3 == 0;
        ck_assert_int_eq(atomic_load(&teller.encoded), i / 3);
        ck_assert_int_eq(executed.snapshot_status, tried ? STELE_TOO_LARGE : STELE_OK);
    }
    teller.encode_answer = STELE_OK;
    assert_status(move("a-1", 1), STELE_OK);
    ck_assert(!executed.snapshot_saved);
    assert_status(move("a-1", 1), STELE_OK);
    ck_assert(executed.snapshot_saved);
    ck_assert_str_eq(listed_snapshots(), "a-1 memo 21");
}
END_TEST

/* The codec has no values, or isn't there: told when it is used. */
START_TEST(table_in_a_codec_that_encodes_nothing_is_told_with_the_snapshot)
{
    stele_decider decider = account_decider();
    decider.codec = _i == 0 ? "raw" : "nobody's";
    open_saving(decider, 1, 1);
    append_moves(store, "a-1", 3);
    assert_status(move("a-1", 1), STELE_OK);
    ck_assert(!executed.snapshot_saved);
    ck_assert_int_lt(executed.snapshot_status, 0);
    expect_balance("a-1", 4);
}
END_TEST

static void open_on_quota(void)
{
    reset_teller();
    ck_assert(install_quota());
    quota_bytes = INT64_MAX;
    open_in_file();
    register_moves(store);
}

static void close_on_quota(void)
{
    quota_bytes = INT64_MAX;
    close_accounts();
    close_store();
    remove_quota();
    remove_test_folder();
}

/* Grows much faster than its events. */
static stele_status encode_at_length(void *context, const void *state, stele_buffer *buffer)
{
    char room[8192];
    (void)context, (void)state;
    memset(room, 'x', sizeof(room));
    stele_status status = STELE_OK;
    for (int i = 0; i < 100 && status == STELE_OK; i++)
        status = stele_buffer_add(buffer, room, sizeof(room));
    return status;
}

static stele_status decode_nothing(void *context, const void *data, size_t size, void *state)
{
    (void)context, (void)data, (void)size, (void)state;
    return STELE_INVALID;
}

START_TEST(command_succeeds_when_the_disk_is_full_for_its_snapshot)
{
    stele_decider decider = tally_decider();
    decider.encode = encode_at_length;
    decider.decode = decode_nothing;
    open_saving(decider, 1, 1);
    append_moves(store, "a-1", 1);
    quota_bytes = quota_used() + 400000;

    assert_status(move("a-1", 1), STELE_OK);

    ck_assert(!executed.snapshot_saved);
    ck_assert_int_eq(executed.snapshot_status, STELE_FULL);
    ck_assert_int_eq(version_of("a-1"), 2);
    /* Until not even the event fits. */
    stele_status status = STELE_OK;
    int64_t version = 2;
    quota_bytes = quota_used() + 30000;
    for (int i = 0; i < 100 && status == STELE_OK; i++) {
        status = move("a-1", 1);
        version += status == STELE_OK;
    }
    assert_status(status, STELE_FULL);
    ck_assert_uint_eq(executed.event_count, 0);
    ck_assert_int_eq(version_of("a-1"), version);
    quota_bytes = INT64_MAX;
    assert_status(move("a-1", 1), STELE_OK);
    ck_assert(executed.snapshot_saved);
    ck_assert_int_eq(executed.version, version + 1);
}
END_TEST

/* --- What comes while a snapshot is saved --- */

static void append_meanwhile(void)
{
    assert_status(append_move(store, "a-1", 100), STELE_OK);
}

static void meddle_once(int nth)
{
    if (nth == 1)
        on_another_thread(append_meanwhile); /* (pthread) */
}

START_TEST(state_of_a_command_that_saved_a_snapshot_says_of_which_version_it_is)
{
    memo state;
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = make_execute("a-1", &what);
    execute.state = &state;
    open_saving(memo_decider(), 1, 1);
    append_moves(store, "a-1", 2);
    teller.in_encode = meddle_once;
    teller.copy_answer = _i == 0 ? STELE_OK : STELE_UNSUPPORTED;

    assert_status(execute_by(&execute), STELE_OK);

    ck_assert(executed.snapshot_saved);
    ck_assert_int_eq(executed.version, 3);
    ck_assert_int_eq(executed.state_status, teller.copy_answer);
    ck_assert_int_eq(executed.state_version, _i == 0 ? 4 : 0);
    if (_i == 0)
        ck_assert_str_eq(state.text, ":+1+1+1+100");
    stele_aggregate_clear(accounts, &state);
}
END_TEST

/* --- Snapshots that don't fit --- */

static void expect_miss_and_state(stele_snapshot_miss miss)
{
    expect_balance("a-1", 5);
    ck_assert_msg(loaded.fold.miss == miss, "the miss is %s, not %s",
                  stele_snapshot_miss_name(loaded.fold.miss), stele_snapshot_miss_name(miss));
    ck_assert_int_eq(loaded.fold.snapshot_version, 0);
    ck_assert_int_eq(loaded.fold.folded, 5);
    ck_assert_uint_eq(describe_accounts().snapshot_hits, 0);
}

static void save_at_four(void)
{
    append_moves(store, "a-1", 4);
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    append_moves(store, "a-1", 1);
}

START_TEST(snapshot_of_another_schema_version_is_passed_over)
{
    stele_decider decider = account_decider();
    decider.schema_version = 2;
    save_at_four();
    forget_all(decider);
    expect_miss_and_state(STELE_SNAPSHOT_SCHEMA);
    forget_all(account_decider());
    expect_balance("a-1", 5);
    ck_assert_int_eq(loaded.fold.snapshot_version, 4);
}
END_TEST

START_TEST(snapshot_in_another_codec_is_passed_over)
{
    stele_decider decider = account_decider();
    decider.codec = "cbor";
    save_at_four();
    forget_all(decider);
    expect_miss_and_state(STELE_SNAPSHOT_CODEC);
}
END_TEST

START_TEST(snapshot_of_another_name_is_not_looked_at)
{
    stele_decider decider = account_decider();
    decider.name = "other";
    save_at_four();
    forget_all(decider);
    expect_miss_and_state(STELE_SNAPSHOT_NONE);
}
END_TEST

START_TEST(snapshot_that_does_not_decode_is_passed_over)
{
    stele_snapshot snapshot = make_snapshot("a-1", 4, "{\"balance\":\"no\"}");
    snapshot.name = "account";
    append_moves(store, "a-1", 5);
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    expect_miss_and_state(STELE_SNAPSHOT_UNDECODABLE);
}
END_TEST

START_TEST(decode_callback_that_fails_is_a_miss)
{
    memo state;
    stele_loaded here;
    open_saving(memo_decider(), 0, 1);
    save_at_four();
    forget_all(memo_decider());
    teller.decode_answer = _i == 0 ? STELE_CLOSED : STELE_INVALID;
    assert_status(stele_aggregate_load(accounts, "a-1", &state, &here), STELE_OK);
    ck_assert_int_eq(here.fold.miss, STELE_SNAPSHOT_UNDECODABLE);
    ck_assert_str_eq(state.text, ":+1+1+1+1+1");
    stele_aggregate_clear(accounts, &state);
    forget_all(memo_decider());
    teller.decode_answer = STELE_NO_MEMORY;
    assert_status(stele_aggregate_load(accounts, "a-1", &state, &here), STELE_NO_MEMORY);
    ck_assert(all_zero(&state, sizeof(state)));
    teller.decode_answer = STELE_OK;
    assert_status(stele_aggregate_load(accounts, "a-1", &state, &here), STELE_OK);
    ck_assert_int_eq(here.fold.snapshot_version, 4);
    ck_assert_str_eq(state.text, ":+1+1+1+1+1");
    stele_aggregate_clear(accounts, &state);
}
END_TEST

static void reopen_after(const char *sql)
{
    close_accounts();
    close_store();
    run_sql(store_path(), sql);
    open_in_file();
    register_moves(store);
    open_accounts_by(account_decider(), NULL);
}

START_TEST(damaged_and_foreign_snapshots_are_passed_over)
{
    static const struct {
        const char *sql;
        stele_snapshot_miss miss;
    } harms[] = {
        { "UPDATE snapshots SET data = '{\"balance\":999,\"count\":1}'", STELE_SNAPSHOT_DAMAGED },
        { "UPDATE snapshots SET checksum = checksum + 1", STELE_SNAPSHOT_DAMAGED },
        { "UPDATE snapshots SET version = 50", STELE_SNAPSHOT_BEYOND },
        { "UPDATE snapshots SET epoch = '00000000-0000-4000-8000-000000000000'",
          STELE_SNAPSHOT_EPOCH },
    };
    save_at_four();
    reopen_after(harms[_i].sql);
    expect_miss_and_state(harms[_i].miss);
}
END_TEST

/* --- At the program's word --- */

START_TEST(snapshot_is_saved_at_the_programs_word)
{
    append_moves(store, "a-1", 4);

    assert_status(stele_aggregate_snapshot(accounts, "a-1", &loaded), STELE_OK);

    ck_assert_int_eq(loaded.version, 4);
    ck_assert_int_gt(loaded.stream_id, 0);
    ck_assert_int_eq(loaded.fold.folded, 4);
    ck_assert_str_eq(listed_snapshots(), "a-1 account 4");
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    ck_assert_uint_eq(describe_accounts().cached, 1);
}
END_TEST

START_TEST(snapshot_of_what_is_not_there_or_cannot_be_written_is_refused)
{
    assert_status(stele_aggregate_snapshot(accounts, "none-1", &loaded), STELE_NOT_FOUND);
    assert_reason_has("none-1");
    open_saving(tally_decider(), 0, 1);
    append_moves(store, "a-1", 4);
    assert_status(stele_aggregate_snapshot(accounts, "a-1", &loaded), STELE_UNSUPPORTED);
    assert_reason_has("tally");
    stele_transaction *transaction = begin();
    open_saving(account_decider(), 0, 1);
    assert_status(stele_aggregate_snapshot(accounts, "a-1", &loaded), STELE_MISUSE);
    stele_transaction_end(transaction);
}
END_TEST

START_TEST(snapshots_of_every_kind_of_state_come_back)
{
    append_moves(store, "a-1", 4);
    forget_all(ledger_decider());
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    forget_all(ledger_decider());
    ledger listed_state;
    assert_status(stele_aggregate_load(accounts, "a-1", &listed_state, &loaded), STELE_OK);
    ck_assert_int_eq(loaded.fold.snapshot_version, 4);
    ck_assert_int_eq(loaded.fold.folded, 0);
    ck_assert_uint_eq(listed_state.id_count, 4);
    ck_assert_str_eq(listed_state.owner, "nobody");
    stele_aggregate_clear(accounts, &listed_state);

    forget_all(memo_decider());
    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);
    forget_all(memo_decider());
    memo state;
    assert_status(stele_aggregate_load(accounts, "a-1", &state, &loaded), STELE_OK);
    ck_assert_int_eq(loaded.fold.snapshot_version, 4);
    ck_assert_str_eq(state.text, ":+1+1+1+1");
    stele_aggregate_clear(accounts, &state);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_snapshots");
    TCase *tests = add_bank_case(suite, "snapshots", open_accounts);
    tcase_add_test(tests, without_a_policy_no_snapshot_is_saved);
    tcase_add_test(tests, snapshot_is_saved_when_so_many_events_were_folded_since_the_last);
    tcase_add_test(tests, policy_counts_on_from_the_snapshot_that_was_loaded);
    tcase_add_test(tests, snapshot_is_saved_when_folding_took_long);
    tcase_add_test(tests, refused_failed_and_repeated_commands_save_no_snapshot);
    tcase_add_test(tests, command_succeeds_when_its_snapshot_is_too_large);
    tcase_add_loop_test(tests, command_succeeds_when_its_state_cannot_be_encoded, 0, 2);
    tcase_add_test(tests, snapshot_that_failed_is_tried_again_when_as_many_events_came);
    tcase_add_loop_test(tests, table_in_a_codec_that_encodes_nothing_is_told_with_the_snapshot, 0,
                        2);
    tcase_add_loop_test(tests, state_of_a_command_that_saved_a_snapshot_says_of_which_version_it_is,
                        0, 2);
    tcase_add_test(tests, snapshot_of_another_schema_version_is_passed_over);
    tcase_add_test(tests, snapshot_in_another_codec_is_passed_over);
    tcase_add_test(tests, snapshot_of_another_name_is_not_looked_at);
    tcase_add_test(tests, snapshot_that_does_not_decode_is_passed_over);
    tcase_add_loop_test(tests, decode_callback_that_fails_is_a_miss, 0, 2);
    tcase_add_loop_test(tests, damaged_and_foreign_snapshots_are_passed_over, 0, 4);
    tcase_add_test(tests, snapshot_is_saved_at_the_programs_word);
    tcase_add_test(tests, snapshot_of_what_is_not_there_or_cannot_be_written_is_refused);
    tcase_add_test(tests, snapshots_of_every_kind_of_state_come_back);
    TCase *quota = tcase_create("quota");
    tcase_add_checked_fixture(quota, open_on_quota, close_on_quota);
    suite_add_tcase(suite, quota);
    tcase_add_test(quota, command_succeeds_when_the_disk_is_full_for_its_snapshot);
    return run_suite(suite);
}
