/*
 * A first program: open a store, append two events, read them back.
 *
 *     first [STORE]
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele.h>

int main(int argc, char **argv)
{
    stele_store *store = NULL;
    stele_cursor *cursor = NULL;
    const stele_record *record;

    const char *opened = "{\"owner\":\"Ada\"}";
    const char *deposited = "{\"amount\":100}";
    stele_event events[] = {
        { .type = "opened", .data = opened, .data_size = strlen(opened) },
        { .type = "deposited", .data = deposited, .data_size = strlen(deposited) },
    };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "account-7";
    append.events = events;
    append.event_count = 2;
    stele_read read = STELE_READ_INIT;
    read.stream = "account-7";

    stele_status status = stele_store_open(argc > 1 ? argv[1] : "first.stele", NULL, &store);
    if (status == STELE_OK)
        status = stele_store_append(store, &append, NULL);
    if (status == STELE_OK)
        status = stele_store_read(store, &read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK)
        printf("%" PRId64 " %s %s\n", record->version, record->type, (const char *)record->data);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());

    stele_cursor_close(cursor);
    stele_store_close(store);
    return status < 0;
}
