/* The steps of a move, each of them durable before the next. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "backup/proof.h"
#include "base/failure.h"
#include "base/platform.h"
#include "shard/move.h"
#include "store/anchoring.h"
#include "store/stamp.h"

/* The step's name, and whether to go on. */
static stele_status tell_step(stele__mover *mover, const char *doing)
{
    stele__work_part(&mover->work, doing, 1);
    return stele__work_step(&mover->work, 0, 0);
}

/* --- Reserve --- */

/* With the lock of the place, which is reserved for another move. */
static stele_status judge_reservation(const stele__mover *mover)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__reservation reservation;
    bool stale = false;
    stele__shard_place_beside(&mover->to, ".arriving", path);
    stele_status status = stele__reservation_read(path, &reservation);
    if (status == STELE_OK)
        status = stele__reserver_judge(&reservation, &stale);
    if (status == STELE_OK && !stale)
        status = stele__fail(STELE_CONFLICT, "'%s' is reserved by the move that '%s' is about",
                             mover->to.path, reservation.record);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status write_reservation(stele__mover *mover)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__reservation reservation = { 0 };
    memcpy(reservation.id, mover->record.id, sizeof(reservation.id));
    stele__shard_place_beside(&mover->from, ".moving", reservation.record);
    stele__shard_place_beside(&mover->to, ".arriving", path);
    return stele__reservation_write(path, &reservation);
}

/* A move from there that isn't over would take up what comes there now. */
static stele_status refuse_place_of_mover(const stele__mover *mover)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__file_facts facts = { 0 };
    stele__shard_place_beside(&mover->to, ".moving", path);
    stele_status status = stele__look_at_file(path, &facts);
    if (status == STELE_OK && facts.exists)
        status =
            stele__fail(STELE_CONFLICT, "the move from there that '%s' is about isn't over", path);
    return status;
}

/* With the lock of the place. */
static stele_status reserve_free_place(stele__mover *mover)
{
    bool stale = false;
    bool reserved = false;
    const stele__move_record *record = &mover->record;
    stele_status status = stele__shard_name_keep(record->root, record->to_organisation,
                                                 record->to_namespace, true, &mover->to);
    if (status == STELE_OK)
        status = stele__shard_place_find(record->root, record->to_organisation,
                                         record->to_namespace, &mover->to);
    if (status == STELE_OK)
        status = stele__mover_has_reserved(mover, &reserved);
    if (status == STELE_OK && mover->to.arriving && !reserved)
        status = judge_reservation(mover);
    if (status == STELE_OK)
        status = refuse_place_of_mover(mover);
    if (status != STELE_OK)
        return status;
    if (mover->to.claimed || (mover->to.exists && reserved)) /* the name alone: it isn't switched */
        status = stele__remove_file(mover->to.path);
    else if (mover->to.exists && mover->to.moved)
        return stele__fail(STELE_CONFLICT,
                           "what a move left behind is still at '%s': somebody has it open, or"
                           " nobody has resumed there",
                           mover->to.path);
    else if (mover->to.exists && mover->to.arriving)
        return stele__fail(STELE_CONFLICT,
                           "what a move that was taken back left is still at '%s': resume there",
                           mover->to.path);
    else if (mover->to.exists)
        return stele__fail(STELE_CONFLICT, "there is a shard '%s' already", mover->to.path);
    if (status == STELE_OK)
        status = stele__shard_companions_judge(mover->to.path, &stale);
    if (status == STELE_CORRUPT)
        return stele__fail_within(STELE_CONFLICT, "something is in the way");
    if (status == STELE_OK && stale)
        status = stele__shard_companions_remove(mover->to.path, false);
    return status == STELE_OK && !reserved ? write_reservation(mover) : status;
}

static stele_status make_target_folder(stele__mover *mover)
{
    const stele__move_record *record = &mover->record;
    stele__patience patience;
    stele_status status = stele__patience_begin(&patience, mover->work.options.wait,
                                                mover->shards->store_options.busy_timeout_ms,
                                                &mover->shards->closing);
    if (status == STELE_OK)
        status = stele__shard_folder_make(record->root, record->to_organisation,
                                          record->to_namespace, &patience, &mover->to);
    return status;
}

static stele_status reserve_new_place(stele__mover *mover)
{
    stele__folder_lock lock;
    stele_status status = tell_step(mover, "reserving");
    if (status == STELE_OK)
        status = make_target_folder(mover);
    if (status == STELE_OK)
        status = stele__mover_lock(mover, &mover->to, &lock);
    if (status != STELE_OK)
        return status;
    status = reserve_free_place(mover);
    stele__folder_lock_drop(&lock);
    return status;
}

/* --- Check --- */

