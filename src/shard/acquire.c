/*
 * Acquiring: one slot for each store that is open or about to be, found by its names.
 *
 * Who finds no slot puts one in, and opens the store with no lock held; all others wait until it
 * is open. The same when one is closed. A slot that nobody holds is in the list of those that may
 * be closed, the least recently used first.
 */
#include "shard/shard.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/platform.h"

/* So long a fence of another process may go unnoticed by who acquires what is open here. */
#define FENCE_ASK_US ((int64_t)1000000)

void stele_acquire_init(stele_acquire *how)
{
    *how = (stele_acquire)STELE_ACQUIRE_INIT;
}

/* --- The table; all with the mutex held --- */

static stele__shard_slot **chain_of_shard(stele_shards *shards, const char *organisation,
                                          const char *name_space)
{
    uint64_t hash = stele__hash(organisation, strlen(organisation));
    hash = stele__hash_with(name_space, strlen(name_space), hash);
    return &shards->chains[hash % shards->chain_count];
}

static stele__shard_slot *find_shard_slot(stele_shards *shards, const char *organisation,
                                          const char *name_space)
{
    stele__shard_slot *slot = *chain_of_shard(shards, organisation, name_space);
    while (slot != NULL
           && (strcmp(slot->name_space, name_space) != 0
               || strcmp(slot->organisation, organisation) != 0))
        slot = slot->next;
    return slot;
}

static stele__shard_slot *add_shard_slot(stele_shards *shards, const char *organisation,
                                         const char *name_space, stele__entry_state state)
{
    stele__shard_slot *slot = stele__allocate_array(1, sizeof(*slot));
    if (slot == NULL)
        return NULL;
    memcpy(slot->organisation, organisation, strnlen(organisation, STELE_SHARD_NAME_MAX));
    memcpy(slot->name_space, name_space, strnlen(name_space, STELE_SHARD_NAME_MAX));
    slot->state = state;
    stele__shard_slot **chain = chain_of_shard(shards, organisation, name_space);
    slot->next = *chain;
    *chain = slot;
    return slot;
}

static void list_shard_slot(stele_shards *shards, stele__shard_slot *slot)
{
    slot->older = shards->newest;
    slot->newer = NULL;
    if (shards->newest != NULL)
        shards->newest->newer = slot;
    else
        shards->oldest = slot;
    shards->newest = slot;
}

static void unlist_shard_slot(stele_shards *shards, stele__shard_slot *slot)
{
    *(slot->older != NULL ? &slot->older->newer : &shards->oldest) = slot->newer;
    *(slot->newer != NULL ? &slot->newer->older : &shards->newest) = slot->older;
    slot->older = NULL;
    slot->newer = NULL;
}

/* Out of the table; the memory goes with the last handle. */
static void remove_shard_slot(stele_shards *shards, stele__shard_slot *slot)
{
    stele__shard_slot **at = chain_of_shard(shards, slot->organisation, slot->name_space);
    while (*at != slot)
        at = &(*at)->next;
    *at = slot->next;
    slot->next = NULL;
    slot->state = STELE__ENTRY_SHUT;
    if (slot->handles == 0)
        stele__free(slot);
    pthread_cond_broadcast(&shards->changed);
}

/* Close its store, with the mutex given up meanwhile. Nobody else touches the slot until then. */
static void shut_store(stele_shards *shards, stele__shard_slot *slot)
{
    assert(slot->state == STELE__ENTRY_OPEN);
    if (slot->handles == 0)
        unlist_shard_slot(shards, slot);
    slot->state = STELE__ENTRY_CLOSING;
    pthread_mutex_unlock(&shards->mutex);
    stele__shard_sequence_end(shards, slot);
    stele_store_close(slot->store);
    pthread_mutex_lock(&shards->mutex);
    slot->store = NULL;
    shards->slot_count--;
    shards->counts.open--;
}

static void shut_shard_slot(stele_shards *shards, stele__shard_slot *slot)
{
    shut_store(shards, slot);
    remove_shard_slot(shards, slot);
}

