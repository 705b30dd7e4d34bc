/* Several handles of one name, without lanes: one works, the others stand by. */
#include "effort.h"
#include "groups.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

enum { LEASE_MS = 1000 };

static void open_with_twenty(void)
{
    open_in_file();
    make_handled_table();
    append_spread(store, 0, 20);
}

static stele_subscription *stand_by_for(const char *owner, uint32_t lease_ms)
{
    stele_subscription_options options = make_subscription("g");
    options.owner = owner;
    options.lease_ms = lease_ms;
    options.batch_count_max = 7;
    return open_subscription(&options);
}

static stele_subscription *stand_by(const char *owner)
{
    return stand_by_for(owner, LEASE_MS);
}

/* All that comes within `timeout_ms`. */
static size_t work_off(stele_subscription *subscription, uint32_t timeout_ms)
{
    stele_wait wait = wait_for_ms(timeout_ms);
    const stele_batch *batch = NULL;
    size_t count = 0;
    stele_status status;
    while ((status = stele_subscription_next(subscription, &wait, &batch)) == STELE_OK) {
        count += batch->count;
        assert_status(stele_subscription_ack(subscription, batch->through), STELE_OK);
    }
    ck_assert_msg(status == STELE_TIMED_OUT, "%s: %s", stele_status_name(status),
                  stele_error_text());
    return count;
}

static int64_t generation(void)
{
    return sql_number(store_path(), "SELECT generation FROM checkpoints WHERE name = 'g'");
}

/* Where an owner is to keep it, a slow machine needs a longer lease than a fast one. */
static void keep_it_in_time(bool (*keeps)(uint32_t lease_ms))
{
    uint32_t lease_ms = LEASE_MS;
    for (int turn = 0; turn < 4; turn++, lease_ms *= 2) {
        if (keeps(lease_ms))
            return;
        assert_status(stele_checkpoint_reset(store, "g", NULL), STELE_OK);
    }
    ck_abort_msg("not once kept, not even with half of %" PRIu32 " ms", lease_ms);
}

START_TEST(other_waits_while_the_owner_works)
{
    stele_subscription *a = stand_by_for("a", STELE_LEASE_MS_MAX);
    stele_subscription *b = stand_by_for("b", STELE_LEASE_MS_MAX);
    int64_t through = pull(a)->through;

    ck_assert_uint_eq(work_off(b, 100), 0);
    assert_status(stele_subscription_ack(a, through), STELE_OK);
    ck_assert_uint_eq(work_off(b, 100), 0);

    ck_assert_uint_eq(work_off(a, 0), 20 - 7);
    ck_assert_int_eq(generation(), 1);
    stele_subscription_close(a);
    stele_subscription_close(b);
}
END_TEST

START_TEST(name_that_is_given_up_is_taken_without_waiting_for_its_lease)
{
    stele_subscription_options options = make_subscription("g");
    options.lease_ms = STELE_LEASE_MS_MAX;
    stele_subscription *a = open_subscription(&options);
    stele_subscription *b = open_subscription(&options);
    int64_t through = pull(a)->through;
    ck_assert_uint_eq(work_off(b, 50), 0);
    assert_status(stele_subscription_ack(a, through), STELE_OK);
    append_spread(store, 20, 5);

    stele_subscription_close(a);

    ck_assert_uint_eq(pull(b)->count, 5);
    stele_subscription_close(b);
}
END_TEST

/* Both have seen that nobody has it; one was faster. */
START_TEST(name_that_was_claimed_since_the_last_look_is_not_taken)
{
    stele_subscription *first = stand_by("first");
    ck_assert_uint_eq(work_off(first, 0), 20);
    stele_subscription_close(first);
    stele_subscription *a = stand_by_for("a", STELE_LEASE_MS_MAX);
    stele_subscription *b = stand_by_for("b", STELE_LEASE_MS_MAX);
    expect_nothing(a);
    expect_nothing(b);
    append_spread(store, 20, 3);
    int64_t through = pull(a)->through;

    ck_assert_uint_eq(work_off(b, 0), 0);

    assert_status(stele_subscription_ack(a, through), STELE_OK);
    ck_assert_int_eq(generation(), 2);
    stele_subscription_close(a);
    stele_subscription_close(b);
}
END_TEST

