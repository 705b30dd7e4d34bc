/* Verification in steps: only what was asked for, as slowly as was asked for, and cancelled. */
#include "log_text.h"

#include <stele/verify.h>

#include "store/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { EVENTS = 100 };

/* Six events of make_rich_file(), and more in a stream of their own. */
static void make_longer_file(void)
{
    make_rich_file();
    open_in_file();
    fill_stream("more-1", EVENTS);
}

static stele_verify *open_verify(const stele_verify_options *options)
{
    stele_verify *verify = NULL;
    assert_status(stele_verify_open(store, options, &verify), STELE_OK);
    ck_assert_ptr_nonnull(verify);
    return verify;
}

/* Run all that is left: the names of the checks, with blanks between. */
static const char *drain_checks(stele_verify *verify)
{
    static char names[512];
    const stele_check *check = NULL;
    stele_status status;
    names[0] = '\0';
    while ((status = stele_verify_next(verify, &check)) == STELE_OK) {
        ck_assert_msg(check->failures == 0, "%s: %s", check->name, check->offender);
        ck_assert(!check->repaired);
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
                 names[0] == '\0' ? "" : " ", check->name);
    }
    assert_status(status, STELE_DONE);
    stele_verify_close(verify);
    return names;
}

/* --- Names --- */

START_TEST(only_the_named_checks_run_in_their_own_order)
{
    open_in_memory();
    fill_stream("a-1", 3);
    const char *names[] = { "checksums", "meta", "checkpoints", "meta" };
    stele_verify_options options = STELE_VERIFY_INIT;
    options.names = names;
    options.name_count = 3;
    ck_assert_str_eq(drain_checks(open_verify(&options)), "meta checksums checkpoints");
    options.name_count = 4;
    ck_assert_str_eq(drain_checks(open_verify(&options)), "meta checksums checkpoints");
    options.name_count = 1;
    ck_assert_str_eq(drain_checks(open_verify(&options)), "checksums");
    options.name_count = 0;
    ck_assert_str_eq(strstr(drain_checks(open_verify(&options)), "positions versions"),
                     strstr(drain_checks(open_verify(NULL)), "positions versions"));
}
END_TEST

START_TEST(unknown_check_is_misuse_that_lists_the_known_ones)
{
    open_in_memory();
    const char *names[] = { "meta", "position", NULL };
    stele_verify_options options = STELE_VERIFY_INIT;
    stele_verify *verify = (stele_verify *)&options;
    options.names = names;
    options.name_count = 2;
    assert_status(stele_verify_open(store, &options, &verify), STELE_MISUSE);
    ck_assert_ptr_null(verify);
    assert_reason_has("'position'");
    assert_reason_has("sqlite");
    assert_reason_has("checkpoints");

    options.names = names + 2;
    options.name_count = 1;
    assert_status(stele_verify_open(store, &options, &verify), STELE_MISUSE);
    options.names = NULL;
    assert_status(stele_verify_open(store, &options, &verify), STELE_MISUSE);
}
END_TEST

START_TEST(wrong_options_are_misuse)
{
    open_in_memory();
    stele_verify_options options = STELE_VERIFY_INIT;
    stele_verify_options made;
    stele_work work = STELE_WORK_INIT;
    stele_verify *verify = NULL;
    stele_verify_options_init(&made);
    ck_assert_uint_eq(made.struct_size, sizeof(made));
    ck_assert(made.work == NULL && made.names == NULL && made.name_count == 0 && !made.repair);
    options.struct_size = 0;
    assert_status(stele_verify_open(store, &options, &verify), STELE_MISUSE);
    options.struct_size = sizeof(options);
    options.work = &work;
    work.step_count_max = 0;
    assert_status(stele_verify_open(store, &options, &verify), STELE_MISUSE);
    work.step_count_max = 1;
    work.step_size_max = 0;
    assert_status(stele_verify_open(store, &options, &verify), STELE_MISUSE);
    work.step_size_max = 1;
    work.struct_size = 0;
    assert_status(stele_verify_open(store, &options, &verify), STELE_MISUSE);
    ck_assert_ptr_null(verify);
}
END_TEST

