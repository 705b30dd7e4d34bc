/*
 * lint and schema, and read and tail with --lib: by libraries as a user builds them.
 */
#define _XOPEN_SOURCE 700

#include "cli_support.h"

#define HEADER "position\tversion\ttime\tstream\ttype\tdata\tmetadata\n"
#define LINT_HEADER                                                                                \
    "type\tschema_version\tcodec\tevents\ttried\tfailed\tparts_min\tparts_max\tstatus\tfirst\n"
#define UNUSED_ROW(type) type "\t1\t\t0\t0\t0\t0\t0\tUNUSED\t\n"

static const char *library(void)
{
    return test_program("plugin_orders.so");
}

static const char *example(void)
{
    return test_program("../examples/orders.so");
}

static const ran *ran_with_environment(const char *asked, const char *path)
{
    setenv("PLUGIN_ORDERS", asked, 1);
    const ran *result = STELE("lint", "--lib", path);
    unsetenv("PLUGIN_ORDERS");
    return result;
}

static void store_line(const char *stream, const char *type, const char *version, const char *data)
{
    assert_code(STELE("append", stream, type, data, "--schema-version", version, "--time",
                      "2026-05-17T09:30:00Z"),
                0);
}

/* All of it can be decoded by the library. */
static void make_notes(void)
{
    make_store();
    store_line("note-1", "Noted", "1", "{\"n\":1,\"secret\":\"abc\"}");
    store_line("note-1", "Noted", "2", "{ \"n\" : 2 }");
    store_line("note-2", "Remarked", "1", "{\"n\":3}");
    store_line("note-2", "Counted", "1", "2");
    store_line("note-2", "Counted", "1", "0");
}

/* --- lint --- */

#define NOTES_ROWS                                                                                 \
    "Counted\t1\tjson\t2\t2\t0\t0\t2\tOK\t\n"                                                      \
    "Noted\t1\tjson\t1\t1\t0\t1\t1\tOK\t\n"                                                        \
    "Noted\t2\tjson\t1\t1\t0\t1\t1\tOK\t\n"                                                        \
    "Remarked\t1\tjson\t1\t1\t0\t1\t1\tOK\t\n"

START_TEST(lint_is_content_when_all_can_be_decoded)
{
    make_notes();
    assert_out(STELE("lint", "--lib", library()), LINT_HEADER NOTES_ROWS UNUSED_ROW("Gone"));
    assert_out(STELE("lint", "--lib", library(), "--lib", example()),
               LINT_HEADER NOTES_ROWS UNUSED_ROW("Gone") UNUSED_ROW("OrderPlaced"));
}
END_TEST

START_TEST(lint_without_a_library_finds_everything_unknown_and_says_what_is_missing)
{
    make_notes();
    const ran *result = STELE("lint");
    assert_refused(result, 6, "events of 4 of 4 types and versions can't be decoded\n");
    assert_has(result->err, "hint: --lib FILE names the library");
    assert_has(result->out,
               "Noted\t1\tjson\t1\t1\t1\t0\t0\tUNKNOWN_TYPE\tstream 'note-1' version 1");
    ck_assert_uint_eq(count_lines(result->out), 5);
}
END_TEST

START_TEST(lint_names_the_first_event_that_fails)
{
    make_notes();
    store_line("note-3", "Noted", "2", "{\"n\":true}");
    store_line("note-3", "Noted", "2", "{\"n\":{}}");
    store_line("note-3", "Noted", "3", "{}");
    const ran *result = STELE("lint", "--lib", library());
    assert_refused(result, 6, "events of 2 of 5 types and versions can't be decoded\n");
    assert_lacks(result->err, "hint:");
    assert_has(result->out,
               "Noted\t2\tjson\t3\t3\t2\t1\t1\tINVALID\tstream 'note-3' version 1 position 6 ");
    assert_has(result->out, "Noted\t3\tjson\t1\t1\t1\t0\t0\tUNKNOWN_TYPE\t");
}
END_TEST

