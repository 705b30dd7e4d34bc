/**
 * @file tests/effort.h
 * How hard a harness tries, and where its chances come from.
 *
 * STELE_EFFORT=long tries much more; STELE_SEED=N repeats a run.
 */
#ifndef STELE_TESTS_EFFORT_H
#define STELE_TESTS_EFFORT_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline bool effort_is_long(void)
{
    const char *wanted = getenv("STELE_EFFORT");
    return wanted != NULL && strcmp(wanted, "long") == 0;
}

/* A sanitizer makes everything some times slower: beside it a harness makes one of so many runs. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { EFFORT_SHARE = 4 };
#else
enum { EFFORT_SHARE = 1 };
#endif

/* How many runs a harness makes: `ci` without a word, `longer` when STELE_EFFORT is long. */
static inline int effort_of(int ci, int longer)
{
    int share = ci / EFFORT_SHARE;
    if (effort_is_long())
        return longer;
    return share < 1 ? 1 : share;
}

static uint64_t chance_state = 1;

static inline void seed_chance(uint64_t seed)
{
    chance_state = seed * 0x9e3779b97f4a7c15u + 1;
    if (chance_state == 0)
        chance_state = 1;
}

/* The seed of this run, which the harness prints. */
static inline uint64_t choose_seed(void)
{
    const char *given = getenv("STELE_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10)
                                  : (uint64_t)time(NULL) * 1000 + (uint64_t)getpid() % 1000;
    seed_chance(seed);
    return seed;
}

static inline uint64_t next_chance(void)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return chance_state;
}

/* True once in `times`, on average. */
static inline bool one_in(uint64_t times)
{
    return (next_chance() >> 11) % times == 0;
}

/* The next point of a sweep over all of them; beside a sanitizer one of so many, by chance. */
static inline int64_t next_point(int64_t point)
{
    return point + 1 + (int64_t)((next_chance() >> 11) % (2 * EFFORT_SHARE - 1));
}

#endif
