/*
 * Trying all upcasters on what the log holds: what is counted, what is tried, what is found.
 */
#include "linting.h"

/* --- Lines --- */

START_TEST(empty_log_has_no_lines)
{
    run_lint((uint64_t)_i);
    expect_end();
    expect_end();
}
END_TEST

START_TEST(each_type_version_and_codec_has_a_line_in_their_order)
{
    register_table(&placed_1_type);
    register_table(&placed_2_type);
    register_table(&noted_type);
    register_marked();
    store_event("Placed", 2, NULL, "{\"item\":\"a\",\"cents\":1}");
    store_event("Placed", 1, "marked", "M{\"item\":\"a\",\"amount\":1}");
    store_event("Noted", 1, "cbor", "\xA1\x61n\x05");
    store_event("Placed", 1, NULL, "{\"item\":\"a\",\"amount\":1}");
    store_event("Noted", 1, NULL, "{\"n\":1}");
    store_event("Placed", 1, "cbor",
                "\xA2\x64item\x61x\x66"
                "amount\x05");
    store_event("Placed", 2, NULL, "{\"item\":\"b\",\"cents\":2}");

    run_lint((uint64_t)_i);

    assert_line("Noted 1 cbor: 1 events, 1 tried, 0 failed, 1-1 parts, OK");
    assert_line("Noted 1 json: 1 events, 1 tried, 0 failed, 1-1 parts, OK");
    assert_line("Placed 1 cbor: 1 events, 1 tried, 0 failed, 1-1 parts, OK");
    assert_line("Placed 1 json: 1 events, 1 tried, 0 failed, 1-1 parts, OK");
    assert_line("Placed 1 marked: 1 events, 1 tried, 0 failed, 1-1 parts, OK");
    if (_i == 1)
        assert_line("Placed 2 json: 2 events, 1 tried, 0 failed, 1-1 parts, OK");
    else
        assert_line("Placed 2 json: 2 events, 2 tried, 0 failed, 1-1 parts, OK");
    expect_end();
}
END_TEST

START_TEST(lines_stay_lent_until_the_lint_is_closed)
{
    store_event("A", 1, "zip", "x");
    store_event("B", 1, "zip", "x");
    run_lint(0);
    const stele_lint_line *first = next_lint_line();
    const stele_lint_line *second = next_lint_line();
    expect_end();
    close_store();
    ck_assert_str_eq(first->type, "A");
    ck_assert_str_eq(first->codec, "zip");
    ck_assert_ptr_nonnull(strstr(first->offender, "'A' 1"));
    ck_assert_str_eq(second->type, "B");
}
END_TEST

START_TEST(thousands_of_types_are_found_again_and_sorted)
{
    enum { TYPES = 3000 };
    stele_event events[100];
    char names[100][16];
    for (int i = 0; i < 2 * TYPES; i += 100) {
        for (int j = 0; j < 100; j++) {
            snprintf(names[j], sizeof(names[j]), "T%04d", (i + j) * 7 % TYPES);
            events[j] = make_event(names[j], "{}");
        }
        stele_append append = make_append("log-1", STELE_ANY, events, 100);
        assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    }
    run_lint(100);
    for (int i = 0; i < TYPES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "T%04d", i);
        const stele_lint_line *line = next_lint_line();
        ck_assert_str_eq(line->type, name);
        ck_assert_uint_eq(line->events, 2);
        ck_assert_uint_eq(line->failures, 2);
    }
    expect_end();
}
END_TEST

START_TEST(streams_of_the_library_are_left_out)
{
    stele_checkpoint checkpoint = { 0 };
    assert_status(stele_checkpoint_save(store, "reader", 0), STELE_OK);
    assert_status(stele_checkpoint_load(store, "reader", &checkpoint), STELE_OK);
    run_lint(0);
    expect_end();
}
END_TEST

/* --- Samples --- */

/* The payloads that were tried, in a row. */
static char seen[4096];

