/* Checkpoints: a reader's place, saved and loaded by its name. */
#include "contract.h"

#include <pthread.h>

#define HEAD 100

static void open_with_events(void)
{
    open_in_memory();
    fill_stream("a-1", HEAD);
}

static void open_file_with_events(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 60000; /* on a slow disk the last of many writers waits for long */
    store = open_path(store_path(), &options);
    stele_event events[HEAD];
    for (size_t i = 0; i < HEAD; i++)
        events[i] = make_event("counted", "1");
    stele_append append = make_append("a-1", STELE_NO_STREAM, events, HEAD);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
}

static stele_checkpoint load(const char *name)
{
    stele_checkpoint checkpoint;
    memset(&checkpoint, 0xAA, sizeof(checkpoint));
    assert_status(stele_checkpoint_load(store, name, &checkpoint), STELE_OK);
    for (size_t i = 0; i < COUNT_OF(checkpoint.reserved); i++)
        ck_assert_int_eq(checkpoint.reserved[i], 0);
    return checkpoint;
}

static void expect_saved(const char *name, int64_t position)
{
    stele_checkpoint checkpoint = load(name);
    ck_assert(checkpoint.found);
    ck_assert_int_eq(checkpoint.position, position);
    ck_assert_int_gt(checkpoint.saved_at, 0);
}

static void expect_missing(const char *name)
{
    stele_checkpoint checkpoint = load(name);
    ck_assert(!checkpoint.found);
    ck_assert_int_eq(checkpoint.position, 0);
    ck_assert_int_eq(checkpoint.saved_at, 0);
}

/* --- One name --- */

START_TEST(name_never_saved_is_not_found_and_no_failure)
{
    expect_missing("reader");
}
END_TEST

START_TEST(saved_position_is_loaded)
{
    assert_status(stele_checkpoint_save(store, "reader", 42), STELE_OK);

    expect_saved("reader", 42);
}
END_TEST

START_TEST(last_save_wins)
{
    const int64_t positions[] = { 1, 5, 10, 99 };

    for (size_t i = 0; i < COUNT_OF(positions); i++) {
        assert_status(stele_checkpoint_save(store, "reader", positions[i]), STELE_OK);
        expect_saved("reader", positions[i]);
    }
}
END_TEST

START_TEST(same_position_may_be_saved_again)
{
    assert_status(stele_checkpoint_save(store, "reader", 7), STELE_OK);
    assert_status(stele_checkpoint_save(store, "reader", 7), STELE_OK);

    expect_saved("reader", 7);
}
END_TEST

/* So that an operator can rewind a reader. */
START_TEST(lower_position_is_accepted)
{
    assert_status(stele_checkpoint_save(store, "reader", 99), STELE_OK);
    assert_status(stele_checkpoint_save(store, "reader", 3), STELE_OK);

    expect_saved("reader", 3);
}
END_TEST

/* "Has seen nothing yet" is not "has never been here". */
START_TEST(saved_zero_is_found)
{
    assert_status(stele_checkpoint_save(store, "reader", 0), STELE_OK);

    expect_saved("reader", 0);
}
END_TEST

START_TEST(names_are_independent)
{
    assert_status(stele_checkpoint_save(store, "reader-1", 10), STELE_OK);
    assert_status(stele_checkpoint_save(store, "reader-2", 20), STELE_OK);
    assert_status(stele_checkpoint_save(store, "reader-1", 11), STELE_OK);

    expect_saved("reader-1", 11);
    expect_saved("reader-2", 20);
    expect_missing("reader-3");
    expect_missing("Reader-1");
}
END_TEST

START_TEST(position_is_from_zero_to_the_head)
{
    assert_status(stele_checkpoint_save(store, "reader", HEAD), STELE_OK);

    assert_status(stele_checkpoint_save(store, "reader", HEAD + 1), STELE_MISUSE);
    assert_reason_has("reader");
    assert_status(stele_checkpoint_save(store, "reader", INT64_MAX), STELE_MISUSE);
    assert_status(stele_checkpoint_save(store, "reader", -1), STELE_MISUSE);

    expect_saved("reader", HEAD);
}
END_TEST

START_TEST(bad_names_and_arguments_are_misuse)
{
    char longest[256], too_long[257];
    memset(longest, 'n', 255), longest[255] = '\0';
    memset(too_long, 'n', 256), too_long[256] = '\0';
    const char *bad[] = { NULL, "", "a\nb", "a\xFF", too_long };
    stele_checkpoint checkpoint = { 0 };

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_status(stele_checkpoint_save(store, bad[i], 1), STELE_MISUSE);
        assert_status(stele_checkpoint_load(store, bad[i], &checkpoint), STELE_MISUSE);
    }
    assert_status(stele_checkpoint_load(store, "reader", NULL), STELE_MISUSE);
    assert_status(stele_checkpoint_load(NULL, "reader", &checkpoint), STELE_MISUSE);
    assert_status(stele_checkpoint_save(NULL, "reader", 1), STELE_MISUSE);
    assert_status(stele_checkpoint_save(store, longest, 1), STELE_OK);
}
END_TEST

