/**
 * @file archives.h
 * Stores that have payloads of other ones: opening them, and reading through them.
 */
#ifndef STELE_TOOLS_ARCHIVES_H
#define STELE_TOOLS_ARCHIVES_H

#include "tool.h"

/* clang-format off */
#define ARCHIVE_OPTION { .name = "archive", .value = "FILE", .repeats = true, \
    .what = "a store that has archived events: read them from there" }
/* clang-format on */

/** The archives that --archive named. Close them after the store's last read. */
typedef struct attached {
    stele_store **stores;
    size_t count;
} attached;

/** Open what --archive named, and attach it. @return EXIT_OK, or how the tool ends (reported). */
exit_code attach_archives(const tool *of, stele_store *store, attached *to);

void close_attached(attached *of);

/** Open the store at `path`, which must exist, as an archive to write to. */
exit_code open_archive(const char *path, stele_store **archive_out);

/** Say on standard error how many events a read passed over. */
void report_skipped(stele_skipped skipped);

/** report_status() of a read, with a hint where the events are. */
exit_code report_read_status(stele_status status);

#endif
