/*
 * Retention: which streams are trimmed, how far, and what readers hold back.
 *
 * Stream by stream, a step at a time. The slowest checkpoint is looked up again inside each step's
 * transaction: a reader that was set back meanwhile finds what it is to read again.
 */
#include <stele/retention.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele/eventstore.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "base/options.h"
#include "checkpoint/slowest.h"
#include "eventstore/trim.h"
#include "store/work.h"

/* A call. */
typedef struct retaining {
    stele_store *store;
    stele_retain options; /* full size, whatever the caller's was */
    stele__work work;
    stele__trim_rules rules;
    int64_t saved_since; /* checkpoints saved earlier don't count */
    stele_retained retained;
} retaining;

void stele_retain_init(stele_retain *retain)
{
    *retain = (stele_retain)STELE_RETAIN_INIT;
}

/* --- What is asked for --- */

static stele_status check_retained_names(const stele_retain *retain)
{
    if ((retain->stream == NULL) == (retain->category == NULL))
        return stele__fail(STELE_MISUSE, "%s a stream %s a category are given",
                           retain->stream == NULL ? "neither" : "both",
                           retain->stream == NULL ? "nor" : "and");
    const char *what = retain->stream != NULL ? "stream" : "category";
    const char *name = retain->stream != NULL ? retain->stream : retain->category;
    stele_status status = stele__check_name(what, name);
    if (status == STELE_OK && name[0] == '$')
        status = stele__fail(STELE_MISUSE, "the %s '%s' is the library's", what, name);
    if (status == STELE_OK && retain->category != NULL && strchr(name, '-') != NULL)
        status = stele__fail(STELE_MISUSE, "the category '%s' has a '-'", name);
    return status;
}

static stele_status check_rules(const stele_retain *retain)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        { "max_age_us", retain->max_age_us },
        { "max_count", retain->max_count },
        { "before_version", retain->before_version },
        { "stale_after_us", retain->stale_after_us },
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i].value < 0)
            return stele__fail(STELE_MISUSE, "%s is %" PRId64, numbers[i].name, numbers[i].value);
    if (retain->max_age_us == 0 && retain->max_count == 0 && retain->before_version == 0)
        return stele__fail(STELE_MISUSE, "nothing says what is to go: max_age_us, max_count and"
                                         " before_version are 0");
    if (retain->before_version > 0 && retain->category != NULL)
        return stele__fail(STELE_MISUSE, "before_version is for one stream, not for a category");
    return STELE_OK;
}

/* Before all time rather than wrapped around. */
static int64_t time_before(int64_t now, int64_t age_us)
{
    return now < INT64_MIN + age_us ? INT64_MIN : now - age_us;
}

static stele_status begin_retaining(retaining *of, const stele_retain *given)
{
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "what to retain is NULL");
    const stele_retain *options = &of->options;
    stele_status status =
        stele__options_take("stele_retain", given, &of->options, sizeof(of->options));
    if (status == STELE_OK)
        status = check_retained_names(options);
    if (status == STELE_OK)
        status = check_rules(options);
    if (status == STELE_OK)
        status = stele__work_begin(&of->work, of->store, options->work);
    if (status == STELE_OK)
        status = stele__write_check(of->store);
    return status;
}

/* The user's clock may only be asked under the write lock. */
static stele_status read_retention_clock(retaining *of, int64_t *now_out)
{
    stele__connection *connection = NULL;
    *now_out = 0;
    if (of->options.max_age_us == 0 && of->options.stale_after_us == 0)
        return STELE_OK;
    stele_status status = stele__write_begin(of->store, of->work.options.wait, &connection);
    if (status != STELE_OK)
        return status;
    *now_out = stele__store_now(of->store);
    stele__write_end(of->store);
    return STELE_OK;
}

static stele_status fix_rules(retaining *of)
{
    const stele_retain *options = &of->options;
    int64_t now = 0;
    stele_status status = read_retention_clock(of, &now);
    of->rules = (stele__trim_rules){
        .recorded_before =
            options->max_age_us == 0 ? INT64_MIN : time_before(now, options->max_age_us),
        .max_count = options->max_count,
        .before_version = options->before_version,
    };
    of->saved_since =
        options->stale_after_us == 0 ? INT64_MIN : time_before(now, options->stale_after_us);
    return status;
}

/* --- One stream --- */

/* Beyond `*highest_out` nothing may go. Inside a transaction. */
static stele_status find_highest(retaining *of, stele__connection *connection, int64_t *highest_out)
{
    stele__slowest slowest;
    *highest_out = INT64_MAX;
    if (of->options.force)
        return STELE_OK;
    stele_status status = stele__checkpoint_slowest(connection, of->saved_since, &slowest);
    if (status != STELE_OK)
        return status;
    *highest_out = slowest.position;
    of->retained.slowest_position = slowest.found ? slowest.position : 0;
    memcpy(of->retained.slowest, slowest.name, sizeof(slowest.name));
    return STELE_OK;
}

