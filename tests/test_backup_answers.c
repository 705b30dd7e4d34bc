/* Online backups: every answer, and what goes on between the steps. */
#include "backup_support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static void open_filled(void)
{
    open_in_file();
    fill_stream("a-1", 20);
}

/* --- What it refuses --- */

START_TEST(missing_and_wrong_arguments_are_misuse)
{
    stele_backup backup = STELE_BACKUP_INIT;

    assert_status(stele_store_backup(store, NULL, NULL), STELE_MISUSE);
    assert_status(stele_store_backup(store, &backup, NULL), STELE_MISUSE);
    assert_reason_has("the path is NULL");
    assert_status(try_backup("", NULL), STELE_MISUSE);
    assert_status(try_backup(":memory:", NULL), STELE_MISUSE);
    assert_status(try_backup("file:backup", NULL), STELE_MISUSE);
    assert_status(try_backup(test_folder(), NULL), STELE_MISUSE);
    backup.path = backup_path();
    assert_status(stele_store_backup(NULL, &backup, NULL), STELE_MISUSE);
    backup.struct_size = 0;
    assert_status(stele_store_backup(store, &backup, NULL), STELE_MISUSE);
    backup = (stele_backup)STELE_BACKUP_INIT;
    backup.path = backup_path();
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 0;
    backup.work = &work;
    assert_status(stele_store_backup(store, &backup, NULL), STELE_MISUSE);
    expect_nothing_at(backup_path());
}
END_TEST

START_TEST(nothing_is_written_over)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-journal", "-anchor" };
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        char name[64];
        snprintf(name, sizeof(name), "backup.stele%s", suffixes[i]);
        save_file(test_path(name), "precious", 8);

        assert_status(try_backup(backup_path(), NULL), STELE_MISUSE);
        assert_reason_has(name);

        file_copy kept = load_file(test_path(name));
        ck_assert_uint_eq(kept.size, 8);
        ck_assert_mem_eq(kept.data, "precious", 8);
        free(kept.data);
        ck_assert_int_eq(unlink(test_path(name)), 0);
        expect_nothing_at(backup_path());
    }
    assert_status(try_backup(store_path(), NULL), STELE_MISUSE);
    back_up_to(backup_path());
    file_copy before = load_file(backup_path());
    assert_status(try_backup(backup_path(), NULL), STELE_MISUSE);
    expect_unchanged(backup_path(), before);
}
END_TEST

static const char *name_taken_meanwhile;

static int take_the_name(void *context, const stele_progress *progress)
{
    (void)context;
    if (strcmp(progress->doing, "verifying") == 0)
        save_file(name_taken_meanwhile, "precious", 8);
    return 0;
}

START_TEST(name_that_is_taken_meanwhile_is_not_written_over)
{
    stele_work work = STELE_WORK_INIT;
    work.progress = take_the_name;
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = backup_path();
    backup.work = &work;
    name_taken_meanwhile = backup_path();

    assert_status(stele_store_backup(store, &backup, NULL), STELE_MISUSE);

    ck_assert_int_eq(unlink(backup_path()), 0);
    expect_nothing_at(backup_path());
}
END_TEST

START_TEST(transaction_of_this_thread_is_misuse)
{
    stele_transaction *transaction = begin();

    assert_status(try_backup(backup_path(), NULL), STELE_MISUSE);

    stele_transaction_end(transaction);
    expect_nothing_at(backup_path());
}
END_TEST

START_TEST(folder_that_is_not_there_is_not_found)
{
    assert_status(try_backup(test_path("nowhere/backup"), NULL), STELE_NOT_FOUND);
}
END_TEST

START_TEST(folder_that_may_not_be_written_is_read_only)
{
    int descriptor = open("/sys/backup.stele", O_CREAT | O_WRONLY, 0600);
    if (descriptor >= 0 || (errno != EACCES && errno != EPERM && errno != EROFS))
        skip_test("there is no folder that this process may not write to");

    assert_status(try_backup("/sys/backup.stele", NULL), STELE_READ_ONLY);
}
END_TEST

