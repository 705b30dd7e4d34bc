/* The row of a snapshot, between the files of this area. */
#ifndef STELE_SNAPSHOT_ROW_H
#define STELE_SNAPSHOT_ROW_H

#include <stele/snapshot.h>

#include "sqlite/statement.h"
#include "store/names.h"
#include "store/store.h"

/* What is read of a row before it is known whether its data is wanted. Texts are borrowed from the
 * statement that it was read with, and are never NULL. */
typedef struct stele__snapshot_row {
    int64_t id;
    int64_t stream;
    const char *name;
    int64_t version;
    const char *epoch;
    int64_t schema_version;
    int64_t codec;
    int64_t saved_at;
    int64_t checksum;
} stele__snapshot_row;

/* What a SELECT must list first for stele__snapshot_row_read(). */
#define STELE__SNAPSHOT_COLUMNS                                                                    \
    "s.id, s.stream, s.name, s.version, s.epoch, s.schema_version, s.codec, s.saved_at, "          \
    "s.checksum"

/* How many these are. */
#define STELE__SNAPSHOT_COLUMN_COUNT 9

/* What was saved. */
typedef struct stele__snapshot_content {
    const void *data;
    size_t data_size;
    const void *metadata;
    size_t metadata_size;
} stele__snapshot_content;

void stele__snapshot_row_read(stele__statement *statement, stele__snapshot_row *row_out);

int64_t stele__snapshot_checksum(const stele__snapshot_row *row, const char *codec,
                                 const stele__snapshot_content *content);

/*
 * The data and metadata, which lie in the statement's columns from `column` on: OK when they and
 * the row are what was saved, else CORRUPT. What is given out is borrowed from the statement and
 * the names of the connection.
 */
stele_status stele__snapshot_prove(stele__connection *connection, const stele__snapshot_row *row,
                                   stele__statement *statement, int column, const char **codec_out,
                                   stele__snapshot_content *content_out);

/* The same, read by a statement of its own, which the caller ends whatever the status: what isn't
 * to be had of the file because of damage is CORRUPT, too. */
stele_status stele__snapshot_content_read(stele__connection *connection,
                                          const stele__snapshot_row *row,
                                          stele__statement **statement_out, const char **codec_out,
                                          stele__snapshot_content *content_out);

/* Delete the row `id`. Inside a write transaction. */
stele_status stele__snapshot_row_delete(stele__connection *connection, int64_t id);

/* What was changed by the statement that ran last. */
stele_status stele__snapshot_count_changes(stele__connection *connection, int64_t *count_out);

/* The name of a fold that was given, or "state". MISUSE for none. */
stele_status stele__snapshot_check_names(const char *stream, const char **name);

#endif