START_TEST(lint_has_the_same_rows_in_every_format)
{
    make_notes();
    const ran *result = STELE("lint", "--lib", library(), "-o", "table");
    assert_code(result, 0);
    assert_has(result->out, "TYPE      SCHEMA_VERSION  CODEC  EVENTS  TRIED  FAILED  PARTS_MIN  "
                            "PARTS_MAX  STATUS  FIRST\n");
    assert_has(result->out, "Gone                   1              0      0       0          0"
                            "          0  UNUSED");
    result = STELE("lint", "--lib", library(), "-o", "jsonl");
    assert_code(result, 0);
    assert_json_lines(result->out);
    assert_has(result->out, "{\"type\":\"Counted\",\"schema_version\":1,\"codec\":\"json\","
                            "\"events\":2,\"tried\":2,\"failed\":0,\"parts_min\":0,"
                            "\"parts_max\":2,\"status\":\"OK\",\"first\":\"\"}\n");
    const ran *json = STELE("lint", "-o", "json");
    assert_code(json, 6);
    assert_json(json->out);
    assert_has(json->out, "{\"v\":1,\"rows\":[{\"type\":\"Counted\",");
    assert_has(json->out, "\"status\":\"UNKNOWN_TYPE\",\"first\":\"stream 'note-2' version 2");
}
END_TEST

START_TEST(lint_tries_as_many_samples_as_were_asked_for)
{
    make_store();
    char lines[120 * 64];
    size_t size = 0;
    for (int i = 0; i < 120; i++)
        size += (size_t)snprintf(lines + size, sizeof(lines) - size,
                                 "{\"stream\":\"note-1\",\"type\":\"Noted\",\"data\":{\"n\":1}}\n");
    assert_code(FEED(lines, "import", "-"), 0);
    assert_has(STELE("lint", "--lib", library())->out, "Noted\t1\tjson\t120\t100\t0\t1\t1\tOK\t\n");
    assert_has(STELE("lint", "--lib", library(), "--samples", "0")->out, "\t120\t120\t0\t");
    assert_has(STELE("lint", "--lib", library(), "--samples", "7")->out, "\t120\t7\t0\t");
    assert_refused(STELE("lint", "--samples", "-1"), 2, "--samples takes a number from 0");
    assert_refused(STELE("lint", "--samples", "few"), 2, "--samples takes a number, not 'few'");
    assert_refused(STELE("lint", "now"), 2, "unexpected argument 'now'");
}
END_TEST

START_TEST(lint_of_a_store_that_cannot_be_read_ends_as_reading_does)
{
    assert_refused(STELE("lint", "--lib", library()), 3, "store.db");
    assert_refused(WITHOUT_STORE("lint", "--lib", library()), 2, "no store named");
    make_notes();
    size_t size;
    char *bytes = read_whole(test_path("store.db"), &size);
    for (size_t i = 0; i + 6 < size; i++)
        if (memcmp(bytes + i, "\"abc\"}", 6) == 0)
            bytes[i + 1] = 'X';
    write_whole(test_path("store.db"), bytes, size);
    free(bytes);
    const ran *result = STELE("lint", "--lib", library());
    assert_refused(result, 6, "position 1");
    assert_has(result->err, "hint: stele verify");
    ck_assert_str_eq(result->out, "");
}
END_TEST

START_TEST(looking_by_a_library_changes_nothing)
{
    make_notes();
    size_t sizes[2];
    char *before = read_whole(test_path("store.db"), &sizes[0]);
    assert_code(STELE("lint", "--lib", library()), 0);
    assert_code(STELE("read", "@all", "--lib", library()), 0);
    assert_code(STELE("tail", "--lib", library()), 0);
    char *after = read_whole(test_path("store.db"), &sizes[1]);
    ck_assert_uint_eq(sizes[0], sizes[1]);
    ck_assert_mem_eq(before, after, sizes[0]);
    free(before);
    free(after);
}
END_TEST

/* --- Libraries --- */

/* What is loaded again with the library calls the tool's copy: it knows the reason of a failure. */
START_TEST(library_that_is_linked_with_stele_uses_the_tools_own)
{
    const char *linked = test_program("plugin_orders_linked.so");
    make_notes();
    assert_out(STELE("lint", "--lib", linked), LINT_HEADER NOTES_ROWS UNUSED_ROW("Gone"));
    assert_refused(ran_with_environment("misuse", linked), 2,
                   "plugin_orders_linked.so: stele_register answered MISUSE: the type is NULL\n");
}
END_TEST

