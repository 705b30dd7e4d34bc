/*
 * subs and sub: how far subscriptions are, how they do, and letting one go on.
 */
#include <inttypes.h>
#include <string.h>

#include "archives.h"
#include "confirm.h"
#include "options.h"
#include "place.h"
#include "plugin.h"
#include "records.h"
#include "subs.h"
#include "tool.h"

#define NEXT_DEFAULT 3
#define NEXT_MOST    1000

static const cell nothing = { .kind = CELL_NOTHING };

static const column sub_columns[] = {
    { .name = "name" },
    { .name = "lane", .right = true },
    { .name = "state" },
    { .name = "position", .right = true },
    { .name = "head", .right = true },
    { .name = "lag", .right = true },
    { .name = "lag_seconds", .right = true },
    { .name = "rate", .right = true },
    { .name = "trend" },
    { .name = "eta_seconds", .right = true },
    { .name = "parked", .right = true },
    { .name = "waiting", .right = true },
    { .name = "owner", .may_be_cut = true },
    { .name = "heartbeat" },
    { .name = "error", .may_be_cut = true },
};

static const column sub_fields[] = {
    { .name = "name" },          { .name = "lanes" },          { .name = "state" },
    { .name = "position" },      { .name = "head" },           { .name = "lag" },
    { .name = "lag_seconds" },   { .name = "lag_change" },     { .name = "rate" },
    { .name = "trend" },         { .name = "eta_seconds" },    { .name = "parked" },
    { .name = "waiting" },       { .name = "owner" },          { .name = "generation" },
    { .name = "lease_ms" },      { .name = "heartbeat" },      { .name = "attempts" },
    { .name = "error" },         { .name = "error_position" }, { .name = "error_at" },
    { .name = "effects_after" }, { .name = "lost" },           { .name = "saved" },
};

/* --- Cells --- */

static cell known_cell(const char *text)
{
    return text[0] != '\0' ? text_cell(text) : nothing;
}

static cell time_cell(int64_t at, char text[STELE_TIME_SIZE])
{
    if (at == 0)
        return nothing;
    stele_time_format(at, text);
    return text_cell(text);
}

static bool print_sub_row(output *out, const stele_subscription_info *info)
{
    char beat[STELE_TIME_SIZE];
    int64_t eta;
    trend how = judge_trend(info, &eta);
    const cell cells[] = {
        text_cell(info->name),
        info->lane > 0 ? number_cell(info->lane) : nothing,
        text_cell(state_word(info->state)),
        number_cell(info->position),
        number_cell(info->head),
        number_cell(info->lag),
        number_cell(info->lag_us / 1000000),
        number_cell(info->rate),
        text_cell(trend_word(how)),
        eta >= 0 ? number_cell(eta) : nothing,
        number_cell(info->parked),
        number_cell(info->waiting),
        known_cell(info->owner),
        time_cell(info->beat_at, beat),
        known_cell(info->error),
    };
    return output_row(out, cells);
}

static void open_sub_answer(output *out, const stele_subscription_info *info)
{
    char beat[STELE_TIME_SIZE];
    char failed[STELE_TIME_SIZE];
    char saved[STELE_TIME_SIZE];
    int64_t eta;
    trend how = judge_trend(info, &eta);
    bool erred = info->error[0] != '\0';
    bool owned = info->owner[0] != '\0' || info->lease_left_ms > 0;
    const cell cells[] = {
        text_cell(info->name),
        number_cell(info->lanes),
        text_cell(state_word(info->state)),
        number_cell(info->position),
        number_cell(info->head),
        number_cell(info->lag),
        number_cell(info->lag_us / 1000000),
        number_cell(info->lag_change),
        number_cell(info->rate),
        text_cell(trend_word(how)),
        eta >= 0 ? number_cell(eta) : nothing,
        number_cell(info->parked),
        number_cell(info->waiting),
        known_cell(info->owner),
        number_cell(info->generation),
        owned ? number_cell(info->lease_left_ms) : nothing,
        time_cell(info->beat_at, beat),
        number_cell(info->attempts),
        known_cell(info->error),
        erred ? number_cell(info->error_position) : nothing,
        time_cell(erred ? info->error_at : 0, failed),
        number_cell(info->effects_after),
        boolean_cell(info->lost),
        time_cell(info->saved_at, saved),
    };
    output_open_answer(out, sub_fields, cells, sizeof(cells) / sizeof(cells[0]));
}

/* Rows of all, or of the lanes of `name`. */
static exit_code list_subs(output *out, stele_store *store, const char *name, bool lanes)
{
    stele_subscriptions *list = NULL;
    const stele_subscription_info *info = NULL;
    stele_status status = stele_store_subscriptions(store, name, lanes, &list);
    if (status != STELE_OK)
        return report_status(status);
    output_begin(out, sub_columns, sizeof(sub_columns) / sizeof(sub_columns[0]));
    while ((status = stele_subscriptions_next(list, &info)) == STELE_OK) {
        if (name != NULL && info->lane == 0)
            continue;
        if (!print_sub_row(out, info))
            break;
    }
    output_end(out);
    stele_subscriptions_close(list);
    return status < 0 ? report_status(status) : EXIT_OK;
}

