/*
 * The worker of examples/ against kill -9: while another process appends a log, it is killed at
 * random moments and started again, and in the end its model must be what tests/loan_figures.sh
 * counts from the lines. Controls set the checkpoint one event back or on between two lives, and
 * must be seen.
 *
 * STELE_EFFORT=long kills 200 times, and that also of the real log with STELE_DATA; STELE_SEED=N
 * repeats the choices, though not the moments.
 */
#include "effort.h"
#include "loan_desk.h"

#include <stele.h>

#include <signal.h>

#define OWNER "the-worker"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { KILLS_MIN = 40, KILLS_LONG = 200, CONTROL_KILLS = 6, SLICE_LINES_MAX = 40 };

static const char *worker_program(void)
{
    return test_program("../examples/projection_worker");
}

static void pause_for(uint64_t microseconds)
{
    nanosleep(&(struct timespec){ .tv_sec = (time_t)(microseconds / 1000000),
                                  .tv_nsec = (long)(microseconds % 1000000) * 1000 },
              NULL);
}

/* --- Whoever appends: a process of its own, let go on part by part --- */

typedef struct appender {
    pid_t process;
    int control; /* a byte for each part */
} appender;

/* Lines of the log for one import. */
typedef struct slice {
    FILE *log;
    uint64_t lines; /* left */
} slice;

static stele_status read_slice(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    slice *lines = context;
    *size_out = 0;
    if (lines->lines == 0 || fgets(buffer, (int)capacity, lines->log) == NULL)
        return ferror(lines->log) ? STELE_IO : STELE_OK;
    lines->lines--;
    *size_out = strlen(buffer);
    return STELE_OK;
}

/* Appends a few lines a commit. @return How many it has appended; minus 1: failed. */
static int64_t append_lines(stele_store *store, FILE *log, uint64_t count)
{
    int64_t appended = 0;
    while (count > 0) {
        slice lines = { log, 1 + next_chance() % SLICE_LINES_MAX };
        lines.lines = lines.lines < count ? lines.lines : count;
        count -= lines.lines;
        stele_import import = STELE_IMPORT_INIT;
        stele_imported imported = { 0 };
        import.read = read_slice;
        import.context = &lines;
        if (stele_store_import(store, &import, &imported) != STELE_OK || imported.rejected > 0) {
            fprintf(stderr, "append: %s\n", stele_error_text());
            return -1;
        }
        appended += (int64_t)imported.appended;
        if (lines.lines > 0) /* at its end */
            break;
    }
    return appended;
}

static int run_appender(const char *path, const char *log_path, int control, uint64_t part)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED; /* as far as a killed process goes */
    options.busy_timeout_ms = 60000;
    stele_store *store = NULL;
    FILE *log = fopen(log_path, "rb");
    char byte;
    if (log == NULL || stele_store_open(path, &options, &store) != STELE_OK)
        return 1;
    while (read(control, &byte, 1) == 1)
        if (append_lines(store, log, part) < 0)
            return 1;
    /* Nobody asks any more: the rest. */
    int64_t rest = append_lines(store, log, UINT64_MAX);
    stele_store_close(store);
    fclose(log);
    return rest < 0;
}

static appender start_appender(const char *path, const char *log, uint64_t part)
{
    int ends[2];
    appender started;
    ck_assert_int_eq(pipe(ends), 0);
    fflush(NULL);
    started.process = fork();
    ck_assert_int_ge(started.process, 0);
    if (started.process == 0) {
        close(ends[1]);
        _exit(run_appender(path, log, ends[0], part));
    }
    close(ends[0]);
    started.control = ends[1];
    /* What is started later is not to keep it open. */
    ck_assert_int_ne(fcntl(ends[1], F_SETFD, FD_CLOEXEC), -1);
    return started;
}

/* --- Lives of the worker --- */

typedef struct tally {
    int kills;
    int at_work; /* it had not caught up when it was killed */
    int moved;   /* and had handled something in that life */
    int stops;   /* orderly ones, between kills */
    int stuck;   /* lives at work one after the other that have handled nothing */
} tally;

static stele_store *open_store(const char *path)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(path, NULL, &store);
    ck_assert_msg(status == STELE_OK, "open: %s", stele_error_text());
    return store;
}

