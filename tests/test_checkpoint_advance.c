/* Checkpoints moved forward by compare and set, and forgotten. */
#include "contract.h"

#include <pthread.h>

enum { HEAD = 40 };

static void open_memory_with_events(void)
{
    open_in_memory();
    fill_stream("a-1", HEAD);
}

static void open_file_with_events(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 60000; /* on a slow disk the last of many writers waits for long */
    store = open_path(store_path(), &options);
    fill_stream("a-1", HEAD);
}

static stele_checkpoint_move make_move(int64_t from, int64_t to)
{
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    move.from = from;
    move.to = to;
    return move;
}

static stele_status advance(int64_t from, int64_t to, int64_t *actual)
{
    stele_checkpoint_move move = make_move(from, to);
    *actual = -99;
    return stele_checkpoint_advance(store, "reader", &move, actual);
}

static void expect_at(int64_t position)
{
    stele_checkpoint checkpoint = { 0 };
    assert_status(stele_checkpoint_load(store, "reader", &checkpoint), STELE_OK);
    ck_assert_int_eq(checkpoint.found, position >= 0);
    ck_assert_int_eq(checkpoint.position, position < 0 ? 0 : position);
}

/* --- Forward --- */

START_TEST(move_from_where_it_is_goes_forward)
{
    int64_t actual = 0;
    assert_status(advance(STELE_CHECKPOINT_MISSING, 0, &actual), STELE_OK);
    ck_assert_int_eq(actual, 0);
    expect_at(0);

    assert_status(advance(0, 7, &actual), STELE_OK);

    ck_assert_int_eq(actual, 7);
    expect_at(7);
    assert_status(advance(7, 7, &actual), STELE_OK);
    stele_checkpoint_move move = make_move(STELE_CHECKPOINT_ANYWHERE, HEAD);
    assert_status(stele_checkpoint_advance(store, "reader", &move, NULL), STELE_OK);
    expect_at(HEAD);
}
END_TEST

START_TEST(move_from_elsewhere_conflicts_tells_where_and_changes_nothing)
{
    int64_t actual = 0;
    assert_status(stele_checkpoint_save(store, "reader", 7), STELE_OK);

    const int64_t wrong[] = { STELE_CHECKPOINT_MISSING, 0, 6, 8 };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_status(advance(wrong[i], 9, &actual), STELE_CONFLICT);
        ck_assert_int_eq(actual, 7);
        assert_reason_has("checkpoint 'reader' is at 7");
    }

    expect_at(7);
}
END_TEST

START_TEST(move_of_one_never_saved_conflicts_as_missing)
{
    int64_t actual = 0;

    assert_status(advance(3, 9, &actual), STELE_CONFLICT);

    ck_assert_int_eq(actual, STELE_CHECKPOINT_MISSING);
    assert_reason_has("never saved");
    expect_at(-1);
}
END_TEST

START_TEST(move_from_anywhere_never_goes_back)
{
    int64_t actual = 0;
    assert_status(advance(STELE_CHECKPOINT_ANYWHERE, 9, &actual), STELE_OK);

    assert_status(advance(STELE_CHECKPOINT_ANYWHERE, 8, &actual), STELE_CONFLICT);

    ck_assert_int_eq(actual, 9);
    assert_reason_has("expected at most 8");
    expect_at(9);
}
END_TEST

START_TEST(impossible_moves_are_misuse)
{
    stele_checkpoint_move move = make_move(0, 5);
    int64_t actual = 0;
    const int64_t bad[][2] = { { 5, 4 },   { -3, 4 },        { 0, HEAD + 1 },
                               { -2, -2 }, { 0, INT64_MAX }, { -1, -1 } };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_status(advance(bad[i][0], bad[i][1], &actual), STELE_MISUSE);
        ck_assert_int_eq(actual, STELE_CHECKPOINT_MISSING);
    }
    assert_status(stele_checkpoint_advance(NULL, "reader", &move, NULL), STELE_MISUSE);
    assert_status(stele_checkpoint_advance(store, NULL, &move, NULL), STELE_MISUSE);
    assert_status(stele_checkpoint_advance(store, "", &move, NULL), STELE_MISUSE);
    assert_status(stele_checkpoint_advance(store, "reader", NULL, NULL), STELE_MISUSE);
    move.generation = -1;
    assert_status(stele_checkpoint_advance(store, "reader", &move, NULL), STELE_MISUSE);
    move.generation = 0;
    move.struct_size = 0;
    assert_status(stele_checkpoint_advance(store, "reader", &move, NULL), STELE_MISUSE);
    assert_status(stele_transaction_checkpoint_advance(NULL, "reader", &move, NULL), STELE_MISUSE);
    expect_at(-1);
}
END_TEST

