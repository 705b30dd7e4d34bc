/* Executing commands: what is decided, what is appended, what is answered. */
#include "account_calls.h"

/* --- Success --- */

START_TEST(execute_decides_on_the_state_and_appends_what_was_emitted)
{
    assert_status(append_one("other-1", STELE_ANY, "noted", NULL), STELE_OK);
    assert_status(move("a-1", 10), STELE_OK);
    ck_assert_int_eq(executed.version, 1);
    ck_assert_int_eq(executed.first_position, 2);
    teller.watches = true;

    command what = { .verb = MOVE, .amount = -3, .id = 5, .count = 3 };
    stele_execute execute = make_execute("a-1", &what);
    assert_status(execute_by(&execute), STELE_OK);

    ck_assert_int_eq(executed.version, 4);
    ck_assert_int_eq(executed.first_position, 3);
    ck_assert_int_eq(executed.last_position, 5);
    ck_assert_uint_eq(executed.event_count, 3);
    ck_assert_uint_eq(executed.tries, 1);
    ck_assert(!executed.duplicate && !executed.erased && !executed.snapshot_saved);
    ck_assert_int_eq(executed.refusal, 0);
    ck_assert_int_eq(executed.snapshot_status, STELE_OK);
    ck_assert_int_eq(executed.state_status, STELE_OK);
    ck_assert_int_eq(executed.fold.folded, 1);
    ck_assert_int_eq(executed.fold.snapshot_version, 0);
    ck_assert_int_eq(executed.fold.miss, STELE_SNAPSHOT_NONE);
    ck_assert_str_eq(teller.stream, "a-1");
    ck_assert_int_eq(teller.version, 1);
    account state = load_account("a-1");
    ck_assert_int_eq(state.balance, 1);
    ck_assert_int_eq(state.last_id, 5);
    ck_assert_int_eq(loaded.version, 4);
    ck_assert_int_gt(loaded.stream_id, 0);
    ck_assert_int_eq(loaded.stream_state, STELE_STREAM_ACTIVE);
}
END_TEST

START_TEST(facts_are_not_wanted_by_everybody)
{
    command what = { .verb = MOVE, .amount = 10 };
    stele_execute execute = make_execute("a-1", &what);
    assert_status(stele_aggregate_execute(accounts, &execute, NULL), STELE_OK);
    account state;
    assert_status(stele_aggregate_load(accounts, "a-1", &state, NULL), STELE_OK);
    ck_assert_int_eq(state.balance, 10);
}
END_TEST

START_TEST(command_that_emits_nothing_appends_nothing)
{
    move_often("a-1", 2);

    assert_status(execute_command("a-1", (command){ .verb = IDLE }), STELE_OK);

    ck_assert_uint_eq(executed.event_count, 0);
    ck_assert_int_eq(executed.version, 2);
    ck_assert_int_eq(executed.first_position, 0);
    ck_assert_int_eq(executed.last_position, 0);
    ck_assert_uint_eq(executed.tries, 1);
    ck_assert_int_eq(head_of(store), 2);
    assert_status(execute_command("new-1", (command){ .verb = IDLE }), STELE_OK);
    ck_assert_int_eq(executed.version, 0);
    ck_assert_int_eq(version_of("new-1"), 0);
}
END_TEST

START_TEST(state_after_the_command_is_handed_out_when_wanted)
{
    account state;
    memset(&state, 0xAA, sizeof(state));
    move_often("a-1", 2);
    command what = { .verb = MOVE, .amount = 5 };
    stele_execute execute = make_execute("a-1", &what);
    execute.state = &state;

    assert_status(execute_by(&execute), STELE_OK);
    ck_assert_int_eq(state.balance, 7);
    ck_assert_int_eq(executed.state_status, STELE_OK);
    ck_assert_int_eq(executed.state_version, 3);
    ck_assert_int_eq(executed.fold.folded, 2); /* what the cache lacked, and its own */

    what.amount = -100;
    assert_status(execute_by(&execute), STELE_REFUSED);
    ck_assert(all_zero(&state, sizeof(state)));
}
END_TEST

