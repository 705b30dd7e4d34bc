/*
 * Exactly once: what a handler writes and the checkpoint are one, whenever its process is killed.
 * At least once: nothing is lost. Controls that keep them apart show doubles and losses.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "subscriptions.h"

#include "effort.h"

#include <signal.h>
#include <sys/mman.h>
#include <time.h>

enum { EVENTS_MAX = 200000 };

/* How the worker keeps its model. */
typedef enum manner {
    RUN_EVENTS,
    RUN_BATCHES,
    PULL_IN_TRANSACTION,
    AT_LEAST_ONCE,
    BESIDE_EARLY, /* a control: the model is committed first, then the place */
    BESIDE_LATE   /* a control: the place first */
} manner;

typedef struct trial {
    manner manner;
    volatile int64_t appended;              /* acknowledged to the appender */
    volatile unsigned char had[EVENTS_MAX]; /* at least once: effects by position */
} trial;

static trial *shared;

static void open_with_model(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    open_in_file();
    make_seen_table();
    close_store();
}

static void unmap_and_remove(void)
{
    munmap(shared, sizeof(*shared));
    close_and_remove();
}

/* --- The worker --- */

static int note_in(sqlite3 *handle, int64_t position)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "INSERT INTO seen(position) VALUES(%" PRId64 ")", position);
    return sqlite3_exec(handle, sql, NULL, NULL, NULL);
}

static stele_status note_event(void *context, const stele_record *record,
                               const stele_handling *handling)
{
    (void)context;
    if (shared->manner == AT_LEAST_ONCE) {
        shared->had[record->position]++;
        return STELE_OK;
    }
    int code = note_in(stele_transaction_sqlite(handling->transaction), record->position);
    return code == SQLITE_OK ? STELE_OK : STELE_IO;
}

static stele_status note_batch(void *context, const stele_batch *batch,
                               const stele_handling *handling)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < batch->count && status == STELE_OK; i++)
        status = note_event(context, batch->records[i], handling);
    return status;
}

static void note_apart(stele_store *opened, const stele_batch *batch)
{
    stele_transaction *transaction = NULL;
    if (stele_transaction_begin(opened, &transaction) != STELE_OK)
        _exit(3);
    for (size_t i = 0; i < batch->count; i++)
        note_in(stele_transaction_sqlite(transaction), batch->records[i]->position);
    if (stele_transaction_commit(transaction) != STELE_OK)
        _exit(3);
    stele_transaction_end(transaction);
}

static void finish_batch(stele_store *opened, stele_subscription *subscription,
                         const stele_batch *batch)
{
    stele_transaction *transaction = NULL;
    int64_t through = batch->through;
    if (shared->manner == PULL_IN_TRANSACTION) {
        if (stele_transaction_begin(opened, &transaction) != STELE_OK)
            _exit(3);
        for (size_t i = 0; i < batch->count; i++)
            note_in(stele_transaction_sqlite(transaction), batch->records[i]->position);
        if (stele_transaction_subscription_ack(transaction, subscription, through) != STELE_OK
            || stele_transaction_commit(transaction) != STELE_OK)
            _exit(3);
        stele_transaction_end(transaction);
        return;
    }
    if (shared->manner == BESIDE_EARLY)
        note_apart(opened, batch);
    if (stele_subscription_ack(subscription, through) != STELE_OK)
        _exit(3);
    if (shared->manner == BESIDE_LATE)
        note_apart(opened, batch);
}

/* Until it is killed, or `stop_position` is reached. */
static int work_until_killed(int64_t stop_position)
{
    stele_store *opened = NULL;
    stele_subscription *subscription = NULL;
    stele_subscription_options options = make_subscription("s");
    stele_handler handler = STELE_HANDLER_INIT;
    options.owner = "worker";
    options.batch_count_max = 20;
    options.tries =
        10000; /* no event is to blame for a killed process, however often it is tried */
    if (shared->manner == AT_LEAST_ONCE) {
        options.delivery = STELE_AT_LEAST_ONCE;
        options.ack_flush_ms = 10;
    }
    if (stop_position > 0) {
        options.stop = STELE_STOP_POSITION;
        options.stop_position = stop_position;
    }
    if (shared->manner == RUN_BATCHES)
        handler.batch = note_batch;
    else
        handler.event = note_event;
    if (stele_store_open(store_path(), NULL, &opened) != STELE_OK
        || stele_subscription_open(opened, &options, &subscription) != STELE_OK)
        return 2;
    stele_status status = STELE_OK;
    if (shared->manner <= RUN_BATCHES || shared->manner == AT_LEAST_ONCE) {
        status = stele_subscription_run(subscription, &handler);
    } else {
        const stele_batch *batch = NULL;
        while ((status = stele_subscription_next(subscription, NULL, &batch)) == STELE_OK)
            finish_batch(opened, subscription, batch);
    }
    if (status != STELE_DONE)
        fprintf(stderr, "the worker got %s: %s\n", stele_status_name(status), stele_error_text());
    stele_subscription_close(subscription);
    stele_store_close(opened);
    return status == STELE_DONE ? 0 : 1;
}

