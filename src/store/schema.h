/* The file format on one page: its tables, and whether a file has exactly them. */
#ifndef STELE_STORE_SCHEMA_H
#define STELE_STORE_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "sqlite/database.h"

/* "STEL" in the header of the file. */
#define STELE__APPLICATION_ID 0x5354454c

/* What a file turns out to be. */
typedef enum stele__file_kind {
    STELE__FILE_EMPTY,  /* nothing in it yet */
    STELE__FILE_CURRENT /* ours, of STELE_FORMAT */
} stele__file_kind;

/* OK; CORRUPT (not ours, or not a database); UNSUPPORTED (a newer format); BUSY, IO. */
stele_status stele__schema_recognize(stele__database *database, stele__file_kind *kind_out);

/* Create what is missing, in one transaction; an up to date file stays as it is. */
stele_status stele__schema_migrate(stele__database *database);

/*
 * Compare our objects exactly, and look for foreign ones: CORRUPT when one of ours is changed or
 * missing, or something of others hangs on ours. `strict` refuses every foreign object.
 */
stele_status stele__schema_compare(stele__database *database, bool strict, bool *foreign_out);

/*
 * The same inside a transaction of an open store, and at no cost but one small question while the
 * schema is the one last found good: `*cookie` is its number (0: none yet), and moves on OK alone.
 * A transaction that may be rolled back has to keep the number to itself until it is committed:
 * the next change by another will have the same.
 *
 * `foreign_out` may be NULL; it is left alone when nothing was compared. OK; CORRUPT, as above.
 */
stele_status stele__schema_recheck(stele__database *database, uint32_t *cookie, bool strict,
                                   bool *foreign_out);

/* Triggers and views that are not ours, and so do nothing on our connections. */
stele_status stele__schema_count_silenced(stele__database *database, int64_t *count_out);

/* Whether a table, index or view of this name is ours; SQLite's way of comparing names. */
bool stele__schema_is_ours(const char *name);

#endif
