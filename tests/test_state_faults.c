/*
 * State entries while memory or the disk fails: what was acknowledged is there, what was refused is
 * not, and an unknown outcome is settled by the write id.
 */
#include "states.h"
#include "resources.h"
#include "disk_hooks.h"
#include "disk_quota.h"

/* --- Memory: every allocation of a call fails once, or from then on --- */

enum { MANY = 20 };

static stele_attribute many_attributes[MANY];
static char attribute_names[MANY][8];
static stele_transaction *transaction;
static bool changed; /* the call changes the entry, when it is OK */

static stele_put rich_put(const char *data)
{
    for (int i = 0; i < MANY; i++) {
        snprintf(attribute_names[i], sizeof(attribute_names[i]), "n%d", i);
        many_attributes[i] = (stele_attribute){ attribute_names[i], "\"value\"" };
    }
    stele_put put = make_put("scope", "key", data);
    put.codec = "json";
    put.attributes = many_attributes;
    put.attribute_count = MANY;
    return put;
}

static stele_status try_put(void)
{
    stele_put put = rich_put("[2]");
    changed = true;
    return stele_state_put(store, &put, NULL);
}

static stele_status try_put_with_id(void)
{
    stele_put put = rich_put("[2]");
    put.write_id = "w-2";
    changed = true;
    return stele_state_put(store, &put, NULL);
}

static stele_status try_delete(void)
{
    stele_remove what = STELE_REMOVE_INIT;
    what.scope = "scope";
    what.key = "key";
    what.write_id = "d-1";
    changed = true;
    return stele_state_delete(store, &what, NULL);
}

static stele_status try_clear(void)
{
    changed = true;
    return stele_state_clear(store, "scope", "ke", NULL, NULL);
}

static stele_status try_forget(void)
{
    return stele_state_forget(store, INT64_MAX, NULL, NULL);
}

static stele_status try_get(void)
{
    const stele_entry *entry = NULL;
    stele_status status = stele_state_get(store, "scope", "key", &entry);
    ck_assert_int_eq(entry != NULL, status == STELE_OK);
    stele_entry_close(entry);
    return status;
}

static stele_status try_missing(void)
{
    const stele_entry *entry = NULL;
    stele_status status = stele_state_get(store, "scope", "none", &entry);
    stele_entry_close(entry);
    return status;
}

static stele_status try_look_up(void)
{
    stele_write write;
    return stele_state_write(store, "scope", "w-1", &write);
}

