/*
 * Whole numbers of a few thousand bits, for what becomes of a number as text: just the steps that
 * number.c takes.
 */
#ifndef STELE_CODEC_BIG_H
#define STELE_CODEC_BIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* 769 digits are 2555 bits; a divisor, 5 to at most 1100, is 2555, and a quotient 64 more. */
    STELE__BIG_WORDS = 88
};

/* Least significant word first, the last one is not 0; no words are 0. */
typedef struct stele__big {
    size_t count;
    uint32_t words[STELE__BIG_WORDS];
} stele__big;

void stele__big_set(stele__big *big, uint64_t value);
void stele__big_copy(stele__big *big, const stele__big *from);
size_t stele__big_bits(const stele__big *big);
int stele__big_compare(const stele__big *left, const stele__big *right);

/* big = big * factor + more */
void stele__big_multiply(stele__big *big, uint32_t factor, uint32_t more);
void stele__big_multiply_64(stele__big *big, uint64_t factor);
/* big = big * 5 to `exponent` */
void stele__big_multiply_power(stele__big *big, unsigned exponent);
void stele__big_add(stele__big *big, const stele__big *other);
void stele__big_shift_left(stele__big *big, size_t bits);

/* The 64 highest bits, the first of them set; are bits lost that aren't 0? Not of 0. */
uint64_t stele__big_top(const stele__big *big, bool *lost_out);

/* By how many bits to shift a divisor, and with it all that is compared to it. Not of 0. */
size_t stele__big_alignment(const stele__big *divisor);
/* The quotient, which must have at most 64 bits; `big` becomes the remainder. `divisor` is aligned.
 */
uint64_t stele__big_divide(stele__big *big, const stele__big *divisor);

#endif
