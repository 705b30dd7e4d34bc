/* All checkpoints: the list for those who ask, and the slowest of them. */
#include <stele/checkpoint.h>

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "base/memory.h"
#include "checkpoint/row.h"
#include "checkpoint/slowest.h"

typedef struct checkpoint_entry {
    stele_checkpoint_info info; /* its name is set when lent */
    size_t name_at;
} checkpoint_entry;

struct stele_checkpoints {
    stele_store *store;
    stele__buffer names;
    stele__buffer entries; /* of checkpoint_entry */
    size_t entry_next;
    stele_checkpoint_info lent;
};

/* The info's name is borrowed from the row. */
typedef stele_status (*checkpoint_visitor)(void *context, const stele_checkpoint_info *info);

/* By name. Inside a transaction. */
static stele_status visit_checkpoints(stele__connection *connection, checkpoint_visitor visit,
                                      void *context)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT " STELE__CHECKPOINT_COLUMNS ", name FROM checkpoints ORDER BY name", &statement);
    while (status == STELE_OK && (status = stele__statement_step(statement)) == STELE_OK) {
        stele__checkpoint_row row;
        stele_checkpoint_info info = { .name = stele__column_text(statement, 11) };
        status = stele__checkpoint_row_read(statement, info.name == NULL ? "" : info.name, &row);
        if (status != STELE_OK)
            break;
        info.position = row.position;
        info.saved_at = row.saved_at;
        status = stele__checkpoint_row_judge(connection, info.name, &row, &info.shared);
        info.lost = status == STELE_EPOCH;
        if (status == STELE_OK || info.lost)
            status = visit(context, &info);
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* --- The list --- */

static stele_status keep_checkpoint(void *context, const stele_checkpoint_info *info)
{
    stele_checkpoints *checkpoints = context;
    checkpoint_entry entry = { .info = *info, .name_at = checkpoints->names.size };
    stele_status status =
        stele__buffer_add(&checkpoints->names, info->name, strlen(info->name) + 1);
    if (status == STELE_OK)
        status = stele__buffer_add(&checkpoints->entries, &entry, sizeof(entry));
    return status;
}

static stele_status open_checkpoints(stele_store *store, stele__connection *connection,
                                     stele_checkpoints **checkpoints_out)
{
    stele_checkpoints *checkpoints = stele__allocate_array(1, sizeof(*checkpoints));
    if (checkpoints == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a list of checkpoints");
    checkpoints->store = store;
    stele__store_hold(store);
    stele_status status = visit_checkpoints(connection, keep_checkpoint, checkpoints);
    if (status == STELE_OK)
        *checkpoints_out = checkpoints;
    else
        stele_checkpoints_close(checkpoints);
    return status;
}

stele_status stele_store_checkpoints(stele_store *store, stele_checkpoints **checkpoints_out)
{
    if (checkpoints_out == NULL)
        return stele__fail(STELE_MISUSE, "checkpoints_out is NULL");
    *checkpoints_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    stele__connection *connection = NULL;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = open_checkpoints(store, connection, checkpoints_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_checkpoints(stele_transaction *transaction,
                                           stele_checkpoints **checkpoints_out)
{
    if (checkpoints_out == NULL)
        return stele__fail(STELE_MISUSE, "checkpoints_out is NULL");
    *checkpoints_out = NULL;
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = open_checkpoints(transaction->store, connection, checkpoints_out);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele_checkpoints_next(stele_checkpoints *checkpoints,
                                    const stele_checkpoint_info **info_out)
{
    if (info_out != NULL)
        *info_out = NULL;
    if (checkpoints == NULL || info_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL",
                           checkpoints == NULL ? "checkpoints" : "info_out");
    stele_status usable = stele__store_check(checkpoints->store);
    if (usable != STELE_OK)
        return usable;
    checkpoint_entry entry;
    if (checkpoints->entry_next == checkpoints->entries.size)
        return STELE_DONE;
    memcpy(&entry, checkpoints->entries.data + checkpoints->entry_next, sizeof(entry));
    checkpoints->entry_next += sizeof(entry);
    checkpoints->lent = entry.info;
    checkpoints->lent.name = checkpoints->names.data + entry.name_at;
    *info_out = &checkpoints->lent;
    return STELE_OK;
}

void stele_checkpoints_close(stele_checkpoints *checkpoints)
{
    if (checkpoints == NULL)
        return;
    stele__buffer_dispose(&checkpoints->names);
    stele__buffer_dispose(&checkpoints->entries);
    stele__store_release(checkpoints->store);
    stele__free(checkpoints);
}

/* --- The slowest --- */

typedef struct slowest_search {
    int64_t saved_since;
    stele__slowest found;
} slowest_search;

/* One of a timeline that was lost lets go of what is shared with this. */
static stele_status compare_with_slowest(void *context, const stele_checkpoint_info *info)
{
    slowest_search *search = context;
    int64_t passed = info->lost ? info->shared : info->position;
    if (info->saved_at < search->saved_since || passed >= search->found.position)
        return STELE_OK;
    search->found.found = true;
    search->found.position = passed;
    snprintf(search->found.name, sizeof(search->found.name), "%s", info->name);
    return STELE_OK;
}

stele_status stele__checkpoint_slowest(stele__connection *connection, int64_t saved_since,
                                       stele__slowest *slowest_out)
{
    slowest_search search = { .saved_since = saved_since, .found = { .position = INT64_MAX } };
    stele_status status = visit_checkpoints(connection, compare_with_slowest, &search);
    *slowest_out = search.found;
    return status;
}