/* The command is done, so its success stays one. */
START_TEST(state_that_cannot_be_folded_is_told_apart_from_the_command)
{
    account state;
    teller.evolve_answer = STELE_INVALID;
    command what = { .verb = MOVE, .amount = 5 };
    stele_execute execute = make_execute("a-1", &what);
    execute.state = &state;

    assert_status(execute_by(&execute), STELE_OK);

    ck_assert_int_eq(executed.state_status, STELE_INVALID);
    ck_assert_int_eq(executed.state_version, 0);
    ck_assert(all_zero(&state, sizeof(state)));
    ck_assert_int_eq(executed.version, 1);
}
END_TEST

/* --- Refusing --- */

START_TEST(refused_command_appends_nothing_and_tells_code_and_reason)
{
    move_often("a-1", 2);
    command what = { .verb = REFUSE, .reason = "closed on sundays" };

    assert_status(execute_command("a-1", what), STELE_REFUSED);

    ck_assert_str_eq(stele_error_text(), "closed on sundays");
    ck_assert_int_eq(executed.refusal, 42);
    ck_assert_int_eq(executed.version, 2);
    ck_assert_uint_eq(executed.event_count, 0);
    ck_assert_uint_eq(executed.tries, 1);
    ck_assert_int_eq(head_of(store), 2);
    assert_status(move("a-1", -9), STELE_REFUSED);
    ck_assert_int_eq(executed.refusal, 7);
    ck_assert_str_eq(stele_error_text(), "not enough money");
}
END_TEST

START_TEST(reason_is_cut_after_400_bytes_between_characters)
{
    char reason[1000];
    memset(reason, 'x', sizeof(reason));
    memcpy(reason + 399, "\xc3\xa9", 2);
    reason[999] = '\0';
    command what = { .verb = REFUSE, .reason = reason };

    assert_status(execute_command("a-1", what), STELE_REFUSED);
    ck_assert_uint_eq(strlen(stele_error_text()), 399);

    what.reason = NULL;
    assert_status(execute_command("a-1", what), STELE_REFUSED);
    ck_assert_str_eq(stele_error_text(), "");
    ck_assert_int_eq(executed.refusal, 42);

    reason[399] = 'x'; /* no UTF-8 any more */
    what.reason = reason;
    assert_status(execute_command("a-1", what), STELE_REFUSED);
    ck_assert_uint_ge(strlen(stele_error_text()), 399);
}
END_TEST

START_TEST(refused_may_be_answered_without_refusing_first)
{
    command what = { .verb = FAIL, .answer = STELE_REFUSED };

    assert_status(execute_command("a-1", what), STELE_REFUSED);

    ck_assert_int_eq(executed.refusal, 0);
    ck_assert_str_ne(stele_error_text(), "");
}
END_TEST

static stele_status refuse_twice(stele_decision *decision)
{
    movement by = { .amount = 1 };
    assert_status(stele_decision_emit(decision, &movement_type, &by), STELE_OK);
    assert_status(stele_decision_refuse(decision, 3, "the first"), STELE_REFUSED);
    return stele_decision_refuse(decision, 4, "the second");
}

