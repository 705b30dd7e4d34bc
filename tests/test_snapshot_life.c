/*
 * Snapshots and what becomes of their streams and stores: deleting takes them along, everything
 * else leaves them, and a store that began a new epoch passes them over.
 */
#include "snapshots.h"

#include <stele/backup.h>
#include <stele/retention.h>

#include "lifecycles.h"

#define HEAD 10

/* A stream with a snapshot at version 6. */
static void open_with_snapshot(void)
{
    open_both();
    fill_stream("a-1", HEAD);
    assert_status(save_to(store, "a-1", 6, "{\"sum\":21}"), STELE_OK);
}

static void expect_still_there(void)
{
    expect_hit("a-1", 6, "{\"sum\":21}");
}

static void expect_kept_out(void)
{
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM snapshots"), 0);
}

/* --- Deleting --- */

START_TEST(deleting_a_stream_takes_its_snapshots_with_it)
{
    fill_stream("b-1", 2);
    assert_status(save_to(store, "b-1", 1, "1"), STELE_OK);

    assert_status(delete_it("a-1"), STELE_OK);

    expect_miss("a-1", STELE_SNAPSHOT_NONE);
    ck_assert_str_eq(listed(store, NULL), "b-1 state 1");
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM snapshots"), 1);
}
END_TEST

START_TEST(deleting_in_a_transaction_takes_them_when_it_commits)
{
    stele_delete what = STELE_DELETE_INIT;
    what.stream = "a-1";
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_delete(transaction, &what, NULL), STELE_OK);
    stele_transaction_end(transaction);
    expect_still_there();

    transaction = begin();
    assert_status(stele_transaction_delete(transaction, &what, NULL), STELE_OK);
    commit_and_end(transaction);
    expect_miss("a-1", STELE_SNAPSHOT_NONE);
    expect_kept_out();
}
END_TEST

/* The new one has other events at the same versions. */
START_TEST(new_stream_of_a_deleted_ones_name_never_sees_the_old_snapshots)
{
    assert_status(delete_it("a-1"), STELE_OK);
    fill_stream("a-1", HEAD + 3);

    expect_miss("a-1", STELE_SNAPSHOT_NONE);
    assert_status(save_to(store, "a-1", 2, "\"new\""), STELE_OK);
    expect_hit("a-1", 2, "\"new\"");
}
END_TEST

/* Whoever folded the old one comes too late. */
START_TEST(save_for_the_old_stream_id_is_not_found)
{
    stele_snapshot_read read = make_snapshot_read("a-1");
    const stele_snapshot_record *record = load_by(store, &read);
    stele_snapshot snapshot = make_snapshot("a-1", 8, "\"old\"");
    snapshot.stream_id = record->stream_id;
    stele_snapshot_close(record);
    assert_status(delete_it("a-1"), STELE_OK);
    assert_status(stele_snapshot_save(store, &snapshot), STELE_NOT_FOUND);
    fill_stream("a-1", HEAD);

    assert_status(stele_snapshot_save(store, &snapshot), STELE_NOT_FOUND);
    assert_reason_has("was deleted");
    expect_miss("a-1", STELE_SNAPSHOT_NONE);
}
END_TEST

/* Another handle, with names of its own in memory. */
START_TEST(other_store_on_the_file_never_sees_the_old_snapshots)
{
    stele_store *other = open_path(store_path(), NULL);
    stele_snapshot_read read = make_snapshot_read("a-1");
    const stele_snapshot_record *record = load_by(other, &read);
    ck_assert(record->found);
    stele_snapshot_close(record);
    assert_status(delete_it("a-1"), STELE_OK);
    fill_stream("a-1", HEAD);

    record = load_by(other, &read);
    expect_miss_record(record, STELE_SNAPSHOT_NONE);
    stele_snapshot_close(record);
    stele_store_close(other);
}
END_TEST

static int count_marks(const char *path, const char *mark)
{
    int count = 0;
    if (!file_exists(path))
        return 0;
    file_copy file = load_file(path);
    size_t size = strlen(mark);
    for (size_t i = 0; i + size <= file.size; i++)
        count += memcmp(file.data + i, mark, size) == 0;
    free(file.data);
    return count;
}

/* Of a stream that is erased, and of snapshots that are dropped and scrubbed. */
START_TEST(data_of_dropped_snapshots_is_in_no_file_after_scrubbing)
{
    char data[6000] = "\"";
    for (size_t i = 1; i + 16 < sizeof(data); i += 15)
        memcpy(data + i, "secret-of-ann--", 16);
    strcat(data, "\"");
    stele_delete what = STELE_DELETE_INIT;
    what.stream = "b-1";
    what.now = true;
    fill_stream("b-1", 9);
    for (int64_t version = 1; version < 9; version++) {
        save_kept("a-1", version, data, 3);
        save_kept("b-1", version, data, 3);
    }
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_OK);
    ck_assert_int_gt(count_marks(store_path(), "secret-of-ann"), 0);

    assert_status(stele_snapshot_invalidate(store, "a-1", NULL, NULL), STELE_OK);
    assert_status(stele_store_delete(store, &what, NULL), STELE_OK);

    ck_assert_int_eq(count_marks(store_path(), "secret-of-ann"), 0);
    ck_assert_int_eq(count_marks(test_path("store.db-wal"), "secret-of-ann"), 0);
}
END_TEST

