/**
 * @file input.h
 * What import reads: a file, a compressed file through zcat, or standard input.
 */
#ifndef STELE_TOOLS_INPUT_H
#define STELE_TOOLS_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <stele.h>

#include "report.h"

/** An open input. */
typedef struct input {
    const char *name; /**< As it was called on the command line. */
    int descriptor;
    bool regular;      /**< A file whose lines stay where they are. */
    pid_t child;       /**< The zcat that reads it; 0: none. */
    char failure[256]; /**< Why reading failed; "" when it didn't. */
} input;

/** Open the file `name`; "-" is standard input. @return EXIT_OK, or how the tool ends (reported).
 */
exit_code input_open(input *of, const char *name);

/** Read, as stele_import.read asks for. `context` is the input. */
stele_status input_read(void *context, void *bytes, size_t capacity, size_t *size_out);

/** Close it, wherever it is. */
void input_close(input *of);

#endif
