/*
 * The command line itself: verbs, options, help, and what the table of verbs yields; init, info.
 */
#define _XOPEN_SOURCE 700

#include "cli_support.h"

#include <stele/store.h>
#include <stele/version.h>

static const char *const verbs[] = {
    "init",    "info",      "append",     "read",   "tail",   "streams", "types",
    "import",  "export",    "copy",       "verify", "doctor", "lint",    "schema",
    "version", "help",      "completion", "retain", "backup", "recover", "archive",
    "restore", "tombstone", "delete",     "scrub",  "replay", "subs",    "sub",
};

/* --- What is wrong, and what was meant --- */

START_TEST(a_mistyped_verb_is_refused_with_the_verb_that_was_meant)
{
    const ran *result = STELE("raed", "x");
    assert_refused(result, 2, "unknown verb 'raed'");
    assert_has(result->err, "hint: did you mean 'read'?\n");
    assert_has(STELE("exprot")->err, "did you mean 'export'?");
    assert_has(STELE("frobnicate")->err, "hint: there is: init info");
    ck_assert_str_eq(result->out, "");
}
END_TEST

START_TEST(no_verb_at_all_is_refused)
{
    assert_refused(run_tool(&(launch){ .arguments = (const char *const[]){ NULL } }), 2, "no verb");
    assert_refused(STELE("-o", "json"), 2, "no verb");
    assert_refused(STELE(""), 2, "unknown verb ''");
}
END_TEST

START_TEST(a_mistyped_option_is_refused_with_the_option_that_was_meant)
{
    assert_has(STELE("read", "x", "--form", "3")->err, "did you mean '--from'?");
    assert_has(STELE("read", "x", "--lmit=3")->err, "did you mean '--limit'?");
    assert_refused(STELE("read", "x", "--frobnicate"), 2, "unknown option '--frobnicate'");
    assert_refused(STELE("read", "x", "-z"), 2, "unknown option '-z'");
    assert_refused(STELE("--limit", "3", "read", "x"), 2, "unknown option '--limit'");
    assert_refused(STELE("read", "x", "--expect", "3"), 2, "unknown option '--expect'");
}
END_TEST

START_TEST(an_option_without_its_value_and_a_switch_with_one_are_refused)
{
    assert_refused(STELE("read", "x", "--limit"), 2, "--limit needs a value: N");
    assert_refused(STELE("read", "x", "-s"), 2, "--store needs a value: FILE");
    assert_refused(STELE("tail", "--follow=3"), 2, "--follow takes no value");
}
END_TEST