START_TEST(init_functions_set_what_the_macros_set)
{
    stele_checkpoint_move move, by_macro = STELE_CHECKPOINT_MOVE_INIT;
    stele_checkpoint_claim claim, claim_by_macro = STELE_CHECKPOINT_CLAIM_INIT;
    stele_checkpoint_move_init(&move);
    stele_checkpoint_claim_init(&claim);

    ck_assert_uint_eq(move.struct_size, sizeof(move));
    ck_assert_int_eq(move.from, by_macro.from);
    ck_assert_int_eq(move.to, by_macro.to);
    ck_assert_int_eq(move.generation, by_macro.generation);
    ck_assert_uint_eq(claim.struct_size, sizeof(claim));
    ck_assert_ptr_null(claim.owner);
    ck_assert_uint_eq(claim.lease_ms, claim_by_macro.lease_ms);
    ck_assert(!claim.force);
}
END_TEST

/* --- In a transaction --- */

START_TEST(refused_move_leaves_the_transaction_alive)
{
    int64_t actual = 0;
    stele_checkpoint_move move = make_move(3, 5);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "b-1", STELE_NO_STREAM, NULL), STELE_OK);

    assert_status(stele_transaction_checkpoint_advance(transaction, "reader", &move, &actual),
                  STELE_CONFLICT);
    ck_assert_int_eq(actual, STELE_CHECKPOINT_MISSING);
    move.to = HEAD + 2;
    assert_status(stele_transaction_checkpoint_advance(transaction, "reader", &move, &actual),
                  STELE_MISUSE);
    move = make_move(STELE_CHECKPOINT_MISSING, HEAD + 1);
    move.generation = 4;
    assert_status(stele_transaction_checkpoint_advance(transaction, "reader", &move, &actual),
                  STELE_FENCED);
    move.generation = 0;
    assert_status(stele_transaction_checkpoint_advance(transaction, "reader", &move, &actual),
                  STELE_OK);
    ck_assert_int_eq(actual, HEAD + 1);

    commit_and_end(transaction);
    expect_at(HEAD + 1);
    ck_assert_int_eq(version_of("b-1"), 1);
}
END_TEST

START_TEST(move_and_reset_of_a_transaction_that_ends_never_were)
{
    bool found = false;
    int64_t actual = 0;
    assert_status(advance(STELE_CHECKPOINT_ANYWHERE, 4, &actual), STELE_OK);
    stele_checkpoint_move move = make_move(4, 5);
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_checkpoint_advance(transaction, "reader", &move, NULL),
                  STELE_OK);
    assert_status(stele_transaction_checkpoint_reset(transaction, "reader", &found), STELE_OK);
    ck_assert(found);
    assert_status(stele_transaction_checkpoint_reset(transaction, "reader", &found), STELE_OK);
    ck_assert(!found);
    stele_transaction_end(transaction);

    expect_at(4);
}
END_TEST

START_TEST(calls_on_a_transaction_that_is_over_are_misuse)
{
    stele_checkpoint_move move = make_move(0, 5);
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_commit(transaction), STELE_OK);

    assert_status(stele_transaction_checkpoint_advance(transaction, "reader", &move, NULL),
                  STELE_MISUSE);
    assert_status(stele_transaction_checkpoint_reset(transaction, "reader", NULL), STELE_MISUSE);

    stele_transaction_end(transaction);
}
END_TEST

/* --- Forgetting --- */

