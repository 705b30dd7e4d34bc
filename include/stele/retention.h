/**
 * @file stele/retention.h
 * Forgetting the oldest events of streams: by age, by count, or before a version.
 *
 * What is trimmed leaves husks, as deletion does: positions and versions stay dense, and a stream
 * then reads from its first retained version (stele_stream_info.first_version). Each stream that is
 * trimmed leaves an event "stream-trimmed" in `$stele`.
 */
#ifndef STELE_RETENTION_H
#define STELE_RETENTION_H

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

/**
 * What to keep. The rules given are all applied: an event goes when any of them lets it go. What
 * goes is a beginning of the stream: it ends before the first event that is to stay, also when the
 * clock was set back and older times follow.
 */
typedef struct stele_retain {
    size_t struct_size;     /**< Set by the initializer. */
    const char *stream;     /**< This one, or: */
    const char *category;   /**< every stream of this category. Exactly one of the two. */
    int64_t max_age_us;     /**< Events recorded longer ago go; 0: no such rule. */
    int64_t max_count;      /**< Of each stream the newest so many stay; 0: no such rule. */
    int64_t before_version; /**< Versions below it go; 0: no such rule. Only with `stream`. */
    /** Go past checkpoints: without it, no event goes that some reader has not scanned. */
    bool force;
    /** Checkpoints not saved for so long don't hold events back; 0: all do. */
    int64_t stale_after_us;
    bool dry_run;           /**< Count what would go; change nothing. */
    bool keep_free_pages;   /**< Don't give the space back to the filesystem. */
    const stele_work *work; /**< NULL: defaults. */
} stele_retain;

/* clang-format off */
#define STELE_RETAIN_INIT { sizeof(stele_retain), NULL, NULL, 0, 0, 0, false, 0, false, false, NULL }
/* clang-format on */

STELE_API void stele_retain_init(stele_retain *retain);

/** What was trimmed; of a dry run: would be. Set also on failure. */
typedef struct stele_retained {
    int64_t streams;   /**< That lost events. */
    int64_t events;    /**< That went. */
    int64_t bytes;     /**< Of their data and metadata. */
    int64_t held_back; /**< Events that would have gone but for a checkpoint. */
    /** The slowest checkpoint's name, whether it held back anything; "" for none and with `force`.
     */
    char slowest[STELE_NAME_SIZE_MAX + 1];
    int64_t slowest_position; /**< Its position; 0 for none. */
    int64_t skipped;          /**< Streams passed over since their payloads are in an archive. */
    int64_t file_bytes;       /**< By how much the file is smaller. */
    int64_t reserved[4];      /**< Zero. */
} stele_retained;

/**
 * Trim streams, a step at a time. Interrupted, it leaves streams that are trimmed less far: call it
 * again.
 *
 * Also a dry run needs a store that can be written, and with a rule of time the write lock for a
 * moment: the clock of stele_options is only asked under that.
 *
 * @param retained_out May be NULL.
 * @return STELE_OK (also when nothing was to go); STELE_NOT_FOUND (no such stream);
 *         STELE_ARCHIVED (the one stream's payloads are in an archive); STELE_CANCELLED;
 *         STELE_MISUSE; STELE_READ_ONLY; STELE_BUSY; STELE_FULL; STELE_IO; STELE_CORRUPT;
 *         STELE_NO_MEMORY; STELE_UNKNOWN_OUTCOME; STELE_CLOSED.
 */
STELE_API stele_status stele_store_retain(stele_store *store, const stele_retain *retain,
                                          stele_retained *retained_out);

#ifdef __cplusplus
}
#endif

#endif
