/**
 * @file tests/linting.h
 * What the tests of stele_store_lint() share: upcasters, events for them, and lines in short.
 */
#ifndef STELE_TESTS_LINTING_H
#define STELE_TESTS_LINTING_H

#include "typed_events.h"

/* --- Upcasters: what they make is fixed, or they fail --- */

/* Emits `context` as JSON. */
static inline stele_status emit_text(void *context, const stele_upcast_input *input,
                                     stele_upcast *upcast)
{
    stele_upcast_output output = { .data = context, .data_size = strlen(context) };
    output.codec = "json";
    (void)input;
    return stele_upcast_emit(upcast, &output);
}

/* As many {"n":1} as the payload says: "3". */
static inline stele_status emit_as_many(void *context, const stele_upcast_input *input,
                                        stele_upcast *upcast)
{
    stele_upcast_output output = { .type = "Noted", .data = "{\"n\":1}", .data_size = 7 };
    stele_status status = STELE_OK;
    (void)context;
    for (int i = atoi(input->data); i > 0 && status == STELE_OK; i--)
        status = stele_upcast_emit(upcast, &output);
    return status;
}

static inline stele_status answer_as_told(void *context, const stele_upcast_input *input,
                                          stele_upcast *upcast)
{
    (void)input, (void)upcast;
    return *(const stele_status *)context;
}

static const stele_type_version to_noted = { "Noted", 1 };

typedef stele_status (*upcast_function)(void *context, const stele_upcast_input *input,
                                        stele_upcast *upcast);

/* From one type and version to another; `output` NULL: a version on. */
static inline void register_step(const char *type, int64_t schema_version,
                                 const stele_type_version *output, upcast_function upcast,
                                 void *context)
{
    stele_upcaster upcaster = STELE_UPCASTER_INIT;
    upcaster.type = type;
    upcaster.schema_version = schema_version;
    upcaster.outputs = output;
    upcaster.output_count = output != NULL ? 1 : 0;
    upcaster.upcast = upcast;
    upcaster.context = context;
    assert_status(stele_store_register_upcaster(store, &upcaster), STELE_OK);
}

/* --- Storing --- */

static inline void store_event(const char *type, int64_t schema_version, const char *codec,
                               const char *data)
{
    stele_event event = make_event(type, data);
    event.codec = codec;
    event.schema_version = schema_version;
    assert_status(append_event("log-1", &event), STELE_OK);
}

static inline void store_times(int count, const char *type, const char *data)
{
    for (int i = 0; i < count; i++)
        store_event(type, 1, NULL, data);
}

/* --- Linting --- */

static stele_lint *lint;

static inline void close_lint(void)
{
    stele_lint_close(lint);
    lint = NULL;
}

static inline void close_lint_and_all(void)
{
    close_lint();
    close_all();
}

static inline void run_lint(uint64_t samples)
{
    stele_lint_options options = STELE_LINT_OPTIONS_INIT;
    options.samples = samples;
    close_lint();
    assert_status(stele_store_lint(store, &options, &lint), STELE_OK);
    ck_assert_ptr_nonnull(lint);
}

static inline const stele_lint_line *next_lint_line(void)
{
    const stele_lint_line *line = NULL;
    assert_status(stele_lint_next(lint, &line), STELE_OK);
    ck_assert_ptr_nonnull(line);
    return line;
}

static inline void expect_end(void)
{
    const stele_lint_line *line = (const stele_lint_line *)&line;
    assert_status(stele_lint_next(lint, &line), STELE_DONE);
    ck_assert_ptr_null(line);
}

/* A line in short: "Placed 1 json: 5 events, 5 tried, 0 failed, 1-1 parts, OK". Borrowed until
 * next.
 */
static inline const char *line_text(const stele_lint_line *line)
{
    static char text[512];
    if (line->kind == STELE_LINT_UNUSED)
        snprintf(text, sizeof(text), "%s %" PRId64 "%s: unused", line->type, line->schema_version,
                 line->codec);
    else
        snprintf(text, sizeof(text),
                 "%s %" PRId64 " %s: %" PRIu64 " events, %" PRIu64 " tried, %" PRIu64
                 " failed, %" PRIu64 "-%" PRIu64 " parts, %s",
                 line->type, line->schema_version, line->codec, line->events, line->tried,
                 line->failures, line->parts_min, line->parts_max, stele_status_name(line->status));
    return text;
}

#define assert_line(expected) ck_assert_str_eq(line_text(next_lint_line()), expected)

/* The only line, which is one of failures; its text holds `part`. */
static inline void assert_finding(const char *expected, const char *part)
{
    const stele_lint_line *line = next_lint_line();
    ck_assert_str_eq(line_text(line), expected);
    ck_assert_msg(strstr(line->offender, part) != NULL, "'%s' lacks '%s'", line->offender, part);
    expect_end();
}

/* --- A chain, and two that lead elsewhere --- */

static char placed_2_text[] = "{\"item\":\"a\",\"cents\":1}";
static char placed_3_text[] = "{\"item\":\"a\",\"cents\":1,\"currency\":\"EUR\"}";

/* Placed 1 to 2 to 3, and two others that lead to Noted. */
static inline void register_chain(void)
{
    register_table(&placed_3_type);
    register_table(&noted_type);
    register_step("Removed", 1, &to_noted, emit_as_many, NULL);
    register_step("Placed", 2, NULL, emit_text, placed_3_text);
    register_step("Placed", 1, NULL, emit_text, placed_2_text);
    register_step("Added", 4, &to_noted, emit_as_many, NULL);
}

static inline TCase *add_lint_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, close_lint_and_all);
    suite_add_tcase(suite, tests);
    return tests;
}

#endif
