/* How many stores are open: few, and never one less than is held. */
#include "effort.h"
#include "resources.h"
#include "sharding.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static resources before;

static void set_up(void)
{
    before = count_resources();
}

static void tear_down(void)
{
    expect_resources(before, "at the end");
    remove_test_folder();
}

static const char *name_of(int number)
{
    static _Thread_local char names[4][32];
    static _Thread_local unsigned turn;
    char *name = names[turn++ % 4];
    snprintf(name, sizeof(names[0]), "n-%d", number);
    return name;
}

/* --- Room --- */

START_TEST(the_least_recently_used_is_closed_for_another)
{
    stele_shards *shards = open_root(3);
    stele_store *stores[3];
    for (int i = 0; i < 3; i++) {
        stele_shard *shard = acquire(shards, "acme", name_of(i));
        stores[i] = stele_shard_store(shard);
        stele_shard_release(shard);
    }
    stele_shard_release(acquire(shards, "acme", name_of(0))); /* used again: 1 is the oldest */

    stele_shard_release(acquire(shards, "acme", name_of(3)));

    stele_shards_info info = describe(shards);
    ck_assert_uint_eq(info.open, 3);
    ck_assert_uint_eq(info.opened, 4);
    ck_assert_uint_eq(info.closed_full, 1);
    stele_shard *shard = acquire(shards, "acme", name_of(0));
    ck_assert_ptr_eq(stele_shard_store(shard), stores[0]);
    stele_shard_release(shard);
    shard = acquire(shards, "acme", name_of(2));
    ck_assert_ptr_eq(stele_shard_store(shard), stores[2]);
    stele_shard_release(shard);
    ck_assert_uint_eq(describe(shards).opened, 4);
    stele_shard_release(acquire(shards, "acme", name_of(1)));
    ck_assert_uint_eq(describe(shards).opened, 5);
    stele_shards_close(shards);
}
END_TEST

START_TEST(what_is_held_is_never_closed_for_another)
{
    stele_shards *shards = open_root(2);
    stele_shard *held = acquire(shards, "acme", "held");
    stele_store *store = stele_shard_store(held);
    for (int i = 0; i < 20; i++)
        stele_shard_release(acquire(shards, "acme", name_of(i)));

    expect_fine(append_data(store, "still open"));

    stele_shards_info info = describe(shards);
    ck_assert_uint_eq(info.open, 2);
    ck_assert_uint_eq(info.closed_full, 19);
    stele_shard *again = acquire(shards, "acme", "held");
    ck_assert_ptr_eq(stele_shard_store(again), store);
    stele_shard_release(again);
    stele_shard_release(held);
    stele_shards_close(shards);
}
END_TEST

START_TEST(when_all_are_held_the_next_is_busy)
{
    stele_shards *shards = open_root(2);
    stele_shard *held[] = { acquire(shards, "acme", "first"), acquire(shards, "acme", "second") };
    stele_shard *shard = NULL;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 30;
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.wait = &wait;

    expect_status(stele_shards_acquire(shards, "acme", "third", &how, &shard), STELE_BUSY);

    ck_assert_str_eq(stele_error_text(), "open_max is 2, and all 2 are held: waiting for room took"
                                         " longer than 30 ms");
    ck_assert_ptr_null(shard);
    ck_assert_uint_eq(describe(shards).waited, 1);
    /* One that is open needs no room. */
    expect_fine(stele_shards_acquire(shards, "acme", "first", &how, &shard));
    stele_shard_release(shard);
    stele_shard_release(held[0]);
    expect_fine(stele_shards_acquire(shards, "acme", "third", &how, &shard));
    stele_shard_release(shard);
    stele_shard_release(held[1]);
    stele_shards_close(shards);
}
END_TEST

/* Dropping "first", until it is told that it needn't. */
typedef struct long_drop {
    stele_shards *shards;
    atomic_bool enough;
    stele_status status;
} long_drop;

static int ask_enough(void *context)
{
    return atomic_load(&((long_drop *)context)->enough);
}

static void *drop_first(void *context)
{
    long_drop *self = context;
    const stele_wait wait = { sizeof(wait), 600000, ask_enough, self };
    self->status = stele_shards_drop(self->shards, "acme", "first", false, &wait);
    return NULL;
}

typedef struct newcomer {
    stele_shards *shards;
    stele_status status;
    atomic_bool has_room;
} newcomer;

