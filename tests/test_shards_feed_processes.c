/* Feeds of shards that other processes write to: nothing is lost or out of order, and over kills
   nothing counts twice. */
#define _GNU_SOURCE
#include "feeding_tests.h"

#include "effort.h"
#include "shard/feed_rules.h"

#include <poll.h>
#include <pthread.h> /* shards have threads: the thread sanitizer runs who includes it */
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

/* --- Writers of other processes --- */

enum { WRITERS = 2, NAMES = 5 };

static void name_shard(unsigned number, char name[16])
{
    snprintf(name, 16, "n%u", number);
}

/* In a child: appends here and there until it is killed. */
static void write_until_killed(uint64_t seed, bool coarse)
{
    seed_chance(seed);
    open_shards();
    for (;;) {
        char name[16];
        stele_shard *shard = NULL;
        name_shard((unsigned)(next_chance() >> 20) % NAMES, name);
        if (stele_shards_acquire(shards, "o", name, NULL, &shard) != STELE_OK)
            continue;
        if (coarse)
            stele_store_transfer(stele_shard_store(shard), NULL, NULL);
        append_to(stele_shard_store(shard), "list-1", STELE_ANY, "noted", NULL);
        stele_shard_release(shard);
        poll(NULL, 0, (int)((next_chance() >> 20) % 12));
    }
}

static pid_t start_child(void (*run)(uint64_t seed, bool coarse), uint64_t seed, bool coarse)
{
    test_folder(); /* it is that of the process that asks first */
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child != 0)
        return child;
    run(seed, coarse);
    _exit(0);
}

static void kill_child(pid_t child)
{
    int state = 0;
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert_msg(WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL, "the child ended by itself: %x",
                  (unsigned)state);
}

/* Everything that `feed` gives must be the next event of its shard. */
static void follow_in_order(stele_feed *feed, int64_t last[NAMES], uint32_t timeout_ms)
{
    stele_wait wait = wait_of(timeout_ms);
    const stele_feed_batch *batch = NULL;
    stele_status status = stele_feed_next(feed, &wait, &batch);
    if (status == STELE_TIMED_OUT)
        return;
    assert_status(status, STELE_OK);
    int at = stele_shard_namespace(batch->shard)[1] - '0';
    for (size_t i = 0; i < batch->count; i++)
        ck_assert_int_eq(batch->records[i]->position, ++last[at]);
    assert_status(stele_feed_ack(feed), STELE_OK);
}

static void follow_writers(bool coarse)
{
    pid_t writers[WRITERS];
    int64_t last[NAMES] = { 0 };
    int64_t total = 0;
    uint64_t seed = choose_seed();
    for (unsigned i = 0; i < WRITERS; i++)
        writers[i] = start_child(write_until_killed, seed + i, coarse);
    open_shards();
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    options.poll_interval_ms = 1;
    options.name = "feed";
    stele_feed *feed = open_feed(&options);
    if (coarse)
        begin_coarse_clock();

    time_t end = time(NULL) + (effort_is_long() ? 60 : 3);
    while (time(NULL) < end)
        follow_in_order(feed, last, 20);
    for (size_t i = 0; i < WRITERS; i++)
        kill_child(writers[i]);
    for (unsigned i = 0; i < NAMES; i++) {
        char name[16];
        stele_shard *shard = NULL;
        name_shard(i, name);
        shard = get_shard("o", name);
        int64_t head = head_of(stele_shard_store(shard));
        stele_shard_release(shard);
        for (time_t late = time(NULL) + 60; last[i] < head && time(NULL) < late;)
            follow_in_order(feed, last, 100);
        ck_assert_int_eq(last[i], head);
        ck_assert_int_eq(checkpoint_in("o", name, "feed"), head);
        total += head;
    }
    if (coarse)
        end_coarse_clock();
    stele_feed_close(feed);
    printf("seed %" PRIu64 ": %" PRId64 " events%s\n", seed, total,
           coarse ? " by a coarse clock" : "");
    close_shards();
}

