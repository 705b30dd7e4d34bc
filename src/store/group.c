/* Leading a group: what is queued becomes one commit. */
#include "store/group.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

void stele__group_enqueue(stele__requests *requests, stele__request *request)
{
    request->next = NULL;
    request->queued = true;
    *requests->last = request;
    requests->last = &request->next;
    atomic_fetch_add_explicit(&requests->queued, 1, memory_order_relaxed);
    if (request->deliver != NULL) {
        requests->count++;
        requests->size += request->size;
        requests->serial++;
    }
}

/* With the mutex held; it is the first. */
static void dequeue_first(stele__requests *requests)
{
    stele__request *request = requests->first;
    requests->first = request->next;
    if (requests->first == NULL)
        requests->last = &requests->first;
    request->next = NULL;
    request->queued = false;
    atomic_fetch_sub_explicit(&requests->queued, 1, memory_order_relaxed);
    if (request->deliver != NULL) {
        requests->count--;
        requests->size -= request->size;
    }
}

void stele__group_withdraw(stele__requests *requests, stele__request *request)
{
    stele__request **at = &requests->first;
    while (*at != request)
        at = &(*at)->next;
    *at = request->next;
    if (requests->last == &request->next)
        requests->last = at;
    request->next = NULL;
    request->queued = false;
    atomic_fetch_sub_explicit(&requests->queued, 1, memory_order_relaxed);
}

/* A group: a list of requests, and the place of its end. */
typedef struct request_list {
    stele__request *first;
    stele__request **last;
    uint32_t count;
    size_t size;
} request_list;

static void add_to_list(request_list *list, stele__request *request)
{
    if (list->first == NULL)
        list->last = &list->first;
    request->next = NULL;
    *list->last = request;
    list->last = &request->next;
    list->count++;
    list->size += request->size;
}

/* What waits, up to the bounds; `own` first when it never had to queue. */
static void take_group(stele_store *store, stele__request *own, request_list *group)
{
    stele__requests *requests = store->requests;
    if (own != NULL && !own->queued && !own->done)
        add_to_list(group, own);
    if (atomic_load_explicit(&requests->queued, memory_order_relaxed) == 0)
        return;
    pthread_mutex_lock(&store->mutex);
    while (requests->first != NULL
           && (group->first == NULL
               || (group->count < store->options.group_count_max
                   && group->size + requests->first->size <= store->options.group_size_max))) {
        stele__request *request = requests->first;
        dequeue_first(requests);
        add_to_list(group, request);
    }
    pthread_cond_broadcast(&requests->room);
    pthread_mutex_unlock(&store->mutex);
}

/* The text of this thread's last failure becomes the request's. */
static void set_verdict(stele__request *request, stele_status status)
{
    request->status = status;
    if (status < 0)
        snprintf(request->error, sizeof(request->error), "%s", stele_error_text());
}

/*
 * The transaction could not begin. While the outcome of an earlier commit is unknown, it may be
 * that of an attempt with the same key: "nothing was stored" would not be true of that.
 */
static void refuse_request(const stele_store *store, stele__request *request, stele_status status)
{
    if (request->unknown) { /* so it stays that, with its reason */
        request->status = STELE_UNKNOWN_OUTCOME;
        return;
    }
    set_verdict(request, status);
    if (store->writer_broken && request->repeatable && status != STELE_READ_ONLY)
        request->status = STELE_UNKNOWN_OUTCOME;
}

static void apply_request(stele__request *request, stele__connection *connection)
{
    request->changed = false;
    set_verdict(request, request->apply(request, connection, &request->changed));
}

/* Whether the transaction can't be committed any more. */
static bool is_broken_by(const stele__request *request, const stele__connection *connection)
{
    return request->status < 0
           && (request->changed || !stele__database_in_transaction(connection->database));
}

/* In a transaction of its own. The turn is held. */
static void run_alone(stele_store *store, stele__request *request)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        stele__connection *connection = NULL;
        stele__patience patience;
        stele__patience_begin(&patience, NULL, store->options.busy_timeout_ms, NULL);
        stele_status status = stele__write_begin_held(store, &patience, &connection);
        if (status != STELE_OK) {
            refuse_request(store, request, status);
            return;
        }
        apply_request(request, connection);
        if (request->status >= 0 && request->changed) {
            status = stele__write_commit(store);
            if (status != STELE_OK)
                set_verdict(request, status);
        }
        stele__write_end_held(store);
        if (request->status != STELE_UNKNOWN_OUTCOME)
            return;
        request->unknown = true;
        if (!request->repeatable)
            return;
    }
}

/*
 * All of the group, or each by itself. A commit of unknown outcome is settled by doing it again
 * where there is a key; the others must be told.
 */
