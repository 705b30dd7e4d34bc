/*
 * Applying a frame: is it the next one of this lane and of its writer, what becomes of each of its
 * changes, and what the file remembers of it.
 *
 * A refusal that depends on the frame and the file alone is a verdict: every node comes to it, and
 * it leaves nothing. Anything else - the disk, memory, damage - is this node's own trouble, and
 * ends the applying: what was written must be rolled back.
 */
#include <inttypes.h>
#include <string.h>

#include "base/checksum.h"
#include "base/memory.h"
#include "frame/wire.h"
#include "state/own.h"
#include "store/lane.h"
#include "store/names.h"

/* A frame on its way. */
typedef struct frame_apply {
    stele_transaction *transaction;
    const stele__frame_options *options;
    stele__frame frame;
    stele__frame_result *result;
    stele__lane lane;
    int64_t writer_last;
    int64_t sequence;
} frame_apply;

/* --- Judging the frame --- */

static stele_status refuse_lane(const frame_apply *of)
{
    char ours[33];
    char theirs[33];
    stele__frame_id id;
    bool shard = memcmp(of->lane.lane, of->frame.header.lane.bytes, sizeof(of->lane.lane)) == 0;
    memcpy(id.bytes, shard ? of->lane.shard : of->lane.lane, sizeof(id.bytes));
    stele__frame_id_text(&id, ours);
    stele__frame_id_text(shard ? &of->frame.header.shard : &of->frame.header.lane, theirs);
    return stele__fail(STELE_MISUSE, "frame %" PRId64 " is of %s %s, and the store follows %s %s",
                       of->sequence, shard ? "shard" : "lane", theirs, shard ? "shard" : "lane",
                       ours);
}

/* The first frame of a lane that begins with empty files. */
static stele_status begin_lane(frame_apply *of, stele__connection *connection)
{
    bool fresh = false;
    if (of->frame.header.kind != STELE__FRAME_GENESIS || of->sequence != 1)
        return stele__fail(STELE_MISUSE,
                           "frame %" PRId64 ": the store follows no lane yet, and this is no"
                           " genesis",
                           of->sequence);
    stele_status status = stele__lane_is_fresh(connection, &fresh);
    if (status == STELE_OK && !fresh)
        status = stele__fail(STELE_MISUSE, "a genesis is for an empty store, and this one isn't");
    if (status != STELE_OK)
        return status;
    memcpy(of->lane.lane, of->frame.header.lane.bytes, sizeof(of->lane.lane));
    memcpy(of->lane.shard, of->frame.header.shard.bytes, sizeof(of->lane.shard));
    of->lane.found = true;
    stele__lane_begin(&of->lane);
    return STELE_OK;
}

/* Its number: `*next_out` false when it came before. */
static stele_status check_sequence(const frame_apply *of, bool *next_out)
{
    *next_out = false;
    if (of->sequence <= of->lane.applied) {
        of->result->outcome = STELE__FRAME_OLD;
        return STELE_OK;
    }
    if (of->sequence != of->lane.applied + 1)
        return stele__fail(STELE_CONFLICT,
                           "frame %" PRId64 " came, and %" PRId64
                           " is the next: frames are missing",
                           of->sequence, of->lane.applied + 1);
    *next_out = true;
    return STELE_OK;
}

static stele__frame_outcome judge_writer(const frame_apply *of)
{
    int64_t number = (int64_t)of->frame.header.writer_sequence;
    if (number <= of->writer_last)
        return STELE__FRAME_DUPLICATE;
    return number > of->writer_last + 1 ? STELE__FRAME_EARLY : STELE__FRAME_APPLIED;
}

/* Whether the writer of a checkpoint saw what we saw. One that is too old says nothing. */
static stele_status compare_chains(const frame_apply *of)
{
    uint64_t sequence = of->frame.checkpoint.sequence;
    uint64_t applied = (uint64_t)of->lane.applied;
    if (sequence <= applied && applied - sequence >= STELE__LANE_CHAINS)
        return STELE_OK;
    if (sequence <= applied
        && of->lane.chains[sequence % STELE__LANE_CHAINS] == of->frame.checkpoint.chain)
        return STELE_OK;
    return stele__fail(STELE_EPOCH,
                       "frame %" PRId64 ": what came of the frames up to %" PRIu64
                       " isn't the same here as where it was written",
                       of->sequence, sequence);
}

