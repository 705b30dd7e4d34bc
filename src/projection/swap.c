/* New tables take the place of the old ones: compared if wanted, and all in one transaction. */
#include <stdio.h>
#include <string.h>

#include "base/callback.h"
#include "projection/rebuild.h"
#include "store/compare.h"

/* --- Comparing --- */

static bool list_has(const char *list, const char *table)
{
    size_t size = strlen(table);
    for (const char *at = list; *at != '\0';) {
        size_t length = strcspn(at, ",");
        if (length == size && strncmp(at, table, size) == 0)
            return true;
        at += length + (at[length] == ',');
    }
    return false;
}

static stele_status tell_difference(const stele__rebuilding *of, const char *table,
                                    const stele__comparison *found)
{
    stele_table_difference difference = { .table = table,
                                          .missing = !found->alike,
                                          .only_old = found->only_first,
                                          .only_new = found->only_second,
                                          .rows_old = found->first_rows,
                                          .rows_new = found->second_rows,
                                          .first_old = found->first_text,
                                          .first_new = found->second_text };
    const char *outer = stele__callback_begin("a function that is told of differences");
    int answer = of->options.differs(of->options.context, &difference);
    stele__callback_end(outer);
    if (answer == 0)
        return STELE_OK;
    return stele__fail(STELE_CANCELLED,
                       "the new tables of the projection '%s' differ from the old ones in '%s'",
                       of->projection.name, table);
}

static stele_status compare_table(const stele__rebuilding *of, stele_transaction *transaction,
                                  const char *table)
{
    char built[STELE_TABLE_NAME_SIZE];
    stele__comparison found;
    stele__connection *connection = NULL;
    snprintf(built, sizeof(built), "%s%s", table, of->suffix);
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__tables_compare(connection->database, table, built, &found);
    stele__transaction_leave(transaction);
    if (status != STELE_OK)
        return status;
    bool same = found.alike && found.only_first == 0 && found.only_second == 0
                && found.first_rows == found.second_rows;
    return same ? STELE_OK : tell_difference(of, table, &found);
}

/* Those of either. */
static stele_status compare_all(const stele__rebuilding *of, stele_transaction *transaction,
                                const stele__projection_row *row)
{
    stele_status status = STELE_OK;
    for (int pass = 0; pass < 2; pass++) {
        const char *list = pass == 0 ? row->tables : row->build_tables;
        for (const char *at = list; *at != '\0' && status == STELE_OK;) {
            char table[STELE_PROJECTION_TABLE_MAX + 1];
            size_t size = strcspn(at, ",");
            snprintf(table, sizeof(table), "%.*s", (int)size, at);
            if (pass == 0 || !list_has(row->tables, table))
                status = compare_table(of, transaction, table);
            at += size + (at[size] == ',');
        }
    }
    return status;
}

/* --- Swapping --- */

void stele__rebuild_renew_place(stele__place *live)
{
    live->generation++;
    live->owner[0] = '\0';
    live->boot[0] = '\0';
    live->lease_until = 0;
    live->attempting = false;
    live->attempts = 0;
    live->state = STELE_SUBSCRIPTION_IDLE;
    live->error[0] = '\0';
    live->error_position = 0;
    live->error_at = 0;
    if (live->effects_after < live->position)
        live->effects_after = live->position;
}

stele_status stele__rebuild_forget_parked(stele__rebuilding *of, stele_transaction *transaction)
{
    stele__connection *connection = NULL;
    int64_t count = 0;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__parked_count(connection, of->projection.name, &count, NULL);
    if (status == STELE_OK)
        status = stele__parked_clear(connection, of->projection.name);
    if (status != STELE_OK)
        stele__transaction_failed(transaction, status, true);
    stele__transaction_leave(transaction);
    of->rebuilt.dropped_parked = count;
    return status;
}

static stele_status remove_build_place(const stele__rebuilding *of, stele_transaction *transaction)
{
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__place_remove(connection, of->place_name, 0);
    if (status != STELE_OK)
        stele__transaction_failed(transaction, status, true);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele__rebuild_swap(stele__rebuilding *of, stele_transaction *transaction,
                                 stele__projection_row *row, stele__place *live)
{
    stele_status status = STELE_OK;
    if (of->options.differs != NULL)
        status = compare_all(of, transaction, row);
    if (status == STELE_OK)
        status = stele__tables_drop(transaction, row->tables, "");
    if (status == STELE_OK)
        status = stele__tables_rename(transaction, row->build_tables, of->suffix);
    if (status == STELE_OK)
        status = stele__rebuild_forget_parked(of, transaction);
    if (status == STELE_OK)
        status = remove_build_place(of, transaction);
    if (status != STELE_OK)
        return status;
    stele__rebuild_renew_place(live);
    status = stele__projection_place_store(transaction, of->projection.name, live);
    if (status != STELE_OK)
        return status;
    row->version = row->build_version;
    snprintf(row->tables, sizeof(row->tables), "%s", row->build_tables);
    row->build = 0;
    row->build_version = 0;
    row->build_tables[0] = '\0';
    return stele__projection_row_store(transaction, of->projection.name, row);
}
