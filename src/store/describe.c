/* Facts about an open store. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"
#include "sqlite/borrowed.h"
#include "store/fence.h"
#include "store/group.h"
#include "store/store.h"

/*
 * Counting events by the index, without those of streams that are not for reading: the library's
 * own, and the deleted, whose name is NULL.
 */
static const char count_events[] =
    "SELECT (SELECT count(*) FROM events) - coalesce((SELECT sum((SELECT count(*) FROM events e"
    " WHERE e.stream = s.id)) FROM streams s WHERE s.name IS NULL"
    " OR (s.name >= '$' AND s.name < '%')), 0)"
    " - coalesce((SELECT sum(base_version) FROM streams WHERE name IS NOT NULL), 0)";

/* Those of streams that are moved, or moving: none of them counts as readable here. */
static const char count_archived[] =
    "SELECT sum(r.last_version - r.first_version + 1) FROM archive_ranges r"
    " JOIN streams s ON s.id = r.stream WHERE s.name IS NOT NULL AND s.state = 1";

static const char count_streams[] =
    "SELECT count(*) FROM streams WHERE name IS NOT NULL AND NOT (name >= '$' AND name < '%')";

static stele_status count_log(stele__database *database, stele_store_info *info)
{
    int64_t pages = 0;
    int64_t free_pages = 0;
    int64_t page_size = 0;
    const struct {
        const char *sql;
        int64_t *number;
    } questions[] = {
        { "SELECT max(position) FROM events", &info->head },
        { count_events, &info->events },
        { count_streams, &info->streams },
        { "PRAGMA page_count", &pages },
        { "PRAGMA page_size", &page_size },
        { "SELECT count(*) FROM types", &info->types },
        { "PRAGMA freelist_count", &free_pages },
        { "SELECT count(*) FROM unfinished", &info->unfinished },
        { count_archived, &info->archived },
        { "SELECT count(*) FROM kept_events", &info->kept },
    };
    stele_status status = STELE_OK;
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]) && status == STELE_OK; i++)
        status = stele__database_number(database, questions[i].sql, questions[i].number);
    info->events -= info->archived;
    info->file_bytes = pages * page_size;
    info->free_bytes = free_pages * page_size;
    return status;
}

static int64_t measure_wal(const stele_store *store)
{
    char path[4200];
    stele__file_facts facts;
    int size = snprintf(path, sizeof(path), "%s-wal", store->path);
    if (store->memory || size < 0 || (size_t)size >= sizeof(path)
        || stele__look_at_file(path, &facts) != STELE_OK)
        return 0;
    return facts.size;
}

/* What a handle of the caller's takes from that. */
static uint32_t find_lost_guarantees(const stele_store *store, bool wal)
{
    const stele__borrowed *borrowed = store->borrowed;
    /* Whatever triggers the handle has run, and its own SQL is free. */
    uint32_t lost = STELE_GUARANTEE_HARDENED;
    if (store->memory)
        return lost;
    if (!wal)
        lost |= STELE_GUARANTEE_CONCURRENT;
    /* Half of a commit that is in the file can be undone only by this process. */
    if (!wal && !borrowed->safe_journal)
        lost |= STELE_GUARANTEE_DURABLE | STELE_GUARANTEE_PERSISTENT;
    /* What stands in the place of SQLite's own hook may transfer as it likes. */
    if (borrowed->wal_autocheckpoint == 0 && stele__sqlite_has_wal_reset_bug())
        lost |= STELE_GUARANTEE_GUARDED;
    return lost;
}

