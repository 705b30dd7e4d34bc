#include "base/checksum.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t stele__hash(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

uint64_t stele__hash_with(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

void stele__digest_init(stele__digest *digest)
{
    digest->seed = 0;
    digest->size = 0;
}

void stele__digest_fold(stele__digest *digest)
{
    digest->seed = stele__hash_with(digest->buffer, digest->size, digest->seed);
    digest->size = 0;
}

void stele__digest_bytes(stele__digest *digest, const void *data, size_t size)
{
    stele__digest_number(digest, (int64_t)size);
    if (size > sizeof(digest->buffer) - digest->size)
        stele__digest_fold(digest);
    if (size > sizeof(digest->buffer)) {
        digest->seed = stele__hash_with(data, size, digest->seed);
    } else if (size > 0) {
        memcpy(digest->buffer + digest->size, data, size);
        digest->size += size;
    }
}

void stele__digest_text(stele__digest *digest, const char *text)
{
    stele__digest_bytes(digest, text, text == NULL ? 0 : strlen(text));
}

uint64_t stele__digest_end(stele__digest *digest)
{
    return stele__hash_with(digest->buffer, digest->size, digest->seed);
}
