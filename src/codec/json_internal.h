/*
 * What the files of the JSON tokenizer share.
 *
 * json_reader.c is the public reader, json_grammar.c its step from token to token; json_string.c
 * knows what stands between quotes, keys.c finds keys that an object holds twice, json_text.c
 * serves those who hold a token.
 */
#ifndef STELE_CODEC_JSON_INTERNAL_H
#define STELE_CODEC_JSON_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/json.h>

#include "codec/keys.h"

/* Strings: json_string.c */

/** Where a string was refused, and why; NULL for a control character, which stands there. */
typedef struct stele__json_flaw {
    const unsigned char *at;
    const char *what;
} stele__json_flaw;

/**
 * Find the quote that ends the string whose bytes start at `at`.
 *
 * Returns NULL and sets `*flaw` if the string is not strict. Sets `*escaped_out` if it holds
 * backslashes, and leaves it alone otherwise.
 */
const unsigned char *stele__json_string_end(const unsigned char *at, const unsigned char *end,
                                            bool *escaped_out, stele__json_flaw *flaw);

/** The first byte from `at` that a string can't hold as it is, or that is not ASCII. */
const unsigned char *stele__json_plain_end(const unsigned char *at, const unsigned char *end);

/**
 * Decode one character of a string: a byte, or an escape with its second half.
 *
 * Returns how many bytes it took from `at` (which is before `end`), 0 for a malformed escape;
 * `utf8_out` receives `*utf8_size_out` bytes, at most 4.
 */
size_t stele__json_decode_one(const unsigned char *at, const unsigned char *end,
                              unsigned char utf8_out[4], size_t *utf8_size_out);

/**
 * Decode all between the quotes of a string that stele__json_string_end() has seen. Returns how
 * many bytes `out` received, at most as many as there were.
 */
size_t stele__json_decode(const unsigned char *at, const unsigned char *end, unsigned char *out);

/* The reader: json_grammar.c */

enum {
    STELE__JSON_FRAMES_INLINE = 64 /* the default depth needs no allocation */
};

/** What may come next. */
typedef enum stele__json_state {
    STELE__JSON_BEFORE_VALUE, /* at the start of the text */
    STELE__JSON_AFTER_KEY,    /* a colon, then a value */
    STELE__JSON_IN_OBJECT,    /* just begun: a key or the end */
    STELE__JSON_IN_ARRAY,     /* just begun: a value or the end */
    STELE__JSON_AFTER_VALUE,  /* a comma and more, the end of what encloses it, or the end of all */
    STELE__JSON_FINISHED,
    STELE__JSON_FAILED
} stele__json_state;

/** An object or array that is open. */
typedef struct stele__json_frame {
    stele__keys_object object; /* unused in an array */
    bool is_object;
} stele__json_frame;

struct stele_json_reader {
    const unsigned char *text;
    const unsigned char *end;
    const unsigned char *at;    /* after the last token */
    const unsigned char *value; /* where the last token starts */
    stele__json_state state;
    int last_kind; /* of the last token, 0 when stele_json_skip() has nothing to do with it */
    uint32_t depth;
    uint32_t depth_max;
    uint32_t size_max;
    stele__json_frame *frames; /* `first_frames` or allocated */
    size_t frame_capacity;

    stele_status failure;
    size_t failure_offset;
    char failure_text[128];

    stele__keys keys;
    stele__json_frame first_frames[STELE__JSON_FRAMES_INLINE];
};

/** A reader in memory of the caller's, before its first stele_json_reset(). Never fails. */
void stele__json_reader_init(stele_json_reader *reader, const stele_json_options *options);
void stele__json_reader_dispose(stele_json_reader *reader);

/** Read the next token; stele_json_next() after its checks. */
stele_status stele__json_read(stele_json_reader *reader, stele_json_token *token);

/** Read all that is left: STELE_OK if there was nothing to refuse. */
stele_status stele__json_drain(stele_json_reader *reader);

/** Fail for good, for the reason in `failure_text`: every later call will say the same. */
stele_status stele__json_fail(stele_json_reader *reader, stele_status status,
                              const unsigned char *at);

#endif
