/* The writer's turn: in this process a queue of threads, between processes a place in line. */
#include "base/failure.h"
#include "base/platform.h"
#include "store/store.h"

/* While another connection holds SQLite's lock: ask again this soon, then less and less often. */
#define RETRY_FIRST_US 100u
#define RETRY_LAST_US  2000u
/* Somebody ahead in line who doesn't move for so long has stopped: the line only orders. */
#define STUCK_US 500000

void stele__waiter_join(stele_store *store, stele__waiter *waiter)
{
    stele__condition_init(&waiter->wake);
    waiter->has_turn = false;
    waiter->next = NULL;
    waiter->previous = store->last_waiter;
    if (store->last_waiter != NULL)
        store->last_waiter->next = waiter;
    else
        store->first_waiter = waiter;
    store->last_waiter = waiter;
}

void stele__waiter_leave(stele_store *store, stele__waiter *waiter)
{
    if (waiter->previous != NULL)
        waiter->previous->next = waiter->next;
    else
        store->first_waiter = waiter->next;
    if (waiter->next != NULL)
        waiter->next->previous = waiter->previous;
    else
        store->last_waiter = waiter->previous;
    waiter->next = NULL;
    waiter->previous = NULL;
}

void stele__waiters_wake(stele_store *store)
{
    for (stele__waiter *waiter = store->first_waiter; waiter != NULL; waiter = waiter->next)
        pthread_cond_signal(&waiter->wake);
}

/* In the order of asking. But after one who yields comes one who doesn't, so that however many of
 * them there are, every other turn is an appender's. */
static stele__waiter *find_next_waiter(const stele_store *store)
{
    stele__waiter *waiter = store->first_waiter;
    while (store->writer_yields && waiter != NULL && waiter->yields)
        waiter = waiter->next;
    return waiter != NULL ? waiter : store->first_waiter;
}

void stele__turn_pass_locked(stele_store *store)
{
    stele__waiter *waiter = find_next_waiter(store);
    if (waiter == NULL) {
        store->writer_taken = false;
        return;
    }
    stele__waiter_leave(store, waiter);
    waiter->has_turn = true;
    store->writer_yields = waiter->yields;
    pthread_cond_signal(&waiter->wake);
}

void stele__turn_pass(stele_store *store)
{
    bool untold = store->untold;
    store->untold = false;
    pthread_mutex_lock(&store->mutex);
    stele__turn_pass_locked(store);
    pthread_mutex_unlock(&store->mutex);
    if (untold)
        stele__commits_tell(store);
}

stele_status stele__turn_take(stele_store *store, stele__patience *patience)
{
    if (atomic_load(&store->writer_thread) == stele__thread_id())
        return stele__fail(STELE_MISUSE, "this thread has a transaction open: use that");
    stele_status status = STELE_OK;
    stele__waiter waiter = { .yields = patience->yields };
    pthread_mutex_lock(&store->mutex);
    if (store->closing && patience->closing != NULL) {
        status = stele__fail(STELE_CLOSED, "the store was closed");
    } else if (!store->writer_taken) {
        store->writer_taken = true;
        store->writer_yields = patience->yields;
    } else {
        stele__waiter_join(store, &waiter);
        while (!waiter.has_turn && status == STELE_OK) {
            stele__condition_wait(&waiter.wake, &store->mutex,
                                  stele__patience_next_check_us(patience));
            if (waiter.has_turn)
                break;
            pthread_mutex_unlock(&store->mutex);
            status = stele__patience_check(patience, "waiting for other writers of this store");
            pthread_mutex_lock(&store->mutex);
        }
        if (status != STELE_OK && waiter.has_turn)
            stele__turn_pass_locked(store);
        else if (status != STELE_OK)
            stele__waiter_leave(store, &waiter);
        pthread_cond_destroy(&waiter.wake);
    }
    pthread_mutex_unlock(&store->mutex);
    return status;
}

bool stele__turn_try(stele_store *store)
{
    pthread_mutex_lock(&store->mutex);
    bool taken = !store->writer_taken && !store->gate_closed && !store->closing;
    if (taken) {
        store->writer_taken = true;
        store->writer_yields = false;
    }
    pthread_mutex_unlock(&store->mutex);
    return taken;
}

static const char other_processes[] = "waiting for the write lock of the file";

/* Until everybody before us has left, or doesn't move. BUSY and so on end the waiting. */
static stele_status wait_in_line(stele_store *store, stele__patience *patience, bool *stuck_out)
{
    uint32_t pause_us = 0;
    int64_t ahead = 0;
    int64_t ahead_before = -1;
    int64_t since_us = 0;
    *stuck_out = false;
    while (!stele__turnstile_is_our_turn(store->turnstile, &pause_us, &ahead)) {
        int64_t now_us = stele__clock_monotonic_us();
        if (ahead != ahead_before) {
            ahead_before = ahead;
            since_us = now_us;
        } else if (now_us - since_us > STUCK_US) {
            *stuck_out = true;
            return STELE_OK;
        }
        stele_status status = stele__patience_check(patience, other_processes);
        if (status != STELE_OK)
            return status;
        stele__patience_sleep(patience, pause_us);
    }
    return STELE_OK;
}

/* Begin as soon as SQLite's lock is free: at the head of the line that is after one commit. */
static stele_status begin_soon(stele_store *store, stele__patience *patience)
{
    uint32_t pause_us = RETRY_FIRST_US;
    stele_status status = STELE_OK;
    while ((status = stele__database_begin(store->writer.database)) == STELE_BUSY) {
        status = stele__patience_check(patience, other_processes);
        if (status != STELE_OK)
            return status;
        stele__patience_sleep(patience, pause_us);
        pause_us = pause_us * 3 / 2 < RETRY_LAST_US ? pause_us * 3 / 2 : RETRY_LAST_US;
    }
    return status;
}

stele_status stele__file_lock(stele_store *store, stele__patience *patience)
{
    if (store->turnstile == NULL)
        return begin_soon(store, patience);
    /* Nobody in line: no need to get in. Who comes after us then waits there for one commit. */
    if (!store->in_line && stele__turnstile_is_empty(store->turnstile)) {
        stele_status status = stele__database_begin(store->writer.database);
        if (status != STELE_BUSY)
            return status;
    }
    stele_status status = STELE_OK;
    bool stuck = false;
    if (!store->in_line)
        store->in_line = stele__turnstile_join(store->turnstile) == STELE_OK;
    if (store->in_line)
        status = wait_in_line(store, patience, &stuck);
    if (status == STELE_OK)
        status = begin_soon(store, patience);
    if (status != STELE_OK)
        stele__file_unlock(store);
    return status;
}

void stele__file_unlock(stele_store *store)
{
    if (store->in_line)
        stele__turnstile_leave(store->turnstile);
    store->in_line = false;
}
