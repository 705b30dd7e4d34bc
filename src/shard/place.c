/* Where a shard is, or would be: looking for names that are hashed, and making folders. */
#include "shard/shard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/platform.h"

#define NAME_HEAD      "stele-name 1\n"
#define NAME_HEAD_SIZE (sizeof(NAME_HEAD) - 1)
#define NAME_FILE_MAX  (NAME_HEAD_SIZE + 17 + STELE_SHARD_NAME_MAX)

static stele_status format_place_path(char out[STELE__SHARD_PATH_MAX], const char *folder,
                                      const char *name, const char *suffix)
{
    int size = snprintf(out, STELE__SHARD_PATH_MAX, "%s/%s%s", folder, name, suffix);
    if (size < 0 || size >= STELE__SHARD_PATH_MAX)
        return stele__fail(STELE_TOO_LARGE, "the path '%s/%s%s' has %d bytes, and at most %d go",
                           folder, name, suffix, size, STELE__SHARD_PATH_MAX - 1);
    return STELE_OK;
}

stele_status stele__shard_new_name(const char *prefix, char name_out[64])
{
    uint64_t number = 0;
    stele_status status = stele__random_bytes(&number, sizeof(number));
    if (status == STELE_OK)
        snprintf(name_out, 64, "%.40s%016" PRIx64, prefix, number);
    return status;
}

/* --- The file that holds a name --- */

static size_t format_name_file(const char *name, char out[NAME_FILE_MAX + 1])
{
    size_t size = strlen(name);
    int written = snprintf(out, NAME_FILE_MAX + 1, NAME_HEAD "%016" PRIx64 "\n%s",
                           stele__hash(name, size), name);
    return (size_t)written;
}

stele_status stele__shard_name_read(const char *path, char name_out[STELE_SHARD_NAME_MAX + 1])
{
    char bytes[NAME_FILE_MAX + 2];
    char again[NAME_FILE_MAX + 1];
    size_t size = 0;
    stele__file_facts facts;
    name_out[0] = '\0';
    stele_status status = stele__look_at_file(path, &facts);
    if (status != STELE_OK)
        return status == STELE_NOT_FOUND ? STELE_DONE : status;
    if (!facts.exists || (facts.regular && facts.size == 0))
        return STELE_DONE;
    status = stele__file_peek(path, bytes, sizeof(bytes) - 1, &size);
    if (status != STELE_OK)
        return status;
    bytes[size] = '\0';
    size_t name_at = NAME_HEAD_SIZE + 17;
    if (size > name_at && size <= NAME_FILE_MAX) {
        memcpy(name_out, bytes + name_at, size - name_at + 1);
        if (format_name_file(name_out, again) == size && memcmp(again, bytes, size) == 0)
            return STELE_OK;
    }
    name_out[0] = '\0';
    return stele__fail(STELE_CORRUPT, "'%s' should hold a name, and doesn't", path);
}

/* Durably, and whole from the first moment. `path` must be free. */
static stele_status write_name_file(const char *path, const char *name)
{
    char bytes[NAME_FILE_MAX + 1];
    size_t size = format_name_file(name, bytes);
    int descriptor = -1;
    stele_status status = stele__small_file_open(path, true, 0, &descriptor);
    if (status != STELE_OK)
        return status;
    status = stele__small_file_write(descriptor, path, 0, bytes, size);
    stele__small_file_close(descriptor);
    return status;
}

/* Whether what is at `path` holds another name; `*named_out`: it holds this one. */
static stele_status compare_name(const char *path, const char *name, bool *other_out,
                                 bool *named_out)
{
    char found[STELE_SHARD_NAME_MAX + 1];
    *other_out = false;
    *named_out = false;
    stele_status status = stele__shard_name_read(path, found);
    if (status == STELE_DONE)
        return STELE_OK;
    if (status != STELE_OK)
        return status;
    *named_out = strcmp(found, name) == 0;
    *other_out = !*named_out;
    return STELE_OK;
}

static stele_status fail_with_probes(const char *name)
{
    return stele__fail(STELE_IO, "more than %d names have the hash of '%.40s...'", STELE__PROBE_MAX,
                       name);
}

/* --- Finding --- */

static stele_status find_folder(const char *root, const char *organisation,
                                stele__shard_place *place)
{
    for (unsigned probe = 0; probe <= STELE__PROBE_MAX; probe++) {
        stele__component component;
        char sidecar[STELE__SHARD_PATH_MAX];
        stele__file_facts facts;
        bool other = false;
        stele__component_encode(organisation, true, probe, &component);
        place->folder_hashed = component.hashed;
        stele_status status = format_place_path(place->folder, root, component.text, "");
        if (status == STELE_OK)
            status = stele__look_at_file(place->folder, &facts);
        if (status != STELE_OK)
            return status;
        if (facts.exists && !facts.folder)
            return stele__fail(STELE_MISUSE, "'%s' is %s, not a folder", place->folder,
                               facts.link ? "a link" : "a file");
        place->folder_exists = facts.exists;
        if (!facts.exists || !component.hashed)
            return STELE_OK;
        status = format_place_path(sidecar, place->folder, ".name", "");
        if (status == STELE_OK)
            status = compare_name(sidecar, organisation, &other, &place->folder_named);
        if (status != STELE_OK || !other)
            return status;
    }
    return fail_with_probes(organisation);
}

