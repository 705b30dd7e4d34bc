/*
 * copy: a store's log into a new store, each event through a command if there is one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "archives.h"
#include "interrupt.h"
#include "mapper.h"
#include "options.h"
#include "place.h"
#include "tool.h"

#define SHOWN_SIZE 200 /* Bytes of a wrong answer. */

static const column copy_fields[] = {
    { .name = "read" },
    { .name = "written" },
    { .name = "dropped" },
    { .name = "skipped_erased" },
    { .name = "skipped_archived" },
    { .name = "checkpoints" },
    { .name = "checkpoints_lost" },
    { .name = "parked" },
    { .name = "streams_closed" },
    { .name = "position" },
};

/* A copy that is made. */
typedef struct copying {
    const char *destination;
    stele_exporter *exporter;
    mapper through;
    bool mapped;
    FILE *positions;
    const char *positions_name;
    int positions_failure;      /* errno */
    char shown[SHOWN_SIZE + 1]; /* The start of the last answer, when it was wrong. */
} copying;

/* --- What the library calls --- */

static stele_status map_by_command(void *context, const stele_record *record, stele_copy_sink *sink)
{
    copying *how = context;
    const char *line = NULL;
    const char *answer = NULL;
    size_t size = 0;
    stele_status status = stele_exporter_line(how->exporter, record, &line, &size);
    if (status != STELE_OK)
        return status;
    if (!mapper_ask(&how->through, line, size, &answer, &size)) {
        stele_copy_fail(sink,
                        how->through.failure[0] == '\0' ? "interrupted" : how->through.failure);
        return how->through.failure[0] == '\0' ? STELE_CANCELLED : STELE_INVALID;
    }
    status = stele_copy_emit_json(sink, answer, size);
    if (status != STELE_OK)
        snprintf(how->shown, sizeof(how->shown), "%.*s",
                 (int)(size < SHOWN_SIZE ? size : SHOWN_SIZE), answer);
    return status;
}

static void note_position(void *context, int64_t position, int64_t first, int64_t last)
{
    copying *how = context;
    if (how->positions_failure != 0)
        return;
    errno = 0;
    if (fprintf(how->positions, "%" PRId64 "\t%" PRId64 "\t%" PRId64 "\n", position, first, last)
        < 0)
        how->positions_failure = errno != 0 ? errno : EIO;
}

static int check_copy_progress(void *context, const stele_progress *progress)
{
    const copying *how = context;
    report_progress("%s: %" PRIu64 " of %" PRIu64 " events", progress->doing, progress->done,
                    progress->total);
    return was_interrupted() || how->positions_failure != 0;
}

/* --- The stores and files of it --- */

/* A dry run doesn't make the file. */
static exit_code open_destination(const char *path, bool dry_run, int64_t event_size_max,
                                  stele_store **store_out)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.event_size_max = (uint32_t)event_size_max;
    bool missing = access(path, F_OK) != 0 && errno == ENOENT;
    stele_status status =
        stele_store_open(dry_run && missing ? ":memory:" : path, &options, store_out);
    if (status == STELE_OK)
        return EXIT_OK;
    report_unopened(path, status);
    return exit_code_of(status);
}

static exit_code open_positions(copying *how)
{
    how->positions = fopen(how->positions_name, "w");
    if (how->positions != NULL && fputs("source\tfirst\tlast\n", how->positions) >= 0)
        return EXIT_OK;
    report_error("can't write '%s': %s", how->positions_name, strerror(errno));
    return EXIT_OTHER;
}

/* What was kept back until now may not fit either. */
static exit_code close_positions(copying *how)
{
    if (how->positions == NULL)
        return EXIT_OK;
    errno = 0;
    if (fclose(how->positions) != 0 && how->positions_failure == 0)
        how->positions_failure = errno != 0 ? errno : EIO;
    how->positions = NULL;
    if (how->positions_failure == 0)
        return EXIT_OK;
    report_error("can't write '%s': %s", how->positions_name, strerror(how->positions_failure));
    return EXIT_OTHER;
}

/* --- How it went --- */

static void hint_to_go_on(const stele_copy *copy, const stele_copied *copied)
{
    if (copied->position > copy->after_position && !copy->dry_run)
        report_hint("the same command again goes on after position %" PRId64, copied->position);
}

