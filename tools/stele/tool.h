/**
 * @file tool.h
 * One run of the tool: what the command line asked for. Every verb is `exit_code run_...(tool *)`.
 */
#ifndef STELE_TOOLS_TOOL_H
#define STELE_TOOLS_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele.h>

#include "commands.h"
#include "output.h"
#include "report.h"

/** What `read` calls all streams at once. */
#define ALL_STREAMS "@all"

/** The largest event: unless asked, and the most that can be asked for. */
#define EVENT_SIZE_DEFAULT ((int64_t)1024 * 1024)
#define EVENT_SIZE_MOST    ((int64_t)64 * 1024 * 1024)

/** An option as it was given. */
typedef struct given_option {
    const option_spec *spec;
    const char *value; /**< NULL for a switch. */
} given_option;

struct tool {
    const command *verb;
    const command *group;   /**< Of a verb of two words; else NULL. */
    const char *store_path; /**< NULL when none was named. */
    bool immutable;
    bool format_given;
    output out;
    const char **operands;
    size_t operand_count;
    given_option *given;
    size_t given_count;
    size_t given_capacity;
    size_t operand_capacity;
};

/**
 * Open the store as the verb's impact asks: to look only, or to write. It must exist.
 *
 * @param event_size_max 0: the library's own limit.
 * @return EXIT_OK, or how the tool ends; what is wrong has been reported.
 */
exit_code open_store(const tool *of, uint32_t event_size_max, stele_store **store_out);

/** open_store() of a verb whose options say what it does: to look only, or to write. */
exit_code open_store_as(const tool *of, bool look_only, uint32_t event_size_max,
                        stele_store **store_out);

/** Say why the store at `path` could not be opened. */
void report_unopened(const char *path, stele_status status);

/** The path of the store, or NULL: then it was reported that there is none. */
const char *store_path(const tool *of);

/** Write `word` so that a shell reads it as one word. Returned: a buffer that is overwritten by the
 * fourth call after this. */
const char *shell_word(const char *word);

#endif
