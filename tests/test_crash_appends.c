/* Power cuts while events are appended: what was acknowledged is there, and nothing is half there.
 */
#include "crash/harness.h"
#include "support.h"

static void append_all_ways(crash_run *run)
{
    stele_store *store = crash_open(run);
    crash_append_and_transfer(run, store, 60, CRASH_BATCHES | CRASH_MANY | CRASH_KEYS);
    crash_close(run, store);
}

static void append_one_by_one(crash_run *run)
{
    stele_store *store = crash_open(run);
    crash_append_and_transfer(run, store, 120, 0);
    crash_close(run, store);
}

static const crash_workload full = {
    .name = "full",
    .work = append_all_ways,
    .cuts = 600,
};

static const crash_workload full_single = {
    .name = "full-single",
    .work = append_one_by_one,
    .cuts = 400,
};

static const crash_workload relaxed = {
    .name = "relaxed",
    .work = append_all_ways,
    .durability = STELE_DURABILITY_RELAXED,
    .cuts = 600,
};

static const crash_workload deaf_disk = {
    .name = "control-wal-sync-ignored",
    .work = append_all_ways,
    .faults = { .wal_sync_ignored = true },
    .cuts = 200,
};

START_TEST(acknowledged_events_survive_power_cuts)
{
    crash_expect_whole(&full);
}
END_TEST

START_TEST(single_events_survive_power_cuts)
{
    crash_expect_whole(&full_single);
}
END_TEST

/* The control: what relaxed durability loses shows that losses are seen at all. */
START_TEST(relaxed_durability_loses_only_the_tail_and_begins_a_new_epoch)
{
    crash_report report = crash_test(&relaxed);

    ck_assert_msg(report.broken_cuts == 0, "%zu broken, the first: %s", report.broken_cuts,
                  report.first_break);
    ck_assert_msg(report.cuts < 100 || report.lossy_cuts > report.cuts / 20,
                  "only %zu of %zu cuts lost events", report.lossy_cuts, report.cuts);
}
END_TEST

/* The control: a disk that says it synced a WAL, and didn't. */
START_TEST(disk_that_ignores_the_sync_of_the_wal_is_found_out)
{
    crash_report report = crash_test(&deaf_disk);

    ck_assert_msg(report.cuts < 100 || report.lossy_cuts + report.broken_cuts > report.cuts / 20,
                  "only %zu of %zu cuts lost events, %zu broke the store", report.lossy_cuts,
                  report.cuts, report.broken_cuts);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_appends");
    TCase *tests = crash_case(suite, "full");
    tcase_add_test(tests, acknowledged_events_survive_power_cuts);
    tests = crash_case(suite, "full-single");
    tcase_add_test(tests, single_events_survive_power_cuts);
    tests = crash_case(suite, "relaxed");
    tcase_add_test(tests, relaxed_durability_loses_only_the_tail_and_begins_a_new_epoch);
    tests = crash_case(suite, "control-wal-sync-ignored");
    tcase_add_test(tests, disk_that_ignores_the_sync_of_the_wal_is_found_out);
    return run_suite(suite);
}
