/**
 * @file subverb.h
 * Verbs of two words, such as `state get`. The first word is a group in the table of verbs, which
 * has a table of its own with them: entries like all others, with both words in their names.
 */
#ifndef STELE_TOOLS_SUBVERB_H
#define STELE_TOOLS_SUBVERB_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"
#include "commands.h"

/** The verb of `group` with the second word `word`, or NULL. */
const command *find_subverb(const command *group, const char *word);

/** The second word of `verb`, which is one of `group`. */
const char *second_word(const command *group, const command *verb);

/** Add the second words of `group`, with blanks between. */
void add_second_words(buffer *to, const command *group);

/** Explain `group`: how its verbs are called, and what they do. */
void print_group_help(const command *group);

/** Report that `group` goes on with another word than `word`, which is NULL when there was none. */
void report_wrong_subverb(const command *group, const char *word);

#endif
