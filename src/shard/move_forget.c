/* A name that a shard has moved away from may be used again. */
#include "base/failure.h"
#include "base/platform.h"
#include "shard/move.h"

/* With the lock of the folder, and movers shut out. */
static stele_status remove_signpost(stele__mover *mover)
{
    char path[STELE__SHARD_PATH_MAX];
    stele_status status = stele__shard_place_find(mover->shards->root, mover->organisation,
                                                  mover->name_space, &mover->from);
    if (status == STELE_OK && mover->from.arriving)
        return stele__fail(STELE_BUSY, "'%s' is just being moved here", mover->from.path);
    if (status == STELE_OK && mover->from.exists)
        return stele__fail(STELE_BUSY, "somebody has the old '%s' open", mover->from.path);
    stele__shard_place_beside(&mover->from, ".moved", path);
    if (status == STELE_OK)
        status = stele__remove_file(path);
    return status == STELE_OK ? stele__sync_folder(path) : status;
}

static stele_status forget_where(stele__mover *mover)
{
    stele__folder_lock lock;
    if (!mover->from.moved)
        return stele__fail(STELE_NOT_FOUND, "'%s' has not moved", mover->from.path);
    if (mover->recorded)
        return stele__fail(STELE_CONFLICT, "the move of '%s' is not done: resume it first",
                           mover->from.path);
    stele_status status =
        stele__left_behind_take(mover->shards, mover->organisation, mover->name_space);
    if (status == STELE_OK)
        status = stele__mover_lock(mover, &mover->from, &lock);
    if (status != STELE_OK)
        return status;
    status = remove_signpost(mover);
    stele__folder_lock_drop(&lock);
    return status;
}

stele_status stele_shards_forget_moved(stele_shards *shards, const char *organisation,
                                       const char *name_space)
{
    stele__mover mover;
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    status = stele__mover_begin(&mover, shards, organisation, name_space, NULL);
    if (status == STELE_OK) {
        status = forget_where(&mover);
        stele__mover_end(&mover);
    }
    stele__shards_leave(shards);
    return status;
}
