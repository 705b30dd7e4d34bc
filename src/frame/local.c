/* The sequencer of a single file. */
#include "frame/local.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"
#include "frame/wire.h"
#include "store/group.h"
#include "store/lane.h"

/* A frame that was applied, until it is known to be committed and was told. */
typedef struct observed_frame {
    int64_t sequence;
    uint64_t id;
    struct observed_frame *next;
    size_t size;
    char bytes[];
} observed_frame;

struct stele__local {
    stele__sequencer sequencer; /* first: the store hands it back */
    stele_store *store;
    stele__local_options options;
    stele__frame_id lane;
    stele__frame_id shard;
    stele__frame_id writer;
    atomic_ullong proposed;
    atomic_ullong accepted;
    atomic_ullong refused;
    atomic_ullong duplicates;
    atomic_ullong failed;
    atomic_ullong unknown;
    pthread_mutex_t mutex; /* of what follows */
    observed_frame *first; /* by their numbers */
    uint64_t observed;     /* the last id that was given to one */
    int64_t committed;     /* frames up to this one are */
    bool telling;          /* a thread calls the user's function */
};

/* A frame on its way. */
typedef struct local_request {
    stele__request request; /* first: the group knows only this */
    stele__local *local;
    stele__buffer frame;
    bool own;           /* its writer is this sequencer, so it gets the next number each time */
    uint64_t attempted; /* the writer's number that it had when it was applied; 0: never */
    uint64_t observed;  /* the id of what was kept then */
    stele__frame_result result;
} local_request;

/* --- Telling of frames --- */

static void free_observed(observed_frame *frame)
{
    while (frame != NULL) {
        observed_frame *next = frame->next;
        stele__free(frame);
        frame = next;
    }
}

/* With the turn held, inside the transaction. What has this number or a later one isn't in the
 * file: its commit failed, and who proposed it only hasn't come to forget it. */
