/**
 * @file tests/sequencing.h
 * A store with a sequencer that counts, for the tests of the seam.
 */
#ifndef STELE_TESTS_SEQUENCING_H
#define STELE_TESTS_SEQUENCING_H

#include "frames.h"

#include <stdatomic.h>

/* A sequencer that hands everything on to a local one, and counts. */
typedef struct counting {
    stele__sequencer sequencer; /* first */
    stele__local *local;
    atomic_int inside;
    atomic_int calls;
} counting;

static counting counted;

static inline stele_status propose_counted(stele__sequencer *sequencer, stele_store *to,
                                           const stele__change *change)
{
    counting *of = (counting *)sequencer;
    atomic_fetch_add(&of->inside, 1);
    atomic_fetch_add(&of->calls, 1);
    stele_status status =
        stele__local_sequencer(of->local)->propose(stele__local_sequencer(of->local), to, change);
    atomic_fetch_sub(&of->inside, 1);
    return status;
}

static inline void make_counting(stele_store *of)
{
    memset(&counted, 0, sizeof(counted));
    counted.sequencer.propose = propose_counted;
    assert_status(stele__local_open(of, NULL, &counted.local), STELE_OK);
}

static inline void open_sequenced(void)
{
    open_in_file();
    make_counting(store);
    assert_status(stele__sequencer_set(store, &counted.sequencer), STELE_OK);
}

static inline void close_sequenced(void)
{
    close_and_remove();
    stele__local_close(counted.local);
    counted.local = NULL;
}

static inline TCase *add_sequenced_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, close_sequenced);
    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    return tests;
}

#endif