static void *acquire_second(void *context)
{
    newcomer *self = context;
    stele_shard *shard = NULL;
    stele_acquire how = STELE_ACQUIRE_INIT;
    const stele_wait wait = { sizeof(wait), 600000, NULL, NULL };
    how.wait = &wait;
    self->status = stele_shards_acquire(self->shards, "acme", "second", &how, &shard);
    stele_shard_release(shard);
    atomic_store(&self->has_room, true);
    return NULL;
}

/* It is open beside, so that dropping takes as long as it may; but its place is free. Whether who
 * drops or who waits for room is woken first is up to the system. */
START_TEST(one_that_is_being_dropped_leaves_its_room_to_who_waits)
{
    char path[512];
    stele_shards *shards = open_root(1);
    for (int round = 0; round < 5; round++) {
        pthread_t threads[2];
        long_drop drop = { .shards = shards };
        newcomer late = { .shards = shards };
        stele_shard *held = acquire(shards, "acme", "first");
        expect_fine(stele_shards_path(shards, "acme", "first", path, sizeof(path)));
        stele_store *beside = NULL;
        expect_fine(stele_store_open(path, NULL, &beside));
        expect_fine(append_data(beside, "d"));
        ck_assert_int_eq(pthread_create(&threads[0], NULL, drop_first, &drop), 0);
        nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
        ck_assert_int_eq(pthread_create(&threads[1], NULL, acquire_second, &late), 0);
        while (describe(shards).waited <= (uint64_t)round)
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);

        stele_shard_release(held);

        for (int i = 0; i < 6000 && !atomic_load(&late.has_room); i++)
            nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
        bool had_room = atomic_load(&late.has_room);
        atomic_store(&drop.enough, true);
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
        expect_status(late.status, STELE_OK);
        expect_status(drop.status, STELE_CANCELLED);
        ck_assert(had_room);
        stele_store_close(beside);
    }
    stele_shards_close(shards);
}
END_TEST

/* --- Idle time --- */

static stele_shards *open_idle(uint32_t idle_ms, bool thread)
{
    stele_shards *shards = NULL;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    options.idle_ms = idle_ms;
    options.maintenance = thread;
    options.maintenance_interval_ms = 5;
    expect_fine(stele_shards_open(test_path("root"), &options, &shards));
    return shards;
}

START_TEST(maintenance_closes_what_is_idle_and_nothing_that_is_held)
{
    stele_shards *shards = open_idle(0, false);
    stele_maintained maintained;
    stele_shard *held = acquire(shards, "acme", "held");
    stele_shard *free = acquire(shards, "acme", "free");
    stele_shard_release(free);

    expect_fine(stele_shards_maintain(shards, NULL, &maintained));

    ck_assert_uint_eq(maintained.closed, 1);
    stele_shards_info info = describe(shards);
    ck_assert_uint_eq(info.open, 1);
    ck_assert_uint_eq(info.closed_idle, 1);
    expect_fine(append_data(stele_shard_store(held), "still open"));
    stele_shard_release(held);
    expect_fine(stele_shards_maintain(shards, NULL, &maintained));
    ck_assert_uint_eq(maintained.closed, 1);
    ck_assert_uint_eq(describe(shards).open, 0);
    stele_shards_close(shards);
}
END_TEST

START_TEST(the_next_acquire_closes_what_is_idle)
{
    stele_shards *shards = open_idle(0, false);
    stele_shard_release(acquire(shards, "acme", "first"));

    stele_shard *second = acquire(shards, "acme", "second");

    stele_shards_info info = describe(shards);
    ck_assert_uint_eq(info.open, 1);
    ck_assert_uint_eq(info.closed_idle, 1);
    stele_shard_release(second);
    stele_shards_close(shards);
}
END_TEST

START_TEST(what_was_just_used_is_not_idle)
{
    stele_shards *shards = open_idle(3600000, false);
    stele_maintained maintained;
    stele_shard_release(acquire(shards, "acme", "first"));

    expect_fine(stele_shards_maintain(shards, NULL, &maintained));

    ck_assert_uint_eq(maintained.closed, 0);
    ck_assert_uint_eq(describe(shards).open, 1);
    stele_shards_close(shards);
}
END_TEST

START_TEST(a_thread_closes_what_is_idle)
{
    stele_shards *shards = open_idle(0, true);
    stele_shard *held = acquire(shards, "acme", "held");
    stele_shard_release(acquire(shards, "acme", "free"));

    while (describe(shards).closed_idle == 0)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);

    ck_assert_uint_eq(describe(shards).open, 1);
    expect_fine(append_data(stele_shard_store(held), "still open"));
    stele_shards_close(shards);
    stele_shard_release(held);
}
END_TEST