static int64_t look_at_place(const char *path, int64_t *head_out)
{
    stele_checkpoint checkpoint = { 0 };
    stele_store *store = open_store(path);
    ck_assert_int_eq(stele_checkpoint_load(store, "loan_model", &checkpoint), STELE_OK);
    ck_assert_int_eq(stele_store_head(store, head_out), STELE_OK);
    stele_store_close(store);
    return checkpoint.position;
}

static pid_t start_worker(const char *path)
{
    return start((const char *const[]){ worker_program(), "--owner", OWNER, path, NULL },
                 test_path("worker"));
}

static void kill_worker(const char *path, tally *counts)
{
    int64_t head = 0;
    int64_t before = look_at_place(path, &head);
    pid_t worker = start_worker(path);
    /* An event that its process doesn't survive five times would, rightly, stop the subscription:
     * on a slow disk that must not be chance. */
    for (int i = 0; counts->stuck >= 2 && i < 6000; i++) {
        if (look_at_place(path, &head) > before)
            break;
        pause_for(5000);
    }
    /* One in four until after it has caught up; the others sooner. */
    pause_for(next_chance() % (one_in(4) ? 150000 : 30000));
    kill(worker, SIGKILL);
    int ended = finish(worker);
    ck_assert_msg(ended == -SIGKILL, "the worker ended with %d by itself: %s", ended,
                  read_text(test_path("errors")));
    int64_t after = look_at_place(path, &head);
    ck_assert_int_ge(after, before);
    counts->kills++;
    counts->at_work += after < head;
    counts->moved += after > before;
    counts->stuck = after == before && after < head ? counts->stuck + 1 : 0;
}

/* After an orderly end the next life begins with whole batches; after a kill, one by one. */
static void stop_worker(const char *path, tally *counts)
{
    pid_t worker = start_worker(path);
    pause_for(next_chance() % 30000);
    kill(worker, SIGTERM);
    int ended = finish(worker);
    ck_assert_msg(ended == 0 || ended == -SIGTERM /* before it could know */,
                  "the worker ends with %d: %s", ended, read_text(test_path("errors")));
    counts->stops++;
}

static void run_to_head(const char *path)
{
    int status = RUN(test_path("worker"), worker_program(), "--owner", OWNER, "--until-head", path);
    ck_assert_msg(status == 0, "the worker ends with %d: %s", status,
                  read_text(test_path("errors")));
}

static bool figures_agree(const char *path, const char *log)
{
    ck_assert_int_eq(RUN(test_path("figures"), test_program("loan_figures"), log), 0);
    ck_assert_int_eq(RUN(test_path("report"), worker_program(), "--report", path), 0);
    int status = RUN(test_path("output"), "cmp", test_path("figures"), test_path("report"));
    ck_assert_int_le(status, 1);
    return status == 0;
}

static int64_t events_in(const char *file)
{
    const char *at = strstr(read_text(test_path(file)), "\nevents\t");
    ck_assert_ptr_nonnull(at);
    return strtoll(at + strlen("\nevents\t"), NULL, 10);
}

static void set_place(const char *path, int64_t shift)
{
    int64_t head = 0;
    int64_t place = look_at_place(path, &head);
    ck_assert(place + shift >= 0 && place + shift <= head);
    stele_store *store = open_store(path);
    ck_assert_int_eq(stele_checkpoint_save(store, "loan_model", place + shift), STELE_OK);
    stele_store_close(store);
}

static uint64_t count_lines(const char *path)
{
    uint64_t lines = 0;
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    for (int letter; (letter = getc(file)) != EOF;)
        lines += letter == '\n';
    fclose(file);
    return lines;
}

/* Each life begins with a part of the log that is appended meanwhile. Half-way the checkpoint is
 * shifted by so much. */
static tally live_and_die(const char *path, const char *log, int kills, int64_t shift)
{
    tally counts = { 0 };
    stele_store_close(open_store(path));
    uint64_t part = count_lines(log) / (uint64_t)kills;
    appender writer = start_appender(path, log, part);
    while (counts.kills < kills) {
        ck_assert_int_eq(write(writer.control, "", 1), 1);
        kill_worker(path, &counts);
        if (one_in(2))
            stop_worker(path, &counts);
        if (counts.kills != kills / 2 || shift == 0)
            continue;
        run_to_head(path);
        set_place(path, shift < 0 ? shift : 0);
        if (shift > 0) { /* over what is to come */
            ck_assert_int_eq(write(writer.control, "", 1), 1);
            int64_t head = 0;
            while (look_at_place(path, &head) + shift > head)
                pause_for(1000);
            set_place(path, shift);
        }
    }
    close(writer.control);
    ck_assert_int_eq(finish(writer.process), 0);
    run_to_head(path);
    return counts;
}

