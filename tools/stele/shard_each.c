#include "shard_each.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "longwork.h"
#include "options.h"
#include "root.h"

#define JOBS_MAX 64

/* --- Results --- */

/* Take over what `result` owns. */
static void keep_result(shard_each *each, const shard_result *result)
{
    pthread_mutex_lock(&each->lock);
    each->results = grow(each->results, &each->capacity, each->count + 1, sizeof(each->results[0]));
    each->results[each->count++] = *result;
    each->failed += result->status != STELE_OK;
    each->damaged += result->status == STELE_CORRUPT;
    pthread_mutex_unlock(&each->lock);
}

static int compare_results(const void *left, const void *right)
{
    const shard_result *one = left;
    const shard_result *other = right;
    int order = strcmp(one->organisation, other->organisation);
    return order != 0 ? order : strcmp(one->name_space, other->name_space);
}

void dispose_each(shard_each *each)
{
    for (size_t i = 0; i < each->count; i++) {
        free(each->results[i].organisation);
        free(each->results[i].name_space);
        free(each->results[i].path);
        free(each->results[i].text);
    }
    free(each->results);
    pthread_mutex_destroy(&each->lock);
}

/* --- The work --- */

static stele_status work_on_shard(void *context, stele_shard *shard)
{
    shard_each *each = context;
    shard_result result = {
        .organisation = copy_string(stele_shard_organisation(shard)),
        .name_space = copy_string(stele_shard_namespace(shard)),
        .path = copy_string(stele_shard_path(shard)),
    };
    result.status = each->work(each, shard, &result);
    if (result.status != STELE_OK && result.text == NULL)
        result.text = copy_string(stele_error_text());
    stele_status cancelled = result.status == STELE_CANCELLED ? STELE_CANCELLED : STELE_OK;
    if (cancelled == STELE_OK) {
        keep_result(each, &result);
    } else {
        free(result.organisation);
        free(result.name_space);
        free(result.path);
        free(result.text);
    }
    return cancelled;
}

/* One that could not even be opened. */
static void note_failure(void *context, const stele_shard_failure *failure)
{
    if (failure->status == STELE_CANCELLED)
        return;
    shard_result result = {
        .organisation = copy_string(failure->organisation),
        .name_space = copy_string(failure->name_space),
        .status = failure->status,
        .text = copy_string(failure->error),
    };
    keep_result(context, &result);
}

static int show_shards(void *context, const stele_progress *progress)
{
    const shard_each *each = context;
    if (progress->total > 0)
        report_progress("%s: %" PRIu64 " of %" PRIu64 " shards", each->doing, progress->done,
                        progress->total);
    else
        report_progress("%s: %" PRIu64 " shards", each->doing, progress->done);
    return was_interrupted();
}

/* Inside a shard, when there is one at a time. */
static int show_step(void *context, const stele_progress *progress)
{
    const shard_each *each = context;
    if (progress->total > 0)
        report_progress("%s shard %zu: %s: %" PRIu64 " of %" PRIu64, each->doing, each->count + 1,
                        progress->doing, progress->done, progress->total);
    else
        report_progress("%s shard %zu: %s: %" PRIu64, each->doing, each->count + 1, progress->doing,
                        progress->done);
    return was_interrupted();
}

/* On the thread of a job: what it does is not shown. */
static int ask_interrupt(void *context, const stele_progress *progress)
{
    (void)context;
    (void)progress;
    return was_interrupted();
}

/* --- Before and after --- */

static bool has_rate(const command *verb)
{
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX && verb->options[i].name != NULL; i++)
        if (strcmp(verb->options[i].name, "rate") == 0)
            return true;
    return false;
}

static bool read_each_options(shard_each *each)
{
    const tool *of = each->of;
    int64_t jobs = 1;
    stele_work_init(&each->step);
    if (!option_number(of, "jobs", 1, JOBS_MAX, &jobs)
        || (has_rate(of->verb) && !take_work(of, &each->step)))
        return false;
    watch_interrupt();
    each->jobs = (uint32_t)jobs;
    each->step.progress = each->jobs == 1 ? show_step : ask_interrupt;
    each->step.context = each;
    if (each->step.bytes_per_second > 0)
        each->step.bytes_per_second = each->step.bytes_per_second / each->jobs + 1;
    stele_shards_read_init(&each->read);
    each->read.organisation = of->organisation;
    each->read.prefix = option_text(of, "prefix");
    if (of->name_space == NULL)
        return true;
    if (each->read.prefix != NULL) {
        report_error("--ns names one shard, and --prefix many");
        return false;
    }
    /* Of those that start with its name, in the order of bytes, it is the first. */
    each->read.organisation = named_organisation(of);
    each->read.prefix = of->name_space;
    each->read.limit = 1;
    return true;
}

/* One that is named must be there; whether it is damaged is for the work to say. */
static exit_code look_for_named(const shard_each *each)
{
    const tool *of = each->of;
    stele_acquire how = STELE_ACQUIRE_INIT;
    stele_shard *shard = NULL;
    if (of->name_space == NULL)
        return EXIT_OK;
    how.must_exist = true;
    stele_status status =
        stele_shards_acquire(each->shards, named_organisation(of), of->name_space, &how, &shard);
    stele_shard_release(shard);
    return status == STELE_OK || status == STELE_CORRUPT ? EXIT_OK
                                                         : report_shard(of, each->shards, status);
}

exit_code run_each(shard_each *each)
{
    pthread_mutex_init(&each->lock, NULL);
    if (!read_each_options(each))
        return EXIT_USAGE;
    exit_code code = open_root(each->of, ROOT_LOOK, each->jobs, &each->shards);
    if (code == EXIT_OK)
        code = look_for_named(each);
    if (code == EXIT_OK && each->prepare != NULL)
        code = each->prepare(each);
    if (code != EXIT_OK)
        return code;

    stele_work shown = STELE_WORK_INIT;
    shown.progress = show_shards;
    shown.context = each;
    stele_shards_run run = STELE_SHARDS_RUN_INIT;
    run.read = &each->read;
    run.function = work_on_shard;
    run.failed = note_failure;
    run.context = each;
    run.parallel = each->jobs;
    run.work = &shown;
    stele_shards_ran ran = { 0 };
    stele_status status = stele_shards_run_each(each->shards, &run, &ran);
    report_progress_end();
    if (each->count > 0)
        qsort(each->results, each->count, sizeof(each->results[0]), compare_results);
    if (status == STELE_CANCELLED || was_interrupted())
        return EXIT_INTERRUPTED;
    if (status != STELE_OK && ran.failed == 0)
        return report_status(status);
    if (ran.skipped > 0)
        report_line("note: %" PRIu64 " left out: moved elsewhere, or dropped meanwhile",
                    ran.skipped);
    return EXIT_OK;
}

exit_code judge_each(const shard_each *each, exit_code code)
{
    if (code == EXIT_INTERRUPTED)
        return report_interrupted_work(each->doing);
    if (code != EXIT_OK || each->failed == 0)
        return code;
    for (size_t i = 0; i < each->count; i++) {
        const shard_result *result = &each->results[i];
        if (result->status != STELE_OK)
            report_error("shard '%s' of organisation '%s': %s", result->name_space,
                         result->organisation, result->text);
    }
    if (each->of->name_space != NULL)
        return exit_code_of(each->results[0].status);
    report_line("%zu of %zu shards failed", each->failed, each->count);
    return EXIT_PARTIAL;
}
