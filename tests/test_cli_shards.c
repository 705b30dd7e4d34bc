/*
 * Shards on the command line: --org and --ns with every verb, and what there is under a root.
 */
#define _XOPEN_SOURCE 700

#include "cli_shards.h"

#include <stele/shards.h>

/* --- Naming a shard --- */

START_TEST(a_shard_is_named_before_or_after_the_verb)
{
    make_shards();
    const char *const *const calls[] = {
        ARGUMENTS("-s", test_root(), "--org", "acme", "--ns", "orders", "read", "@all"),
        ARGUMENTS("read", "@all", "--org", "acme", "--ns", "orders", "-s", test_root()),
        ARGUMENTS("--ns=orders", "read", "--org=acme", "@all", "--store", test_root()),
    };
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        const ran *result = run_tool(&(launch){ .arguments = calls[i], .no_store = true });
        assert_code(result, 0);
        ck_assert_str_eq(result->err, "");
        ck_assert_uint_eq(count_lines(result->out), 3);
    }
    assert_code(ROOT("checkpoint", "--org", "acme", "list", "--ns", "orders"), 0);
}
END_TEST

START_TEST(the_root_is_also_named_by_the_environment)
{
    ck_assert_int_eq(mkdir(test_path("store.db"), 0700), 0);
    assert_code(STELE("init", "--ns", "a"), 0);
    ck_assert_int_eq(access(test_path("store.db/_/a.db"), F_OK), 0);
    assert_code(STELE("shards", "list"), 0);
}
END_TEST

START_TEST(ns_alone_is_of_the_empty_organisation)
{
    make_shards();
    ck_assert_uint_eq(count_lines(ROOT("--ns", "log", "read", "@all")->out), 2);
    ck_assert_str_eq(SHARD("", "log", "read", "@all")->out,
                     ROOT("--ns", "log", "read", "@all")->out);
}
END_TEST

START_TEST(wrong_namings_are_refused_and_explained)
{
    make_shards();
    make_store();

    const ran *result = ROOT("--org", "acme", "info");
    assert_refused(result, 2, "--org alone names none");
    assert_has(result->err, "hint: add --ns NAMESPACE; stele shards list");

    result = ROOT("info");
    assert_refused(result, 2, "is not a regular file but a folder");
    assert_has(result->err, "hint: name one by --org and --ns, or see: stele shards list -s ");

    result = STELE("info", "--ns", "orders");
    assert_refused(result, 2, "is a file, and --ns names a shard under a folder");

    assert_refused(SHARD("acme", "", "info"), 2, "namespace");
    assert_refused(SHARD("acme", "\xff", "info"), 2, "UTF-8");
    char name[300];
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    assert_refused(SHARD("acme", name, "info"), 2, "255");
    assert_refused(WITHOUT_STORE("--ns", "a", "info"), 2, "no store named");
    assert_refused(STELE("recover", "a", "b", "--ns", "x"), 2, "stele shards recover");
    assert_refused(STELE("shards", "list"), 2, "is a file");
}
END_TEST

START_TEST(a_missing_shard_is_not_found_by_verbs_that_make_none)
{
    make_shards();
    const char *const *const calls[] = {
        ARGUMENTS("info"),
        ARGUMENTS("read", "s"),
        ARGUMENTS("tail", "-f"),
        ARGUMENTS("export"),
        ARGUMENTS("verify"),
        ARGUMENTS("doctor"),
        ARGUMENTS("delete", "s", "-y"),
        ARGUMENTS("checkpoint", "set", "a", "0"),
        ARGUMENTS("shards", "verify"),
        ARGUMENTS("shards", "drop", "-y"),
    };
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        const char *arguments[16] = { "-s", test_root(), "--org", "acme", "--ns", "nix" };
        size_t count = 6;
        for (const char *const *from = calls[i]; *from != NULL; from++)
            arguments[count++] = *from;
        const ran *result = run_tool(&(launch){ .arguments = arguments, .no_store = true });
        assert_refused(result, 3, "nix");
        assert_has(result->err, "hint: stele shards list -s ");
        ck_assert_str_eq(result->out, "");
        ck_assert_int_ne(access(test_path("root/acme/nix.db"), F_OK), 0);
    }
}
END_TEST

START_TEST(a_missing_root_is_not_found_and_not_made_by_verbs_that_look)
{
    const ran *result = SHARD("acme", "orders", "info");
    assert_refused(result, 3, "root");
    assert_has(result->err, "hint: stele init -s ");
    assert_refused(ROOT("shards", "list"), 3, "root");
    assert_refused(ROOT("shards", "verify"), 3, "root");
    assert_refused(ROOT("shards", "drop", "--ns", "a", "-y"), 3, "root");
    ck_assert_int_ne(access(test_root(), F_OK), 0);
}
END_TEST

