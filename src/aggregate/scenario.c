/* Given, when, then. */
#include <stele/scenario.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "aggregate/aggregate.h"
#include "aggregate/scenario_text.h"
#include "base/bytes.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"

#define REASON_SHOWN_MAX 200

struct stele_scenario {
    stele_aggregate *aggregate;
    char stream[64];
    size_t given; /* how many there were */
    size_t when;
    stele_status failure; /* of a `given` or `when`; STELE_OK for none */
    char failure_text[STELE__ERROR_SIZE];
    /* Of the last `when`. */
    bool refused;
    int32_t refusal;
    char reason[STELE__ERROR_SIZE];
    int64_t first_version; /* of what it emitted */
    int64_t emitted;
    int64_t named; /* how many of these a `then` was about */
};

/* --- A scenario --- */

/* Of processes that share a file each counts by itself, so that the number alone wouldn't do. */
static stele_status name_stream(stele_scenario *scenario)
{
    static _Atomic uint64_t opened;
    uint64_t chance = 0;
    stele_status status = stele__random_bytes(&chance, sizeof(chance));
    if (status == STELE_OK)
        snprintf(scenario->stream, sizeof(scenario->stream), "scenario-%" PRIu64 "-%016" PRIx64,
                 atomic_fetch_add(&opened, 1) + 1, chance);
    return status;
}

