/* Loading states: now, and as of then. */
#include <inttypes.h>
#include <string.h>

#include "aggregate/aggregate.h"
#include "base/bytes.h"
#include "base/failure.h"
#include "base/options.h"

void stele_at_init(stele_at *at)
{
    *at = (stele_at)STELE_AT_INIT;
}

static void report_loaded(const stele__fold *fold, stele_status status, stele_loaded *loaded_out)
{
    if (loaded_out == NULL)
        return;
    *loaded_out = (stele_loaded){ .fold = fold->report };
    if (status != STELE_OK)
        return;
    loaded_out->version = fold->at.version;
    loaded_out->stream_id = fold->tail.id;
    loaded_out->stream_state = fold->tail.state;
}

/* What every way to load has in common: the state in the caller's memory, and how it came there. */
static stele_status run_load(stele__fold *fold, void *state, stele_loaded *loaded_out)
{
    stele_status status = stele__fold_load(fold);
    report_loaded(fold, status, loaded_out);
    if (status == STELE_OK)
        status = stele__fold_show(fold, state);
    stele__fold_end(fold);
    return status;
}

static stele_status clear_results(const stele_aggregate *aggregate, void *state,
                                  stele_loaded *loaded_out)
{
    if (loaded_out != NULL)
        *loaded_out = (stele_loaded){ 0 };
    if (aggregate == NULL)
        return stele__fail(STELE_MISUSE, "the aggregate is NULL");
    if (state == NULL)
        return stele__fail(STELE_MISUSE, "state is NULL");
    memset(state, 0, aggregate->state_size);
    return STELE_OK;
}

stele_status stele_aggregate_load(stele_aggregate *aggregate, const char *stream, void *state,
                                  stele_loaded *loaded_out)
{
    stele_status status = clear_results(aggregate, state, loaded_out);
    if (status == STELE_OK)
        status = stele__check_name("stream", stream);
    if (status == STELE_OK)
        status = stele__aggregate_enter(aggregate);
    if (status != STELE_OK)
        return status;
    /* Where a state can't be copied, the one in the cache stays there. */
    stele__fold fold = { .aggregate = aggregate, .stream = stream, .uncached = !aggregate->copies };
    status = run_load(&fold, state, loaded_out);
    stele__aggregate_leave(aggregate);
    return status;
}

stele_status stele_transaction_aggregate_load(stele_transaction *transaction,
                                              stele_aggregate *aggregate, const char *stream,
                                              void *state, stele_loaded *loaded_out)
{
    stele_status status = clear_results(aggregate, state, loaded_out);
    if (status == STELE_OK)
        status = stele__check_name("stream", stream);
    if (status == STELE_OK)
        status = stele__aggregate_check_transaction(aggregate, transaction);
    if (status == STELE_OK)
        status = stele__aggregate_enter(aggregate);
    if (status != STELE_OK)
        return status;
    stele__fold fold = { .aggregate = aggregate, .stream = stream, .transaction = transaction };
    status = run_load(&fold, state, loaded_out);
    stele__aggregate_leave(aggregate);
    return status;
}

/* --- As of then --- */

static stele_status check_at(const stele_at *at)
{
    if (at->version < 0 || at->position < 0)
        return stele__fail(STELE_MISUSE, "%s is %" PRId64, at->version < 0 ? "version" : "position",
                           at->version < 0 ? at->version : at->position);
    if (!at->has_time && at->time != 0)
        return stele__fail(STELE_MISUSE, "time is set, has_time is not");
    int count = (at->version > 0) + (at->position > 0) + at->has_time;
    if (count != 1)
        return stele__fail(STELE_MISUSE, "%d of version, position and time are set, and not one",
                           count);
    return STELE_OK;
}

/* Whether the event at `version` had happened by then. The stream may end before. */
static stele_status had_happened(stele__fold *fold, const stele_at *at, int64_t version,
                                 bool *happened_out)
{
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    stele_read read = STELE_READ_INIT;
    read.stream = at->stream;
    read.from_version = version;
    read.to_version = version;
    read.wait = at->wait;
    *happened_out = false;
    stele_status status = stele__aggregate_check(fold->aggregate);
    if (status == STELE_OK)
        status = stele_store_read(fold->aggregate->store, &read, &cursor);
    if (status == STELE_OK) {
        stele__cursor_tail(cursor, &fold->tail);
        status = stele_cursor_next(cursor, &record);
    }
    if (status == STELE_OK)
        *happened_out =
            at->has_time ? record->recorded_at <= at->time : record->position <= at->position;
    stele_cursor_close(cursor);
    return status == STELE_DONE ? STELE_OK : status;
}

/* The last version that had happened by then, by halving: neither positions nor times fall. What
 * was trimmed had happened, if anything is known of it. `*again_out`: the stream became another. */
