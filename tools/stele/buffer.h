/**
 * @file buffer.h
 * Text that grows. When memory runs out the tool says so and ends: nothing it does is lost by it.
 */
#ifndef STELE_TOOLS_BUFFER_H
#define STELE_TOOLS_BUFFER_H

#include <stddef.h>

/** Growing text, NUL-terminated once something was added. Start from `{ 0 }`. */
typedef struct buffer {
    char *bytes;
    size_t size;
    size_t capacity;
} buffer;

/** Make room for `count` more items of `item_size` bytes in `*items`, which has `*capacity`. */
void *grow(void *items, size_t *capacity, size_t count, size_t item_size);

/** A copy of `string`, the caller's to free. */
char *copy_string(const char *string);

void buffer_add(buffer *to, const void *bytes, size_t size);
void buffer_add_string(buffer *to, const char *string);
void buffer_format(buffer *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Make it empty; the memory stays. */
void buffer_clear(buffer *of);

void buffer_dispose(buffer *of);

#endif
