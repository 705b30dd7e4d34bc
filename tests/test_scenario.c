/* Given, when, then: what holds, what doesn't, and how that is told. */
#include "scenarios.h"

#include <math.h>

/* --- What was emitted --- */

START_TEST(then_holds_for_what_was_emitted)
{
    char from[] = "work";
    assert_status(stele_scenario_given(scenario, &filled_type, &(filled){ 900, from }), STELE_OK);

    WHEN_SPENDING(50, 60);

    assert_status(then_spent(50), STELE_OK);
    assert_status(then_spent(60), STELE_OK);
    assert_status(stele_scenario_then_nothing(scenario), STELE_OK);
    assert_status(stele_scenario_then_state(scenario, &(purse){ .balance = 790, .from = from }),
                  STELE_OK);
}
END_TEST

START_TEST(then_tells_both_events)
{
    WHEN_SPENDING(60);

    assert_fails(then_spent(50), "event 1: expected Spent (schema version 2) {\"amount\":50}, but "
                                 "there is Spent (schema version 2) {\"amount\":60}");
    assert_fails(stele_scenario_then(scenario, &filled_type, &(filled){ 50, NULL }),
                 "event 1: expected Filled {\"amount\":50}, but there is Spent (schema version 2) "
                 "{\"amount\":60}");
}
END_TEST

/* So that a test which goes on after a failure isn't told nonsense. */
START_TEST(then_that_fails_names_no_event)
{
    WHEN_SPENDING(60);
    assert_status(then_spent(50), STELE_INVALID);

    assert_status(then_spent(60), STELE_OK);
}
END_TEST

START_TEST(then_without_an_event_left_tells_so)
{
    assert_status(when_emitting(NULL, 0), STELE_OK);
    assert_fails(stele_scenario_then(scenario, &filled_type, &(filled){ 50, NULL }),
                 "event 1: expected Filled {\"amount\":50}, but nothing was emitted");

    WHEN_SPENDING(60);
    assert_status(then_spent(60), STELE_OK);
    assert_fails(stele_scenario_then(scenario, &filled_type, &(filled){ 50, NULL }),
                 "event 2: expected Filled {\"amount\":50}, but nothing more was emitted");

    assert_status(when_refused(7), STELE_OK);
    assert_fails(stele_scenario_then(scenario, &filled_type, &(filled){ 50, NULL }),
                 "event 1: expected Filled {\"amount\":50}, but the command was refused with 7: "
                 "as told");
}
END_TEST

START_TEST(then_nothing_tells_the_first_event_that_no_then_named)
{
    WHEN_SPENDING(1, 2, 3);

    assert_fails(stele_scenario_then_nothing(scenario),
                 "expected nothing, but event 1 is Spent (schema version 2) {\"amount\":1}, and 2 "
                 "more");
    assert_status(then_spent(1), STELE_OK);
    assert_status(then_spent(2), STELE_OK);
    assert_fails(stele_scenario_then_nothing(scenario),
                 "expected nothing more, but event 3 is Spent (schema version 2) {\"amount\":3}");
    assert_status(then_spent(3), STELE_OK);
    assert_status(stele_scenario_then_nothing(scenario), STELE_OK);
}
END_TEST

/* A test of a command that has nothing to do must not pass because it was refused. */
START_TEST(refusal_is_not_nothing)
{
    assert_status(when_emitting(NULL, 0), STELE_OK);
    assert_status(stele_scenario_then_nothing(scenario), STELE_OK);

    assert_status(when_refused(7), STELE_OK);
    assert_fails(stele_scenario_then_nothing(scenario),
                 "expected nothing, but the command was refused with 7: as told");
}
END_TEST

START_TEST(then_refused_holds_for_its_code_alone)
{
    assert_status(when_refused(7), STELE_OK);

    assert_status(stele_scenario_then_refused(scenario, 7), STELE_OK);
    assert_fails(stele_scenario_then_refused(scenario, 8),
                 "expected a refusal with 8, but it was refused with 7: as told");
    ck_assert_int_eq(version_of("scenario"), 0);
}
END_TEST

