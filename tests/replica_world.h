/**
 * @file tests/replica_world.h
 * Three nodes over logs in memory that go wrong in every way, many writers on each, and nodes that
 * end and come back meanwhile; and what must be true when all have applied everything.
 *
 * A node is a store for each lane, or a root of shards with one for each. Threads only take notes:
 * what they find is judged at the end. This is the nodes; see replica_writers.h, replica_runs.h.
 */
#ifndef STELE_TESTS_REPLICA_WORLD_H
#define STELE_TESTS_REPLICA_WORLD_H

#include "store/store.h"

#include "replicas.h"

#include <pthread.h>
#include <stdatomic.h>

enum { NODES = 3, LANES_MAX = 2, WRITERS_MAX = 4, STREAMS = 6, LIVES = 3, KEYS = 5 };

/* --- Chances of a thread --- */

typedef struct dice {
    uint64_t state;
} dice;

static inline dice make_dice(uint64_t seed, uint64_t number)
{
    dice made = { (seed + 1) * 0x9e3779b97f4a7c15u ^ (number + 1) * 0xd1b54a32d192ed03u };
    if (made.state == 0)
        made.state = 1;
    return made;
}

static inline uint64_t roll(dice *own, uint64_t sides)
{
    own->state ^= own->state << 13;
    own->state ^= own->state >> 7;
    own->state ^= own->state << 17;
    return (own->state >> 11) % sides;
}

/* --- Nodes --- */

/* One event that somebody wanted to append. */
typedef struct wish {
    int lane;
    bool made;
    bool unknown;        /* some attempt of it was of unknown outcome */
    stele_status status; /* of the last attempt */
    int64_t position;    /* on OK */
    bool unequal;        /* a duplicate was said to be elsewhere than the first time */
} wish;

typedef struct world_node {
    int number;
    pthread_rwlock_t lock; /* shared by who calls the stores */
    stele_store *stores[LANES_MAX];
    stele__replica *replicas[LANES_MAX];
    stele__replica_options options;
    bool threads;
    /* With roots. */
    stele_shards *shards;
    stele_shard *held[LANES_MAX];
    stele__shard_replicas maker;
    uint64_t lives; /* how often it was opened */
    /* What went wrong that may not. */
    char trouble[512];
    pthread_t chaos;
} world_node;

typedef struct world_plan {
    int lanes;
    int writers; /* on each node */
    int wishes;  /* of each */
    bool roots;  /* nodes are roots of shards */
    bool chaos;  /* nodes end and come back */
    const memory_faults *faults;
    void (*tamper)(void *context, uint64_t sequence, void *frame, size_t size); /* on the last */
    uint32_t checkpoint_every;
} world_plan;

static world_plan plan;
static uint64_t world_seed;
static memory_lane lanes[LANES_MAX];
static world_node nodes[NODES];
static wish *wishes;
static atomic_int writers_left;
static atomic_ullong statuses[32]; /* how often which was answered, by -status */

static inline void note_trouble(world_node *own, const char *doing, stele_status status)
{
    if (own->trouble[0] == '\0')
        snprintf(own->trouble, sizeof(own->trouble), "node %d, life %d, %s: %s: %s", own->number,
                 (int)own->lives, doing, stele_status_name(status), stele_error_text());
}

static inline const char *lane_name(int number)
{
    return number == 0 ? "first" : "second";
}

static inline stele_status open_world_log(void *context, const stele__frame_id *id,
                                          stele__frame_log **log_out)
{
    (void)context;
    for (int i = 0; i < plan.lanes; i++) {
        stele__frame_id own;
        stele__shard_lane("world", lane_name(i), &own);
        if (stele__frame_id_equal(&own, id)) {
            *log_out = open_memory_log(&lanes[i]);
            return STELE_OK;
        }
    }
    return stele__fail(STELE_NOT_FOUND, "no such lane in this world");
}

static inline stele_status open_plain_lane(world_node *own, int number)
{
    char path[600];
    char name[64];
    stele_options options = STELE_OPTIONS_INIT;
    stele__frame_log *log = NULL;
    snprintf(name, sizeof(name), "node%d-%d.db", own->number, number);
    snprintf(path, sizeof(path), "%s", test_path(name));
    stele__replica_options how = own->options;
    stele__shard_lane("world", lane_name(number), &how.shard);
    stele_status status = stele_store_open(path, &options, &own->stores[number]);
    if (status == STELE_OK)
        status = open_world_log(NULL, &how.shard, &log);
    if (status == STELE_OK)
        status = stele__replica_open(own->stores[number], log, &how, &own->replicas[number]);
    if (status == STELE_OK)
        status = stele__sequencer_set(own->stores[number],
                                      stele__replica_sequencer(own->replicas[number]));
    if (status == STELE_OK && own->threads)
        status = stele__replica_start(own->replicas[number]);
    return status;
}

static inline stele_status open_root(world_node *own)
{
    char name[64];
    snprintf(name, sizeof(name), "root%d", own->number);
    stele__shard_replicas_init(&own->maker);
    own->maker.open_log = open_world_log;
    own->maker.options = own->options;
    own->maker.threads = own->threads;
    stele_status status = stele_shards_open(test_path(name), NULL, &own->shards);
    if (status == STELE_OK)
        status = stele__shards_sequence(own->shards, &own->maker.maker);
    for (int i = 0; status == STELE_OK && i < plan.lanes; i++) {
        status = stele_shards_acquire(own->shards, "world", lane_name(i), NULL, &own->held[i]);
        if (status == STELE_OK) {
            own->stores[i] = stele_shard_store(own->held[i]);
            own->replicas[i] = stele__shard_sequence_handle(own->held[i]);
        }
    }
    return status;
}

static inline void open_world_node(world_node *own)
{
    stele_status status = STELE_OK;
    own->lives++;
    if (plan.roots)
        status = open_root(own);
    for (int i = 0; !plan.roots && status == STELE_OK && i < plan.lanes; i++)
        status = open_plain_lane(own, i);
    if (status != STELE_OK)
        note_trouble(own, "opening", status);
}

/* Calls inside leave. */
static inline void shut_world_node(world_node *own)
{
    for (int i = 0; i < plan.lanes; i++)
        if (own->replicas[i] != NULL)
            stele__replica_shut(own->replicas[i]);
}

static inline void close_world_node(world_node *own)
{
    for (int i = 0; i < plan.lanes; i++) {
        if (plan.roots) {
            stele_shard_release(own->held[i]);
            own->held[i] = NULL;
        } else if (own->stores[i] != NULL) {
            stele_status status = stele__sequencer_set(own->stores[i], NULL);
            if (status != STELE_OK)
                note_trouble(own, "taking the sequencer away", status);
            stele__replica_close(own->replicas[i]);
            stele_store_close(own->stores[i]);
        }
        own->replicas[i] = NULL;
        own->stores[i] = NULL;
    }
    stele_shards_close(own->shards);
    own->shards = NULL;
}

static inline void *run_chaos(void *context)
{
    world_node *own = context;
    dice chances = make_dice(world_seed, 1000 + (uint64_t)own->number);
    while (atomic_load(&writers_left) > 0) {
        stele__sleep_us(20000 + (uint32_t)roll(&chances, 150000));
        pthread_rwlock_rdlock(&own->lock);
        shut_world_node(own);
        pthread_rwlock_unlock(&own->lock);
        pthread_rwlock_wrlock(&own->lock);
        close_world_node(own);
        open_world_node(own);
        bool in_trouble = own->trouble[0] != '\0';
        pthread_rwlock_unlock(&own->lock);
        if (in_trouble)
            break;
    }
    return NULL;
}

#endif