static stele_status look_at_slowest(retaining *of)
{
    int64_t highest = 0;
    stele__connection *connection = NULL;
    stele_status status = stele__read_begin(of->store, of->work.options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = find_highest(of, connection, &highest);
    stele__read_end(of->store, connection);
    return status;
}

static stele_status count_some(retaining *of, stele__trim *trim)
{
    int64_t highest = 0;
    stele__connection *connection = NULL;
    stele_status status = stele__read_begin(of->store, of->work.options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = find_highest(of, connection, &highest);
    if (status == STELE_OK)
        status = stele__trim_count(connection, &of->work, highest, trim);
    stele__read_end(of->store, connection);
    return status;
}

static stele_status trim_some(retaining *of, stele__trim *trim)
{
    int64_t highest = 0;
    stele__connection *connection = NULL;
    stele_status status = stele__write_begin_durably(of->store, of->work.options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = find_highest(of, connection, &highest);
    if (status == STELE_OK)
        status = stele__trim_step(of->store, connection, &of->work, highest, trim);
    if (status == STELE_OK && trim->events > 0)
        status = stele__write_commit(of->store);
    stele__write_end(of->store);
    return status;
}

static stele_status trim_whole(retaining *of, stele__trim *trim)
{
    stele_retained *retained = &of->retained;
    bool first = true;
    stele_status status = STELE_OK;
    if (of->options.stream != NULL)
        of->work.progress.total = (uint64_t)(trim->wanted - trim->reached);
    while (status == STELE_OK && trim->reached < trim->wanted) {
        status = of->options.dry_run ? count_some(of, trim) : trim_some(of, trim);
        if (status != STELE_OK || trim->events == 0)
            break;
        retained->streams += first;
        retained->events += (int64_t)trim->events;
        retained->bytes += (int64_t)trim->bytes;
        first = false;
        status = stele__work_step(&of->work, trim->events, trim->bytes);
    }
    /* Somebody else may have trimmed it further than this call was to. */
    if (status == STELE_OK && trim->wanted > trim->reached)
        retained->held_back += trim->wanted - trim->reached;
    return status;
}

static stele_status retain_stream(retaining *of, const char *name)
{
    stele__trim trim;
    stele_status status = stele__trim_plan(of->store, &of->work, name, &of->rules, &trim);
    if (status == STELE_OK && trim.elsewhere)
        status = stele__fail(STELE_ARCHIVED, "the payloads of stream '%s' are in an archive", name);
    if (status == STELE_OK)
        status = trim_whole(of, &trim);
    of->retained.skipped += status == STELE_ARCHIVED;
    return status;
}

/* --- The streams --- */

/* Each that `read` lists; those that have gone meanwhile don't matter. */
static stele_status retain_listed(retaining *of, const stele_streams_read *read)
{
    stele_streams *streams = NULL;
    const stele_stream_info *info = NULL;
    stele_status status = stele_store_streams(of->store, read, &streams);
    while (status == STELE_OK && (status = stele_streams_next(streams, &info)) == STELE_OK) {
        status = retain_stream(of, info->stream);
        if (status == STELE_OK || status == STELE_ARCHIVED || status == STELE_NOT_FOUND)
            status = stele__work_step(&of->work, 0, 0);
    }
    stele_streams_close(streams);
    return status == STELE_DONE ? STELE_OK : status;
}

/* The stream of that very name, and those whose names go on with a dash. */
static stele_status retain_category(retaining *of, const char *category)
{
    char prefix[STELE_NAME_SIZE_MAX + 2];
    stele_streams_read read = STELE_STREAMS_READ_INIT;
    read.stream = category;
    stele_status status = retain_listed(of, &read);
    if (status != STELE_OK || strlen(category) == STELE_NAME_SIZE_MAX)
        return status;
    snprintf(prefix, sizeof(prefix), "%s-", category);
    read.stream = NULL;
    read.prefix = prefix;
    return retain_listed(of, &read);
}

static stele_status run_retaining(retaining *of)
{
    const stele_retain *options = &of->options;
    stele__work_part(&of->work, options->dry_run ? "counting" : "trimming", 0);
    stele_status status = fix_rules(of);
    if (status == STELE_OK)
        status = look_at_slowest(of);
    if (status == STELE_OK)
        status = options->stream != NULL ? retain_stream(of, options->stream)
                                         : retain_category(of, options->category);
    if (status == STELE_OK && !options->dry_run && !options->keep_free_pages)
        status = stele__store_shrink(of->store, &of->work, &of->retained.file_bytes);
    return status;
}

stele_status stele_store_retain(stele_store *store, const stele_retain *retain,
                                stele_retained *retained_out)
{
    retaining of = { .store = store, .options = STELE_RETAIN_INIT };
    stele_status status = stele__store_enter(store);
    if (status == STELE_OK) {
        status = begin_retaining(&of, retain);
        if (status == STELE_OK)
            status = run_retaining(&of);
        stele__store_leave(store);
    }
    if (retained_out != NULL)
        *retained_out = of.retained;
    return status;
}
