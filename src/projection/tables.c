/* The user's tables by name, and the place of a projection in the log. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "projection/own.h"

/* --- Tables --- */

/* Run one statement for each table of `list`: `format` takes the name and the suffix, twice. */
typedef enum table_change { TABLE_DROP, TABLE_RENAME, TABLE_LOOK } table_change;

static stele_status change_table(stele__connection *connection, table_change change,
                                 const char *table, const char *suffix)
{
    char sql[512];
    int64_t there = 0;
    switch (change) {
    case TABLE_DROP:
        snprintf(sql, sizeof(sql), "DROP TABLE IF EXISTS main.\"%s%s\"", table, suffix);
        break;
    case TABLE_RENAME:
        snprintf(sql, sizeof(sql), "ALTER TABLE main.\"%s%s\" RENAME TO \"%s\"", table, suffix,
                 table);
        break;
    case TABLE_LOOK:
        snprintf(sql, sizeof(sql),
                 "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND"
                 " lower(name) = lower('%s%s')",
                 table, suffix);
        break;
    }
    if (change != TABLE_LOOK)
        return stele__database_execute(connection->database, sql);
    stele_status status = stele__database_number(connection->database, sql, &there);
    if (status == STELE_OK && there == 0)
        status = stele__fail(STELE_MISUSE, "the table '%s%s' wasn't set up", table, suffix);
    return status;
}

static stele_status change_tables(stele_transaction *transaction, table_change change,
                                  const char *list, const char *suffix)
{
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    for (const char *at = list; *at != '\0' && status == STELE_OK;) {
        char table[STELE_PROJECTION_TABLE_MAX + 1];
        size_t size = strcspn(at, ",");
        snprintf(table, sizeof(table), "%.*s", (int)size, at);
        status = change_table(connection, change, table, suffix);
        at += size + (at[size] == ',');
    }
    if (status != STELE_OK)
        stele__transaction_failed(transaction, status, change != TABLE_LOOK);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele__tables_drop(stele_transaction *transaction, const char *list,
                                const char *suffix)
{
    return change_tables(transaction, TABLE_DROP, list, suffix);
}

stele_status stele__tables_rename(stele_transaction *transaction, const char *list,
                                  const char *suffix)
{
    return change_tables(transaction, TABLE_RENAME, list, suffix);
}

stele_status stele__tables_are_there(stele_transaction *transaction, const char *list,
                                     const char *suffix)
{
    return change_tables(transaction, TABLE_LOOK, list, suffix);
}

/* --- Places --- */

stele_status stele__projection_place(stele_transaction *transaction, const char *name,
                                     stele__place *place_out, bool *found_out)
{
    stele__connection *connection = NULL;
    int64_t shared = 0;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__place_load(connection, name, 0, place_out, found_out);
    if (status == STELE_OK)
        status = stele__place_judge(connection, name, place_out, &shared);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele__projection_place_store(stele_transaction *transaction, const char *name,
                                           const stele__place *place)
{
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__place_store(connection, name, place);
    if (status != STELE_OK)
        stele__transaction_failed(transaction, status, true);
    stele__transaction_leave(transaction);
    return status;
}

/* --- The first time --- */

/* Tables that are there already are somebody's: with setup's IF NOT EXISTS they would become the
 * projection's, and go when it is dropped. Where nothing sets them up they are meant to be there.
 */
static stele_status refuse_tables_of_others(stele_transaction *transaction,
                                            const stele_projection *projection, const char *list)
{
    if (projection->setup == NULL || list[0] == '\0'
        || stele__tables_are_there(transaction, list, "") != STELE_OK)
        return STELE_OK;
    return stele__fail(STELE_CONFLICT,
                       "the tables of the projection '%s' are there already: drop them first",
                       projection->name);
}

stele_status stele__projection_register(stele_transaction *transaction,
                                        const stele_projection *projection, bool with_append,
                                        stele__projection_row *row_out)
{
    stele__place place = { .position = -1 };
    stele__projecting projecting;
    bool found = false;
    stele_status status = stele__projection_row_load(transaction, projection->name, row_out);
    if (status != STELE_OK)
        return status;
    status = stele__projection_place(transaction, projection->name, &place, &found);
    if (row_out->found && status == STELE_OK)
        return stele__projection_row_check(row_out, projection, with_append, place.position >= 0);
    if (status != STELE_OK && (row_out->found || status != STELE_EPOCH))
        return status;
    if (found && (place.position >= 0 || place.owner[0] != '\0'))
        return stele__fail(STELE_CONFLICT,
                           "'%s' has a checkpoint already, and no projection of that name has",
                           projection->name);
    *row_out = (stele__projection_row){ .found = true,
                                        .with_append = with_append,
                                        .version = projection->version };
    stele__projection_list_tables(projection, row_out->tables);
    stele__projecting_begin(&projecting, projection, transaction, "");
    status = refuse_tables_of_others(transaction, projection, row_out->tables);
    if (status == STELE_OK)
        status = stele__projecting_setup(&projecting);
    if (status == STELE_OK)
        status = stele__tables_are_there(transaction, row_out->tables, "");
    if (status == STELE_OK)
        status = stele__projection_row_store(transaction, projection->name, row_out);
    if (status != STELE_OK)
        return status;
    /* A generation that was given before isn't given again. */
    stele__place_move(transaction->store, &place, 0);
    return stele__projection_place_store(transaction, projection->name, &place);
}
