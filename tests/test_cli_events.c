/*
 * append, read and tail, in every format.
 */
#define _XOPEN_SOURCE 700

#include "cli_support.h"

#include <poll.h>

#define HEADER "position\tversion\ttime\tstream\ttype\tdata\tmetadata\n"

#define LOAN_1                                                                                     \
    "{\"stream\":\"loan-1\",\"type\":\"Asked\",\"time\":\"2026-05-17T09:30:00.25Z\","              \
    "\"data\":{\"amount\":100},\"metadata\":{\"by\":\"ann\"},\"id\":\"k-1\",\"position\":1,"       \
    "\"version\":1,\"schema_version\":1,\"codec\":\"json\"}"
#define LOAN_4                                                                                     \
    "{\"stream\":\"desk-7\",\"type\":\"Opened\",\"time\":\"2026-05-17T09:33:00Z\","                \
    "\"position\":4,\"version\":1,\"schema_version\":1,\"codec\":\"json\"}"
#define LOAN_5                                                                                     \
    "{\"stream\":\"loan-1\",\"type\":\"Paid\",\"time\":\"2026-05-17T09:34:00Z\",\"data\":[],"      \
    "\"position\":5,\"version\":3,\"schema_version\":1,\"codec\":\"json\"}"

/* The positions in plain rows, one after the other: "1 3 5 ". */
static const char *positions_in(const ran *result)
{
    static char positions[256];
    size_t size = 0;
    positions[0] = '\0';
    assert_code(result, 0);
    ck_assert_msg(strncmp(result->out, HEADER, strlen(HEADER)) == 0, "%s", result->out);
    const char *line = result->out + strlen(HEADER);
    for (; *line != '\0'; line += strcspn(line, "\n") + 1) {
        int added = snprintf(positions + size, sizeof(positions) - size, "%.*s ",
                             (int)strcspn(line, "\t"), line);
        ck_assert_int_gt(added, 0);
        size += (size_t)added;
        ck_assert_uint_lt(size, sizeof(positions));
    }
    return positions;
}

/* --- append --- */

START_TEST(append_answers_stream_version_position_and_duplicate)
{
    make_store();
    assert_out(STELE("append", "s-1", "T", "{}"),
               "stream\ts-1\nversion\t1\nposition\t1\nduplicate\tfalse\n");
    assert_out(STELE("append", "s-2", "T", "{}", "-o", "json"),
               "{\"v\":1,\"stream\":\"s-2\",\"version\":1,\"position\":2,\"duplicate\":false}\n");
    assert_out(STELE("append", "s-1", "T", "-o", "jsonl"),
               "{\"v\":1,\"stream\":\"s-1\",\"version\":2,\"position\":3,\"duplicate\":false}\n");
    assert_out(STELE("append", "s-1", "T", "-o", "table"),
               "stream     s-1\nversion    3\nposition   4\nduplicate  false\n");
}
END_TEST

START_TEST(append_keeps_every_option)
{
    make_store();
    assert_code(STELE("append", "s-1", "T", "{\"a\": 1}", "--meta", "{\"by\":\"me\"}", "--key", "k",
                      "--time", "2026-05-17T11:30:00.250+02:00", "--schema-version", "3"),
                0);
    assert_out(STELE("read", "s-1", "-o", "jsonl"),
               "{\"stream\":\"s-1\",\"type\":\"T\",\"time\":\"2026-05-17T09:30:00.25Z\","
               "\"data\":{\"a\": 1},\"metadata\":{\"by\":\"me\"},\"id\":\"k\",\"position\":1,"
               "\"version\":1,\"schema_version\":3,\"codec\":\"json\"}\n");
    assert_code(STELE("append", "s-1", "T", "\x01\xFF", "--codec", "raw"), 0);
    assert_has(STELE("read", "s-1", "-o", "jsonl")->out, "\"data_b64\":\"Af8=\"");
}
END_TEST