static exit_code report_copy_failure(copying *how, stele_status status, const stele_copy *copy,
                                     const stele_copied *copied)
{
    exit_code code = EXIT_OTHER;
    if (how->positions_failure != 0) {
        code = close_positions(how);
    } else if (status == STELE_CANCELLED) {
        report_error("interrupted; what became of the events up to position %" PRId64 " is stored",
                     copied->position);
        code = EXIT_INTERRUPTED;
    } else if (how->through.failure[0] != '\0') {
        report_error("%s", stele_error_text());
    } else {
        code = report_status(status);
    }
    if (how->shown[0] != '\0')
        report_hint("the command answered: %s", how->shown);
    hint_to_go_on(copy, copied);
    return code;
}

/* After a copy that succeeded. */
static exit_code finish_copying(copying *how, bool dry_run)
{
    if (how->mapped && !mapper_finish(&how->through)) {
        report_error("%s", how->through.failure);
        if (!dry_run)
            report_hint("answers and events don't belong together: remove %s, and make it anew",
                        shell_word(how->destination));
        return EXIT_OTHER;
    }
    return close_positions(how);
}

static exit_code copy_log(tool *of, stele_store *source, stele_store *target, stele_copy *copy,
                          copying *how)
{
    stele_copied copied = { 0 };
    stele_status status = stele_store_copy(source, target, copy, &copied);
    report_progress_end();
    if (status != STELE_OK)
        return report_copy_failure(how, status, copy, &copied);
    exit_code code = finish_copying(how, copy->dry_run);
    const cell cells[] = {
        number_cell((int64_t)copied.events_read),      number_cell((int64_t)copied.events_written),
        number_cell((int64_t)copied.dropped),          number_cell((int64_t)copied.skipped_erased),
        number_cell((int64_t)copied.skipped_archived), number_cell((int64_t)copied.checkpoints),
        number_cell((int64_t)copied.checkpoints_lost), number_cell((int64_t)copied.parked),
        number_cell((int64_t)copied.streams_closed),   number_cell(copied.position),
    };
    output_answer(&of->out, copy_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return code;
}

/* --- The verb --- */

/* Fill `copy` from the options. @return False when one of them is wrong. */
static bool read_copy_options(const tool *of, stele_copy *copy, int64_t *event_size_max)
{
    copy->checkpoints = !option_given(of, "no-checkpoints");
    copy->skip_archived = option_given(of, "skip-archived");
    copy->dry_run = option_given(of, "dry-run");
    return option_number(of, "after", 0, INT64_MAX, &copy->after_position)
           && option_number(of, "to", 1, INT64_MAX, &copy->to_position)
           && option_number(of, "event-size-max", 1, EVENT_SIZE_MOST, event_size_max);
}

exit_code run_copy(tool *of)
{
    stele_copy copy = STELE_COPY_INIT;
    stele_work work = STELE_WORK_INIT;
    copying how = { .destination = of->operands[0],
                    .positions_name = option_text(of, "positions") };
    const char *map = option_text(of, "map");
    int64_t event_size_max = EVENT_SIZE_DEFAULT;
    if (!read_copy_options(of, &copy, &event_size_max))
        return EXIT_USAGE;
    how.mapped = map != NULL;
    work.progress = check_copy_progress;
    work.context = copy.context = &how;
    copy.work = &work;
    copy.transform = how.mapped ? map_by_command : NULL;
    copy.mapped = how.positions_name != NULL ? note_position : NULL;

    /* The command first: it must not inherit the stores' descriptors. */
    watch_interrupt();
    stele_store *source = NULL;
    stele_store *target = NULL;
    attached archives = { 0 };
    exit_code code = how.mapped ? mapper_open(&how.through, map) : EXIT_OK;
    if (code == EXIT_OK && stele_exporter_open(&how.exporter) != STELE_OK)
        code = report_status(STELE_NO_MEMORY);
    if (code == EXIT_OK)
        code = open_store(of, 0, &source);
    if (code == EXIT_OK)
        code = attach_archives(of, source, &archives);
    if (code == EXIT_OK)
        code = open_destination(how.destination, copy.dry_run, event_size_max, &target);
    if (code == EXIT_OK && how.positions_name != NULL)
        code = open_positions(&how);
    if (code == EXIT_OK)
        code = copy_log(of, source, target, &copy, &how);
    stele_store_close(target);
    close_store(of, source);
    close_attached(&archives);
    stele_exporter_close(how.exporter);
    if (how.positions != NULL)
        fclose(how.positions);
    if (how.mapped)
        mapper_close(&how.through);
    return code;
}