static stele_status note_payload(void *context, const stele_upcast_input *input,
                                 stele_upcast *upcast)
{
    size_t size = strlen(seen);
    (void)context, (void)upcast;
    snprintf(seen + size, sizeof(seen) - size, "%s%s", size > 0 ? " " : "",
             (const char *)input->data);
    return STELE_OK;
}

START_TEST(samples_are_the_first_ones_and_others_spread_up_to_the_last)
{
    static const struct {
        uint64_t samples;
        const char *seen;
    } cases[] = { { 1, "1" },
                  { 2, "1 20" },
                  { 3, "1 2 20" },
                  { 4, "1 2 11 20" },
                  { 8, "1 2 3 4 8 12 16 20" },
                  { 19, "1 2 3 4 5 6 7 8 9 10 12 13 14 15 16 17 18 19 20" },
                  { 20, "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20" },
                  { 21, "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20" },
                  { UINT64_MAX, "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20" },
                  { 0, "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20" } };
    register_step("Counted", 1, &to_noted, note_payload, NULL);
    for (int i = 1; i <= 20; i++) {
        char number[16];
        snprintf(number, sizeof(number), "%d", i);
        store_event("Counted", 1, NULL, number);
        store_event("Between", 1, NULL, "0");
    }
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        seen[0] = '\0';
        run_lint(cases[i].samples);
        ck_assert_str_eq(seen, cases[i].seen);
        const stele_lint_line *between = next_lint_line();
        const stele_lint_line *counted = next_lint_line();
        ck_assert_uint_eq(between->tried, counted->tried);
        ck_assert_uint_eq(counted->events, 20);
        ck_assert_uint_eq(counted->tried,
                          cases[i].samples < 20 && cases[i].samples > 0 ? cases[i].samples : 20);
    }
}
END_TEST

/* Whatever the numbers: so many are tried, and a last event is one of them. */
START_TEST(as_many_are_tried_as_were_asked_for)
{
    register_step("Counted", 1, &to_noted, note_payload, NULL);
    for (int i = 1; i <= 45; i++) {
        char number[16];
        snprintf(number, sizeof(number), "%d", i);
        store_event("Counted", 1, NULL, number);
        for (uint64_t samples = 1; samples <= 46; samples++) {
            seen[0] = '\0';
            run_lint(samples);
            const stele_lint_line *line = next_lint_line();
            ck_assert_uint_eq(line->tried, samples < (uint64_t)i ? samples : (uint64_t)i);
            ck_assert(samples == 1 || strcmp(seen + strlen(seen) - strlen(number), number) == 0);
        }
    }
}
END_TEST

START_TEST(codecs_of_a_type_have_samples_of_their_own)
{
    register_table(&noted_type);
    for (int i = 0; i < 300; i++)
        store_event("Noted", 1, i % 100 == 99 ? "cbor" : NULL,
                    i % 100 == 99 ? "\xA1\x61n\x05" : "{\"n\":1}");
    run_lint(10);
    assert_line("Noted 1 cbor: 3 events, 3 tried, 0 failed, 1-1 parts, OK");
    assert_line("Noted 1 json: 297 events, 10 tried, 0 failed, 1-1 parts, OK");
    expect_end();
}
END_TEST

START_TEST(without_options_a_hundred_of_each_are_tried)
{
    stele_lint_options options;
    memset(&options, 0x55, sizeof(options));
    stele_lint_options_init(&options);
    stele_lint_options_init(NULL);
    ck_assert_uint_eq(options.struct_size, sizeof(options));
    ck_assert_uint_eq(options.samples, 100);
    ck_assert_ptr_null(options.wait);
    register_table(&noted_type);
    store_times(150, "Noted", "{\"n\":1}");

    assert_status(stele_store_lint(store, NULL, &lint), STELE_OK);

    assert_line("Noted 1 json: 150 events, 100 tried, 0 failed, 1-1 parts, OK");
    expect_end();
}
END_TEST

/* --- Failures --- */