START_TEST(append_reads_data_from_standard_input)
{
    make_store();
    assert_code(FEED("{\"line\":1}\n", "append", "s-1", "T", "-"), 0);
    assert_code(FEED("[2]\r\n", "append", "s-1", "T", "-"), 0);
    assert_code(FEED("3", "append", "s-1", "T", "-"), 0);
    assert_code(FEED("raw\n", "append", "s-1", "T", "-", "--codec", "raw"), 0);
    launch zeros = { .arguments = ARGUMENTS("append", "s-1", "T", "-", "--codec", "raw"),
                     .input = "a\0b",
                     .input_size = 3 };
    assert_code(run_tool(&zeros), 0);
    const ran *result = STELE("read", "s-1", "-o", "jsonl");
    assert_has(result->out, "\"data\":{\"line\":1},");
    assert_has(result->out, "\"data\":[2],");
    assert_has(result->out, "\"data\":3,");
    assert_has(result->out, "\"data_b64\":\"cmF3Cg==\"");
    assert_has(result->out, "\"data_b64\":\"YQBi\"");
}
END_TEST

START_TEST(append_at_the_wrong_version_conflicts_and_says_where_to_look)
{
    make_loans();
    const ran *result = STELE("append", "loan-1", "Paid", "--expect", "1");
    assert_refused(result, 4, "stream 'loan-1' is at version 3, expected 1");
    assert_has(result->err, "hint: see what came since: stele read loan-1 --from 2\n");
    ck_assert_str_eq(result->out, "");
    assert_refused(STELE("append", "loan-1", "Paid", "--expect", "none"), 4, "at version 3");
    result = STELE("append", "loan-1", "Paid", "--expect", "7");
    assert_refused(result, 4, "at version 3, expected 7");
    assert_has(result->err, "stele read loan-1 --backward --limit 1");
    assert_refused(STELE("append", "new-1", "Paid", "--expect", "exists"), 4, "new-1");
    assert_code(STELE("append", "loan-1", "Paid", "--expect", "3"), 0);
    assert_code(STELE("append", "loan-1", "Paid", "--expect", "exists"), 0);
    assert_code(STELE("append", "loan-1", "Paid", "--expect", "any"), 0);
    assert_code(STELE("append", "new-1", "Paid", "--expect", "none"), 0);
    assert_code(STELE("append", "new-2", "Paid", "--expect", "0"), 0);
    assert_has(STELE("append", "it's", "T", "--expect", "none")->out, "it's");
    assert_has(STELE("append", "it's", "T", "--expect", "none")->err, "stele read 'it'\\''s'");
}
END_TEST

START_TEST(append_repeated_with_its_key_stores_nothing)
{
    make_store();
    assert_code(STELE("append", "s-1", "T", "1", "--key", "k"), 0);
    const ran *result = STELE("append", "s-1", "T", "1", "--key", "k", "--expect", "none");
    assert_out(result, "stream\ts-1\nversion\t1\nposition\t1\nduplicate\ttrue\n");
    result = STELE("append", "s-1", "T", "2", "--key", "k");
    assert_refused(result, 4, "'k'");
    assert_has(result->err, "hint: a key names one append");
    assert_has(STELE("info")->out, "\nhead\t1\n");
}
END_TEST

START_TEST(append_refuses_what_the_library_refuses)
{
    make_store();
    char name[300];
    memset(name, 'n', 256);
    name[256] = '\0';
    const ran *result = STELE("append", "s-1", "T", "{bad");
    assert_refused(result, 2, "byte 1");
    assert_has(result->err, "--codec raw");
    assert_refused(STELE("append", "s-1", "T", "1", "--meta", "nope"), 2, "metadata");
    assert_refused(STELE("append", name, "T", "1"), 2, "255 bytes");
    assert_refused(STELE("append", "", "T", "1"), 2, "stream");
    assert_refused(STELE("append", "$stele", "T", "1"), 2, "$");
    assert_refused(STELE("append", "@all", "T", "1"), 2, "@all");
    assert_refused(STELE("append", "s\n1", "T", "1"), 2, "control");
    assert_has(STELE("info")->out, "\nhead\t0\n");
}
END_TEST