void stele__shards_shut_all(stele_shards *shards)
{
    for (size_t i = 0; i < shards->chain_count; i++) {
        stele__shard_slot *slot = shards->chains[i];
        while (slot != NULL && slot->state != STELE__ENTRY_OPEN)
            slot = slot->next;
        if (slot == NULL)
            continue;
        shut_shard_slot(shards, slot);
        i = SIZE_MAX; /* the table may have changed: from the beginning */
    }
}

void stele__shards_abandon(stele_shards *shards)
{
    for (size_t i = 0; i < shards->chain_count; i++) {
        while (shards->chains[i] != NULL) {
            stele__shard_slot *slot = shards->chains[i];
            shards->chains[i] = slot->next;
            if (slot->state == STELE__ENTRY_OPEN)
                stele_store_close(slot->store);
            slot->state = STELE__ENTRY_SHUT;
            if (slot->handles == 0)
                stele__free(slot);
        }
    }
}

/* --- Getting a slot --- */

static stele_status fail_with_room(const stele_shards *shards, stele_status status)
{
    if (status != STELE_BUSY)
        return status;
    return stele__fail_within(status, "open_max is %" PRIu32 ", and all %zu are held",
                              shards->options.open_max, shards->slot_count);
}

/* With the mutex held: wait until something may have changed. */
static stele_status wait_for_change(stele_shards *shards, stele__patience *patience,
                                    const char *what)
{
    if (patience->progress != NULL) /* the user's: without the mutex */
        pthread_mutex_unlock(&shards->mutex);
    stele_status status = stele__patience_check(patience, what);
    if (patience->progress != NULL)
        pthread_mutex_lock(&shards->mutex);
    if (status == STELE_CLOSED)
        return stele__fail(STELE_CLOSED, "the shards were closed");
    if (status == STELE_OK) /* what came while it was asked is seen 20 ms later at most */
        stele__condition_wait(&shards->changed, &shards->mutex,
                              stele__patience_next_check_us(patience));
    return status;
}

/* A slot that somebody now holds. */
static void hold_shard_slot(stele_shards *shards, stele__shard_slot *slot, stele_shard *shard)
{
    if (slot->handles++ == 0)
        shards->counts.held++;
    shards->counts.handles++;
    shard->slot = slot;
    shard->store = slot->store;
    stele__store_hold(slot->store);
    shard->shards = shards;
    shards->reference_count++;
}