/* --- Under load --- */

enum { LOADERS = 8, LOAD_SHARDS = 24 };

static struct {
    stele_shards *shards;
    int rounds;
    atomic_int failures;
    atomic_int appended[LOAD_SHARDS];
    char first_failure[300];
} load;

static void fail_under_load(const char *doing)
{
    if (atomic_fetch_add(&load.failures, 1) == 0)
        snprintf(load.first_failure, sizeof(load.first_failure), "%s: %s", doing,
                 stele_error_text());
}

/* Each holds up to two, uses them while others push stores out, and never two of which somebody
 * else may hold the other and wait: there is room for all. */
static void *load_shards(void *context)
{
    uint64_t chance = *(const uint64_t *)context;
    stele_wait wait = STELE_WAIT_INIT;
    stele_acquire how = STELE_ACQUIRE_INIT;
    wait.timeout_ms = 600000; /* opening takes its time on a machine that is busy */
    how.wait = &wait;
    for (int i = 0; i < load.rounds; i++) {
        stele_shard *held[2] = { NULL, NULL };
        int numbers[2];
        for (int j = 0; j < 2; j++) {
            chance = chance * 6364136223846793005u + 1442695040888963407u;
            numbers[j] = (int)((chance >> 33) % LOAD_SHARDS);
            if (stele_shards_acquire(load.shards, "acme", name_of(numbers[j]), &how, &held[j])
                != STELE_OK)
                fail_under_load("acquiring");
        }
        for (int j = 0; j < 2; j++) {
            if (held[j] == NULL)
                continue;
            if (append_data(stele_shard_store(held[j]), name_of(numbers[j])) == STELE_OK)
                atomic_fetch_add(&load.appended[numbers[j]], 1);
            else
                fail_under_load("appending to what is held");
            stele_shard_release(held[j]);
        }
    }
    return NULL;
}

START_TEST(eviction_under_load_closes_nothing_that_is_held)
{
    pthread_t threads[LOADERS];
    uint64_t chances[LOADERS];
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    options.open_max = 2 * LOADERS;
    options.idle_ms = 0;
    options.maintenance = true;
    options.maintenance_interval_ms = 1;
    expect_fine(stele_shards_open(test_path("root"), &options, &load.shards));
    load.rounds = effort_of(15, 2000);
    uint64_t seed = choose_seed();
    for (int i = 0; i < LOADERS; i++) {
        chances[i] = next_chance();
        ck_assert_int_eq(pthread_create(&threads[i], NULL, load_shards, &chances[i]), 0);
    }
    for (int i = 0; i < LOADERS; i++)
        pthread_join(threads[i], NULL);

    ck_assert_msg(atomic_load(&load.failures) == 0, "%d failures, the first %s",
                  atomic_load(&load.failures), load.first_failure);
    stele_shards_info info = describe(load.shards);
    ck_assert_uint_gt(info.closed_full + info.closed_idle, 0);
    for (int i = 0; i < LOAD_SHARDS; i++) {
        int same = 0, other = 0;
        stele_shard *shard = acquire(load.shards, "acme", name_of(i));
        count_data(stele_shard_store(shard), name_of(i), &same, &other);
        ck_assert_int_eq(same, atomic_load(&load.appended[i]));
        ck_assert_int_eq(other, 0);
        stele_shard_release(shard);
    }
    stele_shards_close(load.shards);
    printf("# load: seed %" PRIu64 ", %d threads x %d rounds over %d shards: %" PRIu64
           " opened, %" PRIu64 " closed for room, %" PRIu64 " idle, %" PRIu64 " waited\n",
           seed, LOADERS, load.rounds, LOAD_SHARDS, info.opened, info.closed_full, info.closed_idle,
           info.waited);
}
END_TEST

/* --- Many shards, few descriptors --- */

