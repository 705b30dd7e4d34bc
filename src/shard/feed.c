/* A feed: batch after batch, of one shard after the other. */
#include <string.h>

#include "base/callback.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/patience.h"
#include "shard/feeding.h"

/* Looking at all files takes its time: at most a tenth of all time goes there. */
#define ROUND_SHARE 9
/* Somebody may stop it meanwhile. */
#define FEED_NAP_US 10000
/* How often its progress is asked. */
#define FEED_ASK_US 20000

/* Whatever takes long is asked to end when the feed is stopped, or its user says so. */
static int ask_feed(void *context)
{
    stele_feed *feed = context;
    if (atomic_load(&feed->stopped))
        return 1;
    int64_t now_us = stele__clock_monotonic_us();
    if (feed->asked.progress == NULL || now_us - feed->asked_us < FEED_ASK_US)
        return 0;
    feed->asked_us = now_us;
    const char *outer = stele__callback_begin("a progress callback");
    int answer = feed->asked.progress(feed->asked.context);
    stele__callback_end(outer);
    return answer;
}

/* --- Open and close --- */

static void dispose_feed(stele_feed *feed)
{
    stele__feed_give_back(feed);
    for (size_t i = 0; i < feed->item_count; i++)
        stele__feed_shard_dispose(feed->items[i]);
    for (size_t i = 0; i < feed->folder_count; i++) {
        stele__free(feed->folders[i].organisation);
        stele__free(feed->folders[i].path);
    }
    for (size_t i = 0; i < feed->given_count; i++) {
        stele__free(feed->given[i].organisation);
        stele__free(feed->given[i].name_space);
    }
    stele__free(feed->items);
    stele__free(feed->folders);
    stele__free(feed->given);
    stele__free(feed->types);
    stele__buffer_dispose(&feed->texts);
    stele__shards_release(feed->shards);
    stele__free(feed);
}

static stele_status begin_feed(stele_feed *feed, const stele_feed_options *options)
{
    feed->wait = (stele_wait)STELE_WAIT_INIT;
    feed->wait.progress = ask_feed;
    feed->wait.context = feed;
    feed->asked = (stele_wait)STELE_WAIT_INIT;
    stele_status status = stele__feed_take_options(feed, options);
    if (status == STELE_OK)
        status = stele__feed_scan(feed, true);
    if (status == STELE_OK && feed->options.from_head)
        status = stele__feed_place_at_heads(feed);
    return status;
}

stele_status stele_feed_open(stele_shards *shards, const stele_feed_options *options,
                             stele_feed **feed_out)
{
    if (feed_out == NULL)
        return stele__fail(STELE_MISUSE, "feed_out is NULL");
    *feed_out = NULL;
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    stele_feed *feed = stele__allocate_array(1, sizeof(*feed));
    if (feed == NULL) {
        status = stele__fail(STELE_NO_MEMORY, "no memory for a feed");
    } else {
        feed->shards = shards;
        stele__shards_hold(shards);
        status = begin_feed(feed, options);
        if (status == STELE_OK)
            *feed_out = feed;
        else
            dispose_feed(feed);
    }
    stele__shards_leave(shards);
    return status;
}

void stele_feed_close(stele_feed *feed)
{
    if (feed != NULL)
        dispose_feed(feed);
}

void stele_feed_stop(stele_feed *feed)
{
    if (feed != NULL)
        atomic_store(&feed->stopped, true);
}

void stele_feed_fault(const stele_feed *feed, const char **organisation_out,
                      const char **name_space_out)
{
    bool faulty = feed != NULL && feed->faulty;
    if (organisation_out != NULL)
        *organisation_out = faulty ? feed->fault_organisation : NULL;
    if (name_space_out != NULL)
        *name_space_out = faulty ? feed->fault_namespace : NULL;
}

/* --- Next --- */

/* The next one in turn that is due; NULL: none is. */
static stele__feed_shard *take_due(stele_feed *feed)
{
    int64_t now_us = stele__clock_monotonic_us();
    for (size_t i = 0; i < feed->item_count; i++) {
        size_t at = (feed->item_next + i) % feed->item_count;
        stele__feed_shard *item = feed->items[at];
        if (!item->due || item->rests_us > now_us)
            continue;
        feed->item_next = (at + 1) % feed->item_count;
        return item;
    }
    return NULL;
}

