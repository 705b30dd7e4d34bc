/* What is carried over besides events: checkpoints, translated (places.c), and the states of
 * streams. */
#include <stele/lifecycle.h>

#include "base/failure.h"
#include "copy/copy.h"
#include "copy/places.h"

/* --- States of streams --- */

static stele_status carry_state(stele_transaction *transaction, const stele_stream_info *info,
                                bool *carried_out)
{
    stele_stream_info there;
    stele_status status = stele_transaction_stream(transaction, info->stream, &there);
    *carried_out = status == STELE_OK;
    if (status != STELE_OK)
        return status == STELE_NOT_FOUND ? STELE_OK : status;
    const char *reason = info->reason == NULL || info->reason[0] == '\0' ? NULL : info->reason;
    if (info->state == STELE_STREAM_TOMBSTONED) {
        stele_tombstone tombstone = STELE_TOMBSTONE_INIT;
        tombstone.stream = info->stream;
        tombstone.reason = reason == NULL ? "copied" : reason;
        return stele_transaction_tombstone(transaction, &tombstone, NULL);
    }
    stele_archive archive = STELE_ARCHIVE_INIT;
    archive.stream = info->stream;
    archive.reason = reason;
    return stele_transaction_archive(transaction, &archive, NULL);
}

/* A stream that takes no appends in the source takes none in the target. */
static stele_status carry_states(stele__copier *copier, stele_transaction *transaction,
                                 uint64_t *count_out)
{
    stele_streams *streams = NULL;
    const stele_stream_info *info = NULL;
    stele_status status = stele_store_streams(copier->source, NULL, &streams);
    *count_out = 0;
    while (status == STELE_OK && (status = stele_streams_next(streams, &info)) == STELE_OK) {
        bool carried = false;
        if (info->state == STELE_STREAM_ACTIVE)
            continue;
        status = carry_state(transaction, info, &carried);
        *count_out += carried;
    }
    stele_streams_close(streams);
    return status == STELE_DONE ? STELE_OK : status;
}

/* --- Both --- */

static stele_status commit_copy_end(stele__copier *copier, const stele__copy_places *all)
{
    uint64_t closed = 0;
    stele_transaction *transaction = NULL;
    stele_status status = stele__copy_begin(copier, &transaction);
    if (status != STELE_OK)
        return status;
    status = stele__copy_places_save(copier, transaction, all);
    if (status == STELE_OK)
        status = carry_states(copier, transaction, &closed);
    if (status == STELE_OK)
        status = stele__copy_note_drop(transaction);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    if (status != STELE_OK)
        return stele__fail_within(status, "the target");
    copier->copied.streams_closed = closed;
    return STELE_OK;
}

stele_status stele__copy_finish(stele__copier *copier)
{
    stele__copy_places own = { 0 };
    stele__copy_places *all = copier->planned != NULL ? copier->planned : &own;
    stele_status status = STELE_OK;
    if (copier->copy.checkpoints && copier->planned == NULL)
        status = stele__copy_places_read(copier, all);
    if (status == STELE_OK)
        stele__copy_places_end(copier, all);
    if (status == STELE_OK && !copier->copy.dry_run)
        status = commit_copy_end(copier, all);
    if (status == STELE_OK) {
        copier->copied.checkpoints = all->names_kept;
        copier->copied.checkpoints_lost = all->names_lost;
        copier->copied.parked = all->parked;
    }
    stele__copy_places_dispose(&own);
    return status;
}
