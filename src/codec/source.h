/*
 * Where decoding reads from: JSON and CBOR as one kind of items. A source lives on the stack and
 * allocates nothing for payloads of ordinary shape.
 */
#ifndef STELE_CODEC_SOURCE_H
#define STELE_CODEC_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/cbor_internal.h"
#include "codec/json_internal.h"
#include "codec/plan.h"

/* What an item is. CBOR's tags are passed over; undefined is null. */
typedef enum stele__form {
    STELE__FORM_MAP,
    STELE__FORM_MAP_END,
    STELE__FORM_LIST,
    STELE__FORM_LIST_END,
    STELE__FORM_KEY,
    STELE__FORM_TEXT,
    STELE__FORM_BYTES,   /* CBOR only */
    STELE__FORM_NUMBER,  /* as text: JSON only */
    STELE__FORM_INTEGER, /* CBOR only */
    STELE__FORM_REAL,    /* CBOR only */
    STELE__FORM_FALSE,
    STELE__FORM_TRUE,
    STELE__FORM_NULL,
    STELE__FORM_OTHER /* a simple value of CBOR that has no name */
} stele__form;

typedef struct stele__source {
    stele__format format;
    stele__form form;
    size_t offset; /* of the item */
    union {
        stele_json_token json;
        stele_cbor_token cbor;
    } token;
    union {
        stele_json_reader json;
        stele_cbor_reader cbor;
    } reader;
} stele__source;

/* Start at a payload; CBOR is scanned. Dispose of it in any case. INVALID, TOO_LARGE, NO_MEMORY. */
stele_status stele__source_begin(stele__source *source, stele__format format, const void *data,
                                 size_t size);
void stele__source_dispose(stele__source *source);
/* To the next item: OK, DONE, or as the readers fail; `source->offset` then says where. */
stele_status stele__source_next(stele__source *source);
/* Pass over the value that the item begins, or that the key announces. */
stele_status stele__source_skip(stele__source *source);

/* The name at a KEY: borrowed, from `scratch` if it had to be decoded. Of a key that no table can
 * have, NULL. */
const char *stele__source_key(stele__source *source, char scratch[STELE_NAME_SIZE_MAX + 1],
                              size_t *size_out);

/* INVALID: the item is something else than `expected`. */
stele_status stele__source_refuse(const stele__source *source, const char *expected);

/* What follows reads the value of an item, or says INVALID or PRECISION with what it should be. */

stele_status stele__source_integer(const stele__source *source, bool *negative_out,
                                   uint64_t *magnitude_out);
stele_status stele__source_double(stele__source *source, double *value_out);
stele_status stele__source_float(stele__source *source, float *value_out);
/* What is taken for a text or for bytes. */
typedef enum stele__wanted {
    STELE__WANT_TEXT,
    STELE__WANT_TEXT_OR_NUMBER,
    STELE__WANT_BYTES
} stele__wanted;

/* Room that is enough for what is wanted, and a NUL; INVALID when the item is something else. */
stele_status stele__source_room(stele__source *source, stele__wanted wanted, size_t *size_out);
/* Copy a text or number, or bytes (in JSON from base64): TOO_LARGE, without a reason, when there is
 * not the room, a NUL included for a text. */
stele_status stele__source_text(stele__source *source, char *out, size_t capacity,
                                size_t *size_out);
stele_status stele__source_bytes(stele__source *source, unsigned char *out, size_t capacity,
                                 size_t *size_out);

#endif
