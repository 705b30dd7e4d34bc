/**
 * @file records.h
 * Events as rows. In json and jsonl a row is the very line that export writes.
 */
#ifndef STELE_TOOLS_RECORDS_H
#define STELE_TOOLS_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include <stele.h>

#include "output.h"
#include "report.h"

/** Writes records as rows. */
typedef struct records {
    output *out;
    stele_exporter *exporter; /**< For json and jsonl. */
    stele_store *types;       /**< Whose types the data is shown by; NULL: as it is stored. */
    stele_decoded *decoded;
    stele_buffer text;
    uint64_t undecoded; /**< Shown as they are stored, though there are types. */
} records;

/** Whether the rows of `out` will show idempotency keys, so that the read must look them up. */
bool records_show_keys(const output *out);

/**
 * Begin rows of records.
 *
 * @param types In table and plain, show the data decoded by what is registered on this store; what
 *              can't be decoded is shown as it is stored. NULL: all is.
 * @return EXIT_OK, or how the tool ends (reported). End them after EXIT_OK.
 */
exit_code records_begin(records *of, output *out, stele_store *types);

/** Write `record`. @return STELE_OK, STELE_DONE when nobody reads it any more, or a failure. */
stele_status records_write(records *of, const stele_record *record);

/** End the rows. */
void records_end(records *of);

#endif
