/* What is in the trash, and for how long; and dropping what is damaged. */
#include "dropping.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

/* --- The trash --- */

/* As if it had been dropped that long ago. */
static void age_item(const char *id, int64_t seconds)
{
    char from[600];
    char to[600];
    snprintf(from, sizeof(from), "root/.trash/%.40s", id);
    snprintf(from, sizeof(from), "%s", test_path(from));
    int64_t time = strtoll(id, NULL, 10) - seconds * 1000000;
    snprintf(to, sizeof(to), "root/.trash/%020" PRId64 "%.20s", time, id + 20);
    snprintf(to, sizeof(to), "%s", test_path(to));
    ck_assert_int_eq(rename(from, to), 0);
}

static stele_maintained maintain(void)
{
    stele_maintained maintained;
    expect_fine(stele_shards_maintain(shards, NULL, &maintained));
    return maintained;
}

START_TEST(maintenance_removes_what_is_beyond_its_grace)
{
    fill_shard("old", 1);
    fill_shard("young", 1);
    expect_fine(stele_shards_drop(shards, "acme", "old", false, NULL));
    age_item(look_into_trash().id, 604800);
    expect_fine(stele_shards_drop(shards, "acme", "young", false, NULL));
    age_item(look_into_trash().id, 604800 - 600);

    ck_assert_uint_eq(maintain().purged, 1);

    trash_look look = look_into_trash();
    ck_assert_int_eq(look.count, 1);
    ck_assert_str_eq(look.name_space, "young");
    ck_assert_int_eq(count_files(test_path("root/.trash")), 1);
    ck_assert_uint_eq(maintain().purged, 0);
    expect_fine(stele_shards_undrop(shards, "acme", "young", NULL));
    expect_events("young", 1);
}
END_TEST

START_TEST(a_grace_of_none_is_none)
{
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_shards_close(shards);
    options.trash_grace_s = 0;
    expect_fine(stele_shards_open(test_path("root"), &options, &shards));
    fill_shard("orders", 1);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    ck_assert_uint_eq(maintain().purged, 1);
    ck_assert_int_eq(count_files(test_path("root/.trash")), 0);
    ck_assert_uint_eq(maintain().purged, 0);
}
END_TEST

/* A clock that was wrong must not cost anything. */
START_TEST(what_was_dropped_in_the_future_stays)
{
    fill_shard("orders", 1);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    age_item(look_into_trash().id, -100000000);
    ck_assert_uint_eq(maintain().purged, 0);
    expect_fine(stele_shards_undrop(shards, "acme", "orders", NULL));
}
END_TEST

