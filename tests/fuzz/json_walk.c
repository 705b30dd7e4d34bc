/* What must hold of every token, string, integer and skipped value. */
#include "json_walk.h"

#include <inttypes.h>
#include <stdbool.h>

#include "fuzz.h"
#include "json_choices.h"

static void check_requoted(stele_json_reader *reader, const char *decoded, size_t size)
{
    size_t room = stele_json_quote(decoded, size, NULL, 0);
    require(room >= size + 2);
    char *quoted = take_memory(room + 1);
    require(stele_json_quote(decoded, size, quoted, room) == room && quoted[0] == '\0');
    require(stele_json_quote(decoded, size, quoted, room + 1) == room && quoted[room] == '\0');

    stele_json_token token;
    require(stele_json_reset(reader, quoted, room) == STELE_OK);
    require(stele_json_next(reader, &token) == STELE_OK && token.kind == STELE_JSON_STRING);
    require(stele_json_equals(&token, decoded));
    require(stele_json_next(reader, &token) == STELE_DONE);
    free(quoted);
}

static void check_string(stele_json_reader *other, const stele_json_token *token)
{
    size_t size = 0;
    char *decoded = take_memory(token->size + 1);
    require(stele_json_text(token, decoded, token->size + 1, &size) == STELE_OK);
    require(size <= token->size);
    free(decoded);
    decoded = take_memory(size + 1);
    require(stele_json_text(token, decoded, size + 1, &size) == STELE_OK);
    if (is_sample(token->offset)) {
        char small[1] = "x";
        size_t wanted = 0;
        require(stele_json_text(token, small, size > 0, &wanted) == STELE_TOO_LARGE);
        require(wanted == size && small[0] == (size > 0 ? '\0' : 'x'));
    }

    require(decoded[size] == '\0' && strlen(decoded) == size);
    require(token->escaped == (memchr(token->text, '\\', token->size) != NULL));
    require(token->escaped || memcmp(decoded, token->text, size) == 0);
    require(token->escaped == (size != token->size));
    require(stele_json_equals(token, decoded));
    if (size > 0) {
        decoded[size - 1] ^= 1;
        require(!stele_json_equals(token, decoded));
        decoded[size - 1] ^= 1;
    }
    check_requoted(other, decoded, size);
    free(decoded);
}

/* An integer that was read prints as it was written. */
static void check_integer(const stele_json_token *token)
{
    int64_t value = 0;
    char printed[24];
    stele_status status = stele_json_int64(token, &value);
    if (status == STELE_OK) {
        int size = snprintf(printed, sizeof(printed), "%" PRId64, value);
        bool is_minus_zero = value == 0 && token->size == 2;
        bool same = token->size == (size_t)size && memcmp(token->text, printed, (size_t)size) == 0;
        require(token->escaped || is_minus_zero || same);
        require(token->kind == STELE_JSON_STRING || value < (INT64_C(1) << 53));
        require(token->kind == STELE_JSON_STRING || value > -(INT64_C(1) << 53));
    } else {
        require(status == STELE_INVALID
                || (status == STELE_PRECISION && token->kind == STELE_JSON_NUMBER));
    }
}

static void check_token(stele_json_reader *other, const json_input *input,
                        const stele_json_token *token)
{
    bool quoted = token->kind == STELE_JSON_KEY || token->kind == STELE_JSON_STRING;
    require(token->text == input->text + token->offset + quoted);
    require(token->offset + token->size + 2 * (size_t)quoted <= input->size);
    if (quoted) {
        require(token->text[-1] == '"' && token->text[token->size] == '"');
        check_string(other, token);
    } else {
        require(token->size > 0 && !token->escaped);
    }
    if (token->kind == STELE_JSON_STRING || token->kind == STELE_JSON_NUMBER)
        check_integer(token);
}

/* How deep it is after this token; `objects` says what encloses it. */
static uint32_t follow_brackets(const stele_json_token *token, uint32_t depth,
                                bool objects[DEEPEST_CHOICE])
{
    bool begins_object = token->kind == STELE_JSON_OBJECT_BEGIN;
    bool ends_object = token->kind == STELE_JSON_OBJECT_END;
    if (begins_object || token->kind == STELE_JSON_ARRAY_BEGIN) {
        require(token->depth == depth && depth < DEEPEST_CHOICE);
        objects[depth] = begins_object;
        return depth + 1;
    }
    if (ends_object || token->kind == STELE_JSON_ARRAY_END) {
        require(depth > 0 && token->depth == depth - 1 && objects[depth - 1] == ends_object);
        return depth - 1;
    }
    require(token->depth == depth);
    require(token->kind != STELE_JSON_KEY || (depth > 0 && objects[depth - 1]));
    return depth;
}

stele_status walk_json(stele_json_reader *reader, const json_input *input)
{
    bool objects[DEEPEST_CHOICE];
    stele_json_reader *other = NULL;
    require(stele_json_open("", 0, NULL, &other) == STELE_OK);
    uint32_t depth = 0;
    size_t reached = 0;
    bool after_key = false;
    stele_json_token token;
    stele_status status;
    while ((status = stele_json_next(reader, &token)) == STELE_OK) {
        require(token.offset >= reached);
        check_token(other, input, &token);
        depth = follow_brackets(&token, depth, objects);
        require(depth <= input->options.depth_max);
        bool in_object = token.depth > 0 && objects[token.depth - 1];
        bool ends = token.kind == STELE_JSON_OBJECT_END || token.kind == STELE_JSON_ARRAY_END;
        require(ends || !in_object || after_key == (token.kind != STELE_JSON_KEY));
        after_key = token.kind == STELE_JSON_KEY;
        reached = token.offset + token.size;
    }
    stele_json_close(other);

    require(stele_json_next(reader, &token) == status);
    require(stele_json_skip(reader, NULL, NULL) != STELE_OK);
    require(status != STELE_DONE || (depth == 0 && stele_json_error_offset(reader) == 0));
    require(stele_json_error_offset(reader) <= input->size);
    return status == STELE_DONE ? STELE_OK : status;
}

void skip_json(stele_json_reader *reader, const json_input *input, uint32_t level)
{
    stele_json_token token;
    stele_status status;
    size_t reached = 0;
    require(stele_json_reset(reader, input->text, input->size) == STELE_OK);
    while ((status = stele_json_next(reader, &token)) == STELE_OK) {
        require(token.offset >= reached);
        reached = token.offset + 1;
        bool ends = token.kind == STELE_JSON_OBJECT_END || token.kind == STELE_JSON_ARRAY_END;
        /* Of the members, every other one after its key, and the rest at their value. */
        bool wanted = token.kind != STELE_JSON_KEY || token.offset % 2 == 0;
        if (token.depth != level || ends || !wanted)
            continue;

        const char *value = NULL;
        size_t size = 0;
        require(stele_json_skip(reader, &value, &size) == STELE_OK);
        require(value >= input->text + token.offset && size > 0);
        require(value + size <= input->text + input->size);
        require(token.kind == STELE_JSON_KEY || value == input->text + token.offset);
        require(stele_json_check(value, size, &input->options) == STELE_OK);
        require(strchr(" \t\r\n", value[0]) == NULL && strchr(" \t\r\n", value[size - 1]) == NULL);
        if (is_sample(token.offset))
            require(stele_json_skip(reader, NULL, NULL) == STELE_MISUSE);
        reached = (size_t)(value - input->text) + size;
    }
    require(status == STELE_DONE);
}