START_TEST(then_refused_tells_what_was_emitted_instead)
{
    WHEN_SPENDING(60);
    assert_fails(stele_scenario_then_refused(scenario, 7),
                 "expected a refusal with 7, but Spent (schema version 2) {\"amount\":60} was "
                 "emitted");

    WHEN_SPENDING(60, 1, 1);
    assert_fails(stele_scenario_then_refused(scenario, 7),
                 "expected a refusal with 7, but Spent (schema version 2) {\"amount\":60} was "
                 "emitted, and 2 more");

    assert_status(when_emitting(NULL, 0), STELE_OK);
    assert_fails(stele_scenario_then_refused(scenario, 7),
                 "expected a refusal with 7, but nothing was emitted");
}
END_TEST

START_TEST(then_is_about_the_last_when)
{
    WHEN_SPENDING(1);
    assert_status(when_refused(7), STELE_OK);
    WHEN_SPENDING(2);
    assert_status(stele_scenario_given(scenario, &spent_type, &(spent){ 3 }), STELE_OK);

    assert_status(then_spent(2), STELE_OK);
    assert_status(stele_scenario_then_nothing(scenario), STELE_OK);
    assert_status(stele_scenario_then_state(scenario, &(purse){ .balance = -6 }), STELE_OK);
}
END_TEST

START_TEST(then_before_any_when_is_misuse)
{
    stele_event event = make_event("Spent", "{}");
    assert_status(stele_scenario_given(scenario, &spent_type, &(spent){ 3 }), STELE_OK);

    assert_status(then_spent(3), STELE_MISUSE);
    ck_assert_str_eq(stele_error_text(), "a `then` before any `when`");
    assert_status(stele_scenario_then_event(scenario, &event), STELE_MISUSE);
    assert_status(stele_scenario_then_nothing(scenario), STELE_MISUSE);
    assert_status(stele_scenario_then_refused(scenario, 1), STELE_MISUSE);
    assert_status(stele_scenario_then_state(scenario, &(purse){ .balance = -3 }), STELE_OK);
}
END_TEST

/* --- As bytes --- */

static emission emit_text(const char *type, const char *codec, int64_t schema_version,
                          const char *data, const char *metadata)
{
    emission made = { .event = make_event(type, data) };
    made.event.codec = codec;
    made.event.schema_version = schema_version;
    made.event.metadata = metadata;
    made.event.metadata_size = metadata == NULL ? 0 : strlen(metadata);
    return made;
}

START_TEST(then_event_compares_all_that_makes_an_event)
{
    const emission made = emit_text("Noted", "json", 3, "{\"a\":1}", "{\"by\":\"me\"}");
    const emission others[] = {
        emit_text("Noticed", NULL, 3, "{\"a\":1}", NULL),
        emit_text("Noted", "raw", 3, "{\"a\":1}", NULL),
        emit_text("Noted", NULL, 0, "{\"a\":1}", NULL),
        emit_text("Noted", NULL, 3, "{\"a\":2}", NULL),
        emit_text("Noted", NULL, 3, "{\"a\":1}", "{\"by\":\"you\"}"),
    };
    static const char *const texts[] = {
        "event 1: expected Noticed (schema version 3) {\"a\":1}, but there is Noted (schema "
        "version 3) {\"a\":1}",
        "event 1: expected Noted (schema version 3) in raw 7 bytes 0x7b2261223a317d, but there is "
        "Noted (schema version 3) {\"a\":1}",
        "event 1: expected Noted {\"a\":1}, but there is Noted (schema version 3) {\"a\":1}",
        "event 1: expected Noted (schema version 3) {\"a\":2}, but there is Noted (schema version "
        "3) {\"a\":1}",
        "event 1: expected metadata {\"by\":\"you\"}, but there is metadata {\"by\":\"me\"}",
    };
    assert_status(when_emitting(&made, 1), STELE_OK);

    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_fails(stele_scenario_then_event(scenario, &others[i].event), texts[i]);

    emission same = emit_text("Noted", NULL, 3, "{\"a\":1}", NULL);
    assert_status(stele_scenario_then_event(scenario, &same.event), STELE_OK);
    assert_status(stele_scenario_then_nothing(scenario), STELE_OK);
}
END_TEST

START_TEST(then_event_takes_metadata_that_is_given)
{
    const emission made[] = { emit_text("Noted", NULL, 1, "1", "{\"by\":\"me\"}"),
                              emit_text("Noted", NULL, 1, "1", NULL) };
    assert_status(when_emitting(made, 2), STELE_OK);

    assert_status(stele_scenario_then_event(scenario, &made[0].event), STELE_OK);
    assert_fails(stele_scenario_then_event(scenario, &made[0].event),
                 "event 2: expected metadata {\"by\":\"me\"}, but there is no metadata");
}
END_TEST

