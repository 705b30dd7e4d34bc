/*
 * Handlers that end their process, and processes that are killed from outside: a poison event can't
 * do it for ever, and no innocent one is held responsible.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "subscriptions.h"

#include "effort.h"

#include <signal.h>
#include <sys/mman.h>
#include <time.h>

enum { EVENTS = 40 };

/* What the processes have in common. */
typedef struct shared_facts {
    int64_t poison; /* who handles this one dies; 0: none */
    int way;        /* how */
    stele_on_failure policy;
    stele_delivery delivery;
    bool by_batch;
    uint32_t tries;
    uint32_t batch_count_max;
    int pause_us;          /* in the handler */
    int calls[EVENTS + 2]; /* by position */
    int poison_calls;
    int returns; /* the poison fails by a return so many times first */
} shared_facts;

static shared_facts *facts;

static void open_with_events(void)
{
    facts = mmap(NULL, sizeof(*facts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(facts, MAP_FAILED);
    *facts = (shared_facts){ .tries = 3, .batch_count_max = 1000 };
    open_in_file();
    make_seen_table();
    for (int i = 0; i < EVENTS; i++) {
        char stream[16];
        snprintf(stream, sizeof(stream), "a-%d", i % 7);
        assert_status(append_one(stream, STELE_ANY, "t", NULL), STELE_OK);
    }
    close_store();
}

static void sleep_us(uint64_t microseconds)
{
    struct timespec pause = { .tv_sec = (time_t)(microseconds / 1000000),
                              .tv_nsec = (long)(microseconds % 1000000 * 1000) };
    nanosleep(&pause, NULL);
}

static void die_in_handler(void)
{
    if (facts->way == 0)
        _exit(9);
    signal(SIGABRT, SIG_DFL);
    if (facts->way == 1)
        abort();
    kill(getpid(), SIGKILL);
}

static stele_status handle_dangerous(void *context, const stele_record *record,
                                     const stele_handling *handling)
{
    (void)context;
    facts->calls[record->position]++;
    if (handling->transaction != NULL) {
        char sql[96];
        snprintf(sql, sizeof(sql), "INSERT INTO seen(position) VALUES(%" PRId64 ")",
                 record->position);
        if (run_in(handling->transaction, sql) != SQLITE_OK)
            return STELE_IO;
    }
    if (facts->pause_us > 0)
        sleep_us((uint64_t)facts->pause_us);
    if (record->position == facts->poison) {
        facts->poison_calls++;
        if (facts->returns-- > 0)
            return STELE_INVALID;
        die_in_handler();
    }
    return STELE_OK;
}

static stele_status handle_dangerous_batch(void *context, const stele_batch *batch,
                                           const stele_handling *handling)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < batch->count && status == STELE_OK; i++)
        status = handle_dangerous(context, batch->records[i], handling);
    return status;
}

/* Opens, runs to the end: 0 when it is done, 1 when it was refused. */
static int work_in_child(void *context)
{
    stele_store *opened = NULL;
    stele_subscription *subscription = NULL;
    stele_subscription_options options = make_catch_up("s");
    stele_handler handler = STELE_HANDLER_INIT;
    (void)context;
    options.owner = "worker";
    options.on_failure = facts->policy;
    options.delivery = facts->delivery;
    options.tries = facts->tries;
    options.batch_count_max = facts->batch_count_max;
    if (facts->by_batch)
        handler.batch = handle_dangerous_batch;
    else
        handler.event = handle_dangerous;
    if (stele_store_open(store_path(), NULL, &opened) != STELE_OK
        || stele_subscription_open(opened, &options, &subscription) != STELE_OK)
        return 2;
    stele_status status = stele_subscription_run(subscription, &handler);
    stele_subscription_close(subscription);
    stele_store_close(opened);
    return status == STELE_DONE ? 0 : (status == STELE_REFUSED ? 1 : 3);
}

static pid_t start_child(void)
{
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(work_in_child(NULL));
    return child;
}

