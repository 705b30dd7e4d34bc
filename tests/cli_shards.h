/**
 * @file tests/cli_shards.h
 * What the tests of shards on the command line share: a root, and the tool on it.
 */
#ifndef STELE_TESTS_CLI_SHARDS_H
#define STELE_TESTS_CLI_SHARDS_H

#include "cli_support.h"

/** A name that is hard on file systems, shells and formats. */
#define WEIRD_ORG "\xc3\x9cn\xc3\xaf/.."
#define WEIRD_NS  " ../'\"\\%\tx"

/** The root of the test; it need not be there. */
static inline const char *test_root(void)
{
    return test_path("root");
}

/** Run the tool with -s and the root. */
#define ROOT(...) WITHOUT_STORE("-s", test_root(), __VA_ARGS__)
/** The same, on one shard. */
#define SHARD(org, ns, ...)                                                                        \
    WITHOUT_STORE("-s", test_root(), "--org", (org), "--ns", (ns), __VA_ARGS__)

/** Three shards of "acme" and one of "": with 2, 1, 0 and 1 events. */
static inline void make_shards(void)
{
    assert_code(SHARD("acme", "orders", "init"), 0);
    assert_code(SHARD("acme", "orders", "append", "order-1", "Placed", "1"), 0);
    assert_code(SHARD("acme", "orders", "append", "order-2", "Placed", "2"), 0);
    assert_code(SHARD("acme", "bills", "append", "bill-1", "Sent", "1"), 0);
    assert_code(SHARD("acme", "empty", "init"), 0);
    assert_code(ROOT("--ns", "log", "append", "log-1", "Said", "1"), 0);
}

/** Overwrite the middle of the shard's file, which nobody has open. */
static inline void damage_shard(const char *file)
{
    size_t size;
    char *bytes = read_whole(file, &size);
    memset(bytes + 4096, 0x5a, size - 4096);
    write_whole(file, bytes, size);
    free(bytes);
}

#endif
