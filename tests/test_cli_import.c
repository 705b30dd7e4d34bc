/*
 * import and export.
 */
#define _XOPEN_SOURCE 700

#include "cli_support.h"

#include <poll.h>

#define COUNTS "lines\t%d\nappended\t%d\nduplicates\t%d\nrejected\t%d\n"

/* It ended with `code` and these counts. */
static void assert_counts(const ran *result, int code, int lines, int appended, int duplicates,
                          int rejected)
{
    char expected[128];
    snprintf(expected, sizeof(expected), COUNTS, lines, appended, duplicates, rejected);
    assert_code(result, code);
    ck_assert_str_eq(result->out, expected);
}

#define THREE_LINES                                                                                \
    "{\"stream\":\"a-1\",\"type\":\"T\",\"data\":1}\n"                                             \
    "{\"stream\":\"a-1\",\"type\":\"T\",\"data\":2}\n"                                             \
    "{\"stream\":\"a-2\",\"type\":\"T\",\"data\":3}\n"

/* --- What is stored --- */

START_TEST(import_of_a_file_twice_adds_nothing)
{
    make_store();
    const char *path = make_file("three.jsonl", THREE_LINES);
    const ran *result = STELE("import", path);
    assert_counts(result, 0, 3, 3, 0, 0);
    ck_assert_str_eq(result->err, "");
    assert_counts(STELE("import", path), 0, 3, 0, 3, 0);
    assert_has(STELE("info")->out, "\nhead\t3\n");
    assert_out(STELE("import", path, "-o", "json"),
               "{\"v\":1,\"lines\":3,\"appended\":0,\"duplicates\":3,\"rejected\":0}\n");
}
END_TEST

START_TEST(a_file_is_the_same_source_by_whichever_path_it_is_named)
{
    make_store();
    const char *path = make_file("three.jsonl", THREE_LINES);
    assert_counts(STELE("import", path), 0, 3, 3, 0, 0);
    char roundabout[4096];
    snprintf(roundabout, sizeof(roundabout), "%s/./../%s/three.jsonl", test_folder(),
             strrchr(test_folder(), '/') + 1);
    assert_counts(STELE("import", roundabout), 0, 3, 0, 3, 0);
    ck_assert_int_eq(symlink(path, test_path("link.jsonl")), 0);
    assert_counts(STELE("import", test_path("link.jsonl")), 0, 3, 0, 3, 0);
}
END_TEST

START_TEST(a_file_that_grew_adds_what_is_new)
{
    make_store();
    const char *path = make_file("log.jsonl", THREE_LINES);
    assert_counts(STELE("import", path), 0, 3, 3, 0, 0);
    make_file("log.jsonl", THREE_LINES "{\"stream\":\"a-2\",\"type\":\"T\",\"data\":4}\n");
    assert_counts(STELE("import", path), 0, 4, 1, 3, 0);
}
END_TEST

START_TEST(standard_input_has_no_source_unless_named)
{
    make_store();
    assert_counts(FEED(THREE_LINES, "import", "-"), 0, 3, 3, 0, 0);
    assert_counts(FEED(THREE_LINES, "import"), 0, 3, 3, 0, 0);
    assert_counts(FEED(THREE_LINES, "import", "--source", "x"), 0, 3, 3, 0, 0);
    assert_counts(FEED(THREE_LINES, "import", "-", "--source", "x"), 0, 3, 0, 3, 0);
    assert_has(STELE("import", "--help")->out, "--source");
    assert_has(STELE("info")->out, "\nhead\t9\n");
}
END_TEST

START_TEST(a_line_with_an_id_is_stored_once_wherever_it_comes_from)
{
    static const char line[] = "{\"stream\":\"a-1\",\"type\":\"T\",\"id\":\"k\"}\n";
    make_store();
    assert_counts(FEED(line, "import"), 0, 1, 1, 0, 0);
    assert_counts(FEED(line, "import"), 0, 1, 0, 1, 0);
    assert_counts(STELE("import", make_file("one.jsonl", line)), 0, 1, 0, 1, 0);
}
END_TEST

START_TEST(import_takes_batches_of_any_size)
{
    make_store();
    assert_counts(FEED(THREE_LINES, "import", "--batch", "1"), 0, 3, 3, 0, 0);
    assert_counts(FEED(THREE_LINES, "import", "--batch", "2"), 0, 3, 3, 0, 0);
    assert_counts(FEED("", "import"), 0, 0, 0, 0, 0);
    assert_counts(FEED("\n\n", "import"), 0, 0, 0, 0, 0);
    assert_counts(FEED("{\"stream\":\"a\",\"type\":\"T\"}", "import"), 0, 1, 1, 0, 0);
}
END_TEST

