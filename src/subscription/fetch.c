/* Reading ahead for a seat, and making a batch of what was read. */
#include <string.h>

#include "base/memory.h"
#include "base/platform.h"
#include "subscription/own.h"

/* A stand-by notes how far it only passed over events when the owner had its time to do that so
 * often, and so long. */
#define STAND_BY_SKIPS   3
#define STAND_BY_SKIP_US 1000000

static stele_status open_follow(stele_subscription *subscription, stele__seat *seat)
{
    const stele_subscription_options *options = &subscription->options;
    stele_read read = STELE_READ_INIT;
    read.stream = options->stream;
    read.types = options->types;
    read.type_count = options->type_count;
    read.category = options->category;
    read.prefix = options->prefix;
    read.system = options->system;
    read.keys = options->keys;
    return stele__follow_open(subscription->store, &read, options->lanes, seat->lane,
                              options->skip_archived, &seat->follow);
}

/* --- What waits behind parked events --- */

static stele_status add_held_back(stele__seat *seat, const stele_record *record, int64_t behind)
{
    if (seat->held_back_count == seat->held_back_capacity) {
        size_t capacity = seat->held_back_capacity == 0 ? 16 : 2 * seat->held_back_capacity;
        stele__held_back *grown = stele__reallocate(seat->held_backs, capacity * sizeof(*grown));
        if (grown == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu parked events", capacity);
        seat->held_backs = grown;
        seat->held_back_capacity = capacity;
    }
    seat->held_backs[seat->held_back_count++] = (stele__held_back){ .position = record->position,
                                                                    .behind = behind,
                                                                    .stream = record->stream };
    return STELE_OK;
}

/* The last one of the same stream that was held back in this very page. */
static int64_t find_in_page(const stele__seat *seat, const char *stream)
{
    for (size_t i = seat->held_back_count; i > 0; i--)
        if (strcmp(seat->held_backs[i - 1].stream, stream) == 0)
            return seat->held_backs[i - 1].behind;
    return 0;
}

static stele_status find_held_back(stele_subscription *subscription, stele__seat *seat,
                                   stele__connection *connection)
{
    stele_status status = STELE_OK;
    for (size_t i = seat->next; i < seat->looked.count && status == STELE_OK; i++) {
        const stele_record *record = seat->looked.records[i];
        stele__parked parked;
        bool found = false;
        int64_t behind = find_in_page(seat, record->stream);
        if (behind == 0) {
            status = stele__parked_first(connection, subscription->name, record->stream, 0, &parked,
                                         &found);
            behind = found ? parked.position : 0;
        }
        if (status == STELE_OK && behind != 0 && behind < record->position)
            status = add_held_back(seat, record, behind);
    }
    return status;
}

/* Which of the events in the page wait behind parked ones of their stream. */
static stele_status mark_held_back(stele_subscription *subscription, stele__seat *seat,
                                   const stele_wait *wait)
{
    stele_store *store = subscription->store;
    stele__connection *connection = NULL;
    if (seat->marked)
        return STELE_OK;
    seat->held_back_count = 0;
    seat->marked = !seat->parks || subscription->name == NULL;
    if (seat->marked)
        return STELE_OK;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, wait, &connection);
    if (status == STELE_OK) {
        status = find_held_back(subscription, seat, connection);
        stele__read_end(store, connection);
    }
    seat->marked = status == STELE_OK;
    stele__store_leave(store);
    return status;
}

/* They are by position: `at` moves on with the events that are asked for. */
static bool is_held_back(const stele__seat *seat, size_t *at, int64_t position)
{
    while (*at < seat->held_back_count && seat->held_backs[*at].position < position)
        (*at)++;
    return *at < seat->held_back_count && seat->held_backs[*at].position == position;
}

/* --- Reading --- */

void stele__seat_pass(stele__seat *seat, int64_t position)
{
    while (seat->next < seat->looked.count
           && seat->looked.records[seat->next]->position <= position)
        seat->next++;
    size_t kept = 0;
    for (size_t i = 0; i < seat->held_back_count; i++)
        if (seat->held_backs[i].position > position)
            seat->held_backs[kept++] = seat->held_backs[i];
    seat->held_back_count = kept;
    if (seat->suspect != 0 && seat->suspect <= position) {
        seat->suspect = 0;
        seat->counted = false;
        seat->retry_at_us = 0;
        seat->died = false;
    }
    if (position >= seat->batch.through)
        seat->batch = (stele_batch){ 0 };
    else if (position > seat->batch.after) /* the rest of it is still lent */
        seat->batch.after = position;
}

/* Another epoch has begun, which shares what this seat has read. What others have is read anew:
 * their places are judged by their rows. */
static void note_epoch(stele_subscription *subscription, const stele__seat *seat,
                       const char epoch[37])
{
    memcpy(subscription->epoch, epoch, sizeof(subscription->epoch));
    subscription->epoch_since = INT64_MAX;
    for (size_t i = 0; i < subscription->seat_count; i++) {
        stele__seat *other = &subscription->seats[i];
        if (other != seat && other->loaded) {
            stele__seat_rewind(subscription, other, other->position);
            other->doubt = true;
        }
    }
}

