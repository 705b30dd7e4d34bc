/**
 * @file tests/fuzz/fuzz.h
 * What the fuzzing targets share.
 *
 * A target is one function. It gets any bytes, does with them what the contract allows a stranger
 * to make a program do, and ends the process when an answer breaks the contract. The first two
 * bytes choose options, the rest is the input proper, so that a seed is readable: "00" is the
 * defaults.
 */
#ifndef STELE_TESTS_FUZZ_FUZZ_H
#define STELE_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stele/status.h>

/* What libFuzzer, or standalone.c, calls for each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* End the process unless `condition` holds. */
#define require(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            break_off(__FILE__, __LINE__, #condition);                                             \
    } while (0)

static inline _Noreturn void break_off(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: not so: %s\nlast failure: %s\n", file, line, condition,
            stele_error_text());
    abort();
}

/* Memory with nothing before or behind it, so that a sanitizer sees a byte too many. */
static inline void *take_memory(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);
    require(memory != NULL);
    return memory;
}

static inline void *copy_bytes(const void *bytes, size_t size)
{
    void *copy = take_memory(size);
    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

/* The low digit of what was chosen: '0' and NUL are both 0. */
static inline unsigned choice_of(uint8_t byte)
{
    return byte & 0x0fu;
}

/* Whether to try here what is bound to fail: making its text costs more than all the rest. */
static inline bool is_sample(size_t offset)
{
    return offset % 8 == 3;
}

#endif
