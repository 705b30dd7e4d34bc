/* Upcasters that fail, break their contract or go too far: a typed answer that names record and
 * step, the record as it is stored, and nothing leaked. */
#include "upcasters.h"

#include "resources.h"

#define RECORD_TEXT "stream 'order-17' version 3 position 12 type "

static const stele_type_version to_noted[] = { { "Noted", 1 } };

/* --- What it answers --- */

typedef struct answer {
    stele_status status;
    bool fail;          /* by stele_upcast_fail() first */
    bool library_fails; /* something else of the library first */
    bool emit_fails;
} answer;

static stele_status give_answer(void *context, const stele_upcast_input *input,
                                stele_upcast *upcast)
{
    const answer *given = context;
    (void)input;
    if (given->library_fails)
        ck_assert_int_eq(stele_json_check("{", 1, NULL), STELE_INVALID);
    if (given->fail)
        ck_assert_int_eq(stele_upcast_fail(upcast, "no such customer"), STELE_INVALID);
    if (given->emit_fails) {
        stele_upcast_output output = { .data = "{", .data_size = 1 };
        ck_assert_int_eq(stele_upcast_emit(upcast, &output), STELE_INVALID);
        /* Nothing more is taken, and the first reason stays. */
        output.data = "{}";
        output.data_size = 2;
        ck_assert_int_eq(stele_upcast_emit(upcast, &output), STELE_INVALID);
        ck_assert_int_eq(stele_upcast_fail(upcast, "another reason"), STELE_INVALID);
        const noted value = { 1 };
        ck_assert_int_eq(stele_upcast_emit_value(upcast, &noted_type, &value), STELE_INVALID);
    }
    return given->status;
}

static const struct {
    answer given;
    stele_status status;
    const char *text;
} answers[] = {
    { { .status = STELE_INVALID }, STELE_INVALID, "the upcaster gave no reason (INVALID)" },
    { { .status = STELE_NOT_FOUND }, STELE_NOT_FOUND, "the upcaster gave no reason (NOT_FOUND)" },
    { { .status = STELE_MISUSE }, STELE_MISUSE, "gave no reason" },
    { { .status = STELE_CLOSED }, STELE_CLOSED, "gave no reason" },
    { { .status = STELE_PRECISION, .library_fails = true }, STELE_PRECISION, "byte 1" },
    { { .status = STELE_INVALID, .fail = true }, STELE_INVALID, ": no such customer" },
    { { .status = STELE_NOT_FOUND, .fail = true }, STELE_NOT_FOUND, ": no such customer" },
    { { .status = STELE_OK, .fail = true }, STELE_INVALID, ": no such customer" },
    { { .status = STELE_DONE, .fail = true }, STELE_INVALID, ": no such customer" },
    { { .status = STELE_OK, .emit_fails = true }, STELE_INVALID, "emitted 'Noted' 1: " },
    { { .status = STELE_NOT_FOUND, .emit_fails = true }, STELE_INVALID, "emitted 'Noted' 1: " },
    { { .status = STELE_DONE }, STELE_INVALID, "answered 1 (DONE)" },
    { { .status = STELE_TIMED_OUT }, STELE_INVALID, "answered 2 (TIMED_OUT)" },
    { { .status = (stele_status)7 }, STELE_INVALID, "answered 7 (UNKNOWN)" },
    { { .status = (stele_status)-77 }, STELE_INVALID, "answered -77 (UNKNOWN)" },
};

START_TEST(failure_of_an_upcaster_is_the_answer)
{
    register_table(&noted_type);
    assert_status(register_upcast("A", 1, to_noted, 1, NULL, give_answer, &answers[_i].given),
                  STELE_OK);

    assert_status(decode_json("A", 1, "{}"), answers[_i].status);

    assert_reason_has(RECORD_TEXT "'A' 1: step 1 from 'A' 1: ");
    assert_reason_has(answers[_i].text);
    assert_raw(&record_at_hand);
    assert_status(decode_json("Noted", 1, "{\"n\":1}"), STELE_OK);
}
END_TEST