static stele_status look_ahead(stele_subscription *subscription, stele__seat *seat,
                               const stele_wait *wait)
{
    char epoch[sizeof(subscription->epoch)];
    memcpy(epoch, subscription->epoch, sizeof(epoch));
    stele__follow_look look = {
        .after = seat->scanned,
        .to = subscription->stop_at,
        .epoch = epoch,
        .count_max = subscription->options.batch_count_max,
        .size_max = subscription->options.batch_size_max,
        .wait = wait,
    };
    stele_status status = STELE_OK;
    if (seat->follow == NULL)
        status = open_follow(subscription, seat);
    seat->looked = (stele__looked){ .through = seat->scanned };
    seat->next = 0;
    seat->marked = false;
    seat->held_back_count = 0;
    if (status == STELE_OK)
        status = stele__follow_once(seat->follow, &look, &seat->looked);
    if (status != STELE_OK) {
        seat->looked = (stele__looked){ .through = seat->scanned };
        return status;
    }
    if (strcmp(epoch, subscription->epoch) != 0)
        note_epoch(subscription, seat, epoch);
    seat->head = seat->looked.head;
    seat->more = seat->looked.more;
    seat->skipped.erased += seat->looked.skipped.erased;
    seat->skipped.archived += seat->looked.skipped.archived;
    if (seat->looked.count == 0 && seat->looked.through > seat->acked && seat->skipped_us == 0)
        seat->skipped_us = stele__clock_monotonic_us();
    seat->scanned = seat->looked.through;
    return STELE_OK;
}

stele_status stele__seat_fetch(stele_subscription *subscription, stele__seat *seat,
                               const stele_wait *wait, bool *found_out)
{
    stele_status status = STELE_OK;
    *found_out = seat->next < seat->looked.count;
    if (!*found_out) {
        status = look_ahead(subscription, seat, wait);
        *found_out = status == STELE_OK && seat->looked.count > 0;
    }
    if (status == STELE_OK && *found_out)
        status = mark_held_back(subscription, seat, wait);
    return status;
}

bool stele__seat_skip_is_due(const stele_subscription *subscription, const stele__seat *seat,
                             int64_t *until_us)
{
    if (subscription->name == NULL)
        return false;
    int64_t due = INT64_MAX;
    int64_t skip_us = (int64_t)subscription->options.skip_flush_ms * 1000;
    /* An owner that is alive does it by itself. One that isn't must not keep those waiting who wait
     * for the place. */
    if (!seat->held && seat->other[0] != '\0' && subscription->group == NULL)
        skip_us = STAND_BY_SKIPS * skip_us + STAND_BY_SKIP_US;
    if (seat->skipped_us > 0 && seat->scanned > seat->position)
        due = seat->skipped_us + skip_us;
    if (seat->acked_us > 0) {
        int64_t acked = seat->acked_us + (int64_t)subscription->options.ack_flush_ms * 1000;
        due = acked < due ? acked : due;
    }
    if (due < *until_us)
        *until_us = due;
    return stele__clock_monotonic_us() >= due;
}

/* --- Lending --- */

static stele_status reserve_records(stele__seat *seat, size_t count)
{
    if (count <= seat->record_capacity)
        return STELE_OK;
    const stele_record **records =
        stele__reallocate(seat->records, count * sizeof(const stele_record *));
    if (records == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a batch of %zu events", count);
    seat->records = records;
    seat->record_capacity = count;
    return STELE_OK;
}

/* Whether the event at `position` is to be handled without any other. */
static bool is_alone(const stele__seat *seat, int64_t position)
{
    return position == seat->suspect || position <= seat->alone_until || seat->attempts > 0;
}

/* Tries are counted of the event right after the place. When that isn't there any more, as after
 * its stream was deleted, what comes instead was never tried. */
static void drop_tries_of_another(stele__seat *seat, int64_t position)
{
    if (seat->attempts == 0 || position == seat->position + 1)
        return;
    seat->attempts = 0;
    seat->died = false;
    seat->counted = false;
}

stele_status stele__seat_lend(stele_subscription *subscription, stele__seat *seat)
{
    stele_batch *batch = &seat->batch;
    size_t left = seat->looked.count - seat->next;
    size_t at = 0;
    if (seat->alone_page && left > 0) {
        seat->alone_page = false;
        seat->alone_until = seat->looked.records[seat->looked.count - 1]->position;
    }
    stele_status status = reserve_records(seat, left);
    if (status != STELE_OK)
        return status;
    *batch = (stele_batch){ .records = seat->records,
                            .after = seat->acked,
                            .through = seat->scanned,
                            .head = seat->head,
                            .lane = seat->lane,
                            .attempt = 1,
                            .effects_after = seat->effects_after,
                            .skipped = seat->skipped };
    for (size_t i = seat->next; i < seat->looked.count; i++) {
        const stele_record *record = seat->looked.records[i];
        if (is_held_back(seat, &at, record->position))
            continue;
        bool alone = is_alone(seat, record->position);
        if (batch->count > 0 && alone) {
            batch->through = record->position - 1;
            break;
        }
        seat->records[batch->count++] = record;
        if (alone) {
            if (seat->suspect != record->position) { /* what was tried before is this one */
                seat->suspect = record->position;
                seat->counted = false;
            }
            drop_tries_of_another(seat, record->position);
            if (i + 1 < seat->looked.count)
                batch->through = record->position;
            batch->attempt = (uint32_t)seat->attempts + (seat->counted ? 0 : 1);
            break;
        }
    }
    batch->caught_up = batch->through >= seat->head;
    (void)subscription;
    return STELE_OK;
}
