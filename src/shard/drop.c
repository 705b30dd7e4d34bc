/*
 * Dropping a shard, and bringing it back.
 *
 * Its file is fenced, so that nobody can write to it who had it open, and when nobody has it open
 * any more it goes to the trash by one renaming. So, cut short anywhere, it is whole in its place,
 * fenced maybe, or whole in the trash. One that is fenced in its place is dropped by the next drop,
 * or goes on by undrop.
 */
#include <stele/shard_work.h>

#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/platform.h"
#include "shard/trash.h"

/* How long to wait between two looks whether another process still has the file open. */
#define LOOK_PAUSE_US 10000
/* How long taking the fence down may wait, when patience for dropping has ended. */
#define LOWER_WAIT_MS 5000

typedef struct dropping {
    stele_shards *shards;
    const char *organisation;
    const char *name_space;
    bool force;
    bool fenced; /* by us, or by one who was cut short: to be taken down when it isn't dropped */
    stele__patience patience;
} dropping;

/* --- The file, opened for ourselves --- */

static stele_status open_apart(const stele_shards *shards, const char *path, stele_store **store)
{
    stele_options options = shards->store_options;
    options.must_exist = true;
    options.no_resume = true;
    options.committer = false;
    options.maintenance = false;
    options.durability = STELE_DURABILITY_FULL;
    return stele__store_open(path, &options, store);
}

static stele_status raise_drop_fence(stele_store *store, const char *path)
{
    stele__fence found;
    stele__fence fence = { .kind = STELE__FENCE_DROP };
    stele_status status = stele__fence_read(store, &found);
    if (status == STELE_OK && found.found && found.kind == STELE__FENCE_MOVE)
        return stele__fail(STELE_MOVED, "'%s' has moved, or is just moving, to '%s'", path,
                           found.where);
    if (status == STELE_OK && found.found) /* a drop that was cut short */
        return STELE_OK;
    if (status == STELE_OK)
        status = stele__make_uuid(fence.id);
    if (status == STELE_OK)
        status = stele__fence_raise(store, NULL, &fence);
    if (status == STELE_CONFLICT) /* somebody was faster: by the next look it is known who */
        status = STELE_BUSY;
    return status;
}

static stele_status lower_drop_fence(stele_store *store, bool *found_out)
{
    stele__fence found;
    stele_status status = stele__fence_read(store, &found);
    *found_out = status == STELE_OK && found.found && found.kind == STELE__FENCE_DROP;
    return *found_out ? stele__fence_lower(store, NULL, found.id) : status;
}

static stele_status check_whose(const dropping *of, stele_store *store)
{
    bool found = false;
    char organisation[STELE_SHARD_NAME_MAX + 1];
    char name_space[STELE_SHARD_NAME_MAX + 1];
    stele_status status = stele__shard_identity_read(store, &found, organisation, name_space);
    if (status == STELE_OK
        && (strcmp(organisation, of->organisation) != 0 || strcmp(name_space, of->name_space) != 0))
        status = stele__fail(STELE_CORRUPT, "'%s' says that it is %s", store->path,
                             found ? "another shard" : "no shard");
    return status;
}

/* --- Dropping --- */

static stele_status judge_place(const dropping *of, stele__shard_place *place)
{
    stele_status status =
        stele__shard_place_find(of->shards->root, of->organisation, of->name_space, place);
    if (status == STELE_OK)
        status = stele__shard_place_judge(place);
    if (status != STELE_OK || place->exists)
        return status;
    return stele__fail(STELE_NOT_FOUND, "there is no shard '%s'", place->path);
}

/* What can't be fenced may be dropped all the same, if one insists. */
static bool is_beyond_fencing(stele_status status)
{
    return status == STELE_CORRUPT || status == STELE_UNSUPPORTED || status == STELE_READ_ONLY;
}

/* `*damaged_out`: it isn't fenced, and its WAL not moved into it. */
static stele_status fence_and_close(dropping *of, const stele__shard_place *place,
                                    bool *damaged_out)
{
    stele_store *store = NULL;
    *damaged_out = false;
    stele_status status = open_apart(of->shards, place->path, &store);
    if (status == STELE_OK && !of->force)
        status = check_whose(of, store);
    if (status == STELE_OK)
        status = raise_drop_fence(store, place->path);
    of->fenced = of->fenced || status == STELE_OK;
    /* The last one of all processes moves the WAL into the file, and removes it. */
    stele_store_close(store); /* keeps the error text */
    *damaged_out = of->force && is_beyond_fencing(status);
    return *damaged_out ? STELE_OK : status;
}