/* A step that isn't the first is named as such; what earlier ones made is gone. */
START_TEST(failure_of_a_later_step_names_it)
{
    static const answer given = { .status = STELE_INVALID, .fail = true };
    upcast_next("Placed", 1, pass_on);
    upcast_next("Placed", 2, pass_on);
    assert_status(register_upcast("Placed", 3, NULL, 0, NULL, give_answer, &given), STELE_OK);

    assert_status(decode_json("Placed", 1, "{}"), STELE_INVALID);

    ck_assert_str_eq(stele_error_text(),
                     RECORD_TEXT "'Placed' 1: step 3 from 'Placed' 3: no such customer");
    assert_raw(&record_at_hand);
}
END_TEST

static stele_status fail_with(void *context, const stele_upcast_input *input, stele_upcast *upcast)
{
    (void)input;
    ck_assert_int_eq(stele_upcast_fail(NULL, "no upcast"), STELE_MISUSE);
    return stele_upcast_fail(upcast, context);
}

START_TEST(reason_is_cut_after_400_bytes_and_never_inside_a_character)
{
    char reason[500], expected[400];
    memset(reason, 'r', sizeof(reason));
    memset(expected, 'r', sizeof(expected));
    expected[399] = '\0';
    snprintf(reason + 399, sizeof(reason) - 399, "\xC3\xA9 and more");
    assert_status(register_upcast("A", 1, NULL, 0, NULL, fail_with, reason), STELE_OK);
    assert_status(register_upcast("B", 1, NULL, 0, NULL, fail_with, NULL), STELE_OK);

    assert_status(decode_json("A", 1, "{}"), STELE_INVALID);
    ck_assert_str_eq(strstr(stele_error_text(), "rr"), expected);

    assert_status(decode_json("B", 1, "{}"), STELE_INVALID);
    assert_raw(&record_at_hand);
}
END_TEST

/* --- Emitting --- */

typedef struct emission {
    stele_upcast_output output;
    bool no_output;
    stele_status status;
    const char *text;
} emission;

static stele_status emit_one(void *context, const stele_upcast_input *input, stele_upcast *upcast)
{
    const emission *given = context;
    (void)input;
    ck_assert_int_eq(stele_upcast_emit(NULL, &given->output), STELE_MISUSE);
    return stele_upcast_emit(upcast, given->no_output ? NULL : &given->output);
}

static const emission emissions[] = {
    { { "C", 1, NULL, "{}", 2 }, false, STELE_INVALID, "'C' 1, which isn't declared" },
    { { "Noted", 2, NULL, "{}", 2 }, false, STELE_INVALID, "'Noted' 2, which isn't declared" },
    { { NULL, 7, NULL, "{}", 2 }, false, STELE_INVALID, "nothing such is declared" },
    { { NULL, 0, NULL, "{}", 2 }, false, STELE_MISUSE, "type left open" },
    { { "B", 0, NULL, "{}", 2 }, false, STELE_MISUSE, "schema version left open" },
    { { "", 1, NULL, "{}", 2 }, false, STELE_MISUSE, "type" },
    { { "Noted", 1, "", "{}", 2 }, false, STELE_MISUSE, "codec" },
    { { "Noted", 1, NULL, NULL, 2 }, false, STELE_MISUSE, "data is NULL" },
    { { "Noted", 1, NULL, "{", 1 }, false, STELE_INVALID, "emitted 'Noted' 1: " },
    { { "Noted", 1, "cbor", "{}", 2 }, false, STELE_INVALID, "emitted 'Noted' 1: " },
    { { "Noted", 1, "marked", "{}", 2 }, false, STELE_INVALID, "the codec 'marked'" },
    { { NULL, 0, NULL, NULL, 0 }, true, STELE_MISUSE, "NULL" },
};

START_TEST(emission_that_is_refused_fails_the_record)
{
    const stele_type_version outputs[] = { { "Noted", 1 }, { "B", 1 }, { "B", 2 } };
    register_table(&noted_type);
    register_marked();
    assert_status(register_upcast("A", 1, outputs, 3, NULL, emit_one, &emissions[_i]), STELE_OK);

    assert_status(decode_json("A", 1, "{}"), emissions[_i].status);

    assert_reason_has("step 1 from 'A' 1: ");
    assert_reason_has(emissions[_i].text);
    assert_raw(&record_at_hand);
}
END_TEST

