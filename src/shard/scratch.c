#include "shard/scratch.h"

#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/platform.h"

#define SCRATCH_NAME     ".scratch"
#define SCRATCH_PREFIX   "new-"
#define SCRATCH_ATTEMPTS 10

void stele__path_join(char path_out[STELE__SHARD_PATH_MAX], const char *folder, const char *name)
{
    snprintf(path_out, STELE__SHARD_PATH_MAX, "%.400s/%.100s", folder, name);
}

/* Remove the files in it, but for the lock. */
static stele_status clear_files(const char *folder)
{
    stele__folder *scan = NULL;
    const char *name = NULL;
    stele_status status = stele__folder_open(folder, &scan);
    if (status != STELE_OK)
        return status;
    while ((status = stele__folder_next(scan, &name)) == STELE_OK) {
        char path[STELE__SHARD_PATH_MAX];
        if (strcmp(name, ".lock") == 0)
            continue;
        stele__path_join(path, folder, name);
        status = stele__remove_file(path);
        if (status != STELE_OK)
            break;
    }
    stele__folder_close(scan);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__folder_clear(const char *folder)
{
    char lock[STELE__SHARD_PATH_MAX];
    stele_status status = clear_files(folder);
    if (status == STELE_NOT_FOUND)
        return STELE_OK;
    stele__path_join(lock, folder, ".lock");
    if (status == STELE_OK)
        status = stele__remove_file(lock);
    return status == STELE_OK ? stele__remove_folder(folder) : status;
}

static stele_status lock_at_once(const char *folder, stele__folder_lock *lock_out)
{
    const stele_wait no_wait = { sizeof(no_wait), 0, NULL, NULL };
    stele__patience patience;
    lock_out->descriptor = -1;
    stele_status status = stele__patience_begin(&patience, &no_wait, 0, NULL);
    return status == STELE_OK ? stele__folder_lock_take(folder, true, &patience, lock_out) : status;
}

/* DONE: somebody tidied it away before it was locked. */
static stele_status make_scratch(const char *parent, stele__scratch *scratch)
{
    char name[64];
    char lock[STELE__SHARD_PATH_MAX];
    stele__file_facts facts = { 0 };
    stele_status status = stele__shard_new_name(SCRATCH_PREFIX, name);
    if (status != STELE_OK)
        return status;
    stele__path_join(scratch->folder, parent, name);
    stele__path_join(lock, scratch->folder, ".lock");
    status = stele__make_folder(scratch->folder, NULL);
    if (status == STELE_OK)
        status = lock_at_once(scratch->folder, &scratch->lock);
    if (status == STELE_NOT_FOUND || status == STELE_BUSY)
        return STELE_DONE;
    if (status == STELE_OK)
        status = stele__look_at_file(lock, &facts);
    if (status == STELE_OK && facts.exists)
        return STELE_OK;
    stele__folder_lock_drop(&scratch->lock);
    return status == STELE_OK ? STELE_DONE : status;
}

stele_status stele__scratch_open(stele_shards *shards, stele__scratch *scratch_out)
{
    char parent[STELE__SHARD_PATH_MAX];
    *scratch_out = (stele__scratch){ .lock = { -1 } };
    stele__path_join(parent, shards->root, SCRATCH_NAME);
    stele_status status = stele__make_folder(parent, NULL);
    for (int attempt = 0; status == STELE_OK; attempt++) {
        status = make_scratch(parent, scratch_out);
        if (status != STELE_DONE)
            return status;
        status = attempt < SCRATCH_ATTEMPTS
                     ? STELE_OK
                     : stele__fail(STELE_IO, "can't make a folder in '%s': it vanishes", parent);
    }
    return status;
}

void stele__scratch_path(const stele__scratch *scratch, char path_out[STELE__SHARD_PATH_MAX])
{
    stele__path_join(path_out, scratch->folder, "shard.db");
}

void stele__scratch_close(stele__scratch *scratch)
{
    char error[STELE__ERROR_SIZE];
    if (scratch->lock.descriptor < 0)
        return;
    stele__keep_error(error);
    (void)stele__folder_clear(scratch->folder);
    stele__folder_lock_drop(&scratch->lock);
    stele__restore_error(error);
}

static stele_status sweep_scratch(const char *folder)
{
    stele__folder_lock lock = { -1 };
    stele_status status = lock_at_once(folder, &lock);
    if (status == STELE_BUSY || status == STELE_NOT_FOUND)
        return STELE_OK;
    if (status == STELE_OK)
        status = stele__folder_clear(folder);
    if (status == STELE_CONFLICT) /* somebody came in when its lock had gone: it is his now */
        status = STELE_OK;
    stele__folder_lock_drop(&lock);
    return status;
}

stele_status stele__scratch_sweep(stele_shards *shards)
{
    char parent[STELE__SHARD_PATH_MAX];
    stele__folder *scan = NULL;
    const char *name = NULL;
    stele__path_join(parent, shards->root, SCRATCH_NAME);
    stele_status status = stele__folder_open(parent, &scan);
    if (status != STELE_OK)
        return status == STELE_NOT_FOUND ? STELE_OK : status;
    while ((status = stele__folder_next(scan, &name)) == STELE_OK) {
        char folder[STELE__SHARD_PATH_MAX];
        if (strncmp(name, SCRATCH_PREFIX, strlen(SCRATCH_PREFIX)) != 0)
            continue;
        stele__path_join(folder, parent, name);
        status = sweep_scratch(folder);
        if (status != STELE_OK)
            break;
    }
    stele__folder_close(scan);
    return status == STELE_DONE ? STELE_OK : status;
}
