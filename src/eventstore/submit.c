/* Submissions: an append with its own copy of everything, and a ticket for its verdict. */
#include <stele/submit.h>

#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/platform.h"
#include "eventstore/eventstore.h"

/*
 * Held by the queue until its verdict was told, and by the caller until it is closed. The store's
 * mutex guards what both touch.
 */
struct stele_ticket {
    stele__append_request append; /* first: the group hands it back */
    stele_verdict_function callback;
    void *context;
    stele_verdict verdict;
    pthread_cond_t told;
    unsigned reference_count;
    bool is_told;
    bool closed;
    bool waited; /* somebody waits for it, or has its verdict: completed() passes it over */
    bool listed; /* among the completed */
    struct stele_ticket *next;
    void *copies;
};

void stele_submit_init(stele_submit *submit)
{
    *submit = (stele_submit)STELE_SUBMIT_INIT;
}

/* --- Copies --- */

/* Writes copies one after the other; without memory it only counts. */
typedef struct copier {
    char *memory;
    size_t used;
} copier;

static const void *copy_bytes(copier *copies, const void *bytes, size_t size)
{
    size_t at = copies->used;
    copies->used += size;
    if (copies->memory == NULL || bytes == NULL)
        return NULL;
    memcpy(copies->memory + at, bytes, size);
    return copies->memory + at;
}

static const char *copy_string(copier *copies, const char *text)
{
    return text == NULL ? NULL : copy_bytes(copies, text, strlen(text) + 1);
}

static void *copy_room(copier *copies, size_t size)
{
    size_t at = (copies->used + 15) / 16 * 16;
    copies->used = at + size;
    return copies->memory == NULL ? NULL : copies->memory + at;
}

/* Everything that `prepared` points to; in the first pass nothing but the size of it. */
static void copy_append(copier *copies, const stele__prepared *prepared, stele_append *copy_out)
{
    const stele_append *append = &prepared->append;
    stele_event *events = copy_room(copies, append->event_count * sizeof(*events));
    stele_condition *conditions = copy_room(copies, append->condition_count * sizeof(*conditions));
    for (size_t i = 0; i < append->event_count; i++) {
        stele_event event;
        stele__prepared_event(prepared, i, &event);
        event.type = copy_string(copies, event.type);
        event.codec = copy_string(copies, event.codec);
        event.data = copy_bytes(copies, event.data, event.data_size);
        event.metadata = copy_bytes(copies, event.metadata, event.metadata_size);
        if (events != NULL)
            events[i] = event;
    }
    for (size_t i = 0; i < append->condition_count; i++) {
        stele_condition condition;
        memcpy(&condition, (const char *)append->conditions + i * append->condition_size,
               sizeof(condition));
        condition.stream = copy_string(copies, condition.stream);
        if (conditions != NULL)
            conditions[i] = condition;
    }
    *copy_out = *append;
    copy_out->stream = copy_string(copies, append->stream);
    copy_out->idempotency_key = copy_string(copies, append->idempotency_key);
    copy_out->events = events;
    copy_out->event_size = sizeof(*events);
    copy_out->conditions = conditions;
    copy_out->condition_size = sizeof(*conditions);
    copy_out->wait = NULL;
}

