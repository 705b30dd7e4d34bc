/* What was taken from the log becomes part of the file: many frames in one transaction. */
#include <inttypes.h>

#include <stele/lifecycle.h>

#include "base/platform.h"
#include "frame/replica_own.h"

/* How often deletions that left something to erase are gone on with. */
#define ERASE_EVERY_US 200000

void stele__batch_drop(stele__replica *replica)
{
    replica->batch_first = 0;
    replica->batch_count = 0;
    replica->batch_bytes.size = 0;
}

/* What came of a batch that isn't committed yet. */
typedef struct batch_result {
    size_t count;
    bool deletes;
    uint64_t duplicates;
    uint64_t checkpoint; /* the last sequence of one; 0: none */
    bool has_own;
    stele__frame_result own; /* of the frame that was on its way */
    stele__frame_place place;
} batch_result;

/* That a frame can't be applied, now or ever. */
static bool is_for_good(stele_status status)
{
    return status == STELE_MISUSE || status == STELE_CONFLICT || status == STELE_EPOCH
           || status == STELE_CORRUPT || status == STELE_INVALID || status == STELE_UNSUPPORTED
           || status == STELE_TOO_LARGE;
}

/* One of two who found the log empty: the first of their frames begins the lane, the other, on
 * every node, is one that changes nothing. `mark` is then what is applied. */
static stele_status replace_genesis(const stele__replica *replica, const stele__frame_place *place,
                                    uint64_t sequence, const void **bytes, size_t *size,
                                    stele__buffer *mark)
{
    stele__frame_header header;
    if (sequence == 1 || !place->bound || stele__frame_peek(*bytes, *size, &header) != STELE_OK
        || header.kind != STELE__FRAME_GENESIS
        || !stele__frame_id_equal(&header.shard, &replica->options.shard))
        return STELE_OK;
    header.kind = STELE__FRAME_BARRIER;
    header.lane = place->lane;
    stele_status status = stele__frame_mark(&header, NULL, mark);
    *bytes = mark->data;
    *size = mark->size;
    return status;
}

static void note_result(stele__replica *replica, stele__frame_result *result, batch_result *into)
{
    into->deletes |= result->deletes;
    if (result->outcome == STELE__FRAME_DUPLICATE || result->outcome == STELE__FRAME_EARLY)
        into->duplicates++;
    if (result->outcome == STELE__FRAME_APPLIED && result->header.kind == STELE__FRAME_CHECKPOINT)
        into->checkpoint = result->applied;
    if (result->outcome == STELE__FRAME_APPLIED && !into->has_own
        && stele__frame_id_equal(&result->header.writer, &replica->writer)) {
        into->own = *result;
        into->has_own = true;
    } else {
        stele__frame_result_dispose(result);
    }
}

static stele_status apply_one(stele__replica *replica, stele_transaction *transaction,
                              const stele__arrived *taken, batch_result *into)
{
    const void *bytes = replica->batch_bytes.data + taken->offset;
    size_t size = taken->size;
    stele__buffer mark = { 0 };
    stele__frame_result result = { 0 };
    stele_status status =
        replace_genesis(replica, &into->place, taken->sequence, &bytes, &size, &mark);
    if (status == STELE_OK) {
        stele__frame_options options = { .size_max = size };
        status = stele__frame_apply(transaction, taken->sequence, bytes, size, &options, &result);
    }
    if (status == STELE_OK && !into->place.bound)
        status = stele__frame_place_within(transaction, &into->place);
    if (status == STELE_OK)
        note_result(replica, &result, into);
    else
        stele__frame_result_dispose(&result);
    stele__buffer_dispose(&mark);
    return status;
}

/* The file is where we left it: nobody else applies to it. */
static stele_status check_applied(stele__replica *replica, stele_transaction *transaction,
                                  batch_result *result, bool *elsewhere_out)
{
    stele_status status = stele__frame_place_within(transaction, &result->place);
    uint64_t expected = replica->batch[replica->batch_first].sequence - 1;
    *elsewhere_out = status == STELE_OK && result->place.applied != expected;
    if (*elsewhere_out)
        return stele__fail(STELE_FENCED,
                           "frames up to %" PRIu64 " are in the file, but only those up to %" PRIu64
                           " were applied by this replica: another one is at work on it",
                           result->place.applied, expected);
    return status;
}

/* The first `count` of the batch in one transaction. `*done_out`: how many could be applied, when
 * it is for the next one that it failed; nothing is committed then. */
