#include "backup/proof.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele/verify.h>

/* A verification that is part of other work. */
typedef struct proving {
    stele__work *work;
    uint64_t bytes_before;
} proving;

static bool is_work_closing(const stele__work *work)
{
    return atomic_load(&work->store->closing)
           || (work->closing != NULL && atomic_load(work->closing));
}

/* What a check tells of itself is passed on as progress of the work that it is part of. */
static int pass_progress_on(void *context, const stele_progress *progress)
{
    proving *of = context;
    stele__work *work = of->work;
    /* They count against the limit of speed, too. */
    work->progress.bytes = of->bytes_before + progress->bytes;
    if (is_work_closing(work))
        return 1;
    if (work->options.progress == NULL)
        return 0;
    return work->options.progress(work->options.context, &work->progress);
}

/* Places of projections are the user's to set: where one can't be true the store is to be verified,
 * and its copy is whole all the same. */
static bool is_of_the_copy(const stele_check *check)
{
    return strcmp(check->name, "projections") != 0;
}

static stele_status run_next_check(stele_verify *verify, stele__work *work, stele__proof *proof)
{
    const stele_check *check = NULL;
    stele_status status = stele_verify_next(verify, &check);
    if (status == STELE_CANCELLED && is_work_closing(work))
        return stele__fail(STELE_CLOSED, "the store was closed");
    if (status != STELE_OK)
        return status;
    proof->checks++;
    bool matters = !proof->of_copy || is_of_the_copy(check);
    if (check->failures > 0 && matters && proof->failures++ == 0)
        snprintf(proof->first, sizeof(proof->first),
                 "the check '%s' found %" PRIu64 " wrong of %" PRIu64 ": %s", check->name,
                 check->failures, check->count, check->offender);
    return stele__work_step(work, 1, 0);
}

static stele_status run_checks(stele_store *store, stele__work *work, const char *doing,
                               stele_verify_options options, bool of_copy, stele__proof *proof_out)
{
    *proof_out = (stele__proof){ .of_copy = of_copy };
    proving of = { .work = work, .bytes_before = work->progress.bytes };
    stele_work inner = work->options;
    inner.struct_size = sizeof(inner);
    inner.progress = pass_progress_on;
    inner.context = &of;
    options.work = &inner;
    stele_verify *verify = NULL;
    stele__work_part(work, doing, 0);
    stele_status status = stele_verify_open(store, &options, &verify);
    while (status == STELE_OK)
        status = run_next_check(verify, work, proof_out);
    stele_verify_close(verify);
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__prove_some(stele_store *copy, stele__work *work, const char *doing,
                               const char *const *names, size_t name_count, stele__proof *proof_out)
{
    stele_verify_options options = STELE_VERIFY_INIT;
    options.names = names;
    options.name_count = name_count;
    return run_checks(copy, work, doing, options, true, proof_out);
}

stele_status stele__prove(stele_store *copy, stele__work *work, stele__proof *proof_out)
{
    return stele__prove_some(copy, work, "verifying", NULL, 0, proof_out);
}

stele_status stele__prove_all(stele_store *store, stele__work *work, stele__proof *proof_out)
{
    stele_verify_options options = STELE_VERIFY_INIT;
    return run_checks(store, work, "verifying", options, false, proof_out);
}

stele_status stele__copy_look(const char *path, stele_store **copy_out)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    options.immutable = true;
    options.must_exist = true;
    return stele_store_open(path, &options, copy_out);
}
