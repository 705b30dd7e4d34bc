/**
 * @file place.h
 * The store that the command line names: a file, or a shard under a root.
 */
#ifndef STELE_TOOLS_PLACE_H
#define STELE_TOOLS_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include <stele.h>

#include "tool.h"

#define PLACE_PATH_SIZE 512

/** What was found, and what is open of it. All zero: nothing. */
typedef struct store_place {
    char shard_path[PLACE_PATH_SIZE]; /**< "" of a store that isn't a shard. */
    stele_shards *shards;
    stele_shard *shard; /**< Whose store is open. */
    bool moved;         /**< It was seen to have moved. */
} store_place;

/** Whether the command line names a shard. */
bool names_shard(const tool *of);

/** What -s or STELE_STORE says, or NULL: then it was reported that nothing does. */
const char *store_named(const tool *of);

/**
 * Find out where the store's file is, or would be, and that its name is one. It isn't opened.
 *
 * @param creates  Its root may be missing, and is made.
 * @param path_out Receives its path, borrowed until the next call.
 * @return EXIT_OK, or how the tool ends; what is wrong has been reported.
 */
exit_code find_store(const tool *of, bool creates, const char **path_out);

/**
 * Open it as `options` say. find_store() has found it.
 *
 * @param creates Make it when it is missing: then `options->must_exist` is false.
 * @return As stele_store_open(), or stele_shards_acquire() of a shard.
 */
stele_status open_found(const tool *of, const stele_options *options, stele_store **store_out);

/** Say why open_found() has failed, and what to do. @return The code for `status`. */
exit_code report_unfound(const tool *of, stele_status status);

/**
 * Open the store as the verb's impact asks: to look only, or to write. It must exist, unless it is
 * a shard, which a verb that `creates` makes.
 *
 * @param event_size_max 0: the library's own limit.
 * @return EXIT_OK, or how the tool ends; what is wrong has been reported.
 */
exit_code open_store(const tool *of, uint32_t event_size_max, stele_store **store_out);

/** open_store() of a verb whose options say what it does: to look only, or to write. */
exit_code open_store_as(const tool *of, bool look_only, uint32_t event_size_max,
                        stele_store **store_out);

/** Close what open_store() or open_found() has opened. NULL is allowed. */
void close_store(const tool *of, stele_store *store);

/** Say why the store at `path`, which the command line names as a file, could not be opened. */
void report_unopened(const char *path, stele_status status);

/** The shard's names as -s, --org and --ns give them, for a hint. Returned: a buffer that the next
 * call overwrites. */
const char *shard_words(const char *root, const char *organisation, const char *name_space);

/** How the store was named: as shard_words(), or -s and a file. */
const char *store_words(const tool *of);

/** For who waits for events, when none have come: a shard that has moved gets none any more, which
 * is reported when that was seen before, so that all were read. @return EXIT_OK to go on. */
exit_code see_move(const tool *of);

/** Say where the shard has gone that answered STELE_MOVED; `shards` is its root, maybe NULL. */
void hint_at_new_place(stele_shards *shards, const char *organisation, const char *name_space);

/** Say what to do about a shard that answered STELE_FENCED. */
void hint_at_drop(const char *root, const char *organisation, const char *name_space);

#endif
