/*
 * What a program may put under the library: an ear for warnings, and its own allocator. Both are
 * set before the first store is opened.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <stele.h>

/* Any thread, maybe several at once, maybe under a lock: write it down and go. */
static void hear_warning(void *context, stele_log_level level, const char *text)
{
    fprintf(context, "stele: %s: %s\n", level == STELE_LOG_WARNING ? "warning" : "notice", text);
}

static void *allocate(void *context, size_t size)
{
    void *memory = malloc(size);
    if (memory != NULL)
        atomic_fetch_add((atomic_long *)context, 1);
    return memory;
}

static void *reallocate(void *context, void *memory, size_t size)
{
    void *moved = realloc(memory, size);
    if (memory == NULL && moved != NULL)
        atomic_fetch_add((atomic_long *)context, 1);
    return moved;
}

static void release(void *context, void *memory)
{
    if (memory != NULL)
        atomic_fetch_sub((atomic_long *)context, 1);
    free(memory);
}

static atomic_long blocks;

int main(void)
{
    stele_store *store = NULL;
    stele_allocator allocator = STELE_ALLOCATOR_INIT;
    allocator.allocate = allocate;
    allocator.reallocate = reallocate;
    allocator.release = release;
    allocator.context = &blocks;
    stele_status status = stele_allocator_set(&allocator);
    if (status == STELE_OK)
        status = stele_log_set(hear_warning, stderr);
    if (status == STELE_OK)
        status = stele_store_open(":memory:", NULL, &store);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    printf("open: %s blocks\n", atomic_load(&blocks) > 0 ? "some" : "no");
    stele_store_close(store);
    printf("closed: %ld blocks\n", atomic_load(&blocks));
    return status < 0;
}