/* --- What leaves them --- */

START_TEST(archived_stream_keeps_its_snapshots_and_takes_new_ones)
{
    assert_status(archive_here("a-1"), STELE_OK);
    expect_still_there();
    assert_status(save_to(store, "a-1", 7, "7"), STELE_OK);
    expect_hit("a-1", 7, "7");
    assert_status(restore_from("a-1", NULL, NULL), STELE_OK);
    expect_hit("a-1", 7, "7");
}
END_TEST

START_TEST(moved_stream_keeps_its_snapshots_here_and_takes_none_along)
{
    assert_status(archive_to("a-1", archive, NULL), STELE_OK);
    expect_still_there();
    ck_assert_str_eq(listed(archive, NULL), "");

    assert_status(restore_from("a-1", archive, NULL), STELE_OK);
    expect_still_there();
}
END_TEST

START_TEST(deleting_a_moved_stream_takes_its_snapshots_too)
{
    assert_status(archive_to("a-1", archive, NULL), STELE_OK);
    assert_status(delete_with("a-1", archive, NULL), STELE_OK);
    expect_miss("a-1", STELE_SNAPSHOT_NONE);
    expect_kept_out();
}
END_TEST

START_TEST(tombstoned_stream_keeps_its_snapshots)
{
    assert_status(tombstone_it("a-1"), STELE_OK);
    expect_still_there();
    assert_status(save_to(store, "a-1", HEAD, "10"), STELE_OK);
    expect_hit("a-1", HEAD, "10");
}
END_TEST

/* They are what such a stream is loaded from. */
START_TEST(trimmed_stream_keeps_its_snapshots_also_of_versions_that_are_gone)
{
    stele_retain retain = STELE_RETAIN_INIT;
    retain.stream = "a-1";
    retain.max_count = 2;
    assert_status(stele_store_retain(store, &retain, NULL), STELE_OK);
    expect_still_there();

    retain.max_count = 0;
    retain.before_version = HEAD + 1;
    assert_status(stele_store_retain(store, &retain, NULL), STELE_OK);
    expect_still_there();
    assert_status(save_to(store, "a-1", HEAD, "10"), STELE_OK);
    expect_hit("a-1", HEAD, "10");
    reopen_file();
    expect_hit("a-1", HEAD, "10");
}
END_TEST

/* --- Another epoch --- */

static void save_all_versions(void)
{
    for (int64_t version = 1; version <= HEAD; version++)
        save_kept("a-1", version, "{}", HEAD);
}

START_TEST(recovered_store_passes_the_snapshots_of_its_backup_over)
{
    stele_backup backup = STELE_BACKUP_INIT;
    stele_recover recover = STELE_RECOVER_INIT;
    save_all_versions();
    backup.path = recover.backup = test_path("backup.stele");
    assert_status(stele_store_backup(store, &backup, NULL), STELE_OK);
    recover.path = test_path("new.stele");
    assert_status(stele_recover_backup(&recover, NULL), STELE_OK);
    expect_hit("a-1", HEAD, "{}");
    close_store();

    store = open_path(test_path("new.stele"), NULL);

    expect_miss("a-1", STELE_SNAPSHOT_EPOCH);
    assert_status(save_to(store, "a-1", 4, "4"), STELE_OK);
    expect_hit("a-1", 4, "4");
    ck_assert_str_eq(listed(store, NULL), "a-1 state 4");
}
END_TEST

/* The end of the log is lost: a snapshot of what is left is beyond it until the loss is accepted.
 */
