/*
 * A new store, found under its name when it is whole and durable: made under another name, closed
 * so that the file alone is complete, synced, and then given its name, unless that is taken.
 * Whoever opens it makes the name durable before anything is stored: see open.c.
 */
#include "shard/shard.h"

#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/platform.h"

#define NEW_PREFIX ".new-"

static const char *const companions[] = { "-wal", "-shm", "-journal", "-lock", "-anchor" };
#define COMPANION_COUNT (sizeof(companions) / sizeof(companions[0]))

static stele_status path_of_companion(char out[STELE__SHARD_PATH_MAX], const char *path,
                                      const char *suffix)
{
    int size = snprintf(out, STELE__SHARD_PATH_MAX, "%s%s", path, suffix);
    if (size < 0 || size >= STELE__SHARD_PATH_MAX)
        return stele__fail(STELE_TOO_LARGE, "the path '%s%s' has %d bytes, and at most %d go", path,
                           suffix, size, STELE__SHARD_PATH_MAX - 1);
    return STELE_OK;
}

static bool may_hold_commits(const char *suffix)
{
    return strcmp(suffix, "-wal") == 0 || strcmp(suffix, "-journal") == 0;
}

stele_status stele__shard_companions_remove(const char *path, bool keep_commits)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < COMPANION_COUNT; i++) {
        char companion[STELE__SHARD_PATH_MAX];
        if (keep_commits && may_hold_commits(companions[i]))
            continue;
        stele_status removed = path_of_companion(companion, path, companions[i]);
        if (removed == STELE_OK)
            removed = stele__remove_file(companion);
        if (status == STELE_OK)
            status = removed;
    }
    return status;
}

stele_status stele__shard_companions_judge(const char *path, bool *stale_out)
{
    *stale_out = false;
    for (size_t i = 0; i < COMPANION_COUNT; i++) {
        char companion[STELE__SHARD_PATH_MAX];
        stele__file_facts facts;
        stele_status status = path_of_companion(companion, path, companions[i]);
        if (status == STELE_OK)
            status = stele__look_at_file(companion, &facts);
        if (status != STELE_OK)
            return status;
        if (facts.exists && facts.size > 0 && may_hold_commits(companions[i]))
            return stele__fail(
                STELE_CORRUPT,
                "'%s' is missing or empty beside '%s': put the database back where that is", path,
                companion);
        *stale_out = *stale_out || facts.exists;
    }
    return STELE_OK;
}

typedef struct identity {
    const char *organisation;
    const char *name_space;
} identity;

static stele_status fill_shard(void *context, stele__database *database)
{
    const identity *names = context;
    return stele__shard_identity_write(database, names->organisation, names->name_space);
}

/* What opening the store would refuse when it is there. */
static stele_status check_creating(const stele_shards *shards, const stele__shard_place *place)
{
    const stele_options *options = &shards->store_options;
    const char *network = NULL;
    if (options->no_migrate)
        return stele__fail(STELE_UNSUPPORTED, "there is no shard '%s', and no_migrate is set",
                           place->path);
    if (!options->network_filesystem)
        network = stele__network_filesystem(place->folder);
    if (network != NULL)
        return stele__fail(STELE_UNSUPPORTED,
                           "'%s' lies on %s: two hosts would damage it (when only one ever uses it,"
                           " set `network_filesystem`)",
                           place->folder, network);
    return STELE_OK;
}

stele_status stele__shard_create(stele_shards *shards, const char *organisation,
                                 const char *name_space, const stele__shard_place *place,
                                 bool *created_out)
{
    *created_out = false;
    char name[64];
    char path[STELE__SHARD_PATH_MAX];
    identity names = { organisation, name_space };
    stele_status status = check_creating(shards, place);
    if (status == STELE_OK)
        status = stele__shard_new_name(NEW_PREFIX, name);
    if (status != STELE_OK)
        return status;
    snprintf(path, sizeof(path), "%.440s/%s.db", place->folder, name);
    status = stele__store_build(path, fill_shard, &names);
    if (status == STELE_OK) {
        status = stele__publish_file(path, place->path);
        if (status == STELE_MISUSE) /* taken: somebody was faster */
            status = STELE_OK;
        else if (status == STELE_OK)
            *created_out = true;
    }
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    (void)stele__remove_file(path);
    (void)stele__shard_companions_remove(path, false);
    stele__restore_error(error);
    return status;
}

/* --- What was cut short --- */

static bool is_unfinished(const char *name)
{
    return strncmp(name, NEW_PREFIX, sizeof(NEW_PREFIX) - 1) == 0 && strlen(name) <= 80;
}

stele_status stele__shard_sweep_wanted(const char *folder, bool *wanted_out)
{
    stele__folder *scan = NULL;
    const char *name = NULL;
    *wanted_out = false;
    stele_status status = stele__folder_open(folder, &scan);
    while (status == STELE_OK && !*wanted_out
           && (status = stele__folder_next(scan, &name)) == STELE_OK)
        *wanted_out = is_unfinished(name);
    stele__folder_close(scan);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status sweep_name(const char *folder, const char *name)
{
    char path[STELE__SHARD_PATH_MAX];
    snprintf(path, sizeof(path), "%.400s/%.80s", folder, name);
    return stele__remove_file(path);
}

stele_status stele__shard_sweep(const char *folder, uint64_t *swept)
{
    stele__folder *scan = NULL;
    const char *name = NULL;
    stele_status status = stele__folder_open(folder, &scan);
    if (status != STELE_OK)
        return status;
    while (status == STELE_OK && (status = stele__folder_next(scan, &name)) == STELE_OK) {
        if (!is_unfinished(name))
            continue;
        status = sweep_name(folder, name);
        if (status == STELE_OK)
            ++*swept;
    }
    stele__folder_close(scan);
    return status == STELE_DONE ? STELE_OK : status;
}