static stele_status judge_proof(stele_status status, const stele__proof *proof)
{
    if (status == STELE_OK && proof->failures > 0)
        return stele__fail(STELE_CORRUPT, "the shard can't be moved: it is damaged: %s",
                           proof->first);
    return status;
}

/* What takes long is done before anybody has to wait for it. */
static stele_status check_source(stele__mover *mover)
{
    stele__proof proof = { 0 };
    if (mover->fenced)
        return STELE_OK;
    stele_status status =
        stele__prove_some(mover->source, &mover->work, "checking", NULL, 0, &proof);
    mover->checked = status == STELE_OK;
    return judge_proof(status, &proof);
}

/* --- Copy, fence, catch up --- */

/* Nearly all is copied. What is committed until now comes along, and the fence with it. */
static stele_status raise_fence(void *context)
{
    stele__mover *mover = context;
    stele__fence fence = { .kind = STELE__FENCE_MOVE };
    stele_status status = STELE_OK;
    if (!mover->fenced) /* the last moment to be cancelled */
        status = tell_step(mover, "fencing");
    if (status != STELE_OK)
        return status;
    memcpy(fence.id, mover->record.id, sizeof(fence.id));
    snprintf(fence.where, sizeof(fence.where), "%s", mover->to.path);
    mover->work.options.bytes_per_second = 0; /* others wait from now on */
    status = stele__fence_raise(mover->source, mover->work.options.wait, &fence);
    if (status != STELE_OK)
        return status;
    mover->fenced_at_us = stele__clock_monotonic_us();
    mover->fenced = true;
    stele__work_part(&mover->work, "catching up", 0);
    stele__shard_mark_fenced(mover->shards, mover->organisation, mover->name_space, true);
    return STELE_OK;
}

/* The same store under another name: nothing that is about the old place alone. */
static stele_status settle_copy(stele__mover *mover)
{
    stele__database *target = mover->destination.target;
    stele_status status = stele__copy_change(target);
    if (status == STELE_OK)
        status = stele__fence_remove(target);
    if (status == STELE_OK) /* with the fence all before it was durable there, and here all is */
        status = stele__stamp_forget_marks(target);
    if (status == STELE_OK)
        status = stele__shard_identity_write(target, mover->record.to_organisation,
                                             mover->record.to_namespace);
    if (status == STELE_OK)
        status =
            stele__database_number(target, "SELECT max(position) FROM events", &mover->facts.head);
    return status == STELE_OK ? stele__copy_settle(target) : status;
}

static stele_status copy_store(stele__mover *mover)
{
    char partial[STELE__SHARD_PATH_MAX];
    stele__copy_facts copied;
    const stele__copy_hook hook = { raise_fence, mover };
    snprintf(partial, sizeof(partial), "%.500s-partial", mover->to.path);
    stele__copy_discard(partial, NULL); /* of one who was cut short: it is reserved for us */
    stele_status status = stele__destination_open(&mover->destination, mover->to.path);
    if (status == STELE_OK)
        status = stele__copy_run_with(mover->source, &mover->work, mover->destination.target, &hook,
                                      &copied);
    return status == STELE_OK ? settle_copy(mover) : status;
}

/* --- Verify --- */

static stele_status compare_digests(stele__mover *mover, stele_store *copy)
{
    char here[17];
    char there[17];
    stele_status status = stele_store_digest(mover->source, here);
    if (status == STELE_OK)
        status = stele_store_digest(copy, there);
    if (status == STELE_OK && strcmp(here, there) != 0)
        status =
            stele__fail(STELE_CORRUPT, "the copy's digest is %s, and the store's %s", there, here);
    return status;
}

/* Writers wait. A log with the digest of one that has passed every check needs no more than that
 * its pages and indexes are whole; what the digest isn't of has checksums of its own. */
static stele_status prove_moved_copy(stele__mover *mover, stele_store *copy)
{
    static const char *const names[] = {
        "sqlite", "schema",      "meta",    "epochs", "names",     "states", "archives",
        "kept",   "checkpoints", "members", "parked", "snapshots", "state",  "state writes",
    };
    size_t count = mover->checked ? sizeof(names) / sizeof(names[0]) : 0;
    stele__proof proof = { 0 };
    stele_status status = stele__prove_some(copy, &mover->work, "verifying", names, count, &proof);
    return judge_proof(status, &proof);
}

static stele_status verify_copy(stele__mover *mover)
{
    stele_store *copy = NULL;
    stele_status status = tell_step(mover, "verifying");
    if (status == STELE_OK)
        status = stele__copy_look(mover->destination.partial, &copy);
    if (status == STELE_OK)
        status = prove_moved_copy(mover, copy);
    if (status == STELE_OK)
        status = compare_digests(mover, copy);
    stele_store_close(copy); /* keeps the error text */
    return status;
}