static bool keep_it_over_acknowledgements(uint32_t lease_ms)
{
    stele_subscription *a = stand_by_for("a", lease_ms);
    stele_subscription *b = stand_by_for("b", lease_ms);
    pull(a);
    int64_t claimed = generation();
    bool kept = true;

    for (int64_t position = 1; position <= 6 && kept; position++)
        kept =
            stele_subscription_ack(a, position) == STELE_OK && work_off(b, lease_ms * 3 / 10) == 0;

    kept = kept && stele_subscription_ack(a, 7) == STELE_OK && generation() == claimed;
    stele_subscription_close(a);
    stele_subscription_close(b);
    return kept;
}

START_TEST(owner_that_works_longer_than_its_lease_keeps_it)
{
    keep_it_in_time(keep_it_over_acknowledgements);
}
END_TEST

typedef struct slow_run {
    stele_subscription *subscription;
    uint32_t lease_ms;
} slow_run;

static stele_status handle_slowly(void *context, const stele_record *record,
                                  const stele_handling *handling)
{
    const slow_run *run = context;
    (void)record;
    (void)handling;
    sleep_ms((long)run->lease_ms / 5);
    return STELE_OK;
}

/* Seven events at a time, and each takes a fifth of the lease. */
static void *run_slowly(void *context)
{
    const slow_run *run = context;
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = handle_slowly;
    handler.context = context;
    return stele_subscription_run(run->subscription, &handler) == STELE_CANCELLED ? context : NULL;
}

static bool keep_it_in_a_slow_handler(uint32_t lease_ms)
{
    pthread_t thread;
    void *cancelled = NULL;
    stele_subscription_options options = make_subscription("g");
    options.owner = "a";
    options.lease_ms = lease_ms;
    options.batch_count_max = 7;
    options.delivery = STELE_AT_LEAST_ONCE;
    slow_run run = { open_subscription(&options), lease_ms };
    stele_subscription *b = stand_by_for("b", lease_ms);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_slowly, &run), 0);
    while (lanes_of("a") == 0)
        sleep_ms(5);
    int64_t claimed = generation();

    bool kept = work_off(b, 2 * lease_ms) == 0;

    stele_subscription_stop(run.subscription);
    pthread_join(thread, &cancelled);
    ck_assert_ptr_nonnull(cancelled);
    kept = kept && generation() == claimed;
    stele_subscription_close(run.subscription);
    stele_subscription_close(b);
    return kept;
}

START_TEST(handler_that_is_slow_without_a_transaction_keeps_its_lease)
{
    keep_it_in_time(keep_it_in_a_slow_handler);
}
END_TEST

START_TEST(silent_owner_is_overtaken_after_its_lease_and_refused)
{
    stele_subscription *a = stand_by("a");
    stele_subscription *b = stand_by("b");
    int64_t through = pull(a)->through;

    const stele_batch *batch = pull(b);
    ck_assert_int_eq(batch->after, 0);
    assert_status(stele_subscription_ack(a, through), STELE_FENCED);
    assert_status(stele_subscription_ack(b, batch->through), STELE_OK);

    ck_assert_int_eq(generation(), 2);
    ck_assert_uint_eq(work_off(a, 0), 0);
    ck_assert_uint_eq(work_off(b, 0), 20 - 1);
    stele_subscription_close(a);
    stele_subscription_close(b);
}
END_TEST

START_TEST(batch_of_an_overtaken_owner_is_not_lent_again)
{
    stele_subscription *a = stand_by("a");
    stele_subscription *b = stand_by("b");
    const stele_batch *batch = NULL;
    stele_transaction *transaction = NULL;
    int64_t through = pull(a)->through;
    for (size_t count = 0; count < 20;) {
        const stele_batch *taken = pull(b);
        count += taken->count;
        assert_status(stele_subscription_ack(b, taken->through), STELE_OK);
    }

    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    assert_status(stele_transaction_subscription_ack(transaction, a, through), STELE_FENCED);
    assert_status(stele_transaction_commit(transaction), STELE_FENCED);
    stele_transaction_end(transaction);

    stele_wait wait = wait_for_ms(50);
    stele_status status = stele_subscription_next(a, &wait, &batch);
    ck_assert_msg(status == STELE_FENCED || status == STELE_TIMED_OUT, "%s",
                  stele_status_name(status));
    ck_assert_uint_eq(work_off(a, 0), 0);
    stele_subscription_close(a);
    stele_subscription_close(b);
}
END_TEST

