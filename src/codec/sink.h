/*
 * Where encoding writes to: the same calls make JSON, JSON for people, or CBOR. All answer OK or
 * NO_MEMORY.
 */
#ifndef STELE_CODEC_SINK_H
#define STELE_CODEC_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "codec/plan.h"

typedef struct stele__sink {
    stele__format format;
    stele__buffer *buffer;
    bool comma; /* something stands before, in the same struct or list */
} stele__sink;

stele_status stele__sink_map_begin(stele__sink *sink, size_t pair_count);
stele_status stele__sink_map_end(stele__sink *sink);
stele_status stele__sink_list_begin(stele__sink *sink, size_t count);
stele_status stele__sink_list_end(stele__sink *sink);
/* `name` as it comes before a value: UTF-8 without NUL. */
stele_status stele__sink_key(stele__sink *sink, const char *name, size_t size);
/* The same of what stele__sink_key() wrote as the first thing of such a sink. */
stele_status stele__sink_key_again(stele__sink *sink, const char *bytes, size_t size);
/* `text` holds no NUL. INVALID, without a reason, when it is not UTF-8. */
stele_status stele__sink_text(stele__sink *sink, const char *text, size_t size);
stele_status stele__sink_bytes(stele__sink *sink, const void *data, size_t size);
/* In JSON as a string when `as_string` says so, or beyond +-(2^53 - 1). */
stele_status stele__sink_integer(stele__sink *sink, bool negative, uint64_t magnitude,
                                 bool as_string);
/* Finite, unless it goes to CBOR or people. `is_float`: in the digits that a float needs. */
stele_status stele__sink_real(stele__sink *sink, double value, bool is_float);
stele_status stele__sink_bool(stele__sink *sink, bool value);

#endif
