/* Bytes as text, for JSON. */
#ifndef STELE_BASE_BASE64_H
#define STELE_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* The size of `size` bytes in base64; `size` is less than SIZE_MAX / 2. */
#define STELE__BASE64_SIZE(size) (((size) + 2) / 3 * 4)

/* Write STELE__BASE64_SIZE(size) digits, and return how many that was. */
size_t stele__base64_encode(const void *data, size_t size, char *text_out);

/* Decode; `data_out` may be `text` itself. False, with the place undefined, for what is none. */
bool stele__base64_decode(const char *text, size_t size, void *data_out, size_t *size_out);

#endif