/* Also when `decide` returns something else, and after it had emitted. */
START_TEST(first_refusal_is_the_answer)
{
    command what = { .verb = EMIT, .emit = refuse_twice, .answer = STELE_OK };
    assert_status(execute_command("a-1", what), STELE_REFUSED);
    ck_assert_int_eq(executed.refusal, 3);
    ck_assert_str_eq(stele_error_text(), "the first");
    what.answer = STELE_INVALID;
    assert_status(execute_command("a-1", what), STELE_REFUSED);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

/* --- What decide answers --- */

/* These mean something of their own to who executes. */
START_TEST(odd_answer_of_decide_is_invalid)
{
    static const stele_status odd[] = { STELE_CONFLICT,  STELE_UNKNOWN_OUTCOME, STELE_BUSY,
                                        STELE_NOT_FOUND, STELE_CLOSED,          STELE_DONE,
                                        STELE_MISUSE,    STELE_ARCHIVED,        STELE_KEY_REUSED };
    move_often("a-1", 2);
    assert_status(execute_command("a-1", (command){ .verb = FAIL, .answer = odd[_i] }),
                  STELE_INVALID);
    assert_reason_has("stream 'a-1' at version 2");
    assert_reason_has(stele_status_name(odd[_i]));
    ck_assert_uint_eq(executed.tries, 1);
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

START_TEST(failure_of_decide_is_the_answer_with_stream_and_version)
{
    static const stele_status fair[] = { STELE_INVALID,     STELE_PRECISION,    STELE_TOO_LARGE,
                                         STELE_UNSUPPORTED, STELE_UNKNOWN_TYPE, STELE_NO_MEMORY };
    move_often("a-1", 2);
    assert_status(execute_command("a-1", (command){ .verb = FAIL, .answer = fair[_i] }), fair[_i]);
    assert_reason_has("stream 'a-1' at version 2");
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

/* --- What is emitted --- */

static stele_status emit_unregistered(stele_decision *decision)
{
    movement by = { .amount = 1 };
    assert_status(stele_decision_emit(decision, &movement_type, &by), STELE_OK);
    stele_status status = stele_decision_emit(decision, &unheard_type, &by);
    /* Nothing more is taken, and it is told again. */
    assert_status(stele_decision_emit(decision, &movement_type, &by), status);
    assert_reason_has("event 1");
    return status;
}

static stele_status emit_null_type(stele_decision *decision)
{
    return stele_decision_emit(decision, NULL, "");
}

static stele_status emit_null_value(stele_decision *decision)
{
    return stele_decision_emit(decision, &movement_type, NULL);
}

static stele_status emit_null_event(stele_decision *decision)
{
    return stele_decision_emit_event(decision, NULL);
}

static stele_status emit_null_typed(stele_decision *decision)
{
    return stele_decision_emit_typed(decision, NULL);
}

static stele_status emit_null_data(stele_decision *decision)
{
    stele_event event = { .type = "Moved", .data_size = 3 };
    return stele_decision_emit_event(decision, &event);
}

static stele_status emit_null_metadata(stele_decision *decision)
{
    stele_event event = { .type = "Moved", .metadata_size = 3 };
    return stele_decision_emit_event(decision, &event);
}

static stele_status emit_nameless(stele_decision *decision)
{
    stele_event event = { .data = "{}", .data_size = 2 };
    return stele_decision_emit_event(decision, &event);
}

static stele_status emit_too_many(stele_decision *decision)
{
    stele_event event = { .type = "Moved" };
    for (int i = 0; i < 100000; i++)
        assert_status(stele_decision_emit_event(decision, &event), STELE_OK);
    return stele_decision_emit_event(decision, &event);
}

static stele_status emit_unknown_codec(stele_decision *decision)
{
    movement by = { .amount = 1 };
    stele_typed_event typed = STELE_TYPED_EVENT_INIT;
    typed.type = &movement_type;
    typed.value = &by;
    typed.codec = "nobody's";
    return stele_decision_emit_typed(decision, &typed);
}

static const struct {
    stele_status (*emit)(stele_decision *decision);
    stele_status expected;
} wrong_emissions[] = {
    { emit_unregistered, STELE_UNKNOWN_TYPE }, { emit_null_type, STELE_MISUSE },
    { emit_null_value, STELE_MISUSE },         { emit_null_event, STELE_MISUSE },
    { emit_null_typed, STELE_MISUSE },         { emit_null_data, STELE_MISUSE },
    { emit_null_metadata, STELE_MISUSE },      { emit_nameless, STELE_MISUSE },
    { emit_too_many, STELE_TOO_LARGE },        { emit_unknown_codec, STELE_UNSUPPORTED },
};

START_TEST(failed_emission_is_the_answer_whatever_decide_returns)
{
    static const stele_status answers[] = { STELE_OK, STELE_REFUSED, STELE_NO_MEMORY };
    move_often("a-1", 1);
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        command what = { .verb = EMIT, .emit = wrong_emissions[_i].emit, .answer = answers[i] };
        assert_status(execute_command("a-1", what), wrong_emissions[_i].expected);
        assert_reason_has("stream 'a-1' at version 1");
        assert_reason_has("event ");
        ck_assert_int_eq(executed.refusal, 0);
    }
    ck_assert_int_eq(head_of(store), 1);
    assert_status(move("a-1", 1), STELE_OK);
}
END_TEST

static const char *bad_data;
static const char *bad_metadata;

static stele_status emit_bytes(stele_decision *decision)
{
    stele_event event = make_event("Moved", bad_data);
    event.metadata = bad_metadata;
    event.metadata_size = strlen(bad_metadata);
    assert_status(stele_decision_emit_event(decision, &event), STELE_OK);
    return STELE_OK;
}

START_TEST(what_is_wrong_with_bytes_is_told_by_the_append)
{
    move_often("a-1", 1);
    command what = { .verb = EMIT, .emit = emit_bytes };
    bad_data = "{";
    bad_metadata = "";
    assert_status(execute_command("a-1", what), STELE_INVALID);
    assert_reason_has("stream 'a-1' at version 1");
    assert_reason_has("event 0: data");
    bad_data = "{}";
    bad_metadata = "[";
    assert_status(execute_command("a-1", what), STELE_INVALID);
    assert_reason_has("event 0: metadata");
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

static stele_status emit_everything(stele_decision *decision)
{
    char type[] = "Told";
    char data[] = "12";
    char metadata[] = " {\"by\" : 1} ";
    char codec[] = "raw";
    stele_event event = { .type = type, .data = data, .data_size = 2, .codec = codec };
    event.metadata = metadata;
    event.metadata_size = strlen(metadata);
    event.schema_version = 4;
    event.has_occurred_at = true;
    event.occurred_at = 0;
    assert_status(stele_decision_emit_event(decision, &event), STELE_OK);
    memset(type, 'x', 4), memset(data, 'x', 2), memset(metadata, 'x', 5), memset(codec, 'x', 3);
    movement by = { .amount = 4 };
    stele_typed_event typed = STELE_TYPED_EVENT_INIT;
    typed.type = &movement_type;
    typed.value = &by;
    typed.codec = "cbor";
    typed.metadata = "{}";
    typed.metadata_size = 2;
    typed.occurred_at = 17;
    return stele_decision_emit_typed(decision, &typed);
}

START_TEST(emitted_events_are_copied_with_all_that_they_have)
{
    command what = { .verb = EMIT, .emit = emit_everything };
    assert_status(execute_command("a-1", what), STELE_OK);

    stele_read read = STELE_READ_INIT;
    read.stream = "a-1";
    stele_cursor *cursor = open_read(&read);
    const stele_record *record = next_record(cursor);
    ck_assert_str_eq(record->type, "Told");
    ck_assert_str_eq(record->codec, "raw");
    ck_assert_str_eq((const char *)record->data, "12");
    ck_assert_str_eq((const char *)record->metadata, " {\"by\" : 1} ");
    ck_assert_int_eq(record->schema_version, 4);
    ck_assert(record->has_occurred_at);
    ck_assert_int_eq(record->occurred_at, 0);
    record = next_record(cursor);
    ck_assert_str_eq(record->type, "Moved");
    ck_assert_str_eq(record->codec, "cbor");
    ck_assert_str_eq((const char *)record->metadata, "{}");
    ck_assert_int_eq(record->occurred_at, 17);
    expect_done(cursor);
    stele_cursor_close(cursor);
}
END_TEST

/* A value is encoded at once, in the codec that the store writes. */
START_TEST(values_are_written_in_the_write_codec)
{
    assert_status(stele_store_write_codec(store, "cbor"), STELE_OK);
    open_accounts_by(account_decider(), NULL);
    assert_status(move("a-1", 5), STELE_OK);

    stele_cursor *cursor = NULL;
    ck_assert_str_eq(read_only_record("a-1", &cursor)->codec, "cbor");
    stele_cursor_close(cursor);
    expect_balance("a-1", 5);
}
END_TEST

/* --- Arguments --- */

START_TEST(wrong_execute_is_misuse)
{
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = make_execute(NULL, &what);
    assert_status(execute_by(&execute), STELE_MISUSE);
    execute.stream = "";
    assert_status(execute_by(&execute), STELE_MISUSE);
    execute.stream = "$stele";
    assert_status(execute_by(&execute), STELE_MISUSE);
    execute = make_execute("a-1", &what);
    execute.struct_size = 0;
    assert_status(execute_by(&execute), STELE_MISUSE);
    execute = make_execute("a-1", &what);
    execute.expected_version = -3;
    assert_status(execute_by(&execute), STELE_MISUSE);
    execute = make_execute("a-1", &what);
    execute.idempotency_key = "";
    assert_status(execute_by(&execute), STELE_MISUSE);
    execute = make_execute("a-1", &what);
    stele_wait wait = { 0 };
    execute.wait = &wait;
    assert_status(execute_by(&execute), STELE_MISUSE);
    ck_assert_int_eq(head_of(store), 0);
    ck_assert_int_eq(atomic_load(&teller.decided), 0);
}
END_TEST

START_TEST(decider_without_decide_only_loads)
{
    stele_decider decider = account_decider();
    decider.decide = NULL;
    open_accounts_by(decider, NULL);
    append_moves(store, "a-1", 3);

    assert_status(move("a-1", 1), STELE_MISUSE);
    assert_reason_has("no `decide`");
    expect_balance("a-1", 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate");
    TCase *tests = add_bank_case(suite, "executing", open_accounts);
    tcase_add_test(tests, execute_decides_on_the_state_and_appends_what_was_emitted);
    tcase_add_test(tests, facts_are_not_wanted_by_everybody);
    tcase_add_test(tests, command_that_emits_nothing_appends_nothing);
    tcase_add_test(tests, state_after_the_command_is_handed_out_when_wanted);
    tcase_add_test(tests, state_that_cannot_be_folded_is_told_apart_from_the_command);
    tcase_add_test(tests, refused_command_appends_nothing_and_tells_code_and_reason);
    tcase_add_test(tests, reason_is_cut_after_400_bytes_between_characters);
    tcase_add_test(tests, refused_may_be_answered_without_refusing_first);
    tcase_add_test(tests, first_refusal_is_the_answer);
    tcase_add_loop_test(tests, odd_answer_of_decide_is_invalid, 0, 9);
    tcase_add_loop_test(tests, failure_of_decide_is_the_answer_with_stream_and_version, 0, 6);
    tcase_add_loop_test(tests, failed_emission_is_the_answer_whatever_decide_returns, 0,
                        (int)COUNT_OF(wrong_emissions));
    tcase_add_test(tests, what_is_wrong_with_bytes_is_told_by_the_append);
    tcase_add_test(tests, emitted_events_are_copied_with_all_that_they_have);
    tcase_add_test(tests, wrong_execute_is_misuse);
    TCase *own = add_bank_case(suite, "own", open_bank);
    tcase_add_test(own, values_are_written_in_the_write_codec);
    tcase_add_test(own, decider_without_decide_only_loads);
    return run_suite(suite);
}
