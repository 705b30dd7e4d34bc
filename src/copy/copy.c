/*
 * Copying, a batch at a time: its records are read and transformed into memory without a lock, then
 * stored in one transaction of the target together with the note of how far the copy has come.
 */
#include "copy/copy.h"

#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "base/options.h"
#include "copy/places.h"
#include "store/sequencer.h"

void stele_copy_init(stele_copy *copy)
{
    *copy = (stele_copy)STELE_COPY_INIT;
}

/* --- The target --- */

/* Where the copy begins, or goes on. */
static stele_status settle_copy_note(stele__copier *copier, stele_transaction *transaction)
{
    stele__copy_note *note = &copier->note;
    int64_t head = 0;
    stele_status status = stele_transaction_head(transaction, &head);
    if (status == STELE_OK)
        status = stele__copy_note_load(transaction, note);
    if (status == STELE_DONE && head > 0)
        return stele__fail(
            STELE_MISUSE,
            "it is not empty: its head is %" PRId64 ", and it holds no unfinished copy", head);
    if (status == STELE_DONE) {
        *note = (stele__copy_note){ .after = copier->copy.after_position,
                                    .through = copier->copy.after_position };
        memcpy(note->source, copier->source->uuid, sizeof(note->source));
        memcpy(note->epoch, copier->source->epoch, sizeof(note->epoch));
        return copier->copy.dry_run ? STELE_OK : stele__copy_note_save(transaction, note);
    }
    if (status != STELE_OK)
        return status;
    if (strcmp(note->source, copier->source->uuid) != 0)
        return stele__fail(STELE_MISUSE, "it holds an unfinished copy of another store, %s",
                           note->source);
    if (note->after != copier->copy.after_position)
        return stele__fail(STELE_MISUSE,
                           "it holds an unfinished copy that began after position %" PRId64
                           ", not %" PRId64,
                           note->after, copier->copy.after_position);
    copier->copied.resumed_after = note->through;
    return stele__copy_note_check(transaction, note);
}

static stele_status open_copy_target(stele__copier *copier)
{
    stele_transaction *transaction = NULL;
    stele_status status =
        stele_transaction_begin_wait(copier->target, copier->work.options.wait, &transaction);
    if (status == STELE_OK)
        status = settle_copy_note(copier, transaction);
    if (status == STELE_OK && !copier->copy.dry_run)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    if (status != STELE_OK)
        return stele__fail_within(status, "the target");
    copier->copied.position = copier->note.through;
    copier->head = copier->note.head;
    return STELE_OK;
}

stele_status stele__copy_begin(stele__copier *copier, stele_transaction **transaction_out)
{
    stele_status status =
        stele_transaction_begin_wait(copier->target, copier->work.options.wait, transaction_out);
    if (status == STELE_OK && !copier->copy.dry_run)
        status = stele__copy_note_check(*transaction_out, &copier->note);
    if (status == STELE_OK)
        return STELE_OK;
    stele_transaction_end(*transaction_out);
    *transaction_out = NULL;
    return stele__fail_within(status, "the target");
}

/* --- Reading a batch --- */

/* OK when the husks that were passed over may be. */
static stele_status check_copy_archived(stele__copier *copier)
{
    int64_t archived = stele_cursor_skipped(copier->cursor).archived;
    if (archived == 0 || copier->copy.skip_archived)
        return STELE_OK;
    return stele__fail(STELE_ARCHIVED,
                       "%" PRId64 " events after position %" PRId64
                       " are in an archive: attach it to the source, or skip them",
                       archived, copier->batch.through);
}

/* Read and transform as many records as a batch takes. OK; DONE when there are no more. */
static stele_status read_copy_batch(stele__copier *copier)
{
    stele__copy_batch *batch = &copier->batch;
    stele__copy_batch_begin(batch, copier->copied.position);
    stele_status status = STELE_OK;
    while (status == STELE_OK && batch->records < copier->work.options.step_count_max
           && batch->bytes.size < copier->work.options.step_size_max) {
        const stele_record *record = NULL;
        stele_status next = stele_cursor_next(copier->cursor, &record);
        if (next < 0)
            return stele__fail_within(next, "the source");
        status = check_copy_archived(copier);
        if (status == STELE_OK && next == STELE_DONE)
            return STELE_DONE;
        if (status == STELE_OK)
            status = stele__copy_transform(&copier->copy, record, batch);
    }
    return status;
}

/* --- Storing it --- */

