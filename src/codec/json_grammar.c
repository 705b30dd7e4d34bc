/*
 * The grammar of JSON as five states and a stack, without recursion: one token a step.
 */
#include "codec/json_internal.h"

#include "base/failure.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    JSON_SHOWN_KEY_SIZE = 40 /* bytes of a key that an error text shows, at most */
};

/* Failing */

stele_status stele__json_fail(stele_json_reader *reader, stele_status status,
                              const unsigned char *at)
{
    reader->state = STELE__JSON_FAILED;
    reader->last_kind = 0;
    reader->failure = status;
    reader->failure_offset = (size_t)(at - reader->text);
    stele__fail(status, "%s", reader->failure_text);
    return status;
}

static stele_status refuse_json(stele_json_reader *reader, stele_status status, const char *what,
                                const unsigned char *at)
{
    snprintf(reader->failure_text, sizeof reader->failure_text, "%s at byte %zu", what,
             (size_t)(at - reader->text));
    return stele__json_fail(reader, status, at);
}

/* The byte at `at`, or the end of the text there, is not what the grammar asks for. */
static stele_status refuse_json_byte(stele_json_reader *reader, const unsigned char *at,
                                     const char *expected)
{
    char found[24] = "end of the text";
    if (at<reader->end && * at> 0x20 && *at < 0x7f)
        snprintf(found, sizeof found, "'%c'", *at);
    else if (at < reader->end)
        snprintf(found, sizeof found, "byte 0x%02x", (unsigned)*at);

    if (at == reader->text && reader->end - at >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0)
        return refuse_json(reader, STELE_INVALID, "byte order mark", at);
    snprintf(reader->failure_text, sizeof reader->failure_text,
             "unexpected %s at byte %zu, expected %s", found, (size_t)(at - reader->text),
             expected);
    return stele__json_fail(reader, STELE_INVALID, at);
}

/* Name the last key, which its object already has; `at` is its opening quote. */
static stele_status refuse_json_duplicate(stele_json_reader *reader, const unsigned char *at)
{
    size_t size;
    const unsigned char *bytes = stele__keys_last(&reader->keys, &size);

    size_t shown_size = size;
    if (shown_size > JSON_SHOWN_KEY_SIZE) {
        shown_size = JSON_SHOWN_KEY_SIZE;
        while ((bytes[shown_size] & 0xc0) == 0x80) /* not through a character */
            shown_size--;
    }
    snprintf(reader->failure_text, sizeof reader->failure_text,
             "duplicate key '%.*s'%s at byte %zu", (int)shown_size, (const char *)bytes,
             shown_size < size ? "..." : "", (size_t)(at - reader->text));
    return stele__json_fail(reader, STELE_INVALID, at);
}

/* Tokens */

static inline stele_status emit_json_token(stele_json_reader *reader, stele_json_token *token,
                                           stele_json_kind kind, const unsigned char *start,
                                           const unsigned char *end)
{
    reader->value = start;
    reader->at = end;
    reader->last_kind = (int)kind;
    token->kind = kind;
    token->depth = reader->depth;
    token->text = (const char *)start;
    token->size = (size_t)(end - start);
    token->offset = (size_t)(start - reader->text);
    token->escaped = false;
    return STELE_OK;
}

