/* What is carried over besides events: checkpoints, translated, and the states of streams. */
#include <stdlib.h>
#include <string.h>

#include <stele/checkpoint.h>
#include <stele/lifecycle.h>

#include "base/failure.h"
#include "base/memory.h"
#include "copy/copy.h"

/* A checkpoint of the source. */
typedef struct copy_place {
    size_t name;      /* offset of its text */
    int64_t position; /* in the source */
    int64_t target;   /* in the target */
} copy_place;

/* All of them, by position once sorted. */
typedef struct copy_places {
    copy_place *places;
    size_t count;
    size_t capacity;
    stele__buffer names;
    uint64_t lost;
    size_t next; /* the first that isn't translated yet */
} copy_places;

/* --- Checkpoints --- */

static stele_status keep_copy_place(copy_places *all, const stele_checkpoint_info *info)
{
    if (info->lost) {
        all->lost++;
        return STELE_OK;
    }
    if (all->count == all->capacity) {
        size_t capacity = all->capacity == 0 ? 32 : all->capacity * 2;
        copy_place *places = stele__reallocate(all->places, capacity * sizeof(*places));
        if (places == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu checkpoints", capacity);
        all->places = places;
        all->capacity = capacity;
    }
    all->places[all->count] = (copy_place){ .name = all->names.size, .position = info->position };
    stele_status status = stele__buffer_add(&all->names, info->name, strlen(info->name) + 1);
    if (status == STELE_OK)
        all->count++;
    return status;
}

static stele_status read_copy_places(stele_store *source, copy_places *all)
{
    stele_checkpoints *checkpoints = NULL;
    const stele_checkpoint_info *info = NULL;
    stele_status status = stele_store_checkpoints(source, &checkpoints);
    while (status == STELE_OK && (status = stele_checkpoints_next(checkpoints, &info)) == STELE_OK)
        status = keep_copy_place(all, info);
    stele_checkpoints_close(checkpoints);
    return status == STELE_DONE ? STELE_OK : status;
}

static int compare_copy_places(const void *left, const void *right)
{
    int64_t a = ((const copy_place *)left)->position;
    int64_t b = ((const copy_place *)right)->position;
    return a < b ? -1 : a > b;
}

/* Those within the stretch: both grow, so each is looked at once. */
static stele_status translate_stretch(void *context, const stele__copy_stretch *stretch)
{
    copy_places *all = context;
    for (; all->next < all->count; all->next++) {
        copy_place *place = &all->places[all->next];
        int64_t into = place->position - stretch->after;
        if (into > stretch->run.positions)
            break;
        place->target = stretch->head + (into > 0 ? into : 0) * stretch->run.outputs;
    }
    return STELE_OK;
}

static stele_status translate_places(stele__copier *copier, copy_places *all)
{
    stele_status status = read_copy_places(copier->source, all);
    if (status != STELE_OK)
        return stele__fail_within(status, "the source");
    if (all->count > 0)
        qsort(all->places, all->count, sizeof(*all->places), compare_copy_places);
    status = stele__copy_map_visit(copier->target, &copier->note, translate_stretch, all);
    if (status != STELE_OK)
        return stele__fail_within(status, "the target");
    for (; all->next < all->count; all->next++)
        all->places[all->next].target = copier->head; /* beyond what was copied */
    return STELE_OK;
}

static stele_status save_copy_places(stele_transaction *transaction, const copy_places *all)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < all->count && status == STELE_OK; i++)
        status = stele_transaction_checkpoint_save(
            transaction, all->names.data + all->places[i].name, all->places[i].target);
    return status;
}

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

static stele_status commit_copy_end(stele__copier *copier, const copy_places *all)
{
    uint64_t closed = 0;
    stele_transaction *transaction = NULL;
    stele_status status = stele__copy_begin(copier, &transaction);
    if (status != STELE_OK)
        return status;
    status = save_copy_places(transaction, all);
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
    copy_places all = { 0 };
    stele_status status = STELE_OK;
    if (copier->copy.checkpoints)
        status = translate_places(copier, &all);
    if (status == STELE_OK && !copier->copy.dry_run)
        status = commit_copy_end(copier, &all);
    if (status == STELE_OK) {
        copier->copied.checkpoints = all.count;
        copier->copied.checkpoints_lost = all.lost;
    }
    stele__free(all.places);
    stele__buffer_dispose(&all.names);
    return status;
}
