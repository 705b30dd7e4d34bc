/* Snapshots: many threads at once, closing under them, and several processes on one file. */
#include "snapshots.h"

#include <pthread.h>
#include <time.h>

enum { THREADS = 64, TIMES = 4 };

/* Between readers nobody keeps a queue, so that a slow machine may pass one over for long. */
static void open_for_many(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 60000;
    store = open_path(store_path(), &options);
}

typedef struct worker {
    pthread_t thread;
    int64_t number;
    stele_status status;
    char wrong[200];
} worker;

static void *save_own_version(void *context)
{
    worker *self = context;
    for (int i = 0; i < TIMES && self->status == STELE_OK; i++) {
        char data[32];
        snprintf(data, sizeof(data), "{\"version\":%" PRId64 "}", self->number);
        self->status = save_to(store, "a-1", self->number, data);
    }
    return NULL;
}

static void *load_what_is_there(void *context)
{
    worker *self = context;
    stele_snapshot_read read = make_snapshot_read("a-1");
    int64_t before = 0;
    for (int i = 0; i < TIMES * 4 && self->status == STELE_OK; i++) {
        const stele_snapshot_record *record = NULL;
        char data[32] = "";
        self->status = stele_snapshot_load(store, &read, &record);
        if (self->status != STELE_OK)
            break;
        snprintf(data, sizeof(data), "{\"version\":%" PRId64 "}", record->version);
        if (record->found && (strcmp(data, record->data) != 0 || record->version < before))
            snprintf(self->wrong, sizeof(self->wrong), "%" PRId64 " holds %s after %" PRId64,
                     record->version, (const char *)record->data, before);
        before = record->version;
        stele_snapshot_close(record);
    }
    return NULL;
}

START_TEST(many_threads_save_and_load_and_the_highest_version_stays)
{
    static worker workers[2 * THREADS];
    stele_event events[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        events[i] = make_event("counted", "1");
    stele_append append = make_append("a-1", STELE_NO_STREAM, events, THREADS);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    memset(workers, 0, sizeof(workers));

    for (int i = 0; i < 2 * THREADS; i++) {
        workers[i].number = i / 2 + 1;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL,
                                        i % 2 == 0 ? save_own_version : load_what_is_there,
                                        &workers[i]),
                         0);
    }
    for (int i = 0; i < 2 * THREADS; i++)
        pthread_join(workers[i].thread, NULL);

    for (int i = 0; i < 2 * THREADS; i++) {
        ck_assert_msg(workers[i].status == STELE_OK, "%s", stele_status_name(workers[i].status));
        ck_assert_str_eq(workers[i].wrong, "");
    }
    expect_hit("a-1", THREADS, "{\"version\":64}");
}
END_TEST

/* The commits of those that come at once are fewer than the saves. */
START_TEST(saves_that_come_at_once_share_commits)
{
    static worker workers[THREADS];
    stele_store_info before = STELE_STORE_INFO_INIT, after = STELE_STORE_INFO_INIT;
    fill_stream("a-1", THREADS);
    memset(workers, 0, sizeof(workers));
    assert_status(stele_store_describe(store, &before), STELE_OK);
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "BEGIN IMMEDIATE");

    for (int i = 0; i < THREADS; i++) {
        workers[i].number = i + 1;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, save_own_version, &workers[i]),
                         0);
    }
    nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
    sqlite3_close(raw);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        ck_assert_int_eq(workers[i].status, STELE_OK);
    }

    assert_status(stele_store_describe(store, &after), STELE_OK);
    ck_assert_uint_lt(after.commits - before.commits, THREADS * TIMES);
    expect_hit("a-1", THREADS, "{\"version\":64}");
}
END_TEST

/* --- Closing in mid-use --- */

static stele_status call_save(int64_t number)
{
    return save_to(store, "a-1", number % THREADS + 1, "{}");
}

static stele_status call_load(int64_t number)
{
    stele_snapshot_read read = make_snapshot_read("a-1");
    const stele_snapshot_record *record = NULL;
    read.max_version = number % 2 == 0 ? 0 : 20;
    stele_status status = stele_snapshot_load(store, &read, &record);
    stele_snapshot_close(record);
    return status;
}

static stele_status call_invalidate(int64_t number)
{
    return stele_snapshot_invalidate(store, "a-1", number % 2 == 0 ? "state" : NULL, NULL);
}

static stele_status call_invalidate_all(int64_t number)
{
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 1;
    return stele_snapshot_invalidate_all(store, number % 2 == 0 ? "state" : NULL, &work, NULL);
}