/* --- An idle owner --- */

typedef struct standing {
    stele_subscription *subscription;
    seen_events *seen;
} standing;

static void *run_standing(void *context)
{
    standing *self = context;
    stele_handler handler = seeing(self->seen);
    return stele_subscription_run(self->subscription, &handler) == STELE_CANCELLED ? NULL : context;
}

static bool keep_it_while_idle(void)
{
    static seen_events seen[2];
    pthread_t threads[2];
    void *failed = NULL;
    standing handles[2] = { { stand_by("a"), &seen[0] }, { stand_by("b"), &seen[1] } };
    memset(seen, 0, sizeof(seen));
    ck_assert_uint_ge(work_off(handles[0].subscription, 0), 20);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_standing, &handles[i]), 0);

    /* Its lease ends, for there is nothing to do. */
    sleep_ms(LEASE_MS + 200);
    append_spread(store, 20, 5);
    wait_until_handled(head_of(store));

    for (int i = 0; i < 2; i++)
        stele_subscription_stop(handles[i].subscription);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
        stele_subscription_close(handles[i].subscription);
    }
    ck_assert_uint_eq(seen[0].count + seen[1].count, 5);
    return seen[1].count == 0;
}

/* The other waits for it a quarter of a second: a slow machine doesn't always get by with that. */
START_TEST(idle_owner_keeps_its_work_when_there_is_some_again)
{
    bool kept = false;
    make_seen_table();
    for (int turn = 0; turn < 5 && !kept; turn++) {
        if (turn > 0)
            append_spread(store, 0, 20);
        kept = keep_it_while_idle();
    }
    ck_assert(kept);
}
END_TEST

START_TEST(handles_that_stand_by_write_nothing)
{
    stele_subscription *a = stand_by("a");
    stele_subscription *b = stand_by("b");
    ck_assert_uint_eq(work_off(a, 0), 20);
    ck_assert_uint_eq(work_off(b, 0), 0);
    sqlite3 *raw = open_raw(store_path());
    int64_t version = raw_number(raw, "PRAGMA data_version");

    ck_assert_uint_eq(work_off(b, 1300), 0);
    ck_assert_uint_eq(work_off(a, 100), 0);

    ck_assert_int_eq(raw_number(raw, "PRAGMA data_version"), version);
    sqlite3_close(raw);
    stele_subscription_close(a);
    stele_subscription_close(b);
}
END_TEST

/* --- Rivals --- */

START_TEST(workers_of_one_name_handle_each_event_once)
{
    enum { RIVALS = 4 };
    stele_worker *workers[RIVALS] = { NULL };
    uint64_t seed = choose_seed();
    int events = effort_of(600, 20000);
    stele_subscription_options options = make_subscription("g");
    options.lease_ms = LEASE_MS;
    options.batch_count_max = 7;
    stele_handler handler = writing_down(NULL);

    for (int i = 20; i < events; i += 10) {
        size_t chosen = next_chance() % RIVALS;
        append_spread(store, i, 10);
        if (workers[chosen] == NULL) {
            assert_status(stele_worker_start(store, &options, &handler, 1, &workers[chosen]),
                          STELE_OK);
        } else if (one_in(3)) {
            stele_worker_close(workers[chosen]);
            workers[chosen] = NULL;
        }
    }
    if (workers[0] == NULL)
        assert_status(stele_worker_start(store, &options, &handler, 1, &workers[0]), STELE_OK);
    wait_until_handled(head_of(store));
    for (int i = 0; i < RIVALS; i++)
        stele_worker_close(workers[i]);

    printf("# rivals: seed %" PRIu64 ", %d events\n", seed, events);
    expect_handled_once();
}
END_TEST

/* --- Processes --- */

static int run_until_killed(const char *path)
{
    stele_store *own = NULL;
    stele_subscription *subscription = NULL;
    stele_subscription_options options = make_subscription("g");
    stele_options opening = STELE_OPTIONS_INIT;
    stele_handler handler = writing_down(NULL);
    options.lease_ms = LEASE_MS;
    options.batch_count_max = 7;
    opening.poll_interval_ms = 20;
    if (stele_store_open(path, &opening, &own) != STELE_OK
        || stele_subscription_open(own, &options, &subscription) != STELE_OK)
        return 1;
    (void)stele_subscription_run(subscription, &handler);
    fprintf(stderr, "it ended: %s\n", stele_error_text());
    return 2;
}

