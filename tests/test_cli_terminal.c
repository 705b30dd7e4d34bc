/*
 * What the tool does with its surroundings: terminals, closed and full outputs, permissions.
 */
#define _XOPEN_SOURCE 700

#include "cli_support.h"

#include <stdint.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

/* --- Terminals --- */

/* How many bytes the well-formed and harmless character at `text` takes; 0 when it is neither. */
static size_t harmless_character(const unsigned char *text)
{
    if (text[0] < 0x80)
        return text[0] == '\n' || (text[0] >= 0x20 && text[0] != 0x7F) ? 1 : 0;
    size_t size = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : text[0] >= 0xC2 ? 2 : 0;
    uint32_t code = text[0] & (0x7Fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3Fu);
    }
    bool harmful =
        code < 0xA0 || (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
    return harmful ? 0 : size;
}

/* Nothing arrived but what is printable, newlines, and the tabs between cells of a plain row. */
static void assert_harmless(const ran *result)
{
    bool plain = strncmp(result->out, "position\t", 9) == 0;
    size_t size = 0;
    for (size_t at = 0; at < result->out_size; at += size) {
        size = harmless_character((const unsigned char *)result->out + at);
        if (size == 0 && plain && result->out[at] == '\t')
            size = 1;
        ck_assert_msg(size > 0, "byte %zu is 0x%02x", at, (unsigned char)result->out[at]);
    }
}

static const char *const formats[] = { "table", "plain", "json", "jsonl" };

/* Each byte alone, in the middle, at the end, and before each kind of continuation. */
START_TEST(whatever_bytes_a_payload_has_only_printable_ones_reach_a_terminal)
{
    make_store();
    char bytes[256 * 8];
    size_t size = 0;
    for (int i = 0; i < 256; i++) {
        bytes[size++] = (char)i;
        bytes[size++] = 'a';
        bytes[size++] = (char)i;
        bytes[size++] = (char)0x9B;
        bytes[size++] = (char)i;
        bytes[size++] = (char)0xA6;
        bytes[size++] = (char)0xBF;
        bytes[size++] = (char)(255 - i);
    }
    for (size_t cut = 0; cut < 9; cut++) {
        launch how = { .arguments = ARGUMENTS("append", "s-1", "T", "-", "--codec", "raw"),
                       .input = bytes,
                       .input_size = size - cut };
        assert_code(run_tool(&how), 0);
    }
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        const ran *result = WIDE(5000, "read", "s-1", "-o", formats[i]);
        assert_code(result, 0);
        assert_harmless(result);
        assert_harmless(WIDE(60, "tail", "-o", formats[i]));
    }
    assert_harmless(WIDE(80, "export"));
}
END_TEST

/* ESC and BEL can't be in JSON but as \u001b; C1, DEL and direction marks can. */
#define RUDE "\"\xC2\x9B\x7F\xE2\x80\xAE\xE2\x81\xA9\xC2\x85 ok \\u001b\xC3\xA9\""

START_TEST(json_on_a_terminal_is_escaped_and_still_the_same_json)
{
    make_store();
    assert_code(FEED("[\t" RUDE ",\r\n1]", "append", "s-1", "T", "-", "--meta", RUDE), 0);
    assert_code(STELE("append", "s-1", "T", "[\t" RUDE "]"), 0);

    for (size_t i = 0; i < COUNT_OF(formats); i++)
        assert_harmless(WIDE(500, "read", "s-1", "-o", formats[i]));
    const ran *result = WIDE(80, "read", "s-1", "-o", "jsonl");
    assert_json_lines(result->out);
    assert_has(result->out, "[ \"\\u009b\\u007f\\u202e\\u2069\\u0085 ok \\u001b\xC3\xA9\"]");
    assert_json(WIDE(80, "read", "s-1", "-o", "json")->out);
    /* In a file it is as it was stored. */
    assert_has(STELE("read", "s-1", "-o", "jsonl")->out, "[\t" RUDE "]");
    assert_has(STELE("export")->out, "[\t" RUDE "]");
}
END_TEST

