/**
 * @file confirm.h
 * Asking before something is changed that can't easily be undone.
 */
#ifndef STELE_TOOLS_CONFIRM_H
#define STELE_TOOLS_CONFIRM_H

#include "tool.h"

/* clang-format off */
#define YES_OPTION { .name = "yes", .letter = 'y', .what = "don't ask; a script must say so" }
#define DRY_RUN_OPTION { .name = "dry-run", .what = "count what would be done, and change nothing" }
/* clang-format on */

/** Whether confirm() will ask: not after --yes. */
bool will_ask(const tool *of);

/**
 * Ask the question, to which " [y/N] " is added, on the terminal; in a script --yes must have been
 * given.
 *
 * @return EXIT_OK for yes, or how the tool ends; what is wrong has been reported.
 */
exit_code confirm(const tool *of, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