START_TEST(failures_are_counted_and_the_first_one_is_told)
{
    register_table(&noted_type);
    store_times(3, "Noted", "{\"n\":1}");
    store_times(1, "Noted", "{\"n\":true}");
    store_times(1, "Noted", "{\"m\":1}");
    store_times(2, "Noted", "{\"n\":1}");
    run_lint(0);
    assert_finding("Noted 1 json: 7 events, 7 tried, 2 failed, 1-1 parts, INVALID",
                   "stream 'log-1' version 4 position 4 type 'Noted' 1");
}
END_TEST

START_TEST(type_without_a_table_is_unknown_type)
{
    store_times(2, "Noted", "{\"n\":1}");
    run_lint(0);
    assert_finding("Noted 1 json: 2 events, 2 tried, 2 failed, 0-0 parts, UNKNOWN_TYPE",
                   "'Noted' 1");
}
END_TEST

START_TEST(codec_that_nobody_knows_or_that_has_no_values_is_unsupported)
{
    const char *const codecs[] = { "zip", "raw" };
    register_table(&noted_type);
    store_event("Noted", 1, codecs[_i], "x");
    run_lint(0);
    char expected[128];
    snprintf(expected, sizeof(expected),
             "Noted 1 %s: 1 events, 1 tried, 1 failed, 0-0 parts, UNSUPPORTED", codecs[_i]);
    assert_finding(expected, codecs[_i]);
}
END_TEST

START_TEST(rounded_number_is_precision)
{
    register_table(&noted_type);
    store_event("Noted", 1, NULL, "{\"n\":9007199254740993}");
    run_lint(0);
    assert_finding("Noted 1 json: 1 events, 1 tried, 1 failed, 0-0 parts, PRECISION", "n");
}
END_TEST

START_TEST(too_many_parts_are_too_large)
{
    register_table(&noted_type);
    register_step("Many", 1, &to_noted, emit_as_many, NULL);
    store_event("Many", 1, NULL, "1001");
    run_lint(0);
    assert_finding("Many 1 json: 1 events, 1 tried, 1 failed, 0-0 parts, TOO_LARGE", "'Many' 1");
}
END_TEST

/* Also where the lint itself could answer so. */
START_TEST(whatever_an_upcaster_fails_with_is_a_finding)
{
    static const stele_status answers[] = { STELE_INVALID,   STELE_MISUSE, STELE_CLOSED,
                                            STELE_CANCELLED, STELE_BUSY,   STELE_CORRUPT,
                                            STELE_IO };
    stele_status answer = answers[_i];
    char expected[128];
    register_step("Failing", 1, &to_noted, answer_as_told, &answer);
    store_event("Failing", 1, NULL, "1");
    run_lint(0);
    snprintf(expected, sizeof(expected),
             "Failing 1 json: 1 events, 1 tried, 1 failed, 0-0 parts, %s",
             stele_status_name(answer));
    assert_finding(expected, "step 1 from 'Failing' 1");
}
END_TEST

static stele_status look_into_the_store(void *context, const stele_upcast_input *input,
                                        stele_upcast *upcast)
{
    int64_t head = 0;
    (void)context, (void)input, (void)upcast;
    return stele_store_head(store, &head);
}

START_TEST(upcaster_that_uses_the_store_is_found)
{
    register_step("Looking", 1, &to_noted, look_into_the_store, NULL);
    store_event("Looking", 1, NULL, "1");
    run_lint(0);
    assert_finding("Looking 1 json: 1 events, 1 tried, 1 failed, 0-0 parts, MISUSE", "an upcaster");
}
END_TEST

/* --- Parts --- */

