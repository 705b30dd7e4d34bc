/*
 * What the files of the CBOR reader share, and what else in src/codec keeps a reader on its stack.
 *
 * cbor_scan.c judges all the bytes of a payload before anything is handed out; cbor_reader.c is the
 * public reader, which walks what was accepted; cbor_text.c serves those who hold a token; cbor.c
 * is the door to libcbor.
 */
#ifndef STELE_CODEC_CBOR_INTERNAL_H
#define STELE_CODEC_CBOR_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/cbor.h>

#include "codec/keys.h"

/* Heads */

enum { STELE__CBOR_HEAD_SIZE_MAX = 9, STELE__CBOR_BREAK = 0xff };

/** The major types of RFC 8949, section 3.1. */
typedef enum stele__cbor_major {
    STELE__CBOR_MAJOR_POSITIVE = 0,
    STELE__CBOR_MAJOR_NEGATIVE = 1,
    STELE__CBOR_MAJOR_BYTES = 2,
    STELE__CBOR_MAJOR_TEXT = 3,
    STELE__CBOR_MAJOR_ARRAY = 4,
    STELE__CBOR_MAJOR_MAP = 5,
    STELE__CBOR_MAJOR_TAG = 6,
    STELE__CBOR_MAJOR_OTHER = 7
} stele__cbor_major;

/** The bytes that say what an item is, and how large. */
typedef struct stele__cbor_head {
    uint64_t argument; /* 0 if there is none */
    unsigned major;    /* a stele__cbor_major */
    unsigned info;     /* the low five bits of the first byte */
    size_t size;
} stele__cbor_head;

enum {
    STELE__CBOR_INFO_8 = 24, /* the argument is in as many bits behind the first byte */
    STELE__CBOR_INFO_16 = 25,
    STELE__CBOR_INFO_32 = 26,
    STELE__CBOR_INFO_64 = 27,
    STELE__CBOR_INFO_INDEFINITE = 31
};

/** Read the head at `at`. False if it doesn't end before `end`; `head->size` is then its size. */
static inline bool stele__cbor_read_head(const unsigned char *at, const unsigned char *end,
                                         stele__cbor_head *head)
{
    if (at == end) {
        *head = (stele__cbor_head){ .size = 1 };
        return false;
    }
    unsigned info = *at & 0x1f;
    head->major = *at >> 5;
    head->info = info;
    head->size = 1;
    head->argument = info < STELE__CBOR_INFO_8 ? info : 0;
    if (info < STELE__CBOR_INFO_8 || info > STELE__CBOR_INFO_64)
        return true;

    head->size += (size_t)1 << (info - STELE__CBOR_INFO_8);
    if ((size_t)(end - at) < head->size)
        return false;
    for (size_t i = 1; i < head->size; i++)
        head->argument = head->argument << 8 | at[i];
    return true;
}

/** The size of the shortest head with that argument. */
static inline size_t stele__cbor_head_size(uint64_t argument)
{
    return argument < STELE__CBOR_INFO_8 ? 1
           : argument <= UINT8_MAX       ? 2
           : argument <= UINT16_MAX      ? 3
           : argument <= UINT32_MAX      ? 5
                                         : 9;
}

/** Write that head; returns its size. */
size_t stele__cbor_write_head(unsigned char out[STELE__CBOR_HEAD_SIZE_MAX], stele__cbor_major major,
                              uint64_t argument);

/* One item: cbor.c */

/**
 * Turn the head at `at`, of an item that was accepted and is no break, into a token: all of it but
 * `depth`, `offset` and `is_key`. Returns how many bytes it took: of a definite string all, of
 * anything else that holds items, or chunks, the head. 0: the libcbor in use refuses it.
 */
size_t stele__cbor_decode_item(const unsigned char *at, const unsigned char *end,
                               stele_cbor_token *token);

/* The reader */

enum {
    STELE__CBOR_FRAMES_INLINE = 64 /* the default depth needs no allocation */
};

/** A map, array or tag that is open. */
typedef struct stele__cbor_frame {
    stele__keys_object keys; /* of a map, while it is scanned */
    uint32_t left;           /* items that are still to begin, unless indefinite */
    uint8_t major;           /* a stele__cbor_major */
    bool indefinite;
    bool at_value; /* of a map: a key was the last to begin */
} stele__cbor_frame;

struct stele_cbor_reader {
    const unsigned char *data;
    const unsigned char *end;
    const unsigned char *at;    /* after the last token */
    const unsigned char *value; /* where the last token starts */
    int last_kind; /* of the last token, 0 when stele_cbor_skip() has nothing to do with it */
    bool last_is_key;
    uint32_t last_depth;
    uint32_t depth;
    uint32_t depth_max;
    uint32_t size_max;
    uint32_t item_max;
    stele__cbor_frame *frames; /* `first_frames` or allocated */
    size_t frame_capacity;

    stele_status failure;
    size_t failure_offset;
    char failure_text[160];

    stele__keys keys;
    stele__cbor_frame first_frames[STELE__CBOR_FRAMES_INLINE];
};

/** A reader in the caller's memory: after this, stele_cbor_reset() and all the rest but close. */
void stele__cbor_reader_init(stele_cbor_reader *reader, const stele_cbor_options *options);
void stele__cbor_reader_dispose(stele_cbor_reader *reader);

/** Note that an item begins inside the innermost frame, if there is one. True if it is a key. */
static inline bool stele__cbor_begin_item(stele_cbor_reader *reader)
{
    if (reader->depth == 0)
        return false;
    stele__cbor_frame *frame = &reader->frames[reader->depth - 1];
    if (!frame->indefinite)
        frame->left--;
    bool is_key = frame->major == STELE__CBOR_MAJOR_MAP && !frame->at_value;
    frame->at_value = is_key;
    return is_key;
}

/** Note that an item is complete: the tags that are on it are, too. */
static inline void stele__cbor_end_item(stele_cbor_reader *reader)
{
    while (reader->depth > 0 && reader->frames[reader->depth - 1].major == STELE__CBOR_MAJOR_TAG)
        reader->depth--;
}

/** Enter a map, array or tag. Only a scan may need more memory for it. */
stele_status stele__cbor_enter(stele_cbor_reader *reader, const stele__cbor_head *head);

/**
 * Judge all the bytes of the reader, and turn it to their start. OK; else the reader has failed for
 * good, and says why: INVALID, TOO_LARGE or NO_MEMORY.
 */
stele_status stele__cbor_scan(stele_cbor_reader *reader);

/** Fail for good, for the reason in `failure_text`: every later call will say the same. */
stele_status stele__cbor_fail(stele_cbor_reader *reader, stele_status status,
                              const unsigned char *at);

#endif
