/**
 * @file tests/checkpoint_probes.h
 * The probes of tests/test_modes_matrix.c for the list of checkpoints.
 */
#ifndef STELE_TESTS_CHECKPOINT_PROBES_H
#define STELE_TESTS_CHECKPOINT_PROBES_H

static stele_status probe_checkpoints(void)
{
    stele_checkpoints *checkpoints = NULL;
    const stele_checkpoint_info *info = NULL;
    int count = 0;
    stele_status status = stele_store_checkpoints(store, &checkpoints);
    while (status == STELE_OK && (status = stele_checkpoints_next(checkpoints, &info)) == STELE_OK)
        count++;
    stele_checkpoints_close(checkpoints);
    if (status != STELE_DONE)
        return status;
    return count > 0 ? STELE_OK : STELE_IO;
}

static stele_status probe_checkpoints_in(void)
{
    stele_checkpoints *checkpoints = NULL;
    stele_status status = begin_probe();
    if (status == STELE_OK)
        status = stele_transaction_checkpoints(open_transaction, &checkpoints);
    stele_checkpoints_close(checkpoints);
    return end_probe(status);
}

#endif
