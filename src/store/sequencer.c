/* Which sequencer a store has, who is inside it, and which thread applies a frame. */
#include "store/sequencer.h"

#include "base/failure.h"
#include "base/platform.h"
#include "store/fence.h"
#include "store/group.h"

stele__sequencer *stele__sequencer_enter(stele_store *store)
{
    if (atomic_load_explicit(&store->sequencer, memory_order_relaxed) == NULL)
        return NULL;
    pthread_mutex_lock(&store->mutex);
    stele__sequencer *sequencer = atomic_load(&store->sequencer);
    if (sequencer != NULL)
        store->sequencer_calls++;
    pthread_mutex_unlock(&store->mutex);
    return sequencer;
}

void stele__sequencer_leave(stele_store *store, stele__sequencer *sequencer)
{
    pthread_mutex_lock(&store->mutex);
    if (sequencer == atomic_load(&store->sequencer))
        store->sequencer_calls--;
    else if (--store->sequencer_before_calls == 0)
        pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

/* Behind a fence nothing is proposed: what is stored elsewhere would come from there. */
static stele_status check_fence_before(stele_store *store)
{
    return atomic_load(&store->fenced) ? stele__fence_ask(store) : STELE_OK;
}

stele_status stele__sequencer_offer(stele_store *store, const stele__change *change,
                                    bool *taken_out)
{
    stele__sequencer *sequencer = stele__sequencer_enter(store);
    *taken_out = sequencer != NULL;
    if (sequencer == NULL)
        return STELE_OK;
    stele_status status = stele__write_check(store);
    if (status == STELE_OK && atomic_load(&store->writer_thread) == stele__thread_id())
        status = stele__fail(STELE_MISUSE, "this thread has a transaction open: use that");
    if (status == STELE_OK)
        status = check_fence_before(store);
    if (status == STELE_OK)
        status = sequencer->propose(sequencer, store, change);
    stele__sequencer_leave(store, sequencer);
    return status;
}

stele_status stele__sequencer_check(const stele_store *store, const char *what)
{
    if (atomic_load_explicit(&store->sequencer, memory_order_relaxed) == NULL
        || store->past_sequencer || stele__is_framing(store))
        return STELE_OK;
    return stele__sequencer_check_early(store, what);
}

stele_status stele__sequencer_check_early(const stele_store *store, const char *what)
{
    if (atomic_load_explicit(&store->sequencer, memory_order_relaxed) == NULL)
        return STELE_OK;
    return stele__fail(STELE_UNSUPPORTED,
                       "%s: the store's changes are put in order elsewhere, and this is none that"
                       " goes there",
                       what);
}

/* --- Frames --- */

void stele__framing_begin(stele_store *store, int64_t time)
{
    store->framing_time = time;
    atomic_store(&store->framing_thread, stele__thread_id());
}

void stele__framing_end(stele_store *store)
{
    atomic_store(&store->framing_thread, 0);
}

bool stele__is_framing(const stele_store *store)
{
    uintptr_t thread = atomic_load_explicit(&store->framing_thread, memory_order_relaxed);
    return thread != 0 && thread == stele__thread_id();
}

/* --- Setting one --- */

/* What is kept with each append is the program's, and what is in an archive may be out of reach at
 * one node and not at another: verdicts would rest on that. */
static stele_status refuse_unequal(stele_store *store)
{
    stele__connection *connection = NULL;
    int64_t folds = 0;
    int64_t moved = 0;
    stele_status status = stele__read_begin(store, NULL, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__database_number(connection->database,
                                    "SELECT EXISTS(SELECT 1 FROM state"
                                    " WHERE scope = '$projections/inline' AND codec <> 0)",
                                    &folds);
    if (status == STELE_OK)
        status = stele__database_number(connection->database,
                                        "SELECT EXISTS(SELECT 1 FROM archive_ranges)", &moved);
    stele__read_end(store, connection);
    if (status == STELE_OK && folds != 0)
        status = stele__fail(STELE_UNSUPPORTED, "a projection is kept with every append, so they"
                                                " can't be put in order elsewhere");
    if (status == STELE_OK && moved != 0)
        status = stele__fail(STELE_UNSUPPORTED, "streams of the store are in another store, so its"
                                                " changes can't be put in order elsewhere");
    return status;
}

/* With the turn and the mutex held. What was queued before the change still goes past it. */
static bool mark_queued(stele_store *store)
{
    bool any = false;
    for (stele__request *request = store->requests->first; request != NULL;
         request = request->next) {
        request->before_switch |= request->direct;
        any |= request->direct;
    }
    return any;
}

/* With the mutex held. */
static bool any_marked(const stele_store *store)
{
    const stele__request *request = store->requests->first;
    while (request != NULL && !request->before_switch)
        request = request->next;
    return request != NULL;
}

/* Nothing goes past a sequencer once its calls may have begun. */
static void unmark_queued(stele_store *store)
{
    pthread_mutex_lock(&store->mutex);
    for (stele__request *request = store->requests->first; request != NULL; request = request->next)
        request->before_switch = false;
    pthread_mutex_unlock(&store->mutex);
}

/* With the turn held, which is passed on: until what was queued before the change is committed, or
 * refused. Who queued it gets the verdict. */
static void commit_marked_requests(stele_store *store, stele__patience *patience)
{
    stele_status status = STELE_OK;
    bool more = true;
    while (status == STELE_OK && more) {
        status = stele__group_lead(store, NULL, patience, true);
        pthread_mutex_lock(&store->mutex);
        more = any_marked(store);
        pthread_mutex_unlock(&store->mutex);
        if (status == STELE_OK && more)
            status = stele__turn_take(store, patience);
    }
    unmark_queued(store);
}

/* Until nobody is inside the one before. With the mutex held. */
static void wait_for_leaving(stele_store *store)
{
    while (store->sequencer_before_calls > 0)
        stele__condition_wait(&store->changed, &store->mutex, INT64_MAX);
    store->sequencer_switching = false;
}

static stele_status switch_sequencer(stele_store *store, stele__sequencer *sequencer,
                                     stele__patience *patience)
{
    stele_status status = stele__turn_take(store, patience);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&store->mutex);
    bool same = atomic_load(&store->sequencer) == sequencer;
    bool busy = store->sequencer_switching;
    bool marked = false;
    if (!same && !busy) {
        store->sequencer_switching = true;
        store->sequencer_before_calls = store->sequencer_calls;
        store->sequencer_calls = 0;
        atomic_store(&store->sequencer, sequencer);
        marked = sequencer != NULL && mark_queued(store);
    }
    pthread_mutex_unlock(&store->mutex);
    if (marked)
        commit_marked_requests(store, patience);
    else
        stele__turn_pass(store);
    pthread_mutex_lock(&store->mutex);
    if (!same && !busy)
        wait_for_leaving(store);
    pthread_mutex_unlock(&store->mutex);
    if (busy)
        return stele__fail(STELE_BUSY, "another thread is setting a sequencer");
    return STELE_OK;
}

stele_status stele__sequencer_set(stele_store *store, stele__sequencer *sequencer)
{
    stele__patience patience;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__write_check(store);
    if (status == STELE_OK && sequencer != NULL && !sequencer->refuses)
        status = refuse_unequal(store);
    if (status == STELE_OK)
        status =
            stele__patience_begin(&patience, NULL, store->options.busy_timeout_ms, &store->closing);
    if (status == STELE_OK)
        status = switch_sequencer(store, sequencer, &patience);
    stele__store_leave(store);
    return status;
}