/* --- Steps --- */

/* What the progress of one verification was told. */
typedef struct watched {
    sqlite3 *raw; /* NULL, or a connection that empties the WAL at each step */
    char doing[32];
    uint64_t done;
    uint64_t bytes;
    uint64_t largest; /* rows in a step */
    uint64_t largest_bytes;
    int steps;
    int steps_of_events; /* steps of "checksums" */
    int cancel_at;       /* the step to say no at; 0: none */
} watched;

static int watch_progress(void *context, const stele_progress *progress)
{
    watched *seen = context;
    if (strcmp(seen->doing, progress->doing) != 0) {
        snprintf(seen->doing, sizeof(seen->doing), "%s", progress->doing);
        seen->done = 0;
    }
    bool is_paged = strcmp(progress->doing, "sqlite") != 0;
    uint64_t rows = progress->done - seen->done;
    if (is_paged && rows > seen->largest)
        seen->largest = rows;
    ck_assert_uint_ge(progress->done, seen->done);
    ck_assert_uint_ge(progress->bytes, seen->bytes);
    if (is_paged && progress->bytes - seen->bytes > seen->largest_bytes)
        seen->largest_bytes = progress->bytes - seen->bytes;
    ck_assert(progress->total == 0 || progress->done <= progress->total);
    seen->done = progress->done;
    seen->bytes = progress->bytes;
    seen->steps++;
    seen->steps_of_events += strcmp(progress->doing, "checksums") == 0;
    if (seen->raw != NULL && is_paged) {
        run_raw(seen->raw, "INSERT INTO mine VALUES(1)");
        /* Busy is 0 only when nobody reads. */
        ck_assert_int_eq(raw_number(seen->raw, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
    }
    return seen->steps == seen->cancel_at ? 7 : 0;
}

START_TEST(no_step_has_more_rows_than_asked_for)
{
    make_longer_file();
    watched seen = { .steps = 0 };
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 7;
    work.progress = watch_progress;
    work.context = &seen;
    stele_verify_options options = STELE_VERIFY_INIT;
    options.work = &work;

    drain_checks(open_verify(&options));

    ck_assert_uint_eq(seen.largest, 7);
    ck_assert_int_eq(seen.steps_of_events, (EVENTS + 6) / 7 + 1);
    ck_assert_uint_gt(seen.bytes, 0);
}
END_TEST

START_TEST(no_step_has_more_bytes_than_asked_for_but_one_row)
{
    open_in_memory();
    static char data[5000];
    memset(data, '7', sizeof(data));
    stele_event event = { .type = "enlarged", .data = data, .data_size = sizeof(data) };
    for (int i = 0; i < 30; i++)
        assert_status(append_event("a-1", &event), STELE_OK);
    watched seen = { .steps = 0 };
    stele_work work = STELE_WORK_INIT;
    work.progress = watch_progress;
    work.context = &seen;
    stele_verify_options options = STELE_VERIFY_INIT;
    options.work = &work;

    work.step_size_max = 12000;
    drain_checks(open_verify(&options));
    ck_assert_int_eq(seen.steps_of_events, 30 / 3 + 1);
    ck_assert_uint_lt(seen.largest_bytes, 12000 + 2 * sizeof(data));

    seen = (watched){ .steps = 0 };
    work.step_size_max = 1;
    drain_checks(open_verify(&options));
    ck_assert_uint_eq(seen.largest, 1);
}
END_TEST

/* Between two steps nothing is read: the WAL could be emptied each time, and others can write. */
START_TEST(steps_never_hold_the_wal)
{
    make_longer_file();
    watched seen = { .raw = open_raw(store_path()) };
    run_raw(seen.raw, "CREATE TABLE mine(n)");
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 10;
    work.progress = watch_progress;
    work.context = &seen;
    stele_verify_options options = STELE_VERIFY_INIT;
    options.work = &work;

    drain_checks(open_verify(&options));

    ck_assert_int_gt(seen.steps, 40);
    ck_assert_int_eq(raw_number(seen.raw, "SELECT count(*) > 40 FROM mine"), 1);
    ck_assert_int_eq(sqlite3_close(seen.raw), SQLITE_OK);
}
END_TEST

/* --- Ending it --- */

START_TEST(progress_can_cancel_each_step_and_the_check_begins_again)
{
    make_longer_file();
    watched seen = { .steps = 0 };
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 20;
    work.progress = watch_progress;
    work.context = &seen;
    stele_verify_options options = STELE_VERIFY_INIT;
    options.work = &work;
    drain_checks(open_verify(&options));
    int steps = seen.steps;

    for (int at = 1; at <= steps; at++) {
        seen = (watched){ .cancel_at = at };
        stele_verify *verify = open_verify(&options);
        const stele_check *check = NULL;
        stele_status status;
        while ((status = stele_verify_next(verify, &check)) == STELE_OK)
            ck_assert_uint_eq(check->failures, 0);
        assert_status(status, STELE_CANCELLED);
        assert_reason_has("(7)");
        assert_reason_has(seen.doing);
        ck_assert_ptr_null(check);
        char cut[32];
        snprintf(cut, sizeof(cut), "%s", seen.doing);
        seen = (watched){ .steps = 0 };
        const char *rest = drain_checks(verify);
        ck_assert_msg(strncmp(rest, cut, strlen(cut)) == 0, "'%s' after '%s'", rest, cut);
    }
}
END_TEST

static atomic_bool begun;

static int note_begun(void *context, const stele_progress *progress)
{
    (void)context;
    (void)progress;
    atomic_store(&begun, true);
    return 0;
}

static void *close_when_begun(void *context)
{
    while (!atomic_load(&begun))
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    stele_store_close(context);
    return NULL;
}

/* At a byte a second it would never end. */
START_TEST(closing_ends_a_verification_that_sleeps)
{
    make_longer_file();
    const char *names[] = { "sqlite", "checksums" };
    stele_work work = STELE_WORK_INIT;
    work.bytes_per_second = 1;
    work.step_count_max = 5;
    work.progress = note_begun;
    stele_verify_options options = STELE_VERIFY_INIT;
    options.work = &work;
    options.names = &names[_i];
    options.name_count = 1;
    atomic_store(&begun, false);
    stele_verify *verify = open_verify(&options);
    const stele_check *check = NULL;
    pthread_t closer;
    ck_assert_int_eq(pthread_create(&closer, NULL, close_when_begun, store), 0);
    store = NULL;

    stele_status status = stele_verify_next(verify, &check);

    /* The file is small: SQLite may be through with it before anybody asks. */
    while (_i == 0 && status >= 0)
        status = stele_verify_next(verify, &check);
    assert_status(status, STELE_CLOSED);
    ck_assert_int_eq(pthread_join(closer, NULL), 0);
    stele_verify_close(verify);
}
END_TEST

/* SQLite's own check is one read, but asks meanwhile. */
START_TEST(sqlite_check_can_be_cancelled_in_its_middle)
{
    enum { COUNT = 60000 };
    open_in_file();
    stele_event *events = calloc(COUNT, sizeof(*events));
    ck_assert_ptr_nonnull(events);
    for (size_t i = 0; i < COUNT; i++)
        events[i] = make_event("counted", "1");
    stele_append append = make_append("bulk-1", STELE_ANY, events, COUNT);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    free(events);
    const char *names[] = { "sqlite" };
    watched seen = { .cancel_at = 1 };
    stele_work work = STELE_WORK_INIT;
    work.progress = watch_progress;
    work.context = &seen;
    stele_verify_options options = STELE_VERIFY_INIT;
    options.work = &work;
    options.names = names;
    options.name_count = 1;
    stele_verify *verify = open_verify(&options);
    const stele_check *check = NULL;

    assert_status(stele_verify_next(verify, &check), STELE_CANCELLED);

    assert_reason_has("while sqlite");
    seen = (watched){ .steps = 0 };
    ck_assert_str_eq(drain_checks(verify), "sqlite");
    ck_assert_int_gt(seen.steps, 2);
    ck_assert_uint_gt(seen.bytes, 60000);
}
END_TEST

/* --- Rows out of order --- */

/* The keys that a damaged table gives, a step each. */
typedef struct disorder {
    const char *told; /* in the reason; NULL: none is out of order */
    int64_t keys[5][2];
    const char *texts[5];
} disorder;

static const disorder disorders[] = {
    { NULL, { { 1, 0 }, { 3, 0 }, { 4, 0 }, { 4, 1 }, { 9, 0 } }, { NULL } },
    { "after 1", { { 1, 0 }, { 1, 0 } }, { NULL } },
    { "after 5", { { 3, 0 }, { 5, 2 }, { 4, 9 } }, { NULL } },
    { "after 3", { { 3, 2 }, { 3, 2 } }, { NULL } },
    { "after 3", { { 2, 2 }, { 3, 2 }, { 3, 1 } }, { NULL } },
    { NULL, { { 0 } }, { "", "a", "a-1", "b", "\xC3" } },
    { "after 'a'", { { 0 } }, { "a", "a" } },
    { "after 'c'", { { 0 } }, { "a", "c", "b" } },
};

static const disorder *walked;
static size_t walked_count;

static stele_status visit_disorder(stele__connection *connection, stele__statement *statement,
                                   stele__walk *walk)
{
    (void)connection;
    (void)statement;
    size_t at = walked_count++;
    if (at >= COUNT_OF(walked->keys)) /* without an end */
        return STELE_CANCELLED;
    if (walk->by_text)
        return stele__walk_note_text(walk, walked->texts[at]);
    walk->first = walked->keys[at][0];
    walk->second = walked->keys[at][1];
    return STELE_OK;
}

/* A damaged order of rows would lead a walk in a circle. */
START_TEST(walk_that_does_not_get_on_ends_as_corrupt)
{
    stele__work work;
    stele_work options = STELE_WORK_INIT;
    options.step_count_max = 1;
    open_in_memory();
    fill_stream("a-1", 1);
    assert_status(stele__work_begin(&work, store, &options), STELE_OK);
    stele__findings findings = { .work = &work };
    stele__walk walk = { .findings = &findings, .by_text = disorders[_i].texts[0] != NULL };
    walked = &disorders[_i];
    walked_count = 0;

    stele_status status = stele__walk_rows(store, "SELECT ?1, ?2 LIMIT ?3", visit_disorder, &walk);

    if (walked->told == NULL) { /* the rows of this statement never end: the visitor does */
        ck_assert_int_eq(status, STELE_CANCELLED);
        ck_assert_uint_eq(walked_count, COUNT_OF(walked->keys) + 1);
        return;
    }
    assert_status(status, STELE_CORRUPT);
    assert_reason_has(walked->told);
    assert_reason_has("out of order");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify steps");
    TCase *tests = add_case(suite, "steps", NULL);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, only_the_named_checks_run_in_their_own_order);
    tcase_add_test(tests, unknown_check_is_misuse_that_lists_the_known_ones);
    tcase_add_test(tests, wrong_options_are_misuse);
    tcase_add_test(tests, no_step_has_more_rows_than_asked_for);
    tcase_add_test(tests, no_step_has_more_bytes_than_asked_for_but_one_row);
    tcase_add_test(tests, steps_never_hold_the_wal);
    tcase_add_test(tests, progress_can_cancel_each_step_and_the_check_begins_again);
    tcase_add_loop_test(tests, closing_ends_a_verification_that_sleeps, 0, 2);
    tcase_add_test(tests, sqlite_check_can_be_cancelled_in_its_middle);
    tcase_add_loop_test(tests, walk_that_does_not_get_on_ends_as_corrupt, 0, COUNT_OF(disorders));
    return run_suite(suite);
}
