/* The maintenance thread, when asked for: moves the WAL while the appenders go on. */
#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"
#include "store/store.h"

/* Without anything to do it looks this often whether the WAL could be moved in peace. */
#define LOOK_US 1000000
/* And then waits this long for another process's writer. */
#define PEACE_WAIT_MS 50

struct stele__maintenance {
    pthread_t thread;
    pthread_cond_t wake;
    bool stop;
};

/* A WAL that is not long but has not grown since the last look is moved as well: so that after a
 * burst the file is complete, and the next open has nothing to recover. The turn is held. */
static void move_in_peace(stele_store *store, uint64_t *commits_seen)
{
    stele__patience patience;
    uint32_t left = 0;
    if (store->writer_broken)
        return;
    uint64_t commits = store->writer.database->transaction_count;
    bool quiet = commits == *commits_seen && store->writer.database->wal_pages > 0;
    *commits_seen = commits;
    if (!quiet)
        return;
    stele__patience_begin(&patience, NULL, PEACE_WAIT_MS, &store->closing);
    if (stele__transfer_guarded(store, &patience, &left) == STELE_OK && left == 0
        && !store->writer_broken)
        store->writer.database->wal_pages = 0;
}

static void maintain(stele_store *store, bool wanted, uint64_t *commits_seen)
{
    stele__patience patience;
    stele__patience_begin(&patience, NULL, UINT32_MAX, &store->closing);
    if (stele__turn_take(store, &patience) != STELE_OK)
        return;
    if (wanted)
        stele__transfer_of_own_accord(store);
    else
        move_in_peace(store, commits_seen);
    stele__turn_pass(store);
}

static void *run_maintenance(void *context)
{
    stele_store *store = context;
    struct stele__maintenance *maintenance = store->maintenance;
    uint64_t commits_seen = 0;
    pthread_mutex_lock(&store->mutex);
    while (!maintenance->stop) {
        if (!atomic_load(&store->transfer_wanted)) /* it may have come while we were at it */
            stele__condition_wait(&maintenance->wake, &store->mutex,
                                  stele__clock_monotonic_us() + LOOK_US);
        if (maintenance->stop)
            break;
        bool wanted = atomic_exchange(&store->transfer_wanted, false);
        pthread_mutex_unlock(&store->mutex);
        maintain(store, wanted, &commits_seen);
        pthread_mutex_lock(&store->mutex);
    }
    pthread_mutex_unlock(&store->mutex);
    return NULL;
}

stele_status stele__maintenance_start(stele_store *store)
{
    if (!store->options.maintenance || store->options.read_only || store->memory)
        return STELE_OK;
    struct stele__maintenance *maintenance = stele__allocate_array(1, sizeof(*maintenance));
    if (maintenance == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the maintenance thread");
    stele__condition_init(&maintenance->wake);
    store->maintenance = maintenance;
    stele_status status =
        stele__thread_start(&maintenance->thread, "stele-maintain", run_maintenance, store);
    if (status != STELE_OK) {
        pthread_cond_destroy(&maintenance->wake);
        stele__free(maintenance);
        store->maintenance = NULL;
    }
    return status;
}

void stele__maintenance_wake(stele_store *store)
{
    if (store->maintenance != NULL)
        pthread_cond_signal(&store->maintenance->wake);
}

void stele__maintenance_stop(stele_store *store)
{
    struct stele__maintenance *maintenance = store->maintenance;
    if (maintenance == NULL)
        return;
    pthread_mutex_lock(&store->mutex);
    maintenance->stop = true;
    pthread_cond_signal(&maintenance->wake);
    pthread_mutex_unlock(&store->mutex);
    pthread_join(maintenance->thread, NULL);
}

void stele__maintenance_dispose(stele_store *store)
{
    struct stele__maintenance *maintenance = store->maintenance;
    if (maintenance == NULL)
        return;
    pthread_cond_destroy(&maintenance->wake);
    stele__free(maintenance);
    store->maintenance = NULL;
}
