/**
 * @file tests/replicas.h
 * What the tests of replicas share: nodes, each a store and its replica over one log in memory.
 */
#ifndef STELE_TESTS_REPLICAS_H
#define STELE_TESTS_REPLICAS_H

/* Before what has a `store` of its own. */
#include "frame/replica.h"
#include "shard/sequence.h"
#include "store/sequencer.h"

#include "lifecycles.h"
#include "memory_log.h"
#include "states.h"

#include <stdatomic.h>

/* Beyond any waiting that a loaded machine may need. */
enum { LONG_MS = 60000 };

typedef struct node {
    memory_lane *lane;
    char path[512];
    stele_store *store;
    stele__replica *replica;
    stele__replica_options options;
} node;

static inline stele_wait wait_for_ms(uint32_t timeout_ms)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = timeout_ms;
    return wait;
}

static inline node make_node(memory_lane *lane, int number)
{
    node made = { .lane = lane, .options = STELE__REPLICA_OPTIONS_INIT };
    char name[32];
    snprintf(name, sizeof(name), "node%d.db", number);
    snprintf(made.path, sizeof(made.path), "%s", test_path(name));
    stele__shard_lane("tests", "replicas", &made.options.shard);
    made.options.again_ms = 20;
    made.options.again_max_ms = 160;
    made.options.silence_ms = 200;
    return made;
}

static inline stele_status try_replica(node *own)
{
    return stele__replica_open(own->store, open_memory_log(own->lane), &own->options,
                               &own->replica);
}

static inline void open_node(node *own)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = LONG_MS;
    own->store = open_path(own->path, &options);
    assert_status(try_replica(own), STELE_OK);
    assert_status(stele__sequencer_set(own->store, stele__replica_sequencer(own->replica)),
                  STELE_OK);
}

static inline void close_node(node *own)
{
    if (own->replica != NULL) {
        stele__replica_shut(own->replica);
        assert_status(stele__sequencer_set(own->store, NULL), STELE_OK);
    }
    stele__replica_close(own->replica);
    stele_store_close(own->store);
    own->replica = NULL;
    own->store = NULL;
}

static inline void reopen_node(node *own)
{
    close_node(own);
    open_node(own);
}

static inline uint64_t pump_node(node *own)
{
    stele_wait wait = wait_for_ms(LONG_MS);
    uint64_t applied = 0;
    assert_status(stele__replica_pump(own->replica, &wait, &applied), STELE_OK);
    return applied;
}

static inline stele__replica_info describe_node(const node *own)
{
    stele__replica_info info;
    stele__replica_describe(own->replica, &info);
    return info;
}

static inline void digest_of(stele_store *target, char digest_out[17])
{
    stele_resume resume = STELE_RESUME_INIT;
    assert_status(stele_store_resume(target, &resume, NULL), STELE_OK);
    assert_status(stele_store_digest(target, digest_out), STELE_OK);
}

static inline bool equal_digests(stele_store *one, stele_store *other)
{
    char a[17];
    char b[17];
    digest_of(one, a);
    digest_of(other, b);
    return strcmp(a, b) == 0;
}

/* Both have applied the whole log, and are the same. */
static inline void expect_equal_nodes(node *one, node *other)
{
    uint64_t last = settle_memory_lane(one->lane);
    ck_assert_uint_eq(pump_node(one), last);
    ck_assert_uint_eq(pump_node(other), last);
    ck_assert_uint_eq(describe_node(one).chain, describe_node(other).chain);
    ck_assert_msg(equal_digests(one->store, other->store), "digests differ");
}

static inline stele_status append_within(node *own, const char *stream, int64_t expected_version,
                                         uint32_t timeout_ms, stele_appended *appended_out)
{
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append(stream, expected_version, &event, 1);
    stele_wait wait = wait_for_ms(timeout_ms);
    append.wait = &wait;
    return stele_store_append(own->store, &append, appended_out);
}

static inline int64_t version_at(node *own, const char *stream)
{
    stele_stream_info info = { 0 };
    stele_status status = stele_store_stream(own->store, stream, &info);
    if (status == STELE_NOT_FOUND)
        return 0;
    assert_status(status, STELE_OK);
    return info.version;
}

/* An append on a thread of its own. */
typedef struct background_append {
    node *on;
    const char *stream;
    int64_t expected;
    uint32_t timeout_ms;
    stele_status status;
    stele_appended appended;
    atomic_bool cancelled;
    atomic_bool done;
    pthread_t thread;
} background_append;

static inline int ask_background_append(void *context)
{
    return atomic_load((atomic_bool *)context);
}

static inline void *run_background_append(void *context)
{
    background_append *own = context;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append(own->stream, own->expected, &event, 1);
    stele_wait wait = wait_for_ms(own->timeout_ms);
    wait.progress = ask_background_append;
    wait.context = &own->cancelled;
    append.wait = &wait;
    own->status = stele_store_append(own->on->store, &append, &own->appended);
    atomic_store(&own->done, true);
    return NULL;
}

static inline void begin_append(background_append *own, node *on, const char *stream,
                                uint32_t timeout_ms)
{
    *own = (background_append){
        .on = on, .stream = stream, .expected = STELE_ANY, .timeout_ms = timeout_ms
    };
    ck_assert_int_eq(pthread_create(&own->thread, NULL, run_background_append, own), 0);
}

static inline stele_status end_append(background_append *own)
{
    ck_assert_int_eq(pthread_join(own->thread, NULL), 0);
    return own->status;
}

#endif
