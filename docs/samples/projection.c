/*
 * A read model in the user's own table: rows and checkpoint change in one transaction, so each
 * event counts exactly once, whenever the program is stopped.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>
#include <stele.h>

#define CHECKPOINT "orders_by_type"
#define BATCH      100

static stele_status append_order(stele_store *store, const char *type)
{
    stele_event event = { .type = type };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "order-1";
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(store, &append, NULL);
}

/* Count the records of `cursor` in the table. False when SQLite failed. */
static bool count_records(sqlite3 *sqlite, stele_cursor *cursor, stele_status *status_out)
{
    sqlite3_stmt *count = NULL;
    const stele_record *record;
    bool counted = sqlite3_exec(sqlite,
                                "CREATE TABLE IF NOT EXISTS order_type"
                                " (type TEXT PRIMARY KEY, events INTEGER NOT NULL)",
                                NULL, NULL, NULL)
                       == SQLITE_OK
                   && sqlite3_prepare_v2(sqlite,
                                         "INSERT INTO order_type VALUES (?1, 1)"
                                         " ON CONFLICT (type) DO UPDATE SET events = events + 1",
                                         -1, &count, NULL)
                          == SQLITE_OK;
    while (counted && (*status_out = stele_cursor_next(cursor, &record)) == STELE_OK) {
        sqlite3_bind_text(count, 1, record->type, -1, SQLITE_STATIC);
        sqlite3_step(count);
        counted = sqlite3_reset(count) == SQLITE_OK; /* repeats how the step went */
    }
    sqlite3_finalize(count);
    return counted;
}

/* One batch: checkpoint, events, table, checkpoint. DONE when there was nothing new. */
static stele_status project_batch(stele_store *store)
{
    stele_transaction *transaction = NULL;
    stele_cursor *cursor = NULL;
    stele_checkpoint checkpoint;
    stele_read read = STELE_READ_INIT;
    read.category = "order";
    read.limit = BATCH;

    stele_status status = stele_transaction_begin(store, &transaction);
    if (status == STELE_OK)
        status = stele_transaction_checkpoint_load(transaction, CHECKPOINT, &checkpoint);
    if (status != STELE_OK)
        goto cleanup;
    read.after_position = checkpoint.position;
    status = stele_transaction_read(transaction, &read, &cursor);
    if (status != STELE_OK)
        goto cleanup;

    if (!count_records(stele_transaction_sqlite(transaction), cursor, &status))
        status = STELE_IO;
    if (status < 0)
        goto cleanup;
    int64_t scanned = stele_cursor_scanned(cursor);
    if (scanned == checkpoint.position)
        goto cleanup; /* nothing new: the end rolls back */
    status = stele_transaction_checkpoint_save(transaction, CHECKPOINT, scanned);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    if (status == STELE_OK)
        printf("projected through position %" PRId64 "\n", scanned);

cleanup:
    stele_cursor_close(cursor);
    stele_transaction_end(transaction); /* rolls back what was not committed */
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = append_order(store, "placed");
    if (status == STELE_OK)
        status = append_order(store, "paid");
    while (status == STELE_OK)
        status = project_batch(store);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
