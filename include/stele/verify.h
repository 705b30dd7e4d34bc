/**
 * @file stele/verify.h
 * Proving that a store is whole: every check by name, with its count and first offender.
 */
#ifndef STELE_VERIFY_H
#define STELE_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/work.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The outcome of one check. Only lent by pointer. */
typedef struct stele_check {
    const char *name;     /**< Such as "positions"; never freed. */
    uint64_t count;       /**< Things looked at. */
    uint64_t failures;    /**< Of these, wrong. */
    const char *offender; /**< The first wrong thing; "" for none. */
    bool repaired;        /**< It had failed, was repaired, and this is the second look. */
} stele_check;

/** A verification in progress. Used by one thread at a time. */
typedef struct stele_verify stele_verify;

/** What to verify, and how. */
typedef struct stele_verify_options {
    size_t struct_size;       /**< Set by the initializer. */
    const stele_work *work;   /**< Steps, progress and the limit of speed; NULL: defaults. */
    const char *const *names; /**< Only these checks. */
    size_t name_count;        /**< 0: all checks. */
    /** When a check fails, build anew what is derived of what it looks at, which are the SQL
     * indexes of our tables, or drop it, which are snapshots, in a write transaction, and check
     * again. It is left undone where it would change or hide anything else; an event is never
     * touched. */
    bool repair;
} stele_verify_options;

#define STELE_VERIFY_INIT                                                                          \
    {                                                                                              \
        sizeof(stele_verify_options), NULL, NULL, 0, false                                         \
    }

/** Set `options` to the defaults, as STELE_VERIFY_INIT does. For bindings. */
STELE_API void stele_verify_options_init(stele_verify_options *options);

/**
 * Start verifying. Nothing is changed (unless `repair`), and writers go on: each check reads in
 * steps of `work`, with nothing open in between, so that the WAL can move. Only "sqlite", SQLite's
 * own check, is one long read, during which the WAL grows, also while it is slowed down; with
 * versions of SQLite that don't ask meanwhile, its first half can't be cancelled.
 *
 * The progress says which check, and how many rows of it ("sqlite": pages) were looked at.
 *
 * @param options NULL means STELE_VERIFY_INIT. Copied; what `work` points to is borrowed until
 *                closing.
 * @return STELE_OK, STELE_MISUSE (an argument, a name that no check has, repair of a read_only
 *         store), STELE_NO_MEMORY, STELE_CLOSED.
 */
STELE_API stele_status stele_verify_open(stele_store *store, const stele_verify_options *options,
                                         stele_verify **verify_out);

/**
 * Run the next check. Damage is a check with failures, not a failed call, and so is damage that
 * can't be repaired, or may not be: in a store that has lost events nothing is written. After a
 * failed call the next one begins the same check again.
 *
 * @param check_out Borrowed until the next call; NULL unless STELE_OK.
 * @return STELE_OK with a check, STELE_DONE after the last, or STELE_CANCELLED (by the progress of
 *         `work`), STELE_BUSY, STELE_IO, STELE_NO_MEMORY, STELE_MISUSE (also repair inside a
 *         transaction of this thread), STELE_CLOSED; with `repair` also STELE_FULL,
 *         STELE_UNKNOWN_OUTCOME.
 */
STELE_API stele_status stele_verify_next(stele_verify *verify, const stele_check **check_out);

/** Close `verify`. NULL is allowed; never fails. */
STELE_API void stele_verify_close(stele_verify *verify);

/**
 * One hash over every row of the log and of state entries, in the order of their keys: equal for
 * equal content. These are the events with the names of their types and codecs, streams with their
 * states, idempotency keys, entries and their write ids; not what is of one file alone:
 * checkpoints, leases, snapshots, parked events, projections, uuid and epochs, frames, what is in
 * archives or kept for others. A backup, and a store recovered from it, has its store's.
 *
 * It is one read from the first row to the last, or it would be of no one moment: without progress,
 * not slowed down, ended only by closing, and meanwhile the WAL grows by what others write.
 *
 * @param digest_out Receives 16 hexadecimal digits and a NUL.
 * @return STELE_OK, STELE_MISUSE, STELE_BUSY, STELE_CORRUPT, STELE_IO, STELE_NO_MEMORY,
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_store_digest(stele_store *store, char digest_out[17]);

#ifdef __cplusplus
}
#endif

#endif
