/* Going on with what was cut short: when a store is opened, and when asked. */
#include "lifecycles.h"

/* Cut in the middle of each kind of work. */
static const char *const cut_parts[] = { "copying",       "comparing",       "replacing",
                                         "bringing back", "dropping copies", "erasing" };

#define MOVE_PARTS 3
#define PARTS      6

static void cut_in(int part)
{
    cut at = { cut_parts[part], 1, 0 };
    stele_work work = small_steps(&at);
    fill_varied("loan-1", 4);
    stele_status status = STELE_OK;
    if (part < MOVE_PARTS)
        status = archive_to("loan-1", archive, &work);
    else
        assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    if (part == 3 || part == 4)
        status = restore_from("loan-1", archive, &work);
    if (part == 5)
        status = delete_with("loan-1", archive, &work);
    assert_status(status, STELE_CANCELLED);
}

static void assert_finished(int part)
{
    ck_assert_int_eq(resume_with(NULL).found, 0);
    if (part == 5) {
        ck_assert_int_eq(version_of("loan-1"), 0);
    } else {
        ck_assert(!info_of("loan-1").unfinished);
        ck_assert_int_eq(info_of("loan-1").moved, part < MOVE_PARTS);
    }
    assert_whole(store);
}

static void reopen_with(bool no_resume)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.no_resume = no_resume;
    close_store();
    store = open_path(store_path(), &options);
}

static int64_t unfinished_count(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    return info.unfinished;
}

START_TEST(opening_for_writing_finishes_what_was_cut)
{
    cut_in(_i);
    ck_assert_int_eq(unfinished_count(), 1);
    close_archive(); /* found by its path */
    reopen_with(false);
    ck_assert_int_eq(unfinished_count(), 0);
    assert_finished(_i);
}
END_TEST

START_TEST(no_resume_leaves_it_to_the_caller)
{
    cut_in(_i);
    close_archive();
    reopen_with(true);
    ck_assert_int_eq(unfinished_count(), 1);
    stele_resumed resumed = resume_with(NULL);
    ck_assert_int_eq(resumed.found, 1);
    ck_assert_int_eq(resumed.finished, 1);
    ck_assert_int_eq(resumed.waiting, 0);
    assert_finished(_i);
}
END_TEST

START_TEST(read_only_store_is_left_as_it_is)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    cut_in(_i);
    close_store();
    store = open_path(store_path(), &options);
    ck_assert_int_eq(unfinished_count(), 1);
    assert_status(stele_store_resume(store, NULL, NULL), STELE_READ_ONLY);
}
END_TEST

START_TEST(archive_that_was_moved_away_is_waited_for)
{
    cut_in(_i);
    lose_archive();
    reopen_with(false);
    stele_resumed resumed = resume_with(NULL);
    ck_assert_int_eq(resumed.found, 1);
    ck_assert_int_eq(resumed.waiting, 1);
    ck_assert_int_eq(resumed.finished, 0);
    find_archive();
    if (_i % 2 == 0) {
        ck_assert_int_eq(resume_with(archive).finished, 1);
    } else {
        assert_status(stele_store_attach(store, archive), STELE_OK);
        ck_assert_int_eq(resume_with(NULL).finished, 1);
    }
    assert_finished(_i);
}
END_TEST

START_TEST(resuming_can_be_cancelled_and_resumed)
{
    cut at = { NULL, 0, 0 };
    stele_work work = small_steps(&at);
    stele_resume call = STELE_RESUME_INIT;
    stele_resumed resumed = { 0 };
    call.work = &work;
    cut_in(_i);
    int rounds = 0;
    while (stele_store_resume(store, &call, &resumed) == STELE_CANCELLED) {
        ck_assert_int_eq(resumed.found, 1);
        ck_assert_int_eq(resumed.finished, 0);
        at.seen = 0;
        at.steps++; /* comparing begins anew, so one step a time would never end */
        ck_assert_int_lt(++rounds, 100);
    }
    ck_assert_int_ge(rounds, 1);
    assert_finished(_i);
}
END_TEST

START_TEST(one_that_fails_does_not_keep_the_others)
{
    stele_store *second = open_path(test_path("second.db"), NULL);
    cut at = { "bringing back", 0, 0 };
    stele_work work = small_steps(&at);
    fill_varied("loan-1", 4);
    fill_varied("loan-2", 4);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(archive_to("loan-2", second, NULL), STELE_OK);
    assert_status(restore_from("loan-1", archive, &work), STELE_CANCELLED);
    at.seen = 0;
    assert_status(restore_from("loan-2", second, &work), STELE_CANCELLED);
    stele_store_close(second);
    close_archive();
    run_sql(archive_path(), "DELETE FROM kept_events WHERE version = 3");
    stele_resumed resumed = { 0 };
    assert_status(stele_store_resume(store, NULL, &resumed), STELE_CORRUPT);
    assert_reason_has("version 3");
    ck_assert_int_eq(resumed.found, 2);
    ck_assert_int_eq(resumed.finished, 1);
    ck_assert(!info_of("loan-2").moved);
    /* The store opens in spite of it. */
    reopen_file();
    fill_stream("desk-1", 1);
}
END_TEST

