/* What types of events there are. */
#include "eventstore/eventstore.h"
#include "store/listing.h"

typedef struct type_entry {
    size_t name_at;
    int64_t schema_version;
    int64_t events;
} type_entry;

struct stele_types {
    stele__listing list; /* of type_entry */
    stele_type_info lent;
};

static stele_status read_types(stele__listing *list, stele__connection *connection)
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
        type_entry entry = { .schema_version = stele__column_number(statement, 3),
                             .events = stele__column_number(statement, 4) };
        status = stele__listing_add_text(list, name, &entry.name_at);
        if (status == STELE_OK)
            status = stele__listing_add(list, &entry, sizeof(entry));
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

static const stele__listing_kind types_list = { sizeof(stele_types), "types", read_types };

stele_status stele_store_types(stele_store *store, stele_types **types_out)
{
    stele__listing *list = NULL;
    stele_status status = stele__listing_open(store, &types_list, types_out == NULL ? NULL : &list);
    if (types_out != NULL)
        *types_out = (stele_types *)list;
    return status;
}

stele_status stele_transaction_types(stele_transaction *transaction, stele_types **types_out)
{
    stele__listing *list = NULL;
    stele_status status =
        stele__listing_open_within(transaction, &types_list, types_out == NULL ? NULL : &list);
    if (types_out != NULL)
        *types_out = (stele_types *)list;
    return status;
}

stele_status stele_types_next(stele_types *types, const stele_type_info **info_out)
{
    type_entry entry;
    if (info_out != NULL)
        *info_out = NULL;
    if (types == NULL || info_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", types == NULL ? "types" : "info_out");
    stele_status status = stele__listing_next(&types->list, &entry, sizeof(entry));
    if (status != STELE_OK)
        return status;
    types->lent = (stele_type_info){ .type = types->list.texts.data + entry.name_at,
                                     .schema_version = entry.schema_version,
                                     .events = entry.events };
    *info_out = &types->lent;
    return STELE_OK;
}

void stele_types_close(stele_types *types)
{
    stele__listing_close((stele__listing *)types);
}
