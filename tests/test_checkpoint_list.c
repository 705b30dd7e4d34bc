/* The list of checkpoints: all of them, in order, as they were when it was opened. */
#include "contract.h"

#include "disk_hooks.h"

#include <pthread.h>

static stele_checkpoints *open_list(void)
{
    stele_checkpoints *list = NULL;
    assert_status(stele_store_checkpoints(store, &list), STELE_OK);
    ck_assert_ptr_nonnull(list);
    return list;
}

static const stele_checkpoint_info *next_checkpoint(stele_checkpoints *list)
{
    const stele_checkpoint_info *info = NULL;
    assert_status(stele_checkpoints_next(list, &info), STELE_OK);
    ck_assert_ptr_nonnull(info);
    return info;
}

/* Drain and close `list`: "name position" of each, with commas between. */
static const char *drain_checkpoints(stele_checkpoints *list)
{
    static char text[4096];
    size_t size = 0;
    const stele_checkpoint_info *info = NULL;
    stele_status status;
    text[0] = '\0';
    while ((status = stele_checkpoints_next(list, &info)) == STELE_OK)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s %" PRId64,
                                 size > 0 ? ", " : "", info->name, info->position);
    assert_status(status, STELE_DONE);
    ck_assert_ptr_null(info);
    assert_status(stele_checkpoints_next(list, &info), STELE_DONE);
    stele_checkpoints_close(list);
    return text;
}

static void save(const char *name, int64_t position)
{
    assert_status(stele_checkpoint_save(store, name, position), STELE_OK);
}

static void fill_and_save(void)
{
    open_in_file();
    fill_stream("a-1", 10);
    save("mailer", 7);
    save("biller", 3);
    save("reader", 10);
}

/* --- What it gives --- */

START_TEST(store_without_checkpoints_has_an_empty_list)
{
    open_in_memory();
    ck_assert_str_eq(drain_checkpoints(open_list()), "");
}
END_TEST

START_TEST(list_is_in_the_order_of_the_bytes_of_names)
{
    open_in_memory();
    fill_stream("a-1", 9);
    save("b", 1);
    save("B", 2);
    save("\xC3\xA4", 3); /* after every ASCII name */
    save("a-10", 4);
    save("a-9", 5);
    save("a", 0);
    save("~", 9);
    ck_assert_str_eq(drain_checkpoints(open_list()),
                     "B 2, a 0, a-10 4, a-9 5, b 1, ~ 9, \xC3\xA4 3");
}
END_TEST

START_TEST(entry_says_what_loading_says)
{
    fill_and_save();
    stele_checkpoints *list = open_list();
    for (int i = 0; i < 3; i++) {
        const stele_checkpoint_info *info = next_checkpoint(list);
        stele_checkpoint checkpoint;
        assert_status(stele_checkpoint_load(store, info->name, &checkpoint), STELE_OK);
        ck_assert_int_eq(info->position, checkpoint.position);
        ck_assert_int_eq(info->saved_at, checkpoint.saved_at);
        ck_assert_int_gt(info->saved_at, 0);
        ck_assert(!info->lost);
        ck_assert_int_eq(info->shared, 0);
    }
    stele_checkpoints_close(list);
}
END_TEST

START_TEST(longest_names_and_many_of_them_are_all_there)
{
    enum { COUNT = 500 };
    char name[STELE_NAME_SIZE_MAX + 1];
    open_in_memory();
    fill_stream("a-1", 1);
    stele_transaction *transaction = begin();
    memset(name, 'n', STELE_NAME_SIZE_MAX);
    name[STELE_NAME_SIZE_MAX] = '\0';
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, 5, "%04d", i);
        name[4] = 'n';
        assert_status(stele_transaction_checkpoint_save(transaction, name, i % 2), STELE_OK);
    }
    commit_and_end(transaction);
    stele_checkpoints *list = open_list();
    for (int i = 0; i < COUNT; i++) {
        const stele_checkpoint_info *info = next_checkpoint(list);
        ck_assert_uint_eq(strlen(info->name), STELE_NAME_SIZE_MAX);
        ck_assert_int_eq(atoi(info->name), i);
        ck_assert_int_eq(info->position, i % 2);
    }
    ck_assert_str_eq(drain_checkpoints(list), "");
}
END_TEST

