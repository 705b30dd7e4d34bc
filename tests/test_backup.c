/* Online backups: what they hold, of which stores, and that they are only read. */
#include "backup_support.h"

#include <sys/stat.h>

static void open_filled(void)
{
    open_in_file();
    fill_stream("a-1", 20);
}

/* --- What it is --- */

START_TEST(backup_is_one_file_with_the_whole_log)
{
    char digest[17];
    char copied[17];
    digest_of(store, digest);

    stele_backed_up made = back_up_to(backup_path());

    ck_assert_int_eq(made.head, 20);
    ck_assert_int_eq(expect_whole_file(backup_path()), 20);
    stele_options options = looking_only();
    stele_store *copy = open_path(backup_path(), &options);
    digest_of(copy, copied);
    stele_store_close(copy);
    ck_assert_str_eq(copied, digest);
}
END_TEST

START_TEST(backup_tells_what_it_is)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    struct stat facts;
    assert_status(stele_store_describe(store, &info), STELE_OK);

    stele_backed_up made = back_up_to(backup_path());

    ck_assert_str_eq(made.uuid, info.uuid);
    ck_assert_str_eq(made.epoch, info.epoch);
    ck_assert_int_gt(made.made_at, INT64_C(1600000000) * 1000000);
    ck_assert_uint_gt(made.checks, 3);
    ck_assert_uint_eq(made.restarts, 0);
    ck_assert_int_eq(stat(backup_path(), &facts), 0);
    ck_assert_int_eq(made.bytes, facts.st_size);
    ck_assert_uint_ge(made.pages * 4096, (uint64_t)made.bytes);
    ck_assert_int_eq(facts.st_mode & 0777, 0600);
}
END_TEST

START_TEST(backup_is_stamped_and_its_store_is_not)
{
    char value[256];
    stele_backed_up made = back_up_to(backup_path());

    snprintf(value, sizeof(value),
             "SELECT count(*) FROM meta WHERE key = 'backup' AND value = '{\"head\":20,\"epoch\":"
             "\"%s\",\"made_at\":%" PRId64 "}'",
             made.epoch, made.made_at);
    ck_assert_int_eq(sql_number(backup_path(), value), 1);
    close_store();
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM meta WHERE key = 'backup'"), 0);
}
END_TEST

START_TEST(empty_store_has_a_backup)
{
    close_store();
    store = open_path(test_path("empty.db"), NULL);

    stele_backed_up made = back_up_to(backup_path());

    ck_assert_int_eq(made.head, 0);
    ck_assert_int_eq(expect_whole_file(backup_path()), 0);
}
END_TEST

START_TEST(options_may_be_left_out_and_the_answer_too)
{
    stele_backup backup;
    stele_backup_init(&backup);
    backup.path = backup_path();
    backup.unverified = true;

    assert_status(stele_store_backup(store, &backup, NULL), STELE_OK);

    ck_assert_int_eq(expect_whole_file(backup_path()), 20);
}
END_TEST

START_TEST(unverified_backup_passed_no_check)
{
    stele_backed_up made;
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = backup_path();
    backup.unverified = true;

    assert_status(stele_store_backup(store, &backup, &made), STELE_OK);

    ck_assert_uint_eq(made.checks, 0);
    ck_assert_int_eq(made.head, 20);
}
END_TEST

/* Its marks are about the file that it was made of: the copy was synced. */
START_TEST(backup_of_a_relaxed_store_bears_no_dirty_mark)
{
    close_store();
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    store = open_path(store_path(), &options);
    fill_stream("a-1", 1);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM meta WHERE key LIKE 'dirty:%'"),
                     1);

    stele_backed_up made = back_up_to(backup_path());

    ck_assert_int_eq(made.head, 21);
    ck_assert_int_eq(
        sql_number(backup_path(), "SELECT count(*) FROM meta WHERE key LIKE 'dirty:%'"), 0);
}
END_TEST

/* --- Of every kind of store --- */

START_TEST(store_opened_for_reading_is_copied)
{
    close_store();
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    store = open_path(store_path(), &options);

    ck_assert_int_eq(back_up_to(backup_path()).head, 20);
    ck_assert_int_eq(expect_whole_file(backup_path()), 20);
}
END_TEST

START_TEST(store_in_memory_is_copied)
{
    close_store();
    open_in_memory();
    fill_stream("a-1", 7);

    ck_assert_int_eq(back_up_to(backup_path()).head, 7);
    ck_assert_int_eq(expect_whole_file(backup_path()), 7);
}
END_TEST

