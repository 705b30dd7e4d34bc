/**
 * @file shard_each.h
 * The same work on many shards: several at a time, their results kept and put in order.
 */
#ifndef STELE_TOOLS_SHARD_EACH_H
#define STELE_TOOLS_SHARD_EACH_H

#include <pthread.h>
#include <stdint.h>

#include <stele.h>

#include "tool.h"

/** The options of such a verb. */
/* clang-format off */
#define JOBS_OPTION { .name = "jobs", .value = "N", .what = "so many shards at a time; 1, at most 64" }
#define SHARD_PREFIX_OPTION { .name = "prefix", .value = "P", \
    .what = "only namespaces that start with P" }
/* clang-format on */

/** What came of a shard. */
typedef struct shard_result {
    char *organisation;
    char *name_space;
    char *path; /**< NULL when it could not be acquired. */
    stele_status status;
    char *text; /**< Why it failed, or what else is to be said; NULL: nothing. */
    stele_shard_stats stats;
    uint64_t checks;
    uint64_t failures;
    stele_backed_up made;
} shard_result;

typedef struct shard_each shard_each;

/** Work on a shard, on any thread, with `result` to be filled. @return OK, or why it failed: then
 * `result->text` is stele_error_text(), unless it is set. */
typedef stele_status (*shard_work)(shard_each *each, stele_shard *shard, shard_result *result);

struct shard_each {
    tool *of;
    const char *doing;                      /**< Such as "verifying". */
    exit_code (*prepare)(shard_each *each); /**< Before the first; NULL: nothing. */
    shard_work work;
    stele_shards *shards;
    stele_work step; /**< How `work` goes on in one shard. */
    uint32_t jobs;
    stele_shards_read read;
    shard_result *results; /**< By name, once all is done. */
    size_t count;
    size_t capacity;
    size_t failed;  /**< Of these. */
    size_t damaged; /**< Of these. */
    pthread_mutex_t lock;
};

/**
 * Read the options, open the root, and work on each shard that --org, --ns and --prefix name.
 *
 * @return EXIT_OK when there are results, which may be failures; EXIT_INTERRUPTED when they aren't
 *         all; else how the tool ends. What is wrong has been reported, but for single shards.
 */
exit_code run_each(shard_each *each);

/** How the tool ends, after the results were printed, with what is wrong reported. */
exit_code judge_each(const shard_each *each, exit_code code);

void dispose_each(shard_each *each);

#endif
