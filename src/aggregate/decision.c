/* What a command leads to: events, kept until they are appended, or a refusal. */
#include <stdio.h>
#include <string.h>

#include "aggregate/aggregate.h"
#include "base/bytes.h"
#include "base/callback.h"
#include "base/failure.h"

#define EMITTED_MAX     100000
#define REASON_SIZE_MAX 400

void stele__decision_begin(stele_decision *decision, stele_aggregate *aggregate, const char *stream,
                           const stele_cause *cause)
{
    *decision = (stele_decision){ .aggregate = aggregate, .stream = stream, .cause = cause };
}

void stele__decision_end(stele_decision *decision)
{
    stele__buffer_dispose(&decision->bytes);
    stele__buffer_dispose(&decision->emitted);
    stele__buffer_dispose(&decision->events);
}

const char *stele_decision_stream(const stele_decision *decision)
{
    return decision == NULL ? "" : decision->stream;
}

int64_t stele_decision_version(const stele_decision *decision)
{
    return decision == NULL ? 0 : decision->version;
}

/* --- Emitting --- */

/* A failure ends the decision, whatever `decide` makes of it. */
static stele_status keep_emission(stele_decision *decision, stele_status status)
{
    if (status == STELE_OK)
        return STELE_OK;
    status =
        stele__fail_within(status, "event %zu", decision->emitted.size / sizeof(stele__emitted));
    decision->failure = status;
    snprintf(decision->failure_text, sizeof(decision->failure_text), "%s", stele_error_text());
    return status;
}

static stele_status check_emission(stele_decision *decision)
{
    if (decision == NULL)
        return stele__fail(STELE_MISUSE, "the decision is NULL");
    if (decision->failure != STELE_OK)
        return stele__fail(decision->failure, "%s", decision->failure_text);
    if (decision->emitted.size / sizeof(stele__emitted) >= EMITTED_MAX)
        return keep_emission(
            decision,
            stele__fail(STELE_TOO_LARGE, "a command emits more than %d events", EMITTED_MAX));
    return STELE_OK;
}

static stele_status keep_text(stele_decision *decision, const char *text, size_t *at_out)
{
    *at_out = text == NULL ? SIZE_MAX : decision->bytes.size;
    return text == NULL ? STELE_OK : stele__buffer_add(&decision->bytes, text, strlen(text) + 1);
}

/* The metadata, stamped, and the names; `data` is kept by the caller, whose event this is. */
static stele_status keep_event(stele_decision *decision, const stele_event *event,
                               stele__emitted *emitted)
{
    emitted->event = *event;
    stele_status status = keep_text(decision, event->type, &emitted->type_at);
    if (status == STELE_OK)
        status = keep_text(decision, event->codec, &emitted->codec_at);
    emitted->metadata_at = decision->bytes.size;
    if (status == STELE_OK && event->metadata == NULL && event->metadata_size > 0)
        status = stele__fail(STELE_MISUSE, "metadata is NULL, its size is not 0");
    if (status == STELE_OK && decision->cause != NULL)
        status = stele__cause_stamp(decision->cause, event->metadata, event->metadata_size,
                                    &decision->bytes);
    else if (status == STELE_OK)
        status = stele__buffer_add(&decision->bytes, event->metadata, event->metadata_size);
    emitted->event.metadata_size = decision->bytes.size - emitted->metadata_at;
    return status == STELE_OK ? stele__buffer_add(&decision->emitted, emitted, sizeof(*emitted))
                              : status;
}

stele_status stele_decision_emit_event(stele_decision *decision, const stele_event *event)
{
    stele__emitted emitted = { 0 };
    stele_status status = check_emission(decision);
    if (status != STELE_OK)
        return status;
    if (event == NULL)
        status = stele__fail(STELE_MISUSE, "the event is NULL");
    else if (event->data == NULL && event->data_size > 0)
        status = stele__fail(STELE_MISUSE, "data is NULL, its size is not 0");
    else if (event->type == NULL)
        status = stele__fail(STELE_MISUSE, "the type is NULL");
    if (status == STELE_OK) {
        emitted.data_at = decision->bytes.size;
        status = stele__buffer_add(&decision->bytes, event->data, event->data_size);
    }
    if (status == STELE_OK)
        status = keep_event(decision, event, &emitted);
    return keep_emission(decision, status);
}

