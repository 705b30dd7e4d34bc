/*
 * A balance that is not folded from the first event each time: begin with the snapshot, read on
 * from there, and save a new one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <stele.h>

/* The form of the data below: raised whenever that changes, so that old ones are passed over. */
enum { BALANCE_FORM = 1 };

typedef struct balance {
    int64_t version;   /* of the last event that was folded */
    int64_t stream_id; /* which account of that name it is */
    long long cents;
} balance;

/* The state to begin with: of the snapshot, or nothing. */
static stele_status begin_balance(stele_store *store, const char *account, balance *out)
{
    stele_snapshot_read read = STELE_SNAPSHOT_READ_INIT;
    read.stream = account;
    read.name = "balance";
    read.schema_version = BALANCE_FORM;
    const stele_snapshot_record *record = NULL;
    stele_status status = stele_snapshot_load(store, &read, &record);
    if (status != STELE_OK)
        return status;
    *out = (balance){ 0 };
    if (record->found) {
        out->version = record->version;
        out->stream_id = record->stream_id;
        out->cents = strtoll(record->data, NULL, 10);
    }
    printf("begins at version %" PRId64 "%s%s\n", out->version, record->found ? "" : ": ",
           record->reason);
    stele_snapshot_close(record);
    return STELE_OK;
}

/* Each event's data is a number of cents, which came or went. */
static stele_status fold_rest(stele_store *store, const char *account, balance *of)
{
    stele_read read = STELE_READ_INIT;
    read.stream = account;
    read.from_version = of->version + 1;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    stele_status status = stele_store_read(store, &read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        of->cents += strtoll(record->data, NULL, 10);
        of->version = record->version;
        of->stream_id = record->stream_id;
    }
    stele_cursor_close(cursor);
    return status == STELE_DONE ? STELE_OK : status;
}

/* Only for the stream that was folded, should another have its name by now. */
static stele_status save_balance(stele_store *store, const char *account, const balance *of)
{
    char data[32];
    stele_snapshot snapshot = STELE_SNAPSHOT_INIT;
    snapshot.stream = account;
    snapshot.name = "balance";
    snapshot.version = of->version;
    snapshot.stream_id = of->stream_id;
    snapshot.schema_version = BALANCE_FORM;
    snapshot.data = data;
    snapshot.data_size = (size_t)snprintf(data, sizeof(data), "%lld", of->cents);
    return stele_snapshot_save(store, &snapshot);
}

static stele_status move_money(stele_store *store, const char *account, const char *cents)
{
    stele_event event = { .type = "MoneyMoved", .data = cents, .data_size = 4 };
    stele_append append = STELE_APPEND_INIT;
    append.stream = account;
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(store, &append, NULL);
}

static stele_status show_balance(stele_store *store, const char *account)
{
    balance now;
    stele_status status = begin_balance(store, account, &now);
    if (status == STELE_OK)
        status = fold_rest(store, account, &now);
    if (status == STELE_OK)
        printf("%lld cents at version %" PRId64 "\n", now.cents, now.version);
    return status == STELE_OK ? save_balance(store, account, &now) : status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = move_money(store, "account-1", "5000");
    if (status == STELE_OK)
        status = show_balance(store, "account-1");
    if (status == STELE_OK)
        status = move_money(store, "account-1", "-250");
    if (status == STELE_OK)
        status = show_balance(store, "account-1");
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
