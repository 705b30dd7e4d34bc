/* Notes of the areas above, in the table `meta`. */
#include "store/notes.h"

#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "sqlite/statement.h"

/* The statement's row of key, value and checksum: OK, or CORRUPT. */
static stele_status keep_note(stele__statement *statement, stele__buffer *key, stele__buffer *value)
{
    const char *name = stele__column_text(statement, 0);
    const char *text = stele__column_text(statement, 1);
    if (name == NULL || text == NULL
        || stele__meta_checksum(name, text) != stele__column_number(statement, 2))
        return stele__fail(STELE_CORRUPT, "the row '%s' of meta is damaged",
                           name == NULL ? "" : name);
    stele_status status = STELE_OK;
    if (key != NULL) {
        key->size = 0;
        status = stele__buffer_add(key, name, strlen(name) + 1);
    }
    value->size = 0;
    if (status == STELE_OK)
        status = stele__buffer_add(value, text, strlen(text) + 1);
    return status;
}

stele_status stele__note_get(stele_transaction *transaction, const char *key,
                             stele__buffer *value_out)
{
    stele__connection *connection = NULL;
    stele__statement *statement = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__statement_begin(
        connection->database, "SELECT key, value, checksum FROM meta WHERE key = ?1", &statement);
    if (status == STELE_OK) {
        stele__bind_text(statement, 1, key);
        status = stele__statement_step(statement);
        if (status == STELE_OK)
            status = keep_note(statement, NULL, value_out);
        stele__statement_end(statement);
    }
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele__note_set(stele_transaction *transaction, const char *key, const char *value)
{
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    status = stele__meta_write(connection->database, key, value);
    if (status != STELE_OK)
        stele__transaction_failed(transaction, status, false);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele__notes_drop(stele_transaction *transaction, const char *first, const char *end)
{
    stele__connection *connection = NULL;
    stele__statement *statement = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    status = stele__statement_begin(connection->database,
                                    "DELETE FROM meta WHERE key >= ?1 AND key < ?2", &statement);
    if (status == STELE_OK) {
        stele__bind_text(statement, 1, first);
        stele__bind_text(statement, 2, end);
        status = stele__statement_run(statement);
    }
    if (status != STELE_OK)
        stele__transaction_failed(transaction, status, false);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele__note_next(stele_store *store, const char *end, stele__buffer *key,
                              stele__buffer *value_out)
{
    char after[64]; /* what is bound must stay, and `key` is written over */
    stele__connection *connection = NULL;
    stele__statement *statement = NULL;
    snprintf(after, sizeof(after), "%s", key->data);
    stele_status status = stele__read_begin(store, NULL, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__statement_begin(connection->database,
                                    "SELECT key, value, checksum FROM meta"
                                    " WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT 1",
                                    &statement);
    if (status == STELE_OK) {
        stele__bind_text(statement, 1, after);
        stele__bind_text(statement, 2, end);
        status = stele__statement_step(statement);
        if (status == STELE_OK)
            status = keep_note(statement, key, value_out);
        /* Else the same row would come for ever. */
        if (status == STELE_OK && (key->size > sizeof(after) || strcmp(key->data, after) <= 0))
            status = stele__fail(STELE_CORRUPT, "the row '%s' of meta can't be ours", key->data);
        stele__statement_end(statement);
    }
    stele__read_end(store, connection);
    return status;
}
