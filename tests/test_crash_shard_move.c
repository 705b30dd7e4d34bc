/*
 * Power cuts while a shard is moved from place to place: afterwards it is whole at one of them, the
 * old or the new, and what was cut short is gone on with or taken back.
 */
#define _GNU_SOURCE
#include "crash/harness.h"
#include "support.h"

#include <stele/shard_work.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLACES     4
#define ACTIONS    6
#define EVENTS_MAX 64

/* Two roots, and two names under each. */
static const char *const roots_of[PLACES] = { "old", "new", "old", "new" };
static const char *const names_of[PLACES] = { "orders", "orders", "parcels", "parcels" };

/* A move that ended, one way or the other. */
typedef struct action {
    size_t begun_at;
    size_t ended_at;
    int from;
    int to;      /* where it was to go */
    int outcome; /* where the shard is then */
} action;

static struct {
    action actions[ACTIONS];
    int action_count;
    size_t created_at;
    size_t appended_at[EVENTS_MAX + 1]; /* by version */
    int attempted;
} known;

static struct {
    size_t images, found_unfinished, found_switched, in_two_states;
} seen;

static void expect_moved(const crash_run *run, const char *doing, stele_status status)
{
    if (status != STELE_OK)
        ck_abort_msg("%s: %s: %s: %s", run->workload->name, doing, stele_status_name(status),
                     stele_error_text());
}

/* --- The work --- */

static void open_two(const char *folder, stele_shards *at[2])
{
    for (int i = 0; i < 2; i++) {
        char root[1100];
        snprintf(root, sizeof(root), "%.1000s/%s", folder, roots_of[i]);
        stele_status status = stele_shards_open(root, NULL, &at[i]);
        if (status != STELE_OK)
            ck_abort_msg("opening '%s': %s", root, stele_error_text());
    }
}

static stele_status append_next(stele_shards *at[2], int place, int number)
{
    stele_shard *shard = NULL;
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.must_exist = known.created_at != SIZE_MAX;
    stele_status status =
        stele_shards_acquire(at[place % 2], "acme", names_of[place], &how, &shard);
    if (status != STELE_OK)
        return status;
    char data[32];
    snprintf(data, sizeof(data), "{\"n\":%d}", number);
    stele_event event = { 0 };
    event.type = "noted";
    event.data = data;
    event.data_size = strlen(data);
    stele_append append = STELE_APPEND_INIT;
    append.stream = "a-1";
    append.events = &event;
    append.event_count = 1;
    status = stele_store_append(stele_shard_store(shard), &append, NULL);
    stele_shard_release(shard);
    return status;
}

static void append_some(crash_run *run, stele_shards *at[2], int place)
{
    int count = 1 + (int)random_below(&run->random, 4);
    for (int i = 0; i < count && known.attempted < EVENTS_MAX; i++) {
        int number = ++known.attempted;
        expect_moved(run, "appending", append_next(at, place, number));
        known.appended_at[number] = recorder_now();
        if (known.created_at == SIZE_MAX)
            known.created_at = recorder_now();
    }
}

static int stop_after(void *context, const stele_progress *progress)
{
    int *left = context;
    (void)progress;
    return --*left == 0;
}

static stele_status move_to(stele_shards *at[2], int from, int to, const char *folder, int stop)
{
    char root[1100];
    stele_work work = STELE_WORK_INIT;
    stele_shard_move move = STELE_SHARD_MOVE_INIT;
    snprintf(root, sizeof(root), "%.1000s/%s", folder, roots_of[to]);
    work.step_count_max = 8;
    work.progress = stop_after;
    work.context = &stop;
    move.organisation = "acme";
    move.name_space = names_of[from];
    move.root = root;
    move.to_namespace = names_of[to];
    move.work = &work;
    return stele_shards_move(at[from % 2], &move, NULL);
}

