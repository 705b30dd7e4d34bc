/*
 * backup and recover: a copy of a store in use, and a store made from such a copy.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "longwork.h"
#include "options.h"
#include "place.h"
#include "tool.h"

static const column backup_fields[] = {
    { .name = "path" },  { .name = "uuid" },     { .name = "epoch" },
    { .name = "head" },  { .name = "made_at" },  { .name = "bytes" },
    { .name = "pages" }, { .name = "restarts" }, { .name = "verified" },
};

static const column recover_fields[] = {
    { .name = "path" },      { .name = "uuid" },   { .name = "epoch" },
    { .name = "old_epoch" }, { .name = "head" },   { .name = "made_at" },
    { .name = "bytes" },     { .name = "checks" }, { .name = "failed" },
};

/* What the library said, and what to do about it. */
static exit_code report_copy(stele_status status, const char *damage_hint)
{
    report_progress_end();
    switch (status) {
    case STELE_MISUSE:
        report_error("%s", stele_error_text());
        report_hint("choose another name, or move what is there away");
        return EXIT_USAGE;
    case STELE_CANCELLED:
        report_error("interrupted; nothing is left of the copy");
        return EXIT_INTERRUPTED;
    case STELE_NOT_FOUND:
        report_error("%s", stele_error_text());
        report_hint("the file to copy from and the folder to copy to must exist");
        return EXIT_NOT_FOUND;
    case STELE_CORRUPT:
        report_error("%s", stele_error_text());
        report_hint("%s", damage_hint);
        return EXIT_DAMAGED;
    case STELE_READ_ONLY:
        report_error("%s", stele_error_text());
        report_hint("choose a folder that can be written to");
        return EXIT_REFUSED;
    default: return report_status(status);
    }
}

static exit_code back_up_store(tool *of, stele_store *store, const stele_work *work)
{
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = of->operands[0];
    backup.unverified = option_given(of, "no-verify");
    backup.work = work;
    stele_backed_up made;
    char made_at[STELE_TIME_SIZE];
    stele_status status = stele_store_backup(store, &backup, &made);
    if (status != STELE_OK)
        return report_copy(status, "stele verify names what is damaged; --no-verify copies it all"
                                   " the same");
    report_progress_end();
    stele_time_format(made.made_at, made_at);
    const cell cells[] = {
        text_cell(backup.path),
        text_cell(made.uuid),
        text_cell(made.epoch),
        number_cell(made.head),
        text_cell(made_at),
        number_cell(made.bytes),
        number_cell((int64_t)made.pages),
        number_cell((int64_t)made.restarts),
        boolean_cell(!backup.unverified),
    };
    output_answer(&of->out, backup_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return EXIT_OK;
}

exit_code run_backup(tool *of)
{
    stele_store *store;
    stele_work work;
    if (!take_work(of, &work))
        return EXIT_USAGE;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = back_up_store(of, store, &work);
    close_store(of, store);
    return code;
}

exit_code run_recover(tool *of)
{
    stele_work work;
    if (of->organisation != NULL || names_shard(of)) {
        report_error("recover makes a file; --org and --ns name a shard");
        report_hint("stele shards recover BACKUP makes a shard");
        return EXIT_USAGE;
    }
    if (!take_work(of, &work))
        return EXIT_USAGE;
    stele_recover recover = STELE_RECOVER_INIT;
    recover.backup = of->operands[0];
    recover.path = of->operands[1];
    recover.damaged = option_given(of, "damaged");
    recover.work = &work;
    stele_recovered made;
    char made_at[STELE_TIME_SIZE] = "";
    stele_status status = stele_recover_backup(&recover, &made);
    if (status != STELE_OK)
        return report_copy(status, recover.damaged
                                       ? "try an older backup"
                                       : "try an older backup; --damaged goes on with what is"
                                         " there, if it can be opened");
    report_progress_end();
    if (made.failures > 0)
        report_line("warning: %" PRIu64 " checks failed; stele verify -s %s names them",
                    made.failures, shell_word(recover.path));
    if (made.made_at != 0)
        stele_time_format(made.made_at, made_at);
    const cell cells[] = {
        text_cell(recover.path),
        text_cell(made.uuid),
        text_cell(made.epoch),
        text_cell(made.old_epoch),
        number_cell(made.head),
        text_cell(made_at),
        number_cell(made.bytes),
        number_cell((int64_t)made.checks),
        number_cell((int64_t)made.failures),
    };
    output_answer(&of->out, recover_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return EXIT_OK;
}
