/*
 * Where a feed is in a shard, and moving it on. With a name the checkpoint in the shard says it;
 * it is moved by compare and set, so that of two feeds of a name one has acknowledged an event.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "shard/feeding.h"

/* --- Finding the place --- */

static int compare_given(const void *key, const void *member)
{
    const stele__feed_shard *item = key;
    const stele__feed_given *given = member;
    return stele__feed_order(item->organisation, item->name_space, given->organisation,
                             given->name_space);
}

static stele__feed_given *find_given(const stele_feed *feed, const stele__feed_shard *item)
{
    if (feed->given_count == 0)
        return NULL;
    stele__feed_given *given =
        bsearch(item, feed->given, feed->given_count, sizeof(*given), compare_given);
    return given == NULL || given->taken ? NULL : given;
}

/* The first checkpoint of a feed that begins at the head, so that it begins there for good. Where
 * nothing can be written, nothing is. */
static stele_status keep_first_place(const stele_feed *feed, stele__feed_shard *item,
                                     stele_store *store)
{
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    int64_t actual = 0;
    move.from = STELE_CHECKPOINT_MISSING;
    move.to = item->position;
    stele_status status = stele_checkpoint_advance(store, feed->options.name, &move, &actual);
    if (status == STELE_READ_ONLY)
        return STELE_OK;
    if (status != STELE_OK && status != STELE_CONFLICT)
        return status;
    item->stored = actual;
    item->position = actual;
    return STELE_OK;
}

static void begin_at(stele__feed_shard *item, int64_t position)
{
    item->position = position;
    item->acked = position;
    item->shown = position;
}

/* No component is known yet. */
static stele_status find_first_place(const stele_feed *feed, stele__feed_shard *item,
                                     stele_store *store)
{
    stele__feed_given *given = find_given(feed, item);
    int64_t position = item->stored > 0 ? item->stored : 0;
    stele_status status = STELE_OK;
    memcpy(item->epoch, store->epoch, sizeof(item->epoch));
    if (given != NULL) {
        memcpy(item->epoch, given->epoch, sizeof(item->epoch));
        position = given->position;
    } else if (item->from_head && item->stored == STELE_CHECKPOINT_MISSING) {
        status = stele_store_head(store, &position);
        item->position = position;
        if (status == STELE_OK && feed->options.name != NULL)
            status = keep_first_place(feed, item, store);
        position = item->position;
    }
    if (status != STELE_OK)
        return status;
    begin_at(item, position);
    if (given != NULL)
        given->taken = true;
    memcpy(item->uuid, store->uuid, sizeof(item->uuid));
    item->placed = true;
    return STELE_OK;
}

/*
 * Others of the name may have moved the checkpoint, and people may set it. But after another epoch
 * has begun, reading has to find out first whether what this feed has read is still there.
 */
static void compare_stored(stele__feed_shard *item, const stele_checkpoint *checkpoint,
                           const stele_store *store)
{
    int64_t stored = checkpoint->found ? checkpoint->position : STELE_CHECKPOINT_MISSING;
    if (strcmp(item->epoch, store->epoch) != 0)
        return;
    if (item->doubted || stored != item->stored)
        begin_at(item, stored > 0 ? stored : 0);
    item->stored = stored;
    item->doubted = false;
}

stele_status stele__feed_place(stele_feed *feed, stele__feed_shard *item, stele_store *store)
{
    stele_checkpoint checkpoint = { 0 };
    /* Another store has that name now: it was dropped, and created anew. */
    if (item->placed && strcmp(item->uuid, store->uuid) != 0) {
        item->placed = false;
        item->from_head = false;
        item->stored = STELE_CHECKPOINT_MISSING;
    }
    /* As long as something is shown but not acknowledged, that will tell. */
    bool asks = feed->options.name != NULL
                && (!item->placed || item->doubted || item->shown <= item->acked);
    stele_status status = STELE_OK;
    if (asks)
        status = stele_checkpoint_load(store, feed->options.name, &checkpoint);
    if (status != STELE_OK)
        return status;
    if (item->placed && asks)
        compare_stored(item, &checkpoint, store);
    if (item->placed)
        return STELE_OK;
    item->stored = checkpoint.found ? checkpoint.position : STELE_CHECKPOINT_MISSING;
    item->doubted = false;
    return find_first_place(feed, item, store);
}

