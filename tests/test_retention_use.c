/*
 * Retention in the middle of other work: cancelled, closed, failing, with appends, readers and
 * other processes in between; and what it gives back to the filesystem.
 */
#include "disk_hooks.h"
#include "resources.h"
#include "retaining.h"

#include <pthread.h>

enum { EVENTS = 60, LEFT = 10, STEP = 7 };

static stele_retain retain;
static stele_work work;

/* `a-1` has 60 events, of which the last ten are to stay. */
static void fill_and_plan(void)
{
    stele_event events[EVENTS];
    for (size_t i = 0; i < EVENTS; i++)
        events[i] = make_event("counted", "{\"n\":[1,2,3]}");
    stele_append append = make_append("a-1", STELE_ANY, events, EVENTS);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    work = (stele_work)STELE_WORK_INIT;
    work.step_count_max = STEP;
    retain = retain_of("a-1");
    retain.max_count = LEFT;
    retain.work = &work;
}

static void open_and_fill(void)
{
    open_in_file();
    fill_and_plan();
}

/* --- Between two steps --- */

/* A progress callback may call nothing of the library, so another thread does it meanwhile. */
static struct {
    void (*act)(void);
    int at_step;
    int steps;
    int answer;
    stele_progress last;
} between;

static void *act_elsewhere(void *context)
{
    (void)context;
    between.act();
    return NULL;
}

static int pass_between(void *context, const stele_progress *progress)
{
    (void)context;
    between.last = *progress;
    if (++between.steps != between.at_step)
        return 0;
    if (between.act != NULL) {
        pthread_t thread;
        pthread_create(&thread, NULL, act_elsewhere, NULL);
        pthread_join(thread, NULL);
    }
    return between.answer;
}

static void act_after(int step, void (*act)(void), int answer)
{
    memset(&between, 0, sizeof(between));
    between.at_step = step;
    between.act = act;
    between.answer = answer;
    work.progress = pass_between;
}

START_TEST(cancelled_it_leaves_a_step_and_the_next_call_goes_on)
{
    stele_retained retained;
    act_after(2, NULL, 1);

    assert_status(stele_store_retain(store, &retain, &retained), STELE_CANCELLED);

    expect_retained(retained, 1, 2 * STEP, 0);
    assert_reason_has("while trimming");
    ck_assert_uint_eq(between.last.done, 2 * STEP);
    ck_assert_uint_eq(between.last.total, EVENTS - LEFT);
    ck_assert_uint_eq(between.last.bytes, (uint64_t)retained.bytes);
    ck_assert_int_eq(info_of("a-1").first_version, 2 * STEP + 1);
    expect_verified();
    work.progress = NULL;
    expect_retained(run_retain(&retain), 1, EVENTS - LEFT - 2 * STEP, 0);
    ck_assert_int_eq(info_of("a-1").first_version, EVENTS - LEFT + 1);
    expect_verified();
}
END_TEST

START_TEST(cancelled_dry_run_changes_nothing)
{
    act_after(1, NULL, 1);
    retain.dry_run = true;
    assert_status(stele_store_retain(store, &retain, NULL), STELE_CANCELLED);
    assert_reason_has("while counting");
    ck_assert_int_eq(info_of("a-1").first_version, 1);
}
END_TEST

START_TEST(inside_a_transaction_of_its_thread_it_is_misuse)
{
    stele_transaction *transaction = begin();
    assert_status(stele_store_retain(store, &retain, NULL), STELE_MISUSE);
    stele_transaction_end(transaction);
    expect_retained(run_retain(&retain), 1, EVENTS - LEFT, 0);
}
END_TEST

static void rewind_reader(void)
{
    stele_checkpoint_save(store, "reader", 10);
}

START_TEST(reader_that_is_set_back_meanwhile_holds_back_the_rest)
{
    assert_status(stele_checkpoint_save(store, "reader", EVENTS), STELE_OK);
    act_after(1, rewind_reader, 0);

    stele_retained retained = run_retain(&retain);

    expect_retained(retained, 1, 10, EVENTS - LEFT - 10);
    ck_assert_str_eq(retained.slowest, "reader");
    ck_assert_int_eq(retained.slowest_position, 10);
    ck_assert_int_eq(info_of("a-1").first_version, 11);
}
END_TEST

