/* Stores made from backups: what they hold, what their consumers hear, and every answer. */
#include "backup_support.h"
#include "disk_hooks.h"

#include <stele/lifecycle.h>

#include <sys/stat.h>
#include <time.h>

#define HEAD 20

/* A store that goes on after its backup; both are closed. */
static void make_backup(void)
{
    open_in_file();
    fill_stream("a-1", HEAD);
    assert_status(stele_checkpoint_save(store, "slow", 12), STELE_OK);
    back_up_to(backup_path());
    fill_stream("a-1", 5);
    assert_status(stele_checkpoint_save(store, "fast", HEAD + 3), STELE_OK);
    close_store();
}

static stele_store_info describe(const char *path)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_store *opened = open_path(path, NULL);
    assert_status(stele_store_describe(opened, &info), STELE_OK);
    stele_store_close(opened);
    return info;
}

/* --- What it is --- */

START_TEST(recovered_store_has_the_log_and_takes_new_events)
{
    recover_to(backup_path(), new_path());

    ck_assert_int_eq(expect_whole_file(new_path()), HEAD);
    store = open_path(new_path(), NULL);
    ck_assert_int_eq(version_of("a-1"), HEAD);
    assert_status(append_one("a-1", HEAD, "noted", NULL), STELE_OK);
    ck_assert_int_eq(head_of(store), HEAD + 1);
}
END_TEST

/* The archive is still the store's: a copy that is tried out leaves it alone, unless told. */
START_TEST(recovered_copy_keeps_away_from_the_archive_that_the_store_uses)
{
    const char *second = test_path("second.stele");
    open_in_file();
    fill_stream("b-1", 3);
    stele_store *archive = open_path(test_path("archive.db"), NULL);
    stele_archive away = STELE_ARCHIVE_INIT;
    away.stream = "b-1";
    away.to = archive;
    assert_status(stele_store_archive(store, &away, NULL), STELE_OK);
    stele_store_close(archive);
    back_up_to(second);
    close_store();
    recover_to(second, new_path());
    stele_restore restore = STELE_RESTORE_INIT;
    stele_delete what = STELE_DELETE_INIT;
    restore.stream = what.stream = "b-1";

    store = open_path(new_path(), NULL);
    assert_status(stele_store_restore(store, &restore, NULL), STELE_ARCHIVED);
    assert_status(stele_store_delete(store, &what, NULL), STELE_ARCHIVED);
    close_store();

    open_in_file();
    assert_status(stele_store_restore(store, &restore, NULL), STELE_OK);
    ck_assert_int_eq(version_of("b-1"), 3);
}
END_TEST

START_TEST(recovered_store_keeps_its_uuid_and_has_a_new_epoch_at_its_head)
{
    stele_store_info old = describe(store_path());

    stele_recovered made = recover_to(backup_path(), new_path());

    stele_store_info info = describe(new_path());
    ck_assert_str_eq(made.uuid, old.uuid);
    ck_assert_str_eq(info.uuid, old.uuid);
    ck_assert_str_eq(made.old_epoch, old.epoch);
    ck_assert_str_ne(made.epoch, old.epoch);
    ck_assert_str_eq(info.epoch, made.epoch);
    ck_assert(!info.backup);
    ck_assert_int_eq(made.head, HEAD);
    ck_assert_int_eq(
        sql_number(new_path(), "SELECT starts_after FROM epochs ORDER BY id DESC LIMIT 1"), HEAD);
}
END_TEST

START_TEST(recovering_tells_of_the_backup)
{
    struct stat facts;

    stele_recovered made = recover_to(backup_path(), new_path());

    ck_assert_int_eq(stat(new_path(), &facts), 0);
    ck_assert_int_eq(made.bytes, facts.st_size);
    ck_assert_int_eq(facts.st_mode & 0777, 0600);
    ck_assert_int_gt(made.made_at, INT64_C(1600000000) * 1000000);
    ck_assert_uint_gt(made.checks, 3);
    ck_assert_uint_eq(made.failures, 0);
}
END_TEST

START_TEST(backup_stays_as_it_is)
{
    file_copy before = load_file(backup_path());

    recover_to(backup_path(), new_path());

    expect_unchanged(backup_path(), before);
    ck_assert_int_eq(expect_whole_file(backup_path()), HEAD);
}
END_TEST

