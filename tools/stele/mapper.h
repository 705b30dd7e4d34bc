/**
 * @file mapper.h
 * A command that says what becomes of each event: it is asked a line, and answers a line.
 */
#ifndef STELE_TOOLS_MAPPER_H
#define STELE_TOOLS_MAPPER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "buffer.h"
#include "report.h"

/** A command that runs. Starts as `{ 0 }`, which is none. */
typedef struct mapper {
    pid_t child;       /**< 0: it has ended, or never ran. */
    int to;            /**< Its standard input; -1: closed. */
    int from;          /**< Its standard output. */
    buffer answer;     /**< What has come from it and wasn't handed out yet. */
    size_t taken;      /**< Of these bytes, those of the last answer. */
    char failure[256]; /**< Why it can't go on; "" when it can. */
} mapper;

/** Run `command` by /bin/sh. @return EXIT_OK, or how the tool ends (reported). */
exit_code mapper_open(mapper *of, const char *command);

/**
 * Send a line, with its newline, and wait for the answer.
 *
 * @param answer_out Without its newline; borrowed until the next call.
 * @return False when there is none: `failure` says why, or Ctrl-C came.
 */
bool mapper_ask(mapper *of, const char *line, size_t size, const char **answer_out,
                size_t *size_out);

/**
 * Tell it that there is nothing more, and wait until it has ended.
 *
 * @return False when something came that nobody had asked for: `failure` says so.
 */
bool mapper_finish(mapper *of);

/** End it, wherever it is. */
void mapper_close(mapper *of);

#endif
