/**
 * @file operand.h
 * DATA on the command line: the text itself, or `-` for what standard input has.
 */
#ifndef STELE_TOOLS_OPERAND_H
#define STELE_TOOLS_OPERAND_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"

/**
 * The bytes that the operand `data` stands for; NULL stands for none.
 *
 * @param size_max Standard input is read to its end, or to just beyond this.
 * @param is_line  The newline at its end belongs to the line, not to the data.
 * @param input    Holds what was read.
 * @return False when standard input can't be read, which has been reported.
 */
bool take_data(const char *data, size_t size_max, bool is_line, buffer *input,
               const void **bytes_out, size_t *size_out);

#endif
