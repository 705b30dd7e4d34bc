/**
 * @file tests/key_probes.h
 * The probes of tests/test_modes_matrix.c for looking up idempotency keys.
 */
#ifndef STELE_TESTS_KEY_PROBES_H
#define STELE_TESTS_KEY_PROBES_H

static stele_status probe_key(void)
{
    stele_key_info info;
    return stele_store_key(store, "never", &info);
}

static stele_status probe_key_in(void)
{
    stele_key_info info;
    stele_status status = begin_probe();
    if (status == STELE_OK)
        status = stele_transaction_key(open_transaction, "never", &info);
    return end_probe(status);
}

static stele_status probe_key_around(void)
{
    stele_status status = begin_probe();
    return end_probe(status == STELE_OK ? probe_key() : status);
}

#endif
