/*
 * archive, restore, tombstone and delete: the life of a stream.
 */
#include <inttypes.h>
#include <string.h>

#include "archives.h"
#include "confirm.h"
#include "interrupt.h"
#include "longwork.h"
#include "options.h"
#include "place.h"
#include "tool.h"

static const column change_fields[] = {
    { .name = "stream" },   { .name = "changed" }, { .name = "finished" }, { .name = "version" },
    { .name = "position" }, { .name = "events" },  { .name = "bytes" },    { .name = "dry_run" },
};

/* One call of the library, with or without a dry run. */
typedef struct change {
    tool *of;
    stele_store *store;
    stele_store *archive; /* NULL: none was named */
    const char *stream;
    int64_t expected_version;
    const char *reason;
    stele_work work;
    stele_wait wait;
    stele_changed changed;
    stele_status (*make)(struct change *of, bool dry_run);
    exit_code (*ask)(const struct change *of); /* after a dry run has counted */
    const char *resumed;                       /* how it goes on after Ctrl-C */
} change;

static int is_interrupted(void *context)
{
    (void)context;
    return was_interrupted();
}

static exit_code report_change_status(const change *of, stele_status status)
{
    const char *stream = shell_word(of->stream);
    if (status == STELE_CANCELLED && of->changed.changed) {
        report_error("interrupted: %s of '%s' isn't finished", of->of->verb->name, of->stream);
        report_hint("%s", of->resumed);
        return EXIT_INTERRUPTED;
    }
    if (status == STELE_CANCELLED) {
        report_error("interrupted, before anything was changed");
        return EXIT_INTERRUPTED;
    }
    exit_code code = report_status(status);
    if (of->changed.changed) {
        report_line("note: %s of '%s' had begun, and isn't finished", of->of->verb->name,
                    of->stream);
        report_hint("%s", of->resumed);
        return code;
    }
    if (status == STELE_NOT_FOUND)
        report_hint("stele streams lists them");
    else if (status == STELE_CONFLICT)
        report_hint("see where it is: stele read %s --backward --limit 1", stream);
    else if (status == STELE_TOMBSTONED)
        report_hint("a tombstone is for good; stele delete %s erases the stream", stream);
    else if (status == STELE_ARCHIVED && strcmp(of->of->verb->name, "restore") == 0)
        report_hint("--from FILE names the store that has it");
    else if (status == STELE_ARCHIVED && strcmp(of->of->verb->name, "delete") == 0)
        report_hint("--archive FILE names the store that has it; --leave-archived goes on without");
    else if (status == STELE_ARCHIVED)
        report_hint("stele restore %s", stream);
    return code;
}

static void print_change(const change *of, bool dry_run)
{
    const cell cells[] = {
        text_cell(of->stream),
        boolean_cell(of->changed.changed),
        boolean_cell(of->changed.finished),
        number_cell(of->changed.version),
        number_cell(of->changed.position),
        number_cell(of->changed.events),
        number_cell(of->changed.bytes),
        boolean_cell(dry_run),
    };
    output_answer(&of->of->out, change_fields, cells, sizeof(cells) / sizeof(cells[0]));
}

/* Count, ask, do, tell. */
static exit_code run_change(change *of)
{
    bool dry_run = option_given(of->of, "dry-run");
    stele_status status = STELE_OK;
    exit_code code = EXIT_OK;
    if (!dry_run && will_ask(of->of)) {
        status = of->make(of, true);
        if (status == STELE_OK)
            code = of->ask(of);
    }
    if (status == STELE_OK && code == EXIT_OK) {
        status = of->make(of, dry_run);
        report_progress_end();
    }
    if (status != STELE_OK && (status != STELE_CANCELLED || !of->changed.changed))
        return report_change_status(of, status);
    if (code == EXIT_OK)
        print_change(of, dry_run);
    return status == STELE_OK ? code : report_change_status(of, status);
}

/* Open the store, and the archive that the option names, and run. */
static exit_code begin_change(tool *of, change *what, const char *archive_option)
{
    const char *path = archive_option != NULL ? option_text(of, archive_option) : NULL;
    what->of = of;
    what->stream = of->operands[0];
    what->expected_version = STELE_ANY;
    what->work = (stele_work)STELE_WORK_INIT;
    what->work.progress = show_work;
    what->work.wait = &what->wait;
    what->wait = (stele_wait)STELE_WAIT_INIT;
    what->wait.progress = is_interrupted;
    if (!option_number(of, "expect", 1, INT64_MAX, &what->expected_version))
        return EXIT_USAGE;
    watch_interrupt();
    exit_code code = open_store(of, 0, &what->store);
    if (code == EXIT_OK && path != NULL)
        code = open_archive(path, &what->archive);
    if (code == EXIT_OK)
        code = run_change(what);
    stele_store_close(what->archive);
    close_store(of, what->store);
    return code;
}