static void back_up_wrapped(const char *path, const char *sql)
{
    close_store();
    sqlite3 *handle = open_raw(path);
    run_raw(handle, sql);
    assert_status(stele_store_wrap(handle, NULL, &store), STELE_OK);
    fill_pages("a-1", 200);

    ck_assert_int_eq(back_up_to(backup_path()).head, 200);

    run_raw(handle, "BEGIN");
    assert_status(try_backup(new_path(), NULL), STELE_MISUSE);
    run_raw(handle, "ROLLBACK");
    expect_nothing_at(new_path());
    ck_assert_int_eq(back_up_to(new_path()).head, 200);
    close_store();
    ck_assert_int_eq(sqlite3_close(handle), SQLITE_OK);
    ck_assert_int_eq(expect_whole_file(backup_path()), 200);
}

START_TEST(wrapped_store_is_copied_whatever_its_journal)
{
    back_up_wrapped(test_path("wrapped.db"), "PRAGMA journal_mode=WAL");
}
END_TEST

START_TEST(wrapped_store_without_a_wal_and_with_large_pages_is_copied)
{
    back_up_wrapped(test_path("wrapped.db"), "PRAGMA page_size=16384; PRAGMA journal_mode=DELETE");
}
END_TEST

START_TEST(wrapped_store_in_memory_is_copied)
{
    back_up_wrapped(":memory:", "");
}
END_TEST

START_TEST(backup_has_a_backup)
{
    back_up_to(backup_path());
    close_store();
    stele_options options = looking_only();
    store = open_path(backup_path(), &options);

    ck_assert_int_eq(back_up_to(new_path()).head, 20);
    ck_assert_int_eq(expect_whole_file(new_path()), 20);
}
END_TEST

/* --- It is only read --- */

START_TEST(backup_opens_for_reading_and_says_why_nothing_is_written)
{
    back_up_to(backup_path());
    file_copy before = load_file(backup_path());
    close_store();
    store = open_path(backup_path(), NULL);
    stele_store_info info = STELE_STORE_INFO_INIT;

    assert_status(append_one("a-1", STELE_ANY, "noted", NULL), STELE_READ_ONLY);
    assert_reason_has("this is a backup, made at position 20: recover it");
    assert_status(stele_checkpoint_save(store, "reader", 1), STELE_READ_ONLY);
    ck_assert_int_eq(head_of(store), 20);
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert(info.backup);
    close_store();
    expect_unchanged(backup_path(), before);
    ck_assert(!file_exists(test_path("backup.stele-anchor")));
}
END_TEST

START_TEST(accepting_the_loss_makes_a_store_of_it_with_a_new_epoch)
{
    stele_backed_up made = back_up_to(backup_path());
    close_store();
    stele_options options = STELE_OPTIONS_INIT;
    options.accept_loss = true;
    store = open_path(backup_path(), &options);
    stele_store_info info = STELE_STORE_INFO_INIT;

    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert(!info.backup);
    ck_assert_str_ne(info.epoch, made.epoch);
    assert_status(append_one("a-1", 20, "noted", NULL), STELE_OK);

    close_store();
    store = open_path(backup_path(), NULL);
    assert_status(append_one("a-1", 21, "noted", NULL), STELE_OK);
    ck_assert_int_eq(sql_number(backup_path(), "SELECT count(*) FROM epochs"), 2);
}
END_TEST

/* --- An old copy put back --- */

static void put_backup_in_place_of_store(void)
{
    close_store();
    ck_assert_int_eq(rename(backup_path(), store_path()), 0);
}

START_TEST(backup_put_in_place_of_its_store_is_only_read)
{
    back_up_to(backup_path());
    fill_stream("a-1", 5);
    put_backup_in_place_of_store();
    open_in_file();
    stele_store_info info = STELE_STORE_INFO_INIT;

    assert_status(append_one("a-1", STELE_ANY, "noted", NULL), STELE_READ_ONLY);
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert_int_eq(info.anchor, STELE_ANCHOR_LOST);
    /* And what the anchor knows is not forgotten. */
    reopen_file();
    assert_status(append_one("a-1", STELE_ANY, "noted", NULL), STELE_READ_ONLY);
}
END_TEST

START_TEST(backup_put_in_place_without_the_anchor_is_only_read)
{
    back_up_to(backup_path());
    fill_stream("a-1", 5);
    put_backup_in_place_of_store();
    ck_assert_int_eq(unlink(test_path("store.db-anchor")), 0);
    open_in_file();

    assert_status(append_one("a-1", STELE_ANY, "noted", NULL), STELE_READ_ONLY);
    reopen_file();
    assert_status(append_one("a-1", STELE_ANY, "noted", NULL), STELE_READ_ONLY);
}
END_TEST

