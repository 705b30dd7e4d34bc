/**
 * @file tests/resources.h
 * What this process holds: descriptors, threads, the library's own memory, SQLite's.
 *
 * The library's memory is seen through stele_allocator_set(), so a program that includes this calls
 * count_own_memory() in main(), before anything else of the library.
 */
#ifndef STELE_TESTS_RESOURCES_H
#define STELE_TESTS_RESOURCES_H

#include <stele/hooks.h>

#include "running_threads.h"

#include <check.h>
#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- The library's memory --- */

enum { OWN_HEADER_SIZE = 16 };

static struct {
    atomic_int_fast64_t bytes;
    atomic_int_fast64_t blocks;
    atomic_int_fast64_t peak;       /* of bytes, since somebody set it */
    atomic_int_fast64_t calls;      /* that asked for memory */
    atomic_int_fast64_t fail_first; /* the calls that get none; 0: all get some */
    atomic_int_fast64_t fail_last;
} own;

static inline void *own_allocate(void *context, size_t size)
{
    (void)context;
    int64_t call = atomic_fetch_add(&own.calls, 1) + 1;
    int64_t first = atomic_load(&own.fail_first);
    if (first != 0 && call >= first && call <= atomic_load(&own.fail_last))
        return NULL;
    unsigned char *block = malloc(size + OWN_HEADER_SIZE);
    if (block == NULL)
        return NULL;
    memcpy(block, &size, sizeof(size));
    memset(block + OWN_HEADER_SIZE, 0xa5, size); /* nobody may count on zeros */
    atomic_fetch_add(&own.blocks, 1);
    int64_t bytes = atomic_fetch_add(&own.bytes, (int64_t)size) + (int64_t)size;
    int_fast64_t peak = atomic_load(&own.peak);
    while (bytes > peak && !atomic_compare_exchange_weak(&own.peak, &peak, bytes))
        continue;
    return block + OWN_HEADER_SIZE;
}

static inline void own_release(void *context, void *memory)
{
    (void)context;
    if (memory == NULL)
        return;
    size_t size = 0;
    unsigned char *block = (unsigned char *)memory - OWN_HEADER_SIZE;
    memcpy(&size, block, sizeof(size));
    memset(memory, 0x5a, size); /* nor look at it afterwards */
    atomic_fetch_sub(&own.bytes, (int64_t)size);
    atomic_fetch_sub(&own.blocks, 1);
    free(block);
}

static inline void *own_reallocate(void *context, void *memory, size_t size)
{
    size_t old_size = 0;
    if (memory != NULL)
        memcpy(&old_size, (unsigned char *)memory - OWN_HEADER_SIZE, sizeof(old_size));
    void *moved = own_allocate(context, size);
    if (moved == NULL || memory == NULL)
        return moved;
    memcpy(moved, memory, old_size < size ? old_size : size);
    own_release(context, memory);
    return moved;
}

static inline void *do_nothing_at_all(void *context)
{
    return context;
}

static inline void count_own_memory(void)
{
    /* A sanitizer starts a thread of its own with the first one. */
    pthread_t first;
    if (pthread_create(&first, NULL, do_nothing_at_all, NULL) != 0)
        abort();
    pthread_join(first, NULL);
    stele_allocator allocator = STELE_ALLOCATOR_INIT;
    allocator.allocate = own_allocate;
    allocator.reallocate = own_reallocate;
    allocator.release = own_release;
    if (stele_allocator_set(&allocator) != STELE_OK)
        abort();
}

/* --- Everything --- */

typedef struct resources {
    int descriptors;
    int threads;
    int64_t own_bytes;
    int64_t own_blocks;
    int64_t sqlite_bytes;
} resources;

static inline int count_entries(const char *path)
{
    int count = 0;
    DIR *folder = opendir(path);
    if (folder == NULL)
        return -1;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static inline resources count_resources(void)
{
    return (resources){
        .descriptors = count_entries("/proc/self/fd"),
        .threads = count_running_threads(),
        .own_bytes = atomic_load(&own.bytes),
        .own_blocks = atomic_load(&own.blocks),
        .sqlite_bytes = sqlite3_memory_used(),
    };
}

/* Where the kernel doesn't say who ends, a thread that was joined may still be counted. */
static inline resources count_resources_of(int threads)
{
    resources now = count_resources();
    for (int i = 0; i < 5000 && now.threads > threads; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        now = count_resources();
    }
    return now;
}

/* All that was taken since `before` was given back. */
static inline void expect_resources(resources before, const char *when)
{
    resources now = count_resources_of(before.threads);
    ck_assert_msg(now.descriptors == before.descriptors, "%s: %d descriptors, before %d", when,
                  now.descriptors, before.descriptors);
    ck_assert_msg(now.threads == before.threads, "%s: %d threads, before %d", when, now.threads,
                  before.threads);
    ck_assert_msg(now.own_bytes == before.own_bytes && now.own_blocks == before.own_blocks,
                  "%s: %" PRId64 " bytes in %" PRId64 " blocks, before %" PRId64 " in %" PRId64,
                  when, now.own_bytes, now.own_blocks, before.own_bytes, before.own_blocks);
    ck_assert_msg(now.sqlite_bytes == before.sqlite_bytes,
                  "%s: SQLite has %" PRId64 " bytes, before %" PRId64, when, now.sqlite_bytes,
                  before.sqlite_bytes);
}

#endif