static stele_status make_archive(change *of, bool dry_run)
{
    stele_archive call = STELE_ARCHIVE_INIT;
    call.stream = of->stream;
    call.expected_version = of->expected_version;
    call.reason = of->reason;
    call.to = of->archive;
    call.dry_run = dry_run;
    call.work = &of->work;
    return stele_store_archive(of->store, &call, &of->changed);
}

static exit_code ask_archive(const change *of)
{
    if (of->archive == NULL)
        return confirm(of->of, "close stream '%s' for appends?", of->stream);
    return confirm(of->of, "move stream '%s' (%" PRId64 " events, %" PRId64 " bytes)?", of->stream,
                   of->changed.events, of->changed.bytes);
}

#define GOES_ON "the same command again goes on from there, as does the next that writes the store"

exit_code run_archive(tool *of)
{
    change what = { .make = make_archive,
                    .ask = ask_archive,
                    .reason = option_text(of, "reason"),
                    .resumed = GOES_ON };
    return begin_change(of, &what, "to");
}

static stele_status make_restore(change *of, bool dry_run)
{
    stele_restore call = STELE_RESTORE_INIT;
    call.stream = of->stream;
    call.expected_version = of->expected_version;
    call.from = of->archive;
    call.dry_run = dry_run;
    call.work = &of->work;
    return stele_store_restore(of->store, &call, &of->changed);
}

static exit_code ask_restore(const change *of)
{
    return confirm(of->of, "open stream '%s' again (%" PRId64 " events come back)?", of->stream,
                   of->changed.events);
}

exit_code run_restore(tool *of)
{
    change what = { .make = make_restore, .ask = ask_restore, .resumed = GOES_ON };
    return begin_change(of, &what, "from");
}

static stele_status make_tombstone(change *of, bool dry_run)
{
    stele_tombstone call = STELE_TOMBSTONE_INIT;
    call.stream = of->stream;
    call.expected_version = of->expected_version;
    call.reason = of->reason;
    call.dry_run = dry_run;
    call.wait = &of->wait;
    return stele_store_tombstone(of->store, &call, &of->changed);
}

static exit_code ask_tombstone(const change *of)
{
    return confirm(of->of, "close stream '%s' for good?", of->stream);
}

exit_code run_tombstone(tool *of)
{
    change what = { .make = make_tombstone,
                    .ask = ask_tombstone,
                    .reason = option_text(of, "reason"),
                    .resumed = "repeat it" };
    if (what.reason == NULL) {
        report_error("a tombstone needs a reason");
        report_hint("stele tombstone %s --reason TEXT", shell_word(of->operands[0]));
        return EXIT_USAGE;
    }
    return begin_change(of, &what, NULL);
}

static stele_status make_delete(change *of, bool dry_run)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = of->stream;
    call.expected_version = of->expected_version;
    call.archive = of->archive;
    call.leave_archived = option_given(of->of, "leave-archived");
    call.now = option_given(of->of, "now");
    call.dry_run = dry_run;
    call.work = &of->work;
    return stele_store_delete(of->store, &call, &of->changed);
}

static exit_code ask_delete(const change *of)
{
    return confirm(of->of, "erase stream '%s' (%" PRId64 " events, %" PRId64 " bytes) for good?",
                   of->stream, of->changed.events, of->changed.bytes);
}

#define DELETE_GOES_ON "its name is gone; the next command that writes the store erases the rest"
#define NOT_SCRUBBED   ", but remains stay in the file until a stream is deleted with --now"

exit_code run_delete(tool *of)
{
    change what = { .make = make_delete,
                    .ask = ask_delete,
                    .resumed =
                        option_given(of, "now") ? DELETE_GOES_ON NOT_SCRUBBED : DELETE_GOES_ON };
    exit_code code = begin_change(of, &what, "archive");
    if (code != EXIT_OK && what.changed.changed && option_given(of, "now"))
        report_hint("its name is gone; afterwards `stele scrub` leaves no remains in the files");
    if (code == EXIT_OK && what.changed.changed && !what.changed.finished)
        report_line("note: copies are left in an archive that isn't where it was; they are erased"
                    " when the store is next written while it is there");
    return code;
}
