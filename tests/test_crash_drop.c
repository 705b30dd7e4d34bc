/*
 * Power cuts while a shard is dropped, brought back, backed up and recovered: at each moment it is
 * whole in its place, whole in the trash, or not there yet; never in both, and never lost.
 */
#include "crash/harness.h"
#include "support.h"

#include <stele.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS   2
#define STEP_MAX 40

typedef enum step_kind { APPENDED, DROPPED, UNDROPPED, RECOVERED } step_kind;

/* What the work did, from when it began to when that was acknowledged. */
typedef struct step {
    step_kind kind;
    size_t began;
    size_t ended;
    int count; /* of events, with this step */
} step;

static step steps[STEP_MAX];
static size_t step_count;
static int event_count;

/* --- The work --- */

static void expect_ok(const crash_run *run, const char *doing, stele_status status)
{
    if (status != STELE_OK)
        ck_abort_msg("%s: %s: %s", run->workload->name, doing, stele_error_text());
}

static void begin_step(step_kind kind)
{
    ck_assert_uint_lt(step_count, STEP_MAX);
    steps[step_count] = (step){ .kind = kind, .began = recorder_now(), .ended = SIZE_MAX };
}

static void end_step(void)
{
    steps[step_count].count = event_count;
    steps[step_count++].ended = recorder_now();
}

static stele_status append_here(stele_shard *shard)
{
    stele_event event = { 0 };
    stele_append append = STELE_APPEND_INIT;
    event.type = "went-on";
    append.stream = "a-1";
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(stele_shard_store(shard), &append, NULL);
}

static stele_status open_shards_in(const char *folder, stele_shards **shards_out)
{
    char root[512];
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    snprintf(root, sizeof(root), "%.400s/root", folder);
    options.trash_grace_s = UINT32_MAX; /* the recorder's clock is of another time */
    return stele_shards_open(root, &options, shards_out);
}

static void append_some(crash_run *run, stele_shards *shards)
{
    stele_shard *shard = NULL;
    begin_step(APPENDED);
    expect_ok(run, "acquiring", stele_shards_acquire(shards, "acme", "orders", NULL, &shard));
    uint64_t count = 1 + random_below(&run->random, 3);
    for (uint64_t i = 0; i < count; i++) {
        expect_ok(run, "appending", append_here(shard));
        event_count++;
    }
    stele_shard_release(shard);
    end_step();
}

static void recover_copy(crash_run *run, stele_shards *shards, int round)
{
    char name[32];
    char backup_path[512];
    stele_backup backup = STELE_BACKUP_INIT;
    stele_recover recover = STELE_RECOVER_INIT;
    snprintf(backup_path, sizeof(backup_path), "%.400s-%d", test_path("disk/backup"), round);
    snprintf(name, sizeof(name), "copy-%d", round);
    backup.path = backup_path;
    recover.backup = backup_path;
    expect_ok(run, "backing up", stele_shards_backup(shards, "acme", "orders", &backup, NULL));
    begin_step(RECOVERED);
    expect_ok(run, "recovering", stele_shards_recover(shards, "acme", name, &recover, NULL));
    end_step();
}

static void drop_and_bring_back(crash_run *run)
{
    stele_shards *shards = NULL;
    step_count = 0;
    event_count = 0;
    expect_ok(run, "opening", open_shards_in(test_path("disk"), &shards));
    append_some(run, shards);
    for (int i = 0; i < ROUNDS; i++) {
        begin_step(DROPPED);
        expect_ok(run, "dropping", stele_shards_drop(shards, "acme", "orders", false, NULL));
        end_step();
        begin_step(UNDROPPED);
        expect_ok(run, "undropping", stele_shards_undrop(shards, "acme", "orders", NULL));
        end_step();
        append_some(run, shards);
        recover_copy(run, shards, i);
    }
    begin_step(DROPPED);
    expect_ok(run, "dropping", stele_shards_drop(shards, "acme", "orders", false, NULL));
    end_step();
    stele_shards_close(shards);
}

/* --- The judge --- */