static stele_status emit_bad_value(void *context, const stele_upcast_input *input,
                                   stele_upcast *upcast)
{
    const noted fine = { 1 };
    const placed_1 bad = { "\xFF", 1 };
    (void)input;
    ck_assert_int_eq(stele_upcast_emit_value(NULL, &noted_type, &fine), STELE_MISUSE);
    switch (*(const int *)context) {
    case 0: return stele_upcast_emit_value(upcast, NULL, &fine);
    case 1: return stele_upcast_emit_value(upcast, &noted_type, NULL);
    case 2: return stele_upcast_emit_value(upcast, &placed_2_type, &fine);
    case 3: return stele_upcast_emit_value(upcast, &placed_1_type, &bad);
    default: return STELE_OK;
    }
}

START_TEST(value_that_cannot_be_emitted_fails_the_record)
{
    static const struct {
        int which;
        stele_status status;
        const char *text;
    } cases[] = { { 0, STELE_MISUSE, "NULL" },
                  { 1, STELE_MISUSE, "NULL" },
                  { 2, STELE_INVALID, "'Placed' 2, which isn't declared" },
                  { 3, STELE_INVALID, "emitted 'Placed' 1: item: " } };
    const stele_type_version outputs[] = { { "Noted", 1 }, { "Placed", 1 } };
    register_table(&noted_type);
    if (_i % 2 == 0)
        register_table(&placed_1_type);
    assert_status(register_upcast("A", 1, outputs, 2, NULL, emit_bad_value, &cases[_i / 2].which),
                  STELE_OK);

    assert_status(decode_json("A", 1, "{}"), cases[_i / 2].status);

    assert_reason_has(cases[_i / 2].text);
    assert_raw(&record_at_hand);
}
END_TEST

/* --- What comes in, and what comes out --- */

START_TEST(input_that_is_not_of_the_table_fails_before_the_upcaster)
{
    register_placed();
    assert_status(decode_json("Placed", 1, "{\"item\":\"pen\",\"amount\":\"x\"}"), STELE_INVALID);
    assert_reason_has(RECORD_TEXT "'Placed' 1: step 1 from 'Placed' 1: amount: ");
    ck_assert_str_eq(stele_decoded_flaw(decoded)->path, "amount");
    assert_raw(&record_at_hand);

    record_at_hand.codec = "x-zip";
    assert_status(stele_record_decode(store, &record_at_hand, &decoded), STELE_UNSUPPORTED);
    assert_reason_has("step 1 from 'Placed' 1: the codec 'x-zip' isn't known");
}
END_TEST

START_TEST(output_that_cannot_be_decoded_names_the_step_to_it)
{
    static const char *const texts[] = { "Noted 1 {\"n\":1}", "Noted 1 {\"n\":\"x\"}", NULL };
    static const char *const unknown[] = { "Noted 1@x-zip {}", NULL };
    register_table(&noted_type);
    assert_status(register_upcast("A", 1, NULL, 0, NULL, pass_on, NULL), STELE_OK);
    assert_status(register_upcast("A", 2, to_noted, 1, NULL, emit_texts, texts), STELE_OK);
    assert_status(register_upcast("B", 1, to_noted, 1, NULL, emit_texts, unknown), STELE_OK);
    assert_status(register_upcast("C", 1, NULL, 0, NULL, pass_on, NULL), STELE_OK);

    assert_status(decode_json("A", 1, "{}"), STELE_INVALID);
    assert_reason_has(RECORD_TEXT "'A' 1: step 2 to 'Noted' 1: n: ");
    ck_assert_str_eq(stele_decoded_flaw(decoded)->path, "n");
    assert_raw(&record_at_hand);

    assert_status(decode_json("B", 1, "{}"), STELE_UNSUPPORTED);
    assert_reason_has("step 1 to 'Noted' 1: the codec 'x-zip' isn't known");
    assert_raw(&record_at_hand);

    assert_status(decode_json("C", 1, "{}"), STELE_UNKNOWN_TYPE);
    assert_reason_has("step 1 to 'C' 2: no table and no upcaster is registered for it");
    assert_raw(&record_at_hand);
}
END_TEST

/* --- Limits --- */

