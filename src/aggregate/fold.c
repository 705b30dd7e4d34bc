/*
 * Folding: from what is remembered to what the stream is now.
 *
 * A state that was remembered is a fold of one stream, known by its number, up to a version. It is
 * good as long as the stream of the name is that one, and has that version; then only the events
 * after it are read. Otherwise it is dropped, and folding begins anew.
 */
#include <inttypes.h>
#include <string.h>

#include "aggregate/aggregate.h"
#include "base/callback.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"

/* --- The state at hand --- */

/* The initial state, of no stream yet. */
static stele_status begin_state_anew(stele__fold *fold)
{
    const stele_aggregate *aggregate = fold->aggregate;
    uint64_t forgotten = fold->at.forgotten;
    if (fold->at.state == NULL)
        fold->at.state = stele__state_allocate(aggregate);
    else
        stele__state_clear(aggregate, fold->at.state);
    void *state = fold->at.state;
    fold->at = (stele__taken){ .state = state, .forgotten = forgotten };
    if (state == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the state of '%s'", fold->stream);
    stele_status status = stele__state_begin(aggregate, state);
    return status == STELE_OK ? status : stele__fail_within(status, "stream '%s'", fold->stream);
}

/* --- Snapshots --- */

static stele_status load_own_snapshot(stele__fold *fold, const stele_snapshot_record **record_out)
{
    const stele_aggregate *aggregate = fold->aggregate;
    stele_snapshot_read read = STELE_SNAPSHOT_READ_INIT;
    read.stream = fold->stream;
    read.name = aggregate->name;
    read.schema_version = aggregate->schema_version;
    read.codec = aggregate->codec;
    read.max_version = fold->to_version;
    read.wait = fold->wait;
    if (fold->transaction != NULL)
        return stele_transaction_snapshot_load(fold->transaction, &read, record_out);
    return stele_snapshot_load(aggregate->store, &read, record_out);
}

/* Begin with a snapshot, if there is one that can be read. */
static stele_status begin_with_snapshot(stele__fold *fold)
{
    const stele_aggregate *aggregate = fold->aggregate;
    const stele_snapshot_record *record = NULL;
    if (!aggregate->snapshots)
        return STELE_OK;
    stele_status status = load_own_snapshot(fold, &record);
    if (status != STELE_OK)
        return status;
    fold->report.miss = record->miss;
    if (record->found) {
        stele__state_clear(aggregate, fold->at.state);
        status = stele__state_decode(aggregate, record->codec, record->data, record->data_size,
                                     fold->at.state);
        if (status == STELE_OK) {
            fold->at.stream_id = record->stream_id;
            fold->at.version = record->version;
            fold->at.snapshot_version = record->version;
            fold->report.snapshot_version = record->version;
        } else if (status != STELE_NO_MEMORY && status != STELE_CLOSED) {
            /* It is a cache: what can't be read is folded anew. */
            fold->report.miss = STELE_SNAPSHOT_UNDECODABLE;
            status = begin_state_anew(fold);
        }
    }
    stele_snapshot_close(record);
    return status;
}

stele_status stele__fold_save(stele__fold *fold, const stele_wait *wait)
{
    const stele_aggregate *aggregate = fold->aggregate;
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_status status = stele__state_encode(aggregate, fold->at.state, &buffer);
    if (status == STELE_OK) {
        stele_snapshot snapshot = STELE_SNAPSHOT_INIT;
        snapshot.stream = fold->stream;
        snapshot.name = aggregate->name;
        snapshot.version = fold->at.version;
        snapshot.schema_version = aggregate->schema_version;
        snapshot.codec = aggregate->codec;
        snapshot.data = buffer.data;
        snapshot.data_size = buffer.size;
        snapshot.keep = aggregate->options.snapshot_keep;
        snapshot.stream_id = fold->at.stream_id;
        snapshot.wait = wait;
        status = stele_snapshot_save(aggregate->store, &snapshot);
    }
    if (status == STELE_OK)
        fold->at.snapshot_version = fold->at.version;
    stele_buffer_dispose(&buffer);
    return status;
}

/* --- Events --- */

static stele_status evolve_part(stele__fold *fold, const stele_record *record,
                                const stele_part *part)
{
    const stele_decider *decider = &fold->aggregate->decider;
    stele_folding folding = { .record = record, .part = part };
    const char *outer = stele__callback_begin("an evolve callback");
    stele__restore_error("");
    stele_status status = decider->evolve(decider->context, fold->at.state, &folding);
    stele__callback_end(outer);
    if (status == STELE_OK)
        return STELE_OK;
    status = stele__judge_callback(status, "evolve");
    return stele__fail_within(status, "stream '%s', version %" PRId64 ", type '%s'", fold->stream,
                              record->version, record->type);
}

/* An upcaster may answer anything; what would mean something else here is INVALID. */
static stele_status decode_to_fold(stele__fold *fold, const stele_record *record)
{
    stele_store *store = fold->aggregate->store;
    stele_status status = stele_record_decode(store, record, &fold->decoded);
    if (status == STELE_UNKNOWN_TYPE && fold->aggregate->decider.unknown)
        return STELE_OK;
    if (stele__callback_may_answer(status)
        || (status == STELE_CLOSED && stele__store_check(store) == STELE_CLOSED))
        return status;
    return stele__judge_callback(status, "decoding");
}

static stele_status fold_record(stele__fold *fold, const stele_record *record)
{
    const stele_decider *decider = &fold->aggregate->decider;
    stele_status status = stele__aggregate_check(fold->aggregate);
    if (status == STELE_OK && fold->patience != NULL)
        status = stele__patience_check(fold->patience, "folding a stream");
    if (status != STELE_OK)
        return status;
    if (decider->raw) {
        status = evolve_part(fold, record, NULL);
    } else {
        status = decode_to_fold(fold, record);
        for (size_t i = 0; status == STELE_OK && i < stele_decoded_count(fold->decoded); i++)
            status = evolve_part(fold, record, stele_decoded_part(fold->decoded, i));
    }
    if (status == STELE_OK) {
        fold->at.version = record->version;
        fold->position = record->position;
        fold->report.folded++;
    }
    return status;
}

/* --- The stream --- */

/* Most tails are shorter; and while such a page is read, writers may wait. */
#define TAIL_PAGE_EVENTS 128

static stele_status read_tail(const stele__fold *fold, stele_read *read, stele_cursor **cursor_out)
{
    if (fold->transaction != NULL)
        return stele_transaction_read(fold->transaction, read, cursor_out);
    if (!fold->executing)
        return stele_store_read(fold->aggregate->store, read, cursor_out);
    read->page_count_max = TAIL_PAGE_EVENTS;
    return stele__read_short(fold->aggregate->store, read, cursor_out);
}

static stele_status open_tail(stele__fold *fold, uint64_t limit, stele_cursor **cursor_out)
{
    stele_read read = STELE_READ_INIT;
    read.limit = limit;
    read.stream = fold->stream;
    read.from_version = fold->at.version + 1;
    read.to_version = fold->to_version;
    read.wait = fold->wait;
    stele_status status = read_tail(fold, &read, cursor_out);
    if (status == STELE_OK)
        stele__cursor_tail(*cursor_out, &fold->tail);
    return status;
}

stele_status stele__fold_look(stele__fold *fold)
{
    stele_cursor *cursor = NULL;
    stele_status status = open_tail(fold, 1, &cursor);
    stele_cursor_close(cursor);
    return status;
}

/* Whether the state at hand is of the stream that is there. */
static bool belongs_to_tail(const stele__fold *fold)
{
    if (fold->at.version == 0)
        return true;
    return fold->at.stream_id == fold->tail.id && fold->at.version <= fold->tail.version;
}

/*
 * Whether the events that are left go on from the state at hand. What is missing was trimmed away:
 * a snapshot may know more than a state of before (`*again_out`), and a decider may want what is
 * left as if it were all.
 */
static stele_status check_trimmed(stele__fold *fold, bool *again_out)
{
    int64_t trimmed = fold->tail.trimmed;
    bool enough = fold->to_version > 0 && fold->at.version >= fold->to_version;
    if (fold->at.version >= trimmed || enough)
        return STELE_OK;
    if (!fold->fresh) {
        *again_out = true;
        return STELE_OK;
    }
    if (!fold->aggregate->decider.from_trimmed)
        return stele__fail(STELE_NOT_FOUND,
                           "stream '%s' was trimmed through version %" PRId64
                           ", and no snapshot reaches there",
                           fold->stream, trimmed);
    if (fold->at.version == 0)
        return STELE_OK;
    fold->report.snapshot_version = 0;
    stele_status status = begin_state_anew(fold);
    fold->at.stream_id = fold->tail.id;
    return status;
}

/* To the end. `*again_out`: the stream was deleted meanwhile, or trimmed beyond where we are. */
static stele_status fold_records(stele__fold *fold, stele_cursor *cursor, bool *again_out)
{
    const stele_record *record = NULL;
    stele_status status = STELE_OK;
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK)
        status = fold_record(fold, record);
    *again_out = status == STELE_NOT_FOUND;
    if (status != STELE_DONE)
        return status;
    /* Nothing may be left of what was trimmed. */
    if (fold->at.version < fold->tail.trimmed && fold->to_version == 0)
        fold->at.version = fold->tail.trimmed;
    return STELE_OK;
}