START_TEST(appends_imports_and_puts_make_a_shard_and_say_so)
{
    const char line[] = "{\"stream\":\"s-1\",\"type\":\"T\"}\n";

    const ran *result = SHARD("acme", "a", "append", "s-1", "T");
    assert_code(result, 0);
    ck_assert_str_eq(result->err, "note: created the shard 'a' of organisation 'acme'\n");
    assert_code(SHARD("acme", "a", "append", "s-1", "T"), 0);
    ck_assert_str_eq(SHARD("acme", "a", "append", "s-1", "T")->err, "");
    assert_has(SHARD("acme", "b", "state", "put", "x", "y", "1")->err, "note: created");
    result = run_tool(&(launch){
        .arguments = ARGUMENTS("-s", test_root(), "--ns", "c", "import", "-"), .input = line });
    assert_code(result, 0);
    assert_has(result->err, "note: created the shard 'c' of organisation ''");
    ck_assert_str_eq(SHARD("acme", "d", "init")->err, "");
}
END_TEST

START_TEST(init_leaves_an_existing_shard_alone)
{
    make_shards();
    const ran *result = SHARD("acme", "orders", "init");
    assert_refused(result, 2, "orders.db exists already");
    assert_has(result->err, "stele info -s ");
    assert_has(result->err, " --org acme --ns orders");
    result = SHARD("acme", "orders", "init", "--if-missing", "-o", "json");
    assert_code(result, 0);
    assert_has(result->out, "\"head\":2");
}
END_TEST

/* Files are their owner's alone, and nothing is outside the root. */
START_TEST(a_name_with_slashes_and_dots_stays_under_the_root)
{
    static const char *const names[] = { "..", ".",   "a/b", "../../x", "/etc/passwd",
                                         "-x", "CON", "A",   "a",       ".lock" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char option[64];
        snprintf(option, sizeof(option), "--ns=%s", names[i]);
        assert_code(WITHOUT_STORE("-s", test_root(), "--org=..", option, "append", "s", "T"), 0);
    }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char option[64];
        snprintf(option, sizeof(option), "--ns=%s", names[i]);
        const ran *result =
            WITHOUT_STORE("-s", test_root(), "--org=..", option, "types", "-o", "jsonl");
        assert_code(result, 0);
        ck_assert_uint_eq(count_lines(result->out), 1);
    }
    ck_assert_uint_eq(count_lines(ROOT("shards", "list", "--org", "..")->out), 1 + COUNT_OF(names));
    struct stat facts;
    ck_assert_int_eq(stat(test_root(), &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 0777u, 0700);
}
END_TEST

/* --- Every verb, on a shard as on a file --- */

typedef struct twin {
    const char *verb; /* as in the table */
    const char *operands[8];
} twin;

/* In this order: each finds what the ones before it have left. */
static const twin twins[] = {
    { "init", { NULL } },
    { "append", { "s-1", "Made", "{\"a\":1}" } },
    { "append", { "s-2", "Made", "2", "--key", "k" } },
    { "import", { "-", "--source", "x" } },
    { "info", { NULL } },
    { "read", { "s-1" } },
    { "read", { "@all", "--backward" } },
    { "tail", { "--last", "2" } },
    { "streams", { NULL } },
    { "types", { NULL } },
    { "export", { NULL } },
    { "replay", { "--into", "cat" } },
    { "replay", { "--into", "cat", "--subscription", "r" } },
    { "copy", { "DEST" } },
    { "checkpoint set", { "c", "1" } },
    { "checkpoint get", { "c" } },
    { "checkpoint list", { NULL } },
    { "checkpoint reset", { "c", "-y" } },
    { "subs", { NULL } },
    { "sub", { "r" } },
    { "sub", { "r", "--clear", "-y" } },
    { "park list", { NULL } },
    { "park replay", { "r" } },
    { "park drop", { "r", "--all", "-y" } },
    { "snapshot list", { NULL } },
    { "snapshot invalidate", { "s-1", "-y" } },
    { "state put", { "x", "y", "1" } },
    { "state get", { "x", "y" } },
    { "state list", { NULL } },
    { "state delete", { "x", "y", "-y" } },
    { "retain", { "--stream", "s-3", "--max-count", "1", "-y", "--force" } },
    { "archive", { "s-2", "-y" } },
    { "restore", { "s-2", "-y" } },
    { "tombstone", { "s-2", "--reason", "r", "-y" } },
    { "delete", { "s-1", "-y" } },
    { "delete", { "gone", "-y" } },
    { "scrub", { "-y" } },
    { "verify", { NULL } },
    { "verify", { "--repair", "-y" } },
    { "backup", { "DEST" } },
    { "doctor", { NULL } },
    { "doctor", { "--try" } },
    { "lint", { NULL } },
    { "append", { "s-2", "Made" } },
};

