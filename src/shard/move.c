/* Moving shards: the calls. What is done, and in which order, is in move_steps.c. */
#include <stdio.h>
#include <string.h>

#include <stele/eventstore.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/platform.h"
#include "frame/frame.h"
#include "shard/move.h"
#include "store/sequencer.h"

void stele_shard_move_init(stele_shard_move *move)
{
    *move = (stele_shard_move)STELE_SHARD_MOVE_INIT;
}

/* --- Where to --- */

/* What was asked for, as the record would say it. */
static stele_status resolve_goal(stele_shards *shards, const stele_shard_move *move,
                                 stele__move_record *goal)
{
    char *root = NULL;
    const char *organisation =
        move->to_organisation != NULL ? move->to_organisation : move->organisation;
    const char *name_space = move->to_namespace != NULL ? move->to_namespace : move->name_space;
    stele_status status = stele__check_organisation(move->organisation);
    if (status == STELE_OK)
        status = stele__check_namespace(move->name_space);
    if (status == STELE_OK)
        status = stele__check_organisation(organisation);
    if (status == STELE_OK)
        status = stele__check_namespace(name_space);
    if (status != STELE_OK)
        return status;
    *goal = (stele__move_record){ 0 };
    snprintf(goal->to_organisation, sizeof(goal->to_organisation), "%s", organisation);
    snprintf(goal->to_namespace, sizeof(goal->to_namespace), "%s", name_space);
    status = stele__resolve_folder(move->root != NULL ? move->root : shards->root, &root);
    if (status != STELE_OK)
        return status;
    if (strlen(root) > STELE_SHARDS_ROOT_MAX)
        status = stele__fail(STELE_TOO_LARGE, "the root '%s' has %zu bytes, and at most %d go",
                             root, strlen(root), STELE_SHARDS_ROOT_MAX);
    else if (strchr(root, '\n') != NULL || !stele__utf8_valid(root, strlen(root)))
        status = stele__fail(STELE_MISUSE,
                             "the root '%s' has a line end, or isn't UTF-8: writers could not be"
                             " told of it",
                             root);
    else
        snprintf(goal->root, sizeof(goal->root), "%s", root);
    stele__free(root);
    return status;
}

static bool is_same_goal(const stele__move_record *one, const stele__move_record *other)
{
    return strcmp(one->root, other->root) == 0
           && strcmp(one->to_organisation, other->to_organisation) == 0
           && strcmp(one->to_namespace, other->to_namespace) == 0;
}

/* As opening it there would say, but before anything is done. */
static stele_status refuse_network_root(const stele_shards *shards, const stele__move_record *goal)
{
    const char *name = stele__network_filesystem(goal->root);
    if (name == NULL || shards->store_options.network_filesystem)
        return STELE_OK;
    return stele__fail(STELE_UNSUPPORTED, "'%s' lies on %s: two hosts would damage a shard there",
                       goal->root, name);
}

/* --- From its beginning to its end --- */

static stele_status refuse_absent(const stele__mover *mover)
{
    if (mover->from.moved)
        return stele__shard_has_moved(&mover->from);
    return stele__fail(STELE_NOT_FOUND, "there is no shard '%s'", mover->from.path);
}

/* A fence that no record is about is not ours to take down. */
static stele_status refuse_fence_of_others(stele__mover *mover)
{
    stele__fence fence;
    stele_status status = stele__fence_read(mover->source, &fence);
    if (status == STELE_OK && fence.found)
        status = stele__fail(STELE_CONFLICT,
                             "'%s' is fenced for a move to '%s' that nothing else is known of:"
                             " take it back first",
                             mover->from.path, fence.where);
    return status;
}

/* Its changes are put in order elsewhere, by its names: they would be stored there behind the
 * fence, and not be found under other names. */
static stele_status refuse_node(const stele__mover *mover, const stele__move_record *goal)
{
    stele__frame_place place = { 0 };
    bool renamed = strcmp(goal->to_organisation, mover->organisation) != 0
                   || strcmp(goal->to_namespace, mover->name_space) != 0;
    stele_status status = stele__sequencer_check_early(mover->source, "a move");
    if (status == STELE_OK && renamed)
        status = stele__frame_place_find(mover->source, &place);
    if (status == STELE_OK && place.bound)
        status = stele__fail(STELE_UNSUPPORTED,
                             "'%s' is one of several nodes, which know it by its names",
                             mover->from.path);
    return status;
}

