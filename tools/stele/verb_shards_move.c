/*
 * shards move, rename, cancel, resume and forget: a shard goes to another root, or gets another
 * name.
 */
#include <inttypes.h>
#include <unistd.h>

#include "interrupt.h"
#include "longwork.h"
#include "options.h"
#include "place.h"
#include "root.h"
#include "tool.h"

static const column move_fields[] = {
    { .name = "organisation" }, { .name = "namespace" },   { .name = "path" },
    { .name = "head" },         { .name = "bytes" },       { .name = "fenced_ms" },
    { .name = "resumed" },      { .name = "left_behind" },
};

/* Also of `forget`. */
static const column cancel_fields[] = {
    { .name = "organisation" },
    { .name = "namespace" },
    { .name = "path" },
};

static const column resume_fields[] = { { .name = "finished" } };

/* What is wrong with a move, and how to go on. */
static exit_code report_move(const tool *of, stele_shards *shards, const stele_shard_move *move,
                             stele_status status)
{
    if (status == STELE_NOT_FOUND && move->root != NULL && access(move->root, F_OK) != 0) {
        report_progress_end();
        exit_code code = report_status_alone(status);
        report_hint("the other root must be there, so that no disk is missed: mkdir -m 700 %s",
                    shell_word(move->root));
        return code;
    }
    if (status == STELE_CANCELLED) {
        exit_code code = report_interrupted_work("moving");
        report_hint("the same command goes on with it, and so does stele shards resume; stele"
                    " shards cancel takes it back");
        return code;
    }
    if (status == STELE_CONFLICT || status == STELE_UNSUPPORTED || status == STELE_CORRUPT) {
        report_progress_end();
        exit_code code = report_status_alone(status);
        if (status == STELE_CONFLICT)
            report_hint("choose another name; stele shards cancel takes back a move to elsewhere");
        else if (status == STELE_UNSUPPORTED)
            report_hint("stele restore brings archived streams back");
        else
            report_hint("stele shards verify %s; writers go on here", store_words(of));
        return code;
    }
    return report_shard(of, shards, status);
}

static exit_code move_shard(tool *of, const stele_shard_move *wanted)
{
    stele_shard_move move = *wanted;
    stele_shards *shards;
    stele_shard_moved moved = { .head = 0 };
    stele_work work = STELE_WORK_INIT;
    if (!take_work(of, &work))
        return EXIT_USAGE;
    exit_code code = open_root(of, ROOT_WRITE, 1, &shards);
    if (code != EXIT_OK)
        return code;
    move.organisation = named_organisation(of);
    move.name_space = of->name_space;
    move.work = &work;
    stele_status status = stele_shards_move(shards, &move, &moved);
    if (status != STELE_OK)
        return report_move(of, shards, &move, status);
    report_progress_end();
    const cell cells[] = {
        text_cell(move.to_organisation != NULL ? move.to_organisation : move.organisation),
        text_cell(move.to_namespace != NULL ? move.to_namespace : move.name_space),
        text_cell(moved.path),
        number_cell(moved.head),
        number_cell(moved.bytes),
        number_cell((moved.fenced_us + 999) / 1000),
        boolean_cell(moved.resumed),
        boolean_cell(moved.left_behind),
    };
    output_answer(&of->out, move_fields, cells, sizeof(cells) / sizeof(cells[0]));
    if (moved.left_behind)
        report_hint("somebody reads the old file still; once it is closed, stele shards resume"
                    " puts it into the trash");
    return EXIT_OK;
}

exit_code run_shards_move(tool *of)
{
    stele_shard_move move = STELE_SHARD_MOVE_INIT;
    if (!need_shard(of))
        return EXIT_USAGE;
    move.root = option_text(of, "to");
    move.to_organisation = option_text(of, "to-org");
    move.to_namespace = option_text(of, "to-ns");
    if (move.root == NULL && move.to_organisation == NULL && move.to_namespace == NULL) {
        report_error("where is it to go?");
        report_hint("--to ROOT, or under this root --to-org or --to-ns");
        return EXIT_USAGE;
    }
    return move_shard(of, &move);
}

exit_code run_shards_rename(tool *of)
{
    stele_shard_move move = STELE_SHARD_MOVE_INIT;
    if (!need_shard(of))
        return EXIT_USAGE;
    move.to_namespace = of->operands[0];
    return move_shard(of, &move);
}

/* Where the shard is by its names, or would be. */
static exit_code answer_path(tool *of, stele_shards *shards)
{
    char path[PLACE_PATH_SIZE];
    stele_status status =
        stele_shards_path(shards, named_organisation(of), of->name_space, path, sizeof(path));
    if (status != STELE_OK)
        return report_shard(of, shards, status);
    const cell cells[] = { text_cell(named_organisation(of)), text_cell(of->name_space),
                           text_cell(path) };
    output_answer(&of->out, cancel_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return EXIT_OK;
}

exit_code run_shards_cancel(tool *of)
{
    stele_shards *shards;
    if (!need_shard(of))
        return EXIT_USAGE;
    exit_code code = open_root(of, ROOT_WRITE, 1, &shards);
    if (code != EXIT_OK)
        return code;
    stele_status status =
        stele_shards_move_cancel(shards, named_organisation(of), of->name_space, NULL);
    if (status != STELE_OK) {
        code = report_shard(of, shards, status);
        if (status == STELE_CONFLICT)
            hint_at_new_place(shards, named_organisation(of), of->name_space);
        return code;
    }
    return answer_path(of, shards);
}

exit_code run_shards_forget(tool *of)
{
    stele_shards *shards;
    if (!need_shard(of))
        return EXIT_USAGE;
    exit_code code = open_root(of, ROOT_WRITE, 1, &shards);
    if (code != EXIT_OK)
        return code;
    stele_status status = stele_shards_forget_moved(shards, named_organisation(of), of->name_space);
    if (status != STELE_OK) {
        code = report_shard(of, shards, status);
        if (status == STELE_CONFLICT)
            report_hint("stele shards resume -s %s", shell_word(store_named(of)));
        return code;
    }
    return answer_path(of, shards);
}

exit_code run_shards_resume(tool *of)
{
    stele_shards *shards;
    stele_work work = STELE_WORK_INIT;
    uint64_t finished = 0;
    if (!take_work(of, &work))
        return EXIT_USAGE;
    exit_code code = open_root(of, ROOT_WRITE, 1, &shards);
    if (code != EXIT_OK)
        return code;
    stele_status status = stele_shards_resume(shards, &work, &finished);
    report_progress_end();
    if (status == STELE_OK || finished > 0) {
        const cell cells[] = { number_cell((int64_t)finished) };
        output_answer(&of->out, resume_fields, cells, sizeof(cells) / sizeof(cells[0]));
    }
    if (status == STELE_CANCELLED)
        return report_interrupted_work("moving");
    return status == STELE_OK ? EXIT_OK : report_status(status);
}
