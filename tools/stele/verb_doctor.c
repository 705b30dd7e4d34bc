/*
 * doctor: what surrounds a store, and what to do about it.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "doctor.h"
#include "options.h"
#include "place.h"

#define PAGE_SIZE_USUAL 4096

/* How many of the newest events are asked whether the clock had jumped back. */
#define CLOCK_LOOK_COUNT 1000

/* Clocks of one host differ by less; and a reader that is further behind has trouble. */
#define CLOCK_SLACK_SECONDS 2
#define LAG_SECONDS         3600

#define EPOCH_FIX "build what it made anew from there, then save that"

static const column finding_columns[] = {
    { .name = "status" },
    { .name = "check" },
    { .name = "finding", .may_be_cut = true },
    { .name = "fix", .may_be_cut = true },
};

/* --- Rows --- */

__attribute__((format(printf, 5, 0))) static void print_finding(diagnosis *to, const char *status,
                                                                const char *check, const char *fix,
                                                                const char *format,
                                                                va_list arguments)
{
    char finding[700];
    vsnprintf(finding, sizeof(finding), format, arguments);
    const cell cells[] = { text_cell(status), text_cell(check), text_cell(finding),
                           text_cell(fix) };
    output_row(&to->of->out, cells);
}

void find_ok(diagnosis *to, const char *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_finding(to, "ok", check, "", format, arguments);
    va_end(arguments);
}

void find_warning(diagnosis *to, const char *check, const char *fix, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_finding(to, "warn", check, fix, format, arguments);
    va_end(arguments);
}

void find_bad(diagnosis *to, const char *check, const char *fix, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_finding(to, "bad", check, fix, format, arguments);
    va_end(arguments);
    to->bad++;
}

void find_skipped(diagnosis *to, const char *check, const char *fix, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_finding(to, "skip", check, fix, format, arguments);
    va_end(arguments);
}

/* --- What the library says --- */

static void look_at_sqlite(diagnosis *to, const stele_store_info *info)
{
    if (info->wal_reset == STELE_WAL_RESET_FIXED)
        find_ok(to, "sqlite", "%s, without the WAL-reset bug", stele_sqlite_version());
    else
        find_ok(to, "sqlite",
                "%s, with the WAL-reset bug: the library's own transfers are guarded, but let no"
                " other program checkpoint this file",
                stele_sqlite_version());
}

static void look_at_schema(diagnosis *to, const stele_store_info *info)
{
    find_ok(to, "schema", "%s",
            info->foreign_objects
                ? "ours is whole; triggers and views among the others' objects don't run here"
                : "ours is whole, and there is nothing else");
}

static void look_at_anchor(diagnosis *to, const stele_store_info *info)
{
    if (info->backup && info->anchor == STELE_ANCHOR_MISSING) {
        find_ok(to, "anchor", "a backup has none");
        return;
    }
    switch (info->anchor) {
    case STELE_ANCHOR_LOST:
        find_bad(
            to, "anchor",
            "put the right file or its -wal back; or go on without: stele doctor --accept-loss",
            "events were lost: it names position %" PRId64 ", the log ends at %" PRId64,
            info->anchor_head, info->head);
        break;
    case STELE_ANCHOR_MISSING:
        find_warning(to, "anchor", "write something: that makes one",
                     "missing or unreadable, so a loss would not be noticed");
        break;
    case STELE_ANCHOR_NONE: find_ok(to, "anchor", "none is kept here"); break;
    case STELE_ANCHOR_GOOD:
        find_ok(to, "anchor", "position %" PRId64 ", which it names, is there", info->anchor_head);
        break;
    }
}

/* The file of a WAL that was begun anew stays as long as it was. */
static void look_at_wal(diagnosis *to, const stele_store_info *info)
{
    stele_options options = STELE_OPTIONS_INIT;
    int64_t soft = (int64_t)options.wal_soft_pages * PAGE_SIZE_USUAL;
    int64_t hard = (int64_t)options.wal_hard_pages * PAGE_SIZE_USUAL;
    if (info->wal_bytes > hard)
        find_bad(to, "wal", "end the readers that hold it, close the store everywhere, --try",
                 "%" PRId64 " bytes, more than the hard threshold of %" PRId64
                 ": it can't be moved",
                 info->wal_bytes, hard);
    else if (info->wal_bytes > 2 * soft)
        find_warning(to, "wal", "see with --try whether a reader holds it",
                     "%" PRId64 " bytes, while it is moved beyond %" PRId64, info->wal_bytes, soft);
    else
        find_ok(to, "wal", "%" PRId64 " bytes", info->wal_bytes);
}

