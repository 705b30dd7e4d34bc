/* Online backups: the file while it grows, how it gets its name, and disks that fail. */
#include "backup_support.h"
#include "disk_hooks.h"

#include "base/platform.h"

#include <errno.h>
#include <pthread.h>

static void open_filled(void)
{
    open_in_file();
    fill_stream("a-1", 20);
}

/* --- The file while it grows --- */

START_TEST(copy_that_a_crash_left_is_replaced)
{
    back_up_to(test_path("backup.stele-partial"));
    save_file(test_path("backup.stele-partial-wal"), "junk", 4);
    back_up_to(backup_path());
    ck_assert_int_eq(expect_whole_file(backup_path()), 20);

    /* Its first page is written last. */
    char zeros[20000] = { 0 };
    memset(zeros + 4096, 'x', sizeof(zeros) - 4096);
    save_file(test_path("new.stele-partial"), zeros, sizeof(zeros));
    back_up_to(new_path());
    ck_assert_int_eq(expect_whole_file(new_path()), 20);
}
END_TEST

START_TEST(file_in_the_way_that_is_no_copy_is_kept)
{
    const char *partial = test_path("backup.stele-partial");
    char text[2000];
    memset(text, 't', sizeof(text));
    save_file(partial, text, sizeof(text));
    file_copy before = load_file(partial);

    assert_status(try_backup(backup_path(), NULL), STELE_MISUSE);
    assert_reason_has("backup.stele-partial");
    expect_unchanged(partial, before);

    ck_assert_int_eq(unlink(partial), 0);
    run_sql(partial, "CREATE TABLE precious(x)");
    before = load_file(partial);
    assert_status(try_backup(backup_path(), NULL), STELE_MISUSE);
    expect_unchanged(partial, before);

    ck_assert_int_eq(unlink(partial), 0);
    ck_assert_int_eq(symlink(store_path(), partial), 0);
    assert_status(try_backup(backup_path(), NULL), STELE_MISUSE);
    ck_assert_int_eq(unlink(partial), 0);
    ck_assert(!file_exists(backup_path()));
}
END_TEST

/* Another process, which backs up another store to the same path whenever it is asked to. */
typedef struct rival {
    pid_t process;
    int orders;
    int answers;
    stele_status while_copying;
    stele_status while_verifying;
} rival;

static char back_up_other_store(void)
{
    stele_store *other = NULL;
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = backup_path();
    if (stele_store_open(test_path("other.db"), NULL, &other) != STELE_OK)
        return 100;
    stele_status status = stele_store_backup(other, &backup, NULL);
    stele_store_close(other);
    return (char)status;
}

/* Before this process opens a store. */
static rival start_rival(void)
{
    rival made = { .while_copying = STELE_OK, .while_verifying = STELE_OK };
    int orders[2];
    int answers[2];
    ck_assert_int_eq(pipe(orders), 0);
    ck_assert_int_eq(pipe(answers), 0);
    test_folder(); /* one for both */
    fflush(NULL);
    made.process = fork();
    ck_assert_int_ge(made.process, 0);
    if (made.process == 0) {
        char byte = 0;
        close(orders[1]);
        while (read(orders[0], &byte, 1) == 1) {
            byte = back_up_other_store();
            if (write(answers[1], &byte, 1) != 1)
                break;
        }
        _exit(0);
    }
    close(orders[0]);
    close(answers[1]);
    made.orders = orders[1];
    made.answers = answers[0];
    return made;
}

static stele_status ask_rival(const rival *other)
{
    signed char byte = 0;
    if (write(other->orders, &byte, 1) != 1 || read(other->answers, &byte, 1) != 1)
        return STELE_OK;
    return (stele_status)byte;
}

static int let_rival_try(void *context, const stele_progress *progress)
{
    rival *other = context;
    bool copying = strcmp(progress->doing, "copying") == 0;
    if (copying && other->while_copying == STELE_OK)
        other->while_copying = ask_rival(other);
    else if (!copying && other->while_verifying == STELE_OK)
        other->while_verifying = ask_rival(other);
    return 0;
}