stele_status stele_decision_emit_typed(stele_decision *decision, const stele_typed_event *typed)
{
    stele__emitted emitted = { 0 };
    stele_event event;
    stele_status status = check_emission(decision);
    if (status != STELE_OK)
        return status;
    emitted.data_at = decision->bytes.size;
    /* Encoding asks the store what it knows of the type, which `decide` itself may not. */
    const char *outer = stele__callback_begin(NULL);
    status = stele_event_encode(decision->aggregate->store, typed, &decision->bytes, &event, NULL);
    stele__callback_end(outer);
    if (status == STELE_OK)
        status = keep_event(decision, &event, &emitted);
    return keep_emission(decision, status);
}

stele_status stele_decision_emit(stele_decision *decision, const stele_type *type,
                                 const void *value)
{
    stele_typed_event typed = STELE_TYPED_EVENT_INIT;
    typed.type = type;
    typed.value = value;
    return stele_decision_emit_typed(decision, &typed);
}

stele_status stele_decision_refuse(stele_decision *decision, int32_t code, const char *reason)
{
    if (decision == NULL)
        return stele__fail(STELE_MISUSE, "the decision is NULL");
    if (!decision->refused) {
        size_t size = reason == NULL ? 0 : strlen(reason);
        size_t shown = stele__utf8_valid(reason == NULL ? "" : reason, size)
                           ? stele__utf8_cut(reason == NULL ? "" : reason, size, REASON_SIZE_MAX)
                       : size < REASON_SIZE_MAX ? size
                                                : REASON_SIZE_MAX;
        decision->refused = true;
        decision->refusal = code;
        snprintf(decision->reason, sizeof(decision->reason), "%.*s", (int)shown,
                 reason == NULL ? "" : reason);
    }
    return stele__fail(STELE_REFUSED, "%s", decision->reason);
}

/* --- Deciding --- */

/* The bytes stay where they are from now on. */
static stele_status lay_events_out(stele_decision *decision)
{
    const stele__emitted *emitted = (const stele__emitted *)(const void *)decision->emitted.data;
    size_t count = decision->emitted.size / sizeof(*emitted);
    for (size_t i = 0; i < count; i++) {
        stele_event event = emitted[i].event;
        event.type = decision->bytes.data + emitted[i].type_at;
        event.codec =
            emitted[i].codec_at == SIZE_MAX ? NULL : decision->bytes.data + emitted[i].codec_at;
        event.data = decision->bytes.data + emitted[i].data_at;
        event.metadata = decision->bytes.data + emitted[i].metadata_at;
        stele_status status = stele__buffer_add(&decision->events, &event, sizeof(event));
        if (status != STELE_OK)
            return status;
    }
    return STELE_OK;
}

static stele_status judge_decision(stele_decision *decision, stele_status status)
{
    if (decision->failure != STELE_OK)
        return stele__fail(decision->failure, "%s", decision->failure_text);
    if (decision->refused)
        return stele__fail(STELE_REFUSED, "%s", decision->reason);
    if (status == STELE_REFUSED)
        return stele__fail(status, "refused without a reason");
    return stele__judge_callback(status, "decide");
}

stele_status stele__decision_make(stele_decision *decision, const void *state, int64_t version,
                                  const void *command)
{
    const stele_decider *decider = &decision->aggregate->decider;
    decision->bytes.size = 0;
    decision->emitted.size = 0;
    decision->events.size = 0;
    decision->version = version;
    const char *outer = stele__callback_begin("a decide callback");
    stele__restore_error("");
    stele_status status = decider->decide(decider->context, state, command, decision);
    stele__callback_end(outer);
    status = judge_decision(decision, status);
    if (status == STELE_OK)
        return lay_events_out(decision);
    if (status != STELE_REFUSED)
        status = stele__fail_within(status, "stream '%s' at version %lld", decision->stream,
                                    (long long)version);
    return status;
}
