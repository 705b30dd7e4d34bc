/* The seeds of fuzzing, replayed: each target takes each of them, and a planted bug is seen. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <check.h>

#include "support.h"

static const struct {
    const char *name;
    const char *seeds; /* their folder */
} targets[] = {
    { "json_gate", "json" }, { "json_tree", "json" }, { "cbor", "cbor" },
    { "typed", "typed" },    { "jsonl", "jsonl" },
};

enum { TARGET_COUNT = sizeof(targets) / sizeof(targets[0]) };

/* Run a replay program over `path`; `said` receives the last of what it printed. */
static int replay(const char *name, const char *path, char *said, size_t capacity)
{
    char program[64];
    char command[8192];
    snprintf(program, sizeof(program), "fuzz/%s", name);
    int size = snprintf(command, sizeof(command), "'%s' '%s' 2>&1", test_program(program), path);
    ck_assert_int_lt(size, (int)sizeof(command));
    FILE *output = popen(command, "r");
    ck_assert_ptr_nonnull(output);
    size_t kept = 0;
    size_t got;
    /* Keep the last half of the buffer at least. */
    while ((got = fread(said + kept, 1, capacity - 1 - kept, output)) > 0) {
        kept += got;
        if (kept > capacity / 2) {
            memmove(said, said + kept - capacity / 2, capacity / 2);
            kept = capacity / 2;
        }
    }
    said[kept] = '\0';
    return pclose(output);
}

START_TEST(each_target_takes_each_seed)
{
    char said[4096];
    char seeds[64];
    snprintf(seeds, sizeof(seeds), "fuzz/corpus/%s", targets[_i].seeds);
    int status = replay(targets[_i].name, test_program(seeds), said, sizeof(said));
    ck_assert_msg(status == 0, "%s: status %d\n%s", targets[_i].name, status, said);

    const char *last_line = strrchr(said, '\n');
    while (last_line != NULL && last_line > said && last_line[-1] != '\n')
        last_line--;
    unsigned long files = last_line != NULL ? strtoul(last_line, NULL, 10) : 0;
    ck_assert_uint_ge(files, 30);
    printf("note: fuzzing target %s took %lu seeds\n", targets[_i].name, files);
}
END_TEST

/* Otherwise a replay would prove nothing. */
START_TEST(control_planted_bug_ends_the_replay)
{
    char said[4096];
    const char *path = test_path("input");
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fputs("00{\"a\":-0}", file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(replay("json_gate", path, said, sizeof(said)), 0);

    ck_assert_int_eq(setenv("STELE_FUZZ_CONTROL", "claim", 1), 0);
    int status = replay("control", path, said, sizeof(said));
    unsetenv("STELE_FUZZ_CONTROL");

    ck_assert_int_ne(status, 0);
    ck_assert_ptr_nonnull(strstr(said, "not so: claim"));
}
END_TEST

START_TEST(control_folder_without_seeds_is_a_failure)
{
    char said[4096];
    ck_assert_int_ne(replay("json_gate", test_folder(), said, sizeof(said)), 0);
    ck_assert_int_ne(replay("json_gate", test_path("missing"), said, sizeof(said)), 0);
}
END_TEST

static Suite *fuzz_corpus_suite(void)
{
    Suite *suite = suite_create("fuzz corpus");
    TCase *replays = tcase_create("replays");
    tcase_set_timeout(replays, 120);
    tcase_add_checked_fixture(replays, NULL, remove_test_folder);
    tcase_add_loop_test(replays, each_target_takes_each_seed, 0, TARGET_COUNT);
    tcase_add_test(replays, control_planted_bug_ends_the_replay);
    tcase_add_test(replays, control_folder_without_seeds_is_a_failure);
    suite_add_tcase(suite, replays);
    return suite;
}

int main(void)
{
    return run_suite(fuzz_corpus_suite());
}
