/**
 * @file replay.h
 * What the files of `replay` share: what is asked for, and the place that is kept.
 */
#ifndef STELE_TOOLS_REPLAY_H
#define STELE_TOOLS_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include <stele.h>

#include "feed.h"
#include "tool.h"

/** When to stop: at the head; when a command fails; not even then. */
typedef enum replay_stop { REPLAY_HEAD, REPLAY_ERROR, REPLAY_NEVER } replay_stop;

/** A replay at work. */
typedef struct replay {
    tool *of;
    stele_store *store;
    const char *command;
    const char *name; /**< Of the subscription; NULL: none. */
    replay_stop stop;
    int64_t after; /**< -1: not given. */
    int64_t to;    /**< 0: not given. */
    int64_t batch; /**< 0: one command for all. */
    stele_subscription_options options;
    const char **types;
    stele_subscription *reader;
    stele_subscription *keeper; /**< NULL unless one command is to be acknowledged as a whole. */
    feed feed;
    int64_t kept; /**< Acknowledged up to here: by --subscription, else by the command's end. */
    bool began;   /**< A batch has come. */
    unsigned slices;
    stele_skipped skipped;
} replay;

/** Open the subscription of --subscription. @return EXIT_OK, or how the tool ends (reported), as
 * all of these. */
exit_code open_named(replay *to, stele_subscription **subscription_out);

/** Open one that keeps nothing, after a position. */
exit_code open_nameless(replay *to, int64_t after, stele_subscription **subscription_out);

/** Claim the place of the named one, as the keeper. `*after_out`: where it is; -1: it is where it
 * was to stop. */
exit_code claim_place(replay *to, int64_t *after_out);

/** The next batch, or nothing within a slice of time: STELE_TIMED_OUT. */
stele_status pull_slice(stele_subscription *subscription, const stele_batch **batch_out);

/** Nothing came within a slice: where another one owns the place, that is said after a while. At
 * the head nobody is waited for: it ends. */
exit_code stand_by(replay *to);

/** Say why nothing comes any more. */
exit_code report_pull(const replay *to, stele_status status);

#endif
