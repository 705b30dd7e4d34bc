/* The loan desk on small logs that are not as one would wish, and its report for people. */
#include "loan_desk.h"

#define RESULT_SIZE 1024

#define EVENTS_MAX 8

/* A line of a log; all happens in January 2024. */
typedef struct line {
    const char *stream;
    const char *type;
    const char *time;
    const char *data;
} line;

static const char *write_log(const char *name, const line *lines)
{
    FILE *file = fopen(test_path(name), "wb");
    ck_assert_ptr_nonnull(file);
    for (size_t i = 0; i < EVENTS_MAX && lines[i].stream != NULL; i++)
        fprintf(file, "{\"stream\":\"%s\",\"type\":\"%s\",\"time\":\"2024-01-%sZ\",\"data\":%s}\n",
                lines[i].stream, lines[i].type, lines[i].time, lines[i].data);
    ck_assert_int_eq(fclose(file), 0);
    return test_path(name);
}

static const struct {
    line lines[EVENTS_MAX];
    const char *figures;
} unusual[] = {
    { .figures = FIGURES(COUNTS(0, 0, 0, 0, 0, 0), AMOUNTS(0, 0, 0, 0), LEADS(null, null)) },
    { .lines = { { "loan-1", "A_SUBMITTED", "01T00:00:00", "{\"amount_req\":\"10\"}" },
                 { "loan-1", "A_ACCEPTED", "02T00:00:00", "{}" } },
      /* None decided. */
      .figures = FIGURES(COUNTS(2, 1, 0, 0, 0, 1), AMOUNTS(0, 0, 0, 10), LEADS(null, null)) },
    { .lines = { { "loan-1", "A_SUBMITTED", "01T00:00:00", "{\"amount_req\":\"10\"}" },
                 { "loan-1", "A_DECLINED", "02T00:00:00", "{}" },
                 { "loan-1", "A_APPROVED", "03T00:00:00", "{}" },
                 { "loan-1", "A_CANCELLED", "05T12:00:00", "{}" } },
      /* Decided three times: the last one counts, and so does its time. */
      .figures = FIGURES(COUNTS(4, 1, 0, 0, 1, 0), AMOUNTS(0, 0, 10, 0), LEADS(4.5, 4.5)) },
    { .lines = { { "loan-1", "A_SUBMITTED", "01T00:00:00", "{\"amount_req\":\"10\"}" },
                 { "loan-1", "A_SUBMITTED", "02T00:00:00", "{\"amount_req\":\"20\"}" },
                 { "loan-1", "A_APPROVED", "03T00:00:00", "{}" } },
      /* Submitted twice: the first one is the submission. */
      .figures = FIGURES(COUNTS(3, 1, 1, 0, 0, 0), AMOUNTS(10, 0, 0, 0), LEADS(2, 2)) },
    { .lines = { { "loan-1", "A_DECLINED", "01T00:00:00", "{}" },
                 { "loan-2", "A_DECLINED", "02T00:00:00", "{\"amount_req\":\"7\"}" },
                 { "loan-2", "A_SUBMITTED", "03T00:00:00", "{}" },
                 { "loan-3", "A_NOTED", "03T00:00:00", "{\"amount_req\":\"9\"}" } },
      /* Decided without a submission, decided before it, and neither. */
      .figures = FIGURES(COUNTS(4, 1, 0, 2, 0, 0), AMOUNTS(0, 7, 0, 0), LEADS(-1, -1)) },
    { .lines = { { "loan-1", "A_STARTED", "01T00:00:00", "{\"amount_req\":\"1\"}" },
                 { "loan-1", "A_SUBMITTED", "01T00:00:00", "{\"amount_req\":\"2\"}" },
                 { "loan-2", "A_STARTED", "01T00:00:00", "{\"amount_req\":\"30\"}" },
                 { "loan-2", "A_SUBMITTED", "01T00:00:00", "{}" } },
      /* The submission's amount, or else the first event's. */
      .figures = FIGURES(COUNTS(4, 2, 0, 0, 0, 2), AMOUNTS(0, 0, 0, 32), LEADS(null, null)) },
    { .lines = { { "loan-1", "A_SUBMITTED", "01T00:00:00", "{}" },
                 { "loan-2", "A_SUBMITTED", "01T00:00:00", "{\"amount_req\":\"0.1\"}" },
                 { "loan-3", "A_SUBMITTED", "01T00:00:00", "{\"amount_req\":0.20}" },
                 { "loan-4", "A_SUBMITTED", "01T00:00:00",
                   "{\"amount_req\":\"999999999999.0000010\"}" },
                 { "loan-5", "A_SUBMITTED", "01T00:00:00", "{\"amount_req\":\"much\"}" },
                 { "loan-6", "A_SUBMITTED", "01T00:00:00",
                   "{\"a\":{\"amount_req\":\"8\"},\"b\":[1],\"amount\\u005freq\":\"1.5\"}" },
                 { "loan-7", "A_SUBMITTED", "01T00:00:00", "[\"amount_req\"]" } },
      /* Exact amounts, as a string or a bare number; others are missing. */
      .figures = FIGURES(COUNTS(7, 7, 0, 0, 0, 7), AMOUNTS(0, 0, 0, 1000000000000.800001),
                         LEADS(null, null)) },
    { .lines = { { "loan-1", "A_SUBMITTED", "01T00:00:00", "{\"amount_req\":\"1\"}" },
                 { "loan-2", "A_SUBMITTED", "01T00:00:00", "{\"amount_req\":\"1\"}" },
                 { "loan-2", "A_DECLINED", "01T00:00:00.000001", "{}" },
                 { "loan-1", "A_DECLINED", "01T08:00:00", "{}" } },
      /* Nearest-rank takes a value that is there. */
      .figures = FIGURES(COUNTS(4, 2, 0, 2, 0, 0), AMOUNTS(0, 2, 0, 0), LEADS(0, 0.333333)) },
    { .lines = { { "loans-1", "A_SUBMITTED", "01T00:00:00", "{\"amount_req\":\"1\"}" },
                 { "account-1", "A_APPROVED", "01T00:00:00", "{}" },
                 { "loan-1", "A_SUBMITTED", "01T00:00:00", "{\"amount_req\":\"1\"}" },
                 { "card-1", "A_APPROVED", "01T00:00:00", "{}" } },
      /* Other streams are none of its business. */
      .figures = FIGURES(COUNTS(1, 1, 0, 0, 0, 1), AMOUNTS(0, 0, 0, 1), LEADS(null, null)) },
};

