/*
 * Every allocation and every call to the disk in a scenario fails once, and then from there on for
 * good: nothing crashes, leaks or stays locked, and what was acknowledged is what is stored.
 */
#include "fault_scenario.h"
#include "effort.h"

#include <stele/hooks.h>

/* What a call to the disk answers when it fails; 0: it doesn't. */
typedef struct disk_failure {
    const char *name;
    int codes[DISK_CALLS];
    stele_status statuses[2]; /* that may come of it, beside UNKNOWN_OUTCOME */
    bool once_only;           /* for good, SQLite itself would wait for minutes */
} disk_failure;

/* The one of the running sweep; NULL when that is about memory. */
static const disk_failure *failure;

/* --- Memory --- */

static sqlite3_mem_methods memory_below;
static int64_t blocks_held; /* of SQLite and of the library */

static void *allocate_or_fail(int size)
{
    void *memory = failure == NULL && fault_is_due() ? NULL : memory_below.xMalloc(size);
    blocks_held += memory != NULL;
    return memory;
}

static void *reallocate_or_fail(void *memory, int size)
{
    return failure == NULL && fault_is_due() ? NULL : memory_below.xRealloc(memory, size);
}

static void release_counted(void *memory)
{
    blocks_held -= memory != NULL;
    memory_below.xFree(memory);
}

static void *allocate_own_or_fail(void *context, size_t size)
{
    (void)context;
    void *memory = failure == NULL && fault_is_due() ? NULL : malloc(size);
    blocks_held += memory != NULL;
    return memory;
}

static void *reallocate_own_or_fail(void *context, void *memory, size_t size)
{
    (void)context;
    if (failure == NULL && fault_is_due())
        return NULL;
    blocks_held += memory == NULL;
    return realloc(memory, size);
}

static void release_own(void *context, void *memory)
{
    (void)context;
    blocks_held -= memory != NULL;
    free(memory);
}

/* Before anything else uses SQLite. */
static void take_over_memory(void)
{
    stele_allocator own = STELE_ALLOCATOR_INIT;
    own.allocate = allocate_own_or_fail;
    own.reallocate = reallocate_own_or_fail;
    own.release = release_own;
    if (stele_allocator_set(&own) != STELE_OK) {
        fprintf(stderr, "the allocator can't be set: %s\n", stele_error_text());
        exit(EXIT_FAILURE);
    }
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory_below);
    sqlite3_mem_methods methods = memory_below;
    methods.xMalloc = allocate_or_fail;
    methods.xRealloc = reallocate_or_fail;
    methods.xFree = release_counted;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}

static bool is_of_memory(stele_status status)
{
    return status == STELE_NO_MEMORY || status == STELE_UNKNOWN_OUTCOME;
}

/* --- The disk --- */

static const disk_failure disk_failures[] = {
    { .name = "I/O error",
      .codes = { [DISK_OPEN] = SQLITE_CANTOPEN,
                 [DISK_DELETE] = SQLITE_IOERR_DELETE,
                 [DISK_ACCESS] = SQLITE_IOERR_ACCESS,
                 [DISK_READ] = SQLITE_IOERR_READ,
                 [DISK_WRITE] = SQLITE_IOERR_WRITE,
                 [DISK_TRUNCATE] = SQLITE_IOERR_TRUNCATE,
                 [DISK_SYNC] = SQLITE_IOERR_FSYNC,
                 [DISK_SIZE] = SQLITE_IOERR_FSTAT,
                 [DISK_LOCK] = SQLITE_IOERR_LOCK,
                 [DISK_SHM_MAP] = SQLITE_IOERR_SHMMAP,
                 [DISK_SHM_LOCK] = SQLITE_IOERR_SHMLOCK },
      .statuses = { STELE_IO } },
    { .name = "full disk", .codes = { [DISK_WRITE] = SQLITE_FULL }, .statuses = { STELE_FULL } },
    { .name = "short read",
      .codes = { [DISK_READ] = SQLITE_IOERR_SHORT_READ },
      .statuses = { STELE_IO, STELE_CORRUPT } },
    { .name = "lock of another",
      .codes = { [DISK_LOCK] = SQLITE_BUSY, [DISK_SHM_LOCK] = SQLITE_BUSY },
      .statuses = { STELE_BUSY },
      .once_only = true },
};

static bool is_of_the_disk(stele_status status)
{
    for (size_t i = 0; i < COUNT_OF(failure->statuses); i++)
        if (status == failure->statuses[i])
            return true;
    return status == STELE_UNKNOWN_OUTCOME;
}

static int fail_by_number(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)file;
    (void)detail;
    int code = failure->codes[call];
    return code != SQLITE_OK && fault_is_due() ? code : SQLITE_OK;
}

/* --- Sweeping --- */

static const char *const file_suffixes[] = { "", "-wal", "-shm", "-journal", "-anchor", "-lock" };

static void remove_store_files(void)
{
    char path[4096];
    for (size_t i = 0; i < COUNT_OF(file_suffixes); i++) {
        snprintf(path, sizeof(path), "%s%s", store_path(), file_suffixes[i]);
        remove(path);
    }
}