START_TEST(append_beyond_the_size_limit_is_refused_until_it_is_raised)
{
    make_store();
    size_t size = 1024 * 1024 + 1;
    char *big = malloc(size);
    ck_assert_ptr_nonnull(big);
    memset(big, '7', size);
    launch how = { .arguments = ARGUMENTS("append", "s-1", "T", "-"),
                   .input = big,
                   .input_size = size };
    const ran *result = run_tool(&how);
    assert_refused(result, 2, "1048576");
    assert_has(result->err, "--event-size-max");
    how.arguments = ARGUMENTS("append", "s-1", "T", "-", "--event-size-max", "2000000");
    assert_code(run_tool(&how), 0);
    free(big);

    const ran *exported = STELE("export");
    ck_assert_uint_gt(exported->out_size, size);
    write_whole(test_path("big.jsonl"), exported->out, exported->out_size);
    assert_code(STELE("-s", test_path("copy.db"), "init"), 0);
    assert_code(STELE("-s", test_path("copy.db"), "import", test_path("big.jsonl")), 8);
    assert_code(STELE("-s", test_path("copy.db"), "import", test_path("big.jsonl"),
                      "--event-size-max", "2000000"),
                0);
}
END_TEST

/* --- read --- */

START_TEST(read_prints_a_stream_in_every_format)
{
    make_loans();
    assert_out(STELE("read", "loan-1"),
               HEADER "1\t1\t2026-05-17T09:30:00.25Z\tloan-1\tAsked\t{\"amount\":100}\t"
                      "{\"by\":\"ann\"}\n"
                      "3\t2\t2026-05-17T09:32:00Z\tloan-1\tGranted\t"
                      "\"tab\\\\tand \\\\\\\\ \\\\\"quote\\\\\"\"\t\n"
                      "5\t3\t2026-05-17T09:34:00Z\tloan-1\tPaid\t[]\t\n");
    assert_out(STELE("read", "loan-1", "--limit", "1", "-o", "jsonl"), LOAN_1 "\n");
    assert_out(STELE("read", "loan-1", "--limit", "1", "-o", "json"),
               "{\"v\":1,\"rows\":[" LOAN_1 "]}\n");
    assert_out(STELE("read", "desk-7", "-o", "table"),
               "POSITION  VERSION  TIME                  STREAM  TYPE    DATA  METADATA\n"
               "       4        1  2026-05-17T09:33:00Z  desk-7  Opened        \n");
}
END_TEST

START_TEST(read_json_is_one_object_with_the_rows_of_jsonl)
{
    make_loans();
    const ran *json = STELE("read", "@all", "-o", "json");
    const ran *jsonl = STELE("read", "@all", "-o", "jsonl");
    assert_json(json->out);
    assert_json_lines(jsonl->out);
    ck_assert_uint_eq(count_lines(jsonl->out), 5);
    for (char *line = strtok(jsonl->out, "\n"); line != NULL; line = strtok(NULL, "\n"))
        assert_has(json->out, line);
    ck_assert_str_eq(positions_in(STELE("read", "@all")), "1 2 3 4 5 ");
    ck_assert_uint_eq(count_lines(STELE("read", "@all", "-o", "table")->out), 6);
}
END_TEST

START_TEST(read_takes_bounds_limit_direction_and_types)
{
    make_loans();
    ck_assert_str_eq(positions_in(STELE("read", "loan-1", "--from", "2")), "3 5 ");
    ck_assert_str_eq(positions_in(STELE("read", "loan-1", "--from", "0")), "1 3 5 ");
    ck_assert_str_eq(positions_in(STELE("read", "loan-1", "--to", "2")), "1 3 ");
    ck_assert_str_eq(positions_in(STELE("read", "loan-1", "--from", "2", "--to", "2")), "3 ");
    ck_assert_str_eq(positions_in(STELE("read", "loan-1", "--backward")), "5 3 1 ");
    ck_assert_str_eq(positions_in(STELE("read", "loan-1", "--backward", "--limit=2")), "5 3 ");
    ck_assert_str_eq(positions_in(STELE("read", "loan-1", "--from", "9")), "");
    ck_assert_str_eq(positions_in(STELE("read", "loan-1", "--type", "Paid")), "5 ");
}
END_TEST

