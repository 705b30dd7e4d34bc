/*
 * Waiting with a limit: for another writer, by a deadline or until somebody says stop. The call has
 * then done nothing, and can be made again.
 */
#include <stdbool.h>
#include <stdio.h>

#include <stele.h>

#define PATH "wait.stele"

static stele_status append_placed(stele_store *store, const stele_wait *wait)
{
    stele_event event = { .type = "placed" };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "order-1";
    append.events = &event;
    append.event_count = 1;
    append.wait = wait;
    return stele_store_append(store, &append, NULL);
}

/* A program would look at a flag here that its window or its signal handler sets. */
static int was_stopped(void *context)
{
    const bool *stopped = context;
    return *stopped;
}

static void append_while_locked(stele_store *store)
{
    bool stopped = true;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 50;
    printf("with a deadline: %s\n", stele_status_name(append_placed(store, &wait)));

    stele_wait_init(&wait);
    wait.progress = was_stopped;
    wait.context = &stopped;
    printf("with a stop: %s\n", stele_status_name(append_placed(store, &wait)));
}

int main(void)
{
    stele_store *ours = NULL;
    stele_store *theirs = NULL; /* as if of another process */
    stele_transaction *transaction = NULL;
    stele_status status = stele_store_open(PATH, NULL, &ours);
    if (status == STELE_OK)
        status = stele_store_open(PATH, NULL, &theirs);
    if (status == STELE_OK)
        status = stele_transaction_begin(theirs, &transaction);
    if (status == STELE_OK) {
        append_while_locked(ours);
        stele_transaction_end(transaction);
        status = append_placed(ours, NULL);
        printf("later: %s\n", stele_status_name(status));
    }
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(theirs);
    stele_store_close(ours);
    return status < 0;
}