static stele_status is_open_somewhere(const stele__shard_place *place, bool *open_out)
{
    char wal[STELE__SHARD_PATH_MAX];
    stele__file_facts facts = { 0 };
    stele__shard_place_beside(place, ".db-wal", wal);
    stele_status status = stele__look_at_file(wal, &facts);
    *open_out = facts.exists;
    return status;
}

/* DONE: somebody in another process, or beside us in this one, has the file open. */
static stele_status try_to_drop(dropping *of)
{
    stele__shard_place place;
    stele__folder_lock lock = { -1 };
    bool damaged = false;
    bool open = false;
    stele_status status = judge_place(of, &place);
    if (status == STELE_OK)
        status = stele__folder_lock_take(place.folder, true, &of->patience, &lock);
    if (status == STELE_OK)
        status = judge_place(of, &place);
    if (status == STELE_OK)
        status = fence_and_close(of, &place, &damaged);
    if (status == STELE_OK && !damaged)
        status = is_open_somewhere(&place, &open);
    if (status == STELE_OK && open)
        status = STELE_DONE;
    if (status == STELE_OK)
        status = stele__trash_put(of->shards, of->organisation, of->name_space, &place, false,
                                  damaged, &of->patience);
    stele__folder_lock_drop(&lock);
    return status;
}

/* It wasn't dropped: let its writers go on. Keeps the error text, unless that fails. */
static stele_status take_fence_down(dropping *of, stele_status why)
{
    const stele_wait wait = { sizeof(wait), LOWER_WAIT_MS, NULL, NULL };
    char error[STELE__ERROR_SIZE];
    stele__shard_place place;
    stele__patience patience;
    stele__folder_lock lock = { -1 };
    stele_store *store = NULL;
    bool found = false;
    stele__keep_error(error);
    stele_status status = stele__patience_begin(&patience, &wait, 0, NULL);
    if (status == STELE_OK)
        status = judge_place(of, &place);
    if (status == STELE_NOT_FOUND) { /* dropped by somebody else */
        stele__restore_error(error);
        return why;
    }
    if (status == STELE_OK)
        status = stele__folder_lock_take(place.folder, true, &patience, &lock);
    if (status == STELE_OK)
        status = open_apart(of->shards, place.path, &store);
    if (status == STELE_OK)
        status = lower_drop_fence(store, &found);
    stele_store_close(store);
    stele__folder_lock_drop(&lock);
    if (status != STELE_OK)
        return stele__fail_within(why, "%s; and the fence stays, drop or undrop it", error);
    stele__restore_error(error);
    return why;
}

static stele_status drop_excluded(dropping *of)
{
    stele_status status = STELE_OK;
    do {
        status = try_to_drop(of);
        if (status != STELE_DONE)
            break;
        status = stele__patience_check(&of->patience, "waiting for another process that has the "
                                                      "shard open");
        if (status == STELE_OK)
            stele__patience_sleep(&of->patience, LOOK_PAUSE_US);
    } while (status == STELE_OK);
    if (status != STELE_OK && of->fenced)
        return take_fence_down(of, status);
    return status;
}

stele_status stele_shards_drop(stele_shards *shards, const char *organisation,
                               const char *name_space, bool force, const stele_wait *wait)
{
    stele__shard_place place;
    dropping of = {
        .shards = shards, .organisation = organisation, .name_space = name_space, .force = force
    };
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    status = stele__patience_begin(&of.patience, wait, shards->store_options.busy_timeout_ms,
                                   &shards->closing);
    if (status == STELE_OK)
        status = judge_place(&of, &place);
    if (status == STELE_OK && shards->store_options.read_only)
        status = stele__fail(STELE_READ_ONLY, "the shards were opened for reading");
    if (status == STELE_OK)
        status = stele__shard_exclude(shards, organisation, name_space, &of.patience);
    if (status == STELE_OK) {
        status = drop_excluded(&of);
        stele__shard_readmit(shards, organisation, name_space);
    }
    stele__shards_leave(shards);
    return status;
}

/* --- Bringing back --- */

