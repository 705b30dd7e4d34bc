/* The list of streams whose payloads are in archives. */
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "eventstore/lifecycle.h"

typedef struct archived_entry {
    stele_archived archived; /* its texts are set when lent */
    size_t stream_at;        /* SIZE_MAX: none */
    size_t archive_at;
    size_t hint_at;
} archived_entry;

struct stele_archives {
    stele_store *store;
    stele__buffer texts;
    stele__buffer entries; /* of archived_entry */
    size_t entry_next;
    stele_archived lent;
};

static stele_status add_list_text(stele__buffer *texts, const char *text, size_t *at_out)
{
    *at_out = texts->size;
    return stele__buffer_add(texts, text, strlen(text) + 1);
}

static stele_status add_archived(stele_archives *archives, stele__connection *connection,
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
        status = add_list_text(&archives->texts, row.name, &entry.stream_at);
    if (status == STELE_OK)
        status = add_list_text(&archives->texts, range.uuid, &entry.archive_at);
    if (status == STELE_OK)
        status = add_list_text(&archives->texts, range.hint, &entry.hint_at);
    if (status == STELE_OK)
        status = stele__buffer_add(&archives->entries, &entry, sizeof(entry));
    return status;
}

static stele_status read_archives(stele_archives *archives, stele__connection *connection)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT stream FROM archive_ranges ORDER BY stream", &statement);
    if (status != STELE_OK)
        return status;
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        status = add_archived(archives, connection, stele__column_number(statement, 0));
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status open_archives(stele_store *store, stele__connection *connection,
                                  stele_archives **archives_out)
{
    stele_archives *archives = stele__allocate_array(1, sizeof(*archives));
    if (archives == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a list of archives");
    archives->store = store;
    stele__store_hold(store);
    stele_status status = read_archives(archives, connection);
    if (status == STELE_OK)
        *archives_out = archives;
    else
        stele_archives_close(archives);
    return status;
}

stele_status stele_store_archives(stele_store *store, stele_archives **archives_out)
{
    if (archives_out == NULL)
        return stele__fail(STELE_MISUSE, "archives_out is NULL");
    *archives_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    stele__connection *connection = NULL;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = open_archives(store, connection, archives_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_archives(stele_transaction *transaction,
                                        stele_archives **archives_out)
{
    if (archives_out == NULL)
        return stele__fail(STELE_MISUSE, "archives_out is NULL");
    *archives_out = NULL;
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = open_archives(transaction->store, connection, archives_out);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele_archives_next(stele_archives *archives, const stele_archived **archived_out)
{
    if (archived_out != NULL)
        *archived_out = NULL;
    if (archives == NULL || archived_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL",
                           archives == NULL ? "archives" : "archived_out");
    stele_status usable = stele__store_check(archives->store);
    if (usable != STELE_OK)
        return usable;
    archived_entry entry;
    if (archives->entry_next == archives->entries.size)
        return STELE_DONE;
    memcpy(&entry, archives->entries.data + archives->entry_next, sizeof(entry));
    archives->entry_next += sizeof(entry);
    archives->lent = entry.archived;
    const char *texts = archives->texts.data;
    archives->lent.stream = entry.stream_at == SIZE_MAX ? NULL : texts + entry.stream_at;
    archives->lent.archive = texts + entry.archive_at;
    archives->lent.hint = texts + entry.hint_at;
    *archived_out = &archives->lent;
    return STELE_OK;
}

void stele_archives_close(stele_archives *archives)
{
    if (archives == NULL)
        return;
    stele__buffer_dispose(&archives->texts);
    stele__buffer_dispose(&archives->entries);
    stele__store_release(archives->store);
    stele__free(archives);
}
