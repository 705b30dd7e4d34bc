/* Keys that say in which shard they are. */
#include <stele/shard_keys.h>

#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "shard/keys.h"

static const char *const default_cross_kinds[] = { "ns", "nx" };

static bool is_cross_kind(const stele_shards *shards, const char *kind, size_t size)
{
    const char *const *kinds = shards->options.cross_kinds;
    size_t count = shards->options.cross_kind_count;
    if (kinds == NULL) {
        kinds = default_cross_kinds;
        count = sizeof(default_cross_kinds) / sizeof(default_cross_kinds[0]);
    }
    for (size_t i = 0; i < count; i++)
        if (strlen(kinds[i]) == size && memcmp(kinds[i], kind, size) == 0)
            return true;
    return false;
}

static void split_key(const stele_shards *shards, const char *key, stele_key_parts *parts)
{
    const char *slash = strchr(key, '/');
    *parts = (stele_key_parts){ .kind = key };
    parts->kind_size = slash == NULL ? strlen(key) : (size_t)(slash - key);
    if (slash != NULL) {
        parts->name_space = slash + 1;
        slash = strchr(parts->name_space, '/');
        parts->name_space_size =
            slash == NULL ? strlen(parts->name_space) : (size_t)(slash - parts->name_space);
    }
    if (slash != NULL) {
        parts->rest = slash + 1;
        parts->rest_size = strlen(parts->rest);
    }
    parts->cross = is_cross_kind(shards, key, parts->kind_size);
    parts->complete = parts->kind_size > 0 && parts->name_space_size > 0
                      && (parts->rest != NULL ? parts->rest_size > 0 : parts->cross);
}

stele_status stele_shards_parse_key(stele_shards *shards, const char *key,
                                    stele_key_parts *parts_out)
{
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    if (key == NULL || parts_out == NULL)
        status = stele__fail(STELE_MISUSE, "%s is NULL", key == NULL ? "the key" : "parts_out");
    else if (*key == '\0' || *key == '/')
        status = stele__fail(STELE_MISUSE, "the key '%s' has no kind", key);
    else
        split_key(shards, key, parts_out);
    stele__shards_leave(shards);
    return status;
}

/* --- One value --- */

static stele_status take_namespace(const stele_key_parts *parts,
                                   char name_out[STELE_SHARD_NAME_MAX + 1])
{
    if (parts->name_space_size > STELE_SHARD_NAME_MAX)
        return stele__fail(STELE_TOO_LARGE, "the namespace in the key has %zu bytes, beyond %d",
                           parts->name_space_size, STELE_SHARD_NAME_MAX);
    memcpy(name_out, parts->name_space, parts->name_space_size);
    name_out[parts->name_space_size] = '\0';
    return STELE_OK;
}

/* Between two calls another thread may close the shards: their memory stays until we are through.
 */
static stele_status hold_open_shards(stele_shards *shards)
{
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    stele__shards_hold(shards);
    stele__shards_leave(shards);
    return STELE_OK;
}

static stele_status acquire_held(stele_shards *shards, const char *organisation, const char *key,
                                 bool create, stele_shard **shard_out)
{
    stele_key_parts parts;
    stele_acquire how = STELE_ACQUIRE_INIT;
    char name_space[STELE_SHARD_NAME_MAX + 1];
    stele_status status = stele_shards_parse_key(shards, key, &parts);
    if (status == STELE_OK && !parts.complete)
        status =
            stele__fail(STELE_MISUSE, "the key '%s' is not complete: it must be kind/namespace%s",
                        key, parts.cross ? " or kind/namespace/rest" : "/rest");
    if (status == STELE_OK)
        status = stele__check_name("key", key);
    if (status == STELE_OK)
        status = take_namespace(&parts, name_space);
    if (status != STELE_OK)
        return status;
    how.must_exist = !create;
    return stele_shards_acquire(shards, organisation, name_space, &how, shard_out);
}

/* The shard that the key names. NOT_FOUND: it isn't there, and `create` isn't set. */
static stele_status acquire_by_key(stele_shards *shards, const char *organisation, const char *key,
                                   bool create, stele_shard **shard_out)
{
    stele_status status = hold_open_shards(shards);
    if (status != STELE_OK)
        return status;
    status = acquire_held(shards, organisation, key, create, shard_out);
    stele__shards_release(shards);
    return status;
}

stele_status stele_shards_put(stele_shards *shards, const char *organisation, const char *key,
                              const void *data, size_t size)
{
    stele_shard *shard = NULL;
    stele_status status = acquire_by_key(shards, organisation, key, true, &shard);
    if (status == STELE_OK)
        status = stele_shard_put(shard, key, data, size);
    stele_shard_release(shard);
    return status;
}

