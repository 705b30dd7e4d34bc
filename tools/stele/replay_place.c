/* The place of a replay: opening what it reads from, claiming it, and waiting for others. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "archives.h"
#include "interrupt.h"
#include "longwork.h"
#include "replay.h"

#define SLICE_MS        100
#define STAND_BY_SLICES 20 /* So long somebody else may own it before that is said. */

exit_code open_named(replay *to, stele_subscription **subscription_out)
{
    stele_checkpoint checkpoint;
    stele_subscription_options options = to->options;
    stele_status status = stele_checkpoint_load(to->store, to->name, &checkpoint);
    if (status == STELE_OK && checkpoint.found && to->after >= 0) {
        report_error("--after %" PRId64 ": '%s' has begun, and is at position %" PRId64, to->after,
                     to->name, checkpoint.position);
        report_hint("stele checkpoint set %s %" PRId64 " moves it", shell_word(to->name),
                    to->after);
        return EXIT_USAGE;
    }
    options.name = to->name;
    if (status == STELE_OK)
        status = stele_subscription_open(to->store, &options, subscription_out);
    to->kept = checkpoint.found ? checkpoint.position : to->after > 0 ? to->after : 0;
    return status == STELE_OK ? EXIT_OK : report_status(status);
}

exit_code open_nameless(replay *to, int64_t after, stele_subscription **subscription_out)
{
    stele_subscription_options options = to->options;
    options.start = STELE_START_POSITION;
    options.start_position = after;
    to->kept = after;
    stele_status status = stele_subscription_open(to->store, &options, subscription_out);
    return status == STELE_OK ? EXIT_OK : report_status(status);
}

/* Who else owns the place, if somebody does, and for how long: it is the caller's to free. */
static char *find_owner(const replay *to, int64_t *left_ms_out)
{
    stele_checkpoints *list = NULL;
    const stele_checkpoint_info *info = NULL;
    char *owner = NULL;
    stele_status status = stele_store_checkpoints(to->store, &list);
    while (status == STELE_OK && (status = stele_checkpoints_next(list, &info)) == STELE_OK)
        if (owner == NULL && strcmp(info->name, to->name) == 0 && info->owner[0] != '\0'
            && info->left_ms > 0) {
            owner = copy_string(info->owner);
            *left_ms_out = info->left_ms;
        }
    stele_checkpoints_close(list);
    return owner;
}

exit_code stand_by(replay *to)
{
    if (to->name == NULL || to->began || ++to->slices != STAND_BY_SLICES)
        return EXIT_OK;
    exit_code code = EXIT_OK;
    int64_t left_ms = 0;
    char *owner = find_owner(to, &left_ms);
    if (owner == NULL) {
        to->slices = 0;
    } else if (to->stop == REPLAY_HEAD) {
        report_error("'%s' is at work elsewhere: %s owns it", to->name, owner);
        report_hint("if that has died, its lease ends in %" PRId64 " s; stele sub %s",
                    left_ms / 1000 + 1, shell_word(to->name));
        code = EXIT_BUSY;
    } else {
        report_line("note: '%s' is at work elsewhere, as %s: waiting for its turn", to->name,
                    owner);
    }
    free(owner);
    return code;
}

stele_status pull_slice(stele_subscription *subscription, const stele_batch **batch_out)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = SLICE_MS;
    return stele_subscription_next(subscription, &wait, batch_out);
}

exit_code report_pull(const replay *to, stele_status status)
{
    if (status == STELE_ARCHIVED) {
        exit_code code = report_read_status(status);
        report_hint("--skip-archived goes on without");
        return code;
    }
    if (status != STELE_REFUSED || to->name == NULL)
        return report_status(status);
    exit_code code = report_status_alone(status);
    report_hint("stele sub %s --clear lets it go on", shell_word(to->name));
    return code;
}

/* What waits behind parked events isn't to be given, and only batches know which those are. */
static exit_code expect_none_parked(const replay *to)
{
    stele_subscriptions *list = NULL;
    const stele_subscription_info *info = NULL;
    stele_status status = stele_store_subscriptions(to->store, to->name, false, &list);
    if (status == STELE_OK)
        status = stele_subscriptions_next(list, &info);
    int64_t parked = status == STELE_OK ? info->parked + info->waiting : 0;
    stele_subscriptions_close(list);
    if (status < 0)
        return report_status(status);
    if (parked == 0)
        return EXIT_OK;
    report_error("'%s' has parked %" PRId64 " events, and what waits behind them must be left out",
                 to->name, parked);
    report_hint("--batch N does; stele park list %s", shell_word(to->name));
    return EXIT_REFUSED;
}

exit_code claim_place(replay *to, int64_t *after_out)
{
    const stele_batch *batch = NULL;
    exit_code code = open_named(to, &to->keeper);
    *after_out = -1;
    if (code == EXIT_OK)
        code = expect_none_parked(to);
    while (code == EXIT_OK) {
        stele_status status = pull_slice(to->keeper, &batch);
        if (status == STELE_DONE)
            return EXIT_OK;
        if (was_interrupted())
            return report_interrupted_work("waiting");
        if (status == STELE_OK) {
            *after_out = batch->after;
            to->began = true;
            to->feed.upkeep = to->keeper;
            return EXIT_OK;
        }
        code = status == STELE_TIMED_OUT ? stand_by(to) : report_pull(to, status);
    }
    return code;
}