static void look_at_readers(diagnosis *to, stele_store *store)
{
    uint32_t left = 0;
    if (!option_given(to->of, "try")) {
        find_skipped(to, "readers", "--try moves the WAL to find out", "not tried");
        return;
    }
    stele_status status = stele_store_transfer(store, NULL, &left);
    if (status != STELE_OK)
        find_warning(to, "readers", "try again", "the WAL can't be moved: %s", stele_error_text());
    else if (left > 0)
        find_warning(to, "readers", "end the reads that last: a cursor or BEGIN left open",
                     "a reader of another process holds %" PRIu32 " pages of the WAL", left);
    else
        find_ok(to, "readers", "none holds the WAL back");
}

static void look_at_space(diagnosis *to, const stele_store_info *info)
{
    if (info->free_bytes > info->file_bytes / 5)
        find_warning(to, "space", "stele_store_shrink(), as stele retain does",
                     "%" PRId64 " of %" PRId64 " bytes of the file hold nothing", info->free_bytes,
                     info->file_bytes);
    else
        find_ok(to, "space", "%" PRId64 " of %" PRId64 " bytes of the file hold nothing",
                info->free_bytes, info->file_bytes);
    if (info->unfinished > 0)
        find_warning(to, "unfinished", "open it for writing: then it is gone on with",
                     "%" PRId64 " streams are being moved, brought back or erased",
                     info->unfinished);
    else
        find_ok(to, "unfinished", "nothing");
    if (info->backup)
        find_ok(to, "backup",
                "it is one: nothing is written until stele recover made a store of it");
}

/* Who is named by its file has to know where it is. */
static void look_at_fence(diagnosis *to, const stele_store_info *info)
{
    buffer fix = { 0 };
    const char *words =
        names_shard(to->of) ? store_words(to->of) : "-s ROOT --org ORGANISATION --ns NAMESPACE";
    switch (info->fence) {
    case STELE_FENCE_NONE: find_ok(to, "fence", "none"); break;
    case STELE_FENCE_MOVE:
        buffer_format(
            &fix,
            "write there; where nobody moves it any more: stele shards resume goes on with"
            " it, stele shards cancel %s takes it back",
            words);
        find_warning(to, "fence", fix.bytes,
                     "it takes no appends: it has moved, or is just moving, to '%s'",
                     info->fence_where);
        break;
    case STELE_FENCE_DROP:
        buffer_format(&fix, "stele shards drop, or to keep it: stele shards undrop %s", words);
        find_warning(to, "fence", fix.bytes,
                     "it takes no appends: it is being dropped, or that was cut short");
        break;
    }
    buffer_dispose(&fix);
}

/* --- Clocks and readers --- */

static stele_status find_record(stele_store *store, stele_read *read, int64_t *recorded_at,
                                uint64_t *clock_back)
{
    stele_cursor *cursor = NULL;
    const stele_record *record;
    uint64_t count = 0;
    read->system = true;
    stele_status status = stele_store_read(store, read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        if (count++ == 0)
            *recorded_at = record->recorded_at;
        if (clock_back != NULL && (record->flags & STELE_RECORD_CLOCK_BACK) != 0)
            ++*clock_back;
    }
    stele_cursor_close(cursor);
    return status < 0 ? status : STELE_OK;
}

static void look_at_clock(diagnosis *to, stele_store *store)
{
    stele_read read = STELE_READ_INIT;
    int64_t last = 0;
    uint64_t clock_back = 0;
    read.direction = STELE_BACKWARD;
    read.limit = CLOCK_LOOK_COUNT;
    stele_status status = find_record(store, &read, &last, &clock_back);
    int64_t ahead = last / 1000000 - (int64_t)time(NULL);
    if (status != STELE_OK)
        find_bad(to, "clock", "stele verify", "the newest events can't be read: %s",
                 stele_error_text());
    else if (ahead > CLOCK_SLACK_SECONDS)
        find_warning(to, "clock", "set the clock: until then new events get the time of the last",
                     "the last event was recorded %" PRId64 " seconds from now", ahead);
    else if (clock_back > 0)
        find_warning(to, "clock", "see who set it back, or keep it with NTP",
                     "it had jumped back at %" PRIu64 " of the newest events", clock_back);
    else
        find_ok(to, "clock", "the newest events are not ahead of it");
}

