/* All checkpoints: the list for those who ask, and the slowest of them. */
#include <stele/checkpoint.h>

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "checkpoint/row.h"
#include "checkpoint/slowest.h"
#include "store/listing.h"

typedef struct checkpoint_entry {
    stele_checkpoint_info info; /* its name is set when lent */
    size_t name_at;
} checkpoint_entry;

struct stele_checkpoints {
    stele__listing list; /* of checkpoint_entry */
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
    stele__listing *list = context;
    checkpoint_entry entry = { .info = *info };
    stele_status status = stele__listing_add_text(list, info->name, &entry.name_at);
    return status == STELE_OK ? stele__listing_add(list, &entry, sizeof(entry)) : status;
}

static stele_status read_checkpoints(stele__listing *list, stele__connection *connection)
{
    return visit_checkpoints(connection, keep_checkpoint, list);
}

static const stele__listing_kind checkpoints_list = { sizeof(stele_checkpoints), "checkpoints",
                                                      read_checkpoints };

stele_status stele_store_checkpoints(stele_store *store, stele_checkpoints **checkpoints_out)
{
    stele__listing *list = NULL;
    stele_status status =
        stele__listing_open(store, &checkpoints_list, checkpoints_out == NULL ? NULL : &list);
    if (checkpoints_out != NULL)
        *checkpoints_out = (stele_checkpoints *)list;
    return status;
}

stele_status stele_transaction_checkpoints(stele_transaction *transaction,
                                           stele_checkpoints **checkpoints_out)
{
    stele__listing *list = NULL;
    stele_status status = stele__listing_open_within(transaction, &checkpoints_list,
                                                     checkpoints_out == NULL ? NULL : &list);
    if (checkpoints_out != NULL)
        *checkpoints_out = (stele_checkpoints *)list;
    return status;
}

stele_status stele_checkpoints_next(stele_checkpoints *checkpoints,
                                    const stele_checkpoint_info **info_out)
{
    checkpoint_entry entry;
    if (info_out != NULL)
        *info_out = NULL;
    if (checkpoints == NULL || info_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL",
                           checkpoints == NULL ? "checkpoints" : "info_out");
    stele_status status = stele__listing_next(&checkpoints->list, &entry, sizeof(entry));
    if (status != STELE_OK)
        return status;
    checkpoints->lent = entry.info;
    checkpoints->lent.name = checkpoints->list.texts.data + entry.name_at;
    *info_out = &checkpoints->lent;
    return STELE_OK;
}

void stele_checkpoints_close(stele_checkpoints *checkpoints)
{
    stele__listing_close((stele__listing *)checkpoints);
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
