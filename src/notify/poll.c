/* Looking at the file for what others have committed, and the thread that does nothing else. */
#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"
#include "notify/notifier.h"
#include "sqlite/statement.h"

/* What `sql` gives, in a read of its own: the one that answers for this moment. */
static stele_status read_now(stele__database *database, const char *sql, int64_t *number_out)
{
    stele__statement *statement = NULL;
    *number_out = 0;
    stele_status status = stele__statement_begin(database, sql, &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        *number_out = stele__column_number(statement, 0);
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status read_version(stele_notifier *notifier, uint32_t *version_out)
{
    int64_t version = 0;
    stele_status status = read_now(notifier->connection.database, "PRAGMA data_version", &version);
    *version_out = (uint32_t)version;
    stele__notifier_pause(STELE__MOMENT_VERSION_READ);
    return status;
}

/* A head never goes back, so it is only taken from tables that are ours. */
static stele_status scan_head(stele_notifier *notifier, int64_t *head_out)
{
    stele__database *database = notifier->connection.database;
    stele_status status = stele__database_begin_read(database);
    if (status == STELE_OK)
        status = stele__connection_recheck(notifier->store, &notifier->connection);
    if (status == STELE_OK)
        status = read_now(database, "SELECT position FROM events ORDER BY position DESC LIMIT 1",
                          head_out);
    stele__database_rollback(database);
    stele__notifier_pause(STELE__MOMENT_HEAD_SCANNED);
    return status;
}

static stele_status connect_poller(stele_notifier *notifier)
{
    if (notifier->connection.database != NULL)
        return STELE_OK;
    /* Who waits for events doesn't wait for a lock: it asks again. */
    stele_status status =
        stele__store_connect_at_once(notifier->store, true, &notifier->connection.database);
    notifier->knows_version = false;
    return status;
}

static void disconnect_poller(stele_notifier *notifier)
{
    if (notifier->connection.database != NULL)
        stele__connection_dispose(notifier->store, &notifier->connection);
}

/*
 * The version first: what is committed between the two reads is scanned now, and its version seen
 * the next time. The other way round it would be taken for seen.
 */
static stele_status look_for_commits(stele_notifier *notifier, bool *changed_out)
{
    uint32_t version = 0;
    int64_t head = 0;
    stele_status status = connect_poller(notifier);
    if (status == STELE_OK && notifier->scans_first)
        status = scan_head(notifier, &head);
    if (status == STELE_OK)
        status = read_version(notifier, &version);
    *changed_out = status == STELE_OK && !(notifier->knows_version && version == notifier->version);
    if (status != STELE_OK || !*changed_out)
        return status;
    if (!notifier->scans_first)
        status = scan_head(notifier, &head);
    if (status != STELE_OK)
        return status;
    bool first = !notifier->knows_version;
    notifier->version = version;
    notifier->knows_version = true;
    bool moved = stele__notifier_raise(notifier, head);
    /* Our own commits move the version, too. */
    uint64_t own = atomic_load(&notifier->own_changes);
    *changed_out = moved || (own == notifier->own_changes_seen && !first);
    notifier->own_changes_seen = own;
    atomic_fetch_add(&notifier->changes, 1);
    stele__notifier_tell(notifier);
    return STELE_OK;
}

stele_status stele__notifier_look(stele_notifier *notifier)
{
    bool changed = false;
    stele_status status = look_for_commits(notifier, &changed);
    if (status == STELE_OK)
        notifier->ever_polled = true;
    else if (status != STELE_BUSY) /* begin afresh */
        disconnect_poller(notifier);
    if (status != STELE_BUSY)
        notifier->busy_until_us = INT64_MAX;
    else if (notifier->busy_until_us == INT64_MAX)
        notifier->busy_until_us =
            stele__clock_monotonic_us() + (int64_t)notifier->store->options.busy_timeout_ms * 1000;
    int64_t pace_us = changed ? notifier->floor_us : 2 * notifier->pace_us;
    if (pace_us <= 0 || pace_us > notifier->interval_us)
        pace_us = notifier->interval_us;
    notifier->pace_us = pace_us;
    notifier->next_poll_us = stele__clock_monotonic_us() + pace_us;
    return status;
}

/* --- The thread --- */

static void *run_notify_thread(void *context)
{
    stele_notifier *notifier = context;
    bool over = false;
    while (!over) {
        pthread_mutex_lock(&notifier->mutex);
        stele__sleeper sleeper = { .watches = true,
                                   .stops = notifier->thread_stops,
                                   .until_us = INT64_MAX };
        pthread_mutex_unlock(&notifier->mutex);
        stele_status status = stele__notifier_sleep(notifier, &sleeper);
        pthread_mutex_lock(&notifier->mutex);
        /* It may have been asked for again. */
        over = status != STELE_OK || notifier->thread_stops != atomic_load(&notifier->stops);
        if (over) {
            notifier->thread_runs = false;
            pthread_cond_broadcast(&notifier->left);
        }
        pthread_mutex_unlock(&notifier->mutex);
    }
    return NULL;
}

/* With the mutex held, which is let go meanwhile: one that has ended, or is about to. Not one that
 * was started by somebody else who was waited for here. */
static void join_thread(stele_notifier *notifier)
{
    while (notifier->joining)
        stele__condition_wait(&notifier->left, &notifier->mutex, INT64_MAX);
    if (!notifier->has_thread || (notifier->thread_runs && !atomic_load(&notifier->closed)))
        return;
    pthread_t thread = notifier->thread;
    notifier->has_thread = false;
    notifier->joining = true;
    pthread_mutex_unlock(&notifier->mutex);
    pthread_join(thread, NULL);
    pthread_mutex_lock(&notifier->mutex);
    notifier->joining = false;
    pthread_cond_broadcast(&notifier->left);
}

stele_status stele__notifier_start(stele_notifier *notifier)
{
    if (!notifier->has_file)
        return STELE_OK;
    notifier->thread_stops = atomic_load(&notifier->stops);
    if (notifier->thread_runs)
        return STELE_OK;
    join_thread(notifier);
    if (notifier->thread_runs) /* somebody else was quicker */
        return STELE_OK;
    if (atomic_load(&notifier->closed))
        return stele__fail(STELE_CLOSED, "the store was closed");
    stele_status status =
        stele__thread_start(&notifier->thread, "stele-notify", run_notify_thread, notifier);
    notifier->has_thread = status == STELE_OK;
    notifier->thread_runs = status == STELE_OK;
    return status;
}

stele_status stele_notifier_start(stele_notifier *notifier)
{
    stele_status status = stele__notifier_enter(notifier);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&notifier->mutex);
    status = stele__notifier_start(notifier);
    pthread_mutex_unlock(&notifier->mutex);
    stele__notifier_leave(notifier);
    return status;
}

void stele__notifier_end(stele_notifier *notifier)
{
    pthread_mutex_lock(&notifier->mutex);
    join_thread(notifier);
    pthread_mutex_unlock(&notifier->mutex);
    disconnect_poller(notifier);
}

/* --- Polling on the caller's thread --- */

stele_status stele_notifier_poll(stele_notifier *notifier, const stele_wait *wait)
{
    stele__patience patience;
    stele_status status = stele__notifier_enter(notifier);
    if (status != STELE_OK)
        return status;
    stele__sleeper sleeper = { .watches = true,
                               .stops = atomic_load(&notifier->stops),
                               .demanding = true,
                               .until_us = INT64_MAX,
                               .patience = &patience };
    status = stele__patience_begin(&patience, wait, UINT32_MAX, NULL);
    if (status == STELE_OK)
        status = stele__notifier_check_thread(notifier);
    if (status == STELE_OK) {
        pthread_mutex_lock(&notifier->mutex);
        notifier->poller_count++;
        pthread_mutex_unlock(&notifier->mutex);
        status = stele__notifier_sleep(notifier, &sleeper);
        pthread_mutex_lock(&notifier->mutex);
        notifier->poller_count--;
        pthread_cond_broadcast(&notifier->left);
        pthread_mutex_unlock(&notifier->mutex);
        if (status == STELE_BUSY && stele__patience_check(&patience, "polling") == STELE_BUSY)
            status = STELE_TIMED_OUT;
    }
    stele__notifier_leave(notifier);
    return status;
}

void stele_notifier_stop(stele_notifier *notifier)
{
    if (notifier != NULL)
        atomic_fetch_add(&notifier->stops, 1);
}

/* With the mutex held. */
static bool is_quiet(const stele_notifier *notifier)
{
    return notifier->poller_count == 0 && !notifier->thread_runs;
}

stele_status stele_notifier_join(stele_notifier *notifier, const stele_wait *wait)
{
    stele__patience patience;
    stele_status status = stele__notifier_enter(notifier);
    if (status != STELE_OK)
        return status;
    status = stele__patience_begin(&patience, wait, UINT32_MAX, NULL);
    pthread_mutex_lock(&notifier->mutex);
    while (status == STELE_OK && !is_quiet(notifier)) {
        if (atomic_load(&notifier->closed)) {
            status = stele__fail(STELE_CLOSED, "the %s was closed",
                                 notifier->store != NULL ? "store" : "notifier");
            break;
        }
        pthread_mutex_unlock(&notifier->mutex);
        status = stele__patience_check(&patience, "waiting for polling to end");
        pthread_mutex_lock(&notifier->mutex);
        if (status == STELE_OK && !is_quiet(notifier) && !atomic_load(&notifier->closed))
            stele__condition_wait(&notifier->left, &notifier->mutex,
                                  stele__patience_next_check_us(&patience));
    }
    if (status == STELE_OK && !notifier->thread_runs)
        join_thread(notifier);
    pthread_mutex_unlock(&notifier->mutex);
    stele__notifier_leave(notifier);
    return status == STELE_BUSY ? STELE_TIMED_OUT : status;
}
