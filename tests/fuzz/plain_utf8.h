/**
 * @file tests/fuzz/plain_utf8.h
 * One character of UTF-8: decoded, and judged by its number.
 */
#ifndef STELE_TESTS_FUZZ_PLAIN_UTF8_H
#define STELE_TESTS_FUZZ_PLAIN_UTF8_H

#include <stdbool.h>
#include <stdint.h>

/* Moves `*at`, which is before `end`, over the bytes that were looked at. */
static inline bool read_utf8(const unsigned char **at, const unsigned char *end, uint32_t *code_out)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    uint32_t lead = *(*at)++;
    unsigned more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if ((lead >= 0x80 && lead < 0xc0) || lead >= 0xf8)
        return false;
    uint32_t code = more == 0 ? lead : lead & (0x3fu >> more);
    for (unsigned i = 0; i < more; i++) {
        if (*at == end || (**at & 0xc0) != 0x80)
            return false;
        code = code << 6 | (*(*at)++ & 0x3fu);
    }
    *code_out = code;
    return code >= least[more] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

#endif
