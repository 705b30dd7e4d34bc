/*
 * copy: into a new store, through a command.
 */
#define _XOPEN_SOURCE 700

#include "cli_support.h"

#include <time.h>

/* Where the copies of the running test go. */
static const char *destination(void)
{
    return test_path("new.db");
}

/* What `export` says of the copy. */
static const char *copied_lines(void)
{
    const ran *result = STELE("-s", destination(), "export");
    assert_code(result, 0);
    return result->out;
}

static const ran *copy_through(const char *map)
{
    return STELE("copy", destination(), "--map", map);
}

/* An event of `size` bytes and more, in a store of its own. */
static void make_large_event(size_t size)
{
    make_store();
    char *data = malloc(size + 3);
    ck_assert_ptr_nonnull(data);
    memset(data, 'x', size + 2);
    data[0] = data[size + 1] = '"';
    data[size + 2] = '\0';
    assert_code(FEED(data, "append", "large-1", "Grown", "-"), 0);
    free(data);
}

/* --- What is copied --- */

START_TEST(plain_copy_exports_the_same_lines)
{
    make_loans();

    const ran *result = STELE("copy", destination(), "-o", "json");

    assert_out(result,
               "{\"v\":1,\"read\":5,\"written\":5,\"dropped\":0,\"skipped_erased\":0,"
               "\"skipped_archived\":0,\"checkpoints\":0,\"checkpoints_lost\":0,\"parked\":0,"
               "\"streams_closed\":0,\"position\":5}\n");
    ck_assert_str_eq(copied_lines(), STELE("export")->out);
    assert_code(STELE("-s", destination(), "verify"), 0);
}
END_TEST

START_TEST(command_that_repeats_its_input_copies_the_same_lines)
{
    make_loans();

    assert_code(copy_through("cat"), 0);

    ck_assert_str_eq(copied_lines(), STELE("export")->out);
}
END_TEST

/* Renames a stream, drops a type, makes two of another. */
static const char rewriting[] = "while IFS= read -r line; do case $line in\n"
                                "*'\"type\":\"Paid\"'*) echo null;;\n"
                                "*'\"type\":\"Opened\"'*)\n"
                                "  echo '[{\"stream\":\"a-1\",\"type\":\"X\",\"data\":1},'"
                                "'{\"stream\":\"a-1\",\"type\":\"Y\"}]';;\n"
                                "*) printf '%s\\n' \"$line\" | sed s/loan-/credit-/;;\n"
                                "esac; done";

START_TEST(command_renames_drops_and_splits_events)
{
    make_loans();
    const char *positions = test_path("positions.tsv");

    const ran *result = STELE("copy", destination(), "--map", rewriting, "--positions", positions);

    assert_code(result, 0);
    assert_has(result->out, "read\t5\nwritten\t5\ndropped\t1\n");
    const char *lines = copied_lines();
    assert_has(lines, "\"stream\":\"credit-1\",\"type\":\"Asked\"");
    assert_has(lines,
               "{\"stream\":\"a-1\",\"type\":\"X\",\"time\":\"2026-05-17T09:33:00Z\",\"data\":1,");
    assert_lacks(lines, "loan-");
    assert_lacks(lines, "Paid");
    char *map = read_whole(positions, NULL);
    ck_assert_str_eq(map, "source\tfirst\tlast\n1\t1\t1\n2\t2\t2\n3\t3\t3\n4\t4\t5\n5\t0\t0\n");
    free(map);
}
END_TEST

/* What is longer than a pipe holds: neither may wait for the other. */
START_TEST(long_lines_pass_through_the_command)
{
    make_large_event(900000);

    assert_code(copy_through("cat"), 0);

    ck_assert_str_eq(copied_lines(), STELE("export")->out);
}
END_TEST

START_TEST(part_of_the_log_is_copied)
{
    make_loans();

    assert_code(STELE("copy", destination(), "--after", "1", "--to", "3"), 0);

    ck_assert_uint_eq(count_lines(copied_lines()), 2);
}
END_TEST