START_TEST(what_is_no_item_is_left_alone_and_what_is_none_any_more_goes)
{
    fill_shard("orders", 1);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    ck_assert_int_eq(mkdir(test_path("root/.trash/mine"), 0700), 0);
    ck_assert_int_eq(mkdir(test_path("root/.trash/00001234567890123456-0123abcd"), 0700), 0);
    ck_assert_int_eq(mkdir(test_path("root/.scratch"), 0700), 0);
    ck_assert_int_eq(mkdir(test_path("root/.scratch/new-0123"), 0700), 0);
    FILE *file = fopen(test_path("root/.scratch/new-0123/shard.db-partial"), "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    ck_assert_int_eq(look_into_trash().count, 1);

    ck_assert_uint_eq(maintain().purged, 0);

    ck_assert_int_eq(count_files(test_path("root/.trash")), 2);
    ck_assert_int_eq(count_files(test_path("root/.scratch")), 0);
    ck_assert_int_eq(look_into_trash().count, 1);
}
END_TEST

/* A drop by force was cut short when the WAL had gone and the file hadn't. */
START_TEST(a_wal_whose_store_is_on_its_way_stays_for_its_grace)
{
    char folder[64];
    char wal[128];
    snprintf(folder, sizeof(folder), "root/.trash/%020" PRIu64 "-0123abcd",
             (uint64_t)time(NULL) * 1000000);
    fill_shard("orders", 1);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    ck_assert_int_eq(mkdir(test_path(folder), 0700), 0);
    snprintf(wal, sizeof(wal), "%s/shard.db-wal", folder);
    FILE *file = fopen(test_path(wal), "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    maintain();
    ck_assert_int_eq(access(test_path(wal), F_OK), 0);
    ck_assert_int_eq(unlink(test_path(wal)), 0);
    maintain();
    ck_assert_int_ne(access(test_path(folder), F_OK), 0);
}
END_TEST

START_TEST(a_note_that_is_damaged_hides_its_item)
{
    char note[700];
    fill_shard("orders", 1);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    snprintf(note, sizeof(note), "root/.trash/%.40s/note", look_into_trash().id);
    for (long at = 0; at < 60; at++) {
        FILE *file = fopen(test_path(note), "r+");
        ck_assert_ptr_nonnull(file);
        if (fseek(file, at, SEEK_SET) != 0 || fgetc(file) == EOF) {
            ck_assert_int_gt(at, 40);
            fclose(file);
            break;
        }
        fseek(file, at, SEEK_SET);
        int byte = fgetc(file);
        fseek(file, at, SEEK_SET);
        fputc(byte ^ 1, file);
        fclose(file);
        ck_assert_msg(look_into_trash().count == 0, "byte %ld", at);
        file = fopen(test_path(note), "r+");
        fseek(file, at, SEEK_SET);
        fputc(byte, file);
        fclose(file);
    }
    ck_assert_int_eq(look_into_trash().count, 1);
}
END_TEST

START_TEST(one_that_somebody_reads_in_the_trash_is_busy)
{
    stele_store *reader = NULL;
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    fill_shard("orders", 3);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    expect_fine(stele_store_open(look_into_trash().path, &options, &reader));
    expect_status(stele_shards_undrop(shards, "acme", "orders", NULL), STELE_BUSY);
    ck_assert_int_eq(look_into_trash().count, 1);
    expect_no_shard("orders");
    stele_store_close(reader);
    expect_fine(stele_shards_undrop(shards, "acme", "orders", NULL));
    expect_events("orders", 3);
}
END_TEST

/* --- Damaged ones --- */

static void spoil_file(const char *name_space)
{
    char path[512];
    expect_fine(stele_shards_path(shards, "acme", name_space, path, sizeof(path)));
    FILE *file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    fputs("this is no store any more, and it is long enough to be none, so it is none", file);
    fclose(file);
}

START_TEST(one_that_is_damaged_is_dropped_by_force_alone)
{
    fill_shard("orders", 1);
    stele_shards_close(shards);
    open_shards();
    spoil_file("orders");
    expect_status(stele_shards_drop(shards, "acme", "orders", false, NULL), STELE_CORRUPT);
    ck_assert_int_eq(look_into_trash().count, 0);
    expect_fine(stele_shards_drop(shards, "acme", "orders", true, NULL));
    ck_assert_int_eq(look_into_trash().count, 1);
    ck_assert_int_eq(count_files(test_path("root/acme")), 0);
    fill_shard("orders", 2);
    expect_events("orders", 2);
    expect_fine(stele_shards_drop(shards, "acme", "orders", true, NULL));
    expect_fine(stele_shards_undrop(shards, "acme", "orders", NULL));
    expect_fine(stele_shards_drop(shards, "acme", "orders", true, NULL));
}
END_TEST

/* What was changed is in the WAL, and stays there. */
static void tamper_in_wal(const char *path)
{
    sqlite3 *handle = NULL;
    ck_assert_int_eq(sqlite3_open(path, &handle), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(handle,
                                  "CREATE TRIGGER foreign_one AFTER INSERT ON events"
                                  " BEGIN SELECT 1; END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(handle), SQLITE_OK);
}

/* With its WAL, which may hold commits that somebody can save by hand. */
START_TEST(one_that_is_damaged_takes_its_wal_along_and_back)
{
    char path[512];
    char wal[700];
    stele_shard *shard = NULL;
    fill_shard("orders", 1);
    stele_shards_close(shards);
    open_shards();
    expect_fine(stele_shards_path(shards, "acme", "orders", path, sizeof(path)));
    tamper_in_wal(path);

    expect_status(stele_shards_drop(shards, "acme", "orders", false, NULL), STELE_CORRUPT);
    expect_fine(stele_shards_drop(shards, "acme", "orders", true, NULL));

    snprintf(wal, sizeof(wal), "%s-wal", look_into_trash().path);
    ck_assert_int_eq(access(wal, F_OK), 0);
    ck_assert_int_eq(count_files(test_path("root/acme")), 0);
    expect_fine(stele_shards_undrop(shards, "acme", "orders", NULL));
    ck_assert_int_eq(access(test_path("root/acme/orders.db-wal"), F_OK), 0);
    expect_status(try_acquire(shards, "acme", "orders", &shard), STELE_CORRUPT);
    ck_assert_int_eq(count_files(test_path("root/.trash")), 0);
}
END_TEST

static void back_up_other(void)
{
    char path[512];
    stele_backup backup = STELE_BACKUP_INIT;
    fill_shard("other", 2);
    snprintf(path, sizeof(path), "%s", test_path("backup"));
    backup.path = path;
    expect_fine(stele_shards_backup(shards, "acme", "other", &backup, NULL));
}

static void change_last_byte(const char *path)
{
    FILE *file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, -1, SEEK_END), 0);
    int byte = fgetc(file);
    ck_assert_int_eq(fseek(file, -1, SEEK_END), 0);
    fputc(byte ^ 1, file);
    fclose(file);
}

/* As a power cut leaves it that comes when the store is in the trash: its WAL still has its old
 * name, too. That is nobody else's. */
START_TEST(what_a_cut_drop_left_is_in_nobodys_way)
{
    char path[512];
    char backup[512];
    char wal[700];
    char copy[700];
    stele_recover recover = STELE_RECOVER_INIT;
    back_up_other();
    fill_shard("orders", 1);
    stele_shards_close(shards);
    open_shards();
    expect_fine(stele_shards_path(shards, "acme", "orders", path, sizeof(path)));
    tamper_in_wal(path);
    expect_fine(stele_shards_drop(shards, "acme", "orders", true, NULL));
    snprintf(wal, sizeof(wal), "%s-wal", look_into_trash().path);
    snprintf(copy, sizeof(copy), "%s-wal", path);
    copy_file(wal, copy);

    snprintf(backup, sizeof(backup), "%s", test_path("backup"));
    recover.backup = backup;
    expect_fine(stele_shards_recover(shards, "acme", "orders", &recover, NULL));
    expect_events("orders", 2);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    copy_file(wal, copy);
    fill_shard("orders", 3); /* a new one */
    expect_events("orders", 3);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));

    FILE *file = fopen(copy, "w"); /* but what isn't in the trash */
    ck_assert_ptr_nonnull(file);
    fputs("other commits", file);
    fclose(file);
    stele_shard *shard = NULL;
    expect_status(stele_shards_acquire(shards, "acme", "orders", NULL, &shard), STELE_CORRUPT);
    ck_assert_int_eq(access(copy, F_OK), 0);
    copy_file(wal, copy);
    change_last_byte(copy);
    expect_status(stele_shards_acquire(shards, "acme", "orders", NULL, &shard), STELE_CORRUPT);
    ck_assert_int_eq(access(copy, F_OK), 0);
}
END_TEST

