/*
 * Power cuts while events are appended, and snapshots saved and dropped: whatever is left is a
 * state that there was between two commits, nothing acknowledged is undone, and a snapshot that is
 * loaded is what was saved for its version.
 *
 * The oracle of the harness knows nothing of snapshots, so these images have a judge of their own.
 */
#include "crash/cutting.h"
#include "support.h"

#include <stele/snapshot.h>
#include <stele/verify.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STREAMS = 3, KEPT = 3, CHANGES_MAX = 1000, MOVES = 60, BOOT = 2000 };

static const char *const stream_names[STREAMS] = { "s-1", "s-2", "s-3" };

typedef struct saved_one {
    int64_t version; /* 0: none */
    int64_t serial;  /* of the save; rows are dropped in this order */
} saved_one;

/* What a commit left behind. */
typedef struct change {
    size_t acked_at;
    int64_t versions[STREAMS];
    saved_one saved[STREAMS][KEPT]; /* the highest version first */
} change;

static struct {
    change changes[CHANGES_MAX]; /* the first: nothing */
    size_t count;
    int64_t serial;
    uint64_t dropped; /* of the drop in progress */
} done;

static int64_t hits, foreign;

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

static const change *last_change(void)
{
    return &done.changes[done.count - 1];
}

/* A fold says which save it is of, and is from a few bytes to some pages long. */
static int make_fold(char data[20000], size_t stream, saved_one one)
{
    int size = snprintf(data, 20000,
                        "{\"of\":\"%s\",\"version\":%" PRId64 ",\"save\":%" PRId64 ",\"more\":\"",
                        stream_names[stream], one.version, one.serial);
    int64_t more = one.serial % 4 == 0 ? 5000 + one.serial * 337 % 9000 : one.serial * 37 % 400;
    for (int64_t i = 0; i < more; i++)
        data[size++] = (char)('a' + (one.serial + i) % 26);
    return size + snprintf(data + size, 20000 - (size_t)size, "\"}");
}

static void append_next(stele_store *store, size_t stream)
{
    stele_event event = { .type = "counted", .data = "1", .data_size = 1 };
    stele_append append = STELE_APPEND_INIT;
    append.stream = stream_names[stream];
    append.expected_version = last_change()->versions[stream];
    append.events = &event;
    append.event_count = 1;
    if (stele_store_append(store, &append, NULL) != STELE_OK)
        ck_abort_msg("appending: %s", stele_error_text());
    note_change()->versions[stream]++;
}

/* Among those of the stream by version; the lowest that is too many falls out. */
static void keep_saved(saved_one saved[KEPT], saved_one one)
{
    int at = 0;
    while (at < KEPT && saved[at].version > one.version)
        at++;
    if (at == KEPT)
        return;
    if (saved[at].version != one.version)
        memmove(&saved[at + 1], &saved[at], (size_t)(KEPT - 1 - at) * sizeof(saved[0]));
    saved[at] = one;
}

static void save_some(stele_store *store, random_source *random, size_t stream)
{
    static char data[20000];
    int64_t version = last_change()->versions[stream];
    saved_one one = { version - (int64_t)random_below(random, 3), ++done.serial };
    if (one.version < 1)
        one.version = 1;
    stele_snapshot snapshot = STELE_SNAPSHOT_INIT;
    snapshot.stream = stream_names[stream];
    snapshot.version = one.version;
    snapshot.data = data;
    snapshot.data_size = (size_t)make_fold(data, stream, one);
    snapshot.keep = KEPT;
    if (stele_snapshot_save(store, &snapshot) != STELE_OK)
        ck_abort_msg("saving: %s", stele_error_text());
    keep_saved(note_change()->saved[stream], one);
}

static void invalidate_some(stele_store *store, size_t stream)
{
    if (stele_snapshot_invalidate(store, stream_names[stream], NULL, NULL) != STELE_OK)
        ck_abort_msg("dropping: %s", stele_error_text());
    memset(note_change()->saved[stream], 0, sizeof(done.changes[0].saved[stream]));
}

/* The one that was saved first goes. */
static void drop_oldest(change *of)
{
    size_t stream = 0;
    int place = -1;
    for (size_t i = 0; i < STREAMS; i++)
        for (int j = 0; j < KEPT; j++)
            if (of->saved[i][j].version > 0
                && (place < 0 || of->saved[i][j].serial < of->saved[stream][place].serial)) {
                stream = i;
                place = j;
            }
    ck_assert_int_ge(place, 0);
    saved_one *saved = of->saved[stream];
    memmove(&saved[place], &saved[place + 1], (size_t)(KEPT - 1 - place) * sizeof(saved[0]));
    saved[KEPT - 1] = (saved_one){ 0 };
}

