/* Polling while SQLite's memory fails at any step of a look: what was committed is found later. */
#include "waiter_threads.h"

#include "notify/notifier.h"

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

int main(void)
{
    take_over_sqlite_memory();
    Suite *suite = suite_create("notify faults");
    TCase *tests = add_case(suite, "looks", open_in_file);
    tcase_add_test(tests, commit_is_found_after_a_look_that_failed_at_any_step);
    return run_suite(suite);
}
