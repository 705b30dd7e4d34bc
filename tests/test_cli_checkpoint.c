/*
 * checkpoint list, get, set and reset: how far readers have come.
 */
#define _XOPEN_SOURCE 700

#include "cli_support.h"

#include <stele/checkpoint.h>
#include <stele/store.h>

/* Five events; `mailer` is at 2, `biller` at 5, and `loader` is claimed but was never saved. */
static void make_checkpoints(void)
{
    stele_store *store = NULL;
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    claim.owner = "host-1";
    claim.lease_ms = 600000;
    make_loans();
    ck_assert_int_eq(stele_store_open(test_path("store.db"), NULL, &store), STELE_OK);
    ck_assert_int_eq(stele_checkpoint_save(store, "mailer", 2), STELE_OK);
    ck_assert_int_eq(stele_checkpoint_save(store, "biller", 5), STELE_OK);
    ck_assert_int_eq(stele_checkpoint_claim_take(store, "loader", &claim, NULL), STELE_OK);
    stele_store_close(store);
}

START_TEST(list_shows_each_with_its_lag_and_owner)
{
    make_checkpoints();

    const ran *result = STELE("checkpoint", "list");

    assert_code(result, 0);
    assert_has(result->out,
               "name\tposition\tlag\tsaved\tlanes\towner\tgeneration\tlease_ms\tlost\tshared\n"
               "biller\t5\t0\t");
    assert_has(result->out, "Z\t0\t\t0\t\tfalse\t\nloader\t\t\t\t0\thost-1\t1\t");
    assert_has(result->out, "\nmailer\t2\t3\t");
    ck_assert_uint_eq(count_lines(result->out), 4);
}
END_TEST

START_TEST(list_is_the_same_in_json)
{
    make_checkpoints();

    const ran *result = STELE("checkpoint", "list", "-o", "json");

    assert_code(result, 0);
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"rows\":[{\"name\":\"biller\",\"position\":5,\"lag\":0,");
    assert_has(result->out, "\"lanes\":0,\"owner\":null,\"generation\":0,\"lease_ms\":null,"
                            "\"lost\":false,\"shared\":null}");
    ck_assert_uint_eq(count_lines(STELE("checkpoint", "list", "-o", "jsonl")->out), 3);
    assert_has(STELE("checkpoint", "list", "-o", "table")->out, "host-1");
}
END_TEST

START_TEST(get_shows_one_and_a_missing_one_is_not_found)
{
    make_checkpoints();

    const ran *result = STELE("checkpoint", "get", "mailer", "-o", "json");
    assert_code(result, 0);
    assert_has(result->out, "{\"v\":1,\"name\":\"mailer\",\"position\":2,\"lag\":3,\"saved\":\"");
    result = STELE("checkpoint", "get", "loader", "-o", "json");
    assert_has(result->out, "\"position\":null,\"lag\":null,\"saved\":null,\"lanes\":0,"
                            "\"owner\":\"host-1\",\"generation\":1,\"lease_ms\":");

    assert_refused(STELE("checkpoint", "get", "nobody"), 3, "no checkpoint 'nobody'");
}
END_TEST

START_TEST(set_moves_and_rewinds)
{
    make_checkpoints();

    assert_out(STELE("checkpoint", "set", "mailer", "4"), "name\tmailer\nposition\t4\n");
    assert_out(STELE("checkpoint", "set", "mailer", "0"), "name\tmailer\nposition\t0\n");
    assert_out(STELE("checkpoint", "set", "mailer", "1", "-o", "json"),
               "{\"v\":1,\"name\":\"mailer\",\"position\":1}\n");

    assert_has(STELE("checkpoint", "get", "mailer")->out, "position\t1\n");
}
END_TEST

