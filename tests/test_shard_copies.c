/* Copies of one shard: the file alone, its bytes, backups, recovery, and whether it is whole. */
#include "dropping.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

static stele_shard *shard;

static void open_orders(void)
{
    open_shards();
    shard = acquire(shards, "acme", "orders");
    for (int i = 0; i < 3; i++)
        expect_fine(append_data(stele_shard_store(shard), "d"));
}

static void close_orders(void)
{
    stele_shard_release(shard);
    shard = NULL;
    close_shards();
}

/* As cp does: the file, and nothing beside it. */
static int64_t copy_alone(const char *from, const char *to)
{
    char bytes[4096];
    ssize_t got;
    int64_t size = 0;
    int in = open(from, O_RDONLY);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(in, 0);
    ck_assert_int_ge(out, 0);
    while ((got = read(in, bytes, sizeof(bytes))) > 0) {
        ck_assert_int_eq(write(out, bytes, (size_t)got), got);
        size += got;
    }
    close(out);
    close(in);
    return size;
}

static void copy_in_child(const char *to)
{
    int how = 0;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        copy_alone(stele_shard_path(shard), to);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_int_eq(how, 0);
}

static int events_in(const char *path, bool immutable)
{
    int same = 0;
    int other = 0;
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    options.immutable = immutable;
    stele_store *copy = open_path(path, &options);
    count_data(copy, "d", &same, &other);
    ck_assert_int_eq(other, 0);
    stele_store_close(copy);
    return same;
}

/* --- The file alone --- */

START_TEST(the_file_alone_holds_what_was_committed)
{
    int64_t bytes = 0;
    struct stat facts;
    expect_fine(stele_shard_make_self_contained(shard, NULL, &bytes));
    ck_assert_int_eq(stat(stele_shard_path(shard), &facts), 0);
    ck_assert_int_eq(bytes, facts.st_size);
    copy_in_child(test_path("copy.db"));
    ck_assert_int_eq(events_in(test_path("copy.db"), true), 3);
    expect_fine(append_data(stele_shard_store(shard), "d"));
    expect_fine(stele_shard_make_self_contained(shard, NULL, NULL));
    copy_in_child(test_path("copy2.db"));
    ck_assert_int_eq(events_in(test_path("copy2.db"), true), 4);
}
END_TEST

/* The control of the test above. */
START_TEST(without_that_the_file_alone_lacks_what_is_in_the_wal)
{
    expect_fine(stele_shard_make_self_contained(shard, NULL, NULL));
    expect_fine(append_data(stele_shard_store(shard), "d"));
    copy_in_child(test_path("copy.db"));
    ck_assert_int_eq(events_in(test_path("copy.db"), true), 3);
}
END_TEST

