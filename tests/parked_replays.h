/**
 * @file tests/parked_replays.h
 * What the tests of replaying parked events share: three parked ones of the subscription "s", and
 * replaying them as `options` and `choice` say.
 */
#ifndef STELE_TESTS_PARKED_REPLAYS_H
#define STELE_TESTS_PARKED_REPLAYS_H

#include "lifecycles.h"
#include "parkings.h"

static stele_subscription_options options;
static stele_parked_choice choice;
static stele_parked_counts counts;

static inline void open_for_replay(void)
{
    open_with_parked();
    options = make_parking("s");
    choice = choose("s");
    counts = (stele_parked_counts){ 0 };
}

static inline stele_status replay(void)
{
    return replay_with(&options, &choice, &counts);
}

static inline void close_all_stores(void)
{
    close_archive();
    close_and_remove();
}

static inline TCase *add_replay_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, open_for_replay, close_all_stores);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return tests;
}

#endif
