#include "codec/big.h"

#include <assert.h>
#include <string.h>

static void drop_big_zeros(stele__big *big)
{
    while (big->count > 0 && big->words[big->count - 1] == 0)
        big->count--;
}

static void push_big_word(stele__big *big, uint32_t word)
{
    assert(big->count < STELE__BIG_WORDS);
    big->words[big->count++] = word;
}

void stele__big_set(stele__big *big, uint64_t value)
{
    big->count = 2;
    big->words[0] = (uint32_t)value;
    big->words[1] = (uint32_t)(value >> 32);
    drop_big_zeros(big);
}

void stele__big_copy(stele__big *big, const stele__big *from)
{
    big->count = from->count;
    memcpy(big->words, from->words, from->count * sizeof from->words[0]);
}

static size_t count_word_bits(uint32_t word)
{
    size_t bits = 0;
    for (size_t step = 16; step > 0; step /= 2) {
        if (word >> step != 0) {
            word >>= step;
            bits += step;
        }
    }
    return bits + word;
}

size_t stele__big_bits(const stele__big *big)
{
    if (big->count == 0)
        return 0;
    return (big->count - 1) * 32 + count_word_bits(big->words[big->count - 1]);
}

int stele__big_compare(const stele__big *left, const stele__big *right)
{
    if (left->count != right->count)
        return left->count < right->count ? -1 : 1;
    for (size_t i = left->count; i-- > 0;) {
        if (left->words[i] != right->words[i])
            return left->words[i] < right->words[i] ? -1 : 1;
    }
    return 0;
}

void stele__big_multiply(stele__big *big, uint32_t factor, uint32_t more)
{
    uint64_t carry = more;
    for (size_t i = 0; i < big->count; i++) {
        carry += (uint64_t)big->words[i] * factor;
        big->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0)
        push_big_word(big, (uint32_t)carry);
    drop_big_zeros(big);
}

void stele__big_multiply_64(stele__big *big, uint64_t factor)
{
    stele__big high;
    stele__big_copy(&high, big);
    stele__big_multiply(&high, (uint32_t)(factor >> 32), 0);
    stele__big_shift_left(&high, 32);
    stele__big_multiply(big, (uint32_t)factor, 0);
    stele__big_add(big, &high);
}

void stele__big_multiply_power(stele__big *big, unsigned exponent)
{
    enum { MOST = 13 }; /* 5 to this fits into a word */
    static const uint32_t powers[MOST + 1] = { 1,       5,        25,        125,       625,
                                               3125,    15625,    78125,     390625,    1953125,
                                               9765625, 48828125, 244140625, 1220703125 };
    for (; exponent >= MOST; exponent -= MOST)
        stele__big_multiply(big, powers[MOST], 0);
    if (exponent > 0)
        stele__big_multiply(big, powers[exponent], 0);
}

void stele__big_add(stele__big *big, const stele__big *other)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < other->count || (carry != 0 && i < big->count); i++) {
        if (i == big->count)
            push_big_word(big, 0);
        carry += (uint64_t)big->words[i] + (i < other->count ? other->words[i] : 0);
        big->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0)
        push_big_word(big, (uint32_t)carry);
}

void stele__big_shift_left(stele__big *big, size_t bits)
{
    if (big->count == 0)
        return;
    size_t words = bits / 32;
    unsigned rest = (unsigned)(bits % 32);
    assert(big->count + words <= STELE__BIG_WORDS);

    memmove(big->words + words, big->words, big->count * sizeof big->words[0]);
    memset(big->words, 0, words * sizeof big->words[0]);
    big->count += words;
    if (rest == 0)
        return;
    uint32_t carry = 0;
    for (size_t i = words; i < big->count; i++) {
        uint32_t word = big->words[i];
        big->words[i] = word << rest | carry;
        carry = word >> (32 - rest);
    }
    if (carry != 0)
        push_big_word(big, carry);
}

uint64_t stele__big_top(const stele__big *big, bool *lost_out)
{
    assert(big->count > 0);
    uint64_t top = 0;
    size_t left = big->count;
    for (int i = 0; i < 2; i++)
        top = top << 32 | (left > 0 ? big->words[--left] : 0);

    *lost_out = false;
    unsigned missing = (unsigned)(32 - count_word_bits((uint32_t)(top >> 32)));
    if (missing > 0) {
        uint32_t next = left > 0 ? big->words[--left] : 0;
        top = top << missing | next >> (32 - missing);
        *lost_out = (uint32_t)(next << missing) != 0;
    }
    while (left > 0 && !*lost_out)
        *lost_out = big->words[--left] != 0;
    return top;
}

size_t stele__big_alignment(const stele__big *divisor)
{
    assert(divisor->count > 0);
    return divisor->count * 32 - stele__big_bits(divisor);
}

/* Take `factor` times the divisor off the words at `words`, one more than it has. False if that
 * was too much, and the borrow has left the top. */
static bool take_big_multiple(uint32_t *words, const stele__big *divisor, uint32_t factor)
{
    uint64_t product = 0;
    uint64_t borrow = 0;
    for (size_t i = 0; i <= divisor->count; i++) {
        product += i < divisor->count ? (uint64_t)divisor->words[i] * factor : 0;
        uint64_t difference = (uint64_t)words[i] - (uint32_t)product - borrow;
        words[i] = (uint32_t)difference;
        borrow = difference >> 63;
        product >>= 32;
    }
    return borrow == 0;
}

static bool put_big_divisor_back(uint32_t *words, const stele__big *divisor)
{
    uint64_t carry = 0;
    for (size_t i = 0; i <= divisor->count; i++) {
        carry += (uint64_t)words[i] + (i < divisor->count ? divisor->words[i] : 0);
        words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return carry != 0;
}

/*
 * Long division, a word of the quotient at a time. The first guess, from the highest words only, is
 * never too small, and too large by 2 at most because the divisor's highest bit is set.
 */
uint64_t stele__big_divide(stele__big *big, const stele__big *divisor)
{
    assert(divisor->count > 0 && divisor->words[divisor->count - 1] >> 31 == 1);
    if (big->count < divisor->count)
        return 0;
    assert(big->count < STELE__BIG_WORDS);
    uint64_t quotient = 0;
    uint32_t first = divisor->words[divisor->count - 1];
    big->words[big->count] = 0;

    for (size_t at = big->count - divisor->count + 1; at-- > 0;) {
        uint32_t *words = big->words + at;
        uint64_t highest = (uint64_t)words[divisor->count] << 32 | words[divisor->count - 1];
        uint64_t guess = highest / first;
        if (guess > UINT32_MAX)
            guess = UINT32_MAX;
        if (!take_big_multiple(words, divisor, (uint32_t)guess)) {
            do {
                guess--;
            } while (!put_big_divisor_back(words, divisor));
        }
        assert(quotient >> 32 == 0);
        quotient = quotient << 32 | guess;
    }
    drop_big_zeros(big);
    return quotient;
}