START_TEST(then_event_refuses_what_is_no_event)
{
    stele_event event = make_event(NULL, "");
    WHEN_SPENDING(1);

    assert_status(stele_scenario_then_event(scenario, NULL), STELE_MISUSE);
    assert_status(stele_scenario_then_event(scenario, &event), STELE_MISUSE);
    event.type = "Spent";
    event.data = NULL;
    event.data_size = 1;
    assert_status(stele_scenario_then_event(scenario, &event), STELE_MISUSE);
    event.data_size = 0;
    event.metadata_size = 1;
    assert_status(stele_scenario_then_event(scenario, &event), STELE_MISUSE);
    assert_status(then_spent(1), STELE_OK);
}
END_TEST

/* What was emitted in another codec is the same event still. */
START_TEST(then_compares_a_value_in_the_codec_of_what_was_emitted)
{
    spent value = { 5 };
    emission made = spend(&value);
    made.typed.codec = "cbor";
    assert_status(when_emitting(&made, 1), STELE_OK);

    assert_fails(then_spent(6), "event 1: expected Spent (schema version 2) in cbor {\"amount\":6},"
                                " but there is Spent (schema version 2) in cbor {\"amount\":5}");
    assert_status(then_spent(5), STELE_OK);
}
END_TEST

START_TEST(then_of_a_value_where_bytes_were_emitted_tells_so)
{
    const emission made = emit_text("Spent", "raw", 2, "\x01\xff", NULL);
    assert_status(when_emitting(&made, 1), STELE_OK);

    assert_fails(then_spent(6), "event 1: expected Spent (schema version 2) {\"amount\":6}, but "
                                "there is Spent (schema version 2) in raw 2 bytes 0x01ff");
}
END_TEST

START_TEST(then_of_a_value_that_cant_be_encoded_fails_as_encoding_does)
{
    WHEN_SPENDING(1);

    assert_status(stele_scenario_then(scenario, &lost_type, &(spent){ 1 }), STELE_UNKNOWN_TYPE);
    assert_status(stele_scenario_then(scenario, NULL, &(spent){ 1 }), STELE_MISUSE);
    assert_status(stele_scenario_then(scenario, &spent_type, NULL), STELE_MISUSE);
    assert_status(then_spent(1), STELE_OK);
}
END_TEST

/* --- Texts --- */

START_TEST(secrets_are_not_told)
{
    locked value = { "1234" };
    emission made = { .typed = STELE_TYPED_EVENT_INIT };
    made.typed.type = &locked_type;
    made.typed.value = &value;
    assert_status(when_emitting(&made, 1), STELE_OK);

    assert_fails(stele_scenario_then(scenario, &locked_type, &(locked){ "1235" }),
                 "event 1: expected Locked {\"pin\":\"***\"}, but there is one that reads the same "
                 "and is other bytes: a secret, or how it is written");
    assert_fails(stele_scenario_then_refused(scenario, 1),
                 "expected a refusal with 1, but Locked {\"pin\":\"***\"} was emitted");
    assert_status(stele_scenario_then_state(scenario, &(purse){ .pin = "1235" }), STELE_INVALID);
    ck_assert_ptr_null(strstr(stele_error_text(), "123"));
}
END_TEST

/* What a text has room for is where they differ. */
START_TEST(long_payloads_are_shown_where_they_differ)
{
    char one[2000], other[2000];
    for (size_t i = 0; i + 2 < sizeof(one); i += 2)
        one[i] = '\xc3', one[i + 1] = '\xa4';
    one[0] = '"';
    one[1] = ' ';
    memcpy(one + 1900, "\"", 2);
    memcpy(other, one, sizeof(one));
    one[1000] = '1', one[1001] = '.';
    other[1000] = '2', other[1001] = '.';
    const emission made = emit_text("Noted", NULL, 1, one, NULL);
    const emission expected = emit_text("Noted", NULL, 1, other, NULL);
    assert_status(when_emitting(&made, 1), STELE_OK);

    assert_status(stele_scenario_then_event(scenario, &expected.event), STELE_INVALID);

    const char *text = stele_error_text();
    assert_reason_has("event 1: expected Noted ...\xc3\xa4");
    assert_reason_has("\xc3\xa4"
                      "2.\xc3\xa4");
    assert_reason_has("\xc3\xa4..., but there is Noted ...\xc3\xa4");
    assert_reason_has("\xc3\xa4"
                      "1.\xc3\xa4");
    ck_assert_ptr_null(strstr(text, "\\x"));
    ck_assert_uint_lt(strlen(text), 450);
}
END_TEST

