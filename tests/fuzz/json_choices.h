/**
 * @file tests/fuzz/json_choices.h
 * The options that the first two bytes of an input stand for.
 */
#ifndef STELE_TESTS_FUZZ_JSON_CHOICES_H
#define STELE_TESTS_FUZZ_JSON_CHOICES_H

#include <stele/json.h>

#include "fuzz.h"

enum { DEEPEST_CHOICE = 300 };

static inline stele_json_options choose_json_options(const uint8_t bytes[2])
{
    static const uint32_t depths[16] = {
        64, 0, 1, 2, 3, 4, 7, 8, 63, 65, 100, 200, DEEPEST_CHOICE
    };
    static const uint32_t sizes[16] = { 16 * 1024 * 1024, 0, 1, 2, 8, 64, 256, 1024 };
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    options.depth_max = depths[choice_of(bytes[0])];
    options.size_max = sizes[choice_of(bytes[1])];
    return options;
}

#endif
