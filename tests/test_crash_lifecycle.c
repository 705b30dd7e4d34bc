/* Power cuts while streams are archived into another store, restored and deleted. */
#include "crash/lifecycle.h"
#include "support.h"

static const crash_workload full = {
    .name = "lifecycle",
    .work = lifecycle_work,
    .judge = lifecycle_judge,
    .dispose = lifecycle_dispose,
    .cuts = 350,
};

static const crash_workload relaxed = {
    .name = "lifecycle-relaxed",
    .work = lifecycle_work,
    .judge = lifecycle_judge,
    .dispose = lifecycle_dispose,
    .durability = STELE_DURABILITY_RELAXED,
    .cuts = 200,
};

static const crash_workload twice = {
    .name = "lifecycle-twice",
    .work = lifecycle_work,
    .judge = lifecycle_judge,
    .rebase = lifecycle_rebase,
    .dispose = lifecycle_dispose,
    .cut_twice = true,
    .cuts = 200,
};

static void move_large_stream(crash_run *run)
{
    lifecycle_work_large(run, 200, 4);
}

static const crash_workload large = {
    .name = "lifecycle-large",
    .work = move_large_stream,
    .judge = lifecycle_judge,
    .dispose = lifecycle_dispose,
    .cuts = 150,
};

static const crash_workload forgetful_archive = {
    .name = "control-archive-sync-ignored",
    .work = lifecycle_work,
    .judge = lifecycle_judge,
    .dispose = lifecycle_dispose,
    .faults = { .sync_ignored = "archive.db-wal" },
    .cuts = 120,
};

static const crash_workload forgetful_store = {
    .name = "control-store-sync-ignored",
    .work = lifecycle_work,
    .judge = lifecycle_judge,
    .dispose = lifecycle_dispose,
    .faults = { .sync_ignored = "store.db-wal" },
    .cuts = 120,
};

START_TEST(archive_restore_and_delete_may_be_cut_anywhere)
{
    crash_expect_whole(&full);
}
END_TEST

START_TEST(relaxed_store_loses_nothing_that_was_archived)
{
    crash_expect_whole(&relaxed);
}
END_TEST

START_TEST(resuming_may_be_cut_anywhere)
{
    crash_expect_whole(&twice);
}
END_TEST

START_TEST(large_stream_may_be_cut_anywhere)
{
    crash_expect_whole(&large);
}
END_TEST

/* The controls: the copies have to be durable before their originals go, and the other way round.
 * A disk that ignores the sync of one of the two files loses events. */
START_TEST(disk_that_ignores_the_sync_of_one_store_is_found_out)
{
    crash_report report = crash_test(&forgetful_archive);

    ck_assert_msg(report.cuts < 100 || report.lossy_cuts > report.cuts / 20,
                  "only %zu of %zu cuts lost events", report.lossy_cuts, report.cuts);

    report = crash_test(&forgetful_store);
    ck_assert_msg(report.cuts < 100 || report.lossy_cuts + report.broken_cuts > report.cuts / 20,
                  "only %zu of %zu cuts lost events, %zu broke the stores", report.lossy_cuts,
                  report.cuts, report.broken_cuts);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_lifecycle");
    TCase *tests = crash_case(suite, "full");
    tcase_add_test(tests, archive_restore_and_delete_may_be_cut_anywhere);
    tests = crash_case(suite, "relaxed");
    tcase_add_test(tests, relaxed_store_loses_nothing_that_was_archived);
    tests = crash_case(suite, "twice");
    tcase_add_test(tests, resuming_may_be_cut_anywhere);
    tests = crash_case(suite, "large");
    tcase_add_test(tests, large_stream_may_be_cut_anywhere);
    tests = crash_case(suite, "controls");
    tcase_add_test(tests, disk_that_ignores_the_sync_of_one_store_is_found_out);
    return run_suite(suite);
}
