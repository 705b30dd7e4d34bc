/*
 * Numbers as text and back, exactly and whatever the locale: the shortest text that reads back the
 * same, and the nearest number to a text.
 */
#ifndef STELE_CODEC_NUMBER_H
#define STELE_CODEC_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STELE__NUMBER_SIZE = 40 /* room for any number as text, with its NUL */
};

#define STELE__SAFE_INTEGER_MAX UINT64_C(9007199254740991) /* 2^53 - 1 */

/* What became of a text that was read as a number. */
typedef enum stele__number {
    STELE__NUMBER_OK,
    STELE__NUMBER_BEYOND, /* as infinity, or as 0 although a digit of it isn't: not `value` */
    STELE__NUMBER_NONE    /* JSON has no such number */
} stele__number;

/*
 * Write a finite number as JSON has it, in the fewest digits that are read back as the same double
 * (or float); of several such texts the nearest one. Integers below 2^53 (2^24 of a float) without
 * a point or exponent, and only those that are exact; -0 as "-0". From 2^53 on with an exponent, so
 * that nobody takes what may have been rounded for an integer; below 0.000001 too. Returns the
 * size; a NUL follows.
 */
size_t stele__double_write(double value, char out[STELE__NUMBER_SIZE]);
size_t stele__float_write(float value, char out[STELE__NUMBER_SIZE]);
size_t stele__unsigned_write(uint64_t value, bool negative, char out[STELE__NUMBER_SIZE]);

/* Read a JSON number of any length, correctly rounded to the nearest double (or float). */
stele__number stele__double_read(const char *text, size_t size, double *value_out);
stele__number stele__float_read(const char *text, size_t size, float *value_out);

/* Read `-?(0|[1-9][0-9]*)` and nothing else; BEYOND when the magnitude is more than 64 bits. */
stele__number stele__integer_read(const char *text, size_t size, bool *negative_out,
                                  uint64_t *magnitude_out);

#endif
