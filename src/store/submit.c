/* The queue of a group: waiting in it, for room in it, and for a verdict. */
#include <stdio.h>

#include "base/memory.h"
#include "base/platform.h"
#include "store/group.h"

/* Its own thread can't leave it any more: a leader is at it. A submission can be left. */
static bool is_beyond_recall(const stele__request *request)
{
    return request->deliver == NULL && !request->queued;
}

/* In a queue for the turn with `request`, until one of the two is there. With the mutex held; what
 * can't be left is waited for whatever `patience` says. */
static stele_status wait_with_request(stele_store *store, stele__request *request,
                                      stele__waiter *waiter, stele__patience *patience)
{
    stele_status status = STELE_OK;
    while (!waiter->has_turn && !request->done) {
        if (store->closing && patience->closing != NULL && !is_beyond_recall(request))
            return stele__fail(STELE_CLOSED, "the store was closed");
        stele__condition_wait(&waiter->wake, &store->mutex,
                              is_beyond_recall(request) ? INT64_MAX
                                                        : stele__patience_next_check_us(patience));
        if (waiter->has_turn || request->done || is_beyond_recall(request))
            continue;
        pthread_mutex_unlock(&store->mutex);
        status = stele__patience_check(patience, "waiting for other writers of this store");
        pthread_mutex_lock(&store->mutex);
        if (status != STELE_OK && !waiter->has_turn && !request->done && !is_beyond_recall(request))
            break;
        status = STELE_OK; /* too late to stop */
    }
    return status;
}

/* Wait until `request` is done, or the turn has come to settle it. With the mutex held. */
static stele_status queue_with_request(stele_store *store, stele__request *request,
                                       stele__patience *patience, bool *lead_out)
{
    stele__waiter waiter = { 0 };
    stele__waiter_join(store, &waiter);
    request->waiter = &waiter;
    stele_status status = wait_with_request(store, request, &waiter, patience);
    request->waiter = NULL;
    *lead_out = waiter.has_turn;
    if (status != STELE_OK)
        stele__waiter_leave(store, &waiter);
    pthread_cond_destroy(&waiter.wake);
    return status;
}

/* With the mutex held. */
static bool is_switched(const stele_store *store, stele__request *request)
{
    request->switched =
        request->direct && atomic_load_explicit(&store->sequencer, memory_order_relaxed) != NULL;
    return request->switched;
}

stele_status stele__group_run(stele_store *store, stele__request *request, const stele_wait *wait)
{
    stele__requests *requests = store->requests;
    stele__patience patience;
    request->switched = false;
    stele_status status =
        stele__patience_begin(&patience, wait, store->options.busy_timeout_ms, &store->closing);
    if (status == STELE_OK)
        status = stele__write_check(store);
    if (status == STELE_OK && atomic_load(&store->writer_thread) == stele__thread_id())
        status = stele__fail(STELE_MISUSE, "this thread has a transaction open: use that");
    if (status != STELE_OK)
        return status;

    bool lead = false;
    pthread_mutex_lock(&store->mutex);
    if (store->closing) {
        status = stele__fail(STELE_CLOSED, "the store was closed");
    } else if (is_switched(store, request)) {
        status = STELE_UNSUPPORTED;
    } else if (!store->writer_taken) {
        store->writer_taken = true;
        store->writer_yields = false;
        lead = true;
        if (requests->first != NULL)
            stele__group_enqueue(requests, request);
    } else {
        stele__group_enqueue(requests, request);
        status = queue_with_request(store, request, &patience, &lead);
        if (status != STELE_OK)
            stele__group_withdraw(requests, request);
    }
    pthread_mutex_unlock(&store->mutex);
    if (status != STELE_OK)
        return status;
    if (lead)
        stele__group_lead(store, request, &patience, true);
    if (request->status < 0)
        stele__restore_error(request->error);
    return request->status;
}

/* Whether `request` must wait for room. With the mutex held. */
static bool is_full(const stele_store *store, const stele__request *request)
{
    const stele__requests *requests = store->requests;
    return requests->count > 0
           && (requests->count >= store->options.submit_count_max
               || requests->size + request->size > store->options.submit_size_max);
}

