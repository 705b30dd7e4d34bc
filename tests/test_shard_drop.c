/* Dropping shards and bringing them back. */
#include "dropping.h"

#include <pthread.h>
#include <sys/stat.h>

START_TEST(a_dropped_shard_is_gone_and_its_name_is_free)
{
    fill_shard("orders", 3);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    expect_no_shard("orders");
    ck_assert_int_eq(count_files(test_path("root/acme")), 0);

    fill_shard("orders", 1);
    expect_events("orders", 1);
}
END_TEST

START_TEST(a_dropped_shard_is_whole_in_the_trash)
{
    fill_shard("orders", 3);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));

    trash_look look = look_into_trash();
    ck_assert_int_eq(look.count, 1);
    ck_assert_str_eq(look.organisation, "acme");
    ck_assert_str_eq(look.name_space, "orders");
    ck_assert(!look.moved);
    ck_assert_int_gt(look.bytes, 4096);
    ck_assert_int_eq(look.purge_at - look.dropped_at, INT64_C(604800) * 1000000);
    struct stat facts;
    ck_assert_int_eq(stat(look.path, &facts), 0);
    ck_assert_int_eq(facts.st_mode & 0777, 0600);
    ck_assert_int_eq(facts.st_size, look.bytes);
    ck_assert_int_eq(stat(test_path("root/.trash"), &facts), 0);
    ck_assert_int_eq(facts.st_mode & 0777, 0700);

    int same = 0;
    int other = 0;
    stele_store *dropped = open_path(look.path, NULL);
    count_data(dropped, "d", &same, &other);
    ck_assert_int_eq(same, 3);
    expect_status(append_data(dropped, "late"), STELE_FENCED);
    stele_store_close(dropped);
}
END_TEST

START_TEST(undrop_brings_it_back_as_it_was)
{
    fill_shard("orders", 3);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    expect_fine(stele_shards_undrop(shards, "acme", "orders", NULL));
    expect_events("orders", 3);
    ck_assert_int_eq(look_into_trash().count, 0);
    ck_assert_int_eq(count_files(test_path("root/.trash")), 0);
    expect_status(stele_shards_undrop(shards, "acme", "orders", NULL), STELE_CONFLICT);
}
END_TEST

START_TEST(undrop_takes_the_last_one_or_the_one_that_is_named)
{
    fill_shard("orders", 1);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    trash_look first = look_into_trash();
    fill_shard("orders", 2);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    trash_look second = look_into_trash();
    ck_assert_int_eq(second.count, 2);
    ck_assert_str_ne(first.id, second.id);

    expect_fine(stele_shards_undrop(shards, "acme", "orders", NULL));
    expect_events("orders", 2);
    expect_status(stele_shards_undrop(shards, "acme", "orders", first.id), STELE_CONFLICT);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    expect_fine(stele_shards_undrop(shards, "acme", "orders", first.id));
    expect_events("orders", 1);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    expect_status(stele_shards_undrop(shards, "acme", "orders", "no such id"), STELE_NOT_FOUND);
    expect_status(stele_shards_undrop(shards, "acme", "bills", first.id), STELE_NOT_FOUND);
    expect_status(stele_shards_undrop(shards, "nobody", "orders", NULL), STELE_NOT_FOUND);
}
END_TEST

/* Names of every kind come back, too: those that are hashed into their path, and the empty one. */
START_TEST(every_name_is_dropped_and_comes_back)
{
    char longest[STELE_SHARD_NAME_MAX + 1];
    memset(longest, 0, sizeof(longest));
    for (size_t i = 0; i < STELE_SHARD_NAME_MAX; i++)
        longest[i] = i % 2 == 0 ? '/' : '\n';
    const char *const names[][2] = { { "", "orders" },  { "acme", longest },   { longest, longest },
                                     { "..", "../.." }, { "a\nb", "1 2 3 4" }, { "12", "0 acme" } };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        stele_shard *shard = acquire(shards, names[i][0], names[i][1]);
        expect_fine(append_data(stele_shard_store(shard), "d"));
        stele_shard_release(shard);
        expect_fine(stele_shards_drop(shards, names[i][0], names[i][1], false, NULL));
        trash_look look = look_into_trash();
        ck_assert_int_eq(look.count, 1);
        ck_assert_str_eq(look.organisation, names[i][0]);
        ck_assert_str_eq(look.name_space, names[i][1]);
        expect_fine(stele_shards_undrop(shards, names[i][0], names[i][1], NULL));
        expect_fine(try_acquire(shards, names[i][0], names[i][1], &shard));
        stele_shard_release(shard);
    }
}
END_TEST

