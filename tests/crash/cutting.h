/**
 * @file tests/crash/cutting.h
 * Cuts through a workload whose test judges the images itself: what was acknowledged by then is
 * known to the test, which counts what is lost of it.
 */
#ifndef STELE_TESTS_CRASH_CUTTING_H
#define STELE_TESTS_CRASH_CUTTING_H

#include "support.h"
#include "disk_image.h"
#include "harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CUTS_OF_A_RUN = 50 };

/** Counted by the judge; the cutting ends with the first loss. */
static int64_t acknowledged_lost;
static char first_loss[600];

/** Judges the store at `path`, of which the power was cut after `cut` operations. */
typedef void (*cut_judge)(const crash_workload *workload, const char *path, size_t cut,
                          const char *where);

static inline uint64_t number_given(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static inline void cut_run_of(const crash_workload *workload, uint64_t seed, cut_judge judge)
{
    crash_run run;
    recording recorded = crash_record(workload, seed, &run);
    disk *state = disk_open(&recorded);
    for (size_t i = 0; i < CUTS_OF_A_RUN && acknowledged_lost == 0; i++) {
        char where[160];
        /* In order, so that the disk is gone through once. */
        size_t cut = recorded.count * i / CUTS_OF_A_RUN
                     + (size_t)(random_mix(seed, i) % (recorded.count / CUTS_OF_A_RUN + 1));
        snprintf(where, sizeof(where), "%s, run 0x%" PRIx64 ", cut after operation %zu of %zu",
                 workload->name, seed, cut, recorded.count);
        disk_advance(state, cut);
        image made = disk_cut(state, random_mix(seed, 1000 + i));
        image_save(&made, test_path("image"));
        image_dispose(&made);
        judge(workload, test_path("image/store.db"), cut, where);
    }
    disk_close(state);
    recording_dispose(&recorded);
    history_dispose(&run.past);
}

/** `count` is how many states the last run had, the one before its first commit among them. */
static inline void cut_workload(const crash_workload *workload, cut_judge judge,
                                const size_t *count)
{
    const char *effort = getenv("STELE_EFFORT");
    bool is_long = effort != NULL && strcmp(effort, "long") == 0;
    size_t cuts = (size_t)number_given("STELE_CUTS", is_long ? 10000 : workload->cuts);
    uint64_t seed = number_given("STELE_SEED", is_long ? (uint64_t)time(NULL) << 16 : 0x5e1e);
    size_t commits = 0;
    size_t runs = 0;
    acknowledged_lost = 0;
    for (; runs * CUTS_OF_A_RUN < cuts && acknowledged_lost == 0; runs++) {
        cut_run_of(workload, seed + runs, judge);
        commits += *count - 1;
    }
    printf("# %s: seed 0x%" PRIx64 ", %zu cuts in %zu runs of %zu commits: %s\n", workload->name,
           seed, runs * CUTS_OF_A_RUN, runs, commits, acknowledged_lost > 0 ? "lost" : "0 lost");
}

#endif