/* One attempt. `*again_out`: the stream became another one. */
static stele_status fold_tail(stele__fold *fold, bool *again_out)
{
    stele_cursor *cursor = NULL;
    stele_status status = open_tail(fold, 0, &cursor);
    *again_out = false;
    if (status == STELE_OK && !belongs_to_tail(fold)) {
        *again_out = true;
    } else if (status == STELE_OK) {
        fold->at.stream_id = fold->tail.id;
        status = check_trimmed(fold, again_out);
        if (status == STELE_OK && !*again_out)
            status = fold_records(fold, cursor, again_out);
    }
    fold->fresh = false;
    stele_cursor_close(cursor);
    return status;
}

static stele_status begin_cold(stele__fold *fold)
{
    fold->report.snapshot_version = 0;
    fold->report.cached = false;
    fold->fresh = true;
    stele_status status = begin_state_anew(fold);
    return status == STELE_OK ? begin_with_snapshot(fold) : status;
}

stele_status stele__fold_on(stele__fold *fold)
{
    bool again = false;
    stele_status status = fold_tail(fold, &again);
    for (int i = 0; again && i < STELE__RESTART_MAX; i++) {
        if (!fold->uncached)
            stele__cache_drop(fold->aggregate, fold->stream);
        again = false;
        status = begin_cold(fold);
        if (status == STELE_OK)
            status = fold_tail(fold, &again);
    }
    if (again)
        status = stele__fail(STELE_BUSY, "the stream '%s' is deleted and made anew all the time",
                             fold->stream);
    if (status != STELE_OK && fold->at.state != NULL) {
        stele__state_free(fold->aggregate, fold->at.state);
        fold->at.state = NULL;
    }
    return status;
}