static void append_more(void)
{
    for (int i = 0; i < 5; i++)
        append_one("a-1", STELE_ANY, "late", NULL);
}

START_TEST(events_appended_meanwhile_change_nothing_of_what_goes)
{
    act_after(1, append_more, 0);
    expect_retained(run_retain(&retain), 1, EVENTS - LEFT, 0);
    ck_assert_int_eq(info_of("a-1").events, LEFT + 5);
    expect_verified();
}
END_TEST

static void trim_further(void)
{
    stele_retain further = retain_of("a-1");
    further.max_count = 1;
    stele_store_retain(store, &further, NULL);
}

START_TEST(stream_that_somebody_trims_further_meanwhile_is_done)
{
    act_after(1, trim_further, 0);
    expect_retained(run_retain(&retain), 1, STEP, 0);
    ck_assert_int_eq(info_of("a-1").first_version, EVENTS);
    expect_verified();
}
END_TEST

static void delete_meanwhile(void)
{
    stele_delete what = STELE_DELETE_INIT;
    what.stream = "a-1";
    stele_store_delete(store, &what, NULL);
}

START_TEST(stream_deleted_meanwhile_is_not_found_and_no_matter_in_a_category)
{
    stele_retained retained;
    act_after(1, delete_meanwhile, 0);
    assert_status(stele_store_retain(store, &retain, &retained), STELE_NOT_FOUND);
    expect_retained(retained, 1, STEP, 0);

    fill_and_plan();
    fill_stream("a-2", 12);
    retain.stream = NULL;
    retain.category = "a";
    act_after(1, delete_meanwhile, 0);
    expect_retained(run_retain(&retain), 2, STEP + 2, 0);
    expect_verified();
}
END_TEST

static stele_store *archive;

static void move_meanwhile(void)
{
    stele_archive what = STELE_ARCHIVE_INIT;
    what.stream = "a-1";
    what.to = archive;
    stele_store_archive(store, &what, NULL);
}

START_TEST(stream_moved_meanwhile_is_archived)
{
    stele_retained retained;
    archive = open_path(test_path("archive.db"), NULL);
    act_after(1, move_meanwhile, 0);

    assert_status(stele_store_retain(store, &retain, &retained), STELE_ARCHIVED);

    expect_retained(retained, 1, STEP, 0);
    ck_assert_int_eq(retained.skipped, 1);
    expect_verified();
    stele_store_close(archive);
}
END_TEST

static void *close_in_thread(void *context)
{
    (void)context;
    stele_store_close(store);
    return NULL;
}

static pthread_t closer;

/* Closing waits for the call, so nobody may wait for its end here, but for its beginning. */
static void begin_to_close(void)
{
    int64_t head = 0;
    pthread_create(&closer, NULL, close_in_thread, NULL);
    while (stele_store_head(store, &head) != STELE_CLOSED)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

START_TEST(store_closed_meanwhile_is_closed_and_leaves_nothing_behind)
{
    stele_retained retained;
    close_store();
    resources before = count_resources();
    open_in_file();
    act_after(2, begin_to_close, 0);
    work.step_count_max = 1;

    assert_status(stele_store_retain(store, &retain, &retained), STELE_CLOSED);

    pthread_join(closer, NULL);
    store = NULL;
    expect_resources(before, "a retention that was closed");
    open_in_file();
    ck_assert_int_gt(retained.events, 0);
    ck_assert_int_eq(info_of("a-1").first_version, retained.events + 1);
    work = (stele_work)STELE_WORK_INIT;
    expect_retained(run_retain(&retain), 1, EVENTS - LEFT - retained.events, 0);
    expect_verified();
}
END_TEST

/* --- Several at once --- */

enum { PROCESSES = 3 };

static int retain_in_process(void *context)
{
    int told[2];
    memcpy(told, context, sizeof(told));
    stele_store *opened = NULL;
    stele_retained retained;
    work.step_count_max = 1;
    if (stele_store_open(store_path(), NULL, &opened) != STELE_OK
        || stele_store_retain(opened, &retain, &retained) != STELE_OK)
        return 1;
    stele_store_close(opened);
    return write(told[1], &retained.events, sizeof(retained.events)) == sizeof(retained.events) ? 0
                                                                                                : 2;
}

START_TEST(processes_that_trim_the_same_stream_share_the_work)
{
    int told[2];
    ck_assert_int_eq(pipe(told), 0);
    close_store();
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0)
            _exit(retain_in_process(told));
    }
    int64_t sum = 0;
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        int64_t events = 0;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        ck_assert_int_eq(read(told[0], &events, sizeof(events)), sizeof(events));
        sum += events;
    }
    close(told[0]);
    close(told[1]);

    ck_assert_int_eq(sum, EVENTS - LEFT);
    open_in_file();
    ck_assert_int_eq(info_of("a-1").first_version, EVENTS - LEFT + 1);
    expect_verified();
}
END_TEST

