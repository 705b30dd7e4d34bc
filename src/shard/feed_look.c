/*
 * Who has something new, and what that is.
 *
 * A store is opened only when its file or its WAL were written to since it was last read to its
 * head, as their stamps say: every commit writes to the WAL. A stamp from before that read is
 * compared, so what is written while it goes on is seen later. But stamps alone would lose events,
 * in two ways:
 *
 * - Two writes within one tick of the file system's clock leave the same times, and, where the WAL
 *   is written over from its start, the same size. So a stamp counts for good only when it was
 *   taken at least `tick_us` after the times in it: whatever is written later has others.
 * - A commit is written to the WAL first and made visible afterwards, without touching a file.
 *   What was read in between lacks it, and the stamp doesn't change any more. It may be a second
 *   and more, with a slow disk or a writer that was put to sleep. So before the last read the write
 *   lock is held for a moment: whoever was at work when the stamp was taken is then done.
 *
 * Until a stamp counts for good, the shard is looked at again a few times, ever later.
 */
#include <string.h>

#include "base/failure.h"
#include "shard/feeding.h"
#include "store/figures.h"

/* Where the lock can't be had for lack of rights, files that were quiet for so long are believed.
 */
#define QUIET_US 64000000
/* An empty batch, which only says how far it was scanned, comes so often at most, unless it is a
 * long way. */
#define EMPTY_US 1000000
#define AGAIN_US 50000

stele__feed_rules stele__feed_rule = { .tick_us = 1000000, .settles = true };

/* --- Stamps --- */

static stele_status take_feed_stamp(const stele__feed_shard *item, stele__feed_stamp *stamp)
{
    char path[STELE__SHARD_PATH_MAX + 8];
    size_t size = strlen(item->path);
    stele_status status = stele__stamp_file(item->path, &stamp->file);
    memcpy(path, item->path, size);
    memcpy(path + size, "-wal", sizeof("-wal"));
    if (status == STELE_OK)
        status = stele__stamp_file(path, &stamp->wal);
    if (status == STELE_OK && stamp->wal.size == 0)
        stamp->wal = (stele__file_stamp){ 0 };
    return status;
}

static int64_t newest_of(const stele__file_stamp *stamp)
{
    return stamp->modified_ns > stamp->changed_ns ? stamp->modified_ns : stamp->changed_ns;
}

/* How long ago anything was written, by the file system's clock; negative when that went back. */
static int64_t age_of(const stele__feed_stamp *stamp, int64_t now_us)
{
    int64_t file_ns = newest_of(&stamp->file);
    int64_t wal_ns = newest_of(&stamp->wal);
    return now_us - (wal_ns > file_ns ? wal_ns : file_ns) / 1000;
}

static bool has_changed(const stele__feed_shard *item)
{
    stele__feed_stamp stamp;
    return take_feed_stamp(item, &stamp) != STELE_OK
           || !stele__stamp_equal(&stamp.file, &item->seen.file)
           || !stele__stamp_equal(&stamp.wal, &item->seen.wal);
}

void stele__feed_round(stele_feed *feed)
{
    int64_t now_us = stele__clock_monotonic_us();
    for (size_t i = 0; i < feed->item_count; i++) {
        stele__feed_shard *item = feed->items[i];
        if (!item->due)
            item->due = !item->looked_at || item->again_us <= now_us || has_changed(item);
    }
}

/* --- Faults --- */

stele_status stele__feed_note_fault(stele_feed *feed, const stele__feed_shard *item,
                                    stele_status status)
{
    feed->faulty = true;
    memcpy(feed->fault_organisation, item->organisation, strlen(item->organisation) + 1);
    memcpy(feed->fault_namespace, item->name_space, strlen(item->name_space) + 1);
    return status;
}

/* What isn't the shard's fault is not noted as one. */
static stele_status end_look(stele_feed *feed, stele__feed_shard *item, stele_status status)
{
    item->rests_us = stele__clock_monotonic_us() + STELE__FEED_REST_US;
    if (status == STELE_MOVED || status == STELE_NOT_FOUND || status == STELE_FENCED) {
        feed->rescan = true; /* it has left, or is about to */
        return STELE_OK;
    }
    if (status == STELE_CANCELLED || atomic_load(&feed->shards->closing)) {
        item->rests_us = 0;
        return status;
    }
    return stele__feed_note_fault(
        feed, item,
        stele__fail_within(status, "the shard '%s' of '%s'", item->name_space, item->organisation));
}

/* --- Reading --- */

void stele__feed_give_back(stele_feed *feed)
{
    stele__follow_close(feed->follow);
    stele_shard_release(feed->handle);
    feed->follow = NULL;
    feed->handle = NULL;
    feed->item = NULL;
    feed->batch = (stele_feed_batch){ 0 };
}

static uint32_t smaller_of(uint32_t one, uint32_t other)
{
    return one < other ? one : other;
}

