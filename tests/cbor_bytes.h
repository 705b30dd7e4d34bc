/**
 * @file tests/cbor_bytes.h
 * Payloads in hexadecimal, payloads in the making, and what a reader says of one, as a line of
 * text.
 */
#ifndef STELE_TESTS_CBOR_BYTES_H
#define STELE_TESTS_CBOR_BYTES_H

#include <stele/buffer.h>
#include <stele/cbor.h>

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline int value_of_digit(char digit)
{
    const char *digits = "0123456789abcdef";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);
    if (found == NULL)
        ck_abort_msg("'%c' in hexadecimal", digit);
    return (int)(found - digits);
}

/* --- Payloads in the making: all are disposed of with stele_buffer_dispose() --- */

static inline void put_raw(stele_buffer *draft, const void *data, size_t size)
{
    if (stele_buffer_add(draft, data, size) != STELE_OK) /* an assertion each would take longer */
        ck_abort_msg("no memory for %zu bytes", size);
}

static inline void put_byte(stele_buffer *draft, unsigned byte)
{
    unsigned char raw = (unsigned char)byte;
    put_raw(draft, &raw, 1);
}

/* Blanks between bytes are for the eye. */
static inline void put_hex(stele_buffer *draft, const char *hex)
{
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ')
            continue;
        put_byte(draft, (unsigned)(value_of_digit(hex[0]) << 4 | value_of_digit(hex[1])));
        hex++;
    }
}

/* A head with its argument in 1 << (info - 24) bytes; in the first byte when info is 0. */
static inline void put_wide_head(stele_buffer *draft, unsigned major, unsigned info,
                                 uint64_t argument)
{
    put_byte(draft, major << 5 | (info == 0 ? (unsigned)argument : info));
    for (int bits = info == 0 ? 0 : 8 << (info - 24); bits > 0; bits -= 8)
        put_byte(draft, (unsigned)(argument >> (bits - 8)) & 0xff);
}

static inline unsigned shortest_info(uint64_t argument)
{
    return argument < 24            ? 0
           : argument <= UINT8_MAX  ? 24
           : argument <= UINT16_MAX ? 25
           : argument <= UINT32_MAX ? 26
                                    : 27;
}

static inline void put_head(stele_buffer *draft, unsigned major, uint64_t argument)
{
    put_wide_head(draft, major, shortest_info(argument), argument);
}

static inline void put_string(stele_buffer *draft, unsigned major, const void *data, size_t size)
{
    put_head(draft, major, size);
    put_raw(draft, data, size);
}

static inline void put_words(stele_buffer *draft, const char *text)
{
    put_string(draft, 3, text, strlen(text));
}

/* --- What a payload says --- */

__attribute__((format(printf, 2, 3))) static inline void say(stele_buffer *line, const char *format,
                                                             ...)
{
    char piece[128];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(piece, sizeof(piece), format, arguments);
    va_end(arguments);
    ck_assert_int_ge(size, 0);
    put_raw(line, piece, (size_t)size < sizeof(piece) ? (size_t)size : sizeof(piece) - 1);
}

static inline void say_string(stele_buffer *line, const stele_cbor_token *token)
{
    char *content = malloc(token->size + 1);
    size_t size = 0;
    ck_assert_ptr_nonnull(content);
    ck_assert_int_eq(stele_cbor_text(token, content, token->size + 1, &size), STELE_OK);
    if (token->indefinite)
        say(line, "_ ");
    if (token->kind == STELE_CBOR_TEXT) {
        ck_assert(strlen(content) < size || stele_cbor_equals(token, content));
        say(line, "\"");
        put_raw(line, content, size);
        say(line, "\"");
    } else {
        say(line, "h'");
        for (size_t i = 0; i < size; i++)
            say(line, "%02x", (unsigned)(unsigned char)content[i]);
        say(line, "'");
    }
    free(content);
}

static inline void say_leaf(stele_buffer *line, const stele_cbor_token *token)
{
    switch (token->kind) {
    case STELE_CBOR_POSITIVE: say(line, "%" PRIu64, token->number); break;
    case STELE_CBOR_NEGATIVE:
        if (token->number == UINT64_MAX)
            say(line, "-18446744073709551616");
        else
            say(line, "-%" PRIu64, token->number + 1);
        break;
    case STELE_CBOR_BYTES:
    case STELE_CBOR_TEXT: say_string(line, token); break;
    case STELE_CBOR_FALSE: say(line, "false"); break;
    case STELE_CBOR_TRUE: say(line, "true"); break;
    case STELE_CBOR_NULL: say(line, "null"); break;
    case STELE_CBOR_UNDEFINED: say(line, "undefined"); break;
    case STELE_CBOR_SIMPLE: say(line, "simple(%" PRIu64 ")", token->number); break;
    case STELE_CBOR_REAL:
        if (isnan(token->real))
            say(line, "NaN");
        else
            say(line, "%.17g%s", token->real,
                isfinite(token->real) && floor(token->real) == token->real ? "." : "");
        break;
    default: ck_abort_msg("kind %d", (int)token->kind);
    }
}

