/* What types of events there are. */
#include <string.h>

#include "base/memory.h"
#include "eventstore/eventstore.h"

typedef struct type_entry {
    size_t name_at;
    int64_t schema_version;
    int64_t events;
} type_entry;

struct stele_types {
    stele_store *store;
    stele__buffer names;
    stele__buffer entries; /* of type_entry */
    size_t entry_next;
    stele_type_info lent;
};

static stele_status read_types(stele_types *types, stele__connection *connection)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT t.id, t.name, t.checksum, e.schema_version, e.events FROM types t JOIN"
        " (SELECT type, schema_version, count(*) AS events FROM events WHERE flags & 3 = 0"
        "  AND stream NOT IN (SELECT id FROM streams WHERE name >= '$' AND name < '%')"
        "  GROUP BY type, schema_version) e"
        " ON e.type = t.id ORDER BY t.name, e.schema_version",
        &statement);
    if (status != STELE_OK)
        return status;
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        const char *name = stele__column_text(statement, 1);
        int64_t id = stele__column_number(statement, 0);
        if (name == NULL || stele__name_checksum(id, name) != stele__column_number(statement, 2)) {
            status =
                stele__fail(STELE_CORRUPT, "the row of the type %lld is damaged", (long long)id);
            break;
        }
        type_entry entry = { .name_at = types->names.size,
                             .schema_version = stele__column_number(statement, 3),
                             .events = stele__column_number(statement, 4) };
        status = stele__buffer_add(&types->names, name, strlen(name) + 1);
        if (status == STELE_OK)
            status = stele__buffer_add(&types->entries, &entry, sizeof(entry));
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status open_types(stele_store *store, stele__connection *connection,
                               stele_types **types_out)
{
    stele_types *types = stele__allocate_array(1, sizeof(*types));
    if (types == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a list of types");
    types->store = store;
    stele__store_hold(store);
    stele_status status = read_types(types, connection);
    if (status == STELE_OK)
        *types_out = types;
    else
        stele_types_close(types);
    return status;
}

stele_status stele_store_types(stele_store *store, stele_types **types_out)
{
    if (types_out == NULL)
        return stele__fail(STELE_MISUSE, "types_out is NULL");
    *types_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    stele__connection *connection = NULL;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = open_types(store, connection, types_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_types(stele_transaction *transaction, stele_types **types_out)
{
    if (types_out == NULL)
        return stele__fail(STELE_MISUSE, "types_out is NULL");
    *types_out = NULL;
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = open_types(transaction->store, connection, types_out);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele_types_next(stele_types *types, const stele_type_info **info_out)
{
    if (info_out != NULL)
        *info_out = NULL;
    if (types == NULL || info_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", types == NULL ? "types" : "info_out");
    stele_status usable = stele__store_check(types->store);
    if (usable != STELE_OK)
        return usable;
    type_entry entry;
    if (types->entry_next == types->entries.size)
        return STELE_DONE;
    memcpy(&entry, types->entries.data + types->entry_next, sizeof(entry));
    types->entry_next += sizeof(entry);
    types->lent = (stele_type_info){ .type = types->names.data + entry.name_at,
                                     .schema_version = entry.schema_version,
                                     .events = entry.events };
    *info_out = &types->lent;
    return STELE_OK;
}

void stele_types_close(stele_types *types)
{
    if (types == NULL)
        return;
    stele__buffer_dispose(&types->names);
    stele__buffer_dispose(&types->entries);
    stele__store_release(types->store);
    stele__free(types);
}