/* --- Bad lines --- */

static const char bad_lines[] = "{\"stream\":\"a-1\",\"type\":\"T\",\"data\":1}\n"
                                "not json\n"
                                "{\"type\":\"T\"}\n"
                                "{\"stream\":\"a-1\"}\n"
                                "\n"
                                "{\"stream\":\"a-1\",\"type\":\"T\",\"time\":\"yesterday\"}\n"
                                "{\"stream\":\"a-1\",\"type\":\"T\",\"colour\":\"red\"}\n"
                                "{\"stream\":\"a-1\",\"type\":\"T\",\"data\":1,\"data\":2}\n"
                                "{\"stream\":\"\",\"type\":\"T\"}\n"
                                "{\"stream\":\"$stele\",\"type\":\"T\"}\n"
                                "{\"stream\":\"a-1\",\"type\":\"T\",\"data_b64\":\"?\"}\n"
                                "{\"stream\":\"a-1\",\"type\":\"T\",\"schema_version\":0}\n"
                                "{\"stream\":\"a-1\",\"type\":7}\n"
                                "[1]\n"
                                "{\"stream\":\"a-1\",\"type\":\"T\",\"id\":\"k\",\"data\":1}\n"
                                "{\"stream\":\"a-1\",\"type\":\"T\",\"id\":\"k\",\"data\":2}\n"
                                "{\"stream\":\"a-1\",\"type\":\"T\",\"data\":\"\xFF\"}\n"
                                "{\"stream\":\"a-1\",\"type\":\"T\",\"data\":3";

START_TEST(bad_lines_are_reported_with_their_place_and_the_rest_is_stored)
{
    make_store();
    const char *path = make_file("bad.jsonl", bad_lines);
    const ran *result = STELE("import", path);
    assert_counts(result, 8, 17, 2, 0, 15);

    static const int numbers[] = { 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18 };
    ck_assert_uint_eq(count_lines(result->err), COUNT_OF(numbers) + 1);
    const char *line = result->err;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        char place[4096];
        snprintf(place, sizeof(place), "%s:%d: ", path, numbers[i]);
        ck_assert_msg(strncmp(line, place, strlen(place)) == 0, "'%s' isn't at '%s'", line, place);
        ck_assert_int_gt((int)strcspn(line, "\n"), (int)strlen(place));
        line += strcspn(line, "\n") + 1;
    }
    ck_assert_str_eq(line, "error: 15 of 17 lines are bad; the rest is in\n");
    assert_has(result->err, "bad.jsonl:7: ");
    assert_has(result->err, "colour");
    ck_assert_uint_eq(count_lines(STELE("export")->out), 2);
}
END_TEST

START_TEST(bad_lines_of_standard_input_are_at_a_dash)
{
    make_store();
    const ran *result = FEED("{\n" THREE_LINES, "import", "-");
    assert_counts(result, 8, 4, 3, 0, 1);
    ck_assert_msg(strncmp(result->err, "-:1: ", 5) == 0, "%s", result->err);
}
END_TEST

START_TEST(atomic_import_stores_nothing_when_a_line_is_bad)
{
    make_store();
    const ran *result = FEED(THREE_LINES "{\n", "import", "--atomic", "--batch", "1");
    assert_counts(result, 8, 4, 0, 0, 1);
    assert_has(result->err, "-:4: ");
    assert_has(result->err, "error: 1 of 4 lines are bad, so nothing was stored\n");
    assert_has(STELE("info")->out, "\nhead\t0\n");
    assert_counts(FEED(THREE_LINES, "import", "--atomic"), 0, 3, 3, 0, 0);
}
END_TEST

START_TEST(lenient_import_passes_over_unknown_fields)
{
    static const char line[] = "{\"stream\":\"a-1\",\"type\":\"T\",\"colour\":\"red\"}\n";
    make_store();
    assert_counts(FEED(line, "import"), 8, 1, 0, 0, 1);
    assert_counts(FEED(line, "import", "--lenient"), 0, 1, 1, 0, 0);
}
END_TEST

START_TEST(reasons_are_safe_to_print)
{
    make_store();
    const ran *result = FEED("{\"stream\":\"a\",\"type\":\"T\",\"\x1b[31m\xC2\x9B\":1}\n"
                             "{\"stream\":\"a\",\"type\":\"T\",\"\xC2\x9B\xE2\x80\xAE\":1}\n",
                             "import");
    assert_code(result, 8);
    assert_lacks(result->err, "\x1b");
    assert_lacks(result->err, "\xC2\x9B");
    assert_lacks(result->err, "\xE2\x80\xAE");
}
END_TEST

