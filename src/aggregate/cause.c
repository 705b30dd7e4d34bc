/* Where a command came from, in the metadata of what it emitted: what is there already stays. */
#include <string.h>

#include <stele/json.h>

#include "aggregate/aggregate.h"
#include "base/bytes.h"
#include "base/failure.h"
#include "base/options.h"

#define CAUSE_ATTRIBUTE_MAX 100

void stele_cause_init(stele_cause *cause)
{
    *cause = (stele_cause)STELE_CAUSE_INIT;
}

static void read_cause_attribute(const stele_cause *cause, size_t index, stele_attribute *out)
{
    memcpy(out, (const char *)cause->attributes + index * cause->attribute_size, sizeof(*out));
}

static stele_status check_cause_text(const char *what, const char *text)
{
    if (text == NULL || stele__utf8_valid(text, strlen(text)))
        return STELE_OK;
    return stele__fail(STELE_MISUSE, "the %s of the cause is not UTF-8", what);
}

static stele_status check_cause_attributes(const stele_cause *cause)
{
    if (cause->attribute_count > CAUSE_ATTRIBUTE_MAX)
        return stele__fail(STELE_TOO_LARGE, "the cause has %zu attributes, beyond %d",
                           cause->attribute_count, CAUSE_ATTRIBUTE_MAX);
    if (cause->attribute_count > 0 && cause->attributes == NULL)
        return stele__fail(STELE_MISUSE, "attributes is NULL, attribute_count is %zu",
                           cause->attribute_count);
    if (cause->attribute_count > 0 && cause->attribute_size < sizeof(stele_attribute))
        return stele__fail(STELE_MISUSE, "attribute_size is %zu, too small", cause->attribute_size);
    stele_status status = STELE_OK;
    for (size_t i = 0; i < cause->attribute_count && status == STELE_OK; i++) {
        stele_attribute one;
        read_cause_attribute(cause, i, &one);
        status = stele__check_name("attribute", one.name);
        if (status == STELE_OK)
            status = check_cause_text("attribute", one.value);
        for (size_t j = 0; j < i && status == STELE_OK; j++) {
            stele_attribute other;
            read_cause_attribute(cause, j, &other);
            if (strcmp(one.name, other.name) == 0)
                status =
                    stele__fail(STELE_MISUSE, "the cause has the attribute '%s' twice", one.name);
        }
    }
    return status;
}

stele_status stele__cause_take(const stele_cause *given, stele_cause *taken)
{
    *taken = (stele_cause)STELE_CAUSE_INIT;
    stele_status status = stele__options_take("stele_cause", given, taken, sizeof(*taken));
    if (status == STELE_OK)
        status = check_cause_text("correlation", taken->correlation);
    if (status == STELE_OK)
        status = check_cause_text("causation", taken->causation);
    return status == STELE_OK ? check_cause_attributes(taken) : status;
}

/* --- The object that is there --- */

/* What of the cause is said already, by members of these names. */
typedef struct cause_said {
    bool correlation;
    bool causation;
    bool attributes[CAUSE_ATTRIBUTE_MAX];
    size_t members;
} cause_said;

static void note_member(const stele_cause *cause, const stele_json_token *key, cause_said *said)
{
    said->members++;
    said->correlation |= stele_json_equals(key, "correlation_id");
    said->causation |= stele_json_equals(key, "causation_id");
    for (size_t i = 0; i < cause->attribute_count; i++) {
        stele_attribute one;
        read_cause_attribute(cause, i, &one);
        said->attributes[i] |= stele_json_equals(key, one.name);
    }
}

static stele_status read_members(const stele_cause *cause, const void *metadata, size_t size,
                                 cause_said *said)
{
    stele_json_reader *reader = NULL;
    stele_json_token token;
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    options.size_max = UINT32_MAX;
    stele_status status = stele_json_open(metadata, size, &options, &reader);
    if (status == STELE_OK)
        status = stele_json_next(reader, &token);
    if (status == STELE_OK && token.kind != STELE_JSON_OBJECT_BEGIN)
        status = stele__fail(STELE_INVALID, "it is no object, so a cause can't be stamped into it");
    while (status == STELE_OK && (status = stele_json_next(reader, &token)) == STELE_OK) {
        if (token.kind != STELE_JSON_KEY)
            continue;
        note_member(cause, &token, said);
        status = stele_json_skip(reader, NULL, NULL);
    }
    stele_json_close(reader);
    return status == STELE_DONE ? STELE_OK : status;
}

/* --- What is added --- */

static stele_status add_quoted_text(stele_buffer *buffer, const char *text)
{
    size_t size = strlen(text);
    size_t room = size * 6 + 3;
    stele_status status = stele__buffer_reserve(buffer, room);
    if (status == STELE_OK)
        buffer->size += stele_json_quote(text, size, buffer->data + buffer->size, room);
    return status;
}

static stele_status add_member(stele_buffer *buffer, bool *comma, const char *name,
                               const char *value)
{
    stele_status status = *comma ? stele__buffer_add_text(buffer, ",") : STELE_OK;
    *comma = true;
    if (status == STELE_OK)
        status = add_quoted_text(buffer, name);
    if (status == STELE_OK)
        status = stele__buffer_add_text(buffer, ":");
    return status == STELE_OK ? add_quoted_text(buffer, value) : status;
}

static stele_status add_cause(const stele_cause *cause, const cause_said *said,
                              stele_buffer *buffer)
{
    bool comma = said->members > 0;
    stele_status status = STELE_OK;
    if (cause->correlation != NULL && !said->correlation)
        status = add_member(buffer, &comma, "correlation_id", cause->correlation);
    if (status == STELE_OK && cause->causation != NULL && !said->causation)
        status = add_member(buffer, &comma, "causation_id", cause->causation);
    for (size_t i = 0; i < cause->attribute_count && status == STELE_OK; i++) {
        stele_attribute one;
        read_cause_attribute(cause, i, &one);
        bool stamped = (cause->correlation != NULL && strcmp(one.name, "correlation_id") == 0)
                       || (cause->causation != NULL && strcmp(one.name, "causation_id") == 0);
        if (!said->attributes[i] && !stamped)
            status = add_member(buffer, &comma, one.name, one.value == NULL ? "" : one.value);
    }
    return status == STELE_OK ? stele__buffer_add_text(buffer, "}") : status;
}

/* Where the object's closing bracket is: only blanks follow it. */
static size_t find_end(const char *text, size_t size)
{
    while (size > 0 && text[size - 1] != '}')
        size--;
    return size - 1;
}

stele_status stele__cause_stamp(const stele_cause *cause, const void *metadata, size_t size,
                                stele_buffer *buffer)
{
    cause_said said = { 0 };
    bool silent =
        cause->correlation == NULL && cause->causation == NULL && cause->attribute_count == 0;
    if (silent)
        return stele__buffer_add(buffer, metadata, size);
    if (size == 0) {
        stele_status status = stele__buffer_add_text(buffer, "{");
        return status == STELE_OK ? add_cause(cause, &said, buffer) : status;
    }
    stele_status status = read_members(cause, metadata, size, &said);
    if (status != STELE_OK)
        return stele__fail_within(status, "metadata");
    status = stele__buffer_add(buffer, metadata, find_end(metadata, size));
    return status == STELE_OK ? add_cause(cause, &said, buffer) : status;
}
