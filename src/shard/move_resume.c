/* Going on with moves that were cut short, and tidying up behind those that are over: they are
 * found by what lies beside the shards. */
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/platform.h"
#include "shard/move.h"

typedef struct resumption {
    stele_shards *shards;
    stele__work work;
    bool tidy_only; /* moves stay as they are */
    uint64_t finished;
    stele_status status; /* the first failure, and why */
    char error[STELE__ERROR_SIZE];
    char organisation[STELE_SHARD_NAME_MAX + 1];
} resumption;

/* One that can't go on keeps none of the others. */
static stele_status note_move_failure(resumption *all, stele_status status)
{
    if (status == STELE_OK)
        return STELE_OK;
    if (all->status == STELE_OK) {
        all->status = status;
        stele__keep_error(all->error);
    }
    return status == STELE_CANCELLED || status == STELE_CLOSED || status == STELE_NO_MEMORY
               ? status
               : STELE_OK;
}

static stele_status resume_move(resumption *all, const char *name_space)
{
    stele__mover mover;
    stele_status status =
        stele__mover_begin(&mover, all->shards, all->organisation, name_space, &all->work.options);
    if (status != STELE_OK)
        return status;
    status = stele__mover_carry_out(&mover, NULL);
    stele__mover_end(&mover);
    all->finished += status == STELE_OK;
    return status == STELE_DONE ? STELE_OK : status;
}

/* Whom a file beside a shard is about: false when it is about none. */
static bool decode_beside(const char *folder, const char *name, const char *suffix,
                          char name_space_out[STELE_SHARD_NAME_MAX + 1])
{
    char component[STELE__COMPONENT_MAX + 1];
    char sidecar[STELE__SHARD_PATH_MAX];
    bool hashed = false;
    size_t size = strlen(name);
    size_t end = strlen(suffix);
    if (size <= end || size - end > STELE__COMPONENT_MAX || strcmp(name + size - end, suffix) != 0)
        return false;
    snprintf(component, sizeof(component), "%.*s", (int)(size - end), name);
    if (!stele__component_decode(component, false, &hashed, name_space_out))
        return false;
    if (!hashed)
        return true;
    snprintf(sidecar, sizeof(sidecar), "%.400s/%s.name", folder, component);
    return stele__shard_name_read(sidecar, name_space_out) == STELE_OK;
}

static stele_status resume_file(resumption *all, const char *folder, const char *name)
{
    char name_space[STELE_SHARD_NAME_MAX + 1];
    if (!all->tidy_only && decode_beside(folder, name, ".moving", name_space))
        return note_move_failure(all, resume_move(all, name_space));
    if (decode_beside(folder, name, ".arriving", name_space)) {
        stele_status tidied = stele__arrival_tidy(all->shards, all->organisation, name_space);
        bool later = tidied == STELE_BUSY || (all->tidy_only && tidied == STELE_CONFLICT);
        return later ? STELE_OK : note_move_failure(all, tidied);
    }
    if (!decode_beside(folder, name, ".moved", name_space))
        return STELE_OK;
    stele_status status = stele__left_behind_take(all->shards, all->organisation, name_space);
    return status == STELE_BUSY ? STELE_OK : note_move_failure(all, status);
}

static stele_status resume_folder(resumption *all, const char *folder)
{
    stele__folder *scan = NULL;
    const char *name = NULL;
    stele_status status = stele__folder_open(folder, &scan);
    while (status == STELE_OK && (status = stele__folder_next(scan, &name)) == STELE_OK)
        status = resume_file(all, folder, name);
    stele__folder_close(scan);
    return status == STELE_DONE ? stele__work_step(&all->work, 1, 0) : status;
}

/* DONE when the folder is no organisation's. */
static stele_status choose_organisation(resumption *all, const char *name, char *folder)
{
    char sidecar[STELE__SHARD_PATH_MAX];
    stele__file_facts facts = { 0 };
    bool hashed = false;
    if (!stele__component_decode(name, true, &hashed, all->organisation))
        return STELE_DONE;
    snprintf(folder, STELE__SHARD_PATH_MAX, "%.380s/%.120s", all->shards->root, name);
    stele_status status = stele__look_at_file(folder, &facts);
    if (status == STELE_OK && !facts.folder)
        return STELE_DONE;
    if (status != STELE_OK || !hashed)
        return status;
    snprintf(sidecar, sizeof(sidecar), "%.500s/.name", folder);
    return stele__shard_name_read(sidecar, all->organisation);
}

static stele_status resume_root(resumption *all)
{
    stele__folder *scan = NULL;
    const char *name = NULL;
    char folder[STELE__SHARD_PATH_MAX];
    stele__work_part(&all->work, "resuming", 0);
    stele_status status = stele__folder_open(all->shards->root, &scan);
    while (status == STELE_OK && (status = stele__folder_next(scan, &name)) == STELE_OK) {
        status = choose_organisation(all, name, folder);
        if (status == STELE_OK)
            status = resume_folder(all, folder);
        else if (status == STELE_DONE)
            status = STELE_OK;
        if (status != STELE_OK)
            status = note_move_failure(all, status);
    }
    stele__folder_close(scan);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status resume_moves(resumption *all, const stele_work *work)
{
    stele_status status = stele__work_begin(&all->work, NULL, work);
    if (status != STELE_OK)
        return status;
    all->work.closing = &all->shards->closing;
    if (all->shards->store_options.read_only)
        return stele__fail(STELE_READ_ONLY, "the shards were opened for reading");
    status = resume_root(all);
    if (status != STELE_OK || all->status == STELE_OK)
        return status;
    stele__restore_error(all->error);
    return all->status;
}

stele_status stele__left_behind_sweep(stele_shards *shards, const stele_work *work)
{
    resumption all = { .shards = shards, .tidy_only = true };
    return resume_moves(&all, work);
}

stele_status stele_shards_resume(stele_shards *shards, const stele_work *work,
                                 uint64_t *finished_out)
{
    resumption all = { .shards = shards };
    stele_status status = stele__shards_enter(shards);
    if (status == STELE_OK) {
        status = resume_moves(&all, work);
        stele__shards_leave(shards);
    }
    if (finished_out != NULL)
        *finished_out = all.finished;
    return status;
}
