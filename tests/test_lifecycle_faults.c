/*
 * Every call to the disk fails once while a stream is moved, read through its archive, brought back
 * and another one is deleted: nothing is lost or doubled, and what is left to do can be finished.
 */
#define _XOPEN_SOURCE 700 /* strdup */

#include "disk_hooks.h"
#include "effort.h"
#include "lifecycles.h"

#define EVENTS 8

static const struct failing {
    const char *name;
    disk_call calls[3];
    int codes[3];
    stele_status status;
} failings[] = {
    { "write error",
      { DISK_WRITE, DISK_SYNC, DISK_TRUNCATE },
      { SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE },
      STELE_IO },
    { "full disk", { DISK_WRITE, DISK_WRITE, DISK_WRITE }, { SQLITE_FULL, 0, 0 }, STELE_FULL },
    { "read error", { DISK_READ, DISK_READ, DISK_READ }, { SQLITE_IOERR_READ, 0, 0 }, STELE_IO },
};

static const struct failing *failing;
static bool armed;
static bool sticky;
static int64_t fails_at;
static int64_t call_number;
static int64_t hits;

static int fail_one_call(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)file;
    (void)detail;
    for (int i = 0; i < 3 && armed; i++) {
        if (failing->calls[i] != call || failing->codes[i] == 0)
            continue;
        ++call_number;
        bool due = sticky ? call_number >= fails_at : call_number == fails_at;
        hits += due;
        return due ? failing->codes[i] : SQLITE_OK;
    }
    return SQLITE_OK;
}

static void set_up_disk(void)
{
    install_disk_hooks();
    disk_skips_syncs = true;
    disk_hook = fail_one_call;
}

static void take_down_disk(void)
{
    armed = false;
    close_both();
    disk_hook = NULL;
    remove_disk_hooks();
}

/* What may come of it: the failure itself, an outcome that nobody knows, or the state that an
 * earlier one of these left behind. */
static stele_status allow(stele_status status, const char *what)
{
    bool allowed = status >= 0 || status == failing->status || status == STELE_UNKNOWN_OUTCOME
                   || status == STELE_ARCHIVED || status == STELE_IO;
    ck_assert_msg(allowed && (status >= 0 || hits > 0), "%s, %s, call %" PRId64 " fails: %s: %s",
                  what, failing->name, fails_at, stele_status_name(status), stele_error_text());
    return status;
}

static bool delete_was_acknowledged;

/* All of the stream through its archive, or the status that says why not. */
static void read_through(const char *stream)
{
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    int count = 0;
    read.stream = stream;
    stele_status status = allow(stele_store_read(store, &read, &cursor), "read");
    while (status == STELE_OK) {
        status = allow(stele_cursor_next(cursor, &record), "next");
        count += status == STELE_OK;
    }
    ck_assert_msg(status != STELE_DONE || count == EVENTS, "%d events and no failure", count);
    stele_cursor_close(cursor);
}

static void make_changes(void)
{
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 3;
    allow(archive_to("loan-1", archive, &work), "archive");
    allow(stele_store_attach(store, archive), "attach");
    read_through("loan-1");
    allow(restore_from("loan-1", archive, &work), "restore");
    delete_was_acknowledged = allow(delete_with("loan-2", NULL, &work), "delete") == STELE_OK;
}

/* One run with the call failing; whether it came to that. */
static bool run_with_failure(void)
{
    stele_status end;
    open_both();
    fill_varied("loan-1", EVENTS);
    fill_varied("loan-2", EVENTS);
    char *one = strdup(tell_stream("loan-1"));
    char *two = strdup(tell_stream("loan-2"));
    ck_assert(one != NULL && two != NULL);
    call_number = 0;
    hits = 0;
    armed = true;
    make_changes();
    armed = false;
    close_store();
    close_archive();
    open_both();
    assert_status(stele_store_attach(store, archive), STELE_OK);
    stele_resumed resumed = resume_with(archive);
    ck_assert_int_eq(resumed.finished, resumed.found);
    ck_assert_str_eq(tell_stream("loan-1"), one);
    const char *left = tell_read(store, "loan-2", &end, NULL);
    ck_assert_msg(left[0] == '\0' || (!delete_was_acknowledged && strcmp(left, two) == 0),
                  "call %" PRId64 ": a part of the deleted stream is left: %s", fails_at, left);
    assert_whole(store);
    assert_whole(archive);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), one);
    bool reached = hits > 0;
    close_both();
    free(one);
    free(two);
    return reached;
}

START_TEST(failing_call_loses_and_doubles_nothing)
{
    failing = &failings[_i / 2];
    sticky = _i % 2 == 1;
    uint64_t seed = choose_seed();
    int64_t stride = effort_is_long() ? 1 : 4 * EFFORT_SHARE;
    int64_t runs = 0;
    fails_at = effort_is_long() ? 1 : 1 + (int64_t)(next_chance() % (uint64_t)stride);
    while (run_with_failure()) {
        runs++;
        fails_at += stride;
    }
    printf("lifecycle faults: %s, %s: %" PRId64 " runs, %" PRId64 " calls, seed %" PRIu64 "\n",
           failing->name, sticky ? "from then on" : "once", runs, call_number, seed);
    ck_assert_int_gt(runs, 3);
}
END_TEST

static Suite *lifecycle_faults_suite(void)
{
    Suite *suite = suite_create("lifecycle_faults");
    TCase *tests = tcase_create("disk");
    tcase_add_checked_fixture(tests, set_up_disk, take_down_disk);
    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 600);
    tcase_add_loop_test(tests, failing_call_loses_and_doubles_nothing, 0,
                        2 * (int)COUNT_OF(failings));
    return suite;
}

int main(void)
{
    return run_suite(lifecycle_faults_suite());
}