/* Until one comes to an end of its own: its exit status. */
static int run_until_it_ends(int *deaths_out)
{
    int status = 0;
    for (*deaths_out = 0; *deaths_out < 30; (*deaths_out)++) {
        pid_t child = start_child();
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) != 9)
            return WEXITSTATUS(status);
    }
    ck_abort_msg("it dies for ever");
    return -1;
}

static int64_t number_of(const char *sql)
{
    return sql_number(store_path(), sql);
}

START_TEST(event_that_kills_its_process_is_parked_and_no_other)
{
    int deaths = 0;
    facts->policy = STELE_ON_FAILURE_PARK;
    facts->poison = 1 + _i * 13 % EVENTS;
    facts->way = _i % 3;
    facts->by_batch = _i % 2 == 1;
    facts->batch_count_max = _i % 4 == 3 ? 1 : (_i % 4 == 2 ? 7 : 1000);
    facts->delivery = _i % 5 == 4 ? STELE_AT_LEAST_ONCE : STELE_EXACTLY_ONCE;

    ck_assert_int_eq(run_until_it_ends(&deaths), 0);

    /* Once in a batch, where nothing is counted, and then alone. */
    ck_assert_int_ge(deaths, 3);
    ck_assert_int_le(deaths, 5);
    ck_assert_int_eq(number_of("SELECT count(*) FROM parked WHERE behind = 0"), 1);
    ck_assert_int_eq(number_of("SELECT position FROM parked WHERE behind = 0"), facts->poison);
    ck_assert_int_eq(number_of("SELECT position FROM checkpoints WHERE name = 's'"), EVENTS);
    if (facts->delivery == STELE_EXACTLY_ONCE)
        ck_assert_int_eq(number_of("SELECT count(DISTINCT position) FROM seen"),
                         EVENTS - number_of("SELECT count(*) FROM parked"));
}
END_TEST

START_TEST(event_that_kills_its_process_is_skipped)
{
    int deaths = 0;
    facts->policy = STELE_ON_FAILURE_SKIP;
    facts->poison = 17;

    ck_assert_int_eq(run_until_it_ends(&deaths), 0);

    ck_assert_int_eq(number_of("SELECT count(*) FROM seen"), EVENTS - 1);
    ck_assert_int_eq(number_of("SELECT count(*) FROM seen WHERE position = 17"), 0);
}
END_TEST

START_TEST(event_that_kills_its_process_stops_the_subscription)
{
    int deaths = 0;
    facts->policy = _i == 0 ? STELE_ON_FAILURE_STOP : STELE_ON_FAILURE_RETRY;
    facts->poison = 17;

    ck_assert_int_eq(run_until_it_ends(&deaths), 1);
    int calls = facts->poison_calls;
    ck_assert_int_eq(run_until_it_ends(&deaths), 1);

    ck_assert_int_eq(deaths, 0);
    ck_assert_int_eq(facts->poison_calls, calls);
    ck_assert_int_eq(number_of("SELECT position FROM checkpoints WHERE name = 's'"), 16);
    ck_assert_int_eq(number_of("SELECT count(*) FROM seen"), 16);
}
END_TEST

/* Failures that it gave back are tried for ever: one end of the process on top of many of them
 * isn't what they add up to. */
START_TEST(where_it_is_tried_for_ever_ends_of_the_process_are_counted_by_themselves)
{
    int deaths = 0;
    facts->policy = STELE_ON_FAILURE_RETRY;
    facts->poison = 17;
    facts->returns = 12;

    ck_assert_int_eq(run_until_it_ends(&deaths), 1);

    ck_assert_int_eq(deaths, (int)facts->tries);
}
END_TEST

/* --- Killed from outside --- */

/* Nobody is, and if so it is said how often it was begun. */
static void expect_none_parked(uint64_t seed)
{
    int64_t position = number_of("SELECT coalesce(min(position), 0) FROM parked WHERE behind = 0");
    ck_assert_msg(position == 0, "seed %" PRIu64 ": position %" PRId64 " was blamed after %d calls",
                  seed, position, facts->calls[position]);
}