/* --- Files --- */

START_TEST(a_missing_input_is_not_found_and_a_folder_is_refused)
{
    make_store();
    assert_refused(STELE("import", test_path("none.jsonl")), 3, "none.jsonl");
    assert_refused(STELE("import", test_folder()), 2, "is a folder");
    assert_refused(STELE("import", test_path("none.jsonl.gz")), 3, "none.jsonl.gz");
}
END_TEST

static const char *compress(const char *path)
{
    char command[9000];
    snprintf(command, sizeof(command), "gzip -kf '%s'", path);
    ck_assert_int_eq(system(command), 0);
    snprintf(command, sizeof(command), "%s.gz", strrchr(path, '/') + 1);
    return test_path(command);
}

START_TEST(a_compressed_file_is_read_through_zcat)
{
    if (system("gzip --version >/dev/null 2>&1") != 0)
        skip_test("no gzip here");
    make_store();
    const char *path = compress(make_file("three.jsonl", THREE_LINES));
    const ran *result = STELE("import", path);
    assert_counts(result, 0, 3, 3, 0, 0);
    ck_assert_str_eq(result->err, "");
    assert_counts(STELE("import", path), 0, 3, 0, 3, 0);
}
END_TEST

START_TEST(a_compressed_file_that_is_cut_short_is_a_failure)
{
    if (system("gzip --version >/dev/null 2>&1") != 0)
        skip_test("no gzip here");
    make_store();
    const char *path = compress(make_file("three.jsonl", THREE_LINES));
    size_t size;
    char *bytes = read_whole(path, &size);
    write_whole(path, bytes, size - 9);
    free(bytes);
    const ran *result = STELE("import", path);
    assert_code(result, 1);
    assert_has(result->err, "error: zcat could not read");
    write_whole(path, "not compressed\n", 15);
    assert_code(STELE("import", path), 1);
}
END_TEST

static void hide_programs(void)
{
    setenv("PATH", "/nowhere", 1);
}

START_TEST(without_zcat_a_compressed_file_says_what_to_do)
{
    make_store();
    launch how = { .arguments = ARGUMENTS("import", make_file("three.jsonl.gz", "")),
                   .prepare = hide_programs };
    const ran *result = run_tool(&how);
    assert_refused(result, 1, "zcat");
    assert_has(result->err, "hint: ");
}
END_TEST

/* --- Interrupted --- */

static int64_t head_now(void)
{
    const ran *result = STELE("info");
    assert_code(result, 0);
    const char *head = strstr(result->out, "\nhead\t");
    ck_assert_ptr_nonnull(head);
    return strtoll(head + 6, NULL, 10);
}

static void write_lines(int to, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char line[80];
        int size = snprintf(line, sizeof(line),
                            "{\"stream\":\"a-%d\",\"type\":\"T\",\"data\":%d}\n", i % 7, i);
        ck_assert_int_eq(write(to, line, (size_t)size), size);
    }
}

START_TEST(interrupted_import_keeps_whole_batches_and_goes_on_when_repeated)
{
    make_store();
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    int output = open(test_path("out"), O_WRONLY | O_CREAT, 0600);
    launch how = { .arguments = ARGUMENTS("import", "-", "--source", "x", "--batch", "100"),
                   .input_from = ends[0] };
    pid_t child = start_tool(&how, output);
    close(ends[0]);
    write_lines(ends[1], 0, 250);
    while (head_now() < 200)
        poll(NULL, 0, 10);
    ck_assert_int_eq(kill(child, SIGINT), 0);
    ck_assert_int_eq(wait_for(child), 130);
    close(ends[1]);
    close(output);

    char *err = read_whole(test_path("run.err"), NULL);
    assert_has(err, "error: interrupted; 200 events are stored\nhint: the same command again");
    free(err);
    ck_assert_int_eq(head_now(), 200);
    output = open(test_path("lines"), O_WRONLY | O_CREAT, 0600);
    write_lines(output, 0, 250);
    close(output);
    char *lines = read_whole(test_path("lines"), NULL);
    assert_counts(FEED(lines, "import", "-", "--source", "x"), 0, 250, 50, 200, 0);
    free(lines);
}
END_TEST

/* --- export --- */

