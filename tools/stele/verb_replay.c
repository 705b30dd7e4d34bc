/*
 * replay: events as lines to the standard input of a command.
 *
 * Without --batch one command gets them all. With it there is a command for each batch. Events
 * always come from a subscription, the *reader*. With --subscription and --batch that is the named
 * one. With --subscription alone the named one only keeps the place: it is acknowledged when the
 * command has ended well, and until then its lease is kept alive.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "archives.h"
#include "interrupt.h"
#include "longwork.h"
#include "options.h"
#include "place.h"
#include "replay.h"
#include "streams.h"
#include "tool.h"

#define BATCH_MOST     100000
#define BATCH_BYTES    ((uint32_t)16 * 1024 * 1024)
#define RATE_MOST      1000000000
#define PAUSE_FIRST_MS 1000
#define PAUSE_MOST_MS  60000

/* --- What the command line asks for --- */

static bool refuse_replay(const char *what, const char *hint)
{
    report_error("%s", what);
    report_hint("%s", hint);
    return false;
}

static replay_stop parse_stop(const char *word)
{
    if (word == NULL || strcmp(word, "head") == 0)
        return REPLAY_HEAD;
    return strcmp(word, "never") == 0 ? REPLAY_NEVER : REPLAY_ERROR;
}

/* @return False when the options don't go together, which has been reported. */
static bool check_replay(const replay *to)
{
    if (to->of->format_given && to->of->out.format != OUTPUT_JSONL)
        return refuse_replay("replay gives jsonl only", "what the command prints is up to it");
    if (to->command == NULL || to->command[0] == '\0')
        return refuse_replay("replay into which command?", "--into COMMAND");
    if (to->name != NULL && to->batch == 0 && to->stop != REPLAY_HEAD)
        return refuse_replay("a command that goes on says nothing of what it has handled",
                             "with --subscription it takes --batch N: a command for each N"
                             " events, acknowledged when it ends with 0");
    if (to->after >= 0 && to->to > 0 && to->to < to->after)
        return refuse_replay("--to is before --after", "positions count from 1");
    return true;
}

/* @return False when an option is wrong, which has been reported. */
static bool read_replay_options(tool *of, replay *to)
{
    *to = (replay){ .of = of, .after = -1, .options = STELE_SUBSCRIPTION_OPTIONS_INIT };
    to->feed = (feed){ .receiver = RECEIVER_NONE };
    to->command = option_text(of, "into");
    to->name = option_text(of, "subscription");
    to->stop = parse_stop(option_text(of, "stop"));
    if (!option_number(of, "after", 0, INT64_MAX, &to->after)
        || !option_number(of, "to", 1, INT64_MAX, &to->to)
        || !option_number(of, "batch", 1, BATCH_MOST, &to->batch)
        || !option_number(of, "rate", 1, RATE_MOST, &to->feed.rate))
        return false;

    size_t capacity = 0;
    to->types = grow(NULL, &capacity, of->given_count + 1, sizeof(const char *));
    stele_subscription_options *options = &to->options;
    options->type_count = option_list(of, "type", to->types);
    options->types = options->type_count > 0 ? to->types : NULL;
    options->stream = option_text(of, "stream");
    options->category = option_text(of, "category");
    options->system = option_given(of, "system");
    options->skip_archived = option_given(of, "skip-archived");
    options->delivery = STELE_AT_LEAST_ONCE;
    options->keys = true;
    if (to->batch > 0) {
        options->batch_count_max = (uint32_t)to->batch;
        options->batch_size_max = BATCH_BYTES;
    }
    return check_replay(to);
}

/* --- What became of a command --- */

static exit_code report_replay_interrupted(const replay *to)
{
    report_interrupted_work("replaying");
    if (to->name != NULL)
        report_hint("'%s' is at position %" PRId64 "; the same command goes on from there",
                    to->name, to->kept);
    else if (to->batch > 0)
        report_hint("--after %" PRId64 " goes on from the last batch that was done", to->kept);
    else
        report_hint("events up to position %" PRId64 " were given", to->feed.given);
    return EXIT_INTERRUPTED;
}

/* Its end was no good one. Whether a pipe took a line before that is chance, and isn't asked. */
static exit_code report_command(const replay *to, int64_t after)
{
    const feed *fed = &to->feed;
    if (was_interrupted()) /* Ctrl-C on a terminal reaches the command, too */
        return report_replay_interrupted(to);
    bool could_not_run = fed->receiver.code == 126 || fed->receiver.code == 127;
    if (fed->count == 0)
        report_error("%s, before it was given anything", fed->receiver.how);
    else
        report_error("%s, after it was given the events up to position %" PRId64, fed->receiver.how,
                     fed->given);
    if (could_not_run)
        report_hint("the shell could not run it");
    else if (to->name != NULL)
        report_hint("'%s' is at position %" PRId64 "; the same command goes on from there",
                    to->name, after);
    else if (to->batch > 0)
        report_hint("--after %" PRId64 " goes on from the last batch that was done", after);
    else if (fed->count > 0)
        report_hint("what it has made of them it knows alone; --after %" PRId64
                    " goes on behind them",
                    fed->given);
    bool some_done = to->batch > 0 && after > fed->begun_after;
    return could_not_run && !some_done ? EXIT_OTHER : EXIT_PARTIAL;
}

