/*
 * Snapshots while memory or the disk fails, at every allocation and every call to the disk: each
 * call answers a status of its own, what is stored is what was acknowledged, a failure is never
 * told as a miss, and nothing leaks.
 */
#include "snapshots.h"

#include <stele/hooks.h>

#include "disk_hooks.h"
#include "effort.h"

/* --- The fault --- */

static struct {
    bool armed;
    bool memory; /* of allocations; else of the disk */
    bool sticky;
    disk_call call;
    int code;
    int64_t at; /* from 1 */
    int64_t count;
    int64_t hits;
} fault;

static int64_t blocks_held;

static bool strikes(void)
{
    fault.count++;
    bool due = fault.sticky ? fault.count >= fault.at : fault.count == fault.at;
    fault.hits += due;
    return due;
}

static sqlite3_mem_methods memory_below;

static void *allocate_or_fail(int size)
{
    void *memory = fault.armed && fault.memory && strikes() ? NULL : memory_below.xMalloc(size);
    blocks_held += memory != NULL;
    return memory;
}

static void *reallocate_or_fail(void *memory, int size)
{
    return fault.armed && fault.memory && strikes() ? NULL : memory_below.xRealloc(memory, size);
}

static void release_counted(void *memory)
{
    blocks_held -= memory != NULL;
    memory_below.xFree(memory);
}

static void *allocate_own(void *context, size_t size)
{
    (void)context;
    void *memory = fault.armed && fault.memory && strikes() ? NULL : malloc(size);
    blocks_held += memory != NULL;
    return memory;
}

static void *reallocate_own(void *context, void *memory, size_t size)
{
    (void)context;
    if (fault.armed && fault.memory && strikes())
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

/* Before anything else uses SQLite or the library. */
static void take_over_memory(void)
{
    stele_allocator own = STELE_ALLOCATOR_INIT;
    own.allocate = allocate_own;
    own.reallocate = reallocate_own;
    own.release = release_own;
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory_below);
    sqlite3_mem_methods methods = memory_below;
    methods.xMalloc = allocate_or_fail;
    methods.xRealloc = reallocate_or_fail;
    methods.xFree = release_counted;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK
        || stele_allocator_set(&own) != STELE_OK)
        exit(EXIT_FAILURE);
}

static int fail_on_disk(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    if (!fault.armed || fault.memory || call != fault.call || file == DISK_OTHER)
        return SQLITE_OK;
    return strikes() ? fault.code : SQLITE_OK;
}

/* --- The steps, each with what is stored after it --- */

#define DATA_SIZE 9000

static char wrong[600];
static int unknown_count;

static void blame(const char *what, const char *detail)
{
    if (wrong[0] == '\0')
        snprintf(wrong, sizeof(wrong), "%s: %s", what, detail);
}

static const char *data_of(int64_t version)
{
    static char data[DATA_SIZE + 1];
    memset(data, (char)('a' + version % 26), DATA_SIZE);
    return data;
}

static stele_snapshot snapshot_of(int64_t version, uint32_t keep)
{
    stele_snapshot snapshot = make_snapshot("a-1", version, data_of(version));
    snapshot.codec = version % 2 == 0 ? "raw" : "own";
    snapshot.keep = keep;
    return snapshot;
}

static stele_status save_5(void)
{
    stele_snapshot snapshot = snapshot_of(5, 2);
    return stele_snapshot_save(store, &snapshot);
}

static stele_status save_4(void)
{
    stele_snapshot snapshot = snapshot_of(4, 2);
    return stele_snapshot_save(store, &snapshot);
}

/* A hit with the right bytes, or a failure; never a miss. */
static stele_status load_5(void)
{
    stele_snapshot_read read = make_snapshot_read("a-1");
    const stele_snapshot_record *record = NULL;
    stele_status status = stele_snapshot_load(store, &read, &record);
    if (status != STELE_OK && record != NULL)
        blame("load", "a record with a failure");
    if (status != STELE_OK)
        return status;
    if (!record->found)
        blame("load is a miss", record->reason);
    else if (record->version != 5 || strcmp(record->data, data_of(5)) != 0)
        blame("load", "another value");
    stele_snapshot_close(record);
    return status;
}

