/**
 * @file tests/copy_probes.h
 * The probes of tests/test_modes_matrix.c for copying out of a store and into one.
 */
#ifndef STELE_TESTS_COPY_PROBES_H
#define STELE_TESTS_COPY_PROBES_H

#include <stele/copy.h>

static stele_status emit_in_every_way(void *context, const stele_record *record,
                                      stele_copy_sink *sink)
{
    const stele_event event = make_event("noted", "{}");
    (void)context;
    stele_status status = stele_copy_emit(sink, "c-1", &event);
    if (status == STELE_OK)
        status = stele_copy_pass(sink, record);
    return status == STELE_OK ? stele_copy_emit_json(sink, "null", 4) : status;
}

/* Out of the store at hand. */
static stele_status copy_out(stele_status (*transform)(void *context, const stele_record *record,
                                                       stele_copy_sink *sink))
{
    stele_store *other = open_path(":memory:", NULL);
    stele_copy copy = STELE_COPY_INIT;
    copy.transform = transform;
    stele_status status = stele_store_copy(store, other, &copy, NULL);
    stele_store_close(other);
    return status;
}

static stele_status probe_copy(void)
{
    return copy_out(emit_in_every_way);
}

static stele_status refuse_to_copy(void *context, const stele_record *record, stele_copy_sink *sink)
{
    (void)context, (void)record;
    return stele_copy_fail(sink, "as the probe wants it");
}

static stele_status probe_copy_fail(void)
{
    return copy_out(refuse_to_copy) == STELE_INVALID ? STELE_OK : STELE_MISUSE;
}

/* It isn't empty, and that is said only where it could be written to. */
static stele_status probe_copy_into(void)
{
    stele_store *other = open_path(":memory:", NULL);
    stele_status status = stele_store_copy(other, store, NULL, NULL);
    stele_store_close(other);
    return status == STELE_MISUSE ? STELE_OK : status;
}

#endif
