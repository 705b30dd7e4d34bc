/**
 * @file report.h
 * What goes to standard error: what went wrong, what to do about it, and how far long work is.
 */
#ifndef STELE_TOOLS_REPORT_H
#define STELE_TOOLS_REPORT_H

#include <stele.h>

/** How the tool ends. Scripts rely on the numbers. */
typedef enum exit_code {
    EXIT_OK = 0,
    EXIT_OTHER = 1,        /**< The disk, memory, anything without a number of its own. */
    EXIT_USAGE = 2,        /**< The arguments are wrong. */
    EXIT_NOT_FOUND = 3,    /**< No such store, file or stream. */
    EXIT_CONFLICT = 4,     /**< The stream, the key or the program's rules say no. */
    EXIT_BUSY = 5,         /**< Another process held the store for too long. */
    EXIT_DAMAGED = 6,      /**< The file is damaged, or is no store. */
    EXIT_REFUSED = 7,      /**< Archived, tombstoned, unsupported, read-only. */
    EXIT_PARTIAL = 8,      /**< Some lines were bad. */
    EXIT_INTERRUPTED = 130 /**< By Ctrl-C. */
} exit_code;

/** One line `error: ...`. Bytes that could harm a terminal are escaped. */
void report_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** One line `hint: ...`. */
void report_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** One line as it is. */
void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Say why the library failed, with a hint where there is one. @return The code for `status`. */
exit_code report_status(stele_status status);
/** report_status() without its hint, for a verb that has one of its own. */
exit_code report_status_alone(stele_status status);

/** The code for `status`, without a word. */
exit_code exit_code_of(stele_status status);

/** Show how far long work is, on a terminal, in place of what was shown before. At most five times
 * a second. */
void report_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Take away what report_progress() shows. */
void report_progress_end(void);

#endif
