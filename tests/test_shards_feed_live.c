/* Feeds of shards that others write to meanwhile: nothing is lost, and waiting ends as it must. */
#include "feeding_tests.h"

#include "disk_hooks.h"
#include "effort.h"
#include "base/platform.h"
#include "shard/feed_rules.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

/* Whatever must come has come by then; a test that waits so long has failed. */
#define MUST_COME_MS 60000

/* Take and acknowledge until `count` events have come. */
static void expect_events(stele_feed *feed, size_t count)
{
    stele_wait wait = wait_of(MUST_COME_MS);
    const stele_feed_batch *batch = NULL;
    for (size_t got = 0; got < count; got += batch->count) {
        assert_status(stele_feed_next(feed, &wait, &batch), STELE_OK);
        assert_status(stele_feed_ack(feed), STELE_OK);
    }
}

/* Looks at everything a few times, over that time. */
static size_t drain_for(stele_feed *feed, int milliseconds)
{
    size_t count = 0;
    for (int i = 0; i < 5; i++) {
        poll(NULL, 0, milliseconds / 5);
        count += drain_feed(feed);
    }
    return count;
}

/* --- Time stamps that are too coarse --- */

/* An event whose WAL is as long as it was before: both begin it anew. */
static void add_in_place(stele_shard *shard)
{
    stele_store *in = stele_shard_store(shard);
    assert_status(stele_store_transfer(in, NULL, NULL), STELE_OK);
    assert_status(append_to(in, "list-1", STELE_ANY, "noted", NULL), STELE_OK);
}

static int64_t this_second(void)
{
    return (int64_t)time(NULL);
}

/* Two events within one tick, and a look after each: whether the second came. */
static bool second_event_comes(void)
{
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    stele_shard *shard = get_shard("o", "a");
    bool came = false;
    int64_t second = 0;
    options.poll_interval_ms = 1;
    add_in_place(shard);
    add_in_place(shard);
    stele_feed *feed = open_feed(&options);
    do {
        second = this_second();
        drain_for(feed, 10);
        add_in_place(shard);
        drain_for(feed, 10);
        add_in_place(shard);
    } while (this_second() != second);
    for (int i = 0; i < 150 && !came; i++)
        came = drain_for(feed, 10) > 0;
    stele_feed_close(feed);
    stele_shard_release(shard);
    return came;
}

START_TEST(an_event_within_the_tick_of_the_look_before_it_comes)
{
    begin_coarse_clock();
    ck_assert(second_event_comes());
    end_coarse_clock();
}
END_TEST

/* The control: time stamps are believed at once. */
START_TEST(without_the_rule_of_the_tick_it_is_lost)
{
    begin_coarse_clock();
    stele__feed_rule.tick_us = INT64_MIN;
    bool came = second_event_comes();
    end_coarse_clock();
    ck_assert(!came);
}
END_TEST

/* --- A commit that takes its time --- */

static atomic_bool sync_is_held, sync_was_reached;
static pthread_t slow_writer;

/* The frames are in the WAL, and nobody can see them yet. */
static int hold_sync(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    if (call != DISK_SYNC || file != DISK_WAL || !atomic_load(&sync_is_held)
        || !pthread_equal(slow_writer, pthread_self()))
        return SQLITE_OK;
    atomic_store(&sync_was_reached, true);
    while (atomic_load(&sync_is_held))
        poll(NULL, 0, 1);
    return SQLITE_OK;
}

static void *append_slowly(void *context)
{
    slow_writer = pthread_self();
    atomic_store(&sync_is_held, true);
    assert_status(append_to(stele_shard_store(context), "list-1", STELE_ANY, "noted", NULL),
                  STELE_OK);
    return NULL;
}

/* Whether an event comes whose commit slept between being written and being visible. */
static bool slow_event_comes(void)
{
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    pthread_t thread;
    bool came = false;
    options.poll_interval_ms = 1;
    atomic_store(&sync_was_reached, false);
    disk_hook = hold_sync;
    stele_shard *shard = get_shard("o", "a");
    add_in_place(shard);
    stele_feed *feed = open_feed(&options);
    drain_for(feed, 10);
    ck_assert_int_eq(pthread_create(&thread, NULL, append_slowly, shard), 0);
    while (!atomic_load(&sync_was_reached))
        poll(NULL, 0, 1);
    ck_assert_uint_eq(drain_for(feed, 1000), 0);
    atomic_store(&sync_is_held, false);
    pthread_join(thread, NULL);
    int looks = stele__feed_rule.settles ? MUST_COME_MS / 10 : 100;
    for (int i = 0; i < looks && !came; i++)
        came = drain_for(feed, 10) > 0;
    stele_feed_close(feed);
    stele_shard_release(shard);
    disk_hook = NULL;
    return came;
}

