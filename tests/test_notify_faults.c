/*
 * Polling while SQLite's memory fails at any step of a look, and while the file is held: what was
 * committed is found later.
 */
#include "waiter_threads.h"

#include "disk_hooks.h"
#include "notify/notifier.h"

#include <limits.h>

/* --- Memory --- */

static sqlite3_mem_methods memory_below;
static int64_t sqlite_calls, sqlite_fails_at; /* 0: never */

static bool sqlite_call_fails(void)
{
    return sqlite_fails_at > 0 && ++sqlite_calls == sqlite_fails_at;
}

static void *allocate_or_fail(int size)
{
    return sqlite_call_fails() ? NULL : memory_below.xMalloc(size);
}

static void *reallocate_or_fail(void *memory, int size)
{
    return sqlite_call_fails() ? NULL : memory_below.xRealloc(memory, size);
}

/* Before anything else uses SQLite. */
static void take_over_sqlite_memory(void)
{
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory_below);
    sqlite3_mem_methods methods = memory_below;
    methods.xMalloc = allocate_or_fail;
    methods.xRealloc = reallocate_or_fail;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK)
        exit(EXIT_FAILURE);
}

/* The connection may be another one afterwards, whose versions mean nothing beside those before. */
START_TEST(commit_is_found_after_a_look_that_failed_at_any_step)
{
    stele_notifier *notifier = notifier_of(store);
    stele_store *other = open_path(store_path(), NULL);
    bool reached = true;
    int failed = 0;
    assert_status(stele__notifier_look(notifier), STELE_OK);
    for (int64_t point = 1; reached; point++) {
        append_some(other, 1);
        sqlite_calls = 0;
        sqlite_fails_at = point;
        stele_status status = stele__notifier_look(notifier);
        reached = sqlite_calls >= point;
        sqlite_fails_at = 0;
        ck_assert(status == STELE_OK || status == STELE_NO_MEMORY);
        failed += status != STELE_OK;

        assert_status(stele__notifier_look(notifier), STELE_OK);
        ck_assert_int_eq(stele_notifier_head(notifier), point);
    }
    ck_assert_int_gt(failed, 0);
    stele_store_close(other);
}
END_TEST

/* --- A file that is held --- */

static int refusals; /* so many times nobody new gets at the file */

static int refuse_locks(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    if (call != DISK_LOCK || file != DISK_MAIN || refusals == 0)
        return SQLITE_OK;
    refusals--;
    return SQLITE_BUSY;
}

static stele_store *writer;
static stele_store *watcher; /* of the same file, and as another process would: it has to poll */

/* The watcher's connections are there; that of its notifier isn't yet. */
static void open_watched(uint32_t busy_timeout_ms)
{
    int64_t head = 0;
    stele_options limits = STELE_OPTIONS_INIT;
    limits.busy_timeout_ms = busy_timeout_ms;
    limits.poll_interval_ms = 10;
    writer = open_path(store_path(), NULL);
    watcher = open_path(store_path(), &limits);
    append_some(writer, 1);
    assert_status(stele_store_head(watcher, &head), STELE_OK);
    ck_assert_int_eq(head, 1);
}

static void set_up_held(void)
{
    install_disk_hooks();
    disk_hook = refuse_locks;
    refusals = 0;
}

static void tear_down_held(void)
{
    refusals = 0;
    stele_store_close(watcher);
    stele_store_close(writer);
    watcher = NULL;
    writer = NULL;
    remove_test_folder();
    remove_disk_hooks();
}

START_TEST(wait_for_a_file_that_is_held_for_too_long_is_busy)
{
    int64_t head = -1;
    open_watched(50);
    stele_notifier *notifier = notifier_of(watcher);
    refusals = INT_MAX;

    assert_status(wait_ms(notifier, 1, MUST_COME_MS, &head), STELE_BUSY);

    /* Nothing was seen; and nothing is missed once it is let go. */
    ck_assert_int_lt(refusals, INT_MAX);
    ck_assert_int_eq(head, stele_notifier_head(notifier));
    ck_assert_int_le(head, 1);
    append_some(writer, 1);
    refusals = 0;
    assert_status(wait_ms(notifier, 1, MUST_COME_MS, &head), STELE_OK);
    ck_assert_int_eq(head, 2);
}
END_TEST

START_TEST(polling_of_a_file_that_is_held_for_too_long_is_busy)
{
    stele_wait wait = wait_of(MUST_COME_MS);
    open_watched(50);
    stele_notifier *notifier = notifier_of(watcher);
    refusals = INT_MAX;

    assert_status(stele_notifier_poll(notifier, &wait), STELE_BUSY);
}
END_TEST

/* Whose patience ends first is told so. */
START_TEST(wait_for_a_held_file_times_out_before_the_store_gives_up)
{
    int64_t head = -1;
    open_watched(MUST_COME_MS);
    stele_notifier *notifier = notifier_of(watcher);
    refusals = INT_MAX;

    assert_status(wait_ms(notifier, 1, 50, &head), STELE_TIMED_OUT);

    ck_assert_int_lt(refusals, INT_MAX);
    ck_assert_int_le(head, 1);
}
END_TEST

START_TEST(wait_goes_on_when_the_file_is_let_go_in_time)
{
    int64_t head = -1;
    open_watched(MUST_COME_MS);
    stele_notifier *notifier = notifier_of(watcher);
    append_some(writer, 1);
    refusals = 5;

    assert_status(wait_ms(notifier, 1, MUST_COME_MS, &head), STELE_OK);

    ck_assert_int_eq(refusals, 0);
    ck_assert_int_eq(head, 2);
}
END_TEST

int main(void)
{
    take_over_sqlite_memory();
    Suite *suite = suite_create("notify faults");
    TCase *tests = add_case(suite, "looks", open_in_file);
    tcase_add_test(tests, commit_is_found_after_a_look_that_failed_at_any_step);
    TCase *held = tcase_create("held");
    tcase_add_checked_fixture(held, set_up_held, tear_down_held);
    tcase_set_timeout(held, 120);
    suite_add_tcase(suite, held);
    tcase_add_test(held, wait_for_a_file_that_is_held_for_too_long_is_busy);
    tcase_add_test(held, polling_of_a_file_that_is_held_for_too_long_is_busy);
    tcase_add_test(held, wait_for_a_held_file_times_out_before_the_store_gives_up);
    tcase_add_test(held, wait_goes_on_when_the_file_is_let_go_in_time);
    return run_suite(suite);
}