START_TEST(read_all_takes_filters_and_several_of_each)
{
    make_loans();
    ck_assert_str_eq(positions_in(STELE("read", "@all", "--after", "3")), "4 5 ");
    ck_assert_str_eq(positions_in(STELE("read", "@all", "--after", "0")), "1 2 3 4 5 ");
    ck_assert_str_eq(positions_in(STELE("read", "@all", "--type", "Asked")), "1 2 ");
    ck_assert_str_eq(positions_in(STELE("read", "@all", "--type", "Asked", "--type", "Paid")),
                     "1 2 5 ");
    ck_assert_str_eq(positions_in(STELE("read", "@all", "--category", "loan")), "1 2 3 5 ");
    ck_assert_str_eq(positions_in(STELE("read", "@all", "--category", "loan", "--category", "desk",
                                        "--limit", "4")),
                     "1 2 3 4 ");
    ck_assert_str_eq(positions_in(STELE("read", "@all", "--category", "desk", "--category", "no",
                                        "--limit", "4")),
                     "4 ");
    ck_assert_str_eq(positions_in(STELE("read", "@all", "--backward", "--limit", "2")), "5 4 ");
    ck_assert_str_eq(positions_in(STELE("read", "@all", "--category", "des")), "");
    ck_assert_str_eq(positions_in(STELE("read", "@all", "--system")), "1 2 3 4 5 ");
}
END_TEST

START_TEST(read_of_several_categories_has_the_limit_after_the_filter)
{
    make_store();
    assert_code(STELE("append", "a-1", "T"), 0);
    assert_code(STELE("append", "b-1", "T"), 0);
    assert_code(STELE("append", "c-1", "T"), 0);
    assert_code(STELE("append", "c", "T"), 0);
    ck_assert_str_eq(
        positions_in(STELE("read", "@all", "--category", "b", "--category", "c", "--limit", "2")),
        "2 3 ");
    /* A name without a dash: one category and several must agree on what its category is. */
    const char *one = positions_in(STELE("read", "@all", "--category", "c"));
    char expected[16];
    snprintf(expected, sizeof(expected), "%s", one);
    ck_assert_str_eq(positions_in(STELE("read", "@all", "--category", "c", "--category", "d")),
                     expected);
}
END_TEST

START_TEST(read_of_a_stream_that_never_was_is_not_found)
{
    make_loans();
    const ran *result = STELE("read", "loan-9");
    assert_refused(result, 3, "no stream 'loan-9'");
    assert_has(result->err, "hint: ");
    ck_assert_str_eq(result->out, "");
    assert_refused(STELE("export", "--stream", "loan-9"), 3, "no stream 'loan-9'");
    assert_refused(STELE("read", "$stele"), 3, "no stream");
}
END_TEST

START_TEST(empty_store_reads_as_no_rows_in_every_format)
{
    make_store();
    assert_out(STELE("read", "@all"), HEADER);
    assert_out(STELE("read", "@all", "-o", "json"), "{\"v\":1,\"rows\":[]}\n");
    assert_out(STELE("read", "@all", "-o", "jsonl"), "");
    assert_out(STELE("read", "@all", "-o", "table"),
               "POSITION  VERSION  TIME  STREAM  TYPE  DATA  METADATA\n");
    assert_out(STELE("tail"), HEADER);
    assert_out(STELE("export"), "");
    assert_out(STELE("types", "-o", "json"), "{\"v\":1,\"rows\":[]}\n");
    assert_out(STELE("streams", "-o", "json"), "{\"v\":1,\"rows\":[]}\n");
    assert_out(STELE("streams"), "stream\tversion\tevents\tstate\tfirst\tlast\tbytes\n");
    assert_code(STELE("verify", "--digest"), 0);
}
END_TEST

START_TEST(plain_cells_hold_tabs_newlines_and_backslashes_escaped)
{
    make_store();
    launch how = { .arguments =
                       ARGUMENTS("append", "s-1", "T", "-", "--codec", "raw", "--time", LOAN_TIME),
                   .input = "a\tb\nc\rd\\e\0f\x1b\xff",
                   .input_size = 13 };
    assert_code(run_tool(&how), 0);
    const ran *result = STELE("read", "s-1");
    static const char row[] = "1\t1\t" LOAN_TIME "\ts-1\tT\ta\\tb\\nc\\rd\\\\e\0f\x1b\xff\t\n";
    ck_assert_uint_eq(result->out_size, strlen(HEADER) + sizeof(row) - 1);
    ck_assert_mem_eq(result->out + strlen(HEADER), row, sizeof(row) - 1);
    assert_has(STELE("read", "s-1", "-o", "table")->out, "a\\tb\\nc\\rd\\e\\x00f\\x1b\\xff");
}
END_TEST

