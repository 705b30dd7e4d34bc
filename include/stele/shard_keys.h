/**
 * @file stele/shard_keys.h
 * Plain keyed data in a shard, beside its log; and keys that say in which shard they are.
 *
 * Keyed data are state entries (stele/state.h) of the scope STELE_KEYED_SCOPE, in codec "raw":
 * whoever needs revisions, conditions, attributes or write ids uses that scope directly. Keys are
 * names of 1 to STELE_NAME_SIZE_MAX bytes of UTF-8 without control characters, in the order of
 * their bytes; values any bytes up to value_size_max. A put and an append in one transaction: see
 * stele_transaction_state_put().
 *
 * Routing. A key of an organisation is `kind/namespace/rest`, such as "task/orders/42": the middle
 * part says which shard holds it. Of the *cross kinds* (stele_shards_options.cross_kinds; "ns" and
 * "nx" unless told otherwise) a key is `kind/namespace`, with or without a rest. The whole key is
 * what is kept in the shard. A prefix that names a namespace, `kind/namespace/...`, lists that
 * shard; a shorter one, such as "task/" or "task", or any of a cross kind, lists all shards of the
 * organisation, in the order of the keys.
 */
#ifndef STELE_SHARD_KEYS_H
#define STELE_SHARD_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/buffer.h>
#include <stele/shards.h>
#include <stele/state.h>
#include <stele/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The scope of keyed data. */
#define STELE_KEYED_SCOPE "keyed"

/** A value. Only lent by pointer. */
typedef struct stele_keyed {
    const char *key;
    const void *data; /**< Never NULL; a NUL follows it that is not counted. */
    size_t data_size;
    int64_t updated_at; /**< Microseconds since 1970 UTC. */
    int64_t revision;   /**< Grows with each write of the key. */
} stele_keyed;

/** Called for each key. May call anything, also put and delete in the same shard. Other than
 * STELE_OK ends the list, which answers that. */
typedef stele_status (*stele_keyed_function)(void *context, const stele_keyed *keyed);

/** Write a value. @return As stele_state_put(). */
STELE_API stele_status stele_shard_put(stele_shard *shard, const char *key, const void *data,
                                       size_t size);

/**
 * Get a value.
 *
 * @param value     Receives the bytes, in place of what it held, with a NUL behind that isn't
 *                  counted; NULL: only asks.
 * @param found_out Whether it is there; else `value` is empty, and the answer STELE_OK.
 * @return As stele_state_get().
 */
STELE_API stele_status stele_shard_get(stele_shard *shard, const char *key, stele_buffer *value,
                                       bool *found_out);

/** When it was written last; 0 when it isn't there. @return As stele_state_get(). */
STELE_API stele_status stele_shard_updated_at(stele_shard *shard, const char *key,
                                              int64_t *updated_at_out);

/** Delete a value. One that isn't there is fine. @return As stele_state_delete(). */
STELE_API stele_status stele_shard_delete(stele_shard *shard, const char *key);

/**
 * Call `function` for each key that starts with `prefix` (NULL or "": all), in the order of their
 * bytes. No lock is held and no read open meanwhile: one that is written during the list is seen as
 * before or after that.
 *
 * @return STELE_OK; what `function` answered; as stele_state_list().
 */
STELE_API stele_status stele_shard_keys(stele_shard *shard, const char *prefix,
                                        stele_keyed_function function, void *context);

/* --- Routing --- */

/** The parts of a key, each a stretch of it. A part that isn't there is NULL and 0. */
typedef struct stele_key_parts {
    const char *kind;
    size_t kind_size;
    const char *name_space; /**< Not NULL when the key has a second part. */
    size_t name_space_size;
    const char *rest; /**< Behind the second '/'; may have more of them. */
    size_t rest_size;
    bool cross;    /**< The kind is a cross kind. */
    bool complete; /**< It names one value: `kind/namespace/rest`, or of a cross kind
                        `kind/namespace`; no part empty. */
} stele_key_parts;

/** Split a key or a prefix of one. @return STELE_OK; STELE_MISUSE (a NULL, or no kind at all);
 * STELE_CLOSED. */
STELE_API stele_status stele_shards_parse_key(stele_shards *shards, const char *key,
                                              stele_key_parts *parts_out);

/** stele_shard_put() and its like in the shard of `organisation` that the key names. Put creates it
 * when needed; in one that isn't there, get finds and delete deletes nothing.
 * @return As these, and as stele_shards_acquire(); STELE_MISUSE for a key that isn't complete. */
STELE_API stele_status stele_shards_put(stele_shards *shards, const char *organisation,
                                        const char *key, const void *data, size_t size);
STELE_API stele_status stele_shards_get(stele_shards *shards, const char *organisation,
                                        const char *key, stele_buffer *value, bool *found_out);
STELE_API stele_status stele_shards_delete(stele_shards *shards, const char *organisation,
                                           const char *key);

/**
 * Call `function` for each key of the organisation that starts with `prefix`, in the order of their
 * bytes, over one shard or all, as the prefix says.
 *
 * @return As stele_shard_keys(), stele_shards_acquire() and stele_shards_list(). A shard that has
 *         moved or was dropped meanwhile has none.
 */
STELE_API stele_status stele_shards_keys(stele_shards *shards, const char *organisation,
                                         const char *prefix, stele_keyed_function function,
                                         void *context);

#ifdef __cplusplus
}
#endif

#endif
