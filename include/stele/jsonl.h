/**
 * @file stele/jsonl.h
 * A log as lines of JSON: import, and the export of one record.
 *
 * A line is one object. Its fields, in the order in which they are written, without blanks outside
 * `data` and `metadata`: `stream`, `type`, `time`, `data`, `metadata`, `id`, `position`, `version`,
 * `schema_version`, `codec`. `data` is any JSON, kept as its very text; a payload that is not JSON
 * is `data_b64` instead. `time` is RFC 3339 UTC with the fewest digits that keep the microsecond:
 * occurred_at, or else recorded_at. `id` is the idempotency key of the line's append.
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

/** How an import went. */
typedef struct stele_imported {
    uint64_t lines;       /**< Read, without blank ones. */
    uint64_t appended;    /**< Stored by this import. */
    uint64_t duplicates;  /**< Stored before, so skipped. */
    uint64_t rejected;    /**< Bad, so skipped and reported. */
    uint64_t bytes;       /**< Read. */
    uint64_t reserved[4]; /**< Zero. */
} stele_imported;

/** What to import, and how. The callbacks are called on the caller's thread, may not write to the
 * store, and get `context`. */
typedef struct stele_import {
    size_t struct_size; /**< Set by the initializer. */
    const char *source; /**< Gives lines without `id` a key (source, line, content), so that a
                             second import of it adds nothing. NULL: such lines get no key. */
    uint32_t batch_size; /**< Lines in one transaction. 1000. */
    bool atomic;         /**< One transaction: any bad line, and nothing is stored. */
    bool lenient;        /**< Skip unknown fields instead of refusing the line. */
    /** Read up to `capacity` bytes; `*size_out` 0 is the end. A failure ends the import. */
    stele_status (*read)(void *context, void *buffer, size_t capacity, size_t *size_out);
    /** A bad line, counted from 1, and why. May be NULL. */
    void (*reject)(void *context, uint64_t line, const char *reason);
    /** Called after each batch; anything but 0 cancels after it. May be NULL. */
    int (*progress)(void *context, const stele_imported *so_far);
    void *context;
} stele_import;

/* clang-format off */
#define STELE_IMPORT_INIT { sizeof(stele_import), NULL, 1000, false, false, NULL, NULL, NULL, NULL }
/* clang-format on */

/** Set `import` to the defaults, as STELE_IMPORT_INIT does. For bindings. */
STELE_API void stele_import_init(stele_import *import);

/**
 * Import lines, in order, in constant memory.
 *
 * A valid line is appended to its stream, whatever is there. Its `position` and `version` are not
 * taken over; `schema_version` and `codec` are. A bad one (not JSON, no `stream` or `type`, a bad
 * time, an unknown field, a duplicate key, an `id` that came before with other content, too large,
 * ...) is reported and skipped.
 *
 * @param imported_out May be NULL. Set also on failure: what was committed until then.
 * @return STELE_OK (also with rejected lines); STELE_INVALID (atomic, and a line was bad: nothing
 *         was stored); STELE_CANCELLED (what was committed stays; import again to go on);
 *         STELE_MISUSE; otherwise what `read` or the store answered.
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

/** Write `time` (microseconds since 1970 UTC) as RFC 3339 UTC with the fewest digits. */
STELE_API void stele_time_format(int64_t time, char text_out[STELE_TIME_SIZE]);

/**
 * Read an RFC 3339 time with any offset, years 0000 to 9999; finer than a microsecond, or a leap
 * second, is STELE_INVALID, as is anything else that is not a time.
 */
STELE_API stele_status stele_time_parse(const char *text, size_t size, int64_t *time_out);

#ifdef __cplusplus
}
#endif

#endif