START_TEST(store_that_lost_events_misses_beyond_and_then_by_epoch)
{
    stele_options options = STELE_OPTIONS_INIT;
    save_kept("a-1", HEAD, "\"lost\"", 5);
    close_store();
    run_sql(store_path(), "DELETE FROM events WHERE position > 8");
    open_in_file();

    /* An older one that is kept still fits. */
    expect_still_there();
    stele_snapshot_read read = make_snapshot_read("a-1");
    read.schema_version = 2;
    expect_miss_by(&read, STELE_SNAPSHOT_BEYOND);
    stele_snapshots *list = NULL;
    const stele_snapshot_info *info = NULL;
    assert_status(stele_store_snapshots(store, NULL, &list), STELE_OK);
    assert_status(stele_snapshots_next(list, &info), STELE_OK);
    ck_assert_int_eq(info->miss, STELE_SNAPSHOT_BEYOND);
    ck_assert_int_eq(info->stream_version, 8);
    assert_status(stele_snapshots_next(list, &info), STELE_OK);
    ck_assert_int_eq(info->miss, STELE_SNAPSHOT_HIT);
    stele_snapshots_close(list);
    close_store();

    options.accept_loss = true;
    store = open_path(store_path(), &options);
    expect_miss("a-1", STELE_SNAPSHOT_EPOCH);
    assert_status(stele_store_snapshots(store, NULL, &list), STELE_OK);
    assert_status(stele_snapshots_next(list, &info), STELE_OK);
    ck_assert_int_eq(info->miss, STELE_SNAPSHOT_EPOCH);
    stele_snapshots_close(list);
    /* Other events come to where the lost ones were. */
    fill_stream("a-1", 5);
    expect_miss("a-1", STELE_SNAPSHOT_EPOCH);
    save_kept("a-1", 3, "3", 5);
    ck_assert_str_eq(listed(store, NULL), "a-1 state 3");
}
END_TEST

static int save_and_die(void *context)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    (void)context;
    stele_store *opened = NULL;
    if (stele_store_open(store_path(), &options, &opened) != STELE_OK)
        return 1;
    if (save_to(opened, "a-1", 7, "7") != STELE_OK)
        return 2;
    stele_snapshot_read read = make_snapshot_read("a-1");
    const stele_snapshot_record *record = NULL;
    return stele_snapshot_load(opened, &read, &record) == STELE_OK && record->found ? 0 : 3;
}

START_TEST(power_loss_of_a_relaxed_store_passes_its_snapshots_over)
{
    close_store();
    close_archive();
    ck_assert_int_eq(run_in_child(save_and_die, NULL), 0);
    run_sql(store_path(), "UPDATE meta SET value = 'another boot' WHERE key LIKE 'dirty:%'");

    open_in_file();

    expect_miss("a-1", STELE_SNAPSHOT_EPOCH);
}
END_TEST

/* The row itself is copied, so that nothing but its version tells. */
START_TEST(version_that_the_stream_does_not_have_is_a_miss)
{
    close_store();
    run_sql(store_path(), "INSERT INTO snapshots SELECT id + 1, stream, name, 99, epoch,"
                          " schema_version, codec, saved_at, checksum, data, metadata"
                          " FROM snapshots");
    open_in_file();
    stele_snapshot_read read = make_snapshot_read("a-1");
    read.codec = "raw";

    const stele_snapshot_record *record = load_by(store, &read);
    expect_miss_record(record, STELE_SNAPSHOT_BEYOND);
    ck_assert_ptr_nonnull(strstr(record->reason, "99"));
    ck_assert_ptr_nonnull(strstr(record->reason, "10"));
    stele_snapshot_close(record);
    expect_still_there();
    /* Saving takes it away. */
    save_kept("a-1", 7, "7", 5);
    ck_assert_str_eq(listed(store, NULL), "a-1 state 7, a-1 state 6");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot_life");

    TCase *tests = add_lifecycle_case(suite, "deleting", open_with_snapshot);
    tcase_add_test(tests, deleting_a_stream_takes_its_snapshots_with_it);
    tcase_add_test(tests, deleting_in_a_transaction_takes_them_when_it_commits);
    tcase_add_test(tests, new_stream_of_a_deleted_ones_name_never_sees_the_old_snapshots);
    tcase_add_test(tests, save_for_the_old_stream_id_is_not_found);
    tcase_add_test(tests, other_store_on_the_file_never_sees_the_old_snapshots);
    tcase_add_test(tests, data_of_dropped_snapshots_is_in_no_file_after_scrubbing);

    tests = add_lifecycle_case(suite, "leaving", open_with_snapshot);
    tcase_add_test(tests, archived_stream_keeps_its_snapshots_and_takes_new_ones);
    tcase_add_test(tests, moved_stream_keeps_its_snapshots_here_and_takes_none_along);
    tcase_add_test(tests, deleting_a_moved_stream_takes_its_snapshots_too);
    tcase_add_test(tests, tombstoned_stream_keeps_its_snapshots);
    tcase_add_test(tests, trimmed_stream_keeps_its_snapshots_also_of_versions_that_are_gone);

    tests = add_lifecycle_case(suite, "epochs", open_with_snapshot);
    tcase_add_test(tests, recovered_store_passes_the_snapshots_of_its_backup_over);
    tcase_add_test(tests, store_that_lost_events_misses_beyond_and_then_by_epoch);
    tcase_add_test(tests, power_loss_of_a_relaxed_store_passes_its_snapshots_over);
    tcase_add_test(tests, version_that_the_stream_does_not_have_is_a_miss);
    return run_suite(suite);
}
