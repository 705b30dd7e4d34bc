/* Keyed data: what the files about one shard, about routing and about many shards share. */
#ifndef STELE_SHARD_KEYS_INTERNAL_H
#define STELE_SHARD_KEYS_INTERNAL_H

#include <stele/shard_keys.h>

#include "shard/shard.h"

/* What stele_shard_get() gives of an entry; NULL: of a shard that isn't there. */
stele_status stele__keyed_answer(const stele_entry *entry, stele_buffer *value, bool *found_out);

/*
 * Call `function` for the keys of several shards of one organisation, in the order of their bytes.
 * Of each shard a piece is kept in memory, and it is acquired only while that is read: so open_max
 * may be smaller than their number, and the function may acquire what it likes.
 */
typedef struct stele__gathering {
    stele_shards *shards;
    const char *organisation;
    const char *prefix; /* NULL: all keys */
    bool lenient;       /* a shard that has moved, or is being dropped, has none */
    stele_keyed_function function;
    void *context;
} stele__gathering;

/* `name_spaces` are in the order of their bytes. */
stele_status stele__keys_gather(const stele__gathering *gathering, const char *const *name_spaces,
                                size_t count);

#endif