START_TEST(each_recovery_is_an_epoch_of_its_own)
{
    stele_recovered first = recover_to(backup_path(), new_path());
    stele_recovered second = recover_to(backup_path(), test_path("newer.stele"));

    ck_assert_str_ne(first.epoch, second.epoch);
}
END_TEST

START_TEST(store_without_a_stamp_is_recovered_too)
{
    stele_recovered made = recover_to(store_path(), new_path());

    ck_assert_int_eq(made.head, HEAD + 5);
    ck_assert_int_eq(made.made_at, 0);
    ck_assert_int_eq(describe(new_path()).head, HEAD + 5);
}
END_TEST

START_TEST(store_that_is_in_use_is_recovered_with_what_its_wal_holds)
{
    open_in_file();
    fill_stream("b-1", 3);
    ck_assert(file_exists(test_path("store.db-wal")));

    ck_assert_int_eq(recover_to(store_path(), new_path()).head, HEAD + 8);
}
END_TEST

START_TEST(dirty_marks_are_gone)
{
    run_sql(store_path(), "INSERT INTO meta(key, value, checksum) VALUES('dirty:x', 'boot', 0)");
    stele_recover recover = STELE_RECOVER_INIT;
    recover.backup = store_path();
    recover.path = new_path();
    recover.damaged = true; /* its checksum is wrong */

    assert_status(stele_recover_backup(&recover, NULL), STELE_OK);

    ck_assert_int_eq(sql_number(new_path(), "SELECT count(*) FROM meta WHERE key LIKE 'dirty:%'"),
                     0);
    ck_assert_int_eq(expect_whole_file(new_path()), HEAD + 5);
}
END_TEST

/* --- Its consumers --- */

START_TEST(consumer_beyond_the_head_hears_of_the_epoch)
{
    stele_store_info old = describe(store_path());
    recover_to(backup_path(), new_path());
    store = open_path(new_path(), NULL);
    fill_stream("a-1", 9); /* takes the positions that the consumer has seen */
    stele_read read = STELE_READ_INIT;
    read.epoch = old.epoch;
    read.after_position = HEAD + 3;
    stele_cursor *cursor = NULL;

    assert_status(stele_store_read(store, &read, &cursor), STELE_EPOCH);
    ck_assert_ptr_null(cursor);

    read.after_position = HEAD;
    assert_status(stele_store_read(store, &read, &cursor), STELE_OK);
    ck_assert_int_eq(next_record(cursor)->position, HEAD + 1);
    stele_cursor_close(cursor);
}
END_TEST

/* Its checkpoint was saved in the store that is lost, after the backup: it isn't there. One that
 * was in the backup goes on. */
START_TEST(checkpoint_of_the_backup_goes_on)
{
    stele_checkpoint checkpoint;
    recover_to(backup_path(), new_path());
    store = open_path(new_path(), NULL);

    assert_status(stele_checkpoint_load(store, "slow", &checkpoint), STELE_OK);
    ck_assert_int_eq(checkpoint.position, 12);
    assert_status(stele_checkpoint_load(store, "fast", &checkpoint), STELE_OK);
    ck_assert(!checkpoint.found);
}
END_TEST

/* --- Damage --- */

static void damage_backup(void)
{
    run_sql(backup_path(), "UPDATE events SET data = '{\"n\":9}' WHERE position IN (4, 7)");
}

START_TEST(damaged_backup_is_refused_by_its_first_failing_check)
{
    damage_backup();
    stele_recovered made;

    assert_status(try_recover(backup_path(), new_path(), &made), STELE_CORRUPT);

    assert_reason_has("is damaged");
    assert_reason_has("4");
    ck_assert_uint_gt(made.failures, 0);
    ck_assert_uint_gt(made.checks, made.failures);
    expect_nothing_at(new_path());
}
END_TEST

START_TEST(damaged_backup_is_recovered_when_that_is_wanted)
{
    damage_backup();
    stele_recovered made;
    stele_recover recover = STELE_RECOVER_INIT;
    recover.backup = backup_path();
    recover.path = new_path();
    recover.damaged = true;

    assert_status(stele_recover_backup(&recover, &made), STELE_OK);

    ck_assert_uint_gt(made.failures, 0);
    store = open_path(new_path(), NULL);
    assert_status(append_one("a-1", HEAD, "noted", NULL), STELE_OK);
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    stele_read read = STELE_READ_INIT;
    assert_status(stele_store_read(store, &read, &cursor), STELE_OK);
    stele_status status;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK)
        ck_assert_int_ne(record->position, 4);
    stele_cursor_close(cursor);
    assert_status(status, STELE_CORRUPT);
}
END_TEST