/* The command gives up reading: wait for its end, and say how it was. */
static exit_code see_unread(replay *to)
{
    if (feed_end(&to->feed) == FEED_INTERRUPTED)
        return report_replay_interrupted(to);
    if (to->stop == REPLAY_ERROR && to->batch == 0 && to->feed.receiver.code == 0)
        return EXIT_OK;
    return report_command(to, to->kept);
}

static exit_code see_outcome(replay *to, feed_outcome outcome)
{
    switch (outcome) {
    case FEED_GIVEN: break;
    case FEED_UNREAD: return see_unread(to);
    case FEED_INTERRUPTED: return report_replay_interrupted(to);
    case FEED_FAILED: return report_status(to->feed.status);
    }
    return EXIT_OK;
}

static void note_batch(replay *to, const stele_batch *batch)
{
    to->began = true;
    to->skipped.erased += batch->skipped.erased;
    to->skipped.archived += batch->skipped.archived;
    if (to->stop != REPLAY_HEAD)
        to->feed.target = batch->head;
}

/* --- One command for all --- */

/* The command has ended well: what it was given is done, and so is what matched nothing. */
static exit_code keep_place(replay *to)
{
    const stele_batch *batch = NULL;
    stele_status status = STELE_OK;
    while (status == STELE_OK || status == STELE_TIMED_OUT) {
        status = pull_slice(to->keeper, &batch);
        if (status == STELE_OK)
            status = stele_subscription_ack(to->keeper, batch->through);
    }
    return status == STELE_DONE ? EXIT_OK : report_status(status);
}

static exit_code give_all(replay *to)
{
    for (;;) {
        const stele_batch *batch = NULL;
        stele_status status = pull_slice(to->reader, &batch);
        feed_outcome outcome = feed_pause(&to->feed, 0);
        if (status == STELE_DONE)
            return EXIT_OK;
        if (was_interrupted())
            outcome = FEED_INTERRUPTED;
        else if (status != STELE_OK && status != STELE_TIMED_OUT)
            return report_pull(to, status);
        else if (outcome == FEED_GIVEN && !receiver_reads(&to->feed.receiver))
            outcome = FEED_UNREAD;
        if (outcome == FEED_GIVEN && status == STELE_OK) {
            note_batch(to, batch);
            int64_t through = batch->through;
            outcome = feed_batch(&to->feed, batch);
            if (outcome == FEED_GIVEN && stele_subscription_ack(to->reader, through) != STELE_OK)
                return report_status(STELE_MISUSE);
        }
        if (outcome != FEED_GIVEN)
            return see_outcome(to, outcome);
        if (to->feed.receiver.child == 0)
            return EXIT_OK;
        exit_code code = status == STELE_TIMED_OUT ? see_move(to->of) : EXIT_OK;
        if (code != EXIT_OK)
            return code;
    }
}

static exit_code replay_into_one(replay *to)
{
    int64_t after = to->after > 0 ? to->after : 0;
    exit_code code = to->name != NULL ? claim_place(to, &after) : EXIT_OK;
    if (code != EXIT_OK || after < 0)
        return code;
    code = open_nameless(to, after, &to->reader);
    if (code == EXIT_OK)
        code = receiver_open(&to->feed.receiver, to->command);
    if (code != EXIT_OK)
        return code;
    feed_begin(&to->feed, after, to->options.stop_position);
    code = give_all(to);
    if (code != EXIT_OK || to->feed.receiver.child == 0)
        return code;
    feed_outcome outcome = feed_end(&to->feed);
    if (outcome != FEED_GIVEN)
        return see_outcome(to, outcome);
    if (to->feed.receiver.code != 0)
        return report_command(to, to->kept);
    return to->name != NULL ? keep_place(to) : EXIT_OK;
}

/* --- A command for each batch --- */

/* Run it once. `*done_out`: it was given all, and ended with 0. */
static exit_code try_batch(replay *to, const stele_batch *batch, bool *done_out)
{
    *done_out = false;
    exit_code code = receiver_open(&to->feed.receiver, to->command);
    if (code != EXIT_OK)
        return code;
    feed_outcome outcome = feed_batch(&to->feed, batch);
    bool all = outcome == FEED_GIVEN;
    if (outcome == FEED_GIVEN || outcome == FEED_UNREAD)
        outcome = feed_end(&to->feed);
    if (outcome == FEED_INTERRUPTED)
        receiver_close(&to->feed.receiver); /* it may still end well */
    *done_out = all && outcome != FEED_FAILED && to->feed.receiver.code == 0
                && to->feed.receiver.how[0] != '\0';
    return outcome == FEED_FAILED ? report_status(to->feed.status) : EXIT_OK;
}