START_TEST(list_stays_as_it_was_when_it_was_opened)
{
    fill_and_save();
    stele_checkpoints *list = open_list();
    save("mailer", 8);
    save("another", 1);
    ck_assert_str_eq(drain_checkpoints(list), "biller 3, mailer 7, reader 10");
    ck_assert_str_eq(drain_checkpoints(open_list()), "another 1, biller 3, mailer 8, reader 10");
}
END_TEST

/* Power is lost and with it the events after 6; another boot begins a new epoch there. */
START_TEST(entry_of_a_lost_epoch_says_so_and_what_is_shared)
{
    fill_and_save();
    save("edge", 6);
    close_store();
    run_sql(store_path(), "DELETE FROM events WHERE position > 6; INSERT OR REPLACE INTO"
                          " meta(key, value, checksum) VALUES('dirty:a', 'another', 0)");
    ck_assert_int_eq(unlink(test_path("store.db-anchor")), 0);
    open_in_file();

    stele_checkpoints *list = open_list();
    for (int i = 0; i < 4; i++) {
        const stele_checkpoint_info *info = next_checkpoint(list);
        stele_checkpoint checkpoint;
        stele_status status = stele_checkpoint_load(store, info->name, &checkpoint);
        ck_assert_int_eq(info->lost, status == STELE_EPOCH);
        ck_assert_int_eq(info->lost, info->position > 6);
        ck_assert_int_eq(info->shared, info->lost ? 6 : 0);
        ck_assert_int_eq(info->shared, checkpoint.shared);
    }
    stele_checkpoints_close(list);
}
END_TEST

START_TEST(transaction_lists_what_it_saved)
{
    fill_and_save();
    stele_checkpoints *list = NULL;
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_checkpoint_save(transaction, "mailer", 9), STELE_OK);
    assert_status(stele_transaction_checkpoint_save(transaction, "new", 1), STELE_OK);
    assert_status(stele_transaction_checkpoints(transaction, &list), STELE_OK);
    stele_transaction_end(transaction);

    /* The list outlives it; the store has none of that. */
    ck_assert_str_eq(drain_checkpoints(list), "biller 3, mailer 9, new 1, reader 10");
    ck_assert_str_eq(drain_checkpoints(open_list()), "biller 3, mailer 7, reader 10");
}
END_TEST

/* --- What it refuses --- */

START_TEST(wrong_arguments_are_misuse)
{
    fill_and_save();
    stele_checkpoints *list = (stele_checkpoints *)&list;
    const stele_checkpoint_info *info = (const stele_checkpoint_info *)&info;
    assert_status(stele_store_checkpoints(NULL, &list), STELE_MISUSE);
    ck_assert_ptr_null(list);
    assert_status(stele_store_checkpoints(store, NULL), STELE_MISUSE);
    assert_status(stele_transaction_checkpoints(NULL, &list), STELE_MISUSE);
    assert_status(stele_checkpoints_next(NULL, &info), STELE_MISUSE);
    ck_assert_ptr_null(info);
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_checkpoints(transaction, NULL), STELE_MISUSE);
    stele_transaction_end(transaction);
    list = open_list();
    assert_status(stele_checkpoints_next(list, NULL), STELE_MISUSE);
    ck_assert_str_eq(drain_checkpoints(list), "biller 3, mailer 7, reader 10");
    stele_checkpoints_close(NULL);
}
END_TEST

START_TEST(list_may_be_closed_at_any_moment)
{
    fill_and_save();
    for (int taken = 0; taken <= 3; taken++) {
        stele_checkpoints *list = open_list();
        for (int i = 0; i < taken; i++)
            next_checkpoint(list);
        stele_checkpoints_close(list);
    }
}
END_TEST