START_TEST(damaged_stamp_is_still_one)
{
    run_sql(backup_path(), "UPDATE meta SET value = 'junk' WHERE key = 'backup'");

    store = open_path(backup_path(), NULL);
    assert_status(append_one("a-1", STELE_ANY, "noted", NULL), STELE_READ_ONLY);
    close_store();
    assert_status(try_recover(backup_path(), new_path(), NULL), STELE_CORRUPT);
    assert_reason_has("meta");
    stele_recover recover = STELE_RECOVER_INIT;
    recover.backup = backup_path();
    recover.path = new_path();
    recover.damaged = true;
    assert_status(stele_recover_backup(&recover, NULL), STELE_OK);
    ck_assert_int_eq(expect_whole_file(new_path()), HEAD);
}
END_TEST

START_TEST(truncated_and_foreign_files_are_refused)
{
    file_copy whole = load_file(backup_path());
    save_file(backup_path(), whole.data, whole.size / 2);
    assert_status(try_recover(backup_path(), new_path(), NULL), STELE_CORRUPT);
    save_file(backup_path(), "no backup", 9);
    assert_status(try_recover(backup_path(), new_path(), NULL), STELE_CORRUPT);
    ck_assert_int_eq(unlink(backup_path()), 0);
    run_sql(backup_path(), "CREATE TABLE x(y)");
    assert_status(try_recover(backup_path(), new_path(), NULL), STELE_CORRUPT);
    save_file(backup_path(), "", 0);
    assert_status(try_recover(backup_path(), new_path(), NULL), STELE_UNSUPPORTED);
    free(whole.data);
    expect_nothing_at(new_path());
}
END_TEST

/* --- Trojans --- */

static void expect_trojan_refused(const char *sql)
{
    copy_file(backup_path(), test_path("trojan.stele"));
    run_sql(test_path("trojan.stele"), sql);

    assert_status(try_recover(test_path("trojan.stele"), new_path(), NULL), STELE_CORRUPT);
    stele_recover recover = STELE_RECOVER_INIT;
    recover.backup = test_path("trojan.stele");
    recover.path = new_path();
    recover.damaged = true;
    assert_status(stele_recover_backup(&recover, NULL), STELE_CORRUPT);
    expect_nothing_at(new_path());
}

START_TEST(backup_with_foreign_things_on_our_tables_is_refused)
{
    expect_trojan_refused("CREATE TRIGGER t AFTER INSERT ON events BEGIN"
                          " DELETE FROM checkpoints; END");
    expect_trojan_refused("CREATE INDEX i ON events(recorded_at)");
    expect_trojan_refused("CREATE UNIQUE INDEX i ON meta(value)");
    expect_trojan_refused("CREATE TRIGGER t AFTER DELETE ON meta BEGIN"
                          " UPDATE epochs SET epoch = 'x'; END");
}
END_TEST

/* A WAL that came from somewhere else would be taken for the backup's. */
START_TEST(stale_wal_beside_a_backup_is_not_merged)
{
    file_copy before = load_file(backup_path());
    store = open_path(test_path("other.db"), NULL);
    fill_stream("z-1", 3);
    copy_file(test_path("other.db-wal"), test_path("backup.stele-wal"));
    close_store();

    assert_status(try_recover(backup_path(), new_path(), NULL), STELE_CORRUPT);
    expect_nothing_at(new_path());
    refuse_path(backup_path(), NULL, STELE_CORRUPT);
    expect_unchanged(backup_path(), before);

    ck_assert_int_eq(unlink(test_path("backup.stele-wal")), 0);
    unlink(test_path("backup.stele-shm"));
    ck_assert_int_eq(recover_to(backup_path(), new_path()).head, HEAD);
}
END_TEST

/* The same store's, of a later time: all of it would be true, but it isn't what was verified. */
START_TEST(later_wal_of_the_same_store_is_not_merged_either)
{
    open_in_file();
    fill_stream("a-1", 3);
    copy_file(test_path("store.db-wal"), test_path("backup.stele-wal"));
    close_store();

    assert_status(try_recover(backup_path(), new_path(), NULL), STELE_CORRUPT);
    assert_reason_has("the WAL beside it is another's");
}
END_TEST

/* --- What it refuses --- */

