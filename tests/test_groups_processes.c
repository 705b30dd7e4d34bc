/*
 * Lanes over processes: members that are killed, or sleep for longer than their lease. Plain SQL on
 * what their handlers wrote judges them.
 */
#include "effort.h"
#include "groups.h"

#include <signal.h>

enum { LANES = 6, MEMBERS = 4, LEASE_MS = 1000 };

static void make_store(void)
{
    open_in_file();
    make_handled_table();
    append_spread(store, 0, 100);
    close_store();
}

/* --- Members --- */

static stele_status write_record(stele_transaction *transaction, const stele_record *record,
                                 const stele_batch *batch)
{
    stele_handling handling = { .transaction = transaction, .batch = batch };
    return write_down(NULL, record, &handling);
}

/* The control: what it did and where it is are two commits, and nobody compares. */
static int work_carelessly(stele_store *own, const stele_subscription_options *options)
{
    stele_subscription *member = NULL;
    const stele_batch *batch = NULL;
    if (stele_subscription_open(own, options, &member) != STELE_OK)
        return 2;
    for (;;) {
        stele_transaction *transaction = NULL;
        if (stele_subscription_next(member, NULL, &batch) != STELE_OK
            || stele_transaction_begin(own, &transaction) != STELE_OK)
            continue;
        stele_status status = STELE_OK;
        for (size_t i = 0; i < batch->count && status == STELE_OK; i++)
            status = write_record(transaction, batch->records[i], batch);
        if (status == STELE_OK)
            status = stele_transaction_commit(transaction);
        stele_transaction_end(transaction);
        sleep_ms(30);
        if (status == STELE_OK)
            (void)stele_subscription_ack(member, batch->through);
    }
}

static int be_a_member(const char *path, bool careless)
{
    stele_options opening = STELE_OPTIONS_INIT;
    stele_subscription_options options = make_group(LANES);
    stele_subscription *member = NULL;
    stele_store *own = NULL;
    stele_handler handler = writing_down(NULL);
    options.lease_ms = LEASE_MS;
    opening.poll_interval_ms = 20;
    if (stele_store_open(path, &opening, &own) != STELE_OK)
        return 1;
    if (careless)
        return work_carelessly(own, &options);
    if (stele_subscription_open(own, &options, &member) != STELE_OK)
        return 2;
    stele_status status = stele_subscription_run(member, &handler);
    fprintf(stderr, "a member ended: %s: %s\n", stele_status_name(status), stele_error_text());
    return 3;
}

static volatile sig_atomic_t told_to_end;

static void end_soon(int number)
{
    (void)number;
    told_to_end = 1;
}

static int append_until_told(const char *path)
{
    stele_store *own = NULL;
    signal(SIGTERM, end_soon);
    if (stele_store_open(path, NULL, &own) != STELE_OK)
        return 1;
    for (int i = 100; !told_to_end; i++) {
        char stream[32];
        snprintf(stream, sizeof(stream), "s-%d", i * 7 % GROUP_STREAMS);
        stele_status status = append_to(own, stream, STELE_ANY, "t", NULL);
        if (status != STELE_OK && status != STELE_BUSY)
            return 2;
        sleep_ms(3);
    }
    stele_store_close(own);
    return 0;
}

/* --- What happens to them --- */

static pid_t start_member(const char *path, bool careless)
{
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(be_a_member(path, careless));
    return child;
}

static void kill_member(pid_t child)
{
    int status = 0;
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status), "a member had ended with %d", WEXITSTATUS(status));
}

static void end_appender(pid_t appender)
{
    int status = 0;
    kill(appender, SIGTERM);
    ck_assert_int_eq(waitpid(appender, &status, 0), appender);
    ck_assert_int_eq(status, 0);
}

static void trouble_members(const char *path, bool careless, int troubles, pid_t appender)
{
    pid_t members[MEMBERS];
    for (int i = 0; i < MEMBERS; i++)
        members[i] = start_member(path, careless);
    for (int i = 0; i < troubles; i++) {
        size_t chosen = next_chance() % MEMBERS;
        sleep_ms((long)(next_chance() % 200));
        if (effort_is_long() ? one_in(4) : i == 2) {
            kill(members[chosen], SIGSTOP);
            sleep_ms(LEASE_MS + 300);
            kill(members[chosen], SIGCONT);
            continue;
        }
        kill_member(members[chosen]);
        members[chosen] = start_member(path, careless);
    }
    end_appender(appender);
    for (int i = 0; i < 3000; i++) {
        if (sql_number(path, "SELECT (SELECT min(position) FROM checkpoints)"
                             " >= (SELECT max(position) FROM events)"))
            break;
        sleep_ms(20);
    }
    for (int i = 0; i < MEMBERS; i++)
        kill_member(members[i]);
}

static group_flaws run_members(bool careless, int troubles)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s", store_path());
    fflush(NULL);
    pid_t appender = fork();
    ck_assert_int_ge(appender, 0);
    if (appender == 0)
        _exit(append_until_told(path));
    trouble_members(path, careless, troubles, appender);
    ck_assert_int_eq(sql_number(path, "SELECT min(position) FROM checkpoints"),
                     sql_number(path, "SELECT max(position) FROM events"));
    return find_flaws(path);
}

