#include "sqlite/statement.h"

#include <assert.h>
#include <string.h>

#include <sqlite3.h>

#include "base/failure.h"
#include "base/memory.h"

/* The slot for one more statement: a new one, or that of the one unused for longest. */
static stele__statement *claim_slot(stele__database *database)
{
    if (database->statement_count < STELE__STATEMENT_MAX)
        return &database->statements[database->statement_count++];

    stele__statement *oldest = NULL;
    for (size_t i = 0; i < database->statement_count; i++) {
        stele__statement *slot = &database->statements[i];
        if (!slot->in_use && (oldest == NULL || slot->used_at < oldest->used_at))
            oldest = slot;
    }
    if (oldest != NULL) {
        sqlite3_finalize(oldest->handle);
        stele__free(oldest->copy);
        *oldest = (stele__statement){ 0 };
    }
    return oldest;
}

static stele_status prepare_statement(stele__database *database, const char *sql, bool copied,
                                      stele__statement **statement_out)
{
    sqlite3_stmt *handle = NULL;
    int code =
        sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL);
    if (code != SQLITE_OK)
        return stele__database_fail(database, code, "can't prepare a statement");

    char *copy = copied ? stele__copy_text(sql) : NULL;
    stele__statement *statement = copied && copy == NULL ? NULL : claim_slot(database);
    if (statement == NULL) {
        sqlite3_finalize(handle);
        stele__free(copy);
        return stele__fail(STELE_NO_MEMORY, "no memory for a statement");
    }
    statement->handle = handle;
    statement->database = database;
    statement->copy = copy;
    statement->sql = copied ? copy : sql;
    *statement_out = statement;
    return STELE_OK;
}

static stele_status lend_statement(stele__statement *statement, stele__statement **statement_out)
{
    statement->in_use = true;
    statement->bind_result = SQLITE_OK;
    statement->used_at = ++statement->database->statement_clock;
    *statement_out = statement;
    return STELE_OK;
}

stele_status stele__statement_begin(stele__database *database, const char *sql,
                                    stele__statement **statement_out)
{
    *statement_out = NULL;
    stele__statement *found = NULL;
    /* From the end: what only opening needs lies at the beginning. */
    for (size_t i = database->statement_count; i-- > 0 && found == NULL;)
        if (database->statements[i].sql == sql && !database->statements[i].in_use)
            found = &database->statements[i];
    stele_status status = STELE_OK;
    if (found == NULL)
        status = prepare_statement(database, sql, false, &found);
    return found == NULL ? status : lend_statement(found, statement_out);
}

stele_status stele__statement_begin_text(stele__database *database, const char *sql,
                                         stele__statement **statement_out)
{
    *statement_out = NULL;
    stele__statement *found = NULL;
    for (size_t i = 0; i < database->statement_count && found == NULL; i++)
        if (database->statements[i].copy != NULL && !database->statements[i].in_use
            && strcmp(database->statements[i].copy, sql) == 0)
            found = &database->statements[i];
    stele_status status = STELE_OK;
    if (found == NULL)
        status = prepare_statement(database, sql, true, &found);
    return found == NULL ? status : lend_statement(found, statement_out);
}

void stele__statement_end(stele__statement *statement)
{
    if (statement == NULL)
        return;
    assert(statement->in_use);
    sqlite3_reset(statement->handle);
    statement->in_use = false;
}

static void note_bind(stele__statement *statement, int code)
{
    if (statement->bind_result == SQLITE_OK)
        statement->bind_result = code;
}

void stele__bind_number(stele__statement *statement, int parameter, int64_t number)
{
    note_bind(statement, sqlite3_bind_int64(statement->handle, parameter, number));
}

void stele__bind_text(stele__statement *statement, int parameter, const char *text)
{
    stele__bind_text_bytes(statement, parameter, text, strlen(text));
}

void stele__bind_text_bytes(stele__statement *statement, int parameter, const void *text,
                            size_t size)
{
    /* A NULL pointer would be stored as NULL. */
    note_bind(statement, sqlite3_bind_text64(statement->handle, parameter, text == NULL ? "" : text,
                                             size, SQLITE_STATIC, SQLITE_UTF8));
}

void stele__bind_blob(stele__statement *statement, int parameter, const void *blob, size_t size)
{
    note_bind(statement, sqlite3_bind_blob64(statement->handle, parameter, blob == NULL ? "" : blob,
                                             size, SQLITE_STATIC));
}

void stele__bind_null(stele__statement *statement, int parameter)
{
    note_bind(statement, sqlite3_bind_null(statement->handle, parameter));
}

stele_status stele__statement_step(stele__statement *statement)
{
    if (statement->bind_result != SQLITE_OK)
        return stele__database_fail(statement->database, statement->bind_result, "can't bind");
    int code = sqlite3_step(statement->handle);
    if (code == SQLITE_ROW)
        return STELE_OK;
    if (code == SQLITE_DONE)
        return STELE_DONE;
    return stele__database_fail(statement->database, code, "SQL failed");
}

stele_status stele__statement_run(stele__statement *statement)
{
    stele_status status = stele__statement_step(statement);
    stele__statement_end(statement);
    return status < 0 ? status : STELE_OK;
}

int stele__column_count(stele__statement *statement)
{
    return sqlite3_column_count(statement->handle);
}

stele__column_type stele__column_type_of(stele__statement *statement, int column)
{
    switch (sqlite3_column_type(statement->handle, column)) {
    case SQLITE_INTEGER: return STELE__COLUMN_NUMBER;
    case SQLITE_FLOAT: return STELE__COLUMN_REAL;
    case SQLITE_TEXT: return STELE__COLUMN_TEXT;
    case SQLITE_BLOB: return STELE__COLUMN_BLOB;
    default: return STELE__COLUMN_NULL;
    }
}

int64_t stele__column_number(stele__statement *statement, int column)
{
    return sqlite3_column_int64(statement->handle, column);
}

const char *stele__column_text(stele__statement *statement, int column)
{
    return (const char *)sqlite3_column_text(statement->handle, column);
}

const void *stele__column_bytes(stele__statement *statement, int column, size_t *size_out)
{
    /* As a blob, so that a text with damage in it is not converted on the way. */
    const void *bytes = sqlite3_column_blob(statement->handle, column);
    *size_out = (size_t)sqlite3_column_bytes(statement->handle, column);
    return bytes == NULL ? "" : bytes;
}
