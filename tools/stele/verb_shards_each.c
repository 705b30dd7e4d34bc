/*
 * shards stats, verify and backup: the same for every shard, with a row for each.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "place.h"
#include "root.h"
#include "shard_each.h"
#include "tool.h"

static const column stats_columns[] = {
    { .name = "organisation", .may_be_cut = true },
    { .name = "namespace", .may_be_cut = true },
    { .name = "events", .right = true },
    { .name = "streams", .right = true },
    { .name = "entries", .right = true },
    { .name = "file_bytes", .right = true },
    { .name = "wal_bytes", .right = true },
    { .name = "last" },
};

static const column total_fields[] = {
    { .name = "shards" },     { .name = "events" },    { .name = "streams" }, { .name = "entries" },
    { .name = "file_bytes" }, { .name = "wal_bytes" }, { .name = "last" },
};

static const column verify_columns[] = {
    { .name = "organisation", .may_be_cut = true },
    { .name = "namespace", .may_be_cut = true },
    { .name = "ok" },
    { .name = "checks", .right = true },
    { .name = "failed", .right = true },
    { .name = "first", .may_be_cut = true },
};

static const column backup_columns[] = {
    { .name = "organisation", .may_be_cut = true },
    { .name = "namespace", .may_be_cut = true },
    { .name = "ok" },
    { .name = "head", .right = true },
    { .name = "bytes", .right = true },
    { .name = "made_at" },
    { .name = "path", .may_be_cut = true },
    { .name = "error", .may_be_cut = true },
};

static const cell no_value = { .kind = CELL_NOTHING };

/* The time as text in `text`, or nothing for 0. */
static cell time_cell(int64_t time, char *text)
{
    if (time == 0)
        return no_value;
    stele_time_format(time, text);
    return text_cell(text);
}

/* --- stats --- */

static stele_status count_shard(shard_each *each, stele_shard *shard, shard_result *result)
{
    (void)each;
    return stele_shard_statistics(shard, &result->stats);
}

static void print_stats(const shard_each *each)
{
    output *out = &each->of->out;
    output_begin(out, stats_columns, sizeof(stats_columns) / sizeof(stats_columns[0]));
    for (size_t i = 0; i < each->count; i++) {
        const shard_result *result = &each->results[i];
        const stele_shard_stats *stats = &result->stats;
        char last[STELE_TIME_SIZE];
        const cell cells[] = {
            text_cell(result->organisation), text_cell(result->name_space),
            number_cell(stats->events),      number_cell(stats->streams),
            number_cell(stats->entries),     number_cell(stats->file_bytes),
            number_cell(stats->wal_bytes),   time_cell(stats->last_recorded_at, last),
        };
        if (result->status == STELE_OK && !output_row(out, cells))
            break;
    }
    output_end(out);
}

static void print_total(const shard_each *each)
{
    stele_shard_stats total = { 0 };
    for (size_t i = 0; i < each->count; i++) {
        const stele_shard_stats *stats = &each->results[i].stats;
        if (each->results[i].status != STELE_OK)
            continue;
        total.shards++;
        total.events += stats->events;
        total.streams += stats->streams;
        total.entries += stats->entries;
        total.file_bytes += stats->file_bytes;
        total.wal_bytes += stats->wal_bytes;
        if (stats->last_recorded_at > total.last_recorded_at)
            total.last_recorded_at = stats->last_recorded_at;
    }
    char last[STELE_TIME_SIZE];
    const cell cells[] = {
        number_cell((int64_t)total.shards),
        number_cell(total.events),
        number_cell(total.streams),
        number_cell(total.entries),
        number_cell(total.file_bytes),
        number_cell(total.wal_bytes),
        time_cell(total.last_recorded_at, last),
    };
    output_answer(&each->of->out, total_fields, cells, sizeof(cells) / sizeof(cells[0]));
}

exit_code run_shards_stats(tool *of)
{
    shard_each each = { .of = of, .doing = "counting", .work = count_shard };
    exit_code code = run_each(&each);
    bool total = option_given(of, "total");
    if (code == EXIT_OK && total)
        print_total(&each);
    else if (code == EXIT_OK || (each.count > 0 && !total))
        print_stats(&each);
    code = judge_each(&each, code);
    dispose_each(&each);
    return code;
}

/* --- verify --- */

static stele_status verify_shard(shard_each *each, stele_shard *shard, shard_result *result)
{
    stele_shard_verified found = { 0 };
    stele_status status = stele_shards_verify(each->shards, stele_shard_organisation(shard),
                                              stele_shard_namespace(shard), &each->step, &found);
    result->checks = found.checks;
    result->failures = found.failures;
    if (found.first[0] != '\0')
        result->text = copy_string(found.first);
    return status;
}

/* What begins the JSON object of the rows. */
static void begin_judged(const shard_each *each, exit_code code, const column *columns,
                         size_t count)
{
    output *out = &each->of->out;
    out->json_head = code == EXIT_OK && each->failed == 0 ? "\"ok\":true," : "\"ok\":false,";
    output_begin(out, columns, count);
    out->json_head = "";
}

