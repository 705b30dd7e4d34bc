/* The shards under one root: opening and closing them, entering calls, and maintenance. */
#include "shard/shard.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/callback.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/platform.h"

/* How long maintenance waits for who is just creating a store in a folder, before it goes on. */
#define SWEEP_WAIT_MS 100
/* How often the thread looks for remains of creations; calls of the user's always do. */
#define SWEEP_EVERY_US (INT64_C(600) * 1000000)

void stele_shards_options_init(stele_shards_options *options)
{
    *options = (stele_shards_options)STELE_SHARDS_OPTIONS_INIT;
}

/* --- A call --- */

static bool is_ours(const stele_shards *shards)
{
    return shards->fork_count == stele__fork_count();
}

stele_status stele__shards_enter(stele_shards *shards)
{
    if (shards == NULL)
        return stele__fail(STELE_MISUSE, "the shards are NULL");
    if (!is_ours(shards))
        return stele__fail(STELE_MISUSE,
                           "the shards were opened before fork(): only free them here");
    if (stele__callback_running() != NULL)
        return stele__fail(STELE_MISUSE, "called from inside %s, which may call nothing",
                           stele__callback_running());
    stele_status status = STELE_OK;
    pthread_mutex_lock(&shards->mutex);
    if (atomic_load(&shards->closing))
        status = stele__fail(STELE_CLOSED, "the shards were closed");
    else
        shards->calls++;
    pthread_mutex_unlock(&shards->mutex);
    return status;
}

void stele__shards_leave(stele_shards *shards)
{
    pthread_mutex_lock(&shards->mutex);
    if (--shards->calls == 0 && atomic_load(&shards->closing))
        pthread_cond_broadcast(&shards->changed);
    pthread_mutex_unlock(&shards->mutex);
}

void stele__shards_hold(stele_shards *shards)
{
    pthread_mutex_lock(&shards->mutex);
    shards->reference_count++;
    pthread_mutex_unlock(&shards->mutex);
}

static void free_shards(stele_shards *shards)
{
    for (size_t i = 0; shards->chains != NULL && i < shards->chain_count; i++) {
        while (shards->chains[i] != NULL) { /* excluded to the end */
            stele__shard_slot *slot = shards->chains[i];
            shards->chains[i] = slot->next;
            stele__free(slot);
        }
    }
    for (size_t i = 0; shards->kinds != NULL && i < shards->options.cross_kind_count; i++)
        stele__free(shards->kinds[i]);
    stele__free(shards->kinds);
    stele__free(shards->chains);
    stele__free(shards->root);
    if (is_ours(shards)) {
        pthread_cond_destroy(&shards->work);
        pthread_cond_destroy(&shards->changed);
        pthread_mutex_destroy(&shards->sequencing);
        pthread_mutex_destroy(&shards->mutex);
    }
    stele__free(shards);
}

void stele__shards_release(stele_shards *shards)
{
    bool ours = is_ours(shards);
    if (ours)
        pthread_mutex_lock(&shards->mutex);
    bool last = --shards->reference_count == 0;
    if (ours)
        pthread_mutex_unlock(&shards->mutex);
    if (last)
        free_shards(shards);
}

/* --- Maintenance --- */

static stele_status sweep_folder(stele_shards *shards, const char *folder, uint64_t *swept)
{
    bool found = false;
    stele__patience patience;
    stele__folder_lock lock = { -1 };
    stele_status status = stele__shard_sweep_wanted(folder, &found);
    if (status != STELE_OK || !found)
        return status;
    status = stele__patience_begin(&patience, NULL, SWEEP_WAIT_MS, &shards->closing);
    if (status == STELE_OK)
        status = stele__folder_lock_take(folder, true, &patience, &lock);
    if (status == STELE_BUSY)
        return STELE_OK; /* next time */
    if (status == STELE_OK)
        status = stele__shard_sweep(folder, swept);
    stele__folder_lock_drop(&lock);
    return status;
}

