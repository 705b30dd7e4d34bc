/*
 * Copies that are cut short and go on: nothing lost, nothing doubled, and readers that change over
 * to the target miss nothing and see nothing twice, whatever the transform does.
 */
#include "copying.h"
#include "effort.h"

#include "base/checksum.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

static void remove_target(void)
{
    const char *const files[] = { "target.db", "target.db-wal", "target.db-shm", "target.db-anchor",
                                  "target.db-lock" };
    for (size_t i = 0; i < COUNT_OF(files); i++)
        unlink(test_path(files[i]));
}

/* --- Cut and gone on with --- */

/* Ends the work after so many steps. */
static int stop_after(void *context, const stele_progress *progress)
{
    int *left = context;
    ck_assert_str_eq(progress->doing, "copying");
    ck_assert_uint_le(progress->done, progress->total);
    return --*left == 0 ? 7 : 0;
}

static stele_work work_by(uint32_t step, int *steps)
{
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = step;
    work.progress = steps == NULL ? NULL : stop_after;
    work.context = steps;
    return work;
}

START_TEST(cancelled_copy_goes_on_where_it_stood)
{
    fill_stream("a-1", 10);
    assert_status(stele_checkpoint_save(store, "reader", 3), STELE_OK);
    int steps = 2;
    stele_work work = work_by(2, &steps);
    stele_copy copy = copy_by(NULL);
    stele_copied copied;
    copy.work = &work;

    assert_status(stele_store_copy(store, target, &copy, &copied), STELE_CANCELLED);
    ck_assert_uint_eq(copied.events_written, 4);
    ck_assert_int_eq(copied.position, 4);
    ck_assert_int_eq(copied.resumed_after, 0);
    ck_assert_int_eq(target_checkpoint("reader"), -1);
    ck_assert(has_note());
    stele_store_close(target);
    target = open_path(target_path(), NULL);

    steps = -1;
    copied = run_copy(&copy);
    ck_assert_int_eq(copied.resumed_after, 4);
    ck_assert_uint_eq(copied.events_written, 6);
    ck_assert_int_eq(copied.position, 10);
    ck_assert_uint_eq(copied.checkpoints, 1);
    ck_assert_int_eq(target_checkpoint("reader"), 3);
    ck_assert_int_eq(told.count, 10); /* the first ones again */
    char *before = export_of(store);
    char *after = export_of(target);
    ck_assert_str_eq(after, before);
    ck_assert(!has_note());
    free(before);
    free(after);
}
END_TEST

START_TEST(finished_copy_is_a_store_like_any_other)
{
    fill_stream("a-1", 3);
    run_copy(NULL);

    assert_status(stele_store_copy(store, target, NULL, NULL), STELE_MISUSE);
    assert_reason_has("holds no unfinished copy");
    assert_status(append_to(target, "a-1", 3, "made", NULL), STELE_OK);
}
END_TEST

static void leave_unfinished(stele_copy *copy)
{
    static int steps;
    static stele_work work;
    steps = 1;
    work = work_by(1, &steps);
    copy->work = &work;
    assert_status(stele_store_copy(store, target, copy, NULL), STELE_CANCELLED);
    steps = -1;
}

START_TEST(unfinished_copy_of_something_else_is_misuse)
{
    fill_stream("a-1", 4);
    stele_copy copy = STELE_COPY_INIT;
    copy.after_position = 1;
    leave_unfinished(&copy);

    copy.after_position = 0;
    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_MISUSE);
    assert_reason_has("an unfinished copy that began after position 1, not 0");
    stele_store *other = open_path(":memory:", NULL);
    assert_status(stele_store_copy(other, target, &copy, NULL), STELE_MISUSE);
    assert_reason_has("an unfinished copy of another store");
    stele_store_close(other);
}
END_TEST

/* A note as a file from outside may have it: its checksum fits. */
static void forge_note(const char *key, const char *value)
{
    char sql[600];
    stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_text(&digest, key);
    stele__digest_text(&digest, value);
    snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO meta VALUES('%s', '%s', %" PRId64 ")", key,
             value, (int64_t)stele__digest_end(&digest));
    run_sql(target_path(), sql);
}

