/*
 * Counting allocations: the program's own malloc stands before the C library's, for every library
 * in the process. Only glibc names what is behind it.
 */
#include <stdlib.h>

#include "bench.h"

#if defined(__GLIBC__)

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

/* One thread at a time allocates here: the benchmark has one. */
static uint64_t allocation_count;

#define EXPORTED __attribute__((visibility("default")))

EXPORTED void *malloc(size_t size)
{
    allocation_count++;
    return __libc_malloc(size);
}

EXPORTED void *calloc(size_t count, size_t size)
{
    allocation_count++;
    return __libc_calloc(count, size);
}

EXPORTED void *realloc(void *memory, size_t size)
{
    allocation_count++;
    return __libc_realloc(memory, size);
}

bool bench_can_count_allocations(void)
{
    return true;
}

uint64_t bench_allocation_count(void)
{
    return allocation_count;
}

#else

bool bench_can_count_allocations(void)
{
    return false;
}

uint64_t bench_allocation_count(void)
{
    return 0;
}

#endif
