/*
 * shards drop, undrop, trash and maintain: away with a shard, and back for as long as its grace.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "confirm.h"
#include "interrupt.h"
#include "longwork.h"
#include "options.h"
#include "place.h"
#include "root.h"
#include "tool.h"

static const column trash_columns[] = {
    { .name = "organisation", .may_be_cut = true },
    { .name = "namespace", .may_be_cut = true },
    { .name = "id" },
    { .name = "dropped_at" },
    { .name = "purge_at" },
    { .name = "bytes", .right = true },
    { .name = "moved" },
    { .name = "path", .may_be_cut = true },
};

static const column drop_fields[] = {
    { .name = "organisation" }, { .name = "namespace" }, { .name = "events" },  { .name = "id" },
    { .name = "purge_at" },     { .name = "path" },      { .name = "dry_run" },
};

static const column undrop_fields[] = {
    { .name = "organisation" },
    { .name = "namespace" },
    { .name = "path" },
};

static const column maintain_fields[] = {
    { .name = "purged" },
    { .name = "swept" },
};

static const cell none = { .kind = CELL_NOTHING };

/* --- The trash --- */

static bool is_wanted(const tool *of, const stele_trashed *trashed)
{
    if (of->name_space != NULL)
        return strcmp(trashed->organisation, named_organisation(of)) == 0
               && strcmp(trashed->name_space, of->name_space) == 0;
    return of->organisation == NULL || strcmp(trashed->organisation, of->organisation) == 0;
}

exit_code run_shards_trash(tool *of)
{
    stele_shards *shards;
    stele_trash *trash = NULL;
    const stele_trashed *trashed = NULL;
    exit_code code = open_root(of, ROOT_LOOK, 1, &shards);
    if (code != EXIT_OK)
        return code;
    stele_status status = stele_shards_trash(shards, &trash);
    if (status != STELE_OK)
        return report_status(status);
    output_begin(&of->out, trash_columns, sizeof(trash_columns) / sizeof(trash_columns[0]));
    while ((status = stele_trash_next(trash, &trashed)) == STELE_OK) {
        char dropped_at[STELE_TIME_SIZE];
        char purge_at[STELE_TIME_SIZE];
        if (!is_wanted(of, trashed))
            continue;
        stele_time_format(trashed->dropped_at, dropped_at);
        stele_time_format(trashed->purge_at, purge_at);
        const cell cells[] = {
            text_cell(trashed->organisation),
            text_cell(trashed->name_space),
            text_cell(trashed->id),
            text_cell(dropped_at),
            text_cell(purge_at),
            number_cell(trashed->bytes),
            boolean_cell(trashed->moved),
            text_cell(trashed->path),
        };
        if (!output_row(&of->out, cells))
            break;
    }
    output_end(&of->out);
    stele_trash_close(trash);
    return status < 0 ? report_status(status) : EXIT_OK;
}

/* What of the shard came into the trash last. */
typedef struct in_trash {
    char id[64];
    char purge_at[STELE_TIME_SIZE];
    char *path; /* NULL: nothing is there */
} in_trash;

static void find_in_trash(const tool *of, stele_shards *shards, in_trash *found)
{
    stele_trash *trash = NULL;
    const stele_trashed *trashed = NULL;
    if (stele_shards_trash(shards, &trash) != STELE_OK)
        return;
    while (stele_trash_next(trash, &trashed) == STELE_OK) {
        if (!is_wanted(of, trashed) || trashed->moved)
            continue;
        free(found->path);
        found->path = copy_string(trashed->path);
        snprintf(found->id, sizeof(found->id), "%s", trashed->id);
        stele_time_format(trashed->purge_at, found->purge_at);
    }
    stele_trash_close(trash);
}

/* --- drop --- */

/* How much is in it. One that is damaged can be dropped by --force; of one that is fenced a drop
 * was cut short, and goes on. */
static exit_code look_before_drop(const tool *of, stele_shards *shards, bool force,
                                  stele_shard_stats *stats)
{
    stele_acquire how = STELE_ACQUIRE_INIT;
    stele_shard *shard = NULL;
    how.must_exist = true;
    stele_status status =
        stele_shards_acquire(shards, named_organisation(of), of->name_space, &how, &shard);
    if (status == STELE_OK)
        status = stele_shard_statistics(shard, stats);
    exit_code code = EXIT_OK;
    bool unusable = status == STELE_CORRUPT || status == STELE_UNSUPPORTED;
    if (status == STELE_FENCED || (unusable && force))
        stats->shards = 0;
    else if (status != STELE_OK)
        code = report_shard(of, shards, status);
    if (unusable && !force)
        report_hint("--force drops it all the same");
    stele_shard_release(shard);
    return code;
}

