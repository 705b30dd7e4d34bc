/* A shard made of a backup, and whether one is whole. */
#include <stele/shard_work.h>

#include <stdio.h>
#include <string.h>

#include "backup/proof.h"
#include "backup/recover.h"
#include "base/failure.h"
#include "base/options.h"
#include "base/platform.h"
#include "shard/scratch.h"
#include "shard/trash.h"
#include "store/anchoring.h"

/* --- Recovering --- */

/* Whose shard is made. */
typedef struct recovering {
    stele_shards *shards;
    const char *organisation;
    const char *name_space;
    stele_recover options;
    stele__patience patience; /* with the lock of the folder */
} recovering;

static stele_status write_new_identity(void *context, stele__database *target)
{
    const recovering *of = context;
    return stele__shard_identity_write(target, of->organisation, of->name_space);
}

/* The place is free: CONFLICT, MOVED, BUSY otherwise. */
static stele_status find_free_place(const recovering *of, stele__shard_place *place)
{
    bool stale = false;
    stele_status status =
        stele__shard_place_find(of->shards->root, of->organisation, of->name_space, place);
    if (status == STELE_OK)
        status = stele__shard_place_judge(place);
    if (status != STELE_OK)
        return status;
    if (place->exists)
        return stele__fail(STELE_CONFLICT, "there is a shard '%s': drop it first", place->path);
    return stele__shard_companions_judge(place->path, &stale);
}

/* With the exclusive lock: what was made is the shard from now on. */
static stele_status take_free_place(const recovering *of, const char *from)
{
    stele__shard_place place;
    stele_status status = find_free_place(of, &place);
    if (status == STELE_OK)
        status = stele__shard_companions_remove(place.path, false);
    if (status == STELE_OK)
        status = stele__shard_name_keep(of->shards->root, of->organisation, of->name_space, true,
                                        &place);
    if (status == STELE_OK && place.claimed) /* by one who was cut */
        status = stele__remove_file(place.path);
    if (status == STELE_OK)
        status = stele__publish_file(from, place.path);
    if (status == STELE_MISUSE) /* somebody takes no lock */
        return stele__fail(STELE_CONFLICT, "there is a shard '%s': drop it first", place.path);
    if (status == STELE_OK)
        status = stele__sync_folder(place.path);
    if (status == STELE_OK)
        stele__anchoring_place(place.path);
    return status;
}

static stele_status place_recovered(recovering *of, const char *from)
{
    stele__shard_place place;
    stele__folder_lock lock = { -1 };
    stele_status status =
        stele__shard_place_find(of->shards->root, of->organisation, of->name_space, &place);
    if (status == STELE_OK)
        status = stele__shard_folder_make(of->shards->root, of->organisation, of->name_space,
                                          &of->patience, &place);
    if (status == STELE_OK)
        status = stele__folder_lock_take(place.folder, true, &of->patience, &lock);
    if (status == STELE_OK)
        status = take_free_place(of, from);
    stele__folder_lock_drop(&lock);
    return status;
}

static stele_status recover_in_scratch(recovering *of, stele_recovered *out)
{
    stele__scratch scratch;
    stele_recovered facts = { 0 };
    char path[STELE__SHARD_PATH_MAX];
    const stele__recover_change change = { .apply = write_new_identity,
                                           .context = of,
                                           .closing = &of->shards->closing };
    stele_status status = stele__scratch_open(of->shards, &scratch);
    if (status != STELE_OK)
        return status;
    stele__scratch_path(&scratch, path);
    of->options.path = path;
    status = stele__recover_backup(&of->options, &change, &facts);
    bool damaged = status == STELE_CORRUPT;
    if (status == STELE_OK)
        status = place_recovered(of, path);
    stele__scratch_close(&scratch);
    if (out != NULL && (status == STELE_OK || damaged))
        *out = facts;
    return status;
}

static stele_status begin_recovering(recovering *of, const stele_recover *recover)
{
    stele__shard_place place;
    stele_work work = STELE_WORK_INIT;
    of->options = (stele_recover)STELE_RECOVER_INIT;
    stele_status status =
        stele__options_take("stele_recover", recover, &of->options, sizeof(of->options));
    of->options.struct_size = sizeof(of->options);
    if (status == STELE_OK)
        status = stele__options_take("stele_work", of->options.work, &work, sizeof(work));
    if (status == STELE_OK && of->options.path != NULL)
        status = stele__fail(STELE_MISUSE, "a shard has its own path: '%s' can't be another one",
                             of->options.path);
    if (status == STELE_OK)
        status =
            stele__patience_begin(&of->patience, work.wait,
                                  of->shards->store_options.busy_timeout_ms, &of->shards->closing);
    if (status == STELE_OK && of->shards->store_options.read_only)
        status = stele__fail(STELE_READ_ONLY, "the shards were opened for reading");
    if (status == STELE_OK)
        status = stele__trash_tidy(of->shards, of->organisation, of->name_space, &of->patience);
    return status == STELE_OK ? find_free_place(of, &place) : status;
}

stele_status stele_shards_recover(stele_shards *shards, const char *organisation,
                                  const char *name_space, const stele_recover *recover,
                                  stele_recovered *out)
{
    recovering of = { .shards = shards, .organisation = organisation, .name_space = name_space };
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    status = begin_recovering(&of, recover);
    if (status == STELE_OK)
        status = recover_in_scratch(&of, out);
    stele__shards_leave(shards);
    return status;
}

/* --- Verifying --- */

/* Of one that can't even be acquired there is one check, which failed. */
static void note_unusable(stele_shard_verified *verified)
{
    verified->checks = 1;
    verified->failures = 1;
    snprintf(verified->first, sizeof(verified->first), "%s", stele_error_text());
}

static stele_status verify_store(stele_store *store, const stele_work *options,
                                 stele_shard_verified *verified)
{
    stele__work work;
    stele__proof proof = { 0 };
    stele_status status = stele__work_begin(&work, store, options);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__prove_all(store, &work, &proof);
    stele__store_leave(store);
    if (status != STELE_OK)
        return status;
    verified->checks = proof.checks + 1; /* whose it is, which acquiring has looked at */
    verified->failures = proof.failures;
    snprintf(verified->first, sizeof(verified->first), "%s", proof.first);
    if (proof.failures == 0)
        return STELE_OK;
    return stele__fail(STELE_CORRUPT, "'%s' is damaged: %s", store->path, proof.first);
}

stele_status stele_shards_verify(stele_shards *shards, const char *organisation,
                                 const char *name_space, const stele_work *work,
                                 stele_shard_verified *verified_out)
{
    stele_acquire how = STELE_ACQUIRE_INIT;
    stele_shard_verified verified = { 0 };
    stele_shard *shard = NULL;
    how.must_exist = true;
    stele_status status = stele_shards_acquire(shards, organisation, name_space, &how, &shard);
    if (status == STELE_CORRUPT)
        note_unusable(&verified);
    if (status == STELE_OK)
        status = verify_store(shard->store, work, &verified);
    stele_shard_release(shard);
    if (verified_out != NULL && (status == STELE_OK || status == STELE_CORRUPT))
        *verified_out = verified;
    return status;
}
