/* What is done with a state of the program's: by its table, or by the decider's functions. */
#include <assert.h>
#include <string.h>

#include "aggregate/aggregate.h"
#include "base/callback.h"
#include "base/failure.h"
#include "base/memory.h"

bool stele__callback_may_answer(stele_status status)
{
    switch (status) {
    case STELE_OK:
    case STELE_INVALID:
    case STELE_PRECISION:
    case STELE_TOO_LARGE:
    case STELE_UNSUPPORTED:
    case STELE_UNKNOWN_TYPE:
    case STELE_NO_MEMORY: return true;
    default: return false;
    }
}

stele_status stele__judge_callback(stele_status status, const char *what)
{
    if (status == STELE_OK)
        return STELE_OK;
    bool fair = stele__callback_may_answer(status);
    bool silent = stele_error_text()[0] == '\0';
    if (fair)
        return silent ? stele__fail(status, "%s gave no reason", what)
                      : stele__fail_within(status, "%s", what);
    if (silent)
        return stele__fail(STELE_INVALID, "%s answered %d, %s", what, (int)status,
                           stele_status_name(status));
    return stele__fail_within(STELE_INVALID, "%s answered %d, %s", what, (int)status,
                              stele_status_name(status));
}

stele_status stele__state_begin(const stele_aggregate *aggregate, void *state)
{
    const stele_decider *decider = &aggregate->decider;
    memset(state, 0, aggregate->state_size);
    if (decider->initial == NULL)
        return STELE_OK;
    const char *outer = stele__callback_begin("an initial callback");
    stele__restore_error("");
    stele_status status = decider->initial(decider->context, state);
    stele__callback_end(outer);
    status = stele__judge_callback(status, "the initial state");
    if (status != STELE_OK)
        stele__state_clear(aggregate, state);
    return status;
}

void stele__state_clear(const stele_aggregate *aggregate, void *state)
{
    const stele_decider *decider = &aggregate->decider;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    if (decider->state != NULL && !aggregate->plain) {
        stele_type_clear(decider->state, state);
    } else if (decider->clear != NULL) {
        const char *outer = stele__callback_begin("a clear callback");
        decider->clear(decider->context, state);
        stele__callback_end(outer);
    }
    memset(state, 0, aggregate->state_size);
    stele__restore_error(error);
}

stele_status stele__state_copy(const stele_aggregate *aggregate, const void *state, void *copy)
{
    const stele_decider *decider = &aggregate->decider;
    assert(aggregate->copies);
    if (aggregate->plain) {
        memcpy(copy, state, aggregate->state_size);
        return STELE_OK;
    }
    if (decider->state != NULL)
        return stele_type_copy(decider->state, state, copy);
    const char *outer = stele__callback_begin("a copy callback");
    stele__restore_error("");
    stele_status status = decider->copy(decider->context, state, copy);
    stele__callback_end(outer);
    status = stele__judge_callback(status, "copying the state");
    if (status != STELE_OK)
        stele__state_clear(aggregate, copy);
    return status;
}

void *stele__state_allocate(const stele_aggregate *aggregate)
{
    return stele__allocate_array(1, aggregate->state_size);
}

void stele__state_free(const stele_aggregate *aggregate, void *state)
{
    if (state == NULL)
        return;
    stele__state_clear(aggregate, state);
    stele__free(state);
}

stele_status stele__state_encode(const stele_aggregate *aggregate, const void *state,
                                 stele_buffer *buffer)
{
    const stele_decider *decider = &aggregate->decider;
    if (decider->state != NULL) {
        const stele_codec *codec = NULL;
        stele_status status = stele_store_codec(aggregate->store, aggregate->codec, &codec);
        if (status == STELE_OK)
            status = stele_type_encode(decider->state, state, codec, buffer, NULL);
        return status;
    }
    const char *outer = stele__callback_begin("an encode callback");
    stele__restore_error("");
    stele_status status = decider->encode(decider->context, state, buffer);
    stele__callback_end(outer);
    return stele__judge_callback(status, "encoding the state");
}

stele_status stele__state_decode(const stele_aggregate *aggregate, const char *codec,
                                 const void *data, size_t size, void *state)
{
    const stele_decider *decider = &aggregate->decider;
    if (decider->state != NULL) {
        const stele_codec *by = NULL;
        stele_status status = stele_store_codec(aggregate->store, codec, &by);
        if (status == STELE_OK)
            status = stele_type_decode(decider->state, by, data, size, state, NULL);
        return status;
    }
    const char *outer = stele__callback_begin("a decode callback");
    stele__restore_error("");
    stele_status status = decider->decode(decider->context, data, size, state);
    stele__callback_end(outer);
    status = stele__judge_callback(status, "decoding the state");
    if (status != STELE_OK)
        stele__state_clear(aggregate, state);
    return status;
}
