/**
 * @file help.h
 * What the table of verbs says, for people.
 */
#ifndef STELE_TOOLS_HELP_H
#define STELE_TOOLS_HELP_H

#include "buffer.h"
#include "commands.h"

/** List all verbs. */
void print_help(void);

/** Explain `verb`. */
void print_verb_help(const command *verb);

/** Name a verb, and what it does, in a line of a list. */
void print_verb_line(const char *name, const char *what);

/** Add a line for each form of `verb`: how it is called. The first begins with `before`, the others
 * with as many blanks. */
void add_synopsis(buffer *to, const command *verb, const char *before);

#endif