START_TEST(what_other_processes_write_comes_whole_and_in_order)
{
    follow_writers(false);
}
END_TEST

START_TEST(so_it_does_where_the_clock_is_coarse)
{
    follow_writers(true);
}
END_TEST

/* --- A model that is kept with the place --- */

static void execute_sql(sqlite3 *database, const char *sql)
{
    char *error = NULL;
    if (sqlite3_exec(database, sql, NULL, NULL, &error) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, error);
        abort();
    }
}

/* A batch is counted in a table of its shard; `apart`: acknowledged in a commit of its own. */
static stele_status count_batch(stele_feed *feed, const stele_feed_batch *batch, bool apart)
{
    char sql[200];
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(stele_shard_store(batch->shard), &transaction);
    if (status != STELE_OK)
        return status;
    execute_sql(
        stele_transaction_sqlite(transaction),
        "CREATE TABLE IF NOT EXISTS model(id INTEGER PRIMARY KEY, events INTEGER, total INTEGER)");
    int64_t sum = 0;
    for (size_t i = 0; i < batch->count; i++)
        sum += batch->records[i]->position;
    snprintf(sql, sizeof(sql),
             "INSERT INTO model VALUES(1, %zu, %" PRId64 ") ON CONFLICT(id) DO UPDATE SET"
             " events = events + excluded.events, total = total + excluded.total",
             batch->count, sum);
    execute_sql(stele_transaction_sqlite(transaction), sql);
    if (!apart)
        status = stele_feed_ack_within(feed, transaction);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    return status;
}

static stele_feed *open_counting_feed(void)
{
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    options.name = "counting";
    options.batch_count_max = 3;
    options.poll_interval_ms = 1;
    return open_feed(&options);
}

/* What a child has counted, for its parent. */
static atomic_int *counted_batches;

