#include "crash/harness.h"

#include "crash/disk_image.h"
#include "crash/recording_vfs.h"
#include "support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CUTS_OF_A_RUN   100 /* made of one recording */
#define CUTS_OF_A_LIFE  10  /* made of one second life */
#define CUTS_LONG       10000
#define THOROUGH_EVERY  8
#define BOOT_OF_ORACLES 1000

void crash_setup(void)
{
    recording_vfs_register();
}

TCase *crash_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);
    tcase_set_timeout(tests, 0);
    tcase_add_checked_fixture(tests, NULL, remove_test_folder);
    suite_add_tcase(suite, tests);
    return tests;
}

/* --- Effort and seeds --- */

static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : 0;
}

static bool is_long(void)
{
    const char *effort = getenv("STELE_EFFORT");
    return effort != NULL && strcmp(effort, "long") == 0;
}

static size_t choose_cuts(const crash_workload *workload)
{
    uint64_t asked = number_of("STELE_CUTS");
    if (asked > 0)
        return (size_t)asked;
    return is_long() ? CUTS_LONG : workload->cuts;
}

/* The first seed of a workload's range: the same each time in ci effort, else of the moment. Runs
 * count from it; a cut's own seed is its run's, shifted, and the number of the cut. */
static uint64_t choose_first_run(const crash_workload *workload)
{
    uint64_t seed = 0;
    for (const char *at = workload->name; *at != '\0'; at++)
        seed = random_mix(seed, (unsigned char)*at);
    if (is_long())
        seed = random_mix(seed, (uint64_t)time(NULL));
    return seed >> 24;
}

/* --- Recording --- */

/* A file that the library writes by itself, and the recorder isn't told of, would be a blind spot.
 */
static void expect_anchor_recorded(const recording *recorded, int anchor)
{
    size_t writes = 0;
    for (size_t i = 0; i < recorded->count; i++)
        writes += recorded->operations[i].kind == OPERATION_WRITE
                  && recorded->operations[i].file == anchor;
    ck_assert_msg(anchor >= 0 && writes > 0, "the anchor's writes were not recorded");
}

static recording record_life(const crash_workload *workload, uint64_t seed, crash_run *run)
{
    recorder_set_boot(run->life);
    recorder_start(test_path("disk"), seed, workload->faults);
    recording_vfs_reseed();
    workload->work(run);
    int anchor = recorder_find("store.db-anchor");
    recording recorded = recorder_stop();
    if (!workload->plain_sqlite)
        expect_anchor_recorded(&recorded, anchor);
    recording_vfs_reseed();
    if (!history_settle(&run->past))
        ck_abort_msg("%s, run 0x%" PRIx64 ": the work itself left a hole", workload->name, seed);
    return recorded;
}

recording crash_record(const crash_workload *workload, uint64_t seed, crash_run *run_out)
{
    *run_out = (crash_run){ .workload = workload, .random = { random_mix(seed, 1) }, .life = 1 };
    run_out->path = test_path("disk/store.db");
    history_init(&run_out->past);
    const image empty = { NULL, 0 };
    image_save(&empty, test_path("disk"));
    return record_life(workload, seed, run_out);
}

void crash_run_dispose(crash_run *run)
{
    history_dispose(&run->past);
    if (run->workload->dispose != NULL)
        run->workload->dispose(run);
    run->known = NULL;
}

/* --- Cutting --- */

static void keep_image(const image *made)
{
    const char *folder = getenv("STELE_KEEP");
    if (folder != NULL)
        image_save(made, folder);
}

static void tell(char text[1024], const crash_workload *workload, uint64_t seed, size_t cut,
                 size_t count, const char *reason)
{
    snprintf(text, 1024, "%s: STELE_SEED=0x%" PRIx64 "%s, cut after operation %zu of %zu: %s",
             workload->name, seed, workload->threaded ? " (threads may take other turns)" : "", cut,
             count, reason);
}

/* Where the image of `seed` is laid. A judge of its own gets it in the recorded folder or in
 * another one, since stores may remember where others lay. */
static const char *lay_image(const image *made, const crash_workload *workload, uint64_t seed)
{
    const image empty = { NULL, 0 };
    bool at_home = workload->judge != NULL && seed % 2 == 0;
    if (workload->judge != NULL)
        image_save(at_home ? made : &empty, test_path("disk"));
    if (!at_home)
        image_save(made, test_path("image"));
    return test_path(at_home ? "disk" : "image");
}

