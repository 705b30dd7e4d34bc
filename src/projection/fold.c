/* Folding what the log holds, so many events at once, inside a transaction. */
#include <inttypes.h>

#include <stele/eventstore.h>

#include "projection/own.h"

/* The next events of the cursor, until one of the bounds. */
static stele_status fold_from_cursor(stele__folding *folding, stele_cursor *cursor,
                                     stele__projecting *projecting)
{
    const stele_record *record = NULL;
    stele_status status = STELE_OK;
    while (folding->count < folding->count_max && folding->size < folding->size_max) {
        status = stele_cursor_next(cursor, &record);
        if (status != STELE_OK)
            break;
        status =
            stele__projecting_fold(projecting, record, record->position > folding->effects_after);
        if (status != STELE_OK)
            return status;
        folding->through = record->position;
        folding->count++;
        folding->size += record->data_size + record->metadata_size;
    }
    if (status == STELE_DONE) {
        folding->through = folding->to;
        status = STELE_OK;
    }
    int64_t archived = stele_cursor_skipped(cursor).archived;
    if (status == STELE_OK && archived > 0)
        return stele__fail(STELE_ARCHIVED,
                           "%" PRId64 " events between %" PRId64 " and %" PRId64
                           " are in an archive that isn't attached",
                           archived, folding->after, folding->to);
    return status;
}

stele_status stele__fold_some(stele__folding *folding)
{
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    stele__projecting projecting;
    folding->through = folding->after;
    folding->count = 0;
    folding->size = 0;
    if (folding->after >= folding->to)
        return STELE_OK;
    stele__projection_filter(folding->projection, &read);
    read.after_position = folding->after;
    read.to_position = folding->to;
    read.page_count_max = folding->count_max;
    stele_status status = stele_transaction_read(folding->transaction, &read, &cursor);
    if (status != STELE_OK)
        return status;
    stele__projecting_begin(&projecting, folding->projection, folding->transaction,
                            folding->suffix);
    projecting.lent.rebuilding = folding->rebuilding;
    projecting.lent.with_append = folding->with_append;
    status = fold_from_cursor(folding, cursor, &projecting);
    stele_cursor_close(cursor);
    return status;
}
