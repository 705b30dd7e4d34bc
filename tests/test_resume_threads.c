/* Resume points under many threads and processes: each execution has its own, and one attempt is
 * never two. */
#include "resume_points.h"

#include <pthread.h>

enum { WORKERS = 16, ROUNDS = 20, PROCESSES = 4, ATTEMPTS = 25 };

typedef struct worker {
    pthread_t thread;
    int number;
    stele_status status;
    char reason[256];
    bool wrong; /* it loaded what it hadn't saved */
    int64_t attempts[ATTEMPTS];
} worker;

static worker workers[WORKERS];

static void open_relaxed(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    options.busy_timeout_ms = 60000;
    store = open_path(store_path(), &options);
}

static void keep_status(worker *self, stele_status status)
{
    if (status == STELE_OK || self->status != STELE_OK)
        return;
    self->status = status;
    snprintf(self->reason, sizeof(self->reason), "%s", stele_error_text());
}

static void run_workers(void *(*work)(void *self))
{
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (worker){ .number = i };
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < WORKERS; i++) {
        ck_assert_msg(workers[i].status == STELE_OK, "worker %d: %s: %s", i,
                      stele_status_name(workers[i].status), workers[i].reason);
        ck_assert_msg(!workers[i].wrong, "worker %d loaded what it hadn't saved", i);
    }
}

static void name_execution(char name[16], int number)
{
    snprintf(name, 16, "run-%d", number);
}

static void *save_one(void *context)
{
    worker *self = context;
    char execution[16];
    name_execution(execution, self->number);
    keep_status(self, save_at(execution, self->number));
    return NULL;
}

START_TEST(points_of_executions_saved_at_once_are_all_there)
{
    run_workers(save_one);

    for (int i = 0; i < WORKERS; i++) {
        char execution[16];
        name_execution(execution, i);
        ck_assert_int_eq(iteration_of(execution), i);
    }
}
END_TEST

static bool is_own(const stele_resume_record *record, const char *execution, int64_t iteration,
                   const char *payload)
{
    return record->found && strcmp(record->execution, execution) == 0
           && record->iteration == iteration && strcmp(record->payload, payload) == 0;
}

static void *save_and_load(void *context)
{
    worker *self = context;
    char execution[16], payload[32];
    name_execution(execution, self->number);
    for (int round = 0; round < ROUNDS && self->status == STELE_OK; round++) {
        const stele_resume_record *record = NULL;
        stele_resume_point point = make_point(execution, round);
        point.payload = payload;
        point.payload_size =
            (size_t)snprintf(payload, sizeof(payload), "[%d,%d]", self->number, round);
        keep_status(self, stele_resume_point_save(store, &point, NULL));
        keep_status(self, stele_resume_point_load(store, NULL, execution, &record));
        self->wrong |= record != NULL && !is_own(record, execution, round, payload);
        stele_resume_record_close(record);
    }
    return NULL;
}

START_TEST(each_of_many_workers_loads_what_it_saved)
{
    run_workers(save_and_load);
}
END_TEST

/* All of them save iterations of the one execution, in an order of chance. */
static void *race_iterations(void *context)
{
    worker *self = context;
    for (int64_t i = self->number; i < WORKERS * ROUNDS; i += WORKERS) {
        stele_resume_point point = make_point("run-1", i);
        int64_t actual = 0;
        stele_status status = stele_resume_point_save(store, &point, &actual);
        if (status == STELE_CONFLICT)
            self->wrong |= actual <= i;
        else
            keep_status(self, status);
    }
    return NULL;
}

START_TEST(latest_iteration_wins_whoever_comes_last)
{
    run_workers(race_iterations);

    ck_assert_int_eq(iteration_of("run-1"), WORKERS * ROUNDS - 1);
}
END_TEST

