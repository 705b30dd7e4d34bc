/* Snapshots: the list of them, and dropping. */
#include "snapshots.h"

enum { STREAMS = 4, HEAD = 6 };

static const char *const streams[STREAMS] = { "b-1", "a-10", "a-1", "c-1" };

static stele_status save_named(const char *stream, const char *name, int64_t version)
{
    stele_snapshot snapshot = make_snapshot(stream, version, "{}");
    snapshot.name = name;
    snapshot.keep = 10;
    return stele_snapshot_save(store, &snapshot);
}

/* Of each stream but the last three of "state" and one of "sum". */
static void save_some(void)
{
    for (int i = 0; i < STREAMS; i++)
        fill_stream(streams[i], HEAD);
    for (int i = 0; i < STREAMS - 1; i++) {
        assert_status(save_named(streams[i], "sum", 5), STELE_OK);
        assert_status(save_named(streams[i], "state", 1), STELE_OK);
        assert_status(save_named(streams[i], "state", 6), STELE_OK);
        assert_status(save_named(streams[i], "state", 3), STELE_OK);
    }
}

static void save_in_memory(void)
{
    open_in_memory();
    save_some();
}

static void save_in_file(void)
{
    open_in_file();
    save_some();
}

#define ALL_OF(stream) stream " state 6, " stream " state 3, " stream " state 1, " stream " sum 5"

/* --- The list --- */

START_TEST(list_is_by_stream_name_and_version_with_the_highest_first)
{
    ck_assert_str_eq(listed(store, NULL), ALL_OF("a-1") ", " ALL_OF("a-10") ", " ALL_OF("b-1"));
}
END_TEST

START_TEST(list_can_be_of_a_stream_a_prefix_and_a_name)
{
    stele_snapshots_read read = STELE_SNAPSHOTS_READ_INIT;
    read.stream = "a-1";
    ck_assert_str_eq(listed(store, &read), ALL_OF("a-1"));
    read.name = "sum";
    ck_assert_str_eq(listed(store, &read), "a-1 sum 5");
    read.stream = NULL;
    ck_assert_str_eq(listed(store, &read), "a-1 sum 5, a-10 sum 5, b-1 sum 5");
    read.prefix = "a-1";
    ck_assert_str_eq(listed(store, &read), "a-1 sum 5, a-10 sum 5");
    read.prefix = "";
    ck_assert_str_eq(listed(store, &read), "a-1 sum 5, a-10 sum 5, b-1 sum 5");
    read.prefix = "a-10-and-longer";
    ck_assert_str_eq(listed(store, &read), "");
    read.prefix = NULL;
    read.stream = "c-1";
    ck_assert_str_eq(listed(store, &read), "");
    read.stream = "never-1";
    ck_assert_str_eq(listed(store, &read), "");
}
END_TEST

START_TEST(list_ends_at_its_limit)
{
    stele_snapshots_read read = STELE_SNAPSHOTS_READ_INIT;
    read.limit = 2;
    ck_assert_str_eq(listed(store, &read), "a-1 state 6, a-1 state 3");
    read.limit = UINT64_MAX;
    ck_assert_str_eq(listed(store, &read), ALL_OF("a-1") ", " ALL_OF("a-10") ", " ALL_OF("b-1"));
}
END_TEST

START_TEST(row_of_the_list_tells_everything_but_the_data)
{
    stele_snapshots_read read = STELE_SNAPSHOTS_READ_INIT;
    stele_snapshots *list = NULL;
    const stele_snapshot_info *info = NULL;
    stele_snapshot snapshot = make_snapshot("c-1", 4, "12345");
    snapshot.codec = "raw";
    snapshot.schema_version = 9;
    snapshot.metadata = "{}";
    snapshot.metadata_size = 2;
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    read.stream = "c-1";

    assert_status(stele_store_snapshots(store, &read, &list), STELE_OK);
    assert_status(stele_snapshots_next(list, &info), STELE_OK);

    ck_assert_str_eq(info->stream, "c-1");
    ck_assert_str_eq(info->name, "state");
    ck_assert_str_eq(info->codec, "raw");
    ck_assert_int_eq(info->version, 4);
    ck_assert_int_eq(info->schema_version, 9);
    ck_assert_int_gt(info->saved_at, 0);
    ck_assert_int_eq(info->bytes, 7);
    ck_assert_int_eq(info->miss, STELE_SNAPSHOT_HIT);
    ck_assert_int_eq(info->stream_version, HEAD);
    assert_status(stele_snapshots_next(list, &info), STELE_DONE);
    ck_assert_ptr_null(info);
    stele_snapshots_close(list);
    stele_snapshots_close(NULL);
}
END_TEST