static stele_status write_first_record(stele__mover *mover, const stele__move_record *goal)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__folder_lock lock;
    mover->record = *goal;
    memcpy(mover->record.uuid, mover->source->uuid, sizeof(mover->record.uuid));
    stele_status status = stele__make_uuid(mover->record.id);
    if (status == STELE_OK)
        status = stele__mover_lock(mover, &mover->from, &lock);
    if (status != STELE_OK)
        return status;
    stele__shard_place_beside(&mover->from, ".moving", path);
    status = stele__move_record_write(path, &mover->record);
    mover->recorded = status == STELE_OK;
    stele__folder_lock_drop(&lock);
    return status;
}

static stele_status begin_shard_move(stele__mover *mover, const stele__move_record *goal)
{
    if (mover->from.moved || !mover->from.exists)
        return refuse_absent(mover);
    stele_status status =
        stele__shard_place_find(goal->root, goal->to_organisation, goal->to_namespace, &mover->to);
    if (status == STELE_OK && strcmp(mover->to.path, mover->from.path) == 0)
        return stele__fail(STELE_MISUSE, "'%s' can't be moved to itself", mover->from.path);
    if (status == STELE_OK)
        status = refuse_network_root(mover->shards, goal);
    if (status == STELE_OK)
        status = stele__mover_open_source(mover);
    if (status == STELE_OK)
        status = refuse_fence_of_others(mover);
    if (status == STELE_OK)
        status = refuse_node(mover, goal);
    return status == STELE_OK ? write_first_record(mover, goal) : status;
}

/* A record was found. DONE when the move that it is about is over, and another one may begin. */
static stele_status take_up(stele__mover *mover, const stele__move_record *goal)
{
    stele_status status = stele__mover_judge(mover);
    if (status != STELE_OK)
        return status;
    bool over = mover->record.back || !mover->from.exists;
    if (!mover->switched && !over) {
        status = stele__mover_open_source(mover);
        if (status != STELE_OK)
            return status;
        over = strcmp(mover->source->uuid, mover->record.uuid) != 0; /* the shard is another one */
    }
    if (!mover->switched && over) {
        status = stele__mover_withdraw(mover);
        return status == STELE_OK ? STELE_DONE : status;
    }
    if (goal != NULL && !is_same_goal(goal, &mover->record))
        return stele__fail(STELE_CONFLICT, "the shard is on its way to '%s'", mover->to.path);
    mover->facts.resumed = true;
    return STELE_OK;
}

/* What can't go on is taken back, unless it was stopped behind the fence. Keeps the error text. */
static void fall_back(stele__mover *mover, stele_status status)
{
    char error[STELE__ERROR_SIZE];
    if (mover->switched || !mover->recorded
        || (mover->fenced && (status == STELE_CANCELLED || status == STELE_CLOSED)))
        return;
    stele__keep_error(error);
    mover->work.options.progress = NULL;
    mover->work.options.wait = NULL;
    /* Whatever the system said of it: with its name there it is switched. */
    status = stele__mover_judge(mover);
    if (status == STELE_OK && !mover->switched)
        status = stele__mover_withdraw(mover);
    if (status != STELE_OK)
        stele__log(STELE_LOG_WARNING, "a move of '%s' could not be taken back: %s",
                   mover->from.path, stele_error_text());
    stele__restore_error(error);
}

/* After the switch. What stays behind is no failure. */
static stele_status finish_move(stele__mover *mover)
{
    stele_status status = STELE_OK;
    if (mover->facts.resumed && mover->from.exists && stele__mover_open_source(mover) == STELE_OK)
        status = stele_store_head(mover->source, &mover->facts.head);
    if (status == STELE_OK)
        status = stele__mover_release(mover);
    if (status == STELE_OK)
        status = stele__mover_forget(mover);
    stele__mover_close_source(mover);
    if (status != STELE_OK)
        return status;
    mover->facts.left_behind =
        stele__left_behind_take(mover->shards, mover->organisation, mover->name_space) != STELE_OK;
    return STELE_OK;
}