static exit_code confirm_drop(const tool *of, const stele_shard_stats *stats)
{
    const char *name = of->name_space;
    const char *organisation = named_organisation(of);
    return stats->shards > 0
               ? confirm(of, "drop the shard '%s' of organisation '%s' with %" PRId64 " events?",
                         name, organisation, stats->events)
               : confirm(of, "drop the shard '%s' of organisation '%s', of unknown content?", name,
                         organisation);
}

static void print_drop(tool *of, const stele_shard_stats *stats, const in_trash *found,
                       const char *path, bool dry_run)
{
    const cell cells[] = {
        text_cell(named_organisation(of)),
        text_cell(of->name_space),
        stats->shards > 0 ? number_cell(stats->events) : none,
        found->path != NULL ? text_cell(found->id) : none,
        found->path != NULL ? text_cell(found->purge_at) : none,
        found->path != NULL ? text_cell(found->path)
        : dry_run           ? text_cell(path)
                            : none,
        boolean_cell(dry_run),
    };
    output_answer(&of->out, drop_fields, cells, sizeof(cells) / sizeof(cells[0]));
    if (found->path != NULL)
        report_hint("until %s it can be brought back: stele shards undrop %s", found->purge_at,
                    store_words(of));
}

exit_code run_shards_drop(tool *of)
{
    stele_shards *shards;
    stele_shard_stats stats = { 0 };
    in_trash found = { .path = NULL };
    char path[PLACE_PATH_SIZE] = "";
    bool force = option_given(of, "force");
    bool dry_run = option_given(of, "dry-run");
    if (!need_shard(of))
        return EXIT_USAGE;
    exit_code code = open_root(of, ROOT_WRITE, 1, &shards);
    if (code == EXIT_OK)
        code = look_before_drop(of, shards, force, &stats);
    if (code == EXIT_OK && !dry_run)
        code = confirm_drop(of, &stats);
    if (code != EXIT_OK)
        return code;
    stele_status status =
        dry_run
            ? stele_shards_path(shards, named_organisation(of), of->name_space, path, sizeof(path))
            : stele_shards_drop(shards, named_organisation(of), of->name_space, force, NULL);
    if (status != STELE_OK)
        return report_shard(of, shards, status);
    if (!dry_run)
        find_in_trash(of, shards, &found);
    print_drop(of, &stats, &found, path, dry_run);
    free(found.path);
    return EXIT_OK;
}

/* --- undrop --- */

exit_code run_shards_undrop(tool *of)
{
    stele_shards *shards;
    char path[PLACE_PATH_SIZE];
    const char *id = of->operand_count > 0 ? of->operands[0] : NULL;
    if (!need_shard(of))
        return EXIT_USAGE;
    exit_code code = open_root(of, ROOT_WRITE, 1, &shards);
    if (code != EXIT_OK)
        return code;
    stele_status status = stele_shards_undrop(shards, named_organisation(of), of->name_space, id);
    if (status == STELE_OK)
        status =
            stele_shards_path(shards, named_organisation(of), of->name_space, path, sizeof(path));
    if (status == STELE_NOT_FOUND || status == STELE_CONFLICT) {
        code = report_status_alone(status);
        if (status == STELE_NOT_FOUND)
            report_hint("stele shards trash -s %s lists what is there",
                        shell_word(store_named(of)));
        else
            report_hint("drop or rename the one that has the name now");
        return code;
    }
    if (status != STELE_OK)
        return report_shard(of, shards, status);
    const cell cells[] = { text_cell(named_organisation(of)), text_cell(of->name_space),
                           text_cell(path) };
    output_answer(&of->out, undrop_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return EXIT_OK;
}

/* --- maintain --- */

static uint64_t count_trash(stele_shards *shards)
{
    stele_trash *trash = NULL;
    const stele_trashed *trashed = NULL;
    uint64_t count = 0;
    if (stele_shards_trash(shards, &trash) != STELE_OK)
        return 0;
    while (stele_trash_next(trash, &trashed) == STELE_OK)
        count++;
    stele_trash_close(trash);
    return count;
}

exit_code run_shards_maintain(tool *of)
{
    stele_shards *shards;
    stele_maintained done = { 0 };
    stele_work work = STELE_WORK_INIT;
    exit_code code = open_root(of, ROOT_WRITE, 1, &shards);
    if (code != EXIT_OK)
        return code;
    if (option_given(of, "grace")) { /* other than was told when they were dropped */
        code = confirm(
            of, "remove for good what was dropped more than %s ago, of %" PRIu64 " in the trash?",
            option_text(of, "grace"), count_trash(shards));
        if (code != EXIT_OK)
            return code;
    }
    watch_interrupt();
    work.progress = show_work;
    stele_status status = stele_shards_maintain(shards, &work, &done);
    if (status == STELE_CANCELLED)
        return report_interrupted_work("maintaining");
    report_progress_end();
    if (status != STELE_OK)
        return report_status(status);
    const cell cells[] = { number_cell((int64_t)done.purged), number_cell((int64_t)done.swept) };
    output_answer(&of->out, maintain_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return EXIT_OK;
}