static stele_status keep_copies(stele_ticket *ticket)
{
    copier copies = { NULL, 0 };
    stele_append copy;
    copy_append(&copies, &ticket->append.prepared, &copy);
    copies.memory = stele__allocate(copies.used);
    if (copies.memory == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a submission of %zu bytes", copies.used);
    ticket->copies = copies.memory;
    copies.used = 0;
    copy_append(&copies, &ticket->append.prepared, &copy);
    ticket->append.prepared.append = copy;
    ticket->append.request.size = copies.used + sizeof(*ticket);
    return STELE_OK;
}

/* --- A ticket's life --- */

static void destroy_ticket(stele_ticket *ticket)
{
    const stele_store *store = ticket->append.request.store;
    stele__prepared_dispose(&ticket->append.prepared);
    stele__free(ticket->copies);
    if (store->fork_count == stele__fork_count()) /* a parent's thread may wait on it */
        pthread_cond_destroy(&ticket->told);
    stele__free(ticket);
}

/* One of its two holders lets go. */
static void release_ticket(stele_ticket *ticket)
{
    stele_store *store = ticket->append.request.store;
    bool ours = store->fork_count == stele__fork_count();
    if (ours)
        pthread_mutex_lock(&store->mutex);
    bool last = --ticket->reference_count == 0;
    if (ours)
        pthread_mutex_unlock(&store->mutex);
    if (!last)
        return;
    destroy_ticket(ticket);
    stele__store_release(store);
}

static void write_verdict(stele_ticket *ticket)
{
    const stele__request *request = &ticket->append.request;
    ticket->verdict.status = request->status;
    ticket->verdict.error = request->status < 0 ? request->error : "";
    if (request->status == STELE_OK || request->status == STELE_CONFLICT)
        ticket->verdict.appended = ticket->append.appended;
}

/* Among the completed, if it is for them. With the mutex held. */
static void list_ticket(stele_store *store, stele_ticket *ticket)
{
    stele__completions *completions = &store->completions;
    if (!ticket->is_told || ticket->callback != NULL || ticket->closed || ticket->waited
        || ticket->listed)
        return;
    if (completions->first == NULL && completions->event[1] >= 0)
        stele__event_signal(completions->event);
    ticket->next = NULL;
    ticket->listed = true;
    *completions->last = ticket;
    completions->last = &ticket->next;
}

/* Its place among the completed is given up. With the mutex held. */
static void unlist_ticket(stele_store *store, stele_ticket *ticket)
{
    stele__completions *completions = &store->completions;
    if (!ticket->listed)
        return;
    stele_ticket **at = &completions->first;
    while (*at != ticket)
        at = &(*at)->next;
    *at = ticket->next;
    if (completions->last == &ticket->next)
        completions->last = at;
    ticket->listed = false;
    if (completions->first == NULL && completions->event[0] >= 0)
        stele__event_clear(completions->event);
}

/* With the mutex held. A ticket needs no more than this, so a callback may wait for one. */
static void settle_ticket(stele__request *request)
{
    stele_ticket *ticket = (stele_ticket *)request;
    write_verdict(ticket);
    ticket->is_told = true;
    list_ticket(request->store, ticket);
    pthread_cond_broadcast(&ticket->told);
}

/* On the thread that committed. */
static void tell_verdict(stele__request *request)
{
    stele_ticket *ticket = (stele_ticket *)request;
    if (ticket->callback != NULL)
        ticket->callback(ticket->context, &ticket->verdict);
    release_ticket(ticket);
}

static stele_status make_ticket(stele_store *store, const stele_append *append,
                                const stele_submit *submit, stele_ticket **ticket_out)
{
    stele_ticket *ticket = stele__allocate_array(1, sizeof(*ticket));
    if (ticket == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a ticket");
    stele__append_request_init(&ticket->append, store);
    stele_status status = stele__prepare_append(store, append, &ticket->append.prepared);
    if (status != STELE_OK) {
        stele__free(ticket);
        return status;
    }
    stele__append_request_measure(&ticket->append);
    stele__condition_init(&ticket->told);
    ticket->append.request.settle = settle_ticket;
    ticket->append.request.deliver = tell_verdict;
    ticket->callback = submit->callback;
    ticket->context = submit->context;
    ticket->reference_count = submit->callback != NULL ? 1 : 2;
    stele__store_hold(store);
    *ticket_out = ticket;
    return keep_copies(ticket);
}

/* A sequencer gives its verdict on this thread, and so it is told here. Unless one comes while the
 * ticket is about to be queued. */
static stele_status submit_ticket(stele_ticket *ticket, const stele_wait *wait)
{
    bool taken = false;
    stele__append_request *append = &ticket->append;
    append->prepared.append.wait = wait;
    stele_status status = stele__append_request_propose(append, &taken);
    append->prepared.append.wait = NULL;
    if (taken) {
        stele__group_settle(append->request.store, &append->request, status);
        return STELE_OK;
    }
    status = stele__group_submit(append->request.store, &append->request, wait);
    /* Once queued it is the committer's, and may be gone already. */
    bool switched = status == STELE_UNSUPPORTED && append->request.switched;
    return switched ? submit_ticket(ticket, wait) : status;
}

static stele_status submit_append(stele_store *store, const stele_append *append,
                                  const stele_submit *submit, stele_ticket **ticket_out)
{
    stele_ticket *ticket = NULL;
    stele_status status = make_ticket(store, append, submit, &ticket);
    if (status == STELE_OK) {
        if (ticket_out != NULL)
            *ticket_out = ticket; /* its verdict may come before the call returns */
        stele_append given = STELE_APPEND_INIT;
        stele__options_take("stele_append", append, &given, sizeof(given));
        status = submit_ticket(ticket, given.wait);
    }
    if (status != STELE_OK && ticket != NULL) {
        if (ticket_out != NULL)
            *ticket_out = NULL;
        destroy_ticket(ticket);
        stele__store_release(store);
    }
    return status;
}

stele_status stele_store_submit(stele_store *store, const stele_append *append,
                                const stele_submit *submit, stele_ticket **ticket_out)
{
    if (ticket_out != NULL)
        *ticket_out = NULL;
    stele_submit taken = STELE_SUBMIT_INIT;
    stele_status status = stele__options_take("stele_submit", submit, &taken, sizeof(taken));
    if (status == STELE_OK && (taken.callback == NULL) != (ticket_out != NULL))
        status = stele__fail(STELE_MISUSE, "a submission has either a callback or a ticket");
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = submit_append(store, append, &taken, ticket_out);
    stele__store_leave(store);
    return status;
}

/* --- Waiting --- */

/* Until the verdict is there. The store may be closed meanwhile. */
static stele_status wait_until_told(stele_ticket *ticket, stele__patience *patience)
{
    stele_store *store = ticket->append.request.store;
    stele_status status = STELE_OK;
    patience->closing = NULL;
    pthread_mutex_lock(&store->mutex);
    while (!ticket->is_told && status == STELE_OK) {
        stele__condition_wait(&ticket->told, &store->mutex,
                              stele__patience_next_check_us(patience));
        if (ticket->is_told)
            break;
        pthread_mutex_unlock(&store->mutex);
        status = stele__patience_check(patience, "waiting for a verdict");
        pthread_mutex_lock(&store->mutex);
    }
    bool told = ticket->is_told;
    pthread_mutex_unlock(&store->mutex);
    if (told)
        return STELE_OK;
    return status == STELE_BUSY ? STELE_TIMED_OUT : status;
}

/* Take part in the committing, unless this is only to look. */
static stele_status commit_for_ticket(stele_ticket *ticket, stele__patience *patience)
{
    stele_store *store = ticket->append.request.store;
    stele_status status = stele__store_enter(store);
    bool entered = status == STELE_OK;
    /* Who closes, or is waited for by who closes, called the function that we are in: nobody else
     * would commit. */
    if (status == STELE_CLOSED && stele__group_is_telling(store)) {
        patience->closing = NULL;
        status = STELE_OK;
    }
    if (status == STELE_OK && patience->timeout_ms == 0)
        status = STELE_TIMED_OUT;
    else if (status == STELE_OK)
        status = stele__group_wait(store, &ticket->append.request, patience);
    if (entered)
        stele__store_leave(store);
    return status;
}

stele_status stele_ticket_wait(stele_ticket *ticket, const stele_wait *wait,
                               const stele_verdict **verdict_out)
{
    if (verdict_out != NULL)
        *verdict_out = NULL;
    if (ticket == NULL || verdict_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", ticket == NULL ? "ticket" : "verdict_out");
    stele_store *store = ticket->append.request.store;
    if (store->fork_count != stele__fork_count())
        return stele__fail(STELE_MISUSE, "the store was opened before fork(): only free it here");
    stele__patience patience;
    stele_status status = stele__patience_begin(&patience, wait, UINT32_MAX, &store->closing);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&store->mutex);
    unlist_ticket(store, ticket);
    ticket->waited = true;
    pthread_mutex_unlock(&store->mutex);

    status = commit_for_ticket(ticket, &patience);
    if (status == STELE_CLOSED) /* closing settles it */
        status = wait_until_told(ticket, &patience);
    pthread_mutex_lock(&store->mutex);
    bool told = ticket->is_told; /* maybe in this moment */
    ticket->waited = told;
    pthread_mutex_unlock(&store->mutex);
    if (told)
        *verdict_out = &ticket->verdict;
    return told ? STELE_OK : status;
}

void *stele_ticket_context(const stele_ticket *ticket)
{
    return ticket == NULL ? NULL : ticket->context;
}

void stele_ticket_close(stele_ticket *ticket)
{
    if (ticket == NULL)
        return;
    stele_store *store = ticket->append.request.store;
    if (store->fork_count == stele__fork_count()) {
        pthread_mutex_lock(&store->mutex);
        ticket->closed = true;
        unlist_ticket(store, ticket);
        pthread_mutex_unlock(&store->mutex);
    }
    release_ticket(ticket);
}

/* --- The completed --- */

stele_status stele_store_completed(stele_store *store, stele_ticket **ticket_out)
{
    if (ticket_out == NULL)
        return stele__fail(STELE_MISUSE, "ticket_out is NULL");
    *ticket_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&store->mutex);
    stele_ticket *ticket = store->completions.first;
    if (ticket != NULL) {
        unlist_ticket(store, ticket);
        ticket->waited = true;
    }
    pthread_mutex_unlock(&store->mutex);
    stele__store_leave(store);
    *ticket_out = ticket;
    return ticket == NULL ? STELE_DONE : STELE_OK;
}

stele_status stele_store_completion_fd(stele_store *store, int *fd_out)
{
    if (fd_out == NULL)
        return stele__fail(STELE_MISUSE, "fd_out is NULL");
    *fd_out = -1;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    stele__completions *completions = &store->completions;
    pthread_mutex_lock(&store->mutex);
    if (completions->event[0] < 0) {
        status = stele__event_open(completions->event);
        if (status == STELE_OK && completions->first != NULL)
            stele__event_signal(completions->event);
    }
    *fd_out = completions->event[0];
    pthread_mutex_unlock(&store->mutex);
    stele__store_leave(store);
    return status;
}

stele_status stele_store_flush(stele_store *store, const stele_wait *wait)
{
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__group_flush(store, wait);
    stele__store_leave(store);
    return status;
}
