/*
 * A stream that is done with: moved to another store, read through it, and in the end erased.
 */
#include <inttypes.h>
#include <stdio.h>

#include <stele.h>

#define STREAM "order-17"

static stele_status fill_order(stele_store *store)
{
    static const stele_event events[] = { { .type = "OrderPlaced" }, { .type = "OrderPaid" } };
    stele_append append = STELE_APPEND_INIT;
    append.stream = STREAM;
    append.events = events;
    append.event_count = 2;
    return stele_store_append(store, &append, NULL);
}

/* Closed for appends at once; its payloads go to `kept`, step by step. */
static stele_status archive_order(stele_store *store, stele_store *kept)
{
    stele_archive archive = STELE_ARCHIVE_INIT;
    archive.stream = STREAM;
    archive.reason = "delivered";
    archive.to = kept;
    stele_changed changed;
    stele_status status = stele_store_archive(store, &archive, &changed);
    if (status == STELE_OK)
        printf("%" PRId64 " events moved\n", changed.events);
    return status;
}

/* A replay, which says how many events it passed over. */
static stele_status replay(stele_store *store)
{
    int count = 0;
    const stele_record *record;
    stele_cursor *cursor = NULL;
    stele_status status = stele_store_read(store, NULL, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK)
        count++;
    stele_skipped skipped = stele_cursor_skipped(cursor);
    stele_cursor_close(cursor);
    if (status == STELE_DONE)
        printf("%d events, %" PRId64 " in an archive, %" PRId64 " erased\n", count,
               skipped.archived, skipped.erased);
    return status == STELE_DONE ? STELE_OK : status;
}

/* Erased here and in the archive, and no remains left in the files. */
static stele_status delete_order(stele_store *store, stele_store *kept)
{
    stele_delete what = STELE_DELETE_INIT;
    what.stream = STREAM;
    what.archive = kept;
    what.now = true;
    return stele_store_delete(store, &what, NULL);
}

int main(void)
{
    stele_store *store = NULL;
    stele_store *kept = NULL;
    stele_status status = stele_store_open("orders.stele", NULL, &store);
    if (status == STELE_OK)
        status = stele_store_open("orders-2025.stele", NULL, &kept);
    if (status == STELE_OK)
        status = fill_order(store);
    if (status == STELE_OK)
        status = archive_order(store, kept);
    if (status == STELE_OK)
        status = replay(store);
    if (status == STELE_OK)
        status = stele_store_attach(store, kept); /* from now on it is read through */
    if (status == STELE_OK)
        status = replay(store);
    if (status == STELE_OK)
        status = delete_order(store, kept);
    if (status == STELE_OK)
        status = replay(store);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    stele_store_close(kept);
    return status < 0;
}
