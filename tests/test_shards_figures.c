/* Figures of a shard and of all of them, and a damaged one that spoils no others. */
#include "shard_runs.h"

#include <pthread.h> /* runs have threads: the thread sanitizer runs who includes it */

START_TEST(figures_of_one_and_of_all)
{
    stele_shard_stats one;
    stele_shard_stats all;
    memset(&one, 0xAA, sizeof(one));
    make_shard("a", "empty");
    add_events("a", "b", "noted", 3);
    add_events("a", "c", "noted", 4);
    stele_shard *shard = get_shard("a", "c");
    assert_status(append_to(stele_shard_store(shard), "other-1", STELE_ANY, "x", NULL), STELE_OK);

    assert_status(stele_shard_statistics(shard, &one), STELE_OK);

    ck_assert_uint_eq(one.shards, 1);
    ck_assert_int_eq(one.events, 5);
    ck_assert_int_eq(one.streams, 2);
    ck_assert_int_eq(one.entries, 0);
    ck_assert_int_gt(one.file_bytes, 0);
    ck_assert_int_gt(one.wal_bytes, 0);
    ck_assert_int_gt(one.last_recorded_at, 1600000000000000);
    for (size_t i = 0; i < COUNT_OF(one.reserved); i++)
        ck_assert_int_eq(one.reserved[i], 0);

    for (uint32_t parallel = 1; parallel <= 3; parallel += 2) {
        stele_shards_run run = STELE_SHARDS_RUN_INIT;
        run.parallel = parallel;
        assert_status(stele_shards_statistics(shards, parallel == 1 ? NULL : &run, &all), STELE_OK);
        ck_assert_uint_eq(all.shards, 3);
        ck_assert_int_eq(all.events, 8);
        ck_assert_int_eq(all.streams, 3);
        ck_assert_int_ge(all.file_bytes, 3 * one.file_bytes / 2);
        ck_assert_int_eq(all.last_recorded_at, one.last_recorded_at);
    }
    stele_shard_release(shard);
}
END_TEST

START_TEST(entries_are_counted_without_those_that_were_deleted)
{
    stele_shard_stats stats;
    stele_shard *shard = get_shard("a", "b");
    stele_store *in = stele_shard_store(shard);
    stele_put put = STELE_PUT_INIT;
    put.scope = "things";
    put.data = "1";
    put.data_size = 1;
    static const char *const keys[] = { "a", "b", "c" };
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        put.key = keys[i];
        assert_status(stele_state_put(in, &put, NULL), STELE_OK);
    }
    stele_remove remove = STELE_REMOVE_INIT;
    remove.scope = "things";
    remove.key = "b";
    assert_status(stele_state_delete(in, &remove, NULL), STELE_OK);

    assert_status(stele_shard_statistics(shard, &stats), STELE_OK);

    ck_assert_int_eq(stats.entries, 2);
    ck_assert_int_eq(stats.last_recorded_at, 0);
    stele_shard_release(shard);
}
END_TEST

START_TEST(figures_that_can_not_be_had)
{
    stele_shard_stats stats;
    stele_shard *shard = get_shard("a", "b");
    stele_shards_run run = make_run(see, 1);
    assert_status(stele_shard_statistics(NULL, &stats), STELE_MISUSE);
    assert_status(stele_shard_statistics(shard, NULL), STELE_MISUSE);
    assert_status(stele_shards_statistics(shards, NULL, NULL), STELE_MISUSE);
    assert_status(stele_shards_statistics(shards, &run, &stats), STELE_MISUSE);
    assert_status(stele_shards_statistics(NULL, NULL, &stats), STELE_MISUSE);
    close_shards();
    assert_status(stele_shard_statistics(shard, &stats), STELE_CLOSED);
    stele_shard_release(shard);
    open_shards();
}
END_TEST

START_TEST(a_damaged_shard_fails_alone)
{
    char path[600];
    stele_shard_stats total;
    make_many(1, 3);
    assert_status(stele_shards_path(shards, "o0", "n1", path, sizeof(path)), STELE_OK);
    close_shards();
    FILE *file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < 1024; i++)
        fputs("damage! ", file);
    fclose(file);
    open_shards();
    stele_shards_run run = make_run(see, 1);

    stele_shards_ran ran = run_each(&run, STELE_CORRUPT);

    ck_assert_str_eq(seen, "o0/n0 o0/n2");
    ck_assert_uint_eq(ran.failed, 1);
    assert_status(stele_shards_statistics(shards, NULL, &total), STELE_CORRUPT);
    ck_assert_uint_eq(total.shards, 2);
}
END_TEST

static Suite *shards_figures_suite(void)
{
    Suite *suite = suite_create("shards_figures");
    TCase *tests = add_shard_case(suite, "figures");
    tcase_add_test(tests, figures_of_one_and_of_all);
    tcase_add_test(tests, entries_are_counted_without_those_that_were_deleted);
    tcase_add_test(tests, figures_that_can_not_be_had);
    tcase_add_test(tests, a_damaged_shard_fails_alone);
    return suite;
}

int main(void)
{
    return run_suite(shards_figures_suite());
}
