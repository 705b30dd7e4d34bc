/*
 * The library's own allocations fail: the n-th, once or from then on, for every n of every
 * scenario. Each call answers NO_MEMORY or does without; what was acknowledged is stored, what
 * wasn't is not; nothing leaks, and the store goes on when there is memory again.
 */
#include "effort.h"
#include "memory_scenarios.h"
#include "resources.h"

/* --- A disk that needs no waiting for: many opens, and nobody pulls a plug here --- */

static sqlite3_vfs fast_vfs;
static sqlite3_vfs *real_vfs;
static sqlite3_io_methods fast_methods[2];

static int sync_nothing(sqlite3_file *file, int flags)
{
    (void)file, (void)flags;
    return SQLITE_OK;
}

static int open_fast(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                     int *flags_out)
{
    (void)vfs;
    int code = real_vfs->xOpen(real_vfs, name, file, flags, flags_out);
    if (code != SQLITE_OK || (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB)) == 0)
        return code;
    sqlite3_io_methods *methods = &fast_methods[(flags & SQLITE_OPEN_WAL) != 0];
    if (methods->xSync == NULL) {
        *methods = *file->pMethods;
        methods->xSync = sync_nothing;
    }
    file->pMethods = methods;
    return SQLITE_OK;
}

static void set_up_fast_disk(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    fast_vfs = *real_vfs;
    fast_vfs.zName = "fast";
    fast_vfs.xOpen = open_fast;
    ck_assert_int_eq(sqlite3_vfs_register(&fast_vfs, 1), SQLITE_OK);
}

static void take_down_fast_disk(void)
{
    close_and_remove();
    sqlite3_vfs_unregister(&fast_vfs);
}

/* --- Every allocation of each --- */

typedef struct sweep {
    int64_t points;
    int64_t refused; /* NO_MEMORY */
    int64_t head;    /* as it must be */
    char finding[512];
} sweep_result;

static void find(sweep_result *sweep, const char *name, int64_t point, const char *text)
{
    if (sweep->finding[0] == '\0')
        snprintf(sweep->finding, sizeof(sweep->finding), "%s, allocation %" PRId64 ": %s", name,
                 point, text);
}

/* After an attempt: is there exactly what was acknowledged, and can one go on? */
static void judge_store(sweep_result *sweep, const char *name, int64_t point, stele_store *judged)
{
    char text[256];
    int64_t head = -1;
    stele_status status = stele_store_head(judged, &head);
    if (status != STELE_OK || head != sweep->head) {
        snprintf(text, sizeof(text), "%s, head %" PRId64 " instead of %" PRId64,
                 stele_status_name(status), head, sweep->head);
        find(sweep, name, point, text);
    }
    sweep->head = head;
    status = append_to(judged, "after-1", STELE_ANY, "noted", NULL);
    if (status != STELE_OK) {
        snprintf(text, sizeof(text), "can't go on: %s", stele_error_text());
        find(sweep, name, point, text);
    }
    sweep->head += status == STELE_OK;
}

static void judge_resources(sweep_result *sweep, const char *name, int64_t point, resources before)
{
    char text[256];
    resources now = count_resources_of(before.threads);
    if (now.descriptors == before.descriptors && now.threads == before.threads
        && now.own_blocks == before.own_blocks && now.sqlite_bytes == before.sqlite_bytes)
        return;
    snprintf(text, sizeof(text),
             "%d descriptors, %d threads, %" PRId64 " own blocks and %" PRId64
             " bytes of SQLite stay behind",
             now.descriptors - before.descriptors, now.threads - before.threads,
             now.own_blocks - before.own_blocks, now.sqlite_bytes - before.sqlite_bytes);
    find(sweep, name, point, text);
}

/* The attempt with its `point`-th allocation failing; whether it came to that. */
static bool run_attempt(sweep_result *sweep, const char *name, stele_status (*try)(attempt *),
                        bool opens, int64_t point, bool once)
{
    attempt run = { 0 };
    resources before = count_resources();
    if (!opens)
        run.store = open_path(store_path(), NULL);
    atomic_store(&own.calls, 0);
    atomic_store(&own.fail_last, once ? point : INT64_MAX);
    atomic_store(&own.fail_first, point);
    stele_status status = try(&run);
    atomic_store(&own.fail_first, 0);
    bool reached = atomic_load(&own.calls) >= point;

    if (status != STELE_OK && status != STELE_NO_MEMORY) {
        char text[256];
        snprintf(text, sizeof(text), "%s: %s", stele_status_name(status), stele_error_text());
        find(sweep, name, point, text);
    }
    sweep->points++;
    sweep->refused += status == STELE_NO_MEMORY;
    sweep->head += run.stored;
    if (run.store == NULL)
        run.store = open_path(store_path(), NULL);
    judge_store(sweep, name, point, run.store);
    stele_store_close(run.store);
    judge_resources(sweep, name, point, before);
    own_release(NULL, run.leaked);
    return reached;
}

static sweep_result sweep_scenario(const char *name, stele_status (*try)(attempt *), bool opens,
                                   bool once)
{
    sweep_result sweep = { 0 };
    store = open_path(store_path(), NULL);
    stele_append append = append_of("before-1", EVENTS_MANY);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    fill_stream("before-2", EVENTS_BEFORE - EVENTS_MANY);
    sweep.head = EVENTS_BEFORE;
    close_store();
    int64_t point = 1;
    while (run_attempt(&sweep, name, try, opens, point, once) && sweep.finding[0] == '\0')
        point = next_point(point);
    return sweep;
}

START_TEST(failed_allocation_is_no_memory_and_does_no_harm)
{
    bool once = _i % 2 == 0;
    const char *name = scenarios[_i / 2].name;

    uint64_t seed = choose_seed();

    sweep_result swept = sweep_scenario(name, scenarios[_i / 2].try, scenarios[_i / 2].opens, once);

    printf("out of memory: %s, %s: seed %" PRIu64 ", %" PRId64 " points, %" PRId64 " refused\n",
           name, once ? "once" : "from then on", seed, swept.points, swept.refused);
    ck_assert_msg(swept.finding[0] == '\0', "%s (%s)", swept.finding,
                  once ? "once" : "from then on");
    ck_assert_int_gt(swept.refused, 0);
}
END_TEST

/* --- Controls --- */

static stele_status leak_a_block(attempt *run)
{
    run->leaked = own_allocate(NULL, 8);
    return STELE_OK;
}

static stele_status acknowledge_too_much(attempt *run)
{
    run->stored = 1;
    return STELE_OK;
}

static stele_status store_without_telling(attempt *run)
{
    stele_status status = try_append(run);
    run->stored = 0;
    return status;
}

START_TEST(sweep_finds_what_is_wrong)
{
    static const struct {
        stele_status (*try)(attempt *run);
        const char *finding;
    } wrongs[] = { { leak_a_block, "1 own blocks" },
                   { acknowledge_too_much, "head 30 instead of 31" },
                   { store_without_telling, "instead of" } };

    sweep_result swept = sweep_scenario("control", wrongs[_i].try, false, true);

    ck_assert_msg(strstr(swept.finding, wrongs[_i].finding) != NULL, "found '%s'", swept.finding);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("out_of_memory");
    TCase *tests = tcase_create("sweep");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, set_up_fast_disk, take_down_fast_disk);
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, failed_allocation_is_no_memory_and_does_no_harm, 0,
                        2 * (int)COUNT_OF(scenarios));
    tcase_add_loop_test(tests, sweep_finds_what_is_wrong, 0, 3);
    return run_suite(suite);
}