stele_status stele__mover_carry_out(stele__mover *mover, const stele__move_record *goal)
{
    stele_status status = mover->recorded ? take_up(mover, goal) : STELE_DONE;
    if (status == STELE_DONE && goal != NULL)
        status = begin_shard_move(mover, goal);
    if (status != STELE_OK)
        return status;
    if (!mover->switched) {
        status = stele__mover_run(mover);
        if (status != STELE_OK)
            fall_back(mover, status);
    }
    return status == STELE_OK ? finish_move(mover) : status;
}

static stele_status move_inside(stele_shards *shards, const stele_shard_move *move,
                                stele_shard_moved *moved_out)
{
    stele__move_record goal;
    stele__mover mover;
    stele_status status = resolve_goal(shards, move, &goal);
    if (status == STELE_OK)
        status =
            stele__mover_begin(&mover, shards, move->organisation, move->name_space, move->work);
    if (status != STELE_OK)
        return status;
    status = stele__mover_carry_out(&mover, &goal);
    stele__mover_end(&mover);
    if (status == STELE_OK && moved_out != NULL)
        *moved_out = mover.facts;
    return status;
}

stele_status stele_shards_move(stele_shards *shards, const stele_shard_move *move,
                               stele_shard_moved *moved_out)
{
    stele_shard_move options = STELE_SHARD_MOVE_INIT;
    stele_status status = stele__options_take("stele_shard_move", move, &options, sizeof(options));
    if (status == STELE_OK)
        status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    status = move_inside(shards, &options, moved_out);
    stele__shards_leave(shards);
    return status;
}

stele_status stele_shards_rename(stele_shards *shards, const char *organisation,
                                 const char *name_space, const char *to_namespace,
                                 const stele_work *work)
{
    stele_shard_move move = STELE_SHARD_MOVE_INIT;
    if (to_namespace == NULL)
        return stele__fail(STELE_MISUSE, "the new namespace is NULL");
    move.organisation = organisation;
    move.name_space = name_space;
    move.to_namespace = to_namespace;
    move.work = work;
    return stele_shards_move(shards, &move, NULL);
}

/* --- Taking back --- */

stele_status stele__mover_open_to_look(const stele_shards *shards, const char *path,
                                       stele_store **store)
{
    stele_options options = shards->store_options;
    options.read_only = true;
    options.must_exist = true;
    options.committer = false;
    options.maintenance = false;
    return stele__store_open(path, &options, store);
}

/* CONFLICT when it is the same store that is there. */
static stele_status look_for_twin(const stele__mover *mover, const char *path)
{
    stele__file_facts facts = { 0 };
    stele_store *twin = NULL;
    stele_status status = stele__look_at_file(path, &facts);
    if (status != STELE_OK || !facts.exists)
        return status;
    status = stele__mover_open_to_look(mover->shards, path, &twin);
    if (status == STELE_OK && strcmp(twin->uuid, mover->source->uuid) == 0)
        status = stele__fail(STELE_CONFLICT, "the shard is at '%s' now", path);
    stele_store_close(twin); /* keeps the error text */
    return status;
}

/* Somebody has removed the record. If the store went on there, this one must not. */
static stele_status lower_lone_fence(stele__mover *mover)
{
    stele__fence fence;
    stele_status status = stele__mover_open_source(mover);
    if (status == STELE_OK)
        status = stele__fence_read(mover->source, &fence);
    if (status != STELE_OK || !fence.found)
        return status;
    status = look_for_twin(mover, fence.where);
    if (status == STELE_OK)
        status = stele__fence_lower(mover->source, mover->work.options.wait, fence.id);
    if (status == STELE_OK)
        stele__shard_mark_fenced(mover->shards, mover->organisation, mover->name_space, false);
    return status;
}

static stele_status take_back(stele__mover *mover)
{
    if (!mover->recorded && mover->from.moved)
        return stele__fail(STELE_CONFLICT, "the shard '%s' has moved", mover->from.path);
    if (!mover->recorded)
        return mover->from.exists ? lower_lone_fence(mover) : refuse_absent(mover);
    stele_status status = stele__mover_judge(mover);
    if (status == STELE_OK && mover->switched)
        status = stele__fail(STELE_CONFLICT, "the shard is at '%s' now", mover->to.path);
    return status == STELE_OK ? stele__mover_withdraw(mover) : status;
}

