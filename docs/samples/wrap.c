/*
 * A handle of your own, wrapped: an order and the event that tells of it are one transaction, and
 * the handle goes on as it was.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>
#include <stele.h>

/* Both of it, or nothing. */
static bool place_order(stele_store *store, sqlite3 *handle)
{
    const char *data = "{\"item\":\"lamp\"}";
    stele_event event = { .type = "placed", .data = data, .data_size = strlen(data) };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "order-7";
    append.events = &event;
    append.event_count = 1;

    stele_transaction *transaction = NULL;
    bool placed = stele_transaction_begin(store, &transaction) == STELE_OK
                  && stele_transaction_append(transaction, &append, NULL) == STELE_OK
                  && sqlite3_exec(handle, "INSERT INTO orders VALUES (7, 'lamp')", NULL, NULL, NULL)
                         == SQLITE_OK
                  && stele_transaction_commit(transaction) == STELE_OK;
    stele_transaction_end(transaction);
    return placed;
}

int main(void)
{
    sqlite3 *handle = NULL;
    stele_store *store = NULL;
    stele_store_info info = STELE_STORE_INFO_INIT;
    bool done = sqlite3_open(":memory:", &handle) == SQLITE_OK
                && stele_store_wrap(handle, NULL, &store) == STELE_OK
                && sqlite3_exec(handle, "CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT)",
                                NULL, NULL, NULL)
                       == SQLITE_OK
                && place_order(store, handle) && stele_store_describe(store, &info) == STELE_OK;
    if (done)
        printf("events: %d, survive power loss: %s\n", (int)info.events,
               (info.guarantees & STELE_GUARANTEE_DURABLE) != 0 ? "yes" : "no");
    else
        fprintf(stderr, "%s: %s\n", sqlite3_errmsg(handle), stele_error_text());
    stele_store_close(store); /* before the handle, which goes on */
    sqlite3_close(handle);
    return done ? 0 : 1;
}
