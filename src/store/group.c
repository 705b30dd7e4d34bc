/* Leading a group: what is queued becomes one commit. */
#include "store/group.h"

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
        request->serial = ++requests->serial;
        request->counted = true;
        requests->submitted++;
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
    uint32_t commits;
    uint32_t committed; /* of the requests */
    bool locked_out;    /* the file's lock wasn't to be had for one of them */
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
        stele__keep_error(request->error);
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
    request->store->past_sequencer = request->before_switch;
    set_verdict(request, request->apply(request, connection, &request->changed));
    request->store->past_sequencer = false;
}

/* Whether the transaction can't be committed any more. */
static bool is_broken_by(const stele__request *request, const stele__connection *connection)
{
    return request->status < 0
           && (request->changed || !stele__database_in_transaction(connection->database));
}

/* Whether it was judged: that it was stored before, that it was not, or that it can't be. A failure
 * before that, such as of the disk, says nothing of an earlier attempt. */
static bool is_judged(const stele__request *request)
{
    return request->status >= 0 || request->changed || request->status == STELE_CONFLICT
           || request->status == STELE_KEY_REUSED || request->status == STELE_ARCHIVED
           || request->status == STELE_TOMBSTONED;
}

/* In a transaction of its own, which is over afterwards. */
static void attempt_alone(stele_store *store, stele__request *request, request_list *group)
{
    stele__connection *connection = NULL;
    stele__patience patience;
    stele__patience_begin(&patience, NULL, group->locked_out ? 0 : store->options.busy_timeout_ms,
                          NULL);
    request->changed = false;
    stele_status status = stele__write_begin_held(store, &patience, &connection);
    if (status != STELE_OK) {
        group->locked_out |= status == STELE_BUSY; /* the others don't wait as long again */
        refuse_request(store, request, status);
        return;
    }
    apply_request(request, connection);
    if (request->status >= 0 && request->changed) {
        status = stele__write_commit(store);
        if (status != STELE_OK)
            set_verdict(request, status);
        group->commits += status == STELE_OK;
        group->committed += status == STELE_OK;
    }
    stele__write_end_held(store);
}

/* The turn is held. */
static void run_alone(stele_store *store, stele__request *request, request_list *group)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        char unknown[STELE__ERROR_SIZE];
        if (request->unknown)
            memcpy(unknown, request->error, sizeof(unknown));
        attempt_alone(store, request, group);
        if (request->unknown && !is_judged(request)) { /* so it stays that */
            request->status = STELE_UNKNOWN_OUTCOME;
            memcpy(request->error, unknown, sizeof(unknown));
            return;
        }
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
        group->committed += request->changed;
        broken = is_broken_by(request, connection);
    }
    if (!broken && !changed)
        return;
    stele_status status = broken ? STELE_OK : stele__write_commit(store);
    if (!broken && status == STELE_OK) {
        group->commits++;
        return;
    }

    group->committed = 0;
    stele__write_abort(store);
    stele__request *only = group->count == 1 ? group->first : NULL;
    bool settle = status == STELE_UNKNOWN_OUTCOME && only != NULL && only->repeatable;
    if (only != NULL && !settle) {
        if (!broken)
            set_verdict(only, status);
        return;
    }
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    for (stele__request *request = group->first; request != NULL; request = request->next) {
        request->unknown = status == STELE_UNKNOWN_OUTCOME && request->changed;
        if (request->unknown) {
            request->status = status;
            memcpy(request->error, error, sizeof(error));
        }
        if (!request->unknown || request->repeatable)
            run_alone(store, request, group);
    }
}

/* With the mutex held: the verdict is there. */
static void settle_request(stele_store *store, stele__request *request)
{
    request->done = true;
    if (request->deliver != NULL) {
        store->requests->settled += request->counted;
        request->settle(request);
    }
    if (request->waiter != NULL && !request->waiter->has_turn) {
        stele__waiter_leave(store, request->waiter);
        pthread_cond_signal(&request->waiter->wake);
    }
}

/* A thread that delivers verdicts of one store. */
struct stele__teller {
    const stele_store *store;
    request_list list;
    bool listed;
    uint64_t oldest; /* that it has not delivered, or not returned from */
    struct stele__teller *next;
    struct stele__teller *previous;
    struct stele__teller *outer; /* on the same thread, of another store */
};