START_TEST(long_names_leave_room_for_the_rest)
{
    char name[STELE_NAME_SIZE_MAX + 1];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    const emission made = emit_text(name, name, INT64_MAX, "{\"a\":1}", NULL);
    assert_status(when_emitting(&made, 1), STELE_OK);

    assert_status(then_spent(3), STELE_INVALID);

    assert_reason_has("nnn (schema version 9223372036854775807) in nnn");
    assert_reason_has("nnn 7 bytes 0x7b");
}
END_TEST

START_TEST(long_reasons_are_cut_between_characters)
{
    char reason[400];
    order told = { .refusal = 7, .reason = reason };
    reason[0] = '.';
    for (size_t i = 1; i + 2 < sizeof(reason); i += 2)
        memcpy(reason + i, "\xc3\xa4", 3);
    assert_status(stele_scenario_when(scenario, &told), STELE_OK);

    assert_status(then_spent(1), STELE_INVALID);

    assert_reason_has("refused with 7: .\xc3\xa4\xc3\xa4");
    ck_assert_ptr_null(strstr(stele_error_text(), "\\x"));
}
END_TEST

/* --- The state --- */

START_TEST(then_state_tells_both_states)
{
    char from[] = "work";
    assert_status(stele_scenario_given(scenario, &filled_type, &(filled){ 9, from }), STELE_OK);

    assert_fails(stele_scenario_then_state(scenario, &(purse){ .balance = 8 }),
                 "expected the state {\"balance\":8,\"weight\":0,\"pin\":\"***\"}, "
                 "but there is the state {\"balance\":9,\"weight\":0,\"from\":\"work\",\"pin\":"
                 "\"***\"}");
    assert_status(stele_scenario_then_state(scenario, NULL), STELE_MISUSE);
    assert_status(stele_scenario_then_state(scenario, &(purse){ .weight = NAN }), STELE_INVALID);
    assert_reason_has("weight");
}
END_TEST

START_TEST(state_is_handed_out)
{
    char from[] = "work";
    purse state;
    assert_status(stele_scenario_state(scenario, &state), STELE_OK);
    ck_assert_int_eq(state.balance, 0);
    assert_status(stele_scenario_given(scenario, &filled_type, &(filled){ 9, from }), STELE_OK);
    WHEN_SPENDING(2);

    assert_status(stele_scenario_state(scenario, &state), STELE_OK);

    ck_assert_int_eq(state.balance, 7);
    ck_assert_str_eq(state.from, "work");
    stele_aggregate_clear(aggregate, &state);
    assert_status(stele_scenario_state(scenario, NULL), STELE_MISUSE);
}
END_TEST

START_TEST(old_events_are_upcast)
{
    stele_event event = make_event("Spent", "{\"coins\":3}");
    event.schema_version = 1;

    assert_status(stele_scenario_given_event(scenario, &event), STELE_OK);

    assert_status(stele_scenario_then_state(scenario, &(purse){ .balance = -300 }), STELE_OK);
}
END_TEST

/* --- Deciders without a table --- */

START_TEST(raw_deciders_are_tested_with_bytes)
{
    stele_event event = make_event("Anything", "7");
    const emission made = emit_text("Something", "raw", 1, "xyz", NULL);
    open_in_memory();
    open_scenario_of(tally_decider());
    assert_status(stele_scenario_given_event(scenario, &event), STELE_OK);

    assert_status(when_emitting(&made, 1), STELE_OK);

    assert_status(stele_scenario_then_event(scenario, &made.event), STELE_OK);
    assert_status(stele_scenario_then_nothing(scenario), STELE_OK);
    assert_status(stele_scenario_then_state(scenario, &(tally){ .events = 2 }), STELE_OK);
    assert_fails(stele_scenario_then_state(scenario, &(tally){ .events = 3 }),
                 "expected the state 16 bytes 0x03000000000000000000000000000000, but there is the "
                 "state 16 bytes 0x02000000000000000000000000000000");
}
END_TEST

