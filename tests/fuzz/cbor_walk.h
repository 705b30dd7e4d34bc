/**
 * @file tests/fuzz/cbor_walk.h
 * Walking over a payload with a reader, and all that must hold on the way.
 */
#ifndef STELE_TESTS_FUZZ_CBOR_WALK_H
#define STELE_TESTS_FUZZ_CBOR_WALK_H

#include <stele/cbor.h>

/** An input of the CBOR gate. */
typedef struct cbor_input {
    const unsigned char *data;
    size_t size;
    stele_cbor_options options;
} cbor_input;

enum {
    DEEPEST_CBOR = 300 /* of all options that a target chooses */
};

/**
 * Walk an accepted payload to its end: tokens lie in it and follow each other, what is begun is
 * ended after as many items as were announced, texts and bytes are what they say.
 *
 * @param before What is in each byte of a token before it is filled in.
 * @return A number that differs when another walk met something else.
 */
uint64_t walk_cbor(stele_cbor_reader *reader, const cbor_input *input, int before);

/** Walk an accepted payload and skip each value at `level`, which must be CBOR by itself. */
void skip_cbor(stele_cbor_reader *reader, const cbor_input *input, uint32_t level);

#endif
