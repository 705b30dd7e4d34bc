/* How far each subscription is, and reading what one has written once it got there. */
#include <inttypes.h>
#include <stdio.h>

#include <stele.h>

static const char *const state_names[] = { "idle", "catching up", "live", "retrying", "stopped" };

static stele_status show_subscriptions(stele_store *store)
{
    stele_subscriptions *list = NULL;
    const stele_subscription_info *info;
    stele_status status = stele_store_subscriptions(store, NULL, false, &list);
    while (status == STELE_OK && (status = stele_subscriptions_next(list, &info)) == STELE_OK)
        printf("%s: %s, at %" PRId64 " of %" PRId64 ", lag %" PRId64 ", parked %" PRId64 "%s%s\n",
               info->name, state_names[info->state], info->position, info->head, info->lag,
               info->parked, info->error[0] != '\0' ? ", last error: " : "", info->error);
    stele_subscriptions_close(list);
    return status == STELE_DONE ? STELE_OK : status;
}

/* What was appended is to be seen by who reads what these two have written. */
static stele_status wait_for_models(stele_store *store, int64_t position)
{
    const char *const names[] = { "balances", "search" };
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 50;
    return stele_subscription_wait_for(store, names, 2, position, &wait);
}

int main(void)
{
    stele_event event = { .type = "opened", .data = "{}", .data_size = 2 };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "account-7";
    append.events = &event;
    append.event_count = 1;
    stele_appended appended;

    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    for (int i = 0; i < 3 && status == STELE_OK; i++)
        status = stele_store_append(store, &append, &appended);
    /* Subscriptions save these, wherever they run. */
    if (status == STELE_OK)
        status = stele_checkpoint_save(store, "balances", 3);
    if (status == STELE_OK)
        status = stele_checkpoint_save(store, "search", 1);

    if (status == STELE_OK)
        status = show_subscriptions(store);
    if (status == STELE_OK)
        status = wait_for_models(store, appended.last_position);
    if (status == STELE_TIMED_OUT)
        printf("%s\n", stele_error_text());
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0 ? 1 : 0;
}
