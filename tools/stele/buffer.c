#include "buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void end_without_memory(void)
{
    fputs("error: out of memory\n", stderr);
    exit(EXIT_FAILURE);
}

void *grow(void *items, size_t *capacity, size_t count, size_t item_size)
{
    if (count <= *capacity && items != NULL)
        return items;
    size_t wanted = *capacity < 16 ? 16 : *capacity;
    while (wanted < count) {
        if (wanted > SIZE_MAX / 2)
            end_without_memory();
        wanted *= 2;
    }
    if (wanted > SIZE_MAX / item_size)
        end_without_memory();
    void *grown = realloc(items, wanted * item_size);
    if (grown == NULL)
        end_without_memory();
    *capacity = wanted;
    return grown;
}

char *copy_string(const char *string)
{
    char *copy = strdup(string);
    if (copy == NULL)
        end_without_memory();
    return copy;
}

void buffer_add(buffer *to, const void *bytes, size_t size)
{
    if (size >= SIZE_MAX - to->size)
        end_without_memory();
    to->bytes = grow(to->bytes, &to->capacity, to->size + size + 1, 1);
    if (size > 0)
        memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
    to->bytes[to->size] = '\0';
}

void buffer_add_string(buffer *to, const char *string)
{
    buffer_add(to, string, strlen(string));
}

__attribute__((format(printf, 2, 0))) static void format_arguments(buffer *to, const char *format,
                                                                   va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    if (size < 0)
        end_without_memory();
    to->bytes = grow(to->bytes, &to->capacity, to->size + (size_t)size + 1, 1);
    vsnprintf(to->bytes + to->size, (size_t)size + 1, format, again);
    to->size += (size_t)size;
    va_end(again);
}

void buffer_format(buffer *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    format_arguments(to, format, arguments);
    va_end(arguments);
}

void buffer_clear(buffer *of)
{
    of->size = 0;
    if (of->bytes != NULL)
        of->bytes[0] = '\0';
}

void buffer_dispose(buffer *of)
{
    free(of->bytes);
    *of = (buffer){ 0 };
}
