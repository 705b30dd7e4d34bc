/* Folding: what evolve is given, and what becomes of a fold that fails. */
#include "account_calls.h"
#include "upcasters.h"

/* --- Failures --- */

static const struct {
    stele_status answer;
    stele_status expected;
} evolve_answers[] = {
    { STELE_INVALID, STELE_INVALID },         { STELE_PRECISION, STELE_PRECISION },
    { STELE_TOO_LARGE, STELE_TOO_LARGE },     { STELE_UNSUPPORTED, STELE_UNSUPPORTED },
    { STELE_NO_MEMORY, STELE_NO_MEMORY },     { STELE_CONFLICT, STELE_INVALID },
    { STELE_UNKNOWN_OUTCOME, STELE_INVALID }, { STELE_BUSY, STELE_INVALID },
    { STELE_NOT_FOUND, STELE_INVALID },       { STELE_CLOSED, STELE_INVALID },
    { STELE_REFUSED, STELE_INVALID },         { STELE_DONE, STELE_INVALID },
};

START_TEST(evolve_that_fails_is_the_answer_with_stream_version_and_type)
{
    account state;
    append_moves(store, "a-1", 5);
    teller.evolve_answer = evolve_answers[_i].answer;
    teller.evolve_version = 3;

    assert_status(try_load_account("a-1", &state), evolve_answers[_i].expected);
    assert_reason_has("stream 'a-1', version 3, type 'Moved'");
    ck_assert(all_zero(&state, sizeof(state)));
    ck_assert_int_eq(loaded.version, 0);
    ck_assert_int_eq(loaded.stream_id, 0);
    assert_status(move("a-1", 1), evolve_answers[_i].expected);
    ck_assert_int_eq(atomic_load(&teller.decided), 0);
    ck_assert_int_eq(atomic_load(&teller.evolved), 2 * 3);
}
END_TEST

/* Nothing half done is kept: it fails the same again, and is right once the decider is mended. */
START_TEST(fold_that_failed_leaves_nothing_behind)
{
    account state;
    append_moves(store, "a-1", 2);
    if (_i == 1)
        expect_balance("a-1", 2); /* and is cached */
    append_moves(store, "a-1", 3);
    teller.evolve_answer = STELE_INVALID;
    teller.evolve_version = 4;
    for (int i = 0; i < 2; i++)
        assert_status(try_load_account("a-1", &state), STELE_INVALID);
    ck_assert_uint_eq(describe_accounts().cached, (uint64_t)_i);

    teller.evolve_answer = STELE_OK;

    expect_balance("a-1", 5);
    ck_assert_int_eq(load_account("a-1").count, 5);
}
END_TEST

START_TEST(failed_fold_of_a_state_that_owns_frees_it)
{
    memo state;
    close_accounts();
    open_accounts_by(memo_decider(), NULL);
    append_moves(store, "a-1", 2);
    assert_status(stele_aggregate_load(accounts, "a-1", &state, NULL), STELE_OK);
    ck_assert_str_eq(state.text, ":+1+1");
    stele_aggregate_clear(accounts, &state);
    ck_assert_ptr_null(state.text);
    append_moves(store, "a-1", 2);
    teller.evolve_answer = STELE_INVALID;
    assert_status(stele_aggregate_load(accounts, "a-1", &state, NULL), STELE_INVALID);
    ck_assert(all_zero(&state, sizeof(state)));
    ck_assert_uint_eq(describe_accounts().cached, 0);
    teller.evolve_answer = STELE_OK;

    assert_status(stele_aggregate_load(accounts, "a-1", &state, NULL), STELE_OK);
    ck_assert_str_eq(state.text, ":+1+1+1+1");
    stele_aggregate_clear(accounts, &state);
}
END_TEST

START_TEST(initial_that_fails_is_the_answer_with_the_stream)
{
    account state;
    teller.initial_answer = _i == 0 ? STELE_BUSY : STELE_NO_MEMORY;
    stele_status expected = _i == 0 ? STELE_INVALID : STELE_NO_MEMORY;
    append_moves(store, "a-1", 2);

    assert_status(try_load_account("a-1", &state), expected);
    assert_reason_has("stream 'a-1'");
    ck_assert(all_zero(&state, sizeof(state)));
    assert_status(try_load_account("none-1", &state), expected);
    assert_status(move("a-1", 1), expected);
    stele_at at = STELE_AT_INIT;
    at.stream = "a-1";
    at.has_time = true;
    assert_status(stele_aggregate_at(accounts, &at, &state, &loaded), expected);
    ck_assert(all_zero(&state, sizeof(state)));
    assert_reason_has("stream 'a-1'");
}
END_TEST