START_TEST(names_on_a_terminal_are_escaped)
{
    make_store();
    assert_code(STELE("append", "s-\xE2\x80\xAE", "T\xE2\x81\xA6", "1", "--key", "\xE2\x80\xAA"),
                0);
    assert_harmless(WIDE(80, "append", "s-\xE2\x80\xAE", "T", "1"));
    static const char *const lists[] = { "streams", "types", "tail", "export" };
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        assert_harmless(WIDE(80, lists[i]));
    assert_has(WIDE(80, "streams")->out, "s-\\u{202e}");
    const ran *result = WIDE(80, "read", "\x1b[2J\xC2\x9B");
    assert_code(result, 2);
    assert_lacks(result->err, "\x1b");
    assert_lacks(result->err, "\xC2\x9B");
}
END_TEST

static void assert_width(const ran *result, size_t width)
{
    assert_code(result, 0);
    for (const char *line = result->out; *line != '\0'; line += strcspn(line, "\n") + 1)
        ck_assert_msg(strcspn(line, "\n") <= width, "%zu wide: %s", strcspn(line, "\n"), line);
}

START_TEST(a_terminal_gets_a_table_that_fits)
{
    make_store();
    char data[400];
    memset(data, '7', sizeof(data));
    data[sizeof(data) - 1] = '\0';
    assert_code(STELE("append", "s-1", "T", data, "--meta", data), 0);
    assert_code(STELE("append", "s-1", "T", "1", "--meta", data), 0);
    assert_width(WIDE(100, "read", "s-1"), 100);
    assert_width(WIDE(300, "read", "s-1"), 300);
    assert_has(WIDE(100, "read", "s-1")->out, "POSITION  VERSION");
    assert_has(WIDE(100, "read", "s-1")->out, "777...");
    assert_has(WIDE(900, "read", "s-1")->out, data);
    assert_has(WIDE(20, "read", "s-1")->out, "77777...");
    assert_has(WIDE(80, "info")->out, "head              2\n");
    assert_width(WIDE(60, "verify"), 60);
    ck_assert_str_eq(WIDE(80, "streams")->out, STELE("streams", "-o", "table")->out);
}
END_TEST

START_TEST(a_cut_cell_ends_between_characters_and_columns_stay_aligned)
{
    make_store();
    static const char two_columns[] = "\"\xE4\xBD\xA0\xE5\xA5\xBD\xE4\xBD\xA0\xE5\xA5\xBD"
                                      "\xE4\xBD\xA0\xE5\xA5\xBD\xE4\xBD\xA0\xE5\xA5\xBD\"";
    assert_code(
        STELE("append", "s-1", "T", two_columns, "--meta", "1", "--time", "2026-05-17T09:30:00Z"),
        0);
    assert_code(STELE("append", "s-1", "T", "1", "--meta", "2", "--time", "2026-05-17T09:30:00Z"),
                0);
    const ran *result = WIDE(80, "read", "s-1");
    assert_harmless(result);
    assert_has(result->out, "T     \"\xE4\xBD\xA0");
    /* What is left for data is 15 columns: a quote, 5 letters of 2, the mark, one blank. */
    assert_has(result->out, "...");
    assert_has(result->out, " 1\n");
    assert_has(result->out, " 2\n");
}
END_TEST

/* --- Outputs --- */

static int run_into(const char *path, const char *const *arguments)
{
    int output = open(path, O_WRONLY);
    ck_assert_int_ge(output, 0);
    pid_t child = start_tool(&(launch){ .arguments = arguments }, output);
    close(output);
    return wait_for(child);
}

static void assert_error_is(const char *part)
{
    char *err = read_whole(test_path("run.err"), NULL);
    assert_has(err, part);
    free(err);
}