START_TEST(a_table_of_many_rows_keeps_its_columns)
{
    make_store();
    static const char line[] = "{\"stream\":\"s-1\",\"type\":\"T\",\"data\":1}\n";
    static char lines[700 * sizeof(line)];
    size_t size = 0;
    for (int i = 0; i < 700; i++, size += sizeof(line) - 1)
        memcpy(lines + size, line, sizeof(line));
    assert_code(FEED(lines, "import", "-"), 0);
    const ran *result = STELE("read", "@all", "-o", "table");
    ck_assert_uint_eq(count_lines(result->out), 701);
    assert_has(result->out, "\n     700      700  ");
    assert_has(result->out, "\n       1        1  ");
}
END_TEST

/* --- tail --- */

START_TEST(tail_prints_the_last_events)
{
    make_loans();
    ck_assert_str_eq(positions_in(STELE("tail")), "1 2 3 4 5 ");
    ck_assert_str_eq(positions_in(STELE("tail", "--last", "2")), "4 5 ");
    ck_assert_str_eq(positions_in(STELE("tail", "--last", "0")), "");
    ck_assert_str_eq(positions_in(STELE("tail", "--last", "99")), "1 2 3 4 5 ");
    ck_assert_str_eq(positions_in(STELE("tail", "--after", "4")), "5 ");
    ck_assert_str_eq(positions_in(STELE("tail", "--after", "0")), "1 2 3 4 5 ");
    assert_out(STELE("tail", "--last", "2", "-o", "jsonl"), LOAN_4 "\n" LOAN_5 "\n");
    assert_out(STELE("tail", "--last", "1", "-o", "json"), "{\"v\":1,\"rows\":[" LOAN_5 "]}\n");
}
END_TEST

START_TEST(tail_prints_ten_unless_told)
{
    make_store();
    for (int i = 0; i < 12; i++)
        assert_code(STELE("append", "s-1", "T"), 0);
    ck_assert_str_eq(positions_in(STELE("tail")), "3 4 5 6 7 8 9 10 11 12 ");
}
END_TEST

/* Wait until `text` arrived in full at `from`. */
static void expect_text(int from, const char *text)
{
    char got[4096] = "";
    size_t size = 0;
    while (size < strlen(text)) {
        struct pollfd ready = { .fd = from, .events = POLLIN };
        ck_assert_msg(poll(&ready, 1, 20000) == 1, "nothing came after '%s'", got);
        ssize_t count = read(from, got + size, sizeof(got) - 1 - size);
        ck_assert_msg(count > 0, "ended after '%s'", got);
        size += (size_t)count;
        got[size] = '\0';
    }
    ck_assert_str_eq(got, text);
}

static pid_t start_following(int ends[2], const char *const *arguments)
{
    ck_assert_int_eq(pipe(ends), 0);
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    pid_t child = start_tool(&(launch){ .arguments = arguments }, ends[1]);
    close(ends[1]);
    return child;
}

START_TEST(tail_f_goes_on_with_new_events_until_interrupted)
{
    static const int signals[] = { SIGINT, SIGTERM };
    make_loans();
    int ends[2];
    pid_t child = start_following(ends, ARGUMENTS("tail", "-f", "--last", "1", "-o", "jsonl"));
    expect_text(ends[0], LOAN_5 "\n");
    assert_code(STELE("append", "x-1", "T", "1", "--time", LOAN_TIME), 0);
    expect_text(ends[0], "{\"stream\":\"x-1\",\"type\":\"T\",\"time\":\"" LOAN_TIME
                         "\",\"data\":1,\"position\":6,\"version\":1,\"schema_version\":1,"
                         "\"codec\":\"json\"}\n");
    ck_assert_int_eq(kill(child, signals[_i]), 0);
    ck_assert_int_eq(wait_for(child), 130);
    close(ends[0]);
}
END_TEST

START_TEST(tail_f_prints_table_and_plain_rows_at_once)
{
    make_loans();
    int ends[2];
    pid_t child = start_following(ends, ARGUMENTS("tail", "-f", "--last", "0"));
    expect_text(ends[0], HEADER);
    assert_code(STELE("append", "x-1", "T", "1", "--time", LOAN_TIME), 0);
    expect_text(ends[0], "6\t1\t" LOAN_TIME "\tx-1\tT\t1\t\n");
    ck_assert_int_eq(kill(child, SIGINT), 0);
    ck_assert_int_eq(wait_for(child), 130);
    close(ends[0]);
}
END_TEST

