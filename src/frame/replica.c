/* Opening and closing a replica, its thread, and what it says of itself. */
#include "frame/replica.h"

#include "base/memory.h"
#include "base/platform.h"
#include "frame/replica_own.h"

/* How long the thread looks at the log before it looks around. */
#define THREAD_SLICE_US 200000

static stele_status check_empty(stele_store *store)
{
    int64_t head = 0;
    stele_entries *entries = NULL;
    const stele_entry *entry = NULL;
    stele_status status = stele_store_head(store, &head);
    if (status != STELE_OK)
        return status;
    if (head == 0) {
        status = stele_state_list(store, NULL, &entries);
        if (status != STELE_OK)
            return status;
        status = stele_entries_next(entries, &entry);
        stele_entries_close(entries);
        if (status == STELE_DONE)
            return STELE_OK;
        if (status < 0)
            return status;
    }
    return stele__fail(STELE_UNSUPPORTED, "the store isn't empty, and follows no log: begin from a "
                                          "backup of a node, or with an empty store");
}

static stele_status check_store(stele__replica *replica)
{
    stele__frame_place *place = &replica->place;
    stele_status status = stele__frame_place_find(replica->store, place);
    if (status != STELE_OK)
        return status;
    if (!place->bound)
        return check_empty(replica->store);
    if (!stele__frame_id_equal(&place->shard, &replica->options.shard)) {
        char own[33];
        char asked[33];
        stele__frame_id_text(&place->shard, own);
        stele__frame_id_text(&replica->options.shard, asked);
        return stele__fail(STELE_MISUSE, "the store is a node of shard %s, not of %s", own, asked);
    }
    return STELE_OK;
}

stele_status stele__replica_open(stele_store *store, stele__frame_log *log,
                                 const stele__replica_options *options,
                                 stele__replica **replica_out)
{
    *replica_out = NULL;
    stele__replica *replica = stele__allocate_array(1, sizeof(*replica));
    if (replica == NULL) {
        log->close(log);
        return stele__fail(STELE_NO_MEMORY, "no memory for a replica");
    }
    replica->sequencer.propose = stele__replica_propose;
    replica->options = (stele__replica_options)STELE__REPLICA_OPTIONS_INIT;
    if (options != NULL)
        replica->options = *options;
    replica->store = store;
    replica->log = log;
    replica->last = &replica->first;
    replica->builder.size_max = log->frame_size_max;
    stele__store_hold(store);
    pthread_mutex_init(&replica->mutex, NULL);
    stele__condition_init(&replica->changed);

    stele_status status = check_store(replica);
    if (status == STELE_OK)
        status = stele__frame_id_make(&replica->writer);
    if (status == STELE_OK) {
        replica->checkpoint_at = replica->place.applied;
        replica->batch = stele__allocate_array(replica->options.batch_max, sizeof(*replica->batch));
        if (replica->batch == NULL)
            status = stele__fail(STELE_NO_MEMORY, "no memory for a replica");
    }
    if (status != STELE_OK) {
        char text[STELE__ERROR_SIZE];
        stele__keep_error(text);
        stele__replica_close(replica);
        stele__restore_error(text);
        return status;
    }
    *replica_out = replica;
    return STELE_OK;
}

stele__sequencer *stele__replica_sequencer(stele__replica *replica)
{
    return &replica->sequencer;
}

void stele__replica_shut(stele__replica *replica)
{
    stele__replica_stop(replica);
    pthread_mutex_lock(&replica->mutex);
    replica->shut = true;
    pthread_cond_broadcast(&replica->changed);
    while (replica->inside > 0)
        stele__condition_wait(&replica->changed, &replica->mutex, INT64_MAX);
    pthread_mutex_unlock(&replica->mutex);
}

void stele__replica_close(stele__replica *replica)
{
    if (replica == NULL)
        return;
    stele__replica_shut(replica);
    replica->log->close(replica->log);
    stele__flight_dispose(replica);
    stele__buffer_dispose(&replica->batch_bytes);
    stele__free(replica->batch);
    pthread_cond_destroy(&replica->changed);
    pthread_mutex_destroy(&replica->mutex);
    stele__store_release(replica->store);
    stele__free(replica);
}

/* --- The thread --- */

static void *run_replica(void *context)
{
    stele__replica *replica = context;
    pthread_mutex_lock(&replica->mutex);
    while (!replica->thread_stops) {
        int64_t until_us = stele__clock_monotonic_us() + THREAD_SLICE_US;
        if (replica->stopped != STELE_OK) {
            stele__condition_wait(&replica->changed, &replica->mutex, INT64_MAX);
            continue;
        }
        stele__replica_take_part(replica, until_us);
        pthread_mutex_unlock(&replica->mutex);
        stele__flight_launch(replica);
        stele__pump_erase(replica);
        pthread_mutex_lock(&replica->mutex);
    }
    pthread_mutex_unlock(&replica->mutex);
    return NULL;
}

stele_status stele__replica_start(stele__replica *replica)
{
    stele_status status = STELE_OK;
    pthread_mutex_lock(&replica->mutex);
    if (!replica->has_thread) {
        replica->thread_stops = false;
        status = stele__thread_start(&replica->thread, "stele-replica", run_replica, replica);
        replica->has_thread = status == STELE_OK;
    }
    pthread_mutex_unlock(&replica->mutex);
    return status;
}

void stele__replica_stop(stele__replica *replica)
{
    pthread_mutex_lock(&replica->mutex);
    bool has_thread = replica->has_thread;
    replica->has_thread = false;
    replica->thread_stops = true;
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->mutex);
    if (has_thread)
        pthread_join(replica->thread, NULL);
}

void stele__replica_describe(stele__replica *replica, stele__replica_info *info_out)
{
    pthread_mutex_lock(&replica->mutex);
    *info_out = replica->info;
    info_out->bound = replica->place.bound;
    info_out->applied = replica->place.applied;
    info_out->chain = replica->place.chain;
    info_out->joined = replica->joined;
    info_out->stopped = replica->stopped != STELE_OK;
    if (info_out->head < info_out->applied)
        info_out->head = info_out->applied;
    pthread_mutex_unlock(&replica->mutex);
}
