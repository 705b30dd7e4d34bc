/*
 * Submissions in an event loop: a committer thread does the waiting for the disk, and a descriptor
 * says when there are verdicts.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include <stele.h>

#define COUNT 5

static stele_status submit_readings(stele_store *store)
{
    stele_status status = STELE_OK;
    for (int i = 0; i < COUNT && status == STELE_OK; i++) {
        stele_event event = { .type = "measured" };
        stele_append append = STELE_APPEND_INIT;
        append.stream = "meter-1";
        append.events = &event;
        append.event_count = 1;
        stele_ticket *ticket = NULL; /* handed out again by stele_store_completed() */
        status = stele_store_submit(store, &append, NULL, &ticket);
    }
    return status;
}

/* All verdicts that are there. DONE when there are no more for now. */
static stele_status take_verdicts(stele_store *store, int *taken)
{
    stele_ticket *ticket = NULL;
    stele_status status;
    while ((status = stele_store_completed(store, &ticket)) == STELE_OK) {
        const stele_verdict *verdict = NULL;
        if (stele_ticket_wait(ticket, NULL, &verdict) == STELE_OK) /* it is there: no waiting */
            printf("%s at version %" PRId64 "\n", stele_status_name(verdict->status),
                   verdict->appended.stream_version);
        stele_ticket_close(ticket);
        ++*taken;
    }
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    struct pollfd watched = { .events = POLLIN };
    int taken = 0;
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = true;
    stele_status status = stele_store_open(":memory:", &options, &store);
    if (status == STELE_OK)
        status = stele_store_completion_fd(store, &watched.fd);
    if (status == STELE_OK)
        status = submit_readings(store);
    while (status >= 0 && taken < COUNT && poll(&watched, 1, -1) > 0)
        status = take_verdicts(store, &taken);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
