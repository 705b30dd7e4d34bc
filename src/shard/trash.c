#include "shard/trash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/platform.h"
#include "shard/scratch.h"

#define TRASH_NAME "/.trash"
#define NOTE_NAME  "note"
#define STORE_NAME "shard.db"
/* "<bytes of the organisation> <0 or 1: moved> <both names>", behind this and a checksum. */
#define NOTE_HEAD     "stele-trash 1\n"
#define NOTE_SIZE_MAX (sizeof(NOTE_HEAD) + 17 + 8 + 2 * (size_t)STELE_SHARD_NAME_MAX)

static void path_of_trash(const stele_shards *shards, char path_out[STELE__SHARD_PATH_MAX])
{
    snprintf(path_out, STELE__SHARD_PATH_MAX, "%.400s" TRASH_NAME, shards->root);
}

/* Of its folder, or of a file in it. */
static void path_in_item(const stele_shards *shards, const char *id, const char *name,
                         char path_out[STELE__SHARD_PATH_MAX])
{
    snprintf(path_out, STELE__SHARD_PATH_MAX, "%.400s" TRASH_NAME "/%.40s%s%.20s", shards->root, id,
             *name == '\0' ? "" : "/", name);
}

stele_status stele__trash_lock(stele_shards *shards, stele__patience *patience,
                               stele__folder_lock *lock_out)
{
    char path[STELE__SHARD_PATH_MAX];
    path_of_trash(shards, path);
    return stele__folder_lock_take(path, true, patience, lock_out);
}

/* --- The note --- */

static size_t format_trash_note(const char *organisation, const char *name_space, bool moved,
                                char out[NOTE_SIZE_MAX + 1])
{
    char body[2 * STELE_SHARD_NAME_MAX + 16];
    int size = snprintf(body, sizeof(body), "%zu %d %s%s", strlen(organisation), moved,
                        organisation, name_space);
    size = snprintf(out, NOTE_SIZE_MAX + 1, NOTE_HEAD "%016" PRIx64 "\n%s",
                    stele__hash(body, (size_t)size), body);
    return (size_t)size;
}

static bool parse_trash_note(const char *text, stele__trash_item *item)
{
    char again[NOTE_SIZE_MAX + 1];
    int64_t size = 0;
    int64_t moved = 0;
    const char *at = text + sizeof(NOTE_HEAD) - 1 + 17;
    if (strlen(text) < sizeof(NOTE_HEAD) - 1 + 17 || !stele__take_number(&at, &size)
        || !stele__take_text(&at, " ") || !stele__take_number(&at, &moved)
        || !stele__take_text(&at, " "))
        return false;
    size_t left = strlen(at);
    if (size < 0 || (size_t)size > left || size > STELE_SHARD_NAME_MAX
        || left - (size_t)size > STELE_SHARD_NAME_MAX)
        return false;
    memcpy(item->organisation, at, (size_t)size);
    item->organisation[size] = '\0';
    memcpy(item->name_space, at + size, left - (size_t)size + 1);
    item->moved = moved == 1;
    format_trash_note(item->organisation, item->name_space, item->moved, again);
    return strcmp(again, text) == 0;
}

static stele_status write_trash_note(const char *path, const char *organisation,
                                     const char *name_space, bool moved)
{
    char text[NOTE_SIZE_MAX + 1];
    int descriptor = -1;
    size_t size = format_trash_note(organisation, name_space, moved, text);
    stele_status status = stele__small_file_open(path, true, 0, &descriptor);
    if (status != STELE_OK)
        return status;
    status = stele__small_file_write(descriptor, path, 0, text, size);
    stele__small_file_close(descriptor);
    return status == STELE_OK ? stele__sync_folder(path) : status;
}

/* --- Putting something in --- */

static stele_status make_item(stele_shards *shards, char id_out[STELE__TRASH_ID_SIZE + 1])
{
    uint32_t number = 0;
    bool made = false;
    while (!made) {
        char folder[STELE__SHARD_PATH_MAX];
        stele_status status = stele__random_bytes(&number, sizeof(number));
        if (status != STELE_OK)
            return status;
        int64_t now = stele__clock_now();
        snprintf(id_out, STELE__TRASH_ID_SIZE + 1, "%020" PRIu64 "-%08" PRIx32,
                 (uint64_t)(now < 0 ? 0 : now), number);
        path_in_item(shards, id_out, "", folder);
        status = stele__make_folder(folder, &made);
        if (status != STELE_OK)
            return status;
    }
    return STELE_OK;
}

/* Of a store that can't be opened they may hold commits which the file doesn't. */
static const char *const commits_beside[] = STELE__COMMITS_BESIDE;

