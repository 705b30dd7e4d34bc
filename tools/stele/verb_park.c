/*
 * park list, replay and drop: events that subscriptions have set aside.
 */
#include <inttypes.h>

#include "confirm.h"
#include "options.h"
#include "place.h"
#include "subs.h"
#include "tool.h"

const command park_words[] = {
    { .name = "park list",
      .forms = { "[NAME]" },
      .operand_max = 1,
      .effect = IMPACT_LOOK,
      .what = "list parked events, of a subscription or of all",
      .details =
          "`behind` is the event of the same stream that this one waits for; without it the\n"
          "event failed itself, for `reason`, after so many `attempts`. `asked_at` is when\n"
          "its replay was asked for.\n",
      .options = { { .name = "limit", .value = "N", .what = "at most N" } },
      .examples = { "stele park list", "stele park list mailer",
                    "stele park list -o jsonl | jq -r 'select(.behind == null).reason'" },
      .run = run_park_list },
    { .name = "park replay",
      .forms = { "NAME" },
      .operand_min = 1,
      .operand_max = 1,
      .effect = IMPACT_WRITE,
      .what = "ask whoever runs the subscription to handle parked events now",
      .details =
          "Of each stream from its first on, in order: one that fails again stays, and what\n"
          "is behind it. Asked is the program that runs the subscription, which has the\n"
          "handler; nothing happens before it does. --position is that of a first one.\n",
      .options = { { .name = "stream", .value = "S", .what = "only of this stream" },
                   { .name = "position", .value = "P", .what = "only this event" },
                   { .name = "limit", .value = "N", .what = "at most N" },
                   DRY_RUN_OPTION },
      .examples = { "stele park replay mailer", "stele park replay mailer --stream order-17",
                    "stele park replay mailer --dry-run -o json | jq .chosen" },
      .run = run_park_replay },
    { .name = "park drop",
      .forms = { "NAME" },
      .operand_min = 1,
      .operand_max = 1,
      .effect = IMPACT_WRITE,
      .what = "give up parked events: they will not be handled",
      .details = "--position, --stream or --all must be given. The events stay in the log. What\n"
                 "waits behind a dropped one stays parked, and can be replayed.\n",
      .options = { { .name = "position", .value = "P", .group = 1, .what = "only this event" },
                   { .name = "stream", .value = "S", .group = 1, .what = "those of this stream" },
                   { .name = "all", .group = 1, .what = "all of the subscription" },
                   { .name = "limit", .value = "N", .what = "at most N" },
                   DRY_RUN_OPTION,
                   YES_OPTION },
      .examples = { "stele park drop mailer --position 4711",
                    "stele park drop mailer --stream order-17 --dry-run",
                    "stele park drop mailer --all -y -o json | jq .left" },
      .run = run_park_drop },
    { .name = NULL },
};

static const column parked_columns[] = {
    { .name = "subscription" },
    { .name = "position", .right = true },
    { .name = "stream" },
    { .name = "behind", .right = true },
    { .name = "attempts", .right = true },
    { .name = "parked_at" },
    { .name = "asked_at" },
    { .name = "reason", .may_be_cut = true },
};

static const column asked_fields[] = {
    { .name = "subscription" },
    { .name = "chosen" },
    { .name = "left" },
    { .name = "dry_run" },
};

/* --- list --- */

static bool print_parked(output *out, const stele_parked *parked)
{
    const cell nothing = { .kind = CELL_NOTHING };
    char parked_at[STELE_TIME_SIZE];
    char asked_at[STELE_TIME_SIZE];
    stele_time_format(parked->parked_at, parked_at);
    stele_time_format(parked->asked_at, asked_at);
    const cell cells[] = {
        text_cell(parked->subscription),
        number_cell(parked->position),
        text_cell(parked->stream),
        parked->behind > 0 ? number_cell(parked->behind) : nothing,
        number_cell(parked->attempts),
        text_cell(parked_at),
        parked->asked_at > 0 ? text_cell(asked_at) : nothing,
        parked->reason[0] != '\0' ? text_cell(parked->reason) : nothing,
    };
    return output_row(out, cells);
}

static exit_code list_parked(tool *of, stele_store *store, const char *name, int64_t limit)
{
    stele_parked_list *list = NULL;
    const stele_parked *parked = NULL;
    int64_t count = 0;
    exit_code code = name != NULL ? check_subscription(store, name) : EXIT_OK;
    if (code != EXIT_OK)
        return code;
    stele_status status = stele_store_parked(store, name, &list);
    if (status != STELE_OK)
        return report_status(status);
    output_begin(&of->out, parked_columns, sizeof(parked_columns) / sizeof(parked_columns[0]));
    while ((limit == 0 || count < limit)
           && (status = stele_parked_next(list, &parked)) == STELE_OK) {
        count++;
        if (!print_parked(&of->out, parked))
            break;
    }
    output_end(&of->out);
    stele_parked_close(list);
    return status < 0 ? report_status(status) : EXIT_OK;
}

exit_code run_park_list(tool *of)
{
    stele_store *store = NULL;
    int64_t limit = 0;
    if (!option_number(of, "limit", 1, INT64_MAX, &limit))
        return EXIT_USAGE;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = list_parked(of, store, of->operand_count > 0 ? of->operands[0] : NULL, limit);
    close_store(of, store);
    return code;
}

/* --- replay and drop --- */

