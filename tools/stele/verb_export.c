/*
 * export: events as JSONL.
 */
#include <inttypes.h>
#include <stdio.h>

#include "archives.h"
#include "options.h"
#include "place.h"
#include "streams.h"
#include "tool.h"

/* Write the line of `record`. STELE_DONE: nobody reads any more. */
static stele_status export_record(output *out, stele_exporter *exporter, const stele_record *record)
{
    const char *line;
    size_t size;
    stele_status status = stele_exporter_line(exporter, record, &line, &size);
    if (status != STELE_OK)
        return status;
    return output_json_bytes(out, line, size) ? STELE_OK : STELE_DONE;
}

/* What ends the log too early leaves no gap: only the anchor knows that lines are missing. */
static exit_code expect_no_loss(stele_store *store)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_status status = stele_store_describe(store, &info);
    if (status != STELE_OK)
        return report_status(status);
    if (info.anchor != STELE_ANCHOR_LOST)
        return EXIT_OK;
    report_error("events were lost: the log ends at %" PRId64 ", its anchor names %" PRId64,
                 info.head, info.anchor_head);
    report_hint("stele doctor says what to do");
    return EXIT_DAMAGED;
}

static exit_code export_events(tool *of, stele_store *store, const stele_read *read)
{
    stele_exporter *exporter = NULL;
    stele_cursor *cursor = NULL;
    stele_status status = stele_exporter_open(&exporter);
    if (status == STELE_OK)
        status = stele_store_read(store, read, &cursor);

    const stele_record *record;
    while (status == STELE_OK) {
        status = stele_cursor_next(cursor, &record);
        if (status == STELE_OK)
            status = export_record(&of->out, exporter, record);
    }
    exit_code code = status < 0 ? report_read_status(status) : expect_no_loss(store);
    report_skipped(stele_cursor_skipped(cursor));
    stele_cursor_close(cursor);
    stele_exporter_close(exporter);
    return code;
}

exit_code run_export(tool *of)
{
    if (of->format_given && of->out.format != OUTPUT_JSONL) {
        report_error("export writes jsonl only");
        report_hint("for other formats: stele read @all -o json");
        return EXIT_USAGE;
    }
    stele_read read = STELE_READ_INIT;
    const char *type = option_text(of, "type");
    read.stream = option_text(of, "stream");
    read.category = option_text(of, "category");
    read.types = &type;
    read.type_count = type != NULL ? 1 : 0;
    read.keys = true;
    if (!option_number(of, "after", 0, INT64_MAX, &read.after_position))
        return EXIT_USAGE;

    stele_store *store;
    attached archives = { 0 };
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = attach_archives(of, store, &archives);
    if (code == EXIT_OK && read.stream != NULL)
        code = check_stream(store, read.stream);
    if (code == EXIT_OK)
        code = export_events(of, store, &read);
    close_store(of, store);
    close_attached(&archives);
    return code;
}