/* `publish`: under a second name; else it only has the new one afterwards. */
static stele_status carry_commits(const char *from_store, const char *to_store, bool publish)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < sizeof(commits_beside) / sizeof(commits_beside[0]); i++) {
        char from[STELE__SHARD_PATH_MAX];
        char to[STELE__SHARD_PATH_MAX];
        stele__file_facts facts = { 0 };
        snprintf(from, sizeof(from), "%.500s%s", from_store, commits_beside[i]);
        snprintf(to, sizeof(to), "%.500s%s", to_store, commits_beside[i]);
        if (status == STELE_OK)
            status = stele__look_at_file(from, &facts);
        if (status == STELE_OK && facts.exists)
            status = publish ? stele__publish_file(from, to) : stele__rename(from, to);
    }
    return status;
}

/* So that who looks at it there, and who brings it back, still knows how far its log went. Without
 * it that is only less certain. */
static void carry_anchor(const char *from_store, const char *to_store)
{
    char from[STELE__SHARD_PATH_MAX];
    char to[STELE__SHARD_PATH_MAX];
    stele__file_facts facts = { 0 };
    snprintf(from, sizeof(from), "%.500s-anchor", from_store);
    snprintf(to, sizeof(to), "%.500s-anchor", to_store);
    if (stele__look_at_file(from, &facts) != STELE_OK || !facts.exists)
        return;
    if (stele__rename(from, to) != STELE_OK)
        stele__log(STELE_LOG_WARNING, "the anchor of '%s' stays behind: %s", from_store,
                   stele_error_text());
}

/* It is in the trash, with its store. What is left here is tidied away later. */
static void remove_carried(const stele__shard_place *place)
{
    stele_status status = stele__shard_companions_remove(place->path, false);
    if (status == STELE_OK)
        status = stele__sync_folder(place->path);
    if (status != STELE_OK)
        stele__log(STELE_LOG_WARNING, "'%s' is in the trash, and something of it stays: %s",
                   place->path, stele_error_text());
}

static stele_status fill_trash_item(stele_shards *shards, const char *id, const char *organisation,
                                    const char *name_space, const stele__shard_place *place,
                                    bool moved, bool damaged)
{
    char note[STELE__SHARD_PATH_MAX];
    char store[STELE__SHARD_PATH_MAX];
    path_in_item(shards, id, NOTE_NAME, note);
    path_in_item(shards, id, STORE_NAME, store);
    stele_status status = write_trash_note(note, organisation, name_space, moved);
    /* At both places, durably, before the store is at the other. */
    if (status == STELE_OK && damaged)
        status = carry_commits(place->path, store, true);
    if (status == STELE_OK && damaged)
        status = stele__sync_folder(store);
    /* Before the store goes, durably: what is left would be taken for that of the next one. */
    if (status == STELE_OK)
        carry_anchor(place->path, store);
    if (status == STELE_OK)
        status = stele__shard_companions_remove(place->path, damaged);
    if (status == STELE_OK)
        status = stele__sync_folder(place->path);
    if (status == STELE_OK)
        status = stele__rename(place->path, store);
    bool gone = status == STELE_OK;
    if (status == STELE_OK)
        status = stele__sync_folder(store);
    if (status == STELE_OK)
        status = stele__sync_folder(place->path);
    if (status == STELE_OK && damaged)
        remove_carried(place);
    if (status == STELE_OK)
        return STELE_OK;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    if (gone)
        (void)stele__rename(store, place->path);
    (void)carry_commits(store, place->path, false);
    carry_anchor(store, place->path);
    stele__restore_error(error);
    return status;
}

static void discard_item(stele_shards *shards, const char *id)
{
    char folder[STELE__SHARD_PATH_MAX];
    char store[STELE__SHARD_PATH_MAX];
    char error[STELE__ERROR_SIZE];
    stele__file_facts facts = { .exists = true };
    stele__keep_error(error);
    path_in_item(shards, id, "", folder);
    path_in_item(shards, id, STORE_NAME, store);
    if (stele__look_at_file(store, &facts) == STELE_OK && !facts.exists)
        (void)stele__folder_clear(folder);
    stele__restore_error(error);
}

stele_status stele__trash_put(stele_shards *shards, const char *organisation,
                              const char *name_space, const stele__shard_place *place, bool moved,
                              bool damaged, stele__patience *patience)
{
    char id[STELE__TRASH_ID_SIZE + 1];
    char trash[STELE__SHARD_PATH_MAX];
    stele__folder_lock lock = { -1 };
    path_of_trash(shards, trash);
    stele_status status = stele__make_folder(trash, NULL);
    if (status == STELE_OK)
        status = stele__trash_lock(shards, patience, &lock);
    if (status != STELE_OK)
        return status;
    status = make_item(shards, id);
    if (status == STELE_OK) {
        status = fill_trash_item(shards, id, organisation, name_space, place, moved, damaged);
        if (status != STELE_OK)
            discard_item(shards, id);
    }
    stele__folder_lock_drop(&lock);
    return status;
}

