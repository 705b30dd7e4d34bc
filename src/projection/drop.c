/* Giving up a build, and forgetting a projection. */
#include "projection/own.h"

/* What a call of this file does in its transaction. */
typedef stele_status (*projection_change)(stele_transaction *transaction, const char *name,
                                          stele__projection_row *row, bool *found);

/* Without the generation that was, a stale owner is told by its name. */
static stele_status forget_place(stele_transaction *transaction, const char *name)
{
    return stele_transaction_checkpoint_reset(transaction, name, NULL);
}

static stele_status drop_build(stele_transaction *transaction, const char *name,
                               const stele__projection_row *row)
{
    char suffix[STELE__SUFFIX_SIZE];
    char place[STELE__BUILD_NAME_SIZE];
    if (row->build == 0)
        return STELE_OK;
    stele__suffix_of_build(row->build, suffix);
    stele__name_of_build(name, place);
    stele_status status = stele__tables_drop(transaction, row->build_tables, suffix);
    return status == STELE_OK ? forget_place(transaction, place) : status;
}

static stele_status apply_abandon(stele_transaction *transaction, const char *name,
                                  stele__projection_row *row, bool *found)
{
    if (!row->found)
        return stele__fail(STELE_NOT_FOUND, "no projection '%s' was ever opened", name);
    *found = row->build > 0;
    if (!*found)
        return STELE_OK;
    stele_status status = drop_build(transaction, name, row);
    row->build = 0;
    row->build_version = 0;
    row->build_tables[0] = '\0';
    return status == STELE_OK ? stele__projection_row_store(transaction, name, row) : status;
}

static stele_status apply_drop(stele_transaction *transaction, const char *name,
                               stele__projection_row *row, bool *found)
{
    *found = row->found;
    if (!row->found)
        return STELE_OK;
    stele_status status = drop_build(transaction, name, row);
    if (status == STELE_OK)
        status = stele__tables_drop(transaction, row->tables, "");
    if (status == STELE_OK)
        status = forget_place(transaction, name);
    if (status == STELE_OK)
        status = stele__projection_row_remove(transaction, name);
    return status == STELE_OK ? stele__projection_mark(transaction, name, false) : status;
}

static stele_status change_projection(stele_store *store, const char *name,
                                      projection_change change, bool *found_out)
{
    stele__projection_row row;
    stele_transaction *transaction = NULL;
    bool found = false;
    if (found_out != NULL)
        *found_out = false;
    stele_status status = stele__check_name_within("projection", name, STELE_PROJECTION_NAME_MAX);
    if (status == STELE_OK)
        status = stele_transaction_begin(store, &transaction);
    if (status != STELE_OK)
        return status;
    status = stele__projection_row_load(transaction, name, &row);
    if (status == STELE_OK)
        status = change(transaction, name, &row, &found);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    if (status == STELE_OK && found_out != NULL)
        *found_out = found;
    return status;
}

stele_status stele_projection_abandon(stele_store *store, const char *name, bool *found_out)
{
    return change_projection(store, name, apply_abandon, found_out);
}

stele_status stele_projection_drop(stele_store *store, const char *name, bool *found_out)
{
    return change_projection(store, name, apply_drop, found_out);
}