START_TEST(export_imported_and_exported_again_is_identical)
{
    make_loans();
    assert_code(STELE("append", "loan-1", "Scanned", "\x01\xFF", "--codec", "raw"), 0);
    assert_code(STELE("append", "loan-1", "Noted", "{ \"a\":\t1.50 }", "--meta", "[ 1 ]"), 0);
    assert_code(STELE("append", "loan-2", "Noted", " 1 ", "--key", "k-2"), 0);
    const ran *first = STELE("export");
    assert_code(first, 0);
    ck_assert_str_eq(first->err, "");
    assert_json_lines(first->out);
    ck_assert_uint_eq(count_lines(first->out), 8);

    write_whole(test_path("log.jsonl"), first->out, first->out_size);
    const char *copy = test_path("copy.db");
    assert_code(STELE("-s", copy, "init"), 0);
    assert_counts(STELE("-s", copy, "import", test_path("log.jsonl")), 0, 8, 8, 0, 0);
    const ran *second = STELE("-s", copy, "export");
    ck_assert_uint_eq(second->out_size, first->out_size);
    ck_assert_str_eq(second->out, first->out);
}
END_TEST

START_TEST(export_takes_one_filter_and_a_position)
{
    make_loans();
    ck_assert_uint_eq(count_lines(STELE("export", "--stream", "loan-1")->out), 3);
    ck_assert_uint_eq(count_lines(STELE("export", "--category", "loan")->out), 4);
    ck_assert_uint_eq(count_lines(STELE("export", "--type", "Asked")->out), 2);
    ck_assert_uint_eq(count_lines(STELE("export", "--after", "3")->out), 2);
    ck_assert_uint_eq(count_lines(STELE("export", "--stream", "loan-1", "--after", "1")->out), 2);
    ck_assert_str_eq(STELE("export", "--type", "None")->out, "");
    ck_assert_str_eq(STELE("export", "-o", "jsonl")->out, STELE("export")->out);
}
END_TEST

START_TEST(export_is_what_read_prints_as_jsonl)
{
    make_loans();
    const ran *result = STELE("export");
    ck_assert_str_eq(result->out, STELE("read", "@all", "-o", "jsonl")->out);
}
END_TEST

static Suite *cli_import_suite(void)
{
    Suite *suite = suite_create("cli_import");

    TCase *stored = tcase_create("stored");
    tcase_add_checked_fixture(stored, NULL, forget_runs);
    tcase_add_test(stored, import_of_a_file_twice_adds_nothing);
    tcase_add_test(stored, a_file_is_the_same_source_by_whichever_path_it_is_named);
    tcase_add_test(stored, a_file_that_grew_adds_what_is_new);
    tcase_add_test(stored, standard_input_has_no_source_unless_named);
    tcase_add_test(stored, a_line_with_an_id_is_stored_once_wherever_it_comes_from);
    tcase_add_test(stored, import_takes_batches_of_any_size);
    suite_add_tcase(suite, stored);

    TCase *bad = tcase_create("bad");
    tcase_add_checked_fixture(bad, NULL, forget_runs);
    tcase_add_test(bad, bad_lines_are_reported_with_their_place_and_the_rest_is_stored);
    tcase_add_test(bad, bad_lines_of_standard_input_are_at_a_dash);
    tcase_add_test(bad, atomic_import_stores_nothing_when_a_line_is_bad);
    tcase_add_test(bad, lenient_import_passes_over_unknown_fields);
    tcase_add_test(bad, reasons_are_safe_to_print);
    suite_add_tcase(suite, bad);

    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, NULL, forget_runs);
    tcase_set_timeout(files, 60);
    tcase_add_test(files, a_missing_input_is_not_found_and_a_folder_is_refused);
    tcase_add_test(files, a_compressed_file_is_read_through_zcat);
    tcase_add_test(files, a_compressed_file_that_is_cut_short_is_a_failure);
    tcase_add_test(files, without_zcat_a_compressed_file_says_what_to_do);
    tcase_add_test(files, interrupted_import_keeps_whole_batches_and_goes_on_when_repeated);
    suite_add_tcase(suite, files);

    TCase *export = tcase_create("export");
    tcase_add_checked_fixture(export, NULL, forget_runs);
    tcase_add_test(export, export_imported_and_exported_again_is_identical);
    tcase_add_test(export, export_takes_one_filter_and_a_position);
    tcase_add_test(export, export_is_what_read_prints_as_jsonl);
    suite_add_tcase(suite, export);
    return suite;
}

int main(void)
{
    return run_suite(cli_import_suite());
}
