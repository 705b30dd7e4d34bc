/* Reading the folders. */
#include "shard/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"

/* --- Hashed names --- */

/* Only who is found under a name bears it. */
static bool is_component_of(const char *name, bool organisation, const char *component)
{
    stele__component encoded;
    for (unsigned probe = 0; probe <= STELE__PROBE_MAX; probe++) {
        stele__component_encode(name, organisation, probe, &encoded);
        if (strcmp(encoded.text, component) == 0)
            return true;
        if (!encoded.hashed)
            break;
    }
    return false;
}

/* What the store at `path` says: false when it can't be asked, or says nothing. The lock keeps it
 * from being moved away or dropped under that. */
static bool ask_store(stele_shards *shards, const char *folder, const char *path,
                      char organisation_out[STELE_SHARD_NAME_MAX + 1],
                      char name_space_out[STELE_SHARD_NAME_MAX + 1])
{
    stele__patience patience;
    stele__folder_lock lock = { .descriptor = -1 };
    stele_options options = shards->store_options;
    stele_store *store = NULL;
    bool found = false;
    options.read_only = true;
    options.accept_loss = false;
    options.committer = false;
    options.maintenance = false;
    stele_status status =
        stele__patience_begin(&patience, NULL, options.busy_timeout_ms, &shards->closing);
    if (status == STELE_OK)
        status = stele__folder_lock_take(folder, false, &patience, &lock);
    if (status != STELE_OK && status != STELE_READ_ONLY)
        return false;
    status = stele_store_open(path, &options, &store);
    if (status == STELE_OK)
        status = stele__shard_identity_read(store, &found, organisation_out, name_space_out);
    stele_store_close(store);
    stele__folder_lock_drop(&lock);
    return status == STELE_OK && found;
}

/* `<folder>/<name><suffix>`; false when that is too long to be one of ours. */
static bool join_path(const char *folder, const char *name, const char *suffix,
                      char path_out[STELE__SHARD_PATH_MAX])
{
    int size = snprintf(path_out, STELE__SHARD_PATH_MAX, "%s/%s%s", folder, name, suffix);
    return size > 0 && size < STELE__SHARD_PATH_MAX;
}

/* Where `name` ends with `suffix`, and has something before it: what that is. */
static bool cut_suffix(const char *name, const char *suffix,
                       char component_out[STELE__COMPONENT_MAX + 1])
{
    size_t size = strlen(name);
    size_t end = strlen(suffix);
    if (size <= end || size - end > STELE__COMPONENT_MAX || strcmp(name + size - end, suffix) != 0)
        return false;
    memcpy(component_out, name, size - end);
    component_out[size - end] = '\0';
    return true;
}

/* An organisation whose `.name` is gone: its shards know. */
static bool ask_any_store(stele_shards *shards, const char *path,
                          char name_out[STELE_SHARD_NAME_MAX + 1])
{
    char component[STELE__COMPONENT_MAX + 1];
    char file[STELE__SHARD_PATH_MAX];
    char name_space[STELE_SHARD_NAME_MAX + 1];
    const char *name = NULL;
    stele__folder *folder = NULL;
    bool found = false;
    if (stele__folder_open(path, &folder) != STELE_OK)
        return false;
    while (!found && stele__folder_next(folder, &name) == STELE_OK)
        found = cut_suffix(name, ".db", component) && join_path(path, name, "", file)
                && ask_store(shards, path, file, name_out, name_space);
    stele__folder_close(folder);
    return found;
}

/* The name behind a hashed component; false: nobody knows, so it is none of ours. */
static bool find_hashed_name(stele_shards *shards, const char *folder, const char *component,
                             bool organisation, char name_out[STELE_SHARD_NAME_MAX + 1])
{
    char path[STELE__SHARD_PATH_MAX];
    char other[STELE_SHARD_NAME_MAX + 1];
    bool found = join_path(folder, component, organisation ? "/.name" : ".name", path)
                 && stele__shard_name_read(path, name_out) == STELE_OK;
    if (!found && organisation)
        found = join_path(folder, component, "", path) && ask_any_store(shards, path, name_out);
    else if (!found)
        found = join_path(folder, component, ".db", path)
                && ask_store(shards, folder, path, other, name_out);
    return found && is_component_of(name_out, organisation, component);
}

/* --- Rows --- */

/* What a file is of a shard. A folder is an organisation's. */
typedef enum scan_kind { SCAN_STORE, SCAN_MOVED, SCAN_MOVING } scan_kind;