static void print_verified(const shard_each *each, exit_code code)
{
    output *out = &each->of->out;
    begin_judged(each, code, verify_columns, sizeof(verify_columns) / sizeof(verify_columns[0]));
    for (size_t i = 0; i < each->count; i++) {
        const shard_result *result = &each->results[i];
        const cell cells[] = {
            text_cell(result->organisation),
            text_cell(result->name_space),
            boolean_cell(result->status == STELE_OK),
            number_cell((int64_t)result->checks),
            number_cell((int64_t)result->failures),
            result->text != NULL ? text_cell(result->text) : no_value,
        };
        if (!output_row(out, cells))
            break;
    }
    output_end(out);
}

exit_code run_shards_verify(tool *of)
{
    shard_each each = { .of = of, .doing = "verifying", .work = verify_shard };
    exit_code code = run_each(&each);
    if (code == EXIT_OK || each.count > 0)
        print_verified(&each, code);
    code = judge_each(&each, code);
    if (each.damaged > 0 && code == EXIT_PARTIAL)
        code = EXIT_DAMAGED;
    if (code == EXIT_DAMAGED)
        report_hint("stele verify with --org and --ns names each check of one");
    dispose_each(&each);
    return code;
}

/* --- backup --- */

/* Make the folder, durably, unless it is there. @return 0, or errno. */
static int make_folder(const char *path, bool *made_out)
{
    *made_out = mkdir(path, 0700) == 0;
    if (!*made_out)
        return errno == EEXIST ? 0 : errno;
    int failure = 0;
    buffer parent = { 0 };
    buffer_format(&parent, "%s/..", path);
    int folder = open(parent.bytes, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || fsync(folder) != 0)
        failure = errno;
    if (folder >= 0)
        close(folder);
    buffer_dispose(&parent);
    return failure;
}

static stele_status back_up_shard(shard_each *each, stele_shard *shard, shard_result *result)
{
    /* As under the root: a folder of the organisation, and the file. */
    const char *below = stele_shard_path(shard) + strlen(stele_shards_root(each->shards));
    buffer path = { 0 };
    buffer_format(&path, "%s%s", each->of->operands[0], below);
    size_t folder_size = (size_t)(strrchr(path.bytes, '/') - path.bytes);
    free(result->path);
    result->path = copy_string(path.bytes);

    path.bytes[folder_size] = '\0';
    bool made;
    int failure = make_folder(path.bytes, &made);
    stele_status status = STELE_IO;
    if (failure != 0) {
        buffer text = { 0 };
        buffer_format(&text, "can't make the folder '%s': %s", path.bytes, strerror(failure));
        result->text = text.bytes;
    } else {
        stele_backup backup = STELE_BACKUP_INIT;
        backup.path = result->path;
        backup.unverified = option_given(each->of, "no-verify");
        backup.work = &each->step;
        status = stele_store_backup(stele_shard_store(shard), &backup, &result->made);
    }
    buffer_dispose(&path);
    return status;
}

static bool is_same_folder(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/* Whether the folder is `root`, or below it, where its own folders would be organisations. */
static bool is_under(const char *folder, const char *root)
{
    struct stat top;
    struct stat here;
    struct stat below = { 0 };
    buffer path = { 0 };
    bool found = false;
    buffer_add_string(&path, folder);
    bool known = stat(root, &top) == 0;
    while (known && !found && stat(path.bytes, &here) == 0 && !is_same_folder(&here, &below)) {
        found = is_same_folder(&here, &top);
        below = here;
        buffer_add_string(&path, "/..");
    }
    buffer_dispose(&path);
    return found;
}

static exit_code make_destination(shard_each *each)
{
    const char *named = each->of->operands[0];
    bool made;
    int failure = make_folder(named, &made);
    struct stat facts;
    if (failure != 0 || stat(named, &facts) != 0)
        report_error("can't make the folder '%s': %s", named,
                     strerror(failure != 0 ? failure : errno));
    else if (!S_ISDIR(facts.st_mode))
        report_error("'%s' is a file, and the backups go into a folder", named);
    else if (is_under(named, stele_shards_root(each->shards)))
        report_error("'%s' is under the root whose shards are to be backed up", named);
    else
        return EXIT_OK;
    if (made)
        rmdir(named);
    report_hint("name a folder beside the root; it is made when only it is missing");
    return EXIT_USAGE;
}

static void print_backups(const shard_each *each, exit_code code)
{
    output *out = &each->of->out;
    begin_judged(each, code, backup_columns, sizeof(backup_columns) / sizeof(backup_columns[0]));
    for (size_t i = 0; i < each->count; i++) {
        const shard_result *result = &each->results[i];
        bool ok = result->status == STELE_OK;
        char made_at[STELE_TIME_SIZE];
        const cell cells[] = {
            text_cell(result->organisation),
            text_cell(result->name_space),
            boolean_cell(ok),
            ok ? number_cell(result->made.head) : no_value,
            ok ? number_cell(result->made.bytes) : no_value,
            ok ? time_cell(result->made.made_at, made_at) : no_value,
            ok ? text_cell(result->path) : no_value,
            ok ? no_value : text_cell(result->text),
        };
        if (!output_row(out, cells))
            break;
    }
    output_end(out);
}

exit_code run_shards_backup(tool *of)
{
    shard_each each = {
        .of = of, .doing = "backing up", .prepare = make_destination, .work = back_up_shard
    };
    exit_code code = run_each(&each);
    if (code == EXIT_OK || each.count > 0)
        print_backups(&each, code);
    code = judge_each(&each, code);
    if (code == EXIT_PARTIAL)
        report_hint("the others are whole; repeat with another DEST, or move those away");
    dispose_each(&each);
    return code;
}
