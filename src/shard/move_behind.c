/* What a move leaves behind: an old file that stays fenced until nobody has it open. */
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/platform.h"
#include "shard/move.h"
#include "shard/trash.h"

/* Who goes on with the move finds out by it where that stands. */
static stele_status check_move_is_over(const stele__shard_place *place)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__file_facts facts = { 0 };
    stele__shard_place_beside(place, ".moving", path);
    stele_status status = stele__look_at_file(path, &facts);
    if (status == STELE_OK && facts.exists)
        status = stele__fail(STELE_BUSY, "the move that '%s' is about isn't over", path);
    return status;
}

/* A store that isn't fenced is none that was moved: what has a signpost beside it by mistake stays.
 */
static stele_status check_behind(const stele_shards *shards, const stele__shard_place *place)
{
    stele_store *store = NULL;
    stele__fence fence = { 0 };
    stele__file_facts facts = { 0 };
    char wal[STELE__SHARD_PATH_MAX];
    stele_options options = shards->store_options;
    options.must_exist = true;
    options.committer = false;
    options.maintenance = false;
    options.no_resume = true;
    stele_status status = stele__store_open(place->path, &options, &store);
    if (status == STELE_OK)
        status = stele__fence_read(store, &fence);
    stele_store_close(store); /* keeps the error text */
    if (status == STELE_OK && (!fence.found || fence.kind != STELE__FENCE_MOVE))
        return stele__fail(STELE_CORRUPT,
                           "'%s' takes appends, although beside it is written that it has moved",
                           place->path);
    stele__shard_place_beside(place, ".db-wal", wal);
    if (status == STELE_OK)
        status = stele__look_at_file(wal, &facts);
    if (status == STELE_OK && facts.exists) /* the last one to close it takes that away */
        status = stele__fail(STELE_BUSY, "somebody has '%s' open", place->path);
    return status;
}

static stele_status take_excluded(stele_shards *shards, const char *organisation,
                                  const char *name_space, stele__patience *patience)
{
    stele__shard_place place;
    stele__folder_lock lock;
    stele_status status = stele__shard_place_find(shards->root, organisation, name_space, &place);
    if (status == STELE_OK && place.folder_exists)
        status = stele__folder_lock_take(place.folder, true, patience, &lock);
    if (status != STELE_OK || !place.folder_exists)
        return status;
    status = stele__shard_place_find(shards->root, organisation, name_space, &place);
    if (status == STELE_OK && place.exists && place.moved && !place.arriving) {
        status = check_move_is_over(&place);
        if (status == STELE_OK)
            status = check_behind(shards, &place);
        if (status == STELE_OK)
            status =
                stele__trash_put(shards, organisation, name_space, &place, true, false, patience);
    }
    stele__folder_lock_drop(&lock);
    return status;
}

stele_status stele__left_behind_take(stele_shards *shards, const char *organisation,
                                     const char *name_space)
{
    stele__patience patience;
    stele_status status = stele__patience_begin(&patience, NULL, 0, &shards->closing);
    if (status == STELE_OK)
        status = stele__shard_exclude(shards, organisation, name_space, &patience);
    if (status != STELE_OK)
        return status;
    status = take_excluded(shards, organisation, name_space, &patience);
    stele__shard_readmit(shards, organisation, name_space);
    return status;
}