static stele_status list_both(void)
{
    stele_snapshots *list = NULL;
    const stele_snapshot_info *info = NULL;
    int count = 0;
    stele_status status = stele_store_snapshots(store, NULL, &list);
    while (status == STELE_OK && (status = stele_snapshots_next(list, &info)) == STELE_OK) {
        count++;
        if (info->miss != STELE_SNAPSHOT_HIT)
            blame("list", stele_snapshot_miss_name(info->miss));
    }
    if (status == STELE_DONE && count != 2)
        blame("list", "not all");
    stele_snapshots_close(list);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status save_in_transaction(void)
{
    stele_transaction *transaction = NULL;
    stele_snapshot snapshot = snapshot_of(7, 1);
    stele_status status = stele_transaction_begin(store, &transaction);
    if (status == STELE_OK)
        status = append_in(transaction, "a-1", STELE_ANY, NULL);
    if (status == STELE_OK)
        status = stele_transaction_snapshot_save(transaction, &snapshot);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    return status;
}

static stele_status invalidate_one(void)
{
    int64_t count = 0;
    stele_status status = stele_snapshot_invalidate(store, "a-1", "state", &count);
    if ((status == STELE_OK) != (count == 1))
        blame("invalidate", "wrong count");
    return status;
}

static stele_status invalidate_all(void)
{
    int64_t count = 0;
    stele_status status = stele_snapshot_invalidate_all(store, NULL, NULL, &count);
    if (status == STELE_OK && count != 1)
        blame("invalidate_all", "wrong count");
    return status;
}

static stele_status save_9(void)
{
    stele_snapshot snapshot = snapshot_of(9, 1);
    return stele_snapshot_save(store, &snapshot);
}

static const struct {
    const char *name;
    stele_status (*run)(void);
    const char *after;
} steps[] = {
    { "save 5", save_5, "a-1 state 5, a-1 state 3" },
    { "save 4", save_4, "a-1 state 5, a-1 state 4" },
    { "load", load_5, "a-1 state 5, a-1 state 4" },
    { "list", list_both, "a-1 state 5, a-1 state 4" },
    { "save in a transaction", save_in_transaction, "a-1 state 7" },
    { "invalidate", invalidate_one, "" },
    { "save 9", save_9, "a-1 state 9" },
    { "invalidate_all", invalidate_all, "" },
};

#define BEFORE_ALL "a-1 state 3"

static bool is_allowed(stele_status status)
{
    if (status == STELE_UNKNOWN_OUTCOME)
        return true;
    if (fault.memory)
        return status == STELE_NO_MEMORY;
    return status == STELE_IO || (fault.code == SQLITE_FULL && status == STELE_FULL);
}

static void judge(const char *before, const char *after, stele_status status)
{
    close_store();
    open_in_file();
    const char *now = listed(store, NULL);
    bool is_before = strcmp(now, before) == 0, is_after = strcmp(now, after) == 0;
    bool right = status == STELE_OK                ? is_after
                 : status == STELE_UNKNOWN_OUTCOME ? is_before || is_after
                                                   : is_before;
    if (!right)
        blame(stele_status_name(status), now);
    assert_status(stele_snapshot_invalidate_all(store, NULL, NULL, NULL), STELE_OK);
    stele_snapshot snapshot = snapshot_of(3, 1);
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK); /* one can go on */
    close_store();
}

/* With the fault at its `at`-th chance; whether there was one. */
static bool attempt(int64_t at)
{
    const char *before = BEFORE_ALL;
    stele_status status = STELE_OK;
    size_t i = 0;
    int64_t blocks = blocks_held;
    open_in_file();
    fault.at = at;
    fault.count = fault.hits = 0;
    fault.armed = true;
    for (; i < COUNT_OF(steps); i++) {
        status = steps[i].run();
        if (status != STELE_OK)
            break;
        before = steps[i].after;
    }
    fault.armed = false;
    bool reached = fault.hits > 0;
    unknown_count += status == STELE_UNKNOWN_OUTCOME;
    if (status != STELE_OK && !is_allowed(status))
        blame(steps[i].name, stele_error_text());
    if (status != STELE_OK && !reached)
        blame("without a fault", stele_error_text());
    if (status == STELE_OK)
        judge(before, before, status);
    else
        judge(before, steps[i].after, status);
    if (blocks_held != blocks)
        blame("leak", steps[i < COUNT_OF(steps) ? i : 0].name);
    return reached;
}