typedef struct flood {
    size_t count;
    size_t size;
    stele_status status; /* of the last emission */
    size_t taken;
} flood;

static stele_status emit_flood(void *context, const stele_upcast_input *input, stele_upcast *upcast)
{
    flood *given = context;
    (void)input;
    char *data = malloc(given->size);
    memset(data, ' ', given->size);
    memcpy(data, "{\"n\":1}", 7);
    stele_upcast_output output = { .data = data, .data_size = given->size };
    given->taken = 0;
    for (size_t i = 0; i < given->count; i++) {
        given->status = stele_upcast_emit(upcast, &output);
        given->taken += given->status == STELE_OK;
    }
    free(data);
    return STELE_OK;
}

START_TEST(record_becomes_1000_parts_at_most)
{
    flood given = { .count = 1000, .size = 7 };
    register_table(&noted_type);
    assert_status(register_upcast("A", 1, to_noted, 1, NULL, emit_flood, &given), STELE_OK);
    assert_status(decode_json("A", 1, "{}"), STELE_OK);
    ck_assert_uint_eq(stele_decoded_count(decoded), 1000);

    given.count = 1003;
    assert_status(decode_json("A", 1, "{}"), STELE_TOO_LARGE);
    ck_assert_int_eq(given.status, STELE_TOO_LARGE);
    ck_assert_uint_eq(given.taken, 1000);
    assert_reason_has("more than 1000 parts");
    assert_raw(&record_at_hand);
}
END_TEST

/* What waits for its upcaster counts as what is done. */
START_TEST(parts_of_several_steps_are_counted_together)
{
    flood first = { .count = 500, .size = 7 }, second = { .count = 2, .size = 7 };
    register_table(&noted_type);
    assert_status(register_upcast("A", 1, NULL, 0, NULL, emit_flood, &first), STELE_OK);
    assert_status(register_upcast("A", 2, to_noted, 1, NULL, emit_flood, &second), STELE_OK);
    assert_status(decode_json("A", 1, "{}"), STELE_OK);
    ck_assert_uint_eq(stele_decoded_count(decoded), 1000);
    first.count = 501;
    assert_status(decode_json("A", 1, "{}"), STELE_TOO_LARGE);
    assert_raw(&record_at_hand);
}
END_TEST

START_TEST(parts_take_64_mib_at_most)
{
    enum { MIB = 1024 * 1024 };
    flood given = { .count = 15, .size = 4 * MIB };
    register_table(&noted_type);
    assert_status(register_upcast("A", 1, to_noted, 1, NULL, emit_flood, &given), STELE_OK);
    assert_status(decode_json("A", 1, "{}"), STELE_OK);
    ck_assert_uint_eq(stele_decoded_count(decoded), 15);
    int64_t bytes = atomic_load(&own.bytes);
    given.count = 17;
    assert_status(decode_json("A", 1, "{}"), STELE_TOO_LARGE);
    ck_assert_uint_eq(given.taken, 15);
    assert_reason_has("more than 67108864 bytes");
    /* Nor is it kept once it isn't needed. */
    assert_status(decode_json("Noted", 1, "{\"n\":1}"), STELE_OK);
    ck_assert_int_lt(atomic_load(&own.bytes), bytes - 50 * MIB);
}
END_TEST

/* A long chain may carry much, as long as it isn't there all at once. */
START_TEST(bytes_of_earlier_steps_are_not_counted)
{
    enum { SIZE = 3 * 1024 * 1024, STEPS = 31 };
    flood given = { .count = 1, .size = SIZE };
    stele_type last = noted_type;
    last.name = "A";
    last.schema_version = STEPS + 2;
    register_table(&last);
    assert_status(register_upcast("A", 1, NULL, 0, NULL, emit_flood, &given), STELE_OK);
    for (int64_t version = 2; version <= STEPS + 1; version++)
        upcast_next("A", version, pass_on);
    assert_status(decode_json("A", 1, "{}"), STELE_OK);
    ck_assert_uint_eq(only_part()->data_size, SIZE);
    close_decoded();
}
END_TEST

