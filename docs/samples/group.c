/*
 * A consumer group: four threads share the lanes of one subscription. Each stream is handled in
 * order, by one of them at a time, and what they write is committed with their place.
 */
#include <inttypes.h>
#include <stdio.h>

#include <sqlite3.h>
#include <stele.h>

#define PATH "group.stele"

enum { ACCOUNTS = 20, PAYMENTS = 200 };

static stele_status append_payments(stele_store *store)
{
    stele_status status = STELE_OK;
    for (int i = 0; i < PAYMENTS && status == STELE_OK; i++) {
        char stream[32];
        stele_event event = { .type = "paid" };
        stele_append append = STELE_APPEND_INIT;
        snprintf(stream, sizeof(stream), "account-%d", i % ACCOUNTS);
        append.stream = stream;
        append.events = &event;
        append.event_count = 1;
        status = stele_store_append(store, &append, NULL);
    }
    return status;
}

static stele_status run_sql(stele_transaction *transaction, const char *sql)
{
    int code = sqlite3_exec(stele_transaction_sqlite(transaction), sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? STELE_OK : STELE_IO;
}

static stele_status create_table(stele_store *store)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(store, &transaction);
    if (status == STELE_OK)
        status = run_sql(transaction, "CREATE TABLE IF NOT EXISTS payments"
                                      "(account TEXT PRIMARY KEY, count INTEGER) STRICT");
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    return status;
}

/* Called by all threads at a time, but never twice for one stream. */
static stele_status count_payment(void *context, const stele_record *record,
                                  const stele_handling *handling)
{
    char sql[200];
    (void)context;
    snprintf(sql, sizeof(sql),
             "INSERT INTO payments VALUES('%s', 1)"
             " ON CONFLICT(account) DO UPDATE SET count = count + 1",
             record->stream);
    return run_sql(handling->transaction, sql);
}

static stele_status count_payments(stele_store *store)
{
    stele_worker *worker = NULL;
    stele_handler handler = STELE_HANDLER_INIT;
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    handler.event = count_payment;
    options.name = "payments";
    options.lanes = 8;
    options.stop = STELE_STOP_HEAD; /* a service would go on until it is stopped */
    stele_status status = stele_worker_start(store, &options, &handler, 4, &worker);
    if (status == STELE_OK)
        status = stele_worker_wait(worker, NULL);
    stele_worker_close(worker);
    return status == STELE_DONE ? STELE_OK : status;
}

static int print_row(void *context, int count, char **values, char **names)
{
    (void)context;
    (void)count;
    (void)names;
    printf("%s accounts, %s payments\n", values[0], values[1]);
    return 0;
}

static stele_status print_counts(stele_store *store)
{
    stele_checkpoint checkpoint;
    stele_transaction *transaction = NULL;
    stele_status status = stele_checkpoint_load(store, "payments", &checkpoint);
    if (status == STELE_OK)
        status = stele_transaction_begin(store, &transaction);
    if (status != STELE_OK)
        return status;
    sqlite3_exec(stele_transaction_sqlite(transaction), "SELECT count(*), sum(count) FROM payments",
                 print_row, NULL, NULL);
    stele_transaction_end(transaction);
    printf("all lanes are through %" PRId64 "\n", checkpoint.position);
    return STELE_OK;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(PATH, NULL, &store);
    if (status == STELE_OK)
        status = append_payments(store);
    if (status == STELE_OK)
        status = create_table(store);
    if (status == STELE_OK)
        status = count_payments(store);
    if (status == STELE_OK)
        status = print_counts(store);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
