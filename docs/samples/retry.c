/*
 * An append that may be repeated: the key names the attempt, so it is stored once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele.h>

#define ATTEMPTS_MAX 3

/* After BUSY nothing was stored; after UNKNOWN_OUTCOME only the next attempt can tell. */
static bool is_worth_repeating(stele_status status)
{
    return status == STELE_BUSY || status == STELE_UNKNOWN_OUTCOME;
}

static stele_status record_payment(stele_store *store, const char *payment_id)
{
    const char *data = "{\"amount\":\"99.95\"}";
    stele_event event = { .type = "paid", .data = data, .data_size = strlen(data) };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "order-1";
    append.events = &event;
    append.event_count = 1;
    append.idempotency_key = payment_id;

    stele_appended appended = { 0 };
    stele_status status = STELE_BUSY;
    for (int attempt = 0; attempt < ATTEMPTS_MAX && is_worth_repeating(status); attempt++)
        status = stele_store_append(store, &append, &appended);
    if (status == STELE_OK)
        printf("%s at position %" PRId64 "\n", appended.duplicate ? "found" : "stored",
               appended.first_position);
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = record_payment(store, "payment-4711");
    if (status == STELE_OK) /* the answer got lost, say, or the process was restarted */
        status = record_payment(store, "payment-4711");
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
