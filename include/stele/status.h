/**
 * @file stele/status.h
 * What every call answers: 0 is success, positive is news, negative is failure.
 *
 * So `while ((status = next(...)) == STELE_OK)` and `if (status < 0)` both read right. Facts that
 * a caller acts on are fields of results, never parsed from text.
 */
#ifndef STELE_STATUS_H
#define STELE_STATUS_H

#include <stele/api.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum stele_status {
    STELE_OK = 0,        /**< Done as asked. */
    STELE_DONE = 1,      /**< A cursor has no more records. Not a failure. */
    STELE_TIMED_OUT = 2, /**< The time to wait is over. Not a failure. */

    STELE_CONFLICT = -1,         /**< A stream is not at the expected version. Reload, retry. */
    STELE_BUSY = -2,             /**< Another writer held the file for too long. Retry as is. */
    STELE_NOT_FOUND = -3,        /**< No such file, stream or handle. */
    STELE_ARCHIVED = -4,         /**< The stream is archived. Restore it; to read, attach. */
    STELE_TOMBSTONED = -5,       /**< The stream is closed for good. */
    STELE_KEY_REUSED = -6,       /**< The idempotency key came before with other content. */
    STELE_MISUSE = -7,           /**< An argument breaks the contract. Fix the caller. */
    STELE_TOO_LARGE = -8,        /**< Beyond a stated limit. Split it, or raise the limit. */
    STELE_NO_MEMORY = -9,        /**< An allocation failed. */
    STELE_FULL = -10,            /**< No space for writing. Reads go on; free some, retry. */
    STELE_IO = -11,              /**< The disk, or the system below us, failed. */
    STELE_CORRUPT = -12,         /**< The file is damaged or is not a stele file. */
    STELE_UNSUPPORTED = -13,     /**< A newer format, an unknown codec, a mode that can't. */
    STELE_UNKNOWN_TYPE = -14,    /**< No descriptor for this event type. */
    STELE_INVALID = -15,         /**< Undecodable input; the text has path and byte offset. */
    STELE_PRECISION = -16,       /**< A number that would have been rounded. */
    STELE_FENCED = -17,          /**< Another owner took over. Stop this worker. */
    STELE_EPOCH = -18,           /**< A position of another timeline of this file. */
    STELE_CANCELLED = -19,       /**< The caller's cancel or progress callback said so. */
    STELE_CLOSED = -20,          /**< The store was closed. */
    STELE_UNKNOWN_OUTCOME = -21, /**< Stored or not: repeat with the same key to find out. */
    STELE_READ_ONLY = -22,       /**< Opened for reading, has lost events, or is a backup. */
    STELE_REFUSED = -23,         /**< The program's own rules refused the command. */
    STELE_MOVED = -24            /**< The shard is somewhere else now. Go there. */
} stele_status;

/** The fixed English sentence for `status`. Never NULL; never freed; any thread. */
STELE_API const char *stele_status_text(stele_status status);

/** The name of `status` without its prefix, such as "CONFLICT". Never NULL; never freed. */
STELE_API const char *stele_status_name(stele_status status);

/**
 * Why the last call on this thread failed, with names and numbers. Read it only after a negative
 * status; it is borrowed until the next stele call on the same thread. Bytes in it that are not
 * printable are escaped.
 */
STELE_API const char *stele_error_text(void);

#ifdef __cplusplus
}
#endif

#endif
