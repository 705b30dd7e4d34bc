#include "base/bytes.h"

#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <stele/store.h>

#include "base/failure.h"
#include "base/memory.h"

stele_status stele__buffer_reserve(stele__buffer *buffer, size_t size)
{
    if (size <= buffer->capacity - buffer->size)
        return STELE_OK;
    if (size > SIZE_MAX / 4 - buffer->size)
        return stele__fail(STELE_NO_MEMORY, "no memory for %zu more bytes", size);

    size_t capacity = buffer->capacity < 256 ? 256 : buffer->capacity;
    while (capacity - buffer->size < size)
        capacity *= 2;
    char *data = stele__reallocate(buffer->data, capacity);
    if (data == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for %zu bytes", capacity);
    buffer->data = data;
    buffer->capacity = capacity;
    return STELE_OK;
}

stele_status stele__buffer_add(stele__buffer *buffer, const void *data, size_t size)
{
    stele_status status = stele__buffer_reserve(buffer, size);
    if (status != STELE_OK)
        return status;
    if (size > 0)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return STELE_OK;
}

stele_status stele__buffer_add_text(stele__buffer *buffer, const char *text)
{
    return stele__buffer_add(buffer, text, strlen(text));
}

void stele__buffer_dispose(stele__buffer *buffer)
{
    stele__free(buffer->data);
    *buffer = (stele__buffer){ 0 };
}

void stele_buffer_init(stele_buffer *buffer)
{
    if (buffer != NULL)
        *buffer = (stele_buffer)STELE_BUFFER_INIT;
}

stele_status stele_buffer_add(stele_buffer *buffer, const void *data, size_t size)
{
    if (buffer == NULL || (data == NULL && size > 0))
        return stele__fail(STELE_MISUSE, "stele_buffer_add: a NULL argument");
    return stele__buffer_add(buffer, data, size);
}

void stele_buffer_dispose(stele_buffer *buffer)
{
    if (buffer != NULL)
        stele__buffer_dispose(buffer);
}

size_t stele__utf8_sequence(const unsigned char *text, size_t size)
{
    if (size == 0)
        return 0;
    unsigned char lead = text[0];
    if (lead < 0x80)
        return 1;

    /* The second byte's range rules out overlong forms, surrogates and what is beyond U+10FFFF. */
    size_t length = lead >= 0xc2 && lead <= 0xdf   ? 2
                    : lead >= 0xe0 && lead <= 0xef ? 3
                    : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                   : 0;
    if (length == 0 || size < length)
        return 0;
    unsigned char lowest = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char highest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < lowest || text[1] > highest)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (text[i] < 0x80 || text[i] > 0xbf)
            return 0;
    return length;
}

bool stele__utf8_valid(const void *text, size_t size)
{
    const unsigned char *at = text;
    for (size_t i = 0; i < size;) {
        uint64_t eight = UINT64_C(0x80);
        if (size - i >= sizeof(eight))
            memcpy(&eight, at + i, sizeof(eight));
        if ((eight & UINT64_C(0x8080808080808080)) == 0) { /* all ASCII, as most texts are */
            i += sizeof(eight);
            continue;
        }
        size_t sequence = stele__utf8_sequence(at + i, size - i);
        if (sequence == 0)
            return false;
        i += sequence;
    }
    return true;
}

size_t stele__utf8_cut(const char *text, size_t size, size_t size_max)
{
    if (size <= size_max)
        return size;
    while (size_max > 0 && ((unsigned char)text[size_max] & 0xc0) == 0x80)
        size_max--;
    return size_max;
}

bool stele__take_text(const char **at, const char *text)
{
    size_t size = strlen(text);
    if (strncmp(*at, text, size) != 0)
        return false;
    *at += size;
    return true;
}

bool stele__take_number(const char **at, int64_t *number_out)
{
    const char *digits = **at == '-' ? *at + 1 : *at;
    char *end = NULL;
    if (*digits < '0' || *digits > '9')
        return false;
    errno = 0;
    long long number = strtoll(*at, &end, 10);
    if (errno != 0)
        return false;
    *number_out = number;
    *at = end;
    return true;
}

stele_status stele__check_name(const char *what, const char *name)
{
    return stele__check_name_within(what, name, STELE_NAME_SIZE_MAX);
}

stele_status stele__check_name_within(const char *what, const char *name, size_t size_max)
{
    if (name == NULL)
        return stele__fail(STELE_MISUSE, "the %s is NULL", what);
    const char *end = memchr(name, '\0', size_max + 1);
    size_t size = end == NULL ? 0 : (size_t)(end - name);
    if (end == name)
        return stele__fail(STELE_MISUSE, "the %s is empty", what);
    if (end == NULL)
        return stele__fail(STELE_MISUSE, "the %s is longer than %zu bytes", what, size_max);

    const unsigned char *text = (const unsigned char *)name;
    for (size_t i = 0; i < size;) {
        if (text[i] >= 0x20 && text[i] < 0x7f) {
            i++;
            continue;
        }
        size_t sequence = stele__utf8_sequence(text + i, size - i);
        if (sequence == 0)
            return stele__fail(STELE_MISUSE, "the %s '%s' is not UTF-8 at byte %zu", what, name, i);
        if (text[i] < 0x20 || text[i] == 0x7f || (text[i] == 0xc2 && text[i + 1] < 0xa0))
            return stele__fail(STELE_MISUSE, "the %s '%s' has a control character at byte %zu",
                               what, name, i);
        i += sequence;
    }
    return STELE_OK;
}