/* Straight to its end, or stopped on the way and then gone on with or taken back. */
static void move_somewhere(crash_run *run, stele_shards *at[2], int *place)
{
    action *now = &known.actions[known.action_count];
    *now = (action){ .begun_at = recorder_now(), .ended_at = SIZE_MAX, .from = *place };
    now->to = (*place + 1 + (int)random_below(&run->random, PLACES - 1)) % PLACES;
    known.action_count++;
    stele_shard *held = NULL;
    if (random_below(&run->random, 3) == 0)
        expect_moved(run, "holding",
                     stele_shards_acquire(at[*place % 2], "acme", names_of[*place], NULL, &held));
    int stop = random_below(&run->random, 2) == 0 ? 0 : 1 + (int)random_below(&run->random, 30);
    stele_status status = move_to(at, *place, now->to, test_path("disk"), stop);
    now->outcome = now->to;
    if (status == STELE_CANCELLED && random_below(&run->random, 2) == 0) {
        status = stele_shards_move_cancel(at[*place % 2], "acme", names_of[*place], NULL);
        now->outcome = now->from;
    } else if (status == STELE_CANCELLED) {
        status = move_to(at, *place, now->to, test_path("disk"), 0);
    }
    expect_moved(run, "moving", status);
    now->ended_at = recorder_now();
    stele_shard_release(held);
    if (held != NULL)
        expect_moved(run, "resuming", stele_shards_resume(at[now->from % 2], NULL, NULL));
    *place = now->outcome;
}

static void forget_what_is_known(void)
{
    memset(&known, 0, sizeof(known));
    for (int i = 0; i <= EVENTS_MAX; i++)
        known.appended_at[i] = SIZE_MAX;
    known.created_at = SIZE_MAX;
}

static void append_and_move(crash_run *run)
{
    stele_shards *at[2];
    int place = 0;
    forget_what_is_known();
    open_two(test_path("disk"), at);
    append_some(run, at, place);
    for (int i = 0; i < ACTIONS; i++) {
        move_somewhere(run, at, &place);
        append_some(run, at, place);
    }
    stele_shards_close(at[0]);
    stele_shards_close(at[1]);
}

static int fail_at_switch(void *context, const stele_progress *progress)
{
    if (strcmp(progress->doing, "switching") == 0)
        recorder_fail_folder_sync(context);
    return 0;
}

/* To the other root, ended between the switch and its sync; who resumes finds it switched, and the
 * power is cut while he is at work. */
static void switch_and_resume(crash_run *run, stele_shards *at[2], int *place)
{
    char root[1100];
    char folder[64];
    stele_work work = STELE_WORK_INIT;
    stele_shard_move move = STELE_SHARD_MOVE_INIT;
    action *now = &known.actions[known.action_count++];
    *now = (action){ .begun_at = recorder_now(), .ended_at = SIZE_MAX, .from = *place };
    now->to = now->outcome = 1 - *place;
    snprintf(root, sizeof(root), "%.1000s/%s", test_path("disk"), roots_of[now->to]);
    snprintf(folder, sizeof(folder), "%s/acme", roots_of[now->to]);
    work.progress = fail_at_switch;
    work.context = folder;
    move.organisation = "acme";
    move.name_space = "orders";
    move.root = root;
    move.work = &work;
    stele_status status = stele_shards_move(at[now->from], &move, NULL);
    recorder_fail_folder_sync(NULL);
    if (status != STELE_IO)
        ck_abort_msg("the sync should have failed: %s", stele_status_name(status));
    run->cut_from = recorder_now();
    expect_moved(run, "resuming", stele_shards_resume(at[now->from], NULL, NULL));
    run->cut_to = recorder_now();
    now->ended_at = run->cut_to;
    *place = now->to;
}

static void append_and_resume_switches(crash_run *run)
{
    stele_shards *at[2];
    int place = 0;
    forget_what_is_known();
    open_two(test_path("disk"), at);
    append_some(run, at, place);
    int count = 1 + (int)random_below(&run->random, 2);
    for (int i = 0; i < count; i++)
        switch_and_resume(run, at, &place);
    stele_shards_close(at[0]);
    stele_shards_close(at[1]);
}

/* --- What is left --- */

/* The events there, in order and each once; -1 otherwise. */
static int count_in_order(stele_store *store)
{
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    int count = 0;
    if (stele_store_read(store, NULL, &cursor) != STELE_OK)
        return -1;
    stele_status status;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK && count >= 0) {
        char data[32];
        int size = snprintf(data, sizeof(data), "{\"n\":%d}", count + 1);
        bool right =
            record->data_size == (size_t)size && memcmp(record->data, data, (size_t)size) == 0;
        count = right ? count + 1 : -1;
    }
    stele_cursor_close(cursor);
    return status == STELE_DONE ? count : -1;
}