/* By force, with its WAL, which a cut has left in its place, too: its path there. */
static void drop_damaged_and_leave_wal(char wal_out[700])
{
    char path[512];
    char there[700];
    stele_shards_close(shards);
    open_shards();
    expect_fine(stele_shards_path(shards, "acme", "orders", path, sizeof(path)));
    tamper_in_wal(path);
    expect_fine(stele_shards_drop(shards, "acme", "orders", true, NULL));
    snprintf(there, sizeof(there), "%s-wal", look_into_trash().path);
    snprintf(wal_out, 700, "%s-wal", path);
    copy_file(there, wal_out);
}

/* Later nobody could tell whose it was. */
START_TEST(what_a_cut_drop_left_goes_before_the_store_does)
{
    char wal[700];
    fill_shard("orders", 1);
    drop_damaged_and_leave_wal(wal);
    age_item(look_into_trash().id, 604800);

    ck_assert_uint_eq(maintain().purged, 1);

    ck_assert_int_ne(access(wal, F_OK), 0);
    fill_shard("orders", 2);
    expect_events("orders", 2);
}
END_TEST

START_TEST(what_a_cut_drop_left_is_not_in_the_way_of_what_comes_back)
{
    char wal[700];
    char id[64];
    fill_shard("orders", 3);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    snprintf(id, sizeof(id), "%s", look_into_trash().id);
    fill_shard("orders", 1);
    drop_damaged_and_leave_wal(wal);

    expect_fine(stele_shards_undrop(shards, "acme", "orders", id));

    expect_events("orders", 3);
    ck_assert_int_eq(look_into_trash().count, 1);
}
END_TEST

