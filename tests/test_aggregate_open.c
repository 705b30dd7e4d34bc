/* Opening, describing and closing aggregates. */
#include "account_calls.h"

/* --- Defaults --- */

START_TEST(init_functions_set_what_the_initializers_do)
{
    stele_decider decider, of_macro = STELE_DECIDER_INIT;
    stele_aggregate_options options, options_of_macro = STELE_AGGREGATE_OPTIONS_INIT;
    stele_execute execute, execute_of_macro = STELE_EXECUTE_INIT;
    stele_cause cause, cause_of_macro = STELE_CAUSE_INIT;
    stele_at at, at_of_macro = STELE_AT_INIT;
    stele_decider_init(&decider);
    stele_aggregate_options_init(&options);
    stele_execute_init(&execute);
    stele_cause_init(&cause);
    stele_at_init(&at);

    ck_assert_uint_eq(decider.struct_size, of_macro.struct_size);
    ck_assert_ptr_null(decider.name);
    ck_assert_uint_eq(options.struct_size, options_of_macro.struct_size);
    ck_assert_uint_eq(options.cache_count_max, 1000);
    ck_assert_uint_eq(options.cache_size_max, 64 * 1024 * 1024);
    ck_assert_uint_eq(options.snapshot_events, 0);
    ck_assert_uint_eq(options.snapshot_fold_us, 0);
    ck_assert_uint_eq(options.snapshot_keep, 1);
    ck_assert_uint_eq(options.tries, 20);
    ck_assert_uint_eq(options.backoff_us, 500);
    ck_assert_uint_eq(options.backoff_max_us, 10000);
    ck_assert_uint_eq(options.lock_after, 3);
    ck_assert_uint_eq(execute.struct_size, execute_of_macro.struct_size);
    ck_assert_int_eq(execute.expected_version, STELE_ANY);
    ck_assert_uint_eq(cause.struct_size, cause_of_macro.struct_size);
    ck_assert_uint_eq(cause.attribute_size, sizeof(stele_attribute));
    ck_assert_uint_eq(at.struct_size, at_of_macro.struct_size);
}
END_TEST

/* --- What is refused --- */

static void refuse_decider(const stele_decider *decider, const stele_aggregate_options *options,
                           const char *part)
{
    stele_aggregate *opened = (stele_aggregate *)&opened;
    assert_status(stele_aggregate_open(store, decider, options, &opened), STELE_MISUSE);
    ck_assert_ptr_null(opened);
    assert_reason_has(part);
}

START_TEST(missing_argument_is_misuse)
{
    stele_decider decider = account_decider();
    stele_aggregate *opened = (stele_aggregate *)&opened;

    assert_status(stele_aggregate_open(NULL, &decider, NULL, &opened), STELE_MISUSE);
    ck_assert_ptr_null(opened);
    assert_status(stele_aggregate_open(store, &decider, NULL, NULL), STELE_MISUSE);
    refuse_decider(NULL, NULL, "decider is NULL");
    decider.struct_size = 0;
    refuse_decider(&decider, NULL, "struct_size");
    decider = account_decider();
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    options.struct_size = 3;
    refuse_decider(&decider, &options, "struct_size");
}
END_TEST

static stele_status just_copy(void *context, const void *state, void *copy)
{
    (void)context, (void)state, (void)copy;
    return STELE_OK;
}

static const stele_type nameless = { sizeof(stele_type), sizeof(stele_field), NULL, 1,
                                     sizeof(account),    account_fields,      1,    0 };

