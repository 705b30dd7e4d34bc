/*
 * Prepared statements, kept on their connection and borrowed for one use:
 *
 *     status = stele__statement_begin(database, SQL, &statement);
 *     stele__bind_number(statement, 1, id);
 *     while ((status = stele__statement_step(statement)) == STELE_OK) ...
 *     stele__statement_end(statement);
 *
 * A failed bind is reported by the next step. Columns count from 0, parameters from 1.
 */
#ifndef STELE_SQLITE_STATEMENT_H
#define STELE_SQLITE_STATEMENT_H

#include "sqlite/database.h"

/* `sql` is a constant: its address is the key. */
stele_status stele__statement_begin(stele__database *database, const char *sql,
                                    stele__statement **statement_out);
/* `sql` is text put together; it is copied, and compared as text. */
stele_status stele__statement_begin_text(stele__database *database, const char *sql,
                                         stele__statement **statement_out);
/* Give it back. NULL is allowed. Keeps the error text. */
void stele__statement_end(stele__statement *statement);

/* What is bound by pointer must stay until end. */
void stele__bind_number(stele__statement *statement, int parameter, int64_t number);
void stele__bind_text(stele__statement *statement, int parameter, const char *text);
void stele__bind_text_bytes(stele__statement *statement, int parameter, const void *text,
                            size_t size);
void stele__bind_blob(stele__statement *statement, int parameter, const void *blob, size_t size);
void stele__bind_null(stele__statement *statement, int parameter);

/* OK with a row, DONE, or a failure. */
stele_status stele__statement_step(stele__statement *statement);
/* Step a statement that gives no row, and end it. NULL fails with nothing said. */
stele_status stele__statement_run(stele__statement *statement);

typedef enum stele__column_type {
    STELE__COLUMN_NULL,
    STELE__COLUMN_NUMBER,
    STELE__COLUMN_REAL,
    STELE__COLUMN_TEXT,
    STELE__COLUMN_BLOB
} stele__column_type;

int stele__column_count(stele__statement *statement);
stele__column_type stele__column_type_of(stele__statement *statement, int column);
int64_t stele__column_number(stele__statement *statement, int column);
/* NUL-terminated; NULL for NULL. Borrowed until the next step. */
const char *stele__column_text(stele__statement *statement, int column);
/* The bytes of a text or blob as they are. Borrowed until the next step; never NULL. */
const void *stele__column_bytes(stele__statement *statement, int column, size_t *size_out);

#endif
