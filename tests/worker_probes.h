/**
 * @file tests/worker_probes.h
 * The probes of tests/test_modes_matrix.c for workers.
 */
#ifndef STELE_TESTS_WORKER_PROBES_H
#define STELE_TESTS_WORKER_PROBES_H

#include <stele/worker.h>

static stele_status handle_in_probe(void *context, const stele_record *record,
                                    const stele_handling *handling)
{
    (void)context;
    (void)record;
    (void)handling;
    return STELE_OK;
}

static stele_status work_to_the_head(const char *name, uint32_t lanes)
{
    stele_worker *worker = NULL;
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    stele_handler handler = STELE_HANDLER_INIT;
    options.name = name;
    options.lanes = lanes;
    options.stop = STELE_STOP_HEAD;
    handler.event = handle_in_probe;
    stele_status status =
        stele_worker_start(store, &options, &handler, lanes == 0 ? 1 : 2, &worker);
    if (status == STELE_OK)
        status = stele_worker_wait(worker, NULL);
    stele_worker_stop(worker);
    stele_worker_close(worker);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status probe_worker(void)
{
    stele_status status = work_to_the_head("worker", 0);
    return status == STELE_OK ? work_to_the_head("lanes", 3) : status;
}

static stele_status probe_worker_without_name(void)
{
    return work_to_the_head(NULL, 0);
}

#endif