static verdict judge_image(crash_run *run, const char *folder, size_t cut, bool thorough)
{
    recorder_set_boot(BOOT_OF_ORACLES);
    if (run->workload->judge != NULL)
        return run->workload->judge(run, folder, cut, thorough);
    const oracle judge = { .past = &run->past,
                           .durability = run->workload->durability,
                           .check = run->workload->check,
                           .context = run };
    return oracle_judge(&judge, test_path("image/store.db"), cut, BOOT_OF_ORACLES, thorough);
}

/* Cut before the operation `cut`, and judge what is left. */
static void cut_and_judge(crash_run *run, const disk *state, const recording *recorded, size_t cut,
                          uint64_t seed, crash_report *report)
{
    image made = disk_cut(state, seed);
    const char *folder = lay_image(&made, run->workload, seed);
    run->cut = cut;
    verdict found = judge_image(run, folder, cut, report->cuts % THOROUGH_EVERY == 0);
    report->cuts++;
    report->kept_cuts += found.kept > 0;
    report->lossy_cuts += found.lost > 0;
    report->lost += found.lost;
    report->broken_cuts += found.broken;
    report->doubled += found.doubled;
    report->resumed_cuts += found.resumed;
    if (found.broken && report->broken_cuts == 1)
        tell(report->first_break, run->workload, seed, cut, recorded->count, found.reason);
    if (found.lost > 0 && !found.broken && report->first_loss[0] == '\0')
        tell(report->first_loss, run->workload, seed, cut, recorded->count, found.reason);
    bool red =
        found.broken || (found.lost > 0 && run->workload->durability == STELE_DURABILITY_FULL);
    if (red && report->broken_cuts + report->lossy_cuts == 1)
        keep_image(&made);
    image_dispose(&made);
}

/* Where the cut of `seed` is. */
static size_t choose_cut(const crash_run *run, uint64_t seed, const recording *recorded)
{
    size_t to = run->cut_to > 0 ? run->cut_to : recorded->count;
    return run->cut_from + (size_t)(random_mix(seed, 2) % (to - run->cut_from + 1));
}

typedef struct planned_cut {
    size_t cut;
    uint64_t seed;
} planned_cut;

static int compare_cuts(const void *left, const void *right)
{
    const planned_cut *a = left;
    const planned_cut *b = right;
    return (a->cut > b->cut) - (a->cut < b->cut);
}

/* A WAL's header is written alone, when it begins anew. */
static size_t count_wal_starts(const recording *recorded)
{
    size_t count = 0;
    for (size_t i = 0; i < recorded->count; i++) {
        const operation *done = &recorded->operations[i];
        count += done->kind == OPERATION_WRITE && done->offset == 0 && done->size == 32;
    }
    return count;
}

/* The cuts with seeds from `first_seed` on: in order, so that the disk is gone through once. */
static void cut_recording(crash_run *run, const recording *recorded, uint64_t first_seed,
                          size_t count, crash_report *report)
{
    planned_cut plan[CUTS_OF_A_RUN];
    for (size_t i = 0; i < count; i++)
        plan[i] = (planned_cut){ choose_cut(run, first_seed + i, recorded), first_seed + i };
    qsort(plan, count, sizeof(plan[0]), compare_cuts);
    disk *state = disk_open(recorded);
    for (size_t i = 0; i < count; i++) {
        disk_advance(state, plan[i].cut);
        cut_and_judge(run, state, recorded, plan[i].cut, plan[i].seed, report);
    }
    disk_close(state);
    report->operations += recorded->count;
    report->wal_starts += count_wal_starts(recorded);
}

/* How much of the log an image holds: the next life begins with that. */
static bool rebase_history(crash_run *run)
{
    stele_store *store = NULL;
    int64_t head = -1;
    if (stele_store_open(run->path, NULL, &store) == STELE_OK)
        stele_store_head(store, &head);
    stele_store_close(store);
    if (head < 0 || head > (int64_t)run->past.event_count)
        return false;
    history_rebase(&run->past, head);
    return true;
}

