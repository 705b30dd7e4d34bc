/* Whose slot it is; and the record of identities that were refused. */
#include <stdio.h>
#include <string.h>

#include <stele/eventstore.h>

#include "base/failure.h"
#include "base/options.h"
#include "session/session.h"
#include "state/own.h"

#define SESSION_SCOPE "$session/"

enum { IDENTITY_PARTS = 4 };

/* A part of an identity, and what is wrong with it. */
typedef struct identity_part {
    const char *name;
    const char *value;
    bool missing;
    bool invalid; /* it isn't a name */
} identity_part;

/* True when the identity has to be refused. */
static bool look_at_parts(const stele_identity *identity, identity_part parts[IDENTITY_PARTS])
{
    const identity_part given[IDENTITY_PARTS] = {
        { "tenant", identity->tenant, false, false },
        { "user", identity->user, false, false },
        { "session", identity->session, false, false },
        { "run", identity->run, false, false },
    };
    bool refused = false;
    memcpy(parts, given, sizeof(given));
    for (size_t i = 0; i < IDENTITY_PARTS; i++) {
        bool empty = parts[i].value == NULL || parts[i].value[0] == '\0';
        bool optional = i == IDENTITY_PARTS - 1;
        parts[i].missing = empty && !optional;
        parts[i].invalid = !empty && stele__check_name(parts[i].name, parts[i].value) != STELE_OK;
        if (empty)
            parts[i].value = NULL;
        refused |= parts[i].missing || parts[i].invalid;
    }
    return refused;
}

/* --- The record --- */

static stele_status add_audit_member(stele__buffer *buffer, const char *name, const char *value)
{
    stele_status status = stele__session_quote(buffer, ",", name);
    return status == STELE_OK ? stele__session_quote(buffer, ":", value) : status;
}

/* `,"missing":["user"]`; the parts that aren't names instead of those that are missing. */
static stele_status add_refused_parts(stele__buffer *buffer, const char *name,
                                      const identity_part *parts, bool invalid)
{
    const char *between = "";
    stele_status status = stele__session_quote(buffer, ",", name);
    if (status == STELE_OK)
        status = stele__buffer_add_text(buffer, ":[");
    for (size_t i = 0; i < IDENTITY_PARTS && status == STELE_OK; i++) {
        if (!(invalid ? parts[i].invalid : parts[i].missing))
            continue;
        status = stele__session_quote(buffer, between, parts[i].name);
        between = ",";
    }
    return status == STELE_OK ? stele__buffer_add_text(buffer, "]") : status;
}

static stele_status describe_refusal(stele__buffer *buffer, const char *operation,
                                     const identity_part *parts)
{
    bool any_invalid = false;
    stele_status status = stele__session_quote(buffer, "{\"operation\":", operation);
    if (status == STELE_OK)
        status = add_refused_parts(buffer, "missing", parts, false);
    for (size_t i = 0; i < IDENTITY_PARTS; i++)
        any_invalid |= parts[i].invalid;
    if (status == STELE_OK && any_invalid)
        status = add_refused_parts(buffer, "invalid", parts, true);
    for (size_t i = 0; i < IDENTITY_PARTS && status == STELE_OK; i++)
        if (parts[i].value != NULL && !parts[i].invalid)
            status = add_audit_member(buffer, parts[i].name, parts[i].value);
    return status == STELE_OK ? stele__buffer_add_text(buffer, "}") : status;
}

static stele_status record_refusal(stele_session_memory *memory, const char *operation,
                                   const identity_part *parts)
{
    stele__buffer data = { 0 };
    stele_status status = describe_refusal(&data, operation, parts);
    if (status == STELE_OK) {
        stele_event event = { .type = STELE_SESSION_REFUSED_TYPE,
                              .data = data.data,
                              .data_size = data.size };
        stele_append append = STELE_APPEND_INIT;
        append.stream = memory->audit_stream;
        append.events = &event;
        append.event_count = 1;
        status = stele_store_append(memory->store, &append, NULL);
    }
    stele__buffer_dispose(&data);
    return status;
}

/* --- The refusal --- */

static void list_refused_parts(char *text, size_t capacity, const char *before,
                               const identity_part *parts, bool invalid)
{
    for (size_t i = 0; i < IDENTITY_PARTS; i++) {
        if (!(invalid ? parts[i].invalid : parts[i].missing))
            continue;
        size_t size = strlen(text);
        snprintf(text + size, capacity - size, "%s %s", before, parts[i].name);
        before = ",";
    }
}

static stele_status refuse_identity(stele_session_memory *memory, const char *operation,
                                    const identity_part *parts)
{
    char what[128] = "";
    list_refused_parts(what, sizeof(what), " without", parts, false);
    list_refused_parts(what, sizeof(what), " with what is not a name as", parts, true);
    stele_status status = record_refusal(memory, operation, parts);
    if (status != STELE_OK)
        return stele__fail(
            STELE_MISUSE, "%s: an identity%s; it could not be recorded in '%s', %s: %s", operation,
            what, memory->audit_stream, stele_status_name(status), stele_error_text());
    return stele__fail(STELE_MISUSE, "%s: an identity%s; recorded in '%s'", operation, what,
                       memory->audit_stream);
}

stele_status stele__session_enter(stele_session_memory *memory, const char *operation,
                                  const stele_identity *identity,
                                  char scope_out[STELE_SCOPE_SIZE_MAX + 1])
{
    identity_part parts[IDENTITY_PARTS];
    stele_identity taken = STELE_IDENTITY_INIT;
    char scope[STELE_SCOPE_SIZE_MAX + 1];
    if (memory == NULL)
        return stele__fail(STELE_MISUSE, "the memory is NULL");
    stele_status status = stele__store_check(memory->store);
    if (status == STELE_OK)
        status = stele__options_take("stele_identity", identity, &taken, sizeof(taken));
    if (status != STELE_OK)
        return status;
    if (look_at_parts(&taken, parts))
        return refuse_identity(memory, operation, parts);
    status = stele_identity_scope(&taken, scope, sizeof(scope));
    if (status == STELE_OK)
        snprintf(scope_out, STELE_SCOPE_SIZE_MAX + 1, SESSION_SCOPE "%s",
                 scope + strlen(STELE__IDENTITY_SCOPE));
    return status;
}
