/*
 * Places that are reserved by moves that nobody remembers: they were taken back while the place was
 * out of reach, and maybe after the switch, so that a copy is there which never took an append.
 */
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/platform.h"
#include "shard/move.h"
#include "shard/trash.h"

stele_status stele__reserver_judge(const stele__reservation *reservation, bool *stale_out)
{
    char folder[STELE__SHARD_PATH_MAX];
    stele__file_facts facts = { 0 };
    stele__move_record record;
    stele_status status = stele__move_record_read(reservation->record, &record);
    *stale_out = status == STELE_OK && strcmp(record.id, reservation->id) != 0;
    if (status != STELE_DONE)
        return status;
    const char *slash = strrchr(reservation->record, '/');
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash == NULL ? 0 : slash - reservation->record),
             reservation->record);
    status = stele__look_at_file(folder, &facts);
    *stale_out = status == STELE_OK && facts.exists;
    return status;
}

/* The file `suffix` beside the record, at the old place. */
static void path_at_reserver(const stele__reservation *reservation, const char *suffix,
                             char path_out[STELE__SHARD_PATH_MAX])
{
    size_t size = strlen(reservation->record);
    size_t end = sizeof(".moving") - 1;
    snprintf(path_out, STELE__SHARD_PATH_MAX, "%.*s%s", (int)(size < end ? 0 : size - end),
             reservation->record, suffix);
}

static stele_status read_signpost(const stele__reservation *reservation,
                                  char where_out[STELE__FENCE_WHERE_MAX + 1])
{
    char path[STELE__SHARD_PATH_MAX];
    stele__file_facts facts = { 0 };
    where_out[0] = '\0';
    path_at_reserver(reservation, ".moved", path);
    stele_status status = stele__look_at_file(path, &facts);
    return status == STELE_OK && facts.exists ? stele__shard_moved_read(path, where_out) : status;
}

/* What a file that is a store says of itself; `uuid_out` "" when there is none. */
static stele_status look_into_store(const stele_shards *shards, const char *path, char uuid_out[37],
                                    stele__fence *fence)
{
    stele__file_facts facts = { 0 };
    stele_store *store = NULL;
    uuid_out[0] = '\0';
    stele_status status = stele__look_at_file(path, &facts);
    if (status != STELE_OK || !facts.exists || facts.size == 0)
        return status;
    status = stele__mover_open_to_look(shards, path, &store);
    if (status == STELE_OK)
        status = stele__fence_read(store, fence);
    if (status == STELE_OK)
        snprintf(uuid_out, 37, "%s", store->uuid);
    stele_store_close(store); /* keeps the error text */
    return status;
}

/* With neither the store nor a signpost at the other end the copy may be all there is. */
static stele_status check_that_it_went_on(const stele_shards *shards,
                                          const stele__shard_place *place, const char *path,
                                          const char *where, const char uuid[37])
{
    char copied[37];
    stele__fence fence;
    if (!place->exists || where[0] != '\0')
        return STELE_OK;
    stele_status status = look_into_store(shards, place->path, copied, &fence);
    if (status == STELE_OK && strcmp(copied, uuid) != 0)
        status = stele__fail(STELE_CONFLICT,
                             "the store that '%s' is a copy of isn't at '%s', and nothing there"
                             " says where it is: the copy may be all there is",
                             place->path, path);
    return status;
}

/* The shard went on where it was: no signpost leads to here, and the fence of that move is down. */
static stele_status check_taken_back(const stele_shards *shards, const stele__shard_place *place,
                                     const stele__reservation *reservation)
{
    char path[STELE__SHARD_PATH_MAX];
    char where[STELE__FENCE_WHERE_MAX + 1];
    char uuid[37];
    stele__fence fence = { 0 };
    path_at_reserver(reservation, ".db", path);
    stele_status status = read_signpost(reservation, where);
    if (status == STELE_OK)
        status = look_into_store(shards, path, uuid, &fence);
    if (status == STELE_OK
        && (strcmp(where, place->path) == 0
            || (fence.found && strcmp(fence.id, reservation->id) == 0)))
        return stele__fail(STELE_CONFLICT,
                           "by what is at '%s' the shard has moved to '%s', and the record of that"
                           " move is gone",
                           path, place->path);
    return status == STELE_OK ? check_that_it_went_on(shards, place, path, where, uuid) : status;
}

/* With the lock of the place. The copy goes to the trash first, as one that has moved: with it two
 * stores of one uuid would take appends. */
static stele_status clear_arrival(stele_shards *shards, const char *organisation,
                                  const char *name_space, const stele__shard_place *place,
                                  stele__patience *patience)
{
    char path[STELE__SHARD_PATH_MAX];
    stele_status status = STELE_OK;
    if (place->exists)
        status = stele__trash_put(shards, organisation, name_space, place, true, false, patience);
    else if (place->claimed)
        status = stele__remove_file(place->path);
    if (status != STELE_OK)
        return status;
    snprintf(path, sizeof(path), "%.500s-partial", place->path);
    stele__copy_discard(path, NULL);
    stele__shard_place_beside(place, ".arriving", path);
    status = stele__remove_file(path);
    return status == STELE_OK ? stele__sync_folder(path) : status;
}

static stele_status tidy_locked(stele_shards *shards, const char *organisation,
                                const char *name_space, stele__patience *patience)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__shard_place place;
    stele__reservation reservation;
    bool stale = false;
    stele_status status = stele__shard_place_find(shards->root, organisation, name_space, &place);
    if (status != STELE_OK || !place.arriving)
        return status;
    stele__shard_place_beside(&place, ".arriving", path);
    status = stele__reservation_read(path, &reservation);
    if (status == STELE_OK)
        status = stele__reserver_judge(&reservation, &stale);
    if (status != STELE_OK || !stale)
        return status == STELE_DONE ? STELE_OK : status;
    status = check_taken_back(shards, &place, &reservation);
    return status == STELE_OK ? clear_arrival(shards, organisation, name_space, &place, patience)
                              : status;
}

stele_status stele__arrival_tidy(stele_shards *shards, const char *organisation,
                                 const char *name_space)
{
    stele__patience patience;
    stele__shard_place place;
    stele__folder_lock lock;
    stele_status status = stele__patience_begin(&patience, NULL, 0, &shards->closing);
    if (status == STELE_OK)
        status = stele__shard_place_find(shards->root, organisation, name_space, &place);
    if (status != STELE_OK || !place.arriving)
        return status;
    status = stele__folder_lock_take(place.folder, true, &patience, &lock);
    if (status != STELE_OK)
        return status;
    status = tidy_locked(shards, organisation, name_space, &patience);
    stele__folder_lock_drop(&lock);
    return status;
}