START_TEST(unusual_log_is_counted_as_said)
{
    const char *log = write_log("log.jsonl", unusual[_i].lines);

    ck_assert_str_eq(run_desk(test_path("loans.db"), log, 0), unusual[_i].figures);
}
END_TEST

static const line submission[EVENTS_MAX] = {
    { "loan-1", "A_SUBMITTED", "01T00:00:00",
      "{\"amount_req\":\"1234567.5\",\"resource\":\"a\\u001b[2Jb\"}" },
    { "loan-2", "A_SUBMITTED", "01T00:00:00", "{}" }
};
static const line decision[EVENTS_MAX] = { { "loan-1", "A_APPROVED", "03T00:00:00", "{}" } };

START_TEST(new_events_are_folded_onto_the_old)
{
    const char *path = test_path("loans.db");
    run_desk(path, write_log("one.jsonl", submission), 0);

    const char *figures = run_desk(path, write_log("two.jsonl", decision), 0);

    ck_assert_str_eq(figures,
                     FIGURES(COUNTS(3, 2, 1, 0, 0, 1), AMOUNTS(1234567.5, 0, 0, 0), LEADS(2, 2)));
}
END_TEST

START_TEST(bad_lines_are_reported_and_the_others_count)
{
    const char *log = write_log("log.jsonl", submission);
    FILE *file = fopen(log, "ab");
    ck_assert_ptr_nonnull(file);
    fputs("nonsense\n\n{\"stream\":\"loan-1\"}\n", file);
    fclose(file);

    ck_assert_str_eq(
        run_desk(test_path("loans.db"), log, 8),
        FIGURES(COUNTS(2, 2, 0, 0, 0, 2), AMOUNTS(0, 0, 0, 1234567.5), LEADS(null, null)));

    char start_of_line[RESULT_SIZE];
    const char *errors = read_text(test_path("errors"));
    snprintf(start_of_line, sizeof(start_of_line), "%s:3: ", log);
    ck_assert_int_eq(strncmp(errors, start_of_line, strlen(start_of_line)), 0);
    snprintf(start_of_line, sizeof(start_of_line), "\n%s:5: ", log);
    ck_assert_ptr_nonnull(strstr(errors, start_of_line));
}
END_TEST

/* --- The report for people --- */

START_TEST(report_shows_all_it_should_and_drives_no_terminal)
{
    const char *path = test_path("loans.db");
    const char *log = write_log("log.jsonl", submission);
    ck_assert_int_eq(RUN(test_path("output"), desk_program(), path, log), 0);

    const char *report = read_text(test_path("output"));
    ck_assert_ptr_nonnull(strstr(report, "2 events imported"));
    ck_assert_ptr_nonnull(strstr(report, "undecided"));
    ck_assert_ptr_nonnull(strstr(report, "1,234,567.5"));
    ck_assert_ptr_nonnull(strstr(report, "#\n"));
    ck_assert_ptr_nonnull(strstr(report, "History of loan-1\n"));
    ck_assert_ptr_nonnull(strstr(report, "a\\x1b[2Jb"));
    ck_assert_ptr_null(strchr(report, '\x1b'));
    ck_assert_ptr_nonnull(strstr(report, "Verify: "));
    ck_assert_ptr_nonnull(strstr(report, "all well\n"));
}
END_TEST

START_TEST(failure_is_one_line_and_makes_nothing)
{
    const char *missing = test_path("missing");
    ck_assert_int_eq(RUN(test_path("output"), desk_program(), missing), 1);
    ck_assert_int_eq(RUN(test_path("output"), desk_program(), missing, missing), 1);

    const char *errors = read_text(test_path("errors"));
    ck_assert_int_eq(strncmp(errors, "error: ", strlen("error: ")), 0);
    ck_assert_ptr_eq(strchr(errors, '\n'), errors + strlen(errors) - 1);
    ck_assert_str_eq(read_text(test_path("output")), "");
    ck_assert_int_eq(access(missing, F_OK), -1);
    ck_assert_int_eq(RUN(test_path("output"), desk_program()), 2);
}
END_TEST

static Suite *loan_desk_unusual_suite(void)
{
    Suite *suite = suite_create("loan_desk_unusual");
    TCase *tests = tcase_create("loan_desk_unusual");
    tcase_add_checked_fixture(tests, NULL, remove_test_folder);
    tcase_add_loop_test(tests, unusual_log_is_counted_as_said, 0,
                        (int)(sizeof(unusual) / sizeof(unusual[0])));
    tcase_add_test(tests, new_events_are_folded_onto_the_old);
    tcase_add_test(tests, bad_lines_are_reported_and_the_others_count);
    tcase_add_test(tests, report_shows_all_it_should_and_drives_no_terminal);
    tcase_add_test(tests, failure_is_one_line_and_makes_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(loan_desk_unusual_suite());
}
