/**
 * @file tests/fuzz/plain_cbor.h
 * Strict CBOR once more, written straight from RFC 8949: slow, recursive, and without any code of
 * the library, so that the two can be compared.
 */
#ifndef STELE_TESTS_FUZZ_PLAIN_CBOR_H
#define STELE_TESTS_FUZZ_PLAIN_CBOR_H

#include <stele/cbor.h>

/** What stele_cbor_check() has to answer: STELE_OK, STELE_INVALID or STELE_TOO_LARGE. */
stele_status plain_cbor_check(const void *data, size_t size, const stele_cbor_options *options);

#endif
