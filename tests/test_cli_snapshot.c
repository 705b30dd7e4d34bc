/*
 * snapshot list and invalidate: what is saved, how far it is behind, and dropping it.
 */
#define _XOPEN_SOURCE 700

#include "cli_support.h"

#include <stele/snapshot.h>
#include <stele/store.h>

#include <sqlite3.h>

static stele_store *open_store(void)
{
    stele_store *store = NULL;
    ck_assert_int_eq(stele_store_open(test_path("store.db"), NULL, &store), STELE_OK);
    return store;
}

static void save(stele_store *store, const char *stream, const char *name, int64_t version,
                 const char *codec)
{
    stele_snapshot snapshot = STELE_SNAPSHOT_INIT;
    snapshot.stream = stream;
    snapshot.name = name;
    snapshot.version = version;
    snapshot.codec = codec;
    snapshot.data = "{}";
    snapshot.data_size = 2;
    snapshot.keep = 5;
    ck_assert_int_eq(stele_snapshot_save(store, &snapshot), STELE_OK);
}

/* Of a-1, which has four events, two of state and one of sum; of b-1 one. */
static void make_snapshots(void)
{
    make_store();
    for (int i = 0; i < 4; i++) {
        assert_code(STELE("append", "a-1", "Counted", "1"), 0);
        assert_code(STELE("append", "b-1", "Counted", "1"), 0);
    }
    stele_store *store = open_store();
    save(store, "a-1", "state", 4, "json");
    save(store, "a-1", "state", 1, "json");
    save(store, "a-1", "sum", 3, "raw");
    save(store, "b-1", "state", 2, "json");
    stele_store_close(store);
}

/* The rows without the time. */
static const char *rows(const ran *result)
{
    static char text[2000];
    size_t used = 0;
    assert_code(result, 0);
    text[0] = '\0';
    for (const char *line = result->out; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        const char *at = line;
        for (int cell = 0; at < line + size; cell++) {
            size_t length = strcspn(at, "\t\n");
            if (cell != 7)
                used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.*s",
                                         cell > 0 ? " " : "", (int)length, at);
            at += length + 1;
        }
        used += (size_t)snprintf(text + used, sizeof(text) - used, "\n");
        line += size + 1;
    }
    return text;
}

#define HEADER "stream name version behind schema_version codec bytes miss\n"
#define A_4    "a-1 state 4 0 1 json 2\n"
#define A_1    "a-1 state 1 3 1 json 2\n"
#define A_SUM  "a-1 sum 3 1 1 raw 2\n"
#define B_2    "b-1 state 2 2 1 json 2\n"

START_TEST(list_tells_how_far_each_is_behind)
{
    make_snapshots();
    ck_assert_str_eq(rows(STELE("snapshot", "list")), HEADER A_4 A_1 A_SUM B_2);
    ck_assert_str_eq(rows(STELE("snapshot", "list", "a-1")), HEADER A_4 A_1 A_SUM);
    ck_assert_str_eq(rows(STELE("snapshot", "list", "--prefix", "b")), HEADER B_2);
    ck_assert_str_eq(rows(STELE("snapshot", "list", "--name", "sum")), HEADER A_SUM);
    ck_assert_str_eq(rows(STELE("snapshot", "list", "--limit", "2")), HEADER A_4 A_1);
}
END_TEST

START_TEST(list_is_the_same_in_json)
{
    make_snapshots();
    const ran *result = STELE("snapshot", "list", "a-1", "--name", "sum", "-o", "json");
    assert_code(result, 0);
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"rows\":[{\"stream\":\"a-1\",\"name\":\"sum\",\"version\":3,"
                            "\"behind\":1,\"schema_version\":1,\"codec\":\"raw\",\"bytes\":2,"
                            "\"saved\":\"");
    assert_has(result->out, "Z\",\"miss\":null}]}");
    ck_assert_uint_eq(count_lines(STELE("snapshot", "list", "-o", "jsonl")->out), 4);
}
END_TEST

START_TEST(list_of_a_stream_without_snapshots_is_empty_and_of_none_is_not_found)
{
    make_snapshots();
    assert_code(STELE("append", "c-1", "Counted", "1"), 0);
    ck_assert_str_eq(rows(STELE("snapshot", "list", "c-1")), HEADER);
    assert_refused(STELE("snapshot", "list", "d-1"), 3, "no stream 'd-1'");
}
END_TEST

