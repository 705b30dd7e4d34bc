/* The queue of a group: waiting in it, for room in it, and for a verdict. */
#include <stdio.h>

#include "base/memory.h"
#include "base/platform.h"
#include "store/group.h"

/* In a queue for the turn with `request`, until one of the two is there. With the mutex held; what
 * was already taken by a leader is waited for whatever `patience` says. */
static stele_status wait_with_request(stele_store *store, stele__request *request,
                                      stele__waiter *waiter, stele__patience *patience)
{
    stele_status status = STELE_OK;
    while (!waiter->has_turn && !request->done) {
        bool taken = !request->queued;
        stele__condition_wait(&waiter->wake, &store->mutex,
                              taken ? INT64_MAX : stele__patience_next_check_us(patience));
        if (waiter->has_turn || request->done || !request->queued)
            continue;
        pthread_mutex_unlock(&store->mutex);
        status = stele__patience_check(patience, "waiting for other writers of this store");
        pthread_mutex_lock(&store->mutex);
        if (status != STELE_OK && !waiter->has_turn && request->queued)
            break;
        status = STELE_OK; /* too late to stop */
    }
    return status;
}

/* Wait until `request` is done, or the turn has come to settle it. With the mutex held. */
static stele_status queue_with_request(stele_store *store, stele__request *request,
                                       stele__patience *patience, bool *lead_out)
{
    stele__waiter waiter = { .request = request };
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

stele_status stele__group_run(stele_store *store, stele__request *request, const stele_wait *wait)
{
    stele__requests *requests = store->requests;
    stele__patience patience;
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
    } else if (!store->writer_taken) {
        store->writer_taken = true;
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

/* With the mutex held: until there is room, by waiting for the committer or by doing its work. */
static stele_status make_room(stele_store *store, const stele__request *request,
                              stele__patience *patience)
{
    stele__requests *requests = store->requests;
    stele_status status = STELE_OK;
    while (status == STELE_OK && is_full(store, request)) {
        if (requests->has_committer && !store->closing)
            stele__condition_wait(&requests->room, &store->mutex,
                                  stele__patience_next_check_us(patience));
        pthread_mutex_unlock(&store->mutex);
        status = stele__patience_check(patience, "waiting for room among the submissions");
        if (status == STELE_OK && !requests->has_committer) {
            status = stele__turn_take(store, patience);
            if (status == STELE_OK)
                status = stele__group_lead(store, NULL, patience, true);
            if (!stele__patience_is_over(status) && status != STELE_MISUSE)
                status = STELE_OK; /* that was the verdict of those who had waited */
        }
        pthread_mutex_lock(&store->mutex);
    }
    return status;
}

stele_status stele__group_submit(stele_store *store, stele__request *request,
                                 const stele_wait *wait)
{
    stele__requests *requests = store->requests;
    stele__patience patience;
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
    bool lead = false;
    if (atomic_load(&store->writer_thread) == stele__thread_id())
        return stele__fail(STELE_MISUSE, "this thread has a transaction open: it would wait for"
                                         " itself");
    pthread_mutex_lock(&store->mutex);
    while (!request->done && status == STELE_OK) {
        if (!store->writer_taken) {
            store->writer_taken = true;
            lead = true;
        } else {
            status = queue_with_request(store, request, patience, &lead);
        }
        if (!lead)
            continue;
        pthread_mutex_unlock(&store->mutex);
        status = stele__group_lead(store, NULL, patience, true);
        if (!stele__patience_is_over(status))
            status = STELE_OK;
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
    pthread_mutex_lock(&store->mutex);
    uint64_t target = requests->serial;
    while (status == STELE_OK && requests->settled < target) {
        pthread_mutex_unlock(&store->mutex);
        status = stele__turn_take(store, &patience);
        if (status == STELE_OK) {
            status = stele__group_lead(store, NULL, &patience, true);
            if (!stele__patience_is_over(status))
                status = STELE_OK;
        }
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
    while (requests->first != NULL || !requests->stop) {
        if (requests->first == NULL) {
            stele__condition_wait(&requests->work, &store->mutex, INT64_MAX);
            continue;
        }
        pthread_mutex_unlock(&store->mutex);
        stele__patience patience;
        stele__patience_begin(&patience, NULL, store->options.busy_timeout_ms, NULL);
        if (stele__turn_take(store, &patience) == STELE_OK)
            stele__group_lead(store, NULL, &patience, false);
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
        stele__patience_begin(&patience, NULL, store->options.busy_timeout_ms, NULL);
        store->writer_taken = true;
        stele__group_lead(store, NULL, &patience, false);
    }
}

void stele__group_close(stele_store *store)
{
    stele__requests *requests = store->requests;
    if (requests == NULL)
        return;
    pthread_cond_destroy(&requests->room);
    pthread_cond_destroy(&requests->work);
    stele__free(requests);
    store->requests = NULL;
}
