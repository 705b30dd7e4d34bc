/* Reproducible randomness: everything a run does follows from one 64-bit seed. */
#ifndef STELE_TESTS_CRASH_RANDOM_H
#define STELE_TESTS_CRASH_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct random_source {
    uint64_t state;
} random_source;

/* The splitmix64 sequence: any state is a good one. */
static inline uint64_t random_next(random_source *source)
{
    uint64_t mixed = source->state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

/* From 0 to `bound` - 1; `bound` is small against 2^64. */
static inline uint64_t random_below(random_source *source, uint64_t bound)
{
    return random_next(source) % bound;
}

/* True in `parts` of `whole` cases. */
static inline bool random_chance(random_source *source, uint64_t parts, uint64_t whole)
{
    return random_below(source, whole) < parts;
}

/* A seed that depends on both. */
static inline uint64_t random_mix(uint64_t seed, uint64_t index)
{
    random_source source = { seed ^ (index * UINT64_C(0xd6e8feb86659fd93)) };
    random_next(&source);
    return random_next(&source);
}

#endif