START_TEST(missing_and_wrong_arguments_are_misuse)
{
    stele_recover recover;
    stele_recover_init(&recover);

    assert_status(stele_recover_backup(NULL, NULL), STELE_MISUSE);
    assert_status(stele_recover_backup(&recover, NULL), STELE_MISUSE);
    assert_status(try_recover("", new_path(), NULL), STELE_MISUSE);
    assert_status(try_recover(":memory:", new_path(), NULL), STELE_MISUSE);
    assert_status(try_recover("file:x", new_path(), NULL), STELE_MISUSE);
    assert_status(try_recover(backup_path(), NULL, NULL), STELE_MISUSE);
    assert_status(try_recover(backup_path(), "", NULL), STELE_MISUSE);
    assert_status(try_recover(backup_path(), ":memory:", NULL), STELE_MISUSE);
    assert_status(try_recover(backup_path(), backup_path(), NULL), STELE_MISUSE);
    ck_assert_int_eq(symlink(backup_path(), test_path("link")), 0);
    assert_status(try_recover(test_path("link"), new_path(), NULL), STELE_MISUSE);
    recover.backup = backup_path();
    recover.path = new_path();
    stele_work work = STELE_WORK_INIT;
    work.step_size_max = 0;
    recover.work = &work;
    assert_status(stele_recover_backup(&recover, NULL), STELE_MISUSE);
    recover.struct_size = 0;
    assert_status(stele_recover_backup(&recover, NULL), STELE_MISUSE);
    expect_nothing_at(new_path());
}
END_TEST

START_TEST(nothing_is_written_over)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-journal", "-anchor" };
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        char name[64];
        snprintf(name, sizeof(name), "new.stele%s", suffixes[i]);
        save_file(test_path(name), "precious", 8);
        file_copy before = load_file(test_path(name));

        assert_status(try_recover(backup_path(), new_path(), NULL), STELE_MISUSE);
        assert_reason_has(name);

        expect_unchanged(test_path(name), before);
        ck_assert_int_eq(unlink(test_path(name)), 0);
        expect_nothing_at(new_path());
    }
    assert_status(try_recover(backup_path(), store_path(), NULL), STELE_MISUSE);
}
END_TEST

START_TEST(missing_backup_and_folder_are_not_found)
{
    assert_status(try_recover(test_path("nothing"), new_path(), NULL), STELE_NOT_FOUND);
    assert_status(try_recover(backup_path(), test_path("nowhere/new"), NULL), STELE_NOT_FOUND);
}
END_TEST

START_TEST(newer_format_is_unsupported)
{
    run_sql(backup_path(), "PRAGMA user_version = 99");

    assert_status(try_recover(backup_path(), new_path(), NULL), STELE_UNSUPPORTED);
}
END_TEST

START_TEST(copy_at_work_on_the_same_file_makes_it_busy)
{
    sqlite3 *raw = open_raw(test_path("new.stele-partial"));
    run_raw(raw, "BEGIN EXCLUSIVE");

    assert_status(try_recover(backup_path(), new_path(), NULL), STELE_BUSY);

    run_raw(raw, "ROLLBACK");
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
    recover_to(backup_path(), new_path());
}
END_TEST

static int cancel_at;

static int cancel(void *context, const stele_progress *progress)
{
    int *count = context;
    (void)progress;
    return ++*count == cancel_at;
}

START_TEST(cancelled_recovery_leaves_nothing)
{
    int count = 0;
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 10;
    work.progress = cancel;
    work.context = &count;
    stele_recover recover = STELE_RECOVER_INIT;
    recover.backup = backup_path();
    recover.path = new_path();
    recover.work = &work;
    cancel_at = -1;
    assert_status(stele_recover_backup(&recover, NULL), STELE_OK);
    int last = count;
    ck_assert_int_gt(last, 5);
    ck_assert_int_eq(unlink(new_path()), 0);

    for (cancel_at = 1; cancel_at <= last; cancel_at++) {
        count = 0;
        assert_status(stele_recover_backup(&recover, NULL), STELE_CANCELLED);
        expect_nothing_at(new_path());
    }
}
END_TEST

/* --- Its speed --- */

/* What was read or written so far, and how much of it by copying. */
typedef struct pace {
    int64_t began_us;
    uint64_t bytes;
    uint64_t copied;
    uint64_t hurried; /* the bytes at which it was too early for those before; 0: never */
} pace;

enum { RATE = 4 * 1000 * 1000 };

