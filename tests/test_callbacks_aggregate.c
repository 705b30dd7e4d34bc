/* docs/callbacks.md, the rows of a decider: its functions may call nothing with a store or an
 * aggregate, not even the one that calls them. What needs no store is open to them. */
#include "callback_actions.h"

/* --- With the aggregate at hand --- */

static stele_aggregate *caller;

static stele_status call_execute(void)
{
    command what = { .verb = IDLE };
    stele_execute execute = STELE_EXECUTE_INIT;
    execute.stream = "a-1";
    execute.command = &what;
    return stele_aggregate_execute(caller, &execute, NULL);
}

static stele_status call_execute_in(void)
{
    command what = { .verb = IDLE };
    stele_execute execute = STELE_EXECUTE_INIT;
    execute.stream = "a-1";
    execute.command = &what;
    return open_transaction == NULL
               ? STELE_MISUSE
               : stele_transaction_aggregate_execute(open_transaction, caller, &execute, NULL);
}

static stele_status call_load(void)
{
    memo state;
    return stele_aggregate_load(caller, "a-1", &state, NULL);
}

static stele_status call_at(void)
{
    memo state;
    stele_at at = STELE_AT_INIT;
    at.stream = "a-1";
    at.version = 1;
    return stele_aggregate_at(caller, &at, &state, NULL);
}

static stele_status call_snapshot(void)
{
    return stele_aggregate_snapshot(caller, "a-1", NULL);
}

static stele_status call_describe(void)
{
    stele_aggregate_info info = { .struct_size = sizeof(info) };
    return stele_aggregate_describe(caller, &info);
}

static stele_status (*const calls[])(void) = { call_execute, call_execute_in, call_load,
                                               call_at,      call_snapshot,   call_describe };

static void call_everything(int nth)
{
    char text[16];
    stele_buffer buffer = STELE_BUFFER_INIT;
    if (nth > 1)
        return;
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        ck_assert_msg(calls[i]() == STELE_MISUSE, "call %zu", i);
    try_all();
    ck_assert_int_eq(stele_json_check("{}", 2, NULL), STELE_OK);
    ck_assert_uint_eq(stele_json_quote("a", 1, text, sizeof(text)), 3);
    ck_assert_int_eq(stele_type_check(&movement_type), STELE_OK);
    ck_assert_int_eq(stele_buffer_add(&buffer, "a", 1), STELE_OK);
    stele_buffer_dispose(&buffer);
}

/* --- Each of them --- */

static const struct {
    const char *name;
    void (**hook)(int nth);
} functions[] = {
    { "initial", &teller.in_initial }, { "decide", &teller.in_decide },
    { "evolve", &teller.in_evolve },   { "clear", &teller.in_clear },
    { "copy", &teller.in_copy },       { "encode", &teller.in_encode },
    { "decode", &teller.in_decode },
};

static void setup_caller(void)
{
    stele_decider decider = memo_decider();
    reset_teller();
    setup_stores();
    open_in_file();
    register_table(&movement_type);
    assert_status(stele_aggregate_open(store, &decider, NULL, &caller), STELE_OK);
}

static void remove_caller(void)
{
    reset_teller();
    stele_aggregate_close(caller);
    caller = NULL;
    remove_stores();
}

/* All that a decider has is called in here. */
static void use_caller(void)
{
    memo state;
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = STELE_EXECUTE_INIT;
    execute.stream = "a-1";
    execute.command = &what;
    for (int i = 0; i < 2; i++)
        assert_status(open_transaction == NULL ? stele_aggregate_execute(caller, &execute, NULL)
                                               : stele_transaction_aggregate_execute(
                                                   open_transaction, caller, &execute, NULL),
                      STELE_OK);
    if (open_transaction == NULL) {
        stele_decider decider = memo_decider();
        assert_status(stele_aggregate_snapshot(caller, "a-1", NULL), STELE_OK);
        stele_aggregate_close(caller);
        assert_status(stele_aggregate_open(store, &decider, NULL, &caller), STELE_OK);
        assert_status(stele_aggregate_load(caller, "a-1", &state, NULL), STELE_OK);
    } else {
        assert_status(
            stele_transaction_aggregate_load(open_transaction, caller, "a-1", &state, NULL),
            STELE_OK);
    }
    ck_assert_str_eq(state.text, ":+1+1");
    stele_aggregate_clear(caller, &state);
}

START_TEST(functions_of_a_decider_may_call_nothing_with_a_store)
{
    *functions[_i].hook = call_everything;

    use_caller();

    expect_answers(nothing);
    ck_assert_int_eq(head_of(store), 2);
    ck_assert_int_eq(head_of(other), 0);
}
END_TEST

START_TEST(functions_of_a_decider_may_not_use_the_transaction_that_they_run_in)
{
    *functions[_i].hook = call_everything;
    open_transaction = begin();

    use_caller();

    ck_assert_int_gt(call_count, 0);
    for (int i = 0; i < ACTIONS; i++)
        ck_assert_int_eq(answers[i], STELE_MISUSE);
    commit_and_end(open_transaction);
    open_transaction = NULL;
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

/* --- In the middle of an emission --- */

static stele_status emit_and_try(stele_decision *decision)
{
    movement by = { .amount = 1 };
    stele_status status = stele_decision_emit(decision, &movement_type, &by);
    call_everything(1);
    return status;
}

/* Encoding for it asks the store, but it stays closed to `decide` itself. */
START_TEST(decide_that_has_emitted_may_still_call_nothing)
{
    command what = { .verb = EMIT, .emit = emit_and_try };
    stele_execute execute = STELE_EXECUTE_INIT;
    execute.stream = "a-1";
    execute.command = &what;
    assert_status(stele_aggregate_execute(caller, &execute, NULL), STELE_OK);
    expect_answers(nothing);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

/* What it was told is no answer of its own. */
static stele_status evolve_by_loading(void *context, void *state, const stele_folding *event)
{
    (void)context, (void)state, (void)event;
    return call_load();
}

START_TEST(misuse_in_a_callback_is_invalid_for_the_caller)
{
    tally state;
    stele_decider decider = tally_decider();
    decider.evolve = evolve_by_loading;
    stele_aggregate *tallies = NULL;
    assert_status(stele_aggregate_open(store, &decider, NULL, &tallies), STELE_OK);
    assert_status(append_one("b-1", STELE_ANY, "noted", NULL), STELE_OK);
    assert_status(stele_aggregate_load(tallies, "b-1", &state, NULL), STELE_INVALID);
    assert_reason_has("an evolve callback");
    assert_reason_has("stream 'b-1', version 1");
    stele_aggregate_close(tallies);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("callbacks_aggregate");
    TCase *tests = tcase_create("cells");
    tcase_add_checked_fixture(tests, setup_caller, remove_caller);
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, functions_of_a_decider_may_call_nothing_with_a_store, 0, 7);
    tcase_add_loop_test(tests, functions_of_a_decider_may_not_use_the_transaction_that_they_run_in,
                        0, 5);
    tcase_add_test(tests, decide_that_has_emitted_may_still_call_nothing);
    tcase_add_test(tests, misuse_in_a_callback_is_invalid_for_the_caller);
    return run_suite(suite);
}
