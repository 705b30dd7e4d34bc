/**
 * @file tests/retention_probes.h
 * The probes of tests/test_modes_matrix.c for retention.
 */
#ifndef STELE_TESTS_RETENTION_PROBES_H
#define STELE_TESTS_RETENTION_PROBES_H

#include <stele/retention.h>

/* Nothing goes that the other probes look for. */
static stele_status probe_retain(void)
{
    stele_retain retain = STELE_RETAIN_INIT;
    retain.stream = "a-1";
    retain.max_count = 3;
    return stele_store_retain(store, &retain, NULL);
}

INSIDE(probe_retain_around, probe_retain())

#endif
