/**
 * @file stele/submit.h
 * Appending without waiting for the disk: many appends in flight, each with its own verdict.
 *
 * stele_store_append() groups by itself: threads that append at the same time share a commit. One
 * thread that wants the same submits: the append is copied and queued, and its verdict comes later,
 * by callback, by a ticket that is waited for, or by a descriptor that can be polled.
 *
 * Who commits. What was submitted is committed together by whoever writes next: another append, a
 * stele_ticket_wait(), a stele_store_flush(), or the thread that `committer` in stele_options
 * starts. Without that thread, and when nobody writes, nothing happens by itself. Transactions and
 * stele_store_append_many() take nothing along, and may come before what waits.
 *
 * Every submission gets exactly one verdict, and only after the COMMIT (or the refusal) that it
 * tells of: also when the group that it was in failed, when the store is closed (what was submitted
 * is committed first), and when the disk fails. Submissions of one thread are taken in their order.
 */
#ifndef STELE_SUBMIT_H
#define STELE_SUBMIT_H

#include <stele/api.h>
#include <stele/eventstore.h>
#include <stele/status.h>
#include <stele/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A submission on its way. Used by one thread at a time. */
typedef struct stele_ticket stele_ticket;

/** A verdict. Only lent by pointer. */
typedef struct stele_verdict {
    stele_status status;     /**< As stele_store_append() returns. */
    stele_appended appended; /**< Set on STELE_OK and STELE_CONFLICT. */
    const char *error;       /**< The reason of a failure, as stele_error_text(); else "". */
} stele_verdict;

/**
 * Told of a verdict, once, on the thread that committed, with no lock held: it may call anything
 * of the library but stele_store_close(). Other callbacks of the same group wait meanwhile, and
 * so do those of what it commits itself, until it returns: no stack grows. Tickets don't wait. A
 * transaction that it begins must end in it.
 */
typedef void (*stele_verdict_function)(void *context, const stele_verdict *verdict);

/** How to submit. */
typedef struct stele_submit {
    size_t struct_size;              /**< Set by the initializer. */
    stele_verdict_function callback; /**< NULL: the verdict is on the ticket. */
    void *context;                   /**< For the callback, or stele_ticket_context(). */
} stele_submit;

#define STELE_SUBMIT_INIT                                                                          \
    {                                                                                              \
        sizeof(stele_submit), NULL, NULL                                                           \
    }

/** Set `submit` to the defaults, as STELE_SUBMIT_INIT does. For bindings. */
STELE_API void stele_submit_init(stele_submit *submit);

/**
 * Queue `append`. It is checked as far as can be without the file, and copied, payloads too.
 *
 * When submit_count_max submissions or submit_size_max bytes wait already, this commits them on
 * this thread; with a committer it waits for room, as long as `append->wait` says. Inside a
 * transaction of this thread neither can be: STELE_MISUSE.
 *
 * @param submit     NULL means STELE_SUBMIT_INIT. Copied.
 * @param ticket_out Receives the ticket, to be closed with stele_ticket_close(). NULL exactly when
 *                   there is a callback.
 * @return STELE_OK (queued); or, with nothing queued and no verdict to come: STELE_INVALID,
 *         STELE_TOO_LARGE, STELE_MISUSE, STELE_READ_ONLY, STELE_BUSY (no room in time),
 *         STELE_CANCELLED, STELE_NO_MEMORY, STELE_CLOSED.
 */
STELE_API stele_status stele_store_submit(stele_store *store, const stele_append *append,
                                          const stele_submit *submit, stele_ticket **ticket_out);

/**
 * Wait for the verdict, committing what is submitted on this thread when nobody else does.
 *
 * Inside a transaction of this thread only a verdict that is there can be had; else STELE_MISUSE.
 *
 * @param wait        How long; NULL: as long as it takes. A timeout of 0 only looks.
 * @param verdict_out Receives the verdict, borrowed until the ticket is closed; NULL unless
 *                    STELE_OK.
 * @return STELE_OK (there is a verdict: its `status` says what became of the append),
 *         STELE_TIMED_OUT, STELE_CANCELLED, STELE_MISUSE.
 */
STELE_API stele_status stele_ticket_wait(stele_ticket *ticket, const stele_wait *wait,
                                         const stele_verdict **verdict_out);

/** The `context` it was submitted with. NULL for NULL. */
STELE_API void *stele_ticket_context(const stele_ticket *ticket);

/** Close `ticket`. NULL is allowed; never fails. Before the verdict it takes nothing back: the
 * append goes on, and nobody hears of it. Also after the store was closed. */
STELE_API void stele_ticket_close(stele_ticket *ticket);

/**
 * The next ticket with a verdict that nobody waited for, in the order of the verdicts. It stays
 * the caller's to close; each ticket is handed out here once.
 *
 * @return STELE_OK, STELE_DONE (none now), STELE_MISUSE, STELE_CLOSED.
 */
STELE_API stele_status stele_store_completed(stele_store *store, stele_ticket **ticket_out);

/**
 * A descriptor that is readable while stele_store_completed() has a ticket to give. Don't read it,
 * don't close it: it ends with the store.
 *
 * @return STELE_OK, STELE_MISUSE, STELE_IO, STELE_CLOSED.
 */
STELE_API stele_status stele_store_completion_fd(stele_store *store, int *fd_out);

/**
 * Commit all that was submitted before this call, by whichever thread, until each has its verdict
 * and each callback has returned; in a callback: until each has its verdict.
 *
 * @param wait NULL: as long as it takes.
 * @return STELE_OK (also when some verdicts are failures), STELE_TIMED_OUT, STELE_CANCELLED,
 *         STELE_MISUSE, STELE_CLOSED.
 */
STELE_API stele_status stele_store_flush(stele_store *store, const stele_wait *wait);

#ifdef __cplusplus
}
#endif

#endif
