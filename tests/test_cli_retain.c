/*
 * retain: forgetting the oldest events of streams, asking first.
 */
#define _XOPEN_SOURCE 700

#include "cli_support.h"

#include <stele/checkpoint.h>
#include <stele/store.h>

#include <time.h>

#define FIELDS                                                                                     \
    "streams\t%d\nevents\t%d\nbytes\t%d\nheld_back\t%d\nslowest\t%s\nslowest_position\t%d\n"       \
    "skipped\t%d\nfile_bytes\t0\ndry_run\t%s\n"

/* s-1 and s-2 with five events of one byte each, at the positions 1 to 5 and 6 to 10. */
static void make_streams(void)
{
    static const char *const data[] = { "1", "2", "3", "4", "5" };
    make_store();
    for (int stream = 1; stream <= 2; stream++)
        for (size_t i = 0; i < COUNT_OF(data); i++)
            assert_code(STELE("append", stream == 1 ? "s-1" : "s-2", "Counted", data[i]), 0);
}

static void save_checkpoint(const char *name, int64_t position)
{
    stele_store *store = NULL;
    ck_assert_int_eq(stele_store_open(test_path("store.db"), NULL, &store), STELE_OK);
    ck_assert_int_eq(stele_checkpoint_save(store, name, position), STELE_OK);
    stele_store_close(store);
}

static const char *answer(int streams, int events, int held_back, const char *slowest,
                          int slowest_position, const char *dry_run)
{
    static char text[400];
    snprintf(text, sizeof(text), FIELDS, streams, events, events, held_back, slowest,
             slowest_position, 0, dry_run);
    return text;
}

START_TEST(retain_trims_a_stream_and_says_what_went)
{
    make_streams();
    assert_out(STELE("retain", "--stream", "s-1", "--max-count", "2", "-y"),
               answer(1, 3, 0, "", 0, "false"));
    assert_out(STELE("retain", "--stream", "s-1", "--max-count", "2", "-y"),
               answer(0, 0, 0, "", 0, "false"));
    const ran *result = STELE("read", "s-1", "-o", "jsonl");
    ck_assert_uint_eq(count_lines(result->out), 2);
    assert_has(result->out, "\"version\":4");
    assert_code(STELE("verify"), 0);
    assert_has(STELE("streams")->out, "s-1\t5\t2\tactive\t");
}
END_TEST

START_TEST(retain_trims_a_category)
{
    make_streams();
    assert_out(STELE("retain", "--category", "s", "--max-count", "1", "-y"),
               answer(2, 8, 0, "", 0, "false"));
    assert_out(STELE("retain", "--category", "t", "--max-count", "1", "-y"),
               answer(0, 0, 0, "", 0, "false"));
}
END_TEST

START_TEST(retain_takes_versions_and_ages)
{
    make_streams();
    assert_out(STELE("retain", "--stream", "s-1", "--before", "3", "-y"),
               answer(1, 2, 0, "", 0, "false"));
    static const char *const ages[] = { "3600s", "60m", "1h", "1d", "100000000d" };
    for (size_t i = 0; i < COUNT_OF(ages); i++)
        assert_out(STELE("retain", "--category", "s", "--max-age", ages[i], "-y"),
                   answer(0, 0, 0, "", 0, "false"));
    nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 10000000 }, NULL);
    assert_out(STELE("retain", "--category", "s", "--max-age", "1s", "-y"),
               answer(2, 8, 0, "", 0, "false"));
}
END_TEST

START_TEST(retain_stops_at_the_slowest_reader_and_names_it)
{
    make_streams();
    save_checkpoint("mailer", 2);
    const ran *result = STELE("retain", "--stream", "s-1", "--max-count", "1", "-y");
    assert_code(result, 0);
    ck_assert_str_eq(result->out, answer(1, 2, 2, "mailer", 2, "false"));
    ck_assert_str_eq(result->err, "hint: 2 events stay for the reader 'mailer', which is at"
                                  " position 2\n");
    assert_out(STELE("retain", "--stream", "s-1", "--max-count", "1", "--stale-after", "1d", "-y",
                     "--force"),
               answer(1, 2, 0, "", 0, "false"));
}
END_TEST

START_TEST(retain_leaves_out_a_reader_that_has_not_saved_for_long)
{
    make_streams();
    save_checkpoint("mailer", 2);
    nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 10000000 }, NULL);
    assert_out(STELE("retain", "--stream", "s-1", "--max-count", "1", "--stale-after", "1s", "-y"),
               answer(1, 4, 0, "", 0, "false"));
}
END_TEST