/* Each line breaks a decider that is right otherwise. */
START_TEST(wrong_decider_is_misuse_and_says_what_is_wrong)
{
    stele_decider decider = account_decider();
    decider.name = NULL;
    refuse_decider(&decider, NULL, "decider");
    decider.name = "";
    refuse_decider(&decider, NULL, "decider");
    decider = account_decider();
    decider.evolve = NULL;
    refuse_decider(&decider, NULL, "no `evolve`");
    decider = account_decider();
    decider.state_size = sizeof(account);
    refuse_decider(&decider, NULL, "a table and a state_size");
    decider = tally_decider();
    decider.state_size = 0;
    refuse_decider(&decider, NULL, "neither a table nor a state_size");
    decider = account_decider();
    decider.copy = just_copy;
    refuse_decider(&decider, NULL, "a table and functions");
    decider = memo_decider();
    decider.encode = NULL;
    refuse_decider(&decider, NULL, "`decode` alone");
    decider = memo_decider();
    decider.decode = NULL;
    refuse_decider(&decider, NULL, "`encode` alone");
    decider = account_decider();
    decider.schema_version = -1;
    refuse_decider(&decider, NULL, "schema_version -1");
    decider = account_decider();
    decider.codec = "";
    refuse_decider(&decider, NULL, "codec");
    decider = account_decider();
    decider.state = &nameless;
    refuse_decider(&decider, NULL, "the table of the decider 'account'");
}
END_TEST

START_TEST(wrong_option_is_misuse_and_says_what_is_wrong)
{
    stele_decider decider = account_decider();
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    options.tries = 0;
    refuse_decider(&decider, &options, "tries");
    options = (stele_aggregate_options)STELE_AGGREGATE_OPTIONS_INIT;
    options.snapshot_keep = 0;
    refuse_decider(&decider, &options, "snapshot_keep");
    options.snapshot_keep = STELE_SNAPSHOT_KEEP_MAX + 1;
    refuse_decider(&decider, &options, "snapshot_keep");
    options = (stele_aggregate_options)STELE_AGGREGATE_OPTIONS_INIT;
    decider = tally_decider();
    options.snapshot_events = 1;
    refuse_decider(&decider, &options, "can't write the snapshots");
    options.snapshot_events = 0;
    options.snapshot_fold_us = 1;
    refuse_decider(&decider, &options, "can't write the snapshots");
}
END_TEST

/* --- What is taken over --- */

START_TEST(decider_and_its_names_are_copied)
{
    char name[] = "named";
    char codec[] = "cbor";
    stele_decider decider = account_decider();
    decider.name = name;
    decider.codec = codec;
    open_accounts_by(decider, NULL);
    memset(name, 'x', sizeof(name) - 1);
    memset(codec, 'x', sizeof(codec) - 1);
    memset(&decider, 0xAA, sizeof(decider));
    move_often("a-1", 2);

    assert_status(stele_aggregate_snapshot(accounts, "a-1", NULL), STELE_OK);

    stele_snapshot_read read = STELE_SNAPSHOT_READ_INIT;
    const stele_snapshot_record *record = NULL;
    read.stream = "a-1";
    read.name = "named";
    assert_status(stele_snapshot_load(store, &read, &record), STELE_OK);
    ck_assert(record->found);
    ck_assert_str_eq(record->codec, "cbor");
    stele_snapshot_close(record);
}
END_TEST

/* A program that was built against a shorter struct. */
START_TEST(shorter_structs_of_older_programs_are_taken)
{
    stele_decider decider = account_decider();
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    decider.struct_size = offsetof(stele_decider, clear);
    options.struct_size = offsetof(stele_aggregate_options, tries);
    open_accounts_by(decider, &options);
    command what = { .verb = MOVE, .amount = 3 };
    stele_execute execute = make_execute("a-1", &what);
    execute.struct_size = offsetof(stele_execute, idempotency_key);

    assert_status(execute_by(&execute), STELE_OK);
    expect_balance("a-1", 3);

    stele_aggregate_info info = { .struct_size = offsetof(stele_aggregate_info, misses) };
    memset((char *)&info + info.struct_size, 0x55, sizeof(info) - info.struct_size);
    assert_status(stele_aggregate_describe(accounts, &info), STELE_OK);
    ck_assert_uint_eq(info.cached, 1);
    ck_assert_uint_eq(info.misses, 0x5555555555555555u);
}
END_TEST

/* --- Describing --- */

