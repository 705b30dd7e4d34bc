/**
 * @file tests/crash/harness.h
 * Runs a workload, cuts the power at many moments of it, and has each image judged.
 *
 * STELE_EFFORT=long makes many more cuts, STELE_CUTS=N exactly N for each workload, STELE_SEED=S
 * the one cut that a report has named (in the tests that run; CK_RUN_CASE chooses). STELE_KEEP=DIR
 * keeps the image of the first cut that fails.
 */
#ifndef STELE_TESTS_CRASH_HARNESS_H
#define STELE_TESTS_CRASH_HARNESS_H

#include "crash/history.h"
#include "crash/oracle.h"
#include "crash/random.h"
#include "crash/recorder.h"

#include <check.h>

typedef struct crash_run crash_run;

/** Something to be cut. */
typedef struct crash_workload {
    const char *name;
    /** Work on the store at run->path; the recorder listens. Opens and closes it by itself. */
    void (*work)(crash_run *run);
    oracle_check check; /* may be NULL; its context is the crash_run */
    /** Judges in place of the oracle what is left in `folder`: for work that the history doesn't
     * know. NULL: the oracle judges. `folder` is the recorded one again in every other image. */
    verdict (*judge)(crash_run *run, const char *folder, size_t cut, bool thorough);
    /** With `judge` and `cut_twice`: recover what is left at run->path, and begin run->known anew
     * with that. False when it can't be. */
    bool (*rebase)(crash_run *run);
    /** Frees run->known. May be NULL. */
    void (*dispose)(crash_run *run);
    bool plain_sqlite; /* no store is at work, so there is no anchor */
    stele_durability durability;
    /** The recovered store is worked on again, and that work is cut, too. */
    bool cut_twice;
    /** Several threads write: the same seed may give another order. */
    bool threaded;
    /** For controls: promises of the disk that don't hold. */
    recorder_faults faults;
    /** Cuts in ci effort; in long effort 10,000. */
    size_t cuts;
} crash_workload;

/** One run of a workload. */
struct crash_run {
    const crash_workload *workload;
    random_source random; /* follows from the seed */
    history past;
    const char *path; /* of the store */
    unsigned life;    /* 1, or 2 after the first cut */
    int64_t next_event;
    size_t cut;              /* while an image is judged: where */
    size_t cut_from, cut_to; /* the work may say between which operations to cut; 0: anywhere */
    void *known;             /* what `judge` goes by */
};

typedef struct crash_report {
    size_t runs;
    size_t operations; /* recorded */
    size_t wal_starts; /* of these, how often a WAL began anew */
    size_t cuts;
    size_t lossy_cuts;   /* that lost acknowledged events */
    int64_t lost;        /* these events */
    size_t broken_cuts;  /* that left what may never be */
    size_t kept_cuts;    /* that kept events nobody had been told of */
    int64_t doubled;     /* events found in two places */
    size_t resumed_cuts; /* in which unfinished work was found */
    char first_loss[1024];
    char first_break[1024];
} crash_report;

/** Cut `workload` as often as the effort asks, and print what came of it. */
crash_report crash_test(const crash_workload *workload);

/** Run `workload` once with `seed`. The caller disposes of the recording and the run. */
recording crash_record(const crash_workload *workload, uint64_t seed, crash_run *run_out);

void crash_run_dispose(crash_run *run);

/** Nothing lost (with full durability), nothing broken. Ends the test otherwise. */
void crash_expect_whole(const crash_workload *workload);

/** A main() of crash tests does this first. */
void crash_setup(void);

/** A test case without a time limit that removes its files. */
TCase *crash_case(Suite *suite, const char *name);

/* --- For workloads --- */

/** Open run->path with the workload's durability and a WAL that is moved at every few pages. */
stele_store *crash_open(crash_run *run);
void crash_close(crash_run *run, stele_store *store);

/** Ways to append, as bits. */
#define CRASH_BATCHES 1u /* of several events */
#define CRASH_MANY    2u /* several streams in a commit */
#define CRASH_KEYS    4u

/**
 * Append something new to one of a few streams; `random` chooses what. Any thread, each with its
 * own `lane`, which is part of the streams' names.
 */
stele_status crash_append(crash_run *run, stele_store *store, random_source *random, unsigned lane,
                          unsigned ways);

/** Submit something new; it is noted when its verdict is told. CRASH_MANY has no meaning. */
stele_status crash_submit(crash_run *run, stele_store *store, random_source *random, unsigned ways);

/** As many appends, and here and there a transfer of the WAL. */
void crash_append_and_transfer(crash_run *run, stele_store *store, unsigned count, unsigned ways);

#endif
