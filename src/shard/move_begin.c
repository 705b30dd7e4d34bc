/* A move at work: its locks, what it finds, and the way back. */
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/platform.h"
#include "shard/move.h"

/* Movers of one organisation exclude each other only by chance, when these are few. */
#define MOVERS_LOCKS    16
#define MOVERS_PAUSE_US 2000

/* --- Locks --- */

static stele_status begin_patience(stele__mover *mover, stele__patience *patience)
{
    return stele__patience_begin(patience, mover->work.options.wait,
                                 mover->shards->store_options.busy_timeout_ms,
                                 &mover->shards->closing);
}

stele_status stele__mover_lock(stele__mover *mover, const stele__shard_place *place,
                               stele__folder_lock *lock_out)
{
    stele__patience patience;
    lock_out->descriptor = -1;
    stele_status status = begin_patience(mover, &patience);
    if (status == STELE_OK)
        status = stele__folder_lock_take(place->folder, true, &patience, lock_out);
    return status;
}

static stele_status lock_out_movers(stele__mover *mover)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__patience patience;
    bool taken = false;
    snprintf(path, sizeof(path), "%.480s/.moves-%u", mover->from.folder,
             (unsigned)(stele__hash(mover->name_space, strlen(mover->name_space)) % MOVERS_LOCKS));
    stele_status status = begin_patience(mover, &patience);
    if (status == STELE_OK)
        status = stele__lock_open(path, &mover->lock);
    while (status == STELE_OK) {
        status = stele__lock_try(mover->lock, 0, true, &taken);
        if (status != STELE_OK || taken)
            return status;
        status = stele__patience_check(&patience, "waiting for who moves the shard, too");
        if (status == STELE_OK)
            stele__patience_sleep(&patience, MOVERS_PAUSE_US);
    }
    return status;
}

static void let_movers_in(stele__mover *mover)
{
    if (mover->lock < 0)
        return;
    stele__lock_drop(mover->lock, 0);
    stele__lock_close(mover->lock);
    mover->lock = -1;
}

/* --- What there is --- */

static stele_status look_at_record(stele__mover *mover)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__shard_place_beside(&mover->from, ".moving", path);
    stele_status status = stele__move_record_read(path, &mover->record);
    mover->recorded = status == STELE_OK;
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__mover_begin(stele__mover *mover, stele_shards *shards, const char *organisation,
                                const char *name_space, const stele_work *work)
{
    *mover = (stele__mover){ .shards = shards, .lock = -1 };
    stele_status status = stele__work_begin(&mover->work, NULL, work);
    if (status != STELE_OK)
        return status;
    mover->work.closing = &shards->closing;
    if (shards->store_options.read_only)
        return stele__fail(STELE_READ_ONLY, "the shards were opened for reading");
    status = stele__shard_place_find(shards->root, organisation, name_space, &mover->from);
    if (status == STELE_OK && !mover->from.folder_exists)
        status = stele__fail(STELE_NOT_FOUND, "there is no shard '%s'", mover->from.path);
    if (status != STELE_OK)
        return status;
    snprintf(mover->organisation, sizeof(mover->organisation), "%s", organisation);
    snprintf(mover->name_space, sizeof(mover->name_space), "%s", name_space);
    status = lock_out_movers(mover);
    if (status == STELE_OK) /* another one may have been at work until now */
        status = stele__shard_place_find(shards->root, organisation, name_space, &mover->from);
    if (status == STELE_OK)
        status = look_at_record(mover);
    if (status != STELE_OK)
        stele__mover_end(mover);
    return status;
}

void stele__mover_close_source(stele__mover *mover)
{
    if (mover->source != NULL)
        stele__store_leave(mover->source);
    stele_shard_release(mover->shard);
    stele_store_close(mover->own);
    mover->shard = NULL;
    mover->own = NULL;
    mover->source = NULL;
    mover->work.store = NULL;
}

void stele__mover_end(stele__mover *mover)
{
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    stele__destination_close(&mover->destination);
    stele__mover_close_source(mover);
    let_movers_in(mover);
    stele__restore_error(error);
}

/* Behind the fence it can't be acquired any more. */
static stele_status open_own_store(stele__mover *mover)
{
    stele_options options = mover->shards->store_options;
    options.must_exist = true;
    options.committer = false;
    options.maintenance = false;
    options.no_resume = true;
    return stele__store_open(mover->from.path, &options, &mover->own);
}