static void count_load(stele__fold *fold)
{
    stele_aggregate *aggregate = fold->aggregate;
    pthread_mutex_lock(&aggregate->mutex);
    if (fold->report.cached)
        aggregate->counts.hits++;
    else
        aggregate->counts.misses++;
    if (fold->report.snapshot_version > 0)
        aggregate->counts.snapshot_hits++;
    pthread_mutex_unlock(&aggregate->mutex);
}

/* In a transaction: up to which event all that is read will stay, whatever becomes of it. */
static stele_status look_at_head(stele__fold *fold)
{
    stele_transaction *transaction = fold->transaction;
    if (transaction == NULL)
        return STELE_OK;
    fold->tentative = fold->aggregate->store->writer.changed;
    if (transaction->knows_head || fold->tentative)
        return STELE_OK;
    stele_status status = stele_transaction_head(transaction, &transaction->head);
    transaction->knows_head = status == STELE_OK;
    return status;
}

/* Whether others may go on from the state: not when a transaction has written some of it, which may
 * yet be rolled back, nor when it is of a moment long ago. */
static bool can_be_given(const stele__fold *fold)
{
    const stele_transaction *transaction = fold->transaction;
    if (fold->uncached || fold->to_version > 0)
        return false;
    if (transaction == NULL)
        return true;
    bool snapshot = fold->report.snapshot_version > 0; /* it may be the transaction's own */
    return transaction->knows_head && fold->position > 0 && fold->position <= transaction->head
           && !(snapshot && fold->tentative);
}

stele_status stele__fold_load(stele__fold *fold)
{
    stele_status status = look_at_head(fold);
    if (status != STELE_OK)
        return status;
    int64_t began_us = stele__clock_monotonic_us();
    if (!fold->uncached)
        stele__cache_take(fold->aggregate, fold->stream, fold->transaction != NULL, &fold->at);
    fold->report.cached = fold->at.state != NULL;
    if (!fold->report.cached)
        status = begin_cold(fold);
    if (status == STELE_OK)
        status = stele__fold_on(fold);
    fold->report.fold_us = stele__clock_monotonic_us() - began_us;
    if (status == STELE_OK)
        count_load(fold);
    return status;
}

/* --- The end of it --- */

stele_status stele__fold_show(stele__fold *fold, void *state)
{
    stele_aggregate *aggregate = fold->aggregate;
    memset(state, 0, aggregate->state_size);
    if (aggregate->copies)
        return stele__state_copy(aggregate, fold->at.state, state);
    memcpy(state, fold->at.state, aggregate->state_size);
    stele__free(fold->at.state);
    fold->at.state = NULL;
    return STELE_OK;
}

void stele__fold_end(stele__fold *fold)
{
    stele_aggregate *aggregate = fold->aggregate;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    pthread_mutex_lock(&aggregate->mutex);
    aggregate->counts.folded += (uint64_t)fold->report.folded;
    pthread_mutex_unlock(&aggregate->mutex);
    if (can_be_given(fold))
        stele__cache_give(aggregate, fold->stream, &fold->at);
    else
        stele__state_free(aggregate, fold->at.state);
    fold->at.state = NULL;
    stele_decoded_close(fold->decoded);
    fold->decoded = NULL;
    stele__restore_error(error);
}
