/**
 * @file suggest.h
 * "Did you mean": the known word nearest to a mistyped one.
 */
#ifndef STELE_TOOLS_SUGGEST_H
#define STELE_TOOLS_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Find the word of `words` (blanks between) that `typed` was likely meant to be.
 *
 * @param meant_out Receives the word and a NUL; words that don't fit are passed over.
 * @return False when none is near.
 */
bool suggest_word(const char *typed, const char *words, char *meant_out, size_t capacity);

#endif
