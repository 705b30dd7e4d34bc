/**
 * @file stele/work.h
 * Long work: how it is cut into steps, slowed down, watched and cancelled.
 *
 * Archiving, restoring, deleting, retention, verification, backups and copies take their time in
 * steps. Each step is a transaction of its own, so writers and readers go on in between, and what
 * is cancelled or cut short goes on later from where it stood.
 */
#ifndef STELE_WORK_H
#define STELE_WORK_H

#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/status.h>
#include <stele/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How far long work has come. Only lent by pointer. */
typedef struct stele_progress {
    const char *doing; /**< The part at work, such as "copying"; never freed. */
    uint64_t done;     /**< Of this part: events, pages or rows. */
    uint64_t total;    /**< Of this part; 0 when it isn't known. */
    uint64_t bytes;    /**< Read or written so far, in all parts. */
} stele_progress;

/** How long work is to be done. Borrowed for the call. */
typedef struct stele_work {
    size_t struct_size;        /**< Set by the initializer. */
    const stele_wait *wait;    /**< How each step may wait for the lock; NULL: busy_timeout_ms. */
    uint32_t step_count_max;   /**< Most events, rows or pages in a step. 1000. */
    uint32_t step_size_max;    /**< Most bytes in a step, but at least one event. 4 MiB. */
    uint64_t bytes_per_second; /**< Sleep between steps so as not to go faster; 0: no limit. */
    /** Called after each step, on the caller's thread, with no lock held; non-zero ends the work
     * with STELE_CANCELLED. May call nothing of the library. NULL: nobody is asked. */
    int (*progress)(void *context, const stele_progress *progress);
    void *context;
} stele_work;

#define STELE_WORK_INIT                                                                            \
    {                                                                                              \
        sizeof(stele_work), NULL, 1000, 4 * 1024 * 1024, 0, NULL, NULL                             \
    }

/** Set `work` to the defaults, as STELE_WORK_INIT does. For bindings. */
STELE_API void stele_work_init(stele_work *work);

/**
 * Give the file's free pages back to the filesystem, a step at a time, and move the WAL.
 *
 * Pages become free when payloads are deleted or moved to an archive. A file that wasn't created by
 * this library may be unable to shrink: then `*bytes_out` stays 0.
 *
 * @param work      NULL means defaults.
 * @param bytes_out May be NULL. Receives by how much the file is smaller.
 * @return STELE_OK; STELE_CANCELLED; STELE_MISUSE (also inside a transaction of this thread);
 *         STELE_READ_ONLY; STELE_BUSY; STELE_FULL; STELE_IO; STELE_CORRUPT; STELE_NO_MEMORY;
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_store_shrink(stele_store *store, const stele_work *work,
                                          int64_t *bytes_out);

/**
 * Leave nothing of what was deleted in the file or its WAL.
 *
 * SQLite zeroes what is deleted, but when it moves rows between pages, copies of them stay in the
 * unused parts (docs/erasure.md has figures). So this writes the whole file anew, in one
 * transaction that holds as much memory as the live data is large, and then moves and empties the
 * WAL, for which no read may be in progress. Appends wait meanwhile; an open read of another
 * process makes it STELE_BUSY, and it can be called again.
 *
 * What the filesystem and the disk keep of blocks that were written over or given back is beyond
 * its reach, and so are backups made earlier.
 *
 * @param work Its `wait` and `progress` count, the latter asked while the lock is held; NULL means
 *             defaults.
 * @return As stele_store_shrink(). On a failure the file is whole, but may hold remains.
 */
STELE_API stele_status stele_store_scrub(stele_store *store, const stele_work *work);

#ifdef __cplusplus
}
#endif

#endif
