#include "base/memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <stele/hooks.h>

#include "base/failure.h"
#include "base/options.h"

static void *allocate_by_default(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void *reallocate_by_default(void *context, void *memory, size_t size)
{
    (void)context;
    return realloc(memory, size);
}

static void release_by_default(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static const stele_allocator default_allocator = { sizeof(default_allocator), allocate_by_default,
                                                   reallocate_by_default, release_by_default,
                                                   NULL };
static stele_allocator given_allocator;

/* Memory goes back to where it came from: once some was given out, this stays. */
static const stele_allocator *memory_source = &default_allocator;
static atomic_bool memory_source_frozen;

void stele__allocator_freeze(void)
{
    /* A load costs less than a store to what every thread shares. */
    if (!atomic_load_explicit(&memory_source_frozen, memory_order_relaxed))
        atomic_store_explicit(&memory_source_frozen, true, memory_order_relaxed);
}

stele_status stele_allocator_set(const stele_allocator *allocator)
{
    if (atomic_load_explicit(&memory_source_frozen, memory_order_relaxed))
        return stele__fail(
            STELE_MISUSE,
            "too late to set the allocator: a store was opened, or memory was allocated");
    if (allocator == NULL) {
        memory_source = &default_allocator;
        return STELE_OK;
    }

    stele_allocator taken = STELE_ALLOCATOR_INIT;
    stele_status status = stele__options_take("stele_allocator", allocator, &taken, sizeof(taken));
    if (status != STELE_OK)
        return status;
    const char *missing = taken.allocate == NULL     ? "allocate"
                          : taken.reallocate == NULL ? "reallocate"
                          : taken.release == NULL    ? "release"
                                                     : NULL;
    if (missing != NULL)
        return stele__fail(STELE_MISUSE, "stele_allocator.%s is NULL", missing);
    given_allocator = taken;
    memory_source = &given_allocator;
    return STELE_OK;
}

void *stele__allocate(size_t size)
{
    stele__allocator_freeze();
    return memory_source->allocate(memory_source->context, size == 0 ? 1 : size);
}

void *stele__allocate_array(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    void *memory = stele__allocate(count * size);
    if (memory != NULL)
        memset(memory, 0, count * size);
    return memory;
}

void *stele__reallocate(void *memory, size_t size)
{
    stele__allocator_freeze();
    return memory_source->reallocate(memory_source->context, memory, size == 0 ? 1 : size);
}

void *stele__grow_array(void *items, const void *first, size_t *capacity, size_t item_size)
{
    if (*capacity > SIZE_MAX / 2 / item_size)
        return NULL;
    size_t size = *capacity * item_size;
    bool outgrows = items == first;
    void *memory = outgrows ? stele__allocate(2 * size) : stele__reallocate(items, 2 * size);
    if (memory == NULL)
        return NULL;
    if (outgrows)
        memcpy(memory, first, size);
    *capacity *= 2;
    return memory;
}

char *stele__copy_text(const char *text)
{
    if (text == NULL)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = stele__allocate(size);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

void stele__free(void *memory)
{
    memory_source->release(memory_source->context, memory);
}
