/* Listing the trash. */
#include <stele/shard_work.h>

#include "base/failure.h"
#include "base/memory.h"
#include "shard/trash.h"

struct stele_trash {
    stele_shards *shards; /* held */
    stele__trash_item *items;
    size_t count;
    size_t next;
    stele_trashed lent;
};

stele_status stele_shards_trash(stele_shards *shards, stele_trash **trash_out)
{
    if (trash_out == NULL)
        return stele__fail(STELE_MISUSE, "trash_out is NULL");
    *trash_out = NULL;
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    stele_trash *trash = stele__allocate_array(1, sizeof(*trash));
    status = trash == NULL ? stele__fail(STELE_NO_MEMORY, "no memory to list the trash")
                           : stele__trash_scan(shards, &trash->items, &trash->count);
    if (status == STELE_OK) {
        trash->shards = shards;
        stele__shards_hold(shards);
        *trash_out = trash;
    } else {
        stele__free(trash);
    }
    stele__shards_leave(shards);
    return status;
}

static void lend_item(stele_trash *trash, const stele__trash_item *item)
{
    int64_t grace_us = (int64_t)trash->shards->options.trash_grace_s * 1000000;
    trash->lent = (stele_trashed){
        .organisation = item->organisation,
        .name_space = item->name_space,
        .id = item->id,
        .path = item->path,
        .dropped_at = item->dropped_at,
        .purge_at =
            item->dropped_at > INT64_MAX - grace_us ? INT64_MAX : item->dropped_at + grace_us,
        .bytes = item->bytes,
        .moved = item->moved,
    };
}

stele_status stele_trash_next(stele_trash *trash, const stele_trashed **trashed_out)
{
    if (trash == NULL || trashed_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", trash == NULL ? "the list" : "trashed_out");
    *trashed_out = NULL;
    stele_status status = stele__shards_enter(trash->shards);
    if (status != STELE_OK)
        return status;
    if (trash->next == trash->count) {
        status = STELE_DONE;
    } else {
        lend_item(trash, &trash->items[trash->next++]);
        *trashed_out = &trash->lent;
    }
    stele__shards_leave(trash->shards);
    return status;
}

void stele_trash_close(stele_trash *trash)
{
    if (trash == NULL)
        return;
    stele__shards_release(trash->shards);
    stele__free(trash->items);
    stele__free(trash);
}
