/* A slot as text: the JSON that it is stored as, read strictly and written. */
#include <string.h>

#include <stele/json.h>

#include "base/failure.h"
#include "session/session.h"

/* The largest entry that a store may be told to allow. */
#define SLOT_TEXT_MAX (64 * 1024 * 1024)

typedef struct slot_reading {
    stele_json_reader *reader;
    stele__session_slot *slot;
    const char *strategy; /* that was read; NULL: none yet */
    bool has_turns;
} slot_reading;

/* --- Reading --- */

static stele_status refuse_slot_token(const stele_json_token *token, const char *expected)
{
    return stele__fail(STELE_INVALID, "the slot has something else than %s at byte %zu", expected,
                       token->offset);
}

static stele_status next_slot_token(slot_reading *reading, stele_json_token *token)
{
    stele_status status = stele_json_next(reading->reader, token);
    /* Inside a value it ends only by refusing. */
    return status == STELE_DONE ? stele__fail(STELE_INVALID, "the slot ends too early") : status;
}

static stele_status expect_slot_token(slot_reading *reading, stele_json_kind kind,
                                      const char *expected)
{
    stele_json_token token;
    stele_status status = next_slot_token(reading, &token);
    return status == STELE_OK && token.kind != kind ? refuse_slot_token(&token, expected) : status;
}

/* Into the texts of the slot, which have room for all that the JSON can hold. */
static stele_status read_slot_text(slot_reading *reading, const char *expected,
                                   const char **text_out, size_t *size_out)
{
    stele__buffer *texts = &reading->slot->texts;
    stele_json_token token;
    stele_status status = next_slot_token(reading, &token);
    if (status == STELE_OK && token.kind != STELE_JSON_STRING)
        status = refuse_slot_token(&token, expected);
    if (status != STELE_OK)
        return status;
    char *text = texts->data + texts->size;
    status = stele_json_text(&token, text, texts->capacity - texts->size, size_out);
    if (status != STELE_OK)
        return status;
    texts->size += *size_out + 1;
    *text_out = text;
    return STELE_OK;
}

static stele_status refuse_slot_member(const stele_json_token *token)
{
    size_t shown = stele__utf8_cut(token->text, token->size, 60);
    return stele__fail(STELE_INVALID, "the slot has a member '%.*s' that isn't known, at byte %zu",
                       (int)shown, token->text, token->offset);
}

static stele_status keep_slot_turn(slot_reading *reading, const stele_turn *turn, size_t size)
{
    stele__session_slot *slot = reading->slot;
    size_t index = slot->turns.size / sizeof(*turn);
    if (turn->role == NULL || turn->text == NULL)
        return stele__fail(STELE_INVALID, "turn %zu of the slot has no %s", index,
                           turn->role == NULL ? "role" : "text");
    if (stele__check_name("role", turn->role) != STELE_OK)
        return stele__fail_within(STELE_INVALID, "turn %zu of the slot", index);
    slot->size += size;
    return stele__buffer_add(&slot->turns, turn, sizeof(*turn));
}

/* Its brace was read. The reader lets no member come twice. */
static stele_status read_slot_turn(slot_reading *reading)
{
    stele_turn turn = { NULL, NULL };
    size_t size = 0, total = 0;
    stele_json_token token;
    stele_status status;
    while ((status = next_slot_token(reading, &token)) == STELE_OK
           && token.kind != STELE_JSON_OBJECT_END) {
        if (stele_json_equals(&token, "role"))
            status = read_slot_text(reading, "a string as role", &turn.role, &size);
        else if (stele_json_equals(&token, "text"))
            status = read_slot_text(reading, "a string as text", &turn.text, &size);
        else
            status = refuse_slot_member(&token);
        if (status != STELE_OK)
            return status;
        total += size;
    }
    return status == STELE_OK ? keep_slot_turn(reading, &turn, total) : status;
}