START_TEST(states_that_own_memory_are_compared_as_they_are_written)
{
    char last[] = "Anything";
    stele_event event = make_event("Anything", "7");
    stele_decider decider = owning_decider();
    decider.encode = write_tally;
    decider.decode = read_nothing;
    decider.codec = "json";
    open_in_memory();
    open_scenario_of(decider);
    assert_status(stele_scenario_given_event(scenario, &event), STELE_OK);

    assert_status(stele_scenario_then_state(scenario, &(tally){ 1, last }), STELE_OK);
    assert_fails(stele_scenario_then_state(scenario, &(tally){ 2, last }),
                 "expected the state 2 Anything, but there is the state 1 Anything");
}
END_TEST

START_TEST(states_that_own_memory_and_cant_be_written_cant_be_compared)
{
    tally state;
    stele_event event = make_event("Anything", "7");
    open_in_memory();
    open_scenario_of(owning_decider());
    assert_status(stele_scenario_given_event(scenario, &event), STELE_OK);

    assert_status(stele_scenario_then_state(scenario, &(tally){ .events = 1 }), STELE_UNSUPPORTED);
    assert_reason_has("'tally'");

    assert_status(stele_scenario_state(scenario, &state), STELE_OK);
    ck_assert_str_eq(state.last, "Anything");
    stele_aggregate_clear(aggregate, &state);
}
END_TEST

START_TEST(decider_whose_states_cant_be_copied_has_no_scenarios)
{
    stele_decider decider = owning_decider();
    decider.copy = NULL;
    open_in_memory();
    assert_status(stele_aggregate_open(store, &decider, NULL, &aggregate), STELE_OK);
    scenario = (stele_scenario *)&scenario;

    assert_status(stele_scenario_open(aggregate, &scenario), STELE_MISUSE);

    ck_assert_ptr_null(scenario);
    assert_reason_has("'tally'");
}
END_TEST

static void add_purse_tests(TCase *tests)
{
    tcase_add_test(tests, then_holds_for_what_was_emitted);
    tcase_add_test(tests, then_tells_both_events);
    tcase_add_test(tests, then_that_fails_names_no_event);
    tcase_add_test(tests, then_without_an_event_left_tells_so);
    tcase_add_test(tests, then_nothing_tells_the_first_event_that_no_then_named);
    tcase_add_test(tests, refusal_is_not_nothing);
    tcase_add_test(tests, then_refused_holds_for_its_code_alone);
    tcase_add_test(tests, then_refused_tells_what_was_emitted_instead);
    tcase_add_test(tests, then_is_about_the_last_when);
    tcase_add_test(tests, then_before_any_when_is_misuse);
    tcase_add_test(tests, then_event_compares_all_that_makes_an_event);
    tcase_add_test(tests, then_event_takes_metadata_that_is_given);
    tcase_add_test(tests, then_event_refuses_what_is_no_event);
    tcase_add_test(tests, then_compares_a_value_in_the_codec_of_what_was_emitted);
    tcase_add_test(tests, then_of_a_value_where_bytes_were_emitted_tells_so);
    tcase_add_test(tests, then_of_a_value_that_cant_be_encoded_fails_as_encoding_does);
    tcase_add_test(tests, secrets_are_not_told);
    tcase_add_test(tests, long_payloads_are_shown_where_they_differ);
    tcase_add_test(tests, long_names_leave_room_for_the_rest);
    tcase_add_test(tests, long_reasons_are_cut_between_characters);
    tcase_add_test(tests, then_state_tells_both_states);
    tcase_add_test(tests, state_is_handed_out);
    tcase_add_test(tests, old_events_are_upcast);
}

static Suite *scenario_suite(void)
{
    Suite *suite = suite_create("scenario");
    add_purse_tests(add_scenario_case(suite, "purse", open_purse));
    TCase *others = add_scenario_case(suite, "others", NULL);
    tcase_add_test(others, raw_deciders_are_tested_with_bytes);
    tcase_add_test(others, states_that_own_memory_are_compared_as_they_are_written);
    tcase_add_test(others, states_that_own_memory_and_cant_be_written_cant_be_compared);
    tcase_add_test(others, decider_whose_states_cant_be_copied_has_no_scenarios);
    return suite;
}

int main(void)
{
    return run_suite(scenario_suite());
}
