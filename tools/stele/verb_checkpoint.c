/*
 * checkpoint list, get, set and reset: how far each reader has come, and who owns it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "confirm.h"
#include "options.h"
#include "place.h"
#include "tool.h"

const command checkpoint_words[] = {
    { .name = "checkpoint list",
      .forms = { "" },
      .effect = IMPACT_LOOK,
      .what = "list how far each reader has come, by name",
      .details =
          "`lag` is how many positions of the log come after it. `owner` has claimed it and\n"
          "not released it; `lease_ms` is how long that claim still keeps others away. With\n"
          "lanes, the position is that of the one furthest behind. A lost one was saved in\n"
          "another epoch: `shared` is up to where it is of the current log, too.\n",
      .examples = { "stele checkpoint list", "stele checkpoint list -o jsonl | jq 'select(.lag > "
                                             "1000)'" },
      .run = run_checkpoint_list },
    { .name = "checkpoint get",
      .forms = { "NAME" },
      .operand_min = 1,
      .operand_max = 1,
      .effect = IMPACT_LOOK,
      .what = "print how far a reader has come",
      .details = "Exit code 3 when there is no such checkpoint. One that was claimed, but never\n"
                 "saved, has no position.\n",
      .examples = { "stele checkpoint get mailer",
                    "stele checkpoint get mailer -o json | jq .lag" },
      .run = run_checkpoint_get },
    { .name = "checkpoint set",
      .forms = { "NAME POSITION" },
      .operand_min = 2,
      .operand_max = 2,
      .effect = IMPACT_WRITE,
      .what = "say how far a reader has come, or rewind it",
      .details = "Events after POSITION come to it again, or are passed over. Rewinding forgets\n"
                 "what it parked of those that come again. With --monotonic or --from the exit\n"
                 "code is 4 when the checkpoint isn't where it should be.\n",
      .options = { { .name = "monotonic", .what = "only forward, never back" },
                   { .name = "from",
                     .value = "P|missing",
                     .choices = "missing",
                     .open = true,
                     .what = "only if it is there now, and forward" } },
      .examples = { "stele checkpoint set mailer 0", "stele checkpoint set mailer 120 --monotonic",
                    "stele checkpoint set mailer 120 --from 100" },
      .run = run_checkpoint_set },
    { .name = "checkpoint reset",
      .forms = { "NAME" },
      .operand_min = 1,
      .operand_max = 1,
      .effect = IMPACT_WRITE,
      .what = "forget a reader, as if it had never been",
      .details = "With its lanes, its owner and what it parked. Who still works under a claim is\n"
                 "refused from then on. One that isn't there is fine.\n",
      .options = { YES_OPTION, DRY_RUN_OPTION },
      .examples = { "stele checkpoint reset mailer", "stele checkpoint reset mailer -y" },
      .run = run_checkpoint_reset },
    { .name = NULL },
};

static const column checkpoint_columns[] = {
    { .name = "name" },
    { .name = "position", .right = true },
    { .name = "lag", .right = true },
    { .name = "saved" },
    { .name = "lanes", .right = true },
    { .name = "owner" },
    { .name = "generation", .right = true },
    { .name = "lease_ms", .right = true },
    { .name = "lost" },
    { .name = "shared", .right = true },
};

#define COLUMN_COUNT (sizeof(checkpoint_columns) / sizeof(checkpoint_columns[0]))

static const column set_fields[] = {
    { .name = "name" },
    { .name = "position" },
};

static const column reset_fields[] = {
    { .name = "name" },
    { .name = "found" },
    { .name = "dry_run" },
};

/* --- list and get --- */

static void fill_cells(cell cells[COLUMN_COUNT], const stele_checkpoint_info *info, int64_t head,
                       char saved[STELE_TIME_SIZE])
{
    const cell nothing = { .kind = CELL_NOTHING };
    int64_t reached = info->lost && info->shared < info->position ? info->shared : info->position;
    stele_time_format(info->saved_at, saved);
    cells[0] = text_cell(info->name);
    cells[1] = info->found ? number_cell(info->position) : nothing;
    cells[2] = info->found ? number_cell(head > reached ? head - reached : 0) : nothing;
    cells[3] = info->found ? text_cell(saved) : nothing;
    cells[4] = number_cell(info->lanes);
    cells[5] = info->owner[0] != '\0' ? text_cell(info->owner) : nothing;
    cells[6] = number_cell(info->generation);
    cells[7] = info->owner[0] != '\0' ? number_cell(info->left_ms) : nothing;
    cells[8] = boolean_cell(info->lost);
    cells[9] = info->lost ? number_cell(info->shared) : nothing;
}

static bool print_checkpoint(output *out, const stele_checkpoint_info *info, int64_t head)
{
    cell cells[COLUMN_COUNT];
    char saved[STELE_TIME_SIZE];
    fill_cells(cells, info, head, saved);
    return output_row(out, cells);
}

static stele_status open_checkpoints(stele_store *store, stele_checkpoints **checkpoints_out,
                                     int64_t *head_out)
{
    stele_status status = stele_store_checkpoints(store, checkpoints_out);
    return status == STELE_OK ? stele_store_head(store, head_out) : status;
}

