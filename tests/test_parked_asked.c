/* Asking for the replay of parked events, and processes that end in the middle of one. */
#include "lifecycles.h"
#include "parkings.h"

#include <signal.h>
#include <time.h>

static stele_subscription_options options;
static stele_parked_choice choice;
static stele_parked_counts counts;

static void open_for_replay(void)
{
    open_with_parked();
    options = make_parking("s");
    choice = choose("s");
    counts = (stele_parked_counts){ 0 };
}

static stele_status replay(void)
{
    return replay_with(&options, &choice, &counts);
}

static stele_status take_over(void)
{
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    claim.owner = "thief";
    claim.force = true;
    return stele_checkpoint_claim_take(store, "s", &claim, NULL);
}

/* --- Processes that end in the middle --- */

static stele_status end_process(void *context, const stele_record *record,
                                const stele_handling *handling)
{
    if (record->position == seen.poison)
        _exit(7);
    return see_event(context, record, handling);
}

static int replay_in_child(void *context)
{
    (void)context;
    store = open_path(store_path(), NULL);
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = seeing(&seen);
    handler.event = end_process;
    stele_status status = stele_subscription_replay(subscription, &choice, &handler, &counts);
    stele_subscription_close(subscription);
    stele_store_close(store);
    return status == STELE_OK ? 0 : 1;
}

START_TEST(process_that_ends_in_a_replay_leaves_the_event_with_its_try_counted)
{
    options.lease_ms = 1000;
    seen.poison = 7;
    close_store();

    ck_assert_int_eq(run_in_child(replay_in_child, NULL), 7);

    open_in_file();
    ck_assert_str_eq(parked_text("s"), "7<5 9<5");
    ck_assert_int_eq(parked_at("s", 7).attempts, 1);
    seen.poison = 0;
    nanosleep(&(struct timespec){ 1, 100000000 }, NULL);
    assert_status(replay(), STELE_OK);
    ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10 5 7 9");
}
END_TEST

/* --- Asked --- */

START_TEST(run_replays_what_was_asked_for_first)
{
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(stele_parked_ask(store, &choice, NULL), STELE_OK);

    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_str_eq(parked_text("s"), "");
    ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10 5 7 9 11");
}
END_TEST

START_TEST(what_was_asked_for_and_fails_is_not_tried_again_by_itself)
{
    assert_status(stele_parked_ask(store, &choice, NULL), STELE_OK);
    seen.poison = 5;

    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_uint_eq(seen.failures, 1);
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
    ck_assert_int_eq(parked_at("s", 5).attempts, 1);
    assert_status(run_through(&options, &seen), STELE_DONE);
    ck_assert_uint_eq(seen.failures, 1);
}
END_TEST

START_TEST(only_what_was_asked_for_is_replayed)
{
    choice.limit = 2;
    assert_status(stele_parked_ask(store, &choice, NULL), STELE_OK);

    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_str_eq(parked_text("s"), "9<5");
}
END_TEST

START_TEST(what_is_archived_ends_no_run_that_was_asked)
{
    open_archive();
    assert_status(archive_to("a-1", archive, NULL), STELE_OK);
    assert_status(stele_parked_ask(store, &choice, NULL), STELE_OK);

    assert_status(run_through(&options, &seen), STELE_DONE);

    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
    ck_assert_ptr_nonnull(strstr(parked_at("s", 5).reason, "archive"));
}
END_TEST

static int run_in_child_until_done(void *context)
{
    (void)context;
    store = open_path(store_path(), NULL);
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = seeing(&seen);
    handler.event = end_process;
    stele_status status = stele_subscription_run(subscription, &handler);
    stele_subscription_close(subscription);
    stele_store_close(store);
    return status == STELE_DONE ? 0 : 1;
}