START_TEST(an_event_whose_commit_slept_after_writing_comes)
{
    stele__feed_rule.tick_us = 50000;
    bool came = slow_event_comes();
    end_coarse_clock();
    ck_assert(came);
}
END_TEST

/* The control: nobody waits for commits in progress. */
START_TEST(without_waiting_for_commits_it_is_lost)
{
    stele__feed_rule.tick_us = 50000;
    stele__feed_rule.settles = false;
    bool came = slow_event_comes();
    end_coarse_clock();
    ck_assert(!came);
}
END_TEST

static void open_shards_on_hooks(void)
{
    install_disk_hooks();
    disk_skips_syncs = false;
    ask_below = stele__ask_stamp;
    open_shards();
}

static void close_shards_on_hooks(void)
{
    close_shards_and_remove();
    remove_disk_hooks();
}

/* --- Quiet times, many shards --- */

static void shorten_tick(void)
{
    stele__feed_rule.tick_us = 20000;
}

START_TEST(news_come_after_a_quiet_time)
{
    shorten_tick();
    add_events("o", "a", "noted", 1);
    add_events("o", "b", "noted", 1);
    stele_feed *feed = open_named_feed("feed");
    ck_assert_uint_eq(drain_feed(feed), 2);
    for (int i = 0; i < 5; i++) {
        stele_shards_info before;
        stele_shards_info after;
        ck_assert_uint_eq(drain_for(feed, 300), 0);
        assert_status(stele_shards_describe(shards, &before), STELE_OK);
        ck_assert_uint_eq(drain_for(feed, 50), 0);
        assert_status(stele_shards_describe(shards, &after), STELE_OK);
        ck_assert_uint_eq(after.opened, before.opened);
        add_events("o", i % 2 == 0 ? "a" : "b", "noted", 3);
        expect_events(feed, 3);
    }
    stele_feed_close(feed);
    end_coarse_clock();
}
END_TEST

/* Nobody writes for who reads: the files stay as they are. */
START_TEST(idle_shards_are_not_written_to)
{
    char path[600];
    stele__file_stamp before;
    stele__file_stamp after;
    shorten_tick();
    add_events("o", "a", "noted", 1);
    stele_feed *feed = open_named_feed("feed");
    drain_feed(feed);
    drain_for(feed, 300);
    assert_status(stele_shards_path(shards, "o", "a", path, sizeof(path)), STELE_OK);
    snprintf(path + strlen(path), 10, "-wal");
    assert_status(stele__stamp_file(path, &before), STELE_OK);

    drain_for(feed, 300);

    assert_status(stele__stamp_file(path, &after), STELE_OK);
    ck_assert(before.exists);
    ck_assert(stele__stamp_equal(&before, &after));
    stele_feed_close(feed);
    end_coarse_clock();
}
END_TEST

START_TEST(many_shards_need_few_that_are_open)
{
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_shards_info info;
    int many = effort_is_long() ? 2000 : 60;
    char name[16];
    close_shards();
    options.open_max = 3;
    shards = open_root(&options);
    shorten_tick();
    for (int i = 0; i < many; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        add_events("o", name, "noted", 1);
    }
    stele_feed *feed = open_named_feed("feed");
    ck_assert_uint_eq(drain_feed(feed), (size_t)many);
    for (int i = 0; i < many; i += 7) {
        snprintf(name, sizeof(name), "n%d", i);
        add_events("o", name, "noted", 2);
        expect_events(feed, 2);
        assert_status(stele_shards_describe(shards, &info), STELE_OK);
        ck_assert_uint_le(info.open, 3);
    }
    stele_feed_close(feed);
    end_coarse_clock();
}
END_TEST

START_TEST(a_shard_that_is_created_later_joins)
{
    char name[16];
    stele_feed *feed = open_named_feed("feed");
    expect_nothing(feed);
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        add_events(i % 2 == 0 ? "o" : name, name, "noted", 2);
        expect_events(feed, 2);
    }
    stele_feed_close(feed);
}
END_TEST

/* --- Stopping and closing --- */

static stele_feed *stopped_feed;

