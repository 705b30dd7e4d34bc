/**
 * @file stele/transaction.h
 * One transaction over events, checkpoints and the user's own tables: all of it, or nothing.
 *
 * Begin takes the store's one write lock, so keep a transaction short: other appenders wait. The
 * life of one is begin, work, commit, end; end without commit rolls back.
 *
 * Threads. A transaction is used by the thread that began it. While it is open, a store-level
 * write (stele_store_append() and its like) on that thread is STELE_MISUSE at once, since it would
 * wait for itself; so is a store-level read of a ":memory:" store. Pass the transaction instead.
 */
#ifndef STELE_TRANSACTION_H
#define STELE_TRANSACTION_H

#include <stele/api.h>
#include <stele/status.h>
#include <stele/store.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sqlite3;

/** An open write transaction. */
typedef struct stele_transaction stele_transaction;

/**
 * Begin a write transaction, waiting for other writers up to busy_timeout_ms, in the order of
 * asking.
 *
 * @param transaction_out Receives the transaction; end it with stele_transaction_end().
 * @return STELE_OK, STELE_BUSY, STELE_READ_ONLY, STELE_MISUSE (this thread has one open already),
 *         STELE_CORRUPT, STELE_FULL, STELE_IO, STELE_NO_MEMORY, STELE_CLOSED.
 */
STELE_API stele_status stele_transaction_begin(stele_store *store,
                                               stele_transaction **transaction_out);

/** stele_transaction_begin() that waits as `wait` says (NULL: as that). Also STELE_CANCELLED. */
STELE_API stele_status stele_transaction_begin_wait(stele_store *store, const stele_wait *wait,
                                                    stele_transaction **transaction_out);

/**
 * Make everything done in `transaction` durable and visible at once. Afterwards only
 * stele_transaction_end() may be called on it.
 *
 * A write of ours that failed half-way inside the transaction (a full disk, say) has doomed it:
 * commit and every other call on it then answer that status, and ending it rolls back. An append
 * refused by its conditions dooms nothing.
 *
 * @return STELE_OK; STELE_UNKNOWN_OUTCOME (the disk failed during the commit: stored or not can't
 *         be told yet); otherwise nothing was stored: STELE_FULL, STELE_BUSY, STELE_IO,
 *         STELE_CORRUPT, STELE_NO_MEMORY, STELE_MISUSE (ended by the user's own SQL, or on
 *         another thread), STELE_CLOSED.
 */
STELE_API stele_status stele_transaction_commit(stele_transaction *transaction);

/** End `transaction`, rolling back what was not committed. NULL is allowed; never fails. */
STELE_API void stele_transaction_end(stele_transaction *transaction);

/**
 * The write connection, for the user's own SQL on the user's own tables inside the transaction.
 *
 * Borrowed until commit or end. Triggers and views are off on it. Don't write to stele's tables,
 * don't begin, commit or roll back through it, don't change its settings, don't close it. Reset
 * your statements before commit. One may be kept prepared for later transactions as long as these
 * hand out the same pointer; finalize it before the store is closed. NULL when the transaction is
 * over. Of a wrapped store it is the handle that you wrapped, with its own triggers and views.
 */
STELE_API struct sqlite3 *stele_transaction_sqlite(stele_transaction *transaction);

#ifdef __cplusplus
}
#endif

#endif