START_TEST(library_that_fails_to_register_is_refused_with_its_reason)
{
    make_notes();
    const ran *result = ran_with_environment("misuse", library());
    assert_refused(result, 2,
                   "plugin_orders.so: stele_register answered MISUSE: the type is NULL\n");
    ck_assert_str_eq(result->out, "");
    assert_refused(ran_with_environment("silent", library()), 2,
                   "stele_register answered UNSUPPORTED: ");
    assert_refused(ran_with_environment("done", library()), 2, "stele_register answered DONE: ");
}
END_TEST

START_TEST(what_is_no_library_is_refused)
{
    static const char *const verbs[][2] = {
        { "lint" }, { "read", "@all" }, { "tail" }, { "schema" }
    };
    make_notes();
    const char *text = make_file("text.so", "not a library");
    for (size_t i = 0; i < COUNT_OF(verbs); i++) {
        const char *verb = verbs[i][0];
        const char *operand = verbs[i][1] != NULL ? verbs[i][1] : "--immutable";
        const ran *result = STELE(verb, operand, "--lib", test_path("none.so"));
        assert_refused(result, 3, "there is no library '");
        assert_has(result->err, "none.so");
        ck_assert_str_eq(result->out, "");
        assert_refused(STELE(verb, operand, "--lib", text), 2, "can't load the library: ");
        assert_refused(STELE(verb, operand, "--lib", test_folder()), 2, "can't load the library: ");
        result = STELE(verb, operand, "--lib", test_program("../libstele.so"));
        assert_refused(result, 2, "libstele.so: no function stele_register in it\n");
        assert_has(result->err, "hint: stele_status stele_register(stele_store *store)");
        assert_refused(STELE(verb, operand, "--lib", ""), 3, "there is no library ''");
        assert_refused(STELE(verb, operand, "--lib"), 2, "--lib needs a value: FILE");
    }
}
END_TEST

START_TEST(library_given_twice_is_refused)
{
    make_notes();
    char other[4096];
    snprintf(other, sizeof(other), "%s/../tests/plugin_orders.so", test_program("."));
    assert_refused(STELE("lint", "--lib", library(), "--lib", other), 2,
                   "/../tests/plugin_orders.so is given twice\n");
    /* Another one with the same types is refused by the registration. */
    assert_refused(
        STELE("lint", "--lib", library(), "--lib", test_program("plugin_orders_linked.so")), 2,
        "stele_register answered MISUSE: a table 'Noted' 1 is registered\n");
}
END_TEST

static void go_to_the_libraries(void)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s", library());
    *strrchr(path, '/') = '\0';
    if (chdir(path) != 0)
        _exit(97);
}

START_TEST(library_name_without_a_slash_is_a_file_here)
{
    make_notes();
    char tool[4096];
    ck_assert_ptr_nonnull(realpath(test_tool(), tool));
    setenv("STELE_TOOL", tool, 1);
    launch here = { .arguments = ARGUMENTS("lint", "--lib", "plugin_orders.so"),
                    .prepare = go_to_the_libraries };
    assert_out(run_tool(&here), LINT_HEADER NOTES_ROWS UNUSED_ROW("Gone"));
    launch system = { .arguments = ARGUMENTS("lint", "--lib", "libc.so.6"),
                      .prepare = go_to_the_libraries };
    assert_refused(run_tool(&system), 3, "there is no library 'libc.so.6'");
}
END_TEST

/* --- schema --- */

START_TEST(schema_prints_a_line_for_each_table_and_needs_no_store)
{
    const ran *result = WITHOUT_STORE("schema", "--lib", library(), "--lib", example());
    assert_code(result, 0);
    ck_assert_str_eq(result->err, "");
    ck_assert_uint_eq(count_lines(result->out), 3);
    assert_json_lines(result->out);
    assert_has(result->out, "\"title\":\"Noted\",\"x-stele-schema-version\":1,");
    assert_has(result->out, "\"title\":\"Noted\",\"x-stele-schema-version\":2,");
    assert_has(result->out, "\"title\":\"OrderPlaced\",\"x-stele-schema-version\":2,");
}
END_TEST

