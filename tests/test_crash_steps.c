/* That large streams move in bounded transactions, and that the judge of archives sees what it
 * looks for. */
#include "crash/disk_image.h"
#include "crash/lifecycle.h"
#include "support.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE_EVENTS 400
#define STEP         10
#define SEED         12

/* --- Bounded transactions --- */

static size_t moves_begun_at;

static void move_in_small_steps(crash_run *run)
{
    moves_begun_at = lifecycle_work_large(run, LARGE_EVENTS, STEP);
}

static void move_at_once(crash_run *run)
{
    moves_begun_at = lifecycle_work_large(run, LARGE_EVENTS, LARGE_EVENTS);
}

static bool is_wal(const recording *recorded, int file)
{
    for (size_t i = 0; i < recorded->count; i++) {
        const operation *done = &recorded->operations[i];
        if (done->kind == OPERATION_CREATE && done->file == file)
            return strstr(done->name, "-wal") != NULL;
    }
    return false;
}

/* The most bytes that were written to a WAL between two syncs: its largest commit. */
static size_t measure_largest_commit(void (*work)(crash_run *run))
{
    const crash_workload workload = { .name = "steps", .work = work, .dispose = lifecycle_dispose };
    crash_run run;
    recording recorded = crash_record(&workload, SEED, &run);
    size_t largest = 0;
    for (size_t i = moves_begun_at; i < recorded.count; i++) {
        int file = recorded.operations[i].file;
        if (recorded.operations[i].kind != OPERATION_SYNC || !is_wal(&recorded, file))
            continue;
        size_t size = 0;
        for (size_t at = i; at > 0; at--) {
            const operation *done = &recorded.operations[at - 1];
            if (done->file == file && done->kind == OPERATION_SYNC)
                break;
            size += done->file == file && done->kind == OPERATION_WRITE ? done->size : 0;
        }
        largest = size > largest ? size : largest;
    }
    recording_dispose(&recorded);
    crash_run_dispose(&run);
    return largest;
}

/* The payloads of the stream are about 800 kB, those of ten events about 20 kB. */
START_TEST(large_stream_moves_in_commits_as_small_as_its_steps)
{
    size_t small = measure_largest_commit(move_in_small_steps);
    size_t whole = measure_largest_commit(move_at_once);
    printf("# largest commit: %zu bytes in steps of %d events, %zu bytes at once\n", small, STEP,
           whole);

    ck_assert_uint_gt(whole, 500000);
    ck_assert_uint_lt(small, whole / 4);
}
END_TEST

/* --- The judge --- */

static const crash_workload sample = { .name = "lifecycle-model",
                                       .work = lifecycle_work,
                                       .judge = lifecycle_judge,
                                       .dispose = lifecycle_dispose };

static bool ends_with(const lifecycle_model *model, lifecycle_state state)
{
    for (size_t i = 0; i < model->event_count; i++)
        if (lifecycle_state_after(model, model->events[i].stream, model->change_count) == state)
            return true;
    return false;
}

/* A run at whose end some streams are deleted, and others in the archive. */
static recording record_varied(crash_run *run)
{
    for (uint64_t seed = SEED;; seed++) {
        recording recorded = crash_record(&sample, seed, run);
        if (ends_with(run->known, LIFECYCLE_MOVED) && ends_with(run->known, LIFECYCLE_DELETED))
            return recorded;
        recording_dispose(&recorded);
        crash_run_dispose(run);
    }
}

/* Leaves the sample, not cut at all, in `folder`. */
static recording record_sample(crash_run *run, const char *folder)
{
    recording recorded = record_varied(run);
    disk *state = disk_open(&recorded);
    disk_advance(state, recorded.count);
    image made = disk_cut(state, 1);
    const image empty = { NULL, 0 };
    image_save(&empty, test_path("disk"));
    image_save(&made, folder);
    image_dispose(&made);
    disk_close(state);
    return recorded;
}

/* What the judge says when `spoil` has changed what it expects. */
static verdict judge_spoiled(void (*spoil)(lifecycle_model *model))
{
    crash_run run;
    recording recorded = record_sample(&run, test_path("image"));
    if (spoil != NULL)
        spoil(run.known);
    verdict found = lifecycle_judge(&run, test_path("image"), recorded.count, true);
    recording_dispose(&recorded);
    crash_run_dispose(&run);
    return found;
}

static void expect_broken(void (*spoil)(lifecycle_model *model), const char *reason)
{
    verdict found = judge_spoiled(spoil);
    ck_assert_msg(found.broken && strstr(found.reason, reason) != NULL, "'%s' lacks '%s'",
                  found.reason, reason);
}

/* The last event of a stream in `state` at the end. */
static lifecycle_event *find_event(lifecycle_model *model, lifecycle_state state)
{
    for (size_t i = model->event_count; i > 0; i--)
        if (lifecycle_state_after(model, model->events[i - 1].stream, model->change_count) == state)
            return &model->events[i - 1];
    ck_abort_msg("the sample has no stream in state %d", state);
    return NULL;
}

static lifecycle_change *find_change(lifecycle_model *model, lifecycle_state state)
{
    size_t stream = find_event(model, state)->stream;
    for (size_t i = model->change_count; i > 0; i--)
        if (model->changes[i - 1].stream == stream)
            return &model->changes[i - 1];
    return NULL;
}

