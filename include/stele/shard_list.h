/**
 * @file stele/shard_list.h
 * All shards under a root: listing them, and doing something with each.
 *
 * A list is made of the folders' names, read when it is opened; no store is opened for it. It is in
 * the order of the names' bytes: by organisation, then by namespace.
 */
#ifndef STELE_SHARD_LIST_H
#define STELE_SHARD_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/shards.h>
#include <stele/status.h>
#include <stele/work.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Which shards. */
typedef struct stele_shards_read {
    size_t struct_size;       /**< Set by the initializer. */
    const char *organisation; /**< Only its shards; NULL: those of all. */
    const char *prefix;       /**< Only namespaces (of organisations: those) that start so. NULL. */
    /** Only what follows this one, which need not be there: for the next page. With
     * `after_organisation` NULL and `organisation` set, that one is meant; with `after_namespace`
     * NULL, behind all of that organisation. */
    const char *after_organisation;
    const char *after_namespace;
    uint64_t limit; /**< Most rows; 0: no limit. */
} stele_shards_read;

/* clang-format off */
#define STELE_SHARDS_READ_INIT { sizeof(stele_shards_read), NULL, NULL, NULL, NULL, 0 }
/* clang-format on */

/** Set `read` to the defaults, as STELE_SHARDS_READ_INIT does. For bindings. */
STELE_API void stele_shards_read_init(stele_shards_read *read);

/** A shard, or with stele_shards_organisations() an organisation. Only lent by pointer. */
typedef struct stele_shard_entry {
    const char *organisation;
    const char *name_space; /**< "" of an organisation. */
    const char *path;       /**< Of the file, or of the folder. */
    bool open;              /**< In this process, just now. */
    bool moved;             /**< It is somewhere else: what is here only says where. */
    bool moving;            /**< A move from here is under way, or was cut short: until somebody
                                 goes on with it or takes it back, its writers may have to wait. */
} stele_shard_entry;

/** An open list. Used by one thread at a time. It may outlive the stele_shards: then CLOSED. */
typedef struct stele_shard_list stele_shard_list;

/**
 * List shards. An organisation that isn't there has none, and an empty file is none.
 *
 * @param read NULL lists all. Copied.
 * @return STELE_OK; STELE_MISUSE; STELE_TOO_LARGE, STELE_INVALID (a name); STELE_IO;
 *         STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_shards_list(stele_shards *shards, const stele_shards_read *read,
                                         stele_shard_list **list_out);

/** List organisations that have a folder, the empty one first. `prefix`, `after_organisation` and
 * `limit` count. @return As stele_shards_list(). */
STELE_API stele_status stele_shards_organisations(stele_shards *shards,
                                                  const stele_shards_read *read,
                                                  stele_shard_list **list_out);

/** The next one, borrowed until the next call. @return STELE_OK, STELE_DONE, STELE_MISUSE,
 * STELE_CLOSED. */
STELE_API stele_status stele_shard_list_next(stele_shard_list *list,
                                             const stele_shard_entry **entry_out);

/** Close `list`. NULL is allowed; never fails. */
STELE_API void stele_shard_list_close(stele_shard_list *list);

/* --- Something with each --- */

/** Called for a shard, with a handle that is borrowed for the call. May call anything but
 * stele_shards_close(). Other than STELE_OK is a failure of this shard, with stele_error_text() as
 * its reason. */
typedef stele_status (*stele_shard_function)(void *context, stele_shard *shard);

/** A shard that failed. Only lent by pointer, for the call that tells it. */
typedef struct stele_shard_failure {
    const char *organisation;
    const char *name_space;
    stele_status status;
    const char *error;
} stele_shard_failure;

/** What to run on every shard. */
typedef struct stele_shards_run {
    size_t struct_size;            /**< Set by the initializer. */
    const stele_shards_read *read; /**< Which; NULL: all. */
    stele_shard_function function; /**< On `parallel` threads at a time. */
    void *context;
    /** Told of each failure, on the calling thread, in the order of names, when all is done. NULL:
     * nobody is. */
    void (*failed)(void *context, const stele_shard_failure *failure);
    uint32_t parallel;      /**< Most shards at once; 1: on the calling thread, in order. 1; at most
                                 64. Those beyond open_max wait for room. */
    bool stop_at_failure;   /**< Begin no more after the first failure. */
    const stele_work *work; /**< Its `progress` is asked after each shard, on the calling thread,
                                 with the number of them; its `wait` is for acquiring. NULL. */
} stele_shards_run;

/* clang-format off */
#define STELE_SHARDS_RUN_INIT { sizeof(stele_shards_run), NULL, NULL, NULL, NULL, 1, false, NULL }
/* clang-format on */

/** Set `run` to the defaults, as STELE_SHARDS_RUN_INIT does. For bindings. */
STELE_API void stele_shards_run_init(stele_shards_run *run);

/** What stele_shards_run_each() did. */
typedef struct stele_shards_ran {
    uint64_t shards; /**< That there are. */
    uint64_t succeeded;
    uint64_t failed;
    uint64_t skipped;     /**< Moved elsewhere, dropped meanwhile, or not begun. */
    uint64_t reserved[4]; /**< Zero. */
} stele_shards_ran;

/**
 * Call a function for every shard.
 *
 * @param ran_out May be NULL. Set also when it was cut short.
 * @return STELE_OK when all succeeded; the status of the first failure in the order of names;
 *         STELE_CANCELLED (by `progress`); STELE_MISUSE; STELE_IO; STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_shards_run_each(stele_shards *shards, const stele_shards_run *run,
                                             stele_shards_ran *ran_out);

/** Figures of a shard, or of many. */
typedef struct stele_shard_stats {
    uint64_t shards;
    int64_t events;  /**< Positions: erased and archived ones, too. */
    int64_t streams; /**< That have a name. */
    int64_t entries; /**< Of state, keyed data included. */
    int64_t file_bytes;
    int64_t wal_bytes;
    int64_t last_recorded_at; /**< Of the newest event; 0: none. */
    int64_t reserved[4];      /**< Zero. */
} stele_shard_stats;

/** Figures of one shard. @return STELE_OK, STELE_MISUSE, STELE_BUSY, STELE_IO, STELE_CORRUPT,
 * STELE_NO_MEMORY, STELE_CLOSED. */
STELE_API stele_status stele_shard_statistics(stele_shard *shard, stele_shard_stats *stats_out);

/** Figures of all shards that `run->read` names, in sum: `run->function` must be NULL, the rest
 * counts. @return As stele_shards_run_each(). */
STELE_API stele_status stele_shards_statistics(stele_shards *shards, const stele_shards_run *run,
                                               stele_shard_stats *total_out);

#ifdef __cplusplus
}
#endif

#endif
