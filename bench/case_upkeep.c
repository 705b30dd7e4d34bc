/*
 * What is done to a log rather than with it: verifying, archiving, restoring, deleting, scrubbing.
 * Absolute rates of one store with full durability, default steps.
 */
#include <stdio.h>

#include <stele/lifecycle.h>
#include <stele/verify.h>

#include "contenders.h"

/* All of the log in one stream, beside as many events of others. */
#define UPKEEP_STREAM "moved-1"

static void fill_upkeep(stele_store *store, const bench_workload *workload, uint64_t count)
{
    enum { BATCH = 500 };
    for (uint64_t done = 0; done < count; done += BATCH) {
        stele_append append = STELE_APPEND_INIT;
        append.stream = done / BATCH % 2 == 0 ? UPKEEP_STREAM : "stays-1";
        append.events = &workload->events[done % (BENCH_EVENTS - BATCH)];
        append.event_count = BATCH;
        bench_expect(stele_store_append(store, &append, NULL), "append");
    }
}

static void report_rate(const char *name, double seconds, int64_t events)
{
    char row[64];
    snprintf(row, sizeof(row), "%s, seconds", name);
    bench_report_value(row, "s", seconds);
    snprintf(row, sizeof(row), "%s, rate", name);
    bench_report_value(row, "events/s", (double)events / seconds);
}

static void verify_all(stele_store *store, int64_t events)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = STELE_OK;
    double began = bench_seconds();
    bench_expect(stele_verify_open(store, NULL, &verify), "verify");
    while ((status = stele_verify_next(verify, &check)) == STELE_OK)
        if (check->failures > 0)
            bench_die("verify: %s: %s", check->name, check->offender);
    bench_expect(status, "verify");
    stele_verify_close(verify);
    report_rate("verify", bench_seconds() - began, events);
}

void bench_case_upkeep(const bench_settings *settings, const bench_workload *workload)
{
    uint64_t count = settings->quick ? 20000 : 200000;
    stele_store *store = bench_open_store("log.db", STELE_DURABILITY_FULL);
    stele_store *kept = bench_open_store("archive.db", STELE_DURABILITY_FULL);
    fill_upkeep(store, workload, count);
    verify_all(store, (int64_t)count);

    stele_changed changed = { 0 };
    stele_archive archive = STELE_ARCHIVE_INIT;
    archive.stream = UPKEEP_STREAM;
    archive.to = kept;
    double began = bench_seconds();
    bench_expect(stele_store_archive(store, &archive, &changed), "archive");
    report_rate("archive", bench_seconds() - began, changed.events);
    bench_look_for_interrupt();

    stele_restore restore = STELE_RESTORE_INIT;
    restore.stream = UPKEEP_STREAM;
    restore.from = kept;
    began = bench_seconds();
    bench_expect(stele_store_restore(store, &restore, &changed), "restore");
    report_rate("restore", bench_seconds() - began, changed.events);
    bench_look_for_interrupt();

    stele_delete what = STELE_DELETE_INIT;
    what.stream = UPKEEP_STREAM;
    began = bench_seconds();
    bench_expect(stele_store_delete(store, &what, &changed), "delete");
    report_rate("delete", bench_seconds() - began, changed.events);

    int64_t bytes = 0;
    began = bench_seconds();
    bench_expect(stele_store_shrink(store, NULL, &bytes), "shrink");
    bench_report_value("shrink, seconds", "s", bench_seconds() - began);
    bench_report_value("shrink, given back", "MB", (double)bytes / 1e6);
    began = bench_seconds();
    bench_expect(stele_store_scrub(store, NULL), "scrub");
    bench_report_value("scrub, seconds", "s", bench_seconds() - began);
    stele_store_close(store);
    stele_store_close(kept);
    bench_clear_folder();
}
