/**
 * @file escape.h
 * Text of strangers on somebody's terminal: what could move the cursor, change colours or reverse
 * the order of letters is shown as an escape, never sent.
 */
#ifndef STELE_TOOLS_ESCAPE_H
#define STELE_TOOLS_ESCAPE_H

#include <stddef.h>

#include "buffer.h"

/** Where a text goes. */
typedef enum escape_for {
    ESCAPE_FOR_PEOPLE,      /**< Controls, direction marks and broken UTF-8 as \n, \xNN, \u{N}. */
    ESCAPE_FOR_TSV,         /**< Tab, newline, return and backslash as \t \n \r \\; else as is. */
    ESCAPE_FOR_TSV_TERMINAL /**< Both. */
} escape_for;

/** Add `text` to `to`, safe for where it goes. */
void escape_text(buffer *to, const char *text, size_t size, escape_for where);

/**
 * Add the JSON text `json` to `to`, safe for a terminal and still the same JSON: inside strings
 * \uXXXX, and blanks for the white space between.
 */
void escape_json(buffer *to, const char *json, size_t size);

/** How many columns of a terminal the escaped `text` takes. */
size_t text_width(const char *text, size_t size);

/** How many bytes of the escaped `text` fit into `width` columns. */
size_t text_fit(const char *text, size_t size, size_t width);

#endif
