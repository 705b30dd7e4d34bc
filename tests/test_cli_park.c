/*
 * park list, replay and drop: what subscriptions have set aside.
 */
#define _XOPEN_SOURCE 700

#include "cli_subs.h"

/* --- list --- */

START_TEST(list_has_the_reason_of_what_failed_and_what_waits_behind_it)
{
    make_loans();
    make_parked("mailer");

    const ran *result = STELE("park", "list");

    assert_code(result, 0);
    ck_assert_str_eq(result->err, "");
    assert_has(result->out,
               "subscription\tposition\tstream\tbehind\tattempts\tparked_at\tasked_at\t"
               "reason\nmailer\t1\tloan-1\t\t2\t20");
    assert_has(result->out, "\t\t" REASON "\nmailer\t3\tloan-1\t1\t");
    assert_has(result->out, "\nmailer\t5\tloan-1\t1\t");
    ck_assert_uint_eq(count_lines(result->out), 4);
}
END_TEST

START_TEST(list_is_of_one_subscription_when_named_and_takes_a_limit)
{
    make_loans();
    make_parked("mailer");
    make_parked("printer");
    ck_assert_uint_eq(count_lines(STELE("park", "list")->out), 7);
    ck_assert_uint_eq(count_lines(STELE("park", "list", "printer")->out), 4);
    ck_assert_uint_eq(count_lines(STELE("park", "list", "--limit", "2")->out), 3);
    const ran *result = STELE("park", "list", "printer", "-o", "json");
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"rows\":[{\"subscription\":\"printer\",\"position\":1,"
                            "\"stream\":\"loan-1\",\"behind\":null,\"attempts\":2,");
    assert_lacks(result->out, "mailer");
    assert_json_lines(STELE("park", "list", "-o", "jsonl")->out);
    assert_has(WIDE(120, "park", "list")->out, "SUBSCRIPTION");
    result = STELE("park", "list", "nobody");
    assert_refused(result, 3, "no subscription 'nobody'");
    ck_assert_str_eq(result->out, "");
}
END_TEST

/* --- replay --- */

START_TEST(replay_asks_whoever_runs_the_subscription)
{
    make_loans();
    make_parked("mailer");

    const ran *result = STELE("park", "replay", "mailer");

    assert_code(result, 0);
    assert_has(result->out, "subscription\tmailer\nchosen\t");
    assert_has(result->out, "\nleft\t3\ndry_run\tfalse\n");
    assert_has(result->err, "note: asked, but nobody runs 'mailer' now");
    assert_has(STELE("park", "list", "-o", "jsonl")->out, "\"asked_at\":\"20");

    run_until_replayed("mailer", 5);
    ck_assert_uint_eq(count_lines(STELE("park", "list")->out), 1);
}
END_TEST

START_TEST(a_dry_run_only_counts)
{
    make_loans();
    make_parked("mailer");
    const ran *result = STELE("park", "replay", "mailer", "--dry-run", "-o", "json");
    assert_code(result, 0);
    ck_assert_str_eq(result->err, "");
    assert_has(result->out, "{\"v\":1,\"subscription\":\"mailer\",\"chosen\":");
    assert_has(result->out, ",\"left\":3,\"dry_run\":true}\n");
    assert_lacks(STELE("park", "list", "-o", "jsonl")->out, "\"asked_at\":\"20");

    result = STELE("park", "drop", "mailer", "--all", "--dry-run");
    assert_out(result, "subscription\tmailer\nchosen\t3\nleft\t3\ndry_run\ttrue\n");
    ck_assert_uint_eq(count_lines(STELE("park", "list")->out), 4);
}
END_TEST

START_TEST(what_is_not_parked_is_not_found)
{
    make_loans();
    make_parked("mailer");
    assert_refused(STELE("park", "replay", "mailer", "--position", "2"), 3, "position 2");
    assert_refused(STELE("park", "replay", "mailer", "--stream", "loan-2"), 3, "'loan-2'");
    assert_refused(STELE("park", "drop", "mailer", "--position", "2", "-y"), 3, "position 2");
    assert_refused(STELE("park", "replay", "nobody"), 3, "no subscription 'nobody'");
    assert_refused(STELE("park", "drop", "nobody", "--all", "-y"), 3, "no subscription 'nobody'");
    ck_assert_uint_eq(count_lines(STELE("park", "list")->out), 4);
}
END_TEST

