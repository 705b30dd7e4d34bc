/*
 * Forgetting the oldest events, but none that a reader has yet to see.
 */
#include <inttypes.h>
#include <stdio.h>

#include <stele.h>

static stele_status fill_sensor(stele_store *store)
{
    static const stele_event events[] = {
        { .type = "measured" }, { .type = "measured" }, { .type = "measured" },
        { .type = "measured" }, { .type = "measured" },
    };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "sensor-1";
    append.events = events;
    append.event_count = 5;
    return stele_store_append(store, &append, NULL);
}

/* Of each sensor the newest event stays. */
static stele_status trim_sensors(stele_store *store)
{
    stele_retain retain = STELE_RETAIN_INIT;
    retain.category = "sensor";
    retain.max_count = 1;
    stele_retained retained;
    stele_status status = stele_store_retain(store, &retain, &retained);
    if (status == STELE_OK)
        printf("%" PRId64 " events went, %" PRId64 " stay for '%s'\n", retained.events,
               retained.held_back, retained.slowest);
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = fill_sensor(store);
    if (status == STELE_OK)
        status = stele_checkpoint_save(store, "averages", 3);
    if (status == STELE_OK)
        status = trim_sensors(store);
    if (status == STELE_OK)
        status = stele_checkpoint_save(store, "averages", 5);
    if (status == STELE_OK)
        status = trim_sensors(store);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