/* @return False when an option is wrong, which has been reported. */
static bool read_choice(const tool *of, stele_parked_choice *choice)
{
    int64_t limit = 0;
    choice->subscription = of->operands[0];
    choice->stream = option_text(of, "stream");
    choice->dry_run = option_given(of, "dry-run");
    if (!option_number(of, "position", 1, INT64_MAX, &choice->position)
        || !option_number(of, "limit", 1, INT64_MAX, &limit))
        return false;
    choice->limit = (uint64_t)limit;
    return true;
}

/* Who names an event or a stream that isn't parked is told so. */
static exit_code expect_chosen(const stele_parked_choice *choice, const stele_parked_counts *counts)
{
    if (counts->chosen > 0 || (choice->position == 0 && choice->stream == NULL))
        return EXIT_OK;
    if (choice->position > 0)
        report_error("no event at position %" PRId64 " is parked by '%s'%s%s", choice->position,
                     choice->subscription, choice->stream != NULL ? " of stream " : "",
                     choice->stream != NULL ? choice->stream : "");
    else
        report_error("no event of stream '%s' is parked by '%s'", choice->stream,
                     choice->subscription);
    report_hint("stele park list %s", shell_word(choice->subscription));
    return EXIT_NOT_FOUND;
}

static void print_counts(output *out, const stele_parked_choice *choice,
                         const stele_parked_counts *counts)
{
    const cell cells[] = {
        text_cell(choice->subscription),
        number_cell((int64_t)counts->chosen),
        number_cell((int64_t)counts->left),
        boolean_cell(choice->dry_run),
    };
    output_answer(out, asked_fields, cells, sizeof(cells) / sizeof(cells[0]));
}

/* Whom it was asked of, if anybody. */
static void say_asked(stele_store *store, const char *name)
{
    stele_subscriptions *list = NULL;
    const stele_subscription_info *info = NULL;
    bool nobody = false;
    stele_status status = stele_store_subscriptions(store, name, false, &list);
    if (status == STELE_OK && stele_subscriptions_next(list, &info) == STELE_OK)
        nobody = info->lanes == 0 && info->owner[0] == '\0';
    stele_subscriptions_close(list);
    if (nobody)
        report_line("note: asked, but nobody runs '%s' now: who next does handles them", name);
    else
        report_line("note: asked: who runs '%s' handles them within two seconds of its run", name);
    report_hint("stele park list %s shows what is left", shell_word(name));
}

static exit_code ask_for_replay(tool *of, stele_store *store, const stele_parked_choice *choice)
{
    stele_parked_counts counts = { 0 };
    exit_code code = check_subscription(store, choice->subscription);
    if (code != EXIT_OK)
        return code;
    stele_status status = stele_parked_ask(store, choice, &counts);
    if (status != STELE_OK)
        return report_status(status);
    code = expect_chosen(choice, &counts);
    if (code != EXIT_OK)
        return code;
    print_counts(&of->out, choice, &counts);
    if (!choice->dry_run && counts.chosen > 0)
        say_asked(store, choice->subscription);
    return EXIT_OK;
}

exit_code run_park_replay(tool *of)
{
    stele_store *store = NULL;
    stele_parked_choice choice = STELE_PARKED_CHOICE_INIT;
    if (!read_choice(of, &choice))
        return EXIT_USAGE;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = ask_for_replay(of, store, &choice);
    close_store(of, store);
    return code;
}

/* Who isn't sure yet is told how many they are. */
static exit_code ask_to_give_up(const tool *of, stele_store *store,
                                const stele_parked_choice *choice)
{
    stele_parked_counts counts = { 0 };
    stele_parked_choice dry = *choice;
    dry.dry_run = true;
    stele_status status = stele_parked_drop(store, &dry, &counts);
    if (status != STELE_OK)
        return report_status(status);
    exit_code code = expect_chosen(choice, &counts);
    if (code != EXIT_OK || choice->dry_run || counts.chosen == 0)
        return code;
    return confirm(of, "drop %" PRIu64 " parked event%s of '%s', which will not be handled?",
                   counts.chosen, counts.chosen == 1 ? "" : "s", choice->subscription);
}

static exit_code drop_parked(tool *of, stele_store *store, const stele_parked_choice *choice)
{
    stele_parked_counts counts = { 0 };
    exit_code code = check_subscription(store, choice->subscription);
    if (code == EXIT_OK)
        code = ask_to_give_up(of, store, choice);
    if (code != EXIT_OK)
        return code;
    stele_status status = stele_parked_drop(store, choice, &counts);
    if (status == STELE_UNKNOWN_OUTCOME) {
        code = report_status_alone(status);
        report_hint("stele park list %s shows what is left", shell_word(choice->subscription));
        return code;
    }
    if (status != STELE_OK)
        return report_status(status);
    print_counts(&of->out, choice, &counts);
    return EXIT_OK;
}

exit_code run_park_drop(tool *of)
{
    stele_store *store = NULL;
    stele_parked_choice choice = STELE_PARKED_CHOICE_INIT;
    if (!read_choice(of, &choice))
        return EXIT_USAGE;
    if (choice.position == 0 && choice.stream == NULL && !option_given(of, "all")) {
        report_error("which of the parked events?");
        report_hint("--position P, --stream S or --all");
        return EXIT_USAGE;
    }
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = drop_parked(of, store, &choice);
    close_store(of, store);
    return code;
}
