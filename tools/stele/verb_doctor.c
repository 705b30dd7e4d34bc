/*
 * doctor: what surrounds a store, and what to do about it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "tool.h"

/* A WAL of more than this was not moved for a while. */
#define LONG_WAL_BYTES ((int64_t)256 * 1024 * 1024)

static const column finding_columns[] = {
    { .name = "check" },
    { .name = "ok" },
    { .name = "detail" },
};

static void print_finding(output *out, const char *check, bool ok, const char *detail)
{
    const cell cells[] = { text_cell(check), boolean_cell(ok), text_cell(detail) };
    output_row(out, cells);
}

static void look_at_sqlite(output *out, const stele_store_info *info)
{
    char detail[200];
    bool fixed = info->wal_reset == STELE_WAL_RESET_FIXED;
    snprintf(detail, sizeof(detail), "%s, %s", stele_sqlite_version(),
             fixed ? "without the WAL-reset bug"
                   : "with the WAL-reset bug: the library's own transfers are guarded, but let no"
                     " other program checkpoint this file");
    print_finding(out, "sqlite", true, detail);
}

static bool look_at_anchor(output *out, const stele_store_info *info)
{
    char detail[200] = "what it names is there";
    if (info->anchor == STELE_ANCHOR_MISSING)
        snprintf(detail, sizeof(detail),
                 "missing or unreadable, so a loss would not be noticed: a write makes one, when "
                 "it can");
    if (info->anchor == STELE_ANCHOR_LOST)
        snprintf(detail, sizeof(detail),
                 "events were lost: it names position %" PRId64 ", the log ends at %" PRId64,
                 info->anchor_head, info->head);
    print_finding(out, "anchor", info->anchor == STELE_ANCHOR_GOOD, detail);
    return info->anchor != STELE_ANCHOR_LOST;
}

static void look_at_wal(output *out, const stele_store_info *info)
{
    char detail[160];
    bool is_short = info->wal_bytes <= LONG_WAL_BYTES;
    snprintf(detail, sizeof(detail), "%" PRId64 " bytes%s", info->wal_bytes,
             is_short ? "" : ": a reader holds it back, or nobody has closed the store for long");
    print_finding(out, "wal", is_short, detail);
}

static void look_at_schema(output *out, const stele_store_info *info)
{
    print_finding(out, "schema", true,
                  info->foreign_objects
                      ? "ours is whole; triggers and views among the others' objects don't run here"
                      : "ours is whole, and there is nothing else");
}

static exit_code diagnose_store(tool *of, stele_store *store)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_status status = stele_store_describe(store, &info);
    if (status != STELE_OK)
        return report_status(status);
    output *out = &of->out;
    output_begin(out, finding_columns, sizeof(finding_columns) / sizeof(finding_columns[0]));
    look_at_sqlite(out, &info);
    look_at_schema(out, &info);
    bool whole = look_at_anchor(out, &info);
    look_at_wal(out, &info);
    output_end(out);
    if (whole)
        return EXIT_OK;
    report_error("the store has lost events that were acknowledged");
    report_hint("put the right file or its -wal back; or go on without them: stele doctor"
                " --accept-loss");
    return EXIT_DAMAGED;
}

/* From here on it is known that they are gone: readers beyond the end are told so. */
static exit_code open_accepting(const tool *of, stele_store **store_out)
{
    const char *path = store_path(of);
    if (path == NULL)
        return EXIT_USAGE;
    stele_options options = STELE_OPTIONS_INIT;
    options.must_exist = true;
    options.accept_loss = true;
    stele_status status = stele_store_open(path, &options, store_out);
    if (status == STELE_OK)
        return EXIT_OK;
    report_unopened(path, status);
    return exit_code_of(status);
}

exit_code run_doctor(tool *of)
{
    stele_store *store = NULL;
    exit_code code =
        option_given(of, "accept-loss") ? open_accepting(of, &store) : open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = diagnose_store(of, store);
    stele_store_close(store);
    return code;
}