START_TEST(set_by_compare_and_set_refuses_with_exit_code_4)
{
    make_checkpoints();

    assert_refused(STELE("checkpoint", "set", "mailer", "1", "--monotonic"), 4, "is at 2");
    assert_code(STELE("checkpoint", "set", "mailer", "3", "--monotonic"), 0);
    assert_refused(STELE("checkpoint", "set", "mailer", "4", "--from", "2"), 4, "is at 3");
    assert_code(STELE("checkpoint", "set", "mailer", "4", "--from", "3"), 0);
    assert_refused(STELE("checkpoint", "set", "mailer", "4", "--from", "missing"), 4, "is at 4");
    assert_code(STELE("checkpoint", "set", "new", "4", "--from", "missing"), 0);
    assert_refused(STELE("checkpoint", "set", "other", "4", "--from", "1"), 4, "never saved");
}
END_TEST

START_TEST(wrong_arguments_have_exit_code_2)
{
    make_checkpoints();

    assert_refused(STELE("checkpoint", "set", "mailer", "6"), 2, "the head");
    assert_refused(STELE("checkpoint", "set", "mailer", "--", "-1"), 2, "POSITION");
    assert_refused(STELE("checkpoint", "set", "mailer", "2x"), 2, "POSITION");
    assert_refused(STELE("checkpoint", "set", "mailer", "99999999999999999999"), 2, "POSITION");
    assert_refused(STELE("checkpoint", "set", "mailer", "4", "--from", "x"), 2, "--from");
    const ran *result = STELE("checkpoint", "set", "mailer", "4", "--from", "5");
    assert_refused(result, 2, "--from 5 goes forward only, and 4 is before that");
    assert_has(result->err, "hint: without --from the checkpoint goes back");
    assert_lacks(result->err, "stele_");
    assert_code(STELE("checkpoint", "set", "mailer"), 2);
    assert_code(STELE("checkpoint", "set", "", "1"), 2);
    assert_code(STELE("checkpoint", "list", "mailer"), 2);
    assert_code(STELE("checkpoint"), 2);
    assert_has(STELE("checkpoint", "get", "mailer")->out, "position\t2\n");
}
END_TEST

START_TEST(reset_needs_yes_in_a_script_and_asks_on_a_terminal)
{
    make_checkpoints();

    assert_code(STELE("checkpoint", "reset", "mailer"), 2);
    assert_code(STELE("checkpoint", "get", "mailer"), 0);
    assert_out(STELE("checkpoint", "reset", "mailer", "--dry-run"),
               "name\tmailer\nfound\ttrue\ndry_run\ttrue\n");
    assert_code(STELE("checkpoint", "get", "mailer"), 0);
    assert_out(STELE("checkpoint", "reset", "mailer", "-y"),
               "name\tmailer\nfound\ttrue\ndry_run\tfalse\n");
    assert_code(STELE("checkpoint", "get", "mailer"), 3);
    assert_out(STELE("checkpoint", "reset", "mailer", "-y"),
               "name\tmailer\nfound\tfalse\ndry_run\tfalse\n");
    assert_code(answer_on_terminal(ARGUMENTS("checkpoint", "reset", "biller"), "y\n"), 0);
    assert_code(STELE("checkpoint", "get", "biller"), 3);
}
END_TEST

/* A claim alone isn't a reader that is behind. */
START_TEST(doctor_leaves_out_what_was_never_saved)
{
    make_checkpoints();
    assert_code(STELE("checkpoint", "set", "mailer", "5"), 0);

    const ran *result = STELE("doctor");

    assert_has(result->out, "2 checkpoints, none is behind");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stele checkpoint");
    TCase *tests = tcase_create("checkpoint");
    tcase_add_checked_fixture(tests, NULL, forget_runs);
    tcase_add_test(tests, list_shows_each_with_its_lag_and_owner);
    tcase_add_test(tests, list_is_the_same_in_json);
    tcase_add_test(tests, get_shows_one_and_a_missing_one_is_not_found);
    tcase_add_test(tests, set_moves_and_rewinds);
    tcase_add_test(tests, set_by_compare_and_set_refuses_with_exit_code_4);
    tcase_add_test(tests, wrong_arguments_have_exit_code_2);
    tcase_add_test(tests, reset_needs_yes_in_a_script_and_asks_on_a_terminal);
    tcase_add_test(tests, doctor_leaves_out_what_was_never_saved);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
