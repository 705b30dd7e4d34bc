/* The list of streams whose payloads are in archives. */
#include "base/failure.h"
#include "eventstore/lifecycle.h"
#include "store/listing.h"

typedef struct archived_entry {
    stele_archived archived; /* its texts are set when lent */
    size_t stream_at;        /* SIZE_MAX: none */
    size_t archive_at;
    size_t hint_at;
} archived_entry;

struct stele_archives {
    stele__listing list; /* of archived_entry */
    stele_archived lent;
};

static stele_status add_archived(stele__listing *list, stele__connection *connection,
                                 int64_t stream)
{
    stele__stream_row row;
    stele__range range;
    stele__unfinished work = STELE__UNFINISHED_NONE;
    bool found = false;
    stele_status status = stele__range_find(connection, stream, &found, &range);
    if (status == STELE_OK)
        status = stele__stream_row_load(connection, stream, &row);
    if (status == STELE_OK)
        status = stele__unfinished_find(connection, stream, &work);
    if (status != STELE_OK)
        return status;
    archived_entry entry = { .archived = { .stream_id = stream,
                                           .first_version = range.first_version,
                                           .last_version = range.last_version,
                                           .unfinished = work != STELE__UNFINISHED_NONE },
                             .stream_at = SIZE_MAX };
    if (row.has_name)
        status = stele__listing_add_text(list, row.name, &entry.stream_at);
    if (status == STELE_OK)
        status = stele__listing_add_text(list, range.uuid, &entry.archive_at);
    if (status == STELE_OK)
        status = stele__listing_add_text(list, range.hint, &entry.hint_at);
    if (status == STELE_OK)
        status = stele__listing_add(list, &entry, sizeof(entry));
    return status;
}

static stele_status read_archives(stele__listing *list, stele__connection *connection)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT stream FROM archive_ranges ORDER BY stream", &statement);
    if (status != STELE_OK)
        return status;
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        status = add_archived(list, connection, stele__column_number(statement, 0));
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

static const stele__listing_kind archives_list = { sizeof(stele_archives), "archives",
                                                   read_archives };

stele_status stele_store_archives(stele_store *store, stele_archives **archives_out)
{
    stele__listing *list = NULL;
    stele_status status =
        stele__listing_open(store, &archives_list, archives_out == NULL ? NULL : &list);
    if (archives_out != NULL)
        *archives_out = (stele_archives *)list;
    return status;
}

stele_status stele_transaction_archives(stele_transaction *transaction,
                                        stele_archives **archives_out)
{
    stele__listing *list = NULL;
    stele_status status = stele__listing_open_within(transaction, &archives_list,
                                                     archives_out == NULL ? NULL : &list);
    if (archives_out != NULL)
        *archives_out = (stele_archives *)list;
    return status;
}

stele_status stele_archives_next(stele_archives *archives, const stele_archived **archived_out)
{
    archived_entry entry;
    if (archived_out != NULL)
        *archived_out = NULL;
    if (archives == NULL || archived_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL",
                           archives == NULL ? "archives" : "archived_out");
    stele_status status = stele__listing_next(&archives->list, &entry, sizeof(entry));
    if (status != STELE_OK)
        return status;
    const char *texts = archives->list.texts.data;
    archives->lent = entry.archived;
    archives->lent.stream = entry.stream_at == SIZE_MAX ? NULL : texts + entry.stream_at;
    archives->lent.archive = texts + entry.archive_at;
    archives->lent.hint = texts + entry.hint_at;
    *archived_out = &archives->lent;
    return STELE_OK;
}

void stele_archives_close(stele_archives *archives)
{
    stele__listing_close((stele__listing *)archives);
}