static stele_status make_scenario(stele_aggregate *aggregate, stele_scenario **scenario_out)
{
    if (!aggregate->copies)
        return stele__fail(STELE_MISUSE, "the states of the decider '%s' can't be copied",
                           aggregate->name);
    stele_scenario *scenario = stele__allocate_array(1, sizeof(*scenario));
    if (scenario == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a scenario");
    scenario->aggregate = aggregate;
    stele_status status = name_stream(scenario);
    if (status == STELE_OK)
        *scenario_out = scenario;
    else
        stele__free(scenario);
    return status;
}

stele_status stele_scenario_open(stele_aggregate *aggregate, stele_scenario **scenario_out)
{
    if (scenario_out == NULL)
        return stele__fail(STELE_MISUSE, "scenario_out is NULL");
    *scenario_out = NULL;
    stele_status status = stele__aggregate_enter(aggregate);
    if (status != STELE_OK)
        return status;
    status = make_scenario(aggregate, scenario_out);
    stele__aggregate_leave(aggregate);
    return status;
}

void stele_scenario_close(stele_scenario *scenario)
{
    stele__free(scenario);
}

/* What every call begins with. End it with leave_step() on success. */
static stele_status enter_step(stele_scenario *scenario)
{
    if (scenario == NULL)
        return stele__fail(STELE_MISUSE, "the scenario is NULL");
    if (scenario->failure != STELE_OK)
        return stele__fail(scenario->failure, "%s", scenario->failure_text);
    return stele__aggregate_enter(scenario->aggregate);
}

static stele_status leave_step(stele_scenario *scenario, stele_status status)
{
    stele__aggregate_leave(scenario->aggregate);
    return status;
}

/* --- Given, when --- */

/* A step that failed spoils what comes after it. */
static stele_status remember_step(stele_scenario *scenario, const char *what, size_t number,
                                  stele_status status)
{
    if (status == STELE_OK)
        return STELE_OK;
    status = stele__fail_within(status, "%s %zu", what, number);
    scenario->failure = status;
    stele__keep_error(scenario->failure_text);
    return status;
}

static stele_append append_to_scenario(const stele_scenario *scenario)
{
    stele_append append = STELE_APPEND_INIT;
    append.stream = scenario->stream;
    return append;
}

static stele_status give(stele_scenario *scenario, const stele_type *type, const void *value)
{
    stele_append append = append_to_scenario(scenario);
    stele_typed_event typed = STELE_TYPED_EVENT_INIT;
    typed.type = type;
    typed.value = value;
    return stele_append_typed(scenario->aggregate->store, &append, &typed, 1, NULL);
}

static stele_status give_event(stele_scenario *scenario, const stele_event *event)
{
    stele_append append = append_to_scenario(scenario);
    if (event == NULL)
        return stele__fail(STELE_MISUSE, "the event is NULL");
    append.events = event;
    append.event_count = 1;
    return stele_store_append(scenario->aggregate->store, &append, NULL);
}

stele_status stele_scenario_given(stele_scenario *scenario, const stele_type *type,
                                  const void *value)
{
    stele_status status = enter_step(scenario);
    if (status != STELE_OK)
        return status;
    status = remember_step(scenario, "given", ++scenario->given, give(scenario, type, value));
    return leave_step(scenario, status);
}

stele_status stele_scenario_given_event(stele_scenario *scenario, const stele_event *event)
{
    stele_status status = enter_step(scenario);
    if (status != STELE_OK)
        return status;
    status = remember_step(scenario, "given", ++scenario->given, give_event(scenario, event));
    return leave_step(scenario, status);
}

static stele_status execute_command(stele_scenario *scenario, const void *command)
{
    stele_execute execute = STELE_EXECUTE_INIT;
    stele_executed executed;
    execute.stream = scenario->stream;
    execute.command = command;
    stele_status status = stele_aggregate_execute(scenario->aggregate, &execute, &executed);
    scenario->refused = status == STELE_REFUSED;
    scenario->refusal = executed.refusal;
    scenario->emitted = (int64_t)executed.event_count;
    scenario->first_version = executed.version - scenario->emitted + 1;
    scenario->named = 0;
    if (scenario->refused)
        stele__keep_error(scenario->reason);
    return scenario->refused ? STELE_OK : status;
}

stele_status stele_scenario_when(stele_scenario *scenario, const void *command)
{
    stele_status status = enter_step(scenario);
    if (status != STELE_OK)
        return status;
    status = remember_step(scenario, "when", ++scenario->when, execute_command(scenario, command));
    return leave_step(scenario, status);
}

/* --- Then: what was emitted --- */

static stele_status enter_then(stele_scenario *scenario)
{
    stele_status status = enter_step(scenario);
    if (status == STELE_OK && scenario->when == 0)
        return leave_step(scenario, stele__fail(STELE_MISUSE, "a `then` before any `when`"));
    return status;
}

static stele_event event_of_record(const stele_record *record)
{
    return (stele_event){ .type = record->type,
                          .data = record->data,
                          .data_size = record->data_size,
                          .metadata = record->metadata,
                          .metadata_size = record->metadata_size,
                          .codec = record->codec,
                          .schema_version = record->schema_version };
}

/* Event `index` of what was emitted, from a cursor that the caller closes in any case. */
static stele_status read_emitted(stele_scenario *scenario, int64_t index, stele_cursor **cursor_out,
                                 stele_event *event_out)
{
    const stele_record *record = NULL;
    stele_read read = STELE_READ_INIT;
    read.stream = scenario->stream;
    read.from_version = scenario->first_version + index;
    read.to_version = read.from_version;
    stele_status status = stele_store_read(scenario->aggregate->store, &read, cursor_out);
    if (status == STELE_OK)
        status = stele_cursor_next(*cursor_out, &record);
    if (status == STELE_DONE)
        return stele__fail(STELE_NOT_FOUND, "event %" PRId64 " isn't in '%s' any more", index + 1,
                           scenario->stream);
    if (status == STELE_OK)
        *event_out = event_of_record(record);
    return status;
}

/* Why there is no event that a `then` could be about, after "but ". */
static void tell_absence(const stele_scenario *scenario, char *text, size_t capacity)
{
    size_t size = stele__utf8_cut(scenario->reason, strlen(scenario->reason), REASON_SHOWN_MAX);
    if (scenario->refused)
        snprintf(text, capacity, "the command was refused with %" PRId32 ": %.*s",
                 scenario->refusal, (int)size, scenario->reason);
    else
        snprintf(text, capacity, "nothing%s was emitted", scenario->emitted > 0 ? " more" : "");
}

static stele_status fail_absent(const stele_scenario *scenario, const char *lead,
                                const stele_event *expected)
{
    char absence[REASON_SHOWN_MAX + 64];
    char tail[sizeof(absence) + 8];
    char begin[64];
    stele__words words = { 0 };
    tell_absence(scenario, absence, sizeof(absence));
    snprintf(tail, sizeof(tail), ", but %s", absence);
    snprintf(begin, sizeof(begin), "%sexpected ", lead);
    stele_status status = stele__words_of_event(scenario->aggregate->store, expected, &words);
    if (status == STELE_OK)
        status = stele__fail_with_words(begin, &words, tail);
    stele__words_dispose(&words);
    return status;
}

static bool same_bytes(const void *left, size_t left_size, const void *right, size_t right_size)
{
    return left_size == right_size && (left_size == 0 || memcmp(left, right, left_size) == 0);
}

static bool same_event(const stele_event *left, const stele_event *right)
{
    return strcmp(left->type, right->type) == 0 && left->schema_version == right->schema_version
           && strcmp(left->codec, right->codec) == 0
           && same_bytes(left->data, left->data_size, right->data, right->data_size);
}

static stele_status fail_other(const stele_scenario *scenario, const char *lead,
                               const stele_event *expected, const stele_event *found)
{
    stele__words one = { 0 };
    stele__words other = { 0 };
    stele_store *store = scenario->aggregate->store;
    stele_status status = stele__words_of_event(store, expected, &one);
    if (status == STELE_OK)
        status = stele__words_of_event(store, found, &other);
    if (status == STELE_OK)
        status = stele__fail_differing(lead, &one, &other);
    stele__words_dispose(&one);
    stele__words_dispose(&other);
    return status;
}

static stele_status compare_metadata(const char *lead, const stele_event *expected,
                                     const stele_event *found)
{
    stele__words one = { 0 };
    stele__words other = { 0 };
    if (expected->metadata_size == 0
        || same_bytes(expected->metadata, expected->metadata_size, found->metadata,
                      found->metadata_size))
        return STELE_OK;
    const char *head = found->metadata_size == 0 ? "no metadata" : "metadata";
    stele_status status = stele__words_of_bytes("metadata", "json", expected->metadata,
                                                expected->metadata_size, &one);
    if (status == STELE_OK)
        status = stele__words_of_bytes(head, "json", found->metadata, found->metadata_size, &other);
    if (status == STELE_OK)
        status = stele__fail_differing(lead, &one, &other);
    stele__words_dispose(&one);
    stele__words_dispose(&other);
    return status;
}

/* The value as the event that it would be, written in `codec`, which may not be able to. */
static stele_status encode_expected(const stele_scenario *scenario,
                                    const stele_typed_event *expected, const char *codec,
                                    stele_buffer *buffer, stele_event *event_out)
{
    stele_typed_event typed = *expected;
    stele_status status = STELE_UNSUPPORTED;
    typed.codec = codec;
    if (codec != NULL)
        status = stele_event_encode(scenario->aggregate->store, &typed, buffer, event_out, NULL);
    typed.codec = NULL;
    if (status == STELE_UNSUPPORTED)
        status = stele_event_encode(scenario->aggregate->store, &typed, buffer, event_out, NULL);
    return status;
}

/* What a `then` expects: a value, or an event as bytes. */
typedef struct expectation {
    const stele_typed_event *typed; /* NULL: */
    stele_event event;
} expectation;

/* The expectation in bytes, with nothing left open; `found` is what is there, or NULL. */
static stele_status expect_in_bytes(const stele_scenario *scenario, const expectation *expected,
                                    const stele_event *found, stele_buffer *buffer,
                                    stele_event *event_out)
{
    stele_status status = STELE_OK;
    *event_out = expected->event;
    if (expected->typed != NULL)
        status = encode_expected(scenario, expected->typed, found == NULL ? NULL : found->codec,
                                 buffer, event_out);
    if (event_out->codec == NULL)
        event_out->codec = "json";
    if (event_out->schema_version == 0)
        event_out->schema_version = 1;
    return status;
}

static stele_status compare_next(stele_scenario *scenario, const expectation *expected)
{
    char lead[40];
    stele_cursor *cursor = NULL;
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_event found = { 0 };
    stele_event event;
    stele_status status = STELE_OK;
    bool there = !scenario->refused && scenario->named < scenario->emitted;
    snprintf(lead, sizeof(lead), "event %" PRId64 ": ", scenario->named + 1);
    if (there)
        status = read_emitted(scenario, scenario->named, &cursor, &found);
    if (status == STELE_OK)
        status = expect_in_bytes(scenario, expected, there ? &found : NULL, &buffer, &event);
    if (status == STELE_OK && !there)
        status = fail_absent(scenario, lead, &event);
    else if (status == STELE_OK && !same_event(&event, &found))
        status = fail_other(scenario, lead, &event, &found);
    if (status == STELE_OK)
        status = compare_metadata(lead, &event, &found);
    if (status == STELE_OK)
        scenario->named++;
    stele_cursor_close(cursor);
    stele__buffer_dispose(&buffer);
    return status;
}

stele_status stele_scenario_then(stele_scenario *scenario, const stele_type *type,
                                 const void *value)
{
    stele_typed_event typed = STELE_TYPED_EVENT_INIT;
    expectation expected = { .typed = &typed };
    stele_status status = enter_then(scenario);
    if (status != STELE_OK)
        return status;
    typed.type = type;
    typed.value = value;
    return leave_step(scenario, compare_next(scenario, &expected));
}

static stele_status check_expected_event(const stele_event *event)
{
    if (event == NULL)
        return stele__fail(STELE_MISUSE, "the event is NULL");
    if (event->type == NULL)
        return stele__fail(STELE_MISUSE, "the type is NULL");
    if (event->data == NULL && event->data_size > 0)
        return stele__fail(STELE_MISUSE, "data is NULL, its size is not 0");
    if (event->metadata == NULL && event->metadata_size > 0)
        return stele__fail(STELE_MISUSE, "metadata is NULL, its size is not 0");
    return STELE_OK;
}

stele_status stele_scenario_then_event(stele_scenario *scenario, const stele_event *event)
{
    expectation expected = { 0 };
    stele_status status = enter_then(scenario);
    if (status != STELE_OK)
        return status;
    status = check_expected_event(event);
    if (status == STELE_OK) {
        expected.event = *event;
        status = compare_next(scenario, &expected);
    }
    return leave_step(scenario, status);
}

/* What was emitted where a `then` wants nothing: the first event that wasn't named, and a count. */
static stele_status fail_emitted(stele_scenario *scenario, int64_t index, const char *lead,
                                 const char *verb)
{
    char tail[64] = "";
    stele_cursor *cursor = NULL;
    stele_event found;
    stele__words words = { 0 };
    int64_t more = scenario->emitted - index - 1;
    if (more > 0)
        snprintf(tail, sizeof(tail), "%s, and %" PRId64 " more", verb, more);
    else
        snprintf(tail, sizeof(tail), "%s", verb);
    stele_status status = read_emitted(scenario, index, &cursor, &found);
    if (status == STELE_OK)
        status = stele__words_of_event(scenario->aggregate->store, &found, &words);
    if (status == STELE_OK)
        status = stele__fail_with_words(lead, &words, tail);
    stele__words_dispose(&words);
    stele_cursor_close(cursor);
    return status;
}

stele_status stele_scenario_then_nothing(stele_scenario *scenario)
{
    char lead[80];
    stele_status status = enter_then(scenario);
    if (status != STELE_OK)
        return status;
    const char *more = scenario->named > 0 ? " more" : "";
    snprintf(lead, sizeof(lead), "expected nothing%s, but event %" PRId64 " is ", more,
             scenario->named + 1);
    if (scenario->refused)
        status = stele__fail(STELE_INVALID,
                             "expected nothing, but the command was refused with %" PRId32 ": %s",
                             scenario->refusal, scenario->reason);
    else if (scenario->named < scenario->emitted)
        status = fail_emitted(scenario, scenario->named, lead, "");
    return leave_step(scenario, status);
}

stele_status stele_scenario_then_refused(stele_scenario *scenario, int32_t code)
{
    char lead[64];
    stele_status status = enter_then(scenario);
    if (status != STELE_OK)
        return status;
    snprintf(lead, sizeof(lead), "expected a refusal with %" PRId32 ", but ", code);
    if (scenario->refused && scenario->refusal != code)
        status = stele__fail(STELE_INVALID, "%sit was refused with %" PRId32 ": %s", lead,
                             scenario->refusal, scenario->reason);
    else if (!scenario->refused && scenario->emitted > 0)
        status = fail_emitted(scenario, 0, lead, " was emitted");
    else if (!scenario->refused)
        status = stele__fail(STELE_INVALID, "%snothing was emitted", lead);
    return leave_step(scenario, status);
}

/* --- Then: the state --- */

static stele_status compare_state_now(stele_scenario *scenario, const void *expected)
{
    stele_aggregate *aggregate = scenario->aggregate;
    if (expected == NULL)
        return stele__fail(STELE_MISUSE, "state is NULL");
    void *state = stele__state_allocate(aggregate);
    if (state == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a state");
    stele_status status = stele_aggregate_load(aggregate, scenario->stream, state, NULL);
    if (status == STELE_OK)
        status = stele__compare_states(aggregate, expected, state);
    stele__state_free(aggregate, state);
    return status;
}

stele_status stele_scenario_then_state(stele_scenario *scenario, const void *state)
{
    stele_status status = enter_step(scenario);
    if (status != STELE_OK)
        return status;
    return leave_step(scenario, compare_state_now(scenario, state));
}

stele_status stele_scenario_state(stele_scenario *scenario, void *state)
{
    stele_status status = enter_step(scenario);
    if (status != STELE_OK)
        return status;
    status = stele_aggregate_load(scenario->aggregate, scenario->stream, state, NULL);
    return leave_step(scenario, status);
}
