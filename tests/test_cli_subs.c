/*
 * subs and sub: how far subscriptions are, how they do, and letting one go on. What doctor says of
 * them.
 */
#define _XOPEN_SOURCE 700

#include "cli_subs.h"

static const char *const formats[] = { "table", "plain", "json", "jsonl" };

/* --- subs --- */

START_TEST(subs_has_a_row_for_each_with_state_place_and_trouble)
{
    make_loans();
    stele_subscription_options done = catch_up("a-done", STELE_ON_FAILURE_STOP);
    run_subscription(&done, &(poisons){ { 0 } }, STELE_DONE);
    make_parked("b-parked");
    make_stopped("c-stopped");

    const ran *result = STELE("subs");

    assert_code(result, 0);
    ck_assert_str_eq(result->err, "");
    assert_has(result->out, "name\tlane\tstate\tposition\thead\tlag\tlag_seconds\trate\ttrend\t"
                            "eta_seconds\tparked\twaiting\towner\theartbeat\terror\n");
    ck_assert_uint_eq(count_lines(result->out), 4);
    assert_has(result->out, "\na-done\t\tidle\t5\t5\t0\t0\t");
    assert_has(result->out, "\nb-parked\t\tidle\t5\t5\t0\t0\t");
    assert_has(result->out, "\tkeeping up\t\t1\t2\t");
    assert_has(result->out, "\nc-stopped\t\tstopped\t2\t5\t3\t");
    assert_has(result->out, "\tstanding still\t\t0\t0\t");
    assert_has(result->out, "\t" REASON "\n");
}
END_TEST

START_TEST(subs_are_the_same_rows_in_every_format)
{
    make_loans();
    make_stopped("mailer");
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        const ran *result = STELE("subs", "-o", formats[i]);
        assert_code(result, 0);
        assert_has(result->out, "mailer");
        assert_has(result->out, REASON);
    }
    const ran *result = STELE("subs", "-o", "json");
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"rows\":[{\"name\":\"mailer\",\"lane\":null,\"state\":"
                            "\"stopped\",\"position\":2,\"head\":5,\"lag\":3,\"lag_seconds\":");
    assert_has(result->out, "\"trend\":\"standing still\",\"eta_seconds\":null,\"parked\":0,"
                            "\"waiting\":0,\"owner\":null,\"heartbeat\":\"20");
    result = STELE("subs", "-o", "jsonl");
    assert_json_lines(result->out);
    ck_assert_uint_eq(count_lines(result->out), 1);
    assert_has(WIDE(120, "subs")->out, "NAME");
}
END_TEST

START_TEST(a_store_without_subscriptions_has_no_rows)
{
    make_loans();
    ck_assert_uint_eq(count_lines(STELE("subs")->out), 1);
    assert_out(STELE("subs", "-o", "json"), "{\"v\":1,\"rows\":[]}\n");
    assert_out(STELE("subs", "-o", "jsonl"), "");
}
END_TEST

START_TEST(lanes_have_rows_of_their_own_when_asked_for)
{
    make_loans();
    stele_subscription_options options = catch_up("wide", STELE_ON_FAILURE_STOP);
    options.lanes = 2;
    run_subscription(&options, &(poisons){ { 0 } }, STELE_DONE);
    ck_assert_uint_eq(count_lines(STELE("subs")->out), 2);

    const ran *result = STELE("subs", "--lanes");

    ck_assert_uint_eq(count_lines(result->out), 4);
    assert_has(result->out, "\nwide\t\t");
    assert_has(result->out, "\nwide\t1\t");
    assert_has(result->out, "\nwide\t2\t");
    result = STELE("sub", "wide", "--lanes", "-o", "json");
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"name\":\"wide\",\"lanes\":2,");
    assert_has(result->out, "\"by_lane\":[{\"name\":\"wide\",\"lane\":1,");
    assert_has(result->out, "{\"name\":\"wide\",\"lane\":2,");
}
END_TEST

/* --- sub --- */

