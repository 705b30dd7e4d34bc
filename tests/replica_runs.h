/**
 * @file tests/replica_runs.h
 * A run of a world of replicas (replica_world.h), and what must be true after it.
 */
#ifndef STELE_TESTS_REPLICA_RUNS_H
#define STELE_TESTS_REPLICA_RUNS_H

#include "replica_writers.h"

/* --- A run --- */

static inline int wish_count(void)
{
    return NODES * plan.writers * plan.wishes;
}

static inline void begin_world(const world_plan *wanted, uint64_t seed)
{
    plan = *wanted;
    world_seed = seed;
    wishes = calloc((size_t)wish_count(), sizeof(*wishes));
    ck_assert_ptr_nonnull(wishes);
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        atomic_store(&statuses[i], 0);
    for (int i = 0; i < plan.lanes; i++) {
        open_memory_lane(&lanes[i], seed + (uint64_t)i);
        set_memory_faults(&lanes[i], plan.faults);
    }
    for (int i = 0; i < NODES; i++) {
        world_node *own = &nodes[i];
        memset(own, 0, sizeof(*own));
        own->number = i;
        own->threads = i == 1;
        own->options = (stele__replica_options)STELE__REPLICA_OPTIONS_INIT;
        own->options.again_ms = 20;
        own->options.again_max_ms = 160;
        own->options.silence_ms = 200;
        own->options.grace_ms = 60;
        own->options.checkpoint_every = plan.checkpoint_every;
        if (i == NODES - 1)
            own->options.tamper = plan.tamper;
        ck_assert_int_eq(pthread_rwlock_init(&own->lock, NULL), 0);
        open_world_node(own);
        ck_assert_msg(own->trouble[0] == '\0', "%s", own->trouble);
    }
}

static inline void run_world(void)
{
    world_writer writers[NODES * WRITERS_MAX];
    int count = NODES * plan.writers;
    atomic_store(&writers_left, count);
    for (int i = 0; i < count; i++) {
        writers[i] = (world_writer){ .on = &nodes[i % NODES],
                                     .first_wish = i * plan.wishes,
                                     .chances = make_dice(world_seed, (uint64_t)i) };
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, run_world_writer, &writers[i]),
                         0);
    }
    for (int i = 0; plan.chaos && i < NODES; i++)
        ck_assert_int_eq(pthread_create(&nodes[i].chaos, NULL, run_chaos, &nodes[i]), 0);
    for (int i = 0; i < count; i++)
        pthread_join(writers[i].thread, NULL);
    for (int i = 0; plan.chaos && i < NODES; i++)
        pthread_join(nodes[i].chaos, NULL);
    for (int i = 0; i < NODES; i++)
        ck_assert_msg(nodes[i].trouble[0] == '\0', "%s", nodes[i].trouble);
}

/* All that was proposed has come, or will never; then each node applies it. The first node that
 * can't says why. */
static inline stele_status apply_everything(void)
{
    stele_wait wait = wait_for_ms(LONG_MS);
    for (int l = 0; l < plan.lanes; l++) {
        set_memory_faults(&lanes[l], NULL);
        settle_memory_lane(&lanes[l]);
        for (int i = 0; i < NODES; i++) {
            uint64_t applied = 0;
            stele_status status = stele__replica_pump(nodes[i].replicas[l], &wait, &applied);
            if (status != STELE_OK)
                return status;
        }
    }
    /* What was on its way still, and is settled by pumping, is in the log only now. */
    for (int l = 0; l < plan.lanes; l++)
        for (int i = 0; i < NODES; i++) {
            uint64_t applied = 0;
            stele_status status = stele__replica_pump(nodes[i].replicas[l], &wait, &applied);
            if (status != STELE_OK)
                return status;
        }
    return STELE_OK;
}

static inline bool nodes_are_equal(void)
{
    for (int l = 0; l < plan.lanes; l++)
        for (int i = 1; i < NODES; i++)
            if (!equal_digests(nodes[0].stores[l], nodes[i].stores[l]))
                return false;
    return true;
}

/* --- What must be true --- */

