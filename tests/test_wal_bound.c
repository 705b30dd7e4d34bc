/*
 * The WAL stays bounded whatever reads go on: pages that had begun are waited for, and beyond the
 * hard threshold new ones wait. The control, without both, lets it grow.
 */
#include "contract.h"
#include "effort.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

enum { SOFT_PAGES = 400, HARD_PAGES = 1200, WAL_PAGE = 4096 + 24, READERS_MAX = 8 };

static atomic_bool stop_reading;
static atomic_uint pages_read;

static void open_with_thresholds(bool maintenance)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    options.wal_soft_pages = SOFT_PAGES;
    options.wal_hard_pages = HARD_PAGES;
    options.busy_timeout_ms = 60000;
    options.maintenance = maintenance;
    store = open_path(store_path(), &options);
}

/* 1000-row pages, one after the other: there is nearly always one in progress. */
static void *loop_reading(void *context)
{
    int64_t *least = context;
    int64_t after = 0;
    while (!atomic_load(&stop_reading)) {
        stele_read read = STELE_READ_INIT;
        read.after_position = after;
        read.limit = 1000;
        stele_cursor *cursor = NULL;
        const stele_record *record = NULL;
        if (stele_store_read(store, &read, &cursor) != STELE_OK)
            return NULL;
        int64_t expected = after + 1;
        while (stele_cursor_next(cursor, &record) == STELE_OK && record->position == expected)
            expected++;
        stele_cursor_close(cursor);
        *least += expected - after - 1;
        after = expected > 1000 ? expected - 1000 : 0;
        after = after > 20000 ? 0 : after;
        atomic_fetch_add(&pages_read, 1);
    }
    return NULL;
}

static int64_t measure_file(const char *suffix)
{
    char path[4200];
    struct stat facts;
    snprintf(path, sizeof(path), "%s%s", store_path(), suffix);
    return stat(path, &facts) == 0 ? (int64_t)facts.st_size : 0;
}

static void append_batch(int number)
{
    static char data[1024];
    stele_event events[20];
    memset(data, 'x', sizeof(data));
    data[0] = '"';
    data[sizeof(data) - 1] = '"';
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        events[i] = make_event("measured", "");
        events[i].data = data;
        events[i].data_size = sizeof(data);
    }
    char stream[32];
    snprintf(stream, sizeof(stream), "device-%d", number % 50);
    stele_append append = make_append(stream, STELE_ANY, events, COUNT_OF(events));
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
}

/* Append beside so many readers until the WAL is beyond `limit`, or `batches` were written. The
 * most that the WAL ever was. */
static int64_t write_beside_readers(int readers, int batches, int64_t limit)
{
    pthread_t threads[READERS_MAX];
    int64_t counts[READERS_MAX] = { 0 };
    int64_t most = 0;
    atomic_store(&stop_reading, false);
    for (int i = 0; i < 100; i++)
        append_batch(i);
    for (int i = 0; i < readers; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, loop_reading, &counts[i]), 0);
    for (int i = 0; i < batches && most <= limit; i++) {
        append_batch(i);
        int64_t now = measure_file("-wal");
        most = now > most ? now : most;
    }
    atomic_store(&stop_reading, true);
    for (int i = 0; i < readers; i++)
        pthread_join(threads[i], NULL);
    return most;
}

static stele_store_info describe(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    return info;
}

#define BOUND ((int64_t)2 * HARD_PAGES * WAL_PAGE)

static const int reader_counts[] = { 0, 1, 4, 8 };

START_TEST(looping_readers_leave_the_wal_bounded)
{
    int readers = reader_counts[_i];
    open_with_thresholds(false);

    int64_t most = write_beside_readers(readers, effort_of(600, 20000), BOUND);

    stele_store_info info = describe();
    printf("  %d readers: WAL at most %" PRId64 " KB, %" PRIu64 " transfers, %" PRIu64
           " short, %" PRIu64 " gates\n",
           readers, most / 1024, info.transfers, info.transfers_short, info.gates);
    ck_assert_int_lt(most, BOUND);
    ck_assert_uint_gt(info.transfers, 0);
}
END_TEST

