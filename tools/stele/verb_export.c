/*
 * export: events as JSONL.
 */
#include <inttypes.h>
#include <stdio.h>

#include "options.h"
#include "streams.h"
#include "tool.h"

/* How many events had no line, by why. */
typedef struct left_out {
    uint64_t erased;
    uint64_t archived;
} left_out;

/* Write the line of `record`, if it has one. STELE_DONE: nobody reads any more. */
static stele_status export_record(output *out, stele_exporter *exporter, const stele_record *record,
                                  left_out *skipped)
{
    const char *line;
    size_t size;
    stele_status status = stele_exporter_line(exporter, record, &line, &size);
    if (status == STELE_NOT_FOUND) {
        skipped->erased++;
        return STELE_OK;
    }
    if (status == STELE_ARCHIVED) {
        skipped->archived++;
        return STELE_OK;
    }
    if (status != STELE_OK)
        return status;
    return output_json_bytes(out, line, size) ? STELE_OK : STELE_DONE;
}

static void report_left_out(const left_out *skipped)
{
    if (skipped->erased > 0)
        report_line("note: %" PRIu64 " erased events left out", skipped->erased);
    if (skipped->archived > 0)
        report_line("note: %" PRIu64 " archived events left out", skipped->archived);
}

static exit_code export_events(tool *of, stele_store *store, const stele_read *read)
{
    stele_exporter *exporter = NULL;
    stele_cursor *cursor = NULL;
    stele_status status = stele_exporter_open(&exporter);
    if (status == STELE_OK)
        status = stele_store_read(store, read, &cursor);

    left_out skipped = { 0 };
    const stele_record *record;
    while (status == STELE_OK) {
        status = stele_cursor_next(cursor, &record);
        if (status == STELE_OK)
            status = export_record(&of->out, exporter, record, &skipped);
    }
    exit_code code = status < 0 ? report_status(status) : EXIT_OK;
    report_left_out(&skipped);
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
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK && read.stream != NULL)
        code = check_stream(store, read.stream);
    if (code == EXIT_OK)
        code = export_events(of, store, &read);
    stele_store_close(store);
    return code;
}