/* Those that work on no store, or on roots. */
static const char *const twinless[] = { "recover", "schema",     "version",
                                        "help",    "completion", "shards " };

static const ran *run_twin(const twin *call, const char *place, bool shard, const char *format)
{
    static char made[64];
    const char *arguments[24] = { "-s", place };
    size_t count = 2;
    char words[32];
    snprintf(words, sizeof(words), "%s", call->verb);
    char *second = strchr(words, ' ');
    if (second != NULL)
        *second++ = '\0';
    arguments[count++] = words;
    if (second != NULL)
        arguments[count++] = second;
    for (size_t i = 0; i < COUNT_OF(call->operands) && call->operands[i] != NULL; i++) {
        arguments[count] = call->operands[i];
        if (strcmp(call->operands[i], "DEST") == 0) {
            static int number;
            snprintf(made, sizeof(made), "%d", number++);
            arguments[count] = test_path(made);
        }
        count++;
    }
    if (shard) {
        arguments[count++] = "--org=" WEIRD_ORG;
        arguments[count++] = "--ns=" WEIRD_NS;
    }
    arguments[count++] = "-o";
    arguments[count++] = format;
    arguments[count] = NULL;
    return run_tool(&(launch){
        .arguments = arguments,
        .no_store = true,
        .input = "{\"stream\":\"s-3\",\"type\":\"Came\",\"time\":\"2026-05-17T09:30:00Z\"}\n"
                 "{\"stream\":\"s-3\",\"type\":\"Came\",\"time\":\"2026-05-17T09:31:00Z\"}\n" });
}

/* Without what differs between two stores: times, identities, sizes. */
static void mask(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++)
        if (strchr("0123456789abcdef-.: ", *from) == NULL)
            *to++ = *from;
    *to = '\0';
}

START_TEST(every_verb_works_on_a_shard_as_on_a_file)
{
    static const char *const formats[] = { "plain", "json", "jsonl", "table" };
    const char *format = formats[_i];
    for (size_t i = 0; i < COUNT_OF(twins); i++) {
        const twin *call = &twins[i];
        bool fixed = strcmp(call->verb, "export") == 0;
        const char *shown = fixed ? "jsonl" : format;
        const ran *on_file = run_twin(call, test_path("twin.db"), false, shown);
        const ran *on_shard = run_twin(call, test_root(), true, shown);
        ck_assert_msg(on_file->code == on_shard->code, "%s: %d on a file, %d on a shard: %s%s",
                      call->verb, on_file->code, on_shard->code, on_file->err, on_shard->err);
        mask(on_file->out);
        mask(on_shard->out);
        ck_assert_msg(strcmp(on_file->out, on_shard->out) == 0, "%s:\n%s\n%s", call->verb,
                      on_file->out, on_shard->out);
        ck_assert_uint_eq(count_lines(on_file->err), count_lines(on_shard->err));
    }
}
END_TEST

/* Whoever adds a verb says what it does on a shard. */
START_TEST(no_verb_of_the_table_is_left_out)
{
    const ran *synopsis = STELE("help", "--synopsis");
    for (char *line = strtok(synopsis->out, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        bool known = false;
        const char *verb = line + strlen("stele ");
        for (size_t i = 0; i < COUNT_OF(twins); i++)
            known = known || strncmp(verb, twins[i].verb, strlen(twins[i].verb)) == 0;
        for (size_t i = 0; i < COUNT_OF(twinless); i++)
            known = known || strncmp(verb, twinless[i], strlen(twinless[i])) == 0;
        ck_assert_msg(known, "not tried on a shard: %s", verb);
    }
}
END_TEST

/* --- What there is --- */

START_TEST(list_has_each_shard_by_name_in_every_format)
{
    make_shards();
    const ran *result = ROOT("shards", "list");
    assert_code(result, 0);
    ck_assert_uint_eq(count_lines(result->out), 5);
    assert_has(result->out, "organisation\tnamespace\tpath\tstate\n\tlog\t/");
    assert_has(result->out, "/root/_/log.db\tok\nacme\tbills\t");
    assert_has(result->out, "/bills.db\tok\nacme\tempty\t");
    assert_has(result->out, "/empty.db\tok\nacme\torders\t");
    result = ROOT("shards", "list", "-o", "json");
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"rows\":[{\"organisation\":\"\",\"namespace\":\"log\",");
    result = ROOT("shards", "list", "-o", "jsonl");
    assert_json_lines(result->out);
    ck_assert_uint_eq(count_lines(result->out), 4);
    assert_has(ROOT("shards", "list", "-o", "table")->out, "NAMESPACE");
}
END_TEST

