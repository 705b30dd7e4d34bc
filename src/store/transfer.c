/*
 * Moving the WAL into the file: PASSIVE, under the guard, when it is long.
 *
 * A PASSIVE transfer gets no further than the oldest read in progress, and readers that read page
 * after page always have one. So the pages that had begun before are waited for, and it is done
 * again. What began in between would read the WAL still, and keep the next write from beginning it
 * anew, so new pages wait at a gate until a write has done so. Beyond the hard threshold the gate
 * closes before anything is tried, and readers of other processes are waited for longer.
 */
#include <string.h>

#include "base/failure.h"
#include "base/platform.h"
#include "store/anchoring.h"
#include "store/store.h"

/* How long one waits for pages of this process, and for readers of other processes. */
#define DRAIN_US          200000
#define OUTSIDERS_US      20000
#define OUTSIDERS_HARD_US 200000
/* How long a transfer of our own accord waits for another process's writer. */
#define OWN_ACCORD_WAIT_MS 50

/* Wait until no page is in progress that had begun before. */
static void drain_pages(stele_store *store)
{
    int64_t until_us = stele__clock_monotonic_us() + DRAIN_US;
    pthread_mutex_lock(&store->mutex);
    uint64_t last = store->page_count;
    for (;;) {
        bool waiting = false;
        for (stele__connection *reader = store->busy_readers; reader != NULL; reader = reader->next)
            waiting |= reader->page <= last;
        if (!waiting || store->closing || stele__clock_monotonic_us() >= until_us)
            break;
        store->draining = true;
        stele__condition_wait(&store->changed, &store->mutex, until_us);
    }
    store->draining = false;
    pthread_mutex_unlock(&store->mutex);
}

static void close_gate(stele_store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->gate_closed = true;
    store->transfers.gates++;
    pthread_mutex_unlock(&store->mutex);
}

static stele_status transfer_once(stele_store *store, uint32_t *left_out)
{
    uint32_t pages = 0;
    uint32_t copied = 0;
    stele_status status = stele__database_transfer(store->transferrer, &pages, &copied);
    *left_out = pages - copied;
    return status;
}

/* The guard is held: nobody can reset the WAL under the transfer. */
static stele_status transfer_all(stele_store *store, bool hard, uint32_t *left_out)
{
    stele_status status = transfer_once(store, left_out);
    if (status != STELE_OK || *left_out == 0 || store->no_drain)
        return status;
    if (!hard)
        close_gate(store);
    drain_pages(store);
    status = transfer_once(store, left_out);
    /* What still holds it back is in other processes, or a long read of ours. */
    int64_t until_us = stele__clock_monotonic_us() + (hard ? OUTSIDERS_HARD_US : OUTSIDERS_US);
    while (status == STELE_OK && *left_out > 0 && stele__clock_monotonic_us() < until_us) {
        stele__sleep_us(1000);
        status = transfer_once(store, left_out);
    }
    return status;
}

static void count_transfer(stele_store *store, stele_status status, uint32_t left)
{
    pthread_mutex_lock(&store->mutex);
    if (status != STELE_OK)
        store->transfers.failed++;
    else if (left > 0)
        store->transfers.incomplete++;
    else
        store->transfers.complete++;
    pthread_mutex_unlock(&store->mutex);
}

stele_status stele__transfer_guarded(stele_store *store, stele__patience *patience,
                                     uint32_t *left_out)
{
    *left_out = 0;
    stele_status status = STELE_OK;
    bool hard = store->writer.database->wal_pages >= store->options.wal_hard_pages;
    if (store->transferrer == NULL)
        status = stele__store_connect(store, false, &store->transferrer);
    if (status == STELE_OK)
        status = stele__file_lock(store, patience);
    if (status != STELE_OK)
        return status;
    if (hard && !store->no_drain)
        close_gate(store);
    status = transfer_all(store, hard, left_out);
    if (status == STELE_OK)
        stele__anchoring_transferred(store, *left_out == 0);
    stele__write_end_held(store);
    count_transfer(store, status, *left_out);
    return status;
}

void stele__transfer_consider(stele_store *store)
{
    uint32_t pages = store->writer.database->wal_pages;
    uint32_t soft = store->options.wal_soft_pages;
    if (store->memory)
        return;
    if (pages < soft)
        store->transfer_at_pages = soft;
    if (store->maintenance != NULL)
        atomic_store(&store->transfer_urgent, pages >= store->options.wal_hard_pages);
    if (pages >= store->transfer_at_pages && !store->transfer_wanted) {
        pthread_mutex_lock(&store->mutex);
        store->transfer_wanted = true;
        stele__maintenance_wake(store);
        pthread_mutex_unlock(&store->mutex);
    }
    /* A commit that found the WAL all moved has begun it anew: reads may go on. */
    if (store->gate_closed && pages < store->options.wal_hard_pages) {
        pthread_mutex_lock(&store->mutex);
        store->gate_closed = false;
        pthread_cond_broadcast(&store->changed);
        pthread_mutex_unlock(&store->mutex);
    }
}

/* The turn is held. When readers keep the WAL from shrinking, the next try is not at the next
 * commit but when it has grown by another quarter. */
void stele__transfer_of_own_accord(stele_store *store)
{
    uint32_t left = 0;
    stele__patience patience;
    if (store->writer_broken || store->writer.database->wal_pages < store->transfer_at_pages)
        return;
    uint32_t pages = store->writer.database->wal_pages;
    stele__patience_begin(&patience, NULL, OWN_ACCORD_WAIT_MS, &store->closing);
    stele__transfer_guarded(store, &patience, &left);
    store->transfer_at_pages = pages + store->options.wal_soft_pages / 4 + 1;
}

void stele__transfer_if_wanted(stele_store *store, stele__patience *patience)
{
    if (!atomic_load(&store->transfer_wanted))
        return;
    /* The thread for it does it, unless it can't keep up. */
    if (store->maintenance != NULL && !atomic_load(&store->transfer_urgent))
        return;
    if (!atomic_exchange(&store->transfer_wanted, false))
        return;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    stele__patience own;
    stele__patience_begin(&own, NULL, store->options.busy_timeout_ms, &store->closing);
    if (stele__turn_take(store, patience != NULL ? patience : &own) == STELE_OK) {
        stele__transfer_of_own_accord(store);
        stele__turn_pass(store);
    } else {
        atomic_store(&store->transfer_wanted, true); /* so the next one does it */
    }
    stele__restore_error(error);
}

stele_status stele_store_transfer(stele_store *store, const stele_wait *wait, uint32_t *left_out)
{
    uint32_t left = 0;
    stele__patience patience;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status =
        stele__patience_begin(&patience, wait, store->options.busy_timeout_ms, &store->closing);
    if (status == STELE_OK)
        status = stele__write_check(store);
    if (status == STELE_OK)
        status = stele__turn_take(store, &patience);
    if (status == STELE_OK) {
        if (!store->memory)
            status = stele__write_mend(store, &patience);
        if (status == STELE_OK && !store->memory)
            status = stele__transfer_guarded(store, &patience, &left);
        stele__turn_pass(store);
    }
    stele__store_leave(store);
    if (left_out != NULL)
        *left_out = left;
    return status;
}