/* Check that a token is where it says, inside what is open, and take its place there. */
typedef struct open_item {
    stele_cbor_kind kind;
    uint64_t items;
    uint64_t announced;
    bool indefinite;
} open_item;

typedef struct cbor_walk {
    open_item open[80];
    uint32_t depth;
    size_t offset;
} cbor_walk;

static inline bool is_end(stele_cbor_kind kind)
{
    return kind == STELE_CBOR_ARRAY_END || kind == STELE_CBOR_MAP_END;
}

static inline void say_separator(stele_buffer *line, const cbor_walk *walk,
                                 const stele_cbor_token *token)
{
    const open_item *around = walk->depth == 0 ? NULL : &walk->open[walk->depth - 1];
    if (around == NULL || around->kind == STELE_CBOR_TAG || around->items == 0)
        return;
    bool is_value = around->kind == STELE_CBOR_MAP_BEGIN && !token->is_key;
    say(line, is_value ? ": " : ", ");
}

static inline void leave_tags(cbor_walk *walk, stele_buffer *line)
{
    while (walk->depth > 0 && walk->open[walk->depth - 1].kind == STELE_CBOR_TAG) {
        walk->depth--;
        say(line, ")");
    }
}

static inline void step(cbor_walk *walk, const stele_cbor_token *token, stele_buffer *line)
{
    ck_assert_uint_ge(token->offset, walk->offset);
    walk->offset = token->offset;
    if (is_end(token->kind)) {
        const open_item *ended = &walk->open[--walk->depth];
        ck_assert_uint_eq(token->depth, walk->depth);
        ck_assert_int_eq((int)token->kind, (int)ended->kind + 1);
        ck_assert(ended->indefinite || ended->items == ended->announced);
        say(line, token->kind == STELE_CBOR_ARRAY_END ? "]" : "}");
        leave_tags(walk, line);
        return;
    }
    ck_assert_uint_eq(token->depth, walk->depth);
    open_item *around = walk->depth == 0 ? NULL : &walk->open[walk->depth - 1];
    ck_assert_int_eq(token->is_key, around != NULL && around->kind == STELE_CBOR_MAP_BEGIN
                                        && around->items % 2 == 0);
    say_separator(line, walk, token);
    if (around != NULL)
        around->items++;
    if (token->kind != STELE_CBOR_ARRAY_BEGIN && token->kind != STELE_CBOR_MAP_BEGIN
        && token->kind != STELE_CBOR_TAG) {
        say_leaf(line, token);
        leave_tags(walk, line);
        return;
    }
    bool is_map = token->kind == STELE_CBOR_MAP_BEGIN;
    ck_assert_uint_lt(walk->depth, sizeof(walk->open) / sizeof(walk->open[0]));
    walk->open[walk->depth++] =
        (open_item){ token->kind, 0, token->number * (is_map ? 2 : 1), token->indefinite };
    if (token->kind == STELE_CBOR_TAG)
        say(line, "%" PRIu64 "(", token->number);
    else
        say(line, "%s%s", is_map ? "{" : "[", token->indefinite ? "_ " : "");
}

/*
 * Check a payload, from memory with nothing behind it, and walk it: all must agree. On STELE_OK
 * `line` says what was read, with a NUL. `offset_out` is where it failed; both may be NULL.
 */
static inline stele_status judge_cbor(const void *data, size_t size, stele_buffer *line,
                                      size_t *offset_out)
{
    void *copy = malloc(size > 0 ? size : 1);
    ck_assert_ptr_nonnull(copy);
    if (size > 0)
        memcpy(copy, data, size);
    stele_buffer own_line = STELE_BUFFER_INIT;
    if (line == NULL)
        line = &own_line;
    line->size = 0;

    stele_status status = stele_cbor_check(copy, size, NULL);
    stele_cbor_reader *reader = NULL;
    ck_assert_int_eq(stele_cbor_open(copy, size, NULL, &reader), status);
    ck_assert(status == STELE_OK || reader == NULL);
    if (status != STELE_OK) {
        ck_assert_int_eq(stele_cbor_open("", 1, NULL, &reader), STELE_OK);
        ck_assert_int_eq(stele_cbor_reset(reader, copy, size), status);
    }
    cbor_walk walk = { .depth = 0 };
    stele_cbor_token token;
    stele_status next;
    while ((next = stele_cbor_next(reader, &token)) == STELE_OK)
        step(&walk, &token, line);
    ck_assert_int_eq(next, status == STELE_OK ? STELE_DONE : status);
    ck_assert(status != STELE_OK || (walk.depth == 0 && walk.offset <= size));
    size_t offset = stele_cbor_error_offset(reader);
    ck_assert_uint_le(offset, size);
    if (offset_out != NULL)
        *offset_out = offset;

    stele_cbor_close(reader);
    free(copy);
    put_byte(line, 0);
    stele_buffer_dispose(&own_line);
    return status;
}

#endif