static stele_status keep_observed(local_request *of, int64_t sequence)
{
    stele__local *local = of->local;
    if (local->options.observe == NULL)
        return STELE_OK;
    observed_frame *kept = stele__allocate(sizeof(*kept) + of->frame.size);
    if (kept == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a frame of %zu bytes", of->frame.size);
    pthread_mutex_lock(&local->mutex);
    *kept =
        (observed_frame){ .sequence = sequence, .id = ++local->observed, .size = of->frame.size };
    memcpy(kept->bytes, of->frame.data, of->frame.size);
    observed_frame **at = &local->first;
    while (*at != NULL && (*at)->sequence < sequence)
        at = &(*at)->next;
    observed_frame *failed = *at;
    *at = kept;
    of->observed = kept->id;
    pthread_mutex_unlock(&local->mutex);
    free_observed(failed);
    return STELE_OK;
}

/* It isn't in the file, or nobody knows: nothing is told of it. */
static void forget_observed(local_request *of)
{
    stele__local *local = of->local;
    if (of->observed == 0)
        return;
    pthread_mutex_lock(&local->mutex);
    observed_frame **at = &local->first;
    while (*at != NULL && (*at)->id != of->observed)
        at = &(*at)->next;
    observed_frame *gone = *at;
    if (gone != NULL)
        *at = gone->next;
    pthread_mutex_unlock(&local->mutex);
    stele__free(gone);
    of->observed = 0;
}

/* Frames up to `committed` are in the file. One thread tells of them, for all. */
static void tell_observed(stele__local *local, int64_t committed)
{
    if (local->options.observe == NULL)
        return;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    pthread_mutex_lock(&local->mutex);
    if (committed > local->committed)
        local->committed = committed;
    bool tell = !local->telling;
    local->telling = true;
    while (tell && local->first != NULL && local->first->sequence <= local->committed) {
        observed_frame *frame = local->first;
        local->first = frame->next;
        pthread_mutex_unlock(&local->mutex);
        local->options.observe(local->options.context, (uint64_t)frame->sequence, frame->bytes,
                               frame->size);
        stele__free(frame);
        pthread_mutex_lock(&local->mutex);
    }
    if (tell)
        local->telling = false;
    pthread_mutex_unlock(&local->mutex);
    stele__restore_error(error);
}

/* --- Under the lock --- */

/* Lane, shard, and what only the lock can tell: the time, and its writer's number. */
static void seal_frame(local_request *of, uint64_t writer_sequence)
{
    stele__local *local = of->local;
    stele__frame_header header;
    memcpy(header.writer.bytes, of->frame.data + 40, sizeof(header.writer.bytes));
    header.lane = local->lane;
    header.shard = local->shard;
    header.writer_sequence = writer_sequence;
    header.time = stele__store_now(local->store);
    stele__frame_seal(of->frame.data, of->frame.size, &header);
}

static stele_status apply_lent(local_request *of, int64_t sequence)
{
    stele__frame_options options = { of->local->options.size_max, true, true };
    stele_transaction *transaction = NULL;
    stele_status status = stele__transaction_lend(of->local->store, &transaction);
    if (status != STELE_OK)
        return status;
    status = stele__frame_apply(transaction, (uint64_t)sequence, of->frame.data, of->frame.size,
                                &options, &of->result);
    if (status == STELE_OK && transaction->doom != STELE_OK)
        status =
            stele__fail(transaction->doom, "a write failed inside frame %lld", (long long)sequence);
    stele__transaction_take_back(transaction);
    return status;
}

/* What came of the first attempt, whose commit was of unknown outcome, is there after all. */
static bool was_stored(const local_request *of, int64_t last)
{
    return of->attempted > 0 && (uint64_t)last >= of->attempted;
}

static stele_status apply_next(local_request *of, const stele__lane *lane, int64_t last,
                               bool *changed_out)
{
    uint64_t number = (uint64_t)last + 1;
    if (!of->own)
        number = stele__get_number((const unsigned char *)of->frame.data + 56, 8);
    int64_t sequence = lane->applied + 1;
    seal_frame(of, number);
    stele_status status = apply_lent(of, sequence);
    *changed_out = of->result.changed;
    if (status != STELE_OK)
        return status;
    if (of->result.outcome == STELE__FRAME_APPLIED && of->result.refused > 0) {
        const stele__verdict *verdict = &of->result.verdicts[0];
        stele__restore_error(verdict->error);
        return verdict->status;
    }
    if (of->result.outcome != STELE__FRAME_APPLIED)
        return STELE_OK;
    of->attempted = number;
    return keep_observed(of, sequence);
}

static stele_status run_frame(stele__request *request, stele__connection *connection,
                              bool *changed_out)
{
    local_request *of = (local_request *)request;
    stele__lane lane;
    int64_t last = 0;
    *changed_out = false;
    stele_status status = stele__lane_load(connection, &lane);
    if (status == STELE_OK)
        status =
            stele__lane_writer_find(connection, (const unsigned char *)of->frame.data + 40, &last);
    if (status == STELE_OK && !lane.found)
        status = stele__fail(STELE_CORRUPT, "the store follows no lane any more");
    if (status != STELE_OK || was_stored(of, last))
        return status;
    of->attempted = 0;
    forget_observed(of);
    return apply_next(of, &lane, last, changed_out);
}

/* --- Proposing --- */

static void count_outcome(local_request *of, stele_status status)
{
    stele__local *local = of->local;
    atomic_ullong *count = &local->failed;
    if (status != STELE_OK && of->result.refused > 0 && status != STELE_UNKNOWN_OUTCOME)
        count = &local->refused;
    else if (status == STELE_OK && of->result.outcome == STELE__FRAME_APPLIED)
        count = &local->accepted;
    else if (status == STELE_OK && of->result.outcome == STELE__FRAME_DUPLICATE)
        count = &local->duplicates;
    atomic_fetch_add(count, 1);
    if (status == STELE_UNKNOWN_OUTCOME)
        atomic_fetch_add(&local->unknown, 1);
}

/* Alone, in a commit that is durable whatever the store's durability. */
static stele_status run_durably(local_request *of, const stele_wait *wait)
{
    stele_store *store = of->local->store;
    stele__connection *connection = NULL;
    bool changed = false;
    stele_status status = stele__write_begin_durably(store, wait, &connection);
    if (status != STELE_OK)
        return status;
    status = run_frame(&of->request, connection, &changed);
    if (status == STELE_OK && changed)
        status = stele__write_commit(store);
    stele__write_end(store);
    return status;
}

/* The frame is in `of->frame`. */
static stele_status propose_frame(local_request *of, bool durably, const stele_wait *wait)
{
    stele__local *local = of->local;
    of->request = (stele__request){ .apply = run_frame,
                                    .store = local->store,
                                    .size = sizeof(*of) + of->frame.size,
                                    .repeatable = true };
    atomic_fetch_add(&local->proposed, 1);
    stele_status status =
        durably ? run_durably(of, wait) : stele__group_run(local->store, &of->request, wait);
    count_outcome(of, status);
    if (status != STELE_OK)
        forget_observed(of);
    if (status == STELE_OK && of->result.deletes)
        stele__store_forget(local->store, 0);
    if (status == STELE_OK && of->result.outcome == STELE__FRAME_APPLIED)
        tell_observed(local, (int64_t)of->result.applied);
    return status;
}

static stele_status propose_change_locally(stele__sequencer *sequencer, stele_store *store,
                                           const stele__change *change)
{
    stele__local *local = (stele__local *)sequencer;
    local_request of = { .local = local, .own = true };
    stele__frame_builder builder = { .size_max = local->options.size_max };
    stele__frame_header header = {
        .lane = local->lane, .shard = local->shard, .writer = local->writer, .writer_sequence = 1
    };
    if (store != local->store)
        return stele__fail(STELE_MISUSE, "the sequencer is another store's");
    stele_status status = stele__frame_add(&builder, change);
    if (status == STELE_OK)
        status = stele__frame_end(&builder, &header, &of.frame);
    stele__frame_builder_dispose(&builder);
    if (status == STELE_OK)
        status = propose_frame(&of, change->kind >= STELE__CHANGE_ARCHIVE, change->wait);
    bool judged = of.result.outcome == STELE__FRAME_APPLIED && of.result.verdict_count == 1;
    if (judged && (status == STELE_OK || of.result.refused > 0) && status != STELE_UNKNOWN_OUTCOME
        && of.result.verdicts[0].status == status)
        status = stele__verdict_tell(&of.result.verdicts[0], change);
    stele__frame_result_dispose(&of.result);
    stele__buffer_dispose(&of.frame);
    return status;
}

stele_status stele__local_propose(stele__local *local, const void *frame, size_t size,
                                  const stele_wait *wait, stele__frame_result *result_out)
{
    stele__frame whole;
    local_request of = { .local = local };
    stele_status status = stele__frame_read(frame, size, local->options.size_max, &whole);
    if (status != STELE_OK)
        return status;
    bool durably = status == STELE_OK && whole.header.change_count > 0
                   && whole.changes[0].kind >= STELE__CHANGE_ARCHIVE;
    if (whole.header.change_count > 1)
        status = stele__fail(STELE_UNSUPPORTED, "a frame of %u changes: here each has its own",
                             (unsigned)whole.header.change_count);
    stele__frame_dispose(&whole);
    if (status == STELE_OK)
        status = stele__store_enter(local->store);
    if (status != STELE_OK)
        return status;
    status = stele__buffer_add(&of.frame, frame, size);
    if (status == STELE_OK)
        status = propose_frame(&of, durably, wait);
    stele__store_leave(local->store);
    stele__buffer_dispose(&of.frame);
    if (result_out != NULL) {
        stele__frame_result_dispose(result_out);
        *result_out = of.result;
    } else {
        stele__frame_result_dispose(&of.result);
    }
    return status;
}

/* --- Opening --- */

static bool is_zero(const stele__frame_id *id)
{
    static const stele__frame_id zero = { { 0 } };
    return stele__frame_id_equal(id, &zero);
}

/* The 16 bytes of the store's uuid. */
static void id_of_uuid(const char *uuid, stele__frame_id *id_out)
{
    size_t at = 0;
    memset(id_out->bytes, 0, sizeof(id_out->bytes));
    for (; *uuid != '\0' && at < 2 * sizeof(id_out->bytes); uuid++) {
        int digit = *uuid >= '0' && *uuid <= '9'   ? *uuid - '0'
                    : *uuid >= 'a' && *uuid <= 'f' ? *uuid - 'a' + 10
                                                   : -1;
        if (digit < 0)
            continue;
        id_out->bytes[at / 2] |= (unsigned char)(at % 2 == 0 ? digit << 4 : digit);
        at++;
    }
}

static stele_status bind_local(stele__local *local)
{
    stele__frame_place place;
    stele_status status = stele__frame_place_find(local->store, &place);
    if (status != STELE_OK)
        return status;
    local->lane = local->options.lane;
    local->shard = local->options.shard;
    if (place.bound && is_zero(&local->lane))
        local->lane = place.lane;
    if (place.bound && is_zero(&local->shard))
        local->shard = place.shard;
    if (is_zero(&local->lane))
        status = stele__frame_id_make(&local->lane);
    if (is_zero(&local->shard))
        id_of_uuid(local->store->uuid, &local->shard);
    return status == STELE_OK ? stele__frame_bind(local->store, &local->lane, &local->shard)
                              : status;
}

stele_status stele__local_open(stele_store *store, const stele__local_options *options,
                               stele__local **local_out)
{
    *local_out = NULL;
    stele__local *local = stele__allocate_array(1, sizeof(*local));
    if (local == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a sequencer");
    local->sequencer.propose = propose_change_locally;
    local->store = store;
    if (options != NULL)
        local->options = *options;
    stele_status status = stele__frame_id_make(&local->writer);
    if (status == STELE_OK)
        status = bind_local(local);
    if (status != STELE_OK) {
        stele__free(local);
        return status;
    }
    pthread_mutex_init(&local->mutex, NULL);
    *local_out = local;
    return STELE_OK;
}

void stele__local_close(stele__local *local)
{
    if (local == NULL)
        return;
    free_observed(local->first);
    pthread_mutex_destroy(&local->mutex);
    stele__free(local);
}

stele__sequencer *stele__local_sequencer(stele__local *local)
{
    return &local->sequencer;
}

void stele__local_counts_get(stele__local *local, stele__local_counts *counts_out)
{
    *counts_out = (stele__local_counts){
        .proposed = atomic_load(&local->proposed),
        .accepted = atomic_load(&local->accepted),
        .refused = atomic_load(&local->refused),
        .duplicates = atomic_load(&local->duplicates),
        .failed = atomic_load(&local->failed),
        .unknown = atomic_load(&local->unknown),
    };
}