START_TEST(fewest_and_most_parts_are_told)
{
    static const struct {
        const char *payloads[3];
        const char *line;
    } cases[] = {
        { { "3", "0", "2" }, "Many 1 json: 3 events, 3 tried, 0 failed, 0-3 parts, OK" },
        { { "2", "3", "7" }, "Many 1 json: 3 events, 3 tried, 0 failed, 2-7 parts, OK" },
        { { "0", "0", "0" }, "Many 1 json: 3 events, 3 tried, 0 failed, 0-0 parts, OK" },
        { { "1000", "1", "5" }, "Many 1 json: 3 events, 3 tried, 0 failed, 1-1000 parts, OK" },
    };
    register_table(&noted_type);
    register_step("Many", 1, &to_noted, emit_as_many, NULL);
    for (size_t i = 0; i < 3; i++)
        store_event("Many", 1, NULL, cases[_i].payloads[i]);
    run_lint(0);
    assert_line(cases[_i].line);
    expect_end();
}
END_TEST

START_TEST(parts_of_what_failed_do_not_count)
{
    register_table(&noted_type);
    register_step("Many", 1, &to_noted, emit_as_many, NULL);
    store_event("Many", 1, NULL, "2000");
    store_event("Many", 1, NULL, "4");
    store_event("Many", 1, NULL, "2000");
    store_event("Many", 1, NULL, "2");
    run_lint(0);
    assert_line("Many 1 json: 4 events, 4 tried, 2 failed, 2-4 parts, TOO_LARGE");
}
END_TEST

/* --- Aliases, and upcasters that nothing reaches --- */

START_TEST(alias_has_a_line_of_its_own_and_its_types_table)
{
    register_table(&noted_type);
    assert_status(stele_store_register_alias(store, "Remarked", "Noted"), STELE_OK);
    store_event("Remarked", 1, NULL, "{\"n\":1}");
    store_event("Remarked", 2, NULL, "{\"n\":1}");
    store_event("Noted", 1, NULL, "{\"n\":1}");
    run_lint(0);
    assert_line("Noted 1 json: 1 events, 1 tried, 0 failed, 1-1 parts, OK");
    assert_line("Remarked 1 json: 1 events, 1 tried, 0 failed, 1-1 parts, OK");
    assert_line("Remarked 2 json: 1 events, 1 tried, 1 failed, 0-0 parts, UNKNOWN_TYPE");
    expect_end();
}
END_TEST

START_TEST(upcasters_without_events_are_unused_in_the_order_of_registration)
{
    register_chain();
    run_lint((uint64_t)_i);
    assert_line("Removed 1: unused");
    assert_line("Placed 2: unused");
    assert_line("Placed 1: unused");
    assert_line("Added 4: unused");
    expect_end();
}
END_TEST

START_TEST(upcaster_that_only_a_chain_reaches_is_used)
{
    register_chain();
    store_event("Placed", 1, NULL, "{\"item\":\"a\",\"amount\":1}");
    run_lint(100);
    assert_line("Placed 1 json: 1 events, 1 tried, 0 failed, 1-1 parts, OK");
    assert_line("Removed 1: unused");
    assert_line("Added 4: unused");
    expect_end();
}
END_TEST

/* Each version leads to the next, from two types that are stored. */
START_TEST(everything_along_the_chains_is_used)
{
    register_table(&placed_3_type);
    for (int64_t version = 1; version <= 4; version++) {
        register_step("Long", version, NULL, emit_text, "{}");
        register_step("Other", version, NULL, emit_text, "{}");
    }
    store_event("Long", 1, NULL, "{}");
    store_event("Other", 2, NULL, "{}");
    run_lint(100);
    assert_line("Long 1 json: 1 events, 1 tried, 1 failed, 0-0 parts, UNKNOWN_TYPE");
    assert_line("Other 2 json: 1 events, 1 tried, 1 failed, 0-0 parts, UNKNOWN_TYPE");
    assert_line("Other 1: unused");
    expect_end();
}
END_TEST