START_TEST(one_that_is_held_is_busy_and_nothing_is_changed)
{
    stele_shard *held = acquire(shards, "acme", "orders");
    expect_fine(append_data(stele_shard_store(held), "d"));
    expect_status(stele_shards_drop(shards, "acme", "orders", false, &no_wait), STELE_BUSY);
    expect_fine(append_data(stele_shard_store(held), "d"));
    stele_shard *again = NULL;
    expect_fine(try_acquire(shards, "acme", "orders", &again));
    stele_shard_release(again);
    stele_shard_release(held);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, &no_wait));
}
END_TEST

static void *release_soon(void *shard)
{
    const struct timespec soon = { 0, 50000000 };
    nanosleep(&soon, NULL);
    stele_shard_release(shard);
    return NULL;
}

START_TEST(a_drop_waits_until_it_is_released)
{
    pthread_t thread;
    fill_shard("orders", 1);
    ck_assert_int_eq(pthread_create(&thread, NULL, release_soon, acquire(shards, "acme", "orders")),
                     0);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    pthread_join(thread, NULL);
    expect_no_shard("orders");
}
END_TEST

/* By its path, as the command line does: neither exclusion nor handles know of that. */
START_TEST(a_store_that_is_open_beside_makes_it_busy)
{
    char path[512];
    fill_shard("orders", 2);
    expect_fine(stele_shards_path(shards, "acme", "orders", path, sizeof(path)));
    stele_store *beside = open_path(path, NULL);
    expect_fine(append_data(beside, "d"));
    expect_status(stele_shards_drop(shards, "acme", "orders", false, &no_wait), STELE_BUSY);
    expect_fine(append_data(beside, "d"));
    stele_store_close(beside);
    expect_events("orders", 4);
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
}
END_TEST

static int say_no(void *context)
{
    (void)context;
    return 1;
}

START_TEST(a_drop_can_be_cancelled)
{
    const stele_wait cancelling = { sizeof(cancelling), 60000, say_no, NULL };
    stele_shard *held = acquire(shards, "acme", "orders");
    expect_status(stele_shards_drop(shards, "acme", "orders", false, &cancelling), STELE_CANCELLED);
    expect_fine(append_data(stele_shard_store(held), "d"));
    stele_shard_release(held);
    expect_events("orders", 1);
}
END_TEST

START_TEST(what_is_not_there_is_not_found)
{
    expect_status(stele_shards_drop(shards, "acme", "orders", false, NULL), STELE_NOT_FOUND);
    expect_status(stele_shards_drop(shards, "acme", "orders", true, NULL), STELE_NOT_FOUND);
    fill_shard("bills", 1);
    expect_status(stele_shards_drop(shards, "acme", "orders", false, NULL), STELE_NOT_FOUND);
    expect_status(stele_shards_undrop(shards, "acme", "orders", NULL), STELE_NOT_FOUND);
    ck_assert_int_eq(look_into_trash().count, 0);
}
END_TEST

START_TEST(arguments_are_checked)
{
    char too_long[STELE_SHARD_NAME_MAX + 2];
    stele_wait wrong = { 0, 0, NULL, NULL };
    stele_trash *trash = NULL;
    const stele_trashed *trashed = NULL;
    memset(too_long, 'x', sizeof(too_long));
    too_long[sizeof(too_long) - 1] = '\0';
    fill_shard("orders", 1);
    expect_status(stele_shards_drop(NULL, "acme", "orders", false, NULL), STELE_MISUSE);
    expect_status(stele_shards_drop(shards, NULL, "orders", false, NULL), STELE_MISUSE);
    expect_status(stele_shards_drop(shards, "acme", NULL, false, NULL), STELE_MISUSE);
    expect_status(stele_shards_drop(shards, "acme", "", false, NULL), STELE_MISUSE);
    expect_status(stele_shards_drop(shards, "acme", "orders", false, &wrong), STELE_MISUSE);
    expect_status(stele_shards_drop(shards, "acme", too_long, false, NULL), STELE_TOO_LARGE);
    expect_status(stele_shards_drop(shards, "acme", "\xff", false, NULL), STELE_INVALID);
    expect_status(stele_shards_undrop(NULL, "acme", "orders", NULL), STELE_MISUSE);
    expect_status(stele_shards_undrop(shards, "acme", "", NULL), STELE_MISUSE);
    expect_status(stele_shards_undrop(shards, "acme", too_long, NULL), STELE_TOO_LARGE);
    expect_status(stele_shards_undrop(shards, "\xff", "orders", NULL), STELE_INVALID);
    expect_status(stele_shards_trash(NULL, &trash), STELE_MISUSE);
    expect_status(stele_shards_trash(shards, NULL), STELE_MISUSE);
    expect_status(stele_trash_next(NULL, &trashed), STELE_MISUSE);
    expect_fine(stele_shards_trash(shards, &trash));
    expect_status(stele_trash_next(trash, NULL), STELE_MISUSE);
    expect_status(stele_trash_next(trash, &trashed), STELE_DONE);
    expect_status(stele_trash_next(trash, &trashed), STELE_DONE);
    stele_trash_close(trash);
    stele_trash_close(NULL);
}
END_TEST