START_TEST(schema_of_a_type_is_that_of_its_newest_version)
{
    const char *const names[] = { "Noted", "Remarked" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const ran *result = STELE("schema", names[i], "--lib", library(), "-o", "json");
        assert_code(result, 0);
        assert_json(result->out);
        ck_assert_uint_eq(count_lines(result->out), 1);
        assert_has(result->out, "\"title\":\"Noted\",\"x-stele-schema-version\":2,");
    }
    const ran *result = STELE("schema", "Counted", "--lib", library());
    assert_refused(result, 3, "no library has a type 'Counted'");
    ck_assert_str_eq(result->out, "");
}
END_TEST

START_TEST(schema_without_a_library_or_in_another_format_is_refused)
{
    const ran *result = STELE("schema");
    assert_refused(result, 2, "no library given");
    assert_has(result->err, "hint: --lib FILE names a shared library with a function");
    assert_refused(STELE("schema", "--lib", library(), "-o", "table"), 2, "jsonl only");
    assert_refused(STELE("schema", "--lib", library(), "-o", "json"), 2, "jsonl only");
    assert_refused(STELE("schema", "A", "B", "--lib", library()), 2, "unexpected argument 'B'");
    assert_code(STELE("schema", "--lib", library(), "-o", "jsonl"), 0);
}
END_TEST

/* --- read and tail --- */

#define ROW(position, version, stream, type, data)                                                 \
    position "\t" version "\t2026-05-17T09:30:00Z\t" stream "\t" type "\t" data "\t\n"

#define NOTES_TEXT                                                                                 \
    ROW("1", "1", "note-1", "Noted", "{\"n\":1,\"secret\":\"***\"}")                               \
    ROW("2", "2", "note-1", "Noted", "{\"n\":2}")                                                  \
    ROW("3", "1", "note-2", "Remarked", "{\"n\":3}")                                               \
    ROW("4", "2", "note-2", "Counted", "{\"n\":1} {\"n\":2}")                                      \
    ROW("5", "3", "note-2", "Counted", "(nothing)")

START_TEST(read_by_a_library_shows_what_events_are_now_without_secrets)
{
    make_notes();
    assert_out(STELE("read", "@all", "--lib", library()), HEADER NOTES_TEXT);
    assert_out(STELE("tail", "--lib", library()), HEADER NOTES_TEXT);
    assert_out(STELE("read", "note-2", "--backward", "--limit", "1", "--lib", library()),
               HEADER ROW("5", "3", "note-2", "Counted", "(nothing)"));
    assert_has(STELE("read", "@all", "--lib", library(), "-o", "table")->out,
               "  {\"n\":1,\"secret\":\"***\"}  ");
    /* Without it nothing has changed. */
    assert_has(STELE("read", "@all")->out, "{\"n\":1,\"secret\":\"abc\"}");
}
END_TEST

START_TEST(what_a_library_cannot_decode_is_shown_as_it_is_stored)
{
    make_notes();
    store_line("note-3", "Noted", "2", "{ \"n\":true }");
    store_line("note-3", "Other", "1", "{ \"a\" : [] }");
    assert_code(STELE("append", "note-3", "Noted", "x", "--codec", "zip", "--meta", "[ 1 ]"), 0);
    const ran *result = STELE("read", "note-3", "--lib", library());
    assert_code(result, 0);
    assert_has(result->err, "hint: 3 events can't be decoded, and are shown as they are stored");
    assert_has(result->out, HEADER ROW("6", "1", "note-3", "Noted", "{ \"n\":true }")
                                ROW("7", "2", "note-3", "Other", "{ \"a\" : [] }"));
    assert_has(result->out, "\tNoted\tx\t[ 1 ]\n");
}
END_TEST

START_TEST(json_is_what_is_stored_and_takes_no_library)
{
    make_notes();
    static const char *const formats[] = { "json", "jsonl" };
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        const ran *result = STELE("read", "@all", "--lib", library(), "-o", formats[i]);
        assert_refused(result, 2, "--lib shows events as text for people");
        assert_has(result->err, "hint: -o table or -o plain");
        ck_assert_str_eq(result->out, "");
        assert_refused(STELE("tail", "--lib", library(), "-o", formats[i]), 2,
                       "--lib shows events");
    }
    assert_refused(STELE("tail", "-f", "--lib", library(), "-o", "jsonl"), 2, "--lib shows events");
}
END_TEST

