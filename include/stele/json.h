/**
 * @file stele/json.h
 * A strict pull tokenizer for JSON, and the few helpers that go with it.
 *
 * It builds no tree and changes nothing: it walks over a text and says what it
 * meets. A text that it accepts to the end is one JSON value as RFC 8259 has it,
 * and more than that: the bytes are valid UTF-8 without a byte order mark, no
 * string holds a NUL (neither raw nor as \u0000) or half a surrogate pair, and no
 * object holds a key twice, whichever way the key is spelled. Nothing but white
 * space surrounds the value. Numbers may have any size that the grammar allows;
 * they are handed out as written and never rounded. The locale plays no part.
 *
 * Cost. Time is proportional to the size of the text, and memory to the depth and
 * to the keys of the objects that are open at one moment, whatever the text holds:
 * hostile keys can't make it quadratic, nesting can't exhaust the stack.
 *
 * Units. Sizes and offsets count bytes; an offset starts from 0 at the first byte
 * of the text.
 *
 * Ownership. A reader borrows the text, which must stay unchanged until the reader
 * is closed or reset. What a token or stele_json_skip() points at lies in that text
 * and lives as long as the text does, also after the reader was closed.
 *
 * Threads. A reader is used by one thread at a time; different readers, and the
 * functions that take only a token or bytes, don't touch each other. A reader is
 * plain memory: after fork() both processes have their own.
 */
#ifndef STELE_JSON_H
#define STELE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A reader over one text at a time. */
typedef struct stele_json_reader stele_json_reader;

/** What is refused beyond the grammar. Start from the initializer; fields are only ever added. */
typedef struct stele_json_options {
    size_t struct_size; /**< Set by the initializer; says which fields exist. */
    uint32_t depth_max; /**< Objects and arrays inside each other; more is STELE_TOO_LARGE. */
    uint32_t size_max;  /**< Bytes of text, white space included; more is STELE_TOO_LARGE. */
} stele_json_options;

/* clang-format off */
/** 64 levels and 16 MiB. */
#define STELE_JSON_OPTIONS_INIT { sizeof(stele_json_options), 64, 16 * 1024 * 1024 }
/* clang-format on */

/** Set `options` to what STELE_JSON_OPTIONS_INIT says. NULL is allowed. */
STELE_API void stele_json_options_init(stele_json_options *options);

/** What a token is. */
typedef enum stele_json_kind {
    STELE_JSON_OBJECT_BEGIN = 1, /**< `{`; then KEY and value in turn, then OBJECT_END. */
    STELE_JSON_OBJECT_END = 2,   /**< `}` */
    STELE_JSON_ARRAY_BEGIN = 3,  /**< `[`; then values, then ARRAY_END. */
    STELE_JSON_ARRAY_END = 4,    /**< `]` */
    STELE_JSON_KEY = 5,          /**< The name of a member; its value follows. */
    STELE_JSON_STRING = 6,       /**< A string that is a value. */
    STELE_JSON_NUMBER = 7,       /**< A number, as written. */
    STELE_JSON_TRUE = 8,
    STELE_JSON_FALSE = 9,
    STELE_JSON_NULL = 10
} stele_json_kind;

/**
 * One step through a text. Callers provide the memory, so this layout is final.
 *
 * `text` and `size` are the token as it is written: of a KEY or STRING what stands
 * between the quotes (stele_json_text() decodes it), of a bracket that one byte. It
 * is not NUL-terminated.
 */
typedef struct stele_json_token {
    stele_json_kind kind;
    uint32_t depth;   /**< How many objects and arrays enclose it; of both brackets the same. */
    const char *text; /**< Borrowed from the input. */
    size_t size;
    size_t offset; /**< Where it starts in the input; of a KEY or STRING its opening quote. */
    bool escaped;  /**< A KEY or STRING with backslashes, so that `text` is not its value. */
} stele_json_token;

/**
 * Open a reader over `text`.
 *
 * On failure `*reader_out` is NULL and there is nothing to close. A program that
 * reads many texts opens one reader and calls stele_json_reset() for each.
 *
 * @param text       Borrowed. NULL is allowed when `size` is 0.
 * @param options    NULL means STELE_JSON_OPTIONS_INIT. Copied.
 * @param reader_out Receives the reader; close it with stele_json_close().
 * @return STELE_OK; STELE_TOO_LARGE (longer than `size_max`); STELE_MISUSE (a NULL, or options
 *         whose `struct_size` is 0 or of no released form); STELE_NO_MEMORY.
 */
STELE_API stele_status stele_json_open(const void *text, size_t size,
                                       const stele_json_options *options,
                                       stele_json_reader **reader_out);

/**
 * Turn `reader` to the start of another text; where it was, or failed, is forgotten.
 *
 * Its options stay, and so does its memory, but for what a giant text needed: no
 * more than 32 KiB.
 *
 * @return STELE_OK; STELE_TOO_LARGE, which the reader then repeats until the next reset;
 *         STELE_MISUSE, and the reader is as it was.
 */
STELE_API stele_status stele_json_reset(stele_json_reader *reader, const void *text, size_t size);

/** Close `reader`, wherever it is in its text. NULL is allowed; never fails. */
STELE_API void stele_json_close(stele_json_reader *reader);