START_TEST(two_backups_to_one_path_do_not_meet)
{
    rival other = start_rival();
    open_filled();
    fill_pages("b-1", 100);
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 10;
    work.progress = let_rival_try;
    work.context = &other;
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = backup_path();
    backup.work = &work;

    assert_status(stele_store_backup(store, &backup, NULL), STELE_OK);

    close(other.orders);
    ck_assert_int_eq(waitpid(other.process, NULL, 0), other.process);
    close(other.answers);
    ck_assert_int_eq(other.while_copying, STELE_BUSY);
    ck_assert_int_eq(other.while_verifying, STELE_BUSY);
    ck_assert_int_eq(expect_whole_file(backup_path()), 120);
}
END_TEST

/* Another one takes the copy away that lies there: at a moment of ours before it has the lock. */
static int calls_left;
static bool copying;

static int take_copy_away(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)call, (void)file, (void)detail;
    if (!copying && --calls_left == 0)
        unlink(test_path("backup.stele-partial"));
    return SQLITE_OK;
}

static int note_copying(void *context, const stele_progress *progress)
{
    (void)context, (void)progress;
    copying = true;
    return 0;
}

/* How many calls too early the copying began; 0: it was taken away before. */
static int back_up_beside_another(int calls, int *busy)
{
    stele_work work = STELE_WORK_INIT;
    stele_backup backup = STELE_BACKUP_INIT;
    work.progress = note_copying;
    backup.path = backup_path();
    backup.work = &work;
    copy_file(test_path("kept"), test_path("backup.stele-partial"));
    calls_left = calls;
    copying = false;
    disk_hook = take_copy_away;

    stele_status status = stele_store_backup(store, &backup, NULL);

    disk_hook = NULL;
    ck_assert_msg(status == STELE_OK || status == STELE_BUSY, "at call %d: %s: %s", calls,
                  stele_status_name(status), stele_error_text());
    *busy += status == STELE_BUSY;
    unlink(backup_path());
    return calls_left > 0 ? calls_left : 0;
}

START_TEST(copy_that_another_takes_away_is_no_failure_of_the_disk)
{
    int calls = 1;
    int busy = 0;
    close_store();
    install_disk_hooks();
    open_filled();
    back_up_to(test_path("kept"));

    while (back_up_beside_another(calls, &busy) == 0)
        calls++;

    ck_assert_int_gt(busy, 0);
    close_store();
    remove_disk_hooks();
}
END_TEST

static int take_its_place(void *context, const stele_progress *progress)
{
    bool *taken = context;
    if (*taken || strcmp(progress->doing, "verifying") != 0)
        return 0;
    *taken = true;
    unlink(test_path("backup.stele-partial"));
    save_file(test_path("backup.stele-partial"), "half a copy", 11);
    return 0;
}

START_TEST(copy_whose_place_another_took_is_not_published_in_its_stead)
{
    bool taken = false;
    stele_work work = STELE_WORK_INIT;
    stele_backup backup = STELE_BACKUP_INIT;
    work.progress = take_its_place;
    work.context = &taken;
    backup.path = backup_path();
    backup.work = &work;

    assert_status(stele_store_backup(store, &backup, NULL), STELE_BUSY);

    ck_assert(taken);
    ck_assert(!file_exists(backup_path()));
    ck_assert(file_exists(test_path("backup.stele-partial"))); /* the other one's */
}
END_TEST

static int refuse_to_link(const char *from, const char *to)
{
    (void)from;
    (void)to;
    errno = EPERM;
    return -1;
}

START_TEST(filesystem_without_links_is_good_enough)
{
    int (*kept)(const char *from, const char *to) = stele__link_file;
    stele__link_file = refuse_to_link;
    stele_status first = try_backup(backup_path(), NULL);
    stele_status second = try_backup(backup_path(), NULL);
    stele__link_file = kept;

    assert_status(first, STELE_OK);
    ck_assert_int_eq(second, STELE_MISUSE);
    ck_assert_int_eq(expect_whole_file(backup_path()), 20);
}
END_TEST

/* --- The disk --- */

static int disk_answer;

static int fail_writes(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    return call == DISK_WRITE && file == DISK_MAIN ? disk_answer : SQLITE_OK;
}

static int fail_syncs(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    return call == DISK_SYNC && file == DISK_MAIN ? disk_answer : SQLITE_OK;
}