static stele_status append_copy_event(stele__copier *copier, stele_transaction *transaction,
                                      const stele__copy_event *kept, int64_t expected)
{
    const stele__copy_batch *batch = &copier->batch;
    const stele_event event = { .type = stele__copy_batch_text(batch, kept->type),
                                .data = stele__copy_batch_text(batch, kept->data),
                                .data_size = kept->data_size,
                                .metadata = stele__copy_batch_text(batch, kept->metadata),
                                .metadata_size = kept->metadata_size,
                                .codec = stele__copy_batch_text(batch, kept->codec),
                                .schema_version = kept->schema_version,
                                .occurred_at = kept->occurred_at,
                                .has_occurred_at = true };
    stele_append append = STELE_APPEND_INIT;
    append.stream = stele__copy_batch_text(batch, kept->stream);
    append.events = &event;
    append.event_count = 1;
    append.idempotency_key = stele__copy_batch_text(batch, kept->key);
    stele_appended appended;
    stele_status status = stele_transaction_append(transaction, &append, &appended);
    if (status == STELE_OK && !copier->copy.dry_run && appended.first_position != expected)
        status = stele__fail(STELE_MISUSE, "the key '%s' is in the target already",
                             append.idempotency_key == NULL ? "" : append.idempotency_key);
    if (status != STELE_OK)
        return stele__fail_within(status, "position %" PRId64 ", output %zu", kept->position,
                                  kept->index);
    return STELE_OK;
}

/* The batch and the note of it; `next` is what that will be. */
static stele_status write_copy_batch(stele__copier *copier, stele_transaction *transaction,
                                     const stele__copy_note *next)
{
    const stele__copy_batch *batch = &copier->batch;
    stele_status status = STELE_OK;
    for (size_t i = 0; i < batch->count && status == STELE_OK; i++)
        status = append_copy_event(copier, transaction, &batch->events[i],
                                   copier->head + 1 + (int64_t)i);
    if (status != STELE_OK || copier->copy.dry_run)
        return status;
    status = stele__copy_map_save(transaction, &copier->note, batch);
    if (status == STELE_OK)
        status = stele__copy_note_save(transaction, next);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    return status == STELE_OK ? STELE_OK : stele__fail_within(status, "the target");
}

/* Tell what became of the positions of a stretch. */
static stele_status tell_copy_stretch(void *context, const stele__copy_stretch *stretch)
{
    const stele__copier *copier = context;
    int64_t outputs = stretch->run.outputs;
    int64_t head = stretch->head;
    for (int64_t i = 1; i <= stretch->run.positions; i++) {
        copier->copy.mapped(copier->copy.context, stretch->after + i, outputs == 0 ? 0 : head + 1,
                            outputs == 0 ? 0 : head + outputs);
        head += outputs;
    }
    return STELE_OK;
}

static void tell_copy_batch(stele__copier *copier)
{
    const stele__copy_batch *batch = &copier->batch;
    stele__copy_stretch stretch = { .after = copier->copied.position, .head = copier->head };
    for (size_t i = 0; i < batch->run_count; i++) {
        stretch.run = batch->runs[i];
        if (copier->copy.mapped != NULL)
            tell_copy_stretch(copier, &stretch);
        if (copier->planned != NULL)
            stele__copy_places_pass(copier->planned, &stretch);
        stretch.after += stretch.run.positions;
        stretch.head += stretch.run.positions * stretch.run.outputs;
    }
}

/* Between two steps: both stores are open, and the caller wants more. */
static stele_status step_copy(stele__copier *copier, int64_t positions, uint64_t bytes)
{
    stele_status status = stele__store_check(copier->target);
    if (status != STELE_OK)
        return stele__fail_within(status, "the target");
    return stele__work_step(&copier->work, (uint64_t)positions, bytes);
}

static stele_status store_copy_batch(stele__copier *copier)
{
    const stele__copy_batch *batch = &copier->batch;
    int64_t positions = batch->through - copier->copied.position;
    if (positions == 0)
        return STELE_OK;
    stele__copy_note next = copier->note;
    memcpy(next.epoch, copier->source->epoch, sizeof(next.epoch));
    next.through = batch->through;
    next.head = copier->head + (int64_t)batch->count;

    stele_transaction *transaction = NULL;
    stele_status status = stele__copy_begin(copier, &transaction);
    if (status != STELE_OK)
        return status;
    status = write_copy_batch(copier, transaction, &next);
    stele_transaction_end(transaction);
    if (status != STELE_OK)
        return status;
    tell_copy_batch(copier);
    if (!copier->copy.dry_run)
        copier->note = next;
    copier->head = next.head;
    copier->copied.position = next.through;
    copier->copied.events_read += batch->records;
    copier->copied.events_written += batch->count;
    copier->copied.dropped += batch->dropped;
    return step_copy(copier, positions, batch->bytes.size);
}