/* Also after a part of the transaction was rolled back. */
static stele_status find_log_end(stele__connection *connection, stele__log_end *end_out)
{
    stele_status status = stele__names_begin(connection);
    return status == STELE_OK ? stele__log_end_find(connection, end_out) : status;
}

/* Whether the log ends where the frame before left it. */
static stele_status compare_heads(const frame_apply *of, stele__connection *connection)
{
    stele__log_end end;
    stele_status status = find_log_end(connection, &end);
    if (status != STELE_OK || end.head == of->lane.head || of->options->past_allowed)
        return status;
    return stele__fail(STELE_EPOCH,
                       "frame %" PRId64 ": the log ends at position %" PRId64
                       ", but the frames before left it at %" PRId64
                       ": it was written to without them",
                       of->sequence, end.head, of->lane.head);
}

/* Look at the file, inside the transaction: `*next_out` says whether the frame is to go on. */
static stele_status look_at_its_lane(frame_apply *of, stele__connection *connection, bool *next_out)
{
    *next_out = false;
    stele_status status = stele__lane_load(connection, &of->lane);
    if (status != STELE_OK)
        return status;
    if (!of->lane.found)
        status = begin_lane(of, connection);
    else if (memcmp(of->lane.lane, of->frame.header.lane.bytes, sizeof(of->lane.lane)) != 0
             || memcmp(of->lane.shard, of->frame.header.shard.bytes, sizeof(of->lane.shard)) != 0)
        status = refuse_lane(of);
    if (status == STELE_OK)
        status = check_sequence(of, next_out);
    if (status == STELE_OK && *next_out)
        status = compare_heads(of, connection);
    if (status == STELE_OK && *next_out)
        status =
            stele__lane_writer_find(connection, of->frame.header.writer.bytes, &of->writer_last);
    if (status == STELE_OK && *next_out)
        of->result->outcome = judge_writer(of);
    if (status == STELE_OK && *next_out && of->frame.header.kind == STELE__FRAME_CHECKPOINT
        && of->result->outcome == STELE__FRAME_APPLIED)
        status = compare_chains(of);
    return status;
}

/* --- Changes --- */

/* Whether a status may be a verdict: it says something of the change, and of what is in the log. */
static bool may_be_verdict(stele_status status)
{
    return status == STELE_CONFLICT || status == STELE_NOT_FOUND || status == STELE_ARCHIVED
           || status == STELE_TOMBSTONED || status == STELE_KEY_REUSED || status == STELE_MISUSE
           || status == STELE_TOO_LARGE || status == STELE_INVALID || status == STELE_PRECISION;
}

/* Any call would answer what is wrong with the transaction itself. */
static stele_status check_transaction(stele_transaction *transaction)
{
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status == STELE_OK)
        stele__transaction_leave(transaction);
    return status;
}