#define failing(call)                                                                              \
    ((call) != STELE_OK                                                                            \
     && fprintf(stderr, "# %s at %d of %s: %s\n", #call, i, root, stele_error_text()) > 0)

/* In a process of its own: what went wrong is its exit status. */
static int use_many(const char *root, int count)
{
    const struct rlimit limit = { 256, 256 };
    stele_shards *shards = NULL;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    options.open_max = 15;
    int i = -1;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0
        || failing(stele_shards_open(root, &options, &shards)))
        return 1;
    for (int round = 0; round < 2; round++) {
        for (i = 0; i < count; i++) {
            /* Each hundred are an organisation. */
            char organisation[32];
            int64_t head = 0;
            stele_shard *shard = NULL;
            snprintf(organisation, sizeof(organisation), "org-%d", i / 100);
            if (failing(stele_shards_acquire(shards, organisation, name_of(i), NULL, &shard)))
                return 2;
            if (failing(append_data(stele_shard_store(shard), "one more"))
                || failing(stele_store_head(stele_shard_store(shard), &head)))
                return 3;
            if (head != round + 1)
                return 4;
            stele_shard_release(shard);
        }
    }
    stele_shards_info info;
    if (failing(stele_shards_describe(shards, &info)))
        return 5;
    stele_shards_close(shards);
    return info.created == (uint64_t)count && info.opened == 2 * (uint64_t)count
                   && info.open == options.open_max
               ? 0
               : 6;
}

START_TEST(thousands_of_shards_need_256_descriptors)
{
    int count = effort_of(100, 10000);
    const char *root = test_path("root");
    pid_t child = fork();
    if (child == 0)
        _exit(use_many(root, count));
    int exit_status = -1;
    ck_assert_int_eq(waitpid(child, &exit_status, 0), child);

    ck_assert_msg(WIFEXITED(exit_status) && WEXITSTATUS(exit_status) == 0, "exit status %x",
                  (unsigned)exit_status);
    printf("# descriptors: %d shards, each opened twice, with 256\n", count);
}
END_TEST

/* What docs/shards.md says of an open shard. */
START_TEST(an_open_shard_costs_what_is_told)
{
    enum { COUNT = 20 };
    stele_shard *held[COUNT];
    stele_shards *shards = open_root(COUNT + 1);
    stele_shard *first = acquire(shards, "acme", "first");
    resources start = count_resources();
    for (int i = 0; i < COUNT; i++)
        held[i] = acquire(shards, "acme", name_of(i));
    resources opened = count_resources();
    for (int i = 0; i < COUNT; i++) {
        int same = 0, other = 0;
        expect_fine(append_data(stele_shard_store(held[i]), "used"));
        count_data(stele_shard_store(held[i]), "used", &same, &other);
    }
    resources used = count_resources();
    printf("# an open shard: %.1f descriptors, %" PRId64 " bytes; used: %.1f, %" PRId64 "\n",
           (opened.descriptors - start.descriptors) / (double)COUNT,
           (opened.own_bytes + opened.sqlite_bytes - start.own_bytes - start.sqlite_bytes) / COUNT,
           (used.descriptors - start.descriptors) / (double)COUNT,
           (used.own_bytes + used.sqlite_bytes - start.own_bytes - start.sqlite_bytes) / COUNT);
    ck_assert_int_le(used.descriptors - start.descriptors, 12 * COUNT);
    for (int i = 0; i < COUNT; i++)
        stele_shard_release(held[i]);
    stele_shard_release(first);
    stele_shards_close(shards);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("shards_room");
    TCase *room = tcase_create("room");
    tcase_set_timeout(room, 3600);
    tcase_add_checked_fixture(room, set_up, tear_down);
    tcase_add_test(room, the_least_recently_used_is_closed_for_another);
    tcase_add_test(room, what_is_held_is_never_closed_for_another);
    tcase_add_test(room, when_all_are_held_the_next_is_busy);
    tcase_add_test(room, one_that_is_being_dropped_leaves_its_room_to_who_waits);
    tcase_add_test(room, eviction_under_load_closes_nothing_that_is_held);
    tcase_add_test(room, thousands_of_shards_need_256_descriptors);
    tcase_add_test(room, an_open_shard_costs_what_is_told);
    suite_add_tcase(suite, room);
    TCase *idle = tcase_create("idle");
    tcase_set_timeout(idle, 60);
    tcase_add_checked_fixture(idle, set_up, tear_down);
    tcase_add_test(idle, maintenance_closes_what_is_idle_and_nothing_that_is_held);
    tcase_add_test(idle, the_next_acquire_closes_what_is_idle);
    tcase_add_test(idle, what_was_just_used_is_not_idle);
    tcase_add_test(idle, a_thread_closes_what_is_idle);
    suite_add_tcase(suite, idle);
    return run_suite(suite);
}