/* It never left: a drop was cut short. CONFLICT when it is in use. */
static stele_status undrop_in_place(dropping *of, const stele__shard_place *place)
{
    stele_store *store = NULL;
    bool found = false;
    stele_status status = open_apart(of->shards, place->path, &store);
    if (status == STELE_OK)
        status = lower_drop_fence(store, &found);
    stele_store_close(store);
    if (status == STELE_OK && !found)
        status = stele__fail(STELE_CONFLICT, "there is a shard '%s'", place->path);
    return status;
}

/* While it is in the trash, so that it comes back as it was at one moment. */
static stele_status unfence_item(dropping *of, const stele__trash_item *item, bool *damaged_out)
{
    stele_store *store = NULL;
    bool found = false;
    stele_status status = open_apart(of->shards, item->path, &store);
    if (status == STELE_OK)
        status = lower_drop_fence(store, &found);
    stele_store_close(store);
    *damaged_out = is_beyond_fencing(status); /* as it was when it was dropped by force */
    if (*damaged_out)
        return STELE_OK;
    char wal[STELE__SHARD_PATH_MAX];
    stele__file_facts facts = { 0 };
    snprintf(wal, sizeof(wal), "%.500s-wal", item->path);
    if (status == STELE_OK)
        status = stele__look_at_file(wal, &facts);
    if (status == STELE_OK && facts.exists)
        status = stele__fail(STELE_BUSY, "somebody has '%s' open", item->path);
    return status;
}

/* With both locks. */
static stele_status bring_back(dropping *of, stele__shard_place *place, const char *id)
{
    stele__trash_item item;
    bool damaged = false;
    bool stale = false;
    stele_status status =
        stele__trash_find(of->shards, of->organisation, of->name_space, id, &item);
    if (status == STELE_OK && item.moved)
        status = stele__fail(STELE_MOVED, "what is in the trash with the id %s has moved", item.id);
    if (status == STELE_OK)
        status = unfence_item(of, &item, &damaged);
    if (status == STELE_OK) /* what a cut left of it was tidied away: these are another's commits */
        status = stele__shard_companions_judge(place->path, &stale);
    if (status == STELE_OK)
        status = stele__shard_companions_remove(place->path, false);
    if (status == STELE_OK)
        status =
            stele__shard_name_keep(of->shards->root, of->organisation, of->name_space, true, place);
    return status == STELE_OK ? stele__trash_take(&item, place, damaged) : status;
}

static stele_status undrop_locked(dropping *of, const char *id)
{
    stele__folder_lock trash = { -1 };
    stele__shard_place place;
    stele_status status = judge_place(of, &place);
    if (status == STELE_OK)
        return id == NULL ? undrop_in_place(of, &place)
                          : stele__fail(STELE_CONFLICT, "there is a shard '%s'", place.path);
    if (status != STELE_NOT_FOUND)
        return status;
    status = stele__trash_lock(of->shards, &of->patience, &trash);
    if (status == STELE_NOT_FOUND)
        return stele__fail(STELE_NOT_FOUND, "nothing is in the trash");
    if (status == STELE_OK)
        status = stele__trash_tidy_place(of->shards, &place);
    if (status == STELE_OK)
        status = bring_back(of, &place, id);
    stele__folder_lock_drop(&trash);
    return status;
}

stele_status stele_shards_undrop(stele_shards *shards, const char *organisation,
                                 const char *name_space, const char *id)
{
    stele__shard_place place;
    stele__folder_lock lock = { -1 };
    dropping of = { .shards = shards, .organisation = organisation, .name_space = name_space };
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    status = stele__patience_begin(&of.patience, NULL, shards->store_options.busy_timeout_ms,
                                   &shards->closing);
    if (status == STELE_OK)
        status = stele__shard_place_find(shards->root, organisation, name_space, &place);
    if (status == STELE_OK && shards->store_options.read_only)
        status = stele__fail(STELE_READ_ONLY, "the shards were opened for reading");
    if (status == STELE_OK && !place.folder_exists) /* those are never removed */
        status = stele__fail(STELE_NOT_FOUND, "no shard of '%s' was ever dropped", organisation);
    if (status == STELE_OK)
        status = stele__folder_lock_take(place.folder, true, &of.patience, &lock);
    if (status == STELE_OK)
        status = undrop_locked(&of, id);
    stele__folder_lock_drop(&lock);
    stele__shards_leave(shards);
    return status;
}
