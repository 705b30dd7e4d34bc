/**
 * @file stele/jsonl.h
 * A log as lines of JSON: import, and the export of one record.
 *
 * A line is one object. Its fields, in the order in which they are written, without blanks outside
 * `data` and `metadata`:
 *
 * - `stream`, `type`: strings; all that a line needs.
 * - `time`: RFC 3339 UTC with the fewest digits that keep the microsecond: occurred_at, or else
 *   recorded_at. Read with any offset, as occurred_at.
 * - `data`: any JSON, kept as its very text; or `data_b64`: the payload's bytes in base64 (RFC 4648
 *   section 4, padded), for every other codec. Neither: an empty payload.
 * - `metadata`: any JSON, kept as its very text; or `metadata_b64`. Neither: none.
 * - `id`: the idempotency key of the append that the event is the first of. Read as the key of the
 *   line's own append. Keys starting with '$' are the library's: not written, refused when read.
 * - `position`, `version`: integers. Checked to be such when read, and ignored.
 * - `schema_version`: an integer from 1. 1 when missing.
 * - `codec`: a string. When missing "json", or "raw" with `data_b64`.
 *
 * A JSON text that a line can't hold verbatim - with a line break between its tokens, or with white
 * space around its value - is written in base64 as well, as `data_b64` with codec "json" or
 * `metadata_b64`, so that every payload comes back bit for bit. Integers beyond 2^53 - 1 are
 * written as strings; either is read.
 */
#ifndef STELE_JSONL_H
#define STELE_JSONL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/eventstore.h>
#include <stele/status.h>
#include <stele/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * How an import went. `lines`, `rejected` and `bytes` count the batches that were finished;
 * `appended` and `duplicates` count what was committed, so both are 0 when an atomic import failed.
 */
typedef struct stele_imported {
    uint64_t lines;       /**< Read, without blank ones. */
    uint64_t appended;    /**< Stored by this import. */
    uint64_t duplicates;  /**< Stored before, so skipped. */
    uint64_t rejected;    /**< Bad, so skipped and reported. */
    uint64_t bytes;       /**< Of the lines read, blank ones and line ends included. */
    uint64_t reserved[4]; /**< Zero. */
} stele_imported;

/**
 * What to import, and how.
 *
 * The callbacks are called on the caller's thread and get `context`. They may call anything that
 * doesn't write to the store or close it; with `atomic` they run inside the import's transaction,
 * so then nothing that reads a ":memory:" store either.
 */
typedef struct stele_import {
    size_t struct_size;     /**< Set by the initializer. */
    const char *source;     /**< Gives lines without `id` a key (source, line, content), so that a
                                 second import of it adds nothing. NULL: such lines get no key. */
    uint32_t batch_size;    /**< Most lines in one transaction; large ones are fewer. 1000. */
    uint32_t line_size_max; /**< A line of more bytes is bad. 4 MiB: enough for any event of a store
                                 with the default event_size_max. */
    bool atomic;            /**< One transaction: any bad line, and nothing is stored. */
    bool lenient;           /**< Skip unknown fields instead of refusing the line. */
    /** Read up to `capacity` bytes; `*size_out` 0 is the end. A failure ends the import, without
     * the batch that was being read. */
    stele_status (*read)(void *context, void *buffer, size_t capacity, size_t *size_out);
    /** A bad line, counted from 1 with the blank ones, and why. Called in the order of the lines
     * when their batch is done. May be NULL. */
    void (*reject)(void *context, uint64_t line, const char *reason);
    /** Called after each batch, with `appended` and `duplicates` of what isn't committed yet if
     * `atomic`; anything but 0 cancels. May be NULL. */
    int (*progress)(void *context, const stele_imported *so_far);
    void *context;
} stele_import;

/* clang-format off */
#define STELE_IMPORT_INIT { sizeof(stele_import), NULL, 1000, 4 * 1024 * 1024, false, false, \
    NULL, NULL, NULL, NULL }
/* clang-format on */

/** Set `import` to the defaults, as STELE_IMPORT_INIT does. For bindings. */
STELE_API void stele_import_init(stele_import *import);

/**
 * Import lines, in order, in constant memory: a few times line_size_max, and some 10 MiB for a
 * batch.
 *
 * A valid line is appended to its stream, whatever is there. Its `position` and `version` are not
 * taken over; `schema_version` and `codec` are. A bad one (not JSON, no `stream` or `type`, a bad
 * time, an unknown field, a duplicate key, an `id` that came before with other content, too large,
 * ...) is reported and skipped. Lines end with LF or CRLF, the last one also without; blank lines
 * are ignored.
 *
 * The lines of a batch are read and checked first, and only then the write lock is taken, so that
 * a slow input holds nobody up; only an atomic import keeps the lock from its first valid line on.
 * It checks and reports all lines, also after the first bad one. Closing the store meanwhile waits
 * until `read` returns, and ends the import with STELE_CLOSED.
 *
 * @param import       Its `read` is required; `batch_size` and `line_size_max` are at least 1.
 * @param imported_out May be NULL. Set also on failure.
 * @return STELE_OK (also with rejected lines); STELE_INVALID (atomic, and a line was bad: nothing
 *         was stored); STELE_CANCELLED (what was committed stays; import again to go on);
 *         STELE_MISUSE (an argument, or this thread has a transaction open); otherwise what `read`
 *         or the store answered.
 */
STELE_API stele_status stele_store_import(stele_store *store, const stele_import *import,
                                          stele_imported *imported_out);

/** Writes records as lines. Used by one thread at a time. */
typedef struct stele_exporter stele_exporter;

/** Open an exporter. Close it with stele_exporter_close(). @return STELE_OK, STELE_NO_MEMORY,
 * STELE_MISUSE. */
STELE_API stele_status stele_exporter_open(stele_exporter **exporter_out);

/**
 * Write `record` as a line with its newline. Read with `keys` set to have its `id`.
 *
 * @param line_out Borrowed until the next call on this exporter; not NUL-terminated.
 * @return STELE_OK, STELE_MISUSE, STELE_NO_MEMORY, STELE_ARCHIVED or STELE_NOT_FOUND (the record's
 *         data is archived or erased: there is no line for it).
 */
STELE_API stele_status stele_exporter_line(stele_exporter *exporter, const stele_record *record,
                                           const char **line_out, size_t *size_out);

/** Close `exporter`. NULL is allowed; never fails. */
STELE_API void stele_exporter_close(stele_exporter *exporter);

/** Room for any time that stele_time_format() writes, with its NUL. */
#define STELE_TIME_SIZE 40

/**
 * Write `time` (microseconds since 1970 UTC) as RFC 3339 UTC with the fewest digits.
 *
 * RFC 3339 ends with the year 9999 and begins with 0000. Beyond, the year is a sign and six digits,
 * `+010000-01-01T00:00:00Z`, which stele_time_parse() refuses.
 */
STELE_API void stele_time_format(int64_t time, char text_out[STELE_TIME_SIZE]);

/**
 * Read an RFC 3339 time: years 0000 to 9999 (also once converted to UTC), `T` or `t` between date
 * and time, `Z`, `z` or any offset. More than six digits of a fraction are allowed if the rest is
 * zero. What is finer than a microsecond, or a leap second, is STELE_INVALID, as is anything else
 * that is not a time.
 *
 * @param text     Not NUL-terminated.
 * @param time_out Set on STELE_OK only.
 * @return STELE_OK, STELE_INVALID, STELE_MISUSE (a NULL).
 */
STELE_API stele_status stele_time_parse(const char *text, size_t size, int64_t *time_out);

#ifdef __cplusplus
}
#endif

#endif