static stele_status apply_appends(frame_apply *of, const stele__change *change,
                                  stele__verdict *verdict)
{
    if (change->count > 0) {
        verdict->appended =
            stele__frame_room(&of->result->blocks, change->count, sizeof(*verdict->appended));
        if (verdict->appended == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for a frame");
    }
    verdict->failed = change->count;
    if (change->count != 1)
        return stele_transaction_append_many(of->transaction, change->what, change->count,
                                             verdict->appended, &verdict->failed);
    stele_status status =
        stele_transaction_append(of->transaction, change->what, verdict->appended);
    if (status != STELE_OK)
        verdict->failed = 0;
    return status;
}

static stele_status apply_change(frame_apply *of, const stele__change *change,
                                 stele__verdict *verdict)
{
    stele_transaction *transaction = of->transaction;
    switch (change->kind) {
    case STELE__CHANGE_APPENDS: return apply_appends(of, change, verdict);
    case STELE__CHANGE_PUT:
        return change->own
                   ? stele__transaction_own_put(transaction, change->what, &verdict->written)
                   : stele_transaction_state_put(transaction, change->what, &verdict->written);
    case STELE__CHANGE_REMOVE:
        return change->own
                   ? stele__transaction_own_delete(transaction, change->what, &verdict->written)
                   : stele_transaction_state_delete(transaction, change->what, &verdict->written);
    case STELE__CHANGE_ARCHIVE:
        return stele_transaction_archive(transaction, change->what, &verdict->changed);
    case STELE__CHANGE_RESTORE:
        return stele_transaction_restore(transaction, change->what, &verdict->changed);
    case STELE__CHANGE_TOMBSTONE:
        return stele_transaction_tombstone(transaction, change->what, &verdict->changed);
    case STELE__CHANGE_DELETE:
        return stele_transaction_delete(transaction, change->what, &verdict->changed);
    }
    return stele__fail(STELE_UNSUPPORTED, "there is no change of kind %d", (int)change->kind);
}

/* The text of this thread's last failure. */
static stele_status keep_reason(frame_apply *of, stele__verdict *verdict)
{
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    size_t size = strlen(error) + 1;
    verdict->error = stele__frame_room(&of->result->blocks, size, 1);
    if (verdict->error == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a frame");
    memcpy(verdict->error, error, size);
    return STELE_OK;
}

/* One change: a verdict, or a failure of ours. */
static stele_status certify_change(frame_apply *of, const stele__change *change,
                                   stele__verdict *verdict)
{
    static char none[1] = "";
    verdict->error = none;
    verdict->status = apply_change(of, change, verdict);
    if (verdict->status == STELE_OK) {
        of->result->deletes |= change->kind == STELE__CHANGE_DELETE;
        return STELE_OK;
    }
    if (!may_be_verdict(verdict->status))
        return verdict->status;
    of->result->refused++;
    stele_status status = keep_reason(of, verdict);
    return status == STELE_OK ? check_transaction(of->transaction) : status;
}

static stele_status certify_changes(frame_apply *of)
{
    stele__frame_result *result = of->result;
    size_t count = of->frame.header.change_count;
    if (count == 0)
        return STELE_OK;
    result->verdicts = stele__frame_room(&result->blocks, count, sizeof(*result->verdicts));
    if (result->verdicts == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a frame");
    stele_status status = STELE_OK;
    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        status = certify_change(of, &of->frame.changes[i], &result->verdicts[i]);
        result->verdict_count = i + 1;
    }
    return status;
}

/* --- Remembering --- */

static void digest_verdict(stele__digest *digest, const stele__verdict *verdict,
                           const stele__change *change)
{
    stele__digest_number(digest, verdict->status);
    stele__digest_number(digest, (int64_t)verdict->failed);
    for (size_t i = 0; i < change->count && change->kind == STELE__CHANGE_APPENDS; i++) {
        const stele_appended *appended = &verdict->appended[i];
        stele__digest_number(digest, appended->stream_version);
        stele__digest_number(digest, appended->first_position);
        stele__digest_number(digest, appended->last_position);
        stele__digest_number(digest, appended->duplicate);
        stele__digest_number(digest, appended->condition);
    }
    stele__digest_number(digest, verdict->written.revision);
    stele__digest_number(digest, verdict->written.updated_at);
    stele__digest_number(digest, verdict->written.found);
    stele__digest_number(digest, verdict->written.duplicate);
    stele__digest_number(digest, verdict->written.superseded);
    stele__digest_number(digest, verdict->changed.changed);
    stele__digest_number(digest, verdict->changed.version);
    stele__digest_number(digest, verdict->changed.position);
}

static uint64_t extend_chain(const frame_apply *of)
{
    STELE__UNINITIALIZED stele__digest digest;
    const stele__lane *lane = &of->lane;
    stele__digest_init(&digest);
    stele__digest_number(&digest,
                         (int64_t)lane->chains[(uint64_t)lane->applied % STELE__LANE_CHAINS]);
    stele__digest_number(&digest, of->sequence);
    stele__digest_number(&digest, (int64_t)of->frame.header.checksum);
    stele__digest_number(&digest, of->result->outcome);
    for (size_t i = 0; i < of->result->verdict_count; i++)
        digest_verdict(&digest, &of->result->verdicts[i], &of->frame.changes[i]);
    return stele__digest_end(&digest);
}

static stele_status remember_frame(frame_apply *of, stele__connection *connection)
{
    stele__lane *lane = &of->lane;
    stele__frame_header *header = &of->frame.header;
    uint64_t chain = extend_chain(of);
    stele__log_end end;
    stele_status status = find_log_end(connection, &end);
    if (status != STELE_OK)
        return status;
    lane->applied = of->sequence;
    lane->head = end.head;
    lane->chains[(uint64_t)of->sequence % STELE__LANE_CHAINS] = chain;
    of->result->changed = true;
    status = stele__lane_save(connection, lane);
    if (status != STELE_OK || of->result->outcome != STELE__FRAME_APPLIED)
        return status;
    status = stele__lane_writer_save(connection, header->writer.bytes,
                                     (int64_t)header->writer_sequence, of->sequence);
    uint64_t before = of->frame.checkpoint.forget_before;
    if (status == STELE_OK && before > 0)
        status = stele__lane_writers_forget(
            connection, before > INT64_MAX ? INT64_MAX : (int64_t)before, header->writer.bytes);
    return status;
}

/* --- The whole --- */

static stele_status look_at_frame(frame_apply *of, bool *next_out)
{
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(of->transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = look_at_its_lane(of, connection, next_out);
    stele__transaction_leave(of->transaction);
    return status;
}

/* The frame is the next one, and its writer's next. */
static stele_status run_changes(frame_apply *of)
{
    stele_store *store = of->transaction->store;
    stele__framing_begin(store, of->frame.header.time);
    stele_status status = certify_changes(of);
    stele__framing_end(store);
    return status;
}

static stele_status finish_frame(frame_apply *of)
{
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(of->transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = remember_frame(of, connection);
    stele__transaction_leave(of->transaction);
    return status;
}

/* Whether the frame is to leave nothing after all. */
static bool is_left(const frame_apply *of)
{
    return of->options->only_if_unrefused
           && (of->result->outcome != STELE__FRAME_APPLIED || of->result->refused > 0);
}

/* Nothing of a frame that failed half-way may be committed. */
static void doom_transaction(frame_apply *of, stele_status status)
{
    stele__connection *connection = NULL;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    if (stele__transaction_enter(of->transaction, &connection) == STELE_OK) {
        stele__transaction_failed(of->transaction, status, true);
        stele__transaction_leave(of->transaction);
    }
    stele__restore_error(error);
}

static stele_status apply_frame(frame_apply *of)
{
    stele__frame_result *result = of->result;
    bool next = false;
    stele_status status = look_at_frame(of, &next);
    if (status == STELE_OK && next && result->outcome == STELE__FRAME_APPLIED) {
        status = run_changes(of);
        /* What was accepted is written; a single change that was refused has left nothing. */
        if (result->verdict_count > result->refused)
            result->changed = true;
        if (status == STELE_OK && is_left(of) && result->changed)
            status = stele__fail(STELE_MISUSE, "a frame of several changes can't be left");
    }
    if (status == STELE_OK && next && !is_left(of)) {
        result->changed = true;
        status = finish_frame(of);
    }
    if (status != STELE_OK && result->changed)
        doom_transaction(of, status);
    if (status == STELE_OK) {
        result->applied = (uint64_t)of->lane.applied;
        result->chain = of->lane.chains[(uint64_t)of->lane.applied % STELE__LANE_CHAINS];
    }
    return status;
}

stele_status stele__frame_apply(stele_transaction *transaction, uint64_t sequence,
                                const void *bytes, size_t size, const stele__frame_options *options,
                                stele__frame_result *result_out)
{
    static const stele__frame_options defaults = { 0 };
    frame_apply of = { .transaction = transaction,
                       .options = options == NULL ? &defaults : options,
                       .result = result_out,
                       .sequence = (int64_t)sequence };
    stele__frame_result_dispose(result_out);
    if (transaction == NULL || sequence == 0 || sequence > INT64_MAX)
        return stele__fail(STELE_MISUSE, "no transaction, or no number of a frame: %" PRIu64,
                           sequence);
    stele_status status = stele__frame_read(bytes, size, of.options->size_max, &of.frame);
    if (status != STELE_OK)
        return stele__fail_within(status, "frame %" PRIu64, sequence);
    result_out->header = of.frame.header;
    status = apply_frame(&of);
    stele__frame_dispose(&of.frame);
    return status;
}

void stele__frame_result_dispose(stele__frame_result *result)
{
    stele__frame_free_blocks(result->blocks);
    *result = (stele__frame_result){ 0 };
}

stele_status stele__verdict_tell(const stele__verdict *verdict, const stele__change *change)
{
    if (change->failed_out != NULL && change->kind == STELE__CHANGE_APPENDS)
        *change->failed_out = verdict->failed;
    if (change->answer_out != NULL) {
        if (change->kind == STELE__CHANGE_APPENDS)
            memcpy(change->answer_out, verdict->appended,
                   change->count * sizeof(*verdict->appended));
        else if (change->kind == STELE__CHANGE_PUT || change->kind == STELE__CHANGE_REMOVE)
            *(stele_written *)change->answer_out = verdict->written;
        else
            *(stele_changed *)change->answer_out = verdict->changed;
    }
    if (verdict->status < 0)
        stele__restore_error(verdict->error);
    return verdict->status;
}