/* The turn is held: commit what others submitted. A failure that became their verdict is none of
 * the caller's. */
static stele_status lead_for_others(stele_store *store, stele__patience *patience)
{
    stele_status status = stele__group_lead(store, NULL, patience, true);
    return status == STELE_BUSY || status == STELE_CANCELLED || status == STELE_CLOSED ? status
                                                                                       : STELE_OK;
}

/* Wait for the committer. With the mutex held. */
static stele_status wait_for_room(stele_store *store, const stele__request *request,
                                  stele__patience *patience)
{
    if (!store->closing)
        stele__condition_wait(&store->requests->room, &store->mutex,
                              stele__patience_next_check_us(patience));
    if (!is_full(store, request))
        return STELE_OK;
    pthread_mutex_unlock(&store->mutex);
    stele_status status = stele__patience_check(patience, "waiting for room among the submissions");
    pthread_mutex_lock(&store->mutex);
    return status;
}

/* With the mutex held: until there is room, by waiting for the committer or by doing its work. The
 * latter also for who is called by it, which would wait for itself. */
static stele_status make_room(stele_store *store, const stele__request *request,
                              stele__patience *patience)
{
    bool waits = store->requests->has_committer && !stele__group_is_telling(store);
    bool again = false;
    stele_status status = STELE_OK;
    while (status == STELE_OK && is_full(store, request)) {
        if (atomic_load(&store->writer_thread) == stele__thread_id())
            return stele__fail(STELE_MISUSE, "no room among the submissions, and the transaction of"
                                             " this thread keeps them from being committed");
        if (waits) {
            status = wait_for_room(store, request, patience);
            continue;
        }
        pthread_mutex_unlock(&store->mutex);
        if (again)
            status = stele__patience_check(patience, "waiting for room among the submissions");
        if (status == STELE_OK)
            status = stele__turn_take(store, patience);
        if (status == STELE_OK)
            status = lead_for_others(store, patience);
        again = true;
        pthread_mutex_lock(&store->mutex);
    }
    return status;
}

stele_status stele__group_submit(stele_store *store, stele__request *request,
                                 const stele_wait *wait)
{
    stele__requests *requests = store->requests;
    stele__patience patience;
    request->switched = false;
    stele_status status =
        stele__patience_begin(&patience, wait, store->options.busy_timeout_ms, &store->closing);
    if (status == STELE_OK)
        status = stele__write_check(store);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&store->mutex);
    status = make_room(store, request, &patience);
    if (status == STELE_OK && store->closing)
        status = stele__fail(STELE_CLOSED, "the store was closed");
    if (status == STELE_OK && is_switched(store, request))
        status = STELE_UNSUPPORTED;
    if (status == STELE_OK) {
        stele__group_enqueue(requests, request);
        pthread_cond_signal(&requests->work);
    }
    pthread_mutex_unlock(&store->mutex);
    return status;
}

stele_status stele__group_wait(stele_store *store, stele__request *request,
                               stele__patience *patience)
{
    stele_status status = STELE_OK;
    pthread_mutex_lock(&store->mutex);
    if (!request->done && atomic_load(&store->writer_thread) == stele__thread_id())
        status = stele__fail(STELE_MISUSE, "this thread has a transaction open: it would wait for"
                                           " itself");
    while (!request->done && status == STELE_OK) {
        bool lead = !store->writer_taken;
        if (lead) {
            store->writer_taken = true;
            store->writer_yields = false;
        } else {
            status = queue_with_request(store, request, patience, &lead);
        }
        if (!lead)
            continue;
        pthread_mutex_unlock(&store->mutex);
        status = lead_for_others(store, patience);
        pthread_mutex_lock(&store->mutex);
        if (request->done || status != STELE_OK)
            break;
        pthread_mutex_unlock(&store->mutex); /* more than one group was before it */
        status = stele__patience_check(patience, "committing what was submitted");
        pthread_mutex_lock(&store->mutex);
    }
    bool done = request->done;
    pthread_mutex_unlock(&store->mutex);
    if (done)
        return STELE_OK;
    return status == STELE_BUSY ? STELE_TIMED_OUT : status;
}

