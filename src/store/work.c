#include "store/work.h"

#include "base/callback.h"
#include "base/failure.h"
#include "base/options.h"
#include "base/platform.h"

/* A sleep is in slices, so that closing and cancelling needn't wait for its end. */
#define SLICE_US 20000

void stele_work_init(stele_work *work)
{
    *work = (stele_work)STELE_WORK_INIT;
}

stele_status stele__work_begin(stele__work *work, stele_store *store, const stele_work *options)
{
    *work = (stele__work){ .options = STELE_WORK_INIT, .store = store };
    stele_status status =
        stele__options_take("stele_work", options, &work->options, sizeof(work->options));
    if (status != STELE_OK)
        return status;
    if (work->options.step_count_max < 1 || work->options.step_size_max < 1)
        return stele__fail(STELE_MISUSE, "%s is 0",
                           work->options.step_count_max < 1 ? "step_count_max" : "step_size_max");
    work->progress.doing = "";
    work->began_us = stele__clock_monotonic_us();
    return STELE_OK;
}

void stele__work_part(stele__work *work, const char *doing, uint64_t total)
{
    work->progress.doing = doing;
    work->progress.done = 0;
    work->progress.total = total;
}

static stele_status tell_progress(stele__work *work)
{
    if (work->store != NULL && atomic_load(&work->store->closing))
        return stele__fail(STELE_CLOSED, "the store was closed");
    if (work->closing != NULL && atomic_load(work->closing))
        return stele__fail(STELE_CLOSED, "the shards were closed");
    if (work->other != NULL && atomic_load(&work->other->closing))
        return stele__fail(STELE_CLOSED, "the archive was closed");
    if (work->options.progress == NULL)
        return STELE_OK;
    const char *outer = stele__callback_begin("a progress callback");
    int answer = work->options.progress(work->options.context, &work->progress);
    stele__callback_end(outer);
    if (answer == 0)
        return STELE_OK;
    return stele__fail(STELE_CANCELLED, "cancelled by the progress callback (%d) while %s", answer,
                       work->progress.doing);
}

stele_status stele__work_step(stele__work *work, uint64_t done, uint64_t bytes)
{
    work->progress.done += done;
    work->progress.bytes += bytes;
    stele_status status = tell_progress(work);
    uint64_t rate = work->options.bytes_per_second;
    if (rate == 0)
        return status;
    /* In double: bytes * 1,000,000 may not fit, and a microsecond more or less is nothing. */
    int64_t due_us =
        work->began_us + (int64_t)((double)work->progress.bytes / (double)rate * 1000000.0);
    while (status == STELE_OK) {
        int64_t left_us = due_us - stele__clock_monotonic_us();
        if (left_us <= 0)
            break;
        stele__sleep_us(left_us < SLICE_US ? (uint32_t)left_us : SLICE_US);
        if (left_us > SLICE_US)
            status = tell_progress(work);
    }
    return status;
}