/* Each wish's event is at its position on node 0, whose equals the others are; or nowhere. */
static inline void judge_wishes(int lane)
{
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    stele_read read = STELE_READ_INIT;
    int64_t *found = calloc((size_t)wish_count(), sizeof(*found));
    ck_assert_ptr_nonnull(found);
    assert_status(stele_store_read(nodes[0].stores[lane], &read, &cursor), STELE_OK);
    stele_status status;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        if (strcmp(record->type, "wished") != 0)
            continue;
        int number = (int)strtol((const char *)record->data + strlen("{\"wish\":"), NULL, 10);
        ck_assert_int_lt(number, wish_count());
        ck_assert_msg(found[number] == 0, "wish %d is there twice: at %" PRId64 " and %" PRId64,
                      number, found[number], record->position);
        found[number] = record->position;
    }
    ck_assert_int_eq(status, STELE_DONE);
    stele_cursor_close(cursor);
    for (int i = 0; i < wish_count(); i++) {
        const wish *of = &wishes[i];
        if (!of->made || of->lane != lane) {
            ck_assert(of->lane != lane || found[i] == 0);
            continue;
        }
        ck_assert_msg(!of->unequal, "wish %d: a duplicate was said to be elsewhere", i);
        if (of->position != 0)
            ck_assert_msg(found[i] == of->position,
                          "wish %d was acknowledged at %" PRId64 " and is at %" PRId64, i,
                          of->position, found[i]);
        else if (!of->unknown)
            ck_assert_msg(found[i] == 0, "wish %d was answered %s and is at %" PRId64, i,
                          stele_status_name(of->status), found[i]);
    }
    free(found);
}

static inline int64_t ask_number(const char *path, const char *sql)
{
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    ck_assert_int_eq(sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return number;
}

static inline void end_world(void)
{
    for (int i = 0; i < NODES; i++) {
        close_world_node(&nodes[i]);
        pthread_rwlock_destroy(&nodes[i].lock);
    }
    for (int i = 0; i < plan.lanes; i++)
        close_memory_lane(&lanes[i]);
    free(wishes);
    wishes = NULL;
}

/* Positions are dense. With the node closed: nobody else may open the files meanwhile. */
static inline void judge_positions(void)
{
    char paths[LANES_MAX][512];
    int64_t heads[LANES_MAX];
    for (int l = 0; l < plan.lanes; l++) {
        snprintf(paths[l], sizeof(paths[l]), "%s", nodes[0].stores[l]->path);
        heads[l] = head_of(nodes[0].stores[l]);
    }
    close_world_node(&nodes[0]);
    for (int l = 0; l < plan.lanes; l++) {
        ck_assert_int_eq(ask_number(paths[l], "SELECT count(*) FROM events"), heads[l]);
        ck_assert_int_eq(ask_number(paths[l], "SELECT coalesce(max(position), 0) FROM events"),
                         heads[l]);
    }
}

static inline void judge_world(void)
{
    assert_status(apply_everything(), STELE_OK);
    for (int l = 0; l < plan.lanes; l++) {
        for (int i = 1; i < NODES; i++)
            ck_assert_msg(equal_digests(nodes[0].stores[l], nodes[i].stores[l]),
                          "nodes 0 and %d differ in lane %d", i, l);
        judge_wishes(l);
    }
    judge_positions();
}

static inline uint64_t answered(stele_status status)
{
    return atomic_load(&statuses[-status]);
}

static inline void print_world(const char *what)
{
    uint64_t lives = 0;
    for (int i = 0; i < NODES; i++)
        lives += nodes[i].lives;
    printf("%s, seed %" PRIu64 ": %d writers on %d nodes, which had %" PRIu64 " lives; OK %" PRIu64
           ", CONFLICT %" PRIu64 ", BUSY %" PRIu64 ", UNKNOWN_OUTCOME %" PRIu64 "\n",
           what, world_seed, NODES * plan.writers, NODES, lives, answered(STELE_OK),
           answered(STELE_CONFLICT), answered(STELE_BUSY), answered(STELE_UNKNOWN_OUTCOME));
    for (int i = 0; i < plan.lanes; i++)
        print_memory_lane("    log", &lanes[i]);
}

#endif
