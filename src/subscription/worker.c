/* Workers: threads that run a subscription, each with a handle of its own. */
#include <stele/worker.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/callback.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/patience.h"
#include "base/platform.h"
#include "subscription/own.h"

#define WORKER_THREADS_MAX 64u

typedef struct worker_thread {
    stele_worker *worker;
    stele_subscription *subscription; /* lives as long as the worker: who stops it may be anybody */
    pthread_t thread;
    bool started;
    atomic_uintptr_t id; /* of the thread while it runs; else 0 */
} worker_thread;

struct stele_worker {
    stele_store *store; /* held */
    stele_handler handler;
    uint32_t fork_count;
    pthread_mutex_t mutex;
    pthread_cond_t ended; /* a thread has */
    uint32_t running;
    stele_status failure; /* the first; OK: none */
    char reason[STELE__ERROR_SIZE];
    uint32_t done; /* threads that came to where they were to stop */
    uint32_t count;
    worker_thread threads[];
};

/* --- A thread --- */

static void note_ended(worker_thread *self, stele_status status, const char *reason)
{
    stele_worker *worker = self->worker;
    pthread_mutex_lock(&worker->mutex);
    if (status == STELE_DONE)
        worker->done++;
    else if (status < 0 && status != STELE_CANCELLED && worker->failure == STELE_OK) {
        worker->failure = status;
        snprintf(worker->reason, sizeof(worker->reason), "%s", reason);
    }
    worker->running--;
    pthread_cond_broadcast(&worker->ended);
    pthread_mutex_unlock(&worker->mutex);
}

static void *run_worker_thread(void *context)
{
    worker_thread *self = context;
    char reason[STELE__ERROR_SIZE];
    atomic_store(&self->id, stele__thread_id());
    stele_status status = stele_subscription_run(self->subscription, &self->worker->handler);
    stele__keep_error(reason);
    /* Others may go on at once, whenever the worker is closed. */
    stele__subscription_give_up(self->subscription);
    atomic_store(&self->id, 0);
    note_ended(self, status, reason);
    return NULL;
}

/* --- Starting --- */

static void free_worker(stele_worker *worker)
{
    for (uint32_t i = 0; i < worker->count; i++)
        stele_subscription_close(worker->threads[i].subscription);
    /* A child after fork() may have inherited a locked mutex. */
    if (worker->fork_count == stele__fork_count()) {
        pthread_cond_destroy(&worker->ended);
        pthread_mutex_destroy(&worker->mutex);
    }
    stele__store_release(worker->store);
    stele__free(worker);
}

static stele_status open_worker_handle(stele_worker *worker,
                                       const stele_subscription_options *given,
                                       worker_thread *thread)
{
    stele_subscription_options options;
    char owner[STELE__OWNER_SIZE + 16];
    stele_subscription_options_init(&options);
    stele_status status =
        stele__options_take("stele_subscription_options", given, &options, sizeof(options));
    if (status != STELE_OK)
        return status;
    if (options.owner != NULL && worker->count > 1) {
        snprintf(owner, sizeof(owner), "%s:%" PRIu32, options.owner,
                 (uint32_t)(thread - worker->threads) + 1);
        options.owner = owner;
    }
    return stele_subscription_open(worker->store, &options, &thread->subscription);
}