START_TEST(a_number_is_checked_to_be_one_in_its_range)
{
    static const char *const wrong[] = {
        "0", "-1", "x", "", "1x", " 1", "+1", "1e3", "9223372036854775808", "99999999999999999999"
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_refused(STELE("read", "x", "--limit", wrong[i]), 2, "--limit takes a number");
    assert_refused(STELE("import", "--batch", "0"), 2, "from 1 to 1000000, not 0");
    assert_refused(STELE("append", "s", "T", "--schema-version", "0"), 2, "a number from 1");
    assert_refused(STELE("append", "s", "T", "--event-size-max", "67108865"), 2, "67108864");
    assert_refused(STELE("read", "@all", "--after", "-1"), 2, "a number from 0");
}
END_TEST

START_TEST(a_value_out_of_a_fixed_set_is_refused_with_the_set)
{
    assert_has(STELE("streams", "--sort", "evnts")->err, "did you mean 'events'?");
    assert_has(STELE("-o", "xml", "info")->err, "hint: there is: table plain json jsonl\n");
    assert_refused(STELE("append", "s", "T", "--expect", "nobody"), 2, "--expect takes");
    assert_refused(STELE("append", "s", "T", "--expect", "-1"), 2, "--expect takes");
    assert_refused(STELE("append", "s", "T", "--expect", "1x"), 2, "--expect takes a number");
    assert_refused(STELE("append", "s", "T", "--time", "yesterday"), 2, "RFC 3339");
    assert_refused(STELE("completion", "tcsh"), 2, "unknown shell 'tcsh'");
    assert_refused(STELE("help", "raed"), 2, "unknown verb 'raed'");
}
END_TEST

START_TEST(too_few_and_too_many_operands_are_refused)
{
    assert_refused(STELE("read"), 2, "read needs STREAM");
    assert_refused(STELE("append", "s"), 2, "append needs STREAM TYPE");
    assert_refused(STELE("read", "a", "b"), 2, "unexpected argument 'b'");
    assert_refused(STELE("info", "x.db"), 2, "unexpected argument 'x.db'");
}
END_TEST

START_TEST(options_that_do_not_go_together_are_refused)
{
    assert_refused(STELE("read", "@all", "--from", "3"), 2, "--from is for 'read STREAM' only");
    assert_refused(STELE("read", "x", "--after", "3"), 2, "--after is for 'read @all' only");
    assert_refused(STELE("tail", "--after", "3", "--last", "4"), 2, "exclude each other");
    assert_refused(STELE("export", "--stream", "a", "--type", "T"), 2, "exclude each other");
    assert_refused(STELE("tail", "-f", "-o", "json"), 2, "can't print json");
    assert_refused(STELE("export", "-o", "json"), 2, "export writes jsonl only");
    assert_refused(STELE("--immutable", "append", "s", "T"), 2, "--immutable is for looking only");
}
END_TEST

START_TEST(common_options_stand_before_or_after_the_verb)
{
    make_store();
    const char *path = test_path("store.db");
    assert_json(WITHOUT_STORE("-s", path, "-o", "json", "info")->out);
    assert_json(WITHOUT_STORE("info", "-s", path, "--output", "json")->out);
    assert_json(WITHOUT_STORE("--store", path, "info", "-ojson")->out);
    assert_json(WITHOUT_STORE("info", "--output=json", "-s", path)->out);
    assert_code(WITHOUT_STORE("-s", path, "read", "@all", "--limit", "1", "-o", "json"), 0);
}
END_TEST

static void set_posixly_correct(void)
{
    setenv("POSIXLY_CORRECT", "1", 1);
}

START_TEST(options_after_operands_are_read_whatever_the_environment_says)
{
    make_store();
    launch how = { .arguments = ARGUMENTS("append", "s-1", "T", "1", "-o", "json"),
                   .prepare = set_posixly_correct };
    assert_json(run_tool(&how)->out);
}
END_TEST

START_TEST(what_follows_two_dashes_is_an_operand)
{
    make_store();
    assert_code(STELE("append", "s-1", "T", "--", "-5"), 0);
    assert_code(STELE("append", "--expect", "1", "--", "s-1", "--type", "-6"), 0);
    assert_has(STELE("read", "s-1")->out, "\ts-1\t--type\t-6\t\n");
    assert_code(STELE("--", "info"), 0);
}
END_TEST

START_TEST(a_store_must_be_named)
{
    const ran *result = WITHOUT_STORE("info");
    assert_refused(result, 2, "no store named");
    assert_has(result->err, "hint: -s FILE names it");
    assert_refused(WITHOUT_STORE("init"), 2, "no store named");
    assert_refused(STELE("-s", "", "info"), 2, "no store named");
}
END_TEST

START_TEST(a_missing_store_is_not_found_and_nothing_is_created)
{
    const char *const *const calls[] = {
        ARGUMENTS("info"),           ARGUMENTS("append", "s", "T"),
        ARGUMENTS("read", "s"),      ARGUMENTS("tail"),
        ARGUMENTS("tail", "-f"),     ARGUMENTS("streams"),
        ARGUMENTS("types"),          ARGUMENTS("import", "-"),
        ARGUMENTS("export"),         ARGUMENTS("verify"),
        ARGUMENTS("backup", "copy"), ARGUMENTS("retain", "--stream", "s", "--max-count", "1"),
    };
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        const ran *result = run_tool(&(launch){ .arguments = calls[i] });
        assert_refused(result, 3, "there is no file");
        assert_has(result->err, "hint: stele init -s ");
        ck_assert_str_eq(result->out, "");
        ck_assert_int_ne(access(test_path("store.db"), F_OK), 0);
    }
}
END_TEST

/* --- Help, and what the table yields --- */

START_TEST(every_verb_explains_itself_with_its_impact_and_three_examples)
{
    const char *verb = verbs[_i];
    const ran *result = STELE(verb, "--help");
    assert_code(result, 0);
    ck_assert_str_eq(result->err, "");
    ck_assert_msg(strncmp(result->out, "usage: stele ", 13) == 0, "%s", result->out);
    assert_has(result->out, "\nimpact: ");
    const char *examples = strstr(result->out, "\nexamples:\n");
    ck_assert_ptr_nonnull(examples);
    ck_assert_uint_ge(count_lines(examples + 11), 3);
    ck_assert_str_eq(STELE("help", verb)->out, result->out);
    assert_has(STELE("--help")->out, verb);
    for (const char *line = result->out; *line != '\0'; line += strcspn(line, "\n") + 1)
        ck_assert_msg(strncmp(line, "usage", 5) == 0 || line[0] == ' '
                          || strcspn(line, "\n") <= 100,
                      "long line: %s", line);
}
END_TEST