stele_status stele__mover_open_source(stele__mover *mover)
{
    stele_acquire how = STELE_ACQUIRE_INIT;
    stele__fence fence;
    if (mover->source != NULL)
        return STELE_OK;
    stele__mover_close_source(mover); /* one that could not be entered */
    how.must_exist = true;
    how.wait = mover->work.options.wait;
    stele_status status = stele_shards_acquire(mover->shards, mover->organisation,
                                               mover->name_space, &how, &mover->shard);
    if (status == STELE_MOVED)
        status = open_own_store(mover);
    if (status != STELE_OK)
        return status;
    stele_store *source = mover->own != NULL ? mover->own : stele_shard_store(mover->shard);
    status = stele__store_enter(source); /* closing waits for who is inside */
    if (status != STELE_OK)
        return status;
    mover->source = source;
    mover->work.store = source;
    status = stele__fence_read(mover->source, &fence);
    if (status == STELE_OK && fence.found && fence.kind == STELE__FENCE_DROP)
        status = stele__fail(STELE_FENCED, "'%s' is being dropped", mover->from.path);
    mover->fenced = status == STELE_OK && fence.found && mover->recorded
                    && strcmp(fence.id, mover->record.id) == 0;
    return status;
}

stele_status stele__mover_has_reserved(stele__mover *mover, bool *reserved_out)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__reservation reservation;
    stele__shard_place_beside(&mover->to, ".arriving", path);
    stele_status status = stele__reservation_read(path, &reservation);
    *reserved_out = status == STELE_OK && strcmp(reservation.id, mover->record.id) == 0;
    return status == STELE_DONE ? STELE_OK : status;
}

/* An empty file is the name alone, where a file can't have two of them and a switch was cut. */
stele_status stele__mover_judge(stele__mover *mover)
{
    stele__file_facts facts = { 0 };
    bool reserved = false;
    stele_status status = stele__shard_place_find(mover->record.root, mover->record.to_organisation,
                                                  mover->record.to_namespace, &mover->to);
    if (status == STELE_OK && mover->to.folder_exists)
        status = stele__mover_has_reserved(mover, &reserved);
    if (status == STELE_OK && reserved)
        status = stele__look_at_file(mover->to.path, &facts);
    mover->switched = mover->from.moved || (reserved && facts.exists && facts.size > 0);
    return status;
}

/* --- The way back --- */

static stele_status write_back_record(stele__mover *mover)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__folder_lock lock;
    if (mover->record.back)
        return STELE_OK;
    stele_status status = stele__mover_lock(mover, &mover->from, &lock);
    if (status != STELE_OK)
        return status;
    mover->record.back = true;
    stele__shard_place_beside(&mover->from, ".moving", path);
    status = stele__move_record_write(path, &mover->record);
    stele__folder_lock_drop(&lock);
    return status;
}

static stele_status lower_fence(stele__mover *mover)
{
    if (!mover->from.exists)
        return STELE_OK;
    stele_status status = stele__mover_open_source(mover);
    if (status == STELE_OK)
        status = stele__fence_lower(mover->source, mover->work.options.wait, mover->record.id);
    if (status != STELE_OK)
        return status;
    mover->fenced = false;
    stele__shard_mark_fenced(mover->shards, mover->organisation, mover->name_space, false);
    return STELE_OK;
}

/* With its lock: what is left of the copy, and the reservation. */
static stele_status clear_place(stele__mover *mover)
{
    char path[STELE__SHARD_PATH_MAX];
    char partial[STELE__SHARD_PATH_MAX];
    stele__file_facts facts = { 0 };
    bool reserved = false;
    stele_status status = stele__mover_has_reserved(mover, &reserved);
    if (status != STELE_OK || !reserved)
        return status;
    snprintf(partial, sizeof(partial), "%.500s-partial", mover->to.path);
    stele__copy_discard(partial, NULL);
    status = stele__look_at_file(mover->to.path, &facts);
    if (status == STELE_OK && facts.exists && facts.size == 0)
        status = stele__remove_file(mover->to.path);
    stele__shard_place_beside(&mover->to, ".arriving", path);
    if (status == STELE_OK)
        status = stele__remove_file(path);
    return status == STELE_OK ? stele__sync_folder(path) : status;
}

static stele_status give_place_back(stele__mover *mover)
{
    stele__folder_lock lock;
    if (!mover->to.folder_exists)
        return STELE_OK;
    stele_status status = stele__mover_lock(mover, &mover->to, &lock);
    if (status != STELE_OK)
        return status;
    status = clear_place(mover);
    stele__folder_lock_drop(&lock);
    return status;
}

stele_status stele__mover_forget(stele__mover *mover)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__folder_lock lock;
    stele_status status = stele__mover_lock(mover, &mover->from, &lock);
    if (status != STELE_OK)
        return status;
    stele__shard_place_beside(&mover->from, ".moving", path);
    status = stele__remove_file(path);
    if (status == STELE_OK)
        status = stele__sync_folder(path);
    stele__folder_lock_drop(&lock);
    mover->recorded = status != STELE_OK;
    return status;
}

stele_status stele__mover_withdraw(stele__mover *mover)
{
    stele__destination_close(&mover->destination);
    stele_status status = write_back_record(mover);
    if (status == STELE_OK)
        status = lower_fence(mover);
    if (status == STELE_OK)
        status = give_place_back(mover);
    return status == STELE_OK ? stele__mover_forget(mover) : status;
}
