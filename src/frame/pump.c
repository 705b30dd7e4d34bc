/* Frames from the log into the file: by whoever pumps. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/platform.h"
#include "frame/replica_own.h"

#define BATCH_SIZE_MAX ((size_t)4 * 1024 * 1024)
/* Times in a row that the log may leave out what follows a place that we attached at. */
#define GAPS_MAX     5
#define RETRY_MS     10
#define RETRY_MAX_MS 1000

/* --- When it doesn't go on --- */

void stele__pump_halt(stele__replica *replica, stele_status status)
{
    stele__fail_within(status, "replication has stopped");
    pthread_mutex_lock(&replica->mutex);
    replica->stopped = status;
    stele__keep_error(replica->stop_text);
    stele__keep_error(replica->info.error);
    stele__flight_lose(replica, replica->stop_text);
    while (replica->first != NULL) {
        stele__asked *asked = replica->first;
        replica->first = asked->next;
        stele__asked_end(asked, status, replica->stop_text);
    }
    replica->last = &replica->first;
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->mutex);
}

static void try_later(stele__replica *replica)
{
    replica->retry_ms = replica->retry_ms == 0 ? RETRY_MS : replica->retry_ms * 2;
    if (replica->retry_ms > RETRY_MAX_MS)
        replica->retry_ms = RETRY_MAX_MS;
    replica->retry_at_us = stele__clock_monotonic_us() + (int64_t)replica->retry_ms * 1000;
}

/* False when it isn't time to try again yet. */
static bool may_try(stele__replica *replica, int64_t until_us)
{
    if (replica->retry_ms == 0)
        return true;
    if (replica->retry_at_us < until_us)
        until_us = replica->retry_at_us;
    pthread_mutex_lock(&replica->mutex);
    if (stele__clock_monotonic_us() < until_us)
        stele__condition_wait(&replica->changed, &replica->mutex, until_us);
    pthread_mutex_unlock(&replica->mutex);
    return stele__clock_monotonic_us() >= replica->retry_at_us;
}

/* The log failed, with this thread's text. */
static void blame_log(stele__replica *replica)
{
    replica->attached = false;
    pthread_mutex_lock(&replica->mutex);
    replica->info.log_errors++;
    snprintf(replica->info.error, sizeof(replica->info.error), "%s", stele_error_text());
    pthread_mutex_unlock(&replica->mutex);
    try_later(replica);
}

/*
 * The file failed, with this thread's text. Who is in no frame yet learns it: nothing of theirs is
 * anywhere. Who is in one that the log has can't know: it will be applied, here and elsewhere.
 */
void stele__pump_blame_file(stele__replica *replica, stele_status status)
{
    if (stele__patience_is_over(status)) { /* somebody else writes: nothing is wrong */
        if (status == STELE_CLOSED)
            try_later(replica);
        return;
    }
    pthread_mutex_lock(&replica->mutex);
    replica->troubled = status == STELE_UNKNOWN_OUTCOME ? STELE_IO : status;
    snprintf(replica->trouble_text, sizeof(replica->trouble_text), "%s", stele_error_text());
    snprintf(replica->info.error, sizeof(replica->info.error), "%s", stele_error_text());
    replica->info.apply_errors++;
    while (replica->first != NULL) {
        stele__asked *asked = replica->first;
        replica->first = asked->next;
        stele__asked_end(asked, replica->troubled, replica->trouble_text);
    }
    replica->last = &replica->first;
    if (replica->flight.place != 0)
        stele__flight_lose(replica, replica->trouble_text);
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->mutex);
    try_later(replica);
}

/* --- The place in the log --- */

/* After a commit of unknown outcome: which it was. */
static bool settle_commit(stele__replica *replica, const stele__frame_place *place)
{
    stele__flight *flight = &replica->flight;
    if (place->applied != replica->place.applied && place->applied != replica->unsettled) {
        stele__fail(STELE_FENCED,
                    "frames up to %" PRIu64 " are in the file, but only those up to %" PRIu64
                    " were applied by this replica: another one is at work on it",
                    place->applied, replica->place.applied);
        stele__pump_halt(replica, STELE_FENCED);
        return false;
    }
    pthread_mutex_lock(&replica->mutex);
    if (flight->place != 0 && flight->place <= place->applied) {
        stele__flight_lose(replica,
                           "the commit of the frame that the change was in failed, and was "
                           "found to be done later");
        stele__flight_end(replica);
    } else {
        flight->place = 0; /* it comes again */
    }
    if (replica->place.applied != place->applied)
        replica->erase_due = true; /* it may have held deletions */
    replica->place = *place;
    replica->troubled = STELE_OK;
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->mutex);
    replica->unsettled = 0;
    replica->stale = false;
    return true;
}