static int note_step(void *context, const stele_progress *progress)
{
    int64_t *steps = context;
    if (progress->done > done.dropped)
        drop_oldest(note_change());
    done.dropped = progress->done;
    return --*steps == 0;
}

static void invalidate_all(stele_store *store, random_source *random)
{
    stele_work work = STELE_WORK_INIT;
    int64_t steps = random_chance(random, 1, 3) ? 2 : 1000;
    work.step_count_max = 1;
    work.progress = note_step;
    work.context = &steps;
    done.dropped = 0;
    stele_status status = stele_snapshot_invalidate_all(store, NULL, &work, NULL);
    if (status != STELE_OK && status != STELE_CANCELLED)
        ck_abort_msg("dropping all: %s", stele_error_text());
}

static void append_save_and_drop(crash_run *run)
{
    memset(&done, 0, sizeof(done));
    done.count = 1;
    stele_store *store = crash_open(run);
    for (size_t i = 0; i < STREAMS; i++)
        append_next(store, i);
    for (int i = 0; i < MOVES; i++) {
        size_t stream = (size_t)random_below(&run->random, STREAMS);
        size_t what = (size_t)random_below(&run->random, 20);
        if (what == 0)
            invalidate_all(store, &run->random);
        else if (what == 1)
            invalidate_some(store, stream);
        else if (what < 11)
            save_some(store, &run->random, stream);
        else
            append_next(store, stream);
    }
    crash_close(run, store);
}

static const crash_workload durable = { .name = "snapshots",
                                        .work = append_save_and_drop,
                                        .cuts = 300 };

static const crash_workload relaxed = { .name = "snapshots-relaxed",
                                        .work = append_save_and_drop,
                                        .durability = STELE_DURABILITY_RELAXED,
                                        .cuts = 150 };

static const crash_workload unsynced = {
    .name = "snapshots-control-wal-sync-ignored",
    .work = append_save_and_drop,
    .faults = { .wal_sync_ignored = true },
    .cuts = 100,
};

/* --- What is left --- */

static int64_t version_left(stele_store *store, size_t stream)
{
    stele_stream_info info;
    stele_status status = stele_store_stream(store, stream_names[stream], &info);
    return status == STELE_OK ? info.version : status == STELE_NOT_FOUND ? 0 : -1;
}

/* Whether the record is the save `one`; none is 0. */
static bool record_is(const stele_snapshot_record *record, size_t stream, saved_one one)
{
    static char data[20000];
    if (one.version == 0 || !record->found)
        return one.version == 0 && !record->found && record->miss == STELE_SNAPSHOT_NONE;
    int size = make_fold(data, stream, one);
    return record->version == one.version && record->data_size == (size_t)size
           && memcmp(record->data, data, (size_t)size) == 0;
}

/* From the highest version down, by asking for what is below the last. */
static bool saved_are(stele_store *store, size_t stream, const saved_one saved[KEPT])
{
    stele_snapshot_read read = STELE_SNAPSHOT_READ_INIT;
    read.stream = stream_names[stream];
    for (int i = 0; i <= KEPT; i++) {
        const stele_snapshot_record *record = NULL;
        saved_one expected = i < KEPT ? saved[i] : (saved_one){ 0 };
        if (stele_snapshot_load(store, &read, &record) != STELE_OK)
            return false;
        bool right = record_is(record, stream, expected);
        hits += right && record->found;
        stele_snapshot_close(record);
        if (!right || expected.version <= 1)
            return right;
        read.max_version = expected.version - 1;
    }
    return true;
}

static bool state_is(stele_store *store, const change *expected)
{
    for (size_t i = 0; i < STREAMS; i++)
        if (version_left(store, i) != expected->versions[i]
            || !saved_are(store, i, expected->saved[i]))
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
    static char data[20000];
    change rest = *found;
    for (size_t i = 0; i < STREAMS; i++) {
        saved_one one = { rest.versions[i], 1000000 + (int64_t)i };
        stele_snapshot snapshot = STELE_SNAPSHOT_INIT;
        if (one.version == 0)
            continue;
        snapshot.stream = stream_names[i];
        snapshot.version = one.version;
        snapshot.data = data;
        snapshot.data_size = (size_t)make_fold(data, i, one);
        snapshot.keep = KEPT;
        ck_assert_msg(stele_snapshot_save(store, &snapshot) == STELE_OK, "%s: %s", where,
                      stele_error_text());
        keep_saved(rest.saved[i], one);
    }
    ck_assert_msg(state_is(store, &rest), "%s: saved further it is something else", where);
    ck_assert_int_eq(stele_snapshot_invalidate_all(store, NULL, NULL, NULL), STELE_OK);
    memset(rest.saved, 0, sizeof(rest.saved));
    ck_assert_msg(state_is(store, &rest), "%s: dropped it is something else", where);
}