/* The file as it is at the start of each run: none, or one that a crash has left with a WAL. */
static bool starts_with_file;

static void prepare_file(void)
{
    char from[4096], to[4096];
    remove_store_files();
    for (size_t i = 0; starts_with_file && i < 2; i++) {
        snprintf(from, sizeof(from), "%s%s", test_path("template.db"), file_suffixes[i]);
        snprintf(to, sizeof(to), "%s%s", store_path(), file_suffixes[i]);
        copy_file(from, to);
    }
}

static int leave_with_wal(void *context)
{
    stele_store *own = NULL;
    const char *path = context;
    if (stele_store_open(path, NULL, &own) != STELE_OK)
        return 1;
    for (int i = 0; i < 5; i++)
        if (append_to(own, "before-1", STELE_ANY, "before", NULL) != STELE_OK)
            return 2;
    return 0; /* without closing */
}

static void make_template(void)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s", test_path("template.db"));
    ck_assert_int_eq(run_in_child(leave_with_wal, path), 0);
}

/* The scenario with a fault at point `at`; 0: none. */
static void run_point(int64_t at, bool sticky)
{
    prepare_file();
    int64_t blocks = blocks_held;
    run_scenario(at, sticky);
    if (blocks_held != blocks)
        blame("%" PRId64 " blocks of memory were left", blocks_held - blocks);
}

/* The points without a fault: how many there are. Run twice, since the first run may leave what
 * SQLite keeps for the whole process. */
static int64_t count_points(void)
{
    run_point(0, false);
    run_point(0, false);
    ck_assert_msg(wrong[0] == '\0', "without a fault: %s", wrong);
    return fault.count;
}

static void print_statuses(void)
{
    for (int i = 0; i < (int)COUNT_OF(status_seen); i++)
        if (status_seen[i] > 0)
            printf(" %s %d", stele_status_name((stele_status)-i), status_seen[i]);
    printf("\n");
    memset(status_seen, 0, sizeof(status_seen));
}

enum { FAILURES_SHOWN = 10 };

static char first_wrong[1000];

/* All points from `first` to `last`, or one in `step` by chance. The number that went wrong. */
static int64_t sweep_points(const char *what, int64_t first, int64_t last, uint64_t step)
{
    int64_t failed = 0;
    bool once_only = failure != NULL && failure->once_only;
    for (int sticky = 0; sticky < (once_only ? 1 : 2); sticky++) {
        int64_t runs = 0;
        for (int64_t at = first; at <= last; at++) {
            if (!one_in(step))
                continue;
            run_point(at, sticky != 0);
            runs++;
            if (wrong[0] == '\0')
                continue;
            char line[1000];
            snprintf(line, sizeof(line), "%s, point %" PRId64 ", %s: %s", what, at,
                     sticky ? "for good" : "once", wrong);
            if (failed++ == 0)
                snprintf(first_wrong, sizeof(first_wrong), "%s", line);
            if (failed <= FAILURES_SHOWN)
                printf("fault_sweep: %s\n", line);
        }
        printf("fault_sweep: %s, %s: %" PRId64 " points;", what, sticky ? "for good" : "once",
               runs);
        print_statuses();
    }
    return failed;
}

/* Every point when the effort is long, else about `usual` of them by chance. STELE_POINT=N runs
 * that one. */
static void sweep(const char *name, int64_t usual)
{
    char what[200];
    uint64_t seed = choose_seed();
    int64_t first = 1, last = count_points();
    usual /= EFFORT_SHARE;
    uint64_t step = effort_is_long() || last <= usual ? 1 : (uint64_t)(last / usual);
    const char *only = getenv("STELE_POINT");
    snprintf(what, sizeof(what), "%s, %s (seed %" PRIu64 ", 1 to %" PRId64 ")", name,
             starts_with_file ? "a file with a WAL" : "a new file", seed, last);
    if (only != NULL) {
        first = last = strtoll(only, NULL, 10);
        step = 1;
    }

    int64_t failed = sweep_points(what, first, last, step);

    ck_assert_msg(failed == 0, "%" PRId64 " points failed; the first: %s", failed, first_wrong);
}

static void set_up_sweep(void)
{
    install_disk_hooks();
    disk_skips_syncs = true;
    failure = NULL;
    status_is_allowed = is_of_memory;
    make_template();
}

static void tear_down_sweep(void)
{
    fault.armed = false;
    close_and_remove();
    remove_disk_hooks();
}

START_TEST(memory_that_runs_out_anywhere_does_no_harm)
{
    starts_with_file = _i != 0;
    sweep("memory", 50);
}
END_TEST