START_TEST(damaged_store_has_no_verified_backup)
{
    close_store();
    run_sql(store_path(), "UPDATE events SET data = '{\"n\":9}' WHERE position = 4");
    open_in_file();

    assert_status(try_backup(backup_path(), NULL), STELE_CORRUPT);
    assert_reason_has("the copy is no backup: the store is damaged");
    assert_reason_has("4");
    expect_nothing_at(backup_path());

    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = backup_path();
    backup.unverified = true;
    assert_status(stele_store_backup(store, &backup, NULL), STELE_OK);
}
END_TEST

/* --- Another writer --- */

typedef struct holder {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool holds;
    bool ends;
} holder;

static void *hold_turn(void *context)
{
    holder *self = context;
    stele_transaction *transaction = NULL;
    if (stele_transaction_begin(store, &transaction) != STELE_OK)
        return NULL;
    pthread_mutex_lock(&self->mutex);
    self->holds = true;
    pthread_cond_signal(&self->changed);
    while (!self->ends)
        pthread_cond_wait(&self->changed, &self->mutex);
    pthread_mutex_unlock(&self->mutex);
    stele_transaction_end(transaction);
    return NULL;
}

START_TEST(writer_that_keeps_its_turn_makes_it_busy)
{
    holder self = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    ck_assert_int_eq(pthread_create(&self.thread, NULL, hold_turn, &self), 0);
    pthread_mutex_lock(&self.mutex);
    while (!self.holds)
        pthread_cond_wait(&self.changed, &self.mutex);
    pthread_mutex_unlock(&self.mutex);
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 20;
    stele_work work = STELE_WORK_INIT;
    work.wait = &wait;
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = backup_path();
    backup.work = &work;

    stele_status status = stele_store_backup(store, &backup, NULL);

    pthread_mutex_lock(&self.mutex);
    self.ends = true;
    pthread_cond_signal(&self.changed);
    pthread_mutex_unlock(&self.mutex);
    pthread_join(self.thread, NULL);
    assert_status(status, STELE_BUSY);
    expect_nothing_at(backup_path());
}
END_TEST

/* --- Between the steps --- */

typedef struct steps {
    int count;
    int verifying;
    int cancel_at;
    uint64_t last_done;
    uint64_t last_total;
    uint64_t bytes;
} steps;

static int note_step(void *context, const stele_progress *progress)
{
    steps *noted = context;
    noted->count++;
    if (strcmp(progress->doing, "copying") == 0) {
        noted->last_done = progress->done;
        noted->last_total = progress->total;
    } else if (strcmp(progress->doing, "verifying") == 0) {
        noted->verifying++;
    } else {
        return -1;
    }
    noted->bytes = progress->bytes;
    return noted->count == noted->cancel_at;
}

static stele_status back_up_in_steps(uint32_t step, steps *noted)
{
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = step;
    work.progress = note_step;
    work.context = noted;
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = backup_path();
    backup.work = &work;
    return stele_store_backup(store, &backup, NULL);
}

START_TEST(progress_is_told_of_each_step)
{
    fill_pages("b-1", 100);
    steps noted = { 0 };

    assert_status(back_up_in_steps(10, &noted), STELE_OK);

    ck_assert_int_gt(noted.count, 8);
    ck_assert_int_gt(noted.verifying, 3);
    ck_assert_uint_gt(noted.last_total, 80);
    ck_assert_uint_eq(noted.last_done, noted.last_total);
    ck_assert_uint_ge(noted.bytes, noted.last_total * 4096);
}
END_TEST