static int64_t monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int note_pace(void *context, const stele_progress *progress)
{
    pace *of = context;
    ck_assert_uint_ge(progress->bytes, of->bytes);
    if (progress->bytes == of->bytes)
        return 0; /* it sleeps */
    if (monotonic_us() - of->began_us < (int64_t)(of->bytes * 1000000 / RATE) - 1000)
        of->hurried = progress->bytes;
    if (strcmp(progress->doing, "copying") == 0)
        of->copied += progress->bytes - of->bytes;
    of->bytes = progress->bytes;
    return 0;
}

/* A step is told of when those before it have had their time. */
START_TEST(copying_is_slowed_down_as_verifying_is)
{
    open_in_file();
    fill_pages("order-2", 300);
    ck_assert_int_eq(unlink(backup_path()), 0);
    back_up_to(backup_path());
    close_store();
    pace seen = { .began_us = monotonic_us() };
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 10;
    work.bytes_per_second = RATE;
    work.progress = note_pace;
    work.context = &seen;
    stele_recover recover = STELE_RECOVER_INIT;
    recover.backup = backup_path();
    recover.path = new_path();
    recover.work = &work;
    stele_recovered made;

    assert_status(stele_recover_backup(&recover, &made), STELE_OK);

    ck_assert_uint_eq(seen.hurried, 0);
    ck_assert_uint_ge(seen.copied, (uint64_t)made.bytes * 8 / 10);
}
END_TEST

/* --- The disk --- */

static int disk_answer;

static int fail_writes(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    return call == DISK_WRITE && file == DISK_MAIN ? disk_answer : SQLITE_OK;
}

static stele_status recover_with_failing_writes(int answer)
{
    install_disk_hooks();
    disk_answer = answer;
    disk_hook = fail_writes;
    stele_status status = try_recover(backup_path(), new_path(), NULL);
    disk_hook = NULL;
    remove_disk_hooks();
    expect_nothing_at(new_path());
    return status;
}

START_TEST(disk_that_is_full_or_fails_leaves_nothing)
{
    ck_assert_int_eq(recover_with_failing_writes(SQLITE_FULL), STELE_FULL);
    ck_assert_int_eq(recover_with_failing_writes(SQLITE_IOERR_WRITE), STELE_IO);
    recover_to(backup_path(), new_path());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recover");
    TCase *tests = add_case(suite, "content", make_backup);
    tcase_add_test(tests, recovered_store_has_the_log_and_takes_new_events);
    tcase_add_test(tests, recovered_store_keeps_its_uuid_and_has_a_new_epoch_at_its_head);
    tcase_add_test(tests, recovered_copy_keeps_away_from_the_archive_that_the_store_uses);
    tcase_add_test(tests, recovering_tells_of_the_backup);
    tcase_add_test(tests, backup_stays_as_it_is);
    tcase_add_test(tests, each_recovery_is_an_epoch_of_its_own);
    tcase_add_test(tests, store_without_a_stamp_is_recovered_too);
    tcase_add_test(tests, store_that_is_in_use_is_recovered_with_what_its_wal_holds);
    tcase_add_test(tests, dirty_marks_are_gone);
    tcase_add_test(tests, consumer_beyond_the_head_hears_of_the_epoch);
    tcase_add_test(tests, checkpoint_of_the_backup_goes_on);
    tests = add_case(suite, "damage", make_backup);
    tcase_add_test(tests, damaged_backup_is_refused_by_its_first_failing_check);
    tcase_add_test(tests, damaged_backup_is_recovered_when_that_is_wanted);
    tcase_add_test(tests, damaged_stamp_is_still_one);
    tcase_add_test(tests, truncated_and_foreign_files_are_refused);
    tcase_add_test(tests, backup_with_foreign_things_on_our_tables_is_refused);
    tcase_add_test(tests, stale_wal_beside_a_backup_is_not_merged);
    tcase_add_test(tests, later_wal_of_the_same_store_is_not_merged_either);
    tests = add_case(suite, "answers", make_backup);
    tcase_add_test(tests, missing_and_wrong_arguments_are_misuse);
    tcase_add_test(tests, nothing_is_written_over);
    tcase_add_test(tests, missing_backup_and_folder_are_not_found);
    tcase_add_test(tests, newer_format_is_unsupported);
    tcase_add_test(tests, copy_at_work_on_the_same_file_makes_it_busy);
    tcase_add_test(tests, cancelled_recovery_leaves_nothing);
    tcase_add_test(tests, copying_is_slowed_down_as_verifying_is);
    tcase_add_test(tests, disk_that_is_full_or_fails_leaves_nothing);
    return run_suite(suite);
}
