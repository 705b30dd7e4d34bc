/* Opening a feed: what it was asked for, and where it begins. */
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "shard/feeding.h"

#define FEED_BATCH_COUNT_MAX 100000
#define FEED_TYPES_MAX       1000
#define FEED_BATCH_SIZE_MAX  (64u * 1024 * 1024)

void stele_feed_options_init(stele_feed_options *options)
{
    *options = (stele_feed_options)STELE_FEED_OPTIONS_INIT;
}

/* As a store would say, but here there may be none yet. */
static stele_status check_feed_filter(const stele_read *filter)
{
    stele_status status = STELE_OK;
    if (filter->stream != NULL || filter->direction != STELE_FORWARD)
        return stele__fail(STELE_MISUSE, "a feed reads all streams, and forward");
    if (filter->type_count > FEED_TYPES_MAX)
        return stele__fail(STELE_TOO_LARGE, "%zu types, and at most %d go", filter->type_count,
                           FEED_TYPES_MAX);
    if (filter->type_count > 0 && filter->types == NULL)
        return stele__fail(STELE_MISUSE, "types is NULL");
    if (filter->page_count_max < 1 || filter->page_size_max < 1)
        return stele__fail(STELE_MISUSE, "a page bound of the filter is 0");
    if (filter->category != NULL)
        status = stele__check_name("category", filter->category);
    if (status == STELE_OK && filter->category != NULL && strchr(filter->category, '-') != NULL)
        status = stele__fail(STELE_MISUSE, "the category '%s' has a '-'", filter->category);
    if (status == STELE_OK && filter->prefix != NULL && filter->prefix[0] != '\0')
        status = stele__check_name("prefix", filter->prefix);
    for (size_t i = 0; i < filter->type_count && status == STELE_OK; i++)
        status = stele__check_name("type", filter->types[i]);
    return status;
}

static stele_status check_feed_options(const stele_feed *feed)
{
    const stele_feed_options *options = &feed->options;
    if (options->batch_count_max < 1 || options->batch_count_max > FEED_BATCH_COUNT_MAX)
        return stele__fail(STELE_MISUSE, "batch_count_max is %u, and goes from 1 to %d",
                           options->batch_count_max, FEED_BATCH_COUNT_MAX);
    if (options->batch_size_max < 1 || options->batch_size_max > FEED_BATCH_SIZE_MAX)
        return stele__fail(STELE_MISUSE, "batch_size_max is %u, and goes from 1 to %u",
                           options->batch_size_max, FEED_BATCH_SIZE_MAX);
    if (options->poll_interval_ms < 1)
        return stele__fail(STELE_MISUSE, "poll_interval_ms is 0");
    if (options->name != NULL && options->name[0] == '$')
        return stele__fail(STELE_MISUSE, "the name '%s' begins with '$', as the library's do",
                           options->name);
    stele_status status = check_feed_filter(&feed->filter);
    if (status == STELE_OK && options->name != NULL)
        status = stele__check_name("feed", options->name);
    return status;
}

/* Each text is copied to the end of the buffer, which moves while it grows: first as offsets. */
static stele_status copy_feed_text(stele_feed *feed, const char *text, size_t *at_out)
{
    *at_out = feed->texts.size;
    return text == NULL ? STELE_OK : stele__buffer_add(&feed->texts, text, strlen(text) + 1);
}

static stele_status copy_feed_texts(stele_feed *feed)
{
    const char **texts[] = { &feed->options.name, &feed->read.organisation, &feed->read.prefix,
                             &feed->filter.category, &feed->filter.prefix };
    enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };
    size_t count = TEXTS + feed->filter.type_count;
    size_t *places = stele__allocate_array(count, sizeof(*places));
    feed->types = stele__allocate_array(feed->filter.type_count + 1, sizeof(*feed->types));
    stele_status status = STELE_OK;
    if (places == NULL || feed->types == NULL)
        status = stele__fail(STELE_NO_MEMORY, "no memory for the options of a feed");
    for (size_t i = 0; i < count && status == STELE_OK; i++)
        status =
            copy_feed_text(feed, i < TEXTS ? *texts[i] : feed->filter.types[i - TEXTS], &places[i]);
    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        if (i >= TEXTS)
            feed->types[i - TEXTS] = feed->texts.data + places[i];
        else if (*texts[i] != NULL)
            *texts[i] = feed->texts.data + places[i];
    }
    feed->filter.types = feed->types;
    stele__free(places);
    return status;
}

stele_status stele__feed_take_options(stele_feed *feed, const stele_feed_options *given)
{
    feed->options = (stele_feed_options)STELE_FEED_OPTIONS_INIT;
    feed->filter = (stele_read)STELE_READ_INIT;
    stele_status status =
        stele__options_take("stele_feed_options", given, &feed->options, sizeof(feed->options));
    const char *vector = feed->options.vector;
    if (status == STELE_OK)
        status = stele__shards_read_take(feed->options.read, &feed->read);
    if (status == STELE_OK)
        status = stele__options_take("stele_read", feed->options.filter, &feed->filter,
                                     sizeof(feed->filter));
    if (status == STELE_OK)
        status = check_feed_options(feed);
    if (status == STELE_OK)
        status = copy_feed_texts(feed);
    if (status == STELE_OK && vector != NULL)
        status = stele__feed_vector_read(feed, vector);
    /* Nothing of the caller's is kept. */
    feed->options.read = NULL;
    feed->options.filter = NULL;
    feed->options.vector = NULL;
    feed->filter.epoch = NULL;
    feed->filter.wait = NULL;
    feed->filter.after_position = 0;
    feed->filter.to_position = 0;
    feed->filter.from_version = 0;
    feed->filter.to_version = 0;
    feed->filter.limit = 0;
    feed->filter.byte_limit = 0;
    return status;
}

/* One that isn't there any more leaves. One whose place is lost has one: it is told when it is
 * read.
 */
static stele_status place_at_head(stele_feed *feed, stele__feed_shard *item)
{
    stele_acquire how = STELE_ACQUIRE_INIT;
    stele_shard *shard = NULL;
    how.must_exist = true;
    how.wait = &feed->wait;
    item->from_head = true;
    stele_status status =
        stele_shards_acquire(feed->shards, item->organisation, item->name_space, &how, &shard);
    if (status == STELE_OK)
        status = stele__feed_place(feed, item, stele_shard_store(shard));
    stele_shard_release(shard);
    if (status == STELE_OK || status == STELE_MOVED || status == STELE_NOT_FOUND
        || status == STELE_FENCED || status == STELE_EPOCH)
        return STELE_OK;
    return stele__fail_within(status, "the shard '%s' of '%s'", item->name_space,
                              item->organisation);
}

stele_status stele__feed_place_at_heads(stele_feed *feed)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < feed->item_count && status == STELE_OK; i++)
        status = place_at_head(feed, feed->items[i]);
    return status;
}