/* --- Taking something out --- */

stele_status stele__trash_take(const stele__trash_item *item, const stele__shard_place *place,
                               bool damaged)
{
    stele_status status = damaged ? carry_commits(item->path, place->path, true) : STELE_OK;
    if (status == STELE_OK && damaged)
        status = stele__sync_folder(place->path);
    if (status == STELE_OK)
        status = stele__rename(item->path, place->path);
    if (status == STELE_OK)
        carry_anchor(item->path, place->path);
    if (status == STELE_OK)
        status = stele__sync_folder(place->path);
    if (status == STELE_OK)
        status = stele__sync_folder(item->path);
    if (status == STELE_OK) /* what is left goes at maintenance, if not now */
        (void)stele__trash_remove(item);
    return status;
}

/* --- Looking at it --- */

/* Whether the name of a folder is that of an item. */
static bool parse_item_id(const char *name, int64_t *time_out)
{
    char digits[21];
    const char *at = digits;
    if (strlen(name) != STELE__TRASH_ID_SIZE || name[20] != '-' || strspn(name, "0123456789") != 20
        || strspn(name + 21, "0123456789abcdef") != 8)
        return false;
    snprintf(digits, sizeof(digits), "%.20s", name);
    return stele__take_number(&at, time_out) && *at == '\0';
}

/* OK; DONE when it isn't whole: cut short, or just being put in or taken out. */
static stele_status read_item(stele_shards *shards, const char *id, stele__trash_item *item)
{
    char note[STELE__SHARD_PATH_MAX];
    char text[NOTE_SIZE_MAX + 2];
    stele__file_facts facts = { 0 };
    size_t size = 0;
    *item = (stele__trash_item){ 0 };
    if (!parse_item_id(id, &item->dropped_at))
        return STELE_DONE;
    snprintf(item->id, sizeof(item->id), "%s", id);
    path_in_item(shards, id, STORE_NAME, item->path);
    path_in_item(shards, id, NOTE_NAME, note);
    stele_status status = stele__look_at_file(item->path, &facts);
    if (status != STELE_OK || !facts.exists)
        return status == STELE_OK || status == STELE_NOT_FOUND ? STELE_DONE : status;
    item->bytes = facts.size;
    status = stele__file_peek(note, text, sizeof(text) - 1, &size);
    if (status == STELE_NOT_FOUND)
        return STELE_DONE;
    if (status != STELE_OK)
        return status;
    text[size] = '\0';
    if (parse_trash_note(text, item))
        return STELE_OK;
    stele__log(STELE_LOG_WARNING, "'%s' is damaged: whose shard lies beside it isn't known", note);
    return STELE_DONE;
}

static int compare_items(const void *a, const void *b)
{
    const stele__trash_item *one = a;
    const stele__trash_item *other = b;
    return strcmp(one->id, other->id);
}

stele_status stele__trash_scan(stele_shards *shards, stele__trash_item **items_out,
                               size_t *count_out)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__folder *scan = NULL;
    const char *name = NULL;
    size_t capacity = 0;
    *items_out = NULL;
    *count_out = 0;
    path_of_trash(shards, path);
    stele_status status = stele__folder_open(path, &scan);
    if (status != STELE_OK)
        return status == STELE_NOT_FOUND ? STELE_OK : status;
    while ((status = stele__folder_next(scan, &name)) == STELE_OK) {
        if (*count_out == capacity) {
            capacity = capacity == 0 ? 8 : capacity * 2;
            stele__trash_item *grown =
                stele__reallocate(*items_out, capacity * sizeof(**items_out));
            if (grown == NULL) {
                status = stele__fail(STELE_NO_MEMORY, "no memory to list the trash");
                break;
            }
            *items_out = grown;
        }
        status = read_item(shards, name, &(*items_out)[*count_out]);
        if (status == STELE_OK)
            ++*count_out;
        else if (status != STELE_DONE)
            break;
    }
    stele__folder_close(scan);
    if (status == STELE_DONE && *count_out > 1)
        qsort(*items_out, *count_out, sizeof(**items_out), compare_items);
    if (status == STELE_DONE)
        return STELE_OK;
    stele__free(*items_out);
    *items_out = NULL;
    *count_out = 0;
    return status;
}