/* What must hold at a cut. */
typedef struct expectation {
    bool created;
    bool in_place; /* it may be */
    bool in_trash; /* likewise */
    bool dropping; /* just now, so that it may be fenced */
    int least;     /* events */
    int most;
    int copies; /* recovered */
} expectation;

static expectation expect_at(size_t cut)
{
    expectation at = { .in_place = true };
    for (size_t i = 0; i < step_count && steps[i].began <= cut; i++) {
        bool done = steps[i].ended <= cut;
        switch (steps[i].kind) {
        case APPENDED:
            at.created = at.created || done;
            at.least = done ? steps[i].count : at.least;
            at.most = steps[i].count;
            break;
        case DROPPED:
            at.in_trash = true;
            at.in_place = !done;
            at.dropping = !done;
            break;
        case UNDROPPED:
            at.in_place = true;
            at.in_trash = !done;
            break;
        case RECOVERED: at.copies += done; break;
        }
    }
    return at;
}

static int count_trash(stele_shards *shards, verdict *found)
{
    int count = 0;
    stele_trash *trash = NULL;
    const stele_trashed *trashed = NULL;
    stele_status status = stele_shards_trash(shards, &trash);
    while (status == STELE_OK && (status = stele_trash_next(trash, &trashed)) == STELE_OK)
        count += strcmp(trashed->name_space, "orders") == 0;
    stele_trash_close(trash);
    if (status != STELE_DONE)
        verdict_break_status(found, "listing the trash", status);
    return count;
}

static stele_status acquire_there(stele_shards *shards, const char *name, stele_shard **shard_out)
{
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.must_exist = true;
    return stele_shards_acquire(shards, "acme", name, &how, shard_out);
}

/* Whatever was left, it can be gone on with: dropped for good, and brought back. */
static void go_on(stele_shards *shards, bool in_trash, bool drop_first, const expectation *at,
                  verdict *found)
{
    stele_shard *shard = NULL;
    stele_status status = in_trash ? STELE_NOT_FOUND : acquire_there(shards, "orders", &shard);
    if (status == STELE_FENCED) {
        found->resumed = true;
        if (!at->dropping)
            verdict_break(found, "it is fenced, and nobody drops it");
        status = STELE_OK;
        if (drop_first)
            status = stele_shards_drop(shards, "acme", "orders", false, NULL);
        if (status == STELE_OK)
            status = stele_shards_undrop(shards, "acme", "orders", NULL);
    } else if (in_trash) {
        status = stele_shards_undrop(shards, "acme", "orders", NULL);
    }
    if (status != STELE_OK)
        verdict_break_status(found, "going on", status);
    if (shard == NULL)
        status = acquire_there(shards, "orders", &shard);
    if (status != STELE_OK) {
        verdict_break_status(found, "acquiring it", status);
        return;
    }
    int64_t head = -1;
    stele_store_head(stele_shard_store(shard), &head);
    if (head < at->least)
        found->lost += at->least - head;
    if (head < at->least || head > at->most)
        verdict_break(found, "it has %" PRId64 " events, not %d to %d", head, at->least, at->most);
    verdict_verify(found, stele_shard_store(shard), "afterwards");
    if (append_here(shard) != STELE_OK)
        verdict_break(found, "it takes no event: %s", stele_error_text());
    stele_shard_release(shard);
}

static void judge_copies(stele_shards *shards, const expectation *at, verdict *found)
{
    for (int i = 0; i < ROUNDS; i++) {
        char name[32];
        stele_shard *shard = NULL;
        snprintf(name, sizeof(name), "copy-%d", i);
        stele_status status = acquire_there(shards, name, &shard);
        if (status == STELE_NOT_FOUND && i >= at->copies)
            continue;
        if (status == STELE_OK)
            verdict_verify(found, stele_shard_store(shard), name);
        else
            verdict_break_status(found, name, status);
        stele_shard_release(shard);
    }
}

