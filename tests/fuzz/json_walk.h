/**
 * @file tests/fuzz/json_walk.h
 * Walking over a text with a reader, and all that must hold on the way.
 */
#ifndef STELE_TESTS_FUZZ_JSON_WALK_H
#define STELE_TESTS_FUZZ_JSON_WALK_H

#include <stele/json.h>

/** An input of the JSON gate. */
typedef struct json_input {
    const char *text;
    size_t size;
    stele_json_options options;
} json_input;

/**
 * Walk to the end or the first refusal: tokens lie in the text and follow each other, brackets
 * balance, strings and integers are what they say.
 *
 * @return STELE_OK, or what the reader refused it with.
 */
stele_status walk_json(stele_json_reader *reader, const json_input *input);

/** Walk an accepted text and skip each value at `level`, which must be a JSON text by itself. */
void skip_json(stele_json_reader *reader, const json_input *input, uint32_t level);

#endif