START_TEST(lock_that_another_holds_is_busy)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 10;
    work.wait = &wait;
    sqlite3 *other = open_raw(store_path());
    run_raw(other, "BEGIN IMMEDIATE");

    assert_status(stele_store_retain(store, &retain, NULL), STELE_BUSY);

    run_raw(other, "ROLLBACK");
    sqlite3_close(other);
    expect_retained(run_retain(&retain), 1, EVENTS - LEFT, 0);
}
END_TEST

/* --- What fails --- */

static struct {
    bool armed;
    bool sticky;
    int at;
    int count;
    int code;
    bool writes_only;
} plan;

static int statuses_seen[32];

static bool is_due(void)
{
    if (!plan.armed)
        return false;
    plan.count++;
    return plan.sticky ? plan.count >= plan.at : plan.count == plan.at;
}

static int fail_as_planned(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    bool meant = call == DISK_WRITE
                 || (!plan.writes_only && file != DISK_OTHER
                     && (call == DISK_READ || call == DISK_SYNC || call == DISK_TRUNCATE));
    return meant && is_due() ? plan.code : SQLITE_OK;
}

/* The `at`-th call to the disk fails, or the library's `at`-th allocation. */
static void arm(int at)
{
    plan.at = at;
    plan.count = 0;
    plan.armed = plan.code != SQLITE_NOMEM;
    if (plan.armed)
        return;
    atomic_store(&own.calls, 0);
    atomic_store(&own.fail_last, at);
    atomic_store(&own.fail_first, at);
}

/* Whether it came to that. */
static bool disarm(int at)
{
    bool reached = plan.armed ? plan.count >= at : atomic_load(&own.calls) >= at;
    plan.armed = false;
    atomic_store(&own.fail_first, 0);
    return reached;
}

/* One failure, at place `at`. False when it came to none. */
static bool fail_and_go_on(int at)
{
    stele_retained retained;
    install_disk_hooks();
    disk_hook = fail_as_planned;
    disk_skips_syncs = true;
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 20;
    store = open_path(store_path(), &options);
    fill_and_plan();
    arm(at);
    stele_status status = stele_store_retain(store, &retain, &retained);
    bool reached = disarm(at);
    if (status < 0)
        statuses_seen[-status]++;
    /* What was told is there, and maybe the step whose outcome nobody knows. */
    int64_t gone = info_of("a-1").first_version - 1;
    ck_assert_msg(gone == retained.events
                      || (status == STELE_UNKNOWN_OUTCOME && gone == retained.events + STEP),
                  "%s at %d: %" PRId64 " are gone, %" PRId64 " were told",
                  stele_status_name(status), at, gone, retained.events);
    expect_retained(run_retain(&retain), gone < EVENTS - LEFT, EVENTS - LEFT - gone, 0);
    ck_assert_int_eq(info_of("a-1").first_version, EVENTS - LEFT + 1);
    assert_status(append_one("a-1", EVENTS, "next", NULL), STELE_OK);
    expect_verified();
    close_and_remove();
    remove_disk_hooks();
    return reached;
}