/* The last change that there is, from the newest that can be; -1 for none. */
static int64_t find_state(stele_store *store, size_t newest)
{
    for (size_t i = newest + 1; i > 0; i--)
        if (state_is(store, &done.changes[i - 1]))
            return (int64_t)i - 1;
    return -1;
}

/* Whatever was lost, what is loaded is what was saved for that version: of another save of it, too,
 * since a state between two commits may be an old one. */
static void judge_relaxed(stele_store *store, const char *where)
{
    for (size_t i = 0; i < STREAMS; i++) {
        stele_snapshot_read read = STELE_SNAPSHOT_READ_INIT;
        const stele_snapshot_record *record = NULL;
        read.stream = stream_names[i];
        stele_status status = stele_snapshot_load(store, &read, &record);
        ck_assert_msg(status == STELE_OK, "%s: loading: %s", where, stele_error_text());
        bool known = !record->found;
        for (size_t j = 0; j < done.count && !known; j++)
            for (int k = 0; k < KEPT && !known; k++)
                known = record_is(record, i, done.changes[j].saved[i][k]);
        ck_assert_msg(known, "%s: version %" PRId64 " was never saved so", where, record->version);
        ck_assert_msg(!record->found || record->version <= version_left(store, i),
                      "%s: version %" PRId64 " is beyond the stream", where, record->version);
        hits += record->found;
        foreign += record->miss == STELE_SNAPSHOT_EPOCH;
        stele_snapshot_close(record);
    }
    expect_whole(store, where);
}

static bool states_are_equal(const change *one, const change *other)
{
    return memcmp(one->versions, other->versions, sizeof(one->versions)) == 0
           && memcmp(one->saved, other->saved, sizeof(one->saved)) == 0;
}

static void judge_durable(stele_store *store, size_t cut, const char *where)
{
    size_t acked = 0;
    while (acked + 1 < done.count && done.changes[acked + 1].acked_at <= cut)
        acked++;
    size_t newest = acked + 1 < done.count ? acked + 1 : acked;
    int64_t found = find_state(store, newest);
    ck_assert_msg(found >= 0, "%s: this state there never was", where);
    /* A save below those that are kept leaves the state as it was. */
    if (found < (int64_t)acked && !states_are_equal(&done.changes[found], &done.changes[acked])
        && acknowledged_lost++ == 0)
        snprintf(first_loss, sizeof(first_loss),
                 "%s: change %zu was acknowledged, %" PRId64 " is left", where, acked, found);
    if (acknowledged_lost == 0) {
        expect_whole(store, where);
        go_on(store, &done.changes[found], where);
    }
}

static void judge_image(const crash_workload *workload, const char *path, size_t cut,
                        const char *where)
{
    stele_store *store = NULL;
    recorder_set_boot(BOOT);
    stele_status status = stele_store_open(path, NULL, &store);
    ck_assert_msg(status == STELE_OK, "%s: opening: %s", where, stele_error_text());
    if (workload->durability == STELE_DURABILITY_RELAXED)
        judge_relaxed(store, where);
    else
        judge_durable(store, cut, where);
    stele_store_close(store);
}

/* --- The cuts --- */

static void cut_and_count(const crash_workload *workload)
{
    hits = foreign = 0;
    cut_workload(workload, judge_image, &done.count);
    printf("# %s: %" PRId64 " hits, %" PRId64 " of another epoch\n", workload->name, hits, foreign);
}

START_TEST(saving_and_dropping_may_be_cut_anywhere)
{
    cut_and_count(&durable);
    ck_assert_msg(acknowledged_lost == 0, "%s", first_loss);
    ck_assert_int_gt(hits, 0);
}
END_TEST

START_TEST(relaxed_store_never_loads_a_snapshot_of_what_it_lost)
{
    cut_and_count(&relaxed);
    ck_assert_int_gt(foreign, 0);
}
END_TEST

/* The control: then commits that were acknowledged are not there. */
START_TEST(disk_that_ignores_the_sync_of_the_wal_is_found_out)
{
    cut_and_count(&unsynced);
    ck_assert_int_gt(acknowledged_lost, 0);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_snapshots");
    TCase *tests = crash_case(suite, "snapshots");
    tcase_add_test(tests, saving_and_dropping_may_be_cut_anywhere);
    tests = crash_case(suite, "relaxed");
    tcase_add_test(tests, relaxed_store_never_loads_a_snapshot_of_what_it_lost);
    tests = crash_case(suite, "control-wal-sync-ignored");
    tcase_add_test(tests, disk_that_ignores_the_sync_of_the_wal_is_found_out);
    return run_suite(suite);
}
