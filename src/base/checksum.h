/* XXH3-64, the one checksum of the file format. Its value is the same on every byte order. */
#ifndef STELE_BASE_CHECKSUM_H
#define STELE_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t stele__hash(const void *data, size_t size);
uint64_t stele__hash_with(const void *data, size_t size, uint64_t seed);

/*
 * Fields laid end to end as the file format defines them: numbers as 8 little-endian bytes, text
 * and bytes after their size as such a number. What doesn't fit the buffer is hashed on the way,
 * so any size goes.
 */
typedef struct stele__digest {
    uint64_t seed;
    size_t size;
    unsigned char buffer[1024];
} stele__digest;

void stele__digest_init(stele__digest *digest);
/* Hash what is there, and go on with an empty buffer. */
void stele__digest_fold(stele__digest *digest);

/* Here, and the stores written out so that compilers join them: every row that is read or written
 * has a dozen numbers. */
static inline void stele__digest_number(stele__digest *digest, int64_t number)
{
    if (sizeof(digest->buffer) - digest->size < 8)
        stele__digest_fold(digest);
    unsigned char *out = digest->buffer + digest->size;
    uint64_t bits = (uint64_t)number;
    out[0] = (unsigned char)bits;
    out[1] = (unsigned char)(bits >> 8);
    out[2] = (unsigned char)(bits >> 16);
    out[3] = (unsigned char)(bits >> 24);
    out[4] = (unsigned char)(bits >> 32);
    out[5] = (unsigned char)(bits >> 40);
    out[6] = (unsigned char)(bits >> 48);
    out[7] = (unsigned char)(bits >> 56);
    digest->size += 8;
}

void stele__digest_bytes(stele__digest *digest, const void *data, size_t size);
/* NULL counts as the empty text. */
void stele__digest_text(stele__digest *digest, const char *text);
uint64_t stele__digest_end(stele__digest *digest);

#endif