static void sweep(const char *name)
{
    int64_t at = 1;
    wrong[0] = '\0';
    open_in_file();
    fill_stream("a-1", 10);
    stele_snapshot snapshot = snapshot_of(3, 1);
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    close_store();
    attempt(INT64_MAX); /* what SQLite keeps for good is there then */
    /* Of the thousands of allocations a part is tried, another one each time. */
    uint64_t seed = choose_seed();
    uint64_t stride = fault.memory && !effort_is_long() ? 20 * EFFORT_SHARE : 1;
    while (wrong[0] == '\0' && attempt(at))
        at += 1 + (int64_t)(next_chance() % stride);
    printf("# snapshots, %s: seed %" PRIu64 ", %" PRId64 " points\n", name, seed, at - 1);
    ck_assert_msg(wrong[0] == '\0', "%s, point %" PRId64 ": %s", name, at, wrong);
    ck_assert_int_gt(at, 3);
}

START_TEST(failing_memory_is_no_memory_and_does_no_harm)
{
    fault.memory = true;
    fault.sticky = _i == 1;
    sweep(_i == 1 ? "memory from then on" : "memory once");
}
END_TEST

static const struct {
    const char *name;
    disk_call call;
    int code;
    bool sticky;
} disk_faults[] = {
    { "full disk", DISK_WRITE, SQLITE_FULL, false },
    { "full disk from then on", DISK_WRITE, SQLITE_FULL, true },
    { "failing write", DISK_WRITE, SQLITE_IOERR_WRITE, false },
    { "failing read", DISK_READ, SQLITE_IOERR_READ, false },
    { "failing sync", DISK_SYNC, SQLITE_IOERR_FSYNC, false },
    { "failing sync from then on", DISK_SYNC, SQLITE_IOERR_FSYNC, true },
};

START_TEST(failing_disk_is_told_and_does_no_harm)
{
    fault.memory = false;
    fault.call = disk_faults[_i].call;
    fault.code = disk_faults[_i].code;
    fault.sticky = disk_faults[_i].sticky;
    unknown_count = 0;
    sweep(disk_faults[_i].name);
    if (fault.call == DISK_SYNC && fault.sticky)
        ck_assert_int_gt(unknown_count, 0);
}
END_TEST

/* --- A commit that fails and is settled --- */

/* Saving again is harmless, so that the library finds out itself what became of it. */
START_TEST(failed_commit_of_a_save_is_settled)
{
    open_in_file();
    fill_stream("a-1", 10);
    fault.memory = fault.sticky = false;
    fault.call = DISK_SYNC;
    fault.code = SQLITE_IOERR_FSYNC;
    fault.at = 1;
    fault.count = fault.hits = 0;
    fault.armed = true;

    stele_status status = save_5();

    fault.armed = false;
    ck_assert_int_eq(fault.hits, 1);
    assert_status(status, STELE_OK);
    close_store();
    open_in_file();
    ck_assert_str_eq(listed(store, NULL), "a-1 state 5");
}
END_TEST

/* --- In a transaction that goes on --- */

/* Without memory at the `at`-th chance: an event, and what is done to the snapshots. Whether it was
 * reached; a half that was done can't be committed. */
static bool write_half(int64_t at, bool invalidates, int *doomed)
{
    stele_snapshot snapshot = snapshot_of(5, 1);
    open_in_file();
    assert_status(stele_snapshot_invalidate_all(store, NULL, NULL, NULL), STELE_OK);
    snapshot.version = 3;
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    snapshot.version = 5;
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "a-1", STELE_ANY, NULL), STELE_OK);
    fault.at = at;
    fault.count = fault.hits = 0;
    fault.armed = true;
    stele_status status =
        invalidates ? stele_transaction_snapshot_invalidate(transaction, "a-1", NULL, NULL)
                    : stele_transaction_snapshot_save(transaction, &snapshot);
    fault.armed = false;
    stele_status committed = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    bool kept = committed == STELE_OK;
    *doomed += status != STELE_OK && !kept;
    if (status == STELE_OK && !kept)
        blame("commit", stele_status_name(committed));
    if (!kept && committed != STELE_NO_MEMORY)
        blame("doomed", stele_status_name(committed));
    const char *expected = status != STELE_OK ? "a-1 state 3" : invalidates ? "" : "a-1 state 5";
    if (strcmp(listed(store, NULL), expected) != 0)
        blame("half is there", listed(store, NULL));
    close_store();
    return fault.hits > 0;
}

