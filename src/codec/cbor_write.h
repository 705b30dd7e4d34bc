/* Writing CBOR, each head in its shortest form: the order of keys is up to the caller. */
#ifndef STELE_CODEC_CBOR_WRITE_H
#define STELE_CODEC_CBOR_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* All: OK or NO_MEMORY. */

/* The integer `number`, or -1 - `number`. */
stele_status stele__cbor_put_integer(stele__buffer *buffer, bool negative, uint64_t number);
stele_status stele__cbor_put_bytes(stele__buffer *buffer, const void *data, size_t size);
/* `text` is UTF-8. */
stele_status stele__cbor_put_text(stele__buffer *buffer, const char *text, size_t size);
stele_status stele__cbor_put_array(stele__buffer *buffer, size_t count);
stele_status stele__cbor_put_map(stele__buffer *buffer, size_t pair_count);
stele_status stele__cbor_put_bool(stele__buffer *buffer, bool value);
stele_status stele__cbor_put_null(stele__buffer *buffer);
/* In 16, 32 or 64 bits, the fewest that keep the value; every NaN as the same one. */
stele_status stele__cbor_put_real(stele__buffer *buffer, double value);

#endif