static void change_moved_payload(lifecycle_model *model)
{
    unsigned char *data =
        (unsigned char *)(uintptr_t)find_event(model, LIFECYCLE_MOVED)->content.data;
    data[5] ^= 1;
}

static void change_moved_version(lifecycle_model *model)
{
    find_event(model, LIFECYCLE_MOVED)->version++;
}

static void expect_deleted_event(lifecycle_model *model)
{
    find_change(model, LIFECYCLE_DELETED)->state = LIFECYCLE_ACTIVE;
}

static void expect_moved_to_be_active(lifecycle_model *model)
{
    find_change(model, LIFECYCLE_MOVED)->state = LIFECYCLE_ACTIVE;
}

static void expect_moved_to_be_in_place(lifecycle_model *model)
{
    find_change(model, LIFECYCLE_MOVED)->state = LIFECYCLE_IN_PLACE;
}

static void expect_moved_to_be_deleted(lifecycle_model *model)
{
    find_change(model, LIFECYCLE_MOVED)->state = LIFECYCLE_DELETED;
}

static void begin_less(lifecycle_model *model)
{
    model->changes[model->change_count - 1].begun_at = SIZE_MAX;
    model->changes[model->change_count - 1].acked_at = SIZE_MAX;
}

static void acknowledge_more(lifecycle_model *model)
{
    lifecycle_change more = model->changes[model->change_count - 1];
    more.head++;
    lifecycle_note_change(model, more);
}

START_TEST(judge_of_archives_finds_what_it_looks_for)
{
    verdict whole = judge_spoiled(NULL);
    ck_assert_msg(!whole.broken && whole.lost == 0 && whole.kept == 0, "%s", whole.reason);

    expect_broken(change_moved_payload, "before resuming: position");
    expect_broken(change_moved_version, "before resuming: position");
    expect_broken(expect_moved_to_be_active, "archived");
    expect_broken(expect_moved_to_be_in_place, "archived");
    expect_broken(expect_moved_to_be_deleted, "is read, and was deleted");
    expect_broken(begin_less, "none of the");
    expect_broken(acknowledge_more, "acknowledged changes");
    ck_assert_int_gt(judge_spoiled(expect_deleted_event).lost, 0);
}
END_TEST

static void execute(const char *path, const char *sql)
{
    sqlite3 *plain = NULL;
    char *reason = NULL;
    ck_assert_int_eq(sqlite3_open(path, &plain), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(plain, sql, NULL, NULL, &reason) == SQLITE_OK, "%s: %s", sql,
                  reason);
    sqlite3_close(plain);
}

/* What is found in the files when `sql` was done to one of them. */
static verdict judge_places_after(const char *name, const char *sql)
{
    crash_run run;
    recording recorded = record_sample(&run, test_path("image"));
    const lifecycle_model *model = run.known;
    verdict found = lifecycle_judge(&run, test_path("image"), recorded.count, true);
    ck_assert_msg(!found.broken, "%s", found.reason);
    found = (verdict){ 0 };
    if (sql != NULL)
        execute(test_path(name), sql);
    lifecycle_judge_places(model, model->change_count, test_path("image"), &found);
    lifecycle_judge_remains(model, model->change_count, test_path("image"), &found);
    recording_dispose(&recorded);
    crash_run_dispose(&run);
    return found;
}

START_TEST(payloads_in_no_place_or_two_are_counted)
{
    verdict found = judge_places_after(NULL, NULL);
    ck_assert_msg(!found.broken, "%s", found.reason);

    ck_assert_int_gt(judge_places_after("image/archive.db", "DELETE FROM kept_events").lost, 0);
    ck_assert_int_gt(
        judge_places_after("image/store.db", "UPDATE events SET data = 'again' WHERE data IS NULL")
            .doubled,
        0);
    found = judge_places_after("image/store.db", "DELETE FROM events WHERE position = 7");
    ck_assert_str_eq(found.reason, "there is no row for position 7");
}
END_TEST

static int64_t first_deleted_number(const lifecycle_model *model)
{
    for (size_t i = 0; i < model->event_count; i++)
        if (lifecycle_state_after(model, model->events[i].stream, model->change_count)
            == LIFECYCLE_DELETED)
            return model->events[i].number;
    return 0;
}

START_TEST(remains_of_deleted_events_are_found)
{
    crash_run run;
    recording recorded = record_sample(&run, test_path("image"));
    const lifecycle_model *model = run.known;
    verdict found = lifecycle_judge(&run, test_path("image"), recorded.count, true);
    ck_assert_msg(!found.broken, "%s", found.reason);
    FILE *file = fopen(test_path("image/archive.db-wal"), "wb");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "~~~%010d~ is left", (int)first_deleted_number(model));
    fclose(file);
    lifecycle_judge_remains(model, model->change_count, test_path("image"), &found);
    ck_assert_msg(found.broken && strstr(found.reason, "archive.db-wal still holds") != NULL, "%s",
                  found.reason);
    recording_dispose(&recorded);
    crash_run_dispose(&run);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_steps");
    TCase *tests = crash_case(suite, "steps");
    tcase_add_test(tests, large_stream_moves_in_commits_as_small_as_its_steps);
    tests = crash_case(suite, "judge");
    tcase_add_test(tests, judge_of_archives_finds_what_it_looks_for);
    tcase_add_test(tests, payloads_in_no_place_or_two_are_counted);
    tcase_add_test(tests, remains_of_deleted_events_are_found);
    return run_suite(suite);
}