/* On from the place, until something is found or there is nothing more. */
static stele_status read_on(stele_feed *feed, stele__feed_shard *item, stele__looked *looked)
{
    stele__follow_look look = {
        .epoch = item->epoch,
        .count_max = smaller_of(feed->options.batch_count_max, feed->filter.page_count_max),
        .size_max = smaller_of(feed->options.batch_size_max, feed->filter.page_size_max),
        .wait = &feed->wait,
    };
    stele_status status = STELE_OK;
    bool more = false;
    do {
        look.after = item->position;
        status = stele__follow_once(feed->follow, &look, looked);
        if (status == STELE_OK)
            item->position = looked->through;
        /* Only while there is nothing to lend: that would be passed over. */
        more = status == STELE_OK && looked->count == 0 && looked->more;
        if (more && feed->wait.progress(feed->wait.context) != 0)
            return stele__fail(STELE_CANCELLED, "cancelled while reading");
    } while (more);
    return status;
}

static void lend_events(stele_feed *feed, stele__feed_shard *item, const stele__looked *looked)
{
    item->shown = item->position;
    item->shown_us = stele__clock_monotonic_us();
    feed->item = item;
    feed->batch = (stele_feed_batch){ .shard = feed->handle,
                                      .records = looked->records,
                                      .count = looked->count,
                                      .through = item->position };
}

/* Whether it is worth a batch that nothing was found in so many events. */
static bool is_empty_batch_due(const stele_feed *feed, stele__feed_shard *item)
{
    int64_t due_us = item->shown_us + EMPTY_US;
    if (item->position <= item->shown)
        return false;
    if (item->shown_us == 0 || stele__clock_monotonic_us() >= due_us
        || item->position - item->shown >= (int64_t)feed->options.batch_count_max)
        return true;
    if (due_us < item->again_us)
        item->again_us = due_us;
    return false;
}

/* It was read to its head, and `stamp` was taken before that. */
static void conclude_look(stele__feed_shard *item, const stele__feed_stamp *stamp, int64_t age_us,
                          stele_status settled)
{
    int64_t pause_us = AGAIN_US << (item->tries < 10 ? item->tries : 10);
    bool same = item->looked_at && stele__stamp_equal(&stamp->file, &item->seen.file)
                && stele__stamp_equal(&stamp->wal, &item->seen.wal);
    item->tries = same ? item->tries + 1 : 0;
    item->seen = *stamp;
    item->looked_at = true;
    item->due = false;
    if (age_us < stele__feed_rule.tick_us) {
        int64_t left_us = stele__feed_rule.tick_us - (age_us < 0 ? 0 : age_us);
        pause_us = left_us < pause_us ? left_us : pause_us;
    } else if (settled == STELE_OK || (settled != STELE_BUSY && age_us > QUIET_US)) {
        item->again_us = INT64_MAX;
        return;
    } else if (settled != STELE_BUSY && pause_us < age_us) {
        pause_us = age_us;
    }
    item->again_us = stele__clock_monotonic_us() + pause_us;
}

static stele_status settle_commits(stele_store *store)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 0;
    return stele__feed_rule.settles ? stele__commits_settle(store, &wait) : STELE_OK;
}

static stele_status read_shard(stele_feed *feed, stele__feed_shard *item)
{
    stele_store *store = stele_shard_store(feed->handle);
    stele__looked looked = { 0 };
    stele__feed_stamp stamp;
    stele_status settled = STELE_BUSY;
    int64_t now_us = stele__clock_now();
    stele_status status = take_feed_stamp(item, &stamp);
    int64_t age_us = age_of(&stamp, now_us);
    if (status == STELE_OK)
        status = stele__feed_place(feed, item, store);
    if (status == STELE_OK)
        status = stele__follow_open(store, &feed->filter, 0, 0, true, &feed->follow);
    if (status == STELE_OK && age_us >= stele__feed_rule.tick_us)
        settled = settle_commits(store);
    if (status == STELE_OK)
        status = read_on(feed, item, &looked);
    if (status != STELE_OK)
        return status;
    if (!looked.more)
        conclude_look(item, &stamp, age_us, settled);
    if (looked.count > 0 || is_empty_batch_due(feed, item))
        lend_events(feed, item, &looked);
    return STELE_OK;
}

stele_status stele__feed_look(stele_feed *feed, stele__feed_shard *item)
{
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.must_exist = true;
    how.wait = &feed->wait;
    stele_status status = stele_shards_acquire(feed->shards, item->organisation, item->name_space,
                                               &how, &feed->handle);
    if (status == STELE_OK)
        status = read_shard(feed, item);
    if (feed->item != NULL)
        return STELE_OK;
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    stele__feed_give_back(feed);
    stele__restore_error(error);
    return status == STELE_OK ? STELE_OK : end_look(feed, item, status);
}