/* Begins a read of its own, which no transfer gets beyond. */
static sqlite3 *pin_wal(void)
{
    sqlite3 *handle = NULL;
    ck_assert_int_eq(sqlite3_open_v2(stele_shard_path(shard), &handle, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(handle, "BEGIN; SELECT count(*) FROM events", NULL, NULL, NULL),
                     SQLITE_OK);
    return handle;
}

START_TEST(a_reader_that_holds_the_wal_makes_it_busy)
{
    const stele_wait short_wait = { sizeof(short_wait), 50, NULL, NULL };
    sqlite3 *reader = pin_wal();
    expect_fine(append_data(stele_shard_store(shard), "d"));
    expect_status(stele_shard_make_self_contained(shard, &no_wait, NULL), STELE_BUSY);
    expect_status(stele_shard_make_self_contained(shard, &short_wait, NULL), STELE_BUSY);
    ck_assert_int_eq(sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    expect_fine(stele_shard_make_self_contained(shard, NULL, NULL));
    copy_in_child(test_path("copy.db"));
    ck_assert_int_eq(events_in(test_path("copy.db"), true), 4);
    ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
}
END_TEST

static int say_no(void *context)
{
    (void)context;
    return 1;
}

START_TEST(waiting_for_a_reader_can_be_cancelled)
{
    const stele_wait cancelling = { sizeof(cancelling), 60000, say_no, NULL };
    sqlite3 *reader = pin_wal();
    expect_fine(append_data(stele_shard_store(shard), "d"));
    expect_status(stele_shard_make_self_contained(shard, &cancelling, NULL), STELE_CANCELLED);
    ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
}
END_TEST

/* --- Its bytes --- */

typedef struct taken_bytes {
    FILE *file;
    int64_t size;
    int calls;
    int stop_at;
} taken_bytes;

static stele_status take_bytes(void *context, const void *bytes, size_t size)
{
    taken_bytes *of = context;
    ck_assert_uint_gt(size, 0);
    if (++of->calls == of->stop_at)
        return STELE_REFUSED;
    if (of->calls == 1) /* with no lock held: writers go on */
        expect_fine(append_data(stele_shard_store(shard), "late"));
    of->size += (int64_t)size;
    return fwrite(bytes, 1, size, of->file) == size ? STELE_OK : STELE_IO;
}

static void expect_no_scratch(void)
{
    ck_assert_int_eq(count_files(test_path("root/.scratch")), 0);
}

START_TEST(a_copy_is_given_to_the_caller_byte_for_byte)
{
    taken_bytes of = { .file = fopen(test_path("taken.db"), "w") };
    stele_shard_copy copy = STELE_SHARD_COPY_INIT;
    int64_t bytes = 0;
    ck_assert_ptr_nonnull(of.file);
    copy.write = take_bytes;
    copy.context = &of;
    expect_fine(stele_shard_copy_out(shard, &copy, &bytes));
    fclose(of.file);
    ck_assert_int_eq(bytes, of.size);
    ck_assert_int_gt(of.calls, 1);
    ck_assert_int_eq(events_in(test_path("taken.db"), true), 3);
    expect_no_scratch();
}
END_TEST

START_TEST(a_copy_goes_to_a_file)
{
    stele_shard_copy copy = STELE_SHARD_COPY_INIT;
    int64_t bytes = 0;
    struct stat facts;
    copy.path = test_path("copy.db");
    expect_fine(stele_shard_copy_out(shard, &copy, &bytes));
    ck_assert_int_eq(stat(test_path("copy.db"), &facts), 0);
    ck_assert_int_eq(facts.st_size, bytes);
    ck_assert_int_eq(events_in(test_path("copy.db"), true), 3);
    expect_status(stele_shard_copy_out(shard, &copy, &bytes), STELE_MISUSE);
}
END_TEST

START_TEST(what_the_function_answers_ends_the_copy)
{
    taken_bytes of = { .stop_at = 1 };
    stele_shard_copy copy = STELE_SHARD_COPY_INIT;
    int64_t bytes = 7;
    copy.write = take_bytes;
    copy.context = &of;
    expect_status(stele_shard_copy_out(shard, &copy, &bytes), STELE_REFUSED);
    ck_assert_int_eq(of.calls, 1);
    ck_assert_int_eq(bytes, 7);
    expect_no_scratch();
}
END_TEST

static int stop_work(void *context, const stele_progress *progress)
{
    (void)context;
    (void)progress;
    return 1;
}

START_TEST(a_copy_can_be_cancelled)
{
    taken_bytes of = { 0 };
    stele_work work = STELE_WORK_INIT;
    stele_shard_copy copy = STELE_SHARD_COPY_INIT;
    work.progress = stop_work;
    copy.write = take_bytes;
    copy.context = &of;
    copy.work = &work;
    expect_status(stele_shard_copy_out(shard, &copy, NULL), STELE_CANCELLED);
    ck_assert_int_eq(of.calls, 0);
    expect_no_scratch();
}
END_TEST

START_TEST(arguments_of_copies_are_checked)
{
    stele_shard_copy copy = STELE_SHARD_COPY_INIT;
    stele_shard_copy zero = { 0 };
    stele_recover recover = STELE_RECOVER_INIT;
    expect_status(stele_shard_copy_out(shard, NULL, NULL), STELE_MISUSE);
    expect_status(stele_shard_copy_out(shard, &zero, NULL), STELE_MISUSE);
    expect_status(stele_shard_copy_out(shard, &copy, NULL), STELE_MISUSE);
    copy.path = test_path("copy.db");
    expect_status(stele_shard_copy_out(NULL, &copy, NULL), STELE_MISUSE);
    copy.write = take_bytes;
    expect_status(stele_shard_copy_out(shard, &copy, NULL), STELE_MISUSE);
    expect_status(stele_shard_make_self_contained(NULL, NULL, NULL), STELE_MISUSE);
    expect_status(stele_shards_backup(NULL, "acme", "orders", NULL, NULL), STELE_MISUSE);
    expect_status(stele_shards_recover(NULL, "acme", "orders", NULL, NULL), STELE_MISUSE);
    expect_status(stele_shards_verify(NULL, "acme", "orders", NULL, NULL), STELE_MISUSE);
    expect_status(stele_shards_recover(shards, "acme", "new", NULL, NULL), STELE_MISUSE);
    expect_status(stele_shards_recover(shards, "acme", "new", &recover, NULL), STELE_MISUSE);
    recover.backup = test_path("nothing.db");
    expect_status(stele_shards_recover(shards, "acme", "new", &recover, NULL), STELE_NOT_FOUND);
    expect_status(stele_shards_recover(shards, "acme", "", &recover, NULL), STELE_MISUSE);
    expect_status(stele_shards_recover(shards, "\xff", "new", &recover, NULL), STELE_INVALID);
    recover.path = test_path("elsewhere.db");
    expect_status(stele_shards_recover(shards, "acme", "new", &recover, NULL), STELE_MISUSE);
    expect_no_scratch();
}
END_TEST

/* --- Backup and recovery --- */

static void back_up_orders(const char *path)
{
    stele_backup backup = STELE_BACKUP_INIT;
    stele_backed_up made;
    backup.path = path;
    expect_fine(stele_shards_backup(shards, "acme", "orders", &backup, &made));
    ck_assert_int_eq(made.head, 3);
    ck_assert_uint_gt(made.checks, 0);
}

static stele_status recover_as(const char *organisation, const char *name_space, const char *backup,
                               stele_recovered *out)
{
    stele_recover recover = STELE_RECOVER_INIT;
    recover.backup = backup;
    return stele_shards_recover(shards, organisation, name_space, &recover, out);
}

START_TEST(a_shard_is_backed_up_by_its_name)
{
    back_up_orders(test_path("backup.db"));
    ck_assert_int_eq(events_in(test_path("backup.db"), true), 3);
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = test_path("other.db");
    expect_status(stele_shards_backup(shards, "acme", "nobody", &backup, NULL), STELE_NOT_FOUND);
    expect_status(stele_shards_backup(shards, "acme", "orders", NULL, NULL), STELE_MISUSE);
}
END_TEST

/* With its new names inside, so that it is the shard that it is found as; the other one stays. */
START_TEST(a_backup_becomes_a_shard_of_another_name)
{
    stele_recovered made;
    back_up_orders(test_path("backup.db"));
    expect_fine(recover_as("acme", "again", test_path("backup.db"), &made));
    ck_assert_int_eq(made.head, 3);
    ck_assert_str_ne(made.epoch, made.old_epoch);
    expect_events("again", 3);
    expect_fine(recover_as("", "../..", test_path("backup.db"), NULL));
    stele_shard *other = NULL;
    expect_fine(try_acquire(shards, "", "../..", &other));
    stele_shard_release(other);
    ck_assert_int_eq(events_in(test_path("backup.db"), true), 3);
    expect_fine(stele_shards_verify(shards, "acme", "again", NULL, NULL));
    expect_no_scratch();
}
END_TEST

START_TEST(a_name_longer_than_a_path_is_recovered_too)
{
    char longest[STELE_SHARD_NAME_MAX + 1];
    memset(longest, '/', sizeof(longest));
    longest[STELE_SHARD_NAME_MAX] = '\0';
    back_up_orders(test_path("backup.db"));
    expect_fine(recover_as(longest, longest, test_path("backup.db"), NULL));
    stele_shard *other = NULL;
    expect_fine(try_acquire(shards, longest, longest, &other));
    stele_shard_release(other);
    longest[STELE_SHARD_NAME_MAX - 1] = '.';
    expect_fine(recover_as("acme", longest, test_path("backup.db"), NULL));
}
END_TEST

START_TEST(a_shard_that_is_there_is_not_recovered_over)
{
    back_up_orders(test_path("backup.db"));
    expect_status(recover_as("acme", "orders", test_path("backup.db"), NULL), STELE_CONFLICT);
    stele_shard_release(shard);
    shard = NULL;
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    expect_fine(recover_as("acme", "orders", test_path("backup.db"), NULL));
    expect_events("orders", 3);
    expect_status(recover_as("acme", "orders", test_path("backup.db"), NULL), STELE_CONFLICT);
    expect_no_scratch();
}
END_TEST

/* Its fence is not the new one's. */
START_TEST(one_from_the_trash_is_recovered_to_be_written)
{
    stele_shard_release(shard);
    shard = NULL;
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    expect_fine(recover_as("acme", "again", look_into_trash().path, NULL));
    expect_events("again", 3);
    ck_assert_int_eq(look_into_trash().count, 1);
}
END_TEST

START_TEST(a_store_that_was_no_shard_becomes_one)
{
    stele_store *plain = open_path(test_path("plain.db"), NULL);
    expect_fine(append_data(plain, "d"));
    stele_store_close(plain);
    expect_fine(recover_as("acme", "plain", test_path("plain.db"), NULL));
    expect_events("plain", 1);
}
END_TEST

START_TEST(a_damaged_backup_is_corrupt_and_leaves_nothing)
{
    stele_recovered made = { 0 };
    stele_shard *other = NULL;
    back_up_orders(test_path("backup.db"));
    sqlite3 *handle = NULL;
    ck_assert_int_eq(chmod(test_path("backup.db"), 0600), 0);
    ck_assert_int_eq(sqlite3_open(test_path("backup.db"), &handle), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(handle, "UPDATE events SET data = 'x' WHERE position = 2", NULL, NULL, NULL),
        SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(handle), SQLITE_OK);
    expect_status(recover_as("acme", "again", test_path("backup.db"), &made), STELE_CORRUPT);
    ck_assert_uint_gt(made.failures, 0);
    expect_status(try_acquire(shards, "acme", "again", &other), STELE_NOT_FOUND);
    expect_no_scratch();
}
END_TEST

START_TEST(a_recovery_can_be_cancelled)
{
    stele_work work = STELE_WORK_INIT;
    stele_recover recover = STELE_RECOVER_INIT;
    stele_shard *other = NULL;
    back_up_orders(test_path("backup.db"));
    work.progress = stop_work;
    recover.backup = test_path("backup.db");
    recover.work = &work;
    expect_status(stele_shards_recover(shards, "acme", "again", &recover, NULL), STELE_CANCELLED);
    expect_status(try_acquire(shards, "acme", "again", &other), STELE_NOT_FOUND);
    expect_no_scratch();
}
END_TEST

/* --- Whether it is whole --- */

START_TEST(a_whole_shard_verifies)
{
    stele_shard_verified verified;
    expect_fine(stele_shards_verify(shards, "acme", "orders", NULL, &verified));
    ck_assert_uint_gt(verified.checks, 5);
    ck_assert_uint_eq(verified.failures, 0);
    ck_assert_str_eq(verified.first, "");
    expect_status(stele_shards_verify(shards, "acme", "nobody", NULL, NULL), STELE_NOT_FOUND);
    stele_work work = STELE_WORK_INIT;
    work.progress = stop_work;
    expect_status(stele_shards_verify(shards, "acme", "orders", &work, NULL), STELE_CANCELLED);
    work.step_count_max = 0;
    expect_status(stele_shards_verify(shards, "acme", "orders", &work, NULL), STELE_MISUSE);
}
END_TEST

START_TEST(a_damaged_row_is_named)
{
    stele_shard_verified verified = { 0 };
    sqlite3 *handle = NULL;
    ck_assert_int_eq(sqlite3_open(stele_shard_path(shard), &handle), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(handle, "UPDATE events SET data = 'x' WHERE position = 2", NULL, NULL, NULL),
        SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(handle), SQLITE_OK);
    expect_status(stele_shards_verify(shards, "acme", "orders", NULL, &verified), STELE_CORRUPT);
    ck_assert_uint_ge(verified.failures, 1);
    ck_assert_uint_gt(verified.checks, verified.failures);
    ck_assert_str_ne(verified.first, "");
}
END_TEST

START_TEST(a_file_of_another_shard_does_not_verify)
{
    stele_shard_verified verified = { 0 };
    expect_fine(stele_shard_make_self_contained(shard, NULL, NULL));
    copy_in_child(test_path("root/acme/bills.db"));
    expect_status(stele_shards_verify(shards, "acme", "bills", NULL, &verified), STELE_CORRUPT);
    ck_assert_uint_eq(verified.failures, 1);
    ck_assert_ptr_nonnull(strstr(verified.first, "bills"));
}
END_TEST

/* --- Reading, and closing --- */

START_TEST(shards_opened_for_reading_are_copied_but_not_made)
{
    stele_options reading = STELE_OPTIONS_INIT;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_shard_copy copy = STELE_SHARD_COPY_INIT;
    back_up_orders(test_path("backup.db"));
    stele_shard_release(shard);
    stele_shards_close(shards);
    reading.read_only = true;
    options.store = &reading;
    expect_fine(stele_shards_open(test_path("root"), &options, &shards));
    shard = acquire(shards, "acme", "orders");
    copy.path = test_path("copy.db");
    expect_fine(stele_shard_copy_out(shard, &copy, NULL));
    expect_status(stele_shard_make_self_contained(shard, NULL, NULL), STELE_READ_ONLY);
    expect_status(recover_as("acme", "again", test_path("backup.db"), NULL), STELE_READ_ONLY);
    expect_fine(stele_shards_verify(shards, "acme", "orders", NULL, NULL));
}
END_TEST

START_TEST(after_closing_all_is_closed)
{
    stele_shard_copy copy = STELE_SHARD_COPY_INIT;
    stele_backup backup = STELE_BACKUP_INIT;
    taken_bytes of = { 0 };
    back_up_orders(test_path("backup.db"));
    stele_shards_close(shards);
    expect_status(stele_shard_make_self_contained(shard, NULL, NULL), STELE_CLOSED);
    copy.write = take_bytes;
    copy.context = &of;
    expect_status(stele_shard_copy_out(shard, &copy, NULL), STELE_CLOSED);
    copy.write = NULL;
    copy.path = backup.path = test_path("copy.db");
    expect_status(stele_shard_copy_out(shard, &copy, NULL), STELE_CLOSED);
    expect_status(stele_shards_backup(shards, "acme", "orders", &backup, NULL), STELE_CLOSED);
    expect_status(recover_as("acme", "again", test_path("backup.db"), NULL), STELE_CLOSED);
    expect_status(stele_shards_verify(shards, "acme", "orders", NULL, NULL), STELE_CLOSED);
    shards = NULL;
}
END_TEST

static atomic_bool is_at_work;

static int note_work(void *context, const stele_progress *progress)
{
    const struct timespec moment = { 0, 1000000 };
    (void)context;
    (void)progress;
    atomic_store(&is_at_work, true);
    nanosleep(&moment, NULL);
    return 0;
}

/* One after the other, until the shards are closed under them. */
static void *work_until_closed(void *which)
{
    int kind = *(int *)which;
    stele_work work = STELE_WORK_INIT;
    stele_status status = STELE_OK;
    work.progress = note_work;
    work.step_count_max = 1;
    for (int i = 0; status == STELE_OK; i++) {
        char name[32];
        char path[600];
        snprintf(name, sizeof(name), "copy-%d", i);
        snprintf(path, sizeof(path), "%.500s-%d", test_path("many"), i);
        stele_backup backup = STELE_BACKUP_INIT;
        stele_recover recover = STELE_RECOVER_INIT;
        backup.path = path;
        backup.work = &work;
        recover.backup = test_path("backup.db");
        recover.work = &work;
        if (kind == 0)
            status = stele_shards_backup(shards, "acme", "orders", &backup, NULL);
        else if (kind == 1)
            status = stele_shards_recover(shards, "acme", name, &recover, NULL);
        else
            status = stele_shards_verify(shards, "acme", "orders", &work, NULL);
    }
    ck_assert_msg(status == STELE_CLOSED, "%s: %s", stele_status_name(status), stele_error_text());
    return NULL;
}

START_TEST(closing_in_mid_work_ends_it)
{
    back_up_orders(test_path("backup.db"));
    (void)test_path("many");
    for (int kind = 0; kind < 3; kind++) {
        pthread_t thread;
        atomic_store(&is_at_work, false);
        ck_assert_int_eq(pthread_create(&thread, NULL, work_until_closed, &kind), 0);
        while (!atomic_load(&is_at_work))
            (void)describe(shards);
        stele_shards_close(shards);
        pthread_join(thread, NULL);
        stele_shard_release(shard);
        open_shards();
        shard = acquire(shards, "acme", "orders");
        expect_no_scratch();
    }
}
END_TEST

static Suite *copies_suite(void)
{
    Suite *suite = suite_create("shard copies");
    TCase *tests = tcase_create("copies");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, open_orders, close_orders);
    tcase_add_test(tests, the_file_alone_holds_what_was_committed);
    tcase_add_test(tests, without_that_the_file_alone_lacks_what_is_in_the_wal);
    tcase_add_test(tests, a_reader_that_holds_the_wal_makes_it_busy);
    tcase_add_test(tests, waiting_for_a_reader_can_be_cancelled);
    tcase_add_test(tests, a_copy_is_given_to_the_caller_byte_for_byte);
    tcase_add_test(tests, a_copy_goes_to_a_file);
    tcase_add_test(tests, what_the_function_answers_ends_the_copy);
    tcase_add_test(tests, a_copy_can_be_cancelled);
    tcase_add_test(tests, arguments_of_copies_are_checked);
    tcase_add_test(tests, a_shard_is_backed_up_by_its_name);
    tcase_add_test(tests, a_backup_becomes_a_shard_of_another_name);
    tcase_add_test(tests, a_name_longer_than_a_path_is_recovered_too);
    tcase_add_test(tests, a_shard_that_is_there_is_not_recovered_over);
    tcase_add_test(tests, one_from_the_trash_is_recovered_to_be_written);
    tcase_add_test(tests, a_store_that_was_no_shard_becomes_one);
    tcase_add_test(tests, a_damaged_backup_is_corrupt_and_leaves_nothing);
    tcase_add_test(tests, a_recovery_can_be_cancelled);
    tcase_add_test(tests, a_whole_shard_verifies);
    tcase_add_test(tests, a_damaged_row_is_named);
    tcase_add_test(tests, a_file_of_another_shard_does_not_verify);
    tcase_add_test(tests, shards_opened_for_reading_are_copied_but_not_made);
    tcase_add_test(tests, after_closing_all_is_closed);
    tcase_add_test(tests, closing_in_mid_work_ends_it);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(copies_suite());
}
