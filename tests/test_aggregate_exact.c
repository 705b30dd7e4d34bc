/*
 * Many at one stream: every command is applied exactly once, each on the state that the one before
 * left. Judged by plain SQL on the file, not by the library. STELE_EFFORT=long does ten times as
 * much. A control, which appends without saying what it decided on, must be found out.
 */
#include "account_calls.h"
#include "effort.h"

enum { THREADS = 32, HANDLES = 4, PROCESSES = 4, START = 1000, ROUNDS_MAX = 50 };

static int commands_each(void)
{
    return effort_of(12, 200);
}

/* --- Who is at work --- */

typedef struct worker {
    stele_aggregate *of;
    int number;
    int round;
    int refused;
} worker;

/* No two are alike, over all workers and rounds. */
static int command_id(const worker *self, int index)
{
    return self->round * 100000 + self->number * 1000 + index + 1;
}

/* Out of the account 1 each time: each event says what was left then. */
static stele_status decide_with_rest(void *context, const void *state, const void *what,
                                     stele_decision *decision)
{
    const account *of = state;
    const command *given = what;
    char data[128];
    (void)context;
    if (of->balance + given->amount < 0)
        return stele_decision_refuse(decision, 7, "not enough money");
    snprintf(data, sizeof(data), "{\"amount\":%" PRId64 ",\"id\":%" PRId64 ",\"rest\":%" PRId64 "}",
             given->amount, given->id, of->balance + given->amount);
    stele_event event = make_event("Moved", data);
    return stele_decision_emit_event(decision, &event);
}

static stele_decider exact_decider(void)
{
    stele_decider decider = account_decider();
    decider.unknown = true; /* the noise */
    decider.decide = decide_with_rest;
    return decider;
}

static void *withdraw_often(void *context)
{
    worker *self = context;
    for (int i = 0; i < commands_each(); i++) {
        command what = { .verb = MOVE, .amount = -1, .id = command_id(self, i) };
        stele_execute execute = make_execute("a-1", &what);
        execute.tries = 100000;
        stele_status status = stele_aggregate_execute(self->of, &execute, NULL);
        self->refused += status == STELE_REFUSED;
        if (status != STELE_REFUSED)
            assert_status(status, STELE_OK);
    }
    return NULL;
}

/* The hand-written loop that forgets what it had decided on. */
static void *withdraw_carelessly(void *context)
{
    worker *self = context;
    for (int i = 0; i < commands_each(); i++) {
        account state;
        char data[128];
        assert_status(stele_aggregate_load(self->of, "a-1", &state, NULL), STELE_OK);
        snprintf(data, sizeof(data), "{\"amount\":-1,\"id\":%d,\"rest\":%" PRId64 "}",
                 command_id(self, i), state.balance - 1);
        stele_event event = make_event("Moved", data);
        assert_status(append_event("a-1", &event), STELE_OK);
    }
    return NULL;
}

/* --- The judge --- */

typedef struct verdict {
    int64_t events;
    int64_t commands; /* different ones */
    int64_t doubled;
    int64_t wrong_rests; /* that don't follow from the event before */
    int64_t rest;
} verdict;

/* The first event puts START in; all others take 1 out. */
static verdict judge_file(void)
{
    static const char *const rests =
        "FROM (SELECT json_extract(data, '$.rest') AS rest, json_extract(data, '$.amount') AS"
        " amount, lag(json_extract(data, '$.rest')) OVER (ORDER BY position) AS before"
        " FROM events WHERE type = (SELECT id FROM types WHERE name = 'Moved'))"
        " WHERE before IS NOT NULL AND rest <> before + amount";
    char sql[1024];
    verdict found;
    sqlite3 *raw = open_raw(store_path());
    found.events =
        raw_number(raw, "SELECT count(*) FROM events WHERE json_extract(data, '$.id') IS NOT NULL");
    found.commands =
        raw_number(raw, "SELECT count(DISTINCT json_extract(data, '$.id')) FROM events");
    found.doubled = raw_number(raw, "SELECT count(*) FROM (SELECT json_extract(data, '$.id') AS id"
                                    " FROM events WHERE id IS NOT NULL GROUP BY id HAVING count(*)"
                                    " <> 1)");
    snprintf(sql, sizeof(sql), "SELECT count(*) %s", rests);
    found.wrong_rests = raw_number(raw, sql);
    found.rest = raw_number(raw, "SELECT sum(json_extract(data, '$.amount')) FROM events");
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
    return found;
}

static void put_in(int64_t amount)
{
    char data[128];
    snprintf(data, sizeof(data), "{\"amount\":%" PRId64 ",\"id\":0,\"rest\":%" PRId64 "}", amount,
             amount);
    stele_event event = make_event("Moved", data);
    assert_status(append_event("a-1", &event), STELE_OK);
}

