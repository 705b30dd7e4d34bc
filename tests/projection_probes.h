/**
 * @file tests/projection_probes.h
 * The probes of tests/test_modes_matrix.c for projections: one that counts, in no table at all.
 */
#ifndef STELE_TESTS_PROJECTION_PROBES_H
#define STELE_TESTS_PROJECTION_PROBES_H

#include <stele/projection.h>

static stele_status probe_nothing(void *context, const stele_record *record,
                                  const stele_projecting *projecting)
{
    char table[STELE_TABLE_NAME_SIZE];
    (void)context;
    (void)record;
    /* It has none. */
    return stele_projecting_table(projecting, "none", table) == STELE_MISUSE ? STELE_OK : STELE_IO;
}

static stele_projection projection_to_probe(const char *name)
{
    stele_projection projection = STELE_PROJECTION_INIT;
    projection.name = name;
    projection.project = probe_nothing;
    return projection;
}

/* It is dropped again: others couldn't append without it. */
static stele_status probe_open_inline(void)
{
    stele_projection projection = projection_to_probe("probe-inline");
    stele_projector *projector = NULL;
    stele_status status = stele_projector_open_inline(store, &projection, NULL, &projector);
    stele_projector_close(projector);
    return status == STELE_OK ? stele_projection_drop(store, "probe-inline", NULL) : status;
}

static stele_status probe_open_inline_around(void)
{
    stele_status status = begin_probe();
    return end_probe(status == STELE_OK ? probe_open_inline() : status);
}

static stele_status use_projector(stele_status (*use)(stele_projector *projector))
{
    stele_projection projection = projection_to_probe("probe-async");
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    stele_projector *projector = NULL;
    options.stop = STELE_STOP_HEAD;
    stele_status status = stele_projector_open(store, &projection, &options, &projector);
    if (status == STELE_OK)
        status = use(projector);
    stele_projector_close(projector);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status run_handler_of(stele_projector *projector)
{
    stele_handler handler;
    stele_status status = stele_projector_handler(projector, &handler, NULL);
    return status == STELE_OK
               ? stele_subscription_run(stele_projector_subscription(projector), &handler)
               : status;
}

static stele_status stop_projector(stele_projector *projector)
{
    stele_projector_stop(projector);
    return stele_projector_run(projector) == STELE_CANCELLED ? STELE_OK : STELE_IO;
}

static stele_status probe_projector(void)
{
    return use_projector(stele_projector_run);
}

static stele_status probe_projector_handler(void)
{
    return use_projector(run_handler_of);
}

static stele_status probe_projector_stop(void)
{
    return use_projector(stop_projector);
}

static stele_status probe_projector_around(void)
{
    stele_status status = begin_probe();
    return end_probe(status == STELE_OK ? probe_projector() : status);
}

static stele_status probe_rebuild(void)
{
    stele_projection projection = projection_to_probe("probe-async");
    stele_status status = probe_projector();
    projection.version = 2;
    if (status == STELE_OK)
        status = stele_projection_rebuild(store, &projection, NULL, NULL);
    return status == STELE_OK ? stele_projection_drop(store, "probe-async", NULL) : status;
}

static stele_status probe_rebuild_around(void)
{
    stele_projection projection = projection_to_probe("probe-async");
    stele_status status = begin_probe();
    return end_probe(status == STELE_OK ? stele_projection_rebuild(store, &projection, NULL, NULL)
                                        : status);
}

static stele_status probe_abandon(void)
{
    bool found = false;
    stele_status status = stele_projection_abandon(store, "none", &found);
    return status == STELE_NOT_FOUND ? STELE_OK : status;
}

static stele_status probe_drop(void)
{
    return stele_projection_drop(store, "none", NULL);
}

static stele_status probe_describe_projection(void)
{
    stele_projection_info info;
    return stele_projection_describe(store, "none", &info);
}

static stele_status fold_nothing(void *context, const stele_record *record)
{
    (void)context;
    (void)record;
    return STELE_OK;
}

static stele_status probe_live(void)
{
    stele_live live = STELE_LIVE_INIT;
    live.fold = fold_nothing;
    return stele_projection_live(store, &live, NULL);
}

static stele_status probe_live_around(void)
{
    stele_status status = begin_probe();
    return end_probe(status == STELE_OK ? probe_live() : status);
}

#endif
