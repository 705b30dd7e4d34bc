/*
 * A table made ready for use: checked, its keys sorted for CBOR and hashed for decoding. Constant
 * once made, so that any number of threads may use it.
 */
#ifndef STELE_CODEC_PLAN_H
#define STELE_CODEC_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include <stele/codec.h>
#include <stele/type.h>

enum {
    STELE__VALUE_DEPTH_MAX = 64,                /* structs and lists inside each other */
    STELE__VALUE_SIZE_MAX = 64 * 1024 * 1024,   /* bytes of a payload */
    STELE__VALUE_MEMORY_MAX = 256 * 1024 * 1024 /* bytes that one decoding may own */
};

/* What the tables encode to and decode from by themselves. */
typedef enum stele__format {
    STELE__FORMAT_NONE, /* whatever a codec of the program's does */
    STELE__FORMAT_JSON,
    STELE__FORMAT_CBOR,
    STELE__FORMAT_TEXT /* JSON for people; see stele_type_format() */
} stele__format;

typedef struct stele__plan stele__plan;

/* Check a table and what it refers to. MISUSE, NO_MEMORY. */
stele_status stele__plan_make(const stele_type *type, stele__plan **plan_out);
void stele__plan_free(stele__plan *plan);
const stele_type *stele__plan_type(const stele__plan *plan);

/* As stele_type_encode() and stele_type_decode() have it, for a built-in format. */
stele_status stele__plan_encode(const stele__plan *plan, stele__format format, const void *value,
                                stele_buffer *buffer, stele_flaw *flaw_out);
/* `memory_left`, of which is taken what the value owns; NULL: STELE__VALUE_MEMORY_MAX. */
stele_status stele__plan_decode(const stele__plan *plan, stele__format format, const void *data,
                                size_t size, void *value, size_t *memory_left,
                                stele_flaw *flaw_out);

/* The format that a built-in codec stands for; NONE for any other, and for raw. */
stele__format stele__format_of(const stele_codec *codec);

#endif