static stele_status fill_shard_slot(stele_shards *shards, const char *organisation,
                                    const char *name_space, bool must_exist,
                                    stele__patience *patience, stele_shard *shard)
{
    stele__shard_slot *slot =
        add_shard_slot(shards, organisation, name_space, STELE__ENTRY_OPENING);
    if (slot == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a shard");
    shards->slot_count++;
    pthread_mutex_unlock(&shards->mutex);
    stele_status status = stele__shard_open_slot(shards, slot, must_exist, patience);
    pthread_mutex_lock(&shards->mutex);
    if (status != STELE_OK) {
        shards->slot_count--;
        remove_shard_slot(shards, slot);
        return status;
    }
    slot->state = STELE__ENTRY_OPEN;
    slot->asked_at_us = stele__clock_monotonic_us();
    shards->counts.open++;
    shards->counts.opened++;
    hold_shard_slot(shards, slot, shard);
    pthread_cond_broadcast(&shards->changed);
    return STELE_OK;
}

/* Whoever only reads would never find out that another process has moved it. */
static bool is_fence_asked(stele__shard_slot *slot)
{
    int64_t now_us = stele__clock_monotonic_us();
    if (!slot->fenced && now_us - slot->asked_at_us < FENCE_ASK_US)
        return false;
    slot->asked_at_us = now_us;
    return true;
}

/* With the mutex held; it is given up while something is opened or closed. */
static stele_status get_shard_slot(stele_shards *shards, const char *organisation,
                                   const char *name_space, bool must_exist,
                                   stele__patience *patience, stele_shard *shard)
{
    bool waited = false;
    stele_status status = STELE_OK;
    while (status == STELE_OK) {
        if (atomic_load(&shards->closing))
            return stele__fail(STELE_CLOSED, "the shards were closed");
        stele__shard_slot *slot = find_shard_slot(shards, organisation, name_space);
        if (slot != NULL && slot->state == STELE__ENTRY_OPEN && !slot->excluded) {
            if (slot->handles == 0)
                unlist_shard_slot(shards, slot);
            hold_shard_slot(shards, slot, shard);
            return STELE_OK;
        }
        if (slot != NULL) {
            status = wait_for_change(shards, patience,
                                     "waiting for others who are at work on the shard");
        } else if (shards->slot_count < shards->options.open_max) {
            return fill_shard_slot(shards, organisation, name_space, must_exist, patience, shard);
        } else if (shards->oldest != NULL) {
            shut_shard_slot(shards, shards->oldest);
            shards->counts.closed_full++;
        } else {
            shards->counts.waited += !waited;
            waited = true;
            status = fail_with_room(shards, wait_for_change(shards, patience, "waiting for room"));
        }
    }
    return status;
}

/* With the mutex held. */
static uint64_t shut_idle(stele_shards *shards)
{
    uint64_t closed = 0;
    while (shards->oldest != NULL
           && stele__clock_monotonic_us() - shards->oldest->left_at_us
                  >= (int64_t)shards->options.idle_ms * 1000) {
        shut_shard_slot(shards, shards->oldest);
        shards->counts.closed_idle++;
        closed++;
    }
    return closed;
}

uint64_t stele__shards_close_idle(stele_shards *shards)
{
    pthread_mutex_lock(&shards->mutex);
    uint64_t closed = shut_idle(shards);
    pthread_mutex_unlock(&shards->mutex);
    return closed;
}

static stele_status acquire_inside(stele_shards *shards, const char *organisation,
                                   const char *name_space, const stele_acquire *how,
                                   stele_shard *shard, bool *asks_out)
{
    stele_acquire taken = STELE_ACQUIRE_INIT;
    stele__patience patience;
    stele_status status = stele__options_take("stele_acquire", how, &taken, sizeof(taken));
    if (status == STELE_OK)
        status = stele__check_organisation(organisation);
    if (status == STELE_OK)
        status = stele__check_namespace(name_space);
    if (status == STELE_OK)
        status = stele__patience_begin(&patience, taken.wait, shards->store_options.busy_timeout_ms,
                                       &shards->closing);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&shards->mutex);
    status = get_shard_slot(shards, organisation, name_space, taken.must_exist, &patience, shard);
    *asks_out = status == STELE_OK && is_fence_asked(shard->slot);
    if (status == STELE_OK && !shards->has_maintenance)
        (void)shut_idle(shards);
    pthread_mutex_unlock(&shards->mutex);
    return status;
}

/* On failure the handle is given back. */
static stele_status ask_fence_of(stele_shards *shards, stele_shard *shard)
{
    stele_status status = stele__shard_check_fence(shard->store, shard->slot->path);
    if (status == STELE_OK)
        return STELE_OK;
    pthread_mutex_lock(&shards->mutex);
    shard->slot->fenced |= status == STELE_MOVED || status == STELE_FENCED;
    pthread_mutex_unlock(&shards->mutex);
    stele_shard_release(shard); /* keeps the error text */
    return status;
}

stele_status stele_shards_acquire(stele_shards *shards, const char *organisation,
                                  const char *name_space, const stele_acquire *how,
                                  stele_shard **shard_out)
{
    if (shard_out == NULL)
        return stele__fail(STELE_MISUSE, "shard_out is NULL");
    *shard_out = NULL;
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    bool asks = false;
    stele_shard *shard = stele__allocate_array(1, sizeof(*shard));
    if (shard == NULL)
        status = stele__fail(STELE_NO_MEMORY, "no memory for a handle");
    else
        status = acquire_inside(shards, organisation, name_space, how, shard, &asks);
    if (status != STELE_OK)
        stele__free(shard);
    else if (asks)
        status = ask_fence_of(shards, shard);
    if (status == STELE_OK)
        *shard_out = shard;
    stele__shards_leave(shards);
    return status;
}

