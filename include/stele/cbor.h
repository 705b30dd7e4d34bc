/**
 * @file stele/cbor.h
 * A strict pull reader for CBOR (RFC 8949), the binary counterpart of stele/json.h.
 *
 * It builds no tree. A payload that it accepts to the end is one well-formed data item and more
 * than that: texts are UTF-8, no map holds a key twice, whichever way it is encoded, keys are
 * integers, texts or byte strings, and nothing follows. Each chunk of a text is UTF-8 by itself.
 * Encodings other than the shortest, and items of indefinite length, are read; what this library
 * writes is deterministic (section 4.2). Of a NaN only that it is one is kept; what a tag means for
 * what it is on is not looked at.
 *
 * Cost. The bytes are scanned once before the first item is handed out, so what is handed out has
 * been accepted. A declared length or count beyond the bytes that follow is refused where it
 * stands. Time is proportional to the bytes there are, whatever they are, and memory to the depth
 * and to the keys of the maps that are open at one moment; for ordinary payloads nothing is
 * allocated beyond the reader. Once opened or reset, a reader needs no more memory.
 *
 * Units, ownership and threads are those of stele/json.h.
 */
#ifndef STELE_CBOR_H
#define STELE_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A reader over one payload at a time. */
typedef struct stele_cbor_reader stele_cbor_reader;

/** What is refused beyond the format. Start from the initializer; fields are only ever added. */
typedef struct stele_cbor_options {
    size_t struct_size; /**< Set by the initializer; says which fields exist. */
    uint32_t depth_max; /**< Maps, arrays and tags inside each other; more is STELE_TOO_LARGE. */
    uint32_t size_max;  /**< Bytes; more is STELE_TOO_LARGE. */
    uint32_t item_max;  /**< Data items in all: keys, tags and chunks too, each by itself; more is
                             STELE_TOO_LARGE. */
} stele_cbor_options;

/* clang-format off */
/** 64 levels, 16 MiB and 4 million items. */
#define STELE_CBOR_OPTIONS_INIT { sizeof(stele_cbor_options), 64, 16 * 1024 * 1024, 4 * 1024 * 1024 }
/* clang-format on */

/** Set `options` to what STELE_CBOR_OPTIONS_INIT says. NULL is allowed. */
STELE_API void stele_cbor_options_init(stele_cbor_options *options);

/** What a token is. */
typedef enum stele_cbor_kind {
    STELE_CBOR_POSITIVE = 1,    /**< The integer `number`. */
    STELE_CBOR_NEGATIVE = 2,    /**< The integer -1 - `number`. */
    STELE_CBOR_BYTES = 3,       /**< A byte string. */
    STELE_CBOR_TEXT = 4,        /**< A text. */
    STELE_CBOR_ARRAY_BEGIN = 5, /**< Then its items, then ARRAY_END. */
    STELE_CBOR_ARRAY_END = 6,
    STELE_CBOR_MAP_BEGIN = 7, /**< Then key and value in turn, then MAP_END. */
    STELE_CBOR_MAP_END = 8,
    STELE_CBOR_TAG = 9, /**< The tag `number`; what it is on follows. */
    STELE_CBOR_FALSE = 10,
    STELE_CBOR_TRUE = 11,
    STELE_CBOR_NULL = 12,
    STELE_CBOR_UNDEFINED = 13,
    STELE_CBOR_SIMPLE = 14, /**< The simple value `number`, of those without a name. */
    STELE_CBOR_REAL = 15    /**< `real`, from 16, 32 or 64 bits. */
} stele_cbor_kind;

/** One step through a payload. Callers provide the memory, so this layout is final. */
typedef struct stele_cbor_token {
    stele_cbor_kind kind;
    uint32_t depth;  /**< How many maps, arrays and tags enclose it; of both ends the same. */
    size_t offset;   /**< Where it starts; of an END, where the item ends: behind its break if it
                          has one. Several ENDs may be at one offset. A tag has none. */
    uint64_t number; /**< Of an integer, TAG or SIMPLE; of ARRAY_BEGIN and MAP_BEGIN how many items
                        or pairs, unless indefinite. */
    double real;
    const void *data; /**< Of BYTES and TEXT: its content, borrowed; not NUL-terminated. */
    size_t size;      /**< Of that. Of one in chunks: of the encoded chunks, at `data`. */
    bool is_key;      /**< It is the key of a pair. */
    bool indefinite;  /**< A map or array without a count; a BYTES or TEXT in chunks, which
                           stele_cbor_text() joins. */
} stele_cbor_token;

