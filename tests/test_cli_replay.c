/*
 * replay --into: events as lines to a command, what becomes of them when it ends, and where the
 * place is kept.
 */
#define _XOPEN_SOURCE 700

#include "replaying.h"

#include <time.h>

/* --- One command --- */

START_TEST(a_command_gets_the_lines_of_export_and_prints_where_the_tool_prints)
{
    make_loans();
    const ran *exported = STELE("export");
    assert_out(STELE("replay", "--into", "cat"), exported->out);
    assert_out(STELE("replay", "--into", "wc -l | tr -d ' '"), "5\n");
    assert_has(STELE("replay", "--into", "cat")->out, "\"id\":\"k-1\"");
}
END_TEST

START_TEST(events_are_chosen_by_place_stream_category_and_type)
{
    make_events(6);
    assert_code(STELE("replay", "--into", keeping(":"), "--after", "2", "--to", "5"), 0);
    ck_assert_str_eq(got(), "3 4 5 ");
    assert_code(STELE("replay", "--into", keeping(":"), "--stream", "s-1"), 0);
    ck_assert_str_eq(got(), "3 4 5 1 3 5 ");
    assert_code(STELE("replay", "--into", keeping(":"), "--category", "t"), 0);
    ck_assert_str_eq(got(), "3 4 5 1 3 5 2 4 6 ");
    assert_code(STELE("replay", "--into", keeping(":"), "--type", "Third", "--type", "None"), 0);
    ck_assert_str_eq(got(), "3 4 5 1 3 5 2 4 6 3 6 ");
}
END_TEST

START_TEST(more_than_a_pipe_holds_arrives_whole)
{
    make_events(2000);
    assert_out(STELE("replay", "--into", "sleep 0.1; wc -l | tr -d ' '"), "2000\n");
    assert_out(STELE("replay", "--into", "wc -l | tr -d ' '", "--batch", "900"), "900\n900\n200\n");
}
END_TEST

START_TEST(a_command_that_fails_is_partial_and_the_position_is_said)
{
    make_events(5);
    const ran *result = STELE("replay", "--into", keeping("exit 3"));
    assert_refused(result, 8,
                   "the command ended with exit code 3, after it was given the events up "
                   "to position 5");
    assert_has(result->err, "hint: ");
    assert_refused(STELE("replay", "--into", "cat >/dev/null; kill -9 $$"), 8,
                   "the command was killed by signal 9");
}
END_TEST

/* Whether a pipe took a line before the command ended is chance. */
START_TEST(a_command_that_ran_and_failed_is_partial_whatever_it_was_given)
{
    make_events(2);
    for (int i = 0; i < 5; i++) {
        assert_refused(STELE("replay", "--into", "exit 3"), 8, "ended with exit code 3");
        assert_refused(STELE("replay", "--into", "exec <&-; sleep 0.02; exit 3"), 8,
                       "ended with exit code 3");
        assert_refused(STELE("replay", "--into", "exit 3", "--batch", "1"), 8,
                       "ended with exit code 3");
    }
}
END_TEST

START_TEST(a_command_that_the_shell_cannot_run_is_another_failure)
{
    make_events(2);
    for (int i = 0; i < 5; i++) {
        const ran *result = STELE("replay", "--into", "exec /nowhere/to/be/found");
        assert_code(result, 1);
        assert_has(result->err, "error: the command ended with exit code 127");
        assert_has(result->err, "hint: the shell could not run it");
        result = STELE("replay", "--into", "exec /");
        assert_code(result, 1);
        assert_has(result->err, "error: the command ended with exit code 126");
    }
}
END_TEST

/* It has read what it wanted; but it was given more to read. */
START_TEST(a_command_that_ends_early_is_partial_and_kills_nobody)
{
    make_events(2000);
    const ran *result = STELE("replay", "--into", "head -n 1 >/dev/null");
    assert_refused(result, 8, "the command ended with exit code 0, after it was given the events");
}
END_TEST