static void *resume_often(void *context)
{
    worker *self = context;
    stele_resumption resumption = resumption_of("run-1", "v1");
    for (int i = 0; i < ATTEMPTS && self->status == STELE_OK; i++) {
        stele_resume_answer answer;
        const stele_resume_record *record = NULL;
        keep_status(self, stele_resume_point_resume(store, &resumption, &answer, &self->attempts[i],
                                                    &record));
        self->wrong |= answer != STELE_RESUME_GO_ON;
        stele_resume_record_close(record);
    }
    return NULL;
}

/* Two workers that believe in the same attempt would do the same work. */
START_TEST(no_attempt_is_given_to_two_threads)
{
    bool seen[WORKERS * ATTEMPTS + 2] = { false };
    assert_status(save_at("run-1", 1), STELE_OK);

    run_workers(resume_often);

    for (int i = 0; i < WORKERS; i++)
        for (int k = 0; k < ATTEMPTS; k++) {
            int64_t attempt = workers[i].attempts[k];
            ck_assert_int_ge(attempt, 2);
            ck_assert_int_le(attempt, WORKERS * ATTEMPTS + 1);
            ck_assert(!seen[attempt]);
            seen[attempt] = true;
        }
}
END_TEST

/* --- Processes --- */

/* What a process has to say: the attempts that it was given. */
static int compete(int number, int pipe_end)
{
    stele_resumption resumption = resumption_of("shared", NULL);
    char execution[16];
    name_execution(execution, number);
    open_relaxed();
    for (int i = 0; i < ATTEMPTS; i++) {
        stele_resume_answer answer;
        int64_t attempt = 0;
        const stele_resume_record *record = NULL;
        if (save_at(execution, i) != STELE_OK
            || stele_resume_point_resume(store, &resumption, &answer, &attempt, &record)
                   != STELE_OK)
            return 1;
        stele_resume_record_close(record);
        if (write(pipe_end, &attempt, sizeof(attempt)) != sizeof(attempt))
            return 2;
    }
    close_store();
    return 0;
}

static void start_process(int number, const int ends[2], pid_t *child_out)
{
    fflush(NULL);
    *child_out = fork();
    ck_assert_int_ge(*child_out, 0);
    if (*child_out == 0) {
        close(ends[0]);
        _exit(compete(number, ends[1]));
    }
}

START_TEST(no_attempt_is_given_to_two_processes)
{
    int ends[2];
    pid_t children[PROCESSES];
    bool seen[PROCESSES * ATTEMPTS + 2] = { false };
    open_relaxed();
    assert_status(save_at("shared", 1), STELE_OK);
    close_store();
    ck_assert_int_eq(pipe(ends), 0);
    for (int i = 0; i < PROCESSES; i++)
        start_process(i, ends, &children[i]);
    close(ends[1]);

    int64_t attempt = 0;
    int count = 0;
    for (; read(ends[0], &attempt, sizeof(attempt)) == sizeof(attempt); count++) {
        ck_assert(attempt >= 2 && attempt <= PROCESSES * ATTEMPTS + 1 && !seen[attempt]);
        seen[attempt] = true;
    }

    close(ends[0]);
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(count, PROCESSES * ATTEMPTS);
    open_relaxed();
    for (int i = 0; i < PROCESSES; i++) {
        char execution[16];
        name_execution(execution, i);
        ck_assert_int_eq(iteration_of(execution), ATTEMPTS - 1);
    }
}
END_TEST

static Suite *resume_threads_suite(void)
{
    static void (*const places[])(void) = { open_relaxed, open_in_memory };
    static const char *const names[] = { "file", "memory" };
    Suite *suite = suite_create("resume_threads");
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        TCase *tests = add_case(suite, names[i], places[i]);
        tcase_set_timeout(tests, 60);
        tcase_add_test(tests, points_of_executions_saved_at_once_are_all_there);
        tcase_add_test(tests, each_of_many_workers_loads_what_it_saved);
        tcase_add_test(tests, latest_iteration_wins_whoever_comes_last);
        tcase_add_test(tests, no_attempt_is_given_to_two_threads);
    }
    TCase *tests = add_case(suite, "processes", NULL);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, no_attempt_is_given_to_two_processes);
    return suite;
}

int main(void)
{
    return run_suite(resume_threads_suite());
}
