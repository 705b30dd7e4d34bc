/*
 * Power cuts while streams are trimmed: whatever is left is a state that there was between two
 * commits, nothing acknowledged is undone, and what was cut short goes on.
 *
 * The oracle of the harness knows nothing of husks, so these images have a judge of their own.
 */
#include "crash/cutting.h"
#include "support.h"

#include <stele/retention.h>
#include <stele/verify.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STREAMS = 3, CHANGES_MAX = 1000, MOVES = 60, BOOT = 2000 };

static const char *const stream_names[STREAMS] = { "s-1", "s-2", "s-3" };

/* What a commit left behind. */
typedef struct change {
    size_t acked_at;
    int64_t versions[STREAMS];
    int64_t trimmed[STREAMS];
} change;

static struct {
    change changes[CHANGES_MAX]; /* the first: nothing */
    size_t count;
    size_t stream; /* that is just being trimmed */
    int64_t before;
} done;

/* --- The work --- */

static change *note_change(void)
{
    ck_assert_uint_lt(done.count, CHANGES_MAX);
    change *next = &done.changes[done.count];
    *next = done.changes[done.count - 1];
    next->acked_at = recorder_now();
    done.count++;
    return next;
}

static int make_data(char data[512], size_t stream, int64_t version)
{
    int size = snprintf(data, 512, "{\"of\":\"%s\",\"version\":%" PRId64 ",\"more\":\"",
                        stream_names[stream], version);
    for (int64_t i = 0; i < version * 37 % 400; i++)
        data[size++] = (char)('a' + (version + i) % 26);
    return size + snprintf(data + size, 512 - (size_t)size, "\"}");
}

static void append_next(stele_store *store, size_t stream)
{
    char data[512];
    int64_t version = done.changes[done.count - 1].versions[stream] + 1;
    stele_event event = { .type = "counted", .data = data };
    event.data_size = (size_t)make_data(data, stream, version);
    stele_append append = STELE_APPEND_INIT;
    append.stream = stream_names[stream];
    append.expected_version = version - 1;
    append.events = &event;
    append.event_count = 1;
    if (stele_store_append(store, &append, NULL) != STELE_OK)
        ck_abort_msg("appending: %s", stele_error_text());
    note_change()->versions[stream] = version;
}

static int note_step(void *context, const stele_progress *progress)
{
    int64_t *steps = context;
    int64_t reached = done.before + (int64_t)progress->done;
    if (strcmp(progress->doing, "trimming") == 0
        && reached > done.changes[done.count - 1].trimmed[done.stream])
        note_change()->trimmed[done.stream] = reached;
    return --*steps == 0;
}

static void trim_some(stele_store *store, random_source *random, size_t stream)
{
    stele_work work = STELE_WORK_INIT;
    stele_retain retain = STELE_RETAIN_INIT;
    int64_t steps = random_chance(random, 1, 3) ? 2 : 1000;
    work.step_count_max = 1 + (uint32_t)random_below(random, 4);
    work.progress = note_step;
    work.context = &steps;
    retain.stream = stream_names[stream];
    retain.max_count = 1 + (int64_t)random_below(random, 6);
    retain.work = &work;
    done.stream = stream;
    done.before = done.changes[done.count - 1].trimmed[stream];
    stele_status status = stele_store_retain(store, &retain, NULL);
    if (status != STELE_OK && status != STELE_CANCELLED)
        ck_abort_msg("trimming: %s", stele_error_text());
}

static void append_and_trim(crash_run *run)
{
    memset(&done, 0, sizeof(done));
    done.count = 1;
    stele_store *store = crash_open(run);
    for (size_t i = 0; i < STREAMS; i++)
        append_next(store, i);
    for (int i = 0; i < MOVES; i++) {
        size_t stream = (size_t)random_below(&run->random, STREAMS);
        if (random_chance(&run->random, 1, 6))
            trim_some(store, &run->random, stream);
        else
            append_next(store, stream);
    }
    crash_close(run, store);
}

static const crash_workload trimmed = { .name = "retention", .work = append_and_trim, .cuts = 300 };

static const crash_workload unsynced = {
    .name = "retention-control-wal-sync-ignored",
    .work = append_and_trim,
    .faults = { .wal_sync_ignored = true },
    .cuts = 100,
};

/* --- What is left --- */

