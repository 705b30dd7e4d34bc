/**
 * @file longwork.h
 * What verbs that work for long share: how fast, how far, and Ctrl-C.
 */
#ifndef STELE_TOOLS_LONGWORK_H
#define STELE_TOOLS_LONGWORK_H

#include <stdbool.h>

#include <stele.h>

#include "tool.h"

/** The options of such a verb in the table. */
/* clang-format off */
#define RATE_OPTION { .name = "rate", .value = "BYTES", \
    .what = "at most so many bytes a second, such as 800k, 20M or 1G; no limit" }
/* clang-format on */

/**
 * Set up `work` as --rate says, with progress on a terminal, and with Ctrl-C to end it.
 *
 * @return False when --rate is no such number, which has been reported.
 */
bool take_work(const tool *of, stele_work *work);

/** Take the progress away, and say that Ctrl-C has ended `doing`. @return EXIT_INTERRUPTED. */
exit_code report_interrupted_work(const char *doing);

/** For `stele_work.progress`: shows how far it is, and is non-zero after Ctrl-C. */
int show_work(void *context, const stele_progress *progress);

#endif
