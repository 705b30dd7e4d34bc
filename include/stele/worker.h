/**
 * @file stele/worker.h
 * Workers: subscriptions on threads of their own.
 *
 * A worker runs stele_subscription_run() on as many threads as asked for, each with a handle of its
 * own: with lanes they share these, without they stand by for each other. A thread that ends with a
 * failure doesn't take the others with it; the worker remembers the first.
 */
#ifndef STELE_WORKER_H
#define STELE_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/subscription.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Threads that run a subscription. Used by any number of threads. */
typedef struct stele_worker stele_worker;

/**
 * Start threads, named "stele-worker", that run a subscription. All signals are blocked on them.
 *
 * @param options    As for stele_subscription_open(); `owner` gets the number of the thread behind
 *                   it when there are several.
 * @param handler    Copied; its context is borrowed until the worker is closed. With several
 *                   threads it is called by all of them at a time.
 * @param threads    From 1 to 64.
 * @param worker_out Receives the worker; close it with stele_worker_close().
 * @return STELE_OK; STELE_NO_MEMORY; as stele_subscription_open(), and STELE_MISUSE for a wrong
 *         handler.
 */
STELE_API stele_status stele_worker_start(stele_store *store,
                                          const stele_subscription_options *options,
                                          const stele_handler *handler, uint32_t threads,
                                          stele_worker **worker_out);

/** Ask the worker to stop, as stele_subscription_stop() does. Safe in a signal handler. NULL is
 * allowed. */
STELE_API void stele_worker_stop(stele_worker *worker);

/**
 * Wait until all its threads have ended.
 *
 * @param wait NULL, or a timeout of STELE_TIMEOUT_DEFAULT: without end.
 * @return STELE_TIMED_OUT or STELE_CANCELLED (by `wait`) while some run; STELE_MISUSE (a NULL; on
 *         one of its own threads; inside a transaction of this thread; after fork()); else what
 * they ended with: the first failure other than STELE_CANCELLED with its text; STELE_DONE when all
 * were done; STELE_OK when stopped.
 */
STELE_API stele_status stele_worker_wait(stele_worker *worker, const stele_wait *wait);

/** Stop `worker`, wait for its threads, and free it. NULL is allowed; never fails. Not from a
 * handler. Before or after the store is closed. */
STELE_API void stele_worker_close(stele_worker *worker);

#ifdef __cplusplus
}
#endif

#endif