START_TEST(reset_forgets_one_name_and_a_missing_one_is_fine)
{
    bool found = true;
    assert_status(stele_checkpoint_save(store, "reader", 7), STELE_OK);
    assert_status(stele_checkpoint_save(store, "other", 0), STELE_OK);

    assert_status(stele_checkpoint_reset(store, "reader", &found), STELE_OK);

    ck_assert(found);
    expect_at(-1);
    assert_status(stele_checkpoint_reset(store, "reader", &found), STELE_OK);
    ck_assert(!found);
    assert_status(stele_checkpoint_reset(store, "nobody", NULL), STELE_OK);
    stele_checkpoint other = { 0 };
    assert_status(stele_checkpoint_load(store, "other", &other), STELE_OK);
    ck_assert(other.found);
    assert_status(stele_checkpoint_reset(store, NULL, &found), STELE_MISUSE);
    assert_status(stele_checkpoint_reset(NULL, "reader", &found), STELE_MISUSE);
    ck_assert(!found);
}
END_TEST

START_TEST(one_that_was_reset_begins_as_if_it_had_never_been)
{
    int64_t actual = 0;
    assert_status(stele_checkpoint_save(store, "reader", 7), STELE_OK);
    assert_status(stele_checkpoint_reset(store, "reader", NULL), STELE_OK);

    assert_status(advance(7, 8, &actual), STELE_CONFLICT);
    ck_assert_int_eq(actual, STELE_CHECKPOINT_MISSING);
    assert_status(advance(STELE_CHECKPOINT_MISSING, 2, &actual), STELE_OK);

    expect_at(2);
}
END_TEST

/* Idle readers must cost no writes. */
START_TEST(reset_of_what_is_not_there_writes_nothing)
{
    sqlite3 *other = open_raw(store_path());
    int64_t before = raw_number(other, "PRAGMA data_version");

    assert_status(stele_checkpoint_reset(store, "nobody", NULL), STELE_OK);

    ck_assert_int_eq(raw_number(other, "PRAGMA data_version"), before);
    sqlite3_close(other);
}
END_TEST

START_TEST(store_opened_for_reading_refuses)
{
    stele_checkpoint_move move = make_move(STELE_CHECKPOINT_ANYWHERE, 5);
    close_store();
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    store = open_path(store_path(), &options);

    assert_status(stele_checkpoint_advance(store, "reader", &move, NULL), STELE_READ_ONLY);
    assert_status(stele_checkpoint_reset(store, "reader", NULL), STELE_READ_ONLY);
}
END_TEST

/* A step of the model and of the checkpoint, by whoever believes right. */
START_TEST(one_of_another_timeline_has_to_be_saved_first)
{
    stele_checkpoint checkpoint = { 0 };
    int64_t actual = 0;
    assert_status(stele_checkpoint_save(store, "reader", 30), STELE_OK);
    close_store();
    run_sql(store_path(), "DELETE FROM events WHERE position > 20");
    stele_options options = STELE_OPTIONS_INIT;
    options.accept_loss = true;
    store = open_path(store_path(), &options);
    assert_status(stele_checkpoint_load(store, "reader", &checkpoint), STELE_EPOCH);
    ck_assert_int_eq(checkpoint.shared, 20);

    assert_status(advance(STELE_CHECKPOINT_ANYWHERE, 20, &actual), STELE_EPOCH);
    assert_status(stele_checkpoint_save(store, "reader", checkpoint.shared), STELE_OK);

    assert_status(advance(20, 20, &actual), STELE_OK);
}
END_TEST

/* --- One winner --- */

enum { THREADS = 16, ROUNDS = 30 };

typedef struct racer {
    pthread_t thread;
    stele_store *store;
    int won[ROUNDS];
    stele_status failed; /* neither won nor lost */
} racer;

/* Each tries every step from n to n + 1 until somebody has done it. */
static void race(racer *self)
{
    for (int round = 0; round < ROUNDS; round++) {
        stele_checkpoint_move move = make_move(round, round + 1);
        stele_status status = stele_checkpoint_advance(self->store, "reader", &move, NULL);
        self->won[round] = status == STELE_OK;
        if (status != STELE_OK && status != STELE_CONFLICT)
            self->failed = status;
    }
}

static void *race_in_thread(void *context)
{
    race(context);
    return NULL;
}