static stele_status sweep_all(stele_shards *shards, stele__work *work, uint64_t *swept)
{
    stele__folder *scan = NULL;
    const char *name = NULL;
    stele_status status = stele__folder_open(shards->root, &scan);
    while (status == STELE_OK && (status = stele__folder_next(scan, &name)) == STELE_OK) {
        char folder[STELE__SHARD_PATH_MAX];
        char organisation[STELE_SHARD_NAME_MAX + 1];
        stele__file_facts facts;
        bool hashed = false;
        if (!stele__component_decode(name, true, &hashed, organisation))
            continue;
        snprintf(folder, sizeof(folder), "%.400s/%.100s", shards->root, name);
        status = stele__look_at_file(folder, &facts);
        if (status == STELE_OK && facts.folder)
            status = sweep_folder(shards, folder, swept);
        if (status == STELE_OK)
            status = stele__work_step(work, 1, 0);
    }
    stele__folder_close(scan);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status maintain_shards(stele_shards *shards, const stele_work *options, bool sweep,
                                    stele_maintained *maintained)
{
    stele__work work;
    stele_status status = stele__work_begin(&work, NULL, options);
    if (status != STELE_OK)
        return status;
    work.closing = &shards->closing;
    maintained->closed = stele__shards_close_idle(shards);
    if (shards->store_options.read_only)
        return STELE_OK;
    stele__work_part(&work, "emptying the trash", 0);
    status = stele__trash_purge(shards, &work, &maintained->purged);
    if (status == STELE_OK && sweep) {
        stele__work_part(&work, "sweeping", 0);
        status = sweep_all(shards, &work, &maintained->swept);
        if (status == STELE_OK)
            status = stele__left_behind_sweep(shards, options);
    }
    return status;
}

stele_status stele_shards_maintain(stele_shards *shards, const stele_work *work,
                                   stele_maintained *maintained_out)
{
    stele_maintained maintained = { 0 };
    stele_status status = stele__shards_enter(shards);
    if (status == STELE_OK) {
        status = maintain_shards(shards, work, true, &maintained);
        stele__shards_leave(shards);
    }
    if (maintained_out != NULL)
        *maintained_out = maintained;
    return status;
}

static void *run_shards_maintenance(void *context)
{
    stele_shards *shards = context;
    bool failed = false;
    pthread_mutex_lock(&shards->mutex);
    while (!atomic_load(&shards->closing)) {
        int64_t now_us = stele__clock_monotonic_us();
        stele__condition_wait(&shards->work, &shards->mutex,
                              now_us + (int64_t)shards->options.maintenance_interval_ms * 1000);
        if (atomic_load(&shards->closing))
            break;
        bool sweep = now_us - shards->swept_at_us >= SWEEP_EVERY_US;
        if (sweep)
            shards->swept_at_us = now_us;
        pthread_mutex_unlock(&shards->mutex);
        stele_maintained maintained = { 0 };
        stele_status status = maintain_shards(shards, NULL, sweep, &maintained);
        if (status != STELE_OK && status != STELE_CLOSED && !failed)
            stele__log(STELE_LOG_WARNING, "maintenance of the shards under '%s': %s", shards->root,
                       stele_error_text());
        failed = status != STELE_OK;
        pthread_mutex_lock(&shards->mutex);
    }
    pthread_mutex_unlock(&shards->mutex);
    return NULL;
}

/* --- Opening --- */

static stele_status copy_kinds(stele_shards *shards)
{
    static const char *const kinds[] = { "ns", "nx" };
    stele_shards_options *options = &shards->options;
    const char *const *given = options->cross_kinds == NULL ? kinds : options->cross_kinds;
    size_t count = options->cross_kinds == NULL ? 2 : options->cross_kind_count;
    options->cross_kinds = NULL;
    options->cross_kind_count = 0;
    shards->kinds = stele__allocate_array(count + 1, sizeof(*shards->kinds));
    if (shards->kinds == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for %zu kinds of keys", count);
    for (size_t i = 0; i < count; i++) {
        if (given[i] == NULL || *given[i] == '\0' || strchr(given[i], '/') != NULL)
            return stele__fail(STELE_MISUSE, "cross_kinds[%zu] is %s%s%s", i,
                               given[i] == NULL ? "NULL" : "'", given[i] == NULL ? "" : given[i],
                               given[i] == NULL ? "" : "': a kind is not empty, and has no '/'");
        shards->kinds[i] = stele__copy_text(given[i]);
        if (shards->kinds[i] == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu kinds of keys", count);
        options->cross_kind_count = i + 1;
    }
    options->cross_kinds = (const char *const *)shards->kinds;
    return STELE_OK;
}

static stele_status take_shards_options(stele_shards *shards, const stele_shards_options *given)
{
    stele_store *probe = NULL;
    stele_shards_options *options = &shards->options;
    *options = (stele_shards_options)STELE_SHARDS_OPTIONS_INIT;
    shards->store_options = (stele_options)STELE_OPTIONS_INIT;
    stele_status status =
        stele__options_take("stele_shards_options", given, options, sizeof(*options));
    if (status == STELE_OK)
        status = stele__options_take("stele_options", options->store, &shards->store_options,
                                     sizeof(shards->store_options));
    /* What a store would refuse is refused now. */
    if (status == STELE_OK)
        status = stele__store_make(&shards->store_options, &probe);
    if (status != STELE_OK)
        return status;
    stele__store_release(probe);
    options->store = &shards->store_options;
    if (options->open_max == 0 || options->maintenance_interval_ms == 0)
        return stele__fail(STELE_MISUSE, "%s is 0",
                           options->open_max == 0 ? "open_max" : "maintenance_interval_ms");
    return copy_kinds(shards);
}

static stele_status resolve_root(stele_shards *shards, const char *root)
{
    char *missing = NULL;
    stele_status status = stele__resolve_folder(root, &shards->root);
    if (status == STELE_NOT_FOUND && !shards->options.must_exist) {
        /* Without slashes at its end, which name no file. */
        char *trimmed = stele__copy_text(root);
        if (trimmed == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for the path '%s'", root);
        for (size_t size = strlen(trimmed); size > 1 && trimmed[size - 1] == '/'; size--)
            trimmed[size - 1] = '\0';
        status = stele__resolve_path(trimmed, &missing);
        stele__free(trimmed);
        if (status == STELE_OK && strlen(missing) <= STELE_SHARDS_ROOT_MAX)
            status = stele__make_folder(missing, NULL);
        if (status == STELE_OK && strlen(missing) <= STELE_SHARDS_ROOT_MAX)
            status = stele__resolve_folder(missing, &shards->root);
    }
    const char *resolved = shards->root != NULL ? shards->root : missing;
    if (status == STELE_OK && resolved != NULL && strlen(resolved) > STELE_SHARDS_ROOT_MAX)
        status = stele__fail(STELE_TOO_LARGE, "the root '%s' has %zu bytes, and at most %d go",
                             resolved, strlen(resolved), STELE_SHARDS_ROOT_MAX);
    stele__free(missing);
    return status;
}

static stele_status fill_shards(stele_shards *shards, const char *root,
                                const stele_shards_options *options)
{
    stele_status status = take_shards_options(shards, options);
    if (status == STELE_OK)
        status = resolve_root(shards, root);
    if (status != STELE_OK)
        return status;
    shards->chain_count = (size_t)shards->options.open_max + 61;
    shards->chain_count = shards->chain_count > 4096 ? 4096 : shards->chain_count;
    shards->chains = stele__allocate_array(shards->chain_count, sizeof(stele__shard_slot *));
    if (shards->chains == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the table of shards");
    shards->swept_at_us = INT64_MIN / 2;
    if (!shards->options.maintenance)
        return STELE_OK;
    status =
        stele__thread_start(&shards->maintenance, "stele-shards", run_shards_maintenance, shards);
    shards->has_maintenance = status == STELE_OK;
    return status;
}

stele_status stele_shards_open(const char *root, const stele_shards_options *options,
                               stele_shards **shards_out)
{
    if (shards_out == NULL)
        return stele__fail(STELE_MISUSE, "shards_out is NULL");
    *shards_out = NULL;
    if (root == NULL || *root == '\0')
        return stele__fail(STELE_MISUSE, "the root is %s", root == NULL ? "NULL" : "empty");
    stele_shards *shards = stele__allocate_array(1, sizeof(*shards));
    if (shards == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for shards");
    stele__fork_watch();
    shards->fork_count = stele__fork_count();
    shards->reference_count = 1;
    pthread_mutex_init(&shards->mutex, NULL);
    pthread_mutex_init(&shards->sequencing, NULL);
    stele__condition_init(&shards->changed);
    stele__condition_init(&shards->work);
    stele_status status = fill_shards(shards, root, options);
    if (status == STELE_OK)
        *shards_out = shards;
    else
        stele__shards_release(shards);
    return status;
}

void stele_shards_close(stele_shards *shards)
{
    if (shards == NULL)
        return;
    if (!is_ours(shards)) {
        stele__shards_abandon(shards);
        stele__shards_release(shards);
        return;
    }
    /* It would wait for itself. */
    assert(stele__callback_running() == NULL);

    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    pthread_mutex_lock(&shards->mutex);
    atomic_store(&shards->closing, true);
    pthread_cond_broadcast(&shards->changed);
    pthread_cond_broadcast(&shards->work);
    /* Calls inside may be at work on stores: those end, too. */
    stele__shards_shut_all(shards);
    while (shards->calls > 0) {
        stele__condition_wait(&shards->changed, &shards->mutex, INT64_MAX);
        stele__shards_shut_all(shards);
    }
    pthread_mutex_unlock(&shards->mutex);
    if (shards->has_maintenance)
        pthread_join(shards->maintenance, NULL);
    stele__restore_error(error);
    stele__shards_release(shards);
}

/* --- What there is --- */

const char *stele_shards_root(const stele_shards *shards)
{
    return shards == NULL ? "" : shards->root;
}

stele_store *stele_shard_store(const stele_shard *shard)
{
    return shard == NULL ? NULL : shard->store;
}

const char *stele_shard_organisation(const stele_shard *shard)
{
    return shard == NULL ? "" : shard->slot->organisation;
}

const char *stele_shard_namespace(const stele_shard *shard)
{
    return shard == NULL ? "" : shard->slot->name_space;
}

const char *stele_shard_path(const stele_shard *shard)
{
    return shard == NULL ? "" : shard->slot->path;
}

stele_status stele_shards_path(stele_shards *shards, const char *organisation,
                               const char *name_space, char *path, size_t capacity)
{
    stele__shard_place place;
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    status = path == NULL ? stele__fail(STELE_MISUSE, "the path is NULL")
                          : stele__shard_place_find(shards->root, organisation, name_space, &place);
    if (status == STELE_OK && strlen(place.path) >= capacity)
        status = stele__fail(STELE_MISUSE, "the path has %zu bytes, and there is room for %zu",
                             strlen(place.path) + 1, capacity);
    if (status == STELE_OK)
        snprintf(path, capacity, "%s", place.path);
    stele__shards_leave(shards);
    return status;
}

stele_status stele_shards_describe(stele_shards *shards, stele_shards_info *info_out)
{
    if (info_out == NULL)
        return stele__fail(STELE_MISUSE, "info_out is NULL");
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&shards->mutex);
    *info_out = shards->counts;
    pthread_mutex_unlock(&shards->mutex);
    stele__shards_leave(shards);
    return STELE_OK;
}
