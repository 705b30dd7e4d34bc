/* What writing and reading numbers know of their bits. */
#ifndef STELE_CODEC_NUMBER_FORMAT_H
#define STELE_CODEC_NUMBER_FORMAT_H

#include <stdint.h>

/* A float or double. */
typedef struct stele__number_format {
    unsigned mantissa_bits;
    int exponent_min;  /* of 2: what the lowest bit of a subnormal mantissa stands for */
    uint64_t infinity; /* its bits */
} stele__number_format;

extern const stele__number_format stele__double_format;
extern const stele__number_format stele__float_format;

#endif
