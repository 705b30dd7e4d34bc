/**
 * @file doctor.h
 * What `stele doctor` looks at, a row for each thing: how it is, and what to do about it.
 */
#ifndef STELE_TOOLS_DOCTOR_H
#define STELE_TOOLS_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "tool.h"

/** A diagnosis under way. */
typedef struct diagnosis {
    tool *of;
    const char *path; /**< Of the store. */
    size_t bad;       /**< Rows that are. */
} diagnosis;

/** A row that is as it should be. */
void find_ok(diagnosis *to, const char *check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** A row that may become trouble; `fix` says what to do. */
void find_warning(diagnosis *to, const char *check, const char *fix, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** A row that is trouble. */
void find_bad(diagnosis *to, const char *check, const char *fix, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** A row for what was not looked at; `fix` says how to. */
void find_skipped(diagnosis *to, const char *check, const char *fix, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** Who may read and write the file and its folder. */
void look_at_permissions(diagnosis *to);

/** Room on its disk. */
void look_at_disk(diagnosis *to);

/** Subscriptions that are stopped, parked events, or fall behind. */
void look_at_subscriptions(diagnosis *to, stele_store *store);

/** Processes that have it open for writing and aren't of this library. */
void look_at_processes(diagnosis *to);

#endif
