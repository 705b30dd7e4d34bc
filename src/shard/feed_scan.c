/*
 * Which shards a feed has: those that join, and those that leave.
 *
 * A folder is read again when its stamp has changed: it does when a name in it comes or goes. A
 * name that came within the same tick as the one before may be missed so; therefore, and for
 * whatever else, all of them are read again every few seconds.
 */
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "shard/feeding.h"

#define RESCAN_US 5000000
/* It takes its time: at most this part of all time goes there. */
#define RESCAN_SHARE 20

/* What becomes of the list. */
typedef struct feed_merge {
    stele_feed *feed;
    size_t item_next; /* of the old list: those before are kept, or gone */
    stele__feed_shard **items;
    size_t count;
    size_t capacity;
} feed_merge;

void stele__feed_shard_dispose(stele__feed_shard *item)
{
    if (item == NULL)
        return;
    stele__free(item->organisation);
    stele__free(item->name_space);
    stele__free(item->path);
    stele__free(item);
}

/* --- Shards --- */

static stele_status keep_item(feed_merge *merge, stele__feed_shard *item)
{
    if (merge->count == merge->capacity) {
        size_t capacity = merge->capacity == 0 ? 64 : 2 * merge->capacity;
        stele__feed_shard **grown =
            stele__reallocate(merge->items, capacity * sizeof(stele__feed_shard *));
        if (grown == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for a feed of %zu shards", capacity);
        merge->items = grown;
        merge->capacity = capacity;
    }
    merge->items[merge->count++] = item;
    return STELE_OK;
}

static stele_status join_feed(feed_merge *merge, const stele__feed_folder *folder,
                              const stele__scan_row *row)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__feed_shard *item = stele__allocate_array(1, sizeof(*item));
    if (item == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a shard of a feed");
    snprintf(path, sizeof(path), "%s/%s.db", folder->path, row->component);
    item->organisation = stele__copy_text(folder->organisation);
    item->name_space = stele__copy_text(row->name);
    item->path = stele__copy_text(path);
    item->stored = STELE_CHECKPOINT_MISSING;
    stele_status status = STELE_OK;
    if (item->organisation == NULL || item->name_space == NULL || item->path == NULL)
        status = stele__fail(STELE_NO_MEMORY, "no memory for a shard of a feed");
    if (status == STELE_OK)
        status = keep_item(merge, item);
    if (status != STELE_OK)
        stele__feed_shard_dispose(item);
    return status;
}

/* Those of the old list that come before that name leave; the one of that name is handed out. */
static stele__feed_shard *pass_items(feed_merge *merge, const char *organisation,
                                     const char *name_space)
{
    stele_feed *feed = merge->feed;
    while (merge->item_next < feed->item_count) {
        stele__feed_shard *item = feed->items[merge->item_next];
        int order =
            stele__feed_order(item->organisation, item->name_space, organisation, name_space);
        if (order > 0)
            return NULL;
        feed->items[merge->item_next++] = NULL;
        if (order == 0)
            return item;
        stele__feed_shard_dispose(item);
    }
    return NULL;
}

static stele_status merge_folder(feed_merge *merge, const stele__feed_folder *folder,
                                 const stele__scan *scan)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < scan->count && status == STELE_OK; i++) {
        const stele__scan_row *row = &scan->rows[i];
        if (row->moved || !row->there || !stele__has_prefix(row->name, merge->feed->read.prefix))
            continue;
        stele__feed_shard *item = pass_items(merge, folder->organisation, row->name);
        status = item != NULL ? keep_item(merge, item) : join_feed(merge, folder, row);
        if (status != STELE_OK)
            stele__feed_shard_dispose(item);
    }
    return status;
}

/* Nothing has changed there. */
static stele_status keep_folder(feed_merge *merge, const stele__feed_folder *folder)
{
    stele_feed *feed = merge->feed;
    stele_status status = STELE_OK;
    pass_items(merge, folder->organisation, "");
    while (status == STELE_OK && merge->item_next < feed->item_count
           && strcmp(feed->items[merge->item_next]->organisation, folder->organisation) == 0) {
        status = keep_item(merge, feed->items[merge->item_next]);
        if (status == STELE_OK)
            feed->items[merge->item_next++] = NULL;
    }
    return status;
}

static stele_status read_feed_folder(feed_merge *merge, stele__feed_folder *folder, bool all)
{
    stele__file_stamp stamp;
    stele__scan scan = { 0 };
    stele_status status = stele__stamp_file(folder->path, &stamp);
    if (status != STELE_OK)
        return status;
    if (!all && folder->read && stele__stamp_equal(&stamp, &folder->seen))
        return keep_folder(merge, folder);
    status = stele__scan_namespaces(merge->feed->shards, folder->path, &scan);
    if (status == STELE_OK)
        status = merge_folder(merge, folder, &scan);
    stele__scan_dispose(&scan);
    folder->read = status == STELE_OK;
    folder->seen = stamp;
    return status;
}