START_TEST(what_is_asked_for_is_copied)
{
    char name[] = "sum";
    stele_snapshots_read read = STELE_SNAPSHOTS_READ_INIT;
    stele_snapshots *list = NULL;
    const stele_snapshot_info *info = NULL;
    read.name = name;
    assert_status(stele_store_snapshots(store, &read, &list), STELE_OK);
    name[0] = 'x';
    read.limit = 1;

    int count = 0;
    while (stele_snapshots_next(list, &info) == STELE_OK)
        count++;
    ck_assert_int_eq(count, 3);
    stele_snapshots_close(list);
}
END_TEST

START_TEST(list_of_a_transaction_sees_its_writes)
{
    stele_transaction *transaction = begin();
    stele_snapshots_read read = STELE_SNAPSHOTS_READ_INIT;
    stele_snapshots *list = NULL;
    const stele_snapshot_info *info = NULL;
    stele_snapshot snapshot = make_snapshot("c-1", HEAD, "{}");
    read.stream = "c-1";
    assert_status(stele_transaction_snapshot_save(transaction, &snapshot), STELE_OK);

    assert_status(stele_transaction_snapshots(transaction, &read, &list), STELE_OK);
    stele_transaction_end(transaction);

    assert_status(stele_snapshots_next(list, &info), STELE_OK);
    ck_assert_int_eq(info->version, HEAD);
    assert_status(stele_snapshots_next(list, &info), STELE_DONE);
    stele_snapshots_close(list);
    ck_assert_str_eq(listed(store, &read), "");
}
END_TEST

START_TEST(list_of_a_closed_store_is_closed)
{
    stele_snapshots *list = NULL;
    const stele_snapshot_info *info = (const void *)&list;
    assert_status(stele_store_snapshots(store, NULL, &list), STELE_OK);
    close_store();

    assert_status(stele_snapshots_next(list, &info), STELE_CLOSED);
    ck_assert_ptr_null(info);
    stele_snapshots_close(list);
}
END_TEST

START_TEST(wrong_arguments_of_the_list_are_misuse)
{
    stele_snapshots_read read = STELE_SNAPSHOTS_READ_INIT;
    stele_snapshots *list = (stele_snapshots *)&read;
    const stele_snapshot_info *info = NULL;
    assert_status(stele_store_snapshots(NULL, NULL, &list), STELE_MISUSE);
    ck_assert_ptr_null(list);
    assert_status(stele_store_snapshots(store, NULL, NULL), STELE_MISUSE);
    assert_status(stele_transaction_snapshots(NULL, NULL, &list), STELE_MISUSE);
    assert_status(stele_snapshots_next(NULL, &info), STELE_MISUSE);
    read.stream = "";
    assert_status(stele_store_snapshots(store, &read, &list), STELE_MISUSE);
    read.stream = NULL, read.prefix = "\n";
    assert_status(stele_store_snapshots(store, &read, &list), STELE_MISUSE);
    read.prefix = NULL, read.name = "";
    assert_status(stele_store_snapshots(store, &read, &list), STELE_MISUSE);
    read.name = NULL, read.struct_size = 0;
    assert_status(stele_store_snapshots(store, &read, &list), STELE_MISUSE);
    assert_status(stele_store_snapshots(store, NULL, &list), STELE_OK);
    assert_status(stele_snapshots_next(list, NULL), STELE_MISUSE);
    stele_snapshots_close(list);
}
END_TEST

/* --- Dropping --- */

static int64_t invalidate(const char *stream, const char *name)
{
    int64_t count = -1;
    assert_status(stele_snapshot_invalidate(store, stream, name, &count), STELE_OK);
    return count;
}

static int64_t invalidate_all(const char *name, const stele_work *work)
{
    int64_t count = -1;
    assert_status(stele_snapshot_invalidate_all(store, name, work, &count), STELE_OK);
    return count;
}

START_TEST(invalidating_drops_the_snapshots_of_one_stream)
{
    ck_assert_int_eq(invalidate("a-1", NULL), 4);
    ck_assert_str_eq(listed(store, NULL), ALL_OF("a-10") ", " ALL_OF("b-1"));
    expect_miss("a-1", STELE_SNAPSHOT_NONE);
}
END_TEST

