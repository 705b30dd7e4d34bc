/*
 * What the tests of moving share: two roots, and short ways to append, to move and to look.
 */
#ifndef STELE_TESTS_SHARD_MOVES_H
#define STELE_TESTS_SHARD_MOVES_H

#include "contract.h"

#include <stele/shard_work.h>
#include <stele/shards.h>

static stele_shards *shards, *others; /* under two roots */

static inline const char *old_root(void)
{
    return test_path("old");
}

static inline const char *new_root(void)
{
    return test_path("new");
}

static inline stele_shards *open_root(const char *root)
{
    stele_shards *opened = NULL;
    assert_status(stele_shards_open(root, NULL, &opened), STELE_OK);
    return opened;
}

static inline void open_both_roots(void)
{
    shards = open_root(old_root());
    others = open_root(new_root());
}

static inline void close_both_roots(void)
{
    stele_shards_close(shards);
    stele_shards_close(others);
    shards = NULL;
    others = NULL;
    remove_test_folder();
}

static inline TCase *add_move_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, open_both_roots, close_both_roots);
    suite_add_tcase(suite, tests);
    return tests;
}

static inline stele_shard *acquire_from(stele_shards *from, const char *name_space)
{
    stele_shard *shard = NULL;
    assert_status(stele_shards_acquire(from, "acme", name_space, NULL, &shard), STELE_OK);
    return shard;
}

static inline stele_status try_acquire(stele_shards *from, const char *name_space)
{
    stele_shard *shard = NULL;
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.must_exist = true;
    stele_status status = stele_shards_acquire(from, "acme", name_space, &how, &shard);
    stele_shard_release(shard);
    return status;
}

static inline stele_status put_event(stele_store *in, int number)
{
    char data[64];
    snprintf(data, sizeof(data), "{\"n\":%d}", number);
    stele_event event = make_event("noted", data);
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    return stele_store_append(in, &append, NULL);
}

static inline void fill_shard(stele_shards *in, const char *name_space, int count)
{
    stele_shard *shard = acquire_from(in, name_space);
    for (int i = 0; i < count; i++)
        assert_status(put_event(stele_shard_store(shard), i), STELE_OK);
    stele_shard_release(shard);
}

static inline int64_t head_in(stele_shards *in, const char *name_space)
{
    stele_shard *shard = acquire_from(in, name_space);
    int64_t head = head_of(stele_shard_store(shard));
    stele_shard_release(shard);
    return head;
}

static inline stele_shard_move move_of(const char *name_space, const char *root)
{
    stele_shard_move move = STELE_SHARD_MOVE_INIT;
    move.organisation = "acme";
    move.name_space = name_space;
    move.root = root;
    return move;
}

/* To the new root, under the same names. */
static inline stele_status move_over(const char *name_space, stele_shard_moved *moved_out)
{
    char root[512];
    snprintf(root, sizeof(root), "%s", new_root());
    stele_shard_move move = move_of(name_space, root);
    return stele_shards_move(shards, &move, moved_out);
}

/* `<root>/acme/<name>`. Borrowed until the next call. */
static inline const char *file_in(const char *root, const char *name)
{
    static char path[1024];
    snprintf(path, sizeof(path), "%s/acme/%s", root, name);
    return path;
}

static inline bool is_there(const char *root, const char *name)
{
    return access(file_in(root, name), F_OK) == 0;
}

/* Nothing is left of a move, at either end, but for a signpost. */
static inline void expect_no_remains(const char *name_space)
{
    static const char *const suffixes[] = { "moving", "arriving", "db-partial" };
    const char *const roots[] = { strdup(old_root()), strdup(new_root()) };
    for (size_t r = 0; r < 2; r++) {
        for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
            char name[128];
            snprintf(name, sizeof(name), "%s.%s", name_space, suffixes[i]);
            ck_assert_msg(!is_there(roots[r], name), "'%s' is left in '%s'", name, roots[r]);
        }
        free((void *)roots[r]);
    }
}

#endif
