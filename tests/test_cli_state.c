/*
 * state get, put, list and delete; and what verbs of two words have in common.
 */
#define _XOPEN_SOURCE 700

#include "cli_support.h"

static void make_entries(void)
{
    make_store();
    assert_code(STELE("state", "put", "jobs", "job-1", "{\"step\":1}", "--attribute", "by=cron",
                      "--attribute", "at=a=b", "--write-id", "w-1"),
                0);
    assert_code(STELE("state", "put", "jobs", "job-2", "two", "--codec", "raw"), 0);
    assert_code(STELE("state", "put", "other", "job-3", "null"), 0);
}

/* --- put --- */

START_TEST(put_says_what_became_of_the_entry)
{
    make_store();
    const ran *result = STELE("state", "put", "s", "k", "1", "--expect", "none", "-o", "json");
    assert_code(result, 0);
    assert_json(result->out);
    assert_has(result->out,
               "{\"v\":1,\"scope\":\"s\",\"key\":\"k\",\"revision\":1,\"updated_at\":\"");
    assert_has(result->out, "\"found\":false,\"duplicate\":false,\"superseded\":false}");
    result = STELE("state", "put", "s", "k", "2", "--expect", "1", "--write-id", "w-1");
    assert_has(result->out, "scope\ts\nkey\tk\nrevision\t2\n");
    assert_has(result->out, "found\ttrue\nduplicate\tfalse\n");
    assert_code(STELE("state", "put", "s", "k", "3", "--expect", "any"), 0);
    result = STELE("state", "put", "s", "k", "2", "--expect", "1", "--write-id", "w-1");
    assert_code(result, 0);
    assert_has(result->out, "revision\t2\n");
    assert_has(result->out, "duplicate\ttrue\nsuperseded\ttrue\n");
}
END_TEST

START_TEST(put_at_another_revision_or_with_a_used_id_exits_with_4)
{
    make_entries();
    const ran *result = STELE("state", "put", "jobs", "job-1", "2", "--expect", "7");
    assert_refused(result, 4, "revision 1, expected 7");
    assert_has(result->err, "hint: see it: stele state get jobs job-1");
    assert_refused(STELE("state", "put", "jobs", "job-1", "2", "--expect", "none"), 4,
                   "expected none");
    result = STELE("state", "put", "jobs", "job-1", "2", "--write-id", "w-1");
    assert_refused(result, 4, "w-1");
    assert_has(result->err, "--write-id");
    ck_assert_ptr_null(strstr(result->err, "--key"));
}
END_TEST

START_TEST(put_refuses_what_is_wrong_with_2)
{
    make_entries();
    assert_refused(STELE("state", "put", "jobs", "job-1", "{"), 2, "data");
    assert_refused(STELE("state", "put", "$jobs", "job-1", "1"), 2, "the library's");
    assert_refused(STELE("state", "put", "jobs", "", "1"), 2, "key");
    assert_refused(STELE("state", "put", "jobs", "k", "1", "--expect", "exists"), 2,
                   "--expect takes a revision");
    assert_refused(STELE("state", "put", "jobs", "k", "1", "--attribute", "name"), 2,
                   "--attribute takes NAME=VALUE");
    assert_refused(STELE("state", "put", "jobs", "k", "1", "--attribute", "=x"), 2, "empty");
    assert_refused(STELE("state", "put", "jobs"), 2, "needs SCOPE KEY");
}
END_TEST

/* A forgotten operand, or a producer that failed before a pipe, must not wipe a value. */
START_TEST(put_of_nothing_is_refused_unless_it_is_meant)
{
    make_entries();

    assert_refused(STELE("state", "put", "jobs", "job-1"), 2, "DATA is missing");
    const ran *result = STELE("state", "put", "jobs", "job-1", "");
    assert_refused(result, 2, "DATA is empty");
    assert_has(result->err, "--codec raw");
    assert_refused(FEED("", "state", "put", "jobs", "job-1", "-"), 2, "DATA is empty");
    assert_refused(FEED("\n", "state", "put", "jobs", "job-1", "-"), 2, "DATA is empty");

    assert_out(STELE("state", "get", "jobs", "job-1", "--data"), "{\"step\":1}");
    assert_code(FEED("", "state", "put", "jobs", "job-1", "-", "--codec", "raw"), 0);
    assert_out(STELE("state", "get", "jobs", "job-1", "--data"), "");
}
END_TEST

START_TEST(put_reads_standard_input)
{
    make_store();
    assert_code(FEED("{\"a\":1}\n", "state", "put", "s", "json", "-"), 0);
    assert_out(STELE("state", "get", "s", "json", "--data"), "{\"a\":1}");
    assert_code(FEED("text\n", "state", "put", "s", "raw", "-", "--codec", "raw"), 0);
    assert_out(STELE("state", "get", "s", "raw", "--data"), "text\n");
    assert_code(STELE("state", "put", "s", "dash", "--codec", "raw", "--", "-x"), 0);
    assert_out(STELE("state", "get", "s", "dash", "--data"), "-x");
}
END_TEST