START_TEST(each_event_is_handled_once_by_members_that_are_killed_and_stopped)
{
    uint64_t seed = choose_seed();
    int troubles = effort_is_long() ? 300 : 6;

    group_flaws flaws = run_members(false, troubles);

    printf("# member processes: seed %" PRIu64 ", %d troubles, %" PRId64 " events\n", seed,
           troubles, sql_number(store_path(), "SELECT count(*) FROM handled"));
    ck_assert_int_eq(flaws.missing, 0);
    ck_assert_int_eq(flaws.doubled, 0);
    ck_assert_int_eq(flaws.disordered, 0);
    ck_assert_int_eq(flaws.split, 0);
}
END_TEST

START_TEST(control_that_compares_nothing_handles_some_twice)
{
    uint64_t seed = choose_seed();

    /* Where each one was killed is chance. */
    group_flaws flaws = run_members(true, 6);
    for (int i = 0; i < 10 && flaws.doubled + flaws.missing == 0; i++)
        flaws = run_members(true, 6);

    printf("# careless processes: seed %" PRIu64 ", %" PRId64 " twice\n", seed, flaws.doubled);
    ck_assert_int_gt(flaws.doubled + flaws.missing, 0);
}
END_TEST

/* --- One that sleeps with a batch --- */

typedef struct sleeper_pipes {
    int lent[2]; /* it has a batch */
    int over[2]; /* its lease has ended */
} sleeper_pipes;

static int sleep_with_a_batch(const char *path, const sleeper_pipes *pipes)
{
    stele_subscription_options options = make_group(LANES);
    stele_subscription *member = NULL;
    stele_store *own = NULL;
    const stele_batch *batch = NULL;
    stele_transaction *transaction = NULL;
    char byte = 0;
    options.lease_ms = LEASE_MS;
    if (stele_store_open(path, NULL, &own) != STELE_OK
        || stele_subscription_open(own, &options, &member) != STELE_OK
        || stele_subscription_next(member, NULL, &batch) != STELE_OK
        || write(pipes->lent[1], "x", 1) != 1)
        return 1;
    /* It is stopped here. */
    if (read(pipes->over[0], &byte, 1) != 1
        || stele_transaction_begin(own, &transaction) != STELE_OK)
        return 2;
    for (size_t i = 0; i < batch->count; i++)
        if (write_record(transaction, batch->records[i], batch) != STELE_OK)
            return 3;
    stele_status acked = stele_transaction_subscription_ack(transaction, member, batch->through);
    stele_status committed = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    if (acked != STELE_FENCED || committed == STELE_OK)
        return 4;
    /* It is still a member, and gets what is to be had. */
    stele_status next;
    do
        next = stele_subscription_next(member, NULL, &batch);
    while (next == STELE_FENCED);
    return next == STELE_OK ? 0 : 5;
}

START_TEST(owner_that_wakes_after_its_lease_is_refused)
{
    sleeper_pipes pipes;
    char path[4096];
    char byte = 0;
    int status = 0;
    snprintf(path, sizeof(path), "%s", store_path());
    ck_assert_int_eq(pipe(pipes.lent), 0);
    ck_assert_int_eq(pipe(pipes.over), 0);
    fflush(NULL);
    pid_t sleeper = fork();
    if (sleeper == 0)
        _exit(sleep_with_a_batch(path, &pipes));
    ck_assert_int_eq(read(pipes.lent[0], &byte, 1), 1);
    kill(sleeper, SIGSTOP);

    open_in_file();
    stele_subscription_options options = make_group(LANES);
    options.lease_ms = LEASE_MS;
    stele_handler handler = writing_down(NULL);
    stele_worker *worker = NULL;
    assert_status(stele_worker_start(store, &options, &handler, 1, &worker), STELE_OK);
    wait_until_handled(100);
    kill(sleeper, SIGCONT);
    ck_assert_int_eq(write(pipes.over[1], "x", 1), 1);
    /* New events, until it got one of its own. */
    pid_t ended = 0;
    for (int i = 0; i < 1000 && ended == 0; i++) {
        append_spread(store, i, GROUP_STREAMS);
        sleep_ms(20);
        ended = waitpid(sleeper, &status, WNOHANG);
    }
    stele_worker_close(worker);

    ck_assert_int_eq(ended, sleeper);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it ended with %d",
                  WEXITSTATUS(status));
    group_flaws flaws = find_flaws(path);
    ck_assert_int_eq(flaws.doubled, 0);
    ck_assert_int_eq(flaws.disordered, 0);
}
END_TEST

static Suite *groups_processes_processes_1(void)
{
    Suite *suite = suite_create("groups_processes");
    TCase *processes = add_case(suite, "processes", make_store);
    tcase_set_timeout(processes, 600);
    tcase_add_test(processes, each_event_is_handled_once_by_members_that_are_killed_and_stopped);
    return suite;
}

static Suite *groups_processes_processes_2(void)
{
    Suite *suite = suite_create("groups_processes");
    TCase *processes = add_case(suite, "processes", make_store);
    tcase_set_timeout(processes, 600);
    tcase_add_test(processes, control_that_compares_nothing_handles_some_twice);
    return suite;
}

static Suite *groups_processes_processes_3(void)
{
    Suite *suite = suite_create("groups_processes");
    TCase *processes = add_case(suite, "processes", make_store);
    tcase_set_timeout(processes, 600);
    tcase_add_test(processes, owner_that_wakes_after_its_lease_is_refused);
    return suite;
}

/* Half of their time they wait for leases to end. */
int main(void)
{
    static Suite *(*const suites[])(void) = { groups_processes_processes_1,
                                              groups_processes_processes_2,
                                              groups_processes_processes_3 };
    return run_suites_together(suites, COUNT_OF(suites));
}
