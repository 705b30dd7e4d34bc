/**
 * @file stele/buffer.h
 * Bytes that grow: where encoders write to. The struct is the caller's, its memory the library's.
 *
 * Threads. A buffer is used by one thread at a time.
 */
#ifndef STELE_BUFFER_H
#define STELE_BUFFER_H

#include <stddef.h>

#include <stele/api.h>
#include <stele/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Start from STELE_BUFFER_INIT. Set `size` to 0 to write anew with the memory that is there. */
typedef struct stele_buffer {
    char *data;      /**< NULL until something is written. A NUL may or may not follow. */
    size_t size;     /**< In bytes. */
    size_t capacity; /**< Allocated; the library's to change. */
} stele_buffer;

#define STELE_BUFFER_INIT                                                                          \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

/** Set `buffer` to STELE_BUFFER_INIT. For bindings. NULL is allowed. */
STELE_API void stele_buffer_init(stele_buffer *buffer);

/**
 * Add `size` bytes at the end.
 *
 * @param data Borrowed for the call; not from `buffer` itself. NULL is allowed when `size` is 0.
 * @return STELE_OK; STELE_NO_MEMORY, and `buffer` is as it was; STELE_MISUSE (a NULL).
 */
STELE_API stele_status stele_buffer_add(stele_buffer *buffer, const void *data, size_t size);

/** Give the memory back; `buffer` is then as after STELE_BUFFER_INIT. NULL is allowed. */
STELE_API void stele_buffer_dispose(stele_buffer *buffer);

#ifdef __cplusplus
}
#endif

#endif