/* The command was executed; only its state can't be had. */
START_TEST(copy_that_fails_is_told)
{
    memo state;
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = make_execute("a-1", &what);
    execute.state = &state;
    close_accounts();
    open_accounts_by(memo_decider(), NULL);
    teller.copy_answer = STELE_CONFLICT;

    assert_status(stele_aggregate_load(accounts, "a-1", &state, NULL), STELE_INVALID);
    ck_assert(all_zero(&state, sizeof(state)));
    assert_status(execute_by(&execute), STELE_OK);
    ck_assert_int_eq(executed.state_status, STELE_INVALID);
    ck_assert(all_zero(&state, sizeof(state)));
    teller.copy_answer = STELE_OK;
    assert_status(stele_aggregate_load(accounts, "a-1", &state, NULL), STELE_OK);
    ck_assert_str_eq(state.text, ":+1");
    stele_aggregate_clear(accounts, &state);
}
END_TEST

START_TEST(event_that_cannot_be_decoded_is_told_with_stream_and_version)
{
    static const struct {
        const char *data;
        const char *codec;
        stele_status expected;
    } bad[] = { { "{\"amount\":\"x\"}", NULL, STELE_INVALID },
                { "{\"amount\":9007199254740993}", NULL, STELE_PRECISION },
                { "M", "unheard", STELE_UNSUPPORTED } };
    account state;
    append_moves(store, "a-1", 2);
    stele_event event = make_event("Moved", bad[_i].data);
    event.codec = bad[_i].codec;
    assert_status(append_event("a-1", &event), STELE_OK);

    assert_status(try_load_account("a-1", &state), bad[_i].expected);
    assert_reason_has("stream 'a-1'");
    assert_reason_has("version 3");
    assert_status(move("a-1", 1), bad[_i].expected);
    ck_assert_uint_eq(describe_accounts().cached, 0);
}
END_TEST

/* --- Types that aren't registered --- */

START_TEST(unknown_type_is_told)
{
    account state;
    append_moves(store, "a-1", 2);
    assert_status(append_one("a-1", STELE_ANY, "Unheard", NULL), STELE_OK);

    assert_status(try_load_account("a-1", &state), STELE_UNKNOWN_TYPE);
    assert_reason_has("stream 'a-1' version 3");
    assert_status(move("a-1", 1), STELE_UNKNOWN_TYPE);
}
END_TEST

START_TEST(unknown_types_may_be_folded_as_parts_without_a_table)
{
    stele_decider decider = account_decider();
    decider.unknown = true;
    close_accounts();
    open_accounts_by(decider, NULL);
    append_moves(store, "a-1", 2);
    assert_status(append_one("a-1", STELE_ANY, "Unheard", NULL), STELE_OK);
    append_moves(store, "a-1", 1);

    account state = load_account("a-1");
    ck_assert_int_eq(state.strange, 1);
    ck_assert_int_eq(state.balance, 3);
    ck_assert_int_eq(loaded.fold.folded, 4);
}
END_TEST

START_TEST(raw_decider_is_given_records_alone)
{
    tally state;
    close_accounts();
    open_accounts_by(tally_decider(), NULL);
    append_moves(store, "a-1", 2);
    stele_event event = { .type = "Anything", .codec = "raw", .data = "12345", .data_size = 5 };
    assert_status(append_event("a-1", &event), STELE_OK);

    assert_status(stele_aggregate_load(accounts, "a-1", &state, &loaded), STELE_OK);

    ck_assert_int_eq(state.count, 3);
    ck_assert_int_eq(loaded.version, 3);
    ck_assert_int_eq(state.bytes, 5 + 2 * (int64_t)strlen("{\"amount\":1,\"id\":0}"));
}
END_TEST

/* --- Upcasters --- */

static size_t part_counts[8];

static stele_status evolve_parts(void *context, void *state, const stele_folding *event)
{
    tally *of = state;
    (void)context;
    ck_assert_ptr_nonnull(event->part);
    ck_assert_uint_lt(event->part->index, event->part->count);
    part_counts[event->record->version] = event->part->count;
    of->count++;
    of->bytes += ((const movement *)event->part->value)->amount;
    return STELE_OK;
}

static void open_with_upcasters(void)
{
    static const stele_type_version output = { "Moved", 1 };
    static const char *const two[] = { "Moved 1 {\"amount\":3}", "Moved 1 {\"amount\":4}", NULL };
    open_bank();
    assert_status(register_upcast("Two", 1, &output, 1, NULL, emit_texts, two), STELE_OK);
    assert_status(register_upcast("None", 1, &output, 0, NULL, emit_texts, two + 2), STELE_OK);
    stele_decider decider = tally_decider();
    decider.raw = false;
    decider.evolve = evolve_parts;
    open_accounts_by(decider, NULL);
}

