/**
 * @file tests/cbor_oracle.h
 * The rules of stele/cbor.h said once more, in the plainest way: recursion, and keys compared each
 * with each. It says whether, not where; it only reads payloads of a few kilobytes.
 */
#ifndef STELE_TESTS_CBOR_ORACLE_H
#define STELE_TESTS_CBOR_ORACLE_H

#include "cbor_bytes.h"

typedef struct cbor_oracle {
    const unsigned char *data;
    size_t size;
    size_t at;
    stele_status verdict; /* what it ended with */
} cbor_oracle;

static inline bool oracle_refuses(cbor_oracle *oracle, stele_status status)
{
    oracle->verdict = status;
    return false;
}

/* A character at a time, by its value. */
static inline bool oracle_reads_utf8(const unsigned char *text, size_t size)
{
    static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };
    for (size_t i = 0; i < size;) {
        unsigned lead = text[i++];
        unsigned more = lead < 0x80           ? 0
                        : (lead >> 5) == 0x06 ? 1
                        : (lead >> 4) == 0x0e ? 2
                        : (lead >> 3) == 0x1e ? 3
                                              : 9;
        if (more == 9 || more > size - i)
            return false;
        uint32_t value = more == 0 ? lead : lead & (0x3fu >> more);
        for (unsigned n = 0; n < more; n++, i++) {
            if ((text[i] & 0xc0) != 0x80)
                return false;
            value = value << 6 | (text[i] & 0x3f);
        }
        if (value < smallest[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
            return false;
    }
    return true;
}

/* Major type, additional information and argument; not whether they may stand there. */
static inline bool oracle_reads_head(cbor_oracle *oracle, unsigned *major, unsigned *info,
                                     uint64_t *argument)
{
    if (oracle->at == oracle->size)
        return oracle_refuses(oracle, STELE_INVALID);
    unsigned byte = oracle->data[oracle->at++];
    *major = byte / 32;
    *info = byte % 32;
    *argument = *info;
    if (*info < 24)
        return true;
    if (*info == 28 || *info == 29 || *info == 30)
        return oracle_refuses(oracle, STELE_INVALID);
    if (*info == 31)
        return true;
    *argument = 0;
    for (unsigned more = 1u << (*info - 24); more > 0; more--) {
        if (oracle->at == oracle->size)
            return oracle_refuses(oracle, STELE_INVALID);
        *argument = *argument * 256 + oracle->data[oracle->at++];
    }
    return true;
}

/* A definite string, whose content goes to `content` if that isn't NULL. */
static inline bool oracle_reads_content(cbor_oracle *oracle, unsigned major, uint64_t size,
                                        stele_buffer *content)
{
    if (size > oracle->size - oracle->at)
        return oracle_refuses(oracle, STELE_INVALID);
    const unsigned char *text = oracle->data + oracle->at;
    if (major == 3 && !oracle_reads_utf8(text, (size_t)size))
        return oracle_refuses(oracle, STELE_INVALID);
    if (content != NULL)
        put_raw(content, text, (size_t)size);
    oracle->at += (size_t)size;
    return true;
}

static inline bool oracle_reads_string(cbor_oracle *oracle, unsigned major, unsigned info,
                                       uint64_t size, stele_buffer *content)
{
    if (info != 31)
        return oracle_reads_content(oracle, major, size, content);
    for (;;) {
        unsigned chunk_major;
        if (!oracle_reads_head(oracle, &chunk_major, &info, &size))
            return false;
        if (chunk_major == 7 && info == 31)
            return true;
        if (chunk_major != major || info == 31)
            return oracle_refuses(oracle, STELE_INVALID);
        if (!oracle_reads_content(oracle, major, size, content))
            return false;
    }
}

static inline bool oracle_reads_item(cbor_oracle *oracle, unsigned depth);

/* A key, in its one form, to `key`. */
static inline bool oracle_reads_key(cbor_oracle *oracle, stele_buffer *key)
{
    unsigned major;
    unsigned info;
    uint64_t argument;
    if (!oracle_reads_head(oracle, &major, &info, &argument))
        return false;
    if (major > 3 || (major < 2 && info == 31))
        return oracle_refuses(oracle, STELE_INVALID);
    if (major < 2) {
        put_head(key, major, argument);
        return true;
    }
    put_byte(key, major << 5 | 31);
    return oracle_reads_string(oracle, major, info, argument, key);
}

static inline bool oracle_sees_break(const cbor_oracle *oracle)
{
    return oracle->at < oracle->size && oracle->data[oracle->at] == 0xff;
}

static inline bool oracle_reads_map(cbor_oracle *oracle, unsigned depth, bool indefinite,
                                    uint64_t pairs)
{
    enum { PAIRS_MAX = 4096 };
    stele_buffer *keys = calloc(PAIRS_MAX, sizeof(*keys));
    size_t count = 0;
    bool good = keys != NULL;
    while (good && (indefinite ? !oracle_sees_break(oracle) : count < pairs)) {
        ck_assert_uint_lt(count, PAIRS_MAX);
        stele_buffer *key = &keys[count++];
        good = oracle_reads_key(oracle, key);
        for (size_t i = 0; good && i + 1 < count; i++) {
            if (keys[i].size == key->size && memcmp(keys[i].data, key->data, key->size) == 0)
                good = oracle_refuses(oracle, STELE_INVALID);
        }
        good = good && oracle_reads_item(oracle, depth);
    }
    oracle->at += good && indefinite;
    for (size_t i = 0; i < count; i++)
        stele_buffer_dispose(&keys[i]);
    free(keys);
    return good;
}

static inline bool oracle_reads_array(cbor_oracle *oracle, unsigned depth, bool indefinite,
                                      uint64_t items)
{
    for (uint64_t i = 0; indefinite ? !oracle_sees_break(oracle) : i < items; i++) {
        if (!oracle_reads_item(oracle, depth))
            return false;
    }
    oracle->at += indefinite;
    return true;
}

static inline bool oracle_reads_item(cbor_oracle *oracle, unsigned depth)
{
    unsigned major;
    unsigned info;
    uint64_t argument;
    if (!oracle_reads_head(oracle, &major, &info, &argument))
        return false;
    bool indefinite = info == 31;
    size_t left = oracle->size - oracle->at;
    if ((indefinite && (major < 2 || major > 5)) || (major == 7 && info == 24 && argument < 32))
        return oracle_refuses(oracle, STELE_INVALID);
    if (!indefinite
        && ((major == 4 && argument > left)
            || (major == 5 && (argument > left || 2 * argument > left))))
        return oracle_refuses(oracle, STELE_INVALID);
    if (major >= 4 && major <= 6 && depth == 64)
        return oracle_refuses(oracle, STELE_TOO_LARGE);
    switch (major) {
    case 2:
    case 3: return oracle_reads_string(oracle, major, info, argument, NULL);
    case 4: return oracle_reads_array(oracle, depth + 1, indefinite, argument);
    case 5: return oracle_reads_map(oracle, depth + 1, indefinite, argument);
    case 6: return oracle_reads_item(oracle, depth + 1);
    default: return true;
    }
}

/* What stele_cbor_check() ought to say. */
static inline stele_status ask_oracle(const void *data, size_t size)
{
    cbor_oracle oracle = { .data = data, .size = size };
    if (oracle_reads_item(&oracle, 0))
        return oracle.at == size ? STELE_OK : STELE_INVALID;
    return oracle.verdict;
}

#endif