/* Every event of the stream that should be there, with its own bytes. */
static bool stream_is(stele_store *store, size_t stream, int64_t trimmed_through, int64_t version)
{
    stele_stream_info info;
    stele_status status = stele_store_stream(store, stream_names[stream], &info);
    if (version == 0)
        return status == STELE_NOT_FOUND;
    if (status != STELE_OK || info.version != version || info.first_version != trimmed_through + 1
        || info.events != version - trimmed_through)
        return false;
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    read.stream = stream_names[stream];
    status = stele_store_read(store, &read, &cursor);
    int64_t next = trimmed_through;
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        char data[512];
        int size = make_data(data, stream, ++next);
        if (record->version != next || record->data_size != (size_t)size
            || memcmp(record->data, data, (size_t)size) != 0)
            status = STELE_CORRUPT;
    }
    stele_cursor_close(cursor);
    return status == STELE_DONE && next == version;
}

static bool state_is(stele_store *store, const change *expected)
{
    for (size_t i = 0; i < STREAMS; i++)
        if (!stream_is(store, i, expected->trimmed[i], expected->versions[i]))
            return false;
    return true;
}

static void expect_whole(stele_store *store, const char *where)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(store, NULL, &verify);
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK)
        ck_assert_msg(check->failures == 0, "%s: %s: %s", where, check->name, check->offender);
    ck_assert_msg(status == STELE_DONE, "%s: verify: %s", where, stele_error_text());
    stele_verify_close(verify);
}

static void go_on(stele_store *store, const change *found, const char *where)
{
    change rest = *found;
    for (size_t i = 0; i < STREAMS; i++) {
        stele_retain retain = STELE_RETAIN_INIT;
        retain.stream = stream_names[i];
        retain.max_count = 1;
        stele_status status = stele_store_retain(store, &retain, NULL);
        ck_assert_msg(status == (found->versions[i] > 0 ? STELE_OK : STELE_NOT_FOUND), "%s: %s",
                      where, stele_error_text());
        if (rest.versions[i] > 0)
            rest.trimmed[i] = rest.versions[i] - 1;
    }
    ck_assert_msg(state_is(store, &rest), "%s: trimmed further it is something else", where);
    expect_whole(store, where);
}

/* The last change that there is, from the newest that can be; -1 for none. */
static int64_t find_state(stele_store *store, size_t newest)
{
    for (size_t i = newest + 1; i > 0; i--)
        if (state_is(store, &done.changes[i - 1]))
            return (int64_t)i - 1;
    return -1;
}

static void judge_image(const crash_workload *workload, const char *path, size_t cut,
                        const char *where)
{
    (void)workload;
    size_t acked = 0;
    while (acked + 1 < done.count && done.changes[acked + 1].acked_at <= cut)
        acked++;
    size_t newest = acked + 1 < done.count ? acked + 1 : acked;
    stele_store *store = NULL;
    recorder_set_boot(BOOT);
    stele_status status = stele_store_open(path, NULL, &store);
    ck_assert_msg(status == STELE_OK, "%s: opening: %s", where, stele_error_text());
    int64_t found = find_state(store, newest);
    ck_assert_msg(found >= 0, "%s: this state there never was", where);
    if (found < (int64_t)acked && acknowledged_lost++ == 0)
        snprintf(first_loss, sizeof(first_loss),
                 "%s: change %zu was acknowledged, %" PRId64 " is left", where, acked, found);
    if (acknowledged_lost == 0) {
        expect_whole(store, where);
        go_on(store, &done.changes[found], where);
    }
    stele_store_close(store);
}

/* --- The cuts --- */

START_TEST(trimming_may_be_cut_anywhere)
{
    cut_workload(&trimmed, judge_image, &done.count);
    ck_assert_msg(acknowledged_lost == 0, "%s", first_loss);
}
END_TEST

/* The control: then commits that were acknowledged are not there. */
START_TEST(disk_that_ignores_the_sync_of_the_wal_is_found_out)
{
    cut_workload(&unsynced, judge_image, &done.count);
    ck_assert_int_gt(acknowledged_lost, 0);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_retention");
    TCase *tests = crash_case(suite, "retention");
    tcase_add_test(tests, trimming_may_be_cut_anywhere);
    tests = crash_case(suite, "control-wal-sync-ignored");
    tcase_add_test(tests, disk_that_ignores_the_sync_of_the_wal_is_found_out);
    return run_suite(suite);
}