START_TEST(help_is_for_all_when_no_verb_is_named)
{
    const ran *result = STELE("--help");
    assert_code(result, 0);
    ck_assert_str_eq(STELE("help")->out, result->out);
    ck_assert_str_eq(STELE("-h")->out, result->out);
    assert_has(result->out, "exit codes:");
    assert_has(result->out, "--immutable");
}
END_TEST

/* The manual's source without its marking: \- is a dash, \& and \e the rest of what we use. */
static char *read_manual(void)
{
    char *text = read_whole("docs/man/stele.1", NULL);
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from != '\\') {
            *to++ = *from;
        } else if (from[1] == 'e') {
            *to++ = '\\';
            from++;
        } else if (from[1] == '&') {
            from++;
        }
    }
    *to = '\0';
    return text;
}

START_TEST(manual_has_the_synopsis_of_each_verb)
{
    char *manual = read_manual();
    const ran *result = STELE("help", "--synopsis");
    assert_code(result, 0);
    ck_assert_uint_ge(count_lines(result->out), COUNT_OF(verbs));
    for (char *line = strtok(result->out, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char whole[512];
        snprintf(whole, sizeof(whole), "\n%s\n", line);
        ck_assert_msg(strstr(manual, whole) != NULL, "the manual lacks: %s", line);
    }
    free(manual);
}
END_TEST

START_TEST(guide_names_each_verb_and_exit_code)
{
    char *guide = read_whole("docs/command-line.md", NULL);
    for (size_t i = 0; i < COUNT_OF(verbs); i++) {
        char name[32];
        snprintf(name, sizeof(name), "`stele %s", verbs[i]);
        assert_has(guide, name);
    }
    static const char *const codes[] = { "| 0 |", "| 1 |", "| 2 |", "| 3 |", "| 4 |",
                                         "| 5 |", "| 6 |", "| 7 |", "| 8 |", "| 130 |" };
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        assert_has(guide, codes[i]);
    free(guide);
}
END_TEST

START_TEST(completions_know_every_verb)
{
    static const char *const shells[] = { "bash", "zsh", "fish" };
    for (size_t i = 0; i < COUNT_OF(shells); i++) {
        const ran *result = STELE("completion", shells[i]);
        assert_code(result, 0);
        for (size_t j = 0; j < COUNT_OF(verbs); j++)
            assert_has(result->out, verbs[j]);
        assert_has(result->out, "expect");
        assert_has(result->out, "table plain json jsonl");
        assert_lacks(result->out, "synopsis");
    }
}
END_TEST

/* What bash offers for a line whose last word is being typed. */
static char *complete_in_bash(const char *words)
{
    const ran *script = STELE("completion", "bash");
    char command[512];
    write_whole(test_path("completion.bash"), script->out, script->out_size);
    snprintf(
        command, sizeof(command),
        "bash --norc -c '. \"$0\"; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _stele;"
        " echo \"${COMPREPLY[@]}\"' %s >%s",
        words, test_path("completion.bash"), test_path("completed"));
    ck_assert_int_eq(system(command), 0);
    return read_whole(test_path("completed"), NULL);
}

START_TEST(bash_completes_verbs_options_and_values)
{
    static const struct {
        const char *words;
        const char *offered;
    } cases[] = {
        { "stele rea", "read\n" },
        { "stele -s x.db ver", "verify version\n" },
        { "stele -o j", "json jsonl\n" },
        { "stele streams --sort \"\"", "events name last\n" },
        { "stele -s x.db append a B --expect e", "exists\n" },
        { "stele tail --fo", "--follow\n" },
        { "stele read @", "@all\n" },
        { "stele completion z", "zsh\n" },
        { "stele li", "lint\n" },
        { "stele lint --l", "--lib\n" },
        { "stele sta", "state\n" },
        { "stele state l", "list\n" },
        { "stele state -s x.db list --ne", "--newest\n" },
        { "stele --org a --ns b ver", "verify version\n" },
        { "stele shards mo", "move\n" },
        { "stele shards -s x list --or", "--orgs --org\n" },
        { "stele state put a b --expect n", "none\n" },
        { "stele replay --stop n", "never\n" },
        { "stele sub", "subs sub\n" },
        { "stele park d", "drop\n" },
        { "stele park drop x --po", "--position\n" },
        { "stele schema --lib README.m", "README.md\n" },
    };
    if (system("bash --norc -c true") != 0)
        skip_test("no bash here");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *offered = complete_in_bash(cases[i].words);
        ck_assert_str_eq(offered, cases[i].offered);
        free(offered);
    }
}
END_TEST