/* Nothing is written to the store meanwhile: what fails is the copy. */
static void expect_disk_failure(disk_hook_function hook, int answer, stele_status expected)
{
    close_store();
    install_disk_hooks();
    open_in_file();
    disk_answer = answer;
    disk_hook = hook;

    stele_status status = try_backup(backup_path(), NULL);

    disk_hook = NULL;
    ck_assert_int_eq(status, expected);
    expect_nothing_at(backup_path());
    assert_status(append_one("a-1", 20, "noted", NULL), STELE_OK);
    ck_assert_int_eq(back_up_to(backup_path()).head, 21);
    close_store();
    remove_disk_hooks();
    ck_assert_int_eq(expect_whole_file(backup_path()), 21);
}

START_TEST(full_disk_is_full_and_leaves_nothing)
{
    expect_disk_failure(fail_writes, SQLITE_FULL, STELE_FULL);
}
END_TEST

START_TEST(disk_that_fails_is_io_and_leaves_nothing)
{
    expect_disk_failure(fail_writes, SQLITE_IOERR_WRITE, STELE_IO);
}
END_TEST

START_TEST(sync_that_fails_is_io_and_leaves_nothing)
{
    expect_disk_failure(fail_syncs, SQLITE_IOERR_FSYNC, STELE_IO);
}
END_TEST

/* --- A writer that is replaced meanwhile --- */

/* The test's thread waits in the progress callback, which may call nothing of the library. */
typedef struct breaker {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int stage; /* 1: it is asked to; 2: it is done */
    stele_status broken;
    stele_status mended;
} breaker;

static int fail_wal_sync(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    return call == DISK_SYNC && file == DISK_WAL ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static void *break_and_mend(void *context)
{
    breaker *self = context;
    pthread_mutex_lock(&self->mutex);
    while (self->stage != 1)
        pthread_cond_wait(&self->changed, &self->mutex);
    disk_hook = fail_wal_sync;
    self->broken = append_one("a-1", STELE_ANY, "noted", NULL);
    disk_hook = NULL;
    self->mended = append_one("a-1", STELE_ANY, "noted", NULL);
    self->stage = 2;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

static int let_it_break(void *context, const stele_progress *progress)
{
    breaker *self = context;
    pthread_mutex_lock(&self->mutex);
    if (self->stage == 0 && progress->done >= 50) {
        self->stage = 1;
        pthread_cond_signal(&self->changed);
        while (self->stage != 2)
            pthread_cond_wait(&self->changed, &self->mutex);
    }
    pthread_mutex_unlock(&self->mutex);
    return 0;
}

START_TEST(writer_that_is_replaced_meanwhile_is_copied_anew)
{
    close_store();
    install_disk_hooks();
    open_filled();
    fill_pages("b-1", 100);
    breaker self = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    ck_assert_int_eq(pthread_create(&self.thread, NULL, break_and_mend, &self), 0);
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 10;
    work.progress = let_it_break;
    work.context = &self;
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = backup_path();
    backup.work = &work;
    stele_backed_up made;

    stele_status status = stele_store_backup(store, &backup, &made);

    pthread_join(self.thread, NULL);
    assert_status(status, STELE_OK);
    ck_assert_int_eq(self.broken, STELE_UNKNOWN_OUTCOME);
    ck_assert_int_eq(self.mended, STELE_OK);
    ck_assert_uint_eq(made.restarts, 1);
    ck_assert_int_eq(made.head, head_of(store));
    close_store();
    remove_disk_hooks();
    expect_whole_file(backup_path());
}
END_TEST

static void add_file_tests(Suite *suite)
{
    TCase *tests = add_case(suite, "file", open_filled);
    tcase_add_test(tests, copy_that_a_crash_left_is_replaced);
    tcase_add_test(tests, file_in_the_way_that_is_no_copy_is_kept);
    tcase_add_test(tests, copy_that_another_takes_away_is_no_failure_of_the_disk);
    tcase_add_test(tests, copy_whose_place_another_took_is_not_published_in_its_stead);
    tcase_add_test(tests, filesystem_without_links_is_good_enough);
    tcase_add_test(tests, full_disk_is_full_and_leaves_nothing);
    tcase_add_test(tests, disk_that_fails_is_io_and_leaves_nothing);
    tcase_add_test(tests, sync_that_fails_is_io_and_leaves_nothing);
    tests = add_case(suite, "writer", NULL);
    tcase_add_test(tests, writer_that_is_replaced_meanwhile_is_copied_anew);
    tests = add_case(suite, "two", NULL);
    tcase_add_test(tests, two_backups_to_one_path_do_not_meet);
}

int main(void)
{
    Suite *suite = suite_create("backup_files");
    add_file_tests(suite);
    return run_suite(suite);
}
