/**
 * @file tests/waiting_line.h
 * What the tests of the turnstile share: the line of the running test.
 */
#ifndef STELE_TESTS_WAITING_LINE_H
#define STELE_TESTS_WAITING_LINE_H

#include "base/turnstile.h"

#include "contract.h"

static inline const char *line_path(void)
{
    return test_path("store.db-lock");
}

static inline stele__turnstile *open_line(void)
{
    stele__turnstile *turnstile = NULL;
    assert_status(stele__turnstile_open(line_path(), &turnstile), STELE_OK);
    ck_assert_ptr_nonnull(turnstile);
    return turnstile;
}

/* The ticket of the first before us; 0 when it is our turn. */
static inline int64_t ahead_of(stele__turnstile *turnstile)
{
    uint32_t pause_us = 0;
    int64_t ahead = 0;
    bool ours = stele__turnstile_is_our_turn(turnstile, &pause_us, &ahead);
    ck_assert(ours ? ahead == 0 && pause_us == 0 : ahead > 0 && pause_us > 0);
    return ahead;
}

#endif