START_TEST(maintenance_thread_keeps_it_bounded_too)
{
    open_with_thresholds(true);

    int64_t most = write_beside_readers(4, 600, 2 * BOUND);

    ck_assert_int_lt(most, 2 * BOUND);
    ck_assert_uint_gt(describe().transfers, 0);
}
END_TEST

/* A commit that makes the WAL long while the thread is at work is heard all the same. */
START_TEST(maintenance_thread_misses_no_wake_up)
{
    open_with_thresholds(true);
    store->options.wal_hard_pages = 1000000; /* nobody helps it */

    write_beside_readers(0, 1500, INT64_MAX);

    ck_assert_uint_ge(describe().transfers, 6);
}
END_TEST

static atomic_int page_stage; /* 1: in its midst */

static int hold_page(void *context)
{
    (void)context;
    if (atomic_exchange(&page_stage, 1) == 0)
        nanosleep(&(struct timespec){ .tv_nsec = 80000000 }, NULL);
    return 0;
}

static void *read_a_long_page(void *context)
{
    (void)context;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 60000;
    wait.progress = hold_page;
    stele_read read = STELE_READ_INIT;
    read.prefix = "nobody";
    read.wait = &wait;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    if (stele_store_read(store, &read, &cursor) == STELE_OK)
        stele_cursor_next(cursor, &record);
    stele_cursor_close(cursor);
    return NULL;
}

/* Longer than readers of other processes are waited for. */
START_TEST(page_in_progress_is_waited_for)
{
    pthread_t thread;
    uint32_t left = 99;
    open_with_thresholds(false);
    for (int i = 0; i < 500; i++)
        append_batch(i);
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_OK);

    /* Nor is it waited for without end: on a busy machine it may take too long. */
    for (int i = 0; i < 20 && left > 0; i++) {
        append_batch(1);
        atomic_store(&page_stage, 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, read_a_long_page, NULL), 0);
        while (atomic_load(&page_stage) == 0)
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        append_batch(2);
        assert_status(stele_store_transfer(store, NULL, &left), STELE_OK);
        pthread_join(thread, NULL);
    }

    ck_assert_uint_eq(left, 0);
}
END_TEST

/* CONTROL: the same without waiting for anybody's page. */
START_TEST(without_the_drain_looping_readers_make_it_grow)
{
    open_with_thresholds(false);
    store->no_drain = true;

    int64_t most = write_beside_readers(4, 100000, BOUND);

    ck_assert_int_gt(most, BOUND);
}
END_TEST

START_TEST(gate_opens_again_when_nobody_writes)
{
    open_with_thresholds(false);
    for (int i = 0; i < 10; i++)
        append_batch(i);
    store->gate_closed = true; /* as a transfer leaves it that no write followed */

    ck_assert_int_eq(head_of(store), 200);

    ck_assert(!store->gate_closed);
}
END_TEST

START_TEST(maintenance_thread_moves_a_short_wal_when_it_is_quiet)
{
    open_with_thresholds(true);
    append_batch(1);

    uint64_t transfers = 0;
    for (int i = 0; i < 1000 && transfers == 0; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
        transfers = describe().transfers;
    }

    ck_assert_uint_gt(transfers, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wal bound");
    TCase *tests = tcase_create("wal");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, NULL, close_and_remove);
    tcase_add_loop_test(tests, looping_readers_leave_the_wal_bounded, 0,
                        (int)COUNT_OF(reader_counts));
    tcase_add_test(tests, maintenance_thread_keeps_it_bounded_too);
    tcase_add_test(tests, maintenance_thread_misses_no_wake_up);
    tcase_add_test(tests, page_in_progress_is_waited_for);
    tcase_add_test(tests, without_the_drain_looping_readers_make_it_grow);
    tcase_add_test(tests, gate_opens_again_when_nobody_writes);
    tcase_add_test(tests, maintenance_thread_moves_a_short_wal_when_it_is_quiet);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