exit_code run_subs(tool *of)
{
    stele_store *store = NULL;
    exit_code code = open_store(of, 0, &store);
    if (code == EXIT_OK)
        code = list_subs(&of->out, store, NULL, option_given(of, "lanes"));
    close_store(of, store);
    return code;
}

/* --- One of them --- */

/* The events after `position`. */
static exit_code list_next(tool *of, stele_store *store, int64_t position, int64_t count)
{
    records rows;
    stele_cursor *cursor = NULL;
    const stele_record *record;
    stele_read read = STELE_READ_INIT;
    read.after_position = position;
    read.limit = (uint64_t)count;
    read.keys = records_show_keys(&of->out);
    output_list(&of->out, "next");
    exit_code code = records_begin(&rows, &of->out, option_given(of, "lib") ? store : NULL);
    if (code != EXIT_OK)
        return code;
    stele_status status = count > 0 ? stele_store_read(store, &read, &cursor) : STELE_DONE;
    while (status == STELE_OK)
        if ((status = stele_cursor_next(cursor, &record)) == STELE_OK)
            status = records_write(&rows, record);
    if (status < 0)
        code = report_read_status(status);
    records_end(&rows);
    report_skipped(stele_cursor_skipped(cursor));
    stele_cursor_close(cursor);
    return code;
}

/* The filter isn't in the file, and without it both look like more than there is to do. */
static void say_unfiltered(const stele_subscription_info *info)
{
    if (info->lag > 0)
        report_line("note: lag and the next events are unfiltered: which of them '%s' takes, only"
                    " the program that runs it knows",
                    info->name);
}

/* What is wrong with it, and what to do. */
static void hint_at_trouble(const stele_subscription_info *info)
{
    const char *name = shell_word(info->name);
    if (info->lost)
        report_hint("its position is of a timeline that was lost: build what it made anew, then "
                    "stele checkpoint reset %s",
                    name);
    else if (info->state == STELE_SUBSCRIPTION_STOPPED)
        report_hint("it is stopped by the event at position %" PRId64
                    "; once that can be handled: stele sub %s --clear",
                    info->error_position, name);
    if (info->parked + info->waiting > 0)
        report_hint("stele park list %s shows what is parked", name);
}

static exit_code describe_sub(tool *of, stele_store *store, const char *name, int64_t next)
{
    stele_subscriptions *list = NULL;
    const stele_subscription_info *info = NULL;
    stele_status status = stele_store_subscriptions(store, name, false, &list);
    if (status == STELE_OK)
        status = stele_subscriptions_next(list, &info);
    exit_code code = status < 0 ? report_status(status) : EXIT_OK;
    if (status == STELE_OK) {
        open_sub_answer(&of->out, info);
        if (option_given(of, "lanes")) {
            output_list(&of->out, "by_lane");
            code = list_subs(&of->out, store, name, true);
        }
        if (code == EXIT_OK)
            code = list_next(of, store, info->position, next);
        output_close_answer(&of->out);
        say_unfiltered(info);
        hint_at_trouble(info);
    }
    stele_subscriptions_close(list);
    return code;
}

/* --- Letting it go on --- */

static exit_code ask_to_clear(const tool *of, const stele_subscription_info *info)
{
    if (info->state == STELE_SUBSCRIPTION_STOPPED)
        return confirm(
            of, "let '%s' try the event at position %" PRId64 " again, which stopped it (%s)?",
            info->name, info->error_position, info->error);
    report_line("note: '%s' isn't stopped", info->name);
    return EXIT_OK;
}

static exit_code clear_sub(const tool *of, stele_store *store, const char *name)
{
    stele_subscriptions *list = NULL;
    const stele_subscription_info *info = NULL;
    stele_status status = stele_store_subscriptions(store, name, false, &list);
    if (status == STELE_OK)
        status = stele_subscriptions_next(list, &info);
    exit_code code = status < 0 ? report_status(status) : EXIT_OK;
    bool stopped = status == STELE_OK && info->state == STELE_SUBSCRIPTION_STOPPED;
    if (status == STELE_OK)
        code = ask_to_clear(of, info);
    stele_subscriptions_close(list);
    if (code != EXIT_OK || !stopped)
        return code;
    status = stele_subscription_clear(store, name);
    return status == STELE_OK ? EXIT_OK : report_status(status);
}

exit_code run_sub(tool *of)
{
    int64_t next = NEXT_DEFAULT;
    const char *name = of->operands[0];
    bool clear = option_given(of, "clear");
    if (!option_number(of, "next", 0, NEXT_MOST, &next) || !plugins_can_show(of))
        return EXIT_USAGE;
    stele_store *store = NULL;
    attached archives = { 0 };
    exit_code code = open_store_as(of, !clear, 0, &store);
    if (code == EXIT_OK)
        code = attach_archives(of, store, &archives);
    if (code == EXIT_OK)
        code = load_plugins(of, store);
    if (code == EXIT_OK)
        code = check_subscription(store, name);
    if (code == EXIT_OK && clear)
        code = clear_sub(of, store, name);
    if (code == EXIT_OK)
        code = describe_sub(of, store, name, next);
    close_store(of, store);
    close_attached(&archives);
    return code;
}
