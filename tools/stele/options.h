/**
 * @file options.h
 * From argv to a tool: reading the command line by the table of verbs, and asking for options.
 *
 * What is asked for by name must be in the verb's table: that is asserted.
 */
#ifndef STELE_TOOLS_OPTIONS_H
#define STELE_TOOLS_OPTIONS_H

#include "tool.h"

/** Whether the tool goes on after the command line was read. */
typedef enum parse_result {
    PARSE_RUN,     /**< Run `of->verb`. */
    PARSE_HELP,    /**< Explain `of->verb`, else `of->group`, else everything. */
    PARSE_VERSION, /**< Print the version. */
    PARSE_WRONG    /**< What is wrong has been reported. */
} parse_result;

/** Read the command line into `of`, which stays in use of `argv`. */
parse_result parse_command_line(tool *of, int argc, char **argv);

/** The value of option `name`, the last one given; NULL when it wasn't. */
const char *option_text(const tool *of, const char *name);

/** Whether the option was given. */
bool option_given(const tool *of, const char *name);

/**
 * Read the number that option `name` was given; `*value_out` stays as it is when it wasn't.
 *
 * @return False when it is no number from `least` to `most`, which has been reported.
 */
bool option_number(const tool *of, const char *name, int64_t least, int64_t most,
                   int64_t *value_out);

/**
 * Read the length of time that option `name` was given, such as 30d, in microseconds; `*age_us_out`
 * stays as it is when it wasn't.
 *
 * @return False when it is none, which has been reported.
 */
bool option_age(const tool *of, const char *name, int64_t *age_us_out);

/** How often option `name` was given, and in `values_out`, which has room for all, its values. */
size_t option_list(const tool *of, const char *name, const char **values_out);

/** Report that `name` is none of the words in `choices` (blanks between), and what was meant. */
void report_unknown(const char *kind, const char *name, const char *choices);

/** Report that there is no verb `name`. */
void report_unknown_verb(const char *name);

#endif