static pid_t start_worker(int64_t stop_position)
{
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(work_until_killed(stop_position));
    return child;
}

static pid_t start_appender(void)
{
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child != 0)
        return child;
    stele_store *opened = NULL;
    if (stele_store_open(store_path(), NULL, &opened) != STELE_OK)
        _exit(2);
    for (int64_t i = 0; i < EVENTS_MAX / 4; i++) {
        stele_event events[3] = { make_event("t", "{}"), make_event("u", "{}"),
                                  make_event("t", "{}") };
        char stream[16];
        snprintf(stream, sizeof(stream), "a-%d", (int)(i % 5));
        stele_append append = make_append(stream, STELE_ANY, events, 1 + (size_t)(i % 3));
        stele_appended appended = { 0 };
        if (stele_store_append(opened, &append, &appended) != STELE_OK)
            _exit(3);
        shared->appended = appended.last_position;
        nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
    }
    _exit(0);
}

/* Kill it `rounds` times, each within `longest_ms` and 5, then let it come to an end. */
static int64_t run_trial(manner how, int rounds, uint64_t longest_ms)
{
    int status = 0;
    shared->manner = how;
    pid_t appender = start_appender();
    /* A place to stop at that is 0 would be none. */
    for (int i = 0; i < 6000 && shared->appended == 0; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    ck_assert_int_gt(shared->appended, 0);
    for (int i = 0; i < rounds; i++) {
        pid_t worker = start_worker(0);
        nanosleep(&(struct timespec){ .tv_nsec = (long)(5000000
                                                        + next_chance() % (longest_ms * 1000000)) },
                  NULL);
        kill(worker, SIGKILL);
        waitpid(worker, &status, 0);
        ck_assert_msg(WIFSIGNALED(status), "the worker ended by itself: %d", WEXITSTATUS(status));
    }
    kill(appender, SIGKILL);
    waitpid(appender, &status, 0);
    open_in_file();
    int64_t head = head_of(store);
    close_store();
    ck_assert_int_ge(head, shared->appended);
    pid_t worker = start_worker(head);
    waitpid(worker, &status, 0);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the last worker: %d", status);
    return head;
}

static int rounds_of_effort(void)
{
    return effort_is_long() ? 1000 : 20;
}

START_TEST(model_equals_the_log_however_often_its_process_is_killed)
{
    uint64_t seed = choose_seed();

    int64_t head = run_trial((manner)_i, rounds_of_effort(), 30);

    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM seen"), head);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(DISTINCT position) FROM seen"), head);
    ck_assert_int_eq(sql_number(store_path(), "SELECT max(position) FROM seen"), head);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM seen a JOIN seen b ON b.id ="
                                              " a.id + 1 WHERE b.position <> a.position + 1"),
                     0);
    printf("seed %" PRIu64 ": %d processes killed, %" PRId64 " events\n", seed, rounds_of_effort(),
           head);
}
END_TEST

START_TEST(effects_outside_are_had_at_least_once)
{
    uint64_t seed = choose_seed();

    int64_t head = run_trial(AT_LEAST_ONCE, rounds_of_effort(), 30);

    for (int64_t i = 1; i <= head; i++)
        ck_assert_msg(shared->had[i] > 0, "seed %" PRIu64 ": position %" PRId64 " was lost", seed,
                      i);
}
END_TEST

static bool is_model_right(int64_t head)
{
    return sql_number(store_path(), "SELECT count(*) FROM seen") == head
           && sql_number(store_path(), "SELECT count(DISTINCT position) FROM seen") == head;
}

/* Controls: the harness finds what two commits make of it. */
START_TEST(control_that_commits_the_model_apart_is_found)
{
    uint64_t seed = choose_seed();
    manner how = _i == 0 ? BESIDE_EARLY : BESIDE_LATE;
    uint64_t longest_ms = 30;
    for (int i = 0; i < 24; i++) {
        if (!is_model_right(run_trial(how, 20, longest_ms)))
            return;
        if (i % 3 == 2 && longest_ms < 500)
            longest_ms *= 2; /* on a slow disk none gets far enough so soon */
    }
    ck_abort_msg("seed %" PRIu64 ": the harness sees nothing", seed);
}
END_TEST

static Suite *subscription_once_suite(void)
{
    Suite *suite = suite_create("subscription once");
    TCase *tests = tcase_create("killed");
    tcase_add_checked_fixture(tests, open_with_model, unmap_and_remove);
    tcase_set_timeout(tests, 900);
    tcase_add_loop_test(tests, model_equals_the_log_however_often_its_process_is_killed, RUN_EVENTS,
                        AT_LEAST_ONCE);
    tcase_add_test(tests, effects_outside_are_had_at_least_once);
    tcase_add_loop_test(tests, control_that_commits_the_model_apart_is_found, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(subscription_once_suite());
}