/* How many seconds ago the oldest event was recorded that comes after `position`; 0: none does. */
static stele_status measure_lag(stele_store *store, int64_t position, int64_t *behind_out)
{
    int64_t since = 0;
    stele_read read = STELE_READ_INIT;
    read.after_position = position;
    read.limit = 1;
    stele_status status = find_record(store, &read, &since, NULL);
    *behind_out = since > 0 ? (int64_t)time(NULL) - since / 1000000 : 0;
    return status;
}

/* Adds a row unless `name` is just not behind; whether it added one. */
static bool look_at_lag(diagnosis *to, stele_store *store, const char *name, int64_t waiting,
                        int64_t position)
{
    int64_t behind = 0;
    if (measure_lag(store, position, &behind) != STELE_OK)
        find_bad(to, "checkpoint", "stele verify", "%s: %s", name, stele_error_text());
    else if (behind > LAG_SECONDS)
        find_warning(to, "checkpoint", "see that its reader runs",
                     "%s is %" PRId64 " events and %" PRId64 " seconds behind", name, waiting,
                     behind);
    else if (option_given(to->of, "checkpoint"))
        find_ok(to, "checkpoint", "%s is %" PRId64 " events and %" PRId64 " seconds behind", name,
                waiting, behind);
    else
        return false;
    return true;
}

static void look_at_checkpoint(diagnosis *to, stele_store *store, int64_t head, const char *name)
{
    stele_checkpoint checkpoint;
    stele_status status = stele_checkpoint_load(store, name, &checkpoint);
    if (status == STELE_EPOCH)
        find_bad(to, "checkpoint", EPOCH_FIX, "%s: %s", name, stele_error_text());
    else if (status != STELE_OK)
        find_bad(to, "checkpoint", "stele verify", "%s: %s", name, stele_error_text());
    else if (!checkpoint.found)
        find_warning(to, "checkpoint", "see that the name is right", "%s was never saved", name);
    else
        look_at_lag(to, store, name, head - checkpoint.position, checkpoint.position);
}

/* Those that are behind; a row for all the others only when none is. */
static void look_at_all_checkpoints(diagnosis *to, stele_store *store, int64_t head)
{
    stele_checkpoints *checkpoints = NULL;
    const stele_checkpoint_info *info = NULL;
    size_t count = 0;
    bool found = false;
    stele_status status = stele_store_checkpoints(store, &checkpoints);
    while (status == STELE_OK
           && (status = stele_checkpoints_next(checkpoints, &info)) == STELE_OK) {
        if (!info->found) /* claimed, but not saved yet */
            continue;
        count++;
        if (info->lost)
            find_bad(to, "checkpoint", EPOCH_FIX,
                     "%s is at position %" PRId64
                     " of a timeline that was lost, and shares with this one only up to %" PRId64,
                     info->name, info->position, info->shared);
        found = info->lost
                || look_at_lag(to, store, info->name, head - info->position, info->position)
                || found;
    }
    if (status < 0)
        find_bad(to, "checkpoint", "stele verify", "they can't be listed: %s", stele_error_text());
    else if (!found)
        find_ok(to, "checkpoint", "%zu checkpoint%s, none is behind", count, count == 1 ? "" : "s");
    stele_checkpoints_close(checkpoints);
}

static void look_at_checkpoints(diagnosis *to, stele_store *store, int64_t head)
{
    const tool *of = to->of;
    const char **names = calloc(of->given_count + 1, sizeof(*names));
    if (names == NULL)
        return;
    size_t count = option_list(of, "checkpoint", names);
    for (size_t i = 0; i < count; i++)
        look_at_checkpoint(to, store, head, names[i]);
    if (count == 0)
        look_at_all_checkpoints(to, store, head);
    free(names);
}

