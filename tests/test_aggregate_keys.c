/* A command with an idempotency key is executed once. Others at work are threads (pthread). */
#include "account_calls.h"

#include <stele/lifecycle.h>

static stele_store *beside;
static stele_aggregate *accounts_beside;

static void open_two(void)
{
    open_accounts();
    beside = open_beside();
    accounts_beside = open_aggregate(beside, account_decider(), NULL);
}

static void close_two(void)
{
    stele_aggregate_close(accounts_beside);
    stele_store_close(beside);
    close_bank();
}

static void expect_duplicate_of(const stele_executed *first)
{
    ck_assert(executed.duplicate);
    ck_assert(!executed.erased);
    ck_assert_int_eq(executed.version, first->version);
    ck_assert_int_eq(executed.first_position, first->first_position);
    ck_assert_int_eq(executed.last_position, first->last_position);
    ck_assert_uint_eq(executed.event_count, first->event_count);
    ck_assert_uint_eq(executed.tries, 0);
}

START_TEST(key_that_came_before_answers_the_first_outcome_and_decides_nothing)
{
    command what = { .verb = MOVE, .amount = 4, .count = 2 };
    stele_execute execute = make_execute("a-1", &what);
    execute.idempotency_key = "k-1";
    assert_status(execute_by(&execute), STELE_OK);
    ck_assert(!executed.duplicate);
    stele_executed first = executed;
    move_often("a-1", 3);
    int decided = atomic_load(&teller.decided);

    /* Whatever it expects now, and with another command. */
    what.amount = 1000;
    execute.expected_version = STELE_NO_STREAM;
    assert_status(execute_by(&execute), STELE_OK);

    expect_duplicate_of(&first);
    ck_assert_int_eq(executed.fold.folded, 0);
    ck_assert_int_eq(atomic_load(&teller.decided), decided);
    ck_assert_int_eq(head_of(store), 5);
    ck_assert_uint_eq(describe_accounts().executed, 4);
}
END_TEST

START_TEST(duplicate_hands_out_the_state_as_it_is_now)
{
    account state;
    assert_status(move_by_key("a-1", 4, "k-1"), STELE_OK);
    move_often("a-1", 3);
    command what = { .verb = MOVE, .amount = 4 };
    stele_execute execute = make_execute("a-1", &what);
    execute.idempotency_key = "k-1";
    execute.state = &state;

    assert_status(execute_by(&execute), STELE_OK);

    ck_assert(executed.duplicate);
    ck_assert_int_eq(state.balance, 7);
    ck_assert_int_eq(executed.state_status, STELE_OK);
    ck_assert_int_eq(executed.version, 1);       /* then, */
    ck_assert_int_eq(executed.state_version, 4); /* and now */
}
END_TEST

START_TEST(key_that_came_before_is_answered_where_deciding_would_refuse_now)
{
    assert_status(move("a-1", 10), STELE_OK);
    assert_status(move_by_key("a-1", -10, "k-1"), STELE_OK);
    stele_executed first = executed;

    assert_status(move_by_key("a-1", -10, "k-1"), STELE_OK);

    expect_duplicate_of(&first);
    assert_status(move("a-1", -10), STELE_REFUSED);
}
END_TEST

START_TEST(command_that_emitted_nothing_counts)
{
    command what = { .verb = IDLE };
    stele_execute execute = make_execute("a-1", &what);
    execute.idempotency_key = "k-1";
    for (int there = 0; there < 2; there++) {
        execute.idempotency_key = there ? "k-2" : "k-1";
        assert_status(execute_by(&execute), STELE_OK);
        ck_assert(!executed.duplicate);
        stele_executed first = executed;
        int decided = atomic_load(&teller.decided);
        what.verb = MOVE;
        assert_status(execute_by(&execute), STELE_OK);
        expect_duplicate_of(&first);
        ck_assert_int_eq(atomic_load(&teller.decided), decided);
        ck_assert_int_eq(head_of(store), there);
        execute.stream = "a-2";
        assert_status(execute_by(&execute), STELE_KEY_REUSED);
        what.verb = IDLE;
        execute.stream = "a-1";
        if (!there)
            assert_status(move("a-1", 1), STELE_OK);
    }
}
END_TEST

START_TEST(command_that_was_refused_or_failed_does_not_count)
{
    assert_status(move_by_key("a-1", -1, "k-1"), STELE_REFUSED);
    assert_status(move("a-1", 10), STELE_OK);
    command what = { .verb = FAIL, .answer = STELE_INVALID };
    stele_execute execute = make_execute("a-1", &what);
    execute.idempotency_key = "k-1";
    assert_status(execute_by(&execute), STELE_INVALID);

    assert_status(move_by_key("a-1", -1, "k-1"), STELE_OK);

    ck_assert(!executed.duplicate);
    expect_balance("a-1", 9);
}
END_TEST