START_TEST(output_that_finds_no_space_is_a_failure)
{
    if (access("/dev/full", W_OK) != 0)
        skip_test("no /dev/full here");
    make_loans();
    const char *const *const calls[] = {
        ARGUMENTS("info"),   ARGUMENTS("read", "@all"), ARGUMENTS("export"),
        ARGUMENTS("--help"), ARGUMENTS("version"),      ARGUMENTS("append", "s-1", "T"),
    };
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        ck_assert_int_eq(run_into("/dev/full", calls[i]), 1);
        assert_error_is("error: can't write to standard output: No space left");
    }
}
END_TEST

static void close_output(void)
{
    close(STDOUT_FILENO);
}

static void close_all(void)
{
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
}

START_TEST(a_closed_output_is_a_failure_and_the_store_is_unharmed)
{
    make_loans();
    launch how = { .arguments = ARGUMENTS("read", "@all"), .prepare = close_output };
    const ran *result = run_tool(&how);
    assert_refused(result, 1, "can't write to standard output");
    how = (launch){ .arguments = ARGUMENTS("append", "s-1", "T", "1"), .prepare = close_all };
    assert_code(run_tool(&how), 1);
    how = (launch){ .arguments = ARGUMENTS("append", "s-1", "T", "-"), .prepare = close_all };
    assert_code(run_tool(&how), 1);
    assert_code(STELE("verify"), 0);
    assert_has(STELE("info")->out, "\nhead\t6\n");
}
END_TEST

/* Enough that a pipe can't hold it. */
static void make_many(void)
{
    static const char line[] =
        "{\"stream\":\"s-1\",\"type\":\"T\",\"data\":\"0123456789012345\"}\n";
    static char lines[6000 * sizeof(line)];
    size_t size = 0;
    for (int i = 0; i < 6000; i++, size += sizeof(line) - 1)
        memcpy(lines + size, line, sizeof(line));
    make_store();
    assert_code(FEED(lines, "import"), 0);
}

START_TEST(a_reader_that_has_enough_ends_the_tool_quietly)
{
    make_many();
    const char *const *const calls[] = {
        ARGUMENTS("export"),
        ARGUMENTS("read", "@all"),
        ARGUMENTS("read", "@all", "-o", "json"),
        ARGUMENTS("read", "@all", "-o", "table"),
        ARGUMENTS("tail", "-f", "--last", "6000"),
    };
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        int ends[2];
        ck_assert_int_eq(pipe(ends), 0);
        fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        pid_t child = start_tool(&(launch){ .arguments = calls[i] }, ends[1]);
        close(ends[1]);
        char first[100];
        ck_assert_int_gt(read(ends[0], first, sizeof(first)), 0);
        close(ends[0]);
        ck_assert_int_eq(wait_for(child), 0);
        char *err = read_whole(test_path("run.err"), NULL);
        ck_assert_str_eq(err, "");
        free(err);
    }
}
END_TEST

/* --- Permissions --- */

/* Root passes over permissions; without two of its capabilities it doesn't. */
static void obey_permissions(void)
{
    if (geteuid() != 0)
        return;
#ifdef __linux__
    enum { DAC_OVERRIDE = 1, DAC_READ_SEARCH = 2 };
    if (prctl(PR_CAPBSET_DROP, DAC_OVERRIDE, 0, 0, 0) == 0
        && prctl(PR_CAPBSET_DROP, DAC_READ_SEARCH, 0, 0, 0) == 0)
        return;
#endif
    _exit(97);
}

#define OBEDIENT(...)                                                                              \
    run_tool(&(launch){ .arguments = ARGUMENTS(__VA_ARGS__),                                       \
                        .input_from = open("/dev/null", O_RDONLY),                                 \
                        .prepare = obey_permissions })

/* A store alone in its folder, both with these modes. */
static const char *make_guarded_store(mode_t of_folder, mode_t of_file)
{
    make_loans();
    const char *path = test_path("guarded/store.db");
    ck_assert_int_eq(mkdir(test_path("guarded"), 0700), 0);
    ck_assert_int_eq(rename(test_path("store.db"), path), 0);
    ck_assert_int_eq(chmod(path, of_file), 0);
    ck_assert_int_eq(chmod(test_path("guarded"), of_folder), 0);
    return path;
}

