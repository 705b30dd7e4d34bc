/**
 * @file commands.h
 * The table of all verbs. Dispatch, help, the manual's synopsis and completions read it.
 */
#ifndef STELE_TOOLS_COMMANDS_H
#define STELE_TOOLS_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "report.h"

#define COMMAND_FORMS_MAX    2
#define COMMAND_OPTIONS_MAX  14
#define COMMAND_EXAMPLES_MAX 4

typedef struct tool tool;

/** What running a verb can do to a store. */
typedef enum impact {
    IMPACT_NONE, /**< Opens no store. */
    IMPACT_LOOK, /**< Opens it read-only. */
    IMPACT_WRITE /**< Changes it. */
} impact;

/** An option. */
typedef struct option_spec {
    const char *name;    /**< Long, without dashes. */
    const char *value;   /**< What help calls its value; NULL for a switch. */
    const char *choices; /**< The values it takes, with blanks between; NULL: any. */
    const char *what;
    unsigned forms; /**< Of which forms of the verb, as bits; 0: of all. */
    unsigned group; /**< Of a verb's options with the same number one may be given; 0: none. */
    char letter;    /**< 0: none. */
    bool open;      /**< It takes other values than `choices` too. */
    bool repeats;
    bool needed;
    bool hidden;
} option_spec;

/** A verb. */
typedef struct command {
    const char *name;                     /**< Of one word, or of two: see subverb.h. */
    const char *forms[COMMAND_FORMS_MAX]; /**< Its operands, in each way to call it. */
    size_t operand_min;
    size_t operand_max;
    impact effect;
    bool creates;        /**< Of a shard that is missing: makes it. */
    const char *beyond;  /**< What else it may write, after its effect; NULL: nothing. */
    const char *what;    /**< One line, after the name. */
    const char *details; /**< For its own help; lines end with a newline. */
    option_spec options[COMMAND_OPTIONS_MAX];
    const char *examples[COMMAND_EXAMPLES_MAX];
    exit_code (*run)(tool *of);
    const struct command
        *words; /**< Of a group, its verbs; then it only has a name, `what` and `details`. */
} command;

/** All verbs, in the order of help. The last of a table has no name; its `words` are the table that
 *  goes on, or NULL. */
extern const command commands[];
extern const command upkeep_commands[];

/** The one after `verb`, the first for NULL; NULL after the last. */
const command *next_command(const command *verb);

/** Those of the groups, each with its verbs. */
extern const command checkpoint_words[];
extern const command park_words[];
extern const command shards_words[];
extern const command snapshot_words[];
extern const command state_words[];

/** What goes before or after any verb; the last has no name. */
extern const option_spec common_options[];

/** The verb called `name`, or NULL. */
const command *find_command(const char *name);

exit_code run_init(tool *of);
exit_code run_info(tool *of);
exit_code run_append(tool *of);
exit_code run_read(tool *of);
exit_code run_tail(tool *of);
exit_code run_streams(tool *of);
exit_code run_types(tool *of);
exit_code run_import(tool *of);
exit_code run_export(tool *of);
exit_code run_replay(tool *of);
exit_code run_copy(tool *of);
exit_code run_retain(tool *of);
exit_code run_archive(tool *of);
exit_code run_restore(tool *of);
exit_code run_tombstone(tool *of);
exit_code run_delete(tool *of);
exit_code run_checkpoint_list(tool *of);
exit_code run_checkpoint_get(tool *of);
exit_code run_checkpoint_set(tool *of);
exit_code run_checkpoint_reset(tool *of);
exit_code run_subs(tool *of);
exit_code run_sub(tool *of);
exit_code run_park_list(tool *of);
exit_code run_park_replay(tool *of);
exit_code run_park_drop(tool *of);
exit_code run_snapshot_list(tool *of);
exit_code run_snapshot_invalidate(tool *of);
exit_code run_state_get(tool *of);
exit_code run_state_put(tool *of);
exit_code run_state_list(tool *of);
exit_code run_state_delete(tool *of);
exit_code run_scrub(tool *of);
exit_code run_verify(tool *of);
exit_code run_backup(tool *of);
exit_code run_recover(tool *of);
exit_code run_shards_list(tool *of);
exit_code run_shards_path(tool *of);
exit_code run_shards_stats(tool *of);
exit_code run_shards_verify(tool *of);
exit_code run_shards_backup(tool *of);
exit_code run_shards_recover(tool *of);
exit_code run_shards_move(tool *of);
exit_code run_shards_rename(tool *of);
exit_code run_shards_cancel(tool *of);
exit_code run_shards_resume(tool *of);
exit_code run_shards_forget(tool *of);
exit_code run_shards_drop(tool *of);
exit_code run_shards_undrop(tool *of);
exit_code run_shards_trash(tool *of);
exit_code run_shards_maintain(tool *of);
exit_code run_doctor(tool *of);
exit_code run_lint(tool *of);
exit_code run_schema(tool *of);
exit_code run_version(tool *of);
exit_code run_help(tool *of);
exit_code run_completion(tool *of);

#endif