START_TEST(decoded_text_on_a_terminal_is_escaped)
{
    make_store();
    store_line("order-1", "OrderPlaced", "1",
               "{\"sku\":\"\xC2\x9B\xE2\x80\xAE\\u001b\",\"cents\":1}");
    const ran *result = WIDE(500, "read", "@all", "--lib", example());
    assert_code(result, 0);
    assert_lacks(result->out, "\xC2\x9B");
    assert_lacks(result->out, "\xE2\x80\xAE");
    assert_lacks(result->out, "\x1b");
    assert_has(result->out, "\\u{202e}");
    assert_has(result->out, "\"currency\":\"EUR\"");
}
END_TEST

/* --- The example --- */

START_TEST(example_brings_orders_up_to_date_and_hides_cards)
{
    make_store();
    store_line("order-17", "OrderPlaced", "1",
               "{\"sku\":\"A-1\",\"cents\":4990,\"card\":\"4111\"}");
    store_line("order-18", "OrderPlaced", "2",
               "{\"sku\":\"B-2\",\"cents\":100,\"currency\":\"USD\"}");
    assert_out(STELE("lint", "--lib", example()),
               LINT_HEADER "OrderPlaced\t1\tjson\t1\t1\t0\t1\t1\tOK\t\n"
                           "OrderPlaced\t2\tjson\t1\t1\t0\t1\t1\tOK\t\n");
    assert_out(STELE("read", "@all", "--lib", example()),
               HEADER ROW("1", "1", "order-17", "OrderPlaced",
                          "{\"sku\":\"A-1\",\"cents\":4990,\"currency\":\"EUR\",\"card\":\"***\"}")
                   ROW("2", "1", "order-18", "OrderPlaced",
                       "{\"sku\":\"B-2\",\"cents\":100,\"currency\":\"USD\"}"));
}
END_TEST

static TCase *add_group(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, NULL, forget_runs);
    suite_add_tcase(suite, tests);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("cli_lint");

    TCase *linting = add_group(suite, "lint");
    tcase_add_test(linting, lint_is_content_when_all_can_be_decoded);
    tcase_add_test(linting,
                   lint_without_a_library_finds_everything_unknown_and_says_what_is_missing);
    tcase_add_test(linting, lint_names_the_first_event_that_fails);
    tcase_add_test(linting, lint_has_the_same_rows_in_every_format);
    tcase_add_test(linting, lint_tries_as_many_samples_as_were_asked_for);
    tcase_add_test(linting, lint_of_a_store_that_cannot_be_read_ends_as_reading_does);
    tcase_add_test(linting, looking_by_a_library_changes_nothing);

    TCase *libraries = add_group(suite, "libraries");
    tcase_add_test(libraries, library_that_is_linked_with_stele_uses_the_tools_own);
    tcase_add_test(libraries, library_that_fails_to_register_is_refused_with_its_reason);
    tcase_add_test(libraries, what_is_no_library_is_refused);
    tcase_add_test(libraries, library_given_twice_is_refused);
    tcase_add_test(libraries, library_name_without_a_slash_is_a_file_here);

    TCase *schemas = add_group(suite, "schema");
    tcase_add_test(schemas, schema_prints_a_line_for_each_table_and_needs_no_store);
    tcase_add_test(schemas, schema_of_a_type_is_that_of_its_newest_version);
    tcase_add_test(schemas, schema_without_a_library_or_in_another_format_is_refused);

    TCase *reading = add_group(suite, "read and tail");
    tcase_add_test(reading, read_by_a_library_shows_what_events_are_now_without_secrets);
    tcase_add_test(reading, what_a_library_cannot_decode_is_shown_as_it_is_stored);
    tcase_add_test(reading, json_is_what_is_stored_and_takes_no_library);
    tcase_add_test(reading, decoded_text_on_a_terminal_is_escaped);
    tcase_add_test(reading, example_brings_orders_up_to_date_and_hides_cards);
    return run_suite(suite);
}