START_TEST(dry_run_makes_no_file)
{
    make_loans();

    const ran *result = STELE("copy", destination(), "--dry-run", "--map", rewriting);

    assert_code(result, 0);
    assert_has(result->out, "written\t5\n");
    ck_assert_int_ne(access(destination(), F_OK), 0);
}
END_TEST

/* --- What is refused --- */

START_TEST(copy_needs_a_source_and_a_destination_of_its_own)
{
    assert_refused(STELE("copy", destination()), 3, "there is no file");
    make_loans();
    assert_refused(STELE("copy"), 2, "DEST");
    assert_refused(STELE("copy", test_path("store.db")), 2, "the target is the source");
    assert_refused(STELE("copy", test_path("no/new.db")), 3, "no/new.db");
    assert_code(STELE("copy", destination()), 0);
    assert_refused(STELE("copy", destination()), 2, "the target: it is not empty");
}
END_TEST

START_TEST(wrong_answer_names_the_position_and_shows_the_line)
{
    static const struct {
        const char *map;
        const char *what;
        const char *answer;
    } wrongs[] = {
        { "while read -r l; do echo 7; done", "position 1: neither an object", "answered: 7\n" },
        { "while read -r l; do echo '{\"stream\":\"a-1\"'; done",
          "position 1: ", "answered: {\"stream\":\"a-1\"\n" },
        { "while read -r l; do echo '{\"stream\":\"a-1\"}'; done", "position 1: no 'type'",
          "answered: {\"stream\":\"a-1\"}\n" },
        { "while read -r l; do echo; done", "position 1: ", "" },
    };
    make_loans();

    const ran *result = copy_through(wrongs[_i].map);

    assert_refused(result, 2, wrongs[_i].what);
    assert_has(result->err, wrongs[_i].answer);
    ck_assert_str_eq(result->out, "");
}
END_TEST

START_TEST(death_of_the_command_is_told_with_its_exit_code)
{
    static const struct {
        const char *map;
        const char *what;
    } deaths[] = {
        { "exit 3", "position 1: the command ended with exit code 3: an answer is missing" },
        { "true", "position 1: the command ended with exit code 0: an answer is missing" },
        { "head -n 1 >&2; exit 5", "position 1: the command ended with exit code 5" },
        { "kill -9 $$", "position 1: the command was killed by signal 9" },
        { "no-such-command-here", "position 1: the command ended with exit code 127" },
        { "for i in 1 2; do read -r l; echo null; done", "position 3: the command ended with" },
    };
    make_large_event(200000); /* beyond what a pipe holds: writing it meets the closed end */
    assert_code(STELE("append", "b-1", "T"), 0);
    assert_code(STELE("append", "b-1", "T"), 0);

    const ran *result = copy_through(deaths[_i].map);

    const char *said = strstr(result->err, "error: ");
    assert_code(result, 1);
    ck_assert_ptr_nonnull(said);
    assert_has(said, deaths[_i].what);
}
END_TEST

START_TEST(answers_that_nobody_asked_for_are_an_error)
{
    make_loans();

    const ran *early = copy_through("echo null; sleep 1; cat");
    assert_refused(early, 1, "the command answered ");
    const ran *late = STELE("copy", test_path("late.db"), "--map", "cat; echo null");
    assert_refused(late, 1, "more lines than it was asked");
    assert_has(late->err, "hint: ");
}
END_TEST

START_TEST(exit_code_of_a_command_that_answered_all_is_a_warning)
{
    make_loans();

    const ran *result = copy_through("cat; exit 4");

    assert_code(result, 0);
    ck_assert_str_eq(result->err,
                     "warning: the command ended with exit code 4, when all was answered\n");
}
END_TEST