/* --- get --- */

START_TEST(get_prints_one_entry)
{
    make_entries();
    const ran *result = STELE("state", "get", "jobs", "job-1", "-o", "json");
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"scope\":\"jobs\",\"key\":\"job-1\",\"revision\":1,");
    assert_has(result->out, "\"codec\":\"json\",\"attributes\":{\"at\":\"a=b\",\"by\":\"cron\"},"
                            "\"data\":{\"step\":1}}\n");
    result = STELE("state", "get", "jobs", "job-1");
    assert_has(result->out, "attributes\t{\"at\":\"a=b\",\"by\":\"cron\"}\ndata\t{\"step\":1}\n");
    result = STELE("state", "get", "jobs", "job-2", "-o", "json");
    assert_has(result->out, "\"attributes\":{},\"data_b64\":\"dHdv\"}");
    assert_has(STELE("state", "get", "jobs", "job-2")->out, "data\ttwo\n");
}
END_TEST

/* A row of jsonl is one line, whatever the value has. */
START_TEST(json_of_several_lines_is_printed_in_base64)
{
    make_store();
    assert_code(STELE("state", "put", "s", "k", "{\n\"a\":1}"), 0);
    const ran *result = STELE("state", "list", "-o", "jsonl");
    ck_assert_uint_eq(count_lines(result->out), 1);
    assert_has(result->out, "\"codec\":\"json\",\"attributes\":{},\"data_b64\":\"ewoiYSI6MX0=\"");
    assert_out(STELE("state", "get", "s", "k", "--data"), "{\n\"a\":1}");
}
END_TEST

START_TEST(missing_entry_exits_with_3)
{
    make_entries();
    const ran *result = STELE("state", "get", "jobs", "none");
    assert_refused(result, 3, "no entry 'none' in scope 'jobs'");
    assert_has(result->err, "hint: stele state list shows");
    assert_refused(STELE("state", "get", "jobs", "none", "--data"), 3, "no entry");
    assert_refused(STELE("state", "get", "", "k"), 2, "scope");
}
END_TEST

/* --- list --- */

START_TEST(list_prints_a_row_for_each_entry)
{
    make_entries();
    const ran *result = STELE("state", "list");
    ck_assert_uint_eq(count_lines(result->out), 4);
    assert_has(result->out,
               "scope\tkey\trevision\tupdated_at\tcodec\tattributes\tdata\njobs\tjob-1\t1\t");
    assert_has(result->out, "other\tjob-3\t1\t");
    result = STELE("state", "list", "jobs", "--newest", "--limit", "1", "-o", "jsonl");
    ck_assert_uint_eq(count_lines(result->out), 1);
    assert_json_lines(result->out);
    assert_has(result->out, "{\"scope\":\"jobs\",\"key\":\"job-2\",");
    result = STELE("state", "list", "jobs", "--prefix", "job-1", "-o", "json");
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"rows\":[{\"scope\":\"jobs\",\"key\":\"job-1\",");
    assert_lacks(result->out, "job-2");
    assert_out(STELE("state", "list", "none", "-o", "json"), "{\"v\":1,\"rows\":[]}\n");
    assert_refused(STELE("state", "list", "--newest"), 2, "--newest lists one scope");
    assert_refused(STELE("state", "list", "jobs", "--limit", "0"), 2, "--limit");
}
END_TEST

/* --- delete --- */

START_TEST(delete_takes_an_entry_away)
{
    make_entries();
    assert_out(STELE("state", "delete", "jobs", "job-1", "-y"),
               "scope\tjobs\nkey\tjob-1\nrevision\t2\nfound\ttrue\ndry_run\tfalse\n");
    assert_code(STELE("state", "get", "jobs", "job-1"), 3);
    assert_out(STELE("state", "delete", "jobs", "job-1", "-y"),
               "scope\tjobs\nkey\tjob-1\nrevision\t2\nfound\tfalse\ndry_run\tfalse\n");
    assert_code(STELE("verify"), 0);
}
END_TEST

START_TEST(delete_asks_and_a_script_must_have_answered)
{
    make_entries();
    const ran *result = STELE("state", "delete", "jobs", "job-1");
    assert_refused(result, 2, "state delete must be confirmed");
    assert_has(result->err, "--dry-run");
    assert_code(STELE("state", "get", "jobs", "job-1"), 0);
    const char *const arguments[] = { "state", "delete", "jobs", "job-1", NULL };
    assert_code(answer_on_terminal(arguments, "n\n"), 1);
    assert_code(STELE("state", "get", "jobs", "job-1"), 0);
    assert_code(answer_on_terminal(arguments, "y\n"), 0);
    assert_code(STELE("state", "get", "jobs", "job-1"), 3);
}
END_TEST

