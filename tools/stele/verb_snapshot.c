/*
 * snapshot list and invalidate: saved states of streams, which can always be made anew.
 */
#include <inttypes.h>
#include <string.h>

#include "confirm.h"
#include "longwork.h"
#include "options.h"
#include "place.h"
#include "streams.h"
#include "tool.h"

const command snapshot_words[] = {
    { .name = "snapshot list",
      .forms = { "[STREAM]" },
      .operand_max = 1,
      .effect = IMPACT_LOOK,
      .what = "list snapshots, by stream, name and version",
      .details =
          "`behind` is by how many events the stream has gone on since. `miss` says why one\n"
          "is never loaded: it is of another epoch, beyond its stream, or damaged. Each is\n"
          "read and checked.\n",
      .options = { { .name = "prefix",
                     .value = "P",
                     .what = "only of streams whose name starts so" },
                   { .name = "name", .value = "N", .what = "only of this fold, such as state" },
                   { .name = "limit", .value = "N", .what = "at most N" } },
      .examples = { "stele snapshot list", "stele snapshot list account-1",
                    "stele snapshot list --prefix order- -o jsonl | jq 'select(.behind > 1000)'" },
      .run = run_snapshot_list },
    { .name = "snapshot invalidate",
      .forms = { "[STREAM]" },
      .operand_max = 1,
      .effect = IMPACT_WRITE,
      .what = "drop snapshots of a stream, or of all",
      .details =
          "STREAM or --all must be given. They are a cache: nothing is lost but the time to\n"
          "fold the events again.\n",
      .options = { { .name = "all", .what = "those of every stream" },
                   { .name = "name", .value = "N", .what = "only of this fold, such as state" },
                   RATE_OPTION,
                   YES_OPTION,
                   DRY_RUN_OPTION },
      .examples = { "stele snapshot invalidate account-1",
                    "stele snapshot invalidate --all --name balance -y",
                    "stele snapshot invalidate --all --dry-run -o json | jq .snapshots" },
      .run = run_snapshot_invalidate },
    { .name = NULL },
};

static const column snapshot_columns[] = {
    { .name = "stream" },
    { .name = "name" },
    { .name = "version", .right = true },
    { .name = "behind", .right = true },
    { .name = "schema_version", .right = true },
    { .name = "codec" },
    { .name = "bytes", .right = true },
    { .name = "saved" },
    { .name = "miss" },
};

static const column dropped_fields[] = {
    { .name = "stream" },
    { .name = "name" },
    { .name = "snapshots" },
    { .name = "dry_run" },
};

/* --- list --- */

static bool print_snapshot(output *out, const stele_snapshot_info *info)
{
    char saved[STELE_TIME_SIZE];
    stele_time_format(info->saved_at, saved);
    const cell nothing = { .kind = CELL_NOTHING };
    bool known = info->stream_version > 0; /* else its stream isn't there */
    const cell cells[] = {
        text_cell(info->stream),
        text_cell(info->name),
        number_cell(info->version),
        known ? number_cell(info->stream_version - info->version) : nothing,
        number_cell(info->schema_version),
        text_cell(info->codec),
        number_cell(info->bytes),
        text_cell(saved),
        info->miss == STELE_SNAPSHOT_HIT ? nothing
                                         : text_cell(stele_snapshot_miss_name(info->miss)),
    };
    return output_row(out, cells);
}

static exit_code list_snapshots(tool *of, stele_store *store, const stele_snapshots_read *read)
{
    stele_snapshots *snapshots = NULL;
    const stele_snapshot_info *info = NULL;
    uint64_t count = 0;
    stele_status status = stele_store_snapshots(store, read, &snapshots);
    if (status != STELE_OK)
        return report_status(status);
    output_begin(&of->out, snapshot_columns,
                 sizeof(snapshot_columns) / sizeof(snapshot_columns[0]));
    while ((status = stele_snapshots_next(snapshots, &info)) == STELE_OK) {
        count++;
        if (!print_snapshot(&of->out, info))
            break;
    }
    output_end(&of->out);
    stele_snapshots_close(snapshots);
    if (status < 0)
        return report_status(status);
    return count == 0 && read->stream != NULL ? check_stream(store, read->stream) : EXIT_OK;
}