/**
 * Open a reader over `data`, and scan it. On failure `*reader_out` is NULL.
 *
 * @param data       Borrowed. NULL is allowed when `size` is 0 (and refused as empty).
 * @param options    NULL means STELE_CBOR_OPTIONS_INIT. Copied.
 * @param reader_out Receives the reader; close it with stele_cbor_close().
 * @return STELE_OK; STELE_INVALID (no strict CBOR; the error text names what and the byte);
 *         STELE_TOO_LARGE (beyond the options); STELE_MISUSE (a NULL, or options of no released
 *         form); STELE_NO_MEMORY.
 */
STELE_API stele_status stele_cbor_open(const void *data, size_t size,
                                       const stele_cbor_options *options,
                                       stele_cbor_reader **reader_out);

/**
 * Turn `reader` to the start of another payload, and scan it. Its options stay, and so does its
 * memory, but for what a giant payload needed: no more than 32 KiB.
 *
 * @return As stele_cbor_open(). After a failure other than STELE_MISUSE, which changes nothing,
 *         stele_cbor_next() repeats it until the next reset.
 */
STELE_API stele_status stele_cbor_reset(stele_cbor_reader *reader, const void *data, size_t size);

/** Close `reader`, wherever it is. NULL is allowed; never fails. */
STELE_API void stele_cbor_close(stele_cbor_reader *reader);

/**
 * Move to the next token.
 *
 * @param token_out Set on STELE_OK only.
 * @return STELE_OK with a token; STELE_DONE after the last; the failure of the reset, again;
 *         STELE_UNSUPPORTED (an item that the libcbor in use refuses, which no known one does);
 *         STELE_MISUSE, which changes nothing.
 */
STELE_API stele_status stele_cbor_next(stele_cbor_reader *reader, stele_cbor_token *token_out);

/**
 * Pass over the rest of the value that the last token began or announced, and hand out its bytes:
 * after a key the value of the pair; after MAP_BEGIN, ARRAY_BEGIN or TAG all of it; after any other
 * value that value.
 *
 * @param data_out Receives the first byte of the value, borrowed. May be NULL.
 * @param size_out Receives its size. May be NULL.
 * @return STELE_OK; STELE_MISUSE when the last call didn't hand out such a token, and nothing
 *         changes; the failure of the reset, again; STELE_UNSUPPORTED as stele_cbor_next(). Never
 *         STELE_DONE.
 */
STELE_API stele_status stele_cbor_skip(stele_cbor_reader *reader, const void **data_out,
                                       size_t *size_out);

/** Where in the payload the reader failed. 0 when it hasn't failed. */
STELE_API size_t stele_cbor_error_offset(const stele_cbor_reader *reader);

/**
 * Say whether `data` is strict CBOR from end to end: the gate.
 *
 * @param data    Borrowed for the call. NULL is allowed when `size` is 0 (and refused as empty).
 * @param options NULL means STELE_CBOR_OPTIONS_INIT.
 * @return As stele_cbor_open().
 */
STELE_API stele_status stele_cbor_check(const void *data, size_t size,
                                        const stele_cbor_options *options);

/**
 * Copy the content of a BYTES or TEXT, its chunks joined, and put a NUL after it.
 *
 * @param buffer   Receives it; the empty string unless STELE_OK. NULL is allowed when `capacity` is
 *                 0.
 * @param capacity Size of `buffer`, the NUL included.
 * @param size_out Receives the size without the NUL, on STELE_TOO_LARGE too. May be NULL.
 * @return STELE_OK; STELE_TOO_LARGE (the buffer needs `*size_out + 1` bytes); STELE_MISUSE (a NULL,
 *         a token of another kind, or one that no reader handed out).
 */
STELE_API stele_status stele_cbor_text(const stele_cbor_token *token, void *buffer, size_t capacity,
                                       size_t *size_out);

/** Whether `token` is a TEXT whose content is `expected`, byte for byte. */
STELE_API bool stele_cbor_equals(const stele_cbor_token *token, const char *expected);

#ifdef __cplusplus
}
#endif

#endif