START_TEST(key_used_on_another_stream_is_told)
{
    assert_status(move_by_key("a-1", 1, "k-1"), STELE_OK);
    int decided = atomic_load(&teller.decided);
    move_often("a-3", 1);

    assert_status(move_by_key("a-2", 1, "k-1"), STELE_KEY_REUSED);
    assert_reason_has("k-1");
    assert_status(move_by_key("a-3", 1, "k-1"), STELE_KEY_REUSED);

    ck_assert(!executed.duplicate);
    ck_assert_int_eq(atomic_load(&teller.decided), decided + 1);
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

START_TEST(key_whose_events_were_deleted_is_an_erased_duplicate)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "a-1";
    assert_status(move_by_key("a-1", 1, "k-1"), STELE_OK);
    assert_status(stele_store_delete(store, &call, NULL), STELE_OK);

    for (int i = 0; i < 2; i++) {
        assert_status(move_by_key("a-1", 1, "k-1"), STELE_OK);
        ck_assert(executed.duplicate);
        ck_assert(executed.erased);
        assert_status(append_move(store, "a-1", 3), STELE_OK); /* a new stream of the name */
    }
    ck_assert_int_eq(version_of("a-1"), 2);
}
END_TEST

/* The first attempt was before that. */
START_TEST(duplicate_is_answered_on_a_closed_stream)
{
    stele_archive archive = STELE_ARCHIVE_INIT;
    stele_tombstone tombstone = STELE_TOMBSTONE_INIT;
    archive.stream = tombstone.stream = "a-1";
    tombstone.reason = "by order";
    assert_status(move_by_key("a-1", 1, "k-1"), STELE_OK);
    assert_status(_i == 0 ? stele_store_archive(store, &archive, NULL)
                          : stele_store_tombstone(store, &tombstone, NULL),
                  STELE_OK);

    assert_status(move_by_key("a-1", 1, "k-1"), STELE_OK);
    ck_assert(executed.duplicate);
    assert_status(move_by_key("a-1", 1, "k-2"), _i == 0 ? STELE_ARCHIVED : STELE_TOMBSTONED);
}
END_TEST

START_TEST(key_is_known_to_other_handles_and_after_opening_again)
{
    assert_status(move_by_key("a-1", 1, "k-1"), STELE_OK);
    stele_executed first = executed;
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = make_execute("a-1", &what);
    execute.idempotency_key = "k-1";

    assert_status(stele_aggregate_execute(accounts_beside, &execute, &executed), STELE_OK);

    expect_duplicate_of(&first);
}
END_TEST

/* --- Races --- */

static const char *raced_stream;
static stele_executed executed_beside;

/* The same key, and another content: the first one's outcome is that of both. */
static void execute_beside(void)
{
    command what = { .verb = MOVE, .amount = 77 };
    stele_execute execute = make_execute(raced_stream, &what);
    execute.idempotency_key = "k-1";
    assert_status(stele_aggregate_execute(accounts_beside, &execute, &executed_beside), STELE_OK);
}

static void race_once(int nth)
{
    if (nth == 1)
        on_another_thread(execute_beside);
}

START_TEST(key_that_comes_while_deciding_makes_a_duplicate)
{
    raced_stream = "a-1";
    if (_i == 1)
        append_moves(store, "a-1", 2);
    teller.in_decide = race_once;

    assert_status(move_by_key("a-1", 5, "k-1"), STELE_OK);

    ck_assert(executed.duplicate);
    ck_assert(!executed_beside.duplicate);
    ck_assert_int_eq(executed.version, executed_beside.version);
    ck_assert_int_eq(executed.first_position, executed_beside.first_position);
    ck_assert_int_eq(head_of(store), _i == 1 ? 3 : 1);
    expect_balance("a-1", _i == 1 ? 79 : 77);
}
END_TEST

START_TEST(key_that_comes_elsewhere_while_deciding_is_told)
{
    raced_stream = "b-1";
    teller.in_decide = race_once;

    assert_status(move_by_key("a-1", 5, "k-1"), STELE_KEY_REUSED);

    ck_assert(!executed.duplicate);
    ck_assert_int_eq(version_of("a-1"), 0);
}
END_TEST

/* After our look at the key, and before we have folded what is there: the state has it in already,
 * and whatever is decided on that isn't the answer. */