stele_status stele_shards_move_cancel(stele_shards *shards, const char *organisation,
                                      const char *name_space, const stele_wait *wait)
{
    stele__mover mover;
    stele_work work = STELE_WORK_INIT;
    work.wait = wait;
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    status = stele__mover_begin(&mover, shards, organisation, name_space, &work);
    if (status == STELE_OK) {
        status = take_back(&mover);
        stele__mover_end(&mover);
    }
    stele__shards_leave(shards);
    return status;
}

/* --- Where it went --- */

/* Fenced, and not released yet: writers were told already. */
static stele_status ask_fence(const stele_shards *shards, const stele__shard_place *place,
                              char where_out[STELE__FENCE_WHERE_MAX + 1])
{
    stele_store *store = NULL;
    stele__fence fence = { 0 };
    stele_status status = stele__mover_open_to_look(shards, place->path, &store);
    if (status == STELE_OK)
        status = stele__fence_read(store, &fence);
    stele_store_close(store); /* keeps the error text */
    if (status == STELE_OK && fence.found && fence.kind == STELE__FENCE_MOVE)
        snprintf(where_out, STELE__FENCE_WHERE_MAX + 1, "%s", fence.where);
    return status;
}

/* `*asks_out`: the move isn't over, and the store may have a fence that says it. */
static stele_status look_for_signpost(stele_shards *shards, const char *organisation,
                                      const char *name_space, stele__shard_place *place,
                                      char where_out[STELE__FENCE_WHERE_MAX + 1], bool *asks_out)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__file_facts facts = { 0 };
    stele_status status = stele__shard_place_find(shards->root, organisation, name_space, place);
    where_out[0] = '\0';
    *asks_out = false;
    if (status == STELE_OK && place->moved && !place->arriving) {
        stele__shard_place_beside(place, ".moved", path);
        status = stele__shard_moved_read(path, where_out);
        return status == STELE_NOT_FOUND ? STELE_OK : status;
    }
    stele__shard_place_beside(place, ".moving", path);
    if (status == STELE_OK)
        status = stele__look_at_file(path, &facts);
    *asks_out = status == STELE_OK && facts.exists && place->exists;
    return status;
}

/* Without the lock the store could go to the trash before it is asked. */
static stele_status find_where(stele_shards *shards, const char *organisation,
                               const char *name_space, char where_out[STELE__FENCE_WHERE_MAX + 1])
{
    stele__shard_place place;
    stele__patience patience;
    stele__folder_lock lock = { -1 };
    bool asks = false;
    stele_status status =
        look_for_signpost(shards, organisation, name_space, &place, where_out, &asks);
    if (status != STELE_OK || !asks)
        return status;
    status = stele__patience_begin(&patience, NULL, shards->store_options.busy_timeout_ms,
                                   &shards->closing);
    if (status == STELE_OK)
        status = stele__folder_lock_take(place.folder, false, &patience, &lock);
    if (status == STELE_READ_ONLY) /* nobody moves it there, either */
        status = STELE_OK;
    if (status == STELE_OK)
        status = look_for_signpost(shards, organisation, name_space, &place, where_out, &asks);
    if (status == STELE_OK && asks)
        status = ask_fence(shards, &place, where_out);
    stele__folder_lock_drop(&lock);
    return status;
}

stele_status stele_shards_moved_to(stele_shards *shards, const char *organisation,
                                   const char *name_space, char *path, size_t capacity)
{
    char where[STELE__FENCE_WHERE_MAX + 1];
    if (path == NULL || capacity < STELE__SHARD_PATH_MAX)
        return stele__fail(STELE_MISUSE, "%s",
                           path == NULL ? "path is NULL" : "the capacity is less than 512");
    path[0] = '\0';
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    status = find_where(shards, organisation, name_space, where);
    if (status == STELE_OK && strlen(where) >= capacity)
        status = stele__fail(STELE_CORRUPT, "'%s' is longer than a path can be", where);
    else if (status == STELE_OK)
        snprintf(path, capacity, "%s", where);
    stele__shards_leave(shards);
    return status;
}