static void share_count(void)
{
    counted_batches = mmap(NULL, sizeof(*counted_batches), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(counted_batches, MAP_FAILED);
    atomic_store(counted_batches, 0);
}

/* Until it is at work, and then a little longer. */
static void wait_for_work(void)
{
    int wanted = atomic_load(counted_batches) + 1 + (int)((next_chance() >> 20) % 6);
    for (time_t late = time(NULL) + 60; atomic_load(counted_batches) < wanted;) {
        ck_assert_int_lt(time(NULL), late);
        poll(NULL, 0, 1);
    }
    poll(NULL, 0, (int)((next_chance() >> 20) % 20));
}

static void count_until_killed(uint64_t seed, bool apart)
{
    const stele_feed_batch *batch = NULL;
    (void)seed;
    open_shards();
    stele_feed *feed = open_counting_feed();
    stele_wait wait = wait_of(1000);
    for (;;)
        if (stele_feed_next(feed, &wait, &batch) == STELE_OK
            && count_batch(feed, batch, apart) == STELE_OK)
            atomic_fetch_add(counted_batches, 1);
}

static int64_t ask_shard(stele_shard *shard, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    stele_transaction *transaction = NULL;
    int64_t number = -1;
    assert_status(stele_transaction_begin(stele_shard_store(shard), &transaction), STELE_OK);
    ck_assert_int_eq(
        sqlite3_prepare_v2(stele_transaction_sqlite(transaction), sql, -1, &statement, NULL),
        SQLITE_OK);
    if (sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    stele_transaction_end(transaction);
    return number;
}

START_TEST(over_kills_each_event_counts_exactly_once)
{
    uint64_t seed = choose_seed();
    int kills = effort_is_long() ? 300 : 12;
    int64_t total = 0;
    share_count();
    for (int i = 0; i < kills; i++) {
        pid_t writer = start_child(write_until_killed, seed + (uint64_t)i, false);
        pid_t counter = start_child(count_until_killed, 0, false);
        wait_for_work();
        kill_child(counter);
        kill_child(writer);
    }

    const stele_feed_batch *batch = NULL;
    open_shards();
    stele_feed *feed = open_counting_feed();
    while (stele_feed_next(feed, NULL, &batch) == STELE_OK)
        assert_status(count_batch(feed, batch, false), STELE_OK);
    stele_feed_close(feed);
    for (unsigned i = 0; i < NAMES; i++) {
        char name[16];
        name_shard(i, name);
        stele_shard *shard = get_shard("o", name);
        int64_t head = head_of(stele_shard_store(shard));
        total += head;
        if (head > 0) {
            ck_assert_int_eq(ask_shard(shard, "SELECT events FROM model"), head);
            ck_assert_int_eq(ask_shard(shard, "SELECT total FROM model"), head * (head + 1) / 2);
        }
        stele_shard_release(shard);
    }
    ck_assert_int_ge(total, kills);
    printf("seed %" PRIu64 ": %d kills, %" PRId64 " events\n", seed, kills, total);
    munmap(counted_batches, sizeof(*counted_batches));
    close_shards();
}
END_TEST

/* The control: what is acknowledged apart from the effects counts twice when that is cut short. */
static void count_and_die(uint64_t seed, bool apart)
{
    const stele_feed_batch *batch = NULL;
    (void)seed;
    open_shards();
    stele_feed *feed = open_counting_feed();
    if (stele_feed_next(feed, NULL, &batch) == STELE_OK)
        count_batch(feed, batch, apart);
    for (;;)
        poll(NULL, 0, 1000);
}

START_TEST(acknowledged_apart_it_would_count_twice)
{
    for (int apart = 0; apart < 2; apart++) {
        const char *name = apart ? "apart" : "within";
        stele_shard *shard = NULL;
        open_shards();
        add_events("o", name, "noted", 2);
        close_shards();
        pid_t child = start_child(count_and_die, 0, apart);
        for (int64_t counted = -1; counted < 2;) {
            poll(NULL, 0, 20);
            /* SQLite by itself: the child may hold what it likes. */
            char path[600];
            sqlite3 *database = NULL;
            sqlite3_stmt *statement = NULL;
            snprintf(path, sizeof(path), "%s/o/%s.db", test_path("root"), name);
            ck_assert_int_eq(sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, NULL),
                             SQLITE_OK);
            if (sqlite3_prepare_v2(database, "SELECT events FROM model", -1, &statement, NULL)
                    == SQLITE_OK
                && sqlite3_step(statement) == SQLITE_ROW)
                counted = sqlite3_column_int64(statement, 0);
            sqlite3_finalize(statement);
            sqlite3_close(database);
        }
        kill_child(child);
        const stele_feed_batch *batch = NULL;
        open_shards();
        stele_feed *feed = open_counting_feed();
        while (stele_feed_next(feed, NULL, &batch) == STELE_OK)
            assert_status(count_batch(feed, batch, false), STELE_OK);
        stele_feed_close(feed);
        shard = get_shard("o", name);
        ck_assert_int_eq(ask_shard(shard, "SELECT events FROM model"), apart ? 4 : 2);
        stele_shard_release(shard);
        close_shards();
    }
}
END_TEST

static Suite *shards_feed_processes_suite(void)
{
    Suite *suite = suite_create("shards_feed_processes");
    TCase *tests = add_case(suite, "processes", NULL);
    tcase_set_timeout(tests, 1200);
    tcase_add_test(tests, what_other_processes_write_comes_whole_and_in_order);
    tcase_add_test(tests, so_it_does_where_the_clock_is_coarse);
    tcase_add_test(tests, over_kills_each_event_counts_exactly_once);
    tcase_add_test(tests, acknowledged_apart_it_would_count_twice);
    return suite;
}

int main(void)
{
    return run_suite(shards_feed_processes_suite());
}