static void check_lives(const char *log, int kills)
{
    const char *path = test_path("loans.db");
    uint64_t seed = choose_seed();
    int64_t head = 0;

    tally counts = live_and_die(path, log, kills, 0);

    printf("note: projection worker: %d kills, %d before it had caught up, %d after it had handled"
           " something, %d orderly stops, %" PRIu64 " events, seed %" PRIu64 "\n",
           counts.kills, counts.at_work, counts.moved, counts.stops, count_lines(log), seed);
    ck_assert_msg(figures_agree(path, log), "seed %" PRIu64 ": %s", seed,
                  read_text(test_path("output")));
    ck_assert_int_eq(look_at_place(path, &head), head);
    ck_assert_uint_eq((uint64_t)head, count_lines(log));
    ck_assert_int_gt(counts.at_work, 0);
    ck_assert_int_gt(counts.moved, 0);
}

static const char *generate(const char *applications, const char *seed)
{
    const char *log = test_path("log.jsonl");
    ck_assert_int_eq(
        RUN(log, test_program("loan_log"), "--applications", applications, "--seed", seed), 0);
    return log;
}

START_TEST(worker_that_is_killed_again_and_again_counts_each_event_once)
{
    const char *log = generate(effort_is_long() ? "4000" : "800", "21");

    check_lives(log, effort_is_long() ? KILLS_LONG : KILLS_MIN);
}
END_TEST

START_TEST(worker_on_the_real_log_counts_each_event_once)
{
    const char *folder = getenv("STELE_DATA");
    if (folder == NULL || folder[0] == '\0')
        skip_test("STELE_DATA is not set");
    char packed[4096];
    snprintf(packed, sizeof(packed), "%s/bpic2012.jsonl.gz", folder);
    const char *log = test_path("log.jsonl");
    ck_assert_int_eq(RUN(log, "gzip", "-dc", packed), 0);

    check_lives(log, effort_is_long() ? KILLS_LONG : KILLS_MIN);
}
END_TEST

/* --- What has to be seen: one event handled twice, and one never --- */

static const int shifts[] = { -1, 1 };

START_TEST(control_event_that_is_handled_twice_or_never_is_seen)
{
    const char *log = generate("100", "22");
    seed_chance(22);

    live_and_die(test_path("loans.db"), log, CONTROL_KILLS, shifts[_i]);

    ck_assert_msg(!figures_agree(test_path("loans.db"), log), "a shift by %d is not seen",
                  shifts[_i]);
    ck_assert_int_eq(events_in("report"), events_in("figures") - shifts[_i]);
}
END_TEST

START_TEST(control_without_a_shift_agrees)
{
    const char *log = generate("100", "22");
    seed_chance(22);

    live_and_die(test_path("loans.db"), log, CONTROL_KILLS, 0);

    ck_assert(figures_agree(test_path("loans.db"), log));
}
END_TEST

/* --- Orderly ends --- */

static void wait_for_head(const char *path)
{
    int64_t head = 1;
    for (int i = 0; i < 6000 && look_at_place(path, &head) < head; i++)
        pause_for(10000);
    ck_assert_int_eq(look_at_place(path, &head), head);
}

/* So that another one need not wait for the lease. */
static bool is_given_up(const char *path)
{
    stele_checkpoints *places = NULL;
    const stele_checkpoint_info *info = NULL;
    stele_store *store = open_store(path);
    ck_assert_int_eq(stele_store_checkpoints(store, &places), STELE_OK);
    ck_assert_int_eq(stele_checkpoints_next(places, &info), STELE_OK);
    ck_assert_str_eq(info->name, "loan_model");
    bool given_up = info->owner[0] == '\0' && info->left_ms == 0;
    stele_checkpoints_close(places);
    stele_store_close(store);
    return given_up;
}

static const int stop_signals[] = { SIGTERM, SIGINT };

