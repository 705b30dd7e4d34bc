/**
 * @file stele/notify.h
 * Waking up when events were appended: by a direct signal in the process, by polling beside others.
 *
 * A notifier knows the head: the last position that it was told of. Whoever waits, waits for a head
 * beyond a position of its own: a level, never an edge, so that no wake-up can be lost, whatever
 * happened between the last look and the wait. Signals coalesce; who comes late learns the head at
 * once; who is slow costs the appender nothing.
 *
 * Every store has a notifier (stele_store_notifier()). The store signals it after each of its own
 * commits. What other processes, and other handles on the same file, commit is found by polling
 * `PRAGMA data_version` on a connection that does nothing else: every poll_interval_ms while
 * nothing happens, down to every poll_floor_ms while commits come (stele_options). No thread is
 * needed for that: one of those who wait polls for all of them. A thread of its own is started by
 * stele_notifier_start(), or when the first descriptor is asked for; stele_notifier_poll() polls on
 * the caller's.
 *
 * A notifier can also be used without a store (stele_notifier_open()): then only
 * stele_notifier_signal() moves its head.
 *
 * Threads. A notifier may be used by any number of threads. A listener is used by one at a time,
 * its descriptor by any.
 */
#ifndef STELE_NOTIFY_H
#define STELE_NOTIFY_H

#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/status.h>
#include <stele/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What wakes those who wait for events. */
typedef struct stele_notifier stele_notifier;

/**
 * The notifier of `store`, made when it is first asked for. Borrowed until the store is closed,
 * which wakes everybody who waits on it with STELE_CLOSED; it is not closed by the caller.
 *
 * @param notifier_out NULL unless STELE_OK.
 * @return STELE_OK, STELE_MISUSE, STELE_BUSY, STELE_CORRUPT, STELE_IO, STELE_NO_MEMORY,
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_store_notifier(stele_store *store, stele_notifier **notifier_out);

/**
 * Open a notifier without a store; its head is 0.
 *
 * @param notifier_out Receives the notifier; close it with stele_notifier_close().
 * @return STELE_OK, STELE_MISUSE, STELE_NO_MEMORY.
 */
STELE_API stele_status stele_notifier_open(stele_notifier **notifier_out);

/**
 * Close a notifier that stele_notifier_open() made. NULL is allowed; never fails. Wakes everybody
 * who waits on it with STELE_CLOSED, and waits until they have left. Listeners that are still open
 * answer STELE_CLOSED, and must still be closed. For a store's own: does nothing.
 */
STELE_API void stele_notifier_close(stele_notifier *notifier);

/**
 * Tell that the head is at `position`. Never blocks on a listener; a position that isn't beyond the
 * head changes nothing. A store does this by itself.
 *
 * @return STELE_OK, STELE_MISUSE (NULL, a negative position), STELE_CLOSED.
 */
STELE_API stele_status stele_notifier_signal(stele_notifier *notifier, int64_t position);

/** The last position that `notifier` knows of, without looking at a file. 0 for NULL. */
STELE_API int64_t stele_notifier_head(const stele_notifier *notifier);

/**
 * Wait until the head is beyond `after`; at once when it is already.
 *
 * @param wait     How long; NULL, or a timeout of STELE_TIMEOUT_DEFAULT: without end.
 * @param head_out May be NULL. Receives the head, also on STELE_TIMED_OUT.
 * @return STELE_OK, STELE_TIMED_OUT, STELE_CANCELLED (by `wait`), STELE_MISUSE (also inside a
 *         transaction of this thread on the store), STELE_CLOSED, and what reading the file answers
 *         when this thread polls: STELE_BUSY, STELE_CORRUPT, STELE_IO, STELE_NO_MEMORY.
 */
STELE_API stele_status stele_notifier_wait(stele_notifier *notifier, int64_t after,
                                           const stele_wait *wait, int64_t *head_out);

/* --- Polling --- */

/**
 * Start a thread, "stele-notify", that polls until stele_notifier_stop() or the store is closed.
 * Nothing happens when one runs, or when nobody else can have the file: in memory, or no store.
 *
 * @return STELE_OK, STELE_MISUSE, STELE_NO_MEMORY, STELE_IO, STELE_CLOSED.
 */
STELE_API stele_status stele_notifier_start(stele_notifier *notifier);

/**
 * Poll on the calling thread until stele_notifier_stop(), or `wait` is over. Where there is nothing
 * to poll it waits for the same.
 *
 * @param wait NULL, or a timeout of STELE_TIMEOUT_DEFAULT: without end.
 * @return STELE_OK (stopped), STELE_TIMED_OUT, STELE_CANCELLED, STELE_MISUSE, STELE_BUSY,
 *         STELE_CORRUPT, STELE_IO, STELE_NO_MEMORY, STELE_CLOSED.
 */
STELE_API stele_status stele_notifier_poll(stele_notifier *notifier, const stele_wait *wait);

/** Ask the thread and every stele_notifier_poll() to end, within a poll interval. Safe in a signal
 * handler. Waits go on, and polling can be started again. NULL is allowed. */
STELE_API void stele_notifier_stop(stele_notifier *notifier);

/**
 * Wait until nothing polls any more: the thread has ended, and every stele_notifier_poll() has
 * returned. At once when nothing does.
 *
 * @return STELE_OK, STELE_TIMED_OUT, STELE_CANCELLED, STELE_MISUSE (NULL, or called by the thread
 *         that polls), STELE_CLOSED.
 */
STELE_API stele_status stele_notifier_join(stele_notifier *notifier, const stele_wait *wait);

/* --- Listeners --- */

/** Someone who waits for events again and again, and remembers what it has heard of. */
typedef struct stele_listener stele_listener;

/**
 * Open a listener that has heard of everything up to `after`: when the head is beyond that, it
 * learns so at once.
 *
 * @param listener_out Receives the listener; close it with stele_listener_close(), also after the
 *                     notifier or the store was closed.
 * @return STELE_OK, STELE_MISUSE, STELE_NO_MEMORY, STELE_CLOSED.
 */
STELE_API stele_status stele_listener_open(stele_notifier *notifier, int64_t after,
                                           stele_listener **listener_out);

/**
 * Wait until the head is beyond what the listener has heard of; then that is the head. However many
 * signals came, this is one wake-up.
 *
 * @param wait     As for stele_notifier_wait(). A timeout of 0 only looks.
 * @param head_out May be NULL. Receives the head, also on STELE_TIMED_OUT.
 * @return As stele_notifier_wait().
 */
STELE_API stele_status stele_listener_wait(stele_listener *listener, const stele_wait *wait,
                                           int64_t *head_out);

/**
 * A descriptor for poll() and its like: readable while the head is beyond what the listener has
 * heard of, and after closing. Starts the thread of stele_notifier_start(), when first asked for;
 * after stele_notifier_stop() that has to be started again. Never read from it;
 * stele_listener_wait() makes it quiet. Borrowed until the listener is closed.
 *
 * @return STELE_OK, STELE_MISUSE, STELE_NO_MEMORY, STELE_IO, STELE_CLOSED.
 */
STELE_API stele_status stele_listener_descriptor(stele_listener *listener, int *descriptor_out);

/** Close `listener`. NULL is allowed; never fails. */
STELE_API void stele_listener_close(stele_listener *listener);

#ifdef __cplusplus
}
#endif

#endif
