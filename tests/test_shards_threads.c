/* Many threads at the same shards: one store each, none closed that is held, no leak, no bleed. */
#include "effort.h"
#include "resources.h"
#include "sharding.h"

#include <pthread.h>
#include <stdatomic.h>

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

/* What a thread is told, and what it has to say: Check's self calls are for the main thread. */
typedef struct worker {
    stele_shards *shards;
    int number;
    uint64_t chance;
    atomic_int *gate;
    stele_store *store;
    int failures;
    char first_failure[300];
    int64_t appended;
    int64_t refused;
} worker;

static uint64_t next_of(worker *self)
{
    self->chance ^= self->chance << 13;
    self->chance ^= self->chance >> 7;
    self->chance ^= self->chance << 17;
    return self->chance;
}

static void note_failure(worker *self, const char *doing)
{
    if (self->failures++ == 0)
        snprintf(self->first_failure, sizeof(self->first_failure), "thread %d: %s: %s",
                 self->number, doing, stele_error_text());
}

/* All begin at the same time. */
static void pass_gate(worker *self, int count)
{
    atomic_fetch_add(self->gate, 1);
    while (atomic_load(self->gate) < count)
        nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

static void run_workers(worker *workers, int count, stele_shards *shards, void *(*run)(void *))
{
    enum { THREADS_MAX = 256 };
    pthread_t threads[THREADS_MAX];
    atomic_int gate = 0;
    for (int i = 0; i < count; i++) {
        workers[i] = (worker){ .shards = shards, .number = i, .gate = &gate };
        workers[i].chance = next_chance() | 1;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run, &workers[i]), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < count; i++)
        ck_assert_msg(workers[i].failures == 0, "%d failures; %s", workers[i].failures,
                      workers[i].first_failure);
}

/* --- Fifty at once --- */

enum { OPENERS = 50 };

static void *open_the_same(void *context)
{
    worker *self = context;
    stele_shard *shard = NULL;
    stele_wait wait = STELE_WAIT_INIT;
    stele_acquire how = STELE_ACQUIRE_INIT;
    wait.timeout_ms = 600000;
    how.wait = &wait;
    pass_gate(self, OPENERS);
    if (stele_shards_acquire(self->shards, "acme", "main", &how, &shard) != STELE_OK) {
        note_failure(self, "acquiring");
        return NULL;
    }
    self->store = stele_shard_store(shard);
    if (append_data(self->store, "here") != STELE_OK)
        note_failure(self, "appending");
    stele_shard_release(shard);
    return NULL;
}

START_TEST(fifty_that_ask_at_once_get_one_store)
{
    static worker workers[OPENERS];
    int rounds = effort_is_long() ? 100 : 3;
    for (int round = 0; round < rounds; round++) {
        stele_shards *shards = open_root(0);

        run_workers(workers, OPENERS, shards, open_the_same);

        for (int i = 1; i < OPENERS; i++)
            ck_assert_ptr_eq(workers[i].store, workers[0].store);
        stele_shards_info info = describe(shards);
        ck_assert_uint_eq(info.opened, 1);
        ck_assert_uint_eq(info.created, round == 0);
        ck_assert_uint_eq(info.handles, 0);
        stele_shards_close(shards);
    }
}
END_TEST

/* --- 128 threads, eight operations, 17 organisations, 41 namespaces --- */

enum { CROWD = 128, ORGANISATIONS = 17, NAMESPACES = 41 };

static void crowd_append(worker *self, stele_store *store, const char *mark)
{
    if (append_data(store, mark) == STELE_OK)
        self->appended++;
    else
        note_failure(self, "appending");
}

static void crowd_read(worker *self, stele_store *store, const char *mark)
{
    int same = 0, other = 0;
    count_data(store, mark, &same, &other);
    if (other > 0)
        note_failure(self, "reading what another shard should have");
}

static void crowd_put(worker *self, stele_store *store, const char *mark)
{
    stele_put put = STELE_PUT_INIT;
    put.scope = "crowd";
    put.key = "mark";
    put.codec = "raw";
    put.data = mark;
    put.data_size = strlen(mark);
    if (stele_state_put(store, &put, NULL) != STELE_OK)
        note_failure(self, "putting");
}

static void crowd_get(worker *self, stele_store *store, const char *mark)
{
    const stele_entry *entry = NULL;
    stele_status status = stele_state_get(store, "crowd", "mark", &entry);
    if (status != STELE_OK && status != STELE_NOT_FOUND)
        note_failure(self, "getting");
    else if (status == STELE_OK && entry->found
             && (entry->data_size != strlen(mark)
                 || memcmp(entry->data, mark, entry->data_size) != 0)) {
        char found[100];
        snprintf(found, sizeof(found), "getting '%.*s' from '%s'", (int)entry->data_size,
                 (const char *)entry->data, mark);
        note_failure(self, found);
    }
    stele_entry_close(entry);
}

