/**
 * @file tests/feeding_tests.h
 * What tests of feeds that others write to meanwhile share: waiting, and a coarse clock.
 */
#ifndef STELE_TESTS_FEEDING_TESTS_H
#define STELE_TESTS_FEEDING_TESTS_H

#include "shard_lists.h"

#include "base/platform.h"
#include "shard/feed_rules.h"

static inline stele_wait wait_of(uint32_t timeout_ms)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = timeout_ms;
    return wait;
}

/* --- Time stamps that are too coarse --- */

static int (*ask_below)(const char *path, stele__file_stamp *stamp_out);

/* A file system whose clock ticks once a second. */
static inline int ask_coarsely(const char *path, stele__file_stamp *stamp_out)
{
    int error = ask_below(path, stamp_out);
    stamp_out->modified_ns -= stamp_out->modified_ns % 1000000000;
    stamp_out->changed_ns -= stamp_out->changed_ns % 1000000000;
    return error;
}

static inline void begin_coarse_clock(void)
{
    ask_below = stele__ask_stamp;
    stele__ask_stamp = ask_coarsely;
}

static inline void end_coarse_clock(void)
{
    stele__ask_stamp = ask_below;
    stele__feed_rule = (stele__feed_rules){ .tick_us = 1000000, .settles = true };
}

#endif