START_TEST(invalidating_a_name_leaves_the_others)
{
    stele_snapshots_read read = STELE_SNAPSHOTS_READ_INIT;
    read.stream = "a-1";
    ck_assert_int_eq(invalidate("a-1", "state"), 3);
    ck_assert_str_eq(listed(store, &read), "a-1 sum 5");
    ck_assert_int_eq(invalidate("a-1", "sum"), 1);
}
END_TEST

START_TEST(invalidating_nothing_is_fine)
{
    ck_assert_int_eq(invalidate("c-1", NULL), 0);
    ck_assert_int_eq(invalidate("a-1", "never"), 0);
    ck_assert_int_eq(invalidate("never-1", NULL), 0);
    assert_status(stele_snapshot_invalidate(store, "c-1", NULL, NULL), STELE_OK);
}
END_TEST

START_TEST(invalidating_in_a_transaction_is_done_when_that_commits)
{
    int64_t count = -1;
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_snapshot_invalidate(transaction, "a-1", NULL, &count),
                  STELE_OK);
    ck_assert_int_eq(count, 4);
    stele_transaction_end(transaction);
    expect_hit("a-1", 6, "{}");

    transaction = begin();
    assert_status(stele_transaction_snapshot_invalidate(transaction, "a-1", "state", NULL),
                  STELE_OK);
    commit_and_end(transaction);
    expect_miss("a-1", STELE_SNAPSHOT_NONE);
}
END_TEST

START_TEST(wrong_arguments_of_dropping_are_misuse)
{
    int64_t count = 7;
    stele_work work = STELE_WORK_INIT;
    assert_status(stele_snapshot_invalidate(NULL, "a-1", NULL, &count), STELE_MISUSE);
    ck_assert_int_eq(count, 0);
    assert_status(stele_snapshot_invalidate(store, NULL, NULL, NULL), STELE_MISUSE);
    assert_status(stele_snapshot_invalidate(store, "a-1", "", NULL), STELE_MISUSE);
    assert_status(stele_transaction_snapshot_invalidate(NULL, "a-1", NULL, NULL), STELE_MISUSE);
    count = 7;
    assert_status(stele_snapshot_invalidate_all(NULL, NULL, NULL, &count), STELE_MISUSE);
    ck_assert_int_eq(count, 0);
    assert_status(stele_snapshot_invalidate_all(store, "", NULL, NULL), STELE_MISUSE);
    work.step_count_max = 0;
    assert_status(stele_snapshot_invalidate_all(store, NULL, &work, NULL), STELE_MISUSE);
}
END_TEST

START_TEST(invalidating_all_drops_those_of_every_stream)
{
    ck_assert_int_eq(invalidate_all(NULL, NULL), 12);
    ck_assert_str_eq(listed(store, NULL), "");
    ck_assert_int_eq(invalidate_all(NULL, NULL), 0);
}
END_TEST

START_TEST(invalidating_all_of_a_name_leaves_the_others)
{
    ck_assert_int_eq(invalidate_all("state", NULL), 9);
    ck_assert_str_eq(listed(store, NULL), "a-1 sum 5, a-10 sum 5, b-1 sum 5");
}
END_TEST

typedef struct watched {
    int steps;
    int stop_after; /* 0: never */
    uint64_t done;
    bool saves; /* a snapshot at each step, by another handle */
} watched;

static int watch_steps(void *context, const stele_progress *progress)
{
    watched *seen = context;
    seen->steps++;
    seen->done = progress->done;
    ck_assert_str_ne(progress->doing, "");
    return seen->stop_after > 0 && seen->steps >= seen->stop_after;
}

START_TEST(invalidating_all_goes_in_steps_of_rows_and_bytes)
{
    watched by_rows = { 0 }, by_bytes = { 0 };
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 5;
    work.progress = watch_steps;
    work.context = &by_rows;
    ck_assert_int_eq(invalidate_all("state", &work), 9);
    ck_assert_int_ge(by_rows.steps, 3);
    ck_assert_uint_eq(by_rows.done, 12);

    save_some();
    work = (stele_work)STELE_WORK_INIT;
    work.step_size_max = 1;
    work.progress = watch_steps;
    work.context = &by_bytes;
    ck_assert_int_eq(invalidate_all(NULL, &work), 12);
    ck_assert_int_ge(by_bytes.steps, 12);
}
END_TEST