/* With the mutex: nobody will write to it, and who moves or drops it waits until it is closed. */
static void shut_fenced(stele_shards *shards, stele__shard_slot *slot)
{
    if (slot->excluded || (!slot->fenced && !atomic_load(&slot->store->fenced)))
        return;
    shards->calls++; /* closing waits for us */
    shut_shard_slot(shards, slot);
    if (--shards->calls == 0 && atomic_load(&shards->closing))
        pthread_cond_broadcast(&shards->changed);
}

void stele_shard_release(stele_shard *shard)
{
    if (shard == NULL)
        return;
    stele_shards *shards = shard->shards;
    stele__shard_slot *slot = shard->slot;
    /* A child after fork() has one thread, and may have inherited a locked mutex. */
    bool ours = shards->fork_count == stele__fork_count();
    if (ours)
        pthread_mutex_lock(&shards->mutex);
    shards->counts.handles--;
    if (--slot->handles == 0) {
        shards->counts.held--;
        if (slot->state == STELE__ENTRY_SHUT) {
            stele__free(slot);
        } else if (slot->state == STELE__ENTRY_OPEN) {
            slot->left_at_us = stele__clock_monotonic_us();
            list_shard_slot(shards, slot);
            if (ours)
                shut_fenced(shards, slot);
        }
        if (ours)
            pthread_cond_broadcast(&shards->changed);
    }
    if (ours)
        pthread_mutex_unlock(&shards->mutex);
    stele__store_release(shard->store);
    stele__free(shard);
    stele__shards_release(shards);
}

/* --- Excluding --- */

void stele__shard_mark_fenced(stele_shards *shards, const char *organisation,
                              const char *name_space, bool fenced)
{
    pthread_mutex_lock(&shards->mutex);
    stele__shard_slot *slot = find_shard_slot(shards, organisation, name_space);
    if (slot != NULL)
        slot->fenced = fenced;
    pthread_mutex_unlock(&shards->mutex);
}

stele_status stele__shard_exclude(stele_shards *shards, const char *organisation,
                                  const char *name_space, stele__patience *patience)
{
    stele_status status = STELE_OK;
    stele__shard_slot *ours = NULL;
    pthread_mutex_lock(&shards->mutex);
    for (;;) {
        if (atomic_load(&shards->closing)) { /* which shuts what is held, too */
            status = stele__fail(STELE_CLOSED, "the shards were closed");
            break;
        }
        stele__shard_slot *slot = find_shard_slot(shards, organisation, name_space);
        if (slot == NULL) {
            slot = add_shard_slot(shards, organisation, name_space, STELE__ENTRY_CLOSING);
            if (slot == NULL)
                status = stele__fail(STELE_NO_MEMORY, "no memory for a shard");
            else
                slot->excluded = true;
            break;
        }
        if (slot->state == STELE__ENTRY_OPEN && (slot == ours || !slot->excluded)) {
            ours = slot;
            slot->excluded = true;
            if (slot->handles == 0) {
                shut_store(shards, slot);                 /* and it stays in the table */
                pthread_cond_broadcast(&shards->changed); /* but leaves room for another one */
                break;
            }
        }
        status = wait_for_change(shards, patience, "waiting for those who hold the shard");
        if (status != STELE_OK)
            break;
    }
    if (status != STELE_OK && ours != NULL
        && find_shard_slot(shards, organisation, name_space) == ours
        && ours->state == STELE__ENTRY_OPEN) { /* else its memory is another's now */
        ours->excluded = false;
        pthread_cond_broadcast(&shards->changed);
    }
    pthread_mutex_unlock(&shards->mutex);
    return status;
}

void stele__shard_readmit(stele_shards *shards, const char *organisation, const char *name_space)
{
    pthread_mutex_lock(&shards->mutex);
    stele__shard_slot *slot = find_shard_slot(shards, organisation, name_space);
    if (slot != NULL && slot->excluded && slot->state == STELE__ENTRY_CLOSING)
        remove_shard_slot(shards, slot);
    pthread_mutex_unlock(&shards->mutex);
}
