/**
 * @file table.h
 * Aligned columns. Rows wait until enough are there to know how wide the columns are; from then on
 * the columns only widen. For output.c.
 */
#ifndef STELE_TOOLS_TABLE_H
#define STELE_TOOLS_TABLE_H

#include "output.h"

void table_begin(output *out);

/** Add a cell of the row, escaped. */
void table_add_cell(output *out, size_t index, const char *text, size_t size);

/** End the row. @return False when nobody takes the table any more. */
bool table_end_row(output *out);

/** Write the header if it wasn't, and the rows that wait. @return As table_end_row(). */
bool table_flush(output *out);

#endif