START_TEST(damaged_row_is_corrupt_and_named)
{
    fill_and_save();
    close_store();
    run_sql(store_path(), "UPDATE checkpoints SET saved_at = saved_at + 1 WHERE name = 'mailer'");
    open_in_file();
    stele_checkpoints *list = (stele_checkpoints *)&list;
    assert_status(stele_store_checkpoints(store, &list), STELE_CORRUPT);
    ck_assert_ptr_null(list);
    assert_reason_has("'mailer'");
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_checkpoints(transaction, &list), STELE_CORRUPT);
    ck_assert_ptr_null(list);
    stele_transaction_end(transaction);
    save("mailer", 7); /* mends it */
    ck_assert_str_eq(drain_checkpoints(open_list()), "biller 3, mailer 7, reader 10");
}
END_TEST

static void *close_from_elsewhere(void *context)
{
    (void)context;
    stele_store_close(store);
    return NULL;
}

START_TEST(list_of_a_store_closed_elsewhere_is_closed)
{
    pthread_t closer;
    fill_and_save();
    stele_checkpoints *list = open_list();
    next_checkpoint(list);
    ck_assert_int_eq(pthread_create(&closer, NULL, close_from_elsewhere, NULL), 0);
    pthread_join(closer, NULL);
    store = NULL;

    const stele_checkpoint_info *info = NULL;
    assert_status(stele_checkpoints_next(list, &info), STELE_CLOSED);
    ck_assert_ptr_null(info);
    stele_checkpoints_close(list);
}
END_TEST

static void *list_elsewhere(void *context)
{
    stele_checkpoints *list = NULL;
    *(stele_status *)context = stele_store_checkpoints(store, &list);
    stele_checkpoints_close(list);
    return NULL;
}

/* In memory there is one connection, and a transaction has it. */
START_TEST(list_that_waits_too_long_is_busy)
{
    pthread_t lister;
    stele_status status = STELE_OK;
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 20;
    store = open_path(":memory:", &options);
    stele_transaction *transaction = begin();
    ck_assert_int_eq(pthread_create(&lister, NULL, list_elsewhere, &status), 0);
    pthread_join(lister, NULL);
    stele_transaction_end(transaction);
    ck_assert_int_eq(status, STELE_BUSY);
}
END_TEST

static int fail_reads(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)file;
    (void)detail;
    return call == DISK_READ ? SQLITE_IOERR_READ : SQLITE_OK;
}

START_TEST(disk_that_cannot_be_read_is_io)
{
    install_disk_hooks();
    fill_and_save();
    reopen_file();
    stele_checkpoints *list = NULL;
    disk_hook = fail_reads;
    stele_status status = stele_store_checkpoints(store, &list);
    disk_hook = NULL;
    ck_assert_int_eq(status, STELE_IO);
    ck_assert_ptr_null(list);
    ck_assert_str_eq(drain_checkpoints(open_list()), "biller 3, mailer 7, reader 10");
    close_store();
    remove_disk_hooks();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint list");
    TCase *tests = add_case(suite, "list", NULL);
    tcase_add_test(tests, store_without_checkpoints_has_an_empty_list);
    tcase_add_test(tests, list_is_in_the_order_of_the_bytes_of_names);
    tcase_add_test(tests, entry_says_what_loading_says);
    tcase_add_test(tests, longest_names_and_many_of_them_are_all_there);
    tcase_add_test(tests, list_stays_as_it_was_when_it_was_opened);
    tcase_add_test(tests, entry_of_a_lost_epoch_says_so_and_what_is_shared);
    tcase_add_test(tests, transaction_lists_what_it_saved);
    tcase_add_test(tests, wrong_arguments_are_misuse);
    tcase_add_test(tests, list_may_be_closed_at_any_moment);
    tcase_add_test(tests, damaged_row_is_corrupt_and_named);
    tcase_add_test(tests, list_of_a_store_closed_elsewhere_is_closed);
    tcase_add_test(tests, list_that_waits_too_long_is_busy);
    tcase_add_test(tests, disk_that_cannot_be_read_is_io);
    return run_suite(suite);
}