stele_status stele_shards_get(stele_shards *shards, const char *organisation, const char *key,
                              stele_buffer *value, bool *found_out)
{
    stele_shard *shard = NULL;
    if (found_out == NULL)
        return stele__fail(STELE_MISUSE, "found_out is NULL");
    *found_out = false;
    stele_status status = acquire_by_key(shards, organisation, key, false, &shard);
    if (status == STELE_NOT_FOUND)
        return stele__keyed_answer(NULL, value, found_out);
    if (status == STELE_OK)
        status = stele_shard_get(shard, key, value, found_out);
    stele_shard_release(shard);
    return status;
}

stele_status stele_shards_delete(stele_shards *shards, const char *organisation, const char *key)
{
    stele_shard *shard = NULL;
    stele_status status = acquire_by_key(shards, organisation, key, false, &shard);
    if (status == STELE_NOT_FOUND)
        return STELE_OK;
    if (status == STELE_OK)
        status = stele_shard_delete(shard, key);
    stele_shard_release(shard);
    return status;
}

/* --- Many --- */

/* Names of shards, kept together. */
typedef struct shard_names {
    char **names;
    size_t count;
    size_t capacity;
} shard_names;

static void dispose_names(shard_names *all)
{
    for (size_t i = 0; i < all->count; i++)
        stele__free(all->names[i]);
    stele__free(all->names);
    *all = (shard_names){ 0 };
}

static stele_status add_name(shard_names *all, const char *name)
{
    if (all->count == all->capacity) {
        size_t capacity = all->capacity == 0 ? 16 : all->capacity * 2;
        char **grown = stele__reallocate(all->names, capacity * sizeof(*grown));
        if (grown == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu names", capacity);
        all->names = grown;
        all->capacity = capacity;
    }
    all->names[all->count] = stele__copy_text(name);
    if (all->names[all->count] == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a name");
    all->count++;
    return STELE_OK;
}

static stele_status find_shards_of(stele_shards *shards, const char *organisation, shard_names *all)
{
    stele_shards_read read = STELE_SHARDS_READ_INIT;
    stele_shard_list *list = NULL;
    const stele_shard_entry *entry = NULL;
    read.organisation = organisation;
    stele_status status = stele_shards_list(shards, &read, &list);
    while (status == STELE_OK && (status = stele_shard_list_next(list, &entry)) == STELE_OK)
        if (!entry->moved)
            status = add_name(all, entry->name_space);
    stele_shard_list_close(list);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status gather_all(stele__gathering *gathering)
{
    shard_names all = { 0 };
    stele_status status = find_shards_of(gathering->shards, gathering->organisation, &all);
    gathering->lenient = true;
    if (status == STELE_OK)
        status = stele__keys_gather(gathering, (const char *const *)all.names, all.count);
    dispose_names(&all);
    return status;
}

static stele_status gather_one(stele__gathering *gathering, const stele_key_parts *parts)
{
    char name[STELE_SHARD_NAME_MAX + 1];
    const char *names[1] = { name };
    stele_status status = take_namespace(parts, name);
    if (status == STELE_OK)
        status = stele__check_namespace(name);
    return status == STELE_OK ? stele__keys_gather(gathering, names, 1) : status;
}

static stele_status list_held(stele_shards *shards, const char *organisation, const char *prefix,
                              stele_keyed_function function, void *context)
{
    stele_key_parts parts = { 0 };
    stele_status status = STELE_OK;
    if (prefix != NULL && *prefix == '\0')
        prefix = NULL;
    if (prefix != NULL)
        status = stele_shards_parse_key(shards, prefix, &parts);
    if (status == STELE_OK && function == NULL)
        status = stele__fail(STELE_MISUSE, "the function is NULL");
    if (status == STELE_OK)
        status = stele__check_organisation(organisation);
    if (status != STELE_OK)
        return status;
    stele__gathering gathering = { .shards = shards,
                                   .organisation = organisation,
                                   .prefix = prefix,
                                   .function = function,
                                   .context = context };
    return parts.rest != NULL && !parts.cross ? gather_one(&gathering, &parts)
                                              : gather_all(&gathering);
}

stele_status stele_shards_keys(stele_shards *shards, const char *organisation, const char *prefix,
                               stele_keyed_function function, void *context)
{
    stele_status status = hold_open_shards(shards);
    if (status != STELE_OK)
        return status;
    /* The function may close the shards, on this thread as on any. */
    status = list_held(shards, organisation, prefix, function, context);
    stele__shards_release(shards);
    return status;
}