static stele_status apply_in_one(stele__replica *replica, const stele_wait *wait, size_t count,
                                 batch_result *result, size_t *done_out, bool *for_good_out)
{
    stele_transaction *transaction = NULL;
    *done_out = 0;
    *for_good_out = false;
    stele_status status = stele_transaction_begin_wait(replica->store, wait, &transaction);
    if (status != STELE_OK)
        return status;
    status = check_applied(replica, transaction, result, for_good_out);
    for (size_t i = 0; status == STELE_OK && i < count; i++) {
        status = apply_one(replica, transaction, &replica->batch[replica->batch_first + i], result);
        *for_good_out = is_for_good(status);
        if (status == STELE_OK)
            (*done_out)++;
    }
    if (status == STELE_OK)
        status = stele__frame_place_within(transaction, &result->place);
    if (status == STELE_OK) {
        status = stele_transaction_commit(transaction);
        if (status == STELE_UNKNOWN_OUTCOME)
            replica->unsettled = result->place.applied;
    }
    char text[STELE__ERROR_SIZE];
    stele__keep_error(text);
    stele_transaction_end(transaction);
    stele__restore_error(text);
    result->count = count;
    return status;
}

/* It is committed. */
static void conclude(stele__replica *replica, batch_result *result)
{
    pthread_mutex_lock(&replica->mutex);
    replica->place = result->place;
    replica->troubled = STELE_OK;
    replica->info.taken += result->count;
    replica->info.duplicates += result->duplicates;
    if (replica->info.head < result->place.applied)
        replica->info.head = result->place.applied;
    if (replica->place.bound)
        replica->genesis_due = false;
    if (result->checkpoint > 0) {
        replica->checkpoint_at = result->checkpoint;
        replica->checkpoint_due = false;
    }
    if (result->has_own) {
        stele__flight_settle(replica, &result->own);
        if (result->own.header.kind == STELE__FRAME_DATA && replica->options.checkpoint_every > 0
            && result->place.applied >= replica->checkpoint_at + replica->options.checkpoint_every)
            replica->checkpoint_due = true;
    }
    if (replica->flight.there && replica->flight.header.kind == STELE__FRAME_GENESIS
        && replica->place.bound)
        stele__flight_withdraw(replica); /* another one was first */
    replica->erase_due |= result->deletes;
    pthread_cond_broadcast(&replica->changed);
    pthread_mutex_unlock(&replica->mutex);
    replica->retry_ms = 0;
    replica->batch_first += result->count;
    replica->batch_count -= result->count;
    if (replica->batch_count == 0)
        stele__batch_drop(replica);
}

void stele__batch_apply(stele__replica *replica, int64_t until_us)
{
    stele_wait wait = STELE_WAIT_INIT;
    batch_result result = { 0 };
    size_t count = replica->batch_count;
    size_t done = 0;
    bool for_good = false;
    uint32_t left_ms = stele__milliseconds_until(until_us);
    wait.timeout_ms = left_ms < 50 ? 50 : left_ms;
    stele_status status = apply_in_one(replica, &wait, count, &result, &done, &for_good);
    if (status != STELE_OK && for_good && done > 0) {
        /* Those before the one that can't be applied count. */
        stele__frame_result_dispose(&result.own);
        result = (batch_result){ 0 };
        status = apply_in_one(replica, &wait, done, &result, &done, &for_good);
        for_good = false;
    }
    if (status == STELE_OK) {
        conclude(replica, &result);
    } else if (for_good) {
        stele__pump_halt(replica, status);
    } else {
        if (status == STELE_UNKNOWN_OUTCOME) {
            replica->stale = true;
            replica->attached = false;
            stele__batch_drop(replica);
        }
        stele__pump_blame_file(replica, status);
    }
    stele__frame_result_dispose(&result.own);
}

void stele__pump_erase(stele__replica *replica)
{
    int64_t now = stele__clock_monotonic_us();
    stele_resumed resumed = { 0 };
    pthread_mutex_lock(&replica->mutex);
    bool due =
        replica->erase_due && !replica->erasing && now - replica->erased_at_us >= ERASE_EVERY_US;
    if (due) {
        replica->erasing = true;
        replica->erase_due = false;
    }
    pthread_mutex_unlock(&replica->mutex);
    if (!due)
        return;
    stele_status status = stele_store_resume(replica->store, NULL, &resumed);
    pthread_mutex_lock(&replica->mutex);
    replica->erasing = false;
    replica->erased_at_us = stele__clock_monotonic_us();
    if (status != STELE_OK)
        replica->erase_due = true;
    pthread_mutex_unlock(&replica->mutex);
}