/* The lock that guards a transfer is given back by a ROLLBACK, which has no memory either. */
START_TEST(memory_that_runs_out_at_the_end_of_a_transfer_leaves_no_lock)
{
    enum { POINTS_FROM_THE_END = 12 };
    int64_t points = 0;
    for (int64_t i = 0; i <= POINTS_FROM_THE_END; i++) {
        wrong[0] = '\0';
        remove_store_files();
        open_in_file();
        fill_stream("account-1", 2);
        answers[PROBE] = STELE_NOT_FOUND;
        fault = (struct fault){ .armed = true, .sticky = true, .at = i == 0 ? 0 : points + 1 - i };

        take_status("transfer", stele_store_transfer(store, NULL, NULL));

        fault.armed = false;
        if (i == 0)
            points = fault.count;
        probe_locks();
        expect_ok_now("an append", append_one("account-1", STELE_ANY, "noted", NULL));
        close_store();
        ck_assert_msg(wrong[0] == '\0', "point %" PRId64 " of %" PRId64 ": %s", points + 1 - i,
                      points, wrong);
    }
    ck_assert_int_gt(points, POINTS_FROM_THE_END);
}
END_TEST

START_TEST(disk_that_fails_anywhere_does_no_harm)
{
    failure = &disk_failures[_i / 2];
    starts_with_file = _i % 2 != 0;
    disk_hook = fail_by_number;
    status_is_allowed = is_of_the_disk;
    sweep(failure->name, 20);
}
END_TEST

/* --- Controls: what the sweeps would have to see --- */

static sqlite3 *held;

static void hold_write_lock(void)
{
    held = NULL;
    if (sqlite3_open(store_path(), &held) == SQLITE_OK)
        sqlite3_exec(held, "BEGIN IMMEDIATE", NULL, NULL, NULL);
}

static void hold_read_lock(void)
{
    held = NULL;
    if (sqlite3_open(store_path(), &held) == SQLITE_OK)
        sqlite3_exec(held, "BEGIN; SELECT count(*) FROM events", NULL, NULL, NULL);
}

static void leak(void)
{
    held = sqlite3_malloc(10);
}

static void deny_an_append(void)
{
    answers[LAST] = STELE_NO_MEMORY; /* although it was made */
}

/* Behind the library's back, but not behind its ledger. */
static void lose_an_append(void)
{
    if (sqlite3_open(store_path(), &held) == SQLITE_OK)
        sqlite3_exec(held,
                     "DELETE FROM events WHERE type = (SELECT id FROM types WHERE name = 'last')",
                     NULL, NULL, NULL);
    sqlite3_close(held);
}

static void expect_red(void (*wrongdoing)(void), const char *sentence)
{
    sabotage = wrongdoing;
    run_point(0, false);
    sabotage = NULL;
    ck_assert_msg(strstr(wrong, sentence) != NULL, "'%s' instead of '%s'", wrong, sentence);
}

START_TEST(control_locks_that_are_left_are_seen)
{
    count_points();
    expect_red(hold_write_lock, "BUSY");
    sqlite3_close(held);
    expect_red(hold_read_lock, "somebody reads");
    sqlite3_close(held);
}
END_TEST

START_TEST(control_memory_that_is_left_is_seen)
{
    count_points();
    expect_red(leak, "1 blocks of memory");
    sqlite3_free(held);
}
END_TEST

START_TEST(control_answers_that_differ_from_the_file_are_seen)
{
    count_points();
    expect_red(deny_an_append, "1 events 'last' of an append that was answered NO_MEMORY");
    expect_red(lose_an_append, "0 events 'last' of an append that was answered OK");
}
END_TEST

/* Everything goes well until the file is read: the WAL has nothing of what was written. */
static int lie_about_writes(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    return call == DISK_WRITE && file == DISK_WAL ? DISK_LIES : SQLITE_OK;
}

START_TEST(control_disk_that_loses_writes_is_seen)
{
    starts_with_file = true;
    count_points();
    disk_hook = lie_about_writes;
    run_point(0, false);
    disk_hook = NULL;
    ck_assert(wrong[0] != '\0');
}
END_TEST

static Suite *fault_sweep_suite(void)
{
    Suite *suite = suite_create("fault_sweep");
    TCase *tests = tcase_create("sweeps");
    tcase_add_checked_fixture(tests, set_up_sweep, tear_down_sweep);
    tcase_set_timeout(tests, 3600);
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, memory_that_runs_out_anywhere_does_no_harm, 0, 2);
    tcase_add_test(tests, memory_that_runs_out_at_the_end_of_a_transfer_leaves_no_lock);
    tcase_add_loop_test(tests, disk_that_fails_anywhere_does_no_harm, 0,
                        2 * (int)COUNT_OF(disk_failures));
    TCase *controls = tcase_create("controls");
    tcase_add_checked_fixture(controls, set_up_sweep, tear_down_sweep);
    suite_add_tcase(suite, controls);
    tcase_add_test(controls, control_locks_that_are_left_are_seen);
    tcase_add_test(controls, control_memory_that_is_left_is_seen);
    tcase_add_test(controls, control_answers_that_differ_from_the_file_are_seen);
    tcase_add_test(controls, control_disk_that_loses_writes_is_seen);
    return suite;
}

int main(void)
{
    take_over_memory();
    return run_suite(fault_sweep_suite());
}
