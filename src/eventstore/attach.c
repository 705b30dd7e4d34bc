/* Which store is the archive of a uuid: attached to be read from, given, or found by its path. */
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "eventstore/lifecycle.h"

/* Guards what is attached, to all stores: a store's own mutex may be taken under it, never the
 * other way round, so that stores which are attached to each other can't block one another. */
static pthread_mutex_t attach_mutex = PTHREAD_MUTEX_INITIALIZER;

/* What is attached to a store. */
typedef struct attached_archives {
    stele_store **archives;
    size_t count;
    size_t capacity;
} attached_archives;

static void dispose_attached(void *state)
{
    attached_archives *attached = state;
    for (size_t i = 0; i < attached->count; i++)
        stele__store_release(attached->archives[i]);
    stele__free(attached->archives);
    stele__free(attached);
}

/* With the mutex held. */
static attached_archives *attached_of(stele_store *store)
{
    return atomic_load(&store->attachments[STELE__ATTACHMENT_ARCHIVES].state);
}

static attached_archives *make_attached(stele_store *store)
{
    stele__attachment *attachment = &store->attachments[STELE__ATTACHMENT_ARCHIVES];
    attached_archives *attached = attached_of(store);
    if (attached != NULL)
        return attached;
    attached = stele__allocate_array(1, sizeof(*attached));
    if (attached != NULL) {
        attachment->dispose = dispose_attached;
        atomic_store(&attachment->state, attached);
    }
    return attached;
}

static size_t find_attached(const attached_archives *attached, const stele_store *archive)
{
    size_t i = 0;
    while (attached != NULL && i < attached->count && attached->archives[i] != archive)
        i++;
    return i;
}