exit_code run_snapshot_list(tool *of)
{
    stele_store *store = NULL;
    stele_snapshots_read read = STELE_SNAPSHOTS_READ_INIT;
    int64_t limit = 0;
    if (!option_number(of, "limit", 1, INT64_MAX, &limit))
        return EXIT_USAGE;
    read.stream = of->operand_count > 0 ? of->operands[0] : NULL;
    read.prefix = option_text(of, "prefix");
    read.name = option_text(of, "name");
    read.limit = (uint64_t)limit;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = list_snapshots(of, store, &read);
    close_store(of, store);
    return code;
}

/* --- invalidate --- */

/* What is to go: of a stream, or of all. */
typedef struct snapshot_choice {
    const char *stream; /* NULL: of all */
    const char *name;   /* NULL: any */
    stele_work work;
} snapshot_choice;

static exit_code count_snapshots(stele_store *store, const snapshot_choice *choice,
                                 int64_t *count_out)
{
    stele_snapshots *snapshots = NULL;
    const stele_snapshot_info *info = NULL;
    stele_snapshots_read read = STELE_SNAPSHOTS_READ_INIT;
    read.stream = choice->stream;
    read.name = choice->name;
    *count_out = 0;
    stele_status status = stele_store_snapshots(store, &read, &snapshots);
    while (status == STELE_OK && (status = stele_snapshots_next(snapshots, &info)) == STELE_OK)
        ++*count_out;
    stele_snapshots_close(snapshots);
    return status < 0 ? report_status(status) : EXIT_OK;
}

static exit_code ask_to_drop(const tool *of, const snapshot_choice *choice, int64_t count)
{
    if (choice->stream != NULL)
        return confirm(of, "drop %" PRId64 " snapshots of stream '%s'?", count, choice->stream);
    return confirm(of, "drop %" PRId64 " snapshots, of all streams?", count);
}

static exit_code drop_snapshots(stele_store *store, const snapshot_choice *choice,
                                int64_t *count_out)
{
    stele_status status =
        choice->stream != NULL
            ? stele_snapshot_invalidate(store, choice->stream, choice->name, count_out)
            : stele_snapshot_invalidate_all(store, choice->name, &choice->work, count_out);
    report_progress_end();
    if (status == STELE_CANCELLED) {
        report_interrupted_work("dropping snapshots");
        report_hint("%" PRId64 " were dropped; the same command again goes on", *count_out);
        return EXIT_INTERRUPTED;
    }
    if (status == STELE_UNKNOWN_OUTCOME) {
        exit_code code = report_status_alone(status);
        report_hint("the same command again drops what is left");
        return code;
    }
    return status == STELE_OK ? EXIT_OK : report_status(status);
}

static exit_code invalidate_snapshots(tool *of, stele_store *store, const snapshot_choice *choice)
{
    bool dry_run = option_given(of, "dry-run");
    int64_t count = 0;
    exit_code code = EXIT_OK;
    if (choice->stream != NULL)
        code = check_stream(store, choice->stream);
    if (code == EXIT_OK && (dry_run || will_ask(of)))
        code = count_snapshots(store, choice, &count);
    if (code == EXIT_OK && !dry_run)
        code = ask_to_drop(of, choice, count);
    if (code == EXIT_OK && !dry_run)
        code = drop_snapshots(store, choice, &count);
    if (code != EXIT_OK)
        return code;
    const cell nothing = { .kind = CELL_NOTHING };
    const cell cells[] = {
        choice->stream != NULL ? text_cell(choice->stream) : nothing,
        choice->name != NULL ? text_cell(choice->name) : nothing,
        number_cell(count),
        boolean_cell(dry_run),
    };
    output_answer(&of->out, dropped_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return EXIT_OK;
}

exit_code run_snapshot_invalidate(tool *of)
{
    stele_store *store = NULL;
    snapshot_choice choice = { .stream = of->operand_count > 0 ? of->operands[0] : NULL,
                               .name = option_text(of, "name") };
    if ((choice.stream != NULL) == option_given(of, "all")) {
        report_error(choice.stream != NULL ? "a stream and --all" : "of which stream?");
        report_hint("stele snapshot invalidate STREAM, or --all");
        return EXIT_USAGE;
    }
    if (!take_work(of, &choice.work))
        return EXIT_USAGE;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = invalidate_snapshots(of, store, &choice);
    close_store(of, store);
    return code;
}
