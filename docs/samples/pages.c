/*
 * Reading a log in pages: some records at a time, each page going on where the last one ended.
 */
#include <inttypes.h>
#include <stdio.h>

#include <stele.h>

/* Print at most `limit` records of the category after `*after`, and move it to what was scanned. */
static stele_status print_page(stele_store *store, uint64_t limit, int64_t *after)
{
    stele_read read = STELE_READ_INIT;
    read.category = "order";
    read.after_position = *after;
    read.limit = limit;

    stele_cursor *cursor = NULL;
    const stele_record *record;
    stele_status status = stele_store_read(store, &read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK)
        printf("%" PRId64 ": %s %" PRId64 " %s\n", record->position, record->stream,
               record->version, record->type);
    if (status == STELE_DONE)
        *after = stele_cursor_scanned(cursor);
    stele_cursor_close(cursor);
    return status;
}

static stele_status append_placed(stele_store *store, const char *stream)
{
    stele_event event = { .type = "placed" };
    stele_append append = STELE_APPEND_INIT;
    append.stream = stream;
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(store, &append, NULL);
}

int main(void)
{
    static const char *const streams[] = { "order-1", "order-2", "visit-1", "order-3", "visit-1" };
    stele_store *store = NULL;
    int64_t after = 0;
    int64_t head = 0;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]) && status == STELE_OK; i++)
        status = append_placed(store, streams[i]);
    if (status == STELE_OK)
        status = stele_store_head(store, &head);
    while (status >= 0 && after < head) {
        status = print_page(store, 2, &after);
        if (status >= 0)
            printf("scanned through %" PRId64 "\n", after);
    }
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