static const struct {
    const char *key;
    const char *value;
} forged_notes[] = {
    { "copy:0000000000000000001", "0 0 1x1 " },                  /* never ended */
    { "copy:0000000000000000001", "0 0 1x4611686018427387904" }, /* told one by one */
    { "copy:0000000000000000001", "0 0 9223372036854775807x1" },
    { "copy:0000000000000000001", "7 0 1x1" },
    { "copy:0000000000000000001", "0 0 0x0" },
    { "copy:000000000000000000000000000000000000000000000000000000000000000000001", "0 0 1x1" },
};

START_TEST(forged_map_is_corrupt)
{
    fill_stream("a-1", 4);
    assert_status(stele_checkpoint_save(store, "reader", 3), STELE_OK);
    stele_copy copy = copy_by(NULL);
    leave_unfinished(&copy);
    stele_store_close(target);
    forge_note(forged_notes[_i].key, forged_notes[_i].value);
    target = open_path(target_path(), NULL);

    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_CORRUPT);
    copy.mapped = NULL;
    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_CORRUPT);
}
END_TEST

START_TEST(damaged_note_is_corrupt)
{
    static const char *const keys[] = { "copy", "copy:0000000000000000001" };
    char sql[200];
    fill_stream("a-1", 4);
    stele_copy copy = copy_by(NULL);
    leave_unfinished(&copy);
    stele_store_close(target);
    snprintf(sql, sizeof(sql), "UPDATE meta SET checksum = checksum + 1 WHERE key = '%s'",
             keys[_i]);
    run_sql(target_path(), sql);
    target = open_path(target_path(), NULL);

    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_CORRUPT);
    assert_reason_has(keys[_i]);
}
END_TEST

START_TEST(target_that_others_wrote_to_is_misuse)
{
    fill_stream("a-1", 4);
    stele_copy copy = STELE_COPY_INIT;
    leave_unfinished(&copy);
    assert_status(append_to(target, "b-1", STELE_ANY, "made", NULL), STELE_OK);

    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_MISUSE);

    assert_reason_has("somebody else wrote to it");
    ck_assert_int_eq(head_of(target), 2);
}
END_TEST

static stele_status write_behind(void *context, const stele_record *record, stele_copy_sink *sink)
{
    (void)context;
    stele_status status = append_to(target, "b-1", STELE_ANY, "made", NULL);
    return status == STELE_OK ? stele_copy_pass(sink, record) : status;
}

START_TEST(transform_that_writes_to_the_target_ends_the_copy)
{
    fill_stream("a-1", 2);
    stele_copy copy = copy_by(write_behind);
    copy.mapped = NULL;

    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_MISUSE);

    assert_reason_has("somebody else wrote to it");
}
END_TEST

static stele_status read_on(void *context, const stele_record *record, stele_copy_sink *sink)
{
    (void)context;
    int64_t head = 0;
    stele_status status = stele_store_head(target, &head);
    if (status == STELE_OK)
        status = append_to(store, "side-1", STELE_ANY, "made", NULL);
    return status == STELE_OK ? stele_copy_pass(sink, record) : status;
}

START_TEST(transform_may_read_both_and_write_the_source)
{
    fill_stream("a-1", 5);
    stele_copy copy = copy_by(read_on);

    run_copy(&copy);

    ck_assert_int_eq(head_of(target), 5); /* what came meanwhile is left out */
    ck_assert_int_eq(head_of(store), 10);
}
END_TEST

/* An epoch that begins after position 2, as a recovery leaves it. */
static void lose_events_of_the_source(void)
{
    close_store();
    run_sql(store_path(), "DELETE FROM events WHERE position > 2;"
                          "INSERT INTO meta(key, value, checksum)"
                          " VALUES('dirty:x', 'another boot', 0)");
    unlink(test_path("store.db-anchor"));
    open_in_file();
    fill_stream("a-1", 4);
}