START_TEST(positions_that_cannot_be_written_are_an_error)
{
    make_loans();

    assert_refused(STELE("copy", destination(), "--positions", test_path("no/map.tsv")), 1,
                   "can't write '");
    if (access("/dev/full", W_OK) == 0)
        assert_refused(STELE("copy", test_path("other.db"), "--positions", "/dev/full"), 1,
                       "can't write '/dev/full'");
}
END_TEST

/* --- Cut short --- */

/* 2500 events are three batches; the third one meets a wrong answer. */
START_TEST(copy_that_was_cut_short_goes_on_when_repeated)
{
    make_store();
    char *lines = calloc(2500, 64);
    ck_assert_ptr_nonnull(lines);
    size_t size = 0;
    for (int i = 0; i < 2500; i++)
        size += (size_t)sprintf(lines + size, "{\"stream\":\"a-%d\",\"type\":\"T\",\"data\":%d}\n",
                                i % 7, i);
    assert_code(FEED(lines, "import", "-"), 0);
    free(lines);
    const char *positions = test_path("positions.tsv");

    const ran *cut = STELE("copy", destination(), "--map", "sed -u '2100s/.*/oops/'");
    assert_refused(cut, 2, "position 2100: ");
    assert_has(cut->err, "hint: the same command again goes on after position 2000\n");

    const ran *result = STELE("copy", destination(), "--map", "cat", "--positions", positions);
    assert_code(result, 0);
    assert_has(result->out, "read\t500\n");
    ck_assert_str_eq(copied_lines(), STELE("export")->out);
    char *map = read_whole(positions, NULL);
    ck_assert_uint_eq(count_lines(map), 2501);
    assert_has(map, "\n1\t1\t1\n");
    free(map);
}
END_TEST

/* Also when the command doesn't hear of being ended. */
START_TEST(interrupted_copy_ends_with_130)
{
    static const char *const heedless[] = { "", "trap '' TERM;" };
    make_loans();
    int output = open(test_path("run.out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(output, 0);
    char started[4200];
    snprintf(started, sizeof(started), "%s echo > '%s'; sleep 30; sleep 30", heedless[_i],
             test_path("started"));
    pid_t child = start_tool(
        &(launch){ .arguments = ARGUMENTS("copy", destination(), "--map", started) }, output);
    close(output);
    while (access(test_path("started"), F_OK) != 0)
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    time_t told = time(NULL); /* how long it took until then is of no matter */

    ck_assert_int_eq(kill(child, SIGINT), 0);

    ck_assert_int_eq(wait_for(child), 130);
    ck_assert_int_lt(time(NULL) - told, 15);
    char *said = read_whole(test_path("run.err"), NULL);
    assert_has(said, "error: interrupted");
    free(said);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_copy");
    TCase *tests = tcase_create("copies");
    tcase_add_checked_fixture(tests, NULL, forget_runs);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, plain_copy_exports_the_same_lines);
    tcase_add_test(tests, command_that_repeats_its_input_copies_the_same_lines);
    tcase_add_test(tests, command_renames_drops_and_splits_events);
    tcase_add_test(tests, long_lines_pass_through_the_command);
    tcase_add_test(tests, part_of_the_log_is_copied);
    tcase_add_test(tests, dry_run_makes_no_file);
    tcase_add_test(tests, copy_needs_a_source_and_a_destination_of_its_own);
    tcase_add_loop_test(tests, wrong_answer_names_the_position_and_shows_the_line, 0, 4);
    tcase_add_loop_test(tests, death_of_the_command_is_told_with_its_exit_code, 0, 6);
    tcase_add_test(tests, answers_that_nobody_asked_for_are_an_error);
    tcase_add_test(tests, exit_code_of_a_command_that_answered_all_is_a_warning);
    tcase_add_test(tests, positions_that_cannot_be_written_are_an_error);
    tcase_add_test(tests, copy_that_was_cut_short_goes_on_when_repeated);
    tcase_add_loop_test(tests, interrupted_copy_ends_with_130, 0, 2);
    return run_suite(suite);
}
