/*
 * The examples of resume points and session memory, as programs: one is killed again and again, and
 * each of its steps has its effect once; the other remembers from one run to the next.
 */
#include "effort.h"
#include "loan_desk.h"

#include <stele.h>

#include <inttypes.h>
#include <signal.h>
#include <time.h>

enum { ORDERS = 5, STEPS = 3, EFFECTS = ORDERS * STEPS };

static void sleep_ms(long milliseconds)
{
    nanosleep(&(struct timespec){ .tv_nsec = milliseconds * 1000000 }, NULL);
}

static int count_lines(const char *text)
{
    int count = 0;
    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

/* The program, until it has told of `steps` steps: killed then, in whatever it does. */
static void run_and_kill(const char *store, int steps)
{
    const char *output = test_path("output");
    remove(output);
    pid_t child =
        start((const char *const[]){ test_program("../examples/resume_point"), store, "20", NULL },
              output);
    for (int i = 0; i < 30000; i++) {
        sleep_ms(1);
        if (access(output, R_OK) == 0 && count_lines(read_text(output)) > steps)
            break;
    }
    kill(child, SIGKILL);
    int ended = finish(child); /* it may have been faster */
    ck_assert_msg(ended == -SIGKILL || ended == 0, "it ends with %d: %s", ended,
                  read_text(test_path("errors")));
}

/* The events of an order, "reserved charged", which are never two of a kind. Borrowed until next.
 */
static const char *events_of(stele_store *store, int order)
{
    static char text[256];
    char stream[32];
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    size_t size = 0;
    text[0] = '\0';
    snprintf(stream, sizeof(stream), "order-%d", order);
    read.stream = stream;
    ck_assert_int_eq(stele_store_read(store, &read, &cursor), STELE_OK);
    stele_status status;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s", size > 0 ? " " : "",
                                 record->type);
    ck_assert_int_eq(status, STELE_DONE);
    stele_cursor_close(cursor);
    return text;
}

/* How many steps had their effect, in order and once; -1 when it isn't so. */
static int count_effects(stele_store *store)
{
    int done = 0;
    for (int order = 1; order <= ORDERS; order++) {
        static const char *const beginnings[] = { "", "reserved", "reserved charged",
                                                  "reserved charged shipped" };
        const char *events = events_of(store, order);
        int count = 0;
        while (count <= STEPS && strcmp(events, beginnings[count]) != 0)
            count++;
        if (count > STEPS || (count > 0 && done != (order - 1) * STEPS))
            return -1;
        done += count;
    }
    return done;
}

/* What is stored is a beginning of the work, and the point says exactly how far it came. */
static int expect_beginning(const char *path)
{
    stele_store *store = NULL;
    const stele_resume_record *record = NULL;
    ck_assert_int_eq(stele_store_open(path, NULL, &store), STELE_OK);
    int done = count_effects(store);
    ck_assert_int_ge(done, 0);
    ck_assert_int_eq(stele_resume_point_load(store, NULL, "night-run", &record), STELE_OK);
    ck_assert_int_eq(record->found, done > 0);
    ck_assert_int_eq(record->iteration, done == 0 ? 0 : 1 + done / STEPS);
    stele_resume_record_close(record);
    stele_store_close(store);
    return done;
}

static const char *run_to_the_end(const char *store)
{
    int status = RUN(test_path("output"), test_program("../examples/resume_point"), store);
    ck_assert_msg(status == 0, "it exits with %d: %s", status, read_text(test_path("errors")));
    return read_text(test_path("output"));
}