START_TEST(cancelled_backup_leaves_nothing)
{
    fill_pages("b-1", 100);
    steps noted = { .cancel_at = INT32_MAX };
    assert_status(back_up_in_steps(10, &noted), STELE_OK);
    int last = noted.count;
    ck_assert_int_eq(unlink(backup_path()), 0);

    for (int at = 1; at <= last; at += at < 3 ? 1 : 4) {
        noted = (steps){ .cancel_at = at };
        assert_status(back_up_in_steps(10, &noted), STELE_CANCELLED);
        expect_nothing_at(backup_path());
    }
    assert_status(append_one("a-1", STELE_ANY, "noted", NULL), STELE_OK);
}
END_TEST

static stele_status closing_answer;
static atomic_bool is_copying;

static int say_copying(void *context, const stele_progress *progress)
{
    (void)context, (void)progress;
    atomic_store(&is_copying, true);
    return 0;
}

static void *back_up_slowly(void *context)
{
    (void)context;
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 1;
    work.bytes_per_second = 40960;
    work.progress = say_copying;
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = backup_path();
    backup.work = &work;
    closing_answer = stele_store_backup(store, &backup, NULL);
    return NULL;
}

START_TEST(closing_the_store_ends_it)
{
    pthread_t thread;
    const struct timespec moment = { .tv_nsec = 1000000 };
    fill_pages("b-1", 100);
    atomic_store(&is_copying, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, back_up_slowly, NULL), 0);
    while (!atomic_load(&is_copying))
        nanosleep(&moment, NULL);

    stele_store_close(store);
    pthread_join(thread, NULL);

    store = NULL;
    ck_assert_int_eq(closing_answer, STELE_CLOSED);
    expect_nothing_at(backup_path());
}
END_TEST

/* --- What other connections do meanwhile --- */

/* What another process might do; a callback may call nothing of the library, so plain SQL. */
static int commit_between(void *context, const stele_progress *progress)
{
    (void)context;
    if (strcmp(progress->doing, "copying") != 0 || progress->done == progress->total)
        return 0;
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "INSERT OR REPLACE INTO meta(key, value, checksum) VALUES('outside', 'x', 0)");
    sqlite3_close(raw);
    return 0;
}

START_TEST(commits_of_others_restart_it_three_times_and_then_it_ends_over_a_snapshot)
{
    fill_pages("b-1", 200);
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 20;
    work.progress = commit_between;
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = backup_path();
    backup.unverified = true; /* that row has no checksum */
    backup.work = &work;
    stele_backed_up made;

    assert_status(stele_store_backup(store, &backup, &made), STELE_OK);

    ck_assert_uint_eq(made.restarts, 3);
    ck_assert_int_eq(made.head, 220);
    run_sql(backup_path(), "DELETE FROM meta WHERE key = 'outside'");
    ck_assert_int_eq(expect_whole_file(backup_path()), 220);
}
END_TEST

static void add_answer_tests(Suite *suite)
{
    TCase *tests = add_case(suite, "answers", open_filled);
    tcase_add_test(tests, missing_and_wrong_arguments_are_misuse);
    tcase_add_test(tests, nothing_is_written_over);
    tcase_add_test(tests, name_that_is_taken_meanwhile_is_not_written_over);
    tcase_add_test(tests, transaction_of_this_thread_is_misuse);
    tcase_add_test(tests, folder_that_is_not_there_is_not_found);
    tcase_add_test(tests, folder_that_may_not_be_written_is_read_only);
    tcase_add_test(tests, damaged_store_has_no_verified_backup);
    tcase_add_test(tests, writer_that_keeps_its_turn_makes_it_busy);
    tcase_add_test(tests, progress_is_told_of_each_step);
    tcase_add_test(tests, cancelled_backup_leaves_nothing);
    tcase_add_test(tests, closing_the_store_ends_it);
    tcase_add_test(tests,
                   commits_of_others_restart_it_three_times_and_then_it_ends_over_a_snapshot);
}

int main(void)
{
    Suite *suite = suite_create("backup_answers");
    add_answer_tests(suite);
    return run_suite(suite);
}
