/**
 * @file root.h
 * What the verbs of `stele shards` share: the root that they work on, and the shard they name.
 */
#ifndef STELE_TOOLS_ROOT_H
#define STELE_TOOLS_ROOT_H

#include <stdbool.h>
#include <stdint.h>

#include <stele.h>

#include "tool.h"

/** The options that several of them have. */
/* clang-format off */
#define GRACE_OPTION { .name = "grace", .value = "AGE", \
    .what = "how long the trash keeps what was dropped; 7d" }
/* clang-format on */

/** How the root is opened. */
typedef enum root_use {
    ROOT_LOOK,  /**< Its stores read-only. */
    ROOT_WRITE, /**< It must be there. */
    ROOT_MAKE   /**< It is made when it is missing. */
} root_use;

/**
 * Open the root that -s or STELE_STORE names, until the verb has ended.
 *
 * @param open_max How many stores may be open at a time.
 * @return EXIT_OK, or how the tool ends; what is wrong has been reported.
 */
exit_code open_root(const tool *of, root_use use, uint32_t open_max, stele_shards **shards_out);

/** --org, or the empty organisation. */
const char *named_organisation(const tool *of);

/** Whether --ns was given, which the verb needs; else that was reported. */
bool need_shard(const tool *of);

/** Say why the library failed at the shard that --org and --ns name. @return The code for it. */
exit_code report_shard(const tool *of, stele_shards *shards, stele_status status);

/** report_shard() of a shard that may be another one. */
exit_code report_named_shard(const tool *of, stele_shards *shards, const char *organisation,
                             const char *name_space, stele_status status);

#endif
