/*
 * Reading on as events come: a listener wakes for the commits of this process at once, and for
 * those of others by polling. Whoever was told of a head reads up to it, and waits again.
 */
#include <inttypes.h>
#include <stdio.h>

#include <stele.h>

#define PATH "notify.stele"

static stele_status append_reading(stele_store *store)
{
    stele_event event = { .type = "measured" };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "meter-1";
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(store, &append, NULL);
}

/* Everything after `*position`, which moves on. */
static stele_status read_on(stele_store *store, int64_t *position)
{
    stele_read read = STELE_READ_INIT;
    read.after_position = *position;
    stele_cursor *cursor = NULL;
    stele_status status = stele_store_read(store, &read, &cursor);
    const stele_record *record = NULL;
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK)
        printf("%" PRId64 " %s\n", record->position, record->type);
    if (status == STELE_DONE)
        *position = stele_cursor_scanned(cursor);
    stele_cursor_close(cursor);
    return status;
}

static stele_status listen_for_two(stele_store *ours, stele_store *theirs)
{
    int64_t position = 0;
    stele_notifier *notifier = NULL;
    stele_listener *listener = NULL;
    stele_status status = stele_store_notifier(ours, &notifier);
    if (status == STELE_OK)
        status = stele_listener_open(notifier, position, &listener);

    /* One of ours, and one of theirs, which only polling finds. */
    if (status == STELE_OK)
        status = append_reading(ours);
    if (status == STELE_OK)
        status = append_reading(theirs);

    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 10000;
    while (status >= 0 && position < 2) {
        status = stele_listener_wait(listener, &wait, NULL);
        if (status == STELE_TIMED_OUT)
            break;
        if (status == STELE_OK)
            status = read_on(ours, &position);
    }
    stele_listener_close(listener);
    return status;
}

int main(void)
{
    stele_store *ours = NULL;
    stele_store *theirs = NULL; /* as if of another process */
    stele_status status = stele_store_open(PATH, NULL, &ours);
    if (status == STELE_OK)
        status = stele_store_open(PATH, NULL, &theirs);
    if (status == STELE_OK)
        status = listen_for_two(ours, theirs);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(theirs);
    stele_store_close(ours);
    return status < 0;
}