static verdict judge_drop(crash_run *run, const char *folder, size_t cut, bool thorough)
{
    verdict found = { 0 };
    stele_shards *shards = NULL;
    stele_maintained maintained;
    char path[512];
    const expectation at = expect_at(cut);
    (void)run;
    stele_status status = open_shards_in(folder, &shards);
    if (status == STELE_OK)
        status = stele_shards_path(shards, "acme", "orders", path, sizeof(path));
    if (status != STELE_OK) {
        verdict_break_status(&found, "opening", status);
        stele_shards_close(shards);
        return found;
    }
    int in_trash = count_trash(shards, &found);
    bool in_place = access(path, F_OK) == 0;
    if (in_place + in_trash > 1) {
        found.doubled = at.least;
        verdict_break(&found, "it is in its place and in the trash, or twice in the trash");
    }
    if (in_place + in_trash == 0 && at.created) {
        found.lost = at.least;
        verdict_break(&found, "it is nowhere");
    }
    if ((in_place && !at.in_place) || (in_trash > 0 && !at.in_trash))
        verdict_break(&found, "it is %s, which was done with", in_place ? "in place" : "in trash");
    if (thorough) /* removes no more than remains */
        status = stele_shards_maintain(shards, NULL, &maintained);
    if (status != STELE_OK)
        verdict_break_status(&found, "maintaining", status);
    if (!found.broken && in_place + in_trash == 1)
        go_on(shards, in_trash > 0, cut % 2 == 0, &at, &found);
    if (!found.broken)
        judge_copies(shards, &at, &found);
    stele_shards_close(shards);
    return found;
}

static const crash_workload dropping = {
    .name = "drop",
    .work = drop_and_bring_back,
    .judge = judge_drop,
    .plain_sqlite = true,
    .cuts = 300,
};

static const crash_workload unsynced_folders = {
    .name = "control-drop-folders",
    .work = drop_and_bring_back,
    .judge = judge_drop,
    .plain_sqlite = true,
    .faults = { .folder_sync_ignored = true },
    .cuts = 100,
};

START_TEST(dropping_and_bringing_back_may_be_cut_anywhere)
{
    crash_expect_whole(&dropping);
}
END_TEST

/* The control: what is renamed, and not durably so, is found where it was. */
START_TEST(folders_that_are_not_synced_are_found_out)
{
    crash_report report = crash_test(&unsynced_folders);

    ck_assert_msg(report.cuts < 50 || report.broken_cuts > report.cuts / 20,
                  "only %zu of %zu cuts broke a drop", report.broken_cuts, report.cuts);
}
END_TEST

/* --- One that is damaged, with commits in its WAL --- */

static const char damaged_bytes[] = "this was a store once";
static const char commits_bytes[] = "commits that the file doesn't have";

static void put_durably(const char *path, const char *bytes, size_t size)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(write(descriptor, bytes, size), (ssize_t)size);
    ck_assert_int_eq(fsync(descriptor), 0);
    close(descriptor);
}

static void sync_names_in(const char *folder)
{
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(fsync(descriptor), 0);
    close(descriptor);
}

static void drop_damaged_and_bring_it_back(crash_run *run)
{
    char path[512];
    char wal[600];
    stele_shards *shards = NULL;
    stele_shard *shard = NULL;
    expect_ok(run, "opening", open_shards_in(test_path("disk"), &shards));
    expect_ok(run, "acquiring", stele_shards_acquire(shards, "acme", "other", NULL, &shard));
    stele_shard_release(shard);
    expect_ok(run, "finding", stele_shards_path(shards, "acme", "orders", path, sizeof(path)));
    snprintf(wal, sizeof(wal), "%s-wal", path);
    put_durably(wal, commits_bytes, sizeof(commits_bytes));
    put_durably(path, damaged_bytes, sizeof(damaged_bytes));
    sync_names_in(test_path("disk/root/acme"));
    run->cut_from = recorder_now();
    for (int i = 0; i < ROUNDS; i++) {
        expect_ok(run, "dropping", stele_shards_drop(shards, "acme", "orders", true, NULL));
        expect_ok(run, "undropping", stele_shards_undrop(shards, "acme", "orders", NULL));
    }
    expect_ok(run, "dropping", stele_shards_drop(shards, "acme", "orders", true, NULL));
    run->cut_to = recorder_now();
    stele_shards_close(shards);
}