START_TEST(backup_put_in_place_that_has_lost_nothing_is_only_read_too)
{
    back_up_to(backup_path());
    put_backup_in_place_of_store();
    open_in_file();

    assert_status(append_one("a-1", STELE_ANY, "noted", NULL), STELE_READ_ONLY);
}
END_TEST

START_TEST(accepting_the_loss_of_a_backup_put_in_place_begins_one_epoch)
{
    back_up_to(backup_path());
    fill_stream("a-1", 5);
    put_backup_in_place_of_store();
    stele_options options = STELE_OPTIONS_INIT;
    options.accept_loss = true;
    store = open_path(store_path(), &options);

    assert_status(append_one("a-1", 20, "noted", NULL), STELE_OK);
    reopen_file();
    assert_status(append_one("a-1", 21, "noted", NULL), STELE_OK);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM epochs"), 2);
}
END_TEST

/* A process that ends without closing leaves its WAL. */
static int append_and_leave_the_wal(void *context)
{
    stele_store *opened = NULL;
    (void)context;
    if (stele_store_open(store_path(), NULL, &opened) != STELE_OK)
        return 1;
    for (int i = 0; i < 5; i++)
        if (append_to(opened, "a-1", STELE_ANY, "noted", NULL) != STELE_OK)
            return 2;
    return 0;
}

static int fill_and_back_up(void *context)
{
    (void)context;
    open_filled();
    back_up_to(backup_path());
    close_store();
    return 0;
}

/* The old WAL would put the old store's pages, the one without the stamp among them, in place of
 * the backup's. */
START_TEST(backup_put_in_place_beside_the_old_wal_is_refused)
{
    test_folder(); /* one for all three */
    ck_assert_int_eq(run_in_child(fill_and_back_up, NULL), 0);
    ck_assert_int_eq(run_in_child(append_and_leave_the_wal, NULL), 0);
    ck_assert(file_exists(test_path("store.db-wal")));
    ck_assert_int_eq(rename(backup_path(), store_path()), 0);
    file_copy before = load_file(store_path());

    refuse_path(store_path(), NULL, STELE_CORRUPT);
    assert_reason_has("the WAL beside it is another's");
    expect_unchanged(store_path(), before);
    ck_assert_int_eq(unlink(test_path("store.db-anchor")), 0);
    refuse_path(store_path(), NULL, STELE_CORRUPT);
    ck_assert_int_eq(unlink(test_path("store.db-wal")), 0);
    open_in_file();
    assert_status(append_one("a-1", STELE_ANY, "noted", NULL), STELE_READ_ONLY);
}
END_TEST

static void add_content_tests(Suite *suite)
{
    TCase *tests = add_case(suite, "content", open_filled);
    tcase_add_test(tests, backup_is_one_file_with_the_whole_log);
    tcase_add_test(tests, backup_tells_what_it_is);
    tcase_add_test(tests, backup_is_stamped_and_its_store_is_not);
    tcase_add_test(tests, empty_store_has_a_backup);
    tcase_add_test(tests, options_may_be_left_out_and_the_answer_too);
    tcase_add_test(tests, unverified_backup_passed_no_check);
    tcase_add_test(tests, backup_of_a_relaxed_store_bears_no_dirty_mark);
    tests = add_case(suite, "kinds", open_filled);
    tcase_add_test(tests, store_opened_for_reading_is_copied);
    tcase_add_test(tests, store_in_memory_is_copied);
    tcase_add_test(tests, wrapped_store_is_copied_whatever_its_journal);
    tcase_add_test(tests, wrapped_store_without_a_wal_and_with_large_pages_is_copied);
    tcase_add_test(tests, wrapped_store_in_memory_is_copied);
    tcase_add_test(tests, backup_has_a_backup);
}

static void add_reading_tests(Suite *suite)
{
    TCase *tests = add_case(suite, "reading", open_filled);
    tcase_add_test(tests, backup_opens_for_reading_and_says_why_nothing_is_written);
    tcase_add_test(tests, accepting_the_loss_makes_a_store_of_it_with_a_new_epoch);
    tcase_add_test(tests, backup_put_in_place_of_its_store_is_only_read);
    tcase_add_test(tests, backup_put_in_place_without_the_anchor_is_only_read);
    tcase_add_test(tests, backup_put_in_place_that_has_lost_nothing_is_only_read_too);
    tcase_add_test(tests, accepting_the_loss_of_a_backup_put_in_place_begins_one_epoch);
    tests = add_case(suite, "old WAL", NULL);
    tcase_add_test(tests, backup_put_in_place_beside_the_old_wal_is_refused);
}

int main(void)
{
    Suite *suite = suite_create("backup");
    add_content_tests(suite);
    add_reading_tests(suite);
    return run_suite(suite);
}