static struct {
    verb verb;
    int64_t amount;
    void (*afterwards)(void); /* on the stream */
} same_command;

static void tombstone_it(void)
{
    stele_tombstone call = STELE_TOMBSTONE_INIT;
    call.stream = "a-1";
    call.reason = "by order";
    assert_status(stele_store_tombstone(beside, &call, NULL), STELE_OK);
}

static void archive_it(void)
{
    stele_archive call = STELE_ARCHIVE_INIT;
    call.stream = "a-1";
    assert_status(stele_store_archive(beside, &call, NULL), STELE_OK);
}

static void execute_same_beside(void)
{
    command what = { .verb = same_command.verb, .amount = same_command.amount };
    stele_execute execute = make_execute(raced_stream, &what);
    execute.idempotency_key = "k-1";
    assert_status(stele_aggregate_execute(accounts_beside, &execute, &executed_beside), STELE_OK);
    ck_assert(!executed_beside.duplicate);
    if (same_command.afterwards != NULL)
        same_command.afterwards();
}

static void race_same_once(int nth)
{
    if (nth == 1)
        on_another_thread(execute_same_beside);
}

static const struct {
    verb verb;
    int64_t amount;
    int64_t expected_version;
    void (*afterwards)(void);
} late_keys[] = {
    { MOVE, 5, STELE_ANY, NULL },         /* would be appended */
    { MOVE, -5, STELE_ANY, NULL },        /* would be refused */
    { MOVE, 5, 5, NULL },                 /* would be a conflict */
    { MOVE, 5, STELE_ANY, tombstone_it }, /* would be told so */
    { MOVE, -5, STELE_ANY, archive_it },  /* and so */
    { IDLE, 0, STELE_ANY, NULL },         /* leaves nothing but its key */
    { IDLE, 0, STELE_ANY, tombstone_it },
};

START_TEST(key_that_comes_before_loading_makes_a_duplicate)
{
    account state;
    command what = { .verb = late_keys[_i].verb, .amount = late_keys[_i].amount };
    stele_execute execute = make_execute("a-1", &what);
    raced_stream = "a-1";
    append_moves(store, "a-1", 5);
    same_command.verb = what.verb;
    same_command.amount = what.amount;
    same_command.afterwards = late_keys[_i].afterwards;
    teller.in_initial = race_same_once;
    execute.idempotency_key = "k-1";
    execute.expected_version = late_keys[_i].expected_version;
    execute.state = &state;

    assert_status(execute_by(&execute), STELE_OK);

    ck_assert(executed.duplicate);
    ck_assert_int_eq(executed.version, executed_beside.version);
    ck_assert_int_eq(executed.first_position, executed_beside.first_position);
    ck_assert_uint_eq(executed.event_count, executed_beside.event_count);
    ck_assert_int_eq(executed.refusal, 0);
    ck_assert_int_eq(state.balance, 5 + what.amount);
    ck_assert_int_eq(version_of("a-1"), 5 + (what.verb == MOVE));
    ck_assert_uint_eq(describe_accounts().executed, 0);
}
END_TEST

static void append_nothing_moved(void)
{
    assert_status(append_move(beside, "a-1", 0), STELE_OK);
}

static void overtake_once(int nth)
{
    if (nth == 1)
        on_another_thread(append_nothing_moved);
}

static void race_at_the_sixth(int nth)
{
    if (nth == 6)
        on_another_thread(execute_same_beside);
}

/* While the event that was missed is folded: the next try finds the key. */
START_TEST(key_that_comes_while_catching_up_makes_a_duplicate)
{
    raced_stream = "a-1";
    append_moves(store, "a-1", 5);
    same_command.verb = MOVE;
    same_command.amount = -5;
    same_command.afterwards = _i == 0 ? NULL : tombstone_it;
    teller.in_decide = overtake_once;
    teller.in_evolve = race_at_the_sixth;

    assert_status(move_by_key("a-1", -5, "k-1"), STELE_OK);

    ck_assert(executed.duplicate);
    ck_assert_int_eq(executed.version, executed_beside.version);
    ck_assert_int_eq(executed.refusal, 0);
}
END_TEST

START_TEST(key_that_comes_elsewhere_before_a_refusal_is_told)
{
    raced_stream = "b-1";
    append_moves(store, "a-1", 1);
    same_command.verb = MOVE;
    same_command.amount = 5;
    same_command.afterwards = NULL;
    teller.in_initial = race_same_once;

    assert_status(move_by_key("a-1", -5, "k-1"), STELE_KEY_REUSED);

    assert_reason_has("k-1");
    ck_assert(!executed.duplicate);
}
END_TEST