START_TEST(each_part_of_a_record_is_folded_by_itself)
{
    tally state;
    assert_status(append_one("a-1", STELE_ANY, "Two", NULL), STELE_OK);
    assert_status(append_one("a-1", STELE_ANY, "None", NULL), STELE_OK);
    append_moves(store, "a-1", 1);
    assert_status(append_one("a-1", STELE_ANY, "None", NULL), STELE_OK);

    assert_status(stele_aggregate_load(accounts, "a-1", &state, &loaded), STELE_OK);

    ck_assert_int_eq(state.count, 3);
    ck_assert_int_eq(state.bytes, 8);
    ck_assert_uint_eq(part_counts[1], 2);
    ck_assert_uint_eq(part_counts[3], 1);
    ck_assert_int_eq(loaded.fold.folded, 4); /* events, not parts */
    ck_assert_int_eq(loaded.version, 4);
    assert_status(move("a-1", 2), STELE_OK);
    ck_assert_int_eq(executed.version, 5);
    ck_assert_int_eq(executed.fold.folded, 0);
}
END_TEST

static stele_status fail_oddly(void *context, const stele_upcast_input *input, stele_upcast *upcast)
{
    (void)input, (void)upcast;
    return *(const stele_status *)context;
}

/* NOT_FOUND would mean that the stream is gone, CONFLICT that somebody was faster. */
START_TEST(odd_answer_of_an_upcaster_is_invalid)
{
    static const stele_status odd[] = { STELE_NOT_FOUND, STELE_CONFLICT, STELE_BUSY, STELE_CLOSED,
                                        STELE_UNKNOWN_OUTCOME };
    account state;
    static const stele_type_version output = { "Moved", 1 };
    assert_status(register_upcast("Odd", 1, &output, 1, NULL, fail_oddly, &odd[_i]), STELE_OK);
    open_accounts_by(account_decider(), NULL);
    append_moves(store, "a-1", 1);
    assert_status(append_one("a-1", STELE_ANY, "Odd", NULL), STELE_OK);

    assert_status(try_load_account("a-1", &state), STELE_INVALID);
    assert_reason_has(stele_status_name(odd[_i]));
    assert_reason_has("version 2");
    assert_status(move("a-1", 1), STELE_INVALID);
    ck_assert_int_eq(atomic_load(&teller.evolved), 2);
}
END_TEST

/* --- Purity --- */

/* Whoever folds the stream gets the same: by any handle, in any pieces. */
START_TEST(fold_in_pieces_is_the_fold_of_all)
{
    for (int i = 0; i < 12; i++) {
        command what = { .verb = MOVE, .amount = i % 3 + 1, .id = i };
        assert_status(execute_command("a-1", what), STELE_OK);
        account pieces = load_account("a-1");
        stele_aggregate *fresh = open_aggregate(store, account_decider(), NULL);
        account all;
        assert_status(stele_aggregate_load(fresh, "a-1", &all, NULL), STELE_OK);
        ck_assert_mem_eq(&pieces, &all, sizeof(all));
        stele_aggregate_close(fresh);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_fold");
    TCase *tests = add_bank_case(suite, "folding", open_accounts);
    tcase_add_loop_test(tests, evolve_that_fails_is_the_answer_with_stream_version_and_type, 0,
                        (int)COUNT_OF(evolve_answers));
    tcase_add_loop_test(tests, fold_that_failed_leaves_nothing_behind, 0, 2);
    tcase_add_test(tests, failed_fold_of_a_state_that_owns_frees_it);
    tcase_add_loop_test(tests, initial_that_fails_is_the_answer_with_the_stream, 0, 2);
    tcase_add_test(tests, copy_that_fails_is_told);
    tcase_add_loop_test(tests, event_that_cannot_be_decoded_is_told_with_stream_and_version, 0, 3);
    tcase_add_test(tests, unknown_type_is_told);
    tcase_add_test(tests, unknown_types_may_be_folded_as_parts_without_a_table);
    tcase_add_test(tests, raw_decider_is_given_records_alone);
    tcase_add_test(tests, fold_in_pieces_is_the_fold_of_all);
    TCase *upcasters = add_bank_case(suite, "upcasters", open_with_upcasters);
    tcase_add_test(upcasters, each_part_of_a_record_is_folded_by_itself);
    TCase *odd = add_bank_case(suite, "odd", open_bank);
    tcase_add_loop_test(odd, odd_answer_of_an_upcaster_is_invalid, 0, 5);
    return run_suite(suite);
}
