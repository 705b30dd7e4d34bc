/*
 * shards recover: a shard made of a backup.
 */
#include <inttypes.h>

#include "longwork.h"
#include "options.h"
#include "place.h"
#include "root.h"
#include "tool.h"

static const column recovered_fields[] = {
    { .name = "organisation" }, { .name = "namespace" }, { .name = "path" },
    { .name = "uuid" },         { .name = "epoch" },     { .name = "old_epoch" },
    { .name = "head" },         { .name = "made_at" },   { .name = "bytes" },
    { .name = "checks" },       { .name = "failed" },
};

static exit_code report_unrecovered(const tool *of, stele_shards *shards, stele_status status)
{
    exit_code code;
    switch (status) {
    case STELE_CANCELLED: return report_interrupted_work("recovering; nothing is left of it");
    case STELE_CONFLICT:
        report_progress_end();
        code = report_status_alone(status);
        report_hint("stele shards drop %s puts it into the trash", store_words(of));
        return code;
    case STELE_CORRUPT:
        report_progress_end();
        code = report_status_alone(status);
        report_hint("try an older backup; --damaged goes on with what is there");
        return code;
    case STELE_NOT_FOUND:
        report_progress_end();
        code = report_status_alone(status);
        report_hint("the backup and the folder of the root must exist");
        return code;
    default: return report_shard(of, shards, status);
    }
}

exit_code run_shards_recover(tool *of)
{
    stele_shards *shards;
    stele_work work;
    stele_recover recover = STELE_RECOVER_INIT;
    stele_recovered made = { .head = 0 };
    char path[PLACE_PATH_SIZE] = "";
    char made_at[STELE_TIME_SIZE] = "";
    if (!need_shard(of) || !take_work(of, &work))
        return EXIT_USAGE;
    exit_code code = open_root(of, ROOT_MAKE, 1, &shards);
    if (code != EXIT_OK)
        return code;
    recover.backup = of->operands[0];
    recover.damaged = option_given(of, "damaged");
    recover.work = &work;
    stele_status status =
        stele_shards_recover(shards, named_organisation(of), of->name_space, &recover, &made);
    if (status == STELE_OK)
        status =
            stele_shards_path(shards, named_organisation(of), of->name_space, path, sizeof(path));
    if (status != STELE_OK)
        return report_unrecovered(of, shards, status);
    report_progress_end();
    if (made.failures > 0)
        report_line("warning: %" PRIu64 " checks failed; stele verify %s names them", made.failures,
                    store_words(of));
    if (made.made_at != 0)
        stele_time_format(made.made_at, made_at);
    const cell cells[] = {
        text_cell(named_organisation(of)),
        text_cell(of->name_space),
        text_cell(path),
        text_cell(made.uuid),
        text_cell(made.epoch),
        text_cell(made.old_epoch),
        number_cell(made.head),
        text_cell(made_at),
        number_cell(made.bytes),
        number_cell((int64_t)made.checks),
        number_cell((int64_t)made.failures),
    };
    output_answer(&of->out, recovered_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return EXIT_OK;
}