START_TEST(list_takes_an_organisation_a_prefix_and_a_page)
{
    make_shards();
    const ran *result = ROOT("shards", "list", "--org", "acme", "--limit", "2", "-o", "jsonl");
    ck_assert_uint_eq(count_lines(result->out), 2);
    assert_has(result->out, "\"bills\"");
    assert_has(result->out, "\"empty\"");
    result = ROOT("shards", "list", "--org", "acme", "--after", "empty", "-o", "jsonl");
    ck_assert_uint_eq(count_lines(result->out), 1);
    assert_has(result->out, "\"orders\"");
    result = ROOT("shards", "list", "--after-org", "acme", "--after", "bills", "-o", "jsonl");
    ck_assert_uint_eq(count_lines(result->out), 2);
    result = ROOT("shards", "list", "--prefix", "o", "-o", "jsonl");
    ck_assert_uint_eq(count_lines(result->out), 1);
    assert_has(result->out, "\"orders\"");
    ck_assert_str_eq(ROOT("shards", "list", "--org", "nobody", "-o", "jsonl")->out, "");
    ck_assert_uint_eq(count_lines(ROOT("shards", "list", "--org", "", "-o", "jsonl")->out), 1);
}
END_TEST

START_TEST(list_has_organisations_the_empty_one_first)
{
    make_shards();
    assert_code(SHARD(WEIRD_ORG, "x", "init"), 0);
    const ran *result = ROOT("shards", "list", "--orgs");
    assert_code(result, 0);
    ck_assert_uint_eq(count_lines(result->out), 4);
    assert_has(result->out, "organisation\tpath\n\t/");
    assert_has(result->out, "\nacme\t/");
    assert_has(result->out, "\n" WEIRD_ORG "\t/");
    result = ROOT("shards", "list", "--orgs", "--after-org", "acme", "-o", "jsonl");
    ck_assert_uint_eq(count_lines(result->out), 1);
}
END_TEST

START_TEST(wrong_lists_are_refused)
{
    make_shards();
    assert_refused(ROOT("shards", "list", "--ns", "a"), 2, "--ns names one");
    assert_refused(ROOT("shards", "list", "--orgs", "--org", "a"), 2, "--orgs lists organisations");
    assert_refused(ROOT("shards", "list", "--after", "a"), 2, "the next page begins after");
    assert_refused(ROOT("shards", "list", "--limit", "0"), 2, "--limit takes a number");
    assert_refused(ROOT("shards", "list", "--org", "\xff"), 2, "UTF-8");
    assert_refused(ROOT("shards", "lsit"), 2, "unknown word after shards: 'lsit'");
    assert_refused(ROOT("shards"), 2, "shards needs one of the words list path stats");
}
END_TEST

START_TEST(path_says_where_a_shard_is_or_would_be)
{
    make_shards();
    const ran *result = SHARD("acme", "orders", "shards", "path", "-o", "json");
    assert_code(result, 0);
    assert_json(result->out);
    assert_has(result->out, "\"state\":\"ok\",\"moved_to\":null}");
    result = SHARD("acme", "nix", "shards", "path");
    assert_has(result->out, "/root/acme/nix.db\nstate\tmissing\n");
    result = SHARD("acme", "orders", "shards", "path", "--bare");
    result->out[result->out_size - 1] = '\0';
    assert_has(WITHOUT_STORE("-s", result->out, "info", "-o", "json")->out, "\"head\":2,");
    assert_refused(ROOT("shards", "path", "--org", "acme"), 2, "name it by --ns");
}
END_TEST

