/*
 * lint: can every stored event be decoded by the program that reads the log now?
 */
#include <inttypes.h>

#include <stele.h>

#include "options.h"
#include "place.h"
#include "plugin.h"
#include "tool.h"

static const column lint_columns[] = {
    { .name = "type" },
    { .name = "schema_version", .right = true },
    { .name = "codec" },
    { .name = "events", .right = true },
    { .name = "tried", .right = true },
    { .name = "failed", .right = true },
    { .name = "parts_min", .right = true },
    { .name = "parts_max", .right = true },
    { .name = "status" },
    { .name = "first", .may_be_cut = true },
};

/* What a line comes to, in a word. */
static const char *judge_line(const stele_lint_line *line)
{
    if (line->kind == STELE_LINT_UNUSED)
        return "UNUSED";
    return stele_status_name(line->status);
}

static void print_line(output *out, const stele_lint_line *line)
{
    const cell cells[] = {
        text_cell(line->type),
        number_cell(line->schema_version),
        text_cell(line->codec),
        number_cell((int64_t)line->events),
        number_cell((int64_t)line->tried),
        number_cell((int64_t)line->failures),
        number_cell((int64_t)line->parts_min),
        number_cell((int64_t)line->parts_max),
        text_cell(judge_line(line)),
        text_cell(line->offender),
    };
    output_row(out, cells);
}

static exit_code print_lint(tool *of, stele_lint *lint)
{
    uint64_t stored = 0;
    uint64_t failed = 0;
    const stele_lint_line *line;
    output_begin(&of->out, lint_columns, sizeof(lint_columns) / sizeof(lint_columns[0]));
    while (stele_lint_next(lint, &line) == STELE_OK) {
        stored += line->kind == STELE_LINT_STORED ? 1 : 0;
        failed += line->failures > 0 ? 1 : 0;
        print_line(&of->out, line);
    }
    output_end(&of->out);
    if (failed == 0)
        return EXIT_OK;
    report_error("events of %" PRIu64 " of %" PRIu64 " types and versions can't be decoded", failed,
                 stored);
    if (!option_given(of, "lib"))
        report_hint("--lib FILE names the library with your types, codecs and upcasters");
    return EXIT_DAMAGED;
}

static exit_code lint_store(tool *of, stele_store *store)
{
    int64_t samples = 100;
    if (!option_number(of, "samples", 0, INT64_MAX, &samples))
        return EXIT_USAGE;
    exit_code code = load_plugins(of, store);
    if (code != EXIT_OK)
        return code;
    stele_lint_options options = STELE_LINT_OPTIONS_INIT;
    options.samples = (uint64_t)samples;
    stele_lint *lint = NULL;
    stele_status status = stele_store_lint(store, &options, &lint);
    code = status == STELE_OK ? print_lint(of, lint) : report_status(status);
    stele_lint_close(lint);
    return code;
}

exit_code run_lint(tool *of)
{
    stele_store *store;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = lint_store(of, store);
    close_store(of, store);
    return code;
}