static void expect_exactly(int64_t put, int64_t commands, int64_t refused)
{
    verdict found = judge_file();
    ck_assert_int_eq(found.events, 1 + commands - refused);
    ck_assert_int_eq(found.commands, 1 + commands - refused);
    ck_assert_int_eq(found.doubled, 0);
    ck_assert_int_eq(found.wrong_rests, 0);
    ck_assert_int_eq(found.rest, put - (commands - refused));
}

/* --- Threads --- */

static stele_store *stores[HANDLES];
static stele_aggregate *aggregates[HANDLES];

static void open_handles(int count, bool cached)
{
    stele_options fast = STELE_OPTIONS_INIT;
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    fast.durability = STELE_DURABILITY_RELAXED;
    fast.busy_timeout_ms = 120000;
    if (!cached)
        options.cache_count_max = 0;
    for (int i = 0; i < count; i++) {
        stores[i] = open_path(store_path(), &fast);
        register_moves(stores[i]);
        aggregates[i] = open_aggregate(stores[i], exact_decider(), &options);
    }
    store = stores[0];
}

static void close_handles(void)
{
    for (int i = 0; i < HANDLES; i++) {
        stele_aggregate_close(aggregates[i]);
        stele_store_close(stores[i]);
        aggregates[i] = NULL;
        stores[i] = NULL;
    }
    store = NULL;
    remove_test_folder();
}

static int run_workers(void *(*work)(void *context), int handles, int round)
{
    pthread_t threads[THREADS];
    worker workers[THREADS];
    int refused = 0;
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){ .of = aggregates[i % handles], .number = i + 1, .round = round };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        refused += workers[i].refused;
    }
    return refused;
}

static uint64_t count_conflicts(int handles)
{
    uint64_t conflicts = 0;
    for (int i = 0; i < handles; i++) {
        stele_aggregate_info info = { .struct_size = sizeof(info) };
        assert_status(stele_aggregate_describe(aggregates[i], &info), STELE_OK);
        conflicts += info.conflicts;
    }
    return conflicts;
}

/* On one handle they take turns, and there is no conflict; with several there must be some. On a
 * busy machine the threads may come one after the other by chance: then they do it again. */
START_TEST(threads_apply_every_command_exactly_once)
{
    static const struct {
        int handles;
        bool cached;
    } ways[] = { { 1, true }, { 1, false }, { HANDLES, true }, { HANDLES, false } };
    int commands = THREADS * commands_each();
    int64_t put = (int64_t)commands * ROUNDS_MAX + START;
    int refused = 0;
    int rounds = 0;
    uint64_t conflicts;
    open_handles(ways[_i].handles, ways[_i].cached);
    put_in(put);

    do {
        refused += run_workers(withdraw_often, ways[_i].handles, rounds++);
        conflicts = count_conflicts(ways[_i].handles);
    } while (ways[_i].handles > 1 && conflicts == 0 && rounds < ROUNDS_MAX);

    printf("exactly once: %d commands, %d handles, %s cache, %" PRIu64 " conflicts in %d rounds\n",
           commands, ways[_i].handles, ways[_i].cached ? "with" : "without", conflicts, rounds);
    ck_assert_int_eq(refused, 0);
    if (ways[_i].handles == 1)
        ck_assert_uint_eq(conflicts, 0);
    else
        ck_assert_uint_gt(conflicts, 0);
    expect_exactly(put, (int64_t)commands * rounds, 0);
}
END_TEST

/* What is there is enough for half of them: so many are refused, and not one more or less. */
START_TEST(threads_never_take_out_more_than_there_is)
{
    int commands = THREADS * commands_each();
    int handles = _i == 0 ? 1 : HANDLES;
    open_handles(handles, true);
    put_in(commands / 2);

    int refused = run_workers(withdraw_often, handles, 0);

    ck_assert_int_eq(refused, commands - commands / 2);
    expect_exactly(commands / 2, commands, refused);
}
END_TEST

/* On a busy machine the threads may come one after the other by chance, and lose nothing: then
 * they do it again. */
START_TEST(control_that_appends_whatever_is_there_loses_updates)
{
    int commands = THREADS * commands_each();
    int rounds = 0;
    verdict found;
    open_handles(1, true);
    put_in(commands + START);

    do {
        run_workers(withdraw_carelessly, 1, rounds++);
        found = judge_file();
    } while (found.wrong_rests == 0 && rounds < ROUNDS_MAX);

    printf("carelessly: %" PRId64 " updates lost in %d rounds\n", found.wrong_rests, rounds);
    ck_assert_int_eq(found.events, 1 + (int64_t)commands * rounds);
    ck_assert_int_gt(found.wrong_rests, 0);
}
END_TEST