START_TEST(a_read_only_file_can_be_looked_at_but_not_written)
{
    const char *path = make_guarded_store(0700, 0444);
    const ran *result = OBEDIENT("-s", path, "read", "@all", "--limit", "1");
    if (result->code == 97)
        skip_test("root can't give up its privileges here");
    assert_code(result, 0);
    assert_code(OBEDIENT("-s", path, "info"), 0);
    assert_code(OBEDIENT("-s", path, "verify"), 0);
    assert_code(OBEDIENT("-s", path, "streams"), 0);
    assert_code(OBEDIENT("-s", path, "export"), 0);
    result = OBEDIENT("-s", path, "append", "s-1", "T");
    assert_refused(result, 7, "store.db");
}
END_TEST

START_TEST(a_store_in_a_read_only_folder_needs_immutable)
{
    const char *path = make_guarded_store(0500, 0400);
    const ran *result = OBEDIENT("-s", path, "info");
    if (result->code == 97)
        skip_test("root can't give up its privileges here");
    assert_refused(result, 7, "store.db");
    assert_has(result->err, "hint: its folder can't be written to");
    assert_has(result->err, "--immutable\n");
    result = OBEDIENT("-s", path, "--immutable", "read", "@all");
    assert_code(result, 0);
    ck_assert_uint_eq(count_lines(result->out), 6);
    assert_code(OBEDIENT("verify", "--immutable", "-s", path), 0);
    ck_assert_int_eq(chmod(test_path("guarded"), 0700), 0);
}
END_TEST

START_TEST(init_where_nothing_can_be_created_fails)
{
    make_guarded_store(0500, 0400);
    const ran *result = OBEDIENT("-s", test_path("guarded/other.db"), "init");
    if (result->code == 97)
        skip_test("root can't give up its privileges here");
    assert_refused(result, 7, "other.db");
    ck_assert_int_eq(chmod(test_path("guarded"), 0700), 0);
}
END_TEST

static Suite *cli_terminal_suite(void)
{
    Suite *suite = suite_create("cli_terminal");

    TCase *terminal = tcase_create("terminal");
    tcase_add_checked_fixture(terminal, NULL, forget_runs);
    tcase_set_timeout(terminal, 60);
    tcase_add_test(terminal, whatever_bytes_a_payload_has_only_printable_ones_reach_a_terminal);
    tcase_add_test(terminal, json_on_a_terminal_is_escaped_and_still_the_same_json);
    tcase_add_test(terminal, names_on_a_terminal_are_escaped);
    tcase_add_test(terminal, a_terminal_gets_a_table_that_fits);
    tcase_add_test(terminal, a_cut_cell_ends_between_characters_and_columns_stay_aligned);
    suite_add_tcase(suite, terminal);

    TCase *outputs = tcase_create("outputs");
    tcase_add_checked_fixture(outputs, NULL, forget_runs);
    tcase_set_timeout(outputs, 60);
    tcase_add_test(outputs, output_that_finds_no_space_is_a_failure);
    tcase_add_test(outputs, a_closed_output_is_a_failure_and_the_store_is_unharmed);
    tcase_add_test(outputs, a_reader_that_has_enough_ends_the_tool_quietly);
    suite_add_tcase(suite, outputs);

    TCase *permissions = tcase_create("permissions");
    tcase_add_checked_fixture(permissions, NULL, forget_runs);
    tcase_add_test(permissions, a_read_only_file_can_be_looked_at_but_not_written);
    tcase_add_test(permissions, a_store_in_a_read_only_folder_needs_immutable);
    tcase_add_test(permissions, init_where_nothing_can_be_created_fails);
    suite_add_tcase(suite, permissions);
    return suite;
}

int main(void)
{
    return run_suite(cli_terminal_suite());
}