/* The second look at the key doesn't blur the answer. */
START_TEST(refusal_with_a_key_says_why)
{
    assert_status(move_by_key("a-1", -5, "k-1"), STELE_REFUSED);
    assert_reason_has("not enough money");
    ck_assert_int_eq(executed.refusal, 7);
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = make_execute("a-1", &what);
    execute.idempotency_key = "k-1";
    execute.expected_version = 3;
    assert_status(execute_by(&execute), STELE_CONFLICT);
    assert_reason_has("expected 3");
}
END_TEST

enum { ROUNDS = 30 };

typedef struct racer {
    stele_aggregate *of;
    int appended;
    int duplicates;
} racer;

static pthread_barrier_t start;

static void *race(void *context)
{
    racer *self = context;
    for (int round = 0; round < ROUNDS; round++) {
        char key[32], stream[32];
        snprintf(key, sizeof(key), "race-%d", round);
        snprintf(stream, sizeof(stream), "race-%d", round % 2 == 0 ? round : 1);
        command what = { .verb = MOVE, .amount = 1 };
        stele_execute execute = make_execute(stream, &what);
        stele_executed out;
        execute.idempotency_key = key;
        pthread_barrier_wait(&start);
        assert_status(stele_aggregate_execute(self->of, &execute, &out), STELE_OK);
        self->appended += !out.duplicate;
        self->duplicates += out.duplicate;
        ck_assert_uint_eq(out.event_count, 1);
    }
    return NULL;
}

START_TEST(of_two_handles_with_the_same_key_exactly_one_appends)
{
    racer racers[2] = { { .of = accounts }, { .of = accounts_beside } };
    pthread_t threads[2];
    pthread_barrier_init(&start, NULL, 2);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);

    ck_assert_int_eq(racers[0].appended + racers[1].appended, ROUNDS);
    ck_assert_int_eq(racers[0].duplicates + racers[1].duplicates, ROUNDS);
    ck_assert_int_eq(head_of(store), ROUNDS);
    expect_balance("race-1", ROUNDS / 2);
}
END_TEST

/* --- In a transaction --- */

START_TEST(key_in_a_transaction_is_that_of_the_transaction)
{
    command what = { .verb = MOVE, .amount = 1 };
    stele_execute execute = make_execute("a-1", &what);
    execute.idempotency_key = "k-1";
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_aggregate_execute(transaction, accounts, &execute, &executed),
                  STELE_OK);
    stele_executed first = executed;
    assert_status(stele_transaction_aggregate_execute(transaction, accounts, &execute, &executed),
                  STELE_OK);
    expect_duplicate_of(&first);
    stele_transaction_end(transaction);

    /* It was rolled back with it. */
    assert_status(execute_by(&execute), STELE_OK);
    ck_assert(!executed.duplicate);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_keys");
    TCase *tests = tcase_create("keys");
    tcase_add_checked_fixture(tests, open_two, close_two);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, key_that_came_before_answers_the_first_outcome_and_decides_nothing);
    tcase_add_test(tests, duplicate_hands_out_the_state_as_it_is_now);
    tcase_add_test(tests, key_that_came_before_is_answered_where_deciding_would_refuse_now);
    tcase_add_test(tests, command_that_emitted_nothing_counts);
    tcase_add_test(tests, command_that_was_refused_or_failed_does_not_count);
    tcase_add_test(tests, key_used_on_another_stream_is_told);
    tcase_add_test(tests, key_whose_events_were_deleted_is_an_erased_duplicate);
    tcase_add_loop_test(tests, duplicate_is_answered_on_a_closed_stream, 0, 2);
    tcase_add_test(tests, key_is_known_to_other_handles_and_after_opening_again);
    tcase_add_loop_test(tests, key_that_comes_while_deciding_makes_a_duplicate, 0, 2);
    tcase_add_test(tests, key_that_comes_elsewhere_while_deciding_is_told);
    tcase_add_loop_test(tests, key_that_comes_before_loading_makes_a_duplicate, 0,
                        COUNT_OF(late_keys));
    tcase_add_loop_test(tests, key_that_comes_while_catching_up_makes_a_duplicate, 0, 2);
    tcase_add_test(tests, key_that_comes_elsewhere_before_a_refusal_is_told);
    tcase_add_test(tests, refusal_with_a_key_says_why);
    tcase_add_test(tests, of_two_handles_with_the_same_key_exactly_one_appends);
    tcase_add_test(tests, key_in_a_transaction_is_that_of_the_transaction);
    return run_suite(suite);
}