/* --- Switch --- */

/* With the lock of the place. */
static stele_status publish_copy(stele__mover *mover)
{
    bool reserved = false;
    stele__destination *destination = &mover->destination;
    assert(mover->fenced);
    stele_status status = stele__mover_has_reserved(mover, &reserved);
    if (status == STELE_OK && !reserved)
        status = stele__fail(STELE_CONFLICT, "'%s' isn't reserved any more", mover->to.path);
    if (status == STELE_OK)
        status = stele__publish_file(destination->partial, destination->path);
    if (status == STELE_MISUSE)
        return stele__fail_within(STELE_CONFLICT, "the place was taken");
    if (status != STELE_OK)
        return status;
    mover->switched = true;
    stele__copy_leave(destination->partial, destination->target);
    destination->target = NULL;
    return stele__sync_folder(destination->path);
}

static stele_status switch_over(stele__mover *mover)
{
    stele__folder_lock lock;
    stele_status status = tell_step(mover, "switching");
    if (status == STELE_OK)
        status = stele__mover_lock(mover, &mover->to, &lock);
    if (status != STELE_OK)
        return status;
    status = publish_copy(mover);
    stele__folder_lock_drop(&lock);
    return status;
}

/* --- Release --- */

static stele_status write_signpost(stele__mover *mover)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__folder_lock lock;
    stele_status status = stele__mover_lock(mover, &mover->from, &lock);
    if (status != STELE_OK)
        return status;
    stele__shard_place_beside(&mover->from, ".moved", path);
    status = stele__shard_moved_write(path, mover->to.path);
    stele__folder_lock_drop(&lock);
    return status;
}

/* With the lock of the place: the shard can be acquired there. A signpost of before goes first, and
 * durably, or a power cut could bring it back. */
static stele_status open_place(stele__mover *mover)
{
    char path[STELE__SHARD_PATH_MAX];
    char partial[STELE__SHARD_PATH_MAX];
    stele__file_facts facts = { 0 };
    bool reserved = false;
    stele_status status = stele__look_at_file(mover->to.path, &facts);
    if (status == STELE_OK)
        status = stele__mover_has_reserved(mover, &reserved);
    mover->facts.bytes = facts.size;
    if (status != STELE_OK || !reserved)
        return status; /* it was opened before */
    if (!facts.exists)
        return stele__fail(STELE_CORRUPT, "'%s' is missing", mover->to.path);
    snprintf(partial, sizeof(partial), "%.500s-partial", mover->to.path);
    stele__copy_discard(partial, NULL);
    stele__anchoring_place(mover->to.path);
    stele__shard_place_beside(&mover->to, ".moved", path);
    status = stele__remove_file(path);
    if (status == STELE_OK)
        status = stele__sync_folder(path);
    stele__shard_place_beside(&mover->to, ".arriving", path);
    if (status == STELE_OK)
        status = stele__remove_file(path);
    return status == STELE_OK ? stele__sync_folder(path) : status;
}

static stele_status open_new_place(stele__mover *mover)
{
    stele__folder_lock lock;
    stele_status status = stele__mover_lock(mover, &mover->to, &lock);
    if (status != STELE_OK)
        return status;
    status = open_place(mover);
    stele__folder_lock_drop(&lock);
    if (status == STELE_OK && mover->fenced_at_us != 0)
        mover->facts.fenced_us = stele__clock_monotonic_us() - mover->fenced_at_us;
    return status;
}

stele_status stele__mover_release(stele__mover *mover)
{
    (void)tell_step(mover, "releasing"); /* too late to be cancelled */
    if (!mover->to.folder_exists)        /* its disk may be away: nobody else could open it there */
        return stele__fail(STELE_NOT_FOUND,
                           "the shard is at '%s', and that can't be seen from here: it is to be"
                           " opened there",
                           mover->to.path);
    /* Who was cut may not have come to that. */
    stele_status status = stele__sync_folder(mover->to.path);
    if (status == STELE_OK)
        status = write_signpost(mover);
    if (status == STELE_OK)
        status = open_new_place(mover);
    snprintf(mover->facts.path, sizeof(mover->facts.path), "%s", mover->to.path);
    return status;
}

stele_status stele__mover_run(stele__mover *mover)
{
    stele_status status = stele__mover_open_source(mover);
    if (status == STELE_OK && mover->fenced)
        mover->fenced_at_us = stele__clock_monotonic_us();
    if (status == STELE_OK)
        status = reserve_new_place(mover);
    if (status == STELE_OK)
        status = check_source(mover);
    if (status == STELE_OK)
        status = copy_store(mover);
    if (status == STELE_OK)
        status = verify_copy(mover);
    if (status == STELE_OK)
        status = switch_over(mover);
    return status;
}