START_TEST(shards_opened_for_reading_drop_nothing)
{
    stele_options reading = STELE_OPTIONS_INIT;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    fill_shard("orders", 1);
    fill_shard("bills", 1);
    expect_fine(stele_shards_drop(shards, "acme", "bills", false, NULL));
    stele_shards_close(shards);
    reading.read_only = true;
    options.store = &reading;
    expect_fine(stele_shards_open(test_path("root"), &options, &shards));
    expect_status(stele_shards_drop(shards, "acme", "orders", false, NULL), STELE_READ_ONLY);
    expect_status(stele_shards_undrop(shards, "acme", "bills", NULL), STELE_READ_ONLY);
    ck_assert_int_eq(look_into_trash().count, 1);
}
END_TEST

START_TEST(after_closing_all_is_closed)
{
    stele_trash *trash = NULL;
    stele_trash *another = NULL;
    const stele_trashed *trashed = NULL;
    fill_shard("orders", 1);
    stele_shard *held = acquire(shards, "acme", "bills");
    expect_fine(stele_shards_drop(shards, "acme", "orders", false, NULL));
    expect_fine(stele_shards_trash(shards, &trash));
    stele_shards_close(shards);
    expect_status(stele_trash_next(trash, &trashed), STELE_CLOSED);
    ck_assert_ptr_null(trashed);
    expect_status(stele_shards_drop(shards, "acme", "bills", false, NULL), STELE_CLOSED);
    expect_status(stele_shards_undrop(shards, "acme", "orders", NULL), STELE_CLOSED);
    expect_status(stele_shards_trash(shards, &another), STELE_CLOSED);
    ck_assert_ptr_null(another);
    stele_trash_close(trash);
    stele_shard_release(held);
    shards = NULL;
}
END_TEST

static void *drop_the_held_one(void *context)
{
    const stele_wait long_wait = { sizeof(long_wait), 600000, NULL, NULL };
    (void)context;
    expect_status(stele_shards_drop(shards, "acme", "orders", false, &long_wait), STELE_CLOSED);
    return NULL;
}

START_TEST(closing_in_mid_drop_ends_it)
{
    const struct timespec soon = { 0, 50000000 };
    pthread_t thread;
    stele_shard *held = acquire(shards, "acme", "orders");
    ck_assert_int_eq(pthread_create(&thread, NULL, drop_the_held_one, NULL), 0);
    nanosleep(&soon, NULL);
    stele_shards_close(shards);
    pthread_join(thread, NULL);
    stele_shard_release(held);
    open_shards();
    fill_shard("orders", 1);
    expect_events("orders", 1);
}
END_TEST

static Suite *drop_suite(void)
{
    Suite *suite = suite_create("shard drop");
    TCase *tests = tcase_create("drop");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, open_shards, close_shards);
    tcase_add_test(tests, a_dropped_shard_is_gone_and_its_name_is_free);
    tcase_add_test(tests, a_dropped_shard_is_whole_in_the_trash);
    tcase_add_test(tests, undrop_brings_it_back_as_it_was);
    tcase_add_test(tests, undrop_takes_the_last_one_or_the_one_that_is_named);
    tcase_add_test(tests, every_name_is_dropped_and_comes_back);
    tcase_add_test(tests, one_that_is_held_is_busy_and_nothing_is_changed);
    tcase_add_test(tests, a_drop_waits_until_it_is_released);
    tcase_add_test(tests, a_store_that_is_open_beside_makes_it_busy);
    tcase_add_test(tests, a_drop_can_be_cancelled);
    tcase_add_test(tests, what_is_not_there_is_not_found);
    tcase_add_test(tests, arguments_are_checked);
    tcase_add_test(tests, shards_opened_for_reading_drop_nothing);
    tcase_add_test(tests, after_closing_all_is_closed);
    tcase_add_test(tests, closing_in_mid_drop_ends_it);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(drop_suite());
}