/* They are of a store that isn't there any more, and may be all that is left of it. */
START_TEST(commits_of_another_store_stay_when_a_damaged_one_would_come_back)
{
    char wal[700];
    fill_shard("orders", 1);
    drop_damaged_and_leave_wal(wal);
    change_last_byte(wal);

    expect_status(stele_shards_undrop(shards, "acme", "orders", NULL), STELE_CORRUPT);

    ck_assert_int_eq(access(wal, F_OK), 0);
    ck_assert_int_eq(look_into_trash().count, 1);
    ck_assert_int_eq(unlink(wal), 0);
    expect_fine(stele_shards_undrop(shards, "acme", "orders", NULL));
    ck_assert_int_eq(access(wal, F_OK), 0);
}
END_TEST

/* Something is in the way when the WAL has gone to the trash already. */
START_TEST(one_that_can_not_be_dropped_keeps_its_wal)
{
    char path[512];
    struct stat before = { 0 };
    struct stat after = { 0 };
    fill_shard("orders", 1);
    stele_shards_close(shards);
    open_shards();
    expect_fine(stele_shards_path(shards, "acme", "orders", path, sizeof(path)));
    tamper_in_wal(path);
    const char *wal = "root/acme/orders.db-wal";
    ck_assert_int_eq(stat(test_path(wal), &before), 0);
    ck_assert_int_eq(unlink(test_path("root/acme/orders.db-lock")), 0);
    ck_assert_int_eq(mkdir(test_path("root/acme/orders.db-lock"), 0700), 0);

    ck_assert_int_lt(stele_shards_drop(shards, "acme", "orders", true, NULL), 0);

    ck_assert_int_eq(stat(test_path(wal), &after), 0);
    ck_assert_int_eq(after.st_size, before.st_size);
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert_int_eq(count_files(test_path("root/.trash")), 0);
    ck_assert_int_eq(rmdir(test_path("root/acme/orders.db-lock")), 0);
    expect_fine(stele_shards_drop(shards, "acme", "orders", true, NULL));
    ck_assert_int_eq(look_into_trash().count, 1);
}
END_TEST

/* A file that says it is another shard is not to be dropped by mistake. */
START_TEST(another_shards_file_is_dropped_by_force_alone)
{
    fill_shard("orders", 1);
    fill_shard("bills", 1);
    stele_shards_close(shards);
    open_shards();
    ck_assert_int_eq(unlink(test_path("root/acme/bills.db")), 0);
    const char *from = test_path("root/acme/orders.db");
    char kept[600];
    snprintf(kept, sizeof(kept), "%s", from);
    ck_assert_int_eq(rename(kept, test_path("root/acme/bills.db")), 0);
    expect_status(stele_shards_drop(shards, "acme", "bills", false, NULL), STELE_CORRUPT);
    expect_fine(stele_shards_drop(shards, "acme", "bills", true, NULL));
    expect_no_shard("bills");
}
END_TEST

static Suite *trash_suite(void)
{
    Suite *suite = suite_create("shard trash");
    TCase *tests = tcase_create("trash");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, open_shards, close_shards);
    tcase_add_test(tests, maintenance_removes_what_is_beyond_its_grace);
    tcase_add_test(tests, a_grace_of_none_is_none);
    tcase_add_test(tests, what_was_dropped_in_the_future_stays);
    tcase_add_test(tests, what_is_no_item_is_left_alone_and_what_is_none_any_more_goes);
    tcase_add_test(tests, a_wal_whose_store_is_on_its_way_stays_for_its_grace);
    tcase_add_test(tests, a_note_that_is_damaged_hides_its_item);
    tcase_add_test(tests, one_that_somebody_reads_in_the_trash_is_busy);
    tcase_add_test(tests, one_that_is_damaged_is_dropped_by_force_alone);
    tcase_add_test(tests, one_that_is_damaged_takes_its_wal_along_and_back);
    tcase_add_test(tests, what_a_cut_drop_left_is_in_nobodys_way);
    tcase_add_test(tests, what_a_cut_drop_left_goes_before_the_store_does);
    tcase_add_test(tests, what_a_cut_drop_left_is_not_in_the_way_of_what_comes_back);
    tcase_add_test(tests, commits_of_another_store_stay_when_a_damaged_one_would_come_back);
    tcase_add_test(tests, one_that_can_not_be_dropped_keeps_its_wal);
    tcase_add_test(tests, another_shards_file_is_dropped_by_force_alone);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(trash_suite());
}