static stele_status try_list(void)
{
    stele_entries *entries = NULL;
    const stele_entry *entry = NULL;
    stele_entries_read read = STELE_ENTRIES_READ_INIT;
    read.scope = "scope";
    read.prefix = "k";
    read.order = STELE_NEWEST_FIRST;
    int count = 0;
    stele_status status = stele_state_list(store, &read, &entries);
    while (status == STELE_OK && (status = stele_entries_next(entries, &entry)) == STELE_OK)
        count++;
    stele_entries_close(entries);
    if (status == STELE_DONE)
        ck_assert_int_eq(count, 2);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status try_transaction(void)
{
    stele_put put = rich_put("[2]");
    put.write_id = "w-3";
    stele_remove what = STELE_REMOVE_INIT;
    what.scope = "scope";
    what.key = "key-2";
    const stele_entry *entry = NULL;
    stele_status status = stele_transaction_begin(store, &transaction);
    if (status == STELE_OK)
        status = stele_transaction_state_put(transaction, &put, NULL);
    if (status == STELE_OK)
        status = stele_transaction_state_delete(transaction, &what, NULL);
    if (status == STELE_OK)
        status = stele_transaction_state_get(transaction, "scope", "key", &entry);
    stele_entry_close(entry);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    transaction = NULL;
    changed = true;
    return status;
}

static stele_status (*const attempts[])(void) = {
    try_put, try_put_with_id, try_delete,  try_clear, try_forget,
    try_get, try_missing,     try_look_up, try_list,  try_transaction,
};

static void make_entries(bool in_memory)
{
    stele_put put = rich_put("[1]");
    put.write_id = "w-1";
    store = open_path(in_memory ? ":memory:" : store_path(), NULL);
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    put_text("scope", "key-2", "x");
}

/* As it was, unless the call was OK. */
static void expect_unharmed(stele_status status)
{
    const stele_entry *entry = get_entry("scope", "key");
    bool done = changed && status == STELE_OK;
    ck_assert_int_eq(entry->revision == 1, !done);
    if (!done)
        ck_assert_str_eq(entry->data, "[1]");
    stele_entry_close(entry);
}

START_TEST(failed_allocation_is_no_memory_and_changes_nothing)
{
    bool once = _i % 2 == 0;
    int64_t refused = 0;
    bool reached = true;
    for (int64_t point = 1; reached; point++) {
        resources before = count_resources();
        make_entries(once); /* which saves time */
        changed = false;
        atomic_store(&own.calls, 0);
        atomic_store(&own.fail_last, once ? point : INT64_MAX);
        atomic_store(&own.fail_first, point);
        stele_status status = attempts[_i / 2]();
        atomic_store(&own.fail_first, 0);
        reached = atomic_load(&own.calls) >= point;
        ck_assert_msg(status == STELE_OK || status == STELE_NO_MEMORY, "allocation %" PRId64 ": %s",
                      point, stele_error_text());
        refused += status == STELE_NO_MEMORY;
        expect_unharmed(status);
        ck_assert_int_ge(put_text("scope", "key", "on"), 2);
        close_store();
        expect_resources(before, "after a failed allocation");
        remove_test_folder();
    }
    ck_assert_int_gt(refused, 0);
}
END_TEST

/* --- SQLite's memory --- */

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

/* A write that failed half-way must not be committed with what came before it. */
START_TEST(failed_allocation_half_way_in_a_transaction_lets_it_not_commit)
{
    int doomed = 0;
    bool reached = true;
    for (int64_t point = 1; reached; point++) {
        store = open_path(":memory:", NULL); /* whose statements for ids aren't made yet */
        stele_put put = rich_put("[2]");
        put.write_id = "w-4";
        put.key = "new";
        stele_put before = make_put("scope", "before", "x");
        assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
        assert_status(stele_transaction_state_put(transaction, &before, NULL), STELE_OK);
        sqlite_calls = 0;
        sqlite_fails_at = point;
        stele_status status = stele_transaction_state_put(transaction, &put, NULL);
        reached = sqlite_calls >= point;
        sqlite_fails_at = 0;
        stele_status committed = stele_transaction_commit(transaction);
        stele_transaction_end(transaction);

        stele_write write;
        assert_status(stele_state_write(store, "scope", "w-4", &write), STELE_OK);
        const stele_entry *entry = get_entry("scope", "new");
        const stele_entry *first = get_entry("scope", "before");
        ck_assert_int_eq(entry->found, status == STELE_OK && committed == STELE_OK);
        ck_assert_int_eq(write.found, entry->found);
        ck_assert_int_eq(first->found, committed == STELE_OK);
        ck_assert(committed == STELE_OK || status == STELE_NO_MEMORY);
        doomed += committed != STELE_OK;
        stele_entry_close(entry);
        stele_entry_close(first);
        close_store();
    }
    ck_assert_int_gt(doomed, 0);
}
END_TEST

/* --- A full disk --- */

static char large_data[20000];

static stele_status put_large(int number)
{
    char key[16];
    snprintf(key, sizeof(key), "k%d", number % 50);
    stele_put put = make_put("scope", key, "");
    put.data = large_data;
    put.data_size = sizeof(large_data);
    return stele_state_put(store, &put, NULL);
}

START_TEST(full_disk_fails_writes_cleanly_and_reads_go_on)
{
    int64_t revisions[50] = { 0 };
    int full = 0;
    ck_assert(install_quota());
    open_in_file();
    memset(large_data, 'x', sizeof(large_data));
    for (int round = 0; round < 40; round++) {
        quota_bytes = quota_used() + round * 3001;
        for (int i = 0; i < 20; i++) {
            int number = round * 7 + i;
            stele_status status = put_large(number);
            ck_assert_msg(status == STELE_OK || status == STELE_FULL, "%s", stele_error_text());
            revisions[number % 50] += status == STELE_OK;
            full += status == STELE_FULL;
        }
        for (int i = 0; i < 50; i++) {
            char key[16];
            snprintf(key, sizeof(key), "k%d", i);
            const stele_entry *entry = get_entry("scope", key);
            ck_assert_int_eq(entry->revision, revisions[i]);
            stele_entry_close(entry);
        }
        quota_bytes = INT64_MAX;
        assert_status(put_large(round), STELE_OK); /* without opening anew */
        revisions[round % 50]++;
    }
    ck_assert_int_gt(full, 100);
}
END_TEST

static void remove_quota_and_files(void)
{
    close_store();
    remove_quota();
    remove_test_folder();
}

/* --- A commit that fails --- */

static int syncs_to_fail;

static int fail_syncs_of_the_wal(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    if (call != DISK_SYNC || file != DISK_WAL || syncs_to_fail == 0)
        return SQLITE_OK;
    syncs_to_fail--;
    return SQLITE_IOERR_FSYNC;
}

static void set_up_hooks(void)
{
    install_disk_hooks();
    disk_hook = fail_syncs_of_the_wal;
    syncs_to_fail = 0;
    open_in_file();
    put_text("scope", "key", "before");
}

static void tear_down_hooks(void)
{
    syncs_to_fail = 0;
    close_store();
    remove_disk_hooks();
    remove_test_folder();
}

/* Whether it was stored nobody can tell, so it is said so. */
START_TEST(failed_commit_without_a_write_id_has_an_unknown_outcome)
{
    stele_put put = make_put("scope", "key", "after");
    stele_written written;
    syncs_to_fail = 1;

    assert_status(stele_state_put(store, &put, &written), STELE_UNKNOWN_OUTCOME);

    ck_assert_int_eq(written.revision, 0);
    const stele_entry *entry = get_entry("scope", "key");
    ck_assert(entry->revision == 1 || entry->revision == 2);
    stele_entry_close(entry);
}
END_TEST

/* With one the library repeats it by itself, and then it is there, once. */
START_TEST(failed_commit_with_a_write_id_is_settled)
{
    stele_written written;
    stele_put put = make_put("scope", "key", "after");
    put.write_id = "w-1";
    syncs_to_fail = 1;

    assert_status(stele_state_put(store, &put, &written), STELE_OK);

    ck_assert_int_eq(written.revision, 2);
    ck_assert(written.found && !written.duplicate && !written.superseded);
    expect_text("scope", "key", "after", 2);
    assert_status(stele_state_put(store, &put, &written), STELE_OK);
    ck_assert(written.duplicate);
    syncs_to_fail = 1;
    ck_assert(delete_key("scope", "key", "d-1").found);
    expect_gone("scope", "key", 3);
}
END_TEST

/* The header of the -shm is lost with the sync, so that whoever comes next recovers the WAL, which
 * has the commit. In another process: closing the file here would drop SQLite's locks on it. */
static int wipe_shm_header(void *context)
{
    char path[4096];
    static const char nothing[136];
    (void)context;
    snprintf(path, sizeof(path), "%s-shm", store_path());
    FILE *file = fopen(path, "r+b");
    return file == NULL || fwrite(nothing, sizeof(nothing), 1, file) != 1 || fclose(file) != 0;
}

static int fail_the_sync_of_a_commit_that_counts(disk_call call, disk_file file,
                                                 sqlite3_int64 detail)
{
    int code = fail_syncs_of_the_wal(call, file, detail);
    if (code != SQLITE_OK)
        ck_assert_int_eq(run_in_child(wipe_shm_header, NULL), 0);
    return code;
}

/* The repetition finds it written, by itself: to the caller that is no duplicate. */
START_TEST(commit_that_failed_and_is_there_is_still_the_first)
{
    stele_written written;
    stele_put put = make_put("scope", "key", "after");
    put.write_id = "w-1";
    disk_hook = fail_the_sync_of_a_commit_that_counts;
    syncs_to_fail = 1;

    assert_status(stele_state_put(store, &put, &written), STELE_OK);

    ck_assert_int_eq(syncs_to_fail, 0);
    ck_assert_int_eq(written.revision, 2);
    ck_assert(written.found && !written.duplicate && !written.superseded);
    expect_text("scope", "key", "after", 2);
    syncs_to_fail = 1;
    stele_written deleted = delete_key("scope", "key", "d-1");
    ck_assert(deleted.found && !deleted.duplicate);
    expect_gone("scope", "key", 3);
}
END_TEST

/* When even that fails, repeating it later settles it. */
START_TEST(repeating_a_write_of_unknown_outcome_settles_it)
{
    stele_put put = make_put("scope", "key", "after");
    put.write_id = "w-1";
    syncs_to_fail = 1000;
    stele_status status = stele_state_put(store, &put, NULL);
    ck_assert_msg(status == STELE_UNKNOWN_OUTCOME || status == STELE_IO, "%s",
                  stele_status_name(status));
    syncs_to_fail = 0;

    assert_status(stele_state_put(store, &put, NULL), STELE_OK);

    expect_text("scope", "key", "after", 2);
    reopen_file();
    expect_text("scope", "key", "after", 2);
}
END_TEST

/* --- The lock of another process --- */

static int cancel_soon(void *context)
{
    int *asked = context;
    return ++*asked == 2;
}

START_TEST(waiting_for_another_writer_ends_as_it_was_told)
{
    int asked = 0;
    stele_wait wait = STELE_WAIT_INIT;
    stele_work work = STELE_WORK_INIT;
    stele_put put = make_put("scope", "key", "x");
    stele_remove what = STELE_REMOVE_INIT;
    open_in_file();
    put_text("scope", "key", "before");
    sqlite3 *other = open_raw(store_path());
    run_raw(other, "BEGIN IMMEDIATE");
    what.scope = "scope";
    what.key = "key";
    work.wait = what.wait = put.wait = &wait;

    wait.timeout_ms = 0;
    assert_status(stele_state_put(store, &put, NULL), STELE_BUSY);
    assert_status(stele_state_delete(store, &what, NULL), STELE_BUSY);
    assert_status(stele_state_clear(store, "scope", NULL, &work, NULL), STELE_BUSY);
    wait.timeout_ms = STELE_TIMEOUT_DEFAULT;
    wait.progress = cancel_soon;
    wait.context = &asked;
    assert_status(stele_state_put(store, &put, NULL), STELE_CANCELLED);
    asked = 0;
    assert_status(stele_state_clear(store, "scope", NULL, &work, NULL), STELE_CANCELLED);
    expect_text("scope", "key", "before", 1); /* reads go on */

    run_raw(other, "ROLLBACK");
    sqlite3_close(other);
    ck_assert_int_eq(put_text("scope", "key", "after"), 2);
}
END_TEST

int main(void)
{
    take_over_sqlite_memory();
    count_own_memory();
    Suite *suite = suite_create("state_faults");
    TCase *memory = add_case(suite, "memory", NULL);
    tcase_set_timeout(memory, 240);
    tcase_add_loop_test(memory, failed_allocation_is_no_memory_and_changes_nothing, 0,
                        2 * (int)COUNT_OF(attempts));
    tcase_add_test(memory, failed_allocation_half_way_in_a_transaction_lets_it_not_commit);
    TCase *full = tcase_create("full disk");
    tcase_add_checked_fixture(full, NULL, remove_quota_and_files);
    tcase_set_timeout(full, 120);
    suite_add_tcase(suite, full);
    tcase_add_test(full, full_disk_fails_writes_cleanly_and_reads_go_on);
    TCase *commits = tcase_create("commits");
    tcase_add_checked_fixture(commits, set_up_hooks, tear_down_hooks);
    suite_add_tcase(suite, commits);
    tcase_add_test(commits, failed_commit_without_a_write_id_has_an_unknown_outcome);
    tcase_add_test(commits, failed_commit_with_a_write_id_is_settled);
    tcase_add_test(commits, commit_that_failed_and_is_there_is_still_the_first);
    tcase_add_test(commits, repeating_a_write_of_unknown_outcome_settles_it);
    TCase *locks = add_case(suite, "locks", NULL);
    tcase_add_test(locks, waiting_for_another_writer_ends_as_it_was_told);
    return run_suite(suite);
}