START_TEST(the_rate_is_kept)
{
    make_events(6);
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    assert_code(STELE("replay", "--into", keeping(":"), "--rate", "20"), 0);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    double passed =
        (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9;
    ck_assert_msg(passed > 0.2, "six events at 20 a second came within %f s", passed);
    ck_assert_str_eq(got(), "1 2 3 4 5 6 ");
}
END_TEST

START_TEST(wrong_options_are_refused)
{
    make_events(5);
    assert_refused(STELE("replay"), 2, "into which command?");
    assert_refused(STELE("replay", "--into", ""), 2, "into which command?");
    assert_refused(STELE("replay", "--into", "cat", "-o", "json"), 2, "jsonl only");
    assert_refused(STELE("replay", "--into", "cat", "--stop", "later"), 2, "value of --stop");
    assert_refused(STELE("replay", "--into", "cat", "--rate", "0"), 2, "--rate takes a number");
    assert_refused(STELE("replay", "--into", "cat", "--after", "9"), 2, "beyond the head, 5");
    assert_refused(STELE("replay", "--into", "cat", "--after", "4", "--to", "2"), 2, "--to");
    assert_refused(STELE("replay", "--into", "cat", "--stream", "a", "--category", "b"), 2,
                   "exclude each other");
    assert_refused(STELE("replay", "--into", "cat", "--stream", "nosuch"), 3, "'nosuch'");
    assert_refused(STELE("replay", "--into", "cat", "--subscription", "$x"), 2, "$x");
    assert_refused(STELE("replay", "--into", "cat", "--subscription", "x", "--immutable"), 2,
                   "--immutable");
    const ran *result = STELE("replay", "--into", "cat", "--subscription", "x", "--stop", "never");
    assert_refused(result, 2, "says nothing of what it has handled");
    assert_has(result->err, "--batch N");
    ck_assert_int_eq(place_of("x"), -1);
}
END_TEST

START_TEST(without_a_subscription_nothing_is_written)
{
    make_events(5);
    char digest[200];
    snprintf(digest, sizeof(digest), "%s", STELE("verify", "--digest", "-o", "json")->out);
    assert_code(STELE("replay", "--into", "cat"), 0);
    assert_code(STELE("replay", "--into", "cat", "--batch", "2"), 0);
    ck_assert_int_eq(strncmp(STELE("verify", "--digest", "-o", "json")->out, digest, 100), 0);
    ck_assert_uint_eq(count_lines(STELE("subs")->out), 1);
}
END_TEST

/* --- A place that is kept --- */

START_TEST(the_place_is_kept_when_the_command_ended_well)
{
    make_events(5);
    assert_code(STELE("replay", "--into", keeping(":"), "--subscription", "index"), 0);
    ck_assert_str_eq(got(), "1 2 3 4 5 ");
    ck_assert_int_eq(place_of("index"), 5);

    assert_code(STELE("append", "s-1", "Other", "6"), 0);
    assert_code(STELE("replay", "--into", keeping(":"), "--subscription", "index"), 0);
    ck_assert_str_eq(got(), "1 2 3 4 5 6 ");
    ck_assert_int_eq(place_of("index"), 6);

    assert_code(STELE("replay", "--into", keeping("exit 1"), "--subscription", "index"), 0);
    ck_assert_str_eq(got(), "1 2 3 4 5 6 ");
}
END_TEST

START_TEST(the_place_stays_when_the_command_failed)
{
    make_events(5);
    const ran *result = STELE("replay", "--into", keeping("exit 1"), "--subscription", "index");
    assert_refused(result, 8, "up to position 5");
    assert_has(result->err, "hint: 'index' is at position 0; the same command goes on from there");
    ck_assert_int_le(place_of("index"), 0);
    assert_code(STELE("replay", "--into", keeping(":"), "--subscription", "index"), 0);
    ck_assert_str_eq(got(), "1 2 3 4 5 1 2 3 4 5 ");
    ck_assert_int_eq(place_of("index"), 5);
}
END_TEST

START_TEST(events_that_match_nothing_are_passed_for_good)
{
    make_events(5);
    assert_code(
        STELE("replay", "--into", keeping(":"), "--subscription", "index", "--type", "Third"), 0);
    ck_assert_str_eq(got(), "3 ");
    ck_assert_int_eq(place_of("index"), 5);
    assert_code(STELE("replay", "--into", keeping(":"), "--subscription", "none", "--type", "No"),
                0);
    ck_assert_int_eq(place_of("none"), 5);
}
END_TEST

START_TEST(each_batch_has_a_command_and_is_kept_when_that_ended_well)
{
    make_events(5);
    char failing_once[20000];
    snprintf(failing_once, sizeof(failing_once), "%s [ \"$(tail -n 1 '%s')\" != 4 ]", keeping(""),
             test_path("got"));

    const ran *result =
        STELE("replay", "--into", failing_once, "--subscription", "index", "--batch", "2");

    assert_refused(result, 8,
                   "the command ended with exit code 1, after it was given the events up "
                   "to position 4");
    assert_has(result->err, "hint: 'index' is at position 2; ");
    ck_assert_int_eq(place_of("index"), 2);
    ck_assert_str_eq(got(), "1 2 3 4 ");
    assert_code(STELE("replay", "--into", keeping(":"), "--subscription", "index", "--batch", "2"),
                0);
    ck_assert_str_eq(got(), "1 2 3 4 3 4 5 ");
    ck_assert_int_eq(place_of("index"), 5);
}
END_TEST

START_TEST(a_batch_without_a_subscription_says_where_to_go_on)
{
    make_events(5);
    char failing[20000];
    snprintf(failing, sizeof(failing), "%s [ \"$(tail -n 1 '%s')\" != 4 ]", keeping(""),
             test_path("got"));
    const ran *result = STELE("replay", "--into", failing, "--batch", "2");
    assert_refused(result, 8, "up to position 4");
    assert_has(result->err, "hint: --after 2 goes on from the last batch that was done");
}
END_TEST

START_TEST(the_first_place_is_chosen_by_after_and_no_later_one)
{
    make_events(5);
    assert_code(STELE("replay", "--into", keeping(":"), "--subscription", "a", "--after", "3"), 0);
    ck_assert_str_eq(got(), "4 5 ");
    const ran *result =
        STELE("replay", "--into", keeping(":"), "--subscription", "a", "--after", "1");
    assert_refused(result, 2, "'a' has begun, and is at position 5");
    assert_has(result->err, "hint: stele checkpoint set a 1 moves it");
}
END_TEST

START_TEST(a_subscription_that_is_stopped_is_refused_with_what_to_do)
{
    make_events(5);
    make_stopped("mailer");
    const ran *result = STELE("replay", "--into", "cat", "--subscription", "mailer");
    assert_refused(result, 4, "stopped by the event at position 3");
    assert_has(result->err, "hint: stele sub mailer --clear lets it go on");
    assert_lacks(result->err, "nothing was stored");
}
END_TEST

START_TEST(what_waits_behind_parked_events_is_left_out)
{
    make_events(5);
    make_parked("mailer");
    assert_code(STELE("append", "s-1", "Other", "6"), 0);
    assert_code(STELE("append", "t-1", "Other", "7"), 0);
    const ran *result = STELE("replay", "--into", keeping(":"), "--subscription", "mailer");
    assert_refused(result, 7, "'mailer' has parked 3 events");
    assert_has(result->err, "hint: --batch N does");

    assert_code(STELE("replay", "--into", keeping(":"), "--subscription", "mailer", "--batch", "9"),
                0);

    ck_assert_str_eq(got(), "7 ");
    ck_assert_uint_eq(count_lines(STELE("park", "list", "mailer")->out), 5);
}
END_TEST

static Suite *cli_replay_suite(void)
{
    Suite *suite = suite_create("cli_replay");

    TCase *one = tcase_create("one");
    tcase_add_checked_fixture(one, NULL, forget_runs);
    tcase_set_timeout(one, 60);
    tcase_add_test(one, a_command_gets_the_lines_of_export_and_prints_where_the_tool_prints);
    tcase_add_test(one, events_are_chosen_by_place_stream_category_and_type);
    tcase_add_test(one, more_than_a_pipe_holds_arrives_whole);
    tcase_add_test(one, a_command_that_fails_is_partial_and_the_position_is_said);
    tcase_add_test(one, a_command_that_ran_and_failed_is_partial_whatever_it_was_given);
    tcase_add_test(one, a_command_that_the_shell_cannot_run_is_another_failure);
    tcase_add_test(one, a_command_that_ends_early_is_partial_and_kills_nobody);
    tcase_add_test(one, the_rate_is_kept);
    tcase_add_test(one, wrong_options_are_refused);
    tcase_add_test(one, without_a_subscription_nothing_is_written);
    suite_add_tcase(suite, one);

    TCase *kept = tcase_create("kept");
    tcase_add_checked_fixture(kept, NULL, forget_runs);
    tcase_set_timeout(kept, 60);
    tcase_add_test(kept, the_place_is_kept_when_the_command_ended_well);
    tcase_add_test(kept, the_place_stays_when_the_command_failed);
    tcase_add_test(kept, events_that_match_nothing_are_passed_for_good);
    tcase_add_test(kept, each_batch_has_a_command_and_is_kept_when_that_ended_well);
    tcase_add_test(kept, a_batch_without_a_subscription_says_where_to_go_on);
    tcase_add_test(kept, the_first_place_is_chosen_by_after_and_no_later_one);
    tcase_add_test(kept, a_subscription_that_is_stopped_is_refused_with_what_to_do);
    tcase_add_test(kept, what_waits_behind_parked_events_is_left_out);
    suite_add_tcase(suite, kept);
    return suite;
}

int main(void)
{
    return run_suite(cli_replay_suite());
}
