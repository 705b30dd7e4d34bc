/* replay --into: Ctrl-C, and events as they come. */
#define _XOPEN_SOURCE 700

#include "replaying.h"

#include <time.h>

static const char *last_error(void)
{
    static char text[4096];
    char *whole = read_whole(test_path("run.err"), NULL);
    snprintf(text, sizeof(text), "%s", whole);
    free(whole);
    return text;
}

static pid_t start_replay(const char *const *arguments)
{
    int output = open(test_path("run.out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(output, 0);
    pid_t child = start_tool(&(launch){ .arguments = arguments }, output);
    close(output);
    return child;
}

/* A command that goes on until let_it_fail(). */
static const char *fail_later(void)
{
    static char command[600];
    snprintf(command, sizeof(command), "until [ -f '%s' ]; do sleep 0.02; done; exit 1",
             test_path("fail"));
    return command;
}

static void let_it_fail(void)
{
    int file = open(test_path("fail"), O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(file, 0);
    close(file);
}

static void wait_until_there(const char *path)
{
    for (int i = 0; i < 6000 && access(path, F_OK) != 0; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    ck_assert_int_eq(access(path, F_OK), 0);
}

/* The number that a command wrote there, once it is whole: 0 would be every process of the group.
 */
static pid_t wait_for_number(void)
{
    for (int i = 0; i < 6000 && strchr(got(), ' ') == NULL; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    long number = strtol(got(), NULL, 10);
    ck_assert_int_gt(number, 1);
    return (pid_t)number;
}

static void wait_until_said(const char *part)
{
    for (int i = 0; i < 6000 && strstr(last_error(), part) == NULL; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    assert_has(last_error(), part);
}

static void wait_until_got(const char *expected)
{
    for (int i = 0; i < 6000 && strcmp(got(), expected) != 0; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    ck_assert_str_eq(got(), expected);
}

START_TEST(ctrl_c_ends_it_with_130_and_nothing_is_acknowledged_that_was_not_done)
{
    make_events(5);
    pid_t child = start_replay(
        ARGUMENTS("replay", "--into", keeping(fail_later()), "--subscription", "index"));
    wait_until_got("1 2 3 4 5 ");

    ck_assert_int_eq(kill(child, SIGINT), 0);
    let_it_fail();

    ck_assert_int_eq(wait_for(child), 130);
    assert_has(last_error(), "error: interrupted while replaying");
    assert_has(last_error(), "hint: 'index' is at position 0; the same command goes on from there");
    ck_assert_int_le(place_of("index"), 0);
}
END_TEST

/* `exec`: the process that the warning names is the command itself. */
START_TEST(a_command_that_ignores_its_end_is_waited_for_and_left_alone)
{
    make_events(2);
    char command[600];
    snprintf(command, sizeof(command), ": > '%s'; exec sleep 30", test_path("got"));
    pid_t child = start_replay(ARGUMENTS("replay", "--into", command, "--stop", "never"));
    wait_until_there(test_path("got"));

    ck_assert_int_eq(kill(child, SIGINT), 0);

    ck_assert_int_eq(wait_for(child), 130);
    assert_has(last_error(), "error: interrupted while replaying");
    assert_has(last_error(), "note: waiting for the command to end, for 2 seconds more");
    const char *warned = strstr(last_error(), "warning: the command still runs, as process ");
    ck_assert_ptr_nonnull(warned);
    long left = strtol(strrchr(warned, ' '), NULL, 10);
    ck_assert_int_gt(left, 1);
    ck_assert_int_eq(kill((pid_t)left, SIGTERM), 0);
}
END_TEST

START_TEST(a_second_ctrl_c_waits_for_nothing)
{
    static const int seconds[] = { SIGINT, SIGTERM };
    make_events(2);
    char command[600];
    snprintf(command, sizeof(command), "echo $$ > '%s'; exec sleep 30", test_path("got"));
    pid_t child = start_replay(ARGUMENTS("replay", "--into", command, "--stop", "never"));
    pid_t command_process = wait_for_number();
    ck_assert_int_eq(kill(child, SIGINT), 0);
    wait_until_said("note: waiting for the command to end");

    ck_assert_int_eq(kill(child, seconds[_i]), 0);

    int outcome = 0;
    ck_assert_int_eq(waitpid(child, &outcome, 0), child);
    ck_assert(WIFSIGNALED(outcome));
    ck_assert_int_eq(WTERMSIG(outcome), seconds[_i]);
    assert_lacks(last_error(), "still runs");
    ck_assert_int_eq(kill(command_process, SIGTERM), 0);
}
END_TEST

START_TEST(ctrl_c_keeps_the_batches_that_were_done)
{
    make_events(5);
    char slow[20000];
    snprintf(slow, sizeof(slow), "%s [ \"$(tail -n 1 '%s')\" = 2 ] || { %s; }", keeping(""),
             test_path("got"), fail_later());
    pid_t child = start_replay(
        ARGUMENTS("replay", "--into", slow, "--subscription", "index", "--batch", "2"));
    wait_until_got("1 2 3 4 ");
    ck_assert_int_eq(kill(child, SIGTERM), 0); /* as a service is told to end */
    let_it_fail();
    ck_assert_int_eq(wait_for(child), 130);
    ck_assert_int_eq(place_of("index"), 2);
    /* It was given up: the next one needn't wait for the lease. */
    assert_code(STELE("replay", "--into", keeping(":"), "--subscription", "index"), 0);
    ck_assert_str_eq(got(), "1 2 3 4 3 4 5 ");
}
END_TEST

START_TEST(stop_never_goes_on_with_events_as_they_come)
{
    make_events(2);
    char following[20000];
    snprintf(following, sizeof(following), "sed -u 's/.*\"data\":\\([0-9]*\\).*/\\1/' > '%s'",
             test_path("got"));
    pid_t child = start_replay(ARGUMENTS("replay", "--into", following, "--stop", "never"));
    wait_until_got("1 2 ");
    assert_code(STELE("append", "s-1", "Other", "3"), 0);
    int output = open(test_path("run.err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    close(output);
    wait_until_got("1 2 3 ");
    ck_assert_int_eq(kill(child, SIGINT), 0);
    ck_assert_int_eq(wait_for(child), 130);
}
END_TEST

START_TEST(a_command_that_failed_is_run_again_when_it_is_never_to_stop)
{
    make_events(2);
    char failing_once[20000];
    snprintf(failing_once, sizeof(failing_once), "%s [ -f '%s' ] || { : > '%s'; exit 1; }",
             keeping(""), test_path("tried"), test_path("tried"));
    pid_t child = start_replay(ARGUMENTS("replay", "--into", failing_once, "--subscription",
                                         "index", "--batch", "2", "--stop", "never"));
    wait_until_got("1 2 1 2 ");
    for (int i = 0; i < 6000 && place_of("index") < 2; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    ck_assert_int_eq(kill(child, SIGINT), 0);
    ck_assert_int_eq(wait_for(child), 130);
    ck_assert_int_eq(place_of("index"), 2);
    assert_has(last_error(), "warning: the command ended with exit code 1: the same events again");
}
END_TEST

START_TEST(stop_error_goes_on_until_a_command_ends)
{
    make_events(2);
    assert_code(STELE("replay", "--into", "head -n 1 >/dev/null", "--stop", "error"), 0);
    assert_refused(STELE("replay", "--into", "head -n 1 >/dev/null; exit 5", "--stop", "error"), 8,
                   "the command ended with exit code 5");
    assert_refused(STELE("replay", "--into", "head -n 1 >/dev/null", "--stop", "never"), 8,
                   "the command ended with exit code 0");
    assert_code(STELE("replay", "--into", "cat", "--stop", "error", "--to", "2"), 0);
}
END_TEST

START_TEST(who_finds_it_at_work_elsewhere_is_told_by_whom)
{
    make_events(5);
    stele_store *store = open_store();
    stele_subscription *subscription = NULL;
    const stele_batch *batch = NULL;
    stele_subscription_options options = catch_up("index", STELE_ON_FAILURE_STOP);
    options.owner = "somebody";
    ck_assert_int_eq(stele_subscription_open(store, &options, &subscription), STELE_OK);
    ck_assert_int_eq(stele_subscription_next(subscription, NULL, &batch), STELE_OK);

    const ran *result = STELE("replay", "--into", keeping(":"), "--subscription", "index");

    assert_refused(result, 5, "'index' is at work elsewhere: somebody owns it");
    ck_assert_str_eq(got(), "");
    stele_subscription_close(subscription);
    stele_store_close(store);
}
END_TEST

static Suite *cli_replay_live_1(void)
{
    Suite *suite = suite_create("cli_replay_live");
    TCase *live = tcase_create("live");
    tcase_add_checked_fixture(live, NULL, forget_runs);
    tcase_set_timeout(live, 300);
    tcase_add_test(live, ctrl_c_ends_it_with_130_and_nothing_is_acknowledged_that_was_not_done);
    tcase_add_test(live, stop_never_goes_on_with_events_as_they_come);
    suite_add_tcase(suite, live);
    return suite;
}

static Suite *cli_replay_live_2(void)
{
    Suite *suite = suite_create("cli_replay_live");
    TCase *live = tcase_create("live");
    tcase_add_checked_fixture(live, NULL, forget_runs);
    tcase_set_timeout(live, 300);
    tcase_add_test(live, a_command_that_ignores_its_end_is_waited_for_and_left_alone);
    tcase_add_test(live, a_command_that_failed_is_run_again_when_it_is_never_to_stop);
    suite_add_tcase(suite, live);
    return suite;
}

static Suite *cli_replay_live_3(void)
{
    Suite *suite = suite_create("cli_replay_live");
    TCase *live = tcase_create("live");
    tcase_add_checked_fixture(live, NULL, forget_runs);
    tcase_set_timeout(live, 300);
    tcase_add_loop_test(live, a_second_ctrl_c_waits_for_nothing, 0, 2);
    tcase_add_test(live, stop_error_goes_on_until_a_command_ends);
    suite_add_tcase(suite, live);
    return suite;
}

static Suite *cli_replay_live_4(void)
{
    Suite *suite = suite_create("cli_replay_live");
    TCase *live = tcase_create("live");
    tcase_add_checked_fixture(live, NULL, forget_runs);
    tcase_set_timeout(live, 300);
    tcase_add_test(live, ctrl_c_keeps_the_batches_that_were_done);
    tcase_add_test(live, who_finds_it_at_work_elsewhere_is_told_by_whom);
    suite_add_tcase(suite, live);
    return suite;
}

/* Mostly they wait. */
int main(void)
{
    static Suite *(*const suites[])(void) = { cli_replay_live_1, cli_replay_live_2,
                                              cli_replay_live_3, cli_replay_live_4 };
    return run_suites_together(suites, COUNT_OF(suites));
}