/* A replay that ends its process must not do so for ever. */
START_TEST(asked_replay_that_ends_its_process_is_given_up_after_its_tries)
{
    options.lease_ms = 1000;
    options.tries = 2;
    seen.poison = 5;
    assert_status(stele_parked_ask(store, &choice, NULL), STELE_OK);
    close_store();

    int ends = 0;
    while (run_in_child(run_in_child_until_done, NULL) == 7) {
        ck_assert_int_lt(ends, 5);
        ends++;
        nanosleep(&(struct timespec){ 1, 50000000 }, NULL);
    }

    ck_assert_int_eq(ends, 2);
    open_in_file();
    ck_assert_str_eq(parked_text("s"), "5 7<5 9<5");
    ck_assert_ptr_nonnull(strstr(parked_at("s", 5).reason, "ended 2 times"));
    ck_assert_int_eq(parked_at("s", 5).attempts, 2);
    ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10");
}
END_TEST

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until nothing is parked, or too much time has passed: how long it took. */
static int64_t wait_until_replayed(void)
{
    int64_t began = now_ms();
    while (parked_text("s")[0] != '\0' && now_ms() < began + 20000)
        nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
    ck_assert_str_eq(parked_text("s"), "");
    return now_ms() - began;
}

static pid_t start_idle_run(void)
{
    options.stop = STELE_STOP_NEVER;
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(run_in_child_until_done(NULL));
    return child;
}

START_TEST(idle_run_in_another_process_hears_of_it_soon)
{
    close_store();
    pid_t child = start_idle_run();
    open_in_file();
    /* It has been at the head for a while. */
    nanosleep(&(struct timespec){ 0, 500000000 }, NULL);

    assert_status(stele_parked_ask(store, &choice, NULL), STELE_OK);
    int64_t took = wait_until_replayed();

    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ck_assert_int_lt(took, 10000); /* a second, on a machine with nothing else to do */
    ck_assert_str_eq(seen_text(), "1 2 3 4 6 8 10 5 7 9");
}
END_TEST

START_TEST(who_stands_by_replays_when_the_owner_has_ended)
{
    options.lease_ms = 1000;
    close_store();
    pid_t child = start_idle_run();
    open_in_file();
    nanosleep(&(struct timespec){ 0, 300000000 }, NULL);
    /* The owner's name stays in the row. */
    assert_status(take_over(), STELE_OK);
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    claim.owner = "thief";
    claim.lease_ms = 1;
    assert_status(stele_checkpoint_claim_take(store, "s", &claim, NULL), STELE_OK);

    assert_status(stele_parked_ask(store, &choice, NULL), STELE_OK);
    wait_until_replayed();

    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}
END_TEST

static void close_all_stores(void)
{
    close_archive();
    close_and_remove();
}

static TCase *add_replay_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, open_for_replay, close_all_stores);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return tests;
}

static Suite *parked_asked_ends(void)
{
    Suite *suite = suite_create("parked_asked");
    TCase *ends = add_replay_case(suite, "ends");
    tcase_add_test(ends, process_that_ends_in_a_replay_leaves_the_event_with_its_try_counted);
    return suite;
}

static Suite *parked_asked_asked_1(void)
{
    Suite *suite = suite_create("parked_asked");
    TCase *asked = add_replay_case(suite, "asked");
    tcase_add_test(asked, run_replays_what_was_asked_for_first);
    tcase_add_test(asked, asked_replay_that_ends_its_process_is_given_up_after_its_tries);
    return suite;
}

static Suite *parked_asked_asked_2(void)
{
    Suite *suite = suite_create("parked_asked");
    TCase *asked = add_replay_case(suite, "asked");
    tcase_add_test(asked, what_was_asked_for_and_fails_is_not_tried_again_by_itself);
    tcase_add_test(asked, idle_run_in_another_process_hears_of_it_soon);
    return suite;
}

static Suite *parked_asked_asked_3(void)
{
    Suite *suite = suite_create("parked_asked");
    TCase *asked = add_replay_case(suite, "asked");
    tcase_add_test(asked, only_what_was_asked_for_is_replayed);
    tcase_add_test(asked, who_stands_by_replays_when_the_owner_has_ended);
    return suite;
}

static Suite *parked_asked_asked_4(void)
{
    Suite *suite = suite_create("parked_asked");
    TCase *asked = add_replay_case(suite, "asked");
    tcase_add_test(asked, what_is_archived_ends_no_run_that_was_asked);
    return suite;
}

/* Half of their time they wait for leases to end. */
int main(void)
{
    static Suite *(*const suites[])(void) = { parked_asked_ends, parked_asked_asked_1,
                                              parked_asked_asked_2, parked_asked_asked_3,
                                              parked_asked_asked_4 };
    return run_suites_together(suites, COUNT_OF(suites));
}
