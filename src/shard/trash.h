/*
 * The trash: shards that were dropped, each in a folder of its own until its grace is over.
 *
 *     <root>/.trash/.lock                       held by who changes what is in there
 *     <root>/.trash/<time>-<8 hex digits>/      the time of dropping in microseconds, 20 digits
 *         note        whose it was
 *         shard.db    the store; comes last, by one renaming, and goes first
 *         shard.db-anchor
 *         shard.db-wal, shard.db-journal      of one that is damaged, and before it
 *
 * An item without a store is none: it was cut short, and goes at maintenance.
 */
#ifndef STELE_SHARD_TRASH_H
#define STELE_SHARD_TRASH_H

#include "shard/shard.h"

#define STELE__TRASH_ID_SIZE 29

/* Something in the trash. */
typedef struct stele__trash_item {
    char id[STELE__TRASH_ID_SIZE + 1];
    char organisation[STELE_SHARD_NAME_MAX + 1];
    char name_space[STELE_SHARD_NAME_MAX + 1];
    char path[STELE__SHARD_PATH_MAX]; /* of the store */
    int64_t dropped_at;
    int64_t bytes;
    bool moved;
} stele__trash_item;

/*
 * Take the store out of `place` and into the trash: durably, and at each moment it is in one of
 * both. With the exclusive lock of the organisation's folder, and nobody having the file open.
 * `moved`: it is somewhere else now. `damaged`: with its WAL, which may not be moved into it, and
 * is beside it at each moment, where a file can have two names.
 */
stele_status stele__trash_put(stele_shards *shards, const char *organisation,
                              const char *name_space, const stele__shard_place *place, bool moved,
                              bool damaged, stele__patience *patience);

/* The lock of the trash, after that of an organisation's folder. NOT_FOUND: there is no trash. */
stele_status stele__trash_lock(stele_shards *shards, stele__patience *patience,
                               stele__folder_lock *lock_out);

/* The item `id`, or with NULL the one that was dropped last and hasn't moved. Of these names. OK;
 * NOT_FOUND. */
stele_status stele__trash_find(stele_shards *shards, const char *organisation,
                               const char *name_space, const char *id, stele__trash_item *item_out);
/* All of them, by time. Freed by the caller. */
stele_status stele__trash_scan(stele_shards *shards, stele__trash_item **items_out,
                               size_t *count_out);
/* Put the store of an item into its place, which is free, in one step. With both locks. `damaged`:
 * as it was put in. */
stele_status stele__trash_take(const stele__trash_item *item, const stele__shard_place *place,
                               bool damaged);
/* Remove one, or what is left of it. With the lock. */
stele_status stele__trash_remove(const stele__trash_item *item);

/* --- trash_tidy.c --- */

/* What may hold commits that the file doesn't. */
#define STELE__COMMITS_BESIDE                                                                      \
    {                                                                                              \
        "-wal", "-journal"                                                                         \
    }

/* With the exclusive lock of its folder, and no store in `place`: commits that are beside a store
 * in the trash go from here. A drop of a damaged one that was cut leaves them at both places. */
stele_status stele__trash_tidy_place(stele_shards *shards, const stele__shard_place *place);
/* The same without a lock, where something is in the way. */
stele_status stele__trash_tidy(stele_shards *shards, const char *organisation,
                               const char *name_space, stele__patience *patience);
/* Of all that is in the trash, before some of that goes: then nobody knows whose it was. */
stele_status stele__trash_tidy_all(stele_shards *shards, stele__patience *patience);

#endif
