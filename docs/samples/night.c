/*
 * What a watchman looks at, and what can be done at a quiet hour: the anchor, the WAL, the waits.
 */
#include <inttypes.h>
#include <stdio.h>

#include <stele.h>

static stele_status append_reading(stele_store *store)
{
    stele_event event = { .type = "measured" };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "meter-1";
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(store, &append, NULL);
}

/* One line for a log, or a gauge each. */
static stele_status report(stele_store *store)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_status status = stele_store_describe(store, &info);
    if (status != STELE_OK)
        return status;
    printf("head %" PRId64 ", %" PRIu64 " waiting, WAL %s\n", info.head, info.appends_waiting,
           info.wal_bytes <= (int64_t)64 * 1024 * 1024 ? "short" : "long");
    printf("transfers: %" PRIu64 " complete, %" PRIu64 " short, %" PRIu64 " failed; %" PRIu64
           " gates\n",
           info.transfers, info.transfers_short, info.transfers_failed, info.gates);
    if (info.anchor == STELE_ANCHOR_LOST)
        printf("events were lost: the anchor names position %" PRId64 "\n", info.anchor_head);
    return STELE_OK;
}

int main(void)
{
    uint32_t left = 0;
    stele_store *store = NULL;
    stele_options options = STELE_OPTIONS_INIT;
    options.maintenance = false; /* true: a thread moves the WAL, off the appenders' path */
    options.wal_soft_pages = 8000;
    options.wal_hard_pages = 32000;
    stele_status status = stele_store_open("night.stele", &options, &store);
    for (int i = 0; i < 100 && status == STELE_OK; i++)
        status = append_reading(store);
    if (status == STELE_OK)
        status = stele_store_transfer(store, NULL, &left);
    if (status == STELE_OK)
        status = report(store);
    if (status == STELE_OK)
        printf("pages left in the WAL: %" PRIu32 "\n", left);
    else
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