static void judge_content(stele_store *store, size_t cut, bool thorough, verdict *found)
{
    int told = 0;
    while (told < known.attempted && known.appended_at[told + 1] <= cut)
        told++;
    int count = count_in_order(store);
    if (count < told || count > known.attempted)
        verdict_break(found, "%d events are there, and %d were acknowledged", count, told);
    found->kept += count > told ? count - told : 0;
    if (thorough)
        verdict_verify(found, store, "after the cut");
}

/* The places that answer OK, as bits. */
static unsigned find_open(stele_shards *at[2], size_t cut, bool thorough, verdict *found)
{
    unsigned open = 0;
    for (int i = 0; i < PLACES; i++) {
        stele_shard *shard = NULL;
        stele_acquire how = STELE_ACQUIRE_INIT;
        how.must_exist = true;
        stele_status status = stele_shards_acquire(at[i % 2], "acme", names_of[i], &how, &shard);
        if (status == STELE_OK) {
            open |= 1u << i;
            judge_content(stele_shard_store(shard), cut, thorough, found);
            stele_shard_release(shard);
        } else if (status != STELE_MOVED && status != STELE_NOT_FOUND && status != STELE_BUSY) {
            verdict_break_status(found, "acquiring", status);
        }
    }
    return open;
}

/* Where it may be: where the last move that ended left it, or where the next one has it go. */
static unsigned places_allowed(size_t cut)
{
    unsigned allowed = 1;
    for (int i = 0; i < known.action_count && known.actions[i].begun_at <= cut; i++) {
        const action *one = &known.actions[i];
        allowed = one->ended_at <= cut ? 1u << one->outcome : 1u << one->from | 1u << one->to;
    }
    return allowed;
}

static bool is_one_bit(unsigned bits)
{
    return bits != 0 && (bits & (bits - 1)) == 0;
}

static int place_of_bit(unsigned bits)
{
    int place = 0;
    while ((bits & 1u << place) == 0)
        place++;
    return place;
}

static void judge_after_resuming(stele_shards *at[2], size_t cut, bool thorough, verdict *found)
{
    uint64_t finished = 0;
    for (int i = 0; i < 2; i++) {
        uint64_t here = 0;
        stele_status status = stele_shards_resume(at[i], NULL, &here);
        if (status != STELE_OK)
            verdict_break_status(found, "resuming", status);
        finished += here;
    }
    seen.found_unfinished += finished > 0;
    found->resumed = finished > 0;
    unsigned open = find_open(at, cut, thorough, found);
    if (open == 0 && known.created_at > cut)
        return;
    if (!is_one_bit(open) || (open & places_allowed(cut)) == 0) {
        verdict_break(found, "the shard is at the places 0x%x, and may be at 0x%x", open,
                      places_allowed(cut));
        return;
    }
    stele_status status = append_next(at, place_of_bit(open), 1000);
    if (status != STELE_OK)
        verdict_break_status(found, "appending", status);
}

/* Two who come at once, one by one: taking back what was cut, and then moving. */
static void judge_taking_back(stele_shards *at[2], size_t cut, bool thorough, verdict *found)
{
    for (int i = 0; i < PLACES; i++) {
        stele_status status = stele_shards_move_cancel(at[i % 2], "acme", names_of[i], NULL);
        /* BUSY: it is on its way to there. */
        if (status != STELE_OK && status != STELE_NOT_FOUND && status != STELE_CONFLICT
            && status != STELE_BUSY)
            verdict_break_status(found, "taking back", status);
        seen.found_switched += status == STELE_CONFLICT;
    }
    judge_after_resuming(at, cut, thorough, found);
}

static verdict judge_places(const char *folder, size_t cut, bool thorough, bool take_back)
{
    verdict found = { 0 };
    stele_shards *at[2];
    open_two(folder, at);
    seen.images++;
    unsigned open = find_open(at, cut, false, &found);
    if (open != 0 && !is_one_bit(open))
        verdict_break(&found, "the shard is at the places 0x%x at once", open);
    seen.in_two_states += !is_one_bit(places_allowed(cut));
    if (take_back)
        judge_taking_back(at, cut, thorough, &found);
    else
        judge_after_resuming(at, cut, thorough, &found);
    stele_shards_close(at[0]);
    stele_shards_close(at[1]);
    return found;
}

