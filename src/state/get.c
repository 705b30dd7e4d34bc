/* Getting entries, and what is known of write ids. */
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "state/own.h"
#include "state/state.h"
#include "store/names.h"

/* --- Copies --- */

static const char *lay_bytes(char **room, const void *bytes, size_t size)
{
    char *at = *room;
    if (size > 0)
        memcpy(at, bytes, size);
    at[size] = '\0';
    *room = at + size + 1;
    return at;
}

/* What isn't there has nothing but the revision of its deletion. */
static stele_status copy_absence(const stele__state_row *row, const stele_entry **entry_out)
{
    stele_entry *entry = stele__allocate(sizeof(*entry));
    if (entry == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for an entry");
    *entry = (stele_entry){
        .scope = "",
        .key = "",
        .codec = "",
        .data = "",
        .revision = row == NULL ? 0 : row->revision,
    };
    *entry_out = entry;
    return STELE_OK;
}

stele_status stele__entry_copy(const stele__state_row *row, bool no_data,
                               const stele_entry **entry_out)
{
    size_t count = 0;
    *entry_out = NULL;
    if (row == NULL || !row->there)
        return copy_absence(row, entry_out);
    stele_status status =
        stele__attributes_read(row->attributes, row->attributes_size, NULL, NULL, &count);
    if (status != STELE_OK)
        return stele__fail_within(status, "the entry '%s' of scope '%s'", row->key, row->scope);
    size_t scope_size = strlen(row->scope);
    size_t key_size = strlen(row->key);
    size_t codec_size = strlen(row->codec_name);
    size_t data_size = no_data ? 0 : row->data_size;
    size_t size = sizeof(stele_entry) + count * sizeof(stele_attribute) + scope_size + key_size
                  + codec_size + data_size + 4 + row->attributes_size;
    stele_entry *entry = stele__allocate(size);
    if (entry == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for an entry of %zu bytes", size);
    stele_attribute *attributes = (stele_attribute *)(entry + 1);
    char *room = (char *)(attributes + count);
    *entry = (stele_entry){
        .found = true,
        .scope = lay_bytes(&room, row->scope, scope_size),
        .key = lay_bytes(&room, row->key, key_size),
        .codec = lay_bytes(&room, row->codec_name, codec_size),
        .revision = row->revision,
        .updated_at = row->updated_at,
        .data_size = row->data_size,
        .attributes = attributes,
        .attribute_count = count,
    };
    entry->data = lay_bytes(&room, row->data, data_size);
    if (count > 0)
        status =
            stele__attributes_read(row->attributes, row->attributes_size, attributes, room, &count);
    if (status != STELE_OK) {
        stele__free(entry);
        return stele__fail_within(status, "the entry '%s' of scope '%s'", row->key, row->scope);
    }
    *entry_out = entry;
    return STELE_OK;
}

void stele_entry_close(const stele_entry *entry)
{
    stele__free((stele_entry *)entry);
}

/* --- Getting --- */

stele_status stele__entry_look(stele__connection *connection, const char *scope, const char *key,
                               const stele_entry **entry_out)
{
    *entry_out = NULL;
    stele__state_row row;
    stele__statement *statement = NULL;
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__state_row_begin(connection, scope, key, &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        status = stele__state_row_read(connection, statement, &row);
        if (status == STELE_OK)
            status = stele__entry_copy(&row, false, entry_out);
    } else if (status == STELE_DONE) {
        status = stele__entry_copy(NULL, false, entry_out);
    }
    stele__statement_end(statement);
    return status;
}

static stele_status check_get(const char *scope, const char *key, const stele_entry **entry_out)
{
    if (entry_out == NULL)
        return stele__fail(STELE_MISUSE, "entry_out is NULL");
    *entry_out = NULL;
    stele_status status = stele__check_scope(scope);
    return status == STELE_OK ? stele__check_name("key", key) : status;
}

stele_status stele_state_get(stele_store *store, const char *scope, const char *key,
                             const stele_entry **entry_out)
{
    stele__connection *connection = NULL;
    stele_status status = check_get(scope, key, entry_out);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = stele__entry_look(connection, scope, key, entry_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_state_get(stele_transaction *transaction, const char *scope,
                                         const char *key, const stele_entry **entry_out)
{
    stele__connection *connection = NULL;
    stele_status status = check_get(scope, key, entry_out);
    if (status == STELE_OK)
        status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__entry_look(connection, scope, key, entry_out);
    stele__transaction_leave(transaction);
    return status;
}

/* --- Write ids --- */

/* What the id's entry says: its key, and whether it went on. */
static stele_status load_entry_of_write(stele__connection *connection, const stele__write_row *row,
                                        stele_write *write)
{
    stele__state_row entry;
    stele__statement *statement = NULL;
    stele_status status = stele__state_row_begin_at(connection, row->entry, &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        status = stele__state_row_read(connection, statement, &entry);
    else if (status == STELE_DONE)
        status = stele__fail(STELE_CORRUPT, "its entry is missing");
    if (status == STELE_OK) {
        write->superseded = entry.revision != row->revision;
        snprintf(write->key, sizeof(write->key), "%s", entry.key);
    }
    stele__statement_end(statement);
    return status;
}

static stele_status load_write(stele__connection *connection, const char *scope,
                               const char *write_id, stele_write *write_out)
{
    bool found = false;
    stele__write_row row;
    stele_write write = { .found = true };
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__write_row_find(connection, scope, write_id, &found, &row);
    if (status != STELE_OK || !found)
        return status;
    status = load_entry_of_write(connection, &row, &write);
    if (status != STELE_OK)
        return stele__fail_within(status, "the write id '%s' of scope '%s'", write_id, scope);
    write.deletion = row.kind == STELE__WRITE_DELETION;
    write.revision = row.revision;
    write.written_at = row.written_at;
    *write_out = write;
    return STELE_OK;
}

static stele_status check_write(const char *scope, const char *write_id, stele_write *write_out)
{
    if (write_out == NULL)
        return stele__fail(STELE_MISUSE, "write_out is NULL");
    *write_out = (stele_write){ 0 };
    stele_status status = stele__check_scope(scope);
    return status == STELE_OK ? stele__check_name("write id", write_id) : status;
}

stele_status stele_state_write(stele_store *store, const char *scope, const char *write_id,
                               stele_write *write_out)
{
    stele__connection *connection = NULL;
    stele_status status = check_write(scope, write_id, write_out);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = load_write(connection, scope, write_id, write_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_state_write(stele_transaction *transaction, const char *scope,
                                           const char *write_id, stele_write *write_out)
{
    stele__connection *connection = NULL;
    stele_status status = check_write(scope, write_id, write_out);
    if (status == STELE_OK)
        status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = load_write(connection, scope, write_id, write_out);
    stele__transaction_leave(transaction);
    return status;
}