/* With the mutex held. */
static stele_status add_attached(stele_store *store, stele_store *archive)
{
    const attached_archives *back = attached_of(archive);
    if (back != NULL && find_attached(back, store) < back->count)
        return stele__fail(STELE_MISUSE, "the store is attached to that archive itself");
    attached_archives *attached = make_attached(store);
    if (attached != NULL && attached->count == attached->capacity) {
        size_t capacity = attached->capacity == 0 ? 4 : 2 * attached->capacity;
        stele_store **archives =
            stele__reallocate(attached->archives, capacity * sizeof(stele_store *));
        if (archives == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory to attach an archive");
        attached->archives = archives;
        attached->capacity = capacity;
    }
    if (attached == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory to attach an archive");
    attached->archives[attached->count++] = archive;
    return STELE_OK;
}

static stele_status check_attach(const stele_store *store, const stele_store *archive)
{
    if (archive == NULL)
        return stele__fail(STELE_MISUSE, "the archive is NULL");
    if (archive == store || strcmp(archive->uuid, store->uuid) == 0)
        return stele__fail(STELE_MISUSE, "a store can't be its own archive");
    return STELE_OK;
}

stele_status stele_store_attach(stele_store *store, stele_store *archive)
{
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = check_attach(store, archive);
    if (status == STELE_OK)
        status = stele__store_check(archive);
    if (status == STELE_OK) {
        stele__store_hold(archive);
        pthread_mutex_lock(&attach_mutex);
        attached_archives *attached = attached_of(store);
        bool there = attached != NULL && find_attached(attached, archive) < attached->count;
        if (!there)
            status = add_attached(store, archive);
        pthread_mutex_unlock(&attach_mutex);
        if (there || status != STELE_OK)
            stele__store_release(archive);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_store_detach(stele_store *store, stele_store *archive)
{
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    if (archive == NULL)
        status = stele__fail(STELE_MISUSE, "the archive is NULL");
    bool found = false;
    pthread_mutex_lock(&attach_mutex);
    attached_archives *attached = attached_of(store);
    size_t i = find_attached(attached, archive);
    if (status == STELE_OK && attached != NULL && i < attached->count) {
        found = true;
        attached->archives[i] = attached->archives[--attached->count];
    }
    pthread_mutex_unlock(&attach_mutex);
    if (found)
        stele__store_release(archive);
    stele__store_leave(store);
    return status;
}

bool stele__has_attached(stele_store *store)
{
    pthread_mutex_lock(&attach_mutex);
    const attached_archives *attached = attached_of(store);
    bool has = attached != NULL && attached->count > 0;
    pthread_mutex_unlock(&attach_mutex);
    return has;
}

/* Held, not entered; NULL when there is none. `writable` passes over those opened for reading. */
static stele_store *hold_attached(stele_store *store, const char *uuid, bool writable)
{
    stele_store *found = NULL;
    pthread_mutex_lock(&attach_mutex);
    const attached_archives *attached = attached_of(store);
    for (size_t i = 0; attached != NULL && i < attached->count && found == NULL; i++) {
        stele_store *archive = attached->archives[i];
        if (strcmp(archive->uuid, uuid) == 0 && !(writable && archive->options.read_only))
            found = archive;
    }
    if (found != NULL)
        stele__store_hold(found);
    pthread_mutex_unlock(&attach_mutex);
    return found;
}

stele_status stele__attached_enter(stele_store *store, const char *uuid, stele_store **archive_out)
{
    *archive_out = NULL;
    stele_store *archive = hold_attached(store, uuid, false);
    if (archive == NULL)
        return STELE_OK;
    stele_status status = stele__store_enter(archive);
    if (status == STELE_OK) {
        *archive_out = archive;
        return STELE_OK;
    }
    stele__store_release(archive);
    return stele__fail_within(status, "the attached archive %s", uuid);
}

/* Whether the store at the archive's last path is that archive, and knows the move. One that has
 * forgotten it has nothing left to be dropped, and nothing will be written there. */
static stele_status knows_move(stele_store *archive, const stele__range *range, bool to_drop,
                               bool *knows_out)
{
    stele__connection *connection = NULL;
    stele__kept kept;
    *knows_out = false;
    if (strcmp(archive->uuid, range->uuid) != 0)
        return STELE_OK;
    stele_status status = stele__read_begin(archive, NULL, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__kept_find(connection, range->move, knows_out, &kept);
    stele__read_end(archive, connection);
    *knows_out |= status == STELE_OK && to_drop;
    return status;
}

/* NULL when what lies there isn't the archive, or doesn't know the move: as if nothing were there.
 */
static stele_status open_if_known(stele_store *store, const stele__range *range, bool to_drop,
                                  bool read_only, stele_store **archive_out)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.must_exist = true;
    options.no_resume = true;
    options.read_only = read_only;
    options.busy_timeout_ms = store->options.busy_timeout_ms;
    bool knows = false;
    stele_status status = stele__store_open(range->hint, &options, archive_out);
    if (status == STELE_OK && (*archive_out)->lost[0] == '\0')
        status = knows_move(*archive_out, range, to_drop, &knows);
    if (status == STELE_OK && knows)
        return STELE_OK;
    stele_store_close(*archive_out);
    *archive_out = NULL;
    return status == STELE_NO_MEMORY || status == STELE_BUSY ? status : STELE_OK;
}

/* The path is that of a file which may be forged: it is looked at before it is opened for writing,
 * since that alone may transfer a WAL, migrate, or leave files beside a store of somebody else's.
 */
static stele_status open_by_path(stele_store *store, const stele__range *range, bool to_drop,
                                 stele__archive_handle *handle)
{
    stele_store *archive = NULL;
    if (range->hint[0] == '\0')
        return STELE_OK;
    stele_status status = open_if_known(store, range, to_drop, true, &archive);
    if (status != STELE_OK || archive == NULL)
        return status;
    stele_store_close(archive);
    status = open_if_known(store, range, to_drop, false, &archive);
    handle->store = archive;
    handle->opened = archive != NULL;
    return status;
}

stele_status stele__archive_open(stele_store *store, const stele__range *range, stele_store *given,
                                 bool to_drop, stele__archive_handle *handle_out)
{
    *handle_out = (stele__archive_handle){ 0 };
    if (given != NULL && strcmp(given->uuid, range->uuid) == 0) {
        handle_out->store = given;
    } else {
        handle_out->store = hold_attached(store, range->uuid, true);
        handle_out->attached = handle_out->store != NULL;
    }
    if (handle_out->store == NULL)
        return open_by_path(store, range, to_drop, handle_out);
    stele_status status = stele__store_enter(handle_out->store);
    if (status == STELE_OK)
        return STELE_OK;
    if (handle_out->attached)
        stele__store_release(handle_out->store);
    *handle_out = (stele__archive_handle){ 0 };
    return stele__fail_within(status, "the archive %s", range->uuid);
}

stele_status stele__archive_expect(const stele_store *given, const stele__range *range)
{
    if (given == NULL || strcmp(given->uuid, range->uuid) == 0)
        return STELE_OK;
    return stele__fail(STELE_MISUSE, "the store given is %s, and the data is in the archive %s",
                       given->uuid, range->uuid);
}

void stele__archive_close(stele__archive_handle *handle)
{
    if (handle->store != NULL && !handle->opened)
        stele__store_leave(handle->store);
    if (handle->opened)
        stele_store_close(handle->store);
    else if (handle->attached)
        stele__store_release(handle->store);
    *handle = (stele__archive_handle){ 0 };
}

stele_status stele__archive_missing(const char *stream, const stele__range *range)
{
    return stele__fail(STELE_ARCHIVED,
                       "the data of stream '%s' is in the archive %s, which isn't at '%s': give it",
                       stream, range->uuid, range->hint);
}