static pid_t start_process(const char *path)
{
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(run_until_killed(path));
    return child;
}

START_TEST(name_of_an_owner_that_was_killed_is_taken_after_its_lease)
{
    char path[4096];
    pid_t children[3];
    int status = 0;
    uint64_t seed = choose_seed();
    int rounds = effort_is_long() ? 60 : 3;
    snprintf(path, sizeof(path), "%s", store_path());
    close_store();
    for (int i = 0; i < 3; i++)
        children[i] = start_process(path);

    for (int round = 0; round < rounds; round++) {
        store = open_path(path, NULL);
        append_spread(store, 100 * round, 40);
        close_store();
        sleep_ms((long)(next_chance() % 60));
        for (int i = 0; i < 2; i++) {
            size_t chosen = next_chance() % 3;
            kill(children[chosen], SIGKILL);
            ck_assert_int_eq(waitpid(children[chosen], &status, 0), children[chosen]);
            ck_assert(WIFSIGNALED(status));
            children[chosen] = start_process(path);
        }
    }
    store = open_path(path, NULL);
    wait_until_handled(head_of(store));
    for (int i = 0; i < 3; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], &status, 0);
    }

    printf("# killed owners: seed %" PRIu64 ", %d rounds\n", seed, rounds);
    expect_handled_once();
}
END_TEST

static Suite *standby_turns_1(void)
{
    Suite *suite = suite_create("standby");
    TCase *turns = add_case(suite, "turns", open_with_twenty);
    tcase_set_timeout(turns, 60);
    tcase_add_test(turns, other_waits_while_the_owner_works);
    tcase_add_test(turns, handler_that_is_slow_without_a_transaction_keeps_its_lease);
    tcase_add_test(turns, silent_owner_is_overtaken_after_its_lease_and_refused);
    return suite;
}

static Suite *standby_turns_2(void)
{
    Suite *suite = suite_create("standby");
    TCase *turns = add_case(suite, "turns", open_with_twenty);
    tcase_set_timeout(turns, 60);
    tcase_add_test(turns, name_that_is_given_up_is_taken_without_waiting_for_its_lease);
    tcase_add_test(turns, name_that_was_claimed_since_the_last_look_is_not_taken);
    tcase_add_test(turns, owner_that_works_longer_than_its_lease_keeps_it);
    tcase_add_test(turns, batch_of_an_overtaken_owner_is_not_lent_again);
    return suite;
}

static Suite *standby_idle_1(void)
{
    Suite *suite = suite_create("standby");
    TCase *idle = add_case(suite, "idle", open_with_twenty);
    tcase_add_test(idle, idle_owner_keeps_its_work_when_there_is_some_again);
    return suite;
}

static Suite *standby_idle_2(void)
{
    Suite *suite = suite_create("standby");
    TCase *idle = add_case(suite, "idle", open_with_twenty);
    tcase_add_test(idle, handles_that_stand_by_write_nothing);
    return suite;
}

static Suite *standby_rivals_1(void)
{
    Suite *suite = suite_create("standby");
    TCase *rivals = add_case(suite, "rivals", open_with_twenty);
    tcase_set_timeout(rivals, 300);
    tcase_add_test(rivals, workers_of_one_name_handle_each_event_once);
    return suite;
}

static Suite *standby_rivals_2(void)
{
    Suite *suite = suite_create("standby");
    TCase *rivals = add_case(suite, "rivals", open_with_twenty);
    tcase_set_timeout(rivals, 300);
    tcase_add_test(rivals, name_of_an_owner_that_was_killed_is_taken_after_its_lease);
    return suite;
}

/* Half of their time they wait for leases to end. */
int main(void)
{
    static Suite *(*const suites[])(void) = { standby_turns_1, standby_turns_2,  standby_idle_1,
                                              standby_idle_2,  standby_rivals_1, standby_rivals_2 };
    return run_suites_together(suites, COUNT_OF(suites));
}