static stele_status begin_round(stele_feed *feed)
{
    int64_t began_us = stele__clock_monotonic_us();
    stele_status status = stele__feed_scan(feed, false);
    if (status == STELE_OK)
        stele__feed_round(feed);
    int64_t now_us = stele__clock_monotonic_us();
    int64_t pause_us = (now_us - began_us) * ROUND_SHARE;
    int64_t interval_us = (int64_t)feed->options.poll_interval_ms * 1000;
    feed->round_us = now_us + (pause_us > interval_us ? pause_us : interval_us);
    return status;
}

/* Those that are due, until something is lent. OK with nothing lent: none is due any more. */
static stele_status look_around(stele_feed *feed)
{
    stele__feed_shard *item = NULL;
    while ((item = take_due(feed)) != NULL) {
        if (ask_feed(feed) != 0)
            return stele__fail(STELE_CANCELLED, "cancelled while looking for events");
        if (atomic_load(&feed->shards->closing))
            return stele__fail(STELE_CLOSED, "the shards were closed");
        stele_status status = stele__feed_look(feed, item);
        if (status != STELE_OK || feed->item != NULL)
            return status;
    }
    return STELE_OK;
}

/* Until the files are to be looked at again. TIMED_OUT, CANCELLED, CLOSED. */
static stele_status rest_until_round(stele_feed *feed, stele__patience *patience)
{
    for (;;) {
        stele_status status = stele__patience_check(patience, "waiting for events");
        if (status == STELE_BUSY)
            return STELE_TIMED_OUT;
        if (status != STELE_OK)
            return status;
        int64_t left_us = feed->round_us - stele__clock_monotonic_us();
        if (left_us <= 0 || atomic_load(&feed->stopped))
            return STELE_OK;
        stele__patience_sleep(patience, left_us < FEED_NAP_US ? (uint32_t)left_us : FEED_NAP_US);
    }
}

static stele_status find_batch(stele_feed *feed, stele__patience *patience)
{
    bool looked = false; /* at all files, since the call began */
    for (;;) {
        stele_status status = STELE_OK;
        if (stele__clock_monotonic_us() >= feed->round_us) {
            status = begin_round(feed);
            looked = true;
        }
        if (status == STELE_OK)
            status = look_around(feed);
        if (status != STELE_OK || feed->item != NULL)
            return status;
        if (!looked)
            feed->round_us = 0;
        else if (patience == NULL)
            return STELE_TIMED_OUT;
        else
            status = rest_until_round(feed, patience);
        if (status != STELE_OK)
            return status;
        if (atomic_load(&feed->stopped))
            return STELE_DONE;
    }
}

/* A transaction that acknowledges is to be over first: what it did isn't seen from outside. */
static stele_status check_next(const stele_feed *feed)
{
    const stele_store *store = feed->handle == NULL ? NULL : stele_shard_store(feed->handle);
    if (store != NULL && atomic_load(&store->writer_thread) == stele__thread_id())
        return stele__fail(STELE_MISUSE, "this thread has a transaction open on the shard that is"
                                         " lent: commit or end it first");
    return STELE_OK;
}

static stele_status next_batch(stele_feed *feed, const stele_wait *wait)
{
    stele__patience patience;
    feed->asked = (stele_wait)STELE_WAIT_INIT;
    feed->faulty = false;
    stele_status status = check_next(feed);
    if (status == STELE_OK)
        status = stele__patience_begin(&patience, wait, UINT32_MAX, &feed->shards->closing);
    if (status != STELE_OK)
        return status;
    feed->asked.progress = patience.progress;
    feed->asked.context = patience.context;
    stele__feed_give_back(feed);
    if (atomic_load(&feed->stopped))
        return STELE_DONE;
    status = find_batch(feed, wait == NULL ? NULL : &patience);
    if (status == STELE_CANCELLED && atomic_load(&feed->stopped))
        status = STELE_DONE;
    return status;
}

stele_status stele_feed_next(stele_feed *feed, const stele_wait *wait,
                             const stele_feed_batch **batch_out)
{
    if (batch_out != NULL)
        *batch_out = NULL;
    if (feed == NULL || batch_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", feed == NULL ? "feed" : "batch_out");
    stele_status status = stele__shards_enter(feed->shards);
    if (status != STELE_OK)
        return status;
    status = next_batch(feed, wait);
    if (status == STELE_OK)
        *batch_out = &feed->batch;
    stele__shards_leave(feed->shards);
    return status;
}