/* Cut the first life once, go on with what is left, and cut that `count` times. */
static void cut_two_lives(const crash_workload *workload, uint64_t run_seed, uint64_t first_seed,
                          size_t count, crash_report *report)
{
    crash_run run;
    uint64_t life_seed = random_mix(run_seed, 3);
    recording recorded = crash_record(workload, run_seed, &run);
    size_t cut = choose_cut(&run, life_seed, &recorded);
    disk *state = disk_open(&recorded);
    disk_advance(state, cut);
    image made = disk_cut(state, life_seed);
    disk_close(state);

    image_save(&made, test_path("disk"));
    recorder_set_boot(BOOT_OF_ORACLES);
    bool (*rebase)(crash_run *) = workload->rebase != NULL ? workload->rebase : rebase_history;
    if (!rebase(&run)) {
        report->cuts += count;
        if (report->broken_cuts++ == 0)
            tell(report->first_break, workload, first_seed, cut, recorded.count,
                 "it can't be recovered, or holds more than there ever was");
    } else {
        image_save(&made, test_path("disk"));
        run.life = 2;
        recording second = record_life(workload, life_seed, &run);
        cut_recording(&run, &second, first_seed, count, report);
        recording_dispose(&second);
    }
    image_dispose(&made);
    recording_dispose(&recorded);
    crash_run_dispose(&run);
}

/* `count` cuts of the run `run_seed`, numbered from `first`. */
static void cut_run(const crash_workload *workload, uint64_t run_seed, size_t first, size_t count,
                    crash_report *report)
{
    uint64_t first_seed = (run_seed << 16) + first;
    report->runs++;
    if (workload->cut_twice) {
        cut_two_lives(workload, run_seed, first_seed, count, report);
        return;
    }
    crash_run run;
    recording recorded = crash_record(workload, run_seed, &run);
    cut_recording(&run, &recorded, first_seed, count, report);
    recording_dispose(&recorded);
    crash_run_dispose(&run);
}

static void print_report(const crash_workload *workload, uint64_t run_seed,
                         const crash_report *report, double seconds)
{
    printf("# %s: run seed 0x%" PRIx64 ", %zu cuts in %zu runs (%zu operations, %zu WALs):"
           " %" PRId64 " acknowledged events lost in %zu cuts, %zu broken, %zu with more than"
           " acknowledged; %.1f s\n",
           workload->name, run_seed, report->cuts, report->runs, report->operations,
           report->wal_starts, report->lost, report->lossy_cuts, report->broken_cuts,
           report->kept_cuts, seconds);
    if (workload->judge != NULL)
        printf("#   %" PRId64 " events doubled; unfinished work in %zu cuts\n", report->doubled,
               report->resumed_cuts);
    if (report->first_loss[0] != '\0')
        printf("#   first loss: %s\n", report->first_loss);
    if (report->first_break[0] != '\0')
        printf("#   first break: %s\n", report->first_break);
    fflush(stdout);
}

crash_report crash_test(const crash_workload *workload)
{
    crash_report report = { 0 };
    struct timespec begun;
    struct timespec ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    size_t cuts = choose_cuts(workload);
    uint64_t replayed = number_of("STELE_SEED");
    uint64_t run_seed = replayed > 0 ? replayed >> 16 : choose_first_run(workload);
    if (replayed > 0)
        cut_run(workload, run_seed, (size_t)(replayed & 0xffff), 1, &report);
    size_t step = workload->cut_twice ? CUTS_OF_A_LIFE : CUTS_OF_A_RUN;
    for (uint64_t run = run_seed; replayed == 0 && report.cuts < cuts; run++) {
        size_t left = cuts - report.cuts;
        cut_run(workload, run, 0, left < step ? left : step, &report);
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    print_report(workload, run_seed, &report,
                 (double)(ended.tv_sec - begun.tv_sec)
                     + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9);
    return report;
}

void crash_expect_whole(const crash_workload *workload)
{
    crash_report report = crash_test(workload);
    ck_assert_uint_gt(report.cuts, 0);
    ck_assert_msg(report.broken_cuts == 0, "%zu broken, the first: %s", report.broken_cuts,
                  report.first_break);
    if (workload->durability == STELE_DURABILITY_FULL)
        ck_assert_msg(report.lossy_cuts == 0, "%zu lost events, the first: %s", report.lossy_cuts,
                      report.first_loss);
}
