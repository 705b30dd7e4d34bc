/**
 * @file tests/state_probes.h
 * The probes of tests/test_modes_matrix.c for state entries.
 */
#ifndef STELE_TESTS_STATE_PROBES_H
#define STELE_TESTS_STATE_PROBES_H

#include <stele/state.h>

static stele_put put_to_probe(void)
{
    stele_put put = STELE_PUT_INIT;
    put.scope = "scope";
    put.key = "key";
    put.data = "x";
    put.data_size = 1;
    put.write_id = "w-1";
    return put;
}

static stele_remove remove_to_probe(void)
{
    stele_remove what = STELE_REMOVE_INIT;
    what.scope = "scope";
    what.key = "key";
    return what;
}

static stele_status probe_state_put(void)
{
    stele_put put = put_to_probe();
    return stele_state_put(store, &put, NULL);
}

static stele_status probe_state_delete(void)
{
    stele_remove what = remove_to_probe();
    return stele_state_delete(store, &what, NULL);
}

static stele_status probe_state_clear(void)
{
    return stele_state_clear(store, "scope", NULL, NULL, NULL);
}

static stele_status probe_state_forget(void)
{
    return stele_state_forget(store, INT64_MAX, NULL, NULL);
}

/* Whether it is there or not: read only, nobody could put it. */
static stele_status close_entry(stele_status status, const stele_entry *entry)
{
    if (status == STELE_OK && stele_entry_attribute(entry, "none") != NULL)
        status = STELE_IO;
    stele_entry_close(entry);
    return status;
}

static stele_status probe_state_get(void)
{
    const stele_entry *entry = NULL;
    stele_status status = stele_state_get(store, "scope", "key", &entry);
    return close_entry(status, entry);
}

static stele_status probe_state_write(void)
{
    stele_write write;
    return stele_state_write(store, "scope", "w-1", &write);
}

static stele_status list_entries(stele_status status, stele_entries *entries)
{
    const stele_entry *entry = NULL;
    while (status == STELE_OK)
        status = stele_entries_next(entries, &entry);
    stele_entries_close(entries);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status probe_state_list(void)
{
    stele_entries *entries = NULL;
    stele_status status = stele_state_list(store, NULL, &entries);
    return list_entries(status, entries);
}

static stele_status state_put_in(void)
{
    stele_put put = put_to_probe();
    return stele_transaction_state_put(open_transaction, &put, NULL);
}

static stele_status state_delete_in(void)
{
    stele_remove what = remove_to_probe();
    return stele_transaction_state_delete(open_transaction, &what, NULL);
}

static stele_status state_get_in(void)
{
    const stele_entry *entry = NULL;
    stele_status status = stele_transaction_state_get(open_transaction, "scope", "key", &entry);
    return close_entry(status, entry);
}

static stele_status state_write_in(void)
{
    stele_write write;
    return stele_transaction_state_write(open_transaction, "scope", "w-1", &write);
}

static stele_status state_list_in(void)
{
    stele_entries *entries = NULL;
    stele_status status = stele_transaction_state_list(open_transaction, NULL, &entries);
    return list_entries(status, entries);
}

INSIDE(probe_state_put_in, state_put_in())
INSIDE(probe_state_delete_in, state_delete_in())
INSIDE(probe_state_get_in, state_get_in())
INSIDE(probe_state_write_in, state_write_in())
INSIDE(probe_state_list_in, state_list_in())
INSIDE(probe_state_put_around, probe_state_put())
INSIDE(probe_state_clear_around, probe_state_clear())
INSIDE(probe_state_get_around, probe_state_get())

#endif
