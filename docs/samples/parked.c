/* An event that can't be handled is parked; it is looked at, its cause mended, and replayed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele.h>

/* What the mail server accepts. It learns. */
static bool knows_address;

static stele_status send_mail(void *context, const stele_record *record,
                              const stele_handling *handling)
{
    (void)context;
    if (strcmp(record->type, "invited") == 0 && !knows_address)
        return stele_handling_fail(handling, record->position, "no such address");
    printf("%s %" PRId64 ": %s%s\n", record->stream, record->version, record->type,
           handling->replay ? ", replayed" : "");
    return STELE_OK;
}

static void show_parked(stele_store *store)
{
    stele_parked_list *list = NULL;
    const stele_parked *parked;
    if (stele_store_parked(store, "mail", &list) != STELE_OK)
        return;
    while (stele_parked_next(list, &parked) == STELE_OK)
        if (parked->behind == 0)
            printf("parked: position %" PRId64 " of %s, %s\n", parked->position, parked->stream,
                   parked->reason);
        else
            printf("waiting: position %" PRId64 ", behind %" PRId64 "\n", parked->position,
                   parked->behind);
    stele_parked_close(list);
}

static stele_status append_guest(stele_store *store, const char *stream, const char *type)
{
    stele_event event = { .type = type, .data = "{}", .data_size = 2 };
    stele_append append = STELE_APPEND_INIT;
    append.stream = stream;
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(store, &append, NULL);
}

static stele_status run_mail(stele_store *store)
{
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    options.name = "mail";
    options.stop = STELE_STOP_HEAD;
    options.on_failure = STELE_ON_FAILURE_PARK;
    options.tries = 2;
    options.backoff_ms = 10;
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = send_mail;

    stele_subscription *subscription = NULL;
    stele_parked_counts counts = { 0 };
    stele_status status = stele_subscription_open(store, &options, &subscription);
    if (status == STELE_OK)
        status = stele_subscription_run(subscription, &handler);
    if (status == STELE_DONE) {
        show_parked(store);
        knows_address = true;
        stele_parked_choice choice = STELE_PARKED_CHOICE_INIT;
        choice.stream = "guest-1";
        status = stele_subscription_replay(subscription, &choice, &handler, &counts);
    }
    stele_subscription_close(subscription);
    if (status == STELE_OK)
        printf("%" PRIu64 " handled, %" PRIu64 " left\n", counts.handled, counts.left);
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = append_guest(store, "guest-1", "invited");
    if (status == STELE_OK)
        status = append_guest(store, "guest-2", "greeted");
    if (status == STELE_OK)
        status = append_guest(store, "guest-1", "reminded");
    if (status == STELE_OK)
        status = run_mail(store);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status == STELE_OK ? 0 : 1;
}