static bool is_wanted_item(const stele__trash_item *item, const char *organisation,
                           const char *name_space, const char *id)
{
    return strcmp(item->organisation, organisation) == 0
           && strcmp(item->name_space, name_space) == 0
           && (id == NULL ? !item->moved : strcmp(item->id, id) == 0);
}

stele_status stele__trash_find(stele_shards *shards, const char *organisation,
                               const char *name_space, const char *id, stele__trash_item *item_out)
{
    stele__trash_item *items = NULL;
    size_t count = 0;
    stele_status status = stele__trash_scan(shards, &items, &count);
    if (status != STELE_OK)
        return status;
    while (count > 0 && !is_wanted_item(&items[count - 1], organisation, name_space, id))
        count--;
    if (count > 0)
        *item_out = items[count - 1];
    else
        status =
            stele__fail(STELE_NOT_FOUND, "no shard '%s' of '%s'%s%.40s is in the trash", name_space,
                        organisation, id == NULL ? "" : " with the id ", id == NULL ? "" : id);
    stele__free(items);
    return status;
}

stele_status stele__trash_remove(const stele__trash_item *item)
{
    char folder[STELE__SHARD_PATH_MAX];
    size_t size = strlen(item->path) - (sizeof(STORE_NAME) - 1) - 1;
    /* The store first: without it the rest is nothing. */
    stele_status status = stele__remove_file(item->path);
    snprintf(folder, sizeof(folder), "%.*s", (int)size, item->path);
    return status == STELE_OK ? stele__folder_clear(folder) : status;
}

/* --- Emptying it --- */

/* Whether it is to go: its time is over, or it is none any more. */
static stele_status judge_item(stele_shards *shards, const char *id, int64_t now,
                               stele__trash_item *item_out, bool *store_out, bool *goes_out)
{
    stele__file_facts facts = { 0 };
    *item_out = (stele__trash_item){ 0 };
    *goes_out = false;
    if (!parse_item_id(id, &item_out->dropped_at))
        return STELE_OK;
    snprintf(item_out->id, sizeof(item_out->id), "%s", id);
    path_in_item(shards, id, STORE_NAME, item_out->path);
    stele_status status = stele__look_at_file(item_out->path, &facts);
    *store_out = facts.exists;
    int64_t grace_us = (int64_t)shards->options.trash_grace_s * 1000000;
    *goes_out = item_out->dropped_at <= now && now - item_out->dropped_at >= grace_us;
    if (status == STELE_OK && !facts.exists && !*goes_out) {
        char wal[STELE__SHARD_PATH_MAX]; /* of a damaged one, on its way */
        path_in_item(shards, id, STORE_NAME "-wal", wal);
        status = stele__look_at_file(wal, &facts);
        *goes_out = !facts.exists;
    }
    return status;
}

static stele_status purge_locked(stele_shards *shards, const char *trash, stele__work *work,
                                 uint64_t *purged)
{
    stele__folder *scan = NULL;
    const char *name = NULL;
    int64_t now = stele__clock_now();
    stele_status status = stele__folder_open(trash, &scan);
    if (status != STELE_OK)
        return status;
    while ((status = stele__folder_next(scan, &name)) == STELE_OK) {
        stele__trash_item item;
        bool store = false;
        bool goes = false;
        status = judge_item(shards, name, now, &item, &store, &goes);
        if (status == STELE_OK && goes)
            status = stele__trash_remove(&item);
        *purged += status == STELE_OK && goes && store;
        if (status == STELE_OK && goes)
            status = stele__work_step(work, 1, 0);
        if (status != STELE_OK)
            break;
    }
    stele__folder_close(scan);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__trash_purge(stele_shards *shards, stele__work *work, uint64_t *purged)
{
    const stele_wait no_wait = { sizeof(no_wait), 0, NULL, NULL };
    char trash[STELE__SHARD_PATH_MAX];
    stele__file_facts facts = { 0 };
    stele__patience patience;
    stele__folder_lock lock = { -1 };
    path_of_trash(shards, trash);
    stele_status status = stele__scratch_sweep(shards);
    if (status == STELE_OK)
        status = stele__look_at_file(trash, &facts);
    if (status != STELE_OK || !facts.exists)
        return status;
    status = stele__patience_begin(&patience, &no_wait, 0, NULL);
    if (status == STELE_OK)
        status = stele__trash_tidy_all(shards, &patience);
    if (status == STELE_OK)
        status = stele__trash_lock(shards, &patience, &lock);
    if (status == STELE_BUSY || status == STELE_NOT_FOUND) /* next time */
        return STELE_OK;
    if (status == STELE_OK)
        status = purge_locked(shards, trash, work, purged);
    stele__folder_lock_drop(&lock);
    return status;
}