static void crowd_operate(worker *self, const char *organisation, const char *name_space)
{
    char mark[64], path[512];
    stele_shard *shard = NULL;
    stele_shards_info info;
    int64_t head = 0;
    uint64_t operation = next_of(self) % 8;
    snprintf(mark, sizeof(mark), "%s/%s", organisation, name_space);
    if (operation == 6) {
        if (stele_shards_path(self->shards, organisation, name_space, path, sizeof(path))
            != STELE_OK)
            note_failure(self, "asking for the path");
        return;
    }
    if (operation == 7) {
        if (stele_shards_describe(self->shards, &info) != STELE_OK || info.held > info.open)
            note_failure(self, "describing");
        if (stele_shards_maintain(self->shards, NULL, NULL) != STELE_OK)
            note_failure(self, "maintaining");
        return;
    }
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 600000;
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.wait = &wait;
    if (stele_shards_acquire(self->shards, organisation, name_space, &how, &shard) != STELE_OK) {
        note_failure(self, "acquiring");
        return;
    }
    stele_store *store = stele_shard_store(shard);
    switch (operation) {
    case 0:
    case 1: crowd_append(self, store, mark); break;
    case 2: crowd_read(self, store, mark); break;
    case 3: crowd_put(self, store, mark); break;
    case 4: crowd_get(self, store, mark); break;
    default:
        if (stele_store_head(store, &head) != STELE_OK)
            note_failure(self, "asking for the head");
        break;
    }
    stele_shard_release(shard);
}

static atomic_int crowd_rounds;

static void *join_crowd(void *context)
{
    worker *self = context;
    pass_gate(self, CROWD);
    for (int i = 0; i < atomic_load(&crowd_rounds); i++) {
        char organisation[32], name_space[32];
        snprintf(organisation, sizeof(organisation), "org-%d",
                 (int)(next_of(self) % ORGANISATIONS));
        snprintf(name_space, sizeof(name_space), "Ns.%d", (int)(next_of(self) % NAMESPACES));
        crowd_operate(self, organisation, name_space);
    }
    return NULL;
}

/* How many shards are under the root, and how many events are in them. */
static int64_t count_all_events(int64_t *shards_out)
{
    stele_shards *shards = open_root(0);
    int64_t events = 0;
    *shards_out = 0;
    for (int i = 0; i < ORGANISATIONS; i++) {
        for (int j = 0; j < NAMESPACES; j++) {
            char organisation[32], name_space[32], mark[64];
            int same = 0, other = 0;
            stele_shard *shard = NULL;
            snprintf(organisation, sizeof(organisation), "org-%d", i);
            snprintf(name_space, sizeof(name_space), "Ns.%d", j);
            snprintf(mark, sizeof(mark), "%s/%s", organisation, name_space);
            if (try_acquire(shards, organisation, name_space, &shard) != STELE_OK)
                continue;
            count_data(stele_shard_store(shard), mark, &same, &other);
            ck_assert_int_eq(other, 0);
            events += same;
            ++*shards_out;
            stele_shard_release(shard);
        }
    }
    stele_shards_close(shards);
    return events;
}

START_TEST(a_crowd_works_on_many_shards_with_few_open)
{
    static worker workers[CROWD];
    uint64_t seed = choose_seed();
    int64_t appended = 0, shard_count = 0;
    atomic_store(&crowd_rounds, effort_of(8, 200));
    stele_shards *shards = open_root(24);

    run_workers(workers, CROWD, shards, join_crowd);

    stele_shards_info info = describe(shards);
    ck_assert_uint_eq(info.handles, 0);
    ck_assert_uint_eq(info.held, 0);
    ck_assert_uint_le(info.open, 24);
    stele_shards_close(shards);
    for (int i = 0; i < CROWD; i++)
        appended += workers[i].appended;
    int64_t stored = count_all_events(&shard_count);
    ck_assert_int_eq(stored, appended);
    ck_assert_uint_gt(info.closed_full, 0);
    printf("# crowd: seed %" PRIu64 ", %d threads x %d operations, %" PRId64 " shards, %" PRIu64
           " opened, %" PRIu64 " closed for room, %" PRIu64 " waited, %" PRId64 " events\n",
           seed, CROWD, atomic_load(&crowd_rounds), shard_count, info.opened, info.closed_full,
           info.waited, stored);
}
END_TEST

/* --- 32 tenants, eight threads each --- */

enum { TENANTS = 32, THREADS_OF_A_TENANT = 8 };

static atomic_int tenant_rounds;

static void *work_for_tenant(void *context)
{
    worker *self = context;
    char tenant[32];
    snprintf(tenant, sizeof(tenant), "tenant %d", self->number % TENANTS);
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 600000;
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.wait = &wait;
    pass_gate(self, TENANTS * THREADS_OF_A_TENANT);
    for (int i = 0; i < atomic_load(&tenant_rounds); i++) {
        stele_shard *shard = NULL;
        if (stele_shards_acquire(self->shards, tenant, "main", &how, &shard) != STELE_OK) {
            note_failure(self, "acquiring");
            return NULL;
        }
        crowd_append(self, stele_shard_store(shard), tenant);
        crowd_read(self, stele_shard_store(shard), tenant);
        stele_shard_release(shard);
    }
    return NULL;
}