START_TEST(describe_tells_the_facts_of_the_handle)
{
    open_accounts_by(account_decider(), NULL);
    stele_aggregate_info info = describe_accounts();
    ck_assert_uint_eq(info.struct_size, sizeof(info));
    info.struct_size = 0;
    ck_assert(all_zero(&info, sizeof(info)));

    move_often("a-1", 3);
    expect_balance("a-1", 3);
    assert_status(move("a-1", -4), STELE_REFUSED);
    assert_status(execute_command("a-2", (command){ .verb = IDLE }), STELE_OK);

    info = describe_accounts();
    ck_assert_uint_eq(info.executed, 3);
    ck_assert_uint_eq(info.cached, 1);
    ck_assert_uint_eq(info.misses, 3); /* on nothing, on what is first there, on "a-2" */
    ck_assert_uint_eq(info.hits, 3);
    ck_assert_uint_eq(info.folded, 3);
    ck_assert_uint_eq(info.conflicts, 0);
    ck_assert_uint_eq(info.snapshot_hits, 0);
}
END_TEST

START_TEST(describe_refuses_what_is_no_info)
{
    open_accounts_by(account_decider(), NULL);
    stele_aggregate_info info = { .struct_size = sizeof(info) };
    assert_status(stele_aggregate_describe(NULL, &info), STELE_MISUSE);
    assert_status(stele_aggregate_describe(accounts, NULL), STELE_MISUSE);
    info.struct_size = 0;
    assert_status(stele_aggregate_describe(accounts, &info), STELE_MISUSE);
}
END_TEST

/* --- NULLs of the other calls --- */

START_TEST(null_is_misuse_everywhere)
{
    open_accounts_by(account_decider(), NULL);
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = make_execute("a-1", &what);
    account state;
    stele_at at = STELE_AT_INIT;
    at.stream = "a-1";
    at.version = 1;
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_aggregate_execute(NULL, accounts, &execute, &executed),
                  STELE_MISUSE);
    assert_status(stele_transaction_aggregate_execute(transaction, NULL, &execute, &executed),
                  STELE_MISUSE);
    assert_status(stele_transaction_aggregate_execute(transaction, accounts, NULL, &executed),
                  STELE_MISUSE);
    assert_status(stele_transaction_aggregate_load(NULL, accounts, "a-1", &state, NULL),
                  STELE_MISUSE);
    assert_status(stele_transaction_aggregate_load(transaction, NULL, "a-1", &state, NULL),
                  STELE_MISUSE);
    assert_status(stele_transaction_aggregate_load(transaction, accounts, NULL, &state, NULL),
                  STELE_MISUSE);
    assert_status(stele_transaction_aggregate_load(transaction, accounts, "a-1", NULL, NULL),
                  STELE_MISUSE);
    stele_transaction_end(transaction);

    assert_status(stele_aggregate_execute(NULL, &execute, &executed), STELE_MISUSE);
    assert_status(stele_aggregate_execute(accounts, NULL, &executed), STELE_MISUSE);
    assert_status(stele_aggregate_load(NULL, "a-1", &state, NULL), STELE_MISUSE);
    assert_status(stele_aggregate_load(accounts, NULL, &state, NULL), STELE_MISUSE);
    assert_status(stele_aggregate_load(accounts, "a-1", NULL, NULL), STELE_MISUSE);
    assert_status(stele_aggregate_at(NULL, &at, &state, NULL), STELE_MISUSE);
    assert_status(stele_aggregate_at(accounts, NULL, &state, NULL), STELE_MISUSE);
    assert_status(stele_aggregate_at(accounts, &at, NULL, NULL), STELE_MISUSE);
    assert_status(stele_aggregate_snapshot(NULL, "a-1", NULL), STELE_MISUSE);
    assert_status(stele_aggregate_snapshot(accounts, NULL, NULL), STELE_MISUSE);
    stele_aggregate_clear(NULL, &state);
    stele_aggregate_clear(accounts, NULL);
    stele_aggregate_close(NULL);
    assert_status(stele_decision_emit(NULL, &movement_type, &state), STELE_MISUSE);
    assert_status(stele_decision_emit_typed(NULL, NULL), STELE_MISUSE);
    assert_status(stele_decision_emit_event(NULL, NULL), STELE_MISUSE);
    assert_status(stele_decision_refuse(NULL, 1, ""), STELE_MISUSE);
    ck_assert_str_eq(stele_decision_stream(NULL), "");
    ck_assert_int_eq(stele_decision_version(NULL), 0);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