static stele_status call_list(int64_t number)
{
    stele_snapshots *list = NULL;
    const stele_snapshot_info *info = NULL;
    (void)number;
    stele_status status = stele_store_snapshots(store, NULL, &list);
    while (status == STELE_OK)
        status = stele_snapshots_next(list, &info);
    stele_snapshots_close(list);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status (*const calls[])(int64_t number) = {
    call_save, call_load, call_invalidate, call_invalidate_all, call_list, call_save,
};

static void *call_until_it_fails(void *context)
{
    worker *self = context;
    for (int64_t i = 0; self->status == STELE_OK; i++)
        self->status = calls[self->number](i);
    snprintf(self->wrong, sizeof(self->wrong), "%s", stele_error_text());
    return NULL;
}

START_TEST(closing_in_mid_use_ends_every_call_with_closed)
{
    for (int round = 0; round < 10; round++) {
        worker workers[COUNT_OF(calls)];
        memset(workers, 0, sizeof(workers));
        if (store == NULL)
            open_in_file();
        fill_stream("a-1", round == 0 ? THREADS : 1);
        /* The pointer of the test stays until the threads are gone: a handle of their own holds the
         * memory behind it. */
        stele_cursor *keeper = open_read(NULL);
        for (size_t i = 0; i < COUNT_OF(calls); i++) {
            workers[i].number = (int64_t)i;
            ck_assert_int_eq(
                pthread_create(&workers[i].thread, NULL, call_until_it_fails, &workers[i]), 0);
        }
        nanosleep(&(struct timespec){ .tv_nsec = 3000000 * (round + 1) }, NULL);
        stele_store_close(store);
        for (size_t i = 0; i < COUNT_OF(calls); i++) {
            pthread_join(workers[i].thread, NULL);
            ck_assert_msg(workers[i].status == STELE_CLOSED, "call %zu: %s: %s", i,
                          stele_status_name(workers[i].status), workers[i].wrong);
        }
        store = NULL;
        stele_cursor_close(keeper);
    }
}
END_TEST

/* --- Waiting to load --- */

static int cancel(void *context)
{
    (void)context;
    return 1;
}

static void *load_impatiently(void *context)
{
    worker *self = context;
    stele_wait wait = STELE_WAIT_INIT;
    stele_snapshot_read read = make_snapshot_read("a-1");
    const stele_snapshot_record *record = NULL;
    wait.timeout_ms = self->number == 0 ? 0 : 60000;
    wait.progress = self->number == 0 ? NULL : cancel;
    read.wait = &wait;
    self->status = stele_snapshot_load(store, &read, &record);
    stele_snapshot_close(record);
    return NULL;
}

/* A store in memory has one connection, and here a transaction holds it. */
START_TEST(load_waits_as_long_as_it_is_told)
{
    worker workers[2] = { { .number = 0 }, { .number = 1 } };
    close_store();
    open_in_memory();
    fill_stream("a-1", 1);
    stele_transaction *transaction = begin();
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, load_impatiently, &workers[i]),
                         0);
        pthread_join(workers[i].thread, NULL);
    }
    stele_transaction_end(transaction);
    ck_assert_int_eq(workers[0].status, STELE_BUSY);
    ck_assert_int_eq(workers[1].status, STELE_CANCELLED);
}
END_TEST

/* --- Processes --- */

enum { PROCESSES = 4, ROUNDS = 60, KEPT = 3 };

static int save_and_load(int index, const char *path)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_store *own = NULL;
    options.busy_timeout_ms = 60000;
    if (stele_store_open(path, &options, &own) != STELE_OK)
        return 1;
    for (int i = 0; i < ROUNDS; i++) {
        char data[32] = "";
        stele_snapshot_read read = make_snapshot_read("a-1");
        const stele_snapshot_record *record = NULL;
        stele_snapshot snapshot = make_snapshot("a-1", (i * 7 + index * 13) % THREADS + 1, data);
        snapshot.data_size =
            (size_t)snprintf(data, sizeof(data), "{\"version\":%" PRId64 "}", snapshot.version);
        snapshot.keep = KEPT;
        if (stele_snapshot_save(own, &snapshot) != STELE_OK)
            return 2;
        if (i % 20 == 19 && stele_snapshot_invalidate(own, "a-1", NULL, NULL) != STELE_OK)
            return 3;
        if (stele_snapshot_load(own, &read, &record) != STELE_OK)
            return 4;
        snprintf(data, sizeof(data), "{\"version\":%" PRId64 "}", record->version);
        if (record->found ? strcmp(data, record->data) != 0 : record->miss != STELE_SNAPSHOT_NONE)
            return 5;
        stele_snapshot_close(record);
    }
    stele_store_close(own);
    return 0;
}

START_TEST(processes_on_one_file_load_only_what_was_saved)
{
    pid_t children[PROCESSES];
    char path[4096];
    fill_stream("a-1", THREADS);
    close_store();
    snprintf(path, sizeof(path), "%s", store_path());
    fflush(NULL);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0)
            _exit(save_and_load(i, path));
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d ended with %x", i,
                      (unsigned)status);
    }
    ck_assert_int_le(sql_number(store_path(), "SELECT count(*) FROM snapshots"), KEPT);
    open_in_file();
    for (int64_t version = 1; version <= KEPT; version++)
        save_kept("a-1", THREADS + 1 - version, "1", KEPT);
    ck_assert_str_eq(listed(store, NULL), "a-1 state 64, a-1 state 63, a-1 state 62");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot_threads");

    TCase *tests = add_case(suite, "threads", open_for_many);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, many_threads_save_and_load_and_the_highest_version_stays);
    tcase_add_test(tests, saves_that_come_at_once_share_commits);
    tcase_add_test(tests, closing_in_mid_use_ends_every_call_with_closed);
    tcase_add_test(tests, load_waits_as_long_as_it_is_told);
    tcase_add_test(tests, processes_on_one_file_load_only_what_was_saved);
    return run_suite(suite);
}