START_TEST(stats_has_a_row_for_each_shard_and_a_total)
{
    make_shards();
    const ran *result = ROOT("shards", "stats");
    assert_code(result, 0);
    ck_assert_uint_eq(count_lines(result->out), 5);
    assert_has(result->out, "organisation\tnamespace\tevents\tstreams\tentries\tfile_bytes\t"
                            "wal_bytes\tlast\n\tlog\t1\t1\t0\t");
    assert_has(result->out, "\nacme\torders\t2\t2\t0\t");
    assert_has(result->out, "\nacme\tempty\t0\t0\t0\t");
    ck_assert_str_eq(ROOT("shards", "stats", "--jobs", "3")->out, result->out);

    result = ROOT("shards", "stats", "--total", "-o", "json");
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"shards\":4,\"events\":4,\"streams\":4,\"entries\":0,");
    assert_has(ROOT("shards", "stats", "--total", "--org", "acme")->out, "shards\t3\nevents\t3\n");
    assert_has(ROOT("shards", "stats", "--total", "--prefix", "b")->out, "shards\t1\nevents\t1\n");
    ck_assert_uint_eq(count_lines(SHARD("acme", "orders", "shards", "stats")->out), 2);
    assert_code(SHARD("acme", "orders-2", "init"), 0); /* begins with the name of another one */
    ck_assert_uint_eq(count_lines(SHARD("acme", "orders", "shards", "stats")->out), 2);
    ck_assert_uint_eq(count_lines(ROOT("shards", "stats", "--org", "x", "-o", "jsonl")->out), 0);
    assert_refused(ROOT("shards", "stats", "--jobs", "65"), 2, "from 1 to 64");
    assert_refused(ROOT("shards", "stats", "--prefix", "a", "--ns", "b"), 2, "--ns names one");
}
END_TEST

/* --- What the table yields --- */

START_TEST(each_verb_of_the_group_explains_itself)
{
    const ran *group = STELE("shards", "--help");
    assert_code(group, 0);
    char *lines = group->out;
    size_t count = 0;
    for (char *line = strtok(lines, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char word[16];
        const char *name = strstr(line, "stele shards ");
        if (name == NULL || strstr(line, "WORD") != NULL)
            continue;
        snprintf(word, sizeof(word), "%.*s", (int)strcspn(name + 13, " "), name + 13);
        const ran *result = STELE("shards", word, "--help");
        assert_code(result, 0);
        assert_has(result->out, "\nimpact: ");
        assert_has(result->out, "--ns NS");
        const char *examples = strstr(result->out, "\nexamples:\n");
        ck_assert_ptr_nonnull(examples);
        ck_assert_uint_ge(count_lines(examples + 11), 3);
        ck_assert_str_eq(STELE("help", "shards", word)->out, result->out);
        static const char *const shells[] = { "bash", "zsh", "fish" };
        for (size_t i = 0; i < COUNT_OF(shells); i++)
            assert_has(STELE("completion", shells[i])->out, word);
        char *guide = read_whole("docs/command-line.md", NULL);
        char whole[32];
        snprintf(whole, sizeof(whole), "`stele shards %s", word);
        assert_has(guide, whole);
        free(guide);
        for (const char *from = result->out; *from != '\0'; from += strcspn(from, "\n") + 1)
            ck_assert_msg(strncmp(from, "usage", 5) == 0 || from[0] == ' '
                              || strcspn(from, "\n") <= 100,
                          "long line: %s", from);
        count++;
    }
    ck_assert_uint_eq(count, 15);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stele shards");
    TCase *tests = tcase_create("shards");
    tcase_add_checked_fixture(tests, NULL, forget_runs);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_shard_is_named_before_or_after_the_verb);
    tcase_add_test(tests, the_root_is_also_named_by_the_environment);
    tcase_add_test(tests, ns_alone_is_of_the_empty_organisation);
    tcase_add_test(tests, wrong_namings_are_refused_and_explained);
    tcase_add_test(tests, a_missing_shard_is_not_found_by_verbs_that_make_none);
    tcase_add_test(tests, a_missing_root_is_not_found_and_not_made_by_verbs_that_look);
    tcase_add_test(tests, appends_imports_and_puts_make_a_shard_and_say_so);
    tcase_add_test(tests, init_leaves_an_existing_shard_alone);
    tcase_add_test(tests, a_name_with_slashes_and_dots_stays_under_the_root);
    tcase_add_loop_test(tests, every_verb_works_on_a_shard_as_on_a_file, 0, 4);
    tcase_add_test(tests, no_verb_of_the_table_is_left_out);
    tcase_add_test(tests, list_has_each_shard_by_name_in_every_format);
    tcase_add_test(tests, list_takes_an_organisation_a_prefix_and_a_page);
    tcase_add_test(tests, list_has_organisations_the_empty_one_first);
    tcase_add_test(tests, wrong_lists_are_refused);
    tcase_add_test(tests, path_says_where_a_shard_is_or_would_be);
    tcase_add_test(tests, stats_has_a_row_for_each_shard_and_a_total);
    tcase_add_test(tests, each_verb_of_the_group_explains_itself);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