START_TEST(source_that_lost_what_was_copied_is_another_epoch)
{
    fill_stream("a-1", 6);
    assert_status(stele_checkpoint_save(store, "reader", 5), STELE_OK);
    assert_status(stele_checkpoint_save(store, "early", 1), STELE_OK);
    stele_copy copy = STELE_COPY_INIT;
    static stele_work work;
    static int steps = 1;
    work = work_by(4, &steps);
    copy.work = &work;
    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_CANCELLED);
    lose_events_of_the_source();

    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_EPOCH);
    assert_reason_has("the source");

    /* Into a new target: the reader's place is of events that are no more. */
    stele_store_close(target);
    target = open_path(test_path("second.db"), NULL);
    stele_copied copied = run_copy(NULL);
    ck_assert_uint_eq(copied.checkpoints, 1);
    ck_assert_uint_eq(copied.checkpoints_lost, 1);
    ck_assert_int_eq(target_checkpoint("early"), 1);
    ck_assert_int_eq(target_checkpoint("reader"), -1);
}
END_TEST

/* --- Closing --- */

static atomic_bool is_inside;

static stele_status say_inside(void *context, const stele_record *record, stele_copy_sink *sink)
{
    (void)context;
    atomic_store(&is_inside, true);
    nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
    return stele_copy_pass(sink, record);
}

static void *copy_all(void *context)
{
    stele_status *status = context;
    stele_work work = work_by(1, NULL);
    stele_copy copy = STELE_COPY_INIT;
    copy.transform = say_inside;
    copy.work = &work;
    *status = stele_store_copy(store, target, &copy, NULL);
    return NULL;
}

START_TEST(closing_either_store_ends_the_copy)
{
    pthread_t thread;
    stele_status status = STELE_OK;
    stele_event events[2000];
    for (size_t i = 0; i < COUNT_OF(events); i++)
        events[i] = make_event("made", "1");
    stele_append append = make_append("a-1", STELE_ANY, events, COUNT_OF(events));
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    atomic_store(&is_inside, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, copy_all, &status), 0);
    while (!atomic_load(&is_inside))
        nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);

    stele_store_close(_i == 0 ? store : target);
    pthread_join(thread, NULL);

    ck_assert_int_eq(status, STELE_CLOSED);
    if (_i == 0)
        store = NULL;
    else
        target = NULL;
}
END_TEST

/* --- Killed --- */

/* Copy the file of the source into that of the target, a step at a time. In a process of its own.
 */
static int copy_in_child(void *context)
{
    (void)context;
    stele_store *from = NULL;
    stele_store *to = NULL;
    stele_work work = work_by(3, NULL);
    stele_copy copy = STELE_COPY_INIT;
    copy.work = &work;
    stele_status status = stele_store_open(store_path(), NULL, &from);
    if (status == STELE_OK)
        status = stele_store_open(target_path(), NULL, &to);
    if (status == STELE_OK)
        status = stele_store_copy(from, to, &copy, NULL);
    return status == STELE_OK ? 0 : 1;
}

