/**
 * @file feed.h
 * Giving events to a command as lines: at a rate, with progress, and with the lease of the
 * subscription kept alive meanwhile.
 */
#ifndef STELE_TOOLS_FEED_H
#define STELE_TOOLS_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele.h>

#include "buffer.h"
#include "receiver.h"

/** How it went. */
typedef enum feed_outcome {
    FEED_GIVEN,       /**< All was given; or the command has ended. */
    FEED_UNREAD,      /**< The command doesn't read any more. */
    FEED_INTERRUPTED, /**< By Ctrl-C. */
    FEED_FAILED       /**< `status` says why. */
} feed_outcome;

/** Where the line of an event ends. */
typedef struct line_end {
    size_t at;
    int64_t position;
} line_end;

/** A feed at work. Start from `{ .receiver = RECEIVER_NONE }`. */
typedef struct feed {
    receiver receiver;
    stele_exporter *exporter;
    int64_t rate;               /**< Events a second; 0: no limit. */
    stele_subscription *upkeep; /**< Its batch at hand is kept; NULL: none is. */
    stele_status status;        /**< Why it failed. */
    int64_t begun_after;        /**< The position after which it begins. */
    int64_t target;             /**< Where it is to end, for the progress. */
    int64_t given;              /**< The position of the last event that was given whole. */
    uint64_t count;             /**< How many were. */
    bool ending;                /**< Nothing more comes: only the command's end is waited for. */
    int64_t begun_us;
    int64_t due_us;    /**< When the next one may be given. */
    int64_t upkept_us; /**< When the lease was last seen to. */
    buffer lines;
    line_end *ends;
    size_t end_count;
    size_t end_capacity;
} feed;

/** Begin to measure. */
void feed_begin(feed *of, int64_t after, int64_t target);

/** Give the events of `batch`, which isn't looked at any more when the giving begins. */
feed_outcome feed_batch(feed *of, const stele_batch *batch);

/** Nothing more comes: wait until the command has ended. */
feed_outcome feed_end(feed *of);

/** Wait so long, and keep what is at hand. FEED_GIVEN when the time is over. */
feed_outcome feed_pause(feed *of, int64_t milliseconds);

/** Close it, wherever it is. */
void feed_close(feed *of);

#endif