/* --- After the store was closed, and in a child --- */

static size_t state_size;

static int expect_everywhere(stele_status expected)
{
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = make_execute("a-1", &what);
    char state[200];
    stele_at at = STELE_AT_INIT;
    at.stream = "a-1";
    at.version = 1;
    stele_aggregate *opened = NULL;
    stele_decider decider = account_decider();
    stele_aggregate_info info = { .struct_size = sizeof(info) };
    const stele_status answers[] = {
        stele_aggregate_execute(accounts, &execute, NULL),
        stele_aggregate_load(accounts, "a-1", state, NULL),
        stele_aggregate_at(accounts, &at, state, NULL),
        stele_aggregate_snapshot(accounts, "a-1", NULL),
        stele_aggregate_describe(accounts, &info),
    };
    for (size_t i = 0; i < COUNT_OF(answers); i++)
        if (answers[i] != expected)
            return (int)i + 1;
    if (expected == STELE_MISUSE
        && stele_aggregate_open(store, &decider, NULL, &opened) != expected)
        return 9;
    return all_zero(state, state_size) ? 0 : 10;
}

START_TEST(every_call_after_the_store_was_closed_is_closed)
{
    state_size = _i == 0 ? sizeof(account) : sizeof(memo);
    open_accounts_by(_i == 0 ? account_decider() : memo_decider(), NULL);
    move_often("a-1", 2);
    void *state = calloc(1, 200);
    assert_status(stele_aggregate_load(accounts, "a-1", state, NULL), STELE_OK);
    close_store();

    ck_assert_int_eq(expect_everywhere(STELE_CLOSED), 0);

    /* What was loaded before can still be cleared. */
    stele_aggregate_clear(accounts, state);
    ck_assert(all_zero(state, 200));
    free(state);
    close_accounts();
}
END_TEST

static int call_and_close_in_child(void *context)
{
    (void)context;
    int wrong = expect_everywhere(STELE_MISUSE);
    stele_aggregate_close(accounts);
    stele_store_close(store);
    return wrong;
}

START_TEST(child_after_fork_may_only_close)
{
    state_size = _i == 0 ? sizeof(account) : sizeof(memo);
    open_accounts_by(_i == 0 ? account_decider() : memo_decider(), NULL);
    move_often("a-1", 2);

    ck_assert_int_eq(run_in_child(call_and_close_in_child, NULL), 0);

    assert_status(move("a-1", 1), STELE_OK);
    ck_assert_int_eq(executed.version, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_open");
    TCase *tests = add_bank_case(suite, "opening", open_bank);
    tcase_add_test(tests, init_functions_set_what_the_initializers_do);
    tcase_add_test(tests, missing_argument_is_misuse);
    tcase_add_test(tests, wrong_decider_is_misuse_and_says_what_is_wrong);
    tcase_add_test(tests, wrong_option_is_misuse_and_says_what_is_wrong);
    tcase_add_test(tests, decider_and_its_names_are_copied);
    tcase_add_test(tests, shorter_structs_of_older_programs_are_taken);
    tcase_add_test(tests, describe_tells_the_facts_of_the_handle);
    tcase_add_test(tests, describe_refuses_what_is_no_info);
    tcase_add_test(tests, null_is_misuse_everywhere);
    tcase_add_loop_test(tests, every_call_after_the_store_was_closed_is_closed, 0, 2);
    tcase_add_loop_test(tests, child_after_fork_may_only_close, 0, 2);
    return run_suite(suite);
}