START_TEST(wrong_arguments_are_misuse)
{
    assert_status(stele_store_resume(NULL, NULL, NULL), STELE_MISUSE);
    stele_resume call = STELE_RESUME_INIT;
    call.struct_size = 0;
    assert_status(stele_store_resume(store, &call, NULL), STELE_MISUSE);
    stele_resume_init(&call);
    ck_assert_uint_eq(call.struct_size, sizeof(call));
    stele_work work = STELE_WORK_INIT;
    work.step_size_max = 0;
    call.work = &work;
    assert_status(stele_store_resume(store, &call, NULL), STELE_MISUSE);
    assert_status(stele_store_resume(store, NULL, NULL), STELE_OK);
}
END_TEST

START_TEST(wrapped_store_resumes_too)
{
    sqlite3 *handle = NULL;
    cut_in(_i);
    close_store();
    close_archive();
    ck_assert_int_eq(sqlite3_open(store_path(), &handle), SQLITE_OK);
    assert_status(stele_store_wrap(handle, NULL, &store), STELE_OK);
    ck_assert_int_eq(unfinished_count(), 0);
    assert_finished(_i);
    close_store();
    ck_assert_int_eq(sqlite3_close(handle), SQLITE_OK);
    open_in_file();
}
END_TEST

/* --- Forged stores --- */

/* Rows of `unfinished` and the manifest that point to a store of somebody else's. */
static void forge(const char *victim_uuid, const char *victim_path, int64_t work)
{
    sqlite3 *raw = open_raw(store_path());
    char sql[2048];
    snprintf(sql, sizeof(sql), "UPDATE archives SET uuid = '%s', hint = '%s'", victim_uuid,
             victim_path);
    run_raw(raw, sql);
    snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO unfinished VALUES(1, %" PRId64 ", 0, 0)",
             work);
    run_raw(raw, sql);
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
}

static int64_t sum_of_file(const char *path)
{
    file_copy copy = load_file(path);
    int64_t sum = 0;
    for (size_t i = 0; i < copy.size; i++)
        sum = (sum * 31 + copy.data[i]) % 1000000007;
    free(copy.data);
    return sum;
}

START_TEST(forged_rows_with_wrong_checksums_write_nowhere)
{
    char victim[512];
    fill_varied("loan-1", 3);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    snprintf(victim, sizeof(victim), "%s", test_path("victim.db"));
    stele_store *other = open_path(victim, NULL);
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(other, &info), STELE_OK);
    char uuid[40];
    snprintf(uuid, sizeof(uuid), "%s", info.uuid);
    assert_status(append_to(other, "mine-1", STELE_ANY, "noted", NULL), STELE_OK);
    stele_store_close(other);
    close_store();
    close_archive();
    forge(uuid, victim, _i + 1);
    int64_t before = sum_of_file(victim);
    open_in_file();
    fill_stream("desk-1", 1);
    assert_status(stele_store_resume(store, NULL, NULL), STELE_CORRUPT);
    ck_assert_int_eq(sum_of_file(victim), before);
}
END_TEST

/* With checksums as they should be: but the victim knows nothing of the move. */
START_TEST(store_that_does_not_know_the_move_is_not_written_to)
{
    char path[512];
    snprintf(path, sizeof(path), "%s", archive_path());
    char lock[520];
    cut_in(_i);
    close_archive();
    /* What lies there now has the archive's uuid, but not the move. */
    run_sql(path, "DELETE FROM kept_events; DELETE FROM kept_streams");
    snprintf(lock, sizeof(lock), "%s-lock", path);
    unlink(lock); /* who opens it for writing makes it anew */
    int64_t before = sum_of_file(path);
    reopen_with(false);
    ck_assert_int_eq(sum_of_file(path), before);
    ck_assert_int_ne(access(lock, F_OK), 0);
    stele_resumed resumed = resume_with(NULL);
    ck_assert_int_eq(resumed.waiting, 1);
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM kept_streams"), 0);
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM kept_events"), 0);
}
END_TEST

START_TEST(damaged_row_of_unfinished_is_corrupt)
{
    cut_in(5);
    close_store();
    run_sql(store_path(), "UPDATE unfinished SET work = 1");
    open_in_file();
    assert_status(stele_store_resume(store, NULL, NULL), STELE_CORRUPT);
    assert_reason_has("unfinished");
}
END_TEST

static Suite *resume_suite(void)
{
    Suite *suite = suite_create("resume");
    TCase *tests = add_lifecycle_case(suite, "resume", open_both);
    tcase_add_loop_test(tests, opening_for_writing_finishes_what_was_cut, 0, PARTS);
    tcase_add_loop_test(tests, no_resume_leaves_it_to_the_caller, 0, PARTS);
    tcase_add_loop_test(tests, read_only_store_is_left_as_it_is, 0, PARTS);
    tcase_add_loop_test(tests, archive_that_was_moved_away_is_waited_for, 0, PARTS);
    tcase_add_loop_test(tests, resuming_can_be_cancelled_and_resumed, 0, PARTS);
    tcase_add_test(tests, one_that_fails_does_not_keep_the_others);
    tcase_add_test(tests, wrong_arguments_are_misuse);
    tcase_add_loop_test(tests, wrapped_store_resumes_too, 0, PARTS);
    tests = add_lifecycle_case(suite, "forged", open_both);
    tcase_add_loop_test(tests, forged_rows_with_wrong_checksums_write_nowhere, 0, 3);
    tcase_add_loop_test(tests, store_that_does_not_know_the_move_is_not_written_to, 0, MOVE_PARTS);
    tcase_add_test(tests, damaged_row_of_unfinished_is_corrupt);
    return suite;
}

int main(void)
{
    return run_suite(resume_suite());
}
