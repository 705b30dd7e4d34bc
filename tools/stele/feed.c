#include "feed.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "interrupt.h"

#define UPKEEP_US  2000000 /* A lease lasts for 30 seconds. */
#define GLANCE_MS  100
#define SHORT_US   2000 /* Shorter pauses aren't worth a sleep: they are made up for later. */
#define SECOND_US  ((int64_t)1000000)
#define ETA_COUNT  100 /* Of fewer events a rate says nothing. */
#define MINUTE     60
#define HOUR       3600
#define ETA_LENGTH 32

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

void feed_begin(feed *of, int64_t after, int64_t target)
{
    of->begun_after = after;
    of->given = after;
    of->target = target;
    of->begun_us = now_us();
    of->due_us = of->begun_us;
    of->upkept_us = of->begun_us;
}

void feed_close(feed *of)
{
    receiver_close(&of->receiver);
    stele_exporter_close(of->exporter);
    buffer_dispose(&of->lines);
    free(of->ends);
    *of = (feed){ .receiver = RECEIVER_NONE };
}

/* --- How far --- */

static void format_eta(char text[ETA_LENGTH], const feed *of, int64_t passed_us)
{
    int64_t scanned = of->given - of->begun_after;
    int64_t left = of->target - of->given;
    text[0] = '\0';
    if (of->count < ETA_COUNT || scanned < 1 || left < 1)
        return;
    int64_t seconds = (int64_t)((double)left * (double)passed_us / (double)scanned / 1e6) + 1;
    if (seconds < MINUTE)
        snprintf(text, ETA_LENGTH, ", %" PRId64 "s left", seconds);
    else if (seconds < HOUR)
        snprintf(text, ETA_LENGTH, ", %" PRId64 "m%02" PRId64 "s left", seconds / MINUTE,
                 seconds % MINUTE);
    else
        snprintf(text, ETA_LENGTH, ", %" PRId64 "h%02" PRId64 "m left", seconds / HOUR,
                 seconds % HOUR / MINUTE);
}

static void show_feed(const feed *of)
{
    char eta[ETA_LENGTH];
    int64_t passed_us = now_us() - of->begun_us;
    if (of->ending) {
        report_progress("replaying: %" PRIu64 " events, waiting for the command to end", of->count);
        return;
    }
    if (passed_us < 1)
        passed_us = 1;
    format_eta(eta, of, passed_us);
    report_progress(
        "replaying: %" PRIu64 " events, position %" PRId64 " of %" PRId64 ", %.0f a second%s",
        of->count, of->given, of->target, (double)of->count * 1e6 / (double)passed_us, eta);
}

/* What is to be done now and then while anything is waited for. */
static feed_outcome look_around(feed *of)
{
    int64_t now = now_us();
    show_feed(of);
    if (of->upkeep != NULL && now - of->upkept_us > UPKEEP_US) {
        const stele_batch *batch;
        stele_wait wait = STELE_WAIT_INIT;
        wait.timeout_ms = 0;
        of->upkept_us = now;
        stele_status status = stele_subscription_next(of->upkeep, &wait, &batch);
        if (status != STELE_OK && status != STELE_BUSY && status != STELE_TIMED_OUT) {
            of->status = status;
            return FEED_FAILED;
        }
    }
    return was_interrupted() ? FEED_INTERRUPTED : FEED_GIVEN;
}

feed_outcome feed_pause(feed *of, int64_t milliseconds)
{
    int64_t until = now_us() + milliseconds * 1000;
    feed_outcome outcome = FEED_GIVEN;
    for (int64_t left_us; outcome == FEED_GIVEN && (left_us = until - now_us()) > 0;) {
        int64_t left_ms = left_us / 1000 + 1;
        poll(NULL, 0, left_ms < GLANCE_MS ? (int)left_ms : GLANCE_MS);
        outcome = look_around(of);
    }
    return outcome;
}

/* Until the rate lets the next event go. */
static feed_outcome wait_for_turn(feed *of)
{
    int64_t now = now_us();
    feed_outcome outcome = FEED_GIVEN;
    if (of->due_us - now > SHORT_US)
        outcome = feed_pause(of, (of->due_us - now) / 1000);
    if (of->due_us < now - SHORT_US)
        of->due_us = now - SHORT_US; /* what wasn't there to be given isn't made up for */
    of->due_us += SECOND_US / of->rate;
    return outcome;
}

/* --- Lines --- */

static bool compose_lines(feed *of, const stele_batch *batch)
{
    buffer_clear(&of->lines);
    of->end_count = 0;
    of->ends = grow(of->ends, &of->end_capacity, batch->count, sizeof(*of->ends));
    for (size_t i = 0; i < batch->count; i++) {
        const char *line;
        size_t size;
        of->status = stele_exporter_line(of->exporter, batch->records[i], &line, &size);
        if (of->status != STELE_OK)
            return false;
        buffer_add(&of->lines, line, size);
        of->ends[of->end_count++] = (line_end){ of->lines.size, batch->records[i]->position };
    }
    return true;
}

feed_outcome feed_batch(feed *of, const stele_batch *batch)
{
    if (!compose_lines(of, batch))
        return FEED_FAILED;
    size_t sent = 0;
    size_t whole = 0;
    size_t allowed = of->rate == 0 ? of->end_count : 0;
    feed_outcome outcome = look_around(of);
    while (outcome == FEED_GIVEN && whole < of->end_count) {
        if (whole == allowed) {
            outcome = wait_for_turn(of);
            allowed++;
            if (outcome != FEED_GIVEN)
                break;
        }
        size_t taken;
        size_t size = of->ends[allowed - 1].at - sent;
        if (!receiver_give(&of->receiver, of->lines.bytes + sent, size, &taken))
            return FEED_UNREAD;
        sent += taken;
        while (whole < of->end_count && of->ends[whole].at <= sent) {
            of->given = of->ends[whole++].position;
            of->count++;
        }
        outcome = look_around(of);
    }
    /* What was given to the end isn't taken back by Ctrl-C, which comes up again. */
    return outcome == FEED_INTERRUPTED && whole == of->end_count ? FEED_GIVEN : outcome;
}

feed_outcome feed_end(feed *of)
{
    feed_outcome outcome = FEED_GIVEN;
    of->ending = true;
    while (outcome == FEED_GIVEN && !receiver_has_ended(&of->receiver))
        outcome = look_around(of);
    of->ending = false;
    return outcome;
}