static void *stop_feed(void *context)
{
    poll(NULL, 0, *(const int *)context);
    stele_feed_stop(stopped_feed);
    return NULL;
}

static void *append_later(void *context)
{
    poll(NULL, 0, *(const int *)context);
    add_events("o", "a", "noted", 1);
    return NULL;
}

static void *close_later(void *context)
{
    poll(NULL, 0, *(const int *)context);
    stele_shards_close(shards);
    return NULL;
}

/* What a call answers that waits for ever, while a thread does `act`. */
static stele_status wait_while(stele_feed *feed, void *(*act)(void *context))
{
    int after_ms = 50;
    pthread_t thread;
    stele_wait wait = wait_of(UINT32_MAX);
    const stele_feed_batch *batch = NULL;
    stopped_feed = feed;
    ck_assert_int_eq(pthread_create(&thread, NULL, act, &after_ms), 0);
    stele_status status = stele_feed_next(feed, &wait, &batch);
    pthread_join(thread, NULL);
    return status;
}

START_TEST(a_thread_may_wake_stop_and_close)
{
    make_shard("o", "a");
    stele_feed *feed = open_named_feed("feed");
    const stele_feed_batch *batch = NULL;
    assert_status(wait_while(feed, append_later), STELE_OK);
    assert_status(stele_feed_ack(feed), STELE_OK);
    assert_status(wait_while(feed, stop_feed), STELE_DONE);
    assert_status(stele_feed_next(feed, NULL, &batch), STELE_DONE);
    stele_feed_close(feed);

    feed = open_named_feed("feed");
    assert_status(wait_while(feed, close_later), STELE_CLOSED);
    stele_feed_close(feed);
    open_shards();
}
END_TEST

static void stop_in_handler(int number)
{
    (void)number;
    stele_feed_stop(stopped_feed);
}

START_TEST(a_signal_handler_may_stop_it)
{
    struct sigaction action = { .sa_handler = stop_in_handler };
    struct sigaction before;
    stele_wait wait = wait_of(UINT32_MAX);
    const stele_feed_batch *batch = NULL;
    make_shard("o", "a");
    stopped_feed = open_named_feed("feed");
    ck_assert_int_eq(sigaction(SIGUSR1, &action, &before), 0);

    raise(SIGUSR1);

    assert_status(stele_feed_next(stopped_feed, &wait, &batch), STELE_DONE);
    sigaction(SIGUSR1, &before, NULL);
    stele_feed_close(stopped_feed);
}
END_TEST

static int count_asked(void *context)
{
    int *left = context;
    return --*left <= 0;
}

START_TEST(the_wait_may_cancel)
{
    int left = 3;
    stele_wait wait = wait_of(UINT32_MAX);
    const stele_feed_batch *batch = NULL;
    make_shard("o", "a");
    stele_feed *feed = open_named_feed("feed");
    wait.progress = count_asked;
    wait.context = &left;

    assert_status(stele_feed_next(feed, &wait, &batch), STELE_CANCELLED);

    wait = wait_of(1);
    assert_status(stele_feed_next(feed, &wait, &batch), STELE_TIMED_OUT);
    stele_feed_close(feed);
}
END_TEST

static Suite *shards_feed_live_suite(void)
{
    Suite *suite = suite_create("shards_feed_live");
    TCase *tests = tcase_create("stamps");
    tcase_add_checked_fixture(tests, open_shards_on_hooks, close_shards_on_hooks);
    tcase_set_timeout(tests, 600);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, an_event_within_the_tick_of_the_look_before_it_comes);
    tcase_add_test(tests, without_the_rule_of_the_tick_it_is_lost);
    tcase_add_test(tests, an_event_whose_commit_slept_after_writing_comes);
    tcase_add_test(tests, without_waiting_for_commits_it_is_lost);
    tests = add_shard_case(suite, "quiet");
    tcase_add_test(tests, news_come_after_a_quiet_time);
    tcase_add_test(tests, idle_shards_are_not_written_to);
    tcase_add_test(tests, many_shards_need_few_that_are_open);
    tcase_add_test(tests, a_shard_that_is_created_later_joins);
    tests = add_shard_case(suite, "stopping");
    tcase_add_test(tests, a_thread_may_wake_stop_and_close);
    tcase_add_test(tests, a_signal_handler_may_stop_it);
    tcase_add_test(tests, the_wait_may_cancel);
    return suite;
}

int main(void)
{
    return run_suite(shards_feed_live_suite());
}
