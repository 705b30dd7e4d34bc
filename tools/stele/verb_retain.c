/*
 * retain: forgetting the oldest events of streams.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confirm.h"
#include "longwork.h"
#include "options.h"
#include "place.h"
#include "tool.h"

static const column retained_fields[] = {
    { .name = "streams" },   { .name = "events" },     { .name = "bytes" },
    { .name = "held_back" }, { .name = "slowest" },    { .name = "slowest_position" },
    { .name = "skipped" },   { .name = "file_bytes" }, { .name = "dry_run" },
};

/* @return False when an option is wrong, which has been reported. */
static bool read_retain_options(const tool *of, stele_retain *retain)
{
    retain->stream = option_text(of, "stream");
    retain->category = option_text(of, "category");
    retain->force = option_given(of, "force");
    retain->dry_run = option_given(of, "dry-run");
    retain->keep_free_pages = option_given(of, "keep-free-pages");
    if (!option_age(of, "max-age", &retain->max_age_us)
        || !option_age(of, "stale-after", &retain->stale_after_us)
        || !option_number(of, "max-count", 1, INT64_MAX, &retain->max_count)
        || !option_number(of, "before", 1, INT64_MAX, &retain->before_version))
        return false;
    if (retain->stream == NULL && retain->category == NULL) {
        report_error("of which stream or category?");
        report_hint("--stream S or --category C");
        return false;
    }
    if (retain->before_version > 0 && retain->category != NULL) {
        report_error("--before is for one stream");
        report_hint("--max-age and --max-count are for categories, too");
        return false;
    }
    if (retain->max_age_us > 0 || retain->max_count > 0 || retain->before_version > 0)
        return true;
    report_error("nothing says what is to go");
    report_hint("--max-age, --max-count or --before");
    return false;
}

/* Who isn't sure yet is told how much it is. */
static exit_code ask_with_figures(const tool *of, stele_store *store, const stele_retain *retain)
{
    stele_retained retained = { 0 };
    stele_retain dry = *retain;
    if (retain->dry_run || option_given(of, "yes"))
        return EXIT_OK;
    dry.dry_run = true;
    stele_status status = stele_store_retain(store, &dry, &retained);
    if (status == STELE_CANCELLED)
        return report_interrupted_work("counting");
    report_progress_end();
    if (status != STELE_OK)
        return report_status(status);
    return confirm(of,
                   "forget %" PRId64 " events of %" PRId64 " streams, %" PRId64 " bytes, for good?",
                   retained.events, retained.streams, retained.bytes);
}

static void print_retained(tool *of, const stele_retained *retained, bool dry_run)
{
    const cell cells[] = {
        number_cell(retained->streams), number_cell(retained->events),
        number_cell(retained->bytes),   number_cell(retained->held_back),
        text_cell(retained->slowest),   number_cell(retained->slowest_position),
        number_cell(retained->skipped), number_cell(retained->file_bytes),
        boolean_cell(dry_run),
    };
    output_answer(&of->out, retained_fields, cells, sizeof(cells) / sizeof(cells[0]));
    if (retained->held_back > 0)
        report_hint("%" PRId64 " events stay for the reader '%s', which is at position %" PRId64,
                    retained->held_back, retained->slowest, retained->slowest_position);
    if (retained->skipped > 0)
        report_hint("%" PRId64 " streams were passed over: they are in an archive",
                    retained->skipped);
}

static exit_code retain_events(tool *of, stele_store *store, const stele_retain *retain)
{
    stele_retained retained = { 0 };
    exit_code code = ask_with_figures(of, store, retain);
    if (code != EXIT_OK)
        return code;
    stele_status status = stele_store_retain(store, retain, &retained);
    report_progress_end();
    if (status != STELE_OK && status != STELE_CANCELLED)
        return report_status(status);
    print_retained(of, &retained, retain->dry_run);
    if (status == STELE_OK)
        return EXIT_OK;
    code = report_interrupted_work(retain->dry_run ? "counting" : "trimming");
    if (!retain->dry_run)
        report_hint("the same command again goes on from there");
    return code;
}

exit_code run_retain(tool *of)
{
    stele_retain retain = STELE_RETAIN_INIT;
    stele_work work;
    stele_store *store = NULL;
    if (!read_retain_options(of, &retain) || !take_work(of, &work))
        return EXIT_USAGE;
    retain.work = &work;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = retain_events(of, store, &retain);
    close_store(of, store);
    return code;
}