/* What a verdict's function calls may lead to more verdicts of the same store on this thread: the
 * outermost delivers them, so that no stack grows. */
static _Thread_local struct stele__teller *innermost_teller;

static struct stele__teller *find_teller(const stele_store *store)
{
    struct stele__teller *teller = innermost_teller;
    while (teller != NULL && teller->store != store)
        teller = teller->outer;
    return teller;
}

bool stele__group_is_telling(const stele_store *store)
{
    return find_teller(store) != NULL;
}

bool stele__group_was_told(const stele_store *store, uint64_t serial)
{
    const struct stele__teller *teller = store->requests->tellers;
    while (teller != NULL && teller->oldest > serial)
        teller = teller->next;
    return teller == NULL;
}

/* With the mutex held. */
static void list_teller(stele__requests *requests, struct stele__teller *teller)
{
    teller->listed = true;
    teller->oldest = teller->list.first->serial;
    teller->next = requests->tellers;
    if (teller->next != NULL)
        teller->next->previous = teller;
    requests->tellers = teller;
}

static void unlist_teller(stele__requests *requests, const struct stele__teller *teller)
{
    if (teller->previous != NULL)
        teller->previous->next = teller->next;
    else
        requests->tellers = teller->next;
    if (teller->next != NULL)
        teller->next->previous = teller->previous;
}

/* The verdicts of a group are there: wake those who wait, and maybe pass the turn on. */
static void finish_group(stele_store *store, const request_list *group, bool pass,
                         struct stele__teller *teller)
{
    stele__requests *requests = store->requests;
    bool untold = pass && store->untold;
    if (untold)
        store->untold = false;
    pthread_mutex_lock(&store->mutex);
    requests->commits += group->commits;
    requests->requests += group->committed;
    if (group->count > requests->largest)
        requests->largest = group->count;
    for (stele__request *request = group->first; request != NULL;) {
        stele__request *next = request->next; /* a follower's ends with its call */
        if (request->deliver != NULL)
            add_to_list(&teller->list, request);
        settle_request(store, request);
        request = next;
    }
    if (teller->list.first != NULL && !teller->listed)
        list_teller(requests, teller);
    if (pass)
        stele__turn_pass_locked(store);
    pthread_mutex_unlock(&store->mutex);
    if (untold)
        stele__commits_tell(store);
}

static void deliver_verdicts(stele_store *store, struct stele__teller *teller)
{
    if (!teller->listed)
        return;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    teller->outer = innermost_teller;
    innermost_teller = teller;
    pthread_mutex_lock(&store->mutex);
    while (teller->list.first != NULL) {
        stele__request *request = teller->list.first;
        teller->list.first = request->next;
        teller->oldest = request->serial;
        pthread_cond_broadcast(&store->requests->told);
        pthread_mutex_unlock(&store->mutex);
        request->deliver(request);
        pthread_mutex_lock(&store->mutex);
    }
    unlist_teller(store->requests, teller);
    pthread_cond_broadcast(&store->requests->told);
    pthread_mutex_unlock(&store->mutex);
    innermost_teller = teller->outer;
    stele__restore_error(error);
}

void stele__group_settle(stele_store *store, stele__request *request, stele_status status)
{
    struct stele__teller here = { .store = store };
    struct stele__teller *teller = find_teller(store);
    request_list group = { 0 };
    if (teller == NULL)
        teller = &here;
    set_verdict(request, status);
    add_to_list(&group, request);
    pthread_mutex_lock(&store->mutex);
    request->serial = ++store->requests->serial;
    pthread_mutex_unlock(&store->mutex);
    finish_group(store, &group, false, teller);
    if (teller == &here)
        deliver_verdicts(store, &here);
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
    struct stele__teller here = { .store = store };
    struct stele__teller *teller = find_teller(store);
    if (teller == NULL)
        teller = &here;
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
        finish_group(store, &group, !again, teller);
    }
    if (teller == &here)
        deliver_verdicts(store, &here);
    stele__transfer_if_wanted(store, patience);
    return status;
}
