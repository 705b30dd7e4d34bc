/* Space: leaving nothing of what was deleted, who may end that, and giving free pages back. */
#define _GNU_SOURCE /* memmem */
#include "wrap.h"

#include <stele/retention.h>
#include <stele/work.h>

static void fill_and_trim(void)
{
    fill_stream("a-1", 50);
    stele_retain retain = STELE_RETAIN_INIT;
    retain.stream = "a-1";
    retain.max_count = 5;
    assert_status(stele_store_retain(store, &retain, NULL), STELE_OK);
}

static int cancel_scrub(void *context, const stele_progress *progress)
{
    ck_assert_str_eq(progress->doing, "scrubbing");
    ++*(int *)context;
    return 1;
}

START_TEST(progress_is_asked_and_ends_it)
{
    int asked = 0;
    stele_work work = STELE_WORK_INIT;
    work.progress = cancel_scrub;
    work.context = &asked;
    open_in_file();
    fill_and_trim();

    assert_status(stele_store_scrub(store, &work), STELE_CANCELLED);

    ck_assert_int_eq(asked, 1);
    assert_status(stele_store_scrub(store, NULL), STELE_OK);
    ck_assert_int_eq(version_of("a-1"), 50);
    close_and_remove();
}
END_TEST

START_TEST(nothing_of_what_was_trimmed_is_in_the_file_or_its_wal)
{
    open_in_file();
    stele_event event = make_event("made", "\"a secret that is long enough\"");
    assert_status(append_event("a-1", &event), STELE_OK);
    fill_and_trim();

    assert_status(stele_store_scrub(store, NULL), STELE_OK);

    static const char *const files[] = { "store.db", "store.db-wal" };
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        file_copy file = load_file(test_path(files[i]));
        ck_assert_ptr_null(memmem(file.data, file.size, "a secret that", 13));
        ck_assert_msg(i == 0 || file.size < 100000, "%zu bytes of WAL", file.size);
        free(file.data);
    }
    close_and_remove();
}
END_TEST

START_TEST(borrowed_handle_keeps_its_limit_and_its_transaction)
{
    wrap_file();
    fill_and_trim();
    run_raw(handle, "PRAGMA journal_size_limit=1000000");

    assert_status(stele_store_scrub(store, NULL), STELE_OK);

    ck_assert_int_eq(raw_number(handle, "PRAGMA journal_size_limit"), 1000000);
    run_raw(handle, "BEGIN");
    assert_status(stele_store_scrub(store, NULL), STELE_MISUSE);
    run_raw(handle, "COMMIT");
    close_both_and_remove();
}
END_TEST

/* --- Shrinking --- */

static void free_pages(void)
{
    char data[4000];
    memset(data, '1', sizeof(data) - 1);
    data[sizeof(data) - 1] = '\0';
    stele_event event = make_event("made", data);
    for (int i = 0; i < 60; i++)
        assert_status(append_event("a-1", &event), STELE_OK);
    stele_retain retain = STELE_RETAIN_INIT;
    retain.stream = "a-1";
    retain.max_count = 5;
    retain.keep_free_pages = true;
    assert_status(stele_store_retain(store, &retain, NULL), STELE_OK);
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert_int_gt(info.free_bytes, 100000); /* there is something to give back */
}

static int count_shrinking(void *context, const stele_progress *progress)
{
    ck_assert_str_eq(progress->doing, "shrinking");
    return ++*(int *)context > 1000; /* it would go on for ever */
}

static int64_t shrink_and_count(int *steps_out)
{
    int64_t bytes = -1;
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 10;
    work.progress = count_shrinking;
    work.context = steps_out;
    *steps_out = 0;
    assert_status(stele_store_shrink(store, &work, &bytes), STELE_OK);
    return bytes;
}

START_TEST(file_gives_back_its_free_pages_a_step_at_a_time)
{
    int steps = 0;
    open_in_file();
    free_pages();

    int64_t bytes = shrink_and_count(&steps);

    ck_assert_int_gt(bytes, 100000);
    ck_assert_int_gt(steps, 3);
    ck_assert_int_eq(shrink_and_count(&steps), 0);
    ck_assert_int_eq(version_of("a-1"), 60);
    close_and_remove();
}
END_TEST

static void refuse_to_shrink(void)
{
    int steps = 0;
    free_pages();

    ck_assert_int_eq(shrink_and_count(&steps), 0);

    ck_assert_int_eq(steps, 0);
    ck_assert_int_eq(version_of("a-1"), 60);
}

/* As VACUUM leaves it for somebody who asked for that. */
static void make_file_that_cannot_shrink(void)
{
    open_in_file();
    close_store();
    run_sql(store_path(), "PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = 0; VACUUM;"
                          "PRAGMA journal_mode = WAL");
    ck_assert_int_eq(sql_number(store_path(), "PRAGMA auto_vacuum"), 0);
}

START_TEST(file_that_cannot_shrink_gives_back_nothing_and_ends)
{
    make_file_that_cannot_shrink();
    open_in_file();
    refuse_to_shrink();
    close_and_remove();
}
END_TEST

START_TEST(borrowed_handle_that_cannot_shrink_gives_back_nothing_and_ends)
{
    make_file_that_cannot_shrink();
    open_handle(store_path(), "");
    wrap_with(NULL);
    refuse_to_shrink();
    close_both_and_remove();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("space");
    TCase *tests = tcase_create("scrub");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, progress_is_asked_and_ends_it);
    tcase_add_test(tests, nothing_of_what_was_trimmed_is_in_the_file_or_its_wal);
    tcase_add_test(tests, borrowed_handle_keeps_its_limit_and_its_transaction);
    tests = tcase_create("shrink");
    tcase_set_timeout(tests, 30); /* one that never ends is told from one that does */
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, file_gives_back_its_free_pages_a_step_at_a_time);
    tcase_add_test(tests, file_that_cannot_shrink_gives_back_nothing_and_ends);
    tcase_add_test(tests, borrowed_handle_that_cannot_shrink_gives_back_nothing_and_ends);
    return run_suite(suite);
}