exit_code run_checkpoint_list(tool *of)
{
    stele_store *store = NULL;
    stele_checkpoints *checkpoints = NULL;
    const stele_checkpoint_info *info = NULL;
    int64_t head = 0;
    exit_code code = open_store(of, 0, &store);
    if (code != EXIT_OK)
        return code;
    stele_status status = open_checkpoints(store, &checkpoints, &head);
    if (status == STELE_OK) {
        output_begin(&of->out, checkpoint_columns, COLUMN_COUNT);
        while ((status = stele_checkpoints_next(checkpoints, &info)) == STELE_OK)
            if (!print_checkpoint(&of->out, info, head))
                break;
        output_end(&of->out);
    }
    if (status < 0)
        code = report_status(status);
    stele_checkpoints_close(checkpoints);
    close_store(of, store);
    return code;
}

static exit_code print_one(tool *of, stele_store *store, const char *name)
{
    stele_checkpoints *checkpoints = NULL;
    const stele_checkpoint_info *info = NULL;
    int64_t head = 0;
    exit_code code = EXIT_OK;
    stele_status status = open_checkpoints(store, &checkpoints, &head);
    while (status == STELE_OK && (status = stele_checkpoints_next(checkpoints, &info)) == STELE_OK)
        if (strcmp(info->name, name) == 0)
            break;
    if (status == STELE_OK) {
        cell cells[COLUMN_COUNT];
        char saved[STELE_TIME_SIZE];
        fill_cells(cells, info, head, saved);
        output_answer(&of->out, checkpoint_columns, cells, COLUMN_COUNT);
    } else if (status == STELE_DONE) {
        report_error("no checkpoint '%s'", name);
        report_hint("stele checkpoint list shows all");
        code = EXIT_NOT_FOUND;
    } else {
        code = report_status(status);
    }
    stele_checkpoints_close(checkpoints);
    return code;
}

exit_code run_checkpoint_get(tool *of)
{
    stele_store *store = NULL;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = print_one(of, store, of->operands[0]);
    close_store(of, store);
    return code;
}

/* --- set --- */

static bool read_position(const char *text, int64_t *position_out)
{
    char *end = NULL;
    errno = 0;
    long long number = text[0] >= '0' && text[0] <= '9' ? strtoll(text, &end, 10) : -1;
    *position_out = number;
    if (number >= 0 && *end == '\0' && errno == 0)
        return true;
    report_error("POSITION is a number from 0 to the head, not '%s'", text);
    return false;
}

static bool read_move(const tool *of, stele_checkpoint_move *move)
{
    const char *from = option_text(of, "from");
    if (!read_position(of->operands[1], &move->to))
        return false;
    if (from == NULL)
        return true;
    if (strcmp(from, "missing") == 0) {
        move->from = STELE_CHECKPOINT_MISSING;
        return true;
    }
    if (from[0] < '0' || from[0] > '9') {
        report_error("--from takes a position or missing, not '%s'", from);
        report_hint("stele checkpoint set --help");
        return false;
    }
    if (!option_number(of, "from", 0, INT64_MAX, &move->from))
        return false;
    if (move->from > move->to) {
        report_error("--from %" PRId64 " goes forward only, and %" PRId64 " is before that",
                     move->from, move->to);
        report_hint("without --from the checkpoint goes back");
        return false;
    }
    return true;
}

static exit_code set_checkpoint(tool *of, stele_store *store, const stele_checkpoint_move *move)
{
    const char *name = of->operands[0];
    bool forward = option_given(of, "monotonic") || option_given(of, "from");
    stele_status status = forward ? stele_checkpoint_advance(store, name, move, NULL)
                                  : stele_checkpoint_save(store, name, move->to);
    if (status == STELE_UNKNOWN_OUTCOME) {
        exit_code code = report_status_alone(status);
        report_hint("the same command again is harmless");
        return code;
    }
    if (status != STELE_OK)
        return report_status(status);
    const cell cells[] = { text_cell(name), number_cell(move->to) };
    output_answer(&of->out, set_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return EXIT_OK;
}

exit_code run_checkpoint_set(tool *of)
{
    stele_store *store = NULL;
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    if (!read_move(of, &move))
        return EXIT_USAGE;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = set_checkpoint(of, store, &move);
    close_store(of, store);
    return code;
}

/* --- reset --- */

static exit_code reset_checkpoint(tool *of, stele_store *store)
{
    const char *name = of->operands[0];
    bool dry_run = option_given(of, "dry-run");
    bool found = false;
    stele_status status = STELE_OK;
    if (dry_run) {
        stele_checkpoint checkpoint;
        status = stele_checkpoint_load(store, name, &checkpoint);
        found = checkpoint.found;
        status = status == STELE_EPOCH ? STELE_OK : status;
    } else {
        exit_code code =
            confirm(of, "forget the checkpoint '%s', and what was parked by it?", name);
        if (code != EXIT_OK)
            return code;
        status = stele_checkpoint_reset(store, name, &found);
    }
    if (status == STELE_UNKNOWN_OUTCOME) {
        exit_code code = report_status_alone(status);
        report_hint("the same command again is harmless");
        return code;
    }
    if (status != STELE_OK)
        return report_status(status);
    const cell cells[] = { text_cell(name), boolean_cell(found), boolean_cell(dry_run) };
    output_answer(&of->out, reset_fields, cells, sizeof(cells) / sizeof(cells[0]));
    return EXIT_OK;
}

exit_code run_checkpoint_reset(tool *of)
{
    stele_store *store = NULL;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = reset_checkpoint(of, store);
    close_store(of, store);
    return code;
}
