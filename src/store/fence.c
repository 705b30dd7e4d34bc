/* The fence, and who looks at it. */
#include "store/fence.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "sqlite/statement.h"
#include "store/sequencer.h"

#define FENCE_KEY "fence"

/* "move ID WHERE" or "drop ID WHERE". */
static stele_status parse_fence(const char *text, stele__fence *fence_out)
{
    if (stele__take_text(&text, "move "))
        fence_out->kind = STELE__FENCE_MOVE;
    else if (stele__take_text(&text, "drop "))
        fence_out->kind = STELE__FENCE_DROP;
    else
        return stele__fail(STELE_CORRUPT, "the row '" FENCE_KEY "' of meta is damaged");
    const char *blank = strchr(text, ' ');
    size_t id_size = blank == NULL ? 0 : (size_t)(blank - text);
    if (id_size == 0 || id_size >= sizeof(fence_out->id)
        || strlen(blank + 1) >= sizeof(fence_out->where))
        return stele__fail(STELE_CORRUPT, "the row '" FENCE_KEY "' of meta is damaged");
    memcpy(fence_out->id, text, id_size);
    fence_out->id[id_size] = '\0';
    snprintf(fence_out->where, sizeof(fence_out->where), "%s", blank + 1);
    fence_out->found = true;
    return STELE_OK;
}

/* Inside a transaction. */
static stele_status load_fence(stele__database *database, stele__fence *fence_out)
{
    stele__statement *statement = NULL;
    *fence_out = (stele__fence){ 0 };
    stele_status status = stele__statement_begin(
        database, "SELECT value, checksum FROM meta WHERE key = '" FENCE_KEY "'", &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        const char *text = stele__column_text(statement, 0);
        if (text == NULL
            || stele__meta_checksum(FENCE_KEY, text) != stele__column_number(statement, 1))
            status = stele__fail(STELE_CORRUPT, "the row '" FENCE_KEY "' of meta is damaged");
        else
            status = parse_fence(text, fence_out);
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status refuse_by_fence(const stele__fence *fence)
{
    if (!fence->found)
        return STELE_OK;
    if (fence->kind == STELE__FENCE_DROP)
        return stele__fail(STELE_FENCED, "the store is being dropped");
    return stele__fail(STELE_MOVED, "the store has moved, or is just moving, to '%s'",
                       fence->where);
}

/* Others' commits move the revision, and so does what we rolled back. */
stele_status stele__fence_check(stele_store *store)
{
    stele__connection *writer = &store->writer;
    if (store->past_fence || store->no_fence)
        return STELE_OK;
    if (store->fence_known && store->fence_revision == writer->revision
        && !atomic_load(&store->fenced))
        return STELE_OK;
    stele__fence fence;
    stele_status status = load_fence(writer->database, &fence);
    if (status != STELE_OK)
        return status;
    store->fence_known = true;
    store->fence_revision = writer->revision;
    atomic_store(&store->fenced, fence.found);
    return refuse_by_fence(&fence);
}

stele_status stele__fence_tell(stele__database *database)
{
    stele__fence fence;
    stele_status status = load_fence(database, &fence);
    return status == STELE_OK ? refuse_by_fence(&fence) : status;
}

static stele_status begin_past_fence(stele_store *store, const stele_wait *wait,
                                     stele__connection **connection_out, stele__fence *found)
{
    stele_status status = stele__write_begin_past_fence(store, wait, connection_out);
    if (status != STELE_OK)
        return status;
    store->fence_known = false;
    status = load_fence((*connection_out)->database, found);
    if (status != STELE_OK)
        stele__write_end(store);
    return status;
}

stele_status stele__fence_raise(stele_store *store, const stele_wait *wait,
                                const stele__fence *fence)
{
    char text[STELE__FENCE_WHERE_MAX + 64];
    stele__connection *connection = NULL;
    stele__fence found;
    if (strchr(fence->where, '\n') != NULL
        || !stele__utf8_valid(fence->where, strlen(fence->where)))
        return stele__fail(STELE_MISUSE, "the place '%s' has a line end, or isn't UTF-8",
                           fence->where);
    snprintf(text, sizeof(text), "%s %s %s", fence->kind == STELE__FENCE_DROP ? "drop" : "move",
             fence->id, fence->where);
    stele_status status = begin_past_fence(store, wait, &connection, &found);
    if (status != STELE_OK)
        return status;
    /* What is put in order elsewhere would be stored behind the fence all the same. */
    status = stele__sequencer_check_early(store, "a fence");
    if (status != STELE_OK) {
        /* nothing is done */
    } else if (found.found && strcmp(found.id, fence->id) != 0) {
        status = stele__fail(STELE_CONFLICT, "the store is fenced already, by '%s'", found.id);
    } else if (!found.found) {
        stele__connection_touch(connection);
        status = stele__meta_write(connection->database, FENCE_KEY, text);
        if (status == STELE_OK)
            status = stele__write_commit(store);
        if (status == STELE_OK)
            atomic_store(&store->fenced, true);
    }
    stele__write_end(store);
    return stele__settle_outcome(status);
}

stele_status stele__fence_lower(stele_store *store, const stele_wait *wait, const char *id)
{
    stele__connection *connection = NULL;
    stele__fence found;
    stele_status status = begin_past_fence(store, wait, &connection, &found);
    if (status != STELE_OK)
        return status;
    if (found.found && strcmp(found.id, id) == 0) {
        stele__connection_touch(connection);
        status = stele__meta_delete(connection->database, FENCE_KEY);
        if (status == STELE_OK)
            status = stele__write_commit(store);
    }
    stele__write_end(store);
    return stele__settle_outcome(status);
}

stele_status stele__fence_read(stele_store *store, stele__fence *fence_out)
{
    stele__connection *connection = NULL;
    *fence_out = (stele__fence){ 0 };
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = load_fence(connection->database, fence_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele__fence_ask(stele_store *store)
{
    stele__fence fence;
    stele_status status = stele__fence_read(store, &fence);
    return status == STELE_OK ? refuse_by_fence(&fence) : status;
}

stele_status stele__fence_remove(stele__database *database)
{
    return stele__meta_delete(database, FENCE_KEY);
}
