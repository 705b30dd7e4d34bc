/*
 * One of several workers: own the reader, do what came since, and move on in one commit. Who lost
 * the reader meanwhile is refused.
 */
#include <inttypes.h>
#include <stdio.h>

#include <stele.h>

static stele_status fill_orders(stele_store *store)
{
    static const stele_event events[] = { { .type = "placed" }, { .type = "paid" } };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "order-1";
    append.events = events;
    append.event_count = 2;
    return stele_store_append(store, &append, NULL);
}

/* BUSY: somebody else is at it. */
static stele_status claim_mailer(stele_store *store, const char *worker, bool force,
                                 stele_checkpoint_claimed *claimed)
{
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    claim.owner = worker;
    claim.lease_ms = 60000;
    claim.force = force;
    stele_status status = stele_checkpoint_claim_take(store, "mailer", &claim, claimed);
    if (status == STELE_OK)
        printf("%s has it, generation %" PRId64 "\n", worker, claimed->generation);
    else if (status == STELE_BUSY && claimed->generation > 0)
        printf("%s waits: %s has it\n", worker, claimed->owner);
    return status;
}

/* The worker's own tables could change in the same transaction. */
static stele_status move_mailer(stele_store *store, int64_t generation, int64_t from, int64_t to)
{
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    move.from = from;
    move.to = to;
    move.generation = generation;
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(store, &transaction);
    if (status != STELE_OK)
        return status;
    status = stele_transaction_checkpoint_advance(transaction, "mailer", &move, NULL);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    printf("to %" PRId64 ": %s\n", to, stele_status_name(status));
    return status;
}

static stele_status work_by_turns(stele_store *store)
{
    stele_checkpoint_claimed first;
    stele_checkpoint_claimed second;
    stele_status status = claim_mailer(store, "worker-1", false, &first);
    if (status == STELE_OK)
        status = move_mailer(store, first.generation, STELE_CHECKPOINT_MISSING, 1);
    if (status == STELE_OK && claim_mailer(store, "worker-2", false, &second) != STELE_BUSY)
        status = STELE_MISUSE;
    if (status == STELE_OK)
        status = claim_mailer(store, "worker-2", true, &second);
    if (status == STELE_OK && move_mailer(store, first.generation, 1, 2) != STELE_FENCED)
        status = STELE_MISUSE;
    if (status == STELE_OK)
        status = move_mailer(store, second.generation, second.position, 2);
    if (status == STELE_OK)
        status = stele_checkpoint_claim_release(store, "mailer", second.generation);
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = fill_orders(store);
    if (status == STELE_OK)
        status = work_by_turns(store);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}