/* --- All of it --- */

/* Open a cursor over what is left, whose end is `*bound_out`. */
static stele_status open_copy_source(stele__copier *copier, int64_t *bound_out)
{
    stele_status status = stele_store_head(copier->source, bound_out);
    int64_t wanted = copier->copy.to_position;
    if (wanted > 0 && wanted < *bound_out)
        *bound_out = wanted;
    stele_read read = STELE_READ_INIT;
    read.after_position = copier->copied.position;
    read.to_position = *bound_out;
    read.keys = true;
    read.epoch = copier->copied.resumed_after > 0 ? copier->note.epoch : NULL;
    if (status == STELE_OK)
        status = stele_store_read(copier->source, &read, &copier->cursor);
    return status == STELE_OK ? STELE_OK : stele__fail_within(status, "the source");
}

static stele_status copy_events(stele__copier *copier)
{
    int64_t bound = 0;
    stele_status status = open_copy_source(copier, &bound);
    if (status == STELE_OK && copier->copy.mapped != NULL && copier->copied.resumed_after > 0) {
        status = stele__copy_map_visit(copier->target, &copier->note, tell_copy_stretch, copier);
        if (status != STELE_OK)
            return stele__fail_within(status, "the target");
    }
    int64_t left = bound - copier->copied.position;
    stele__work_part(&copier->work, "copying", left > 0 ? (uint64_t)left : 0);
    bool ended = false;
    while (status == STELE_OK && !ended) {
        status = read_copy_batch(copier);
        ended = status == STELE_DONE;
        if (ended) /* also what comes after the last record */
            status = stele__copy_batch_skip(&copier->batch, bound);
        if (status == STELE_OK)
            status = store_copy_batch(copier);
    }
    return status;
}

static stele_status check_copy(const stele__copier *copier)
{
    const stele_copy *copy = &copier->copy;
    if (copy->after_position < 0 || copy->to_position < 0)
        return stele__fail(STELE_MISUSE, "stele_copy: %s is %" PRId64,
                           copy->after_position < 0 ? "after_position" : "to_position",
                           copy->after_position < 0 ? copy->after_position : copy->to_position);
    if (strcmp(copier->source->uuid, copier->target->uuid) == 0)
        return stele__fail(STELE_MISUSE,
                           "the target is the source, or a copy of its file: both are the store %s",
                           copier->source->uuid);
    return STELE_OK;
}

/* With both stores entered. */
static stele_status run_copy(stele__copier *copier)
{
    stele__copy_places planned = { 0 };
    stele_status status = check_copy(copier);
    if (status == STELE_OK)
        status = stele__work_begin(&copier->work, copier->source, copier->copy.work);
    if (status == STELE_OK)
        status = open_copy_target(copier);
    if (status == STELE_OK && copier->copy.dry_run && copier->copy.checkpoints) {
        copier->planned = &planned;
        status = stele__copy_places_read(copier, &planned);
    }
    if (status == STELE_OK)
        status = copy_events(copier);
    if (status == STELE_OK)
        status = stele__copy_finish(copier);
    stele_skipped skipped = stele_cursor_skipped(copier->cursor);
    copier->copied.skipped_erased = (uint64_t)skipped.erased;
    copier->copied.skipped_archived = (uint64_t)skipped.archived;
    stele_cursor_close(copier->cursor);
    stele__copy_places_dispose(&planned);
    stele__copy_batch_dispose(&copier->batch);
    return status;
}

stele_status stele_store_copy(stele_store *source, stele_store *target, const stele_copy *copy,
                              stele_copied *copied_out)
{
    if (copied_out != NULL)
        *copied_out = (stele_copied){ 0 };
    stele__copier copier = { .source = source, .target = target, .copy = STELE_COPY_INIT };
    stele_status status =
        stele__options_take("stele_copy", copy, &copier.copy, sizeof(copier.copy));
    /* Inside both for all of it: closing waits, also while the transform runs. */
    if (status == STELE_OK)
        status = stele__store_enter(source);
    if (status != STELE_OK)
        return stele__fail_within(status, "the source");
    status = stele__store_enter(target);
    if (status == STELE_OK) {
        status = stele__sequencer_check_early(target, "copying into the store");
        if (status == STELE_OK)
            status = run_copy(&copier);
        stele__store_leave(target);
    } else {
        status = stele__fail_within(status, "the target");
    }
    stele__store_leave(source);
    if (copied_out != NULL)
        *copied_out = copier.copied;
    return status;
}
