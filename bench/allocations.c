/*
 * Counting allocations: the program's own malloc stands before the C library's, for every library
 * in the process. SQLite's are counted apart, by the methods that it lets a program give it. Only
 * glibc names what is behind its malloc.
 */
#include <stdlib.h>

#include <sqlite3.h>

#include "bench.h"

static sqlite3_mem_methods sqlite_methods;

/* One thread at a time allocates here: the benchmark has one. */
static uint64_t sqlite_count;
static uint64_t all_count;

static void *allocate_for_sqlite(int size)
{
    sqlite_count++;
    return sqlite_methods.xMalloc(size);
}

static void *reallocate_for_sqlite(void *memory, int size)
{
    sqlite_count++;
    return sqlite_methods.xRealloc(memory, size);
}

void bench_count_allocations(void)
{
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_methods) != SQLITE_OK)
        bench_die("SQLite doesn't say how it allocates");
    sqlite3_mem_methods counting = sqlite_methods;
    counting.xMalloc = allocate_for_sqlite;
    counting.xRealloc = reallocate_for_sqlite;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &counting) != SQLITE_OK)
        bench_die("SQLite's allocations can't be counted");
}

uint64_t bench_sqlite_allocations(void)
{
    return sqlite_count;
}

uint64_t bench_all_allocations(void)
{
    return all_count;
}

#if defined(__GLIBC__)

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t nmemb, size_t size);
extern void *__libc_realloc(void *ptr, size_t size);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED void *malloc(size_t size)
{
    all_count++;
    return __libc_malloc(size);
}

EXPORTED void *calloc(size_t nmemb, size_t size)
{
    all_count++;
    return __libc_calloc(nmemb, size);
}

EXPORTED void *realloc(void *ptr, size_t size)
{
    all_count++;
    return __libc_realloc(ptr, size);
}

#endif