static stele_status make_worker(stele_store *store, const stele_handler *handler, uint32_t threads,
                                stele_worker **worker_out)
{
    stele_worker *worker =
        stele__allocate_array(1, sizeof(*worker) + threads * sizeof(worker_thread));
    if (worker == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a worker");
    stele__fork_watch();
    worker->fork_count = stele__fork_count();
    worker->store = store;
    stele__store_hold(store);
    worker->handler = *handler;
    worker->count = threads;
    pthread_mutex_init(&worker->mutex, NULL);
    stele__condition_init(&worker->ended);
    for (uint32_t i = 0; i < threads; i++)
        worker->threads[i].worker = worker;
    *worker_out = worker;
    return STELE_OK;
}

static stele_status start_worker_thread(stele_worker *worker, worker_thread *thread)
{
    pthread_mutex_lock(&worker->mutex);
    worker->running++;
    pthread_mutex_unlock(&worker->mutex);
    stele_status status =
        stele__thread_start(&thread->thread, "stele-worker", run_worker_thread, thread);
    thread->started = status == STELE_OK;
    if (!thread->started) {
        pthread_mutex_lock(&worker->mutex);
        worker->running--;
        pthread_mutex_unlock(&worker->mutex);
    }
    return status;
}

stele_status stele_worker_start(stele_store *store, const stele_subscription_options *options,
                                const stele_handler *handler, uint32_t threads,
                                stele_worker **worker_out)
{
    stele_handler taken;
    stele_worker *worker = NULL;
    if (worker_out != NULL)
        *worker_out = NULL;
    if (store == NULL || worker_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", store == NULL ? "store" : "worker_out");
    if (threads < 1 || threads > WORKER_THREADS_MAX)
        return stele__fail(STELE_MISUSE, "%" PRIu32 " threads, not within 1 and %u", threads,
                           WORKER_THREADS_MAX);
    stele_status status = stele__handler_take(handler, &taken);
    if (status == STELE_OK)
        status = stele__store_check(store);
    if (status == STELE_OK)
        status = make_worker(store, &taken, threads, &worker);
    if (status != STELE_OK)
        return status;
    for (uint32_t i = 0; i < threads && status == STELE_OK; i++)
        status = open_worker_handle(worker, options, &worker->threads[i]);
    for (uint32_t i = 0; i < threads && status == STELE_OK; i++)
        status = start_worker_thread(worker, &worker->threads[i]);
    if (status == STELE_OK)
        *worker_out = worker;
    else
        stele_worker_close(worker);
    return status;
}

/* --- Ending --- */

void stele_worker_stop(stele_worker *worker)
{
    for (uint32_t i = 0; worker != NULL && i < worker->count; i++)
        stele_subscription_stop(worker->threads[i].subscription);
}

static bool is_own_thread(stele_worker *worker)
{
    for (uint32_t i = 0; i < worker->count; i++)
        if (atomic_load(&worker->threads[i].id) == stele__thread_id())
            return true;
    return false;
}

static stele_status check_waiter(stele_worker *worker)
{
    if (worker == NULL)
        return stele__fail(STELE_MISUSE, "worker is NULL");
    if (worker->fork_count != stele__fork_count())
        return stele__fail(STELE_MISUSE, "the worker was started before fork(): only close it");
    if (stele__callback_running() != NULL)
        return stele__fail(STELE_MISUSE, "called from inside %s, which may call nothing",
                           stele__callback_running());
    if (is_own_thread(worker))
        return stele__fail(STELE_MISUSE, "a thread of the worker would wait for itself");
    if (atomic_load(&worker->store->writer_thread) == stele__thread_id())
        return stele__fail(STELE_MISUSE,
                           "this thread has a transaction open: the worker would wait for it");
    return STELE_OK;
}

/* With the mutex held, when no thread runs. */
static stele_status tell_outcome(stele_worker *worker)
{
    if (worker->failure != STELE_OK) {
        stele__restore_error(worker->reason);
        return worker->failure;
    }
    return worker->done == worker->count ? STELE_DONE : STELE_OK;
}

stele_status stele_worker_wait(stele_worker *worker, const stele_wait *wait)
{
    stele__patience patience;
    stele_status status = check_waiter(worker);
    if (status == STELE_OK)
        status = stele__patience_begin(&patience, wait, UINT32_MAX, NULL);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&worker->mutex);
    while (worker->running > 0 && status == STELE_OK) {
        pthread_mutex_unlock(&worker->mutex);
        status = stele__patience_check(&patience, "waiting for a worker");
        pthread_mutex_lock(&worker->mutex);
        if (status == STELE_OK && worker->running > 0)
            stele__condition_wait(&worker->ended, &worker->mutex,
                                  stele__patience_next_check_us(&patience));
    }
    if (worker->running == 0)
        status = tell_outcome(worker);
    pthread_mutex_unlock(&worker->mutex);
    return status == STELE_BUSY ? STELE_TIMED_OUT : status;
}

void stele_worker_close(stele_worker *worker)
{
    if (worker == NULL)
        return;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    bool ours = worker->fork_count == stele__fork_count();
    stele_worker_stop(worker);
    if (ours && is_own_thread(worker)) {
        stele__log(STELE_LOG_WARNING,
                   "a worker was closed by its own handler: it stops, and is lost");
        return;
    }
    for (uint32_t i = 0; ours && i < worker->count; i++) {
        worker_thread *thread = &worker->threads[i];
        if (thread->started) {
            stele__notifier_wake(thread->subscription->notifier);
            pthread_join(thread->thread, NULL);
        }
    }
    free_worker(worker);
    stele__restore_error(error);
}
