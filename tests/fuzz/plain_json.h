/**
 * @file tests/fuzz/plain_json.h
 * Strict JSON once more, written straight from the grammar: slow, recursive, and without any code
 * of the library, so that the two can be compared.
 */
#ifndef STELE_TESTS_FUZZ_PLAIN_JSON_H
#define STELE_TESTS_FUZZ_PLAIN_JSON_H

#include <stele/json.h>

/** What stele_json_check() has to answer: STELE_OK, STELE_INVALID or STELE_TOO_LARGE. */
stele_status plain_json_check(const void *text, size_t size, const stele_json_options *options);

#endif
