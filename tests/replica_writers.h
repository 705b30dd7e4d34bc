/**
 * @file tests/replica_writers.h
 * The writers of a world of replicas (replica_world.h): what they wish for, and what they are told.
 */
#ifndef STELE_TESTS_REPLICA_WRITERS_H
#define STELE_TESTS_REPLICA_WRITERS_H

#include "replica_world.h"

typedef struct world_writer {
    world_node *on;
    int first_wish;
    dice chances;
    pthread_t thread;
    stele_wait wait;
} world_writer;

static inline stele_status count_status(stele_status status)
{
    if (status <= 0)
        atomic_fetch_add(&statuses[-status], 1);
    return status;
}

/* Mostly long, sometimes much too short. */
static inline const stele_wait *choose_wait(world_writer *own)
{
    own->wait = wait_for_ms(roll(&own->chances, 6) == 0 ? (uint32_t)roll(&own->chances, 40)
                                                        : (uint32_t)LONG_MS);
    return &own->wait;
}

static inline void grant(world_writer *own, int number, stele_status status,
                         const stele_appended *appended)
{
    wish *of = &wishes[number];
    count_status(status);
    of->made = true;
    of->unknown |= status == STELE_UNKNOWN_OUTCOME;
    if (status == STELE_OK && of->status == STELE_OK && of->position != 0
        && of->position != appended->first_position)
        of->unequal = true;
    of->status = status;
    if (status == STELE_OK)
        of->position = appended->first_position;
    if (status == STELE_BUSY)
        stele__sleep_us(1000 + (uint32_t)roll(&own->chances, 3000)); /* it is shut, perhaps */
}

static inline void wish_event(world_writer *own, int number, const char *stream, int64_t expected,
                              const char *key)
{
    char data[64];
    stele_appended appended = { 0 };
    int lane = wishes[number].lane;
    snprintf(data, sizeof(data), "{\"wish\":%d}", number);
    stele_event event = make_event("wished", data);
    stele_append append = make_append(stream, expected, &event, 1);
    append.idempotency_key = key;
    append.wait = choose_wait(own);
    pthread_rwlock_rdlock(&own->on->lock);
    stele_status status = STELE_CLOSED;
    if (own->on->stores[lane] != NULL)
        status = stele_store_append(own->on->stores[lane], &append, &appended);
    pthread_rwlock_unlock(&own->on->lock);
    grant(own, number, status, &appended);
}

/* The version as this node sees it, or a little beside it. */
static inline int64_t guess_version(world_writer *own, int lane, const char *stream)
{
    stele_stream_info info = { 0 };
    pthread_rwlock_rdlock(&own->on->lock);
    if (own->on->stores[lane] != NULL)
        (void)stele_store_stream(own->on->stores[lane], stream, &info);
    pthread_rwlock_unlock(&own->on->lock);
    return info.version + (roll(&own->chances, 8) == 0);
}

static inline void wish_with_key(world_writer *own, int number, const char *stream)
{
    char key[64];
    snprintf(key, sizeof(key), "wish %d", number);
    for (int i = 0; i < 6; i++) {
        wish_event(own, number, stream, STELE_ANY, key);
        if (wishes[number].status == STELE_OK && roll(&own->chances, 3) != 0)
            return; /* else once more: a duplicate */
    }
}

static inline void change_entry(world_writer *own, int lane)
{
    char key[32];
    char data[32];
    stele_written written = { 0 };
    snprintf(key, sizeof(key), "key-%d", (int)roll(&own->chances, KEYS));
    snprintf(data, sizeof(data), "%d", (int)roll(&own->chances, 1000));
    stele_put put = make_put("scope", key, data);
    stele_remove remove = STELE_REMOVE_INIT;
    remove.scope = "scope";
    remove.key = key;
    if (roll(&own->chances, 2) == 0)
        put.expected_revision = remove.expected_revision = (int64_t)roll(&own->chances, 20) + 1;
    put.wait = remove.wait = choose_wait(own);
    bool removes = roll(&own->chances, 4) == 0;
    pthread_rwlock_rdlock(&own->on->lock);
    stele_store *at = own->on->stores[lane];
    if (at != NULL)
        count_status(removes ? stele_state_delete(at, &remove, &written)
                             : stele_state_put(at, &put, &written));
    pthread_rwlock_unlock(&own->on->lock);
}

static inline stele_status live(stele_store *at, const char *stream, uint64_t what)
{
    stele_archive in_place = STELE_ARCHIVE_INIT;
    stele_restore restore = STELE_RESTORE_INIT;
    stele_tombstone end = STELE_TOMBSTONE_INIT;
    stele_delete erase = STELE_DELETE_INIT;
    in_place.stream = restore.stream = end.stream = erase.stream = stream;
    end.reason = "enough";
    switch (what) {
    case 0: return stele_store_archive(at, &in_place, NULL);
    case 1: return stele_store_restore(at, &restore, NULL);
    case 2: return stele_store_tombstone(at, &end, NULL);
    case 3: return stele_store_delete(at, &erase, NULL);
    default: return append_to(at, stream, STELE_ANY, "lived", NULL);
    }
}

static inline void change_life(world_writer *own, int lane)
{
    char stream[32];
    snprintf(stream, sizeof(stream), "life-%d", (int)roll(&own->chances, LIVES));
    uint64_t what = roll(&own->chances, 8);
    pthread_rwlock_rdlock(&own->on->lock);
    if (own->on->stores[lane] != NULL)
        count_status(live(own->on->stores[lane], stream, what));
    pthread_rwlock_unlock(&own->on->lock);
}

static inline void make_wish(world_writer *own, int number)
{
    char stream[32];
    int lane = (int)roll(&own->chances, (uint64_t)plan.lanes);
    wishes[number].lane = lane;
    snprintf(stream, sizeof(stream), "s-%d", (int)roll(&own->chances, STREAMS));
    switch (roll(&own->chances, 10)) {
    case 0:
    case 1: wish_event(own, number, stream, STELE_ANY, NULL); break;
    case 2:
    case 3:
    case 4: wish_event(own, number, stream, guess_version(own, lane, stream), NULL); break;
    case 5:
    case 6: wish_with_key(own, number, stream); break;
    case 7:
    case 8: change_entry(own, lane); break;
    default: change_life(own, lane);
    }
}

static inline void *run_world_writer(void *context)
{
    world_writer *own = context;
    for (int i = 0; i < plan.wishes; i++)
        make_wish(own, own->first_wish + i);
    atomic_fetch_sub(&writers_left, 1);
    return NULL;
}

#endif
