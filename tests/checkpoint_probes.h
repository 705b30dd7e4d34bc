/**
 * @file tests/checkpoint_probes.h
 * The probes of tests/test_modes_matrix.c
 * for checkpoints: their list, moves and claims.
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

static stele_status probe_advance(void)
{
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    move.to = 2;
    return stele_checkpoint_advance(store, "mover", &move, NULL);
}

static stele_status probe_reset(void)
{
    return stele_checkpoint_reset(store, "nobody", NULL);
}

static stele_status claim_probe(int64_t *generation_out)
{
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    stele_checkpoint_claimed claimed;
    claim.owner = "probe";
    stele_status status = stele_checkpoint_claim_take(store, "claimed", &claim, &claimed);
    *generation_out = claimed.generation;
    return status;
}

static stele_status probe_claim(void)
{
    int64_t generation = 0;
    return claim_probe(&generation);
}

static stele_status probe_renew(void)
{
    int64_t generation = 0;
    stele_status status = claim_probe(&generation);
    return status == STELE_OK ? stele_checkpoint_claim_renew(store, "claimed", generation, 1000)
                              : status;
}

static stele_status probe_release(void)
{
    int64_t generation = 0;
    stele_status status = claim_probe(&generation);
    return status == STELE_OK ? stele_checkpoint_claim_release(store, "claimed", generation)
                              : status;
}

static stele_status probe_advance_in(void)
{
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    move.to = 1;
    stele_status status = begin_probe();
    if (status == STELE_OK)
        status = stele_transaction_checkpoint_advance(open_transaction, "mover-2", &move, NULL);
    return end_probe(status);
}

static stele_status probe_reset_in(void)
{
    stele_status status = begin_probe();
    if (status == STELE_OK)
        status = stele_transaction_checkpoint_reset(open_transaction, "reader", NULL);
    return end_probe(status);
}

static stele_status probe_advance_around(void)
{
    stele_status status = begin_probe();
    if (status == STELE_OK)
        status = probe_advance();
    return end_probe(status);
}

static stele_status probe_claim_around(void)
{
    stele_status status = begin_probe();
    if (status == STELE_OK)
        status = probe_claim();
    return end_probe(status);
}

#endif
