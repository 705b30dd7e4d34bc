/* What is in the trash, and still in its old place, too: commits beside a store that was damaged.
 */
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/platform.h"
#include "shard/trash.h"

static stele_status compare_open(const char *one, int of_one, const char *other, int of_other,
                                 bool *same_out)
{
    char bytes[2][4096];
    size_t sizes[2] = { 1, 1 };
    size_t offset = 0;
    stele_status status = STELE_OK;
    *same_out = true;
    while (status == STELE_OK && *same_out && sizes[0] > 0) {
        status = stele__small_file_read(of_one, one, offset, bytes[0], sizeof(bytes[0]), &sizes[0]);
        if (status == STELE_OK)
            status = stele__small_file_read(of_other, other, offset, bytes[1], sizeof(bytes[1]),
                                            &sizes[1]);
        *same_out =
            status == STELE_OK && sizes[0] == sizes[1] && memcmp(bytes[0], bytes[1], sizes[0]) == 0;
        offset += sizes[0];
    }
    return status;
}

static stele_status compare_beside(const char *one, const char *other, bool *same_out)
{
    int of_one = -1;
    int of_other = -1;
    *same_out = false;
    stele_status status = stele__small_file_open(one, false, 0, &of_one);
    if (status != STELE_OK)
        return status == STELE_NOT_FOUND ? STELE_OK : status;
    status = stele__small_file_open(other, false, 0, &of_other);
    if (status == STELE_OK) {
        status = compare_open(one, of_one, other, of_other, same_out);
        stele__small_file_close(of_other);
    }
    stele__small_file_close(of_one);
    return status == STELE_NOT_FOUND ? STELE_OK : status;
}

/* Whether the same lies beside a store in the trash. */
static stele_status is_beside_item(stele_shards *shards, const char *path, const char *suffix,
                                   bool *found_out)
{
    stele__trash_item *items = NULL;
    size_t count = 0;
    *found_out = false;
    stele_status status = stele__trash_scan(shards, &items, &count);
    for (size_t i = 0; i < count && status == STELE_OK && !*found_out; i++) {
        char there[STELE__SHARD_PATH_MAX];
        snprintf(there, sizeof(there), "%.500s%s", items[i].path, suffix);
        status = compare_beside(path, there, found_out);
    }
    stele__free(items);
    return status;
}

stele_status stele__trash_tidy_place(stele_shards *shards, const stele__shard_place *place)
{
    static const char *const commit_suffixes[] = STELE__COMMITS_BESIDE;
    stele_status status = STELE_OK;
    bool any = false;
    for (size_t i = 0; i < sizeof(commit_suffixes) / sizeof(commit_suffixes[0]); i++) {
        char path[STELE__SHARD_PATH_MAX];
        bool carried = false;
        snprintf(path, sizeof(path), "%.500s%s", place->path, commit_suffixes[i]);
        if (status == STELE_OK)
            status = is_beside_item(shards, path, commit_suffixes[i], &carried);
        if (status == STELE_OK && carried)
            status = stele__remove_file(path);
        any |= carried;
    }
    return status == STELE_OK && any ? stele__sync_folder(place->path) : status;
}

stele_status stele__trash_tidy(stele_shards *shards, const char *organisation,
                               const char *name_space, stele__patience *patience)
{
    stele__shard_place place;
    stele__folder_lock lock = { -1 };
    bool stale = false;
    stele_status status = stele__shard_place_find(shards->root, organisation, name_space, &place);
    if (status != STELE_OK || !place.folder_exists || place.exists
        || stele__shard_companions_judge(place.path, &stale) != STELE_CORRUPT)
        return status;
    status = stele__folder_lock_take(place.folder, true, patience, &lock);
    if (status == STELE_OK)
        status = stele__shard_place_find(shards->root, organisation, name_space, &place);
    if (status == STELE_OK && !place.exists)
        status = stele__trash_tidy_place(shards, &place);
    stele__folder_lock_drop(&lock);
    return status;
}

stele_status stele__trash_tidy_all(stele_shards *shards, stele__patience *patience)
{
    stele__trash_item *items = NULL;
    size_t count = 0;
    stele_status status = stele__trash_scan(shards, &items, &count);
    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        status = stele__trash_tidy(shards, items[i].organisation, items[i].name_space, patience);
        if (status == STELE_OK || status == STELE_BUSY)
            continue;
        stele__log(STELE_LOG_WARNING, "where '%s' was can't be tidied: %s", items[i].path,
                   stele_error_text());
        status = STELE_OK;
    }
    stele__free(items);
    return status;
}