/**
 * Move to the next token.
 *
 * STELE_DONE means that the text was one value and nothing is left; until then,
 * what follows may yet be refused, so act on nothing before that, or check first.
 * After STELE_DONE or a failure, every later call returns the same, with the same
 * error text, until the next stele_json_reset().
 *
 * @param token_out Set on STELE_OK only.
 * @return STELE_OK with a token; STELE_DONE; STELE_INVALID (not strict JSON; the error text
 *         names what and the byte); STELE_TOO_LARGE (too deep); STELE_NO_MEMORY (keys of an
 *         object beyond what a reader holds from the start); STELE_MISUSE, which changes nothing.
 */
STELE_API stele_status stele_json_next(stele_json_reader *reader, stele_json_token *token_out);

/**
 * Consume the rest of the value that the last token began or announced, and hand
 * out the value verbatim, byte for byte as it stands in the text.
 *
 * After a KEY that is the member's value; after OBJECT_BEGIN or ARRAY_BEGIN it is
 * all up to the matching end, both brackets included; after any other value it is
 * that value (a string with its quotes). What is skipped is checked as strictly as
 * what is read. The next token is what follows the value.
 *
 * @param text_out Receives the first byte of the value, borrowed from the input. May be NULL.
 * @param size_out Receives its size. May be NULL.
 * @return STELE_OK; STELE_MISUSE when the last call didn't hand out such a token, and nothing
 *         changes; otherwise as stele_json_next(), never STELE_DONE.
 */
STELE_API stele_status stele_json_skip(stele_json_reader *reader, const char **text_out,
                                       size_t *size_out);

/** Where in the text the reader failed, as its error text says. 0 when it hasn't failed. */
STELE_API size_t stele_json_error_offset(const stele_json_reader *reader);

/**
 * Say whether `text` is strict JSON from end to end: the gate, in one pass, without allocating
 * for texts of ordinary shape.
 *
 * @param text    Borrowed for the call. NULL is allowed when `size` is 0 (and refused as empty).
 * @param options NULL means STELE_JSON_OPTIONS_INIT.
 * @return STELE_OK when it is, otherwise as stele_json_open() and stele_json_next(); never
 *         STELE_DONE.
 */
STELE_API stele_status stele_json_check(const void *text, size_t size,
                                        const stele_json_options *options);

/**
 * The same with the options and the memory of `reader`, which is reset to `text` and left at its
 * end, or where it failed. Reset it to read the text just checked.
 */
STELE_API stele_status stele_json_reader_check(stele_json_reader *reader, const void *text,
                                               size_t size);

/**
 * Decode a KEY or STRING: escapes resolved, surrogate pairs joined, a NUL put after it.
 *
 * The value itself never holds a NUL. `token->size + 1` bytes are always enough.
 *
 * @param buffer   Receives the UTF-8 text; the empty string unless STELE_OK. NULL is allowed
 *                 when `capacity` is 0.
 * @param capacity Size of `buffer`, the NUL included.
 * @param size_out Receives the size of the decoded text without its NUL, on STELE_TOO_LARGE too.
 *                 May be NULL.
 * @return STELE_OK; STELE_TOO_LARGE (the buffer needs `*size_out + 1` bytes); STELE_MISUSE (a
 *         NULL, or a token of another kind); STELE_INVALID (a token that no reader handed out).
 */
STELE_API stele_status stele_json_text(const stele_json_token *token, char *buffer, size_t capacity,
                                       size_t *size_out);

/** Whether `token` is a KEY or STRING whose decoded text is `expected`, byte for byte. */
STELE_API bool stele_json_equals(const stele_json_token *token, const char *expected);

/**
 * Read an integer, exactly or not at all.
 *
 * A NUMBER must be an integer as written (neither `1.0` nor `1e3`) within
 * +-(2^53 - 1), the range that every JSON reader keeps exact. A STRING must hold an
 * integer in the same decimal form and may use the whole range of `int64_t`.
 *
 * @param value_out Set on STELE_OK only.
 * @return STELE_OK; STELE_PRECISION (a bare integer beyond +-(2^53 - 1)); STELE_INVALID (anything
 *         else that is not an integer of 64 bits); STELE_MISUSE (a NULL).
 */
STELE_API stele_status stele_json_int64(const stele_json_token *token, int64_t *value_out);

/**
 * Write `text` as a JSON string, quotes included, as snprintf() would.
 *
 * The quote, the backslash and the control characters below 0x20 are escaped in their shortest
 * form (`\n`, `\u001f`); everything else is kept as it is.
 *
 * @param text     UTF-8 without NUL. NULL is allowed when `size` is 0.
 * @param buffer   Receives the string and a NUL, or the empty string if it doesn't fit; never a
 *                 part. NULL is allowed when `capacity` is 0.
 * @param capacity Size of `buffer`, the NUL included.
 * @return The size of the quoted string without its NUL, at least 2; it was written when that is
 *         less than `capacity`. 0 when `text` can't be quoted, with stele_error_text() saying
 *         why: it holds a NUL or is not UTF-8, or a pointer is NULL.
 */
STELE_API size_t stele_json_quote(const char *text, size_t size, char *buffer, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
