/* Power cuts while a store is created, reopened, and worked on again after an earlier cut. */
#include "crash/harness.h"
#include "support.h"

/* By opening alone, or by migrating first, as those do who deploy in steps. */
static void create(crash_run *run)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = run->workload->durability;
    if (random_chance(&run->random, 1, 2) && stele_store_migrate(run->path, &options) != STELE_OK)
        ck_abort_msg("migrating: %s", stele_error_text());
    stele_store *store = crash_open(run);
    crash_append_and_transfer(run, store, 2, CRASH_BATCHES);
    crash_close(run, store);
}

static void reopen_again_and_again(crash_run *run)
{
    for (int i = 0; i < 6; i++) {
        stele_store *store = crash_open(run);
        crash_append_and_transfer(run, store, 5, CRASH_BATCHES | CRASH_MANY | CRASH_KEYS);
        crash_close(run, store);
    }
}

static void work_for_a_life(crash_run *run)
{
    stele_store *store = crash_open(run);
    crash_append_and_transfer(run, store, 25, CRASH_BATCHES | CRASH_MANY | CRASH_KEYS);
    crash_close(run, store);
}

static const crash_workload created = { .name = "create", .work = create, .cuts = 500 };

static const crash_workload created_relaxed = {
    .name = "create-relaxed",
    .work = create,
    .durability = STELE_DURABILITY_RELAXED,
    .cuts = 200,
};

static const crash_workload reopened = {
    .name = "reopen",
    .work = reopen_again_and_again,
    .cuts = 400,
};

static const crash_workload reopened_relaxed = {
    .name = "reopen-relaxed",
    .work = reopen_again_and_again,
    .durability = STELE_DURABILITY_RELAXED,
    .cuts = 400,
};

static const crash_workload twice = {
    .name = "twice",
    .work = work_for_a_life,
    .cut_twice = true,
    .cuts = 500,
};

static const crash_workload twice_relaxed = {
    .name = "twice-relaxed",
    .work = work_for_a_life,
    .durability = STELE_DURABILITY_RELAXED,
    .cut_twice = true,
    .cuts = 500,
};

static const crash_workload forgetful_folder = {
    .name = "control-folder-sync-ignored",
    .work = create,
    .faults = { .folder_sync_ignored = true },
    .cuts = 200,
};

START_TEST(creation_may_be_cut_anywhere)
{
    crash_expect_whole(&created);
    crash_expect_whole(&created_relaxed);
}
END_TEST

START_TEST(opening_and_closing_may_be_cut_anywhere)
{
    crash_expect_whole(&reopened);
    crash_expect_whole(&reopened_relaxed);
}
END_TEST

START_TEST(store_that_was_cut_may_be_cut_again)
{
    crash_expect_whole(&twice);
    crash_expect_whole(&twice_relaxed);
}
END_TEST

/* The control: without a sync of the folder, names of files are not durable. */
START_TEST(disk_that_ignores_the_sync_of_folders_is_found_out)
{
    crash_report report = crash_test(&forgetful_folder);

    ck_assert_msg(report.cuts < 100 || report.lossy_cuts + report.broken_cuts > report.cuts / 20,
                  "only %zu of %zu cuts lost events, %zu broke the store", report.lossy_cuts,
                  report.cuts, report.broken_cuts);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_lives");
    TCase *tests = crash_case(suite, "create");
    tcase_add_test(tests, creation_may_be_cut_anywhere);
    tests = crash_case(suite, "reopen");
    tcase_add_test(tests, opening_and_closing_may_be_cut_anywhere);
    tests = crash_case(suite, "twice");
    tcase_add_test(tests, store_that_was_cut_may_be_cut_again);
    tests = crash_case(suite, "control-folder-sync-ignored");
    tcase_add_test(tests, disk_that_ignores_the_sync_of_folders_is_found_out);
    return run_suite(suite);
}