/* After a failure what wasn't reached stays as it was. */
static stele_status read_feed_folders(stele_feed *feed, bool all)
{
    feed_merge merge = { .feed = feed };
    stele_status status = STELE_OK;
    for (size_t i = 0; i < feed->folder_count && status == STELE_OK; i++)
        status = read_feed_folder(&merge, &feed->folders[i], all);
    while (merge.item_next < feed->item_count) {
        stele__feed_shard *item = feed->items[merge.item_next++];
        if (status == STELE_OK || keep_item(&merge, item) != STELE_OK)
            stele__feed_shard_dispose(item);
    }
    stele__free(feed->items);
    feed->items = merge.items;
    feed->item_count = merge.count;
    return status;
}

/* --- Folders --- */

static void dispose_feed_folder(stele__feed_folder *folder)
{
    stele__free(folder->organisation);
    stele__free(folder->path);
}

static stele_status make_feed_folder(const stele_feed *feed, const stele__scan_row *row,
                                     stele__feed_folder *folder)
{
    char path[STELE__SHARD_PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", feed->shards->root, row->component);
    *folder = (stele__feed_folder){ .organisation = stele__copy_text(row->name),
                                    .path = stele__copy_text(path) };
    if (folder->organisation != NULL && folder->path != NULL)
        return STELE_OK;
    dispose_feed_folder(folder);
    return stele__fail(STELE_NO_MEMORY, "no memory for the folders of a feed");
}

/* In place of the old ones. Whichever were there keep what is known of them. */
static stele_status merge_feed_folders(stele_feed *feed, const stele__scan *scan)
{
    stele__feed_folder *folders = stele__allocate_array(scan->count + 1, sizeof(*folders));
    size_t count = 0;
    size_t old = 0;
    stele_status status = STELE_OK;
    if (folders == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the folders of a feed");
    for (size_t i = 0; i < scan->count && status == STELE_OK; i++) {
        const stele__scan_row *row = &scan->rows[i];
        if (feed->read.organisation != NULL && strcmp(row->name, feed->read.organisation) != 0)
            continue;
        status = make_feed_folder(feed, row, &folders[count]);
        if (status != STELE_OK)
            break;
        while (old < feed->folder_count && strcmp(feed->folders[old].organisation, row->name) < 0)
            old++;
        if (old < feed->folder_count && strcmp(feed->folders[old].organisation, row->name) == 0) {
            folders[count].read = feed->folders[old].read;
            folders[count].seen = feed->folders[old].seen;
        }
        count++;
    }
    stele__feed_folder *gone = status == STELE_OK ? feed->folders : folders;
    size_t gone_count = status == STELE_OK ? feed->folder_count : count;
    for (size_t i = 0; i < gone_count; i++)
        dispose_feed_folder(&gone[i]);
    stele__free(gone);
    if (status == STELE_OK) {
        feed->folders = folders;
        feed->folder_count = count;
    }
    return status;
}

static stele_status read_feed_root(stele_feed *feed, bool all)
{
    stele__file_stamp stamp;
    stele__scan scan = { 0 };
    stele_status status = stele__stamp_file(feed->shards->root, &stamp);
    if (status != STELE_OK)
        return status;
    if (!all && feed->root_read && stele__stamp_equal(&stamp, &feed->root_seen))
        return STELE_OK;
    status = stele__scan_organisations(feed->shards, &scan);
    if (status == STELE_OK)
        status = merge_feed_folders(feed, &scan);
    stele__scan_dispose(&scan);
    feed->root_read = status == STELE_OK;
    feed->root_seen = stamp;
    return status;
}

stele_status stele__feed_scan(stele_feed *feed, bool all)
{
    int64_t began_us = stele__clock_monotonic_us();
    all |= began_us >= feed->rescan_us || feed->rescan;
    stele_status status = read_feed_root(feed, all);
    if (status == STELE_OK)
        status = read_feed_folders(feed, all);
    if (feed->item_next >= feed->item_count)
        feed->item_next = 0;
    if (status != STELE_OK || !all)
        return status;
    int64_t now_us = stele__clock_monotonic_us();
    int64_t pause_us = (now_us - began_us) * RESCAN_SHARE;
    feed->rescan = false;
    feed->rescan_us = now_us + (pause_us > RESCAN_US ? pause_us : RESCAN_US);
    return STELE_OK;
}
