/**
 * @file receiver.h
 * A command that is given lines on its standard input, and answers by how it ends. What it prints
 * goes where the tool's own output goes.
 */
#ifndef STELE_TOOLS_RECEIVER_H
#define STELE_TOOLS_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "report.h"
#include "shell.h"

/** A command at work. Start from RECEIVER_NONE. */
typedef struct receiver {
    int to;                   /**< Its standard input; -1: closed. */
    pid_t child;              /**< 0: none runs. */
    int code;                 /**< How the last one ended: see wait_for_shell(). */
    char how[SHELL_END_SIZE]; /**< The same in words. */
} receiver;

/* clang-format off */
#define RECEIVER_NONE { .to = -1 }
/* clang-format on */

/** Start `command`. @return EXIT_OK, or how the tool ends (reported). */
exit_code receiver_open(receiver *of, const char *command);

/**
 * Give what it takes within a tenth of a second.
 *
 * @param taken_out How many bytes it took.
 * @return False when it doesn't read any more.
 */
bool receiver_give(receiver *of, const char *bytes, size_t size, size_t *taken_out);

/** Whether it still reads. */
bool receiver_reads(const receiver *of);

/** Nothing more comes. Whether it has ended, for which it has a tenth of a second: then `code` and
 * `how` are set. */
bool receiver_has_ended(receiver *of);

/** Let it end: its input is closed, and its end is waited for, at most three seconds, or until
 * Ctrl-C. That it still runs then is said on standard error, and it is left alone. Where none runs
 * nothing happens. */
void receiver_close(receiver *of);

#endif