START_TEST(sub_tells_the_last_error_with_its_place_and_time_and_what_comes_next)
{
    make_loans();
    make_stopped("mailer");

    const ran *result = STELE("sub", "mailer");

    assert_code(result, 0);
    assert_has(result->out,
               "name\tmailer\nlanes\t0\nstate\tstopped\nposition\t2\nhead\t5\nlag\t3\n");
    assert_has(result->out, "\nerror\t" REASON "\nerror_position\t3\nerror_at\t20");
    assert_has(result->out, "\n\nposition\tversion\ttime\tstream\ttype\tdata\tmetadata\n3\t2\t");
    assert_has(result->out, "\n4\t1\t");
    assert_has(result->out, "\n5\t3\t");
    assert_has(result->err, "hint: it is stopped by the event at position 3");
    assert_has(result->err, "stele sub mailer --clear\n");
}
END_TEST

/* Else a lag that no run of it ever makes smaller looks like trouble. */
START_TEST(sub_says_that_lag_and_next_events_are_unfiltered)
{
    static const char *const note = "note: lag and the next events are unfiltered: which of them"
                                    " 'mailer' takes, only the program that runs it knows\n";
    make_loans();
    make_stopped("mailer");
    assert_has(STELE("sub", "mailer")->err, note);
    assert_has(STELE("sub", "mailer", "-o", "json")->err, note);

    stele_subscription_options options = catch_up("done", STELE_ON_FAILURE_STOP);
    run_subscription(&options, &(poisons){ { 0 } }, STELE_DONE);
    assert_lacks(STELE("sub", "done")->err, "unfiltered"); /* nothing is to come */
}
END_TEST

START_TEST(sub_is_one_object_in_json_and_jsonl)
{
    make_loans();
    make_stopped("mailer");
    const ran *json = STELE("sub", "mailer", "--next", "1", "-o", "json");
    assert_json(json->out);
    assert_has(json->out, "{\"v\":1,\"name\":\"mailer\",\"lanes\":0,\"state\":\"stopped\",");
    assert_has(json->out, "\"error\":\"" REASON "\",\"error_position\":3,\"error_at\":\"20");
    assert_has(json->out, "\"owner\":null,");
    assert_has(json->out, "\"lease_ms\":null,"); /* nobody's: as in `checkpoint get` */
    assert_has(json->out, "\"next\":[{\"stream\":\"loan-1\",\"type\":\"Granted\",");
    assert_lacks(json->out, "\"position\":4");
    const ran *line = STELE("sub", "mailer", "-o", "jsonl");
    assert_json_lines(line->out);
    ck_assert_uint_eq(count_lines(line->out), 1);
    assert_has(line->out, "\"position\":5");
    assert_has(STELE("sub", "mailer", "--next", "0", "-o", "json")->out, "\"next\":[]}\n");
}
END_TEST

START_TEST(events_to_come_are_escaped_on_a_terminal_and_cut_to_its_width)
{
    make_store();
    char data[600] = "\"\xC2\x9B";
    memset(data + 3, 'x', 500);
    memcpy(data + 503, "\"", 2);
    assert_code(STELE("append", "s-1", "T", data), 0);
    assert_code(STELE("append", "s-1", "T", "1"), 0);
    stele_subscription_options options = catch_up("m", STELE_ON_FAILURE_STOP);
    run_subscription(&options, &(poisons){ { 1 } }, STELE_REFUSED);

    const ran *result = WIDE(100, "sub", "m");

    assert_code(result, 0);
    assert_has(result->out, "\\u{9b}xxx");
    assert_has(result->out, "xxx...");
    assert_lacks(result->out, "\xC2\x9B");
}
END_TEST

START_TEST(a_subscription_that_never_was_is_not_found)
{
    make_loans();
    assert_refused(STELE("sub", "nobody"), 3, "no subscription 'nobody'");
    assert_refused(STELE("sub", "nobody", "--clear", "-y"), 3, "no subscription 'nobody'");
    assert_refused(STELE("sub"), 2, "sub needs NAME");
    assert_refused(STELE("sub", "x", "--next", "-1"), 2, "--next takes a number");
    assert_refused(STELE("sub", "x", "--lib", "y.so", "-o", "json"), 2, "--lib");
}
END_TEST

/* --- --clear --- */

