/*
 * Pulling, with effects outside the store: each has a key that is the same whenever the event
 * comes, so that the other side can tell a repetition.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele.h>

/* What the mail server does. */
static bool send_mail(const char *key, const stele_record *record)
{
    (void)key;
    printf("to %s: %.*s\n", record->stream, (int)record->data_size, (const char *)record->data);
    return true;
}

static stele_status send_batch(stele_subscription *subscription, const stele_batch *batch)
{
    char key[STELE_SUBSCRIPTION_KEY_SIZE];
    for (size_t i = 0; i < batch->count; i++) {
        const stele_record *record = batch->records[i];
        stele_status status = stele_subscription_key(subscription, record, key);
        if (status == STELE_OK && !send_mail(key, record))
            return stele_subscription_reject(subscription, record->position, "refused");
        if (status != STELE_OK)
            return status;
    }
    return stele_subscription_ack(subscription, batch->through);
}

static stele_status send_all(stele_store *store)
{
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    const char *types[] = { "invited" };
    options.name = "mail";
    options.types = types;
    options.type_count = 1;
    options.delivery = STELE_AT_LEAST_ONCE;
    options.ack_flush_ms = 500; /* up to so much is sent again after a crash */

    stele_subscription *subscription = NULL;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 0; /* what is there; a server would wait longer */
    const stele_batch *batch = NULL;
    stele_status status = stele_subscription_open(store, &options, &subscription);
    while (status == STELE_OK
           && (status = stele_subscription_next(subscription, &wait, &batch)) == STELE_OK)
        status = send_batch(subscription, batch);
    stele_subscription_close(subscription); /* commits what was acknowledged */
    return status == STELE_TIMED_OUT ? STELE_OK : status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    static const char *const guests[] = { "guest-eve", "guest-bob" };
    for (size_t i = 0; i < 2 && status == STELE_OK; i++) {
        stele_event event = { .type = "invited", .data = "\"Come!\"", .data_size = 7 };
        stele_append append = STELE_APPEND_INIT;
        append.stream = guests[i];
        append.events = &event;
        append.event_count = 1;
        status = stele_store_append(store, &append, NULL);
    }
    if (status == STELE_OK)
        status = send_all(store);
    if (status == STELE_OK)
        status = send_all(store); /* nothing is sent twice */

    stele_checkpoint checkpoint;
    if (status == STELE_OK)
        status = stele_checkpoint_load(store, "mail", &checkpoint);
    if (status == STELE_OK)
        printf("all through position %" PRId64 "\n", checkpoint.position);
    else
        fprintf(stderr, "%s\n", stele_error_text());
    stele_store_close(store);
    return status != STELE_OK;
}