/* The innocent are handled; the model is right; nothing is parked, skipped or stopped. */
START_TEST(processes_that_are_killed_at_random_blame_nothing)
{
    uint64_t seed = choose_seed();
    int kills = 0;
    facts->policy = STELE_ON_FAILURE_PARK;
    facts->tries = 12; /* so many kills in a row in the same try don't happen by chance */
    facts->pause_us = 300;
    facts->batch_count_max = 10;
    int status = 0;
    uint64_t longest_us = 40000;
    for (int round = 0; round < effort_of(60, 2000); round++) {
        expect_none_parked(seed);
        /* Unless a try takes longer than they let it live, as on a slow disk. */
        if (number_of("SELECT coalesce(max(attempts), 0) FROM checkpoints") > 4)
            longest_us *= 2;
        pid_t child = start_child();
        sleep_us(next_chance() % longest_us);
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        if (WIFSIGNALED(status)) {
            kills++;
            continue;
        }
        ck_assert_int_eq(WEXITSTATUS(status), 0);
        /* Again from the start. */
        memset(facts->calls, 0, sizeof(facts->calls));
        ck_assert_int_eq(number_of("SELECT count(*) FROM seen"), EVENTS);
        ck_assert_int_eq(number_of("SELECT max(position) FROM seen"), EVENTS);
        run_sql(store_path(), "DELETE FROM seen");
        open_in_file();
        assert_status(stele_checkpoint_save(store, "s", 0), STELE_OK);
        close_store();
    }
    int deaths = 0;
    ck_assert_int_eq(run_until_it_ends(&deaths), 0);

    ck_assert_int_eq(deaths, 0);
    ck_assert_int_eq(number_of("SELECT count(*) FROM seen"), EVENTS);
    ck_assert_int_eq(number_of("SELECT count(DISTINCT position) FROM seen"), EVENTS);
    ck_assert_int_eq(number_of("SELECT count(*) FROM parked"), 0);
    printf("seed %" PRIu64 ": %d processes killed\n", seed, kills);
}
END_TEST

/* The control: where one try is enough to be condemned, innocents are. */
START_TEST(control_with_one_try_only_innocents_are_blamed)
{
    uint64_t seed = choose_seed();
    int status = 0;
    facts->policy = STELE_ON_FAILURE_PARK;
    facts->tries = 1;
    facts->pause_us = 500;
    uint64_t longest_us = 40000;
    for (int round = 0; round < 300; round++) {
        pid_t child = start_child();
        sleep_us(next_chance() % longest_us);
        longest_us *= round % 60 == 59 ? 2 : 1; /* on a slow disk none gets far enough so soon */
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        if (number_of("SELECT count(*) FROM parked") > 0)
            return;
        if (WIFSIGNALED(status))
            continue;
        open_in_file();
        assert_status(stele_checkpoint_save(store, "s", 0), STELE_OK);
        close_store();
    }
    ck_abort_msg("seed %" PRIu64 ": nobody was blamed", seed);
}
END_TEST

static Suite *subscription_deaths_suite(void)
{
    Suite *suite = suite_create("subscription deaths");
    TCase *own = add_case(suite, "by the handler", open_with_events);
    tcase_set_timeout(own, 60);
    tcase_add_loop_test(own, event_that_kills_its_process_is_parked_and_no_other, 0, 12);
    tcase_add_test(own, event_that_kills_its_process_is_skipped);
    tcase_add_loop_test(own, event_that_kills_its_process_stops_the_subscription, 0, 2);
    tcase_add_test(own, where_it_is_tried_for_ever_ends_of_the_process_are_counted_by_themselves);
    TCase *outside = add_case(suite, "from outside", open_with_events);
    tcase_set_timeout(outside, 600);
    tcase_add_test(outside, processes_that_are_killed_at_random_blame_nothing);
    tcase_add_test(outside, control_with_one_try_only_innocents_are_blamed);
    return suite;
}

int main(void)
{
    return run_suite(subscription_deaths_suite());
}