START_TEST(clear_asks_and_lets_a_stopped_one_go_on)
{
    make_loans();
    make_stopped("mailer");
    const char *const *clear = ARGUMENTS("sub", "mailer", "--clear");
    assert_refused(STELE("sub", "mailer", "--clear"), 2, "must be confirmed");

    const ran *result = answer_on_terminal(clear, "n\n");
    assert_code(result, 1);
    assert_has(result->err, "let 'mailer' try the event at position 3 again, which stopped it (");
    assert_has(STELE("subs")->out, "\tstopped\t");

    result = answer_on_terminal(clear, "y\n");
    assert_code(result, 0);
    assert_has(result->out, "\nstate\tidle\n");
    stele_subscription_options options = catch_up("mailer", STELE_ON_FAILURE_STOP);
    run_subscription(&options, &(poisons){ { 0 } }, STELE_DONE);
    assert_has(STELE("sub", "mailer")->out, "\nposition\t5\n");
}
END_TEST

START_TEST(clear_of_one_that_is_not_stopped_changes_nothing_and_asks_nothing)
{
    make_loans();
    stele_subscription_options options = catch_up("fine", STELE_ON_FAILURE_STOP);
    run_subscription(&options, &(poisons){ { 0 } }, STELE_DONE);
    const ran *result = STELE("sub", "fine", "--clear");
    assert_code(result, 0);
    assert_has(result->err, "note: 'fine' isn't stopped\n");
    make_stopped("mailer");
    assert_code(STELE("sub", "mailer", "--clear", "-y"), 0);
    assert_has(STELE("sub", "mailer")->out, "\nstate\tidle\n");
}
END_TEST

START_TEST(looking_changes_nothing)
{
    make_loans();
    make_stopped("mailer");
    char digest[4096];
    snprintf(digest, sizeof(digest), "%s", STELE("verify", "--digest")->out);
    assert_code(STELE("subs", "--lanes"), 0);
    assert_code(STELE("sub", "mailer"), 0);
    ck_assert_str_eq(STELE("verify", "--digest")->out, digest);
    assert_refused(STELE("--immutable", "sub", "mailer", "--clear", "-y"), 2, "--immutable");
}
END_TEST

/* --- doctor --- */

START_TEST(doctor_names_those_that_are_stopped_or_have_parked_events)
{
    make_loans();
    assert_lacks(STELE("doctor")->out, "\tsubscription\t");
    stele_subscription_options options = catch_up("fine", STELE_ON_FAILURE_STOP);
    run_subscription(&options, &(poisons){ { 0 } }, STELE_DONE);
    assert_has(STELE("doctor")->out, "ok\tsubscription\t");

    make_parked("parker");
    const ran *result = STELE("doctor");
    assert_has(result->out, "warn\tsubscription\tparker has parked 1 events, and 2 wait behind");
    assert_has(result->out, "\tstele park list parker; ");

    make_stopped("mailer");
    result = STELE("doctor");
    assert_code(result, 6);
    assert_has(result->out,
               "bad\tsubscription\tmailer is stopped by the event at position 3: " REASON "\t");
    assert_has(result->out, "stele sub mailer --clear\n");
}
END_TEST

static Suite *cli_subs_suite(void)
{
    Suite *suite = suite_create("cli_subs");

    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, NULL, forget_runs);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, subs_has_a_row_for_each_with_state_place_and_trouble);
    tcase_add_test(all, subs_are_the_same_rows_in_every_format);
    tcase_add_test(all, a_store_without_subscriptions_has_no_rows);
    tcase_add_test(all, lanes_have_rows_of_their_own_when_asked_for);
    suite_add_tcase(suite, all);

    TCase *one = tcase_create("one");
    tcase_add_checked_fixture(one, NULL, forget_runs);
    tcase_set_timeout(one, 60);
    tcase_add_test(one, sub_tells_the_last_error_with_its_place_and_time_and_what_comes_next);
    tcase_add_test(one, sub_says_that_lag_and_next_events_are_unfiltered);
    tcase_add_test(one, sub_is_one_object_in_json_and_jsonl);
    tcase_add_test(one, events_to_come_are_escaped_on_a_terminal_and_cut_to_its_width);
    tcase_add_test(one, a_subscription_that_never_was_is_not_found);
    tcase_add_test(one, clear_asks_and_lets_a_stopped_one_go_on);
    tcase_add_test(one, clear_of_one_that_is_not_stopped_changes_nothing_and_asks_nothing);
    tcase_add_test(one, looking_changes_nothing);
    tcase_add_test(one, doctor_names_those_that_are_stopped_or_have_parked_events);
    suite_add_tcase(suite, one);
    return suite;
}

int main(void)
{
    return run_suite(cli_subs_suite());
}