stele_status stele__group_flush(stele_store *store, const stele_wait *wait)
{
    stele__requests *requests = store->requests;
    stele__patience patience;
    stele_status status = stele__patience_begin(&patience, wait, UINT32_MAX, &store->closing);
    bool again = false;
    pthread_mutex_lock(&store->mutex);
    uint64_t target = requests->serial;
    uint64_t submitted = requests->submitted;
    while (status == STELE_OK && requests->settled < submitted) {
        pthread_mutex_unlock(&store->mutex);
        if (again)
            status = stele__patience_check(&patience, "committing what was submitted");
        if (status == STELE_OK)
            status = stele__turn_take(store, &patience);
        if (status == STELE_OK)
            status = lead_for_others(store, &patience);
        again = true;
        pthread_mutex_lock(&store->mutex);
    }
    /* Other threads may still be telling. Closing waits for them as well. */
    patience.closing = NULL;
    while (status == STELE_OK && !stele__group_is_telling(store)
           && !stele__group_was_told(store, target)) {
        stele__condition_wait(&requests->told, &store->mutex,
                              stele__patience_next_check_us(&patience));
        if (stele__group_was_told(store, target))
            break;
        pthread_mutex_unlock(&store->mutex);
        status = stele__patience_check(&patience, "waiting for verdicts to be told");
        pthread_mutex_lock(&store->mutex);
    }
    pthread_mutex_unlock(&store->mutex);
    return status == STELE_BUSY ? STELE_TIMED_OUT : status;
}

/* The thread that was asked for: commits what is submitted. */
static void *run_committer(void *context)
{
    stele_store *store = context;
    stele__requests *requests = store->requests;
    pthread_mutex_lock(&store->mutex);
    while (requests->count > 0 || !requests->stop) {
        if (requests->count == 0) { /* appends of threads see to themselves */
            stele__condition_wait(&requests->work, &store->mutex, INT64_MAX);
            continue;
        }
        pthread_mutex_unlock(&store->mutex);
        /* The turn comes by itself; only other processes may take too long. */
        stele__patience patience;
        stele__patience_begin(&patience, NULL, UINT32_MAX, NULL);
        if (stele__turn_take(store, &patience) == STELE_OK) {
            stele__patience_begin(&patience, NULL, store->options.busy_timeout_ms, NULL);
            stele__group_lead(store, NULL, &patience, false);
        }
        pthread_mutex_lock(&store->mutex);
    }
    pthread_mutex_unlock(&store->mutex);
    return NULL;
}

stele_status stele__group_open(stele_store *store)
{
    stele__requests *requests = stele__allocate_array(1, sizeof(*requests));
    if (requests == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a store");
    requests->last = &requests->first;
    stele__condition_init(&requests->told);
    stele__condition_init(&requests->room);
    stele__condition_init(&requests->work);
    store->requests = requests;
    return STELE_OK;
}

stele_status stele__committer_start(stele_store *store)
{
    if (!store->options.committer || store->options.read_only)
        return STELE_OK;
    stele_status status =
        stele__thread_start(&store->requests->committer, "stele-commit", run_committer, store);
    store->requests->has_committer = status == STELE_OK;
    return status;
}

void stele__group_drain(stele_store *store)
{
    stele__requests *requests = store->requests;
    if (requests->has_committer) {
        pthread_mutex_lock(&store->mutex);
        requests->stop = true;
        pthread_cond_signal(&requests->work);
        pthread_mutex_unlock(&store->mutex);
        pthread_join(requests->committer, NULL);
        requests->has_committer = false;
    }
    while (requests->first != NULL) {
        stele__patience patience;
        stele__patience_begin(&patience, NULL, UINT32_MAX, NULL);
        if (stele__turn_take(store, &patience) != STELE_OK) /* maintenance may have it */
            continue;
        stele__patience_begin(&patience, NULL, store->options.busy_timeout_ms, NULL);
        stele__group_lead(store, NULL, &patience, false);
    }
}

void stele__group_close(stele_store *store)
{
    stele__requests *requests = store->requests;
    if (requests == NULL)
        return;
    pthread_cond_destroy(&requests->told);
    pthread_cond_destroy(&requests->room);
    pthread_cond_destroy(&requests->work);
    stele__free(requests);
    store->requests = NULL;
}