START_TEST(version_names_the_library_and_how_it_was_built)
{
    char line[64];
    snprintf(line, sizeof(line), "stele %s\n", stele_version());
    assert_out(STELE("--version"), line);
    assert_out(STELE("-V"), line);
    snprintf(line, sizeof(line), "stele\t%s\n", stele_version());
    assert_out(WITHOUT_STORE("version"), line);

    const ran *result = STELE("version", "--build", "-o", "json");
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"stele\":\"");
    assert_has(result->out, "\"sqlite\":\"3.");
    assert_has(result->out, "\"compiler\":\"");
    assert_has(result->out, "\"options\":[\"c");
}
END_TEST

/* --- init and info --- */

START_TEST(init_creates_a_private_store_and_describes_it)
{
    const ran *result = STELE("init", "-o", "json");
    assert_code(result, 0);
    ck_assert_str_eq(result->err, "");
    assert_json(result->out);
    struct stat facts;
    ck_assert_int_eq(stat(test_path("store.db"), &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 0777u, 0600);
    stele_store *store = NULL;
    ck_assert_int_eq(stele_store_open(test_path("store.db"), NULL, &store), STELE_OK);
    stele_store_close(store);
}
END_TEST

START_TEST(init_leaves_an_existing_store_alone)
{
    make_loans();
    const ran *result = STELE("init");
    assert_refused(result, 2, "store.db exists already");
    assert_has(result->err, "--if-missing");
    ck_assert_str_eq(result->out, "");

    result = STELE("init", "--if-missing", "-o", "json");
    assert_code(result, 0);
    assert_has(result->out, "\"head\":5");
    ck_assert_str_eq(result->out, STELE("info", "-o", "json")->out);
}
END_TEST

START_TEST(init_if_missing_creates_what_is_missing)
{
    assert_code(STELE("init", "--if-missing"), 0);
    assert_code(STELE("info"), 0);
}
END_TEST

START_TEST(init_takes_an_empty_file_and_refuses_any_other)
{
    make_file("store.db", "");
    assert_code(STELE("init"), 0);
    assert_code(STELE("info"), 0);

    make_file("text.db", "This is somebody's text, and longer than the head of a database file.\n");
    assert_refused(STELE("-s", test_path("text.db"), "init"), 6, "text.db");
    assert_refused(STELE("-s", test_path("text.db"), "init", "--if-missing"), 6, "text.db");
    assert_refused(STELE("-s", test_path("text.db"), "info"), 6, "text.db");
    char *text = read_whole(test_path("text.db"), NULL);
    ck_assert_str_eq(text,
                     "This is somebody's text, and longer than the head of a database file.\n");
    free(text);
}
END_TEST

START_TEST(init_refuses_what_the_library_refuses)
{
    assert_refused(STELE("-s", test_path("no/folder.db"), "init"), 3, "folder");
    assert_refused(STELE("-s", "file:x.db", "init"), 2, "URI");
    assert_refused(STELE("-s", test_folder(), "init"), 2, "not a regular file");
    make_store();
    ck_assert_int_eq(symlink(test_path("store.db"), test_path("link.db")), 0);
    assert_refused(STELE("-s", test_path("link.db"), "info"), 2, "is a link");
}
END_TEST

/* The keys of the JSON object, in their order, with blanks between. */
static void list_keys(const char *json, char *keys, size_t capacity)
{
    stele_json_reader *reader = NULL;
    stele_json_token token;
    size_t size = 0;
    ck_assert_int_eq(stele_json_open(json, strlen(json), NULL, &reader), STELE_OK);
    while (stele_json_next(reader, &token) == STELE_OK) {
        if (token.kind != STELE_JSON_KEY)
            continue;
        int added = snprintf(keys + size, capacity - size, "%s%.*s", size > 0 ? " " : "",
                             (int)token.size, token.text);
        ck_assert_int_gt(added, 0);
        size += (size_t)added;
        ck_assert_uint_lt(size, capacity);
    }
    stele_json_close(reader);
}

START_TEST(info_has_its_keys_in_the_order_that_scripts_rely_on)
{
    make_loans();
    const ran *result = STELE("info", "-o", "json");
    assert_code(result, 0);
    char keys[256] = "";
    list_keys(result->out, keys, sizeof(keys));
    ck_assert_str_eq(
        keys, "v uuid epoch format head events streams types file_bytes wal_bytes "
              "durability guarantees sqlite version wal_reset free_bytes unfinished archived kept");
    assert_has(result->out, "\"format\":1,\"head\":5,\"events\":5,\"streams\":3,\"types\":4,");
    assert_has(result->out, "\"durability\":\"full\",\"guarantees\":[\"durable\",");
    ck_assert_str_eq(STELE("info", "-o", "jsonl")->out, result->out);
}
END_TEST

START_TEST(info_is_key_and_value_a_line_in_plain_and_table)
{
    make_loans();
    const ran *plain = STELE("info");
    assert_code(plain, 0);
    ck_assert_uint_eq(count_lines(plain->out), 17);
    assert_has(plain->out, "\nhead\t5\n");
    assert_has(plain->out, "\nsqlite.wal_reset\t");
    const ran *table = STELE("info", "-o", "table");
    assert_has(table->out, "\nhead              5\n");
    assert_has(table->out, "\nsqlite.wal_reset  ");
}
END_TEST

START_TEST(events_of_one_type_in_two_schema_versions_are_one_type)
{
    make_store();
    assert_code(STELE("append", "s-1", "T", "1"), 0);
    assert_code(STELE("append", "s-1", "T", "1", "--schema-version", "2"), 0);
    assert_has(STELE("info")->out, "\ntypes\t1\n");
    ck_assert_uint_eq(count_lines(STELE("types")->out), 3);
}
END_TEST

static Suite *cli_suite(void)
{
    Suite *suite = suite_create("cli");

    TCase *wrong = tcase_create("wrong");
    tcase_add_checked_fixture(wrong, NULL, forget_runs);
    tcase_add_test(wrong, a_mistyped_verb_is_refused_with_the_verb_that_was_meant);
    tcase_add_test(wrong, no_verb_at_all_is_refused);
    tcase_add_test(wrong, a_mistyped_option_is_refused_with_the_option_that_was_meant);
    tcase_add_test(wrong, an_option_without_its_value_and_a_switch_with_one_are_refused);
    tcase_add_test(wrong, a_number_is_checked_to_be_one_in_its_range);
    tcase_add_test(wrong, a_value_out_of_a_fixed_set_is_refused_with_the_set);
    tcase_add_test(wrong, too_few_and_too_many_operands_are_refused);
    tcase_add_test(wrong, options_that_do_not_go_together_are_refused);
    tcase_add_test(wrong, common_options_stand_before_or_after_the_verb);
    tcase_add_test(wrong, options_after_operands_are_read_whatever_the_environment_says);
    tcase_add_test(wrong, what_follows_two_dashes_is_an_operand);
    tcase_add_test(wrong, a_store_must_be_named);
    tcase_add_test(wrong, a_missing_store_is_not_found_and_nothing_is_created);
    suite_add_tcase(suite, wrong);

    TCase *help = tcase_create("help");
    tcase_add_checked_fixture(help, NULL, forget_runs);
    tcase_add_loop_test(help, every_verb_explains_itself_with_its_impact_and_three_examples, 0,
                        (int)COUNT_OF(verbs));
    tcase_add_test(help, help_is_for_all_when_no_verb_is_named);
    tcase_add_test(help, manual_has_the_synopsis_of_each_verb);
    tcase_add_test(help, guide_names_each_verb_and_exit_code);
    tcase_add_test(help, completions_know_every_verb);
    tcase_add_test(help, bash_completes_verbs_options_and_values);
    tcase_add_test(help, version_names_the_library_and_how_it_was_built);
    suite_add_tcase(suite, help);

    TCase *store = tcase_create("store");
    tcase_add_checked_fixture(store, NULL, forget_runs);
    tcase_add_test(store, init_creates_a_private_store_and_describes_it);
    tcase_add_test(store, init_leaves_an_existing_store_alone);
    tcase_add_test(store, init_if_missing_creates_what_is_missing);
    tcase_add_test(store, init_takes_an_empty_file_and_refuses_any_other);
    tcase_add_test(store, init_refuses_what_the_library_refuses);
    tcase_add_test(store, info_has_its_keys_in_the_order_that_scripts_rely_on);
    tcase_add_test(store, info_is_key_and_value_a_line_in_plain_and_table);
    tcase_add_test(store, events_of_one_type_in_two_schema_versions_are_one_type);
    suite_add_tcase(suite, store);
    return suite;
}

int main(void)
{
    return run_suite(cli_suite());
}