/* A snapshot that is damaged is a row, and verify has more to say. */
START_TEST(list_names_what_is_never_loaded_and_verify_drops_it)
{
    make_snapshots();
    sqlite3 *raw = NULL;
    ck_assert_int_eq(sqlite3_open(test_path("store.db"), &raw), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(raw, "UPDATE snapshots SET data = '[]' WHERE version = 4", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(raw);
    ck_assert_str_eq(rows(STELE("snapshot", "list", "--limit", "1")),
                     HEADER "a-1 state 4 0 1 json 2 damaged\n");
    assert_code(STELE("verify", "--check", "snapshots"), 6);
    assert_has(STELE("verify", "--check", "snapshots")->out, "snapshots\tfalse\t4\t1\t");
    const ran *result = STELE("verify", "--repair", "-y", "--check", "snapshots");
    assert_code(result, 0);
    assert_has(result->out, "snapshots\ttrue\t3\t0\t");
    ck_assert_str_eq(rows(STELE("snapshot", "list")), HEADER A_1 A_SUM B_2);
}
END_TEST

START_TEST(invalidate_drops_those_of_a_stream)
{
    make_snapshots();
    assert_out(STELE("snapshot", "invalidate", "a-1", "--dry-run"),
               "stream\ta-1\nname\t\nsnapshots\t3\ndry_run\ttrue\n");
    assert_out(STELE("snapshot", "invalidate", "a-1", "--name", "state", "-y"),
               "stream\ta-1\nname\tstate\nsnapshots\t2\ndry_run\tfalse\n");
    ck_assert_str_eq(rows(STELE("snapshot", "list")), HEADER A_SUM B_2);
    assert_out(STELE("snapshot", "invalidate", "a-1", "-y", "-o", "json"),
               "{\"v\":1,\"stream\":\"a-1\",\"name\":null,\"snapshots\":1,\"dry_run\":false}\n");
    assert_refused(STELE("snapshot", "invalidate", "d-1", "-y"), 3, "no stream 'd-1'");
}
END_TEST

START_TEST(invalidate_all_drops_those_of_every_stream)
{
    make_snapshots();
    assert_out(STELE("snapshot", "invalidate", "--all", "--name", "state", "-y"),
               "stream\t\nname\tstate\nsnapshots\t3\ndry_run\tfalse\n");
    assert_out(STELE("snapshot", "invalidate", "--all", "-y"),
               "stream\t\nname\t\nsnapshots\t1\ndry_run\tfalse\n");
    ck_assert_str_eq(rows(STELE("snapshot", "list")), HEADER);
}
END_TEST

START_TEST(invalidate_in_a_script_needs_a_yes)
{
    make_snapshots();
    const ran *result = STELE("snapshot", "invalidate", "a-1");
    assert_refused(result, 2, "drop 3 snapshots of stream 'a-1'?");
    assert_has(result->err, "hint: -y");
    assert_refused(STELE("snapshot", "invalidate", "--all"), 2,
                   "drop 4 snapshots, of all streams?");
    ck_assert_str_eq(rows(STELE("snapshot", "list")), HEADER A_4 A_1 A_SUM B_2);
}
END_TEST

START_TEST(invalidate_asks_on_a_terminal)
{
    make_snapshots();
    const char *const *arguments = ARGUMENTS("snapshot", "invalidate", "b-1");
    const ran *result = answer_on_terminal(arguments, "n\n");
    assert_code(result, 1);
    assert_has(result->err, "drop 1 snapshots of stream 'b-1'? [y/N] ");
    ck_assert_str_eq(rows(STELE("snapshot", "list", "b-1")), HEADER B_2);

    assert_code(answer_on_terminal(arguments, "y\n"), 0);
    ck_assert_str_eq(rows(STELE("snapshot", "list", "b-1")), HEADER);
}
END_TEST

START_TEST(help_explains_both_words)
{
    static const char *const words[] = { "list", "invalidate" };
    const ran *result = STELE("snapshot", "--help");
    assert_code(result, 0);
    assert_has(result->out, "stele snapshot list [STREAM]");
    assert_has(result->out, "stele snapshot invalidate [STREAM]");
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        result = STELE("snapshot", words[i], "--help");
        assert_code(result, 0);
        assert_has(result->out, "impact: r");
        assert_has(result->out, "examples:");
    }
}
END_TEST

START_TEST(wrong_questions_are_refused)
{
    make_snapshots();
    assert_refused(STELE("snapshot"), 2, "snapshot needs one of the words");
    assert_refused(STELE("snapshot", "lits"), 2, "lits");
    assert_refused(STELE("snapshot", "invalidate", "-y"), 2, "of which stream?");
    assert_refused(STELE("snapshot", "invalidate", "a-1", "--all", "-y"), 2, "a stream and --all");
    assert_refused(STELE("snapshot", "list", "--limit", "0"), 2, "a number from 1");
    assert_refused(STELE("snapshot", "list", "--name", ""), 2, "snapshot");
    assert_refused(STELE("snapshot", "list", "-s", "none.db"), 3, "there is no file");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_snapshot");
    TCase *tests = tcase_create("snapshot");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, NULL, forget_runs);
    tcase_add_test(tests, list_tells_how_far_each_is_behind);
    tcase_add_test(tests, list_is_the_same_in_json);
    tcase_add_test(tests, list_of_a_stream_without_snapshots_is_empty_and_of_none_is_not_found);
    tcase_add_test(tests, list_names_what_is_never_loaded_and_verify_drops_it);
    tcase_add_test(tests, invalidate_drops_those_of_a_stream);
    tcase_add_test(tests, invalidate_all_drops_those_of_every_stream);
    tcase_add_test(tests, invalidate_in_a_script_needs_a_yes);
    tcase_add_test(tests, invalidate_asks_on_a_terminal);
    tcase_add_test(tests, help_explains_both_words);
    tcase_add_test(tests, wrong_questions_are_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