/* --- drop --- */

START_TEST(drop_asks_and_gives_up_what_was_chosen)
{
    make_loans();
    make_parked("mailer");
    const char *const *drop = ARGUMENTS("park", "drop", "mailer", "--position", "1");
    const ran *result = STELE("park", "drop", "mailer", "--position", "1");
    assert_refused(result, 2, "must be confirmed");
    assert_has(result->err, "--dry-run counts");

    result = answer_on_terminal(drop, "n\n");
    assert_code(result, 1);
    assert_has(result->err, "drop 1 parked event of 'mailer', which will not be handled? [y/N]");
    ck_assert_uint_eq(count_lines(STELE("park", "list")->out), 4);

    result = answer_on_terminal(drop, "y\n");
    assert_code(result, 0);
    ck_assert_str_eq(result->out, "subscription\tmailer\nchosen\t1\nleft\t2\ndry_run\tfalse\n");
    ck_assert_uint_eq(count_lines(STELE("park", "list")->out), 3);
}
END_TEST

START_TEST(drop_takes_a_stream_or_all_and_nothing_by_itself)
{
    make_loans();
    make_parked("mailer");
    assert_refused(STELE("park", "drop", "mailer", "-y"), 2, "which of the parked events?");
    assert_refused(STELE("park", "drop", "mailer", "--all", "--stream", "loan-1", "-y"), 2,
                   "exclude each other");
    assert_out(STELE("park", "drop", "mailer", "--stream", "loan-1", "--limit", "1", "-y"),
               "subscription\tmailer\nchosen\t1\nleft\t2\ndry_run\tfalse\n");
    assert_out(STELE("park", "drop", "mailer", "--all", "-y", "-o", "json"),
               "{\"v\":1,\"subscription\":\"mailer\",\"chosen\":2,\"left\":0,\"dry_run\":false}\n");
    assert_out(STELE("park", "drop", "mailer", "--all"),
               "subscription\tmailer\nchosen\t0\nleft\t0\ndry_run\tfalse\n");
}
END_TEST

START_TEST(wrong_words_and_options_are_refused)
{
    make_loans();
    assert_refused(STELE("park"), 2, "park needs one of the words list replay drop");
    assert_has(STELE("park", "lst")->err, "did you mean 'list'?");
    assert_refused(STELE("park", "replay"), 2, "park replay needs NAME");
    assert_refused(STELE("park", "drop", "m", "--position", "0"), 2, "--position takes a number");
    assert_refused(STELE("park", "list", "--limit", "0"), 2, "--limit takes a number");
    assert_has(STELE("park", "--help")->out, "stele park drop NAME");
}
END_TEST

static Suite *cli_park_suite(void)
{
    Suite *suite = suite_create("cli_park");
    TCase *park = tcase_create("park");
    tcase_add_checked_fixture(park, NULL, forget_runs);
    tcase_set_timeout(park, 60);
    tcase_add_test(park, list_has_the_reason_of_what_failed_and_what_waits_behind_it);
    tcase_add_test(park, list_is_of_one_subscription_when_named_and_takes_a_limit);
    tcase_add_test(park, replay_asks_whoever_runs_the_subscription);
    tcase_add_test(park, a_dry_run_only_counts);
    tcase_add_test(park, what_is_not_parked_is_not_found);
    tcase_add_test(park, drop_asks_and_gives_up_what_was_chosen);
    tcase_add_test(park, drop_takes_a_stream_or_all_and_nothing_by_itself);
    tcase_add_test(park, wrong_words_and_options_are_refused);
    suite_add_tcase(suite, park);
    return suite;
}

int main(void)
{
    return run_suite(cli_park_suite());
}
