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
    const command *group;      /**< Of a verb of two words; else NULL. */
    const char *store_path;    /**< Of a store, or a root of shards; NULL when none was named. */
    const char *organisation;  /**< --org; NULL when it wasn't given. */
    const char *name_space;    /**< --ns; NULL when it wasn't given. */
    struct store_place *place; /**< What place.c has found. Not NULL. */
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

/** Write `word` so that a shell reads it as one word. Returned: a buffer that is overwritten by the
 * fourth call after this. */
const char *shell_word(const char *word);

#endif