static stele_status read_slot_turns(slot_reading *reading)
{
    stele_json_token token;
    stele_status status = expect_slot_token(reading, STELE_JSON_ARRAY_BEGIN, "an array of turns");
    while (status == STELE_OK && (status = next_slot_token(reading, &token)) == STELE_OK
           && token.kind != STELE_JSON_ARRAY_END)
        status = token.kind == STELE_JSON_OBJECT_BEGIN ? read_slot_turn(reading)
                                                       : refuse_slot_token(&token, "a turn");
    reading->has_turns = true;
    return status;
}

static stele_status read_slot_members(slot_reading *reading)
{
    size_t size = 0;
    stele_json_token token;
    stele_status status = expect_slot_token(reading, STELE_JSON_OBJECT_BEGIN, "an object");
    while (status == STELE_OK && (status = next_slot_token(reading, &token)) == STELE_OK
           && token.kind != STELE_JSON_OBJECT_END) {
        if (stele_json_equals(&token, "strategy"))
            status = read_slot_text(reading, "a string as strategy", &reading->strategy, &size);
        else if (stele_json_equals(&token, "turns"))
            status = read_slot_turns(reading);
        else
            status = refuse_slot_member(&token);
    }
    if (status == STELE_OK)
        status = stele_json_next(reading->reader, &token);
    if (status != STELE_DONE)
        return status;
    if (reading->strategy == NULL || !reading->has_turns)
        return stele__fail(STELE_INVALID, "the slot has no %s",
                           reading->strategy == NULL ? "strategy" : "turns");
    return STELE_OK;
}

static stele_status judge_slot(const stele_session_memory *memory, const slot_reading *reading)
{
    size_t count = reading->slot->turns.size / sizeof(stele_turn);
    if (strcmp(reading->strategy, memory->strategy) != 0)
        return stele__fail(STELE_INVALID, "the slot is of the strategy '%s', the memory of '%s'",
                           reading->strategy, memory->strategy);
    if (!memory->keeps && count > 0)
        return stele__fail(STELE_INVALID, "the slot has %zu turns under '%s'", count,
                           memory->strategy);
    return STELE_OK;
}

stele_status stele__session_parse(const stele_session_memory *memory, const void *data, size_t size,
                                  stele__session_slot *slot_out)
{
    slot_reading reading = { .slot = slot_out };
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    options.size_max = SLOT_TEXT_MAX;
    *slot_out = (stele__session_slot){ 0 };
    stele_status status = stele_json_open(data, size, &options, &reading.reader);
    if (status == STELE_OK)
        status = stele__buffer_reserve(&slot_out->texts, size);
    if (status == STELE_OK)
        status = read_slot_members(&reading);
    if (status == STELE_OK)
        status = judge_slot(memory, &reading);
    stele_json_close(reading.reader);
    if (status != STELE_OK)
        stele__session_dispose(slot_out);
    return status;
}

void stele__session_dispose(stele__session_slot *slot)
{
    stele__buffer_dispose(&slot->texts);
    stele__buffer_dispose(&slot->turns);
    slot->size = 0;
}

/* --- Writing --- */

stele_status stele__session_quote(stele__buffer *buffer, const char *before, const char *text)
{
    size_t length = strlen(text);
    size_t size = stele_json_quote(text, length, NULL, 0);
    stele_status status = stele__buffer_add_text(buffer, before);
    if (status == STELE_OK)
        status = stele__buffer_reserve(buffer, size + 1);
    if (status == STELE_OK)
        buffer->size += stele_json_quote(text, length, buffer->data + buffer->size, size + 1);
    return status;
}

stele_status stele__session_write(const stele_session_memory *memory, const stele_turn *turns,
                                  size_t count, stele__buffer *buffer)
{
    stele_status status = stele__session_quote(buffer, "{\"strategy\":", memory->strategy);
    if (status == STELE_OK)
        status = stele__buffer_add_text(buffer, ",\"turns\":[");
    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        status = stele__session_quote(buffer, i == 0 ? "{\"role\":" : ",{\"role\":", turns[i].role);
        if (status == STELE_OK)
            status = stele__session_quote(buffer, ",\"text\":", turns[i].text);
        if (status == STELE_OK)
            status = stele__buffer_add_text(buffer, "}");
    }
    return status == STELE_OK ? stele__buffer_add_text(buffer, "]}") : status;
}