START_TEST(tenants_see_nothing_of_each_other)
{
    static worker workers[TENANTS * THREADS_OF_A_TENANT];
    int rounds = effort_is_long() ? 40 : 1;
    atomic_store(&tenant_rounds, rounds);
    uint64_t seed = choose_seed();
    stele_shards *shards = open_root(5);

    run_workers(workers, TENANTS * THREADS_OF_A_TENANT, shards, work_for_tenant);

    for (int i = 0; i < TENANTS; i++) {
        char tenant[32];
        int same = 0, other = 0;
        snprintf(tenant, sizeof(tenant), "tenant %d", i);
        stele_shard *shard = acquire(shards, tenant, "main");
        count_data(stele_shard_store(shard), tenant, &same, &other);
        ck_assert_int_eq(same, rounds * THREADS_OF_A_TENANT);
        ck_assert_int_eq(other, 0);
        stele_shard_release(shard);
    }
    stele_shards_info info = describe(shards);
    stele_shards_close(shards);
    printf("# tenants: seed %" PRIu64 ", %d x %d threads, %d times, %" PRIu64 " opened\n", seed,
           TENANTS, THREADS_OF_A_TENANT, rounds, info.opened);
}
END_TEST

/* --- Closing while all are at it --- */

static void *work_until_closed(void *context)
{
    worker *self = context;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 600000;
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.wait = &wait;
    pass_gate(self, 16);
    for (;;) {
        char name_space[32];
        stele_shard *shard = NULL;
        snprintf(name_space, sizeof(name_space), "n%d", (int)(next_of(self) % 9));
        stele_status status = stele_shards_acquire(self->shards, "acme", name_space, &how, &shard);
        if (status == STELE_OK)
            status = append_data(stele_shard_store(shard), name_space);
        if (status == STELE_OK)
            self->appended++;
        else if (status != STELE_CLOSED)
            note_failure(self, "appending");
        /* The memory of the shards lives as long as a handle: ask while one is held. */
        if (status == STELE_CLOSED && shard != NULL) {
            stele_shard *none = NULL;
            if (stele_shards_acquire(self->shards, "acme", "main", &how, &none) != STELE_CLOSED)
                note_failure(self, "acquiring what is closed");
        }
        stele_shard_release(shard);
        if (status != STELE_OK)
            return NULL;
    }
}

static void *close_in_the_midst(void *context)
{
    worker *self = context;
    pass_gate(self, 16);
    nanosleep(&(struct timespec){ .tv_nsec = (long)(next_of(self) % 50) * 1000000 }, NULL);
    stele_shards_close(self->shards);
    return NULL;
}

static void *work_or_close(void *context)
{
    return ((worker *)context)->number == 0 ? close_in_the_midst(context)
                                            : work_until_closed(context);
}

START_TEST(closing_in_the_midst_loses_nothing_that_was_told)
{
    static worker workers[16];
    uint64_t seed = choose_seed();
    int rounds = effort_is_long() ? 100 : 3;
    int64_t appended = 0, stored = 0;
    for (int round = 0; round < rounds; round++) {
        stele_shards *shards = open_root(4);
        /* Kept by somebody, so that late calls find its memory, as the contract asks. */
        stele_shard *kept = acquire(shards, "kept", "open");
        run_workers(workers, 16, shards, work_or_close);
        stele_shard_release(kept);
        for (int i = 0; i < 16; i++)
            appended += workers[i].appended;
    }

    stele_shards *shards = open_root(4);
    for (int i = 0; i < 9; i++) {
        char name_space[32];
        int same = 0, other = 0;
        snprintf(name_space, sizeof(name_space), "n%d", i);
        stele_shard *shard = acquire(shards, "acme", name_space);
        count_data(stele_shard_store(shard), name_space, &same, &other);
        ck_assert_int_eq(other, 0);
        stored += same;
        stele_shard_release(shard);
    }
    stele_shards_close(shards);
    ck_assert_int_eq(stored, appended);
    printf("# closing in the midst: seed %" PRIu64 ", %d times, %" PRId64 " events\n", seed, rounds,
           stored);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("shards_threads");
    TCase *threads = tcase_create("threads");
    tcase_set_timeout(threads, 1800);
    tcase_add_checked_fixture(threads, set_up, tear_down);
    tcase_add_test(threads, fifty_that_ask_at_once_get_one_store);
    tcase_add_test(threads, a_crowd_works_on_many_shards_with_few_open);
    tcase_add_test(threads, tenants_see_nothing_of_each_other);
    tcase_add_test(threads, closing_in_the_midst_loses_nothing_that_was_told);
    suite_add_tcase(suite, threads);
    return run_suite(suite);
}
