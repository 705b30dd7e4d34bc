/* Opening the store of a shard, and creating it when there is none; with no lock held. */
#include "shard/shard.h"

#include <string.h>

#include <stele/eventstore.h>

#include "base/failure.h"
#include "base/platform.h"
#include "shard/trash.h"

/* With the folder's lock: OK when there is a store now, or with `*again_out`. */
static stele_status create_missing(stele_shards *shards, const stele__shard_slot *slot,
                                   bool exclusive, bool *again_out, stele__shard_place *place)
{
    bool created = false;
    stele_status status =
        stele__shard_create(shards, slot->organisation, slot->name_space, place, &created);
    pthread_mutex_lock(&shards->mutex);
    shards->counts.created += created;
    pthread_mutex_unlock(&shards->mutex);
    if (status != STELE_OK || created)
        return status;
    /* Taken by one who was faster, or who is just naming his. */
    status = stele__shard_place_find(shards->root, slot->organisation, slot->name_space, place);
    *again_out = status == STELE_OK && !place->exists && !exclusive;
    return status;
}

/* With the folder's lock: OK when there is a store now, or when, with `*stale_out`, only who has
 * the lock alone can tell. */
static stele_status find_or_create(stele_shards *shards, stele__shard_slot *slot, bool must_exist,
                                   bool exclusive, bool *stale_out, stele__shard_place *place)
{
    stele_status status =
        stele__shard_place_find(shards->root, slot->organisation, slot->name_space, place);
    if (status == STELE_OK)
        status = stele__shard_place_judge(place);
    if (status != STELE_OK || place->exists)
        return status;
    status = stele__shard_companions_judge(place->path, stale_out);
    if (status == STELE_CORRUPT && exclusive && !shards->store_options.read_only) {
        status = stele__trash_tidy_place(shards, place);
        if (status == STELE_OK)
            status = stele__shard_companions_judge(place->path, stale_out);
    }
    /* They may be those of a store that was created since we looked. */
    *stale_out = *stale_out || status == STELE_CORRUPT;
    if (status == STELE_CORRUPT && !exclusive)
        return STELE_OK;
    if (status != STELE_OK)
        return status;
    if (must_exist)
        return stele__fail(STELE_NOT_FOUND, "there is no shard '%s'", place->path);
    *stale_out = *stale_out || place->claimed || place->name_claimed;
    if (*stale_out && !exclusive) /* alone, so that they can be nobody's */
        return STELE_OK;
    if (*stale_out)
        status = stele__shard_companions_remove(place->path, false);
    if (status == STELE_OK && place->claimed)
        status = stele__remove_file(place->path);
    if (status == STELE_OK)
        status = stele__shard_name_keep(shards->root, slot->organisation, slot->name_space,
                                        exclusive, place);
    *stale_out = status == STELE_OK && place->hashed && !place->named; /* another one's, perhaps */
    if (status == STELE_OK && !*stale_out && !place->exists)
        status = create_missing(shards, slot, exclusive, stale_out, place);
    return status;
}

static stele_status check_identity(stele__shard_slot *slot)
{
    bool found = false;
    char organisation[STELE_SHARD_NAME_MAX + 1];
    char name_space[STELE_SHARD_NAME_MAX + 1];
    stele_status status = stele__shard_identity_read(slot->store, &found, organisation, name_space);
    if (status != STELE_OK)
        return stele__fail_within(status, "'%s'", slot->path);
    if (!found)
        return stele__fail(STELE_CORRUPT, "'%s' is no shard: it doesn't say whose it is",
                           slot->path);
    if (strcmp(organisation, slot->organisation) == 0 && strcmp(name_space, slot->name_space) == 0)
        return STELE_OK;
    return stele__fail(STELE_CORRUPT,
                       "'%s' should be '%.60s' of '%.60s', and says that it is '%.60s' of '%.60s'",
                       slot->path, slot->name_space, slot->organisation, name_space, organisation);
}

stele_status stele__shard_check_fence(stele_store *store, const char *path)
{
    stele__fence fence;
    stele_status status = stele__fence_read(store, &fence);
    if (status != STELE_OK || !fence.found)
        return status;
    if (fence.kind == STELE__FENCE_DROP)
        return stele__fail(STELE_FENCED, "'%s' is being dropped", path);
    return stele__fail(STELE_MOVED, "'%s' has moved, or is just moving, to '%s'", path,
                       fence.where);
}

/*
 * We, or another process, may have given folder and file their names a moment ago, and not made
 * those durable yet: then they are made so before anything is stored. Whoever has opened a store
 * without events has done that, so one with events needs it no more.
 */
static stele_status settle_names_of(const stele_shards *shards, const stele__shard_slot *slot,
                                    const char *folder)
{
    int64_t head = 0;
    stele_status status = stele_store_head(slot->store, &head);
    if (status != STELE_OK || head > 0 || shards->store_options.read_only)
        return status;
    status = stele__sync_folder(slot->path);
    return status == STELE_OK ? stele__sync_folder(folder) : status;
}

static stele_status open_slot_store(stele_shards *shards, stele__shard_slot *slot,
                                    const char *folder)
{
    stele_options options = shards->store_options;
    options.must_exist = true;
    stele_status status = stele_store_open(slot->path, &options, &slot->store);
    if (status != STELE_OK)
        return status;
    status = check_identity(slot);
    if (status == STELE_OK)
        status = stele__shard_check_fence(slot->store, slot->path);
    if (status == STELE_OK)
        status = settle_names_of(shards, slot, folder);
    if (status == STELE_OK)
        status = stele__shard_sequence_begin(shards, slot);
    if (status != STELE_OK) {
        stele_store_close(slot->store); /* keeps the error text */
        slot->store = NULL;
    }
    return status;
}

static stele_status open_locked(stele_shards *shards, stele__shard_slot *slot, bool must_exist,
                                bool exclusive, bool *again_out, stele__patience *patience,
                                stele__shard_place *place)
{
    stele__folder_lock lock = { -1 };
    *again_out = false;
    stele_status status = stele__folder_lock_take(place->folder, exclusive, patience, &lock);
    /* Who only reads may be where nothing can be written. */
    if (status == STELE_READ_ONLY && shards->store_options.read_only)
        status = STELE_OK;
    if (status == STELE_OK)
        status = find_or_create(shards, slot, must_exist, exclusive, again_out, place);
    if (status == STELE_OK && !*again_out) {
        memcpy(slot->path, place->path, sizeof(slot->path));
        status = open_slot_store(shards, slot, place->folder);
    }
    stele__folder_lock_drop(&lock);
    return status;
}

stele_status stele__shard_open_slot(stele_shards *shards, stele__shard_slot *slot, bool must_exist,
                                    stele__patience *patience)
{
    stele__shard_place place;
    bool again = false;
    must_exist = must_exist || shards->store_options.must_exist || shards->store_options.read_only;
    stele_status status =
        stele__shard_place_find(shards->root, slot->organisation, slot->name_space, &place);
    if (status == STELE_OK && !place.folder_exists && must_exist)
        return stele__fail(STELE_NOT_FOUND, "there is no shard '%s'", place.path);
    if (status == STELE_OK && !must_exist)
        status = stele__shard_folder_make(shards->root, slot->organisation, slot->name_space,
                                          patience, &place);
    if (status == STELE_OK)
        status = open_locked(shards, slot, must_exist, false, &again, patience, &place);
    if (status == STELE_OK && again)
        status = open_locked(shards, slot, must_exist, true, &again, patience, &place);
    return status;
}
