/* Two states of a scenario beside each other. */
#include <stdio.h>
#include <string.h>

#include "aggregate/aggregate.h"
#include "aggregate/scenario_text.h"
#include "base/bytes.h"
#include "base/failure.h"

/* Bytes with pointers in them say nothing. */
static stele_status check_comparable(const stele_aggregate *aggregate)
{
    const stele_decider *decider = &aggregate->decider;
    if (decider->state != NULL || decider->encode != NULL || aggregate->plain)
        return STELE_OK;
    return stele__fail(STELE_UNSUPPORTED,
                       "the states of the decider '%s' own memory, and it can't write them",
                       aggregate->name);
}

static bool same_written(const stele_buffer *left, const stele_buffer *right)
{
    return left->size == right->size
           && (left->size == 0 || memcmp(left->data, right->data, left->size) == 0);
}

static stele_status write_state(const stele_aggregate *aggregate, const void *state,
                                stele_buffer *buffer)
{
    const stele_decider *decider = &aggregate->decider;
    if (decider->state != NULL)
        return stele_type_encode(decider->state, state, stele_codec_json(), buffer, NULL);
    if (decider->encode != NULL)
        return stele__state_encode(aggregate, state, buffer);
    return stele__buffer_add(buffer, state, aggregate->state_size);
}

static stele_status words_of_state(const stele_aggregate *aggregate, const char *head,
                                   const void *state, const stele_buffer *written,
                                   stele__words *words)
{
    const stele_decider *decider = &aggregate->decider;
    if (decider->state == NULL)
        return stele__words_of_bytes(head, decider->encode != NULL ? aggregate->codec : "raw",
                                     written->data, written->size, words);
    snprintf(words->head, sizeof(words->head), "%s", head);
    return stele_type_format(decider->state, state, &words->payload);
}

stele_status stele__compare_states(const stele_aggregate *aggregate, const void *expected,
                                   const void *found)
{
    stele_buffer one = STELE_BUFFER_INIT;
    stele_buffer other = STELE_BUFFER_INIT;
    stele__words expected_words = { 0 };
    stele__words found_words = { 0 };
    stele_status status = check_comparable(aggregate);
    if (status == STELE_OK)
        status = write_state(aggregate, expected, &one);
    if (status == STELE_OK)
        status = write_state(aggregate, found, &other);
    if (status != STELE_OK || same_written(&one, &other))
        goto cleanup;
    status = words_of_state(aggregate, "the state", expected, &one, &expected_words);
    if (status == STELE_OK)
        status = words_of_state(aggregate, "the state", found, &other, &found_words);
    if (status == STELE_OK)
        status = stele__fail_differing("", &expected_words, &found_words);
cleanup:
    stele__words_dispose(&expected_words);
    stele__words_dispose(&found_words);
    stele__buffer_dispose(&one);
    stele__buffer_dispose(&other);
    return status;
}