/* What holds for this handle, see stele_guarantee. `wal`: the file has one. */
static uint32_t find_guarantees(const stele_store *store, bool wal)
{
    uint32_t guarantees = STELE_GUARANTEE_HARDENED | STELE_GUARANTEE_GUARDED;
    if (!store->memory) {
        guarantees |=
            STELE_GUARANTEE_PERSISTENT | STELE_GUARANTEE_SHARED | STELE_GUARANTEE_CONCURRENT;
        if (store->options.immutable)
            guarantees &= ~(uint32_t)STELE_GUARANTEE_SHARED;
        if (store->options.durability == STELE_DURABILITY_FULL)
            guarantees |= STELE_GUARANTEE_DURABLE;
        if (store->turnstile != NULL)
            guarantees |= STELE_GUARANTEE_FAIR;
        if (!store->options.read_only
            && (store->anchor_state == STELE_ANCHOR_GOOD
                || store->anchor_state == STELE_ANCHOR_MISSING))
            guarantees |= STELE_GUARANTEE_ANCHORED;
    }
    return store->wrapped == NULL ? guarantees : guarantees & ~find_lost_guarantees(store, wal);
}

static stele_status describe_fence(stele_store *store, stele_store_info *info)
{
    stele__fence fence;
    stele_status status = stele__fence_read(store, &fence);
    if (status != STELE_OK || !fence.found)
        return status;
    info->fence = fence.kind == STELE__FENCE_DROP ? STELE_FENCE_DROP : STELE_FENCE_MOVE;
    if (info->fence == STELE_FENCE_MOVE)
        snprintf(info->fence_where, sizeof(info->fence_where), "%.511s", fence.where);
    return STELE_OK;
}

/* What goes on just now, and what went on. */
static void describe_state(stele_store *store, stele_store_info *info)
{
    int64_t now_us = stele__clock_monotonic_us();
    pthread_mutex_lock(&store->mutex);
    info->commits = store->requests->commits;
    info->appends = store->requests->requests;
    info->appends_waiting = store->requests->submitted - store->requests->settled;
    info->transfers = store->transfers.complete;
    info->transfers_short = store->transfers.incomplete;
    info->transfers_failed = store->transfers.failed;
    info->gates = store->transfers.gates;
    for (stele__connection *reader = store->busy_readers; reader != NULL; reader = reader->next)
        if (now_us - reader->page_began_us > info->oldest_read_us)
            info->oldest_read_us = now_us - reader->page_began_us;
    pthread_mutex_unlock(&store->mutex);
}

stele_status stele_store_describe(stele_store *store, stele_store_info *info_out)
{
    if (info_out == NULL)
        return stele__fail(STELE_MISUSE, "info_out is NULL");
    stele_store_info info = STELE_STORE_INFO_INIT;
    size_t given_size = info_out->struct_size;
    stele_status status = STELE_OK;
    if (given_size < sizeof(given_size))
        status = stele__fail(STELE_MISUSE, "stele_store_info.struct_size is %zu", given_size);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;

    stele__connection *connection = NULL;
    bool wal = false;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = count_log(connection->database, &info);
        wal = status == STELE_OK && stele__database_has_wal(connection->database);
        stele__read_end(store, connection);
    }
    if (status == STELE_OK)
        status = describe_fence(store, &info);
    describe_state(store, &info);
    memcpy(info.uuid, store->uuid, sizeof(info.uuid));
    memcpy(info.epoch, store->epoch, sizeof(info.epoch));
    info.format = STELE_FORMAT;
    info.wal_bytes = measure_wal(store);
    info.durability = store->options.durability;
    info.wal_reset =
        stele__sqlite_has_wal_reset_bug() ? STELE_WAL_RESET_GUARDED : STELE_WAL_RESET_FIXED;
    info.read_only = store->options.read_only;
    info.memory = store->memory;
    info.foreign_objects = store->foreign_objects;
    info.connections = atomic_load(&store->connection_count);
    info.immutable = store->options.immutable;
    info.wrapped = store->wrapped != NULL;
    info.guarantees = find_guarantees(store, wal);
    info.anchor = store->anchor_state;
    info.anchor_head = store->anchor_head;
    info.backup = store->backup;
    stele__store_leave(store);

    if (status == STELE_OK) {
        memcpy(info_out, &info, given_size < sizeof(info) ? given_size : sizeof(info));
        info_out->struct_size = given_size;
    }
    return status;
}
