/*
 * Folded states in memory. A state in the cache is never looked at where it is: it is taken out, to
 * be folded further, or copied. Whatever is taken is compared with the stream in the file before it
 * is used, so that what other processes did can't make it wrong, only old.
 */
#include <assert.h>
#include <string.h>

#include "aggregate/aggregate.h"
#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"

/* Plain states up to this size are copied while the mutex is held, so that several threads get the
 * same one at once. */
#define COPY_SIZE_MAX 65536

static stele__cached **chain_of(stele__cache *cache, const char *stream)
{
    return &cache->chains[stele__hash(stream, strlen(stream)) & (cache->chain_count - 1)];
}

static size_t size_of_cached(const stele_aggregate *aggregate, const char *stream)
{
    return sizeof(stele__cached) + aggregate->state_size + strlen(stream) + 1;
}

static void link_newest(stele__cache *cache, stele__cached *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    if (cache->newest != NULL)
        cache->newest->newer = entry;
    else
        cache->oldest = entry;
    cache->newest = entry;
}

static void unlink_use(stele__cache *cache, stele__cached *entry)
{
    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        cache->newest = entry->older;
    if (entry->older != NULL)
        entry->older->newer = entry->newer;
    else
        cache->oldest = entry->newer;
}

static stele__cached *find_cached(stele__cache *cache, const char *stream)
{
    if (cache->chains == NULL)
        return NULL;
    stele__cached *entry = *chain_of(cache, stream);
    while (entry != NULL && strcmp(entry->stream, stream) != 0)
        entry = entry->next;
    return entry;
}

/* Out of the cache; the entry is the caller's. */
static void detach_cached(stele_aggregate *aggregate, stele__cached *entry)
{
    stele__cache *cache = &aggregate->cache;
    stele__cached **at = chain_of(cache, entry->stream);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    unlink_use(cache, entry);
    entry->next = NULL;
    cache->count--;
    cache->size -= size_of_cached(aggregate, entry->stream);
}

/* Without the mutex: the user's functions may be called. */
static void free_cached(stele_aggregate *aggregate, stele__cached *entry)
{
    while (entry != NULL) {
        stele__cached *next = entry->next;
        stele__state_free(aggregate, entry->state);
        stele__free(entry->stream);
        stele__free(entry);
        entry = next;
    }
}

/* --- Forgetting --- */

/* Called with the store's mutex held. What is plain goes at once. */
static void forget_stream(void *context, int64_t stream)
{
    stele_aggregate *aggregate = context;
    stele__cache *cache = &aggregate->cache;
    bool at_once = aggregate->decider.clear == NULL;
    pthread_mutex_lock(&aggregate->mutex);
    cache->forgotten++;
    stele__cached *next = NULL;
    for (stele__cached *entry = cache->newest; entry != NULL; entry = next) {
        next = entry->older;
        if (stream != 0 && entry->stream_id != stream)
            continue;
        detach_cached(aggregate, entry);
        if (at_once) {
            free_cached(aggregate, entry);
        } else {
            entry->next = cache->dropped;
            cache->dropped = entry;
        }
    }
    pthread_mutex_unlock(&aggregate->mutex);
}

void stele__cache_sweep(stele_aggregate *aggregate)
{
    pthread_mutex_lock(&aggregate->mutex);
    stele__cached *dropped = aggregate->cache.dropped;
    aggregate->cache.dropped = NULL;
    pthread_mutex_unlock(&aggregate->mutex);
    free_cached(aggregate, dropped);
}

/* --- Opening and closing --- */

