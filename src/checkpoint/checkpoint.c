/* Checkpoints: how far each named reader has come. */
#include <stele/checkpoint.h>

#include <inttypes.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "checkpoint/checks.h"
#include "checkpoint/row.h"
#include "sqlite/statement.h"
#include "store/store.h"

static stele_status begin_checkpoint_row(stele__connection *connection, const char *name,
                                         stele__statement **statement_out)
{
    stele_status status = stele__statement_begin(
        connection->database,
        "SELECT " STELE__CHECKPOINT_COLUMNS " FROM checkpoints WHERE name = ?1", statement_out);
    if (status == STELE_OK)
        stele__bind_text(*statement_out, 1, name);
    return status;
}

static void bind_optional_text(stele__statement *statement, int parameter, const char *text)
{
    if (text != NULL)
        stele__bind_text(statement, parameter, text);
    else
        stele__bind_null(statement, parameter);
}

static stele_status load_checkpoint(stele__connection *connection, const char *name,
                                    stele_checkpoint *checkpoint_out)
{
    stele__statement *statement = NULL;
    stele_status status = begin_checkpoint_row(connection, name, &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        stele__checkpoint_row row;
        status = stele__checkpoint_row_read(statement, name, &row);
        if (status == STELE_OK) {
            checkpoint_out->found = true;
            checkpoint_out->position = row.position;
            checkpoint_out->saved_at = row.saved_at;
            status = stele__checkpoint_row_judge(connection, name, &row, &checkpoint_out->shared);
        }
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status check_position(stele__connection *connection, const char *name,
                                   int64_t position)
{
    int64_t head = 0;
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT coalesce(max(position), 0) FROM events", &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        head = stele__column_number(statement, 0);
    stele__statement_end(statement);
    if (status == STELE_OK && (position < 0 || position > head))
        return stele__fail(STELE_MISUSE,
                           "checkpoint '%s': position %" PRId64
                           " is not within 0 and the head, %" PRId64,
                           name, position, head);
    return status;
}

/* Write the whole row. Its texts may be borrowed from a statement that is still open. */
static stele_status write_checkpoint(stele__connection *connection, const char *name,
                                     const stele__checkpoint_row *row)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database,
        "INSERT OR REPLACE INTO checkpoints(name, " STELE__CHECKPOINT_COLUMNS ")"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__connection_touch(connection);
    stele__bind_text(statement, 1, name);
    stele__bind_number(statement, 2, row->position);
    stele__bind_text(statement, 3, row->epoch);
    stele__bind_number(statement, 4, row->saved_at);
    bind_optional_text(statement, 5, row->owner);
    bind_optional_text(statement, 6, row->boot);
    stele__bind_number(statement, 7, row->lease_until);
    stele__bind_number(statement, 8, row->generation);
    stele__bind_number(statement, 9, row->attempt_position);
    stele__bind_number(statement, 10, row->attempts);
    bind_optional_text(statement, 11, row->status);
    stele__bind_number(statement, 12, stele__checkpoint_row_checksum(name, row));
    return stele__statement_run(statement);
}

/* What belongs to an owner stays with it: saving a position doesn't take a lease away. */
static stele_status save_checkpoint(const stele_store *store, stele__connection *connection,
                                    const char *name, int64_t position)
{
    stele__checkpoint_row row = { 0 };
    stele__statement *statement = NULL;
    stele_status status = check_position(connection, name, position);
    if (status == STELE_OK)
        status = begin_checkpoint_row(connection, name, &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    /* A damaged row is replaced whole: saving is how it is mended. */
    if (status == STELE_OK && stele__checkpoint_row_read(statement, name, &row) != STELE_OK)
        row = (stele__checkpoint_row){ 0 };
    if (status >= 0) {
        row.position = position;
        row.epoch = store->epoch;
        row.saved_at = stele__store_now(store);
        status = write_checkpoint(connection, name, &row);
    }
    stele__statement_end(statement);
    return status;
}

static stele_status check_load(const char *name, stele_checkpoint *checkpoint_out)
{
    if (checkpoint_out == NULL)
        return stele__fail(STELE_MISUSE, "checkpoint_out is NULL");
    *checkpoint_out = (stele_checkpoint){ 0 };
    return stele__check_name("checkpoint", name);
}

stele_status stele_checkpoint_load(stele_store *store, const char *name,
                                   stele_checkpoint *checkpoint_out)
{
    stele__connection *connection = NULL;
    stele_status status = check_load(name, checkpoint_out);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = load_checkpoint(connection, name, checkpoint_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_checkpoint_load(stele_transaction *transaction, const char *name,
                                               stele_checkpoint *checkpoint_out)
{
    stele__connection *connection = NULL;
    stele_status status = check_load(name, checkpoint_out);
    if (status == STELE_OK)
        status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = load_checkpoint(connection, name, checkpoint_out);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele_checkpoint_save(stele_store *store, const char *name, int64_t position)
{
    stele__connection *connection = NULL;
    stele_status status = stele__check_name("checkpoint", name);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__write_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = save_checkpoint(store, connection, name, position);
        if (status == STELE_OK)
            status = stele__write_commit(store);
        stele__write_end(store);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_checkpoint_save(stele_transaction *transaction, const char *name,
                                               int64_t position)
{
    stele__connection *connection = NULL;
    stele_status status = stele__check_name("checkpoint", name);
    if (status == STELE_OK)
        status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = save_checkpoint(transaction->store, connection, name, position);
    if (status != STELE_OK)
        stele__transaction_failed(transaction, status, false);
    stele__transaction_leave(transaction);
    return status;
}

static stele_status visit_checkpoint(stele__connection *connection, stele__statement *statement,
                                     stele__walk *walk)
{
    const char *name = stele__column_text(statement, 11);
    int64_t head = stele__column_number(statement, 12);
    stele__checkpoint_row row;
    walk->findings->count++;
    stele_status whole = stele__checkpoint_row_read(statement, name == NULL ? "" : name, &row);
    /* One of a timeline that was lost may well be beyond the head of this one. */
    if (whole == STELE_OK && row.position > head
        && stele__epoch_check(connection->database, name, row.epoch, row.position, NULL)
               != STELE_EPOCH)
        whole = stele__fail(STELE_CORRUPT,
                            "the checkpoint '%s' is at %" PRId64 ", beyond the head, %" PRId64,
                            name, row.position, head);
    if (whole != STELE_OK)
        stele__findings_add_error(walk->findings);
    return stele__walk_note_text(walk, name);
}

static stele_status check_checkpoints(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings, .by_text = true };
    return stele__walk_rows(store,
                            "SELECT " STELE__CHECKPOINT_COLUMNS
                            ", name, (SELECT coalesce(max(position), 0) FROM events)"
                            " FROM checkpoints WHERE name >= ?1 AND (name > ?1 OR ?2 = 0)"
                            " ORDER BY name LIMIT ?3",
                            visit_checkpoint, &walk);
}

const stele__check *stele__checkpoint_checks(size_t *count_out)
{
    static const stele__check checkpoint_checks[] = { { "checkpoints", check_checkpoints, NULL } };
    *count_out = 1;
    return checkpoint_checks;
}