START_TEST(retain_tells_without_doing_it)
{
    make_streams();
    assert_out(STELE("retain", "--stream", "s-1", "--max-count", "2", "--dry-run"),
               answer(1, 3, 0, "", 0, "true"));
    assert_out(STELE("retain", "--stream", "s-1", "--max-count", "2", "--dry-run"),
               answer(1, 3, 0, "", 0, "true"));
}
END_TEST

START_TEST(retain_answers_with_one_object)
{
    make_streams();
    const ran *result = STELE("retain", "--stream", "s-1", "--max-count", "2", "-y", "-o", "json");
    assert_out(result, "{\"v\":1,\"streams\":1,\"events\":3,\"bytes\":3,\"held_back\":0,"
                       "\"slowest\":\"\",\"slowest_position\":0,\"skipped\":0,\"file_bytes\":0,"
                       "\"dry_run\":false}\n");
    assert_json(result->out);
}
END_TEST

START_TEST(retain_in_a_script_needs_a_yes)
{
    make_streams();
    const ran *result = STELE("retain", "--stream", "s-1", "--max-count", "2");
    assert_refused(result, 2, "forget 3 events of 1 streams, 3 bytes, for good?");
    assert_has(result->err, "hint: -y");
    assert_has(STELE("streams")->out, "s-1\t5\t5\t");
}
END_TEST

static const ran *retain_answering(const char *typed)
{
    return answer_on_terminal(ARGUMENTS("retain", "--stream", "s-1", "--max-count", "2"), typed);
}

START_TEST(retain_asks_on_a_terminal)
{
    make_streams();
    const ran *result = retain_answering("n\n");
    assert_code(result, 1);
    assert_has(result->err, "forget 3 events of 1 streams, 3 bytes, for good? [y/N] ");
    ck_assert_str_eq(result->out, "");
    assert_code(retain_answering("\n"), 1);
    assert_has(STELE("streams")->out, "s-1\t5\t5\t");

    result = retain_answering("y\n");
    assert_code(result, 0);
    ck_assert_str_eq(result->out, answer(1, 3, 0, "", 0, "false"));
}
END_TEST

START_TEST(retain_refuses_a_wrong_question)
{
    make_streams();
    assert_refused(STELE("retain", "--max-count", "2", "-y"), 2, "of which stream or category?");
    assert_refused(STELE("retain", "--stream", "s-1", "-y"), 2, "nothing says what is to go");
    assert_refused(STELE("retain", "--stream", "s-1", "--category", "s", "--max-count", "2", "-y"),
                   2, "--category");
    assert_refused(STELE("retain", "--category", "s", "--before", "2", "-y"), 2,
                   "--before is for one stream");
    assert_refused(STELE("retain", "--stream", "s-1", "--max-count", "0", "-y"), 2,
                   "a number from 1");
    assert_refused(STELE("retain", "--stream", "$stele", "--max-count", "1", "-y"), 2,
                   "is the library's");
    assert_refused(STELE("retain", "--stream", "s-9", "--max-count", "1", "-y"), 3,
                   "there is no stream 's-9'");
    static const char *const wrong[] = { "",   "d",   "30",   "0d",  "-1d",
                                         "1w", "1dd", "1.5h", " 1d", "99999999999999999999d" };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_refused(STELE("retain", "--stream", "s-1", "--max-age", wrong[i], "-y"), 2,
                       "is no length of time");
    assert_refused(STELE("retain", "--stream", "s-1", "--max-count", "1", "--stale-after", "x"), 2,
                   "--stale-after x is no length of time");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_retain");
    TCase *tests = tcase_create("retain");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, NULL, forget_runs);
    tcase_add_test(tests, retain_trims_a_stream_and_says_what_went);
    tcase_add_test(tests, retain_trims_a_category);
    tcase_add_test(tests, retain_takes_versions_and_ages);
    tcase_add_test(tests, retain_stops_at_the_slowest_reader_and_names_it);
    tcase_add_test(tests, retain_leaves_out_a_reader_that_has_not_saved_for_long);
    tcase_add_test(tests, retain_tells_without_doing_it);
    tcase_add_test(tests, retain_answers_with_one_object);
    tcase_add_test(tests, retain_in_a_script_needs_a_yes);
    tcase_add_test(tests, retain_asks_on_a_terminal);
    tcase_add_test(tests, retain_refuses_a_wrong_question);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