/* What was written down names places by their paths, so the image is judged where it was made. */
static verdict judge_move(crash_run *run, const char *folder, size_t cut, bool thorough)
{
    char disk[1100];
    char aside[1100];
    (void)run;
    snprintf(disk, sizeof(disk), "%s", test_path("disk"));
    snprintf(aside, sizeof(aside), "%s", test_path("disk-aside"));
    bool elsewhere = strcmp(folder, disk) != 0;
    if (elsewhere) {
        ck_assert_int_eq(rename(disk, aside), 0);
        ck_assert_int_eq(rename(folder, disk), 0);
    }
    verdict found = judge_places(disk, cut, thorough, elsewhere);
    if (elsewhere) {
        ck_assert_int_eq(rename(disk, folder), 0);
        ck_assert_int_eq(rename(aside, disk), 0);
    }
    return found;
}

static const crash_workload moving = {
    .name = "shard-moves",
    .work = append_and_move,
    .judge = judge_move,
    .plain_sqlite = true, /* that lies at run->path, at least */
    .cuts = 150,
};

START_TEST(moves_may_be_cut_at_every_step)
{
    crash_expect_whole(&moving);
    printf("# images %zu, in the middle of a move %zu; moves finished after the cut in %zu,"
           " not to be taken back any more in %zu\n",
           seen.images, seen.in_two_states, seen.found_unfinished, seen.found_switched);
}
END_TEST

static const crash_workload resuming = {
    .name = "shard-moves-resumed",
    .work = append_and_resume_switches,
    .judge = judge_move,
    .plain_sqlite = true,
    .cuts = 120,
};

/* Who was cut right behind the switch may not have made it durable: who goes on does, before the
 * old place says where to. */
START_TEST(switches_that_were_not_made_durable_are_so_before_anything_rests_on_them)
{
    crash_expect_whole(&resuming);
}
END_TEST

/* --- Controls --- */

static void expect_broken(const crash_workload *workload)
{
    crash_report report = crash_test(workload);
    ck_assert_msg(report.cuts < 50 || report.broken_cuts > 0, "none of %zu cuts broke a move",
                  report.cuts);
}

START_TEST(copies_without_syncs_are_found_out)
{
    static const crash_workload unsynced = {
        .name = "control-move-copy-sync-ignored",
        .work = append_and_move,
        .judge = judge_move,
        .plain_sqlite = true,
        .faults = { .sync_ignored = "-partial" },
        .cuts = 100,
    };
    expect_broken(&unsynced);
}
END_TEST

START_TEST(fences_without_syncs_are_found_out)
{
    static const crash_workload unfenced = {
        .name = "control-move-wal-sync-ignored",
        .work = append_and_move,
        .judge = judge_move,
        .plain_sqlite = true,
        .faults = { .wal_sync_ignored = true },
        .cuts = 100,
    };
    expect_broken(&unfenced);
}
END_TEST

START_TEST(names_without_syncs_are_found_out)
{
    static const crash_workload unnamed = {
        .name = "control-move-folder-sync-ignored",
        .work = append_and_move,
        .judge = judge_move,
        .plain_sqlite = true,
        .faults = { .folder_sync_ignored = true },
        .cuts = 100,
    };
    expect_broken(&unnamed);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_shard_move");
    TCase *tests = crash_case(suite, "shard-moves");
    tcase_add_test(tests, moves_may_be_cut_at_every_step);
    tests = crash_case(suite, "shard-moves-resumed");
    tcase_add_test(tests, switches_that_were_not_made_durable_are_so_before_anything_rests_on_them);
    tests = crash_case(suite, "control-move-copy-sync-ignored");
    tcase_add_test(tests, copies_without_syncs_are_found_out);
    tests = crash_case(suite, "control-move-wal-sync-ignored");
    tcase_add_test(tests, fences_without_syncs_are_found_out);
    tests = crash_case(suite, "control-move-folder-sync-ignored");
    tcase_add_test(tests, names_without_syncs_are_found_out);
    return run_suite(suite);
}
