/* Keyed data of one shard: state entries of one scope. */
#include <stele/shard_keys.h>

#include <string.h>

#include "base/failure.h"
#include "shard/keys.h"

static stele_status check_keyed_shard(const stele_shard *shard)
{
    return shard == NULL ? stele__fail(STELE_MISUSE, "the shard is NULL") : STELE_OK;
}

stele_status stele_shard_put(stele_shard *shard, const char *key, const void *data, size_t size)
{
    stele_put put = STELE_PUT_INIT;
    put.scope = STELE_KEYED_SCOPE;
    put.key = key;
    put.data = data;
    put.data_size = size;
    stele_status status = check_keyed_shard(shard);
    return status == STELE_OK ? stele_state_put(shard->store, &put, NULL) : status;
}

stele_status stele__keyed_answer(const stele_entry *entry, stele_buffer *value, bool *found_out)
{
    if (value != NULL)
        value->size = 0;
    if (value != NULL && entry != NULL && entry->found) {
        stele_status status = stele_buffer_add(value, entry->data, entry->data_size);
        if (status == STELE_OK)
            status = stele_buffer_add(value, "", 1);
        value->size = status == STELE_OK ? value->size - 1 : 0;
        if (status != STELE_OK)
            return status;
    }
    *found_out = entry != NULL && entry->found;
    return STELE_OK;
}

stele_status stele_shard_get(stele_shard *shard, const char *key, stele_buffer *value,
                             bool *found_out)
{
    const stele_entry *entry = NULL;
    if (found_out == NULL)
        return stele__fail(STELE_MISUSE, "found_out is NULL");
    *found_out = false;
    stele_status status = check_keyed_shard(shard);
    if (status == STELE_OK)
        status = stele_state_get(shard->store, STELE_KEYED_SCOPE, key, &entry);
    if (status == STELE_OK)
        status = stele__keyed_answer(entry, value, found_out);
    stele_entry_close(entry);
    return status;
}

stele_status stele_shard_updated_at(stele_shard *shard, const char *key, int64_t *updated_at_out)
{
    const stele_entry *entry = NULL;
    if (updated_at_out == NULL)
        return stele__fail(STELE_MISUSE, "updated_at_out is NULL");
    *updated_at_out = 0;
    stele_status status = check_keyed_shard(shard);
    if (status == STELE_OK)
        status = stele_state_get(shard->store, STELE_KEYED_SCOPE, key, &entry);
    if (status == STELE_OK && entry->found)
        *updated_at_out = entry->updated_at;
    stele_entry_close(entry);
    return status;
}

stele_status stele_shard_delete(stele_shard *shard, const char *key)
{
    stele_remove remove = STELE_REMOVE_INIT;
    remove.scope = STELE_KEYED_SCOPE;
    remove.key = key;
    stele_status status = check_keyed_shard(shard);
    return status == STELE_OK ? stele_state_delete(shard->store, &remove, NULL) : status;
}

stele_status stele_shard_keys(stele_shard *shard, const char *prefix, stele_keyed_function function,
                              void *context)
{
    stele_entries_read read = STELE_ENTRIES_READ_INIT;
    stele_entries *entries = NULL;
    const stele_entry *entry = NULL;
    if (function == NULL)
        return stele__fail(STELE_MISUSE, "the function is NULL");
    stele_status status = check_keyed_shard(shard);
    if (status != STELE_OK)
        return status;
    read.scope = STELE_KEYED_SCOPE;
    read.prefix = prefix;
    status = stele_state_list(shard->store, &read, &entries);
    if (status != STELE_OK)
        return status;
    /* The page is a copy in memory: the function may write, and list, as it likes. */
    while ((status = stele_entries_next(entries, &entry)) == STELE_OK) {
        const stele_keyed keyed = { .key = entry->key,
                                    .data = entry->data,
                                    .data_size = entry->data_size,
                                    .updated_at = entry->updated_at,
                                    .revision = entry->revision };
        status = function(context, &keyed);
        if (status != STELE_OK) {
            stele_entries_close(entries);
            return status;
        }
    }
    stele_entries_close(entries);
    return status == STELE_DONE ? STELE_OK : status;
}