/* --- By the defaults, beside somebody who only appends --- */

/* Of no amount, so that it isn't in the way of the judge. */
static stele_status append_noise(stele_store *to)
{
    stele_event event = make_event("Noise", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    return stele_store_append(to, &append, NULL);
}

static atomic_bool quiet;
static _Atomic(int64_t) noises;

static void *append_in_a_loop(void *context)
{
    (void)context;
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    options.busy_timeout_ms = 120000;
    stele_store *noisy = open_path(store_path(), &options);
    while (!atomic_load(&quiet)) {
        assert_status(append_noise(noisy), STELE_OK);
        atomic_fetch_add(&noises, 1);
    }
    stele_store_close(noisy);
    return NULL;
}

/* As many tries as the options say: nobody may be left with a conflict. */
static void *withdraw_by_the_defaults(void *context)
{
    worker *self = context;
    for (int i = 0; i < commands_each(); i++) {
        command what = { .verb = MOVE, .amount = -1, .id = command_id(self, i) };
        stele_execute execute = make_execute("a-1", &what);
        stele_executed out;
        assert_status(stele_aggregate_execute(self->of, &execute, &out), STELE_OK);
        ck_assert_uint_le(out.tries, 4);
    }
    return NULL;
}

/* It is there, however late its thread comes to that. */
static pthread_t start_noise(void)
{
    pthread_t noise;
    atomic_store(&noises, 0);
    atomic_store(&quiet, false);
    ck_assert_int_eq(pthread_create(&noise, NULL, append_in_a_loop, NULL), 0);
    while (atomic_load(&noises) == 0)
        nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
    return noise;
}

static void end_noise(pthread_t noise)
{
    atomic_store(&quiet, true);
    pthread_join(noise, NULL);
}

START_TEST(nobody_is_starved_on_a_busy_stream)
{
    int commands = THREADS * commands_each();
    int64_t put = (int64_t)commands * ROUNDS_MAX + START;
    int rounds = 0;
    open_handles(HANDLES, true);
    put_in(put);
    pthread_t noise = start_noise();
    int64_t before = atomic_load(&noises);

    do
        run_workers(withdraw_by_the_defaults, HANDLES, rounds++);
    while ((count_conflicts(HANDLES) == 0 || atomic_load(&noises) == before)
           && rounds < ROUNDS_MAX);

    end_noise(noise);
    int64_t beside = atomic_load(&noises) - before;
    printf("by the defaults: %d commands beside %" PRId64 " appends, %" PRIu64 " conflicts\n",
           commands, beside, count_conflicts(HANDLES));
    ck_assert_uint_gt(count_conflicts(HANDLES), 0);
    ck_assert_int_gt(beside, 0);
    expect_exactly(put, (int64_t)commands * rounds, 0);
}
END_TEST

/* --- Processes --- */

static int work_in_process(int number, void *(*work)(void *context))
{
    worker self = { .number = number };
    open_handles(1, true);
    self.of = aggregates[0];
    work(&self);
    close_handles();
    return self.refused;
}

START_TEST(processes_apply_every_command_exactly_once)
{
    pid_t children[PROCESSES];
    void *(*work)(void *context) = _i == 0 ? withdraw_often : withdraw_by_the_defaults;
    int commands = PROCESSES * commands_each();
    store = open_path(store_path(), NULL);
    put_in(commands + START);
    close_store();
    fflush(NULL);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0)
            _exit(work_in_process(i + 1, work));
    }
    pthread_t noise;
    if (_i == 1)
        noise = start_noise();
    for (int i = 0; i < PROCESSES; i++) {
        int outcome = 0;
        ck_assert_int_eq(waitpid(children[i], &outcome, 0), children[i]);
        ck_assert_int_eq(outcome, 0);
    }
    if (_i == 1)
        end_noise(noise);

    expect_exactly(commands + START, commands, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_exact");
    TCase *tests = tcase_create("exactly once");
    tcase_add_checked_fixture(tests, reset_teller, close_handles);
    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 600);
    tcase_add_loop_test(tests, threads_apply_every_command_exactly_once, 0, 4);
    tcase_add_loop_test(tests, threads_never_take_out_more_than_there_is, 0, 2);
    tcase_add_test(tests, control_that_appends_whatever_is_there_loses_updates);
    tcase_add_test(tests, nobody_is_starved_on_a_busy_stream);
    tcase_add_loop_test(tests, processes_apply_every_command_exactly_once, 0, 2);
    return run_suite(suite);
}