static exit_code ack_batch(replay *to, int64_t through)
{
    stele_status status = stele_subscription_ack(to->reader, through);
    if (status == STELE_OK) {
        to->kept = through;
        return EXIT_OK;
    }
    exit_code code = report_status(status);
    if (status == STELE_FENCED || status == STELE_CONFLICT)
        report_hint("the events up to position %" PRId64 " were done, and may come again",
                    to->feed.given);
    return code;
}

/* The command has failed, and is to be tried again: what it was given comes again by itself. */
static exit_code pause_after_failure(replay *to, int64_t *pause_ms)
{
    report_line("warning: %s: the same events again in %" PRId64 " s", to->feed.receiver.how,
                *pause_ms / 1000);
    feed_outcome outcome = feed_pause(&to->feed, *pause_ms);
    *pause_ms = 2 * *pause_ms < PAUSE_MOST_MS ? 2 * *pause_ms : PAUSE_MOST_MS;
    return see_outcome(to, outcome);
}

/* Through one batch, however often that takes. */
static exit_code do_batch(replay *to, const stele_batch *batch, int64_t *pause_ms)
{
    bool done;
    int64_t through = batch->through;
    note_batch(to, batch);
    to->feed.upkeep = to->name != NULL ? to->reader : NULL;
    exit_code code = try_batch(to, batch, &done);
    if (code == EXIT_OK && !done && !was_interrupted())
        code = to->stop == REPLAY_NEVER ? pause_after_failure(to, pause_ms)
                                        : report_command(to, to->kept);
    to->feed.upkeep = NULL;
    if (!done)
        return code;
    *pause_ms = PAUSE_FIRST_MS;
    return ack_batch(to, through);
}

static exit_code replay_by_batches(replay *to)
{
    int64_t after = to->after > 0 ? to->after : 0;
    int64_t pause_ms = PAUSE_FIRST_MS;
    exit_code code =
        to->name != NULL ? open_named(to, &to->reader) : open_nameless(to, after, &to->reader);
    feed_begin(&to->feed, to->kept, to->options.stop_position);
    while (code == EXIT_OK) {
        const stele_batch *batch = NULL;
        stele_status status = pull_slice(to->reader, &batch);
        if (status == STELE_DONE)
            break;
        if (was_interrupted())
            code = report_replay_interrupted(to);
        else if (status == STELE_OK)
            code = do_batch(to, batch, &pause_ms);
        else
            code = status == STELE_TIMED_OUT ? stand_by(to) : report_pull(to, status);
        if (code == EXIT_OK && status == STELE_TIMED_OUT)
            code = see_move(to->of);
    }
    return code;
}

/* --- The verb --- */

/* At the head as it is now, or where the options say. */
static exit_code set_bounds(replay *to)
{
    int64_t head = 0;
    stele_status status = stele_store_head(to->store, &head);
    if (status != STELE_OK)
        return report_status(status);
    if (to->after > head) {
        report_error("--after %" PRId64 " is beyond the head, %" PRId64, to->after, head);
        return EXIT_USAGE;
    }
    int64_t end = to->to > 0 && (to->stop != REPLAY_HEAD || to->to < head) ? to->to : head;
    bool ends = to->stop == REPLAY_HEAD || to->to > 0;
    to->options.stop = ends ? STELE_STOP_POSITION : STELE_STOP_NEVER;
    to->options.stop_position = end;
    if (to->after > 0) {
        to->options.start = STELE_START_POSITION;
        to->options.start_position = to->after;
    }
    return to->options.stream != NULL && to->stop == REPLAY_HEAD
               ? check_stream(to->store, to->options.stream)
               : EXIT_OK;
}

static exit_code replay_events(replay *to)
{
    exit_code code = set_bounds(to);
    stele_status status = STELE_OK;
    if (code == EXIT_OK)
        status = stele_exporter_open(&to->feed.exporter);
    if (status != STELE_OK)
        return report_status(status);
    if (code == EXIT_OK)
        code = to->batch > 0 ? replay_by_batches(to) : replay_into_one(to);
    report_progress_end();
    report_skipped(to->skipped);
    feed_close(&to->feed);
    stele_subscription_close(to->reader);
    stele_subscription_close(to->keeper);
    return code;
}

exit_code run_replay(tool *of)
{
    replay to;
    attached archives = { 0 };
    if (!read_replay_options(of, &to)) {
        free(to.types);
        return EXIT_USAGE;
    }
    watch_interrupt();
    watch_termination();
    exit_code code = open_store_as(of, to.name == NULL, 0, &to.store);
    if (code == EXIT_OK)
        code = attach_archives(of, to.store, &archives);
    if (code == EXIT_OK)
        code = replay_events(&to);
    close_store(of, to.store);
    close_attached(&archives);
    free(to.types);
    return code;
}