START_TEST(saving_moves_neither_head_nor_streams)
{
    assert_status(stele_checkpoint_save(store, "reader", 5), STELE_OK);

    ck_assert_int_eq(head_of(store), HEAD);
    ck_assert_int_eq(version_of("a-1"), HEAD);
}
END_TEST

START_TEST(checkpoints_survive_reopening)
{
    assert_status(stele_checkpoint_save(store, "reader", 42), STELE_OK);
    assert_status(stele_checkpoint_save(store, "zero", 0), STELE_OK);

    reopen_file();

    expect_saved("reader", 42);
    expect_saved("zero", 0);
}
END_TEST

/* --- In a transaction --- */

START_TEST(checkpoint_of_a_transaction_is_saved_by_its_commit)
{
    stele_transaction *transaction = begin();
    stele_checkpoint checkpoint = { 0 };
    assert_status(stele_transaction_checkpoint_save(transaction, "reader", 42), STELE_OK);

    assert_status(stele_transaction_checkpoint_load(transaction, "reader", &checkpoint), STELE_OK);
    ck_assert(checkpoint.found);
    ck_assert_int_eq(checkpoint.position, 42);
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);

    expect_saved("reader", 42);
}
END_TEST

START_TEST(checkpoint_of_a_transaction_that_ends_is_as_before)
{
    assert_status(stele_checkpoint_save(store, "reader", 7), STELE_OK);
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_checkpoint_save(transaction, "reader", 42), STELE_OK);
    assert_status(stele_transaction_checkpoint_save(transaction, "other", 1), STELE_OK);
    stele_transaction_end(transaction);

    expect_saved("reader", 7);
    expect_missing("other");
}
END_TEST

/* The handler appends and saves how far it is: its own event is part of the head. */
START_TEST(checkpoint_may_reach_the_events_of_its_transaction)
{
    stele_transaction *transaction = begin();
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("b-1", STELE_ANY, &event, 1);
    assert_status(stele_transaction_checkpoint_save(transaction, "reader", HEAD + 1), STELE_MISUSE);
    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_OK);

    assert_status(stele_transaction_checkpoint_save(transaction, "reader", HEAD + 1), STELE_OK);

    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);
    expect_saved("reader", HEAD + 1);
}
END_TEST

/* --- Many at once --- */

enum { THREADS = 64 };

typedef struct visitor {
    pthread_t thread;
    int64_t number;
    stele_status status;
    stele_checkpoint seen;
} visitor;

static void *save_own_number(void *context)
{
    visitor *self = context;
    self->status = stele_checkpoint_save(store, "shared", self->number);
    return NULL;
}

static void *load_shared(void *context)
{
    visitor *self = context;
    self->status = stele_checkpoint_load(store, "shared", &self->seen);
    return NULL;
}

/* Check's longjmp must not leave a thread that is not its own, so threads only take notes. */
START_TEST(writers_and_readers_at_once_see_whole_values)
{
    static visitor writers[THREADS], readers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        writers[i].number = i + 1;
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, save_own_number, &writers[i]), 0);
        ck_assert_int_eq(pthread_create(&readers[i].thread, NULL, load_shared, &readers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(writers[i].thread, NULL);
        pthread_join(readers[i].thread, NULL);
    }

    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(writers[i].status, STELE_OK);
        ck_assert_int_eq(readers[i].status, STELE_OK);
        ck_assert_int_le(readers[i].seen.position, THREADS);
        ck_assert_int_eq(readers[i].seen.found, readers[i].seen.position > 0);
    }
    stele_checkpoint last = load("shared");
    ck_assert(last.found);
    ck_assert_int_ge(last.position, 1);
    ck_assert_int_le(last.position, THREADS);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, name_never_saved_is_not_found_and_no_failure);
    tcase_add_test(tests, saved_position_is_loaded);
    tcase_add_test(tests, last_save_wins);
    tcase_add_test(tests, same_position_may_be_saved_again);
    tcase_add_test(tests, lower_position_is_accepted);
    tcase_add_test(tests, saved_zero_is_found);
    tcase_add_test(tests, names_are_independent);
    tcase_add_test(tests, position_is_from_zero_to_the_head);
    tcase_add_test(tests, bad_names_and_arguments_are_misuse);
    tcase_add_test(tests, saving_moves_neither_head_nor_streams);
    tcase_add_test(tests, checkpoint_of_a_transaction_is_saved_by_its_commit);
    tcase_add_test(tests, checkpoint_of_a_transaction_that_ends_is_as_before);
    tcase_add_test(tests, checkpoint_may_reach_the_events_of_its_transaction);
    tcase_add_test(tests, writers_and_readers_at_once_see_whole_values);
}

int main(void)
{
    Suite *suite = suite_create("checkpoint");
    add_tests(add_case(suite, "memory", open_with_events));
    TCase *file = add_case(suite, "file", open_file_with_events);
    add_tests(file);
    tcase_add_test(file, checkpoints_survive_reopening);
    return run_suite(suite);
}