START_TEST(killed_workflow_goes_on_and_each_step_has_its_effect_once)
{
    char path[4096], first[128];
    uint64_t seed = choose_seed();
    int runs = effort_is_long() ? 20 : 2, kills = 0, attempt = 1;
    for (int run = 0; run < runs; run++) {
        snprintf(path, sizeof(path), "%s", test_path("work.stele"));
        int done = 0;
        for (attempt = 1; done < EFFECTS - 5; kills++) {
            run_and_kill(path, (int)(next_chance() % 4));
            int now = expect_beginning(path);
            ck_assert_int_ge(now, done);
            /* Before the first point there is nothing to go on from: it is the first attempt. */
            attempt += now > 0;
            done = now;
        }
        snprintf(first, sizeof(first), "attempt %d begins with order-%d, ", attempt,
                 1 + done / STEPS);

        const char *output = run_to_the_end(path);

        ck_assert_msg(strncmp(output, first, strlen(first)) == 0,
                      "'%s', not '%s' (seed %" PRIu64 ")", output, first, seed);
        ck_assert_ptr_nonnull(strstr(output, "done: 5 orders, 1500 cents\n"));
        ck_assert_int_eq(expect_beginning(path), EFFECTS);
        ck_assert_int_eq(remove(path), 0);
        remove(test_path("work.stele-anchor"));
    }
    printf("workflow: seed %" PRIu64 ", %d runs, killed %d times\n", seed, runs, kills);
}
END_TEST

START_TEST(finished_workflow_does_nothing_twice)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s", test_path("work.stele"));
    run_to_the_end(path);
    ck_assert_int_eq(expect_beginning(path), EFFECTS);

    const char *output = run_to_the_end(path);

    ck_assert_str_eq(output, "attempt 2 begins with order-6, reserve\n"
                             "done: 5 orders, 1500 cents\n");
    ck_assert_int_eq(expect_beginning(path), EFFECTS);
}
END_TEST

/* The control: an effect without its point is noticed. */
START_TEST(effect_beside_its_point_is_noticed)
{
    char path[4096];
    stele_store *store = NULL;
    stele_event event = { .type = "reserved", .data = "{}", .data_size = 2 };
    stele_append append = STELE_APPEND_INIT;
    snprintf(path, sizeof(path), "%s", test_path("work.stele"));
    run_to_the_end(path);
    append.stream = "order-3";
    append.events = &event;
    append.event_count = 1;
    ck_assert_int_eq(stele_store_open(path, NULL, &store), STELE_OK);
    ck_assert_int_eq(count_effects(store), EFFECTS);
    ck_assert_int_eq(stele_store_append(store, &append, NULL), STELE_OK);
    ck_assert_int_eq(count_effects(store), -1);
    stele_store_close(store);
}
END_TEST

START_TEST(session_memory_remembers_from_one_run_to_the_next)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s", test_path("talk.stele"));
    ck_assert_int_eq(RUN(test_path("output"), test_program("../examples/session_memory"), path), 0);
    const char *first = read_text(test_path("output"));
    ck_assert_str_eq(first, "ada of acme, 4 turns:\n"
                            "  user: My name is Ada.\n"
                            "  assistant: You said: My name is Ada.\n"
                            "  user: What is my name?\n"
                            "  assistant: You said: What is my name?\n"
                            "bob of acme, 2 turns:\n"
                            "  user: My name is Bob.\n"
                            "  assistant: You said: My name is Bob.\n"
                            "refused: add: an identity without user; recorded in 'session_audit'\n"
                            "audit 1: {\"operation\":\"add\",\"missing\":[\"user\"],"
                            "\"tenant\":\"acme\",\"session\":\"monday\"}\n");

    ck_assert_int_eq(RUN(test_path("output"), test_program("../examples/session_memory"), path), 0);

    const char *second = read_text(test_path("output"));
    ck_assert_ptr_nonnull(strstr(second, "ada of acme, 6 turns:\n  user: What is my name?\n"));
    ck_assert_ptr_nonnull(strstr(second, "bob of acme, 4 turns:\n"));
    ck_assert_ptr_nonnull(strstr(second, "audit 2: "));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resume_example");
    TCase *tests = tcase_create("programs");
    tcase_set_timeout(tests, effort_is_long() ? 600 : 60);
    tcase_add_checked_fixture(tests, NULL, remove_test_folder);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, killed_workflow_goes_on_and_each_step_has_its_effect_once);
    tcase_add_test(tests, finished_workflow_does_nothing_twice);
    tcase_add_test(tests, effect_beside_its_point_is_noticed);
    tcase_add_test(tests, session_memory_remembers_from_one_run_to_the_next);
    return run_suite(suite);
}
