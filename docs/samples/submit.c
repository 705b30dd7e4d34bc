/*
 * Many appends in flight from one thread: they share a commit, and each has its own verdict.
 */
#include <inttypes.h>
#include <stdio.h>

#include <stele.h>

#define COUNT 3

static void print_verdict(const char *who, const stele_verdict *verdict)
{
    if (verdict->status == STELE_OK)
        printf("%s: position %" PRId64 "\n", who, verdict->appended.last_position);
    else
        printf("%s: %s, the stream is at version %" PRId64 "\n", who,
               stele_status_name(verdict->status), verdict->appended.stream_version);
}

/* Called on the thread that committed. */
static void hear_verdict(void *context, const stele_verdict *verdict)
{
    print_verdict(context, verdict);
}

/* Everything in `append` is copied: the event may be gone when this returns. */
static stele_status submit_placed(stele_store *store, const char *stream,
                                  const stele_submit *submit, stele_ticket **ticket_out)
{
    stele_event event = { .type = "placed" };
    stele_append append = STELE_APPEND_INIT;
    append.stream = stream;
    append.expected_version = STELE_NO_STREAM;
    append.events = &event;
    append.event_count = 1;
    return stele_store_submit(store, &append, submit, ticket_out);
}

static stele_status submit_all(stele_store *store, stele_ticket *tickets[COUNT])
{
    static const char *const streams[COUNT] = { "order-1", "order-2", "order-1" };
    static char who[] = "by callback";
    stele_submit submit = STELE_SUBMIT_INIT;
    submit.callback = hear_verdict;
    submit.context = who;
    stele_status status = submit_placed(store, "order-9", &submit, NULL);
    for (int i = 0; i < COUNT && status == STELE_OK; i++)
        status = submit_placed(store, streams[i], NULL, &tickets[i]);
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_ticket *tickets[COUNT] = { NULL };
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = submit_all(store, tickets);
    if (status == STELE_OK)
        status = stele_store_flush(store, NULL); /* or wait for a ticket, or append something */
    for (int i = 0; i < COUNT && status == STELE_OK; i++) {
        const stele_verdict *verdict = NULL;
        status = stele_ticket_wait(tickets[i], NULL, &verdict);
        if (status == STELE_OK)
            print_verdict("by ticket", verdict);
    }
    if (status == STELE_OK)
        status = stele_store_describe(store, &info);
    if (status == STELE_OK)
        printf("commits: %" PRIu64 "\n", info.commits);
    else
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    for (int i = 0; i < COUNT; i++)
        stele_ticket_close(tickets[i]);
    stele_store_close(store);
    return status < 0;
}