static void sweep_failures(int code, bool sticky, bool writes_only)
{
    int at = 1;
    plan.code = code;
    plan.sticky = sticky;
    plan.writes_only = writes_only;
    while (fail_and_go_on(at))
        at += at < 40 ? 1 : 3;
    ck_assert_int_gt(at, 10);
}

START_TEST(failing_disk_or_memory_leaves_whole_steps_and_it_goes_on)
{
    close_and_remove();
    memset(statuses_seen, 0, sizeof(statuses_seen));
    sweep_failures(SQLITE_IOERR, false, false);
    sweep_failures(SQLITE_IOERR, true, false);
    sweep_failures(SQLITE_FULL, false, true);
    sweep_failures(SQLITE_NOMEM, false, true);
    static const stele_status wanted[] = { STELE_IO, STELE_FULL, STELE_NO_MEMORY,
                                           STELE_UNKNOWN_OUTCOME };
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        ck_assert_msg(statuses_seen[-wanted[i]] > 0, "%s never came", stele_status_name(wanted[i]));
}
END_TEST

/* --- Space --- */

enum { LARGE = 8000, LARGE_COUNT = 300 };

static void fill_large(void)
{
    static char data[LARGE + 1];
    stele_event event;
    memset(data, '7', LARGE);
    for (int i = 0; i < LARGE_COUNT; i++) {
        event = make_event("large", data);
        assert_status(append_event("b-1", &event), STELE_OK);
    }
    retain.stream = "b-1";
    work.step_count_max = 50;
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_OK);
}

static int64_t file_size(void)
{
    file_copy copy = load_file(store_path());
    free(copy.data);
    return (int64_t)copy.size;
}

START_TEST(space_goes_back_to_the_filesystem)
{
    fill_large();
    int64_t before = file_size();

    stele_retained retained = run_retain(&retain);

    ck_assert_int_eq(retained.bytes, (int64_t)LARGE * (LARGE_COUNT - LEFT));
    ck_assert_int_gt(retained.file_bytes, retained.bytes);
    ck_assert_int_eq(file_size(), before - retained.file_bytes);
    expect_verified();
}
END_TEST

/* The control. */
START_TEST(without_shrinking_the_file_keeps_its_size)
{
    fill_large();
    int64_t before = file_size();
    retain.keep_free_pages = true;

    stele_retained retained = run_retain(&retain);

    ck_assert_int_eq(retained.file_bytes, 0);
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_OK);
    ck_assert_int_ge(file_size(), before);
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert_int_gt(info.free_bytes, retained.bytes);
    /* The pages that an earlier call left are given back by a later one. */
    retain.keep_free_pages = false;
    retained = run_retain(&retain);
    expect_retained(retained, 0, 0, 0);
    ck_assert_int_gt(retained.file_bytes, 0);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("retention_use");
    TCase *tests = add_case(suite, "between", open_and_fill);
    tcase_add_test(tests, cancelled_it_leaves_a_step_and_the_next_call_goes_on);
    tcase_add_test(tests, cancelled_dry_run_changes_nothing);
    tcase_add_test(tests, inside_a_transaction_of_its_thread_it_is_misuse);
    tcase_add_test(tests, reader_that_is_set_back_meanwhile_holds_back_the_rest);
    tcase_add_test(tests, events_appended_meanwhile_change_nothing_of_what_goes);
    tcase_add_test(tests, stream_that_somebody_trims_further_meanwhile_is_done);
    tcase_add_test(tests, stream_deleted_meanwhile_is_not_found_and_no_matter_in_a_category);
    tcase_add_test(tests, stream_moved_meanwhile_is_archived);
    tcase_add_test(tests, store_closed_meanwhile_is_closed_and_leaves_nothing_behind);
    tcase_add_test(tests, processes_that_trim_the_same_stream_share_the_work);
    tcase_add_test(tests, lock_that_another_holds_is_busy);
    tests = add_case(suite, "failures", open_and_fill);
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, failing_disk_or_memory_leaves_whole_steps_and_it_goes_on);
    tests = add_case(suite, "space", open_and_fill);
    tcase_add_test(tests, space_goes_back_to_the_filesystem);
    tcase_add_test(tests, without_shrinking_the_file_keeps_its_size);
    return run_suite(suite);
}