static void commit_group(stele_store *store, stele__connection *connection, request_list *group)
{
    bool changed = false;
    bool broken = false;
    for (stele__request *request = group->first; request != NULL && !broken;
         request = request->next) {
        apply_request(request, connection);
        changed |= request->changed;
        broken = is_broken_by(request, connection);
    }
    if (!broken && !changed)
        return;
    stele_status status = broken ? STELE_OK : stele__write_commit(store);
    if (!broken && status == STELE_OK)
        return;

    stele__write_abort(store);
    stele__request *only = group->count == 1 ? group->first : NULL;
    bool settle = status == STELE_UNKNOWN_OUTCOME && only != NULL && only->repeatable;
    if (only != NULL && !settle) {
        if (!broken)
            set_verdict(only, status);
        return;
    }
    char error[STELE__ERROR_SIZE];
    snprintf(error, sizeof(error), "%s", stele_error_text());
    for (stele__request *request = group->first; request != NULL; request = request->next) {
        request->unknown = status == STELE_UNKNOWN_OUTCOME && request->changed;
        if (request->unknown) {
            request->status = status;
            memcpy(request->error, error, sizeof(error));
        }
        if (!request->unknown || request->repeatable)
            run_alone(store, request);
    }
}

/* With the mutex held: the verdict is there. */
static void settle_request(stele_store *store, stele__request *request)
{
    request->done = true;
    if (request->deliver != NULL)
        store->requests->settled++;
    if (request->waiter != NULL && !request->waiter->has_turn) {
        stele__waiter_leave(store, request->waiter);
        pthread_cond_signal(&request->waiter->wake);
    }
}

/* Tell those who wait, keep those to be told in `told`, and maybe pass the turn on. */
static void finish_group(stele_store *store, request_list *group, bool pass, request_list *told)
{
    stele__requests *requests = store->requests;
    pthread_mutex_lock(&store->mutex);
    requests->commits++;
    requests->requests += group->count;
    if (group->count > requests->largest)
        requests->largest = group->count;
    for (stele__request *request = group->first; request != NULL;) {
        stele__request *next = request->next; /* a follower's ends with its call */
        bool deliver = request->deliver != NULL;
        if (deliver)
            add_to_list(told, request);
        settle_request(store, request);
        request = next;
    }
    if (pass)
        stele__turn_pass_locked(store);
    pthread_mutex_unlock(&store->mutex);
}

/* What a verdict's function calls may lead to more verdicts on this thread: the outermost tells
 * them, so that no stack grows. */
static _Thread_local request_list *telling;

static void deliver_verdicts(request_list *told)
{
    if (told->first == NULL)
        return;
    if (telling != NULL) {
        if (telling->first == NULL)
            telling->last = &telling->first;
        *telling->last = told->first;
        telling->last = told->last;
        return;
    }
    char error[STELE__ERROR_SIZE];
    snprintf(error, sizeof(error), "%s", stele_error_text());
    telling = told;
    while (told->first != NULL) {
        stele__request *request = told->first;
        told->first = request->next;
        request->deliver(request);
    }
    telling = NULL;
    stele__restore_error(error);
}

/* The file can't be written to: that is the verdict of the own request, or of all submissions. */
static void refuse_group(stele_store *store, stele__request *own, stele_status status,
                         request_list *group)
{
    stele__requests *requests = store->requests;
    pthread_mutex_lock(&store->mutex);
    if (own != NULL && own->queued)
        stele__group_withdraw(requests, own);
    if (own != NULL)
        add_to_list(group, own);
    stele__request **at = &requests->first;
    while (own == NULL && *at != NULL) {
        stele__request *request = *at;
        if (request->deliver == NULL) {
            at = &request->next;
            continue;
        }
        *at = request->next;
        if (requests->last == &request->next)
            requests->last = at;
        request->queued = false;
        atomic_fetch_sub_explicit(&requests->queued, 1, memory_order_relaxed);
        requests->count--;
        requests->size -= request->size;
        add_to_list(group, request);
    }
    pthread_cond_broadcast(&requests->room);
    pthread_mutex_unlock(&store->mutex);
    for (stele__request *request = group->first; request != NULL; request = request->next)
        refuse_request(store, request, status);
}

stele_status stele__group_lead(stele_store *store, stele__request *own, stele__patience *patience,
                               bool patient)
{
    request_list told = { 0 };
    stele_status status = STELE_OK;
    bool again = true;
    while (again) {
        request_list group = { 0 };
        stele__connection *connection = NULL;
        status = stele__write_begin_held(store, patience, &connection);
        bool given_up = stele__patience_is_over(status);
        if (status == STELE_OK) {
            take_group(store, own, &group);
            commit_group(store, connection, &group);
            stele__write_end_held(store);
        } else if (own != NULL || !patient || !given_up) {
            refuse_group(store, own, status, &group);
        }
        again = own != NULL && own->queued;
        finish_group(store, &group, !again, &told);
    }
    deliver_verdicts(&told);
    stele__transfer_if_wanted(store);
    return status;
}