START_TEST(worker_that_is_told_to_stop_gives_way_at_once)
{
    const char *log = generate("50", "23");
    const char *path = test_path("loans.db");
    stele_store_close(open_store(path));
    ck_assert_int_eq(RUN(test_path("output"), test_tool(), "-s", path, "import", log), 0);
    pid_t worker =
        start((const char *const[]){ worker_program(), path, NULL }, test_path("worker"));
    wait_for_head(path);
    ck_assert(!is_given_up(path));
    /* It says so after its commit, unless it is to stop by then. */
    const char *said = "";
    for (int i = 0; i < 6000 && strstr(said, "caught up at position") == NULL; i++) {
        pause_for(10000);
        said = read_text(test_path("worker"));
    }
    ck_assert_msg(strstr(said, "caught up at position") != NULL, "%s", said);

    kill(worker, stop_signals[_i]);

    ck_assert_int_eq(finish(worker), 0);
    ck_assert(figures_agree(path, log));
    ck_assert_msg(is_given_up(path), "the lease goes on");
    ck_assert(figures_agree(path, log));
}
END_TEST

static void import_lines(const char *path, const char *log, const char *count)
{
    const char *some = test_path("some.jsonl");
    ck_assert_int_eq(RUN(some, "head", "-n", count, log), 0);
    ck_assert_int_eq(RUN(test_path("output"), test_tool(), "-s", path, "import", some), 0);
}

START_TEST(worker_that_stands_by_goes_on_for_one_that_stops)
{
    const char *log = generate("50", "24");
    const char *path = test_path("loans.db");
    const char *const arguments[] = { worker_program(), path, NULL };
    stele_store_close(open_store(path));
    import_lines(path, log, "100");
    pid_t first = start(arguments, test_path("first"));
    wait_for_head(path);
    pid_t second = start(arguments, test_path("second"));
    import_lines(path, log, "200");
    wait_for_head(path);

    kill(first, SIGTERM);
    ck_assert_int_eq(finish(first), 0);
    import_lines(path, log, "100000");
    wait_for_head(path);

    kill(second, SIGTERM);
    ck_assert_int_eq(finish(second), 0);
    ck_assert(figures_agree(path, log));
}
END_TEST

START_TEST(worker_explains_its_usage)
{
    ck_assert_int_eq(RUN(test_path("output"), worker_program()), 2);
    ck_assert_ptr_nonnull(strstr(read_text(test_path("errors")), "usage: projection_worker"));
    ck_assert_int_eq(RUN(test_path("output"), worker_program(), "--nonsense", "x"), 2);
    ck_assert_int_eq(RUN(test_path("output"), worker_program(), "--report", "--until-head", "x"),
                     2);
    ck_assert_int_eq(RUN(test_path("output"), worker_program(), "--report", test_path("none")), 1);
    ck_assert_ptr_nonnull(strstr(read_text(test_path("errors")), "error: "));
}
END_TEST

static Suite *projection_worker_tests_1(void)
{
    Suite *suite = suite_create("projection_worker");
    TCase *tests = tcase_create("projection_worker");
    tcase_set_timeout(tests, effort_is_long() ? 1200 : 300);
    tcase_add_checked_fixture(tests, NULL, remove_test_folder);
    tcase_add_test(tests, worker_that_is_killed_again_and_again_counts_each_event_once);
    tcase_add_test(tests, control_without_a_shift_agrees);
    tcase_add_test(tests, worker_explains_its_usage);
    suite_add_tcase(suite, tests);
    return suite;
}

static Suite *projection_worker_tests_2(void)
{
    Suite *suite = suite_create("projection_worker");
    TCase *tests = tcase_create("projection_worker");
    tcase_set_timeout(tests, effort_is_long() ? 1200 : 300);
    tcase_add_checked_fixture(tests, NULL, remove_test_folder);
    tcase_add_test(tests, worker_on_the_real_log_counts_each_event_once);
    tcase_add_loop_test(tests, worker_that_is_told_to_stop_gives_way_at_once, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}

static Suite *projection_worker_tests_3(void)
{
    Suite *suite = suite_create("projection_worker");
    TCase *tests = tcase_create("projection_worker");
    tcase_set_timeout(tests, effort_is_long() ? 1200 : 300);
    tcase_add_checked_fixture(tests, NULL, remove_test_folder);
    tcase_add_loop_test(tests, control_event_that_is_handled_twice_or_never_is_seen, 0, 2);
    tcase_add_test(tests, worker_that_stands_by_goes_on_for_one_that_stops);
    suite_add_tcase(suite, tests);
    return suite;
}

/* Mostly they wait. */
int main(void)
{
    static Suite *(*const suites[])(void) = { projection_worker_tests_1, projection_worker_tests_2,
                                              projection_worker_tests_3 };
    return run_suites_together(suites, COUNT_OF(suites));
}
