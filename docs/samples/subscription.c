/*
 * A read model that is kept exactly once: how much each account has. What the handler writes is
 * committed with the place of the subscription, or not at all.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>
#include <stele.h>

static stele_status append_movement(stele_store *store, const char *account, const char *amount)
{
    stele_event event = { .type = "moved", .data = amount, .data_size = strlen(amount) };
    stele_append append = STELE_APPEND_INIT;
    append.stream = account;
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(store, &append, NULL);
}

static stele_status keep_balance(void *context, const stele_record *record,
                                 const stele_handling *handling)
{
    sqlite3_stmt *statement = NULL;
    sqlite3 *handle = stele_transaction_sqlite(handling->transaction);
    (void)context;
    if (sqlite3_prepare_v2(handle,
                           "INSERT INTO balances(account, amount) VALUES(?1, ?2)"
                           " ON CONFLICT(account) DO UPDATE SET amount = amount + ?2",
                           -1, &statement, NULL)
        != SQLITE_OK)
        return STELE_IO;
    sqlite3_bind_text(statement, 1, record->stream, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(statement, 2, strtol(record->data, NULL, 10));
    int code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    if ((code & 0xff) == SQLITE_CONSTRAINT)
        return stele_handling_fail(handling, record->position, "that is too much");
    return code == SQLITE_DONE ? STELE_OK : STELE_IO; /* not the event's fault: again, later */
}

static void say_caught_up(void *context, int64_t position)
{
    (void)context;
    printf("caught up at position %" PRId64 "\n", position);
}

static stele_status catch_up(stele_store *store)
{
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    options.name = "balances";
    options.category = "account";
    options.stop = STELE_STOP_HEAD; /* without it: live, until stele_subscription_stop() */
    options.on_failure = STELE_ON_FAILURE_SKIP;
    options.tries = 3;

    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = keep_balance;
    handler.caught_up = say_caught_up;

    stele_subscription *subscription = NULL;
    stele_status status = stele_subscription_open(store, &options, &subscription);
    if (status == STELE_OK)
        status = stele_subscription_run(subscription, &handler);
    stele_subscription_close(subscription);
    return status == STELE_DONE ? STELE_OK : status;
}

static int show_balance(void *context, int count, char **values, char **names)
{
    (void)context;
    (void)count;
    (void)names;
    printf("%s has %s\n", values[0], values[1]);
    return 0;
}

int main(void)
{
    stele_store *store = NULL;
    stele_transaction *transaction = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = stele_transaction_begin(store, &transaction);
    if (status == STELE_OK) {
        sqlite3_exec(stele_transaction_sqlite(transaction),
                     "CREATE TABLE balances(account TEXT PRIMARY KEY,"
                     " amount INTEGER CHECK(amount < 1000))",
                     NULL, NULL, NULL);
        status = stele_transaction_commit(transaction);
    }
    stele_transaction_end(transaction);

    static const char *const movements[][2] = {
        { "account-1", "100" },  { "account-2", "70" }, { "account-1", "-30" },
        { "account-1", "5000" }, { "other-1", "1" },
    };
    for (size_t i = 0; i < sizeof(movements) / sizeof(movements[0]) && status == STELE_OK; i++)
        status = append_movement(store, movements[i][0], movements[i][1]);
    if (status == STELE_OK)
        status = catch_up(store);
    if (status == STELE_OK)
        status = append_movement(store, "account-2", "5");
    if (status == STELE_OK) /* it goes on where it was */
        status = catch_up(store);

    if (status == STELE_OK)
        status = stele_transaction_begin(store, &transaction);
    if (status == STELE_OK) {
        sqlite3_exec(stele_transaction_sqlite(transaction),
                     "SELECT account, amount FROM balances ORDER BY account", show_balance, NULL,
                     NULL);
        stele_transaction_end(transaction);
    }
    if (status < 0)
        fprintf(stderr, "%s\n", stele_error_text());
    stele_store_close(store);
    return status < 0;
}