/* --- Moving on --- */

static void settle_ack(stele__feed_shard *item, int64_t through)
{
    item->acked = through;
    if (item->stored < through)
        item->stored = through;
}

/* Somebody was faster, or has set it back: it goes on from there. */
static void yield_place(stele__feed_shard *item, const stele_store *store, int64_t actual)
{
    memcpy(item->epoch, store->epoch, sizeof(item->epoch));
    begin_at(item, actual > 0 ? actual : 0);
    item->stored = actual;
    item->due = true;
}

/* Within `transaction`, or with NULL by itself. */
static stele_status advance_place(stele_feed *feed, stele_transaction *transaction)
{
    stele__feed_shard *item = feed->item;
    stele_store *store = stele_shard_store(feed->handle);
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    int64_t actual = 0;
    move.from = item->stored;
    move.to = feed->batch.through;
    /* A vector may be behind the checkpoint: then that is where it was to go. */
    if (move.to <= move.from)
        return STELE_OK;
    stele_status status =
        transaction != NULL
            ? stele_transaction_checkpoint_advance(transaction, feed->options.name, &move, &actual)
            : stele_checkpoint_advance(store, feed->options.name, &move, &actual);
    if (status == STELE_CONFLICT)
        yield_place(item, store, actual);
    item->doubted |= status == STELE_UNKNOWN_OUTCOME || status == STELE_EPOCH;
    /* Whether that is committed is seen there. */
    item->due |= transaction != NULL || item->doubted;
    return status;
}

static stele_status check_ack(const stele_feed *feed)
{
    if (feed->item == NULL)
        return stele__fail(STELE_MISUSE, "no batch is lent that could be acknowledged");
    return STELE_OK;
}

static stele_status acknowledge(stele_feed *feed, stele_transaction *transaction)
{
    stele_status status = check_ack(feed);
    feed->faulty = false;
    if (status != STELE_OK)
        return status;
    stele__feed_shard *item = feed->item;
    if (feed->options.name != NULL)
        status = advance_place(feed, transaction);
    if (status == STELE_OK)
        settle_ack(item, feed->batch.through);
    else
        stele__feed_note_fault(feed, item, status);
    /* What can be repeated is. */
    if (status == STELE_OK || status == STELE_CONFLICT || status == STELE_UNKNOWN_OUTCOME)
        feed->item = NULL;
    return status;
}

stele_status stele_feed_ack(stele_feed *feed)
{
    if (feed == NULL)
        return stele__fail(STELE_MISUSE, "feed is NULL");
    stele_status status = stele__shards_enter(feed->shards);
    if (status != STELE_OK)
        return status;
    status = acknowledge(feed, NULL);
    stele__shards_leave(feed->shards);
    return status;
}

static stele_status check_ack_within(const stele_feed *feed, const stele_transaction *transaction)
{
    if (feed->options.name == NULL)
        return stele__fail(STELE_MISUSE, "a feed without a name keeps nothing in its shards");
    stele_status status = check_ack(feed);
    if (status == STELE_OK && transaction->store != stele_shard_store(feed->handle))
        status = stele__fail(STELE_MISUSE, "the transaction is not one of the shard '%s' of '%s'",
                             feed->item->name_space, feed->item->organisation);
    return status;
}

stele_status stele_feed_ack_within(stele_feed *feed, stele_transaction *transaction)
{
    if (feed == NULL || transaction == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", feed == NULL ? "feed" : "transaction");
    stele_status status = stele__shards_enter(feed->shards);
    if (status != STELE_OK)
        return status;
    status = check_ack_within(feed, transaction);
    if (status == STELE_OK)
        status = acknowledge(feed, transaction);
    stele__shards_leave(feed->shards);
    return status;
}
