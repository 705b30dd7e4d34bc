/* A buffer that grows, and the few questions about text that every layer asks. */
#ifndef STELE_BASE_BYTES_H
#define STELE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/buffer.h>
#include <stele/status.h>

/* The public buffer, under the name that the library's own files use. */
typedef stele_buffer stele__buffer;

/* Make room for `size` more bytes. OK or NO_MEMORY. */
stele_status stele__buffer_reserve(stele__buffer *buffer, size_t size);
stele_status stele__buffer_add(stele__buffer *buffer, const void *data, size_t size);
stele_status stele__buffer_add_text(stele__buffer *buffer, const char *text);
void stele__buffer_dispose(stele__buffer *buffer);

/* The size of the valid UTF-8 sequence that begins at `text`, 1 to 4; 0 when none does. */
size_t stele__utf8_sequence(const unsigned char *text, size_t size);
bool stele__utf8_valid(const void *text, size_t size);
/* How much of valid UTF-8 to show when no more than `size_max` bytes may be: not through a
 * character. */
size_t stele__utf8_cut(const char *text, size_t size, size_t size_max);

/*
 * Move `*at` behind what is there: `text` itself, or a whole number in decimal without blanks
 * before it. False, and nothing is moved, when it is something else or the number doesn't fit.
 */
bool stele__take_text(const char **at, const char *text);
bool stele__take_number(const char **at, int64_t *number_out);

/*
 * Check a name (of a stream, type, codec, checkpoint or key; `what` says which): 1 to
 * STELE_NAME_SIZE_MAX bytes of UTF-8 without control characters. OK or MISUSE.
 */
stele_status stele__check_name(const char *what, const char *name);
/* The same of one that may have up to `size_max` bytes. */
stele_status stele__check_name_within(const char *what, const char *name, size_t size_max);

#endif