/* 900 at a time that come to nothing, again and again: it ends. */
START_TEST(work_for_a_record_is_bounded)
{
    flood first = { .count = 60, .size = 7 }, second = { .count = 900, .size = 7 };
    flood nothing = { .count = 0, .size = 7 };
    const stele_type_version to_dropped[] = { { "Dropped", 1 } };
    assert_status(register_upcast("A", 1, NULL, 0, NULL, emit_flood, &first), STELE_OK);
    assert_status(register_upcast("A", 2, to_dropped, 1, NULL, emit_flood, &second), STELE_OK);
    assert_status(register_upcast("Dropped", 1, NULL, 0, NULL, emit_flood, &nothing), STELE_OK);
    assert_status(decode_json("A", 1, "{}"), STELE_TOO_LARGE);
    assert_reason_has("more than 32000 events were emitted");
    first.count = 30;
    assert_status(decode_json("A", 1, "{}"), STELE_OK);
    ck_assert_uint_eq(stele_decoded_count(decoded), 0);
}
END_TEST

/* --- Memory --- */

START_TEST(failures_leave_nothing_behind)
{
    static const char *const texts[] = { "Placed 3 {\"item\":\"p\",\"cents\":1,\"currency\":\"E\"}",
                                         "Placed 1 {\"item\":\"p\",\"amount\":1}",
                                         "Placed 2 {\"item\":\"p\",\"cents\":\"x\"}", NULL };
    const stele_type_version outputs[] = { { "Placed", 1 }, { "Placed", 2 }, { "Placed", 3 } };
    static const answer late = { .status = STELE_INVALID, .emit_fails = true };
    register_placed();
    register_table(&noted_type);
    assert_status(register_upcast("A", 1, outputs, 3, NULL, emit_texts, texts), STELE_OK);
    assert_status(register_upcast("B", 1, to_noted, 1, &placed_3_type, give_answer, &late),
                  STELE_OK);
    for (int i = 0; i < 5; i++) {
        assert_status(decode_json("A", 1, "{}"), STELE_INVALID);
        assert_status(decode_json("B", 1, "{\"item\":\"p\",\"cents\":1,\"currency\":\"E\"}"),
                      STELE_INVALID);
    }
    int64_t blocks = atomic_load(&own.blocks);
    for (int i = 0; i < 50; i++) {
        assert_status(decode_json("A", 1, "{}"), STELE_INVALID);
        assert_status(decode_json("B", 1, "{\"item\":\"p\",\"cents\":1,\"currency\":\"E\"}"),
                      STELE_INVALID);
    }
    ck_assert_int_eq(atomic_load(&own.blocks), blocks);
}
END_TEST

static Suite *upcast_failures_suite(void)
{
    Suite *suite = suite_create("upcast_failures");
    TCase *told = add_typed_case(suite, "answers");
    tcase_add_loop_test(told, failure_of_an_upcaster_is_the_answer, 0, (int)COUNT_OF(answers));
    tcase_add_test(told, failure_of_a_later_step_names_it);
    tcase_add_test(told, reason_is_cut_after_400_bytes_and_never_inside_a_character);
    TCase *emitting = add_typed_case(suite, "emitting");
    tcase_add_loop_test(emitting, emission_that_is_refused_fails_the_record, 0,
                        (int)COUNT_OF(emissions));
    tcase_add_loop_test(emitting, value_that_cannot_be_emitted_fails_the_record, 0, 8);
    TCase *payloads = add_typed_case(suite, "payloads");
    tcase_add_test(payloads, input_that_is_not_of_the_table_fails_before_the_upcaster);
    tcase_add_test(payloads, output_that_cannot_be_decoded_names_the_step_to_it);
    TCase *limits = add_typed_case(suite, "limits");
    tcase_set_timeout(limits, 120);
    tcase_add_test(limits, record_becomes_1000_parts_at_most);
    tcase_add_test(limits, parts_of_several_steps_are_counted_together);
    tcase_add_test(limits, parts_take_64_mib_at_most);
    tcase_add_test(limits, bytes_of_earlier_steps_are_not_counted);
    tcase_add_test(limits, work_for_a_record_is_bounded);
    TCase *memory = add_typed_case(suite, "memory");
    tcase_add_test(memory, failures_leave_nothing_behind);
    return suite;
}

int main(void)
{
    count_own_memory();
    return run_suite(upcast_failures_suite());
}
