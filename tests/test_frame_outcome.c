/*
 * A frame whose commit failed on the disk: the sequencer of a single file finds out by its writer's
 * number whether it is stored after all, and it is stored once.
 */
#include "frames.h"

#include "store/store.h"

#include "disk_hooks.h"

#include <fcntl.h>

static stele__local *local;
static bool fails;      /* the next sync of the WAL does */
static bool comes_back; /* what it left there is found by who opens the file next */
static int failed;
static int told;

/* In another process: closing the file here would drop SQLite's locks on it. */
static int spoil_index(void *context)
{
    static const char zeros[96];
    (void)context;
    char path[4096];
    snprintf(path, sizeof(path), "%s-shm", store_path());
    int descriptor = open(path, O_WRONLY);
    return descriptor < 0 || pwrite(descriptor, zeros, sizeof(zeros), 0) != sizeof(zeros);
}

static int fail_one_sync(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    if (failed > 0 && comes_back && call == DISK_OPEN && file == DISK_MAIN) {
        comes_back = false;
        ck_assert_int_eq(run_in_child(spoil_index, NULL), 0);
    }
    if (!fails || call != DISK_SYNC || file != DISK_WAL)
        return SQLITE_OK;
    fails = false;
    failed++;
    return SQLITE_IOERR_FSYNC;
}

static void count_told(void *context, uint64_t sequence, const void *frame, size_t size)
{
    (void)context;
    (void)frame;
    (void)size;
    ck_assert_uint_eq(sequence, (uint64_t)++told);
}

static void open_failing(void)
{
    stele__local_options options = { .observe = count_told };
    install_disk_hooks();
    disk_hook = fail_one_sync;
    fails = comes_back = false;
    failed = told = 0;
    open_in_file();
    assert_status(stele__local_open(store, &options, &local), STELE_OK);
    assert_status(stele__sequencer_set(store, stele__local_sequencer(local)), STELE_OK);
    assert_status(append_one("a-1", STELE_NO_STREAM, "counted", NULL), STELE_OK);
}

static void close_failing(void)
{
    close_store();
    stele__local_close(local);
    local = NULL;
    remove_disk_hooks();
    remove_test_folder();
}

static void expect_stored_once(int64_t events)
{
    stele__frame_place place;
    stele__local_counts counts;
    ck_assert_int_eq(failed, 1);
    ck_assert_int_eq(head_of(store), events);
    assert_status(stele__frame_place_find(store, &place), STELE_OK);
    ck_assert_uint_eq(place.applied, 2);
    stele__local_counts_get(local, &counts);
    ck_assert_uint_eq(counts.accepted, 2);
    ck_assert_uint_eq(counts.unknown, 0);
    ck_assert_int_eq(told, 2);
    assert_status(append_one("a-1", events, "counted", NULL), STELE_OK);
    ck_assert_int_eq(told, 3);
    assert_verified(store);
}

/* `_i`: whether what the failed commit left comes back. */
START_TEST(append_whose_commit_failed_is_stored_once_whether_that_comes_back_or_not)
{
    stele_appended appended = { 0 };
    fails = true;
    comes_back = _i == 1;
    assert_status(append_one("a-1", STELE_ANY, "counted", &appended), STELE_OK);
    ck_assert_int_eq(appended.stream_version, 2);
    ck_assert_int_eq(appended.last_position, 2);
    expect_stored_once(2);
}
END_TEST

START_TEST(append_at_an_expected_version_does_not_conflict_with_itself)
{
    stele_appended appended = { 0 };
    fails = true;
    comes_back = _i == 1;
    assert_status(append_one("a-1", 1, "counted", &appended), STELE_OK);
    ck_assert_int_eq(appended.stream_version, 2);
    expect_stored_once(2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frame outcome");
    TCase *tests = tcase_create("failed commits");
    tcase_add_checked_fixture(tests, open_failing, close_failing);
    tcase_add_loop_test(
        tests, append_whose_commit_failed_is_stored_once_whether_that_comes_back_or_not, 0, 2);
    tcase_add_loop_test(tests, append_at_an_expected_version_does_not_conflict_with_itself, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