static stele_status halve_to_version(stele__fold *fold, const stele_at *at, bool *again_out)
{
    bool happened = false;
    stele_status status = had_happened(fold, at, 1, &happened);
    int64_t id = fold->tail.id;
    int64_t low = fold->tail.trimmed;
    int64_t high = fold->tail.version + 1;
    while (status == STELE_OK && high - low > 1 && fold->tail.id == id) {
        int64_t middle = low + (high - low) / 2;
        status = had_happened(fold, at, middle, &happened);
        if (happened)
            low = middle;
        else
            high = middle;
    }
    fold->to_version = low;
    *again_out = status == STELE_NOT_FOUND || fold->tail.id != id || fold->tail.trimmed > low;
    return status;
}

static stele_status find_version_then(stele__fold *fold, const stele_at *at)
{
    bool again = true;
    stele_status status = STELE_OK;
    for (int i = 0; again && i < STELE__RESTART_MAX; i++)
        status = halve_to_version(fold, at, &again);
    if (again)
        return stele__fail(STELE_BUSY, "the stream '%s' becomes another one all the time",
                           at->stream);
    if (status == STELE_OK && fold->to_version > 0 && fold->to_version == fold->tail.trimmed
        && !fold->aggregate->decider.from_trimmed)
        return stele__fail(STELE_NOT_FOUND,
                           "stream '%s' was trimmed through version %" PRId64
                           ", and what it was then is not known",
                           at->stream, fold->tail.trimmed);
    return status;
}

/* Before the first event. */
static stele_status show_initial(stele__fold *fold, void *state, stele_loaded *loaded_out)
{
    stele_status status = stele__state_begin(fold->aggregate, state);
    report_loaded(fold, status, loaded_out);
    return status == STELE_OK ? status : stele__fail_within(status, "stream '%s'", fold->stream);
}

/* Once. `*again_out`: the stream that was halved is not the one that was folded. */
static stele_status load_then(stele_aggregate *aggregate, const stele_at *at, void *state,
                              stele_loaded *loaded_out, bool *again_out)
{
    stele__fold fold = { .aggregate = aggregate,
                         .stream = at->stream,
                         .wait = at->wait,
                         .to_version = at->version,
                         .uncached = true };
    stele_status status = at->version == 0 ? find_version_then(&fold, at) : STELE_OK;
    int64_t halved = fold.tail.id;
    *again_out = false;
    if (status != STELE_OK)
        return status;
    if (fold.to_version == 0)
        return show_initial(&fold, state, loaded_out);
    status = run_load(&fold, state, loaded_out);
    *again_out = status == STELE_OK && at->version == 0 && fold.tail.id != halved;
    return status;
}

static stele_status load_at(stele_aggregate *aggregate, const stele_at *at, void *state,
                            stele_loaded *loaded_out)
{
    bool again = true;
    stele_status status = STELE_OK;
    for (int i = 0; again && i < STELE__RESTART_MAX; i++) {
        stele__state_clear(aggregate, state);
        status = load_then(aggregate, at, state, loaded_out, &again);
    }
    if (!again)
        return status;
    stele__state_clear(aggregate, state);
    if (loaded_out != NULL)
        *loaded_out = (stele_loaded){ 0 };
    return stele__fail(STELE_BUSY, "the stream '%s' becomes another one all the time", at->stream);
}

stele_status stele_aggregate_at(stele_aggregate *aggregate, const stele_at *at, void *state,
                                stele_loaded *loaded_out)
{
    stele_at taken = STELE_AT_INIT;
    stele_status status = clear_results(aggregate, state, loaded_out);
    if (status == STELE_OK && at == NULL)
        status = stele__fail(STELE_MISUSE, "at is NULL");
    if (status == STELE_OK)
        status = stele__options_take("stele_at", at, &taken, sizeof(taken));
    if (status == STELE_OK)
        status = stele__check_name("stream", taken.stream);
    if (status == STELE_OK)
        status = check_at(&taken);
    if (status == STELE_OK)
        status = stele__aggregate_enter(aggregate);
    if (status != STELE_OK)
        return status;
    status = load_at(aggregate, &taken, state, loaded_out);
    stele__aggregate_leave(aggregate);
    return status;
}

/* --- A snapshot at the user's word --- */

stele_status stele_aggregate_snapshot(stele_aggregate *aggregate, const char *stream,
                                      stele_loaded *loaded_out)
{
    if (loaded_out != NULL)
        *loaded_out = (stele_loaded){ 0 };
    stele_status status = stele__check_name("stream", stream);
    if (status == STELE_OK)
        status = stele__aggregate_enter(aggregate);
    if (status != STELE_OK)
        return status;
    stele__fold fold = { .aggregate = aggregate, .stream = stream };
    if (!aggregate->snapshots)
        status = stele__fail(STELE_UNSUPPORTED, "the decider '%s' can't write snapshots",
                             aggregate->name);
    if (status == STELE_OK)
        status = stele__fold_load(&fold);
    report_loaded(&fold, status, loaded_out);
    if (status == STELE_OK && fold.at.version == 0)
        status = stele__fail(STELE_NOT_FOUND, "there is no stream '%s'", stream);
    if (status == STELE_OK)
        status = stele__fold_save(&fold, NULL);
    stele__fold_end(&fold);
    stele__aggregate_leave(aggregate);
    return status;
}