START_TEST(upcaster_before_the_stored_versions_is_unused)
{
    register_chain();
    store_event("Placed", 2, NULL, placed_2_text);
    store_event("Removed", 2, NULL, "1");
    run_lint(100);
    assert_line("Placed 2 json: 1 events, 1 tried, 0 failed, 1-1 parts, OK");
    assert_line("Removed 2 json: 1 events, 1 tried, 1 failed, 0-0 parts, UNKNOWN_TYPE");
    assert_line("Removed 1: unused");
    assert_line("Placed 1: unused");
    assert_line("Added 4: unused");
    expect_end();
}
END_TEST

START_TEST(upcaster_that_an_alias_reaches_is_used)
{
    register_table(&noted_type);
    assert_status(stele_store_register_alias(store, "Old", "Many"), STELE_OK);
    register_step("Many", 1, &to_noted, emit_as_many, NULL);
    store_event("Old", 1, NULL, "2");
    run_lint(100);
    assert_line("Old 1 json: 1 events, 1 tried, 0 failed, 2-2 parts, OK");
    expect_end();
}
END_TEST

START_TEST(declared_output_counts_as_reached_also_when_nothing_is_emitted)
{
    register_table(&noted_type);
    register_step("Many", 1, &(stele_type_version){ "Fewer", 1 }, emit_as_many, NULL);
    register_step("Fewer", 1, &to_noted, emit_as_many, NULL);
    store_event("Many", 1, NULL, "0");
    run_lint(100);
    assert_line("Many 1 json: 1 events, 1 tried, 0 failed, 0-0 parts, OK");
    expect_end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lint");
    TCase *lines = add_lint_case(suite, "lines", open_in_memory);
    tcase_add_loop_test(lines, empty_log_has_no_lines, 0, 3);
    tcase_add_loop_test(lines, each_type_version_and_codec_has_a_line_in_their_order, 0, 4);
    tcase_add_test(lines, lines_stay_lent_until_the_lint_is_closed);
    tcase_add_test(lines, thousands_of_types_are_found_again_and_sorted);
    tcase_add_test(lines, streams_of_the_library_are_left_out);

    TCase *samples = add_lint_case(suite, "samples", open_in_memory);
    tcase_add_test(samples, samples_are_the_first_ones_and_others_spread_up_to_the_last);
    tcase_add_test(samples, as_many_are_tried_as_were_asked_for);
    tcase_add_test(samples, codecs_of_a_type_have_samples_of_their_own);
    tcase_add_test(samples, without_options_a_hundred_of_each_are_tried);

    TCase *failures = add_lint_case(suite, "failures", open_in_memory);
    tcase_add_test(failures, failures_are_counted_and_the_first_one_is_told);
    tcase_add_test(failures, type_without_a_table_is_unknown_type);
    tcase_add_loop_test(failures, codec_that_nobody_knows_or_that_has_no_values_is_unsupported, 0,
                        2);
    tcase_add_test(failures, rounded_number_is_precision);
    tcase_add_test(failures, too_many_parts_are_too_large);
    tcase_add_loop_test(failures, whatever_an_upcaster_fails_with_is_a_finding, 0, 7);
    tcase_add_test(failures, upcaster_that_uses_the_store_is_found);

    TCase *parts = add_lint_case(suite, "parts", open_in_memory);
    tcase_add_loop_test(parts, fewest_and_most_parts_are_told, 0, 4);
    tcase_add_test(parts, parts_of_what_failed_do_not_count);

    TCase *reached = add_lint_case(suite, "reached", open_in_memory);
    tcase_add_test(reached, alias_has_a_line_of_its_own_and_its_types_table);
    tcase_add_loop_test(reached, upcasters_without_events_are_unused_in_the_order_of_registration,
                        0, 2);
    tcase_add_test(reached, upcaster_that_only_a_chain_reaches_is_used);
    tcase_add_test(reached, upcaster_before_the_stored_versions_is_unused);
    tcase_add_test(reached, everything_along_the_chains_is_used);
    tcase_add_test(reached, upcaster_that_an_alias_reaches_is_used);
    tcase_add_test(reached, declared_output_counts_as_reached_also_when_nothing_is_emitted);
    return run_suite(suite);
}