static bool holds_bytes(const char *path, const char *bytes, size_t size)
{
    char found[128];
    int descriptor = open(path, O_RDONLY);
    if (descriptor < 0)
        return false;
    ssize_t got = read(descriptor, found, sizeof(found));
    close(descriptor);
    return got == (ssize_t)size && memcmp(found, bytes, size) == 0;
}

static void expect_with_commits(const char *path, const char *when, verdict *found)
{
    char wal[1100];
    snprintf(wal, sizeof(wal), "%s-wal", path);
    if (!holds_bytes(path, damaged_bytes, sizeof(damaged_bytes)))
        verdict_break(found, "%s: the file isn't what it was", when);
    if (!holds_bytes(wal, commits_bytes, sizeof(commits_bytes)))
        verdict_break(found, "%s: the file has parted with its WAL", when);
}

/* Its path, where it is; "" when it is nowhere. */
static void find_damaged(stele_shards *shards, const char *path, char found_out[1024],
                         verdict *found)
{
    stele_trash *trash = NULL;
    const stele_trashed *trashed = NULL;
    int count = access(path, F_OK) == 0;
    snprintf(found_out, 1024, "%s", count == 1 ? path : "");
    stele_status status = stele_shards_trash(shards, &trash);
    while (status == STELE_OK && (status = stele_trash_next(trash, &trashed)) == STELE_OK) {
        snprintf(found_out, 1024, "%s", trashed->path);
        count++;
    }
    stele_trash_close(trash);
    if (count != 1)
        verdict_break(found, "it is at %d places", count);
}

/* What was left of it in its place takes no name from the next one. */
static void use_the_name(stele_shards *shards, bool maintain, verdict *found)
{
    stele_shard *shard = NULL;
    stele_maintained maintained;
    stele_status status = maintain ? stele_shards_maintain(shards, NULL, &maintained) : STELE_OK;
    if (status == STELE_OK)
        status = stele_shards_acquire(shards, "acme", "orders", NULL, &shard);
    if (status != STELE_OK)
        verdict_break_status(found, "using its name", status);
    stele_shard_release(shard);
}

static verdict judge_damaged(crash_run *run, const char *folder, size_t cut, bool thorough)
{
    verdict found = { 0 };
    stele_shards *shards = NULL;
    char path[512];
    char where[1024];
    (void)run;
    stele_status status = open_shards_in(folder, &shards);
    if (status == STELE_OK)
        status = stele_shards_path(shards, "acme", "orders", path, sizeof(path));
    if (status != STELE_OK)
        verdict_break_status(&found, "opening", status);
    find_damaged(shards, path, where, &found);
    if (!found.broken)
        expect_with_commits(where, "after the cut", &found);
    bool in_trash = strcmp(where, path) != 0;
    if (!found.broken && in_trash && cut % 3 == 0) {
        use_the_name(shards, thorough, &found);
        expect_with_commits(where, "beside a new one", &found);
    } else if (!found.broken) {
        if (!in_trash && cut % 2 == 0) {
            status = stele_shards_drop(shards, "acme", "orders", true, NULL);
            in_trash = true;
        }
        if (status == STELE_OK && in_trash)
            status = stele_shards_undrop(shards, "acme", "orders", NULL);
        if (status != STELE_OK)
            verdict_break_status(&found, "going on", status);
        expect_with_commits(path, "brought back", &found);
    }
    stele_shards_close(shards);
    return found;
}

static const crash_workload dropping_damaged = {
    .name = "drop-damaged",
    .work = drop_damaged_and_bring_it_back,
    .judge = judge_damaged,
    .plain_sqlite = true,
    .cuts = 300,
};

/* Without its WAL it could lose commits if it is mended some day. */
START_TEST(a_damaged_one_and_its_wal_never_part)
{
    crash_expect_whole(&dropping_damaged);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_drop");
    TCase *tests = crash_case(suite, "drop");
    tcase_add_test(tests, dropping_and_bringing_back_may_be_cut_anywhere);
    tests = crash_case(suite, "drop-damaged");
    tcase_add_test(tests, a_damaged_one_and_its_wal_never_part);
    tests = crash_case(suite, "control-drop-folders");
    tcase_add_test(tests, folders_that_are_not_synced_are_found_out);
    return run_suite(suite);
}
