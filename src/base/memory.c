#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *stele__allocate(size_t size)
{
    return malloc(size == 0 ? 1 : size);
}

void *stele__allocate_array(size_t count, size_t size)
{
    return calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
}

void *stele__reallocate(void *memory, size_t size)
{
    return realloc(memory, size == 0 ? 1 : size);
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
    free(memory);
}