static stele_status look_beside(const stele__shard_place *place, const char *suffix,
                                bool *exists_out, bool *empty_out)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__file_facts facts;
    stele__shard_place_beside(place, suffix, path);
    stele_status status = stele__look_at_file(path, &facts);
    bool exists = status == STELE_OK && facts.exists;
    bool empty = exists && facts.regular && facts.size == 0;
    *exists_out = exists && !(empty && empty_out != NULL);
    if (empty_out != NULL)
        *empty_out = empty;
    return status;
}

static stele_status find_in_folder(const char *name_space, stele__shard_place *place)
{
    for (unsigned probe = 0; probe <= STELE__PROBE_MAX; probe++) {
        stele__component component;
        char sidecar[STELE__SHARD_PATH_MAX];
        bool other = false;
        stele__component_encode(name_space, false, probe, &component);
        place->hashed = component.hashed;
        stele_status status = format_place_path(place->path, place->folder, component.text, ".db");
        if (status != STELE_OK || !component.hashed)
            return status;
        stele__shard_place_beside(place, ".name", sidecar);
        status = compare_name(sidecar, name_space, &other, &place->named);
        if (status != STELE_OK || !other)
            return status;
    }
    return fail_with_probes(name_space);
}

stele_status stele__shard_place_find(const char *root, const char *organisation,
                                     const char *name_space, stele__shard_place *place_out)
{
    *place_out = (stele__shard_place){ 0 };
    stele_status status = stele__check_organisation(organisation);
    if (status == STELE_OK)
        status = stele__check_namespace(name_space);
    if (status == STELE_OK)
        status = find_folder(root, organisation, place_out);
    if (status == STELE_OK)
        status = find_in_folder(name_space, place_out);
    if (status != STELE_OK || !place_out->folder_exists)
        return status;
    bool named = false;
    if (place_out->hashed && !place_out->named)
        status = look_beside(place_out, ".name", &named, &place_out->name_claimed);
    if (status == STELE_OK)
        status = look_beside(place_out, ".db", &place_out->exists, &place_out->claimed);
    if (status == STELE_OK)
        status = look_beside(place_out, ".moved", &place_out->moved, NULL);
    if (status == STELE_OK)
        status = look_beside(place_out, ".arriving", &place_out->arriving, NULL);
    return status;
}

void stele__shard_place_beside(const stele__shard_place *place, const char *suffix,
                               char path_out[STELE__SHARD_PATH_MAX])
{
    size_t size = strlen(place->path);
    snprintf(path_out, STELE__SHARD_PATH_MAX, "%.*s%s", (int)(size < 3 ? 0 : size - 3), place->path,
             suffix);
}

/* --- Making --- */

/* Alone in the folder: an empty one is what somebody left who was cut before he had named his. */
static stele_status remove_claim(const char *path)
{
    stele__file_facts facts;
    stele_status status = stele__look_at_file(path, &facts);
    if (status != STELE_OK || !facts.exists || !facts.regular || facts.size != 0)
        return status;
    return stele__remove_file(path);
}

/* A file of that name, unless there is one by now. `alone`: with the folder's exclusive lock. */
static stele_status publish_name(const char *folder, const char *path, const char *name, bool alone)
{
    char fresh_name[64];
    char fresh[STELE__SHARD_PATH_MAX];
    char error[STELE__ERROR_SIZE];
    stele_status status = stele__shard_new_name(".new-", fresh_name);
    if (status == STELE_OK)
        status = format_place_path(fresh, folder, fresh_name, "");
    if (status != STELE_OK)
        return status;
    status = write_name_file(fresh, name);
    if (status == STELE_OK && alone)
        status = remove_claim(path);
    if (status == STELE_OK)
        status = stele__publish_file(fresh, path);
    if (status == STELE_MISUSE) /* it is taken, by this name or another */
        status = STELE_OK;
    if (status == STELE_OK)
        status = stele__sync_folder(path);
    stele__keep_error(error);
    (void)stele__remove_file(fresh);
    stele__restore_error(error);
    return status;
}

stele_status stele__shard_name_keep(const char *root, const char *organisation,
                                    const char *name_space, bool alone, stele__shard_place *place)
{
    stele_status status = STELE_OK;
    while (status == STELE_OK && place->hashed && !place->named
           && (alone || !place->name_claimed)) {
        char sidecar[STELE__SHARD_PATH_MAX];
        stele__shard_place_beside(place, ".name", sidecar);
        status = publish_name(place->folder, sidecar, name_space, alone);
        if (status == STELE_OK)
            status = stele__shard_place_find(root, organisation, name_space, place);
    }
    return status;
}

/* A folder without a name is whose name comes first. Alone, so that an empty file is nobody's. */
static stele_status name_folder(const char *organisation, stele__patience *patience,
                                const stele__shard_place *place)
{
    char sidecar[STELE__SHARD_PATH_MAX];
    stele__folder_lock lock = { -1 };
    stele_status status = format_place_path(sidecar, place->folder, ".name", "");
    if (status == STELE_OK)
        status = stele__folder_lock_take(place->folder, true, patience, &lock);
    if (status == STELE_OK)
        status = publish_name(place->folder, sidecar, organisation, true);
    stele__folder_lock_drop(&lock);
    return status;
}

stele_status stele__shard_folder_make(const char *root, const char *organisation,
                                      const char *name_space, stele__patience *patience,
                                      stele__shard_place *place)
{
    stele_status status = STELE_OK;
    while (status == STELE_OK
           && (!place->folder_exists || (place->folder_hashed && !place->folder_named))) {
        status = stele__make_folder(place->folder, NULL);
        if (status == STELE_OK && place->folder_hashed)
            status = name_folder(organisation, patience, place);
        if (status == STELE_OK)
            status = stele__shard_place_find(root, organisation, name_space, place);
    }
    return status;
}