static bool find_lane_place(stele__replica *replica)
{
    stele__frame_place place = { 0 };
    if (!replica->stale)
        return true;
    stele_status status = stele__frame_place_find(replica->store, &place);
    if (status == STELE_OK)
        return settle_commit(replica, &place);
    stele__pump_blame_file(replica, status);
    return false;
}

static bool attach_to_log(stele__replica *replica, int64_t until_us)
{
    if (replica->attached)
        return true;
    if (!may_try(replica, until_us) || !find_lane_place(replica))
        return false;
    uint64_t from = replica->place.applied + 1;
    stele_status status = replica->log->attach(replica->log, &replica->options.shard, from);
    if (status == STELE_NOT_FOUND) {
        stele__pump_halt(replica, stele__fail(status,
                                              "the log has no frame %" PRIu64
                                              " any more: begin from a backup of another node",
                                              from));
        return false;
    }
    if (status != STELE_OK) {
        blame_log(replica);
        return false;
    }
    replica->attached = true;
    replica->first_since_attach = true;
    replica->next = from;
    replica->retry_ms = 0;
    replica->heard_at_us = stele__clock_monotonic_us();
    pthread_mutex_lock(&replica->mutex);
    replica->joined = true;
    replica->head_asked++;
    replica->info.attaches++;
    pthread_mutex_unlock(&replica->mutex);
    return true;
}

/* Ask for the log's end when somebody wants to know, or nothing has come for long. */
static bool look_at_log_end(stele__replica *replica)
{
    uint64_t head = 0;
    int64_t now = stele__clock_monotonic_us();
    int64_t silence_us = (int64_t)replica->options.silence_ms * 1000;
    bool silent =
        now - replica->heard_at_us > silence_us && now - replica->looked_at_us > silence_us;
    pthread_mutex_lock(&replica->mutex);
    uint64_t asked = replica->head_asked;
    bool wanted = asked > replica->head_answered || silent;
    pthread_mutex_unlock(&replica->mutex);
    if (!wanted)
        return true;
    if (replica->log->head(replica->log, &head) != STELE_OK) {
        blame_log(replica);
        return false;
    }
    replica->looked_at_us = now;
    pthread_mutex_lock(&replica->mutex);
    uint64_t applied = replica->place.applied;
    replica->head_answered = asked;
    if (head > replica->info.head || head < applied)
        replica->info.head = head;
    replica->genesis_due = head == 0 && !replica->place.bound;
    pthread_mutex_unlock(&replica->mutex);
    if (head >= applied)
        return true;
    stele__pump_halt(replica, stele__fail(STELE_EPOCH,
                                          "the log ends at %" PRIu64 ", but %" PRIu64
                                          " frames of it were applied here: its end was lost",
                                          head, applied));
    return false;
}

/* --- Taking --- */

/* Whether the frame of our own that is on its way is in the log. */
static void note_own_frame(stele__replica *replica, uint64_t sequence, const void *frame,
                           size_t size)
{
    stele__frame_header header;
    stele__flight *flight = &replica->flight;
    if (stele__frame_peek(frame, size, &header) != STELE_OK
        || !stele__frame_id_equal(&header.writer, &replica->writer))
        return;
    pthread_mutex_lock(&replica->mutex);
    if (flight->there && flight->place == 0
        && header.writer_sequence == flight->header.writer_sequence)
        flight->place = sequence;
    pthread_mutex_unlock(&replica->mutex);
}

static stele_status keep_frame(stele__replica *replica, const void *frame, size_t size)
{
    stele__buffer *bytes = &replica->batch_bytes;
    stele__arrived *taken = &replica->batch[replica->batch_count];
    *taken = (stele__arrived){ replica->next, bytes->size, size };
    stele_status status = stele__buffer_add(bytes, frame, size);
    if (status != STELE_OK)
        return status;
    if (replica->options.tamper != NULL)
        replica->options.tamper(replica->options.context, replica->next,
                                bytes->data + taken->offset, size);
    note_own_frame(replica, replica->next, frame, size);
    replica->batch_count++;
    replica->next++;
    replica->first_since_attach = false;
    replica->gaps = 0;
    replica->heard_at_us = stele__clock_monotonic_us();
    return STELE_OK;
}