/* Each append is a process of its own; none of them waits for the next to be seen. */
START_TEST(tail_f_prints_in_order_what_other_processes_append)
{
    make_loans();
    int ends[2];
    pid_t child = start_following(ends, ARGUMENTS("tail", "-f", "--last", "0"));
    expect_text(ends[0], HEADER);
    for (int i = 0; i < 3; i++) {
        assert_code(STELE("append", "x-1", "T", "1", "--time", LOAN_TIME), 0);
        assert_code(STELE("append", "y-1", "U", "2", "--time", LOAN_TIME), 0);
    }
    expect_text(ends[0], "6\t1\t" LOAN_TIME "\tx-1\tT\t1\t\n7\t1\t" LOAN_TIME "\ty-1\tU\t2\t\n"
                         "8\t2\t" LOAN_TIME "\tx-1\tT\t1\t\n9\t2\t" LOAN_TIME "\ty-1\tU\t2\t\n"
                         "10\t3\t" LOAN_TIME "\tx-1\tT\t1\t\n11\t3\t" LOAN_TIME "\ty-1\tU\t2\t\n");
    ck_assert_int_eq(kill(child, SIGINT), 0);
    ck_assert_int_eq(wait_for(child), 130);
    close(ends[0]);
}
END_TEST

START_TEST(tail_f_ends_when_nobody_reads_it)
{
    make_loans();
    int ends[2];
    pid_t child = start_following(ends, ARGUMENTS("tail", "-f", "--last", "0", "-o", "jsonl"));
    close(ends[0]);
    ck_assert_int_eq(wait_for(child), 0);
    char *err = read_whole(test_path("run.err"), NULL);
    ck_assert_str_eq(err, "");
    free(err);
}
END_TEST

static Suite *cli_events_suite(void)
{
    Suite *suite = suite_create("cli_events");

    TCase *append = tcase_create("append");
    tcase_add_checked_fixture(append, NULL, forget_runs);
    tcase_add_test(append, append_answers_stream_version_position_and_duplicate);
    tcase_add_test(append, append_keeps_every_option);
    tcase_add_test(append, append_reads_data_from_standard_input);
    tcase_add_test(append, append_at_the_wrong_version_conflicts_and_says_where_to_look);
    tcase_add_test(append, append_repeated_with_its_key_stores_nothing);
    tcase_add_test(append, append_refuses_what_the_library_refuses);
    tcase_add_test(append, append_beyond_the_size_limit_is_refused_until_it_is_raised);
    suite_add_tcase(suite, append);

    TCase *read = tcase_create("read");
    tcase_add_checked_fixture(read, NULL, forget_runs);
    tcase_add_test(read, read_prints_a_stream_in_every_format);
    tcase_add_test(read, read_json_is_one_object_with_the_rows_of_jsonl);
    tcase_add_test(read, read_takes_bounds_limit_direction_and_types);
    tcase_add_test(read, read_all_takes_filters_and_several_of_each);
    tcase_add_test(read, read_of_several_categories_has_the_limit_after_the_filter);
    tcase_add_test(read, read_of_a_stream_that_never_was_is_not_found);
    tcase_add_test(read, empty_store_reads_as_no_rows_in_every_format);
    tcase_add_test(read, plain_cells_hold_tabs_newlines_and_backslashes_escaped);
    tcase_add_test(read, a_table_of_many_rows_keeps_its_columns);
    suite_add_tcase(suite, read);

    TCase *tail = tcase_create("tail");
    tcase_add_checked_fixture(tail, NULL, forget_runs);
    tcase_set_timeout(tail, 60);
    tcase_add_test(tail, tail_prints_the_last_events);
    tcase_add_test(tail, tail_prints_ten_unless_told);
    tcase_add_loop_test(tail, tail_f_goes_on_with_new_events_until_interrupted, 0, 2);
    tcase_add_test(tail, tail_f_prints_table_and_plain_rows_at_once);
    tcase_add_test(tail, tail_f_prints_in_order_what_other_processes_append);
    tcase_add_test(tail, tail_f_ends_when_nobody_reads_it);
    suite_add_tcase(suite, tail);
    return suite;
}

int main(void)
{
    return run_suite(cli_events_suite());
}