static stele_status add_scan_row(stele__scan *scan, const char *name, const char *component,
                                 scan_kind kind)
{
    if (scan->count == scan->capacity) {
        size_t capacity = scan->capacity == 0 ? 16 : 2 * scan->capacity;
        stele__scan_row *grown = stele__reallocate(scan->rows, capacity * sizeof(*grown));
        if (grown == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for a list of %zu shards", capacity);
        scan->rows = grown;
        scan->capacity = capacity;
    }
    stele__scan_row *row = &scan->rows[scan->count];
    *row = (stele__scan_row){ .there = kind == SCAN_STORE,
                              .moved = kind == SCAN_MOVED,
                              .moving = kind == SCAN_MOVING,
                              .name_at = scan->texts.size };
    stele_status status = stele__buffer_add(&scan->texts, name, strlen(name) + 1);
    row->component_at = scan->texts.size;
    if (status == STELE_OK)
        status = stele__buffer_add(&scan->texts, component, strlen(component) + 1);
    if (status == STELE_OK)
        scan->count++;
    return status;
}

/* A component that was found: it may stand for nothing. */
static stele_status take_component(stele_shards *shards, const char *folder, const char *component,
                                   bool organisation, scan_kind kind, stele__scan *scan)
{
    char name[STELE_SHARD_NAME_MAX + 1];
    bool hashed = false;
    if (!stele__component_decode(component, organisation, &hashed, name))
        return STELE_OK;
    if (hashed && !find_hashed_name(shards, folder, component, organisation, name))
        return STELE_OK;
    return add_scan_row(scan, name, component, kind);
}

static int compare_scan_rows(const void *one, const void *other)
{
    const stele__scan_row *left = one;
    const stele__scan_row *right = other;
    return strcmp(left->name, right->name);
}

/* What is known of a move alone is no shard. */
static void drop_rows_of_moves(stele__scan *scan)
{
    size_t kept = 0;
    for (size_t i = 0; i < scan->count; i++)
        if (scan->rows[i].there || scan->rows[i].moved)
            scan->rows[kept++] = scan->rows[i];
    scan->count = kept;
}

/* The texts stay where they are from now on. A shard with several files is one row. */
static void order_scan(stele__scan *scan)
{
    size_t kept = 0;
    for (size_t i = 0; i < scan->count; i++) {
        scan->rows[i].name = scan->texts.data + scan->rows[i].name_at;
        scan->rows[i].component = scan->texts.data + scan->rows[i].component_at;
    }
    if (scan->count > 1)
        qsort(scan->rows, scan->count, sizeof(*scan->rows), compare_scan_rows);
    for (size_t i = 0; i < scan->count; i++) {
        stele__scan_row *last = kept > 0 ? &scan->rows[kept - 1] : NULL;
        if (last != NULL && strcmp(last->name, scan->rows[i].name) == 0) {
            last->there |= scan->rows[i].there;
            last->moved |= scan->rows[i].moved;
            last->moving |= scan->rows[i].moving;
        } else {
            scan->rows[kept++] = scan->rows[i];
        }
    }
    scan->count = kept;
    drop_rows_of_moves(scan);
}

/* --- Folders --- */

/* Of an empty file: somebody may just be making one, or was cut then. One that has lost what it
 * held is told by its WAL. */
static bool is_name_alone(const char *path)
{
    bool stale = false;
    return stele__shard_companions_judge(path, &stale) == STELE_OK;
}

static stele_status take_folder_entry(stele_shards *shards, const char *folder, const char *name,
                                      bool organisation, stele__scan *scan)
{
    char component[STELE__COMPONENT_MAX + 1];
    char path[STELE__SHARD_PATH_MAX];
    stele__file_facts facts;
    if (*name == '.')
        return STELE_OK;
    scan_kind kind = SCAN_STORE;
    if (!organisation && cut_suffix(name, ".moved", component))
        kind = SCAN_MOVED;
    else if (!organisation && cut_suffix(name, ".moving", component))
        kind = SCAN_MOVING;
    else if (!cut_suffix(name, organisation ? "" : ".db", component))
        return STELE_OK;
    if (!join_path(folder, name, "", path) || stele__look_at_file(path, &facts) != STELE_OK
        || !(organisation ? facts.folder : facts.regular))
        return STELE_OK;
    if (!organisation && kind == SCAN_STORE && facts.size == 0 && is_name_alone(path))
        return STELE_OK;
    return take_component(shards, folder, component, organisation, kind, scan);
}

static stele_status scan_folder(stele_shards *shards, const char *path, bool organisation,
                                stele__scan *scan)
{
    const char *name = NULL;
    stele__folder *folder = NULL;
    scan->texts.size = 0;
    scan->count = 0;
    stele_status status = stele__folder_open(path, &folder);
    if (status == STELE_NOT_FOUND)
        return STELE_OK;
    while (status == STELE_OK && (status = stele__folder_next(folder, &name)) == STELE_OK) {
        if (atomic_load(&shards->closing))
            status = stele__fail(STELE_CLOSED, "the shards were closed");
        if (status == STELE_OK)
            status = take_folder_entry(shards, path, name, organisation, scan);
    }
    stele__folder_close(folder);
    if (status != STELE_DONE)
        return status;
    order_scan(scan);
    return STELE_OK;
}

stele_status stele__scan_organisations(stele_shards *shards, stele__scan *scan)
{
    return scan_folder(shards, shards->root, true, scan);
}

stele_status stele__scan_namespaces(stele_shards *shards, const char *folder, stele__scan *scan)
{
    return scan_folder(shards, folder, false, scan);
}

void stele__scan_dispose(stele__scan *scan)
{
    stele__buffer_dispose(&scan->texts);
    stele__free(scan->rows);
    *scan = (stele__scan){ 0 };
}