START_TEST(delete_at_another_revision_exits_with_4_and_a_dry_run_changes_nothing)
{
    make_entries();
    assert_refused(STELE("state", "delete", "jobs", "job-1", "--expect", "7", "-y"), 4,
                   "expected 7");
    assert_refused(STELE("state", "delete", "jobs", "job-1", "--expect", "7", "--dry-run"), 4,
                   "expected 7");
    assert_out(STELE("state", "delete", "jobs", "job-1", "--expect", "1", "--dry-run"),
               "scope\tjobs\nkey\tjob-1\nrevision\t1\nfound\ttrue\ndry_run\ttrue\n");
    assert_code(STELE("state", "get", "jobs", "job-1"), 0);
}
END_TEST

START_TEST(looking_opens_the_store_read_only_and_no_store_is_3)
{
    make_entries();
    assert_code(STELE("state", "get", "jobs", "job-1", "--immutable"), 0);
    assert_refused(STELE("state", "put", "jobs", "job-1", "1", "--immutable"), 2,
                   "state put writes");
    assert_refused(STELE("-s", "/nowhere/x.db", "state", "list"), 3, "/nowhere/x.db");
}
END_TEST

/* --- Verbs of two words --- */

START_TEST(first_word_alone_or_with_a_wrong_second_is_refused)
{
    const ran *result = STELE("state");
    assert_refused(result, 2, "state needs one of the words get put list delete");
    assert_has(result->err, "hint: stele state --help");
    result = STELE("state", "gte", "jobs", "k");
    assert_refused(result, 2, "unknown word after state: 'gte'");
    assert_has(result->err, "did you mean 'get'?");
    assert_refused(STELE("state", "--prefix", "x", "list"), 2, "unknown option '--prefix'");
    assert_refused(STELE("stat"), 2, "did you mean 'state'?");
}
END_TEST

START_TEST(help_knows_the_first_word_and_each_verb_behind_it)
{
    const char *const groups[][3] = { { "help", "state", NULL }, { "state", "--help", NULL } };
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        const ran *result = STELE(groups[i][0], groups[i][1]);
        assert_code(result, 0);
        assert_has(result->out, "usage: stele state get SCOPE KEY [--data]\n");
        assert_has(result->out, "\n  state delete  delete a state entry\n");
    }
    assert_has(STELE("help", "state", "put")->out, "usage: stele state put SCOPE KEY [DATA|-]");
    assert_has(STELE("state", "put", "--help")->out, "usage: stele state put SCOPE KEY [DATA|-]");
    assert_refused(STELE("help", "state", "gte"), 2, "did you mean 'get'?");
    assert_refused(STELE("help", "read", "x"), 2, "unexpected argument 'x'");
    assert_has(STELE("help")->out, "\n  state         get, put, list or delete");
}
END_TEST

START_TEST(each_verb_of_two_words_has_help_and_is_in_the_guide)
{
    static const char *const words[] = { "get", "put", "list", "delete" };
    char *guide = read_whole("docs/command-line.md", NULL);
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        char name[32];
        snprintf(name, sizeof(name), "`stele state %s", words[i]);
        assert_has(guide, name);
        const ran *result = STELE("state", words[i], "--help");
        assert_has(result->out, "\nimpact: r");
        assert_has(result->out, "\nexamples:\n  stele state ");
    }
    free(guide);
}
END_TEST

/* Options that every verb has stand anywhere, between the words, too. */
START_TEST(common_options_stand_between_the_words)
{
    make_entries();
    const ran *result = STELE("-o", "jsonl", "state", "-s", test_path("store.db"), "list", "other");
    assert_code(result, 0);
    assert_has(result->out, "{\"scope\":\"other\"");
    result = STELE("state", "-o", "json", "get", "--", "jobs", "job-1");
    assert_code(result, 0);
    assert_json(result->out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_state");
    TCase *tests = tcase_create("state");
    tcase_add_checked_fixture(tests, NULL, forget_runs);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, put_says_what_became_of_the_entry);
    tcase_add_test(tests, put_at_another_revision_or_with_a_used_id_exits_with_4);
    tcase_add_test(tests, put_refuses_what_is_wrong_with_2);
    tcase_add_test(tests, put_of_nothing_is_refused_unless_it_is_meant);
    tcase_add_test(tests, put_reads_standard_input);
    tcase_add_test(tests, get_prints_one_entry);
    tcase_add_test(tests, json_of_several_lines_is_printed_in_base64);
    tcase_add_test(tests, missing_entry_exits_with_3);
    tcase_add_test(tests, list_prints_a_row_for_each_entry);
    tcase_add_test(tests, delete_takes_an_entry_away);
    tcase_add_test(tests, delete_asks_and_a_script_must_have_answered);
    tcase_add_test(tests, delete_at_another_revision_exits_with_4_and_a_dry_run_changes_nothing);
    tcase_add_test(tests, looking_opens_the_store_read_only_and_no_store_is_3);
    tcase_add_test(tests, first_word_alone_or_with_a_wrong_second_is_refused);
    tcase_add_test(tests, help_knows_the_first_word_and_each_verb_behind_it);
    tcase_add_test(tests, each_verb_of_two_words_has_help_and_is_in_the_guide);
    tcase_add_test(tests, common_options_stand_between_the_words);
    return run_suite(suite);
}