START_TEST(cancelled_invalidating_tells_what_it_dropped)
{
    int64_t count = -1;
    watched seen = { .stop_after = 2 };
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 5;
    work.progress = watch_steps;
    work.context = &seen;

    assert_status(stele_snapshot_invalidate_all(store, NULL, &work, &count), STELE_CANCELLED);

    ck_assert_int_eq(count, 10);
    ck_assert_int_eq(invalidate_all(NULL, NULL), 2);
}
END_TEST

typedef struct busy_saver {
    sqlite3 *raw; /* a progress callback may call nothing of the library */
    int64_t saved;
} busy_saver;

/* Each with the next id, as a save has. */
static int save_at_step(void *context, const stele_progress *progress)
{
    busy_saver *saver = context;
    char sql[300];
    (void)progress;
    saver->saved++;
    snprintf(sql, sizeof(sql),
             "INSERT INTO snapshots(stream, name, version, epoch, schema_version, codec, saved_at,"
             " checksum, data) VALUES(4, 'busy', %" PRId64 ", 'e', 1, 1, 0, 0, 'x')",
             saver->saved);
    run_raw(saver->raw, sql);
    return saver->saved > 100;
}

/* It must end, however fast others save. */
START_TEST(invalidating_all_ends_while_others_go_on_saving)
{
    busy_saver saver = { open_raw(store_path()), 0 };
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 1;
    work.progress = save_at_step;
    work.context = &saver;

    ck_assert_int_eq(invalidate_all(NULL, &work), 12);

    sqlite3_close(saver.raw);
    ck_assert_int_ge(saver.saved, 12);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM snapshots WHERE name = 'busy'"),
                     saver.saved);
}
END_TEST

START_TEST(invalidating_waits_for_the_lock_as_told)
{
    int64_t count = 7;
    stele_wait wait = STELE_WAIT_INIT;
    stele_work work = STELE_WORK_INIT;
    stele_options options = STELE_OPTIONS_INIT;
    close_store();
    options.busy_timeout_ms = 10;
    store = open_path(store_path(), &options);
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "BEGIN IMMEDIATE");
    wait.timeout_ms = 0;
    work.wait = &wait;

    assert_status(stele_snapshot_invalidate(store, "a-1", NULL, &count), STELE_BUSY);
    ck_assert_int_eq(count, 0);
    assert_status(stele_snapshot_invalidate_all(store, NULL, &work, &count), STELE_BUSY);
    ck_assert_int_eq(count, 0);

    sqlite3_close(raw);
    ck_assert_int_eq(invalidate_all(NULL, &work), 12);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot_list");

    TCase *tests = add_case(suite, "list", save_in_memory);
    tcase_add_test(tests, list_is_by_stream_name_and_version_with_the_highest_first);
    tcase_add_test(tests, list_can_be_of_a_stream_a_prefix_and_a_name);
    tcase_add_test(tests, list_ends_at_its_limit);
    tcase_add_test(tests, row_of_the_list_tells_everything_but_the_data);
    tcase_add_test(tests, what_is_asked_for_is_copied);
    tcase_add_test(tests, list_of_a_transaction_sees_its_writes);
    tcase_add_test(tests, list_of_a_closed_store_is_closed);
    tcase_add_test(tests, wrong_arguments_of_the_list_are_misuse);

    tests = add_case(suite, "dropping", save_in_memory);
    tcase_add_test(tests, invalidating_drops_the_snapshots_of_one_stream);
    tcase_add_test(tests, invalidating_a_name_leaves_the_others);
    tcase_add_test(tests, invalidating_nothing_is_fine);
    tcase_add_test(tests, invalidating_in_a_transaction_is_done_when_that_commits);
    tcase_add_test(tests, wrong_arguments_of_dropping_are_misuse);
    tcase_add_test(tests, invalidating_all_drops_those_of_every_stream);
    tcase_add_test(tests, invalidating_all_of_a_name_leaves_the_others);
    tcase_add_test(tests, invalidating_all_goes_in_steps_of_rows_and_bytes);
    tcase_add_test(tests, cancelled_invalidating_tells_what_it_dropped);

    tests = add_case(suite, "file", save_in_file);
    tcase_add_test(tests, invalidating_all_ends_while_others_go_on_saving);
    tcase_add_test(tests, invalidating_waits_for_the_lock_as_told);
    return run_suite(suite);
}
