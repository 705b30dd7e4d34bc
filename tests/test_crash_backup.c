/* Power cuts while backups are made and recovered: each is there and whole, or not there. */
#include "crash/harness.h"
#include "support.h"

#include <stele/backup.h>
#include <stele/verify.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 3

/* A file that the work makes. */
typedef struct made_file {
    char name[32]; /* beside the store */
    bool backup;   /* else a recovered store */
    size_t acked_at;
    int64_t head;
} made_file;

static made_file made[2 * ROUNDS];
static size_t in_the_way; /* left-overs that could not be told from a file of somebody's */

static const char *path_in(const char *folder, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "%.16s/%.32s", folder, name);
    return test_path(path);
}

static void expect_ok(const crash_run *run, const char *doing, stele_status status)
{
    if (status != STELE_OK)
        ck_abort_msg("%s: %s: %s", run->workload->name, doing, stele_error_text());
}

static void make_backup(crash_run *run, stele_store *store, made_file *file)
{
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 3;
    stele_backup backup = STELE_BACKUP_INIT;
    stele_backed_up facts;
    backup.path = path_in("disk", file->name);
    backup.work = &work;
    expect_ok(run, "backing up", stele_store_backup(store, &backup, &facts));
    file->backup = true;
    file->acked_at = recorder_now();
    file->head = facts.head;
}

static void make_store(crash_run *run, const char *from, made_file *file)
{
    stele_recover recover = STELE_RECOVER_INIT;
    stele_recovered facts;
    recover.backup = path_in("disk", from);
    recover.path = path_in("disk", file->name);
    expect_ok(run, "recovering", stele_recover_backup(&recover, &facts));
    file->backup = false;
    file->acked_at = recorder_now();
    file->head = facts.head;
}

static void back_up_and_recover(crash_run *run)
{
    for (int i = 0; i < 2 * ROUNDS; i++)
        made[i] = (made_file){ .acked_at = SIZE_MAX, .head = -1 };
    stele_store *store = crash_open(run);
    for (int i = 0; i < ROUNDS; i++) {
        made_file *backup = &made[2 * i];
        made_file *recovered = &made[2 * i + 1];
        snprintf(backup->name, sizeof(backup->name), "backup-%d", i);
        snprintf(recovered->name, sizeof(recovered->name), "new-%d", i);
        crash_append_and_transfer(run, store, 6, CRASH_BATCHES | CRASH_KEYS);
        make_backup(run, store, backup);
        make_store(run, backup->name, recovered);
    }
    crash_append_and_transfer(run, store, 3, 0);
    crash_close(run, store);
}

static void break_with(verdict *found, const made_file *file, const char *doing)
{
    verdict_break(found, "%s: %s: %s", file->name, doing, stele_error_text());
}

static void verify_file(stele_store *store, const made_file *file, verdict *found)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(store, NULL, &verify);
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK)
        if (check->failures > 0)
            verdict_break(found, "%s: the check '%s' fails: %s", file->name, check->name,
                          check->offender);
    stele_verify_close(verify);
    if (status != STELE_DONE)
        break_with(found, file, "verifying");
}

/* A backup is only read; a store takes an event. */
static void judge_writing(stele_store *store, const made_file *file, verdict *found)
{
    stele_event event = { 0 };
    event.type = "went-on";
    stele_append append = STELE_APPEND_INIT;
    append.stream = "after-1";
    append.events = &event;
    append.event_count = 1;
    stele_appended appended = { 0 };
    stele_status status = stele_store_append(store, &append, &appended);
    if (file->backup ? status != STELE_READ_ONLY
                     : status != STELE_OK || appended.last_position != file->head + 1)
        verdict_break(found, "%s: an append is %s at %" PRId64, file->name,
                      stele_status_name(status), appended.last_position);
}

static void judge_file(const made_file *file, const char *path, verdict *found)
{
    stele_store *store = NULL;
    int64_t head = -1;
    if (stele_store_open(path, NULL, &store) != STELE_OK) {
        break_with(found, file, "opening");
        return;
    }
    if (stele_store_head(store, &head) != STELE_OK)
        break_with(found, file, "asking for the head");
    else if (head != file->head)
        verdict_break(found, "%s: the head is %" PRId64 ", not %" PRId64, file->name, head,
                      file->head);
    verify_file(store, file, found);
    judge_writing(store, file, found);
    stele_store_close(store);
}

/* Whatever was left of a backup, it can be made again under the same name. */
static void make_again(stele_store *store, const char *path, verdict *found)
{
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = path;
    stele_status status = stele_store_backup(store, &backup, NULL);
    if (status == STELE_MISUSE && strstr(stele_error_text(), "is in the way") != NULL) {
        char partial[4200];
        snprintf(partial, sizeof(partial), "%s-partial", path);
        in_the_way++;
        unlink(partial);
        status = stele_store_backup(store, &backup, NULL);
    }
    if (status != STELE_OK)
        verdict_break(found, "making it again: %s", stele_error_text());
}

static void check_files(void *context, stele_store *store, int64_t head, verdict *found)
{
    const crash_run *run = context;
    (void)head;
    for (int i = 0; i < 2 * ROUNDS; i++) {
        const made_file *file = &made[i];
        const char *path = path_in("image", file->name);
        bool there = access(path, F_OK) == 0;
        if (there)
            judge_file(file, path, found);
        else if (file->acked_at <= run->cut)
            verdict_break(found, "%s is gone", file->name);
        else if (file->backup)
            make_again(store, path, found);
    }
}

static const crash_workload backups = {
    .name = "backups",
    .work = back_up_and_recover,
    .check = check_files,
    .cuts = 400,
};

static const crash_workload unsynced_copies = {
    .name = "control-copy-sync-ignored",
    .work = back_up_and_recover,
    .check = check_files,
    .faults = { .sync_ignored = "-partial" },
    .cuts = 150,
};

START_TEST(backup_and_recovery_may_be_cut_anywhere)
{
    crash_expect_whole(&backups);
    printf("# left-overs that were in the way: %zu\n", in_the_way);
}
END_TEST

/* The control: a name that comes before what it names is durable. */
START_TEST(copies_that_are_not_synced_are_found_out)
{
    crash_report report = crash_test(&unsynced_copies);

    ck_assert_msg(report.cuts < 100 || report.broken_cuts > report.cuts / 20,
                  "only %zu of %zu cuts broke a copy", report.broken_cuts, report.cuts);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_backup");
    TCase *tests = crash_case(suite, "backups");
    tcase_add_test(tests, backup_and_recovery_may_be_cut_anywhere);
    tests = crash_case(suite, "control-copy-sync-ignored");
    tcase_add_test(tests, copies_that_are_not_synced_are_found_out);
    return run_suite(suite);
}