stele_status stele__cache_open(stele_aggregate *aggregate)
{
    stele__cache *cache = &aggregate->cache;
    size_t wanted = aggregate->options.cache_count_max;
    if (wanted > 0 && aggregate->options.cache_size_max > 0) {
        cache->chain_count = 16;
        while (cache->chain_count < wanted && cache->chain_count < ((size_t)1 << 20))
            cache->chain_count *= 2;
        cache->chains = stele__allocate_array(cache->chain_count, sizeof(stele__cached *));
        if (cache->chains == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for a cache of states");
    }
    aggregate->forgetter = (stele__forgetter){ .forget = forget_stream, .context = aggregate };
    return STELE_OK;
}

void stele__cache_close(stele_aggregate *aggregate)
{
    stele__cache *cache = &aggregate->cache;
    stele__cached *next = NULL;
    for (stele__cached *entry = cache->newest; entry != NULL; entry = next) {
        next = entry->older;
        entry->next = NULL;
        free_cached(aggregate, entry);
    }
    free_cached(aggregate, cache->dropped);
    stele__free(cache->chains);
    *cache = (stele__cache){ 0 };
}

/* --- Taking and giving --- */

static void read_cached(const stele__cached *entry, stele__taken *taken)
{
    taken->stream_id = entry->stream_id;
    taken->version = entry->version;
    taken->snapshot_version = entry->snapshot_version;
}

/* A copy made while the mutex is held; without memory, nothing. */
static void copy_plain(stele_aggregate *aggregate, stele__cached *entry, stele__taken *taken)
{
    taken->state = stele__allocate(aggregate->state_size);
    if (taken->state == NULL)
        return;
    memcpy(taken->state, entry->state, aggregate->state_size);
    read_cached(entry, taken);
    unlink_use(&aggregate->cache, entry);
    link_newest(&aggregate->cache, entry);
}

/* A deep copy of what was taken out, which goes back. */
static void keep_copy(stele_aggregate *aggregate, const char *stream, stele__taken *taken)
{
    stele__taken original = *taken;
    taken->state = stele__state_allocate(aggregate);
    if (taken->state != NULL
        && stele__state_copy(aggregate, original.state, taken->state) != STELE_OK) {
        stele__free(taken->state);
        taken->state = NULL;
    }
    stele__cache_give(aggregate, stream, &original);
}

void stele__cache_take(stele_aggregate *aggregate, const char *stream, bool alone,
                       stele__taken *taken_out)
{
    *taken_out = (stele__taken){ 0 };
    stele__cached *out = NULL;
    pthread_mutex_lock(&aggregate->mutex);
    taken_out->forgotten = aggregate->cache.forgotten;
    stele__cached *entry = find_cached(&aggregate->cache, stream);
    if (entry != NULL && aggregate->plain && aggregate->state_size <= COPY_SIZE_MAX) {
        copy_plain(aggregate, entry, taken_out);
    } else if (entry != NULL && (!alone || aggregate->copies)) {
        detach_cached(aggregate, entry);
        out = entry;
    }
    pthread_mutex_unlock(&aggregate->mutex);
    if (out == NULL)
        return;
    read_cached(out, taken_out);
    taken_out->state = out->state;
    out->state = NULL;
    if (alone)
        keep_copy(aggregate, stream, taken_out);
    stele__free(out->stream);
    stele__free(out);
}

/* The least recently used, until it is within its bounds. With the mutex held. */
static stele__cached *evict_oldest(stele_aggregate *aggregate)
{
    stele__cache *cache = &aggregate->cache;
    stele__cached *evicted = NULL;
    while (cache->oldest != NULL
           && (cache->count > aggregate->options.cache_count_max
               || cache->size > aggregate->options.cache_size_max)) {
        stele__cached *entry = cache->oldest;
        detach_cached(aggregate, entry);
        entry->next = evicted;
        evicted = entry;
    }
    return evicted;
}

/* Into the entry that is there; the older of the two states is what is left in `taken`. */
static void renew_cached(stele__cache *cache, stele__cached *entry, stele__taken *taken)
{
    unlink_use(cache, entry);
    link_newest(cache, entry);
    /* Ids grow: the stream of the higher one is the later of its name. */
    if (taken->stream_id == entry->stream_id && taken->snapshot_version < entry->snapshot_version)
        taken->snapshot_version = entry->snapshot_version;
    if (taken->stream_id == entry->stream_id && taken->version < entry->version)
        entry->snapshot_version = taken->snapshot_version;
    if (taken->stream_id < entry->stream_id
        || (taken->stream_id == entry->stream_id && taken->version < entry->version))
        return;
    void *old = entry->state;
    entry->state = taken->state;
    entry->stream_id = taken->stream_id;
    entry->version = taken->version;
    entry->snapshot_version = taken->snapshot_version;
    taken->state = old;
}

static bool add_cached(stele_aggregate *aggregate, const char *stream, stele__taken *taken)
{
    stele__cache *cache = &aggregate->cache;
    stele__cached *entry = stele__allocate_array(1, sizeof(*entry));
    char *name = stele__copy_text(stream);
    if (entry == NULL || name == NULL) {
        stele__free(entry);
        stele__free(name);
        return false;
    }
    entry->stream = name;
    entry->state = taken->state;
    entry->stream_id = taken->stream_id;
    entry->version = taken->version;
    entry->snapshot_version = taken->snapshot_version;
    stele__cached **chain = chain_of(cache, stream);
    entry->next = *chain;
    *chain = entry;
    link_newest(cache, entry);
    cache->count++;
    cache->size += size_of_cached(aggregate, stream);
    return true;
}

void stele__cache_give(stele_aggregate *aggregate, const char *stream, stele__taken *taken)
{
    if (taken->state == NULL)
        return;
    stele__cached *evicted = NULL;
    pthread_mutex_lock(&aggregate->mutex);
    stele__cache *cache = &aggregate->cache;
    /* What was forgotten meanwhile may have been this. */
    if (cache->chains != NULL && taken->stream_id != 0 && taken->forgotten == cache->forgotten) {
        stele__cached *entry = find_cached(cache, stream);
        if (entry != NULL)
            renew_cached(cache, entry, taken);
        else if (add_cached(aggregate, stream, taken))
            taken->state = NULL;
        evicted = evict_oldest(aggregate);
    }
    pthread_mutex_unlock(&aggregate->mutex);
    free_cached(aggregate, evicted);
    stele__state_free(aggregate, taken->state);
    taken->state = NULL;
}

void stele__cache_drop(stele_aggregate *aggregate, const char *stream)
{
    pthread_mutex_lock(&aggregate->mutex);
    stele__cached *entry = find_cached(&aggregate->cache, stream);
    if (entry != NULL)
        detach_cached(aggregate, entry);
    pthread_mutex_unlock(&aggregate->mutex);
    free_cached(aggregate, entry);
}
