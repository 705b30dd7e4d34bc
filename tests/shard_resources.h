/**
 * @file tests/shard_resources.h
 * A fixture for tests of shards: each leaves as many descriptors, threads and memory as it found.
 */
#ifndef STELE_TESTS_SHARD_RESOURCES_H
#define STELE_TESTS_SHARD_RESOURCES_H

#include "resources.h"
#include "sharding.h"

static resources before;

static inline void set_up(void)
{
    before = count_resources();
}

static inline void tear_down(void)
{
    expect_resources(before, "at the end");
    remove_test_folder();
}

#endif
