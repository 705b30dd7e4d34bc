/* When a feed believes that a file holds nothing new: see feed_look.c. */
#ifndef STELE_SHARD_FEED_RULES_H
#define STELE_SHARD_FEED_RULES_H

#include <stdbool.h>
#include <stdint.h>

/* Tests take rules away, and must then lose events. */
typedef struct stele__feed_rules {
    int64_t tick_us; /* longer than any file system's clock takes from tick to tick */
    bool settles;    /* commits in progress are waited for */
} stele__feed_rules;

extern stele__feed_rules stele__feed_rule;

#endif