/* Start it, and kill it after so long. */
static void copy_and_kill(int64_t after_us)
{
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(copy_in_child(NULL));
    nanosleep(
        &(struct timespec){ .tv_sec = after_us / 1000000, .tv_nsec = after_us % 1000000 * 1000 },
        NULL);
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

START_TEST(killed_copy_goes_on_without_loss_or_doubles)
{
    int runs = effort_is_long() ? 200 : 8;
    uint64_t seed = choose_seed();
    int unfinished = 0;
    fill_stream("a-1", 90);
    assert_status(stele_checkpoint_save(store, "reader", 45), STELE_OK);
    char *before = export_of(store);
    close_store();
    stele_store_close(target);
    target = NULL;
    for (int run = 0; run < runs; run++) {
        remove_target();
        for (int kills = 0; kills < 3; kills++)
            copy_and_kill((int64_t)(next_chance() % 60000));
        open_both_in_files();
        stele_copy copy = copy_by(NULL);
        if (has_note() || head_of(target) == 0) {
            unfinished += head_of(target) > 0;
            run_copy(&copy);
            ck_assert_int_eq(told.count, 90);
        }
        char *after = export_of(target);
        ck_assert_msg(strcmp(after, before) == 0, "seed %" PRIu64 ", run %d", seed, run);
        ck_assert_int_eq(target_checkpoint("reader"), 45);
        free(after);
        close_store();
        stele_store_close(target);
        target = NULL;
    }
    free(before);
    printf("killed copies: seed %" PRIu64 ", %d runs, %d half done when gone on with\n", seed, runs,
           unfinished);
}
END_TEST

/* --- Chances --- */

enum { MODEL_EVENTS = 60, MODEL_READERS = 12, OUTPUT_MOST = 3 };

/* What the transform of this run makes of each position, and where it fails next. */
static struct {
    int outputs[MODEL_EVENTS + 1];
    int64_t fails_at;
} model;

static stele_status model_transform(void *context, const stele_record *record,
                                    stele_copy_sink *sink)
{
    (void)context;
    stele_status status = STELE_OK;
    for (int i = 0; i < model.outputs[record->position] && status == STELE_OK; i++) {
        char data[64];
        char stream[32];
        snprintf(data, sizeof(data), "{\"from\":%" PRId64 ",\"i\":%d}", record->position, i);
        snprintf(stream, sizeof(stream), "m-%d", (int)record->position % 5 + i);
        stele_event event = make_event("made", data);
        status = stele_copy_emit(sink, stream, &event);
    }
    if (record->position == model.fails_at) {
        model.fails_at = 0;
        return stele_copy_fail(sink, "by chance");
    }
    return status;
}

static int stop_by_chance(void *context, const stele_progress *progress)
{
    (void)context, (void)progress;
    return one_in(4);
}

/* Copy with cuts of all kinds until it is done. @return How many there were. */
static int copy_with_cuts(void)
{
    int cuts = 0;
    stele_status status;
    do {
        stele_work work = STELE_WORK_INIT;
        work.step_count_max = 1 + (uint32_t)(next_chance() % 9);
        work.step_size_max = 1 + (uint32_t)(next_chance() % 4000);
        work.progress = stop_by_chance;
        stele_copy copy = copy_by(model_transform);
        copy.work = &work;
        model.fails_at = one_in(3) ? 1 + (int64_t)(next_chance() % MODEL_EVENTS) : 0;
        if (one_in(3)) {
            stele_store_close(target);
            target = open_path(target_path(), NULL);
        }
        status = stele_store_copy(store, target, &copy, NULL);
        ck_assert_msg(status == STELE_OK || status == STELE_CANCELLED || status == STELE_INVALID,
                      "%s", stele_error_text());
        cuts += status != STELE_OK;
    } while (status != STELE_OK);
    return cuts;
}

/*
 * A reader that has handled all through `position` of the source, and goes on in the target after
 * `there`: "" when the two together are each event's outputs once, else what isn't so.
 */
static const char *judge_reader(int64_t position, int64_t there)
{
    static char finding[128];
    int64_t next = 1;
    for (int64_t from = 1; from <= MODEL_EVENTS; from++) {
        for (int i = 0; i < model.outputs[from]; i++, next++) {
            bool seen_before = from <= position;
            bool seen_there = next > there;
            if (seen_before == seen_there) {
                snprintf(finding, sizeof(finding),
                         "output %d of %" PRId64 " is %s by a reader at %" PRId64
                         ", there %" PRId64,
                         i, from, seen_before ? "seen twice" : "missed", position, there);
                return finding;
            }
        }
    }
    return "";
}

/* The events of the target are those of the model, in order, once. */
static void judge_events(void)
{
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    int64_t next = 0;
    assert_status(stele_store_read(target, NULL, &cursor), STELE_OK);
    for (int64_t from = 1; from <= MODEL_EVENTS; from++) {
        ck_assert_int_eq(told.first[from], model.outputs[from] == 0 ? 0 : next + 1);
        for (int i = 0; i < model.outputs[from]; i++) {
            char data[64];
            snprintf(data, sizeof(data), "{\"from\":%" PRId64 ",\"i\":%d}", from, i);
            assert_status(stele_cursor_next(cursor, &record), STELE_OK);
            ck_assert_str_eq(record->data, data);
            next++;
        }
        ck_assert_int_eq(told.last[from], model.outputs[from] == 0 ? 0 : next);
    }
    ck_assert_int_eq(told.count, MODEL_EVENTS);
    assert_status(stele_cursor_next(cursor, &record), STELE_DONE);
    stele_cursor_close(cursor);
}

static void reader_name(int reader, char name_out[32])
{
    snprintf(name_out, 32, "reader-%d", reader);
}

static void set_model(int64_t positions[MODEL_READERS])
{
    for (int i = 1; i <= MODEL_EVENTS; i++)
        model.outputs[i] = one_in(2) ? 1 : (int)(next_chance() % (OUTPUT_MOST + 1));
    for (int i = 0; i < MODEL_READERS; i++) {
        char name[32];
        reader_name(i, name);
        positions[i] = i < 2 ? i * MODEL_EVENTS : (int64_t)(next_chance() % (MODEL_EVENTS + 1));
        assert_status(stele_checkpoint_save(store, name, positions[i]), STELE_OK);
    }
}

START_TEST(readers_that_change_over_miss_nothing_and_see_nothing_twice)
{
    int runs = effort_is_long() ? 2000 : 60;
    uint64_t seed = choose_seed();
    int cuts = 0;
    int untranslated = 0;
    fill_stream("a-1", MODEL_EVENTS);
    stele_store_close(target);
    target = NULL;
    for (int run = 0; run < runs; run++) {
        int64_t positions[MODEL_READERS];
        remove_target();
        stele_options options = STELE_OPTIONS_INIT;
        options.durability = STELE_DURABILITY_RELAXED;
        target = open_path(target_path(), &options);
        set_model(positions);

        cuts += copy_with_cuts();

        judge_events();
        ck_assert(!has_note());
        for (int i = 0; i < MODEL_READERS; i++) {
            char name[32];
            reader_name(i, name);
            const char *finding = judge_reader(positions[i], target_checkpoint(name));
            ck_assert_msg(finding[0] == '\0', "seed %" PRIu64 ", run %d: %s", seed, run, finding);
            untranslated += judge_reader(positions[i], positions[i])[0] != '\0';
        }
        stele_store_close(target);
        target = NULL;
    }
    printf("copies: seed %" PRIu64 ", %d runs, %d cuts; %d readers wrong in the control\n", seed,
           runs, cuts, untranslated);
    ck_assert_int_gt(cuts, 0);
    /* The control: readers that took over their old positions would have gone wrong. */
    ck_assert_int_gt(untranslated, runs);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("copy_cuts");
    TCase *tests = add_copy_case(suite, "cuts", open_both_in_files);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, cancelled_copy_goes_on_where_it_stood);
    tcase_add_test(tests, finished_copy_is_a_store_like_any_other);
    tcase_add_test(tests, unfinished_copy_of_something_else_is_misuse);
    tcase_add_loop_test(tests, forged_map_is_corrupt, 0, (int)COUNT_OF(forged_notes));
    tcase_add_loop_test(tests, damaged_note_is_corrupt, 0, 2);
    tcase_add_test(tests, target_that_others_wrote_to_is_misuse);
    tcase_add_test(tests, transform_that_writes_to_the_target_ends_the_copy);
    tcase_add_test(tests, transform_may_read_both_and_write_the_source);
    tcase_add_test(tests, source_that_lost_what_was_copied_is_another_epoch);
    tcase_add_loop_test(tests, closing_either_store_ends_the_copy, 0, 2);
    tcase_add_test(tests, killed_copy_goes_on_without_loss_or_doubles);
    tcase_add_test(tests, readers_that_change_over_miss_nothing_and_see_nothing_twice);
    return run_suite(suite);
}
