/* Values as text for people, and the test of a table with a value of the program's. */
#include "codec/plan_internal.h"

#include <string.h>

#include "base/failure.h"
#include "base/memory.h"

stele_status stele_type_format(const stele_type *type, const void *value, stele_buffer *buffer)
{
    if (value == NULL || buffer == NULL)
        return stele__fail(STELE_MISUSE, "stele_type_format: a NULL argument");
    stele__plan *plan = NULL;
    stele_status status = stele__plan_make(type, &plan);
    if (status != STELE_OK)
        return status;
    size_t start = buffer->size;
    status = stele__plan_encode(plan, STELE__FORMAT_TEXT, value, buffer, NULL);
    if (status == STELE_OK)
        status = stele__buffer_add(buffer, "", 1);
    if (status == STELE_OK)
        buffer->size--;
    else
        buffer->size = start;
    stele__plan_free(plan);
    return status;
}

/* What a test needs on its way. */
typedef struct type_trial {
    const stele__plan *plan;
    void *value;              /* decoded */
    stele__buffer payload[2]; /* of the value as given: JSON, CBOR */
    stele__buffer again;      /* of the decoded one */
} type_trial;

static const char *name_format(size_t format)
{
    return format == 0 ? "JSON" : "CBOR";
}

static stele__format choose_format(size_t format)
{
    return format == 0 ? STELE__FORMAT_JSON : STELE__FORMAT_CBOR;
}

/* Decode `from`, encode that in `to`, and compare with what the value itself was in `to`. */
static stele_status try_round_trip(type_trial *trial, size_t from, size_t to)
{
    const stele__buffer *payload = &trial->payload[from];
    stele_status status = stele__plan_decode(trial->plan, choose_format(from), payload->data,
                                             payload->size, trial->value, NULL, NULL);
    if (status != STELE_OK)
        return stele__fail_within(status, "%s is not read back", name_format(from));
    trial->again.size = 0;
    status = stele__plan_encode(trial->plan, choose_format(to), trial->value, &trial->again, NULL);
    stele__plan_clear(trial->plan->type, trial->value);
    if (status != STELE_OK)
        return stele__fail_within(status, "what was read from %s is not written as %s",
                                  name_format(from), name_format(to));
    if (trial->again.size != trial->payload[to].size
        || memcmp(trial->again.data, trial->payload[to].data, trial->again.size) != 0)
        return stele__fail(STELE_INVALID, "what was read from %s differs when written as %s",
                           name_format(from), name_format(to));
    return STELE_OK;
}

static stele_status try_value(type_trial *trial, const void *value)
{
    stele_status status = STELE_OK;
    for (size_t format = 0; format < 2 && status == STELE_OK; format++) {
        status = stele__plan_encode(trial->plan, choose_format(format), value,
                                    &trial->payload[format], NULL);
        if (status != STELE_OK)
            return stele__fail_within(status, "it is not written as %s", name_format(format));
    }
    for (size_t from = 0; from < 2; from++)
        for (size_t to = 0; to < 2 && status == STELE_OK; to++)
            status = try_round_trip(trial, from, to);
    return status;
}

stele_status stele_type_selftest(const stele_type *type, const void *value)
{
    if (value == NULL)
        return stele__fail(STELE_MISUSE, "stele_type_selftest: value is NULL");
    stele__plan *plan = NULL;
    stele_status status = stele__plan_make(type, &plan);
    if (status != STELE_OK)
        return status;
    type_trial trial = { .plan = plan, .value = stele__allocate_array(1, type->size) };
    status = trial.value != NULL
                 ? try_value(&trial, value)
                 : stele__fail(STELE_NO_MEMORY, "no memory for a value of %zu bytes", type->size);
    if (status != STELE_OK)
        stele__fail_within(status, "type '%s'", type->name);
    stele__buffer_dispose(&trial.payload[0]);
    stele__buffer_dispose(&trial.payload[1]);
    stele__buffer_dispose(&trial.again);
    stele__free(trial.value);
    stele__plan_free(plan);
    return status;
}
