/* Lists of keys over many shards, while these change. */
#include "sharding.h"

#include <stdlib.h>

static stele_shards *shards;

static void open_some(void)
{
    shards = open_root(2);
}

static void close_some(void)
{
    stele_shards_close(shards);
    shards = NULL;
    remove_test_folder();
}

static void put_key(const char *key)
{
    expect_fine(stele_shards_put(shards, "acme", key, "x", 1));
}

static stele_status count_key(void *context, const stele_keyed *keyed)
{
    ck_assert_ptr_nonnull(keyed);
    ++*(int *)context;
    return STELE_OK;
}

static void expect_listed(const char *prefix, int expected)
{
    int count = 0;
    expect_fine(stele_shards_keys(shards, "acme", prefix, count_key, &count));
    ck_assert_int_eq(count, expected);
}

enum { MANY_KEYS = 300 }; /* more than a piece has */

static void put_many_keys(const char *name_space)
{
    stele_shard *shard = acquire(shards, "acme", name_space);
    stele_transaction *transaction = NULL;
    expect_fine(stele_transaction_begin(stele_shard_store(shard), &transaction));
    for (int i = 0; i < MANY_KEYS; i++) {
        char key[32];
        stele_put put = STELE_PUT_INIT;
        snprintf(key, sizeof(key), "task/%s/%03d", name_space, i);
        put.scope = STELE_KEYED_SCOPE;
        put.key = key;
        put.data = "x";
        put.data_size = 1;
        expect_fine(stele_transaction_state_put(transaction, &put, NULL));
    }
    expect_fine(stele_transaction_commit(transaction));
    stele_transaction_end(transaction);
    stele_shard_release(shard);
}

static void move_to_others(const char *name_space)
{
    stele_shard_move move = STELE_SHARD_MOVE_INIT;
    move.organisation = "acme";
    move.name_space = name_space;
    move.to_organisation = "others";
    expect_fine(stele_shards_move(shards, &move, NULL));
}

static stele_status move_second(void *context, const stele_keyed *keyed)
{
    (void)keyed;
    if (++*(int *)context == 1)
        move_to_others("n1");
    return STELE_OK;
}

START_TEST(a_list_goes_on_behind_a_piece_and_without_a_shard_that_moves_meanwhile)
{
    int count = 0;
    put_key("task/n0/1");
    put_many_keys("n1");
    expect_listed("task", 1 + MANY_KEYS);

    expect_fine(stele_shards_keys(shards, "acme", "task", move_second, &count));

    ck_assert_int_gt(count, 1);
    ck_assert_int_lt(count, 1 + MANY_KEYS);
    expect_listed("task", 1);
    expect_status(stele_shards_keys(shards, "acme", "task/n1/", count_key, &count), STELE_MOVED);
    expect_status(stele_shards_put(shards, "acme", "task/n1/1", "x", 1), STELE_MOVED);
}
END_TEST

static stele_status delete_large(void *context, const stele_keyed *keyed)
{
    ck_assert_str_eq(keyed->key, "task/n0/1");
    expect_fine(stele_shards_delete(shards, "acme", "task/n1/1"));
    ++*(int *)context;
    return STELE_OK;
}

START_TEST(a_large_value_that_is_deleted_meanwhile_is_none)
{
    int count = 0;
    char *large = calloc(1, 200000);
    put_key("task/n0/1");
    expect_fine(stele_shards_put(shards, "acme", "task/n1/1", large, 200000));
    expect_fine(stele_shards_keys(shards, "acme", "task", delete_large, &count));
    ck_assert_int_eq(count, 1);
    free(large);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shard keys, meanwhile");
    TCase *tests = tcase_create("lists");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, open_some, close_some);
    tcase_add_test(tests, a_list_goes_on_behind_a_piece_and_without_a_shard_that_moves_meanwhile);
    tcase_add_test(tests, a_large_value_that_is_deleted_meanwhile_is_none);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
