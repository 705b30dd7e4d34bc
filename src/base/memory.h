/* The library's only way to the heap. Sizes are bytes; failing returns NULL and says nothing. */
#ifndef STELE_BASE_MEMORY_H
#define STELE_BASE_MEMORY_H

#include <stddef.h>

/* Marks a large local that is always written before it is read. Hardened builds zero every local,
 * which costs more than what is then done with a kilobyte of buffer. */
#define STELE__UNINITIALIZED
#ifdef __has_attribute
#if __has_attribute(uninitialized)
#undef STELE__UNINITIALIZED
#define STELE__UNINITIALIZED __attribute__((uninitialized))
#endif
#endif

void *stele__allocate(size_t size);
/* Zeroed, and safe against overflow of count * size. */
void *stele__allocate_array(size_t count, size_t size);
/* As realloc(): on failure the old memory stays. */
void *stele__reallocate(void *memory, size_t size);
/*
 * Twice the room for an array of `*capacity` items, which lies at `first`, in its owner, until it
 * outgrows that. On failure, which also is a capacity beyond all memory, NULL, and all stays.
 */
void *stele__grow_array(void *items, const void *first, size_t *capacity, size_t item_size);
/* A copy of `text`, or NULL for NULL and when there is no memory. */
char *stele__copy_text(const char *text);
void stele__free(void *memory);

/* From here on the allocator stays as it is. The first allocation does that, too. */
void stele__allocator_freeze(void);

#endif
