/*
 * import: the lines of a JSONL file as events.
 */
#define _XOPEN_SOURCE 700 /* realpath */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "interrupt.h"
#include "options.h"
#include "place.h"
#include "tool.h"

#define MIB             UINT64_C(1048576)
#define BATCH_SIZE_MAX  1000000
#define LINES_PER_EVENT 4 /* A line may be so many times as long as its event. */

static const column fields[] = {
    { .name = "lines" },
    { .name = "appended" },
    { .name = "duplicates" },
    { .name = "rejected" },
};

static void report_rejected(void *context, uint64_t line, const char *reason)
{
    const input *from = context;
    report_line("%s:%" PRIu64 ": %s", from->name, line, reason);
}

static int check_progress(void *context, const stele_imported *so_far)
{
    const input *from = context;
    report_progress("%s: %" PRIu64 " lines, %" PRIu64 " MiB", from->name, so_far->lines,
                    so_far->bytes / MIB);
    return was_interrupted();
}

/* Fill `import` from the options. @return False when one of them is wrong. */
static bool read_import_options(const tool *of, stele_import *import, int64_t *event_size_max)
{
    int64_t batch = import->batch_size;
    if (!option_number(of, "batch", 1, BATCH_SIZE_MAX, &batch)
        || !option_number(of, "event-size-max", 1, EVENT_SIZE_MOST, event_size_max))
        return false;
    import->batch_size = (uint32_t)batch;
    if (*event_size_max > EVENT_SIZE_DEFAULT)
        import->line_size_max = (uint32_t)(*event_size_max * LINES_PER_EVENT);
    import->atomic = option_given(of, "atomic");
    import->lenient = option_given(of, "lenient");
    import->reject = report_rejected;
    import->progress = check_progress;
    import->read = input_read;
    return true;
}

static exit_code report_interrupted(const stele_import *import, const stele_imported *imported)
{
    report_error("interrupted; %" PRIu64 " events are stored", imported->appended);
    if (import->source != NULL || import->atomic)
        report_hint("the same command again goes on from there");
    else
        report_hint("lines without `id` that are stored would be stored again: leave them out");
    return EXIT_INTERRUPTED;
}

static exit_code judge_import(const stele_import *import, stele_status status,
                              const stele_imported *imported, const input *from)
{
    if (status == STELE_OK && imported->rejected == 0)
        return EXIT_OK;
    if (status == STELE_CANCELLED)
        return report_interrupted(import, imported);
    if (status == STELE_OK || (status == STELE_INVALID && import->atomic)) {
        report_error("%" PRIu64 " of %" PRIu64 " lines are bad%s", imported->rejected,
                     imported->lines,
                     import->atomic ? ", so nothing was stored" : "; the rest is in");
        return EXIT_PARTIAL;
    }
    if (from->failure[0] == '\0')
        return report_status(status);
    report_error("%s", from->failure);
    return EXIT_OTHER;
}

static exit_code import_lines(tool *of, stele_store *store, stele_import *import, input *from)
{
    char *path = NULL;
    import->context = from;
    import->source = option_text(of, "source");
    if (import->source == NULL && from->regular)
        import->source = path = realpath(from->name, NULL);

    stele_imported imported = { 0 };
    stele_status status = stele_store_import(store, import, &imported);
    report_progress_end();
    exit_code code = judge_import(import, status, &imported, from);
    const cell cells[] = {
        number_cell((int64_t)imported.lines),
        number_cell((int64_t)imported.appended),
        number_cell((int64_t)imported.duplicates),
        number_cell((int64_t)imported.rejected),
    };
    output_answer(&of->out, fields, cells, sizeof(cells) / sizeof(cells[0]));
    free(path);
    return code;
}

exit_code run_import(tool *of)
{
    stele_import import = STELE_IMPORT_INIT;
    int64_t event_size_max = EVENT_SIZE_DEFAULT;
    if (!read_import_options(of, &import, &event_size_max))
        return EXIT_USAGE;

    /* The input first: the zcat it may start must not inherit the store's descriptors. */
    watch_interrupt();
    input from;
    exit_code code = input_open(&from, of->operand_count > 0 ? of->operands[0] : "-");
    stele_store *store = NULL;
    if (code == EXIT_OK)
        code = open_store(of, (uint32_t)event_size_max, &store);
    if (code == EXIT_OK)
        code = import_lines(of, store, &import, &from);
    close_store(of, store);
    input_close(&from);
    return code;
}