START_TEST(half_of_a_write_is_never_committed)
{
    int doomed = 0;
    int64_t at = 1;
    wrong[0] = '\0';
    fault.memory = true;
    fault.sticky = true;
    open_in_file();
    fill_stream("a-1", 10);
    close_store();
    while (wrong[0] == '\0' && write_half(at, _i == 1, &doomed))
        at++;
    ck_assert_msg(wrong[0] == '\0', "point %" PRId64 ": %s", at, wrong);
    ck_assert_int_gt(at, 3);
    ck_assert_int_gt(doomed, 0);
}
END_TEST

/* --- What is read --- */

static int64_t reads;

static int count_reads(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    reads += call == DISK_READ && file != DISK_OTHER;
    return SQLITE_OK;
}

/* Three megabytes that don't fit are passed over by their columns. */
START_TEST(data_of_snapshots_that_do_not_fit_is_not_read)
{
    size_t size = (size_t)1024 * 1024;
    char *data = malloc(size);
    ck_assert_ptr_nonnull(data);
    memset(data, 'x', size);
    open_in_file();
    fill_stream("a-1", 10);
    for (int64_t version = 1; version <= 3; version++) {
        stele_snapshot snapshot = make_snapshot("a-1", version, "");
        snapshot.codec = "raw";
        snapshot.data = data;
        snapshot.data_size = size;
        snapshot.keep = 3;
        assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    }
    free(data);
    stele_snapshot_read read = make_snapshot_read("a-1");
    reopen_file();
    disk_hook = count_reads;
    reads = 0;
    read.schema_version = 2;
    expect_miss_by(&read, STELE_SNAPSHOT_SCHEMA);
    read.schema_version = 0;
    read.codec = "json";
    expect_miss_by(&read, STELE_SNAPSHOT_CODEC);
    ck_assert_int_lt(reads, 40);
    read.codec = NULL;
    const stele_snapshot_record *record = load_by(store, &read);
    ck_assert_uint_eq(record->data_size, size);
    stele_snapshot_close(record);
    ck_assert_int_gt(reads, 200);
    ck_assert_int_lt(reads, 400);
}
END_TEST

/* The index of all the others is many pages long. */
START_TEST(list_of_one_stream_looks_at_no_others)
{
    stele_snapshots_read read = STELE_SNAPSHOTS_READ_INIT;
    open_in_file();
    fill_stream("a-1", 10);
    fill_stream("b-1", 10);
    assert_status(save_5(), STELE_OK);
    close_store();
    run_sql(store_path(),
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
            " INSERT INTO snapshots(stream, name, version, epoch, schema_version, codec, saved_at,"
            " checksum, data) SELECT 2, 'a name of some length', i, 'e', 1, 1, 0, 0, 'x' FROM n");
    open_in_file();
    disk_hook = count_reads;
    reads = 0;
    read.stream = "a-1";

    ck_assert_str_eq(listed(store, &read), "a-1 state 5");

    ck_assert_int_lt(reads, 40);
    read.stream = NULL; /* the control */
    read.name = "state";
    ck_assert_str_eq(listed(store, &read), "a-1 state 5");
    ck_assert_int_gt(reads, 200);
}
END_TEST

/* --- The control: a step that says OK and does nothing --- */

START_TEST(step_that_only_says_so_is_found_out)
{
    open_in_file();
    fill_stream("a-1", 10);
    wrong[0] = '\0';
    judge(BEFORE_ALL, "a-1 state 5", STELE_OK);
    ck_assert_str_ne(wrong, "");
}
END_TEST

static void set_up(void)
{
    install_disk_hooks();
    disk_hook = fail_on_disk;
    disk_skips_syncs = true;
}

static void tear_down(void)
{
    fault.armed = false;
    close_and_remove();
    remove_disk_hooks();
}

int main(void)
{
    take_over_memory();
    Suite *suite = suite_create("snapshot_faults");
    TCase *tests = tcase_create("sweeps");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 300);
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, failing_memory_is_no_memory_and_does_no_harm, 0, 2);
    tcase_add_loop_test(tests, failing_disk_is_told_and_does_no_harm, 0,
                        (int)COUNT_OF(disk_faults));
    tcase_add_test(tests, failed_commit_of_a_save_is_settled);
    tcase_add_loop_test(tests, half_of_a_write_is_never_committed, 0, 2);
    tcase_add_test(tests, data_of_snapshots_that_do_not_fit_is_not_read);
    tcase_add_test(tests, list_of_one_stream_looks_at_no_others);
    tcase_add_test(tests, step_that_only_says_so_is_found_out);
    return run_suite(suite);
}