/* Frames between were left out: they come when we attach again, or the log has lost them. */
static void find_gap(stele__replica *replica, uint64_t sequence)
{
    pthread_mutex_lock(&replica->mutex);
    replica->info.gaps++;
    pthread_mutex_unlock(&replica->mutex);
    replica->attached = false;
    if (replica->first_since_attach && ++replica->gaps >= GAPS_MAX)
        stele__pump_halt(replica, stele__fail(STELE_CORRUPT,
                                              "the log gives frame %" PRIu64 " after %" PRIu64
                                              ", again and again: those between are lost",
                                              sequence, replica->next - 1));
}

/* Nothing came, though there is something: our place was lost without a word. */
static void notice_silence(stele__replica *replica)
{
    int64_t now = stele__clock_monotonic_us();
    pthread_mutex_lock(&replica->mutex);
    bool behind = replica->info.head >= replica->next;
    pthread_mutex_unlock(&replica->mutex);
    if (behind && now - replica->heard_at_us >= (int64_t)replica->options.again_ms * 1000)
        replica->attached = false;
}

static void note_again(stele__replica *replica)
{
    pthread_mutex_lock(&replica->mutex);
    replica->info.again++;
    pthread_mutex_unlock(&replica->mutex);
}

uint32_t stele__milliseconds_until(int64_t until_us)
{
    int64_t left_us = until_us - stele__clock_monotonic_us();
    return left_us <= 0 ? 0 : (uint32_t)((left_us + 999) / 1000);
}

static void take_frames(stele__replica *replica, int64_t until_us)
{
    int64_t last_us = stele__clock_monotonic_us() + 1000000; /* whatever comes again and again */
    if (until_us > last_us)
        until_us = last_us;
    while (replica->batch_count < replica->options.batch_max
           && replica->batch_bytes.size < BATCH_SIZE_MAX
           && stele__clock_monotonic_us() <= last_us) {
        uint64_t sequence = 0;
        const void *frame = NULL;
        size_t size = 0;
        uint32_t timeout_ms = replica->batch_count > 0 ? 0 : stele__milliseconds_until(until_us);
        stele_status status =
            replica->log->next(replica->log, timeout_ms, &sequence, &frame, &size);
        if (status == STELE_TIMED_OUT) {
            if (replica->batch_count == 0)
                notice_silence(replica);
            return;
        }
        if (status != STELE_OK) {
            blame_log(replica);
            return;
        }
        if (sequence > replica->next) {
            find_gap(replica, sequence);
            return;
        }
        if (sequence < replica->next) {
            note_again(replica);
            continue;
        }
        status = keep_frame(replica, frame, size);
        if (status != STELE_OK) {
            replica->attached = false;
            stele__pump_blame_file(replica, status);
            return;
        }
    }
}

/* --- A round --- */

/* Nothing is to come, as far as is known. */
static bool is_idle(stele__replica *replica)
{
    pthread_mutex_lock(&replica->mutex);
    bool idle =
        !replica->flight.there && replica->first == NULL && replica->info.head < replica->next;
    pthread_mutex_unlock(&replica->mutex);
    return idle;
}

void stele__pump_round(stele__replica *replica, int64_t until_us)
{
    pthread_mutex_lock(&replica->mutex);
    bool stopped = replica->stopped != STELE_OK;
    pthread_mutex_unlock(&replica->mutex);
    if (stopped)
        return;
    if (replica->batch_count == 0) {
        int64_t looked_at_us = replica->looked_at_us;
        if (!attach_to_log(replica, until_us) || !look_at_log_end(replica))
            return;
        stele__flight_launch(replica);
        if (replica->looked_at_us != looked_at_us && is_idle(replica))
            until_us = 0; /* who asked for the end needn't wait for more */
        take_frames(replica, until_us);
    } else if (!may_try(replica, until_us)) {
        return;
    }
    if (replica->batch_count > 0)
        stele__batch_apply(replica, until_us);
    stele__flight_launch(replica);
}