START_TEST(each_step_has_one_winner_among_threads)
{
    static racer racers[THREADS];
    assert_status(stele_checkpoint_save(store, "reader", 0), STELE_OK);
    for (int i = 0; i < THREADS; i++) {
        racers[i] = (racer){ .store = store };
        ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race_in_thread, &racers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(racers[i].thread, NULL);

    int total = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int winners = 0;
        for (int i = 0; i < THREADS; i++)
            winners += racers[i].won[round];
        ck_assert_int_le(winners, 1);
        total += winners;
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(racers[i].failed, STELE_OK);
    stele_checkpoint checkpoint = { 0 };
    assert_status(stele_checkpoint_load(store, "reader", &checkpoint), STELE_OK);
    ck_assert_int_eq(checkpoint.position, total);
    ck_assert_int_ge(total, 1);
}
END_TEST

START_TEST(each_step_has_one_winner_among_processes)
{
    enum { PROCESSES = 4 };
    pid_t children[PROCESSES];
    int notes[PROCESSES][2];
    assert_status(stele_checkpoint_save(store, "reader", 0), STELE_OK);
    close_store();
    for (int i = 0; i < PROCESSES; i++) {
        ck_assert_int_eq(pipe(notes[i]), 0);
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] > 0)
            continue;
        racer self = { 0 };
        stele_options options = STELE_OPTIONS_INIT;
        options.busy_timeout_ms = 60000;
        if (stele_store_open(store_path(), &options, &self.store) != STELE_OK)
            _exit(1);
        race(&self);
        stele_store_close(self.store);
        bool told = write(notes[i][1], self.won, sizeof(self.won)) == (ssize_t)sizeof(self.won);
        _exit(told && self.failed == STELE_OK ? 0 : 1);
    }

    int winners[ROUNDS] = { 0 };
    for (int i = 0; i < PROCESSES; i++) {
        int won[ROUNDS] = { 0 };
        int status = 0;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
        ck_assert_int_eq(read(notes[i][0], won, sizeof(won)), (ssize_t)sizeof(won));
        close(notes[i][0]);
        close(notes[i][1]);
        for (int round = 0; round < ROUNDS; round++)
            winners[round] += won[round];
    }
    int total = 0;
    for (int round = 0; round < ROUNDS; round++) {
        ck_assert_int_le(winners[round], 1);
        total += winners[round];
    }
    open_in_file();
    stele_checkpoint checkpoint = { 0 };
    assert_status(stele_checkpoint_load(store, "reader", &checkpoint), STELE_OK);
    ck_assert_int_eq(checkpoint.position, total);
    ck_assert_int_eq(total, ROUNDS);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, move_from_where_it_is_goes_forward);
    tcase_add_test(tests, move_from_elsewhere_conflicts_tells_where_and_changes_nothing);
    tcase_add_test(tests, move_of_one_never_saved_conflicts_as_missing);
    tcase_add_test(tests, move_from_anywhere_never_goes_back);
    tcase_add_test(tests, impossible_moves_are_misuse);
    tcase_add_test(tests, init_functions_set_what_the_macros_set);
    tcase_add_test(tests, refused_move_leaves_the_transaction_alive);
    tcase_add_test(tests, move_and_reset_of_a_transaction_that_ends_never_were);
    tcase_add_test(tests, calls_on_a_transaction_that_is_over_are_misuse);
    tcase_add_test(tests, reset_forgets_one_name_and_a_missing_one_is_fine);
    tcase_add_test(tests, one_that_was_reset_begins_as_if_it_had_never_been);
    tcase_add_test(tests, each_step_has_one_winner_among_threads);
}

int main(void)
{
    Suite *suite = suite_create("checkpoint advance");
    add_tests(add_case(suite, "memory", open_memory_with_events));
    TCase *file = add_case(suite, "file", open_file_with_events);
    add_tests(file);
    tcase_add_test(file, reset_of_what_is_not_there_writes_nothing);
    tcase_add_test(file, store_opened_for_reading_refuses);
    tcase_add_test(file, one_of_another_timeline_has_to_be_saved_first);
    tcase_add_test(file, each_step_has_one_winner_among_processes);
    return run_suite(suite);
}