static inline const unsigned char *skip_json_blanks(const unsigned char *at,
                                                    const unsigned char *end)
{
    while (at < end && *at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

static inline const unsigned char *skip_json_digits(const unsigned char *at,
                                                    const unsigned char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

static stele_status read_json_number(stele_json_reader *reader, const unsigned char *start,
                                     stele_json_token *token)
{
    const unsigned char *end = reader->end;
    const unsigned char *at = start;
    if (*at == '-')
        at++;

    const unsigned char *digits = at;
    at = skip_json_digits(at, end);
    if (at == digits)
        return refuse_json_byte(reader, at, "a digit");
    if (*digits == '0' && at - digits > 1)
        return refuse_json(reader, STELE_INVALID, "number with a leading zero", digits);

    if (at < end && *at == '.') {
        digits = ++at;
        at = skip_json_digits(at, end);
        if (at == digits)
            return refuse_json_byte(reader, at, "a digit");
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        digits = at;
        at = skip_json_digits(at, end);
        if (at == digits)
            return refuse_json_byte(reader, at, "a digit");
    }
    reader->state = STELE__JSON_AFTER_VALUE;
    return emit_json_token(reader, token, STELE_JSON_NUMBER, start, at);
}

static stele_status read_json_word(stele_json_reader *reader, const unsigned char *start,
                                   const char *word, stele_json_kind kind, stele_json_token *token)
{
    const unsigned char *at = start;
    for (const char *letter = word; *letter != '\0'; letter++, at++) {
        if (at == reader->end || *at != (unsigned char)*letter)
            return refuse_json_byte(reader, at, word);
    }
    reader->state = STELE__JSON_AFTER_VALUE;
    return emit_json_token(reader, token, kind, start, at);
}

static stele_status refuse_json_string(stele_json_reader *reader, const stele__json_flaw *flaw)
{
    char control[48];
    const char *what = flaw->what;
    if (what == NULL) {
        snprintf(control, sizeof control, "control character 0x%02x in a string",
                 (unsigned)*flaw->at);
        what = control;
    }
    return refuse_json(reader, STELE_INVALID, what, flaw->at);
}

/* Emit what stands between two quotes. */
static inline stele_status emit_json_string(stele_json_reader *reader, stele_json_token *token,
                                            stele_json_kind kind, const unsigned char *open,
                                            const unsigned char *close, bool escaped)
{
    emit_json_token(reader, token, kind, open, close + 1);
    token->text++;
    token->size -= 2;
    token->escaped = escaped;
    return STELE_OK;
}

static stele_status read_json_string(stele_json_reader *reader, const unsigned char *open,
                                     stele_json_token *token)
{
    stele__json_flaw flaw;
    bool escaped = false;
    const unsigned char *close = stele__json_string_end(open + 1, reader->end, &escaped, &flaw);
    if (close == NULL)
        return refuse_json_string(reader, &flaw);
    reader->state = STELE__JSON_AFTER_VALUE;
    return emit_json_string(reader, token, STELE_JSON_STRING, open, close, escaped);
}

/* Compare a key with backslashes by its decoded form, which is shorter. */
static stele_status add_escaped_json_key(stele__keys *keys, stele__keys_object *object,
                                         const unsigned char *key, const unsigned char *end)
{
    unsigned char *room = stele__keys_room(keys, (size_t)(end - key));
    if (room == NULL)
        return STELE_NO_MEMORY;

    return stele__keys_add_decoded(keys, object, stele__json_decode(key, end, room));
}

static stele_status read_json_key(stele_json_reader *reader, const unsigned char *open,
                                  stele_json_token *token)
{
    if (open == reader->end || *open != '"')
        return refuse_json_byte(reader, open,
                                reader->state == STELE__JSON_IN_OBJECT ? "a key or '}'" : "a key");
    stele__json_flaw flaw;
    bool escaped = false;
    const unsigned char *close = stele__json_string_end(open + 1, reader->end, &escaped, &flaw);
    if (close == NULL)
        return refuse_json_string(reader, &flaw);

    stele__keys_object *object = &reader->frames[reader->depth - 1].object;
    stele_status status =
        escaped ? add_escaped_json_key(&reader->keys, object, open + 1, close)
                : stele__keys_add(&reader->keys, object, open + 1, (size_t)(close - open) - 1);
    if (status == STELE_INVALID)
        return refuse_json_duplicate(reader, open);
    if (status != STELE_OK)
        return refuse_json(reader, status, "no memory to tell keys apart", open);
    reader->state = STELE__JSON_AFTER_KEY;
    return emit_json_string(reader, token, STELE_JSON_KEY, open, close, escaped);
}

/* Objects and arrays */

static stele_status grow_json_frames(stele_json_reader *reader)
{
    stele__json_frame *memory = stele__grow_array(
        reader->frames, reader->first_frames, &reader->frame_capacity, sizeof(stele__json_frame));
    if (memory == NULL)
        return STELE_NO_MEMORY;
    reader->frames = memory;
    return STELE_OK;
}

static stele_status begin_json_container(stele_json_reader *reader, const unsigned char *at,
                                         stele_json_token *token)
{
    if (reader->depth == reader->depth_max) {
        snprintf(reader->failure_text, sizeof reader->failure_text,
                 "nested deeper than %u levels at byte %zu", (unsigned)reader->depth_max,
                 (size_t)(at - reader->text));
        return stele__json_fail(reader, STELE_TOO_LARGE, at);
    }
    if (reader->depth == reader->frame_capacity && grow_json_frames(reader) != STELE_OK)
        return refuse_json(reader, STELE_NO_MEMORY, "no memory to nest deeper", at);

    bool is_object = *at == '{';
    emit_json_token(reader, token, is_object ? STELE_JSON_OBJECT_BEGIN : STELE_JSON_ARRAY_BEGIN, at,
                    at + 1);
    stele__json_frame *frame = &reader->frames[reader->depth++];
    frame->is_object = is_object;
    if (is_object)
        stele__keys_enter(&reader->keys, &frame->object);
    reader->state = is_object ? STELE__JSON_IN_OBJECT : STELE__JSON_IN_ARRAY;
    return STELE_OK;
}

static stele_status end_json_container(stele_json_reader *reader, const unsigned char *at,
                                       stele_json_token *token)
{
    const stele__json_frame *frame = &reader->frames[--reader->depth];
    bool is_object = frame->is_object;
    if (is_object)
        stele__keys_leave(&reader->keys, &frame->object);
    reader->state = STELE__JSON_AFTER_VALUE;
    return emit_json_token(reader, token, is_object ? STELE_JSON_OBJECT_END : STELE_JSON_ARRAY_END,
                           at, at + 1);
}

/* The grammar */

static stele_status read_json_value(stele_json_reader *reader, const unsigned char *at,
                                    stele_json_token *token)
{
    /* No value starts with a NUL, so one can stand for the end of the text. */
    switch (at < reader->end ? *at : '\0') {
    case '{':
    case '[': return begin_json_container(reader, at, token);
    case '"': return read_json_string(reader, at, token);
    case 't': return read_json_word(reader, at, "true", STELE_JSON_TRUE, token);
    case 'f': return read_json_word(reader, at, "false", STELE_JSON_FALSE, token);
    case 'n': return read_json_word(reader, at, "null", STELE_JSON_NULL, token);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return read_json_number(reader, at, token);
    default:
        return refuse_json_byte(
            reader, at, reader->state == STELE__JSON_IN_ARRAY ? "a value or ']'" : "a value");
    }
}

/* After a value: a comma and what it announces, or the end of what encloses the value. */
static inline stele_status continue_json_container(stele_json_reader *reader,
                                                   const unsigned char *at, stele_json_token *token)
{
    bool in_object = reader->frames[reader->depth - 1].is_object;
    if (at < reader->end && *at == ',') {
        at = skip_json_blanks(at + 1, reader->end);
        return in_object ? read_json_key(reader, at, token) : read_json_value(reader, at, token);
    }
    if (at == reader->end || *at != (in_object ? '}' : ']'))
        return refuse_json_byte(reader, at, in_object ? "',' or '}'" : "',' or ']'");
    return end_json_container(reader, at, token);
}

static stele_status finish_json(stele_json_reader *reader, const unsigned char *at)
{
    if (at < reader->end)
        return refuse_json_byte(reader, at, "nothing after the value");
    reader->state = STELE__JSON_FINISHED;
    reader->last_kind = 0;
    reader->at = at;
    return STELE_DONE;
}

stele_status stele__json_read(stele_json_reader *reader, stele_json_token *token)
{
    const unsigned char *at = skip_json_blanks(reader->at, reader->end);

    switch (reader->state) {
    case STELE__JSON_BEFORE_VALUE: return read_json_value(reader, at, token);
    case STELE__JSON_AFTER_KEY:
        if (at == reader->end || *at != ':')
            return refuse_json_byte(reader, at, "':'");
        return read_json_value(reader, skip_json_blanks(at + 1, reader->end), token);
    case STELE__JSON_IN_OBJECT:
        if (at < reader->end && *at == '}')
            return end_json_container(reader, at, token);
        return read_json_key(reader, at, token);
    case STELE__JSON_IN_ARRAY:
        if (at < reader->end && *at == ']')
            return end_json_container(reader, at, token);
        return read_json_value(reader, at, token);
    case STELE__JSON_AFTER_VALUE:
        if (reader->depth > 0)
            return continue_json_container(reader, at, token);
        return finish_json(reader, at);
    case STELE__JSON_FINISHED: return STELE_DONE;
    case STELE__JSON_FAILED: return stele__fail(reader->failure, "%s", reader->failure_text);
    }
    assert(false);
    return STELE_MISUSE;
}

stele_status stele__json_drain(stele_json_reader *reader)
{
    stele_json_token token;
    stele_status status;
    do {
        status = stele__json_read(reader, &token);
    } while (status == STELE_OK);
    return status == STELE_DONE ? STELE_OK : status;
}