static exit_code diagnose_store(diagnosis *to, stele_store *store)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_status status = stele_store_describe(store, &info);
    if (status == STELE_CORRUPT) {
        find_bad(to, "store", "stele verify", "it is damaged: %s", stele_error_text());
        return EXIT_OK;
    }
    if (status != STELE_OK)
        return report_status(status);
    look_at_schema(to, &info);
    look_at_anchor(to, &info);
    look_at_fence(to, &info);
    look_at_wal(to, &info);
    look_at_readers(to, store);
    look_at_space(to, &info);
    look_at_clock(to, store);
    look_at_checkpoints(to, store, info.head);
    look_at_subscriptions(to, store);
    return EXIT_OK;
}

/* --- Opening --- */

/* What was said of the store when it was opened; "" for nothing. */
typedef struct opening {
    char network[500];
    char damage[500];
} opening;

/* A shard behind a fence can't be acquired, and still be looked at. */
static stele_status open_past_fence(const tool *of, const char *path, const stele_options *options,
                                    stele_store **store_out)
{
    stele_status status = open_found(of, options, store_out);
    if (!names_shard(of) || (status != STELE_MOVED && status != STELE_FENCED)
        || access(path, F_OK) != 0)
        return status;
    close_store(of, NULL);
    return stele_store_open(path, options, store_out);
}

/* With what is asked for. A network filesystem, and damage, are found; the rest ends the tool. */
static exit_code open_to_diagnose(const tool *of, const char *path, stele_store **store_out,
                                  opening *said)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.must_exist = true;
    options.accept_loss = option_given(of, "accept-loss");
    options.read_only = !options.accept_loss && !option_given(of, "try");
    options.immutable = of->immutable;
    if (of->immutable && !options.read_only) {
        report_error("--immutable is for looking only, and this writes");
        return EXIT_USAGE;
    }
    stele_status status = open_past_fence(of, path, &options, store_out);
    if (status == STELE_UNSUPPORTED) {
        snprintf(said->network, sizeof(said->network), "%s", stele_error_text());
        options.network_filesystem = true;
        status = open_past_fence(of, path, &options, store_out);
    }
    if (status == STELE_OK)
        return EXIT_OK;
    said->network[0] = '\0';
    if (status == STELE_CORRUPT) {
        snprintf(said->damage, sizeof(said->damage), "%s", stele_error_text());
        return EXIT_OK;
    }
    if (options.read_only) /* it says why, and what to do */
        return open_store(of, 0, store_out);
    return report_unfound(of, status);
}

static void look_at_opening(diagnosis *to, const opening *said)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    /* Of every store: SQLite is the one in this program. */
    stele_store *memory = NULL;
    if (stele_store_open(":memory:", NULL, &memory) == STELE_OK
        && stele_store_describe(memory, &info) == STELE_OK)
        look_at_sqlite(to, &info);
    stele_store_close(memory);
    if (said->network[0] != '\0')
        find_bad(to, "filesystem", "keep it on a local disk: WAL and its locks need one", "%s",
                 said->network);
    else
        find_ok(to, "filesystem", "no network one");
    if (said->damage[0] != '\0')
        find_bad(to, "store", "put the right file or its -wal back, or take it from a backup",
                 "it can't be opened: %s", said->damage);
}

exit_code run_doctor(tool *of)
{
    diagnosis to = { .of = of };
    opening said = { "", "" };
    stele_store *store = NULL;
    exit_code code = find_store(of, false, &to.path);
    if (code == EXIT_OK)
        code = open_to_diagnose(of, to.path, &store, &said);
    if (code != EXIT_OK)
        return code;
    output_begin(&of->out, finding_columns, sizeof(finding_columns) / sizeof(finding_columns[0]));
    look_at_permissions(&to);
    look_at_disk(&to);
    look_at_processes(&to);
    look_at_opening(&to, &said);
    if (store != NULL)
        code = diagnose_store(&to, store);
    output_end(&of->out);
    close_store(of, store);
    if (code != EXIT_OK || to.bad == 0)
        return code;
    report_error("%zu of these %s bad", to.bad, to.bad == 1 ? "is" : "are");
    report_hint("each such row names a fix");
    return EXIT_DAMAGED;
}
